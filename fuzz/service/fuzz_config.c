/* fuzz_config.c - a file is taken or refused with a message; what is taken is within its bounds and,
 * written out key by key, reads back as the same settings. The first line is the environment. */
#include "service/config_internal.h"
#include "service/config_values.h"

typedef struct settings {
    bool flag;
    int32_t number;
    uint32_t bytes, ms;
    int choice;
    sx_str text, address;
    sx_texts list;
} settings;

#define AT(field) SX_AT(settings, field)
static const char *const CHOICES[] = {"one", "two", NULL};
static const sx_key KEYS[] = {
    {"a.flag", SX_BOOL, AT(flag), 0, .help = "h"},
    {"a.number", SX_INT, AT(number), 0, -100, 100, "h"},
    {"a.bytes", SX_BYTES, AT(bytes), 1, 1, 1 << 20, "h"},
    {"b.ms", SX_MS, AT(ms), 1, 0, 1000000, "h"},
    {"choice", SX_CHOICE, AT(choice), 0, .help = "h", .choices = CHOICES},
    {"text", SX_TEXT, AT(text), .help = "h"},
    {"address", SX_ADDRESS, AT(address), .help = "h"},
    {"list", SX_TEXTS, AT(list), .help = "h"},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char line[1024];
    sx_str first, text;
    sx_str_cut(sx_str_of(data, size), '\n', &first, &text);
    first = sx_str_first(first, sizeof(line) - 1);
    if (first.len)
        memcpy(line, first.data, first.len);
    line[first.len] = '\0';
    const char *environment[] = {line, NULL};
    settings got;
    sx_key_set set = {KEYS, SX_COUNT_OF(KEYS), &got};
    sx_config_options options = {.program = "p",
                                 .sets = &set,
                                 .set_count = 1,
                                 .file = "f",
                                 .text = text.data ? text : SX_STR(""),
                                 .environment = environment};
    sx_buf problems, written;
    sx_config *c;
    sx_buf_init(&problems, 0);
    sx_buf_init(&written, 0);
    sx_status status = sx_config_load(&options, &c, &problems);
    sx_assert((status == SX_OK) == (problems.len == 0));
    if (status == SX_OK) {
        sx_assert(got.number >= -100 && got.number <= 100);
        sx_assert(got.bytes >= 1 && got.bytes <= 1 << 20 && got.ms <= 1000000);
        sx_assert(got.choice == 0 || got.choice == 1);
        sx_arena arena;
        sx_arena_init(&arena, 0, 0);
        for (size_t i = 0; i < SX_COUNT_OF(KEYS); i++) {
            settings again = {0};
            if (KEYS[i].kind == SX_TEXTS)
                continue; /* an item may hold a comma */
            sx_buf_clear(&written);
            sx_key_write(&KEYS[i], &got, &written);
            sx_assert(sx_key_read(&KEYS[i], sx_buf_view(&written), &arena, &again, NULL) == SX_OK);
            sx_assert(sx_key_equal(&KEYS[i], &got, &again));
        }
        sx_buf_clear(&written);
        sx_config_dump(c, &written);
        sx_arena_done(&arena);
        sx_config_free(c);
    }
    sx_buf_done(&problems);
    sx_buf_done(&written);
    return 0;
}

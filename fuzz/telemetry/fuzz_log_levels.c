/* fuzz_log_levels.c - a setting of levels that is accepted prints to one that reads back equal; what is
 * refused says why. */
#include <sextant/buf.h>
#include <sextant/log.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_log_level_rule first[SX_LOG_LEVEL_RULES_MAX], again[SX_LOG_LEVEL_RULES_MAX];
    size_t count, count_again;
    sx_error err = {0};
    if (sx_log_levels_parse(sx_str_of(data, size), first, &count, &err) != SX_OK) {
        sx_assert(err.message[0] != '\0');
        return 0;
    }
    sx_buf text;
    sx_buf_init(&text, 0);
    for (size_t i = 0; i < count; i++)
        sx_buf_printf(&text, "%.*s=%s,", SX_ARG(first[i].name.len ? first[i].name : SX_STR("all")),
                      sx_level_name(first[i].level));
    sx_assert(sx_log_levels_parse(sx_buf_view(&text), again, &count_again, &err) == SX_OK);
    sx_assert(count == count_again);
    for (size_t i = 0; i < count; i++)
        sx_assert(sx_str_eq(first[i].name, again[i].name) && first[i].level == again[i].level);
    sx_buf_done(&text);
    return 0;
}

/* test_config.c - every kind of key from every source, and what is said when it is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <sextant/config.h>

#include "base/fault.h"

typedef struct shop {
    bool open;
    int32_t delta;
    int64_t big;
    uint32_t cache_bytes, wait_ms;
    int mode;
    sx_str name, secret, listen;
    sx_texts peers;
} shop;

#define AT(field) SX_AT(shop, field)
static const char *const MODES[] = {"fast", "safe", NULL};
static const sx_key KEYS[] = {
    {"shop.open", SX_BOOL, AT(open), 1, .help = "whether it is open"},
    {"shop.delta", SX_INT, AT(delta), -1, -10, 10, "a small number"},
    {"shop.big", SX_INT, AT(big), 5, 0, 0, "a big number"},
    {"cache.bytes", SX_BYTES, AT(cache_bytes), 65536, 1024, 1 << 30, "size of the cache"},
    {"cache.wait_ms", SX_MS, AT(wait_ms), 1500, 100, 86400000, "longest wait"},
    {"mode", SX_CHOICE, AT(mode), 1, .help = "how", .choices = MODES},
    {"name", SX_TEXT, AT(name), .help = "its name", .text = "shop"},
    {"secret", SX_TEXT, AT(secret), .help = "its key", .flags = SX_KEY_SECRET},
    {"listen", SX_ADDRESS, AT(listen), .help = "where", .text = "127.0.0.1:80"},
    {"peers", SX_TEXTS, AT(peers), .help = "others", .text = "a,b"},
};

typedef struct fixture {
    shop shop;
    sx_config *config;
    sx_buf problems;
    sx_status status;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    sx_buf_init(&f->problems, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    sx_config_free(f->config);
    sx_buf_done(&f->problems);
    free(f);
    return 0;
}

static void load(fixture *f, const char *text, const char *const *environment,
                 const char *const *flags)
{
    static const sx_str TREES[] = {SX_STR_INIT("routes")};
    sx_config_free(f->config);
    sx_buf_clear(&f->problems);
    memset(&f->shop, 0, sizeof(f->shop));
    size_t count = 0;
    while (flags && flags[count])
        count++;
    sx_key_set set = {KEYS, SX_COUNT_OF(KEYS), &f->shop};
    f->status = sx_config_load(&(sx_config_options){.program = "my-shop",
                                                    .sets = &set,
                                                    .set_count = 1,
                                                    .trees = TREES,
                                                    .tree_count = 1,
                                                    .file = text ? "f.yml" : NULL,
                                                    .text = sx_str_z(text),
                                                    .environment = environment,
                                                    .flags = flags,
                                                    .flag_count = count},
                               &f->config, &f->problems);
    sx_buf_byte(&f->problems, '\0');
}

static void assert_problem(fixture *f, sx_status status, const char *expected)
{
    assert_string_equal(f->problems.data, expected);
    assert_int_equal(f->status, status);
    assert_null(f->config);
}

static void assert_text(sx_str s, const char *expected)
{
    assert_true(sx_str_eq(s, sx_str_z(expected)));
}

static void test_without_sources_there_are_the_defaults(void **state)
{
    fixture *f = *state;
    load(f, NULL, NULL, NULL);
    assert_int_equal(f->status, SX_OK);
    assert_true(f->shop.open);
    assert_int_equal(f->shop.delta, -1);
    assert_int_equal(f->shop.big, 5);
    assert_int_equal(f->shop.cache_bytes, 65536);
    assert_int_equal(f->shop.wait_ms, 1500);
    assert_int_equal(f->shop.mode, 1);
    assert_text(f->shop.name, "shop");
    assert_text(f->shop.secret, "");
    assert_text(f->shop.listen, "127.0.0.1:80");
    assert_int_equal(f->shop.peers.count, 2);
    assert_text(f->shop.peers.items[1], "b");
}

static void test_every_kind_is_read_from_a_file(void **state)
{
    fixture *f = *state;
    load(f,
         "shop: {open: no, delta: -7, big: 9223372036854775807}\n"
         "cache:\n  bytes: 64KiB\n  wait_ms: 1h30m\n"
         "mode: fast\nname: \"a: b\"\nlisten: '[::1]:0'\npeers: [x, 'y,z']\n"
         "routes: [{anything: at all}]\n",
         NULL, NULL);
    assert_string_equal(f->problems.data, "");
    assert_false(f->shop.open);
    assert_int_equal(f->shop.delta, -7);
    assert_true(f->shop.big == INT64_MAX);
    assert_int_equal(f->shop.cache_bytes, 65536);
    assert_int_equal(f->shop.wait_ms, 5400000);
    assert_int_equal(f->shop.mode, 0);
    assert_text(f->shop.name, "a: b");
    assert_text(f->shop.listen, "[::1]:0");
    assert_int_equal(f->shop.peers.count, 2);
    assert_text(f->shop.peers.items[1], "y,z");
    const sx_yaml_node *routes = sx_config_tree(f->config, SX_STR("routes"));
    assert_non_null(routes);
    assert_int_equal(routes->kind, SX_YAML_SEQUENCE);
    assert_null(sx_config_tree(f->config, SX_STR("other")));

    load(f, "shop.delta: 3\ncache.bytes: 10MB\nname:\n", NULL, NULL); /* dots; null: default */
    assert_int_equal(f->shop.delta, 3);
    assert_int_equal(f->shop.cache_bytes, 10000000);
    assert_text(f->shop.name, "shop");
}

static void test_sizes_and_times_have_units(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } SIZES[] = {{"1024", 1024},   {"2KiB", 2048}, {"1MiB", 1 << 20}, {"1GiB", 1 << 30},
                 {"3MB", 3000000}, {"5kB", 5000},  {"5KB", 5000},     {"2000B", 2000}},
      TIMES[] = {{"250", 250},    {"250ms", 250},   {"2s", 2000},         {"3m", 180000},
                 {"1h", 3600000}, {"1d", 86400000}, {"1m30s500ms", 90500}};
    fixture *f = *state;
    char text[64];
    for (size_t i = 0; i < SX_COUNT_OF(SIZES); i++) {
        snprintf(text, sizeof(text), "cache.bytes: %s\n", SIZES[i].text);
        load(f, text, NULL, NULL);
        assert_int_equal(f->shop.cache_bytes, SIZES[i].value);
    }
    for (size_t i = 0; i < SX_COUNT_OF(TIMES); i++) {
        snprintf(text, sizeof(text), "cache.wait_ms: %s\n", TIMES[i].text);
        load(f, text, NULL, NULL);
        assert_int_equal(f->shop.wait_ms, TIMES[i].value);
    }
}

static void test_a_flag_beats_the_environment_beats_the_file(void **state)
{
    fixture *f = *state;
    const char *const environment[] = {"MY_SHOP_NAME=from env", "MY_SHOP_CACHE_BYTES=4KiB",
                                       "MY_SHOP_MODE=fast", "MY_SHOP_PORT_8080_TCP=tcp", NULL};
    const char *const flags[] = {"--name=from flag", "--shop.delta", "4", "--shop.open=false",
                                 NULL};
    load(f, "name: from file\ncache.bytes: 8KiB\npeers: [q]\n", environment, flags);
    assert_string_equal(f->problems.data, "");
    assert_text(f->shop.name, "from flag");
    assert_int_equal(f->shop.cache_bytes, 4096);
    assert_int_equal(f->shop.mode, 0);
    assert_int_equal(f->shop.delta, 4);
    assert_false(f->shop.open);
    assert_text(f->shop.peers.items[0], "q");

    sx_buf dump;
    sx_buf_init(&dump, 0);
    sx_config_dump(f->config, &dump);
    sx_buf_byte(&dump, '\0');
    assert_non_null(strstr(dump.data, "\"name\":{\"value\":\"from flag\",\"source\":\"flag\"}"));
    assert_non_null(
        strstr(dump.data, "\"cache.bytes\":{\"value\":\"4KiB\",\"source\":\"environment\"}"));
    assert_non_null(strstr(dump.data, "\"peers\":{\"value\":\"q\",\"source\":\"file\"}"));
    assert_non_null(
        strstr(dump.data, "\"cache.wait_ms\":{\"value\":\"1s500ms\",\"source\":\"default\"}"));
    sx_buf_done(&dump);
    const char *const bare[] = {"--shop.open", NULL};
    load(f, "shop.open: off\n", NULL, bare);
    assert_true(f->shop.open);
}

static void test_secrets_are_not_shown(void **state)
{
    fixture *f = *state;
    load(f, "secret: hunter2\n", NULL, NULL);
    assert_text(f->shop.secret, "hunter2");
    sx_buf dump;
    sx_buf_init(&dump, 0);
    sx_config_dump(f->config, &dump);
    sx_buf_byte(&dump, '\0');
    assert_null(strstr(dump.data, "hunter2"));
    assert_non_null(strstr(dump.data, "\"secret\":{\"value\":\"<redacted>\""));
    sx_buf_done(&dump);
}

static void test_the_environment_is_expanded_in_the_file(void **state)
{
    fixture *f = *state;
    const char *const environment[] = {"USER=ann", "EMPTY=", NULL};
    load(f, "name: \"x${USER}-${EMPTY}$$5$\"\npeers: ['${USER}']\n", environment, NULL);
    assert_string_equal(f->problems.data, "");
    assert_text(f->shop.name, "xann-$5$");
    assert_text(f->shop.peers.items[0], "ann");
    load(f, "mode: fast\nname: ${NOBODY}\n", environment, NULL);
    assert_problem(f, SX_EFORMAT,
                   "f.yml:2:7: key \"name\": ${NOBODY} is not set in the environment; set it, or "
                   "write \"$${\" for the characters themselves\n");
    load(f, "name: ${USER\n", environment, NULL);
    assert_int_equal(f->status, SX_EFORMAT);
}

static void test_all_faults_are_told_at_once_with_their_places(void **state)
{
    fixture *f = *state;
    const char *const environment[] = {"MY_SHOP_MODE=slow", NULL};
    const char *const flags[] = {"--cache.bites=5", "--shop.delta=99", "stray", NULL};
    load(f,
         "shop:\n  opn: yes\n  delta: many\ncache: {bytes: 5, wait_ms: 3 days}\nlisten: nowhere\n",
         environment, flags);
    assert_problem(
        f, SX_EINVAL,
        "f.yml:2:3: key \"shop.opn\": unknown; did you mean \"shop.open\"?\n"
        "f.yml:3:10: key \"shop.delta\": 'many' is not an integer\n"
        "f.yml:4:16: key \"cache.bytes\": 5 is out of bounds; allowed is 1KiB to 1GiB\n"
        "f.yml:4:28: key \"cache.wait_ms\": '3 days' is not a time such as 500ms, 30s or 1h30m\n"
        "f.yml:5:9: key \"listen\": 'nowhere' is not an address such as 127.0.0.1:8080, [::1]:0, "
        ":8080 or unix:/path\n"
        "environment MY_SHOP_MODE: 'slow' is none of fast, safe\n"
        "flag --cache.bites: unknown; did you mean \"cache.bytes\"?\n"
        "flag --shop.delta: 99 is out of bounds; allowed is -10 to 10\n"
        "argument 'stray' is not a flag; flags are --key=value\n");
}

static void test_a_wrong_group_or_flag_of_the_file_is_told_the_right_one(void **state)
{
    fixture *f = *state;
    const char *const flags[] = {"--config=x.yml", "--config-file=x.yml", NULL};
    load(f, "cahce: {bytes: 5}\nsop: {open: yes}\nelsewhere: {a: 1}\n", NULL, NULL);
    assert_problem(f, SX_EFORMAT,
                   "f.yml:1:1: key \"cahce\": unknown; did you mean \"cache\"?\n"
                   "f.yml:2:1: key \"sop\": unknown; did you mean \"shop\"?\n"
                   "f.yml:3:1: key \"elsewhere\": unknown\n");
    load(f, "", NULL, flags);
    assert_problem(f, SX_EINVAL,
                   "flag --config: unknown; did you mean \"config.file\"?\n"
                   "flag --config-file: unknown; did you mean \"config.file\"?\n");
}

static void test_the_wrong_shape_is_told(void **state)
{
    fixture *f = *state;
    load(f, "name: [a]\n", NULL, NULL);
    assert_problem(f, SX_EFORMAT, "f.yml:1:7: key \"name\": expected one value, not a list\n");
    load(f, "cache: 5\n", NULL, NULL);
    assert_problem(f, SX_EFORMAT, "f.yml:1:8: key \"cache\": expected a mapping\n");
    load(f, "- a\n", NULL, NULL);
    assert_int_equal(f->status, SX_EFORMAT);
    load(f, "name: a\n---\nname: b\n", NULL, NULL);
    assert_int_equal(f->status, SX_EFORMAT);
    load(f, "name: {a: b}\n", NULL, NULL);
    assert_int_equal(f->status, SX_EFORMAT);
    load(f, "name: [\n", NULL, NULL);
    assert_int_equal(f->status, SX_EFORMAT);
    load(f, "", NULL, NULL);
    assert_int_equal(f->status, SX_OK);
    const char *const needs_value[] = {"--name", NULL};
    load(f, NULL, NULL, needs_value);
    assert_problem(f, SX_EINVAL, "flag --name needs a value: --name=VALUE\n");
    const char *const no_file[] = {"--config.file=/nowhere/x.yml", NULL};
    load(f, NULL, NULL, no_file);
    assert_int_equal(f->status, SX_EFORMAT);
    assert_non_null(strstr(f->problems.data, "/nowhere/x.yml"));
}

static void test_a_file_named_by_flag_or_environment_is_read(void **state)
{
    fixture *f = *state;
    char path[] = "/tmp/sx-test-config-XXXXXX", flag[64], variable[64];
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "name: filed\n", 12), 12);
    close(fd);
    snprintf(flag, sizeof(flag), "--config.file=%s", path);
    snprintf(variable, sizeof(variable), "MY_SHOP_CONFIG_FILE=%s", path);
    load(f, NULL, NULL, (const char *const[]){flag, NULL});
    assert_text(f->shop.name, "filed");
    assert_string_equal(sx_config_file(f->config), path);
    load(f, NULL, (const char *const[]){variable, NULL}, NULL);
    assert_text(f->shop.name, "filed");
    unlink(path);
}

static void test_every_beginning_of_a_file_is_read_or_refused(void **state)
{
    static const char TEXT[] = "shop: {open: no, delta: -7}\ncache:\n  bytes: 64KiB\n"
                               "name: \"a${USER}\"\npeers:\n  - x\n  - 'y'\nroutes: [{a: b}]\n";
    fixture *f = *state;
    const char *const environment[] = {"USER=u", NULL};
    for (size_t len = 0; len < sizeof(TEXT); len++) {
        char text[sizeof(TEXT)];
        memcpy(text, TEXT, len);
        text[len] = '\0';
        load(f, text, environment, NULL);
        assert_true((f->status == SX_OK) == (f->problems.data[0] == '\0'));
    }
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void test_a_flood_of_problems_is_cut_short(void **state)
{
    fixture *f = *state;
    sx_buf text;
    sx_buf_init(&text, 0);
    for (int i = 0; i < 20; i++)
        sx_buf_printf(&text, "k%d: 1\n", i);
    sx_buf_byte(&text, '\0');
    load(f, text.data, NULL, NULL);
    assert_int_equal(count_lines(f->problems.data), 20);
    assert_null(strstr(f->problems.data, "further"));
    text.len--; /* the NUL */
    for (int i = 20; i < 50000; i++)
        sx_buf_printf(&text, "k%d: 1\n", i);
    sx_buf_byte(&text, '\0');
    load(f, text.data, NULL, (const char *const[]){"--no=1", NULL});
    assert_int_equal(f->status, SX_EFORMAT);
    assert_int_equal(count_lines(f->problems.data), 21);
    assert_non_null(strstr(f->problems.data, "f.yml:20:1"));
    assert_non_null(strstr(f->problems.data, "\nfurther problems are not shown\n"));
    sx_buf_done(&text);

    const char *flags[101] = {NULL};
    for (int i = 0; i < 100; i++)
        flags[i] = "--no=1";
    load(f, NULL, NULL, flags);
    assert_int_equal(f->status, SX_EINVAL);
    assert_int_equal(count_lines(f->problems.data), 21);
}

static void test_a_fifo_is_no_file_but_a_pipe_of_the_shell_is(void **state)
{
    fixture *f = *state;
    char folder[] = "/tmp/sx-test-config-XXXXXX", path[64], flag[96], expected[200];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(flag, sizeof(flag), "--config.file=%s", path);
    load(f, NULL, NULL, (const char *const[]){flag, NULL});
    snprintf(expected, sizeof(expected),
             "config file %s is a FIFO, which may wait for ever; name a regular file\n", path);
    assert_problem(f, SX_EFORMAT, expected);
    unlink(path);
    rmdir(folder);

    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "name: piped\n", 12), 12);
    close(ends[1]);
    snprintf(flag, sizeof(flag), "--config.file=/dev/fd/%d", ends[0]);
    load(f, NULL, NULL, (const char *const[]){flag, NULL});
    assert_string_equal(f->problems.data, "");
    assert_text(f->shop.name, "piped");
    close(ends[0]);
}

static void count_change(void *ctx, const sx_key *key)
{
    (void)key;
    ++*(int *)ctx;
}

static void test_changes_are_found(void **state)
{
    fixture *f = *state;
    shop other;
    sx_config *after;
    sx_key_set set = {KEYS, SX_COUNT_OF(KEYS), &other};
    load(f, "name: a\n", NULL, NULL);
    sx_config_options o = {.program = "my-shop",
                           .sets = &set,
                           .set_count = 1,
                           .file = "f.yml",
                           .text = SX_STR("name: b\nshop.delta: -1\npeers: [a]\nmode: fast\n")};
    sx_buf problems;
    sx_buf_init(&problems, 0);
    assert_int_equal(sx_config_load(&o, &after, &problems), SX_OK);
    int changes = 0;
    sx_config_changes(f->config, after, count_change, &changes);
    assert_int_equal(changes, 3); /* name, peers, mode */
    sx_config_free(after);
    sx_buf_done(&problems);
}

static void test_help_and_docs_name_every_key(void **state)
{
    (void)state;
    sx_key_set set = {KEYS, SX_COUNT_OF(KEYS), NULL};
    sx_buf help, docs;
    sx_buf_init(&help, 0);
    sx_buf_init(&docs, 0);
    sx_config_help(&set, 1, &help);
    sx_config_docs("my-shop", &set, 1, &docs);
    for (size_t i = 0; i < SX_COUNT_OF(KEYS); i++) {
        assert_true(sx_str_find(sx_buf_view(&help), sx_str_z(KEYS[i].key)) < help.len);
        assert_true(sx_str_find(sx_buf_view(&docs), sx_str_z(KEYS[i].key)) < docs.len);
    }
    assert_true(sx_str_find(sx_buf_view(&docs),
                            SX_STR("| `cache.wait_ms` | `MY_SHOP_CACHE_WAIT_MS` | time | 1s500ms | "
                                   "100ms to 1d | longest wait |")) < docs.len);
    sx_buf_done(&help);
    sx_buf_done(&docs);
}

static void test_every_allocation_may_fail(void **state)
{
    fixture *f = *state;
    const char *const environment[] = {"USER=u", "MY_SHOP_MODE=fast", NULL};
    const char *const flags[] = {"--shop.delta=4", NULL};
    bool whole = false;
    for (int64_t nth = 1; nth < 1000 && !whole; nth++) {
        sx_config_free(f->config);
        f->config = NULL;
        sx_buf_done(&f->problems);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_key_set set = {KEYS, SX_COUNT_OF(KEYS), &f->shop};
        f->status = sx_config_load(
            &(sx_config_options){
                .program = "my-shop",
                .sets = &set,
                .set_count = 1,
                .file = "f.yml",
                .text = SX_STR("name: 'a${USER}'\npeers: [a, b]\ncache: {bytes: 2KiB}\n"),
                .environment = environment,
                .flags = flags,
                .flag_count = 1},
            &f->config, &f->problems);
        whole = sx_fault_alloc_calls() < nth;
        if (f->status == SX_OK)
            sx_config_free(f->config);
        else
            assert_int_equal(f->status, SX_ENOMEM);
        f->config = NULL;
        sx_buf_done(&f->problems);
        assert_int_equal(sx_fault_alloc_held(), 0);
        if (whole)
            assert_int_equal(f->status, SX_OK);
    }
    assert_true(whole);
    sx_fault_alloc_set((sx_fault_alloc){0});
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_without_sources_there_are_the_defaults),
        TEST(test_every_kind_is_read_from_a_file),
        TEST(test_sizes_and_times_have_units),
        TEST(test_a_flag_beats_the_environment_beats_the_file),
        TEST(test_secrets_are_not_shown),
        TEST(test_the_environment_is_expanded_in_the_file),
        TEST(test_all_faults_are_told_at_once_with_their_places),
        TEST(test_a_wrong_group_or_flag_of_the_file_is_told_the_right_one),
        TEST(test_the_wrong_shape_is_told),
        TEST(test_a_file_named_by_flag_or_environment_is_read),
        TEST(test_every_beginning_of_a_file_is_read_or_refused),
        TEST(test_a_flood_of_problems_is_cut_short),
        TEST(test_a_fifo_is_no_file_but_a_pipe_of_the_shell_is),
        TEST(test_changes_are_found),
        TEST(test_help_and_docs_name_every_key),
        TEST(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

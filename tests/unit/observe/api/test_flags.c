/* test_flags.c - Prometheus's command lines are taken as they are typed; what is not supported is named. */
#include "tests/unit/base/cmocka_all.h"

#include <sextant/json.h>
#include <stdio.h>

#include "observe/flags.h"
#include "observe/promql/parse.h"

enum { WORDS_MAX = 16 };

static sx_status parse(observe_flags *f, sx_error *err, ...)
{
    char *argv[WORDS_MAX];
    int argc = 0;
    va_list words;
    va_start(words, err);
    for (char *word; (word = va_arg(words, char *)) != NULL;)
        argv[argc++] = word;
    va_end(words);
    return observe_flags_parse(argc, argv, f, err);
}

static void test_flags_are_taken_in_every_form(void **state)
{
    (void)state;
    observe_flags f;
    sx_error err = {0};
    assert_int_equal(parse(&f, &err, "--config.file=a.yml", "-storage.tsdb.path", "d",
                           "--web.enable-lifecycle", "--no-storage.tsdb.wal-compression",
                           "--web.listen-address=:1", "--web.listen-address=:2",
                           "--storage.tsdb.retention.time=30d", "--storage.tsdb.retention.size=2GB",
                           "--query.max-samples=5e7",
                           "--enable-feature=promql-experimental-functions,extra-scrape-metrics",
                           "--otlp.endpoint=http://x", NULL),
                     SX_OK);
    assert_true(sx_str_eq(f.config_file, SX_STR("a.yml")));
    assert_true(sx_str_eq(f.storage_path, SX_STR("d")));
    assert_true(f.lifecycle);
    assert_false(f.wal_compression);
    assert_int_equal(f.listen_count, 2);
    assert_int_equal(f.retention_ms, INT64_C(30) * 86400000);
    assert_int_equal(f.retention_bytes, UINT64_C(2) << 30);
    assert_int_equal(f.query_samples_max, 50000000);
    assert_int_equal(f.promql_features, PROMQL_EXPERIMENTAL_FUNCTIONS);
    assert_int_equal(f.feature_bits, OBSERVE_FEATURE_EXTRA_METRICS);
    assert_int_equal(f.kit_count, 1);
    observe_flags_done(&f);
}

/* Of every switch, Prometheus's and ours, by each of the words; and each is shown as true or false. */
static void test_switches_take_on_and_off(void **state)
{
    static const struct {
        const char *name;
        size_t at;
    } ROWS[] = {{"traces.store", offsetof(observe_flags, traces_store)},
                {"traces.metrics", offsetof(observe_flags, traces_metrics)},
                {"config.auto-reload", offsetof(observe_flags, auto_reload)},
                {"config.expand-environment", offsetof(observe_flags, expand_environment)},
                {"web.enable-lifecycle", offsetof(observe_flags, lifecycle)},
                {"web.enable-admin-api", offsetof(observe_flags, admin_api)},
                {"storage.tsdb.wal-compression", offsetof(observe_flags, wal_compression)}};
    static const struct {
        const char *word;
        bool on;
    } WORDS[] = {{"on", true},   {"true", true},   {"1", true},
                 {"off", false}, {"false", false}, {"0", false}};
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS) * SX_COUNT_OF(WORDS); i++) {
        size_t row = i / SX_COUNT_OF(WORDS), word = i % SX_COUNT_OF(WORDS);
        char flag[96], shown[96];
        observe_flags f;
        sx_error err = {0};
        sx_buf out;
        sx_buf_init(&out, 0);
        snprintf(flag, sizeof(flag), "--%s=%s", ROWS[row].name, WORDS[word].word);
        snprintf(shown, sizeof(shown), "\"%s\":\"%s\"", ROWS[row].name,
                 WORDS[word].on ? "true" : "false");
        if (parse(&f, &err, flag, NULL) != SX_OK)
            fail_msg("%s: %s", flag, err.message);
        assert_int_equal(*(const bool *)((const char *)&f + ROWS[row].at), WORDS[word].on);
        observe_flags_json(&f, &out);
        if (sx_str_find(sx_buf_view(&out), sx_str_z(shown)) >= out.len)
            fail_msg("%s is not shown as %s", flag, shown);
        sx_buf_done(&out);
        observe_flags_done(&f);
    }
}

static void test_what_is_wrong_is_named(void **state)
{
    (void)state;
    static const char *const ROWS[][2] = {
        {"--agent", "--agent is not supported: the agent mode is not there"},
        {"--web.lisen-address=x", "there is no flag --web.lisen-address; did you mean "
                                  "--web.listen-address?"},
        {"--query.timeout=5", "--query.timeout=5: not a duration"},
        {"--storage.tsdb.retention.size=x", "--storage.tsdb.retention.size=x: not a size"},
        {"--query.max-concurrency=x", "--query.max-concurrency=x: not a whole number"},
        {"--web.enable-lifecycle=maybe", "--web.enable-lifecycle=maybe: not true or false"},
        {"--traces.store=Off", "--traces.store=Off: not true or false, on or off"},
        {"--config.file", "--config.file wants a value"},
        {"--enable-feature=old-ui", "--enable-feature=old-ui is not supported"},
        {"--enable-feature=x", "--enable-feature: there is no feature 'x'"},
        {"--web.remote-write-receiver.accepted-protobuf-messages=x",
         "--web.remote-write-receiver.accepted-protobuf-messages: 'x' is neither"},
        {"--log.level=loud", "--log.level=loud: it takes one of debug info warn error"},
        {"--storage.tsdb.wal-compression-type=lz4",
         "--storage.tsdb.wal-compression-type=lz4: it takes one of snappy zstd"},
        {"word", "observe does not know what to do with 'word'"}};
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        observe_flags f;
        sx_error err = {0};
        assert_int_equal(parse(&f, &err, ROWS[i][0], NULL), SX_EINVAL);
        if (!sx_str_starts(sx_str_z(err.message), sx_str_z(ROWS[i][1])))
            fail_msg("%s: %s", ROWS[i][0], err.message);
        observe_flags_done(&f);
    }
}

static void test_flags_are_shown_as_json(void **state)
{
    (void)state;
    observe_flags f;
    sx_error err = {0};
    sx_buf out;
    sx_json json;
    sx_buf_init(&out, 0);
    assert_int_equal(parse(&f, &err, "--query.timeout=90s", NULL), SX_OK);
    observe_flags_json(&f, &out);
    sx_json_init(&json, sx_buf_view(&out), NULL);
    assert_true(sx_json_skip(&json));
    assert_int_equal(sx_json_finish(&json, &err), SX_OK);
    assert_true(sx_str_find(sx_buf_view(&out), SX_STR("\"query.timeout\":\"1m30s\"")) < out.len);
    assert_true(sx_str_find(sx_buf_view(&out), SX_STR("\"storage.tsdb.retention.time\":\"15d\"")) <
                out.len);
    sx_buf_done(&out);
    observe_flags_done(&f);
}

static void test_flags_without_effect_are_remembered_once(void **state)
{
    (void)state;
    observe_flags f;
    sx_error err = {0};
    assert_int_equal(parse(&f, &err, "--query.timeout=90s", NULL), SX_OK);
    assert_int_equal(f.idle_count, 0);
    observe_flags_done(&f);
    assert_int_equal(parse(&f, &err, "--auto-gomaxprocs", "--no-auto-gomaxprocs",
                           "--web.console.templates=x", NULL),
                     SX_OK);
    assert_int_equal(f.idle_count, 2);
    assert_string_equal(f.idle[0].name, "auto-gomaxprocs");
    assert_string_equal(f.idle[1].name, "web.console.templates");
    assert_non_null(strstr(f.idle[1].why, "no effect"));
    observe_flags_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags_are_taken_in_every_form),
        cmocka_unit_test(test_switches_take_on_and_off),
        cmocka_unit_test(test_what_is_wrong_is_named),
        cmocka_unit_test(test_flags_are_shown_as_json),
        cmocka_unit_test(test_flags_without_effect_are_remembered_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

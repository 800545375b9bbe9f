/* test_log_levels.c - levels by name, by setting, by what is exported; contexts; metrics. */
#include "tests/unit/telemetry/log_fixture.h"

#include <sextant/context.h>
#include <sextant/metrics.h>

#include "base/fault.h"

static sx_level level_of(fixture *f, const char *name)
{
    sx_logger *l = sx_log_logger(f->log, name);
    for (int level = SX_LEVEL_TRACE; level < SX_LEVEL_OFF; level++)
        if (sx_logger_enabled(l, (sx_level)level))
            return (sx_level)level;
    return SX_LEVEL_OFF;
}

static void test_the_longest_name_that_fits_decides(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){0});
    (void)sx_log_logger(f->log, "net.http"); /* one that is there before */
    assert_int_equal(sx_log_levels_apply(f->log,
                                         SX_STR(" warn, net=debug,net.http = TRACE, or*=error,"
                                                "orders.sync=off,"),
                                         NULL),
                     SX_OK);
    assert_int_equal(level_of(f, ""), SX_LEVEL_WARN);
    assert_int_equal(level_of(f, "other"), SX_LEVEL_WARN);
    assert_int_equal(level_of(f, "net"), SX_LEVEL_DEBUG);
    assert_int_equal(level_of(f, "net.dns"), SX_LEVEL_DEBUG);
    assert_int_equal(level_of(f, "network"), SX_LEVEL_WARN);
    assert_int_equal(level_of(f, "net.http"), SX_LEVEL_TRACE);
    assert_int_equal(level_of(f, "net.http.h2"), SX_LEVEL_TRACE);
    assert_int_equal(level_of(f, "orders"), SX_LEVEL_ERROR);
    assert_int_equal(level_of(f, "orders.sync"), SX_LEVEL_OFF);
    /* The next setting replaces it; the level for all stays until it is named. */
    assert_int_equal(sx_log_levels_apply(f->log, SX_STR("net=info"), NULL), SX_OK);
    assert_int_equal(level_of(f, "net.http"), SX_LEVEL_INFO);
    assert_int_equal(level_of(f, "orders"), SX_LEVEL_WARN);
    assert_int_equal(sx_log_levels_apply(f->log, SX_STR("all=debug"), NULL), SX_OK);
    assert_int_equal(level_of(f, "net"), SX_LEVEL_DEBUG);
}

static void test_a_bad_setting_is_named_and_changes_nothing(void **state)
{
    fixture *f = *state;
    static const char *const BAD[] = {"loud", "net=", "net=loud", "info=x"};
    open_log(f, (sx_log_options){.level = SX_LEVEL_WARN});
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++) {
        sx_error err = {0};
        assert_int_equal(sx_log_levels_apply(f->log, sx_str_z(BAD[i]), &err), SX_EINVAL);
        assert_non_null(strstr(err.message, "is no log level; write trace, debug"));
        assert_int_equal(level_of(f, "net"), SX_LEVEL_WARN);
    }
    static const char *const NAMELESS[] = {"info,=debug", "info;net=debug", "*net=info",
                                           "a b=info"};
    for (size_t i = 0; i < SX_COUNT_OF(NAMELESS); i++) {
        sx_error err = {0};
        assert_int_equal(sx_log_levels_apply(f->log, sx_str_z(NAMELESS[i]), &err), SX_EINVAL);
        assert_non_null(strstr(err.message, "is no logger's name"));
    }
    char many[4096] = "";
    for (int i = 0; i < 65; i++)
        memcpy(many + 7 * i, "a=info,", 8);
    assert_int_equal(sx_log_levels_apply(f->log, sx_str_z(many), NULL), SX_ELIMIT);
}

static void test_levels_are_set_by_name_prefix_and_for_all(void **state)
{
    fixture *f = *state;
    sx_error err = {0};
    open_log(f, (sx_log_options){0});
    (void)sx_log_logger(f->log, "net.http");
    (void)sx_log_logger(f->log, "net.dns");
    assert_int_equal(sx_log_level_set(f->log, "net.*", SX_LEVEL_TRACE, NULL), SX_OK);
    assert_int_equal(level_of(f, "net.http"), SX_LEVEL_TRACE);
    assert_int_equal(level_of(f, "net.dns"), SX_LEVEL_TRACE);
    assert_int_equal(level_of(f, ""), SX_LEVEL_INFO);
    assert_int_equal(sx_log_level_set(f->log, "", SX_LEVEL_ERROR, NULL), SX_OK);
    assert_int_equal(level_of(f, ""), SX_LEVEL_ERROR);
    assert_int_equal(sx_log_level_set(f->log, "all", SX_LEVEL_WARN, NULL), SX_OK);
    assert_int_equal(level_of(f, "net.http"), SX_LEVEL_WARN);
    assert_int_equal(level_of(f, "later"), SX_LEVEL_WARN);
    assert_int_equal(sx_log_level_set(f->log, "nett", SX_LEVEL_WARN, &err), SX_ENOTFOUND);
    assert_non_null(strstr(err.message, "no logger is named 'nett'; there are: later, net.dns"));
    assert_int_equal(sx_log_level_set(f->log, "x*", SX_LEVEL_WARN, NULL), SX_ENOTFOUND);
}

static void test_a_setting_without_memory_changes_nothing(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){0});
    sx_fault_alloc_set((sx_fault_alloc){.nth = 1});
    sx_error err = {0};
    assert_int_equal(sx_log_levels_apply(f->log, SX_STR("warn,a=debug"), &err), SX_ENOMEM);
    sx_fault_alloc_set((sx_fault_alloc){0});
    assert_int_equal(level_of(f, "a"), SX_LEVEL_INFO);
}

/* ---- contexts ---- */

static void test_a_line_knows_its_request_without_being_told(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){0});
    sx_logger *l = sx_log_logger(f->log, "");
    sx_context c = {.request_id = SX_STR("r-1")};
    memset(c.span.trace_id, 0xab, sizeof(c.span.trace_id));
    memset(c.span.span_id, 0xcd, sizeof(c.span.span_id));
    const sx_context *outer = sx_context_enter(&c);
    SX_LOG_INFO(l, NULL, "inside");
    SX_LOG_INFO(l, &(sx_log_context){.request_id = SX_STR("r-2")}, "told");
    SX_LOG_INFO(l, &(sx_log_context){{0}}, "nothing");
    sx_context_leave(outer);
    SX_LOG_INFO(l, NULL, "outside");
    written(f);
    assert_int_equal(count_of(f, "\"trace_id\":\"abababababababababababababababab\","
                                 "\"span_id\":\"cdcdcdcdcdcdcdcd\",\"request_id\":\"r-1\","
                                 "\"message\":\"inside\"}"),
                     1);
    assert_int_equal(count_of(f, "\"level\":\"INFO\",\"request_id\":\"r-2\",\"message\":\"told\"}"),
                     1);
    assert_int_equal(count_of(f, "\"level\":\"INFO\",\"message\":\"nothing\"}"), 1);
    assert_int_equal(count_of(f, "\"level\":\"INFO\",\"message\":\"outside\"}"), 1);
}

static void test_nested_objects_are_fields(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.service = "shipping-collector", .layer = "collection"});
    SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, "Event processed successfully",
                sx_field_json("metadata", SX_STR("{\"tracking_id\":\"ABC123456789\","
                                                 "\"carrier\":\"fedex\"}")));
    written(f);
    assert_int_equal(count_of(f, "\"service\":\"shipping-collector\",\"layer\":\"collection\","
                                 "\"message\":\"Event processed successfully\",\"metadata\":"
                                 "{\"tracking_id\":\"ABC123456789\",\"carrier\":\"fedex\"}}\n"),
                     1);
}

/* ---- metrics ---- */

static void test_a_log_is_measured(void **state)
{
    fixture *f = *state;
    sx_metrics *metrics;
    assert_int_equal(sx_metrics_new(NULL, &metrics, NULL), SX_OK);
    open_log(f, (sx_log_options){.name = "orders", .repeats_max = 2});
    sx_logger *l = sx_log_logger(f->log, "");
    SX_LOG_INFO(l, NULL, "counted, though it came before");
    assert_int_equal(sx_log_metrics(f->log, metrics, NULL), SX_OK);
    for (int i = 0; i < 5; i++)
        SX_LOG_WARN(l, NULL, "slow");
    written(f);
    char bytes[96];
    snprintf(bytes, sizeof(bytes), "log_written_bytes_total{log=\"orders\"} %zu\n", f->text.len);
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_int_equal(sx_metrics_write(metrics, SX_METRICS_TEXT_004, &out, NULL), SX_OK);
    sx_buf_byte(&out, '\0');
    assert_non_null(strstr(out.data, "log_lines_total{log=\"orders\",level=\"INFO\"} 1\n"));
    assert_non_null(strstr(out.data, "log_lines_total{log=\"orders\",level=\"WARN\"} 2\n"));
    assert_non_null(strstr(out.data, "log_lines_repeated_total{log=\"orders\"} 3\n"));
    assert_non_null(strstr(out.data, "log_lines_dropped_total{log=\"orders\"} 0\n"));
    assert_non_null(strstr(out.data, bytes));
    sx_buf_done(&out);
    assert_int_equal(sx_log_metrics(f->log, NULL, NULL), SX_OK); /* before the registry goes */
    sx_metrics_free(metrics);
    SX_LOG_INFO(l, NULL, "no more");
    written(f);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_the_longest_name_that_fits_decides),
        CASE(test_a_bad_setting_is_named_and_changes_nothing),
        CASE(test_levels_are_set_by_name_prefix_and_for_all),
        CASE(test_a_setting_without_memory_changes_nothing),
        CASE(test_a_line_knows_its_request_without_being_told),
        CASE(test_nested_objects_are_fields),
        CASE(test_a_log_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

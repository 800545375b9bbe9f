/* Templates of alerts: Prometheus's functions, and what becomes of those that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fault.h"
#include "observe/rules/template_funcs.h"

static const tsdb_label LABELS[] = {{SX_STR_INIT("instance"), SX_STR_INIT("h.example:9100")},
                                    {SX_STR_INIT("job"), SX_STR_INIT("node")}};
static const tsdb_label OUTER[] = {{SX_STR_INIT("cluster"), SX_STR_INIT("eu")}};

static sx_status expand(const char *text, sx_buf *out, sx_error *err)
{
    rule_template_data data = {.labels = {LABELS, 2},
                               .external_labels = {OUTER, 1},
                               .external_url = SX_STR("http://p.example/pre"),
                               .value = 0.25};
    rule_template_env env = {.now_ms = 1700000000500,
                             .external_url = SX_STR("http://p.example/pre?x=1")};
    sx_template *t = NULL;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_status st = rule_template_new(SX_STR("A"), sx_str_z(text), &t, err);
    if (st == SX_OK)
        st = rule_template_expand(t, &data, &env, &arena, out, NULL, err);
    sx_template_free(t);
    sx_arena_done(&arena);
    return st;
}

/* Texts that Prometheus 3.15 gives. */
static const struct {
    const char *text, *expansion;
} ROWS[] = {
    {"{{ $labels.job }}/{{ .Labels.nope }}/{{ $value }}", "node//0.25"},
    {"{{ $externalLabels.cluster }} {{ $externalURL }}", "eu http://p.example/pre"},
    {"{{ externalURL }} {{ pathPrefix }}", "http://p.example/pre?x=1 /pre"},
    {"{{ 1234567.0 | humanize }} {{ 0.1 | humanize }} {{ humanize 0 }}", "1.235M 100m 0"},
    {"{{ 1048576.0 | humanize1024 }} {{ humanize1024 1000 }}", "1Mi 1000"},
    {"{{ humanizeDuration 90061 }} {{ humanizeDuration 59.95 }} {{ humanizeDuration -3600 }}",
     "1d 1h 1m 1s 59.95s -1h 0m 0s"},
    {"{{ humanizeDuration 0.0001 }} {{ humanizeDuration 0 }}", "100us 0s"},
    {"{{ humanizePercentage 0.12345 }}", "12.35%"},
    {"{{ humanizeTimestamp 1700000000.5 }}", "2023-11-14 22:13:20.5 +0000 UTC"},
    {"{{ \"NaN\" | humanizeTimestamp }}", "NaN"},
    {"{{ (toTime 1700000000).Format \"Mon 02 Jan 2006 15:04\" }}", "Tue 14 Nov 2023 22:13"},
    {"{{ toDuration 61.5 }} {{ (toDuration 61.5).Seconds }}", "1m1.5s 61.5"},
    {"{{ now }}", "1.7000000005e+09"},
    {"{{ title \"foo bar-baz x_y don't\" }}", "Foo Bar-Baz X_y Don't"},
    {"{{ toUpper \"stra\xc3\xa4ke\" }} {{ toLower \"\xd0\x96X\" }}", "STRA\xc3\x84KE \xd0\xb6x"},
    {"{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }}", "h.example h:9100"},
    {"{{ stripDomain \"10.0.0.1:80\" }} {{ stripPort \"[::1]:80\" }}", "10.0.0.1:80 ::1"},
    {"{{ match \"a.c\" \"xabcx\" }} {{ reReplaceAll \"(b)\" \"<$1>\" \"abc\" }}", "true a<b>c"},
    {"{{ graphLink \"up == 0\" }}", "/graph?g0.expr=up+%3D%3D+0&g0.tab=0"},
    {"{{ tableLink \"a{b='c'}\" }}", "/graph?g0.expr=a%7Bb%3D%27c%27%7D&g0.tab=1"},
    {"{{ urlQueryEscape \"a b~&\" }}", "a+b~%26"},
    {"{{ parseDuration \"1h30m\" }} {{ parseDuration \"-5m\" }}", "5400 -300"},
    {"{{ (args 1 \"two\").arg1 }}", "two"},
    {"{{ humanize \"x\" }}",
     "<error expanding template: error executing template __alert_A: template: __alert_A:1:115: "
     "executing \"__alert_A\" at <humanize \"x\">: error calling humanize: strconv.ParseFloat: "
     "parsing \"x\": invalid syntax>"},
};

static void test_expansions_are_prometheus_s(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_buf out;
        sx_error err;
        sx_buf_init(&out, 0);
        assert_int_equal(expand(ROWS[i].text, &out, &err), SX_OK);
        if (!sx_str_eq(sx_buf_view(&out), sx_str_z(ROWS[i].expansion)))
            fail_msg("%s gives %.*s", ROWS[i].text, SX_ARG(sx_buf_view(&out)));
        sx_buf_done(&out);
    }
}

static void test_memory_may_end_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        for (int64_t nth = 1;; nth++) {
            sx_buf out;
            sx_error err;
            sx_buf_init(&out, 0);
            sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
            sx_status st = expand(ROWS[i].text, &out, &err);
            bool over = sx_fault_alloc_calls() < nth;
            sx_buf_done(&out);
            assert_int_equal(sx_fault_alloc_held(), 0);
            sx_fault_alloc_set((sx_fault_alloc){0});
            assert_true(st == SX_OK || st == SX_ENOMEM);
            if (over)
                break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expansions_are_prometheus_s),
        cmocka_unit_test(test_memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Rule files: what is read, which faults are told and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fault.h"
#include "observe/rules/rule_file.h"

static const char WHOLE[] = "groups:\n"
                            "  - name: a\n"
                            "    interval: 30s\n"
                            "    query_offset: 10s\n"
                            "    limit: 5\n"
                            "    labels: {team: x, zone: eu}\n"
                            "    rules:\n"
                            "      - record: job:up:sum\n"
                            "        expr: sum by (job) (up)\n"
                            "        labels: {team: y}\n"
                            "      - alert: Down\n"
                            "        expr: |\n"
                            "          up == 0\n"
                            "        for: 5m\n"
                            "        keep_firing_for: 1h\n"
                            "        labels: {severity: page, empty: \"\"}\n"
                            "        annotations:\n"
                            "          summary: \"{{ $labels.job }} is down\"\n";

static sx_status parse(const char *text, rule_file **out, sx_buf *problems, sx_error *err)
{
    return rule_file_parse(sx_str_z(text), SX_STR("f.yml"), NULL, out, problems, err);
}

static void test_every_field_is_read(void **state)
{
    rule_file *f;
    sx_error err;
    (void)state;
    assert_int_equal(parse(WHOLE, &f, NULL, &err), SX_OK);
    assert_int_equal(f->group_count, 1);
    assert_int_equal(f->rule_count, 2);
    const rule_group_def *g = &f->groups[0];
    assert_int_equal(g->interval_ms, 30000);
    assert_int_equal(g->query_offset_ms, 10000);
    assert_int_equal(g->limit, 5);
    assert_int_equal(g->line, 2);
    const rule_def *record = &g->rules[0], *alert = &g->rules[1];
    assert_false(record->alert);
    assert_int_equal(record->line, 8);
    assert_true(sx_str_eq(tsdb_labels_get(record->labels, SX_STR("team")), SX_STR("y")));
    assert_true(sx_str_eq(tsdb_labels_get(record->labels, SX_STR("zone")), SX_STR("eu")));
    assert_true(alert->alert);
    assert_int_equal(alert->for_ms, 300000);
    assert_int_equal(alert->keep_firing_for_ms, 3600000);
    assert_int_equal(alert->expr_line, 12);
    assert_int_equal(alert->labels.count, 4); /* the empty one is kept: it takes a label away */
    rule_file_free(f);
}

/* What is wrong, and the beginning of the message. */
static const struct {
    const char *text, *message;
} FAULTS[] = {
    {"groups:\n- name: a\n  rules:\n  - record: x\n    expr: sum(\n",
     "f.yml:5:11: group \"a\", rule 1, \"x\": could not parse expression: 1:5: parse error: "},
    {"groups:\n- name: a\n  rules:\n  - expr: up\n",
     "f.yml:4:5: group \"a\", rule 1, \"\": one of 'record' or 'alert' must be set"},
    {"groups:\n- name: a\n  rules: []\n- name: a\n  rules: []\n",
     "f.yml:4:9: groupname: \"a\" is repeated in the same file"},
    {"groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up\n    annotations: {s: \"{{ x }}\"}\n",
     "f.yml:6:22: group \"a\", rule 1, \"A\": annotation \"s\": template: __alert_A:1: function "
     "\"x\" not defined"},
    {"groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up\n    for: soon\n", "f.yml:6:10: "},
    {"groups:\n- name: a\n  nam: b\n", "f.yml:3:3: "},
    {"groups: [", "f.yml:"},
};

static void test_faults_have_places_and_prometheus_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(FAULTS); i++) {
        rule_file *f;
        sx_error err;
        sx_buf problems;
        sx_buf_init(&problems, 0);
        assert_int_equal(parse(FAULTS[i].text, &f, &problems, &err), SX_EFORMAT);
        assert_null(f);
        if (!sx_str_starts(sx_buf_view(&problems), sx_str_z(FAULTS[i].message)))
            fail_msg("%.*s", SX_ARG(sx_buf_view(&problems)));
        assert_true(sx_str_starts(sx_str_z(err.message), sx_str_z(FAULTS[i].message)));
        sx_buf_done(&problems);
    }
}

static void test_unknown_fields_can_be_ignored(void **state)
{
    const rule_file_options options = {.ignore_unknown_fields = true};
    rule_file *f;
    sx_error err;
    (void)state;
    assert_int_equal(rule_file_parse(SX_STR("x: 1\ngroups:\n- name: a\n  y: 2\n  rules:\n  - "
                                            "record: r\n    expr: up\n    z: 3\n"),
                                     SX_STR("f.yml"), &options, &f, NULL, &err),
                     SX_OK);
    assert_int_equal(f->rule_count, 1);
    rule_file_free(f);
}

static void test_duplicate_rules_are_told_once(void **state)
{
    rule_file *f;
    sx_error err;
    sx_buf lint;
    (void)state;
    sx_buf_init(&lint, 0);
    assert_int_equal(parse("groups:\n- name: a\n  labels: {t: x}\n  rules:\n"
                           "  - {record: r, expr: up}\n  - {record: r, expr: up + 1}\n"
                           "  - {record: r, expr: up + 2, labels: {t: x}}\n"
                           "  - {record: r, expr: up, labels: {t: z}}\n",
                           &f, NULL, &err),
                     SX_OK);
    assert_int_equal(rule_file_lint(f, &lint), 1);
    assert_true(sx_str_eq(sx_buf_view(&lint),
                          SX_STR("1 duplicate rule(s) found.\nMetric: r\nLabel(s):\n\tt: x\nMight "
                                 "cause inconsistency while recording expressions\n")));
    sx_buf_done(&lint);
    rule_file_free(f);
}

static void test_a_file_cut_at_any_byte_is_read_or_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof WHOLE; len++) {
        rule_file *f;
        sx_error err = {0};
        sx_status st =
            rule_file_parse(sx_str_of(WHOLE, len), SX_STR("f.yml"), NULL, &f, NULL, &err);
        assert_true(st == SX_OK || err.message[0]);
        rule_file_free(f);
    }
}

static void test_memory_may_end_anywhere(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        rule_file *f;
        sx_error err;
        sx_buf problems;
        sx_buf_init(&problems, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = parse(WHOLE, &f, &problems, &err);
        bool over = sx_fault_alloc_calls() < nth;
        rule_file_free(f);
        sx_buf_done(&problems);
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (over) {
            assert_int_equal(st, SX_OK);
            break;
        }
        assert_true(st == SX_ENOMEM || st == SX_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field_is_read),
        cmocka_unit_test(test_faults_have_places_and_prometheus_words),
        cmocka_unit_test(test_unknown_fields_can_be_ignored),
        cmocka_unit_test(test_duplicate_rules_are_told_once),
        cmocka_unit_test(test_a_file_cut_at_any_byte_is_read_or_refused),
        cmocka_unit_test(test_memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The rule manager over a store in memory, minute by minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/rules/rule_store.h"
#include "observe/rules/rules.h"

enum { MINUTE = 60000, SENT_MAX = 64 };

static const int64_t START = 1700000000000;

typedef struct sent_alert {
    int64_t starts, ends;
    char name[32];
} sent_alert;

typedef struct fixture {
    rule_store *store;
    promql_engine *engine;
    rule_manager *manager;
    sx_fake_clock clock;
    prom_config config;
    sx_str pattern;
    char path[64];
    sent_alert sent[SENT_MAX];
    size_t sent_count;
} fixture;

static void take_sent(void *ctx, const rule_alert *alerts, size_t count)
{
    fixture *f = ctx;
    for (size_t i = 0; i < count && f->sent_count < SENT_MAX; i++) {
        sent_alert *s = &f->sent[f->sent_count++];
        s->starts = alerts[i].starts_ms;
        s->ends = alerts[i].ends_ms;
        snprintf(s->name, sizeof s->name, "%.*s",
                 SX_ARG(tsdb_labels_get(alerts[i].labels, SX_STR("alertname"))));
        assert_true(sx_str_starts(alerts[i].generator_url, SX_STR("http://p/graph?g0.expr=")));
    }
}

static void write_rules(fixture *f, const char *text)
{
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    fprintf(file, "%s", text);
    fclose(file);
}

static sx_status apply(fixture *f, sx_error *err)
{
    f->config.rule_files = &f->pattern;
    f->config.rule_file_count = 1;
    f->config.evaluation_interval_ms = MINUTE;
    return rule_manager_apply(f->manager, &f->config, NULL, err);
}

static void open_manager(fixture *f, bool restore)
{
    sx_error err;
    const rule_manager_options options = {.clock = &f->clock.clock,
                                          .engine = f->engine,
                                          .queryable = rule_store_queryable(f->store),
                                          .appendable = rule_store_appendable(f->store),
                                          .sink = {take_sent, f},
                                          .external_url = SX_STR("http://p"),
                                          .no_restore = !restore};
    assert_int_equal(rule_manager_new(&options, &f->manager, &err), SX_OK);
}

static int set_up(void **state)
{
    sx_error err;
    fixture *f = calloc(1, sizeof *f);
    const promql_engine_options options = {.threads = 1};
    snprintf(f->path, sizeof f->path, "/tmp/sextant-rules-%d.yml", (int)getpid());
    f->pattern = sx_str_z(f->path);
    sx_fake_clock_init(&f->clock, START);
    assert_int_equal(rule_store_new(&f->store, &err), SX_OK);
    assert_int_equal(promql_engine_new(&options, &f->engine, &err), SX_OK);
    open_manager(f, false);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    rule_manager_free(f->manager);
    promql_engine_free(f->engine);
    rule_store_free(f->store);
    unlink(f->path);
    free(f);
    return 0;
}

static int64_t now(const fixture *f)
{
    return sx_clock_ms(&f->clock.clock);
}

static void put(fixture *f, const char *series, double value)
{
    tsdb_appendable *to = rule_store_appendable(f->store);
    promql_test_value *values;
    tsdb_labels labels;
    tsdb_appender *a;
    tsdb_refusal why;
    tsdb_ref ref;
    size_t count;
    sx_error err;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(promql_parse_series(sx_str_z(series), &arena, &labels, &values, &count, &err),
                     SX_OK);
    assert_int_equal(to->appender(to, &a, &err), SX_OK);
    assert_int_equal(a->ops->series(a, labels, tsdb_labels_hash(labels), &ref, &why, &err), SX_OK);
    assert_int_equal(a->ops->sample(a, ref, now(f), value, &why, &err), SX_OK);
    assert_int_equal(a->ops->commit(a, &err), SX_OK);
    a->ops->free(a);
    sx_arena_done(&arena);
}

/* One evaluation now, then a minute goes by. */
static void turn(fixture *f)
{
    sx_error err;
    assert_int_equal(rule_manager_run_once(f->manager, now(f), &err), SX_OK);
    sx_fake_clock_advance(&f->clock, MINUTE);
}

/* How many series an expression gives as of the last evaluation, and the first one's value. */
static size_t ask(fixture *f, const char *expr, double *value)
{
    promql_request request = {
        .text = sx_str_z(expr), .start_ms = now(f) - MINUTE, .end_ms = now(f) - MINUTE};
    promql_result r;
    sx_error err;
    assert_int_equal(promql_query(f->engine, rule_store_queryable(f->store), &request, &r, &err),
                     SX_OK);
    size_t count = r.series_count;
    if (count && value)
        *value = r.series[0].v[0];
    promql_result_done(&r);
    return count;
}

/* The only rule's information; in `arena`. */
static const rule_info *read_rule(fixture *f, sx_arena *arena)
{
    rule_group_info *groups;
    size_t count;
    sx_error err;
    assert_int_equal(rule_manager_read(f->manager, arena, &groups, &count, &err), SX_OK);
    assert_true(count >= 1 && groups[0].rule_count >= 1);
    return &groups[0].rules[0];
}

static rule_state state_of(fixture *f)
{
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    rule_state s = read_rule(f, &arena)->state;
    sx_arena_done(&arena);
    return s;
}

static const char DOWN[] = "groups:\n- name: g\n  rules:\n  - alert: Down\n    expr: up == 0\n"
                           "    for: 2m\n    keep_firing_for: 3m\n"
                           "    annotations: {v: '{{ $value }}'}\n";

static void test_an_alert_waits_fires_is_kept_and_resolves(void **state)
{
    fixture *f = *state;
    sx_error err;
    write_rules(f, DOWN);
    assert_int_equal(apply(f, &err), SX_OK);
    assert_int_equal(state_of(f), RULE_STATE_UNKNOWN);
    put(f, "up", 1);
    turn(f);
    assert_int_equal(state_of(f), RULE_INACTIVE);
    for (int i = 0; i < 2; i++) {
        put(f, "up", 0);
        turn(f);
        assert_int_equal(state_of(f), RULE_PENDING);
        assert_int_equal(ask(f, "ALERTS{alertstate=\"pending\"}", NULL), 1);
    }
    assert_int_equal(f->sent_count, 0);
    put(f, "up", 0);
    turn(f);
    assert_int_equal(state_of(f), RULE_FIRING);
    assert_int_equal(f->sent_count, 1);
    assert_int_equal(f->sent[0].starts, now(f) - MINUTE);
    assert_int_equal(f->sent[0].ends, now(f) + 3 * MINUTE); /* valid for four intervals */
    assert_int_equal(ask(f, "ALERTS{alertstate=\"pending\"}", NULL), 0); /* marked stale */
    assert_int_equal(ask(f, "ALERTS{alertstate=\"firing\"}", NULL), 1);
    for (int i = 0; i < 3; i++) { /* kept although all is well */
        put(f, "up", 1);
        turn(f);
        assert_int_equal(state_of(f), RULE_FIRING);
    }
    put(f, "up", 1);
    turn(f);
    assert_int_equal(state_of(f), RULE_INACTIVE);
    const sent_alert *last = &f->sent[f->sent_count - 1];
    assert_int_equal(last->ends, now(f) - MINUTE); /* its end was told */
    assert_int_equal(ask(f, "ALERTS", NULL), 0);
    for (int i = 0; i < 20; i++) { /* and is told again, for a quarter of an hour */
        put(f, "up", 1);
        turn(f);
    }
    size_t sent = f->sent_count;
    turn(f);
    turn(f);
    assert_int_equal(f->sent_count, sent);
}

static void test_a_pending_alert_that_goes_is_forgotten(void **state)
{
    fixture *f = *state;
    sx_error err;
    write_rules(f, DOWN);
    assert_int_equal(apply(f, &err), SX_OK);
    put(f, "up", 0);
    turn(f);
    put(f, "up", 1);
    turn(f);
    assert_int_equal(state_of(f), RULE_INACTIVE);
    put(f, "up", 0);
    turn(f);
    turn(f);
    assert_int_equal(state_of(f), RULE_PENDING); /* from the beginning */
    assert_int_equal(f->sent_count, 0);
}

static void test_recorded_series_that_vanish_are_marked_stale(void **state)
{
    fixture *f = *state;
    sx_error err;
    double value = 0;
    write_rules(f, "groups:\n- name: g\n  rules:\n  - record: r\n    expr: x > 1\n"
                   "    labels: {job: \"\", team: t}\n  - {record: s, expr: r * 2}\n");
    assert_int_equal(apply(f, &err), SX_OK);
    put(f, "x{job=\"a\"}", 5);
    turn(f);
    assert_int_equal(ask(f, "r{team=\"t\",job=\"\"}", &value), 1);
    assert_true(value == 5);
    assert_int_equal(ask(f, "s", &value), 1); /* rules go in order */
    assert_true(value == 10);
    put(f, "x{job=\"a\"}", 0);
    turn(f);
    assert_int_equal(ask(f, "r", NULL), 0);
    assert_int_equal(ask(f, "s", NULL), 0);
}

static void expect_error(fixture *f, const char *message)
{
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    const rule_info *r = read_rule(f, &arena);
    assert_int_equal(r->health, message[0] ? RULE_ERR : RULE_OK);
    if (!sx_str_eq(r->last_error, sx_str_z(message)))
        fail_msg("%.*s", SX_ARG(r->last_error));
    sx_arena_done(&arena);
}

static void test_limits_and_equal_labels_fail_a_rule(void **state)
{
    static const struct {
        const char *rule, *message;
    } ROWS[] = {
        {"{record: r, expr: x}", "exceeded limit of 1 with 2 series"},
        {"{alert: A, expr: x}", "exceeded limit of 1 with 2 alerts"},
        {"{record: r, expr: x, labels: {job: \"\"}}",
         "vector contains metrics with the same labelset after applying rule labels"},
        {"{alert: A, expr: x, labels: {job: \"\"}}",
         "vector contains metrics with the same labelset after applying alert labels"},
        {"{record: r, expr: \"'text'\"}", "rule result is not a vector or scalar"},
        {"{record: r, expr: sum(x)}", ""},
        {"{record: r, expr: \"1 + 1\"}", ""},
    };
    fixture *f = *state;
    sx_error err;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        char text[300];
        snprintf(text, sizeof text, "groups:\n- name: g\n  limit: 1\n  rules:\n  - %s\n",
                 ROWS[i].rule);
        write_rules(f, text);
        assert_int_equal(apply(f, &err), SX_OK);
        put(f, "x{job=\"a\"}", 1);
        put(f, "x{job=\"b\"}", 2);
        turn(f);
        expect_error(f, ROWS[i].message);
    }
}

static void test_a_reload_keeps_the_state_of_what_stays(void **state)
{
    fixture *f = *state;
    sx_error err;
    write_rules(f, DOWN);
    assert_int_equal(apply(f, &err), SX_OK);
    for (int i = 0; i < 3; i++) {
        put(f, "up", 0);
        turn(f);
    }
    assert_int_equal(state_of(f), RULE_FIRING);
    assert_int_equal(apply(f, &err), SX_OK); /* unchanged */
    assert_int_equal(state_of(f), RULE_FIRING);
    write_rules(f, "groups:\n- name: g\n  rules:\n  - {record: new, expr: up}\n"
                   "  - {alert: Down, expr: up == 0, for: 2m}\n");
    assert_int_equal(apply(f, &err), SX_OK);
    put(f, "up", 0);
    turn(f);
    assert_int_equal(ask(f, "ALERTS{alertstate=\"firing\"}", NULL), 1);
    write_rules(f, "groups:\n- name: g\n  rules: oops\n");
    assert_int_equal(apply(f, &err), SX_EFORMAT); /* all stays as it is */
    put(f, "up", 0);
    turn(f);
    assert_int_equal(ask(f, "ALERTS{alertstate=\"firing\"}", NULL), 1);
    write_rules(f, "groups:\n- name: g\n  rules:\n  - {record: new, expr: up}\n");
    assert_int_equal(apply(f, &err), SX_OK);
    turn(f);
    assert_int_equal(ask(f, "ALERTS", NULL), 0); /* the rule is gone: marked stale */
    assert_int_equal(ask(f, "new", NULL), 1);
    write_rules(f, "groups:\n- name: other\n  rules: []\n");
    assert_int_equal(apply(f, &err),
                     SX_OK); /* the group is gone: its series, two intervals later */
    assert_int_equal(ask(f, "new", NULL), 1);
    turn(f);
    turn(f);
    turn(f);
    assert_int_equal(ask(f, "new", NULL), 0);
}

/* An hour-long `for`, 30 minutes of which had passed when we went down for ten. */
static void test_for_is_restored_after_a_restart(void **state)
{
    fixture *f = *state;
    sx_error err;
    double since = 0;
    write_rules(f, "groups:\n- name: g\n  rules:\n  - {alert: Down, expr: up == 0, for: 1h}\n");
    assert_int_equal(apply(f, &err), SX_OK);
    int64_t began = now(f);
    for (int i = 0; i < 31; i++) {
        put(f, "up", 0);
        turn(f);
    }
    assert_int_equal(ask(f, "ALERTS_FOR_STATE", &since), 1);
    assert_int_equal((int64_t)since, began / 1000);
    rule_manager_free(f->manager);
    sx_fake_clock_advance(&f->clock, 9 * MINUTE);
    open_manager(f, true);
    assert_int_equal(apply(f, &err), SX_OK);
    put(f, "up", 0);
    turn(f);
    assert_int_equal(ask(f, "ALERTS_FOR_STATE offset 0s", NULL), 0); /* not before it is restored */
    put(f, "up", 0);
    turn(f);
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    const rule_info *r = read_rule(f, &arena);
    assert_int_equal(r->alert_count, 1);
    /* The time while we were down, 11 minutes from the last sample on, does not count. */
    assert_int_equal(r->alerts[0].active_ms, began / 1000 * 1000 + 11 * MINUTE);
    sx_arena_done(&arena);
    put(f, "up", 0);
    turn(f);
    assert_int_equal(ask(f, "ALERTS{alertstate=\"pending\"}", NULL), 1);
}

static void test_an_alert_that_was_nearly_there_gets_the_grace_period(void **state)
{
    fixture *f = *state;
    sx_error err;
    write_rules(f, "groups:\n- name: g\n  rules:\n  - {alert: Down, expr: up == 0, for: 30m}\n");
    assert_int_equal(apply(f, &err), SX_OK);
    for (int i = 0; i < 29; i++) {
        put(f, "up", 0);
        turn(f);
    }
    rule_manager_free(f->manager);
    open_manager(f, true);
    assert_int_equal(apply(f, &err), SX_OK);
    int64_t restored = 0;
    for (int i = 0; i < 14; i++) {
        put(f, "up", 0);
        restored = i == 1 ? now(f) : restored;
        turn(f);
        bool firing = now(f) - MINUTE >= restored + 10 * MINUTE && i > 1;
        assert_int_equal(state_of(f), firing ? RULE_FIRING : RULE_PENDING);
    }
}

static void test_memory_may_end_anywhere(void **state)
{
    fixture *f = *state;
    sx_error err;
    write_rules(f, DOWN);
    put(f, "up{a=\"1\"}", 0);
    put(f, "up{a=\"2\"}", 0);
    rule_manager_free(f->manager);
    for (int64_t nth = 1;; nth++) {
        sx_arena arena;
        rule_group_info *groups;
        size_t count;
        sx_arena_init(&arena, 0, 0);
        f->manager = NULL;
        const rule_manager_options options = {.clock = &f->clock.clock,
                                              .engine = f->engine,
                                              .queryable = rule_store_queryable(f->store),
                                              .appendable = rule_store_appendable(f->store),
                                              .sink = {take_sent, f},
                                              .external_url = SX_STR("http://p"),
                                              .no_restore = true};
        f->sent_count = 0;
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = rule_manager_new(&options, &f->manager, &err);
        if (st == SX_OK)
            st = apply(f, &err);
        for (int i = 0; i < 3 && st == SX_OK; i++)
            st = rule_manager_run_once(f->manager, START + i * MINUTE, &err);
        if (st == SX_OK)
            st = rule_manager_read(f->manager, &arena, &groups, &count, &err);
        bool over = sx_fault_alloc_calls() < nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        rule_manager_free(f->manager);
        sx_arena_done(&arena);
        assert_true(st == SX_OK || st == SX_ENOMEM || st == SX_EFORMAT);
        if (over || nth > 20000)
            break;
    }
    f->manager = NULL;
}

/* Threads, the real clock, independent rules side by side, reloads and readers all at once. */
static void test_threads_evaluate_while_rules_are_reloaded_and_read(void **state)
{
    enum { GROUPS = 4, ROUNDS = 40 };
    fixture *f = *state;
    sx_error err;
    char text[4000] = "groups:\n", fewer[4000];
    put(f, "up", 0);
    for (int g = 0; g < GROUPS; g++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len,
                 "- name: g%d\n  interval: 10ms\n  rules:\n  - {record: 'a%d', expr: up}\n"
                 "  - {record: 'b%d', expr: up + 1}\n  - {alert: A, expr: vector(1)}\n"
                 "  - {record: 'c%d', expr: 'a%d + b%d'}\n",
                 g, g, g, g, g, g);
    }
    snprintf(fewer, sizeof fewer, "%.*s", (int)(strstr(text, "- name: g2") - text), text);
    write_rules(f, text);
    rule_manager_free(f->manager);
    const rule_manager_options options = {.engine = f->engine,
                                          .queryable = rule_store_queryable(f->store),
                                          .appendable = rule_store_appendable(f->store),
                                          .external_url = SX_STR("http://p")};
    assert_int_equal(rule_manager_new(&options, &f->manager, &err), SX_OK);
    assert_int_equal(apply(f, &err), SX_OK);
    assert_int_equal(rule_manager_start(f->manager, &err), SX_OK);
    int64_t deadline = sx_clock_mono_ms(sx_clock_system()) + 20000;
    bool evaluated = false;
    for (int i = 0; (i < ROUNDS || !evaluated) && sx_clock_mono_ms(sx_clock_system()) < deadline;
         i++) {
        rule_group_info *groups;
        size_t count;
        sx_arena arena;
        sx_arena_init(&arena, 0, 0);
        assert_int_equal(rule_manager_read(f->manager, &arena, &groups, &count, &err), SX_OK);
        assert_int_equal(count, i % 4 == 3 ? GROUPS / 2 : GROUPS);
        evaluated = true;
        for (size_t g = 0; g < count; g++)
            evaluated = evaluated && groups[g].rules[3].health == RULE_OK;
        sx_arena_done(&arena);
        write_rules(f, i % 4 == 2 ? fewer : text); /* groups come and go */
        assert_int_equal(apply(f, &err), SX_OK);
    }
    assert_true(evaluated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_alert_waits_fires_is_kept_and_resolves, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_pending_alert_that_goes_is_forgotten, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_recorded_series_that_vanish_are_marked_stale, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_limits_and_equal_labels_fail_a_rule, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_reload_keeps_the_state_of_what_stays, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_for_is_restored_after_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_alert_that_was_nearly_there_gets_the_grace_period,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_may_end_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads_evaluate_while_rules_are_reloaded_and_read,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of the query engine over a store in memory: values, limits, ends, threads, failing memory.
 * What each function computes is tested by tests/e2e/test_promql_engine.py at length. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "memory_store.h"
#include "observe/promql/engine.h"

enum { MINUTE = 60000, ALL_FEATURES = 31 };

typedef struct fixture {
    memory_store store;
    sx_fake_clock clock;
    promql_engine *engine;
} fixture;

static void add_series(memory_store *s, const char *text)
{
    sx_arena arena;
    tsdb_labels labels;
    promql_test_value *values;
    size_t count;
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(promql_parse_series(sx_str_z(text), &arena, &labels, &values, &count, NULL),
                     SX_OK);
    memory_series *m = memory_store_series(s, labels);
    assert_non_null(m);
    for (size_t k = 0; k < count; k++) {
        if (!values[k].omitted)
            assert_true(memory_store_add(s, m, (int64_t)k * MINUTE, values[k].value,
                                         values[k].is_histogram ? values[k].histogram : NULL));
    }
    sx_arena_done(&arena);
}

static void fill_store(memory_store *s)
{
    static const char *const SERIES[] = {
        "http_total{job=\"a\", code=\"200\"} 0+10x30",
        "http_total{job=\"a\", code=\"500\"} 0+1x10 0+1x19",
        "http_total{job=\"b\", code=\"200\"} 5+2.5x30",
        "up{job=\"a\"} 1 1 1 stale 1x26",
        "up{job=\"b\"} 1 0 1x28",
        "lat_bucket{job=\"a\", le=\"0.1\"} 0+1x30",
        "lat_bucket{job=\"a\", le=\"1\"} 0+3x30",
        "lat_bucket{job=\"a\", le=\"+Inf\"} 0+4x30",
        "hist{job=\"a\"} {{sum:5 count:4 buckets:[1 2 1]}}+{{sum:5 count:4 buckets:[1 2 1]}}x30",
        "hist{job=\"b\"} {{schema:0 sum:3 count:3 z_bucket:1 z_bucket_w:0.001 buckets:[1 1]}}x30",
        "target_info{job=\"a\", version=\"1\"} 1x30",
    };
    memory_store_init(s);
    for (size_t i = 0; i < SX_COUNT_OF(SERIES); i++)
        add_series(s, SERIES[i]);
}

static int set_up_with(void **state, promql_engine_options options)
{
    fixture *f = sx_calloc(1, sizeof *f);
    fill_store(&f->store);
    sx_fake_clock_init(&f->clock, 1700000000000);
    options.clock = &f->clock.clock;
    options.features = ALL_FEATURES & ~PROMQL_DELAYED_NAME_REMOVAL;
    options.threads = options.threads ? options.threads : 1;
    assert_int_equal(promql_engine_new(&options, &f->engine, NULL), SX_OK);
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, (promql_engine_options){0});
}

static int tear_down(void **state)
{
    fixture *f = *state;
    promql_engine_free(f->engine);
    memory_store_done(&f->store);
    sx_free(f);
    return 0;
}

static promql_request instant(const char *text, int64_t t)
{
    return (promql_request){.text = sx_str_z(text), .start_ms = t, .end_ms = t};
}

static promql_request range(const char *text, int64_t start, int64_t end, int64_t step)
{
    return (promql_request){
        .text = sx_str_z(text), .start_ms = start, .end_ms = end, .step_ms = step};
}

static void assert_value(fixture *f, const char *text, double want)
{
    promql_request q = instant(text, 10 * MINUTE);
    promql_result r;
    sx_error err = {0};
    if (promql_query(f->engine, &f->store.queryable, &q, &r, &err) != SX_OK)
        fail_msg("%s: %s", text, err.message);
    assert_int_equal(r.series_count, 1);
    assert_int_equal(r.series[0].count, 1);
    if (fabs(r.series[0].v[0] - want) > 1e-9 * fabs(want))
        fail_msg("%s: %.17g, not %.17g", text, r.series[0].v[0], want);
    promql_result_done(&r);
}

static void test_queries_have_their_values(void **state)
{
    fixture *f = *state;
    assert_value(f, "sum(rate(http_total{job=\"a\", code=\"200\"}[5m]))", 10.0 / 60);
    assert_value(f, "http_total{job=\"b\"} * 2 + 1", 61);
    assert_value(f, "count(http_total)", 3);
    assert_value(f, "max_over_time(http_total{job=\"b\"}[5m])", 30);
    assert_value(f, "histogram_quantile(0.5, lat_bucket)", 0.1 + 0.9 * 0.5);
    assert_value(f, "up{job=\"b\"} and on (job) http_total{job=\"b\"}", 1);
    assert_value(f, "histogram_count(hist{job=\"a\"})", 44);
    assert_value(f, "max_over_time(sum(http_total{job=\"a\"})[5m:1m])", 110);
}

/* One histogram with custom buckets comes of the query, with these bounds and counts; `info`, if not
 * NULL, is the one note about it. */
static void assert_custom(fixture *f, const char *text, double parts, const char *info)
{
    static const double BOUNDS[] = {5, 20}, COUNTS[] = {6, 5, 9};
    promql_request q = instant(text, MINUTE);
    promql_result r;
    sx_error err = {0};
    if (promql_query(f->engine, &f->store.queryable, &q, &r, &err) != SX_OK)
        fail_msg("%s: %s", text, err.message);
    assert_int_equal(r.warning_count, 0);
    assert_int_equal(r.info_count, info ? 1 : 0);
    if (info)
        assert_memory_equal(r.infos[0].data, info, strlen(info));
    assert_int_equal(r.series_count, 1);
    const tsdb_histogram *h = r.series[0].h[0];
    assert_int_equal(h->schema, TSDB_SCHEMA_CUSTOM);
    assert_int_equal(h->bound_count, 2);
    assert_memory_equal(h->bounds, BOUNDS, sizeof BOUNDS);
    assert_true(h->count == 20 / parts && h->sum == 180 / parts);
    assert_int_equal(h->positive_count, 3);
    for (size_t k = 0; k < 3; k++)
        assert_true(fabs(h->positive[k] - COUNTS[k] / parts) < 1e-12);
    promql_result_done(&r);
}

static void test_custom_buckets_of_differing_bounds_meet_in_the_common_ones(void **state)
{
    fixture *f = *state;
    static const char *const SERIES[] = {
        "own{s=\"1\"} {{schema:-53 sum:100 count:10 custom_values:[1 5 20] buckets:[1 2 3 4]}}x3",
        "own{s=\"2\"} {{schema:-53 sum:60 count:6 custom_values:[5 10 20] buckets:[2 1 1 2]}}x3",
        "own{s=\"3\"} {{schema:-53 sum:20 count:4 custom_values:[5 20] buckets:[1 0 3]}}x3",
        "same{s=\"1\"} {{schema:-53 sum:100 count:10 custom_values:[5 20] buckets:[3 3 4]}}x3",
        "same{s=\"2\"} {{schema:-53 sum:80 count:10 custom_values:[5 20] buckets:[3 2 5]}}x3",
    };
    for (size_t i = 0; i < SX_COUNT_OF(SERIES); i++)
        add_series(&f->store, SERIES[i]);
    static const char NOTE[] =
        "PromQL info: mismatched custom buckets were reconciled during aggregation (1:5)";
    assert_custom(f, "sum(own)", 1, NOTE);
    assert_custom(f, "avg(own)", 3, NOTE);
    assert_custom(f, "sum(same)", 1, NULL);
    assert_custom(f, "avg(same)", 2, NULL);
    /* With buckets of the other kind there is no sum. */
    promql_request q = instant("sum({__name__=~\"own|hist\"})", MINUTE);
    promql_result r;
    assert_int_equal(promql_query(f->engine, &f->store.queryable, &q, &r, NULL), SX_OK);
    assert_int_equal(r.series_count, 0);
    assert_int_equal(r.warning_count, 1);
    assert_non_null(strstr(r.warnings[0].data, "exponential and custom"));
    promql_result_done(&r);
}

static void test_a_range_has_every_step(void **state)
{
    fixture *f = *state;
    promql_request q = range("sum by (job) (http_total)", 0, 10 * MINUTE, MINUTE);
    promql_result r;
    assert_int_equal(promql_query(f->engine, &f->store.queryable, &q, &r, NULL), SX_OK);
    assert_int_equal(r.type, PROMQL_MATRIX);
    assert_int_equal(r.series_count, 2);
    assert_int_equal(r.series[0].count, 11);
    assert_true(r.series[0].v[10] == 110);
    assert_true(r.series[1].v[2] == 10);
    promql_result_done(&r);
}

static void assert_fails(fixture *f, promql_request q, promql_error_kind kind, const char *words)
{
    promql_result r;
    sx_error err = {0};
    assert_int_not_equal(promql_query(f->engine, &f->store.queryable, &q, &r, &err), SX_OK);
    assert_int_equal(r.error_kind, kind);
    assert_string_equal(err.message, words);
    promql_result_done(&r);
}

static int set_up_few_samples(void **state)
{
    return set_up_with(state, (promql_engine_options){.samples_max = 10});
}

static void test_too_many_samples_end_a_query(void **state)
{
    assert_fails(*state, range("http_total", 0, 20 * MINUTE, MINUTE), PROMQL_ERROR_EXECUTION,
                 "query processing would load too many samples into memory in query execution");
}

static int set_up_little_memory(void **state)
{
    return set_up_with(state, (promql_engine_options){.memory_max = 300000});
}

static void test_too_much_memory_ends_a_query(void **state)
{
    assert_fails(*state, range("http_total + 1", 0, 20 * MINUTE, 10), PROMQL_ERROR_EXECUTION,
                 "query processing would use more than 300000 bytes of memory in query execution");
}

static void test_errors_are_of_their_kind(void **state)
{
    assert_fails(*state, range("up[5m]", 0, MINUTE, MINUTE), PROMQL_ERROR_BAD_DATA,
                 "invalid expression type \"range vector\" for range query, must be Scalar or "
                 "instant Vector");
    assert_fails(
        *state, instant("http_total / on (job) http_total", 10 * MINUTE), PROMQL_ERROR_EXECUTION,
        "found duplicate series for the match group {job=\"a\"} on the right hand-side of "
        "the operation: [{__name__=\"http_total\", code=\"200\", job=\"a\"}, {__name__=\"http_total\", code=\"500\", "
        "job=\"a\"}];many-to-many matching not allowed: matching labels must be unique on "
        "one side");
    assert_fails(*state, instant("rate({job=\"a\"}[5m])", 10 * MINUTE), PROMQL_ERROR_EXECUTION,
                 "vector cannot contain metrics with the same labelset");
}

/* A store that does something when a series is read. */
typedef struct meddler {
    tsdb_queryable queryable;
    fixture *f;
    tsdb_querier_ops ops;
    const tsdb_querier_ops *real;
    void (*act)(struct meddler *m);
    _Atomic bool canceled;
} meddler;

static meddler *meddling; /* the one there is: queriers carry no pointer for it */

static sx_status meddling_read(tsdb_querier *q, const tsdb_series *s, int64_t min_t, int64_t max_t,
                               tsdb_columns *out, sx_error *err)
{
    meddling->act(meddling);
    return meddling->real->read(q, s, min_t, max_t, out, err);
}

static sx_status meddling_open(tsdb_queryable *self, int64_t min_t, int64_t max_t,
                               tsdb_querier **out, sx_error *err)
{
    meddler *m = SX_CONTAINER_OF(self, meddler, queryable);
    sx_status status =
        m->f->store.queryable.querier(&m->f->store.queryable, min_t, max_t, out, err);
    if (status != SX_OK)
        return status;
    m->real = (*out)->ops;
    m->ops = *(*out)->ops;
    m->ops.read = meddling_read;
    (*out)->ops = &m->ops;
    return SX_OK;
}

static void run_meddled(fixture *f, void (*act)(meddler *), promql_error_kind kind,
                        const char *words)
{
    meddler m = {.queryable = {meddling_open}, .f = f, .act = act};
    promql_request q = instant("sum(rate(http_total[5m]))", 10 * MINUTE);
    promql_result r;
    sx_error err = {0};
    meddling = &m;
    q.canceled = &m.canceled;
    assert_int_not_equal(promql_query(f->engine, &m.queryable, &q, &r, &err), SX_OK);
    assert_int_equal(r.error_kind, kind);
    assert_string_equal(err.message, words);
    promql_result_done(&r);
}

static void let_time_pass(meddler *m)
{
    sx_fake_clock_advance(&m->f->clock, 3600000);
}

static void cancel(meddler *m)
{
    m->canceled = true;
}

static void kill_it(meddler *m)
{
    sx_arena arena;
    promql_running *list;
    size_t count;
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(promql_engine_running(m->f->engine, &arena, &list, &count, NULL), SX_OK);
    assert_int_equal(count, 1);
    assert_true(sx_str_eq(list[0].text, SX_STR("sum(rate(http_total[5m]))")));
    assert_true(promql_engine_kill(m->f->engine, list[0].id));
    assert_false(promql_engine_kill(m->f->engine, list[0].id + 1));
    sx_arena_done(&arena);
}

static void test_queries_end_when_told(void **state)
{
    fixture *f = *state;
    run_meddled(f, let_time_pass, PROMQL_ERROR_TIMEOUT, "query timed out in expression evaluation");
    run_meddled(f, cancel, PROMQL_ERROR_CANCELED, "query was canceled in expression evaluation");
    run_meddled(f, kill_it, PROMQL_ERROR_CANCELED, "query was canceled in expression evaluation");
}

static void test_annotations_tell_where(void **state)
{
    fixture *f = *state;
    promql_request q = instant("1 +\n rate(up[5m])", 10 * MINUTE);
    promql_result r;
    q.explain = q.sample_stats = true;
    assert_int_equal(promql_query(f->engine, &f->store.queryable, &q, &r, NULL), SX_OK);
    assert_int_equal(r.info_count, 1);
    assert_true(sx_str_eq(r.infos[0],
                          SX_STR("PromQL info: metric might not be a counter, name does not end "
                                 "in _total/_sum/_count/_bucket: \"up\" (2:7)")));
    assert_true(r.explain.len > 0);
    assert_int_equal(r.stats.steps, 1);
    assert_int_equal(r.stats.samples_total, 10);
    assert_int_equal(r.stats.samples_per_step[0], 10);
    promql_result_done(&r);
}

static const char *const EVERYTHING[] = {
    "sum by (job) (rate(http_total[5m]))",
    "topk(1, http_total) or up",
    "histogram_quantile(0.9, sum by (le) (rate(lat_bucket[5m])))",
    "histogram_quantile(0.9, rate(hist[5m]))",
    "avg(hist) * 2 + sum(hist)",
    "http_total / on (job) group_left up",
    "label_replace(up, \"x\", \"$1\", \"job\", \"(.*)\")",
    "quantile_over_time(0.5, http_total[10m:1m])",
    "count_values(\"v\", up) unless up",
    "absent(nothing{a=\"b\"})",
    "sum without (code) (http_total @ end() offset 1m) - 1",
    "info(up)",
    "up == bool on (job) fill (0) http_total{code=\"500\"}",
    "stddev(http_total) + quantile(0.3, http_total)",
    "max_over_time(rate(http_total[5m])[10m:2m])",
    "limitk(1, hist) or limit_ratio(0.5, up)",
};

static void test_an_instant_is_a_step_of_a_range(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < SX_COUNT_OF(EVERYTHING); i++) {
        promql_request a = instant(EVERYTHING[i], 8 * MINUTE);
        promql_request b = range(EVERYTHING[i], 2 * MINUTE, 8 * MINUTE, 2 * MINUTE);
        promql_result x, y;
        assert_int_equal(promql_query(f->engine, &f->store.queryable, &a, &x, NULL), SX_OK);
        assert_int_equal(promql_query(f->engine, &f->store.queryable, &b, &y, NULL), SX_OK);
        for (size_t s = 0; s < x.series_count; s++) {
            const promql_series *found = NULL;
            for (size_t t = 0; t < y.series_count; t++) {
                if (tsdb_labels_equal(x.series[s].labels, y.series[t].labels))
                    found = &y.series[t];
            }
            if (!found || found->t[found->count - 1] != 8 * MINUTE)
                fail_msg("%s: series %zu is missing in the range", EVERYTHING[i], s);
            double want = x.series[s].v[0], have = found->v[found->count - 1];
            if (memcmp(&want, &have, sizeof want) != 0)
                fail_msg("%s: %.17g, not %.17g", EVERYTHING[i], have, want);
        }
        promql_result_done(&x);
        promql_result_done(&y);
    }
}

static void test_failing_memory_fails_the_query(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < SX_COUNT_OF(EVERYTHING); i++) {
        for (int64_t nth = 1;; nth++) {
            promql_request q = range(EVERYTHING[i], 2 * MINUTE, 8 * MINUTE, 2 * MINUTE);
            promql_result r;
            sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
            sx_status status = promql_query(f->engine, &f->store.queryable, &q, &r, NULL);
            bool reached = sx_fault_alloc_calls() >= nth;
            promql_result_done(&r);
            assert_int_equal(sx_fault_alloc_held(), 0);
            sx_fault_alloc_set((sx_fault_alloc){0});
            if (!reached) {
                assert_int_equal(status, SX_OK);
                break;
            }
        }
    }
}

static void add_many(memory_store *s, int count)
{
    for (int i = 0; i < count; i++) {
        char text[160];
        snprintf(text, sizeof text, "many_total{group=\"%d\", n=\"%d\"} %g+%gx30", i % 3, i,
                 i * 0.1, 0.3 + i % 7);
        add_series(s, text);
    }
}

static void test_threads_change_no_bit(void **state)
{
    fixture *f = *state;
    static const char *const QUERIES[] = {
        "sum(rate(many_total[5m]))",
        "avg by (group) (many_total)",
        "topk(7, many_total)",
        "sum by (n) (many_total) + 1",
        "quantile by (group) (0.4, rate(many_total[5m]))",
        "many_total / on (n) group_left many_total",
    };
    add_many(&f->store, 1500);
    promql_engine_options options = {.threads = 4};
    promql_engine *parallel;
    assert_int_equal(promql_engine_new(&options, &parallel, NULL), SX_OK);
    for (size_t i = 0; i < SX_COUNT_OF(QUERIES); i++) {
        promql_request q = range(QUERIES[i], 0, 20 * MINUTE, MINUTE);
        promql_result x, y;
        assert_int_equal(promql_query(f->engine, &f->store.queryable, &q, &x, NULL), SX_OK);
        assert_int_equal(promql_query(parallel, &f->store.queryable, &q, &y, NULL), SX_OK);
        assert_int_equal(x.series_count, y.series_count);
        assert_true(x.series_count > 0);
        for (size_t s = 0; s < x.series_count; s++) {
            assert_int_equal(x.series[s].count, y.series[s].count);
            assert_memory_equal(x.series[s].v, y.series[s].v, x.series[s].count * sizeof(double));
        }
        promql_result_done(&x);
        promql_result_done(&y);
    }
    promql_engine_free(parallel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_queries_have_their_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_custom_buckets_of_differing_bounds_meet_in_the_common_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_range_has_every_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many_samples_end_a_query, set_up_few_samples,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_too_much_memory_ends_a_query, set_up_little_memory,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_errors_are_of_their_kind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_queries_end_when_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_annotations_tell_where, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_instant_is_a_step_of_a_range, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failing_memory_fails_the_query, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads_change_no_bit, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_metrics_native.c - exponential buckets against the definition, a plain model, threads, and
 * memory that is not there. */
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sextant/random.h>

#include "base/fault.h"
#include "telemetry/native_histogram.h"

static sx_metrics *registry(void)
{
    sx_metrics *m;
    assert_int_equal(sx_metrics_new(NULL, &m, NULL), SX_OK);
    return m;
}

static sx_histogram *histogram(sx_metrics *m, sx_metric_options o)
{
    sx_metric *out;
    sx_error err = {0};
    o.kind = SX_METRIC_HISTOGRAM;
    o.name = o.name ? o.name : "h";
    o.help = "H.";
    o.native = true;
    if (sx_metric_new(m, &o, &out, &err) != SX_OK)
        fail_msg("%s", err.message);
    return sx_metric_histogram(out, NULL, 0);
}

/* Any finite double that is not zero: every exponent is as likely. */
static double any_double(sx_random *dice)
{
    for (;;) {
        double v = sx_cell_float(sx_random_u64(dice));
        if (isfinite(v) && v != 0)
            return v;
    }
}

static void test_keys_are_those_of_the_definition(void **state)
{
    (void)state;
    sx_random dice;
    sx_random_seed(&dice, 11);
    for (int i = 0; i < 200000; i++) {
        double v = fabs(any_double(&dice));
        if (v < DBL_MIN)
            continue;
        long double key = sx_native_key(sx_cell_bits(v));
        long double upper = exp2l(key / SX_NATIVE_FINEST),
                    lower = exp2l((key - 1) / SX_NATIVE_FINEST);
        /* The bounds are doubles: the nearest to the true one. */
        assert_true(v <= upper * (1 + 0x1p-52L));
        assert_true(v > lower * (1 - 0x1p-52L));
    }
    for (int e = -1022; e <= 1023; e++) { /* a bound belongs to the bucket below it */
        double v = ldexp(1, e);
        assert_int_equal(sx_native_key(sx_cell_bits(v)), e * SX_NATIVE_FINEST);
        assert_int_equal(sx_native_key(sx_cell_bits(nextafter(v, INFINITY))),
                         e * SX_NATIVE_FINEST + 1);
        if (e > -1022)
            assert_int_equal(sx_native_key(sx_cell_bits(nextafter(v, 0))), e * SX_NATIVE_FINEST);
    }
    for (int k = 1; k < SX_NATIVE_FINEST; k++) { /* and so within a power of two */
        double bound = sx_cell_float((uint64_t)1023 << 52 | sx_native_mantissa[k]);
        assert_int_equal(sx_native_key(sx_cell_bits(bound)), k);
        assert_int_equal(sx_native_key(sx_cell_bits(nextafter(bound, 3))), k + 1);
    }
}

static void test_the_growth_chooses_the_resolution(void **state)
{
    (void)state;
    static const struct {
        double growth;
        int schema;
    } CASES[] = {{0, 3},   {1.1, 3},    {1.0001, 8}, {1.00271, 8}, {1.0055, 7}, {2, 0},
                 {1.5, 1}, {1.9999, 1}, {4, -1},     {300, -3},    {65536, -4}, {1e300, -4}};
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_metrics *m = registry();
        sx_histogram *h = histogram(m, (sx_metric_options){.native_growth = CASES[i].growth});
        assert_int_equal(h->series.metric->native.schema, CASES[i].schema);
        sx_metrics_free(m);
    }
}

/* ---- against a plain model ---- */

enum { MODEL_KEYS = 1100 * SX_NATIVE_FINEST };

/* Counts by finest key, in order of key: what the clever windows must add up to. */
typedef struct model {
    uint64_t zeros, nans, total;
    uint64_t *counts[2]; /* at key + MODEL_KEYS */
} model;

static void model_init(model *all)
{
    *all = (model){0};
    for (int side = 0; side < 2; side++)
        all->counts[side] = calloc((size_t)2 * MODEL_KEYS, sizeof(uint64_t));
}

static void model_observe(model *all, double v, double zero_threshold)
{
    all->total++;
    if (isnan(v)) {
        all->nans++;
        return;
    }
    if (fabs(v) <= zero_threshold) {
        all->zeros++;
        return;
    }
    int exponent;
    double fraction = frexp(isinf(v) ? DBL_MAX : fabs(v), &exponent); /* [0.5, 1) */
    int k = 0;
    while (k < SX_NATIVE_FINEST &&
           fraction * 2 > 1 + (double)sx_native_mantissa[k] / 4503599627370496.0)
        k++;
    int key = (exponent - 1) * SX_NATIVE_FINEST + k + (isinf(v) ? 1 : 0);
    all->counts[signbit(v) != 0][key + MODEL_KEYS]++;
}

static void assert_is_model(const sx_histogram *h, const model *all)
{
    sx_native_sum sum = {0};
    assert_true(sx_native_add_up(&h->series, &sum));
    assert_int_equal(sum.zeros, all->zeros);
    assert_int_equal(sum.nans, all->nans);
    assert_int_equal(sum.total, all->total);
    assert_int_equal(sx_histogram_count(h), all->total);
    int by = SX_NATIVE_SCHEMA_MAX - sum.schema;
    size_t in_use = 0;
    for (int side = 0; side < 2; side++) {
        const sx_native_side *s = &sum.side[side];
        uint64_t *left = calloc(s->len + 1, sizeof(*left));
        memcpy(left, s->counts ? s->counts : left, s->len * sizeof(*left));
        for (size_t i = 0; i < s->len; i++)
            in_use += s->counts[i] != 0;
        for (int key = -MODEL_KEYS; key < MODEL_KEYS; key++) {
            uint64_t count = all->counts[side][key + MODEL_KEYS];
            if (!count)
                continue;
            int64_t at = (int64_t)ceil(ldexp(key, -by)) - s->first;
            assert_in_range(at, 0, s->len - 1);
            assert_true(left[at] >= count);
            left[at] -= count;
        }
        for (size_t i = 0; i < s->len; i++)
            assert_int_equal(left[i], 0);
        if (s->len > 0)
            assert_true(s->counts[0] != 0 && s->counts[s->len - 1] != 0);
        free(left);
    }
    const sx_native *n = &h->series.metric->native;
    assert_true(in_use <= n->buckets_max || sum.schema == SX_NATIVE_SCHEMA_MIN);
    sx_native_sum_done(&sum);
}

static void test_any_values_are_counted_as_a_plain_model_counts_them(void **state)
{
    (void)state;
    static const sx_metric_options KINDS[] = {
        {.native_growth = 1.1},
        {.native_growth = 1.001, .native_buckets_max = 20},
        {.native_growth = 2, .native_zero_threshold = -1},
        {.native_growth = 65536, .native_buckets_max = 4},
        {.native_growth = 1.01, .native_zero_threshold = 1e-3, .native_buckets_max = 1000},
    };
    static const double ODD[] = {0,       -0.0,     NAN,      -NAN,         INFINITY,  -INFINITY,
                                 DBL_MAX, -DBL_MAX, DBL_MIN,  DBL_TRUE_MIN, 1,         -1,
                                 1e-3,    -1e-3,    0x1p-128, 0x1.8p-1060,  -0x1p-1030};
    sx_random dice;
    sx_random_seed(&dice, 5);
    for (size_t kind = 0; kind < SX_COUNT_OF(KINDS); kind++)
        for (int spread = 0; spread < 3; spread++) {
            sx_metrics *m = registry();
            sx_histogram *h = histogram(m, KINDS[kind]);
            double zero = h->series.metric->native.zero_threshold;
            model all;
            model_init(&all);
            for (int i = 0; i < 3000; i++) {
                double v = exp((sx_random_double(&dice) - 0.5) * (spread == 0 ? 2 : 40));
                v = i % 7 == 0 ? -v : v;
                if (spread == 2)
                    v = i % 3 ? any_double(&dice) : ODD[(size_t)i % SX_COUNT_OF(ODD)];
                if (i == 1500) /* from here on in a stripe of its own, with another window */
                    sx_telemetry_thread_join();
                sx_histogram_observe(h, v);
                model_observe(&all, v, zero);
                if (i % 500 == 0)
                    assert_is_model(h, &all);
            }
            assert_is_model(h, &all);
            sx_telemetry_thread_leave();
            free(all.counts[0]);
            free(all.counts[1]);
            sx_metrics_free(m);
        }
}

static void test_a_histogram_may_be_classic_and_native(void **state)
{
    (void)state;
    static const double BOUNDS[] = {1, 2};
    sx_metrics *m = registry();
    sx_histogram *h = histogram(m, (sx_metric_options){.bounds = BOUNDS, .bound_count = 2});
    for (int i = 0; i < 2; i++) {
        sx_histogram_observe(h, 0.5);
        sx_histogram_observe(h, 1.5);
        sx_histogram_observe(h, 9);
        sx_telemetry_thread_join();
    }
    sx_telemetry_thread_leave();
    sx_native_sum sum = {0};
    assert_true(sx_native_add_up(&h->series, &sum));
    assert_int_equal(sum.total, 6);
    assert_int_equal(sx_histogram_count(h), 6);
    assert_true(sx_histogram_sum(h) == 22);
    assert_int_equal(sx_series_count_sum(&h->series, 0), 2);
    assert_int_equal(sx_series_count_sum(&h->series, 2), 2);
    sx_native_sum_done(&sum);
    sx_metrics_free(m);
}

/* ---- threads ---- */

enum { THREADS = 6, ROUNDS = 30000 };

typedef struct load {
    sx_histogram *histogram;
    bool joins;
    unsigned seed;
} load;

static void *work(void *arg)
{
    const load *l = arg;
    sx_random dice;
    sx_random_seed(&dice, l->seed);
    if (l->joins)
        sx_telemetry_thread_join();
    for (int i = 0; i < ROUNDS; i++) /* ever wider, so that windows are replaced all the time */
        sx_histogram_observe(l->histogram,
                             exp((sx_random_double(&dice) - 0.5) * (1 + 600.0 * i / ROUNDS)));
    sx_telemetry_thread_leave();
    return NULL;
}

static void test_nothing_is_lost_while_windows_are_replaced_and_scraped(void **state)
{
    (void)state;
    sx_metrics *m = registry();
    sx_histogram *h = histogram(m, (sx_metric_options){0});
    pthread_t threads[THREADS];
    load loads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        loads[i] = (load){h, i % 2 == 0, i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &loads[i]), 0);
    }
    sx_buf out;
    sx_buf_init(&out, 0);
    uint64_t before = 0;
    int schema = SX_NATIVE_SCHEMA_MAX;
    sx_native_sum sum = {0};
    for (int i = 0; i < 200; i++) {
        sx_buf_clear(&out);
        assert_int_equal(sx_metrics_write(m, SX_METRICS_PROTOBUF, &out, NULL), SX_OK);
        assert_true(sx_native_add_up(&h->series, &sum));
        assert_true(sum.total >= before && sum.schema <= schema);
        before = sum.total;
        schema = sum.schema;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(sx_histogram_count(h), THREADS * ROUNDS);
    assert_true(sx_native_add_up(&h->series, &sum));
    assert_int_equal(sum.total, THREADS * ROUNDS);
    sx_native_sum_done(&sum);
    sx_buf_done(&out);
    sx_metrics_free(m);
}

/* ---- memory ---- */

static void test_without_memory_a_value_is_left_out_whole(void **state)
{
    (void)state;
    sx_metrics *m = registry();
    sx_histogram *h = histogram(m, (sx_metric_options){0});
    sx_histogram_observe(h, 1);
    sx_fault_alloc_set((sx_fault_alloc){.nth = 1});
    sx_histogram_observe(h, 1e9); /* would need a wider window */
    sx_fault_alloc_set((sx_fault_alloc){0});
    assert_int_equal(sx_histogram_count(h), 1);
    assert_true(sx_histogram_sum(h) == 1);
    sx_histogram_observe(h, 1e9);
    assert_int_equal(sx_histogram_count(h), 2);
    sx_metrics_free(m);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    for (int64_t nth = 1; nth < 200; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_metrics *m = NULL;
        sx_metric *metric = NULL;
        sx_error err = {0};
        sx_buf out;
        sx_buf_init(&out, 0);
        bool ok = sx_metrics_new(NULL, &m, &err) == SX_OK &&
                  sx_metric_new(m,
                                &(sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                                                     .name = "h.\xc3\xa9",
                                                     .help = "H.",
                                                     .native = true},
                                &metric, &err) == SX_OK;
        static const uint8_t TRACE[16] = {1}, SPAN[8] = {1};
        for (int i = 0; ok && i < 40; i++)
            sx_histogram_observe_exemplar(sx_metric_histogram(metric, NULL, 0), exp2(i * 5), TRACE,
                                          SPAN);
        for (int f = 0; f < SX_METRICS_FORMATS; f++) {
            sx_buf_clear(&out);
            ok = ok && sx_metrics_write(m, (sx_metrics_format)f, &out, &err) == SX_OK;
        }
        assert_true(ok || err.status == SX_ENOMEM);
        sx_buf_done(&out);
        sx_metrics_free(m);
        assert_int_equal(sx_fault_alloc_held(), 0);
        if (sx_fault_alloc_calls() < nth)
            break;
    }
    sx_fault_alloc_set((sx_fault_alloc){0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_those_of_the_definition),
        cmocka_unit_test(test_the_growth_chooses_the_resolution),
        cmocka_unit_test(test_any_values_are_counted_as_a_plain_model_counts_them),
        cmocka_unit_test(test_a_histogram_may_be_classic_and_native),
        cmocka_unit_test(test_nothing_is_lost_while_windows_are_replaced_and_scraped),
        cmocka_unit_test(test_without_memory_a_value_is_left_out_whole),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

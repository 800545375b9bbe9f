/* test_metrics_summary.c - summaries: ranks against sorted values, the window as time passes, every
 * format, wrong options, threads, no memory. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sextant/metrics.h>
#include <sextant/random.h>

#include "base/fault.h"
#include "telemetry/exposition_otlp.h"

typedef struct fixture {
    sx_fake_clock clock;
    sx_metrics *m;
    sx_buf out;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    sx_fake_clock_init(&f->clock, 1700000000250);
    sx_metrics_options options = {.clock = &f->clock.clock, .created_series = true};
    sx_buf_init(&f->out, 0);
    *state = f;
    return sx_metrics_new(&options, &f->m, NULL);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sx_metrics_free(f->m);
    sx_buf_done(&f->out);
    free(f);
    return 0;
}

static sx_metric *metric(fixture *f, sx_metric_options o)
{
    sx_metric *out;
    sx_error err = {0};
    o.kind = SX_METRIC_SUMMARY;
    o.help = "H.";
    if (sx_metric_new(f->m, &o, &out, &err) != SX_OK)
        fail_msg("%s", err.message);
    return out;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Values in one of several orders; each target's rank must be within its error. */
static void check_ranks(fixture *f, const char *name, size_t n, int order)
{
    static const sx_metric_quantile TARGETS[] = {{0, 0.01},   {0.01, 0.001}, {0.5, 0.05},
                                                 {0.9, 0.01}, {0.99, 0.001}, {1, 0.001}};
    sx_summary *s =
        sx_metric_summary(metric(f, (sx_metric_options){.name = name,
                                                        .quantiles = TARGETS,
                                                        .quantile_count = SX_COUNT_OF(TARGETS)}),
                          NULL, 0);
    double *values = calloc(n, sizeof *values);
    sx_random random;
    sx_random_seed(&random, 7);
    for (size_t i = 0; i < n; i++) {
        double even = sx_random_double(&random);
        values[i] = order == 0   ? (double)i
                    : order == 1 ? (double)(n - i)
                    : order == 2 ? even
                    : order == 3 ? exp(even * 12)   /* a long tail */
                                 : floor(even * 5); /* many that are equal */
        sx_summary_observe(s, values[i]);
    }
    qsort(values, n, sizeof *values, by_value);
    for (size_t i = 0; i < SX_COUNT_OF(TARGETS); i++) {
        double got = sx_summary_quantile(s, i), q = TARGETS[i].quantile, e = TARGETS[i].error;
        /* Two more for ends of buffers and the rounding of a rank. */
        double low = (q - e) * (double)n - 2, high = (q + e) * (double)n + 2;
        size_t least = low < 0 ? 0 : (size_t)low, most = high >= (double)n ? n - 1 : (size_t)high;
        if (!(got >= values[least] && got <= values[most]))
            fail_msg("order %d, n %zu, quantile %g: %g is not between %g and %g", order, n, q, got,
                     values[least], values[most]);
    }
    assert_int_equal(sx_summary_count(s), n);
    free(values);
}

static void test_every_quantile_is_within_its_error(void **state)
{
    static const size_t SIZES[] = {1, 2, 3, 10, 511, 512, 513, 5000, 100000};
    char name[32];
    for (size_t i = 0; i < SX_COUNT_OF(SIZES); i++) {
        for (int order = 0; order < 5; order++) {
            snprintf(name, sizeof name, "s%zu_%d", SIZES[i], order);
            check_ranks(*state, name, SIZES[i], order);
        }
    }
}

static void test_what_is_older_than_the_window_is_forgotten(void **state)
{
    fixture *f = *state;
    sx_summary *s = sx_metric_summary(
        metric(f, (sx_metric_options){.name = "s", .age_ms_max = 10000, .age_buckets = 5}), NULL,
        0);
    assert_true(isnan(sx_summary_quantile(s, 0)));
    for (int i = 0; i < 1000; i++)
        sx_summary_observe(s, 1);
    assert_true(sx_summary_quantile(s, 0) == 1);
    sx_fake_clock_advance(&f->clock, 7900); /* four fifths are seen at least */
    assert_true(sx_summary_quantile(s, 0) == 1);
    for (int i = 0; i < 10; i++)
        sx_summary_observe(s, 5);
    sx_fake_clock_advance(&f->clock, 2200);
    assert_true(sx_summary_quantile(s, 0) == 5);
    sx_fake_clock_advance(&f->clock, 10000);
    assert_true(isnan(sx_summary_quantile(s, 2)));
    assert_int_equal(sx_summary_count(s), 1010); /* these never fall */
    assert_true(sx_summary_sum(s) == 1050);
    sx_fake_clock_advance(&f->clock, 1000000007);
    sx_summary_observe(s, 3);
    assert_true(sx_summary_quantile(s, 1) == 3);
    sx_summary_observe(s, NAN);
    assert_true(sx_summary_quantile(s, 1) == 3 && isnan(sx_summary_sum(s)));
}

static void assert_format(fixture *f, sx_metrics_format format, const char *expected)
{
    sx_buf_clear(&f->out);
    assert_int_equal(sx_metrics_write(f->m, format, &f->out, NULL), SX_OK);
    sx_buf_byte(&f->out, '\0');
    assert_string_equal(f->out.data, expected);
}

static void test_formats_show_it_as_clients_do(void **state)
{
    fixture *f = *state;
    static const char *const LABELS[] = {"a"};
    static const sx_metric_quantile TARGETS[] = {{0.5, 0.05}, {1, 0.01}};
    sx_metric *m = metric(f, (sx_metric_options){.name = "s_seconds",
                                                 .unit = "seconds",
                                                 .labels = LABELS,
                                                 .label_count = 1,
                                                 .quantiles = TARGETS,
                                                 .quantile_count = 2});
    sx_summary *s = sx_metric_summary(m, &SX_STR("x"), 1);
    for (int i = 0; i < 3; i++)
        sx_summary_observe(s, 2);
    assert_format(f, SX_METRICS_TEXT_004,
                  "# HELP s_seconds H.\n# TYPE s_seconds summary\n"
                  "s_seconds{a=\"x\",quantile=\"0.5\"} 2\ns_seconds{a=\"x\",quantile=\"1\"} 2\n"
                  "s_seconds_sum{a=\"x\"} 6\ns_seconds_count{a=\"x\"} 3\n");
    assert_format(f, SX_METRICS_OPENMETRICS,
                  "# HELP s_seconds H.\n# TYPE s_seconds summary\n# UNIT s_seconds seconds\n"
                  "s_seconds{a=\"x\",quantile=\"0.5\"} 2\ns_seconds{a=\"x\",quantile=\"1.0\"} 2\n"
                  "s_seconds_sum{a=\"x\"} 6\ns_seconds_count{a=\"x\"} 3\n"
                  "s_seconds_created{a=\"x\"} 1700000000.250\n# EOF\n");
    sx_buf_clear(&f->out);
    assert_int_equal(sx_metrics_write(f->m, SX_METRICS_PROTOBUF, &f->out, NULL), SX_OK);
    /* Metric.summary (4) with count 3, sum 6 and the first quantile (3). */
    static const char SUMMARY[] =
        "\x08\x03\x11\0\0\0\0\0\0\x18\x40\x1a\x12\x09\0\0\0\0\0\0\xe0\x3f";
    sx_str bytes = sx_buf_view(&f->out);
    assert_true(sx_str_find(bytes, sx_str_of(SUMMARY, sizeof SUMMARY - 1)) < bytes.len);
    sx_buf_clear(&f->out);
    assert_int_equal(sx_metrics_otlp(f->m, 1, 2, &f->out, NULL), SX_OK);
    static const char POINT[] = "\x21\x03\0\0\0\0\0\0\0\x29\0\0\0\0\0\0\x18\x40\x32\x12\x09";
    bytes = sx_buf_view(&f->out);
    assert_true(sx_str_find(bytes, sx_str_of(POINT, sizeof POINT - 1)) < bytes.len);
}

static void test_wrong_options_are_named(void **state)
{
    fixture *f = *state;
    static const char *const QUANTILE[] = {"quantile"};
    static const sx_metric_quantile ABOVE[] = {{1.5, 0.1}}, FALLING[] = {{0.9, 0.1}, {0.5, 0.1}},
                                    EXACT[] = {{0.5, 0}};
    static const double BOUNDS[] = {1};
    const sx_metric_options WRONG[] = {
        {.kind = SX_METRIC_SUMMARY, .quantiles = ABOVE, .quantile_count = 1},
        {.kind = SX_METRIC_SUMMARY, .quantiles = FALLING, .quantile_count = 2},
        {.kind = SX_METRIC_SUMMARY, .quantiles = EXACT, .quantile_count = 1},
        {.kind = SX_METRIC_SUMMARY, .quantiles = ABOVE, .quantile_count = 17},
        {.kind = SX_METRIC_SUMMARY, .age_buckets = 61},
        {.kind = SX_METRIC_SUMMARY, .labels = QUANTILE, .label_count = 1},
        {.kind = SX_METRIC_SUMMARY, .bounds = BOUNDS, .bound_count = 1},
        {.kind = SX_METRIC_GAUGE, .quantiles = FALLING, .quantile_count = 2},
    };
    for (size_t i = 0; i < SX_COUNT_OF(WRONG); i++) {
        sx_metric *out;
        sx_error err = {0};
        sx_metric_options o = WRONG[i];
        o.name = "w";
        o.help = "H.";
        assert_int_equal(sx_metric_new(f->m, &o, &out, &err), SX_EINVAL);
        assert_non_null(strstr(err.message, " w"));
    }
    sx_metric *first = metric(f, (sx_metric_options){.name = "s"}), *out;
    assert_ptr_equal(first, metric(f, (sx_metric_options){.name = "s"}));
    sx_error err = {0};
    const sx_metric_options other = {
        .kind = SX_METRIC_SUMMARY, .name = "s", .help = "H.", .age_ms_max = 1000};
    assert_int_equal(sx_metric_new(f->m, &other, &out, &err), SX_EEXIST);
    const sx_metric_options count = {.kind = SX_METRIC_GAUGE, .name = "s_count", .help = "H."};
    assert_int_equal(sx_metric_new(f->m, &count, &out, &err), SX_EEXIST);
}

static void *observe_many(void *arg)
{
    for (int i = 0; i < 20000; i++)
        sx_summary_observe(arg, i);
    return NULL;
}

static void test_threads_lose_nothing(void **state)
{
    fixture *f = *state;
    sx_summary *s = sx_metric_summary(metric(f, (sx_metric_options){.name = "s"}), NULL, 0);
    pthread_t threads[4];
    for (size_t i = 0; i < SX_COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, observe_many, s), 0);
    for (int i = 0; i < 20; i++) {
        sx_buf_clear(&f->out);
        assert_int_equal(sx_metrics_write(f->m, SX_METRICS_TEXT_004, &f->out, NULL), SX_OK);
    }
    for (size_t i = 0; i < SX_COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(sx_summary_count(s), 80000);
}

static void test_without_memory_nothing_is_lost_but_precision(void **state)
{
    (void)state;
    static const char *const LABELS[] = {"a"};
    for (unsigned n = 1; n < 60; n++) {
        sx_metrics *m = NULL;
        sx_metric *out = NULL;
        const sx_metric_options o = {.kind = SX_METRIC_SUMMARY,
                                     .name = "s",
                                     .help = "H.",
                                     .labels = LABELS,
                                     .label_count = 1};
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        if (sx_metrics_new(NULL, &m, NULL) == SX_OK && sx_metric_new(m, &o, &out, NULL) == SX_OK) {
            sx_summary *s = sx_metric_summary(out, &SX_STR("x"), 1);
            for (int i = 0; i < 2000; i++)
                sx_summary_observe(s, i);
            assert_int_equal(sx_summary_count(s), 2000);
        }
        sx_fault_alloc_set((sx_fault_alloc){0});
        sx_metrics_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_quantile_is_within_its_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_older_than_the_window_is_forgotten, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_formats_show_it_as_clients_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_options_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads_lose_nothing, set_up, tear_down),
        cmocka_unit_test(test_without_memory_nothing_is_lost_but_precision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

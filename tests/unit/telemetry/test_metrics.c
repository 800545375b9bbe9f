/* test_metrics.c - what the registry accepts, counts and shows. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sextant/metrics.h>

#include "base/build.h"
#include "base/fault.h"
#include <sextant/random.h>

/* Seeded by each test, so that a failure comes again. */
static sx_random dice;

static int roll(void)
{
    return (int)(sx_random_u64(&dice) >> 33);
}

static sx_metrics *registry(void)
{
    sx_metrics *m;
    sx_error err = {0};
    assert_int_equal(sx_metrics_new(NULL, &m, &err), SX_OK);
    return m;
}

static sx_metric *metric(sx_metrics *m, const sx_metric_options *o)
{
    sx_metric *out;
    sx_error err = {0};
    if (sx_metric_new(m, o, &out, &err) != SX_OK)
        fail_msg("%s", err.message);
    return out;
}

static void assert_shows(sx_metrics *m, const char *expected)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_int_equal(sx_metrics_write(m, SX_METRICS_TEXT_004, &out, NULL), SX_OK);
    sx_buf_byte(&out, '\0');
    assert_string_equal(out.data ? out.data : "", expected);
    sx_buf_done(&out);
}

static void test_the_text_is_what_prometheus_reads(void **state)
{
    (void)state;
    static const char *const LABELS[] = {"method", "path"};
    static const double BOUNDS[] = {0.005, 0.5, 1, 1e6};
    sx_metrics *m = registry();
    sx_metric *requests = metric(m, &(sx_metric_options){.name = "requests_total",
                                                         .help = "All \\ requests\nso far.",
                                                         .labels = LABELS,
                                                         .label_count = 2});
    sx_metric *took = metric(m, &(sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                                                     .name = "took_seconds",
                                                     .help = "Time.",
                                                     .labels = LABELS,
                                                     .label_count = 1,
                                                     .bounds = BOUNDS,
                                                     .bound_count = 4});
    sx_metric *heat =
        metric(m, &(sx_metric_options){.kind = SX_METRIC_GAUGE, .name = "heat", .help = "Heat."});
    sx_counter_add(sx_metric_counter(requests, (sx_str[]){SX_STR("POST"), SX_STR("/")}, 2), 2);
    sx_counter_add(
        sx_metric_counter(requests, (sx_str[]){SX_STR("GET"), SX_STR("a\\b\"c\nd\xff")}, 2), 1);
    sx_counter_add_float(sx_metric_counter(requests, (sx_str[]){SX_STR("POST"), SX_STR("/")}, 2),
                         0.25);
    sx_histogram *h = sx_metric_histogram(took, &SX_STR("GET"), 1);
    sx_histogram_observe(h, 0.005);
    sx_histogram_observe(h, 0.0051);
    sx_histogram_observe(h, 1e7);
    sx_gauge_set(sx_metric_gauge(heat, NULL, 0), -2.5);

    assert_shows(m, "# HELP heat Heat.\n"
                    "# TYPE heat gauge\n"
                    "heat -2.5\n"
                    "# HELP requests_total All \\\\ requests\\nso far.\n"
                    "# TYPE requests_total counter\n"
                    "requests_total{method=\"GET\",path=\"a\\\\b\\\"c\\nd\xef\xbf\xbd\"} 1\n"
                    "requests_total{method=\"POST\",path=\"/\"} 2.25\n"
                    "# HELP took_seconds Time.\n"
                    "# TYPE took_seconds histogram\n"
                    "took_seconds_bucket{method=\"GET\",le=\"0.005\"} 1\n"
                    "took_seconds_bucket{method=\"GET\",le=\"0.5\"} 2\n"
                    "took_seconds_bucket{method=\"GET\",le=\"1\"} 2\n"
                    "took_seconds_bucket{method=\"GET\",le=\"1e+06\"} 2\n"
                    "took_seconds_bucket{method=\"GET\",le=\"+Inf\"} 3\n"
                    "took_seconds_sum{method=\"GET\"} 1.00000000101e+07\n"
                    "took_seconds_count{method=\"GET\"} 3\n");
    sx_metrics_free(m);
}

static void test_a_series_without_labels_shows_zero_from_the_start(void **state)
{
    (void)state;
    sx_metrics *m = registry();
    metric(m, &(sx_metric_options){.name = "a_total", .help = "A."});
    assert_shows(m, "# HELP a_total A.\n# TYPE a_total counter\na_total 0\n");
    sx_metrics_free(m);
}

static void test_counters_stay_exact_above_two_to_the_53rd(void **state)
{
    (void)state;
    sx_metrics *m = registry();
    sx_metric *a = metric(m, &(sx_metric_options){.name = "a_total", .help = "A."});
    sx_counter_add(sx_metric_counter(a, NULL, 0), 9007199254740993u);
    assert_shows(m, "# HELP a_total A.\n# TYPE a_total counter\na_total 9007199254740993\n");
    sx_metrics_free(m);
}

static void test_negative_and_nan_do_not_reach_a_counter(void **state)
{
    (void)state;
    sx_metrics *m = registry();
    sx_counter *c = sx_metric_counter(
        metric(m, &(sx_metric_options){.name = "a_total", .help = "A."}), NULL, 0);
    sx_counter_add_float(c, -1);
    sx_counter_add_float(c, NAN);
    sx_counter_add_float(c, 0.5);
    assert_true(sx_counter_value(c) == 0.5);
    sx_metrics_free(m);
}

static void test_buckets_agree_with_a_plain_search(void **state)
{
    (void)state;
    static const double SETS[][6] = {{0.005, 0.01, 0.025, 0.05, 0.1, 10},
                                     {-3, -1, 0, 1, 2, 1e300},
                                     {1, 1.0000001, 1.0000002, 1.5, 2, 2.1},
                                     {1e-300, 1e-200, 1, 1e100, 1e200, 1e300},
                                     {1, 2, 4, 8, 16, 32}};
    sx_random_seed(&dice, 7);
    for (size_t set = 0; set < SX_COUNT_OF(SETS); set++) {
        sx_metrics *m = registry();
        const double *bounds = SETS[set];
        sx_metric *took = metric(m, &(sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                                                         .name = "h",
                                                         .help = "H.",
                                                         .bounds = bounds,
                                                         .bound_count = 6});
        sx_histogram *h = sx_metric_histogram(took, NULL, 0);
        uint64_t expected[7] = {0};
        for (int i = 0; i < 20000; i++) {
            double v = (roll() % 4001 - 500) / 1000.0 * bounds[roll() % 6];
            if (i % 5 == 0)
                v = bounds[roll() % 6];
            else if (i % 97 == 0)
                v = i % 2 ? NAN : INFINITY;
            size_t at = 0;
            while (at < 6 && !(v <= bounds[at]))
                at++;
            expected[at]++;
            sx_histogram_observe(h, v);
        }
        char text[2000];
        sx_buf out;
        sx_buf_init(&out, 0);
        assert_int_equal(sx_metrics_write(m, SX_METRICS_TEXT_004, &out, NULL), SX_OK);
        sx_buf_byte(&out, '\0');
        uint64_t total = 0;
        const char *at = out.data;
        for (size_t i = 0; i < 7; i++) {
            total += expected[i];
            at = strstr(at, "h_bucket{");
            assert_non_null(at);
            at = strstr(at, "} ") + 2;
            snprintf(text, sizeof(text), "%llu\n", (unsigned long long)total);
            assert_memory_equal(at, text, strlen(text));
        }
        sx_buf_done(&out);
        sx_metrics_free(m);
    }
}

/* ---- threads ---- */

enum { THREADS = 6, ROUNDS = 100000 };

typedef struct load {
    sx_counter *counter;
    sx_gauge *gauge;
    sx_histogram *histogram;
    bool joins;
} load;

static void *work(void *arg)
{
    const load *l = arg;
    if (l->joins)
        sx_telemetry_thread_join();
    for (int i = 0; i < ROUNDS; i++) {
        sx_counter_add(l->counter, 1);
        sx_gauge_add(l->gauge, i % 2 ? -1 : 1);
        sx_histogram_observe(l->histogram, i % 2 ? 0.25 : 4);
    }
    sx_telemetry_thread_leave();
    return NULL;
}

static void test_what_all_threads_wrote_is_added_up_while_others_scrape(void **state)
{
    (void)state;
    sx_metrics *m = registry();
    load loads[2];
    loads[0] = (load){
        .counter = sx_metric_counter(
            metric(m, &(sx_metric_options){.name = "c_total", .help = "C."}), NULL, 0),
        .gauge = sx_metric_gauge(
            metric(m, &(sx_metric_options){.kind = SX_METRIC_GAUGE, .name = "g", .help = "G."}),
            NULL, 0),
        .histogram = sx_metric_histogram(
            metric(m, &(sx_metric_options){.kind = SX_METRIC_HISTOGRAM, .name = "h", .help = "H."}),
            NULL, 0),
        .joins = true};
    loads[1] = loads[0];
    loads[1].joins = false; /* these share stripe 0 */
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &loads[i % 2]), 0);
    sx_buf out;
    sx_buf_init(&out, 0);
    uint64_t before = 0;
    for (int i = 0; i < 50; i++) {
        sx_buf_clear(&out);
        assert_int_equal(sx_metrics_write(m, SX_METRICS_TEXT_004, &out, NULL), SX_OK);
        uint64_t now = (uint64_t)sx_counter_value(loads[0].counter);
        assert_true(now >= before);
        before = now;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(sx_counter_value(loads[0].counter), THREADS * ROUNDS);
    assert_int_equal(sx_gauge_value(loads[0].gauge), 0);
    assert_int_equal(sx_histogram_count(loads[0].histogram), THREADS * ROUNDS);
    assert_true(sx_histogram_sum(loads[0].histogram) == THREADS * ROUNDS / 2 * 4.25);
    sx_buf_done(&out);
    sx_metrics_free(m);
}

static void test_a_gauge_may_be_set_after_adds_from_several_threads(void **state)
{
    (void)state;
    sx_metrics *m = registry();
    sx_gauge *g = sx_metric_gauge(
        metric(m, &(sx_metric_options){.kind = SX_METRIC_GAUGE, .name = "g", .help = "G."}), NULL,
        0);
    sx_gauge_add(g, 5); /* stripe 0 */
    assert_true(sx_telemetry_thread_join());
    sx_gauge_add(g, 7);
    assert_true(sx_gauge_value(g) == 12);
    sx_gauge_set(g, 3);
    assert_true(sx_gauge_value(g) == 3);
    sx_gauge_add(g, -1);
    assert_true(sx_gauge_value(g) == 2);
    sx_telemetry_thread_leave();
    sx_metrics_free(m);
}

/* ---- limits and misuse ---- */

static void test_combinations_above_the_limit_become_one_series(void **state)
{
    (void)state;
    static const char *const LABELS[] = {"user"};
    sx_metrics *m = registry();
    sx_metric *logins = metric(m, &(sx_metric_options){.name = "logins_total",
                                                       .help = "Logins.",
                                                       .labels = LABELS,
                                                       .label_count = 1,
                                                       .series_max = 3});
    for (int i = 0; i < 10; i++) {
        char user[8];
        int len = snprintf(user, sizeof(user), "u%d", i);
        sx_counter_add(sx_metric_counter(logins, &(sx_str){user, (size_t)len}, 1), 1);
    }
    sx_counter_add(sx_metric_counter(logins, &SX_STR("u1"), 1), 1); /* those inside still count */
    assert_shows(m, "# HELP logins_total Logins.\n"
                    "# TYPE logins_total counter\n"
                    "logins_total{user=\"other\"} 7\n"
                    "logins_total{user=\"u0\"} 1\n"
                    "logins_total{user=\"u1\"} 2\n"
                    "logins_total{user=\"u2\"} 1\n"
                    "# HELP sx_metric_series_folded_total Label combinations above a metric's "
                    "series_max, counted as \"other\".\n"
                    "# TYPE sx_metric_series_folded_total counter\n"
                    "sx_metric_series_folded_total{metric=\"logins_total\"} 7\n");
    sx_metrics_free(m);
}

static void test_a_real_value_named_other_is_not_shown_twice(void **state)
{
    (void)state;
    static const char *const LABELS[] = {"user"};
    sx_metrics *m = registry();
    sx_metric *logins = metric(m, &(sx_metric_options){.name = "logins_total",
                                                       .help = "Logins.",
                                                       .labels = LABELS,
                                                       .label_count = 1,
                                                       .series_max = 1});
    sx_counter_add(sx_metric_counter(logins, &SX_STR("other"), 1), 1);
    sx_counter_add(sx_metric_counter(logins, &SX_STR("a"), 1), 1);
    sx_counter_add(sx_metric_counter(logins, &SX_STR("b"), 1), 1);
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_int_equal(sx_metrics_write(m, SX_METRICS_TEXT_004, &out, NULL), SX_OK);
    sx_str text = sx_buf_view(&out);
    size_t first = sx_str_find(text, SX_STR("{user=\"other\"}"));
    assert_true(first < text.len);
    text = sx_str_from(text, first + 1);
    assert_int_equal(sx_str_find(text, SX_STR("{user=\"other\"}")), text.len);
    sx_buf_done(&out);
    sx_metrics_free(m);
}

static void test_a_long_label_value_is_cut_at_a_character(void **state)
{
    (void)state;
    static const char *const LABELS[] = {"a"};
    sx_metrics *m = registry();
    sx_metric *c = metric(
        m,
        &(sx_metric_options){.name = "c_total", .help = "C.", .labels = LABELS, .label_count = 1});
    char *value = malloc(3001);
    for (int i = 0; i < 1000; i++)
        memcpy(value + i * 3, "\xe2\x82\xac", 3); /* 1024 is inside one */
    sx_counter_add(sx_metric_counter(c, &(sx_str){value, 3000}, 1), 1);
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_int_equal(sx_metrics_write(m, SX_METRICS_TEXT_004, &out, NULL), SX_OK);
    sx_str text = sx_buf_view(&out);
    assert_int_equal(sx_str_find(text, SX_STR("\xef\xbf\xbd")), text.len);
    assert_true(text.len < 1023 + 100);
    sx_buf_done(&out);
    free(value);
    sx_metrics_free(m);
}

static void test_registering_the_same_again_gives_the_same(void **state)
{
    (void)state;
    static const char *const LABELS[] = {"a"}, *const OTHER_LABELS[] = {"b"};
    sx_metrics *m = registry();
    sx_metric_options o = {.name = "c_total", .help = "C.", .labels = LABELS, .label_count = 1};
    sx_metric *first = metric(m, &o), *again = metric(m, &o);
    assert_ptr_equal(first, again);
    sx_error err = {0};
    o.labels = OTHER_LABELS;
    assert_int_equal(sx_metric_new(m, &o, &again, &err), SX_EEXIST);
    assert_non_null(strstr(err.message, "c_total"));
    assert_non_null(strstr(err.message, "label names"));
    o.labels = LABELS;
    sx_fault_alloc_set((sx_fault_alloc){.nth = INT64_MAX}); /* counts, and fails none */
    for (int i = 0; i < 1000; i++)
        assert_ptr_equal(metric(m, &o), first);
    assert_int_equal(sx_fault_alloc_held(), 0); /* a program may ask at every request */
    sx_fault_alloc_set((sx_fault_alloc){0});
    o.kind = SX_METRIC_GAUGE;
    assert_int_equal(sx_metric_new(m, &o, &again, &err), SX_EEXIST);
    sx_metrics_free(m);
}

static void test_misuse_is_refused_with_its_reason(void **state)
{
    (void)state;
    static const char *const BAD[] = {"\x80"}, *const RESERVED[] = {"__a"}, *const LE[] = {"le"};
    static const char *const TWICE[] = {"a", "a"}, *const ALIKE[] = {"a.b", "a-b"};
    static const char *const EMPTY[] = {""}, *const OWN[] = {"a"}, *const STATES[] = {"x", "x"};
    const sx_metric_kind H = SX_METRIC_HISTOGRAM, S = SX_METRIC_STATESET;
    static const double FALLING[] = {2, 1}, ENDLESS[] = {1, INFINITY};
    const sx_metric_options CASES[] = {
        {.name = "", .help = "H."},
        {.name = NULL, .help = "H."},
        {.name = "a\xc3", .help = "H."},
        {.name = "\xff", .help = "H."},
        {.name = "a", .help = ""},
        {.name = "a", .help = NULL},
        {.name = "a", .help = "H.", .labels = BAD, .label_count = 1},
        {.name = "a", .help = "H.", .labels = RESERVED, .label_count = 1},
        {.name = "a", .help = "H.", .labels = EMPTY, .label_count = 1},
        {.name = "a", .help = "H.", .labels = ALIKE, .label_count = 2},
        {.name = "a", .help = "H.", .labels = TWICE, .label_count = 2},
        {.name = "a", .help = "H.", .labels = TWICE, .label_count = 17},
        {.name = "a", .help = "H.", .labels = LE, .label_count = 1, .kind = SX_METRIC_HISTOGRAM},
        {.name = "a",
         .help = "H.",
         .bounds = FALLING,
         .bound_count = 2,
         .kind = SX_METRIC_HISTOGRAM},
        {.name = "a",
         .help = "H.",
         .bounds = ENDLESS,
         .bound_count = 2,
         .kind = SX_METRIC_HISTOGRAM},
        {.name = "a",
         .help = "H.",
         .bounds = FALLING,
         .bound_count = 0,
         .kind = SX_METRIC_HISTOGRAM},
        {.name = "a", .help = "H.", .bounds = FALLING, .bound_count = 2},
        {.name = "a", .help = "H.", .kind = SX_METRIC_KINDS},
        {.name = "a", .help = "H.", .native = true},
        {.name = "a", .help = "H.", .kind = H, .native = true, .native_growth = 1},
        {.name = "a", .help = "H.", .kind = H, .native = true, .native_growth = NAN},
        {.name = "a", .help = "H.", .kind = H, .native = true, .native_growth = INFINITY},
        {.name = "a", .help = "H.", .kind = H, .native = true, .native_zero_threshold = NAN},
        {.name = "a", .help = "H.", .kind = H, .native = true, .native_buckets_max = UINT32_MAX},
        {.name = "a", .help = "H.", .kind = SX_METRIC_INFO},
        {.name = "_info", .help = "H.", .kind = SX_METRIC_INFO},
        {.name = "a", .help = "H.", .states = OWN, .state_count = 1},
        {.name = "a", .help = "H.", .kind = S},
        {.name = "a", .help = "H.", .kind = S, .states = STATES, .state_count = 2},
        {.name = "a", .help = "H.", .kind = S, .states = EMPTY, .state_count = 1},
        {.name = "a", .help = "H.", .kind = S, .states = BAD, .state_count = 1},
        {.name = "a", .help = "H.", .kind = S, .states = OWN, .state_count = 65},
        {.name = "a:b", .help = "H.", .kind = S, .states = OWN, .state_count = 1},
        {.name = "a",
         .help = "H.",
         .kind = S,
         .states = OWN,
         .state_count = 1,
         .labels = OWN,
         .label_count = 1},
        {.name = "a_seconds", .help = "H.", .unit = "bytes"},
        {.name = "seconds", .help = "H.", .unit = "seconds"},
        {.name = "aseconds", .help = "H.", .unit = "seconds"},
        {.name = "a_info", .help = "H.", .kind = SX_METRIC_INFO, .unit = "info"},
    };
    sx_metrics *m = registry();
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_metric *out = NULL;
        sx_error err = {0};
        if (sx_metric_new(m, &CASES[i], &out, &err) != SX_EINVAL)
            fail_msg("case %zu", i);
        assert_true(err.message[0] != '\0');
        assert_null(out);
    }
    sx_metric *out;
    metric(m, &(sx_metric_options){.kind = SX_METRIC_HISTOGRAM, .name = "h", .help = "H."});
    assert_int_equal(
        sx_metric_new(m, &(sx_metric_options){.name = "h_count", .help = "H."}, &out, NULL),
        SX_EEXIST);
    metric(m, &(sx_metric_options){.name = "k_sum", .help = "H."});
    assert_int_equal(
        sx_metric_new(m,
                      &(sx_metric_options){.kind = SX_METRIC_HISTOGRAM, .name = "k", .help = "K."},
                      &out, NULL),
        SX_EEXIST);
    sx_metrics_free(m);
}

/* ---- collect functions, process ---- */

static void collect_two(sx_collect *into, void *ctx)
{
    sx_collect_value(into, &SX_STR("a\"b"), 1, *(double *)ctx);
    sx_collect_value(into, &SX_STR("c"), 1, NAN);
}

static void collect_none(sx_collect *into, void *ctx)
{
    (void)into;
    (void)ctx;
}

static void test_collected_metrics_are_asked_at_each_scrape(void **state)
{
    (void)state;
    static const char *const LABELS[] = {"queue"};
    double value = 1;
    sx_metrics *m = registry();
    metric(m, &(sx_metric_options){.kind = SX_METRIC_GAUGE,
                                   .name = "waiting",
                                   .help = "W.",
                                   .labels = LABELS,
                                   .label_count = 1,
                                   .collect = collect_two,
                                   .collect_ctx = &value});
    metric(m, &(sx_metric_options){
                  .kind = SX_METRIC_GAUGE, .name = "none", .help = "N.", .collect = collect_none});
    assert_shows(m, "# HELP waiting W.\n# TYPE waiting gauge\n"
                    "waiting{queue=\"a\\\"b\"} 1\nwaiting{queue=\"c\"} NaN\n");
    value = 2e-9;
    assert_shows(m, "# HELP waiting W.\n# TYPE waiting gauge\n"
                    "waiting{queue=\"a\\\"b\"} 2e-09\nwaiting{queue=\"c\"} NaN\n");
    sx_metrics_free(m);
}

static double shown(sx_metrics *m, const char *line_start)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_int_equal(sx_metrics_write(m, SX_METRICS_TEXT_004, &out, NULL), SX_OK);
    sx_buf_byte(&out, '\0');
    const char *at = strstr(out.data, line_start);
    assert_non_null(at);
    double value = strtod(at + strlen(line_start), NULL);
    sx_buf_done(&out);
    return value;
}

static void test_the_process_shows_itself(void **state)
{
    (void)state;
    sx_metrics *m = registry();
    assert_int_equal(sx_metrics_add_process(m, NULL), SX_OK);
    assert_int_equal(sx_metrics_add_build_info(m, SX_STR("t"), SX_STR("1.2.3"), NULL), SX_OK);
    const char *compiler = SX_COMPILER;
    assert_true(sx_str_starts(sx_str_z(compiler), SX_STR("gcc ")) ||
                sx_str_starts(sx_str_z(compiler), SX_STR("clang ")));
    assert_true(shown(m,
                      "\nsextant_build_info{service=\"t\",version=\"1.2.3\",compiler=\"" SX_COMPILER
                      "\",kit_version=\"" SX_VERSION "\"} ") == 1);
    double now = (double)sx_clock_ms(sx_clock_system()) / 1000;
    assert_true(shown(m, "\nprocess_start_time_seconds ") > now - 3600 * 24);
    assert_true(shown(m, "\nprocess_start_time_seconds ") < now + 2);
    assert_true(shown(m, "\nprocess_open_fds ") >= 3);
    assert_true(shown(m, "\nprocess_max_fds ") >= 3);
    assert_true(shown(m, "\nprocess_threads ") >= 1);
    assert_true(shown(m, "\nprocess_resident_memory_bytes ") > 100000);
    assert_true(shown(m, "\nprocess_virtual_memory_bytes ") > 100000);
    assert_true(shown(m, "\nprocess_virtual_memory_max_bytes ") > 100000);
    assert_true(shown(m, "\nprocess_cpu_seconds_total ") >= 0);
    assert_true(shown(m, "\nprocess_network_receive_bytes_total ") >= 0);
    assert_true(shown(m, "\nprocess_network_transmit_bytes_total ") >= 0);
    sx_metrics_free(m);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    static const char *const LABELS[] = {"a"};
    for (int64_t nth = 1; nth < 200; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_metrics *m = NULL;
        sx_metric *c = NULL;
        sx_error err = {0};
        sx_buf out;
        sx_buf_init(&out, 0);
        bool ok = sx_metrics_new(NULL, &m, &err) == SX_OK &&
                  sx_metric_new(m,
                                &(sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                                                     .name = "h",
                                                     .help = "H.",
                                                     .labels = LABELS,
                                                     .label_count = 1},
                                &c, &err) == SX_OK;
        for (int i = 0; ok && i < 40; i++) {
            char name = (char)('A' + i);
            sx_histogram_observe(sx_metric_histogram(c, &(sx_str){&name, 1}, 1),
                                 1); /* never NULL */
        }
        ok = ok && sx_metrics_write(m, SX_METRICS_TEXT_004, &out, &err) == SX_OK;
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
        cmocka_unit_test(test_the_text_is_what_prometheus_reads),
        cmocka_unit_test(test_a_series_without_labels_shows_zero_from_the_start),
        cmocka_unit_test(test_counters_stay_exact_above_two_to_the_53rd),
        cmocka_unit_test(test_negative_and_nan_do_not_reach_a_counter),
        cmocka_unit_test(test_buckets_agree_with_a_plain_search),
        cmocka_unit_test(test_what_all_threads_wrote_is_added_up_while_others_scrape),
        cmocka_unit_test(test_a_gauge_may_be_set_after_adds_from_several_threads),
        cmocka_unit_test(test_combinations_above_the_limit_become_one_series),
        cmocka_unit_test(test_a_real_value_named_other_is_not_shown_twice),
        cmocka_unit_test(test_a_long_label_value_is_cut_at_a_character),
        cmocka_unit_test(test_registering_the_same_again_gives_the_same),
        cmocka_unit_test(test_misuse_is_refused_with_its_reason),
        cmocka_unit_test(test_collected_metrics_are_asked_at_each_scrape),
        cmocka_unit_test(test_the_process_shows_itself),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

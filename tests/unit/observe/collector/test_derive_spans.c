/* Calls and durations of spans, over a real metric store and a clock moved by hand. */
#include "derive_fixture.h"

#include <math.h>
#include <pthread.h>

#include "base/fault.h"

static spanmetrics *open_metrics(fixture *f, const spanmetrics_settings *s)
{
    sx_error err = {0};
    spanmetrics *m;
    sx_status st = spanmetrics_new(s, &f->host, &m, &err);
    if (st != SX_OK)
        print_error("%s\n", err.message);
    assert_int_equal(st, SX_OK);
    return m;
}

static void flush(fixture *f, spanmetrics *m)
{
    sx_error err = {0};
    sx_fake_clock_advance(&f->clock, 15000);
    if (spanmetrics_flush(m, &err) != SX_OK)
        fail_msg("%s", err.message);
}

#define GET_CALLS                                                                                  \
    "traces_span_metrics_calls_total{service_name=\"shop\", span_kind=\"SPAN_KIND_SERVER\", "      \
    "span_name=\"GET /\", status_code=\"STATUS_CODE_UNSET\"}"
#define GET_BUCKET(le)                                                                             \
    "traces_span_metrics_duration_milliseconds_bucket{le=\"" le                                    \
    "\", service_name=\"shop\", span_kind=\"SPAN_KIND_SERVER\", span_name=\"GET /\", "             \
    "status_code=\"STATUS_CODE_UNSET\"}"
#define GET_OF(suffix)                                                                             \
    "traces_span_metrics_duration_milliseconds_" suffix                                            \
    "{service_name=\"shop\", span_kind=\"SPAN_KIND_SERVER\", span_name=\"GET /\", "                \
    "status_code=\"STATUS_CODE_UNSET\"}"

static void test_spans_are_counted_by_what_they_are(void **state)
{
    fixture f;
    made in;
    spanmetrics_settings s;
    (void)state;
    fixture_open(&f);
    made_init(&in, "shop");
    add_span(&in, "GET /", SPAN_SERVER, 2, 1, 1, 0);
    add_span(&in, "GET /", SPAN_SERVER, 3, 2, 1, 0);
    add_span(&in, "GET /", SPAN_SERVER, 60000, 3, 1, 0);
    add_span(&in, "GET /", SPAN_SERVER, 5, 4, 1, 0)->status = SPAN_ERROR;
    span *backwards = add_span(&in, "GET /", SPAN_CLIENT, 5, 4, 1, 0);
    backwards->end_ns = backwards->start_ns - 1;
    spanmetrics_defaults(&s);
    spanmetrics *m = open_metrics(&f, &s);
    spanmetrics_take(m, in.batch);
    flush(&f, m);
    assert_true(last_of(&f, GET_CALLS) == 3);
    assert_true(last_of(&f, GET_BUCKET("2.0")) == 1);
    assert_true(last_of(&f, GET_BUCKET("4.0")) == 2);
    assert_true(last_of(&f, GET_BUCKET("15000.0")) == 2);
    assert_true(last_of(&f, GET_BUCKET("+Inf")) == 3);
    assert_true(last_of(&f, GET_OF("sum")) == 60005);
    assert_true(last_of(&f, GET_OF("count")) == 3);
    assert_true(last_of(&f, "traces_span_metrics_calls_total{service_name=\"shop\", "
                            "span_kind=\"SPAN_KIND_SERVER\", span_name=\"GET /\", "
                            "status_code=\"STATUS_CODE_ERROR\"}") == 1);
    assert_true(last_of(&f, "traces_span_metrics_duration_milliseconds_sum{service_name=\"shop\", "
                            "span_kind=\"SPAN_KIND_CLIENT\", span_name=\"GET /\", "
                            "status_code=\"STATUS_CODE_UNSET\"}") == 0);
    spanmetrics_take(m, in.batch);
    flush(&f, m);
    assert_true(last_of(&f, GET_CALLS) == 6);
    span_batch_unref(in.batch);
    spanmetrics_free(m);
    fixture_close(&f);
}

static void test_a_counter_begins_at_zero_and_again_after_a_restart(void **state)
{
    fixture f;
    made in;
    sx_arena arena;
    spanmetrics_settings s;
    (void)state;
    fixture_open(&f);
    sx_arena_init(&arena, 0, 0);
    made_init(&in, "shop");
    for (int i = 0; i < 10; i++)
        add_span(&in, "GET /", SPAN_SERVER, 2, 1, 1, 0);
    spanmetrics_defaults(&s);
    spanmetrics *m = open_metrics(&f, &s);
    spanmetrics_take(m, in.batch);
    flush(&f, m);
    found c = look(&f, &arena, GET_CALLS);
    assert_int_equal(c.count, 2);
    assert_true(c.first == 0 && c.last == 10);
    assert_int_equal(c.last_ms - c.first_ms, 15000);
    sx_fake_clock_advance(&f.clock, 1000);
    spanmetrics_free(m); /* flushes */
    sx_fake_clock_advance(&f.clock, 1000);
    m = open_metrics(&f, &s);
    spanmetrics_take(m, in.batch);
    flush(&f, m);
    c = look(&f, &arena, GET_CALLS);
    assert_int_equal(c.count, 5); /* 0 10 10 | 0 10: nothing is lost to increase() */
    assert_true(c.last == 10);
    span_batch_unref(in.batch);
    spanmetrics_free(m);
    sx_arena_done(&arena);
    fixture_close(&f);
}

static void test_too_many_keys_are_one_series(void **state)
{
    enum { NAMES = 5000 };
    static char names[NAMES][16];
    fixture f;
    made in;
    sx_arena arena;
    spanmetrics_settings s;
    (void)state;
    fixture_open(&f);
    sx_arena_init(&arena, 0, 0);
    made_init(&in, "shop");
    for (int i = 0; i < NAMES; i++) {
        snprintf(names[i], sizeof(names[i]), "op-%d", i);
        add_span(&in, names[i], SPAN_SERVER, 2, 1, 1, 0);
    }
    spanmetrics_defaults(&s);
    s.series_max = 100;
    spanmetrics *m = open_metrics(&f, &s);
    for (int i = 0; i < 3; i++)
        spanmetrics_take(m, in.batch);
    flush(&f, m);
    found all = look(&f, &arena, "traces_span_metrics_calls_total{otel_metric_overflow=\"true\"}");
    assert_true(all.last == 3 * (NAMES - 100));
    assert_int_equal(all.series, 101 * (1 + 17 + 2));
    span_batch_unref(in.batch);
    spanmetrics_free(m);
    sx_arena_done(&arena);
    fixture_close(&f);
}

static void test_dimensions_come_from_the_span_the_resource_or_the_default(void **state)
{
    static const span_attr OF_SPAN[] = {INT_ATTR("http.status_code", 404), INT_ATTR("n", 7),
                                        TEXT_ATTR("region", "eu")},
                           OF_RESOURCE[] = {TEXT_ATTR("region", "us"), TEXT_ATTR("host.name", "a")};
    static const derive_dimension DIMENSIONS[] = {{SX_STR_INIT("http.status_code"), {0}, false},
                                                  {SX_STR_INIT("region"), {0}, false},
                                                  {SX_STR_INIT("host.name"), {0}, false},
                                                  {SX_STR_INIT("absent"), {0}, false},
                                                  {SX_STR_INIT("n"), {0}, false},
                                                  {SX_STR_INIT("1st"), SX_STR_INIT("x"), true}};
    static const sx_str EXCLUDED[] = {SX_STR_INIT("span.kind"), SX_STR_INIT("status.code")};
    fixture f;
    made in;
    spanmetrics_settings s;
    (void)state;
    fixture_open(&f);
    made_init(&in, "shop");
    in.resource.attrs = ATTRS(OF_RESOURCE);
    add_span(&in, "a", SPAN_SERVER, 2, 1, 1, 0)->attrs = ATTRS(OF_SPAN);
    add_span(&in, "a", SPAN_CLIENT, 2, 1, 1, 0);
    spanmetrics_defaults(&s);
    s.dimensions = (derive_dimensions){DIMENSIONS, SX_COUNT_OF(DIMENSIONS)};
    s.exclude_dimensions = (derive_names){EXCLUDED, 2};
    s.prefix = SX_STR("");
    s.histogram.disable = true;
    spanmetrics *m = open_metrics(&f, &s);
    spanmetrics_take(m, in.batch);
    flush(&f, m);
    assert_true(last_of(&f, "calls_total{host_name=\"a\", http_status_code=\"404\", "
                            "key_1st=\"x\", n=\"7\", region=\"eu\", service_name=\"shop\", "
                            "span_name=\"a\"}") == 1);
    assert_true(last_of(&f, "calls_total{host_name=\"a\", key_1st=\"x\", region=\"us\", "
                            "service_name=\"shop\", span_name=\"a\"}") == 1);
    span_batch_unref(in.batch);
    spanmetrics_free(m);
    fixture_close(&f);
}

static void test_an_exemplar_leads_to_the_trace(void **state)
{
    fixture f;
    made in;
    sx_arena arena;
    sx_error err = {0};
    spanmetrics_settings s;
    tsdb_exemplars_of *got;
    size_t count;
    tsdb_matcher m;
    (void)state;
    fixture_open(&f);
    sx_arena_init(&arena, 0, 0);
    made_init(&in, "shop");
    add_span(&in, "GET /", SPAN_SERVER, 3, 0xab, 0xcd, 0);
    add_span(&in, "GET /", SPAN_SERVER, 3, 0xac, 0xcd, 0);
    spanmetrics_defaults(&s);
    s.exemplars = true;
    spanmetrics *sm = open_metrics(&f, &s);
    spanmetrics_take(sm, in.batch);
    flush(&f, sm);
    assert_int_equal(tsdb_matcher_init(&m, TSDB_MATCH_EQUAL, SX_STR("le"), SX_STR("4.0"), &err),
                     SX_OK);
    const tsdb_matcher *sets[] = {&m};
    const size_t counts[] = {1};
    assert_int_equal(
        tsdb_exemplars(f.db, 0, INT64_MAX, sets, counts, 1, &arena, &got, &count, &err), SX_OK);
    assert_int_equal(count, 1);
    assert_int_equal(got[0].count, 1); /* one a bucket and flush */
    assert_true(got[0].items[0].value == 3);
    assert_true(sx_str_eq(tsdb_labels_get(got[0].items[0].labels, SX_STR("trace_id")),
                          SX_STR("abababababababababababababababab")));
    assert_true(sx_str_eq(tsdb_labels_get(got[0].items[0].labels, SX_STR("span_id")),
                          SX_STR("cdcdcdcdcdcdcdcd")));
    tsdb_matcher_done(&m);
    span_batch_unref(in.batch);
    spanmetrics_free(sm);
    sx_arena_done(&arena);
    fixture_close(&f);
}

#define NATIVE                                                                                     \
    "traces_span_metrics_duration_seconds{service_name=\"shop\", "                                 \
    "span_kind=\"SPAN_KIND_SERVER\", span_name=\"GET /\", status_code=\"STATUS_CODE_UNSET\"}"

/* What lies in a bucket must lie between its bounds, whatever the scale has become. */
static void test_exponential_buckets_hold_what_fell_into_them(void **state)
{
    fixture f;
    made in;
    sx_arena arena;
    spanmetrics_settings s;
    (void)state;
    fixture_open(&f);
    sx_arena_init(&arena, 0, 0);
    made_init(&in, "shop");
    for (uint64_t ms = 1; ms <= 4096; ms *= 2)
        add_span(&in, "GET /", SPAN_SERVER, ms, 1, 1, 0);
    add_span(&in, "GET /", SPAN_SERVER, 0, 1, 1, 0);
    spanmetrics_defaults(&s);
    s.histogram.exponential = true;
    s.histogram.max_size = 20;
    s.histogram.unit = SPANMETRICS_S;
    spanmetrics *m = open_metrics(&f, &s);
    spanmetrics_take(m, in.batch);
    flush(&f, m);
    spanmetrics_take(m, in.batch);
    flush(&f, m);
    found c = look(&f, &arena, NATIVE);
    assert_true(c.histogram);
    assert_true(c.h.count == 28 && c.h.zero_count == 2);
    assert_int_equal(c.h.schema, 0); /* 13 powers of two in 20 buckets */
    assert_true(fabs(c.h.sum - 2 * 8.191) < 1e-9);
    tsdb_bucket buckets[64];
    uint32_t n = tsdb_histogram_buckets(&c.h, buckets);
    for (uint64_t ms = 1; ms <= 4096; ms *= 2) {
        double v = (double)ms / 1000, in_it = 0;
        for (uint32_t i = 0; i < n; i++)
            if (v > buckets[i].lower && v <= buckets[i].upper)
                in_it += buckets[i].count;
        assert_true(in_it == 2);
    }
    span_batch_unref(in.batch);
    spanmetrics_free(m);
    sx_arena_done(&arena);
    fixture_close(&f);
}

static void test_what_is_not_seen_any_more_ends(void **state)
{
    fixture f;
    made in, other;
    sx_arena arena;
    spanmetrics_settings s;
    (void)state;
    fixture_open(&f);
    sx_arena_init(&arena, 0, 0);
    made_init(&in, "shop");
    made_init(&other, "other");
    add_span(&in, "GET /", SPAN_SERVER, 2, 1, 1, 0);
    add_span(&other, "GET /", SPAN_SERVER, 2, 1, 1, 0);
    spanmetrics_defaults(&s);
    s.expiration_ms = 60000;
    spanmetrics *m = open_metrics(&f, &s);
    spanmetrics_take(m, in.batch);
    for (int i = 0; i < 6; i++) {
        spanmetrics_take(m, other.batch);
        flush(&f, m);
    }
    found c = look(&f, &arena, GET_CALLS);
    assert_true(tsdb_is_stale(c.last));
    assert_true(last_of(&f, "traces_span_metrics_calls_total{service_name=\"other\", "
                            "span_kind=\"SPAN_KIND_SERVER\", span_name=\"GET /\", "
                            "status_code=\"STATUS_CODE_UNSET\"}") == 6);
    spanmetrics_take(m, in.batch);
    flush(&f, m);
    assert_true(last_of(&f, GET_CALLS) == 1); /* a new counter */
    span_batch_unref(in.batch);
    span_batch_unref(other.batch);
    spanmetrics_free(m);
    sx_arena_done(&arena);
    fixture_close(&f);
}

static void test_events_scopes_and_resources_have_labels(void **state)
{
    static const span_attr OF_EVENT[] = {TEXT_ATTR("exception.type", "Oops")},
                           OF_RESOURCE[] = {TEXT_ATTR("service.namespace", "eu"),
                                            TEXT_ATTR("service.instance.id", "i-1")};
    static const span_event EVENTS[] = {{1, SX_STR_INIT("exception"), {OF_EVENT, 1, 0}},
                                        {1, SX_STR_INIT("exception"), {OF_EVENT, 1, 0}}};
    static const derive_dimension DIMENSIONS[] = {{SX_STR_INIT("exception.type"), {0}, false}};
    static const sx_str SCOPES[] = {SX_STR_INIT("lib")};
    fixture f;
    made in;
    spanmetrics_settings s;
    (void)state;
    fixture_open(&f);
    made_init(&in, "shop");
    in.resource.attrs = ATTRS(OF_RESOURCE);
    in.scope = (span_scope){.name = SX_STR("lib"), .version = SX_STR("1.2")};
    span *one = add_span(&in, "a", SPAN_SERVER, 2, 1, 1, 0);
    one->events = EVENTS;
    one->event_count = 2;
    spanmetrics_defaults(&s);
    s.events = true;
    s.event_dimensions = (derive_dimensions){DIMENSIONS, 1};
    s.scopes = (derive_names){SCOPES, 1};
    s.resource_attributes = true;
    spanmetrics *m = open_metrics(&f, &s);
    spanmetrics_take(m, in.batch);
    flush(&f, m);
    assert_true(last_of(&f, "traces_span_metrics_events_total{exception_type=\"Oops\", "
                            "instance=\"i-1\", job=\"eu/shop\", service_name=\"shop\", "
                            "span_instrumentation_scope_name=\"lib\", "
                            "span_instrumentation_scope_version=\"1.2\", "
                            "span_kind=\"SPAN_KIND_SERVER\", span_name=\"a\", "
                            "status_code=\"STATUS_CODE_UNSET\"}") == 2);
    span_batch_unref(in.batch);
    spanmetrics_free(m);
    fixture_close(&f);
}

static void test_settings_that_make_no_sense_are_told(void **state)
{
    static const uint64_t FALLING[] = {2, 1};
    fixture f;
    sx_error err = {0};
    spanmetrics *m;
    spanmetrics_settings s;
    (void)state;
    fixture_open(&f);
    spanmetrics_defaults(&s);
    s.histogram.buckets = (derive_buckets){FALLING, 2};
    assert_int_equal(spanmetrics_new(&s, &f.host, &m, &err), SX_EINVAL);
    assert_non_null(strstr(err.message, "number 2"));
    spanmetrics_defaults(&s);
    s.histogram.has_explicit = s.histogram.exponential = true;
    assert_int_equal(spanmetrics_new(&s, &f.host, &m, &err), SX_EINVAL);
    spanmetrics_defaults(&s);
    s.events = true;
    assert_int_equal(spanmetrics_new(&s, &f.host, &m, &err), SX_EINVAL);
    const derive_dimension twice[] = {{SX_STR("service.name"), {0}, false}};
    spanmetrics_defaults(&s);
    s.dimensions = (derive_dimensions){twice, 1};
    assert_int_equal(spanmetrics_new(&s, &f.host, &m, &err), SX_EINVAL);
    assert_string_equal(err.message, "duplicate dimension name service.name");
    fixture_close(&f);
}

typedef struct taker {
    spanmetrics *m;
    span_batch *b;
    int times;
} taker;

static void *take_many(void *arg)
{
    taker *t = arg;
    for (int i = 0; i < t->times; i++)
        spanmetrics_take(t->m, t->b);
    return NULL;
}

static void test_threads_lose_no_span(void **state)
{
    enum { THREADS = 4, TIMES = 300 };
    fixture f;
    made in;
    spanmetrics_settings s;
    pthread_t threads[THREADS];
    (void)state;
    fixture_open(&f);
    made_init(&in, "shop");
    for (int i = 0; i < 50; i++)
        add_span(&in, "GET /", SPAN_SERVER, (uint64_t)i, 1, 1, 0);
    spanmetrics_defaults(&s);
    s.exemplars = true;
    s.expiration_ms = 1; /* rows leave meanwhile, too */
    spanmetrics *m = open_metrics(&f, &s);
    taker t = {m, in.batch, TIMES};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &t), 0);
    for (int i = 0; i < 20; i++)
        flush(&f, m);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    flush(&f, m);
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    assert_true(look(&f, &arena, GET_CALLS).count > 0);
    sx_arena_done(&arena);
    span_batch_unref(in.batch);
    spanmetrics_free(m);

    s.expiration_ms = 0;
    s.prefix = SX_STR("again");
    m = open_metrics(&f, &s);
    made_init(&in, "shop");
    add_span(&in, "x", SPAN_SERVER, 1, 1, 1, 0);
    t = (taker){m, in.batch, TIMES};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &t), 0);
    for (int i = 0; i < 5; i++)
        flush(&f, m);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    flush(&f, m);
    assert_true(last_of(&f, "again_calls_total{service_name=\"shop\", "
                            "span_kind=\"SPAN_KIND_SERVER\", span_name=\"x\", "
                            "status_code=\"STATUS_CODE_UNSET\"}") == THREADS * TIMES);
    span_batch_unref(in.batch);
    spanmetrics_free(m);
    fixture_close(&f);
}

/* Flushes that found nothing to write have told nobody what the metrics are. */
static void test_metrics_are_described_whenever_the_first_span_comes(void **state)
{
    fixture f;
    made in;
    sx_arena arena;
    spanmetrics_settings s;
    tsdb_metadata_of *told;
    size_t count;
    sx_error err = {0};
    (void)state;
    fixture_open(&f);
    sx_arena_init(&arena, 0, 0);
    made_init(&in, "shop");
    add_span(&in, "GET /", SPAN_SERVER, 2, 1, 1, 0);
    spanmetrics_defaults(&s);
    spanmetrics *m = open_metrics(&f, &s);
    flush(&f, m);
    flush(&f, m);
    spanmetrics_take(m, in.batch);
    flush(&f, m);
    assert_int_equal(tsdb_metadata_read(f.db, SX_STR("traces_span_metrics_calls_total"), 0, &arena,
                                        &told, &count, &err),
                     SX_OK);
    assert_int_equal(count, 1);
    assert_true(sx_str_eq(told->metadata.type, SX_STR("counter")));
    span_batch_unref(in.batch);
    spanmetrics_free(m);
    sx_arena_done(&arena);
    fixture_close(&f);
}

/* Without memory spans are counted in the overflow, or a flush fails and the next one makes up for it. */
static void test_memory_that_fails_loses_no_span(void **state)
{
    fixture f;
    made in;
    sx_arena arena;
    spanmetrics_settings s;
    (void)state;
    fixture_open(&f);
    sx_arena_init(&arena, 0, 0);
    made_init(&in, "shop");
    for (int i = 0; i < 4; i++)
        add_span(&in, i % 2 ? "a" : "b", SPAN_SERVER, 1, 1, 1, 0);
    spanmetrics_defaults(&s);
    s.exemplars = true;
    s.histogram.disable = true;
    for (int64_t nth = 1;; nth++) {
        char prefix[32], text[256];
        double sum = 0;
        sx_error err = {0};
        spanmetrics *m;
        snprintf(prefix, sizeof(prefix), "p%d", (int)nth);
        s.prefix = sx_str_z(prefix);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = spanmetrics_new(&s, &f.host, &m, &err);
        if (st == SX_OK) {
            spanmetrics_take(m, in.batch);
            sx_fake_clock_advance(&f.clock, 15000);
            (void)spanmetrics_flush(m, &err);
        } else {
            assert_int_equal(st, SX_ENOMEM);
        }
        bool reached = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (st != SX_OK)
            continue;
        flush(&f, m);
        const char *const rows[] = {"otel_metric_overflow=\"true\"",
                                    "service_name=\"shop\", span_kind=\"SPAN_KIND_SERVER\", "
                                    "span_name=\"a\", status_code=\"STATUS_CODE_UNSET\"",
                                    "service_name=\"shop\", span_kind=\"SPAN_KIND_SERVER\", "
                                    "span_name=\"b\", status_code=\"STATUS_CODE_UNSET\""};
        for (size_t i = 0; i < SX_COUNT_OF(rows); i++) {
            snprintf(text, sizeof(text), "%s_calls_total{%s}", prefix, rows[i]);
            found c = look(&f, &arena, text);
            sum += c.last > 0 ? c.last : 0;
        }
        assert_true(sum == 4);
        spanmetrics_free(m);
        if (!reached)
            break;
    }
    span_batch_unref(in.batch);
    sx_arena_done(&arena);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans_are_counted_by_what_they_are),
        cmocka_unit_test(test_a_counter_begins_at_zero_and_again_after_a_restart),
        cmocka_unit_test(test_too_many_keys_are_one_series),
        cmocka_unit_test(test_dimensions_come_from_the_span_the_resource_or_the_default),
        cmocka_unit_test(test_an_exemplar_leads_to_the_trace),
        cmocka_unit_test(test_exponential_buckets_hold_what_fell_into_them),
        cmocka_unit_test(test_what_is_not_seen_any_more_ends),
        cmocka_unit_test(test_events_scopes_and_resources_have_labels),
        cmocka_unit_test(test_settings_that_make_no_sense_are_told),
        cmocka_unit_test(test_threads_lose_no_span),
        cmocka_unit_test(test_metrics_are_described_whenever_the_first_span_comes),
        cmocka_unit_test(test_memory_that_fails_loses_no_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

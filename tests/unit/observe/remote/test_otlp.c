/* test_otlp.c - OTLP metrics into a real database: names, what is rejected and what stays, merged
 * buckets, target_info; bad bytes and failing memory. What Prometheus makes of the same requests is
 * compared in tests/e2e/test_observe_otlp.py. */
#include "tests/unit/observe/remote/fixture.h"

#include "base/fault.h"
#include "observe/remote/otlp.h"
#include "telemetry/otlp_json.h"

/* The times in the requests below: 1700000000 s. */
#define T "\"timeUnixNano\":\"1700000000000000000\""

static const prom_otlp_config PLAIN = {.name_sanitization = true, .keep_underscores = true};

/* A request of one resource and the metrics given as JSON. */
static sx_str request(fixture *f, const char *resource, const char *metrics)
{
    sx_buf_clear(&f->plain);
    sx_buf_printf(&f->plain,
                  "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[%s]},"
                  "\"scopeMetrics\":[{\"scope\":{\"name\":\"lib\"},\"metrics\":[%s]}]}]}",
                  resource, metrics);
    return sx_buf_view(&f->plain);
}

static remote_otlp_result send(fixture *f, const prom_otlp_config *config, sx_str body)
{
    sx_buf_clear(&f->messages);
    remote_otlp_result out = {.message = &f->messages};
    assert_int_equal(remote_otlp_metrics(f->w, config, body, true, &out, &f->err), SX_OK);
    return out;
}

static const char SERVICE[] = "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}},"
                              "{\"key\":\"host.name\",\"value\":{\"stringValue\":\"h\"}}";

static const char EVERY_KIND[] =
    "{\"name\":\"g\",\"unit\":\"1\",\"gauge\":{\"dataPoints\":[{" T ",\"asDouble\":1.5,"
    "\"attributes\":[{\"key\":\"a.b\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":\"1\"},"
    "{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":{\"boolValue\":true}}]}}]}}}]}]}},"
    "{\"name\":\"c\",\"unit\":\"By/s\",\"sum\":{\"isMonotonic\":true,\"aggregationTemporality\":2,"
    "\"dataPoints\":[{" T ",\"asInt\":\"7\",\"exemplars\":[{" T ",\"asDouble\":1,\"traceId\":"
    "\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"0102030405060708\"}]}]}},"
    "{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" T
    ",\"count\":\"3\",\"sum\":2,\"bucketCounts\":[\"1\",\"2\"],\"explicitBounds\":[0.5]}]}},"
    "{\"name\":\"e\",\"exponentialHistogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" T
    ",\"count\":\"7\",\"sum\":2,\"scale\":9,\"zeroCount\":\"0\",\"positive\":{\"offset\":-3,"
    "\"bucketCounts\":[\"1\",\"0\",\"0\",\"2\",\"4\"]}}]}},"
    "{\"name\":\"s\",\"summary\":{\"dataPoints\":[{" T ",\"count\":\"2\",\"sum\":1,"
    "\"quantileValues\":[{\"quantile\":0.5,\"value\":4}]}]}}";

static void assert_stored(fixture *f, const char *metric, const char *labels, double value)
{
    tsdb_columns c;
    sx_buf text;
    sx_buf_init(&text, 0);
    assert_int_equal(read_back(f, metric, &c, &text), 1);
    assert_int_equal(c.count, 1);
    assert_true(c.v[0] == value);
    sx_buf_byte(&text, 0);
    assert_string_equal(text.data, labels);
    sx_buf_done(&text);
    tsdb_columns_done(&c);
}

static void test_every_kind_of_metric_is_stored(void **state)
{
    fixture *f = *state;
    for (int again = 0; again < 2; again++) { /* the second time by the cache */
        remote_otlp_result out = send(f, &PLAIN, request(f, SERVICE, EVERY_KIND));
        assert_int_equal(out.rejected, 0);
        assert_int_equal(out.accepted, 10);
        assert_int_equal(f->messages.len, 0);
    }
    assert_stored(f, "g_ratio",
                  "{__name__=\"g_ratio\", a_b=\"[1,{\\\"k\\\":true}]\", job=\"shop\"}", 1.5);
    assert_stored(f, "c_bytes_per_second_total",
                  "{__name__=\"c_bytes_per_second_total\", job=\"shop\"}", 7);
    assert_stored(f, "h_sum", "{__name__=\"h_sum\", job=\"shop\"}", 2);
    assert_stored(f, "s", "{__name__=\"s\", job=\"shop\", quantile=\"0.5\"}", 4);
    assert_stored(f, "target_info", "{__name__=\"target_info\", host_name=\"h\", job=\"shop\"}", 1);
    tsdb_columns c;
    assert_int_equal(read_back(f, "h_bucket", &c, NULL), 2);
    assert_true(c.v[0] == 3 && c.v[1] == 1); /* +Inf sorts first */
    tsdb_columns_done(&c);
}

static void test_finer_buckets_are_merged_where_they_belong(void **state)
{
    fixture *f = *state;
    tsdb_columns c;
    send(f, &PLAIN, request(f, SERVICE, EVERY_KIND));
    assert_int_equal(read_back(f, "e", &c, NULL), 1);
    const tsdb_histogram *h = c.h[0];
    assert_int_equal(h->schema, 8);
    /* Indices -3, 0 and 1 of scale 9 are in buckets -1 and 1 of scale 8: (1, base] is 1. */
    tsdb_bucket buckets[8];
    uint32_t count = tsdb_histogram_buckets(h, buckets);
    double found[2] = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (buckets[i].index == -1 && buckets[i].lower > 0)
            found[0] = buckets[i].count;
        if (buckets[i].lower == 1)
            found[1] = buckets[i].count;
    }
    assert_true(found[0] == 1 && found[1] == 6);
    tsdb_columns_done(&c);
}

static void test_what_is_bad_is_rejected_and_the_rest_stored(void **state)
{
    fixture *f = *state;
    remote_otlp_result out =
        send(f, &PLAIN,
             request(f, SERVICE,
                     "{\"name\":\"d\",\"sum\":{\"isMonotonic\":true,\"aggregationTemporality\":1,"
                     "\"dataPoints\":[{" T ",\"asInt\":\"1\"},{" T ",\"asInt\":\"2\"}]}},"
                     "{\"name\":\"...\",\"gauge\":{\"dataPoints\":[{" T ",\"asInt\":\"1\"}]}},"
                     "{\"name\":\"e\",\"exponentialHistogram\":{\"aggregationTemporality\":2,"
                     "\"dataPoints\":[{" T ",\"count\":\"1\",\"scale\":-5}]}},"
                     "{\"name\":\"none\",\"gauge\":{\"dataPoints\":[]}},"
                     "{\"name\":\"good\",\"gauge\":{\"dataPoints\":[{" T ",\"asInt\":\"1\"}]}}"));
    assert_int_equal(out.rejected, 4);
    assert_int_equal(out.accepted, 1);
    assert_int_equal(out.warnings, 1);
    static const char WORDS[] =
        "invalid temporality and type combination for metric \"d\"\n"
        "normalization for metric \"...\" resulted in empty name\n"
        "cannot convert exponential to native histogram. Scale must be >= -4, was -5";
    assert_int_equal(f->messages.len, sizeof WORDS - 1);
    assert_memory_equal(f->messages.data, WORDS, sizeof WORDS - 1);
    assert_stored(f, "good", "{__name__=\"good\", job=\"shop\"}", 1);
}

static void test_names_follow_the_strategy(void **state)
{
    static const struct {
        const char *name, *unit, *want[4]; /* by strategy */
        otlp_kind kind;
    } CASES[] = {
        {"http.server.duration",
         "s",
         {"http_server_duration_seconds", "http.server.duration_seconds", "http_server_duration",
          "http.server.duration"},
         OTLP_HISTOGRAM},
        {"total.x",
         "By/s",
         {"x_bytes_per_second_total", "total.x_bytes_per_second_total", "total_x", "total.x"},
         OTLP_SUM},
        {"9.ratio", "1", {"_9_ratio", "9_ratio", "_9_ratio", "9.ratio"}, OTLP_GAUGE},
        {"a__b", "{things}", {"a_b", "a__b", "a__b", "a__b"}, OTLP_GAUGE},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        for (unsigned k = 0; k < 4; k++) {
            prom_otlp_config config = {.strategy = (prom_otlp_strategy)k};
            sx_str got;
            assert_int_equal(otlp_metric_name(&config, &f->arena, sx_str_z(CASES[i].name),
                                              sx_str_z(CASES[i].unit), CASES[i].kind, true, &got,
                                              &f->err),
                             SX_OK);
            assert_int_equal(got.len, strlen(CASES[i].want[k]));
            assert_memory_equal(got.data, CASES[i].want[k], got.len);
        }
}

static void test_target_info_is_repeated_over_the_time_of_the_request(void **state)
{
    fixture *f = *state;
    tsdb_columns c;
    send(f, &PLAIN,
         request(f, SERVICE,
                 "{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{" T ",\"asInt\":\"1\"},"
                 "{\"timeUnixNano\":\"1699999600000000000\",\"asInt\":\"2\"}]}}"));
    assert_int_equal(read_back(f, "target_info", &c, NULL), 1);
    assert_int_equal(c.count, 4); /* 400 s: at 0, 150, 300 and the end */
    assert_int_equal(c.t[0], NOW_MS - 400000);
    assert_int_equal(c.t[1], NOW_MS - 250000);
    assert_int_equal(c.t[3], NOW_MS);
    tsdb_columns_done(&c);
}

static void as_protobuf(sx_str json, sx_buf *out)
{
    sx_json r;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_json_init(&r, json, &(sx_json_options){.arena = &arena});
    assert_int_equal(sx_otlp_json_read(&sx_otlp_metrics_data, &r, out, NULL), SX_OK);
    sx_arena_done(&arena);
}

static void test_a_request_cut_anywhere_is_an_error(void **state)
{
    fixture *f = *state;
    sx_buf body;
    remote_otlp_result out = {0};
    sx_buf_init(&body, 0);
    sx_str json = request(f, SERVICE, EVERY_KIND);
    as_protobuf(json, &body);
    for (size_t cut = 1; cut < body.len; cut++)
        assert_int_equal(
            remote_otlp_metrics(f->w, &PLAIN, sx_str_of(body.data, cut), false, &out, &f->err),
            SX_EFORMAT);
    for (size_t cut = 0; cut < json.len; cut++)
        assert_int_equal(
            remote_otlp_metrics(f->w, &PLAIN, sx_str_first(json, cut), true, &out, &f->err),
            SX_EFORMAT);
    tsdb_columns c;
    assert_int_equal(read_back(f, "g_ratio", &c, NULL) ? c.count : 0, 0);
    tsdb_columns_done(&c);
    sx_buf_done(&body);
}

/* A delta of a counter, and of an exponential histogram whose zero bucket is `zero` wide. */
static sx_str deltas(fixture *f, int64_t t_s, int value, double zero)
{
    char metrics[1024];
    snprintf(metrics, sizeof metrics,
             "{\"name\":\"c\",\"sum\":{\"isMonotonic\":true,\"aggregationTemporality\":1,"
             "\"dataPoints\":[{\"timeUnixNano\":\"%lld000000000\",\"asInt\":\"%d\"}]}},"
             "{\"name\":\"e\",\"exponentialHistogram\":{\"aggregationTemporality\":1,"
             "\"dataPoints\":[{\"timeUnixNano\":\"%lld000000000\",\"count\":\"6\",\"sum\":1,"
             "\"scale\":0,\"zeroThreshold\":%g,\"zeroCount\":\"1\",\"positive\":{\"offset\":-2,"
             "\"bucketCounts\":[\"2\",\"3\"]}}]}}",
             (long long)t_s, value, (long long)t_s, zero);
    return request(f, SERVICE, metrics);
}

static void test_deltas_add_up_until_a_stream_is_silent(void **state)
{
    fixture *f = *state;
    remote_deltas *d;
    remote_writer *first = f->w;
    assert_int_equal(
        remote_deltas_new(&(remote_deltas_options){.clock = &f->clock.clock}, &d, &f->err), SX_OK);
    remote_limits limits = {.clock = &f->clock.clock, .deltas = d};
    remote_writer *writers[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            remote_writer_new(tsdb_appendable_of(f->db), &limits, &writers[i], &f->err), SX_OK);
    for (int i = 0; i < 4; i++) { /* two writers share the streams */
        f->w = writers[i % 2];
        remote_otlp_result out = send(f, &PLAIN, deltas(f, NOW - 400 + i, 5, i == 3 ? 0.5 : 0));
        assert_int_equal(out.rejected, 0);
    }
    assert_int_equal(send(f, &PLAIN, deltas(f, NOW - 400, 5, 0)).rejected, 2); /* late */
    sx_fake_clock_advance(&f->clock, 5 * 60 * 1000 + 1);
    assert_int_equal(send(f, &PLAIN, deltas(f, NOW - 10, 7, 0)).rejected, 0);

    tsdb_columns c;
    assert_int_equal(read_back(f, "c_total", &c, NULL), 1);
    assert_int_equal(c.count, 5);
    for (int i = 0; i < 5; i++)
        assert_true(c.v[i] == (i < 4 ? 5 * (i + 1) : 7));
    tsdb_columns_done(&c);
    assert_int_equal(read_back(f, "e", &c, NULL), 1);
    assert_int_equal(c.count, 5);
    /* (0.25, 0.5] of the first three lies in the zero bucket that the fourth point has. */
    assert_true(c.h[2]->zero_count == 3 && c.h[3]->zero_count == 4 + 3 * 2);
    assert_true(c.h[3]->count == 24 && c.h[4]->count == 6);
    tsdb_columns_done(&c);
    for (int i = 0; i < 2; i++)
        remote_writer_free(writers[i]);
    remote_deltas_free(d);
    f->w = first;
}

/* A delta of an exponential histogram with `count` buckets of one each from `offset` on. */
static sx_str wide_delta(fixture *f, int64_t t_s, int scale, int offset, int count)
{
    char metrics[4096];
    int at = snprintf(metrics, sizeof metrics,
                      "{\"name\":\"w\",\"exponentialHistogram\":{\"aggregationTemporality\":1,"
                      "\"dataPoints\":[{\"timeUnixNano\":\"%lld000000000\",\"count\":\"%d\","
                      "\"sum\":1,\"scale\":%d,\"zeroThreshold\":\"Infinity\","
                      "\"positive\":{\"offset\":%d,\"bucketCounts\":[",
                      (long long)t_s, count, scale, offset);
    for (int i = 0; i < count; i++)
        at += snprintf(metrics + at, sizeof metrics - (size_t)at, "%s\"1\"", i ? "," : "");
    snprintf(metrics + at, sizeof metrics - (size_t)at, "]}}]}}");
    return request(f, SERVICE, metrics);
}

/* Scales far apart, more buckets than a stream keeps, indexes at the end of their range. */
static void test_deltas_of_any_scale_are_taken_or_refused(void **state)
{
    static const struct {
        int scale, offset, count;
        uint64_t rejected;
    } POINTS[] = {
        {60, 0, 4, 0},          {-4, 0, 400, 1}, /* 400 buckets: the sum ends, and begins anew */
        {INT32_MIN, 0, 4, 1},   {20, INT32_MAX - 1, 400, 0},
        {INT32_MAX, 0, 400, 0}, {-4, 0, 400, 1},
        {0, INT32_MIN, 4, 0},
    };
    fixture *f = *state;
    remote_deltas *d;
    assert_int_equal(
        remote_deltas_new(&(remote_deltas_options){.clock = &f->clock.clock}, &d, &f->err), SX_OK);
    f->w->limits.deltas = d;
    for (size_t i = 0; i < sizeof POINTS / sizeof *POINTS; i++) {
        sx_str body = wide_delta(f, NOW - 100 + (int64_t)i, POINTS[i].scale, POINTS[i].offset,
                                 POINTS[i].count);
        assert_int_equal(send(f, &PLAIN, body).rejected, POINTS[i].rejected);
    }
    f->w->limits.deltas = NULL;
    remote_deltas_free(d);
}

/* A first delta of more buckets than a stream may hold is folded as later ones are. */
static void test_a_wide_first_delta_is_folded(void **state)
{
    fixture *f = *state;
    remote_deltas *d;
    tsdb_columns c;
    assert_int_equal(
        remote_deltas_new(&(remote_deltas_options){.clock = &f->clock.clock}, &d, &f->err), SX_OK);
    f->w->limits.deltas = d;
    for (int i = 0; i < 2; i++)
        assert_int_equal(send(f, &PLAIN, wide_delta(f, NOW - 100 + i, 4, 0, 400)).rejected, 0);
    assert_int_equal(read_back(f, "w", &c, NULL), 1);
    assert_int_equal(c.count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(c.h[i]->schema, 2); /* 400 buckets become 200, and 100 */
        assert_true(c.h[i]->count == 400.0 * (double)(i + 1));
    }
    tsdb_columns_done(&c);
    f->w->limits.deltas = NULL;
    remote_deltas_free(d);
}

/* Deltas of the counters s<from>, s<from + 1>, ... */
static sx_str counters(fixture *f, int64_t t_s, int from, int count)
{
    char metrics[4096];
    int at = 0;
    for (int i = from; i < from + count; i++)
        at += snprintf(metrics + at, sizeof metrics - (size_t)at,
                       "%s{\"name\":\"s%d\",\"sum\":{\"isMonotonic\":true,"
                       "\"aggregationTemporality\":1,\"dataPoints\":[{\"timeUnixNano\":"
                       "\"%lld000000000\",\"asInt\":\"5\"}]}}",
                       i > from ? "," : "", i, (long long)t_s);
    return request(f, SERVICE, metrics);
}

/* What is over a bound is rejected by name; streams that are known go on, and silent ones make room. */
static void test_delta_streams_are_bounded_in_number_and_size(void **state)
{
    fixture *f = *state;
    remote_deltas *d;
    remote_deltas_options few = {.clock = &f->clock.clock, .streams_max = 4, .buckets_max = 100};
    assert_int_equal(remote_deltas_new(&few, &d, &f->err), SX_OK);
    f->w->limits.deltas = d;
    remote_otlp_result out = send(f, &PLAIN, counters(f, NOW - 400, 0, 6));
    assert_int_equal(out.rejected, 2);
    assert_non_null(memmem(f->messages.data, f->messages.len, "more than 4 delta streams", 25));
    assert_int_equal(send(f, &PLAIN, counters(f, NOW - 399, 0, 4)).rejected, 0);
    assert_int_equal(send(f, &PLAIN, counters(f, NOW - 398, 4, 2)).rejected, 2);
    sx_fake_clock_advance(&f->clock, 10 * 60 * 1000);
    assert_int_equal(send(f, &PLAIN, counters(f, NOW - 10, 4, 2)).rejected, 0);
    /* The first wide one may go beyond the bound of buckets, the next may not begin. */
    assert_int_equal(send(f, &PLAIN, wide_delta(f, NOW - 9, 4, 0, 120)).rejected, 0);
    out = send(f, &PLAIN, counters(f, NOW - 8, 9, 1));
    assert_int_equal(out.rejected, 1);
    assert_non_null(memmem(f->messages.data, f->messages.len, "more than 100 buckets", 21));
    f->w->limits.deltas = NULL;
    remote_deltas_free(d);
}

static void test_deltas_without_memory_are_errors(void **state)
{
    fixture *f = *state;
    for (int64_t n = 1;; n++) {
        remote_deltas *d = NULL;
        remote_writer *first = f->w;
        sx_buf message;
        sx_buf_init(&message, 0);
        remote_otlp_result out = {.message = &message};
        sx_str body = deltas(f, NOW - 100 + (n > 90 ? 90 : n), 5, 0.5);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status status =
            remote_deltas_new(&(remote_deltas_options){.clock = &f->clock.clock}, &d, &f->err);
        first->limits.deltas = d;
        for (int i = 0; i < 2 && status == SX_OK; i++)
            status = remote_otlp_metrics(first, &PLAIN, body, true, &out, &f->err);
        int64_t calls = sx_fault_alloc_calls();
        sx_fault_alloc_set((sx_fault_alloc){0});
        first->limits.deltas = NULL;
        remote_deltas_free(d);
        sx_buf_done(&message);
        assert_true(status == SX_OK || status == SX_ENOMEM);
        if (calls < n)
            break;
    }
}

static void test_failing_memory_is_an_error_and_no_more(void **state)
{
    fixture *f = *state;
    sx_buf body;
    sx_buf_init(&body, 0);
    as_protobuf(request(f, SERVICE, EVERY_KIND), &body);
    for (unsigned nhcb = 0; nhcb < 2; nhcb++)
        for (int64_t n = 1;; n++) {
            prom_otlp_config config = {.to_nhcb = nhcb, .promote_all = true, .promote_scope = true};
            remote_limits limits = {.clock = &f->clock.clock};
            remote_otlp_result out = {0};
            remote_writer *w;
            sx_fault_alloc_set((sx_fault_alloc){.nth = n});
            sx_status status = remote_writer_new(tsdb_appendable_of(f->db), &limits, &w, &f->err);
            if (status == SX_OK) {
                status = remote_otlp_metrics(w, &config, sx_buf_view(&body), false, &out, &f->err);
                remote_writer_free(w);
            }
            int64_t calls = sx_fault_alloc_calls();
            sx_fault_alloc_set((sx_fault_alloc){0});
            assert_true(status == SX_OK || status == SX_ENOMEM);
            if (calls < n)
                break;
        }
    sx_buf_done(&body);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_every_kind_of_metric_is_stored),
        TEST(test_finer_buckets_are_merged_where_they_belong),
        TEST(test_what_is_bad_is_rejected_and_the_rest_stored),
        TEST(test_names_follow_the_strategy),
        TEST(test_target_info_is_repeated_over_the_time_of_the_request),
        TEST(test_a_request_cut_anywhere_is_an_error),
        TEST(test_deltas_add_up_until_a_stream_is_silent),
        TEST(test_deltas_of_any_scale_are_taken_or_refused),
        TEST(test_a_wide_first_delta_is_folded),
        TEST(test_delta_streams_are_bounded_in_number_and_size),
        TEST(test_deltas_without_memory_are_errors),
        TEST(test_failing_memory_is_an_error_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_exporter_elastic.c - documents as Jaeger writes them, and answers of the bulk API read. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/base/cmocka_all.h"

#include <sextant/json.h>
#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/collector/exporter_elastic.h"
#include "tests/unit/observe/spans/sample.h"

static span_batch *sample(void)
{
    sx_error err;
    span_batch *b = span_batch_new(0);
    assert_non_null(b);
    assert_int_equal(span_batch_put(b, &SAMPLE_SPANS[0], &err), SX_OK);
    return b;
}

/* Writes the first sample span with those options; its document is the fourth line. */
static void write_sample(const elastic_options *o, sx_buf *out)
{
    span_batch *b = sample();
    elastic_services *seen = sx_calloc(1, sizeof(*seen));
    assert_non_null(seen);
    sx_buf_init(out, 0);
    assert_true(elastic_write(o, b, NULL, seen, NULL, out));
    sx_buf_byte(out, '\0');
    span_batch_unref(b);
    sx_free(seen);
}

static void assert_has(const sx_buf *b, const char *part)
{
    if (!strstr(b->data, part))
        fail_msg("no %s in %s", part, b->data);
}

static const elastic_options JAEGER = {.span_index = SX_STR_INIT("jaeger-span"),
                                       .service_index = SX_STR_INIT("jaeger-service")};

static void test_a_span_is_jaegers_document(void **state)
{
    sx_buf b;
    (void)state;
    write_sample(&JAEGER, &b);
    assert_has(&b, "{\"index\":{\"_index\":\"jaeger-service-2023-11-14\",\"_id\":\"");
    assert_has(&b, "{\"serviceName\":\"geocoder\",\"operationName\":\"GET /search\"}\n");
    assert_has(&b, "{\"index\":{\"_index\":\"jaeger-span-2023-11-14\",\"_id\":\""
                   "0102030405060708090a0b0c0d0e0f10_0101010101010101_");
    assert_null(strstr(b.data, "_0000000000000000\""));
    assert_has(&b,
               "{\"traceID\":\"0102030405060708090a0b0c0d0e0f10\",\"spanID\":\"0101010101010101\","
               "\"flags\":769,\"operationName\":\"GET /search\",\"references\":[{\"refType\":"
               "\"FOLLOWS_FROM\",\"traceID\":\"09090909090909090909090909090909\",\"spanID\":"
               "\"0808080808080808\"}],\"startTime\":1700000000000000,\"startTimeMillis\":"
               "1700000000000,\"duration\":1,\"tags\":[{\"key\":\"otel.scope.name\",\"type\":"
               "\"string\",\"value\":\"lib\"}");
    assert_has(&b, "{\"key\":\"http.status_code\",\"type\":\"int64\",\"value\":200}");
    assert_has(&b, "{\"key\":\"cache.hit\",\"type\":\"bool\",\"value\":true}");
    assert_has(&b, "{\"key\":\"ratio\",\"type\":\"float64\",\"value\":72.5}");
    assert_has(&b, "{\"key\":\"raw\",\"type\":\"binary\",\"value\":\"00ff7f\"}");
    assert_has(&b, "{\"key\":\"span.kind\",\"type\":\"string\",\"value\":\"server\"}");
    assert_has(&b, "{\"key\":\"error\",\"type\":\"bool\",\"value\":true}");
    assert_has(&b, "{\"key\":\"w3c.tracestate\",\"type\":\"string\",\"value\":\"vendor=1\"}");
    assert_has(&b,
               "\"logs\":[{\"timestamp\":1700000000000000,\"fields\":[{\"key\":\"event\",\"type\":"
               "\"string\",\"value\":\"exception\"}");
    assert_has(
        &b, "\"process\":{\"serviceName\":\"geocoder\",\"tags\":[{\"key\":\"host.name\",\"type\":"
            "\"string\",\"value\":\"box-1\"}]}}\n");
    sx_buf_done(&b);
}

static void test_tags_as_fields(void **state)
{
    sx_buf b;
    elastic_options o = JAEGER;
    (void)state;
    o.all_tags_as_fields = true;
    write_sample(&o, &b);
    assert_has(&b, "\"tags\":[{\"key\":\"raw\",\"type\":\"binary\",\"value\":\"00ff7f\"}],\"tag\":{"
                   "\"otel@scope@name\":\"lib\"");
    assert_has(&b, "\"http@status_code\":200");
    assert_has(&b, "\"tags\":[],\"tag\":{\"host@name\":\"box-1\"}}}");
    sx_buf_done(&b);
}

static void test_a_data_stream_has_a_time_and_no_day(void **state)
{
    sx_buf b;
    elastic_options o = JAEGER;
    (void)state;
    o.data_stream = true;
    write_sample(&o, &b);
    assert_has(&b, "\"_index\":\"jaeger-service-2023-11-14\"");
    assert_has(&b, "{\"create\":{\"_index\":\"jaeger-span\",");
    assert_has(&b, "\"@timestamp\":\"2023-11-14T22:13:20.000000000Z\"");
    sx_buf_done(&b);
}

/* The same span gives the same id, so that sending it again writes it once. */
static void test_ids_are_made_from_what_is_said(void **state)
{
    sx_buf a, b;
    (void)state;
    write_sample(&JAEGER, &a);
    write_sample(&JAEGER, &b);
    assert_string_equal(a.data, b.data);
    sx_buf_done(&a);
    sx_buf_done(&b);
}

static void test_every_line_is_json(void **state)
{
    sx_buf b;
    sx_str rest, line;
    sx_error err;
    (void)state;
    write_sample(&JAEGER, &b);
    rest = sx_str_of(b.data, b.len - 1);
    for (int lines = 0; rest.len; lines++) {
        sx_json r;
        assert_true(sx_str_cut(rest, '\n', &line, &rest) || !rest.len);
        sx_json_init(&r, line, NULL);
        assert_int_equal(sx_json_finish(&r, &err), SX_OK);
        assert_true(lines < 4);
    }
    sx_buf_done(&b);
}

static void test_templates_are_json_for_both_apis(void **state)
{
    sx_error err;
    (void)state;
    for (int i = 0; i < 8; i++) {
        elastic_options o = JAEGER;
        sx_buf b;
        sx_json r;
        o.data_stream = i & 4;
        sx_buf_init(&b, 0);
        elastic_template(&o, i & 1, i & 2, &b);
        sx_json_init(&r, sx_buf_view(&b), NULL);
        assert_int_equal(sx_json_finish(&r, &err), SX_OK);
        sx_buf_byte(&b, '\0');
        assert_has(&b, i & 2 ? "\"*jaeger-s" : "\"jaeger-s");
        sx_buf_done(&b);
    }
}

static void test_the_index_of_services(void **state)
{
    char out[ELASTIC_INDEX_BYTES_MAX], longest[ELASTIC_INDEX_BYTES_MAX];
    (void)state;
    assert_true(
        sx_str_eq(elastic_service_index(SX_STR("jaeger-span"), out), SX_STR("jaeger-service")));
    assert_true(sx_str_eq(elastic_service_index(SX_STR("a-jaeger-span-b"), out),
                          SX_STR("a-jaeger-service-b")));
    assert_true(sx_str_eq(elastic_service_index(SX_STR("traces"), out), SX_STR("traces-service")));
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(elastic_service_index(sx_str_of(longest, sizeof(longest)), out).len, 0);
}

/* --- Answers. */

typedef struct told {
    int statuses[8];
    char reason[64];
} told;

static void tell(void *ctx, size_t number, int status, sx_str type, sx_str reason)
{
    told *t = ctx;
    if (number < 8)
        t->statuses[number] = status;
    if (reason.len)
        snprintf(t->reason, sizeof(t->reason), "%.*s: %.*s", SX_ARG(type), SX_ARG(reason));
}

static const char ANSWER[] =
    "{\"took\":3,\"errors\":true,\"items\":[{\"index\":{\"_index\":\"a\",\"status\":201}},"
    "{\"create\":{\"status\":409,\"error\":{\"type\":\"version_conflict_engine_exception\"}}},"
    "{\"index\":{\"status\":400,\"error\":{\"type\":\"mapper_parsing_exception\",\"reason\":\"no "
    "\\u00e9\",\"caused_by\":{\"type\":\"x\"}}}},{\"index\":{\"status\":429,\"error\":\"busy\"}}]}";

static void test_items_are_told_one_by_one(void **state)
{
    told t = {0};
    bool errors;
    size_t count;
    sx_error err;
    (void)state;
    assert_int_equal(elastic_read_bulk(sx_str_z(ANSWER), &errors, &count, tell, &t, &err), SX_OK);
    assert_true(errors);
    assert_int_equal(count, 4);
    assert_int_equal(t.statuses[0], 201);
    assert_int_equal(t.statuses[1], 409);
    assert_int_equal(t.statuses[2], 400);
    assert_int_equal(t.statuses[3], 429);
    assert_string_equal(t.reason, ": busy");
    assert_int_equal(elastic_read_bulk(SX_STR("{\"took\":1,\"errors\":false,\"items\":[]}"),
                                       &errors, &count, tell, &t, &err),
                     SX_OK);
    assert_false(errors);
}

/* However it is cut, an answer is refused or says that there were errors: never that all is well. */
static void test_an_answer_cut_anywhere_is_no_success(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(ANSWER) - 1; len++) {
        told t = {0};
        bool errors;
        size_t count;
        sx_error err;
        char *copy = sx_alloc(len + 1);
        memcpy(copy, ANSWER, len);
        if (elastic_read_bulk(sx_str_of(copy, len), &errors, &count, tell, &t, &err) == SX_OK)
            assert_true(errors);
        sx_free(copy);
    }
}

static void test_which_api_of_templates(void **state)
{
    (void)state;
    assert_false(elastic_is_legacy(SX_STR("{\"version\":{\"number\":\"8.15.0\"}}")));
    assert_false(
        elastic_is_legacy(SX_STR("{\"name\":\"n\",\"version\":{\"number\":\"10.1\",\"x\":1}}")));
    assert_true(elastic_is_legacy(SX_STR("{\"version\":{\"number\":\"7.17.1\"}}")));
    assert_true(elastic_is_legacy(
        SX_STR("{\"version\":{\"distribution\":\"opensearch\",\"number\":\"8.1.0\"}}")));
    assert_true(elastic_is_legacy(SX_STR("<html>")));
}

static void test_memory_that_is_not_there(void **state)
{
    elastic_options o = JAEGER;
    (void)state;
    o.all_tags_as_fields = true;
    for (int64_t nth = 1;; nth++) {
        span_batch *b = sample();
        elastic_services *seen = sx_calloc(1, sizeof(*seen));
        elastic_items items = {0};
        sx_buf out;
        sx_buf_init(&out, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        bool ok = elastic_write(&o, b, NULL, seen, &items, &out) && !out.failed;
        bool all = sx_fault_alloc_calls() < nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(ok == all);
        sx_buf_done(&out);
        sx_free(items.items);
        sx_free(seen);
        span_batch_unref(b);
        if (all)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_span_is_jaegers_document),
        cmocka_unit_test(test_tags_as_fields),
        cmocka_unit_test(test_a_data_stream_has_a_time_and_no_day),
        cmocka_unit_test(test_ids_are_made_from_what_is_said),
        cmocka_unit_test(test_every_line_is_json),
        cmocka_unit_test(test_templates_are_json_for_both_apis),
        cmocka_unit_test(test_the_index_of_services),
        cmocka_unit_test(test_items_are_told_one_by_one),
        cmocka_unit_test(test_an_answer_cut_anywhere_is_no_success),
        cmocka_unit_test(test_which_api_of_templates),
        cmocka_unit_test(test_memory_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

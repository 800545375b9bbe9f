/* test_otlp_json.c - OTLP's protobuf told as OTLP's JSON, and what is no protobuf refused. */
#include "tests/unit/base/cmocka_all.h"

#include <math.h>

#include "base/fault.h"
#include "telemetry/otlp_json.h"

static void put_int_attribute(sx_buf *b, uint32_t field, const char *key, int64_t value)
{
    size_t pair = sx_pb_begin(b, field);
    sx_pb_put_str(b, 1, sx_str_z(key));
    size_t any = sx_pb_begin(b, 2);
    sx_pb_put_i64(b, 3, value);
    sx_pb_end(b, any);
    sx_pb_end(b, pair);
}

/* A span whose attributes stand apart, with an unknown field and a name given twice. */
static void put_span(sx_buf *b)
{
    size_t resource_spans = sx_pb_begin(b, 1);
    size_t scope_spans = sx_pb_begin(b, 2);
    size_t span = sx_pb_begin(b, 2);
    sx_pb_put_str(
        b, 1, sx_str_of("\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36", 16));
    put_int_attribute(b, 9, "a", -1);
    sx_pb_put_str(b, 5, SX_STR("first"));
    sx_pb_put_u64(b, 6, 2);
    sx_pb_put_fixed64(b, 7, UINT64_MAX);
    sx_pb_put_u64(b, 60, 5);
    put_int_attribute(b, 9, "b", INT64_MIN);
    sx_pb_put_str(b, 5, SX_STR("last \"\xff\""));
    sx_pb_put_fixed32(b, 16, 0x101);
    sx_pb_end(b, span);
    sx_pb_end(b, scope_spans);
    sx_pb_end(b, resource_spans);
}

static sx_status transcode(const sx_otlp_schema *schema, sx_str bytes, sx_buf *out, sx_error *err)
{
    sx_json_writer w;
    sx_buf_clear(out);
    sx_json_writer_init(&w, out, NULL);
    return sx_otlp_json_write(schema, bytes, &w, err);
}

static sx_status read_json(const sx_otlp_schema *schema, sx_str json, sx_buf *bytes, sx_error *err)
{
    sx_arena arena;
    sx_json r;
    sx_buf_clear(bytes);
    sx_arena_init(&arena, 0, 0);
    sx_json_init(&r, json, &(sx_json_options){.arena = &arena});
    sx_status st = sx_otlp_json_read(schema, &r, bytes, err);
    sx_arena_done(&arena);
    return st;
}

/* JSON made protobuf and JSON again is the same JSON. */
static void reads_back(const sx_otlp_schema *schema, sx_str json)
{
    sx_buf bytes, again;
    sx_error err = {0};
    sx_buf_init(&bytes, 0);
    sx_buf_init(&again, 0);
    assert_int_equal(read_json(schema, json, &bytes, &err), SX_OK);
    assert_int_equal(transcode(schema, sx_buf_view(&bytes), &again, &err), SX_OK);
    assert_true(sx_str_eq(sx_buf_view(&again), json));
    sx_buf_done(&bytes);
    sx_buf_done(&again);
}

static void becomes(const sx_otlp_schema *schema, const sx_buf *bytes, const char *json)
{
    sx_buf out;
    sx_error err = {0};
    sx_buf_init(&out, 0);
    assert_int_equal(transcode(schema, sx_buf_view(bytes), &out, &err), SX_OK);
    sx_buf_byte(&out, '\0');
    assert_string_equal(out.data, json);
    sx_buf_done(&out);
    reads_back(schema, sx_str_z(json));
}

static void test_a_span(void **state)
{
    sx_buf b;
    (void)state;
    sx_buf_init(&b, 0);
    put_span(&b);
    becomes(
        &sx_otlp_traces_data, &b,
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{"
        "\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"name\":\"last \\\"\xef\xbf\xbd\\\"\","
        "\"kind\":2,\"startTimeUnixNano\":\"18446744073709551615\",\"attributes\":["
        "{\"key\":\"a\",\"value\":{\"intValue\":\"-1\"}},"
        "{\"key\":\"b\",\"value\":{\"intValue\":\"-9223372036854775808\"}}],\"flags\":257}]}]}]}");
    sx_buf_done(&b);
}

static void test_values_of_every_kind(void **state)
{
    sx_buf b;
    (void)state;
    sx_buf_init(&b, 0);
    sx_pb_put_str(&b, 1, SX_STR("k"));
    size_t any = sx_pb_begin(&b, 2);
    size_t list = sx_pb_begin(&b, 5);
    size_t item = sx_pb_begin(&b, 1);
    sx_pb_put_str(&b, 1, SX_STR(""));
    sx_pb_end(&b, item);
    item = sx_pb_begin(&b, 1);
    sx_pb_put_u64(&b, 2, 0);
    sx_pb_end(&b, item);
    item = sx_pb_begin(&b, 1);
    sx_pb_put_double(&b, 4, 0.5);
    sx_pb_end(&b, item);
    item = sx_pb_begin(&b, 1);
    sx_pb_put_double(&b, 4, (double)NAN);
    sx_pb_end(&b, item);
    item = sx_pb_begin(&b, 1);
    sx_pb_put_double(&b, 4, -(double)INFINITY);
    sx_pb_end(&b, item);
    item = sx_pb_begin(&b, 1);
    sx_pb_put_str(&b, 7, SX_STR("\x01\x02\xff"));
    sx_pb_end(&b, item);
    item = sx_pb_begin(&b, 1);
    sx_pb_end(&b, item);
    item = sx_pb_begin(&b, 1);
    size_t map = sx_pb_begin(&b, 6);
    put_int_attribute(&b, 1, "n", 7);
    sx_pb_end(&b, map);
    sx_pb_end(&b, item);
    sx_pb_end(&b, list);
    sx_pb_end(&b, any);
    becomes(&sx_otlp_key_value, &b,
            "{\"key\":\"k\",\"value\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"\"},"
            "{\"boolValue\":false},{\"doubleValue\":0.5},{\"doubleValue\":\"NaN\"},"
            "{\"doubleValue\":\"-Infinity\"},{\"bytesValue\":\"AQL/\"},{},"
            "{\"kvlistValue\":{\"values\":[{\"key\":\"n\",\"value\":{\"intValue\":\"7\"}}]}}]}}}");
    sx_buf_done(&b);
}

static void test_packed_and_unpacked_lists_are_one(void **state)
{
    sx_buf b;
    (void)state;
    sx_buf_init(&b, 0);
    sx_pb_put_str(&b, 1, SX_STR("m"));
    size_t histogram = sx_pb_begin(&b, 9);
    size_t point = sx_pb_begin(&b, 1);
    size_t counts = sx_pb_begin(&b, 6);
    sx_pb_add_fixed64(&b, 1);
    sx_pb_add_fixed64(&b, 2);
    sx_pb_end(&b, counts);
    sx_pb_put_double(&b, 7, 0.5);
    sx_pb_put_fixed64(&b, 6, 3);
    sx_pb_end(&b, point);
    sx_pb_put_u64(&b, 2, 2);
    sx_pb_end(&b, histogram);
    size_t exponential = sx_pb_begin(&b, 10);
    point = sx_pb_begin(&b, 1);
    sx_pb_put_zigzag(&b, 6, -4);
    size_t positive = sx_pb_begin(&b, 8);
    sx_pb_put_zigzag(&b, 1, -20);
    counts = sx_pb_begin(&b, 2);
    sx_pb_add_varint(&b, 300);
    sx_pb_add_varint(&b, 0);
    sx_pb_end(&b, counts);
    sx_pb_end(&b, positive);
    sx_pb_end(&b, point);
    sx_pb_end(&b, exponential);
    becomes(&sx_otlp_metric, &b,
            "{\"name\":\"m\",\"histogram\":{\"dataPoints\":[{\"bucketCounts\":[\"1\",\"2\",\"3\"],"
            "\"explicitBounds\":[0.5]}],\"aggregationTemporality\":2},\"exponentialHistogram\":"
            "{\"dataPoints\":[{\"scale\":-4,\"positive\":{\"offset\":-20,\"bucketCounts\":"
            "[\"300\",\"0\"]}}]}}");
    sx_buf_done(&b);
}

static void test_cut_at_any_byte_it_is_refused_or_shorter(void **state)
{
    sx_buf b, out;
    sx_error err;
    (void)state;
    sx_buf_init(&b, 0);
    sx_buf_init(&out, 0);
    put_span(&b);
    for (size_t cut = 1; cut < b.len; cut++) {
        assert_int_equal(
            transcode(&sx_otlp_traces_data, sx_str_first(sx_buf_view(&b), cut), &out, &err),
            SX_EFORMAT);
        assert_non_null(strstr(err.message, "TracesData"));
    }
    sx_buf_done(&b);
    sx_buf_done(&out);
}

static void test_a_wrong_wire_type_is_refused(void **state)
{
    sx_buf b, out;
    (void)state;
    sx_buf_init(&b, 0);
    sx_buf_init(&out, 0);
    sx_pb_put_u64(&b, 5, 1); /* a span's name */
    assert_int_equal(transcode(&sx_otlp_span, sx_buf_view(&b), &out, NULL), SX_EFORMAT);
    sx_buf_done(&b);
    sx_buf_done(&out);
}

static void test_depth_is_bounded(void **state)
{
    sx_buf inner, outer, out;
    (void)state;
    sx_buf_init(&inner, 0);
    sx_buf_init(&outer, 0);
    sx_buf_init(&out, 0);
    for (int depth = 0; depth < 2999; depth++) { /* AnyValue {ArrayValue {AnyValue ...}} */
        sx_buf_clear(&outer);
        sx_pb_put_str(&outer, depth % 2 ? 1 : 5, sx_buf_view(&inner));
        sx_buf swap = inner;
        inner = outer;
        outer = swap;
    }
    sx_buf_clear(&outer);
    sx_pb_put_str(&outer, 2, sx_buf_view(&inner));
    assert_int_equal(transcode(&sx_otlp_key_value, sx_buf_view(&outer), &out, NULL), SX_ELIMIT);
    sx_buf_done(&inner);
    sx_buf_done(&outer);
    sx_buf_done(&out);
}

static void test_json_as_others_write_it_is_read(void **state)
{
    static const char *const ROWS[][2] = {
        {"{\"traceId\":\"ABcd\",\"unknown\":{\"deep\":[1]},\"name\":null,\"kind\":\"3\"}",
         "{\"traceId\":\"abcd\",\"kind\":3}"},
        {"{\"startTimeUnixNano\":12,\"endTimeUnixNano\":\"18446744073709551615\",\"events\":[]}",
         "{\"startTimeUnixNano\":\"12\",\"endTimeUnixNano\":\"18446744073709551615\"}"},
        {" {\n\"name\" : \"a\", \"name\" : \"b\" } ", "{\"name\":\"b\"}"},
        {"{\"attributes\":[{\"key\":\"d\",\"value\":{\"doubleValue\":\"Infinity\"}}]}",
         "{\"attributes\":[{\"key\":\"d\",\"value\":{\"doubleValue\":\"Infinity\"}}]}"},
        {"{\"attributes\":[{\"key\":\"i\",\"value\":{\"intValue\":-7}}]}",
         "{\"attributes\":[{\"key\":\"i\",\"value\":{\"intValue\":\"-7\"}}]}"},
    };
    sx_buf bytes, out;
    sx_error err = {0};
    (void)state;
    sx_buf_init(&bytes, 0);
    sx_buf_init(&out, 0);
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        assert_int_equal(read_json(&sx_otlp_span, sx_str_z(ROWS[i][0]), &bytes, &err), SX_OK);
        assert_int_equal(transcode(&sx_otlp_span, sx_buf_view(&bytes), &out, &err), SX_OK);
        sx_buf_byte(&out, '\0');
        assert_string_equal(out.data, ROWS[i][1]);
    }
    sx_buf_done(&bytes);
    sx_buf_done(&out);
}

static void test_json_that_is_wrong_is_refused(void **state)
{
    static const char *const ROWS[] = {
        "[]",
        "1",
        "{\"name\":1}",
        "{\"name\":",
        "{\"traceId\":\"abc\"}",
        "{\"traceId\":\"xy\"}",
        "{\"kind\":4294967296}",
        "{\"kind\":-1}",
        "{\"kind\":1.5}",
        "{\"startTimeUnixNano\":\"-1\"}",
        "{\"startTimeUnixNano\":\"1e3\"}",
        "{\"events\":{}}",
        "{\"events\":[1]}",
        "{\"status\":[]}",
        "{\"attributes\":[{\"value\":{\"bytesValue\":\"!\"}}]}",
        "{\"attributes\":[{\"value\":{\"doubleValue\":\"much\"}}]}",
        "{\"attributes\":[{\"value\":{\"boolValue\":\"true\"}}]}",
    };
    sx_buf bytes;
    (void)state;
    sx_buf_init(&bytes, 0);
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_error err = {0};
        sx_status st = read_json(&sx_otlp_span, sx_str_z(ROWS[i]), &bytes, &err);
        assert_true(st == SX_EFORMAT || st == SX_ELIMIT); /* the latter: an integer out of range */
        assert_true(err.message[0] != '\0');
    }
    sx_buf_done(&bytes);
}

static void test_without_memory_it_says_so(void **state)
{
    sx_buf b, out;
    (void)state;
    sx_buf_init(&b, 0);
    put_span(&b);
    for (int64_t nth = 1;; nth++) {
        sx_buf_init(&out, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = transcode(&sx_otlp_traces_data, sx_buf_view(&b), &out, NULL);
        bool reached = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        sx_buf_done(&out);
        assert_int_equal(st, reached ? SX_ENOMEM : SX_OK);
        if (!reached)
            break;
    }
    sx_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_span),
        cmocka_unit_test(test_values_of_every_kind),
        cmocka_unit_test(test_packed_and_unpacked_lists_are_one),
        cmocka_unit_test(test_cut_at_any_byte_it_is_refused_or_shorter),
        cmocka_unit_test(test_a_wrong_wire_type_is_refused),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_json_as_others_write_it_is_read),
        cmocka_unit_test(test_json_that_is_wrong_is_refused),
        cmocka_unit_test(test_without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

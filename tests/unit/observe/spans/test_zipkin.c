/* test_zipkin.c - one span as Zipkin's clients send it in four encodings, what becomes of tags,
 * endpoints and annotations; broken bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/spans/zipkin.h"
#include "tests/unit/observe/spans/thrift_out.h"

typedef sx_status read_fn(sx_str body, const span_limits *limits, span_batch *out,
                          span_refused *refused, sx_error *err);

static const char V2[] =
    "[{\"traceId\":\"4d1e00c0db9010db\",\"parentId\":\"86154a4ba6e91385\",\"id\":\"4d1e00c0db9010dc\","
    "\"kind\":\"CLIENT\",\"name\":\"get\",\"timestamp\":1472470996199000,\"duration\":207000,"
    "\"localEndpoint\":{\"serviceName\":\"frontend\",\"ipv6\":\"7::80:807f\"},"
    "\"remoteEndpoint\":{\"serviceName\":\"backend\",\"ipv4\":\"192.168.99.101\",\"port\":9000},"
    "\"annotations\":[{\"timestamp\":1472470996238000,\"value\":\"foo\"},"
    "{\"timestamp\":1472470996403000,\"value\":\"bar|{\\\"n\\\":1,\\\"ok\\\":true}|2\"}],"
    "\"tags\":{\"http.path\":\"/api\",\"error\":\"timed out\",\"host.name\":\"box\","
    "\"otlp.link.0\":\"4d1e00c0db9010db86154a4ba6e91385|4d1e00c0db9010dc|a=b|{}|0\"},"
    "\"debug\":true,\"shared\":false}]";

static const char V1[] =
    "[{\"traceId\":\"4d1e00c0db9010db\",\"parentId\":\"86154a4ba6e91385\",\"id\":\"4d1e00c0db9010dc\","
    "\"name\":\"get\",\"annotations\":[{\"timestamp\":1472470996199000,\"value\":\"cs\",\"endpoint\":"
    "{\"serviceName\":\"frontend\",\"ipv6\":\"7::80:807f\"}},{\"timestamp\":1472470996406000,"
    "\"value\":\"cr\",\"endpoint\":{\"serviceName\":\"frontend\"}},"
    "{\"timestamp\":1472470996238000,\"value\":\"foo\"}],\"binaryAnnotations\":["
    "{\"key\":\"http.path\",\"value\":\"/api\"},{\"key\":\"error\",\"value\":\"timed out\"},"
    "{\"key\":\"sa\",\"value\":true,\"endpoint\":{\"serviceName\":\"backend\",\"ipv4\":"
    "\"192.168.99.101\",\"port\":9000}}]}]";

static void assert_text(sx_str got, const char *wanted)
{
    assert_true(sx_str_eq(got, sx_str_z(wanted)));
}

static sx_str text_of(span_attrs attrs, const char *key)
{
    const span_value *v = span_attrs_find(attrs, sx_str_z(key));
    assert_non_null(v);
    return span_value_str(v);
}

static void assert_the_span(const span_batch *b)
{
    static const uint8_t TRACE[16] = {[8] = 0x4d, 0x1e, 0, 0xc0, 0xdb, 0x90, 0x10, 0xdb};
    assert_int_equal(b->count, 1);
    const span *s = b->spans[0];
    assert_memory_equal(s->trace_id, TRACE, 16);
    assert_int_equal(s->id[7], 0xdc);
    assert_int_equal(s->parent[0], 0x86);
    assert_int_equal(s->kind, SPAN_CLIENT);
    assert_int_equal(s->start_ns, 1472470996199000000u);
    assert_int_equal(s->end_ns - s->start_ns, 207000000);
    assert_text(s->resource->service, "frontend");
    assert_int_equal(s->status, SPAN_ERROR);
    assert_text(text_of(s->attrs, "error"), "timed out");
    assert_text(text_of(s->attrs, "http.path"), "/api");
    assert_text(text_of(s->attrs, "service.peer.name"), "backend");
    assert_text(text_of(s->attrs, "network.peer.address"), "192.168.99.101");
    assert_text(text_of(s->attrs, "network.local.address"), "7::80:807f");
    assert_int_equal(span_attrs_find(s->attrs, SX_STR("net.peer.port"))->i, 9000);
    assert_true(s->event_count >= 1);
    assert_text(s->events[0].name, "foo");
    assert_int_equal(s->events[0].time_ns, 1472470996238000000u);
}

static void read_whole(read_fn *read, sx_str body)
{
    sx_error err;
    span_batch *b = span_batch_new(0);
    assert_int_equal(read(body, NULL, b, NULL, &err), SX_OK);
    assert_the_span(b);
    span_batch_unref(b);
    for (size_t len = 0; len < body.len; len++) {
        char *exact = sx_alloc(len ? len : 1);
        memcpy(exact, body.data, len);
        b = span_batch_new(0);
        sx_status status = read(sx_str_of(exact, len), NULL, b, NULL, &err);
        assert_true(status == SX_EFORMAT || (status == SX_OK && len == 0));
        span_batch_unref(b);
        sx_free(exact);
    }
    sx_status status = SX_ENOMEM;
    for (int64_t n = 1; status != SX_OK; n++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        b = span_batch_new(0);
        status = b ? read(body, NULL, b, NULL, &err) : SX_ENOMEM;
        assert_true(status == SX_OK || status == SX_ENOMEM);
        span_batch_unref(b);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(n < 1000);
    }
}

static void json_of_both_versions(void **state)
{
    (void)state;
    sx_error err;
    read_whole(span_read_zipkin_json, sx_str_z(V2));
    read_whole(span_read_zipkin_v1_json, sx_str_z(V1));
    span_batch *b = span_batch_new(0);
    assert_int_equal(span_read_zipkin_json(sx_str_z(V2), NULL, b, NULL, &err), SX_OK);
    const span *s = b->spans[0];
    assert_text(text_of(s->resource->attrs, "host.name"), "box");
    assert_null(span_attrs_find(s->attrs, SX_STR("host.name")));
    assert_text(s->events[1].name, "bar");
    assert_int_equal(s->events[1].attrs.count, 2);
    assert_int_equal(s->events[1].attrs.dropped, 2);
    assert_int_equal(s->link_count, 1);
    assert_text(s->links[0].trace_state, "a=b");
    span_batch_unref(b);
}

static void protobuf(void **state)
{
    (void)state;
    sx_buf out;
    sx_buf_init(&out, 0);
    size_t mark = sx_pb_begin(&out, 1);
    sx_pb_put_str(&out, 1, SX_STR("\x4d\x1e\x00\xc0\xdb\x90\x10\xdb"));
    sx_pb_put_str(&out, 2, SX_STR("\x86\x15\x4a\x4b\xa6\xe9\x13\x85"));
    sx_pb_put_str(&out, 3, SX_STR("\x4d\x1e\x00\xc0\xdb\x90\x10\xdc"));
    sx_pb_put_u64(&out, 4, 1);
    sx_pb_put_str(&out, 5, SX_STR("get"));
    sx_pb_put_fixed64(&out, 6, 1472470996199000);
    sx_pb_put_u64(&out, 7, 207000);
    size_t local = sx_pb_begin(&out, 8);
    sx_pb_put_str(&out, 1, SX_STR("frontend"));
    sx_pb_put_str(&out, 3,
                  SX_STR("\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x80\x7f"));
    sx_pb_end(&out, local);
    size_t remote = sx_pb_begin(&out, 9);
    sx_pb_put_str(&out, 1, SX_STR("backend"));
    sx_pb_put_str(&out, 2, SX_STR("\xc0\xa8\x63\x65"));
    sx_pb_put_u64(&out, 4, 9000);
    sx_pb_end(&out, remote);
    size_t annotation = sx_pb_begin(&out, 10);
    sx_pb_put_fixed64(&out, 1, 1472470996238000);
    sx_pb_put_str(&out, 2, SX_STR("foo"));
    sx_pb_end(&out, annotation);
    static const char *const TAGS[][2] = {{"http.path", "/api"}, {"error", "timed out"}};
    for (size_t i = 0; i < 2; i++) {
        size_t tag = sx_pb_begin(&out, 11);
        sx_pb_put_str(&out, 1, sx_str_z(TAGS[i][0]));
        sx_pb_put_str(&out, 2, sx_str_z(TAGS[i][1]));
        sx_pb_end(&out, tag);
    }
    sx_pb_end(&out, mark);
    read_whole(span_read_zipkin_proto, sx_buf_view(&out));
    sx_buf_done(&out);
}

static void put_endpoint(thrift_out *o, int16_t id, const char *service, int64_t ipv4, int64_t port,
                         sx_str ipv6)
{
    out_field(o, id, SX_THRIFT_STRUCT, 0);
    out_begin(o);
    out_int(o, 1, SX_THRIFT_I32, ipv4);
    out_int(o, 2, SX_THRIFT_I16, port);
    out_str(o, 3, sx_str_z(service));
    if (ipv6.len)
        out_str(o, 4, ipv6);
    out_stop(o);
}

static void thrift(void **state)
{
    (void)state;
    static const struct {
        int64_t time;
        const char *value;
    } ANNOTATIONS[] = {
        {1472470996199000, "cs"}, {1472470996406000, "cr"}, {1472470996238000, "foo"}};
    static const char *const BINARY[][2] = {
        {"http.path", "/api"}, {"error", "timed out"}, {"sa", "\x01"}};
    thrift_out o = {.protocol = SX_THRIFT_BINARY};
    out_list(&o, 0, SX_THRIFT_STRUCT, 1);
    out_begin(&o);
    out_int(&o, 1, SX_THRIFT_I64, 0x4d1e00c0db9010db);
    out_str(&o, 3, SX_STR("get"));
    out_int(&o, 4, SX_THRIFT_I64, 0x4d1e00c0db9010dc);
    out_int(&o, 5, SX_THRIFT_I64, (int64_t)0x86154a4ba6e91385u);
    out_list(&o, 6, SX_THRIFT_STRUCT, 3);
    for (size_t i = 0; i < 3; i++) {
        out_begin(&o);
        out_int(&o, 1, SX_THRIFT_I64, ANNOTATIONS[i].time);
        out_str(&o, 2, sx_str_z(ANNOTATIONS[i].value));
        put_endpoint(&o, 3, "frontend", 0, 0,
                     SX_STR("\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x80\x7f"));
        out_stop(&o);
    }
    out_list(&o, 8, SX_THRIFT_STRUCT, 3);
    for (size_t i = 0; i < 3; i++) {
        out_begin(&o);
        out_str(&o, 1, sx_str_z(BINARY[i][0]));
        out_str(&o, 2, sx_str_z(BINARY[i][1]));
        out_int(&o, 3, SX_THRIFT_I32, i == 2 ? 0 : 6);
        if (i == 2)
            put_endpoint(&o, 4, "backend", (int32_t)0xc0a86365, 9000, sx_str_of(NULL, 0));
        out_stop(&o);
    }
    out_stop(&o);
    read_whole(span_read_zipkin_thrift, sx_buf_view(&o.bytes));
    sx_buf_done(&o.bytes);
}

static void bad_json_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *body, *why;
    } BAD[] = {
        {"{}", "array"},
        {"[{\"traceId\":\"xyz\",\"id\":\"1\"}]", "traceId must be 1 to 32 hexadecimal digits"},
        {"[{\"traceId\":\"1\",\"id\":\"12345678901234567\"}]", "id must be 1 to 16"},
        {"[{\"traceId\":\"1\",\"id\":\"1\",\"timestamp\":-1}]", "a number from 0"},
        {"[{\"traceId\":\"1\",\"id\":\"1\",\"timestamp\":1e300}]", "a number from 0"},
        {"[{\"traceId\":\"1\",\"id\":\"1\",\"tags\":[1]}]", "object"},
        {"[1]", "object"},
    };
    for (size_t i = 0; i < sizeof(BAD) / sizeof(*BAD); i++) {
        sx_error err;
        span_batch *b = span_batch_new(0);
        assert_int_equal(span_read_zipkin_json(sx_str_z(BAD[i].body), NULL, b, NULL, &err),
                         SX_EFORMAT);
        if (!strstr(err.message, BAD[i].why))
            fail_msg("%s: %s", BAD[i].body, err.message);
        span_batch_unref(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_of_both_versions),
        cmocka_unit_test(protobuf),
        cmocka_unit_test(thrift),
        cmocka_unit_test(bad_json_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

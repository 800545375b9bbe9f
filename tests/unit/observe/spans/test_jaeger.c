/* test_jaeger.c - what Jaeger's clients send, in Thrift's two protocols and in protobuf: which tags
 * become fields, parents and links, broken bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/spans/jaeger.h"
#include "tests/unit/observe/spans/thrift_out.h"

enum { STRING, DOUBLE, BOOL, LONG, BINARY };

static void put_tag(thrift_out *o, const char *key, int type, const char *text, double number)
{
    out_begin(o);
    out_str(o, 1, sx_str_z(key));
    out_int(o, 2, SX_THRIFT_I32, type);
    if (type == STRING)
        out_str(o, 3, sx_str_z(text));
    else if (type == DOUBLE)
        out_double(o, 4, number);
    else if (type == BOOL)
        out_field(o, 5, SX_THRIFT_BOOL, number != 0);
    else if (type == LONG)
        out_int(o, 6, SX_THRIFT_I64, (int64_t)number);
    else
        out_str(o, 7, sx_str_z(text));
    out_stop(o);
}

static void put_ref(thrift_out *o, int type, int64_t low, int64_t high, int64_t id)
{
    out_begin(o);
    out_int(o, 1, SX_THRIFT_I32, type);
    out_int(o, 2, SX_THRIFT_I64, low);
    out_int(o, 3, SX_THRIFT_I64, high);
    out_int(o, 4, SX_THRIFT_I64, id);
    out_stop(o);
}

/* A batch of one process and one span with everything. */
static void put_batch(thrift_out *o)
{
    out_begin(o);
    out_field(o, 1, SX_THRIFT_STRUCT, 0);
    out_begin(o);
    out_str(o, 1, SX_STR("shop"));
    out_list(o, 2, SX_THRIFT_STRUCT, 2);
    put_tag(o, "hostname", STRING, "box", 0);
    put_tag(o, "jaeger.version", STRING, "Python-4.8.0", 0);
    out_stop(o);
    out_list(o, 2, SX_THRIFT_STRUCT, 1);
    out_begin(o);
    out_int(o, 1, SX_THRIFT_I64, -2);
    out_int(o, 2, SX_THRIFT_I64, 1);
    out_int(o, 3, SX_THRIFT_I64, 7);
    out_int(o, 4, SX_THRIFT_I64, 0);
    out_str(o, 5, SX_STR("GET /"));
    out_list(o, 6, SX_THRIFT_STRUCT, 3);
    put_ref(o, 1, -2, 1, 55); /* follows from another span of this trace */
    put_ref(o, 0, -2, 1, 66); /* child of: the parent */
    put_ref(o, 0, 9, 9, 77);  /* of another trace: a link */
    out_int(o, 7, SX_THRIFT_I32, 1);
    out_int(o, 8, SX_THRIFT_I64, 1700000000000001);
    out_int(o, 9, SX_THRIFT_I64, 250);
    out_list(o, 10, SX_THRIFT_STRUCT, 17);
    put_tag(o, "span.kind", STRING, "server", 0);
    put_tag(o, "error", BOOL, NULL, 1);
    put_tag(o, "otel.status_description", STRING, "boom", 0);
    put_tag(o, "otel.status_code", STRING, "OK", 0);
    put_tag(o, "w3c.tracestate", STRING, "a=b", 0);
    put_tag(o, "text", STRING, "x", 0);
    put_tag(o, "ratio", DOUBLE, NULL, 0.25);
    put_tag(o, "yes", BOOL, NULL, 1);
    put_tag(o, "no", BOOL, NULL, 0);
    put_tag(o, "count", LONG, NULL, -5);
    put_tag(o, "raw", BINARY, "\xff\xfe", 0);
    for (int i = 0; i < 6; i++)
        put_tag(o, "otel.scope.name", STRING, "lib", 0);
    out_list(o, 11, SX_THRIFT_STRUCT, 1);
    out_begin(o);
    out_int(o, 1, SX_THRIFT_I64, 1700000000000100);
    out_list(o, 2, SX_THRIFT_STRUCT, 2);
    put_tag(o, "event", STRING, "retry", 0);
    put_tag(o, "attempt", LONG, NULL, 2);
    out_stop(o);
    out_stop(o);
    out_int(o, 3, SX_THRIFT_I64, 12); /* seqNo, which nobody needs */
    out_stop(o);
}

static void assert_text(sx_str got, const char *wanted)
{
    assert_true(sx_str_eq(got, sx_str_z(wanted)));
}

static const span_value *attr(span_attrs attrs, const char *key)
{
    const span_value *v = span_attrs_find(attrs, sx_str_z(key));
    assert_non_null(v);
    return v;
}

static void assert_the_span(const span_batch *b)
{
    static const uint8_t TRACE[16] = {0,   0,   0,   0,   0,   0,   0,   1,
                                      255, 255, 255, 255, 255, 255, 255, 254};
    assert_int_equal(b->count, 1);
    const span *s = b->spans[0];
    assert_memory_equal(s->trace_id, TRACE, 16);
    assert_int_equal(s->id[7], 7);
    assert_int_equal(s->parent[7], 66);
    assert_text(s->name, "GET /");
    assert_int_equal(s->start_ns, 1700000000000001000u);
    assert_int_equal(s->end_ns - s->start_ns, 250000);
    assert_int_equal(s->kind, SPAN_SERVER);
    assert_int_equal(s->status, SPAN_ERROR); /* the tag error is the last word */
    assert_text(s->status_message, "boom");
    assert_text(s->trace_state, "a=b");
    assert_int_equal(s->attrs.count, 12);
    assert_text(span_value_str(attr(s->attrs, "text")), "x");
    assert_true(attr(s->attrs, "ratio")->d == 0.25);
    assert_int_equal(attr(s->attrs, "yes")->i, 1);
    assert_int_equal(attr(s->attrs, "no")->i, 0);
    assert_int_equal(attr(s->attrs, "no")->type, SPAN_BOOL);
    assert_int_equal(attr(s->attrs, "count")->i, -5);
    assert_int_equal(attr(s->attrs, "raw")->type, SPAN_BYTES);
    assert_text(s->scope->name, ""); /* Thrift leaves the scope among the tags */
    assert_int_equal(s->link_count, 2);
    assert_int_equal(s->links[0].span_id[7], 55);
    assert_text(span_value_str(&s->links[0].attrs.items[0].value), "follows_from");
    assert_int_equal(s->links[1].span_id[7], 77);
    assert_int_equal(s->event_count, 1);
    assert_text(s->events[0].name, "retry");
    assert_int_equal(s->events[0].attrs.count, 1);
    assert_text(s->resource->service, "shop");
    assert_text(span_value_str(attr(s->resource->attrs, "host.name")), "box");
    assert_text(span_value_str(attr(s->resource->attrs, "opencensus.exporterversion")),
                "Jaeger-Python-4.8.0");
}

static void thrift_batches(void **state)
{
    (void)state;
    for (int compact = 0; compact < 2; compact++) {
        for (int datagram = 0; datagram < 2; datagram++) {
            sx_error err;
            thrift_out o = {.protocol = compact ? SX_THRIFT_COMPACT : SX_THRIFT_BINARY};
            if (datagram) {
                out_message(&o, "emitBatch");
                out_begin(&o);
                out_field(&o, 1, SX_THRIFT_STRUCT, 0);
            }
            put_batch(&o);
            if (datagram)
                out_stop(&o);
            for (size_t len = 0; len <= o.bytes.len; len++) {
                char *exact = sx_alloc(len ? len : 1); /* so that a sanitizer sees a step too far */
                memcpy(exact, o.bytes.data, len);
                span_batch *b = span_batch_new(0);
                sx_status status = (datagram ? span_read_jaeger_agent : span_read_jaeger_thrift)(
                    sx_str_of(exact, len), o.protocol, NULL, b, NULL, &err);
                assert_int_equal(status, len == o.bytes.len ? SX_OK : SX_EFORMAT);
                if (status == SX_OK)
                    assert_the_span(b);
                span_batch_unref(b);
                sx_free(exact);
            }
            sx_buf_done(&o.bytes);
        }
    }
}

static void lists_that_lie_are_refused(void **state)
{
    (void)state;
    sx_error err;
    thrift_out o = {.protocol = SX_THRIFT_BINARY};
    out_begin(&o);
    out_list(&o, 2, SX_THRIFT_STRUCT, 0x7fffffff);
    out_stop(&o);
    span_batch *b = span_batch_new(0);
    assert_int_equal(
        span_read_jaeger_thrift(sx_buf_view(&o.bytes), o.protocol, NULL, b, NULL, &err),
        SX_EFORMAT);
    assert_non_null(strstr(err.message, "more items than the input can hold"));
    span_batch_unref(b);
    sx_buf_done(&o.bytes);
}

static void structs_without_end_are_refused(void **state)
{
    (void)state;
    for (int compact = 0; compact < 2; compact++) {
        sx_error err;
        char nested[4096];
        /* Field 5 of a batch, a struct with a struct in it, and so on. */
        for (size_t i = 0; i < sizeof(nested); i++)
            nested[i] = compact ? 0x5c : "\x0c\x00\x05"[i % 3];
        span_batch *b = span_batch_new(0);
        assert_int_equal(span_read_jaeger_thrift(sx_str_of(nested, sizeof(nested)),
                                                 compact ? SX_THRIFT_COMPACT : SX_THRIFT_BINARY,
                                                 NULL, b, NULL, &err),
                         SX_EFORMAT);
        assert_non_null(strstr(err.message, "nested too deep"));
        span_batch_unref(b);
    }
}

/* --- Protobuf. */

static void pb_tag(sx_buf *out, uint32_t field, const char *key, const char *text)
{
    size_t mark = sx_pb_begin(out, field);
    sx_pb_put_str(out, 1, sx_str_z(key));
    sx_pb_put_str(out, 3, sx_str_z(text));
    sx_pb_end(out, mark);
}

static void pb_process(sx_buf *out, uint32_t field, const char *service)
{
    size_t mark = sx_pb_begin(out, field);
    sx_pb_put_str(out, 1, sx_str_z(service));
    sx_pb_end(out, mark);
}

static void pb_time(sx_buf *out, uint32_t field, uint64_t seconds, uint64_t nanos)
{
    size_t mark = sx_pb_begin(out, field);
    sx_pb_put_u64(out, 1, seconds);
    sx_pb_put_u64(out, 2, nanos);
    sx_pb_end(out, mark);
}

static void pb_span(sx_buf *out, const char *own_process)
{
    size_t mark = sx_pb_begin(out, 1);
    sx_pb_put_str(out, 1, SX_STR("0123456789abcdef"));
    sx_pb_put_str(out, 2, SX_STR("01234567"));
    sx_pb_put_str(out, 3, SX_STR("op"));
    pb_time(out, 6, 1700000000, 5);
    pb_time(out, 7, 1, 250);
    pb_tag(out, 8, "otel.scope.name", "lib");
    pb_tag(out, 8, "otel.scope.version", "2");
    pb_tag(out, 8, "http.status_code", "503");
    if (own_process)
        pb_process(out, 10, own_process);
    sx_pb_put_str(out, 12, SX_STR("clock moved"));
    sx_pb_end(out, mark);
}

static void protobuf_batches(void **state)
{
    (void)state;
    sx_error err;
    sx_buf bytes;
    sx_buf_init(&bytes, 0);
    size_t batch = sx_pb_begin(&bytes, 1);
    pb_span(&bytes, NULL);
    pb_span(&bytes, "other");
    pb_process(&bytes, 2, "shop");
    sx_pb_end(&bytes, batch);
    span_batch *b = span_batch_new(0);
    assert_int_equal(span_read_jaeger_proto(sx_buf_view(&bytes), NULL, b, NULL, &err), SX_OK);
    assert_int_equal(b->count, 2);
    assert_text(b->spans[0]->resource->service, "shop");
    assert_text(b->spans[1]->resource->service, "other");
    const span *s = b->spans[0];
    assert_text(s->scope->name, "lib");
    assert_text(s->scope->version, "2");
    assert_int_equal(s->start_ns, 1700000000000000005u);
    assert_int_equal(s->end_ns - s->start_ns, 1000000250u);
    assert_int_equal(s->status, SPAN_ERROR);
    assert_int_equal(attr(s->attrs, "@jaeger@warnings")->len, 1);
    span_batch_unref(b);
    for (size_t len = 0; len < bytes.len; len++) {
        b = span_batch_new(0);
        sx_status status =
            span_read_jaeger_proto(sx_str_first(sx_buf_view(&bytes), len), NULL, b, NULL, &err);
        assert_int_equal(status, len ? SX_EFORMAT : SX_OK);
        span_batch_unref(b);
    }
    sx_buf_done(&bytes);
}

/* Processes behind the spans, one of the span's own, all types of tags, both kinds of references. */
static const char JSON[] =
    "{\"data\":[{\"traceID\":\"1\",\"spans\":["
    "{\"traceID\":\"1\",\"spanID\":\"2\",\"operationName\":\"GET /\",\"references\":["
    "{\"refType\":\"CHILD_OF\",\"traceID\":\"1\",\"spanID\":\"9\"},"
    "{\"refType\":\"FOLLOWS_FROM\",\"traceID\":\"7\",\"spanID\":\"8\"}],"
    "\"startTime\":1700000000000005,\"duration\":250,\"tags\":["
    "{\"key\":\"span.kind\",\"type\":\"string\",\"value\":\"server\"},"
    "{\"value\":true,\"key\":\"error\",\"type\":\"bool\"},"
    "{\"key\":\"n\",\"type\":\"int64\",\"value\":-5},"
    "{\"key\":\"share\",\"type\":\"float64\",\"value\":0.5},"
    "{\"key\":\"raw\",\"type\":\"binary\",\"value\":\"AQI=\"},"
    "{\"key\":\"t\\u00e9\",\"value\":\"x\"}],"
    "\"logs\":[{\"timestamp\":1700000000000006,\"fields\":["
    "{\"key\":\"event\",\"type\":\"string\",\"value\":\"retry\"}]}],"
    "\"processID\":\"p1\",\"warnings\":null},"
    "{\"traceID\":\"1\",\"spanID\":\"3\",\"operationName\":\"own\",\"startTime\":1,\"duration\":1,"
    "\"tags\":null,\"logs\":null,\"processID\":\"p2\","
    "\"process\":{\"serviceName\":\"own\",\"tags\":[]}}],"
    "\"processes\":{\"p1\":{\"serviceName\":\"shop\",\"tags\":["
    "{\"key\":\"hostname\",\"type\":\"string\",\"value\":\"h1\"}]}}}],\"total\":0}";

static void json_traces(void **state)
{
    (void)state;
    sx_error err = {0};
    span_batch *b = span_batch_new(0);
    if (span_read_jaeger_json(sx_str_z(JSON), NULL, b, NULL, &err) != SX_OK)
        fail_msg("%s", err.message);
    assert_int_equal(b->count, 2);
    const span *s = b->spans[0];
    assert_text(s->name, "GET /");
    assert_text(s->resource->service, "shop");
    assert_non_null(attr(s->resource->attrs, "host.name"));
    assert_int_equal(s->id[7], 2);
    assert_int_equal(s->parent[7], 9);
    assert_int_equal(s->link_count, 1);
    assert_int_equal(s->start_ns, 1700000000000005000u);
    assert_int_equal(s->end_ns - s->start_ns, 250000);
    assert_int_equal(s->kind, SPAN_SERVER);
    assert_int_equal(s->status, SPAN_ERROR);
    assert_int_equal(attr(s->attrs, "n")->i, -5);
    assert_true(attr(s->attrs, "share")->d == 0.5);
    assert_int_equal(attr(s->attrs, "raw")->len, 2);
    assert_text(span_value_str(attr(s->attrs, "t\xc3\xa9")), "x");
    assert_int_equal(s->event_count, 1);
    assert_text(s->events[0].name, "retry");
    assert_text(b->spans[1]->resource->service, "own");
    span_batch_unref(b);
}

static void json_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(JSON) - 1; len++) {
        sx_error err = {0};
        char *exact = sx_alloc(len + 1); /* a read beyond it is seen by a sanitizer */
        memcpy(exact, JSON, len);
        span_batch *b = span_batch_new(0);
        assert_int_equal(span_read_jaeger_json(sx_str_of(exact, len), NULL, b, NULL, &err),
                         SX_EFORMAT);
        assert_true(err.message[0] != '\0');
        span_batch_unref(b);
        sx_free(exact);
    }
}

static void json_limits_drop_and_count(void **state)
{
    (void)state;
    sx_error err = {0};
    const span_limits few = {.attributes_max = 2, .events_max = 1, .links_max = 1};
    static const char LOGS[] = "{\"spans\":[{\"traceID\":\"1\",\"spanID\":\"2\",\"logs\":["
                               "{\"timestamp\":1},{\"timestamp\":2},{\"timestamp\":3}],\"tags\":["
                               "{\"key\":\"a\",\"value\":1},{\"key\":\"b\",\"value\":2},"
                               "{\"key\":\"c\",\"value\":3},{\"key\":\"d\",\"value\":4}]}]}";
    span_batch *b = span_batch_new(0);
    assert_int_equal(span_read_jaeger_json(sx_str_z(LOGS), &few, b, NULL, &err), SX_OK);
    assert_int_equal(b->spans[0]->attrs.count, 2);
    assert_int_equal(b->spans[0]->attrs.dropped, 2);
    assert_int_equal(b->spans[0]->event_count, 1);
    assert_int_equal(b->spans[0]->dropped_events, 2);
    span_batch_unref(b);
}

/* Each process is looked up once: half a second would be much. */
static void json_of_many_processes_takes_no_longer(void **state)
{
    (void)state;
    enum { PROCESSES = 100000 };
    sx_error err = {0};
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_buf_str(&text,
               SX_STR("{\"spans\":[{\"traceID\":\"1\",\"spanID\":\"2\",\"processID\":\"p7\"}],"
                      "\"processes\":{"));
    for (unsigned i = 0; i < PROCESSES; i++)
        sx_buf_printf(&text, "%s\"p%u\":{\"serviceName\":\"s%u\"}", i ? "," : "", i, i);
    sx_buf_str(&text, SX_STR("}}"));
    span_batch *b = span_batch_new(0);
    clock_t began = clock();
    assert_int_equal(span_read_jaeger_json(sx_buf_view(&text), NULL, b, NULL, &err), SX_OK);
    assert_true((double)(clock() - began) / CLOCKS_PER_SEC < 3);
    assert_text(b->spans[0]->resource->service, "s7");
    span_batch_unref(b);
    sx_buf_done(&text);
}

static void failing_memory_is_told_of_json(void **state)
{
    (void)state;
    sx_status status = SX_ENOMEM;
    for (int64_t n = 1; status != SX_OK; n++) {
        sx_error err = {0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        span_batch *b = span_batch_new(0);
        status = b ? span_read_jaeger_json(sx_str_z(JSON), NULL, b, NULL, &err) : SX_ENOMEM;
        assert_true(status == SX_OK || status == SX_ENOMEM);
        span_batch_unref(b);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(n < 1000);
    }
}

static void failing_memory_is_told(void **state)
{
    (void)state;
    sx_error err;
    thrift_out o = {.protocol = SX_THRIFT_COMPACT};
    put_batch(&o);
    sx_status status = SX_ENOMEM;
    for (int64_t n = 1; status != SX_OK; n++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        span_batch *b = span_batch_new(0);
        status = b ? span_read_jaeger_thrift(sx_buf_view(&o.bytes), o.protocol, NULL, b, NULL, &err)
                   : SX_ENOMEM;
        assert_true(status == SX_OK || status == SX_ENOMEM);
        span_batch_unref(b);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(n < 1000);
    }
    sx_buf_done(&o.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thrift_batches),
        cmocka_unit_test(lists_that_lie_are_refused),
        cmocka_unit_test(structs_without_end_are_refused),
        cmocka_unit_test(protobuf_batches),
        cmocka_unit_test(failing_memory_is_told),
        cmocka_unit_test(json_traces),
        cmocka_unit_test(json_cut_anywhere_is_refused),
        cmocka_unit_test(json_limits_drop_and_count),
        cmocka_unit_test(json_of_many_processes_takes_no_longer),
        cmocka_unit_test(failing_memory_is_told_of_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* fuzz_spans.c - every reader of spans on any bytes; the first byte chooses which.
 *
 * Property: what a reader takes is written as OTLP and read back the same: as many spans, none refused,
 * and written again the same bytes. */
#include <sextant/base.h>

#include "observe/spans/jaeger.h"
#include "observe/spans/zipkin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sx_status jaeger_binary(sx_str body, const span_limits *l, span_batch *out, span_refused *r,
                               sx_error *err)
{
    return span_read_jaeger_thrift(body, SX_THRIFT_BINARY, l, out, r, err);
}

static sx_status agent_compact(sx_str body, const span_limits *l, span_batch *out, span_refused *r,
                               sx_error *err)
{
    return span_read_jaeger_agent(body, SX_THRIFT_COMPACT, l, out, r, err);
}

static sx_status agent_binary(sx_str body, const span_limits *l, span_batch *out, span_refused *r,
                              sx_error *err)
{
    return span_read_jaeger_agent(body, SX_THRIFT_BINARY, l, out, r, err);
}

typedef sx_status read_fn(sx_str body, const span_limits *limits, span_batch *out,
                          span_refused *refused, sx_error *err);

static read_fn *const READERS[] = {
    span_read_otlp,         span_read_otlp_json,
    jaeger_binary,          agent_compact,
    agent_binary,           span_read_jaeger_proto,
    span_read_zipkin_json,  span_read_zipkin_v1_json,
    span_read_zipkin_proto, span_read_zipkin_thrift,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_error err;
    if (size == 0)
        return 0;
    read_fn *read = READERS[data[0] % (sizeof(READERS) / sizeof(*READERS))];
    span_limits limits = {.attributes_max = 64, .value_bytes_max = 256, .depth_max = 8};
    span_batch *b = span_batch_new(16 << 20);
    if (read(sx_str_of(data + 1, size - 1), &limits, b, NULL, &err) == SX_OK) {
        sx_buf once, twice;
        span_refused refused = {0};
        sx_buf_init(&once, 0);
        sx_buf_init(&twice, 0);
        span_batch *back = span_batch_new(64 << 20);
        span_write_otlp(b, &once);
        sx_assert(span_read_otlp(sx_buf_view(&once), NULL, back, &refused, &err) == SX_OK);
        sx_assert(back->count == b->count && refused.spans == 0);
        span_write_otlp(back, &twice);
        sx_assert(sx_str_eq(sx_buf_view(&once), sx_buf_view(&twice)));
        sx_buf_clear(&twice);
        span_write_otlp_json(b, &twice);
        sx_assert(!twice.failed);
        span_batch_unref(back);
        sx_buf_done(&once);
        sx_buf_done(&twice);
    }
    span_batch_unref(b);
    return 0;
}

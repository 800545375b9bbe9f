/* zipkin_thrift.c - Zipkin's version 1 in Thrift: what Brave and Finagle sent, and Jaeger's agent took.
 * Source: zipkin-api thrift/zipkinCore.thrift. */
#include "observe/spans/jaeger_tags.h"
#include "observe/spans/zipkin.h"
#include "observe/spans/zipkin_span.h"

#define F SX_THRIFT_FIELD

typedef struct thrift_intake {
    sx_thrift *r;
    zipkin_intake z;
} thrift_intake;

static zipkin_endpoint read_endpoint(thrift_intake *in)
{
    sx_thrift *r = in->r;
    zipkin_endpoint e = {0};
    sx_thrift_outer outer = sx_thrift_enter(r);
    while (sx_thrift_next(r)) {
        switch (F(r->id, r->type)) {
        case F(1, SX_THRIFT_I32): {
            uint32_t v = __builtin_bswap32((uint32_t)sx_thrift_int(r, SX_THRIFT_I32));
            if (v)
                e.ipv4 = zipkin_address(&in->z, &v, sizeof(v));
            break;
        }
        case F(2, SX_THRIFT_I16):
            e.port = (uint16_t)sx_thrift_int(r, SX_THRIFT_I16);
            break;
        case F(3, SX_THRIFT_STRING):
            e.service = span_intake_text(&in->z.k, sx_thrift_str(r));
            break;
        case F(4, SX_THRIFT_STRING): {
            sx_str bytes = sx_thrift_str(r);
            e.ipv6 = zipkin_address(&in->z, bytes.data, bytes.len);
            break;
        }
        default:
            sx_thrift_skip(r);
        }
    }
    sx_thrift_leave(r, outer);
    return e;
}

static void read_annotation(thrift_intake *in, zipkin_span *z)
{
    sx_thrift *r = in->r;
    uint64_t time_us = 0;
    sx_str value = sx_str_of(NULL, 0);
    zipkin_endpoint host = {0};
    sx_thrift_outer outer = sx_thrift_enter(r);
    while (sx_thrift_next(r)) {
        switch (F(r->id, r->type)) {
        case F(1, SX_THRIFT_I64):
            time_us = (uint64_t)sx_thrift_int(r, SX_THRIFT_I64);
            break;
        case F(2, SX_THRIFT_STRING):
            value = span_intake_text(&in->z.k, sx_thrift_str(r));
            break;
        case F(3, SX_THRIFT_STRUCT):
            host = read_endpoint(in);
            break;
        default:
            sx_thrift_skip(r);
        }
    }
    sx_thrift_leave(r, outer);
    zipkin_v1_annotation(&in->z, z, time_us, value, &host);
}

enum {
    BINARY_BOOL,
    BINARY_BYTES,
    BINARY_I16,
    BINARY_I32,
    BINARY_I64,
    BINARY_DOUBLE,
    BINARY_STRING
};

/* The annotation's bytes by its type: numbers big-endian. */
static span_value binary_value(thrift_intake *in, sx_str bytes, int64_t type)
{
    static const uint8_t WIDTH[] = {[BINARY_BOOL] = 1, [BINARY_I16] = 2,    [BINARY_I32] = 4,
                                    [BINARY_I64] = 8,  [BINARY_DOUBLE] = 8, [BINARY_STRING] = 0};
    span_value v = {0};
    unsigned width = type >= 0 && type <= BINARY_STRING ? WIDTH[type] : 0;
    if (width == 0 || bytes.len != width) {
        bool text = type == BINARY_STRING;
        span_value_set(
            &v, text ? span_intake_text(&in->z.k, bytes) : span_intake_bytes(&in->z.k, bytes),
            text ? SPAN_STR : SPAN_BYTES);
        return v;
    }
    uint64_t number = 0;
    for (unsigned i = 0; i < width; i++)
        number = number << 8 | (uint8_t)bytes.data[i];
    unsigned unused = 64 - 8 * width;
    v.i = (int64_t)(number << unused) >> unused;
    v.type = type == BINARY_BOOL ? SPAN_BOOL : type == BINARY_DOUBLE ? SPAN_DOUBLE : SPAN_INT;
    if (type == BINARY_BOOL)
        v.i = number != 0;
    return v;
}

static void read_binary(thrift_intake *in, zipkin_span *z)
{
    sx_thrift *r = in->r;
    sx_str key = sx_str_of(NULL, 0), bytes = key;
    int64_t type = BINARY_STRING;
    zipkin_endpoint host = {0};
    sx_thrift_outer outer = sx_thrift_enter(r);
    while (sx_thrift_next(r)) {
        switch (F(r->id, r->type)) {
        case F(1, SX_THRIFT_STRING):
            key = span_intake_text(&in->z.k, sx_thrift_str(r));
            break;
        case F(2, SX_THRIFT_STRING):
            bytes = sx_thrift_str(r);
            break;
        case F(3, SX_THRIFT_I32):
            type = sx_thrift_int(r, SX_THRIFT_I32);
            break;
        case F(4, SX_THRIFT_STRUCT):
            host = read_endpoint(in);
            break;
        default:
            sx_thrift_skip(r);
        }
    }
    sx_thrift_leave(r, outer);
    zipkin_v1_binary(&in->z, z, key, binary_value(in, bytes, type), &host);
}

static void read_span(thrift_intake *in)
{
    sx_thrift *r = in->r;
    zipkin_span z;
    zipkin_begin_span(&in->z, &z);
    sx_thrift_outer outer = sx_thrift_enter(r);
    while (sx_thrift_next(r)) {
        switch (F(r->id, r->type)) {
        case F(1, SX_THRIFT_I64):
            jaeger_put_id(z.trace_id + 8, sx_thrift_int(r, SX_THRIFT_I64));
            break;
        case F(3, SX_THRIFT_STRING):
            z.name = span_intake_text(&in->z.k, sx_thrift_str(r));
            break;
        case F(4, SX_THRIFT_I64):
            jaeger_put_id(z.id, sx_thrift_int(r, SX_THRIFT_I64));
            break;
        case F(5, SX_THRIFT_I64):
            jaeger_put_id(z.parent, sx_thrift_int(r, SX_THRIFT_I64));
            break;
        case F(6, SX_THRIFT_LIST):
            for (uint32_t left = sx_thrift_list(r, SX_THRIFT_STRUCT); left && !r->fault; left--)
                read_annotation(in, &z);
            break;
        case F(8, SX_THRIFT_LIST):
            for (uint32_t left = sx_thrift_list(r, SX_THRIFT_STRUCT); left && !r->fault; left--)
                read_binary(in, &z);
            break;
        case F(10, SX_THRIFT_I64):
            z.timestamp_us = (uint64_t)sx_thrift_int(r, SX_THRIFT_I64);
            break;
        case F(11, SX_THRIFT_I64):
            z.duration_us = (uint64_t)sx_thrift_int(r, SX_THRIFT_I64);
            break;
        case F(12, SX_THRIFT_I64):
            jaeger_put_id(z.trace_id, sx_thrift_int(r, SX_THRIFT_I64));
            break;
        default:
            sx_thrift_skip(r);
        }
    }
    sx_thrift_leave(r, outer);
    zipkin_v1_end(&z);
    zipkin_end_span(&in->z, &z);
}

static void read_list(thrift_intake *in)
{
    for (uint32_t left = sx_thrift_list(in->r, SX_THRIFT_STRUCT);
         left && !in->r->fault && !in->z.k.no_memory; left--)
        read_span(in);
}

sx_status span_read_zipkin_thrift(sx_str body, const span_limits *limits, span_batch *out,
                                  span_refused *refused, sx_error *err)
{
    sx_thrift r;
    thrift_intake in = {.r = &r};
    sx_thrift_init(&r, SX_THRIFT_BINARY, body);
    zipkin_intake_init(&in.z, limits, out, refused);
    read_list(&in);
    return zipkin_status(&in.z, sx_thrift_status(&r, "Zipkin spans", err), "Zipkin spans", err);
}

sx_status span_read_zipkin_thrift_args(sx_thrift *r, const span_limits *limits, span_batch *out,
                                       span_refused *refused, sx_error *err)
{
    thrift_intake in = {.r = r};
    zipkin_intake_init(&in.z, limits, out, refused);
    sx_thrift_outer outer = sx_thrift_enter(r);
    while (sx_thrift_next(r) && !in.z.k.no_memory) {
        if (F(r->id, r->type) == F(1, SX_THRIFT_LIST))
            read_list(&in);
        else
            sx_thrift_skip(r);
    }
    sx_thrift_leave(r, outer);
    return zipkin_status(&in.z, sx_thrift_status(r, "Zipkin datagram", err), "Zipkin datagram",
                         err);
}

/* zipkin_proto.c - Zipkin's version 2 in protobuf. Source: zipkin-api zipkin.proto. */
#include <sextant/protobuf.h>

#include "observe/spans/zipkin.h"
#include "observe/spans/zipkin_span.h"

typedef struct proto_intake {
    sx_pb_reader r;
    zipkin_intake z;
} proto_intake;

static sx_str read_text(proto_intake *in)
{
    return span_intake_text(&in->z.k, sx_pb_bytes(&in->r));
}

static void read_id(proto_intake *in, uint8_t *id, size_t len)
{
    span_intake_id(id, len, sx_pb_bytes(&in->r));
}

static zipkin_endpoint read_endpoint(proto_intake *in)
{
    sx_pb_reader *r = &in->r;
    zipkin_endpoint e = {0};
    sx_str bytes;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            e.service = read_text(in);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            bytes = sx_pb_bytes(r);
            e.ipv4 = zipkin_address(&in->z, bytes.data, bytes.len);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            bytes = sx_pb_bytes(r);
            e.ipv6 = zipkin_address(&in->z, bytes.data, bytes.len);
            break;
        case SX_PB_TAG(4, SX_PB_VARINT):
            e.port = sx_pb_i64(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    return e;
}

static void read_annotation(proto_intake *in, zipkin_span *z)
{
    sx_pb_reader *r = &in->r;
    uint64_t time_us = 0;
    sx_str value = sx_str_of(NULL, 0);
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(1, SX_PB_FIXED64))
            time_us = sx_pb_fixed64(r);
        else if (r->tag == SX_PB_TAG(2, SX_PB_BYTES))
            value = read_text(in);
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
    zipkin_annotation(&in->z, z, time_us, value);
}

static void read_tag(proto_intake *in, zipkin_span *z)
{
    sx_pb_reader *r = &in->r;
    sx_str key = sx_str_of(NULL, 0);
    span_value value = {.type = SPAN_STR};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(1, SX_PB_BYTES))
            key = read_text(in);
        else if (r->tag == SX_PB_TAG(2, SX_PB_BYTES))
            span_value_set(&value, read_text(in), SPAN_STR);
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
    zipkin_tag(&in->z, z, key, value);
}

static uint8_t kind_of(uint64_t number)
{
    static const uint8_t KINDS[] = {SPAN_UNSPECIFIED, SPAN_CLIENT, SPAN_SERVER, SPAN_PRODUCER,
                                    SPAN_CONSUMER};
    return number < sizeof(KINDS) ? KINDS[number] : SPAN_UNSPECIFIED;
}

static void read_span(proto_intake *in)
{
    sx_pb_reader *r = &in->r;
    zipkin_span z;
    zipkin_begin_span(&in->z, &z);
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            read_id(in, z.trace_id, sizeof(z.trace_id));
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            read_id(in, z.parent, sizeof(z.parent));
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            read_id(in, z.id, sizeof(z.id));
            break;
        case SX_PB_TAG(4, SX_PB_VARINT):
            z.kind = kind_of(sx_pb_varint(r));
            break;
        case SX_PB_TAG(5, SX_PB_BYTES):
            z.name = read_text(in);
            break;
        case SX_PB_TAG(6, SX_PB_FIXED64):
            z.timestamp_us = sx_pb_fixed64(r);
            break;
        case SX_PB_TAG(7, SX_PB_VARINT):
            z.duration_us = sx_pb_varint(r);
            break;
        case SX_PB_TAG(8, SX_PB_BYTES):
            z.local = read_endpoint(in);
            break;
        case SX_PB_TAG(9, SX_PB_BYTES):
            z.remote = read_endpoint(in);
            break;
        case SX_PB_TAG(10, SX_PB_BYTES):
            read_annotation(in, &z);
            break;
        case SX_PB_TAG(11, SX_PB_BYTES):
            read_tag(in, &z);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    zipkin_end_span(&in->z, &z);
}

sx_status span_read_zipkin_proto(sx_str body, const span_limits *limits, span_batch *out,
                                 span_refused *refused, sx_error *err)
{
    proto_intake in;
    sx_pb_init(&in.r, body);
    zipkin_intake_init(&in.z, limits, out, refused);
    while (sx_pb_next(&in.r) && !in.z.k.no_memory) {
        if (in.r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            read_span(&in);
        else
            sx_pb_skip(&in.r);
    }
    return zipkin_status(&in.z, sx_pb_status(&in.r, "Zipkin spans", err), "Zipkin spans", err);
}

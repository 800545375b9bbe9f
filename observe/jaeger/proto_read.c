/* proto_read.c - what clients of Jaeger's gRPC APIs ask. See proto.h. */
#include <sextant/protobuf.h>

#include "observe/jaeger/proto.h"
#include "observe/spans/otlp.h"

#define NS_A_SECOND 1000000000ll

/* Go's time.Time{}, the first of January of the year 1, which its clients send for "not set". */
static const int64_t GO_ZERO_S = -62135596800ll;

/* Seconds and nanoseconds of a Timestamp or Duration, which are alike on the wire. */
static void read_pair(sx_pb_reader *r, int64_t *seconds, int64_t *nanos)
{
    *seconds = *nanos = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(1, SX_PB_VARINT))
            *seconds = sx_pb_i64(r);
        else if (r->tag == SX_PB_TAG(2, SX_PB_VARINT))
            *nanos = sx_pb_i64(r);
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
}

static jaeger_moment read_moment(sx_pb_reader *r)
{
    int64_t seconds, nanos;
    read_pair(r, &seconds, &nanos);
    if (nanos < 0 || nanos >= NS_A_SECOND)
        nanos = 0;
    if (seconds <= GO_ZERO_S)
        return (jaeger_moment){0};
    if (seconds < 0)
        return (jaeger_moment){.set = true};
    if ((uint64_t)seconds >= UINT64_MAX / NS_A_SECOND)
        return (jaeger_moment){UINT64_MAX, true};
    return (jaeger_moment){(uint64_t)seconds * NS_A_SECOND + (uint64_t)nanos, true};
}

/* Below nothing is nothing: no bound. */
static uint64_t read_duration(sx_pb_reader *r)
{
    int64_t seconds, nanos;
    read_pair(r, &seconds, &nanos);
    if (seconds < 0 || nanos < 0)
        return 0;
    if (seconds >= INT64_MAX / NS_A_SECOND)
        return INT64_MAX;
    return (uint64_t)seconds * NS_A_SECOND + (uint64_t)nanos;
}

/* ---- searches ---- */

static size_t count_fields(sx_str message, uint32_t tag)
{
    sx_pb_reader r;
    size_t count = 0;
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        count += r.tag == tag;
        sx_pb_skip(&r);
    }
    return count;
}

/* A value of storage v2 as the text that a tag is compared with. */
static sx_status read_any_text(sx_str message, sx_arena *arena, sx_str *out, sx_error *err)
{
    span_value value;
    sx_buf text;
    sx_status status = span_read_any(message, arena, &value, err);
    if (status != SX_OK)
        return status;
    sx_buf_init(&text, 0);
    span_value_text(&value, &text);
    status = sx_buf_status(&text, "a tag's value", err);
    if (status == SX_OK) {
        *out = sx_arena_copy(arena, sx_buf_view(&text));
        if (!out->data)
            status = sx_fail_memory(err, "a tag's value");
    }
    sx_buf_done(&text);
    return status;
}

/* An entry of map<string, string>, or a KeyValue of storage v2. */
static sx_status read_tag(sx_pb_reader *r, jaeger_dialect dialect, sx_arena *arena, jaeger_tag *out,
                          sx_error *err)
{
    sx_str value = sx_str_of("", 0);
    *out = (jaeger_tag){.key = value, .value = value};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(1, SX_PB_BYTES))
            out->key = sx_pb_bytes(r);
        else if (r->tag == SX_PB_TAG(2, SX_PB_BYTES))
            value = sx_pb_bytes(r);
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
    if (dialect == JAEGER_STORAGE)
        return read_any_text(value, arena, &out->value, err);
    out->value = value;
    return SX_OK;
}

static size_t read_depth(sx_pb_reader *r)
{
    int64_t depth = (int32_t)sx_pb_varint(r);
    return depth > 0 ? (size_t)depth : 0;
}

/* One field after the other: as long as the message has fields. */
static sx_status read_parameters(sx_str message, jaeger_dialect dialect, sx_arena *arena,
                                 jaeger_question *q, sx_error *err)
{
    const uint32_t TAGS = SX_PB_TAG(3, SX_PB_BYTES);
    const uint32_t FILTER = SX_PB_TAG(dialect == JAEGER_STORAGE ? 9 : 10, SX_PB_BYTES);
    sx_pb_reader r;
    sx_status status = SX_OK;
    size_t cap = count_fields(message, TAGS), count = 0;
    jaeger_tag *tags = sx_arena_calloc(arena, cap + 1, sizeof(*tags));
    if (!tags)
        return sx_fail_memory(err, "a search");
    sx_pb_init(&r, message);
    while (status == SX_OK && sx_pb_next(&r)) {
        if (r.tag == FILTER && dialect != JAEGER_V2) {
            q->filter = sx_pb_bytes(&r);
            continue;
        }
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            q->search.service = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            q->search.operation = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            if (count < cap)
                status = read_tag(&r, dialect, arena, &tags[count++], err);
            else
                sx_pb_skip(&r);
            break;
        case SX_PB_TAG(4, SX_PB_BYTES):
            q->min = read_moment(&r);
            break;
        case SX_PB_TAG(5, SX_PB_BYTES):
            q->max = read_moment(&r);
            break;
        case SX_PB_TAG(6, SX_PB_BYTES):
            q->search.min_duration_ns = read_duration(&r);
            break;
        case SX_PB_TAG(7, SX_PB_BYTES):
            q->search.max_duration_ns = read_duration(&r);
            break;
        case SX_PB_TAG(8, SX_PB_VARINT):
            q->search.limit = read_depth(&r);
            break;
        case SX_PB_TAG(9, SX_PB_VARINT):
            q->raw = sx_pb_bool(&r);
            break;
        default:
            sx_pb_skip(&r);
        }
    }
    q->search.tags = tags;
    q->search.tag_count = count;
    q->search.min_ns = q->min.ns;
    q->search.max_ns = q->max.ns;
    return status == SX_OK ? sx_pb_status(&r, "Jaeger query parameters", err) : status;
}

sx_status jaeger_read_question(sx_str message, jaeger_dialect dialect, sx_arena *arena,
                               jaeger_question *out, sx_error *err)
{
    sx_pb_reader r;
    sx_status status = SX_OK;
    *out = (jaeger_question){0};
    sx_pb_init(&r, message);
    while (status == SX_OK && sx_pb_next(&r)) {
        if (r.tag != SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_pb_skip(&r);
            continue;
        }
        sx_str parameters = sx_pb_bytes(&r);
        out->asked = r.fault == SX_PB_FINE;
        if (out->asked)
            status = read_parameters(parameters, dialect, arena, out, err);
    }
    return status == SX_OK ? sx_pb_status(&r, "Jaeger search request", err) : status;
}

/* ---- traces ---- */

static sx_status set_id(sx_str bytes, jaeger_dialect dialect, uint8_t out[16], sx_error *err)
{
    if (dialect == JAEGER_V3)
        return jaeger_trace_id(bytes, out, err);
    if (bytes.len != 16 && bytes.len != 8)
        return sx_fail(err, SX_EINVAL, "a trace id has 16 bytes, this one has %zu", bytes.len);
    memset(out, 0, 16);
    memcpy(out + 16 - bytes.len, bytes.data, bytes.len); /* 64 bits are padded */
    return SX_OK;
}

sx_status jaeger_read_wanted(sx_str message, jaeger_dialect dialect, jaeger_wanted *out,
                             sx_error *err)
{
    sx_pb_reader r;
    sx_str id = sx_str_of("", 0);
    *out = (jaeger_wanted){0};
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            id = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            out->min = read_moment(&r);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            out->max = read_moment(&r);
            break;
        case SX_PB_TAG(4, SX_PB_VARINT):
            out->raw = sx_pb_bool(&r);
            break;
        default:
            sx_pb_skip(&r);
        }
    }
    sx_status status = sx_pb_status(&r, "Jaeger trace request", err);
    return status == SX_OK ? set_id(id, dialect, out->trace_id, err) : status;
}

/* ---- names, dependencies ---- */

sx_status jaeger_read_operations(sx_str message, sx_str *service, sx_str *kind, sx_error *err)
{
    sx_pb_reader r;
    *service = *kind = sx_str_of("", 0);
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            *service = sx_pb_bytes(&r);
        else if (r.tag == SX_PB_TAG(2, SX_PB_BYTES))
            *kind = sx_pb_bytes(&r);
        else
            sx_pb_skip(&r);
    }
    return sx_pb_status(&r, "Jaeger operations request", err);
}

sx_status jaeger_read_span_of_time(sx_str message, jaeger_moment *min, jaeger_moment *max,
                                   sx_error *err)
{
    sx_pb_reader r;
    *min = *max = (jaeger_moment){0};
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            *min = read_moment(&r);
        else if (r.tag == SX_PB_TAG(2, SX_PB_BYTES))
            *max = read_moment(&r);
        else
            sx_pb_skip(&r);
    }
    return sx_pb_status(&r, "Jaeger dependencies request", err);
}

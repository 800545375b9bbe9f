/* jaeger_proto.c - Jaeger's protobuf model: what its agents and collectors send each other over gRPC.
 * Source: jaeger-idl proto/api_v2/model.proto, collector.proto. */
#include <sextant/protobuf.h>

#include "observe/spans/jaeger.h"
#include "observe/spans/jaeger_tags.h"

typedef struct proto_intake {
    sx_pb_reader r;
    jaeger_intake j;
} proto_intake;

static sx_str read_text(proto_intake *in)
{
    return span_intake_text(&in->j.k, sx_pb_bytes(&in->r));
}

static void read_tag(proto_intake *in, size_t base, uint32_t *dropped)
{
    static const span_type TYPES[] = {SPAN_STR, SPAN_BOOL, SPAN_INT, SPAN_DOUBLE, SPAN_BYTES};
    sx_pb_reader *r = &in->r;
    jaeger_tag tag = {.type = SPAN_STR};
    uint64_t type;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            tag.key = read_text(in);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            type = sx_pb_varint(r);
            tag.type = type < SX_COUNT_OF(TYPES) ? TYPES[type] : SPAN_STR;
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            tag.text = read_text(in);
            break;
        case SX_PB_TAG(4, SX_PB_VARINT):
            tag.truth = sx_pb_bool(r);
            break;
        case SX_PB_TAG(5, SX_PB_VARINT):
            tag.number = sx_pb_i64(r);
            break;
        case SX_PB_TAG(6, SX_PB_FIXED64):
            tag.real = sx_pb_double(r);
            break;
        case SX_PB_TAG(7, SX_PB_BYTES):
            tag.bytes = span_intake_bytes(&in->j.k, sx_pb_bytes(r));
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    jaeger_add_tag(&in->j, &tag, base, dropped);
}

/* google.protobuf.Timestamp and Duration: seconds and nanoseconds. */
static int64_t read_time(proto_intake *in)
{
    sx_pb_reader *r = &in->r;
    uint64_t seconds = 0, nanos = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(1, SX_PB_VARINT))
            seconds = sx_pb_varint(r);
        else if (r->tag == SX_PB_TAG(2, SX_PB_VARINT))
            nanos = sx_pb_varint(r);
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
    return (int64_t)(seconds * 1000000000u + nanos);
}

static void read_id(proto_intake *in, uint8_t *id, size_t len)
{
    span_intake_id(id, len, sx_pb_bytes(&in->r));
}

static void read_log(proto_intake *in, span *s, size_t events)
{
    sx_pb_reader *r = &in->r;
    span_event event = {0};
    size_t base = in->j.k.attrs.count;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            event.time_ns = (uint64_t)read_time(in);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            read_tag(in, base, &event.attrs.dropped);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    jaeger_add_event(&in->j, s, events, event, base);
}

static void read_ref(proto_intake *in)
{
    sx_pb_reader *r = &in->r;
    jaeger_ref ref = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            read_id(in, ref.trace_id, sizeof(ref.trace_id));
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            read_id(in, ref.span_id, sizeof(ref.span_id));
            break;
        case SX_PB_TAG(3, SX_PB_VARINT):
            ref.follows_from = sx_pb_varint(r) == 1;
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    jaeger_add_ref(&in->j, ref);
}

static span_resource *read_process(proto_intake *in)
{
    sx_pb_reader *r = &in->r;
    sx_str service = sx_str_of(NULL, 0);
    size_t base = in->j.k.attrs.count;
    uint32_t dropped = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            service = read_text(in);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            read_tag(in, base, &dropped);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    span_resource *made = jaeger_resource(&in->j, service, base);
    if (made)
        made->attrs.dropped = dropped;
    return made;
}

/* A warning that the client put on its span stays readable under the name Jaeger 2 keeps it by. */
static void read_warning(proto_intake *in, span_value *items, uint32_t *count, uint32_t most)
{
    sx_str text = read_text(in);
    if (*count < most)
        span_value_set(&items[(*count)++], text, SPAN_STR);
}

static void keep_warnings(proto_intake *in, const span_value *items, uint32_t count)
{
    span_attr *tag = count ? span_gather_add(&in->j.k, &in->j.k.attrs) : NULL;
    span_value *kept = tag ? sx_arena_alloc(&in->j.k.batch->arena, count * sizeof(*kept)) : NULL;
    if (!tag)
        return;
    tag->key = "@jaeger@warnings";
    tag->key_len = sizeof("@jaeger@warnings") - 1;
    if (!kept) {
        in->j.k.no_memory = true;
        return;
    }
    memcpy(kept, items, count * sizeof(*kept));
    tag->value = (span_value){.items = kept, .len = count, .type = SPAN_LIST};
}

/* One field after the other: as long as the message has fields. */
static void read_span(proto_intake *in)
{
    enum { WARNINGS_MAX = 32 };
    sx_pb_reader *r = &in->r;
    span_intake *k = &in->j.k;
    size_t tags = k->attrs.count, events = k->events.count, refs = in->j.refs.count;
    span_value warnings[WARNINGS_MAX];
    uint32_t warning_count = 0;
    int64_t duration = 0;
    span *s = span_batch_add(k->batch);
    if (!s) {
        k->no_memory = true;
        sx_pb_skip(r);
        return;
    }
    s->resource = in->j.resource;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            read_id(in, s->trace_id, sizeof(s->trace_id));
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            read_id(in, s->id, sizeof(s->id));
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            s->name = read_text(in);
            break;
        case SX_PB_TAG(4, SX_PB_BYTES):
            read_ref(in);
            break;
        case SX_PB_TAG(6, SX_PB_BYTES):
            s->start_ns = (uint64_t)read_time(in);
            break;
        case SX_PB_TAG(7, SX_PB_BYTES):
            duration = read_time(in);
            break;
        case SX_PB_TAG(8, SX_PB_BYTES):
            read_tag(in, tags, &s->attrs.dropped);
            break;
        case SX_PB_TAG(9, SX_PB_BYTES):
            read_log(in, s, events);
            break;
        case SX_PB_TAG(10, SX_PB_BYTES):
            s->resource = read_process(in);
            break;
        case SX_PB_TAG(12, SX_PB_BYTES):
            read_warning(in, warnings, &warning_count, WARNINGS_MAX);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    s->end_ns = s->start_ns + (uint64_t)duration;
    s->events = span_gather_take(k, &k->events, events, &s->event_count);
    keep_warnings(in, warnings, warning_count);
    jaeger_end_span(&in->j, s, tags, refs, true);
}

static void read_batch(proto_intake *in)
{
    sx_pb_reader *r = &in->r;
    in->j.resource = sx_arena_calloc(&in->j.k.batch->arena, 1, sizeof(*in->j.resource));
    if (!in->j.resource) {
        in->j.k.no_memory = true;
        sx_pb_skip(r);
        return;
    }
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r) && !in->j.k.no_memory) {
        if (r->tag == SX_PB_TAG(1, SX_PB_BYTES)) {
            read_span(in);
        } else if (r->tag == SX_PB_TAG(2, SX_PB_BYTES)) {
            /* Spans stand before it and point to the one there is. */
            const span_resource *made = read_process(in);
            if (made)
                *in->j.resource = *made;
        } else {
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
}

sx_status span_read_jaeger_proto(sx_str body, const span_limits *limits, span_batch *out,
                                 span_refused *refused, sx_error *err)
{
    proto_intake in;
    sx_pb_init(&in.r, body);
    jaeger_intake_init(&in.j, limits, out, refused);
    while (sx_pb_next(&in.r) && !in.j.k.no_memory) {
        if (in.r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            read_batch(&in);
        else
            sx_pb_skip(&in.r);
    }
    sx_status status = span_intake_status(&in.j.k, "Jaeger PostSpans request", err);
    jaeger_intake_done(&in.j);
    out->otlp = sx_str_of(NULL, 0);
    return status == SX_OK ? sx_pb_status(&in.r, "Jaeger PostSpans request", err) : status;
}

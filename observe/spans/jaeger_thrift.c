/* jaeger_thrift.c - Jaeger's Thrift structs: what the Python, Node, Java and Go clients of its own era
 * send. Source: jaeger-idl thrift/jaeger.thrift, thrift/agent.thrift. */
#include "observe/spans/jaeger.h"
#include "observe/spans/jaeger_tags.h"
#include "observe/spans/zipkin.h"

typedef struct thrift_intake {
    sx_thrift r;
    jaeger_intake j;
} thrift_intake;

#define F SX_THRIFT_FIELD

static void read_tag(thrift_intake *in, size_t base, uint32_t *dropped)
{
    static const span_type TYPES[] = {SPAN_STR, SPAN_DOUBLE, SPAN_BOOL, SPAN_INT, SPAN_BYTES};
    sx_thrift *r = &in->r;
    span_intake *k = &in->j.k;
    jaeger_tag tag = {.type = SPAN_STR};
    int64_t type;
    sx_thrift_outer outer = sx_thrift_enter(r);
    while (sx_thrift_next(r)) {
        switch (F(r->id, r->type)) {
        case F(1, SX_THRIFT_STRING):
            tag.key = span_intake_text(k, sx_thrift_str(r));
            break;
        case F(2, SX_THRIFT_I32):
            type = sx_thrift_int(r, SX_THRIFT_I32);
            tag.type = type >= 0 && type < (int64_t)SX_COUNT_OF(TYPES) ? TYPES[type] : SPAN_STR;
            break;
        case F(3, SX_THRIFT_STRING):
            tag.text = span_intake_text(k, sx_thrift_str(r));
            break;
        case F(4, SX_THRIFT_DOUBLE):
            tag.real = sx_thrift_double(r);
            break;
        case F(5, SX_THRIFT_BOOL):
            tag.truth = sx_thrift_bool(r);
            break;
        case F(6, SX_THRIFT_I64):
            tag.number = sx_thrift_int(r, SX_THRIFT_I64);
            break;
        case F(7, SX_THRIFT_STRING):
            tag.bytes = span_intake_bytes(k, sx_thrift_str(r));
            break;
        default:
            sx_thrift_skip(r);
        }
    }
    sx_thrift_leave(r, outer);
    jaeger_add_tag(&in->j, &tag, base, dropped);
}

static void read_tags(thrift_intake *in, size_t base, uint32_t *dropped)
{
    for (uint32_t left = sx_thrift_list(&in->r, SX_THRIFT_STRUCT); left && !in->r.fault; left--)
        read_tag(in, base, dropped);
}

static void read_log(thrift_intake *in, span *s, size_t events)
{
    sx_thrift *r = &in->r;
    span_event event = {0};
    size_t base = in->j.k.attrs.count;
    sx_thrift_outer outer = sx_thrift_enter(r);
    while (sx_thrift_next(r)) {
        switch (F(r->id, r->type)) {
        case F(1, SX_THRIFT_I64):
            event.time_ns = (uint64_t)sx_thrift_int(r, SX_THRIFT_I64) * 1000;
            break;
        case F(2, SX_THRIFT_LIST):
            read_tags(in, base, &event.attrs.dropped);
            break;
        default:
            sx_thrift_skip(r);
        }
    }
    sx_thrift_leave(r, outer);
    jaeger_add_event(&in->j, s, events, event, base);
}

static void read_logs(thrift_intake *in, span *s, size_t events)
{
    for (uint32_t left = sx_thrift_list(&in->r, SX_THRIFT_STRUCT); left && !in->r.fault; left--)
        read_log(in, s, events);
}

static void read_ref(thrift_intake *in)
{
    sx_thrift *r = &in->r;
    jaeger_ref ref = {0};
    sx_thrift_outer outer = sx_thrift_enter(r);
    while (sx_thrift_next(r)) {
        switch (F(r->id, r->type)) {
        case F(1, SX_THRIFT_I32):
            ref.follows_from = sx_thrift_int(r, SX_THRIFT_I32) == 1;
            break;
        case F(2, SX_THRIFT_I64):
            jaeger_put_id(ref.trace_id + 8, sx_thrift_int(r, SX_THRIFT_I64));
            break;
        case F(3, SX_THRIFT_I64):
            jaeger_put_id(ref.trace_id, sx_thrift_int(r, SX_THRIFT_I64));
            break;
        case F(4, SX_THRIFT_I64):
            jaeger_put_id(ref.span_id, sx_thrift_int(r, SX_THRIFT_I64));
            break;
        default:
            sx_thrift_skip(r);
        }
    }
    sx_thrift_leave(r, outer);
    jaeger_add_ref(&in->j, ref);
}

/* One field after the other: as long as the struct has fields. */
static void read_span(thrift_intake *in)
{
    sx_thrift *r = &in->r;
    span_intake *k = &in->j.k;
    size_t tags = k->attrs.count, events = k->events.count, refs = in->j.refs.count;
    uint64_t duration_us = 0;
    span *s = span_batch_add(k->batch);
    if (!s) {
        k->no_memory = true;
        return;
    }
    s->resource = in->j.resource;
    sx_thrift_outer outer = sx_thrift_enter(r);
    while (sx_thrift_next(r)) {
        switch (F(r->id, r->type)) {
        case F(1, SX_THRIFT_I64):
            jaeger_put_id(s->trace_id + 8, sx_thrift_int(r, SX_THRIFT_I64));
            break;
        case F(2, SX_THRIFT_I64):
            jaeger_put_id(s->trace_id, sx_thrift_int(r, SX_THRIFT_I64));
            break;
        case F(3, SX_THRIFT_I64):
            jaeger_put_id(s->id, sx_thrift_int(r, SX_THRIFT_I64));
            break;
        case F(4, SX_THRIFT_I64):
            jaeger_put_id(s->parent, sx_thrift_int(r, SX_THRIFT_I64));
            break;
        case F(5, SX_THRIFT_STRING):
            s->name = span_intake_text(k, sx_thrift_str(r));
            break;
        case F(6, SX_THRIFT_LIST):
            for (uint32_t left = sx_thrift_list(r, SX_THRIFT_STRUCT); left && !r->fault; left--)
                read_ref(in);
            break;
        case F(8, SX_THRIFT_I64):
            s->start_ns = (uint64_t)sx_thrift_int(r, SX_THRIFT_I64) * 1000;
            break;
        case F(9, SX_THRIFT_I64):
            duration_us = (uint64_t)sx_thrift_int(r, SX_THRIFT_I64);
            break;
        case F(10, SX_THRIFT_LIST):
            read_tags(in, tags, &s->attrs.dropped);
            break;
        case F(11, SX_THRIFT_LIST):
            read_logs(in, s, events);
            break;
        default:
            sx_thrift_skip(r); /* 7, flags: sampled and debug, which say nothing to the store */
        }
    }
    sx_thrift_leave(r, outer);
    s->end_ns = s->start_ns + duration_us * 1000;
    s->events = span_gather_take(k, &k->events, events, &s->event_count);
    jaeger_end_span(&in->j, s, tags, refs, false);
}

static void read_process(thrift_intake *in)
{
    sx_thrift *r = &in->r;
    sx_str service = sx_str_of(NULL, 0);
    size_t base = in->j.k.attrs.count;
    uint32_t dropped = 0;
    sx_thrift_outer outer = sx_thrift_enter(r);
    while (sx_thrift_next(r)) {
        switch (F(r->id, r->type)) {
        case F(1, SX_THRIFT_STRING):
            service = span_intake_text(&in->j.k, sx_thrift_str(r));
            break;
        case F(2, SX_THRIFT_LIST):
            read_tags(in, base, &dropped);
            break;
        default:
            sx_thrift_skip(r);
        }
    }
    sx_thrift_leave(r, outer);
    span_resource *made = jaeger_resource(&in->j, service, base);
    if (made) { /* spans may have been read before: they point to the one there is */
        made->attrs.dropped = dropped;
        *in->j.resource = *made;
    }
}

static void read_batch(thrift_intake *in)
{
    sx_thrift *r = &in->r;
    in->j.resource = sx_arena_calloc(&in->j.k.batch->arena, 1, sizeof(*in->j.resource));
    if (!in->j.resource) {
        in->j.k.no_memory = true;
        return;
    }
    sx_thrift_outer outer = sx_thrift_enter(r);
    while (sx_thrift_next(r) && !in->j.k.no_memory) {
        switch (F(r->id, r->type)) {
        case F(1, SX_THRIFT_STRUCT):
            read_process(in);
            break;
        case F(2, SX_THRIFT_LIST):
            for (uint32_t left = sx_thrift_list(r, SX_THRIFT_STRUCT);
                 left && !r->fault && !in->j.k.no_memory; left--)
                read_span(in);
            break;
        default:
            sx_thrift_skip(r);
        }
    }
    sx_thrift_leave(r, outer);
}

static sx_status end(thrift_intake *in, const char *what, sx_error *err)
{
    sx_status status = span_intake_status(&in->j.k, what, err);
    jaeger_intake_done(&in->j);
    in->j.k.batch->otlp = sx_str_of(NULL, 0);
    return status == SX_OK ? sx_thrift_status(&in->r, what, err) : status;
}

sx_status span_read_jaeger_thrift(sx_str body, sx_thrift_protocol protocol,
                                  const span_limits *limits, span_batch *out, span_refused *refused,
                                  sx_error *err)
{
    thrift_intake in;
    sx_thrift_init(&in.r, protocol, body);
    jaeger_intake_init(&in.j, limits, out, refused);
    read_batch(&in);
    return end(&in, "Jaeger batch", err);
}

sx_status span_read_jaeger_agent(sx_str datagram, sx_thrift_protocol protocol,
                                 const span_limits *limits, span_batch *out, span_refused *refused,
                                 sx_error *err)
{
    thrift_intake in;
    sx_thrift_call call;
    int32_t sequence;
    sx_thrift_init(&in.r, protocol, datagram);
    sx_str method = sx_thrift_message(&in.r, &call, &sequence);
    if (!in.r.fault && sx_str_eq(method, SX_STR("emitZipkinBatch")))
        return span_read_zipkin_thrift_args(&in.r, limits, out, refused, err);
    if (!in.r.fault && !sx_str_eq(method, SX_STR("emitBatch")))
        return sx_fail(err, SX_EFORMAT,
                       "Jaeger datagram: the method \"%.*s\" is none of the agent's, which are "
                       "emitBatch and emitZipkinBatch",
                       SX_ARG(sx_str_first(method, 64)));
    jaeger_intake_init(&in.j, limits, out, refused);
    sx_thrift_outer outer = sx_thrift_enter(&in.r);
    while (sx_thrift_next(&in.r) && !in.j.k.no_memory) {
        if (F(in.r.id, in.r.type) == F(1, SX_THRIFT_STRUCT))
            read_batch(&in);
        else
            sx_thrift_skip(&in.r);
    }
    sx_thrift_leave(&in.r, outer);
    return end(&in, "Jaeger datagram", err);
}

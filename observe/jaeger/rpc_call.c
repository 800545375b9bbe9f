/* rpc_call.c - names, dependencies and streams of traces, for all of Jaeger's gRPC services. */
#include "observe/jaeger/rpc_call.h"

#include <sextant/protobuf.h>

sx_grpc_status jaeger_rpc_status(const rpc_call *c, sx_status status)
{
    if (status != SX_OK && atomic_load(&c->canceled))
        return SX_GRPC_CANCELLED;
    switch (status) {
    case SX_OK:
        return SX_GRPC_OK;
    case SX_EFORMAT:
    case SX_EINVAL:
        return SX_GRPC_INVALID_ARGUMENT;
    case SX_ENOTFOUND:
        return SX_GRPC_NOT_FOUND;
    case SX_EUNSUPPORTED:
        return SX_GRPC_UNIMPLEMENTED;
    case SX_ETIMEOUT:
        return SX_GRPC_DEADLINE_EXCEEDED;
    case SX_ELIMIT:
    case SX_ENOMEM:
        return SX_GRPC_RESOURCE_EXHAUSTED;
    default:
        return SX_GRPC_INTERNAL;
    }
}

tr_limits jaeger_rpc_limits(const rpc_call *c)
{
    const jaeger_rpc *s = c->ctx;
    return (tr_limits){.canceled = &c->canceled,
                       .deadline_ms = s->clock ? sx_clock_ms(s->clock) + s->timeout_ms : 0,
                       .bytes_max = s->bytes_max};
}

/* ---- unary methods ---- */

static sx_grpc_status answer(rpc_call *c, sx_buf *out, sx_status status, sx_error *err)
{
    if (status == SX_OK)
        status = sx_buf_status(out, "an answer", err);
    if (status == SX_OK)
        rpc_send(c, sx_buf_view(out));
    sx_buf_done(out);
    return jaeger_rpc_status(c, status);
}

sx_grpc_status jaeger_rpc_services(rpc_call *c, sx_error *err)
{
    const jaeger_rpc *s = c->ctx;
    tr_names names = {0};
    sx_buf out;
    sx_buf_init(&out, 0);
    const tr_limits limits = jaeger_rpc_limits(c);
    sx_status status = jaeger_services(s->store, &limits, &c->arena, &names, err);
    if (status == SX_OK)
        jaeger_put_services(&out, &names);
    return answer(c, &out, status, err);
}

sx_grpc_status jaeger_rpc_operations(rpc_call *c, jaeger_dialect dialect, sx_error *err)
{
    const jaeger_rpc *s = c->ctx;
    sx_str service, kind_name;
    tr_operation *items = NULL;
    size_t count = 0;
    sx_buf out;
    sx_status status = jaeger_read_operations(c->request, &service, &kind_name, err);
    sx_buf_init(&out, 0);
    if (status == SX_OK)
        status = jaeger_operations(s->store, service, kind_name, &c->arena, &items, &count, err);
    if (status == SX_OK)
        jaeger_put_operations(&out, dialect, items, count);
    return answer(c, &out, status, err);
}

sx_grpc_status jaeger_rpc_dependencies(rpc_call *c, jaeger_dialect dialect, sx_error *err)
{
    const jaeger_rpc *s = c->ctx;
    const tr_limits limits = jaeger_rpc_limits(c);
    jaeger_moment min, max;
    tr_edge *items = NULL;
    size_t count = 0;
    sx_buf out;
    sx_status status = jaeger_read_span_of_time(c->request, &min, &max, err);
    sx_buf_init(&out, 0);
    if (status == SX_OK && dialect != JAEGER_STORAGE && (!min.set || !max.set))
        status = sx_fail(err, SX_EINVAL,
                         dialect == JAEGER_V2 ? "StartTime and EndTime must be initialized."
                                              : "start_time and end_time are required");
    if (status == SX_OK && dialect == JAEGER_V3 && max.ns <= min.ns)
        status = sx_fail(err, SX_EINVAL, "end_time must be after start_time");
    if (status == SX_OK)
        status =
            jaeger_dependencies(s->store, min.ns, max.ns, &limits, &c->arena, &items, &count, err);
    if (status == SX_OK)
        jaeger_put_dependencies(&out, items, count);
    return answer(c, &out, status, err);
}

/* ---- traces ---- */

typedef struct stream {
    rpc_call *c;
    jaeger_dialect dialect;
    bool raw;
    sx_buf space;
    sx_status status; /* why the callback ended it */
    sx_error *err;
} stream;

static bool send_message(void *ctx, sx_str message)
{
    return rpc_send(((stream *)ctx)->c, message);
}

static bool send_trace(void *ctx, const uint8_t trace_id[16], span_batch *trace)
{
    stream *s = ctx;
    const jaeger_rpc *rpc = s->c->ctx;
    const jaeger_notes *notes = NULL;
    (void)trace_id;
    if (!s->raw)
        s->status = jaeger_adjust(trace, rpc->skew_ns, &notes, s->err);
    if (s->status == SX_OK)
        s->status = jaeger_group(trace, notes, s->err);
    if (s->status == SX_OK)
        s->status = jaeger_write_otlp(trace, RPC_MESSAGE_BYTES, &s->space, send_message, s, s->err);
    return s->status == SX_OK && !atomic_load(&s->c->canceled);
}

/* The store's spans of the trace, or those that were archived. */
sx_status jaeger_rpc_read(rpc_call *c, const jaeger_wanted *w, span_batch *out, sx_error *err)
{
    const jaeger_rpc *rpc = c->ctx;
    const tr_limits limits = jaeger_rpc_limits(c);
    const jaeger_which which = {w->trace_id, w->min.ns, w->max.ns};
    bool partial = false;
    return jaeger_read(rpc->store, &rpc->archive, &which, &limits, out, &partial, err);
}

sx_status jaeger_rpc_trace(rpc_call *c, const jaeger_wanted *w, bool *found, sx_error *err)
{
    stream s = {.c = c, .raw = w->raw, .err = err};
    span_batch *trace = span_batch_new(0);
    if (!trace)
        return sx_fail_memory(err, "a trace");
    sx_buf_init(&s.space, 0);
    sx_status status = jaeger_rpc_read(c, w, trace, err);
    *found = status == SX_OK && trace->count;
    if (*found) {
        send_trace(&s, w->trace_id, trace);
        status = s.status;
    }
    sx_buf_done(&s.space);
    span_batch_unref(trace);
    return status;
}

sx_status jaeger_rpc_search(rpc_call *c, jaeger_question *q, jaeger_trace_fn *trace, tr_hit_fn *hit,
                            void *ctx, sx_error *err)
{
    const jaeger_rpc *rpc = c->ctx;
    const tr_limits limits = jaeger_rpc_limits(c);
    jaeger_regexes regexes = {0};
    bool partial = false;
    sx_status status = SX_OK;
    if (q->max.set && q->max.ns < q->min.ns)
        return SX_OK; /* nothing lies there */
    if (q->filter.len)
        status = jaeger_filter_read(q->filter, &c->arena, &regexes, &q->search.also, err);
    if (status == SX_OK)
        status =
            trace ? jaeger_find(rpc->store, &q->search, &limits, trace, ctx, NULL, &partial, err)
                  : jaeger_find_ids(rpc->store, &q->search, &limits, hit, ctx, NULL, &partial, err);
    jaeger_regexes_done(&regexes);
    return status;
}

sx_status jaeger_rpc_find(rpc_call *c, jaeger_dialect dialect, jaeger_question *q, sx_error *err)
{
    stream s = {.c = c, .dialect = dialect, .raw = q->raw, .err = err};
    sx_buf_init(&s.space, 0);
    sx_status status = jaeger_rpc_search(c, q, send_trace, NULL, &s, err);
    sx_buf_done(&s.space);
    return status == SX_OK ? s.status : status;
}

/* ---- summaries: some in a message ---- */

enum { SUMMARIES_BYTES = 32 << 10 };

static bool send_summary(void *ctx, const uint8_t trace_id[16], span_batch *trace)
{
    stream *s = ctx;
    const jaeger_rpc *rpc = s->c->ctx;
    const jaeger_notes *notes;
    (void)trace_id;
    s->status = jaeger_adjust(trace, rpc->skew_ns, &notes, s->err);
    if (s->status == SX_OK)
        s->status = jaeger_put_summary(&s->space, 1, s->dialect, trace, &trace->arena, s->err);
    if (s->status != SX_OK)
        return false;
    if (s->space.len < SUMMARIES_BYTES)
        return !atomic_load(&s->c->canceled);
    bool more = rpc_send(s->c, sx_buf_view(&s->space));
    sx_buf_clear(&s->space);
    return more;
}

sx_status jaeger_rpc_summaries(rpc_call *c, jaeger_dialect dialect, jaeger_question *q,
                               sx_error *err)
{
    stream s = {.c = c, .dialect = dialect, .err = err};
    sx_buf_init(&s.space, 0);
    sx_status status = jaeger_rpc_search(c, q, send_summary, NULL, &s, err);
    if (status == SX_OK)
        status = s.status;
    if (status == SX_OK && s.space.len)
        rpc_send(c, sx_buf_view(&s.space));
    sx_buf_done(&s.space);
    return status;
}

/* rpc_query.c - jaeger.api_v2.QueryService and jaeger.api_v3.QueryService.
 *
 * Words and statuses of errors are the peer's. Version 2 sends its own spans, ten in a message as the
 * peer does; version 3 OTLP. Source: jaeger-idl proto/api_v2/query.proto, api_v3/query_service.proto. */
#include <sextant/protobuf.h>

#include "observe/jaeger/rpc_call.h"

enum { SPANS_A_MESSAGE = 10 };

/* ---- version 2 ---- */

typedef struct span_stream {
    rpc_call *c;
    bool raw;
    sx_buf out;
    sx_status status;
    sx_error *err;
} span_stream;

static bool send_spans(void *ctx, const uint8_t trace_id[16], span_batch *trace)
{
    span_stream *s = ctx;
    const jaeger_rpc *rpc = s->c->ctx;
    const jaeger_notes *notes = NULL;
    (void)trace_id;
    if (!s->raw)
        s->status = jaeger_adjust(trace, rpc->skew_ns, &notes, s->err);
    bool more = s->status == SX_OK;
    size_t in_message = 0;
    sx_buf_clear(&s->out);
    for (size_t i = 0; i < trace->count && more; i++) {
        jaeger_put_span(&s->out, 1, trace->spans[i], notes ? &notes[i] : NULL);
        if (++in_message < SPANS_A_MESSAGE && s->out.len < RPC_MESSAGE_BYTES &&
            i + 1 < trace->count)
            continue;
        s->status = sx_buf_status(&s->out, "a trace", s->err);
        more = s->status == SX_OK && rpc_send(s->c, sx_buf_view(&s->out));
        sx_buf_clear(&s->out);
        in_message = 0;
    }
    return more;
}

static bool is_zero(const uint8_t id[16])
{
    static const uint8_t NONE[16] = {0};
    return memcmp(id, NONE, sizeof(NONE)) == 0;
}

static sx_status read_wanted(rpc_call *c, jaeger_wanted *w, sx_error *err)
{
    sx_status status = jaeger_read_wanted(c->request, JAEGER_V2, w, err);
    return status == SX_OK && is_zero(w->trace_id)
               ? sx_fail(err, SX_EINVAL, "uninitialized TraceID is not allowed")
               : status;
}

static sx_grpc_status get_trace_v2(rpc_call *c, sx_error *err)
{
    span_stream s = {.c = c, .err = err};
    jaeger_wanted w;
    bool found;
    sx_status status = read_wanted(c, &w, err);
    if (status != SX_OK)
        return jaeger_rpc_status(c, status);
    span_batch *trace = span_batch_new(0);
    if (!trace)
        return jaeger_rpc_status(c, sx_fail_memory(err, "a trace"));
    sx_buf_init(&s.out, 0);
    s.raw = w.raw;
    status = jaeger_rpc_read(c, &w, trace, err);
    found = trace->count;
    if (status == SX_OK && found) {
        send_spans(&s, w.trace_id, trace);
        status = s.status;
    }
    sx_buf_done(&s.out);
    span_batch_unref(trace);
    if (status == SX_OK && !found) {
        sx_fail(err, SX_ENOTFOUND, "trace not found");
        return SX_GRPC_NOT_FOUND;
    }
    return jaeger_rpc_status(c, status);
}

static sx_grpc_status find_traces_v2(rpc_call *c, sx_error *err)
{
    span_stream s = {.c = c, .err = err};
    jaeger_question q;
    sx_status status = jaeger_read_question(c->request, JAEGER_V2, &c->arena, &q, err);
    if (status == SX_OK && !q.asked)
        status = sx_fail(err, SX_EINVAL, "missing query");
    if (status != SX_OK)
        return jaeger_rpc_status(c, status);
    s.raw = q.raw;
    sx_buf_init(&s.out, 0);
    status = jaeger_rpc_search(c, &q, send_spans, NULL, &s, err);
    sx_buf_done(&s.out);
    return jaeger_rpc_status(c, status == SX_OK ? s.status : status);
}

static sx_status archive(rpc_call *c, const jaeger_wanted *w, span_batch *trace, sx_error *err)
{
    const jaeger_rpc *rpc = c->ctx;
    const tr_limits limits = jaeger_rpc_limits(c);
    sx_status status = jaeger_rpc_read(c, w, trace, err);
    if (status == SX_OK && trace->count == 0)
        status = sx_fail(err, SX_ENOTFOUND, "trace not found");
    return status == SX_OK ? jaeger_keep(&rpc->archive, trace, &limits, err) : status;
}

static sx_grpc_status archive_trace_v2(rpc_call *c, sx_error *err)
{
    jaeger_wanted w;
    sx_status status = read_wanted(c, &w, err);
    span_batch *trace = span_batch_new(0);
    if (status == SX_OK)
        status = trace ? archive(c, &w, trace, err) : sx_fail_memory(err, "a trace");
    if (status == SX_OK)
        rpc_send(c, SX_STR(""));
    span_batch_unref(trace);
    return status == SX_EUNSUPPORTED ? SX_GRPC_INTERNAL : jaeger_rpc_status(c, status);
}

static sx_grpc_status get_operations_v2(rpc_call *c, sx_error *err)
{
    return jaeger_rpc_operations(c, JAEGER_V2, err);
}

static sx_grpc_status get_dependencies_v2(rpc_call *c, sx_error *err)
{
    return jaeger_rpc_dependencies(c, JAEGER_V2, err);
}

/* ---- version 3 ---- */

static sx_grpc_status get_trace_v3(rpc_call *c, sx_error *err)
{
    jaeger_wanted w;
    bool found;
    sx_status status = jaeger_read_wanted(c->request, JAEGER_V3, &w, err);
    if (status == SX_OK)
        status = jaeger_rpc_trace(c, &w, &found, err);
    return jaeger_rpc_status(c, status);
}

static sx_status read_question_v3(rpc_call *c, jaeger_question *q, sx_error *err)
{
    sx_status status = jaeger_read_question(c->request, JAEGER_V3, &c->arena, q, err);
    if (status != SX_OK)
        return status;
    if (!q->asked)
        return sx_fail(err, SX_EINVAL, "missing query");
    if (!q->min.set || !q->max.set)
        return sx_fail(err, SX_EINVAL, "start time min and max are required parameters");
    return SX_OK;
}

static sx_grpc_status find_traces_v3(rpc_call *c, sx_error *err)
{
    jaeger_question q;
    sx_status status = read_question_v3(c, &q, err);
    if (status == SX_OK)
        status = jaeger_rpc_find(c, JAEGER_V3, &q, err);
    return jaeger_rpc_status(c, status);
}

static sx_grpc_status find_summaries_v3(rpc_call *c, sx_error *err)
{
    jaeger_question q;
    sx_status status = read_question_v3(c, &q, err);
    if (status == SX_OK)
        status = jaeger_rpc_summaries(c, JAEGER_V3, &q, err);
    return jaeger_rpc_status(c, status);
}

static sx_grpc_status get_operations_v3(rpc_call *c, sx_error *err)
{
    return jaeger_rpc_operations(c, JAEGER_V3, err);
}

static sx_grpc_status get_dependencies_v3(rpc_call *c, sx_error *err)
{
    return jaeger_rpc_dependencies(c, JAEGER_V3, err);
}

const rpc_method jaeger_query_methods[] = {
    {"/jaeger.api_v2.QueryService/GetTrace", get_trace_v2},
    {"/jaeger.api_v2.QueryService/ArchiveTrace", archive_trace_v2},
    {"/jaeger.api_v2.QueryService/FindTraces", find_traces_v2},
    {"/jaeger.api_v2.QueryService/GetServices", jaeger_rpc_services},
    {"/jaeger.api_v2.QueryService/GetOperations", get_operations_v2},
    {"/jaeger.api_v2.QueryService/GetDependencies", get_dependencies_v2},
    {"/jaeger.api_v3.QueryService/GetTrace", get_trace_v3},
    {"/jaeger.api_v3.QueryService/FindTraces", find_traces_v3},
    {"/jaeger.api_v3.QueryService/GetServices", jaeger_rpc_services},
    {"/jaeger.api_v3.QueryService/GetOperations", get_operations_v3},
    {"/jaeger.api_v3.QueryService/GetDependencies", get_dependencies_v3},
    {"/jaeger.api_v3.QueryService/FindTraceSummaries", find_summaries_v3},
};
const size_t jaeger_query_method_count = SX_COUNT_OF(jaeger_query_methods);

/* storage.c - jaeger.storage.v2: a Jaeger of the second version keeps its traces with us.
 *
 * It adjusts traces itself, so they go out as they are stored. Writes come by OTLP on the same port
 * (observe/api/jaeger_rpc.c). Source: jaeger-idl proto/storage/v2. */
#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "observe/jaeger/rpc_call.h"

/* One after the other: spans of two traces never share a message. */
static sx_grpc_status get_traces(rpc_call *c, sx_error *err)
{
    sx_pb_reader r;
    sx_status status = SX_OK;
    sx_pb_init(&r, c->request);
    while (status == SX_OK && !atomic_load(&c->canceled) && sx_pb_next(&r)) {
        jaeger_wanted w;
        bool found;
        if (r.tag != SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_pb_skip(&r);
            continue;
        }
        status = jaeger_read_wanted(sx_pb_bytes(&r), JAEGER_STORAGE, &w, err);
        w.raw = true;
        if (status == SX_OK)
            status = jaeger_rpc_trace(c, &w, &found, err);
    }
    if (status == SX_OK)
        status = sx_pb_status(&r, "Jaeger traces request", err);
    return jaeger_rpc_status(c, status);
}

static sx_status read_question(rpc_call *c, jaeger_question *q, sx_error *err)
{
    sx_status status = jaeger_read_question(c->request, JAEGER_STORAGE, &c->arena, q, err);
    q->raw = true;
    return status == SX_OK && !q->asked ? sx_fail(err, SX_EINVAL, "missing query") : status;
}

static sx_grpc_status find_traces(rpc_call *c, sx_error *err)
{
    jaeger_question q;
    sx_status status = read_question(c, &q, err);
    if (status == SX_OK)
        status = jaeger_rpc_find(c, JAEGER_STORAGE, &q, err);
    return jaeger_rpc_status(c, status);
}

static bool put_id(void *ctx, const tr_hit *hit)
{
    sx_buf *out = ctx;
    size_t mark = sx_pb_begin(out, 1);
    sx_pb_put_str(out, 1, sx_str_of(hit->trace_id, sizeof(hit->trace_id)));
    sx_pb_end(out, mark);
    return !out->failed;
}

static sx_grpc_status find_ids(rpc_call *c, sx_error *err)
{
    jaeger_question q;
    sx_buf out;
    sx_buf_init(&out, 0);
    sx_status status = read_question(c, &q, err);
    if (status == SX_OK)
        status = jaeger_rpc_search(c, &q, NULL, put_id, &out, err);
    if (status == SX_OK)
        status = sx_buf_status(&out, "trace ids", err);
    if (status == SX_OK)
        rpc_send(c, sx_buf_view(&out));
    sx_buf_done(&out);
    return jaeger_rpc_status(c, status);
}

static sx_grpc_status find_summaries(rpc_call *c, sx_error *err)
{
    jaeger_question q;
    sx_status status = read_question(c, &q, err);
    if (status == SX_OK)
        status = jaeger_rpc_summaries(c, JAEGER_STORAGE, &q, err);
    return jaeger_rpc_status(c, status);
}

static sx_grpc_status get_operations(rpc_call *c, sx_error *err)
{
    return jaeger_rpc_operations(c, JAEGER_STORAGE, err);
}

static sx_grpc_status get_dependencies(rpc_call *c, sx_error *err)
{
    return jaeger_rpc_dependencies(c, JAEGER_STORAGE, err);
}

static sx_grpc_status get_capabilities(rpc_call *c, sx_error *err)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    jaeger_put_capabilities(&out);
    sx_status status = sx_buf_status(&out, "capabilities", err);
    if (status == SX_OK)
        rpc_send(c, sx_buf_view(&out));
    sx_buf_done(&out);
    return jaeger_rpc_status(c, status);
}

const rpc_method jaeger_storage_methods[] = {
    {"/jaeger.storage.v2.TraceReader/GetTraces", get_traces},
    {"/jaeger.storage.v2.TraceReader/GetServices", jaeger_rpc_services},
    {"/jaeger.storage.v2.TraceReader/GetOperations", get_operations},
    {"/jaeger.storage.v2.TraceReader/FindTraces", find_traces},
    {"/jaeger.storage.v2.TraceReader/FindTraceIDs", find_ids},
    {"/jaeger.storage.v2.TraceReader/FindTraceSummaries", find_summaries},
    {"/jaeger.storage.v2.DependencyReader/GetDependencies", get_dependencies},
    {"/jaeger.storage.v2.Capabilities/GetCapabilities", get_capabilities},
};
const size_t jaeger_storage_method_count = SX_COUNT_OF(jaeger_storage_methods);

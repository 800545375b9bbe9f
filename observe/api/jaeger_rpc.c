/* jaeger_rpc.c - the listeners of Jaeger's gRPC APIs. See jaeger_rpc.h. */
#include "observe/api/jaeger_rpc.h"

#define QUERY_ADDRESS SX_STR("127.0.0.1:16685") /* the flag's default: optional */

static sx_grpc_status take_writes(rpc_call *c, sx_error *err)
{
    jaeger_listeners *j = c->ctx;
    return receiver_export_rpc(c, &j->writes, err);
}

static void start(sx_request *request, void *ctx)
{
    rpc_serve(request, ctx);
}

static sx_status listen(jaeger_listeners *j, observe_api *a, rpc_server *server, const char *name,
                        sx_str address, sx_route *route, sx_error *err)
{
    server->pool = &a->calls;
    server->ctx = j;
    server->stopping = &a->stopping;
    server->memory_max = a->flags->traces_query_memory_max;
    server->memory = &a->questions;
    server->memory_words = api_question_words;
    *route = (sx_route){
        .method = SX_POST, .path = "/*", .handler = start, .ctx = server, .flags = SX_ROUTE_STREAM};
    sx_endpoint endpoint = {.proto = name,
                            .address = address,
                            .routes = route,
                            .route_count = 1,
                            .fallback = api_not_found,
                            .optional = sx_str_eq(address, QUERY_ADDRESS)};
    return sx_service_listen(a->service, &endpoint, err);
}

static sx_status listen_storage(jaeger_listeners *j, observe_api *a, span_sink sink, sx_error *err)
{
    static const rpc_method EXPORT = {"/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                                      take_writes, true};
    sx_assert(jaeger_storage_method_count < JAEGER_STORAGE_METHODS_MAX);
    memcpy(j->storage_methods, jaeger_storage_methods,
           jaeger_storage_method_count * sizeof(EXPORT));
    j->storage_methods[jaeger_storage_method_count] = EXPORT;
    j->storage = (rpc_server){.methods = j->storage_methods,
                              .method_count = jaeger_storage_method_count + 1,
                              .message_bytes_max = API_WRITE_BYTES_MAX};
    sx_status status = receiver_init(&j->writes, a, RECEIVE_OTLP_GRPC, sink, NULL, err);
    if (status == SX_OK)
        status = listen(j, a, &j->storage, "jaeger-storage", a->flags->jaeger_storage,
                        &j->routes[1], err);
    return status;
}

sx_status jaeger_listeners_init(jaeger_listeners *j, observe_api *a, tr_store *store,
                                span_sink sink, sx_error *err)
{
    sx_status status = SX_OK;
    *j = (jaeger_listeners){.rpc = {.store = store,
                                    .archive = {a->archive, a->archive_ctx},
                                    .clock = a->clock,
                                    .timeout_ms = a->flags->query_timeout_ms,
                                    .bytes_max = a->flags->traces_query_memory_max}};
    if (!store)
        return SX_OK;
    j->query =
        (rpc_server){.methods = jaeger_query_methods, .method_count = jaeger_query_method_count};
    if (a->flags->jaeger_query_grpc.len)
        status = listen(j, a, &j->query, "jaeger-query-grpc", a->flags->jaeger_query_grpc,
                        &j->routes[0], err);
    if (status == SX_OK && a->flags->jaeger_storage.len)
        status = listen_storage(j, a, sink, err);
    return status;
}

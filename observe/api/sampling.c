/* sampling.c - requests for sampling strategies, as Jaeger's agent and collector answer them.
 *
 * Source: Jaeger, "APIs", remote sampling; jaeger-idl, proto/api_v2/sampling.proto. */
#include "observe/api/sampling.h"

#include <sextant/protobuf.h>

#define SAMPLING_METHOD "/jaeger.api_v2.SamplingManager/GetSamplingStrategy"

/* --- HTTP. */

static void answer(sx_request *r, observe_api *a, sampling_form form)
{
    sx_str rest = r->query, name, value, service = {0};
    size_t count = 0;
    sx_buf out;
    while (sx_query_next(&rest, &name, &value))
        if (sx_str_eq(name, SX_STR("service"))) {
            service = value;
            count++;
        }
    if (count != 1) {
        sx_reply(r, 400, SX_STR("text/plain; charset=utf-8"),
                 SX_STR("'service' parameter must be provided once\n"));
        return;
    }
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&out, 0);
    sx_str plain;
    if (sx_percent_decode(&arena, service, SX_PERCENT_FORM, &plain, NULL) != SX_OK)
        plain = service; /* not encoded as it should be: taken as it stands */
    sampling_answer(a->sampling, plain, form, &out);
    if (out.failed)
        sx_reply(r, 500, SX_STR("text/plain; charset=utf-8"), SX_STR("out of memory\n"));
    else
        sx_reply(r, 200, SX_STR("application/json"), sx_buf_view(&out));
    sx_buf_done(&out);
    sx_arena_done(&arena);
}

static void answer_words(sx_request *r, void *ctx)
{
    answer(r, ((sampling_listener *)ctx)->api, SAMPLING_JSON);
}

static void answer_numbers(sx_request *r, void *ctx)
{
    answer(r, ((sampling_listener *)ctx)->api, SAMPLING_LEGACY);
}

/* Nobody restricts baggage: clients that ask take an empty list as that. */
static void answer_baggage(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r, 200, SX_STR("application/json"), SX_STR("[]"));
}

/* --- gRPC. */

sx_grpc_status api_sampling_rpc(rpc_call *c, observe_api *a, sx_error *err)
{
    sx_pb_reader r;
    sx_str service = SX_STR("");
    sx_buf out;
    sx_pb_init(&r, c->request);
    while (sx_pb_next(&r))
        if (r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            service = sx_pb_bytes(&r);
        else
            sx_pb_skip(&r);
    if (sx_pb_status(&r, "SamplingStrategyParameters", err) != SX_OK)
        return SX_GRPC_INVALID_ARGUMENT;
    if (!a->sampling) {
        sx_fail(err, SX_EUNSUPPORTED, "remote sampling is off: there is no store of traces");
        return SX_GRPC_UNIMPLEMENTED;
    }
    sx_buf_init(&out, 0);
    sampling_answer(a->sampling, service, SAMPLING_PROTO, &out);
    bool failed = out.failed;
    if (!failed)
        rpc_send(c, sx_buf_view(&out));
    sx_buf_done(&out);
    if (failed)
        sx_fail_memory(err, "a sampling strategy");
    return failed ? SX_GRPC_INTERNAL : SX_GRPC_OK;
}

static sx_grpc_status strategy(rpc_call *c, sx_error *err)
{
    return api_sampling_rpc(c, ((sampling_listener *)c->ctx)->api, err);
}

static const rpc_method METHODS[] = {{SAMPLING_METHOD, strategy}};

static void start_rpc(sx_request *r, void *ctx)
{
    rpc_serve(r, &((sampling_listener *)ctx)->rpc);
}

sx_status sampling_listener_init(sampling_listener *l, observe_api *a, sx_str address,
                                 sx_error *err)
{
    static const struct {
        const char *path;
        sx_handler *handler;
    } ROWS[] = {{"/", answer_numbers},
                {"/sampling", answer_words},
                {"/api/sampling", answer_words},
                {"/baggageRestrictions", answer_baggage}};
    size_t count = 0;
    if (!address.len || !a->sampling)
        return SX_OK;
    *l = (sampling_listener){.api = a,
                             .rpc = {.methods = METHODS,
                                     .method_count = SX_COUNT_OF(METHODS),
                                     .pool = &a->others,
                                     .ctx = l,
                                     .stopping = &a->stopping}};
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
        l->routes[count++] = (sx_route){
            .method = SX_GET, .path = ROWS[i].path, .handler = ROWS[i].handler, .ctx = l};
    l->routes[count++] = (sx_route){
        .method = SX_POST, .path = "/*", .handler = start_rpc, .ctx = l, .flags = SX_ROUTE_STREAM};
    sx_endpoint endpoint = {.proto = "jaeger-sampling",
                            .address = address,
                            .routes = l->routes,
                            .route_count = count,
                            .fallback = api_not_found};
    return sx_service_listen(a->service, &endpoint, err);
}

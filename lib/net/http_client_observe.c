/* http_client_observe.c - where a client's calls meet its observer (http_client.h).
 *
 * The kit's spans, metrics and breakers live on a floor above (lib/client/http.c) and hang in here by
 * one table of functions. A client without an observer pays one test of a pointer an event. */
#include "net/http_client_internal.h"

uint32_t client_timeout_ms(const sx_http_client *client, uint32_t asked_ms)
{
    const sx_call_observer *o = client->observer;
    return o && o->timeout_ms ? o->timeout_ms(o->ctx, asked_ms) : asked_ms;
}

const void *call_observe_enter(sx_call *call)
{
    const sx_call_observer *o = call->client->observer;
    return call->observed && o->enter ? o->enter(o->ctx, call->observed) : NULL;
}

void call_observe_leave(sx_call *call, const void *entered)
{
    const sx_call_observer *o = call->client->observer;
    if (call->observed && o->leave)
        o->leave(o->ctx, entered);
}

void call_observe_done(sx_call *call, sx_status status, const sx_error *err)
{
    const sx_call_observer *o = call->client->observer;
    sx_call_end_info info = {.status = status,
                             .err = err,
                             .response = call->head_told ? &call->response : NULL,
                             .trailers = call->trailers,
                             .trailer_count = call->trailer_count,
                             .resends = call->tries ? call->tries - 1 : 0,
                             .received_bytes = call->received,
                             .is_by_caller = call->by_caller};
    o->done(o->ctx, call->observed, &info);
}

static bool is_grpc_request(const sx_call_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (sx_str_ieq(request->headers[i].name, SX_STR("content-type")))
            return sx_str_starts(request->headers[i].value, SX_STR("application/grpc"));
    }
    return false;
}

sx_status call_observe_start(sx_call *call, const sx_call_request *request, const sx_url *url,
                             sx_error *err)
{
    const sx_call_observer *o = call->client->observer;
    sx_call_start start = {.method = call->method,
                           .url = request->url,
                           .parts = url,
                           .headers = request->headers,
                           .header_count = request->header_count,
                           .is_grpc = is_grpc_request(request),
                           .arena = &call->arena};
    void *state = sx_arena_calloc(&call->arena, 1, o->state_bytes + 1);
    if (!state)
        return sx_fail_memory(err, "a call's observer");
    sx_status st = o->start(o->ctx, state, &start, err);
    if (st != SX_OK)
        return st;
    call->observed = state;
    return call_add_extra(call, &start, err);
}

void call_observe_dropped(sx_call *call, sx_status status, const sx_error *err)
{
    const sx_call_observer *o = call->client->observer;
    static const sx_error NO_ERROR;
    if (call->observed && o->dropped)
        o->dropped(o->ctx, call->observed, status, err ? err : &NO_ERROR);
}

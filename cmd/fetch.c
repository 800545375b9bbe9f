/* fetch.c - one HTTP call on a loop of its own, waited for. */
#include "cmd/fetch.h"

#include <sextant/http_client.h>
#include <sextant/loop.h>

enum { TIMEOUT_MS = 130 * 1000 };

typedef struct http_get {
    sx_loop *loop;
    sx_buf body;
    int status;
    sx_status outcome;
    sx_error err;
} http_get;

static void on_head(sx_call *call, void *ctx, const sx_response *response)
{
    (void)call;
    ((http_get *)ctx)->status = response->status;
}

static void on_body(sx_call *call, void *ctx, sx_str piece)
{
    (void)call;
    sx_buf_str(&((http_get *)ctx)->body, piece);
}

static void on_done(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                    const sx_header *trailers, size_t trailer_count)
{
    http_get *g = ctx;
    (void)call, (void)trailers, (void)trailer_count;
    g->outcome = status;
    g->err = *err;
    sx_loop_stop(g->loop);
}

static sx_status run_call(const sx_call_request *request, sx_buf *out, int *status, sx_error *err)
{
    static const sx_call_events EVENTS = {.head = on_head, .body = on_body, .done = on_done};
    http_get g = {0};
    sx_http_client *client = NULL;
    sx_http_client_options options = {.response_ms_max = TIMEOUT_MS,
                                      .body_bytes_max = CMD_ANSWER_BYTES_MAX};
    sx_buf_init(&g.body, CMD_ANSWER_BYTES_MAX);
    sx_status st = sx_loop_new(NULL, 0, &g.loop, err);
    if (st == SX_OK)
        st = sx_http_client_new(g.loop, &options, &client, err);
    if (st == SX_OK)
        st = sx_http_call(client, request, &EVENTS, &g, NULL, err);
    if (st == SX_OK) {
        sx_loop_run(g.loop);
        st = g.outcome;
        *err = g.err;
        *status = g.status;
        sx_buf_str(out, sx_buf_view(&g.body));
    }
    if (client)
        sx_http_client_free(client);
    sx_loop_free(g.loop);
    sx_buf_done(&g.body);
    return st != SX_OK ? st : sx_buf_status(out, "the answer", err);
}

sx_status cmd_fetch(sx_str url, sx_str form, sx_buf *out, int *status, sx_error *err)
{
    if (form.data)
        return cmd_post(url, SX_STR("application/x-www-form-urlencoded"), form, out, status, err);
    return run_call(&(sx_call_request){.url = url}, out, status, err);
}

sx_status cmd_post(sx_str url, sx_str type, sx_str body, sx_buf *out, int *status, sx_error *err)
{
    const sx_header header = {SX_STR("Content-Type"), type};
    return run_call(&(sx_call_request){.method = SX_STR("POST"),
                                       .url = url,
                                       .headers = &header,
                                       .header_count = 1,
                                       .body = body},
                    out, status, err);
}

sx_str cmd_endpoint(const char *url, const char *path, sx_arena *arena)
{
    sx_str base = sx_str_z(url);
    while (base.len && base.data[base.len - 1] == '/')
        base = sx_str_first(base, base.len - 1);
    return sx_arena_printf(arena, "%.*s%s", SX_ARG(base), path);
}

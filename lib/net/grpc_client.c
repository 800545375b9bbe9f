/* grpc_client.c - gRPC calls that go out (grpc.h, grpc_call.h): an sx_call with a streamed body. */
#include "net/grpc_call.h"
#include "net/http_client_internal.h"

#include <sextant/mem.h>

static void take_status(sx_grpc_call *c, const sx_header *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        if (sx_str_eq(fields[i].name, SX_STR("grpc-status")))
            c->status = sx_str_to_u64(fields[i].value, &value) && value <= SX_GRPC_UNAUTHENTICATED
                            ? (int)value
                            : SX_GRPC_UNKNOWN;
        else if (sx_str_eq(fields[i].name, SX_STR("grpc-message")))
            c->text = sx_grpc_message_decode(&c->arena, fields[i].value);
    }
}

static void on_head(sx_call *call, void *ctx, const sx_response *response)
{
    sx_grpc_call *c = ctx;
    (void)call;
    c->http_status = response->status;
    c->is_grpc = sx_str_starts(sx_response_header(response, SX_STR("content-type")),
                               SX_STR("application/grpc"));
    if (sx_str_eq(sx_response_header(response, SX_STR("grpc-encoding")), SX_STR("gzip")))
        c->reader.coding = SX_CODEC_GZIP;
    take_status(c, response->headers, response->header_count);
}

static void free_call(sx_grpc_call *c)
{
    grpc_call_done(c);
    sx_arena_done(&c->arena);
    sx_free(c);
}

bool grpc_client_after_pump(sx_grpc_call *c, sx_status status, const sx_error *err)
{
    if (c->free_due) {
        free_call(c);
        return true;
    }
    if (status == SX_OK)
        return false;
    c->status = (int)sx_grpc_status_of(status);
    c->text = sx_arena_copy(&c->arena, sx_str_z(err->message));
    sx_call_cancel(c->call); /* on_done tells what is set here, and frees */
    return true;
}

static void on_body(sx_call *call, void *ctx, sx_str piece)
{
    sx_grpc_call *c = ctx;
    sx_error err;
    (void)call;
    if (!c->is_grpc)
        return; /* an error page, perhaps; the status says enough */
    sx_status st = grpc_call_pump(c, piece, &err);
    grpc_client_after_pump(c, st, &err);
}

static void on_writable(sx_call *call, void *ctx)
{
    sx_grpc_call *c = ctx;
    (void)call;
    if (c->events->writable && !c->over)
        c->events->writable(c, c->ctx);
}

static void on_done(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                    const sx_header *trailers, size_t trailer_count)
{
    sx_grpc_call *c = ctx;
    (void)call;
    take_status(c, trailers, trailer_count);
    if (c->status < 0 && status != SX_OK) {
        c->status = (int)sx_grpc_status_of(status);
        c->text = sx_str_z(err->message);
    } else if (c->status < 0) {
        c->status =
            c->http_status == 200 ? SX_GRPC_UNKNOWN : (int)sx_grpc_status_of_http(c->http_status);
        c->text = SX_STR("the server answered without a grpc-status");
    } else if (c->status == SX_GRPC_OK && sx_grpc_reader_is_partial(&c->reader)) {
        c->status = SX_GRPC_INTERNAL;
        c->text = SX_STR("the response ended within a message");
    }
    c->over = true;
    if (c->events->done)
        c->events->done(c, c->ctx, (sx_grpc_status)c->status, c->text);
    if (c->pumping)
        c->free_due = true;
    else
        free_call(c);
}

static const sx_call_events EVENTS = {
    .head = on_head, .body = on_body, .writable = on_writable, .done = on_done};

sx_status sx_grpc_start(sx_http_client *client, const sx_grpc_request *request,
                        const sx_grpc_events *events, void *ctx, sx_grpc_call **out, sx_error *err)
{
    char timeout[16];
    sx_grpc_call *c = sx_calloc(1, sizeof(*c));
    if (!c)
        return sx_fail_memory(err, "a gRPC call");
    sx_arena_init(&c->arena, 512, 0);
    c->events = events;
    c->ctx = ctx;
    c->status = -1;
    sx_grpc_reader_init(&c->reader, request->message_bytes_max, SX_CODEC_IDENTITY);

    sx_header *headers = sx_arena_calloc(&c->arena, request->metadata_count + 4, sizeof(*headers));
    if (!headers) {
        free_call(c);
        return sx_fail_memory(err, "a gRPC call");
    }
    size_t n = 0;
    headers[n++] = (sx_header){SX_STR("te"), SX_STR("trailers")};
    headers[n++] = (sx_header){SX_STR("content-type"), SX_STR("application/grpc")};
    headers[n++] = (sx_header){SX_STR("grpc-accept-encoding"), SX_STR("gzip")};
    uint32_t timeout_ms = client_timeout_ms(client, request->timeout_ms);
    if (timeout_ms)
        headers[n++] =
            (sx_header){SX_STR("grpc-timeout"), sx_grpc_timeout_format(timeout_ms, timeout)};
    for (size_t i = 0; i < request->metadata_count; i++)
        headers[n++] = request->metadata[i];
    sx_call_request http = {.method = SX_STR("POST"),
                            .url = request->url,
                            .headers = headers,
                            .header_count = n,
                            .stream_body = true,
                            .total_ms_max = timeout_ms};
    sx_status st = sx_http_call(client, &http, &EVENTS, c, &c->call, err);
    if (st != SX_OK) {
        free_call(c);
        return st;
    }
    *out = c;
    return SX_OK;
}

void sx_grpc_send_end(sx_grpc_call *c)
{
    if (!c->over)
        sx_call_end(c->call);
}

void sx_grpc_cancel(sx_grpc_call *c)
{
    if (!c->over)
        sx_call_cancel(c->call);
}

/* grpc_server.c - gRPC calls that come in (grpc.h, grpc_call.h). */
#include "net/grpc_call.h"

#include <stdio.h>

static sx_timers *timers_of(const sx_grpc_call *c)
{
    return sx_loop_timers(c->request->loop);
}

bool sx_grpc_is_call(const sx_request *r)
{
    static const sx_str TYPE = SX_STR_INIT("application/grpc");
    sx_str type = sx_request_header(r, SX_STR("content-type"));
    if (r->method != SX_POST || r->version != 20 || !sx_str_ieq(sx_str_first(type, TYPE.len), TYPE))
        return false;
    /* "application/grpc-web" is another protocol. */
    return type.len == TYPE.len || type.data[TYPE.len] == '+' || type.data[TYPE.len] == ';';
}

/* Gives up the call's hold on its request, and what the call has beside the arena. */
static void release(sx_grpc_call *c)
{
    sx_request *r = c->request;
    sx_timer_stop(timers_of(c), &c->deadline);
    grpc_call_done(c);
    sx_request_release(r);
}

/* grpc-status and grpc-message, in the trailers or, where nothing was sent yet, in the head. */
static void reply_status(sx_grpc_call *c, sx_request *r, sx_grpc_status status, sx_str text)
{
    sx_status (*add)(sx_request *, sx_str, sx_str) =
        c && c->begun ? sx_reply_trailer : sx_reply_header;
    char digits[8];
    sx_buf coded;
    int len = snprintf(digits, sizeof(digits), "%d", (int)status);
    sx_buf_init(&coded, 0);
    sx_grpc_message_encode(sx_str_first(text, 1024), &coded);
    add(r, SX_STR("grpc-status"), sx_str_of(digits, (size_t)len));
    if (coded.len)
        add(r, SX_STR("grpc-message"), sx_buf_view(&coded));
    for (size_t i = 0; c && i < c->trailer_count; i++)
        add(r, c->trailers[i].name, c->trailers[i].value);
    sx_buf_done(&coded);
    if (c && c->begun)
        sx_reply_end(r);
    else
        sx_reply(r, 200, SX_STR("application/grpc"), SX_STR(""));
}

void sx_grpc_finish(sx_grpc_call *c, sx_grpc_status status, sx_str text)
{
    if (c->over)
        return;
    c->over = true;
    sx_request_events_set(c->request, NULL, NULL);
    reply_status(c, c->request, status, text);
    release(c);
}

sx_status sx_grpc_trailer(sx_grpc_call *c, sx_str name, sx_str value)
{
    sx_arena *arena = &c->request->arena;
    sx_header field = {sx_arena_copy(arena, name), sx_arena_copy(arena, value)};
    if (c->over)
        return SX_ECLOSED;
    if (!field.name.data || !field.value.data ||
        !sx_arena_grow(arena, &c->trailers, &c->trailer_cap, c->trailer_count + 1, sizeof(field)))
        return SX_ENOMEM;
    c->trailers[c->trailer_count++] = field;
    return SX_OK;
}

void sx_grpc_unimplemented(sx_request *r)
{
    sx_buf text;
    sx_buf_init(&text, 512);
    sx_buf_printf(&text, "no method %.*s", SX_ARG(sx_str_first(r->path, 200)));
    reply_status(NULL, r, SX_GRPC_UNIMPLEMENTED, sx_buf_view(&text));
    sx_buf_done(&text);
}

void sx_grpc_take(sx_grpc_call *c, sx_buf *out)
{
    sx_buf_done(out);
    *out = c->single;
    sx_buf_init(&c->single, 0);
}

sx_request *sx_grpc_request_of(sx_grpc_call *c)
{
    return c->request;
}

int64_t sx_grpc_left_ms(const sx_grpc_call *c)
{
    if (!c->request || !sx_timer_running(&c->deadline))
        return -1;
    int64_t left = c->deadline.due_ms - sx_timers_now_ms(timers_of(c));
    return left > 0 ? left : 0;
}

/* Ends the call from our side and tells the application why. */
static void end_with(sx_grpc_call *c, sx_grpc_status status, sx_str text)
{
    if (c->over)
        return;
    sx_request *r = c->request;
    sx_request_hold(r); /* sx_grpc_finish gives up the call's own */
    sx_grpc_finish(c, status, text);
    if (c->events->done)
        c->events->done(c, c->ctx, status, text);
    sx_request_release(r);
}

void grpc_server_fail(sx_grpc_call *c, sx_status status, const sx_error *err)
{
    end_with(c, sx_grpc_status_of(status), sx_str_z(err->message));
}

static void on_deadline(sx_timer *timer, void *arg)
{
    (void)timer;
    end_with(arg, SX_GRPC_DEADLINE_EXCEEDED, SX_STR("the deadline has passed"));
}

void grpc_server_end(sx_grpc_call *c)
{
    if (c->end_told)
        return;
    c->end_told = true;
    if (sx_grpc_reader_is_partial(&c->reader)) {
        end_with(c, SX_GRPC_INTERNAL, SX_STR("the request ended within a message"));
        return;
    }
    if (c->unary && c->message_count != 1) {
        end_with(c, SX_GRPC_INTERNAL, SX_STR("a unary call without a message"));
        return;
    }
    if (c->unary && c->events->message)
        c->events->message(c, c->ctx, sx_buf_view(&c->single));
    if (!c->over && c->events->end)
        c->events->end(c, c->ctx);
}

static void on_body(sx_request *r, void *ctx, sx_str piece, bool last)
{
    sx_grpc_call *c = ctx;
    sx_error err;
    sx_request_hold(r); /* the call lives in it */
    c->remote_ended |= last;
    sx_status st = grpc_call_pump(c, piece, &err);
    if (st != SX_OK)
        grpc_server_fail(c, st, &err);
    else if (c->remote_ended && !c->over && !c->paused)
        grpc_server_end(c);
    sx_request_release(r);
}

static void on_drained(sx_request *r, void *ctx)
{
    sx_grpc_call *c = ctx;
    (void)r;
    if (c->events->writable)
        c->events->writable(c, c->ctx);
}

static void on_aborted(sx_request *r, void *ctx)
{
    sx_grpc_call *c = ctx;
    (void)r;
    if (c->over)
        return;
    c->over = true;
    if (c->events->done)
        c->events->done(c, c->ctx, SX_GRPC_CANCELLED, SX_STR("the client has gone"));
    release(c);
}

static const sx_request_events EVENTS = {
    .body = on_body, .drained = on_drained, .aborted = on_aborted};

static bool read_coding(sx_str name, sx_codec *coding)
{
    static const sx_codec CODECS[] = {SX_CODEC_IDENTITY, SX_CODEC_GZIP, SX_CODEC_ZSTD};
    *coding = SX_CODEC_IDENTITY;
    for (size_t i = 0; i < SX_COUNT_OF(CODECS) && name.len; i++)
        if (sx_str_eq(name, sx_codec_coding(CODECS[i]))) {
            *coding = CODECS[i];
            return true;
        }
    return name.len == 0;
}

/* Reads the request's own fields into the call. Errors carry what to answer. */
static sx_grpc_status read_fields(sx_request *r, sx_grpc_call *c, sx_error *err)
{
    sx_str timeout = sx_request_header(r, SX_STR("grpc-timeout"));
    sx_str coding = sx_request_header(r, SX_STR("grpc-encoding"));
    int64_t ms;
    if (!read_coding(coding, &c->reader.coding)) {
        sx_fail(err, SX_EUNSUPPORTED, "grpc-encoding '%.*s'; identity, gzip and zstd are supported",
                SX_ARG(sx_str_first(coding, 40)));
        return SX_GRPC_UNIMPLEMENTED;
    }
    if (timeout.data) {
        if (sx_grpc_timeout_parse(timeout, &ms, err) != SX_OK)
            return SX_GRPC_INVALID_ARGUMENT;
        sx_timer_start(timers_of(c), &c->deadline, ms);
    }
    return SX_GRPC_OK;
}

sx_grpc_call *sx_grpc_accept(sx_request *r, const sx_grpc_options *options,
                             const sx_grpc_events *events, void *ctx)
{
    sx_error err;
    if (!sx_grpc_is_call(r)) {
        sx_reply(r, r->method == SX_POST ? 415 : 405, SX_STR("text/plain"),
                 SX_STR("this is a gRPC service: POST application/grpc by HTTP/2\n"));
        return NULL;
    }
    sx_grpc_call *c = sx_arena_calloc(&r->arena, 1, sizeof(*c));
    if (!c) {
        reply_status(NULL, r, SX_GRPC_RESOURCE_EXHAUSTED, SX_STR("out of memory"));
        return NULL;
    }
    c->events = events;
    c->ctx = ctx;
    c->request = r;
    c->unary = options && options->unary;
    c->deadline = (sx_timer){.fn = on_deadline, .arg = c};
    sx_grpc_reader_init(&c->reader, options ? options->message_bytes_max : 0, SX_CODEC_IDENTITY);
    sx_grpc_status status = read_fields(r, c, &err);
    if (status != SX_GRPC_OK) {
        reply_status(NULL, r, status, sx_str_z(err.message));
        return NULL;
    }
    sx_request_hold(r);
    sx_request_events_set(r, &EVENTS, c);
    return c;
}

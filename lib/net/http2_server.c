/* http2_server.c - an HTTP/2 connection: input and output, its timers, what abuse it bears, its end
 * (http2_server.h has the picture).
 *
 * Everything that enters (an event of the socket, a timer, a call of the application) is bracketed
 * by http2_enter and http2_leave. The outermost leave is the one place that makes output and frees
 * the connection, so nghttp2 is never re-entered from its callbacks. */
#include "net/http2_server.h"

#include <sextant/mem.h>

static sx_timers *timers_of(const http2_conn *c)
{
    return sx_loop_timers(c->server->loop);
}

/* ---- the end ---- */

void http2_conn_die(http2_conn *c, http2_end how)
{
    if (c->dead)
        return;
    c->dead = true;
    sx_timer_stop(timers_of(c), &c->flush_timer);
    sx_timer_stop(timers_of(c), &c->idle_timer);
    sx_timer_stop(timers_of(c), &c->header_timer);
    while (!sx_list_empty(&c->streams))
        http2_stream_detach(SX_CONTAINER_OF(c->streams.next, http2_stream, link));
    if (how == HTTP2_RESET)
        sx_stream_reset(c->stream);
    else if (how == HTTP2_CLOSE)
        sx_stream_close_lingering(c->stream); /* a GOAWAY must not be lost to a RST */
    c->stream = NULL;
    sx_http_server_remove(c->server, &c->base);
}

static void conn_free(http2_conn *c)
{
    sx_list *link;
    while ((link = sx_list_pop_front(&c->spare)))
        http2_stream_destroy(SX_CONTAINER_OF(link, http2_stream, link));
    nghttp2_session_del(c->session);
    sx_http2_pool_done(&c->pool);
    sx_free(c);
}

void http2_conn_terminate(http2_conn *c, uint32_t code, const char *why)
{
    if (c->dead)
        return;
    if (code != NGHTTP2_NO_ERROR)
        sx_http_server_reject(c->server, sx_stream_peer(c->stream), 0, why);
    if (nghttp2_session_terminate_session(c->session, code) != 0)
        http2_conn_die(c, HTTP2_RESET);
    c->output_due = true;
}

void http2_conn_closed_one(http2_conn *c)
{
    sx_assert(c->open_count > 0);
    if (--c->open_count == 0 && !c->dead)
        sx_timer_start(timers_of(c), &c->idle_timer, c->server->options.limits.idle_ms_max);
}

/* ---- output ---- */

/* Those whose last byte the system has taken. */
static void tell_sent(http2_conn *c)
{
    while (!c->dead && !sx_list_empty(&c->finishing)) {
        http2_stream *s = SX_CONTAINER_OF(c->finishing.next, http2_stream, finish_link);
        if (s->end_at > sx_stream_sent_total(c->stream))
            return;
        sx_list_remove(&s->finish_link);
        http2_stream_end_sent(s);
    }
}

static void send_frames(http2_conn *c)
{
    while (!c->dead && !c->blocked) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(c->session, &bytes);
        if (n == 0)
            return;
        if (n < 0) {
            http2_conn_die(c, HTTP2_RESET); /* out of memory: HPACK's state is lost */
            return;
        }
        if (sx_stream_write(c->stream, sx_str_of(bytes, (size_t)n)) != SX_OK)
            c->blocked = true;
    }
}

void http2_enter(http2_conn *c)
{
    if (c->depth++ == 0 && c->stream)
        sx_stream_cork(c->stream);
}

/* Sends what is due until there is nothing to send or nobody to take it. */
static void settle(http2_conn *c)
{
    for (;;) {
        while (!c->dead && c->output_due) {
            c->output_due = false;
            send_frames(c);
            http2_tell_writable(c);
        }
        if (c->dead)
            return;
        sx_stream_uncork(c->stream); /* on_sent runs within, and may make more output due */
        if (c->dead || !c->output_due)
            break;
        sx_stream_cork(c->stream);
    }
    if (c->dead || !sx_list_empty(&c->finishing))
        return;
    /* With the input at its end, a reply that still waits here waits for a window that cannot open. */
    bool stuck = c->input_ended && !c->blocked;
    if (stuck ||
        (!nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session)))
        http2_conn_die(c, HTTP2_CLOSE);
}

void http2_leave(http2_conn *c)
{
    if (c->depth == 1)
        settle(c);
    if (--c->depth == 0 && c->dead)
        conn_free(c);
}

void http2_output(http2_conn *c)
{
    c->output_due = true;
    if (c->depth == 0 && !c->dead && !sx_timer_running(&c->flush_timer))
        sx_timer_start(timers_of(c), &c->flush_timer, 0);
}

static void on_flush(sx_timer *timer, void *arg)
{
    (void)timer;
    http2_enter(arg);
    http2_leave(arg);
}

/* ---- abuse ---- */

/* Both counts begin again every ten seconds. */
static void renew_abuse_window(http2_conn *c)
{
    int64_t now_ms = sx_loop_now_ms(c->server->loop);
    if (now_ms - c->abuse_since_ms < HTTP2_ABUSE_WINDOW_MS)
        return;
    c->abuse_since_ms = now_ms;
    c->reset_count = c->control_count = 0;
}

/* A stream was reset, by the client (CVE-2023-44487) or by us for what it sent: both make us work
 * for nothing, so both count. */
static void count_reset(http2_conn *c)
{
    renew_abuse_window(c);
    if (++c->reset_count == c->server->options.limits.stream_resets_max + 1)
        http2_conn_terminate(c, NGHTTP2_ENHANCE_YOUR_CALM, "too many stream resets");
}

/* Frames that cost us an answer or a look and bring no request further. */
static void count_control(http2_conn *c)
{
    renew_abuse_window(c);
    if (++c->control_count == HTTP2_CONTROL_FRAMES_MAX + 1)
        http2_conn_terminate(c, NGHTTP2_ENHANCE_YOUR_CALM, "too many control frames");
}

/* ---- nghttp2's callbacks ---- */

static http2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return id ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

/* A request with a number below one that was used: RFC 9113, section 5.1.1. nghttp2 knows its open
 * and closed streams and would ignore it. */
static bool goes_back(http2_conn *c, const nghttp2_frame_hd *head)
{
    return head->type == NGHTTP2_HEADERS && head->stream_id % 2 == 1 &&
           head->stream_id < nghttp2_session_get_last_proc_stream_id(c->session) &&
           !nghttp2_session_find_stream(c->session, head->stream_id);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *ctx)
{
    http2_conn *c = ctx;
    (void)session;
    bool bears_data =
        head->type == NGHTTP2_DATA && (head->length > 0 || (head->flags & NGHTTP2_FLAG_END_STREAM));
    if (head->type != NGHTTP2_HEADERS && head->type != NGHTTP2_CONTINUATION &&
        head->type != NGHTTP2_WINDOW_UPDATE && head->type != NGHTTP2_RST_STREAM && !bears_data)
        count_control(c);
    if (head->type != NGHTTP2_CONTINUATION)
        http2_head_begin_frame(c);
    if (goes_back(c, head))
        http2_conn_terminate(c, NGHTTP2_PROTOCOL_ERROR, "a stream number that went back");
    return c->dead ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* A whole HEADERS frame: a request's head, or its trailers. */
static void head_received(http2_conn *c, const nghttp2_frame *frame)
{
    http2_stream *s = stream_of(c->session, frame->hd.stream_id);
    bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    sx_timer_stop(timers_of(c), &c->header_timer);
    if (!s)
        return;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        s->body_ended = ends;
        http2_head_finish(s);
    } else if (ends) {
        http2_stream_body_end(s);
    }
}

static void send_final_goaway(http2_conn *c)
{
    c->goaway_due = false;
    nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(c->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
    c->output_due = true;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    http2_conn *c = ctx;
    http2_stream *s;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        head_received(c, frame);
        break;
    case NGHTTP2_DATA:
        s = stream_of(session, frame->hd.stream_id);
        if (s && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
            http2_stream_body_end(s);
        break;
    case NGHTTP2_RST_STREAM:
        count_reset(c);
        break;
    case NGHTTP2_SETTINGS:
        if (!c->settled && !(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
            c->settled = true;
            if (c->open_count == 0)
                sx_timer_start(timers_of(c), &c->idle_timer, c->server->options.limits.idle_ms_max);
        }
        break;
    case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) && c->goaway_due)
            send_final_goaway(c);
        break;
    default:
        break;
    }
    return c->dead ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *ctx)
{
    http2_conn *c = ctx;
    http2_stream *s = stream_of(session, id);
    (void)flags;
    if (s)
        http2_stream_body(s, sx_str_of(data, len));
    else
        nghttp2_session_consume_connection(session, len);
    return c->dead ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    http2_conn *c = ctx;
    http2_stream *s = stream_of(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
        count_reset(c);
    bool is_last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
                   (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA);
    if (s && is_last)
        http2_stream_end_written(s);
    else if (is_last && nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0)
        /* Answered in place of the application: whatever body there is, nobody will read it. */
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                  NGHTTP2_NO_ERROR);
    if (frame->hd.type == NGHTTP2_GOAWAY && c->goaway_due) /* not before: nghttp2 prefers PINGs */
        nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, NULL);
    return c->dead ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    http2_conn *c = ctx;
    http2_stream *s = stream_of(session, id);
    if (s)
        http2_stream_closed(s, code);
    return c->dead ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* ---- the socket's events ---- */

static void receive(http2_conn *c, sx_str piece)
{
    ssize_t n = nghttp2_session_mem_recv(c->session, (const uint8_t *)piece.data, piece.len);
    if (c->dead)
        return;
    c->output_due = true;
    if (n >= 0)
        return;
    if (n == NGHTTP2_ERR_BAD_CLIENT_MAGIC || n == NGHTTP2_ERR_NOMEM) {
        sx_http_server_reject(c->server, sx_stream_peer(c->stream), 0, nghttp2_strerror((int)n));
        http2_conn_die(c, HTTP2_RESET);
        return;
    }
    http2_conn_terminate(
        c, n == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_INTERNAL_ERROR,
        nghttp2_strerror((int)n));
}

static void on_data(sx_stream *stream, void *ctx, sx_str piece)
{
    http2_conn *c = ctx;
    (void)stream;
    http2_enter(c);
    receive(c, piece);
    http2_leave(c);
}

/* A stream whose reply is not whole yet, or NULL. */
static http2_stream *first_unanswered(http2_conn *c)
{
    sx_list *link;
    SX_LIST_EACH(link, &c->streams)
    {
        http2_stream *s = SX_CONTAINER_OF(link, http2_stream, link);
        if (!s->reply_ended && !s->dropped)
            return s;
    }
    return NULL;
}

/* The client sends no more. What is answered is flushed; what is still being worked on cannot be
 * told apart from a client that died, so it is cut. */
static void on_ended(sx_stream *stream, void *ctx)
{
    http2_conn *c = ctx;
    http2_stream *s;
    (void)stream;
    http2_enter(c);
    while (!c->dead && (s = first_unanswered(c)))
        http2_stream_reset(s, NGHTTP2_CANCEL);
    c->draining = true;
    c->input_ended = true;
    if (!c->dead)
        send_final_goaway(c);
    http2_leave(c);
}

static void on_drained(sx_stream *stream, void *ctx)
{
    http2_conn *c = ctx;
    (void)stream;
    http2_enter(c);
    c->blocked = false;
    c->output_due = true;
    http2_leave(c);
}

static void on_sent(sx_stream *stream, void *ctx)
{
    http2_conn *c = ctx;
    (void)stream;
    http2_enter(c);
    tell_sent(c);
    http2_leave(c);
}

static void on_closed(sx_stream *stream, void *ctx, sx_status why, const sx_error *err)
{
    http2_conn *c = ctx;
    (void)stream, (void)why, (void)err;
    http2_enter(c);
    http2_conn_die(c, HTTP2_GONE);
    http2_leave(c);
}

static const sx_stream_events EVENTS = {
    .data = on_data,
    .ended = on_ended,
    .drained = on_drained,
    .sent = on_sent,
    .closed = on_closed,
};

/* ---- timers, drain, kill ---- */

static void on_idle(sx_timer *timer, void *arg)
{
    http2_conn *c = arg;
    (void)timer;
    http2_enter(c);
    if (!c->settled)
        sx_http_server_reject(c->server, sx_stream_peer(c->stream), 0, "no SETTINGS in time");
    http2_conn_terminate(c, NGHTTP2_NO_ERROR, "idle");
    http2_leave(c);
}

static void on_header_timeout(sx_timer *timer, void *arg)
{
    http2_conn *c = arg;
    (void)timer;
    http2_enter(c);
    http2_conn_terminate(c, NGHTTP2_ENHANCE_YOUR_CALM, "header block took too long");
    http2_leave(c);
}

/* RFC 9113, section 6.8: first a GOAWAY that refuses nothing, and after a round trip, when all that
 * the client sent before it knew has come, the one that names the last stream. */
static void conn_drain(sx_http_conn *base)
{
    http2_conn *c = SX_CONTAINER_OF(base, http2_conn, base);
    if (c->draining || c->dead)
        return;
    c->draining = true;
    http2_enter(c);
    if (c->open_count == 0) {
        send_final_goaway(c);
    } else {
        c->goaway_due = true;
        nghttp2_submit_shutdown_notice(c->session);
    }
    c->output_due = true;
    http2_leave(c);
}

static void conn_kill(sx_http_conn *base)
{
    http2_conn *c = SX_CONTAINER_OF(base, http2_conn, base);
    http2_enter(c);
    http2_conn_die(c, HTTP2_RESET);
    http2_leave(c);
}

static const sx_http_conn_ops CONN_OPS = {.drain = conn_drain, .kill = conn_kill};

/* ---- the beginning ---- */

static void set_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, http2_on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, http2_on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(cb, http2_on_invalid_header);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, http2_on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(cb, http2_send_data);
}

static void set_options(nghttp2_option *option)
{
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_max_outbound_ack(option, HTTP2_OUTBOUND_ACKS_MAX);
    nghttp2_option_set_max_continuations(option, HTTP2_CONTINUATIONS_MAX);
}

static int make_session(http2_conn *c)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int rv = nghttp2_session_callbacks_new(&callbacks);
    if (rv == 0)
        rv = nghttp2_option_new(&option);
    if (rv == 0) {
        set_callbacks(callbacks);
        set_options(option);
        rv = nghttp2_session_server_new3(&c->session, callbacks, c, option, &c->pool.table);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return rv;
}

static int submit_settings(http2_conn *c)
{
    const sx_http_limits *limits = &c->server->options.limits;
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits->header_bytes_max},
    };
    int rv = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, entries, SX_COUNT_OF(entries));
    if (rv == 0)
        rv = nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
                                                   HTTP2_CONNECTION_WINDOW);
    return rv;
}

void sx_http2_server_take(sx_http_server *server, sx_stream *stream, sx_str already_read)
{
    http2_conn *c = sx_calloc(1, sizeof(*c));
    if (!c) {
        sx_stream_reset(stream);
        return;
    }
    c->server = server;
    c->stream = stream;
    c->flush_timer = (sx_timer){.fn = on_flush, .arg = c};
    c->idle_timer = (sx_timer){.fn = on_idle, .arg = c};
    c->header_timer = (sx_timer){.fn = on_header_timeout, .arg = c};
    c->abuse_since_ms = sx_loop_now_ms(server->loop);
    sx_list_init(&c->streams);
    sx_list_init(&c->finishing);
    sx_list_init(&c->writable);
    sx_list_init(&c->spare);
    sx_http2_pool_init(&c->pool);
    if (make_session(c) != 0) {
        sx_stream_reset(stream);
        sx_http2_pool_done(&c->pool);
        sx_free(c);
        return;
    }
    sx_stream_events_set(stream, &EVENTS, c);
    sx_http_server_add(server, &c->base, &CONN_OPS);
    http2_enter(c);
    sx_timer_start(timers_of(c), &c->idle_timer, server->options.limits.header_ms_max);
    c->output_due = true;
    if (submit_settings(c) != 0)
        http2_conn_die(c, HTTP2_RESET);
    else if (already_read.len)
        receive(c, already_read);
    if (!c->dead && server->draining)
        conn_drain(&c->base);
    http2_leave(c);
}

/* http2_exchange.c - a stream's life, and the flow of its request's body (http2_server.h has the
 * states).
 *
 * The application decides when body bytes move: until it asks, and while it pauses, they are held
 * here and not consumed, so that the client's window closes; at most one window is held. */
#include "net/http2_server.h"

#include <sextant/mem.h>

enum { SPARE_BUFFER_BYTES = 8192 };

/* Who asks for the peer after the connection has gone. */
static const sx_peer GONE_PEER;

static http2_stream *stream_of(sx_exchange *x)
{
    return SX_CONTAINER_OF(x, http2_stream, x);
}

static sx_timers *timers_of(const http2_stream *s)
{
    return sx_loop_timers(s->conn->server->loop);
}

static const sx_http_limits *limits_of(const http2_stream *s)
{
    return &s->conn->server->options.limits;
}

static void stop_timers(http2_stream *s)
{
    sx_timer_stop(timers_of(s), &s->later);
    sx_timer_stop(timers_of(s), &s->body_timer);
    sx_timer_stop(timers_of(s), &s->write_timer);
}

/* The body's silence is the client's fault only while we would take more. */
static void watch_body(http2_stream *s)
{
    if (!s->body_ended && !s->closed && s->x.body_asked && !s->x.paused && s->held.len == 0)
        sx_timer_start(timers_of(s), &s->body_timer, limits_of(s)->body_ms_max);
    else
        sx_timer_stop(timers_of(s), &s->body_timer);
}

bool http2_is_read(const http2_stream *s)
{
    return s->x.gather_then || (s->x.events && s->x.events->body);
}

void http2_drop_if_done(http2_stream *s)
{
    if (!s->closed || s->dropped || !s->end_sent || !s->reply_ended)
        return;
    if (http2_is_read(s) && !s->x.body_done)
        return; /* what is held is still to be delivered */
    stop_timers(s);
    s->dropped = true;
    sx_exchange_sent(&s->x);
    sx_exchange_drop(&s->x);
}

/* ---- the request's body in ---- */

static bool may_deliver(const http2_stream *s)
{
    return s->x.body_asked && !s->x.paused;
}

/* The application has taken `n` bytes: the windows may open again. */
static void consume(http2_stream *s, size_t n)
{
    http2_conn *c = s->conn;
    if (n == 0)
        return;
    if (s->closed)
        nghttp2_session_consume_connection(c->session, n);
    else
        nghttp2_session_consume(c->session, s->id, n);
    http2_output(c);
}

/* The reply is out, the client still sends what nobody will read. It may end its request by itself
 * for a while; then, or when it goes on and on, it is told to stop. RFC 9113, section 8.1. */
void http2_stream_give_up_body(http2_stream *s)
{
    nghttp2_session_consume_connection(s->conn->session, s->held.len);
    sx_buf_clear(&s->held);
    sx_timer_start(timers_of(s), &s->body_timer, limits_of(s)->body_ms_max);
}

static void stop_sending(http2_stream *s)
{
    nghttp2_submit_rst_stream(s->conn->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    http2_output(s->conn);
}

/* The connection's window must not shrink by what nobody reads; the stream's may. */
static void drop_piece(http2_stream *s, size_t n)
{
    bool was_below = s->unread <= HTTP2_UNREAD_BYTES_MAX;
    nghttp2_session_consume_connection(s->conn->session, n);
    s->unread += (uint32_t)n; /* the window bounds it */
    if (s->end_written && was_below && s->unread > HTTP2_UNREAD_BYTES_MAX)
        stop_sending(s);
}

void http2_stream_body(http2_stream *s, sx_str piece)
{
    if (s->dropped || (s->reply_ended && !http2_is_read(s))) {
        drop_piece(s, piece.len);
    } else if (may_deliver(s) && s->held.len == 0) {
        consume(s, piece.len);
        watch_body(s);
        sx_exchange_body_in(&s->x, piece, false);
    } else {
        sx_buf_str(&s->held, piece); /* at most the stream's window */
        if (s->held.failed)
            http2_stream_reset(s, NGHTTP2_INTERNAL_ERROR);
    }
}

void http2_stream_body_end(http2_stream *s)
{
    s->body_ended = true;
    sx_timer_stop(timers_of(s), &s->body_timer);
    if (s->dropped || s->held.len || !may_deliver(s))
        return; /* deliver_held says it when its turn has come */
    sx_exchange_body_in(&s->x, SX_STR(""), true);
}

/* Gives what was held to the application that now wants it. */
static void deliver_held(http2_stream *s)
{
    http2_conn *c = s->conn;
    if (s->dropped || !may_deliver(s) || (s->held.len == 0 && !s->body_ended) || s->x.body_done)
        return;
    sx_buf piece = s->held;
    bool last = s->body_ended;
    sx_buf_init(&s->held, 0);
    http2_enter(c);
    consume(s, piece.len);
    watch_body(s);
    sx_exchange_body_in(&s->x, sx_buf_view(&piece), last);
    if (!c->dead && !s->dropped)
        http2_drop_if_done(s);
    http2_leave(c);
    sx_buf_done(&piece);
}

static void on_later(sx_timer *timer, void *arg)
{
    (void)timer;
    deliver_held(arg);
}

static void op_body_wanted(sx_exchange *x)
{
    http2_stream *s = stream_of(x);
    if (!s->conn || s->dropped)
        return;
    if (s->expects_continue && !s->body_ended && s->held.len == 0 && x->state == SX_EXCHANGE_HEAD) {
        nghttp2_nv field = sx_http2_field(SX_STR(":status"), SX_STR("100"));
        s->expects_continue = false;
        nghttp2_submit_headers(s->conn->session, NGHTTP2_FLAG_NONE, s->id, NULL, &field, 1, NULL);
        http2_output(s->conn);
    }
    watch_body(s);
    if (s->held.len || (s->body_ended && !x->body_done))
        sx_timer_start(timers_of(s), &s->later, 0);
}

static void op_pause(sx_exchange *x)
{
    http2_stream *s = stream_of(x);
    if (s->conn && !s->dropped)
        sx_timer_stop(timers_of(s), &s->body_timer);
}

static void op_resume(sx_exchange *x)
{
    http2_stream *s = stream_of(x);
    if (!s->conn || s->dropped)
        return;
    watch_body(s);
    if (s->held.len || (s->body_ended && !x->body_done))
        sx_timer_start(timers_of(s), &s->later, 0);
}

/* ---- life ---- */

static void unlink_stream(http2_stream *s)
{
    sx_list_remove(&s->link);
    sx_list_remove(&s->finish_link);
    sx_list_remove(&s->writable_link);
}

static void keep_small(sx_buf *b)
{
    if (b->cap > SPARE_BUFFER_BYTES)
        sx_buf_done(b);
}

static void op_free(sx_exchange *x)
{
    http2_stream *s = stream_of(x);
    http2_conn *c = s->conn;
    if (!c) {
        http2_stream_destroy(s);
        return;
    }
    stop_timers(s);
    unlink_stream(s);
    c->stream_count--;
    if (!s->closed) {
        nghttp2_session_set_stream_user_data(c->session, s->id, NULL);
        http2_conn_closed_one(c);
    }
    if (c->dead || c->spare_count >= HTTP2_SPARE_STREAMS_MAX) {
        http2_stream_destroy(s);
        return;
    }
    sx_exchange_reset(&s->x);
    keep_small(&s->out);
    keep_small(&s->held);
    c->spare_count++;
    sx_list_push_back(&c->spare, &s->link);
}

static const sx_exchange_ops OPS = {
    .begin = http2_op_begin,
    .write = http2_op_write,
    .end = http2_op_end,
    .abort = http2_op_abort,
    .interim = http2_op_interim,
    .upgrade = NULL,
    .body_wanted = op_body_wanted,
    .pause = op_pause,
    .resume = op_resume,
    .free = op_free,
};

static void on_body_timeout(sx_timer *timer, void *arg)
{
    http2_stream *s = arg;
    http2_conn *c = s->conn;
    (void)timer;
    http2_enter(c);
    if (s->reply_ended)
        stop_sending(s);
    else if (s->x.state == SX_EXCHANGE_HEAD)
        http2_stream_answer(s, 408);
    else
        http2_stream_reset(s, NGHTTP2_CANCEL);
    http2_leave(c);
}

static void on_write_timeout(sx_timer *timer, void *arg)
{
    http2_stream *s = arg;
    http2_conn *c = s->conn;
    (void)timer;
    http2_enter(c);
    http2_stream_reset(s, NGHTTP2_CANCEL);
    http2_leave(c);
}

/* Memory for a stream: a spare one, or new. */
static http2_stream *get_stream(http2_conn *c)
{
    sx_list *link = sx_list_pop_front(&c->spare);
    if (link) {
        c->spare_count--;
        return SX_CONTAINER_OF(link, http2_stream, link);
    }
    http2_stream *s = sx_calloc(1, sizeof(*s));
    if (s)
        sx_exchange_init(&s->x, &OPS, c->server, 0);
    return s;
}

http2_stream *http2_stream_new(http2_conn *c, int32_t id)
{
    http2_stream *s = get_stream(c);
    if (!s)
        return NULL;
    sx_buf out = s->out, held = s->held;
    sx_buf_clear(&out);
    sx_buf_clear(&held);
    memset((char *)s + sizeof(s->x), 0, sizeof(*s) - sizeof(s->x));
    s->out = out; /* small ones are kept for the next request */
    s->held = held;
    s->conn = c;
    s->id = id;
    s->x.request.peer = sx_stream_peer(c->stream);
    s->x.request.content_bytes = SX_LENGTH_UNKNOWN;
    s->later = (sx_timer){.fn = on_later, .arg = s};
    s->body_timer = (sx_timer){.fn = on_body_timeout, .arg = s};
    s->write_timer = (sx_timer){.fn = on_write_timeout, .arg = s};
    sx_list_init(&s->finish_link);
    sx_list_init(&s->writable_link);
    sx_list_push_back(&c->streams, &s->link);
    c->stream_count++;
    return s;
}

void http2_stream_destroy(http2_stream *s)
{
    sx_buf_done(&s->out);
    sx_buf_done(&s->held);
    sx_exchange_fini(&s->x);
    sx_free(s);
}

void http2_stream_cut(http2_stream *s)
{
    if (s->dropped)
        return;
    s->dropped = true;
    stop_timers(s);
    sx_exchange_cut(&s->x);
    sx_exchange_drop(&s->x);
}

void http2_stream_detach(http2_stream *s)
{
    http2_conn *c = s->conn;
    stop_timers(s);
    unlink_stream(s);
    c->stream_count--;
    s->conn = NULL;
    bool held = !s->dropped; /* by us */
    s->dropped = true;
    if (held)
        sx_exchange_cut(&s->x);
    s->x.request.peer = &GONE_PEER;
    if (held)
        sx_exchange_drop(&s->x);
}

void http2_stream_reset(http2_stream *s, uint32_t code)
{
    http2_conn *c = s->conn;
    if (!s->closed) {
        nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->id, code);
        http2_output(c);
    }
    http2_stream_cut(s);
}

void http2_stream_closed(http2_stream *s, uint32_t code)
{
    size_t unread = s->held.len;
    http2_conn *c = s->conn;
    s->closed = true;
    sx_timer_stop(timers_of(s), &s->body_timer);
    http2_conn_closed_one(c);
    if (unread && (code != NGHTTP2_NO_ERROR || !http2_is_read(s))) {
        sx_buf_clear(&s->held);
        nghttp2_session_consume_connection(c->session, unread);
        http2_output(c);
    }
    if (s->dropped)
        return;
    if (!s->end_written || (code != NGHTTP2_NO_ERROR && !s->end_sent))
        http2_stream_cut(s);
    else
        http2_drop_if_done(s);
}

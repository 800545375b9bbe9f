/* http1_server.c - the life of an HTTP/1.x connection: brackets, timers, events, drain, end.
 * http1_internal.h has its states. */
#include "net/http1_internal.h"

#include <stdio.h>

#include <sextant/mem.h>

#include "net/http2_server.h"

/* ---- timer ---- */

static void on_timer(sx_timer *timer, void *arg);

/* The timer is left alone when it is set for an earlier moment: it then finds that the deadline has
 * moved and goes on. So a busy connection touches the wheel once in many requests. */
void http1_expect_within(http1_conn *c, uint32_t ms)
{
    if (ms == 0) {
        c->deadline_ms = INT64_MAX;
        return;
    }
    c->deadline_ms = c->server->loop->now_ms + ms;
    if (sx_timer_running(&c->timer) && c->timer.due_ms <= c->deadline_ms)
        return;
    sx_timer_start(&c->server->loop->timers, &c->timer, ms);
}

/* Whether bytes have arrived that nobody has read yet: an idle connection with a request is not idle. */
static bool is_asked(const http1_conn *c)
{
    char byte;
    return recv(sx_stream_fd(c->stream), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void on_timer(sx_timer *timer, void *arg)
{
    (void)timer;
    http1_conn *c = arg;
    if (c->deadline_ms == INT64_MAX)
        return;
    const sx_loop *loop = c->server->loop;
    if (loop->polled_ms < c->deadline_ms) {
        sx_timer_start(&c->server->loop->timers, &c->timer, c->deadline_ms - loop->now_ms);
        return;
    }
    http1_enter(c);
    switch ((http1_state)c->state) {
    case HTTP1_IDLE:
        /* Handlers of this turn may have taken long, and its client has asked meanwhile: to close now
         * would be to close without an answer. It is read next. */
        if (is_asked(c))
            http1_expect_within(c, http1_limits(c)->header_ms_max);
        else
            http1_close(c, false);
        break;
    case HTTP1_HEAD:
        http1_answer_error(c, 408, "the request's head took too long");
        break;
    case HTTP1_BODY:
        if (c->current->x.state == SX_EXCHANGE_HEAD) {
            http1_exchange *e = c->current;
            c->current = NULL;
            e->conn = NULL;
            e->reply_over = e->body_over = true;
            sx_exchange_cut(&e->x);
            sx_exchange_drop(&e->x);
            http1_answer_error(c, 408, "the request's body took too long");
        } else if (c->current->reply_over || c->current->listed) {
            http1_close(c, true);
        } else {
            http1_kill(c);
        }
        break;
    default:
        break;
    }
    http1_leave(c);
}

/* ---- the end of a connection ---- */

void http1_close(http1_conn *c, bool lingers)
{
    if (c->dead)
        return;
    c->state = HTTP1_CLOSING;
    c->lingers |= lingers;
    http1_expect_within(c, 0);
}

/* Ends what the application still has of it. Its views must not outlive this call, or be kept. */
static void cut_exchange(http1_exchange *e)
{
    e->conn = NULL;
    e->listed = false;
    e->reply_over = e->body_over = true;
    sx_exchange_cut(&e->x);
    sx_exchange_drop(&e->x);
}

static void die(http1_conn *c)
{
    if (c->dead)
        return;
    c->dead = true;
    c->state = HTTP1_CLOSING;
    sx_timer_stop(&c->server->loop->timers, &c->timer);
    while (c->unsent_first) {
        http1_exchange *e = c->unsent_first;
        c->unsent_first = e->next_unsent;
        if (e == c->current)
            c->current = NULL;
        cut_exchange(e);
    }
    if (c->current) {
        http1_exchange *e = c->current;
        c->current = NULL;
        cut_exchange(e);
    }
}

void http1_kill(http1_conn *c)
{
    if (c->dead)
        return;
    sx_stream *s = c->stream;
    c->stream = NULL;
    if (s)
        sx_stream_reset(s);
    die(c);
}

static void free_conn(http1_conn *c)
{
    sx_http_server *server = c->server;
    sx_buf_done(&c->partial);
    sx_timer_stop(&server->loop->timers, &c->timer);
    sx_http_server_remove(server, &c->base);
    sx_free(c);
}

/* ---- brackets ---- */

void http1_enter(http1_conn *c)
{
    if (c->depth++ == 0 && c->stream)
        sx_stream_cork(c->stream);
}

void http1_drop_if_over(http1_exchange *e)
{
    if (!e->reply_over || !e->body_over)
        return;
    if (e->conn && e->conn->current == e)
        e->conn->current = NULL;
    e->conn = NULL;
    sx_exchange_drop(&e->x);
}

/* Tells of every reply that has left since. */
static void settle(http1_conn *c)
{
    uint64_t sent = sx_stream_sent_total(c->stream);
    while (c->unsent_first && c->unsent_first->end_at <= sent) {
        http1_exchange *e = c->unsent_first;
        c->unsent_first = e->next_unsent;
        if (!c->unsent_first)
            c->unsent_last = NULL;
        e->listed = false;
        e->reply_over = true;
        sx_exchange_sent(&e->x);
        http1_drop_if_over(e);
        if (c->dead)
            return;
    }
}

void http1_leave(http1_conn *c)
{
    sx_assert(c->depth > 0);
    if (c->depth > 1) {
        c->depth--;
        return;
    }
    if (!c->dead) {
        sx_stream_flush(c->stream);
        settle(c);
    }
    if (!c->dead && c->state == HTTP1_CLOSING && !c->unsent_first) {
        sx_stream *s = c->stream;
        c->stream = NULL;
        if (c->lingers)
            sx_stream_close_lingering(s);
        else
            sx_stream_close(s);
        die(c);
    }
    c->depth = 0;
    if (c->dead)
        free_conn(c);
    else
        sx_stream_uncork(c->stream);
}

/* ---- answers of ours, and the way to HTTP/2 ---- */

void http1_answer_error(http1_conn *c, int status, const char *why)
{
    if (c->dead)
        return;
    sx_http_server_reject(c->server, sx_stream_peer(c->stream), status, why);
    sx_buf_done(&c->partial);
    char text[512];
    sx_str fixed = sx_http_server_fixed_fields(c->server);
    size_t body_bytes = strlen(why) + 1;
    int len = snprintf(text, sizeof(text),
                       "HTTP/1.1 %d %s\r\n%.*sContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                       "Connection: close\r\n\r\n%s\n",
                       status, sx_http_reason(status), SX_ARG(fixed), body_bytes, why);
    sx_assert(len > 0 && (size_t)len < sizeof(text));
    sx_stream_write(c->stream, sx_str_of(text, (size_t)len));
    http1_close(c, true);
}

void http1_hand_over(http1_conn *c, sx_str bytes)
{
    sx_stream *s = c->stream;
    sx_http_server *server = c->server;
    /* The bytes may lie in `partial`, which dies with the connection: it is freed last. */
    c->stream = NULL;
    sx_buf kept = c->partial;
    sx_buf_init(&c->partial, 0);
    sx_stream_flush(s);
    sx_stream_uncork(s); /* http1_enter's; the event's own cork stays */
    sx_http2_server_take(server, s, bytes);
    sx_buf_done(&kept);
    die(c);
}

/* ---- events of the stream ---- */

static void on_data(sx_stream *s, void *ctx, sx_str piece)
{
    (void)s;
    http1_conn *c = ctx;
    http1_enter(c);
    http1_input(c, piece);
    http1_leave(c);
}

static void on_ended(sx_stream *s, void *ctx)
{
    http1_conn *c = ctx;
    c->peer_ended = true;
    http1_enter(c);
    switch ((http1_state)c->state) {
    case HTTP1_HEAD:
        sx_http_server_reject(c->server, sx_stream_peer(s), 0, "closed in the middle of a head");
        http1_close(c, false);
        break;
    case HTTP1_BODY:
        if (c->current->listed || c->current->reply_over)
            http1_close(c, false);
        else
            http1_kill(c); /* the body will never be whole: the application hears `aborted` */
        break;
    case HTTP1_WAIT: /* half-closed: it may still wait for the reply. RFC 9112, section 9.6 */
        if (c->current && sx_exchange_is_for_nobody(&c->current->x))
            http1_kill(c);
        else
            c->closes = true;
        break;
    case HTTP1_RAW: {
        http1_exchange *e = c->current;
        e->body_over = true;
        sx_exchange_body_in(&e->x, SX_STR(""), true);
        break;
    }
    default:
        http1_close(c, false);
        break;
    }
    http1_leave(c);
}

static void on_drained(sx_stream *s, void *ctx)
{
    (void)s;
    http1_conn *c = ctx;
    http1_enter(c);
    c->output_full = false;
    if (c->current)
        sx_exchange_writable(&c->current->x);
    if (c->state == HTTP1_IDLE || c->state == HTTP1_HEAD)
        sx_stream_resume(c->stream);
    http1_leave(c);
}

/* The socket took more of the queue. */
static void on_sent(sx_stream *s, void *ctx)
{
    (void)s;
    http1_conn *c = ctx;
    if (c->unsent_first && c->depth == 0) {
        http1_enter(c);
        http1_leave(c);
    }
}

static void on_closed(sx_stream *s, void *ctx, sx_status why, const sx_error *err)
{
    (void)s, (void)err;
    http1_conn *c = ctx;
    if (c->state == HTTP1_HEAD || c->state == HTTP1_HANDSHAKE)
        sx_http_server_reject(c->server, sx_stream_peer(s), 0,
                              why == SX_ETIMEOUT    ? "timed out before a request was whole"
                              : why == SX_EPROTOCOL ? "broken TLS"
                                                    : "closed before a request was whole");
    c->stream = NULL;
    http1_enter(c);
    die(c);
    http1_leave(c);
}

static void on_opened(sx_stream *s, void *ctx)
{
    http1_conn *c = ctx;
    http1_enter(c);
    c->state = HTTP1_IDLE;
    if (sx_str_eq(sx_stream_alpn(s), SX_STR("h2")))
        http1_hand_over(c, sx_str_of(NULL, 0));
    else
        http1_expect_within(c, http1_limits(c)->idle_ms_max);
    http1_leave(c);
}

static const sx_stream_events EVENTS = {
    .opened = on_opened,
    .data = on_data,
    .ended = on_ended,
    .drained = on_drained,
    .sent = on_sent,
    .closed = on_closed,
};

/* ---- operations of the server ---- */

static void op_drain(sx_http_conn *base)
{
    http1_conn *c = SX_CONTAINER_OF(base, http1_conn, base);
    http1_enter(c);
    c->closes = true;
    if (c->state == HTTP1_IDLE && !is_asked(c))
        http1_close(c, false);
    http1_leave(c);
}

static void op_kill(sx_http_conn *base)
{
    http1_conn *c = SX_CONTAINER_OF(base, http1_conn, base);
    http1_enter(c);
    http1_kill(c);
    http1_leave(c);
}

static const sx_http_conn_ops CONN_OPS = {.drain = op_drain, .kill = op_kill};

static void take(sx_http_server *server, sx_stream *s, http1_state state, sx_str already_read)
{
    http1_conn *c = sx_calloc(1, sizeof(*c));
    if (!c) {
        sx_stream_reset(s);
        return;
    }
    c->server = server;
    c->stream = s;
    c->state = (uint8_t)state;
    c->deadline_ms = INT64_MAX;
    c->timer.fn = on_timer;
    c->timer.arg = c;
    sx_buf_init(&c->partial, 0);
    sx_stream_events_set(s, &EVENTS, c);
    sx_http_server_add(server, &c->base, &CONN_OPS);
    http1_enter(c);
    if (state == HTTP1_IDLE) {
        http1_expect_within(c, http1_limits(c)->idle_ms_max);
        http1_input(c, already_read);
    }
    http1_leave(c);
}

void sx_http1_server_take(sx_http_server *server, sx_stream *s, sx_str already_read)
{
    take(server, s, HTTP1_IDLE, already_read);
}

void sx_http_server_take(sx_http_server *server, sx_stream *s)
{
    take(server, s, sx_stream_is_tls(s) ? HTTP1_HANDSHAKE : HTTP1_IDLE, sx_str_of(NULL, 0));
}

/* http1_server.c - an HTTP/1.x connection of an sx_http_server. http1_internal.h has its states.
 *
 * A head that lies whole in the loop's read buffer is parsed and served there, without a copy. If
 * its request outlives the read (a reply that comes later, a socket that is full) the head's bytes are
 * copied once and all views moved over. */
#include "net/http1_internal.h"

#include <stdio.h>

#include <sextant/mem.h>

#include "net/http2_server.h"

enum { DISCARD_BYTES_MAX = 65536 };

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"; /* RFC 9113, section 3.4 */
enum { PREFACE_BYTES = sizeof(PREFACE) - 1 };

static const sx_http_limits *limits_of(const http1_conn *c)
{
    return &c->server->options.limits;
}

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

static void on_timer(sx_timer *timer, void *arg)
{
    (void)timer;
    http1_conn *c = arg;
    if (c->deadline_ms == INT64_MAX)
        return;
    int64_t now_ms = c->server->loop->now_ms;
    if (now_ms < c->deadline_ms) {
        sx_timer_start(&c->server->loop->timers, &c->timer, c->deadline_ms - now_ms);
        return;
    }
    http1_enter(c);
    switch ((http1_state)c->state) {
    case HTTP1_IDLE:
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

static void keep_head(http1_exchange *e);

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
        keep_head(e);
        cut_exchange(e);
    }
    if (c->current) {
        http1_exchange *e = c->current;
        c->current = NULL;
        keep_head(e);
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

/* Copies the head of a request that lives on when the bytes under it go. Without memory its views
 * are emptied: the log line is poorer, nothing dangles. */
static void move_view(sx_str *view, sx_str from, const char *to)
{
    if (view->data >= from.data && view->data <= from.data + from.len) {
        view->len = to ? view->len : 0;
        view->data = to ? to + (view->data - from.data) : NULL;
    }
}

static void keep_head(http1_exchange *e)
{
    if (e->head_is_ours)
        return;
    sx_request *r = &e->x.request;
    sx_str from = e->head_bytes;
    const char *to = sx_arena_copy(&r->arena, from).data;
    sx_str *const VIEWS[] = {&r->method_text, &r->target,    &r->path,
                             &r->query,       &r->authority, &e->upgrade};
    for (size_t i = 0; i < SX_COUNT_OF(VIEWS); i++)
        move_view(VIEWS[i], from, to);
    for (size_t i = 0; i < r->header_count; i++) {
        move_view(&e->headers[i].name, from, to);
        move_view(&e->headers[i].value, from, to);
    }
    e->head_is_ours = true;
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

/* Tells of every reply that has left since, and keeps the heads of those that have not. */
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
    for (http1_exchange *e = c->unsent_first; e; e = e->next_unsent)
        keep_head(e);
    if (c->current)
        keep_head(c->current);
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

/* ---- requests ---- */

static http1_exchange *take_exchange(http1_conn *c)
{
    sx_http_server *server = c->server;
    sx_list *link = sx_list_pop_front(&server->http1_free);
    http1_exchange *e;
    if (sx_likely(link)) {
        server->http1_free_count--;
        e = SX_CONTAINER_OF(link, http1_exchange, link);
        sx_exchange_reset(&e->x);
    } else {
        e = sx_calloc(1, sizeof(*e) + server->options.limits.header_count_max * sizeof(sx_header));
        if (!e)
            return NULL;
        sx_exchange_init(&e->x, &http1_ops, server, 0);
        sx_list_init(&e->link);
        sx_buf_init(&e->head_kept, 0);
    }
    e->next_unsent = NULL;
    e->head_is_ours = e->reply_over = e->body_over = e->listed = false;
    e->chunked_reply = false;
    e->conn = c;
    return e;
}

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

/* The request's part is read: on to its reply, or to the next request if that has ended already. */
static void body_is_over(http1_conn *c, http1_exchange *e)
{
    http1_expect_within(c, 0);
    e->body_over = true;
    bool has_ended = e->listed || e->reply_over;
    if (c->state != HTTP1_BODY)
        return; /* closing */
    c->state = HTTP1_WAIT;
    if (!has_ended)
        return;
    c->current = NULL;
    c->state = HTTP1_IDLE;
    if (c->closes)
        http1_close(c, false);
    else
        http1_expect_within(c, limits_of(c)->idle_ms_max);
    http1_drop_if_over(e);
}

void http1_reply_ended(http1_exchange *e)
{
    http1_conn *c = e->conn;
    e->end_at = sx_stream_written_total(c->stream);
    e->listed = true;
    e->next_unsent = NULL;
    if (c->unsent_last)
        c->unsent_last->next_unsent = e;
    else
        c->unsent_first = e;
    c->unsent_last = e;
    if (c->state == HTTP1_WAIT || e->x.body_done) {
        e->body_over = true;
        if (c->current == e)
            c->current = NULL;
        if (c->state == HTTP1_RAW || c->state == HTTP1_CLOSING)
            return;
        c->state = HTTP1_IDLE;
        if (c->closes) {
            http1_close(c, false);
            return;
        }
        http1_expect_within(c, limits_of(c)->idle_ms_max);
        sx_stream_resume(c->stream);
        return;
    }
    if (c->state != HTTP1_BODY)
        return;
    if (e->x.body_asked && e->x.events && e->x.events->body) {
        if (!e->x.paused) /* the application reads on behind its reply */
            sx_stream_resume(c->stream);
        return;
    }
    if (c->closes) { /* nobody will look at the rest */
        e->body_over = true;
        c->current = NULL;
        http1_close(c, true);
        return;
    }
    http1_expect_within(c, limits_of(c)->body_ms_max);
    sx_stream_resume(c->stream);
}

static void fill_request(http1_conn *c, http1_exchange *e, const http1_head *head)
{
    sx_request *r = &e->x.request;
    r->method = head->method;
    r->method_text = head->method_text;
    r->target = head->target;
    r->path = head->path;
    r->query = head->query;
    r->peer = sx_stream_peer(c->stream);
    r->scheme = r->peer->tls ? SX_STR("https") : SX_STR("http");
    r->authority = head->authority;
    r->version = head->version;
    r->content_bytes = head->content_bytes;
    r->headers = e->headers;
    r->header_count = head->header_count;
    e->upgrade = head->upgrade;
    e->expects_continue = head->expects_continue && head->content_bytes != 0;
    uint32_t requests_max = limits_of(c)->requests_max;
    e->keep_alive = head->keep_alive && !(requests_max && c->requests >= requests_max);
}

/* Calls the handler. */
static void start_request(http1_conn *c, http1_exchange *e, const http1_head *head)
{
    c->requests++;
    fill_request(c, e, head);
    c->current = e;
    if (head->content_bytes == 0) {
        e->x.body_done = true;
        c->state = HTTP1_WAIT;
    } else {
        c->state = HTTP1_BODY;
        c->chunks = (http1_chunks){0};
        c->body_left = head->content_bytes > 0 ? (uint64_t)head->content_bytes : 0;
        c->discarded = 0;
    }
    http1_expect_within(c, 0);
    sx_exchange_start(&e->x);
}

/* Keeps the pieces of a head that has not come whole. False when it cannot be kept. */
static bool add_partial(http1_conn *c, sx_str piece)
{
    char *room = sx_buf_reserve(&c->partial, piece.len + HTTP1_SLACK);
    if (!room)
        return false;
    memcpy(room, piece.data, piece.len);
    memset(room + piece.len, 0, HTTP1_SLACK);
    c->partial.len += piece.len;
    return true;
}

/* Whether the bytes are those of HTTP/2's preface as far as they go. */
static bool is_preface(const http1_conn *c, sx_str bytes)
{
    size_t len = bytes.len < PREFACE_BYTES ? bytes.len : PREFACE_BYTES;
    return c->requests == 0 && memcmp(bytes.data, PREFACE, len) == 0 &&
           !sx_stream_peer(c->stream)->tls;
}

static void hand_to_http2(http1_conn *c, sx_str bytes)
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

/* Reads a head from *in. True when a request was started (or refused, or handed over). */
static bool read_head(http1_conn *c, sx_str *in)
{
    sx_str bytes = *in;
    size_t had = c->partial.len;
    if (had) {
        if (!add_partial(c, bytes)) {
            http1_answer_error(c, 503, "out of memory");
            return true;
        }
        bytes = sx_buf_view(&c->partial);
    }
    if (sx_unlikely(bytes.data[0] == 'P' && is_preface(c, bytes))) {
        if (bytes.len >= PREFACE_BYTES) {
            hand_to_http2(c, bytes);
            return true;
        }
    } else {
        http1_exchange *e = take_exchange(c);
        if (!e) {
            http1_answer_error(c, 503, "out of memory");
            return true;
        }
        http1_head head;
        sx_status rc =
            http1_head_parse(bytes.data, bytes.len, limits_of(c), &c->progress, e->headers, &head);
        if (sx_likely(rc == SX_OK)) {
            *in = sx_str_from(*in, head.bytes - had);
            c->progress = (http1_progress){0};
            e->head_bytes = sx_str_first(bytes, head.bytes);
            if (had) { /* the buffer goes with the request */
                e->head_kept = c->partial;
                e->head_is_ours = true;
                sx_buf_init(&c->partial, 0);
            }
            start_request(c, e, &head);
            return true;
        }
        http1_ops.free(&e->x);
        if (rc == SX_EFORMAT && head.is_foreign && c->requests == 0) {
            /* A broken HTTP/2 preface, most likely: RFC 9113, section 3.4, wants the connection closed,
             * and text would be taken for frames. */
            sx_http_server_reject(c->server, sx_stream_peer(c->stream), 0, head.why);
            http1_close(c, true);
            return true;
        }
        if (rc == SX_EFORMAT) {
            http1_answer_error(c, head.status, head.why);
            return true;
        }
    }
    if (!had && !add_partial(c, bytes)) {
        http1_answer_error(c, 503, "out of memory");
        return true;
    }
    if (c->state == HTTP1_IDLE) {
        c->state = HTTP1_HEAD;
        http1_expect_within(c, limits_of(c)->header_ms_max);
    }
    *in = sx_str_of(NULL, 0);
    return false;
}

/* Gives a piece of the body to whoever wants it, or drops it if the reply has ended without. */
static void deliver(http1_conn *c, http1_exchange *e, sx_str piece, bool last)
{
    if (e->reply_over || e->listed) {
        if (!(e->x.body_asked && e->x.events && e->x.events->body)) {
            c->discarded += (uint32_t)piece.len;
            if (c->discarded > DISCARD_BYTES_MAX && !last) {
                e->body_over = true;
                c->current = NULL;
                http1_close(c, true);
                http1_drop_if_over(e);
                return;
            }
        }
    }
    if (last)
        e->x.body_done = true;
    e->x.holds++;
    sx_exchange_body_in(&e->x, piece, last);
    if (last && !c->dead && c->current == e)
        body_is_over(c, e);
    sx_request_release(&e->x.request);
}

/* Reads the body from *in as long as somebody takes it. False: *in has to wait. */
static bool read_body(http1_conn *c, sx_str *in)
{
    http1_exchange *e = c->current;
    bool is_wanted = e->x.body_asked || e->listed || e->reply_over;
    if (!is_wanted || e->x.paused)
        return false;
    http1_expect_within(c, limits_of(c)->body_ms_max);
    if (e->x.request.content_bytes > 0) {
        sx_str piece = sx_str_first(*in, c->body_left < in->len ? (size_t)c->body_left : in->len);
        *in = sx_str_from(*in, piece.len);
        c->body_left -= piece.len;
        deliver(c, e, piece, c->body_left == 0);
        return true;
    }
    sx_str piece;
    sx_status rc = http1_chunks_read(&c->chunks, limits_of(c)->chunk_header_bytes_max, in, &piece);
    if (rc == SX_OK) {
        deliver(c, e, piece, false);
    } else if (rc == SX_END) {
        deliver(c, e, SX_STR(""), true);
    } else if (rc == SX_EFORMAT) {
        if (e->x.state != SX_EXCHANGE_HEAD) { /* too late to say why */
            sx_http_server_reject(c->server, sx_stream_peer(c->stream), 0, c->chunks.why);
            if (e->listed || e->reply_over)
                http1_close(c, true);
            else
                http1_kill(c);
            return true;
        }
        c->current = NULL;
        e->conn = NULL;
        e->reply_over = e->body_over = true;
        keep_head(e);
        sx_exchange_cut(&e->x);
        sx_exchange_drop(&e->x);
        http1_answer_error(c, c->chunks.status, c->chunks.why);
    }
    return true;
}

/* What cannot be used yet goes back to the stream. */
static void park(http1_conn *c, sx_str rest, bool pauses)
{
    if (pauses)
        sx_stream_pause(c->stream);
    if (rest.len && sx_stream_unread(c->stream, rest) != SX_OK)
        http1_kill(c);
}

static void process(http1_conn *c, sx_str in)
{
    uint32_t started = 0;
    while (in.len && !c->dead) {
        switch ((http1_state)c->state) {
        case HTTP1_IDLE:
        case HTTP1_HEAD:
            if (c->output_full) { /* or a client that never reads could have us hold all it asked for */
                park(c, in, true);
                return;
            }
            if (started == limits_of(c)->pipeline_max) { /* let others have their turn */
                park(c, in, false);
                return;
            }
            started += read_head(c, &in);
            break;
        case HTTP1_BODY:
            if (!read_body(c, &in)) {
                park(c, in, true);
                return;
            }
            break;
        case HTTP1_WAIT:
            park(c, in, true);
            return;
        case HTTP1_RAW: {
            sx_exchange *x = &c->current->x;
            if (!x->body_asked || x->paused) {
                park(c, in, true);
                return;
            }
            sx_exchange_body_in(x, in, false);
            return;
        }
        default:
            return; /* closing: dropped */
        }
    }
}

/* ---- events of the stream ---- */

static void on_data(sx_stream *s, void *ctx, sx_str piece)
{
    (void)s;
    http1_conn *c = ctx;
    http1_enter(c);
    process(c, piece);
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
        hand_to_http2(c, sx_str_of(NULL, 0));
    else
        http1_expect_within(c, limits_of(c)->idle_ms_max);
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
    if (c->state == HTTP1_IDLE && c->requests > 0)
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
        http1_expect_within(c, limits_of(c)->idle_ms_max);
        process(c, already_read);
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

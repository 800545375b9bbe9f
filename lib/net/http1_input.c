/* http1_input.c - what an HTTP/1.x connection does with bytes: heads, bodies, pipelines.
 *
 * HOT. A head that lies whole in the loop's read buffer is parsed there, and copied into the request's
 * arena before its handler is called (own_head): what a handler takes from it, a header's value
 * or a part of the path, is good for as long as the request, which may outlive the read. */
#include "net/http1_internal.h"

#include <sextant/mem.h>

enum { DISCARD_BYTES_MAX = 65536 };

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"; /* RFC 9113, section 3.4 */
enum { PREFACE_BYTES = sizeof(PREFACE) - 1 };

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
    e->reply_over = e->body_over = e->listed = false;
    e->chunked_reply = false;
    e->conn = c;
    return e;
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
        http1_expect_within(c, http1_limits(c)->idle_ms_max);
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
        http1_expect_within(c, http1_limits(c)->idle_ms_max);
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
    http1_expect_within(c, http1_limits(c)->body_ms_max);
    sx_stream_resume(c->stream);
}

static void move_view(sx_str *view, sx_str from, const char *to)
{
    if (view->data >= from.data && view->data <= from.data + from.len)
        view->data = to + (view->data - from.data);
}

/* Copies a head out of the read buffer, which the next read overwrites, and moves all views over.
 * False without memory. */
static bool own_head(http1_exchange *e, http1_head *head, sx_str from)
{
    const char *to = sx_arena_copy(&e->x.request.arena, from).data;
    if (sx_unlikely(!to))
        return false;
    sx_str *const VIEWS[] = {&head->method_text, &head->target,    &head->path,
                             &head->query,       &head->authority, &head->upgrade};
    for (size_t i = 0; i < SX_COUNT_OF(VIEWS); i++)
        move_view(VIEWS[i], from, to);
    for (size_t i = 0; i < head->header_count; i++) {
        move_view(&e->headers[i].name, from, to);
        move_view(&e->headers[i].value, from, to);
    }
    return true;
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
    uint32_t requests_max = http1_limits(c)->requests_max;
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
            http1_hand_over(c, bytes);
            return true;
        }
    } else {
        http1_exchange *e = take_exchange(c);
        if (!e) {
            http1_answer_error(c, 503, "out of memory");
            return true;
        }
        http1_head head;
        sx_status rc = http1_head_parse(bytes.data, bytes.len, http1_limits(c), &c->progress,
                                        e->headers, &head);
        if (sx_likely(rc == SX_OK)) {
            *in = sx_str_from(*in, head.bytes - had);
            c->progress = (http1_progress){0};
            if (had) { /* the buffer goes with the request */
                e->head_kept = c->partial;
                sx_buf_init(&c->partial, 0);
            } else if (sx_unlikely(!own_head(e, &head, sx_str_first(bytes, head.bytes)))) {
                http1_ops.free(&e->x);
                http1_answer_error(c, 503, "out of memory");
                return true;
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
        http1_expect_within(c, http1_limits(c)->header_ms_max);
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
    http1_expect_within(c, http1_limits(c)->body_ms_max);
    if (e->x.request.content_bytes > 0) {
        sx_str piece = sx_str_first(*in, c->body_left < in->len ? (size_t)c->body_left : in->len);
        *in = sx_str_from(*in, piece.len);
        c->body_left -= piece.len;
        deliver(c, e, piece, c->body_left == 0);
        return true;
    }
    sx_str piece;
    sx_status rc =
        http1_chunks_read(&c->chunks, http1_limits(c)->chunk_header_bytes_max, in, &piece);
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

void http1_input(http1_conn *c, sx_str in)
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
            if (started == http1_limits(c)->pipeline_max) { /* let others have their turn */
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

/* http1_reply.c - how a reply becomes bytes: the operations of exchange.h for HTTP/1.x.
 *
 * HOT. A usual reply is a few memcpys into the loop's scratch buffer: a constant status line, the
 * Server and Date lines made once a second, the application's fields as they stand, the body. It
 * leaves with the other replies of its batch in one send. */
#include "net/http1_internal.h"

#include <sextant/mem.h>

/* Room for what is not a view: status line and reason, content and connection fields. */
enum { HEAD_ROOM_BYTES = 256, DISCARD_BYTES_MAX = 65536, CHUNK_HEAD_BYTES = 20 };

static inline char *put(char *at, sx_str s)
{
    if (s.len)
        memcpy(at, s.data, s.len);
    return at + s.len;
}

static char *put_u64(char *at, uint64_t value)
{
    char text[20];
    size_t from = sizeof(text);
    do {
        text[--from] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return put(at, sx_str_of(text + from, sizeof(text) - from));
}

static char *put_status(char *at, int status)
{
    if (sx_likely(status == 200))
        return put(at, SX_STR("HTTP/1.1 200 OK\r\n"));
    at = put(at, SX_STR("HTTP/1.1 "));
    at = put_u64(at, (uint64_t)status);
    *at++ = ' ';
    at = put(at, sx_str_z(sx_http_reason(status)));
    return put(at, SX_STR("\r\n"));
}

/* The lines that say how the body is framed and whether the connection goes on. */
static char *put_framing(char *at, http1_exchange *e, int64_t body_bytes)
{
    int status = e->x.request.status;
    if (sx_unlikely(status == 204 || (status == 304 && body_bytes <= 0))) {
        /* No length: RFC 9110, section 8.6. */
    } else if (sx_likely(body_bytes >= 0)) {
        at = put(at, SX_STR("Content-Length: "));
        at = put_u64(at, (uint64_t)body_bytes);
        at = put(at, SX_STR("\r\n"));
    } else if (e->chunked_reply) {
        at = put(at, SX_STR("Transfer-Encoding: chunked\r\n"));
    }
    if (sx_unlikely(!e->keep_alive))
        at = put(at, SX_STR("Connection: close\r\n"));
    else if (sx_unlikely(e->x.request.version == 10))
        at = put(at, SX_STR("Connection: keep-alive\r\n"));
    return at;
}

/* Whether the next request can follow this one on the connection: decided when the head is written. */
static void decide_keep_alive(http1_exchange *e, int64_t body_bytes)
{
    http1_conn *c = e->conn;
    sx_exchange *x = &e->x;
    if (c->closes || c->peer_ended || c->server->draining)
        e->keep_alive = false;
    e->chunked_reply = body_bytes < 0 && x->request.version == 11;
    if (body_bytes < 0 && !e->chunked_reply)
        e->keep_alive = false; /* the end of the connection is the end of the body */
    if (!x->body_done && !(x->events && x->events->body)) {
        /* The rest of a short body is read and dropped; for a long one, or one that the client may
         * never send because it waits to be told to, it is cheaper to part. */
        if (e->expects_continue || c->body_left > DISCARD_BYTES_MAX)
            e->keep_alive = false;
    }
    if (!e->keep_alive)
        c->closes = true;
}

static sx_status write_head(http1_exchange *e, int64_t body_bytes, sx_str body)
{
    http1_conn *c = e->conn;
    sx_exchange *x = &e->x;
    sx_str fixed = sx_http_server_fixed_fields(c->server);
    sx_str fields = sx_buf_view(&x->reply_fields);
    size_t room = HEAD_ROOM_BYTES + fixed.len + fields.len + x->reply_type.len;
    size_t with_body = room + body.len <= SX_STREAM_RESERVE_MAX ? body.len : 0;
    char *start = sx_stream_reserve(c->stream, room + with_body), *own = NULL;
    if (sx_unlikely(!start)) {
        start = own = sx_alloc(room);
        with_body = 0;
        if (!own)
            return SX_ENOMEM;
    }
    char *at = put_status(start, x->request.status);
    if (sx_likely(!x->has_date && !x->has_server))
        at = put(at, fixed);
    else if (!x->has_date)
        at = put(at, sx_str_from(fixed, c->server->fixed_date_at));
    else if (!x->has_server)
        at = put(at, sx_str_first(fixed, c->server->fixed_date_at));
    if (x->reply_type.len) {
        at = put(at, SX_STR("Content-Type: "));
        at = put(at, x->reply_type);
        at = put(at, SX_STR("\r\n"));
    }
    at = put_framing(at, e, body_bytes);
    at = put(at, fields);
    at = put(at, SX_STR("\r\n"));
    if (with_body)
        at = put(at, body);
    sx_status rc;
    if (sx_likely(!own)) {
        rc = sx_stream_commit(c->stream, (size_t)(at - start));
    } else {
        rc = sx_stream_write(c->stream, sx_str_of(own, (size_t)(at - own)));
        sx_free(own);
    }
    if (rc == SX_ECLOSED || with_body == body.len)
        return rc;
    return SX_END; /* the body is still to be written */
}

static sx_status op_begin(sx_exchange *x, int64_t body_bytes, sx_str body, bool last, bool fixed)
{
    http1_exchange *e = (http1_exchange *)x;
    http1_conn *c = e->conn;
    if (sx_unlikely(!c))
        return SX_ECLOSED;
    http1_enter(c);
    decide_keep_alive(e, body_bytes);
    sx_status rc = write_head(e, body_bytes, body);
    if (sx_unlikely(rc == SX_END))
        rc = fixed ? sx_stream_write_fixed(c->stream, body) : sx_stream_write(c->stream, body);
    c->output_full |= rc == SX_AGAIN;
    if (sx_unlikely(rc == SX_ENOMEM))
        http1_kill(c);
    else if (last)
        http1_reply_ended(e);
    http1_leave(c);
    return rc == SX_AGAIN ? SX_OK : rc == SX_ENOMEM ? SX_ECLOSED : rc;
}

static sx_status op_write(sx_exchange *x, sx_str piece)
{
    http1_exchange *e = (http1_exchange *)x;
    http1_conn *c = e->conn;
    if (!c)
        return SX_ECLOSED;
    http1_enter(c);
    sx_status rc;
    if (e->chunked_reply && !x->upgraded) {
        static const char HEX[] = "0123456789abcdef";
        char head[CHUNK_HEAD_BYTES];
        char *at = head + sizeof(head);
        *--at = '\n';
        *--at = '\r';
        for (size_t left = piece.len; left; left >>= 4)
            *--at = HEX[left & 15];
        sx_stream_write(c->stream, sx_str_of(at, (size_t)(head + sizeof(head) - at)));
        sx_stream_write(c->stream, piece);
        rc = sx_stream_write(c->stream, SX_STR("\r\n"));
    } else {
        rc = sx_stream_write(c->stream, piece);
    }
    c->output_full |= rc == SX_AGAIN;
    http1_leave(c);
    return rc;
}

static void op_end(sx_exchange *x)
{
    http1_exchange *e = (http1_exchange *)x;
    http1_conn *c = e->conn;
    if (!c)
        return;
    http1_enter(c);
    if (x->upgraded) {
        e->body_over = true;
        http1_reply_ended(e);
        http1_close(c, false);
    } else {
        if (e->chunked_reply && !x->head_only) {
            sx_stream_write(c->stream, SX_STR("0\r\n"));
            sx_stream_write(c->stream, sx_buf_view(&x->trailers));
            sx_stream_write(c->stream, SX_STR("\r\n"));
        }
        http1_reply_ended(e);
    }
    http1_leave(c);
}

static void op_abort(sx_exchange *x)
{
    http1_exchange *e = (http1_exchange *)x;
    if (!e->conn)
        return;
    http1_conn *c = e->conn;
    http1_enter(c);
    http1_kill(c);
    http1_leave(c);
}

static sx_status op_interim(sx_exchange *x, int status)
{
    http1_exchange *e = (http1_exchange *)x;
    http1_conn *c = e->conn;
    if (!c)
        return SX_ECLOSED;
    http1_enter(c);
    char line[HEAD_ROOM_BYTES];
    char *at = put_status(line, status);
    sx_stream_write(c->stream, sx_str_of(line, (size_t)(at - line)));
    sx_stream_write(c->stream, sx_buf_view(&x->reply_fields));
    sx_status rc = sx_stream_write(c->stream, SX_STR("\r\n"));
    if (status == 100)
        e->expects_continue = false;
    http1_leave(c);
    return rc == SX_AGAIN ? SX_OK : rc;
}

static sx_status op_upgrade(sx_exchange *x, sx_str protocol)
{
    http1_exchange *e = (http1_exchange *)x;
    http1_conn *c = e->conn;
    if (!c)
        return SX_ECLOSED;
    /* Only to one that was asked for, and not with a body in between: RFC 9110, section 7.8. */
    if (e->upgrade.len == 0 || !x->body_done)
        return SX_EINVAL;
    http1_enter(c);
    sx_stream_write(c->stream,
                    SX_STR("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: "));
    sx_stream_write(c->stream, protocol);
    sx_stream_write(c->stream, SX_STR("\r\n"));
    sx_stream_write(c->stream, sx_buf_view(&x->reply_fields));
    sx_status rc = sx_stream_write(c->stream, SX_STR("\r\n"));
    x->request.status = 101;
    x->state = SX_EXCHANGE_BEGUN;
    x->upgraded = true;
    x->head_only = false;
    x->body_done = false;
    x->body_asked = x->events && x->events->body;
    x->reply_bytes_left = -1;
    c->state = HTTP1_RAW;
    c->closes = true;
    if (x->body_asked)
        sx_stream_resume(c->stream);
    http1_leave(c);
    return rc == SX_AGAIN ? SX_OK : rc;
}

static void op_body_wanted(sx_exchange *x)
{
    http1_exchange *e = (http1_exchange *)x;
    http1_conn *c = e->conn;
    if (!c)
        return;
    http1_enter(c);
    if (e->expects_continue && x->state == SX_EXCHANGE_HEAD) {
        e->expects_continue = false;
        sx_stream_write(c->stream, SX_STR("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    if (c->state == HTTP1_BODY)
        http1_expect_within(c, c->server->options.limits.body_ms_max);
    if (!x->paused)
        sx_stream_resume(c->stream);
    http1_leave(c);
}

static void op_pause(sx_exchange *x)
{
    http1_conn *c = ((http1_exchange *)x)->conn;
    if (!c || (c->state != HTTP1_BODY && c->state != HTTP1_RAW))
        return;
    http1_expect_within(c, 0); /* it is not the client who is slow */
    sx_stream_pause(c->stream);
}

static void op_resume(sx_exchange *x)
{
    http1_conn *c = ((http1_exchange *)x)->conn;
    if (!c || (c->state != HTTP1_BODY && c->state != HTTP1_RAW))
        return;
    if (c->state == HTTP1_BODY)
        http1_expect_within(c, c->server->options.limits.body_ms_max);
    sx_stream_resume(c->stream);
}

static void op_free(sx_exchange *x)
{
    enum { SPARE_MOST = 64 };
    http1_exchange *e = (http1_exchange *)x;
    sx_http_server *server = x->server;
    if (e->head_kept.data)
        sx_buf_done(&e->head_kept);
    if (server->freed || server->http1_free_count == SPARE_MOST) {
        sx_exchange_fini(x);
        sx_free(e);
        return;
    }
    sx_list_push_front(&server->http1_free, &e->link);
    server->http1_free_count++;
}

const sx_exchange_ops http1_ops = {
    .begin = op_begin,
    .write = op_write,
    .end = op_end,
    .abort = op_abort,
    .interim = op_interim,
    .upgrade = op_upgrade,
    .body_wanted = op_body_wanted,
    .pause = op_pause,
    .resume = op_resume,
    .free = op_free,
};

/* http_client_http1.c - calls over HTTP/1.1: one at a time on a connection, and the strict parser of
 * responses.
 *
 * The parser refuses what RFC 9112 lets a client refuse: a response whose end two readers could see
 * in different places (two lengths, a length beside chunks, folded lines, bare CR or LF) would
 * poison the next call on the connection. */
#include "net/http_client_internal.h"

#include <stdio.h>

enum { CHUNK_EXTRA_BYTES_MAX = 8192 };

/* Where a connection stands in its response. */
enum { STATE_HEAD, STATE_LENGTH, STATE_CHUNKS, STATE_UNTIL_CLOSE };

/* ---- the parser ---- */

static sx_status bad_head(sx_error *err, const char *what, sx_str where)
{
    return sx_fail(err, SX_EPROTOCOL, "bad HTTP/1.1 response: %s in '%.*s'", what,
                   SX_ARG(sx_str_first(where, 60)));
}

/* "HTTP/1.1 200 OK"; the reason and its space may be missing, as many servers do it. */
static sx_status parse_status_line(sx_str line, http1_response *out, sx_error *err)
{
    const char *p = line.data;
    bool is_http = line.len >= 12 && memcmp(p, "HTTP/1.", 7) == 0 && (p[7] == '0' || p[7] == '1') &&
                   p[8] == ' ' && (line.len == 12 || p[12] == ' ');
    uint64_t status;
    if (!is_http || !sx_str_to_u64(sx_str_of(p + 9, 3), &status) || status < 100 || status > 599)
        return bad_head(err, "no status line", line);
    for (size_t i = 12; i < line.len; i++) {
        if (!(http1_byte_kind[(uint8_t)p[i]] & HTTP1_FIELD))
            return bad_head(err, "a control byte in the status line", line);
    }
    out->status = (int)status;
    out->version = p[7] == '1' ? 11 : 10;
    out->keep_alive = p[7] == '1';
    return SX_OK;
}

static sx_status parse_field(sx_str line, sx_str *name, sx_str *value, sx_error *err)
{
    if (!sx_str_cut(line, ':', name, value) || name->len == 0)
        return bad_head(err, "no name of a header field", line);
    *value = sx_str_trim(*value);
    for (size_t i = 0; i < name->len; i++) {
        if (!(http1_byte_kind[(uint8_t)name->data[i]] & HTTP1_TOKEN))
            return bad_head(err, "a bad name of a header field", line);
    }
    for (size_t i = 0; i < value->len; i++) {
        if (!(http1_byte_kind[(uint8_t)value->data[i]] & HTTP1_FIELD))
            return bad_head(err, "a control byte in a header field", line);
    }
    return SX_OK;
}

/* Whether a comma-separated list holds the token. */
static bool list_has(sx_str list, sx_str token)
{
    sx_str member;
    while (list.len) {
        sx_str_cut(list, ',', &member, &list);
        if (sx_str_ieq(sx_str_trim(member), token))
            return true;
    }
    return false;
}

/* What the fields say of the message's end, gathered line by line. */
typedef struct framing {
    bool has_length, has_coding, is_chunked;
    uint64_t length;
} framing;

static sx_status note_framing(framing *f, sx_str name, sx_str value, http1_response *out,
                              sx_error *err)
{
    if (sx_str_ieq(name, SX_STR("content-length"))) {
        uint64_t length;
        if (!sx_str_to_u64(value, &length))
            return bad_head(err, "a bad Content-Length", value);
        if (f->has_length && length != f->length)
            return bad_head(err, "two different lengths", value);
        f->has_length = true;
        f->length = length;
    } else if (sx_str_ieq(name, SX_STR("transfer-encoding"))) {
        if (f->has_coding || !sx_str_ieq(value, SX_STR("chunked")))
            return bad_head(err, "a transfer coding other than chunked", value);
        f->has_coding = f->is_chunked = true;
    } else if (sx_str_ieq(name, SX_STR("connection"))) {
        if (list_has(value, SX_STR("close")))
            out->keep_alive = false;
        else if (list_has(value, SX_STR("keep-alive")))
            out->keep_alive = true;
    }
    return SX_OK;
}

/* RFC 9112, section 6.3. */
static sx_status set_framing(const sx_call *call, const framing *f, http1_response *out,
                             sx_error *err)
{
    if (f->has_length && f->has_coding)
        return bad_head(err, "both a length and chunks", SX_STR("Content-Length"));
    if (f->has_coding && out->version == 10)
        return bad_head(err, "chunks from HTTP/1.0", SX_STR("Transfer-Encoding"));
    bool has_none = call->is_head || out->status < 200 || out->status == 204 || out->status == 304;
    out->chunked = f->is_chunked && !has_none;
    out->body_bytes = f->has_length && !has_none ? f->length : 0;
    out->until_close = !has_none && !f->has_length && !f->is_chunked;
    if (out->until_close)
        out->keep_alive = false;
    return SX_OK;
}

sx_status http1_response_parse(sx_call *call, sx_str head, http1_response *out, sx_error *err)
{
    framing f = {0};
    *out = (http1_response){0};
    size_t end = sx_str_find(head, SX_STR("\r\n"));
    sx_status st = parse_status_line(sx_str_first(head, end), out, err);
    sx_str rest = sx_str_from(head, end + 2);
    while (st == SX_OK && rest.len > 2) {
        sx_str name, value;
        end = sx_str_find(rest, SX_STR("\r\n"));
        sx_str line = sx_str_first(rest, end);
        rest = sx_str_from(rest, end + 2);
        st = parse_field(line, &name, &value, err);
        if (st == SX_OK)
            st = note_framing(&f, name, value, out, err);
        if (st == SX_OK && out->status >= 200) {
            st = call_add_field(call, name, value, false);
            if (st != SX_OK)
                sx_fail(err, st, "the header fields of a response do not fit");
        }
    }
    return st == SX_OK ? set_framing(call, &f, out, err) : st;
}

/* ---- the request out ---- */

/* Moves streamed bytes to the socket, in chunks unless a length was declared. */
static void http1_output(sx_call *call)
{
    client_conn *conn = call->conn;
    if (conn->dead || call->sent)
        return;
    sx_stream_cork(conn->stream);
    size_t n = call_pending(call);
    bool is_chunked = call->declared_bytes < 0;
    if (n && !conn->blocked) {
        char size[24];
        if (is_chunked)
            sx_stream_write(conn->stream,
                            sx_str_of(size, (size_t)snprintf(size, sizeof(size), "%zx\r\n", n)));
        sx_status st = sx_stream_write(conn->stream, sx_str_of(call->out.data + call->out_at, n));
        if (is_chunked)
            st = sx_stream_write(conn->stream, SX_STR("\r\n"));
        conn->blocked = st == SX_AGAIN;
        call_consume(call, n);
    }
    if (call->body_ended && call_pending(call) == 0) {
        if (is_chunked)
            sx_stream_write(conn->stream, SX_STR("0\r\n\r\n"));
        call_sent(call);
    }
    sx_stream_uncork(conn->stream);
}

static void http1_start(client_conn *conn, sx_call *call)
{
    sx_error err;
    sx_buf head;
    conn->call = call;
    conn->state = STATE_HEAD;
    conn->blocked = false;
    sx_buf_clear(&conn->head);
    sx_buf_init(&head, 0);
    call_write_head(call, &head);
    if (head.failed) {
        sx_buf_done(&head);
        sx_fail_memory(&err, "a request's head");
        call_fail_later(call, SX_ENOMEM, &err);
        return;
    }
    sx_stream_cork(conn->stream);
    sx_stream_write(conn->stream, sx_buf_view(&head));
    sx_buf_done(&head);
    if (call->stream_body) {
        http1_output(call);
    } else {
        sx_stream_write(conn->stream, call->body);
        call_sent(call);
    }
    sx_stream_uncork(conn->stream);
}

static void on_drained(sx_stream *s, void *ctx)
{
    client_conn *conn = ctx;
    sx_call *call = conn->call;
    sx_http_client *client = conn->origin->client;
    (void)s;
    conn->blocked = false;
    if (!call)
        return;
    client_enter(client);
    http1_output(call);
    call_writable(call);
    client_leave(client);
}

/* ---- the response in ---- */

/* The response is whole: the connection goes back to the pool, the call is told. In this order, so
 * that a next call from within `done` finds the connection. Bytes behind the response belong to no
 * call: such a connection is never used again. */
static void complete(client_conn *conn, sx_str rest)
{
    sx_call *call = conn->call;
    bool reusable = conn->keep_alive && call->sent && rest.len == 0;
    conn->call = NULL;
    call->conn = NULL;
    conn_release(conn, reusable);
    call_succeed(call);
}

/* The response makes no sense, or the connection ended within it. */
static void broken(client_conn *conn, sx_status status, const sx_error *err)
{
    sx_call *call = conn->call;
    client_origin *o = conn->origin;
    conn->call = NULL;
    conn_die(conn);
    if (call)
        call_lost(call, status, err, false);
    origin_dispatch(o);
}

/* The head is whole in conn->head. */
static void take_head(client_conn *conn)
{
    sx_call *call = conn->call;
    http1_response r;
    sx_error err;
    sx_status st = http1_response_parse(call, sx_buf_view(&conn->head), &r, &err);
    sx_buf_clear(&conn->head);
    if (st == SX_OK && r.status == 101)
        st = bad_head(&err, "an upgrade that nobody asked for", SX_STR("101"));
    if (st != SX_OK) {
        broken(conn, st, &err);
        return;
    }
    if (r.status < 200)
        return; /* informational: the real one follows */
    conn->keep_alive = r.keep_alive;
    conn->body_left = r.body_bytes;
    conn->chunks = (http1_chunks){0};
    conn->state = r.chunked ? STATE_CHUNKS : r.until_close ? STATE_UNTIL_CLOSE : STATE_LENGTH;
    call_head(call, r.status, r.version);
}

/* Gathers the head: takes from `piece` up to the empty line, returns the rest. */
static sx_str read_head(client_conn *conn, sx_str piece)
{
    sx_error err;
    sx_buf *head = &conn->head;
    size_t before = head->len;
    sx_str part = sx_str_first(piece, head->len_max - before);
    conn->call->answered = true;
    sx_buf_str(head, part);
    size_t from = before < 3 ? 0 : before - 3;
    sx_str text = sx_str_from(sx_buf_view(head), from);
    size_t end = sx_str_find(text, SX_STR("\r\n\r\n"));
    if (head->failed) {
        broken(conn, sx_fail_memory(&err, "the head of a response"), &err);
    } else if (end < text.len) {
        head->len = from + end + 4;
        piece = sx_str_from(piece, head->len - before);
        take_head(conn);
        return piece;
    } else if (head->len == head->len_max) {
        broken(conn,
               sx_fail(&err, SX_ELIMIT, "the head of a response is larger than %zu bytes",
                       head->len_max),
               &err);
    }
    return sx_str_from(piece, piece.len);
}

static sx_str read_length(client_conn *conn, sx_str piece)
{
    sx_str mine =
        sx_str_first(piece, conn->body_left < piece.len ? (size_t)conn->body_left : piece.len);
    conn->body_left -= mine.len;
    call_body(conn->call, mine);
    return sx_str_from(piece, mine.len);
}

static sx_str read_chunks(client_conn *conn, sx_str piece)
{
    sx_error err;
    sx_str data;
    sx_status st = http1_chunks_read(&conn->chunks, CHUNK_EXTRA_BYTES_MAX, &piece, &data);
    if (st == SX_OK) {
        call_body(conn->call, data);
    } else if (st == SX_END) {
        complete(conn, piece);
    } else if (st == SX_EFORMAT) {
        sx_fail(&err, SX_EPROTOCOL, "bad chunks in a response: %s", conn->chunks.why);
        broken(conn, SX_EPROTOCOL, &err);
    }
    return piece;
}

static void on_data(sx_stream *s, void *ctx, sx_str piece)
{
    client_conn *conn = ctx;
    client_origin *o = conn->origin;
    sx_http_client *client = o->client;
    client_enter(client);
    while (piece.len && !conn->dead && conn->call) {
        if (conn->call->paused) {
            sx_stream_pause(s);
            if (sx_stream_unread(s, piece) != SX_OK) {
                sx_error err;
                sx_fail_memory(&err, "a piece of a response");
                broken(conn, SX_ENOMEM, &err);
            }
            piece.len = 0;
        } else if (conn->state == STATE_HEAD) {
            piece = read_head(conn, piece);
        } else if (conn->state == STATE_LENGTH) {
            piece = read_length(conn, piece);
        } else if (conn->state == STATE_CHUNKS) {
            piece = read_chunks(conn, piece);
        } else {
            call_body(conn->call, piece);
            piece.len = 0;
        }
        if (conn->call && conn->state == STATE_LENGTH && conn->body_left == 0)
            complete(conn, piece);
    }
    if (piece.len && !conn->dead) { /* bytes that belong to no call: never reuse it */
        conn_die(conn);
        origin_dispatch(o);
    }
    client_leave(client);
}

/* The connection is over; for a body that lasts until then, that is its end. */
static void over(client_conn *conn, bool is_clean, sx_status why, const sx_error *err)
{
    sx_http_client *client = conn->origin->client;
    client_enter(client);
    if (conn->call && conn->state == STATE_UNTIL_CLOSE && is_clean)
        complete(conn, SX_STR(""));
    else if (!conn->dead)
        broken(conn, why, err);
    client_leave(client);
}

static void on_ended(sx_stream *s, void *ctx)
{
    client_conn *conn = ctx;
    sx_error err;
    (void)s;
    sx_fail(&err, SX_ECLOSED, "the peer closed the connection %s",
            conn->call && conn->call->answered ? "within its response" : "without a response");
    over(conn, true, SX_ECLOSED, &err);
}

static void on_closed(sx_stream *s, void *ctx, sx_status why, const sx_error *err)
{
    client_conn *conn = ctx;
    (void)s;
    conn->stream = NULL;
    over(conn, false, why, err);
}

static const sx_stream_events EVENTS = {
    .data = on_data, .ended = on_ended, .drained = on_drained, .closed = on_closed};

static void http1_resume(sx_call *call)
{
    if (call->conn->stream)
        sx_stream_resume(call->conn->stream);
}

/* An answer that nobody waits for any more would be taken for the next call's. */
static void http1_forget(sx_call *call)
{
    client_conn *conn = call->conn;
    client_origin *o = conn->origin;
    if (conn->call != call)
        return;
    conn->call = NULL;
    if (conn->stream)
        sx_stream_reset(conn->stream); /* so that the server stops working for nobody */
    conn->stream = NULL;
    conn_die(conn);
    origin_dispatch(o);
}

static void http1_close(client_conn *conn)
{
    (void)conn;
}

static const client_conn_ops OPS = {
    .start = http1_start,
    .output = http1_output,
    .resume = http1_resume,
    .forget = http1_forget,
    .close = http1_close,
};

void http1_conn_init(client_conn *conn)
{
    conn->ops = &OPS;
    sx_stream_events_set(conn->stream, &EVENTS, conn);
}

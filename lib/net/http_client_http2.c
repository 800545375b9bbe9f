/* http_client_http2.c - calls over HTTP/2: many at a time on one connection, on nghttp2.
 *
 * As in the server, nghttp2 is never re-entered from its callbacks: what makes output marks the
 * connection, and the outermost leave sends. A call's window opens only for what its application has
 * taken, so a paused call stops its server and no other call. */
#include "net/http_client_internal.h"

#include <sextant/mem.h>

enum { OUTBOUND_ACKS_MAX = 256, CONTINUATIONS_MAX = 16 };

static sx_http_client *client_of(const client_conn *conn)
{
    return conn->origin->client;
}

static sx_call *call_of(nghttp2_session *session, int32_t id)
{
    return id ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

/* ---- the end of calls and of the connection ---- */

/* The call and the connection know each other no more. */
static void part(client_conn *conn, sx_call *call)
{
    if (call->stream_id)
        nghttp2_session_set_stream_user_data(conn->session, call->stream_id, NULL);
    if (call->held.len)
        nghttp2_session_consume_connection(conn->session, call->held.len);
    sx_buf_done(&call->held);
    sx_list_remove(&call->line);
    if (--conn->call_count == 0 && !conn->dead)
        sx_timer_start(client_timers(client_of(conn)), &conn->idle_timer,
                       client_of(conn)->options.idle_ms_max);
}

/* The connection is over for all its calls. */
static void broken(client_conn *conn, sx_status status, const sx_error *err)
{
    client_origin *o = conn->origin;
    if (conn->dead)
        return;
    conn_die(conn);
    while (!sx_list_empty(&conn->calls)) {
        sx_call *call = SX_CONTAINER_OF(conn->calls.next, sx_call, line);
        part(conn, call);
        call_lost(call, status, err, false);
    }
    origin_dispatch(o);
}

/* nghttp2 has closed the stream of a call. */
static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    client_conn *conn = ctx;
    sx_call *call = call_of(session, id);
    sx_error err;
    if (!call)
        return 0;
    if (call->remote_ended && call->held.len)
        return 0; /* complete, but its application is paused: http2_resume ends it */
    part(conn, call);
    if (call->remote_ended && call->head_told) {
        call->conn = NULL;
        call_succeed(call);
    } else {
        sx_fail(&err, SX_ECLOSED, "%.*s reset the call's stream: %s", SX_ARG(call->authority),
                nghttp2_http2_strerror(code));
        call_lost(call,
                  code == NGHTTP2_NO_ERROR || code == NGHTTP2_REFUSED_STREAM ? SX_ECLOSED
                                                                             : SX_EPROTOCOL,
                  &err, code == NGHTTP2_REFUSED_STREAM);
    }
    return conn->dead ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* ---- output ---- */

static void on_blocked_write(client_conn *conn, sx_status st)
{
    if (st != SX_OK)
        conn->blocked = true; /* until `drained`, or for ever when `closed` is to come */
}

static void send_frames(client_conn *conn)
{
    sx_error err;
    sx_stream_cork(conn->stream);
    sx_stream *stream = conn->stream;
    conn->output_due = false;
    while (!conn->dead && !conn->blocked) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(conn->session, &bytes);
        if (n == 0)
            break;
        if (n < 0) {
            broken(conn, sx_fail(&err, SX_ENOMEM, "HTTP/2: %s", nghttp2_strerror((int)n)), &err);
            return;
        }
        on_blocked_write(conn, sx_stream_write(stream, sx_str_of(bytes, (size_t)n)));
    }
    if (!conn->dead)
        sx_stream_uncork(stream);
}

/* Sends what is due; called outside of nghttp2's callbacks. */
static void flush(client_conn *conn)
{
    sx_error err;
    while (!conn->dead && conn->output_due && !conn->blocked)
        send_frames(conn);
    if (!conn->dead && !nghttp2_session_want_read(conn->session) &&
        !nghttp2_session_want_write(conn->session))
        broken(conn, sx_fail(&err, SX_ECLOSED, "the server ended the HTTP/2 connection"), &err);
}

/* There is output: it goes in a turn of its own, so that calls started together share a write. */
static void output_later(client_conn *conn)
{
    conn->output_due = true;
    if (!conn->dead && !sx_timer_running(&conn->flush_timer))
        sx_timer_start(client_timers(client_of(conn)), &conn->flush_timer, 0);
}

static void on_flush(sx_timer *timer, void *arg)
{
    client_conn *conn = arg;
    sx_http_client *client = client_of(conn);
    (void)timer;
    client_enter(client);
    flush(conn);
    client_leave(client);
}

/* What of the request's body has not been framed. */
static sx_str unsent(const sx_call *call)
{
    return call->stream_body ? sx_str_from(sx_buf_view(&call->out), call->out_at)
                             : sx_str_from(call->body, call->body_at);
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                         uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    sx_call *call = call_of(session, id);
    (void)source, (void)ctx;
    if (!call)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    sx_str left = unsent(call);
    bool is_whole = !call->stream_body || call->body_ended;
    size_t n = left.len < length ? left.len : length;
    if (n == 0 && !is_whole) {
        call->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n)
        memcpy(buf, left.data, n);
    if (call->stream_body)
        call_consume(call, n);
    else
        call->body_at += n;
    if (is_whole && n == left.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    sx_call *call = call_of(session, frame->hd.stream_id);
    (void)ctx;
    if (call && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        call_sent(call);
    return 0;
}

/* The server's limits left no room, or the stream is refused before it was sent. */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int code,
                             void *ctx)
{
    client_conn *conn = ctx;
    sx_call *call = call_of(session, frame->hd.stream_id);
    sx_error err;
    if (!call || frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    part(conn, call);
    sx_fail(&err, SX_EPROTOCOL, "the request could not be sent: %s", nghttp2_strerror(code));
    call_lost(call, SX_EPROTOCOL, &err, true);
    return conn->dead ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* ---- input ---- */

static int fail_stream(client_conn *conn, sx_call *call, sx_status status, const char *why)
{
    sx_error err;
    sx_fail(&err, status, "the response of %.*s %s", SX_ARG(call->authority), why);
    call_fail(call, status, &err);
    return conn->dead ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *ctx)
{
    client_conn *conn = ctx;
    sx_call *call = call_of(session, frame->hd.stream_id);
    sx_str n = sx_str_of(name, name_len), v = sx_str_of(value, value_len);
    uint64_t status;
    (void)flags;
    if (!call || frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    call->answered = true;
    call->field_bytes += name_len + value_len + 32;
    if (call->field_bytes > client_of(conn)->options.header_bytes_max)
        return fail_stream(conn, call, SX_ELIMIT, "has too large a head");
    if (sx_str_eq(n, SX_STR(":status"))) {
        if (sx_str_to_u64(v, &status)) /* nghttp2 has checked the three digits */
            call->response.status = (int)status;
        return 0;
    }
    if (n.len && n.data[0] == ':')
        return 0;
    sx_status st = call_add_field(call, n, v, call->head_told);
    return st == SX_OK ? 0 : fail_stream(conn, call, st, "has more header fields than we hold");
}

static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_len, const uint8_t *value,
                             size_t value_len, uint8_t flags, void *ctx)
{
    sx_call *call = call_of(session, frame->hd.stream_id);
    (void)name, (void)name_len, (void)value, (void)value_len, (void)flags;
    return call ? fail_stream(ctx, call, SX_EPROTOCOL, "has a malformed header field") : 0;
}

/* A whole HEADERS frame: an interim head, the head, or the trailers. */
static void head_received(client_conn *conn, sx_call *call)
{
    int status = call->response.status;
    (void)conn;
    if (call->head_told)
        return; /* trailers: `done` brings them */
    if (status < 200) {
        call->field_count = 0;
        call->field_bytes = 0;
        return;
    }
    call_head(call, status, 20);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    client_conn *conn = ctx;
    sx_call *call = call_of(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
        conn->streams_max =
            nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
        origin_dispatch(conn->origin);
    } else if (frame->hd.type == NGHTTP2_GOAWAY) {
        /* nghttp2 closes the streams it names as unseen with REFUSED_STREAM: call_lost retries. */
        conn->leaving = true;
    }
    if (call && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
        (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA))
        call->remote_ended = true;
    if (call && frame->hd.type == NGHTTP2_HEADERS)
        head_received(conn, call);
    return conn->dead ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* The server answered all and says that it needs no more of the request: take the answer. */
static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *ctx)
{
    client_conn *conn = ctx;
    sx_call *call = call_of(session, id);
    (void)flags;
    if (!call) {
        nghttp2_session_consume_connection(session, len);
    } else if (call->paused) {
        sx_buf_str(&call->held, sx_str_of(data, len)); /* at most the stream's window */
        if (call->held.failed)
            fail_stream(conn, call, SX_ENOMEM, "does not fit into memory");
    } else {
        nghttp2_session_consume(session, id, len);
        call_body(call, sx_str_of(data, len));
    }
    return conn->dead ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* Streams whose output fell below the low mark while frames were made. */
static void tell_writable(client_conn *conn)
{
    sx_list *link, *after;
    SX_LIST_EACH_SAFE(link, after, &conn->calls)
    {
        sx_call *call = SX_CONTAINER_OF(link, sx_call, line);
        if (!call->wants_writable || call_pending(call) > CLIENT_OUTPUT_LOW)
            continue;
        call_writable(call);
        if (conn->dead)
            return;
        after = conn->calls.next; /* the list may have changed; those told want nothing now */
    }
}

static void on_data(sx_stream *s, void *ctx, sx_str piece)
{
    client_conn *conn = ctx;
    sx_http_client *client = client_of(conn);
    sx_error err;
    (void)s;
    client_enter(client);
    ssize_t n = nghttp2_session_mem_recv(conn->session, (const uint8_t *)piece.data, piece.len);
    if (n < 0 && !conn->dead)
        broken(conn, sx_fail(&err, SX_EPROTOCOL, "HTTP/2: %s", nghttp2_strerror((int)n)), &err);
    conn->output_due = true;
    flush(conn);
    if (!conn->dead)
        tell_writable(conn);
    client_leave(client);
}

static void on_drained(sx_stream *s, void *ctx)
{
    client_conn *conn = ctx;
    sx_http_client *client = client_of(conn);
    (void)s;
    client_enter(client);
    conn->blocked = false;
    conn->output_due = true;
    flush(conn);
    if (!conn->dead)
        tell_writable(conn);
    client_leave(client);
}

static void over(client_conn *conn, sx_status why, const sx_error *err)
{
    sx_http_client *client = client_of(conn);
    client_enter(client);
    broken(conn, why, err);
    client_leave(client);
}

static void on_ended(sx_stream *s, void *ctx)
{
    sx_error err;
    (void)s;
    sx_fail(&err, SX_ECLOSED, "the peer closed the HTTP/2 connection");
    over(ctx, SX_ECLOSED, &err);
}

static void on_closed(sx_stream *s, void *ctx, sx_status why, const sx_error *err)
{
    client_conn *conn = ctx;
    (void)s;
    conn->stream = NULL;
    over(conn, why, err);
}

static const sx_stream_events EVENTS = {
    .data = on_data, .ended = on_ended, .drained = on_drained, .closed = on_closed};

/* ---- the operations ---- */

bool http2_conn_has_room(const client_conn *conn)
{
    return !conn->dead && !conn->leaving && conn->call_count < conn->streams_max &&
           nghttp2_session_check_request_allowed(conn->session);
}

static void http2_start(client_conn *conn, sx_call *call)
{
    sx_error err;
    size_t count;
    nghttp2_data_provider source = {.read_callback = read_body};
    bool has_body = call->stream_body || call->body.len;
    nghttp2_nv *fields = call_http2_fields(call, &count);
    int32_t id = fields ? nghttp2_submit_request(conn->session, NULL, fields, count,
                                                 has_body ? &source : NULL, call)
                        : NGHTTP2_ERR_NOMEM;
    sx_list_push_back(&conn->calls, &call->line);
    conn->call_count++;
    if (id < 0) {
        call->stream_id = 0;
        sx_fail(&err, SX_ENOMEM, "the request could not be made: %s", nghttp2_strerror(id));
        call_fail_later(call, SX_ENOMEM, &err);
        return;
    }
    call->stream_id = id;
    output_later(conn);
}

static void http2_output(sx_call *call)
{
    if (call->deferred) {
        call->deferred = false;
        nghttp2_session_resume_data(call->conn->session, call->stream_id);
    }
    output_later(call->conn);
}

/* Delivers what was held. It runs in the application's call, as `body` may for any piece. */
static void http2_resume(sx_call *call)
{
    client_conn *conn = call->conn;
    if (call->held.len) {
        sx_buf piece = call->held;
        sx_buf_init(&call->held, 0);
        nghttp2_session_consume(conn->session, call->stream_id, piece.len);
        bool goes_on = call_body(call, sx_buf_view(&piece));
        sx_buf_done(&piece);
        if (!goes_on || call->paused)
            return;
        /* Its stream may have closed meanwhile: then nobody else ends it. */
        if (call->remote_ended &&
            !nghttp2_session_get_stream_user_data(conn->session, call->stream_id)) {
            part(conn, call);
            call->conn = NULL;
            call_succeed(call);
        }
    }
    output_later(conn);
}

static void http2_forget(sx_call *call)
{
    client_conn *conn = call->conn;
    if (conn->dead || sx_list_empty(&call->line))
        return;
    if (call->stream_id)
        nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, call->stream_id,
                                  NGHTTP2_CANCEL);
    part(conn, call);
    output_later(conn);
}

static void http2_close(client_conn *conn)
{
    nghttp2_session_del(conn->session);
}

static const client_conn_ops OPS = {
    .start = http2_start,
    .output = http2_output,
    .resume = http2_resume,
    .forget = http2_forget,
    .close = http2_close,
};

static void set_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
}

static int make_session(client_conn *conn)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int rv = nghttp2_session_callbacks_new(&callbacks);
    if (rv == 0)
        rv = nghttp2_option_new(&option);
    if (rv == 0) {
        set_callbacks(callbacks);
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_peer_max_concurrent_streams(option, CLIENT_STREAMS_MAX);
        nghttp2_option_set_max_outbound_ack(option, OUTBOUND_ACKS_MAX);
        nghttp2_option_set_max_continuations(option, CONTINUATIONS_MAX);
        nghttp2_option_set_max_reserved_remote_streams(option, 0); /* no push, from the start */
        rv = nghttp2_session_client_new3(&conn->session, callbacks, conn, option, sx_http2_mem());
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return rv;
}

sx_status http2_conn_init(client_conn *conn, sx_error *err)
{
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, CLIENT_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, client_of(conn)->options.header_bytes_max},
    };
    conn->ops = &OPS;
    conn->streams_max = CLIENT_STREAMS_MAX;
    conn->flush_timer = (sx_timer){.fn = on_flush, .arg = conn};
    sx_stream_events_set(conn->stream, &EVENTS, conn);
    int rv = make_session(conn);
    if (rv == 0)
        rv = nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, entries,
                                     SX_COUNT_OF(entries));
    if (rv == 0)
        rv = nghttp2_session_set_local_window_size(conn->session, NGHTTP2_FLAG_NONE, 0,
                                                   CLIENT_CONNECTION_WINDOW);
    if (rv != 0)
        return sx_fail(err, SX_ENOMEM, "an HTTP/2 session: %s", nghttp2_strerror(rv));
    output_later(conn);
    return SX_OK;
}

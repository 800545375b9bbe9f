/* http2_reply.c - the reply of a stream: its head, its body as the windows and the socket take it, its
 * trailers (http2_server.h has the life of a stream).
 *
 * Nothing here may send within nghttp2's callbacks, so every operation only tells nghttp2 what to do
 * and marks the connection; http2_leave sends. */
#include "net/http2_server.h"

#include <stdio.h>

enum { FIELDS_ON_STACK = 40 };

static http2_stream *stream_of(sx_exchange *x)
{
    return SX_CONTAINER_OF(x, http2_stream, x);
}

static size_t pending(const http2_stream *s)
{
    return s->out.len - s->out_at + s->fixed.len;
}

static sx_timers *timers_of(const http2_stream *s)
{
    return sx_loop_timers(s->conn->server->loop);
}

static const sx_http_limits *limits_of(const http2_stream *s)
{
    return &s->conn->server->options.limits;
}

/* ---- the reply out ---- */

/* Fills `fields` with what is common to all final replies; returns how many. */
static size_t common_fields(http2_stream *s, int status, char digits[3], nghttp2_nv *fields)
{
    sx_http_server *server = s->conn->server;
    size_t n = 0;
    digits[0] = (char)('0' + status / 100 % 10);
    digits[1] = (char)('0' + status / 10 % 10);
    digits[2] = (char)('0' + status % 10);
    fields[n++] = sx_http2_field(SX_STR(":status"), sx_str_of(digits, 3));
    if (status >= 200) {
        if (server->options.server_name)
            fields[n++] = sx_http2_field(SX_STR("server"), sx_str_z(server->options.server_name));
        fields[n++] = sx_http2_field(SX_STR("date"), sx_http_server_date(server));
    }
    return n;
}

/* Room for the reply's fields and `more`: `small` if it suffices, else the arena. */
static nghttp2_nv *room_for_fields(http2_stream *s, sx_str text, size_t more, nghttp2_nv *small)
{
    size_t count = more;
    sx_str name, value;
    for (sx_str rest = text; sx_fields_next(&rest, &name, &value);)
        count++;
    if (count <= FIELDS_ON_STACK)
        return small;
    return sx_arena_calloc(&s->x.request.arena, count, sizeof(nghttp2_nv));
}

static size_t add_fields(sx_str text, nghttp2_nv *fields, size_t n)
{
    sx_str name, value;
    while (sx_fields_next(&text, &name, &value))
        fields[n++] = sx_http2_field(name, value);
    return n;
}

/* nghttp2 asks how much of the body it may frame. */
static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                         uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    http2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)buf, (void)source, (void)ctx;
    if (!s)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* was reset; its RST_STREAM is on the way */
    size_t n = pending(s) < length ? pending(s) : length;
    if (n == 0 && !s->reply_ended) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!s->reply_ended || n < pending(s))
        return (ssize_t)n;

    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (s->x.trailers.len) {
        nghttp2_nv small[FIELDS_ON_STACK];
        sx_str text = sx_buf_view(&s->x.trailers);
        nghttp2_nv *fields = room_for_fields(s, text, 0, small);
        if (!fields)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(session, id, fields, add_fields(text, fields, 0)) != 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)n;
}

/* Takes `n` bytes of `out` and then of `fixed` to the socket. */
static sx_status write_pending(http2_stream *s, size_t n)
{
    sx_status st = SX_OK;
    sx_str queued = sx_str_first(sx_str_from(sx_buf_view(&s->out), s->out_at), n);
    if (queued.len) {
        st = sx_stream_write(s->conn->stream, queued);
        s->out_at += queued.len;
        if (s->out_at == s->out.len) {
            sx_buf_clear(&s->out);
            s->out_at = 0;
        } else if (s->out_at >= s->out.len / 2) {
            sx_buf_consume(&s->out, s->out_at);
            s->out_at = 0;
        }
    }
    if (n > queued.len && st != SX_ECLOSED) {
        st = sx_stream_write_fixed(s->conn->stream, sx_str_first(s->fixed, n - queued.len));
        s->fixed = sx_str_from(s->fixed, n - queued.len);
    }
    return st;
}

int http2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                    size_t length, nghttp2_data_source *source, void *ctx)
{
    http2_conn *c = ctx;
    http2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)source;
    if (c->blocked)
        return NGHTTP2_ERR_WOULDBLOCK;
    if (!s) /* reset while its frame waited for the socket */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    sx_status st = sx_stream_write(c->stream, sx_str_of(head, 9));
    if (length && st != SX_ECLOSED)
        st = write_pending(s, length);
    if (st != SX_OK)
        c->blocked = true;

    if (pending(s))
        sx_timer_start(timers_of(s), &s->write_timer, limits_of(s)->write_ms_max);
    else
        sx_timer_stop(timers_of(s), &s->write_timer);
    if (s->x.wants_drained && !s->wants_writable && pending(s) <= limits_of(s)->output_low_bytes) {
        s->wants_writable = true;
        sx_list_push_back(&c->writable, &s->writable_link);
    }
    return 0;
}

void http2_tell_writable(http2_conn *c)
{
    sx_list *link;
    while (!c->dead && (link = sx_list_pop_front(&c->writable))) {
        http2_stream *s = SX_CONTAINER_OF(link, http2_stream, writable_link);
        s->wants_writable = false;
        if (!s->dropped)
            sx_exchange_writable(&s->x);
    }
}

sx_status http2_op_begin(sx_exchange *x, int64_t body_bytes, sx_str body, bool last, bool fixed)
{
    http2_stream *s = stream_of(x);
    http2_conn *c = s->conn;
    nghttp2_nv small[FIELDS_ON_STACK];
    char digits[3], length[24];
    sx_str text = sx_buf_view(&x->reply_fields);
    if (!c || s->closed || s->dropped)
        return SX_ECLOSED;
    nghttp2_nv *fields = room_for_fields(s, text, 5, small);
    if (!fields)
        return SX_ENOMEM;

    int status = x->request.status;
    size_t n = common_fields(s, status, digits, fields);
    if (x->reply_type.len)
        fields[n++] = sx_http2_field(SX_STR("content-type"), x->reply_type);
    /* 304 may tell the length of what it does not send, but not a wrong one: RFC 9110, 8.6. */
    if (body_bytes >= 0 && status != 204 && (status != 304 || body_bytes > 0)) {
        int len = snprintf(length, sizeof(length), "%lld", (long long)body_bytes);
        fields[n++] = sx_http2_field(SX_STR("content-length"), sx_str_of(length, (size_t)len));
    }
    n = add_fields(text, fields, n);

    if (fixed)
        s->fixed = body;
    else
        sx_buf_str(&s->out, body);
    if (s->out.failed)
        return SX_ENOMEM;
    s->has_source = !x->head_only && (!last || body.len);
    s->reply_ended = last;
    nghttp2_data_provider source = {.read_callback = read_body};
    if (nghttp2_submit_response(c->session, s->id, fields, n, s->has_source ? &source : NULL) != 0)
        return SX_ENOMEM;
    if (pending(s))
        sx_timer_start(timers_of(s), &s->write_timer, limits_of(s)->write_ms_max);
    http2_output(c);
    return SX_OK;
}

/* Tells nghttp2 that there is something to frame again. */
static void wake_source(http2_stream *s)
{
    http2_conn *c = s->conn;
    if (!s->has_source || !s->deferred)
        return;
    s->deferred = false;
    nghttp2_session_resume_data(c->session, s->id);
    http2_output(c);
}

sx_status http2_op_write(sx_exchange *x, sx_str piece)
{
    http2_stream *s = stream_of(x);
    if (!s->conn || s->closed || s->dropped)
        return SX_ECLOSED;
    sx_buf_str(&s->out, piece);
    if (s->out.failed)
        return SX_ENOMEM;
    if (!sx_timer_running(&s->write_timer) && pending(s))
        sx_timer_start(timers_of(s), &s->write_timer, limits_of(s)->write_ms_max);
    wake_source(s);
    return pending(s) > limits_of(s)->output_high_bytes ? SX_AGAIN : SX_OK;
}

void http2_op_end(sx_exchange *x)
{
    http2_stream *s = stream_of(x);
    http2_conn *c = s->conn;
    if (!c || s->dropped)
        return;
    s->reply_ended = true;
    wake_source(s);
    http2_drop_if_done(s); /* a HEAD's reply was complete before the application said so */
}

void http2_op_abort(sx_exchange *x)
{
    http2_stream *s = stream_of(x);
    if (s->conn && !s->dropped)
        http2_stream_reset(s, NGHTTP2_INTERNAL_ERROR);
}

sx_status http2_op_interim(sx_exchange *x, int status)
{
    http2_stream *s = stream_of(x);
    http2_conn *c = s->conn;
    nghttp2_nv small[FIELDS_ON_STACK];
    char digits[3];
    sx_str text = sx_buf_view(&x->reply_fields);
    if (!c || s->closed || s->dropped)
        return SX_ECLOSED;
    nghttp2_nv *fields = room_for_fields(s, text, 1, small);
    if (!fields)
        return SX_ENOMEM;
    size_t n = add_fields(text, fields, common_fields(s, status, digits, fields));
    if (nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, s->id, NULL, fields, n, NULL) != 0)
        return SX_ENOMEM;
    http2_output(c);
    return SX_OK;
}

/* ---- replies of our own, and the end ---- */

void http2_stream_answer(http2_stream *s, int status)
{
    http2_conn *c = s->conn;
    nghttp2_nv fields[4];
    char digits[3];
    size_t n = common_fields(s, status, digits, fields);
    fields[n++] = sx_http2_field(SX_STR("content-length"), SX_STR("0"));
    nghttp2_submit_response(c->session, s->id, fields, n, NULL);
    http2_output(c);
    nghttp2_session_set_stream_user_data(c->session, s->id, NULL);
    s->closed = true; /* to the exchange it is: nghttp2 goes on alone */
    if (s->held.len)
        nghttp2_session_consume_connection(c->session, s->held.len);
    http2_conn_closed_one(c);
    http2_stream_cut(s);
}

void http2_stream_end_written(http2_stream *s)
{
    http2_conn *c = s->conn;
    s->end_written = true;
    sx_timer_stop(timers_of(s), &s->write_timer);
    s->end_at = sx_stream_written_total(c->stream);
    sx_list_push_back(&c->finishing, &s->finish_link);
    if (!s->body_ended && !http2_is_read(s))
        http2_stream_give_up_body(s);
}

void http2_stream_end_sent(http2_stream *s)
{
    s->end_sent = true;
    if (s->dropped)
        return;
    if (s->reply_ended)
        sx_exchange_sent(&s->x);
    http2_drop_if_done(s);
}

/* http2_head.c - a request's head: its fields as nghttp2 decodes them, and what they must be.
 *
 * nghttp2 has checked what RFC 9113, section 8, says of single fields (lower case, pseudo-fields
 * first and once, no connection-specific fields); here are our limits and what concerns several
 * fields at once. A head over a limit is read to its end, because HPACK's state needs it, but no
 * longer stored. */
#include "net/http2_server.h"

#include "net/http1_parser.h"

static void reject(http2_stream *s, int status, const char *why)
{
    if (!s->reject_status) {
        s->reject_status = status;
        s->reject_why = why;
    }
}

static http2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* ---- refused blocks ---- */

static void stop_header_timer(http2_conn *c)
{
    c->block_refused = false;
    sx_timer_stop(sx_loop_timers(c->server->loop), &c->header_timer);
}

/* The stream goes, the connection stays, and with it the wait for the rest of the field block, if
 * frames of it are still to come. nghttp2 only decodes those and says nothing at their end; but no
 * other frame may come between, so the answer to a PING tells that they have come. */
static int refuse_block(http2_conn *c, const nghttp2_frame *frame)
{
    if (frame->hd.flags & NGHTTP2_FLAG_END_HEADERS)
        stop_header_timer(c);
    else if (nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL) == 0)
        c->block_refused = true;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

void http2_head_begin_frame(http2_conn *c)
{
    if (c->block_refused)
        stop_header_timer(c);
}

/* What nghttp2 refuses by itself: fields that contradict each other, or miss. */
int http2_on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
                           void *ctx)
{
    (void)session, (void)error;
    if (frame->hd.type == NGHTTP2_HEADERS)
        refuse_block(ctx, frame);
    return 0;
}

/* ---- nghttp2's callbacks ---- */

int http2_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    http2_conn *c = ctx;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    c->block_refused = false;
    sx_timer_start(sx_loop_timers(c->server->loop), &c->header_timer,
                   c->server->options.limits.header_ms_max);
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;

    /* Streams that nghttp2 has closed but the application still works on count here: a client that
     * resets each request at once must not start more work than one that waits. */
    if (c->stream_count >= 2 * c->server->options.limits.streams_max) {
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                  NGHTTP2_REFUSED_STREAM);
        return refuse_block(c, frame);
    }
    http2_stream *s = http2_stream_new(c, frame->hd.stream_id);
    if (!s)
        return refuse_block(c, frame);
    nghttp2_session_set_stream_user_data(session, s->id, s);
    c->open_count++;
    sx_timer_stop(sx_loop_timers(c->server->loop), &c->idle_timer);
    return 0;
}

/* A field of the pseudo kind: the request line's parts. */
static sx_status take_pseudo(http2_stream *s, sx_str name, sx_str value)
{
    sx_request *r = &s->x.request;
    sx_str kept = sx_arena_copy(&r->arena, value);
    if (!kept.data)
        return SX_ENOMEM;
    if (sx_str_eq(name, SX_STR(":method"))) {
        if (value.len > HTTP1_METHOD_BYTES_MAX)
            reject(s, 400, "the method is longer than 32 bytes");
        r->method = http1_method_of(value);
        r->method_text = kept;
    } else if (sx_str_eq(name, SX_STR(":path"))) {
        if (memchr(value.data, '#', value.len))
            reject(s, 400, "a fragment in the request target");
        r->target = kept;
    } else if (sx_str_eq(name, SX_STR(":authority"))) {
        r->authority = kept;
    } else if (sx_str_eq(name, SX_STR(":scheme"))) {
        r->scheme = kept;
    }
    return SX_OK;
}

static sx_status take_field(http2_stream *s, sx_str name, sx_str value)
{
    sx_request *r = &s->x.request;
    sx_header field = {sx_arena_copy(&r->arena, name), sx_arena_copy(&r->arena, value)};
    if (!field.name.data || !field.value.data ||
        !sx_arena_grow(&r->arena, &s->fields, &s->field_cap, s->field_count + 1, sizeof(field)))
        return SX_ENOMEM;
    s->fields[s->field_count++] = field;

    if (sx_str_eq(name, SX_STR("cookie"))) {
        s->cookie_count++;
    } else if (sx_str_eq(name, SX_STR("host"))) {
        if (s->host.data && !sx_str_eq(s->host, field.value))
            reject(s, 400, "two different Host fields");
        s->host = field.value;
    } else if (sx_str_eq(name, SX_STR("content-length"))) {
        uint64_t length; /* nghttp2 has checked that it is one number, and will count the body */
        if (!sx_str_to_u64(value, &length) || length > INT64_MAX)
            reject(s, 400, "bad Content-Length");
        else
            r->content_bytes = (int64_t)length;
    } else if (sx_str_eq(name, SX_STR("expect"))) {
        s->expects_continue = sx_str_ieq(value, SX_STR("100-continue"));
    }
    return SX_OK;
}

int http2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                    size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                    void *ctx)
{
    http2_conn *c = ctx;
    const sx_http_limits *limits = &c->server->options.limits;
    (void)flags;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* trailers of a request: nobody asks for them */
    http2_stream *s = stream_of(session, frame->hd.stream_id);
    if (!s)
        return 0;

    s->field_bytes += name_len + value_len + 32;
    if (s->field_count >= limits->header_count_max)
        reject(s, 431, "too many header fields");
    else if (s->field_bytes > limits->header_bytes_max)
        reject(s, 431, "header fields too large");
    if (name_len == 5 && memcmp(name, ":path", 5) == 0 && value_len > limits->target_bytes_max)
        reject(s, 414, "request target too long");
    if (s->reject_status)
        return 0;

    sx_str n = sx_str_of(name, name_len), v = sx_str_of(value, value_len);
    sx_status st = n.len && n.data[0] == ':' ? take_pseudo(s, n, v) : take_field(s, n, v);
    return st == SX_OK ? 0 : refuse_block(c, frame);
}

int http2_on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                            const uint8_t *name, size_t name_len, const uint8_t *value,
                            size_t value_len, uint8_t flags, void *ctx)
{
    (void)name, (void)name_len, (void)value, (void)value_len, (void)flags;
    /* nghttp2 would drop the field and go on; RFC 9113, section 8.2.1, calls the request malformed. */
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                              NGHTTP2_PROTOCOL_ERROR);
    return refuse_block(ctx, frame);
}

/* Clients may send a cookie in pieces so that HPACK finds them again; a reader wants one field. RFC
 * 9113, section 8.2.3. */
static sx_status join_cookies(http2_stream *s)
{
    size_t bytes = 0, kept = 0;
    sx_header *first = NULL;
    for (size_t i = 0; i < s->field_count; i++) {
        if (sx_str_eq(s->fields[i].name, SX_STR("cookie")))
            bytes += s->fields[i].value.len + 2;
    }
    char *at = sx_arena_alloc(&s->x.request.arena, bytes);
    if (!at)
        return SX_ENOMEM;
    sx_str joined = sx_str_of(at, bytes - 2);
    for (size_t i = 0; i < s->field_count; i++) {
        sx_header field = s->fields[i];
        if (!sx_str_eq(field.name, SX_STR("cookie"))) {
            s->fields[kept++] = field;
            continue;
        }
        if (first)
            at = (char *)memcpy(at, "; ", 2) + 2;
        memcpy(at, field.value.data, field.value.len);
        at += field.value.len;
        if (!first) {
            first = &s->fields[kept++];
            first->name = field.name;
        }
    }
    sx_assert(first != NULL); /* only called with two cookies or more */
    first->value = joined;
    s->field_count = kept;
    return SX_OK;
}

/* Fills the public part of the request from what the fields said, and checks them together. */
static void fill_request(http2_stream *s)
{
    sx_request *r = &s->x.request;
    if (!r->authority.data)
        r->authority = s->host;
    else if (s->host.data && !sx_str_ieq(s->host, r->authority))
        reject(s, 400, ":authority and Host differ");
    if (r->authority.len == 0)
        reject(s, 400, "no authority");
    if (memchr(r->authority.data ? r->authority.data : "", '@', r->authority.len))
        reject(s, 400, "user name in the authority");
    if (s->cookie_count > 1 && !s->reject_status && join_cookies(s) != SX_OK)
        reject(s, 503, "out of memory");

    if (r->method == SX_CONNECT)
        r->target = r->authority;
    sx_str path = r->target;
    sx_assert(path.data || path.len == 0);
    if (sx_str_starts(path, SX_STR("/"))) {
        sx_str_cut(path, '?', &r->path, &r->query);
    } else {
        r->path = SX_STR("/");
    }
    /* What the client calls the scheme is hearsay; whether TLS is under us is a fact. */
    r->scheme = r->peer->tls ? SX_STR("https") : SX_STR("http");
    r->version = 20;
    r->headers = s->fields;
    r->header_count = s->field_count;
    if (s->body_ended)
        r->content_bytes = 0;
}

void http2_head_finish(http2_stream *s)
{
    http2_conn *c = s->conn;
    fill_request(s);
    if (s->reject_status) {
        sx_http_server_reject(c->server, sx_stream_peer(c->stream), s->reject_status,
                              s->reject_why);
        http2_stream_answer(s, s->reject_status);
        return;
    }
    uint32_t requests_max = c->server->options.limits.requests_max;
    c->request_count++;
    if (requests_max && c->request_count >= requests_max && !c->draining)
        c->base.ops->drain(&c->base);
    s->x.body_done = s->body_ended;
    sx_exchange_start(&s->x);
}

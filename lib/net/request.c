/* request.c - http.h's calls on a request and its reply, once for all protocols.
 *
 * Here are the states, the checks and the counts; bytes are the protocol's business, reached by
 * sx_exchange_ops. A reply's fields are kept as the lines HTTP/1.1 sends, because that is the
 * protocol of most requests: beginning a reply is then one memcpy. */
#include "net/exchange.h"

#include "net/http1_parser.h"
#include "net/http_server.h"

enum { ARENA_CHUNK_BYTES = 4096, FIELD_BYTES_MAX = 65536, KEPT_BUFFER_BYTES = 4096 };

static const char *const METHOD_NAMES[SX_METHODS] = {
#define X(name) #name,
    SX_METHOD_LIST(X)
#undef X
        "OTHER",
};

const char *sx_method_name(sx_method method)
{
    return (unsigned)method < SX_METHODS ? METHOD_NAMES[method] : "OTHER";
}

/* RFC 9110, section 15, and the IANA registry of status codes. */
static const char *const REASONS_1XX[] = {"Continue", "Switching Protocols", "Processing",
                                          "Early Hints"};
static const char *const REASONS_2XX[] = {"OK",
                                          "Created",
                                          "Accepted",
                                          "Non-Authoritative Information",
                                          "No Content",
                                          "Reset Content",
                                          "Partial Content",
                                          "Multi-Status",
                                          "Already Reported"};
static const char *const REASONS_3XX[] = {
    "Multiple Choices",  "Moved Permanently", "Found", "See Other",
    "Not Modified",      "Use Proxy",         NULL,    "Temporary Redirect",
    "Permanent Redirect"};
static const char *const REASONS_4XX[] = {
    "Bad Request",
    "Unauthorized",
    "Payment Required",
    "Forbidden",
    "Not Found",
    "Method Not Allowed",
    "Not Acceptable",
    "Proxy Authentication Required",
    "Request Timeout",
    "Conflict",
    "Gone",
    "Length Required",
    "Precondition Failed",
    "Content Too Large",
    "URI Too Long",
    "Unsupported Media Type",
    "Range Not Satisfiable",
    "Expectation Failed",
    NULL,
    NULL,
    NULL,
    "Misdirected Request",
    "Unprocessable Content",
    "Locked",
    "Failed Dependency",
    "Too Early",
    "Upgrade Required",
    NULL,
    "Precondition Required",
    "Too Many Requests",
    NULL,
    "Request Header Fields Too Large",
};
static const char *const REASONS_5XX[] = {
    "Internal Server Error",
    "Not Implemented",
    "Bad Gateway",
    "Service Unavailable",
    "Gateway Timeout",
    "HTTP Version Not Supported",
    "Variant Also Negotiates",
    "Insufficient Storage",
    "Loop Detected",
    NULL,
    NULL,
    "Network Authentication Required",
};

const char *sx_http_reason(int status)
{
    static const struct {
        const char *const *texts;
        int count;
    } CLASSES[] = {
        {REASONS_1XX, SX_COUNT_OF(REASONS_1XX)}, {REASONS_2XX, SX_COUNT_OF(REASONS_2XX)},
        {REASONS_3XX, SX_COUNT_OF(REASONS_3XX)}, {REASONS_4XX, SX_COUNT_OF(REASONS_4XX)},
        {REASONS_5XX, SX_COUNT_OF(REASONS_5XX)},
    };
    if (status < 100 || status > 599)
        return "Unknown";
    int at = status % 100;
    const char *text =
        at < CLASSES[status / 100 - 1].count ? CLASSES[status / 100 - 1].texts[at] : NULL;
    if (status == 451)
        text = "Unavailable For Legal Reasons";
    return text ? text : "Unknown";
}

/* ---- life ---- */

void sx_exchange_init(sx_exchange *x, const sx_exchange_ops *ops, sx_http_server *server,
                      size_t arena_bytes_max)
{
    *x = (sx_exchange){.ops = ops, .server = server, .holds = 1, .reply_bytes_left = -1};
    x->request.loop = server->loop;
    sx_arena_init(&x->request.arena, ARENA_CHUNK_BYTES, arena_bytes_max);
    sx_buf_init(&x->reply_fields, FIELD_BYTES_MAX);
    sx_buf_init(&x->trailers, FIELD_BYTES_MAX);
}

void sx_exchange_fini(sx_exchange *x)
{
    sx_arena_done(&x->request.arena);
    sx_buf_done(&x->reply_fields);
    sx_buf_done(&x->trailers);
    sx_buf_done(&x->gathered);
}

/* Keeps a buffer's memory for the next request unless it grew large. */
static void recycle_buffer(sx_buf *b)
{
    if (b->cap > KEPT_BUFFER_BYTES)
        sx_buf_done(b);
    else
        sx_buf_clear(b);
}

void sx_exchange_reset(sx_exchange *x)
{
    sx_arena arena = x->request.arena;
    if (arena.chunks) /* most requests never touch it */
        sx_arena_reset(&arena);
    x->request = (sx_request){.loop = x->server->loop, .arena = arena};
    recycle_buffer(&x->reply_fields);
    recycle_buffer(&x->trailers);
    if (x->gathered.data)
        sx_buf_done(&x->gathered);
    x->state = SX_EXCHANGE_HEAD;
    x->holds = 1;
    x->body_done = x->body_asked = x->paused = x->started = x->done_told = false;
    x->needs_client = x->is_answered_soon = false;
    x->wants_drained = x->upgraded = x->head_only = x->has_date = x->has_server = false;
    x->coded = x->code_failed = false;
    x->reply_type = sx_str_of(NULL, 0);
    x->reply_bytes_left = -1;
    x->events = NULL;
    x->events_ctx = NULL;
    x->gather_then = NULL;
    x->gather_ctx = NULL;
    x->gather_max = 0;
}

void sx_request_hold(sx_request *r)
{
    sx_exchange_of(r)->holds++;
}

void sx_request_release(sx_request *r)
{
    sx_exchange *x = sx_exchange_of(r);
    sx_assert(x->holds > 0);
    if (--x->holds > 0)
        return;
    sx_http_server *server = x->server;
    bool was_started = x->started;
    x->ops->free(x);
    if (was_started) {
        server->counts.requests_open--;
        sx_http_server_let_go(server);
    }
}

void sx_exchange_drop(sx_exchange *x)
{
    sx_request_release(&x->request);
}

void sx_exchange_start(sx_exchange *x)
{
    sx_http_server *server = x->server;
    x->started = true;
    x->head_only = x->request.method == SX_HEAD;
    x->request.start_mono_ns = sx_clock_mono_ns(sx_loop_clock(server->loop));
    server->counts.requests++;
    server->counts.requests_open++;
    x->holds++; /* the handler may reply, and that may be the end of it */
    server->options.handler(&x->request, server->options.ctx);
    sx_request_release(&x->request);
}

/* Around what is the program's own: http.h, sx_http_server_options. */
static const void *enter(sx_exchange *x)
{
    const sx_http_server_options *o = &x->server->options;
    return o->enter ? o->enter(&x->request, o->ctx) : NULL;
}

static void leave(const sx_http_server *server, const void *outer)
{
    if (server->options.leave)
        server->options.leave(outer);
}

static void tell_done(sx_exchange *x)
{
    if (!x->started || x->done_told)
        return;
    x->done_told = true;
    if (x->server->options.done)
        x->server->options.done(&x->request, x->server->options.ctx);
}

void sx_exchange_sent(sx_exchange *x)
{
    x->holds++;
    tell_done(x);
    sx_request_release(&x->request);
}

void sx_exchange_cut(sx_exchange *x)
{
    if (x->state == SX_EXCHANGE_ABORTED)
        return;
    x->holds++;
    /* A reply that had ended for its handler but is not all out yet is cut short, too, but the
     * handler has been told to forget it. */
    bool tells = x->state != SX_EXCHANGE_ENDED || !x->body_done;
    x->request.cut_short = !x->done_told;
    x->state = SX_EXCHANGE_ABORTED;
    const sx_request_events *events = x->events;
    x->events = NULL;
    x->gather_then = NULL;
    if (tells && events && events->aborted) {
        const void *outer = enter(x);
        events->aborted(&x->request, x->events_ctx);
        leave(x->server, outer);
    }
    tell_done(x);
    sx_request_release(&x->request);
}

bool sx_exchange_is_for_nobody(const sx_exchange *x)
{
    if (x->needs_client || x->state != SX_EXCHANGE_HEAD)
        return x->needs_client; /* of a reply that has begun, writing tells */
    if (x->events && x->events->aborted)
        return !x->is_answered_soon;
    /* The hold is the connection's own: nobody else may keep the pointer, so nobody can reply. */
    return x->holds == 1 && !x->gather_then;
}

/* ---- reading ---- */

sx_str sx_request_header(const sx_request *r, sx_str name)
{
    for (size_t i = 0; i < r->header_count; i++) {
        if (r->headers[i].name.len == name.len && sx_str_ieq(r->headers[i].name, name))
            return r->headers[i].value;
    }
    return sx_str_of(NULL, 0);
}

static void want_body(sx_exchange *x)
{
    if (x->body_asked || x->body_done || x->state == SX_EXCHANGE_ABORTED)
        return;
    x->body_asked = true;
    x->ops->body_wanted(x);
}

void sx_request_needs_client(sx_request *r)
{
    sx_exchange_of(r)->needs_client = true;
}

void sx_request_events_set(sx_request *r, const sx_request_events *events, void *ctx)
{
    sx_exchange *x = sx_exchange_of(r);
    if (x->state == SX_EXCHANGE_ABORTED)
        return;
    x->events = events;
    x->events_ctx = ctx;
    if (events && events->body)
        want_body(x);
}

/* The body is all there: `then` may reply, and x be gone after. */
static void finish_gathering(sx_exchange *x)
{
    sx_handler *then = x->gather_then;
    x->gather_then = NULL;
    const sx_http_server *server = x->server;
    x->request.body = sx_buf_view(&x->gathered);
    const void *outer = enter(x);
    then(&x->request, x->gather_ctx);
    leave(server, outer);
}

void sx_request_read_body(sx_request *r, size_t bytes_max, sx_handler *then, void *ctx)
{
    sx_exchange *x = sx_exchange_of(r);
    if (x->state == SX_EXCHANGE_ABORTED)
        return;
    if (r->content_bytes > 0 && (uint64_t)r->content_bytes > bytes_max) {
        sx_reply(r, 413, SX_STR("text/plain"), SX_STR("the request's body is too large\n"));
        return;
    }
    sx_buf_init(&x->gathered, 0);
    x->gather_max = bytes_max;
    x->gather_then = then;
    x->gather_ctx = ctx;
    if (x->body_done) {
        finish_gathering(x);
        return;
    }
    want_body(x);
}

static void gather(sx_exchange *x, sx_str piece, bool last)
{
    if (piece.len > x->gather_max - x->gathered.len) {
        x->gather_then = NULL;
        sx_buf_done(&x->gathered);
        sx_reply(&x->request, 413, SX_STR("text/plain"),
                 SX_STR("the request's body is too large\n"));
        return;
    }
    /* A declared length is taken at once, but not on the word of somebody who sends nothing. */
    if (x->gathered.cap == 0 && x->request.content_bytes > 0 && x->request.content_bytes < 65536)
        sx_buf_reserve(&x->gathered, (size_t)x->request.content_bytes);
    sx_buf_str(&x->gathered, piece);
    if (x->gathered.failed) {
        x->gather_then = NULL;
        sx_buf_done(&x->gathered);
        sx_reply(&x->request, 503, SX_STR("text/plain"), SX_STR("out of memory\n"));
        return;
    }
    if (last)
        finish_gathering(x);
}

void sx_exchange_body_in(sx_exchange *x, sx_str piece, bool last)
{
    x->request.received_bytes += piece.len;
    x->server->counts.received_bytes += piece.len;
    if (last)
        x->body_done = true;
    if (x->state == SX_EXCHANGE_ABORTED)
        return;
    x->holds++;
    if (x->gather_then)
        gather(x, piece, last);
    else if (x->events && x->events->body) {
        const void *outer = enter(x);
        x->events->body(&x->request, x->events_ctx, piece, last);
        leave(x->server, outer);
    }
    sx_request_release(&x->request);
}

void sx_exchange_writable(sx_exchange *x)
{
    if (!x->wants_drained || x->state == SX_EXCHANGE_ABORTED)
        return;
    x->wants_drained = false;
    if (!x->events || !x->events->drained)
        return;
    x->holds++;
    const void *outer = enter(x);
    x->events->drained(&x->request, x->events_ctx);
    leave(x->server, outer);
    sx_request_release(&x->request);
}

void sx_request_pause(sx_request *r)
{
    sx_exchange *x = sx_exchange_of(r);
    if (x->paused || x->state == SX_EXCHANGE_ABORTED)
        return;
    x->paused = true;
    x->ops->pause(x);
}

void sx_request_resume(sx_request *r)
{
    sx_exchange *x = sx_exchange_of(r);
    if (!x->paused || x->state == SX_EXCHANGE_ABORTED)
        return;
    x->paused = false;
    x->ops->resume(x);
}

/* ---- reply fields ---- */

/* Fields that frame the message: they are the server's. */
static bool is_reserved(sx_str name)
{
    static const sx_str RESERVED[] = {SX_STR_INIT("connection"), SX_STR_INIT("transfer-encoding"),
                                      SX_STR_INIT("keep-alive"), SX_STR_INIT("upgrade"),
                                      SX_STR_INIT("content-length")};
    for (size_t i = 0; i < SX_COUNT_OF(RESERVED); i++) {
        if (name.len == RESERVED[i].len && sx_str_ieq(name, RESERVED[i]))
            return true;
    }
    return false;
}

static bool is_all(sx_str s, unsigned kind)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!(http1_byte_kind[(uint8_t)s.data[i]] & kind))
            return false;
    }
    return true;
}

static sx_status add_field(sx_buf *fields, sx_str name, sx_str value)
{
    value = sx_str_trim(value);
    if (name.len == 0 || !is_all(name, HTTP1_TOKEN) || !is_all(value, HTTP1_FIELD) ||
        is_reserved(name))
        return SX_EINVAL;
    if (name.len + value.len + 4 > FIELD_BYTES_MAX - fields->len)
        return SX_ELIMIT;
    char *at = sx_buf_reserve(fields, name.len + value.len + 4);
    if (!at) {
        fields->failed = false; /* what is there stays good; this field is reported as lost */
        return SX_ENOMEM;
    }
    memcpy(at, name.data, name.len);
    at[name.len] = ':';
    at[name.len + 1] = ' ';
    if (value.len)
        memcpy(at + name.len + 2, value.data, value.len);
    memcpy(at + name.len + 2 + value.len, "\r\n", 2);
    fields->len += name.len + value.len + 4;
    return SX_OK;
}

sx_status sx_reply_header(sx_request *r, sx_str name, sx_str value)
{
    sx_exchange *x = sx_exchange_of(r);
    if (x->state == SX_EXCHANGE_ABORTED)
        return SX_ECLOSED;
    if (x->state != SX_EXCHANGE_HEAD)
        return SX_EINVAL;
    sx_status rc = add_field(&x->reply_fields, name, value);
    if (rc == SX_OK && name.len == 4 && sx_str_ieq(name, SX_STR("date")))
        x->has_date = true;
    else if (rc == SX_OK && name.len == 6 && sx_str_ieq(name, SX_STR("server")))
        x->has_server = true;
    return rc;
}

sx_status sx_reply_trailer(sx_request *r, sx_str name, sx_str value)
{
    sx_exchange *x = sx_exchange_of(r);
    if (x->state == SX_EXCHANGE_ABORTED)
        return SX_ECLOSED;
    if (x->state != SX_EXCHANGE_BEGUN)
        return SX_EINVAL;
    return add_field(&x->trailers, name, value);
}

bool sx_fields_next(sx_str *rest, sx_str *name, sx_str *value)
{
    if (rest->len == 0)
        return false;
    size_t colon = sx_str_find_byte(*rest, ':');
    *name = sx_str_first(*rest, colon);
    sx_str line = sx_str_from(*rest, colon + 2);
    size_t cr = sx_str_find_byte(line, '\r');
    *value = sx_str_first(line, cr);
    *rest = sx_str_from(line, cr + 2);
    return true;
}

/* ---- replying ---- */

/* A status without a body, whatever the handler gives. RFC 9110, section 6.4.1. */
static bool has_no_body(int status)
{
    return status == 204 || status == 304 || status < 200;
}

static void whole_reply(sx_request *r, int status, sx_str content_type, sx_str body, bool is_fixed)
{
    sx_exchange *x = sx_exchange_of(r);
    if (x->state != SX_EXCHANGE_HEAD)
        return;
    sx_assert(status >= 200 && status <= 599);
    const sx_http_server_options *o = &x->server->options;
    if (!body.data)
        body = SX_STR(""); /* without data it would be a streamed one to the coder */
    if (o->coder && o->coder->begin(r, o->ctx, status, content_type, (int64_t)body.len, &body))
        is_fixed = false;
    int64_t body_bytes = (int64_t)body.len;
    if (sx_unlikely(has_no_body(status))) {
        body_bytes = status == 304 ? (int64_t)body.len : 0;
        body = sx_str_of(NULL, 0);
        x->head_only = true;
    } else if (x->head_only) {
        body = sx_str_of(NULL, 0);
    }
    r->status = status;
    r->sent_bytes = body.len;
    x->server->counts.sent_bytes += body.len;
    x->reply_type = content_type;
    x->reply_bytes_left = 0;
    x->state = SX_EXCHANGE_ENDED;
    x->gather_then = NULL;
    x->ops->begin(x, body_bytes, body, true, is_fixed); /* a client that has gone is told by cut */
}

void sx_reply(sx_request *r, int status, sx_str content_type, sx_str body)
{
    whole_reply(r, status, content_type, body, false);
}

void sx_reply_static(sx_request *r, int status, sx_str content_type, sx_str body)
{
    whole_reply(r, status, content_type, body, true);
}

sx_status sx_reply_begin(sx_request *r, int status, sx_str content_type, int64_t body_bytes)
{
    sx_exchange *x = sx_exchange_of(r);
    if (x->state != SX_EXCHANGE_HEAD)
        return x->state == SX_EXCHANGE_ABORTED ? SX_ECLOSED : SX_EINVAL;
    sx_assert(status >= 200 && status <= 599 && body_bytes >= SX_LENGTH_UNKNOWN);
    if (has_no_body(status)) {
        x->head_only = true;
        body_bytes = body_bytes < 0 || status == 204 ? 0 : body_bytes;
    }
    const sx_http_server_options *o = &x->server->options;
    sx_str none = {NULL, 0};
    x->reply_bytes_left = body_bytes; /* what the handler promised, however it is sent */
    if (o->coder && o->coder->begin(r, o->ctx, status, content_type, body_bytes, &none)) {
        x->coded = !x->head_only;
        body_bytes = SX_LENGTH_UNKNOWN;
    }
    r->status = status;
    x->reply_type = content_type;
    x->state = SX_EXCHANGE_BEGUN;
    return x->ops->begin(x, body_bytes, sx_str_of(NULL, 0), false, false);
}

/* `piece` (or with `last` what ends them) in the coder's form. */
static bool code_piece(sx_exchange *x, sx_str *piece, bool last)
{
    const sx_http_server_options *o = &x->server->options;
    sx_str out = {NULL, 0};
    x->code_failed |= o->coder->piece(&x->request, o->ctx, *piece, last, &out) != SX_OK;
    *piece = out;
    return !x->code_failed;
}

sx_status sx_reply_write(sx_request *r, sx_str piece)
{
    sx_exchange *x = sx_exchange_of(r);
    if (x->state != SX_EXCHANGE_BEGUN)
        return x->state == SX_EXCHANGE_ABORTED ? SX_ECLOSED : SX_EINVAL;
    if (piece.len == 0)
        return SX_OK;
    if (x->head_only && !x->upgraded)
        return SX_OK;
    if (x->reply_bytes_left >= 0) {
        if (piece.len > (uint64_t)x->reply_bytes_left)
            return SX_EINVAL;
        x->reply_bytes_left -= (int64_t)piece.len;
    }
    if (sx_unlikely(x->coded)) {
        if (x->code_failed || !code_piece(x, &piece, false))
            return SX_ECLOSED; /* without memory; sx_reply_end tells the client */
        if (piece.len == 0)
            return SX_OK;
    }
    sx_status rc = x->ops->write(x, piece);
    if (rc == SX_ECLOSED)
        return rc;
    r->sent_bytes += piece.len;
    x->server->counts.sent_bytes += piece.len;
    x->wants_drained = rc == SX_AGAIN;
    return rc;
}

/* Sends what the coder kept; whether the reply is still to be ended. */
static bool end_coded(sx_exchange *x)
{
    sx_str rest = {NULL, 0};
    if (x->code_failed || !code_piece(x, &rest, true)) {
        sx_reply_abort(&x->request);
        return false;
    }
    if (rest.len > 0 && x->ops->write(x, rest) != SX_ECLOSED) {
        x->request.sent_bytes += rest.len;
        x->server->counts.sent_bytes += rest.len;
    }
    return x->state == SX_EXCHANGE_BEGUN;
}

void sx_reply_end(sx_request *r)
{
    sx_exchange *x = sx_exchange_of(r);
    if (x->state != SX_EXCHANGE_BEGUN)
        return;
    if (x->reply_bytes_left > 0 && !x->head_only) {
        sx_reply_abort(r); /* shorter than promised: the client has to notice */
        return;
    }
    x->holds++; /* the write below may find that the client has gone */
    if (sx_likely(!x->coded || end_coded(x))) {
        x->state = SX_EXCHANGE_ENDED;
        x->gather_then = NULL;
        x->ops->end(x);
    }
    sx_request_release(r);
}

void sx_reply_abort(sx_request *r)
{
    sx_exchange *x = sx_exchange_of(r);
    if (x->state == SX_EXCHANGE_ENDED || x->state == SX_EXCHANGE_ABORTED)
        return;
    x->events = NULL; /* whoever gives up knows it */
    x->gather_then = NULL;
    x->holds++;
    x->ops->abort(x);
    sx_request_release(r);
}

sx_status sx_reply_interim(sx_request *r, int status)
{
    sx_exchange *x = sx_exchange_of(r);
    if (x->state != SX_EXCHANGE_HEAD)
        return x->state == SX_EXCHANGE_ABORTED ? SX_ECLOSED : SX_EINVAL;
    if (status < 100 || status > 199 || status == 101)
        return SX_EINVAL;
    if (r->version == 10)
        return SX_OK; /* a 1.0 client does not know them: RFC 9110, section 15.2 */
    sx_status rc = x->ops->interim(x, status);
    sx_buf_clear(&x->reply_fields);
    return rc;
}

sx_status sx_reply_upgrade(sx_request *r, sx_str protocol)
{
    sx_exchange *x = sx_exchange_of(r);
    if (x->state != SX_EXCHANGE_HEAD)
        return x->state == SX_EXCHANGE_ABORTED ? SX_ECLOSED : SX_EINVAL;
    if (!x->ops->upgrade)
        return SX_EUNSUPPORTED;
    if (protocol.len == 0 || !is_all(protocol, HTTP1_FIELD))
        return SX_EINVAL;
    return x->ops->upgrade(x, protocol);
}

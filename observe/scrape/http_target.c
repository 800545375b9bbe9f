/* http_target.c - calls of a prom_http: hops, redirects, bodies undone and bounded (http_target.h).
 *
 * The client library makes one exchange; here is what lies around it: the time of the whole call, the
 * credentials of each hop, and the body's compression. All of a call's ends pass through finish(). */
#include "observe/scrape/http_target_internal.h"

static const sx_call_events HOP_EVENTS;

/* ---- ends ---- */

static void call_free(prom_http_call *call)
{
    sx_decoder_free(call->decoder);
    sx_buf_done(&call->content);
    sx_arena_done(&call->arena);
    sx_free(call);
}

/* Gives what the next call can use back to the client. */
static void keep_spares(prom_http_call *call)
{
    prom_http *h = call->http;
    if (call->is_gzip && call->decoder && !h->spare_gzip) {
        h->spare_gzip = call->decoder;
        call->decoder = NULL;
    }
    if (!h->spare_body.data) {
        h->spare_body = call->content;
        sx_buf_clear(&h->spare_body);
        sx_buf_init(&call->content, 0);
    }
}

static void drop_hop(prom_http_call *call)
{
    sx_call *hop = call->hop;
    http_client_share *share = call->share;
    call->hop = NULL;
    call->share = NULL;
    if (hop)
        sx_call_cancel(hop);
    http_share_drop(share);
}

/* The only end of a call. `call` is freed, unless a callback of it is on the stack, which does it. */
static void finish(prom_http_call *call, sx_status status, const sx_error *err)
{
    static const sx_error NONE;
    sx_timers *timers = sx_loop_timers(call->http->loop);
    if (call->ended)
        return;
    call->ended = true;
    sx_error why = err ? *err : NONE;
    sx_timer_stop(timers, &call->total_timer);
    sx_timer_stop(timers, &call->later);
    sx_list_remove(&call->wait);
    prom_http_answer answer = {.result = status,
                               .error = &why,
                               .elapsed_ns = sx_clock_mono_ns(sx_loop_clock(call->http->loop)) -
                                             call->start_ns};
    if (status == SX_OK) {
        answer.status = call->response->status;
        answer.response = call->response;
        answer.content_type = sx_response_header(call->response, SX_STR("content-type"));
        if (!call->piece)
            answer.body = sx_buf_view(&call->content);
    }
    call->busy++;
    if (status != SX_OK) /* else the hop is over, and its response's views are wanted */
        drop_hop(call);
    call->done(call->ctx, &answer);
    if (call->http)
        keep_spares(call);
    sx_list_remove(&call->link);
    if (--call->busy == 0)
        call_free(call);
}

static void on_total(sx_timer *timer, void *arg)
{
    sx_error err;
    (void)timer;
    sx_fail(&err, SX_ETIMEOUT, "context deadline exceeded");
    finish(arg, SX_ETIMEOUT, &err);
}

void prom_http_cancel(prom_http_call *call)
{
    sx_error err;
    sx_fail(&err, SX_ECANCELED, "context canceled");
    finish(call, SX_ECANCELED, &err);
}

/* ---- a hop's request ---- */

/* Fields that must not reach another host than the one they were meant for. */
static bool is_sensitive(sx_str name)
{
    static const sx_str NAMES[] = {SX_STR_INIT("authorization"), SX_STR_INIT("cookie"),
                                   SX_STR_INIT("cookie2"), SX_STR_INIT("www-authenticate"),
                                   SX_STR_INIT("proxy-authorization")};
    for (size_t i = 0; i < SX_COUNT_OF(NAMES); i++) {
        if (sx_str_ieq(name, NAMES[i]))
            return true;
    }
    return false;
}

static sx_status hop_fields(prom_http_call *call, sx_arena *arena, sx_header **out, size_t *count,
                            sx_error *err)
{
    size_t room = call->header_count + http_auth_fields_max(call->http->config) + 1, n = 0;
    sx_header *fields = sx_arena_calloc(arena, room, sizeof(*fields));
    if (!fields)
        return sx_fail_memory(err, "a request's header fields");
    for (size_t i = 0; i < call->header_count; i++) {
        if (!call->is_foreign || !is_sensitive(call->headers[i].name))
            fields[n++] = call->headers[i];
    }
    if (call->accept_gzip)
        fields[n++] = (sx_header){SX_STR("Accept-Encoding"), SX_STR("gzip")};
    sx_status st = SX_OK;
    if (!call->is_foreign)
        st = http_auth_fields(call->http, arena, fields, &n, err);
    *out = fields;
    *count = n;
    return st;
}

/* Sends the request to call->url, or waits for a token to do so. */
static sx_status start_hop(prom_http_call *call, sx_error *err)
{
    sx_status st = SX_OK;
    bool waits = false;
    if (call->http->token && !call->is_foreign)
        st = http_token_await(call->http, call, &waits, err);
    if (st != SX_OK || waits)
        return st;
    sx_arena arena;
    sx_call_request r = {.method = call->method, .url = call->url, .body = call->body};
    sx_header *fields = NULL;
    sx_arena_init(&arena, 0, 0);
    st = hop_fields(call, &arena, &fields, &r.header_count, err);
    r.headers = fields;
    if (st == SX_OK)
        st = http_share_take(call->http, &call->share, err);
    if (st == SX_OK) {
        st = sx_http_call(call->share->client, &r, &HOP_EVENTS, call, &call->hop, err);
        if (st != SX_OK) {
            http_share_drop(call->share);
            call->share = NULL;
        }
    }
    sx_arena_done(&arena);
    return st;
}

static void on_later(sx_timer *timer, void *arg)
{
    prom_http_call *call = arg;
    sx_error err = call->later_error;
    (void)timer;
    sx_status st = err.status;
    if (st == SX_OK)
        st = start_hop(call, &err);
    if (st != SX_OK)
        finish(call, st, &err);
}

void http_call_later(prom_http_call *call, const sx_error *err)
{
    call->later_error = err ? *err : (sx_error){0};
    sx_timer_start(sx_loop_timers(call->http->loop), &call->later, 0);
}

/* ---- a hop's response ---- */

/* Whether the status is a redirect that has somewhere to lead. Statuses as Go's client follows them. */
static bool is_redirect(const sx_response *r)
{
    bool follows = (r->status >= 301 && r->status <= 303) || r->status == 307 || r->status == 308;
    return follows && sx_response_header(r, SX_STR("location")).len > 0;
}

static sx_status open_decoder(prom_http_call *call, const sx_response *r, sx_error *err)
{
    sx_str coding = sx_str_trim(sx_response_header(r, SX_STR("content-encoding")));
    sx_codec codec;
    if (coding.len == 0 || !sx_codec_of_coding(coding, &codec) || codec == SX_CODEC_IDENTITY)
        return SX_OK;
    if (codec == SX_CODEC_SNAPPY || codec == SX_CODEC_SNAPPY_FRAMED || codec == SX_CODEC_BROTLI)
        return SX_OK; /* nobody asked for it here: the caller's own affair */
    prom_http *h = call->http;
    call->is_gzip = codec == SX_CODEC_GZIP;
    if (call->is_gzip && h->spare_gzip) {
        call->decoder = h->spare_gzip;
        h->spare_gzip = NULL;
        return sx_decoder_reset(call->decoder, err);
    }
    call->decoder =
        sx_decoder_new(codec, &(sx_decoder_options){.output_bytes_max = SX_OUTPUT_UNLIMITED}, err);
    return call->decoder ? SX_OK : err->status;
}

static void on_head(sx_call *hop, void *ctx, const sx_response *response)
{
    prom_http_call *call = ctx;
    prom_http *h = call->http;
    sx_error err = {0};
    (void)hop;
    call->response = response;
    call->use = HTTP_BODY_WANTED;
    if (h->config->follow_redirects && is_redirect(response)) {
        call->use = HTTP_BODY_IGNORED;
        call->location = sx_response_header(response, SX_STR("location"));
    } else if (response->status == 401 && h->token && !call->renewed && !call->is_foreign) {
        call->use = HTTP_BODY_IGNORED;
        call->renew = true;
    }
    if (call->use == HTTP_BODY_IGNORED)
        return;
    bool has_body = !sx_str_eq(call->method, SX_STR("HEAD")) && response->status != 204 &&
                    response->status != 304;
    if (has_body && open_decoder(call, response, &err) != SX_OK)
        finish(call, err.status, &err);
}

/* What lies in `content` is new: counts it and hands it on. False: the call has ended. */
static bool deliver(prom_http_call *call, size_t fresh)
{
    sx_error err;
    call->decoded += fresh;
    bool is_over = call->bytes_max
                       ? call->decoded >= call->bytes_max
                       : !call->piece && call->decoded > call->http->limits.decoded_bytes_max;
    if (is_over) {
        sx_fail(&err, SX_ELIMIT, "body size limit exceeded");
        finish(call, SX_ELIMIT, &err);
        return false;
    }
    if (call->piece && call->content.len) {
        call->piece(call->ctx, call->response->status, sx_buf_view(&call->content));
        sx_buf_clear(&call->content);
    }
    return !call->ended;
}

/* Decodes a piece, or (data NULL) what is left at the end. */
static void take(prom_http_call *call, sx_str piece)
{
    sx_error err = {0};
    sx_status st = SX_OK;
    do {
        size_t before = call->content.len;
        if (!call->decoder)
            sx_buf_str(&call->content, piece);
        else if (piece.data)
            st = sx_decoder_feed(call->decoder, &piece, &call->content, HTTP_DECODE_ROOM, &err);
        else
            st = sx_decoder_finish(call->decoder, &call->content, HTTP_DECODE_ROOM, &err);
        if (call->content.failed)
            st = sx_fail_memory(&err, "a response's body");
        if (st != SX_OK && st != SX_AGAIN) {
            finish(call, st, &err);
            return;
        }
        if (!deliver(call, call->content.len - before))
            return;
    } while (st == SX_AGAIN);
}

/* Undoes what `busy` has kept from being freed. */
static void leave(prom_http_call *call)
{
    if (--call->busy == 0 && call->ended)
        call_free(call);
}

static void on_body(sx_call *hop, void *ctx, sx_str piece)
{
    prom_http_call *call = ctx;
    sx_error err;
    call->received += piece.len;
    if (!call->piece && call->received > call->http->limits.body_bytes_max) {
        sx_fail(&err, SX_ELIMIT, "body size limit exceeded");
        finish(call, SX_ELIMIT, &err);
        return;
    }
    (void)hop;
    if (call->use == HTTP_BODY_IGNORED)
        return;
    call->busy++;
    take(call, piece);
    leave(call);
}

/* ---- the next hop ---- */

/* 301, 302 and 303 turn everything but HEAD into GET without a body; 307 and 308 change nothing. */
static void change_method(prom_http_call *call)
{
    int status = call->response->status;
    bool keeps = status == 307 || status == 308 || sx_str_eq(call->method, SX_STR("HEAD")) ||
                 sx_str_eq(call->method, SX_STR("GET"));
    if (keeps)
        return;
    call->method = SX_STR("GET");
    call->body = SX_STR("");
    size_t kept = 0;
    for (size_t i = 0; i < call->header_count; i++) {
        if (!sx_str_ieq(call->headers[i].name, SX_STR("content-type")) &&
            !sx_str_ieq(call->headers[i].name, SX_STR("content-encoding")))
            call->headers[kept++] = call->headers[i];
    }
    call->header_count = kept;
}

static sx_status follow(prom_http_call *call, sx_error *err)
{
    sx_buf url;
    if (++call->redirects > HTTP_REDIRECTS_MAX)
        return sx_fail(err, SX_ELIMIT, "stopped after %d redirects", HTTP_REDIRECTS_MAX);
    sx_buf_init(&url, SX_URL_BYTES_MAX);
    sx_status st = http_location_resolve(call->url, call->location, &url, err);
    if (st == SX_OK) {
        sx_str next = sx_arena_copy(&call->arena, sx_buf_view(&url));
        call->is_foreign |= !http_location_is_same_host(call->url, next);
        call->url = next;
        st = next.data ? SX_OK : sx_fail_memory(err, "a redirect");
    }
    sx_buf_done(&url);
    if (st == SX_OK)
        change_method(call);
    return st;
}

static void on_done(sx_call *hop, void *ctx, sx_status status, const sx_error *err,
                    const sx_header *trailers, size_t trailer_count)
{
    prom_http_call *call = ctx;
    (void)hop, (void)trailers, (void)trailer_count;
    if (call->ended) /* we have canceled it ourselves */
        return;
    call->hop = NULL;
    call->busy++;
    sx_error why = {0};
    if (status != SX_OK) {
        finish(call, status, err);
    } else if (call->location.len || call->renew) {
        sx_status st = SX_OK;
        if (call->renew) {
            http_token_forget(call->http->token);
            call->renewed = true;
            call->renew = false;
        } else {
            st = follow(call, &why);
            call->location = SX_STR("");
        }
        call->received = 0;
        http_client_share *share = call->share;
        call->share = NULL;
        if (st == SX_OK)
            st = start_hop(call, &why);
        if (st != SX_OK)
            finish(call, st, &why);
        http_share_drop(share);
    } else {
        if (call->decoder)
            take(call, sx_str_of(NULL, 0));
        http_client_share *share = call->share;
        call->share = NULL;
        finish(call, SX_OK, NULL);
        http_share_drop(share);
    }
    leave(call);
}

static const sx_call_events HOP_EVENTS = {.head = on_head, .body = on_body, .done = on_done};

/* ---- public ---- */

sx_status prom_http_new(sx_loop *loop, const sx_kit *kit, const prom_http_config *config,
                        const prom_http_limits *limits, prom_http **out, sx_error *err)
{
    prom_http *h = sx_calloc(1, sizeof(*h));
    if (!h)
        return sx_fail_memory(err, "an HTTP client");
    h->loop = loop;
    h->config = config;
    if (limits)
        h->limits = *limits;
    if (h->limits.body_bytes_max == 0)
        h->limits.body_bytes_max = HTTP_BODY_BYTES_MAX;
    if (h->limits.decoded_bytes_max == 0)
        h->limits.decoded_bytes_max = HTTP_DECODED_BYTES_MAX;
    sx_list_init(&h->calls);
    sx_buf_init(&h->spare_body, 0);
    sx_status st = http_share_open(h, err);
    if (st == SX_OK && config->oauth2.set)
        st = http_token_new(h, kit, &h->token, err);
    if (st != SX_OK) {
        prom_http_free(h);
        return st;
    }
    *out = h;
    return SX_OK;
}

void prom_http_free(prom_http *h)
{
    if (!h)
        return;
    while (!sx_list_empty(&h->calls)) {
        prom_http_call *call = SX_CONTAINER_OF(h->calls.next, prom_http_call, link);
        if (!call->ended) {
            prom_http_cancel(call);
            continue;
        }
        sx_list_remove(&call->link); /* we are in its `done` */
        call->http = NULL;
    }
    http_token_free(h->token);
    http_share_drop(h->share);
    sx_decoder_free(h->spare_gzip);
    sx_buf_done(&h->spare_body);
    sx_free(h);
}

/* On a loop that never runs. */
static sx_status check_one(sx_loop *loop, const prom_http_config *config, const char *what,
                           uint32_t i, sx_error *err)
{
    static const sx_kit NO_KIT = {0};
    prom_http *h;
    sx_status st = prom_http_new(loop, &NO_KIT, config, NULL, &h, err);
    if (st != SX_OK)
        return sx_error_prefix(err, st, "%s[%u]", what, (unsigned)i);
    prom_http_free(h);
    return SX_OK;
}

sx_status prom_http_check_all(const prom_config *c, sx_error *err)
{
    sx_loop *loop;
    sx_status st = sx_loop_new(NULL, 0, &loop, err);
    if (st != SX_OK)
        return st;
    for (uint32_t i = 0; i < c->alertmanager_count && st == SX_OK; i++)
        st = check_one(loop, &c->alertmanagers[i].http, "alertmanagers", i, err);
    for (uint32_t i = 0; i < c->remote_write_count && st == SX_OK; i++)
        st = check_one(loop, &c->remote_writes[i].http, "remote_write", i, err);
    for (uint32_t i = 0; i < c->remote_read_count && st == SX_OK; i++)
        st = check_one(loop, &c->remote_reads[i].http, "remote_read", i, err);
    sx_loop_free(loop);
    return st;
}

static sx_status take_request(prom_http_call *call, const prom_http_request *r, sx_error *err)
{
    call->method = sx_arena_copy(&call->arena, r->method.len ? r->method : SX_STR("GET"));
    call->url = sx_arena_copy(&call->arena, r->url);
    call->body = sx_arena_copy(&call->arena, r->body);
    call->headers = sx_arena_calloc(&call->arena, r->header_count + 1, sizeof(sx_header));
    if (!call->method.data || !call->url.data || !call->body.data || !call->headers)
        return sx_fail_memory(err, "a request");
    for (size_t i = 0; i < r->header_count; i++) {
        sx_header *to = &call->headers[call->header_count++];
        to->name = sx_arena_copy(&call->arena, r->headers[i].name);
        to->value = sx_arena_copy(&call->arena, r->headers[i].value);
        if (!to->name.data || !to->value.data)
            return sx_fail_memory(err, "a request");
    }
    return SX_OK;
}

sx_status prom_http_send(prom_http *h, const prom_http_request *request, prom_http_done *done,
                         void *ctx, prom_http_call **out, sx_error *err)
{
    sx_error own;
    prom_http_call *call = sx_calloc(1, sizeof(*call));
    err = err ? err : &own;
    if (!call)
        return sx_fail_memory(err, "a request");
    call->http = h;
    call->done = done;
    call->ctx = ctx;
    call->piece = request->piece;
    call->accept_gzip = request->accept_gzip;
    call->bytes_max = request->body_bytes_max;
    call->start_ns = sx_clock_mono_ns(sx_loop_clock(h->loop));
    call->total_timer = (sx_timer){.fn = on_total, .arg = call};
    call->later = (sx_timer){.fn = on_later, .arg = call};
    sx_list_init(&call->link);
    sx_list_init(&call->wait);
    sx_arena_init(&call->arena, 1024, 0);
    call->content = h->spare_body;
    sx_buf_init(&h->spare_body, 0);
    sx_status st = take_request(call, request, err);
    if (st == SX_OK)
        st = start_hop(call, err);
    if (st != SX_OK) {
        call_free(call);
        return st;
    }
    sx_list_push_back(&h->calls, &call->link);
    if (request->timeout_ms > 0)
        sx_timer_start(sx_loop_timers(h->loop), &call->total_timer, request->timeout_ms);
    if (out)
        *out = call;
    return SX_OK;
}

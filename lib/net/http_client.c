/* http_client.c - the client's public calls, and a call's life (http_client_internal.h).
 *
 * A call ends in call_succeed or call_fail and nowhere else; both tell `done` and put the call on
 * the list of the dead, which the outermost client_leave frees. */
#include "net/http_client_internal.h"

#include <sextant/mem.h>

#include "base/build.h"

enum { TRAILER_COUNT_MAX = 64, FIELD_COUNT_MAX = 512 };

sx_timers *client_timers(const sx_http_client *client)
{
    return sx_loop_timers(client->loop);
}

/* ---- brackets ---- */

static void call_free(sx_call *call)
{
    sx_list_remove(&call->link);
    if (call->origin)
        origin_unuse(call->origin);
    sx_buf_done(&call->out);
    sx_buf_done(&call->held);
    sx_arena_done(&call->arena);
    sx_free(call);
}

static void client_destroy(sx_http_client *client)
{
    size_t cursor = 0;
    sx_map_entry *entry;
    while ((entry = sx_map_next(&client->origins, &cursor)))
        origin_free(entry->ptr);
    sx_list *link;
    while ((link = sx_list_pop_front(&client->dead_conns)))
        conn_free(SX_CONTAINER_OF(link, client_conn, link));
    sx_map_done(&client->origins);
    sx_dns_free(client->dns);
    if (client->tls)
        sx_tls_unref(client->tls);
    sx_arena_done(&client->arena);
    if (client->observer && client->observer->closed)
        client->observer->closed(client->observer->ctx);
    sx_free(client);
}

void client_enter(sx_http_client *client)
{
    client->depth++;
}

void client_leave(sx_http_client *client)
{
    if (client->depth == 1) {
        sx_list *link;
        while ((link = sx_list_pop_front(&client->dead_conns)))
            conn_free(SX_CONTAINER_OF(link, client_conn, link));
        while ((link = sx_list_pop_front(&client->dead_calls)))
            call_free(SX_CONTAINER_OF(link, sx_call, link));
        if (client->observer && client->observer->counts)
            client->observer->counts(client->observer->ctx, &client->counts);
    }
    if (--client->depth == 0 && client->closing)
        client_destroy(client);
}

/* ---- a call's end ---- */

static void stop_timers(sx_call *call)
{
    sx_timers *timers = client_timers(call->client);
    sx_timer_stop(timers, &call->response_timer);
    sx_timer_stop(timers, &call->total_timer);
    sx_timer_stop(timers, &call->later);
}

/* Takes the call out of whatever line it stands in. */
static void leave_line(sx_call *call)
{
    if (!call->conn && !sx_list_empty(&call->line)) {
        call->origin->waiting_count--;
        call->client->counts.waiting--;
    }
    sx_list_remove(&call->line);
}

static void finish(sx_call *call, sx_status status, const sx_error *err)
{
    sx_http_client *client = call->client;
    static const sx_error NO_ERROR;
    if (call->done_told)
        return;
    call->done_told = true;
    stop_timers(call);
    client_enter(client);
    if (call->conn) {
        client_conn *conn = call->conn;
        if (status != SX_OK)
            conn->ops->forget(call);
        call->conn = NULL;
    } else {
        leave_line(call);
    }
    if (status != SX_OK)
        client->counts.failed++;
    sx_list_remove(&call->link);
    sx_list_push_back(&client->dead_calls, &call->link);
    err = err ? err : &NO_ERROR;
    if (call->observed)
        call_observe_done(call, status, err);
    if (call->events->done) {
        const void *entered = call_observe_enter(call);
        call->events->done(call, call->ctx, status, err, call->trailers, call->trailer_count);
        call_observe_leave(call, entered);
    }
    client_leave(client);
}

void call_succeed(sx_call *call)
{
    finish(call, SX_OK, NULL);
}

void call_fail(sx_call *call, sx_status status, const sx_error *err)
{
    finish(call, status, err);
}

void call_fail_later(sx_call *call, sx_status status, const sx_error *err)
{
    call->fail_status = status;
    if (err)
        call->fail_error = *err;
    sx_timer_start(client_timers(call->client), &call->later, 0);
}

static void on_later(sx_timer *timer, void *arg)
{
    sx_call *call = arg;
    sx_error err = call->fail_error;
    (void)timer;
    call_fail(call, call->fail_status, &err);
}

void call_lost(sx_call *call, sx_status status, const sx_error *err, bool never_seen)
{
    client_origin *origin = call->origin;
    bool is_whole = !call->wrote_stream;
    bool was_reused = call->conn && call->conn->used > 1;
    bool may_retry = is_whole && !call->answered && call->tries < CLIENT_TRIES_MAX &&
                     (never_seen || (was_reused && call->is_idempotent));
    if (!may_retry || call->client->closing) {
        call_fail(call, status, err);
        return;
    }
    /* RFC 9112, section 9.3.1: the server closed an idle connection while our request was on its way.
     * The others of the same age are no better. */
    sx_timer_stop(client_timers(call->client), &call->response_timer);
    sx_list_remove(&call->line);
    call->conn = NULL;
    call->body_at = 0;
    call->sent = call->deferred = false;
    call->stream_id = 0;
    origin_close_idle(origin);
    sx_list_push_front(&origin->waiting, &call->line);
    origin->waiting_count++;
    call->client->counts.waiting++;
    origin_dispatch(origin);
}

/* ---- what the protocols report ---- */

static void on_response_timeout(sx_timer *timer, void *arg)
{
    sx_call *call = arg;
    sx_error err;
    (void)timer;
    sx_fail(&err, SX_ETIMEOUT, "%.*s did not answer within %u ms", SX_ARG(call->authority),
            call->client->options.response_ms_max);
    call_fail(call, SX_ETIMEOUT, &err);
}

static void on_total_timeout(sx_timer *timer, void *arg)
{
    sx_call *call = arg;
    sx_error err;
    (void)timer;
    sx_fail(&err, SX_ETIMEOUT, "the call to %.*s was not complete in its time",
            SX_ARG(call->authority));
    call_fail(call, SX_ETIMEOUT, &err);
}

void call_sent(sx_call *call)
{
    call->sent = true;
    if (!call->head_told && !call->done_told)
        sx_timer_start(client_timers(call->client), &call->response_timer,
                       call->client->options.response_ms_max);
}

sx_status call_add_field(sx_call *call, sx_str name, sx_str value, bool is_trailer)
{
    sx_header field = {sx_arena_copy(&call->arena, name), sx_arena_copy(&call->arena, value)};
    if (!field.name.data || !field.value.data)
        return SX_ENOMEM;
    if (is_trailer) {
        if (call->trailer_count >= TRAILER_COUNT_MAX)
            return SX_ELIMIT;
        if (!sx_arena_grow(&call->arena, &call->trailers, &call->trailer_cap,
                           call->trailer_count + 1, sizeof(field)))
            return SX_ENOMEM;
        call->trailers[call->trailer_count++] = field;
        return SX_OK;
    }
    if (call->field_count >= FIELD_COUNT_MAX)
        return SX_ELIMIT;
    if (!sx_arena_grow(&call->arena, &call->fields, &call->field_cap, call->field_count + 1,
                       sizeof(field)))
        return SX_ENOMEM;
    call->fields[call->field_count++] = field;
    return SX_OK;
}

static bool over_body_limit(sx_call *call, uint64_t bytes)
{
    sx_error err;
    if (bytes <= call->client->options.body_bytes_max)
        return false;
    sx_fail(&err, SX_ELIMIT, "the response of %.*s has more than %llu bytes",
            SX_ARG(call->authority), (unsigned long long)call->client->options.body_bytes_max);
    call_fail(call, SX_ELIMIT, &err);
    return true;
}

bool call_head(sx_call *call, int status, int version)
{
    sx_response *r = &call->response;
    uint64_t length;
    sx_timer_stop(client_timers(call->client), &call->response_timer);
    r->status = status;
    r->version = version;
    r->headers = call->fields;
    r->header_count = call->field_count;
    sx_str text = sx_response_header(r, SX_STR("content-length"));
    r->content_bytes =
        text.data && sx_str_to_u64(text, &length) && length <= INT64_MAX ? (int64_t)length : -1;
    if (!call->is_head && status != 304 && r->content_bytes > 0 &&
        over_body_limit(call, (uint64_t)r->content_bytes))
        return false;
    call->head_told = true;
    if (call->events->head) {
        const void *entered = call_observe_enter(call);
        call->events->head(call, call->ctx, r);
        call_observe_leave(call, entered);
    }
    return !call->done_told;
}

bool call_body(sx_call *call, sx_str piece)
{
    if (piece.len == 0)
        return true;
    call->received += piece.len;
    if (over_body_limit(call, call->received))
        return false;
    if (call->events->body) {
        const void *entered = call_observe_enter(call);
        call->events->body(call, call->ctx, piece);
        call_observe_leave(call, entered);
    }
    return !call->done_told;
}

void call_writable(sx_call *call)
{
    if (!call->wants_writable || call_pending(call) > CLIENT_OUTPUT_LOW || call->done_told)
        return;
    call->wants_writable = false;
    if (call->events->writable) {
        const void *entered = call_observe_enter(call);
        call->events->writable(call, call->ctx);
        call_observe_leave(call, entered);
    }
}

void call_consume(sx_call *call, size_t n)
{
    sx_assert(n <= call_pending(call));
    call->wrote_stream |= n > 0;
    call->out_at += n;
    if (call->out_at == call->out.len) {
        sx_buf_clear(&call->out);
        call->out_at = 0;
    } else if (call->out_at >= call->out.len / 2) {
        sx_buf_consume(&call->out, call->out_at);
        call->out_at = 0;
    }
}

/* ---- public ---- */

static sx_call *call_new(sx_http_client *client, const sx_call_events *events, void *ctx)
{
    sx_call *call = sx_calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->client = client;
    call->events = events;
    call->ctx = ctx;
    sx_arena_init(&call->arena, 0, 0);
    call->response_timer = (sx_timer){.fn = on_response_timeout, .arg = call};
    call->total_timer = (sx_timer){.fn = on_total_timeout, .arg = call};
    call->later = (sx_timer){.fn = on_later, .arg = call};
    sx_list_init(&call->link);
    sx_list_init(&call->line);
    return call;
}

/* Our own context for https, made when first needed. */
static sx_status need_tls(sx_http_client *client, sx_error *err)
{
    if (client->tls)
        return SX_OK;
    sx_tls_client_options options = {.verify = SX_TLS_VERIFY_REQUIRED, .http2 = true};
    return sx_tls_client_new(&options, &client->tls, err);
}

static sx_status start_call(sx_http_client *client, const sx_call_request *request, sx_call *call,
                            sx_error *err)
{
    sx_url url;
    sx_status st = sx_url_parse(request->url, &url, err);
    if (st != SX_OK) {
        if (err)
            err->status = SX_EFORMAT; /* also for an unknown scheme or a length over the limit */
        return SX_EFORMAT;
    }
    if (url.scheme == SX_URL_HTTPS)
        st = need_tls(client, err);
    if (st == SX_OK)
        st = call_take_request(call, request, &url, err);
    if (st == SX_OK && client->observer)
        st = call_observe_start(call, request, &url, err);
    if (st != SX_OK)
        return st;
    client_origin *origin = client_origin_of(client, &url);
    if (!origin)
        return sx_fail_memory(err, "an origin");
    if (origin->waiting_count >= client->options.waiting_max)
        return sx_fail(err, SX_REFUSED, "%u calls to %.*s are waiting already",
                       origin->waiting_count, SX_ARG(call->authority));
    call->origin = origin;
    origin->users++;
    return SX_OK;
}

sx_status sx_http_call(sx_http_client *client, const sx_call_request *request,
                       const sx_call_events *events, void *ctx, sx_call **out, sx_error *err)
{
    if (client->closing)
        return sx_fail(err, SX_REFUSED, "the client is being closed");
    sx_call *call = call_new(client, events, ctx);
    if (!call)
        return sx_fail_memory(err, "a call");
    sx_error why = {0};
    sx_status st = start_call(client, request, call, err ? err : &why);
    if (st != SX_OK) {
        call_observe_dropped(call, st, err ? err : &why);
        call_free(call);
        return st;
    }
    sx_list_push_back(&client->calls, &call->link);
    sx_list_push_back(&call->origin->waiting, &call->line);
    call->origin->waiting_count++;
    client->counts.waiting++;
    uint32_t total_ms = client_timeout_ms(client, request->total_ms_max);
    if (total_ms)
        sx_timer_start(client_timers(client), &call->total_timer, total_ms);
    if (out)
        *out = call;
    client_enter(client);
    origin_dispatch(call->origin);
    client_leave(client);
    return SX_OK;
}

sx_status sx_call_write(sx_call *call, sx_str piece)
{
    if (!call->stream_body || call->body_ended ||
        (call->declared_left >= 0 && piece.len > (uint64_t)call->declared_left))
        return SX_EINVAL;
    if (call->done_told)
        return SX_ECLOSED;
    if (piece.len == 0)
        return SX_OK;
    sx_buf_str(&call->out, piece);
    if (call->out.failed) {
        call->out.failed = false; /* what was there stays good */
        return SX_ENOMEM;
    }
    if (call->declared_left >= 0)
        call->declared_left -= (int64_t)piece.len;
    client_enter(call->client);
    if (call->conn)
        call->conn->ops->output(call);
    bool is_full = call_pending(call) > CLIENT_OUTPUT_HIGH;
    call->wants_writable = is_full;
    client_leave(call->client);
    return is_full ? SX_AGAIN : SX_OK;
}

void sx_call_end(sx_call *call)
{
    if (!call->stream_body || call->body_ended || call->done_told)
        return;
    call->body_ended = true;
    if (call->declared_left > 0) {
        sx_error err;
        sx_fail(&err, SX_EINVAL, "the request's body ended %lld bytes before its Content-Length",
                (long long)call->declared_left);
        call_fail_later(call, SX_EINVAL, &err);
        return;
    }
    client_enter(call->client);
    if (call->conn)
        call->conn->ops->output(call);
    client_leave(call->client);
}

void sx_call_pause(sx_call *call)
{
    call->paused = true;
}

void sx_call_resume(sx_call *call)
{
    if (!call->paused || call->done_told)
        return;
    call->paused = false;
    client_enter(call->client);
    if (call->conn)
        call->conn->ops->resume(call);
    client_leave(call->client);
}

void sx_call_cancel(sx_call *call)
{
    sx_error err;
    call->by_caller = true;
    sx_fail(&err, SX_ECANCELED, "the call was canceled");
    call_fail(call, SX_ECANCELED, &err);
}

sx_str sx_response_header(const sx_response *response, sx_str name)
{
    for (size_t i = 0; i < response->header_count; i++) {
        if (sx_str_ieq(response->headers[i].name, name))
            return response->headers[i].value;
    }
    return sx_str_of(NULL, 0);
}

const sx_http_client_counts *sx_http_client_counts_of(const sx_http_client *client)
{
    return &client->counts;
}

static void fill_defaults(sx_http_client_options *o)
{
    const struct {
        uint32_t *field, otherwise;
    } rows[] = {
        {&o->connect_ms_max, 5000}, {&o->response_ms_max, 30000}, {&o->idle_ms_max, 60000},
        {&o->connections_max, 64},  {&o->waiting_max, 1024},      {&o->header_bytes_max, 65536},
    };
    for (size_t i = 0; i < SX_COUNT_OF(rows); i++) {
        if (*rows[i].field == 0)
            *rows[i].field = rows[i].otherwise;
    }
    if (o->body_bytes_max == 0)
        o->body_bytes_max = 64 << 20;
    if (!o->user_agent)
        o->user_agent = "sextant/" SX_VERSION;
}

sx_status sx_http_client_new(sx_loop *loop, const sx_http_client_options *options,
                             sx_http_client **out, sx_error *err)
{
    sx_http_client *client = sx_calloc(1, sizeof(*client));
    if (!client)
        return sx_fail_memory(err, "an HTTP client");
    if (options)
        client->options = *options;
    fill_defaults(&client->options);
    client->loop = loop;
    client->stream_options = (sx_stream_options){.high_bytes = CLIENT_OUTPUT_HIGH,
                                                 .low_bytes = CLIENT_OUTPUT_LOW,
                                                 .connect_ms_max = client->options.connect_ms_max,
                                                 .write_ms_max = 30000,
                                                 .linger_ms_max = 2000};
    sx_arena_init(&client->arena, 1024, 0);
    sx_map_init(&client->origins, NULL);
    sx_list_init(&client->calls);
    sx_list_init(&client->dead_calls);
    sx_list_init(&client->dead_conns);
    if (client->options.tls)
        client->tls = sx_tls_ref(client->options.tls);
    sx_str agent = sx_arena_copy(&client->arena, sx_str_z(client->options.user_agent));
    client->options.user_agent = agent.data;
    sx_status st = agent.data ? client_proxy_init(client, client->options.proxy, err)
                              : sx_fail_memory(err, "an HTTP client");
    if (st != SX_OK) {
        client_destroy(client);
        return st;
    }
    client->observer =
        client->options.observer; /* not before: a client that failed is not closed */
    *out = client;
    return SX_OK;
}

void sx_http_client_free(sx_http_client *client)
{
    if (!client || client->closing)
        return;
    client->closing = true;
    client_enter(client);
    while (!sx_list_empty(&client->calls))
        sx_call_cancel(SX_CONTAINER_OF(client->calls.next, sx_call, link));
    client_leave(client);
}

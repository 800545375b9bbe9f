/* http_client_connect.c - making a connection: name, addresses in turn, proxy's CONNECT, TLS.
 *
 *   name -> attempts, one every CLIENT_STAGGER_MS or as soon as one fails; the first that opens wins
 *        -> [CONNECT host:port to the proxy, 200] -> [TLS] -> origin_connected
 *
 * One timer covers it all (connect_ms_max). RFC 8305 in its light form: both families are tried in
 * turn from one list, without waiting for a second answer from DNS. */
#include "net/http_client_internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/un.h>

#include <sextant/mem.h>

enum { PROXY_ANSWER_BYTES_MAX = 8192 };

/* One address being tried. */
typedef struct attempt {
    client_connect *connect;
    sx_stream *stream; /* NULL: none */
} attempt;

struct client_connect {
    sx_list link; /* origin->connecting */
    client_origin *origin;
    sx_dns_lookup *lookup;
    sx_addresses addresses;
    size_t next; /* address to try */
    attempt attempts[SX_DNS_ADDRESSES_MAX];
    uint32_t attempt_count; /* under way */
    sx_stream *winner;      /* behind a proxy: CONNECT or TLS is under way on it */
    sx_buf answer;          /* the proxy's, until it is whole */
    sx_timer total_timer, stagger_timer, fail_timer;
    sx_status status; /* of the last failure */
    sx_error error;
};

static const sx_stream_events ATTEMPT_EVENTS, PROXY_EVENTS, PROXY_TLS_EVENTS;

client_connect *client_connect_of(sx_list *link)
{
    return SX_CONTAINER_OF(link, client_connect, link);
}

static bool is_tunnelled(const client_origin *o)
{
    return o->proxy && o->scheme == SX_URL_HTTPS;
}

/* Whom the socket goes to: the proxy or the origin. */
static sx_str peer_host(const client_origin *o)
{
    return o->proxy ? o->proxy->url.host : o->host;
}

static uint16_t peer_port(const client_origin *o)
{
    return o->proxy ? o->proxy->url.port : o->port;
}

/* ---- the end ---- */

static void drop_attempts(client_connect *c, const sx_stream *but)
{
    for (size_t i = 0; i < SX_COUNT_OF(c->attempts); i++) {
        if (c->attempts[i].stream && c->attempts[i].stream != but)
            sx_stream_reset(c->attempts[i].stream);
        c->attempts[i].stream = NULL;
    }
    c->attempt_count = 0;
}

void client_connect_cancel(client_connect *c)
{
    sx_timers *timers = client_timers(c->origin->client);
    sx_timer_stop(timers, &c->total_timer);
    sx_timer_stop(timers, &c->stagger_timer);
    sx_timer_stop(timers, &c->fail_timer);
    if (c->lookup)
        sx_dns_cancel(c->lookup);
    drop_attempts(c, NULL);
    if (c->winner)
        sx_stream_reset(c->winner);
    sx_buf_done(&c->answer);
    sx_list_remove(&c->link);
    c->origin->connecting_count--;
    c->origin->open_count--;
    sx_free(c);
}

/* Ends in failure, `c` is freed. Never called from within client_connect_start. */
static void fail(client_connect *c, sx_status status, const sx_error *err)
{
    client_origin *o = c->origin;
    sx_http_client *client = o->client;
    sx_error copy = *err;
    client_enter(client);
    client_connect_cancel(c);
    origin_connect_failed(o, status, &copy);
    client_leave(client);
}

static void on_total_timeout(sx_timer *timer, void *arg)
{
    client_connect *c = arg;
    sx_error err;
    (void)timer;
    sx_fail(&err, SX_ETIMEOUT, "no connection to %.*s port %u within %u ms%s%s",
            SX_ARG(peer_host(c->origin)), peer_port(c->origin),
            c->origin->client->options.connect_ms_max, c->status != SX_OK ? "; before: " : "",
            c->status != SX_OK ? c->error.message : "");
    fail(c, SX_ETIMEOUT, &err);
}

static void on_fail_later(sx_timer *timer, void *arg)
{
    client_connect *c = arg;
    (void)timer;
    fail(c, c->status, &c->error);
}

static void fail_later(client_connect *c)
{
    sx_timer_start(client_timers(c->origin->client), &c->fail_timer, 0);
}

/* The connection is made. */
static void succeed(client_connect *c, sx_stream *stream)
{
    client_origin *o = c->origin;
    sx_http_client *client = o->client;
    bool is_http2 =
        sx_str_eq(sx_stream_alpn(stream), SX_STR("h2")) ||
        (o->scheme != SX_URL_HTTPS && !o->proxy && client->options.http2_prior_knowledge);
    drop_attempts(c, stream);
    c->winner = NULL;
    client_enter(client);
    client_connect_cancel(c);
    origin_connected(o, stream, is_http2 ? CLIENT_HTTP2 : CLIENT_HTTP1);
    client_leave(client);
}

/* ---- addresses in turn ---- */

static sx_status start_attempt(client_connect *c, const struct sockaddr *addr, socklen_t bytes)
{
    client_origin *o = c->origin;
    sx_http_client *client = o->client;
    sx_tls *tls = o->scheme == SX_URL_HTTPS && !o->proxy ? client->tls : NULL;
    attempt *a = &c->attempts[c->next - 1];
    a->connect = c;
    sx_error err;
    sx_status st = sx_stream_connect(client->loop, addr, bytes, tls, o->host,
                                     &client->stream_options, &ATTEMPT_EVENTS, a, &a->stream, &err);
    if (st == SX_OK) {
        c->attempt_count++;
    } else if (c->status == SX_OK) {
        c->status = st;
        c->error = err;
    }
    return st;
}

/* Starts on the next address that lets itself be tried; without one left and none under way, the
 * connection has failed. */
static void try_next(client_connect *c)
{
    while (c->next < c->addresses.count) {
        sx_address *at = &c->addresses.items[c->next++];
        socklen_t bytes = at->any.sa_family == AF_INET6 ? sizeof(at->v6) : sizeof(at->v4);
        if (at->any.sa_family == AF_INET6)
            at->v6.sin6_port = htons(peer_port(c->origin));
        else
            at->v4.sin_port = htons(peer_port(c->origin));
        if (start_attempt(c, &at->any, bytes) == SX_OK) {
            if (c->next < c->addresses.count)
                sx_timer_start(client_timers(c->origin->client), &c->stagger_timer,
                               CLIENT_STAGGER_MS);
            return;
        }
    }
    if (c->attempt_count == 0)
        fail_later(c);
}

static void on_stagger(sx_timer *timer, void *arg)
{
    (void)timer;
    try_next(arg);
}

static void on_resolved(void *ctx, sx_status status, const sx_addresses *addresses,
                        const sx_error *err)
{
    client_connect *c = ctx;
    c->lookup = NULL;
    if (status != SX_OK) {
        fail(c, status, err);
        return;
    }
    size_t first = 0;
    sx_http_client *client = c->origin->client;
    if (client->options.spread_addresses)
        first = client->turn++ % addresses->count;
    c->addresses.count = addresses->count;
    for (size_t i = 0; i < addresses->count; i++)
        c->addresses.items[i] = addresses->items[(first + i) % addresses->count];
    try_next(c);
}

/* ---- the proxy ---- */

static void ask_proxy(client_connect *c)
{
    client_origin *o = c->origin;
    sx_buf text;
    const char *open = sx_str_find_byte(o->host, ':') < o->host.len ? "[" : "";
    sx_buf_init(&text, 0);
    for (int i = 0; i < 2; i++) /* the target, and Host */
        sx_buf_printf(&text, "%s%s%.*s%s:%u%s", i ? "Host: " : "CONNECT ", open, SX_ARG(o->host),
                      *open ? "]" : "", o->port, i ? "\r\n" : " HTTP/1.1\r\n");
    if (o->proxy->authorization.len)
        sx_buf_printf(&text, "Proxy-Authorization: %.*s\r\n", SX_ARG(o->proxy->authorization));
    for (size_t i = 0; i < o->client->options.connect_header_count; i++) {
        const sx_header *h = &o->client->options.connect_headers[i];
        sx_buf_printf(&text, "%.*s: %.*s\r\n", SX_ARG(h->name), SX_ARG(h->value));
    }
    sx_buf_printf(&text, "User-Agent: %s\r\n\r\n", o->client->options.user_agent);
    if (text.failed) {
        c->status = sx_fail_memory(&c->error, "a request to the proxy");
        fail_later(c);
    } else {
        sx_stream_write(c->winner, sx_buf_view(&text));
    }
    sx_buf_done(&text);
}

static void fail_proxy(client_connect *c, sx_status status, const char *what)
{
    sx_error err;
    sx_fail(&err, status, "the proxy %.*s port %u %s for %.*s", SX_ARG(peer_host(c->origin)),
            peer_port(c->origin), what, SX_ARG(c->origin->host));
    fail(c, status, &err);
}

/* The proxy's answer: anything 2xx opens the tunnel. RFC 9110, section 9.3.6. */
static void on_proxy_data(sx_stream *s, void *ctx, sx_str piece)
{
    client_connect *c = ctx;
    sx_buf_str(&c->answer, piece);
    if (c->answer.failed) {
        fail_proxy(c, SX_EPROTOCOL, "sent too long an answer");
        return;
    }
    sx_str text = sx_buf_view(&c->answer);
    size_t end = sx_str_find(text, SX_STR("\r\n\r\n"));
    if (end == text.len)
        return;
    if (text.len < 12 || !sx_str_starts(text, SX_STR("HTTP/1.")) || text.data[9] != '2') {
        char what[64];
        snprintf(what, sizeof(what), "answered '%.*s'",
                 SX_ARG(sx_str_first(sx_str_first(text, sx_str_find_byte(text, '\r')), 40)));
        fail_proxy(c, SX_EPROTOCOL, what);
        return;
    }
    sx_error err;
    sx_stream_events_set(s, &PROXY_TLS_EVENTS, c);
    sx_status st = sx_stream_start_tls(s, c->origin->client->tls, SX_TLS_CLIENT, c->origin->host,
                                       sx_str_from(text, end + 4), &err);
    if (st != SX_OK)
        fail(c, st, &err);
}

static void on_proxy_ended(sx_stream *s, void *ctx)
{
    (void)s;
    fail_proxy(ctx, SX_ECLOSED, "closed the connection");
}

static void on_proxy_closed(sx_stream *s, void *ctx, sx_status why, const sx_error *err)
{
    client_connect *c = ctx;
    (void)s;
    c->winner = NULL;
    fail(c, why, err);
}

static void on_tunnel_open(sx_stream *s, void *ctx)
{
    succeed(ctx, s);
}

/* A TLS stream says nothing before it is open. */
static void on_early_data(sx_stream *s, void *ctx, sx_str piece)
{
    (void)s, (void)ctx, (void)piece;
}

static const sx_stream_events PROXY_EVENTS = {
    .data = on_proxy_data, .ended = on_proxy_ended, .closed = on_proxy_closed};
static const sx_stream_events PROXY_TLS_EVENTS = {.opened = on_tunnel_open,
                                                  .data = on_early_data,
                                                  .ended = on_proxy_ended,
                                                  .closed = on_proxy_closed};

/* ---- attempts' events ---- */

static void on_open(sx_stream *s, void *ctx)
{
    attempt *a = ctx;
    client_connect *c = a->connect;
    if (!is_tunnelled(c->origin)) {
        succeed(c, s);
        return;
    }
    drop_attempts(c, s);
    sx_timer_stop(client_timers(c->origin->client), &c->stagger_timer);
    c->next = c->addresses.count;
    c->winner = s;
    sx_stream_events_set(s, &PROXY_EVENTS, c);
    ask_proxy(c);
}

static void on_attempt_closed(sx_stream *s, void *ctx, sx_status why, const sx_error *err)
{
    attempt *a = ctx;
    client_connect *c = a->connect;
    (void)s;
    a->stream = NULL;
    c->attempt_count--;
    /* The first address's failure says most, unless a later one got as far as TLS. */
    if (c->status == SX_OK || (why == SX_EPROTOCOL && c->status != SX_EPROTOCOL)) {
        c->status = why;
        c->error = *err;
        sx_error_prefix(&c->error, why, "connecting to %.*s port %u", SX_ARG(peer_host(c->origin)),
                        peer_port(c->origin));
    }
    sx_timer_stop(client_timers(c->origin->client), &c->stagger_timer);
    try_next(c);
}

static void on_attempt_ended(sx_stream *s, void *ctx)
{
    sx_error err;
    sx_fail(&err, SX_ECLOSED, "the peer closed the connection");
    on_attempt_closed(s, ctx, SX_ECLOSED, &err);
    sx_stream_reset(s);
}

static const sx_stream_events ATTEMPT_EVENTS = {.opened = on_open,
                                                .data = on_early_data,
                                                .ended = on_attempt_ended,
                                                .closed = on_attempt_closed};

/* ---- the beginning ---- */

static sx_status start_unix(client_connect *c)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    sx_str path = c->origin->host;
    sx_assert(path.len < sizeof(addr.sun_path)); /* sx_url_parse has seen to it */
    memcpy(addr.sun_path, path.data, path.len);
    c->next = 1;
    if (start_attempt(c, (struct sockaddr *)&addr, sizeof(addr)) != SX_OK)
        fail_later(c);
    return SX_OK;
}

sx_status client_connect_start(client_origin *o, sx_error *err)
{
    sx_http_client *client = o->client;
    sx_status st = SX_OK;
    client_connect *c = sx_calloc(1, sizeof(*c));
    if (!c)
        return sx_fail_memory(err, "a connection");
    c->origin = o;
    c->total_timer = (sx_timer){.fn = on_total_timeout, .arg = c};
    c->stagger_timer = (sx_timer){.fn = on_stagger, .arg = c};
    c->fail_timer = (sx_timer){.fn = on_fail_later, .arg = c};
    sx_buf_init(&c->answer, PROXY_ANSWER_BYTES_MAX);
    sx_list_push_back(&o->connecting, &c->link);
    o->connecting_count++;
    o->open_count++;
    sx_timer_start(client_timers(client), &c->total_timer, client->options.connect_ms_max);
    if (o->scheme == SX_URL_UNIX)
        return start_unix(c);
    if (!client->dns)
        st = sx_dns_new(client->loop, NULL, &client->dns, err);
    if (st == SX_OK)
        st = sx_dns_start(client->dns, peer_host(o), on_resolved, c, &c->lookup, err);
    if (st != SX_OK)
        client_connect_cancel(c);
    return st;
}

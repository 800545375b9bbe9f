/* http_client_pool.c - origins and their connections: which connection takes which call.
 *
 * An origin is scheme, host, port and way (straight or by a proxy); calls to http:// origins by one
 * proxy share the proxy's own origin. Calls stand in line; dispatch gives the first to an HTTP/2
 * connection with room, else to the HTTP/1.1 connection used last (the one least likely to have been
 * closed by its peer), and starts as many connections as the rest of the line could use. */
#include "net/http_client_internal.h"

#include <stdio.h>

#include <sextant/mem.h>

enum { KEY_BYTES_MAX = 1024 };

/* ---- origins ---- */

static client_origin *origin_new(sx_http_client *client, sx_str key, const sx_url *url,
                                 client_proxy *proxy)
{
    client_origin *o = sx_calloc(1, sizeof(*o) + key.len + url->host.len);
    if (!o)
        return NULL;
    char *text = (char *)(o + 1);
    memcpy(text, key.data, key.len);
    memcpy(text + key.len, url->host.data, url->host.len);
    o->client = client;
    o->key = sx_str_of(text, key.len);
    o->host = sx_str_of(text + key.len, url->host.len);
    o->scheme = url->scheme;
    o->port = url->port;
    o->proxy = proxy;
    sx_list_init(&o->waiting);
    sx_list_init(&o->idle);
    sx_list_init(&o->busy);
    sx_list_init(&o->multi);
    sx_list_init(&o->connecting);
    return o;
}

client_origin *client_origin_of(sx_http_client *client, const sx_url *url)
{
    static const char *const NAMES[] = {
        [SX_URL_HTTP] = "http", [SX_URL_HTTPS] = "https", [SX_URL_UNIX] = "unix"};
    client_proxy *proxy = client_proxy_for(client, url);
    /* By a proxy, http:// calls of all hosts can use one connection: the target names the host. */
    bool is_shared = proxy && url->scheme == SX_URL_HTTP;
    char key[KEY_BYTES_MAX];
    int len = snprintf(key, sizeof(key), "%s%s %.*s %u", proxy ? "proxy " : "", NAMES[url->scheme],
                       SX_ARG(is_shared ? proxy->url.host : url->host),
                       (unsigned)(is_shared ? proxy->url.port : url->port));
    for (int i = 0; i < len; i++) /* hosts are the same in any case; socket paths are not */
        key[i] = url->scheme != SX_URL_UNIX && key[i] >= 'A' && key[i] <= 'Z'
                     ? (char)(key[i] | 0x20)
                     : key[i];
    sx_map_entry *entry = sx_map_put(&client->origins, sx_str_of(key, (size_t)len), NULL);
    if (!entry)
        return NULL;
    if (!entry->ptr) {
        client_origin *o = origin_new(client, entry->key, url, proxy);
        if (!o) {
            sx_map_remove(&client->origins, entry->key);
            return NULL;
        }
        entry->ptr = o;
        entry->key = o->key;
    }
    return entry->ptr;
}

static void kill_all(sx_list *list)
{
    while (!sx_list_empty(list))
        conn_die(SX_CONTAINER_OF(list->next, client_conn, link));
}

void origin_free(client_origin *o)
{
    sx_assert(sx_list_empty(&o->waiting));
    while (!sx_list_empty(&o->connecting))
        client_connect_cancel(client_connect_of(o->connecting.next));
    kill_all(&o->idle);
    kill_all(&o->busy);
    kill_all(&o->multi);
    /* They are on client->dead_conns and still name this origin, but only to be freed. */
    sx_list *link;
    while ((link = sx_list_pop_front(&o->client->dead_conns)))
        conn_free(SX_CONTAINER_OF(link, client_conn, link));
    sx_free(o);
}

void origin_unuse(client_origin *o)
{
    sx_http_client *client = o->client;
    sx_assert(o->users > 0);
    if (--o->users > 0 || o->open_count > 0 || client->closing ||
        sx_map_count(&client->origins) <= CLIENT_ORIGINS_KEPT)
        return;
    sx_map_remove(&client->origins, o->key);
    sx_free(o);
}

void origin_close_idle(client_origin *o)
{
    kill_all(&o->idle);
}

/* ---- connections ---- */

static void on_idle(sx_timer *timer, void *arg)
{
    client_conn *conn = arg;
    sx_http_client *client = conn->origin->client;
    (void)timer;
    client_enter(client);
    conn_die(conn);
    client_leave(client);
}

static void start_idle(client_conn *conn)
{
    sx_http_client *client = conn->origin->client;
    sx_timer_start(client_timers(client), &conn->idle_timer, client->options.idle_ms_max);
}

static client_conn *conn_new(client_origin *o, sx_stream *stream)
{
    client_conn *conn = sx_calloc(1, sizeof(*conn));
    if (!conn)
        return NULL;
    o->users++;
    conn->origin = o;
    conn->stream = stream;
    conn->idle_timer = (sx_timer){.fn = on_idle, .arg = conn};
    sx_list_init(&conn->link);
    sx_list_init(&conn->calls);
    sx_buf_init(&conn->head, o->client->options.header_bytes_max);
    return conn;
}

void conn_die(client_conn *conn)
{
    client_origin *o = conn->origin;
    if (conn->dead)
        return;
    conn->dead = true;
    sx_timer_stop(client_timers(o->client), &conn->idle_timer);
    sx_timer_stop(client_timers(o->client), &conn->flush_timer);
    if (conn->stream)
        sx_stream_close(conn->stream);
    conn->stream = NULL;
    o->open_count--;
    o->client->counts.open--;
    sx_list_remove(&conn->link);
    sx_list_push_back(&o->client->dead_conns, &conn->link);
}

void conn_free(client_conn *conn)
{
    sx_list_remove(&conn->link);
    conn->ops->close(conn);
    sx_buf_done(&conn->head);
    origin_unuse(conn->origin);
    sx_free(conn);
}

void conn_release(client_conn *conn, bool reusable)
{
    client_origin *o = conn->origin;
    if (conn->dead)
        return;
    if (!reusable || o->client->closing) {
        conn_die(conn);
    } else {
        sx_list_remove(&conn->link);
        sx_list_push_front(&o->idle, &conn->link);
        start_idle(conn);
    }
    origin_dispatch(o);
}

/* ---- dispatch ---- */

static client_conn *multi_with_room(client_origin *o)
{
    sx_list *link;
    SX_LIST_EACH(link, &o->multi)
    {
        client_conn *conn = SX_CONTAINER_OF(link, client_conn, link);
        if (http2_conn_has_room(conn))
            return conn;
    }
    return NULL;
}

static void give(client_conn *conn, sx_call *call)
{
    client_origin *o = conn->origin;
    sx_list_remove(&call->line);
    o->waiting_count--;
    o->client->counts.waiting--;
    o->client->counts.reused += conn->used > 0;
    conn->used++;
    call->tries++;
    call->conn = conn;
    sx_timer_stop(client_timers(o->client), &conn->idle_timer);
    conn->ops->start(conn, call);
}

/* How many connections more could be of use now. One is enough to learn what the peer speaks where
 * it may be HTTP/2. */
static uint32_t connections_wanted(const client_origin *o)
{
    bool may_be_http2 = o->scheme == SX_URL_HTTPS || o->client->options.http2_prior_knowledge;
    bool one_by_one =
        o->protocol == CLIENT_HTTP2 || (o->protocol == CLIENT_UNKNOWN && may_be_http2);
    uint32_t most = one_by_one ? 1 : o->waiting_count;
    return most > o->connecting_count ? most - o->connecting_count : 0;
}

void origin_dispatch(client_origin *o)
{
    sx_error err;
    if (o->client->closing)
        return;
    client_enter(o->client);
    while (!sx_list_empty(&o->waiting)) {
        client_conn *conn = multi_with_room(o);
        if (!conn && !sx_list_empty(&o->idle)) {
            conn = SX_CONTAINER_OF(o->idle.next, client_conn, link);
            sx_list_remove(&conn->link);
            sx_list_push_back(&o->busy, &conn->link);
        }
        if (!conn)
            break;
        give(conn, SX_CONTAINER_OF(o->waiting.next, sx_call, line));
    }
    uint32_t wanted = sx_list_empty(&o->waiting) ? 0 : connections_wanted(o);
    while (wanted-- && o->open_count < o->client->options.connections_max) {
        sx_status st = client_connect_start(o, &err);
        if (st != SX_OK) {
            if (o->open_count == 0) { /* nobody else will serve them */
                sx_list *link;
                SX_LIST_EACH(link, &o->waiting)
                call_fail_later(SX_CONTAINER_OF(link, sx_call, line), st, &err);
            }
            break;
        }
    }
    client_leave(o->client);
}

void origin_connected(client_origin *o, sx_stream *stream, client_protocol protocol)
{
    sx_http_client *client = o->client;
    sx_error err;
    client_conn *conn = conn_new(o, stream);
    if (!conn) {
        sx_stream_reset(stream);
        sx_fail_memory(&err, "a connection");
        origin_connect_failed(o, SX_ENOMEM, &err);
        return;
    }
    o->protocol = protocol;
    o->open_count++;
    client->counts.open++;
    client->counts.opened++;
    if (protocol == CLIENT_HTTP2) {
        sx_status st = http2_conn_init(conn, &err);
        sx_list_push_back(&o->multi, &conn->link);
        if (st != SX_OK) {
            conn_die(conn);
            origin_connect_failed(o, st, &err);
            return;
        }
    } else {
        http1_conn_init(conn);
        sx_list_push_front(&o->idle, &conn->link);
    }
    start_idle(conn);
    origin_dispatch(o);
}

void origin_connect_failed(client_origin *o, sx_status status, const sx_error *err)
{
    sx_list failed;
    if (o->open_count > 0)
        return; /* the line is served by the others */
    /* The whole line waited for a connection to this peer: trying for each in turn would only make
     * them wait longer. */
    sx_list_init(&failed);
    sx_list_splice_back(&failed, &o->waiting);
    client_enter(o->client);
    while (!sx_list_empty(&failed))
        call_fail(SX_CONTAINER_OF(failed.next, sx_call, line), status, err);
    client_leave(o->client);
}

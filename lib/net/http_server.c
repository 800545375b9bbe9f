/* http_server.c - the life of an sx_http_server: options, connections, drain, the fields that every
 * reply carries. */
#include "net/http_server.h"

#include <stdio.h>
#include <time.h>

#include <sextant/mem.h>

#include "net/http1_internal.h"
#include "net/listener.h"

/* The limits with their defaults: http.h documents them in the same order. */
static const struct {
    size_t at;
    uint32_t value;
} DEFAULTS[] = {
#define LIMIT(field, value) {offsetof(sx_http_limits, field), value}
    LIMIT(header_bytes_max, 32768), LIMIT(header_count_max, 128),
    LIMIT(target_bytes_max, 16384), LIMIT(chunk_header_bytes_max, 4096),
    LIMIT(header_ms_max, 10000),    LIMIT(body_ms_max, 30000),
    LIMIT(idle_ms_max, 75000),      LIMIT(write_ms_max, 30000),
    LIMIT(connections_max, 20000),  LIMIT(requests_max, 0),
    LIMIT(pipeline_max, 64),        LIMIT(streams_max, 128),
    LIMIT(stream_resets_max, 200),  LIMIT(output_high_bytes, 262144),
    LIMIT(output_low_bytes, 65536),
#undef LIMIT
};

enum { SERVER_NAME_BYTES_MAX = 100, FIELDS_MOST = 1024 };

static void fill_limits(sx_http_limits *limits)
{
    for (size_t i = 0; i < SX_COUNT_OF(DEFAULTS); i++) {
        uint32_t *limit = (uint32_t *)(void *)((char *)limits + DEFAULTS[i].at);
        if (*limit == 0)
            *limit = DEFAULTS[i].value;
    }
}

/* ---- Server and Date ---- */

/* RFC 9110, section 5.6.7: IMF-fixdate. By hand: strftime would ask the locale. */
static void write_date(int64_t second, char out[SX_HTTP_DATE_BYTES + 1])
{
    static const char DAYS[] = "SunMonTueWedThuFriSat";
    static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t t = (time_t)second;
    struct tm tm;
    gmtime_r(&t, &tm);
    snprintf(out, SX_HTTP_DATE_BYTES + 1, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
             DAYS + 3 * (tm.tm_wday % 7), (unsigned)tm.tm_mday % 100u,
             MONTHS + 3 * (tm.tm_mon % 12), (unsigned)(tm.tm_year + 1900) % 10000u,
             (unsigned)tm.tm_hour % 100u, (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u);
}

sx_str sx_http_server_fixed_fields(sx_http_server *server)
{
    int64_t second = sx_loop_wall_ns(server->loop) / 1000000000;
    if (sx_unlikely(second != server->fixed_second)) {
        char date[SX_HTTP_DATE_BYTES + 1];
        write_date(second, date);
        char *fields = server->fixed_fields;
        int len = 0;
        if (server->options.server_name)
            len = snprintf(fields, sizeof(server->fixed_fields), "Server: %s\r\n",
                           server->options.server_name);
        server->fixed_date_at = (size_t)len;
        len += snprintf(fields + len, sizeof(server->fixed_fields) - (size_t)len, "Date: %s\r\n",
                        date);
        server->fixed_len = (size_t)len;
        server->fixed_second = second;
    }
    return sx_str_of(server->fixed_fields, server->fixed_len);
}

sx_str sx_http_server_date(sx_http_server *server)
{
    sx_http_server_fixed_fields(server);
    return sx_str_of(server->fixed_fields + server->fixed_date_at + 6, SX_HTTP_DATE_BYTES);
}

/* ---- connections ---- */

void sx_http_server_add(sx_http_server *server, sx_http_conn *conn, const sx_http_conn_ops *ops)
{
    conn->ops = ops;
    sx_list_push_back(&server->conns, &conn->link);
    server->counts.connections_open++;
}

static void end_drain_soon(sx_http_server *server)
{
    if (server->draining && !server->drain_told && sx_list_empty(&server->conns) &&
        sx_list_empty(&server->listeners))
        sx_timer_start(sx_loop_timers(server->loop), &server->drain_timer, 0);
}

void sx_http_server_remove(sx_http_server *server, sx_http_conn *conn)
{
    sx_list_remove(&conn->link);
    server->counts.connections_open--;
    end_drain_soon(server);
}

void sx_http_server_reject(sx_http_server *server, const sx_peer *peer, int status, const char *why)
{
    server->counts.rejected++;
    if (server->options.rejected)
        server->options.rejected(server, server->options.ctx, peer, status, why);
}

/* ---- life ---- */

static void on_drain_timer(sx_timer *timer, void *arg)
{
    (void)timer;
    sx_http_server *server = arg;
    while (!sx_list_empty(&server->listeners))
        sx_listener_close(SX_CONTAINER_OF(server->listeners.next, sx_listener, link));
    while (!sx_list_empty(&server->conns)) {
        sx_http_conn *conn = SX_CONTAINER_OF(server->conns.next, sx_http_conn, link);
        conn->ops->kill(conn); /* the deadline: takes it off the list */
    }
    if (server->drain_told)
        return;
    server->drain_told = true;
    sx_timer_stop(sx_loop_timers(server->loop), &server->drain_timer);
    if (server->drained)
        server->drained(server, server->drained_ctx); /* may free the server */
}

sx_status sx_http_server_new(sx_loop *loop, const sx_http_server_options *options,
                             sx_http_server **out, sx_error *err)
{
    if (!options->handler)
        return sx_fail(err, SX_EINVAL, "an HTTP server needs a handler");
    if (options->server_name) {
        sx_str name = sx_str_z(options->server_name);
        for (size_t i = 0; i < name.len; i++) {
            if (!(http1_byte_kind[(uint8_t)name.data[i]] & HTTP1_FIELD))
                return sx_fail(err, SX_EINVAL, "server name: byte %zu cannot be in a field", i);
        }
        if (name.len > SERVER_NAME_BYTES_MAX)
            return sx_fail(err, SX_EINVAL, "server name: longer than %d bytes",
                           SERVER_NAME_BYTES_MAX);
    }
    if (options->limits.header_count_max > FIELDS_MOST)
        return sx_fail(err, SX_EINVAL, "http.header_count_max is %u, the most is %d",
                       options->limits.header_count_max, FIELDS_MOST);
    sx_http_server *server = sx_calloc(1, sizeof(*server));
    if (!server)
        return sx_fail_memory(err, "an HTTP server");
    server->loop = loop;
    server->options = *options;
    fill_limits(&server->options.limits);
    const sx_http_limits *limits = &server->options.limits;
    server->stream_options = (sx_stream_options){.high_bytes = limits->output_high_bytes,
                                                 .low_bytes = limits->output_low_bytes,
                                                 .write_ms_max = limits->write_ms_max,
                                                 .connect_ms_max = limits->header_ms_max};
    server->fixed_second = INT64_MIN;
    server->drain_timer.fn = on_drain_timer;
    server->drain_timer.arg = server;
    sx_list_init(&server->conns);
    sx_list_init(&server->listeners);
    sx_list_init(&server->http1_free);
    *out = server;
    return SX_OK;
}

void sx_http_server_drain(sx_http_server *server, uint32_t deadline_ms,
                          void (*drained)(sx_http_server *server, void *ctx), void *ctx)
{
    if (server->draining)
        return;
    server->draining = true;
    server->drained = drained;
    server->drained_ctx = ctx;
    sx_timer_start(sx_loop_timers(server->loop), &server->drain_timer, deadline_ms);
    sx_list *link, *after;
    SX_LIST_EACH_SAFE(link, after, &server->conns)
    {
        sx_http_conn *conn = SX_CONTAINER_OF(link, sx_http_conn, link);
        conn->ops->drain(conn);
    }
    /* After them: those in the queue have not had the time to ask for anything. */
    SX_LIST_EACH_SAFE(link, after, &server->listeners)
    {
        sx_listener_drain(SX_CONTAINER_OF(link, sx_listener, link));
    }
    end_drain_soon(server);
}

static void free_spares(sx_http_server *server)
{
    sx_list *link;
    while ((link = sx_list_pop_front(&server->http1_free))) {
        http1_exchange *e = SX_CONTAINER_OF(link, http1_exchange, link);
        sx_exchange_fini(&e->x);
        sx_free(e);
    }
    server->http1_free_count = 0;
}

void sx_http_server_let_go(sx_http_server *server)
{
    if (sx_unlikely(server->freed && server->counts.requests_open == 0))
        sx_free(server);
}

void sx_http_server_free(sx_http_server *server)
{
    if (!server)
        return;
    server->drain_told = true; /* nobody wants to hear of it any more */
    on_drain_timer(&server->drain_timer, server);
    sx_timer_stop(sx_loop_timers(server->loop), &server->drain_timer);
    free_spares(server);
    server->freed = true;
    sx_http_server_let_go(server);
}

const sx_http_counts *sx_http_server_counts(const sx_http_server *server)
{
    return &server->counts;
}

/* discovery_http.c - targets from a service that is asked again and again.
 *
 * Source: Prometheus, docs/http_sd. An answer that is not as it should be leaves what there was. */
#include "observe/scrape/discovery_internal.h"

#include <stdio.h>

#include <sextant/http.h>

typedef struct http_state {
    prom_discoverer *d;
    prom_http *client; /* NULL: its certificates could not be read so far */
    prom_http_call *call;
    sx_timer refresh;
    sx_arena arena; /* of the groups */
    discovery_groups groups;
    sx_counter *failures;
} http_state;

/* application/json, perhaps with charset=utf-8. */
static bool is_json(sx_str type)
{
    sx_str kind, parameter;
    bool has_more = sx_str_cut(sx_str_trim_all(type), ';', &kind, &parameter);
    parameter = sx_str_trim_all(parameter);
    return sx_str_ieq(kind, SX_STR("application/json")) &&
           (!has_more || sx_str_ieq(parameter, SX_STR("charset=utf-8")) ||
            sx_str_ieq(parameter, SX_STR("charset=\"utf-8\"")));
}

static sx_status take_answer(http_state *s, const prom_http_answer *a, sx_error *err)
{
    sx_arena arena;
    if (a->result != SX_OK) {
        *err = *a->error;
        return sx_error_prefix(err, a->result, "Get \"%.*s\"", SX_ARG(s->d->what->http.url));
    }
    if (a->status != 200)
        return sx_fail(err, SX_EPROTOCOL, "server returned HTTP status %d %s", a->status,
                       sx_http_reason(a->status));
    if (!is_json(a->content_type))
        return sx_fail(err, SX_EFORMAT, "unsupported content type \"%.*s\"",
                       SX_ARG(a->content_type));
    sx_arena_init(&arena, 0, 0);
    discovery_groups groups = {.arena = &arena};
    sx_status st = discovery_read_json(&arena, a->body, SX_STR("__meta_url"), s->d->what->http.url,
                                       &groups, err);
    if (st != SX_OK) {
        sx_arena_done(&arena);
        return st;
    }
    sx_arena_done(&s->arena);
    s->arena = arena;
    s->groups = groups;
    s->groups.arena = &s->arena;
    return SX_OK;
}

static void fail_refresh(http_state *s, const sx_error *err)
{
    discovery_count(s->failures);
    discovery_failed(s->d, "Unable to refresh target groups", err);
}

static void on_answer(void *ctx, const prom_http_answer *a)
{
    http_state *s = ctx;
    sx_error err;
    s->call = NULL;
    if (a->result == SX_ECANCELED) /* we are being stopped */
        return;
    if (s->d->metrics.refresh_seconds)
        sx_histogram_observe(s->d->metrics.refresh_seconds, (double)a->elapsed_ns / 1e9);
    if (take_answer(s, a, &err) != SX_OK) {
        fail_refresh(s, &err);
        return;
    }
    discovery_well(s->d);
    discovery_changed(s->d);
}

static void refresh(http_state *s)
{
    prom_discoverer *d = s->d;
    char seconds[32];
    sx_error err;
    int64_t ms = d->what->http.refresh_ms;
    sx_timer_start(sx_loop_timers(d->loop), &s->refresh, ms);
    if (s->call)
        return;
    snprintf(seconds, sizeof(seconds), "%.12g", (double)ms / 1000);
    tsdb_label headers[] = {{SX_STR("User-Agent"), SX_STR("Prometheus/3.14.0")},
                            {SX_STR("Accept"), SX_STR("application/json")},
                            {SX_STR("X-Prometheus-Refresh-Interval-Seconds"), sx_str_z(seconds)}};
    prom_http_request r = {.method = SX_STR("GET"),
                           .url = d->what->http.url,
                           .headers = headers,
                           .header_count = SX_COUNT_OF(headers),
                           .timeout_ms = ms,
                           .accept_gzip = true};
    sx_status st = SX_OK;
    if (!s->client)
        st = prom_http_new(d->loop, d->kit, &d->what->http.http, NULL, &s->client, &err);
    if (st == SX_OK)
        st = prom_http_send(s->client, &r, on_answer, s, &s->call, &err);
    if (st != SX_OK)
        fail_refresh(s, &err);
}

static void on_refresh(sx_timer *timer, void *arg)
{
    (void)timer;
    refresh(arg);
}

static sx_status start(prom_discoverer *d, sx_error *err)
{
    http_state *s = sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "HTTP discovery");
    d->state = s;
    s->d = d;
    s->refresh = (sx_timer){.fn = on_refresh, .arg = s};
    sx_arena_init(&s->arena, 0, 0);
    s->groups.arena = &s->arena;
    s->failures = discovery_counter(d, "prometheus_sd_http_failures_total",
                                    "Number of HTTP service discovery refresh failures.");
    refresh(s);
    return SX_OK;
}

static void stop(prom_discoverer *d)
{
    http_state *s = d->state;
    if (!s)
        return;
    sx_timer_stop(sx_loop_timers(d->loop), &s->refresh);
    prom_http_free(s->client);
    sx_arena_done(&s->arena);
    sx_free(s);
}

static void gather(prom_discoverer *d, discovery_groups *out)
{
    const http_state *s = d->state;
    for (size_t i = 0; i < s->groups.count; i++)
        discovery_groups_add(out, &s->groups.items[i]);
}

const discovery_ops DISCOVERY_HTTP = {"http", start, stop, gather};

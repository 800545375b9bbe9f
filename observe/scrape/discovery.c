/* discovery.c - the life of a discoverer, and when it tells what it knows (discovery.h).
 *
 *   changed -> [5 s after the last telling, at once if that is long ago] -> gather -> told
 *
 * Gathering makes all groups anew in a transient arena and compares their hash with that of what was
 * told before: a watch that brings news of no importance here disturbs nobody. */
#include "observe/scrape/discovery_internal.h"

#include <stdio.h>

#include <sextant/hash.h>

static const discovery_ops *const KINDS[PROM_SD_KINDS] = {
    [PROM_SD_STATIC] = &DISCOVERY_STATIC,
    [PROM_SD_FILE] = &DISCOVERY_FILE,
    [PROM_SD_HTTP] = &DISCOVERY_HTTP,
    [PROM_SD_DNS] = &DISCOVERY_DNS,
    [PROM_SD_KUBERNETES] = &DISCOVERY_KUBERNETES,
};

/* ---- static_configs ---- */

static sx_status start_static(prom_discoverer *d, sx_error *err)
{
    (void)d, (void)err;
    return SX_OK;
}

static void stop_static(prom_discoverer *d)
{
    (void)d;
}

static void gather_static(prom_discoverer *d, discovery_groups *out)
{
    discovery_groups_add(out, d->what->group);
}

const discovery_ops DISCOVERY_STATIC = {"static", start_static, stop_static, gather_static};

/* ---- telling ---- */

static uint64_t hash_of(const discovery_groups *g)
{
    uint64_t h = g->count;
    for (size_t i = 0; i < g->count; i++) {
        const prom_target_group *group = &g->items[i];
        h = sx_hash(group->source, h ^ tsdb_labels_hash(group->labels));
        for (uint32_t k = 0; k < group->target_count; k++)
            h = sx_hash(group->targets[k], h);
    }
    return h;
}

static void tell(prom_discoverer *d)
{
    sx_arena arena;
    sx_arena_init(&arena, 65536, DISCOVERY_TARGETS_BYTES_MAX);
    discovery_groups g = {.arena = &arena};
    d->ops->gather(d, &g);
    if (g.failed) { /* the old ones stay; the next change tries again */
        sx_error err;
        sx_fail_memory(&err, "discovered targets");
        discovery_failed(d, "Targets cannot be told", &err);
        sx_timer_start(sx_loop_timers(d->loop), &d->tell, DISCOVERY_TELL_MS);
        sx_arena_done(&arena);
        return;
    }
    uint64_t hash = hash_of(&g);
    bool is_new = !d->has_told || hash != d->told_hash;
    d->has_told = true;
    d->has_told_some |= g.count > 0;
    d->told_hash = hash;
    d->told_ms = sx_loop_now_ms(d->loop);
    if (is_new) {
        discovery_count(d->metrics.updates);
        d->told(d->ctx, g.items, g.count); /* may free us */
    }
    sx_arena_done(&arena);
}

static void on_tell(sx_timer *timer, void *arg)
{
    (void)timer;
    tell(arg);
}

void discovery_changed(prom_discoverer *d)
{
    if (sx_timer_running(&d->tell))
        return;
    /* What was empty so far does not wait: a start shall find its targets. */
    int64_t wait = d->has_told_some ? d->told_ms + DISCOVERY_TELL_MS - sx_loop_now_ms(d->loop) : 0;
    sx_timer_start(sx_loop_timers(d->loop), &d->tell, wait > 0 ? wait : 0);
}

/* ---- trouble ---- */

void discovery_failed(prom_discoverer *d, const char *what, const sx_error *err)
{
    discovery_count(d->metrics.refresh_failures);
    snprintf(d->trouble, sizeof(d->trouble), "%s", err->message);
    if (d->log)
        SX_LOG_ERROR(d->log, NULL, what, sx_field_z("discovery", d->ops->mechanism),
                     sx_field_str("config", d->job), sx_field_error(err));
}

void discovery_well(prom_discoverer *d)
{
    d->trouble[0] = '\0';
}

sx_str prom_discoverer_trouble(const prom_discoverer *d)
{
    return sx_str_z(d->trouble);
}

/* ---- metrics ---- */

void discovery_count(sx_counter *c)
{
    if (c)
        sx_counter_add(c, 1);
}

sx_counter *discovery_counter(prom_discoverer *d, const char *name, const char *help)
{
    sx_metric *m;
    sx_metric_options o = {.kind = SX_METRIC_COUNTER, .name = name, .help = help};
    if (!d->kit || !d->kit->metrics || sx_metric_new(d->kit->metrics, &o, &m, NULL) != SX_OK)
        return NULL;
    return sx_metric_counter(m, NULL, 0);
}

static void open_metrics(prom_discoverer *d)
{
    static const char *const LABELS[] = {"mechanism", "config"};
    static const double BOUNDS[] = {.01, .1, 1, 10};
    sx_metric *m;
    if (!d->kit || !d->kit->metrics)
        return;
    d->metrics.updates =
        discovery_counter(d, "prometheus_sd_received_updates_total",
                          "Total number of update events received from the SD providers.");
    if (d->ops == &DISCOVERY_STATIC || d->ops == &DISCOVERY_KUBERNETES)
        return;
    sx_str values[] = {sx_str_z(d->ops->mechanism), d->job};
    sx_metric_options failures = {.kind = SX_METRIC_COUNTER,
                                  .name = "prometheus_sd_refresh_failures_total",
                                  .help = "Number of refresh failures for the given SD mechanism.",
                                  .labels = LABELS,
                                  .label_count = 2};
    if (sx_metric_new(d->kit->metrics, &failures, &m, NULL) == SX_OK)
        d->metrics.refresh_failures = sx_metric_counter(m, values, 2);
    sx_metric_options seconds = {.kind = SX_METRIC_HISTOGRAM,
                                 .name = "prometheus_sd_refresh_duration_histogram_seconds",
                                 .help = "The duration of a refresh for the given SD mechanism.",
                                 .labels = LABELS,
                                 .label_count = 1,
                                 .bounds = BOUNDS,
                                 .bound_count = SX_COUNT_OF(BOUNDS),
                                 .native = true,
                                 .native_buckets_max = 100};
    if (sx_metric_new(d->kit->metrics, &seconds, &m, NULL) == SX_OK)
        d->metrics.refresh_seconds = sx_metric_histogram(m, values, 1);
}

/* ---- life ---- */

sx_status discovery_open(sx_loop *loop, const sx_kit *kit, prom_config *config,
                         const prom_discovery *what, sx_str job,
                         const discovery_overrides *overrides, prom_discovered *told, void *ctx,
                         prom_discoverer **out, sx_error *err)
{
    sx_assert(what->kind < PROM_SD_KINDS);
    prom_discoverer *d = sx_calloc(1, sizeof(*d));
    if (!d)
        return sx_fail_memory(err, "a discovery");
    d->loop = loop;
    d->kit = kit;
    d->config = config ? prom_config_ref(config) : NULL;
    d->what = what;
    d->job = job;
    d->told = told;
    d->ctx = ctx;
    d->ops = KINDS[what->kind];
    d->tell = (sx_timer){.fn = on_tell, .arg = d};
    if (overrides)
        d->overrides = *overrides;
    if (kit && kit->log)
        d->log = sx_log_logger(kit->log, "discovery");
    open_metrics(d);
    sx_status st = d->ops->start(d, err);
    if (st != SX_OK) {
        prom_discoverer_free(d);
        return st;
    }
    discovery_changed(d);
    *out = d;
    return SX_OK;
}

sx_status prom_discoverer_new(sx_loop *loop, const sx_kit *kit, prom_config *config,
                              const prom_discovery *what, sx_str job, prom_discovered *told,
                              void *ctx, prom_discoverer **out, sx_error *err)
{
    return discovery_open(loop, kit, config, what, job, NULL, told, ctx, out, err);
}

void prom_discoverer_free(prom_discoverer *d)
{
    if (!d)
        return;
    sx_timer_stop(sx_loop_timers(d->loop), &d->tell);
    d->ops->stop(d);
    if (d->config)
        prom_config_unref(d->config);
    sx_free(d);
}

sx_str discovery_host_port(sx_arena *arena, sx_str host, uint32_t port)
{
    bool is_ipv6 = sx_str_find_byte(host, ':') < host.len;
    return sx_arena_printf(arena, is_ipv6 ? "[%.*s]:%u" : "%.*s:%u", SX_ARG(host), port);
}

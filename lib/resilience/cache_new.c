/* cache_new.c - making a cache and freeing it: its options, its metrics, its shards. */
#include <sextant/mem.h>

#include "resilience/cache_internal.h"

enum {
    BYTES_DEFAULT = 64 << 20,
    SHARD_BYTES_USUAL = 4 << 20,
    SHARDS_MAX = 256,
    KEY_BYTES_DEFAULT = 4096,
    KEY_BYTES_MAX = 1 << 20,
    TTL_DEFAULT_MS = 60000,
    RETRY_DEFAULT_MS = 1000,
    LOAD_DEFAULT_MS = 10000,
    WAITERS_DEFAULT = 4096,
    LOADS_DEFAULT = 16384,
};

/* ---- metrics ---- */

static sx_status metric(sx_metrics *m, sx_metric_kind kind, const char *name, const char *help,
                        const char *second_label, sx_metric **out, sx_error *err)
{
    const char *labels[] = {"cache", second_label};
    return sx_metric_new(m,
                         &(sx_metric_options){.kind = kind,
                                              .name = name,
                                              .help = help,
                                              .labels = labels,
                                              .label_count = second_label ? 2 : 1},
                         out, err);
}

/* A counter with a second label, one series for each value; the handles go where `into` says. */
typedef struct counter_row {
    const char *name, *help, *label;
    struct {
        const char *value; /* NULL: no second label */
        size_t into;       /* offset in cache_metrics */
    } series[6];
    size_t count;
} counter_row;

#define INTO(member) offsetof(cache_metrics, member)
static const counter_row COUNTERS[] = {
    {"cache_requests_total",
     "Requests to a cache by what it had.",
     "result",
     {{"hit", INTO(requests[SX_CACHE_HIT])},
      {"stale", INTO(requests[SX_CACHE_STALE])},
      {"negative", INTO(requests[SX_CACHE_NEGATIVE])},
      {"miss", INTO(requests[SX_CACHE_MISS])}},
     4},
    {"cache_evictions_total",
     "Entries that left a cache, but for those replaced.",
     "reason",
     {{"size", INTO(evicted_size)},
      {"expired", INTO(evicted_expired)},
      {"invalidated", INTO(evicted_invalidated)}},
     3},
    {"cache_loads_total",
     "Loads of missing or stale keys by how they ended.",
     "outcome",
     {{"ok", INTO(load_ok)},
      {"absent", INTO(load_absent)},
      {"failed", INTO(load_failed)},
      {"timeout", INTO(load_timeout)},
      {"late", INTO(load_late)},
      {"tier", INTO(load_tier)}},
     6},
    {"cache_admission_rejected_total",
     "New entries that gave way to entries asked for more often.",
     NULL,
     {{NULL, INTO(rejected)}},
     1},
};

static const struct {
    const char *name, *help;
    size_t into;
} GAUGES[] = {
    {"cache_entries", "Entries in a cache.", INTO(entries)},
    {"cache_bytes", "Bytes that a cache takes, overhead counted in.", INTO(bytes)},
    {"cache_waiters", "Requests that wait for another's load.", INTO(waiters)},
};
#undef INTO

static sx_status add_metrics(sx_cache *c, sx_metrics *m, const char *cache_name, sx_error *err)
{
    char *handles = (char *)&c->metrics;
    sx_metric *made;
    sx_status status;
    for (size_t i = 0; i < SX_COUNT_OF(COUNTERS); i++) {
        const counter_row *row = &COUNTERS[i];
        status = metric(m, SX_METRIC_COUNTER, row->name, row->help, row->label, &made, err);
        if (status != SX_OK)
            return status;
        for (size_t n = 0; n < row->count; n++) {
            sx_str values[] = {sx_str_z(cache_name), sx_str_z(row->series[n].value)};
            *(sx_counter **)(void *)(handles + row->series[n].into) =
                sx_metric_counter(made, values, row->label ? 2 : 1);
        }
    }
    sx_str value = sx_str_z(cache_name);
    for (size_t i = 0; i < SX_COUNT_OF(GAUGES); i++) {
        status = metric(m, SX_METRIC_GAUGE, GAUGES[i].name, GAUGES[i].help, NULL, &made, err);
        if (status != SX_OK)
            return status;
        *(sx_gauge **)(void *)(handles + GAUGES[i].into) = sx_metric_gauge(made, &value, 1);
    }
    status = metric(m, SX_METRIC_HISTOGRAM, "cache_load_seconds",
                    "Time from a miss to the value, timed-out loads left out.", NULL, &made, err);
    if (status == SX_OK)
        c->metrics.load_seconds = sx_metric_histogram(made, &value, 1);
    return status;
}

/* ---- making one ---- */

static sx_status take_classes(sx_cache *c, const sx_cache_options *o, sx_error *err)
{
    static const sx_cache_class PLAIN = {.name = "default"};
    const sx_cache_class *from = o->classes ? o->classes : &PLAIN;
    size_t count = o->classes ? o->class_count : 1;
    if (count == 0 || count > SX_CACHE_CLASSES_MAX)
        return sx_fail(err, SX_EINVAL, "cache: %zu classes; there can be 1 to %d", count,
                       SX_CACHE_CLASSES_MAX);
    for (size_t i = 0; i < count; i++) {
        sx_cache_class *k = &c->classes[i];
        *k = from[i];
        if (k->jitter_percent > 100)
            return sx_fail(err, SX_EINVAL, "cache: class '%s' has jitter_percent %u; at most 100",
                           k->name ? k->name : "", k->jitter_percent);
        k->ttl_ms = k->ttl_ms ? k->ttl_ms : TTL_DEFAULT_MS;
        k->stale_error_ms = k->stale_error_ms ? k->stale_error_ms : k->stale_ms;
        k->retry_ms = k->retry_ms ? k->retry_ms : RETRY_DEFAULT_MS;
    }
    c->class_count = (uint32_t)count;
    return SX_OK;
}

/* A power of two: as asked, or one for each 4 MiB. */
static sx_status choose_shards(sx_cache *c, uint32_t asked, sx_error *err)
{
    uint32_t shards = 1;
    if (asked) {
        if (asked > SHARDS_MAX || (asked & (asked - 1)))
            return sx_fail(err, SX_EINVAL, "cache: %u shards; write a power of two up to %d", asked,
                           SHARDS_MAX);
        shards = asked;
    } else {
        while (shards < SHARDS_MAX && c->bytes_max / shards / 2 >= SHARD_BYTES_USUAL)
            shards *= 2;
    }
    if (c->bytes_max / shards < CACHE_SHARD_BYTES_MIN)
        return sx_fail(err, SX_EINVAL,
                       "cache: bytes_max %zu is too little for %u shards; each wants %d",
                       c->bytes_max, shards, CACHE_SHARD_BYTES_MIN);
    c->shard_count = shards;
    c->shard_bits = (uint32_t)__builtin_ctz(shards);
    return SX_OK;
}

static sx_status take_options(sx_cache *c, const sx_cache_options *o, sx_error *err)
{
    c->bytes_max = o->bytes_max ? o->bytes_max : BYTES_DEFAULT;
    c->key_bytes_max = o->key_bytes_max ? o->key_bytes_max : KEY_BYTES_DEFAULT;
    c->value_bytes_max = o->value_bytes_max ? o->value_bytes_max : UINT32_MAX;
    c->load_ms_max = o->load_ms_max ? o->load_ms_max : LOAD_DEFAULT_MS;
    c->waiters_max = o->waiters_max ? o->waiters_max : WAITERS_DEFAULT;
    c->clock = o->clock ? o->clock : sx_clock_system();
    if (c->key_bytes_max > KEY_BYTES_MAX)
        return sx_fail(err, SX_EINVAL, "cache: key_bytes_max %zu; at most %d", c->key_bytes_max,
                       KEY_BYTES_MAX);
    sx_status status = choose_shards(c, o->shards, err);
    if (status != SX_OK)
        return status;
    uint32_t loads = (o->loads_max ? o->loads_max : LOADS_DEFAULT) / c->shard_count;
    c->loads_max = loads ? loads : 1;
    return take_classes(c, o, err);
}

static sx_status make_shards(sx_cache *c, sx_error *err)
{
    enum { LINE = 64 };
    size_t bytes = c->shard_count * sizeof(cache_shard);
    c->shards_memory = sx_calloc(1, bytes + LINE);
    if (!c->shards_memory)
        return sx_fail_memory(err, "a cache");
    c->shards = (cache_shard *)(((uintptr_t)c->shards_memory + LINE - 1) & ~(uintptr_t)(LINE - 1));
    uint32_t wanted = c->shard_count, made = 0;
    bool ok = true;
    for (; made < wanted && ok; made++)
        ok = cache_shard_init(&c->shards[made], c->bytes_max / wanted, c->seed + made);
    c->shard_count = made; /* the last of them may be half made: done works on it */
    if (!ok)
        return sx_fail_memory(err, "the table of a cache; give it a smaller bytes_max");
    return SX_OK;
}

sx_status sx_cache_new(const sx_cache_options *options, sx_cache **out, sx_error *err)
{
    static const sx_cache_options PLAIN = {0};
    const sx_cache_options *o = options ? options : &PLAIN;
    sx_cache *c = sx_calloc(1, sizeof(*c));
    if (!c)
        return sx_fail_memory(err, "a cache");
    c->seed = o->seed ? o->seed : sx_hash_seed();
    sx_status status = take_options(c, o, err);
    if (status == SX_OK && o->metrics)
        status = add_metrics(c, o->metrics, o->name ? o->name : "default", err);
    if (status == SX_OK)
        status = make_shards(c, err);
    if (status == SX_OK && o->tiers)
        status = cache_tiers_attach(o->tiers, c, err);
    if (status != SX_OK) {
        for (uint32_t i = 0; c->shards && i < c->shard_count; i++)
            cache_shard_done(c, &c->shards[i]);
        sx_free(c->shards_memory);
        sx_free(c);
        return status;
    }
    for (uint32_t i = 0; i < c->shard_count; i++)
        cache_move(c->metrics.bytes, (double)c->shards[i].fixed_bytes);
    c->tiers = o->tiers;
    *out = c;
    return SX_OK;
}

void sx_cache_free(sx_cache *cache)
{
    if (!cache)
        return;
    sx_assert(!cache->loop); /* sx_cache_detach first */
    if (cache->tiers)
        cache_tiers_detach(cache->tiers);
    for (uint32_t i = 0; i < cache->shard_count; i++) {
        cache_shard *s = &cache->shards[i];
        sx_list due;
        sx_list_init(&due);
        pthread_mutex_lock(&s->lock);
        cache_loads_cancel(s, &due);
        pthread_mutex_unlock(&s->lock);
        cache_deliver(cache, &due);
    }
    for (uint32_t i = 0; i < cache->shard_count; i++) {
        cache_move(cache->metrics.bytes, -(double)cache->shards[i].fixed_bytes);
        cache_shard_done(cache, &cache->shards[i]);
    }
    sx_free(cache->shards_memory);
    sx_free(cache);
}

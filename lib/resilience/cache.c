/* cache.c - the cache that programs see: asking it, storing in it, removing from it.
 *
 * cache_internal.h draws the parts. Every call finds the key's shard by the top bits of its hash,
 * takes that shard's lock, does its work there in constant time, and calls back after the lock is
 * given back. */
#include <sextant/cache.h>

#include <string.h>

#include <sextant/mem.h>

#include "resilience/cache_internal.h"

enum {
    TICK_MS = 200,
    TICK_TIERS_MS = 25, /* where there are tiers, whose answers are awaited for some tens of ms … */
    TICKS_A_SWEEP = 8,  /* … and the rest is done on every eighth tick */
    SWEEP_PART = 64,    /* a sweep looks at a 64th of the buckets … */
    SWEEP_LEAST = 64,   /* … and at least at these */
    SLICE_BUCKETS = 256, /* a walk over everything gives the lock back after so many */
    SWEEP_ON_PUT = 2,
};

const char *sx_cache_result_name(sx_cache_result result)
{
    static const char *const NAMES[SX_CACHE_RESULTS] = {
        [SX_CACHE_HIT] = "hit",           [SX_CACHE_STALE] = "stale",
        [SX_CACHE_NEGATIVE] = "negative", [SX_CACHE_LOAD] = "load",
        [SX_CACHE_WAIT] = "wait",         [SX_CACHE_MISS] = "miss",
        [SX_CACHE_BYPASS] = "bypass",     [SX_CACHE_FAILED] = "failed",
    };
    return (unsigned)result < SX_CACHE_RESULTS ? NAMES[result] : "unknown";
}

/* ---- sweeping by a loop ---- */

static void on_timer(sx_timer *timer, void *arg)
{
    sx_cache *c = arg;
    if (c->tiers && c->ticks++ % TICKS_A_SWEEP)
        cache_tiers_sweep(c->tiers);
    else
        sx_cache_sweep(c);
    sx_timer_start(sx_loop_timers(c->loop), timer, c->tiers ? TICK_TIERS_MS : TICK_MS);
}

void sx_cache_attach(sx_cache *cache, sx_loop *loop)
{
    sx_assert(!cache->loop);
    cache->loop = loop;
    cache->timer = (sx_timer){.fn = on_timer, .arg = cache};
    sx_timer_start(sx_loop_timers(loop), &cache->timer, cache->tiers ? TICK_TIERS_MS : TICK_MS);
}

void sx_cache_detach(sx_cache *cache)
{
    if (!cache->loop)
        return;
    sx_timer_stop(sx_loop_timers(cache->loop), &cache->timer);
    cache->loop = NULL;
}

/* ---- views ---- */

sx_cache_view cache_view_of(cache_entry *e, int64_t now_ms)
{
    atomic_fetch_add_explicit(&e->holders, 1, memory_order_relaxed);
    uint64_t age = cache_entry_age(e, now_ms);
    return (sx_cache_view){.value = cache_entry_value(e),
                           .status = (sx_status)e->status,
                           .age_ms = age < UINT32_MAX ? (uint32_t)age : UINT32_MAX,
                           .hold = e};
}

void sx_cache_release(sx_cache_view *view)
{
    cache_entry *e = view->hold;
    if (!e)
        return;
    view->hold = NULL;
    view->value = SX_STR("");
    cache_entry_drop(e);
}

sx_cache_view sx_cache_view_copy(const sx_cache_view *view)
{
    sx_cache_view copy = *view;
    cache_entry *e = copy.hold;
    if (e)
        atomic_fetch_add_explicit(&e->holders, 1, memory_order_relaxed);
    copy.token = SX_CACHE_NO_TOKEN;
    return copy;
}

/* ---- asking ---- */

/* What an entry found is good for now. SX_CACHE_MISS: nothing, or only to stand in for a failed load. */
static sx_cache_result judge(sx_cache *c, cache_shard *s, cache_entry *e, int64_t now_ms)
{
    if (sx_unlikely(cache_epoch_old(c, e->epoch, e->class_index, e->tag))) {
        cache_shard_remove(c, s, e, CACHE_INVALIDATED);
        return SX_CACHE_MISS;
    }
    uint64_t age = cache_entry_age(e, now_ms);
    if (sx_likely(age < e->fresh_age))
        return e->status == SX_OK ? SX_CACHE_HIT : SX_CACHE_NEGATIVE;
    if (age >= e->dead_age) {
        cache_shard_remove(c, s, e, CACHE_EXPIRED);
        return SX_CACHE_MISS;
    }
    return age < e->stale_age || age < e->retry_age ? SX_CACHE_STALE : SX_CACHE_MISS;
}

static void count_request(sx_cache *c, cache_shard *s, sx_cache_result result)
{
    switch (result) {
    case SX_CACHE_HIT:
        s->stats.hits++;
        break;
    case SX_CACHE_STALE:
        s->stats.stale++;
        break;
    case SX_CACHE_NEGATIVE:
        s->stats.negative++;
        break;
    default:
        s->stats.misses++;
        s->stats.bypassed += result == SX_CACHE_BYPASS;
        result = SX_CACHE_MISS;
    }
    cache_count(c->metrics.requests[result]);
}

/* The rare part of a get: a stale or missing key and an asker who would load or wait. */
static sx_cache_result ask_for_load(sx_cache *c, cache_shard *s, cache_asking *a, cache_entry *e,
                                    sx_cache_token *token, sx_list *due)
{
    if (e && cache_entry_age(e, a->now_ms) < e->retry_age)
        return SX_CACHE_BYPASS;
    cache_loads_expire(c, s, a->now_ms, due);
    a->is_refresh = e != NULL;
    return cache_load_ask(c, s, a, token);
}

/* The asker has been given a duty: its loader is called, or the tiers are asked first, or it is told. */
static sx_cache_result begin_load(sx_cache *c, const cache_asking *a, sx_cache_result result,
                                  sx_cache_token token, sx_cache_view *view)
{
    const sx_cache_ask *ask = a->ask;
    bool can_be_told = ask->load || (ask->answer && result == SX_CACHE_LOAD);
    if (c->tiers && can_be_told) {
        cache_tiers_find(c->tiers, token, a->key, a->class_index, ask);
    } else if (ask->load) {
        ask->load(ask->load_ctx, c, a->key, token);
    } else {
        view->token = token;
        return result;
    }
    if (result == SX_CACHE_STALE)
        return result;
    return ask->answer ? SX_CACHE_WAIT : SX_CACHE_MISS;
}

sx_cache_result sx_cache_get(sx_cache *cache, sx_str key, unsigned class_index,
                             const sx_cache_ask *ask, sx_cache_view *view)
{
    sx_assert(class_index < cache->class_count);
    *view = (sx_cache_view){0};
    if (sx_unlikely(key.len > cache->key_bytes_max))
        return ask ? SX_CACHE_BYPASS : SX_CACHE_MISS;
    cache_asking a = {.key = key,
                      .hash = sx_hash(key, cache->seed),
                      .class_index = class_index,
                      .now_ms = sx_clock_mono_ms(cache->clock),
                      .ask = ask};
    cache_shard *s = cache_shard_of(cache, a.hash);
    sx_cache_token token = {0};
    sx_list due;
    sx_list_init(&due);

    pthread_mutex_lock(&s->lock);
    cache_sketch_add(&s->sketch, a.hash);
    cache_entry *e = cache_shard_find(s, a.hash, key);
    sx_cache_result result = e ? judge(cache, s, e, a.now_ms) : SX_CACHE_MISS;
    if (result == SX_CACHE_MISS) {
        if (ask)
            result = ask_for_load(cache, s, &a, NULL, &token, &due);
    } else {
        cache_shard_touch(s, e);
        *view = cache_view_of(e, a.now_ms);
        if (result == SX_CACHE_STALE && ask)
            ask_for_load(cache, s, &a, e, &token, &due);
    }
    count_request(cache, s, result);
    pthread_mutex_unlock(&s->lock);

    if (sx_likely(!token.id && sx_list_empty(&due)))
        return result;
    cache_deliver(cache, &due);
    if (!token.id)
        return result;
    return begin_load(cache, &a, result, token, view);
}

/* ---- storing ---- */

static uint32_t later(uint64_t age, uint64_t by)
{
    return age + by < UINT32_MAX ? (uint32_t)(age + by) : UINT32_MAX;
}

void cache_entry_date(sx_cache *c, cache_shard *s, cache_entry *e, const sx_cache_how *how,
                      int64_t now_ms)
{
    const sx_cache_class *k = &c->classes[e->class_index];
    uint32_t ttl = e->status == SX_OK          ? k->ttl_ms
                   : e->status == SX_ENOTFOUND ? k->negative_ttl_ms
                                               : k->error_ttl_ms;
    if (how && how->ttl_ms)
        ttl = how->ttl_ms;
    uint32_t jitter = how && how->jitter_percent ? how->jitter_percent : k->jitter_percent;
    if (jitter && jitter != CACHE_NO_JITTER && ttl)
        ttl -= (uint32_t)sx_random_below(
            &s->random, (uint64_t)ttl * (jitter < 100 ? jitter : 100) / 100 + (jitter < 100));
    e->stored_ms = now_ms;
    e->fresh_age = ttl;
    e->stale_age = e->dead_age = ttl;
    if (e->status == SX_OK) {
        e->stale_age = later(ttl, k->stale_ms);
        e->dead_age = later(ttl, k->stale_error_ms > k->stale_ms ? k->stale_error_ms : k->stale_ms);
    }
    /* Place 0 is for entries without a tag. */
    e->tag = how && how->tag ? (uint16_t)(1 + sx_hash_u64(how->tag, 0) % (CACHE_TAGS - 1)) : 0;
}

sx_status sx_cache_put(sx_cache *cache, sx_str key, unsigned class_index, sx_str value,
                       const sx_cache_how *how, sx_error *err)
{
    sx_assert(class_index < cache->class_count);
    uint64_t hash = sx_hash(key, cache->seed);
    cache_shard *s = cache_shard_of(cache, hash);
    if (key.len > cache->key_bytes_max)
        return sx_fail(err, SX_ELIMIT, "cache: a key of %zu bytes; the most is key_bytes_max %zu",
                       key.len, cache->key_bytes_max);
    if (value.len > cache->value_bytes_max || value.len > s->value_room ||
        cache_entry_bytes(key.len, value.len) > s->value_room)
        return sx_fail(err, SX_ELIMIT,
                       "cache: a value of %zu bytes; a shard takes %zu, value_bytes_max is %zu",
                       value.len, s->value_room, cache->value_bytes_max);
    int64_t now_ms = sx_clock_mono_ms(cache->clock);
    cache_entry *e = cache_entry_new(key, hash, value);
    if (!e)
        return sx_fail_memory(err, "a value in a cache");
    e->class_index = (uint8_t)class_index;
    e->epoch = cache->epoch;

    pthread_mutex_lock(&s->lock);
    cache_entry_date(cache, s, e, how, now_ms);
    cache_load_outdate(s, hash, key);
    cache_sketch_add(&s->sketch, hash);
    if (cache->tiers)
        cache_tiers_store(cache->tiers, &(cache_stored){.key = key,
                                                        .value = value,
                                                        .is_put = true,
                                                        .tiers = SX_CACHE_TIERS_MAX,
                                                        .class_of = &cache->classes[class_index],
                                                        .ttl_ms = e->fresh_age,
                                                        .tag = how ? how->tag : 0});
    cache_shard_insert(cache, s, e);
    cache_shard_sweep(cache, s, SWEEP_ON_PUT, now_ms);
    pthread_mutex_unlock(&s->lock);
    if (cache->tiers)
        cache_tiers_flush(cache->tiers);
    cache_entry_drop(e);
    return SX_OK;
}

/* ---- removing ---- */

bool sx_cache_remove(sx_cache *cache, sx_str key)
{
    uint64_t hash = sx_hash(key, cache->seed);
    cache_shard *s = cache_shard_of(cache, hash);
    pthread_mutex_lock(&s->lock);
    cache_load_outdate(s, hash, key);
    cache_entry *e = cache_shard_find(s, hash, key);
    bool was_there = e && !cache_epoch_old(cache, e->epoch, e->class_index, e->tag);
    if (e)
        cache_shard_remove(cache, s, e, CACHE_INVALIDATED);
    if (cache->tiers)
        cache_tiers_remove(cache->tiers, key);
    pthread_mutex_unlock(&s->lock);
    if (cache->tiers)
        cache_tiers_flush(cache->tiers);
    return was_there;
}

/* What began before now is older than the new epoch; what begins from now on is not. */
static void raise_epoch(sx_cache *c, _Atomic uint64_t *of)
{
    uint64_t now = atomic_fetch_add(&c->epoch, 1) + 1, seen = *of;
    while (seen < now && !atomic_compare_exchange_weak(of, &seen, now))
        ;
}

void sx_cache_remove_class(sx_cache *cache, unsigned class_index)
{
    sx_assert(class_index < cache->class_count);
    if (cache->tiers) /* before: what is asked of them from the new epoch on finds nothing old */
        cache_tiers_remove_class(cache->tiers, class_index);
    raise_epoch(cache, &cache->class_epochs[class_index]);
}

void sx_cache_remove_tag(sx_cache *cache, uint64_t tag)
{
    if (!tag)
        return;
    if (cache->tiers)
        cache_tiers_remove_tag(cache->tiers, tag);
    raise_epoch(cache, &cache->tag_epochs[1 + sx_hash_u64(tag, 0) % (CACHE_TAGS - 1)]);
}

static size_t remove_slice(sx_cache *c, cache_shard *s, size_t first, sx_str prefix)
{
    size_t removed = 0;
    for (size_t i = first; i < first + SLICE_BUCKETS && i < s->bucket_count; i++)
        for (cache_entry *next, *e = s->buckets[i]; e; e = next) {
            next = e->chain;
            if (sx_str_starts(cache_entry_key(e), prefix)) {
                cache_shard_remove(c, s, e, CACHE_INVALIDATED);
                removed++;
            }
        }
    return removed;
}

size_t sx_cache_remove_prefix(sx_cache *cache, sx_str prefix)
{
    size_t removed = 0;
    if (cache->tiers)
        cache_tiers_remove_prefix(cache->tiers, prefix);
    for (uint32_t n = 0; n < cache->shard_count; n++) {
        cache_shard *s = &cache->shards[n];
        for (size_t first = 0; first < s->bucket_count; first += SLICE_BUCKETS) {
            pthread_mutex_lock(&s->lock);
            if (first == 0)
                cache_loads_outdate_prefix(s, prefix);
            removed += remove_slice(cache, s, first, prefix);
            pthread_mutex_unlock(&s->lock);
        }
    }
    return removed;
}

size_t sx_cache_sweep(sx_cache *cache)
{
    size_t removed = 0;
    int64_t now_ms = sx_clock_mono_ms(cache->clock);
    for (uint32_t n = 0; n < cache->shard_count; n++) {
        cache_shard *s = &cache->shards[n];
        sx_list due;
        sx_list_init(&due);
        pthread_mutex_lock(&s->lock);
        cache_loads_expire(cache, s, now_ms, &due);
        removed += cache_shard_sweep(cache, s, s->bucket_count / SWEEP_PART + SWEEP_LEAST, now_ms);
        pthread_mutex_unlock(&s->lock);
        cache_deliver(cache, &due);
    }
    if (cache->tiers)
        cache_tiers_sweep(cache->tiers);
    return removed;
}

/* ---- looking at it ---- */

sx_cache_stats sx_cache_stats_of(sx_cache *cache)
{
    sx_cache_stats sum = {.bytes_max = cache->bytes_max};
    for (uint32_t n = 0; n < cache->shard_count; n++) {
        cache_shard *s = &cache->shards[n];
        pthread_mutex_lock(&s->lock);
        const sx_cache_stats *one = &s->stats;
        sum.hits += one->hits;
        sum.stale += one->stale;
        sum.negative += one->negative;
        sum.misses += one->misses;
        sum.bypassed += one->bypassed;
        sum.loads += one->loads;
        sum.loads_failed += one->loads_failed;
        sum.loads_timed_out += one->loads_timed_out;
        sum.loads_late += one->loads_late;
        sum.evicted += one->evicted;
        sum.expired += one->expired;
        sum.invalidated += one->invalidated;
        sum.rejected += one->rejected;
        sum.entries += s->entries;
        sum.bytes += s->fixed_bytes;
        for (size_t segment = CACHE_WINDOW; segment < CACHE_SEGMENTS; segment++)
            sum.bytes += s->segment_bytes[segment];
        sum.loads_now += s->load_count;
        sum.waiters_now += s->waiter_count;
        pthread_mutex_unlock(&s->lock);
    }
    return sum;
}

bool sx_cache_check(sx_cache *cache)
{
    for (uint32_t n = 0; n < cache->shard_count; n++) {
        pthread_mutex_lock(&cache->shards[n].lock);
        cache_shard_check(cache, &cache->shards[n]);
        pthread_mutex_unlock(&cache->shards[n].lock);
    }
    return true;
}

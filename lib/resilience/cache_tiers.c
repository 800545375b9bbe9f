/* cache_tiers.c - the tiers below a cache: making them, writing behind, and what they must not give
 * back. cache_tiers_internal.h draws it; cache_find.c looks things up. */
#include <sextant/cache_tiers.h>

#include <stdio.h>
#include <string.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "resilience/cache_tiers_internal.h"

enum {
    GET_DEFAULT_MS = 50,
    WRITES_DEFAULT = 1024,
    WRITE_BYTES_DEFAULT = 8 << 20,
    WRITES_NOW_DEFAULT = 32,
    BREAKER_NAME_BYTES = 64,
};

/* A set or removal on its way to one tier. */
typedef struct tier_write {
    sx_list link;
    sx_cache_tiers *tiers;
    cache_lane *lane;
    size_t slot;
    int64_t supersedes; /* records stored before this are old; 0: adds only */
    sx_breaker_pass pass;
    uint32_t ttl_ms; /* 0: a removal */
    size_t key_len, record_len;
    char bytes[];
} tier_write;

void sx_cache_tier_free(sx_cache_tier *tier)
{
    if (tier)
        tier->free(tier);
}

/* ---- life ---- */

static sx_status add_metrics(sx_cache_tiers *t, sx_metrics *m, const char *cache, sx_error *err)
{
    static const char *const RESULTS[CACHE_TIER_RESULTS] = {"hit",   "miss",    "corrupt",
                                                            "error", "timeout", "skipped"};
    static const char *const REQUEST_LABELS[] = {"cache", "tier", "result"};
    static const char *const WRITE_LABELS[] = {"cache", "tier", "outcome"};
    sx_metric *requests, *writes;
    sx_status status = sx_metric_new(
        m,
        &(sx_metric_options){.kind = SX_METRIC_COUNTER,
                             .name = "cache_tier_requests_total",
                             .help = "Keys looked for in a tier below a cache, by what it had.",
                             .labels = REQUEST_LABELS,
                             .label_count = 3},
        &requests, err);
    if (status == SX_OK)
        status = sx_metric_new(
            m,
            &(sx_metric_options){.kind = SX_METRIC_COUNTER,
                                 .name = "cache_tier_writes_total",
                                 .help = "Sets and removals sent to a tier below a cache.",
                                 .labels = WRITE_LABELS,
                                 .label_count = 3},
            &writes, err);
    if (status != SX_OK)
        return status;
    for (size_t i = 0; i < t->lane_count; i++) {
        cache_lane *lane = &t->lanes[i];
        sx_str values[3] = {sx_str_z(cache), sx_str_z(lane->tier->name)};
        for (size_t r = 0; r < CACHE_TIER_RESULTS; r++) {
            values[2] = sx_str_z(RESULTS[r]);
            lane->result_counters[r] = sx_metric_counter(requests, values, 3);
        }
        values[2] = SX_STR("ok");
        lane->ok_counter = sx_metric_counter(writes, values, 3);
        values[2] = SX_STR("error");
        lane->error_counter = sx_metric_counter(writes, values, 3);
        values[2] = SX_STR("dropped");
        lane->dropped_counter = sx_metric_counter(writes, values, 3);
    }
    return SX_OK;
}

static void add_breakers(sx_cache_tiers *t, sx_breakers *all)
{
    for (size_t i = 0; i < t->lane_count; i++) {
        char name[BREAKER_NAME_BYTES];
        snprintf(name, sizeof(name), "cache.%s", t->lanes[i].tier->name);
        t->lanes[i].breaker = sx_breakers_get(all, sx_str_z(name), NULL);
    }
}

sx_status sx_cache_tiers_new(const sx_cache_tiers_options *o, sx_cache_tiers **out, sx_error *err)
{
    if (o->count < 1 || o->count > SX_CACHE_TIERS_MAX)
        return sx_fail(err, SX_EINVAL, "cache: %zu tiers; there can be 1 to %d", o->count,
                       SX_CACHE_TIERS_MAX);
    for (size_t i = 0; i < o->count; i++)
        if (!o->tiers[i])
            return sx_fail(err, SX_EINVAL, "cache: tier %zu is NULL", i);
    static const sx_kit NO_KIT = {0};
    const sx_kit *kit = o->kit ? o->kit : &NO_KIT;
    sx_cache_tiers *t = sx_calloc(1, sizeof(*t));
    if (!t)
        return sx_fail_memory(err, "the tiers of a cache");
    sx_str prefix = sx_str_z(o->prefix);
    t->holders = 1;
    t->clock = kit->clock ? kit->clock : sx_clock_system();
    t->get_ms_max = o->get_ms_max ? o->get_ms_max : GET_DEFAULT_MS;
    t->writes_max = o->writes_max ? o->writes_max : WRITES_DEFAULT;
    t->write_bytes_max = o->write_bytes_max ? o->write_bytes_max : WRITE_BYTES_DEFAULT;
    t->writes_now = o->writes_now ? o->writes_now : WRITES_NOW_DEFAULT;
    t->prefix_len = prefix.len;
    t->prefix = sx_alloc(prefix.len + 1);
    t->lanes = sx_calloc(o->count, sizeof(*t->lanes));
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->quiet, NULL);
    sx_list_init(&t->finds);
    if (!t->lanes || !t->prefix) {
        sx_cache_tiers_free(t);
        return sx_fail_memory(err, "the tiers of a cache");
    }
    if (prefix.len)
        memcpy(t->prefix, prefix.data, prefix.len);
    t->lane_count = o->count;
    for (size_t i = 0; i < o->count; i++) {
        t->lanes[i].tier = o->tiers[i];
        sx_list_init(&t->lanes[i].waiting);
    }
    if (kit->breakers)
        add_breakers(t, kit->breakers);
    sx_status status =
        kit->metrics ? add_metrics(t, kit->metrics, o->name ? o->name : "default", err) : SX_OK;
    if (status != SX_OK) {
        sx_cache_tiers_free(t);
        return status;
    }
    *out = t;
    return SX_OK;
}

void cache_tiers_hold(sx_cache_tiers *t)
{
    t->holders++;
}

void cache_tiers_drop(sx_cache_tiers *t)
{
    pthread_mutex_lock(&t->lock);
    bool is_last = --t->holders == 0;
    pthread_mutex_unlock(&t->lock);
    if (!is_last)
        return;
    for (size_t i = 0; i < CACHE_PREFIXES; i++)
        sx_free((char *)t->prefixes[i].prefix.data);
    pthread_cond_destroy(&t->quiet);
    pthread_mutex_destroy(&t->lock);
    sx_free(t->lanes);
    sx_free(t->prefix);
    sx_free(t);
}

void sx_cache_tiers_free(sx_cache_tiers *tiers)
{
    if (!tiers)
        return;
    sx_list dropped;
    sx_list_init(&dropped);
    pthread_mutex_lock(&tiers->lock);
    sx_assert(!tiers->cache); /* the cache goes first */
    tiers->is_closed = true;
    for (size_t i = 0; i < tiers->lane_count; i++)
        sx_list_splice_back(&dropped, &tiers->lanes[i].waiting);
    tiers->holders -= sx_list_count(&dropped);
    pthread_mutex_unlock(&tiers->lock);
    sx_list *link;
    while ((link = sx_list_pop_front(&dropped)))
        sx_free(SX_CONTAINER_OF(link, tier_write, link));
    cache_tiers_drop(tiers);
}

sx_status cache_tiers_attach(sx_cache_tiers *t, sx_cache *cache, sx_error *err)
{
    pthread_mutex_lock(&t->lock);
    bool is_free = !t->cache;
    if (is_free)
        t->cache = cache;
    pthread_mutex_unlock(&t->lock);
    if (!is_free)
        return sx_fail(
            err, SX_EINVAL,
            "cache: these tiers are below another cache; make others over the same tier");
    return SX_OK;
}

void cache_tiers_detach(sx_cache_tiers *t)
{
    pthread_mutex_lock(&t->lock);
    t->cache = NULL;
    while (t->busy)
        pthread_cond_wait(&t->quiet, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

/* ---- writing behind ---- */

static void count(sx_counter *counter)
{
    if (counter)
        sx_counter_add(counter, 1);
}

static void raise_to(int64_t *at, int64_t to)
{
    if (*at < to)
        *at = to;
}

/* A write that the tier does not have: what it was to replace may still be there. Lock held. */
static void note_failed(tier_write *w)
{
    if (w->supersedes)
        raise_to(&w->lane->failed[w->slot], w->supersedes);
}

static void drop_oldest(sx_cache_tiers *t, cache_lane *lane)
{
    tier_write *w = SX_CONTAINER_OF(sx_list_pop_front(&lane->waiting), tier_write, link);
    lane->waiting_count--;
    lane->waiting_bytes -= w->key_len + w->record_len;
    lane->dropped++;
    count(lane->dropped_counter);
    note_failed(w);
    t->holders--; /* the cache's own hold is still there */
    sx_free(w);
}

static void note_lost(cache_lane *lane, size_t slot, int64_t supersedes)
{
    lane->dropped++;
    count(lane->dropped_counter);
    if (supersedes)
        raise_to(&lane->failed[slot], supersedes);
}

/* Puts one write at the end of a lane. Lock held. */
static void enqueue(sx_cache_tiers *t, cache_lane *lane, const cache_record *record, sx_str key,
                    uint32_t ttl_ms, int64_t supersedes)
{
    size_t key_len = t->prefix_len + key.len;
    size_t record_len = record ? CACHE_RECORD_HEAD + record->value.len : 0;
    size_t slot = sx_hash(key, 0) % CACHE_SLOTS;
    if (t->is_closed)
        return;
    tier_write *w = key_len + record_len <= t->write_bytes_max
                        ? sx_alloc(sizeof(*w) + key_len + record_len)
                        : NULL;
    if (!w) {
        note_lost(lane, slot, supersedes);
        return;
    }
    *w = (tier_write){.tiers = t,
                      .lane = lane,
                      .slot = slot,
                      .supersedes = supersedes,
                      .ttl_ms = ttl_ms,
                      .key_len = key_len,
                      .record_len = record_len};
    memcpy(w->bytes, t->prefix, t->prefix_len);
    if (key.len)
        memcpy(w->bytes + t->prefix_len, key.data, key.len);
    if (record)
        cache_record_write(record, sx_str_of(w->bytes, key_len), w->bytes + key_len);
    while (lane->waiting_count && (lane->waiting_count >= t->writes_max ||
                                   lane->waiting_bytes + key_len + record_len > t->write_bytes_max))
        drop_oldest(t, lane);
    raise_to(&lane->pending[slot], supersedes);
    sx_list_init(&w->link);
    sx_list_push_back(&lane->waiting, &w->link);
    lane->waiting_count++;
    lane->waiting_bytes += key_len + record_len;
    cache_tiers_hold(t);
}

static void send_waiting(sx_cache_tiers *t, cache_lane *lane);

static void end_write(tier_write *w, bool is_done)
{
    sx_cache_tiers *t = w->tiers;
    cache_lane *lane = w->lane;
    pthread_mutex_lock(&t->lock);
    lane->writing--;
    if (is_done) {
        lane->written++;
        count(lane->ok_counter);
        if (w->supersedes && lane->pending[w->slot] == w->supersedes)
            lane->pending[w->slot] = 0;
    } else {
        lane->write_errors++;
        count(lane->error_counter);
        note_failed(w);
    }
    pthread_mutex_unlock(&t->lock);
    sx_free(w);
}

static void on_written(void *ctx, sx_status status, sx_str record)
{
    (void)record;
    tier_write *w = ctx;
    sx_cache_tiers *t = w->tiers;
    cache_lane *lane = w->lane;
    /* A removal of what is not there is done. */
    bool is_done = status == SX_OK || status == SX_ENOTFOUND;
    if (lane->breaker)
        sx_breaker_done(lane->breaker, &w->pass, is_done);
    end_write(w, is_done);
    send_waiting(t, lane);
    cache_tiers_drop(t);
}

static void send_one(tier_write *w)
{
    sx_cache_tiers *t = w->tiers;
    sx_cache_tier *tier = w->lane->tier;
    if (w->lane->breaker && !sx_breaker_allow(w->lane->breaker, &w->pass)) {
        end_write(w, false);
        cache_tiers_drop(t);
        return;
    }
    sx_str key = sx_str_of(w->bytes, w->key_len);
    if (w->ttl_ms)
        tier->set(tier, key, sx_str_of(w->bytes + w->key_len, w->record_len), w->ttl_ms, on_written,
                  w);
    else
        tier->remove(tier, key, on_written, w);
}

/* Gives the tier as much as it may have at once. One thread at a time, so that the order stays; what
 * comes meanwhile is sent by the same one. The caller holds `t`. */
static void send_waiting(sx_cache_tiers *t, cache_lane *lane)
{
    pthread_mutex_lock(&t->lock);
    if (lane->is_sending) {
        pthread_mutex_unlock(&t->lock);
        return;
    }
    lane->is_sending = true;
    while (!t->is_closed && lane->writing < t->writes_now && lane->waiting_count) {
        tier_write *w = SX_CONTAINER_OF(sx_list_pop_front(&lane->waiting), tier_write, link);
        lane->waiting_count--;
        lane->waiting_bytes -= w->key_len + w->record_len;
        lane->writing++;
        pthread_mutex_unlock(&t->lock);
        send_one(w);
        pthread_mutex_lock(&t->lock);
    }
    lane->is_sending = false;
    pthread_mutex_unlock(&t->lock);
}

void cache_tiers_flush(sx_cache_tiers *t)
{
    for (size_t i = 0; i < t->lane_count; i++)
        send_waiting(t, &t->lanes[i]);
}

void cache_tiers_store(sx_cache_tiers *t, const cache_stored *what)
{
    const sx_cache_class *k = what->class_of;
    int64_t now_ms = sx_clock_ms(t->clock), stored_ms = now_ms - what->age_ms;
    if (stored_ms < 0 || what->age_ms >= what->ttl_ms || what->value.len > UINT32_MAX)
        return;
    cache_record record = {.is_absent = what->is_absent,
                           .class_version = k->version,
                           .class_hash = sx_hash(sx_str_z(k->name), 0),
                           .stored_ms = stored_ms,
                           .fresh_until_ms = stored_ms + what->ttl_ms,
                           .tag = what->tag,
                           .value = what->value};
    size_t count_of = what->tiers < t->lane_count ? what->tiers : t->lane_count;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < count_of; i++)
        enqueue(t, &t->lanes[i], &record, what->key, what->ttl_ms - (uint32_t)what->age_ms,
                what->is_put ? stored_ms : 0);
    pthread_mutex_unlock(&t->lock);
}

/* ---- forgetting ---- */

void cache_tiers_remove(sx_cache_tiers *t, sx_str key)
{
    int64_t now_ms = sx_clock_ms(t->clock);
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->lane_count; i++)
        enqueue(t, &t->lanes[i], NULL, key, 0, now_ms + 1);
    pthread_mutex_unlock(&t->lock);
}

void cache_tiers_remove_class(sx_cache_tiers *t, unsigned class_index)
{
    int64_t now_ms = sx_clock_ms(t->clock);
    pthread_mutex_lock(&t->lock);
    raise_to(&t->class_walls[class_index], now_ms);
    pthread_mutex_unlock(&t->lock);
}

void cache_tiers_remove_tag(sx_cache_tiers *t, uint64_t tag)
{
    int64_t now_ms = sx_clock_ms(t->clock);
    pthread_mutex_lock(&t->lock);
    raise_to(&t->tag_walls[tag % CACHE_SLOTS], now_ms);
    pthread_mutex_unlock(&t->lock);
}

/* Kept in a ring: the one that has to go, and one that there is no memory for, turns into "all". */
void cache_tiers_remove_prefix(sx_cache_tiers *t, sx_str prefix)
{
    int64_t now_ms = sx_clock_ms(t->clock);
    char *copy = prefix.len ? sx_alloc(prefix.len) : NULL;
    if (copy)
        memcpy(copy, prefix.data, prefix.len);
    pthread_mutex_lock(&t->lock);
    if (!copy) {
        raise_to(&t->all_wall, now_ms);
    } else {
        size_t at = t->prefix_turn++ % CACHE_PREFIXES;
        raise_to(&t->all_wall, t->prefixes[at].wall_ms);
        sx_free((char *)t->prefixes[at].prefix.data);
        t->prefixes[at].prefix = sx_str_of(copy, prefix.len);
        t->prefixes[at].wall_ms = now_ms;
    }
    pthread_mutex_unlock(&t->lock);
}

bool cache_tiers_is_old(const sx_cache_tiers *t, const cache_lane *lane, sx_str key,
                        unsigned class_index, const cache_record *r)
{
    size_t slot = sx_hash(key, 0) % CACHE_SLOTS;
    if (r->stored_ms < lane->pending[slot] || r->stored_ms < lane->failed[slot] ||
        r->stored_ms <= t->class_walls[class_index] || r->stored_ms <= t->all_wall ||
        (r->tag && r->stored_ms <= t->tag_walls[r->tag % CACHE_SLOTS]))
        return true;
    for (size_t i = 0; i < CACHE_PREFIXES; i++)
        if (t->prefixes[i].prefix.len && r->stored_ms <= t->prefixes[i].wall_ms &&
            sx_str_starts(key, t->prefixes[i].prefix))
            return true;
    return false;
}

/* ---- looking at it ---- */

sx_cache_tier_stats sx_cache_tiers_stats_of(sx_cache_tiers *tiers, size_t index)
{
    sx_assert(index < tiers->lane_count);
    const cache_lane *lane = &tiers->lanes[index];
    pthread_mutex_lock(&tiers->lock);
    sx_cache_tier_stats s = {.name = lane->tier->name,
                             .hits = lane->results[CACHE_TIER_HIT],
                             .misses = lane->results[CACHE_TIER_MISS],
                             .corrupt = lane->results[CACHE_TIER_CORRUPT],
                             .errors = lane->results[CACHE_TIER_ERROR],
                             .timeouts = lane->results[CACHE_TIER_TIMEOUT],
                             .skipped = lane->results[CACHE_TIER_SKIPPED],
                             .written = lane->written,
                             .write_errors = lane->write_errors,
                             .dropped = lane->dropped,
                             .queued = lane->waiting_count,
                             .queued_bytes = lane->waiting_bytes,
                             .writing = lane->writing};
    pthread_mutex_unlock(&tiers->lock);
    return s;
}

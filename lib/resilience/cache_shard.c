/* cache_shard.c - one shard of a cache: where its entries are found, in which order they stand, and
 * who has to go. Called by cache.c and cache_load.c with the shard's lock held. */
#include <string.h>

#include <sextant/mem.h>

#include "resilience/cache_internal.h"

enum {
    /* What an allocation costs beyond its bytes, and to what it is rounded: glibc's. */
    HEAP_HEAD = 16,
    HEAP_ROUND = 16,
    /* An entry is expected to take so much: buckets and counters are made for that. With smaller
     * ones chains grow a little and counts blur a little; nothing breaks. */
    ENTRY_BYTES_USUAL = 256,
    WINDOW_PERCENT = 1,
    PROTECTED_PERCENT = 80,
    VALUE_PART = 8, /* an entry may take an eighth of its shard */
    FRONT_PART = 8,
};

size_t cache_entry_bytes(size_t key_len, size_t value_len)
{
    size_t bytes = sizeof(cache_entry) + key_len + value_len + HEAP_HEAD;
    return (bytes + HEAP_ROUND - 1) / HEAP_ROUND * HEAP_ROUND;
}

cache_entry *cache_entry_new(sx_str key, uint64_t hash, sx_str value)
{
    cache_entry *e = sx_alloc(sizeof(*e) + key.len + value.len);
    if (!e)
        return NULL;
    *e = (cache_entry){
        .hash = hash, .holders = 1, .key_len = (uint32_t)key.len, .value_len = (uint32_t)value.len};
    if (key.len && key.data)
        memcpy(e->bytes, key.data, key.len);
    if (value.len)
        memcpy(e->bytes + key.len, value.data, value.len);
    return e;
}

void cache_entry_drop(cache_entry *e)
{
    /* Release what we read before another thread frees it; acquire what they read before we do. */
    if (atomic_fetch_sub_explicit(&e->holders, 1, memory_order_acq_rel) == 1)
        sx_free(e);
}

bool cache_shard_init(cache_shard *s, size_t part_bytes, uint64_t seed)
{
    sx_assert(part_bytes >= CACHE_SHARD_BYTES_MIN);
    *s = (cache_shard){.bucket_count = 1};
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind,
                              PTHREAD_MUTEX_ADAPTIVE_NP); /* held for tens of ns: spin a little */
    pthread_mutex_init(&s->lock, &kind);
    pthread_mutexattr_destroy(&kind);
    for (size_t i = 0; i < CACHE_SEGMENTS; i++)
        sx_list_init(&s->segments[i]);
    sx_list_init(&s->flying);
    sx_list_init(&s->overdue);
    sx_random_seed(&s->random, seed);

    size_t expected = part_bytes / ENTRY_BYTES_USUAL;
    while (s->bucket_count < expected)
        s->bucket_count *= 2;
    s->fixed_bytes =
        sizeof(*s) + s->bucket_count * sizeof(*s->buckets) + cache_sketch_bytes(expected);
    sx_assert(s->fixed_bytes < part_bytes / 2);
    s->room_bytes = part_bytes - s->fixed_bytes;
    s->window_bytes_max = s->room_bytes * WINDOW_PERCENT / 100;
    s->protected_bytes_max = (s->room_bytes - s->window_bytes_max) / 100 * PROTECTED_PERCENT;
    s->value_room = s->room_bytes / VALUE_PART;
    s->buckets = sx_calloc(s->bucket_count, sizeof(*s->buckets));
    return cache_sketch_init(&s->sketch, expected) && s->buckets;
}

void cache_shard_done(sx_cache *c, cache_shard *s)
{
    double bytes = 0;
    for (size_t segment = CACHE_WINDOW; segment < CACHE_SEGMENTS; segment++) {
        bytes += (double)s->segment_bytes[segment];
        sx_list *link;
        while ((link = sx_list_pop_front(&s->segments[segment])))
            cache_entry_drop(SX_CONTAINER_OF(link, cache_entry, link));
    }
    cache_move(c->metrics.entries, -(double)s->entries);
    cache_move(c->metrics.bytes, -bytes);
    sx_free(s->buckets);
    cache_sketch_done(&s->sketch);
    pthread_mutex_destroy(&s->lock);
}

static cache_entry **bucket_of(const cache_shard *s, uint64_t hash)
{
    return &s->buckets[hash & (s->bucket_count - 1)];
}

cache_entry *cache_shard_find(const cache_shard *s, uint64_t hash, sx_str key)
{
    for (cache_entry *e = *bucket_of(s, hash); e; e = e->chain)
        if (e->hash == hash && sx_str_eq(cache_entry_key(e), key))
            return e;
    return NULL;
}

/* ---- order ---- */

static void take_off(cache_shard *s, cache_entry *e)
{
    sx_list_remove(&e->link);
    s->segment_bytes[e->segment] -= cache_entry_size(e);
    e->segment = CACHE_NOWHERE;
}

static void put_first(cache_shard *s, cache_entry *e, cache_segment segment)
{
    sx_list_push_front(&s->segments[segment], &e->link);
    s->segment_bytes[segment] += cache_entry_size(e);
    e->segment = (uint8_t)segment;
    e->moved = s->moves++;
}

static cache_entry *oldest(const cache_shard *s, cache_segment segment)
{
    const sx_list *head = &s->segments[segment];
    return sx_list_empty(head) ? NULL : SX_CONTAINER_OF(head->prev, cache_entry, link);
}

/* What is too much for the protected part goes back on probation. */
static void demote(cache_shard *s)
{
    while (s->segment_bytes[CACHE_PROTECTED] > s->protected_bytes_max) {
        cache_entry *least = oldest(s, CACHE_PROTECTED);
        take_off(s, least);
        put_first(s, least, CACHE_PROBATION);
    }
}

void cache_shard_touch(cache_shard *s, cache_entry *e)
{
    if (e->segment != CACHE_PROBATION) {
        /* So few moved since that it is still well in front: leave the neighbours' cache lines alone. */
        if (s->moves - e->moved < s->entries / FRONT_PART)
            return;
        sx_list_remove(&e->link);
        sx_list_push_front(&s->segments[e->segment], &e->link);
        e->moved = s->moves++;
        return;
    }
    take_off(s, e);
    put_first(s, e, CACHE_PROTECTED);
    demote(s);
}

/* ---- out ---- */

static void count_removed(sx_cache *c, cache_shard *s, cache_why why)
{
    switch (why) {
    case CACHE_EVICTED:
        s->stats.evicted++;
        cache_count(c->metrics.evicted_size);
        break;
    case CACHE_REJECTED:
        s->stats.rejected++;
        cache_count(c->metrics.rejected);
        break;
    case CACHE_EXPIRED:
        s->stats.expired++;
        cache_count(c->metrics.evicted_expired);
        break;
    case CACHE_INVALIDATED:
        s->stats.invalidated++;
        cache_count(c->metrics.evicted_invalidated);
        break;
    case CACHE_REPLACED:
        break;
    }
}

void cache_shard_remove(sx_cache *c, cache_shard *s, cache_entry *e, cache_why why)
{
    cache_entry **at = bucket_of(s, e->hash);
    while (*at != e) {
        sx_assert(*at);
        at = &(*at)->chain;
    }
    *at = e->chain;
    take_off(s, e);
    s->entries--;
    cache_move(c->metrics.entries, -1);
    cache_move(c->metrics.bytes, -(double)cache_entry_size(e));
    count_removed(c, s, why);
    cache_entry_drop(e);
}

static size_t used_bytes(const cache_shard *s)
{
    return s->segment_bytes[CACHE_WINDOW] + s->segment_bytes[CACHE_PROBATION] +
           s->segment_bytes[CACHE_PROTECTED];
}

static void evict_any(sx_cache *c, cache_shard *s)
{
    static const cache_segment ORDER[] = {CACHE_PROBATION, CACHE_PROTECTED, CACHE_WINDOW};
    for (size_t i = 0; i < SX_COUNT_OF(ORDER); i++) {
        cache_entry *e = oldest(s, ORDER[i]);
        if (e) {
            cache_shard_remove(c, s, e, CACHE_EVICTED);
            return;
        }
    }
    sx_assert(!"a shard without entries has room");
}

/* Entries that leave the window become candidates at the front of probation, the oldest of them
 * first in line. While there is too much a candidate stands against the oldest on probation: who was
 * asked for more often lately stays, and on a tie the one that is there, so that a scan (all of whose
 * keys have been seen once) changes nothing. A big candidate has to win against each that it
 * displaces. */
static void make_room(sx_cache *c, cache_shard *s)
{
    cache_entry *candidate = NULL;
    while (s->segment_bytes[CACHE_WINDOW] > s->window_bytes_max) {
        cache_entry *e = oldest(s, CACHE_WINDOW);
        take_off(s, e);
        put_first(s, e, CACHE_PROBATION);
        candidate = candidate ? candidate : e;
    }
    while (used_bytes(s) > s->room_bytes) {
        if (!candidate) {
            evict_any(c, s);
            continue;
        }
        cache_entry *victim = oldest(s, CACHE_PROBATION);
        if (victim != candidate && cache_sketch_get(&s->sketch, candidate->hash) >
                                       cache_sketch_get(&s->sketch, victim->hash)) {
            cache_shard_remove(c, s, victim, CACHE_EVICTED);
            continue;
        }
        sx_list *newer = candidate->link.prev;
        cache_shard_remove(c, s, candidate, CACHE_REJECTED);
        candidate = newer == &s->segments[CACHE_PROBATION]
                        ? NULL
                        : SX_CONTAINER_OF(newer, cache_entry, link);
    }
}

void cache_shard_insert(sx_cache *c, cache_shard *s, cache_entry *e)
{
    cache_entry *old = cache_shard_find(s, e->hash, cache_entry_key(e));
    cache_segment segment = CACHE_WINDOW;
    if (old) {
        segment = old->segment; /* a new value of a hot key is as hot */
        cache_shard_remove(c, s, old, CACHE_REPLACED);
    }
    atomic_fetch_add_explicit(&e->holders, 1, memory_order_relaxed);
    cache_entry **bucket = bucket_of(s, e->hash);
    e->chain = *bucket;
    *bucket = e;
    sx_list_init(&e->link);
    put_first(s, e, segment);
    demote(s);
    s->entries++;
    cache_move(c->metrics.entries, 1);
    cache_move(c->metrics.bytes, (double)cache_entry_size(e));
    make_room(c, s);
}

/* ---- what has expired ---- */

size_t cache_shard_sweep(sx_cache *c, cache_shard *s, size_t buckets, int64_t now_ms)
{
    size_t removed = 0;
    for (size_t i = 0; i < buckets && i < s->bucket_count; i++) {
        cache_entry *next, *e = s->buckets[s->hand];
        for (; e; e = next) {
            next = e->chain;
            bool is_old = cache_epoch_old(c, e->epoch, e->class_index, e->tag);
            if (is_old || cache_entry_age(e, now_ms) >= e->dead_age) {
                cache_shard_remove(c, s, e, is_old ? CACHE_INVALIDATED : CACHE_EXPIRED);
                removed++;
            }
        }
        s->hand = (s->hand + 1) & (s->bucket_count - 1);
    }
    return removed;
}

void cache_shard_check(const sx_cache *c, const cache_shard *s)
{
    size_t listed = 0, chained = 0;
    for (size_t segment = CACHE_WINDOW; segment < CACHE_SEGMENTS; segment++) {
        size_t bytes = 0;
        sx_list *it;
        SX_LIST_EACH(it, &s->segments[segment])
        {
            const cache_entry *e = SX_CONTAINER_OF(it, cache_entry, link);
            sx_assert(e->segment == segment && e->holders >= 1);
            sx_assert(cache_shard_find(s, e->hash, cache_entry_key(e)) == e);
            sx_assert(e->class_index < c->class_count && e->tag < CACHE_TAGS);
            sx_assert(e->fresh_age <= e->stale_age && e->stale_age <= e->dead_age);
            bytes += cache_entry_size(e);
            listed++;
        }
        sx_assert(bytes == s->segment_bytes[segment]);
    }
    for (size_t i = 0; i < s->bucket_count; i++)
        for (const cache_entry *e = s->buckets[i]; e; e = e->chain)
            chained++;
    sx_assert(listed == s->entries && chained == s->entries);
    sx_assert(used_bytes(s) <= s->room_bytes);
    sx_assert(s->segment_bytes[CACHE_WINDOW] <= s->window_bytes_max);
    sx_assert(s->segment_bytes[CACHE_PROTECTED] <= s->protected_bytes_max);

    size_t loads = 0, waiters = 0;
    for (size_t i = 0; i < CACHE_LOAD_BUCKETS; i++)
        for (const cache_load *l = s->loads[i]; l; l = l->chain) {
            loads++;
            waiters += l->waiter_count;
            sx_assert(sx_list_count(&l->waiters) == l->waiter_count);
            sx_assert(!l->is_overdue || (l->waiter_count == 0 && !l->is_outdated));
        }
    sx_assert(loads == s->load_count && waiters == s->waiter_count);
    sx_assert(sx_list_count(&s->flying) + sx_list_count(&s->overdue) == loads);
}

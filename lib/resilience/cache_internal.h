/* cache_internal.h - the parts of a cache, for the files that make it.
 *
 *     cache_new.c     making and freeing, options, metrics
 *     cache.c         asking, storing, removing
 *     cache_load.c    duties and those who wait for them
 *     cache_shard.c   one shard: its index, its three lists, who is evicted
 *     cache_sketch.c  how often keys were asked for
 *     cache_lower.h   what it says to the tiers below it, where it has any
 *
 * A shard:
 *
 *     buckets  [ ]->entry->entry   chained by hash; of fixed size, so nothing is ever rehashed
 *     window   newest … oldest     1 % of the bytes: everything new is here first
 *     probation, protected         the rest, at most 80 % of it protected: what was hit again
 *     loads    keyed by hash       duties under way (`flying`, by deadline) and overdue ones
 *
 * Everything in a shard is touched under its lock, but for an entry's bytes, which never change, and
 * its count of holders. Callbacks run with no lock held: what is to be delivered is gathered in a
 * list under the lock (sx_list of cache_waiter) and given to cache_deliver after it. */
#ifndef SEXTANT_RESILIENCE_CACHE_INTERNAL_H
#define SEXTANT_RESILIENCE_CACHE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <sextant/cache.h>
#include <sextant/hash.h>
#include <sextant/list.h>
#include <sextant/random.h>

#include "net/loop_internal.h"
#include "resilience/cache_lower.h"
#include "resilience/cache_sketch.h"

typedef enum cache_segment {
    CACHE_NOWHERE,
    CACHE_WINDOW,
    CACHE_PROBATION,
    CACHE_PROTECTED
} cache_segment;
enum { CACHE_SEGMENTS = 4, CACHE_LOAD_BUCKETS = 128, CACHE_TAGS = 4096 };

typedef struct cache_entry {
    struct cache_entry *chain;
    sx_list link; /* of its segment, most recent first */
    uint64_t hash;
    int64_t stored_ms; /* monotonic */
    /* Ages in ms: fresh below the first, served while loaded anew below the second, standing in for a
     * failed load below the third; no new load before retry_age after one failed. */
    uint32_t fresh_age, stale_age, dead_age, retry_age;
    /* The cache's epoch when its load began; forgotten if its class or tag was removed since. */
    uint64_t epoch;
    _Atomic uint32_t holders; /* the index and each view; who takes the last one away frees it */
    uint32_t key_len, value_len;
    uint32_t moved; /* the shard's count of moves when it last became the first of its list */
    uint16_t tag;   /* its place among the tags; 0: none */
    uint8_t class_index;
    uint8_t segment; /* cache_segment */
    uint8_t status;  /* sx_status: SX_OK for a value, else negative */
    char bytes[];    /* the key, then the value */
} cache_entry;

/* One who waits for a load. */
typedef struct cache_waiter {
    sx_list link;
    sx_cache_answer_fn *answer;
    void *ctx;
    sx_loop *loop;
    loop_post
        *post; /* taken when the wait begins, so that telling cannot fail; NULL without a loop */
    sx_cache_result result;
    sx_cache_view view;
} cache_waiter;

/* A duty. */
typedef struct cache_load {
    struct cache_load *chain;
    sx_list link; /* of shard.flying or shard.overdue */
    uint64_t id, hash, epoch;
    int64_t start_ms, due_ms;
    sx_list waiters;
    /* Among them: who is to be told LOAD should the tiers have nothing; NULL: nobody. */
    struct cache_waiter *first;
    uint32_t waiter_count;
    uint8_t class_index;
    bool is_overdue; /* those who waited were told; a late answer is still welcome */
    /* The key was removed or put since it began: it answers those who wait, its value is not stored,
     * and who asks now begins another. */
    bool is_outdated;
    size_t key_len;
    char key[];
} cache_load;

typedef struct cache_shard {
    pthread_mutex_t lock;
    cache_entry **buckets;
    size_t bucket_count;              /* a power of two */
    sx_list segments[CACHE_SEGMENTS]; /* [CACHE_NOWHERE] unused */
    size_t segment_bytes[CACHE_SEGMENTS];
    size_t fixed_bytes; /* shard, buckets, sketch */
    size_t room_bytes;  /* for entries: the shard's part of bytes_max without fixed_bytes */
    size_t window_bytes_max, protected_bytes_max;
    size_t value_room; /* an entry may take so much */
    size_t entries;
    uint32_t moves; /* to the front of some list, ever */
    size_t hand;    /* the sweep's next bucket */
    cache_sketch sketch;
    sx_random random;
    cache_load *loads[CACHE_LOAD_BUCKETS];
    sx_list flying, overdue; /* earliest due first */
    uint32_t load_count, waiter_count;
    uint64_t last_id;
    sx_cache_stats stats; /* the counts of it */
} __attribute__((aligned(64))) cache_shard;

/* Handles of its metrics; all NULL without a registry. */
typedef struct cache_metrics {
    sx_counter *requests[SX_CACHE_RESULTS]; /* the four results; others NULL */
    sx_counter *evicted_size, *evicted_expired, *evicted_invalidated;
    sx_counter *rejected;
    sx_counter *load_ok, *load_absent, *load_failed, *load_timeout, *load_late, *load_tier;
    sx_gauge *entries, *bytes, *waiters;
    sx_histogram *load_seconds;
} cache_metrics;

struct sx_cache {
    cache_shard *shards;
    void *shards_memory;
    uint32_t shard_count, shard_bits;
    sx_cache_class classes[SX_CACHE_CLASSES_MAX];
    uint32_t class_count;
    size_t bytes_max, key_bytes_max, value_bytes_max;
    uint32_t load_ms_max, waiters_max, loads_max; /* the last for a shard */
    uint64_t seed;
    const sx_clock *clock;
    cache_metrics metrics;
    sx_loop *loop; /* that sweeps; NULL: none */
    sx_timer timer;
    unsigned ticks;         /* of the timer */
    sx_cache_tiers *tiers;  /* NULL: none */
    _Atomic uint64_t epoch; /* rises with each removal of a class or tag */
    _Atomic uint64_t class_epochs[SX_CACHE_CLASSES_MAX]; /* of the last removal of each */
    _Atomic uint64_t tag_epochs[CACHE_TAGS];
};

/* ---- cache_shard.c: with the shard's lock held ---- */

typedef enum cache_why {
    CACHE_EVICTED,
    CACHE_REJECTED,
    CACHE_EXPIRED,
    CACHE_INVALIDATED,
    CACHE_REPLACED
} cache_why;

/* Shard memory for a part of bytes_max. False without memory; done works after either. */
bool cache_shard_init(cache_shard *s, size_t part_bytes, uint64_t seed);
void cache_shard_done(sx_cache *c, cache_shard *s);

/* The least part that a shard can work with. */
enum { CACHE_SHARD_BYTES_MIN = 64 << 10 };

/* What an entry of these lengths counts for. */
size_t cache_entry_bytes(size_t key_len, size_t value_len);

/* An entry held once, by the caller, in no shard; NULL without memory. */
cache_entry *cache_entry_new(sx_str key, uint64_t hash, sx_str value);
void cache_entry_drop(cache_entry *e);

static inline sx_str cache_entry_key(const cache_entry *e)
{
    return sx_str_of(e->bytes, e->key_len);
}

static inline sx_str cache_entry_value(const cache_entry *e)
{
    return sx_str_of(e->bytes + e->key_len, e->value_len);
}

static inline size_t cache_entry_size(const cache_entry *e)
{
    return cache_entry_bytes(e->key_len, e->value_len);
}

/* The entry of a key, or NULL. */
cache_entry *cache_shard_find(const cache_shard *s, uint64_t hash, sx_str key);

/* It was asked for: moves up in its lists. */
void cache_shard_touch(cache_shard *s, cache_entry *e);

/* Puts a new entry in (the shard holds it once more), in place of one of the same key, then evicts
 * what is too much, which may be the new one. */
void cache_shard_insert(sx_cache *c, cache_shard *s, cache_entry *e);

/* Takes one out. */
void cache_shard_remove(sx_cache *c, cache_shard *s, cache_entry *e, cache_why why);

/* Looks at `buckets` buckets from the hand on and removes what has expired. Returns how many. */
size_t cache_shard_sweep(sx_cache *c, cache_shard *s, size_t buckets, int64_t now_ms);

/* Asserts its invariants. */
void cache_shard_check(const sx_cache *c, const cache_shard *s);

/* Forgotten by the removal of its class or tag? */
static inline bool cache_epoch_old(const sx_cache *c, uint64_t epoch, unsigned class_index,
                                   unsigned tag)
{
    return c->class_epochs[class_index] > epoch || (tag && c->tag_epochs[tag] > epoch);
}

/* Milliseconds since it was stored; another thread's `now` may be a little behind. */
static inline uint64_t cache_entry_age(const cache_entry *e, int64_t now_ms)
{
    return now_ms > e->stored_ms ? (uint64_t)(now_ms - e->stored_ms) : 0;
}

/* ---- cache_load.c ---- */

/* What cache_load_ask needs to know of an asker. */
typedef struct cache_asking {
    sx_str key;
    uint64_t hash;
    unsigned class_index;
    bool is_refresh; /* it has a stale value: never waits */
    int64_t now_ms;
    const sx_cache_ask *ask;
} cache_asking;

/* The key is missing or stale; the shard's lock is held. LOAD (with *token), WAIT or BYPASS. An asker
 * that gets the duty, has a loader and wants an answer waits for it too. */
sx_cache_result cache_load_ask(sx_cache *c, cache_shard *s, const cache_asking *a,
                               sx_cache_token *token);

/* Ends what is overdue: waiters go to `due`. Lock held. */
void cache_loads_expire(sx_cache *c, cache_shard *s, int64_t now_ms, sx_list *due);

/* A load of the key under way is not to be stored. Lock held. */
void cache_load_outdate(cache_shard *s, uint64_t hash, sx_str key);
void cache_loads_outdate_prefix(cache_shard *s, sx_str prefix);

/* Ends all duties with SX_ECANCELED. Lock held. */
void cache_loads_cancel(cache_shard *s, sx_list *due);

/* Calls back those in `due`. No lock held. */
void cache_deliver(sx_cache *c, sx_list *due);

/* ---- cache.c ---- */

/* Adds a hold for a view of `e`. */
sx_cache_view cache_view_of(cache_entry *e, int64_t now_ms);

/* In cache_how.jitter_percent: none, whatever the class says. */
#define CACHE_NO_JITTER UINT32_MAX

/* Times of a new entry by its class and `how`. */
void cache_entry_date(sx_cache *c, cache_shard *s, cache_entry *e, const sx_cache_how *how,
                      int64_t now_ms);

static inline cache_shard *cache_shard_of(const sx_cache *c, uint64_t hash)
{
    return &c->shards[c->shard_bits ? hash >> (64 - c->shard_bits) : 0];
}

static inline void cache_count(sx_counter *counter)
{
    if (counter)
        sx_counter_add(counter, 1);
}

static inline void cache_move(sx_gauge *gauge, double delta)
{
    if (gauge)
        sx_gauge_add(gauge, delta);
}

#endif

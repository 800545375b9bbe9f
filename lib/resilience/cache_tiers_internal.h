/* cache_tiers_internal.h - what the two halves of the tiers share: cache_tiers.c (making, writing,
 * forgetting) and cache_find.c (looking).
 *
 * Each tier has a lane: its queue of writes, its breaker, its numbers, and the times from which on
 * records of a key are good. Everything is under the one lock; a tier is never called with it held.
 * Whatever a tier still has to answer (a find, a write) holds a count on the whole, so that an answer
 * after sx_cache_tiers_free finds it. */
#ifndef SEXTANT_RESILIENCE_CACHE_TIERS_INTERNAL_H
#define SEXTANT_RESILIENCE_CACHE_TIERS_INTERNAL_H

#include <pthread.h>

#include <sextant/list.h>

#include "resilience/cache_lower.h"
#include "resilience/cache_record.h"

enum { CACHE_SLOTS = 4096, CACHE_PREFIXES = 16 };

/* How a get ended. */
typedef enum cache_tier_result {
    CACHE_TIER_HIT,
    CACHE_TIER_MISS,
    CACHE_TIER_CORRUPT,
    CACHE_TIER_ERROR,
    CACHE_TIER_TIMEOUT,
    CACHE_TIER_SKIPPED,
    CACHE_TIER_RESULTS
} cache_tier_result;

typedef struct cache_lane {
    sx_cache_tier *tier;
    sx_breaker *breaker; /* NULL: none */
    sx_list waiting;     /* writes, oldest first */
    size_t waiting_count, waiting_bytes;
    uint32_t writing; /* given to the tier, not yet answered */
    bool is_sending;  /* some thread takes writes off the queue: keeps their order */
    /* By the key's slot: a record stored (wall ms) before this was replaced or removed here. `pending`
     * while the tier is being told, and 0 again once it has done it; `failed` where that failed. Keys
     * share slots: what is taken for old by mistake is loaded anew. */
    int64_t pending[CACHE_SLOTS], failed[CACHE_SLOTS];
    uint64_t results[CACHE_TIER_RESULTS], written, write_errors, dropped;
    sx_counter *result_counters[CACHE_TIER_RESULTS]; /* NULL without metrics */
    sx_counter *ok_counter, *error_counter, *dropped_counter;
} cache_lane;

struct sx_cache_tiers {
    pthread_mutex_t lock;
    pthread_cond_t quiet; /* busy has become 0 */
    sx_cache *cache;      /* NULL: none yet, or gone */
    unsigned busy;        /* threads that use `cache` now */
    size_t holders;       /* the owner, finds and writes; the last frees it */
    bool is_closed;
    sx_list finds;
    cache_lane *lanes;
    size_t lane_count;
    char *prefix;
    size_t prefix_len;
    uint32_t get_ms_max, writes_max, writes_now;
    size_t write_bytes_max;
    const sx_clock *clock;
    /* Records stored at or before these were removed here. */
    int64_t class_walls[SX_CACHE_CLASSES_MAX], tag_walls[CACHE_SLOTS], all_wall;
    struct {
        sx_str prefix; /* heap */
        int64_t wall_ms;
    } prefixes[CACHE_PREFIXES];
    size_t prefix_turn;
};

/* Takes a hold, or gives one back (which may free it). No lock held for the second. */
void cache_tiers_hold(sx_cache_tiers *t);
void cache_tiers_drop(sx_cache_tiers *t);

/* Whether a record of `key` is older than what was put or removed here. Lock held. */
bool cache_tiers_is_old(const sx_cache_tiers *t, const cache_lane *lane, sx_str key,
                        unsigned class_index, const cache_record *r);

#endif

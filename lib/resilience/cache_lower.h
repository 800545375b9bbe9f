/* cache_lower.h - what a cache tells its tiers, and what they tell it back.
 *
 * cache.c and cache_load.c call the first part where the cache has tiers; cache_find.c calls the
 * second. Stores and removals are noted in the tiers' queues while the key's shard is locked, so that
 * the tiers see those of one key in the order in which memory saw them; cache_tiers_flush sends them
 * once it is unlocked. Order of locks: shard, then tiers. */
#ifndef SEXTANT_RESILIENCE_CACHE_LOWER_H
#define SEXTANT_RESILIENCE_CACHE_LOWER_H

#include <sextant/cache_tiers.h>

/* ---- the tiers: cache_tiers.c, cache_find.c ---- */

/* The one cache above them; detaching waits for what other threads do with it at that moment. */
sx_status cache_tiers_attach(sx_cache_tiers *t, sx_cache *cache, sx_error *err);
void cache_tiers_detach(sx_cache_tiers *t);

/* Looks for the key of a duty that `ask` has begun, no lock held. It ends with cache_fill_from_tier, or
 * the duty goes to the asker: `load` is called, or cache_hand_over. */
void cache_tiers_find(sx_cache_tiers *t, sx_cache_token token, sx_str key, unsigned class_index,
                      const sx_cache_ask *ask);

/* A value, or absence, that was stored above. */
typedef struct cache_stored {
    sx_str key, value;
    bool is_absent;
    bool is_put;                    /* replaces whatever a tier has; a load's only adds */
    size_t tiers;                   /* goes to the first so many */
    const sx_cache_class *class_of; /* the cache's: it outlives the call */
    int64_t age_ms;                 /* since it was loaded */
    uint32_t ttl_ms;                /* from then on */
    uint64_t tag;
} cache_stored;
void cache_tiers_store(sx_cache_tiers *t, const cache_stored *what);

/* What was forgotten above. */
void cache_tiers_remove(sx_cache_tiers *t, sx_str key);
void cache_tiers_remove_class(sx_cache_tiers *t, unsigned class_index);
void cache_tiers_remove_tag(sx_cache_tiers *t, uint64_t tag);
void cache_tiers_remove_prefix(sx_cache_tiers *t, sx_str prefix);

/* Sends what the calls above have noted. No lock held. */
void cache_tiers_flush(sx_cache_tiers *t);

/* Passes over tiers that have not answered in time. */
void cache_tiers_sweep(sx_cache_tiers *t);

/* ---- the cache ---- */

/* Ends a duty with what tier `index` has. */
void cache_fill_from_tier(sx_cache *c, sx_cache_token token, const cache_stored *what);

/* The tiers have nothing: an asker without a loader is told LOAD. */
void cache_hand_over(sx_cache *c, sx_cache_token token);

/* The classes as the cache took them. */
const sx_cache_class *cache_class_of(const sx_cache *c, unsigned class_index);

#endif

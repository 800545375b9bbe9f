/* cache_tiers.h - slower, bigger, shared caches below a cache in memory.
 *
 *     sx_cache_tiers *tiers;
 *     sx_cache_tiers_new(&(sx_cache_tiers_options){.prefix = "shop:", .tiers = {redis, disk},
 *                                                  .count = 2, .kit = kit}, &tiers, &err);
 *     sx_cache_new(&(sx_cache_options){.tiers = tiers, …}, &cache, &err);
 *
 * and sx_cache_get, _fill, _put and _remove work as before. What is missing in memory is asked of each
 * tier in turn, for all who wait at once, before anybody is given the duty to load; what a tier has is
 * put into memory and into the tiers above it with the time that it has left. What is loaded or put goes
 * to all tiers, what is removed is removed from all, behind the asker's back: a bounded queue for each
 * tier, from which the oldest write is dropped (and counted) when the tier cannot keep up.
 *
 * A tier never fails an asker. One that is down, slow (get_ms_max) or broken (kit->breakers, by the name
 * "cache.TIER") is passed over and counted. Values in tiers are records with a checksum over key and
 * value, the class, its version and their time (docs/formats/cache-record.md): what is cut, foreign, of
 * another key, class or version is a miss.
 *
 * After a put or a removal no older value comes back from a tier, even where the tier was down and
 * still has it. Other processes that share a tier are not told of removals from their memory: their
 * own copy lives until its time; choose ttl_ms for that. Times in records are by the wall clock.
 *
 * Free the cache first, then the sx_cache_tiers, then each tier. */
#ifndef SEXTANT_CACHE_TIERS_H
#define SEXTANT_CACHE_TIERS_H

#include <sextant/cache.h>
#include <sextant/kit.h>

SX_BEGIN_DECLS

typedef struct sx_cache_tier sx_cache_tier;
typedef struct sx_cache_tiers sx_cache_tiers;

/* How a tier's call ended: SX_OK (a get: with what was set, borrowed for the call), SX_ENOTFOUND (a
 * get), else a failure. Called exactly once for each call, from any thread, also before the call
 * returns. */
typedef void sx_cache_tier_fn(void *ctx, sx_status status, sx_str record);

/* What a tier has to do; a program may bring its own. Any thread calls these; none may block. Sets and
 * removals of one key take effect in the order they were called. Keys and records are any bytes,
 * borrowed for the call. */
struct sx_cache_tier {
    const char *name; /* label "tier" and part of the breaker's name */
    /* Should answer within `ms_max`, or say SX_ETIMEOUT; a later answer is passed over. */
    void (*get)(sx_cache_tier *tier, sx_str key, uint32_t ms_max, sx_cache_tier_fn *done,
                void *ctx);
    /* The tier may forget it after `ttl_ms`, or before. */
    void (*set)(sx_cache_tier *tier, sx_str key, sx_str record, uint32_t ttl_ms,
                sx_cache_tier_fn *done, void *ctx);
    void (*remove)(sx_cache_tier *tier, sx_str key, sx_cache_tier_fn *done, void *ctx);
    /* Frees it; calls under way are answered (SX_ECANCELED where there is nothing better), here or
     * soon after. */
    void (*free)(sx_cache_tier *tier);
};

/* tier->free(tier); NULL is allowed. */
void sx_cache_tier_free(sx_cache_tier *tier);

enum { SX_CACHE_TIERS_MAX = 4 };

typedef struct sx_cache_tiers_options { /* 0 or NULL takes the default */
    const char *name;                   /* label "cache" of its metrics; "default" */
    const char *prefix; /* before each key in the tiers; "": several caches may share a tier */
    sx_cache_tier *tiers[SX_CACHE_TIERS_MAX]; /* asked in this order; not owned */
    size_t count;
    uint32_t get_ms_max;    /* 50 for each tier */
    uint32_t writes_max;    /* 1024 waiting for each tier … */
    size_t write_bytes_max; /* … and 8 MiB */
    uint32_t writes_now;    /* 32 under way at once in each tier */
    /* clock, breakers, and metrics: cache_tier_requests_total{cache,tier,result},
     * cache_tier_writes_total{cache,tier,outcome}. Copied. */
    const sx_kit *kit;
    void *reserved[4];
} sx_cache_tiers_options;

/* For one cache, named in its options. Errors: SX_EINVAL, SX_ENOMEM, as sx_metric_new. */
sx_status sx_cache_tiers_new(const sx_cache_tiers_options *options, sx_cache_tiers **out,
                             sx_error *err);

/* After its cache. Writes that wait are dropped; those under way end by themselves. NULL is allowed. */
void sx_cache_tiers_free(sx_cache_tiers *tiers);

typedef struct sx_cache_tier_stats {
    const char *name;
    uint64_t hits, misses, corrupt, errors, timeouts, skipped; /* gets; skipped: breaker open */
    uint64_t written, write_errors, dropped;                   /* sets and removals */
    size_t queued, queued_bytes, writing;                      /* now */
} sx_cache_tier_stats;

/* Tier `index` so far. Any thread. */
sx_cache_tier_stats sx_cache_tiers_stats_of(sx_cache_tiers *tiers, size_t index);

SX_END_DECLS

#endif

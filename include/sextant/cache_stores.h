/* cache_stores.h - the tiers that come with the kit: Redis, shared by many processes, and SQLite, on
 * this machine's disk.
 *
 *     sx_cache_redis_tier_new(redis, NULL, &shared, &err);
 *     sx_cache_sqlite_tier_new(kit, &(sx_cache_sqlite_options){.path = "cache.db"}, &disk, &err);
 *     sx_cache_tiers_new(&(sx_cache_tiers_options){.tiers = {shared, disk}, .count = 2, …}, …);
 *
 * What they keep is docs/formats/cache-record.md. docs/howto/caching.md shows the whole. */
#ifndef SEXTANT_CACHE_STORES_H
#define SEXTANT_CACHE_STORES_H

#include <sextant/cache_tiers.h>
#include <sextant/redis.h>
#include <sextant/sqlite.h>

SX_BEGIN_DECLS

/* A tier on `redis`, whose loop does the talking: calls from other threads are posted to it. `name` NULL:
 * "redis". The client is not owned, and freed after the tier, on its loop; give it an sx_client_options
 * with health_informative, since a cache that is away makes nothing unready. Values live in Redis for
 * their time to live and are plain strings (SET with PX). Errors: SX_ENOMEM. */
sx_status sx_cache_redis_tier_new(sx_redis *redis, const char *name, sx_cache_tier **out,
                                  sx_error *err);

typedef struct sx_cache_sqlite_options { /* 0 or NULL takes the default */
    const char *name;                    /* "sqlite" */
    const char *path;                    /* the file; made if it is not there. Must be given */
    uint64_t bytes_max;    /* 256 MiB of pages in use; the file may be a little more */
    uint32_t queue_max;    /* 4096 gets, and as many writes, that wait */
    uint32_t write_ms_max; /* 5000 for a batch of writes */
} sx_cache_sqlite_options;

/* A tier in one file (WAL, one process), read by one thread of its own and written, in batches, by
 * another. Above bytes_max what has expired goes, then the oldest. A file that is damaged, now or later,
 * is renamed to PATH.damaged (with a line in kit->log) and begun anew. A crash of the process loses
 * nothing, a power cut the last moments. `kit` (may be NULL): clock, log, metrics; it is copied.
 * Errors: SX_EINVAL (no path), as sx_sqlite_open, but SX_ECORRUPT. */
sx_status sx_cache_sqlite_tier_new(const sx_kit *kit, const sx_cache_sqlite_options *options,
                                   sx_cache_tier **out, sx_error *err);

SX_END_DECLS

#endif

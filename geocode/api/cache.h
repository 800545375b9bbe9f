/* cache.h - answers that were computed before: in memory, in Redis if one is configured, and in SQLite
 * if a file is named (off by default: reading one takes longer than a search).
 *
 * What is kept is the body of a 200 answer of /search/ or /reverse/, byte for byte, with what spans say
 * of it. Its key is all that the answer depends on: the index's generation, the endpoint, and every
 * parameter as it was read, so that `limit=5` and no limit share an answer and a new index shares
 * none with the old one. How long it is kept depends on how sure it is: see geo_cache_worth.
 *
 * Redis that is down, slow or hung is passed over (behind a breaker, "cache.redis" on the admin
 * pages) and costs time, never an answer. */
#ifndef SEXTANT_GEOCODE_API_CACHE_H
#define SEXTANT_GEOCODE_API_CACHE_H

#include <sextant/cache.h>
#include <sextant/kit.h>

#include "geocode/api/params.h"
#include "geocode/search/search.h"

typedef struct geo_cache geo_cache;

/* Settings `cache.*`; texts end in a NUL. */
typedef struct geo_cache_settings {
    bool enabled;
    uint64_t bytes_max; /* a quarter of it for compressed forms */
    uint32_t value_bytes_max;
    uint32_t exact_ttl_ms, fuzzy_ttl_ms, not_found_ttl_ms;
    sx_str redis_url; /* empty: none */
    uint32_t redis_ms_max;
    sx_str sqlite_path; /* empty: none */
    uint64_t sqlite_bytes_max;
} geo_cache_settings;

/* Makes the cache and its tiers; `loop` talks to Redis and sweeps. `version` is the program's: another
 * one's answers in a shared tier are not ours. From the loop's thread, or before it runs.
 * Errors: SX_EFORMAT (the URL), SX_EINVAL, those of the SQLite file, SX_ENOMEM. */
sx_status geo_cache_new(const geo_cache_settings *settings, const char *version, const sx_kit *kit,
                        sx_loop *loop, geo_cache **out, sx_error *err);

/* Frees it; from where it was made, when nobody asks it any more. NULL is allowed. */
void geo_cache_free(geo_cache *c);

/* ---- keys ---- */

/* What an answer is asked for. */
typedef struct geo_cache_asked {
    uint64_t generation; /* of the index */
    unsigned endpoint;   /* tells apart what the same parameters mean elsewhere */
    int64_t limit;       /* as applied */
    const geo_params *params;
    const char *const *filters; /* names of params->filters, NULL after the last */
} geo_cache_asked;

/* Writes the key: binary, the same for the same answer. Whoever adds a parameter to geo_params adds it
 * here. `out` is emptied first; out->failed without memory. */
void geo_cache_key(const geo_cache_asked *asked, sx_buf *out);

/* ---- answers ---- */

/* What is told of an answer besides its body. */
typedef struct geo_cached {
    uint32_t results;
    double top_score; /* 0 without results */
    sx_str body;
} geo_cached;

enum { GEO_CACHED_HEAD_BYTES = 16 };

/* Empties `out` and puts the head there; the body is to be appended, and the head finished. */
void geo_cached_begin(sx_buf *out);
void geo_cached_finish(sx_buf *out, uint32_t results, double top_score);

/* The other way round. False if `value` is no such thing. */
bool geo_cached_read(sx_str value, geo_cached *out);

typedef enum geo_cache_worth {
    GEO_WORTH_EXACT, /* the best score is at least 0.8 (what the query says, or begins), or reverse */
    GEO_WORTH_FUZZY,     /* less like it: better data may bring a better answer */
    GEO_WORTH_NOT_FOUND, /* it may be there soon */
    GEO_WORTHS
} geo_cache_worth;
geo_cache_worth geo_cache_worth_of(const geo_cached *answer, bool is_reverse);

/* ---- asking ---- */

/* HOT. As sx_cache_get. `answer` is called on `loop`, later, if this returns SX_CACHE_WAIT, which it
 * only does where there are tiers below memory: without them nobody ever waits. */
sx_cache_result geo_cache_get(geo_cache *c, sx_str key, sx_loop *loop, sx_cache_answer_fn *answer,
                              void *ctx, sx_cache_view *view);

/* Whether there are tiers below memory. */
bool geo_cache_has_tiers(const geo_cache *c);

/* Ends the duty `token` (none: does nothing) with an answer as geo_cached_finish left it, which is kept
 * if it is not too big; or without one. */
void geo_cache_fill(geo_cache *c, sx_cache_token token, const sx_buf *value, bool is_reverse);
void geo_cache_give_up(geo_cache *c, sx_cache_token token);

/* Compressed forms of answers, in memory alone: `key` is the answer's and the coding's name behind it.
 * *view is to be released if it is there. */
bool geo_cache_find_coded(geo_cache *c, sx_str key, sx_cache_view *view);
void geo_cache_keep_coded(geo_cache *c, sx_str key, sx_str coded);

/* "memory", or the tier below; "below" if there are several. Static. */
const char *geo_cache_tier_name(const geo_cache *c, bool below);

/* ---- looking at it ---- */

typedef struct geo_cache_rate {
    const char *tier;
    uint64_t hits, misses;
} geo_cache_rate;

enum { GEO_CACHE_RATES = 3 };

/* Of each tier, the fastest first; returns how many. Any thread. */
size_t geo_cache_rates(const geo_cache *c, geo_cache_rate out[GEO_CACHE_RATES]);

#endif

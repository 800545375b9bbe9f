/* cache.h - a cache in memory that many threads share and one load fills.
 *
 *     static const sx_cache_class CLASSES[] = {
 *         {.name = "tenant", .ttl_ms = 60000, .stale_ms = 30000, .negative_ttl_ms = 5000},
 *     };
 *     sx_cache_new(&(sx_cache_options){.name = "tenants", .classes = CLASSES, .class_count = 1,
 *                                      .bytes_max = 64 << 20}, &cache, &err);
 *     ...
 *     sx_cache_view v;
 *     switch (sx_cache_get(cache, key, 0, &(sx_cache_ask){.answer = answered, .ctx = request}, &v)) {
 *     case SX_CACHE_HIT: case SX_CACHE_STALE: reply(v.value); sx_cache_release(&v); break;
 *     case SX_CACHE_NEGATIVE: reply_not_found(); sx_cache_release(&v); break;
 *     case SX_CACHE_LOAD: start_query(request, v.token); break;   then sx_cache_fill(cache, v.token, …)
 *     case SX_CACHE_WAIT: break;                                  `answered` will be called
 *     default: start_query(request, SX_CACHE_NO_TOKEN);           the cache cannot help
 *     }
 *
 * Keys and values are any bytes. A value is copied in; it is read out as a view that holds a count on
 * the entry, so a hit copies nothing and an entry that is evicted, replaced or outlives its cache
 * stays readable until the last view is released.
 *
 * Who stays. bytes_max counts keys, values and all overhead. Admission is W-TinyLFU (Einziger,
 * Friedman, Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", 2017): new entries pass a
 * window of 1 %; to enter the rest, a list in two segments, one must have been asked for more often
 * lately than the entry it would replace. One scan over cold keys therefore leaves the hot ones alone.
 *
 * How long. A class says for how long a value is fresh, for how long after that it is served while
 * somebody loads it anew (RFC 5861, stale-while-revalidate), for how long it stands in when a load
 * fails (stale-if-error), and for how long absence and failure are remembered. Times are monotonic:
 * a wall clock that jumps changes nothing.
 *
 * One load. Of all who ask for a missing key the first is given the duty to load, as a token (or the
 * loader it named is called); the others wait and are called back when sx_cache_fill,
 * sx_cache_absent or sx_cache_fail ends the duty. A duty that takes longer than load_ms_max is overdue: those
 * who wait are told, and the next who asks is given it anew. Whoever waits is called exactly once.
 *
 * Any thread, without an event loop. The key space is cut into shards with a lock each, held for some
 * tens of nanoseconds. Time-outs and the removal of what has expired happen as the cache is used; to
 * have them happen on time call sx_cache_sweep now and then, or let a loop do it (sx_cache_attach). */
#ifndef SEXTANT_CACHE_H
#define SEXTANT_CACHE_H

#include <sextant/clock.h>
#include <sextant/error.h>
#include <sextant/loop.h>
#include <sextant/metrics.h>
#include <sextant/str.h>

SX_BEGIN_DECLS

typedef struct sx_cache sx_cache;
struct sx_cache_tiers; /* cache_tiers.h */

/* ---- making one ---- */

typedef struct sx_cache_class {
    const char *name;         /* static or as long as the cache */
    uint32_t ttl_ms;          /* 0: 60000; fresh for so long */
    uint32_t stale_ms;        /* after that served while it is loaded anew; 0: not */
    uint32_t stale_error_ms;  /* after ttl_ms served if loading fails; 0: as stale_ms */
    uint32_t negative_ttl_ms; /* absence is remembered so long; 0: not */
    uint32_t error_ttl_ms;    /* a failed load is remembered so long; 0: not */
    uint32_t
        retry_ms; /* 0: 1000; no new load so long after one failed and a stale value stood in */
    uint32_t jitter_percent; /* each ttl is shortened by a random part up to this; at most 100 */
    uint32_t version; /* of the values' form: what lower tiers hold under another is a miss */
} sx_cache_class;

enum { SX_CACHE_CLASSES_MAX = 64 };

typedef struct sx_cache_options {  /* 0 or NULL takes the default */
    const char *name;              /* of its metrics; "default"; as long as the cache */
    size_t bytes_max;              /* 64 MiB; at least 64 KiB */
    size_t value_bytes_max;        /* an eighth of a shard, which is the most there can be */
    size_t key_bytes_max;          /* 4096 */
    uint32_t shards;               /* a power of two up to 256; one for each 4 MiB */
    const sx_cache_class *classes; /* copied; NULL: one class "default" of defaults */
    size_t class_count;
    uint32_t load_ms_max; /* 10000 */
    uint32_t waiters_max; /* 4096 for one key */
    uint32_t loads_max;   /* 16384 under way or overdue */
    uint64_t seed;        /* of hash and jitter; 0: from the system */
    const sx_clock *clock;
    /* cache_requests_total{cache,result}, cache_entries{cache}, cache_bytes{cache},
     * cache_evictions_total{cache,reason}, cache_admission_rejected_total{cache},
     * cache_loads_total{cache,outcome}, cache_load_seconds{cache}, cache_waiters{cache} */
    sx_metrics *metrics;
    struct sx_cache_tiers
        *tiers; /* asked before a load, told of what is stored; outlives the cache */
    void *reserved[4];
} sx_cache_options;

/* Errors: SX_EINVAL (what and why), SX_ENOMEM, as sx_metric_new. */
sx_status sx_cache_new(const sx_cache_options *options, sx_cache **out, sx_error *err);

/* Frees it; who still waits is told SX_CACHE_FAILED with SX_ECANCELED. No other thread may use the
 * cache any more, and no loader may answer later. Views that are held stay good. NULL is allowed. */
void sx_cache_free(sx_cache *cache);

/* Has sx_cache_sweep called by `loop` several times a second. Call both from the loop's thread, or
 * while it is not running; detach before the loop or the cache is freed. One loop at a time. */
void sx_cache_attach(sx_cache *cache, sx_loop *loop);
void sx_cache_detach(sx_cache *cache);

/* ---- asking ---- */

/* The duty to load one key. By value; copies are the same duty. */
typedef struct sx_cache_token {
    uint64_t id; /* 0: none */
    uint64_t hash;
} sx_cache_token;
#ifdef __cplusplus
#define SX_CACHE_NO_TOKEN (sx_cache_token{0, 0})
#else
#define SX_CACHE_NO_TOKEN ((sx_cache_token){0, 0})
#endif

typedef enum sx_cache_result {
    SX_CACHE_HIT,      /* the view has the value */
    SX_CACHE_STALE,    /* the same, past its time; view.token says whether the duty is yours */
    SX_CACHE_NEGATIVE, /* known to be absent, or to fail: view.status says which */
    SX_CACHE_LOAD,     /* not there, and the duty is yours: view.token */
    SX_CACHE_WAIT,     /* not there, somebody loads it: you will be called */
    SX_CACHE_MISS,     /* not there, and you only looked */
    SX_CACHE_BYPASS,   /* not there, and the cache cannot help (too many wait or load, key too long,
                        * no memory): load it for yourself; nobody will call you */
    SX_CACHE_FAILED,   /* callbacks only: the load failed; view.status: the loader's,
                        * SX_ETIMEOUT, SX_ENOMEM or SX_ECANCELED */
    SX_CACHE_RESULTS
} sx_cache_result;

/* "hit", "stale" and so on. Static. */
const char *sx_cache_result_name(sx_cache_result result);

typedef struct sx_cache_view {
    sx_str value;     /* readable until the view is released; empty if there is none */
    sx_status status; /* SX_OK for a value, SX_ENOTFOUND for known absence, else why it failed */
    uint32_t age_ms;  /* since it was stored */
    sx_cache_token token;
    void *hold; /* the entry; NULL if the view holds none */
} sx_cache_view;

/* Ends a view. Of one that holds nothing, or was released: does nothing. Any thread. */
void sx_cache_release(sx_cache_view *view);

/* A second view of the same entry, released by itself. */
sx_cache_view sx_cache_view_copy(const sx_cache_view *view);

/* Called when waiting is over: HIT, NEGATIVE, STALE (the load failed, an older value stands in),
 * FAILED, or, where tiers are asked first, LOAD: the duty is yours after all. The callee owns *view
 * and releases it. No lock is held; it may call the cache. */
typedef void sx_cache_answer_fn(void *ctx, sx_cache_result result, sx_cache_view *view);

/* Begins a load; the duty is to be ended by `token`, here or later, from any thread. `key` is
 * borrowed for the call. */
typedef void sx_cache_load_fn(void *load_ctx, sx_cache *cache, sx_str key, sx_cache_token token);

typedef struct sx_cache_ask {
    /* NULL with `load` NULL: never waits (LOAD if the duty is free, else BYPASS). */
    sx_cache_answer_fn *answer;
    void *ctx; /* alive until answered */
    sx_loop *
        loop; /* where `answer` and a late `load` are called; NULL: in the thread that ends the load */
    /* NULL: LOAD is returned with the token. Else it is called by sx_cache_get in this thread, and the
     * asker waits with the others (if `answer` is not NULL); with tiers it is called once they have
     * said no, in the thread that says so. Should it end the duty at once and `loop` be NULL, then
     * `answer` runs before sx_cache_get returns. */
    sx_cache_load_fn *load;
    void *load_ctx; /* alive until `load` is called, the asker answered, or the cache freed */
} sx_cache_ask;

/* HOT, 150 ns for a hit. Asks for `key`; `class_index` (of options.classes) is what a load of it will be
 * stored as. `ask` NULL: only looks; then STALE too carries no duty. *view is always filled and owned
 * by the caller for HIT, STALE and NEGATIVE (to be released); it holds nothing in the other cases. */
sx_cache_result sx_cache_get(sx_cache *cache, sx_str key, unsigned class_index,
                             const sx_cache_ask *ask, sx_cache_view *view);

/* ---- answering ---- */

typedef struct sx_cache_how { /* NULL or 0: as the class says */
    uint32_t ttl_ms;
    uint32_t jitter_percent; /* 0: the class's */
    uint64_t tag; /* 0: none; else a number (the hash of a name) for sx_cache_remove_tag */
} sx_cache_how;

/* Ends a duty with a value, which is stored, unless the key was removed meanwhile or the value is too
 * big, and given to all who wait. `view` NULL or filled with a view of it, to be released.
 * SX_REFUSED: the duty is no longer yours (it was overdue and given to another, or ended): nothing is
 * done. SX_ENOMEM: those who wait have been told so. */
sx_status sx_cache_fill(sx_cache *cache, sx_cache_token token, sx_str value,
                        const sx_cache_how *how, sx_cache_view *view);

/* Ends it with "there is no such thing", remembered for negative_ttl_ms. `note` is kept as the value. */
sx_status sx_cache_absent(sx_cache *cache, sx_cache_token token, sx_str note, sx_cache_view *view);

/* Ends it with a failure (`why` is not SX_OK). If an older value may stand in, those who wait get it,
 * and so does *view (NULL allowed): then SX_OK; else `why`, or SX_REFUSED as above. SX_ENOTFOUND is
 * absence. */
sx_status sx_cache_fail(sx_cache *cache, sx_cache_token token, sx_status why, sx_cache_view *view);

/* ---- without being asked ---- */

/* Stores a value; loads of the key under way will not replace it. Errors: SX_ELIMIT (key or value too
 * long), SX_ENOMEM. SX_OK says it was taken in; admission may still prefer others soon. */
sx_status sx_cache_put(sx_cache *cache, sx_str key, unsigned class_index, sx_str value,
                       const sx_cache_how *how, sx_error *err);

/* Forgets a key; a load under way still answers those who wait, and is not stored. Whether it was
 * there. */
bool sx_cache_remove(sx_cache *cache, sx_str key);

/* Forgets all of a class, or all stored with a tag, at once (what they held is swept up later). Tags
 * share 4096 places, so now and then one takes a stranger with it. Loads under way as above. */
void sx_cache_remove_class(sx_cache *cache, unsigned class_index);
void sx_cache_remove_tag(sx_cache *cache, uint64_t tag);

/* Forgets all keys that begin with `prefix` ("": all), looking at every entry, some at a time. Lower
 * tiers are not asked. Returns how many there were. */
size_t sx_cache_remove_prefix(sx_cache *cache, sx_str prefix);

/* Tells the waiters of overdue loads and removes some of what has expired: a bounded step, to be
 * called now and then. Returns how many entries it removed. */
size_t sx_cache_sweep(sx_cache *cache);

/* ---- looking at it ---- */

typedef struct sx_cache_stats {
    uint64_t hits, stale, negative, misses, bypassed;
    uint64_t loads, loads_failed, loads_timed_out, loads_late;
    uint64_t evicted, expired, invalidated, rejected; /* entries; rejected by admission */
    size_t entries, bytes, bytes_max; /* bytes: all but what is only held by views */
    size_t loads_now, waiters_now;
} sx_cache_stats;

/* Counts so far, added up over the shards. Any thread. */
sx_cache_stats sx_cache_stats_of(sx_cache *cache);

/* Asserts every invariant of every shard; takes time in proportion to the entries. Returns true. */
bool sx_cache_check(sx_cache *cache);

SX_END_DECLS

#endif

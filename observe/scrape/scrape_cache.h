/* scrape_cache.h - what one target said last time: its series' bytes and their references.
 *
 * A target says nearly the same at every scrape, in the same order. So the cache is read by position:
 * the series that came after this one last time is expected to come now (one memcmp), and only a line
 * that differs is looked up by its bytes, after which the position follows it. A series that was never
 * seen is added. What has gone is found by counting: only if fewer known series came than there were
 * is the list of the last scrape walked.
 * Owned by its target's loop; no locks. Tested against a plain model in tests/unit/observe/scrape. */
#ifndef OBSERVE_SCRAPE_SCRAPE_CACHE_H
#define OBSERVE_SCRAPE_SCRAPE_CACHE_H

#include <sextant/arena.h>

#include "observe/tsdb/storage.h"

typedef struct cache_entry {
    const char *key; /* in the cache's arena */
    tsdb_ref ref;    /* 0: dropped by metric_relabel_configs */
    uint32_t key_len;
    uint32_t hash;    /* low half of the key's hash; never compared alone */
    uint32_t seen;    /* the scrape that had it last */
    uint32_t tracked; /* the scrape in which its end became worth a staleness marker */
    uint32_t place;   /* in the order of the last scrape taken, if it was in it */
    uint32_t born;    /* the scrape that added it; 0: the entry is free */
} cache_entry;

enum { CACHE_NONE = UINT32_MAX };

typedef struct scrape_cache {
    cache_entry *entries; /* by number; numbers are stable until the cache is packed */
    size_t count, cap;    /* numbers given out, free ones among them */
    uint32_t *table;      /* open addressing: number + 1, 0: empty */
    size_t table_size;    /* a power of two */
    uint32_t *free_list;
    size_t free_count, free_cap;
    size_t live;

    uint32_t *order, *next_order; /* numbers as they came in the last scrape, and in this */
    size_t order_count, next_count, order_cap, next_cap;
    size_t cursor; /* in `order`: what is expected next */

    uint32_t scrape, last; /* numbers of this scrape and of the one before; 0: that one failed */
    size_t known_seen;     /* known series seen in this scrape */
    size_t live_before;    /* `live` when it began */
    size_t tracked_before, tracked_now, tracked_again;
    bool open; /* a scrape has begun and not ended */

    sx_arena keys;
    size_t key_bytes, dead_bytes; /* of live keys, and of those removed */
} scrape_cache;

void scrape_cache_init(scrape_cache *c);
void scrape_cache_done(scrape_cache *c);

/* Begins a scrape. */
void scrape_cache_begin(scrape_cache *c);

/* The bytes that probably come next; empty if nothing is known. */
static inline sx_str scrape_cache_expected(const scrape_cache *c)
{
    if (c->cursor >= c->order_count)
        return (sx_str){0};
    const cache_entry *e = &c->entries[c->order[c->cursor]];
    return sx_str_of(e->key, e->key_len);
}

enum { CACHE_AHEAD = 8 };

/* The reference of the series expected some places on; 0: none. HOT. */
static inline tsdb_ref scrape_cache_ahead(const scrape_cache *c)
{
    size_t at = c->cursor + CACHE_AHEAD;
    return at < c->order_count ? c->entries[c->order[at]].ref : 0;
}

/* The entry that was expected, found by the reader. HOT. */
static inline cache_entry *scrape_cache_take(scrape_cache *c)
{
    return &c->entries[c->order[c->cursor++]];
}

/* The entry of `key`, NULL if there is none; later expectations follow it. */
cache_entry *scrape_cache_find(scrape_cache *c, sx_str key);

/* A new entry for `key`, which is copied. NULL: no memory. Moves the others. */
cache_entry *scrape_cache_add(scrape_cache *c, sx_str key, tsdb_ref ref);

/* Notes that `e` came now. False: it had come already in this scrape (nothing is noted). *memory is
 * cleared if there was none for it. HOT. */
bool scrape_cache_note_slow(scrape_cache *c, cache_entry *e);
static inline bool scrape_cache_note(scrape_cache *c, cache_entry *e, bool *memory)
{
    if (e->seen == c->scrape)
        return false;
    c->known_seen += e->seen != 0;
    e->seen = c->scrape;
    if (sx_unlikely(c->next_count == c->next_cap)) {
        *memory = scrape_cache_note_slow(c, e);
        return true;
    }
    c->next_order[c->next_count++] = (uint32_t)(e - c->entries);
    return true;
}

/* The sample was appended, and if the series ends there is to be a marker. HOT. */
static inline void scrape_cache_track(scrape_cache *c, cache_entry *e)
{
    if (e->tracked == c->scrape)
        return;
    c->tracked_again += c->last != 0 && e->tracked == c->last;
    c->tracked_now++;
    e->tracked = c->scrape;
}

/* Calls `fn` for each series that the last scrape tracked and this one did not; with `all`, for each
 * that the last one tracked. Stops at the first failure. */
typedef sx_status scrape_cache_stale(void *ctx, tsdb_ref ref, sx_error *err);
sx_status scrape_cache_each_stale(scrape_cache *c, bool all, scrape_cache_stale *fn, void *ctx,
                                  sx_error *err);

/* Ends a scrape that was taken: what did not come is forgotten. */
void scrape_cache_commit(scrape_cache *c);

/* Ends a scrape that failed, or failed before it began: what was new in it is forgotten, nothing is
 * tracked any more. */
void scrape_cache_fail(scrape_cache *c);

/* Asserts its invariants; takes time in proportion to it. Returns true. */
bool scrape_cache_check(const scrape_cache *c);

#endif

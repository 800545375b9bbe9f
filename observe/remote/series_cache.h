/* series_cache.h - from the bytes that name a series on the wire to its reference in the store.
 *
 * A sender names the same series in the same bytes in every request, so the hash of these bytes is
 * all that is looked up: neither are labels taken apart nor is their sorted set hashed. Senders also
 * keep their order: an entry remembers which one came after it last time, and the guess is right
 * nearly always, so that the table itself is hardly touched.
 * The hash (64 bits, seeded by the process's secret) stands for the bytes: with ten million series
 * the odds that any two of them share one are 1 in 370,000.
 * A reference may have left the store: the appender then says SX_ENOTFOUND, and the entry gets a new
 * one. Entries that nobody used for a day are not believed, as the store's references come round
 * again after many generations. One thread at a time; used by the remote writer. */
#ifndef OBSERVE_REMOTE_SERIES_CACHE_H
#define OBSERVE_REMOTE_SERIES_CACHE_H

#include <sextant/str.h>

#include "observe/tsdb/storage.h"

enum { SERIES_CACHE_HOURS = 24 };

typedef struct series_entry {
    uint64_t hash;
    tsdb_ref ref;
    uint32_t key_bytes;
    uint32_t next;     /* number of the entry that came after it */
    uint32_t metadata; /* hash of what was appended last; 0: nothing yet */
    uint32_t hour;     /* of its last use, since 1970 */
} series_entry;

typedef struct series_cache {
    series_entry *entries; /* the first is no series: what came before the first one ever */
    uint32_t count, max;
    size_t cap;
    uint32_t *slots; /* numbers of entries, open addressing; 0: empty */
    uint32_t slot_mask;
    uint32_t last; /* entry of the series before */
    uint32_t hour; /* now */
} series_cache;

/* At most `max` series; when there are more all are forgotten and learnt anew. Takes nothing yet. */
void series_cache_init(series_cache *c, uint32_t max);
void series_cache_done(series_cache *c);

/* Tells the time, once a request. */
void series_cache_at(series_cache *c, int64_t now_ms);

/* The entry that came after the last one, to be compared with what is there now; NULL: none. */
static inline series_entry *series_cache_guess(const series_cache *c)
{
    if (sx_unlikely(c->count == 0))
        return NULL;
    series_entry *e = &c->entries[c->entries[c->last].next];
    return e != c->entries && c->hour - e->hour <= SERIES_CACHE_HOURS ? e : NULL;
}

/* The guess was right, or the entry was found: it is now the last one. */
static inline void series_cache_use(series_cache *c, series_entry *e)
{
    uint32_t number = (uint32_t)(e - c->entries);
    if (sx_unlikely(c->entries[c->last].next != number))
        c->entries[c->last].next = number;
    c->last = number;
    if (sx_unlikely(e->hour != c->hour))
        e->hour = c->hour;
}

/* The entry of a key, or NULL. */
series_entry *series_cache_find(series_cache *c, uint64_t hash, uint32_t key_bytes);

/* Puts a reference under a key; NULL without memory, which costs speed only. Entries given before
 * are no longer good. */
series_entry *series_cache_put(series_cache *c, uint64_t hash, uint32_t key_bytes, tsdb_ref ref);

#endif

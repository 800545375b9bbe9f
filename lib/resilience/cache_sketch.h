/* cache_sketch.h - how often a key was asked for lately, in half a byte times four.
 *
 * A count-min sketch of 4-bit counters. The four counters of a key lie in one cache line (a block of
 * eight words, two words to a counter), so counting costs one line whatever the cache's size. After
 * as many increments as ten for each word all counters are halved: what was hot last week cools down.
 * One thread at a time: the owner's shard is locked. */
#ifndef SEXTANT_RESILIENCE_CACHE_SKETCH_H
#define SEXTANT_RESILIENCE_CACHE_SKETCH_H

#include <sextant/base.h>

enum { CACHE_SKETCH_MAX = 15 };

typedef struct cache_sketch {
    uint64_t *words; /* in `memory`, on a cache line's border */
    void *memory;
    size_t word_count; /* a power of two, at least 8 */
    size_t additions;  /* since the last halving, of counters that did rise */
} cache_sketch;

/* Room for about `entries` keys. False without memory. */
bool cache_sketch_init(cache_sketch *s, size_t entries);
void cache_sketch_done(cache_sketch *s);

/* The heap that a sketch for `entries` takes. */
size_t cache_sketch_bytes(size_t entries);

/* Counts the key of this hash once more. */
void cache_sketch_add(cache_sketch *s, uint64_t hash);

/* How often it was counted lately: 0 to CACHE_SKETCH_MAX, never too low but for the halving. */
unsigned cache_sketch_get(const cache_sketch *s, uint64_t hash);

#endif

/* cache_sketch.c - the count-min sketch behind the cache's admission; cache_sketch.h says how. */
#include "resilience/cache_sketch.h"

#include <sextant/hash.h>
#include <sextant/mem.h>

enum { BLOCK_WORDS = 8, LINE_BYTES = 64, ADDITIONS_PER_WORD = 10, ROWS = 4 };

static size_t words_for(size_t entries)
{
    size_t words = BLOCK_WORDS;
    while (words < entries && words < SIZE_MAX / 32)
        words *= 2;
    return words;
}

size_t cache_sketch_bytes(size_t entries)
{
    return words_for(entries) * sizeof(uint64_t) + LINE_BYTES;
}

bool cache_sketch_init(cache_sketch *s, size_t entries)
{
    *s = (cache_sketch){.word_count = words_for(entries)};
    s->memory = sx_calloc(1, cache_sketch_bytes(entries));
    if (!s->memory)
        return false;
    uintptr_t at = ((uintptr_t)s->memory + LINE_BYTES - 1) & ~(uintptr_t)(LINE_BYTES - 1);
    s->words = (uint64_t *)at;
    return true;
}

void cache_sketch_done(cache_sketch *s)
{
    sx_free(s->memory);
    *s = (cache_sketch){0};
}

/* The hash has chosen shard and bucket already: mixed again, so that neighbours in a bucket do not
 * share counters too. */
static uint64_t spread(uint64_t hash)
{
    return sx_hash_u64(hash, 0x51ed270b35a2f1c9u);
}

static uint64_t *block_of(const cache_sketch *s, uint64_t mixed)
{
    size_t blocks = s->word_count / BLOCK_WORDS;
    return s->words + (mixed >> 32 & (blocks - 1)) * BLOCK_WORDS;
}

/* Where row `row` of the key lies in its block: 5 bits of the hash, one for the word of the row's
 * two, four for the counter in it. */
static uint64_t *counter_of(uint64_t *block, uint64_t mixed, unsigned row, unsigned *shift)
{
    unsigned bits = (unsigned)(mixed >> (row * 8)) & 31;
    *shift = (bits >> 1) * 4;
    return block + row * 2 + (bits & 1);
}

static void halve(cache_sketch *s)
{
    for (size_t i = 0; i < s->word_count; i++)
        s->words[i] = s->words[i] >> 1 & 0x7777777777777777u;
    s->additions /= 2;
}

void cache_sketch_add(cache_sketch *s, uint64_t hash)
{
    uint64_t mixed = spread(hash);
    uint64_t *block = block_of(s, mixed);
    bool rose = false;
    for (unsigned row = 0; row < ROWS; row++) {
        unsigned shift;
        uint64_t *word = counter_of(block, mixed, row, &shift);
        if ((*word >> shift & 15) < CACHE_SKETCH_MAX) {
            *word += (uint64_t)1 << shift;
            rose = true;
        }
    }
    if (rose && ++s->additions >= s->word_count * ADDITIONS_PER_WORD)
        halve(s);
}

unsigned cache_sketch_get(const cache_sketch *s, uint64_t hash)
{
    uint64_t mixed = spread(hash);
    uint64_t *block = block_of(s, mixed);
    unsigned least = CACHE_SKETCH_MAX;
    for (unsigned row = 0; row < ROWS; row++) {
        unsigned shift;
        const uint64_t *word = counter_of(block, mixed, row, &shift);
        unsigned count = (unsigned)(*word >> shift) & 15;
        least = count < least ? count : least;
    }
    return least;
}

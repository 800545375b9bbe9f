/* segment_filter.c - which values a group may have: an xor filter of 8 bits.
 *
 * 9.84 bits an item, one wrong yes in 256, three bytes looked at for a no: what lets a search for a
 * value that is rare pass over nearly all groups. Built by peeling a random 3-uniform hypergraph.
 * Source: Graf, Lemire: "Xor Filters: Faster and Smaller Than Bloom and Cuckoo Filters", 2020. */
#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/traces/segment_impl.h"

enum { SEEDS_MAX = 64, FILTER_HEAD = 16 };

uint64_t tr_text_hash(sx_str text)
{
    return sx_hash(text, 0x5458);
}

uint64_t tr_item_text(unsigned of, sx_str text)
{
    return tr_item(of, tr_text_hash(text));
}

uint64_t tr_item_value(uint64_t key_hash, sx_str text)
{
    return tr_item(key_hash | 1, tr_text_hash(text));
}

uint64_t tr_item_type(uint64_t key_hash, unsigned type)
{
    return tr_item(key_hash & ~(uint64_t)1, type);
}

static uint64_t mix(uint64_t h, uint64_t seed)
{
    h += seed;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

static uint32_t reduce(uint64_t h, uint32_t range)
{
    return (uint32_t)((uint64_t)(uint32_t)h * range >> 32);
}

static void places(uint64_t h, uint32_t block, uint32_t at[3])
{
    at[0] = reduce(h, block);
    at[1] = block + reduce(h << 21 | h >> 43, block);
    at[2] = 2 * block + reduce(h << 42 | h >> 22, block);
}

static uint8_t print_of(uint64_t h)
{
    return (uint8_t)(h ^ h >> 32);
}

void tr_items_done(tr_items *s)
{
    sx_free(s->list);
    sx_free(s->work);
    sx_free(s->stack);
    sx_free(s->weights);
    *s = (tr_items){0};
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Equal items can never be peeled. They are rare (one key with one value in two places), so they are
 * looked for only when peeling has failed. */
static void take_out_equals(tr_items *s)
{
    size_t kept = 0;
    if (s->count)
        qsort(s->list, s->count, sizeof *s->list, by_number);
    for (size_t i = 0; i < s->count; i++)
        if (kept == 0 || s->list[kept - 1] != s->list[i])
            s->list[kept++] = s->list[i];
    s->count = kept;
}

/* Takes places that only one item has, again and again: then the last taken is the first set. */
static bool peel(tr_items *s, uint64_t seed, uint32_t block)
{
    uint64_t *sums = s->work, *order = s->work + 3 * (size_t)block;
    uint32_t *weights = s->weights, *queue = s->stack, at[3];
    size_t queued = 0, taken = 0;
    memset(sums, 0, 3 * (size_t)block * sizeof *sums);
    memset(weights, 0, 3 * (size_t)block * sizeof *weights);
    for (size_t i = 0; i < s->count; i++) {
        uint64_t h = mix(s->list[i], seed);
        places(h, block, at);
        for (unsigned k = 0; k < 3; k++)
            sums[at[k]] ^= h, weights[at[k]]++;
    }
    for (uint32_t i = 0; i < 3 * block; i++)
        if (weights[i] == 1)
            queue[queued++] = i;
    while (queued) {
        uint32_t place = queue[--queued];
        if (weights[place] != 1)
            continue;
        uint64_t h = sums[place];
        order[2 * taken] = h, order[2 * taken + 1] = place;
        taken++;
        places(h, block, at);
        for (unsigned k = 0; k < 3; k++) {
            sums[at[k]] ^= h;
            if (--weights[at[k]] == 1)
                queue[queued++] = at[k];
        }
    }
    return taken == s->count;
}

bool tr_filter_build(tr_items *s, sx_buf *out)
{
    uint32_t block = (uint32_t)((s->count + s->count / 4 + 32) / 3 + 1), at[3];
    size_t all = 3 * (size_t)block, head = out->len;
    if (!sx_grow(&s->work, &s->work_cap, all + 2 * s->count, sizeof *s->work) ||
        !sx_grow(&s->weights, &s->weights_cap, all, sizeof *s->weights) ||
        !sx_grow(&s->stack, &s->stack_cap, all + 3 * s->count, sizeof *s->stack) ||
        !sx_buf_reserve(out, FILTER_HEAD + all))
        return false;
    uint64_t seed = 0;
    while (!peel(s, seed, block)) {
        if (seed == 0)
            take_out_equals(s);
        if (++seed == SEEDS_MAX) /* cannot be met but by chance of 2^-60: no filter then */
            return true;
    }
    uint8_t *prints = (uint8_t *)out->data + head + FILTER_HEAD;
    const uint64_t *order = s->work + all;
    memset(prints, 0, all);
    for (size_t i = s->count; i-- > 0;) {
        uint64_t h = order[2 * i];
        places(h, block, at);
        prints[order[2 * i + 1]] =
            (uint8_t)(print_of(h) ^ prints[at[0]] ^ prints[at[1]] ^ prints[at[2]]);
    }
    uint64_t words[2] = {seed, block};
    sx_buf_bytes(out, words, sizeof words);
    out->len += all;
    return !out->failed;
}

bool tr_filter_has(const uint8_t *filter, size_t len, uint64_t item)
{
    uint64_t words[2];
    uint32_t at[3];
    if (len < FILTER_HEAD)
        return true;
    memcpy(words, filter, sizeof words);
    if (words[1] == 0 || words[1] > (len - FILTER_HEAD) / 3)
        return true;
    const uint8_t *prints = filter + FILTER_HEAD;
    uint64_t h = mix(item, words[0]);
    places(h, (uint32_t)words[1], at);
    return print_of(h) == (uint8_t)(prints[at[0]] ^ prints[at[1]] ^ prints[at[2]]);
}

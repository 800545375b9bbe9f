/* postings.c - walking and probing the documents of a term. See reader.h.
 *
 * A list is one of three things, whichever is small and quick: a single document held in the term's
 * record; an array of documents, then one of weight codes, which is searched where it lies; or, for
 * terms in many documents, a bitmap with rank entries, which answers a probe at once. Packed blocks
 * took half of an array's room, but most of a search's time went into unpacking 128 documents to
 * find one. */
#include "geocode/index/reader.h"

static void empty(geo_postings *p)
{
    p->kind = GEO_POSTINGS_ARRAY;
    p->count = 0;
    p->bad = true;
}

static void open_bitmap(const geo_index *ix, geo_cursor c, geo_postings *p)
{
    p->word_count = (ix->doc_count + 63) / 64;
    uint64_t ranks = ((uint64_t)p->word_count + GEO_RANK_WORDS - 1) / GEO_RANK_WORDS;
    sx_str words = geo_cursor_bytes(&c, (uint64_t)p->word_count * 8);
    sx_str rank = geo_cursor_bytes(&c, ranks * 4);
    sx_str tops = geo_cursor_bytes(&c, ranks);
    sx_str class_tops = geo_cursor_bytes(&c, GEO_CAP_CLASSES);
    sx_str weights = geo_cursor_bytes(&c, p->count);
    if (c.bad || ((uintptr_t)words.data & 7) != 0) {
        empty(p);
        return;
    }
    p->words = (const uint64_t *)(const void *)words.data;
    p->ranks = (const uint32_t *)(const void *)rank.data;
    p->tops = (const uint8_t *)tops.data;
    p->class_tops = (const uint8_t *)class_tops.data;
    p->weights = (const uint8_t *)weights.data;
    p->word = p->word_count ? p->words[0] : 0;
}

static void open_array(geo_cursor c, geo_postings *p)
{
    sx_str docs = geo_cursor_bytes(&c, (uint64_t)p->count * sizeof(*p->docs));
    sx_str weights = geo_cursor_bytes(&c, p->count);
    if (c.bad || ((uintptr_t)docs.data & 3) != 0) {
        empty(p);
        return;
    }
    p->docs = (const uint32_t *)(const void *)docs.data;
    p->weights = (const uint8_t *)weights.data;
}

void geo_postings_open(const geo_index *ix, uint32_t term, geo_postings *p)
{
    p->bad = false;
    p->given = p->at = 0;
    if (term >= ix->term_count || ix->terms[term].count == 0) {
        empty(p);
        p->bad = false;
        return;
    }
    const geo_disk_term *t = &ix->terms[term];
    p->count = t->count;
    p->kind = t->kind;
    geo_cursor c = geo_section_cursor(ix, GEO_S_POSTINGS, t->at);
    if (t->kind == GEO_POSTINGS_ONE && t->at < ix->doc_count && t->count == 1) {
        p->kind = GEO_POSTINGS_ARRAY;
        p->docs = (const uint32_t *)(const void *)&t->at; /* its lower half */
        p->weights = &t->weight;
    } else if (t->count > ix->doc_count || c.bad || t->kind > GEO_POSTINGS_BITMAP ||
               t->kind == GEO_POSTINGS_ONE) {
        empty(p);
    } else if (t->kind == GEO_POSTINGS_BITMAP) {
        open_bitmap(ix, c, p);
    } else {
        open_array(c, p);
    }
}

static uint32_t next_bit(geo_postings *p, uint8_t *weight)
{
    while (p->word == 0) {
        if (p->at + 1 >= p->word_count)
            return GEO_NO_DOC;
        p->word = p->words[++p->at];
    }
    uint32_t doc = p->at * 64 + (uint32_t)__builtin_ctzll(p->word);
    p->word &= p->word - 1;
    *weight = p->given < p->count ? p->weights[p->given] : 0;
    p->given++;
    return doc;
}

uint32_t geo_postings_next(geo_postings *p, uint8_t *weight)
{
    if (p->kind == GEO_POSTINGS_BITMAP)
        return next_bit(p, weight);
    if (p->at >= p->count)
        return GEO_NO_DOC;
    *weight = p->weights[p->at];
    return p->docs[p->at++];
}

/* The first of docs[low..high) that is not below `doc`, `high` if all are. Taken without a branch: either
 * way is as likely. */
static uint32_t lower_bound(const uint32_t *docs, uint32_t low, uint32_t high, uint32_t doc)
{
    uint32_t length = high - low;
    while (length > 0) {
        uint32_t half = length / 2;
        low = docs[low + half] < doc ? low + length - half : low;
        length = half;
    }
    return low;
}

enum { RUN = 32, RUNS_WALKED = 8 };

/* HOT. The first of docs[at..count) that is not below `doc`. Runs are passed over by their last document,
 * and counted through without a branch: what comes of a comparison could not be guessed. */
static uint32_t skip_to(const uint32_t *docs, uint32_t at, uint32_t count, uint32_t doc)
{
    if (count - at > RUN * RUNS_WALKED && docs[at + RUN * RUNS_WALKED] < doc) {
        uint32_t step = RUN * RUNS_WALKED * 2;
        while (step < count - at && docs[at + step] < doc)
            step *= 2;
        return lower_bound(docs, at + step / 2, step < count - at ? at + step : count, doc);
    }
    while (count - at >= RUN && docs[at + RUN - 1] < doc)
        at += RUN;
    uint32_t below = 0;
    if (sx_likely(count - at >= RUN)) {
        for (uint32_t i = 0; i < RUN; i++)
            below += docs[at + i] < doc;
    } else {
        for (uint32_t i = at; i < count; i++)
            below += docs[i] < doc;
    }
    return at + below;
}

/* HOT, 15 ns. The search goes on from where the last one ended. */
static bool has_in_array(geo_postings *p, uint32_t doc)
{
    if (sx_unlikely(p->at > 0 && p->docs[p->at - 1] >= doc)) /* not a rising one */
        p->at = lower_bound(p->docs, 0, p->at, doc);
    else
        p->at = skip_to(p->docs, p->at, p->count, doc);
    return p->at < p->count && p->docs[p->at] == doc;
}

bool geo_postings_has(geo_postings *p, uint32_t doc, uint8_t *weight)
{
    if (p->kind == GEO_POSTINGS_BITMAP ? geo_postings_lacks(p, doc) : !has_in_array(p, doc))
        return false;
    if (weight) {
        uint32_t at = p->kind == GEO_POSTINGS_BITMAP ? geo_postings_place(p, doc) : p->at;
        *weight = at < p->count ? p->weights[at] : 0;
    }
    return true;
}

uint32_t geo_postings_sieve_bits(const uint64_t *const *bits, uint32_t count, const uint32_t *docs,
                                 uint32_t n, uint8_t out[GEO_POSTINGS_CHUNK])
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t has = 1;
        for (uint32_t b = 0; b < count; b++)
            has &= bits[b][docs[i] / 64] >> (docs[i] % 64);
        out[kept] = (uint8_t)i;
        kept += (uint32_t)has;
    }
    return kept;
}

/* Of two lists of like length all is read, one document after the other. */
static uint32_t sieve_by_merging(geo_postings *p, const uint32_t *docs, uint8_t *which, uint32_t n,
                                 uint32_t at[GEO_POSTINGS_CHUNK])
{
    uint32_t kept = 0, i = 0, j = p->at;
    while (i < n && j < p->count) {
        uint32_t own = docs[which[i]], other = p->docs[j];
        at[which[i]] = j;
        which[kept] = which[i];
        kept += own == other;
        i += own <= other;
        j += other <= own;
    }
    p->at = j;
    return kept;
}

enum {
    MERGED_MAX = 4
}; /* documents of the list to one that is asked for; then galloping is faster */

uint32_t geo_postings_sieve(geo_postings *p, const uint32_t *docs, uint8_t *which, uint32_t n,
                            uint32_t near, uint32_t at[GEO_POSTINGS_CHUNK])
{
    if (near / MERGED_MAX < n)
        return sieve_by_merging(p, docs, which, n, at);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool has = has_in_array(p, docs[which[i]]);
        at[which[i]] = p->at;
        which[kept] = which[i];
        kept += has;
    }
    return kept;
}

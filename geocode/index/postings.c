/* postings.c - walking and probing the documents of a term. See reader.h.
 *
 * A list is one of three things, whichever is smallest and quick: a single document held in the
 * term's record; blocks of 128 (delta varints, then a weight byte each) behind skip entries; or, for
 * terms in more than a 64th of all documents, a bitmap with rank entries, which answers a probe
 * at once. */
#include "geocode/index/reader.h"

static void empty(geo_postings *p)
{
    p->kind = GEO_POSTINGS_ONE;
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
    sx_str weights = geo_cursor_bytes(&c, p->count);
    if (c.bad || ((uintptr_t)words.data & 7) != 0) {
        empty(p);
        return;
    }
    p->words = (const uint64_t *)(const void *)words.data;
    p->ranks = (const uint32_t *)(const void *)rank.data;
    p->tops = (const uint8_t *)tops.data;
    p->weights = (const uint8_t *)weights.data;
    p->word = p->word_count ? p->words[0] : 0;
}

static void open_blocks(geo_cursor c, geo_postings *p)
{
    p->block_count = (p->count - 1) / GEO_POSTING_BLOCK + 1;
    sx_str skips = geo_cursor_bytes(&c, (uint64_t)p->block_count * sizeof(geo_disk_skip));
    if (c.bad || ((uintptr_t)skips.data & 3) != 0) {
        empty(p);
        return;
    }
    p->skips = (const geo_disk_skip *)(const void *)skips.data;
    p->data = c.at;
    p->data_end = c.end;
}

void geo_postings_open(const geo_index *ix, uint32_t term, geo_postings *p)
{
    p->bad = false;
    p->block = UINT32_MAX;
    p->in_block = p->at = 0;
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
        p->one_doc = (uint32_t)t->at;
        p->one_weight = t->weight;
    } else if (t->count > ix->doc_count || c.bad || t->kind > GEO_POSTINGS_BITMAP ||
               t->kind == GEO_POSTINGS_ONE) {
        empty(p);
    } else if (t->kind == GEO_POSTINGS_BITMAP) {
        open_bitmap(ix, c, p);
    } else {
        open_blocks(c, p);
    }
}

enum { STEP_BYTES_MAX = 6 }; /* that read_steps_unchecked() takes for one document */

/* HOT. Reads `count` rising documents from `doc` on; the caller has seen that STEP_BYTES_MAX bytes are
 * there for each, so that only a varint that is too long can be wrong: it reads as some other
 * document. */
static const uint8_t *read_steps_unchecked(const uint8_t *at, uint32_t count, uint32_t doc,
                                           uint32_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t step = *at & 0x7Fu;
        for (unsigned shift = 7; (*at++ & 0x80) && shift < 35; shift += 7)
            step |= (uint32_t)(*at & 0x7Fu) << (shift < 32 ? shift : 31);
        doc += step;
        out[i] = doc++;
    }
    return at;
}

/* Decodes block `block`. False if damaged; the list ends there. */
static bool load_block(geo_postings *p, uint32_t block)
{
    uint64_t bytes = (uint64_t)(p->data_end - p->data);
    geo_cursor c = geo_cursor_at(p->data, bytes, p->skips[block].offset);
    uint32_t count = block + 1 < p->block_count ? GEO_POSTING_BLOCK
                                                : p->count - block * (uint32_t)GEO_POSTING_BLOCK;
    uint32_t doc = block ? p->skips[block - 1].last + 1 : 0;
    if (sx_likely((uint64_t)(c.end - c.at) >= (uint64_t)count * STEP_BYTES_MAX)) {
        c.at = read_steps_unchecked(c.at, count, doc, p->docs);
    } else {
        for (uint32_t i = 0; i < count; i++) {
            doc += (uint32_t)geo_cursor_varint(&c);
            p->docs[i] = doc++;
        }
    }
    p->block_weights = (const uint8_t *)geo_cursor_bytes(&c, count).data;
    p->block = block;
    p->in_block = c.bad ? 0 : count;
    if (c.bad)
        p->bad = true;
    return !c.bad;
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
    *weight = p->in_block < p->count ? p->weights[p->in_block] : 0;
    p->in_block++; /* a bitmap has no blocks: the number given so far */
    return doc;
}

uint32_t geo_postings_next(geo_postings *p, uint8_t *weight)
{
    if (p->kind == GEO_POSTINGS_BITMAP)
        return next_bit(p, weight);
    if (p->kind == GEO_POSTINGS_ONE) {
        if (p->at >= p->count)
            return GEO_NO_DOC;
        p->at = 1;
        *weight = p->one_weight;
        return p->one_doc;
    }
    if (p->at >= p->in_block) {
        uint32_t next = p->block + 1; /* UINT32_MAX + 1: the first */
        if (next >= p->block_count || p->bad || !load_block(p, next))
            return GEO_NO_DOC;
        p->at = 0;
    }
    *weight = p->block_weights[p->at];
    return p->docs[p->at++];
}

static bool has_bit(geo_postings *p, uint32_t doc, uint8_t *weight)
{
    uint32_t word = doc / 64;
    if (word >= p->word_count || !(p->words[word] >> (doc % 64) & 1))
        return false;
    if (!weight)
        return true;
    uint32_t rank = geo_postings_rank(p, word);
    rank += geo_bits_in(p->words[word] & ((UINT64_C(1) << (doc % 64)) - 1));
    *weight = rank < p->count ? p->weights[rank] : 0;
    return true;
}

/* The block that may hold `doc`: the first whose last document is not below it. */
static uint32_t block_for(const geo_postings *p, uint32_t doc)
{
    uint32_t low = 0, high = p->block_count;
    if (p->block < p->block_count) {
        if (p->skips[p->block].last < doc)
            low = p->block + 1;
        else if (p->in_block && p->docs[0] <= doc)
            return p->block;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (p->skips[middle].last < doc)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool geo_postings_has(geo_postings *p, uint32_t doc, uint8_t *weight)
{
    if (p->kind == GEO_POSTINGS_BITMAP)
        return has_bit(p, doc, weight);
    if (p->kind == GEO_POSTINGS_ONE) {
        if (weight)
            *weight = p->one_weight;
        return p->count == 1 && p->one_doc == doc;
    }
    uint32_t block = block_for(p, doc);
    if (block >= p->block_count || (p->block != block && !load_block(p, block)))
        return false;
    uint32_t low = 0, high = p->in_block;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        bool below = p->docs[middle] < doc; /* taken without a branch: either way is as likely */
        low = below ? middle + 1 : low;
        high = below ? high : middle;
    }
    if (low >= p->in_block || p->docs[low] != doc)
        return false;
    if (weight)
        *weight = p->block_weights[low];
    return true;
}

/* words.c - the tree of words, and what is kept of the words that many documents have. See reader.h.
 * Every reference is checked where it is used: a damaged file gives fewer answers, never a fault. */
#include "geocode/index/reader.h"

static inline uint32_t children_of(const geo_index *ix, uint32_t node, uint32_t *first)
{
    const geo_disk_node *n = &ix->trie[node];
    *first = n->children;
    return n->children > node && n->children <= ix->node_count &&
                   n->child_count <= ix->node_count - n->children
               ? n->child_count
               : 0;
}

uint32_t geo_trie_children(const geo_index *ix, uint32_t node, uint32_t *first)
{
    return children_of(ix, node, first);
}

/* HOT. Children have different bytes, so the wanted one has at most as many behind it as its byte is
 * below the last: where letters are many, that is its very place. */
static inline uint32_t child_of(const geo_index *ix, uint32_t node, uint8_t byte)
{
    uint32_t first, count = children_of(ix, node, &first);
    if (count == 0)
        return 0;
    const geo_disk_node *children = ix->trie + first;
    uint8_t last = children[count - 1].byte;
    if (byte > last)
        return 0;
    uint32_t behind = (uint32_t)last - byte, i = behind < count ? count - 1 - behind : 0;
    while (children[i].byte < byte && i < count - 1)
        i++;
    return children[i].byte == byte ? first + i : 0;
}

uint32_t geo_trie_child(const geo_index *ix, uint32_t node, uint8_t byte)
{
    return child_of(ix, node, byte);
}

uint32_t geo_trie_walk(const geo_index *ix, uint32_t node, sx_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        node = child_of(ix, node, (uint8_t)text.data[i]);
        if (node == 0)
            return 0;
    }
    return node;
}

uint32_t geo_word_find(const geo_index *ix, sx_str word)
{
    uint32_t node = geo_trie_walk(ix, 0, word);
    uint32_t term = node ? ix->trie[node].term : GEO_NO_TERM;
    return term < ix->term_count ? term : GEO_NO_TERM;
}

uint32_t geo_heavy_find(const geo_index *ix, uint32_t term)
{
    uint32_t low = 0, high = ix->heavy_count;
    if (term >= ix->term_count || ix->terms[term].count < GEO_HEAVY_LEAST)
        return GEO_NOT_HEAVY;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ix->heavy[middle].term < term)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ix->heavy_count && ix->heavy[low].term == term ? low : GEO_NOT_HEAVY;
}

const geo_disk_heavy_doc *geo_heavy_docs(const geo_index *ix, uint32_t heavy, uint32_t *count)
{
    const geo_bytes *s = &ix->s[GEO_S_HEAVY_DOCS];
    const geo_disk_heavy *row = &ix->heavy[heavy];
    *count = row->first <= s->count && row->count <= s->count - row->first ? row->count : 0;
    return (const geo_disk_heavy_doc *)(const void *)s->data + (*count ? row->first : 0);
}

/* HOT. Two bitmaps: 64 documents at a time. */
static bool bitmaps_meet(const geo_postings *a, const geo_postings *b)
{
    for (uint32_t i = 0; i < a->word_count; i++) {
        if (a->words[i] & b->words[i])
            return true;
    }
    return false;
}

bool geo_terms_meet(const geo_index *ix, uint32_t a, uint32_t b)
{
    if (a == b)
        return true;
    if (a >= ix->term_count || b >= ix->term_count)
        return false;
    uint32_t heavy_a = geo_heavy_find(ix, a);
    uint32_t heavy_b = heavy_a == GEO_NOT_HEAVY ? GEO_NOT_HEAVY : geo_heavy_find(ix, b);
    if (heavy_b != GEO_NOT_HEAVY)
        return geo_heavies_meet(ix, heavy_a, heavy_b);
    geo_postings few, many;
    bool swap = ix->terms[a].count > ix->terms[b].count;
    uint32_t rare = swap ? b : a, common = swap ? a : b;
    geo_postings_open(ix, rare, &few);
    geo_postings_open(ix, common, &many);
    bool is_bitmap = many.kind == GEO_POSTINGS_BITMAP;
    if (is_bitmap && few.kind == GEO_POSTINGS_BITMAP)
        return bitmaps_meet(&few, &many);
    uint8_t weight;
    for (uint32_t doc; (doc = geo_postings_next(&few, &weight)) != GEO_NO_DOC;) {
        if (is_bitmap ? !geo_postings_lacks(&many, doc) : geo_postings_has(&many, doc, NULL))
            return true;
    }
    return false;
}

bool geo_terms_docs(const geo_index *ix, const uint32_t *terms, uint32_t count, uint32_t *out,
                    uint32_t cap, uint32_t *found)
{
    geo_postings first, others[GEO_MEET_TERMS_MAX];
    const uint64_t *bits[GEO_MEET_TERMS_MAX];
    uint32_t other_count = 0, bit_count = 0;
    *found = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (terms[i] >= ix->term_count)
            return true; /* nothing has it */
    }
    if (count > GEO_MEET_TERMS_MAX || ix->terms[terms[0]].count > GEO_MEET_DOCS_MAX)
        return false;
    geo_postings_open(ix, terms[0], &first);
    for (uint32_t i = 1; i < count; i++) {
        if (terms[i] == terms[i - 1])
            continue;
        geo_postings_open(ix, terms[i], &others[other_count]);
        if (others[other_count].kind == GEO_POSTINGS_BITMAP)
            bits[bit_count++] = others[other_count].words;
        else
            other_count++;
    }
    if (first.kind == GEO_POSTINGS_BITMAP)
        return false;
    for (uint32_t from = 0; from < first.count; from += GEO_POSTINGS_CHUNK) {
        const uint32_t *docs = first.docs + from;
        uint8_t which[GEO_POSTINGS_CHUNK];
        uint32_t at[GEO_POSTINGS_CHUNK];
        uint32_t n =
            first.count - from < GEO_POSTINGS_CHUNK ? first.count - from : GEO_POSTINGS_CHUNK;
        if (sx_unlikely(!geo_docs_exist(ix, docs, n)))
            return false;
        n = geo_postings_sieve_bits(bits, bit_count, docs, n, which);
        for (uint32_t i = 0; i < other_count && n; i++)
            n = geo_postings_sieve(&others[i], docs, which, n,
                                   geo_postings_near(&others[i], &first), at);
        if (n > cap - *found)
            return false;
        for (uint32_t i = 0; i < n; i++)
            out[(*found)++] = docs[which[i]];
    }
    return true;
}

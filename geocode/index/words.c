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
    if (heavy_b != GEO_NOT_HEAVY) {
        const uint64_t *bits = (const uint64_t *)(const void *)ix->s[GEO_S_PAIRS].data;
        size_t row = ((size_t)ix->heavy_count + 63) / 64;
        return bits[heavy_a * row + heavy_b / 64] >> (heavy_b % 64) & 1;
    }
    geo_postings few, many;
    bool swap = ix->terms[a].count > ix->terms[b].count;
    uint32_t rare = swap ? b : a, common = swap ? a : b;
    geo_postings_open(ix, rare, &few);
    geo_postings_open(ix, common, &many);
    /* A document's own terms are read sooner than a block of the list is decoded for it. */
    bool by_doc = many.kind == GEO_POSTINGS_BLOCKS && few.count < many.block_count;
    bool is_bitmap = many.kind == GEO_POSTINGS_BITMAP;
    if (is_bitmap && few.kind == GEO_POSTINGS_BITMAP)
        return bitmaps_meet(&few, &many);
    uint8_t weight;
    for (uint32_t doc; (doc = geo_postings_next(&few, &weight)) != GEO_NO_DOC;) {
        if (is_bitmap ? !geo_postings_lacks(&many, doc)
            : by_doc  ? geo_doc_has_term(ix, doc, common)
                      : geo_postings_has(&many, doc, NULL))
            return true;
    }
    return false;
}

/* The words that a document of the first one is asked for: bitmaps, then a list that is walked along,
 * then what is looked up among the document's own. */
typedef struct others {
    const uint64_t *bits[GEO_MEET_TERMS_MAX];
    uint32_t word_count, bitmaps, own[GEO_MEET_TERMS_MAX], own_count;
    geo_postings list;
    bool has_list;
} others;

/* A list is walked along only if the first word's is long, too. */
enum { OWN_TERMS_TO = 48 };

static void open_others(const geo_index *ix, const uint32_t *terms, uint32_t count, bool many,
                        others *o)
{
    o->bitmaps = o->own_count = 0;
    o->has_list = false;
    for (uint32_t i = 1; i < count; i++) {
        if (terms[i] == terms[i - 1])
            continue;
        if (ix->terms[terms[i]].kind != GEO_POSTINGS_BITMAP && (!many || o->has_list)) {
            o->own[o->own_count++] = terms[i];
            continue;
        }
        geo_postings_open(ix, terms[i], &o->list);
        if (o->list.kind == GEO_POSTINGS_BITMAP) {
            o->bits[o->bitmaps++] = o->list.words;
            o->word_count = o->list.word_count;
        } else {
            o->has_list = true;
        }
    }
}

static bool has_own(const uint32_t *own, uint32_t count, uint32_t term)
{
    uint32_t i = 0;
    while (i < count && own[i] < term)
        i++;
    return i < count && own[i] == term;
}

static bool has_others(const geo_index *ix, others *o, uint32_t doc)
{
    uint32_t own[GEO_DOC_TERMS_MAX];
    if (o->bitmaps && doc / 64 >= o->word_count)
        return false;
    for (uint32_t i = 0; i < o->bitmaps; i++) {
        if (!(o->bits[i][doc / 64] >> (doc % 64) & 1))
            return false;
    }
    if (o->has_list && !geo_postings_has(&o->list, doc, NULL))
        return false;
    if (o->own_count == 0)
        return true;
    uint32_t count = geo_doc_terms(ix, doc, own);
    for (uint32_t i = 0; i < o->own_count; i++) {
        if (!has_own(own, count, o->own[i]))
            return false;
    }
    return true;
}

bool geo_terms_docs(const geo_index *ix, const uint32_t *terms, uint32_t count, uint32_t *out,
                    uint32_t cap, uint32_t *found)
{
    geo_postings first;
    others o;
    uint8_t weight;
    *found = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (terms[i] >= ix->term_count)
            return true; /* nothing has it */
    }
    geo_postings_open(ix, terms[0], &first);
    if (first.count > GEO_MEET_DOCS_MAX || count > GEO_MEET_TERMS_MAX)
        return false;
    open_others(ix, terms, count, first.count > OWN_TERMS_TO, &o);
    for (uint32_t doc; (doc = geo_postings_next(&first, &weight)) != GEO_NO_DOC;) {
        if (doc >= ix->doc_count || !has_others(ix, &o, doc))
            continue;
        if (*found == cap)
            return false;
        out[(*found)++] = doc;
    }
    return true;
}

/* terms.c - the sorted dictionary, front-coded in blocks of 16, and each document's own terms.
 *
 * A block begins with a whole term {varint length, bytes}; the others are {varint shared bytes with
 * the term before, varint length of the rest, bytes}. A look-up is a binary search over the blocks'
 * first terms and a walk through one block; a prefix is two of them; an automaton walks the whole
 * in byte order. */
#include "geocode/index/reader.h"

enum { TERM_BYTES_MAX = 512 };

/* The first term of a block; a damaged one compares as empty. */
static sx_str block_head(const geo_index *ix, uint32_t block, geo_cursor *c)
{
    const uint32_t *offsets = (const uint32_t *)(const void *)ix->s[GEO_S_TERM_BLOCKS].data;
    *c = geo_section_cursor(ix, GEO_S_TERM_HEAP, offsets[block]);
    return geo_cursor_bytes(c, geo_cursor_varint(c));
}

/* The last block whose first term is <= `term` (0 if none is). */
static uint32_t block_for(const geo_index *ix, sx_str term)
{
    uint32_t low = 0, high = (uint32_t)ix->s[GEO_S_TERM_BLOCKS].count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        geo_cursor c;
        if (sx_str_cmp(block_head(ix, middle, &c), term) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The id of the first term >= `term`; *equal tells whether it is that very term. */
static uint32_t lower_bound(const geo_index *ix, sx_str term, bool *equal)
{
    *equal = false;
    if (ix->term_count == 0)
        return 0;
    uint32_t block = block_for(ix, term), id = block * GEO_TERM_BLOCK;
    geo_cursor c;
    sx_str head = block_head(ix, block, &c);
    char text[TERM_BYTES_MAX];
    size_t len = head.len < sizeof(text) ? head.len : sizeof(text);
    memcpy(text, head.data, len);
    uint32_t end = id + GEO_TERM_BLOCK < ix->term_count ? id + GEO_TERM_BLOCK : ix->term_count;
    for (;;) {
        int order = sx_str_cmp(sx_str_of(text, len), term);
        *equal = order == 0;
        if (order >= 0 || ++id == end || c.bad)
            return id;
        uint64_t shared = geo_cursor_varint(&c);
        sx_str rest = geo_cursor_bytes(&c, geo_cursor_varint(&c));
        if (c.bad || shared > len || rest.len > sizeof(text) - shared)
            return id;
        memcpy(text + shared, rest.data, rest.len);
        len = shared + rest.len;
    }
}

uint32_t geo_term_find(const geo_index *ix, sx_str term)
{
    bool equal;
    uint32_t id = lower_bound(ix, term, &equal);
    return equal ? id : GEO_NO_TERM;
}

void geo_term_range(const geo_index *ix, sx_str prefix, uint32_t *first, uint32_t *end)
{
    bool equal;
    char after[64];
    *first = lower_bound(ix, prefix, &equal);
    if (prefix.len == 0 || prefix.len > sizeof(after)) {
        *end = *first;
        return;
    }
    /* The smallest text greater than everything that begins with the prefix. No term has a byte
     * 0xFF, which UTF-8 never uses, so the last byte can always be stepped. */
    memcpy(after, prefix.data, prefix.len);
    after[prefix.len - 1] = (char)((unsigned char)after[prefix.len - 1] + 1);
    *end = lower_bound(ix, sx_str_of(after, prefix.len), &equal);
    if (*end < *first)
        *end = *first;
}

sx_str geo_term_text(const geo_index *ix, uint32_t term, char *out, size_t cap)
{
    sx_str none = {"", 0};
    if (term >= ix->term_count)
        return none;
    geo_cursor c;
    sx_str head = block_head(ix, term / GEO_TERM_BLOCK, &c);
    if (head.len > cap)
        return none;
    memcpy(out, head.data, head.len);
    size_t len = head.len;
    for (uint32_t i = 0; i < term % GEO_TERM_BLOCK; i++) {
        uint64_t shared = geo_cursor_varint(&c);
        sx_str rest = geo_cursor_bytes(&c, geo_cursor_varint(&c));
        if (c.bad || shared > len || rest.len > cap - shared)
            return none;
        memcpy(out + shared, rest.data, rest.len);
        len = shared + rest.len;
    }
    return c.bad ? none : sx_str_of(out, len);
}

/* HOT. Reads `count` rising terms; the caller has seen that 6 bytes are there for each, so that only
 * a varint that is too long can be wrong: it reads as some other term. */
static void read_terms_unchecked(const uint8_t *at, uint32_t count, uint32_t *out)
{
    uint32_t term = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t step = *at & 0x7Fu;
        for (unsigned shift = 7; (*at++ & 0x80) && shift < 35; shift += 7)
            step |= (uint32_t)(*at & 0x7Fu) << (shift < 32 ? shift : 31);
        term += step;
        out[i] = term;
    }
}

uint32_t geo_doc_terms(const geo_index *ix, uint32_t doc, uint32_t out[GEO_DOC_TERMS_MAX])
{
    if (doc >= ix->doc_count)
        return 0;
    geo_cursor c = geo_section_cursor(ix, GEO_S_DOC_TERMS, ix->docs[doc].terms);
    uint32_t count = geo_cursor_u32(&c), term = 0;
    if (count > GEO_DOC_TERMS_MAX || c.bad)
        return 0;
    if (sx_likely((uint64_t)(c.end - c.at) >= (uint64_t)count * 6)) {
        read_terms_unchecked(c.at, count, out);
        return count;
    }
    for (uint32_t i = 0; i < count; i++) {
        term += (uint32_t)geo_cursor_varint(&c);
        out[i] = term;
    }
    return c.bad ? 0 : count;
}

bool geo_filter_known(const geo_index *ix, sx_str key)
{
    for (uint32_t i = 0; i < ix->s[GEO_S_FILTER_KEYS].count; i++) {
        if (sx_str_eq(geo_index_filter_key(ix, i), key))
            return true;
    }
    return false;
}

sx_str geo_filter_text(sx_str key, sx_str value, char out[GEO_FILTER_BYTES_MAX])
{
    if (value.len == 0 || key.len + value.len + 2 > GEO_FILTER_BYTES_MAX)
        return sx_str_of("", 0);
    out[0] = GEO_FILTER_LEAD;
    memcpy(out + 1, key.data, key.len);
    out[1 + key.len] = GEO_FILTER_SPLIT;
    memcpy(out + 2 + key.len, value.data, value.len);
    return sx_str_of(out, key.len + value.len + 2);
}

uint32_t geo_filter_term(const geo_index *ix, sx_str key, sx_str value)
{
    char text[GEO_FILTER_BYTES_MAX];
    sx_str term = geo_filter_text(key, value, text);
    return term.len ? geo_term_find(ix, term) : GEO_NO_TERM;
}

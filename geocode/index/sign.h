/* sign.h - which pairs of neighbouring letters a document's names have, as a set of bits.
 *
 * A label's similarity with a query is a matter of shared pairs (search/score.c). The set is kept in
 * front of a document's label parts, so that a search knows how similar its labels can be at most
 * without reading them: only documents that may enter the results are compared. The builder makes
 * the sets, the search asks them; docs/formats/geocode-index.md describes the bits. */
#ifndef GEOCODE_INDEX_SIGN_H
#define GEOCODE_INDEX_SIGN_H

#include <sextant/str.h>

enum {
    GEO_SIGN_WORDS = 4,
    GEO_SIGN_BITS = 248,        /* for pairs; the last byte is the shortest name's length */
    GEO_SIGN_SHORTEST_MAX = 250 /* bytes of a name; 0 stands for a longer one, and for none */
};

typedef struct geo_sign {
    uint64_t words[GEO_SIGN_WORDS];
} geo_sign;

/* A letter in 6 bits: space, 10 digits, 26 letters, and 27 more for everything else. */
static inline unsigned geo_letter_code(unsigned char c)
{
    if (c >= 'a' && c <= 'z')
        return 11 + c - 'a';
    if (c >= '0' && c <= '9')
        return 1 + c - '0';
    return c == ' ' ? 0 : 37 + c % 27;
}

/* The bit of a pair of letters: `code` is the first one's code times 64 plus the second's. */
static inline unsigned geo_sign_bit(unsigned code)
{
    return (code * UINT32_C(2654435761) >> 16) * GEO_SIGN_BITS >> 16;
}

static inline unsigned geo_sign_shortest(const geo_sign *s)
{
    return (unsigned)(s->words[GEO_SIGN_WORDS - 1] >> 56);
}

/* Adds the pairs of a name, as it stands between spaces. */
static inline void geo_sign_add(geo_sign *s, sx_str name)
{
    unsigned before = 0;
    for (size_t i = 0; i <= name.len; i++) {
        unsigned code = i < name.len ? geo_letter_code((unsigned char)name.data[i]) : 0;
        unsigned bit = geo_sign_bit(before << 6 | code);
        s->words[bit / 64] |= UINT64_C(1) << (bit % 64);
        before = code;
    }
}

static inline void geo_sign_set_shortest(geo_sign *s, size_t bytes)
{
    s->words[GEO_SIGN_WORDS - 1] |= (uint64_t)(bytes > GEO_SIGN_SHORTEST_MAX ? 0 : bytes) << 56;
}

#endif

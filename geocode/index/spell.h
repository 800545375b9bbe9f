/* spell.h - a number for a word, from which those of words one slip away follow at once.
 *
 * The index holds a set of bits that has these numbers of all its words (WORD_BITS). A slip is first
 * asked of the set, and only what it has is looked for in the tree of words: of 16 slips that make no
 * word one passes. The builder and fuzzy.c use it; docs/formats/geocode-index.md describes it. */
#ifndef GEOCODE_INDEX_SPELL_H
#define GEOCODE_INDEX_SPELL_H

#include <sextant/str.h>

/* Letter i counts (byte + 1) times the i-th power of the base, modulo 2^64. */
#define GEO_SPELL_BASE         UINT64_C(0x9E3779B97F4A7C15)
#define GEO_SPELL_BASE_INVERSE UINT64_C(0xF1DE83E19937733D)
#define GEO_SPELL_MIX          UINT64_C(0xC2B2AE3D27D4EB4F)

enum { GEO_SPELL_BITS_A_WORD = 16, GEO_SPELL_WORDS_MIN = 8 /* of 64 bits */ };

static inline uint64_t geo_spell(sx_str word)
{
    uint64_t sum = 0, power = 1;
    for (size_t i = 0; i < word.len; i++) {
        sum += ((uint64_t)(unsigned char)word.data[i] + 1) * power;
        power *= GEO_SPELL_BASE;
    }
    return sum;
}

/* The place of a word's bit among 2^log2. */
static inline uint64_t geo_spell_bit(uint64_t spelled, unsigned log2)
{
    return (spelled ^ spelled >> 29) * GEO_SPELL_MIX >> (64 - log2);
}

#endif

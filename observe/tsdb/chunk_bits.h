/* chunk_bits.h - reading bits, most significant first, a word at a time.
 *
 * A position is a count of bits; a load is one unaligned 64-bit read while 8 bytes are left, so that
 * a decoder looks at 57 bits at once and tests a position against the end once a sample instead of
 * once a bit. Beyond the end there are zeros. Used by the chunk decoders. */
#ifndef OBSERVE_TSDB_CHUNK_BITS_H
#define OBSERVE_TSDB_CHUNK_BITS_H

#include <sextant/str.h>

typedef struct tsdb_bits {
    const uint8_t *data;
    size_t len; /* bytes */
    size_t at;  /* bits read */
} tsdb_bits;

static inline uint64_t tsdb_load_be64(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return __builtin_bswap64(word);
}

static inline void tsdb_store_be64(uint8_t *p, uint64_t word)
{
    word = __builtin_bswap64(word);
    memcpy(p, &word, sizeof word);
}

/* The next bits at the top of the word: at least 57 are there. */
static inline uint64_t tsdb_bits_peek(const tsdb_bits *b)
{
    size_t byte = b->at >> 3;
    uint64_t word = 0;
    if (sx_likely(byte + 8 <= b->len)) {
        word = tsdb_load_be64(b->data + byte);
    } else {
        for (size_t i = 0; i < 8 && byte + i < b->len; i++)
            word |= (uint64_t)b->data[byte + i] << (56 - 8 * i);
    }
    return word << (b->at & 7);
}

/* The next `n` bits, 1 to 64, as a number. */
static inline uint64_t tsdb_bits_take(tsdb_bits *b, unsigned n)
{
    uint64_t word = tsdb_bits_peek(b);
    if (sx_likely(n <= 57)) {
        b->at += n;
        return word >> (64 - n);
    }
    uint64_t high = word >> 32;
    b->at += 32;
    uint64_t low = tsdb_bits_peek(b) >> (64 - (n - 32));
    b->at += n - 32;
    return high << (n - 32) | low;
}

/* Whether more was taken than there is. */
static inline bool tsdb_bits_over(const tsdb_bits *b)
{
    return b->at > b->len * 8;
}

/* LEB128 of 1 to 10 bytes at any bit position; `signed` ones are zigzag. More than 10 bytes put the
 * position beyond the end. */
uint64_t tsdb_bits_uvarint(tsdb_bits *b);

static inline int64_t tsdb_bits_varint(tsdb_bits *b)
{
    uint64_t u = tsdb_bits_uvarint(b);
    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}

#endif

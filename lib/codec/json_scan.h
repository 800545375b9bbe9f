/* json_scan.h - the first pass over JSON text: where tokens begin, and whether it is UTF-8.
 *
 * Text is classified 64 bytes at a time into bitmaps, one bit a byte, from which a few word
 * operations find the escaped quotes, the insides of strings and from those the places where tokens
 * begin ("marks"), whose offsets are listed for one window of text at a time. The reader (json_read.c) then steps from mark to mark and never looks at white
 * space or searches the end of a string. The idea is Langdale and Lemire's, "Parsing Gigabytes of
 * JSON per Second" (VLDB Journal 28, 2019); the check of UTF-8 by three table look-ups is Keiser
 * and Lemire's, "Validating UTF-8 In Less Than One Instruction Per Byte" (2021).
 *
 * A mark stands at each of {}[]:, outside strings, at both quotes of a string, and at the first
 * byte of each run of anything else that is not white space (numbers, words, garbage). */
#ifndef SX_CODEC_JSON_SCAN_H
#define SX_CODEC_JSON_SCAN_H

#include <sextant/json.h>

/* What a scan found wrong; where is then searched by json_scan_locate(). */
enum { JSON_BAD_UTF8 = 1, JSON_BAD_CONTROL = 2 };

/* Scans `blocks` whole blocks of 64 bytes at `at`, whose offset in the text is `offset`, into w from
 * its block `first` on, behind the marks that it has; `carry` leads from each block to the next.
 * Returns JSON_BAD_ bits. The end of a text, if it is no whole block, comes padded by spaces. */
typedef unsigned (*json_scan_fn)(const unsigned char *at, uint32_t offset, uint32_t blocks,
                                 uint32_t first, sx_json_window *w, sx_json_carry *carry);

/* The ways there are to scan. All give the same result. */
typedef enum json_scan_level {
    JSON_SCAN_SCALAR,
    JSON_SCAN_SSE,
    JSON_SCAN_AVX2,
    JSON_SCAN_AVX512,
    JSON_SCAN_LEVELS
} json_scan_level;

/* The function of that level, or NULL if this machine cannot run it; and the best one. */
json_scan_fn json_scan_at(json_scan_level level);
json_scan_fn json_scan_best(void);

/* Whether the text that `carry` comes from ends inside a character. */
static inline bool json_scan_cut(const sx_json_carry *carry)
{
    return (carry->tail >> 24) >= 0xc0 || ((carry->tail >> 16) & 0xff) >= 0xe0 ||
           ((carry->tail >> 8) & 0xff) >= 0xf0;
}

/* Where and what the first fault is in text[from, to): called when a scan of that range, begun
 * with `carry`, has reported one. `at` is the offset of the control character, or of the byte that
 * begins no valid character, which may be up to three bytes before `from`. */
typedef struct json_fault {
    unsigned kind; /* one JSON_BAD_ bit */
    size_t at;
} json_fault;
json_fault json_scan_locate(sx_str text, size_t from, size_t to, sx_json_carry carry);

/* One block's classes, bit i for byte i. */
typedef struct json_bits {
    uint64_t quote;
    uint64_t slash;   /* backslash */
    uint64_t open;    /* { [ */
    uint64_t close;   /* } ] */
    uint64_t comma;   /* , : */
    uint64_t space;   /* space, tab, newline, carriage return */
    uint64_t control; /* below U+0020 */
} json_bits;

/* The quotes that begin or end strings: those not escaped. A backslash that is not escaped itself
 * escapes the next byte. Backslashes are few, so they are taken one by one. */
static inline __attribute__((always_inline)) uint64_t json_real_quotes(const json_bits *b,
                                                                       sx_json_carry *carry)
{
    uint64_t escaped = carry->escaped;
    uint64_t slashes = b->slash & ~escaped;
    carry->escaped = 0;
    while (sx_unlikely(slashes)) {
        uint64_t slash = slashes & -slashes;
        escaped |= slash << 1;
        carry->escaped = slash >> 63;
        slashes &= ~(slash | slash << 1);
    }
    return b->quote & ~escaped;
}

/* Appends the offsets of the bits set. How many there are varies from block to block, so they are
 * written eight at a time, the last few for nothing, which saves a mispredicted branch for each. */
static inline __attribute__((always_inline)) void json_put_offsets(uint64_t bits, unsigned count,
                                                                   uint32_t offset,
                                                                   sx_json_window *w)
{
    uint32_t *to = w->marks + w->count;
    w->count += count;
    for (unsigned done = 0; done < count; done += 8, to += 8) {
        for (unsigned i = 0; i < 8; i++) {
            to[i] = offset + (uint32_t)__builtin_ctzll(bits | (uint64_t)1 << 63);
            bits &= bits - 1;
        }
    }
}

/* Fills block `i` of `w`, whose offset is `offset`. `inside` has the bits from each opening quote
 * to before its closing one. Returns the marks, which the caller counts and puts. */
static inline __attribute__((always_inline)) uint64_t json_put_block(const json_bits *b,
                                                                     uint64_t quotes,
                                                                     uint64_t inside,
                                                                     sx_json_carry *carry,
                                                                     sx_json_window *w, uint32_t i)
{
    uint64_t outside = ~inside;
    uint64_t scalar = outside & ~(b->open | b->close | b->comma | b->space | quotes);
    uint64_t starts = scalar & ~(scalar << 1 | carry->scalar);
    carry->scalar = scalar >> 63;
    carry->in_string = (uint64_t)((int64_t)inside >> 63);
    w->opens[i] = b->open & outside;
    w->closes[i] = b->close & outside;
    w->first[i] = (uint16_t)w->count;
    if (i == 0)
        w->escapes = 0;
    w->escapes |= (uint32_t)(b->slash != 0) << i;
    return ((b->open | b->close | b->comma) & outside) | quotes | starts;
}

/* Faults of two neighbouring bytes in UTF-8, one bit each. A pair is faulty if a bit is set in all
 * three of JSON_UTF8_HIGH[first byte's high half], JSON_UTF8_LOW[its low half] and
 * JSON_UTF8_NEXT[second byte's high half]. TWO_CONTINUATIONS is no fault, but required, where a
 * character of three or four bytes goes on. (Unicode Standard, table 3-7.) */
enum {
    UTF8_TOO_SHORT = 1 << 0,        /* a lead byte is not followed by a continuation */
    UTF8_TOO_LONG = 1 << 1,         /* a continuation follows ASCII */
    UTF8_OVERLONG_3 = 1 << 2,       /* E0 80-9F */
    UTF8_TOO_LARGE = 1 << 3,        /* F4 90-BF, F5-FF 90-BF */
    UTF8_SURROGATE = 1 << 4,        /* ED A0-BF */
    UTF8_OVERLONG_2 = 1 << 5,       /* C0-C1 */
    UTF8_FOUR_80 = 1 << 6,          /* F0 80-8F is overlong, F5-FF 80-8F too large */
    UTF8_TWO_CONTINUATIONS = 1 << 7 /* must be the highest bit: see must_continue in the scans */
};
extern const uint8_t JSON_UTF8_HIGH[16];
extern const uint8_t JSON_UTF8_LOW[16];
extern const uint8_t JSON_UTF8_NEXT[16];

#if defined(__x86_64__)
unsigned json_scan_sse(const unsigned char *at, uint32_t offset, uint32_t blocks, uint32_t first,
                       sx_json_window *w, sx_json_carry *carry);
unsigned json_scan_avx2(const unsigned char *at, uint32_t offset, uint32_t blocks, uint32_t first,
                        sx_json_window *w, sx_json_carry *carry);
unsigned json_scan_avx512(const unsigned char *at, uint32_t offset, uint32_t blocks, uint32_t first,
                          sx_json_window *w, sx_json_carry *carry);
#endif

#endif

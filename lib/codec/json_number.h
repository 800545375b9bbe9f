/* json_number.h - the usual short number, checked and converted without a loop.
 *
 * Numbers in data are mostly a few digits with or without a point, and how many varies, so a loop
 * over the digits costs a mispredicted branch each. The next mark tells where such a number ends;
 * one vector compare then tells digits from the rest. Everything else takes the slow path. */
#ifndef SX_CODEC_JSON_NUMBER_H
#define SX_CODEC_JSON_NUMBER_H

#include "codec/json_cursor.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* A number of at most 16 bytes and without an exponent. */
typedef struct json_short {
    size_t at;     /* of its first digit */
    unsigned len;  /* bytes from there */
    unsigned dot;  /* digits before the point; len if there is none */
    bool negative; /* a '-' stands before `at` */
} json_short;

/* Bytes after `at` that must be there for the two loads below to stay inside the text. */
enum { JSON_SHORT_ROOM = 32 };

#if defined(__SSE2__)
/* Recognises the number that begins at `at`; false says only that it is not short and simple. The
 * mark after it is `next`: there its run of bytes ends unless space follows. */
static inline bool json_short_number(const sx_json *r, size_t at, size_t next, json_short *out)
{
    size_t len = next - at; /* JSON_NO_MARK makes it long */
    if (sx_unlikely(len > 16 || r->len - at < JSON_SHORT_ROOM))
        return false;
    __m128i text = _mm_loadu_si128((const __m128i *)(const void *)(r->text + at));
    __m128i value = _mm_sub_epi8(text, _mm_set1_epi8('0'));
    __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value);
    uint32_t digits = (uint32_t)_mm_movemask_epi8(is_digit);

    unsigned sign = r->text[at] == '-';
    uint32_t all = (((uint32_t)1 << len) - 1) >> sign;
    digits = digits >> sign & all;
    uint32_t others = ~digits & all;
    unsigned count = (unsigned)len - sign;
    unsigned dot = others ? (unsigned)__builtin_ctz(others) : count;
    /* At most one byte that is no digit, which is a point with a digit on either side; and no
        * zero before a digit. A lone '-' has no digit after it. */
    if (sx_unlikely((others & (others - 1)) != 0 || (digits & 1) == 0))
        return false;
    if (others && sx_unlikely(r->text[at + sign + dot] != '.' || dot + 1 == count))
        return false;
    if (sx_unlikely(r->text[at + sign] == '0' && (digits & 2) != 0))
        return false;
    *out = (json_short){.at = at + sign, .len = count, .dot = dot, .negative = sign != 0};
    return true;
}
#else
static inline bool json_short_number(const sx_json *r, size_t at, size_t next, json_short *out)
{
    (void)r, (void)at, (void)next, (void)out;
    return false;
}
#endif

/* The value of `count` (0 to 8) decimal digits at `at`, of which 8 bytes can be read: pairs, then
 * fours, then all eight are put together side by side in one word. */
static inline uint64_t json_digits(const char *at, unsigned count)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t w;
    memcpy(&w, at, 8);
    /* The first digit is in the lowest byte; zeros come in below it to make up eight. */
    w = count ? (w - 0x3030303030303030u) << (64 - 8 * count) : 0;
    w = (w * 10 + (w >> 8)) & 0x00ff00ff00ff00ffu;
    w = (w * 100 + (w >> 16)) & 0x0000ffff0000ffffu;
    return (w * 10000 + (w >> 32)) & 0xffffffffu;
#else
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++)
        value = value * 10 + (uint64_t)(at[i] - '0');
    return value;
#endif
}

/* The same for up to 16. */
static inline uint64_t json_digits16(const char *at, unsigned count)
{
    if (sx_likely(count <= 8))
        return json_digits(at, count);
    return json_digits(at, count - 8) * 100000000 + json_digits(at + count - 8, 8);
}

#endif

/* json_scan_x86.c - the first pass over JSON text with the vector instructions of x86-64.
 *
 * json_scan_x86.h holds the algorithm, written against a handful of vector operations; it is
 * compiled for vectors of 16 bytes (SSE4.2, 2008), 32 (AVX2, 2013) and 64 (AVX-512 with VBMI2,
 * 2019). json_scan.c picks one when a reader starts, so the rest of the program needs neither. */
#include "codec/json_scan.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET   __attribute__((target("sse4.2,popcnt,pclmul")))
#define INLINE   static inline __attribute__((always_inline, target("sse4.2,popcnt,pclmul")))
#define V        __m128i
#define V_BYTES  16
#define OP(name) sse_##name
#define SCAN     json_scan_sse

INLINE V OP(load)(const unsigned char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

INLINE V OP(table)(const uint8_t *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

INLINE V OP(all)(char c)
{
    return _mm_set1_epi8(c);
}

INLINE uint64_t OP(eq)(V a, V b)
{
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(a, b));
}

INLINE V OP(or)(V a, V b)
{
    return _mm_or_si128(a, b);
}

INLINE V OP (and)(V a, V b)
{
    return _mm_and_si128(a, b);
}

INLINE V OP (xor)(V a, V b)
{
    return _mm_xor_si128(a, b);
}

INLINE V OP(min)(V a, V b)
{
    return _mm_min_epu8(a, b);
}

INLINE V OP(minus)(V a, V b)
{
    return _mm_subs_epu8(a, b);
}

INLINE V OP(lookup)(V table, V index)
{
    return _mm_shuffle_epi8(table, index);
}

INLINE V OP(high_half)(V a)
{
    return _mm_and_si128(_mm_srli_epi16(a, 4), _mm_set1_epi8(15));
}

INLINE bool OP(is_ascii)(V a)
{
    return _mm_movemask_epi8(a) == 0;
}

INLINE bool OP(is_zero)(V a)
{
    return _mm_testz_si128(a, a) != 0;
}

/* The bytes 1, 2, 3 places before those of `now`, the first of them from the end of `before`. */
INLINE V OP(back1)(V now, V before)
{
    return _mm_alignr_epi8(now, before, 15);
}

INLINE V OP(back2)(V now, V before)
{
    return _mm_alignr_epi8(now, before, 14);
}

INLINE V OP(back3)(V now, V before)
{
    return _mm_alignr_epi8(now, before, 13);
}

INLINE V OP(of_tail)(uint32_t tail)
{
    return _mm_insert_epi32(_mm_setzero_si128(), (int)tail, 3);
}

INLINE uint32_t OP(to_tail)(V a)
{
    return (uint32_t)_mm_extract_epi32(a, 3);
}

INLINE void OP(put_offsets)(uint64_t marks, uint32_t offset, sx_json_window *w)
{
    json_put_offsets(marks, (unsigned)__builtin_popcountll(marks), offset, w);
}

#include "codec/json_scan_x86.h"

#undef TARGET
#undef INLINE
#undef V
#undef V_BYTES
#undef OP
#undef SCAN

#define TARGET   __attribute__((target("avx2,popcnt,pclmul,bmi")))
#define INLINE   static inline __attribute__((always_inline, target("avx2,popcnt,pclmul,bmi")))
#define V        __m256i
#define V_BYTES  32
#define OP(name) avx2_##name
#define SCAN     json_scan_avx2

INLINE V OP(load)(const unsigned char *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

INLINE V OP(table)(const uint8_t *at)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)at));
}

INLINE V OP(all)(char c)
{
    return _mm256_set1_epi8(c);
}

INLINE uint64_t OP(eq)(V a, V b)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b));
}

INLINE V OP(or)(V a, V b)
{
    return _mm256_or_si256(a, b);
}

INLINE V OP (and)(V a, V b)
{
    return _mm256_and_si256(a, b);
}

INLINE V OP (xor)(V a, V b)
{
    return _mm256_xor_si256(a, b);
}

INLINE V OP(min)(V a, V b)
{
    return _mm256_min_epu8(a, b);
}

INLINE V OP(minus)(V a, V b)
{
    return _mm256_subs_epu8(a, b);
}

INLINE V OP(lookup)(V table, V index)
{
    return _mm256_shuffle_epi8(table, index);
}

INLINE V OP(high_half)(V a)
{
    return _mm256_and_si256(_mm256_srli_epi16(a, 4), _mm256_set1_epi8(15));
}

INLINE bool OP(is_ascii)(V a)
{
    return _mm256_movemask_epi8(a) == 0;
}

INLINE bool OP(is_zero)(V a)
{
    return _mm256_testz_si256(a, a) != 0;
}

/* The upper half of `before` under the lower half of `now`: alignr works within halves. */
INLINE V OP(bridge)(V now, V before)
{
    return _mm256_permute2x128_si256(before, now, 0x21);
}

INLINE V OP(back1)(V now, V before)
{
    return _mm256_alignr_epi8(now, OP(bridge)(now, before), 15);
}

INLINE V OP(back2)(V now, V before)
{
    return _mm256_alignr_epi8(now, OP(bridge)(now, before), 14);
}

INLINE V OP(back3)(V now, V before)
{
    return _mm256_alignr_epi8(now, OP(bridge)(now, before), 13);
}

INLINE V OP(of_tail)(uint32_t tail)
{
    return _mm256_insert_epi32(_mm256_setzero_si256(), (int)tail, 7);
}

INLINE uint32_t OP(to_tail)(V a)
{
    return (uint32_t)_mm256_extract_epi32(a, 7);
}

INLINE void OP(put_offsets)(uint64_t marks, uint32_t offset, sx_json_window *w)
{
    json_put_offsets(marks, (unsigned)__builtin_popcountll(marks), offset, w);
}

#include "codec/json_scan_x86.h"

#undef TARGET
#undef INLINE
#undef V
#undef V_BYTES
#undef OP
#undef SCAN

#define FEATURES "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,popcnt,pclmul,bmi"
#define TARGET   __attribute__((target(FEATURES)))
#define INLINE   static inline __attribute__((always_inline, target(FEATURES)))
#define V        __m512i
#define V_BYTES  64
#define OP(name) avx512_##name
#define SCAN     json_scan_avx512

INLINE V OP(load)(const unsigned char *at)
{
    return _mm512_loadu_si512(at);
}

INLINE V OP(table)(const uint8_t *at)
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)at));
}

INLINE V OP(all)(char c)
{
    return _mm512_set1_epi8(c);
}

INLINE uint64_t OP(eq)(V a, V b)
{
    return _mm512_cmpeq_epi8_mask(a, b);
}

INLINE V OP(or)(V a, V b)
{
    return _mm512_or_si512(a, b);
}

INLINE V OP (and)(V a, V b)
{
    return _mm512_and_si512(a, b);
}

INLINE V OP (xor)(V a, V b)
{
    return _mm512_xor_si512(a, b);
}

INLINE V OP(min)(V a, V b)
{
    return _mm512_min_epu8(a, b);
}

INLINE V OP(minus)(V a, V b)
{
    return _mm512_subs_epu8(a, b);
}

INLINE V OP(lookup)(V table, V index)
{
    return _mm512_shuffle_epi8(table, index);
}

INLINE V OP(high_half)(V a)
{
    return _mm512_and_si512(_mm512_srli_epi16(a, 4), _mm512_set1_epi8(15));
}

INLINE bool OP(is_ascii)(V a)
{
    return _mm512_movepi8_mask(a) == 0;
}

INLINE bool OP(is_zero)(V a)
{
    return _mm512_test_epi8_mask(a, a) == 0;
}

/* The last quarter of `before` under the first three of `now`. */
INLINE V OP(bridge)(V now, V before)
{
    return _mm512_alignr_epi64(now, before, 6);
}

INLINE V OP(back1)(V now, V before)
{
    return _mm512_alignr_epi8(now, OP(bridge)(now, before), 15);
}

INLINE V OP(back2)(V now, V before)
{
    return _mm512_alignr_epi8(now, OP(bridge)(now, before), 14);
}

INLINE V OP(back3)(V now, V before)
{
    return _mm512_alignr_epi8(now, OP(bridge)(now, before), 13);
}

INLINE V OP(of_tail)(uint32_t tail)
{
    return _mm512_maskz_set1_epi32(0x8000, (int)tail);
}

INLINE uint32_t OP(to_tail)(V a)
{
    return (uint32_t)_mm_extract_epi32(_mm512_extracti32x4_epi32(a, 3), 3);
}

/* As json_put_offsets(), but the bits set pick their numbers out of 0 to 63 in one instruction. */
INLINE void OP(put_offsets)(uint64_t marks, uint32_t offset, sx_json_window *w)
{
    static const uint8_t NUMBERS[64] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    V numbers = _mm512_maskz_compress_epi8(marks, _mm512_loadu_si512(NUMBERS));
    V base = _mm512_set1_epi32((int)offset);
    uint32_t *to = w->marks + w->count;
    unsigned count = (unsigned)__builtin_popcountll(marks);
    w->count += count;
    _mm512_storeu_si512(
        to, _mm512_add_epi32(base, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(numbers))));
    if (count > 16)
        _mm512_storeu_si512(
            to + 16,
            _mm512_add_epi32(base, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(numbers, 1))));
    if (sx_unlikely(count > 32)) {
        _mm512_storeu_si512(
            to + 32,
            _mm512_add_epi32(base, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(numbers, 2))));
        _mm512_storeu_si512(
            to + 48,
            _mm512_add_epi32(base, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(numbers, 3))));
    }
}

#include "codec/json_scan_x86.h"

#endif

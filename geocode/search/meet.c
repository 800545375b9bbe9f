/* meet.c - what several bitmaps have in common, a stretch of words at a time: half of what a search of
 * frequent words does in an index of millions of documents. */
#include "geocode/search/searcher.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

static uint32_t meet(const uint64_t *const *bits, uint32_t count, uint32_t first, uint32_t words,
                     uint64_t out[GEO_STRETCH_WORDS])
{
    uint32_t some = 0;
    for (uint32_t word = 0; word < words; word++) {
        uint64_t all = bits[0][first + word];
        for (uint32_t i = 1; i < count; i++)
            all &= bits[i][first + word];
        out[word] = all;
        some |= (uint32_t)(all != 0) << word;
    }
    return some;
}

#ifdef __x86_64__
/* HOT. The same, four words at a time. */
__attribute__((target("avx2"))) static uint32_t meet_native(const uint64_t *const *bits,
                                                            uint32_t count, uint32_t first,
                                                            uint32_t words,
                                                            uint64_t out[GEO_STRETCH_WORDS])
{
    if (words != GEO_STRETCH_WORDS)
        return meet(bits, count, first, words, out);
    uint32_t some = 0;
    for (uint32_t word = 0; word < GEO_STRETCH_WORDS; word += 4) {
        __m256i all = _mm256_loadu_si256((const __m256i_u *)(bits[0] + first + word));
        for (uint32_t i = 1; i < count; i++)
            all = _mm256_and_si256(all,
                                   _mm256_loadu_si256((const __m256i_u *)(bits[i] + first + word)));
        _mm256_storeu_si256((__m256i_u *)(out + word), all);
        __m256i none = _mm256_cmpeq_epi64(all, _mm256_setzero_si256());
        some |= (uint32_t)(~_mm256_movemask_pd(_mm256_castsi256_pd(none)) & 15) << word;
    }
    return some;
}
#endif

geo_meet *geo_meet_choose(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        return meet_native;
#endif
    return meet;
}

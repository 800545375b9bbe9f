/* hash.c - XXH3, the process's secret seed, and CRC-32C by instruction or by table. */
#include <sextant/hash.h>

#include <pthread.h>
#include <sys/random.h>

#define XXH_INLINE_ALL /* short keys dominate, and a call through the library costs as much */
#include <xxhash.h>

#include "base/crc32c.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

uint64_t sx_hash_bytes(const void *data, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, len, seed);
}

/* Written once under the once-flag, read-only afterwards. */
static uint64_t process_seed;
static pthread_once_t process_seed_once = PTHREAD_ONCE_INIT;

static void draw_process_seed(void)
{
    /* Up to 256 bytes getrandom neither fails nor is cut short once the pool is seeded. */
    ssize_t got = getrandom(&process_seed, sizeof(process_seed), 0);
    sx_assert(got == (ssize_t)sizeof(process_seed));
}

uint64_t sx_hash_seed(void)
{
    pthread_once(&process_seed_once, draw_process_seed);
    return process_seed;
}

/* table[k][b] is the CRC of byte b followed by k zero bytes. Written once, as above. */
static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
        table[0][byte] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (int byte = 0; byte < 256; byte++)
            table[k][byte] = table[k - 1][byte] >> 8 ^ table[0][table[k - 1][byte] & 0xff];
    }
}

uint32_t sx_crc32c_portable(uint32_t crc, const void *data, size_t len)
{
    const unsigned char *at = data;
    pthread_once(&table_once, fill_table);
    crc = ~crc;
    for (; len >= 8; len -= 8, at += 8) {
        uint32_t low = crc ^ ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
                              (uint32_t)at[3] << 24);
        crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^
              table[4][low >> 24] ^ table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^
              table[0][at[7]];
    }
    for (; len > 0; len--, at++)
        crc = crc >> 8 ^ table[0][(crc ^ *at) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)

static bool has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2") != 0;
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_native(uint32_t crc, const void *data,
                                                                size_t len)
{
    const unsigned char *at = data;
    uint64_t wide = (uint32_t)~crc;
    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; len > 0; len--, at++)
        crc = _mm_crc32_u8(crc, *at);
    return ~crc;
}

#elif defined(__aarch64__)

enum { HWCAP_BIT_CRC32 = 1 << 7 }; /* HWCAP_CRC32 of the kernel's uapi/asm/hwcap.h */

static bool has_instruction(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_BIT_CRC32) != 0;
}

__attribute__((target("+crc"))) static uint32_t crc32c_native(uint32_t crc, const void *data,
                                                              size_t len)
{
    const unsigned char *at = data;
    crc = ~crc;
    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        crc = __crc32cd(crc, word);
    }
    for (; len > 0; len--, at++)
        crc = __crc32cb(crc, *at);
    return ~crc;
}

#else

static bool has_instruction(void)
{
    return false;
}

static uint32_t crc32c_native(uint32_t crc, const void *data, size_t len)
{
    return sx_crc32c_portable(crc, data, len);
}

#endif

uint32_t sx_crc32c(uint32_t crc, const void *data, size_t len)
{
    if (sx_likely(has_instruction()))
        return crc32c_native(crc, data, len);
    return sx_crc32c_portable(crc, data, len);
}

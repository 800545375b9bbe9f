/* hash.h - a fast hash for tables and a checksum for files.
 *
 * sx_hash is XXH3 (64 bits, seeded; the algorithm is fixed, so a value may be stored in a file with
 * its seed). It is not for secrets; against keys chosen by an attacker use sx_hash_seed() as the
 * seed. sx_crc32c is the checksum of our own formats and of Prometheus's. */
#ifndef SEXTANT_HASH_H
#define SEXTANT_HASH_H

#include <sextant/str.h>

SX_BEGIN_DECLS

/* XXH3_64bits_withSeed of the bytes. Source: the xxHash specification, XXH3. */
uint64_t sx_hash_bytes(const void *data, size_t len, uint64_t seed);

/* The same of a view. */
static inline uint64_t sx_hash(sx_str s, uint64_t seed)
{
    return sx_hash_bytes(s.data, s.len, seed);
}

/* Mixes a number: for tables in memory only, not fixed between versions. Two multiplications of 64
 * by 64 bits whose halves are folded, so that every bit of both arguments reaches every bit. */
static inline uint64_t sx_hash_u64(uint64_t value, uint64_t seed)
{
    __extension__ typedef unsigned __int128 wide_number; /* GNU C's; ISO's has none so wide */
    wide_number wide =
        (wide_number)(value ^ seed ^ 0x9e3779b97f4a7c15u) * (seed | 0xa0761d6478bd642fu);
    uint64_t folded = (uint64_t)wide ^ (uint64_t)(wide >> 64);
    wide = (wide_number)(folded ^ 0xe7037ed1a0b428dbu) * 0x8ebc6af09c88c6e3u;
    return (uint64_t)wide ^ (uint64_t)(wide >> 64);
}

/* A secret of this process, drawn from the system at the first call, the same ever after: the seed
 * of tables whose keys come from outside. Any thread. */
uint64_t sx_hash_seed(void);

/* CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected; RFC 3720 appendix B.4) of what `crc` covers
 * followed by these bytes. Begin with 0. By the processor's instruction where it has one. */
uint32_t sx_crc32c(uint32_t crc, const void *data, size_t len);

SX_END_DECLS

#endif

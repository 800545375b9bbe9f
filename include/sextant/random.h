/* random.h - random numbers: fast ones for a thread's own use, and the system's.
 *
 * sx_random is xoshiro256** (Blackman and Vigna): good for jitter, sampling, ids that only have to
 * be unique, and tests, which seed it and print the seed. Not for keys, tokens or salts: those take
 * sx_random_bytes. */
#ifndef SEXTANT_RANDOM_H
#define SEXTANT_RANDOM_H

#include <sextant/clock.h>
#include <sextant/error.h>

SX_BEGIN_DECLS

typedef struct sx_random {
    uint64_t s[4]; /* never all zero */
} sx_random;

/* The sequence that belongs to `seed`, any number: the same on every machine. */
void sx_random_seed(sx_random *r, uint64_t seed);

/* A sequence that nobody can repeat, from the system's generator. */
void sx_random_init(sx_random *r);

/* 64 random bits. One thread at a time, as everything that takes an sx_random. */
static inline uint64_t sx_random_u64(sx_random *r)
{
    uint64_t *s = r->s;
    uint64_t by5 = s[1] * 5;
    uint64_t result = (by5 << 7 | by5 >> 57) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = s[3] << 45 | s[3] >> 19;
    return result;
}

/* Evenly from 0 to bound - 1 (bound at least 1), without bias. Source: Lemire, "Fast Random Integer
 * Generation in an Interval", 2019. */
static inline uint64_t sx_random_below(sx_random *r, uint64_t bound)
{
    __extension__ typedef unsigned __int128 wide_number; /* GNU C's; ISO's has none so wide */
    wide_number wide = (wide_number)sx_random_u64(r) * bound;
    if (sx_unlikely((uint64_t)wide < bound)) {
        uint64_t least = (0 - bound) % bound;
        while ((uint64_t)wide < least)
            wide = (wide_number)sx_random_u64(r) * bound;
    }
    return (uint64_t)(wide >> 64);
}

/* Evenly from [0, 1), in steps of 2^-53. */
static inline double sx_random_double(sx_random *r)
{
    return (double)(sx_random_u64(r) >> 11) * 0x1p-53;
}

/* `len` bytes from getrandom(2), fit for secrets. SX_EIO if the system has none. Any thread. */
sx_status sx_random_bytes(void *out, size_t len, sx_error *err) SX_MUST_USE;

enum { SX_UUID_BYTES = 37 }; /* 36 characters and a NUL */

/* Makes UUIDs that sort by the time they were made. One a thread. */
typedef struct sx_uuid_source {
    const sx_clock *clock;
    sx_random random;
    int64_t last_ms;  /* of the last UUID; goes ahead of the clock if the counter runs over */
    uint32_t counter; /* 26 bits, starts at random below 2^25 in each millisecond */
} sx_uuid_source;

/* A source that reads `clock`, which must outlive it, with randomness from the system. A test that
 * wants the same UUIDs again calls sx_random_seed(&u->random, seed) afterwards. */
void sx_uuid_source_init(sx_uuid_source *u, const sx_clock *clock);

/* Writes the next UUID of version 7 in its 36-character lower-case form, and a NUL. Each is greater
 * than the one before from the same source, even if the clock stands still or falls.
 * Source: RFC 9562, sections 5.7 and 6.2 (method 1, a counter in rand_a and the head of rand_b). */
void sx_uuid7(sx_uuid_source *u, char out[SX_UUID_BYTES]);

SX_END_DECLS

#endif

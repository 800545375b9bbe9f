/* random.c - seeding, the system's generator, UUIDs of version 7. */
#include <sextant/random.h>

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* SplitMix64 (Steele, Lea and Flood): spreads a small seed over the whole state, and gives no two
 * equal words in a row, so the state is never all zero. */
void sx_random_seed(sx_random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        r->s[i] = z ^ z >> 31;
    }
}

void sx_random_init(sx_random *r)
{
    /* Up to 256 bytes getrandom neither fails nor is cut short once the pool is seeded. */
    ssize_t got = getrandom(r->s, sizeof(r->s), 0);
    sx_assert(got == (ssize_t)sizeof(r->s));
    r->s[0] |= 1;
}

sx_status sx_random_bytes(void *out, size_t len, sx_error *err)
{
    char *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return sx_fail_os(err, errno, "getrandom gives no random bytes");
        at += got;
        len -= (size_t)got;
    }
    return SX_OK;
}

void sx_uuid_source_init(sx_uuid_source *u, const sx_clock *clock)
{
    u->clock = clock;
    sx_random_init(&u->random);
    u->last_ms = INT64_MIN;
    u->counter = 0;
}

enum { COUNTER_BITS = 26, RAND_A_SHIFT = 14 }; /* 12 bits of the counter in rand_a, 14 in rand_b */

/* The 8 hex digits of `value`. Spreads its nibbles over the 8 bytes of a word, the highest nibble
 * into the lowest byte (bytes are stored lowest first), then makes all eight digits at once: adding
 * '0' gives 0-9, and where adding 6 carries out of the nibble another 39 gives a-f. */
static void put_hex8(char *out, uint32_t value)
{
    uint64_t x = value >> 16 | (uint64_t)(value & 0xffff) << 32;
    x = (x >> 8 & 0x000000ff000000ffu) | (x & 0x000000ff000000ffu) << 16;
    x = (x >> 4 & 0x000f000f000f000fu) | (x & 0x000f000f000f000fu) << 8;
    uint64_t letter = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    x += 0x3030303030303030u + letter * 39;
    memcpy(out, &x, sizeof(x));
}

void sx_uuid7(sx_uuid_source *u, char out[SX_UUID_BYTES])
{
    uint64_t bits = sx_random_u64(&u->random);
    int64_t now_ms = sx_clock_ms(u->clock);
    if (now_ms > u->last_ms) {
        u->last_ms = now_ms;
        u->counter = (uint32_t)sx_random_u64(&u->random) >> (32 - COUNTER_BITS + 1);
    } else if (++u->counter >> COUNTER_BITS) {
        u->last_ms++;
        u->counter = 0;
    }
    uint64_t ms = (uint64_t)u->last_ms & 0xffffffffffffu;
    uint64_t high = ms << 16 | 0x7000 | u->counter >> RAND_A_SHIFT;
    uint64_t low = (uint64_t)2 << 62 | (uint64_t)(u->counter & ((1u << RAND_A_SHIFT) - 1)) << 48 |
                   (bits >> 16);
    char hex[32];
    put_hex8(hex, (uint32_t)(high >> 32));
    put_hex8(hex + 8, (uint32_t)high);
    put_hex8(hex + 16, (uint32_t)(low >> 32));
    put_hex8(hex + 24, (uint32_t)low);
    memcpy(out, hex, 8);
    out[8] = '-';
    memcpy(out + 9, hex + 8, 4);
    out[13] = '-';
    memcpy(out + 14, hex + 12, 4);
    out[18] = '-';
    memcpy(out + 19, hex + 16, 4);
    out[23] = '-';
    memcpy(out + 24, hex + 20, 12);
    out[36] = '\0';
}

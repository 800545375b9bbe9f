/* trace_hex.h - ids as hex digits and back, for everything that reads or writes propagation fields.
 *
 * Both directions lie on the 200 ns path of a request: reading is a look-up a digit without a branch,
 * writing makes eight digits at a time. */
#ifndef SEXTANT_TELEMETRY_TRACE_HEX_H
#define SEXTANT_TELEMETRY_TRACE_HEX_H

#include <string.h>

#include <sextant/str.h>

/* The value of a digit with SX_HEX_OK set, else 0: of 0-9a-f (W3C), and of A-F too (B3, Jaeger). */
enum { SX_HEX_OK = 16 };
extern const uint8_t sx_hex_lower[256];
extern const uint8_t sx_hex_any[256];

/* Reads 2 * `bytes` digits; whether all were digits. `out` is written either way. */
static inline bool sx_hex_read(const uint8_t table[256], const char *in, uint8_t *out, size_t bytes)
{
    unsigned ok = SX_HEX_OK;
    for (size_t i = 0; i < bytes; i++) {
        unsigned high = table[(unsigned char)in[2 * i]], low = table[(unsigned char)in[2 * i + 1]];
        ok &= high & low;
        out[i] = (uint8_t)(high << 4 | (low & 15));
    }
    return ok != 0;
}

/* Writes the 8 digits of 4 bytes. The nibbles are spread over the bytes of a word, the first into the
 * lowest; adding '0' makes digits of them, and where adding 6 carries out of a nibble another 39 makes
 * a letter. */
static inline void sx_hex_put4(char *out, const uint8_t in[4])
{
    uint64_t x =
        (uint64_t)in[0] | (uint64_t)in[1] << 16 | (uint64_t)in[2] << 32 | (uint64_t)in[3] << 48;
    x = (x >> 4 & 0x000f000f000f000fu) | (x & 0x000f000f000f000fu) << 8;
    uint64_t letter = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    x += 0x3030303030303030u + letter * 39;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    memcpy(out, &x, sizeof(x));
}

/* Writes the digits of `bytes` bytes, a multiple of 4; returns the end. */
static inline char *sx_hex_put(char *out, const uint8_t *in, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 4)
        sx_hex_put4(out + 2 * i, in + i);
    return out + 2 * bytes;
}

/* Whether an id has any bit set. */
static inline bool sx_trace_id_set(const uint8_t id[16])
{
    uint64_t words[2];
    memcpy(words, id, sizeof(words));
    return (words[0] | words[1]) != 0;
}

static inline bool sx_span_id_set(const uint8_t id[8])
{
    uint64_t word;
    memcpy(&word, id, sizeof(word));
    return word != 0;
}

#endif

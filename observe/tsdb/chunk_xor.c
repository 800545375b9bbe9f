/* chunk_xor.c - float samples by differences: the encoding that Prometheus calls XOR.
 *
 * A chunk is a count (2 bytes, big-endian), the first sample as it is, the second's time as a
 * difference, all later times as differences of differences, and each value as the XOR with the one
 * before, of which only the bits that are not zero are kept. The writer makes the bits of one sample
 * in a small buffer with stores of whole words and leaves it to the caller to find room for just
 * these bytes, so a chunk's memory need never be longer than the chunk.
 * Source: prometheus, tsdb/docs/format/chunks.md, "XOR chunk data"; bstream.md for the ranges of
 * `varbit_ts` (which reach one further up than down). */
#include "observe/tsdb/chunk_xor.h"

#include "observe/tsdb/chunk_bits.h"

enum { NO_WINDOW = 0xff, LEADING_MAX = 31 };

uint64_t tsdb_bits_uvarint(tsdb_bits *b)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint64_t byte = tsdb_bits_take(b, 8);
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    b->at = b->len * 8 + 1;
    return 0;
}

/* Bits behind each other in a zeroed buffer. */
typedef struct bit_sink {
    uint8_t *bytes;
    unsigned at; /* bits */
} bit_sink;

static inline void put_bits(bit_sink *s, uint64_t value, unsigned n)
{
    uint8_t *p = s->bytes + (s->at >> 3);
    unsigned used = s->at & 7;
    tsdb_store_be64(p, tsdb_load_be64(p) | value << (64 - n) >> used);
    if (sx_unlikely(used + n > 64))
        p[8] = (uint8_t)(value << (72 - used - n));
    s->at += n;
}

static void put_uvarint(bit_sink *s, uint64_t value)
{
    while (value >= 0x80) {
        put_bits(s, (value & 0x7f) | 0x80, 8);
        value >>= 7;
    }
    put_bits(s, value, 8);
}

static inline uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline bool fits(int64_t x, unsigned n)
{
    return x >= -((INT64_C(1) << (n - 1)) - 1) && x <= INT64_C(1) << (n - 1);
}

static inline void put_time(bit_sink *s, int64_t dod)
{
    if (sx_likely(dod == 0))
        put_bits(s, 0, 1);
    else if (fits(dod, 14))
        put_bits(s, UINT64_C(2) << 14 | ((uint64_t)dod & 0x3fff), 16);
    else if (fits(dod, 17))
        put_bits(s, UINT64_C(6) << 17 | ((uint64_t)dod & 0x1ffff), 20);
    else if (fits(dod, 20))
        put_bits(s, UINT64_C(14) << 20 | ((uint64_t)dod & 0xfffff), 24);
    else {
        put_bits(s, 15, 4);
        put_bits(s, (uint64_t)dod, 64);
    }
}

static inline void put_value(tsdb_xor_state *s, bit_sink *sink, double v)
{
    uint64_t x = bits_of(v) ^ bits_of(s->v);
    if (x == 0) {
        put_bits(sink, 0, 1);
        return;
    }
    unsigned leading = (unsigned)__builtin_clzll(x), trailing = (unsigned)__builtin_ctzll(x);
    if (leading > LEADING_MAX)
        leading = LEADING_MAX;
    if (s->leading != NO_WINDOW && leading >= s->leading && trailing >= s->trailing) {
        unsigned n = 64u - s->leading - s->trailing;
        put_bits(sink, 2, 2);
        put_bits(sink, x >> s->trailing, n);
        return;
    }
    s->leading = (uint8_t)leading;
    s->trailing = (uint8_t)trailing;
    unsigned n = 64u - leading - trailing;
    /* 64 significant bits are written as 0, which else never occurs. */
    put_bits(sink, UINT64_C(3) << 11 | leading << 6 | (n & 63), 13);
    put_bits(sink, x >> trailing, n);
}

void tsdb_xor_put(tsdb_xor_state *s, uint8_t last, int64_t t, double v, tsdb_xor_step *step)
{
    bit_sink sink = {.bytes = step->bytes};
    memset(step->bytes, 0, sizeof step->bytes);
    if (sx_likely(s->count >= 2)) {
        int64_t delta = (int64_t)((uint64_t)t - (uint64_t)s->t);
        step->at = (uint16_t)(s->len - 1);
        step->bytes[0] = last;
        sink.at = 8u - s->free_bits;
        put_time(&sink, (int64_t)((uint64_t)delta - (uint64_t)s->delta));
        put_value(s, &sink, v);
        s->delta = delta;
    } else if (s->count == 0) {
        step->at = 2;
        put_uvarint(&sink, (uint64_t)t << 1 ^ (uint64_t)(t >> 63));
        put_bits(&sink, bits_of(v), 64);
        s->leading = NO_WINDOW;
    } else {
        step->at = s->len; /* the first sample ends with a whole byte */
        s->delta = (int64_t)((uint64_t)t - (uint64_t)s->t);
        put_uvarint(&sink, (uint64_t)s->delta);
        put_value(s, &sink, v);
    }
    step->count = (uint16_t)((sink.at + 7) >> 3);
    s->len = (uint16_t)(step->at + step->count);
    s->free_bits = (uint8_t)(step->count * 8u - sink.at);
    s->t = t;
    s->v = v;
    s->count++;
}

/* --- Reading. */

/* How many bits follow a control prefix of so many ones; 5 stands for the prefix itself. */
static inline int64_t take_dod(tsdb_bits *b)
{
    static const uint8_t WIDTH[] = {0, 14, 17, 20, 64}, PREFIX[] = {1, 2, 3, 4, 4};
    uint64_t word = tsdb_bits_peek(b);
    if (sx_likely(!(word >> 63))) {
        b->at++;
        return 0;
    }
    unsigned ones = (unsigned)__builtin_clzll(~word | 1);
    if (ones > 4)
        ones = 4;
    b->at += PREFIX[ones];
    unsigned n = WIDTH[ones];
    uint64_t raw = tsdb_bits_take(b, n);
    if (n < 64 && raw > UINT64_C(1) << (n - 1))
        raw -= UINT64_C(1) << n;
    return (int64_t)raw;
}

typedef struct value_window {
    unsigned leading, trailing;
    uint64_t bits; /* of the last value */
} value_window;

/* False for a window wider than a word. */
static inline bool take_value(tsdb_bits *b, value_window *w)
{
    uint64_t word = tsdb_bits_peek(b);
    if (!(word >> 63)) {
        b->at++;
        return true;
    }
    if (word >> 62 == 3) {
        unsigned n = (unsigned)(word >> 51) & 63;
        w->leading = (unsigned)(word >> 57) & 31;
        if (n == 0)
            n = 64;
        if (sx_unlikely(w->leading + n > 64))
            return false;
        w->trailing = 64 - w->leading - n;
        b->at += 13;
    } else {
        b->at += 2;
    }
    w->bits ^= tsdb_bits_take(b, 64 - w->leading - w->trailing) << w->trailing;
    return true;
}

/* HOT: 5 ns a sample. */
sx_status tsdb_xor_read(sx_str bytes, int64_t min_t, int64_t max_t, tsdb_columns *out,
                        sx_error *err)
{
    tsdb_bits b = {(const uint8_t *)bytes.data, bytes.len, 16};
    if (bytes.len < 2)
        return sx_fail(err, SX_ECORRUPT, "float chunk of %zu bytes has no count", bytes.len);
    unsigned count = (unsigned)b.data[0] << 8 | b.data[1];
    if (count > bytes.len * 4) /* a sample takes 2 bits and more: no room is made for a lie */
        return sx_fail(err, SX_ECORRUPT, "float chunk of %zu bytes claims %u samples", bytes.len,
                       count);
    sx_status status = tsdb_columns_reserve(out, count, err);
    if (status != SX_OK || count == 0)
        return status;

    int64_t *ts = out->t + out->count;
    double *vs = out->v + out->count;
    size_t kept = 0;
    value_window w = {0};
    uint64_t t = (uint64_t)tsdb_bits_varint(&b), delta = 0;
    w.bits = tsdb_bits_take(&b, 64);
    bool good = true;
    for (unsigned i = 0;;) {
        if (sx_unlikely(tsdb_bits_over(&b) || !good)) {
            status = sx_fail(err, SX_ECORRUPT, "float chunk of %zu bytes breaks at sample %u of %u",
                             bytes.len, i, count);
            break;
        }
        if ((int64_t)t > max_t)
            break;
        ts[kept] = (int64_t)t;
        memcpy(&vs[kept], &w.bits, sizeof w.bits);
        kept += (int64_t)t >= min_t;
        if (++i == count)
            break;
        delta = i == 1 ? tsdb_bits_uvarint(&b) : delta + (uint64_t)take_dod(&b);
        t += delta;
        good = take_value(&b, &w);
    }
    if (out->h)
        memset(out->h + out->count, 0, kept * sizeof *out->h);
    if (out->st)
        memset(out->st + out->count, 0, kept * sizeof *out->st);
    out->count += kept;
    return status;
}

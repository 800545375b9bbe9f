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

/* What a rare piece of a chunk says, and where it ends. The position goes by value: a reader whose
 * address nobody has stays in registers. */
typedef struct xor_piece {
    uint64_t value;
    size_t at;
} xor_piece;

/* The difference of differences that does not begin with 0: how many bits follow a prefix of so many
 * ones. */
static __attribute__((noinline)) xor_piece take_dod(const uint8_t *data, size_t len, size_t at)
{
    tsdb_bits b = {data, len, at};
    static const uint8_t WIDTH[] = {0, 14, 17, 20, 64}, PREFIX[] = {1, 2, 3, 4, 4};
    unsigned ones = (unsigned)__builtin_clzll(~tsdb_bits_peek(&b) | 1);
    if (ones > 4)
        ones = 4;
    b.at += PREFIX[ones];
    unsigned n = WIDTH[ones];
    uint64_t raw = n ? tsdb_bits_take(&b, n) : 0;
    if (n < 64 && n && raw > UINT64_C(1) << (n - 1))
        raw -= UINT64_C(1) << n;
    return (xor_piece){raw, b.at};
}

static __attribute__((noinline)) xor_piece take_uvarint(const uint8_t *data, size_t len, size_t at)
{
    tsdb_bits b = {data, len, at};
    uint64_t value = tsdb_bits_uvarint(&b);
    return (xor_piece){value, b.at};
}

static __attribute__((noinline)) uint64_t take_wide(const uint8_t *data, size_t len, size_t at,
                                                    unsigned n)
{
    tsdb_bits b = {data, len, at};
    return tsdb_bits_take(&b, n);
}

/* Where a reader is; `b.at` is the first bit of what comes next. */
typedef struct xor_cursor {
    tsdb_bits b;
    uint64_t t, delta, bits;  /* of the last sample */
    unsigned width, trailing; /* of the last window: its bits, and those behind it */
    bool broken;              /* a window was wider than a word */
} xor_cursor;

/* A difference of differences of 14 bits, the usual one that is not 0. */
static inline uint64_t dod_of_14(uint64_t word)
{
    uint64_t raw = word >> 48 & 0x3fff;
    return raw > 0x2000 ? raw - 0x4000 : raw;
}

/* A value whose first bits are at the top of `word`. */
static inline void take_value(xor_cursor *c, uint64_t word)
{
    if (!(word >> 63)) {
        c->b.at++;
        return;
    }
    c->b.at += 2;
    if (word >> 62 & 1) {
        c->width = (((unsigned)(word >> 51) - 1) & 63) + 1; /* 64 is written as 0 */
        c->trailing = 64 - ((unsigned)(word >> 57) & LEADING_MAX) - c->width;
        c->broken |= c->trailing > 64;
        c->b.at += 11;
    }
    c->bits ^= take_wide(c->b.data, c->b.len, c->b.at, c->width) << (c->trailing & 63);
    c->b.at += c->width;
}

static inline void take_time(xor_cursor *c, uint64_t word)
{
    if (!(word >> 63)) {
        c->b.at++;
    } else if (sx_likely(word >> 62 == 2)) {
        c->delta += dod_of_14(word);
        c->b.at += 16;
    } else {
        xor_piece dod = take_dod(c->b.data, c->b.len, c->b.at);
        c->delta += dod.value;
        c->b.at = dod.at;
    }
    c->t += c->delta;
}

/* Where decoded samples go. */
typedef struct xor_out {
    int64_t *t;
    double *v;
    size_t kept;
    int64_t min_t, max_t;
} xor_out;

/* False behind the range. */
static inline bool put_sample(xor_out *o, uint64_t t, uint64_t bits)
{
    if (sx_unlikely((int64_t)t > o->max_t))
        return false;
    o->t[o->kept] = (int64_t)t;
    memcpy(&o->v[o->kept], &bits, sizeof bits);
    o->kept += (int64_t)t >= o->min_t;
    return true;
}

/* HOT: 5 ns a sample. Samples that lie in whole words, up to the chunk's last ones; the usual one comes
 * on time and changes bits of the window there is, which one look tells. Returns the number of the
 * next sample; `count` behind the range. Nothing is kept in *c that would have to be written at every
 * sample. */
static __attribute__((noinline)) unsigned read_quickly(xor_cursor *c, unsigned i, unsigned count,
                                                       xor_out *out)
{
    enum { WINDOW_KEPT = 2, GOOD = 54 }; /* 0, 1, 0 */
    if (c->b.len < 8 || c->broken)
        return i;
    xor_cursor x = *c;
    xor_out o = *out;
    size_t end = x.b.len * 8 - 63; /* below it a whole word is there */
    for (; i < count && x.b.at < end; i++) {
        uint64_t word = tsdb_load_be64(x.b.data + (x.b.at >> 3)) << (x.b.at & 7);
        if (sx_likely(word >> 61 == WINDOW_KEPT && x.width <= GOOD)) {
            x.bits ^= word << 3 >> (64 - x.width) << x.trailing;
            x.b.at += 3 + x.width;
            x.t += x.delta;
        } else if (word >> 62 == 0) { /* nothing new */
            x.b.at += 2;
            x.t += x.delta;
        } else {
            take_time(&x, word);
            take_value(&x, tsdb_bits_peek(&x.b));
            if (sx_unlikely(x.broken || tsdb_bits_over(&x.b))) /* the careful reader says so */
                break;
        }
        if (!put_sample(&o, x.t, x.bits)) {
            i = count;
            break;
        }
    }
    out->kept = o.kept;
    *c = x;
    return i;
}

sx_status tsdb_xor_read(sx_str bytes, int64_t min_t, int64_t max_t, tsdb_columns *out,
                        sx_error *err)
{
    xor_cursor c = {.b = {(const uint8_t *)bytes.data, bytes.len, 16}, .width = 64};
    if (bytes.len < 2)
        return sx_fail(err, SX_ECORRUPT, "float chunk of %zu bytes has no count", bytes.len);
    unsigned count = (unsigned)c.b.data[0] << 8 | c.b.data[1];
    if (count > bytes.len * 4) /* a sample takes 2 bits and more: no room is made for a lie */
        return sx_fail(err, SX_ECORRUPT, "float chunk of %zu bytes claims %u samples", bytes.len,
                       count);
    sx_status status = tsdb_columns_reserve(out, count, err);
    if (status != SX_OK || count == 0)
        return status;

    xor_out o = {
        .t = out->t + out->count, .v = out->v + out->count, .min_t = min_t, .max_t = max_t};
    for (unsigned i = 0; i < count; i++) {
        if (i == 0) {
            xor_piece first = take_uvarint(c.b.data, c.b.len, c.b.at);
            c.t = first.value >> 1 ^ -(first.value & 1);
            c.b.at = first.at;
            c.bits = take_wide(c.b.data, c.b.len, c.b.at, 64);
            c.b.at += 64;
        } else if (i == 1) {
            xor_piece delta = take_uvarint(c.b.data, c.b.len, c.b.at);
            c.b.at = delta.at;
            c.delta = delta.value;
            c.t += c.delta;
            take_value(&c, tsdb_bits_peek(&c.b));
        } else {
            i = i == 2 ? read_quickly(&c, i, count, &o) : i;
            if (i == count)
                break;
            if (sx_likely(!c.broken && !tsdb_bits_over(&c.b))) {
                take_time(&c, tsdb_bits_peek(&c.b));
                take_value(&c, tsdb_bits_peek(&c.b));
            }
        }
        if (sx_unlikely(c.broken || tsdb_bits_over(&c.b))) {
            status = sx_fail(err, SX_ECORRUPT, "float chunk of %zu bytes breaks at sample %u of %u",
                             bytes.len, i, count);
            break;
        }
        if (!put_sample(&o, c.t, c.bits))
            break;
    }
    size_t kept = o.kept;
    if (out->h)
        memset(out->h + out->count, 0, kept * sizeof *out->h);
    if (out->st)
        memset(out->st + out->count, 0, kept * sizeof *out->st);
    out->count += kept;
    return status;
}

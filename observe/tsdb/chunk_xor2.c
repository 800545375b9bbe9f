/* chunk_xor2.c - float samples with start timestamps: the encoding that Prometheus calls XOR2.
 *
 * From the third sample on one prefix says both whether the rhythm of times broke and whether the
 * value changed; a stale marker is a prefix of its own and leaves the value that later ones are
 * compared with as it was. Source: prometheus, tsdb/docs/format/chunks.md, "XOR2 chunk data". */
#include "observe/tsdb/chunk_varbit.h"

enum { HEADER_BYTES = 3, COUNT_MOST = 65535 };

static bool fits(int64_t x, unsigned n)
{
    return x >= -(INT64_C(1) << (n - 1)) && x < INT64_C(1) << (n - 1);
}

/* <varbit_xor2>. */
static void put_value(tsdb_bit_sink *s, tsdb_xor_value *x, double v)
{
    uint64_t change = tsdb_bits_of(v) ^ x->bits;
    if (tsdb_is_stale(v)) {
        tsdb_put_bits(s, 7, 3);
    } else if (change == 0) {
        tsdb_put_bits(s, 0, 1);
    } else {
        bool kept = tsdb_xor_window_fits(x, change);
        tsdb_put_bits(s, kept ? 2 : 6, kept ? 2 : 3);
        tsdb_put_window(s, x, change, kept);
    }
}

static void put_joint(tsdb_bit_sink *s, tsdb_xor_value *x, int64_t dod, double v)
{
    if (dod == 0) {
        uint64_t change = tsdb_bits_of(v) ^ x->bits;
        if (tsdb_is_stale(v)) {
            tsdb_put_bits(s, 31, 5);
        } else if (change == 0) {
            tsdb_put_bits(s, 0, 1);
        } else {
            bool kept = tsdb_xor_window_fits(x, change);
            tsdb_put_bits(s, kept ? 4 : 5, 3);
            tsdb_put_window(s, x, change, kept);
        }
        return;
    }
    if (fits(dod, 13)) {
        tsdb_put_bits(s, UINT64_C(6) << 13 | ((uint64_t)dod & 0x1fff), 16);
    } else if (fits(dod, 20)) {
        tsdb_put_bits(s, UINT64_C(14) << 20 | ((uint64_t)dod & 0xfffff), 24);
    } else {
        tsdb_put_bits(s, 30, 5);
        tsdb_put_bits(s, (uint64_t)dod, 64);
    }
    put_value(s, x, v);
}

sx_status tsdb_xor2_pack(const tsdb_columns *c, size_t *at, size_t to, sx_arena *arena,
                         tsdb_packed *out, sx_error *err)
{
    tsdb_bit_sink s = {0};
    tsdb_st_state st = {0};
    tsdb_xor_value x = {.leading = 0xff};
    uint64_t delta = 0;
    size_t from = *at;
    if (to - from > COUNT_MOST)
        to = from + COUNT_MOST;
    bool good = tsdb_bit_sink_begin(&s, HEADER_BYTES);
    for (size_t i = from; i < to && good; i++) {
        uint64_t before = i > from ? (uint64_t)c->t[i - 1] : 0, now = (uint64_t)c->t[i] - before;
        if (i == from) {
            tsdb_put_varint(&s, c->t[i]);
            tsdb_put_bits(&s, tsdb_bits_of(c->v[i]), 64);
            x.bits = tsdb_is_stale(c->v[i]) ? 0 : tsdb_bits_of(c->v[i]);
            now = 0;
        } else if (i == from + 1) {
            tsdb_put_uvarint(&s, now);
            put_value(&s, &x, c->v[i]);
        } else {
            put_joint(&s, &x, (int64_t)(now - delta), c->v[i]);
        }
        tsdb_put_start(&s, &st, (uint32_t)(i - from), (int64_t)before, c->t[i],
                       c->st ? c->st[i] : 0);
        delta = now;
        good = !s.failed;
    }
    uint8_t *bytes = good ? sx_arena_alloc(arena, tsdb_bit_sink_len(&s)) : NULL;
    if (bytes) {
        s.bytes[0] = (uint8_t)((to - from) >> 8);
        s.bytes[1] = (uint8_t)(to - from);
        s.bytes[2] = tsdb_st_header(&st);
        memcpy(bytes, s.bytes, tsdb_bit_sink_len(&s));
        *out = (tsdb_packed){.encoding = TSDB_CHUNK_XOR2,
                             .min_t = c->t[from],
                             .max_t = c->t[to - 1],
                             .bytes = sx_str_of(bytes, tsdb_bit_sink_len(&s)),
                             .count = (uint32_t)(to - from)};
        *at = to;
    }
    tsdb_bit_sink_done(&s);
    return bytes ? SX_OK : sx_fail_memory(err, "chunk");
}

/* --- Reading. */

/* The value behind a prefix that says the rhythm broke: *stale, or x->bits. */
static bool take_value(tsdb_bits *b, tsdb_xor_value *x, bool *stale)
{
    if (!tsdb_bits_take(b, 1))
        return true;
    if (!tsdb_bits_take(b, 1))
        return tsdb_take_window(b, x, true);
    *stale = tsdb_bits_take(b, 1);
    return *stale || tsdb_take_window(b, x, false);
}

static bool take_joint(tsdb_bits *b, tsdb_xor_value *x, uint64_t *delta, bool *stale)
{
    uint64_t word = tsdb_bits_peek(b);
    unsigned ones = (unsigned)__builtin_clzll(~word | 1), n;
    uint64_t dod;
    switch (ones) {
    case 0:
        b->at++;
        return true;
    case 1:
        b->at += 2;
        return tsdb_take_window(b, x, !tsdb_bits_take(b, 1));
    case 2:
    case 3:
        b->at += ones + 1;
        n = ones == 2 ? 13 : 20;
        dod = tsdb_bits_take(b, n);
        if (dod >> (n - 1))
            dod -= UINT64_C(1) << n;
        break;
    case 4:
        b->at += 5;
        dod = tsdb_bits_take(b, 64);
        break;
    default:
        b->at += 5;
        *stale = true;
        return true;
    }
    *delta += dod;
    return take_value(b, x, stale);
}

sx_status tsdb_xor2_read(sx_str bytes, int64_t min_t, int64_t max_t, tsdb_columns *out,
                         sx_error *err)
{
    tsdb_bits b = {(const uint8_t *)bytes.data, bytes.len, HEADER_BYTES * 8};
    if (bytes.len < HEADER_BYTES)
        return sx_fail(err, SX_ECORRUPT, "float chunk of %zu bytes has no header", bytes.len);
    unsigned count = (unsigned)b.data[0] << 8 | b.data[1];
    if (count > bytes.len * 8) /* a sample takes a bit and more: no room is made for a lie */
        return sx_fail(err, SX_ECORRUPT, "float chunk of %zu bytes claims %u samples", bytes.len,
                       count);
    tsdb_st_state st = {.first_known = b.data[2] & 0x80, .change_on = b.data[2] & 0x7f};
    sx_status status = tsdb_columns_reserve(out, count, err);
    if (status == SX_OK && b.data[2])
        status = tsdb_columns_want_st(out, err);
    if (status != SX_OK)
        return status;
    tsdb_xor_value x = {.leading = 0xff};
    uint64_t t = 0, delta = 0;
    for (unsigned i = 0; i < count; i++) {
        bool stale = false, good = true;
        uint64_t before = t;
        if (i == 0) {
            t = (uint64_t)tsdb_bits_varint(&b);
            x.bits = tsdb_bits_take(&b, 64);
            if (x.bits == TSDB_STALE_BITS) {
                stale = true;
                x.bits = 0;
            }
        } else if (i == 1) {
            delta = tsdb_bits_uvarint(&b);
            good = take_value(&b, &x, &stale);
        } else {
            good = take_joint(&b, &x, &delta, &stale);
        }
        t += delta;
        tsdb_take_start(&b, &st, i, (int64_t)before, (int64_t)t);
        if (sx_unlikely(!good || tsdb_bits_over(&b)))
            return sx_fail(err, SX_ECORRUPT, "float chunk of %zu bytes breaks at sample %u of %u",
                           bytes.len, i, count);
        if ((int64_t)t > max_t)
            break;
        if ((int64_t)t < min_t)
            continue;
        uint64_t bits = stale ? TSDB_STALE_BITS : x.bits;
        out->t[out->count] = (int64_t)t;
        memcpy(&out->v[out->count], &bits, sizeof bits);
        if (out->h)
            out->h[out->count] = NULL;
        if (out->st)
            out->st[out->count] = st.st;
        out->count++;
    }
    return SX_OK;
}

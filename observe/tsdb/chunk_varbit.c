/* chunk_varbit.c - numbers of variable width; see chunk_varbit.h. */
#include "observe/tsdb/chunk_varbit.h"

enum { FIRST_BYTES = 512, NO_WINDOW = 0xff, LEADING_MAX = 31 };

/* How many bits follow a prefix of so many ones (and a zero, except behind eight). */
static const uint8_t WIDTHS[] = {0, 3, 6, 9, 12, 18, 25, 56, 64};
enum { WIDTH_KINDS = sizeof WIDTHS };

bool tsdb_bit_sink_begin(tsdb_bit_sink *s, size_t header)
{
    s->failed = false;
    s->at = header * 8;
    if (s->bytes)
        memset(s->bytes, 0, s->cap);
    else
        return tsdb_bit_sink_grow(s);
    return true;
}

bool tsdb_bit_sink_grow(tsdb_bit_sink *s)
{
    size_t cap = s->cap ? s->cap * 2 : FIRST_BYTES;
    uint8_t *grown = s->failed ? NULL : sx_realloc(s->bytes, cap);
    if (!grown) {
        s->failed = true;
        return false;
    }
    memset(grown + s->cap, 0, cap - s->cap);
    s->bytes = grown;
    s->cap = cap;
    return true;
}

void tsdb_put_uvarint(tsdb_bit_sink *s, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        tsdb_put_bits(s, (value & 0x7f) | 0x80, 8);
    tsdb_put_bits(s, value, 8);
}

static void put_prefixed(tsdb_bit_sink *s, unsigned kind, uint64_t value)
{
    if (kind == 0)
        tsdb_put_bits(s, 0, 1);
    else if (kind < 8)
        tsdb_put_bits(s, (UINT64_C(2) << kind) - 2, kind + 1);
    else
        tsdb_put_bits(s, 0xff, 8);
    if (kind)
        tsdb_put_bits(s, value, WIDTHS[kind]);
}

/* The ranges reach one further up than down, as those of times in XOR chunks do. */
static bool fits(int64_t x, unsigned n)
{
    return x >= -((INT64_C(1) << (n - 1)) - 1) && x <= INT64_C(1) << (n - 1);
}

void tsdb_put_varbit(tsdb_bit_sink *s, int64_t value)
{
    unsigned kind = value != 0;
    while (kind && kind < 8 && !fits(value, WIDTHS[kind]))
        kind++;
    put_prefixed(s, kind, (uint64_t)value);
}

void tsdb_put_uvarbit(tsdb_bit_sink *s, uint64_t value)
{
    unsigned kind = value != 0;
    while (kind && kind < 8 && value >> WIDTHS[kind])
        kind++;
    put_prefixed(s, kind, value);
}

static uint64_t take_prefixed(tsdb_bits *b, unsigned *width)
{
    uint64_t word = tsdb_bits_peek(b);
    unsigned ones = (unsigned)__builtin_clzll(~word | 1);
    if (ones > 8)
        ones = 8;
    b->at += ones < 8 ? ones + 1 : 8;
    *width = WIDTHS[ones];
    return *width ? tsdb_bits_take(b, *width) : 0;
}

int64_t tsdb_take_varbit(tsdb_bits *b)
{
    unsigned n;
    uint64_t raw = take_prefixed(b, &n);
    if (n && n < 64 && raw > UINT64_C(1) << (n - 1))
        raw -= UINT64_C(1) << n;
    return (int64_t)raw;
}

uint64_t tsdb_take_uvarbit(tsdb_bits *b)
{
    unsigned n;
    return take_prefixed(b, &n);
}

/* --- XOR. */

bool tsdb_xor_window_fits(const tsdb_xor_value *x, uint64_t change)
{
    unsigned leading = (unsigned)__builtin_clzll(change);
    if (leading > LEADING_MAX)
        leading = LEADING_MAX;
    return x->leading != NO_WINDOW && leading >= x->leading &&
           (unsigned)__builtin_ctzll(change) >= x->trailing;
}

void tsdb_put_window(tsdb_bit_sink *s, tsdb_xor_value *x, uint64_t change, bool kept)
{
    unsigned leading = (unsigned)__builtin_clzll(change);
    if (!kept) {
        x->leading = (uint8_t)(leading > LEADING_MAX ? LEADING_MAX : leading);
        x->trailing = (uint8_t)__builtin_ctzll(change);
        /* 64 significant bits are written as 0, which else never occurs. */
        tsdb_put_bits(s, (uint64_t)x->leading << 6 | ((64u - x->leading - x->trailing) & 63), 11);
    }
    tsdb_put_bits(s, change >> x->trailing, 64u - x->leading - x->trailing);
    x->bits ^= change;
}

bool tsdb_take_window(tsdb_bits *b, tsdb_xor_value *x, bool kept)
{
    if (!kept) {
        unsigned head = (unsigned)tsdb_bits_take(b, 11), n = head & 63, leading = head >> 6;
        if (n == 0)
            n = 64;
        if (leading + n > 64)
            return false;
        x->leading = (uint8_t)leading;
        x->trailing = (uint8_t)(64 - leading - n);
    } else if (x->leading == NO_WINDOW) {
        return false;
    }
    x->bits ^= tsdb_bits_take(b, 64u - x->leading - x->trailing) << x->trailing;
    return true;
}

void tsdb_put_xor(tsdb_bit_sink *s, tsdb_xor_value *x, double v)
{
    uint64_t change = tsdb_bits_of(v) ^ x->bits;
    if (change == 0) {
        tsdb_put_bits(s, 0, 1);
        return;
    }
    bool kept = tsdb_xor_window_fits(x, change);
    tsdb_put_bits(s, kept ? 2 : 3, 2);
    tsdb_put_window(s, x, change, kept);
}

bool tsdb_take_xor(tsdb_bits *b, tsdb_xor_value *x)
{
    if (!tsdb_bits_take(b, 1))
        return true;
    return tsdb_take_window(b, x, !tsdb_bits_take(b, 1));
}

/* --- Start timestamps. */

void tsdb_put_start(tsdb_bit_sink *s, tsdb_st_state *st, uint32_t i, int64_t before, int64_t t,
                    int64_t start)
{
    if (i == 0) {
        if (start != 0) {
            tsdb_put_varint(s, (int64_t)((uint64_t)t - (uint64_t)start));
            st->first_known = true;
        }
    } else {
        int64_t diff = (int64_t)((uint64_t)before - (uint64_t)start);
        if (st->change_on) {
            tsdb_put_varbit(s, (int64_t)((uint64_t)diff - (uint64_t)st->diff));
            st->diff = diff;
        } else if (start != st->st || i == TSDB_ST_CHANGE_MOST) {
            st->change_on = (uint8_t)i;
            tsdb_put_varbit(s, diff);
            st->diff = diff;
        }
    }
    st->st = start;
}

void tsdb_take_start(tsdb_bits *b, tsdb_st_state *st, uint32_t i, int64_t before, int64_t t)
{
    if (i == 0) {
        if (st->first_known)
            st->st = (int64_t)((uint64_t)t - (uint64_t)tsdb_bits_varint(b));
    } else if (st->change_on && i >= st->change_on) {
        uint64_t change = (uint64_t)tsdb_take_varbit(b);
        st->diff = i == st->change_on ? (int64_t)change : (int64_t)((uint64_t)st->diff + change);
        st->st = (int64_t)((uint64_t)before - (uint64_t)st->diff);
    }
}

/* chunk_varbit.h - writing bits, and the numbers of variable width that chunks are made of.
 *
 * The sink owns growing memory and keeps a word of slack behind its end, so that a put is one load
 * and one store. After a failed allocation it swallows what it gets and `failed` says so once. Used by
 * the encoders of histogram and XOR2 chunks.
 * Source: prometheus, tsdb/docs/format/chunks.md and tsdb/docs/bstream.md. */
#ifndef OBSERVE_TSDB_CHUNK_VARBIT_H
#define OBSERVE_TSDB_CHUNK_VARBIT_H

#include <sextant/mem.h>

#include "observe/tsdb/chunk_bits.h"
#include "observe/tsdb/chunk.h"

typedef struct tsdb_bit_sink {
    uint8_t *bytes; /* heap; zeros behind the last bit */
    size_t cap, at; /* bytes, bits */
    bool failed;
} tsdb_bit_sink;

static inline void tsdb_bit_sink_done(tsdb_bit_sink *s)
{
    sx_free(s->bytes);
    *s = (tsdb_bit_sink){0};
}

static inline size_t tsdb_bit_sink_len(const tsdb_bit_sink *s)
{
    return (s->at + 7) >> 3;
}

/* Empty again, with `header` bytes of zeros. False without memory. */
bool tsdb_bit_sink_begin(tsdb_bit_sink *s, size_t header);
bool tsdb_bit_sink_grow(tsdb_bit_sink *s);

/* The lowest `n` bits of `value`, 1 to 64; bits above them are ignored. */
static inline void tsdb_put_bits(tsdb_bit_sink *s, uint64_t value, unsigned n)
{
    if (sx_unlikely((s->at >> 3) + 24 > s->cap) && !tsdb_bit_sink_grow(s))
        return;
    uint8_t *p = s->bytes + (s->at >> 3);
    unsigned used = s->at & 7;
    tsdb_store_be64(p, tsdb_load_be64(p) | value << (64 - n) >> used);
    if (sx_unlikely(used + n > 64))
        p[8] = (uint8_t)(value << (72 - used - n));
    s->at += n;
}

void tsdb_put_uvarint(tsdb_bit_sink *s, uint64_t value);

static inline void tsdb_put_varint(tsdb_bit_sink *s, int64_t value)
{
    tsdb_put_uvarint(s, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

/* <varbit_int> and <varbit_uint>. */
void tsdb_put_varbit(tsdb_bit_sink *s, int64_t value);
void tsdb_put_uvarbit(tsdb_bit_sink *s, uint64_t value);
int64_t tsdb_take_varbit(tsdb_bits *b);
uint64_t tsdb_take_uvarbit(tsdb_bits *b);

/* --- A value as its XOR with the one before, of which a window of bits is kept. */
typedef struct tsdb_xor_value {
    uint64_t bits;
    uint8_t leading, trailing; /* leading 0xff: no window yet */
} tsdb_xor_value;

static inline uint64_t tsdb_bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* <varbit_xor>. */
void tsdb_put_xor(tsdb_bit_sink *s, tsdb_xor_value *x, double v);
/* False for a window wider than a word. */
bool tsdb_take_xor(tsdb_bits *b, tsdb_xor_value *x);

/* The rest of it: whether the window is `kept` was written before. */
bool tsdb_xor_window_fits(const tsdb_xor_value *x, uint64_t change);
void tsdb_put_window(tsdb_bit_sink *s, tsdb_xor_value *x, uint64_t change, bool kept);
bool tsdb_take_window(tsdb_bits *b, tsdb_xor_value *x, bool kept);

/* --- Start timestamps, as XOR2 and the ST kinds of histograms have them. */
enum { TSDB_ST_CHANGE_MOST = 0x7f };

typedef struct tsdb_st_state {
    int64_t st, diff; /* diff: the time before less st */
    bool first_known;
    uint8_t change_on;
} tsdb_st_state;

/* Writes the start of sample `i` at time t, the one before at `before`. */
void tsdb_put_start(tsdb_bit_sink *s, tsdb_st_state *st, uint32_t i, int64_t before, int64_t t,
                    int64_t start);
static inline uint8_t tsdb_st_header(const tsdb_st_state *st)
{
    return (uint8_t)((st->first_known ? 0x80 : 0) | st->change_on);
}
/* Reads it: st->st. */
void tsdb_take_start(tsdb_bits *b, tsdb_st_state *st, uint32_t i, int64_t before, int64_t t);

/* The encoders and decoders behind tsdb_chunk_pack and tsdb_chunk_read. */
sx_status tsdb_xor2_read(sx_str bytes, int64_t min_t, int64_t max_t, tsdb_columns *out,
                         sx_error *err);
sx_status tsdb_xor2_pack(const tsdb_columns *c, size_t *at, size_t to, sx_arena *arena,
                         tsdb_packed *out, sx_error *err);
sx_status tsdb_histogram_chunk_read(tsdb_encoding e, sx_str bytes, int64_t min_t, int64_t max_t,
                                    tsdb_columns *out, sx_error *err);
sx_status tsdb_histogram_chunk_pack(const tsdb_columns *c, size_t *at,
                                    const tsdb_pack_options *options, sx_arena *arena,
                                    tsdb_packed *out, sx_error *err);

#endif

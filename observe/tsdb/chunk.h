/* chunk.h - samples packed into bytes, in Prometheus's encodings.
 *
 * A chunk's bytes are exactly those of Prometheus's chunk files, so that blocks and head files go
 * both ways. A float chunk (XOR) is written and read by the hottest paths of all; the bit writer works
 * on a 64-bit word and the reader decodes straight into columns. XOR2 also holds start timestamps.
 * Source: prometheus, tsdb/docs/format/chunks.md and tsdb/docs/bstream.md. */
#ifndef OBSERVE_TSDB_CHUNK_H
#define OBSERVE_TSDB_CHUNK_H

#include <sextant/error.h>
#include <sextant/str.h>

#include "observe/tsdb/storage.h"

/* As written into files. */
typedef enum tsdb_encoding {
    TSDB_CHUNK_NONE = 0,
    TSDB_CHUNK_XOR = 1,
    TSDB_CHUNK_HISTOGRAM = 2,
    TSDB_CHUNK_FLOAT_HISTOGRAM = 3,
    TSDB_CHUNK_XOR2 = 4,
    TSDB_CHUNK_HISTOGRAM_ST = 5, /* histograms with start timestamps */
    TSDB_CHUNK_FLOAT_HISTOGRAM_ST = 6,
} tsdb_encoding;

enum {
    TSDB_CHUNK_SAMPLES = 120,          /* aimed at, as Prometheus */
    TSDB_CHUNK_HISTOGRAM_BYTES = 1024, /* a histogram chunk is cut above this ... */
    TSDB_CHUNK_HISTOGRAM_SAMPLES = 10, /* ... once it has as many samples */
};

/* --- Writing floats: the open chunk of a series in the head. The state is small on purpose: it
 * is half of a series' cache line (head.h). It says nothing of where the bytes are: the head keeps them
 * in its own pools. A state of zeros is an empty chunk. */
typedef struct tsdb_xor_state {
    int64_t t, delta; /* of the last sample */
    double v;
    uint16_t len;              /* whole bytes used, the 2 bytes of the count included */
    uint8_t free_bits;         /* in the last byte */
    uint8_t leading, trailing; /* of the last XOR window; leading 0xff: none yet */
    uint8_t unused;
    uint16_t count;
} tsdb_xor_state;

/* The most bytes that one sample can add to a chunk, the count of an empty one included. */
enum { TSDB_XOR_SAMPLE_BYTES_MAX = 22, TSDB_XOR_BYTES_MAX = 65535 };

/* What one more sample changes: `bytes` replace the chunk's from `at` on. */
typedef struct tsdb_xor_step {
    uint8_t bytes[40]; /* room for stores of whole words */
    uint16_t at, count;
} tsdb_xor_step;

/* Encodes a sample later than those before: moves the state, and tells the bytes that the caller
 * puts in place (tsdb_xor_place). The first byte replaces the chunk's last one, of which `last` is
 * the value there is (0 for an empty chunk). HOT: 15 ns with the placing. */
void tsdb_xor_put(tsdb_xor_state *s, uint8_t last, int64_t t, double v, tsdb_xor_step *step);

/* Puts a step in place; `bytes` have room for s->len, and get the new count. */
static inline void tsdb_xor_place(uint8_t *bytes, const tsdb_xor_state *s,
                                  const tsdb_xor_step *step)
{
    memcpy(bytes + step->at, step->bytes, step->count);
    bytes[0] = (uint8_t)(s->count >> 8);
    bytes[1] = (uint8_t)s->count;
}

/* --- Reading, any encoding. Appends the chunk's samples with min_t <= t <= max_t to `out`.
 *   errors  SX_ECORRUPT: the bytes end early or are no chunk of this encoding; SX_EUNSUPPORTED for
 *           an unknown encoding, SX_ENOMEM. What was decoded before the fault is in `out`. */
sx_status tsdb_chunk_read(tsdb_encoding e, sx_str bytes, int64_t min_t, int64_t max_t,
                          tsdb_columns *out, sx_error *err);

/* How many samples the chunk says it has; 0 if it is too short to say. */
uint32_t tsdb_chunk_count(tsdb_encoding e, sx_str bytes);

/* --- Writing whole chunks: compaction, backfill, out-of-order samples, histograms. */
typedef struct tsdb_packed {
    tsdb_encoding encoding;
    int64_t min_t, max_t;
    sx_str bytes; /* in the arena */
    uint32_t count;
} tsdb_packed;

typedef struct tsdb_pack_options {
    bool xor2;            /* keep start timestamps */
    uint32_t samples_max; /* of one chunk; 0: TSDB_CHUNK_SAMPLES, histograms by their bytes */
} tsdb_pack_options;

/* Packs the columns' samples from *at on into one chunk of one kind (float, integer histogram, float
 * histogram; a counter reset, a new bucket layout that cannot be widened or a change of kind begins
 * another), and moves *at behind the last one taken. */
sx_status tsdb_chunk_pack(const tsdb_columns *c, size_t *at, const tsdb_pack_options *options,
                          sx_arena *arena, tsdb_packed *out, sx_error *err);

#endif

/* chunk.c - one table of encodings for whoever reads or writes whole chunks. */
#include "observe/tsdb/chunk.h"

#include "observe/tsdb/chunk_varbit.h"
#include "observe/tsdb/chunk_xor.h"

sx_status tsdb_chunk_read(tsdb_encoding e, sx_str bytes, int64_t min_t, int64_t max_t,
                          tsdb_columns *out, sx_error *err)
{
    switch (e) {
    case TSDB_CHUNK_XOR:
        return tsdb_xor_read(bytes, min_t, max_t, out, err);
    case TSDB_CHUNK_XOR2:
        return tsdb_xor2_read(bytes, min_t, max_t, out, err);
    case TSDB_CHUNK_HISTOGRAM:
    case TSDB_CHUNK_FLOAT_HISTOGRAM:
    case TSDB_CHUNK_HISTOGRAM_ST:
    case TSDB_CHUNK_FLOAT_HISTOGRAM_ST:
        return tsdb_histogram_chunk_read(e, bytes, min_t, max_t, out, err);
    case TSDB_CHUNK_NONE:
        break;
    }
    return sx_fail(err, SX_EUNSUPPORTED, "chunk encoding %u is not known", (unsigned)e);
}

uint32_t tsdb_chunk_count(tsdb_encoding e, sx_str bytes)
{
    if (bytes.len < 2)
        return 0;
    uint32_t count = (uint32_t)(uint8_t)bytes.data[0] << 8 | (uint8_t)bytes.data[1];
    /* The histograms with start timestamps keep their reset hint in the upper two bits. */
    bool hinted = e == TSDB_CHUNK_HISTOGRAM_ST || e == TSDB_CHUNK_FLOAT_HISTOGRAM_ST;
    return hinted ? count & 0x3fff : count;
}

sx_status tsdb_chunk_pack(const tsdb_columns *c, size_t *at, const tsdb_pack_options *options,
                          sx_arena *arena, tsdb_packed *out, sx_error *err)
{
    uint32_t most = options->samples_max ? options->samples_max : TSDB_CHUNK_SAMPLES;
    size_t from = *at, to = from;
    while (to < c->count && to - from < most && !(c->h && c->h[to]))
        to++;
    if (to == from)
        return tsdb_histogram_chunk_pack(c, at, options, arena, out, err);
    if (options->xor2)
        return tsdb_xor2_pack(c, at, to, arena, out, err);
    size_t cap = 2 + (to - from) * (TSDB_XOR_SAMPLE_BYTES_MAX + 1);
    if (cap > TSDB_XOR_BYTES_MAX)
        return sx_fail(err, SX_ELIMIT, "chunk of %zu samples: at most %d", to - from,
                       TSDB_XOR_BYTES_MAX / (TSDB_XOR_SAMPLE_BYTES_MAX + 1));
    uint8_t *bytes = sx_arena_alloc(arena, cap);
    if (!bytes)
        return sx_fail_memory(err, "chunk");
    tsdb_xor_state x = {0};
    tsdb_xor_step step;
    for (size_t i = from; i < to; i++) {
        tsdb_xor_put(&x, x.count ? bytes[x.len - 1] : 0, c->t[i], c->v[i], &step);
        tsdb_xor_place(bytes, &x, &step);
    }
    *out = (tsdb_packed){.encoding = TSDB_CHUNK_XOR,
                         .min_t = c->t[from],
                         .max_t = c->t[to - 1],
                         .bytes = sx_str_of(bytes, x.len),
                         .count = (uint32_t)(to - from)};
    *at = to;
    return SX_OK;
}

/* A float chunk of any bytes: a refusal has a message, and samples that come out in rising order pack
 * to a chunk that reads the same. */
#include "observe/tsdb/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tsdb_columns c, again;
    tsdb_packed packed;
    tsdb_pack_options options = {.samples_max = 2500};
    sx_arena arena;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    tsdb_columns_init(&again, &arena);
    sx_str bytes = sx_str_of(data, size);
    if (tsdb_chunk_read(TSDB_CHUNK_XOR, bytes, INT64_MIN, INT64_MAX, &c, &err) != SX_OK)
        sx_assert(err.message[0] != '\0');
    size_t at = 0;
    if (c.count) {
        sx_assert(tsdb_chunk_pack(&c, &at, &options, &arena, &packed, &err) == SX_OK);
        sx_assert(tsdb_chunk_read(TSDB_CHUNK_XOR, packed.bytes, INT64_MIN, INT64_MAX, &again,
                                  &err) == SX_OK);
        sx_assert(again.count == at);
        sx_assert(memcmp(again.t, c.t, at * sizeof *c.t) == 0);
        sx_assert(memcmp(again.v, c.v, at * sizeof *c.v) == 0);
    }
    tsdb_columns_done(&c);
    tsdb_columns_done(&again);
    sx_arena_done(&arena);
    return 0;
}

/* fuzz_remote_read.c - any bytes as a remote read request over an empty store: an answer or a named
 * error, and nothing written before an error in the request. */
#include <stdlib.h>

#include <sextant/compress.h>

#include "observe/remote/remote.h"

static sx_status no_series(tsdb_querier *q, const tsdb_hints *hints, const tsdb_matcher *matchers,
                           size_t count, sx_arena *arena, tsdb_selection *out,
                           const _Atomic bool *canceled, sx_error *err)
{
    (void)q, (void)hints, (void)arena, (void)canceled, (void)err;
    for (size_t i = 0; i < count; i++)
        tsdb_matcher_matches(&matchers[i], SX_STR("x"));
    *out = (tsdb_selection){0};
    return SX_OK;
}

static void no_free(tsdb_querier *q)
{
    (void)q;
}

static const tsdb_querier_ops OPS = {.select = no_series, .free = no_free};
static tsdb_querier empty = {&OPS};

static sx_status no_querier(tsdb_queryable *self, int64_t min_t, int64_t max_t, tsdb_querier **out,
                            sx_error *err)
{
    (void)self, (void)min_t, (void)max_t, (void)err;
    *out = &empty;
    return SX_OK;
}

static bool count_pieces(void *ctx, sx_str piece)
{
    (void)piece;
    ++*(unsigned *)ctx;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tsdb_label EXTERNAL[] = {{SX_STR_INIT("region"), SX_STR_INIT("eu")}};
    tsdb_queryable store = {no_querier};
    remote_read_options options = {.external_labels = {EXTERNAL, 1}};
    sx_error err = {0};
    sx_buf body;
    bool streamed = false;
    unsigned pieces = 0;
    sx_buf_init(&body, 0);
    if (sx_compress(SX_CODEC_SNAPPY, sx_str_of(data, size), SX_LEVEL_DEFAULT, &body, &err) != SX_OK)
        abort();
    sx_status status =
        remote_read(&store, &options, sx_buf_view(&body), &streamed, count_pieces, &pieces, &err);
    if (status == SX_OK)
        sx_assert(pieces == (streamed ? 0 : 1));
    else
        sx_assert(err.message[0] != '\0' && pieces == 0);
    sx_buf_done(&body);
    return 0;
}

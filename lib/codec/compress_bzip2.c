/* compress_bzip2.c - bzip2 by libbz2. OpenStreetMap and older dumps come so; writing is for tests and
 * for whoever asks. libbz2 cannot reset a stream, so a reset ends and begins one. */
#include <bzlib.h>

#include <sextant/mem.h>

#include "codec/compress_impl.h"

typedef struct bzip2_state {
    bz_stream stream;
    int level;  /* of the encoder */
    bool begun; /* stream is to be ended */
} bzip2_state;

static unsigned piece(size_t len)
{
    return len > (1u << 30) ? (1u << 30) : (unsigned)len;
}

static void *hook_alloc(void *opaque, int items, int size)
{
    size_t bytes;
    if (items < 0 || size < 0 || __builtin_mul_overflow((size_t)items, (size_t)size, &bytes))
        return NULL;
    return codec_hook_alloc(opaque, bytes);
}

static bzip2_state *new_state(sx_error *err)
{
    bzip2_state *s = sx_calloc(1, sizeof(*s));
    if (!s)
        sx_fail_memory(err, "bzip2's state");
    return s;
}

static void point_at(bz_stream *b, const codec_cursor *c)
{
    b->next_in = (char *)(uintptr_t)c->in; /* libbz2 only reads it, but declares it char * */
    b->avail_in = piece(c->in_len);
    b->next_out = (char *)c->out;
    b->avail_out = piece(c->out_len);
}

static void take_from(const bz_stream *b, codec_cursor *c)
{
    size_t taken = (size_t)((const uint8_t *)b->next_in - c->in);
    size_t given = (size_t)((uint8_t *)b->next_out - c->out);
    c->in += taken;
    c->in_len -= taken;
    c->out += given;
    c->out_len -= given;
}

static sx_status bzip2_decode_reset(void *state, sx_error *err)
{
    bzip2_state *s = state;
    if (s->begun)
        BZ2_bzDecompressEnd(&s->stream);
    s->stream = (bz_stream){.bzalloc = hook_alloc, .bzfree = codec_hook_free};
    s->begun = BZ2_bzDecompressInit(&s->stream, 0, 0) == BZ_OK;
    return s->begun ? SX_OK : sx_fail_memory(err, "bzip2's state");
}

static void bzip2_decode_close(void *state)
{
    bzip2_state *s = state;
    if (s->begun)
        BZ2_bzDecompressEnd(&s->stream);
    sx_free(s);
}

static sx_status bzip2_decode_open(const sx_decoder_options *options, void **state, sx_error *err)
{
    (void)options;
    bzip2_state *s = new_state(err);
    if (!s)
        return SX_ENOMEM;
    sx_status status = bzip2_decode_reset(s, err);
    if (status != SX_OK) {
        sx_free(s);
        return status;
    }
    *state = s;
    return SX_OK;
}

static sx_status bzip2_decode_run(void *state, codec_cursor *c, codec_step step, sx_error *err)
{
    bzip2_state *s = state;
    (void)step;
    for (;;) {
        point_at(&s->stream, c);
        int result = BZ2_bzDecompress(&s->stream);
        take_from(&s->stream, c);
        switch (result) {
        case BZ_OK:
            if (c->in_len && c->out_len)
                continue; /* a piece is done, not all of it */
            return SX_OK;
        case BZ_STREAM_END:
            return SX_END;
        case BZ_MEM_ERROR:
            return sx_fail_memory(err, "bzip2's block");
        case BZ_DATA_ERROR_MAGIC:
            return sx_fail(err, SX_EFORMAT, "not a bzip2 stream");
        default:
            return sx_fail(err, SX_EFORMAT, "damaged block");
        }
    }
}

static sx_status bzip2_encode_reset(void *state, sx_error *err)
{
    bzip2_state *s = state;
    if (s->begun)
        BZ2_bzCompressEnd(&s->stream);
    s->stream = (bz_stream){.bzalloc = hook_alloc, .bzfree = codec_hook_free};
    s->begun = BZ2_bzCompressInit(&s->stream, s->level, 0, 0) == BZ_OK;
    return s->begun ? SX_OK : sx_fail_memory(err, "bzip2's state");
}

static void bzip2_encode_close(void *state)
{
    bzip2_state *s = state;
    if (s->begun)
        BZ2_bzCompressEnd(&s->stream);
    sx_free(s);
}

static sx_status bzip2_encode_open(const sx_encoder_options *options, void **state, sx_error *err)
{
    bzip2_state *s = new_state(err);
    if (!s)
        return SX_ENOMEM;
    s->level = options->level;
    sx_status status = bzip2_encode_reset(s, err);
    if (status != SX_OK) {
        sx_free(s);
        return status;
    }
    *state = s;
    return SX_OK;
}

static sx_status bzip2_encode_run(void *state, codec_cursor *c, codec_step step, sx_error *err)
{
    bzip2_state *s = state;
    (void)err;
    if (step != CODEC_LAST && c->in_len == 0)
        return SX_OK; /* libbz2's flush ends a block, but not at a byte: nobody could read it yet */
    point_at(&s->stream, c);
    /* A piece before the last is only run. */
    bool all = s->stream.avail_in == c->in_len;
    int action = step == CODEC_LAST && all ? BZ_FINISH : BZ_RUN;
    int result = BZ2_bzCompress(&s->stream, action);
    take_from(&s->stream, c);
    sx_assert(result >= 0); /* negative only for calls out of order: our mistake */
    if (action == BZ_FINISH)
        return result == BZ_STREAM_END ? SX_OK : SX_AGAIN;
    return c->in_len || step == CODEC_LAST ? SX_AGAIN : SX_OK;
}

const codec_decode_ops codec_bzip2_decode = {bzip2_decode_open, bzip2_decode_close,
                                             bzip2_decode_reset, bzip2_decode_reset,
                                             bzip2_decode_run};
const codec_encode_ops codec_bzip2_encode = {bzip2_encode_open, bzip2_encode_close,
                                             bzip2_encode_reset, bzip2_encode_run};

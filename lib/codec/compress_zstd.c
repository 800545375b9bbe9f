/* compress_zstd.c - zstd (RFC 8878) by libzstd.
 *
 * libzstd allocates by itself: its hooks for other allocators are for static linking only, as its
 * header says. What bounds its memory here is the window: a frame that asks for more is refused. */
#include <zstd.h>
#include <zstd_errors.h>

#include <sextant/mem.h>

#include "codec/compress_impl.h"
#include "codec/compress_record.h"

static sx_status fail_zstd(size_t result, sx_error *err)
{
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_memory_allocation:
        return sx_fail_memory(err, "zstd's window");
    case ZSTD_error_frameParameter_windowTooLarge:
        return sx_fail(err, SX_ELIMIT, "needs a larger window than window_log_max allows");
    case ZSTD_error_dictionary_wrong:
    case ZSTD_error_dictionary_corrupted:
        return sx_fail(err, SX_EUNSUPPORTED, "needs a dictionary");
    default:
        return sx_fail(err, SX_EFORMAT, "%s", ZSTD_getErrorName(result));
    }
}

static sx_status zstd_decode_open(const sx_decoder_options *options, void **state, sx_error *err)
{
    ZSTD_DCtx *z = ZSTD_createDCtx();
    if (!z)
        return sx_fail_memory(err, "zstd's state");
    size_t result = ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, (int)options->window_log_max);
    if (ZSTD_isError(result)) {
        ZSTD_freeDCtx(z);
        return sx_fail(err, SX_EINVAL, "zstd window_log_max %u: %s", options->window_log_max,
                       ZSTD_getErrorName(result));
    }
    *state = z;
    return SX_OK;
}

static void zstd_decode_close(void *state)
{
    ZSTD_freeDCtx(state);
}

static sx_status zstd_decode_reset(void *state, sx_error *err)
{
    size_t result = ZSTD_DCtx_reset(state, ZSTD_reset_session_only);
    return ZSTD_isError(result) ? fail_zstd(result, err) : SX_OK;
}

/* A context that has ended a frame begins the next by itself. */
static sx_status zstd_decode_next(void *state, sx_error *err)
{
    (void)state, (void)err;
    return SX_OK;
}

static sx_status zstd_decode_run(void *state, codec_cursor *c, codec_step step, sx_error *err)
{
    ZSTD_inBuffer in = {c->in, c->in_len, 0};
    ZSTD_outBuffer out = {c->out, c->out_len, 0};
    (void)step;
    size_t result = ZSTD_decompressStream(state, &out, &in);
    c->in += in.pos;
    c->in_len -= in.pos;
    c->out += out.pos;
    c->out_len -= out.pos;
    if (ZSTD_isError(result))
        return fail_zstd(result, err);
    return result == 0 ? SX_END : SX_OK;
}

static sx_status zstd_encode_open(const sx_encoder_options *options, void **state, sx_error *err)
{
    if (options->window_log && (options->window_log < 10 || options->window_log > 27))
        return sx_fail(err, SX_EINVAL, "zstd's window_log is %u; it must be from 10 to 27",
                       options->window_log);
    ZSTD_CCtx *z = ZSTD_createCCtx();
    if (!z)
        return sx_fail_memory(err, "zstd's state");
    size_t result = ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, options->level);
    if (!ZSTD_isError(result))
        result = ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, (int)options->window_log);
    if (ZSTD_isError(result)) {
        ZSTD_freeCCtx(z);
        return fail_zstd(result, err);
    }
    *state = z;
    return SX_OK;
}

static void zstd_encode_close(void *state)
{
    ZSTD_freeCCtx(state);
}

static sx_status zstd_encode_reset(void *state, sx_error *err)
{
    size_t result = ZSTD_CCtx_reset(state, ZSTD_reset_session_only);
    return ZSTD_isError(result) ? fail_zstd(result, err) : SX_OK;
}

static sx_status zstd_encode_run(void *state, codec_cursor *c, codec_step step, sx_error *err)
{
    static const ZSTD_EndDirective DIRECTIVE[] = {
        [CODEC_RUN] = ZSTD_e_continue, [CODEC_FLUSH] = ZSTD_e_flush, [CODEC_LAST] = ZSTD_e_end};
    ZSTD_inBuffer in = {c->in, c->in_len, 0};
    ZSTD_outBuffer out = {c->out, c->out_len, 0};
    size_t result = ZSTD_compressStream2(state, &out, &in, DIRECTIVE[step]);
    c->in += in.pos;
    c->in_len -= in.pos;
    c->out += out.pos;
    c->out_len -= out.pos;
    if (ZSTD_isError(result))
        return fail_zstd(result, err);
    if (c->in_len)
        return SX_AGAIN;
    return step == CODEC_RUN || result == 0 ? SX_OK : SX_AGAIN;
}

const codec_decode_ops codec_zstd_decode = {zstd_decode_open, zstd_decode_close, zstd_decode_reset,
                                            zstd_decode_next, zstd_decode_run};
const codec_encode_ops codec_zstd_encode = {zstd_encode_open, zstd_encode_close, zstd_encode_reset,
                                            zstd_encode_run};

/* --- Records: compress_record.h. */

enum { LEVEL = 1, HASH_LOG = 8, MATCH_LEAST = 6 };

void codec_records_done(codec_records *r)
{
    ZSTD_freeCCtx(r->packing);
    ZSTD_freeDCtx(r->unpacking);
    *r = (codec_records){0};
}

static sx_status make_packing(codec_records *r, sx_error *err)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    if (!z)
        return sx_fail_memory(err, "zstd's state");
    size_t result = ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, LEVEL);
    if (!ZSTD_isError(result))
        result = ZSTD_CCtx_setParameter(z, ZSTD_c_hashLog, HASH_LOG);
    if (!ZSTD_isError(result))
        result = ZSTD_CCtx_setParameter(z, ZSTD_c_minMatch, MATCH_LEAST);
    if (ZSTD_isError(result)) {
        ZSTD_freeCCtx(z);
        return fail_zstd(result, err);
    }
    r->packing = z;
    return SX_OK;
}

sx_status codec_records_pack(codec_records *r, sx_str in, sx_buf *out, sx_error *err)
{
    sx_status status = r->packing ? SX_OK : make_packing(r, err);
    if (status != SX_OK)
        return status;
    size_t room = ZSTD_compressBound(in.len);
    char *to = sx_buf_reserve(out, room);
    if (!to)
        return sx_buf_status(out, "compressed record", err);
    size_t result = ZSTD_compress2(r->packing, to, room, in.data, in.len);
    if (ZSTD_isError(result))
        return fail_zstd(result, err);
    out->len += result;
    return SX_OK;
}

sx_status codec_records_unpack(codec_records *r, sx_str in, uint64_t bytes_max, sx_buf *out,
                               sx_error *err)
{
    unsigned long long size = ZSTD_getFrameContentSize(in.data, in.len);
    if (size == ZSTD_CONTENTSIZE_ERROR)
        return sx_fail(err, SX_EFORMAT, "zstd: not a frame");
    if (size == ZSTD_CONTENTSIZE_UNKNOWN)
        return sx_decompress(SX_CODEC_ZSTD, in, bytes_max, out, err);
    if (size > bytes_max)
        return sx_fail(err, SX_ELIMIT, "zstd: a record of %llu bytes; at most %llu are read", size,
                       (unsigned long long)bytes_max);
    if (!r->unpacking)
        r->unpacking = ZSTD_createDCtx();
    if (!r->unpacking)
        return sx_fail_memory(err, "zstd's state");
    char *to = sx_buf_reserve(out, size ? size : 1);
    if (!to)
        return sx_buf_status(out, "record", err);
    size_t result = ZSTD_decompressDCtx(r->unpacking, to, size, in.data, in.len);
    if (ZSTD_isError(result))
        return fail_zstd(result, err);
    out->len += result;
    return SX_OK;
}

/* compress_zlib.c - gzip, zlib and raw deflate by zlib, and identity, which needs no library.
 *
 * The three formats differ for zlib in one number, windowBits; that number is all that their rows
 * here do not share. */
#include <zlib.h>

#include <sextant/mem.h>

#include "codec/compress_impl.h"

/* As zlib.h says of windowBits: 15 is the largest window, +16 asks for gzip, negative for raw. */
enum { WINDOW_BITS = 15, WRAP_GZIP = 16 };

/* zlib counts in unsigned int; longer input goes in pieces. */
static uInt piece(size_t len)
{
    return len > (1u << 30) ? (1u << 30) : (uInt)len;
}

static voidpf hook_alloc(voidpf opaque, uInt items, uInt size)
{
    size_t bytes;
    return __builtin_mul_overflow((size_t)items, (size_t)size, &bytes)
               ? NULL
               : codec_hook_alloc(opaque, bytes);
}

static z_stream *new_stream(sx_error *err)
{
    z_stream *z = sx_calloc(1, sizeof(*z));
    if (!z) {
        sx_fail_memory(err, "zlib's state");
        return NULL;
    }
    z->zalloc = hook_alloc;
    z->zfree = codec_hook_free;
    return z;
}

static void point_at(z_stream *z, const codec_cursor *c)
{
    z->next_in = (z_const Bytef *)c->in;
    z->avail_in = piece(c->in_len);
    z->next_out = c->out;
    z->avail_out = piece(c->out_len);
}

static void take_from(const z_stream *z, codec_cursor *c)
{
    c->in_len -= (size_t)(z->next_in - c->in);
    c->in = z->next_in;
    c->out_len -= (size_t)(z->next_out - c->out);
    c->out = z->next_out;
}

static sx_status inflate_open(int window_bits, void **state, sx_error *err)
{
    z_stream *z = new_stream(err);
    if (!z)
        return SX_ENOMEM;
    if (inflateInit2(z, window_bits) != Z_OK) {
        sx_free(z);
        return sx_fail_memory(err, "zlib's window");
    }
    *state = z;
    return SX_OK;
}

static sx_status gzip_decode_open(const sx_decoder_options *options, void **state, sx_error *err)
{
    (void)options;
    return inflate_open(WINDOW_BITS + WRAP_GZIP, state, err);
}

static sx_status zlib_decode_open(const sx_decoder_options *options, void **state, sx_error *err)
{
    (void)options;
    return inflate_open(WINDOW_BITS, state, err);
}

static sx_status deflate_decode_open(const sx_decoder_options *options, void **state, sx_error *err)
{
    (void)options;
    return inflate_open(-WINDOW_BITS, state, err);
}

static void inflate_close(void *state)
{
    inflateEnd(state);
    sx_free(state);
}

static sx_status inflate_restart(void *state, sx_error *err)
{
    (void)err;
    int result = inflateReset(state);
    sx_assert(result == Z_OK); /* it fails only for a state that was never opened */
    return SX_OK;
}

static sx_status inflate_run(void *state, codec_cursor *c, codec_step step, sx_error *err)
{
    z_stream *z = state;
    (void)step;
    for (;;) {
        point_at(z, c);
        int result = inflate(z, Z_NO_FLUSH);
        take_from(z, c);
        switch (result) {
        case Z_OK:
            if (c->in_len && c->out_len)
                continue; /* a piece is done, not all of it */
            return SX_OK;
        case Z_BUF_ERROR: /* no input, or no room: not a fault */
            return SX_OK;
        case Z_STREAM_END:
            return SX_END;
        case Z_MEM_ERROR:
            return sx_fail_memory(err, "zlib's window");
        case Z_NEED_DICT:
            return sx_fail(err, SX_EUNSUPPORTED, "needs a preset dictionary");
        default:
            return sx_fail(err, SX_EFORMAT, "%s", z->msg ? z->msg : "damaged");
        }
    }
}

static sx_status deflate_open(const sx_encoder_options *options, int wrap, bool raw, void **state,
                              sx_error *err)
{
    int bits = options->window_log ? (int)options->window_log : WINDOW_BITS;
    if (bits < 9 || bits > 15)
        return sx_fail(err, SX_EINVAL, "deflate's window_log is %d; it must be from 9 to 15", bits);
    z_stream *z = new_stream(err);
    if (!z)
        return SX_ENOMEM;
    if (deflateInit2(z, options->level, Z_DEFLATED, raw ? -bits : bits + wrap, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        sx_free(z);
        return sx_fail_memory(err, "zlib's state");
    }
    *state = z;
    return SX_OK;
}

static sx_status gzip_encode_open(const sx_encoder_options *options, void **state, sx_error *err)
{
    return deflate_open(options, WRAP_GZIP, false, state, err);
}

static sx_status zlib_encode_open(const sx_encoder_options *options, void **state, sx_error *err)
{
    return deflate_open(options, 0, false, state, err);
}

static sx_status deflate_encode_open(const sx_encoder_options *options, void **state, sx_error *err)
{
    return deflate_open(options, 0, true, state, err);
}

static void deflate_close(void *state)
{
    deflateEnd(state);
    sx_free(state);
}

static sx_status deflate_restart(void *state, sx_error *err)
{
    (void)err;
    int result = deflateReset(state);
    sx_assert(result == Z_OK);
    return SX_OK;
}

static sx_status deflate_run(void *state, codec_cursor *c, codec_step step, sx_error *err)
{
    static const int FLUSH[] = {
        [CODEC_RUN] = Z_NO_FLUSH, [CODEC_FLUSH] = Z_SYNC_FLUSH, [CODEC_LAST] = Z_FINISH};
    z_stream *z = state;
    (void)err;
    for (;;) {
        point_at(z, c);
        /* A piece before the last is only run; flush and finish see what is left after it. */
        int result = deflate(z, z->avail_in == c->in_len ? FLUSH[step] : Z_NO_FLUSH);
        take_from(z, c);
        sx_assert(result != Z_STREAM_ERROR);
        if (result == Z_STREAM_END)
            return SX_OK;
        if (c->out_len == 0 || step == CODEC_LAST)
            return SX_AGAIN;
        if (c->in_len == 0)
            return SX_OK;
    }
}

const codec_decode_ops codec_gzip_decode = {gzip_decode_open, inflate_close, inflate_restart,
                                            inflate_restart, inflate_run};
const codec_decode_ops codec_zlib_decode = {zlib_decode_open, inflate_close, inflate_restart, NULL,
                                            inflate_run};
const codec_decode_ops codec_deflate_decode = {deflate_decode_open, inflate_close, inflate_restart,
                                               NULL, inflate_run};
const codec_encode_ops codec_gzip_encode = {gzip_encode_open, deflate_close, deflate_restart,
                                            deflate_run};
const codec_encode_ops codec_zlib_encode = {zlib_encode_open, deflate_close, deflate_restart,
                                            deflate_run};
const codec_encode_ops codec_deflate_encode = {deflate_encode_open, deflate_close, deflate_restart,
                                               deflate_run};

/* ---- Identity ---- */

static sx_status identity_open(void **state)
{
    *state = NULL;
    return SX_OK;
}

static sx_status identity_decode_open(const sx_decoder_options *options, void **state,
                                      sx_error *err)
{
    (void)options, (void)err;
    return identity_open(state);
}

static sx_status identity_encode_open(const sx_encoder_options *options, void **state,
                                      sx_error *err)
{
    (void)options, (void)err;
    return identity_open(state);
}

static void identity_close(void *state)
{
    (void)state;
}

static sx_status identity_restart(void *state, sx_error *err)
{
    (void)state, (void)err;
    return SX_OK;
}

/* Every byte could be the last one: each run ends a member, and another may follow. */
static sx_status identity_decode_run(void *state, codec_cursor *c, codec_step step, sx_error *err)
{
    (void)state, (void)step, (void)err;
    codec_give(c, &c->in, &c->in_len);
    return SX_END;
}

static sx_status identity_encode_run(void *state, codec_cursor *c, codec_step step, sx_error *err)
{
    (void)state, (void)step, (void)err;
    codec_give(c, &c->in, &c->in_len);
    return c->in_len ? SX_AGAIN : SX_OK;
}

const codec_decode_ops codec_identity_decode = {
    identity_decode_open, identity_close, identity_restart, identity_restart, identity_decode_run};
const codec_encode_ops codec_identity_encode = {identity_encode_open, identity_close,
                                                identity_restart, identity_encode_run};

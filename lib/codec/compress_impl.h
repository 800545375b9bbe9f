/* compress_impl.h - what a codec gives to the common streaming code in compress.c.
 *
 * A codec sees a cursor: input bytes and a window of output. Limits, back-pressure, concatenated
 * members and messages are the common code's business. */
#ifndef SEXTANT_CODEC_COMPRESS_IMPL_H
#define SEXTANT_CODEC_COMPRESS_IMPL_H

#include <sextant/compress.h>

/* Advanced by the codec past what it took and wrote. */
typedef struct codec_cursor {
    const uint8_t *in;
    size_t in_len;
    uint8_t *out;
    size_t out_len; /* never 0 when a codec is called */
} codec_cursor;

typedef enum codec_step {
    CODEC_RUN,   /* more may follow */
    CODEC_FLUSH, /* encoders only */
    CODEC_LAST   /* there is no more input */
} codec_step;

typedef struct codec_decode_ops {
    /* A state in *state, freed by close. options are complete: no zeros that mean a default. */
    sx_status (*open)(const sx_decoder_options *options, void **state, sx_error *err);
    void (*close)(void *state);
    sx_status (*reset)(void *state, sx_error *err);
    /* Readies the state for a member that follows another; NULL: nothing may follow. */
    sx_status (*next)(void *state, sx_error *err);
    /* SX_OK: wants more input, or more room; SX_END: the member ends here; or an error. */
    sx_status (*run)(void *state, codec_cursor *c, codec_step step, sx_error *err);
} codec_decode_ops;

typedef struct codec_encode_ops {
    sx_status (*open)(const sx_encoder_options *options, void **state, sx_error *err);
    void (*close)(void *state);
    sx_status (*reset)(void *state, sx_error *err);
    /* SX_OK: the step is done and all input taken; SX_AGAIN: wants more room; or an error. */
    sx_status (*run)(void *state, codec_cursor *c, codec_step step, sx_error *err);
} codec_encode_ops;

extern const codec_decode_ops codec_identity_decode, codec_gzip_decode, codec_zlib_decode,
    codec_deflate_decode, codec_zstd_decode, codec_brotli_decode, codec_snappy_decode,
    codec_snappy_framed_decode, codec_bzip2_decode;
extern const codec_encode_ops codec_identity_encode, codec_gzip_encode, codec_zlib_encode,
    codec_deflate_encode, codec_zstd_encode, codec_brotli_encode, codec_snappy_encode,
    codec_snappy_framed_encode, codec_bzip2_encode;

/* Moves as many bytes from (*from)[0..*from_len) to the cursor's window as fit. */
void codec_give(codec_cursor *c, const uint8_t **from, size_t *from_len);

/* A snappy block at once, without a copy between: sx_decompress's short way for remote write. */
sx_status codec_snappy_decode_whole(sx_str in, uint64_t output_bytes_max, sx_buf *out,
                                    sx_error *err);
sx_status codec_snappy_encode_whole(sx_str in, sx_buf *out, sx_error *err);

/* malloc-shaped hooks for libraries that take them (zlib, brotli, bzip2). */
void *codec_hook_alloc(void *opaque, size_t bytes);
void codec_hook_free(void *opaque, void *ptr);

#endif

/* compress.c - the table of codecs and the streaming that all of them share.
 *
 * A decoder repeats one step: it offers the codec a window of the output buffer, no larger than the
 * caller's room and one byte beyond the limit. That one byte tells "exactly at the limit" from "over
 * it" without knowing how the codec buffers: if it is ever written, the stream is a bomb. */
#include <sextant/compress.h>

#include <sextant/mem.h>

#include "codec/compress_impl.h"

typedef struct codec_row {
    const char *name;
    sx_str coding, alias; /* of HTTP */
    int level_least, level_default, level_most;
    bool empty_is_whole; /* no bytes at all are a stream */
    const codec_decode_ops *decode;
    const codec_encode_ops *encode;
} codec_row;

static const codec_row CODECS[SX_CODECS] = {
    [SX_CODEC_IDENTITY] = {"identity",
                           SX_STR_INIT("identity"),
                           {0},
                           0,
                           0,
                           0,
                           true,
                           &codec_identity_decode,
                           &codec_identity_encode},
    [SX_CODEC_GZIP] = {"gzip", SX_STR_INIT("gzip"), SX_STR_INIT("x-gzip"), 1, 6, 9, false,
                       &codec_gzip_decode, &codec_gzip_encode},
    [SX_CODEC_ZLIB] = {"zlib",
                       SX_STR_INIT("deflate"),
                       {0},
                       1,
                       6,
                       9,
                       false,
                       &codec_zlib_decode,
                       &codec_zlib_encode},
    [SX_CODEC_DEFLATE] =
        {"raw deflate", {0}, {0}, 1, 6, 9, false, &codec_deflate_decode, &codec_deflate_encode},
    [SX_CODEC_ZSTD] =
        {"zstd", SX_STR_INIT("zstd"), {0}, 1, 3, 19, false, &codec_zstd_decode, &codec_zstd_encode},
    [SX_CODEC_BROTLI] = {"brotli",
                         SX_STR_INIT("br"),
                         {0},
                         1,
                         5,
                         11,
                         false,
                         &codec_brotli_decode,
                         &codec_brotli_encode},
    [SX_CODEC_SNAPPY] = {"snappy",
                         SX_STR_INIT("snappy"),
                         {0},
                         0,
                         0,
                         0,
                         false,
                         &codec_snappy_decode,
                         &codec_snappy_encode},
    [SX_CODEC_SNAPPY_FRAMED] = {"framed snappy",
                                SX_STR_INIT("x-snappy-framed"),
                                {0},
                                0,
                                0,
                                0,
                                false,
                                &codec_snappy_framed_decode,
                                &codec_snappy_framed_encode},
    [SX_CODEC_BZIP2] = {"bzip2", SX_STR_INIT("bzip2"), SX_STR_INIT("x-bzip2"), 1, 9, 9, false,
                        &codec_bzip2_decode, &codec_bzip2_encode},
};

/* How much output room is asked for at a time: enough that a call into a codec costs little. */
enum { WINDOW_LEAST = 512, WINDOW_MOST = 64 << 10 };

static const codec_row *row_of(sx_codec codec)
{
    sx_assert((unsigned)codec < SX_CODECS);
    return &CODECS[codec];
}

const char *sx_codec_name(sx_codec codec)
{
    return row_of(codec)->name;
}

sx_str sx_codec_coding(sx_codec codec)
{
    return row_of(codec)->coding;
}

bool sx_codec_of_coding(sx_str coding, sx_codec *codec)
{
    for (int i = 0; coding.len && i < SX_CODECS; i++) {
        if (sx_str_ieq(coding, CODECS[i].coding) || sx_str_ieq(coding, CODECS[i].alias)) {
            *codec = (sx_codec)i;
            return true;
        }
    }
    return false;
}

void sx_codec_levels(sx_codec codec, int *least, int *most)
{
    *least = row_of(codec)->level_least;
    *most = row_of(codec)->level_most;
}

sx_codec sx_codec_detect(sx_str head)
{
    const uint8_t *h = (const uint8_t *)head.data;
    if (head.len >= 3 && h[0] == 0x1f && h[1] == 0x8b && h[2] == 8)
        return SX_CODEC_GZIP;
    if (sx_str_starts(head, SX_STR("\x28\xb5\x2f\xfd")))
        return SX_CODEC_ZSTD;
    /* A zstd stream may open with a skippable frame: 0x184D2A50 to 5F (RFC 8878 section 3.1.2). */
    if (head.len >= 4 && (h[0] & 0xf0) == 0x50 && h[1] == 0x2a && h[2] == 0x4d && h[3] == 0x18)
        return SX_CODEC_ZSTD;
    if (sx_str_starts(head, SX_STR("\xff\x06\x00\x00sNaPpY")))
        return SX_CODEC_SNAPPY_FRAMED;
    /* "BZh9" alone could be text; the first block's or the stream end's magic number cannot. */
    if (head.len >= 10 && sx_str_starts(head, SX_STR("BZh")) && h[3] >= '1' && h[3] <= '9' &&
        (memcmp(h + 4, "\x31\x41\x59\x26\x53\x59", 6) == 0 ||
         memcmp(h + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0))
        return SX_CODEC_BZIP2;
    return SX_CODEC_IDENTITY;
}

void codec_give(codec_cursor *c, const uint8_t **from, size_t *from_len)
{
    size_t n = *from_len < c->out_len ? *from_len : c->out_len;
    if (n == 0)
        return;
    memcpy(c->out, *from, n);
    *from += n;
    *from_len -= n;
    c->out += n;
    c->out_len -= n;
}

void *codec_hook_alloc(void *opaque, size_t bytes)
{
    (void)opaque;
    return sx_alloc(bytes);
}

void codec_hook_free(void *opaque, void *ptr)
{
    (void)opaque;
    sx_free(ptr);
}

/* Room of at least one byte at the end of `out`, at most `most`; *len is how much. NULL: failed. */
static uint8_t *open_window(sx_buf *out, size_t input, uint64_t most, size_t *len)
{
    size_t want = input < WINDOW_MOST / 4 ? input * 4 : WINDOW_MOST;
    if (want < WINDOW_LEAST)
        want = WINDOW_LEAST;
    if (!out->failed && out->cap - out->len > want)
        want = out->cap - out->len;
    if (out->len_max && want > out->len_max - out->len)
        want =
            out->len_max > out->len ? out->len_max - out->len : 1; /* 1: fails below, as it must */
    if (want > most)
        want = (size_t)most;
    *len = want;
    return (uint8_t *)sx_buf_reserve(out, want);
}

/* ---- Decoder ---- */

struct sx_decoder {
    const codec_row *row;
    void *state;
    sx_decoder_options options; /* complete */
    uint64_t in_bytes, out_bytes;
    bool between;     /* a member has ended and no byte of another was seen */
    sx_status failed; /* the error that ended it; SX_OK if none has */
};

sx_decoder *sx_decoder_new(sx_codec codec, const sx_decoder_options *options, sx_error *err)
{
    const codec_row *row = row_of(codec);
    sx_decoder_options full = options ? *options : (sx_decoder_options){0};
    if (full.output_bytes_max == 0)
        full.output_bytes_max = SX_DECODER_OUTPUT_BYTES_MAX;
    if (full.window_log_max == 0)
        full.window_log_max = SX_DECODER_WINDOW_LOG_MAX;
    if (full.window_log_max < 10 || full.window_log_max > 31) {
        sx_fail(err, SX_EINVAL, "window_log_max is %u; it must be from 10 to 31",
                full.window_log_max);
        return NULL;
    }
    sx_decoder *d = sx_calloc(1, sizeof(*d));
    if (!d) {
        sx_fail_memory(err, "a decoder");
        return NULL;
    }
    d->row = row;
    d->options = full;
    d->between = row->empty_is_whole;
    if (row->decode->open(&full, &d->state, err) != SX_OK) {
        sx_free(d);
        return NULL;
    }
    return d;
}

void sx_decoder_free(sx_decoder *d)
{
    if (!d)
        return;
    d->row->decode->close(d->state);
    sx_free(d);
}

sx_status sx_decoder_reset(sx_decoder *d, sx_error *err)
{
    d->in_bytes = d->out_bytes = 0;
    d->between = d->row->empty_is_whole;
    d->failed = d->row->decode->reset(d->state, err);
    return d->failed;
}

uint64_t sx_decoder_in_bytes(const sx_decoder *d)
{
    return d->in_bytes;
}

uint64_t sx_decoder_out_bytes(const sx_decoder *d)
{
    return d->out_bytes;
}

/* Adds the codec and the place, and makes the error final. */
static SX_COLD sx_status fail_decoder(sx_decoder *d, sx_status status, sx_error *err)
{
    d->failed = status;
    sx_error_prefix(err, status, "%s data, byte %llu", d->row->name,
                    (unsigned long long)d->in_bytes);
    return status;
}

static SX_COLD sx_status fail_limit(sx_decoder *d, sx_buf *out, sx_error *err)
{
    out->len -= (size_t)(d->out_bytes - d->options.output_bytes_max);
    d->out_bytes = d->options.output_bytes_max;
    return fail_decoder(d,
                        sx_fail(err, SX_ELIMIT, "decompresses to more than the limit of %llu bytes",
                                (unsigned long long)d->options.output_bytes_max),
                        err);
}

/* Begins the member that the next byte opens, if the format has such. */
static sx_status next_member(sx_decoder *d, sx_error *err)
{
    d->between = false;
    if (d->in_bytes == 0)
        return SX_OK;
    if (!d->row->decode->next)
        return fail_decoder(
            d, sx_fail(err, SX_EFORMAT, "bytes follow the end of the compressed data"), err);
    sx_status status = d->row->decode->next(d->state, err);
    return status == SX_OK ? SX_OK : fail_decoder(d, status, err);
}

/* One window's worth. Returns SX_OK (all taken, all given), SX_AGAIN (there may be more), SX_END (a
 * member has ended), or an error. *room falls by what was given. */
static sx_status decode_window(sx_decoder *d, sx_str *in, sx_buf *out, size_t *room,
                               codec_step step, sx_error *err)
{
    uint64_t most = d->options.output_bytes_max - d->out_bytes;
    most = most == UINT64_MAX ? most : most + 1;
    if (*room < most)
        most = *room;
    size_t window;
    uint8_t *at = open_window(out, in->len, most, &window);
    if (!at)
        return fail_decoder(d, sx_buf_status(out, "decompressed data", err), err);

    codec_cursor c = {(const uint8_t *)in->data, in->len, at, window};
    sx_status status = d->row->decode->run(d->state, &c, step, err);
    size_t taken = in->len - c.in_len, given = window - c.out_len;
    *in = sx_str_of(c.in, c.in_len);
    out->len += given;
    *room -= given;
    d->in_bytes += taken;
    d->out_bytes += given;
    if (d->out_bytes > d->options.output_bytes_max)
        return fail_limit(d, out, err);
    if (status == SX_OK) {
        if (c.out_len == 0)
            return SX_AGAIN;
        if (c.in_len == 0)
            return SX_OK;
        if (taken || given)
            return SX_AGAIN;
        status = sx_fail(err, SX_EFORMAT, "the data makes no progress");
    }
    return status == SX_END ? SX_END : fail_decoder(d, status, err);
}

static sx_status fail_again(const sx_decoder *d, sx_error *err)
{
    return sx_fail(err, d->failed, "%s data: the decoder has failed before; reset it first",
                   d->row->name);
}

sx_status sx_decoder_feed(sx_decoder *d, sx_str *in, sx_buf *out, size_t room, sx_error *err)
{
    if (sx_unlikely(d->failed != SX_OK))
        return fail_again(d, err);
    size_t left = room ? room : SIZE_MAX;
    if (!in->data)
        *in = sx_str_of("", 0);
    for (;;) {
        if (d->between) {
            if (in->len == 0)
                return SX_OK;
            sx_status status = next_member(d, err);
            if (status != SX_OK)
                return status;
        }
        if (left == 0)
            return SX_AGAIN;
        sx_status status = decode_window(d, in, out, &left, CODEC_RUN, err);
        if (status == SX_END)
            d->between = true;
        else if (status != SX_AGAIN)
            return status;
    }
}

sx_status sx_decoder_finish(sx_decoder *d, sx_buf *out, size_t room, sx_error *err)
{
    if (sx_unlikely(d->failed != SX_OK))
        return fail_again(d, err);
    size_t left = room ? room : SIZE_MAX;
    sx_str none = {"", 0};
    while (!d->between) {
        if (left == 0)
            return SX_AGAIN;
        sx_status status = decode_window(d, &none, out, &left, CODEC_LAST, err);
        if (status == SX_END)
            d->between = true;
        else if (status == SX_OK)
            return fail_decoder(d, sx_fail(err, SX_EFORMAT, "cut short: the end is missing"), err);
        else if (status != SX_AGAIN)
            return status;
    }
    return SX_OK;
}

sx_status sx_decompress(sx_codec codec, sx_str in, uint64_t output_bytes_max, sx_buf *out,
                        sx_error *err)
{
    sx_decoder_options options = {.output_bytes_max = output_bytes_max};
    if (codec == SX_CODEC_SNAPPY)
        return codec_snappy_decode_whole(
            in, output_bytes_max ? output_bytes_max : SX_DECODER_OUTPUT_BYTES_MAX, out, err);
    sx_decoder *d = sx_decoder_new(codec, &options, err);
    if (!d)
        return err ? err->status : SX_ENOMEM;
    sx_status status = sx_decoder_feed(d, &in, out, 0, err);
    if (status == SX_OK)
        status = sx_decoder_finish(d, out, 0, err);
    sx_decoder_free(d);
    return status;
}

/* ---- Encoder ---- */

struct sx_encoder {
    const codec_row *row;
    void *state;
    bool finished;
    sx_status failed;
};

sx_encoder *sx_encoder_new(sx_codec codec, const sx_encoder_options *options, sx_error *err)
{
    const codec_row *row = row_of(codec);
    sx_encoder_options full = options ? *options : (sx_encoder_options){0};
    if (full.level == SX_LEVEL_DEFAULT || row->level_most == 0)
        full.level = row->level_default;
    if (full.level < row->level_least || full.level > row->level_most) {
        sx_fail(err, SX_EINVAL, "%s has no compression level %d; use %d to %d", row->name,
                full.level, row->level_least, row->level_most);
        return NULL;
    }
    sx_encoder *e = sx_calloc(1, sizeof(*e));
    if (!e) {
        sx_fail_memory(err, "an encoder");
        return NULL;
    }
    e->row = row;
    if (row->encode->open(&full, &e->state, err) != SX_OK) {
        sx_free(e);
        return NULL;
    }
    return e;
}

void sx_encoder_free(sx_encoder *e)
{
    if (!e)
        return;
    e->row->encode->close(e->state);
    sx_free(e);
}

sx_status sx_encoder_reset(sx_encoder *e, sx_error *err)
{
    e->finished = false;
    e->failed = e->row->encode->reset(e->state, err);
    return e->failed;
}

static sx_status encode(sx_encoder *e, sx_str in, codec_step step, sx_buf *out, sx_error *err)
{
    sx_assert(!e->finished);
    if (e->failed != SX_OK)
        return sx_fail(err, e->failed, "%s encoder has failed before; reset it first",
                       e->row->name);
    if (!in.data)
        in = sx_str_of("", 0);
    sx_status status;
    do {
        size_t window;
        uint8_t *at = open_window(out, in.len, SIZE_MAX, &window);
        if (!at) {
            status = sx_buf_status(out, "compressed data", err);
            break;
        }
        codec_cursor c = {(const uint8_t *)in.data, in.len, at, window};
        status = e->row->encode->run(e->state, &c, step, err);
        out->len += window - c.out_len;
        in = sx_str_of(c.in, c.in_len);
    } while (status == SX_AGAIN);
    e->failed = status;
    return status;
}

sx_status sx_encoder_feed(sx_encoder *e, sx_str in, sx_buf *out, sx_error *err)
{
    return in.len ? encode(e, in, CODEC_RUN, out, err) : e->failed;
}

sx_status sx_encoder_flush(sx_encoder *e, sx_buf *out, sx_error *err)
{
    return encode(e, sx_str_of("", 0), CODEC_FLUSH, out, err);
}

sx_status sx_encoder_finish(sx_encoder *e, sx_buf *out, sx_error *err)
{
    sx_status status = encode(e, sx_str_of("", 0), CODEC_LAST, out, err);
    e->finished = true;
    return status;
}

sx_status sx_compress(sx_codec codec, sx_str in, int level, sx_buf *out, sx_error *err)
{
    sx_encoder_options options = {.level = level};
    if (codec == SX_CODEC_SNAPPY)
        return codec_snappy_encode_whole(in, out, err);
    sx_encoder *e = sx_encoder_new(codec, &options, err);
    if (!e)
        return err ? err->status : SX_ENOMEM;
    /* All in one step, so that zstd learns the size and writes it into the frame's header. */
    sx_status status = encode(e, in, CODEC_LAST, out, err);
    sx_encoder_free(e);
    return status;
}

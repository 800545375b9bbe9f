/* compress.h - compression and decompression of streams and of whole buffers.
 *
 * One interface over gzip, zlib, raw deflate, zstd, brotli, snappy (block and framed) and bzip2; one
 * table (lib/codec/compress.c) knows their names, levels and functions. Input is fed as views,
 * output is appended to an sx_buf. What comes from outside is decoded under two limits: the
 * decompressed size, against bombs, and the window, against memory. An encoder or a decoder belongs
 * to one thread at a time; after _reset() it serves the next stream without allocating again where
 * its library allows that (gzip, zlib, deflate, zstd, snappy).
 *
 *     sx_decoder *d = sx_decoder_new(SX_CODEC_GZIP, &(sx_decoder_options){.output_bytes_max = n},
 *                                    &err);
 *     while (more input)
 *         do
 *             status = sx_decoder_feed(d, &input, &out, 65536, &err);   then use up and clear `out`
 *         while (status == SX_AGAIN);
 *     do
 *         status = sx_decoder_finish(d, &out, 65536, &err);             the same
 *     while (status == SX_AGAIN);
 *     sx_decoder_free(d); */
#ifndef SEXTANT_COMPRESS_H
#define SEXTANT_COMPRESS_H

#include <sextant/buf.h>
#include <sextant/error.h>
#include <sextant/str.h>

SX_BEGIN_DECLS

typedef enum sx_codec {
    SX_CODEC_IDENTITY,      /* bytes as they are */
    SX_CODEC_GZIP,          /* RFC 1952, one member or several */
    SX_CODEC_ZLIB,          /* RFC 1950; HTTP calls it "deflate" (RFC 9110 section 8.4.1.2) */
    SX_CODEC_DEFLATE,       /* RFC 1951 without a wrapper */
    SX_CODEC_ZSTD,          /* RFC 8878, one frame or several, skippable frames too */
    SX_CODEC_BROTLI,        /* RFC 7932, without the "large window" extension */
    SX_CODEC_SNAPPY,        /* snappy block format: what Prometheus's remote write sends */
    SX_CODEC_SNAPPY_FRAMED, /* snappy framing format with masked CRC32C */
    SX_CODEC_BZIP2,         /* one stream or several */
    SX_CODECS
} sx_codec;

enum { SX_LEVEL_DEFAULT = 0 };

/* For output_bytes_max: any size. Only for input that the operator chose, such as a file to import. */
#define SX_OUTPUT_UNLIMITED UINT64_MAX

/* ---- What there is ---- */

/* "gzip", "zlib", "bzip2" ...: for messages and options. Static. */
const char *sx_codec_name(sx_codec codec);

/* The HTTP content-coding ("gzip", "deflate" for ZLIB, "br", "zstd", "snappy", "identity" ...). Empty
 * for a codec that HTTP has no name for. Static. Source: the IANA content-coding registry; "snappy"
 * is from the Prometheus remote-write specification. */
sx_str sx_codec_coding(sx_codec codec);

/* The codec of a content-coding, in any case, "x-gzip" included; false if none of ours. */
bool sx_codec_of_coding(sx_str coding, sx_codec *codec) SX_MUST_USE;

/* How many bytes sx_codec_detect() wants to see to be sure. */
enum { SX_CODEC_DETECT_BYTES = 10 };

/* What `head`, the first bytes of a file, begins: GZIP, ZSTD, BZIP2 or SNAPPY_FRAMED by their magic
 * numbers, else IDENTITY. The others have no magic number that text could not begin with. */
sx_codec sx_codec_detect(sx_str head);

/* Chooses the coding of a response from an Accept-Encoding field (RFC 9110 section 12.5.3).
 *   accept   the field's value, several fields joined by commas; data NULL if the request had none,
 *            which chooses IDENTITY. Members that break the grammar count as absent.
 *   offered  codecs that the server would use, best first; IDENTITY need not be among them
 *   chosen   the offered codec of the highest q-value, the earlier one of equals. A coding beats
 *            identity unless the client names identity with a higher q-value.
 * Returns SX_OK, or SX_ENOTFOUND when the client refuses everything, identity included: the caller
 * answers 415 or 406, or sends identity all the same, as the RFC allows. */
sx_status sx_codec_negotiate(sx_str accept, const sx_codec *offered, size_t count,
                             sx_codec *chosen);

/* ---- Decompression ---- */

typedef struct sx_decoder sx_decoder;

typedef struct sx_decoder_options {
    uint64_t output_bytes_max; /* of the whole stream; 0: SX_DECODER_OUTPUT_BYTES_MAX */
    unsigned window_log_max;   /* zstd: log2 of the largest window, 10 to 31; 0: 23, the 8 MiB of
                                * RFC 9659. The others have fixed windows of 16 MiB at most */
} sx_decoder_options;

enum { SX_DECODER_OUTPUT_BYTES_MAX = 64 << 20, SX_DECODER_WINDOW_LOG_MAX = 23 };

/* A decoder; `options` may be NULL for the defaults. NULL on failure, err SX_ENOMEM or SX_EINVAL. */
sx_decoder *sx_decoder_new(sx_codec codec, const sx_decoder_options *options,
                           sx_error *err) SX_MUST_USE;

/* Frees it; NULL is allowed. */
void sx_decoder_free(sx_decoder *d);

/* Makes it ready for a new stream of the same codec and options. Errors: SX_ENOMEM. */
sx_status sx_decoder_reset(sx_decoder *d, sx_error *err);

/* Decodes from *in, which moves past what was taken, and appends to `out`.
 *   room    at most so many bytes are appended (0: any number)
 * Returns
 *   SX_OK      all of *in was taken: feed more, or finish
 *   SX_AGAIN   `room` is used up: call again, with what is left of *in (it may be empty)
 *   SX_EFORMAT the input is damaged, or bytes follow its end
 *   SX_ELIMIT  output_bytes_max was reached; exactly so many bytes were given out
 *   SX_ENOMEM
 * An error is final: only reset and free may follow. Messages name the codec and the input's byte. */
sx_status sx_decoder_feed(sx_decoder *d, sx_str *in, sx_buf *out, size_t room, sx_error *err);

/* Says that the input has ended. SX_OK when the stream was whole; SX_AGAIN as above (a snappy block
 * gives all its output here); SX_EFORMAT when it was cut short. */
sx_status sx_decoder_finish(sx_decoder *d, sx_buf *out, size_t room, sx_error *err);

/* Bytes taken and given since new or reset. */
uint64_t sx_decoder_in_bytes(const sx_decoder *d);
uint64_t sx_decoder_out_bytes(const sx_decoder *d);

/* Decodes the whole of `in`, appending to `out`. output_bytes_max as in the options. */
sx_status sx_decompress(sx_codec codec, sx_str in, uint64_t output_bytes_max, sx_buf *out,
                        sx_error *err);

/* ---- Compression ---- */

typedef struct sx_encoder sx_encoder;

typedef struct sx_encoder_options {
    int level;           /* the codec's own scale; SX_LEVEL_DEFAULT: a service's middle way (gzip 6,
                          * zstd 3, brotli 5, bzip2 9). Outside the scale is SX_EINVAL; snappy has none */
    unsigned window_log; /* log2 of the window: brotli 10 to 24, zstd 10 to 27, deflate 9 to 15;
                          * 0: brotli 19, deflate 15, zstd by its level */
} sx_encoder_options;

/* Smallest and largest level of `codec`; both 0 if it has none. */
void sx_codec_levels(sx_codec codec, int *least, int *most);

/* An encoder; `options` may be NULL. NULL on failure, err SX_ENOMEM or SX_EINVAL. */
sx_encoder *sx_encoder_new(sx_codec codec, const sx_encoder_options *options,
                           sx_error *err) SX_MUST_USE;

/* Frees it; NULL is allowed. */
void sx_encoder_free(sx_encoder *e);

/* Makes it ready for a new stream. Errors: SX_ENOMEM. */
sx_status sx_encoder_reset(sx_encoder *e, sx_error *err);

/* Takes all of `in` and appends to `out` what has come of it so far, perhaps nothing. Errors:
 * SX_ENOMEM, or SX_ELIMIT if `out` has a limit; they are final until a reset. */
sx_status sx_encoder_feed(sx_encoder *e, sx_str in, sx_buf *out, sx_error *err);

/* Appends what makes everything fed so far readable at the other end: for streams that pause (SSE,
 * log tails). Costs ratio. Does nothing for a snappy block and for bzip2, whose formats
 * have no such point. */
sx_status sx_encoder_flush(sx_encoder *e, sx_buf *out, sx_error *err);

/* Appends the rest and the end of the stream. Only reset and free may follow. */
sx_status sx_encoder_finish(sx_encoder *e, sx_buf *out, sx_error *err);

/* Encodes the whole of `in` at `level` (SX_LEVEL_DEFAULT is allowed), appending to `out`. */
sx_status sx_compress(sx_codec codec, sx_str in, int level, sx_buf *out, sx_error *err);

/* ---- Files that may be compressed ---- */

typedef struct sx_packed_file sx_packed_file;

typedef struct sx_packed_file_options {
    uint64_t output_bytes_max; /* 0: SX_OUTPUT_UNLIMITED, as the operator chose the file */
    size_t chunk_bytes;        /* the most that one read gives; 0: 256 KiB */
    unsigned window_log_max; /* as the decoder's; 0: 27, what the zstd tool writes without --long */
} sx_packed_file_options;

/* Opens `path` (NUL-terminated; "-" is standard input) for reading from start to end, decompressed; what it is compressed
 * with is told by its content, not by its name (sx_codec_detect). `options` may be NULL.
 * NULL on failure: SX_ENOTFOUND, SX_EACCESS, SX_EIO, SX_ENOMEM. May block on the disk. */
sx_packed_file *sx_packed_file_open(const char *path, const sx_packed_file_options *options,
                                    sx_error *err) SX_MUST_USE;

/* Closes and frees it; NULL is allowed. */
void sx_packed_file_close(sx_packed_file *f);

/* The next piece: SX_OK with at least one byte in *chunk, which stays until the next call; SX_END
 * after the last. Errors begin with the path and are final. */
sx_status sx_packed_file_read(sx_packed_file *f, sx_str *chunk, sx_error *err);

/* What the file is compressed with. */
sx_codec sx_packed_file_codec(const sx_packed_file *f);

/* For progress bars: bytes of the file taken so far, and its size (0 if unknown, as of a pipe). */
uint64_t sx_packed_file_taken(const sx_packed_file *f);
uint64_t sx_packed_file_size(const sx_packed_file *f);

SX_END_DECLS

#endif

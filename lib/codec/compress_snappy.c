/* compress_snappy.c - snappy by libsnappy: the bare block, and the framing format around blocks.
 *
 * A block says its decompressed length first and its end not at all, so a streamed block is collected
 * whole and decoded at its end. A framed stream is chunks: a type, a 24-bit little-endian length, then
 * for data a masked CRC32C of the decompressed bytes and at most 65,536 of them, compressed or not.
 * Source: google/snappy, format_description.txt and framing_format.txt. */
#include <snappy-c.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "codec/compress_impl.h"

enum {
    CHUNK_DATA_MAX = 65536, /* decompressed bytes of a chunk, section 4.2 */
    /* What a block of that many bytes can take in the worst case: as snappy_max_compressed_length
     * says, 32 + n + n/6; with the checksum. Longer chunks are refused before they are collected. */
    CHUNK_BODY_MAX = 4 + 32 + CHUNK_DATA_MAX + CHUNK_DATA_MAX / 6,

    CHUNK_COMPRESSED = 0x00,
    CHUNK_PLAIN = 0x01,
    CHUNK_UNSKIPPABLE_LAST = 0x7f, /* 0x02 to here must be refused, from 0x80 on skipped */
    CHUNK_IDENTIFIER = 0xff,
};

static const char IDENTIFIER[] = "\xff\x06\x00\x00sNaPpY";

enum { IDENTIFIER_BYTES = sizeof(IDENTIFIER) - 1, HEADER_BYTES = 4, CHECKSUM_BYTES = 4 };

static uint32_t masked_crc(const void *data, size_t len)
{
    uint32_t crc = sx_crc32c(0, data, len);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

static uint32_t read_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* ---- The block ---- */

/* The decompressed length that a block's header promises, held against the limit. */
static sx_status block_length(sx_str in, uint64_t limit, size_t *len, sx_error *err)
{
    if (snappy_uncompressed_length(in.data, in.len, len) != SNAPPY_OK)
        return sx_fail(err, SX_EFORMAT, "the length at the start of the block is damaged");
    if (*len > limit)
        return sx_fail(err, SX_ELIMIT, "decompresses to %zu bytes, more than the limit of %llu",
                       *len, (unsigned long long)limit);
    return SX_OK;
}

sx_status codec_snappy_decode_whole(sx_str in, uint64_t output_bytes_max, sx_buf *out,
                                    sx_error *err)
{
    size_t len;
    sx_status status = block_length(in, output_bytes_max, &len, err);
    /* A copy element makes at most 64 bytes of 2: a header that promises more than that of what
     * follows is damaged, and nothing need be allocated for it. */
    if (status == SX_OK && len / 32 > in.len)
        status = sx_fail(err, SX_EFORMAT, "the block is cut short");
    char *at = status == SX_OK ? sx_buf_reserve(out, len ? len : 1) : NULL;
    if (status == SX_OK && !at)
        status = sx_buf_status(out, "decompressed data", err);
    if (status == SX_OK && snappy_uncompress(in.data, in.len, at, &len) != SNAPPY_OK)
        status = sx_fail(err, SX_EFORMAT, "the block is damaged or cut short");
    if (status != SX_OK) {
        sx_error_prefix(err, status, "snappy data");
        return status;
    }
    out->len += len;
    return SX_OK;
}

sx_status codec_snappy_encode_whole(sx_str in, sx_buf *out, sx_error *err)
{
    if (in.len > UINT32_MAX)
        return sx_fail(err, SX_ELIMIT, "a snappy block holds at most 4 GiB, not %zu bytes", in.len);
    size_t len = snappy_max_compressed_length(in.len);
    char *at = sx_buf_reserve(out, len);
    if (!at)
        return sx_buf_status(out, "compressed data", err);
    snappy_status result = snappy_compress(in.data ? in.data : "", in.len, at, &len);
    sx_assert(result == SNAPPY_OK); /* it fails only for want of room, and there is room */
    out->len += len;
    return SX_OK;
}

/* Both directions of the streamed block: collect, transform at the end, give out. */
typedef struct block_state {
    sx_buf in, out;
    const uint8_t *give; /* what of `out` is left */
    size_t give_len;
    bool done;      /* transformed */
    uint64_t limit; /* of the decoder */
} block_state;

static sx_status block_open(uint64_t limit, void **state, sx_error *err)
{
    block_state *s = sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "snappy's state");
    s->limit = limit;
    *state = s;
    return SX_OK;
}

static sx_status block_decode_open(const sx_decoder_options *options, void **state, sx_error *err)
{
    return block_open(options->output_bytes_max, state, err);
}

static sx_status block_encode_open(const sx_encoder_options *options, void **state, sx_error *err)
{
    (void)options;
    return block_open(0, state, err);
}

static void block_close(void *state)
{
    block_state *s = state;
    sx_buf_done(&s->in);
    sx_buf_done(&s->out);
    sx_free(s);
}

static sx_status block_reset(void *state, sx_error *err)
{
    block_state *s = state;
    (void)err;
    sx_buf_clear(&s->in);
    sx_buf_clear(&s->out);
    s->give_len = 0;
    s->done = false;
    return SX_OK;
}

static sx_status block_collect(block_state *s, codec_cursor *c, sx_error *err)
{
    sx_buf_bytes(&s->in, c->in, c->in_len);
    c->in += c->in_len;
    c->in_len = 0;
    return sx_buf_status(&s->in, "a snappy block", err);
}

/* Refuses a block while it comes in, if its header is damaged or over the limit, or if it goes on for
 * longer than its length allows (6 bytes for each: literals of one byte under the longest tag). Else a
 * stream without an end could fill the memory. */
static sx_status check_collected(block_state *s, sx_error *err)
{
    size_t header = 0, len;
    while (header < s->in.len && header < 5 && (s->in.data[header] & 0x80))
        header++;
    if (header == s->in.len)
        return SX_OK; /* the length itself has not come yet */
    sx_status status = block_length(sx_buf_view(&s->in), s->limit, &len, err);
    if (status == SX_OK && s->in.len / 6 > len + 1)
        return sx_fail(err, SX_EFORMAT, "the block is longer than its length allows");
    return status;
}

static sx_status block_decode_run(void *state, codec_cursor *c, codec_step step, sx_error *err)
{
    block_state *s = state;
    sx_status status = SX_OK;
    if (c->in_len) {
        status = block_collect(s, c, err);
        return status == SX_OK ? check_collected(s, err) : status;
    }
    if (step != CODEC_LAST)
        return SX_OK;
    if (!s->done) {
        status = codec_snappy_decode_whole(sx_buf_view(&s->in), s->limit, &s->out, err);
        if (status != SX_OK)
            return status;
        s->done = true;
        s->give = (const uint8_t *)s->out.data;
        s->give_len = s->out.len;
    }
    codec_give(c, &s->give, &s->give_len);
    return s->give_len ? SX_OK : SX_END;
}

static sx_status block_encode_run(void *state, codec_cursor *c, codec_step step, sx_error *err)
{
    block_state *s = state;
    sx_status status = block_collect(s, c, err);
    if (status != SX_OK || step != CODEC_LAST)
        return status;
    if (!s->done) {
        status = codec_snappy_encode_whole(sx_buf_view(&s->in), &s->out, err);
        if (status != SX_OK)
            return status;
        s->done = true;
        s->give = (const uint8_t *)s->out.data;
        s->give_len = s->out.len;
    }
    codec_give(c, &s->give, &s->give_len);
    return s->give_len ? SX_AGAIN : SX_OK;
}

const codec_decode_ops codec_snappy_decode = {block_decode_open, block_close, block_reset, NULL,
                                              block_decode_run};
const codec_encode_ops codec_snappy_encode = {block_encode_open, block_close, block_reset,
                                              block_encode_run};

/* ---- The framing format ---- */

typedef struct framed_state {
    uint8_t header[HEADER_BYTES];
    size_t header_len; /* of it that has come */
    bool identified;   /* the stream identifier was seen */
    size_t skip;       /* bytes of a skippable chunk still to pass over */
    size_t body_len;   /* bytes in body: of the chunk being read, or collected for writing */
    size_t body_want;  /* bytes that the chunk's body has */
    const uint8_t *give;
    size_t give_len;
    uint8_t body[CHUNK_BODY_MAX];
    uint8_t data[CHUNK_BODY_MAX + HEADER_BYTES + IDENTIFIER_BYTES]; /* made of body; given from */
} framed_state;

static sx_status framed_open(void **state, sx_error *err)
{
    framed_state *s = sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "snappy's state");
    *state = s;
    return SX_OK;
}

static sx_status framed_decode_open(const sx_decoder_options *options, void **state, sx_error *err)
{
    (void)options;
    return framed_open(state, err);
}

static sx_status framed_encode_open(const sx_encoder_options *options, void **state, sx_error *err)
{
    (void)options;
    return framed_open(state, err);
}

static sx_status framed_reset(void *state, sx_error *err)
{
    framed_state *s = state;
    (void)err;
    s->header_len = s->skip = s->body_len = s->body_want = s->give_len = 0;
    s->identified = false;
    return SX_OK;
}

/* A chunk's end is where a stream may end; the next chunk goes on with the same state. */
static sx_status framed_next(void *state, sx_error *err)
{
    (void)state, (void)err;
    return SX_OK;
}

/* Moves up to `want - *have` input bytes to `to`; true when all have come. */
static bool collect(codec_cursor *c, uint8_t *to, size_t *have, size_t want)
{
    size_t n = want - *have < c->in_len ? want - *have : c->in_len;
    if (n)
        memcpy(to + *have, c->in, n);
    *have += n;
    c->in += n;
    c->in_len -= n;
    return *have == want;
}

/* Looks at a complete chunk header: how its body is to be read. */
static sx_status begin_chunk(framed_state *s, sx_error *err)
{
    unsigned type = s->header[0];
    size_t len = read_le32(s->header) >> 8;
    if (!s->identified && type != CHUNK_IDENTIFIER)
        return sx_fail(err, SX_EFORMAT, "does not begin with the stream identifier");
    if (type == CHUNK_IDENTIFIER) {
        if (len != IDENTIFIER_BYTES - HEADER_BYTES)
            return sx_fail(err, SX_EFORMAT, "the stream identifier has length %zu, not 6", len);
    } else if (type <= CHUNK_PLAIN) {
        if (len < CHECKSUM_BYTES || len > CHUNK_BODY_MAX ||
            (type == CHUNK_PLAIN && len > CHECKSUM_BYTES + CHUNK_DATA_MAX))
            return sx_fail(err, SX_EFORMAT, "a chunk of type %u has the bad length %zu", type, len);
    } else if (type <= CHUNK_UNSKIPPABLE_LAST) {
        return sx_fail(err, SX_EUNSUPPORTED, "chunk type 0x%02x is reserved and not skippable",
                       type);
    } else {
        s->skip = len;
        len = 0;
    }
    s->body_len = 0;
    s->body_want = len;
    return SX_OK;
}

/* Decodes a complete body; what comes of it is then in give. */
static sx_status end_chunk(framed_state *s, sx_error *err)
{
    unsigned type = s->header[0];
    if (type == CHUNK_IDENTIFIER) {
        s->identified = memcmp(s->body, IDENTIFIER + HEADER_BYTES, s->body_want) == 0;
        return s->identified ? SX_OK : sx_fail(err, SX_EFORMAT, "the stream identifier is wrong");
    }
    if (type > CHUNK_PLAIN)
        return SX_OK;
    const uint8_t *data = s->body + CHECKSUM_BYTES;
    size_t len = s->body_want - CHECKSUM_BYTES;
    if (type == CHUNK_COMPRESSED) {
        size_t plain;
        if (snappy_uncompressed_length((const char *)data, len, &plain) != SNAPPY_OK ||
            plain > CHUNK_DATA_MAX)
            return sx_fail(err, SX_EFORMAT, "a chunk's length is damaged or above 65536");
        if (snappy_uncompress((const char *)data, len, (char *)s->data, &plain) != SNAPPY_OK)
            return sx_fail(err, SX_EFORMAT, "a chunk is damaged");
        data = s->data;
        len = plain;
    }
    if (masked_crc(data, len) != read_le32(s->body))
        return sx_fail(err, SX_EFORMAT, "a chunk's checksum does not match");
    s->give = data;
    s->give_len = len;
    return SX_OK;
}

static sx_status framed_decode_run(void *state, codec_cursor *c, codec_step step, sx_error *err)
{
    framed_state *s = state;
    (void)step;
    for (;;) {
        codec_give(c, &s->give, &s->give_len);
        if (s->give_len)
            return SX_OK;
        size_t pass = s->skip < c->in_len ? s->skip : c->in_len;
        s->skip -= pass;
        c->in += pass;
        c->in_len -= pass;
        if (s->skip)
            return SX_OK;
        if (s->header_len == HEADER_BYTES && s->body_len == s->body_want) {
            s->header_len = 0; /* that chunk is done and given out */
            return s->identified ? SX_END : SX_OK;
        }
        if (s->header_len < HEADER_BYTES) {
            if (!collect(c, s->header, &s->header_len, HEADER_BYTES))
                return SX_OK;
            sx_status status = begin_chunk(s, err);
            if (status != SX_OK)
                return status;
            if (s->skip || s->body_want == 0)
                continue;
        }
        if (!collect(c, s->body, &s->body_len, s->body_want))
            return SX_OK;
        sx_status status = end_chunk(s, err);
        if (status != SX_OK)
            return status;
    }
}

/* Makes a chunk of what was collected: compressed if that saves an eighth, as the format's own
 * description suggests, else as it is. */
static void frame_chunk(framed_state *s)
{
    uint8_t *at = s->data;
    if (!s->identified) {
        memcpy(at, IDENTIFIER, IDENTIFIER_BYTES);
        at += IDENTIFIER_BYTES;
        s->identified = true;
    }
    uint8_t *head = at, *body = at + HEADER_BYTES + CHECKSUM_BYTES;
    if (s->body_len) {
        size_t len = snappy_max_compressed_length(s->body_len);
        snappy_status result =
            snappy_compress((const char *)s->body, s->body_len, (char *)body, &len);
        sx_assert(result == SNAPPY_OK);
        head[0] = CHUNK_COMPRESSED;
        if (len >= s->body_len - s->body_len / 8) {
            head[0] = CHUNK_PLAIN;
            len = s->body_len;
            memcpy(body, s->body, len);
        }
        uint32_t crc = masked_crc(s->body, s->body_len);
        for (int i = 0; i < 4; i++)
            head[HEADER_BYTES + i] = (uint8_t)(crc >> (8 * i));
        for (int i = 0; i < 3; i++)
            head[1 + i] = (uint8_t)((len + CHECKSUM_BYTES) >> (8 * i));
        at = body + len;
    }
    s->give = s->data;
    s->give_len = (size_t)(at - s->data);
    s->body_len = 0;
}

static sx_status framed_encode_run(void *state, codec_cursor *c, codec_step step, sx_error *err)
{
    framed_state *s = state;
    (void)err;
    for (;;) {
        codec_give(c, &s->give, &s->give_len);
        if (s->give_len)
            return SX_AGAIN;
        if (collect(c, s->body, &s->body_len, CHUNK_DATA_MAX)) {
            frame_chunk(s);
            continue;
        }
        /* Even an empty stream gets its identifier: no bytes at all would not be a stream. */
        if (step == CODEC_RUN || (s->body_len == 0 && s->identified))
            return SX_OK;
        frame_chunk(s);
    }
}

const codec_decode_ops codec_snappy_framed_decode = {framed_decode_open, sx_free, framed_reset,
                                                     framed_next, framed_decode_run};
const codec_encode_ops codec_snappy_framed_encode = {framed_encode_open, sx_free, framed_reset,
                                                     framed_encode_run};

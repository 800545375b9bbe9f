/* fuzz_decompress.c - every decoder keeps its limits, gives the same in pieces as at once, and what it
 * gives can be packed and unpacked again. The first byte chooses the codec, the second the pieces. */
#include <sextant/compress.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUTPUT_MAX = 100000 };

static sx_status unpack_in_pieces(sx_codec codec, sx_str in, size_t step, size_t room, sx_buf *out)
{
    sx_error err = {0};
    sx_decoder_options options = {.output_bytes_max = OUTPUT_MAX};
    sx_decoder *d = sx_decoder_new(codec, &options, &err);
    sx_assert(d);
    sx_status status = SX_OK;
    while (in.len && status == SX_OK) {
        sx_str piece = sx_str_first(in, step);
        in = sx_str_from(in, step);
        do {
            size_t before = out->len;
            status = sx_decoder_feed(d, &piece, out, room, &err);
            sx_assert(out->len - before <= room);
        } while (status == SX_AGAIN);
        sx_assert(status != SX_OK || piece.len == 0);
    }
    if (status == SX_OK) {
        do
            status = sx_decoder_finish(d, out, room, &err);
        while (status == SX_AGAIN);
    }
    sx_assert(out->len <= OUTPUT_MAX && out->len == sx_decoder_out_bytes(d));
    sx_assert(status == SX_OK || err.message[0] != '\0');
    sx_decoder_free(d);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    sx_codec codec = (sx_codec)(data[0] % SX_CODECS);
    sx_str in = sx_str_of(data + 2, size - 2);
    sx_error err = {0};
    sx_buf whole, parts, packed, again;
    sx_buf_init(&whole, 0);
    sx_buf_init(&parts, 0);
    sx_buf_init(&packed, 0);
    sx_buf_init(&again, 0);
    sx_status status = sx_decompress(codec, in, OUTPUT_MAX, &whole, &err);
    sx_assert(whole.len <= OUTPUT_MAX);
    sx_status pieces = unpack_in_pieces(codec, in, 1u + data[1] % 64, 1u + data[1] * 16u, &parts);
    /* libzstd, fed in pieces, overlooks that a frame whose last block is empty falls short of the size
     * it declared; fed at once it does not. */
    bool overlooked = codec == SX_CODEC_ZSTD && pieces == SX_OK;
    sx_assert((status == SX_OK) == (pieces == SX_OK) || overlooked);
    if (status == SX_OK) {
        sx_assert(sx_str_eq(sx_buf_view(&whole), sx_buf_view(&parts)));
        sx_assert(sx_compress(codec, sx_buf_view(&whole), 1, &packed, &err) == SX_OK);
        sx_assert(sx_decompress(codec, sx_buf_view(&packed), OUTPUT_MAX, &again, &err) == SX_OK);
        sx_assert(sx_str_eq(sx_buf_view(&whole), sx_buf_view(&again)));
    } else {
        sx_assert(err.message[0] != '\0');
    }
    sx_buf_done(&whole);
    sx_buf_done(&parts);
    sx_buf_done(&packed);
    sx_buf_done(&again);
    return 0;
}

/* gRPC framing: however the stream is cut into pieces, the same messages come out, and messages
 * written come back; time-outs and status messages read back. */
#include <sextant/grpc.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads the stream in pieces of `step`; all messages, each behind its length, go to `out`. */
static sx_status read_all(sx_str stream, size_t step, sx_buf *out)
{
    sx_grpc_reader r;
    sx_error err = {0};
    sx_status st = SX_AGAIN;
    sx_grpc_reader_init(&r, 4096, SX_CODEC_GZIP);
    while (stream.len && st == SX_AGAIN) {
        sx_str in = sx_str_first(stream, step), message;
        stream = sx_str_from(stream, in.len);
        while ((st = sx_grpc_reader_next(&r, &in, &message, &err)) == SX_OK) {
            sx_assert(message.len <= 4096);
            sx_buf_u64(out, message.len);
            sx_buf_str(out, message);
        }
        sx_assert(st != SX_AGAIN || in.len == 0);
        sx_assert(st == SX_AGAIN || err.message[0]);
    }
    sx_grpc_reader_done(&r);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_buf whole, cut, framed;
    sx_str stream = sx_str_of(data, size);
    sx_buf_init(&whole, 0);
    sx_buf_init(&cut, 0);
    sx_buf_init(&framed, 0);
    sx_status st = read_all(stream, size ? size : 1, &whole);
    for (size_t step = 1; step < 8; step += 3) {
        sx_buf_clear(&cut);
        sx_assert(read_all(stream, step, &cut) == st);
        sx_assert(sx_str_eq(sx_buf_view(&whole), sx_buf_view(&cut)));
    }
    if (size <= 4096) {
        sx_buf_clear(&cut);
        sx_buf_clear(&whole);
        sx_grpc_write_message(stream, &framed);
        sx_assert(read_all(sx_buf_view(&framed), 7, &cut) == SX_AGAIN);
        sx_buf_u64(&whole, size);
        sx_buf_str(&whole, stream);
        sx_assert(sx_str_eq(sx_buf_view(&whole), sx_buf_view(&cut)));
    }
    int64_t ms, again;
    char text[16];
    if (sx_grpc_timeout_parse(stream, &ms, NULL) == SX_OK) {
        sx_assert(ms >= 0);
        sx_assert(sx_grpc_timeout_parse(sx_grpc_timeout_format(ms, text), &again, NULL) == SX_OK);
    }
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_buf_clear(&cut);
    sx_grpc_message_encode(stream, &cut);
    sx_assert(sx_str_eq(sx_grpc_message_decode(&arena, sx_buf_view(&cut)), stream));
    sx_arena_done(&arena);
    sx_buf_done(&whole);
    sx_buf_done(&cut);
    sx_buf_done(&framed);
    return 0;
}

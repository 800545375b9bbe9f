/* fuzz_remote_read_answer.c - any bytes as an answer of a remote end: series with sorted labels whose
 * samples can be read or refused, or a named error. The first byte chooses the kind; compression and
 * a frame's checksum are put around the rest, which would stop the fuzzer at the door. */
#include <stdlib.h>

#include <sextant/compress.h>
#include <sextant/hash.h>
#include <sextant/protobuf.h>

#include "observe/remote/reader_internal.h"

static void put_frame(sx_buf *out, sx_str message)
{
    char head[SX_PB_VARINT_BYTES_MAX + 4];
    char *at = sx_pb_put_varint(head, message.len);
    uint32_t crc = sx_crc32c(0, message.data, message.len);
    for (int shift = 24; shift >= 0; shift -= 8)
        *at++ = (char)(crc >> shift);
    sx_buf_bytes(out, head, (size_t)(at - head));
    sx_buf_str(out, message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tsdb_label EXTERNAL[] = {{SX_STR_INIT("region"), SX_STR_INIT("eu")}};
    static const read_limits LIMITS = {.frame_bytes_max = 1 << 20, .plain_bytes_max = 1 << 20};
    const read_question q = {.min_t = -1000, .max_t = INT64_MAX, .external = {EXTERNAL, 1}};
    sx_error err = {0};
    sx_arena arena;
    tsdb_columns c;
    read_answer a = {0};
    if (size == 0)
        return 0;
    bool streamed = data[0] & 1;
    sx_str rest = sx_str_of(data + 1, size - 1);
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    sx_buf_init(&a.body, 0);
    sx_buf_init(&a.plain, 0);
    if (streamed)
        put_frame(&a.body, rest);
    else if (sx_compress(SX_CODEC_SNAPPY, rest, SX_LEVEL_DEFAULT, &a.body, &err) != SX_OK)
        abort();
    if (read_answer_parse(&a, &q, streamed, &LIMITS, &arena, &err) != SX_OK)
        sx_assert(err.message[0] != '\0');
    for (size_t i = 0; i < a.count; i++) {
        tsdb_labels l = a.items[i].labels;
        for (uint32_t k = 0; k < l.count; k++) {
            sx_assert(!sx_str_eq(l.items[k].name, SX_STR("region")));
            sx_assert(k == 0 || sx_str_cmp(l.items[k - 1].name, l.items[k].name) < 0);
        }
        size_t from = c.count;
        err.message[0] = '\0';
        if (read_series_samples(&a.items[i], 0, 5000, &c, &err) != SX_OK)
            sx_assert(err.message[0] != '\0');
        for (size_t k = from; k < c.count; k++)
            sx_assert(c.t[k] >= 0 && c.t[k] <= 5000);
    }
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
    sx_buf_done(&a.body);
    sx_buf_done(&a.plain);
    return 0;
}

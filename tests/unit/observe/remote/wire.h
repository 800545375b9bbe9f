/* wire.h - requests of remote write made by hand for tests: the messages as the specification has
 * them, snappy around. */
#ifndef TESTS_OBSERVE_REMOTE_WIRE_H
#define TESTS_OBSERVE_REMOTE_WIRE_H

#include <assert.h>

#include <sextant/compress.h>
#include <sextant/protobuf.h>

static inline void wire_label(sx_buf *b, const char *name, const char *value)
{
    size_t mark = sx_pb_begin(b, 1);
    sx_pb_put_str(b, 1, sx_str_z(name));
    sx_pb_put_str(b, 2, sx_str_z(value));
    sx_pb_end(b, mark);
}

/* `labels` is name, value, name ..., NULL. */
static inline void wire_labels(sx_buf *b, const char *const *labels)
{
    for (; *labels; labels += 2)
        wire_label(b, labels[0], labels[1]);
}

static inline void wire_sample(sx_buf *b, double v, int64_t t)
{
    size_t mark = sx_pb_begin(b, 2);
    sx_pb_put_double(b, 1, v);
    sx_pb_put_i64(b, 2, t);
    sx_pb_end(b, mark);
}

/* A request of 1.0 with one sample. */
static inline void wire_series(sx_buf *b, const char *const *labels, double v, int64_t t)
{
    size_t mark = sx_pb_begin(b, 1);
    wire_labels(b, labels);
    wire_sample(b, v, t);
    sx_pb_end(b, mark);
}

/* Compresses `plain` into `packed`, which is cleared before. */
static inline sx_str wire_pack(const sx_buf *plain, sx_buf *packed)
{
    sx_buf_clear(packed);
    sx_status status =
        sx_compress(SX_CODEC_SNAPPY, sx_buf_view(plain), SX_LEVEL_DEFAULT, packed, NULL);
    assert(status == SX_OK);
    (void)status;
    return sx_buf_view(packed);
}

#endif

/* fuzz_protobuf.c - a message that reads is written so that it reads and writes the same again. */
#include <sextant/protobuf.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies a message field by field. Fields of bytes with an odd number are taken for messages; groups
 * are left out, as a writer never makes them. */
static void copy_message(sx_pb_reader *r, sx_buf *out)
{
    while (sx_pb_next(r)) {
        uint32_t field = sx_pb_field(r);
        switch (sx_pb_wire_of(r)) {
        case SX_PB_VARINT:
            sx_pb_put_u64(out, field, sx_pb_varint(r));
            break;
        case SX_PB_FIXED64:
            sx_pb_put_fixed64(out, field, sx_pb_fixed64(r));
            break;
        case SX_PB_FIXED32:
            sx_pb_put_fixed32(out, field, sx_pb_fixed32(r));
            break;
        case SX_PB_BYTES:
            if (field % 2) {
                sx_pb_outer outer = sx_pb_enter(r);
                size_t mark = sx_pb_begin(out, field);
                copy_message(r, out);
                sx_pb_end(out, mark);
                sx_pb_leave(r, outer);
            } else {
                sx_pb_put_str(out, field, sx_pb_bytes(r));
            }
            break;
        default:
            sx_pb_skip(r);
        }
    }
}

static sx_status copy(sx_str in, sx_buf *out)
{
    sx_pb_reader r;
    sx_error err = {0};
    sx_pb_init(&r, in);
    copy_message(&r, out);
    sx_assert(r.depth_left == SX_PB_DEPTH_MAX);
    sx_status status = sx_pb_status(&r, "message", &err);
    sx_assert(status == SX_OK || err.message[0] != '\0');
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_buf once, twice;
    sx_buf_init(&once, 0);
    sx_buf_init(&twice, 0);
    if (copy(sx_str_of(data, size), &once) == SX_OK) {
        /* Shorter at most: varints come out minimal and groups are gone. */
        sx_assert(once.len <= size);
        sx_assert(copy(sx_buf_view(&once), &twice) == SX_OK);
        sx_assert(sx_str_eq(sx_buf_view(&once), sx_buf_view(&twice)));
    }
    sx_buf_done(&once);
    sx_buf_done(&twice);
    return 0;
}

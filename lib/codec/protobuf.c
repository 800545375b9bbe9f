/* protobuf.c - the rare halves of the wire reader and writer: long varints, groups, faults. */
#include <sextant/protobuf.h>

void sx_pb_set_fault(sx_pb_reader *r, sx_pb_fault fault)
{
    if (r->fault == SX_PB_FINE) {
        r->fault = (uint8_t)fault;
        r->fault_at = r->at;
    }
    r->at = r->end; /* ends the loops of every level, as leave goes to the outer end then */
}

sx_status sx_pb_status(const sx_pb_reader *r, const char *what, sx_error *err)
{
    static const char *const WORDS[] = {
        [SX_PB_CUT_SHORT] = "ends inside a field",
        [SX_PB_BAD_VARINT] = "has a number of more than 64 bits",
        [SX_PB_BAD_TAG] = "has a field number or wire type that there is not",
        [SX_PB_TOO_DEEP] = "is nested deeper than 100 messages",
    };
    if (r->fault == SX_PB_FINE)
        return SX_OK;
    return sx_fail(err, r->fault == SX_PB_TOO_DEEP ? SX_ELIMIT : SX_EFORMAT,
                   "protobuf %s %s, at byte %zu", what, WORDS[r->fault],
                   (size_t)(r->fault_at - r->begin));
}

uint64_t sx_pb_varint_slow(sx_pb_reader *r)
{
    const uint8_t *p = r->at;
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 7 * SX_PB_VARINT_BYTES_MAX; shift += 7) {
        if (p == r->end) {
            sx_pb_set_fault(r, SX_PB_CUT_SHORT);
            return 0;
        }
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1)
            break; /* the tenth byte has one bit of room */
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            r->at = p;
            return value;
        }
    }
    sx_pb_set_fault(r, SX_PB_BAD_VARINT);
    return 0;
}

/* A tag that is not one of the usual: the start of a group is given to the caller, who will skip it. */
bool sx_pb_check_tag(sx_pb_reader *r, uint64_t tag)
{
    if (r->fault == SX_PB_FINE && tag >= 8 && tag <= UINT32_MAX && (tag & 7) == SX_PB_GROUP) {
        r->tag = (uint32_t)tag;
        return true;
    }
    sx_pb_set_fault(r, SX_PB_BAD_TAG); /* or keeps the fault that made the tag 0 */
    return false;
}

static void skip_fixed(sx_pb_reader *r, size_t bytes)
{
    if ((size_t)(r->end - r->at) < bytes)
        sx_pb_set_fault(r, SX_PB_CUT_SHORT);
    else
        r->at += bytes;
}

/* Groups may hold groups; each must end with its own field number. Their numbers are kept in a stack
 * as deep as messages may be. */
static void skip_group(sx_pb_reader *r)
{
    uint32_t open[SX_PB_DEPTH_MAX];
    size_t depth = 0;
    open[depth++] = r->tag >> 3;
    while (depth > 0 && r->fault == SX_PB_FINE) {
        if (r->at == r->end) {
            sx_pb_set_fault(r, SX_PB_CUT_SHORT);
            return;
        }
        uint64_t tag = sx_pb_varint(r);
        if (r->fault != SX_PB_FINE)
            return;
        if (tag == SX_PB_TAG(open[depth - 1], SX_PB_GROUP_END)) {
            depth--;
            continue;
        }
        if (tag < 8 || tag > UINT32_MAX || (tag & 7) == SX_PB_GROUP_END || (tag & 7) > 5) {
            sx_pb_set_fault(r, SX_PB_BAD_TAG);
            return;
        }
        r->tag = (uint32_t)tag;
        if ((tag & 7) != SX_PB_GROUP) {
            sx_pb_skip(r);
        } else if (depth == SX_PB_DEPTH_MAX) {
            sx_pb_set_fault(r, SX_PB_TOO_DEEP);
        } else {
            open[depth++] = (uint32_t)(tag >> 3);
        }
    }
}

void sx_pb_skip(sx_pb_reader *r)
{
    switch (sx_pb_wire_of(r)) {
    case SX_PB_VARINT:
        (void)sx_pb_varint(r);
        break;
    case SX_PB_FIXED64:
        skip_fixed(r, 8);
        break;
    case SX_PB_BYTES:
        (void)sx_pb_bytes(r);
        break;
    case SX_PB_GROUP:
        skip_group(r);
        break;
    case SX_PB_FIXED32:
        skip_fixed(r, 4);
        break;
    case SX_PB_GROUP_END: /* sx_pb_next never gives it */
        break;
    }
}

char *sx_pb_put_varint_slow(char *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (char)(value | 0x80);
        value >>= 7;
    }
    *to++ = (char)value;
    return to;
}

void sx_pb_end_slow(sx_buf *b, size_t mark)
{
    if (b->failed)
        return; /* what is in it is not used; the mark may be of a begin that failed */
    char length[SX_PB_VARINT_BYTES_MAX];
    size_t len = b->len - mark;
    size_t extra = (size_t)(sx_pb_put_varint_slow(length, len) - length) - 1;
    if (!sx_buf_reserve(b, extra))
        return;
    memmove(b->data + mark + extra, b->data + mark, len);
    memcpy(b->data + mark - 1, length, extra + 1);
    b->len += extra;
}

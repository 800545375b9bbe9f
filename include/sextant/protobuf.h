/* protobuf.h - the protocol buffers wire format, read and written field by field.
 *
 * No schema and no objects: a caller decodes straight into its own store. Both halves lie on hot paths
 * (remote write, OTLP: 150 ns a sample), so what happens for every field is inline here.
 *
 *     sx_pb_reader r;
 *     sx_pb_init(&r, bytes);
 *     while (sx_pb_next(&r))
 *         switch (r.tag) {
 *         case SX_PB_TAG(1, SX_PB_BYTES): {               a nested message
 *             sx_pb_outer outer = sx_pb_enter(&r);
 *             while (sx_pb_next(&r)) ...
 *             sx_pb_leave(&r, outer);
 *             break;
 *         }
 *         case SX_PB_TAG(2, SX_PB_VARINT): n = sx_pb_varint(&r); break;
 *         default: sx_pb_skip(&r);                        unknown, or of an unexpected wire type
 *         }
 *     return sx_pb_status(&r, "write request", err);
 *
 * The first fault (cut short, over-long varint, ...) sticks: every loop ends, every read gives zero, and
 * sx_pb_status at the end tells. Nothing is copied; views point into the input. Strings are not checked
 * for UTF-8. Source: protobuf.dev/programming-guides/encoding. */
#ifndef SEXTANT_PROTOBUF_H
#define SEXTANT_PROTOBUF_H

#include <sextant/buf.h>
#include <sextant/error.h>
#include <sextant/str.h>

SX_BEGIN_DECLS

typedef enum sx_pb_wire {
    SX_PB_VARINT = 0,
    SX_PB_FIXED64 = 1,
    SX_PB_BYTES = 2, /* strings, bytes, messages, packed lists */
    SX_PB_GROUP = 3, /* deprecated; skipped */
    SX_PB_GROUP_END = 4,
    SX_PB_FIXED32 = 5
} sx_pb_wire;

/* A field's number and wire type as they stand before it: for `case`, and for the writer. */
#define SX_PB_TAG(field, wire) ((uint32_t)(field) << 3 | (uint32_t)(wire))

enum { SX_PB_DEPTH_MAX = 100, SX_PB_VARINT_BYTES_MAX = 10 };

typedef enum sx_pb_fault {
    SX_PB_FINE,
    SX_PB_CUT_SHORT,  /* the input ends inside a field */
    SX_PB_BAD_VARINT, /* more than 64 bits or 10 bytes */
    SX_PB_BAD_TAG,    /* field 0 or over 2^29-1, wire type 6 or 7, an end of no group */
    SX_PB_TOO_DEEP
} sx_pb_fault;

typedef struct sx_pb_reader {
    const uint8_t *at;  /* next byte */
    const uint8_t *end; /* of the message that is being read */
    uint32_t tag;       /* of the field that sx_pb_next found */
    uint16_t depth_left;
    uint8_t fault;        /* sx_pb_fault; after one, at == end */
    const uint8_t *begin; /* of the whole input */
    const uint8_t *fault_at;
} sx_pb_reader;

/* Where the message around a nested one ends: given by enter, handed back to leave. */
typedef struct sx_pb_outer {
    const uint8_t *end;
} sx_pb_outer;

/* Reads `bytes`, borrowed as long as the reader and the views it gives are used. */
static inline void sx_pb_init(sx_pb_reader *r, sx_str bytes)
{
    static const uint8_t nothing[1] = {0};
    const uint8_t *data = bytes.len ? (const uint8_t *)bytes.data : nothing;
    memset(r, 0, sizeof(*r));
    r->at = r->begin = data;
    r->end = data + bytes.len;
    r->depth_left = SX_PB_DEPTH_MAX;
}

/* SX_OK; or SX_EFORMAT (SX_ELIMIT for depth) with `what` and the byte named. */
sx_status sx_pb_status(const sx_pb_reader *r, const char *what, sx_error *err);

/* Makes the first fault stick. Callers may use it for faults of their own only through their status. */
void sx_pb_set_fault(sx_pb_reader *r, sx_pb_fault fault) SX_COLD;

/* Out-of-line halves. */
uint64_t sx_pb_varint_slow(sx_pb_reader *r);
bool sx_pb_check_tag(sx_pb_reader *r, uint64_t tag);

/* Field number and wire type of the current field. */
static inline uint32_t sx_pb_field(const sx_pb_reader *r)
{
    return r->tag >> 3;
}

static inline sx_pb_wire sx_pb_wire_of(const sx_pb_reader *r)
{
    return (sx_pb_wire)(r->tag & 7);
}

/* ---- Values: each reads the current field's, which must have the wire type named ---- */

/* uint32, uint64, int32, int64, bool, enum. Also items of a packed list. */
static inline uint64_t sx_pb_varint(sx_pb_reader *r)
{
    const uint8_t *p = r->at;
    if (sx_likely(r->end - p >= 2)) {
        if (sx_likely(p[0] < 0x80)) {
            r->at = p + 1;
            return p[0];
        }
        if (sx_likely(p[1] < 0x80)) {
            r->at = p + 2;
            return (uint64_t)(p[0] & 0x7f) | (uint64_t)p[1] << 7;
        }
    }
    return sx_pb_varint_slow(r);
}

/* sint32, sint64. */
static inline int64_t sx_pb_zigzag(sx_pb_reader *r)
{
    uint64_t v = sx_pb_varint(r);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* int32, int64: negative numbers are ten bytes long. */
static inline int64_t sx_pb_i64(sx_pb_reader *r)
{
    return (int64_t)sx_pb_varint(r);
}

static inline bool sx_pb_bool(sx_pb_reader *r)
{
    return sx_pb_varint(r) != 0;
}

/* fixed64, sfixed64; little-endian. */
static inline uint64_t sx_pb_fixed64(sx_pb_reader *r)
{
    uint64_t v;
    if (sx_unlikely(r->end - r->at < 8)) {
        sx_pb_set_fault(r, SX_PB_CUT_SHORT);
        return 0;
    }
    memcpy(&v, r->at, 8);
    r->at += 8;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* fixed32, sfixed32. */
static inline uint32_t sx_pb_fixed32(sx_pb_reader *r)
{
    uint32_t v;
    if (sx_unlikely(r->end - r->at < 4)) {
        sx_pb_set_fault(r, SX_PB_CUT_SHORT);
        return 0;
    }
    memcpy(&v, r->at, 4);
    r->at += 4;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v;
}

static inline double sx_pb_double(sx_pb_reader *r)
{
    uint64_t bits = sx_pb_fixed64(r);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static inline float sx_pb_float(sx_pb_reader *r)
{
    uint32_t bits = sx_pb_fixed32(r);
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* string, bytes: a view into the input. Also a message that is to be read later, by its own reader. */
static inline sx_str sx_pb_bytes(sx_pb_reader *r)
{
    uint64_t len = sx_pb_varint(r);
    if (sx_unlikely(len > (uint64_t)(r->end - r->at))) {
        sx_pb_set_fault(r, SX_PB_CUT_SHORT);
        len = 0;
    }
    sx_str s = sx_str_of(r->at, (size_t)len);
    r->at += len;
    return s;
}

/* ---- Fields ---- */

/* Moves to the next field of the message: r->tag. False at its end, and after a fault. The value must
 * then be read, entered or skipped. */
static inline bool sx_pb_next(sx_pb_reader *r)
{
    if (r->at >= r->end)
        return false;
    uint64_t tag = sx_pb_varint(r);
    /* Usual tags: a field number that is not 0 and one of the four wire types with values. */
    if (sx_likely(tag >= 8 && tag <= UINT32_MAX && ((1u << (tag & 7)) & 0x27))) {
        r->tag = (uint32_t)tag;
        return true;
    }
    return sx_pb_check_tag(r, tag);
}

/* Passes over the current field, whatever it is. */
void sx_pb_skip(sx_pb_reader *r);

/* Begins reading the nested message, or the packed list, that the current field (of SX_PB_BYTES) is:
 * sx_pb_next then gives its fields, sx_pb_more says whether a list has more items. */
static inline sx_pb_outer sx_pb_enter(sx_pb_reader *r)
{
    uint64_t len = sx_pb_varint(r);
    sx_pb_outer outer = {r->end};
    if (sx_unlikely(len > (uint64_t)(r->end - r->at)))
        sx_pb_set_fault(r, SX_PB_CUT_SHORT);
    else if (sx_unlikely(r->depth_left == 0))
        sx_pb_set_fault(r, SX_PB_TOO_DEEP);
    else
        r->end = r->at + len;
    r->depth_left--; /* wraps after a fault, and leave restores it */
    return outer;
}

/* Goes on after the nested message, also when it was not read to its end. */
static inline void sx_pb_leave(sx_pb_reader *r, sx_pb_outer outer)
{
    r->at = sx_likely(r->fault == SX_PB_FINE) ? r->end : outer.end;
    r->end = outer.end;
    r->depth_left++;
}

/* Whether a packed list that was entered has another item. */
static inline bool sx_pb_more(const sx_pb_reader *r)
{
    return r->at < r->end;
}

/* ---- Writing: onto a buffer whose sx_buf_status() is asked at the end ---- */

char *sx_pb_put_varint_slow(char *to, uint64_t value);

/* Writes a varint at `to`, where there is room for 10 bytes; returns where it ends. */
static inline char *sx_pb_put_varint(char *to, uint64_t value)
{
    if (sx_likely(value < 0x80)) {
        *to = (char)value;
        return to + 1;
    }
    if (sx_likely(value < 0x4000)) {
        to[0] = (char)(value | 0x80);
        to[1] = (char)(value >> 7);
        return to + 2;
    }
    return sx_pb_put_varint_slow(to, value);
}

/* Room for a tag and a number, the most that a field of fixed size takes; NULL: the buffer failed. */
static inline char *sx_pb_room(sx_buf *b)
{
    if (sx_likely(b->cap - b->len >= 2 * SX_PB_VARINT_BYTES_MAX && !b->failed))
        return b->data + b->len;
    return sx_buf_reserve(b, 2 * SX_PB_VARINT_BYTES_MAX);
}

/* A bare varint: an item of a packed list that was begun. */
static inline void sx_pb_add_varint(sx_buf *b, uint64_t value)
{
    char *at = sx_pb_room(b);
    if (at)
        b->len = (size_t)(sx_pb_put_varint(at, value) - b->data);
}

/* 8 and 4 bytes, little-endian: items of packed lists, too. */
static inline void sx_pb_add_fixed64(sx_buf *b, uint64_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    sx_buf_bytes(b, &value, sizeof(value));
}

static inline void sx_pb_add_fixed32(sx_buf *b, uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap32(value);
#endif
    sx_buf_bytes(b, &value, sizeof(value));
}

/* A field of a number. Zero is written, too: leaving out defaults is the caller's choice. */
static inline void sx_pb_put_u64(sx_buf *b, uint32_t field, uint64_t value)
{
    char *at = sx_pb_room(b);
    if (!at)
        return;
    at = sx_pb_put_varint(at, SX_PB_TAG(field, SX_PB_VARINT));
    b->len = (size_t)(sx_pb_put_varint(at, value) - b->data);
}

static inline void sx_pb_put_i64(sx_buf *b, uint32_t field, int64_t value)
{
    sx_pb_put_u64(b, field, (uint64_t)value);
}

static inline uint64_t sx_pb_zigzag_of(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline void sx_pb_put_zigzag(sx_buf *b, uint32_t field, int64_t value)
{
    sx_pb_put_u64(b, field, sx_pb_zigzag_of(value));
}

static inline void sx_pb_put_fixed64(sx_buf *b, uint32_t field, uint64_t value)
{
    sx_pb_add_varint(b, SX_PB_TAG(field, SX_PB_FIXED64));
    sx_pb_add_fixed64(b, value);
}

static inline void sx_pb_put_fixed32(sx_buf *b, uint32_t field, uint32_t value)
{
    sx_pb_add_varint(b, SX_PB_TAG(field, SX_PB_FIXED32));
    sx_pb_add_fixed32(b, value);
}

static inline void sx_pb_put_double(sx_buf *b, uint32_t field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    sx_pb_put_fixed64(b, field, bits);
}

static inline void sx_pb_put_float(sx_buf *b, uint32_t field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    sx_pb_put_fixed32(b, field, bits);
}

/* A field of a string or bytes. */
static inline void sx_pb_put_str(sx_buf *b, uint32_t field, sx_str value)
{
    char *at = sx_pb_room(b);
    if (!at)
        return;
    at = sx_pb_put_varint(at, SX_PB_TAG(field, SX_PB_BYTES));
    b->len = (size_t)(sx_pb_put_varint(at, value.len) - b->data);
    sx_buf_str(b, value);
}

/* Begins a nested message or a packed list; what is written until sx_pb_end with the returned mark is
 * inside it. One byte is left for its length; a longer length moves the contents up a few bytes, which
 * costs less than measuring them beforehand, as nearly all messages are short. */
static inline size_t sx_pb_begin(sx_buf *b, uint32_t field)
{
    char *at = sx_pb_room(b);
    if (!at)
        return 0;
    at = sx_pb_put_varint(at, SX_PB_TAG(field, SX_PB_BYTES));
    *at++ = 0;
    b->len = (size_t)(at - b->data);
    return b->len;
}

/* Its out-of-line half. */
void sx_pb_end_slow(sx_buf *b, size_t mark);

/* Ends what sx_pb_begin began: writes its length before it. Inner ones end before outer ones. */
static inline void sx_pb_end(sx_buf *b, size_t mark)
{
    if (sx_likely(!b->failed && b->len - mark < 0x80))
        b->data[mark - 1] = (char)(b->len - mark);
    else
        sx_pb_end_slow(b, mark);
}

SX_END_DECLS

#endif

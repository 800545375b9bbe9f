/* thrift_out.h - writes Thrift in either protocol, for tests of what reads it. */
#ifndef TESTS_SPANS_THRIFT_OUT_H
#define TESTS_SPANS_THRIFT_OUT_H

#include <sextant/buf.h>
#include <sextant/protobuf.h>

#include "codec/thrift.h"

typedef struct thrift_out {
    sx_buf bytes;
    sx_thrift_protocol protocol;
    int16_t last[16]; /* field id before, at each depth */
    int depth;
} thrift_out;

static const uint8_t OUT_TYPES[2][SX_THRIFT_TYPES] = {
    [SX_THRIFT_BINARY] = {[SX_THRIFT_BOOL] = 2,
                          [SX_THRIFT_BYTE] = 3,
                          [SX_THRIFT_I16] = 6,
                          [SX_THRIFT_I32] = 8,
                          [SX_THRIFT_I64] = 10,
                          [SX_THRIFT_DOUBLE] = 4,
                          [SX_THRIFT_STRING] = 11,
                          [SX_THRIFT_STRUCT] = 12,
                          [SX_THRIFT_MAP] = 13,
                          [SX_THRIFT_SET] = 14,
                          [SX_THRIFT_LIST] = 15},
    [SX_THRIFT_COMPACT] = {[SX_THRIFT_BOOL] = 1,
                           [SX_THRIFT_BYTE] = 3,
                           [SX_THRIFT_I16] = 4,
                           [SX_THRIFT_I32] = 5,
                           [SX_THRIFT_I64] = 6,
                           [SX_THRIFT_DOUBLE] = 7,
                           [SX_THRIFT_STRING] = 8,
                           [SX_THRIFT_STRUCT] = 12,
                           [SX_THRIFT_MAP] = 11,
                           [SX_THRIFT_SET] = 10,
                           [SX_THRIFT_LIST] = 9}};

static inline void out_big(thrift_out *o, uint64_t v, unsigned bytes)
{
    while (bytes--)
        sx_buf_byte(&o->bytes, (char)(v >> 8 * bytes));
}

static inline void out_field(thrift_out *o, int16_t id, sx_thrift_type type, int truth)
{
    uint8_t wire = OUT_TYPES[o->protocol][type];
    if (o->protocol == SX_THRIFT_BINARY) {
        sx_buf_byte(&o->bytes, (char)wire);
        out_big(o, (uint16_t)id, 2);
        if (type == SX_THRIFT_BOOL)
            sx_buf_byte(&o->bytes, (char)truth);
        return;
    }
    int delta = id - o->last[o->depth];
    if (type == SX_THRIFT_BOOL && !truth)
        wire = 2;
    sx_buf_byte(&o->bytes, (char)((delta > 0 && delta < 16 ? delta : 0) << 4 | wire));
    if (delta <= 0 || delta >= 16)
        sx_pb_add_varint(&o->bytes, sx_pb_zigzag_of(id));
    o->last[o->depth] = id;
}

static inline void out_begin(thrift_out *o)
{
    o->last[++o->depth] = 0;
}

static inline void out_stop(thrift_out *o)
{
    sx_buf_byte(&o->bytes, 0);
    o->depth--;
}

static inline void out_text(thrift_out *o, sx_str s)
{
    if (o->protocol == SX_THRIFT_BINARY)
        out_big(o, s.len, 4);
    else
        sx_pb_add_varint(&o->bytes, s.len);
    sx_buf_str(&o->bytes, s);
}

static inline void out_str(thrift_out *o, int16_t id, sx_str s)
{
    out_field(o, id, SX_THRIFT_STRING, 0);
    out_text(o, s);
}

static inline void out_int(thrift_out *o, int16_t id, sx_thrift_type type, int64_t v)
{
    static const uint8_t BYTES[SX_THRIFT_TYPES] = {
        [SX_THRIFT_I16] = 2, [SX_THRIFT_I32] = 4, [SX_THRIFT_I64] = 8};
    out_field(o, id, type, 0);
    if (o->protocol == SX_THRIFT_BINARY)
        out_big(o, (uint64_t)v, BYTES[type]);
    else
        sx_pb_add_varint(&o->bytes, sx_pb_zigzag_of(v));
}

static inline void out_double(thrift_out *o, int16_t id, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    out_field(o, id, SX_THRIFT_DOUBLE, 0);
    out_big(o, o->protocol == SX_THRIFT_BINARY ? bits : __builtin_bswap64(bits), 8);
}

static inline void out_list(thrift_out *o, int16_t id, sx_thrift_type item, uint32_t count)
{
    uint8_t wire = OUT_TYPES[o->protocol][item];
    if (id)
        out_field(o, id, SX_THRIFT_LIST, 0);
    if (o->protocol == SX_THRIFT_BINARY) {
        sx_buf_byte(&o->bytes, (char)wire);
        out_big(o, count, 4);
        return;
    }
    sx_buf_byte(&o->bytes, (char)((count < 15 ? count : 15) << 4 | wire));
    if (count >= 15)
        sx_pb_add_varint(&o->bytes, count);
}

static inline void out_message(thrift_out *o, const char *name)
{
    if (o->protocol == SX_THRIFT_BINARY) {
        out_big(o, 0x80010000u | SX_THRIFT_ONEWAY, 4);
        out_text(o, sx_str_z(name));
        out_big(o, 1, 4);
    } else {
        sx_buf_byte(&o->bytes, (char)0x82);
        sx_buf_byte(&o->bytes, (char)(1 | SX_THRIFT_ONEWAY << 5));
        sx_pb_add_varint(&o->bytes, 1);
        out_text(o, sx_str_z(name));
    }
}

#endif

/* thrift.h - Apache Thrift's binary and compact protocols, read field by field.
 *
 * No schema and no objects, like protobuf.h: a caller walks the structs and decodes into its own. Both
 * protocols look the same from here:
 *
 *     sx_thrift r;
 *     sx_thrift_init(&r, SX_THRIFT_COMPACT, bytes);
 *     sx_thrift_outer outer = sx_thrift_enter(&r);
 *     while (sx_thrift_next(&r))
 *         switch (SX_THRIFT_FIELD(r.id, r.type)) {
 *         case SX_THRIFT_FIELD(1, SX_THRIFT_I64): n = sx_thrift_int(&r); break;
 *         case SX_THRIFT_FIELD(2, SX_THRIFT_LIST):
 *             for (uint32_t left = sx_thrift_list(&r, SX_THRIFT_STRUCT); left; left--) ...
 *             break;
 *         default: sx_thrift_skip(&r);
 *         }
 *     sx_thrift_leave(&r, outer);
 *     return sx_thrift_status(&r, "batch", err);
 *
 * The first fault sticks: loops end, values are zero, the status at the end tells. Views point into the
 * input; a count that the rest of the input cannot hold is a fault, so it may be trusted to size memory.
 * Sources: thrift/doc/specs/thrift-binary-protocol.md, thrift-compact-protocol.md. */
#ifndef SEXTANT_CODEC_THRIFT_H
#define SEXTANT_CODEC_THRIFT_H

#include <sextant/error.h>
#include <sextant/str.h>

typedef enum sx_thrift_protocol { SX_THRIFT_BINARY, SX_THRIFT_COMPACT } sx_thrift_protocol;

typedef enum sx_thrift_type {
    SX_THRIFT_STOP,
    SX_THRIFT_BOOL,
    SX_THRIFT_BYTE,
    SX_THRIFT_I16,
    SX_THRIFT_I32,
    SX_THRIFT_I64,
    SX_THRIFT_DOUBLE,
    SX_THRIFT_STRING, /* text and binary */
    SX_THRIFT_STRUCT,
    SX_THRIFT_MAP,
    SX_THRIFT_SET,
    SX_THRIFT_LIST,
    SX_THRIFT_TYPES
} sx_thrift_type;

/* A field's id and type in one number, for `case`. */
#define SX_THRIFT_FIELD(id, type) ((uint32_t)(uint16_t)(id) << 8 | (uint32_t)(type))

enum { SX_THRIFT_DEPTH_MAX = 64 };

typedef struct sx_thrift {
    const uint8_t *at, *end, *begin;
    const uint8_t *fault_at;
    const char *fault; /* NULL: none so far; why, in words */
    int16_t id;        /* of the field that sx_thrift_next found */
    uint8_t type;      /* sx_thrift_type */
    uint8_t protocol;
    uint8_t depth_left;
    bool bool_value; /* compact: a field of a boolean has its value in its type */
    bool bool_known;
} sx_thrift;

/* What is put aside while a nested struct is read. */
typedef struct sx_thrift_outer {
    int16_t id;
} sx_thrift_outer;

typedef enum sx_thrift_call {
    SX_THRIFT_CALL = 1,
    SX_THRIFT_REPLY = 2,
    SX_THRIFT_EXCEPTION = 3,
    SX_THRIFT_ONEWAY = 4
} sx_thrift_call;

/* Reads `bytes`, borrowed. */
void sx_thrift_init(sx_thrift *r, sx_thrift_protocol protocol, sx_str bytes);

/* A message's head: the method's name. The struct of its arguments follows. */
sx_str sx_thrift_message(sx_thrift *r, sx_thrift_call *call, int32_t *sequence);

/* The struct that comes next: the whole input, an argument, an item of a list, or the current field. */
sx_thrift_outer sx_thrift_enter(sx_thrift *r);
bool sx_thrift_next(sx_thrift *r);
void sx_thrift_leave(sx_thrift *r, sx_thrift_outer outer);

/* Values of the current field or of the next item. BYTE, I16, I32, I64 are told apart by `type`. */
int64_t sx_thrift_int(sx_thrift *r, sx_thrift_type type);
bool sx_thrift_bool(sx_thrift *r);
double sx_thrift_double(sx_thrift *r);
sx_str sx_thrift_str(sx_thrift *r);

/* The number of items of the list or set, which must be of `type`: others are skipped (0). */
uint32_t sx_thrift_list(sx_thrift *r, sx_thrift_type type);

/* Passes over the current field. */
void sx_thrift_skip(sx_thrift *r);

/* SX_OK; SX_EFORMAT with `what`, why and the byte. */
sx_status sx_thrift_status(const sx_thrift *r, const char *what, sx_error *err);

#endif

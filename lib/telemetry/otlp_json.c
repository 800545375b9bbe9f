/* otlp_json.c - from protobuf to JSON by the table of otlp_schema.c: see otlp_json.h.
 *
 * A message is walked once to see which fields it has, then once for each of them, as all values of a
 * repeated field stand in one JSON array wherever they are in the message. Nested messages are passed
 * over by their length then, so a byte is looked at a few times for each level it lies below. */
#include "telemetry/otlp_json.h"

#include <math.h>

#include "codec/base64.h"

sx_pb_wire sx_otlp_wire(sx_otlp_kind kind)
{
    static const uint8_t WIRE[] = {
        [SX_OTLP_STRING] = SX_PB_BYTES,     [SX_OTLP_HEX] = SX_PB_BYTES,
        [SX_OTLP_BASE64] = SX_PB_BYTES,     [SX_OTLP_BOOL] = SX_PB_VARINT,
        [SX_OTLP_UINT32] = SX_PB_VARINT,    [SX_OTLP_SINT32] = SX_PB_VARINT,
        [SX_OTLP_INT64] = SX_PB_VARINT,     [SX_OTLP_UINT64] = SX_PB_VARINT,
        [SX_OTLP_FIXED32] = SX_PB_FIXED32,  [SX_OTLP_FIXED64] = SX_PB_FIXED64,
        [SX_OTLP_SFIXED64] = SX_PB_FIXED64, [SX_OTLP_DOUBLE] = SX_PB_FIXED64,
        [SX_OTLP_MESSAGE] = SX_PB_BYTES,
    };
    return (sx_pb_wire)WIRE[kind];
}

static void write_hex(sx_json_writer *w, sx_str bytes)
{
    static const char DIGITS[] = "0123456789abcdef";
    char text[64];
    if (bytes.len > sizeof(text) / 2) /* an id has 8 or 16 */
        bytes.len = sizeof(text) / 2;
    for (size_t i = 0; i < bytes.len; i++) {
        text[2 * i] = DIGITS[(unsigned char)bytes.data[i] >> 4];
        text[2 * i + 1] = DIGITS[(unsigned char)bytes.data[i] & 15];
    }
    sx_json_str(w, sx_str_of(text, 2 * bytes.len));
}

static void write_base64(sx_json_writer *w, sx_str bytes)
{
    sx_json_raw_value(w, SX_STR("\""));
    sx_base64_encode(bytes, w->buf);
    sx_buf_byte(w->buf, '"');
}

static void write_double(sx_json_writer *w, double value)
{
    if (isfinite(value))
        sx_json_double(w, value);
    else
        sx_json_str(w, isnan(value) ? SX_STR("NaN")
                       : value > 0  ? SX_STR("Infinity")
                                    : SX_STR("-Infinity"));
}

/* 64 bits do not fit a JavaScript number: they are strings. */
static void write_u64(sx_json_writer *w, uint64_t value)
{
    sx_json_raw_value(w, SX_STR("\""));
    sx_buf_u64(w->buf, value);
    sx_buf_byte(w->buf, '"');
}

static void write_i64(sx_json_writer *w, int64_t value)
{
    sx_json_raw_value(w, SX_STR("\""));
    sx_buf_i64(w->buf, value);
    sx_buf_byte(w->buf, '"');
}

static void write_scalar(const sx_otlp_field *f, sx_pb_reader *r, sx_json_writer *w)
{
    switch ((sx_otlp_kind)f->kind) {
    case SX_OTLP_STRING:
        sx_json_str(w, sx_pb_bytes(r));
        break;
    case SX_OTLP_HEX:
        write_hex(w, sx_pb_bytes(r));
        break;
    case SX_OTLP_BASE64:
        write_base64(w, sx_pb_bytes(r));
        break;
    case SX_OTLP_BOOL:
        sx_json_bool(w, sx_pb_bool(r));
        break;
    /* Enums are int32 on the wire; what is unsigned here never has its top bit set. */
    case SX_OTLP_UINT32:
        sx_json_u64(w, (uint32_t)sx_pb_varint(r));
        break;
    case SX_OTLP_SINT32:
        sx_json_i64(w, (int32_t)sx_pb_zigzag(r));
        break;
    case SX_OTLP_INT64:
        write_i64(w, sx_pb_i64(r));
        break;
    case SX_OTLP_UINT64:
        write_u64(w, sx_pb_varint(r));
        break;
    case SX_OTLP_FIXED32:
        sx_json_u64(w, sx_pb_fixed32(r));
        break;
    case SX_OTLP_FIXED64:
        write_u64(w, sx_pb_fixed64(r));
        break;
    case SX_OTLP_SFIXED64:
        write_i64(w, (int64_t)sx_pb_fixed64(r));
        break;
    case SX_OTLP_DOUBLE:
        write_double(w, sx_pb_double(r));
        break;
    case SX_OTLP_MESSAGE:
        break; /* not a scalar: write_value */
    }
}

static void write_message(const sx_otlp_schema *schema, sx_pb_reader *r, sx_json_writer *w);

/* The value that the reader is at, or each of a packed list. */
static void write_value(const sx_otlp_field *f, sx_pb_reader *r, sx_json_writer *w)
{
    bool packed = f->repeated && sx_pb_wire_of(r) == SX_PB_BYTES &&
                  sx_otlp_wire((sx_otlp_kind)f->kind) != SX_PB_BYTES;
    if (!packed && sx_pb_wire_of(r) != sx_otlp_wire((sx_otlp_kind)f->kind)) {
        sx_pb_set_fault(r, SX_PB_BAD_TAG);
        sx_json_null(w);
    } else if (f->kind == SX_OTLP_MESSAGE) {
        sx_pb_outer outer = sx_pb_enter(r);
        write_message(f->message, r, w);
        sx_pb_leave(r, outer);
    } else if (packed) {
        sx_pb_outer outer = sx_pb_enter(r);
        while (sx_pb_more(r))
            write_scalar(f, r, w);
        sx_pb_leave(r, outer);
    } else {
        write_scalar(f, r, w);
    }
}

/* A field that is there, by a reader of its own at the message's start. */
static void write_field(const sx_otlp_field *f, sx_pb_reader at, sx_pb_reader *message,
                        sx_json_writer *w)
{
    sx_json_key(w, f->name);
    if (f->repeated)
        sx_json_begin_array(w);
    sx_pb_reader last = at;
    while (sx_pb_next(&at)) {
        if (sx_pb_field(&at) != f->number) {
            sx_pb_skip(&at);
        } else if (f->repeated) {
            write_value(f, &at, w);
        } else {
            last = at; /* one after it would beat it */
            sx_pb_skip(&at);
        }
    }
    if (!f->repeated)
        write_value(f, &last, w);
    else
        sx_json_end_array(w);
    const sx_pb_reader *faulty = at.fault ? &at : &last;
    if (faulty->fault != SX_PB_FINE && message->fault == SX_PB_FINE)
        *message = *faulty;
}

/* Writes the rest of the reader's message, which it then has read. */
static void write_message(const sx_otlp_schema *schema, sx_pb_reader *r, sx_json_writer *w)
{
    const sx_pb_reader begin = *r;
    uint64_t present = 0; /* bit n: field n */
    while (sx_pb_next(r)) {
        uint32_t number = sx_pb_field(r);
        present |= number < 64 ? (uint64_t)1 << number : 0;
        sx_pb_skip(r);
    }
    sx_json_begin_object(w);
    for (size_t i = 0; i < schema->count && r->fault == SX_PB_FINE && !w->buf->failed; i++)
        if (present >> schema->fields[i].number & 1)
            write_field(&schema->fields[i], begin, r, w);
    sx_json_end_object(w);
}

sx_status sx_otlp_json_write(const sx_otlp_schema *schema, sx_str bytes, sx_json_writer *w,
                             sx_error *err)
{
    sx_pb_reader r;
    sx_pb_init(&r, bytes);
    write_message(schema, &r, w);
    sx_status st = sx_pb_status(&r, schema->name, err);
    return st == SX_OK ? sx_buf_status(w->buf, schema->name, err) : st;
}

/* otlp_json_read.c - from OTLP's JSON to protobuf by the table of otlp_schema.c: see otlp_json.h.
 *
 * A member is found by its name among the message's fields, a dozen at most. What was read is written
 * at once, so a document costs its protobuf and nothing else. */
#include "telemetry/otlp_json.h"

#include <math.h>

#include "codec/base64.h"

static void read_message(const sx_otlp_schema *schema, sx_json *r, sx_buf *out);

static const sx_otlp_field *find_field(const sx_otlp_schema *schema, sx_str name)
{
    for (size_t i = 0; i < schema->count; i++)
        if (sx_str_eq(schema->fields[i].name, name))
            return &schema->fields[i];
    return NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* An id: any number of bytes in hex, in either case. */
static void read_hex(const sx_otlp_field *f, sx_json *r, sx_buf *out)
{
    sx_str text;
    if (!sx_json_read_str(r, &text))
        return;
    size_t mark = sx_pb_begin(out, f->number);
    bool fine = text.len % 2 == 0;
    for (size_t i = 0; fine && i < text.len; i += 2) {
        int high = hex_digit(text.data[i]), low = hex_digit(text.data[i + 1]);
        fine = high >= 0 && low >= 0;
        if (fine)
            sx_buf_byte(out, (char)(high << 4 | low));
    }
    sx_pb_end(out, mark);
    if (!fine)
        sx_json_fail(r, SX_EFORMAT, "\"%.*s\" is not in hex", SX_ARG(f->name));
}

static void read_base64(const sx_otlp_field *f, sx_json *r, sx_buf *out)
{
    sx_str text;
    if (!sx_json_read_str(r, &text))
        return;
    size_t mark = sx_pb_begin(out, f->number);
    bool fine = sx_base64_decode(text, out);
    sx_pb_end(out, mark);
    if (!fine)
        sx_json_fail(r, SX_EFORMAT, "\"%.*s\" is not in base64", SX_ARG(f->name));
}

/* A whole number or one in a string: protobuf's JSON has both for each width. */
static int64_t read_i64(const sx_otlp_field *f, sx_json *r)
{
    int64_t value = 0;
    sx_str text;
    if (sx_json_peek(r) != SX_JSON_STRING)
        sx_json_read_i64(r, &value);
    else if (sx_json_read_str(r, &text) && !sx_str_to_i64(text, &value))
        sx_json_fail(r, SX_EFORMAT, "\"%.*s\" is no whole number", SX_ARG(f->name));
    return value;
}

static uint64_t read_u64(const sx_otlp_field *f, sx_json *r)
{
    uint64_t value = 0;
    sx_str text;
    if (sx_json_peek(r) != SX_JSON_STRING)
        sx_json_read_u64(r, &value);
    else if (sx_json_read_str(r, &text) && !sx_str_to_u64(text, &value))
        sx_json_fail(r, SX_EFORMAT, "\"%.*s\" is no whole number of 0 or more", SX_ARG(f->name));
    return value;
}

static uint32_t read_u32(const sx_otlp_field *f, sx_json *r)
{
    uint64_t value = read_u64(f, r);
    if (value > UINT32_MAX)
        sx_json_fail(r, SX_ELIMIT, "\"%.*s\" has more than 32 bits", SX_ARG(f->name));
    return (uint32_t)value;
}

static int64_t read_i32(const sx_otlp_field *f, sx_json *r)
{
    int64_t value = read_i64(f, r);
    if (value < INT32_MIN || value > INT32_MAX)
        sx_json_fail(r, SX_ELIMIT, "\"%.*s\" has more than 32 bits", SX_ARG(f->name));
    return value;
}

static double read_double(const sx_otlp_field *f, sx_json *r)
{
    static const struct {
        sx_str word;
        double value;
    } WORDS[] = {{SX_STR_INIT("NaN"), (double)NAN},
                 {SX_STR_INIT("Infinity"), (double)INFINITY},
                 {SX_STR_INIT("-Infinity"), -(double)INFINITY}};
    double value = 0;
    sx_str text;
    if (sx_json_peek(r) != SX_JSON_STRING) {
        sx_json_read_double(r, &value);
    } else if (sx_json_read_str(r, &text)) {
        for (size_t i = 0; i < SX_COUNT_OF(WORDS); i++)
            if (sx_str_eq(text, WORDS[i].word))
                return WORDS[i].value;
        sx_json_fail(r, SX_EFORMAT, "\"%.*s\" is no number", SX_ARG(f->name));
    }
    return value;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static bool read_bool(sx_json *r)
{
    bool value = false;
    sx_json_read_bool(r, &value);
    return value;
}

/* A number without its tag: alone, or an item of a packed list. */
static void read_number(const sx_otlp_field *f, sx_json *r, sx_buf *out)
{
    switch ((sx_otlp_kind)f->kind) {
    case SX_OTLP_BOOL:
        sx_pb_add_varint(out, read_bool(r));
        break;
    case SX_OTLP_UINT32:
        sx_pb_add_varint(out, read_u32(f, r));
        break;
    case SX_OTLP_SINT32:
        sx_pb_add_varint(out, (uint32_t)sx_pb_zigzag_of(read_i32(f, r)));
        break;
    case SX_OTLP_INT64:
        sx_pb_add_varint(out, (uint64_t)read_i64(f, r));
        break;
    case SX_OTLP_UINT64:
        sx_pb_add_varint(out, read_u64(f, r));
        break;
    case SX_OTLP_FIXED32:
        sx_pb_add_fixed32(out, read_u32(f, r));
        break;
    case SX_OTLP_FIXED64:
        sx_pb_add_fixed64(out, read_u64(f, r));
        break;
    case SX_OTLP_SFIXED64:
        sx_pb_add_fixed64(out, (uint64_t)read_i64(f, r));
        break;
    default:
        sx_pb_add_fixed64(out, bits_of(read_double(f, r)));
        break;
    }
}

static void read_value(const sx_otlp_field *f, sx_json *r, sx_buf *out)
{
    sx_str text;
    size_t mark;
    switch ((sx_otlp_kind)f->kind) {
    case SX_OTLP_STRING:
        if (sx_json_read_str(r, &text))
            sx_pb_put_str(out, f->number, text);
        break;
    case SX_OTLP_HEX:
        read_hex(f, r, out);
        break;
    case SX_OTLP_BASE64:
        read_base64(f, r, out);
        break;
    case SX_OTLP_MESSAGE:
        mark = sx_pb_begin(out, f->number);
        read_message(f->message, r, out);
        sx_pb_end(out, mark);
        break;
    default:
        sx_pb_add_varint(out, SX_PB_TAG(f->number, sx_otlp_wire((sx_otlp_kind)f->kind)));
        read_number(f, r, out);
        break;
    }
}

static void read_list(const sx_otlp_field *f, sx_json *r, sx_buf *out)
{
    bool packed = sx_otlp_wire((sx_otlp_kind)f->kind) != SX_PB_BYTES;
    if (!sx_json_enter_array(r))
        return;
    size_t mark = packed ? sx_pb_begin(out, f->number) : 0;
    while (sx_json_next_item(r)) {
        if (packed)
            read_number(f, r, out);
        else
            read_value(f, r, out);
    }
    if (packed)
        sx_pb_end(out, mark);
}

static void read_message(const sx_otlp_schema *schema, sx_json *r, sx_buf *out)
{
    sx_str key;
    if (!sx_json_enter_object(r))
        return;
    while (sx_json_next_key(r, &key)) {
        const sx_otlp_field *f = find_field(schema, key);
        if (!f)
            sx_json_skip(r);
        else if (sx_json_take_null(r))
            continue; /* as if it were not there */
        else if (f->repeated)
            read_list(f, r, out);
        else
            read_value(f, r, out);
    }
}

sx_status sx_otlp_json_read(const sx_otlp_schema *schema, sx_json *r, sx_buf *out, sx_error *err)
{
    read_message(schema, r, out);
    sx_status st = sx_json_status(r, err);
    return st == SX_OK ? sx_buf_status(out, schema->name, err) : st;
}

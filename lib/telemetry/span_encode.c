/* span_encode.c - writes attributes as OTLP's KeyValue and AnyValue.
 *
 * Called for each attribute as it is set, so the usual kinds go straight into the record's bytes.
 * Source: opentelemetry-proto, common/v1/common.proto. */
#include "telemetry/span_encode.h"

#include <sextant/json.h>
#include <sextant/protobuf.h>
#include <sextant/utf8.h>

#include "telemetry/text.h"

/* Field numbers of AnyValue, and of what it holds. */
enum {
    KV_KEY = 1,
    KV_VALUE = 2,
    ANY_STRING = 1,
    ANY_BOOL = 2,
    ANY_INT = 3,
    ANY_DOUBLE = 4,
    ANY_ARRAY = 5,
    ANY_OBJECT = 6,
    LIST_ITEM = 1
};

enum { JSON_DEPTH_MAX = 16 };

/* The rare case of a text that is not UTF-8. */
static SX_COLD void put_repaired(sx_buf *b, uint32_t field, sx_str text, size_t bytes_max)
{
    static const sx_str MARK = SX_STR_INIT("\xef\xbf\xbd");
    size_t mark = sx_pb_begin(b, field);
    while (text.len > 0) {
        size_t good = sx_utf8_valid_len(text), left = bytes_max - (b->len - mark);
        sx_str part = sx_utf8_first(sx_str_first(text, good), left);
        sx_buf_str(b, part);
        if (part.len < good || good == text.len || left - good < MARK.len || b->failed)
            break;
        sx_buf_str(b, MARK);
        text = sx_str_from(text, good + 1);
    }
    sx_pb_end(b, mark);
}

void sx_otlp_put_text(sx_buf *b, uint32_t field, sx_str text, size_t bytes_max)
{
    if (sx_unlikely(text.len > bytes_max))
        text = sx_utf8_first(text, bytes_max);
    if (sx_likely(sx_utf8_valid(text)))
        sx_pb_put_str(b, field, text);
    else
        put_repaired(b, field, text, bytes_max);
}

/* ---- JSON ---- */

static void put_json(sx_buf *b, sx_json *r, size_t bytes_max);

static void put_json_number(sx_buf *b, sx_json *r)
{
    sx_str text;
    int64_t whole;
    double number = 0;
    if (!sx_json_read_number(r, &text))
        return;
    if (sx_str_to_i64(text, &whole))
        sx_pb_put_i64(b, ANY_INT, whole);
    else if (sx_double_parse(text, &number))
        sx_pb_put_double(b, ANY_DOUBLE, number);
}

static void put_json_array(sx_buf *b, sx_json *r, size_t bytes_max)
{
    size_t array = sx_pb_begin(b, ANY_ARRAY);
    for (sx_json_enter_array(r); sx_json_next_item(r);) {
        size_t item = sx_pb_begin(b, LIST_ITEM);
        put_json(b, r, bytes_max);
        sx_pb_end(b, item);
    }
    sx_pb_end(b, array);
}

static void put_json_object(sx_buf *b, sx_json *r, size_t bytes_max)
{
    sx_str key;
    size_t object = sx_pb_begin(b, ANY_OBJECT);
    for (sx_json_enter_object(r); sx_json_next_key(r, &key);) {
        size_t item = sx_pb_begin(b, LIST_ITEM);
        sx_otlp_put_text(b, KV_KEY, key, bytes_max);
        size_t value = sx_pb_begin(b, KV_VALUE);
        put_json(b, r, bytes_max);
        sx_pb_end(b, value);
        sx_pb_end(b, item);
    }
    sx_pb_end(b, object);
}

/* Writes the inside of an AnyValue; null is one without anything in it. The reader bounds how deep
 * this calls itself. */
static void put_json(sx_buf *b, sx_json *r, size_t bytes_max)
{
    sx_str text;
    bool truth;
    switch (sx_json_peek(r)) {
    case SX_JSON_OBJECT:
        put_json_object(b, r, bytes_max);
        break;
    case SX_JSON_ARRAY:
        put_json_array(b, r, bytes_max);
        break;
    case SX_JSON_STRING:
        if (sx_json_read_str(r, &text))
            sx_otlp_put_text(b, ANY_STRING, text, bytes_max);
        break;
    case SX_JSON_NUMBER:
        put_json_number(b, r);
        break;
    case SX_JSON_TRUE:
    case SX_JSON_FALSE:
        if (sx_json_read_bool(r, &truth))
            sx_pb_put_u64(b, ANY_BOOL, truth);
        break;
    default:
        sx_json_skip(r);
    }
}

/* Out of line: the reader is large, and its arena takes memory only for strings with escapes. */
static SX_COLD void put_json_text(sx_buf *b, sx_str json, size_t bytes_max)
{
    sx_json r;
    sx_arena arena;
    size_t before = b->len;
    sx_arena_init(&arena, 0, 0);
    sx_json_init(&r, json, &(sx_json_options){.arena = &arena, .depth_max = JSON_DEPTH_MAX});
    put_json(b, &r, bytes_max);
    if (sx_json_finish(&r, NULL) != SX_OK && !b->failed) {
        b->len = before;
        sx_otlp_put_text(b, ANY_STRING, json, bytes_max);
    }
    sx_arena_done(&arena);
}

/* ---- attributes ---- */

static SX_COLD void put_big_number(sx_buf *b, uint64_t value)
{
    char digits[SX_TEXT_U64_BYTES];
    char *end = sx_text_u64(digits, value);
    sx_pb_put_str(b, ANY_STRING, sx_str_of(digits, (size_t)(end - digits)));
}

static void put_value(sx_buf *b, const sx_field *f, size_t bytes_max)
{
    switch (f->kind) {
    case SX_FIELD_STR:
        sx_otlp_put_text(b, ANY_STRING, f->str, bytes_max);
        break;
    case SX_FIELD_I64:
        sx_pb_put_i64(b, ANY_INT, f->i64);
        break;
    case SX_FIELD_U64:
        if (f->u64 <= INT64_MAX)
            sx_pb_put_u64(b, ANY_INT, f->u64);
        else
            put_big_number(b, f->u64);
        break;
    case SX_FIELD_DOUBLE:
        sx_pb_put_double(b, ANY_DOUBLE, f->number);
        break;
    case SX_FIELD_BOOL:
        sx_pb_put_u64(b, ANY_BOOL, f->truth);
        break;
    case SX_FIELD_JSON:
        put_json_text(b, f->str, bytes_max);
        break;
    }
}

void sx_otlp_put_attribute(sx_buf *b, uint32_t field, const sx_field *f, size_t bytes_max)
{
    size_t pair = sx_pb_begin(b, field);
    sx_otlp_put_text(b, KV_KEY, sx_str_z(f->key), SIZE_MAX);
    size_t value = sx_pb_begin(b, KV_VALUE);
    put_value(b, f, bytes_max);
    sx_pb_end(b, value);
    sx_pb_end(b, pair);
}

void sx_otlp_put_texts(sx_buf *b, uint32_t field, sx_str key, const sx_str *values, size_t count,
                       size_t bytes_max)
{
    size_t pair = sx_pb_begin(b, field);
    sx_otlp_put_text(b, KV_KEY, key, SIZE_MAX);
    size_t value = sx_pb_begin(b, KV_VALUE);
    size_t array = sx_pb_begin(b, ANY_ARRAY);
    for (size_t i = 0; i < count; i++) {
        size_t item = sx_pb_begin(b, LIST_ITEM);
        sx_otlp_put_text(b, ANY_STRING, values[i], bytes_max);
        sx_pb_end(b, item);
    }
    sx_pb_end(b, array);
    sx_pb_end(b, value);
    sx_pb_end(b, pair);
}

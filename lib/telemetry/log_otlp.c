/* log_otlp.c - a record as an OTLP LogRecord, written straight into the exporter's lane.
 *
 * Source: opentelemetry-proto, logs/v1/logs.proto; "Logs Data Model" for the severity numbers. What the
 * JSON line calls logger and request_id are attributes of these names: a lane holds records of all
 * loggers, so the scope cannot carry them. */
#include <sextant/protobuf.h>

#include "telemetry/log_lane.h"
#include "telemetry/otlp_sink.h"
#include "telemetry/span_encode.h"
#include "telemetry/trace_hex.h"

/* Field numbers of LogRecord. */
enum {
    TIME = 1,
    SEVERITY = 2,
    SEVERITY_TEXT = 3,
    BODY = 5,
    ATTRIBUTE = 6,
    FLAGS = 8,
    TRACE_ID = 9,
    SPAN_ID = 10,
    OBSERVED_TIME = 11,
    BODY_STRING = 1 /* of AnyValue */
};

/* Longest values at each try, as of lines. */
static const size_t VALUE_BYTES[] = {8192, 1024, 64};

enum { NAME_BYTES_MAX = 256, FIXED_BYTES = 160, FIELD_BYTES = 64 };

static size_t text_bytes(sx_str s, size_t bytes_max)
{
    size_t repaired = 3 * (s.len < bytes_max ? s.len : bytes_max);
    return repaired < bytes_max ? repaired : bytes_max;
}

/* Above what encode() writes with such values. */
static size_t bytes_needed(const sx_log_record *r, size_t bytes_max)
{
    size_t bytes = FIXED_BYTES + 2 * (FIELD_BYTES + NAME_BYTES_MAX);
    bytes += FIELD_BYTES + text_bytes(r->message, bytes_max);
    for (size_t i = 0; i < r->count; i++) {
        const sx_field *f = &r->fields[i];
        bytes += FIELD_BYTES + strlen(f->key);
        if (f->kind == SX_FIELD_STR)
            bytes += text_bytes(f->str, bytes_max);
        else if (f->kind == SX_FIELD_JSON) /* "[1,1,…]" takes six bytes for each two */
            bytes += 4 * (f->str.len < bytes_max ? f->str.len : bytes_max);
    }
    return bytes;
}

static void put_name(sx_buf *b, const char *key, sx_str value)
{
    if (value.len == 0)
        return;
    sx_field f = sx_field_str(key, value);
    sx_otlp_put_attribute(b, ATTRIBUTE, &f, NAME_BYTES_MAX);
}

/* The ids, if they are what OTLP wants: 16 and 8 bytes. */
static void put_ids(sx_buf *b, const sx_log_record *r)
{
    uint8_t trace[16], span[8];
    const sx_log_context *c = r->context;
    if (!c || c->trace_id.len != 32 || !sx_hex_read(sx_hex_any, c->trace_id.data, trace, 16))
        return;
    sx_pb_put_fixed32(b, FLAGS, r->trace_flags);
    sx_pb_put_str(b, TRACE_ID, sx_str_of(trace, sizeof(trace)));
    if (c->span_id.len == 16 && sx_hex_read(sx_hex_any, c->span_id.data, span, 8))
        sx_pb_put_str(b, SPAN_ID, sx_str_of(span, sizeof(span)));
}

static void put_field(sx_buf *b, const sx_field *f, size_t bytes_max)
{
    sx_field cut = *f;
    if (f->kind == SX_FIELD_JSON && f->str.len > bytes_max)
        cut.kind = SX_FIELD_STR; /* too long to be kept whole: text with its end cut off */
    sx_otlp_put_attribute(b, ATTRIBUTE, &cut, bytes_max);
}

static void encode(sx_buf *b, const sx_log_record *r, size_t bytes_max)
{
    static const uint8_t SEVERITIES[] = {
        [SX_LEVEL_TRACE] = 1, [SX_LEVEL_DEBUG] = 5,  [SX_LEVEL_INFO] = 9,
        [SX_LEVEL_WARN] = 13, [SX_LEVEL_ERROR] = 17, [SX_LEVEL_FATAL] = 21};
    sx_pb_put_fixed64(b, TIME, (uint64_t)r->wall_ns);
    sx_pb_put_fixed64(b, OBSERVED_TIME, (uint64_t)r->wall_ns);
    sx_pb_put_u64(b, SEVERITY, SEVERITIES[r->level]);
    sx_pb_put_str(b, SEVERITY_TEXT, sx_str_z(sx_level_name(r->level)));
    size_t body = sx_pb_begin(b, BODY);
    sx_otlp_put_text(b, BODY_STRING, r->message, bytes_max);
    sx_pb_end(b, body);
    if (r->logger)
        put_name(b, "logger", r->logger->name);
    if (r->context)
        put_name(b, "request_id", r->context->request_id);
    for (size_t i = 0; i < r->count; i++)
        put_field(b, &r->fields[i], bytes_max);
    put_ids(b, r);
}

void sx_log_export(sx_otlp *otlp, const sx_log_record *r)
{
    for (size_t i = 0; i < SX_COUNT_OF(VALUE_BYTES); i++) {
        size_t bytes = bytes_needed(r, VALUE_BYTES[i]);
        if (bytes > SX_OTLP_RECORD_MAX && i + 1 < SX_COUNT_OF(VALUE_BYTES))
            continue;
        char *room = sx_otlp_room(otlp, SX_OTLP_LOGS, bytes); /* too big: is counted as dropped */
        if (!room)
            return;
        /* The limit keeps the buffer in the room: it never takes memory of its own. */
        sx_buf b = {.data = room, .cap = bytes, .len_max = bytes};
        encode(&b, r, VALUE_BYTES[i]);
        sx_otlp_commit(otlp, SX_OTLP_LOGS, b.failed ? 0 : b.len);
        if (!b.failed)
            return;
    }
}

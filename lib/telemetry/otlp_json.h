/* otlp_json.h - OTLP's messages as JSON, by one table of their fields.
 *
 * The table (otlp_schema.c) says for each message what its fields are called in JSON and how their
 * values look there. With it anything that was encoded for protobuf is told as OTLP/JSON, without
 * objects in between: the exporter for http/json, and receivers and query interfaces that answer in
 * OTLP/JSON; and what comes as OTLP/JSON is made protobuf, so that a receiver has one reader.
 *
 * Source: opentelemetry-proto 1.x, "JSON Protobuf Encoding": lowerCamelCase names, trace and span ids
 * in hex, enums as numbers, 64-bit integers as decimal strings, other bytes in base64. */
#ifndef SEXTANT_TELEMETRY_OTLP_JSON_H
#define SEXTANT_TELEMETRY_OTLP_JSON_H

#include <sextant/json.h>
#include <sextant/protobuf.h>

typedef enum sx_otlp_kind {
    SX_OTLP_STRING,
    SX_OTLP_HEX,    /* bytes: an id */
    SX_OTLP_BASE64, /* bytes */
    SX_OTLP_BOOL,
    SX_OTLP_UINT32, /* also enums: a number */
    SX_OTLP_SINT32, /* zigzag; a number */
    SX_OTLP_INT64,  /* a string, as all of 64 bits */
    SX_OTLP_UINT64,
    SX_OTLP_FIXED32, /* a number */
    SX_OTLP_FIXED64,
    SX_OTLP_SFIXED64,
    SX_OTLP_DOUBLE, /* a number, or "NaN", "Infinity", "-Infinity" */
    SX_OTLP_MESSAGE
} sx_otlp_kind;

typedef struct sx_otlp_schema sx_otlp_schema;

typedef struct sx_otlp_field {
    sx_str name;                   /* in JSON */
    uint8_t number;                /* at most 63 */
    uint8_t kind;                  /* sx_otlp_kind */
    bool repeated;                 /* numbers: also packed */
    const sx_otlp_schema *message; /* of SX_OTLP_MESSAGE */
} sx_otlp_field;

struct sx_otlp_schema {
    const char *name; /* "Span": for messages */
    const sx_otlp_field *fields;
    size_t count;
};

/* The roots; what they contain is reached by their fields. */
extern const sx_otlp_schema sx_otlp_traces_data;  /* ExportTraceServiceRequest is the same */
extern const sx_otlp_schema sx_otlp_logs_data;    /* ExportLogsServiceRequest */
extern const sx_otlp_schema sx_otlp_metrics_data; /* ExportMetricsServiceRequest */
extern const sx_otlp_schema sx_otlp_span, sx_otlp_log_record, sx_otlp_metric, sx_otlp_resource,
    sx_otlp_key_value;

/* Writes the message `bytes` as one JSON object. Fields that the table does not know are left out; of
 * a field that stands twice but is not repeated the last counts. Any bytes may be given.
 * Errors: SX_EFORMAT (no protobuf, a field of the wrong wire type; with the byte), SX_ELIMIT (deeper
 * than SX_PB_DEPTH_MAX), SX_ENOMEM or what the writer's buffer says. The output is then to be thrown away. */
sx_status sx_otlp_json_write(const sx_otlp_schema *schema, sx_str bytes, sx_json_writer *w,
                             sx_error *err);

/* Reads the next value of `r`, an object, and appends it to `out` as protobuf. Members that the table
 * does not know are passed over, as the specification asks; null counts as not there. The reader's
 * depth_max bounds the nesting. A member given twice is written twice: protobuf takes the last.
 * Errors, with line and column: what sx_json_status says, SX_EFORMAT for a value of the wrong type or
 * an id that is not in hex, SX_ELIMIT for a number out of range; and those of `out`, which then holds
 * a part. */
sx_status sx_otlp_json_read(const sx_otlp_schema *schema, sx_json *r, sx_buf *out, sx_error *err);

/* How values of that kind stand in protobuf. */
sx_pb_wire sx_otlp_wire(sx_otlp_kind kind);

#endif

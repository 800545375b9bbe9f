/* otlp.h - spans from and to OTLP: protobuf and JSON.
 *
 * Source: opentelemetry-proto trace/v1, collector/trace/v1; the JSON mapping of the OTLP specification
 * (hex ids, enum numbers, int64 as text or number, unknown fields skipped). */
#ifndef OBSERVE_SPANS_OTLP_H
#define OBSERVE_SPANS_OTLP_H

#include "observe/spans/span.h"

typedef struct span_limits {  /* 0 takes the default */
    uint32_t spans_max;       /* of a request: 1,000,000 */
    uint32_t attributes_max;  /* of one span, resource, event ...: 16,384; the rest is dropped and
                                 counted as dropped */
    uint32_t value_bytes_max; /* of a text: 1 MiB; cut at a character, not refused */
    uint32_t events_max, links_max; /* of a span: 16,384; dropped and counted */
    uint32_t depth_max;             /* of lists and maps: 24; deeper ones become EMPTY */
} span_limits;

/* What a reader refused of a request that was good otherwise (OTLP's partial success). */
typedef struct span_refused {
    uint64_t spans;
    char why[160]; /* the first, with the span named */
} span_refused;

/* Reads an ExportTraceServiceRequest into a batch. Views point into `body`, which the caller keeps or
 * hands to span_batch_keep. Spans with an all-zero or misshapen trace or span id are refused one by
 * one. Text that is not UTF-8 has its bad bytes replaced by U+FFFD. HOT (protobuf): 300 ns a span.
 *   errors  SX_EFORMAT with the byte, SX_ELIMIT, SX_ENOMEM: the batch is to be thrown away */
sx_status span_read_otlp(sx_str body, const span_limits *limits, span_batch *out,
                         span_refused *refused, sx_error *err);
sx_status span_read_otlp_json(sx_str body, const span_limits *limits, span_batch *out,
                              span_refused *refused, sx_error *err);

/* Writes TracesData (= ExportTraceServiceRequest): spans of one resource and scope stand together as
 * in the batch. The JSON is OTLP's canonical form. A failed buffer tells of memory or its limit. */
void span_write_otlp(const span_batch *b, sx_buf *out);
void span_write_otlp_json(const span_batch *b, sx_buf *out);

/* One AnyValue message, as lists and maps are kept by the store; and back into an arena. */
void span_write_any(const span_value *v, sx_buf *out);
sx_status span_read_any(sx_str message, sx_arena *arena, span_value *out, sx_error *err);

#endif

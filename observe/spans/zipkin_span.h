/* zipkin_span.h - a Zipkin span of either version before it becomes one of ours. Internal to
 * observe/spans: the three readers fill it, zipkin_span.c translates. */
#ifndef OBSERVE_SPANS_ZIPKIN_SPAN_H
#define OBSERVE_SPANS_ZIPKIN_SPAN_H

#include "observe/spans/intake.h"

typedef struct zipkin_endpoint {
    sx_str service, ipv4, ipv6; /* addresses as text */
    int64_t port;
} zipkin_endpoint;

typedef struct zipkin_span {
    uint8_t trace_id[16], id[8], parent[8];
    sx_str name;
    uint8_t kind; /* span_kind; UNSPECIFIED: not said */
    uint64_t timestamp_us, duration_us;
    zipkin_endpoint local, remote;
    size_t tags; /* where its tags begin on the stack of attributes, all STR but for version 1 */
    size_t
        annotations; /* where its annotations begin on the stack of events: time and text in name */
    uint32_t dropped_tags, dropped_annotations;
    /* Version 1: what annotations of the core say. Times 0: not there. */
    uint64_t client_send_us, client_receive_us, server_receive_us, server_send_us;
} zipkin_span;

typedef struct zipkin_intake {
    span_intake k;
    const span_resource *resource; /* made last */
} zipkin_intake;

void zipkin_intake_init(zipkin_intake *in, const span_limits *limits, span_batch *out,
                        span_refused *refused);
void zipkin_begin_span(zipkin_intake *in, zipkin_span *z);
/* Makes a span of it and puts it in the batch. */
void zipkin_end_span(zipkin_intake *in, zipkin_span *z);

/* A tag; an annotation, both onto the stacks. */
void zipkin_tag(zipkin_intake *in, zipkin_span *z, sx_str key, span_value value);
void zipkin_annotation(zipkin_intake *in, zipkin_span *z, uint64_t time_us, sx_str value);
/* The same of version 1, whose host's endpoint says whose span it is. */
void zipkin_v1_annotation(zipkin_intake *in, zipkin_span *z, uint64_t time_us, sx_str value,
                          const zipkin_endpoint *host);
void zipkin_v1_binary(zipkin_intake *in, zipkin_span *z, sx_str key, span_value value,
                      const zipkin_endpoint *host);
/* What of version 1 follows from its annotations, before zipkin_end_span. */
void zipkin_v1_end(zipkin_span *z);

/* 4 or 16 bytes as an address's text, in the arena. */
sx_str zipkin_address(zipkin_intake *in, const void *bytes, size_t len);

/* Hex digits, up to 2 * len, left-padded; false: something else stands there. */
bool zipkin_hex_id(sx_str text, uint8_t *id, size_t len);

sx_status zipkin_status(zipkin_intake *in, sx_status status, const char *what, sx_error *err);

#endif

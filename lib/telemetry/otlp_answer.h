/* otlp_answer.h - what a receiver's answer means: taken, refused, or to be tried again.
 *
 * Pure functions of what came, for otlp_send.c. Source: OTLP specification 1.x, "OTLP/HTTP Response",
 * "OTLP/gRPC Response", "Retryable response codes"; google.rpc.Status and RetryInfo. */
#ifndef SEXTANT_TELEMETRY_OTLP_ANSWER_H
#define SEXTANT_TELEMETRY_OTLP_ANSWER_H

#include <sextant/str.h>

typedef enum sx_otlp_verdict {
    SX_OTLP_TAKEN,
    SX_OTLP_REFUSED, /* for good: the batch is dropped */
    SX_OTLP_LATER
} sx_otlp_verdict;

enum { SX_OTLP_ANSWER_TEXT_BYTES = 240 };

typedef struct sx_otlp_answer {
    sx_otlp_verdict verdict;
    int64_t wait_ms;   /* SX_OTLP_LATER: what the receiver asked for; 0: nothing */
    uint64_t rejected; /* SX_OTLP_TAKEN: records that it did not take */
    char text[SX_OTLP_ANSWER_TEXT_BYTES]; /* what is worth telling, NUL-terminated; may be empty */
} sx_otlp_answer;

/* What came by HTTP. Views are any bytes and may be empty. */
typedef struct sx_otlp_http_answer {
    int status;
    sx_str content_type, retry_after, body;
    int64_t now_wall_ns; /* for a Retry-After that is a date */
} sx_otlp_http_answer;
void sx_otlp_answer_http(const sx_otlp_http_answer *in, sx_otlp_answer *out);

/* What came by gRPC. */
typedef struct sx_otlp_grpc_answer {
    int status;              /* sx_grpc_status */
    sx_str message, details; /* grpc-message, decoded; grpc-status-details-bin as it came */
    sx_str body;             /* the response message */
} sx_otlp_grpc_answer;
void sx_otlp_answer_grpc(const sx_otlp_grpc_answer *in, sx_otlp_answer *out);

#endif

/* v3.h - Jaeger's HTTP API of the third version: /api/v3.
 *
 * A question's parameters come by a callback, the answer goes out piece by piece; traces are OTLP's
 * JSON, read and sent one after the other. Parameters are those of the protobuf messages in
 * lowerCamelCase, with the older snake_case beside.
 * Source: jaeger-idl api_v3/query_service.proto; behaviour of Jaeger 2.20. Called by
 * observe/api/jaeger_v3.c. */
#ifndef OBSERVE_JAEGER_V3_H
#define OBSERVE_JAEGER_V3_H

#include "observe/jaeger/archive.h"
#include "observe/jaeger/search.h"

typedef struct jaeger_v3 {
    tr_store *store;
    jaeger_archive archive; /* of traces asked for by their ids */
    uint64_t skew_ns;       /* of jaeger_adjust */
    tr_limits limits;
    sx_arena *arena;                              /* the call's */
    sx_str (*param)(void *ctx, const char *name); /* the first value; empty: none */
    bool (*put)(void *ctx, sx_str piece);         /* the next piece; false: nobody wants more */
    void *ctx;
    sx_str body; /* of a POST: the request message in JSON, its members instead of parameters */
} jaeger_v3;

/* Each returns the HTTP status: 200 and the body has been put, or another one and `err` tells why
 * (jaeger_v3_error writes that). An error may come after pieces of the answer: it is then cut off. */
typedef int jaeger_v3_work(jaeger_v3 *q, sx_error *err);
jaeger_v3_work jaeger_v3_services, jaeger_v3_operations, jaeger_v3_dependencies;
jaeger_v3_work jaeger_v3_traces, jaeger_v3_summaries;
/* `id` as it stands in the path: hex, or base64 as protobuf's JSON has bytes. */
int jaeger_v3_trace(jaeger_v3 *q, sx_str id, sx_error *err);

/* {"error":{"httpCode":404,"message":"No traces found"}} with a newline, as text/plain. */
void jaeger_v3_error(int status, const sx_error *err, sx_buf *out);

#endif

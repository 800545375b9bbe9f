/* receive.h - spans and OTLP metrics that clients send: which protocol at which path, answers and errors.
 *
 * A receiver is one listener of a kind with the sink of what it takes. Its handlers hand the body to a
 * thread of the pool `intake`, which reads it (observe/spans) and gives the batch to the sink; the
 * answer tells what was refused. UDP has no answers: what is refused is counted.
 * Sources: OTLP specification 1.x (status codes, partial success, retry); jaeger-idl; zipkin-api. */
#ifndef OBSERVE_API_RECEIVE_H
#define OBSERVE_API_RECEIVE_H

#include "observe/api/api.h"
#include "net/udp.h"
#include "observe/rpc/rpc.h"
#include "observe/spans/otlp.h"
#include "observe/spans/sink.h"

typedef enum receiver_kind {
    RECEIVE_OTLP_GRPC,
    RECEIVE_OTLP_HTTP,
    RECEIVE_JAEGER_GRPC,
    RECEIVE_JAEGER_HTTP,
    RECEIVE_ZIPKIN,
    RECEIVE_JAEGER_COMPACT, /* UDP from here on */
    RECEIVE_JAEGER_BINARY,
    RECEIVE_KINDS
} receiver_kind;

enum { RECEIVER_ROUTES_MAX = 8 };

/* Lives as long as the service; filled by receiver_init. */
typedef struct receiver {
    observe_api *api;
    receiver_kind kind;
    span_sink sink;
    span_limits limits;
    sx_route routes[RECEIVER_ROUTES_MAX];
    size_t route_count;
    rpc_server rpc;                 /* of the gRPC kinds */
    sx_tls *tls;                    /* set after receiver_init, borrowed until it listens */
    sx_counter *accepted, *refused; /* sextant_receiver_{accepted,refused}_spans_total */
} receiver;

/* The default address of a kind and its name in the ready line: "127.0.0.1:4317", "otlp-grpc". */
const char *receiver_address(receiver_kind kind);
const char *receiver_name(receiver_kind kind);

/* Before the service starts, in its setup. */
sx_status receiver_init(receiver *r, observe_api *a, receiver_kind kind, span_sink sink,
                        const span_limits *limits, sx_error *err);
/* Opens it on all loops (TCP); of a UDP kind only its name is told to the service, nothing else happens yet. An optional one whose port is taken
 * is left out with a warning. */
sx_status receiver_listen(receiver *r, sx_str address, bool optional, sx_error *err);
/* UDP kinds: opens it on one loop, from loop_setup. */
sx_status receiver_open(receiver *r, sx_loop *loop, sx_str address, sx_udp **out, sx_bound *bound,
                        sx_error *err);

/* What TraceService/Export does, on a listener of another kind: spans go to `r`'s sink. */
sx_grpc_status receiver_export_rpc(rpc_call *c, receiver *r, sx_error *err);

/* OTLP metrics by gRPC: what api_otlp is for HTTP (write.c). */
sx_grpc_status api_otlp_metrics_rpc(rpc_call *c, observe_api *a, sx_error *err);

#endif

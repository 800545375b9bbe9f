/* jaeger_rpc.h - the listeners of Jaeger's gRPC APIs: queries (16685), and storage for a Jaeger of the
 * second version (17271), which writes by OTLP on the same port. Called by observe/traces_server.c. */
#ifndef OBSERVE_API_JAEGER_RPC_H
#define OBSERVE_API_JAEGER_RPC_H

#include "observe/api/receive.h"
#include "observe/jaeger/rpc.h"

enum { JAEGER_STORAGE_METHODS_MAX = 16 };

/* Live as long as the service. */
typedef struct jaeger_listeners {
    jaeger_rpc rpc; /* first: the methods' ctx */
    receiver writes;
    rpc_server query, storage;
    sx_route routes[2];
    rpc_method storage_methods[JAEGER_STORAGE_METHODS_MAX];
} jaeger_listeners;

/* Names the listeners of the flags --jaeger.query-grpc and --jaeger.storage to the service, in its
 * setup; what a Jaeger writes goes to `sink`. */
sx_status jaeger_listeners_init(jaeger_listeners *j, observe_api *a, tr_store *store,
                                span_sink sink, sx_error *err);

#endif

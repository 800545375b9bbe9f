/* rpc.h (jaeger) - Jaeger's gRPC services: query v2 and v3, and its storage interface v2.
 *
 * Tables of methods for rpc_serve; a server's ctx begins with a jaeger_rpc. Traces are streamed as they
 * are read, in messages well below the 4 MiB that clients take by default.
 * Called by observe/api/jaeger_rpc.c. */
#ifndef OBSERVE_JAEGER_RPC_H
#define OBSERVE_JAEGER_RPC_H

#include "observe/jaeger/archive.h"
#include "observe/jaeger/search.h"
#include "observe/rpc/rpc.h"

typedef struct jaeger_rpc {
    tr_store *store;
    uint64_t skew_ns; /* of jaeger_adjust */
    jaeger_archive archive;
    const sx_clock *clock; /* the store's; NULL: searches end with their calls alone */
    int64_t timeout_ms;    /* of a search */
    uint64_t bytes_max;    /* tr_limits' */
} jaeger_rpc;

/* jaeger.api_v2.QueryService and jaeger.api_v3.QueryService. */
extern const rpc_method jaeger_query_methods[];
extern const size_t jaeger_query_method_count;

/* jaeger.storage.v2: TraceReader, DependencyReader, Capabilities. */
extern const rpc_method jaeger_storage_methods[];
extern const size_t jaeger_storage_method_count;

#endif

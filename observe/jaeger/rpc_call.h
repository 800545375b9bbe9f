/* rpc_call.h - what the methods of Jaeger's gRPC services share. Internal to observe/jaeger. */
#ifndef OBSERVE_JAEGER_RPC_CALL_H
#define OBSERVE_JAEGER_RPC_CALL_H

#include "observe/jaeger/proto.h"
#include "observe/jaeger/rpc.h"

enum { RPC_MESSAGE_BYTES = 1 << 20 };

/* The status that an error of ours ends a call with. */
sx_grpc_status jaeger_rpc_status(const rpc_call *c, sx_status status);

tr_limits jaeger_rpc_limits(const rpc_call *c);

/* Unary methods that all dialects have. */
sx_grpc_status jaeger_rpc_services(rpc_call *c, sx_error *err);
sx_grpc_status jaeger_rpc_operations(rpc_call *c, jaeger_dialect dialect, sx_error *err);
sx_grpc_status jaeger_rpc_dependencies(rpc_call *c, jaeger_dialect dialect, sx_error *err);

/* A trace as it is stored, or archived; no spans: there is none. */
sx_status jaeger_rpc_read(rpc_call *c, const jaeger_wanted *w, span_batch *out, sx_error *err);

/* Streams of TracesData: one trace (`found` tells whether it is there), and those a search finds. */
sx_status jaeger_rpc_trace(rpc_call *c, const jaeger_wanted *w, bool *found, sx_error *err);
sx_status jaeger_rpc_find(rpc_call *c, jaeger_dialect dialect, jaeger_question *q, sx_error *err);
sx_status jaeger_rpc_summaries(rpc_call *c, jaeger_dialect dialect, jaeger_question *q,
                               sx_error *err);

/* Runs a search with its filter; what is found goes to one of the two. */
sx_status jaeger_rpc_search(rpc_call *c, jaeger_question *q, jaeger_trace_fn *trace, tr_hit_fn *hit,
                            void *ctx, sx_error *err);

#endif

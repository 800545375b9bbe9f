/* rpc.h - gRPC methods whose work is done by threads: what several of the observatory's APIs need.
 *
 * A method takes one message and sends any number: unary calls and streams from the server, which is
 * all that OTLP, Jaeger and its storage interface have. A request comes in on a loop and becomes an
 * rpc_call; a thread of a bounded pool does the work and sends answers through the loop, waiting while
 * the client is slow. When the client goes or its deadline passes, `canceled` is set. The health
 * service of grpc.health.v1 is answered for every server.
 *
 * Called by observe/api's listeners; methods are in collector, jaeger. */
#ifndef OBSERVE_RPC_RPC_H
#define OBSERVE_RPC_RPC_H

#include <stdatomic.h>

#include <sextant/grpc.h>
#include <sextant/loop.h>

#include "base/mem_account.h"

typedef struct rpc_call rpc_call;

struct rpc_call {
    void *ctx;               /* the server's */
    sx_str request;          /* the message, plain */
    sx_arena arena;          /* for the call */
    const char *peer;        /* the client's address; "" if it is not known */
    _Atomic bool canceled;   /* to be looked at now and then */
    struct rpc_state *state; /* rpc.c's own */
};

/* In a thread. What it returns is the call's status; `err` has the message if it is not OK. */
typedef sx_grpc_status rpc_work(rpc_call *c, sx_error *err);

typedef struct rpc_method {
    const char *path; /* "/jaeger.api_v2.QueryService/GetTrace" */
    rpc_work *work;
    bool is_intake; /* its memory is not a question's: `memory_max` does not count */
} rpc_method;

typedef struct rpc_server {
    const rpc_method *methods;
    size_t method_count;
    sx_pool *const *pool; /* looked up at each call: made when the loops start */
    void *ctx;
    size_t message_bytes_max;        /* 0: 4 MiB, as gRPC's servers */
    sx_mem_share *memory;            /* that all calls may hold; NULL: they are not counted */
    uint64_t memory_max;             /* that one may hold; 0: no limit */
    const char *const *memory_words; /* of their accounts */
    const _Atomic bool *stopping;    /* the loops have ended: nobody will send what is sent */
} rpc_server;

/* Serves one request, whatever its path: a route's or fallback's whole work. `server` outlives it. On
 * the request's loop. */
void rpc_serve(sx_request *r, const rpc_server *server);

/* Sends one message; copied. Waits until the client has taken most of what was sent before. False: it
 * has gone, or memory has; the work may end with any status. From the thread. */
bool rpc_send(rpc_call *c, sx_str message);

/* Adds google.rpc.RetryInfo to the status that the work will return, so that exporters of OpenTelemetry
 * come back: without it RESOURCE_EXHAUSTED is final to them. */
void rpc_retry_after(rpc_call *c, uint32_t seconds);

#endif

/* http_client.h - HTTP/1.1 and HTTP/2 calls from a loop: pools, time-outs, proxies, no threads.
 *
 * A client belongs to one loop and keeps a pool of connections per origin. Names are resolved by
 * c-ares without blocking. A call reports through its events; `done` comes exactly once, last. */
#ifndef SEXTANT_HTTP_CLIENT_H
#define SEXTANT_HTTP_CLIENT_H

#include <sextant/http.h>
#include <sextant/tls.h>
#include <sextant/url.h>

SX_BEGIN_DECLS

typedef struct sx_http_client sx_http_client;
typedef struct sx_call sx_call;

typedef struct sx_call_observer sx_call_observer;

typedef struct sx_http_client_options { /* 0 takes the default */
    uint32_t connect_ms_max;            /* 5000: DNS, TCP and TLS together */
    uint32_t response_ms_max;           /* 30000: from the request's end to the response's head */
    uint32_t idle_ms_max;               /* 60000: pooled connections */
    uint32_t connections_max;           /* 64 an origin; further calls wait in line */
    uint32_t waiting_max;               /* 1024 calls in line an origin; above it SX_REFUSED */
    uint32_t header_bytes_max;          /* 65536 of a response's head */
    uint64_t body_bytes_max;    /* 64 MiB of a response's body as received; SX_ELIMIT above it */
    sx_tls *tls;                /* for https; NULL: system roots, verified, h2 offered */
    const char *proxy;          /* "http://host:port"; NULL: none; "env": *_proxy and no_proxy */
    bool http2_prior_knowledge; /* h2c to http:// origins */
    bool spread_addresses;      /* each connection begins with another of a name's addresses */
    const char *user_agent;     /* NULL: "sextant/VERSION" */
    const sx_call_observer *observer; /* NULL: none; borrowed, see below */
    const char
        *no_proxy; /* hosts that `proxy` (but "env") is not for, as in the variable no_proxy */
    const sx_header *connect_headers; /* sent to the proxy with CONNECT; copied */
    size_t connect_header_count;
} sx_http_client_options;

/* A client on `loop`. `options` (NULL: all defaults) is copied. Errors: SX_ENOMEM; SX_EINVAL (the
 * proxy). */
sx_status sx_http_client_new(sx_loop *loop, const sx_http_client_options *options,
                             sx_http_client **out, sx_error *err);

/* Cancels what is under way (each call's `done` says SX_ECANCELED) and frees. */
void sx_http_client_free(sx_http_client *client);

typedef struct sx_response {
    int status;
    int version; /* 10, 11, 20 */
    const sx_header *headers;
    size_t header_count;
    int64_t content_bytes; /* -1 if not declared */
} sx_response;

typedef struct sx_call_events {
    void (*head)(sx_call *call, void *ctx, const sx_response *response);
    void (*body)(sx_call *call, void *ctx, sx_str piece);
    void (*writable)(sx_call *call, void *ctx); /* room again for sx_call_write */
    /* SX_OK when the response is complete. `trailers` may be empty. The call is gone afterwards. */
    void (*done)(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                 const sx_header *trailers, size_t trailer_count);
} sx_call_events;

typedef struct sx_call_request {
    sx_str method; /* empty: GET */
    sx_str url;    /* http:// or https://; unix:/path:/target for Unix sockets */
    const sx_header *headers;
    size_t header_count;
    sx_str body;           /* sent whole; copied */
    bool stream_body;      /* instead: sx_call_write, then sx_call_end */
    uint32_t total_ms_max; /* whole call; 0: no limit beyond the client's */
} sx_call_request;

/* Starts a call. Views are copied. On SX_OK `done` will come (never before this returns).
 * Errors: SX_EFORMAT (the URL, with what is wrong), SX_REFUSED, SX_ENOMEM. */
sx_status sx_http_call(sx_http_client *client, const sx_call_request *request,
                       const sx_call_events *events, void *ctx, sx_call **out, sx_error *err);

/* Streams the request's body: SX_AGAIN means wait for `writable`. */
sx_status sx_call_write(sx_call *call, sx_str piece);
void sx_call_end(sx_call *call);

/* Back-pressure on the response's body. */
void sx_call_pause(sx_call *call);
void sx_call_resume(sx_call *call);

/* Gives it up: `done` comes with SX_ECANCELED before this returns. */
void sx_call_cancel(sx_call *call);

/* The value of the first header of that name (any case); data NULL if there is none. */
sx_str sx_response_header(const sx_response *response, sx_str name);

/* Numbers for metrics: connections opened, reused, open now; calls waiting. */
typedef struct sx_http_client_counts {
    uint64_t opened, reused, open, waiting, failed;
} sx_http_client_counts;
const sx_http_client_counts *sx_http_client_counts_of(const sx_http_client *client);

/* ---- observers ---- */

enum { SX_CALL_EXTRA_FIELDS = 12 };

/* A call that is about to start. Views are good during `start` alone. */
typedef struct sx_call_start {
    sx_str method;       /* never empty */
    sx_str url;          /* as given */
    const sx_url *parts; /* of it */
    const sx_header *headers;
    size_t header_count;
    bool is_grpc;    /* its content-type says so */
    sx_arena *arena; /* lives as long as the call: for what the state points to */
    /* Fields to send besides: the observer sets them, and those that the caller has set win. Copied
     * when `start` returns; their texts may lie in the observer's state. */
    sx_header extra[SX_CALL_EXTRA_FIELDS];
    size_t extra_count;
} sx_call_start;

/* A call that is over. Views are good during `done` alone. */
typedef struct sx_call_end_info {
    sx_status status;
    const sx_error *err;         /* never NULL */
    const sx_response *response; /* NULL: no head came */
    const sx_header *trailers;
    size_t trailer_count;
    uint32_t resends;        /* further tries on other connections */
    uint64_t received_bytes; /* of the body */
    bool is_by_caller;       /* SX_ECANCELED: sx_call_cancel or the client's end, not a fault */
} sx_call_end_info;

/* What watches all calls of a client: the kit's is made by sx_kit_http_client_new (client_http.h).
 * Everything is called on the client's loop; any function but `start` and `done` may be NULL. Each
 * call has `state_bytes` of zeroed state, which live as long as the call. */
struct sx_call_observer {
    size_t state_bytes;
    void *ctx;
    /* The time that a call may take, given what was asked (0: any): for a caller's deadline. */
    uint32_t (*timeout_ms)(void *ctx, uint32_t asked_ms);
    /* Lets a call go, or refuses it: then sx_http_call fails with that status and no `done` comes. */
    sx_status (*start)(void *ctx, void *state, sx_call_start *call, sx_error *err);
    /* The call was let go by `start`, but cannot be made for want of memory or room: no `done`. */
    void (*dropped)(void *ctx, void *state, sx_status status, const sx_error *err);
    /* Around each of the caller's functions; what `enter` returns is given to `leave`. */
    const void *(*enter)(void *ctx, void *state);
    void (*leave)(void *ctx, const void *entered);
    /* Before the caller's `done`. */
    void (*done)(void *ctx, void *state, const sx_call_end_info *info);
    /* The client's numbers may have changed. */
    void (*counts)(void *ctx, const sx_http_client_counts *counts);
    /* The client is gone: frees the observer, if it wants to be freed so. */
    void (*closed)(void *ctx);
};

SX_END_DECLS

#endif

/* http_client.h - HTTP/1.1 and HTTP/2 calls from a loop: pools, time-outs, proxies, no threads.
 *
 * A client belongs to one loop and keeps a pool of connections per origin. Names are resolved by
 * c-ares without blocking. A call reports through its events; `done` comes exactly once, last. */
#ifndef SEXTANT_HTTP_CLIENT_H
#define SEXTANT_HTTP_CLIENT_H

#include <sextant/http.h>
#include <sextant/tls.h>

SX_BEGIN_DECLS

typedef struct sx_http_client sx_http_client;
typedef struct sx_call sx_call;

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
    const char *user_agent;     /* NULL: "sextant/VERSION" */
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

SX_END_DECLS

#endif

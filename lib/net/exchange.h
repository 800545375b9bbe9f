/* exchange.h - how http.h's calls reach the protocol that carries a request.
 *
 * lib/net/request.c implements the public sx_request and sx_reply functions once: it keeps the
 * reply's headers, checks states and counts, gathers bodies, and calls the protocol through these
 * operations. http1_server.c and http2_server.c embed sx_exchange in their own stream structure.
 *
 *   states    HEAD (parsed, handler called) -> BEGUN (reply's head sent) -> ENDED; any -> ABORTED
 *   freed     when reply ended or aborted, the body read or given up, and holds == 0 */
#ifndef SEXTANT_NET_EXCHANGE_H
#define SEXTANT_NET_EXCHANGE_H

#include <sextant/http.h>

typedef struct sx_exchange sx_exchange;

typedef struct sx_exchange_ops {
    /* Sends status line and headers (x->reply_headers and content headers); with body_bytes >= 0 the
     * length is declared. `body` is what goes in the same breath (may be empty), `last` if the reply
     * ends with it: one write for the usual reply. `fixed` says that body outlives the loop. */
    sx_status (*begin)(sx_exchange *x, int64_t body_bytes, sx_str body, bool last, bool fixed);
    sx_status (*write)(sx_exchange *x, sx_str piece); /* SX_OK, SX_AGAIN, SX_ECLOSED */
    void (*end)(sx_exchange *x);                      /* with x->trailers */
    void (*abort)(sx_exchange *x);
    sx_status (*interim)(sx_exchange *x, int status);
    sx_status (*upgrade)(sx_exchange *x, sx_str protocol); /* NULL in HTTP/2 */
    void (*body_wanted)(
        sx_exchange *x); /* somebody reads the body: send 100-continue, open windows */
    void (*pause)(sx_exchange *x);
    void (*resume)(sx_exchange *x);
    void (*free)(sx_exchange *x); /* the last hold is gone: release the memory */
} sx_exchange_ops;

typedef enum sx_exchange_state {
    SX_EXCHANGE_HEAD,
    SX_EXCHANGE_BEGUN,
    SX_EXCHANGE_ENDED,
    SX_EXCHANGE_ABORTED,
    SX_EXCHANGE_STATES
} sx_exchange_state;

struct sx_exchange {
    sx_request request; /* public part; first, so that one casts to the other */
    const sx_exchange_ops *ops;
    sx_http_server *server;
    sx_exchange_state state;
    uint32_t holds; /* 1 for the protocol itself */
    bool body_done; /* all of the request's body was delivered */
    bool paused;
    sx_buf reply_headers; /* raw name/value pairs as request.c lays them out */
    sx_buf trailers;
    sx_str reply_type;        /* content type of the reply, in the arena or static */
    int64_t reply_bytes_left; /* of a declared length; -1 if unknown */
    const sx_request_events *events;
    void *events_ctx;
    sx_buf gathered; /* by sx_request_read_body */
    size_t gather_max;
    sx_handler *gather_then;
    void *gather_ctx;
};

#endif

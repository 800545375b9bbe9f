/* exchange.h - how http.h's calls reach the protocol that carries a request.
 *
 * lib/net/request.c implements the public sx_request and sx_reply functions once: it keeps the
 * reply's headers, checks states and counts, gathers bodies, and calls the protocol through
 * sx_exchange_ops. http1_server.c and http2_server.c embed sx_exchange first in their own structure,
 * fill the request's public part from the head, and report what happens by the sx_exchange_
 * functions below.
 *
 *   states    HEAD (parsed, handler called) -> BEGUN (reply's head sent) -> ENDED; any -> ABORTED
 *   memory    `holds` starts at 1, which is the protocol's own; it gives that up by
 *             sx_exchange_drop() once the reply was sent or cut and the body read or given up.
 *             At 0 ops->free is called. */
#ifndef SEXTANT_NET_EXCHANGE_H
#define SEXTANT_NET_EXCHANGE_H

#include <sextant/http.h>

typedef struct sx_exchange sx_exchange;

typedef struct sx_exchange_ops {
    /* Sends status line and headers (x->reply_fields and content headers); with body_bytes >= 0 the
     * length is declared. `body` is what goes in the same breath (may be empty), `last` if the reply
     * ends with it: one write for the usual reply. `fixed` says that body outlives the loop. To HEAD
     * request.c passes an empty body with the length it would have had. x->request.status is set. */
    sx_status (*begin)(sx_exchange *x, int64_t body_bytes, sx_str body, bool last, bool fixed);
    sx_status (*write)(sx_exchange *x, sx_str piece); /* SX_OK, SX_AGAIN, SX_ECLOSED */
    void (*end)(sx_exchange *x);                      /* with x->trailers; x may be gone after */
    void (*abort)(sx_exchange *x);                    /* by our side; x may be gone after */
    sx_status (*interim)(sx_exchange *x, int status); /* with x->reply_fields */
    sx_status (*upgrade)(sx_exchange *x, sx_str protocol); /* NULL in HTTP/2 */
    void (*body_wanted)(
        sx_exchange *x); /* somebody reads the body: send 100-continue, open windows */
    void (*pause)(sx_exchange *x);
    void (*resume)(sx_exchange *x);
    void (*free)(sx_exchange *x); /* the last hold is gone: recycle it with sx_exchange_reset */
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
    uint32_t holds;  /* 1 for the protocol itself */
    bool body_done;  /* all of the request's body was delivered to sx_exchange_body_in */
    bool body_asked; /* ops->body_wanted was called */
    bool paused;
    bool started; /* the handler was called: `done` is due */
    bool done_told;
    bool needs_client;     /* a half-closed connection is as good as a closed one */
    bool is_answered_soon; /* `aborted` is set, and yet a half-closed client gets its reply */
    bool wants_drained;    /* the last write said SX_AGAIN */
    bool upgraded;
    bool coded;                /* pieces of the reply go through the server's coder */
    bool code_failed;          /* it has failed: what follows is dropped, the end is an abort */
    bool has_date, has_server; /* reply_fields has one: the server adds none */
    bool head_only;      /* HEAD, 204, 304: pieces of the reply's body are counted, not sent */
    sx_buf reply_fields; /* "name: value\r\n" each, as HTTP/1.1 sends them; sx_fields_next reads */
    sx_buf trailers;     /* the same */
    sx_str reply_type;   /* content type of the reply during ops->begin; empty: none */
    int64_t reply_bytes_left; /* of a declared length; -1 if unknown */
    const sx_request_events *events;
    void *events_ctx;
    sx_buf gathered; /* by sx_request_read_body */
    size_t gather_max;
    sx_handler *gather_then;
    void *gather_ctx;
};

/* Once in an exchange's life, before its first use, and at its end. arena_bytes_max bounds what the
 * request may hold in its arena (0: any). */
void sx_exchange_init(sx_exchange *x, const sx_exchange_ops *ops, sx_http_server *server,
                      size_t arena_bytes_max);
void sx_exchange_fini(sx_exchange *x);

/* Makes it fresh for the next request, keeping a little memory; every field of the request is zero,
 * holds is 1. Called by the protocol when it takes one from its pool. */
void sx_exchange_reset(sx_exchange *x);

/* The head is filled in (all of "what was asked", `peer`): counts it, reads the time, calls the
 * server's handler. `body_done` is set before if there is no body. x may be gone after. */
void sx_exchange_start(sx_exchange *x);

/* A piece of the body, `last` with the final one. x may be gone after. Pieces that nobody asked for
 * are dropped and counted. */
void sx_exchange_body_in(sx_exchange *x, sx_str piece, bool last);

/* Output fell below the low mark. */
void sx_exchange_writable(sx_exchange *x);

/* The client went away, or a limit or time-out ended it: state becomes ABORTED, `aborted` and the
 * server's `done` are called. Harmless if it has ended. The protocol's own hold stays. */
void sx_exchange_cut(sx_exchange *x);

/* Whether a client that has closed its side of the connection, its request whole, is taken for gone:
 * the rule that http.h gives at sx_request_needs_client. */
bool sx_exchange_is_for_nobody(const sx_exchange *x);

/* The reply's last byte was handed to the system: the server's `done` is called. Once. */
void sx_exchange_sent(sx_exchange *x);

/* Gives up the protocol's hold. */
void sx_exchange_drop(sx_exchange *x);

static inline sx_exchange *sx_exchange_of(sx_request *r)
{
    return (sx_exchange *)(void *)r;
}

/* Walks reply_fields or trailers: takes the next field off *rest. False at the end. */
bool sx_fields_next(sx_str *rest, sx_str *name, sx_str *value);

#endif

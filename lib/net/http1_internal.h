/* http1_internal.h - one HTTP/1.x connection, shared by its three files.
 *
 *   http1_server.c  the connection: events, timers, drain, end
 *   http1_input.c   what arrives: heads, bodies, pipelines
 *   http1_reply.c   the reply: heads, chunks, upgrades (the operations of exchange.h)
 *
 * Requests are served one after the other: what a client sends ahead stays in the socket, or is
 * handed back to the stream if it was read already, so that replies cannot get out of order and a
 * client that only sends is stopped by TCP.
 *
 *   IDLE -> HEAD -> BODY -> WAIT -> IDLE      IDLE: nothing of the next request was read
 *             \______________/                HEAD: some of its head (in `partial`)
 *   WAIT -> RAW (101)                         BODY: its body is arriving
 *   any -> CLOSING                            WAIT: all is here but the reply has not ended
 *
 * Memory: an exchange (with room for its fields) comes from the server's spare list when a head is
 * whole and goes back when its reply is with the system, so an idle connection has this structure and
 * its stream, and no buffer. */
#ifndef SEXTANT_NET_HTTP1_INTERNAL_H
#define SEXTANT_NET_HTTP1_INTERNAL_H

#include "net/http1_parser.h"
#include "net/http_server.h"
#include "net/loop_internal.h"

typedef enum http1_state {
    HTTP1_HANDSHAKE, /* TLS; ALPN then decides the protocol */
    HTTP1_IDLE,
    HTTP1_HEAD,
    HTTP1_BODY,
    HTTP1_WAIT,
    HTTP1_RAW,
    HTTP1_CLOSING, /* no more input is looked at; closed once all output is with the system */
    HTTP1_STATES
} http1_state;

typedef struct http1_conn {
    sx_http_conn base;
    sx_http_server *server;
    sx_stream *stream;                          /* NULL once it is closed or handed over */
    http1_exchange *current;                    /* the request being read or answered */
    http1_exchange *unsent_first, *unsent_last; /* ended, but not all with the system, in order */
    sx_timer timer;
    int64_t deadline_ms; /* INT64_MAX: none. The timer may be set for an earlier moment */
    sx_buf partial;      /* of a head that came in pieces */
    http1_progress progress;
    http1_chunks chunks;
    uint64_t body_left; /* of a declared length */
    uint32_t discarded; /* of a body that nobody wants */
    uint32_t requests;
    uint32_t depth; /* of http1_enter */
    uint8_t state;
    bool output_full; /* replies wait for the client to take them: no further request is read */
    bool peer_ended;  /* the client has sent FIN */
    bool closes;      /* after the reply under way */
    bool lingers;     /* and with input unread: RFC 9112, section 9.6 */
    bool dead;
} http1_conn;

struct http1_exchange {
    sx_exchange x;    /* first: exchange.h's pointer is ours */
    http1_conn *conn; /* NULL once the connection is gone: an application still holds it */
    http1_exchange *next_unsent;
    sx_list link;    /* server->http1_free */
    uint64_t end_at; /* in the stream's output, where the reply ends */
    sx_buf
        head_kept;  /* where the request's views point if its head came in pieces; else its arena */
    sx_str upgrade; /* what the client offers */
    bool keep_alive;
    bool expects_continue; /* and was not told to go on yet */
    bool chunked_reply;
    bool reply_over; /* sent or cut */
    bool body_over;  /* read or given up */
    bool listed;     /* on the conn's unsent list */
    sx_header headers[];
};

/* Bracket whatever may write or end the connection. The outermost leave sends what was gathered,
 * tells what is done, and frees a dead connection. */
void http1_enter(http1_conn *c);
void http1_leave(http1_conn *c);

/* Sets the moment by which something has to happen; 0: nothing has to. */
void http1_expect_within(http1_conn *c, uint32_t ms);

/* The reply's last byte was written. */
void http1_reply_ended(http1_exchange *e);

/* Ends the connection once its output is sent. */
void http1_close(http1_conn *c, bool lingers);

/* Ends it now. With a reply half-way the client has to see that: RST. */
void http1_kill(http1_conn *c);

/* Drops the protocol's hold if both halves are over. */
void http1_drop_if_over(http1_exchange *e);

/* Uses what was read; what cannot be used yet goes back to the stream. */
void http1_input(http1_conn *c, sx_str in);

/* The connection speaks HTTP/2: gives stream and bytes to http2_server.c. */
void http1_hand_over(http1_conn *c, sx_str bytes);

static inline const sx_http_limits *http1_limits(const http1_conn *c)
{
    return &c->server->options.limits;
}

/* Sends a reply of ours in place of an application's and closes. */
void http1_answer_error(http1_conn *c, int status, const char *why);

extern const sx_exchange_ops http1_ops;

#endif

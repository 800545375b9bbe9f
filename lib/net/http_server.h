/* http_server.h - what one sx_http_server is made of, for the two protocols that serve its streams.
 *
 * A server owns its listeners (listener.c) and its connections. Each connection, of whichever
 * protocol, embeds sx_http_conn and is on the server's list from its first byte to its end, so that
 * drain and free reach all of them. Everything here is for the server's loop alone. */
#ifndef SEXTANT_NET_HTTP_SERVER_H
#define SEXTANT_NET_HTTP_SERVER_H

#include <sextant/http.h>
#include <sextant/list.h>
#include <sextant/timer.h>

#include "net/exchange.h"
#include "net/stream.h"

typedef struct sx_http_conn sx_http_conn;

typedef struct sx_http_conn_ops {
    /* Drain has begun: close if idle, else finish what is under way and close then. */
    void (*drain)(sx_http_conn *conn);
    /* Ends it now: every exchange is cut, the stream reset, the connection freed. */
    void (*kill)(sx_http_conn *conn);
} sx_http_conn_ops;

struct sx_http_conn {
    sx_list link; /* in server->conns */
    const sx_http_conn_ops *ops;
};

typedef struct http1_exchange http1_exchange;
typedef struct sx_listener sx_listener;

enum { SX_HTTP_DATE_BYTES = 29 }; /* "Sun, 06 Nov 1994 08:49:37 GMT" */

struct sx_http_server {
    sx_loop *loop;
    sx_http_server_options options; /* limits filled in: no zero means default here */
    sx_stream_options stream_options;
    sx_http_counts counts;
    sx_list conns;
    sx_list listeners;
    sx_list http1_free; /* exchanges waiting for their next request */
    uint32_t http1_free_count;

    /* Drain. */
    bool draining;
    sx_timer drain_timer;
    void (*drained)(sx_http_server *server, void *ctx);
    void *drained_ctx;
    bool drain_told;
    bool freed; /* but requests are still held: the last one frees the memory */

    /* "server: NAME\r\ndate: ...\r\n", renewed when the second changes. */
    int64_t fixed_second;
    size_t fixed_len;
    size_t fixed_date_at;
    char fixed_fields[192];
};

/* Puts a connection on the list and takes it off; the last one off ends a drain (in a later turn). */
void sx_http_server_add(sx_http_server *server, sx_http_conn *conn, const sx_http_conn_ops *ops);
void sx_http_server_remove(sx_http_server *server, sx_http_conn *conn);

/* Frees the memory of a server that was freed, once no request holds it. */
void sx_http_server_let_go(sx_http_server *server);

/* Counts and reports a connection or request refused before it reached the handler. */
void sx_http_server_reject(sx_http_server *server, const sx_peer *peer, int status,
                           const char *why);

/* The Server field (if named) and the Date field as lines ready to send, and the date alone, of the
 * loop's present second. The view is good until the turn ends. */
sx_str sx_http_server_fixed_fields(sx_http_server *server);
sx_str sx_http_server_date(sx_http_server *server);

/* Serves a stream that was accepted: HTTP/1.1, or HTTP/2 if ALPN or the preface says so. Takes the
 * stream over. Called by listener.c, tests and the fuzzer. */
void sx_http_server_take(sx_http_server *server, sx_stream *s);

/* sx_http_server_take for an open stream in HTTP/1.x, with what was read of it so far. */
void sx_http1_server_take(sx_http_server *server, sx_stream *s, sx_str already_read);

/* listener.c: stops taking connections once the queue is empty; closes a listener. */
void sx_listener_drain(sx_listener *l);
void sx_listener_close(sx_listener *l);

#endif

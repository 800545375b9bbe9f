/* http_client_internal.h - the inside of sx_http_client, shared by its files.
 *
 *   http_client.c          the public calls; a call's life
 *   http_client_request.c  a call's request: checked, copied, written as HTTP/1.1 text or fields
 *   http_client_pool.c     origins: which connection takes which call
 *   http_client_connect.c  a connection's making: name, addresses in turn, proxy, TLS
 *   http_client_http1.c    calls over HTTP/1.1, with its strict response parser
 *   http_client_http2.c    calls over HTTP/2, on nghttp2
 *   http_client_observe.c  what the kit's spans, metrics and breakers hang on
 *   http_client_proxy.c    which proxy, if any: the *_proxy and no_proxy of the environment
 *
 *   call    in line -> on a connection -> head -> body -> done (exactly once) -> freed
 *
 * Every event enters by client_enter and leaves by client_leave. What ends in between (calls,
 * connections, the client itself) is marked and freed by the outermost leave, so that a callback may
 * cancel anything, its own call and the client included. */
#ifndef SEXTANT_NET_HTTP_CLIENT_INTERNAL_H
#define SEXTANT_NET_HTTP_CLIENT_INTERNAL_H

#include <sextant/http_client.h>
#include <sextant/list.h>
#include <sextant/map.h>
#include <sextant/timer.h>
#include <sextant/url.h>

#include "net/dns.h"
#include "net/http1_parser.h"
#include "net/http2_mem.h"
#include "net/stream.h"

enum {
    CLIENT_TRIES_MAX = 3,            /* of one call, where trying again is safe */
    CLIENT_STAGGER_MS = 250,         /* before the next address is tried beside: RFC 8305, 5 */
    CLIENT_OUTPUT_HIGH = 256 * 1024, /* sx_call_write says SX_AGAIN above it */
    CLIENT_OUTPUT_LOW = 64 * 1024,
    CLIENT_STREAM_WINDOW = 256 * 1024,
    CLIENT_CONNECTION_WINDOW = 4 * 1024 * 1024,
    CLIENT_ORIGINS_KEPT = 256,
    CLIENT_STREAMS_MAX = 100 /* until the server's SETTINGS say otherwise */
};

typedef struct client_origin client_origin;
typedef struct client_conn client_conn;
typedef struct client_connect client_connect;

typedef enum client_protocol { CLIENT_UNKNOWN, CLIENT_HTTP1, CLIENT_HTTP2 } client_protocol;

/* A proxy, from options or environment. */
typedef struct client_proxy {
    sx_str url_text; /* what `url` points into; owned by the client's arena */
    sx_url url;
    sx_str authorization; /* value of Proxy-Authorization, or empty */
} client_proxy;

struct sx_http_client {
    sx_loop *loop;
    sx_http_client_options options; /* defaults filled in */
    sx_stream_options stream_options;
    sx_http_client_counts counts;
    const sx_call_observer *observer; /* NULL: none */
    sx_arena arena;                   /* what lives as long as the client: proxies, user agent */
    sx_tls *tls;                      /* ours to unref; NULL until https is first used */
    sx_dns *dns;                      /* NULL until a name is first looked up */
    sx_map origins;                   /* key text to client_origin */
    sx_list calls;                    /* all that live */
    sx_list dead_calls, dead_conns;
    client_proxy *http_proxy, *https_proxy; /* NULL: straight */
    sx_str no_proxy;
    uint32_t depth;
    uint32_t turn; /* of addresses, where they are spread */
    bool closing;
};

/* Where calls with the same peer go. */
struct client_origin {
    sx_http_client *client;
    sx_str key; /* own memory behind the struct */
    sx_url_scheme scheme;
    sx_str host; /* in key's memory too; the socket's path for Unix */
    uint16_t port;
    client_proxy *proxy;      /* NULL: straight */
    client_protocol protocol; /* what the last connection spoke */
    sx_list waiting;          /* calls in line */
    uint32_t waiting_count;
    sx_list idle;  /* HTTP/1.1 connections, the last used first */
    sx_list busy;  /* HTTP/1.1 connections with a call */
    sx_list multi; /* HTTP/2 connections */
    sx_list connecting;
    uint32_t open_count; /* all of the above, connecting included */
    uint32_t users;      /* calls and connections that name it, ended ones until they are freed */
    uint32_t connecting_count;
};

typedef struct client_conn_ops {
    void (*start)(client_conn *conn, sx_call *call); /* gives the call to the connection */
    void (*output)(sx_call *call);                   /* call->out has grown, or has ended */
    void (*resume)(sx_call *call);                   /* unpaused */
    void (*forget)(sx_call *call);    /* cancelled or failed: not done with the peer */
    void (*close)(client_conn *conn); /* frees what is the protocol's own */
} client_conn_ops;

struct client_conn {
    sx_list link; /* one of the origin's lists, or client->dead_conns */
    client_origin *origin;
    const client_conn_ops *ops;
    sx_stream *stream; /* NULL once closed */
    sx_timer idle_timer;
    uint64_t used; /* calls that it has taken */
    bool dead;

    /* HTTP/1.1. */
    sx_call *call;
    sx_buf head; /* of the response, until it is whole */
    http1_chunks chunks;
    uint64_t body_left;
    uint8_t state;
    bool keep_alive;

    /* HTTP/2. */
    nghttp2_session *session;
    sx_list calls;
    uint32_t call_count;
    uint32_t streams_max;
    bool leaving; /* GOAWAY: no new calls */
    bool blocked; /* the socket's queue is full */
    bool output_due;
    sx_timer flush_timer;
};

struct sx_call {
    sx_list link; /* client->calls, then client->dead_calls */
    sx_list line; /* origin->waiting, or conn->calls (HTTP/2) */
    sx_http_client *client;
    client_origin *origin;
    client_conn *conn; /* NULL in line */
    const sx_call_events *events;
    void *ctx;
    sx_arena arena;
    bool done_told;
    bool by_caller; /* cancelled by it */
    uint32_t tries;
    void *observed; /* the observer's state, in the arena; NULL: nobody watches */

    /* The request, in the arena. */
    sx_str method, target, authority;
    sx_header *headers;
    size_t header_count;
    sx_str authorization; /* from the URL's user, or empty */
    sx_str body;
    size_t body_at;         /* sent so far of `body` */
    int64_t declared_bytes; /* Content-Length of a streamed body; -1: none */
    int64_t declared_left;  /* of it, not yet written */
    bool stream_body;
    bool body_ended; /* sx_call_end was called */
    bool is_idempotent;
    bool is_head;
    bool sent;         /* the request is out, but for what the socket holds */
    bool wrote_stream; /* streamed bytes went out: they cannot be had again */
    bool wants_writable;
    sx_buf out; /* streamed, not yet taken by the connection */
    size_t out_at;

    /* The response. */
    sx_response response;
    sx_header *fields;
    size_t field_count, field_cap, field_bytes;
    sx_header *trailers;
    size_t trailer_count, trailer_cap;
    uint64_t received;
    bool answered; /* a byte of the response was seen */
    bool head_told;
    bool paused;

    /* HTTP/2. */
    int32_t stream_id;
    bool deferred;     /* the data provider waits for output */
    bool remote_ended; /* END_STREAM has come */
    sx_buf held;       /* arrived while paused */

    sx_timer response_timer, total_timer, later;
    sx_status fail_status; /* told by `later` */
    sx_error fail_error;
};

/* ---- http_client.c ---- */

void client_enter(sx_http_client *client);
void client_leave(sx_http_client *client); /* the client may be gone after */
sx_timers *client_timers(const sx_http_client *client);

/* The only two ways to end a call. `done` is called; the call is dead after. */
void call_succeed(sx_call *call);
void call_fail(sx_call *call, sx_status status, const sx_error *err);

/* Fails in a later turn: for what goes wrong while the application starts the call. */
void call_fail_later(sx_call *call, sx_status status, const sx_error *err);

/* The connection died under a call. Tries again where that is safe, else fails it. `never_seen`: the
 * peer has promised not to have looked at it. */
void call_lost(sx_call *call, sx_status status, const sx_error *err, bool never_seen);

/* The request's last byte was given to the connection: the response's time runs. */
void call_sent(sx_call *call);

/* The head is complete in `fields`: checks limits, tells. False: the call has ended. */
bool call_head(sx_call *call, int status, int version);

/* A piece of the response's body. False: the call has ended. */
bool call_body(sx_call *call, sx_str piece);

/* Copies a field into the response's (or its trailers). Errors: SX_ENOMEM, SX_ELIMIT. */
sx_status call_add_field(sx_call *call, sx_str name, sx_str value, bool is_trailer);

/* The streamed output is below the low mark again. */
void call_writable(sx_call *call);

/* Streamed bytes that wait. */
static inline size_t call_pending(const sx_call *call)
{
    return call->out.len - call->out_at;
}

/* Marks `n` waiting bytes as sent. */
void call_consume(sx_call *call, size_t n);

/* ---- http_client_observe.c ---- */

/* What a call may take, given what was asked for (0: any time): the observer may know of less. */
uint32_t client_timeout_ms(const sx_http_client *client, uint32_t asked_ms);

/* Asks the observer whether the call may go, and takes what it wants to send along. Only with an
 * observer. Errors: what it says; as call_take_request. */
sx_status call_observe_start(sx_call *call, const sx_call_request *request, const sx_url *url,
                             sx_error *err);

/* A call that the observer has let go came to nothing before it stood in line. */
void call_observe_dropped(sx_call *call, sx_status status, const sx_error *err);

/* Around the caller's functions: what runs in between belongs to whom the call was made for. */
const void *call_observe_enter(sx_call *call);
void call_observe_leave(sx_call *call, const void *entered);

/* The call is over. Only of one that is observed. */
void call_observe_done(sx_call *call, sx_status status, const sx_error *err);

/* ---- http_client_request.c ---- */

/* Checks the request and copies it into the call's arena; `url` is the parsed one. */
sx_status call_take_request(sx_call *call, const sx_call_request *request, const sx_url *url,
                            sx_error *err);

/* A field that a caller gives: a name, a value without control bytes, none of the client's own.
 * Errors: SX_EINVAL. */
sx_status client_check_header(sx_header h, sx_error *err);

/* Adds the observer's fields to the call's. Errors: as call_take_request. */
sx_status call_add_extra(sx_call *call, const sx_call_start *start, sx_error *err);

/* Writes the head as HTTP/1.1 sends it; through a proxy for http:// the target is absolute. */
void call_write_head(const sx_call *call, sx_buf *out);

/* The head as nghttp2 takes it, in the call's arena. NULL without memory. */
nghttp2_nv *call_http2_fields(sx_call *call, size_t *count);

/* "Basic " and base64 of a URL's user part, decoded; empty without one; data NULL without memory. */
sx_str client_basic(sx_arena *arena, sx_str userinfo);

/* ---- http_client_pool.c ---- */

/* The origin that `url` belongs to, made if need be. NULL without memory. */
client_origin *client_origin_of(sx_http_client *client, const sx_url *url);

/* Gives waiting calls to connections, and starts connections for the rest. */
void origin_dispatch(client_origin *origin);

/* A connection was made and speaks `protocol`. */
void origin_connected(client_origin *origin, sx_stream *stream, client_protocol protocol);

/* A connection could not be made. */
void origin_connect_failed(client_origin *origin, sx_status status, const sx_error *err);

/* An HTTP/1.1 connection has no call any more: to the pool, or closed if it cannot go on. */
void conn_release(client_conn *conn, bool reusable);

/* Takes a connection out of its pool; it is freed by the outermost leave. */
void conn_die(client_conn *conn);
void conn_free(client_conn *conn);

/* Closes all of an origin's idle connections: their peer has shown that it drops them. */
void origin_close_idle(client_origin *origin);

/* A call or connection that named it is gone. Of origins that nobody uses a few are kept. */
void origin_unuse(client_origin *origin);

/* Frees an origin with its connections and connects. No call may be left. */
void origin_free(client_origin *origin);

/* ---- http_client_connect.c ---- */

/* Starts connecting to an origin; ends by origin_connected or _connect_failed, never before it
 * returns. Errors: SX_ENOMEM and what TLS says; then neither comes. */
sx_status client_connect_start(client_origin *origin, sx_error *err);
void client_connect_cancel(client_connect *connect);
client_connect *client_connect_of(sx_list *link);

/* ---- the protocols ---- */

void http1_conn_init(client_conn *conn);
sx_status http2_conn_init(client_conn *conn, sx_error *err);
bool http2_conn_has_room(const client_conn *conn);

/* Parses a response's head, "HTTP/1.x 200 ..." up to and with its empty line, into the call's
 * response. A 1xx is parsed, too. Errors: SX_EPROTOCOL, with what is wrong; SX_ENOMEM; SX_ELIMIT. */
typedef struct http1_response {
    int status, version;
    bool keep_alive;
    bool chunked;
    bool until_close;
    uint64_t body_bytes;
} http1_response;
sx_status http1_response_parse(sx_call *call, sx_str head, http1_response *out, sx_error *err);

/* ---- http_client_proxy.c ---- */

/* Reads options->proxy. Errors: SX_EFORMAT, SX_EUNSUPPORTED, SX_ENOMEM. */
sx_status client_proxy_init(sx_http_client *client, const char *proxy, sx_error *err);

/* The proxy for a URL, or NULL. */
client_proxy *client_proxy_for(const sx_http_client *client, const sx_url *url);

/* Whether no_proxy, a list as curl takes it, names the host: "*", a domain and what is below it, an
 * address, or a network in CIDR form. */
bool client_no_proxy_matches(sx_str list, sx_str host, bool is_ipv6);

#endif

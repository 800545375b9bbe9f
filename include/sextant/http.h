/* http.h - HTTP as a service sees it: requests, replies and the server that brings them.
 *
 * One interface for HTTP/1.1 and HTTP/2 (lib/net/http1_*.c, http2_*.c). A server belongs to one
 * loop; a service opens one on each loop, on the same address (SO_REUSEPORT). The server calls its
 * handler as soon as a request's head is complete; the handler replies at once, or later, or asks
 * for the body first. Everything here is for the loop's thread alone.
 *
 *     static void hello(sx_request *r, void *ctx)
 *     {
 *         (void)ctx;
 *         sx_reply(r, 200, SX_STR("text/plain"), SX_STR("hello, world\n"));
 *     }
 *
 * Life of a request. It exists from its head until its reply has ended and its body has been read or
 * given up, or until the client has gone. Whoever keeps the pointer past a callback either sets
 * `aborted` (below) or holds it with sx_request_hold(); after an abort replying is harmless and
 * returns SX_ECLOSED. Views in it live as long as it does. */
#ifndef SEXTANT_HTTP_H
#define SEXTANT_HTTP_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/loop.h>

SX_BEGIN_DECLS

/* Methods that routes name; any other token is SX_METHOD_OTHER with its text in method_text. */
#define SX_METHOD_LIST(X)                                                                          \
    X(GET) X(HEAD) X(POST) X(PUT) X(DELETE) X(CONNECT) X(OPTIONS) X(TRACE) X(PATCH)

typedef enum sx_method {
#define X(name) SX_##name,
    SX_METHOD_LIST(X)
#undef X
        SX_METHOD_OTHER,
    SX_METHODS
} sx_method;

/* One field line. In HTTP/2 names are lower case; in HTTP/1.1 as sent. Values are trimmed. */
typedef struct sx_header {
    sx_str name, value;
} sx_header;

/* The other side of a connection. */
typedef struct sx_peer {
    char address
        [46]; /* numeric, no brackets; of the PROXY header if one was trusted; "" on a Unix socket */
    uint16_t port;
    bool tls;
    sx_str tls_server_name; /* SNI, or empty */
    sx_str tls_client_name; /* subject of the verified client certificate, or empty */
} sx_peer;

typedef struct sx_request sx_request;
typedef struct sx_http_server sx_http_server;
typedef void sx_handler(sx_request *r, void *ctx);

/* What may still happen to a request; any member may be NULL. Set with sx_request_events_set(). */
typedef struct sx_request_events {
    /* A piece of the body, decoded from its framing; `last` with the final one (which may be empty).
     * The view is good for the call. */
    void (*body)(sx_request *r, void *ctx, sx_str piece, bool last);
    /* The output queue has fallen below its low mark after a write said SX_AGAIN. */
    void (*drained)(sx_request *r, void *ctx);
    /* The client went away (before the reply begins, an orderly close counts: see
     * sx_request_needs_client), or a limit or time-out ended the request. Called once; none follows.
     * Without a hold `r` is gone when it returns. */
    void (*aborted)(sx_request *r, void *ctx);
} sx_request_events;

struct sx_request {
    /* What was asked. */
    sx_method method;
    sx_str method_text;
    sx_str target;         /* as sent: origin form, absolute form, or "*" */
    sx_str path;           /* from the first '/' to '?'; still percent-encoded; "/" if absent */
    sx_str query;          /* after '?', still encoded; empty if none */
    sx_str scheme;         /* "http" or "https" */
    sx_str authority;      /* Host or :authority */
    int version;           /* 10, 11 or 20 */
    int64_t content_bytes; /* declared length; 0 for no body; -1 if chunked or unknown */
    const sx_header *headers;
    size_t header_count;
    sx_str body;         /* all of it, once sx_request_read_body() has called back */
    const sx_peer *peer; /* lives as long as the connection */

    /* Where and when. */
    sx_loop *loop;
    sx_arena arena;        /* freed with the request */
    int64_t start_mono_ns; /* when its head's last byte was parsed */

    /* What was answered: for observers. */
    int status;              /* 0 until a reply begins */
    uint64_t sent_bytes;     /* of the reply's body */
    uint64_t received_bytes; /* of the request's body */
    bool cut_short;          /* aborted before the reply's end */

    /* For the layer above the server (lib/service). */
    sx_str id;         /* request id, empty until somebody sets it */
    const char *route; /* the pattern that matched, for metrics; NULL if none */
    void *service;     /* that layer's own */
};

/* ---- reading ---- */

/* The value of the first header of that name (any case), or an empty view with data NULL. */
sx_str sx_request_header(const sx_request *r, sx_str name);

/* Sets who hears of body, drain and abort. Replaces the earlier one. */
void sx_request_events_set(sx_request *r, const sx_request_events *events, void *ctx);

/* Gathers the body (in r->body, at most bytes_max) and then calls `then(r, ctx)`: at once if there is
 * none. A longer one is answered 413 and `then` is never called. The usual way. */
void sx_request_read_body(sx_request *r, size_t bytes_max, sx_handler *then, void *ctx);

/* Stops and restarts the flow of body pieces: back-pressure to the client. */
void sx_request_pause(sx_request *r);
void sx_request_resume(sx_request *r);

/* From now on a client that closes its side of an HTTP/1.1 connection counts as gone (`aborted`): for
 * work that takes long and is for nobody then. An orderly close looks the same as a client that has
 * shut down only its writing side and waits for the reply (RFC 9112, section 9.6). Without this call
 * the close of a client whose request is whole means:
 *
 *     reply not begun, `aborted` is set          gone: whoever wants to be told is told
 *     reply not begun, no `aborted`, but a hold  waits: it gets the reply
 *     reply not begun, neither                   gone: nobody is left who could reply
 *     reply begun                                waits: if it has gone, the next write finds out
 *
 * A client that closes inside its request's body, or resets the connection, is gone in any case. In
 * HTTP/2 a client that goes resets the stream. */
void sx_request_needs_client(sx_request *r);

/* Keeps `r` valid past its end; each hold needs one release, both on its loop. */
void sx_request_hold(sx_request *r);
void sx_request_release(sx_request *r);

/* ---- replying ---- */

/* Adds a field to the reply, before it begins. Both views are copied. Connection, Transfer-Encoding,
 * Keep-Alive and Upgrade are the server's affair and refused, Content-Length is set by the calls
 * below. Errors: SX_EINVAL (a name that is no token, CR, LF or NUL in the value, too late), SX_ELIMIT,
 * SX_ENOMEM. */
sx_status sx_reply_header(sx_request *r, sx_str name, sx_str value);

/* The whole reply in one call: `body` is copied (or sent from where it stands, before returning).
 * An empty content_type sends none. To HEAD the body is counted, not sent. */
void sx_reply(sx_request *r, int status, sx_str content_type, sx_str body);

/* The same for a body that lives until the loop stops (static assets): never copied. */
void sx_reply_static(sx_request *r, int status, sx_str content_type, sx_str body);

enum { SX_LENGTH_UNKNOWN = -1 };

/* Begins a streamed reply of `body_bytes`, or SX_LENGTH_UNKNOWN (chunked, or DATA frames).
 * Errors: SX_ECLOSED. */
sx_status sx_reply_begin(sx_request *r, int status, sx_str content_type, int64_t body_bytes);

/* Queues a piece; copied. SX_OK: go on. SX_AGAIN: queued, but wait for `drained` before the next.
 * SX_ECLOSED: the client has gone, nothing was kept. Over the declared length: SX_EINVAL. */
sx_status sx_reply_write(sx_request *r, sx_str piece);

/* A trailer field, after begin and before end (gRPC's status). Dropped silently where there is no
 * place for it: HTTP/1.0, and HTTP/1.1 with a declared length. */
sx_status sx_reply_trailer(sx_request *r, sx_str name, sx_str value);

/* Ends a streamed reply. `r` may be gone when it returns. */
void sx_reply_end(sx_request *r);

/* Gives a reply up half-way so that the client notices (reset, or connection closed). */
void sx_reply_abort(sx_request *r);

/* An informational reply (100 to 199, not 101) with the headers added so far, e.g. 103. */
sx_status sx_reply_interim(sx_request *r, int status);

/* Answers 101 to an HTTP/1.1 Upgrade request for `protocol` and hands the raw connection over:
 * body events then carry raw bytes, sx_reply_write sends raw bytes, sx_reply_end closes. */
sx_status sx_reply_upgrade(sx_request *r, sx_str protocol);

/* The registered reason phrase ("OK"), or "Unknown". Static. RFC 9110, section 15. */
const char *sx_http_reason(int status);

/* The method's name as text; "OTHER" for SX_METHOD_OTHER. */
const char *sx_method_name(sx_method method);

/* ---- targets, queries, forms ---- */

/* Decodes %XX (and '+' as space if `plus`) into the arena. Errors: SX_EFORMAT for a broken escape,
 * with its offset; SX_ENOMEM. Without escapes the input view itself is given back. */
typedef enum sx_percent { SX_PERCENT_PATH, SX_PERCENT_FORM } sx_percent;
sx_status sx_percent_decode(sx_arena *arena, sx_str in, sx_percent kind, sx_str *out,
                            sx_error *err);

/* Walks `a=1&b=2` (a query or a urlencoded form): takes the next pair off *rest, still encoded.
 * Returns false at the end. "a" alone has an empty value; empty pieces are skipped. */
bool sx_query_next(sx_str *rest, sx_str *name, sx_str *value);

/* ---- the server ---- */

/* Every limit is a config key of the same name under `http.` (lib/service); 0 takes the default. */
typedef struct sx_http_limits {
    uint32_t header_bytes_max; /* 32768: whole head; above it 431 */
    uint32_t header_count_max; /* 128; above it 431 */
    uint32_t target_bytes_max; /* 16384; above it 414 */
    uint32_t
        chunk_header_bytes_max; /* 4096: a chunk's size line with extensions, and all trailers */
    uint32_t header_ms_max;     /* 10000: from a request's first byte to its head's end; 408 */
    uint32_t body_ms_max;       /* 30000: longest silence inside a body; 408 */
    uint32_t idle_ms_max;       /* 75000: between requests; closed */
    uint32_t write_ms_max;      /* 30000: longest time without progress of output; reset */
    uint32_t connections_max;   /* 20000 a loop; above it the newest is answered 503 */
    uint32_t requests_max;      /* 0 = any: requests on one connection before it is closed */
    uint32_t pipeline_max;      /* 64: pipelined requests served before others get their turn */
    uint32_t streams_max;       /* 128: concurrent HTTP/2 streams a connection */
    uint32_t stream_resets_max; /* 200 a 10 s: rapid resets; above it GOAWAY */
    uint32_t output_high_bytes; /* 262144: sx_reply_write says SX_AGAIN above it */
    uint32_t output_low_bytes;  /* 65536: and `drained` below it */
} sx_http_limits;

/* Looks at each reply before it begins, and may send another form of its body (lib/service
 * compresses). Calls get the server's ctx. */
typedef struct sx_reply_coder {
    /* A reply begins with `status` and `content_type` (which may be empty); fields may still be added.
     * *body is the body of a whole reply, which may be replaced by a view that is good until the next
     * call on this loop; of a streamed one its data is NULL and `body_bytes` what was declared.
     * Returns whether the body is another one: a streamed reply's length is then unknown, and its
     * pieces go through `piece`. */
    bool (*begin)(sx_request *r, void *ctx, int status, sx_str content_type, int64_t body_bytes,
                  sx_str *body);
    /* A piece, or with `last` (and an empty one) the end: *out is sent instead of it, good until the
     * next call on this loop. An error aborts the reply. */
    sx_status (*piece)(sx_request *r, void *ctx, sx_str piece, bool last, sx_str *out);
} sx_reply_coder;

typedef struct sx_http_server_options {
    sx_http_limits limits;
    sx_handler *handler; /* called at the end of every request's head */
    /* Called once for every request that reached `handler`, when its last byte was handed to the
     * system or it was cut short: for metrics and access logs. `r` is whole. May be NULL. */
    sx_handler *done;
    /* Called when a connection was refused or broken before a request was whole: `status` is what was
     * answered (400, 408, 431 …; 0 for none), `why` is static text. May be NULL. */
    void (*rejected)(sx_http_server *server, void *ctx, const sx_peer *peer, int status,
                     const char *why);
    void *ctx;
    const char *server_name; /* of the Server field; NULL sends none */
    /* Around every call of the program's own functions that the server makes for a request (body,
     * drained, aborted, and what sx_request_read_body was given): `enter` before, with the request,
     * and `leave` after, with what `enter` gave; the request may be gone by then. Calls may nest.
     * Both or neither. */
    const void *(*enter)(sx_request *r, void *ctx);
    void (*leave)(const void *outer);
    const sx_reply_coder *coder; /* NULL: replies go out as they are */
} sx_http_server_options;

/* Numbers a server keeps; read by its own loop. */
typedef struct sx_http_counts {
    uint64_t connections_open, connections_accepted, connections_refused;
    uint64_t requests_open, requests, rejected, received_bytes, sent_bytes;
} sx_http_counts;

/* A server on `loop` that listens nowhere yet. `options` is copied; what it points to is borrowed.
 * Errors: SX_ENOMEM; SX_EINVAL without a handler. */
sx_status sx_http_server_new(sx_loop *loop, const sx_http_server_options *options,
                             sx_http_server **out, sx_error *err);

typedef struct sx_tls sx_tls; /* lib/net's TLS context: tls.h */

typedef struct sx_listen_options {
    sx_str address;      /* "127.0.0.1:8080", "[::1]:0", ":8080" (all), "unix:/path"; port 0: any */
    sx_tls *tls;         /* NULL: cleartext, HTTP/2 recognised by its preface */
    bool proxy_protocol; /* expect a PROXY v1 or v2 header on each connection */
    int inherited_fd;    /* a listening socket handed over (socket activation); 0 or -1: none */
    int backlog;         /* 0: 1024 */
} sx_listen_options;

/* Opens one more listener. `bound` (may be NULL) gets the address with its real port, so that the
 * next loop's server can open the same one. Errors: SX_EINVAL (address), SX_EEXIST (in use, with a
 * remedy), SX_EACCESS, SX_EIO. */
typedef struct sx_bound {
    char text[128];
} sx_bound;
sx_status sx_http_server_listen(sx_http_server *server, const sx_listen_options *options,
                                sx_bound *bound, sx_error *err);

/* Stops accepting once the listen queue is empty, closes idle connections, lets requests under way
 * finish (Connection: close, GOAWAY), and calls `drained` when none is left or the deadline passes
 * (what is left is then cut). */
void sx_http_server_drain(sx_http_server *server, uint32_t deadline_ms,
                          void (*drained)(sx_http_server *server, void *ctx), void *ctx);

/* Closes everything at once and frees the server. */
void sx_http_server_free(sx_http_server *server);

/* Its numbers so far; they change as the loop goes on. */
const sx_http_counts *sx_http_server_counts(const sx_http_server *server);

SX_END_DECLS

#endif

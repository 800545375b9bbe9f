/* grpc.h - gRPC over the HTTP/2 server and client: framing, status, deadlines; unary and streaming.
 *
 * Messages are bytes here; protobuf is the caller's (protobuf.h). One call object on either side
 * carries any number of messages each way; a unary method is the case of one each. Compression is
 * gzip, message by message. Everything is for the loop's thread.
 *
 *     static void say_hello(sx_grpc_call *c, void *ctx, sx_str message)
 *     {
 *         sx_grpc_send(c, make_answer(message));
 *         sx_grpc_finish(c, SX_GRPC_OK, SX_STR(""));
 *     }
 *     static const sx_grpc_events HELLO = {.message = say_hello};
 *     ... in the handler of "/demo.Greeter/SayHello":
 *         sx_grpc_accept(request, &(sx_grpc_options){.unary = true}, &HELLO, ctx);
 *
 * Source: "gRPC over HTTP2" (PROTOCOL-HTTP2.md), statuscodes.md and http-grpc-status-mapping.md of
 * the gRPC project. */
#ifndef SEXTANT_GRPC_H
#define SEXTANT_GRPC_H

#include <sextant/compress.h>
#include <sextant/http_client.h>

SX_BEGIN_DECLS

/* The formatter would indent this list one step more each time. */
/* clang-format off */
#define SX_GRPC_STATUS_LIST(X) \
    X(OK, 0) X(CANCELLED, 1) X(UNKNOWN, 2) X(INVALID_ARGUMENT, 3) X(DEADLINE_EXCEEDED, 4) \
    X(NOT_FOUND, 5) X(ALREADY_EXISTS, 6) X(PERMISSION_DENIED, 7) X(RESOURCE_EXHAUSTED, 8) \
    X(FAILED_PRECONDITION, 9) X(ABORTED, 10) X(OUT_OF_RANGE, 11) X(UNIMPLEMENTED, 12) \
    X(INTERNAL, 13) X(UNAVAILABLE, 14) X(DATA_LOSS, 15) X(UNAUTHENTICATED, 16)
/* clang-format on */

typedef enum sx_grpc_status {
#define X(name, value) SX_GRPC_##name = value,
    SX_GRPC_STATUS_LIST(X)
#undef X
} sx_grpc_status;

/* "OK", "CANCELLED" ...; "UNKNOWN" for a number that is none. Static. */
const char *sx_grpc_status_name(int status);

/* What an HTTP status says where no grpc-status came, and what one of ours (sx_status) becomes. */
sx_grpc_status sx_grpc_status_of_http(int http_status);
sx_grpc_status sx_grpc_status_of(sx_status status);

/* ---- framing, without any connection ---- */

/* Takes length-prefixed messages out of a stream of pieces. */
typedef struct sx_grpc_reader {
    sx_buf partial; /* of the message under way, prefix included */
    sx_buf plain;   /* of the last compressed message */
    size_t message_bytes_max;
    sx_codec coding; /* the stream's grpc-encoding */
    bool drop_partial;
} sx_grpc_reader;

enum { SX_GRPC_PREFIX_BYTES = 5, SX_GRPC_MESSAGE_BYTES_MAX = 4 << 20 };

/* message_bytes_max 0: SX_GRPC_MESSAGE_BYTES_MAX; it holds before and after decompression. */
void sx_grpc_reader_init(sx_grpc_reader *r, size_t message_bytes_max, sx_codec coding);
void sx_grpc_reader_done(sx_grpc_reader *r);

/* Takes from *in. SX_OK: *message is the next one, good until the next call; call again. SX_AGAIN: all
 * was taken. Errors: SX_ELIMIT (too large), SX_EPROTOCOL (bad flag, compressed without grpc-encoding,
 * bad gzip), SX_ENOMEM; the stream is then over. */
sx_status sx_grpc_reader_next(sx_grpc_reader *r, sx_str *in, sx_str *message, sx_error *err);

/* Whether a message is under way: at the stream's end that is an error. */
bool sx_grpc_reader_is_partial(const sx_grpc_reader *r);

/* Appends prefix and message. */
void sx_grpc_write_message(sx_str message, sx_buf *out);

/* grpc-timeout ("100m", at most eight digits and one of HMSmun) in milliseconds, rounded up; and
 * back, into `out`. Parsing errors: SX_EFORMAT. */
sx_status sx_grpc_timeout_parse(sx_str text, int64_t *ms, sx_error *err);
sx_str sx_grpc_timeout_format(int64_t ms, char out[16]);

/* grpc-message's own percent-encoding: all but space to '~' without '%'. Decoding takes what is no
 * escape as it is, as the specification asks. Decoding returns data NULL without memory. */
void sx_grpc_message_encode(sx_str text, sx_buf *out);
sx_str sx_grpc_message_decode(sx_arena *arena, sx_str text);

/* ---- calls ---- */

typedef struct sx_grpc_call sx_grpc_call;

/* Any member may be NULL. The view of a message is good for the call. */
typedef struct sx_grpc_events {
    void (*message)(sx_grpc_call *c, void *ctx, sx_str message);
    /* Server: the client has sent its last message. */
    void (*end)(sx_grpc_call *c, void *ctx);
    /* Room again after sx_grpc_send said SX_AGAIN. */
    void (*writable)(sx_grpc_call *c, void *ctx);
    /* Client: the call is over; comes once. Server: the client went away, broke the protocol or the
     * deadline passed (what `status` says); not called after sx_grpc_finish. `c` is gone after. */
    void (*done)(sx_grpc_call *c, void *ctx, sx_grpc_status status, sx_str text);
} sx_grpc_events;

/* Queues a message; copied. SX_AGAIN: queued, but wait for `writable`. SX_ECLOSED: nothing was kept.
 * SX_ENOMEM: nothing was kept. */
sx_status sx_grpc_send(sx_grpc_call *c, sx_str message);

/* Stops and restarts the flow of messages to us. */
void sx_grpc_pause(sx_grpc_call *c);
void sx_grpc_resume(sx_grpc_call *c);

/* ---- the server's side ---- */

typedef struct sx_grpc_options { /* 0 takes the default */
    size_t message_bytes_max;    /* SX_GRPC_MESSAGE_BYTES_MAX */
    bool unary;                  /* exactly one message from the client, given when it has ended */
} sx_grpc_options;

/* Whether the request is a gRPC call: POST by HTTP/2 with content-type application/grpc[+...]. */
bool sx_grpc_is_call(const sx_request *r);

/* Splits a path "/package.Service/Method"; false if it is none. */
bool sx_grpc_path(sx_str path, sx_str *service, sx_str *method);

/* Takes a request over as a gRPC call. `events` outlives the call. NULL if it is none (then answered
 * with 415 or 405) or its fields are wrong (answered with a gRPC status). */
sx_grpc_call *sx_grpc_accept(sx_request *r, const sx_grpc_options *options,
                             const sx_grpc_events *events, void *ctx);

/* Ends the call: status and message in the trailers, or, before the first sx_grpc_send, in the head.
 * `c` is gone when it returns. */
void sx_grpc_finish(sx_grpc_call *c, sx_grpc_status status, sx_str text);

/* A field of the trailers to come (custom metadata), before sx_grpc_finish. As sx_reply_trailer. */
sx_status sx_grpc_trailer(sx_grpc_call *c, sx_str name, sx_str value);

/* The answer to a request that no method serves: status UNIMPLEMENTED. */
void sx_grpc_unimplemented(sx_request *r);

/* Within `message` of a server's unary call: takes the message's bytes over instead of copying them
 * (what `out` held is freed). The view is then of `out`. */
void sx_grpc_take(sx_grpc_call *c, sx_buf *out);

/* The request of a server's call; NULL for a client's. Milliseconds until its deadline, -1: none. */
sx_request *sx_grpc_request_of(sx_grpc_call *c);
int64_t sx_grpc_left_ms(const sx_grpc_call *c);

/* ---- the client's side ---- */

typedef struct sx_grpc_request {
    sx_str
        url; /* http(s)://host:port/package.Service/Method; http:// needs http2_prior_knowledge */
    const sx_header *metadata;
    size_t metadata_count;
    uint32_t timeout_ms; /* 0: none; sent as grpc-timeout and kept by the client, too */
    size_t message_bytes_max;
} sx_grpc_request;

/* Starts a call. Messages go by sx_grpc_send, the last followed by sx_grpc_send_end; `done` comes
 * once, never before this returns. Errors: as sx_http_call. */
sx_status sx_grpc_start(sx_http_client *client, const sx_grpc_request *request,
                        const sx_grpc_events *events, void *ctx, sx_grpc_call **out, sx_error *err);
void sx_grpc_send_end(sx_grpc_call *c);

/* Gives it up: `done` comes with SX_GRPC_CANCELLED before this returns. */
void sx_grpc_cancel(sx_grpc_call *c);

SX_END_DECLS

#endif

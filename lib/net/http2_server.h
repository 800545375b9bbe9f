/* http2_server.h - HTTP/2 connections of an sx_http_server, on nghttp2.
 *
 * nghttp2 keeps the protocol's state (frames, HPACK, windows); these files decide what it may cost,
 * turn its streams into exchanges (exchange.h) and move bytes. Four files:
 *   http2_server.c    a connection: input, output, timers, abuse, drain and end
 *   http2_head.c      a request's head: fields in, limits, the request's public part
 *   http2_exchange.c  a stream's life, the request's body in
 *   http2_reply.c     the reply out
 *
 *   stream   made at begin of HEADERS -> started (handler called) or rejected -> nghttp2 closes it
 *            -> its reply's last byte is with the system, or it was cut -> dropped -> spare or freed
 *
 * Windows are opened only for what the application has taken: no_auto_window_update is set and bytes
 * are consumed when they are delivered, so a paused reader stops its client, while the others go on
 * within the connection's window. Output is made only while the socket takes it.
 *
 * Priorities (RFC 9113, section 5.3, deprecates them) are left to nghttp2. It keeps its closed
 * streams (at most streams_max, some 250 bytes each), because without them a DATA frame on a stream
 * that the client has closed cannot be told from one that crossed our RST_STREAM. */
#ifndef SEXTANT_NET_HTTP2_SERVER_H
#define SEXTANT_NET_HTTP2_SERVER_H

#include "net/http2_mem.h"
#include "net/http_server.h"

/* Serves an open stream that speaks HTTP/2; `already_read` is what was read of it, preface included.
 * Takes the stream over. When memory fails the stream is reset. */
void sx_http2_server_take(sx_http_server *server, sx_stream *s, sx_str already_read);

enum {
    HTTP2_STREAM_WINDOW = 256 * 1024,      /* an upload's bytes that we may have to hold */
    HTTP2_CONNECTION_WINDOW = 1024 * 1024, /* of all uploads of one connection */
    HTTP2_ABUSE_WINDOW_MS = 10000,         /* what stream_resets_max is counted over */
    HTTP2_CONTROL_FRAMES_MAX = 10000,      /* PING, SETTINGS, PRIORITY, empty DATA in that time */
    HTTP2_OUTBOUND_ACKS_MAX = 256, /* answers to PING and SETTINGS that wait for the socket */
    HTTP2_CONTINUATIONS_MAX = 8,
    HTTP2_UNREAD_BYTES_MAX = HTTP2_STREAM_WINDOW / 2, /* of a body after its reply: then RST */
    HTTP2_SPARE_STREAMS_MAX = 4 /* kept by a connection for its next requests */
};

typedef struct http2_conn {
    sx_http_conn base;
    sx_http_server *server;
    sx_stream *stream; /* NULL once closed */
    nghttp2_session *session;
    sx_http2_pool pool;    /* the session's memory */
    sx_list streams;       /* all http2_stream that know this connection */
    sx_list finishing;     /* whose END_STREAM is written but not yet with the system, in order */
    sx_list writable;      /* whose output fell below the low mark, to be told after sending */
    sx_list spare;         /* for reuse */
    uint32_t stream_count; /* on `streams`: also those that only the application still holds */
    uint32_t spare_count;
    uint32_t open_count; /* not yet closed by nghttp2 */
    uint64_t request_count;
    uint32_t depth;       /* of http2_enter: inside one of our events or nghttp2 callbacks */
    bool dead;            /* streams are cut, the socket is gone; freed when depth is 0 */
    bool output_due;      /* nghttp2 may have frames to send */
    bool blocked;         /* the socket's queue is full: wait for `drained` */
    bool settled;         /* the client's SETTINGS has come */
    bool draining;        /* no new requests after a round trip */
    bool input_ended;     /* the client sends no more: no window of its will ever open again */
    bool goaway_due;      /* the PING that follows the shutdown notice was not answered yet */
    sx_timer flush_timer; /* http2_output */
    sx_timer idle_timer;
    sx_timer header_timer; /* runs while a field block comes in */
    bool block_refused; /* what is left of that block is only decoded: no callback tells its end */
    int64_t abuse_since_ms; /* both counts begin again 10 s after this */
    uint32_t reset_count;
    uint32_t control_count;
} http2_conn;

typedef struct http2_stream {
    sx_exchange x;    /* first: exchange.h's pointer is ours */
    http2_conn *conn; /* NULL once the connection is dead */
    sx_list link;     /* conn->streams, or conn->spare */
    sx_list finish_link, writable_link;
    int32_t id;

    /* The head, while its fields arrive. */
    sx_header *fields;
    size_t field_count, field_cap;
    size_t field_bytes; /* as RFC 9113, section 6.5.2, counts them: 32 more a field */
    sx_str host;
    uint32_t cookie_count;
    int reject_status; /* 431, 414 or 400: answered in place of the handler */
    const char *reject_why;
    bool expects_continue;

    /* The request's body. */
    bool body_ended; /* END_STREAM has come */
    uint32_t unread; /* bytes that came after the reply and were dropped */
    sx_buf held;     /* arrived while nobody asked for it, or paused; not consumed */
    sx_timer later;  /* delivers `held` outside of the application's own call */
    sx_timer body_timer;

    /* The reply. */
    bool has_source;     /* submitted with a data provider */
    bool deferred;       /* the provider has said so */
    bool reply_ended;    /* the last byte is in `out` or `fixed` */
    bool end_written;    /* END_STREAM was given to the socket's stream */
    bool end_sent;       /* and handed to the system */
    bool closed;         /* nghttp2 has closed it */
    bool dropped;        /* our hold is given up: only the application may keep it */
    bool wants_writable; /* on conn->writable */
    uint64_t end_at;     /* where in the output END_STREAM stands */
    sx_str fixed;        /* what is left of a static body */
    sx_buf out;          /* queued body */
    size_t out_at;       /* its first byte not yet sent */
    sx_timer write_timer;
} http2_stream;

/* ---- http2_server.c ---- */

/* Bracket whatever may cause output or end the connection; leave does both. The connection may be
 * freed by the outermost leave. */
void http2_enter(http2_conn *c);
void http2_leave(http2_conn *c);

/* There is something to send: at the outermost leave, or, outside of all brackets (a reply from a
 * timer or another connection's event), soon: so that a call of the application never frees what it
 * works on, and many small writes become one. */
void http2_output(http2_conn *c);

/* Cuts all streams, lets the socket go (`reset`: at once) and marks the connection dead. */
typedef enum http2_end { HTTP2_CLOSE, HTTP2_RESET, HTTP2_GONE } http2_end;
void http2_conn_die(http2_conn *c, http2_end how);

/* Sends GOAWAY with an nghttp2 error code; the connection ends once it was sent. */
void http2_conn_terminate(http2_conn *c, uint32_t code, const char *why);

/* One stream less is open; the last one starts the idle time-out. */
void http2_conn_closed_one(http2_conn *c);

/* ---- http2_head.c ---- */

/* Callbacks of nghttp2 for heads and trailers. */
int http2_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx);
int http2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                    size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                    void *ctx);
int http2_on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                            const uint8_t *name, size_t name_len, const uint8_t *value,
                            size_t value_len, uint8_t flags, void *ctx);
int http2_on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
                           void *ctx);

/* A frame begins that is not the rest of a refused block: the wait for that has ended. */
void http2_head_begin_frame(http2_conn *c);

/* The head is whole: calls the handler, or answers a rejection. */
void http2_head_finish(http2_stream *s);

/* ---- http2_exchange.c ---- */

/* A stream for request `id`, on c->streams, its hold taken. NULL without memory. */
http2_stream *http2_stream_new(http2_conn *c, int32_t id);

/* Forgets the connection and frees what no application holds. */
void http2_stream_detach(http2_stream *s);

/* Frees a spare stream. */
void http2_stream_destroy(http2_stream *s);

/* Resets the stream with an nghttp2 error code, tells the application. */
void http2_stream_reset(http2_stream *s, uint32_t code);

/* Ends the application's part and gives up our hold; `s` may be gone after. */
void http2_stream_cut(http2_stream *s);

/* Body bytes have arrived; the request's end has come. */
void http2_stream_body(http2_stream *s, sx_str piece);
void http2_stream_body_end(http2_stream *s);
void http2_stream_give_up_body(http2_stream *s);

/* nghttp2 is done with it. */
void http2_stream_closed(http2_stream *s, uint32_t code);

/* Whether somebody still wants the request's body. */
bool http2_is_read(const http2_stream *s);

/* Drops our hold when both nghttp2 and the socket are done with the stream. */
void http2_drop_if_done(http2_stream *s);

/* ---- http2_reply.c ---- */

/* Operations of exchange.h. */
sx_status http2_op_begin(sx_exchange *x, int64_t body_bytes, sx_str body, bool last, bool fixed);
sx_status http2_op_write(sx_exchange *x, sx_str piece);
void http2_op_end(sx_exchange *x);
void http2_op_abort(sx_exchange *x);
sx_status http2_op_interim(sx_exchange *x, int status);

/* Answers with a status and no body in place of the application. */
void http2_stream_answer(http2_stream *s, int status);

/* Its END_STREAM was written; what was written is with the system. */
void http2_stream_end_written(http2_stream *s);
void http2_stream_end_sent(http2_stream *s);

/* Sends `length` bytes of the reply's body behind a frame header: nghttp2's send_data callback. */
int http2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                    size_t length, nghttp2_data_source *source, void *ctx);

/* Calls those on c->writable. */
void http2_tell_writable(http2_conn *c);

#endif

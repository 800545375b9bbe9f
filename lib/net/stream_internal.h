/* stream_internal.h - the inside of sx_stream, shared by its three files.
 *
 *   stream.c      life, events, reading
 *   stream_out.c  corks, the queue, writing
 *   stream_tls.c  TLS between the two
 *
 * Bytes on their way out:   sx_stream_write -> scratch (if corked) -> [TLS -> cipher] -> socket
 * and what the socket does not take -> queue -> socket.  */
#ifndef SEXTANT_NET_STREAM_INTERNAL_H
#define SEXTANT_NET_STREAM_INTERNAL_H

#include "net/loop_internal.h"
#include "net/stream.h"

/* Part of the output queue: a copy behind the struct (cap > 0), or a view that outlives the stream. */
typedef struct stream_segment {
    struct stream_segment *next;
    const char *data; /* what is left of it */
    size_t len;
    size_t cap; /* of own[] */
    char own[];
} stream_segment;

typedef struct stream_tls stream_tls;

/* What may still happen, in order of time. */
typedef enum stream_phase {
    STREAM_CONNECTING,
    STREAM_HANDSHAKE, /* TLS */
    STREAM_OPEN,
    STREAM_FLUSHING,  /* the owner let go; output is flushed */
    STREAM_LINGERING, /* flushed and FIN sent; input is dropped until FIN */
    STREAM_DEAD,      /* `closed` is due */
    STREAM_GONE,      /* handle closing; the memory goes when libuv has let go */
    STREAM_PHASES
} stream_phase;

struct sx_stream {
    uv_poll_t poll;
    sx_list link;    /* loop->streams */
    sx_list pending; /* loop->pending, or on none */
    sx_loop *loop;
    const sx_stream_events *events;
    void *ctx;
    sx_stream_options options; /* a copy, defaults filled in: streams outlive servers */
    int fd;
    uint8_t phase;    /* stream_phase; written by stream_become alone */
    uint8_t interest; /* UV_READABLE | UV_WRITABLE as libuv has it */
    uint8_t corks;
    bool paused;
    bool ended;      /* the peer's FIN or close_notify was seen */
    bool fin_wanted; /* FIN when the queue is empty */
    bool fin_sent;
    bool lingers; /* FLUSHING turns to LINGERING, not to GONE */
    bool wants_drained;
    bool sent_due;       /* bytes went out since `sent` was called */
    int64_t progress_ms; /* when bytes last went out */
    sx_timer timer;      /* connect, handshake, write or linger: the phase says which */
    stream_segment *first, *last;
    size_t queued;
    uint64_t written_total, sent_total, received_total;
    stream_segment *unread; /* see sx_stream_unread */
    stream_tls *tls;
    sx_peer peer;
    sx_status why; /* of DEAD */
    int why_errno;
    const char *why_text; /* static; NULL: the connecting failed with why_errno */
};

/* stream.c */
void stream_become(sx_stream *s, stream_phase next);
void stream_set_interest(sx_stream *s);
void stream_die(sx_stream *s, sx_status why, int os_errno, const char *static_text);
void stream_destroy(sx_stream *s);
void stream_opened(sx_stream *s);
void stream_ended(sx_stream *s);
void stream_deliver(sx_stream *s, sx_str bytes); /* cleartext to the owner */
void stream_wait(sx_stream *s, uint32_t ms);     /* (re)starts s->timer */
void stream_due(sx_stream *s);                   /* onto loop->pending */
static inline bool stream_is_owned(const sx_stream *s)
{
    return s->phase <= STREAM_OPEN;
}

/* stream_out.c */
sx_status stream_send(sx_stream *s, sx_str a, sx_str b, bool b_is_fixed); /* to socket or queue */
void stream_flush_scratch(sx_stream *s, sx_str more, bool more_is_fixed);
void stream_flush_queue(sx_stream *s);
void stream_after_flush(sx_stream *s); /* FIN, drained, sent, end of FLUSHING */
void stream_drop_queue(sx_stream *s);
stream_segment *stream_segment_new(sx_str bytes);

/* stream_tls.c */
sx_status stream_tls_new(sx_stream *s, sx_tls *tls, sx_tls_side side, sx_str server_name,
                         sx_error *err);
void stream_tls_free(stream_tls *tls);
void stream_tls_start(sx_stream *s); /* a client's first flight */
void stream_tls_input(sx_stream *s, sx_str cipher);
bool stream_tls_has_input(const sx_stream *s); /* ciphertext kept while paused */
sx_status stream_tls_hold(sx_stream *s, sx_str cipher);
sx_status stream_tls_write(sx_stream *s, sx_str plain);
void stream_tls_notify(sx_stream *s); /* close_notify */
sx_str stream_tls_alpn(const sx_stream *s);
bool stream_tls_is_resumed(const sx_stream *s);

/* For loop.c: events that no socket brings, and the end of all streams. */
void sx_streams_run_pending(sx_loop *loop);
void sx_streams_cancel_all(sx_loop *loop);

#endif

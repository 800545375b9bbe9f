/* stream.h - one connected byte stream: TCP, a Unix socket, or TLS over either; server and client.
 *
 * The HTTP servers and clients are built on it and see no socket, no SSL object and no epoll. It
 * reads into the one read buffer of its loop, so an idle connection holds no buffer at all; it
 * writes through the one scratch buffer of its loop, so a batch of replies costs one system call.
 *
 * Rules of life
 *   1. A stream belongs to one loop; every call and every event is on that loop's thread.
 *   2. It is the owner's from sx_stream_accept/_connect until the owner calls sx_stream_close or
 *      sx_stream_reset, or `closed` has come. After either the pointer is dead to the owner and no
 *      event follows. (The stream itself may live on to flush what it owes.)
 *   3. `closed` comes only for an end that the owner did not ask for (reset by peer, time-out,
 *      failed connect or handshake, loop freed), at most once, and never from within another call
 *      of this header: a failed write returns SX_ECLOSED and `closed` follows in a later turn.
 *   4. `ended` means that the peer sends no more (FIN or close_notify). Writing may go on; the owner
 *      still has to close. Comes once, after the last `data`.
 *   5. A view given to `data` is good until the event returns. All of it is the owner's: what is not
 *      used now is copied. SX_STREAM_SLACK bytes behind the view may be read (not believed), so that
 *      parsers can use wide loads. After sx_stream_pause no more `data` comes until resume, although
 *      bytes given already are not taken back.
 *   6. The owner may call anything from within an event, close and reset included.
 *   7. While `data`, `ended`, `opened` or `drained` run, the stream is corked: output gathers in
 *      the loop's scratch buffer and goes out in one write when the event returns. Elsewhere a write
 *      goes to the socket at once, unless the caller corks. Corks nest.
 *   8. What the socket does not take is queued, without bound here: a writer stops when told
 *      SX_AGAIN (more than high_bytes wait) and goes on at `drained` (low_bytes or fewer).
 *   9. `sent` follows every flush that handed bytes to the system: after the outermost uncork, or when
 *      the socket took more. Never from within sx_stream_write outside a cork. */
#ifndef SEXTANT_NET_STREAM_H
#define SEXTANT_NET_STREAM_H

#include <sys/socket.h>

#include <sextant/http.h>
#include <sextant/loop.h>
#include <sextant/tls.h>

typedef struct sx_stream sx_stream;

enum { SX_STREAM_SLACK = 32 };

/* Any member may be NULL but `data`. */
typedef struct sx_stream_events {
    /* Connected, and with TLS the handshake is done: sx_stream_alpn and peer names are known. Comes for
     * clients and for TLS; a cleartext accepted stream is open from the start and has no `opened`. */
    void (*opened)(sx_stream *s, void *ctx);
    void (*data)(sx_stream *s, void *ctx, sx_str piece); /* never empty */
    void (*ended)(sx_stream *s, void *ctx);
    void (*drained)(sx_stream *s, void *ctx); /* the queue fell to low_bytes after SX_AGAIN */
    void (*sent)(sx_stream *s, void *ctx);    /* see rule 9 */
    /* Rule 3. `why` is SX_ECLOSED (by peer), SX_ETIMEOUT, SX_EIO, SX_EPROTOCOL (TLS), SX_ENOMEM or
     * SX_ECANCELED (loop freed); `err` says more and is good for the call. */
    void (*closed)(sx_stream *s, void *ctx, sx_status why, const sx_error *err);
} sx_stream_events;

typedef struct sx_stream_options { /* 0 takes the default */
    uint32_t high_bytes;           /* 262144 */
    uint32_t low_bytes;            /* 65536 */
    uint32_t write_ms_max;         /* 30000: longest time a queue stands still; then SX_ETIMEOUT */
    uint32_t connect_ms_max;       /* 10000: TCP connect, and TLS handshake, each */
    uint32_t linger_ms_max;        /* 5000: longest time to flush after sx_stream_close */
} sx_stream_options;

/* Takes over `fd`, connected and non-blocking, as the server's side. With `tls` the handshake starts
 * and `opened` comes when it is done. `peer` (may be NULL) is copied, else asked of the socket.
 * `options` are copied. On an error `fd` is still the
 * caller's. Errors: SX_ENOMEM, SX_EIO. */
sx_status sx_stream_accept(sx_loop *loop, int fd, sx_tls *tls, const sx_peer *peer,
                           const sx_stream_options *options, const sx_stream_events *events,
                           void *ctx, sx_stream **out, sx_error *err);

/* Starts connecting to `addr` (AF_INET, AF_INET6, AF_UNIX). `opened` comes in a later turn, or
 * `closed`. With `tls`, `server_name` is sent as SNI and checked against the certificate; copied.
 * Errors: SX_ENOMEM, SX_EIO (no socket, or refused at once). */
sx_status sx_stream_connect(sx_loop *loop, const struct sockaddr *addr, socklen_t addr_bytes,
                            sx_tls *tls, sx_str server_name, const sx_stream_options *options,
                            const sx_stream_events *events, void *ctx, sx_stream **out,
                            sx_error *err);

/* Which end of TLS we are, for a stream that turns to TLS after some cleartext. */
typedef enum sx_tls_side { SX_TLS_SERVER, SX_TLS_CLIENT } sx_tls_side;

/* Begins TLS on an open cleartext stream (a proxy answered CONNECT; a PROXY header was read).
 * `already_read` is what followed in the last `data`. `opened` comes (again) when the handshake is
 * done. From within an event or outside. Errors: SX_ENOMEM, SX_EINVAL (already TLS). */
sx_status sx_stream_start_tls(sx_stream *s, sx_tls *tls, sx_tls_side side, sx_str server_name,
                              sx_str already_read, sx_error *err);

/* Hands the stream to another owner: later events go there. */
void sx_stream_events_set(sx_stream *s, const sx_stream_events *events, void *ctx);

/* ---- output ---- */

/* Sends or queues a copy. SX_OK; SX_AGAIN: taken, but wait for `drained` before the next;
 * SX_ECLOSED: nothing was kept (also after sx_stream_shutdown). */
sx_status sx_stream_write(sx_stream *s, sx_str bytes);

/* The same for bytes that outlive the stream (static assets, mapped files): large ones are never
 * copied. */
sx_status sx_stream_write_fixed(sx_stream *s, sx_str bytes);

/* Room for up to `bytes` (<= SX_STREAM_RESERVE_MAX) in the scratch buffer of a corked stream, to
 * build a head in place; NULL if it has none to give (not corked, or another stream has it): then
 * build elsewhere and sx_stream_write. Commit says how many were filled; no call between. */
enum { SX_STREAM_RESERVE_MAX = 16384 };
char *sx_stream_reserve(sx_stream *s, size_t bytes);
sx_status sx_stream_commit(sx_stream *s, size_t bytes);

/* Holds output back, and lets it go. Corks nest; the outermost uncork writes, and may call `sent`
 * (so the owner must expect that what `sent` frees is gone). */
void sx_stream_cork(sx_stream *s);
void sx_stream_uncork(sx_stream *s);

/* Sends what a cork holds back so far; no event comes from within this call. The cork stays. */
void sx_stream_flush(sx_stream *s);

/* Flushes, then sends close_notify and FIN; reading goes on. */
void sx_stream_shutdown(sx_stream *s);

/* Lets go: what is queued is flushed within linger_ms_max, then the socket is closed. */
void sx_stream_close(sx_stream *s);

/* The same, but after the flush sends FIN and reads and drops what the peer still sends, until its
 * FIN or linger_ms_max: an error reply to somebody who is still sending would else be lost to the
 * RST that unread input causes. RFC 9112, section 9.6. */
void sx_stream_close_lingering(sx_stream *s);

/* Lets go at once; the peer sees RST, queued output is dropped. */
void sx_stream_reset(sx_stream *s);

/* ---- input ---- */

void sx_stream_pause(sx_stream *s);
void sx_stream_resume(sx_stream *s);

/* Calls `data` with `bytes` (copied) in a later turn before anything newly read, unless paused by
 * then: for an owner that has to stop in the middle of a view and cannot keep the rest. Only one such
 * piece at a time. Errors: SX_ENOMEM. */
sx_status sx_stream_unread(sx_stream *s, sx_str bytes);

/* ---- facts ---- */

sx_loop *sx_stream_loop(const sx_stream *s);
size_t sx_stream_queued(const sx_stream *s);          /* bytes not yet taken by the system */
uint64_t sx_stream_written_total(const sx_stream *s); /* bytes given to sx_stream_write so far */
uint64_t sx_stream_sent_total(const sx_stream *s);    /* of them, handed to the system */
uint64_t sx_stream_received_total(const sx_stream *s);
bool sx_stream_is_tls(const sx_stream *s);
bool sx_stream_is_resumed(const sx_stream *s); /* the TLS handshake took up an earlier session */
sx_str sx_stream_alpn(const sx_stream *s);     /* "h2", "http/1.1" or empty */
sx_peer *sx_stream_peer(sx_stream *s);       /* lives as long as the stream; PROXY may rewrite it */
void *sx_stream_context(const sx_stream *s); /* the owner's ctx */
int sx_stream_fd(const sx_stream *s);        /* for getsockname and socket options only */

#endif

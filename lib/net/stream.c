/* stream.c - life, events and reading of sx_stream. The rules are in stream.h.
 *
 * A stream polls its socket itself (uv_poll) in place of uv_tcp: one recv and one send a batch are
 * then all the system calls there are, the read buffer is the loop's, and tests can put faults
 * between. The memory of a stream outlives every call on it, because libuv frees a handle only at
 * the end of its turn; so code here looks at s->phase after each event, and needs no reference
 * counts. */
#include "net/stream_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "base/sock.h"
#include "net/peer.h"

enum { READS_MOST = 4 }; /* buffers taken from one socket before others have their turn */

/* stream_become's table: the legal moves. */
static const bool MAY_BECOME[STREAM_PHASES][STREAM_PHASES] = {
    [STREAM_CONNECTING] = {[STREAM_HANDSHAKE] = true,
                           [STREAM_OPEN] = true,
                           [STREAM_DEAD] = true,
                           [STREAM_GONE] = true},
    [STREAM_HANDSHAKE] = {[STREAM_OPEN] = true, [STREAM_DEAD] = true, [STREAM_GONE] = true},
    [STREAM_OPEN] = {[STREAM_HANDSHAKE] = true, /* start_tls */
                     [STREAM_FLUSHING] = true,
                     [STREAM_DEAD] = true,
                     [STREAM_GONE] = true},
    [STREAM_FLUSHING] = {[STREAM_LINGERING] = true, [STREAM_GONE] = true},
    [STREAM_LINGERING] = {[STREAM_GONE] = true},
    [STREAM_DEAD] = {[STREAM_GONE] = true},
};

void stream_become(sx_stream *s, stream_phase next)
{
    sx_assert(MAY_BECOME[s->phase][next]);
    s->phase = (uint8_t)next;
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Tells libuv what to wait for, if that changed. Reading goes on whenever somebody may want it, also
 * between requests: that is how the end of an idle connection is seen. */
void stream_set_interest(sx_stream *s)
{
    uint8_t want = 0;
    switch ((stream_phase)s->phase) {
    case STREAM_CONNECTING:
        want = UV_WRITABLE;
        break;
    case STREAM_HANDSHAKE:
    case STREAM_OPEN:
        want = s->paused || s->ended || s->unread ? 0 : UV_READABLE;
        break;
    case STREAM_LINGERING:
        want = UV_READABLE;
        break;
    default:
        break;
    }
    if (s->queued && s->phase <= STREAM_FLUSHING)
        want |= UV_WRITABLE;
    if (want == s->interest || s->phase >= STREAM_DEAD)
        return;
    s->interest = want;
    if (want)
        uv_poll_start(&s->poll, want, on_poll);
    else
        uv_poll_stop(&s->poll);
}

/* ---- timer ---- */

/* The timer is not moved with every send: it looks here how long ago the last one was. */
static void check_progress(sx_stream *s)
{
    int64_t due_ms = s->progress_ms + s->options.write_ms_max, left_ms = due_ms - s->loop->now_ms;
    if (s->loop->polled_ms < due_ms)
        stream_wait(s, left_ms > 0 ? (uint32_t)left_ms : 0);
    else
        stream_die(s, SX_ETIMEOUT, 0, "the peer takes no more bytes");
}

static void on_timer(sx_timer *timer, void *arg)
{
    (void)timer;
    sx_stream *s = arg;
    switch ((stream_phase)s->phase) {
    case STREAM_CONNECTING:
        stream_die(s, SX_ETIMEOUT, 0, "no connection within the time allowed");
        break;
    case STREAM_HANDSHAKE:
        stream_die(s, SX_ETIMEOUT, 0, "no TLS handshake within the time allowed");
        break;
    case STREAM_OPEN:
        if (s->queued)
            check_progress(s);
        break;
    case STREAM_FLUSHING:
    case STREAM_LINGERING:
        stream_destroy(s);
        break;
    default:
        break;
    }
}

void stream_wait(sx_stream *s, uint32_t ms)
{
    s->timer.fn = on_timer;
    s->timer.arg = s;
    sx_timer_start(&s->loop->timers, &s->timer, ms);
}

/* ---- the end ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    sx_free(SX_CONTAINER_OF(handle, sx_stream, poll));
}

void stream_destroy(sx_stream *s)
{
    sx_loop *loop = s->loop;
    stream_become(s, STREAM_GONE);
    if (loop->scratch_owner == s) {
        loop->scratch_owner = NULL;
        loop->scratch_len = 0;
    }
    sx_timer_stop(&loop->timers, &s->timer);
    sx_list_remove(&s->link);
    sx_list_remove(&s->pending);
    stream_drop_queue(s);
    sx_free(s->unread);
    s->unread = NULL;
    if (s->tls)
        stream_tls_free(s->tls);
    s->tls = NULL;
    uv_close((uv_handle_t *)&s->poll, on_handle_closed);
    close(s->fd); /* nothing to do about an error: what matters was flushed before */
    s->fd = -1;
}

void stream_due(sx_stream *s)
{
    if (!sx_list_empty(&s->pending))
        return;
    sx_list_push_back(&s->loop->pending, &s->pending);
    sx_loop_nudge(s->loop);
}

/* The end that nobody asked for. Without an owner there is nobody to tell. */
void stream_die(sx_stream *s, sx_status why, int os_errno, const char *static_text)
{
    if (s->phase >= STREAM_DEAD)
        return;
    if (!stream_is_owned(s)) {
        stream_destroy(s);
        return;
    }
    s->why = why;
    s->why_errno = os_errno;
    s->why_text = static_text;
    if (s->interest) {
        s->interest = 0;
        uv_poll_stop(&s->poll);
    }
    sx_timer_stop(&s->loop->timers, &s->timer);
    stream_become(s, STREAM_DEAD);
    stream_due(s);
}

static void tell_closed(sx_stream *s)
{
    sx_error err = {0};
    char words[128];
    if (!s->why_text) /* it never opened, and who connects says so in his own words */
        sx_fail(&err, s->why, "%s", strerror_r(s->why_errno, words, sizeof(words)));
    else if (s->why_errno && s->why_errno != ENOMEM)
        sx_fail_os(&err, s->why_errno, "%s", s->why_text);
    else
        sx_fail(&err, s->why, "%s", s->why_text);
    err.status = s->why;
    err.os_errno = s->why_errno;
    if (s->events && s->events->closed)
        s->events->closed(s, s->ctx, s->why, &err);
    if (s->phase != STREAM_GONE)
        stream_destroy(s);
}

void sx_stream_reset(sx_stream *s)
{
    if (s->phase == STREAM_GONE)
        return;
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    stream_destroy(s);
}

static void let_go(sx_stream *s, bool lingers)
{
    if (s->phase == STREAM_DEAD || s->phase < STREAM_OPEN) {
        stream_destroy(s); /* nothing was promised yet, or nothing can be kept */
        return;
    }
    if (s->phase != STREAM_OPEN)
        return;
    s->lingers = lingers;
    s->paused = false;
    s->wants_drained = false;
    if (s->loop->scratch_owner == s && s->loop->scratch_len)
        stream_flush_scratch(s, sx_str_of(NULL, 0), false);
    if (s->phase != STREAM_OPEN) { /* the flush failed */
        if (s->phase == STREAM_DEAD)
            stream_destroy(s);
        return;
    }
    sx_stream_shutdown(s);
    if (s->phase == STREAM_DEAD) {
        stream_destroy(s);
        return;
    }
    stream_become(s, STREAM_FLUSHING);
    s->events = NULL;
    s->ctx = NULL;
    stream_wait(s, s->options.linger_ms_max);
    stream_after_flush(s);
}

void sx_stream_close(sx_stream *s)
{
    let_go(s, false);
}

void sx_stream_close_lingering(sx_stream *s)
{
    let_go(s, true);
}

/* ---- events to the owner ---- */

void stream_opened(sx_stream *s)
{
    sx_timer_stop(&s->loop->timers, &s->timer);
    stream_become(s, STREAM_OPEN);
    stream_set_interest(s);
    if (!s->events->opened)
        return;
    sx_stream_cork(s);
    s->events->opened(s, s->ctx);
    sx_stream_uncork(s);
}

void stream_ended(sx_stream *s)
{
    s->ended = true;
    if (s->phase == STREAM_LINGERING) {
        stream_destroy(s);
        return;
    }
    stream_set_interest(s);
    if (s->phase != STREAM_OPEN || !s->events->ended)
        return;
    sx_stream_cork(s);
    s->events->ended(s, s->ctx);
    sx_stream_uncork(s);
}

void stream_deliver(sx_stream *s, sx_str bytes)
{
    sx_stream_cork(s);
    s->events->data(s, s->ctx, bytes);
    sx_stream_uncork(s);
}

/* ---- reading ---- */

/* Gives bytes that came from the socket to TLS or to the owner. */
static void take_input(sx_stream *s, sx_str bytes)
{
    if (s->phase == STREAM_LINGERING || s->phase == STREAM_FLUSHING)
        return; /* dropped: see sx_stream_close_lingering */
    if (s->tls)
        stream_tls_input(s, bytes);
    else
        stream_deliver(s, bytes);
}

static void end_of_input(sx_stream *s)
{
    if (s->phase == STREAM_HANDSHAKE)
        stream_die(s, SX_ECLOSED, 0, "the peer closed the connection in the TLS handshake");
    else if (s->tls && s->phase == STREAM_OPEN && !s->ended)
        /* Without close_notify nobody knows whether this is all. RFC 8446, section 6.1. */
        stream_die(s, SX_ECLOSED, 0, "the peer closed the connection without close_notify");
    else
        stream_ended(s);
}

static void read_socket(sx_stream *s)
{
    for (int i = 0; i < READS_MOST; i++) {
        ssize_t n = sx_sock_read(s->fd, s->loop->read_buffer, LOOP_BUFFER_BYTES);
        if (n > 0) {
            s->received_total += (uint64_t)n;
            take_input(s, sx_str_of(s->loop->read_buffer, (size_t)n));
            /* A short read emptied the socket: asking again would only bring EAGAIN. */
            if (n < LOOP_BUFFER_BYTES || !(s->interest & UV_READABLE))
                return;
        } else if (n == 0) {
            end_of_input(s);
            return;
        } else if (errno == EAGAIN) {
            return;
        } else {
            stream_die(s, errno == ECONNRESET ? SX_ECLOSED : SX_EIO, errno,
                       "reading from the connection");
            return;
        }
    }
}

static void finish_connect(sx_stream *s)
{
    int error = 0;
    socklen_t bytes = sizeof(error);
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0)
        error = errno;
    if (error != 0) {
        stream_die(s, SX_EIO, error, NULL);
        return;
    }
    if (!s->tls) {
        stream_opened(s);
        return;
    }
    stream_become(s, STREAM_HANDSHAKE);
    stream_wait(s, s->options.connect_ms_max);
    stream_set_interest(s);
    stream_tls_start(s);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    sx_stream *s = SX_CONTAINER_OF(poll, sx_stream, poll);
    sx_loop_touch(s->loop);
    if (s->phase == STREAM_CONNECTING) {
        s->interest = status < 0 ? 0 : s->interest;
        finish_connect(s);
        return;
    }
    if (status < 0) { /* libuv has stopped polling: EPOLLERR without anything to read */
        int error = 0;
        socklen_t bytes = sizeof(error);
        getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
        s->interest = 0;
        stream_die(s, SX_ECLOSED, error ? error : ECONNRESET, "the connection was reset");
        return;
    }
    if (events & UV_READABLE)
        read_socket(s);
    if ((events & UV_WRITABLE) && s->queued && s->phase <= STREAM_FLUSHING)
        stream_flush_queue(s);
}

/* ---- events that no socket brings ---- */

static void run_unread(sx_stream *s)
{
    stream_segment *piece = s->unread;
    if (piece) {
        s->unread = NULL;
        stream_deliver(s, sx_str_of(piece->data, piece->len));
        sx_free(piece);
        if (s->phase != STREAM_OPEN || s->paused || s->unread)
            return;
    }
    if (s->tls && stream_tls_has_input(s))
        stream_tls_input(s, sx_str_of(NULL, 0));
    if (s->phase == STREAM_OPEN)
        stream_set_interest(s);
}

void sx_streams_run_pending(sx_loop *loop)
{
    if (sx_list_empty(&loop->pending))
        return;
    /* Only those that are due now: one that comes back belongs to the next turn. */
    sx_list now;
    sx_list_init(&now);
    sx_list_splice_back(&now, &loop->pending);
    sx_list *link;
    while ((link = sx_list_pop_front(&now))) {
        sx_stream *s = SX_CONTAINER_OF(link, sx_stream, pending);
        if (s->phase == STREAM_DEAD)
            tell_closed(s);
        else if (s->phase == STREAM_OPEN && !s->paused)
            run_unread(s);
    }
}

void sx_streams_cancel_all(sx_loop *loop)
{
    while (!sx_list_empty(&loop->streams)) {
        sx_stream *s = SX_CONTAINER_OF(loop->streams.next, sx_stream, link);
        if (stream_is_owned(s))
            stream_die(s, SX_ECANCELED, 0, "the event loop was freed");
        if (s->phase == STREAM_DEAD)
            tell_closed(s);
        else
            stream_destroy(s);
    }
}

/* ---- making ---- */

static void describe_peer(sx_stream *s)
{
    struct sockaddr_storage addr;
    socklen_t bytes = sizeof(addr);
    if (getpeername(s->fd, (struct sockaddr *)&addr, &bytes) == 0)
        sx_peer_set(&s->peer, (const struct sockaddr *)&addr);
}

static void fill_default(uint32_t *option, uint32_t value)
{
    if (*option == 0)
        *option = value;
}

static sx_status stream_new(sx_loop *loop, int fd, stream_phase phase,
                            const sx_stream_options *options, const sx_stream_events *events,
                            void *ctx, sx_stream **out, sx_error *err)
{
    sx_stream *s = sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "a connection");
    int rc = uv_poll_init(&loop->uv, &s->poll, fd);
    if (rc != 0) {
        sx_free(s);
        return sx_fail_os(err, -rc, "cannot watch a socket");
    }
    s->loop = loop;
    s->fd = fd;
    s->phase = (uint8_t)phase;
    s->events = events;
    s->ctx = ctx;
    s->options = *options;
    fill_default(&s->options.high_bytes, 262144);
    fill_default(&s->options.low_bytes, 65536);
    fill_default(&s->options.write_ms_max, 30000);
    fill_default(&s->options.connect_ms_max, 10000);
    fill_default(&s->options.linger_ms_max, 5000);
    sx_list_init(&s->pending);
    sx_list_push_back(&loop->streams, &s->link);
    *out = s;
    return SX_OK;
}

/* Undoes stream_new but leaves the socket to the caller. */
static void stream_unmake(sx_stream *s)
{
    int fd = s->fd;
    s->fd = -1; /* close(-1) only says EBADF */
    stream_destroy(s);
    s->fd = fd;
}

sx_status sx_stream_accept(sx_loop *loop, int fd, sx_tls *tls, const sx_peer *peer,
                           const sx_stream_options *options, const sx_stream_events *events,
                           void *ctx, sx_stream **out, sx_error *err)
{
    sx_stream *s;
    sx_status rc =
        stream_new(loop, fd, tls ? STREAM_HANDSHAKE : STREAM_OPEN, options, events, ctx, &s, err);
    if (rc != SX_OK)
        return rc;
    if (peer)
        s->peer = *peer;
    else
        describe_peer(s);
    if (tls) {
        rc = stream_tls_new(s, tls, SX_TLS_SERVER, sx_str_of(NULL, 0), err);
        if (rc != SX_OK) {
            stream_unmake(s);
            return rc;
        }
        stream_wait(s, s->options.connect_ms_max);
    }
    stream_set_interest(s);
    *out = s;
    return SX_OK;
}

sx_status sx_stream_connect(sx_loop *loop, const struct sockaddr *addr, socklen_t addr_bytes,
                            sx_tls *tls, sx_str server_name, const sx_stream_options *options,
                            const sx_stream_events *events, void *ctx, sx_stream **out,
                            sx_error *err)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return sx_fail_os(err, errno, "cannot open a socket");
    int on = 1;
    if (addr->sa_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, addr, addr_bytes) != 0 && errno != EINPROGRESS) {
        sx_status refused = sx_fail_os(err, errno, "connecting");
        close(fd);
        return refused;
    }
    sx_stream *s;
    sx_status rc = stream_new(loop, fd, STREAM_CONNECTING, options, events, ctx, &s, err);
    if (rc != SX_OK) {
        close(fd);
        return rc;
    }
    sx_peer_set(&s->peer, addr);
    if (tls) {
        rc = stream_tls_new(s, tls, SX_TLS_CLIENT, server_name, err);
        if (rc != SX_OK) {
            stream_destroy(s);
            return rc;
        }
    }
    stream_wait(s, s->options.connect_ms_max);
    stream_set_interest(s);
    *out = s;
    return SX_OK;
}

sx_status sx_stream_start_tls(sx_stream *s, sx_tls *tls, sx_tls_side side, sx_str server_name,
                              sx_str already_read, sx_error *err)
{
    if (s->tls || s->phase != STREAM_OPEN)
        return sx_fail(err, SX_EINVAL, "TLS can start only on an open cleartext connection");
    if (s->loop->scratch_owner == s && s->loop->scratch_len)
        stream_flush_scratch(s, sx_str_of(NULL, 0), false);
    if (s->phase != STREAM_OPEN)
        return sx_fail(err, SX_ECLOSED, "the connection was lost before TLS could start");
    sx_status rc = stream_tls_new(s, tls, side, server_name, err);
    if (rc == SX_OK && already_read.len)
        rc = stream_tls_hold(s, already_read);
    if (rc != SX_OK)
        return rc;
    stream_become(s, STREAM_HANDSHAKE);
    stream_wait(s, s->options.connect_ms_max);
    stream_set_interest(s);
    stream_tls_start(s);
    return SX_OK;
}

/* ---- small calls ---- */

void sx_stream_events_set(sx_stream *s, const sx_stream_events *events, void *ctx)
{
    s->events = events;
    s->ctx = ctx;
}

void sx_stream_pause(sx_stream *s)
{
    s->paused = true;
    stream_set_interest(s);
}

void sx_stream_resume(sx_stream *s)
{
    if (!s->paused || s->phase != STREAM_OPEN)
        return;
    s->paused = false;
    if (s->unread || (s->tls && stream_tls_has_input(s)))
        stream_due(s);
    else
        stream_set_interest(s);
}

sx_status sx_stream_unread(sx_stream *s, sx_str bytes)
{
    sx_assert(!s->unread);
    if (s->phase != STREAM_OPEN || bytes.len == 0)
        return SX_OK;
    s->unread = stream_segment_new(bytes);
    if (!s->unread)
        return SX_ENOMEM;
    stream_set_interest(s);
    if (!s->paused)
        stream_due(s);
    return SX_OK;
}

sx_loop *sx_stream_loop(const sx_stream *s)
{
    return s->loop;
}

uint64_t sx_stream_received_total(const sx_stream *s)
{
    return s->received_total;
}

bool sx_stream_is_tls(const sx_stream *s)
{
    return s->tls != NULL;
}

bool sx_stream_is_resumed(const sx_stream *s)
{
    return s->tls && stream_tls_is_resumed(s);
}

sx_str sx_stream_alpn(const sx_stream *s)
{
    return s->tls ? stream_tls_alpn(s) : sx_str_of(NULL, 0);
}

sx_peer *sx_stream_peer(sx_stream *s)
{
    return &s->peer;
}

void *sx_stream_context(const sx_stream *s)
{
    return s->ctx;
}

int sx_stream_fd(const sx_stream *s)
{
    return s->fd;
}

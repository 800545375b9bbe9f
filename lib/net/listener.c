/* listener.c - listening sockets of a server: accepting, the PROXY header, drain.
 *
 * Each loop's server has a socket of its own on the same address (bound.c) and the kernel spreads
 * connections over them. */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "net/bound.h"
#include "net/peer.h"
#include "net/proxy_protocol.h"

enum { BACKLOG_DEFAULT = 1024, ACCEPTS_A_TURN = 64, REST_MS = 100 };

/* ---- opening ---- */

static sx_status take_inherited(int fd, sx_listen_address *a, sx_error *err)
{
    int is_listening = 0;
    socklen_t bytes = sizeof(is_listening);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &bytes) != 0 || !is_listening)
        return sx_fail(err, SX_EINVAL, "inherited descriptor %d is not a listening socket", fd);
    a->bytes = sizeof(a->storage);
    if (getsockname(fd, (struct sockaddr *)&a->storage, &a->bytes) != 0)
        return sx_fail_os(err, errno, "inherited descriptor %d", fd);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return SX_OK;
}

/* ---- connections ---- */

static const char BUSY[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
                           "Content-Length: 41\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
                           "the server has too many connections open\n";

static void drop_data(sx_stream *s, void *ctx, sx_str piece)
{
    (void)s, (void)ctx, (void)piece;
}

static const sx_stream_events NO_EVENTS = {.data = drop_data};

/* One too many: told so, unless TLS stands between. It does not linger, or those refused would hold
 * the descriptors that the limit saves. What its client has sent is taken first, because closing
 * over unread input sends RST, which may overtake the answer. */
static void refuse_busy(sx_http_server *server, int fd, bool is_tls)
{
    sx_peer peer = {0};
    sx_stream *s;
    server->counts.connections_refused++;
    if (is_tls || sx_stream_accept(server->loop, fd, NULL, NULL, &server->stream_options,
                                   &NO_EVENTS, NULL, &s, NULL) != SX_OK) {
        close(fd);
        sx_http_server_reject(server, &peer, 0, "too many connections");
        return;
    }
    sx_http_server_reject(server, sx_stream_peer(s), 503, "too many connections");
    sx_stream_write(s, sx_str_of(BUSY, sizeof(BUSY) - 1));
    char dropped[4096];
    recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT);
    sx_stream_close(s);
}

/* A connection between accept and its protocol: its PROXY header is being read. */
typedef struct arriving {
    sx_http_conn base;
    sx_http_server *server;
    sx_tls *tls; /* shared: the listener may go first */
    sx_stream *stream;
    sx_timer timer;
    sx_buf seen;
} arriving;

static void arriving_free(arriving *a)
{
    sx_timer_stop(sx_loop_timers(a->server->loop), &a->timer);
    sx_http_server_remove(a->server, &a->base);
    sx_tls_unref(a->tls);
    sx_buf_done(&a->seen);
    sx_free(a);
}

static void arriving_refuse(arriving *a, const char *why)
{
    sx_http_server_reject(a->server, sx_stream_peer(a->stream), 0, why);
    sx_stream_reset(a->stream);
    arriving_free(a);
}

static void arriving_data(sx_stream *s, void *ctx, sx_str piece)
{
    arriving *a = ctx;
    size_t bytes = 0;
    sx_buf_str(&a->seen, piece);
    if (a->seen.failed) {
        arriving_refuse(a, "out of memory");
        return;
    }
    sx_status rc = sx_proxy_parse(sx_buf_view(&a->seen), sx_stream_peer(s), &bytes, NULL);
    if (rc == SX_AGAIN)
        return;
    if (rc != SX_OK) {
        arriving_refuse(a, "no valid PROXY header");
        return;
    }
    sx_http_server *server = a->server;
    sx_tls *tls = sx_tls_ref(a->tls);
    char *room = sx_buf_reserve(&a->seen, SX_STREAM_SLACK); /* what parsers may look at behind it */
    sx_buf seen = a->seen;
    sx_buf_init(&a->seen, 0);
    arriving_free(a);
    sx_str rest = sx_str_from(sx_buf_view(&seen), bytes);
    if (!room || (tls && sx_stream_start_tls(s, tls, SX_TLS_SERVER, sx_str_of(NULL, 0), rest,
                                             NULL) != SX_OK))
        sx_stream_reset(s);
    else if (tls)
        sx_http_server_take(server, s);
    else
        sx_http1_server_take(server, s, rest);
    sx_tls_unref(tls);
    sx_buf_done(&seen);
}

static void arriving_ended(sx_stream *s, void *ctx)
{
    (void)s;
    arriving_refuse(ctx, "closed before its PROXY header");
}

static void arriving_closed(sx_stream *s, void *ctx, sx_status why, const sx_error *err)
{
    (void)s, (void)why, (void)err;
    arriving_free(ctx);
}

static void arriving_late(sx_timer *timer, void *arg)
{
    (void)timer;
    arriving_refuse(arg, "the PROXY header took too long");
}

static void arriving_kill(sx_http_conn *base)
{
    arriving *a = SX_CONTAINER_OF(base, arriving, base);
    sx_stream_reset(a->stream);
    arriving_free(a);
}

static void arriving_drain(sx_http_conn *base)
{
    (void)base; /* its request is under way already */
}

static const sx_stream_events ARRIVING_EVENTS = {
    .data = arriving_data, .ended = arriving_ended, .closed = arriving_closed};
static const sx_http_conn_ops ARRIVING_OPS = {.drain = arriving_drain, .kill = arriving_kill};

static void expect_proxy_header(sx_listener *l, sx_stream *s)
{
    sx_http_server *server = l->server;
    arriving *a = sx_calloc(1, sizeof(*a));
    if (!a) {
        sx_stream_reset(s);
        return;
    }
    a->server = server;
    a->tls = sx_tls_ref(l->tls);
    a->stream = s;
    a->timer.fn = arriving_late;
    a->timer.arg = a;
    sx_buf_init(&a->seen, 0);
    sx_stream_events_set(s, &ARRIVING_EVENTS, a);
    sx_http_server_add(server, &a->base, &ARRIVING_OPS);
    sx_timer_start(sx_loop_timers(server->loop), &a->timer, server->options.limits.header_ms_max);
}

static void take_connection(sx_listener *l, int fd, const struct sockaddr *from)
{
    sx_http_server *server = l->server;
    const sx_http_limits *limits = &server->options.limits;
    server->counts.connections_accepted++;
    if (server->counts.connections_open >= limits->connections_max) {
        refuse_busy(server, fd, l->tls != NULL);
        return;
    }
    int on = 1;
    if (from->sa_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    sx_peer peer = {0};
    sx_peer_set(&peer, from);
    sx_stream *s;
    if (sx_stream_accept(server->loop, fd, l->proxy_protocol ? NULL : l->tls, &peer,
                         &server->stream_options, &NO_EVENTS, NULL, &s, NULL) != SX_OK) {
        close(fd);
        server->counts.connections_refused++;
        sx_http_server_reject(server, &peer, 0, "no memory for a connection");
        return;
    }
    if (l->proxy_protocol)
        expect_proxy_header(l, s);
    else
        sx_http_server_take(server, s);
}

/* ---- accepting ---- */

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void on_rested(sx_timer *timer, void *arg)
{
    (void)timer;
    sx_listener *l = arg;
    uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
}

/* The process has no descriptor left. The connection would stay in the queue and wake the loop without
 * end, and its client wait: so a spare descriptor is given up to accept and close it. Returns 0, or
 * why not: EAGAIN if nobody waits (accept4 misses a descriptor before it looks), EMFILE if another
 * thread took the spare one first. */
static int accept_none(sx_listener *l)
{
    if (l->spare_fd >= 0)
        close(l->spare_fd);
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    int why = fd >= 0 ? 0 : errno;
    if (fd >= 0) {
        close(fd);
        sx_peer peer = {0};
        l->server->counts.connections_refused++;
        sx_http_server_reject(l->server, &peer, 0, "the process has too many files open");
    }
    l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return why;
}

/* The system is short of something: looks again in a moment, instead of spinning on a ready queue. */
static bool rest(sx_listener *l)
{
    if (!l->closed) {
        uv_poll_stop(&l->poll);
        sx_timer_start(sx_loop_timers(l->server->loop), &l->rest, REST_MS);
    }
    return false;
}

/* False when the queue is empty. */
static bool accept_one(sx_listener *l)
{
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
    } from;
    socklen_t bytes = sizeof(from);
    from.any.sa_family = AF_UNIX;
    int fd = accept4(l->fd, &from.any, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        take_connection(l, fd, &from.any);
        return true;
    }
    switch (errno) {
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
        switch (accept_none(l)) {
        case 0:
            return true;
        case EAGAIN:
            return false;
        default:
            return rest(l);
        }
    case ENOBUFS:
    case ENOMEM:
        return rest(l);
    default: /* the connection's own trouble: it is gone (accept(2), "Error handling") */
        return true;
    }
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    sx_listener *l = SX_CONTAINER_OF(poll, sx_listener, poll);
    sx_loop_touch(l->server->loop);
    for (int i = 0; i < ACCEPTS_A_TURN && !l->closed; i++) {
        if (!accept_one(l))
            return;
    }
}

/* ---- life ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    sx_free(SX_CONTAINER_OF(handle, sx_listener, poll));
}

void sx_listener_close(sx_listener *l)
{
    sx_list_remove(&l->link);
    l->closed = true;
    sx_timer_stop(sx_loop_timers(l->server->loop), &l->rest);
    uv_close((uv_handle_t *)&l->poll, on_handle_closed);
    close(l->fd);
    if (l->spare_fd >= 0)
        close(l->spare_fd);
    if (!l->inherited)
        sx_bound_release(SOCK_STREAM, &l->address);
    sx_tls_unref(l->tls);
}

/* Has the kernel drop the packets that begin a connection. Between the last accept() and close() it
 * would go on accepting in our name, and reset whom it has accepted: a client that has asked already
 * would lose its answer. One whose packet is dropped asks again after a second, and is refused or finds
 * our successor. Connections inherit the filter, which does nothing to the rest of their packets.
 * Not for a socket that is shared: it will be listened on after us, or by others. */
static void refuse_newcomers(const sx_listener *l)
{
    struct sock_filter rows[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, offsetof(struct tcphdr, th_flags)),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TH_SYN | TH_ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TH_SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog program = {.len = SX_COUNT_OF(rows), .filter = rows};
    sa_family_t family = ((const struct sockaddr *)&l->address.storage)->sa_family;
    if (!l->inherited &&
        (family == AF_INET || family == AF_INET6)) /* refused: a small risk remains */
        (void)setsockopt(l->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* Whoever is in the queue was accepted by the kernel in our name: they are served. */
void sx_listener_drain(sx_listener *l)
{
    refuse_newcomers(l);
    while (accept_one(l)) {
    }
    sx_listener_close(l);
}

static sx_status watch(sx_http_server *server, sx_listener *l, sx_error *err)
{
    int rc = uv_poll_init(sx_loop_uv(server->loop), &l->poll, l->fd);
    if (rc != 0)
        return sx_fail_os(err, -rc, "cannot watch a listening socket");
    l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    l->rest.fn = on_rested;
    l->rest.arg = l;
    sx_list_push_back(&server->listeners, &l->link);
    uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    return SX_OK;
}

sx_status sx_http_server_listen(sx_http_server *server, const sx_listen_options *options,
                                sx_bound *bound, sx_error *err)
{
    if (server->draining)
        return sx_fail(err, SX_ECLOSED, "the server is draining and takes no listener");
    sx_listener *l = sx_calloc(1, sizeof(*l));
    if (!l)
        return sx_fail_memory(err, "a listener");
    l->server = server;
    l->proxy_protocol = options->proxy_protocol;
    l->inherited = options->inherited_fd > 0;
    l->fd = options->inherited_fd;
    sx_status rc;
    if (l->inherited) {
        rc = take_inherited(l->fd, &l->address, err);
    } else {
        rc = sx_listen_address_parse(options->address, &l->address, err);
        if (rc == SX_OK)
            rc = sx_bound_open(SOCK_STREAM, &l->address,
                               options->backlog ? options->backlog : BACKLOG_DEFAULT, &l->fd, err);
    }
    if (rc != SX_OK) {
        sx_free(l);
        return rc;
    }
    rc = watch(server, l, err);
    if (rc != SX_OK) {
        if (!l->inherited) {
            close(l->fd);
            sx_bound_release(SOCK_STREAM, &l->address);
        }
        sx_free(l);
        return rc;
    }
    l->tls = sx_tls_ref(options->tls);
    if (bound) {
        char text[SX_ADDRESS_TEXT_BYTES];
        sx_listen_address_print(&l->address, text);
        snprintf(bound->text, sizeof(bound->text), "%s", text);
    }
    return SX_OK;
}

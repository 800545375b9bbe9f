/* udp.c - see udp.h. The port is checked and shared as a TCP listener's is (bound.h). */
#include "net/udp.h"

#include <errno.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "net/bound.h"
#include "net/loop_internal.h"
#include "net/peer.h"

enum { BATCHES_A_TURN = 8, RECEIVE_BYTES_DEFAULT = 4 << 20, SLACK_BYTES = 32, CONTROL_BYTES = 64 };

struct sx_udp {
    uv_poll_t poll;
    sx_loop *loop;
    int fd;
    bool closed;
    sx_udp_fn *fn;
    void *ctx;
    sx_listen_address address;
    sx_udp_counts counts;
    uint32_t lost_seen; /* the kernel's counter, which wraps */
    char *buffers;      /* one a datagram; only the pages that are used exist */
};

sx_loop *sx_udp_loop(const sx_udp *udp)
{
    return udp->loop;
}

static size_t buffer_bytes(void)
{
    return SX_UDP_DATAGRAM_BYTES + SLACK_BYTES;
}

/* The kernel's count of datagrams that found the queue full, as of this datagram. */
static void read_lost(sx_udp *u, struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        uint32_t lost;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL)
            continue;
        memcpy(&lost, CMSG_DATA(c), sizeof(lost));
        u->counts.lost += (uint32_t)(lost - u->lost_seen);
        u->lost_seen = lost;
    }
}

/* One system call. False when the queue is empty. */
static bool receive_batch(sx_udp *u)
{
    struct mmsghdr messages[SX_UDP_BATCH];
    struct iovec parts[SX_UDP_BATCH];
    struct sockaddr_storage from[SX_UDP_BATCH];
    _Alignas(struct cmsghdr) char control[SX_UDP_BATCH][CONTROL_BYTES];
    sx_datagram items[SX_UDP_BATCH];
    for (size_t i = 0; i < SX_UDP_BATCH; i++) {
        parts[i] = (struct iovec){u->buffers + i * buffer_bytes(), SX_UDP_DATAGRAM_BYTES};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                              .msg_namelen = sizeof(from[i]),
                                              .msg_iov = &parts[i],
                                              .msg_iovlen = 1,
                                              .msg_control = control[i],
                                              .msg_controllen = CONTROL_BYTES};
    }
    int n = recvmmsg(u->fd, messages, SX_UDP_BATCH, MSG_DONTWAIT, NULL);
    if (n <= 0)
        return n < 0 && errno == EINTR; /* an ICMP error of somebody's reply is nobody's loss */
    for (size_t i = 0; i < (size_t)n; i++) {
        items[i] = (sx_datagram){.bytes = sx_str_of(parts[i].iov_base, messages[i].msg_len)};
        sx_peer_set(&items[i].from, (const struct sockaddr *)(const void *)&from[i]);
        read_lost(u, &messages[i].msg_hdr);
    }
    u->counts.received += (uint64_t)n;
    u->fn(u, u->ctx, items, (size_t)n);
    return n == SX_UDP_BATCH;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    sx_udp *u = SX_CONTAINER_OF(poll, sx_udp, poll);
    sx_loop_touch(u->loop);
    for (int i = 0; i < BATCHES_A_TURN && !u->closed && receive_batch(u); i++) {
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    sx_udp *u = SX_CONTAINER_OF(handle, sx_udp, poll);
    sx_free(u->buffers);
    sx_free(u);
}

void sx_udp_close(sx_udp *u)
{
    if (!u || u->closed)
        return;
    u->closed = true;
    uv_close((uv_handle_t *)&u->poll, on_handle_closed);
    close(u->fd);
    sx_bound_release(SOCK_DGRAM, &u->address);
}

sx_status sx_udp_open(sx_loop *loop, const sx_udp_options *options, sx_udp **out, sx_bound *bound,
                      sx_error *err)
{
    sx_udp *u = sx_calloc(1, sizeof(*u));
    if (!u)
        return sx_fail_memory(err, "a UDP socket");
    u->buffers = sx_alloc(SX_UDP_BATCH * buffer_bytes());
    sx_status rc = u->buffers ? sx_listen_address_parse(options->address, &u->address, err)
                              : sx_fail_memory(err, "the buffers of a UDP socket");
    if (rc == SX_OK && u->address.storage.ss_family == AF_UNIX)
        rc = sx_fail(err, SX_EINVAL, "UDP: a Unix socket has no datagram port; write HOST:PORT");
    if (rc == SX_OK)
        rc = sx_bound_open(SOCK_DGRAM, &u->address, 0, &u->fd, err);
    if (rc != SX_OK) {
        sx_free(u->buffers);
        sx_free(u);
        return rc;
    }
    int uv_rc = uv_poll_init(sx_loop_uv(loop), &u->poll, u->fd);
    if (uv_rc != 0) {
        close(u->fd);
        sx_bound_release(SOCK_DGRAM, &u->address);
        sx_free(u->buffers);
        sx_free(u);
        return sx_fail_os(err, -uv_rc, "cannot watch a UDP socket");
    }
    int on = 1,
        bytes = options->receive_bytes ? (int)options->receive_bytes : RECEIVE_BYTES_DEFAULT;
    setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)); /* the kernel takes its most */
    setsockopt(u->fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
    u->loop = loop;
    u->fn = options->fn;
    u->ctx = options->ctx;
    uv_poll_start(&u->poll, UV_READABLE, on_readable);
    if (bound)
        sx_listen_address_print(&u->address, bound->text);
    *out = u;
    return SX_OK;
}

sx_udp_counts sx_udp_counts_of(const sx_udp *u)
{
    return u->counts;
}

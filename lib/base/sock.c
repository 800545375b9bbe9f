/* sock.c - socket calls and their fault plan.
 *
 * The two hot calls go to the kernel without libc's wrappers: in a program with threads these make
 * every call a cancellation point, which costs some 3 % of a small request's time, and nothing here
 * is ever cancelled. */
#include "base/sock.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"

/* Written by tests before any thread starts; the counts are shared. */
static struct {
    bool on;
    sx_fault_socket plan;
    _Atomic int64_t calls;
    _Atomic int64_t bytes;
} fault;

void sx_fault_socket_set(const sx_fault_socket *plan)
{
    fault.on = plan != NULL;
    if (plan)
        fault.plan = *plan;
    fault.calls = 0;
    fault.bytes = 0;
}

/* How many of `len` bytes this call may move; -1 with errno if it must fail. */
static SX_COLD ssize_t allowed(int fd, size_t len)
{
    const sx_fault_socket *plan = &fault.plan;
    if (plan->fd >= 0 && plan->fd != fd)
        return (ssize_t)len;
    int64_t call = ++fault.calls;
    if (plan->again_every > 0 && call % plan->again_every == 0) {
        errno = EAGAIN;
        return -1;
    }
    if (plan->split_bytes && len > plan->split_bytes)
        len = plan->split_bytes;
    if (plan->reset_after_bytes >= 0) {
        int64_t left = plan->reset_after_bytes - fault.bytes;
        if (left <= 0) {
            errno = ECONNRESET;
            return -1;
        }
        if (len > (size_t)left)
            len = (size_t)left;
    }
    return (ssize_t)len;
}

static ssize_t counted(ssize_t moved)
{
    if (sx_unlikely(fault.on) && moved > 0)
        fault.bytes += moved;
    return moved;
}

ssize_t sx_sock_read(int fd, void *out, size_t cap)
{
    if (sx_unlikely(fault.on)) {
        ssize_t may = allowed(fd, cap);
        if (may < 0)
            return -1;
        cap = (size_t)may;
    }
    ssize_t got;
    do {
        got = syscall(SYS_recvfrom, fd, out, cap, 0, NULL, NULL);
    } while (got < 0 && errno == EINTR);
    return counted(got);
}

ssize_t sx_sock_write(int fd, const void *data, size_t len)
{
    if (sx_unlikely(fault.on)) {
        ssize_t may = allowed(fd, len);
        if (may < 0)
            return -1;
        len = (size_t)may;
    }
    ssize_t sent;
    do {
        sent = syscall(SYS_sendto, fd, data, len, MSG_NOSIGNAL, NULL, 0);
    } while (sent < 0 && errno == EINTR);
    return counted(sent);
}

ssize_t sx_sock_writev(int fd, const struct iovec *parts, int count)
{
    if (sx_unlikely(fault.on)) { /* one part at a time: a split that every caller must survive */
        for (int i = 0; i < count; i++) {
            if (parts[i].iov_len)
                return sx_sock_write(fd, parts[i].iov_base, parts[i].iov_len);
        }
        return 0;
    }
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts,
                             .msg_iovlen = (size_t)count};
    ssize_t sent;
    do {
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent;
}

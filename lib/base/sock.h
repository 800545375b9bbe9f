/* sock.h - reading and writing sockets, with a place where a test can make them misbehave.
 *
 * As read(2), write(2) and writev(2) on a socket that does not block, without SIGPIPE; EINTR is
 * retried inside. lib/net reads and writes through these where libuv does not do it itself. */
#ifndef SEXTANT_BASE_SOCK_H
#define SEXTANT_BASE_SOCK_H

#include <sys/types.h>
#include <sys/uio.h>

#include <sextant/base.h>

/* Bytes moved; 0 from a read at the end; -1 with errno. */
ssize_t sx_sock_read(int fd, void *out, size_t cap);
ssize_t sx_sock_write(int fd, const void *data, size_t len);
ssize_t sx_sock_writev(int fd, const struct iovec *parts, int count);

#endif

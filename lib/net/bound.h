/* bound.h - opening sockets on an address that several loops of this process share.
 *
 * SO_REUSEPORT lets each loop have a socket of its own on one address, and would as silently let a
 * second program of the same user have one, too. So the first socket of this process on an address
 * binds once without that option, which fails if anybody has it. Used by listener.c and udp.c. */
#ifndef SEXTANT_NET_BOUND_H
#define SEXTANT_NET_BOUND_H

#include "net/address.h"

/* A non-blocking socket bound to *a, which gets its real port. type: SOCK_STREAM (it then listens) or
 * SOCK_DGRAM. A Unix socket that this process has already is shared; a stale one of a dead process
 * is removed. Any thread. Errors: SX_EEXIST (in use, by whom and what to do), SX_EINVAL, SX_EACCESS,
 * SX_EIO, SX_ENOMEM. Each success needs one release, after the socket was closed. */
sx_status sx_bound_open(int type, sx_listen_address *a, int backlog, int *out, sx_error *err);
void sx_bound_release(int type, const sx_listen_address *a);

#endif

/* peer.h - the other side of a connection, as text. */
#ifndef SEXTANT_NET_PEER_H
#define SEXTANT_NET_PEER_H

#include <sys/socket.h>

#include <sextant/http.h>

/* Writes the numeric address and port of `addr` to the peer; an IPv4 address in IPv6 clothes is
 * written as IPv4, so that rate limits and logs see one client. */
void sx_peer_set(sx_peer *peer, const struct sockaddr *addr);

#endif

/* proxy_protocol.h - the header by which a load balancer says who its client is.
 *
 * Versions 1 (a line of text) and 2 (binary) of HAProxy's PROXY protocol
 * (www.haproxy.org/download/2.8/doc/proxy-protocol.txt). Only on listeners that ask for it: anybody
 * could send one, so it is believed from a trusted network alone. */
#ifndef SEXTANT_NET_PROXY_PROTOCOL_H
#define SEXTANT_NET_PROXY_PROTOCOL_H

#include <sextant/http.h>

enum { SX_PROXY_BYTES_MAX = 16 + 2048 }; /* a header that is longer is refused */

/* Reads the header at the start of `in`.
 *   peer   address and port are set; unchanged if the header says LOCAL, UNKNOWN or a Unix socket
 *   bytes  its length
 * SX_OK; SX_AGAIN (more bytes are needed); SX_EFORMAT, err says what is wrong. The answer does not
 * depend on how the bytes are cut. */
sx_status sx_proxy_parse(sx_str in, sx_peer *peer, size_t *bytes, sx_error *err);

#endif

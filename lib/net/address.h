/* address.h - socket addresses as text: "127.0.0.1:8080", "[::1]:0", ":8080", "unix:/path".
 *
 * Numbers only (and "localhost"): a listener's address must not depend on a name server. */
#ifndef SEXTANT_NET_ADDRESS_H
#define SEXTANT_NET_ADDRESS_H

#include <sys/socket.h>

#include <sextant/error.h>
#include <sextant/str.h>

typedef struct sx_listen_address {
    struct sockaddr_storage storage;
    socklen_t bytes;
    bool any; /* no host was named: all addresses, IPv6 and IPv4 alike */
} sx_listen_address;

/* Errors: SX_EINVAL with the text, what is wrong with it and what it should look like. */
sx_status sx_listen_address_parse(sx_str text, sx_listen_address *out, sx_error *err);

enum { SX_ADDRESS_TEXT_BYTES = 128 };

/* Writes it so that sx_listen_address_parse reads the same back; NUL-terminated. */
void sx_listen_address_print(const sx_listen_address *address, char out[SX_ADDRESS_TEXT_BYTES]);

#endif

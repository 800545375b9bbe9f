/* exempt.h - clients that no rate holds for: the setting limits.exempt, compiled.
 *
 * An item is an address, a prefix in CIDR notation (RFC 4632, RFC 4291 section 2.3), or the word
 * "loopback": 127.0.0.0/8, ::1, and who comes by a Unix socket. An IPv4 address that is written as an
 * IPv6 one (::ffff:1.2.3.4) is the same address. */
#ifndef SEXTANT_SERVICE_EXEMPT_H
#define SEXTANT_SERVICE_EXEMPT_H

#include <sextant/config.h>

enum { SX_EXEMPT_MAX = 32 };

typedef struct sx_exempt {
    bool loopback_socket; /* a Unix socket's clients, which have no address */
    size_t count;
    struct {
        uint8_t bytes[16];
        unsigned bits;
    } prefixes[SX_EXEMPT_MAX];
} sx_exempt;

/* Errors: SX_EINVAL (an item that is none of those, by name), SX_ELIMIT. */
sx_status sx_exempt_parse(sx_texts items, sx_exempt *out, sx_error *err);

/* Whether `client`, an address or any text from outside, is one of them. HOT: 2 ns if none is, else
 * 60 ns. Any thread. */
bool sx_exempt_has(const sx_exempt *e, sx_str client);

#endif

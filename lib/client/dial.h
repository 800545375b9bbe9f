/* dial.h - a connection to a named host: name, addresses in turn, TCP or a Unix socket, TLS.
 *
 * For the clients whose protocol is theirs (Redis); HTTP has its own with proxies. Addresses are tried
 * one after the other, the first that opens is taken, one timer covers it all. */
#ifndef SEXTANT_CLIENT_DIAL_H
#define SEXTANT_CLIENT_DIAL_H

#include "net/dns.h"
#include "net/stream.h"

typedef struct client_dial client_dial;

typedef struct client_dial_options {
    sx_loop *loop;
    sx_dns *dns;   /* may be NULL for a Unix socket */
    sx_str host;   /* a name or an address, or the path of a Unix socket; outlives the dial */
    uint16_t port; /* 0: a Unix socket */
    sx_tls *tls;   /* NULL: cleartext */
    uint32_t connect_ms_max;
    sx_stream_options stream;
} client_dial_options;

/* How it went, once, never from within client_dial_start; the dial is gone. `stream` is the receiver's,
 * who sets its events; NULL: failed, with status and err. */
typedef void client_dial_fn(void *ctx, sx_stream *stream, sx_status status, const sx_error *err);

/* Errors: SX_ENOMEM; SX_EINVAL (a name or path that is none). */
sx_status client_dial_start(const client_dial_options *options, client_dial_fn *fn, void *ctx,
                            client_dial **out, sx_error *err);

/* Gives it up; `fn` is not called. NULL is allowed. */
void client_dial_cancel(client_dial *dial);

#endif

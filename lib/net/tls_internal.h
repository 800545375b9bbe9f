/* tls_internal.h - what stream_tls.c needs of a TLS context. */
#ifndef SEXTANT_NET_TLS_INTERNAL_H
#define SEXTANT_NET_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include <sextant/tls.h>

/* One generation of certificates: what a reload swaps. Lives until its last connection is gone. */
typedef struct tls_generation tls_generation;

/* The generation that new connections use, and a share of it. Any thread. */
tls_generation *tls_generation_current(sx_tls *tls);
void tls_generation_unref(tls_generation *g);

/* An SSL for a new connection; NULL if OpenSSL has no memory. For a client `server_name` (which may
 * be empty, and need not end in NUL) becomes SNI and the name to verify, and an earlier session with
 * it is offered again. */
SSL *tls_generation_ssl(tls_generation *g, sx_str server_name);

bool tls_generation_is_server(const tls_generation *g);

/* OpenSSL's oldest error in this thread's queue as text, the queue emptied. Static or thread-local. */
const char *tls_reason(void);

#endif

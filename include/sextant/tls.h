/* tls.h - TLS contexts for listeners and clients, by OpenSSL 3.
 *
 * A context holds certificates and settings and may be shared by all loops; it is reference-counted.
 * Reloading swaps what new connections see; those that are open go on with what they had. */
#ifndef SEXTANT_TLS_H
#define SEXTANT_TLS_H

#include <sextant/error.h>
#include <sextant/str.h>

SX_BEGIN_DECLS

typedef struct sx_tls sx_tls;

/* One certificate of a server: PEM files. The first is the default when SNI matches none. */
typedef struct sx_tls_certificate {
    const char *chain_file; /* leaf first */
    const char *key_file;
} sx_tls_certificate;

typedef enum sx_tls_verify {
    SX_TLS_VERIFY_NONE,     /* do not ask for (server) or check (client) a certificate */
    SX_TLS_VERIFY_OPTIONAL, /* server: check one if sent */
    SX_TLS_VERIFY_REQUIRED
} sx_tls_verify;

typedef struct sx_tls_server_options {
    const sx_tls_certificate *certificates;
    size_t certificate_count;
    const char *client_ca_file; /* for mutual TLS; NULL with SX_TLS_VERIFY_NONE */
    sx_tls_verify verify;
    bool http2; /* offer h2 by ALPN beside http/1.1 */
} sx_tls_server_options;

typedef struct sx_tls_client_options {
    const char *ca_file;    /* NULL: the system's roots */
    const char *chain_file; /* our own certificate for mutual TLS, or NULL */
    const char *key_file;
    sx_tls_verify verify; /* NONE or REQUIRED; zero is NONE: set it */
    bool http2;           /* offer h2 by ALPN */
} sx_tls_client_options;

/* TLS 1.2 and 1.3. Errors name the file and OpenSSL's reason: SX_ENOTFOUND, SX_EINVAL, SX_ENOMEM. */
sx_status sx_tls_server_new(const sx_tls_server_options *options, sx_tls **out, sx_error *err);
sx_status sx_tls_client_new(const sx_tls_client_options *options, sx_tls **out, sx_error *err);

/* Reads the same files again. On an error the old certificates stay in use. Any thread. */
sx_status sx_tls_reload(sx_tls *tls, sx_error *err);

/* Shares and gives back. Any thread. */
sx_tls *sx_tls_ref(sx_tls *tls);
void sx_tls_unref(sx_tls *tls);

SX_END_DECLS

#endif

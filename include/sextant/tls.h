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
    SX_TLS_VERIFY_REQUIRED,
    SX_TLS_VERIFY_ASK, /* server: ask for one, take whatever is sent, or nothing */
    SX_TLS_VERIFY_ANY  /* server: one must be sent; whose it is does not matter */
} sx_tls_verify;

/* Versions of the protocol, by their numbers in it. */
typedef enum sx_tls_version {
    SX_TLS_VERSION_DEFAULT = 0, /* 1.2 at least, 1.3 at most */
    SX_TLS_1_0 = 0x0301,
    SX_TLS_1_1 = 0x0302,
    SX_TLS_1_2 = 0x0303,
    SX_TLS_1_3 = 0x0304
} sx_tls_version;

typedef struct sx_tls_server_options {
    const sx_tls_certificate *certificates;
    size_t certificate_count;
    const char *client_ca_file; /* for mutual TLS; NULL with SX_TLS_VERIFY_NONE */
    sx_tls_verify verify;
    bool http2; /* offer h2 by ALPN beside http/1.1 */

    sx_tls_version version_min, version_max;
    const char *ciphers; /* of TLS 1.2 and older, OpenSSL's names with ':' between; NULL: those with
                          * forward secrecy and authenticated encryption */
    const char *groups; /* key exchange, OpenSSL's names with ':' between; NULL: OpenSSL's choice */
    bool client_order;  /* the client's order of ciphers counts, not ours */
    const char *const
        *client_names;        /* a verified client must have one of these among its alternative */
    size_t client_name_count; /* names (DNS, e-mail, URI, address); none: any client will do */
} sx_tls_server_options;

typedef struct sx_tls_client_options {
    const char *ca_file;    /* NULL: the system's roots */
    const char *chain_file; /* our own certificate for mutual TLS, or NULL */
    const char *key_file;
    sx_tls_verify verify; /* NONE or REQUIRED; zero is NONE: set it */
    bool http2;           /* offer h2 by ALPN */

    /* The same as texts, copied; empty: the files. */
    sx_str ca_pem, chain_pem, key_pem;
    const char *server_name; /* sent as SNI and looked for in certificates; NULL: the URL's host */
    sx_tls_version version_min, version_max; /* below 1.2: with the ciphers of that time, too */
} sx_tls_client_options;

/* TLS 1.2 and 1.3. Errors name the file and OpenSSL's reason: SX_ENOTFOUND, SX_EINVAL, SX_ENOMEM. */
sx_status sx_tls_server_new(const sx_tls_server_options *options, sx_tls **out, sx_error *err);
sx_status sx_tls_client_new(const sx_tls_client_options *options, sx_tls **out, sx_error *err);

/* Reads the same files again. On an error the old certificates stay in use. Any thread. */
sx_status sx_tls_reload(sx_tls *tls, sx_error *err);

/* Takes other options (and files) for connections from now on; on an error all stays as it was.
 * `tls` is a server's. Errors: as sx_tls_server_new. One thread at a time. */
sx_status sx_tls_server_change(sx_tls *tls, const sx_tls_server_options *options, sx_error *err);

/* Shares and gives back. Any thread. */
sx_tls *sx_tls_ref(sx_tls *tls);
void sx_tls_unref(sx_tls *tls);

SX_END_DECLS

#endif

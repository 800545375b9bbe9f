/* web_config.h - the file that says how a listener is protected, in the form that Prometheus and its
 * exporters share: TLS, users with bcrypt hashes, a few header fields.
 *
 *     tls_server_config:
 *       cert_file: server.crt            relative to this file
 *       key_file: server.key
 *       client_auth_type: RequireAndVerifyClientCert
 *       client_ca_file: clients.crt
 *     http_server_config:
 *       http2: true
 *       headers: {X-Frame-Options: deny}
 *     basic_auth_users:
 *       alice: $2y$10$…                  htpasswd -nBC 10 alice
 *     rate_limit: {interval: 10ms, burst: 50}   of all clients together; above it the answer is 429
 *     bearer_tokens:                     ours: NAME: TOKEN, or NAME: sha256:HEX
 *       ci: sha256:9f86d08…
 *
 * A key that is not known is an error with its line, as a value that makes no sense. A service takes
 * the file by its setting web.config.file, for its main and its admin listener, and reads it again at
 * each reload. Source: prometheus/exporter-toolkit, docs/web-configuration.md. */
#ifndef SEXTANT_WEB_CONFIG_H
#define SEXTANT_WEB_CONFIG_H

#include <sextant/arena.h>
#include <sextant/error.h>
#include <sextant/tls.h>

SX_BEGIN_DECLS

typedef struct sx_web_user {
    sx_str name;
    sx_str hash; /* bcrypt's text */
} sx_web_user;

typedef struct sx_web_token {
    sx_str name; /* whose it is, for logs and sx_request_user() */
    unsigned char sha256[32];
} sx_web_token;

typedef struct sx_web_header {
    sx_str name, value;
} sx_web_header;

/* What a file says; read-only. All of it lies in `arena`. */
typedef struct sx_web_config {
    sx_arena arena;
    bool tls;                          /* tls_server_config names a certificate */
    sx_tls_certificate certificate;    /* paths as they are opened */
    sx_tls_server_options tls_options; /* its certificates are `certificate` */
    bool http2;
    const sx_web_header *headers;
    size_t header_count;
    const sx_web_user *users;
    size_t user_count;
    const sx_web_token *tokens;
    size_t token_count;
    int64_t rate_interval_ns; /* one request in such a time; 0: any */
    uint32_t rate_burst;      /* so many at once */
} sx_web_config;

/* Reads the file at `path`. Does not open the files that it names. Errors: SX_ENOTFOUND, SX_EACCESS,
 * SX_EFORMAT and SX_EINVAL with file, line and column, SX_ENOMEM. */
sx_status sx_web_config_load(const char *path, sx_web_config **out, sx_error *err);

/* The same from a text; `path` is for messages, and where relative paths begin. */
sx_status sx_web_config_parse(sx_str text, const char *path, sx_web_config **out, sx_error *err);

/* Frees it. NULL is allowed. */
void sx_web_config_free(sx_web_config *config);

SX_END_DECLS

#endif

/* http_target.h - an HTTP client made from a prom_http_config: authentication, TLS, proxies, headers.
 *
 * One for each distinct configuration on a loop, shared by the targets of a job: connections are kept
 * alive. Credentials in files are read again at each request, OAuth 2.0 tokens fetched and renewed
 * before they expire. Credentials are not sent on after a redirect to another host.
 * Used by scrapes, discovery, notifications, remote write and read. */
#ifndef OBSERVE_SCRAPE_HTTP_TARGET_H
#define OBSERVE_SCRAPE_HTTP_TARGET_H

#include <sextant/kit.h>
#include <sextant/loop.h>

#include "observe/config/config.h"

typedef struct prom_http prom_http;

typedef struct prom_http_limits {
    uint64_t body_bytes_max; /* as received; 0: 64 MiB */
    uint64_t
        decoded_bytes_max;    /* after decompression, where the request has no limit; 0: 512 MiB */
    uint32_t connections_max; /* an origin; 0: 8 */
    bool spread_addresses;    /* each connection begins with another of a name's addresses */
} prom_http_limits;

/* SX_EINVAL, SX_ENOTFOUND for certificates that cannot be read, SX_ENOMEM. `config` is borrowed for
 * the client's life. */
sx_status prom_http_new(sx_loop *loop, const sx_kit *kit, const prom_http_config *config,
                        const prom_http_limits *limits, prom_http **out, sx_error *err);
void prom_http_free(prom_http *h);

/* Whether the clients of a configuration's Alertmanagers and remote ends could be made: makes each and
 * frees it. (A scrape's is made by its target, which is down without.) Errors: of prom_http_new, with
 * the place. Any thread. */
sx_status prom_http_check_all(const prom_config *config, sx_error *err);

typedef struct prom_http_call prom_http_call;

typedef struct prom_http_request {
    sx_str method, url; /* unix:/path:/target for Unix sockets */
    const tsdb_label *headers;
    size_t header_count;
    sx_str body;
    int64_t timeout_ms;
    uint64_t body_bytes_max; /* decompressed; 0: the client's. A body that reaches it (as Prometheus
                                counts) fails the call with SX_ELIMIT, "body size limit exceeded" */
    bool accept_gzip;        /* asks for gzip; gzip, deflate and zstd are undone in any case */
    /* Given: the body comes in pieces as it arrives (watches), of any length unless body_bytes_max is
     * given, and `done` has an empty one. May cancel its call. */
    void (*piece)(void *ctx, int status, sx_str piece);
} prom_http_request;

/* How it ended. Views are good for the call. */
typedef struct prom_http_answer {
    sx_status result; /* SX_OK: an answer came, whatever its status */
    const sx_error *error;
    int status;
    sx_str body; /* decompressed */
    sx_str content_type;
    const struct sx_response *response;
    int64_t elapsed_ns;
} prom_http_answer;
typedef void prom_http_done(void *ctx, const prom_http_answer *answer);

/* Starts a call. Views are copied. `done` comes exactly once, never before this returns, unless this
 * fails; it may free the client. Without answer in time it has SX_ETIMEOUT, "context deadline
 * exceeded". Errors: SX_EFORMAT (the URL), of files with credentials or certificates, SX_ENOMEM. */
sx_status prom_http_send(prom_http *h, const prom_http_request *request, prom_http_done *done,
                         void *ctx, prom_http_call **out, sx_error *err);

/* `done` comes with SX_ECANCELED before this returns. */
void prom_http_cancel(prom_http_call *call);

#endif

/* http_target_internal.h - the inside of prom_http, shared by its files.
 *
 *   http_target.c           the public calls; a call's life: hops, redirects, bodies
 *   http_target_auth.c      credentials and header fields of a configuration; OAuth 2.0 tokens
 *   http_target_client.c    the client below: TLS from texts and files, proxies, changes of files
 *   http_target_location.c  where a redirect leads
 *
 *   call    [waits for a token] -> hop -> head -> body -> done (exactly once) -> freed
 *               ^                            | redirect, or 401 with a token: the next hop
 *               +----------------------------+ */
#ifndef OBSERVE_SCRAPE_HTTP_TARGET_INTERNAL_H
#define OBSERVE_SCRAPE_HTTP_TARGET_INTERNAL_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/compress.h>
#include <sextant/file.h>
#include <sextant/http_client.h>
#include <sextant/list.h>
#include <sextant/mem.h>

#include "observe/scrape/http_target.h"

/* Defaults of prom_http_limits. */
enum { HTTP_BODY_BYTES_MAX = 64 << 20, HTTP_DECODED_BYTES_MAX = 512 << 20 };

enum {
    HTTP_REDIRECTS_MAX = 10,
    HTTP_SECRET_BYTES_MAX = 1 << 20,
    HTTP_PEM_BYTES_MAX = 4 << 20,
    HTTP_DECODE_ROOM = 65536
};

/* What tells that a file has changed. */
typedef struct http_stamp {
    int64_t changed_ns;
    uint64_t bytes, inode;
} http_stamp;

/* A client made from one reading of the TLS files. When they change another is made, and this one
 * lives until its last call is over. */
typedef struct http_client_share {
    sx_http_client *client;
    http_stamp stamps[3];
    uint32_t users; /* calls, and 1 while it is the current one */
} http_client_share;

/* OAuth 2.0, client credentials (RFC 6749, section 4.4). */
typedef struct http_token {
    prom_http_config config; /* how the token's server is asked */
    prom_http *client;
    prom_http *waiting_for; /* whose token it is */
    prom_http_call *fetch;  /* NULL: nobody is asking */
    sx_buf field;           /* "Bearer abc"; empty: none */
    sx_buf secret;          /* that the token was had with */
    int64_t expires_ms;     /* monotonic; 0: never */
    bool in_body;           /* the server wants the credentials in the form */
    bool knows_way;         /* in_body is known to be right */
    sx_list waiting;        /* calls, by their `wait` */
} http_token;

struct prom_http {
    sx_loop *loop;
    const prom_http_config *config;
    prom_http_limits limits;
    http_client_share *share;
    http_token *token; /* NULL: no OAuth */
    sx_list calls;
    sx_decoder *spare_gzip; /* scrapes come one after the other: kept for the next */
    sx_buf spare_body;
};

struct prom_http_call {
    sx_list link;             /* http->calls */
    sx_list wait;             /* token->waiting */
    prom_http *http;          /* NULL: freed by the caller's `done`, which still runs */
    http_client_share *share; /* of the hop under way */
    sx_call *hop;             /* NULL: none */
    prom_http_done *done;
    void *ctx;
    void (*piece)(void *ctx, int status, sx_str piece);
    sx_arena arena; /* the request, and the URLs of redirects */
    sx_str method, url, body;
    sx_header *headers;
    size_t header_count;
    bool accept_gzip;
    uint64_t bytes_max; /* 0: the client's */

    uint32_t redirects;
    bool is_foreign; /* has been sent to another host: without credentials from then on */
    bool renewed;    /* a 401 has had its new token */
    enum { HTTP_BODY_WANTED, HTTP_BODY_IGNORED } use;
    sx_str location; /* of a redirect to follow */
    bool renew;      /* a 401 to ask again after */
    const sx_response *response;
    sx_decoder *decoder; /* NULL: the body as it is */
    bool is_gzip;
    sx_buf content;
    uint64_t received, decoded;
    int64_t start_ns;
    sx_timer total_timer, later;
    sx_error later_error; /* why `later` ends it; SX_OK: goes on */
    uint32_t busy;        /* callbacks of the caller's that run */
    bool ended;
};

/* ---- http_target.c ---- */

/* Goes on in a later turn: with the next hop, or (err not SX_OK) by failing. */
void http_call_later(prom_http_call *call, const sx_error *err);

/* ---- http_target_auth.c ---- */

/* Adds what the configuration says to a request to the host that was meant: Authorization, unless the
 * request has one, and http_headers. `out` has room for `room` more than *count. Texts lie in `arena`.
 * Errors: of files that cannot be read, SX_ENOMEM. */
size_t http_auth_fields_max(const prom_http_config *config);
sx_status http_auth_fields(prom_http *h, sx_arena *arena, sx_header *out, size_t *count,
                           sx_error *err);

/* Whether a call must wait for a token first; then it does, and http_call_later follows.
 * Errors: what reading the secret or asking says; then it does not wait. */
sx_status http_token_await(prom_http *h, prom_http_call *call, bool *waits, sx_error *err);

/* Forgets a token that was refused. */
void http_token_forget(http_token *t);

sx_status http_token_new(prom_http *h, const sx_kit *kit, http_token **out, sx_error *err);
void http_token_free(http_token *t);

/* ---- http_target_client.c ---- */

/* The client for a call, made anew if the TLS files have changed. Errors: SX_ENOTFOUND, SX_EINVAL. */
sx_status http_share_take(prom_http *h, http_client_share **out, sx_error *err);
void http_share_drop(http_client_share *share);
/* The first one. */
sx_status http_share_open(prom_http *h, sx_error *err);

/* ---- http_target_location.c ---- */

/* Appends the URL that `location` means on a page of `base`. RFC 3986, section 5.2. Errors: SX_EFORMAT
 * (not http or https, no URL). */
sx_status http_location_resolve(sx_str base, sx_str location, sx_buf *out, sx_error *err);

/* Whether credentials for `from` may be sent to `to`: the same host, and not from https to http. */
bool http_location_is_same_host(sx_str from, sx_str to);

#endif

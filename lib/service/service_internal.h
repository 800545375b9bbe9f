/* service_internal.h - what a service is made of.
 *
 *     sx_service ── endpoints (routes, address; shared, read-only once started)
 *         └──────── loops ──── servers: one a loop and endpoint, with cached metric handles
 *
 * service.c builds it, service_life.c starts, drains and stops it, service_main.c is the program
 * around it, chain.c is what every request passes through, builtin.c answers /metrics and health. */
#ifndef SEXTANT_SERVICE_INTERNAL_H
#define SEXTANT_SERVICE_INTERNAL_H

#include <pthread.h>

#include <sextant/map.h>
#include <sextant/random.h>
#include <sextant/service.h>

#include "service/router.h"

/* The settings that every service has; rows in service_keys.c. */
typedef struct sx_service_settings {
    sx_str listen, admin_listen;
    sx_str tls_chain_file, tls_key_file;
    bool proxy_protocol;
    uint32_t loops, shutdown_ms_max, shutdown_delay_ms;
    int log_level, log_form;
    sx_str log_path, access_log;
    uint32_t series_max, body_bytes_max;
    sx_http_limits limits;
} sx_service_settings;

extern const sx_key SX_SERVICE_KEYS[];
extern const size_t SX_SERVICE_KEY_COUNT;

/* One loop's metric handles for one route and method: resolved at the first request, then only read.
 * Codes beyond SX_CODES are resolved each time. */
enum { SX_CODES = 8 };
typedef struct sx_route_cells {
    sx_histogram *duration;
    sx_counter *received, *sent;
    unsigned count;
    int codes[SX_CODES];
    sx_counter *requests[SX_CODES];
} sx_route_cells;

typedef struct sx_endpoint_state {
    sx_service *service;
    char proto[32];
    char address[128]; /* as asked for; "" is not opened */
    sx_bound bound;    /* as got by the first loop */
    sx_route *routes;  /* heap: the definition's and, if admin, the built-in ones */
    size_t route_count;
    sx_router *router;
    sx_slash slash;
    sx_handler *fallback;
    sx_tls *tls;
    bool proxy_protocol;
} sx_endpoint_state;

typedef struct sx_loop_state sx_loop_state;

/* One loop's server of one endpoint. The loop's alone once it runs. */
typedef struct sx_server_state {
    sx_endpoint_state *endpoint;
    sx_loop_state *on;
    sx_http_server *server;
    sx_route_cells **cells; /* [route or unmatched][method], each NULL until its first request */
    sx_map64 named;         /* cells of routes that a fallback or handler named, by their pointer */
    uint64_t connections, accepted; /* as last added to the metrics */
} sx_server_state;

struct sx_loop_state {
    sx_service *service;
    sx_loop *loop;
    pthread_t thread;
    bool running;
    sx_clock clock; /* the loop's reading of this turn, for UUIDs: no system call a request */
    sx_uuid_source uuids;
    sx_buf text;   /* of /metrics and health, kept for the next one */
    void *context; /* loop_setup's */
    bool context_made;
    sx_server_state *servers; /* one for each opened endpoint */
    size_t server_count;
    size_t draining; /* servers that have not drained yet */
};

enum { SX_ENDPOINTS_MAX = 24 };

struct sx_service {
    const sx_service_def *def;
    const sx_clock *clock;
    sx_config *config;
    sx_service_settings settings;
    sx_service_options options; /* for reloads; what it points to is the caller's */
    sx_key *keys;               /* the base rows with this definition's defaults */
    sx_metrics *metrics;
    sx_log *log, *access_log; /* access_log may be NULL, or `log` */
    bool setup_done;

    sx_metric *requests, *duration, *received, *sent, *rejected;
    sx_gauge *in_flight, *connections;
    sx_counter *accepted;

    sx_endpoint_state endpoints[SX_ENDPOINTS_MAX];
    size_t endpoint_count;
    sx_loop_state *loops;
    size_t loop_count;
    bool started;
    int draining;     /* atomic: not ready any more */
    int loops_left;   /* atomic: loops that have not drained */
    int drained_fd;   /* eventfd, written by the last of them */
    bool interrupted; /* a second signal came while draining; see service_life.c */

    /* Structures of earlier reloads: loops may still read them. */
    struct sx_reloaded *reloaded;
};

/* Fills `rows` (SX_SERVICE_KEY_COUNT of them) with the defaults of a definition. */
void sx_service_rows(const sx_service_def *def, sx_key *rows);

/* The two sets of a service: base rows into `settings`, the definition's own into `config`. Returns
 * how many there are. */
size_t sx_service_sets(const sx_service_def *def, const sx_key *rows, sx_service_settings *settings,
                       void *config, sx_key_set sets[2]);

/* Refuses certificate and key files whose opening may wait for ever (sx_config_check_file). */
sx_status sx_service_check_files(const sx_service_settings *set, sx_error *err);

/* Reads all settings again and applies what can be. Main thread. */
void sx_service_reload(sx_service *s);
void sx_service_reloads_free(sx_service *s);

/* The handlers of the HTTP server; ctx is the sx_server_state. */
void sx_chain_handler(sx_request *r, void *ctx);
void sx_chain_done(sx_request *r, void *ctx);
void sx_chain_rejected(sx_http_server *server, void *ctx, const sx_peer *peer, int status,
                       const char *why);

/* At the end of each turn of a loop: metrics of its servers, the writer of the logs. */
void sx_chain_turn_end(sx_loop *loop, void *arg);

/* Registers the metrics of HTTP. */
sx_status sx_chain_metrics(sx_service *s, sx_error *err);

/* Frees the cached handles of a server. */
void sx_chain_cells_free(sx_server_state *server);

/* Whether a request id from outside may be used: 1 to 128 of A-Z a-z 0-9 . _ ~ : / + = -. */
bool sx_request_id_is_sane(sx_str id);

/* The rows of /metrics, /health/live, /health/ready. */
extern const sx_route SX_BUILTIN_ROUTES[];
extern const size_t SX_BUILTIN_ROUTE_COUNT;

/* Starts the drain of every server; drained_fd tells when it is over. */
void sx_service_drain(sx_service *s);

/* Stops the loops, joins the threads. */
void sx_service_halt(sx_service *s);

#endif

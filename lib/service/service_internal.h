/* service_internal.h - what a service is made of.
 *
 *     sx_service ── endpoints (routes, address; shared, read-only once started)
 *         └──────── loops ──── servers: one a loop and endpoint, with cached metric handles
 *
 * service.c builds it, service_life.c starts, drains and stops it, service_main.c is the program
 * around it. chain.c is what every request passes through, with chain_metrics.c (counts),
 * chain_trace.c (spans), guard.c (limits), cors.c, web_auth.c (who asks) and reply_coder.c
 * (compression) as its parts. builtin.c, health_pages.c and admin.c answer what every service
 * answers. service_telemetry.c reads the settings of tracing and export, systemd.c talks to the
 * supervisor. */
#ifndef SEXTANT_SERVICE_INTERNAL_H
#define SEXTANT_SERVICE_INTERNAL_H

#include <pthread.h>
#include <signal.h>

#include <sextant/compress.h>
#include <sextant/json.h>
#include <sextant/limiter.h>
#include <sextant/map.h>
#include <sextant/otlp.h>
#include <sextant/random.h>
#include <sextant/service.h>

#include "service/guard.h"
#include "service/headers.h"
#include "service/latency.h"
#include "service/policy.h"
#include "service/router.h"
#include "service/systemd.h"
#include "service/web_auth.h"

/* The settings that every service has; rows in service_keys.c. */
typedef struct sx_service_settings {
    sx_str listen, admin_listen;
    sx_str tls_chain_file, tls_key_file;
    sx_str web_config_file;
    bool health_public, proxy_protocol;
    uint32_t loops, shutdown_ms_max, shutdown_delay_ms;
    int log_level, log_form;
    sx_str log_path, access_log, log_levels, log_layer;
    uint64_t log_rotate_bytes;
    uint32_t log_recent_bytes;
    uint32_t log_rotate_ms, log_rotate_keep, log_repeats_max;
    int log_rotate_codec;
    uint32_t series_max, body_bytes_max, profile_seconds_max;
    uint64_t profile_heap_bytes;
    sx_http_limits limits;

    sx_str sampler, sampler_argument; /* empty: OTEL_TRACES_SAMPLER's */
    sx_texts propagators;
    struct {
        sx_str endpoint, headers, ca_file, chain_file, key_file, resource;
        sx_texts signals;
        int protocol, compression; /* 0: OTEL_EXPORTER_OTLP_…'s */
        uint32_t timeout_ms, queue_max, batch_max, batch_delay_ms, metrics_interval_ms;
    } otlp;

    sx_guard_settings guard;
    sx_policy_settings policy;
} sx_service_settings;

extern const sx_key SX_SERVICE_KEYS[];
extern const size_t SX_SERVICE_KEY_COUNT;

/* Rows of other files, in the same form: at an offset of sx_service_settings. */
enum { SX_SERVICE_KEYS_MOST = 128 };

/* One loop's metric handles for one route and method: resolved at the first request, then only read.
 * Codes beyond SX_CODES are resolved each time. */
enum { SX_CODES = 8 };
typedef struct sx_route_cells {
    sx_histogram *duration;
    sx_counter *received, *sent;
    unsigned count;
    int codes[SX_CODES];
    sx_counter *requests[SX_CODES];
    size_t name_len;
    char name[]; /* of its spans: "GET /users/:id" */
} sx_route_cells;

typedef struct sx_endpoint_state {
    sx_service *service;
    char proto[32];
    char address[128]; /* as asked for; "" is not opened */
    sx_bound bound;    /* as got by the first loop */
    int inherited_fd;  /* from systemd; -1: none */
    sx_route *routes;  /* heap: the definition's and, if admin, the built-in ones */
    size_t route_count;
    sx_router *router;
    sx_guard_routes *guards; /* the routes' own limits; NULL: none has any */
    sx_slash slash;
    sx_handler *fallback;
    sx_tls *tls;
    bool proxy_protocol, web_config, optional;
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
    size_t draining;             /* servers that have not drained yet */
    sx_encoder_pool encoders;    /* of compressed replies */
    sx_latency latency;          /* of the last minutes: written here, read by /health/detailed */
    int64_t alive_mono_ms;       /* atomic: when this loop last turned, as the watchdog asks */
    sx_timer alive;              /* makes it turn while nothing happens */
    int64_t alive_due_ms;        /* when that timer should run: how late it is tells the load */
    int64_t cpu_ns, cpu_mono_ns; /* of the first loop: the process's time as last read, and when */
};

enum { SX_ENDPOINTS_MAX = 24 };
enum {
    SERVICE_FLUSH_MS = 3000
}; /* longest wait for the exporter, in all steps of the end together */

/* What of the settings a reload replaces at once: published by pointer, read by loops, kept until the
 * service is freed. */
typedef struct sx_applied {
    struct sx_applied *next;
    sx_policy policy;
} sx_applied;

struct sx_service {
    const sx_service_def *def;
    const sx_clock *clock;
    sx_config *config;       /* as it was started */
    const sx_config *newest; /* atomic: of the last reload that was taken, or the same */
    sx_service_settings settings;
    sx_service_options options; /* for reloads; what it points to is the caller's */
    sx_key *keys;               /* the base rows with this definition's defaults */
    sx_arena arena;             /* texts that live as long as the service */
    sx_metrics *metrics;
    sx_log *log, *access_log; /* access_log may be NULL, or `log` */
    sx_tracer *tracer;
    sx_otlp *otlp; /* NULL: nothing is exported */
    sx_breakers *breakers;
    sx_health *health;
    sx_kit kit;
    bool setup_done;
    int64_t start_wall_ms, start_mono_ms;

    sx_metric *requests, *duration, *received, *sent, *rejected;
    sx_gauge *in_flight, *connections;
    sx_counter *accepted;

    sx_guard *guard;     /* rate limits and load shedding */
    sx_applied *applied; /* atomic: the newest; older ones behind it */
    sx_web_auth *web;    /* who may ask; NULL: everybody */
    sx_admit_fn *admit;  /* asked before it; NULL: none. Set before the loops run */
    void *admit_ctx;
    sx_tls *web_tls; /* of the web configuration; NULL: none */
    sx_systemd systemd;

    sx_endpoint_state endpoints[SX_ENDPOINTS_MAX];
    size_t endpoint_count;
    sx_loop_state *loops;
    size_t loop_count;
    unsigned cores;     /* that it may use */
    int64_t flushed_ms; /* of SERVICE_FLUSH_MS, spent */
    bool started;
    bool stopped;                /* it was, by sx_service_stop: to be told at the end of all */
    int draining;                /* atomic: not ready any more */
    int loops_left;              /* atomic: loops that have not drained */
    int drained_fd;              /* eventfd, written by the last of them */
    bool interrupted;            /* a second signal came while draining; see service_life.c */
    int profile_jobs;            /* atomic: profiles under way, admin_pprof.c */
    uint64_t profile_heap_bytes; /* as last applied */

    /* Structures of earlier reloads: loops may still read them. */
    struct sx_reloaded *reloaded;
};

/* One request on its way; in its arena, at r->service. */
typedef struct sx_request_state {
    sx_server_state *at;
    size_t route; /* row in at->endpoint->routes; route_count: none fitted */
    sx_route_match match;
    sx_route_result result;
    sx_route_cells *cells; /* of route and method; NULL without memory */
    const sx_policy *policy;
    sx_context context;
    sx_span span;
    sx_seen_headers seen;
    sx_guard_pass pass;          /* what it holds of the limits */
    sx_encoder *encoder;         /* of a streamed reply under way, else NULL */
    sx_codec codec;              /* its codec */
    const sx_coded_store *coded; /* of the reply that is being sent; NULL: none */
    size_t fields_own;           /* bytes of reply fields that the chain itself has added */
    sx_str user;                 /* who asks, once known */
    const void *identity;        /* the same, as the service's `admit` knows it */
    bool ask_again;              /* `admit`, once the web configuration's users have been asked */
    bool has_ids;                /* `ids` is written */
    sx_context_ids ids;
    char id[SX_UUID_BYTES];
} sx_request_state;

static inline sx_request_state *sx_request_state_of(const sx_request *r)
{
    return (sx_request_state *)r->service;
}

/* Fills `rows` (SX_SERVICE_KEY_COUNT of them) with the defaults of a definition. */
void sx_service_rows(const sx_service_def *def, sx_key *rows);

/* The two sets of a service: base rows into `settings`, the definition's own into `config`. Returns
 * how many there are. */
size_t sx_service_sets(const sx_service_def *def, const sx_key *rows, sx_service_settings *settings,
                       void *config, sx_key_set sets[2]);

/* The definition's trees and the service's own, in `arena`. Errors: SX_ENOMEM. */
sx_status sx_service_trees(const sx_service_def *def, sx_arena *arena, sx_config_options *into,
                           sx_error *err);

/* Refuses certificate and key files whose opening may wait for ever (sx_config_check_file). */
sx_status sx_service_check_files(const sx_service_settings *set, sx_error *err);

/* Sets the levels of `set` in the log. Errors: SX_EINVAL, SX_ENOMEM. */
sx_status sx_service_log_levels(sx_service *s, const sx_service_settings *set, sx_error *err);

/* Publishes what of `set` and `web` (may be NULL) holds for replies and limits. Main thread. Errors:
 * SX_EINVAL (a setting that makes no sense), SX_ENOMEM; nothing has changed then. */
sx_status sx_service_apply(sx_service *s, const sx_service_settings *set, const sx_web_config *web,
                           sx_error *err);

/* Reads all settings again and applies what can be. Main thread. */
void sx_service_reload(sx_service *s);
void sx_service_reloads_free(sx_service *s);

/* ---- telemetry ---- */

/* Makes exporter and tracer from settings and OTEL_*. Errors: SX_EINVAL, SX_ENOTFOUND, SX_ENOMEM. */
sx_status sx_service_telemetry(sx_service *s, sx_error *err);

/* The sampling of `set` and of the file in `config`; texts in `arena`. */
sx_status sx_service_sampling(const sx_service *s, const sx_service_settings *set,
                              const sx_config *config, sx_arena *arena, sx_sampling *out,
                              sx_error *err);

/* ---- the chain ---- */

/* The handlers of the HTTP server; ctx is the sx_server_state. */
void sx_chain_handler(sx_request *r, void *ctx);
void sx_chain_done(sx_request *r, void *ctx);
void sx_chain_rejected(sx_http_server *server, void *ctx, const sx_peer *peer, int status,
                       const char *why);

/* Goes on with a request once it is known who asks; its context is entered. web_auth.c calls it. */
void sx_chain_admitted(sx_request *r, sx_request_state *state);

/* Around callbacks: sx_http_server_options. */
const void *sx_chain_enter(sx_request *r, void *ctx);
void sx_chain_leave(const void *outer);

/* chain_trace.c: context and span of a request at its head, and at its end. */
void sx_chain_span_start(sx_request *r, sx_request_state *state);
void sx_chain_span_end(sx_request *r, sx_request_state *state, int code);

/* Adds a reply field of ours, whose bytes are known to be right, before the reply begins: without the
 * looks that sx_reply_header takes at what a handler gives it. Without memory it is left out. HOT. */
void sx_reply_own_field(sx_request *r, sx_str name, sx_str value);

/* Gives back the encoder of a streamed reply. */
void sx_reply_coder_release(sx_request *r);

/* At the end of each turn of a loop: metrics of its servers, the writer of the logs. */
void sx_chain_turn_end(sx_loop *loop, void *arg);

/* chain_metrics.c: registers the metrics of HTTP; the handles of a request; counts it. */
sx_status sx_chain_metrics(sx_service *s, sx_error *err);
sx_route_cells *sx_chain_cells(sx_server_state *at, const sx_request *r, size_t route);
void sx_chain_count(sx_request *r, sx_request_state *state, int code, int64_t duration_ns);

/* Frees the cached handles of a server. */
void sx_chain_cells_free(sx_server_state *server);

/* Whether a request id from outside may be used: 1 to 128 of A-Z a-z 0-9 . _ ~ : / + = -. */
bool sx_request_id_is_sane(sx_str id);

/* ---- what every service answers ---- */

/* The rows of /metrics and /health/…, and of the admin pages. */
extern const sx_route SX_BUILTIN_ROUTES[];
extern const size_t SX_BUILTIN_ROUTE_COUNT;
extern const sx_route SX_ADMIN_ROUTES[];
extern const size_t SX_ADMIN_ROUTE_COUNT;
extern const sx_route SX_PPROF_ROUTES[];
extern const size_t SX_PPROF_ROUTE_COUNT;

/* health_pages.c */
void sx_answer_live(sx_request *r, void *ctx);
void sx_answer_ready(sx_request *r, void *ctx);
void sx_answer_detailed(sx_request *r, void *ctx);

/* The loop's own buffer, empty: what was sent from it was copied. */
sx_buf *sx_loop_text(const sx_request *r);

/* Sends what `w` wrote into `text` as JSON, or 503 if it could not be held. */
void sx_reply_json(sx_request *r, int status, sx_json_writer *w, sx_buf *text);

/* ---- life ---- */

/* Starts the drain of every server; drained_fd tells when it is over. */
void sx_service_drain(sx_service *s);

/* The signals that end, reload and reopen. */
void sx_service_signals(sigset_t *out);

/* Stops the loops, joins the threads. */
void sx_service_halt(sx_service *s);

/* Exports metrics for the last time; what is torn down next is not asked again. Once more: nothing. */
void sx_service_end_metrics(sx_service *s);

#endif

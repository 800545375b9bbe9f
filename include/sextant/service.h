/* service.h - a service in a few lines: routes, settings, metrics, health, logs, a graceful end.
 *
 *     static void hello(sx_request *r, void *ctx) { … sx_reply(r, 200, …); }
 *     static const sx_route ROUTES[] = {{SX_GET, "/", hello}};
 *
 *     int main(int argc, char **argv)
 *     {
 *         return sx_service_main(argc, argv, &(sx_service_def){.name = "hello", .version = "1.0",
 *             .routes = ROUTES, .route_count = 1});
 *     }
 *
 * What comes with it: one event loop a core, each with its own listener, connections and metric
 * shards; the routes of the table, with 404, 405 and Allow, HEAD and OPTIONS answered; X-Request-ID
 * (taken if sane, else a UUID of version 7; sent back and logged); the caller's trace context, a span
 * for each request and its export (OTEL_* and otlp.*); /metrics with
 * http_requests_total{method,route,code}, http_request_duration_seconds{method,route} and more;
 * /health/live, /health/ready, /health/detailed; an access log; rate limits and load shedding;
 * compressed replies; CORS and security headers; TLS, users and tokens from a web configuration file
 * (web_config.h); admin pages on a listener of their own; systemd's notifications and sockets; every
 * setting by file, environment and flag (config.h; `--help` lists them); SIGTERM drains, SIGHUP
 * reloads, SIGUSR1 reopens logs.
 *
 * Life. sx_service_new reads the settings and calls `setup`; sx_service_start opens the listeners on
 * every loop, calls `loop_setup` for each, and starts the threads; handlers run on the loops;
 * sx_service_stop drains, stops and joins them; sx_service_free calls `loop_teardown` and `teardown`
 * and frees. sx_service_run does all between new and free, with signals. */
#ifndef SEXTANT_SERVICE_H
#define SEXTANT_SERVICE_H

#include <sextant/config.h>
#include <sextant/http.h>
#include <sextant/kit.h>
#include <sextant/log.h>
#include <sextant/metrics.h>
#include <sextant/tls.h>

SX_BEGIN_DECLS

typedef struct sx_service sx_service;

/* ---- routes ---- */

typedef enum sx_route_flags {
    SX_ROUTE_STREAM = 1, /* the handler is called at the head and reads the body by events itself */
    SX_ROUTE_PLAIN = 2,  /* its replies are never compressed */
    SX_ROUTE_UNLIMITED = 4, /* no limit of rate or load holds for it: health, metrics */
    /* Where the setting limits.rate is set, its own `rate` holds in that one's place, and for the same
     * clients: what a page loads beside is not taken from what its user may ask. */
    SX_ROUTE_OWN_RATE = 8,
    /* Its requests have ids but are never sampled: where spans come in, or somebody looks every few
     * seconds. A service that sends its spans to itself would trace its own sending for ever. */
    SX_ROUTE_UNTRACED = 16,
    SX_ROUTE_ADMIN = 32 /* set by the service on its own admin pages: for `admit` below */
} sx_route_flags;

enum { SX_ANY_METHOD = SX_METHODS, SX_ROUTE_PARAMS_MAX = 8 };

/* One row. In a pattern a whole segment may be `:name` or `{name}` (any text but not empty, up to the
 * next slash) and the last one `*` or `*name` (all the rest, may be empty). Where several patterns
 * fit, text beats parameters and these beat the rest, segment by segment. Patterns are written
 * decoded; a path is matched decoded too, but an encoded slash (%2F) never separates segments. */
typedef struct sx_route {
    int method; /* an sx_method, or SX_ANY_METHOD. GET answers HEAD too unless HEAD has its own row */
    const char *path;
    sx_handler *handler; /* unless SX_ROUTE_STREAM, called when r->body is whole */
    void *ctx;
    unsigned flags;          /* of sx_route_flags */
    uint32_t body_bytes_max; /* a longer body is answered 413; 0: the setting http.body_bytes_max */
    /* Its own limits, beside those of the settings limits.*: rates as limiter.h reads them
     * ("5/second burst 20"; NULL: none; 429 above), requests at a time (0: any; 503 above), and who
     * goes first when the service as a whole has too much to do. */
    const char *rate;
    uint32_t in_flight_max;
    sx_priority priority;
} sx_route;

typedef enum sx_slash {
    SX_SLASH_STRICT,  /* /a and /a/ are different paths */
    SX_SLASH_IGNORE,  /* either answers for the other, unless it has a row of its own */
    SX_SLASH_REDIRECT /* 308 to the one that exists */
} sx_slash;

/* The value of `:name` in the path, decoded, or of "*" for the rest; data NULL if the route has none
 * of that name. It lives as long as the request, as do all views given here. */
sx_str sx_request_param(sx_request *r, const char *name);

/* The first value of `name` in the query, decoded ('+' is a space); data NULL if there is none. A
 * broken escape stays as it is. */
sx_str sx_request_query(sx_request *r, const char *name);

/* What a record about this request should carry. */
sx_log_context sx_request_log_context(const sx_request *r);

/* The span of this request, for attributes and events; ended by the service. Never NULL in a handler;
 * after the reply has ended what is set is lost. */
sx_span *sx_request_span(sx_request *r);

/* Its context: entered already around every function that the service calls for it (handler, body,
 * drained, aborted). Work that goes on elsewhere keeps a copy by sx_context_keep(). */
const sx_context *sx_request_context(const sx_request *r);

/* Who asks, as basic or bearer authentication found out (web_config.h); empty if nobody was asked. */
sx_str sx_request_user(const sx_request *r);

/* What the service's `admit` (sx_service_admit_set) found out about who asks. What `identity` points to and `user`'s bytes stay
 * the caller's and live as long as the request; `user` is for sx_request_user() and logs. */
void sx_request_identify(sx_request *r, sx_str user, const void *identity);

/* What sx_request_identify() was given; NULL if nobody was. Any thread, while the request is held. */
const void *sx_request_identity(const sx_request *r);

/* Goes on with a request that `admit` has taken (SX_ADMIT_TAKEN), on its loop. If the client has gone
 * meanwhile nothing happens. */
void sx_request_admit(sx_request *r);

/* Whether the web configuration file names users or tokens. Any thread. */
bool sx_service_has_users(const sx_service *s);

/* Whose request it is, and what loop_setup gave for this loop. */
sx_service *sx_request_service(const sx_request *r);
void *sx_request_loop_context(const sx_request *r);

/* Compressed forms of a body that a handler sends again and again, kept by the handler. `find` gives
 * the one of `coding` ("gzip"), good until the reply's call has returned, or false; `keep` is told one
 * that was just made, good for the call. Both on the request's loop, within sx_reply. */
typedef struct sx_coded_store {
    bool (*find)(void *ctx, sx_str coding, sx_str *coded);
    void (*keep)(void *ctx, sx_str coding, sx_str coded);
    void *ctx;
} sx_coded_store;

/* Sends a whole reply as sx_reply does; where it would be compressed, `store` is asked first. */
void sx_reply_coded(sx_request *r, int status, sx_str content_type, sx_str body,
                    const sx_coded_store *store);

/* Replies {"error":"…"} with the reason phrase or, if given, `message`. */
void sx_reply_error(sx_request *r, int status, const char *message);

/* ---- definition ---- */

/* What `admit` says of a request. */
typedef enum sx_admission {
    SX_ADMIT_WEB,   /* no opinion: as the web configuration file has it */
    SX_ADMIT_YES,   /* its handler runs */
    SX_ADMIT_TAKEN, /* it is answered, or will be, or sx_request_admit() follows */
    SX_ADMIT_USERS /* the web configuration's users and tokens say who asks; then `admit` is asked again,
                     * with sx_request_user(), which is empty if the file names none */
} sx_admission;

/* Asked at every GET /health/ready, on a loop: answers from what it knows, without waiting. SX_OK, or
 * why not in `err`. More of them, and checks that are told, are added to sx_service_kit()->health. */
typedef struct sx_check {
    const char *name;
    sx_status (*ask)(void *ctx, sx_error *err);
    void *ctx;
} sx_check;

/* Another default for one of the settings that every service has (docs/config.md). */
typedef struct sx_service_default {
    const char *key;  /* "limits.rate" */
    const char *text; /* of texts, lists and addresses */
    int64_t usual;    /* of numbers, truths and choices */
} sx_service_default;

/* Everything may be zero but the name. What it points to outlives the service. */
typedef struct sx_service_def {
    const char *name; /* of logs, metrics, the ready line; its capitals begin environment names */
    const char *version;
    const char *summary; /* one line for --help */

    /* The main listener: its address is the setting `listen`. */
    const char *listen; /* default of that setting; NULL: 127.0.0.1:8080 */
    const sx_route *routes;
    size_t route_count;
    sx_slash slash;
    sx_handler *fallback; /* what no route fits; NULL: 404. It may set r->route */

    const char *admin_listen; /* default of `admin.listen`, where /metrics and /health/… answer */
                              /* instead of on the main listener; NULL: on the main listener */

    /* Settings of the service's own. `config` is filled before setup. */
    const sx_key *keys;
    size_t key_count;
    void *config;
    size_t config_bytes;
    const sx_str *trees; /* top-level keys of the file that setup reads by sx_config_tree() */
    size_t tree_count;

    const sx_check *checks;
    size_t check_count;

    void *ctx; /* of the functions below and of fallback */
    sx_status (*setup)(sx_service *s, void *ctx, sx_error *err);
    void (*teardown)(sx_service *s, void *ctx); /* also after a failed start, if setup succeeded */
    /* For each loop, before its thread runs and after it has ended, in the thread of sx_service_start
     * and sx_service_free. */
    sx_status (*loop_setup)(sx_service *s, sx_loop *loop, void *ctx, void **loop_ctx,
                            sx_error *err);
    void (*loop_teardown)(sx_service *s, sx_loop *loop, void *ctx, void *loop_ctx);
    /* On SIGHUP, in the main thread, if the new settings are right: `fresh` is a second structure of
     * config_bytes that lives until sx_service_free. An error refuses the reload. */
    sx_status (*reload)(sx_service *s, void *ctx, const void *fresh, sx_error *err);

    const sx_service_default *defaults; /* of the kit's own settings, where this service's differ */
    size_t default_count;
    bool
        pages_on_main; /* /metrics and /health/… answer on the main listener, too, where there is an */
                       /* admin one: for load balancers that know only the main address */
} sx_service_def;

/* Runs the service as a program: --help and --version, settings, start, signals, end. Returns the
 * exit status: 0 after a clean stop, 1 if it could not start, 2 for a wrong flag. What is wrong is
 * written to stderr, a line each. */
int sx_service_main(int argc, char **argv, const sx_service_def *def);

/* ---- the pieces, for products and tests ---- */

/* What it points to outlives the service: a reload reads it again. */
typedef struct sx_service_options {
    const char *const *flags; /* as argv + 1 */
    size_t flag_count;
    const char *const *environment; /* as environ; NULL: none */
    const sx_clock *clock;          /* NULL: the system's */
} sx_service_options;

/* Reads the settings, opens logs and registry, calls setup. On an error `problems` (may be NULL) has
 * a line for each thing wrong with the settings. Errors: SX_EINVAL (a definition without a name), and
 * as sx_config_load, sx_log_new, setup. */
sx_status sx_service_new(const sx_service_def *def, const sx_service_options *options,
                         sx_service **out, sx_buf *problems, sx_error *err);

/* One more listener, from setup: its own routes, on every loop. */
typedef struct sx_endpoint {
    const char *proto; /* its name in the ready line: "zipkin" */
    sx_str address;    /* empty: not opened. Copied */
    const sx_route *routes;
    size_t route_count;
    sx_slash slash;
    sx_handler *fallback; /* with the ctx of the definition */
    sx_tls *tls;          /* referenced */
    bool proxy_protocol;
    bool admin;      /* /metrics and /health/… answer here (too) */
    bool web_config; /* the web configuration file (TLS, users) holds for it */
    bool optional;   /* if its port is taken it is left out, with a warning, and the rest serves */
} sx_endpoint;
sx_status sx_service_listen(sx_service *s, const sx_endpoint *from, sx_error *err);

/* Has `admit` say who may ask what, from setup: it is called on the loop for each request that a route of
 * any listener fits, before its handler and before its body is read. Without it: SX_ADMIT_WEB. */
typedef sx_admission sx_admit_fn(sx_request *r, const sx_route *route, void *ctx);
void sx_service_admit_set(sx_service *s, sx_admit_fn *admit, void *ctx);

/* Opens all listeners and starts the loops. Errors: SX_EEXIST (port in use, with a remedy),
 * SX_EINVAL (a route), SX_EACCESS, SX_ENOMEM, SX_EIO, loop_setup's; nothing runs then. */
sx_status sx_service_start(sx_service *s, sx_error *err);

/* Not ready any more, drains within the setting shutdown_ms_max, stops and joins the loops. */
void sx_service_stop(sx_service *s);

/* Starts, prints `ready NAME proto=address …` to stderr, waits for SIGTERM or SIGINT, stops. A second
 * signal ends the process at once with 128 + its number. SIGHUP and SIGUSR1 are ignored from its return
 * on, unless they have handlers: one that comes late shall not cut off the last logs and spans. From the
 * main thread, before any other thread is started. Errors: as sx_service_start. */
sx_status sx_service_run(sx_service *s, sx_error *err);

/* Stops if need be, calls the teardowns, writes out the logs, frees. NULL is allowed. */
void sx_service_free(sx_service *s);

/* The address that an endpoint got ("http" is the main one, "admin"), with its real port; NULL if
 * there is none. */
const char *sx_service_address(const sx_service *s, const char *proto);

/* Tells, from loop_setup, where a listener of the service's own making (UDP) is bound, for the ready line:
 * an endpoint of that proto was named by sx_service_listen with an empty address. */
void sx_service_bound(sx_service *s, const char *proto, const char *address);

/* What a service is made of; each lives as long as it does. Any thread. */
const sx_service_def *sx_service_def_of(const sx_service *s);
/* Its registry. */
sx_metrics *sx_service_metrics(const sx_service *s);
/* Its event log. */
sx_log *sx_service_log(const sx_service *s);
/* That log's root logger. */
sx_logger *sx_service_logger(const sx_service *s);
/* What instrumented parts (clients, caches) report to. */
const sx_kit *sx_service_kit(const sx_service *s);
/* The settings as they were last read: after a reload, keys that need a restart are not in force yet. */
const sx_config *sx_service_config(const sx_service *s);
/* The clock it was given. */
const sx_clock *sx_service_clock(const sx_service *s);

/* Whether it has been told to stop: what would go on for ever (a stream of events) ends now. Any thread. */
bool sx_service_is_draining(const sx_service *s);

/* Client connections that are open now, on all listeners. */
double sx_service_connections(const sx_service *s);

/* The loops, once started: 0 to count - 1. For posting work. */
size_t sx_service_loop_count(const sx_service *s);
sx_loop *sx_service_loop(const sx_service *s, size_t index);

/* Appends the settings of this service: as lines for --help, and as docs/config.md's table. */
void sx_service_help(const sx_service_def *def, sx_buf *out);
void sx_service_docs(const sx_service_def *def, sx_buf *out);

SX_END_DECLS

#endif

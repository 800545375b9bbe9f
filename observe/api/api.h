/* api.h - Prometheus's HTTP API over the rooms of the observatory: what its handlers share.
 *
 * A request comes in on a loop, becomes an api_call and is worked on by a thread of a bounded pool:
 * `queries` for PromQL (as many threads as queries may run), `others` for what looks at the store
 * without evaluating, `calls` for gRPC's, `intake` for what is written, `reads` for remote reads. An answer is written
 * piece by piece: the thread fills a buffer, the loop sends it, and once the client has taken most of
 * it the thread is asked for the next. When the client goes, `canceled` is set, which ends its query. Made and freed by observe/server.c. */
#ifndef OBSERVE_API_API_H
#define OBSERVE_API_API_H

#include <pthread.h>
#include <stdatomic.h>

#include <sextant/regex.h>
#include <sextant/service.h>

#include "base/mem_account.h"
#include "observe/api/json.h"
#include "observe/api/params.h"
#include "observe/config/config.h"
#include "observe/flags.h"
#include "observe/promql/engine.h"
#include "observe/tsdb/db.h"
#include "observe/ui/ui.h"

typedef struct observe_api observe_api;
typedef struct api_call api_call;

/* Does the work, or the next piece of it, in a thread of a pool. */
typedef void api_work(api_call *c);

enum {
    API_ANSWER_JSON,
    API_ANSWER_TEXT,
    API_FORM_BYTES_MAX = 10 << 20,
    API_PIECE_BYTES = 512 << 10,
    API_HEADERS_MAX = 4,
    API_WRITE_BYTES_MAX = 32 << 20,
    API_DASHBOARD_REST_BYTES = 1 << 20 /* what may be around the dashboard in a request's body */
};

struct api_call {
    observe_api *api;
    sx_request *r; /* the loop's, but for query, body, headers and peer, which stand still */
    sx_loop *loop;
    sx_pool *pool;
    api_work *work;        /* what is done next */
    _Atomic bool canceled; /* the client has gone, or does not count any more */
    sx_arena arena;        /* the call's own: a request's arena is its loop's */
    api_form form;
    char who[64];
    sx_str about; /* what it changed, for the audit log; empty: its path says it */

    /* The answer; written by the thread, read by the loop once the thread is done. */
    int status;
    sx_str content_type;
    sx_header headers[API_HEADERS_MAX]; /* beside; in the arena or static */
    size_t header_count;
    sx_buf out;
    bool more;                 /* `work` is to be called again for the next piece */
    void (*done)(api_call *c); /* frees `state`; may be NULL. Any thread, once */
    void *state;
    void *ctx; /* what api_call_start_for was given */

    /* What a question about traces holds; the work says how its limits are told (NULL: api_text). */
    sx_mem_account account;
    void (*refuse)(api_call *c, int status, sx_str message);

    /* Of a work that writes its answer as it goes (api_call_push). */
    bool pushed; /* a piece has gone to the loop */
    bool broken; /* the answer cannot be finished: cut it off */
    pthread_mutex_t lock;
    pthread_cond_t sent;
    bool pushing; /* by lock: the loop has a piece that was not sent yet */

    /* The loop's own. */
    bool begun, working, gone, drained;
};

/* What an operator is to be told: notify.c. */
typedef enum api_note {
    API_NOTE_STARTING,
    API_NOTE_RELOAD_FAILED,
    API_NOTE_STOPPING,
    API_NOTES,
} api_note;

struct observe_api {
    sx_service *service;
    ui_site site;      /* the browser interface */
    struct auth *auth; /* NULL: no sign-in */
    const observe_flags *flags;
    tsdb *db;
    tsdb_queryable *store;
    struct tr_store *traces; /* NULL with --traces.store=false */
    /* Traces that somebody asked to keep, beyond retention; opened when the first is, unless there are
     * some already. NULL, and no error, if there are none and `make` is not set. Any thread. */
    sx_status (*archive)(void *ctx, bool make, struct tr_store **out, sx_error *err);
    void *archive_ctx;
    sx_mem_share questions;        /* about traces: what all of them hold */
    struct sampling *sampling;     /* NULL with --traces.store=false */
    struct dash_store *dashboards; /* observe/dashboards */
    struct dash_files *dashboard_files;
    promql_engine *engine;
    sx_pool *queries, *others, *calls, *intake, *reads, *collecting, *tracing;
    struct collect_site *collectors;
    struct api_writers *writers;
    struct prom_scraper *scraper;
    struct rule_manager *rules;
    struct rule_notifier *notifier;
    sx_regex *cors; /* web.cors.origin, anchored */
    const char *version;
    struct api_query_log *query_log;
    const sx_clock *clock;
    int64_t start_ns;
    sx_str external_url; /* http://HOST:PORT/PREFIX, without a slash at its end */
    sx_str prefix;       /* of all paths: "" or "/x" */

    /* The configuration in force; another one after a reload. By observe_api_config(). */
    pthread_mutex_t lock;
    prom_config *config;
    bool reload_good;                              /* by lock */
    int64_t reload_ms;                             /* of the last good one */
    sx_status (*reload)(void *ctx, sx_error *err); /* any thread; waits */
    void *reload_ctx;
    _Atomic bool stopping;

    /* By lock. `seq` grows with every change; a note's is that of its last one, 0: never active. */
    struct {
        uint64_t seq;
        int64_t date_ns;
        bool active;
    } notes[API_NOTES];
    uint64_t note_seq;
    _Atomic uint32_t subscribers; /* of notifications/live */
    _Atomic uint64_t notes_sent;
    _Atomic uint64_t killed; /* queries, by an operator */

    sx_metric *requests;               /* prometheus_http_requests_total */
    sx_summary *query_times[4];        /* slices of prometheus_engine_query_duration_seconds */
    sx_histogram *query_histograms[4]; /* and of its histogram */
};

/* A reference to the configuration in force, to be given back. */
prom_config *observe_api_config(observe_api *a);

/* ---- calls ---- */

/* Begins a call on a loop: `work` will be called on `pool` (NULL: a->others). Replies 503 if too many
 * wait. */
void api_call_start(observe_api *a, sx_request *r, sx_pool *pool, api_work *work);
/* The same for work that is told by `ctx` (call->ctx) what it is for. */
void api_call_start_for(observe_api *a, sx_request *r, sx_pool *pool, api_work *work, void *ctx);

/* For work that cannot be called again for its next piece: sends one from the thread, which waits while
 * the client is slow. False: it has gone. */
bool api_call_push(api_call *c, sx_str piece);

/* Why a question about traces got no memory, by sx_mem_over. */
extern const char *const api_question_words[SX_MEM_OVER_SHARE + 1];
/* Bytes of spans that one may read of a trace (tr_limits): half of what it may hold. More is left out
 * of answers that can say so. */
uint64_t api_question_bytes(const observe_api *a);

/* Ends all queries under way: `stopping` is set, no loop runs any more. */
void api_calls_cancel(observe_api *a);

/* Begins the answer {"status":"success" with status 200. */
void api_success(api_call *c);

/* The whole answer of an error: {"status":"error","errorType":...}; what was written is forgotten. */
typedef enum api_fault {
    API_TIMEOUT,     /* 503 */
    API_CANCELED,    /* 499 */
    API_EXECUTION,   /* 422 */
    API_BAD_DATA,    /* 400 */
    API_INTERNAL,    /* 500 */
    API_UNAVAILABLE, /* 500, as Prometheus has it */
    API_NOT_FOUND,   /* 404 */
} api_fault;
void api_fail(api_call *c, api_fault fault, sx_str message);

/* The same with `invalid parameter "NAME": ` in front of an error's message. */
void api_fail_param(api_call *c, const char *name, const sx_error *err);
/* The same for an error of the store: its status tells the kind. */
void api_fail_store(api_call *c, const sx_error *err);

/* An answer without a body; and plain text, as outside of the API. */
void api_no_content(api_call *c);
void api_text(api_call *c, int status, sx_str text);

/* Names of labels (`name` empty) or values of one, of the series that any set of matchers fits: sorted,
 * each once; at least `limit` of them if there are so many (0: all). In the call's arena. */
sx_status api_label_texts(api_call *c, tsdb_querier *q, const api_matchers *m, sx_str name,
                          size_t limit, sx_str **out, size_t *count, sx_error *err);

/* What targets and the store tell of metrics (of `metric`, or of all if it is empty): sorted by name,
 * each once. In the call's arena. */
sx_status api_metadata_gather(api_call *c, sx_str metric, tsdb_metadata_of **out, size_t *count,
                              sx_error *err);

/* The request's body as it was before its Content-Encoding (gzip, zstd, snappy): a view of the request,
 * or of `space`, which the caller frees. At most API_WRITE_BYTES_MAX. SX_EFORMAT, SX_ELIMIT. */
sx_status api_plain_body(const api_call *c, sx_buf *space, sx_str *out, sx_error *err);

/* ---- handlers: each an api_work, registered in routes.c ---- */
void api_query(api_call *c);
void api_query_range(api_call *c);
void api_query_exemplars(api_call *c);
void api_format_query(api_call *c);
void api_parse_query(api_call *c);
void api_series(api_call *c);
void api_labels(api_call *c);
void api_label_values(api_call *c);
void api_metadata(api_call *c);
void api_targets(api_call *c);
void api_target_metadata(api_call *c);
void api_scrape_pools(api_call *c); /* pools.c */
void api_scrape_pool_config(api_call *c);
void api_relabel_steps(api_call *c);
void api_search_metric_names(api_call *c); /* search.c */
void api_search_label_names(api_call *c);
void api_search_label_values(api_call *c);
void api_rules(api_call *c);
void api_alerts(api_call *c);
void api_alertmanagers(api_call *c);
void api_read(api_call *c);
void api_status_config(api_call *c);
void api_status_flags(api_call *c);
void api_status_logs(api_call *c);
void api_status_build(api_call *c);
void api_status_runtime(api_call *c);
void api_status_tsdb(api_call *c);
void api_status_blocks(api_call *c);
void api_status_replay(api_call *c);
void api_metrics(api_call *c); /* self_metrics.c */
void api_self_metrics(api_call *c);
void api_notifications(api_call *c);
void api_status_queries(api_call *c);
void api_kill_query(api_call *c);
void api_features(api_call *c);
void api_delete_series(api_call *c);
void api_clean_tombstones(api_call *c);
void api_snapshot(api_call *c);
void api_federate(api_call *c);
void api_reload(api_call *c);
void api_quit(api_call *c);
void api_version(api_call *c);
void api_collect_host(api_call *c); /* collect.c */
void api_collect_process(api_call *c);
void api_collect_redis(api_call *c);
void api_collect_postgres(api_call *c);
void api_write(api_call *c);
void api_tempo_trace(api_call *c); /* tempo.c */
void api_tempo_trace_v2(api_call *c);
void api_tempo_search(api_call *c);
void api_tempo_tags(api_call *c);
void api_tempo_tags_v2(api_call *c);
void api_tempo_tag_values(api_call *c);
void api_tempo_tag_values_v2(api_call *c);
void api_tempo_query_range(api_call *c);
void api_tempo_query(api_call *c);
void api_tempo_echo(api_call *c);
void api_tempo_build_info(api_call *c);
void api_tempo_ready(api_call *c);
void api_jaeger_trace(api_call *c); /* jaeger.c */
void api_jaeger_search(api_call *c);
void api_jaeger_services(api_call *c);
void api_jaeger_operations(api_call *c);
void api_jaeger_service_operations(api_call *c);
void api_jaeger_dependencies(api_call *c);
void api_jaeger_transform(api_call *c);
void api_jaeger_archive(api_call *c); /* jaeger_more.c */
void api_jaeger_critical_path(api_call *c);
void api_jaeger_compare(api_call *c);
void api_jaeger_deep_dependencies(api_call *c);
void api_jaeger_quality(api_call *c);
void api_jaeger_latencies(api_call *c); /* jaeger_metrics.c */
void api_jaeger_calls(api_call *c);
void api_jaeger_errors(api_call *c);
void api_jaeger_minstep(api_call *c);
void api_otlp(api_call *c);
void api_otlp_take(api_call *c);          /* the same where no flag must allow it */
void api_jaeger_v3_services(api_call *c); /* jaeger_v3.c */
void api_jaeger_v3_operations(api_call *c);
void api_jaeger_v3_dependencies(api_call *c);
void api_jaeger_v3_traces(api_call *c);
void api_jaeger_v3_trace(api_call *c);
void api_jaeger_v3_summaries(api_call *c);

/* ---- notify.c: what an operator is to be told ---- */
/* Begins or ends a notification; one that goes on gets a new date. Any thread. */
void api_note_set(observe_api *a, api_note note, bool active);

/* GET /api/v1/notifications/live: a handler of its own, which stays on the loop. `ctx` is the api. */
void api_notifications_live(sx_request *r, void *ctx);

/* Header fields for pages of other origins, by --web.cors.origin. */
void api_add_cors(const observe_api *a, sx_request *r);

/* GET /api/v1/openapi.yaml; `ctx` is the api. */
void api_openapi(sx_request *r, void *ctx);

/* ---- routes.c ---- */

enum { API_ROUTES_MAX = 640 };

/* Fills `rows` with the routes of all handlers below `prefix`, which lives as long as the service;
 * names go to `arena`. */
sx_status api_routes(observe_api *a, sx_str prefix, sx_arena *arena, sx_route rows[API_ROUTES_MAX],
                     size_t *count, sx_error *err);

/* The rows of the table above whose path begins with `below`, for a listener of their own. */
sx_status api_routes_below(observe_api *a, const char *const *below, size_t below_count,
                           sx_arena *arena, sx_route rows[API_ROUTES_MAX], size_t *count,
                           sx_error *err);

/* Tempo's alone, which the main port has below /tempo, without that. */
sx_status api_routes_tempo(observe_api *a, sx_arena *arena, sx_route rows[API_ROUTES_MAX],
                           size_t *count, sx_error *err);

/* What no route fits: 404 page not found. */
void api_not_found(sx_request *r, void *ctx);

/* ---- metrics.c: prometheus_... of the database, the engine, the configuration ---- */
sx_status api_metrics_add(observe_api *a, sx_error *err);
/* Counts an answer of a route; and the times of a query. Any thread. */
void api_metrics_request(const observe_api *a, int status, const char *route);
void api_metrics_query(const observe_api *a, const promql_stats *s);

/* ---- write.c: the decoders of what is written, between requests ---- */
sx_status api_writers_new(tsdb_appendable *store, const observe_flags *flags,
                          struct api_writers **out, sx_error *err);
void api_writers_free(struct api_writers *w);

/* ---- query_log.c: the configuration's query_log_file, a JSON line each ---- */
sx_status api_query_log_new(struct api_query_log **out, sx_error *err);
void api_query_log_free(struct api_query_log *l);
/* Whether the file (empty: none) can be written. */
sx_status api_query_log_check(sx_str path, sx_error *err);
/* Takes another file (empty: none); opens it anew if `path` is the same. */
sx_status api_query_log_open(struct api_query_log *l, sx_str path, sx_error *err);
void api_query_log_write(struct api_query_log *l, const api_call *c, sx_str path,
                         const promql_request *q, const promql_result *result, const char *failure);

#endif

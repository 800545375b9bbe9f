/* engine.h - evaluates PromQL over a queryable.
 *
 * A query is parsed, prepared (constant parts found, selections hinted with their time ranges, parts
 * that do not change from step to step evaluated once) and evaluated column by column: a series'
 * samples are decoded once, its function is computed for every step of the query, and an
 * aggregation above it takes the values straight into its groups, so that a series' result need not
 * exist beside others. Series are shared out to the engine's threads. Every byte and every sample is
 * accounted to its query, which ends in Prometheus's words when it has too many.
 *
 * Called by observe/api, rules, federation and `sextant query`. Any thread; a call blocks, so loops
 * hand it to a pool. */
#ifndef OBSERVE_PROMQL_ENGINE_H
#define OBSERVE_PROMQL_ENGINE_H

#include <sextant/buf.h>
#include <sextant/clock.h>
#include <sextant/error.h>
#include <sextant/log.h>

#include "observe/promql/parse.h"
#include "observe/tsdb/storage.h"

/* 0 in a field is the default. */
typedef struct promql_engine_options {
    unsigned features;        /* of parse.h */
    int64_t lookback_ms;      /* 5 min */
    int64_t timeout_ms;       /* 2 min */
    uint64_t samples_max;     /* held at once, as Prometheus counts: 50,000,000 */
    uint64_t memory_max;      /* bytes of one query: 1 GiB */
    uint32_t concurrency_max; /* queries at once; others wait: 20 */
    uint32_t threads;         /* that share one query's series: one a core, at most 8 */
    int64_t
        default_step_ms;   /* of subqueries without a resolution (the evaluation interval): 1 min */
    int64_t slow_ms;       /* log queries that take longer; 0: none */
    sx_logger *log;        /* where to; NULL: nowhere */
    const sx_clock *clock; /* NULL: the system's */
} promql_engine_options;

typedef struct promql_engine promql_engine;

sx_status promql_engine_new(const promql_engine_options *options, promql_engine **out,
                            sx_error *err);
void promql_engine_free(promql_engine *e);

/* Options that a reload may change (lookback, timeout, limits, default step). */
void promql_engine_update(promql_engine *e, const promql_engine_options *options);

typedef struct promql_request {
    sx_str text;
    int64_t start_ms, end_ms;     /* instant: the same */
    int64_t step_ms;              /* 0: an instant query; else positive */
    int64_t lookback_ms;          /* 0: the engine's */
    int64_t timeout_ms;           /* 0: the engine's, and never more than it */
    const _Atomic bool *canceled; /* may be NULL: set when the client has gone */
    bool sample_stats;            /* stats=all: samples per step */
    bool explain;                 /* fills result.explain */
    const char *who; /* client's address, for the list of running queries; may be NULL */
} promql_request;

/* Prometheus's errorType. */
typedef enum promql_error_kind {
    PROMQL_ERROR_NONE,
    PROMQL_ERROR_BAD_DATA,  /* "bad_data": the expression; 400 */
    PROMQL_ERROR_EXECUTION, /* "execution"; 422 */
    PROMQL_ERROR_CANCELED,  /* "canceled"; 503 (499) */
    PROMQL_ERROR_TIMEOUT,   /* "timeout"; 503 */
    PROMQL_ERROR_INTERNAL,  /* "internal": the store failed; 500 */
} promql_error_kind;

/* One series of a result: for a vector one sample each. h[i] as in tsdb_columns; h NULL: floats. */
typedef struct promql_series {
    tsdb_labels labels;
    const int64_t *t;
    const double *v;
    const tsdb_histogram *const *h;
    size_t count;
} promql_series;

typedef struct promql_stats {
    int64_t queued_ns, parse_ns, prepare_ns, select_ns, eval_ns, total_ns;
    uint64_t samples_total, samples_peak;
    uint64_t *samples_per_step; /* stats=all */
    size_t steps;
    uint64_t memory_peak, series_selected;
} promql_stats;

typedef struct promql_result {
    promql_type type;
    promql_series *series; /* VECTOR: in the engine's order; MATRIX: sorted by labels */
    size_t series_count;
    double scalar;
    int64_t scalar_t; /* SCALAR and STRING */
    sx_str string;
    sx_str *warnings, *infos; /* with positions, without repeats, in Prometheus's words */
    size_t warning_count, info_count;
    promql_error_kind error_kind;
    promql_stats stats;
    sx_str explain;         /* a text table: node, series, samples, time */
    struct promql_run *run; /* what holds all of it */
} promql_result;

/* Runs a query to its end. `out` is always to be given to promql_result_done(), after an error too. */
sx_status promql_query(promql_engine *e, tsdb_queryable *store, const promql_request *request,
                       promql_result *out, sx_error *err);
void promql_result_done(promql_result *r);

/* The same for an expression parsed before (rules, unit tests): it is not changed. */
sx_status promql_query_parsed(promql_engine *e, tsdb_queryable *store, const promql_parsed *parsed,
                              const promql_request *request, promql_result *out, sx_error *err);

/* --- Queries under way. */
typedef struct promql_running {
    uint64_t id;
    sx_str text, who; /* in the arena */
    int64_t started_ms, samples, memory;
} promql_running;
sx_status promql_engine_running(promql_engine *e, sx_arena *arena, promql_running **out,
                                size_t *count, sx_error *err);

/* Ends a running query with "query was canceled in expression evaluation"; false: there is none. */
bool promql_engine_kill(promql_engine *e, uint64_t id);

#endif

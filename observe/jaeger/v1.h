/* v1.h - the parameters of Jaeger's HTTP API v1, read as it reads them and refused in its words.
 *
 * Of several values of one name the first counts, but for those that may be repeated (service, tag,
 * tags, traceID, spanKind). An empty value is none. Source: query_parser of Jaeger 1.76 and 2.20. */
#ifndef OBSERVE_JAEGER_V1_H
#define OBSERVE_JAEGER_V1_H

#include "observe/jaeger/search.h"

typedef struct jaeger_param {
    sx_str name, value; /* of the address, decoded */
} jaeger_param;

typedef struct jaeger_params {
    const jaeger_param *items;
    size_t count;
} jaeger_params;

/* The first value of a name; empty: none. */
sx_str jaeger_param_get(const jaeger_params *p, const char *name);
/* All values of a name, in the arena. */
sx_status jaeger_param_all(const jaeger_params *p, const char *name, sx_arena *arena, sx_str **out,
                           size_t *count, sx_error *err);

/* GET /api/traces. */
typedef struct jaeger_v1_search {
    jaeger_search search;
    uint8_t (*trace_ids)[16]; /* asked for by id: nothing is searched */
    size_t trace_id_count;
    bool raw, nothing; /* nothing: no trace can fit (a longest duration below zero) */
    bool bounded;      /* start or end was given */
    uint64_t skew_ns;  /* maxClockSkew, ours */
    tr_hit after;      /* page, ours: search.after points here */
} jaeger_v1_search;
sx_status jaeger_v1_search_read(const jaeger_params *p, uint64_t now_ns, sx_arena *arena,
                                jaeger_v1_search *out, sx_error *err);

/* GET /api/traces/{id}: start, end (0: none), raw, maxClockSkew. */
typedef struct jaeger_v1_get {
    uint8_t trace_id[16];
    uint64_t min_ns, max_ns, skew_ns;
    bool raw;
} jaeger_v1_get;
sx_status jaeger_v1_get_read(sx_str id, const jaeger_params *p, jaeger_v1_get *out, sx_error *err);

/* GET /api/dependencies: the time range of endTs and lookback. */
sx_status jaeger_v1_range_read(const jaeger_params *p, uint64_t now_ns, uint64_t *min_ns,
                               uint64_t *max_ns, sx_error *err);

/* GET /api/metrics/...: what is asked for, and the PromQL that answers it. */
typedef enum jaeger_metric { JAEGER_LATENCIES, JAEGER_CALLS, JAEGER_ERRORS } jaeger_metric;
typedef struct jaeger_v1_metrics {
    jaeger_metric metric;
    double quantile;
    const sx_str *services;
    size_t service_count;
    bool by_operation;
    unsigned kinds; /* bit of each span_kind */
    int64_t end_ms, lookback_ms, step_ms, rate_ms;
} jaeger_v1_metrics;
sx_status jaeger_v1_metrics_read(const jaeger_params *p, jaeger_metric metric, uint64_t now_ns,
                                 sx_arena *arena, jaeger_v1_metrics *out, sx_error *err);
/* The expression; a failed buffer tells of memory. */
void jaeger_v1_metrics_query(const jaeger_v1_metrics *m, sx_buf *out);
/* service_call_rate ...; and what it is, in words. */
void jaeger_v1_metrics_name(const jaeger_v1_metrics *m, sx_buf *name, sx_buf *help);

/* true, 1 ...: prettyPrint, which takes everything but "" and "false" for yes. */
bool jaeger_v1_pretty(const jaeger_params *p);

#endif

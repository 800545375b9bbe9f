/* metrics.h - series over time from spans: rate(), count_over_time(), quantile_over_time() and the like.
 *
 * A pipeline that is one filter over fields of the span reads spans one by one as the store finds
 * them; any other evaluates whole traces. Time is cut into steps that end at whole multiples of the
 * step: a span belongs to the step in which it began, (from, to]. An instant question is one step.
 * Durations are in seconds. Used by observe/tempo. */
#ifndef OBSERVE_TRACEQL_METRICS_H
#define OBSERVE_TRACEQL_METRICS_H

#include "observe/traceql/eval.h"
#include "observe/traces/store.h"

enum { TRACEQL_STEPS_MAX = 11000, TRACEQL_SERIES_MAX = 1000, TRACEQL_HISTOGRAM = 65 };

typedef struct traceql_series {
    tq_note *labels; /* resource.service.name="x"; __name__ of one without labels */
    uint32_t label_count;
    double *values; /* one a step; NaN: none */
} traceql_series;

typedef struct traceql_metrics {
    traceql_series *series; /* sorted by their labels */
    size_t count;
    uint64_t start_ns, step_ns; /* step i ends at start + (i + 1) * step */
    uint32_t steps;
    uint64_t spans; /* counted */
    bool partial;   /* a limit ended the work, or there are more series */
} traceql_metrics;

typedef struct traceql_metrics_options {
    uint64_t start_ns, end_ns, step_ns; /* step 0: by the range, as Tempo chooses it */
    bool instant;
    uint32_t series_max; /* 0: TRACEQL_SERIES_MAX */
    tr_limits limits;
} traceql_metrics_options;

/* All of `out` lies in the arena.
 *   errors  SX_EINVAL: no query for series, too many steps; SX_ECANCELED, SX_ETIMEOUT; the store's */
sx_status traceql_metrics_run(tr_store *store, const traceql_query *q,
                              const traceql_metrics_options *options, sx_arena *arena,
                              traceql_metrics *out, sx_error *err);

/* --- series.c: what is done with finished series. */
sx_status tq_series_math(sx_arena *arena, const tq_node *n, const traceql_metrics *l,
                         const traceql_metrics *r, traceql_metrics *out, sx_error *err);
void tq_series_filter(const tq_node *n, traceql_metrics *m);
sx_status tq_series_top(sx_arena *arena, const tq_node *n, traceql_metrics *m, sx_error *err);
int tq_labels_compare(const traceql_series *a, const traceql_series *b);
/* Of counts in buckets (bucket i: up to 2^i nanoseconds or units): the value, 0 of none. */
double tq_quantile(const double *buckets, double p);
/* compare.c: of compare(): series that tell how spans of a selection differ from the others. */
sx_status tq_compare_series(tr_store *store, const tq_node *n,
                            const traceql_metrics_options *options, sx_arena *arena,
                            traceql_metrics *out, sx_error *err);

#endif

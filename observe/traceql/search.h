/* search.h - which traces of a store does a query find?
 *
 * In two steps: the store looks for spans that match what was pushed (newest first), then each trace
 * found is read whole and the query evaluated over it. So a trace's spans count wherever they lie; the
 * time range is about the spans that match. Used by observe/tempo and cmd. */
#ifndef OBSERVE_TRACEQL_SEARCH_H
#define OBSERVE_TRACEQL_SEARCH_H

#include "observe/traceql/eval.h"
#include "observe/traces/store.h"

typedef struct traceql_search_options {
    uint64_t min_ns, max_ns; /* of a matching span's start, inclusive; max 0: now */
    uint32_t limit;          /* traces; 0: 20 */
    uint64_t min_duration_ns, max_duration_ns; /* of the trace; max 0: any */
    uint64_t spans_max;                        /* read in all; past it partial: 0: 20,000,000 */
    uint64_t memory_max;                       /* of one trace under evaluation: 1 GiB */
    tr_limits limits;
} traceql_search_options;

/* A trace found; good for the call. */
typedef struct traceql_match {
    const tq_trace *trace;
    const tq_spansets *sets;
    sx_arena *arena; /* for the call */
} traceql_match;

typedef struct traceql_search_stats {
    uint64_t traces, spans, bytes; /* looked at by evaluation; bytes about */
    bool partial;
} traceql_search_stats;

/* Calls `fn` for each trace, newest first, until the limit or until it returns false.
 *   errors  SX_ECANCELED, SX_ETIMEOUT; SX_EINVAL: arithmetic of series; the store's */
typedef bool traceql_match_fn(void *ctx, const traceql_match *m);
sx_status traceql_search(tr_store *store, const traceql_query *q,
                         const traceql_search_options *options, traceql_match_fn *fn, void *ctx,
                         traceql_search_stats *stats, sx_error *err);

/* The same over the traces a pipeline finds, without a limit on how many: for series. */
sx_status tq_search(tr_store *store, const tq_node *pipeline, const traceql_search_options *options,
                    traceql_match_fn *fn, void *ctx, traceql_search_stats *stats, sx_error *err);

/* What of a span the node reads, as the store's TR_WANT. */
unsigned tq_want(const tq_node *n);

/* The fields that a query names, those of select() too, each once, in the arena. NULL: no memory. */
const tq_field **traceql_fields(const traceql_query *q, sx_arena *arena, size_t *count);

#endif

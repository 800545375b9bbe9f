/* tempo.h - Grafana Tempo's HTTP API over the store of traces: a question in, bytes out.
 *
 * Each function answers one path; it knows nothing of HTTP beyond status, media type and the pairs of
 * the address. observe/api/tempo.c brings them requests. Where Tempo leaves a choice (order of names,
 * of traces) ours is sorted; where a limit ended the work the answer says "status":"PARTIAL".
 * Source: Tempo's documentation, "Tempo HTTP API"; pkg/tempopb/tempo.proto; answers of a Tempo 3. */
#ifndef OBSERVE_TEMPO_TEMPO_H
#define OBSERVE_TEMPO_TEMPO_H

#include "observe/traceql/metrics.h"
#include "observe/traceql/search.h"

typedef struct tempo_param {
    sx_str name, value;
} tempo_param;

enum { TEMPO_LIMIT_DEFAULT = 20, TEMPO_LIMIT_MAX = 100000, TEMPO_NAMES_MAX = 10000 };

typedef struct tempo_call {
    /* The question. */
    tr_store *store;
    sx_arena *arena; /* for the call */
    const tempo_param *params;
    size_t param_count;
    sx_str name; /* the trace's id or the tag in the path, decoded */
    bool protobuf;
    uint64_t now_ns;
    tr_limits limits;
    const char *version;
    /* The answer; out is empty and the caller's. A failed buffer is for the caller to see. */
    int status;
    sx_str content_type;
    sx_buf *out;
} tempo_call;

typedef void tempo_work(tempo_call *c);

tempo_work tempo_trace;    /* /api/traces/{id} */
tempo_work tempo_trace_v2; /* /api/v2/traces/{id} */
tempo_work tempo_search;   /* /api/search */
tempo_work tempo_tags;     /* /api/search/tags */
tempo_work tempo_tags_v2;
tempo_work tempo_tag_values; /* /api/search/tag/{tag}/values */
tempo_work tempo_tag_values_v2;
tempo_work tempo_query_range; /* /api/metrics/query_range */
tempo_work tempo_query;       /* /api/metrics/query */
tempo_work tempo_echo;        /* /api/echo, also /ready */
tempo_work tempo_ready;
tempo_work tempo_build_info; /* /api/status/buildinfo */

#endif

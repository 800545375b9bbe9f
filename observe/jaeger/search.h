/* search.h - Jaeger's questions to the store, whichever of its APIs asks: HTTP v1 and v3, gRPC v2 and
 * v3, storage v2.
 *
 * A tag is looked for on the span, its resource, scope, events and links, and compared as text; the
 * names that Jaeger makes up on the way out (error, span.kind, otel.status_code ...) are found by what
 * they are made from. Source: jaeger-idl api_v2/query.proto, api_v3, storage/v2; behaviour of 2.20. */
#ifndef OBSERVE_JAEGER_SEARCH_H
#define OBSERVE_JAEGER_SEARCH_H

#include "observe/traces/store.h"

typedef struct jaeger_tag {
    sx_str key, value; /* value as text */
} jaeger_tag;

typedef struct jaeger_search {
    sx_str service, operation; /* empty: any (which no peer of ours can) */
    const jaeger_tag *tags;
    size_t tag_count;
    uint64_t min_ns, max_ns;                   /* of the span's start */
    uint64_t min_duration_ns, max_duration_ns; /* 0: none */
    size_t limit;                              /* traces; 0: 100 */
    const tr_hit *after;                       /* the page before ended here; NULL: the first */
} jaeger_search;

/* The search as a filter, in `arena`. */
sx_status jaeger_filter(const jaeger_search *search, sx_arena *arena, const span_filter **out,
                        sx_error *err);

/* Each trace that holds a matching span, whole, newest first; the batch is reset after each call.
 * *last (may be NULL) is where the next page begins; *partial tells that limits ended it. */
typedef bool jaeger_trace_fn(void *ctx, const uint8_t trace_id[16], const span_batch *trace);
sx_status jaeger_find(tr_store *store, const jaeger_search *search, const tr_limits *limits,
                      jaeger_trace_fn *fn, void *ctx, tr_hit *last, bool *partial, sx_error *err);

/* 1 to 32 hex digits, any case, left-padded. SX_EINVAL in Jaeger's words. */
sx_status jaeger_trace_id(sx_str text, uint8_t out[16], sx_error *err);

/* --- A span as Jaeger shows it: the tags made up from OTLP's fields, in Jaeger's order. */
typedef bool jaeger_tag_fn(void *ctx, sx_str key, const span_value *value);
void jaeger_span_tags(const span *s, jaeger_tag_fn *fn, void *ctx);

/* Clock skew: children that begin before their parent or end after it on another host are shifted as
 * Jaeger's adjuster does it (by at most `max_ns`, 0: not at all); times of `trace` are changed in place
 * (copies in its arena), and each shifted span gets a warning in `warnings` by its index (may be NULL
 * entries). Arrays are in the batch's arena. */
sx_status jaeger_adjust(span_batch *trace, uint64_t max_ns, sx_str **warnings, sx_error *err);

#endif

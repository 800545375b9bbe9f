/* proto.h - messages of Jaeger's gRPC APIs: requests read, answers written.
 *
 * Three dialects ask nearly the same: api_v2 (Jaeger's own spans), api_v3 and storage v2 (OTLP's).
 * What a request has is read into one form; views point into it or its arena.
 * Source: jaeger-idl proto/api_v2/{query,model}.proto, api_v3/query_service.proto,
 * storage/v2/{trace_storage,dependency_storage,capabilities}.proto. Internal to observe/jaeger, but
 * for its tests. */
#ifndef OBSERVE_JAEGER_PROTO_H
#define OBSERVE_JAEGER_PROTO_H

#include "observe/jaeger/search.h"

typedef enum jaeger_dialect { JAEGER_V2, JAEGER_V3, JAEGER_STORAGE } jaeger_dialect;

/* ---- requests ---- */

/* A moment that may not be there: Go's zero time counts as absent, what lies before 1970 as 1970. */
typedef struct jaeger_moment {
    uint64_t ns;
    bool set;
} jaeger_moment;

typedef struct jaeger_question {
    jaeger_search search; /* min_ns and max_ns are those of the moments; `also` is the caller's */
    jaeger_moment min, max;
    sx_str filter; /* jaeger.expression.v1.Call; empty: none */
    bool asked;    /* there was a query in the request */
    bool raw;
} jaeger_question;

/* FindTracesRequest, FindTraceIDsRequest, FindTraceSummariesRequest.
 *   errors  SX_EFORMAT with the byte, SX_ENOMEM */
sx_status jaeger_read_question(sx_str message, jaeger_dialect dialect, sx_arena *arena,
                               jaeger_question *out, sx_error *err);

typedef struct jaeger_wanted {
    uint8_t trace_id[16];
    jaeger_moment min, max;
    bool raw;
} jaeger_wanted;

/* GetTraceRequest, ArchiveTraceRequest, one GetTraceParams. SX_EINVAL: the id is none. */
sx_status jaeger_read_wanted(sx_str message, jaeger_dialect dialect, jaeger_wanted *out,
                             sx_error *err);

/* GetOperationsRequest, the same in all. */
sx_status jaeger_read_operations(sx_str message, sx_str *service, sx_str *kind, sx_error *err);

/* GetDependenciesRequest, the same in all. */
sx_status jaeger_read_span_of_time(sx_str message, jaeger_moment *min, jaeger_moment *max,
                                   sx_error *err);

/* ---- answers; a failed buffer tells of memory ---- */

/* A field holding a span as jaeger.api_v2.Span, with its process and warnings (NULL: none). */
void jaeger_put_span(sx_buf *out, uint32_t field, const span *s, const jaeger_notes *notes);

/* The answers of GetServices, GetOperations (of one service), GetDependencies. */
void jaeger_put_services(sx_buf *out, const tr_names *names);
void jaeger_put_operations(sx_buf *out, jaeger_dialect dialect, const tr_operation *items,
                           size_t count);
void jaeger_put_dependencies(sx_buf *out, const tr_edge *items, size_t count);

/* ---- names (proto_names.c): sorted, in `arena` ---- */

/* The store's, and missing-service-name if there are spans without a service. */
sx_status jaeger_services(tr_store *store, const tr_limits *limits, sx_arena *arena, tr_names *out,
                          sx_error *err);
/* Of one service; of none, or for a kind that is none, nothing. */
sx_status jaeger_operations(tr_store *store, sx_str service, sx_str kind_name, sx_arena *arena,
                            tr_operation **out, size_t *count, sx_error *err);
sx_status jaeger_dependencies(tr_store *store, uint64_t min_ns, uint64_t max_ns,
                              const tr_limits *limits, sx_arena *arena, tr_edge **out,
                              size_t *count, sx_error *err);

/* ---- traces as OTLP (proto_otlp.c) ---- */

/* Orders the spans so that those of one resource, and within it of one scope, stand together;
 * resources and scopes that are equal become one. Warnings of `notes` (NULL: none) become the
 * attribute @jaeger@warnings, where Jaeger 2 has them. `trace` is changed in place. */
sx_status jaeger_group(span_batch *trace, const jaeger_notes *notes, sx_error *err);

/* The spans as TracesData messages of about `bytes_max` each, one span at least. Ends early when the
 * callback returns false. */
typedef bool jaeger_message_fn(void *ctx, sx_str message);
sx_status jaeger_write_otlp(const span_batch *trace, size_t bytes_max, sx_buf *space,
                            jaeger_message_fn *fn, void *ctx, sx_error *err);

/* ---- summaries (proto_summary.c) ---- */

/* A field holding the TraceSummary of a trace, counted over its spans. */
sx_status jaeger_put_summary(sx_buf *out, uint32_t field, jaeger_dialect dialect,
                             const span_batch *trace, sx_arena *arena, sx_error *err);

/* ---- structured filters (proto_filter.c) ---- */

typedef struct jaeger_regexes {
    sx_regex **items;
    size_t count, cap;
} jaeger_regexes;

/* A jaeger.expression.v1.Call as a filter in `arena`; what it compiled is in `regexes`, to be given to
 * jaeger_regexes_done also after an error, once the search is over.
 *   errors  SX_EFORMAT; SX_EINVAL: a predicate that means nothing; SX_EUNSUPPORTED: one that this
 *           store cannot answer (fields against fields, `some` over several predicates) */
sx_status jaeger_filter_read(sx_str call, sx_arena *arena, jaeger_regexes *regexes,
                             const span_filter **out, sx_error *err);
void jaeger_regexes_done(jaeger_regexes *r);

/* The same expression in JSON as the protobuf message. */
sx_status jaeger_filter_from_json(sx_str json, sx_arena *arena, sx_buf *out, sx_error *err);

/* The answer of GetCapabilities: what of it this store evaluates. */
void jaeger_put_capabilities(sx_buf *out);

#endif

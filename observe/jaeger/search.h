/* search.h - Jaeger's questions to the store, whichever of its APIs asks: HTTP v1 and v3, gRPC v2 and
 * v3, storage v2.
 *
 * A tag is looked for on the span, its resource, scope, events and links, and compared as text; the
 * names that Jaeger makes up on the way out (error, span.kind, otel.status_code ...) are found by what
 * they are made from. Source: jaeger-idl api_v2/query.proto, api_v3, storage/v2; behaviour of 2.20. */
#ifndef OBSERVE_JAEGER_SEARCH_H
#define OBSERVE_JAEGER_SEARCH_H

#include "observe/traces/store.h"

enum { JAEGER_LIMIT_MAX = 100000 }; /* traces of one search; who asks for more gets that many */

typedef struct jaeger_tag {
    sx_str key, value; /* value as text */
} jaeger_tag;

typedef struct jaeger_search {
    sx_str service, operation; /* empty: any (which no peer of ours can) */
    const sx_str *services;    /* more services, of which any will do, beside `service` */
    size_t service_count;
    const jaeger_tag *tags;
    size_t tag_count;
    uint64_t min_ns, max_ns;                   /* of the span's start */
    uint64_t min_duration_ns, max_duration_ns; /* 0: none */
    size_t limit;                              /* traces; 0: 100 */
    const tr_hit *after;                       /* the page before ended here; NULL: the first */
    const span_filter *also;                   /* holds for the span besides; NULL: nothing */
} jaeger_search;

/* The search as a filter, in `arena`. */
sx_status jaeger_filter(const jaeger_search *search, sx_arena *arena, const span_filter **out,
                        sx_error *err);

/* Each trace that holds a matching span, whole, newest first; the batch is reset after each call and
 * may be changed in it (jaeger_adjust). Ends early when the callback returns false.
 * *last (may be NULL) is where the next page begins: all zero if there is none, which is so when
 * fewer traces than the limit were found. *partial tells that limits ended it. */
typedef bool jaeger_trace_fn(void *ctx, const uint8_t trace_id[16], span_batch *trace);
sx_status jaeger_find(tr_store *store, const jaeger_search *search, const tr_limits *limits,
                      jaeger_trace_fn *fn, void *ctx, tr_hit *last, bool *partial, sx_error *err);
/* The same without reading the traces. */
sx_status jaeger_find_ids(tr_store *store, const jaeger_search *search, const tr_limits *limits,
                          tr_hit_fn *fn, void *ctx, tr_hit *last, bool *partial, sx_error *err);

/* 1 to 32 hex digits, any case, left-padded. SX_EINVAL in Jaeger's words. */
sx_status jaeger_trace_id(sx_str text, uint8_t out[16], sx_error *err);

/* Go's ParseBool. False: it is none of its words. */
bool jaeger_bool(sx_str text, bool *out);

/* A kind as Jaeger names it: server, client ...; empty for UNSPECIFIED. And back, in any case:
 * -1 for what is no kind. */
sx_str jaeger_kind_name(unsigned kind);
int jaeger_kind(sx_str name);

/* Stand-ins that Jaeger shows (and finds) where a client left the name out. */
sx_str jaeger_service_name(const span_resource *r);
sx_str jaeger_operation_name(const span *s);
#define JAEGER_NO_SERVICE      SX_STR("missing-service-name")
#define JAEGER_EMPTY_SERVICE   SX_STR("empty-service-name")
#define JAEGER_EMPTY_OPERATION SX_STR("empty-span-name")

/* --- A span as Jaeger shows it: its tags in Jaeger's order, with those made up from OTLP's fields:
 * otel.scope.name and .version, the attributes, span.kind, otel.status_code, error,
 * otel.status_description, w3c.tracestate. False: the callback did not want more. */
typedef bool jaeger_tag_fn(void *ctx, sx_str key, const span_value *value);
bool jaeger_span_tags(const span *s, jaeger_tag_fn *fn, void *ctx);

/* --- What Jaeger's query service does to a trace before it shows it (unless asked for it raw), each
 * step with a warning where it says so:
 *   an end before the start becomes the start (warned); a server's span that shares its id with the
 *   client's (Zipkin) gets an id of its own below it; attributes are sorted by key; a span that is
 *   there twice, equal in all, is left out once; children on another host that begin before their
 *   parent or end after it are shifted, by at most `max_ns` (0, the peer's default: only warned),
 *   with doubled ids and missing parents warned; numbers in `ip` and `peer.ipv4` are written as
 *   addresses; telemetry.sdk.* and telemetry.distro.* go to the resource; links to nothing go
 *   (warned).
 * `trace` is changed in place (what is new lies in its arena, the count may shrink). *notes has the
 * warnings of each span by its index. Times: 100,000 spans take 60 ms. */
typedef struct jaeger_notes {
    const sx_str *items;
    uint32_t count;
} jaeger_notes;
sx_status jaeger_adjust(span_batch *trace, uint64_t max_ns, const jaeger_notes **notes,
                        sx_error *err);

#endif

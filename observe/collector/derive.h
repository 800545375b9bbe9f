/* derive.h - metrics made of spans: the Collector's spanmetrics and servicegraph connectors.
 *
 * Both take batches of spans from any thread and write series into a metric store at each flush, with
 * exemplars that lead back to the trace. Settings are the Collector's, field by field, with its
 * defaults (derive_settings.c reads them from its configuration); what enters our own store goes
 * through one of each with defaults of ours (observe/traces_server.c). Counters begin at zero with the
 * process; the zero and the start time are written, so that nothing is lost to rate() and increase().
 * Source: opentelemetry-collector-contrib 0.140, connector/spanmetricsconnector and
 * connector/servicegraphconnector, README.md and config.go. */
#ifndef OBSERVE_COLLECTOR_DERIVE_H
#define OBSERVE_COLLECTOR_DERIVE_H

#include <sextant/clock.h>
#include <sextant/kit.h>

#include "observe/spans/sink.h"
#include "observe/tsdb/storage.h"

/* Where they live. All of it outlives them. */
typedef struct derive_host {
    tsdb_appendable *store;
    const sx_clock *clock;
    const sx_kit *kit; /* may be NULL */
    sx_str id;         /* "spanmetrics", "servicegraph/edge": a label of its own metrics */
} derive_host;

/* An attribute that becomes a label: of the span, else of the resource, else `fallback`. */
typedef struct derive_dimension {
    sx_str name, fallback;
    bool has_fallback;
} derive_dimension;

typedef struct derive_dimensions {
    const derive_dimension *items;
    uint32_t count;
} derive_dimensions;

typedef struct derive_names {
    const sx_str *items;
    uint32_t count;
} derive_names;

typedef struct derive_buckets {
    const uint64_t *ns;
    uint32_t count;
} derive_buckets;

/* --- spanmetrics. */

enum { SPANMETRICS_MS, SPANMETRICS_S };

typedef struct spanmetrics_histogram {
    bool disable;
    int unit;                       /* SPANMETRICS_MS */
    bool has_explicit, exponential; /* at most one of them */
    derive_buckets buckets;         /* 2 ms … 15 s */
    int64_t max_size;               /* 160 */
    derive_dimensions dimensions;   /* of the histogram alone */
} spanmetrics_histogram;

typedef struct spanmetrics_settings {
    sx_str prefix; /* "namespace": traces.span.metrics */
    spanmetrics_histogram histogram;
    derive_dimensions dimensions, calls_dimensions;
    derive_names exclude_dimensions; /* of service.name, span.name, span.kind, status.code */
    int64_t flush_ms;                /* metrics_flush_interval: 60 s */
    int64_t expiration_ms;           /* metrics_expiration: 0, never */
    int64_t series_expiration_ms;
    bool exemplars;        /* exemplars.enabled: false */
    int64_t exemplars_max; /* exemplars.max_per_data_point: 5 */
    bool events;           /* events.enabled: false */
    derive_dimensions event_dimensions;
    derive_names scopes; /* include_instrumentation_scope */
    int64_t series_max;  /* aggregation_cardinality_limit: 0, which here is SPANMETRICS_ROWS_MAX */
    bool resource_attributes; /* add_resource_attributes: job and instance as labels */
} spanmetrics_settings;

enum { SPANMETRICS_ROWS_MAX = 20000 };

/* The Collector's defaults. */
void spanmetrics_defaults(spanmetrics_settings *s);
/* SX_EINVAL, SX_ELIMIT: values that make no sense together, or are too many. */
sx_status spanmetrics_check(const spanmetrics_settings *s, sx_error *err);

typedef struct spanmetrics spanmetrics;

/* `settings` live as long as it. Errors: SX_EINVAL for what makes no sense together; SX_ENOMEM. */
sx_status spanmetrics_new(const spanmetrics_settings *settings, const derive_host *host,
                          spanmetrics **out, sx_error *err);
/* Counts a batch; keeps nothing of it. Any thread, several at a time. 50 ns a span. */
void spanmetrics_take(spanmetrics *m, const span_batch *b);
/* Flushes if it is time; one call at a time. */
sx_status spanmetrics_tick(spanmetrics *m, sx_error *err);
sx_status spanmetrics_flush(spanmetrics *m, sx_error *err);
/* Flushes once more, frees. NULL is allowed. */
void spanmetrics_free(spanmetrics *m);

/* --- servicegraph. */

typedef struct servicegraph_settings {
    derive_buckets buckets;     /* latency_histogram_buckets: 2 ms … 15 s */
    int64_t exponential_size;   /* exponential_histogram_max_size: 0, explicit buckets */
    derive_names dimensions;    /* as client_NAME and server_NAME */
    int64_t ttl_ms, items_max;  /* store: 2 s, 1000 */
    int64_t cache_loop_ms;      /* 1 min: edges without traffic for so long… */
    int64_t expiration_loop_ms; /* 2 s: how often the store is looked through */
    derive_names
        peer_attributes;     /* virtual_node_peer_attributes: peer.service, db.name, db.system */
    bool virtual_node_label; /* virtual_node_extra_label: false */
    int64_t flush_ms;        /* metrics_flush_interval: 60 s; 0: with every batch */
    derive_names database_attributes; /* database_name_attributes: db.name */
    sx_str database_attribute;        /* database_name_attribute: the same, older */
    /* Ours. */
    int64_t series_max;    /* 0: SERVICEGRAPH_ROWS_MAX */
    int64_t exemplars_max; /* of an edge and flush; 0: none, as the Collector */
} servicegraph_settings;

enum { SERVICEGRAPH_ROWS_MAX = 10000 };

void servicegraph_defaults(servicegraph_settings *s);
sx_status servicegraph_check(const servicegraph_settings *s, sx_error *err);

typedef struct servicegraph servicegraph;

sx_status servicegraph_new(const servicegraph_settings *settings, const derive_host *host,
                           servicegraph **out, sx_error *err);
void servicegraph_take(servicegraph *g, const span_batch *b);
sx_status servicegraph_tick(servicegraph *g, sx_error *err);
sx_status servicegraph_flush(servicegraph *g, sx_error *err);
void servicegraph_free(servicegraph *g);

/* --- Both beside a store. */

/* One of each with our own defaults and a thread that flushes them: `flush_ms` 0 is 15 s, `series_max`
 * 0 is 5000 of each. The thread sleeps by the system's clock and looks at the host's. */
typedef struct derive_own derive_own;
sx_status derive_own_new(const derive_host *host, int64_t flush_ms, int64_t series_max,
                         derive_own **out, sx_error *err);
/* Which of the two it makes; both at first. What is switched off is neither counted nor written, so
 * that a connector of the same names is the only writer. Any thread. */
void derive_own_makes(derive_own *d, bool spans, bool graph);
void derive_own_take(derive_own *d, const span_batch *b);
/* Ends the thread, flushes, frees. NULL is allowed. */
void derive_own_free(derive_own *d);

#endif

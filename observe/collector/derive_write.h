/* derive_write.h - the rows of a table as samples of the metric store.
 *
 * Each flush writes every row at one time, as a scrape would, so that queries find counters that stand
 * still, too. A row that is new begins with a zero at the flush before, and tells its start time: what
 * it counted up to its first sample is then seen by rate() and increase(), and a restart of ours is a
 * reset like any other. References into the store are kept in the rows.
 * Used by derive_spans.c and derive_graph.c. */
#ifndef OBSERVE_COLLECTOR_DERIVE_WRITE_H
#define OBSERVE_COLLECTOR_DERIVE_WRITE_H

#include "observe/collector/derive_table.h"
#include "observe/tsdb/storage.h"

typedef struct derive_metric {
    sx_str name; /* of a histogram without _bucket */
    const char *help;
    bool histogram;
    uint32_t which; /* counter or histogram of the row */
} derive_metric;

enum { DERIVE_METRICS_MAX = 4, DERIVE_TAG_LABELS_MAX = 4 };

typedef struct derive_writer {
    const derive_shape *shape;
    derive_metric metrics[DERIVE_METRICS_MAX];
    uint32_t metric_count;
    const sx_str *label_names; /* of the texts of a key, as Prometheus writes them */
    /* Appends the labels that a tag stands for; returns how many. May be NULL. */
    size_t (*tag_labels)(const void *ctx, uint32_t tag, tsdb_label out[DERIVE_TAG_LABELS_MAX]);
    const void *tag_ctx;
    double ns_per_unit;   /* of durations */
    const sx_str *bounds; /* texts of `le` */
    /* Counted up. */
    uint64_t samples, refused;
    bool told; /* metadata has been written */
} derive_writer;

/* How many references a row of this writer has: shape->ref_count. */
uint32_t derive_writer_refs(const derive_writer *w);

/* A table and how it is written. */
typedef struct derive_sheet {
    derive_writer writer;
    derive_table whole; /* by the lock of flushes */
} derive_sheet;

/* Writes all rows of the sheets, or, with an error, none. `start_ms` is the flush before. Exemplars are
 * forgotten either way.
 *   errors  of the appender; what the store refuses (limits, order) is only counted */
sx_status derive_flush(derive_sheet *const *sheets, size_t count, tsdb_appendable *store,
                       int64_t t_ms, int64_t start_ms, sx_error *err);

/* Rows on which nothing has happened since `before_mono_ms` leave; their series are stale from `t_ms` on.
 * Markers that could not be written only let the series end five minutes later. To be called before a
 * flush of the same time: a marker and a value of one time would be in each other's way. */
void derive_expire(derive_sheet *const *sheets, size_t count, tsdb_appendable *store,
                   int64_t before_mono_ms, int64_t t_ms);

/* "http.route" as a label name, "traces.span.metrics" as a part of a metric's name: in the arena; data
 * NULL without memory. Source: OpenTelemetry, "Prometheus compatibility". */
sx_str derive_label_name(sx_arena *arena, sx_str text);
sx_str derive_metric_name(sx_arena *arena, sx_str text);

/* A bound as `le` has it. */
sx_str derive_bound_text(sx_arena *arena, uint64_t ns, double ns_per_unit);

#endif

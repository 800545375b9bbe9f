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

/* Puts all rows into the appender. `start_ms` is the flush before.
 *   errors  of the appender; what the store refuses (limits, order) is only counted */
sx_status derive_write(derive_writer *w, derive_table *t, tsdb_appender *to, int64_t t_ms,
                       int64_t start_ms, sx_error *err);

/* After the commit: its rows are in the store. */
void derive_write_done(derive_table *t);

/* Ends the series of a row that leaves: they are stale from `t_ms` on. */
sx_status derive_write_stale(derive_writer *w, const derive_row *row, tsdb_appender *to,
                             int64_t t_ms, sx_error *err);

/* "http.route" as a label name, "traces.span.metrics" as a part of a metric's name: in the arena; data
 * NULL without memory. Source: OpenTelemetry, "Prometheus compatibility". */
sx_str derive_label_name(sx_arena *arena, sx_str text);
sx_str derive_metric_name(sx_arena *arena, sx_str text);

/* A bound as `le` has it. */
sx_str derive_bound_text(sx_arena *arena, uint64_t ns, double ns_per_unit);

#endif

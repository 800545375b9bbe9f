/* otlp.h - how the files of the OTLP receiver share their state: the resource, scope and metric under
 * way, and the data point that is being turned into samples.
 *
 * otlp.c walks the request, otlp_points.c makes samples of data points, otlp_labels.c their labels,
 * otlp_names.c translates names and units, otlp_delta.c adds deltas up. */
#ifndef OBSERVE_REMOTE_OTLP_H
#define OBSERVE_REMOTE_OTLP_H

#include "observe/remote/writer.h"

typedef enum otlp_kind {
    OTLP_GAUGE,
    OTLP_SUM,
    OTLP_HISTOGRAM,
    OTLP_EXPONENTIAL,
    OTLP_SUMMARY,
    OTLP_KINDS
} otlp_kind;

typedef enum otlp_temporality { OTLP_UNSPECIFIED, OTLP_DELTA, OTLP_CUMULATIVE } otlp_temporality;

/* Which of a data point's series: what is put behind the metric's name, and which label is added. */
typedef enum otlp_part {
    OTLP_PART_ITSELF,
    OTLP_PART_SUM,
    OTLP_PART_COUNT,
    OTLP_PART_BUCKET,   /* with le */
    OTLP_PART_QUANTILE, /* with quantile */
    OTLP_PART_TARGET,   /* target_info: the resource's */
} otlp_part;

typedef struct otlp_list {
    sx_str *items; /* messages, to be read later */
    size_t count, cap;
} otlp_list;

typedef struct otlp_quantile {
    double quantile, value;
} otlp_quantile;

typedef struct otlp_numbers {
    double *items;
    size_t count, cap;
} otlp_numbers;

typedef struct otlp_buckets {
    otlp_numbers counts;
    int32_t offset;
} otlp_buckets;

/* Any of the five kinds of data points. */
typedef struct otlp_point {
    otlp_list attributes, exemplars;
    uint64_t t_ns, start_ns;
    double value, sum, count, zero_count, zero_threshold;
    bool has_sum, stale;
    int32_t scale;
    otlp_numbers bounds;
    otlp_buckets positive, negative; /* the first also of a classic histogram */
    otlp_quantile *quantiles;
    size_t quantile_count, quantile_cap;
    uint64_t attributes_hash;
} otlp_point;

/* Labels that a resource or scope gives to all its series, in the request's arena. */
typedef struct otlp_context {
    tsdb_label *labels;
    size_t count, cap;
    uint64_t hash;
} otlp_context;

/* A metric met before: what it is called, and the metadata appended last. */
typedef struct otlp_family {
    sx_str name;
    uint64_t told;
} otlp_family;

typedef struct otlp_state {
    const prom_otlp_config *config;
    remote_otlp_result *out;
    uint64_t config_hash;
    otlp_list resource; /* its attributes */
    uint64_t resource_hash, scope_id;
    sx_str job, instance;
    otlp_context promoted, scope;
    uint64_t earliest_ns, latest_ns; /* of the resource */

    otlp_kind kind; /* of the metric under way */
    otlp_temporality temporality;
    bool monotonic;
    sx_str name, unit, description; /* as sent */
    sx_str family;                  /* translated */
    uint64_t metric_hash;
    bool bad_metric; /* of its points none is taken */
    bool adds_up;    /* deltas that become cumulative */

    otlp_point point;
    otlp_part part;
    double bound;
    tsdb_labels_builder builder;
    tsdb_label *sorted; /* attributes of the point, scratch */
    size_t sorted_cap;
    sx_map64 families; /* by metric_hash -> otlp_family in `names` */
    sx_arena names;
    otlp_family *known;    /* of the metric under way; NULL: not remembered */
    wire_numbers cells[2]; /* counts of a native histogram */
    tsdb_span *spans[2];
    size_t span_counts[2], span_caps[2];
} otlp_state;

/* --- otlp.c */
/* The request had a fault that part of it was refused for. */
void otlp_reject(remote_writer *w, uint64_t points, const char *fmt, ...) SX_PRINTF(3, 4) SX_COLD;

/* The type of the metric under way, as metadata names it. */
sx_str otlp_type(const otlp_state *s);

/* --- otlp_points.c */
/* Reads the data point that is the reader's current field, and appends its samples. */
sx_status otlp_read_point(remote_writer *w, sx_pb_reader *r, sx_error *err);
void otlp_point_done(otlp_point *p);

/* --- otlp_delta.c */
/* Adds the point to its stream and makes it the sum; *taken false: it was rejected. */
sx_status otlp_accumulate(remote_writer *w, bool *taken, sx_error *err);

/* --- otlp_labels.c */
/* Finds or makes the series of the point's part; *known false: its labels are bad, it was rejected. */
sx_status otlp_find_series(remote_writer *w, otlp_part part, double bound, bool *known,
                           sx_error *err);
/* A KeyValue message taken apart: its value as text, in the arena. SX_ENOMEM. */
sx_status otlp_read_pair(sx_arena *arena, sx_str message, tsdb_label *out, sx_error *err);
/* Labels of the resource's (scope's) attributes. SX_EINVAL for a name that cannot be translated. */
sx_status otlp_resource_labels(remote_writer *w, sx_error *err);
sx_status otlp_scope_labels(remote_writer *w, sx_str scope, sx_str schema_url, sx_error *err);

/* --- otlp_names.c */
/* The metric's name by the configuration's strategy. SX_EINVAL in Prometheus's words if nothing is
 * left of it; SX_ENOMEM. */
sx_status otlp_metric_name(const prom_otlp_config *config, sx_arena *arena, sx_str name,
                           sx_str unit, otlp_kind kind, bool monotonic, sx_str *out, sx_error *err);
sx_status otlp_label_name(const prom_otlp_config *config, sx_arena *arena, sx_str name, sx_str *out,
                          sx_error *err);
/* "By/s" -> "bytes_per_second"; NULL data without memory. */
sx_str otlp_unit_name(sx_arena *arena, sx_str unit);

#endif

/* metrics.h - counters, gauges, histograms, summaries, infos and state sets that cost a few nanoseconds to write.
 *
 * A registry holds metrics (a name, a help text, label names); a metric holds series, one for each
 * combination of label values. Labels are resolved once, to a handle, and the handle is written:
 *
 *     static const char *const LABELS[] = {"queue"};
 *     sx_metric *jobs;
 *     sx_metric_new(registry, &(sx_metric_options){.kind = SX_METRIC_COUNTER, .name = "jobs_total",
 *         .help = "Jobs taken from a queue.", .labels = LABELS, .label_count = 1}, &jobs, &err);
 *     sx_counter *mail = sx_metric_counter(jobs, &SX_STR("mail"), 1);
 *     ...
 *     sx_counter_add(mail, 1);
 *
 * How it is cheap. Each thread that has joined (sx_telemetry_thread_join; every loop of a service
 * does) owns a stripe of memory that nobody else writes, so a write is a plain load, add and store.
 * Threads that have not joined share one stripe by atomic operations. A scrape adds the stripes up
 * while the writers go on: what it shows is a moment that no writer waited for, and each histogram's
 * count is the sum of the buckets shown beside it.
 *
 * Handles live as long as their registry. Resolving takes a lock and a table look-up: do it at the
 * start, or cache what it gives. */
#ifndef SEXTANT_METRICS_H
#define SEXTANT_METRICS_H

#include <sextant/buf.h>
#include <sextant/clock.h>
#include <sextant/error.h>

SX_BEGIN_DECLS

typedef struct sx_metrics sx_metrics; /* a registry */
typedef struct sx_metric sx_metric;   /* one metric of it, all its series */
typedef struct sx_counter sx_counter; /* handles of one series */
typedef struct sx_gauge sx_gauge;
typedef struct sx_histogram sx_histogram;
typedef struct sx_summary sx_summary;
typedef struct sx_info sx_info;
typedef struct sx_stateset sx_stateset;
typedef struct sx_collect sx_collect; /* where a collect function puts its samples */

/* ---- threads ---- */

enum { SX_THREAD_SHARDS_MAX = 64 };

/* Gives the calling thread a stripe of its own in every registry and a lane in every log. Without
 * one (or when all SX_THREAD_SHARDS_MAX are taken) all still works, a little slower. Returns whether
 * there was one. Joining twice changes nothing. */
bool sx_telemetry_thread_join(void);

/* Gives the stripe back to the next thread that joins; call before the thread ends. What was counted
 * stays. */
void sx_telemetry_thread_leave(void);

/* ---- the registry ---- */

typedef struct sx_metrics_options { /* 0 takes the default */
    uint32_t series_max;            /* 1000: default of sx_metric_options.series_max */
    const sx_clock *clock;          /* the system's: when series began, when exemplars were seen */
    /* OpenMetrics text shows when each counter and histogram began as one more series, NAME_created;
     * protobuf and OTLP always tell, in place. */
    bool created_series;
} sx_metrics_options;

/* An empty registry; `options` may be NULL. It counts in sx_metric_series_folded_total what it had
 * to fold. Errors: SX_ENOMEM. */
sx_status sx_metrics_new(const sx_metrics_options *options, sx_metrics **out, sx_error *err);

/* Frees all metrics and series. No thread may write or scrape any more. */
void sx_metrics_free(sx_metrics *m);

typedef enum sx_metric_kind {
    SX_METRIC_COUNTER,
    SX_METRIC_GAUGE,
    SX_METRIC_HISTOGRAM, /* classic (with bounds), native (exponential buckets), or both */
    SX_METRIC_INFO,      /* facts in labels, the value is 1; the name ends in _info */
    SX_METRIC_STATESET,  /* which of some named states hold, each a series of 0 or 1 */
    SX_METRIC_SUMMARY,   /* quantiles over a sliding window */
    SX_METRIC_KINDS
} sx_metric_kind;

enum {
    SX_METRIC_LABELS_MAX = 16,
    SX_METRIC_BOUNDS_MAX = 400,
    SX_METRIC_STATES_MAX = 64,
    SX_METRIC_QUANTILES_MAX = 16
};

/* A quantile from 0 to 1, and by how much its rank may be off: {0.99, 0.001} is shown as what lies
 * between 0.989 and 0.991. */
typedef struct sx_metric_quantile {
    double quantile, error;
} sx_metric_quantile;

typedef struct sx_metric_options {
    sx_metric_kind kind;
    /* Best [a-zA-Z_:][a-zA-Z0-9_:]*, which every scraper reads. Any other UTF-8 is shown as it is to
     * those that ask for it, and escaped as they ask to the others. Copied, as everything here. */
    const char *name;
    const char *help;          /* one sentence, any UTF-8 */
    const char *const *labels; /* names, best [a-zA-Z_][a-zA-Z0-9_]*; not beginning with "__" */
    size_t label_count;        /* at most SX_METRIC_LABELS_MAX */
    const double *bounds;      /* histograms: upper bounds, rising, without +Inf; NULL takes */
    size_t bound_count;        /* 0.005 … 10 seconds, as every Prometheus client does, or, if */
                               /* `native` is set, none: the histogram is native only */
    uint32_t series_max;       /* further combinations become one series, all labels "other" */
    /* Not NULL: the metric has no series of its own; at each scrape this says what they are now. It
     * runs in the scraping thread and must not scrape or register. Not for histograms, summaries and
     * state sets. */
    void (*collect)(sx_collect *into, void *ctx);
    void *collect_ctx;
    const char
        *unit; /* "seconds", "bytes": what the name ends in (before _total); NULL: not told */
    const char *const *states; /* state sets: their names, all different */
    size_t state_count;        /* 1 to SX_METRIC_STATES_MAX */

    /* Histograms with exponential buckets: each bound is the one before times a constant, so that
     * they are found by arithmetic and a quantile is right within a few per cent at any size. Shown
     * in protobuf and OTLP; the text formats have no place for such buckets, and show those of
     * `bounds`. Source: Prometheus, "Native histograms"; OpenTelemetry, exponential histograms. */
    bool native;
    /* 1.1: the most by which one bound exceeds the one before. The resolution taken is the coarsest
     * that keeps to it, between 2^(2^-8), 1.0027, and 2^(2^4), 65536. */
    double native_growth;
    /* 2^-128: what is this close to 0 is counted as 0. Negative: 0 alone is. */
    double native_zero_threshold;
    /* 160: with more buckets in use than this, pairs of neighbours become one (all of them, the
     * constant is squared). Nothing is reset or lost. Each thread's
     * share of a series takes at most 8 bytes * 2 signs * 4 times this, rounded up. */
    uint32_t native_buckets_max;

    /* Summaries: for what a peer's dashboards expect as one; else prefer a histogram, which adds up over
     * processes. A window takes 8 KiB a series, and up to 100 KiB where
     * thousands are observed. */
    const sx_metric_quantile *quantiles; /* NULL: 0.5, 0.9 and 0.99, as far as 0.05, 0.01, 0.001 */
    size_t quantile_count;               /* at most SX_METRIC_QUANTILES_MAX */
    uint32_t age_ms_max;                 /* 600000: how far back they look … */
    uint32_t age_buckets; /* 5: … give or take one in so many parts of it; at most 60 */
} sx_metric_options;

/* Adds a metric, or gives back the one of the same name if kind, labels, help and bounds are the
 * same (two users of one library share it). Any thread.
 * Errors: SX_EINVAL (a name, label or bound, named in err), SX_EEXIST (the name is taken by a
 * different metric, or by one of a histogram's own names such as x_count), SX_ENOMEM. */
sx_status sx_metric_new(sx_metrics *m, const sx_metric_options *options, sx_metric **out,
                        sx_error *err);

/* The series of these label values, in the order of the label names; `count` must be theirs and the
 * metric of that kind. Values are any bytes; what is not UTF-8 becomes U+FFFD. Never NULL: above
 * series_max, or without memory, it is the series "other". Any thread. */
sx_counter *sx_metric_counter(sx_metric *metric, const sx_str *values, size_t count);
sx_gauge *sx_metric_gauge(sx_metric *metric, const sx_str *values, size_t count);
sx_histogram *sx_metric_histogram(sx_metric *metric, const sx_str *values, size_t count);
sx_summary *sx_metric_summary(sx_metric *metric, const sx_str *values, size_t count);
sx_stateset *sx_metric_stateset(sx_metric *metric, const sx_str *values, size_t count);

/* The same for an info, which is shown from then on. */
sx_info *sx_metric_info(sx_metric *metric, const sx_str *values, size_t count);

/* ---- writing: any thread ---- */

/* HOT, 2 ns. Adds to a counter. */
void sx_counter_add(sx_counter *c, uint64_t n);

/* The same for seconds and other sums; what is negative or not a number is ignored. */
void sx_counter_add_float(sx_counter *c, double value);

/* HOT, 2 ns. Moves a gauge up or down. */
void sx_gauge_add(sx_gauge *g, double delta);

/* Sets it. Sets from two threads at once: one of them wins. A set beside adds from other threads
 * may lose or double those under way at that moment. */
void sx_gauge_set(sx_gauge *g, double value);

/* HOT, 10 ns. Counts a value in its bucket and adds it to the sum. A value that is not a number is
 * counted, in no finite bucket, and makes the sum one, too. A native histogram allocates when it meets
 * a size of values for the first time; without memory that one value is not counted. */
void sx_histogram_observe(sx_histogram *h, double value);

/* HOT, 100 ns. Adds a value to the window, the sum and the count, under a lock of the series alone. One
 * that is not a number is in no quantile and makes the sum one. */
void sx_summary_observe(sx_summary *s, double value);

/* The same with an exemplar: the trace in which it happened, 16 and 8 bytes as in
 * sx_span_context; all zero: none. Each counter and each bucket keeps its latest (a native histogram
 * eight); OpenMetrics, protobuf and OTLP show them. About 50 ns more, the clock is read: give
 * exemplars to what is sampled, not to all. */
void sx_counter_add_exemplar(sx_counter *c, uint64_t n, const uint8_t trace_id[16],
                             const uint8_t span_id[8]);
void sx_histogram_observe_exemplar(sx_histogram *h, double value, const uint8_t trace_id[16],
                                   const uint8_t span_id[8]);

/* Says that state number `state` (an index of sx_metric_options.states) holds, no longer holds, or
 * is the only one that does, as in an enumeration. A scrape sees before or after, nothing between. */
void sx_stateset_set(sx_stateset *s, size_t state);
void sx_stateset_clear(sx_stateset *s, size_t state);
void sx_stateset_enter(sx_stateset *s, size_t state);

/* Shows an info, or no longer. */
void sx_info_set(sx_info *i);
void sx_info_clear(sx_info *i);

/* ---- reading ---- */

/* The sum over all stripes now: for tests, health checks and pages. */
double sx_counter_value(const sx_counter *c);
double sx_gauge_value(const sx_gauge *g);
uint64_t sx_histogram_count(const sx_histogram *h);
double sx_histogram_sum(const sx_histogram *h);
uint64_t sx_summary_count(const sx_summary *s);
double sx_summary_sum(const sx_summary *s);
/* Number `i` of sx_metric_options.quantiles; NaN while nothing is in the window. */
double sx_summary_quantile(const sx_summary *s, size_t i);
bool sx_stateset_has(const sx_stateset *s, size_t state);

/* ---- at a scrape ---- */

/* One sample of a metric with a collect function: as many values as it has labels. */
void sx_collect_value(sx_collect *into, const sx_str *values, size_t count, double value);

typedef enum sx_metrics_format {
    SX_METRICS_TEXT_004,    /* Prometheus text format 0.0.4 */
    SX_METRICS_TEXT_100,    /* 1.0.0: the same, and names may be any UTF-8, in quotes */
    SX_METRICS_OPENMETRICS, /* OpenMetrics text 1.0.0 */
    SX_METRICS_PROTOBUF,    /* io.prometheus.client.MetricFamily, each after its length */
    SX_METRICS_FORMATS
} sx_metrics_format;

/* What becomes of names that are not [a-zA-Z_:][a-zA-Z0-9_:]*; all others stay. Source: Prometheus,
 * "UTF-8 metric and label name escaping schemes". */
typedef enum sx_metrics_escaping {
    SX_METRICS_UNDERSCORES, /* every other character is _ : the default */
    SX_METRICS_ALLOW_UTF8,  /* shown as they are, in quotes */
    SX_METRICS_DOTS,        /* . is _dot_, _ is __, every other __ */
    SX_METRICS_VALUES,      /* U__ and then _ is __, every other its number: _2e_ */
    SX_METRICS_ESCAPINGS
} sx_metrics_escaping;

/* How metrics are written: what an Accept header asks for and a Content-Type tells. */
typedef struct sx_metrics_encoding {
    sx_metrics_format format;
    sx_metrics_escaping escaping;
} sx_metrics_encoding;

/* The encoding that an Accept header (any bytes, which may be none) gives the greatest weight among
 * those there are; equal weights: the one named first. Text 0.0.4 if none is acceptable: an answer
 * helps more than a 406. Source: RFC 9110, section 12.5.1; Prometheus, "Scrape protocol content
 * negotiation". */
sx_metrics_encoding sx_metrics_negotiate(sx_str accept);

/* Its Content-Type. Static. */
sx_str sx_metrics_content_type(sx_metrics_encoding encoding);

/* Appends every metric, by name, its series by their label values: the same registry gives the same
 * order. Any thread, one at a time (others wait); no writer waits.
 * Sources: Prometheus, "Exposition formats"; OpenMetrics 1.0.0; client_model's metrics.proto.
 * Errors: SX_ENOMEM, SX_ELIMIT of `out`. */
sx_status sx_metrics_encode(sx_metrics *m, sx_metrics_encoding encoding, sx_buf *out,
                            sx_error *err);

/* The same with the escaping that every reader of the format understands, SX_METRICS_UNDERSCORES. */
sx_status sx_metrics_write(sx_metrics *m, sx_metrics_format format, sx_buf *out, sx_error *err);

/* ---- what every program has ---- */

/* Adds process_cpu_seconds_total, process_resident_memory_bytes, process_virtual_memory_bytes,
 * process_virtual_memory_max_bytes, process_open_fds, process_max_fds, process_start_time_seconds,
 * process_threads, process_network_receive_bytes_total and process_network_transmit_bytes_total (of
 * the process's network namespace), read from /proc/self at each scrape. Errors: as sx_metric_new. */
sx_status sx_metrics_add_process(sx_metrics *m, sx_error *err);

/* Adds the info `sextant_build_info{service,version,compiler,kit_version} 1`: `version` is the
 * service's, kit_version this library's. */
sx_status sx_metrics_add_build_info(sx_metrics *m, sx_str service, sx_str version, sx_error *err);

SX_END_DECLS

#endif

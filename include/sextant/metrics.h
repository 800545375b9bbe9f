/* metrics.h - counters, gauges and histograms that cost a few nanoseconds to write.
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
} sx_metrics_options;

/* An empty registry; `options` may be NULL. It counts in sx_metric_series_folded_total what it had
 * to fold. Errors: SX_ENOMEM. */
sx_status sx_metrics_new(const sx_metrics_options *options, sx_metrics **out, sx_error *err);

/* Frees all metrics and series. No thread may write or scrape any more. */
void sx_metrics_free(sx_metrics *m);

typedef enum sx_metric_kind {
    SX_METRIC_COUNTER,
    SX_METRIC_GAUGE,
    SX_METRIC_HISTOGRAM, /* classic, with bounds */
    SX_METRIC_KINDS
} sx_metric_kind;

enum { SX_METRIC_LABELS_MAX = 16, SX_METRIC_BOUNDS_MAX = 400 };

typedef struct sx_metric_options {
    sx_metric_kind kind;
    const char *name;          /* [a-zA-Z_:][a-zA-Z0-9_:]*; copied, as everything here */
    const char *help;          /* one sentence, any UTF-8 */
    const char *const *labels; /* names, [a-zA-Z_][a-zA-Z0-9_]*, not beginning with "__" */
    size_t label_count;        /* at most SX_METRIC_LABELS_MAX */
    const double *bounds;      /* histograms: upper bounds, rising, without +Inf; NULL takes */
    size_t bound_count;        /* 0.005 … 10 seconds, as every Prometheus client does */
    uint32_t series_max;       /* further combinations become one series, all labels "other" */
    /* Not NULL: the metric has no series of its own; at each scrape this says what they are now. It
     * runs in the scraping thread and must not scrape or register. Not for histograms. */
    void (*collect)(sx_collect *into, void *ctx);
    void *collect_ctx;
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

/* HOT, 10 ns. Counts a value in its bucket and adds it to the sum. */
void sx_histogram_observe(sx_histogram *h, double value);

/* ---- reading ---- */

/* The sum over all stripes now: for tests, health checks and pages. */
double sx_counter_value(const sx_counter *c);
double sx_gauge_value(const sx_gauge *g);
uint64_t sx_histogram_count(const sx_histogram *h);
double sx_histogram_sum(const sx_histogram *h);

/* ---- at a scrape ---- */

/* One sample of a metric with a collect function: as many values as it has labels. */
void sx_collect_value(sx_collect *into, const sx_str *values, size_t count, double value);

typedef enum sx_metrics_format {
    SX_METRICS_TEXT_004, /* Prometheus text format 0.0.4 */
    SX_METRICS_FORMATS
} sx_metrics_format;

/* The best format for an Accept header (which may be empty). */
sx_metrics_format sx_metrics_negotiate(sx_str accept);

/* Its Content-Type. Static. */
sx_str sx_metrics_content_type(sx_metrics_format format);

/* Appends every metric, by name, its series by their label values: the same registry gives the same
 * order. Any thread, one at a time (others wait); no writer waits.
 * Source: Prometheus, "Exposition formats", text-based format.
 * Errors: SX_ENOMEM, SX_ELIMIT of `out`. */
sx_status sx_metrics_write(sx_metrics *m, sx_metrics_format format, sx_buf *out, sx_error *err);

/* ---- what every program has ---- */

/* Adds process_cpu_seconds_total, process_resident_memory_bytes, process_virtual_memory_bytes,
 * process_open_fds, process_max_fds, process_start_time_seconds and process_threads, read from
 * /proc/self at each scrape. Errors: as sx_metric_new. */
sx_status sx_metrics_add_process(sx_metrics *m, sx_error *err);

/* Adds `sextant_build_info{service,version,compiler} 1`. */
sx_status sx_metrics_add_build_info(sx_metrics *m, sx_str service, sx_str version, sx_error *err);

SX_END_DECLS

#endif

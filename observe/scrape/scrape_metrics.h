/* scrape_metrics.h - prometheus_target_*: what Prometheus's dashboards and alerts ask of a scraper.
 *
 * Names, labels and meanings are Prometheus's. Without a registry nothing is kept. */
#ifndef OBSERVE_SCRAPE_SCRAPE_METRICS_H
#define OBSERVE_SCRAPE_SCRAPE_METRICS_H

#include <sextant/metrics.h>

typedef enum scrape_counter {
    SCRAPE_POOLS,
    SCRAPE_POOLS_FAILED,
    SCRAPE_RELOADS,
    SCRAPE_RELOADS_FAILED,
    SCRAPE_TARGET_LIMIT,
    SCRAPE_LABEL_LIMITS,
    SCRAPE_BODY_LIMIT,
    SCRAPE_CACHE_FLUSHES,
    SCRAPE_SAMPLE_LIMIT,
    SCRAPE_BUCKET_LIMIT,
    SCRAPE_DUPLICATE,
    SCRAPE_OUT_OF_ORDER,
    SCRAPE_OUT_OF_BOUNDS,
    SCRAPE_EXEMPLAR_OUT_OF_ORDER,
    SCRAPE_SERIES_REFUSED,
    SCRAPE_COUNTERS
} scrape_counter;

typedef enum scrape_length {
    SCRAPE_INTERVAL_LENGTH, /* by interval */
    SCRAPE_RELOAD_LENGTH,   /* by interval */
    SCRAPE_SYNC_LENGTH,     /* by scrape_job */
    SCRAPE_LENGTHS
} scrape_length;

/* A summary: what was observed, by one label. */
typedef struct scrape_summary {
    sx_metric *summary;
    sx_metric *histogram; /* beside it; NULL: none */
} scrape_summary;

typedef struct scrape_metrics {
    sx_metrics *registry; /* NULL: none */
    sx_counter *counters[SCRAPE_COUNTERS];
    scrape_summary lengths[SCRAPE_LENGTHS];
    sx_metric *syncs, *sync_failures; /* by scrape_job */
    sx_histogram *duration;
} scrape_metrics;

/* Registers all. Errors: as sx_metric_new. */
sx_status scrape_metrics_init(scrape_metrics *m, sx_metrics *registry, sx_error *err);

/* Any thread. */
void scrape_metrics_add(scrape_metrics *m, scrape_counter which, uint64_t n);
void scrape_metrics_observe(const scrape_metrics *m, scrape_length which, sx_str label,
                            double seconds);
void scrape_metrics_synced(scrape_metrics *m, sx_str job, uint64_t failures);
void scrape_metrics_duration(scrape_metrics *m, double seconds);

#endif

/* scrape_metrics.c - registers and keeps the scraper's metrics. */
#include "observe/scrape/scrape_metrics.h"

enum { LABEL_SERIES_MAX = 10000 };

static const struct {
    const char *name, *help;
} COUNTERS[SCRAPE_COUNTERS] = {
    [SCRAPE_POOLS] = {"prometheus_target_scrape_pools_total",
                      "Total number of scrape pool creation attempts."},
    [SCRAPE_POOLS_FAILED] = {"prometheus_target_scrape_pools_failed_total",
                             "Total number of scrape pool creations that failed."},
    [SCRAPE_RELOADS] = {"prometheus_target_scrape_pool_reloads_total",
                        "Total number of scrape pool reloads."},
    [SCRAPE_RELOADS_FAILED] = {"prometheus_target_scrape_pool_reloads_failed_total",
                               "Total number of failed scrape pool reloads."},
    [SCRAPE_TARGET_LIMIT] = {"prometheus_target_scrape_pool_exceeded_target_limit_total",
                             "Total number of times scrape pools hit the target limit."},
    [SCRAPE_LABEL_LIMITS] = {"prometheus_target_scrape_pool_exceeded_label_limits_total",
                             "Total number of times scrape pools hit the label limits."},
    [SCRAPE_BODY_LIMIT] = {"prometheus_target_scrapes_exceeded_body_size_limit_total",
                           "Total number of scrapes that hit the body size limit."},
    [SCRAPE_CACHE_FLUSHES] = {"prometheus_target_scrapes_cache_flush_forced_total",
                              "Scrape caches flushed because failing scrapes made them big: none, "
                              "what a failed scrape adds is forgotten at once."},
    [SCRAPE_SAMPLE_LIMIT] = {"prometheus_target_scrapes_exceeded_sample_limit_total",
                             "Total number of scrapes that hit the sample limit."},
    [SCRAPE_BUCKET_LIMIT] =
        {"prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
         "Total number of scrapes that hit the native histogram bucket limit."},
    [SCRAPE_DUPLICATE] = {"prometheus_target_scrapes_sample_duplicate_timestamp_total",
                          "Samples refused: another value at the same time is there already."},
    [SCRAPE_OUT_OF_ORDER] = {"prometheus_target_scrapes_sample_out_of_order_total",
                             "Samples refused: older than what is there."},
    [SCRAPE_OUT_OF_BOUNDS] = {"prometheus_target_scrapes_sample_out_of_bounds_total",
                              "Samples refused: too old, or too far in the future."},
    [SCRAPE_EXEMPLAR_OUT_OF_ORDER] = {"prometheus_target_scrapes_exemplar_out_of_order_total",
                                      "Exemplars refused."},
    [SCRAPE_SERIES_REFUSED] = {"prometheus_target_scrapes_series_refused_total",
                               "New series refused: the head is at its memory budget or series "
                               "limit."},
};

static const struct {
    const char *name, *help, *label, *histogram;
} LENGTHS[SCRAPE_LENGTHS] = {
    [SCRAPE_INTERVAL_LENGTH] = {"prometheus_target_interval_length_seconds",
                                "Actual intervals between scrapes.", "interval",
                                "prometheus_target_interval_length_histogram_seconds"},
    [SCRAPE_RELOAD_LENGTH] = {"prometheus_target_reload_length_seconds",
                              "Time to reload a scrape pool with a configuration.", "interval",
                              NULL},
    [SCRAPE_SYNC_LENGTH] = {"prometheus_target_sync_length_seconds",
                            "Time to bring a scrape pool's targets up to date.", "scrape_job",
                            "prometheus_target_sync_length_histogram_seconds"},
};

static const sx_metric_quantile QUANTILES[] = {
    {0.01, 0.001}, {0.05, 0.005}, {0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}};

static sx_status add_summary(scrape_metrics *m, size_t i, sx_error *err)
{
    static const double BOUNDS[] = {.01, .1, 1, 10};
    scrape_summary *s = &m->lengths[i];
    const char *labels[] = {LENGTHS[i].label};
    sx_status st = sx_metric_new(m->registry,
                                 &(sx_metric_options){.kind = SX_METRIC_SUMMARY,
                                                      .name = LENGTHS[i].name,
                                                      .help = LENGTHS[i].help,
                                                      .labels = labels,
                                                      .label_count = 1,
                                                      .quantiles = QUANTILES,
                                                      .quantile_count = SX_COUNT_OF(QUANTILES),
                                                      .series_max = LABEL_SERIES_MAX},
                                 &s->summary, err);
    if (st != SX_OK)
        return st;
    if (!LENGTHS[i].histogram)
        return SX_OK;
    return sx_metric_new(m->registry,
                         &(sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                                              .name = LENGTHS[i].histogram,
                                              .help = LENGTHS[i].help,
                                              .labels = labels,
                                              .label_count = 1,
                                              .bounds = BOUNDS,
                                              .bound_count = SX_COUNT_OF(BOUNDS),
                                              .native = true,
                                              .native_growth = 1.1,
                                              .series_max = LABEL_SERIES_MAX},
                         &s->histogram, err);
}

void scrape_metrics_observe(const scrape_metrics *m, scrape_length which, sx_str label,
                            double seconds)
{
    const scrape_summary *s = &m->lengths[which];
    if (!m->registry)
        return;
    sx_summary_observe(sx_metric_summary(s->summary, &label, 1), seconds);
    if (s->histogram)
        sx_histogram_observe(sx_metric_histogram(s->histogram, &label, 1), seconds);
}

/* --- */

static sx_status add_counters(scrape_metrics *m, sx_error *err)
{
    static const char *const JOB[] = {"scrape_job"};
    for (size_t i = 0; i < SCRAPE_COUNTERS; i++) {
        sx_metric *made;
        sx_status st = sx_metric_new(m->registry,
                                     &(sx_metric_options){.kind = SX_METRIC_COUNTER,
                                                          .name = COUNTERS[i].name,
                                                          .help = COUNTERS[i].help},
                                     &made, err);
        if (st != SX_OK)
            return st;
        m->counters[i] = sx_metric_counter(made, NULL, 0);
    }
    sx_status st =
        sx_metric_new(m->registry,
                      &(sx_metric_options){.kind = SX_METRIC_COUNTER,
                                           .name = "prometheus_target_scrape_pool_sync_total",
                                           .help = "Times a scrape pool's targets were brought up "
                                                   "to date.",
                                           .labels = JOB,
                                           .label_count = 1,
                                           .series_max = LABEL_SERIES_MAX},
                      &m->syncs, err);
    if (st == SX_OK)
        st = sx_metric_new(m->registry,
                           &(sx_metric_options){.kind = SX_METRIC_COUNTER,
                                                .name = "prometheus_target_sync_failed_total",
                                                .help = "Targets that could not be made.",
                                                .labels = JOB,
                                                .label_count = 1,
                                                .series_max = LABEL_SERIES_MAX},
                           &m->sync_failures, err);
    return st;
}

static sx_status add_duration(scrape_metrics *m, sx_error *err)
{
    sx_metric *made;
    sx_status st = sx_metric_new(
        m->registry,
        &(sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                             .name = "prometheus_target_scrape_duration_seconds",
                             .help = "Duration of a scrape from its start to its commit (jobs with "
                                     "extra_scrape_metrics).",
                             .native = true,
                             .native_growth = 1.1},
        &made, err);
    if (st == SX_OK)
        m->duration = sx_metric_histogram(made, NULL, 0);
    return st;
}

sx_status scrape_metrics_init(scrape_metrics *m, sx_metrics *registry, sx_error *err)
{
    *m = (scrape_metrics){.registry = registry};
    if (!registry)
        return SX_OK;
    sx_status st = add_counters(m, err);
    for (size_t i = 0; i < SCRAPE_LENGTHS && st == SX_OK; i++)
        st = add_summary(m, i, err);
    return st == SX_OK ? add_duration(m, err) : st;
}

void scrape_metrics_add(scrape_metrics *m, scrape_counter which, uint64_t n)
{
    if (m->counters[which])
        sx_counter_add(m->counters[which], n);
}

void scrape_metrics_synced(scrape_metrics *m, sx_str job, uint64_t failures)
{
    if (!m->registry)
        return;
    sx_counter_add(sx_metric_counter(m->syncs, &job, 1), 1);
    sx_counter_add(sx_metric_counter(m->sync_failures, &job, 1), failures);
}

void scrape_metrics_duration(scrape_metrics *m, double seconds)
{
    if (m->duration)
        sx_histogram_observe(m->duration, seconds);
}

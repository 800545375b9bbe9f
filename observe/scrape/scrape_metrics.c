/* scrape_metrics.c - registers and keeps the scraper's metrics. */
#include "observe/scrape/scrape_metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include <sextant/mem.h>

enum { WINDOW = 512, LABEL_SERIES_MAX = 10000 };

/* The last observations of one label value. */
typedef struct summary_window {
    sx_str label; /* in the heap */
    sx_histogram *histogram;
    double sum;
    uint64_t count;
    double values[WINDOW]; /* a ring */
} summary_window;

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

static const double QUANTILES[] = {0.01, 0.05, 0.5, 0.9, 0.99};
static const char *const QUANTILE_TEXTS[] = {"0.01", "0.05", "0.5", "0.9", "0.99"};

/* --- Summaries. */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void collect_quantiles(sx_collect *into, void *ctx)
{
    scrape_summary *s = ctx;
    double sorted[WINDOW];
    size_t cursor = 0;
    pthread_mutex_lock(&s->lock);
    for (const sx_map_entry *e; (e = sx_map_next(&s->by_label, &cursor));) {
        const summary_window *w = e->ptr;
        size_t n = w->count < WINDOW ? (size_t)w->count : WINDOW;
        if (n == 0)
            continue;
        memcpy(sorted, w->values, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, by_value);
        for (size_t q = 0; q < SX_COUNT_OF(QUANTILES); q++) {
            sx_str values[] = {w->label, sx_str_z(QUANTILE_TEXTS[q])};
            sx_collect_value(into, values, 2, sorted[(size_t)(QUANTILES[q] * (double)(n - 1))]);
        }
    }
    pthread_mutex_unlock(&s->lock);
}

static void collect_total(sx_collect *into, scrape_summary *s, bool count)
{
    size_t cursor = 0;
    pthread_mutex_lock(&s->lock);
    for (const sx_map_entry *e; (e = sx_map_next(&s->by_label, &cursor));) {
        const summary_window *w = e->ptr;
        sx_collect_value(into, &w->label, 1, count ? (double)w->count : w->sum);
    }
    pthread_mutex_unlock(&s->lock);
}

static void collect_sum(sx_collect *into, void *ctx)
{
    collect_total(into, ctx, false);
}

static void collect_count(sx_collect *into, void *ctx)
{
    collect_total(into, ctx, true);
}

static sx_status add_summary(scrape_metrics *m, size_t i, sx_error *err)
{
    static const double BOUNDS[] = {.01, .1, 1, 10};
    scrape_summary *s = &m->lengths[i];
    const char *labels[] = {LENGTHS[i].label, "quantile"};
    char sum[96], count[96];
    snprintf(sum, sizeof sum, "%s_sum", LENGTHS[i].name);
    snprintf(count, sizeof count, "%s_count", LENGTHS[i].name);
    const sx_metric_options options[] = {
        {.name = LENGTHS[i].name, .label_count = 2, .collect = collect_quantiles},
        {.name = sum, .label_count = 1, .collect = collect_sum},
        {.name = count, .label_count = 1, .collect = collect_count},
    };
    for (size_t k = 0; k < SX_COUNT_OF(options); k++) {
        sx_metric *made;
        sx_metric_options o = options[k];
        o.kind = SX_METRIC_GAUGE;
        o.help = LENGTHS[i].help;
        o.labels = labels;
        o.collect_ctx = s;
        sx_status st = sx_metric_new(m->registry, &o, &made, err);
        if (st != SX_OK)
            return st;
    }
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

/* Under the lock. */
static summary_window *window_of(scrape_summary *s, sx_str label)
{
    sx_map_entry *e = sx_map_find(&s->by_label, label);
    if (e)
        return e->ptr;
    if (sx_map_count(&s->by_label) >= LABEL_SERIES_MAX)
        return NULL;
    summary_window *w = sx_calloc(1, sizeof *w);
    char *text = sx_alloc(label.len + 1);
    if (w && text) {
        memcpy(text, label.data, label.len);
        w->label = sx_str_of(text, label.len);
        w->histogram = s->histogram ? sx_metric_histogram(s->histogram, &label, 1) : NULL;
        e = sx_map_put(&s->by_label, w->label, NULL);
    }
    if (!e) {
        sx_free(text);
        sx_free(w);
        return NULL;
    }
    e->ptr = w;
    return w;
}

void scrape_metrics_observe(scrape_metrics *m, scrape_length which, sx_str label, double seconds)
{
    scrape_summary *s = &m->lengths[which];
    if (!m->registry)
        return;
    pthread_mutex_lock(&s->lock);
    summary_window *w = window_of(s, label);
    if (w) {
        w->values[w->count++ % WINDOW] = seconds;
        w->sum += seconds;
    }
    sx_histogram *h = w ? w->histogram : NULL;
    pthread_mutex_unlock(&s->lock);
    if (h)
        sx_histogram_observe(h, seconds);
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
    for (size_t i = 0; i < SCRAPE_LENGTHS; i++) {
        pthread_mutex_init(&m->lengths[i].lock, NULL);
        sx_map_init(&m->lengths[i].by_label, NULL);
    }
    if (!registry)
        return SX_OK;
    sx_status st = add_counters(m, err);
    for (size_t i = 0; i < SCRAPE_LENGTHS && st == SX_OK; i++)
        st = add_summary(m, i, err);
    return st == SX_OK ? add_duration(m, err) : st;
}

void scrape_metrics_done(scrape_metrics *m)
{
    for (size_t i = 0; i < SCRAPE_LENGTHS; i++) {
        scrape_summary *s = &m->lengths[i];
        size_t cursor = 0;
        for (const sx_map_entry *e; (e = sx_map_next(&s->by_label, &cursor));) {
            summary_window *w = e->ptr;
            sx_free((char *)w->label.data);
            sx_free(w);
        }
        sx_map_done(&s->by_label);
        pthread_mutex_destroy(&s->lock);
    }
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

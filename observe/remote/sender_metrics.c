/* sender_metrics.c - prometheus_remote_storage_*: what Prometheus's dashboards and alerts ask of a
 * remote write queue, by its name and URL. */
#include <stdio.h>

#include "observe/remote/sender_internal.h"

enum { QUEUES_MAX = 1000 };

static const char *const KINDS[] = {[SEND_SAMPLE] = "samples",
                                    [SEND_EXEMPLAR] = "exemplars",
                                    [SEND_HISTOGRAM] = "histograms",
                                    [SEND_METADATA] = "metadata"};

static const char *const REASONS[SEND_REASONS] = {
    [SEND_TOO_OLD] = "too_old",
    [SEND_DROPPED_SERIES] = "dropped_series",
    [SEND_UNKNOWN_SERIES] = "unintentionally_dropped_series",
    [SEND_CUSTOM_BUCKETS] = "nhcb_in_rw1_not_supported"};

static const struct {
    const char *name, *help;
} GAUGES[SEND_GAUGES] = {
    [SEND_QUEUE_HIGHEST] = {"queue_highest_timestamp_seconds",
                            "Latest time of a sample that was queued, since 1970; 0 before."},
    [SEND_QUEUE_HIGHEST_SENT] = {"queue_highest_sent_timestamp_seconds",
                                 "Latest time of a sample that was sent, since 1970; 0 before."},
    [SEND_SAMPLES_PENDING] = {"samples_pending", "Samples that wait in the shards."},
    [SEND_EXEMPLARS_PENDING] = {"exemplars_pending", "Exemplars that wait in the shards."},
    [SEND_HISTOGRAMS_PENDING] = {"histograms_pending", "Histograms that wait in the shards."},
    [SEND_SHARD_CAPACITY] = {"shard_capacity", "How many samples a shard takes."},
    [SEND_SHARDS] = {"shards", "Shards that send beside each other."},
    [SEND_SHARDS_MAX] = {"shards_max", "The most shards that the queue may run."},
    [SEND_SHARDS_MIN] = {"shards_min", "The fewest shards that the queue may run."},
    [SEND_SHARDS_DESIRED] = {"shards_desired",
                             "Shards that the rates of samples in and out ask for."},
    [SEND_BATCH_MAX] = {"max_samples_per_send", "The most samples in one request."}};

typedef struct registering {
    sx_metrics *registry;
    sx_str values[3];
    sx_error *err;
    sx_status status;
} registering;

/* PREFIX name, with a third label for what is dropped. NULL once something has failed. */
static sx_metric *metric(registering *r, sx_metric_kind kind, const char *first, const char *rest,
                         const char *help, bool by_reason)
{
    static const char *const LABELS[] = {"remote_name", "url", "reason"};
    static const double BOUNDS[] = {.005, .01, .025, .05, .1, .25, .5, 1,
                                    2.5,  5,   10,   25,  60, 120, 300};
    bool histogram = kind == SX_METRIC_HISTOGRAM;
    char name[128];
    sx_metric *out = NULL;
    snprintf(name, sizeof name, "prometheus_remote_storage_%s%s", first, rest);
    const sx_metric_options o = {.kind = kind,
                                 .name = name,
                                 .help = help,
                                 .labels = LABELS,
                                 .label_count = by_reason ? 3 : 2,
                                 .bounds = histogram ? BOUNDS : NULL,
                                 .bound_count = histogram ? SX_COUNT_OF(BOUNDS) : 0,
                                 .native = histogram,
                                 .native_buckets_max = histogram ? 100 : 0,
                                 .series_max = QUEUES_MAX};
    if (r->status == SX_OK)
        r->status = sx_metric_new(r->registry, &o, &out, r->err);
    return r->status == SX_OK ? out : NULL;
}

static sx_counter *counter(registering *r, const char *first, const char *rest, const char *help)
{
    sx_metric *m = metric(r, SX_METRIC_COUNTER, first, rest, help, false);
    return m ? sx_metric_counter(m, r->values, 2) : NULL;
}

sx_status send_metrics_init(send_metrics *m, sx_metrics *registry, sx_str name, sx_str url,
                            sx_error *err)
{
    registering r = {.registry = registry, .values = {name, url}, .err = err};
    *m = (send_metrics){0};
    if (!registry)
        return SX_OK;
    for (unsigned k = 0; k < SX_COUNT_OF(KINDS); k++) {
        m->total[k] = counter(&r, KINDS[k], "_total", "Sent to the remote end.");
        m->failed[k] = counter(&r, KINDS[k], "_failed_total",
                               "Not taken by the remote end, and not to be sent again.");
        m->retried[k] =
            counter(&r, KINDS[k], "_retried_total", "Not taken by the remote end, and sent again.");
        sx_metric *dropped = k == SEND_METADATA
                                 ? NULL
                                 : metric(&r, SX_METRIC_COUNTER, KINDS[k], "_dropped_total",
                                          "Read from the log and not sent, by reason.", true);
        for (unsigned i = 0; dropped && i < SEND_REASONS; i++) {
            r.values[2] = sx_str_z(REASONS[i]);
            m->dropped[k][i] = sx_metric_counter(dropped, r.values, 3);
        }
    }
    m->enqueue_retries = counter(&r, "enqueue_retries", "_total",
                                 "How often reading stopped because a shard was full.");
    m->bytes = counter(&r, "bytes", "_total", "Bytes of samples sent, compressed.");
    m->metadata_bytes =
        counter(&r, "metadata_bytes", "_total", "Bytes of metadata sent, compressed.");
    m->lost_segments = counter(&r, "log_segments_lost", "_total",
                               "Segments of the log that were removed before they were sent.");
    for (unsigned i = 0; i < SEND_GAUGES; i++) {
        sx_metric *gauge = metric(&r, SX_METRIC_GAUGE, GAUGES[i].name, "", GAUGES[i].help, false);
        m->gauges[i] = gauge ? sx_metric_gauge(gauge, r.values, 2) : NULL;
    }
    sx_metric *seconds = metric(&r, SX_METRIC_HISTOGRAM, "sent_batch_duration_seconds", "",
                                "How long requests to the remote end took.", false);
    m->seconds = seconds ? sx_metric_histogram(seconds, r.values, 2) : NULL;
    return r.status;
}

void send_count(sx_counter *c, uint64_t n)
{
    if (c && n)
        sx_counter_add(c, n);
}

void send_show(const send_metrics *m, send_gauge which, double value)
{
    if (m->gauges[which])
        sx_gauge_set(m->gauges[which], value);
}

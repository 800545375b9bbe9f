/* exporter_metrics.c - what an exporter tells of itself: its metrics, and spans that it gave up.
 *
 * Names are those of the Collector's exporterhelper; dropped_spans with its reason is ours. */
#include <sextant/mem.h>

#include "observe/collector/exporter_internal.h"

enum { EXPORTERS_MAX = 1000 };

static const char *const REASONS[EXPORT_REASONS] = {[EXPORT_QUEUE_FULL] = "queue_full",
                                                    [EXPORT_PERMANENT] = "refused",
                                                    [EXPORT_PARTIAL] = "partly_refused",
                                                    [EXPORT_TIRED] = "retries_exhausted",
                                                    [EXPORT_SHUTDOWN] = "shutdown"};

static sx_metric *metric(span_exporter *e, sx_metric_kind kind, const char *name, const char *help,
                         bool by_reason, sx_status *status, sx_error *err)
{
    static const char *const LABELS[] = {"exporter", "reason"};
    sx_metric *out = NULL;
    if (*status == SX_OK)
        *status = sx_metric_new(e->kit.metrics,
                                &(sx_metric_options){.kind = kind,
                                                     .name = name,
                                                     .help = help,
                                                     .labels = LABELS,
                                                     .label_count = by_reason ? 2 : 1,
                                                     .series_max = EXPORTERS_MAX},
                                &out, err);
    return *status == SX_OK ? out : NULL;
}

sx_status export_metrics_init(span_exporter *e, sx_error *err)
{
    static const struct {
        const char *name, *help;
        size_t at;
    } COUNTERS[] = {{"otelcol_exporter_sent_spans", "Spans that a destination has taken.",
                     offsetof(export_metrics, sent)},
                    {"otelcol_exporter_send_failed_spans", "Spans that a destination did not take.",
                     offsetof(export_metrics, send_failed)},
                    {"otelcol_exporter_enqueue_failed_spans",
                     "Spans for which the queue had no room.",
                     offsetof(export_metrics, enqueue_failed)}};
    sx_status status = SX_OK;
    sx_str values[2] = {e->settings.id.name};
    export_metrics *m = &e->metrics;
    if (!e->kit.metrics)
        return SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(COUNTERS); i++) {
        sx_metric *one =
            metric(e, SX_METRIC_COUNTER, COUNTERS[i].name, COUNTERS[i].help, false, &status, err);
        if (one)
            *(sx_counter **)((char *)m + COUNTERS[i].at) = sx_metric_counter(one, values, 1);
    }
    sx_metric *size = metric(e, SX_METRIC_GAUGE, "otelcol_exporter_queue_size",
                             "What waits and is under way, in the unit of the queue's size.", false,
                             &status, err);
    sx_metric *capacity = metric(e, SX_METRIC_GAUGE, "otelcol_exporter_queue_capacity",
                                 "The queue's size.", false, &status, err);
    sx_metric *dropped = metric(e, SX_METRIC_COUNTER, "otelcol_exporter_dropped_spans",
                                "Spans that were given up, and why.", true, &status, err);
    if (status != SX_OK)
        return status;
    m->queue_size = sx_metric_gauge(size, values, 1);
    m->queue_capacity = sx_metric_gauge(capacity, values, 1);
    sx_gauge_set(m->queue_capacity, (double)e->settings.queue.size);
    for (unsigned i = 0; i < EXPORT_REASONS; i++) {
        values[1] = sx_str_z(REASONS[i]);
        m->dropped[i] = sx_metric_counter(dropped, values, 2);
    }
    return SX_OK;
}

void export_count(sx_counter *c, uint64_t n)
{
    if (c && n)
        sx_counter_add(c, n);
}

static void count_drop(span_exporter *e, uint64_t spans, export_reason reason)
{
    export_count(e->metrics.dropped[reason], spans);
    export_count(reason == EXPORT_QUEUE_FULL ? e->metrics.enqueue_failed : e->metrics.send_failed,
                 spans);
}

void export_tell_drop(span_exporter *e, uint64_t spans, export_reason reason, sx_str why)
{
    if (!spans)
        return;
    count_drop(e, spans, reason);
    if (e->log)
        SX_LOG_WARN(e->log, NULL, "spans were not exported",
                    sx_field_str("exporter", e->settings.id.name), sx_field_u64("spans", spans),
                    sx_field_z("reason", REASONS[reason]), sx_field_str("why", why));
}

/* exposition.c - a scrape: the registry is walked once, and one of the formats writes it.
 *
 * Names, labels and bounds are kept as the text that goes out, so that in the text formats a series
 * costs two copies and the digits of its numbers: 10,000 series take less than a millisecond. */
#include "telemetry/exposition.h"

#include <stdlib.h>

#include <sextant/mem.h>

#include "telemetry/exposition_otlp.h"
#include "telemetry/metric_names.h"
#include "telemetry/native_histogram.h"

static int compare_labels(const void *a, const void *b)
{
    const sx_series *const *left = (const sx_series *const *)a;
    const sx_series *const *right = (const sx_series *const *)b;
    return sx_str_cmp((*left)->labels, (*right)->labels);
}

/* Under both locks: brings the sorted list up to the series that exist now. */
static bool take_series(sx_metric *metric)
{
    if (!sx_grow(&metric->sorted, &metric->sorted_cap, metric->series_count,
                 sizeof(*metric->sorted)))
        return false;
    while (metric->sorted_count < metric->series_count) {
        metric->sorted[metric->sorted_count] = metric->series[metric->sorted_count];
        metric->sorted_count++;
    }
    return true;
}

/* Under scrape_lock: which metrics there are, and their series; `lock` is held for the copying
 * alone, so that whoever resolves labels meanwhile hardly waits. Returns the number of metrics, or
 * SIZE_MAX without memory. */
static size_t take_metrics(sx_metrics *m)
{
    size_t count = SIZE_MAX;
    pthread_mutex_lock(&m->lock);
    if (sx_grow(&m->scraping, &m->scraping_cap, m->metric_count, sizeof(*m->scraping))) {
        memcpy(m->scraping, m->metric, m->metric_count * sizeof(*m->scraping));
        count = m->metric_count;
    }
    for (size_t i = 0; i < m->metric_count && count != SIZE_MAX; i++)
        if (!take_series(m->metric[i]))
            count = SIZE_MAX;
    pthread_mutex_unlock(&m->lock);
    return count;
}

static void write_metric(sx_exposition *x, sx_metric *metric)
{
    if (metric->in_order < metric->sorted_count) {
        qsort(metric->sorted, metric->sorted_count, sizeof(sx_series *), compare_labels);
        metric->in_order = metric->sorted_count;
    }
    x->metric = metric;
    x->spelled = &metric->spelled[x->escaping];
    size_t before = x->out->len;
    x->format->begin(x);
    size_t head = x->out->len;
    if (metric->collect)
        metric->collect(&(sx_collect){.metric = metric, .exposition = x}, metric->collect_ctx);
    for (size_t i = 0; i < metric->sorted_count; i++)
        if (sx_series_is_shown(metric->sorted[i]))
            x->format->series(x, metric->sorted[i]);
    if (x->out->len == head && !x->out->failed)
        x->out->len = before; /* a metric without series is not shown */
    else if (x->format->end)
        x->format->end(x);
}

sx_status sx_exposition_write(sx_exposition *x, sx_error *err)
{
    sx_metrics *m = x->registry;
    pthread_mutex_lock(&m->scrape_lock);
    sx_native_reclaim(m);
    size_t count = take_metrics(m);
    for (size_t i = 0; i < count && count != SIZE_MAX; i++)
        write_metric(x, m->scraping[i]);
    if (x->format->finish)
        x->format->finish(x);
    x->failed = x->failed || count == SIZE_MAX || m->labels.failed || m->value.failed;
    sx_buf_clear(&m->labels);
    sx_buf_clear(&m->value);
    pthread_mutex_unlock(&m->scrape_lock);
    if (x->failed)
        return sx_fail_memory(err, "a scrape");
    return sx_buf_status(x->out, "the metrics", err);
}

void sx_collect_value(sx_collect *into, const sx_str *values, size_t count, double value)
{
    const sx_metric *metric = into->metric;
    sx_buf *labels = &metric->registry->collected;
    sx_assert(count == metric->label_count);
    sx_buf_clear(labels);
    sx_labels_render(labels, metric->labels, values, count);
    if (labels->failed)
        into->exposition->failed = true;
    else
        into->exposition->format->value(into->exposition, sx_buf_view(labels), value);
}

const sx_native_sum *sx_exposition_native(sx_exposition *x, const sx_series *s)
{
    if (sx_native_add_up(s, &x->registry->sum))
        return &x->registry->sum;
    x->failed = true;
    return NULL;
}

bool sx_series_is_shown(const sx_series *s)
{
    return s->metric->kind != SX_METRIC_INFO || __atomic_load_n(s->cells, __ATOMIC_RELAXED) != 0;
}

double sx_series_counter(const sx_series *s, uint64_t *count, bool *exact)
{
    *count = sx_series_count_sum(s, 0);
    double more = sx_series_float_sum(s, 1);
    *exact = more == 0;
    return (double)*count + more;
}

/* How each format is written. */
static const struct {
    const sx_format *format;
    bool open_metrics;
} FORMATS[SX_METRICS_FORMATS] = {
    [SX_METRICS_TEXT_004] = {&sx_format_text, false},
    [SX_METRICS_TEXT_100] = {&sx_format_text, false},
    [SX_METRICS_OPENMETRICS] = {&sx_format_openmetrics, true},
    [SX_METRICS_PROTOBUF] = {&sx_format_protobuf, false},
};

sx_status sx_metrics_encode(sx_metrics *m, sx_metrics_encoding encoding, sx_buf *out, sx_error *err)
{
    sx_assert((unsigned)encoding.format < SX_METRICS_FORMATS);
    sx_assert((unsigned)encoding.escaping < SX_METRICS_ESCAPINGS);
    sx_exposition x = {.out = out,
                       .registry = m,
                       .format = FORMATS[encoding.format].format,
                       .open_metrics = FORMATS[encoding.format].open_metrics,
                       .escaping = encoding.escaping};
    return sx_exposition_write(&x, err);
}

sx_status sx_metrics_write(sx_metrics *m, sx_metrics_format format, sx_buf *out, sx_error *err)
{
    return sx_metrics_encode(m, (sx_metrics_encoding){.format = format}, out, err);
}

sx_status sx_metrics_otlp(sx_metrics *m, int64_t start_wall_ns, int64_t now_wall_ns, sx_buf *out,
                          sx_error *err)
{
    sx_exposition x = {.out = out,
                       .registry = m,
                       .format = &sx_format_otlp,
                       .escaping = SX_METRICS_ALLOW_UTF8,
                       .start_ns = start_wall_ns,
                       .now_ns = now_wall_ns};
    return sx_exposition_write(&x, err);
}

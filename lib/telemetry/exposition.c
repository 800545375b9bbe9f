/* exposition.c - a scrape: the registry as text.
 *
 * Formats are rows of one table; each has a function that writes one metric from its sorted series.
 * Names, labels and bounds are kept as the text that goes out, so a series costs two copies and the
 * digits of its numbers: 10,000 series take less than a millisecond. */
#include <stdlib.h>

#include <sextant/mem.h>
#include <sextant/number.h>

#include "telemetry/store.h"
#include "telemetry/text.h"

/* ---- the text format ---- */

static void put_float(sx_buf *out, double value)
{
    char *at = sx_buf_reserve(out, SX_DOUBLE_BYTES);
    if (at)
        out->len += sx_double_format(value, SX_DOUBLE_GO, at);
}

static void put_u64(sx_buf *out, uint64_t value)
{
    char *at = sx_buf_reserve(out, SX_TEXT_U64_BYTES);
    if (at)
        out->len += (size_t)(sx_text_u64(at, value) - at);
}

/* `name{labels} ` */
static void put_head(sx_buf *out, sx_str name, sx_str labels)
{
    char *at = sx_buf_reserve(out, name.len + labels.len + 3);
    if (!at)
        return;
    memcpy(at, name.data, name.len);
    at += name.len;
    if (labels.len > 0) {
        *at++ = '{';
        memcpy(at, labels.data, labels.len);
        at += labels.len;
        *at++ = '}';
    }
    *at++ = ' ';
    out->len = (size_t)(at - out->data);
}

static void text_counter(sx_buf *out, sx_str name, const sx_series *s)
{
    uint64_t count = sx_series_count_sum(s, 0);
    double more = sx_series_float_sum(s, 1);
    put_head(out, name, s->labels);
    if (more != 0)
        put_float(out, (double)count + more);
    else
        put_u64(out, count); /* exact above 2^53 too */
    sx_buf_byte(out, '\n');
}

static void text_gauge(sx_buf *out, sx_str name, const sx_series *s)
{
    put_head(out, name, s->labels);
    put_float(out, sx_series_float_sum(s, 0));
    sx_buf_byte(out, '\n');
}

/* `name_suffix{labels} ` */
static void put_part_head(sx_buf *out, sx_str name, sx_str suffix, sx_str labels)
{
    sx_buf_str(out, name);
    put_head(out, suffix, labels);
}

static void text_histogram(sx_buf *out, sx_str name, const sx_series *s)
{
    const sx_bounds *b = s->bounds;
    uint64_t count = 0;
    for (size_t i = 0; i <= b->count; i++) {
        size_t need = name.len + s->labels.len + b->le[i].len + SX_TEXT_U64_BYTES + 16;
        char *at = sx_buf_reserve(out, need);
        if (!at)
            return;
        count += sx_series_count_sum(s, i);
        memcpy(at, name.data, name.len);
        at += name.len;
        memcpy(at, "_bucket{", 8);
        at += 8;
        if (s->labels.len > 0) {
            memcpy(at, s->labels.data, s->labels.len);
            at += s->labels.len;
            *at++ = ',';
        }
        memcpy(at, b->le[i].data, b->le[i].len);
        at = sx_text_u64(at + b->le[i].len, count);
        *at++ = '\n';
        out->len = (size_t)(at - out->data);
    }
    put_part_head(out, name, SX_STR("_sum"), s->labels);
    put_float(out, sx_series_float_sum(s, b->count + 1));
    sx_buf_byte(out, '\n');
    put_part_head(out, name, SX_STR("_count"), s->labels);
    put_u64(out, count);
    sx_buf_byte(out, '\n');
}

void sx_collect_value(sx_collect *into, const sx_str *values, size_t count, double value)
{
    const sx_metric *metric = into->metric;
    sx_assert(count == metric->label_count);
    sx_buf_str(into->out, metric->name);
    if (count > 0) {
        sx_buf_byte(into->out, '{');
        sx_labels_render(into->out, metric->labels, values, count);
        sx_buf_byte(into->out, '}');
    }
    sx_buf_byte(into->out, ' ');
    put_float(into->out, value);
    sx_buf_byte(into->out, '\n');
}

/* How each kind is written: its word in the TYPE line and its series. */
static const struct {
    sx_str type;
    void (*series)(sx_buf *out, sx_str name, const sx_series *s);
} TEXT_KINDS[SX_METRIC_KINDS] = {
    [SX_METRIC_COUNTER] = {SX_STR_INIT(" counter\n"), text_counter},
    [SX_METRIC_GAUGE] = {SX_STR_INIT(" gauge\n"), text_gauge},
    [SX_METRIC_HISTOGRAM] = {SX_STR_INIT(" histogram\n"), text_histogram},
};

static void text_metric(sx_buf *out, sx_metric *metric)
{
    size_t before = out->len;
    sx_buf_str(out, SX_STR("# HELP "));
    sx_buf_str(out, metric->name);
    sx_buf_byte(out, ' ');
    sx_buf_str(out, metric->help);
    sx_buf_str(out, SX_STR("\n# TYPE "));
    sx_buf_str(out, metric->name);
    sx_buf_str(out, TEXT_KINDS[metric->kind].type);
    size_t head = out->len;
    if (metric->collect)
        metric->collect(&(sx_collect){.metric = metric, .out = out}, metric->collect_ctx);
    for (size_t i = 0; i < metric->sorted_count; i++)
        TEXT_KINDS[metric->kind].series(out, metric->name, metric->sorted[i]);
    if (out->len == head && !out->failed)
        out->len = before; /* a metric without series is not shown */
}

static const struct {
    sx_str content_type;
    void (*metric)(sx_buf *out, sx_metric *metric);
} FORMATS[SX_METRICS_FORMATS] = {
    [SX_METRICS_TEXT_004] = {SX_STR_INIT("text/plain; version=0.0.4; charset=utf-8"), text_metric},
};

sx_metrics_format sx_metrics_negotiate(sx_str accept)
{
    (void)accept; /* one format: RFC 9110, section 12.1, lets us send it whatever was asked */
    return SX_METRICS_TEXT_004;
}

sx_str sx_metrics_content_type(sx_metrics_format format)
{
    return FORMATS[format].content_type;
}

/* ---- a scrape ---- */

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

sx_status sx_metrics_write(sx_metrics *m, sx_metrics_format format, sx_buf *out, sx_error *err)
{
    sx_assert((unsigned)format < SX_METRICS_FORMATS);
    pthread_mutex_lock(&m->scrape_lock);
    size_t count = take_metrics(m);
    for (size_t i = 0; i < count && count != SIZE_MAX; i++) {
        sx_metric *metric = m->scraping[i];
        if (metric->in_order < metric->sorted_count) {
            qsort(metric->sorted, metric->sorted_count, sizeof(sx_series *), compare_labels);
            metric->in_order = metric->sorted_count;
        }
        FORMATS[format].metric(out, metric);
    }
    pthread_mutex_unlock(&m->scrape_lock);
    if (count == SIZE_MAX)
        return sx_fail_memory(err, "a scrape");
    return sx_buf_status(out, "the metrics", err);
}

/* exposition_text.c - the text formats, 0.0.4 and 1.0.0, and what OpenMetrics shares with them.
 *
 * A line is the metric's name, the series' labels as they are kept, and a number. Only where a label
 * has a name that must be escaped are the labels written anew. Names in quotes stand inside the braces:
 * {"a.b",label="value"} 1. Source: Prometheus, "Exposition formats"; "UTF-8 in Prometheus". */
#include "telemetry/exposition_text.h"

#include <sextant/number.h>

#include "telemetry/exemplar.h"
#include "telemetry/metric_names.h"
#include "telemetry/native_histogram.h"
#include "telemetry/summary.h"
#include "telemetry/text.h"

static inline char *put(char *at, sx_str s)
{
    if (s.len > 0)
        memcpy(at, s.data, s.len);
    return at + s.len;
}

void sx_text_put_float(sx_buf *out, double value)
{
    char *at = sx_buf_reserve(out, SX_DOUBLE_BYTES);
    if (at)
        out->len += sx_double_format(value, SX_DOUBLE_GO, at);
}

void sx_text_put_u64(sx_buf *out, uint64_t value)
{
    char *at = sx_buf_reserve(out, SX_TEXT_U64_BYTES);
    if (at)
        out->len += (size_t)(sx_text_u64(at, value) - at);
}

/* ---- names and labels ---- */

static bool in_quotes(const sx_exposition *x)
{
    return x->escaping == SX_METRICS_ALLOW_UTF8 && x->metric->quoted.len > 0;
}

void sx_text_name(sx_exposition *x)
{
    bool quotes = in_quotes(x);
    x->before = quotes ? x->metric->quoted : x->spelled->name;
    x->open = quotes ? SX_STR("\",") : SX_STR("{");
    x->closed = quotes ? SX_STR("\"} ") : SX_STR(" ");
}

void sx_text_put_name(sx_exposition *x, size_t less)
{
    bool quotes = in_quotes(x);
    sx_str name = quotes ? sx_str_from(x->metric->quoted, 1) : x->spelled->name; /* without { */
    sx_buf_bytes(x->out, name.data, name.len - less);
    if (quotes)
        sx_buf_byte(x->out, '"');
}

sx_str sx_text_labels(sx_exposition *x, sx_str labels)
{
    const sx_metric *metric = x->metric;
    if (sx_likely(metric->plain_labels) || x->escaping == SX_METRICS_ALLOW_UTF8)
        return labels;
    sx_buf *anew = &x->registry->labels;
    sx_buf_clear(anew);
    for (size_t i = 0; i < metric->label_count; i++) {
        /* The value goes from one rendering to the other with its escapes. */
        sx_str value = sx_str_from(labels, metric->labels[i].len + 2);
        size_t end = 0;
        while (value.data[end] != '"')
            end += value.data[end] == '\\' ? 2 : 1;
        if (i > 0)
            sx_buf_byte(anew, ',');
        sx_buf_str(anew, x->spelled->labels[i]);
        sx_buf_str(anew, SX_STR("=\""));
        sx_buf_bytes(anew, value.data, end + 1);
        labels = sx_str_from(value, end + 1 < value.len ? end + 2 : end + 1);
    }
    return sx_buf_view(anew);
}

static char *put_head(const sx_exposition *x, char *at, sx_str suffix, sx_str labels)
{
    at = put(put(at, x->before), suffix);
    if (labels.len == 0)
        return put(at, x->closed);
    at = put(put(at, x->open), labels);
    *at++ = '}';
    *at++ = ' ';
    return at;
}

static size_t head_bytes(const sx_exposition *x, sx_str suffix, sx_str labels)
{
    return x->before.len + suffix.len + labels.len + 4;
}

void sx_text_put_head(sx_exposition *x, sx_str suffix, sx_str labels)
{
    char *at = sx_buf_reserve(x->out, head_bytes(x, suffix, labels));
    if (at)
        x->out->len = (size_t)(put_head(x, at, suffix, labels) - x->out->data);
}

/* ---- the kinds ---- */

static void end_line(sx_exposition *x, const sx_series *s, size_t slot)
{
    if (sx_unlikely(x->open_metrics && __atomic_load_n(&s->exemplars, __ATOMIC_RELAXED)))
        sx_openmetrics_put_exemplar(x, s, slot);
    sx_buf_byte(x->out, '\n');
}

static void text_counter(sx_exposition *x, const sx_series *s)
{
    uint64_t count;
    bool exact;
    double value = sx_series_counter(s, &count, &exact);
    sx_str labels = sx_text_labels(x, s->labels);
    size_t need = head_bytes(x, SX_STR(""), labels) + SX_DOUBLE_BYTES;
    char *at = sx_buf_reserve(x->out, need);
    if (!at)
        return;
    at = put_head(x, at, SX_STR(""), labels);
    if (exact)
        at = sx_text_u64(at, count); /* exact above 2^53 too */
    else
        at += sx_double_format(value, SX_DOUBLE_GO, at);
    x->out->len = (size_t)(at - x->out->data);
    end_line(x, s, 0);
    if (x->open_metrics && x->registry->created_series)
        sx_openmetrics_put_created(x, s, labels);
}

static void text_gauge(sx_exposition *x, const sx_series *s)
{
    sx_text_put_head(x, SX_STR(""), sx_text_labels(x, s->labels));
    sx_text_put_float(x->out, sx_series_float_sum(s, 0));
    sx_buf_byte(x->out, '\n');
}

static void text_info(sx_exposition *x, const sx_series *s)
{
    sx_text_put_head(x, SX_STR(""), sx_text_labels(x, s->labels));
    sx_buf_str(x->out, SX_STR("1\n"));
}

/* `name{labels,name="state"} 0` for each state. */
static void text_stateset(sx_exposition *x, const sx_series *s)
{
    sx_str labels = sx_text_labels(x, s->labels);
    uint64_t states = __atomic_load_n(s->cells, __ATOMIC_RELAXED);
    for (size_t i = 0; i < x->metric->state_count; i++) {
        sx_buf_str(x->out, x->before);
        sx_buf_str(x->out, x->open);
        sx_buf_str(x->out, labels);
        if (labels.len > 0)
            sx_buf_byte(x->out, ',');
        sx_text_put_name(x, 0);
        sx_buf_str(x->out, SX_STR("=\""));
        sx_label_value_render(x->out, x->metric->states[i]);
        sx_buf_str(x->out, states >> i & 1 ? SX_STR("\"} 1\n") : SX_STR("\"} 0\n"));
    }
}

/* The buckets' lines; returns the count of all. */
static uint64_t text_buckets(sx_exposition *x, const sx_series *s, sx_str labels)
{
    const sx_bounds *b = &x->metric->bounds;
    const sx_str *le = x->open_metrics ? b->le_open : b->le;
    bool native_only = b->count == 0;
    uint64_t count = native_only ? sx_native_total(s) : 0;
    for (size_t i = 0; i <= b->count; i++) {
        size_t need = x->before.len + labels.len + le[i].len + SX_TEXT_U64_BYTES + 16;
        char *at = sx_buf_reserve(x->out, need);
        if (!at)
            return 0;
        if (!native_only)
            count += sx_series_count_sum(s, i);
        at = put(put(put(at, x->before), SX_STR("_bucket")), x->open);
        if (labels.len > 0) {
            at = put(at, labels);
            *at++ = ',';
        }
        at = sx_text_u64(put(at, le[i]), count);
        x->out->len = (size_t)(at - x->out->data);
        end_line(x, s, i);
    }
    return count;
}

static void text_histogram(sx_exposition *x, const sx_series *s)
{
    sx_str labels = sx_text_labels(x, s->labels);
    uint64_t count = text_buckets(x, s, labels);
    sx_text_put_head(x, SX_STR("_sum"), labels);
    sx_text_put_float(x->out, sx_series_float_sum(s, x->metric->bounds.count + 1));
    sx_buf_byte(x->out, '\n');
    sx_text_put_head(x, SX_STR("_count"), labels);
    sx_text_put_u64(x->out, count);
    sx_buf_byte(x->out, '\n');
    if (x->open_metrics && x->registry->created_series)
        sx_openmetrics_put_created(x, s, labels);
}

static void text_summary(sx_exposition *x, const sx_series *s)
{
    sx_window_sum all;
    sx_str labels = sx_text_labels(x, s->labels);
    const sx_summary_shape *shape = &x->metric->summary;
    sx_window_read(sx_series_window(s), &all);
    for (size_t i = 0; i < shape->count; i++) {
        sx_buf_str(x->out, x->before);
        sx_buf_str(x->out, x->open);
        sx_buf_str(x->out, labels);
        if (labels.len > 0)
            sx_buf_byte(x->out, ',');
        sx_buf_str(x->out, x->open_metrics ? shape->texts_open[i] : shape->texts[i]);
        sx_text_put_float(x->out, all.values[i]);
        sx_buf_byte(x->out, '\n');
    }
    sx_text_put_head(x, SX_STR("_sum"), labels);
    sx_text_put_float(x->out, all.sum);
    sx_buf_byte(x->out, '\n');
    sx_text_put_head(x, SX_STR("_count"), labels);
    sx_text_put_u64(x->out, all.count);
    sx_buf_byte(x->out, '\n');
    if (x->open_metrics && x->registry->created_series)
        sx_openmetrics_put_created(x, s, labels);
}

/* How each kind is written: its word in the TYPE line and its series. */
static const struct {
    sx_str type;
    void (*series)(sx_exposition *x, const sx_series *s);
} KINDS[SX_METRIC_KINDS] = {
    [SX_METRIC_COUNTER] = {SX_STR_INIT(" counter\n"), text_counter},
    [SX_METRIC_GAUGE] = {SX_STR_INIT(" gauge\n"), text_gauge},
    [SX_METRIC_HISTOGRAM] = {SX_STR_INIT(" histogram\n"), text_histogram},
    [SX_METRIC_INFO] = {SX_STR_INIT(" gauge\n"), text_info},
    [SX_METRIC_STATESET] = {SX_STR_INIT(" gauge\n"), text_stateset},
    [SX_METRIC_SUMMARY] = {SX_STR_INIT(" summary\n"), text_summary},
};

static void text_begin(sx_exposition *x)
{
    sx_text_name(x);
    sx_buf_str(x->out, SX_STR("# HELP "));
    sx_text_put_name(x, 0);
    sx_buf_byte(x->out, ' ');
    sx_text_escape(x->out, x->metric->help, SX_TEXT_QUOTES_STAY);
    sx_buf_str(x->out, SX_STR("\n# TYPE "));
    sx_text_put_name(x, 0);
    sx_buf_str(x->out, KINDS[x->metric->kind].type);
}

void sx_text_series(sx_exposition *x, const sx_series *s)
{
    KINDS[x->metric->kind].series(x, s);
}

void sx_text_value(sx_exposition *x, sx_str labels, double value)
{
    sx_text_put_head(x, SX_STR(""), sx_text_labels(x, labels));
    sx_text_put_float(x->out, value);
    sx_buf_byte(x->out, '\n');
}

const sx_format sx_format_text = {
    .begin = text_begin, .series = sx_text_series, .value = sx_text_value};

/* exposition_protobuf.c - io.prometheus.client.MetricFamily messages, each after its length: the
 * format that Prometheus scrapes native histograms in. Field numbers are those of client_model's
 * io/prometheus/client/metrics.proto. */
#include <sextant/protobuf.h>

#include "telemetry/exemplar.h"
#include "telemetry/exposition.h"
#include "telemetry/metric_names.h"
#include "telemetry/summary.h"

/* MetricType */
enum { TYPE_COUNTER = 0, TYPE_GAUGE = 1, TYPE_SUMMARY = 2, TYPE_HISTOGRAM = 4 };

/* Fields of Metric. */
enum {
    METRIC_LABEL = 1,
    METRIC_GAUGE = 2,
    METRIC_COUNTER = 3,
    METRIC_SUMMARY = 4,
    METRIC_HISTOGRAM = 7
};

/* Fields of Histogram. */
enum {
    HISTOGRAM_COUNT = 1,
    HISTOGRAM_SUM = 2,
    HISTOGRAM_BUCKET = 3,
    HISTOGRAM_SCHEMA = 5,
    HISTOGRAM_ZERO_THRESHOLD = 6,
    HISTOGRAM_ZERO_COUNT = 7,
    HISTOGRAM_NEGATIVE_SPAN = 9,
    HISTOGRAM_NEGATIVE_DELTA = 10,
    HISTOGRAM_POSITIVE_SPAN = 12,
    HISTOGRAM_POSITIVE_DELTA = 13,
    HISTOGRAM_CREATED = 15,
    HISTOGRAM_EXEMPLARS = 16
};

static void protobuf_begin(sx_exposition *x)
{
    static const uint8_t TYPES[SX_METRIC_KINDS] = {
        [SX_METRIC_COUNTER] = TYPE_COUNTER,     [SX_METRIC_GAUGE] = TYPE_GAUGE,
        [SX_METRIC_HISTOGRAM] = TYPE_HISTOGRAM, [SX_METRIC_INFO] = TYPE_GAUGE,
        [SX_METRIC_STATESET] = TYPE_GAUGE,      [SX_METRIC_SUMMARY] = TYPE_SUMMARY};
    sx_buf_byte(x->out, 0); /* the family's length, as sx_pb_end writes it */
    x->family = x->out->len;
    sx_pb_put_str(x->out, 1, x->spelled->name);
    sx_pb_put_str(x->out, 2, x->metric->help);
    sx_pb_put_u64(x->out, 3, TYPES[x->metric->kind]);
    if (x->metric->unit.len > 0)
        sx_pb_put_str(x->out, 5, x->metric->unit);
}

static void protobuf_end(sx_exposition *x)
{
    sx_pb_end(x->out, x->family);
}

static void put_label(sx_buf *out, sx_str name, sx_str value)
{
    size_t label = sx_pb_begin(out, METRIC_LABEL); /* also Exemplar's number for it */
    sx_pb_put_str(out, 1, name);
    sx_pb_put_str(out, 2, value);
    sx_pb_end(out, label);
}

/* Begins a Metric with its labels. */
static size_t begin_metric(sx_exposition *x, sx_str labels)
{
    const sx_metric *metric = x->metric;
    size_t mark = sx_pb_begin(x->out, 4);
    for (size_t i = 0; i < metric->label_count; i++) {
        sx_str value = sx_labels_next(&labels, metric->labels[i], &x->registry->value);
        put_label(x->out, x->spelled->labels[i], value);
    }
    return mark;
}

/* google.protobuf.Timestamp */
static void put_time(sx_buf *out, uint32_t field, int64_t wall_ns)
{
    size_t mark = sx_pb_begin(out, field);
    int64_t seconds = wall_ns / 1000000000, rest = wall_ns % 1000000000;
    if (rest < 0) { /* nanos count forward, also before 1970 */
        seconds--;
        rest += 1000000000;
    }
    sx_pb_put_i64(out, 1, seconds);
    sx_pb_put_i64(out, 2, rest);
    sx_pb_end(out, mark);
}

static void put_exemplar(sx_buf *out, uint32_t field, const sx_exemplar *e)
{
    char hex[SX_EXEMPLAR_HEX_BYTES];
    size_t mark = sx_pb_begin(out, field);
    sx_exemplar_hex(hex, e->trace_id, sizeof(e->trace_id));
    put_label(out, SX_STR("trace_id"), sx_str_of(hex, 2 * sizeof(e->trace_id)));
    sx_exemplar_hex(hex, e->span_id, sizeof(e->span_id));
    put_label(out, SX_STR("span_id"), sx_str_of(hex, 2 * sizeof(e->span_id)));
    sx_pb_put_double(out, 2, e->value);
    put_time(out, 3, e->wall_ns);
    sx_pb_end(out, mark);
}

/* A Gauge or Counter, whose value is field 1. */
static void put_number(sx_exposition *x, sx_str labels, uint32_t kind, double value)
{
    size_t metric = begin_metric(x, labels);
    size_t number = sx_pb_begin(x->out, kind);
    sx_pb_put_double(x->out, 1, value);
    sx_pb_end(x->out, number);
    sx_pb_end(x->out, metric);
}

static void protobuf_counter(sx_exposition *x, const sx_series *s)
{
    uint64_t count;
    bool exact;
    sx_exemplar e;
    size_t metric = begin_metric(x, s->labels);
    size_t counter = sx_pb_begin(x->out, METRIC_COUNTER);
    sx_pb_put_double(x->out, 1, sx_series_counter(s, &count, &exact));
    if (sx_exemplar_get(s, 0, &e))
        put_exemplar(x->out, 2, &e);
    put_time(x->out, 3, s->created_ns);
    sx_pb_end(x->out, counter);
    sx_pb_end(x->out, metric);
}

static void protobuf_gauge(sx_exposition *x, const sx_series *s)
{
    put_number(x, s->labels, METRIC_GAUGE, sx_series_float_sum(s, 0));
}

static void protobuf_info(sx_exposition *x, const sx_series *s)
{
    put_number(x, s->labels, METRIC_GAUGE, 1);
}

static void protobuf_stateset(sx_exposition *x, const sx_series *s)
{
    uint64_t states = __atomic_load_n(s->cells, __ATOMIC_RELAXED);
    for (size_t i = 0; i < x->metric->state_count; i++) {
        size_t metric = begin_metric(x, s->labels);
        put_label(x->out, x->spelled->name, x->metric->states[i]);
        size_t gauge = sx_pb_begin(x->out, METRIC_GAUGE);
        sx_pb_put_double(x->out, 1, (double)(states >> i & 1));
        sx_pb_end(x->out, gauge);
        sx_pb_end(x->out, metric);
    }
}

/* ---- histograms ---- */

/* The classic buckets, cumulative. `total` (UINT64_MAX: not known) is the count that the native half
 * tells, a moment later: none may be above it. Returns the count of all. */
static uint64_t put_buckets(sx_exposition *x, const sx_series *s, uint64_t total)
{
    const sx_bounds *b = &x->metric->bounds;
    uint64_t count = 0;
    for (size_t i = 0; i <= b->count; i++) {
        sx_exemplar e;
        count += sx_series_count_sum(s, i);
        if (total != UINT64_MAX && (count > total || i == b->count))
            count = total;
        size_t bucket = sx_pb_begin(x->out, HISTOGRAM_BUCKET);
        sx_pb_put_u64(x->out, 1, count);
        sx_pb_put_double(x->out, 2, b->upper[i]);
        if (sx_exemplar_get(s, i, &e))
            put_exemplar(x->out, 3, &e);
        sx_pb_end(x->out, bucket);
    }
    return count;
}

/* Up to so many empty buckets between two used ones are written as zeros: a new span costs more. */
enum { GAP_MAX = 2 };

/* The end of the span that begins at `from`, a bucket in use. */
static size_t span_end(const sx_native_side *side, size_t from)
{
    size_t end = from + 1, empty = 0;
    for (size_t i = end; i < side->len && empty <= GAP_MAX; i++) {
        empty = side->counts[i] ? 0 : empty + 1;
        if (empty == 0)
            end = i + 1;
    }
    return end;
}

/* Spans of buckets, each so far behind the one before; then each bucket's difference to the one
 * before it. */
static void put_side(sx_buf *out, uint32_t span_field, uint32_t delta_field,
                     const sx_native_side *side)
{
    int64_t behind = 0; /* key after the last span */
    for (size_t from = 0, end; from < side->len; from = end) {
        end = from + 1;
        if (side->counts[from] == 0)
            continue;
        end = span_end(side, from);
        int64_t key = (int64_t)side->first + (int64_t)from;
        size_t span = sx_pb_begin(out, span_field);
        sx_pb_put_zigzag(out, 1, key - behind);
        sx_pb_put_u64(out, 2, end - from);
        sx_pb_end(out, span);
        behind = key + (int64_t)(end - from);
    }
    uint64_t before = 0;
    for (size_t from = 0, end; from < side->len; from = end) {
        end = from + 1;
        if (side->counts[from] == 0)
            continue;
        end = span_end(side, from);
        for (size_t i = from; i < end; i++) {
            sx_pb_put_zigzag(out, delta_field, (int64_t)(side->counts[i] - before));
            before = side->counts[i];
        }
    }
}

static void put_native(sx_exposition *x, const sx_series *s, const sx_native_sum *sum)
{
    sx_buf *out = x->out;
    sx_pb_put_zigzag(out, HISTOGRAM_SCHEMA, sum->schema);
    sx_pb_put_double(out, HISTOGRAM_ZERO_THRESHOLD, x->metric->native.zero_threshold);
    sx_pb_put_u64(out, HISTOGRAM_ZERO_COUNT, sum->zeros);
    put_side(out, HISTOGRAM_NEGATIVE_SPAN, HISTOGRAM_NEGATIVE_DELTA, &sum->side[1]);
    put_side(out, HISTOGRAM_POSITIVE_SPAN, HISTOGRAM_POSITIVE_DELTA, &sum->side[0]);
    if (sum->side[0].len == 0 && sum->side[1].len == 0) {
        /* An empty span says that it is a native histogram, whatever its zero threshold. */
        size_t span = sx_pb_begin(out, HISTOGRAM_POSITIVE_SPAN);
        sx_pb_put_zigzag(out, 1, 0);
        sx_pb_put_u64(out, 2, 0);
        sx_pb_end(out, span);
    }
    sx_exemplar e;
    size_t count = sx_exemplar_count(s);
    for (size_t i = 0; i < count; i++)
        if (sx_exemplar_get(s, i, &e))
            put_exemplar(out, HISTOGRAM_EXEMPLARS, &e);
}

static void protobuf_histogram(sx_exposition *x, const sx_series *s)
{
    const sx_metric *metric = x->metric;
    const sx_native_sum *sum = metric->native.on ? sx_exposition_native(x, s) : NULL;
    size_t mark = begin_metric(x, s->labels);
    size_t histogram = sx_pb_begin(x->out, METRIC_HISTOGRAM);
    uint64_t count = sum ? sum->total : UINT64_MAX;
    if (metric->bounds.count > 0)
        count = put_buckets(x, s, count);
    sx_pb_put_u64(x->out, HISTOGRAM_COUNT, count);
    sx_pb_put_double(x->out, HISTOGRAM_SUM, sx_series_float_sum(s, metric->bounds.count + 1));
    if (sum)
        put_native(x, s, sum);
    put_time(x->out, HISTOGRAM_CREATED, s->created_ns);
    sx_pb_end(x->out, histogram);
    sx_pb_end(x->out, mark);
}

static void protobuf_summary(sx_exposition *x, const sx_series *s)
{
    const sx_summary_shape *shape = &x->metric->summary;
    sx_window_sum all;
    sx_window_read(sx_series_window(s), &all);
    size_t mark = begin_metric(x, s->labels);
    size_t summary = sx_pb_begin(x->out, METRIC_SUMMARY);
    sx_pb_put_u64(x->out, 1, all.count);
    sx_pb_put_double(x->out, 2, all.sum);
    for (size_t i = 0; i < shape->count; i++) {
        size_t quantile = sx_pb_begin(x->out, 3);
        sx_pb_put_double(x->out, 1, shape->quantiles[i].quantile);
        sx_pb_put_double(x->out, 2, all.values[i]);
        sx_pb_end(x->out, quantile);
    }
    put_time(x->out, 4, s->created_ns);
    sx_pb_end(x->out, summary);
    sx_pb_end(x->out, mark);
}

static void protobuf_series(sx_exposition *x, const sx_series *s)
{
    static void (*const KINDS[SX_METRIC_KINDS])(sx_exposition *, const sx_series *) = {
        [SX_METRIC_COUNTER] = protobuf_counter,     [SX_METRIC_GAUGE] = protobuf_gauge,
        [SX_METRIC_HISTOGRAM] = protobuf_histogram, [SX_METRIC_INFO] = protobuf_info,
        [SX_METRIC_STATESET] = protobuf_stateset,   [SX_METRIC_SUMMARY] = protobuf_summary,
    };
    KINDS[x->metric->kind](x, s);
}

static void protobuf_value(sx_exposition *x, sx_str labels, double value)
{
    put_number(x, labels, x->metric->kind == SX_METRIC_COUNTER ? METRIC_COUNTER : METRIC_GAUGE,
               value);
}

const sx_format sx_format_protobuf = {.begin = protobuf_begin,
                                      .series = protobuf_series,
                                      .value = protobuf_value,
                                      .end = protobuf_end};

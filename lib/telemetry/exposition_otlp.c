/* exposition_otlp.c - one OTLP Metric message for each metric, one data point for each series.
 * Field numbers are those of opentelemetry-proto's metrics.proto. */
#include "telemetry/exposition_otlp.h"

#include <sextant/protobuf.h>

#include "telemetry/exemplar.h"
#include "telemetry/exposition.h"
#include "telemetry/metric_names.h"
#include "telemetry/summary.h"

enum { CUMULATIVE = 2 }; /* AggregationTemporality */

/* Metric: the field that holds the points. */
enum {
    METRIC_GAUGE = 5,
    METRIC_SUM = 7,
    METRIC_HISTOGRAM = 9,
    METRIC_EXPONENTIAL = 10,
    METRIC_SUMMARY = 11
};

/* Fields that the kinds of data points number differently. */
typedef struct point_fields {
    uint32_t data, attributes, exemplars;
} point_fields;

static const point_fields POINT[] = {
    [METRIC_GAUGE] = {METRIC_GAUGE, 7, 5},
    [METRIC_SUM] = {METRIC_SUM, 7, 5},
    [METRIC_HISTOGRAM] = {METRIC_HISTOGRAM, 9, 8},
    [METRIC_EXPONENTIAL] = {METRIC_EXPONENTIAL, 1, 11},
    [METRIC_SUMMARY] = {METRIC_SUMMARY, 7, 0}, /* it has no exemplars */
};

static const point_fields *fields_of(const sx_metric *metric)
{
    switch (metric->kind) {
    case SX_METRIC_COUNTER:
        return &POINT[METRIC_SUM];
    case SX_METRIC_HISTOGRAM:
        return &POINT[metric->native.on ? METRIC_EXPONENTIAL : METRIC_HISTOGRAM];
    case SX_METRIC_SUMMARY:
        return &POINT[METRIC_SUMMARY];
    default:
        return &POINT[METRIC_GAUGE];
    }
}

/* The unit as UCUM has it, where the Prometheus word is another. */
static sx_str unit_of(sx_str unit)
{
    static const sx_str UNITS[][2] = {
        {SX_STR_INIT("seconds"), SX_STR_INIT("s")},   {SX_STR_INIT("bytes"), SX_STR_INIT("By")},
        {SX_STR_INIT("ratio"), SX_STR_INIT("1")},     {SX_STR_INIT("meters"), SX_STR_INIT("m")},
        {SX_STR_INIT("volts"), SX_STR_INIT("V")},     {SX_STR_INIT("amperes"), SX_STR_INIT("A")},
        {SX_STR_INIT("joules"), SX_STR_INIT("J")},    {SX_STR_INIT("grams"), SX_STR_INIT("g")},
        {SX_STR_INIT("celsius"), SX_STR_INIT("Cel")},
    };
    for (size_t i = 0; i < SX_COUNT_OF(UNITS); i++)
        if (sx_str_eq(unit, UNITS[i][0]))
            return UNITS[i][1];
    return unit;
}

static void otlp_begin(sx_exposition *x)
{
    const sx_metric *metric = x->metric;
    x->family = sx_pb_begin(x->out, 2);
    sx_pb_put_str(x->out, 1, metric->name);
    sx_pb_put_str(x->out, 2, metric->help);
    if (metric->unit.len > 0)
        sx_pb_put_str(x->out, 3, unit_of(metric->unit));
    x->points = sx_pb_begin(x->out, fields_of(metric)->data);
}

static void otlp_end(sx_exposition *x)
{
    if (x->metric->kind == SX_METRIC_COUNTER || x->metric->kind == SX_METRIC_HISTOGRAM)
        sx_pb_put_u64(x->out, 2, CUMULATIVE);
    if (x->metric->kind == SX_METRIC_COUNTER)
        sx_pb_put_u64(x->out, 3, 1); /* monotonic */
    sx_pb_end(x->out, x->points);
    sx_pb_end(x->out, x->family);
}

/* KeyValue{1: key, 2: AnyValue{1: string}} */
static void put_attribute(sx_exposition *x, sx_str key, sx_str value)
{
    size_t pair = sx_pb_begin(x->out, fields_of(x->metric)->attributes);
    sx_pb_put_str(x->out, 1, key);
    size_t any = sx_pb_begin(x->out, 2);
    sx_pb_put_str(x->out, 1, value);
    sx_pb_end(x->out, any);
    sx_pb_end(x->out, pair);
}

/* Begins a data point: labels and times. */
static size_t begin_point(sx_exposition *x, sx_str labels)
{
    const sx_metric *metric = x->metric;
    size_t point = sx_pb_begin(x->out, 1);
    for (size_t i = 0; i < metric->label_count; i++) {
        sx_str value = sx_labels_next(&labels, metric->labels[i], &x->registry->value);
        put_attribute(x, x->spelled->labels[i], value);
    }
    if (metric->kind == SX_METRIC_COUNTER || metric->kind == SX_METRIC_HISTOGRAM ||
        metric->kind == SX_METRIC_SUMMARY)
        sx_pb_put_fixed64(x->out, 2, (uint64_t)x->start_ns);
    sx_pb_put_fixed64(x->out, 3, (uint64_t)x->now_ns);
    return point;
}

static void put_exemplars(sx_exposition *x, const sx_series *s)
{
    size_t count = sx_exemplar_count(s);
    sx_exemplar e;
    for (size_t i = 0; i < count; i++) {
        if (!sx_exemplar_get(s, i, &e))
            continue;
        size_t mark = sx_pb_begin(x->out, fields_of(x->metric)->exemplars);
        sx_pb_put_fixed64(x->out, 2, (uint64_t)e.wall_ns);
        sx_pb_put_double(x->out, 3, e.value);
        sx_pb_put_str(x->out, 4, sx_str_of(e.span_id, sizeof(e.span_id)));
        sx_pb_put_str(x->out, 5, sx_str_of(e.trace_id, sizeof(e.trace_id)));
        sx_pb_end(x->out, mark);
    }
}

static void put_stateset(sx_exposition *x, const sx_series *s)
{
    uint64_t states = __atomic_load_n(s->cells, __ATOMIC_RELAXED);
    for (size_t i = 0; i < x->metric->state_count; i++) {
        size_t point = begin_point(x, s->labels);
        put_attribute(x, x->metric->name, x->metric->states[i]);
        sx_pb_put_fixed64(x->out, 6, states >> i & 1); /* as_int */
        sx_pb_end(x->out, point);
    }
}

static void put_histogram(sx_exposition *x, const sx_series *s)
{
    const sx_bounds *b = &x->metric->bounds;
    uint64_t total = 0;
    size_t counts = sx_pb_begin(x->out, 6);
    for (size_t i = 0; i <= b->count; i++) {
        uint64_t count = sx_series_count_sum(s, i);
        total += count;
        sx_pb_add_fixed64(x->out, count);
    }
    sx_pb_end(x->out, counts);
    size_t bounds = sx_pb_begin(x->out, 7);
    for (size_t i = 0; i < b->count; i++)
        sx_pb_add_fixed64(x->out, sx_cell_bits(b->upper[i]));
    sx_pb_end(x->out, bounds);
    sx_pb_put_fixed64(x->out, 4, total);
}

/* OTLP numbers a bucket by its lower bound, we by its upper. */
static void put_side(sx_buf *out, uint32_t field, const sx_native_side *side)
{
    if (side->len == 0)
        return;
    size_t mark = sx_pb_begin(out, field);
    sx_pb_put_zigzag(out, 1, side->first - 1);
    size_t counts = sx_pb_begin(out, 2);
    for (size_t i = 0; i < side->len; i++)
        sx_pb_add_varint(out, side->counts[i]);
    sx_pb_end(out, counts);
    sx_pb_end(out, mark);
}

static void put_exponential(sx_exposition *x, const sx_series *s)
{
    const sx_native_sum *sum = sx_exposition_native(x, s);
    if (!sum)
        return;
    /* NaN has no bucket, and here the count is that of the buckets. */
    sx_pb_put_fixed64(x->out, 4, sum->total - sum->nans);
    sx_pb_put_zigzag(x->out, 6, sum->schema);
    sx_pb_put_fixed64(x->out, 7, sum->zeros);
    put_side(x->out, 8, &sum->side[0]);
    put_side(x->out, 9, &sum->side[1]);
    sx_pb_put_double(x->out, 14, x->metric->native.zero_threshold);
}

static void put_summary(sx_exposition *x, const sx_series *s)
{
    const sx_summary_shape *shape = &x->metric->summary;
    sx_window_sum all;
    sx_window_read(sx_series_window(s), &all);
    sx_pb_put_fixed64(x->out, 4, all.count);
    sx_pb_put_double(x->out, 5, all.sum);
    for (size_t i = 0; i < shape->count; i++) {
        size_t mark = sx_pb_begin(x->out, 6);
        sx_pb_put_double(x->out, 1, shape->quantiles[i].quantile);
        sx_pb_put_double(x->out, 2, all.values[i]);
        sx_pb_end(x->out, mark);
    }
}

static void otlp_series(sx_exposition *x, const sx_series *s)
{
    const sx_metric *metric = x->metric;
    if (metric->kind == SX_METRIC_STATESET) {
        put_stateset(x, s);
        return;
    }
    size_t point = begin_point(x, s->labels);
    if (metric->kind == SX_METRIC_COUNTER) {
        uint64_t count;
        bool exact;
        double value = sx_series_counter(s, &count, &exact);
        if (exact && count <= INT64_MAX)
            sx_pb_put_fixed64(x->out, 6, count);
        else
            sx_pb_put_double(x->out, 4, value);
    } else if (metric->kind == SX_METRIC_GAUGE) {
        sx_pb_put_double(x->out, 4, sx_series_float_sum(s, 0));
    } else if (metric->kind == SX_METRIC_INFO) {
        sx_pb_put_fixed64(x->out, 6, 1);
    } else if (metric->kind == SX_METRIC_SUMMARY) {
        put_summary(x, s);
    } else {
        if (metric->native.on)
            put_exponential(x, s);
        else
            put_histogram(x, s);
        sx_pb_put_double(x->out, 5, sx_series_float_sum(s, metric->bounds.count + 1));
    }
    put_exemplars(x, s);
    sx_pb_end(x->out, point);
}

static void otlp_value(sx_exposition *x, sx_str labels, double value)
{
    size_t point = begin_point(x, labels);
    sx_pb_put_double(x->out, 4, value);
    sx_pb_end(x->out, point);
}

const sx_format sx_format_otlp = {
    .begin = otlp_begin, .series = otlp_series, .value = otlp_value, .end = otlp_end};

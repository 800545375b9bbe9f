/* metric_options.c - what may be registered, and what is said of what may not. */
#include <math.h>

#include <sextant/utf8.h>

#include "telemetry/metric_names.h"
#include "telemetry/native_histogram.h"

enum { SUMMARY_BUCKETS_MAX = 60 };

static const char *const KIND_NAMES[SX_METRIC_KINDS] = {
    [SX_METRIC_COUNTER] = "counter",     [SX_METRIC_GAUGE] = "gauge",
    [SX_METRIC_HISTOGRAM] = "histogram", [SX_METRIC_INFO] = "info",
    [SX_METRIC_STATESET] = "state set",  [SX_METRIC_SUMMARY] = "summary",
};

/* Whether two label names are one under SX_METRICS_UNDERSCORES, and whether one begins with __. */
static bool same_when_escaped(sx_str a, sx_str b)
{
    uint32_t left, right;
    bool first = true;
    while (a.len > 0 && b.len > 0) {
        size_t a_len = sx_utf8_decode(a, &left), b_len = sx_utf8_decode(b, &right);
        char one[] = {(char)left}, other[] = {(char)right};
        bool plain_a = left < 128 && (sx_name_is_plain_label(sx_str_of(one, 1)) ||
                                      (!first && left >= '0' && left <= '9'));
        bool plain_b = right < 128 && (sx_name_is_plain_label(sx_str_of(other, 1)) ||
                                       (!first && right >= '0' && right <= '9'));
        if ((plain_a ? left : '_') != (plain_b ? right : '_'))
            return false;
        first = false;
        a = sx_str_from(a, a_len);
        b = sx_str_from(b, b_len);
    }
    return a.len == b.len;
}

static sx_status check_label(const sx_metric_options *o, size_t i, sx_error *err)
{
    sx_str label = sx_str_z(o->labels[i]);
    if (label.len == 0 || !sx_utf8_valid(label) || sx_str_starts(label, SX_STR("__")))
        return sx_fail(
            err, SX_EINVAL,
            "metric %s: label name '%.*s' must be UTF-8, not empty and not begin with __", o->name,
            SX_ARG(label));
    if (o->kind == SX_METRIC_HISTOGRAM && sx_str_eq(label, SX_STR("le")))
        return sx_fail(err, SX_EINVAL, "histogram %s: label le is its own", o->name);
    if (o->kind == SX_METRIC_SUMMARY && sx_str_eq(label, SX_STR("quantile")))
        return sx_fail(err, SX_EINVAL, "summary %s: label quantile is its own", o->name);
    if (o->kind == SX_METRIC_STATESET && sx_str_eq(label, sx_str_z(o->name)))
        return sx_fail(err, SX_EINVAL, "state set %s: the label of its name is its own", o->name);
    for (size_t j = 0; j < i; j++)
        if (same_when_escaped(label, sx_str_z(o->labels[j])))
            return sx_fail(err, SX_EINVAL,
                           "metric %s: labels %s and %s are the same, or are once escaped", o->name,
                           o->labels[j], o->labels[i]);
    return SX_OK;
}

static sx_status check_labels(const sx_metric_options *o, sx_error *err)
{
    if (o->label_count > SX_METRIC_LABELS_MAX)
        return sx_fail(err, SX_EINVAL, "metric %s has %zu labels; at most %d", o->name,
                       o->label_count, SX_METRIC_LABELS_MAX);
    for (size_t i = 0; i < o->label_count; i++) {
        sx_status status = check_label(o, i, err);
        if (status)
            return status;
    }
    return SX_OK;
}

static sx_status check_bounds(const sx_metric_options *o, sx_error *err)
{
    if (o->kind != SX_METRIC_HISTOGRAM && (o->bounds || o->native))
        return sx_fail(err, SX_EINVAL, "%s %s cannot have bounds", KIND_NAMES[o->kind], o->name);
    if (o->bounds && (o->bound_count == 0 || o->bound_count > SX_METRIC_BOUNDS_MAX))
        return sx_fail(err, SX_EINVAL, "histogram %s has %zu bounds; 1 to %d are allowed", o->name,
                       o->bound_count, SX_METRIC_BOUNDS_MAX);
    for (size_t i = 0; o->bounds && i < o->bound_count; i++)
        if (!isfinite(o->bounds[i]) || (i > 0 && !(o->bounds[i] > o->bounds[i - 1])))
            return sx_fail(err, SX_EINVAL,
                           "histogram %s: bound %zu (%g) must be finite and above the one before",
                           o->name, i, o->bounds[i]);
    return SX_OK;
}

static sx_status check_native(const sx_metric_options *o, sx_error *err)
{
    if (!o->native)
        return SX_OK;
    if (o->native_growth != 0 && !(o->native_growth > 1 && isfinite(o->native_growth)))
        return sx_fail(err, SX_EINVAL, "histogram %s: native_growth (%g) must be above 1", o->name,
                       o->native_growth);
    if (!isfinite(o->native_zero_threshold))
        return sx_fail(err, SX_EINVAL, "histogram %s: native_zero_threshold must be finite",
                       o->name);
    if (o->native_buckets_max > SX_NATIVE_BUCKETS_MAX)
        return sx_fail(err, SX_EINVAL, "histogram %s: native_buckets_max is %u; at most %d",
                       o->name, o->native_buckets_max, SX_NATIVE_BUCKETS_MAX);
    return SX_OK;
}

static sx_status check_quantiles(const sx_metric_options *o, sx_error *err)
{
    if (o->kind != SX_METRIC_SUMMARY && (o->quantiles || o->quantile_count))
        return sx_fail(err, SX_EINVAL, "%s %s cannot have quantiles", KIND_NAMES[o->kind], o->name);
    if (o->quantile_count > SX_METRIC_QUANTILES_MAX || (o->quantiles && !o->quantile_count))
        return sx_fail(err, SX_EINVAL, "summary %s has %zu quantiles; 1 to %d are allowed", o->name,
                       o->quantile_count, SX_METRIC_QUANTILES_MAX);
    if (o->age_buckets > SUMMARY_BUCKETS_MAX)
        return sx_fail(err, SX_EINVAL, "summary %s: age_buckets is %u; at most %d", o->name,
                       o->age_buckets, SUMMARY_BUCKETS_MAX);
    for (size_t i = 0; o->quantiles && i < o->quantile_count; i++) {
        const sx_metric_quantile *q = &o->quantiles[i];
        if (!(q->quantile >= 0 && q->quantile <= 1) || !(q->error > 0 && q->error < 1) ||
            (i > 0 && !(q->quantile > q[-1].quantile)))
            return sx_fail(err, SX_EINVAL,
                           "summary %s: quantile %zu (%g) must be from 0 to 1 and above the one "
                           "before, its error (%g) between 0 and 1",
                           o->name, i, q->quantile, q->error);
    }
    return SX_OK;
}

static sx_status check_states(const sx_metric_options *o, sx_error *err)
{
    if (o->kind != SX_METRIC_STATESET && o->state_count == 0)
        return SX_OK;
    if (o->kind != SX_METRIC_STATESET)
        return sx_fail(err, SX_EINVAL, "%s %s cannot have states", KIND_NAMES[o->kind], o->name);
    if (o->state_count == 0 || o->state_count > SX_METRIC_STATES_MAX)
        return sx_fail(err, SX_EINVAL, "state set %s has %zu states; 1 to %d are allowed", o->name,
                       o->state_count, SX_METRIC_STATES_MAX);
    for (size_t i = 0; i < o->state_count; i++) {
        sx_str state = sx_str_z(o->states[i]);
        if (state.len == 0 || !sx_utf8_valid(state))
            return sx_fail(err, SX_EINVAL, "state set %s: state %zu must be UTF-8 and not empty",
                           o->name, i);
        for (size_t k = 0; k < i; k++)
            if (sx_str_eq(state, sx_str_z(o->states[k])))
                return sx_fail(err, SX_EINVAL, "state set %s has state %s twice", o->name,
                               o->states[i]);
    }
    return SX_OK;
}

/* OpenMetrics: the name ends in _UNIT, before _total and _info. */
static sx_status check_unit(const sx_metric_options *o, sx_error *err)
{
    sx_str name = sx_str_z(o->name), unit = sx_str_z(o->unit ? o->unit : "");
    if (unit.len == 0)
        return SX_OK;
    if (o->kind == SX_METRIC_COUNTER && sx_str_ends(name, SX_STR("_total")))
        name.len -= 6;
    bool ends = name.len > unit.len + 1 && sx_str_ends(name, unit);
    char before = ends ? name.data[name.len - unit.len - 1] : '\0';
    if (o->kind == SX_METRIC_INFO || o->kind == SX_METRIC_STATESET ||
        !sx_name_is_plain_metric(unit) || (before != '_' && before != '.'))
        return sx_fail(err, SX_EINVAL,
                       "%s %s: the unit %s must be what its name ends in, after a _ (and before a "
                       "counter's _total); infos and state sets have none",
                       KIND_NAMES[o->kind], o->name, o->unit);
    return SX_OK;
}

static sx_status check_name(const sx_metric_options *o, sx_error *err)
{
    sx_str name = sx_str_z(o->name ? o->name : "");
    if (name.len == 0 || !sx_utf8_valid(name))
        return sx_fail(err, SX_EINVAL, "metric name '%.*s' must be UTF-8 and not empty",
                       SX_ARG(name));
    if (!o->help || !*o->help)
        return sx_fail(err, SX_EINVAL, "metric %s has no help text", o->name);
    if (o->kind == SX_METRIC_INFO && (name.len <= 5 || !sx_str_ends(name, SX_STR("_info"))))
        return sx_fail(err, SX_EINVAL, "info %s: its name must end in _info", o->name);
    if (o->kind == SX_METRIC_STATESET && sx_str_find(name, SX_STR(":")) < name.len)
        return sx_fail(err, SX_EINVAL,
                       "state set %s: its name is a label's, too, and cannot have a colon",
                       o->name);
    return SX_OK;
}

sx_status sx_metric_check_options(const sx_metric_options *o, sx_error *err)
{
    static sx_status (*const CHECKS[])(const sx_metric_options *, sx_error *) = {
        check_name,   check_bounds, check_native, check_quantiles,
        check_states, check_unit,   check_labels,
    };
    if ((unsigned)o->kind >= SX_METRIC_KINDS)
        return sx_fail(err, SX_EINVAL, "metric kind %d does not exist", (int)o->kind);
    for (size_t i = 0; i < SX_COUNT_OF(CHECKS); i++) {
        sx_status status = CHECKS[i](o, err);
        if (status)
            return status;
    }
    if (o->collect && (o->kind == SX_METRIC_HISTOGRAM || o->kind == SX_METRIC_SUMMARY ||
                       o->kind == SX_METRIC_STATESET))
        return sx_fail(err, SX_EINVAL, "%s %s cannot have a collect function", KIND_NAMES[o->kind],
                       o->name);
    return SX_OK;
}

/* exposition_openmetrics.c - what OpenMetrics has beside the text format: families whose names lack
 * _total and _info, units, exemplars, created times, the end.
 *
 * A counter must end in _total there. One that does not is shown with the type unknown, so that its
 * name is the same in every format. Source: OpenMetrics 1.0.0. */
#include "telemetry/exemplar.h"
#include "telemetry/exposition_text.h"
#include "telemetry/metric_names.h"
#include "telemetry/text.h"

#define TOTAL SX_STR("_total")
#define INFO  SX_STR("_info")

bool sx_openmetrics_is_counter(const sx_metric *metric)
{
    return metric->kind == SX_METRIC_COUNTER && sx_str_ends(metric->name, TOTAL);
}

/* How many bytes of the name are not the family's. */
static size_t ending(const sx_metric *metric)
{
    if (metric->kind == SX_METRIC_INFO)
        return INFO.len;
    return sx_openmetrics_is_counter(metric) ? TOTAL.len : 0;
}

static void openmetrics_begin(sx_exposition *x)
{
    static const sx_str TYPES[SX_METRIC_KINDS] = {
        [SX_METRIC_COUNTER] = SX_STR_INIT(" counter\n"),
        [SX_METRIC_GAUGE] = SX_STR_INIT(" gauge\n"),
        [SX_METRIC_HISTOGRAM] = SX_STR_INIT(" histogram\n"),
        [SX_METRIC_INFO] = SX_STR_INIT(" info\n"),
        [SX_METRIC_STATESET] = SX_STR_INIT(" stateset\n"),
        [SX_METRIC_SUMMARY] = SX_STR_INIT(" summary\n"),
    };
    const sx_metric *metric = x->metric;
    size_t less = ending(metric);
    bool unknown = metric->kind == SX_METRIC_COUNTER && less == 0;
    sx_text_name(x);
    sx_buf_str(x->out, SX_STR("# HELP "));
    sx_text_put_name(x, less);
    sx_buf_byte(x->out, ' ');
    sx_text_escape(x->out, metric->help, SX_TEXT_QUOTES_ESCAPED);
    sx_buf_str(x->out, SX_STR("\n# TYPE "));
    sx_text_put_name(x, less);
    sx_buf_str(x->out, unknown ? SX_STR(" unknown\n") : TYPES[metric->kind]);
    /* The unit must be what the name shown ends in: escaped, "a.seconds" may end in another. */
    sx_str shown = x->spelled->name;
    shown.len -= less;
    if (metric->unit.len == 0 || shown.len <= metric->unit.len ||
        shown.data[shown.len - metric->unit.len - 1] != '_')
        return;
    sx_buf_str(x->out, SX_STR("# UNIT "));
    sx_text_put_name(x, less);
    sx_buf_byte(x->out, ' ');
    sx_buf_str(x->out, metric->unit);
    sx_buf_byte(x->out, '\n');
}

/* Seconds since 1970 with milliseconds. */
static char *put_time(char *at, int64_t wall_ns)
{
    uint64_t ms = wall_ns > 0 ? (uint64_t)wall_ns / 1000000 : 0;
    at = sx_text_u64(at, ms / 1000);
    *at++ = '.';
    return sx_text_padded(at, ms % 1000, 3);
}

/* The exemplar of that slot. A histogram that is native only has one line for all of its slots: the
 * newest then. */
static bool find_exemplar(const sx_series *s, size_t slot, sx_exemplar *out)
{
    if (s->metric->kind != SX_METRIC_HISTOGRAM)
        return sx_openmetrics_is_counter(s->metric) && sx_exemplar_get(s, slot, out);
    if (s->metric->bounds.count > 0)
        return sx_exemplar_get(s, slot, out);
    sx_exemplar one;
    bool found = false;
    for (size_t i = 0; i < SX_EXEMPLARS_NATIVE; i++)
        if (sx_exemplar_get(s, i, &one) && (!found || one.wall_ns > out->wall_ns)) {
            *out = one;
            found = true;
        }
    return found;
}

void sx_openmetrics_put_exemplar(sx_exposition *x, const sx_series *s, size_t slot)
{
    sx_exemplar e;
    if (!find_exemplar(s, slot, &e))
        return;
    char ids[2][SX_EXEMPLAR_HEX_BYTES], time[SX_TEXT_U64_BYTES + 8];
    sx_exemplar_hex(ids[0], e.trace_id, sizeof(e.trace_id));
    sx_exemplar_hex(ids[1], e.span_id, sizeof(e.span_id));
    sx_buf_str(x->out, SX_STR(" # {trace_id=\""));
    sx_buf_bytes(x->out, ids[0], 2 * sizeof(e.trace_id));
    sx_buf_str(x->out, SX_STR("\",span_id=\""));
    sx_buf_bytes(x->out, ids[1], 2 * sizeof(e.span_id));
    sx_buf_str(x->out, SX_STR("\"} "));
    sx_text_put_float(x->out, e.value);
    sx_buf_byte(x->out, ' ');
    sx_buf_bytes(x->out, time, (size_t)(put_time(time, e.wall_ns) - time));
}

void sx_openmetrics_put_created(sx_exposition *x, const sx_series *s, sx_str labels)
{
    size_t less = ending(x->metric);
    if (x->metric->kind == SX_METRIC_COUNTER && less == 0)
        return; /* unknown: it has none */
    char time[SX_TEXT_U64_BYTES + 8];
    sx_str whole = x->before;
    x->before.len -= less;
    sx_text_put_head(x, SX_STR("_created"), labels);
    x->before = whole;
    sx_buf_bytes(x->out, time, (size_t)(put_time(time, s->created_ns) - time));
    sx_buf_byte(x->out, '\n');
}

static void openmetrics_finish(sx_exposition *x)
{
    sx_buf_str(x->out, SX_STR("# EOF\n"));
}

const sx_format sx_format_openmetrics = {.begin = openmetrics_begin,
                                         .series = sx_text_series,
                                         .value = sx_text_value,
                                         .finish = openmetrics_finish};

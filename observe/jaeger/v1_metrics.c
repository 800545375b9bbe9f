/* v1_metrics.c - the RED metrics of the HTTP API v1 as PromQL over the series that are derived from spans. */
#include <math.h>

#include <sextant/number.h>

#include "codec/go_text.h"
#include "observe/jaeger/v1_values.h"

static sx_status read_kinds(const jaeger_params *p, sx_arena *arena, unsigned *kinds, sx_error *err)
{
    sx_str *names;
    size_t count;
    sx_status status = jaeger_param_all(p, "spanKind", arena, &names, &count, err);
    if (status != SX_OK)
        return status;
    *kinds = count ? 0 : 1U << SPAN_SERVER;
    for (size_t i = 0; i < count; i++) {
        int kind = jaeger_kind(names[i]);
        if (kind < 0)
            return sx_fail(err, SX_EINVAL,
                           "unable to parse param 'spanKind': unsupported span kind: '%.*s'",
                           SX_ARG(names[i]));
        *kinds |= 1U << kind;
    }
    return SX_OK;
}

static sx_status read_quantile(const jaeger_params *p, double *out, sx_error *err)
{
    sx_str text = jaeger_param_get(p, "quantile");
    if (sx_double_parse(text, out) && isfinite(*out))
        return SX_OK;
    return sx_fail(err, SX_EINVAL,
                   "unable to parse param 'quantile': strconv.ParseFloat: parsing \"%.*s\": "
                   "invalid syntax",
                   SX_ARG(text));
}

sx_status jaeger_v1_metrics_read(const jaeger_params *p, jaeger_metric metric, uint64_t now_ns,
                                 sx_arena *arena, jaeger_v1_metrics *out, sx_error *err)
{
    enum { HOUR_MS = 3600000, STEP_MS = 5000, RATE_MS = 600000, STEPS_MAX = 11000 };
    sx_str *services;
    bool given;
    uint64_t end_ns = now_ns;
    *out = (jaeger_v1_metrics){.metric = metric};
    sx_status status = metric == JAEGER_LATENCIES ? read_quantile(p, &out->quantile, err) : SX_OK;
    if (status == SX_OK)
        status = jaeger_param_all(p, "service", arena, &services, &out->service_count, err);
    if (status == SX_OK && out->service_count == 0)
        status = sx_fail(err, SX_EINVAL,
                         "unable to parse param 'service': please provide at least one service "
                         "name");
    if (status == SX_OK)
        status = v1_bool(p, "groupByOperation", &out->by_operation, err);
    if (status == SX_OK)
        status = read_kinds(p, arena, &out->kinds, err);
    if (status == SX_OK)
        status = v1_time(p, "endTs", 1000000, &end_ns, &given, err);
    if (status == SX_OK)
        status = v1_ms(p, "lookback", HOUR_MS, &out->lookback_ms, err);
    if (status == SX_OK)
        status = v1_ms(p, "step", STEP_MS, &out->step_ms, err);
    if (status == SX_OK)
        status = v1_ms(p, "ratePer", RATE_MS, &out->rate_ms, err);
    if (status != SX_OK)
        return status;
    out->services = services;
    out->end_ms = (int64_t)(end_ns / 1000000);
    if (out->step_ms <= 0 || out->rate_ms <= 0 || out->lookback_ms < 0 ||
        out->lookback_ms / out->step_ms > STEPS_MAX)
        return sx_fail(err, SX_EINVAL,
                       "step and ratePer must be positive and lookback at most %d steps",
                       STEPS_MAX);
    return SX_OK;
}

/* A value of a matcher =~ that fits `text` alone. */
static void put_literal(sx_buf *out, sx_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (memchr("\\.+*?()|[]{}^$", text.data[i], sizeof "\\.+*?()|[]{}^$" - 1))
            sx_buf_byte(out, '\\');
        sx_buf_byte(out, text.data[i]);
    }
}

static void put_selector(const jaeger_v1_metrics *m, const char *name, const char *more,
                         sx_buf *out)
{
    sx_buf services, kinds;
    sx_buf_init(&services, 0);
    sx_buf_init(&kinds, 0);
    for (size_t i = 0; i < m->service_count; i++) {
        if (i)
            sx_buf_byte(&services, '|');
        put_literal(&services, m->services[i]);
    }
    for (unsigned k = SPAN_UNSPECIFIED; k <= SPAN_CONSUMER; k++)
        if (m->kinds >> k & 1) {
            static const char *const NAMES[] = {"UNSPECIFIED", "INTERNAL", "SERVER",
                                                "CLIENT",      "PRODUCER", "CONSUMER"};
            sx_buf_printf(&kinds, "%sSPAN_KIND_%s", kinds.len ? "|" : "", NAMES[k]);
        }
    sx_buf_printf(out, "sum(rate(traces_span_metrics_%s{service_name=~", name);
    go_quote(sx_buf_view(&services), out);
    sx_buf_str(out, SX_STR(",span_kind=~"));
    go_quote(sx_buf_view(&kinds), out);
    sx_buf_printf(out, "%s}[%lldms])) by (service_name%s%s)", more, (long long)m->rate_ms,
                  m->by_operation ? ",span_name" : "", m->metric == JAEGER_LATENCIES ? ",le" : "");
    out->failed |= services.failed || kinds.failed;
    sx_buf_done(&services);
    sx_buf_done(&kinds);
}

/* Errors: calls without one count as 0, which the peer asks for in a second query. Latencies are
 * milliseconds, whichever unit they are kept in. */
void jaeger_v1_metrics_query(const jaeger_v1_metrics *m, sx_buf *out)
{
    switch (m->metric) {
    case JAEGER_CALLS:
        put_selector(m, "calls_total", "", out);
        break;
    case JAEGER_ERRORS:
        sx_buf_str(out, SX_STR("("));
        put_selector(m, "calls_total", ",status_code=\"STATUS_CODE_ERROR\"", out);
        sx_buf_str(out, SX_STR(" or 0*"));
        put_selector(m, "calls_total", "", out);
        sx_buf_str(out, SX_STR(")/"));
        put_selector(m, "calls_total", "", out);
        break;
    case JAEGER_LATENCIES:
        sx_buf_printf(out, "histogram_quantile(%.17g,", m->quantile);
        put_selector(m, "duration_milliseconds_bucket", "", out);
        sx_buf_printf(out, ") or 1000*histogram_quantile(%.17g,", m->quantile);
        put_selector(m, "duration_seconds_bucket", "", out);
        sx_buf_byte(out, ')');
        break;
    }
}

void jaeger_v1_metrics_name(const jaeger_v1_metrics *m, sx_buf *name, sx_buf *help)
{
    static const char *const NAMES[] = {"latencies", "call_rate", "error_rate"};
    static const char *const HELPS[] = {
        "", "calls/sec, grouped by service",
        "error rate, computed as a fraction of errors/sec over calls/sec, grouped by service"};
    sx_buf_printf(name, "service_%s%s", m->by_operation ? "operation_" : "", NAMES[m->metric]);
    if (m->metric == JAEGER_LATENCIES)
        sx_buf_printf(help, "%.2fth quantile latency, grouped by service", m->quantile);
    sx_buf_printf(help, "%s%s", HELPS[m->metric], m->by_operation ? " & operation" : "");
}

/* jaeger_metrics.c - the "Monitor" tab of Jaeger's UI: rates, errors and latencies of services, from the
 * series that are derived from spans, in Jaeger's JSON (the protobuf mapping of its MetricFamily). */
#include "observe/api/jaeger.h"

#include <math.h>

#include <sextant/json.h>

static void put_labels(sx_buf *out, tsdb_labels labels)
{
    sx_buf_str(out, SX_STR("{\"labels\":["));
    for (uint32_t i = 0; i < labels.count; i++) {
        sx_str name = labels.items[i].name;
        if (sx_str_eq(name, SX_STR("span_name")))
            name = SX_STR("operation"); /* as the UI knows it */
        sx_buf_str(out, i ? SX_STR(",{\"name\":") : SX_STR("{\"name\":"));
        sx_json_quote(out, name, SX_JSON_UTF8);
        sx_buf_str(out, SX_STR(",\"value\":"));
        sx_json_quote(out, labels.items[i].value, SX_JSON_UTF8);
        sx_buf_byte(out, '}');
    }
    sx_buf_str(out, SX_STR("],\"metricPoints\":["));
}

static void put_points(sx_buf *out, const promql_series *s)
{
    for (size_t i = 0; i < s->count; i++) {
        sx_buf_str(out, i ? SX_STR(",{\"gaugeValue\":{\"doubleValue\":")
                          : SX_STR("{\"gaugeValue\":{\"doubleValue\":"));
        if (isfinite(s->v[i]))
            api_json_number(out, s->v[i]);
        else
            sx_buf_str(out, isnan(s->v[i]) ? SX_STR("\"NaN\"")
                            : s->v[i] > 0  ? SX_STR("\"Infinity\"")
                                           : SX_STR("\"-Infinity\""));
        sx_buf_str(out, SX_STR("},\"timestamp\":"));
        api_json_date(out, s->t[i]);
        sx_buf_byte(out, '}');
    }
    sx_buf_str(out, SX_STR("]}"));
}

static sx_status write_family(jaeger_ui *ui, const jaeger_v1_metrics *m, const promql_result *r,
                              sx_error *err)
{
    sx_buf name, help;
    sx_buf *out = &ui->out;
    sx_buf_init(&name, 0);
    sx_buf_init(&help, 0);
    jaeger_v1_metrics_name(m, &name, &help);
    sx_buf_str(out, SX_STR("{\"name\":"));
    sx_json_quote(out, sx_buf_view(&name), SX_JSON_UTF8);
    sx_buf_str(out, SX_STR(",\"type\":\"GAUGE\",\"help\":"));
    sx_json_quote(out, sx_buf_view(&help), SX_JSON_UTF8);
    out->failed |= name.failed || help.failed;
    sx_buf_done(&name);
    sx_buf_done(&help);
    for (size_t i = 0; i < r->series_count; i++) {
        sx_buf_str(out, i ? SX_STR(",") : SX_STR(",\"metrics\":["));
        put_labels(out, r->series[i].labels);
        if (!r->series[i].h)
            put_points(out, &r->series[i]);
        else
            sx_buf_str(out, SX_STR("]}"));
    }
    sx_buf_str(out, r->series_count ? SX_STR("]}") : SX_STR("}"));
    return jaeger_ui_flush(ui, err);
}

static void metrics(api_call *c, jaeger_metric metric)
{
    sx_error err = {0};
    jaeger_ask ask;
    jaeger_v1_metrics m;
    jaeger_ui ui;
    sx_buf query;
    promql_result result = {0};
    if (!jaeger_ask_begin(c, &ask))
        return;
    if (jaeger_v1_metrics_read(&ask.params, metric, ask.now_ns, &c->arena, &m, &err) != SX_OK) {
        jaeger_fail_store(c, &err);
        return;
    }
    sx_buf_init(&query, 0);
    jaeger_v1_metrics_query(&m, &query);
    promql_request request = {.text = sx_buf_view(&query),
                              .start_ms = m.end_ms - m.lookback_ms,
                              .end_ms = m.end_ms,
                              .step_ms = m.step_ms,
                              .canceled = &c->canceled,
                              .who = c->who};
    sx_status status = sx_buf_status(&query, "the query", &err);
    jaeger_answer(c, &ask, &ui);
    if (status == SX_OK)
        status = promql_query(c->api->engine, c->api->store, &request, &result, &err);
    if (status == SX_OK)
        status = write_family(&ui, &m, &result, &err);
    if (status != SX_OK) {
        sx_str words =
            sx_arena_printf(&c->arena, "failed executing metrics query: %s", err.message);
        jaeger_fail(c, 500, words.data ? words : SX_STR("out of memory"));
    }
    promql_result_done(&result);
    jaeger_ui_done(&ui);
    sx_buf_done(&query);
}

void api_jaeger_latencies(api_call *c)
{
    metrics(c, JAEGER_LATENCIES);
}

void api_jaeger_calls(api_call *c)
{
    metrics(c, JAEGER_CALLS);
}

void api_jaeger_errors(api_call *c)
{
    metrics(c, JAEGER_ERRORS);
}

/* The smallest step of a query, in milliseconds. */
void api_jaeger_minstep(api_call *c)
{
    c->status = 200;
    c->content_type = SX_STR("application/json");
    sx_buf_str(&c->out,
               SX_STR("{\"data\":1,\"total\":0,\"limit\":0,\"offset\":0,\"errors\":null}"));
}

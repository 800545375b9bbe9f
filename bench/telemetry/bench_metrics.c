/* bench_metrics.c - what a write costs and what a scrape costs. Budgets: counter 2 ns, histogram
 * 10 ns, a scrape of 10,000 series 1 ms. */
#include <math.h>
#include <stdio.h>

#include <sextant/mem.h>
#include <sextant/metrics.h>
#include <sextant/random.h>

#include "telemetry/exposition_otlp.h"

enum { ROUNDS = 20000000, SERIES = 10000, VALUES = 4096 };

static int64_t now_ns(void)
{
    return sx_clock_mono_ns(sx_clock_system());
}

static void print(const char *name, int64_t since, int64_t rounds)
{
    printf("%s %.2f ns\n", name, (double)(now_ns() - since) / (double)rounds);
}

static sx_metric *metric(sx_metrics *m, sx_metric_options o)
{
    sx_metric *out;
    sx_error err = {0};
    o.help = "Bench.";
    sx_assert(sx_metric_new(m, &o, &out, &err) == SX_OK);
    return out;
}

static void writes(sx_metrics *m, const char *suffix)
{
    char name[64];
    sx_counter *c = sx_metric_counter(metric(m, (sx_metric_options){.name = "c_total"}), NULL, 0);
    sx_gauge *g = sx_metric_gauge(
        metric(m, (sx_metric_options){.kind = SX_METRIC_GAUGE, .name = "g"}), NULL, 0);
    sx_histogram *h = sx_metric_histogram(
        metric(m, (sx_metric_options){.kind = SX_METRIC_HISTOGRAM, .name = "h"}), NULL, 0);
    sx_histogram *native = sx_metric_histogram(
        metric(m,
               (sx_metric_options){.kind = SX_METRIC_HISTOGRAM, .name = "native", .native = true}),
        NULL, 0);
    static double values[VALUES]; /* latencies: log-normal around 5 ms, unknown to the predictor */
    sx_random random;
    sx_random_seed(&random, 1);
    for (int i = 0; i < VALUES; i++)
        values[i] = 0.005 * exp((sx_random_double(&random) - 0.5) * 6);

    int64_t start = now_ns();
    for (int i = 0; i < ROUNDS; i++)
        sx_counter_add(c, 1);
    snprintf(name, sizeof(name), "counter_add%s", suffix);
    print(name, start, ROUNDS);
    start = now_ns();
    for (int i = 0; i < ROUNDS; i++)
        sx_gauge_add(g, 1);
    snprintf(name, sizeof(name), "gauge_add%s", suffix);
    print(name, start, ROUNDS);
    start = now_ns();
    for (int i = 0; i < ROUNDS; i++)
        sx_histogram_observe(h, values[i % VALUES]);
    snprintf(name, sizeof(name), "histogram_observe%s", suffix);
    print(name, start, ROUNDS);
    start = now_ns();
    for (int i = 0; i < ROUNDS; i++)
        sx_histogram_observe(native, values[i % VALUES]);
    snprintf(name, sizeof(name), "native_histogram_observe%s", suffix);
    print(name, start, ROUNDS);
    static const uint8_t TRACE[16] = {1}, SPAN[8] = {2};
    start = now_ns();
    for (int i = 0; i < ROUNDS / 10; i++)
        sx_histogram_observe_exemplar(h, values[i % VALUES], TRACE, SPAN);
    snprintf(name, sizeof(name), "histogram_observe_exemplar%s", suffix);
    print(name, start, ROUNDS / 10);
}

/* What is scraped: SERIES counters; or as many histograms as give that many lines of text. */
typedef struct load {
    const char *name;
    sx_metric_options options;
    int series;
} load;

static sx_metrics *fill(const load *l)
{
    static const char *const LABELS[] = {"method", "route", "code"};
    sx_metrics *m;
    sx_error err = {0};
    sx_assert(sx_metrics_new(&(sx_metrics_options){.series_max = SERIES}, &m, &err) == SX_OK);
    sx_metric_options options = l->options;
    options.name = "http_server_something_total";
    options.labels = LABELS;
    options.label_count = 3;
    sx_metric *c = metric(m, options);
    for (int i = 0; i < l->series; i++) {
        char route[32];
        int len = snprintf(route, sizeof(route), "/some/route/%d", i);
        sx_str values[] = {SX_STR("GET"), {route, (size_t)len}, SX_STR("200")};
        if (options.kind == SX_METRIC_COUNTER)
            sx_counter_add(sx_metric_counter(c, values, 3), (uint64_t)i * 1000);
        else
            for (int k = 0; k < 20; k++)
                sx_histogram_observe(sx_metric_histogram(c, values, 3), 0.003 * i * k);
    }
    return m;
}

static void scrape(const load *l, const char *format, sx_metrics_encoding encoding)
{
    enum { SCRAPES = 50 };
    sx_metrics *m = fill(l);
    sx_buf out;
    sx_error err = {0};
    sx_buf_init(&out, 0);
    sx_assert(sx_metrics_encode(m, encoding, &out, &err) == SX_OK);
    int64_t start = now_ns();
    for (int i = 0; i < SCRAPES; i++) {
        sx_buf_clear(&out);
        sx_assert(sx_metrics_encode(m, encoding, &out, &err) == SX_OK);
    }
    printf("scrape_%s_%s %.3f ms\n", l->name, format, (double)(now_ns() - start) / 1e6 / SCRAPES);
    printf("scrape_%s_%s_size %zu bytes\n", l->name, format, out.len);
    sx_buf_clear(&out);
    sx_buf_done(&out);
    sx_metrics_free(m);
}

static void scrape_otlp(const load *l)
{
    enum { SCRAPES = 50 };
    sx_metrics *m = fill(l);
    sx_buf out;
    sx_error err = {0};
    sx_buf_init(&out, 0);
    sx_assert(sx_metrics_otlp(m, 1, 2, &out, &err) == SX_OK);
    int64_t start = now_ns();
    for (int i = 0; i < SCRAPES; i++) {
        sx_buf_clear(&out);
        sx_assert(sx_metrics_otlp(m, 1, 2, &out, &err) == SX_OK);
    }
    printf("scrape_%s_otlp %.3f ms\n", l->name, (double)(now_ns() - start) / 1e6 / SCRAPES);
    sx_buf_done(&out);
    sx_metrics_free(m);
}

static void negotiation(void)
{
    enum { TIMES = 1000000 };
    sx_str accept = SX_STR("application/vnd.google.protobuf;proto=io.prometheus.client."
                           "MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;"
                           "version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;"
                           "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2");
    unsigned sum = 0;
    int64_t start = now_ns();
    for (int i = 0; i < TIMES; i++)
        sum += sx_metrics_negotiate(accept).format;
    sx_assert(sum == (unsigned)SX_METRICS_PROTOBUF * TIMES);
    print("negotiate", start, TIMES);
}

int main(void)
{
    static const load LOADS[] = {
        {"10000_counters", {.kind = SX_METRIC_COUNTER}, SERIES},
        {"10000_histogram_lines", {.kind = SX_METRIC_HISTOGRAM}, SERIES / 14},
        {"1000_native_histograms", {.kind = SX_METRIC_HISTOGRAM, .native = true}, 1000},
    };
    static const struct {
        const char *name;
        sx_metrics_encoding encoding;
    } FORMATS[] = {
        {"text", {SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES}},
        {"text_100", {SX_METRICS_TEXT_100, SX_METRICS_ALLOW_UTF8}},
        {"openmetrics", {SX_METRICS_OPENMETRICS, SX_METRICS_ALLOW_UTF8}},
        {"protobuf", {SX_METRICS_PROTOBUF, SX_METRICS_ALLOW_UTF8}},
    };
    sx_metrics *m;
    sx_assert(sx_metrics_new(NULL, &m, NULL) == SX_OK);
    writes(m, "_shared");
    sx_telemetry_thread_join();
    writes(m, "");
    sx_metrics_free(m);
    for (size_t i = 0; i < SX_COUNT_OF(LOADS); i++) {
        for (size_t k = 0; k < SX_COUNT_OF(FORMATS); k++)
            scrape(&LOADS[i], FORMATS[k].name, FORMATS[k].encoding);
        scrape_otlp(&LOADS[i]);
    }
    negotiation();
    return 0;
}

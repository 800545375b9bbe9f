/* bench_metrics.c - what a write costs and what a scrape costs. Budgets: counter 2 ns, histogram
 * 10 ns, a scrape of 10,000 series 1 ms. */
#include <math.h>
#include <stdio.h>

#include <sextant/mem.h>
#include <sextant/metrics.h>
#include <sextant/random.h>

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
}

static void scrape(sx_metric_kind kind, const char *name, int series)
{
    static const char *const LABELS[] = {"method", "route", "code"};
    sx_metrics *m;
    sx_error err = {0};
    sx_assert(sx_metrics_new(&(sx_metrics_options){.series_max = SERIES}, &m, &err) == SX_OK);
    sx_metric *c = metric(m, (sx_metric_options){.kind = kind,
                                                 .name = "http_server_something_total",
                                                 .labels = LABELS,
                                                 .label_count = 3});
    for (int i = 0; i < series; i++) {
        char route[32];
        int len = snprintf(route, sizeof(route), "/some/route/%d", i);
        sx_str values[] = {SX_STR("GET"), {route, (size_t)len}, SX_STR("200")};
        if (kind == SX_METRIC_COUNTER)
            sx_counter_add(sx_metric_counter(c, values, 3), (uint64_t)i * 1000);
        else
            for (int k = 0; k < 20; k++)
                sx_histogram_observe(sx_metric_histogram(c, values, 3), 0.003 * i * k);
    }
    sx_buf out;
    sx_buf_init(&out, 0);
    sx_assert(sx_metrics_write(m, SX_METRICS_TEXT_004, &out, &err) == SX_OK);
    enum { SCRAPES = 50 };
    int64_t start = now_ns();
    for (int i = 0; i < SCRAPES; i++) {
        sx_buf_clear(&out);
        sx_assert(sx_metrics_write(m, SX_METRICS_TEXT_004, &out, &err) == SX_OK);
    }
    printf("%s %.3f ms\n", name, (double)(now_ns() - start) / 1e6 / SCRAPES);
    printf("%s_size %zu bytes\n", name, out.len);
    sx_buf_done(&out);
    sx_metrics_free(m);
}

int main(void)
{
    sx_metrics *m;
    sx_assert(sx_metrics_new(NULL, &m, NULL) == SX_OK);
    writes(m, "_shared");
    sx_telemetry_thread_join();
    writes(m, "");
    sx_metrics_free(m);
    scrape(SX_METRIC_COUNTER, "scrape_10000_counters", SERIES);
    scrape(SX_METRIC_HISTOGRAM, "scrape_10000_histogram_lines", SERIES / 14);
    return 0;
}

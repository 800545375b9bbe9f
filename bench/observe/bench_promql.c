/* bench_promql.c - what a query costs over a store in memory: nanoseconds a series and step.
 *
 *     bench_promql [SERIES] [THREADS]      default 100,000 and all cores
 *
 * Counters of 100 jobs, 6 hours at 15 s. To spare memory all series of a kind share one column of
 * samples, so that reading is a copy: what is measured is the engine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/promql/engine.h"
#include "tests/unit/observe/promql/memory_store.h"

enum {
    HOURS = 6,
    STEP_MS = 15000,
    SAMPLES = HOURS * 3600 * 1000 / STEP_MS,
    JOBS = 100,
    BUCKETS = 10
};

static const char *const BOUNDS[BUCKETS] = {"0.005", "0.01", "0.05", "0.1", "0.5",
                                            "1",     "2.5",  "5",    "10",  "+Inf"};

static void die(const char *what)
{
    fprintf(stderr, "bench_promql: %s\n", what);
    exit(1);
}

/* The samples that all series of one kind have; wholes and not. */
static void fill(memory_store *s, memory_series *m, double slope)
{
    for (int k = 0; k < SAMPLES; k++) {
        if (!memory_store_add(s, m, (int64_t)k * STEP_MS, (k % 997) * slope + k / 997 * 0.5, NULL))
            die("no memory");
    }
}

static memory_series *add_series(memory_store *s, const char *name, int job, int instance,
                                 const char *le, const memory_series *model)
{
    char text[3][64];
    tsdb_label items[5];
    tsdb_labels labels;
    size_t n = 0;
    snprintf(text[0], sizeof text[0], "job-%d", job);
    snprintf(text[1], sizeof text[1], "10.0.%d.%d:9100", instance / 250, instance % 250);
    items[n++] = (tsdb_label){TSDB_METRIC_NAME, sx_str_z(name)};
    items[n++] = (tsdb_label){SX_STR("job"), sx_str_z(text[0])};
    items[n++] = (tsdb_label){SX_STR("instance"), sx_str_z(text[1])};
    if (le)
        items[n++] = (tsdb_label){SX_STR("le"), sx_str_z(le)};
    if (tsdb_labels_sort(items, n, &labels, NULL) != SX_OK)
        die("labels");
    memory_series *m = memory_store_series(s, labels);
    if (!m)
        die("no memory");
    if (model) { /* a view of the model's samples, taken back before the store is freed */
        tsdb_labels own = m->labels;
        *m = *model;
        m->labels = own;
    }
    return m;
}

static void build(memory_store *s, int series)
{
    memory_store_init(s);
    memory_series *model = add_series(s, "model", 0, 0, NULL, NULL);
    fill(s, model, 3);
    for (int i = 0; i < series; i++)
        add_series(s, "requests_total", i % JOBS, i / JOBS, NULL, model);
    for (int i = 0; i < series / BUCKETS; i++) {
        for (int b = 0; b < BUCKETS; b++)
            add_series(s, "latency_seconds_bucket", i % JOBS, i / JOBS, BOUNDS[b], model);
    }
}

static void take_back(memory_store *s)
{
    for (size_t i = 1; i < s->count; i++) {
        tsdb_labels own = s->series[i]->labels;
        *s->series[i] = (memory_series){.labels = own};
    }
}

static const char *const QUERIES[][2] = {
    {"selector", "requests_total"},
    {"sum_by_rate", "sum by (job) (rate(requests_total[5m]))"},
    {"sum_rate", "sum(rate(requests_total[5m]))"},
    {"max_over_time", "max by (job) (max_over_time(requests_total[30m]))"},
    {"avg_over_time", "avg by (job) (avg_over_time(requests_total[30m]))"},
    {"topk", "topk(10, rate(requests_total[5m]))"},
    {"join", "sum by (job) (requests_total / on (job, instance) requests_total)"},
    {"group_left", "sum(rate(requests_total[5m]) / on (job) group_left "
                   "sum by (job) (rate(requests_total[5m])))"},
    {"histogram_quantile",
     "histogram_quantile(0.99, sum by (job, le) (rate(latency_seconds_bucket[5m])))"},
    {"quantile_each", "max(histogram_quantile(0.9, rate(latency_seconds_bucket[5m])))"},
    {"subquery", "max by (job) (max_over_time(rate(requests_total[5m])[30m:1m]))"},
    {"quantile", "quantile by (job) (0.9, requests_total)"},
};

static void run(promql_engine *e, memory_store *s, size_t q, bool range, int series)
{
    int64_t end = (int64_t)(SAMPLES - 1) * STEP_MS;
    promql_request request = {.text = sx_str_z(QUERIES[q][1]),
                              .start_ms = range ? end - 5400000 : end,
                              .end_ms = end,
                              .step_ms = range ? 60000 : 0};
    size_t steps = range ? 91 : 1;
    int64_t best = INT64_MAX;
    uint64_t peak = 0;
    for (int k = 0; k < 3; k++) {
        promql_result r;
        sx_error err = {0};
        int64_t began = sx_clock_mono_ns(sx_clock_system());
        if (promql_query(e, &s->queryable, &request, &r, &err) != SX_OK)
            die(err.message);
        int64_t took = sx_clock_mono_ns(sx_clock_system()) - began;
        best = took < best ? took : best;
        peak = r.stats.memory_peak;
        promql_result_done(&r);
    }
    printf("%s_%s %.1f ns/series-step  %.1f ms  %.1f MB\n", QUERIES[q][0],
           range ? "range" : "instant", (double)best / series / (double)steps, (double)best / 1e6,
           (double)peak / 1e6);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int series = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 100000;
    promql_engine_options options = {.samples_max = UINT64_C(1) << 40,
                                     .memory_max = UINT64_C(8) << 30,
                                     .threads =
                                         argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0};
    promql_engine *e;
    memory_store s;
    if (promql_engine_new(&options, &e, NULL) != SX_OK)
        die("no engine");
    build(&s, series);
    for (size_t q = 0; q < SX_COUNT_OF(QUERIES); q++) {
        run(e, &s, q, false, series);
        run(e, &s, q, true, series);
    }
    promql_engine_free(e);
    take_back(&s);
    memory_store_done(&s);
    return 0;
}

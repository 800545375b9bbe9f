/* bench_promql_parse.c - how long parsing takes: queries as dashboards have them, one core.
 *
 * Each figure is the best of several rounds, since a neighbour's load only ever adds time. */
#include <stdio.h>

#include <sextant/clock.h>

#include "observe/promql/parse.h"

enum { ROUNDS = 15, TIMES = 2000 };

static const struct {
    const char *name, *text;
} QUERIES[] = {
    {"name", "up"},
    {"rate", "rate(http_requests_total{job=\"api\",code=\"500\"}[5m])"},
    {"ratio", "sum by (job) (rate(http_requests_total{job=\"api\",code=~\"5..\"}[5m])) / on (job) "
              "group_left () sum by (job) (rate(http_requests_total{job=\"api\"}[5m])) * 100"},
    {"quantile",
     "histogram_quantile(0.99, sum(rate(http_request_duration_seconds_bucket{cluster=\"eu-1\","
     "namespace=\"shop\",handler!~\"/health|/metrics\"}[5m])) by (le, handler))"},
    {"node_cpu",
     "(1 - sum without (mode) (rate(node_cpu_seconds_total{job=\"node\",mode=~\"idle|iowait|steal\","
     "instance=\"a:9100\",cluster=\"\"}[15m]))) / ignoring (cpu) group_left () count without "
     "(cpu, mode) (node_cpu_seconds_total{job=\"node\",mode=\"idle\",instance=\"a:9100\"})"},
};

/* Nanoseconds of one parse; below 0: it failed. */
static double measure(sx_str text, sx_arena *arena, const sx_clock *clock)
{
    double best = -1;
    for (int r = 0; r < ROUNDS; r++) {
        int64_t start = sx_clock_mono_ns(clock);
        for (int i = 0; i < TIMES; i++) {
            promql_parsed p;
            if (promql_parse(text, NULL, arena, &p, NULL) != SX_OK)
                return -1;
            promql_parsed_done(&p);
            sx_arena_reset(arena);
        }
        double ns = (double)(sx_clock_mono_ns(clock) - start) / TIMES;
        best = best < 0 || ns < best ? ns : best;
    }
    return best;
}

int main(void)
{
    sx_arena arena;
    sx_arena_init(&arena, 16384, 0);
    for (size_t i = 0; i < SX_COUNT_OF(QUERIES); i++) {
        double ns = measure(sx_str_z(QUERIES[i].text), &arena, sx_clock_system());
        if (ns < 0)
            return fprintf(stderr, "bench_promql_parse: '%s' is refused\n", QUERIES[i].text), 1;
        printf("promql_parse_%s %.0f ns\n", QUERIES[i].name, ns);
    }
    sx_arena_done(&arena);
    return 0;
}

/* bench_derive.c - what metrics made of spans cost: nanoseconds a span and a flush. */
#include <stdlib.h>
#include <time.h>

#include "bench/observe/span_load.h"
#include "observe/collector/derive.h"
#include "observe/spans/otlp.h"
#include "observe/tsdb/db.h"

/* So few requests that their spans stay in the cache, as those of a request do that was just read. */
enum { REQUESTS = 3, ROUNDS = 400, TRACES = 42 };

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

typedef struct bench {
    span_batch *batches[REQUESTS];
    double spans;
    spanmetrics *metrics;
    servicegraph *graph;
} bench;

static double round_of(bench *b, bool metrics)
{
    double start = now_ns();
    for (int i = 0; i < REQUESTS; i++)
        if (metrics)
            spanmetrics_take(b->metrics, b->batches[i]);
        else
            servicegraph_take(b->graph, b->batches[i]);
    return (now_ns() - start) / b->spans;
}

int main(void)
{
    static bench b;
    static sx_buf requests[REQUESTS];
    static const derive_dimension DIMENSIONS[] = {
        {SX_STR_INIT("http.request.method"), {0}, false},
        {SX_STR_INIT("http.response.status_code"), {0}, false}};
    char dir[] = "/tmp/sx-bench-derive-XXXXXX", command[64];
    span_load load = {.state = 1, .time_ns = 1700000000000000000u, .step_ns = 1000000};
    spanmetrics_settings plain, with;
    servicegraph_settings edges;
    sx_error err = {0};
    tsdb *db;
    double best[3] = {1e18, 1e18, 1e18}, flush = 1e18;
    for (int i = 0; i < REQUESTS; i++) {
        load_request(&load, &requests[i], TRACES);
        b.batches[i] = span_batch_new(0);
        if (span_read_otlp(sx_buf_view(&requests[i]), NULL, b.batches[i], NULL, &err) != SX_OK)
            return 1;
    }
    b.spans = (double)load.spans;
    if (!mkdtemp(dir) || tsdb_open(dir, &(tsdb_options){0}, &db, &err) != SX_OK)
        return 1;
    derive_host host = {.store = tsdb_appendable_of(db), .clock = sx_clock_system()};
    spanmetrics_defaults(&plain);
    plain.exemplars = true;
    with = plain;
    with.dimensions = (derive_dimensions){DIMENSIONS, SX_COUNT_OF(DIMENSIONS)};
    with.prefix = SX_STR("with");
    servicegraph_defaults(&edges);
    edges.items_max = 50000;
    if (servicegraph_new(&edges, &host, &b.graph, &err) != SX_OK)
        return 1;
    for (int kind = 0; kind < 3; kind++) {
        if (kind < 2 && spanmetrics_new(kind ? &with : &plain, &host, &b.metrics, &err) != SX_OK)
            return 1;
        for (int round = 0; round < ROUNDS; round++) {
            double ns = round_of(&b, kind < 2);
            best[kind] = ns < best[kind] ? ns : best[kind];
            if (kind == 0 && round % 40 == 0) {
                double start = now_ns();
                if (spanmetrics_flush(b.metrics, &err) != SX_OK)
                    return 1;
                flush = now_ns() - start < flush ? now_ns() - start : flush;
            }
        }
        if (kind < 2)
            spanmetrics_free(b.metrics);
    }
    servicegraph_free(b.graph);
    printf("spanmetrics_take %.0f ns/span\n", best[0]);
    printf("spanmetrics_take_2_dimensions %.0f ns/span\n", best[1]);
    printf("servicegraph_take %.0f ns/span\n", best[2]);
    printf("spanmetrics_flush %.1f ms\n", flush / 1e6);
    for (int i = 0; i < REQUESTS; i++) {
        span_batch_unref(b.batches[i]);
        sx_buf_done(&requests[i]);
    }
    tsdb_close(db);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

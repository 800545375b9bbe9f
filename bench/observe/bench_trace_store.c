/* bench_trace_store.c - the trace store, whole: CPU a span of append, flush and merge together, bytes
 * on disk, memory at a steady rate, and the questions that Jaeger's pages ask.
 *
 *   bench_trace_store [SPANS [RATE]]    2,000,000 spans; RATE: spans a second, 0 as fast as it goes
 *
 * With BENCH_DIR the store is made there and stays; SPANS 0 then asks the questions of what is there.
 *
 * Spans are those of tests/unit/observe/traces/make_spans.h: 12 services, 8 attributes (one of them
 * different in each span), 500-span requests, which are decoded from OTLP as intake does; decoding
 * and making them is measured apart and taken off. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "observe/spans/otlp.h"
#include "observe/traces/store.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/observe/traces/make_spans.h"

enum { PER_TRACE = 10, TRACES = 50, BODIES = 400 };
#define START UINT64_C(1700000000000000000)

static double cpu_s(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* CPU of this thread: what making and decoding take, whatever else runs on the machine. */
static double thread_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double resident_mb(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long all = 0, resident = 0;
    if (f) {
        if (fscanf(f, "%ld %ld", &all, &resident) != 2)
            resident = 0;
        fclose(f);
    }
    return (double)resident * 4096 / 1048576;
}

static void check(sx_status status, const sx_error *err)
{
    if (status == SX_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static void make_body(make_spans *m, sx_buf *out)
{
    span_batch *b = make_batch(m, TRACES);
    sx_buf_clear(out);
    span_write_otlp(b, out);
    span_batch_unref(b);
}

static bool count_hit(void *ctx, const tr_hit *hit)
{
    (void)hit;
    size_t *left = ctx;
    return --*left > 0;
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { ASKED = 50 };

/* CPU beside wall time, as the machine may have other work. */
static double asking_cpu;
static void tell(const char *name, double *ms, size_t n)
{
    double cpu = (cpu_s() - asking_cpu) * 1e3 / ASKED;
    qsort(ms, n, sizeof *ms, by_number);
    printf("%s_p50 %.3f ms\n%s_p99 %.3f ms\n%s_cpu %.3f ms\n", name, ms[n / 2], name,
           ms[n * 99 / 100], name, cpu);
    asking_cpu = cpu_s();
}

static void ask_search(tr_store *s, const char *name, const span_filter *filter)
{
    double ms[ASKED];
    sx_error err;
    bool partial;
    for (size_t i = 0; i < ASKED; i++) {
        size_t left = 20;
        double t = now_s();
        tr_search q = {.filter = filter};
        check(tr_store_search(s, &q, count_hit, &left, &partial, &err), &err);
        ms[i] = (now_s() - t) * 1e3;
    }
    tell(name, ms, ASKED);
}

static span_filter text_leaf(filter_field field, const char *key, filter_op op, const char *text)
{
    return (span_filter){.kind = FILTER_LEAF,
                         .field = field,
                         .key = sx_str_z(key),
                         .op = op,
                         .value = {.data = text, .len = (uint32_t)strlen(text), .type = SPAN_STR}};
}

static bool count_spans(void *ctx, const span_batch *b)
{
    *(size_t *)ctx += b->count;
    return true;
}

typedef struct found {
    tr_hit hits[2000];
    size_t count;
} found;

static bool keep_hit(void *ctx, const tr_hit *hit)
{
    found *f = ctx;
    f->hits[f->count++] = *hit;
    return f->count < sizeof f->hits / sizeof *f->hits;
}

/* Sparse spans: what metrics over errors read, and the traces that a search found, each whole. */
static void ask_sparse(tr_store *s)
{
    static found f;
    span_filter errors = {.kind = FILTER_LEAF,
                          .field = FILTER_STATUS,
                          .op = FILTER_EQ,
                          .value = {.i = SPAN_ERROR, .type = SPAN_INT}};
    tr_search q = {.filter = &errors};
    sx_error err;
    bool partial;
    size_t spans = 0;
    static const struct {
        const char *name;
        unsigned want;
    } SCANS[] = {
        {"ids", TR_WANT_IDS}, {"basics", TR_WANT_IDS | TR_WANT_BASICS}, {"all", TR_WANT_ALL}};
    for (size_t i = 0; i < 3; i++) {
        double t = now_s(), cpu = cpu_s();
        spans = 0;
        check(tr_store_scan(s, &q, SCANS[i].want, count_spans, &spans, &partial, &err), &err);
        printf("scan_errors_%s %.1f ms (cpu %.1f ms, %zu spans)\n", SCANS[i].name,
               (now_s() - t) * 1e3, (cpu_s() - cpu) * 1e3, spans);
    }
    f.count = 0;
    check(tr_store_search(s, &q, keep_hit, &f, &partial, &err), &err);
    double t = now_s(), cpu = cpu_s();
    for (size_t i = 0; i < f.count; i++) {
        span_batch *b = span_batch_new(0);
        check(tr_store_trace(s, f.hits[i].trace_id, 0, 0, NULL, b, &partial, &err), &err);
        span_batch_unref(b);
    }
    printf("traces_found %.3f ms/trace (cpu %.3f ms, %zu traces)\n",
           (now_s() - t) * 1e3 / (double)f.count, (cpu_s() - cpu) * 1e3 / (double)f.count, f.count);
    asking_cpu = cpu_s();
}

static void ask(tr_store *s, uint64_t traces)
{
    double ms[ASKED];
    sx_error err;
    bool partial;
    asking_cpu = cpu_s();
    for (size_t i = 0; i < ASKED; i++) {
        uint64_t n = (uint64_t)i * 7919 % traces;
        uint64_t id[2] = {n * 0x9e3779b97f4a7c15u + 1, ~n * 0xbf58476d1ce4e5b9u};
        span_batch *b = span_batch_new(0);
        double t = now_s();
        check(tr_store_trace(s, (const uint8_t *)id, 0, 0, NULL, b, &partial, &err), &err);
        ms[i] = (now_s() - t) * 1e3;
        if (b->count != PER_TRACE)
            printf("trace %" PRIu64 " has %zu spans\n", n, b->count);
        span_batch_unref(b);
    }
    tell("trace_by_id", ms, ASKED);

    span_filter service = text_leaf(FILTER_SERVICE, "", FILTER_EQ, "cart");
    span_filter tag = text_leaf(FILTER_ATTRIBUTE, "user.id", FILTER_TEXT, "user-1234");
    span_filter absent = text_leaf(FILTER_ATTRIBUTE, "user.id", FILTER_TEXT, "nobody");
    span_filter slow = {.kind = FILTER_LEAF,
                        .field = FILTER_DURATION,
                        .op = FILTER_GT,
                        .value = {.i = INT64_C(1000000000000), .type = SPAN_INT}};
    const span_filter *both[] = {&service, &tag};
    span_filter and = {.kind = FILTER_AND, .children = both, .child_count = 2};
    ask_search(s, "search_service", &service);
    ask_search(s, "search_service_tag", &and);
    ask_search(s, "search_tag", &tag);
    ask_search(s, "search_absent_tag", &absent);
    ask_search(s, "search_absent_duration", &slow);
    ask_sparse(s);
    for (size_t i = 0; i < ASKED; i++) {
        sx_arena arena;
        tr_edge *edges;
        size_t count;
        sx_arena_init(&arena, 0, 0);
        double t = now_s();
        check(tr_store_edges(s, 0, 0, NULL, &arena, &edges, &count, &err), &err);
        ms[i] = (now_s() - t) * 1e3;
        if (i == 0)
            printf("edges_first %.3f ms\n", ms[0]);
        sx_arena_done(&arena);
    }
    tell("edges", ms, ASKED);
    for (size_t i = 0; i < ASKED; i++) {
        sx_arena arena;
        tr_names names;
        sx_arena_init(&arena, 0, 0);
        double t = now_s();
        check(tr_store_services(s, 0, 0, &arena, &names, &err), &err);
        ms[i] = (now_s() - t) * 1e3;
        sx_arena_done(&arena);
    }
    tell("services", ms, ASKED);
}

int main(int argc, char **argv)
{
    uint64_t spans = 2000000, rate = 0;
    temp_folder folder;
    sx_error err = {0};
    if ((argc > 1 && !sx_str_to_u64(sx_str_z(argv[1]), &spans)) ||
        (argc > 2 && !sx_str_to_u64(sx_str_z(argv[2]), &rate)) || temp_folder_make(&folder) != 0)
        return 2;
    const char *dir = getenv("BENCH_DIR");
    tr_store_options options = {.dir = dir ? dir : folder.path,
                                .append_wait_ms = 60000,
                                .retention_ms = INT64_C(86400000) * 36500};
    tr_store *s;
    check(tr_store_open(&options, &s, &err), &err);
    make_spans m = {.seed = 1,
                    .start_ns = START,
                    .step_ns = 86400000000000 / (spans / PER_TRACE + 1),
                    .per_trace = PER_TRACE};
    sx_buf body;
    sx_buf_init(&body, 0);
    double making = 0, decoding = 0, appending = 0, peak = 0, began = now_s(), cpu0 = cpu_s();
    uint64_t body_bytes = 0, done = 0;
    while (done < spans) {
        double t0 = thread_s();
        make_body(&m, &body);
        double t1 = thread_s();
        span_batch *b = span_batch_new(0);
        span_refused refused = {0};
        check(span_read_otlp(sx_buf_view(&body), &(span_limits){0}, b, &refused, &err), &err);
        double t2 = thread_s();
        check(tr_store_append(s, b, &err), &err);
        double t3 = thread_s();
        making += t1 - t0;
        decoding += t2 - t1;
        appending += t3 - t2;
        body_bytes += body.len;
        done += b->count;
        span_batch_unref(b);
        if (done % 50000 == 0) {
            double mb = resident_mb();
            peak = mb > peak ? mb : peak;
            double due = began + (rate ? (double)done / (double)rate : 0);
            if (due > now_s())
                (void)poll(NULL, 0, (int)((due - now_s()) * 1e3));
        }
    }
    double wall = now_s() - began;
    check(tr_store_flush(s, &err), &err);
    check(tr_store_compact(s, &err), &err);
    double cpu = cpu_s() - cpu0, n = (double)done;
    tr_store_stats about;
    tr_store_about(s, &about);
    if (spans == 0) {
        printf("spans %" PRIu64 "\nsegments %" PRIu64 "\n", about.spans, about.segments);
        ask(s, about.spans / PER_TRACE);
        n = 0;
    }
    if (n == 0)
        goto out;
    printf("spans %.0f\nwall %.2f s\nresident_peak %.1f MB\n", n, wall, peak);
    printf("otlp_bytes %.1f B/span\ndisk_bytes %.1f B/span\nsegments %" PRIu64 "\n",
           (double)body_bytes / n, (double)about.segment_bytes / n, about.segments);
    printf("make %.0f ns/span\ndecode %.0f ns/span\nappend %.0f ns/span\n", making / n * 1e9,
           decoding / n * 1e9, appending / n * 1e9);
    printf("cpu_all %.0f ns/span\n", cpu / n * 1e9);
    printf("cpu_store %.0f ns/span (all but making and decoding)\n",
           (cpu - making - decoding) / n * 1e9);
    ask(s, done / PER_TRACE);
out:
    printf("resident_after %.1f MB\n", resident_mb());
    double t = now_s();
    tr_store_close(s);
    check(tr_store_open(&options, &s, &err), &err);
    printf("close_and_open %.1f ms\n", (now_s() - t) * 1e3);
    tr_store_close(s);
    sx_buf_done(&body);
    folder_remove(folder.path);
    return 0;
}

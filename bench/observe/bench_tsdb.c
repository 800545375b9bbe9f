/* bench_tsdb.c - what the metric store costs: a sample appended, read, replayed; a series kept.
 *
 *   bench_tsdb [SERIES [SCRAPES [FOLDER]]]      1000000 series, 30 scrapes, a folder under /tmp
 *
 * The load is like a fleet of node_exporters: SERIES / 1000 instances of 1000 series with 8 labels,
 * scraped every 15 s; of five values two stand still, two are counters and one is noise. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "observe/tsdb/db.h"

enum { PER_INSTANCE = 1000, STEP_MS = 15000 };

static void check(sx_status status, const sx_error *err)
{
    if (status == SX_OK)
        return;
    fprintf(stderr, "bench_tsdb: %s\n", err->message);
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void print(const char *name, double value, const char *unit)
{
    printf("%-28s %12.1f %s\n", name, value, unit);
    fflush(stdout);
}

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

typedef struct load {
    size_t series;
    tsdb_ref *refs;
    double *values;
    int64_t t;
} load;

static double next_value(load *l, size_t i)
{
    switch (i % 5) {
    case 0:
    case 1:
        return l->values[i];
    case 2:
    case 3:
        return l->values[i] += (double)(next_random() % 1000);
    default:
        return l->values[i] = (double)(next_random() % 1000000) / 1000;
    }
}

static void make_series(load *l, tsdb_appender *a)
{
    static const char *const CPUS[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    char metric[64], instance[64], device[32];
    sx_error err = {0};
    double begin = seconds(CLOCK_MONOTONIC);
    for (size_t i = 0; i < l->series; i++) {
        size_t host = i / PER_INSTANCE, n = i % PER_INSTANCE;
        snprintf(metric, sizeof metric, "node_metric_number_%zu_total", n / 8);
        snprintf(instance, sizeof instance, "host-%zu.example.org:9100", host);
        snprintf(device, sizeof device, "dev%zu", n % 4);
        tsdb_label items[] = {
            {TSDB_METRIC_NAME, sx_str_z(metric)},
            {SX_STR("cluster"), SX_STR("eu-west-1")},
            {SX_STR("cpu"), sx_str_z(CPUS[n % 8])},
            {SX_STR("device"), sx_str_z(device)},
            {SX_STR("env"), SX_STR("production")},
            {SX_STR("instance"), sx_str_z(instance)},
            {SX_STR("job"), SX_STR("node")},
            {SX_STR("mode"), n % 2 ? SX_STR("user") : SX_STR("system")},
        };
        tsdb_labels labels = {items, 8};
        tsdb_refusal why;
        check(a->ops->series(a, labels, tsdb_labels_hash(labels), &l->refs[i], &why, &err), &err);
        l->values[i] = (double)(next_random() % 100000);
        if (n == PER_INSTANCE - 1)
            check(a->ops->commit(a, &err), &err);
    }
    check(a->ops->commit(a, &err), &err);
    print("new series", (seconds(CLOCK_MONOTONIC) - begin) * 1e9 / (double)l->series, "ns");
}

static void scrape_all(load *l, tsdb_appender *a, size_t scrapes)
{
    sx_error err = {0};
    double wall = 0, cpu = 0;
    for (size_t k = 0; k < scrapes; k++, l->t += STEP_MS) {
        double w = seconds(CLOCK_MONOTONIC), c = seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (size_t i = 0; i < l->series; i++) {
            tsdb_refusal why;
            check(a->ops->sample(a, l->refs[i], l->t, next_value(l, i), &why, &err), &err);
            if (i % PER_INSTANCE == PER_INSTANCE - 1)
                check(a->ops->commit(a, &err), &err);
        }
        check(a->ops->commit(a, &err), &err);
        wall += seconds(CLOCK_MONOTONIC) - w;
        cpu += seconds(CLOCK_PROCESS_CPUTIME_ID) - c;
    }
    double samples = (double)(l->series * scrapes);
    print("append, wall", wall * 1e9 / samples, "ns/sample");
    print("append, cpu", cpu * 1e9 / samples, "ns/sample");
}

static void query(tsdb *db, const char *what, tsdb_matcher *m, size_t count)
{
    tsdb_queryable *from = tsdb_queryable_of(db);
    tsdb_querier *q;
    tsdb_selection found;
    tsdb_columns c;
    sx_arena arena, samples;
    sx_error err = {0};
    char name[64];
    sx_arena_init(&arena, 1 << 20, 0);
    sx_arena_init(&samples, 0, 0);
    tsdb_columns_init(&c, &samples);
    tsdb_hints hints = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    check(from->querier(from, INT64_MIN, INT64_MAX, &q, &err), &err);
    double begin = seconds(CLOCK_MONOTONIC);
    check(q->ops->select(q, &hints, m, count, &arena, &found, NULL, &err), &err);
    double selected = seconds(CLOCK_MONOTONIC);
    size_t read = 0;
    for (size_t i = 0; i < found.count; i++) {
        c.count = 0;
        check(q->ops->read(q, &found.items[i], INT64_MIN, INT64_MAX, &c, &err), &err);
        read += c.count;
    }
    double end = seconds(CLOCK_MONOTONIC);
    snprintf(name, sizeof name, "select %s (%zu)", what, found.count);
    print(name, (selected - begin) * 1e6, "us");
    if (read) {
        snprintf(name, sizeof name, "read %s", what);
        print(name, (end - selected) * 1e9 / (double)read, "ns/sample");
    }
    q->ops->free(q);
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
}

static void queries(tsdb *db)
{
    tsdb_matcher m[2];
    sx_error err = {0};
    check(tsdb_matcher_init(&m[0], TSDB_MATCH_EQUAL, TSDB_METRIC_NAME,
                            SX_STR("node_metric_number_5_total"), &err),
          &err);
    check(tsdb_matcher_init(&m[1], TSDB_MATCH_EQUAL, SX_STR("instance"),
                            SX_STR("host-7.example.org:9100"), &err),
          &err);
    query(db, "metric+instance", m, 2);
    query(db, "metric", m, 1);
    query(db, "metric again", m, 1);
    check(tsdb_matcher_init(&m[1], TSDB_MATCH_REGEX, SX_STR("instance"), SX_STR("host-.*7.*:9100"),
                            &err),
          &err);
    query(db, "metric+regex", m, 2);
    query(db, "regex", m + 1, 1);
}

int main(int argc, char **argv)
{
    load l = {.series = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000};
    size_t scrapes = argc > 2 ? strtoull(argv[2], NULL, 10) : 30;
    char folder[256];
    snprintf(folder, sizeof folder, "%s/sextant-bench-tsdb-%d", argc > 3 ? argv[3] : "/tmp",
             (int)getpid());
    l.refs = sx_calloc(l.series, sizeof *l.refs);
    l.values = sx_calloc(l.series, sizeof *l.values);
    l.t = sx_clock_ms(sx_clock_system());
    double before = resident_bytes();
    tsdb_options options = {.retention_ms = INT64_C(86400000) * 365};
    tsdb *db;
    tsdb_appender *a;
    sx_error err = {0};
    check(tsdb_open(folder, &options, &db, &err), &err);
    check(tsdb_appendable_of(db)->appender(tsdb_appendable_of(db), &a, &err), &err);
    make_series(&l, a);
    print("empty series", (resident_bytes() - before) / (double)l.series, "bytes");
    scrape_all(&l, a, scrapes);
    /* refs and values are the load's own. */
    double own = (double)l.series * (sizeof *l.refs + sizeof *l.values);
    print("resident", (resident_bytes() - before - own) / (double)l.series, "bytes/series");
    tsdb_stats stats;
    tsdb_stats_read(db, &stats);
    print("head", (double)stats.head_bytes / (double)l.series, "bytes/series");
    print("log", (double)stats.wal_bytes / (double)stats.appended[0], "bytes/sample");
    queries(db);
    a->ops->free(a);
    tsdb_close(db);

    double begin = seconds(CLOCK_MONOTONIC);
    check(tsdb_open(folder, &options, &db, &err), &err);
    check(tsdb_appendable_of(db)->appender(tsdb_appendable_of(db), &a, &err), &err);
    double taken = seconds(CLOCK_MONOTONIC) - begin;
    print("replay", (double)(l.series * scrapes) / taken / 1e6, "M samples/s");
    print("replay, whole", taken * 1e3, "ms");
    a->ops->free(a);
    tsdb_close(db);
    printf("folder %s\n", folder);
    sx_free(l.refs);
    sx_free(l.values);
    return 0;
}

/* bench_tsdb_restart.c - how soon a store that was killed answers rightly, and what snapshots cost.
 *
 *   bench_tsdb_restart [SERIES [SCRAPES [BEHIND [FOLDER]]]]    1000000 series, 60 scrapes, 1 behind
 *
 * A child takes SCRAPES samples of every series as fast as it can, then BEHIND scrapes more that no
 * snapshot has (0 to 5 minutes of them at one every 15 s: 0 to 20), and dies by SIGKILL. The parent
 * opens the folder and asks for the newest sample of every series of one metric. With BEHIND -1
 * nothing is arranged: whatever snapshot there was when the load ended is used. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "observe/tsdb/head_image.h"

enum { PER_INSTANCE = 1000, STEP_MS = 15000 };

static void check(sx_status status, const sx_error *err)
{
    if (status == SX_OK)
        return;
    fprintf(stderr, "bench_tsdb_restart: %s\n", err->message);
    _exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print(const char *name, double value, const char *unit)
{
    printf("%-34s %12.1f %s\n", name, value, unit);
    fflush(stdout);
}

static void note(void *context, bool warning, const char *line)
{
    (void)context;
    if (warning)
        fprintf(stderr, "%s\n", line);
}

static void make_series(tsdb_appender *a, tsdb_ref *refs, size_t count)
{
    char metric[64], instance[64], device[32];
    sx_error err = {0};
    for (size_t i = 0; i < count; i++) {
        size_t host = i / PER_INSTANCE, n = i % PER_INSTANCE;
        snprintf(metric, sizeof metric, "node_metric_number_%zu_total", n / 8);
        snprintf(instance, sizeof instance, "host-%zu.example.org:9100", host);
        snprintf(device, sizeof device, "dev%zu", n % 8);
        tsdb_label items[] = {
            {TSDB_METRIC_NAME, sx_str_z(metric)},     {SX_STR("cluster"), SX_STR("eu-west-1")},
            {SX_STR("device"), sx_str_z(device)},     {SX_STR("env"), SX_STR("production")},
            {SX_STR("instance"), sx_str_z(instance)}, {SX_STR("job"), SX_STR("node")},
        };
        tsdb_labels labels = {items, 6};
        tsdb_refusal why;
        check(a->ops->series(a, labels, tsdb_labels_hash(labels), &refs[i], &why, &err), &err);
        if (n == PER_INSTANCE - 1)
            check(a->ops->commit(a, &err), &err);
    }
    check(a->ops->commit(a, &err), &err);
}

/* Scrape `k` of all series: counters that rise unevenly. */
static void scrape(tsdb_appender *a, const tsdb_ref *refs, size_t count, size_t k, int64_t t)
{
    sx_error err = {0};
    tsdb_refusal why;
    for (size_t i = 0; i < count; i++) {
        double v = (double)(k * 1000 + (i * 7919 + k * 104729) % 997);
        check(a->ops->sample(a, refs[i], t, v, &why, &err), &err);
        if (i % PER_INSTANCE == PER_INSTANCE - 1)
            check(a->ops->commit(a, &err), &err);
    }
    check(a->ops->commit(a, &err), &err);
}

static tsdb_appender *open_both(const char *folder, tsdb **db)
{
    tsdb_options options = {.retention_ms = INT64_C(86400000) * 365, .note = note};
    tsdb_appender *a;
    sx_error err = {0};
    check(tsdb_open(folder, &options, db, &err), &err);
    check(tsdb_appendable_of(*db)->appender(tsdb_appendable_of(*db), &a, &err), &err);
    return a;
}

static void load_and_die(const char *folder, size_t series, size_t scrapes, long behind,
                         int64_t start)
{
    tsdb *db;
    tsdb_appender *a = open_both(folder, &db);
    tsdb_ref *refs = sx_calloc(series, sizeof *refs);
    tsdb_stats stats;
    sx_error err = {0};
    make_series(a, refs, series);
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    for (size_t k = 0; k < scrapes; k++)
        scrape(a, refs, series, k, start + (int64_t)k * STEP_MS);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = seconds(CLOCK_MONOTONIC) - wall;
    tsdb_stats_read(db, &stats);
    print("load, wall", wall, "s");
    print("load, cpu", cpu * 1e9 / (double)(series * scrapes), "ns/sample");
    print("snapshots during the load", (double)stats.snapshots, "");
    if (behind >= 0) {
        double begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
        db->image.wanted = true;
        check(tsdb_image_write(db, &err), &err);
        print("snapshot, cpu", (seconds(CLOCK_PROCESS_CPUTIME_ID) - begin) * 1e3, "ms");
        db->options.snapshot_interval_ms = -1; /* no further one */
        for (long k = 0; k < behind; k++)
            scrape(a, refs, series, scrapes + (size_t)k, start + ((int64_t)scrapes + k) * STEP_MS);
    }
    tsdb_stats_read(db, &stats);
    print("snapshot, wall", (double)stats.snapshot_ns / 1e6, "ms");
    print("snapshot, longest pause", (double)stats.snapshot_pause_ns / 1e6, "ms");
    print("snapshot, size", (double)stats.snapshot_bytes / 1e6, "MB");
    print("log behind the snapshot",
          (double)(tsdb_wal_written(db->wal) + tsdb_wal_written(db->wbl) - db->image.logged) / 1e6,
          "MB");
    kill(getpid(), SIGKILL);
}

/* Whether every series of a metric has its newest sample. */
static bool ask(tsdb *db, size_t series, int64_t newest)
{
    tsdb_queryable *from = tsdb_queryable_of(db);
    tsdb_querier *q;
    tsdb_selection found;
    tsdb_columns c;
    tsdb_matcher m;
    sx_arena arena;
    sx_error err = {0};
    sx_arena_init(&arena, 1 << 20, 0);
    tsdb_columns_init(&c, &arena);
    tsdb_hints hints = {.min_t = newest - 300000, .max_t = newest};
    check(tsdb_matcher_init(&m, TSDB_MATCH_EQUAL, TSDB_METRIC_NAME,
                            SX_STR("node_metric_number_5_total"), &err),
          &err);
    check(from->querier(from, newest - 300000, newest, &q, &err), &err);
    check(q->ops->select(q, &hints, &m, 1, &arena, &found, NULL, &err), &err);
    bool right = found.count == series / PER_INSTANCE * 8;
    for (size_t i = 0; i < found.count && right; i++) {
        c.count = 0;
        check(q->ops->read(q, &found.items[i], newest - 300000, newest, &c, &err), &err);
        right = c.count && c.t[c.count - 1] == newest;
    }
    q->ops->free(q);
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
    return right;
}

int main(int argc, char **argv)
{
    size_t series = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    size_t scrapes = argc > 2 ? strtoull(argv[2], NULL, 10) : 60;
    long behind = argc > 3 ? strtol(argv[3], NULL, 10) : 1;
    char folder[256];
    snprintf(folder, sizeof folder, "%s/sextant-bench-restart-%d", argc > 4 ? argv[4] : "/tmp",
             (int)getpid());
    int64_t start = sx_clock_ms(sx_clock_system()) - (int64_t)scrapes * STEP_MS;
    pid_t child = fork();
    if (child == 0)
        load_and_die(folder, series, scrapes, behind, start);
    int how;
    waitpid(child, &how, 0);
    if (!WIFSIGNALED(how))
        return 1;
    int64_t newest = start + ((int64_t)scrapes + (behind > 0 ? behind : 0) - 1) * STEP_MS;
    tsdb_options options = {.retention_ms = INT64_C(86400000) * 365, .note = note};
    tsdb *db;
    sx_error err = {0};
    double begin = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    check(tsdb_open(folder, &options, &db, &err), &err);
    bool right = ask(db, series, newest);
    print("first answer", (seconds(CLOCK_MONOTONIC) - begin) * 1e3, "ms");
    print("first answer, cpu", (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e3, "ms");
    printf("%-34s %12s\n", "it is right", right ? "yes" : "NO");
    begin = seconds(CLOCK_MONOTONIC);
    tsdb_close(db);
    print("clean stop", (seconds(CLOCK_MONOTONIC) - begin) * 1e3, "ms");
    begin = seconds(CLOCK_MONOTONIC);
    check(tsdb_open(folder, &options, &db, &err), &err);
    right = ask(db, series, newest);
    print("first answer after a clean stop", (seconds(CLOCK_MONOTONIC) - begin) * 1e3, "ms");
    options.snapshot_interval_ms = -1;
    tsdb_close(db);
    begin = seconds(CLOCK_MONOTONIC);
    check(tsdb_open(folder, &options, &db, &err), &err);
    right = ask(db, series, newest) && right;
    print("first answer without a snapshot", (seconds(CLOCK_MONOTONIC) - begin) * 1e3, "ms");
    tsdb_close(db);
    printf("folder %s\n", folder);
    return right ? 0 : 1;
}

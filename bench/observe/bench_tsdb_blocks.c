/* bench_tsdb_blocks.c - what blocks cost: cut from the head, merged, read; bytes of a sample.
 *
 *   bench_tsdb_blocks [SERIES [HOURS]]      5000 series, 10 hours, a folder under /tmp
 *
 * The load is that of bench_tsdb: a scrape every 15 s; of five values two stand still, two are counters
 * and one is noise. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sextant/mem.h>
#include <sextant/random.h>

#include "observe/tsdb/db.h"

enum { STEP_MS = 15000 };
static const int64_t START = INT64_C(1700006400000);

static void check(sx_status status, const sx_error *err)
{
    if (status == SX_OK)
        return;
    fprintf(stderr, "bench_tsdb_blocks: %s\n", err->message);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void feed(tsdb *db, unsigned series, unsigned hours)
{
    sx_error err = {0};
    sx_random random;
    tsdb_appender *a;
    tsdb_refusal why;
    tsdb_ref *refs = sx_calloc(series, sizeof *refs);
    double *values = sx_calloc(series, sizeof *values);
    if (!refs || !values)
        exit(1);
    sx_random_seed(&random, 1);
    check(tsdb_appendable_of(db)->appender(tsdb_appendable_of(db), &a, &err), &err);
    for (unsigned i = 0; i < series; i++) {
        char name[32], instance[32];
        snprintf(name, sizeof name, "metric_%u", i % 500);
        snprintf(instance, sizeof instance, "host-%u:9100", i / 500);
        tsdb_label items[] = {{TSDB_METRIC_NAME, sx_str_z(name)},
                              {SX_STR("instance"), sx_str_z(instance)},
                              {SX_STR("job"), SX_STR("node")}};
        tsdb_labels l = {items, 3};
        check(a->ops->series(a, l, tsdb_labels_hash(l), &refs[i], &why, &err), &err);
    }
    for (unsigned k = 0; k < hours * 240; k++) {
        for (unsigned i = 0; i < series; i++) {
            if (i % 5 == 2 || i % 5 == 3)
                values[i] += (double)sx_random_below(&random, 100);
            else if (i % 5 == 4)
                values[i] = sx_random_double(&random);
            check(a->ops->sample(a, refs[i], START + (int64_t)k * STEP_MS, values[i], &why, &err),
                  &err);
        }
        check(a->ops->commit(a, &err), &err);
    }
    a->ops->free(a);
    sx_free(refs);
    sx_free(values);
}

static void read_all(tsdb *db, int64_t to)
{
    sx_error err = {0};
    tsdb_querier *q;
    tsdb_selection found;
    tsdb_columns c;
    sx_arena arena;
    tsdb_hints hints = {.min_t = START, .max_t = to};
    tsdb_matcher m = {.kind = TSDB_MATCH_EQUAL, .name = SX_STR("job"), .value = SX_STR("node")};
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    for (unsigned round = 0; round < 2; round++) {
        double begin = now();
        size_t samples = 0;
        check(tsdb_queryable_of(db)->querier(tsdb_queryable_of(db), START, to, &q, &err), &err);
        check(q->ops->select(q, &hints, &m, 1, &arena, &found, NULL, &err), &err);
        double selected = now();
        for (size_t i = 0; i < found.count; i++) {
            c.count = 0;
            check(q->ops->read(q, &found.items[i], START, to, &c, &err), &err);
            samples += c.count;
        }
        double end = now();
        if (round == 1) { /* the first fills the page cache */
            printf("select_ns_per_series %.0f ns\n",
                   (selected - begin) * 1e9 / (double)found.count);
            printf("read_ns_per_sample %.2f ns\n", (end - selected) * 1e9 / (double)samples);
        }
        q->ops->free(q);
    }
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
}

int main(int argc, char **argv)
{
    uint64_t series = 5000, hours = 10;
    if ((argc > 1 && !sx_str_to_u64(sx_str_z(argv[1]), &series)) ||
        (argc > 2 && !sx_str_to_u64(sx_str_z(argv[2]), &hours)) || series == 0 || hours < 4)
        return 2;
    char folder[] = "/tmp/bench-blocks-XXXXXX";
    sx_fake_clock clock;
    sx_error err = {0};
    tsdb *db;
    tsdb_stats stats;
    if (!mkdtemp(folder))
        return 1;
    sx_fake_clock_init(&clock, START);
    tsdb_options options = {.clock = &clock.clock,
                            .fsync = TSDB_FSYNC_NONE,
                            .block_ms_max = 7200000,
                            .retention_ms = INT64_C(1) << 45};
    check(tsdb_open(folder, &options, &db, &err), &err);
    feed(db, (unsigned)series, (unsigned)hours);
    double begin = now();
    check(tsdb_maintain(db, &err), &err);
    double took = now() - begin;
    tsdb_stats_read(db, &stats);
    double samples = (double)(series * (hours / 2 - 1) * 2 * 240);
    printf("cut_ns_per_sample %.1f ns\n", took * 1e9 / samples);
    printf("block_bytes_per_sample %.3f bytes\n", (double)stats.block_bytes / samples);
    uint64_t before = stats.block_bytes;
    tsdb_close(db);
    options.block_ms_max = 7200000 * 9;
    sx_fake_clock_advance(&clock, 120000);
    check(tsdb_open(folder, &options, &db, &err), &err);
    begin = now();
    check(tsdb_maintain(db, &err), &err);
    took = now() - begin;
    tsdb_stats_read(db, &stats);
    printf("compaction_rate %.0f MB/s\n", (double)before / took / 1e6);
    printf("compacted_bytes_per_sample %.3f bytes\n", (double)stats.block_bytes / samples);
    read_all(db, START + (int64_t)(hours / 2 - 1) * 7200000 - 1);
    tsdb_close(db);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0;
}

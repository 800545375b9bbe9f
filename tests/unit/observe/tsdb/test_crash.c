/* test_crash.c - what was acknowledged survives: kill -9 in a loop, and power cuts.
 *
 * SX_KILLS sets how often each policy is killed (17; three policies make the 50 of `make test`). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/tsdb/db.h"
#include "tests/unit/base/cmocka_all.h"
#include "tests/unit/base/temp_folder.h"

enum { SERIES = 40 };
static const int64_t START = INT64_C(1700000000000);

static tsdb_options options_of(unsigned policy)
{
    return (tsdb_options){.retention_ms = INT64_C(86400000) * 36500,
                          .fsync = (tsdb_fsync)policy,
                          .block_ms = 60000,
                          .block_ms_max = 540000,
                          .snapshot_interval_ms = 1, /* with every look at what is due */
                          .wal_segment_bytes = 64 << 10};
}

static int64_t time_of(uint32_t n)
{
    /* Every seventh sample is out of order. */
    return START + (n % 7 == 3 ? -(int64_t)n * 1000 : (int64_t)n * 1000);
}

/* Batch n has one sample of one series; false if it was not acknowledged. */
static bool append_one(tsdb_appender *a, uint32_t n)
{
    char name[32];
    snprintf(name, sizeof name, "metric_%u", n % SERIES);
    tsdb_label items[] = {{TSDB_METRIC_NAME, sx_str_z(name)}, {SX_STR("job"), SX_STR("crash")}};
    tsdb_labels labels = {items, 2};
    tsdb_ref ref;
    tsdb_refusal why;
    sx_error err;
    return a->ops->series(a, labels, tsdb_labels_hash(labels), &ref, &why, &err) == SX_OK &&
           a->ops->sample(a, ref, time_of(n), n, &why, &err) == SX_OK && why == TSDB_TAKEN &&
           a->ops->commit(a, &err) == SX_OK;
}

static tsdb_appender *open_both(const char *dir, const tsdb_options *options, tsdb **db)
{
    tsdb_appender *a;
    sx_error err = {0};
    if (tsdb_open(dir, options, db, &err) != SX_OK ||
        tsdb_appendable_of(*db)->appender(tsdb_appendable_of(*db), &a, &err) != SX_OK) {
        fprintf(stderr, "%s\n", err.message);
        return NULL;
    }
    return a;
}

/* How many of the samples first..last-1 are not there. */
static size_t count_lost(tsdb *db, uint32_t first, uint32_t last)
{
    tsdb_queryable *from = tsdb_queryable_of(db);
    tsdb_querier *q;
    tsdb_selection found;
    tsdb_hints hints = {.min_t = INT64_MIN, .max_t = INT64_MAX, .sorted = true};
    sx_arena arena;
    tsdb_columns c;
    sx_error err = {0};
    bool *seen = sx_calloc(last + 1u, sizeof *seen);
    size_t lost = 0;
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    assert_int_equal(from->querier(from, INT64_MIN, INT64_MAX, &q, &err), SX_OK);
    assert_int_equal(q->ops->select(q, &hints, NULL, 0, &arena, &found, NULL, &err), SX_OK);
    for (size_t i = 0; i < found.count; i++) {
        c.count = 0;
        assert_int_equal(q->ops->read(q, &found.items[i], INT64_MIN, INT64_MAX, &c, &err), SX_OK);
        for (size_t k = 0; k < c.count; k++) {
            uint32_t n = (uint32_t)c.v[k];
            assert_int_equal(c.t[k], time_of(n)); /* nothing that was never appended */
            if (n < last)
                seen[n] = true;
        }
    }
    for (uint32_t n = first; n < last; n++)
        lost += !seen[n];
    q->ops->free(q);
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
    sx_free(seen);
    return lost;
}

static void run_child(const char *dir, const tsdb_options *options, uint32_t first, int to)
{
    tsdb *db;
    tsdb_appender *a = open_both(dir, options, &db);
    sx_error err;
    for (uint32_t n = first; a && append_one(a, n); n++) {
        if (write(to, &n, sizeof n) != sizeof n)
            break;
        if (n % 40 == 0) /* it dies in cuts and compactions as well */
            (void)tsdb_maintain(db, &err);
    }
    _exit(1);
}

static void kill_in_a_loop(unsigned policy)
{
    temp_folder f;
    assert_int_equal(temp_folder_make(&f), 0);
    char dir[128];
    snprintf(dir, sizeof dir, "%s/data", f.path);
    tsdb_options options = options_of(policy);
    const char *kills = getenv("SX_KILLS");
    uint64_t rounds = 17;
    if (kills)
        assert_true(sx_str_to_u64(sx_str_z(kills), &rounds));
    uint32_t next = 0;
    unsigned seed = policy + 1;
    for (uint64_t round = 0; round < rounds; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            run_child(dir, &options, next, ends[1]);
        close(ends[1]);
        uint32_t n, wanted = (uint32_t)(rand_r(&seed) % 400), got = 0;
        while (got < wanted && read(ends[0], &n, sizeof n) == sizeof n)
            got++;
        kill(child, SIGKILL);
        while (read(ends[0], &n, sizeof n) == sizeof n) /* acknowledged before it died */
            got++;
        close(ends[0]);
        waitpid(child, NULL, 0);
        next += got + 1; /* one more may be in the log without having been told */

        tsdb *db;
        tsdb_appender *a = open_both(dir, &options, &db);
        assert_non_null(a);
        assert_true(count_lost(db, 0, next) <= 1);
        assert_true(append_one(a, next - 1)); /* and if it is there, it is the same */
        a->ops->free(a);
        tsdb_stats stats;
        tsdb_stats_read(db, &stats);
        assert_true(stats.wal_corruptions <= 1); /* a torn end */
        tsdb_close(db);
        db = NULL;
        assert_non_null(a = open_both(dir, &options, &db));
        assert_int_equal(count_lost(db, 0, next), 0);
        a->ops->free(a);
        tsdb_close(db);
    }
    folder_remove(f.path);
}

static void test_kill_loses_nothing_acknowledged(void **state)
{
    (void)state;
    for (unsigned policy = 0; policy < 3; policy++)
        kill_in_a_loop(policy);
}

/* Cuts the power after every change of the disk and sees what is left. */
static void cut_power(unsigned policy)
{
    enum { BATCHES = 60 };
    temp_folder f;
    assert_int_equal(temp_folder_make(&f), 0);
    char dir[128], after[128];
    size_t acknowledged[BATCHES];
    sx_error err = {0};
    sx_fake_clock clock;
    sx_fake_clock_init(&clock, START);
    tsdb_options options = options_of(policy);
    options.clock = &clock.clock;
    snprintf(dir, sizeof dir, "%s/disk", f.path);
    assert_int_equal(sx_folder_make(dir, &err), SX_OK);
    assert_int_equal(sx_fault_disk_start(dir, &err), SX_OK);
    char data[160];
    snprintf(data, sizeof data, "%s/data", dir);
    tsdb *db;
    tsdb_appender *a = open_both(data, &options, &db);
    assert_non_null(a);
    size_t synced[BATCHES]; /* changes when the disk had batch n for sure */
    for (uint32_t n = 0; n < BATCHES; n++) {
        assert_true(append_one(a, n));
        acknowledged[n] = sx_fault_disk_ops();
        if (n % 10 == 9) { /* a second passes */
            sx_fake_clock_advance(&clock, 1000);
            if (tsdb_maintain(db, &err) != SX_OK)
                fail_msg("%s", err.message);
            for (uint32_t k = n - 9; k <= n; k++)
                synced[k] = sx_fault_disk_ops();
        }
    }
    size_t ops = sx_fault_disk_ops();
    for (size_t op = 0; op <= ops; op += policy == TSDB_FSYNC_ALWAYS ? 13 : 5)
        for (uint64_t seed = 0; seed < 4; seed++) {
            snprintf(after, sizeof after, "%s/after", f.path);
            assert_int_equal(sx_fault_disk_cut(op, seed, after, &err), SX_OK);
            char left[160];
            snprintf(left, sizeof left, "%s/data", after);
            const size_t *safe = policy == TSDB_FSYNC_ALWAYS ? acknowledged : synced;
            uint32_t done = 0;
            while (policy != TSDB_FSYNC_NONE && done < BATCHES && safe[done] <= op)
                done++;
            tsdb *again;
            tsdb_appender *b = open_both(left, &options, &again);
            assert_non_null(b);
            if (count_lost(again, 0, done) != 0)
                fail_msg("policy %u: a cut after %zu changes, seed %d, lost of %u", policy, op,
                         (int)seed, done);
            b->ops->free(b);
            tsdb_close(again);
            folder_remove(after);
        }
    a->ops->free(a);
    tsdb_close(db);
    assert_int_equal(sx_fault_disk_stop(&err), SX_OK);
    folder_remove(f.path);
}

static void test_power_cuts_cost_what_the_policy_says(void **state)
{
    (void)state;
    for (unsigned policy = 0; policy < 3; policy++)
        cut_power(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill_loses_nothing_acknowledged),
        cmocka_unit_test(test_power_cuts_cost_what_the_policy_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

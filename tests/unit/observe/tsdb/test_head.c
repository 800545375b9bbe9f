/* test_head.c - the head under threads, without memory, and as it lets go of what is old. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/tsdb/db_internal.h"
#include "tests/unit/base/cmocka_all.h"
#include "tests/unit/base/temp_folder.h"

static const int64_t NOW = INT64_C(1700000000000);
static const int64_t HOUR = 3600000;

/* As after a cut, only that no block was written. */
static sx_status let_go(tsdb *db, int64_t t, sx_error *err)
{
    uint32_t ended;
    sx_status status = tsdb_wal_cut(db->wbl, &ended, err);
    tsdb_head_begin_cut(db->head, t);
    return status == SX_OK ? tsdb_truncate(db, t, tsdb_wal_segment(db->wbl), err) : status;
}

static tsdb_ref series_of(tsdb_appender *a, const char *name, unsigned i)
{
    char number[16];
    snprintf(number, sizeof number, "%u", i);
    tsdb_label items[] = {{TSDB_METRIC_NAME, sx_str_z(name)}, {SX_STR("i"), sx_str_z(number)}};
    tsdb_labels labels = {items, 2};
    tsdb_ref ref = 0;
    tsdb_refusal why;
    sx_error err;
    return a->ops->series(a, labels, tsdb_labels_hash(labels), &ref, &why, &err) == SX_OK ? ref : 0;
}

/* Opens, appends, reads, deletes, closes; any step may fail for memory. */
static sx_status use_database(const char *dir, const tsdb_options *options)
{
    tsdb *db = NULL;
    tsdb_appender *a = NULL;
    tsdb_querier *q = NULL;
    tsdb_selection found;
    tsdb_columns c;
    tsdb_refusal why;
    sx_arena arena;
    sx_error err = {0};
    tsdb_matcher m = {.kind = TSDB_MATCH_EQUAL, .name = SX_STR("i"), .value = SX_STR("3")};
    tsdb_hints hints = {.min_t = INT64_MIN, .max_t = INT64_MAX, .sorted = true};
    tsdb_exemplar exemplar = {.value = 1, .t = NOW, .has_t = true};
    tsdb_metadata metadata = {SX_STR("counter"), SX_STR("help"), SX_STR("")};
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    sx_status status = tsdb_open(dir, options, &db, &err);
    if (status == SX_OK)
        status = tsdb_appendable_of(db)->appender(tsdb_appendable_of(db), &a, &err);
    for (unsigned i = 0; i < 40 && status == SX_OK; i++) {
        tsdb_ref ref = series_of(a, "m", i % 20);
        if (!ref) {
            status = SX_ENOMEM;
            break;
        }
        for (int k = 0; k < 130 && status == SX_OK; k++)
            status = a->ops->sample(a, ref, NOW + k * 1000, k, &why, &err);
        if (status == SX_OK)
            status = a->ops->sample(a, ref, NOW - 1000 * i, i, &why, &err);
        if (status == SX_OK)
            status = a->ops->exemplar(a, ref, &exemplar, &why, &err);
        if (status == SX_OK)
            status = a->ops->metadata(a, ref, &metadata, &err);
    }
    if (status == SX_OK)
        status = a->ops->commit(a, &err);
    if (status == SX_OK)
        status =
            tsdb_queryable_of(db)->querier(tsdb_queryable_of(db), INT64_MIN, INT64_MAX, &q, &err);
    if (status == SX_OK)
        status = q->ops->select(q, &hints, &m, 1, &arena, &found, NULL, &err);
    if (status == SX_OK) {
        assert_int_equal(found.count, 1);
        status = q->ops->read(q, &found.items[0], INT64_MIN, INT64_MAX, &c, &err);
    }
    if (status == SX_OK)
        assert_true(c.count >= 130);
    if (status == SX_OK)
        status = tsdb_delete(db, NOW, NOW + 1000, &m, 1, &err);
    if (status == SX_OK)
        status = let_go(db, NOW + HOUR, &err);
    if (q)
        q->ops->free(q);
    if (a)
        a->ops->free(a);
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
    tsdb_close(db);
    return status;
}

static void test_memory_may_run_out_anywhere(void **state)
{
    (void)state;
    temp_folder f;
    assert_int_equal(temp_folder_make(&f), 0);
    sx_fake_clock clock;
    sx_fake_clock_init(&clock, NOW);
    tsdb_options options = {.clock = &clock.clock,
                            .fsync = TSDB_FSYNC_NONE,
                            .shards = 2,
                            .exemplars_max = 8,
                            .out_of_order_ms = HOUR};
    /* Most of the later calls are the same few in a loop. */
    for (int64_t nth = 1;; nth += 1 + nth / 16) {
        const char *dir = in_folder(&f, "data");
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = use_database(dir, &options);
        bool all = sx_fault_alloc_calls() < nth;
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (all) {
            assert_int_equal(status, SX_OK);
            break;
        }
        assert_true(status == SX_OK || status == SX_ENOMEM);
        folder_remove(dir);
    }
    folder_remove(f.path);
}

/* A database of its own for the tests below. */
typedef struct fixture {
    temp_folder folder;
    sx_fake_clock clock;
    tsdb *db;
} fixture;

static int set_up(void **state)
{
    fixture *f = sx_calloc(1, sizeof *f);
    *state = f;
    assert_int_equal(temp_folder_make(&f->folder), 0);
    sx_fake_clock_init(&f->clock, NOW);
    tsdb_options options = {
        .clock = &f->clock.clock, .fsync = TSDB_FSYNC_NONE, .wal_segment_bytes = 128 << 10};
    sx_error err;
    return tsdb_open(in_folder(&f->folder, "data"), &options, &f->db, &err);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    tsdb_close(f->db);
    folder_remove(f->folder.path);
    sx_free(f);
    return 0;
}

static void append_range(fixture *f, const char *name, unsigned series, int64_t from, int count)
{
    tsdb_appender *a;
    sx_error err = {0};
    assert_int_equal(tsdb_appendable_of(f->db)->appender(tsdb_appendable_of(f->db), &a, &err),
                     SX_OK);
    for (unsigned i = 0; i < series; i++) {
        tsdb_ref ref = series_of(a, name, i);
        tsdb_refusal why;
        for (int k = 0; k < count; k++)
            assert_int_equal(a->ops->sample(a, ref, from + k * 15000, k, &why, &err), SX_OK);
    }
    if (a->ops->commit(a, &err) != SX_OK)
        fail_msg("%s", err.message);
    a->ops->free(a);
}

static size_t count_samples(fixture *f, const char *name)
{
    tsdb_querier *q;
    tsdb_selection found;
    tsdb_columns c;
    sx_arena arena;
    sx_error err;
    tsdb_matcher m = {.kind = TSDB_MATCH_EQUAL, .name = TSDB_METRIC_NAME, .value = sx_str_z(name)};
    tsdb_hints hints = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    assert_int_equal(
        tsdb_queryable_of(f->db)->querier(tsdb_queryable_of(f->db), INT64_MIN, INT64_MAX, &q, &err),
        SX_OK);
    assert_int_equal(q->ops->select(q, &hints, &m, 1, &arena, &found, NULL, &err), SX_OK);
    for (size_t i = 0; i < found.count; i++)
        assert_int_equal(q->ops->read(q, &found.items[i], INT64_MIN, INT64_MAX, &c, &err), SX_OK);
    size_t count = c.count;
    q->ops->free(q);
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
    return count;
}

static void reopen(fixture *f)
{
    sx_error err;
    tsdb_options options = f->db->options;
    tsdb_close(f->db);
    assert_int_equal(tsdb_open(in_folder(&f->folder, "data"), &options, &f->db, &err), SX_OK);
}

static void test_truncation_drops_the_old_and_keeps_the_new(void **state)
{
    fixture *f = *state;
    sx_error err = {0};
    append_range(f, "old", 200, NOW, 300);
    append_range(f, "both", 50, NOW, 1200);
    tsdb_stats before, after;
    tsdb_stats_read(f->db, &before);
    int64_t cut = NOW + 600 * 15000;
    if (let_go(f->db, cut, &err) != SX_OK)
        fail_msg("%s", err.message);
    tsdb_stats_read(f->db, &after);
    assert_int_equal(before.series, 250);
    assert_int_equal(after.series, 50);
    assert_true(after.wal_bytes < before.wal_bytes);
    assert_int_equal(count_samples(f, "old"), 0);
    size_t left = count_samples(f, "both");
    assert_true(left >= 50 * 600 && left < 50 * 800); /* whole chunks go */
    append_range(f, "new", 10, NOW + 2000 * 15000, 10);
    assert_int_equal(let_go(f->db, cut, &err), SX_OK); /* frees what waited for readers */
    f->db->options.snapshot_interval_ms = -1; /* a snapshot has whole chunks, as the head had */
    reopen(f);
    assert_int_equal(count_samples(f, "old"), 0);
    assert_int_equal(count_samples(f, "both"), 50 * 600); /* the log kept just these */
    assert_int_equal(count_samples(f, "new"), 100);
}

static void test_ids_are_used_again_and_selected_rightly(void **state)
{
    fixture *f = *state;
    sx_error err;
    for (int round = 0; round < 6; round++) {
        char name[16];
        snprintf(name, sizeof name, "round%d", round);
        int64_t t = NOW + round * HOUR;
        append_range(f, name, 700 + 31 * (unsigned)round, t, 3);
        assert_int_equal(count_samples(f, name), (700 + 31 * round) * 3);
        assert_int_equal(let_go(f->db, t + 15000 * 3, &err), SX_OK);
        assert_int_equal(let_go(f->db, t + 15000 * 3, &err), SX_OK);
        assert_int_equal(count_samples(f, name), 0);
    }
    tsdb_stats stats;
    tsdb_stats_read(f->db, &stats);
    assert_int_equal(stats.series, 0);
    assert_int_equal(stats.label_pairs, 0);
}

static void test_deleted_samples_stay_hidden_and_later_ones_are_seen(void **state)
{
    fixture *f = *state;
    sx_error err;
    tsdb_matcher m = {.kind = TSDB_MATCH_EQUAL, .name = SX_STR("i"), .value = SX_STR("1")};
    append_range(f, "m", 3, NOW, 200);
    assert_int_equal(tsdb_delete(f->db, NOW + 15000, INT64_MAX, &m, 1, &err), SX_OK);
    assert_int_equal(count_samples(f, "m"), 401);
    append_range(f, "m", 3, NOW + 200 * 15000, 1);
    assert_int_equal(count_samples(f, "m"), 404);
    reopen(f);
    assert_int_equal(count_samples(f, "m"), 404);
}

/* --- Threads. */

typedef struct crowd {
    fixture *f;
    _Atomic bool stop;
    _Atomic unsigned next;
} crowd;

enum { ROUNDS = 60, OF_EACH = 40 };

static void *append_much(void *context)
{
    crowd *c = context;
    unsigned me = atomic_fetch_add(&c->next, 1);
    tsdb_appender *a;
    sx_error err;
    if (tsdb_appendable_of(c->f->db)->appender(tsdb_appendable_of(c->f->db), &a, &err) != SX_OK)
        return NULL;
    for (int k = 0; k < ROUNDS; k++) {
        for (unsigned i = 0; i < OF_EACH; i++) {
            tsdb_refusal why;
            tsdb_ref ref = series_of(a, "shared", i);
            (void)a->ops->sample(a, ref, NOW + k * 15000, k, &why, &err);
            ref = series_of(a, "own", me * 1000 + i + 50 * (unsigned)(k / 20));
            (void)a->ops->sample(a, ref, NOW + k * 15000, k, &why, &err);
        }
        if (a->ops->commit(a, &err) != SX_OK)
            break;
    }
    a->ops->free(a);
    return NULL;
}

static void *query_much(void *context)
{
    crowd *c = context;
    while (!atomic_load(&c->stop))
        (void)count_samples(c->f, "shared");
    return NULL;
}

static void *keep_house(void *context)
{
    crowd *c = context;
    sx_error err;
    for (int k = 0; !atomic_load(&c->stop); k++) {
        (void)tsdb_maintain(c->f->db, &err);
        (void)let_go(c->f->db, NOW + (k % 40) * 15000, &err);
        tsdb_stats stats;
        tsdb_stats_read(c->f->db, &stats);
    }
    return NULL;
}

static void test_many_threads_see_one_database(void **state)
{
    fixture *f = *state;
    crowd c = {.f = f};
    pthread_t threads[6];
    void *(*const RUN[6])(void *) = {query_much,  query_much,  keep_house,
                                     append_much, append_much, append_much};
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, RUN[i], &c), 0);
    for (unsigned i = 6; i-- > 0;) {
        if (i == 2)
            atomic_store(&c.stop, true);
        pthread_join(threads[i], NULL);
    }
    /* Three threads append the same samples to the shared series: the newest are there once. */
    size_t count = count_samples(f, "shared");
    assert_true(count >= OF_EACH * 20 && count <= OF_EACH * ROUNDS);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_may_run_out_anywhere),
        T(test_truncation_drops_the_old_and_keeps_the_new),
        T(test_ids_are_used_again_and_selected_rightly),
        T(test_deleted_samples_stay_hidden_and_later_ones_are_seen),
        T(test_many_threads_see_one_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

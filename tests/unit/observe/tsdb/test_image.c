/* test_image.c - snapshots of the head: used whole or not at all, and never a wrong answer. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sextant/file.h>
#include <sextant/hash.h>
#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/tsdb/head_image.h"
#include "tests/unit/base/cmocka_all.h"
#include "tests/unit/base/temp_folder.h"

static const int64_t NOW = INT64_C(1700000000000);
enum { SERIES = 150, STEP = 15000 };

typedef struct fixture {
    temp_folder folder;
    sx_fake_clock clock;
    tsdb_options options;
    tsdb *db;
    char notes[2000];
} fixture;

static void take_note(void *context, bool warning, const char *line)
{
    fixture *f = context;
    (void)warning;
    size_t len = strlen(f->notes);
    snprintf(f->notes + len, sizeof f->notes - len, "%s\n", line);
}

static void open_db(fixture *f)
{
    sx_error err = {0};
    f->notes[0] = '\0';
    if (tsdb_open(in_folder(&f->folder, "data"), &f->options, &f->db, &err) != SX_OK)
        fail_msg("%s", err.message);
    if (tsdb_wait_ready(f->db, &err) != SX_OK)
        fail_msg("%s", err.message);
}

static void reopen_db(fixture *f)
{
    tsdb_close(f->db);
    f->db = NULL;
    open_db(f);
}

static int set_up(void **state)
{
    fixture *f = sx_calloc(1, sizeof *f);
    *state = f;
    assert_int_equal(temp_folder_make(&f->folder), 0);
    sx_fake_clock_init(&f->clock, NOW);
    f->options = (tsdb_options){.clock = &f->clock.clock,
                                .fsync = TSDB_FSYNC_NONE,
                                .retention_ms = INT64_C(86400000) * 365,
                                .note = take_note,
                                .note_context = f};
    open_db(f);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    tsdb_close(f->db);
    folder_remove(f->folder.path);
    sx_free(f);
    return 0;
}

static tsdb_ref series_of(tsdb_appender *a, const char *name, int i)
{
    char number[16];
    snprintf(number, sizeof number, "%d", i);
    tsdb_label items[] = {{TSDB_METRIC_NAME, sx_str_z(name)}, {SX_STR("i"), sx_str_z(number)}};
    tsdb_labels labels = {items, 2};
    tsdb_ref ref = 0;
    tsdb_refusal why;
    sx_error err;
    assert_int_equal(a->ops->series(a, labels, tsdb_labels_hash(labels), &ref, &why, &err), SX_OK);
    return ref;
}

static tsdb_appender *appender_of(tsdb *db)
{
    tsdb_appender *a;
    sx_error err = {0};
    assert_int_equal(tsdb_appendable_of(db)->appender(tsdb_appendable_of(db), &a, &err), SX_OK);
    return a;
}

/* Samples [from, to) of all series, in order, and of some series the rest that a head can have. */
static void fill(tsdb *db, const char *name, int from, int to)
{
    static const tsdb_span SPAN = {.offset = 0, .length = 1};
    static const double COUNT = 3;
    tsdb_appender *a = appender_of(db);
    tsdb_refusal why;
    sx_error err = {0};
    for (int k = from; k < to; k++) {
        for (int i = 0; i < SERIES; i++) {
            tsdb_ref ref = series_of(a, name, i);
            int64_t t = NOW + (int64_t)k * STEP;
            assert_int_equal(a->ops->sample(a, ref, t, i * 1000 + k % 17, &why, &err), SX_OK);
            if (i % 10 == 3 && k % 5 == 0) /* late ones */
                assert_int_equal(a->ops->sample(a, ref, NOW - t % 1000003, k, &why, &err), SX_OK);
            if (i % 50 == 7) {
                tsdb_exemplar e = {.value = k, .t = t, .has_t = true};
                assert_int_equal(a->ops->exemplar(a, ref, &e, &why, &err), SX_OK);
            }
        }
        tsdb_histogram h = {.sum = k,
                            .count = 3,
                            .integer = true,
                            .positive_spans = &SPAN,
                            .positive_span_count = 1,
                            .positive = &COUNT,
                            .positive_count = 1};
        tsdb_ref ref = series_of(a, "histogram", 1);
        assert_int_equal(a->ops->histogram(a, ref, NOW + (int64_t)k * STEP, &h, &why, &err), SX_OK);
        tsdb_metadata m = {SX_STR("counter"), sx_str_z(name), SX_STR("")};
        assert_int_equal(a->ops->metadata(a, series_of(a, name, 0), &m, &err), SX_OK);
        assert_int_equal(a->ops->commit(a, &err), SX_OK);
    }
    a->ops->free(a);
}

/* All that can be asked of the head, as text. */
static void dump(tsdb *db, sx_buf *out)
{
    tsdb_queryable *from = tsdb_queryable_of(db);
    tsdb_querier *q;
    tsdb_selection found;
    tsdb_hints hints = {.min_t = INT64_MIN, .max_t = INT64_MAX, .sorted = true};
    tsdb_columns c;
    sx_arena arena;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(from->querier(from, INT64_MIN, INT64_MAX, &q, &err), SX_OK);
    assert_int_equal(q->ops->select(q, &hints, NULL, 0, &arena, &found, NULL, &err), SX_OK);
    for (size_t i = 0; i < found.count; i++) {
        tsdb_columns_init(&c, &arena);
        if (q->ops->read(q, &found.items[i], INT64_MIN, INT64_MAX, &c, &err) != SX_OK)
            fail_msg("%s", err.message);
        for (uint32_t k = 0; k < found.items[i].labels.count; k++)
            sx_buf_printf(out, "%.*s,", SX_ARG(found.items[i].labels.items[k].value));
        for (size_t k = 0; k < c.count; k++)
            sx_buf_printf(out, " %lld=%g%s", (long long)c.t[k],
                          c.h && c.h[k] ? c.h[k]->sum : c.v[k], c.h && c.h[k] ? "h" : "");
        sx_buf_byte(out, '\n');
        tsdb_columns_done(&c);
    }
    tsdb_metadata_of *metadata;
    size_t count;
    assert_int_equal(tsdb_metadata_read(db, SX_STR(""), 0, &arena, &metadata, &count, &err), SX_OK);
    sx_buf_printf(out, "metadata %zu exemplars %zu\n", count, db->side.ring_count);
    q->ops->free(q);
    sx_arena_done(&arena);
}

static void check_same(tsdb *db, const sx_buf *want)
{
    sx_buf got;
    sx_buf_init(&got, 0);
    dump(db, &got);
    if (got.len != want->len || memcmp(got.data, want->data, got.len) != 0) {
        size_t at = 0;
        while (at < got.len && at < want->len && got.data[at] == want->data[at])
            at++;
        fail_msg("differs at %zu of %zu, %zu: '%.*s' '%.*s'", at, got.len, want->len,
                 (int)(got.len - at < 60 ? got.len - at : 60), got.data + at,
                 (int)(want->len - at < 60 ? want->len - at : 60), want->data + at);
    }
    sx_buf_done(&got);
}

static void image_path(fixture *f, char path[200])
{
    snprintf(path, 200, "%s/data/sextant/head-snapshot", f->folder.path);
}

static void read_image(fixture *f, sx_buf *out)
{
    char path[200];
    sx_error err;
    image_path(f, path);
    sx_buf_init(out, 0);
    assert_int_equal(sx_file_read(path, 0, out, &err), SX_OK);
}

static void write_image(fixture *f, sx_str bytes)
{
    char path[200];
    sx_error err;
    image_path(f, path);
    assert_int_equal(sx_file_replace(path, bytes, &err), SX_OK);
}

static bool was_used(const fixture *f)
{
    return f->db->image.bytes != 0;
}

static void test_a_start_from_a_snapshot_has_all(void **state)
{
    fixture *f = *state;
    sx_buf want;
    sx_error err;
    sx_buf_init(&want, 0);
    tsdb_matcher m = {.kind = TSDB_MATCH_EQUAL, .name = SX_STR("i"), .value = SX_STR("5")};
    fill(f->db, "a", 0, 300);
    assert_int_equal(tsdb_delete(f->db, NOW, NOW + 10 * STEP, &m, 1, &err), SX_OK);
    dump(f->db, &want);
    for (unsigned round = 0; round < 3; round++) {
        reopen_db(f);
        assert_string_equal(f->notes, "");
        assert_true(was_used(f));
        check_same(f->db, &want);
    }
    /* It goes on as if nothing had been: new samples, new series, more full chunks. */
    fill(f->db, "a", 300, 500);
    fill(f->db, "b", 0, 10);
    sx_buf_clear(&want);
    dump(f->db, &want);
    reopen_db(f);
    assert_true(was_used(f));
    check_same(f->db, &want);
    f->options.snapshot_interval_ms = -1; /* and the log says the same */
    reopen_db(f);
    assert_false(was_used(f));
    check_same(f->db, &want);
    sx_buf_done(&want);
}

/* Fills in another process, which dies by kill -9. */
static void fill_and_die(fixture *f, void (*more)(fixture *f))
{
    tsdb_close(f->db);
    f->db = NULL;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        open_db(f);
        more(f);
        kill(getpid(), SIGKILL);
    }
    int how;
    waitpid(child, &how, 0);
    assert_true(WIFSIGNALED(how));
    open_db(f);
}

static void snapshot_and_more(fixture *f)
{
    tsdb_matcher m = {.kind = TSDB_MATCH_EQUAL, .name = SX_STR("i"), .value = SX_STR("9")};
    sx_error err;
    fill(f->db, "a", 0, 200);
    if (tsdb_delete(f->db, NOW, NOW + 7 * STEP, &m, 1, &err) != SX_OK ||
        tsdb_image_write(f->db, &err) != SX_OK)
        _exit(1);
    fill(f->db, "a", 200, 290);
    fill(f->db, "c", 100, 130);
}

static void test_what_came_after_the_snapshot_is_read_from_the_log(void **state)
{
    fixture *f = *state;
    sx_buf want;
    sx_buf_init(&want, 0);
    fill_and_die(f, snapshot_and_more);
    assert_true(was_used(f));
    assert_string_equal(f->notes, "");
    dump(f->db, &want);
    assert_non_null(strstr(sx_buf_view(&want).data, "c,")); /* the new series */
    char path[200];
    image_path(f, path);
    tsdb_close(f->db);
    assert_int_equal(unlink(path), 0);
    open_db(f);
    assert_false(was_used(f));
    check_same(f->db, &want);
    sx_buf_done(&want);
}

static void test_damage_anywhere_means_the_log_is_read(void **state)
{
    fixture *f = *state;
    sx_buf want, good;
    sx_buf_init(&want, 0);
    fill(f->db, "a", 0, 130);
    dump(f->db, &want);
    tsdb_close(f->db);
    read_image(f, &good);
    tsdb_image_trailer t;
    memcpy(&t, good.data + good.len - sizeof t, sizeof t);
    const tsdb_image_section *sections = (const void *)(good.data + t.directory);
    size_t places[TSDB_HEAD_SHARDS_MAX * 6 + 20], count = 0;
    for (uint32_t i = 0; i < t.sections; i++)
        if (sections[i].bytes && sections[i].shard < 2)
            places[count++] = sections[i].offset + sections[i].bytes / 2;
    const size_t others[] = {0,
                             8,
                             12,
                             16,
                             t.directory,
                             t.directory + 9,
                             good.len - 1,
                             good.len - sizeof t,
                             good.len - sizeof t + 9};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        places[count++] = others[i];
    for (size_t i = 0; i < count; i++) {
        good.data[places[i]] ^= 0x10;
        write_image(f, sx_buf_view(&good));
        good.data[places[i]] ^= 0x10;
        open_db(f);
        if (was_used(f) || !strstr(f->notes, "is not used, the log is read instead"))
            fail_msg("damage at %zu of %zu: %s", places[i], good.len, f->notes);
        check_same(f->db, &want);
        tsdb_close(f->db);
    }
    for (size_t len = 0; len < good.len; len = len * 3 + 1) {
        write_image(f, sx_str_of(good.data, len));
        open_db(f);
        assert_false(was_used(f));
        check_same(f->db, &want);
        tsdb_close(f->db);
    }
    tsdb_image_header h;
    memcpy(&h, good.data, sizeof h);
    h.version++;
    h.crc = sx_crc32c(0, &h, offsetof(tsdb_image_header, crc));
    memcpy(good.data, &h, sizeof h);
    write_image(f, sx_buf_view(&good));
    open_db(f);
    assert_non_null(strstr(f->notes, "another version wrote it"));
    check_same(f->db, &want);
    sx_buf_done(&want);
    sx_buf_done(&good);
}

static void test_one_older_than_the_checkpoint_is_refused(void **state)
{
    fixture *f = *state;
    sx_buf want, old;
    sx_error err;
    sx_buf_init(&want, 0);
    fill(f->db, "a", 0, 100);
    assert_int_equal(tsdb_image_write(f->db, &err), SX_OK);
    read_image(f, &old);
    fill(f->db, "a", 100, 200);
    assert_int_equal(tsdb_truncate(f->db, NOW - 10, 0, &err), SX_OK);
    f->options.snapshot_interval_ms = -1;
    f->db->options.snapshot_interval_ms = -1;
    reopen_db(f);
    dump(f->db, &want);
    f->options.snapshot_interval_ms = 0;
    tsdb_close(f->db);
    write_image(f, sx_buf_view(&old));
    open_db(f);
    assert_false(was_used(f));
    assert_non_null(strstr(f->notes, "was shortened since"));
    check_same(f->db, &want);
    sx_buf_done(&want);
    sx_buf_done(&old);
}

static void test_one_newer_than_the_log_is_used_and_series_are_logged_again(void **state)
{
    fixture *f = *state;
    sx_buf want;
    sx_error err;
    char path[200];
    sx_buf_init(&want, 0);
    fill(f->db, "a", 0, 50);
    dump(f->db, &want);
    tsdb_close(f->db);
    snprintf(path, sizeof path, "%s/data/wal/00000000", f->folder.path);
    assert_int_equal(sx_file_truncate(path, 40, &err), SX_OK);
    open_db(f);
    assert_true(was_used(f));
    assert_non_null(strstr(f->notes, "the log ends before it"));
    check_same(f->db, &want);
    fill(f->db, "a", 50, 60);
    f->options.snapshot_interval_ms = -1;
    f->db->options.snapshot_interval_ms = -1;
    reopen_db(f); /* from the log alone: what came after is whole */
    sx_buf_clear(&want);
    dump(f->db, &want);
    assert_non_null(strstr(want.data, "1700000750000=")); /* 50 */
    assert_non_null(strstr(want.data, "1700000885000=")); /* 59 */
    tsdb_stats stats;
    tsdb_stats_read(f->db, &stats);
    assert_int_equal(stats.series, SERIES + 1);
    sx_buf_done(&want);
}

static void test_a_full_disk_leaves_the_last_one(void **state)
{
    fixture *f = *state;
    sx_buf want;
    sx_error err = {0};
    sx_buf_init(&want, 0);
    fill(f->db, "a", 0, 100);
    assert_int_equal(tsdb_image_write(f->db, &err), SX_OK);
    fill(f->db, "a", 100, 140);
    uint64_t failures = 0;
    for (int nth = 1; nth <= 7; nth++, failures++) {
        sx_fault_file_set((sx_fault_file){.nth = nth,
                                          .and_after = true,
                                          .calls = SX_FAULT_WRITE | SX_FAULT_SYNC | SX_FAULT_RENAME,
                                          .os_errno = 28,
                                          .torn_bytes = 100});
        sx_status status = tsdb_image_write(f->db, &err);
        sx_fault_file_set((sx_fault_file){0});
        assert_int_not_equal(status, SX_OK);
        assert_non_null(strstr(err.message, "snapshot of the head"));
    }
    fill(f->db, "a", 140, 150); /* ingestion has not noticed */
    dump(f->db, &want);
    f->db->options.snapshot_interval_ms = -1; /* none at the end: the last whole one counts */
    tsdb_stats stats;
    tsdb_stats_read(f->db, &stats);
    assert_int_equal(stats.snapshots, 1);
    assert_int_equal(stats.snapshots_failed, failures);
    reopen_db(f);
    assert_true(was_used(f));
    check_same(f->db, &want);
    sx_buf_done(&want);
}

static void test_they_come_by_time_and_after_a_truncation(void **state)
{
    fixture *f = *state;
    sx_error err;
    tsdb_stats stats;
    fill(f->db, "a", 0, 3);
    assert_int_equal(tsdb_maintain(f->db, &err), SX_OK);
    sx_fake_clock_advance(&f->clock, 299000);
    assert_int_equal(tsdb_maintain(f->db, &err), SX_OK);
    tsdb_stats_read(f->db, &stats);
    assert_int_equal(stats.snapshots, 0);
    sx_fake_clock_advance(&f->clock, 1000);
    assert_int_equal(tsdb_maintain(f->db, &err), SX_OK);
    tsdb_stats_read(f->db, &stats);
    assert_int_equal(stats.snapshots, 1);
    sx_fake_clock_advance(&f->clock, 900000); /* nothing was logged */
    assert_int_equal(tsdb_maintain(f->db, &err), SX_OK);
    tsdb_stats_read(f->db, &stats);
    assert_int_equal(stats.snapshots, 1);
    assert_int_equal(tsdb_truncate(f->db, NOW - 10, 0, &err), SX_OK);
    assert_int_equal(tsdb_maintain(f->db, &err), SX_OK);
    tsdb_stats_read(f->db, &stats);
    assert_int_equal(stats.snapshots, 2);
}

/* Commits go on in another thread while snapshots are written, and none is lost or taken twice. */
static _Atomic bool appended; /* all of it: the child's own */

static void *append_all_the_time(void *context)
{
    fill(context, "a", 0, 400);
    atomic_store(&appended, true);
    return NULL;
}

static void write_while_appending(fixture *f)
{
    pthread_t thread;
    sx_error err;
    if (pthread_create(&thread, NULL, append_all_the_time, f->db) != 0)
        _exit(1);
    while (!atomic_load(&appended))
        if (tsdb_image_write(f->db, &err) != SX_OK)
            _exit(1);
    pthread_join(thread, NULL);
}

static void test_snapshots_under_load_agree_with_the_log(void **state)
{
    fixture *f = *state;
    sx_buf want;
    sx_buf_init(&want, 0);
    fill_and_die(f, write_while_appending);
    assert_true(was_used(f));
    dump(f->db, &want);
    f->options.snapshot_interval_ms = -1;
    reopen_db(f);
    check_same(f->db, &want);
    sx_buf_done(&want);
}

static void test_memory_may_run_out_while_it_is_read(void **state)
{
    fixture *f = *state;
    sx_buf want;
    sx_buf_init(&want, 0);
    fill(f->db, "a", 0, 20);
    dump(f->db, &want);
    tsdb_close(f->db);
    bool through = false;
    for (int64_t nth = 1; !through; nth += 1 + nth / 8) {
        sx_error err = {0};
        tsdb *db = NULL;
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = tsdb_open(in_folder(&f->folder, "data"), &f->options, &db, &err);
        if (status == SX_OK)
            status = tsdb_wait_ready(db, &err);
        through = sx_fault_alloc_calls() < nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (status == SX_OK)
            check_same(db, &want);
        else
            assert_int_equal(status, SX_ENOMEM);
        tsdb_close(db);
    }
    open_db(f);
    check_same(f->db, &want);
    sx_buf_done(&want);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_a_start_from_a_snapshot_has_all),
        T(test_what_came_after_the_snapshot_is_read_from_the_log),
        T(test_damage_anywhere_means_the_log_is_read),
        T(test_one_older_than_the_checkpoint_is_refused),
        T(test_one_newer_than_the_log_is_used_and_series_are_logged_again),
        T(test_a_full_disk_leaves_the_last_one),
        T(test_they_come_by_time_and_after_a_truncation),
        T(test_snapshots_under_load_agree_with_the_log),
        T(test_memory_may_run_out_while_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

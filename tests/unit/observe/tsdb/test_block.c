/* test_block.c - blocks: cut, merged, deleted from, kept so long and no longer, damaged. */
#include <stdio.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/tsdb/blocks.h"
#include "tests/unit/base/cmocka_all.h"
#include "tests/unit/base/temp_folder.h"

static const int64_t START = INT64_C(1700006400000); /* a multiple of two hours */
static const int64_t MINUTE = 60000, HOUR = 3600000;

typedef struct fixture {
    temp_folder folder;
    sx_fake_clock clock;
    tsdb_options options;
    tsdb *db;
    size_t notes;
} fixture;

static void note(void *context, bool warning, const char *line)
{
    (void)warning;
    (void)line;
    ((fixture *)context)->notes++;
}

static void open_db(fixture *f)
{
    sx_error err = {0};
    if (tsdb_open(in_folder(&f->folder, "data"), &f->options, &f->db, &err) != SX_OK)
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    fixture *f = sx_calloc(1, sizeof *f);
    *state = f;
    assert_int_equal(temp_folder_make(&f->folder), 0);
    sx_fake_clock_init(&f->clock, START);
    f->options = (tsdb_options){.clock = &f->clock.clock,
                                .fsync = TSDB_FSYNC_NONE,
                                .retention_ms = 1000 * HOUR,
                                .note = note,
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

static void reopen(fixture *f)
{
    tsdb_close(f->db);
    f->db = NULL;
    open_db(f);
}

/* One sample a minute of {__name__=m, i=...} for `series` series; the value is the time's minute. */
static sx_status append(tsdb *db, unsigned series, int64_t from, int64_t to, sx_error *err)
{
    tsdb_appender *a;
    tsdb_appendable *into = tsdb_appendable_of(db);
    sx_status status = into->appender(into, &a, err);
    if (status != SX_OK)
        return status;
    for (int64_t t = from; t < to && status == SX_OK; t += MINUTE)
        for (unsigned i = 0; i < series && status == SX_OK; i++) {
            char number[16];
            snprintf(number, sizeof number, "%u", i);
            tsdb_label items[] = {{TSDB_METRIC_NAME, SX_STR("m")}, {SX_STR("i"), sx_str_z(number)}};
            tsdb_labels labels = {items, 2};
            tsdb_ref ref;
            tsdb_refusal why;
            status = a->ops->series(a, labels, tsdb_labels_hash(labels), &ref, &why, err);
            if (status == SX_OK)
                status = a->ops->sample(a, ref, t, (double)((t - START) / MINUTE), &why, err);
        }
    if (status == SX_OK)
        status = a->ops->commit(a, err);
    a->ops->free(a);
    return status;
}

static void must_append(fixture *f, unsigned series, int64_t from, int64_t to)
{
    sx_error err = {0};
    if (append(f->db, series, from, to, &err) != SX_OK)
        fail_msg("%s", err.message);
}

static void must_maintain(fixture *f)
{
    sx_error err = {0};
    sx_fake_clock_advance(&f->clock, 2 * MINUTE);
    if (tsdb_maintain(f->db, &err) != SX_OK)
        fail_msg("%s", err.message);
}

/* Samples of all series a regular expression about i selects; each is checked. */
static sx_status count(tsdb *db, const char *regex, size_t *samples, sx_error *err)
{
    tsdb_queryable *from = tsdb_queryable_of(db);
    tsdb_querier *q;
    tsdb_selection found = {0};
    tsdb_matcher m;
    tsdb_columns c;
    sx_arena arena;
    tsdb_hints hints = {.min_t = INT64_MIN, .max_t = INT64_MAX, .sorted = true};
    *samples = 0;
    sx_status status = tsdb_matcher_init(&m, TSDB_MATCH_REGEX, SX_STR("i"), sx_str_z(regex), err);
    if (status != SX_OK)
        return status;
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    status = from->querier(from, INT64_MIN, INT64_MAX, &q, err);
    if (status == SX_OK) {
        status = q->ops->select(q, &hints, &m, 1, &arena, &found, NULL, err);
        for (size_t i = 0; i < found.count && status == SX_OK; i++) {
            c.count = 0;
            status = q->ops->read(q, &found.items[i], INT64_MIN, INT64_MAX, &c, err);
            *samples += c.count;
            for (size_t k = 0; k < c.count && status == SX_OK; k++)
                assert_true(c.v[k] == (double)((c.t[k] - START) / MINUTE));
        }
        q->ops->free(q);
    }
    tsdb_matcher_done(&m);
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
    return status;
}

static size_t must_count(fixture *f, const char *regex)
{
    size_t samples;
    sx_error err = {0};
    if (count(f->db, regex, &samples, &err) != SX_OK)
        fail_msg("%s", err.message);
    return samples;
}

static size_t blocks_of(fixture *f, tsdb_block_info *first)
{
    sx_arena arena;
    tsdb_block_info *blocks;
    size_t n;
    sx_error err;
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(tsdb_blocks(f->db, &arena, &blocks, &n, &err), SX_OK);
    if (n && first)
        *first = blocks[0];
    sx_arena_done(&arena);
    return n;
}

/* --- */

static void test_a_block_is_cut_when_the_head_spans_one_and_a_half(void **state)
{
    fixture *f = *state;
    must_append(f, 5, START, START + 3 * HOUR);
    must_maintain(f);
    assert_int_equal(blocks_of(f, NULL), 0);
    must_append(f, 5, START + 3 * HOUR, START + 3 * HOUR + 2 * MINUTE);
    must_maintain(f);
    tsdb_block_info first;
    assert_int_equal(blocks_of(f, &first), 1);
    assert_true(first.min_t == START && first.max_t == START + 2 * HOUR);
    assert_int_equal(first.samples, 5 * 120);
    assert_int_equal(must_count(f, ".*"), 5 * 182);
    reopen(f);
    assert_int_equal(must_count(f, ".*"), 5 * 182);
    assert_int_equal(must_count(f, "1|3"), 2 * 182);
    assert_int_equal(must_count(f, "[^0]"), 4 * 182);
}

static void test_blocks_grow_by_three(void **state)
{
    fixture *f = *state;
    for (int h = 0; h < 40; h += 2) {
        must_append(f, 3, START + h * HOUR, START + (h + 2) * HOUR);
        must_maintain(f);
    }
    tsdb_block_info first;
    assert_true(blocks_of(f, &first) <= 7);
    assert_true(first.level >= 3);
    assert_int_equal(must_count(f, ".*"), 3 * 40 * 60);
}

static void test_late_samples_end_in_the_block_of_their_time(void **state)
{
    fixture *f = *state;
    must_append(f, 4, START + 20 * HOUR, START + 24 * HOUR);
    must_maintain(f);
    must_append(f, 4, START, START + 21 * HOUR); /* some are there already */
    assert_int_equal(must_count(f, ".*"), 4 * 24 * 60);
    reopen(f);
    assert_int_equal(must_count(f, ".*"), 4 * 24 * 60);
    must_append(f, 4, START + 24 * HOUR, START + 27 * HOUR);
    must_maintain(f);
    tsdb_block_info first;
    assert_true(blocks_of(f, &first) > 1);
    assert_true(first.min_t == START);
    assert_int_equal(must_count(f, ".*"), 4 * 27 * 60);
    reopen(f);
    assert_int_equal(must_count(f, ".*"), 4 * 27 * 60);
    must_append(f, 4, START, START + HOUR); /* the same again, below the cut */
    must_append(f, 4, START + 27 * HOUR, START + 31 * HOUR);
    must_maintain(f);
    assert_int_equal(must_count(f, ".*"), 4 * 31 * 60);
}

static void test_what_is_deleted_stays_deleted_and_leaves_the_disk(void **state)
{
    fixture *f = *state;
    sx_error err = {0};
    tsdb_matcher m = {.kind = TSDB_MATCH_EQUAL, .name = SX_STR("i"), .value = SX_STR("2")};
    must_append(f, 4, START, START + 6 * HOUR);
    must_maintain(f);
    assert_int_equal(tsdb_delete(f->db, START + HOUR, START + 2 * HOUR - 1, &m, 1, &err), SX_OK);
    assert_int_equal(must_count(f, "2"), 300);
    assert_int_equal(must_count(f, ".*"), 4 * 360 - 60);
    reopen(f);
    assert_int_equal(must_count(f, "2"), 300);
    if (tsdb_clean_tombstones(f->db, &err) != SX_OK)
        fail_msg("%s", err.message);
    tsdb_block_info first;
    blocks_of(f, &first);
    assert_int_equal(first.tombstones, 0);
    assert_int_equal(first.samples, 4 * 120 - 60);
    assert_int_equal(must_count(f, ".*"), 4 * 360 - 60);
}

static void test_retention_by_time_size_and_matcher(void **state)
{
    fixture *f = *state;
    tsdb_matcher m = {.kind = TSDB_MATCH_EQUAL, .name = SX_STR("i"), .value = SX_STR("1")};
    tsdb_retention_rule rule = {&m, 1, 8 * HOUR};
    f->options.retention_ms = 30 * HOUR;
    f->options.block_ms_max = 2 * HOUR;
    reopen(f);
    sx_fake_clock_advance(&f->clock, 20 * HOUR);
    must_append(f, 3, START, START + 20 * HOUR);
    must_maintain(f);
    assert_int_equal(must_count(f, ".*"), 3 * 1200);
    f->options.rules = &rule;
    f->options.rule_count = 1;
    reopen(f);
    must_maintain(f);
    assert_int_equal(must_count(f, "0"), 1200);
    assert_true(must_count(f, "1") <= 10 * 60 && must_count(f, "1") >= 8 * 60);
    must_append(f, 3, START + 20 * HOUR, START + 40 * HOUR);
    must_maintain(f);
    must_maintain(f);
    assert_true(must_count(f, "0") <= 32 * 60 && must_count(f, "0") >= 30 * 60);
    f->options.retention_bytes = 1;
    reopen(f);
    must_maintain(f);
    assert_int_equal(blocks_of(f, NULL), 0);
}

static void test_another_retention_counts_at_once(void **state)
{
    fixture *f = *state;
    tsdb_matcher m = {.kind = TSDB_MATCH_EQUAL, .name = SX_STR("i"), .value = SX_STR("1")};
    tsdb_retention_rule rule = {&m, 1, 8 * HOUR};
    f->options.retention_ms = 30 * HOUR;
    f->options.block_ms_max = 2 * HOUR;
    reopen(f);
    sx_fake_clock_advance(&f->clock, 20 * HOUR);
    must_append(f, 3, START, START + 20 * HOUR);
    must_maintain(f);
    f->options.rules = &rule;
    f->options.rule_count = 1;
    tsdb_set_retention(f->db, &f->options);
    must_maintain(f);
    assert_true(must_count(f, "1") <= 10 * 60 && must_count(f, "1") >= 8 * 60);
    assert_int_equal(must_count(f, "0"), 1200);
    f->options.rule_count = 0;
    f->options.retention_ms = 10 * HOUR;
    tsdb_set_retention(f->db, &f->options);
    must_maintain(f);
    assert_true(must_count(f, "0") <= 12 * 60 && must_count(f, "0") >= 10 * 60);
    f->options.retention_bytes = 1;
    tsdb_set_retention(f->db, &f->options);
    must_maintain(f);
    assert_int_equal(blocks_of(f, NULL), 0);
}

static void test_a_snapshot_is_a_database(void **state)
{
    fixture *f = *state;
    sx_error err = {0};
    sx_buf name;
    sx_buf_init(&name, 0);
    must_append(f, 4, START, START + 7 * HOUR);
    must_maintain(f);
    if (tsdb_snapshot(f->db, false, &name, &err) != SX_OK)
        fail_msg("%s", err.message);
    char dir[256];
    snprintf(dir, sizeof dir, "%s/snapshots/%.*s", in_folder(&f->folder, "data"), (int)name.len,
             name.data);
    sx_buf_done(&name);
    tsdb *copy;
    size_t samples;
    assert_int_equal(tsdb_open(dir, &f->options, &copy, &err), SX_OK);
    assert_int_equal(count(copy, ".*", &samples, &err), SX_OK);
    assert_int_equal(samples, 4 * 420);
    tsdb_close(copy);
}

static void test_remains_of_an_interrupted_run_are_removed(void **state)
{
    fixture *f = *state;
    sx_file_info info;
    sx_error err;
    const char *made = in_folder(&f->folder, "data/01HF84E400JMJZ7K8CCXS5R3NQ.tmp-for-creation");
    const char *left = in_folder(&f->folder, "data/01HF84E400JMJZ7K8CCXS5R3NQ.tmp-for-deletion");
    assert_int_equal(sx_folder_make(made, &err), SX_OK);
    assert_int_equal(sx_folder_make(left, &err), SX_OK);
    reopen(f);
    assert_int_equal(sx_file_stat(made, &info, NULL), SX_ENOTFOUND);
    assert_int_equal(sx_file_stat(left, &info, NULL), SX_ENOTFOUND);
}

/* Changes or cuts a file of the only block at many places: an answer is right, or it is refused and the
 * block set aside. */
static void damage(fixture *f, const char *file, bool cut)
{
    tsdb_block_info block;
    sx_buf good, bad;
    sx_error err = {0};
    char dir[256], path[300], aside[300];
    sx_buf_init(&good, 0);
    sx_buf_init(&bad, 0);
    assert_int_equal(blocks_of(f, &block), 1);
    snprintf(dir, sizeof dir, "%s/%s", in_folder(&f->folder, "data"), block.ulid);
    snprintf(path, sizeof path, "%s/%s", dir, file);
    snprintf(aside, sizeof aside, "%s.corrupt", dir);
    assert_int_equal(sx_file_read(path, 0, &good, &err), SX_OK);
    size_t step = good.len / 150 + 1;
    for (size_t at = 0; at < good.len; at += step) {
        tsdb_close(f->db);
        f->db = NULL;
        sx_buf_clear(&bad);
        sx_buf_bytes(&bad, good.data, cut ? at : good.len);
        if (!cut)
            bad.data[at] ^= (char)(1 << at % 8);
        assert_int_equal(sx_file_replace(path, sx_buf_view(&bad), &err), SX_OK);
        open_db(f);
        size_t samples = 0;
        sx_status status = count(f->db, ".*", &samples, &err);
        if (status != SX_OK) {
            assert_true(err.message[0] != '\0');
            (void)tsdb_maintain(f->db, &err);
            assert_int_equal(count(f->db, ".*", &samples, &err), SX_OK);
        }
        if (blocks_of(f, NULL) == 0) {
            assert_true(f->notes > 0);
            assert_int_equal(sx_file_rename(aside, dir, &err), SX_OK);
        } else if (sx_str_eq(sx_str_z(file), SX_STR("meta.json")) == false) {
            assert_true(samples >= 2 * 182 || cut);
        }
    }
    tsdb_close(f->db);
    f->db = NULL;
    assert_int_equal(sx_file_replace(path, sx_buf_view(&good), &err), SX_OK);
    open_db(f);
    assert_int_equal(must_count(f, ".*"), 2 * 182);
    sx_buf_done(&good);
    sx_buf_done(&bad);
}

static void test_damage_is_refused_and_set_aside(void **state)
{
    static const char *const FILES[] = {"index", "chunks/000001", "meta.json", "tombstones"};
    fixture *f = *state;
    must_append(f, 2, START, START + 3 * HOUR + 2 * MINUTE);
    must_maintain(f);
    for (unsigned i = 0; i < 4; i++) {
        damage(f, FILES[i], false);
        damage(f, FILES[i], true);
    }
}

static sx_status use_blocks(const char *dir, const tsdb_options *options)
{
    tsdb *db;
    sx_error err = {0};
    size_t samples = 0;
    tsdb_matcher m = {.kind = TSDB_MATCH_EQUAL, .name = SX_STR("i"), .value = SX_STR("0")};
    sx_status status = tsdb_open(dir, options, &db, &err);
    if (status != SX_OK)
        return status;
    status = append(db, 2, START, START + 4 * HOUR, &err);
    if (status == SX_OK)
        status = append(db, 2, START - 2 * HOUR, START, &err);
    if (status == SX_OK)
        status = tsdb_maintain(db, &err);
    if (status == SX_OK)
        status = tsdb_delete(db, START, START + HOUR, &m, 1, &err);
    if (status == SX_OK)
        status = tsdb_clean_tombstones(db, &err);
    if (status == SX_OK)
        status = count(db, ".*", &samples, &err);
    if (status == SX_OK)
        assert_int_equal(samples, 2 * 360 - 61);
    tsdb_close(db);
    return status;
}

static void test_memory_may_run_out_in_any_step(void **state)
{
    fixture *f = *state;
    tsdb_options options = f->options;
    options.shards = 1;
    must_maintain(f); /* its own replay has ended: what it frees is not counted below */
    for (int64_t nth = 1;; nth += 1 + nth / 12) {
        const char *dir = in_folder(&f->folder, "starved");
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = use_blocks(dir, &options);
        bool all = sx_fault_alloc_calls() < nth;
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        folder_remove(dir);
        if (all) {
            assert_int_equal(status, SX_OK);
            break;
        }
    }
}

int main(void)
{
#define BLOCK_TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        BLOCK_TEST(test_a_block_is_cut_when_the_head_spans_one_and_a_half),
        BLOCK_TEST(test_blocks_grow_by_three),
        BLOCK_TEST(test_late_samples_end_in_the_block_of_their_time),
        BLOCK_TEST(test_what_is_deleted_stays_deleted_and_leaves_the_disk),
        BLOCK_TEST(test_retention_by_time_size_and_matcher),
        BLOCK_TEST(test_another_retention_counts_at_once),
        BLOCK_TEST(test_a_snapshot_is_a_database),
        BLOCK_TEST(test_remains_of_an_interrupted_run_are_removed),
        BLOCK_TEST(test_damage_is_refused_and_set_aside),
        BLOCK_TEST(test_memory_may_run_out_in_any_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

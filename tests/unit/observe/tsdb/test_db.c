/* test_db.c - the database as scraping and queries see it: appended, read, closed, opened again. */
#include <math.h>

#include <sextant/mem.h>

#include "tests/unit/base/cmocka_all.h"
#include "base/fault.h"
#include "tests/unit/base/temp_folder.h"
#include "observe/tsdb/db.h"

typedef struct fixture {
    temp_folder folder;
    sx_fake_clock clock;
    tsdb_options options;
    tsdb *db;
} fixture;

static const int64_t NOW = INT64_C(1700000000000);

static void open_db(fixture *f)
{
    sx_error err = {0};
    if (tsdb_open(in_folder(&f->folder, "data"), &f->options, &f->db, &err) != SX_OK)
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
    f->options.clock = &f->clock.clock;
    f->options.fsync = TSDB_FSYNC_NONE;
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

static tsdb_appender *appender_of(fixture *f)
{
    tsdb_appender *a;
    sx_error err = {0};
    tsdb_appendable *to = tsdb_appendable_of(f->db);
    if (to->appender(to, &a, &err) != SX_OK)
        fail_msg("%s", err.message);
    return a;
}

/* {__name__=name, i=i, parity=even|odd} */
static tsdb_ref series_of(tsdb_appender *a, const char *name, int i)
{
    char number[16];
    snprintf(number, sizeof number, "%d", i);
    tsdb_label items[] = {{TSDB_METRIC_NAME, sx_str_z(name)},
                          {SX_STR("i"), sx_str_z(number)},
                          {SX_STR("parity"), i % 2 ? SX_STR("odd") : SX_STR("even")}};
    tsdb_labels labels = {items, 3};
    tsdb_ref ref;
    tsdb_refusal why;
    sx_error err = {0};
    if (a->ops->series(a, labels, tsdb_labels_hash(labels), &ref, &why, &err) != SX_OK)
        fail_msg("%s", err.message);
    assert_int_equal(why, TSDB_TAKEN);
    return ref;
}

static tsdb_refusal append(tsdb_appender *a, tsdb_ref ref, int64_t t, double v)
{
    tsdb_refusal why;
    sx_error err = {0};
    if (a->ops->sample(a, ref, t, v, &why, &err) != SX_OK)
        fail_msg("%s", err.message);
    return why;
}

static void commit(tsdb_appender *a)
{
    sx_error err = {0};
    if (a->ops->commit(a, &err) != SX_OK)
        fail_msg("%s", err.message);
}

/* The samples of the one series that {__name__=name, i=i} selects. */
static void read_one(fixture *f, const char *name, int i, int64_t min_t, int64_t max_t,
                     tsdb_columns *out, sx_arena *arena)
{
    char number[16];
    snprintf(number, sizeof number, "%d", i);
    tsdb_matcher m[2];
    sx_error err = {0};
    tsdb_matcher_init(&m[0], TSDB_MATCH_EQUAL, TSDB_METRIC_NAME, sx_str_z(name), &err);
    tsdb_matcher_init(&m[1], TSDB_MATCH_EQUAL, SX_STR("i"), sx_str_z(number), &err);
    tsdb_queryable *from = tsdb_queryable_of(f->db);
    tsdb_querier *q;
    tsdb_selection found;
    tsdb_hints hints = {.min_t = min_t, .max_t = max_t, .sorted = true};
    assert_int_equal(from->querier(from, min_t, max_t, &q, &err), SX_OK);
    assert_int_equal(q->ops->select(q, &hints, m, 2, arena, &found, NULL, &err), SX_OK);
    out->count = 0;
    if (found.count) {
        assert_int_equal(found.count, 1);
        if (q->ops->read(q, &found.items[0], min_t, max_t, out, &err) != SX_OK)
            fail_msg("%s", err.message);
    }
    q->ops->free(q);
}

static size_t count_selected(fixture *f, const tsdb_matcher *m, size_t count)
{
    tsdb_queryable *from = tsdb_queryable_of(f->db);
    tsdb_querier *q;
    tsdb_selection found;
    sx_error err = {0};
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    tsdb_hints hints = {.min_t = INT64_MIN, .max_t = INT64_MAX, .sorted = true};
    assert_int_equal(from->querier(from, INT64_MIN, INT64_MAX, &q, &err), SX_OK);
    assert_int_equal(q->ops->select(q, &hints, m, count, &arena, &found, NULL, &err), SX_OK);
    for (size_t i = 0; i < found.count; i++)
        assert_true(tsdb_matchers_match(m, count, found.items[i].labels));
    size_t n = found.count;
    q->ops->free(q);
    sx_arena_done(&arena);
    return n;
}

static double value_at(int i, int k)
{
    return i * 1000 + k * (i % 3 ? 1.0 : 0.37);
}

static void fill(fixture *f, int series, int samples)
{
    tsdb_appender *a = appender_of(f);
    for (int k = 0; k < samples; k++) {
        for (int i = 0; i < series; i++)
            assert_int_equal(append(a, series_of(a, "m", i), NOW + k * 15000, value_at(i, k)),
                             TSDB_TAKEN);
        commit(a);
    }
    a->ops->free(a);
}

static void check_filled(fixture *f, int series, int samples)
{
    sx_arena arena;
    tsdb_columns c;
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    for (int i = 0; i < series; i++) {
        read_one(f, "m", i, INT64_MIN, INT64_MAX, &c, &arena);
        assert_int_equal(c.count, samples);
        for (int k = 0; k < samples; k++) {
            assert_int_equal(c.t[k], NOW + k * 15000);
            assert_true(c.v[k] == value_at(i, k));
        }
    }
    read_one(f, "m", 1, NOW + 15000, NOW + 30000, &c, &arena);
    assert_int_equal(c.count, samples < 3 ? samples - 1 : 2);
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
}

static void test_what_was_committed_is_read(void **state)
{
    fixture *f = *state;
    fill(f, 50, 500);
    check_filled(f, 50, 500);
    tsdb_stats stats;
    tsdb_stats_read(f->db, &stats);
    assert_int_equal(stats.series, 50);
    assert_int_equal(stats.appended[0], 25000);
}

static void test_what_was_committed_is_there_after_a_restart(void **state)
{
    fixture *f = *state;
    fill(f, 50, 500);
    reopen_db(f);
    check_filled(f, 50, 500);
    reopen_db(f);
    check_filled(f, 50, 500);
    tsdb_stats stats;
    tsdb_stats_read(f->db, &stats);
    assert_int_equal(stats.wal_corruptions, 0);
}

static void test_rollback_leaves_nothing(void **state)
{
    fixture *f = *state;
    tsdb_appender *a = appender_of(f);
    tsdb_ref ref = series_of(a, "m", 1);
    append(a, ref, NOW, 1);
    a->ops->rollback(a);
    append(a, ref, NOW + 1000, 2); /* the reference lives on, the log learns of it now */
    commit(a);
    a->ops->free(a);
    reopen_db(f);
    sx_arena arena;
    tsdb_columns c;
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    read_one(f, "m", 1, INT64_MIN, INT64_MAX, &c, &arena);
    assert_int_equal(c.count, 1);
    assert_int_equal(c.t[0], NOW + 1000);
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
}

static void test_a_repeated_time_keeps_the_first_value(void **state)
{
    fixture *f = *state;
    tsdb_appender *a = appender_of(f);
    tsdb_ref ref = series_of(a, "m", 1);
    for (int k = 0; k < 300; k++)
        append(a, ref, NOW + k * 1000, k);
    commit(a);
    assert_int_equal(append(a, ref, NOW + 299000, 299), TSDB_TAKEN);
    assert_int_equal(append(a, ref, NOW + 299000, 7), TSDB_DUPLICATE);
    append(a, ref, NOW + 10000, 10);  /* in a full chunk, the same: silently taken */
    append(a, ref, NOW + 11000, 999); /* in a full chunk, another: refused at commit */
    append(a, ref, NOW + 11500, 11.5);
    append(a, ref, NOW + 11500, 12); /* twice in one batch */
    commit(a);
    a->ops->free(a);
    for (int round = 0; round < 2; round++) {
        sx_arena arena;
        tsdb_columns c;
        sx_arena_init(&arena, 0, 0);
        tsdb_columns_init(&c, &arena);
        read_one(f, "m", 1, INT64_MIN, INT64_MAX, &c, &arena);
        assert_int_equal(c.count, 301);
        for (size_t i = 0; i < c.count; i++)
            assert_true(c.v[i] == (double)(c.t[i] - NOW) / 1000);
        tsdb_columns_done(&c);
        sx_arena_done(&arena);
        reopen_db(f);
    }
}

static void test_samples_in_any_order_come_out_sorted(void **state)
{
    fixture *f = *state;
    tsdb_appender *a = appender_of(f);
    tsdb_ref ref = series_of(a, "m", 1);
    enum { N = 1000 };
    for (int k = 0; k < N; k++) {
        int at = k * 7919 % N; /* each number once */
        assert_int_equal(append(a, ref, NOW - at * 1000, at), TSDB_TAKEN);
        if (k % 10 == 0)
            commit(a);
    }
    commit(a);
    a->ops->free(a);
    for (int round = 0; round < 2; round++) {
        sx_arena arena;
        tsdb_columns c;
        sx_arena_init(&arena, 0, 0);
        tsdb_columns_init(&c, &arena);
        read_one(f, "m", 1, INT64_MIN, INT64_MAX, &c, &arena);
        assert_int_equal(c.count, N);
        for (int k = 0; k < N; k++) {
            assert_int_equal(c.t[k], NOW - (N - 1 - k) * 1000);
            assert_true(c.v[k] == N - 1 - k);
        }
        tsdb_columns_done(&c);
        sx_arena_done(&arena);
        reopen_db(f);
    }
}

/* Series of all sorts: on time and not, with whole numbers and any bits, with few samples and with
 * several chunks, with late samples, with one value only, and one that ended early. */
static void fill_all_sorts(fixture *f, int series, int samples)
{
    tsdb_appender *a = appender_of(f);
    uint64_t random = 88172645463325252u;
    for (int k = 0; k < samples; k++) {
        for (int i = 0; i < series; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            double v = (double)(k * 7 + (int)(random % 1000));
            int64_t t = NOW + k * 15000;
            if (i % 5 == 1)
                t += (int64_t)(random % 900); /* late by less than a second */
            if (i % 5 == 2)
                v = (double)random * 0.37e-9;
            if (i % 5 == 3)
                v = 42;
            if ((i % 7 == 6 && k > samples / 3) || (i % 7 == 5 && k < samples - 3))
                continue;
            (void)append(a, series_of(a, "m", i), t, v);
            if (i % 11 == 10 && k % 50 == 20)
                (void)append(a, series_of(a, "m", i), t - 100000, -1);
        }
        commit(a);
    }
    a->ops->free(a);
}

static void same_columns(const tsdb_columns *a, const tsdb_columns *b, bool newest)
{
    if (newest)
        assert_true((b->count > 0) == (a->count > 0) && b->count <= a->count);
    else
        assert_int_equal(a->count, b->count);
    size_t n = newest && a->count ? 1 : b->count;
    if (n) {
        assert_memory_equal(a->t + a->count - n, b->t + b->count - n, n * sizeof *a->t);
        assert_memory_equal(a->v + a->count - n, b->v + b->count - n, n * sizeof *a->v);
    }
}

/* Reads a selection's series in the order given twice: one by one, and with the reader told what
 * follows. */
static void read_both_ways(tsdb_querier *q, const tsdb_selection *found, const uint32_t *order,
                           int64_t min_t, int64_t max_t, bool newest)
{
    tsdb_columns plain, ahead;
    sx_error err = {0};
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&plain, &arena);
    tsdb_columns_init(&ahead, &arena);
    for (size_t i = 0; i < found->count; i++) {
        const tsdb_series *s = &found->items[order ? order[i] : i];
        ahead.newest_only = newest;
        ahead.selected = found->items;
        ahead.order = order ? order + i + 1 : NULL;
        ahead.following = (uint32_t)(found->count - i - 1);
        plain.count = ahead.count = 0;
        assert_int_equal(q->ops->read(q, s, min_t, max_t, &plain, &err), SX_OK);
        assert_int_equal(q->ops->read(q, s, min_t, max_t, &ahead, &err), SX_OK);
        same_columns(&plain, &ahead, newest);
    }
    tsdb_columns_done(&plain);
    tsdb_columns_done(&ahead);
    sx_arena_done(&arena);
}

static void test_reading_ahead_gives_what_reading_gives(void **state)
{
    enum { SERIES = 120, SAMPLES = 200 };
    fixture *f = *state;
    fill_all_sorts(f, SERIES, SAMPLES);
    static const int64_t RANGES[][2] = {{0, SAMPLES}, {SAMPLES - 20, SAMPLES}, {100, 140},
                                        {-5, 3},      {SAMPLES, SAMPLES + 9},  {119, 121}};
    sx_arena arena;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    tsdb_matcher m;
    tsdb_matcher_init(&m, TSDB_MATCH_EQUAL, TSDB_METRIC_NAME, SX_STR("m"), &err);
    for (size_t r = 0; r < SX_COUNT_OF(RANGES); r++) {
        int64_t min_t = NOW + RANGES[r][0] * 15000, max_t = NOW + RANGES[r][1] * 15000;
        tsdb_queryable *from = tsdb_queryable_of(f->db);
        tsdb_querier *q;
        tsdb_selection found;
        tsdb_hints hints = {.min_t = min_t, .max_t = max_t};
        uint32_t order[SERIES];
        assert_int_equal(from->querier(from, min_t, max_t, &q, &err), SX_OK);
        assert_int_equal(q->ops->select(q, &hints, &m, 1, &arena, &found, NULL, &err), SX_OK);
        for (size_t i = 0; i < found.count; i++)
            order[i] = (uint32_t)((i * 37 + 5) % found.count); /* some twice, which is no harm */
        for (int newest = 0; newest < 2; newest++) {
            read_both_ways(q, &found, NULL, min_t, max_t, newest);
            read_both_ways(q, &found, order, min_t, max_t, newest);
        }
        q->ops->free(q);
    }
    sx_arena_done(&arena);
}

static void test_too_old_samples_are_refused(void **state)
{
    fixture *f = *state;
    tsdb_appender *a = appender_of(f);
    tsdb_ref ref = series_of(a, "m", 1);
    assert_int_equal(append(a, ref, NOW - INT64_C(16) * 86400000, 1), TSDB_TOO_OLD);
    a->ops->free(a);
    tsdb_close(f->db);
    f->options.out_of_order_ms = -1;
    open_db(f);
    a = appender_of(f);
    ref = series_of(a, "m", 1);
    append(a, ref, NOW, 1);
    commit(a);
    assert_int_equal(append(a, ref, NOW - 1, 1), TSDB_OUT_OF_ORDER);
    a->ops->free(a);
}

static void test_a_rule_may_keep_longer_than_the_rest(void **state)
{
    static const int64_t DAY = INT64_C(86400000);
    fixture *f = *state;
    sx_error err;
    tsdb_matcher m = {.kind = TSDB_MATCH_EQUAL, .name = SX_STR("i"), .value = SX_STR("1")};
    tsdb_retention_rule rule = {.matchers = &m, .matcher_count = 1, .keep_ms = 100 * DAY};
    f->options.rules = &rule;
    f->options.rule_count = 1;
    reopen_db(f);
    tsdb_appender *a = appender_of(f);
    tsdb_ref ref = series_of(a, "m", 1);
    assert_int_equal(append(a, ref, NOW - 50 * DAY, 1), TSDB_TAKEN);
    assert_int_equal(append(a, ref, NOW - 101 * DAY, 1), TSDB_TOO_OLD);
    assert_int_equal(append(a, ref, NOW, 2), TSDB_TAKEN);
    commit(a);
    a->ops->free(a);
    assert_int_equal(tsdb_maintain(f->db, &err), SX_OK);
    tsdb_stats stats;
    tsdb_stats_read(f->db, &stats);
    assert_true(stats.blocks >= 1); /* the old one was cut, and is kept */
    tsdb_close(f->db);              /* before the rule goes */
    f->options.rule_count = 0;
    f->options.rules = NULL;
    open_db(f);
}

static void test_matchers_select(void **state)
{
    fixture *f = *state;
    fill(f, 100, 1);
    static const struct {
        tsdb_match_kind kind;
        const char *name, *value;
        size_t count;
    } CASES[] = {
        {TSDB_MATCH_EQUAL, "parity", "odd", 50},     {TSDB_MATCH_EQUAL, "parity", "none", 0},
        {TSDB_MATCH_EQUAL, "absent", "", 100},       {TSDB_MATCH_EQUAL, "parity", "", 0},
        {TSDB_MATCH_NOT_EQUAL, "parity", "odd", 50}, {TSDB_MATCH_NOT_EQUAL, "parity", "", 100},
        {TSDB_MATCH_NOT_EQUAL, "absent", "", 0},     {TSDB_MATCH_NOT_EQUAL, "absent", "x", 100},
        {TSDB_MATCH_REGEX, "i", "1|2|3|x|3", 3},     {TSDB_MATCH_REGEX, "i", "1.*", 11},
        {TSDB_MATCH_REGEX, "i", ".*", 100},          {TSDB_MATCH_REGEX, "i", ".+", 100},
        {TSDB_MATCH_REGEX, "absent", ".*", 100},     {TSDB_MATCH_REGEX, "absent", ".+", 0},
        {TSDB_MATCH_REGEX, "absent", "|x", 100},     {TSDB_MATCH_NOT_REGEX, "i", "1.*", 89},
        {TSDB_MATCH_NOT_REGEX, "i", "[0-9]", 90},    {TSDB_MATCH_NOT_REGEX, "absent", ".*", 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        for (size_t k = 0; k < sizeof CASES / sizeof *CASES; k++) {
            tsdb_matcher m[2];
            sx_error err;
            assert_int_equal(tsdb_matcher_init(&m[0], CASES[i].kind, sx_str_z(CASES[i].name),
                                               sx_str_z(CASES[i].value), &err),
                             SX_OK);
            assert_int_equal(tsdb_matcher_init(&m[1], CASES[k].kind, sx_str_z(CASES[k].name),
                                               sx_str_z(CASES[k].value), &err),
                             SX_OK);
            size_t one = count_selected(f, m, 1), both = count_selected(f, m, 2), expected = 0;
            assert_int_equal(one, CASES[i].count);
            for (int n = 0; n < 100; n++) { /* the plain model: every series tried */
                char number[16];
                snprintf(number, sizeof number, "%d", n);
                tsdb_label items[] = {{TSDB_METRIC_NAME, SX_STR("m")},
                                      {SX_STR("i"), sx_str_z(number)},
                                      {SX_STR("parity"), n % 2 ? SX_STR("odd") : SX_STR("even")}};
                expected += tsdb_matchers_match(m, 2, (tsdb_labels){items, 3});
            }
            assert_int_equal(both, expected);
            tsdb_matcher_done(&m[0]);
            tsdb_matcher_done(&m[1]);
        }
}

static void test_histograms_keep_their_buckets(void **state)
{
    fixture *f = *state;
    tsdb_span spans[] = {{-2, 2}, {1, 1}};
    double buckets[] = {1, 5, 2};
    tsdb_histogram h = {.schema = 3,
                        .integer = true,
                        .zero_threshold = 0.001,
                        .zero_count = 4,
                        .count = 12,
                        .sum = 18.4,
                        .positive_spans = spans,
                        .positive_span_count = 2,
                        .positive = buckets,
                        .positive_count = 3};
    tsdb_appender *a = appender_of(f);
    tsdb_ref ref = series_of(a, "m", 1);
    tsdb_refusal why;
    sx_error err = {0};
    assert_int_equal(append(a, ref, NOW, 5), TSDB_TAKEN);
    commit(a);
    for (int k = 1; k < 5; k++) {
        h.integer = k % 2;
        assert_int_equal(a->ops->start(a, ref, NOW + k * 1000, NOW - 1000, &why, &err), SX_OK);
        assert_int_equal(a->ops->histogram(a, ref, NOW + k * 1000, &h, &why, &err), SX_OK);
        assert_int_equal(why, TSDB_TAKEN);
    }
    commit(a);
    assert_int_equal(append(a, ref, NOW + 9000, 6), TSDB_TAKEN);
    commit(a);
    a->ops->free(a);
    for (int round = 0; round < 2; round++) {
        sx_arena arena;
        tsdb_columns c;
        sx_arena_init(&arena, 0, 0);
        tsdb_columns_init(&c, &arena);
        read_one(f, "m", 1, INT64_MIN, INT64_MAX, &c, &arena);
        assert_int_equal(c.count, 6);
        assert_true(c.v[0] == 5 && !c.h[0] && c.v[5] == 6 && !c.h[5]);
        for (int k = 1; k < 5; k++) {
            h.integer = k % 2;
            assert_true(tsdb_histogram_equal(c.h[k], &h));
            assert_int_equal(c.h[k]->integer, k % 2);
            assert_int_equal(c.st[k], NOW - 1000);
        }
        tsdb_columns_done(&c);
        sx_arena_done(&arena);
        reopen_db(f);
    }
}

static void test_the_budget_refuses_new_series_and_keeps_old_ones(void **state)
{
    fixture *f = *state;
    tsdb_close(f->db);
    f->options.series_max = 10;
    open_db(f);
    tsdb_appender *a = appender_of(f);
    tsdb_ref first = series_of(a, "m", 0), ref;
    for (int i = 1; i < 10; i++)
        series_of(a, "m", i);
    tsdb_label items[] = {{TSDB_METRIC_NAME, SX_STR("more")}};
    tsdb_labels labels = {items, 1};
    tsdb_refusal why;
    sx_error err;
    assert_int_equal(a->ops->series(a, labels, tsdb_labels_hash(labels), &ref, &why, &err), SX_OK);
    assert_int_equal(why, TSDB_SERIES_LIMIT);
    assert_int_equal(ref, 0);
    assert_int_equal(append(a, first, NOW, 1), TSDB_TAKEN);
    commit(a);
    a->ops->free(a);
    tsdb_stats stats;
    tsdb_stats_read(f->db, &stats);
    assert_int_equal(stats.refused[TSDB_SERIES_LIMIT], 1);
}

static void test_a_full_disk_refuses_and_then_goes_on(void **state)
{
    fixture *f = *state;
    tsdb_appender *a = appender_of(f);
    sx_error err;
    fill(f, 5, 10);
    for (size_t torn = 0; torn < 40; torn += 13) {
        tsdb_ref ref = series_of(a, "other", (int)torn);
        append(a, ref, NOW, 1);
        sx_fault_file_set((sx_fault_file){.nth = 1,
                                          .and_after = true,
                                          .calls = SX_FAULT_WRITE | SX_FAULT_OPEN,
                                          .os_errno = 28 /* ENOSPC */,
                                          .torn_bytes = torn});
        assert_int_not_equal(a->ops->commit(a, &err), SX_OK);
        sx_fault_file_set((sx_fault_file){0});
        tsdb_stats full;
        tsdb_stats_read(f->db, &full);
        assert_int_equal(full.wal_failures, torn / 13 + 1);
        ref = series_of(a, "after", (int)torn);
        append(a, ref, NOW, 2);
        commit(a);
    }
    a->ops->free(a);
    reopen_db(f);
    check_filled(f, 5, 10);
    tsdb_stats stats;
    tsdb_stats_read(f->db, &stats);
    assert_int_equal(stats.wal_corruptions, 0);
    assert_int_equal(stats.series, 5 + 4);
}

static void test_a_second_opener_is_told_who_has_the_lock(void **state)
{
    fixture *f = *state;
    tsdb *second = NULL;
    sx_error err = {0};
    assert_int_equal(tsdb_open(in_folder(&f->folder, "data"), &f->options, &second, &err),
                     SX_EEXIST);
    assert_non_null(strstr(err.message, "lock"));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_what_was_committed_is_read),
        T(test_what_was_committed_is_there_after_a_restart),
        T(test_rollback_leaves_nothing),
        T(test_a_repeated_time_keeps_the_first_value),
        T(test_samples_in_any_order_come_out_sorted),
        T(test_reading_ahead_gives_what_reading_gives),
        T(test_too_old_samples_are_refused),
        T(test_a_rule_may_keep_longer_than_the_rest),
        T(test_matchers_select),
        T(test_histograms_keep_their_buckets),
        T(test_the_budget_refuses_new_series_and_keeps_old_ones),
        T(test_a_full_disk_refuses_and_then_goes_on),
        T(test_a_second_opener_is_told_who_has_the_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_chunk.c - float chunks: what goes in comes out, and damage is told. That the bytes are
 * Prometheus's own is tested beside it (tests/e2e/test_tsdb.py). */
#include <math.h>
#include <stdio.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/tsdb/chunk.h"
#include "tests/unit/base/cmocka_all.h"

enum { SAMPLES_MAX = 1000 };

static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return random_state >> 11;
}

/* Steps and values of every length that the encoding has. */
static void make_samples(uint64_t seed, size_t count, int64_t *t, double *v)
{
    static const int64_t STEPS[] = {1,     15000, 15000, 15000,   15001,           14999,
                                    23191, 80535, 80537, 1000000, INT64_C(1) << 40};
    static const double VALUES[] = {0, -0.0, 1, INFINITY, -INFINITY, NAN, 5e-324, 1e308, 42};
    random_state = seed;
    int64_t now = seed % 3 ? INT64_C(1700000000000) : -(INT64_C(1) << 50);
    for (size_t i = 0; i < count; i++) {
        now += STEPS[next_random() % (sizeof STEPS / sizeof *STEPS)];
        t[i] = now;
        switch (next_random() % 4) {
        case 0:
            v[i] = VALUES[next_random() % (sizeof VALUES / sizeof *VALUES)];
            break;
        case 1:
            v[i] = (double)(next_random() % 1000);
            break;
        case 2:
            v[i] = i ? v[i - 1] : 7;
            break;
        default:
            v[i] = (double)next_random() / 997;
        }
    }
}

static sx_str pack(const int64_t *t, const double *v, size_t count, sx_arena *arena)
{
    tsdb_columns c = {.t = (int64_t *)t, .v = (double *)v, .count = count, .cap = count};
    tsdb_pack_options options = {.samples_max = SAMPLES_MAX};
    tsdb_packed packed;
    size_t at = 0;
    sx_error err = {0};
    if (tsdb_chunk_pack(&c, &at, &options, arena, &packed, &err) != SX_OK)
        fail_msg("%s", err.message);
    assert_int_equal(at, count);
    assert_int_equal(packed.count, count);
    assert_int_equal(tsdb_chunk_count(packed.encoding, packed.bytes), count);
    return packed.bytes;
}

static void test_what_goes_in_comes_out(void **state)
{
    (void)state;
    static int64_t t[SAMPLES_MAX];
    static double v[SAMPLES_MAX];
    for (uint64_t seed = 1; seed <= 200; seed++) {
        size_t count = 1 + seed * 5 % SAMPLES_MAX;
        sx_arena arena;
        tsdb_columns c;
        sx_error err;
        sx_arena_init(&arena, 0, 0);
        tsdb_columns_init(&c, &arena);
        make_samples(seed, count, t, v);
        sx_str bytes = pack(t, v, count, &arena);
        assert_int_equal(tsdb_chunk_read(TSDB_CHUNK_XOR, bytes, INT64_MIN, INT64_MAX, &c, &err),
                         SX_OK);
        assert_int_equal(c.count, count);
        assert_memory_equal(c.t, t, count * sizeof *t);
        assert_memory_equal(c.v, v, count * sizeof *v);
        size_t from = count / 3, to = count * 2 / 3;
        c.count = 0;
        assert_int_equal(tsdb_chunk_read(TSDB_CHUNK_XOR, bytes, t[from], t[to], &c, &err), SX_OK);
        assert_int_equal(c.count, to - from + 1);
        assert_int_equal(c.t[0], t[from]);
        tsdb_columns_done(&c);
        sx_arena_done(&arena);
    }
}

static void test_a_chunk_cut_anywhere_is_corrupt(void **state)
{
    (void)state;
    int64_t t[120];
    double v[120];
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    make_samples(5, 120, t, v);
    sx_str bytes = pack(t, v, 120, &arena);
    for (size_t len = 0; len < bytes.len; len++) {
        char *exact = sx_alloc(len); /* so that a sanitizer sees a read behind it */
        memcpy(exact, bytes.data, len);
        tsdb_columns c;
        sx_error err = {0};
        tsdb_columns_init(&c, &arena);
        assert_int_equal(
            tsdb_chunk_read(TSDB_CHUNK_XOR, sx_str_of(exact, len), INT64_MIN, INT64_MAX, &c, &err),
            SX_ECORRUPT);
        assert_true(err.message[0] != '\0');
        assert_true(c.count < 120);
        assert_memory_equal(c.t, t, c.count * sizeof *t); /* what came before is good */
        tsdb_columns_done(&c);
        sx_free(exact);
    }
    sx_arena_done(&arena);
}

static void test_a_lie_about_the_count_takes_no_memory(void **state)
{
    (void)state;
    sx_arena arena;
    tsdb_columns c;
    sx_error err;
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    assert_int_equal(
        tsdb_chunk_read(TSDB_CHUNK_XOR, SX_STR("\xff\xff\x01"), INT64_MIN, INT64_MAX, &c, &err),
        SX_ECORRUPT);
    assert_int_equal(c.cap, 0);
    assert_int_equal(tsdb_chunk_read((tsdb_encoding)99, SX_STR("x"), 0, 1, &c, &err),
                     SX_EUNSUPPORTED);
    assert_int_equal(
        tsdb_chunk_read(TSDB_CHUNK_XOR, sx_str_of("\0\0", 2), INT64_MIN, INT64_MAX, &c, &err),
        SX_OK);
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
}

static void test_memory_may_run_out_anywhere(void **state)
{
    (void)state;
    int64_t t[120];
    double v[120];
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    make_samples(9, 120, t, v);
    sx_str bytes = pack(t, v, 120, &arena);
    for (int64_t nth = 1;; nth++) {
        tsdb_columns c;
        sx_error err;
        tsdb_columns_init(&c, &arena);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = tsdb_chunk_read(TSDB_CHUNK_XOR, bytes, INT64_MIN, INT64_MAX, &c, &err);
        if (status == SX_OK)
            status = tsdb_columns_want_h(&c, &err);
        if (status == SX_OK)
            status = tsdb_columns_want_st(&c, &err);
        bool all = sx_fault_alloc_calls() < nth;
        tsdb_columns_done(&c);
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(status, all ? SX_OK : SX_ENOMEM);
        if (all)
            break;
    }
    sx_arena_done(&arena);
}

static void test_sorting_keeps_the_first_of_a_time(void **state)
{
    (void)state;
    tsdb_columns c;
    sx_arena arena;
    sx_error err;
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    static const int64_t T[] = {9, 5, 6, 5, 7, 6, 1};
    assert_int_equal(tsdb_columns_reserve(&c, 7, &err), SX_OK);
    for (size_t i = 0; i < 7; i++) {
        c.t[i] = T[i];
        c.v[i] = (double)i;
    }
    c.count = 7;
    assert_int_equal(tsdb_columns_sort(&c, 1, &err), SX_OK);
    static const int64_t SORTED[] = {9, 1, 5, 6, 7};
    static const double FROM[] = {0, 6, 1, 2, 4};
    assert_int_equal(c.count, 5);
    assert_memory_equal(c.t, SORTED, sizeof SORTED);
    assert_memory_equal(c.v, FROM, sizeof FROM);
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_goes_in_comes_out),
        cmocka_unit_test(test_a_chunk_cut_anywhere_is_corrupt),
        cmocka_unit_test(test_a_lie_about_the_count_takes_no_memory),
        cmocka_unit_test(test_memory_may_run_out_anywhere),
        cmocka_unit_test(test_sorting_keeps_the_first_of_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

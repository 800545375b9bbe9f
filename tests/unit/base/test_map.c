/* test_map.c - the hash tables beside plain arrays that do the same. */
#include <sextant/map.h>

#include <stdio.h>

#include <sextant/random.h>

#include "base/fault.h"
#include "tests/unit/base/cmocka_all.h"

enum { KEYS = 700 };

static char key_text[KEYS][12];

static sx_str key_of(size_t i)
{
    return sx_str_z(key_text[i]);
}

static int make_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEYS; i++)
        snprintf(key_text[i], sizeof(key_text[i]), "%s%zu", i % 3 ? "key-" : "", i);
    key_text[0][0] = '\0'; /* the empty key is a key */
    return 0;
}

static void test_a_table_does_what_an_array_does(void **state)
{
    (void)state;
    sx_map map;
    sx_random r;
    bool in[KEYS] = {false};
    uint64_t value[KEYS] = {0};
    size_t count = 0;
    sx_random_seed(&r, 9);
    sx_map_init(&map, NULL);
    for (uint64_t step = 0; step < 60000; step++) {
        size_t i = sx_random_below(&r, step / 10000 % 2 ? 40 : KEYS);
        bool growing = step / 5000 % 2 == 0;
        if (sx_random_below(&r, 10) < (growing ? 7 : 3)) {
            bool added;
            sx_map_entry *e = sx_map_put(&map, key_of(i), &added);
            assert_non_null(e);
            assert_int_equal(added, !in[i]);
            assert_true(e->u64 == (in[i] ? value[i] : 0));
            e->u64 = value[i] = step;
            count += added;
            in[i] = true;
        } else {
            assert_int_equal(sx_map_remove(&map, key_of(i)), in[i]);
            count -= in[i];
            in[i] = false;
        }
        size_t probe = sx_random_below(&r, KEYS);
        sx_map_entry *found = sx_map_find(&map, key_of(probe));
        assert_int_equal(found != NULL, in[probe]);
        assert_true(!found || found->u64 == value[probe]);
        assert_int_equal(sx_map_count(&map), count);
    }
    sx_map_check(&map);
    assert_true(map.table.mask < 2048); /* removals do not make it grow for ever */
    sx_map_done(&map);
    assert_null(sx_map_find(&map, SX_STR("x")));
}

static void test_iteration_meets_each_entry_once_and_may_remove(void **state)
{
    (void)state;
    sx_map map;
    sx_map_init(&map, NULL);
    for (size_t i = 0; i < KEYS; i++)
        sx_map_put(&map, key_of(i), NULL)->u64 = i;
    bool seen[KEYS] = {false};
    size_t cursor = 0, met = 0;
    for (sx_map_entry *e; (e = sx_map_next(&map, &cursor)) != NULL; met++) {
        assert_false(seen[e->u64]);
        seen[e->u64] = true;
        if (e->u64 % 2)
            assert_true(sx_map_remove(&map, e->key));
    }
    assert_int_equal(met, KEYS);
    assert_int_equal(sx_map_count(&map), KEYS / 2);
    assert_true(sx_map_get(&map, key_of(4)) != NULL && sx_map_get(&map, key_of(5)) == NULL);
    sx_map_clear(&map);
    cursor = 0;
    assert_null(sx_map_next(&map, &cursor));
    sx_map_put(&map, key_of(1), NULL)->ptr = &map;
    assert_ptr_equal(sx_map_get(&map, key_of(1)), &map);
    sx_map_check(&map);
    sx_map_done(&map);
}

static void test_numbers_as_keys(void **state)
{
    (void)state;
    sx_map64 map;
    sx_map64_init(&map, NULL);
    assert_null(sx_map64_get(&map, 0));
    for (uint64_t i = 0; i < 5000; i++) {
        bool added;
        sx_map64_entry *e = sx_map64_put(&map, i << 32, &added);
        assert_true(e && added && e->u64 == 0);
        e->u64 = i;
    }
    for (uint64_t i = 0; i < 5000; i++)
        assert_true(sx_map64_find(&map, i << 32)->u64 == i);
    assert_null(sx_map64_find(&map, 1));
    for (uint64_t i = 0; i < 5000; i += 2)
        assert_true(sx_map64_remove(&map, i << 32));
    size_t cursor = 0, met = 0;
    while (sx_map64_next(&map, &cursor))
        met++;
    assert_int_equal(met, 2500);
    assert_int_equal(sx_map64_count(&map), 2500);
    sx_map64_clear(&map);
    assert_false(sx_map64_remove(&map, 1));
    sx_map64_done(&map);
}

static void test_a_reserved_table_does_not_move(void **state)
{
    (void)state;
    sx_arena arena;
    sx_map map;
    sx_map64 map64;
    sx_arena_init(&arena, 0, 0);
    sx_map_init(&map, &arena);
    assert_true(sx_map_reserve(&map, KEYS));
    const void *slots = map.table.slots;
    for (size_t i = 0; i < KEYS; i++)
        assert_non_null(sx_map_put(&map, key_of(i), NULL));
    assert_ptr_equal(map.table.slots, slots);
    sx_map_done(&map);
    sx_map64_init(&map64, &arena);
    assert_true(sx_map64_reserve(&map64, 8));
    assert_non_null(sx_map64_put(&map64, 1, NULL));
    assert_true(sx_map64_reserve(&map64, 100));
    assert_non_null(sx_map64_find(&map64, 1));
    assert_false(sx_map64_reserve(&map64, SIZE_MAX / 4));
    assert_false(sx_map64_reserve(&map64, SIZE_MAX));
    sx_map64_done(&map64);
    sx_arena_done(&arena);
}

static void test_every_failing_allocation_leaves_the_table_whole(void **state)
{
    (void)state;
    for (int64_t nth = 1; nth < 9; nth++) {
        sx_map map;
        size_t put = 0;
        sx_map_init(&map, NULL);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        for (size_t i = 0; i < KEYS; i++) {
            bool added = true;
            sx_map_entry *e = sx_map_put(&map, key_of(i), &added);
            assert_int_equal(e != NULL, added);
            put += e != NULL;
        }
        assert_int_equal(sx_map_count(&map), put);
        assert_true(put >= KEYS - 1);
        sx_map_check(&map);
        sx_map_done(&map);
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_table_does_what_an_array_does),
        cmocka_unit_test(test_iteration_meets_each_entry_once_and_may_remove),
        cmocka_unit_test(test_numbers_as_keys),
        cmocka_unit_test(test_a_reserved_table_does_not_move),
        cmocka_unit_test(test_every_failing_allocation_leaves_the_table_whole),
    };
    return cmocka_run_group_tests(tests, make_keys, NULL);
}

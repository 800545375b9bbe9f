/* test_memory.c - the allocator's skin, arenas and buffers, with and without memory. */
#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/mem.h>

#include "base/fault.h"
#include "tests/unit/base/cmocka_all.h"

static void test_the_nth_allocation_fails(void **state)
{
    (void)state;
    sx_fault_alloc_set((sx_fault_alloc){.nth = 2});
    void *a = sx_alloc(1);
    assert_non_null(a);
    assert_null(sx_calloc(1, 1));
    a = sx_realloc(a, 100);
    assert_non_null(a);
    assert_int_equal(sx_fault_alloc_calls(), 3);
    assert_int_equal(sx_fault_alloc_held(), 1);
    sx_free(a);
    sx_free(NULL);
    assert_int_equal(sx_fault_alloc_held(), 0);
    sx_fault_alloc_set((sx_fault_alloc){.nth = 1, .and_after = true});
    assert_null(sx_alloc(1));
    assert_null(sx_realloc(NULL, 1));
    sx_fault_alloc_set((sx_fault_alloc){0});
}

static void test_sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    int *items = NULL;
    size_t cap = 0;
    volatile size_t huge = SIZE_MAX / 2;
    assert_null(sx_calloc(huge, 4));
    assert_false(sx_grow(&items, &cap, huge, 4));
    assert_false(sx_grow(&items, &cap, SIZE_MAX, 1));
    assert_null(items);
    assert_int_equal(cap, 0);
    void *p = sx_alloc(0);
    assert_non_null(p);
    sx_free(p);
}

static void test_a_vector_grows_and_keeps_its_items(void **state)
{
    (void)state;
    int *items = NULL;
    size_t cap = 0;
    for (int i = 0; i < 1000; i++) {
        assert_true(sx_grow(&items, &cap, (size_t)i + 1, sizeof(*items)));
        items[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    assert_int_equal(cap, 1024);
    int *before = items;
    sx_fault_alloc_set((sx_fault_alloc){.nth = 1});
    assert_false(sx_grow(&items, &cap, 1025, sizeof(*items)));
    sx_fault_alloc_set((sx_fault_alloc){0});
    assert_ptr_equal(items, before);
    sx_free(items);
}

static void test_an_arena_gives_aligned_memory_of_any_size(void **state)
{
    (void)state;
    sx_arena a;
    sx_arena_init(&a, 256, 0);
    char *blocks[100];
    for (size_t i = 0; i < 100; i++) {
        blocks[i] = sx_arena_alloc(&a, i * 7);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 8, 0);
        memset(blocks[i], (int)i, i * 7);
    }
    for (size_t i = 0; i < 100; i++) {
        for (size_t k = 0; k < i * 7; k++)
            assert_int_equal(blocks[i][k], (char)i);
    }
    sx_arena_reset(&a);
    assert_int_equal(a.used_bytes, 256);
    assert_non_null(sx_arena_alloc(&a, 10));
    assert_int_equal(a.used_bytes, 256); /* the chunk that was kept is used again */
    assert_null(sx_arena_alloc(&a, SIZE_MAX));
    assert_null(sx_arena_alloc(&a, SIZE_MAX - 8));
    assert_null(sx_arena_calloc(&a, SIZE_MAX / 2, 3));
    sx_arena_done(&a);
    sx_arena_done(&a);
}

static void test_an_arena_keeps_its_limit(void **state)
{
    (void)state;
    sx_arena a;
    sx_arena_init(&a, 4096, 1000); /* the limit below the usual chunk */
    assert_non_null(sx_arena_alloc(&a, 600));
    assert_non_null(sx_arena_alloc(&a, 400));
    assert_null(sx_arena_alloc(&a, 8));
    assert_true(a.used_bytes <= 1000);
    sx_arena_done(&a);
    sx_arena_init(&a, 64, 1000);
    size_t given = 0;
    while (sx_arena_alloc(&a, 16))
        given += 16;
    assert_in_range(given, 900, 1000);
    sx_arena_done(&a);
}

static void test_arena_texts_and_vectors(void **state)
{
    (void)state;
    sx_arena a;
    sx_arena_init(&a, 64, 0);
    sx_str copy = sx_arena_copy(&a, SX_STR("text"));
    assert_string_equal(copy.data, "text");
    assert_non_null(sx_arena_copy(&a, sx_str_of(NULL, 0)).data);
    sx_str printed = sx_arena_printf(&a, "%d-%s", 7, "x");
    assert_string_equal(printed.data, "7-x");
    int *items = NULL;
    size_t cap = 0;
    for (int i = 0; i < 100; i++) {
        assert_true(sx_arena_grow(&a, &items, &cap, (size_t)i + 1, sizeof(*items)));
        items[i] = i;
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(items[i], i);
    assert_false(sx_arena_grow(&a, &items, &cap, SIZE_MAX / 2, sizeof(*items)));
    sx_fault_alloc_set((sx_fault_alloc){.nth = 1, .and_after = true});
    assert_null(sx_arena_alloc(&a, 10000));
    assert_null(sx_arena_printf(&a, "%5000d", 1).data);
    sx_fault_alloc_set((sx_fault_alloc){0});
    sx_arena_done(&a);
}

static void test_a_buffer_is_appended_to_in_every_way(void **state)
{
    (void)state;
    sx_buf b;
    sx_error err = {0};
    sx_buf_init(&b, 0);
    sx_buf_bytes(&b, NULL, 0);
    assert_null(b.data);
    sx_buf_str(&b, SX_STR("a"));
    sx_buf_byte(&b, 'b');
    sx_buf_u64(&b, UINT64_MAX);
    sx_buf_byte(&b, ' ');
    sx_buf_i64(&b, INT64_MIN);
    sx_buf_printf(&b, "[%s]", "x");
    assert_true(sx_str_eq(sx_buf_view(&b), SX_STR("ab18446744073709551615 "
                                                  "-9223372036854775808[x]")));
    sx_buf_consume(&b, 2);
    assert_true(sx_str_starts(sx_buf_view(&b), SX_STR("184")));
    sx_buf_consume(&b, b.len);
    assert_int_equal(b.len, 0);
    for (int i = 0; i < 10000; i++)
        sx_buf_byte(&b, (char)i);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(b.data[i], (char)i);
    assert_int_equal(sx_buf_status(&b, "x", &err), SX_OK);
    sx_buf_done(&b);
}

static void test_a_buffer_tells_its_limit_from_memory(void **state)
{
    (void)state;
    sx_buf b;
    sx_error err = {0};
    sx_buf_init(&b, 100);
    sx_buf_str(&b, SX_STR("kept"));
    assert_null(sx_buf_reserve(&b, 97));
    sx_buf_str(&b, SX_STR("ignored"));
    assert_int_equal(b.len, 4);
    assert_int_equal(sx_buf_status(&b, "the answer", &err), SX_ELIMIT);
    assert_string_equal(err.message, "the answer is larger than the limit of 100 bytes");
    sx_buf_clear(&b);
    assert_non_null(sx_buf_reserve(&b, 100));
    sx_fault_alloc_set((sx_fault_alloc){.nth = 1});
    sx_buf_done(&b);
    sx_buf_str(&b, SX_STR("x"));
    sx_fault_alloc_set((sx_fault_alloc){0});
    assert_int_equal(sx_buf_status(&b, "the answer", &err), SX_ENOMEM);
    sx_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_nth_allocation_fails),
        cmocka_unit_test(test_sizes_that_overflow_are_refused),
        cmocka_unit_test(test_a_vector_grows_and_keeps_its_items),
        cmocka_unit_test(test_an_arena_gives_aligned_memory_of_any_size),
        cmocka_unit_test(test_an_arena_keeps_its_limit),
        cmocka_unit_test(test_arena_texts_and_vectors),
        cmocka_unit_test(test_a_buffer_is_appended_to_in_every_way),
        cmocka_unit_test(test_a_buffer_tells_its_limit_from_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

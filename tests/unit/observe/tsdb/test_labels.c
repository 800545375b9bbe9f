/* Label sets and matchers. */
#include <stdio.h>

#include "tests/unit/base/cmocka_all.h"

#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/tsdb/labels.h"

#define L(n, v) {SX_STR_INIT(n), SX_STR_INIT(v)}

static void test_sorting_orders_by_name_and_drops_empty_values(void **state)
{
    (void)state;
    tsdb_label items[] = {L("job", "a"), L("__name__", "up"), L("gone", ""), L("instance", "b")};
    tsdb_labels l;
    assert_int_equal(tsdb_labels_sort(items, 4, &l, NULL), SX_OK);
    assert_int_equal(l.count, 3);
    assert_true(sx_str_eq(l.items[0].name, TSDB_METRIC_NAME));
    assert_true(sx_str_eq(l.items[1].name, SX_STR("instance")));
    assert_true(sx_str_eq(tsdb_labels_get(l, SX_STR("job")), SX_STR("a")));
    assert_int_equal(tsdb_labels_get(l, SX_STR("none")).len, 0);
}

static void test_a_label_given_twice_is_named(void **state)
{
    (void)state;
    tsdb_label items[] = {L("a", "1"), L("b", "2"), L("a", "")};
    tsdb_labels l;
    sx_error err;
    assert_int_equal(tsdb_labels_sort(items, 3, &l, &err), SX_EINVAL);
    assert_string_equal(err.message, "label \"a\" is given twice");
}

static void test_many_labels_are_sorted_too(void **state)
{
    (void)state;
    char names[100][8];
    tsdb_label items[100];
    for (int i = 0; i < 100; i++) {
        int len = snprintf(names[i], sizeof names[i], "n%02d", (i * 37) % 100);
        items[i] = (tsdb_label){sx_str_of(names[i], (size_t)len), SX_STR("v")};
    }
    tsdb_labels l;
    assert_int_equal(tsdb_labels_sort(items, 100, &l, NULL), SX_OK);
    for (uint32_t i = 1; i < l.count; i++)
        assert_true(sx_str_cmp(l.items[i - 1].name, l.items[i].name) < 0);
}

static void test_hashes_tell_sets_apart_and_can_leave_labels_out(void **state)
{
    (void)state;
    const tsdb_label a[] = {L("__name__", "up"), L("instance", "x"), L("job", "y")};
    const tsdb_label b[] = {L("__name__", "down"), L("instance", "z"), L("job", "y")};
    const tsdb_label shifted[] = {L("__name__", "up"), L("instance", "xj"), L("ob", "y")};
    tsdb_labels la = {a, 3}, lb = {b, 3}, ls = {shifted, 3};
    const sx_str job[] = {SX_STR("job")}, instance[] = {SX_STR("instance")};
    assert_true(tsdb_labels_hash(la) != tsdb_labels_hash(lb));
    assert_true(tsdb_labels_hash(la) != tsdb_labels_hash(ls));
    assert_true(tsdb_labels_hash_by(la, job, 1) == tsdb_labels_hash_by(lb, job, 1));
    assert_true(tsdb_labels_hash_without(la, instance, 1) ==
                tsdb_labels_hash_without(lb, instance, 1));
    assert_true(tsdb_labels_hash_without(la, job, 1) != tsdb_labels_hash_without(lb, job, 1));
    assert_true(tsdb_labels_hash_by(la, NULL, 0) == tsdb_labels_hash_by(lb, NULL, 0));
}

static void test_printing_quotes_as_go_does(void **state)
{
    (void)state;
    const tsdb_label items[] = {L("__name__", "up"), L("a.b", "x\"y\n\x01\xff"),
                                L("c", "\u00e9\u200b")};
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_int_equal(tsdb_labels_print((tsdb_labels){items, 3}, &out, NULL), SX_OK);
    sx_buf_byte(&out, ' ');
    assert_int_equal(tsdb_labels_print_series((tsdb_labels){items, 1}, &out, NULL), SX_OK);
    sx_buf_byte(&out, ' ');
    assert_int_equal(tsdb_labels_print_series((tsdb_labels){items + 2, 1}, &out, NULL), SX_OK);
    sx_buf_byte(&out, 0);
    assert_string_equal(out.data,
                        "{__name__=\"up\", \"a.b\"=\"x\\\"y\\n\\x01\\xff\", c=\"\u00e9\\u200b\"}"
                        " up {c=\"\u00e9\\u200b\"}");
    sx_buf_done(&out);
}

static void test_order_is_by_pairs_then_by_length(void **state)
{
    (void)state;
    const tsdb_label a[] = {L("a", "1"), L("b", "1")}, b[] = {L("a", "1"), L("b", "2")};
    assert_true(tsdb_labels_compare((tsdb_labels){a, 2}, (tsdb_labels){b, 2}) < 0);
    assert_true(tsdb_labels_compare((tsdb_labels){a, 1}, (tsdb_labels){a, 2}) < 0);
    assert_int_equal(tsdb_labels_compare((tsdb_labels){a, 2}, (tsdb_labels){a, 2}), 0);
    assert_true(tsdb_labels_equal((tsdb_labels){a, 1}, (tsdb_labels){b, 1}));
    assert_false(tsdb_labels_equal((tsdb_labels){a, 2}, (tsdb_labels){b, 2}));
}

static void test_a_builder_sets_replaces_and_removes(void **state)
{
    (void)state;
    const tsdb_label base[] = {L("a", "1"), L("b", "2")};
    tsdb_labels_builder b;
    tsdb_labels_builder_init(&b);
    assert_int_equal(tsdb_labels_builder_reset(&b, (tsdb_labels){base, 2}, NULL), SX_OK);
    assert_int_equal(tsdb_labels_builder_set(&b, SX_STR("a"), SX_STR(""), NULL), SX_OK);
    assert_int_equal(tsdb_labels_builder_set(&b, SX_STR("b"), SX_STR("3"), NULL), SX_OK);
    assert_int_equal(tsdb_labels_builder_set(&b, SX_STR("A"), SX_STR("4"), NULL), SX_OK);
    assert_true(sx_str_eq(tsdb_labels_builder_get(&b, SX_STR("b")), SX_STR("3")));
    tsdb_labels l = tsdb_labels_builder_take(&b);
    assert_int_equal(l.count, 2);
    assert_true(sx_str_eq(l.items[0].name, SX_STR("A")));
    tsdb_labels_builder_done(&b);
}

static void test_copies_stand_alone_and_survive_failing_memory(void **state)
{
    (void)state;
    char value[] = "x";
    tsdb_label items[] = {L("a", "1"), {SX_STR("b"), sx_str_of(value, 1)}};
    for (int64_t n = 1;; n++) {
        sx_arena arena;
        tsdb_labels l;
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_arena_init(&arena, 16, 0);
        sx_status st = tsdb_labels_copy((tsdb_labels){items, 2}, &arena, &l, NULL);
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (st == SX_OK) {
            value[0] = 'y';
            assert_true(sx_str_eq(l.items[1].value, SX_STR("x")));
            sx_arena_done(&arena);
            return;
        }
        assert_int_equal(st, SX_ENOMEM);
        sx_arena_done(&arena);
    }
}

static void test_matchers_see_an_absent_label_as_empty(void **state)
{
    (void)state;
    static const struct {
        tsdb_match_kind kind;
        sx_str value;
        sx_str subject;
        bool matches;
    } CASES[] = {
        {TSDB_MATCH_EQUAL, SX_STR_INIT(""), SX_STR_INIT(""), true},
        {TSDB_MATCH_NOT_EQUAL, SX_STR_INIT("a"), SX_STR_INIT(""), true},
        {TSDB_MATCH_REGEX, SX_STR_INIT("a|b.*"), SX_STR_INIT("bc"), true},
        {TSDB_MATCH_REGEX, SX_STR_INIT("b"), SX_STR_INIT("bc"), false}, /* anchored */
        {TSDB_MATCH_REGEX, SX_STR_INIT(".*"), SX_STR_INIT(""), true},
        {TSDB_MATCH_NOT_REGEX, SX_STR_INIT(".+"), SX_STR_INIT(""), true},
        {TSDB_MATCH_REGEX, SX_STR_INIT("a.b"), SX_STR_INIT("a\nb"), true},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        tsdb_matcher m;
        assert_int_equal(tsdb_matcher_init(&m, CASES[i].kind, SX_STR("x"), CASES[i].value, NULL),
                         SX_OK);
        assert_int_equal(tsdb_matcher_matches(&m, CASES[i].subject), CASES[i].matches);
        const tsdb_label other[] = {L("w", "q")};
        if (CASES[i].subject.len == 0)
            assert_int_equal(tsdb_matchers_match(&m, 1, (tsdb_labels){other, 1}), CASES[i].matches);
        tsdb_matcher_done(&m);
    }
    tsdb_matcher bad;
    sx_error err;
    assert_int_equal(tsdb_matcher_init(&bad, TSDB_MATCH_REGEX, SX_STR("x"), SX_STR("("), &err),
                     SX_EFORMAT);
    tsdb_matcher_done(&bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorting_orders_by_name_and_drops_empty_values),
        cmocka_unit_test(test_a_label_given_twice_is_named),
        cmocka_unit_test(test_many_labels_are_sorted_too),
        cmocka_unit_test(test_hashes_tell_sets_apart_and_can_leave_labels_out),
        cmocka_unit_test(test_printing_quotes_as_go_does),
        cmocka_unit_test(test_order_is_by_pairs_then_by_length),
        cmocka_unit_test(test_a_builder_sets_replaces_and_removes),
        cmocka_unit_test(test_copies_stand_alone_and_survive_failing_memory),
        cmocka_unit_test(test_matchers_see_an_absent_label_as_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

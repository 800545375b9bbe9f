/* test_str.c - string views. */
#include <sextant/str.h>

#include "tests/unit/base/cmocka_all.h"

static void test_an_empty_view_may_have_no_data(void **state)
{
    (void)state;
    sx_str none = {NULL, 0}, a, b;
    uint64_t n;
    assert_true(sx_str_eq(none, SX_STR("")));
    assert_true(sx_str_starts(none, none) && sx_str_ends(none, none));
    assert_int_equal(sx_str_from(none, 3).len, 0);
    assert_int_equal(sx_str_first(none, 3).len, 0);
    assert_int_equal(sx_str_cmp(none, SX_STR("")), 0);
    assert_int_equal(sx_str_find(none, SX_STR("x")), 0);
    assert_int_equal(sx_str_find(SX_STR("abc"), none), 0);
    assert_false(sx_str_cut(none, ':', &a, &b));
    assert_int_equal(a.len + b.len, 0);
    assert_int_equal(sx_str_trim(none).len, 0);
    assert_false(sx_str_to_u64(none, &n));
    assert_int_equal(sx_str_z(NULL).len, 0);
}

static void test_parts_of_a_view(void **state)
{
    (void)state;
    sx_str s = SX_STR("abcabc");
    assert_true(sx_str_eq(sx_str_from(s, 4), SX_STR("bc")));
    assert_int_equal(sx_str_from(s, 99).len, 0);
    assert_ptr_equal(sx_str_from(s, 99).data, s.data + 6);
    assert_true(sx_str_eq(sx_str_first(s, 2), SX_STR("ab")));
    assert_true(sx_str_starts(s, SX_STR("abca")));
    assert_false(sx_str_starts(SX_STR("ab"), s));
    assert_true(sx_str_ends(s, SX_STR("bc")));
    assert_false(sx_str_ends(s, SX_STR("ab")));
    assert_int_equal(sx_str_find(s, SX_STR("ca")), 2);
    assert_int_equal(sx_str_find(s, SX_STR("cb")), 6);
    assert_int_equal(sx_str_find_byte(s, 'c'), 2);
    assert_int_equal(sx_str_find_byte(s, 'x'), 6);
}

/* Every pair of bytes, alone and at each place of a longer text. */
static void test_case_is_folded_for_ascii_alone(void **state)
{
    (void)state;
    for (int x = 0; x < 256; x++) {
        for (int y = 0; y < 256; y++) {
            bool same = x == y || ((x ^ y) == 0x20 && (x | 0x20) >= 'a' && (x | 0x20) <= 'z');
            for (size_t len = 1; len <= 17; len += 8) {
                char a[17], b[17];
                memset(a, 'Q', sizeof(a));
                memset(b, 'q', sizeof(b));
                size_t at = (size_t)(x + y) % len;
                a[at] = (char)x;
                b[at] = (char)y;
                assert_int_equal(sx_str_ieq(sx_str_of(a, len), sx_str_of(b, len)), same);
            }
        }
    }
}

static void test_order_is_by_bytes(void **state)
{
    (void)state;
    assert_true(sx_str_cmp(SX_STR("a"), SX_STR("b")) < 0);
    assert_true(sx_str_cmp(SX_STR("ab"), SX_STR("a")) > 0);
    assert_true(sx_str_cmp(SX_STR("\xff"), SX_STR("a")) > 0);
    assert_true(sx_str_ieq(SX_STR("Content-TYPE"), SX_STR("content-type")));
    assert_false(sx_str_ieq(SX_STR("@"), SX_STR("`")));
    assert_false(sx_str_ieq(SX_STR("a"), SX_STR("ab")));
}

static void test_cut_takes_the_first_separator(void **state)
{
    (void)state;
    sx_str s = SX_STR("k=v=w"), before;
    assert_true(sx_str_cut(s, '=', &before, &s)); /* the result may overwrite the argument */
    assert_true(sx_str_eq(before, SX_STR("k")));
    assert_true(sx_str_eq(s, SX_STR("v=w")));
    assert_false(sx_str_cut(SX_STR("none"), '=', &before, &s));
    assert_true(sx_str_eq(before, SX_STR("none")));
    assert_int_equal(s.len, 0);
}

static void test_trimming(void **state)
{
    (void)state;
    assert_true(sx_str_eq(sx_str_trim(SX_STR(" \ta b\t ")), SX_STR("a b")));
    assert_true(sx_str_eq(sx_str_trim(SX_STR("\r\n")), SX_STR("\r\n")));
    assert_true(sx_str_eq(sx_str_trim_all(SX_STR(" \r\n\v\fa \n")), SX_STR("a")));
    assert_int_equal(sx_str_trim_all(SX_STR(" \n ")).len, 0);
}

static void test_integers_are_whole_and_in_range(void **state)
{
    (void)state;
    uint64_t u = 7;
    int64_t i = 7;
    assert_true(sx_str_to_u64(SX_STR("18446744073709551615"), &u));
    assert_true(u == UINT64_MAX);
    assert_true(sx_str_to_u64(SX_STR("007"), &u));
    assert_int_equal(u, 7);
    static const char *const BAD[] = {"18446744073709551616", "-1", "+1", " 1", "1 ", "0x1", "1e3"};
    for (size_t n = 0; n < SX_COUNT_OF(BAD); n++)
        assert_false(sx_str_to_u64(sx_str_z(BAD[n]), &u));
    assert_int_equal(u, 7);
    assert_true(sx_str_to_i64(SX_STR("-9223372036854775808"), &i));
    assert_true(i == INT64_MIN);
    assert_true(sx_str_to_i64(SX_STR("9223372036854775807"), &i));
    assert_true(i == INT64_MAX);
    assert_false(sx_str_to_i64(SX_STR("9223372036854775808"), &i));
    assert_false(sx_str_to_i64(SX_STR("-9223372036854775809"), &i));
    assert_false(sx_str_to_i64(SX_STR("-"), &i));
    assert_false(sx_str_to_i64(SX_STR("--1"), &i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_case_is_folded_for_ascii_alone),
        cmocka_unit_test(test_an_empty_view_may_have_no_data),
        cmocka_unit_test(test_parts_of_a_view),
        cmocka_unit_test(test_order_is_by_bytes),
        cmocka_unit_test(test_cut_takes_the_first_separator),
        cmocka_unit_test(test_trimming),
        cmocka_unit_test(test_integers_are_whole_and_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

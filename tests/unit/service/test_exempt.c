/* test_exempt.c - for whom no rate holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "service/exempt.h"

static sx_exempt made_of(const sx_str *items, size_t count)
{
    sx_exempt e;
    sx_error err = {0};
    assert_int_equal(sx_exempt_parse((sx_texts){items, count}, &e, &err), SX_OK);
    return e;
}

static void test_nobody_is_exempt_by_default(void **state)
{
    (void)state;
    sx_exempt e = made_of(NULL, 0);
    assert_false(sx_exempt_has(&e, SX_STR("127.0.0.1")));
    assert_false(sx_exempt_has(&e, SX_STR("")));
}

static void test_loopback_is_every_way_to_oneself(void **state)
{
    (void)state;
    static const sx_str LOOPBACK[] = {SX_STR_INIT("loopback")};
    sx_exempt e = made_of(LOOPBACK, 1);
    static const char *const OURS[] = {"127.0.0.1", "127.255.3.4", "::1", "::ffff:127.0.0.1", ""};
    static const char *const OTHERS[] = {"128.0.0.1", "10.0.0.1",      "::2",
                                         "fe80::1",   "127.evil.net",  "127.0.0.1, 8.8.8.8",
                                         "localhost", "::ffff:8.8.8.8"};
    for (size_t i = 0; i < SX_COUNT_OF(OURS); i++)
        assert_true(sx_exempt_has(&e, sx_str_z(OURS[i])));
    for (size_t i = 0; i < SX_COUNT_OF(OTHERS); i++)
        assert_false(sx_exempt_has(&e, sx_str_z(OTHERS[i])));
}

static void test_prefixes_end_at_any_bit(void **state)
{
    (void)state;
    static const sx_str ITEMS[] = {SX_STR_INIT("10.0.0.0/8"), SX_STR_INIT("192.0.2.128/25"),
                                   SX_STR_INIT("2001:db8::/33"), SX_STR_INIT("198.51.100.7")};
    sx_exempt e = made_of(ITEMS, SX_COUNT_OF(ITEMS));
    assert_true(sx_exempt_has(&e, SX_STR("10.200.3.4")));
    assert_false(sx_exempt_has(&e, SX_STR("11.0.0.1")));
    assert_true(sx_exempt_has(&e, SX_STR("192.0.2.200")));
    assert_false(sx_exempt_has(&e, SX_STR("192.0.2.127")));
    assert_true(sx_exempt_has(&e, SX_STR("2001:db8:7fff::1")));
    assert_false(sx_exempt_has(&e, SX_STR("2001:db8:8000::1")));
    assert_true(sx_exempt_has(&e, SX_STR("198.51.100.7")));
    assert_false(sx_exempt_has(&e, SX_STR("198.51.100.8")));
    assert_false(sx_exempt_has(&e, SX_STR(""))); /* a Unix socket is loopback's */
    static const sx_str ALL[] = {SX_STR_INIT("0.0.0.0/0")};
    e = made_of(ALL, 1);
    assert_true(sx_exempt_has(&e, SX_STR("203.0.113.9")));
    assert_false(sx_exempt_has(&e, SX_STR("2001:db8::1")));
}

static void test_what_is_no_address_is_named(void **state)
{
    (void)state;
    static const char *const WRONG[] = {"example.com", "10.0.0.0/33", "10.0.0/8", "::1/129", "/8",
                                        "10.0.0.1/",   "1.2.3.4/x",   "",         "::1 "};
    for (size_t i = 0; i < SX_COUNT_OF(WRONG); i++) {
        sx_exempt e;
        sx_error err = {0};
        sx_str item = sx_str_z(WRONG[i]);
        assert_int_equal(sx_exempt_parse((sx_texts){&item, 1}, &e, &err), SX_EINVAL);
        assert_non_null(strstr(err.message, "limits.exempt"));
    }
    sx_str many[SX_EXEMPT_MAX + 1];
    for (size_t i = 0; i < SX_COUNT_OF(many); i++)
        many[i] = SX_STR("10.0.0.1");
    sx_exempt e;
    assert_int_equal(sx_exempt_parse((sx_texts){many, SX_COUNT_OF(many)}, &e, NULL), SX_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_is_exempt_by_default),
        cmocka_unit_test(test_loopback_is_every_way_to_oneself),
        cmocka_unit_test(test_prefixes_end_at_any_bit),
        cmocka_unit_test(test_what_is_no_address_is_named),
    };
    return cmocka_run_group_tests_name("service/exempt", tests, NULL, NULL);
}

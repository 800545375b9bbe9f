/* test_params.c - parameters are read, and refused, as Prometheus reads and refuses them. */
#include <math.h>
#include <stdio.h>

#include "tests/unit/base/cmocka_all.h"

#include "observe/api/params.h"

static int64_t ms_of(const char *text)
{
    api_time t = {0};
    sx_error err = {0};
    assert_int_equal(api_time_read(sx_str_z(text), &t, &err), SX_OK);
    return api_time_ms(t);
}

static void test_times_are_seconds_or_dates(void **state)
{
    (void)state;
    assert_int_equal(ms_of("1"), 1000);
    assert_int_equal(ms_of("1.5"), 1500);
    assert_int_equal(ms_of("-1.5"), -1500);
    assert_int_equal(ms_of("1e3"), 1000000);
    assert_int_equal(ms_of(".5"), 500);
    assert_int_equal(ms_of("1_0"), 10000);
    assert_int_equal(ms_of("0x10p0"), 16000);
    assert_int_equal(ms_of("1970-01-01T00:00:01.25Z"), 1250);
    assert_int_equal(ms_of("2026-11-21T19:56:50.162+01:00"), 1795287410162);
    assert_int_equal(ms_of("-292273086-05-16T16:47:06Z"), API_TIME_MIN_MS);
    assert_int_equal(ms_of("292277025-08-18T07:12:54.999999999Z"), API_TIME_MAX_MS);
    assert_true(ms_of("1e300") > 0);
}

static void test_broken_times_are_quoted(void **state)
{
    (void)state;
    static const char *const BROKEN[] = {"",
                                         "x",
                                         "1e",
                                         "1__0",
                                         "_1",
                                         ".",
                                         "0x10",
                                         "2026-13-01T00:00:00Z",
                                         "2026-02-29T00:00:00Z",
                                         "2026-01-01",
                                         "1e400",
                                         "2026-01-01T24:00:00Z",
                                         "2026-01-01T00:00:00"};
    for (size_t i = 0; i < SX_COUNT_OF(BROKEN); i++) {
        api_time t;
        sx_error err = {0};
        char want[128];
        assert_int_equal(api_time_read(sx_str_z(BROKEN[i]), &t, &err), SX_EFORMAT);
        snprintf(want, sizeof want, "cannot parse \"%s\" to a valid timestamp", BROKEN[i]);
        assert_string_equal(err.message, want);
    }
}

static void test_durations_are_seconds_or_words(void **state)
{
    (void)state;
    int64_t ns;
    sx_error err = {0};
    assert_int_equal(api_duration_read(SX_STR("1.5"), &ns, &err), SX_OK);
    assert_int_equal(ns, 1500000000);
    assert_int_equal(api_duration_read(SX_STR("1h30m"), &ns, &err), SX_OK);
    assert_int_equal(ns, INT64_C(5400000000000));
    assert_int_equal(api_duration_read(SX_STR("x"), &ns, &err), SX_EFORMAT);
    assert_string_equal(err.message, "cannot parse \"x\" to a valid duration");
    assert_int_equal(api_duration_read(SX_STR("1e300"), &ns, &err), SX_EFORMAT);
    assert_string_equal(err.message,
                        "cannot parse \"1e300\" to a valid duration. It overflows int64");
}

static void test_whole_numbers_are_gos(void **state)
{
    (void)state;
    int64_t n;
    sx_error err = {0};
    assert_int_equal(api_int_read(SX_STR("+07"), "Atoi", 64, &n, &err), SX_OK);
    assert_int_equal(n, 7);
    assert_int_equal(api_int_read(SX_STR("-3"), "Atoi", 64, &n, &err), SX_OK);
    assert_int_equal(n, -3);
    assert_int_equal(api_int_read(SX_STR("1.5"), "Atoi", 64, &n, &err), SX_EFORMAT);
    assert_string_equal(err.message, "strconv.Atoi: parsing \"1.5\": invalid syntax");
    assert_int_equal(api_int_read(SX_STR("99999999999999999999"), "Atoi", 64, &n, &err),
                     SX_EFORMAT);
    assert_string_equal(err.message,
                        "strconv.Atoi: parsing \"99999999999999999999\": value out of range");
}

static void read_form(const char *query, const char *body, sx_arena *arena, api_form *out)
{
    static const sx_header TYPE[] = {
        {SX_STR_INIT("Content-Type"), SX_STR_INIT("application/x-www-form-urlencoded; charset=x")}};
    sx_request r = {.method = body ? SX_POST : SX_GET,
                    .query = sx_str_z(query),
                    .body = sx_str_z(body),
                    .headers = TYPE,
                    .header_count = body ? 1 : 0};
    sx_error err = {0};
    assert_int_equal(api_form_read(&r, arena, out, &err), SX_OK);
}

static void test_the_body_comes_before_the_address(void **state)
{
    (void)state;
    sx_arena arena;
    api_form form;
    sx_str *all;
    size_t count;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    read_form("a=1&b=%20x+y", "a=2&a=3", &arena, &form);
    assert_true(sx_str_eq(api_form_get(&form, "a"), SX_STR("2")));
    assert_true(sx_str_eq(api_form_address(&form, "a"), SX_STR("1")));
    assert_true(sx_str_eq(api_form_get(&form, "b"), SX_STR(" x y")));
    assert_int_equal(api_form_all(&form, "a", &arena, &all, &count, &err), SX_OK);
    assert_int_equal(count, 3);
    assert_int_equal(form.fault.len, 0);
    sx_arena_done(&arena);
}

static void test_broken_pairs_are_left_out_and_told(void **state)
{
    (void)state;
    sx_arena arena;
    api_form form;
    sx_arena_init(&arena, 0, 0);
    read_form("a=%zz&b=1&c;d=2&%", NULL, &arena, &form);
    assert_int_equal(form.count, 1);
    assert_true(sx_str_eq(form.fault, SX_STR("invalid URL escape \"%zz\"")));
    sx_arena_done(&arena);
}

static void test_a_set_of_matchers_must_refuse_something(void **state)
{
    (void)state;
    sx_arena arena;
    api_form form;
    api_matchers m;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    read_form("match[]=up&match[]={a%3D~\"b.*\"}", NULL, &arena, &form);
    assert_int_equal(api_matchers_read(&form, false, &arena, &m, &err), SX_OK);
    assert_int_equal(m.count, 2);
    api_matchers_done(&m);
    read_form("match[]=up&match[]={a%3D~\".*\"}", NULL, &arena, &form);
    assert_int_equal(api_matchers_read(&form, false, &arena, &m, &err), SX_EFORMAT);
    assert_string_equal(err.message, "match[] must contain at least one non-empty matcher");
    api_matchers_done(&m);
    sx_arena_done(&arena);
}

static void test_escaped_names_are_read(void **state)
{
    (void)state;
    static const char *const ROWS[][2] = {{"up", "up"},
                                          {"U__a_2e_b", "a.b"},
                                          {"U__a__b", "a_b"},
                                          {"U__l_e4_bel", "l\xc3\xa4"
                                                          "bel"},
                                          {"U__a_2e", "U__a_2e"},
                                          {"U__a_zz_", "U__a_zz_"},
                                          {"U__a_d800_", "U__a_d800_"}};
    sx_arena arena;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_str out;
        assert_int_equal(api_name_unescape(sx_str_z(ROWS[i][0]), &arena, &out, &err), SX_OK);
        assert_true(sx_str_eq(out, sx_str_z(ROWS[i][1])));
    }
    sx_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_are_seconds_or_dates),
        cmocka_unit_test(test_broken_times_are_quoted),
        cmocka_unit_test(test_durations_are_seconds_or_words),
        cmocka_unit_test(test_whole_numbers_are_gos),
        cmocka_unit_test(test_the_body_comes_before_the_address),
        cmocka_unit_test(test_broken_pairs_are_left_out_and_told),
        cmocka_unit_test(test_a_set_of_matchers_must_refuse_something),
        cmocka_unit_test(test_escaped_names_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

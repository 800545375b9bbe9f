/* test_go_text.c - numbers and quoted strings as strconv has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "codec/go_text.h"

typedef struct good_row {
    const char *text;
    double value;
} good_row;

static void test_reads_what_go_reads(void **state)
{
    (void)state;
    static const good_row ROWS[] = {
        {"0", 0},
        {"-0", -0.0},
        {"1", 1},
        {"+1", 1},
        {".5", 0.5},
        {"-.5", -0.5},
        {"5.", 5},
        {"5.e3", 5000},
        {"007.25", 7.25},
        {"00", 0},
        {"00.", 0},
        {"1e3", 1000},
        {"1E+3", 1000},
        {"1e-3", 0.001},
        {"1_000", 1000},
        {"1_23.50_0_0e+1_2", 1.235e14},
        {"0x1p3", 8},
        {"0X1.8P1", 3},
        {"0x.8p0", 0.5},
        {"0x_1p-1", 0.5},
        {"-0x1p3", -8},
        {"0x1_0p0", 16},
        {"1e-400", 0},
        {"4.9e-324", 4.9e-324},
        {"inf", INFINITY},
        {"-Infinity", -INFINITY},
        {"+INF", INFINITY},
        {"0.1", 0.1},
        {"1.7976931348623157e308", 1.7976931348623157e308},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        double got = 42;
        const char *why = go_float_read(sx_str_z(ROWS[i].text), &got);
        if (why || memcmp(&got, &ROWS[i].value, sizeof got) != 0)
            fail_msg("%s: %s, %.17g", ROWS[i].text, why ? why : "read", got);
    }
}

static void test_nan_has_the_bits_of_go(void **state)
{
    (void)state;
    double got = 0;
    uint64_t bits;
    assert_null(go_float_read(SX_STR("NaN"), &got));
    memcpy(&bits, &got, sizeof bits);
    assert_true(bits == UINT64_C(0x7ff8000000000001));
}

static void test_refuses_what_go_refuses(void **state)
{
    (void)state;
    static const char *const SYNTAX[] = {
        "",        " 1",    "1 ",   "+",    "-",      ".",       "..",    "+-1",
        "--1",     "1.2.3", "e5",   ".e5",  "1e",     "1e+",     "1e5x",  "-nan",
        "+nan",    "nanx",  "inf1", "_1",   "1_",     "1__0",    "1._5",  "1_.5",
        "1e_5",    "0x",    "0x1",  "0xp1", "0x.p1",  "0x1p",    "0x1p+", "0x1.1.1p1",
        "0x1p0x1", "0b1",   "1d",   "1f",   "0x1_p1", "infinit",
    };
    for (size_t i = 0; i < SX_COUNT_OF(SYNTAX); i++) {
        double got = 42;
        const char *why = go_float_read(sx_str_z(SYNTAX[i]), &got);
        if (!why || strcmp(why, "invalid syntax") != 0 || got != 42)
            fail_msg("%s: %s, %.17g", SYNTAX[i], why ? why : "read", got);
    }
    static const char *const RANGE[] = {"1e309", "-1e309", "0x1p1024", "1e99999999999"};
    for (size_t i = 0; i < SX_COUNT_OF(RANGE); i++) {
        double got = 42;
        assert_string_equal(go_float_read(sx_str_z(RANGE[i]), &got), "value out of range");
        assert_true(got == 42);
    }
    double got = 42;
    assert_non_null(go_float_read(sx_str_of("1\0002", 3), &got));
    char many[4002];
    memset(many, '0', sizeof many);
    assert_null(go_float_read(sx_str_of(many, 4000), &got));
    assert_string_equal(go_float_read(sx_str_of(many, 4001), &got), "invalid syntax");
}

static void expect_quoted(sx_str text, bool ascii, const char *want)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    (ascii ? go_quote_ascii : go_quote)(text, &out);
    assert_int_equal(out.len, strlen(want));
    assert_memory_equal(out.data, want, out.len);
    sx_buf_done(&out);
}

static void test_quotes_as_go_does(void **state)
{
    (void)state;
    expect_quoted(SX_STR(""), false, "\"\"");
    expect_quoted(SX_STR("a \"b\" \\ c"), false, "\"a \\\"b\\\" \\\\ c\"");
    expect_quoted(SX_STR("\a\b\f\n\r\t\v\x1b\x7f"), false, "\"\\a\\b\\f\\n\\r\\t\\v\\x1b\\x7f\"");
    expect_quoted(sx_str_of("\0", 1), false, "\"\\x00\"");
    expect_quoted(SX_STR("\xff\xc3("), false, "\"\\xff\\xc3(\"");
    expect_quoted(SX_STR("é\u00a0\u200b\U0001f600"), false, "\"é\\u00a0\\u200b\U0001f600\"");
    expect_quoted(SX_STR("é\U0001f600~"), true, "\"\\u00e9\\U0001f600~\"");
    expect_quoted(SX_STR("\U000e0001"), false, "\"\\U000e0001\"");
}

static void test_durations_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } CASES[] = {
        {"0", 0},
        {"-0", 0},
        {"+5s", 5000000000},
        {"1h2m3.5s", 3723500000000},
        {"-1.5ms", -1500000},
        {".5s", 500000000},
        {"5.s", 5000000000},
        {"1us", 1000},
        {"1\xc2\xb5s", 1000},
        {"1\xce\xbcs", 1000},
        {"0.9ns", 0},
        {"9007199254740993ns", 9007199254740993},
        {"0.100000000000000000020h", 360000000000},
        {"2562047h47m16.854775807s", INT64_MAX},
        {"-9223372036854775808ns", INT64_MIN},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_error err = {0};
        int64_t ns = 77;
        assert_int_equal(go_duration_read(sx_str_z(CASES[i].text), &ns, &err), SX_OK);
        assert_int_equal(ns, CASES[i].ns);
    }
}

static void test_what_is_no_duration_is_refused_in_gos_words(void **state)
{
    static const struct {
        const char *text, *why;
    } CASES[] = {
        {"", "time: invalid duration \"\""},
        {"-", "time: invalid duration \"-\""},
        {"s", "time: invalid duration \"s\""},
        {".s", "time: invalid duration \".s\""},
        {"+-1s", "time: invalid duration \"+-1s\""},
        {"1s ", "time: unknown unit \"s \" in duration \"1s \""},
        {"5", "time: missing unit in duration \"5\""},
        {"1.2.3s", "time: missing unit in duration \"1.2.3s\""},
        {"1h5y", "time: unknown unit \"y\" in duration \"1h5y\""},
        {"9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""},
        {"-9223372036854775809ns", "time: invalid duration \"-9223372036854775809ns\""},
        {"99999999999999999999s", "time: invalid duration \"99999999999999999999s\""},
        {"9000000000h", "time: invalid duration \"9000000000h\""},
        {"2562047h2562047h", "time: invalid duration \"2562047h2562047h\""},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_error err = {0};
        int64_t ns = 77;
        assert_int_equal(go_duration_read(sx_str_z(CASES[i].text), &ns, &err), SX_EINVAL);
        assert_string_equal(err.message, CASES[i].why);
        assert_int_equal(ns, 77);
    }
}

/* What is written is read again as what it was. */
static void test_durations_are_written_as_they_are_read(void **state)
{
    static const struct {
        int64_t ns;
        const char *text;
    } CASES[] = {
        {0, "0s"},
        {1, "1ns"},
        {-999, "-999ns"},
        {1100, "1.1\xc2\xb5s"},
        {503500000, "503.5ms"},
        {62500000000, "1m2.5s"},
        {3600000000000, "1h0m0s"},
        {INT64_MAX, "2562047h47m16.854775807s"},
        {INT64_MIN, "-2562047h47m16.854775808s"},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_buf out;
        int64_t again;
        sx_buf_init(&out, 0);
        go_duration_write(CASES[i].ns, &out);
        assert_int_equal(go_duration_read(sx_buf_view(&out), &again, NULL), SX_OK);
        assert_int_equal(again, CASES[i].ns);
        sx_buf_byte(&out, '\0');
        assert_string_equal(out.data, CASES[i].text);
        sx_buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_go_reads),
        cmocka_unit_test(test_nan_has_the_bits_of_go),
        cmocka_unit_test(test_refuses_what_go_refuses),
        cmocka_unit_test(test_quotes_as_go_does),
        cmocka_unit_test(test_durations_are_read),
        cmocka_unit_test(test_what_is_no_duration_is_refused_in_gos_words),
        cmocka_unit_test(test_durations_are_written_as_they_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_go_reads),
        cmocka_unit_test(test_nan_has_the_bits_of_go),
        cmocka_unit_test(test_refuses_what_go_refuses),
        cmocka_unit_test(test_quotes_as_go_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

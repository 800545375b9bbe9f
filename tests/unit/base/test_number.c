/* test_number.c - doubles to text and back, beside the C library's slow and exact ways. */
#include <sextant/number.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <sextant/random.h>

#include "tests/unit/base/cmocka_all.h"

static void assert_reads(const char *text, double want)
{
    double got = 42;
    if (!sx_double_parse(sx_str_z(text), &got) || memcmp(&got, &want, sizeof(got)) != 0)
        fail_msg("%s: %.17g, not %.17g", text, got, want);
}

static void test_numbers_are_read_exactly(void **state)
{
    (void)state;
    assert_reads("0", 0.0);
    assert_reads("-0", -0.0);
    assert_reads("-0.0e5", -0.0);
    assert_reads("48.868702", 48.868702);
    assert_reads("1e22", 1e22);
    assert_reads("1E+23", 1e23);
    assert_reads("123456789012345678", 123456789012345678.0);
    assert_reads("9007199254740993", 9007199254740992.0);
    assert_reads("9007199254740993.0000000000000000000001", 9007199254740994.0);
    assert_reads("0.000000000000000000000000000000000000000000001", 1e-45);
    assert_reads("2.2250738585072011e-308", 2.2250738585072011e-308);
    assert_reads("4.9406564584124654e-324", 5e-324);
    assert_reads("1.7976931348623157e308", 1.7976931348623157e308);
    assert_reads("0.1000000000000000055511151231257827021181583404541015625", 0.1);
    assert_reads("0e999999999999999999999", 0.0);
}

static void test_numbers_out_of_range_become_infinite_or_zero(void **state)
{
    (void)state;
    assert_reads("1e309", INFINITY);
    assert_reads("-1e309", -INFINITY);
    assert_reads("1e99999999999999999999", INFINITY);
    assert_reads("1e-400", 0.0);
    assert_reads("-1e-99999999999999999999", -0.0);
    assert_reads("0.00001e400", INFINITY);
    assert_reads("0.00000000000000000000000000000000000000000001e-300", 0.0);
    char text[800];
    memset(text, '9', 700);
    text[700] = '\0';
    assert_reads(text, INFINITY);
    memcpy(text + 700, "e-800", 6);
    assert_reads(text, 1e-100);
}

static void test_the_grammar_is_jsons(void **state)
{
    (void)state;
    static const char *const BAD[] = {"",    "-",   "+1",  ".5",    "1.",       "01",   "-01",
                                      "1e",  "1e+", "0x1", "nan",   "inf",      "1 ",   " 1",
                                      "1_0", "1,5", "--1", "1e5.0", "Infinity", "1ee5", "e5"};
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++) {
        double value = 42;
        if (sx_double_parse(sx_str_z(BAD[i]), &value) || value != 42)
            fail_msg("'%s' is taken for %g", BAD[i], value);
    }
}

static void test_a_scan_stops_where_the_number_ends(void **state)
{
    (void)state;
    double value;
    assert_int_equal(sx_double_scan(SX_STR("1.5,2"), &value), 3);
    assert_int_equal(sx_double_scan(SX_STR("012"), &value), 1);
    assert_int_equal(sx_double_scan(SX_STR("1e+x"), &value), 1);
    assert_int_equal(sx_double_scan(SX_STR("2.e5"), &value), 1);
    assert_int_equal(sx_double_scan(sx_str_of(NULL, 0), &value), 0);
    assert_int_equal(sx_double_scan(SX_STR("-x"), &value), 0);
}

/* A view has no closing NUL: the bytes behind it must not matter. */
static void test_every_cut_of_a_number_is_read_alone(void **state)
{
    (void)state;
    static const char TEXT[] = "-123.456e-17";
    for (size_t len = 0; len < sizeof(TEXT); len++) {
        char *cut = malloc(len ? len : 1); /* its own block, so that a sanitizer sees an overrun */
        char z[sizeof(TEXT)];
        memcpy(cut, TEXT, len);
        memcpy(z, TEXT, len);
        z[len] = '\0';
        double value = 0;
        size_t used = sx_double_scan(sx_str_of(cut, len), &value);
        if (used) {
            z[used] = '\0';
            assert_true(value == strtod(z, NULL));
        }
        free(cut);
    }
}

static void assert_writes(double value, sx_double_style style, const char *want)
{
    char text[SX_DOUBLE_BYTES];
    size_t len = sx_double_format(value, style, text);
    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
}

static void test_the_styles_differ_in_layout(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *js, *python, *go;
    } CASES[] = {
        {0, "0", "0.0", "0"},
        {-0.0, "0", "-0.0", "-0"},
        {3, "3", "3.0", "3"},
        {-1.5, "-1.5", "-1.5", "-1.5"},
        {0.1, "0.1", "0.1", "0.1"},
        {1e5, "100000", "100000.0", "100000"},
        {1e6, "1000000", "1000000.0", "1e+06"},
        {1234567.5, "1234567.5", "1234567.5", "1.2345675e+06"},
        {1e15, "1000000000000000", "1000000000000000.0", "1e+15"},
        {1e16, "10000000000000000", "1e+16", "1e+16"},
        {1e20, "100000000000000000000", "1e+20", "1e+20"},
        {1e21, "1e+21", "1e+21", "1e+21"},
        {1e-4, "0.0001", "0.0001", "0.0001"},
        {1e-5, "0.00001", "1e-05", "1e-05"},
        {1.5e-6, "0.0000015", "1.5e-06", "1.5e-06"},
        {1e-7, "1e-7", "1e-07", "1e-07"},
        {1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308",
         "1.7976931348623157e+308"},
        {-2.2250738585072014e-308, "-2.2250738585072014e-308", "-2.2250738585072014e-308",
         "-2.2250738585072014e-308"},
        {5e-324, "5e-324", "5e-324", "5e-324"},
        {48.868702, "48.868702", "48.868702", "48.868702"},
        {0.9637254545454546, "0.9637254545454546", "0.9637254545454546", "0.9637254545454546"},
        {INFINITY, "Infinity", "inf", "+Inf"},
        {-INFINITY, "-Infinity", "-inf", "-Inf"},
        {NAN, "NaN", "nan", "NaN"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        assert_writes(CASES[i].value, SX_DOUBLE_JS, CASES[i].js);
        assert_writes(CASES[i].value, SX_DOUBLE_PYTHON, CASES[i].python);
        assert_writes(CASES[i].value, SX_DOUBLE_GO, CASES[i].go);
    }
}

static void test_fixed_and_plain_forms(void **state)
{
    (void)state;
    char text[SX_DOUBLE_FIXED_BYTES];
    sx_double_fixed(2.345, 2, text);
    assert_string_equal(text, "2.35"); /* the double is a little above */
    sx_double_fixed(0.125, 2, text);
    assert_string_equal(text, "0.12"); /* a tie, to even */
    sx_double_fixed(-1e15, 0, text);
    assert_string_equal(text, "-1000000000000000");
    assert_int_equal(sx_double_fixed(-1.7976931348623157e308, 100, text), 1 + 309 + 1 + 100);
    sx_double_fixed(NAN, 3, text);
    assert_string_equal(text, "NaN");
    sx_double_plain(1e21, text);
    assert_string_equal(text, "1000000000000000000000");
    sx_double_plain(-1.5e-10, text);
    assert_string_equal(text, "-0.00000000015");
    assert_int_equal(sx_double_plain(-2.2250738585072014e-308, text), 3 + 307 + 17);
    sx_double_plain(-INFINITY, text);
    assert_string_equal(text, "-Inf");
}

static double random_double(sx_random *r, int kind)
{
    double value = 0;
    uint64_t bits = sx_random_u64(r);
    switch (kind) {
    case 0: /* any bits */
        memcpy(&value, &bits, sizeof(value));
        return isfinite(value) ? value : 0.5;
    case 1: /* coordinates */
        return (double)((int64_t)sx_random_below(r, 360000000) - 180000000) / 1e6;
    case 2: /* whole numbers */
        return (double)(bits >> sx_random_below(r, 64));
    default:
        return sx_random_double(r);
    }
}

static void test_what_is_written_reads_back_and_is_shortest(void **state)
{
    (void)state;
    sx_random r;
    sx_random_seed(&r, 1);
    for (int i = 0; i < 20000; i++) {
        double value = random_double(&r, i % 4), back;
        char text[SX_DOUBLE_BYTES], slow[40];
        for (int style = SX_DOUBLE_JS; style <= SX_DOUBLE_GO; style++) {
            sx_double_format(value, (sx_double_style)style, text);
            assert_true(sx_double_parse(sx_str_z(text), &back) && back == value);
            assert_true(strtod(text, NULL) == value);
        }
        int digits = 1;
        do { /* the fewest digits that printf needs */
            snprintf(slow, sizeof(slow), "%.*e", digits - 1, value);
        } while (strtod(slow, NULL) != value && digits++ < 17);
        int ours = 0, zeros = 0;
        for (const char *at = text; *at && *at != 'e'; at++) {
            if (*at < '0' || *at > '9' || (ours == 0 && *at == '0'))
                continue;
            ours++;
            zeros = *at == '0' ? zeros + 1 : 0;
        }
        if (value != 0)
            assert_int_equal(ours - zeros, digits);
        snprintf(slow, sizeof(slow), "%.17g", value);
        assert_true(sx_double_scan(sx_str_z(slow), &back) && back == value);
    }
}

static void test_random_texts_are_read_as_strtod_reads_them(void **state)
{
    (void)state;
    sx_random r;
    sx_random_seed(&r, 2);
    for (int i = 0; i < 20000; i++) {
        char text[96];
        int len = 0, digits = 1 + (int)sx_random_below(&r, 30);
        for (int d = 0; d < digits; d++)
            text[len++] = (char)('0' + sx_random_below(&r, 10));
        if (text[0] == '0')
            text[0] = '7';
        int point = 1 + (int)sx_random_below(&r, (uint64_t)digits);
        if (point < digits) {
            memmove(text + point + 1, text + point, (size_t)(digits - point));
            text[point] = '.';
            len++;
        }
        snprintf(text + len, sizeof(text) - (size_t)len, "e%d",
                 (int)sx_random_below(&r, 700) - 360);
        double value;
        assert_int_equal(sx_double_scan(sx_str_z(text), &value), strlen(text));
        if (value != strtod(text, NULL))
            fail_msg("%s: %.17g", text, value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_read_exactly),
        cmocka_unit_test(test_numbers_out_of_range_become_infinite_or_zero),
        cmocka_unit_test(test_the_grammar_is_jsons),
        cmocka_unit_test(test_a_scan_stops_where_the_number_ends),
        cmocka_unit_test(test_every_cut_of_a_number_is_read_alone),
        cmocka_unit_test(test_the_styles_differ_in_layout),
        cmocka_unit_test(test_fixed_and_plain_forms),
        cmocka_unit_test(test_what_is_written_reads_back_and_is_shortest),
        cmocka_unit_test(test_random_texts_are_read_as_strtod_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_json.c - JSON is written as Prometheus writes it, in pieces of any size. */
#include <math.h>
#include "tests/unit/base/cmocka_all.h"

#include "observe/api/json.h"

static void expect(const sx_buf *out, const char *want)
{
    char got[4096];
    assert_false(out->failed);
    assert_true(out->len < sizeof got);
    memcpy(got, out->data, out->len);
    got[out->len] = '\0';
    assert_string_equal(got, want);
}

static void test_numbers_of_samples_are_texts(void **state)
{
    (void)state;
    const struct {
        double value;
        const char *text;
    } ROWS[] = {{0, "\"0\""},
                {-0.0, "\"-0\""},
                {1, "\"1\""},
                {-17, "\"-17\""},
                {0.1, "\"0.1\""},
                {1e-6, "\"0.000001\""},
                {1e-7, "\"1e-07\""},
                {1e20, "\"100000000000000000000\""},
                {1e21, "\"1e+21\""},
                {9007199254740993.0, "\"9007199254740992\""},
                {5e-324, "\"5e-324\""},
                {INFINITY, "\"+Inf\""},
                {-INFINITY, "\"-Inf\""},
                {NAN, "\"NaN\""}};
    sx_buf out;
    sx_buf_init(&out, 0);
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_buf_clear(&out);
        api_json_float(&out, ROWS[i].value);
        expect(&out, ROWS[i].text);
    }
    sx_buf_done(&out);
}

static void test_times_have_three_digits_or_none(void **state)
{
    (void)state;
    sx_buf out;
    sx_buf_init(&out, 0);
    const int64_t times[] = {0, 1000, 1500, 1005, -1500, 1795287410162};
    for (size_t i = 0; i < SX_COUNT_OF(times); i++) {
        api_json_time(&out, times[i]);
        sx_buf_byte(&out, ' ');
    }
    expect(&out, "0 1 1.500 1.005 -1.500 1795287410.162 ");
    sx_buf_done(&out);
}

static void test_labels_keep_what_pages_must_escape(void **state)
{
    (void)state;
    sx_buf out;
    sx_buf_init(&out, 0);
    api_json_label(&out, SX_STR("<a&\"\\\n\x01\xff>"));
    sx_buf_byte(&out, ' ');
    api_json_text(&out, SX_STR("<a&\"\\\n\x01\xff>\xe2\x80\xa8"));
    expect(&out, "\"<a&\\\"\\\\\\n\\u0001\xff>\" "
                 "\"\\u003ca\\u0026\\\"\\\\\\n\\u0001\\ufffd\\u003e\\u2028\"");
    sx_buf_done(&out);
}

static void test_dates_are_gos(void **state)
{
    (void)state;
    sx_buf out;
    sx_buf_init(&out, 0);
    api_json_date(&out, 0);
    api_json_date(&out, 1795287410160);
    api_json_date(&out, 1795287410000);
    expect(&out, "\"0001-01-01T00:00:00Z\"\"2026-11-21T18:56:50.16Z\"\"2026-11-21T18:56:50Z\"");
    sx_buf_done(&out);
}

/* Two series, floats and histograms mixed. */
static const int64_t TIMES[] = {1000, 2500, 3000};
static const double VALUES[] = {1, 2.5, 0};
static const tsdb_label NAME[] = {{SX_STR_INIT("__name__"), SX_STR_INIT("x")}};
static const tsdb_histogram HISTOGRAM = {
    .zero_threshold = 0.5, .zero_count = 2, .count = 2, .sum = 1};
static const tsdb_histogram *const HISTOGRAMS[] = {NULL, NULL, &HISTOGRAM};
static const char WHOLE[] =
    "{\"resultType\":\"matrix\",\"result\":["
    "{\"metric\":{\"__name__\":\"x\"},\"values\":[[1,\"1\"],[2.500,\"2.5\"]],"
    "\"histograms\":[[3,{\"count\":\"2\",\"sum\":\"1\",\"buckets\":[[3,\"-0.5\",\"0.5\",\"2\"]]}]]},"
    "{\"metric\":{},\"values\":[[1,\"1\"],[2.500,\"2.5\"],[3,\"0\"]]}]";

static void test_pieces_of_any_size_make_the_same_answer(void **state)
{
    (void)state;
    promql_series series[] = {{{NAME, 1}, TIMES, VALUES, HISTOGRAMS, 3},
                              {{NULL, 0}, TIMES, VALUES, NULL, 3}};
    promql_result result = {.type = PROMQL_MATRIX, .series = series, .series_count = 2};
    for (size_t bytes = 1; bytes < sizeof WHOLE + 2; bytes++) {
        api_result_writer w = {.result = &result, .series_count = 2};
        sx_buf out;
        sx_buf_init(&out, 0);
        size_t pieces = 1;
        while (!api_result_write(&w, bytes, &out))
            pieces++;
        expect(&out, WHOLE);
        assert_true(bytes > 40 || pieces > 2);
        sx_buf_done(&out);
    }
}

static void test_scalars_never_have_an_exponent(void **state)
{
    (void)state;
    promql_result result = {.type = PROMQL_SCALAR, .scalar = 1e21, .scalar_t = 1500};
    api_result_writer w = {.result = &result};
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_true(api_result_write(&w, 100, &out));
    expect(&out, "{\"resultType\":\"scalar\",\"result\":[1.5,\"1000000000000000000000\"]");
    sx_buf_done(&out);
}

static void test_more_than_ten_notes_are_counted(void **state)
{
    (void)state;
    sx_str notes[12];
    sx_buf out;
    sx_buf_init(&out, 0);
    for (size_t i = 0; i < SX_COUNT_OF(notes); i++)
        notes[i] = SX_STR("n");
    api_notes_write(notes, 1, notes, 12, &out);
    expect(&out, ",\"warnings\":[\"n\"],\"infos\":[\"n\",\"n\",\"n\",\"n\",\"n\",\"n\",\"n\",\"n\","
                 "\"n\",\"n\",\"2 more info annotations omitted\"]");
    sx_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_of_samples_are_texts),
        cmocka_unit_test(test_times_have_three_digits_or_none),
        cmocka_unit_test(test_labels_keep_what_pages_must_escape),
        cmocka_unit_test(test_dates_are_gos),
        cmocka_unit_test(test_pieces_of_any_size_make_the_same_answer),
        cmocka_unit_test(test_scalars_never_have_an_exponent),
        cmocka_unit_test(test_more_than_ten_notes_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

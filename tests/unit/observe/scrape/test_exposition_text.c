/* Text 0.0.4 and OpenMetrics: what is read, what is refused, in whose words. */
#include <math.h>
#include <stdio.h>

#include "tests/unit/base/cmocka_all.h"

#include "base/fault.h"
#include "observe/scrape/exposition.h"
#include "tests/unit/observe/scrape/exposition_dump.h"

static const prom_exposition_options TEXT = {.protocol = PROM_PROTOCOL_TEXT_0_0_4};
static const prom_exposition_options OM = {.protocol = PROM_PROTOCOL_OPENMETRICS_1_0_0};

static void expect(const char *body, const prom_exposition_options *options, const char *want)
{
    sx_buf out;
    sx_error err = {0};
    sx_buf_init(&out, 0);
    sx_status st = exposition_dump(sx_str_z(body), options, (sx_str){0}, &out, &err);
    if (st != SX_OK)
        fail_msg("%s: %s", body, err.message);
    sx_buf_byte(&out, 0);
    assert_string_equal(out.data, want);
    sx_buf_done(&out);
}

static void expect_error(const char *body, const prom_exposition_options *options, const char *want)
{
    sx_buf out;
    sx_error err = {0};
    sx_buf_init(&out, 0);
    assert_int_equal(exposition_dump(sx_str_z(body), options, (sx_str){0}, &out, &err), SX_EFORMAT);
    assert_string_equal(err.message, want);
    sx_buf_done(&out);
}

static void test_text_of_all_shapes(void **state)
{
    (void)state;
    expect("# HELP go_gc A \\n\\\\ summary.\n"
           "# \t HELP  go_gc2 x\n"
           "# TYPE go_gc summary\n"
           "go_gc{quantile=\"0\"} 4.9351e-05\n"
           "go_gc{ quantile = \"1.0\", } +Inf 123\n"
           "# a comment {\n"
           "#another\n"
           "\n"
           " \t\n"
           "  up{a=\"x\\\"\\\\\\n\\q\",b=\"\"}\t-1.5e+2\t\n"
           "no_labels{} NaN 0\n"
           "# TYPE h histogram\n"
           "h_bucket{le=\"5\"} 00012\n"
           "# TYPE u untyped\n"
           "{\"my.metric\",\"a.b\"=\"c\"} .5\n"
           "last 7.",
           &TEXT,
           "H go_gc [A \n\\ summary.]\n"
           "H go_gc2 [x]\n"
           "T go_gc [summary]\n"
           "{__name__=\"go_gc\", quantile=\"0.0\"} 4.9351e-05\n"
           "{__name__=\"go_gc\", quantile=\"1.0\"} inf @123\n"
           "{__name__=\"up\", a=\"x\\\"\\\\\\n\\\\q\"} -150\n"
           "{__name__=\"no_labels\"} nan @0\n"
           "T h [histogram]\n"
           "{__name__=\"h_bucket\", le=\"5.0\"} 12\n"
           "T u [unknown]\n"
           "{__name__=\"my.metric\", \"a.b\"=\"c\"} 0.5\n"
           "{__name__=\"last\"} 7\n");
}

static void test_openmetrics_of_all_shapes(void **state)
{
    (void)state;
    expect("# TYPE a_seconds counter\n"
           "# UNIT a_seconds seconds\n"
           "# HELP a_seconds say \\\"hi\\\"\n"
           "a_seconds_total 1 1520879607.789 # {id=\"x y\"} 0.5 1520879607.1\n"
           "a_seconds_total{b=\"1\"} 2 # {} 3\n"
           "a_seconds_created{b=\"1\"} 3\n"
           "# TYPE s stateset\n"
           "s{s=\"on\"} 1\n"
           "# EOF\n",
           &OM,
           "T a_seconds [counter]\n"
           "U a_seconds [seconds]\n"
           "H a_seconds [say \"hi\"]\n"
           "{__name__=\"a_seconds_total\"} 1 @1520879607789 # {id=\"x y\"} 0.5 @1520879607100\n"
           "{__name__=\"a_seconds_total\", b=\"1\"} 2 # {} 3\n"
           "{__name__=\"a_seconds_created\", b=\"1\"} 3\n"
           "T s [stateset]\n"
           "{__name__=\"s\", s=\"on\"} 1\n");
}

static void test_created_lines_give_start_times(void **state)
{
    (void)state;
    prom_exposition_options o = OM;
    o.skip_created = true;
    expect("# TYPE c counter\n"
           "c_total{a=\"1\"} 1 # {x=\"y\"} 1\n"
           "c_created{a=\"1\"} 10.5\n"
           "c_total{a=\"2\"} 2\n"
           "c_total{a=\"3\"} 3\n"
           "c_created{a=\"3\"} 12\n"
           "# TYPE h histogram\n"
           "h_bucket{a=\"1\",le=\"1\"} 1\n"
           "h_bucket{a=\"1\",le=\"+Inf\"} 1\n"
           "h_count{a=\"1\"} 1\n"
           "h_created{a=\"1\"} 5\n"
           "# TYPE g gauge\n"
           "g_created 5\n"
           "# EOF",
           &o,
           "T c [counter]\n"
           "{__name__=\"c_total\", a=\"1\"} 1 since 10500 # {x=\"y\"} 1\n"
           "{__name__=\"c_total\", a=\"2\"} 2\n"
           "{__name__=\"c_total\", a=\"3\"} 3 since 12000\n"
           "T h [histogram]\n"
           "{__name__=\"h_bucket\", a=\"1\", le=\"1.0\"} 1 since 5000\n"
           "{__name__=\"h_bucket\", a=\"1\", le=\"+Inf\"} 1 since 5000\n"
           "{__name__=\"h_count\", a=\"1\"} 1 since 5000\n"
           "T g [gauge]\n"
           "{__name__=\"g_created\"} 5\n");
}

static void test_types_and_units_may_become_labels(void **state)
{
    (void)state;
    prom_exposition_options o = OM;
    o.type_unit_labels = true;
    expect("# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n"
           "a_seconds{__type__=\"mine\"} 1\n# EOF\n",
           &o,
           "T a_seconds [gauge]\nU a_seconds [seconds]\n"
           "{__name__=\"a_seconds\", __type__=\"gauge\", __unit__=\"seconds\"} 1\n");
}

static void test_an_expected_series_is_not_read_again(void **state)
{
    (void)state;
    static const struct {
        const char *expected, *want;
    } CASES[] = {
        {"a{b=\"c\"}", "{__name__=\"a\", b=\"c\"} 1 expected\n"},
        {"a", "{__name__=\"a\", b=\"c\"} 1\n"},
        {"a{b=\"c\"} 1", "{__name__=\"a\", b=\"c\"} 1\n"},
        {"b{b=\"c\"}", "{__name__=\"a\", b=\"c\"} 1\n"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_buf out;
        sx_buf_init(&out, 0);
        assert_int_equal(exposition_dump(SX_STR("a{b=\"c\"} 1\n"), &TEXT,
                                         sx_str_z(CASES[i].expected), &out, NULL),
                         SX_OK);
        sx_buf_byte(&out, 0);
        assert_string_equal(out.data, CASES[i].want);
        sx_buf_done(&out);
    }
}

static void test_faults_are_told_in_prometheus_words(void **state)
{
    (void)state;
    static const struct {
        const char *body, *words;
    } BAD[] = {
        {"a", "expected value after metric, got \"\" (\"EOF\") while parsing: \"a\" (line 1)"},
        {"x 1\na{b='c'} 1\n", "expected label value, got \"'\" (\"INVALID\") while parsing: "
                              "\"a{b='\" (line 2)"},
        {"a{b=\"c\" 1\n", "expected label name, got \"1\" (\"INVALID\") while parsing: "
                          "\"a{b=\\\"c\\\" 1\" (line 1)"},
        {"a{b\n", "expected equal, got \"\\n\" (\"INVALID\") while parsing: \"a{b\\n\" (line 1)"},
        {"a 1 2 3\n", "expected next entry after timestamp, got \"3\" (\"INVALID\") while parsing: "
                      "\"a 1 2 3\" (line 1)"},
        {"a 1 b\n", "expected timestamp or new record, got \"b\" (\"INVALID\") while parsing: "
                    "\"a 1 b\" (line 1)"},
        {"a 0x1p-3\n", "unsupported character in float while parsing: \"a 0x1p-3\" (line 1)"},
        {"a 1.2.3\n", "strconv.ParseFloat: parsing \"1.2.3\": invalid syntax while parsing: "
                      "\"a 1.2.3\" (line 1)"},
        {"a 1e999\n", "strconv.ParseFloat: parsing \"1e999\": value out of range while parsing: "
                      "\"a 1e999\" (line 1)"},
        {"# TYPE a thing\n", "invalid metric type \"thing\" (line 1)"},
        {"{b=\"c\"} 1\n", "metric name not set while parsing: \"{b=\\\"c\\\"}\" (line 1)"},
        {"a{\"b\"} 1\n", "metric name already set while parsing: \"a{\\\"b\\\"\" (line 1)"},
        {"a{b=\"\xff\"} 1\n", "invalid UTF-8 label value: \"\\\"\\xff\\\"\" (line 1)"},
        {"\x01 1\n", "expected a valid start token, got \"\\x01\" (\"INVALID\") while parsing: "
                     "\"\\x01\" (line 1)"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++)
        expect_error(BAD[i].body, &TEXT, BAD[i].words);
    expect_error("a 1\n", &OM, "data does not end with # EOF");
    expect_error("a 1\n# EOF\nb", &OM, "unexpected data after # EOF");
    expect_error("# UNIT a seconds\n# EOF\n", &OM,
                 "unit \"seconds\" not a suffix of metric \"a\" (line 1)");
    expect_error("a  1\n# EOF\n", &OM,
                 "expected value after metric, got \" \" (\"INVALID\") while parsing: \"a \" "
                 "(line 1)");
    expect_error("a 1 inf\n# EOF\n", &OM, "invalid timestamp inf (line 1)");
}

static void test_labels_have_limits(void **state)
{
    (void)state;
    prom_exposition_options o = TEXT;
    sx_buf out;
    sx_error err;
    sx_buf_init(&out, 0);
    o.labels_max = 1;
    o.label_bytes_max = 3;
    assert_int_equal(exposition_dump(SX_STR("a{b=\"1\",c=\"2\"} 1\n"), &o, (sx_str){0}, &out, &err),
                     SX_ELIMIT);
    assert_string_equal(err.message, "line 1: a series with more than 1 labels");
    assert_int_equal(exposition_dump(SX_STR("a{b=\"1234\"} 1\n"), &o, (sx_str){0}, &out, &err),
                     SX_ELIMIT);
    assert_string_equal(err.message, "line 1: a label of more than 3 bytes");
    sx_buf_done(&out);
}

static const char WHOLE[] =
    "# HELP a x\\n\n# TYPE a counter\na_total{b=\"c\\\"\",d=\"e\"} 1.25e3 1.5"
    " # {f=\"g\"} 2 3\na_created{b=\"c\\\"\",d=\"e\"} 1\n# EOF\n";

/* Every beginning of a body, in memory of its own so that a sanitizer sees a byte too far. */
static void test_truncation_at_every_byte(void **state)
{
    (void)state;
    prom_exposition_options created = OM;
    created.skip_created = true;
    const prom_exposition_options *all[] = {&TEXT, &OM, &created};
    for (size_t k = 0; k < SX_COUNT_OF(all); k++) {
        for (size_t len = 0; len < sizeof WHOLE; len++) {
            char *part = test_malloc(len ? len : 1);
            memcpy(part, WHOLE, len);
            sx_buf out;
            sx_error err = {0};
            sx_buf_init(&out, 0);
            sx_status st = exposition_dump(sx_str_of(part, len), all[k], (sx_str){0}, &out, &err);
            assert_true(st == SX_OK || (st == SX_EFORMAT && err.message[0]));
            if (k > 0)
                assert_true(st == SX_EFORMAT || len >= sizeof WHOLE - 2);
            sx_buf_done(&out);
            test_free(part);
        }
    }
}

static void test_every_failing_allocation_is_an_error(void **state)
{
    (void)state;
    for (int64_t n = 1;; n++) {
        sx_buf out;
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_buf_init(&out, 0);
        sx_status st =
            exposition_dump(sx_str_of(WHOLE, sizeof WHOLE - 1), &OM, (sx_str){0}, &out, NULL);
        sx_buf_done(&out);
        bool through = sx_fault_alloc_calls() < n;
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(st == SX_OK || st == SX_ENOMEM);
        if (through)
            break;
    }
}

static void test_the_protocol_follows_the_content_type(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        prom_scrape_protocol fallback, want;
    } CASES[] = {
        {"text/plain; version=0.0.4; charset=utf-8", 0, PROM_PROTOCOL_TEXT_0_0_4},
        {"APPLICATION/openmetrics-text;version=1.0.0", 0, PROM_PROTOCOL_OPENMETRICS_1_0_0},
        {"application/vnd.google.protobuf", 0, PROM_PROTOCOL_PROTOBUF},
        {"", PROM_PROTOCOL_TEXT_0_0_4, PROM_PROTOCOL_TEXT_0_0_4},
        {"text/html", PROM_PROTOCOL_PROTOBUF, PROM_PROTOCOL_PROTOBUF},
    };
    prom_scrape_protocol p;
    sx_error err;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        assert_int_equal(
            prom_exposition_protocol(sx_str_z(CASES[i].type), CASES[i].fallback, &p, NULL), SX_OK);
        assert_int_equal(p, CASES[i].want);
    }
    assert_int_equal(prom_exposition_protocol(SX_STR("text/html"), 0, &p, &err), SX_EUNSUPPORTED);
    assert_string_equal(err.message, "received unsupported Content-Type \"text/html\" and no "
                                     "fallback_scrape_protocol specified for target");
}

static void test_accept_names_the_protocols_in_order(void **state)
{
    (void)state;
    static const prom_scrape_protocol ORDER[] = {PROM_PROTOCOL_OPENMETRICS_1_0_0,
                                                 PROM_PROTOCOL_TEXT_0_0_4};
    prom_scrape_config job = {.protocols = ORDER, .protocol_count = 2};
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_int_equal(prom_exposition_accept(&job, &out, NULL), SX_OK);
    sx_buf_byte(&out, 0);
    assert_string_equal(out.data,
                        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                        "text/plain;version=0.0.4;q=0.5,*/*;q=0.4");
    sx_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_of_all_shapes),
        cmocka_unit_test(test_openmetrics_of_all_shapes),
        cmocka_unit_test(test_created_lines_give_start_times),
        cmocka_unit_test(test_types_and_units_may_become_labels),
        cmocka_unit_test(test_an_expected_series_is_not_read_again),
        cmocka_unit_test(test_faults_are_told_in_prometheus_words),
        cmocka_unit_test(test_labels_have_limits),
        cmocka_unit_test(test_truncation_at_every_byte),
        cmocka_unit_test(test_every_failing_allocation_is_an_error),
        cmocka_unit_test(test_the_protocol_follows_the_content_type),
        cmocka_unit_test(test_accept_names_the_protocols_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

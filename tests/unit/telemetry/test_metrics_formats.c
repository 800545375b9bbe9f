/* test_metrics_formats.c - what an Accept header gets, and what each format shows of the same
 * registry. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sextant/metrics.h>
#include <sextant/protobuf.h>

#include "base/fault.h"
#include "telemetry/exposition_otlp.h"

static const uint8_t TRACE[16] = {0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6,
                                  0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36};
static const uint8_t SPAN[8] = {0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7};
static const uint8_t NO_TRACE[16], NO_SPAN[8];
#define EXEMPLAR "# {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\",span_id=\"00f067aa0ba902b7\"} "

typedef struct fixture {
    sx_fake_clock clock; /* begins at 1700000000.250 */
    sx_metrics *m;
    sx_buf out;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    sx_fake_clock_init(&f->clock, 1700000000250);
    sx_metrics_options options = {.clock = &f->clock.clock, .created_series = true};
    sx_buf_init(&f->out, 0);
    *state = f;
    return sx_metrics_new(&options, &f->m, NULL);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sx_metrics_free(f->m);
    sx_buf_done(&f->out);
    free(f);
    return 0;
}

static sx_metric *metric(fixture *f, sx_metric_options o)
{
    sx_metric *out;
    sx_error err = {0};
    o.help = o.help ? o.help : "A \"b\" \\ c\nd.";
    if (sx_metric_new(f->m, &o, &out, &err) != SX_OK)
        fail_msg("%s", err.message);
    return out;
}

static sx_str encode(fixture *f, sx_metrics_format format, sx_metrics_escaping escaping)
{
    sx_buf_clear(&f->out);
    sx_metrics_encoding encoding = {format, escaping};
    assert_int_equal(sx_metrics_encode(f->m, encoding, &f->out, NULL), SX_OK);
    return sx_buf_view(&f->out);
}

static void assert_text(fixture *f, sx_metrics_format format, sx_metrics_escaping escaping,
                        const char *expected)
{
    encode(f, format, escaping);
    sx_buf_byte(&f->out, '\0');
    assert_string_equal(f->out.data, expected);
}

/* ---- negotiation ---- */

static void test_an_accept_header_gets_the_best_that_there_is(void **state)
{
    (void)state;
#define PROTO "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily"
    static const struct {
        const char *accept;
        sx_metrics_format format;
        sx_metrics_escaping escaping;
    } CASES[] = {
        {"", SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES},
        {"*/*", SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES},
        {"text/html,application/xml;q=0.9,*/*;q=0.8", SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES},
        {"application/json", SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES},
        {"text/plain", SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES},
        {"text/plain;version=0.0.4;escaping=allow-utf-8", SX_METRICS_TEXT_004,
         SX_METRICS_ALLOW_UTF8},
        {"text/plain;version=1.0.0", SX_METRICS_TEXT_100, SX_METRICS_UNDERSCORES},
        {"text/plain; Version=\"1.0.0\" ; escaping=\"dots\"", SX_METRICS_TEXT_100, SX_METRICS_DOTS},
        {"text/plain;version=2.0.0", SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES},
        {"application/openmetrics-text", SX_METRICS_OPENMETRICS, SX_METRICS_UNDERSCORES},
        {"Application/OpenMetrics-Text;version=1.0.0;escaping=values", SX_METRICS_OPENMETRICS,
         SX_METRICS_VALUES},
        {"application/openmetrics-text;version=9;q=1,text/plain;version=1.0.0;q=0.1",
         SX_METRICS_TEXT_100, SX_METRICS_UNDERSCORES},
        {PROTO ";encoding=delimited", SX_METRICS_PROTOBUF, SX_METRICS_UNDERSCORES},
        {PROTO ";encoding=text", SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES},
        {PROTO, SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES},
        {"application/vnd.google.protobuf;encoding=delimited", SX_METRICS_TEXT_004,
         SX_METRICS_UNDERSCORES},
        {PROTO ";encoding=delimited;q=0.2,text/plain;version=1.0.0;q=0.3", SX_METRICS_TEXT_100,
         SX_METRICS_UNDERSCORES},
        {"text/plain;version=1.0.0,application/openmetrics-text", SX_METRICS_TEXT_100,
         SX_METRICS_UNDERSCORES}, /* equal: the first */
        {"application/openmetrics-text;q=0,text/plain;version=1.0.0;q=0.001", SX_METRICS_TEXT_100,
         SX_METRICS_UNDERSCORES},
        {"application/openmetrics-text;q=nonsense,text/plain;version=1.0.0;q=0.001",
         SX_METRICS_TEXT_100, SX_METRICS_UNDERSCORES},
        {"application/openmetrics-text;escaping=unheard-of", SX_METRICS_OPENMETRICS,
         SX_METRICS_UNDERSCORES},
        {";,=;,q=,;;q=1", SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES},
        /* What Prometheus 3 sends by default, and with native histograms. */
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,application/"
         "openmetrics-text;version=0.0.1;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,"
         "text/plain;version=0.0.4;q=0.4,*/*;q=0.3",
         SX_METRICS_OPENMETRICS, SX_METRICS_ALLOW_UTF8},
        {PROTO ";encoding=delimited;q=0.7,application/openmetrics-text;version=1.0.0;escaping="
               "allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
         SX_METRICS_PROTOBUF, SX_METRICS_UNDERSCORES},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_metrics_encoding got = sx_metrics_negotiate(sx_str_z(CASES[i].accept));
        if (got.format != CASES[i].format || got.escaping != CASES[i].escaping)
            fail_msg("%s: format %d escaping %d", CASES[i].accept, got.format, got.escaping);
    }
}

static void test_the_content_type_names_what_it_is(void **state)
{
    (void)state;
    for (int format = 0; format < SX_METRICS_FORMATS; format++)
        for (int escaping = 0; escaping < SX_METRICS_ESCAPINGS; escaping++) {
            sx_metrics_encoding encoding = {(sx_metrics_format)format,
                                            (sx_metrics_escaping)escaping};
            sx_str type = sx_metrics_content_type(encoding);
            sx_metrics_encoding back = sx_metrics_negotiate(type);
            assert_int_equal(back.format, format);
            assert_int_equal(back.escaping, escaping);
        }
}

/* ---- text ---- */

static void fill_zoo(fixture *f)
{
    static const char *const LABELS[] = {"a.b", "c"}, *const ROOM[] = {"room"};
    static const char *const STATES[] = {"open", "shu\"t"};
    static const double BOUNDS[] = {1, 2.5};
    sx_counter *c =
        sx_metric_counter(metric(f, (sx_metric_options){.name = "eaten_total"}), NULL, 0);
    sx_counter_add_exemplar(c, 3, TRACE, SPAN);
    sx_counter_add_exemplar(c, 1, NO_TRACE, NO_SPAN); /* counted, no exemplar */
    sx_fake_clock_advance(&f->clock, 1000);
    sx_metric *h = metric(f, (sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                                                 .name = "took.seconds",
                                                 .labels = LABELS,
                                                 .label_count = 2,
                                                 .bounds = BOUNDS,
                                                 .bound_count = 2});
    sx_str values[] = {SX_STR("x\"y"), SX_STR("\\\n,\"=")};
    sx_histogram *series = sx_metric_histogram(h, values, 2);
    sx_histogram_observe(series, 1);
    sx_histogram_observe_exemplar(series, 2.25, TRACE, SPAN);
    sx_fake_clock_advance(&f->clock, 500);
    sx_histogram_observe_exemplar(series, 7, TRACE, SPAN);
    sx_metric *door = metric(f, (sx_metric_options){.kind = SX_METRIC_STATESET,
                                                    .name = "door",
                                                    .labels = ROOM,
                                                    .label_count = 1,
                                                    .states = STATES,
                                                    .state_count = 2});
    sx_stateset_set(sx_metric_stateset(door, &SX_STR("1"), 1), 1);
    sx_metric *info = metric(
        f, (sx_metric_options){
               .kind = SX_METRIC_INFO, .name = "build_info", .labels = ROOM, .label_count = 1});
    sx_metric_info(info, &SX_STR("2"), 1);
    metric(f, (sx_metric_options){.name = "sent_bytes_total", .unit = "bytes"});
    metric(f, (sx_metric_options){.name = "odd_counter"});
}

static void test_openmetrics_has_families_units_exemplars_and_an_end(void **state)
{
    fixture *f = *state;
    fill_zoo(f);
    assert_text(
        f, SX_METRICS_OPENMETRICS, SX_METRICS_ALLOW_UTF8,
        "# HELP build A \\\"b\\\" \\\\ c\\nd.\n# TYPE build info\n"
        "build_info{room=\"2\"} 1\n"
        "# HELP door A \\\"b\\\" \\\\ c\\nd.\n# TYPE door stateset\n"
        "door{room=\"1\",door=\"open\"} 0\n"
        "door{room=\"1\",door=\"shu\\\"t\"} 1\n"
        "# HELP eaten A \\\"b\\\" \\\\ c\\nd.\n# TYPE eaten counter\n"
        "eaten_total 4 " EXEMPLAR "3 1700000000.250\n"
        "eaten_created 1700000000.250\n"
        "# HELP odd_counter A \\\"b\\\" \\\\ c\\nd.\n# TYPE odd_counter unknown\n"
        "odd_counter 0\n"
        "# HELP sent_bytes A \\\"b\\\" \\\\ c\\nd.\n# TYPE sent_bytes counter\n"
        "# UNIT sent_bytes bytes\n"
        "sent_bytes_total 0\n"
        "sent_bytes_created 1700000001.750\n"
        "# HELP \"took.seconds\" A \\\"b\\\" \\\\ c\\nd.\n# TYPE \"took.seconds\" histogram\n"
        "{\"took.seconds_bucket\",\"a.b\"=\"x\\\"y\",c=\"\\\\\\n,\\\"=\",le=\"1.0\"} 1\n"
        "{\"took.seconds_bucket\",\"a.b\"=\"x\\\"y\",c=\"\\\\\\n,\\\"=\",le=\"2.5\"} 2 " EXEMPLAR
        "2.25 1700000001.250\n"
        "{\"took.seconds_bucket\",\"a.b\"=\"x\\\"y\",c=\"\\\\\\n,\\\"=\",le=\"+Inf\"} 3 " EXEMPLAR
        "7 1700000001.750\n"
        "{\"took.seconds_sum\",\"a.b\"=\"x\\\"y\",c=\"\\\\\\n,\\\"=\"} 10.25\n"
        "{\"took.seconds_count\",\"a.b\"=\"x\\\"y\",c=\"\\\\\\n,\\\"=\"} 3\n"
        "{\"took.seconds_created\",\"a.b\"=\"x\\\"y\",c=\"\\\\\\n,\\\"=\"} 1700000001.250\n"
        "# EOF\n");
}

static void test_the_text_format_has_none_of_that(void **state)
{
    fixture *f = *state;
    fill_zoo(f);
    assert_text(f, SX_METRICS_TEXT_100, SX_METRICS_DOTS,
                "# HELP build_info A \"b\" \\\\ c\\nd.\n# TYPE build_info gauge\n"
                "build_info{room=\"2\"} 1\n"
                "# HELP door A \"b\" \\\\ c\\nd.\n# TYPE door gauge\n"
                "door{room=\"1\",door=\"open\"} 0\n"
                "door{room=\"1\",door=\"shu\\\"t\"} 1\n"
                "# HELP eaten_total A \"b\" \\\\ c\\nd.\n# TYPE eaten_total counter\n"
                "eaten_total 4\n"
                "# HELP odd_counter A \"b\" \\\\ c\\nd.\n# TYPE odd_counter counter\n"
                "odd_counter 0\n"
                "# HELP sent_bytes_total A \"b\" \\\\ c\\nd.\n# TYPE sent_bytes_total counter\n"
                "sent_bytes_total 0\n"
                "# HELP took_dot_seconds A \"b\" \\\\ c\\nd.\n# TYPE took_dot_seconds histogram\n"
                "took_dot_seconds_bucket{a_dot_b=\"x\\\"y\",c=\"\\\\\\n,\\\"=\",le=\"1\"} 1\n"
                "took_dot_seconds_bucket{a_dot_b=\"x\\\"y\",c=\"\\\\\\n,\\\"=\",le=\"2.5\"} 2\n"
                "took_dot_seconds_bucket{a_dot_b=\"x\\\"y\",c=\"\\\\\\n,\\\"=\",le=\"+Inf\"} 3\n"
                "took_dot_seconds_sum{a_dot_b=\"x\\\"y\",c=\"\\\\\\n,\\\"=\"} 10.25\n"
                "took_dot_seconds_count{a_dot_b=\"x\\\"y\",c=\"\\\\\\n,\\\"=\"} 3\n");
}

static void test_names_are_escaped_by_the_four_schemes(void **state)
{
    (void)state;
    static const struct {
        const char *name, *shown[SX_METRICS_ESCAPINGS];
    } CASES[] = {
        {"plain_name:x9", {"plain_name:x9", "plain_name:x9", "plain_name:x9", "plain_name:x9"}},
        {"a.b_c", {"a_b_c", "{\"a.b_c\"}", "a_dot_b__c", "U__a_2e_b__c"}},
        {"1st", {"_st", "{\"1st\"}", "__st", "U___31_st"}},
        {"\xf0\x9f\x8c\x9e", {"_", "{\"\xf0\x9f\x8c\x9e\"}", "__", "U___1f31e_"}},
        {"a \"\\\n", {"a____", "{\"a \\\"\\\\\\n\"}", "a________", "U__a_20__22__5c__a_"}},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++)
        for (int e = 0; e < SX_METRICS_ESCAPINGS; e++) {
            void *fresh;
            assert_int_equal(set_up(&fresh), 0);
            fixture *f = fresh;
            char line[200];
            metric(f, (sx_metric_options){.kind = SX_METRIC_GAUGE, .name = CASES[i].name});
            sx_str text = encode(f, SX_METRICS_TEXT_100, (sx_metrics_escaping)e);
            int len = snprintf(line, sizeof(line), "\n%s 0\n", CASES[i].shown[e]);
            if (!sx_str_ends(text, sx_str_of(line, (size_t)len)))
                fail_msg("%s under %d: %.*s", CASES[i].name, e, SX_ARG(text));
            tear_down(&fresh);
        }
}

static void test_a_colon_is_plain_in_a_metric_and_not_in_a_label(void **state)
{
    fixture *f = *state;
    static const char *const LABELS[] = {"a:b"};
    sx_metric *m = metric(f, (sx_metric_options){.kind = SX_METRIC_GAUGE,
                                                 .name = "x:y",
                                                 .help = "X.",
                                                 .labels = LABELS,
                                                 .label_count = 1});
    sx_gauge_set(sx_metric_gauge(m, &SX_STR("1"), 1), 2);
    assert_text(f, SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES,
                "# HELP x:y X.\n# TYPE x:y gauge\nx:y{a_b=\"1\"} 2\n");
    assert_text(f, SX_METRICS_TEXT_100, SX_METRICS_VALUES,
                "# HELP x:y X.\n# TYPE x:y gauge\nx:y{U__a_3a_b=\"1\"} 2\n");
    assert_text(f, SX_METRICS_TEXT_100, SX_METRICS_ALLOW_UTF8,
                "# HELP x:y X.\n# TYPE x:y gauge\nx:y{\"a:b\"=\"1\"} 2\n");
}

static void test_names_that_would_be_shown_twice_are_refused(void **state)
{
    (void)state;
    static const char *const STATES[] = {"s"};
    static const struct {
        sx_metric_options first, second;
    } CASES[] = {
        {{.name = "a.b"}, {.name = "a_b"}},
        {{.name = "x_total"}, {.name = "x", .kind = SX_METRIC_GAUGE}},
        {{.name = "x_created", .kind = SX_METRIC_GAUGE}, {.name = "x_total"}},
        {{.name = "x_info", .kind = SX_METRIC_INFO},
         {.name = "x", .kind = SX_METRIC_STATESET, .states = STATES, .state_count = 1}},
        {{.name = "h", .kind = SX_METRIC_HISTOGRAM}, {.name = "h_bucket"}},
        {{.name = "h.x", .kind = SX_METRIC_HISTOGRAM}, {.name = "h_x_sum"}},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        void *fresh;
        assert_int_equal(set_up(&fresh), 0);
        sx_metric *out;
        sx_error err = {0};
        sx_metric_options second = CASES[i].second;
        second.help = "H.";
        metric(fresh, CASES[i].first);
        if (sx_metric_new(((fixture *)fresh)->m, &second, &out, &err) != SX_EEXIST)
            fail_msg("case %zu", i);
        assert_non_null(strstr(err.message, CASES[i].second.name));
        tear_down(&fresh);
    }
}

static void test_infos_and_states_come_and_go(void **state)
{
    fixture *f = *state;
    static const char *const LABELS[] = {"v"}, *const STATES[] = {"a", "b", "c"};
    sx_metric *m = metric(f, (sx_metric_options){.kind = SX_METRIC_INFO,
                                                 .name = "x_info",
                                                 .help = "X.",
                                                 .labels = LABELS,
                                                 .label_count = 1});
    sx_info *one = sx_metric_info(m, &SX_STR("1"), 1);
    sx_info *two = sx_metric_info(m, &SX_STR("2"), 1);
    sx_info_clear(one);
    assert_text(f, SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES,
                "# HELP x_info X.\n# TYPE x_info gauge\nx_info{v=\"2\"} 1\n");
    sx_info_clear(two);
    assert_text(f, SX_METRICS_OPENMETRICS, SX_METRICS_UNDERSCORES, "# EOF\n");
    sx_info_set(one);
    assert_text(f, SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES,
                "# HELP x_info X.\n# TYPE x_info gauge\nx_info{v=\"1\"} 1\n");
    sx_stateset *s = sx_metric_stateset(metric(f, (sx_metric_options){.kind = SX_METRIC_STATESET,
                                                                      .name = "y",
                                                                      .states = STATES,
                                                                      .state_count = 3}),
                                        NULL, 0);
    sx_stateset_set(s, 0);
    sx_stateset_set(s, 2);
    assert_true(sx_stateset_has(s, 0) && !sx_stateset_has(s, 1) && sx_stateset_has(s, 2));
    sx_stateset_clear(s, 0);
    assert_true(!sx_stateset_has(s, 0) && sx_stateset_has(s, 2));
    sx_stateset_enter(s, 1);
    assert_true(!sx_stateset_has(s, 0) && sx_stateset_has(s, 1) && !sx_stateset_has(s, 2));
}

/* ---- protobuf and OTLP, read field by field ---- */

/* The first field of that number and wire type in a message; empty if there is none. */
static sx_str field(sx_str message, uint32_t number)
{
    sx_pb_reader r;
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(number, SX_PB_BYTES))
            return sx_pb_bytes(&r);
        sx_pb_skip(&r);
    }
    assert_int_equal(r.fault, SX_PB_FINE);
    return sx_str_of(NULL, 0);
}

/* The nth bytes field of that number. */
static sx_str nth_field(sx_str message, uint32_t number, size_t nth)
{
    sx_pb_reader r;
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(number, SX_PB_BYTES)) {
            sx_str found = sx_pb_bytes(&r);
            if (nth-- == 0)
                return found;
        } else {
            sx_pb_skip(&r);
        }
    }
    return sx_str_of(NULL, 0);
}

static double number(sx_str message, uint32_t number)
{
    sx_pb_reader r;
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(number, SX_PB_FIXED64))
            return sx_pb_double(&r);
        if (r.tag == SX_PB_TAG(number, SX_PB_VARINT))
            return (double)sx_pb_varint(&r);
        sx_pb_skip(&r);
    }
    return NAN;
}

static uint64_t fixed(sx_str message, uint32_t number)
{
    sx_pb_reader r;
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(number, SX_PB_FIXED64))
            return sx_pb_fixed64(&r);
        sx_pb_skip(&r);
    }
    return UINT64_MAX;
}

/* The family of that name in a delimited stream. */
static sx_str family(sx_str stream, const char *name)
{
    sx_pb_reader r;
    sx_pb_init(&r, stream);
    while (sx_pb_more(&r)) {
        sx_str one = sx_pb_bytes(&r);
        assert_int_equal(r.fault, SX_PB_FINE);
        if (sx_str_eq(field(one, 1), sx_str_z(name)))
            return one;
    }
    fail_msg("no family %s", name);
    return stream;
}

static void assert_label(sx_str pair, const char *name, const char *value)
{
    assert_true(sx_str_eq(field(pair, 1), sx_str_z(name)));
    assert_true(sx_str_eq(field(pair, 2), sx_str_z(value)));
}

static void test_protobuf_has_families_labels_and_exemplars(void **state)
{
    fixture *f = *state;
    fill_zoo(f);
    sx_str all = encode(f, SX_METRICS_PROTOBUF, SX_METRICS_ALLOW_UTF8);
    sx_str counter = family(all, "eaten_total");
    assert_true(sx_str_eq(field(counter, 2), SX_STR("A \"b\" \\ c\nd.")));
    assert_true(number(counter, 3) == 0);
    sx_str value = field(field(counter, 4), 3);
    assert_true(number(value, 1) == 4);
    assert_true(number(field(value, 2), 2) == 3);
    assert_label(field(field(value, 2), 1), "trace_id", "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_label(nth_field(field(value, 2), 1, 1), "span_id", "00f067aa0ba902b7");
    assert_true(number(field(value, 3), 1) == 1700000000);
    assert_true(number(field(value, 3), 2) == 250000000);
    assert_true(sx_str_eq(field(family(all, "sent_bytes_total"), 5), SX_STR("bytes")));

    sx_str histogram = family(all, "took.seconds");
    assert_true(number(histogram, 3) == 4);
    sx_str m = field(histogram, 4), h = field(m, 7);
    assert_label(nth_field(m, 1, 0), "a.b", "x\"y");
    assert_label(nth_field(m, 1, 1), "c", "\\\n,\"=");
    assert_true(number(h, 1) == 3 && number(h, 2) == 10.25);
    assert_true(number(nth_field(h, 3, 1), 1) == 2 && number(nth_field(h, 3, 1), 2) == 2.5);
    assert_true(number(nth_field(h, 3, 2), 1) == 3 && isinf(number(nth_field(h, 3, 2), 2)));
    assert_true(number(field(nth_field(h, 3, 2), 3), 2) == 7);

    sx_str shut = nth_field(family(all, "door"), 4, 1);
    assert_label(nth_field(shut, 1, 1), "door", "shu\"t");
    assert_true(number(field(shut, 2), 1) == 1);
    assert_true(number(field(field(family(all, "build_info"), 4), 2), 1) == 1);

    all = encode(f, SX_METRICS_PROTOBUF, SX_METRICS_VALUES);
    assert_label(field(field(family(all, "U__took_2e_seconds"), 4), 1), "U__a_2e_b", "x\"y");
}

static void test_protobuf_spans_and_deltas_are_the_buckets(void **state)
{
    fixture *f = *state;
    sx_histogram *h = sx_metric_histogram(metric(f, (sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                                                                        .name = "h",
                                                                        .native = true,
                                                                        .native_growth = 2}),
                                          NULL, 0);
    sx_str one =
        field(field(family(encode(f, SX_METRICS_PROTOBUF, SX_METRICS_UNDERSCORES), "h"), 4), 7);
    assert_int_equal(field(one, 12).len, 4); /* empty: a span of nothing says that it is native */
    /* Keys 1 (3 of them), 2, 6 (a gap of 3 before it), -1 negative (2 of them). */
    static const double VALUES[] = {2, 1.5, 1.25, 4, 64, -0.5, -0.3, 0, NAN};
    for (size_t i = 0; i < SX_COUNT_OF(VALUES); i++)
        sx_histogram_observe(h, VALUES[i]);
    one = field(field(family(encode(f, SX_METRICS_PROTOBUF, SX_METRICS_UNDERSCORES), "h"), 4), 7);
    assert_true(number(one, 1) == 9);
    assert_true(isnan(number(one, 2)));
    assert_true(number(one, 5) == 0); /* schema, zigzag */
    assert_true(number(one, 6) == 0x1p-128 && number(one, 7) == 1);
    static const struct {
        uint32_t span_field;
        int64_t offset, length;
    } SPANS[] = {{9, -1, 1}, {12, 1, 2}, {12, 3, 1}};
    static const int64_t DELTAS[] = {2, 3, -2, 0};
    size_t spans = 0, deltas = 0;
    sx_pb_reader r;
    sx_pb_init(&r, one);
    while (sx_pb_next(&r)) {
        uint32_t at = sx_pb_field(&r);
        if (at == 9 || at == 12) {
            sx_str span = sx_pb_bytes(&r);
            sx_pb_reader inner;
            sx_pb_init(&inner, span);
            assert_int_equal(at, SPANS[spans].span_field);
            assert_true(sx_pb_next(&inner));
            assert_int_equal(sx_pb_zigzag(&inner), SPANS[spans].offset);
            assert_true(sx_pb_next(&inner));
            assert_int_equal(sx_pb_varint(&inner), SPANS[spans].length);
            spans++;
        } else if (at == 10 || at == 13) {
            assert_int_equal(sx_pb_zigzag(&r), DELTAS[deltas++]);
        } else {
            sx_pb_skip(&r);
        }
    }
    assert_int_equal(spans, 3);
    assert_int_equal(deltas, 4);
}

static void test_a_long_stream_is_delimited_right(void **state)
{
    fixture *f = *state;
    static const char *const LABELS[] = {"v"};
    sx_metric *g = metric(f, (sx_metric_options){.kind = SX_METRIC_GAUGE,
                                                 .name = "g",
                                                 .labels = LABELS,
                                                 .label_count = 1,
                                                 .series_max = 3000});
    for (int i = 0; i < 3000; i++) { /* lengths of one, two and three bytes */
        char value[16];
        int len = snprintf(value, sizeof(value), "%d", i);
        sx_gauge_set(sx_metric_gauge(g, &(sx_str){value, (size_t)len}, 1), i);
        if (i == 1 || i == 100 || i == 2999) {
            sx_str all = encode(f, SX_METRICS_PROTOBUF, SX_METRICS_UNDERSCORES);
            sx_str one = family(all, "g");
            assert_true(nth_field(one, 4, (size_t)i).len > 0);
            assert_int_equal(nth_field(one, 4, (size_t)i + 1).len, 0);
        }
    }
}

static sx_str otlp_metric(fixture *f, const char *name)
{
    sx_buf_clear(&f->out);
    assert_int_equal(sx_metrics_otlp(f->m, 111, 222, &f->out, NULL), SX_OK);
    sx_pb_reader r;
    sx_pb_init(&r, sx_buf_view(&f->out));
    while (sx_pb_next(&r)) {
        assert_int_equal(r.tag, SX_PB_TAG(2, SX_PB_BYTES));
        sx_str one = sx_pb_bytes(&r);
        if (sx_str_eq(field(one, 1), sx_str_z(name)))
            return one;
    }
    fail_msg("no metric %s", name);
    return sx_buf_view(&f->out);
}

static void test_otlp_has_every_kind(void **state)
{
    fixture *f = *state;
    fill_zoo(f);
    sx_str sum = field(otlp_metric(f, "eaten_total"), 7);
    assert_true(number(sum, 2) == 2 && number(sum, 3) == 1); /* cumulative, monotonic */
    sx_str point = field(sum, 1);
    assert_int_equal(fixed(point, 2), 111);
    assert_int_equal(fixed(point, 3), 222);
    assert_int_equal(fixed(point, 6), 4);
    assert_int_equal(fixed(field(point, 5), 2), 1700000000250000000);
    assert_memory_equal(field(field(point, 5), 5).data, TRACE, 16);
    assert_memory_equal(field(field(point, 5), 4).data, SPAN, 8);
    assert_true(sx_str_eq(field(otlp_metric(f, "sent_bytes_total"), 3), SX_STR("By")));

    sx_str histogram = field(otlp_metric(f, "took.seconds"), 9);
    assert_true(number(histogram, 2) == 2);
    point = field(histogram, 1);
    assert_int_equal(fixed(point, 4), 3);
    assert_true(number(point, 5) == 10.25);
    static const uint64_t COUNTS[] = {1, 1, 1};
    assert_memory_equal(field(point, 6).data, COUNTS, sizeof(COUNTS));
    static const double BOUNDS[] = {1, 2.5};
    assert_int_equal(field(point, 7).len, sizeof(BOUNDS));
    assert_memory_equal(field(point, 7).data, BOUNDS, sizeof(BOUNDS));
    sx_str attribute = nth_field(point, 9, 1);
    assert_true(sx_str_eq(field(attribute, 1), SX_STR("c")));
    assert_true(sx_str_eq(field(field(attribute, 2), 1), SX_STR("\\\n,\"=")));

    sx_str shut = nth_field(field(otlp_metric(f, "door"), 5), 1, 1);
    assert_int_equal(fixed(shut, 6), 1);
    assert_true(sx_str_eq(field(field(nth_field(shut, 7, 1), 2), 1), SX_STR("shu\"t")));
    assert_int_equal(fixed(field(field(otlp_metric(f, "build_info"), 5), 1), 6), 1);
}

static void test_otlp_numbers_exponential_buckets_by_their_lower_bound(void **state)
{
    fixture *f = *state;
    sx_histogram *h = sx_metric_histogram(metric(f, (sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                                                                        .name = "h",
                                                                        .native = true,
                                                                        .native_growth = 2}),
                                          NULL, 0);
    static const double VALUES[] = {2, 1.5, 8, -0.5, 0}; /* (1, 2]: index 0; (4, 8]: 2; 0.25: -2 */
    for (size_t i = 0; i < SX_COUNT_OF(VALUES); i++)
        sx_histogram_observe(h, VALUES[i]);
    sx_str point = field(field(otlp_metric(f, "h"), 10), 1);
    assert_int_equal(fixed(point, 4), 5);
    assert_true(number(point, 5) == 11);
    assert_true(number(point, 6) == 0 && fixed(point, 7) == 1);
    assert_true(number(field(point, 8), 1) == 0);
    assert_memory_equal(field(field(point, 8), 2).data, "\2\0\1", 3);
    assert_true(number(field(point, 9), 1) == 3); /* zigzag of -2 */
    assert_memory_equal(field(field(point, 9), 2).data, "\1", 1);
    assert_true(number(point, 14) == 0x1p-128);
}

/* ---- exemplars and threads ---- */

typedef struct writer {
    sx_counter *counter;
    sx_histogram *histogram;
    uint8_t mark; /* all bytes of its ids, and its value */
} writer;

static void *write_exemplars(void *arg)
{
    const writer *w = arg;
    uint8_t trace[16], span[8];
    memset(trace, w->mark, sizeof(trace));
    memset(span, w->mark, sizeof(span));
    if (w->mark % 2)
        sx_telemetry_thread_join();
    for (int i = 0; i < 20000; i++) {
        sx_counter_add_exemplar(w->counter, w->mark, trace, span);
        sx_histogram_observe_exemplar(w->histogram, w->mark, trace, span);
    }
    sx_telemetry_thread_leave();
    return NULL;
}

/* An exemplar whose parts come from one writer. */
static void assert_whole(sx_str exemplar)
{
    sx_str trace = field(exemplar, 5), span = field(exemplar, 4);
    double value = number(exemplar, 3);
    assert_int_equal(trace.len, 16);
    for (size_t i = 0; i < 16; i++)
        assert_true((uint8_t)trace.data[i] == value);
    for (size_t i = 0; i < 8; i++)
        assert_true((uint8_t)span.data[i] == value);
}

static void test_an_exemplar_is_one_writers_own(void **state)
{
    fixture *f = *state;
    enum { WRITERS = 4 };
    writer writers[WRITERS];
    pthread_t threads[WRITERS];
    sx_counter *c = sx_metric_counter(metric(f, (sx_metric_options){.name = "c_total"}), NULL, 0);
    sx_histogram *h = sx_metric_histogram(
        metric(f, (sx_metric_options){.kind = SX_METRIC_HISTOGRAM, .name = "h", .native = true}),
        NULL, 0);
    for (uint8_t i = 0; i < WRITERS; i++) {
        writers[i] = (writer){c, h, (uint8_t)(4 + i)}; /* all of one power of two: one slot */
        assert_int_equal(pthread_create(&threads[i], NULL, write_exemplars, &writers[i]), 0);
    }
    for (int i = 0; i < 200; i++) {
        sx_str counter = field(field(field(otlp_metric(f, "c_total"), 7), 1), 5);
        if (counter.len > 0)
            assert_whole(counter);
        sx_str native = field(field(field(otlp_metric(f, "h"), 10), 1), 11);
        if (native.len > 0)
            assert_whole(native);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(sx_counter_value(c) == 20000 * (4 + 5 + 6 + 7));
    assert_whole(field(field(field(otlp_metric(f, "c_total"), 7), 1), 5));
}

/* ---- cardinality ---- */

static void test_every_kind_folds_what_is_above_its_limit(void **state)
{
    fixture *f = *state;
    static const char *const LABELS[] = {"v"}, *const STATES[] = {"s"};
    static const struct {
        sx_metric_kind kind;
        const char *name, *other;
    } KINDS[] = {
        {SX_METRIC_COUNTER, "c_total", "\nc_total{v=\"other\"} 5\n"},
        {SX_METRIC_GAUGE, "g", "\ng{v=\"other\"} 5\n"},
        {SX_METRIC_HISTOGRAM, "h", "\nh_count{v=\"other\"} 5\n"},
        {SX_METRIC_INFO, "i_info", "\ni_info{v=\"other\"} 1\n"},
        {SX_METRIC_STATESET, "s", "\ns{v=\"other\",s=\"s\"} 1\n"},
    };
    for (size_t k = 0; k < SX_COUNT_OF(KINDS); k++) {
        sx_metric *m =
            metric(f, (sx_metric_options){.kind = KINDS[k].kind,
                                          .name = KINDS[k].name,
                                          .labels = LABELS,
                                          .label_count = 1,
                                          .series_max = 3,
                                          .native = KINDS[k].kind == SX_METRIC_HISTOGRAM,
                                          .states = STATES,
                                          .state_count = KINDS[k].kind == SX_METRIC_STATESET});
        for (int i = 0; i < 8; i++) {
            char digit = (char)('0' + i);
            sx_str v = {&digit, 1};
            if (KINDS[k].kind == SX_METRIC_COUNTER)
                sx_counter_add(sx_metric_counter(m, &v, 1), 1);
            else if (KINDS[k].kind == SX_METRIC_GAUGE)
                sx_gauge_add(sx_metric_gauge(m, &v, 1), 1);
            else if (KINDS[k].kind == SX_METRIC_HISTOGRAM)
                sx_histogram_observe(sx_metric_histogram(m, &v, 1), 1);
            else if (KINDS[k].kind == SX_METRIC_INFO)
                sx_metric_info(m, &v, 1);
            else
                sx_stateset_set(sx_metric_stateset(m, &v, 1), 0);
        }
        char folded[100];
        sx_str text = encode(f, SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES);
        assert_true(sx_str_find(text, sx_str_z(KINDS[k].other)) < text.len);
        int len = snprintf(folded, sizeof(folded),
                           "\nsx_metric_series_folded_total{metric=\"%s\"} 5\n", KINDS[k].name);
        assert_true(sx_str_find(text, sx_str_of(folded, (size_t)len)) < text.len);
        assert_true(sx_str_find(text, SX_STR("{v=\"3\"")) == text.len);
    }
}

static void test_ten_million_label_values_take_the_memory_of_a_thousand(void **state)
{
    fixture *f = *state;
    static const char *const LABELS[] = {"v"};
    enum { VALUES = 10000000 };
    sx_metric *c =
        metric(f, (sx_metric_options){.name = "c_total", .labels = LABELS, .label_count = 1});
    int64_t before = 0;
    sx_fault_alloc_set((sx_fault_alloc){.nth = INT64_MAX}); /* counts, and fails none */
    for (uint64_t i = 0; i < VALUES; i++) {
        char value[8]; /* every byte, also zeros and what is no UTF-8 */
        uint64_t mixed = i * 0x9e3779b97f4a7c15u;
        memcpy(value, &mixed, sizeof(value));
        sx_counter_add(sx_metric_counter(c, &(sx_str){value, sizeof(value)}, 1), 1);
        if (i == 2000)
            before = sx_fault_alloc_held();
    }
    assert_true(before > 0);
    assert_int_equal(sx_fault_alloc_held(), before);
    sx_fault_alloc_set((sx_fault_alloc){0});
    sx_str text = encode(f, SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES);
    assert_true(text.len < 200000);
    size_t lines = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    assert_true(lines <= 1000 + 1 + 5);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_accept_header_gets_the_best_that_there_is),
        cmocka_unit_test(test_the_content_type_names_what_it_is),
        WITH(test_openmetrics_has_families_units_exemplars_and_an_end),
        WITH(test_the_text_format_has_none_of_that),
        cmocka_unit_test(test_names_are_escaped_by_the_four_schemes),
        cmocka_unit_test(test_names_that_would_be_shown_twice_are_refused),
        WITH(test_a_colon_is_plain_in_a_metric_and_not_in_a_label),
        WITH(test_infos_and_states_come_and_go),
        WITH(test_protobuf_has_families_labels_and_exemplars),
        WITH(test_protobuf_spans_and_deltas_are_the_buckets),
        WITH(test_a_long_stream_is_delimited_right),
        WITH(test_otlp_has_every_kind),
        WITH(test_otlp_numbers_exponential_buckets_by_their_lower_bound),
        WITH(test_an_exemplar_is_one_writers_own),
        WITH(test_every_kind_folds_what_is_above_its_limit),
        WITH(test_ten_million_label_values_take_the_memory_of_a_thousand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

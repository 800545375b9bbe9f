/* Protobuf expositions, written by hand and by our own metrics; classic histograms turned into native
 * ones, in protobuf and in the text formats. */
#include <math.h>
#include <stdio.h>

#include "tests/unit/base/cmocka_all.h"

#include <sextant/metrics.h>
#include <sextant/protobuf.h>

#include "base/fault.h"
#include "observe/scrape/exposition.h"
#include "tests/unit/observe/scrape/exposition_dump.h"

static const prom_exposition_options NATIVE = {.protocol = PROM_PROTOCOL_PROTOBUF,
                                               .native_histograms = true};
static const prom_exposition_options CLASSIC = {.protocol = PROM_PROTOCOL_PROTOBUF};

static void expect(sx_str body, const prom_exposition_options *o, const char *want)
{
    sx_buf out;
    sx_error err = {0};
    sx_buf_init(&out, 0);
    sx_status st = exposition_dump(body, o, (sx_str){0}, &out, &err);
    if (st != SX_OK)
        fail_msg("%s", err.message);
    sx_buf_byte(&out, 0);
    assert_string_equal(out.data, want);
    sx_buf_done(&out);
}

/* --- Messages. */

/* Families are delimited by their length, which is what sx_pb_begin writes behind a one-byte tag: the
 * tag is cut off again. */
typedef struct family {
    sx_buf b;
} family;

static void begin(family *f, const char *name, const char *help, int type)
{
    sx_buf_init(&f->b, 0);
    sx_pb_put_str(&f->b, 1, sx_str_z(name));
    if (help)
        sx_pb_put_str(&f->b, 2, sx_str_z(help));
    sx_pb_put_u64(&f->b, 3, (uint64_t)type);
}

static void put_label(sx_buf *b, const char *name, const char *value)
{
    size_t m = sx_pb_begin(b, 1);
    sx_pb_put_str(b, 1, sx_str_z(name));
    sx_pb_put_str(b, 2, sx_str_z(value));
    sx_pb_end(b, m);
}

static void put_time(sx_buf *b, uint32_t field, int64_t seconds)
{
    size_t m = sx_pb_begin(b, field);
    sx_pb_put_i64(b, 1, seconds);
    sx_pb_put_u64(b, 2, 5000000);
    sx_pb_end(b, m);
}

static void put_exemplar(sx_buf *b, uint32_t field, const char *trace, double v, bool timed)
{
    size_t m = sx_pb_begin(b, field);
    put_label(b, "trace", trace);
    sx_pb_put_double(b, 2, v);
    if (timed)
        put_time(b, 3, 7);
    sx_pb_end(b, m);
}

static void add_to(sx_buf *body, family *f)
{
    char length[10];
    sx_buf_bytes(body, length, (size_t)(sx_pb_put_varint(length, f->b.len) - length));
    sx_buf_str(body, sx_buf_view(&f->b));
    sx_buf_done(&f->b);
}

enum { COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM };

static void test_counters_gauges_untyped(void **state)
{
    sx_buf body;
    family f;
    (void)state;
    sx_buf_init(&body, 0);
    begin(&f, "c_total", "Help.", COUNTER);
    size_t m = sx_pb_begin(&f.b, 4);
    put_label(&f.b, "z", "1");
    put_label(&f.b, "a", "\xc3\xa9");
    size_t v = sx_pb_begin(&f.b, 3);
    sx_pb_put_double(&f.b, 1, 5);
    put_exemplar(&f.b, 2, "t", 2, true);
    put_time(&f.b, 3, 100);
    sx_pb_end(&f.b, v);
    sx_pb_end(&f.b, m);
    m = sx_pb_begin(&f.b, 4); /* no labels, no start, a time */
    v = sx_pb_begin(&f.b, 3);
    sx_pb_put_double(&f.b, 1, 6);
    sx_pb_end(&f.b, v);
    sx_pb_put_i64(&f.b, 6, 12345);
    sx_pb_end(&f.b, m);
    add_to(&body, &f);
    begin(&f, "empty", "Says nothing.", GAUGE);
    add_to(&body, &f);
    begin(&f, "g", NULL, GAUGE);
    sx_pb_put_str(&f.b, 5, SX_STR("bytes"));
    m = sx_pb_begin(&f.b, 4);
    v = sx_pb_begin(&f.b, 2);
    sx_pb_put_double(&f.b, 1, -1.5);
    sx_pb_end(&f.b, v);
    sx_pb_end(&f.b, m);
    add_to(&body, &f);
    begin(&f, "u", NULL, UNTYPED);
    m = sx_pb_begin(&f.b, 4);
    v = sx_pb_begin(&f.b, 5);
    sx_pb_put_double(&f.b, 1, 9);
    sx_pb_end(&f.b, v);
    sx_pb_end(&f.b, m);
    add_to(&body, &f);
    expect(sx_buf_view(&body), &NATIVE,
           "H c_total [Help.]\nT c_total [counter]\n"
           "{__name__=\"c_total\", a=\"\xc3\xa9\", z=\"1\"} 5 since 100005 # {trace=\"t\"} 2 "
           "@7005\n"
           "{__name__=\"c_total\"} 6 @12345\n"
           "H g []\nU g [bytes]\nT g [gauge]\n{__name__=\"g\"} -1.5\n"
           "H u []\nT u [unknown]\n{__name__=\"u\"} 9\n");
    prom_exposition_options typed = NATIVE;
    typed.type_unit_labels = true;
    expect(sx_buf_view(&body), &typed,
           "H c_total [Help.]\nT c_total [counter]\n"
           "{__name__=\"c_total\", __type__=\"counter\", a=\"\xc3\xa9\", z=\"1\"} 5 since 100005 # "
           "{trace=\"t\"} 2 @7005\n"
           "{__name__=\"c_total\", __type__=\"counter\"} 6 @12345\n"
           "H g []\nU g [bytes]\nT g [gauge]\n"
           "{__name__=\"g\", __type__=\"gauge\", __unit__=\"bytes\"} -1.5\n"
           "H u []\nT u [unknown]\n{__name__=\"u\"} 9\n");
    sx_buf_done(&body);
}

static void test_a_summary(void **state)
{
    sx_buf body;
    family f;
    (void)state;
    sx_buf_init(&body, 0);
    begin(&f, "s", NULL, SUMMARY);
    size_t m = sx_pb_begin(&f.b, 4), v = sx_pb_begin(&f.b, 4);
    sx_pb_put_u64(&f.b, 1, 3);
    sx_pb_put_double(&f.b, 2, 4.5);
    size_t q = sx_pb_begin(&f.b, 3);
    sx_pb_put_double(&f.b, 1, 0.5);
    sx_pb_put_double(&f.b, 2, 1.25);
    sx_pb_end(&f.b, q);
    sx_pb_end(&f.b, v);
    sx_pb_end(&f.b, m);
    m = sx_pb_begin(&f.b, 4);
    put_label(&f.b, "none", "x");
    v = sx_pb_begin(&f.b, 4); /* no quantiles */
    sx_pb_end(&f.b, v);
    sx_pb_end(&f.b, m);
    add_to(&body, &f);
    expect(sx_buf_view(&body), &NATIVE,
           "H s []\nT s [summary]\n{__name__=\"s_count\"} 3\n{__name__=\"s_sum\"} 4.5\n"
           "{__name__=\"s\", quantile=\"0.5\"} 1.25\n"
           "{__name__=\"s_count\", none=\"x\"} 0\n{__name__=\"s_sum\", none=\"x\"} 0\n");
    sx_buf_done(&body);
}

static void put_bucket(sx_buf *b, double bound, uint64_t count, const char *exemplar)
{
    size_t m = sx_pb_begin(b, 3);
    sx_pb_put_u64(b, 1, count);
    sx_pb_put_double(b, 2, bound);
    if (exemplar)
        put_exemplar(b, 3, exemplar, bound, true);
    sx_pb_end(b, m);
}

/* Buckets 1 (2), 2 (3) and below them zero (1); classic: le=1 (2), le=2 (4), +Inf left out (6). */
static void put_histogram(sx_buf *body, int type, bool native, bool classic)
{
    family f;
    begin(&f, "h", NULL, type);
    size_t m = sx_pb_begin(&f.b, 4), v = sx_pb_begin(&f.b, 7);
    sx_pb_put_u64(&f.b, 1, 6);
    sx_pb_put_double(&f.b, 2, 10);
    if (classic) {
        put_bucket(&f.b, 1, 2, NULL);
        put_bucket(&f.b, 2, 4, "e");
    }
    if (native) {
        sx_pb_put_zigzag(&f.b, 5, 0);
        sx_pb_put_double(&f.b, 6, 0.5);
        sx_pb_put_u64(&f.b, 7, 1);
        size_t s = sx_pb_begin(&f.b, 12);
        sx_pb_put_zigzag(&f.b, 1, 1);
        sx_pb_put_u64(&f.b, 2, 2);
        sx_pb_end(&f.b, s);
        sx_pb_put_zigzag(&f.b, 13, 2); /* not packed, as proto2 writes it */
        sx_pb_put_zigzag(&f.b, 13, 1);
    }
    put_time(&f.b, 15, 50);
    sx_pb_end(&f.b, v);
    sx_pb_end(&f.b, m);
    add_to(body, &f);
}

#define CLASSIC_H                                                                                  \
    "{__name__=\"h_count\"} 6 since 50005\n{__name__=\"h_sum\"} 10 since 50005\n"                  \
    "{__name__=\"h_bucket\", le=\"1.0\"} 2 since 50005\n"                                          \
    "{__name__=\"h_bucket\", le=\"2.0\"} 4 since 50005 # {trace=\"e\"} 2 @7005\n"                  \
    "{__name__=\"h_bucket\", le=\"+Inf\"} 6 since 50005\n"
#define NATIVE_H                                                                                   \
    "{__name__=\"h\"} s0 {count:6, sum:10, [-0.5,0.5]:1, (1,2]:2, (2,4]:3} since 50005 # "         \
    "{trace=\"e\"} 2 @7005\n"
#define NHCB_H                                                                                     \
    "{__name__=\"h\"} s-53 {count:6, sum:10, [-Inf,1]:2, (1,2]:2, (2,+Inf]:2} since 50005\n"
#define META_H "H h []\nT h [histogram]\n"

static void test_histograms_native_and_classic(void **state)
{
    sx_buf body;
    prom_exposition_options both = NATIVE, nhcb = NATIVE, nhcb_both = NATIVE;
    (void)state;
    both.classic_always = nhcb_both.classic_always = true;
    nhcb.classic_to_nhcb = nhcb_both.classic_to_nhcb = true;
    sx_buf_init(&body, 0);
    put_histogram(&body, HISTOGRAM, true, true);
    expect(sx_buf_view(&body), &NATIVE, META_H NATIVE_H);
    expect(sx_buf_view(&body), &both, META_H NATIVE_H CLASSIC_H);
    expect(sx_buf_view(&body), &CLASSIC, META_H CLASSIC_H);
    expect(sx_buf_view(&body), &nhcb, META_H NATIVE_H);
    sx_buf_clear(&body);
    put_histogram(&body, HISTOGRAM, false, true);
    expect(sx_buf_view(&body), &NATIVE, META_H CLASSIC_H);
    expect(sx_buf_view(&body), &nhcb, META_H NHCB_H);
    expect(sx_buf_view(&body), &nhcb_both, META_H CLASSIC_H NHCB_H);
    sx_buf_clear(&body);
    put_histogram(&body, HISTOGRAM, true, false);
    expect(sx_buf_view(&body), &NATIVE,
           META_H "{__name__=\"h\"} s0 {count:6, sum:10, [-0.5,0.5]:1, (1,2]:2, (2,4]:3} since "
                  "50005\n");
    expect(sx_buf_view(&body), &both,
           META_H "{__name__=\"h\"} s0 {count:6, sum:10, [-0.5,0.5]:1, (1,2]:2, (2,4]:3} since "
                  "50005\n");
    sx_buf_done(&body);
}

/* What our own registry writes is read, and says what its text says. */
static void test_our_own_metrics(void **state)
{
    static const char *const LABELS[] = {"a"};
    static const double BOUNDS[] = {1, 2};
    sx_metrics *m;
    sx_metric *c, *h;
    sx_buf proto, text, a, b;
    sx_error err = {0};
    (void)state;
    sx_buf_init(&proto, 0);
    sx_buf_init(&text, 0);
    sx_buf_init(&a, 0);
    sx_buf_init(&b, 0);
    assert_int_equal(sx_metrics_new(NULL, &m, &err), SX_OK);
    assert_int_equal(sx_metric_new(m,
                                   &(sx_metric_options){.kind = SX_METRIC_GAUGE,
                                                        .name = "g",
                                                        .help = "A \"gauge\".",
                                                        .labels = LABELS,
                                                        .label_count = 1},
                                   &c, &err),
                     SX_OK);
    assert_int_equal(sx_metric_new(m,
                                   &(sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                                                        .name = "h",
                                                        .help = "H.",
                                                        .bounds = BOUNDS,
                                                        .bound_count = 2},
                                   &h, &err),
                     SX_OK);
    for (int i = 0; i < 3; i++) {
        char value[16];
        snprintf(value, sizeof value, "v\n%d", i);
        sx_gauge_set(sx_metric_gauge(c, &(sx_str){value, strlen(value)}, 1), i + 0.5);
        sx_histogram_observe(sx_metric_histogram(h, NULL, 0), i + 0.25);
    }
    assert_int_equal(sx_metrics_write(m, SX_METRICS_PROTOBUF, &proto, &err), SX_OK);
    prom_exposition_options o = CLASSIC;
    assert_int_equal(exposition_dump(sx_buf_view(&proto), &o, (sx_str){0}, &a, &err), SX_OK);
    sx_buf_byte(&a, 0);
    assert_non_null(strstr(a.data, "{__name__=\"g\", a=\"v\\n2\"} 2.5\n"));
    assert_non_null(strstr(a.data, "{__name__=\"h_count\"} 3 since"));
    assert_non_null(strstr(a.data, "{__name__=\"h_bucket\", le=\"2.0\"} 2 since"));
    assert_non_null(strstr(a.data, "{__name__=\"h_bucket\", le=\"+Inf\"} 3 since"));
    assert_int_equal(sx_metrics_write(m, SX_METRICS_TEXT_004, &text, &err), SX_OK);
    o.protocol = PROM_PROTOCOL_TEXT_0_0_4;
    assert_int_equal(exposition_dump(sx_buf_view(&text), &o, (sx_str){0}, &b, &err), SX_OK);
    sx_buf_byte(&b, 0);
    assert_non_null(strstr(b.data, "{__name__=\"g\", a=\"v\\n2\"} 2.5\n"));
    sx_metrics_free(m);
    sx_buf_done(&proto);
    sx_buf_done(&text);
    sx_buf_done(&a);
    sx_buf_done(&b);
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *name;
        int type;
        const char *words;
    } CASES[] = {{"", COUNTER, "invalid metric name: "},
                 {"a\xff", COUNTER, "invalid metric name: "},
                 {"a", 99, "unknown metric type for metric \"a\": 99"}};
    sx_buf body, out;
    family f;
    sx_error err = {0};
    (void)state;
    sx_buf_init(&out, 0);
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_buf_init(&body, 0);
        begin(&f, CASES[i].name, NULL, CASES[i].type);
        add_to(&body, &f);
        assert_int_equal(exposition_dump(sx_buf_view(&body), &NATIVE, (sx_str){0}, &out, &err),
                         SX_EFORMAT);
        assert_non_null(strstr(err.message, CASES[i].words));
        sx_buf_done(&body);
    }
    sx_buf_done(&out);
}

static void whole_body(sx_buf *body)
{
    family f;
    sx_buf_init(body, 0);
    put_histogram(body, HISTOGRAM, true, true);
    begin(&f, "c", "Help.", COUNTER);
    size_t m = sx_pb_begin(&f.b, 4);
    put_label(&f.b, "a", "b");
    size_t v = sx_pb_begin(&f.b, 3);
    sx_pb_put_double(&f.b, 1, 5);
    put_exemplar(&f.b, 2, "t", 2, true);
    sx_pb_end(&f.b, v);
    sx_pb_end(&f.b, m);
    add_to(body, &f);
}

/* Cut anywhere it fails, unless between families; and with every byte changed it does not crash. */
static void test_cut_and_changed_everywhere(void **state)
{
    sx_buf body, out;
    sx_error err;
    prom_exposition_options o = NATIVE;
    (void)state;
    o.classic_always = true;
    whole_body(&body);
    sx_buf_init(&out, 0);
    size_t whole = 0;
    for (size_t len = 0; len <= body.len; len++) {
        sx_buf_clear(&out);
        sx_status st = exposition_dump(sx_str_of(body.data, len), &o, (sx_str){0}, &out, &err);
        assert_true(st == SX_OK || st == SX_EFORMAT);
        whole += st == SX_OK;
    }
    assert_int_equal(whole, 3);
    for (size_t i = 0; i < body.len; i++) {
        for (int change = 1; change < 256; change <<= 1) {
            body.data[i] = (char)(body.data[i] ^ change);
            sx_buf_clear(&out);
            exposition_dump(sx_buf_view(&body), &o, (sx_str){0}, &out, &err);
            body.data[i] = (char)(body.data[i] ^ change);
        }
    }
    sx_buf_done(&body);
    sx_buf_done(&out);
}

static void test_every_allocation_may_fail(void **state)
{
    sx_buf body, out;
    sx_error err;
    prom_exposition_options o = NATIVE;
    (void)state;
    o.classic_always = o.classic_to_nhcb = true;
    whole_body(&body);
    put_histogram(&body, HISTOGRAM, false, true);
    for (int64_t nth = 1;; nth++) {
        sx_buf_init(&out, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = exposition_dump(sx_buf_view(&body), &o, (sx_str){0}, &out, &err);
        bool reached = sx_fault_alloc_calls() >= nth;
        sx_buf_done(&out);
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(st, reached ? SX_ENOMEM : SX_OK);
        if (!reached)
            break;
    }
    sx_buf_done(&body);
}

/* --- Text. */

static const char BUCKETS[] = "# TYPE h histogram\n"
                              "h_bucket{a=\"1\",le=\"1\"} 2\n"
                              "h_bucket{a=\"1\",le=\"2.5\"} 4\n"
                              "h_bucket{a=\"1\",le=\"+Inf\"} 6\n"
                              "h_sum{a=\"1\"} 10\n"
                              "h_count{a=\"1\"} 6\n"
                              "h_count{a=\"2\"} 3 5000\n" /* any order, no +Inf */
                              "h_sum{a=\"2\"} 1 5000\n"
                              "h_bucket{a=\"2\",le=\"1\"} 1 5000\n"
                              "h_bucket{a=\"3\",le=\"1\"} 5\n" /* makes no sense */
                              "h_bucket{a=\"3\",le=\"2\"} 4\n"
                              "h_other{a=\"3\"} 4\n"
                              "# TYPE x gauge\n"
                              "x 1\n";

#define NHCB_1                                                                                     \
    "{__name__=\"h\", a=\"1\"} s-53 {count:6, sum:10, [-Inf,1]:2, (1,2.5]:2, (2.5,+Inf]:2}\n"
#define NHCB_2 "{__name__=\"h\", a=\"2\"} s-53 {count:3, sum:1, [-Inf,1]:1, (1,+Inf]:2} @5000\n"

static void test_text_histograms_are_converted(void **state)
{
    prom_exposition_options o = {.protocol = PROM_PROTOCOL_TEXT_0_0_4, .classic_to_nhcb = true};
    (void)state;
    expect(sx_str_z(BUCKETS), &o,
           "T h [histogram]\n" NHCB_1 NHCB_2
           "{__name__=\"h_other\", a=\"3\"} 4\nT x [gauge]\n{__name__=\"x\"} 1\n");
    o.classic_always = true;
    expect(sx_str_z(BUCKETS), &o,
           "T h [histogram]\n"
           "{__name__=\"h_bucket\", a=\"1\", le=\"1.0\"} 2\n"
           "{__name__=\"h_bucket\", a=\"1\", le=\"2.5\"} 4\n"
           "{__name__=\"h_bucket\", a=\"1\", le=\"+Inf\"} 6\n"
           "{__name__=\"h_sum\", a=\"1\"} 10\n{__name__=\"h_count\", a=\"1\"} 6\n" NHCB_1
           "{__name__=\"h_count\", a=\"2\"} 3 @5000\n{__name__=\"h_sum\", a=\"2\"} 1 @5000\n"
           "{__name__=\"h_bucket\", a=\"2\", le=\"1.0\"} 1 @5000\n" NHCB_2
           "{__name__=\"h_bucket\", a=\"3\", le=\"1.0\"} 5\n"
           "{__name__=\"h_bucket\", a=\"3\", le=\"2.0\"} 4\n"
           "{__name__=\"h_other\", a=\"3\"} 4\nT x [gauge]\n{__name__=\"x\"} 1\n");
}

static void test_openmetrics_histograms_keep_exemplars_and_starts(void **state)
{
    static const char BODY[] = "# TYPE h histogram\n"
                               "h_bucket{le=\"1.0\"} 1 # {t=\"x\"} 0.5 3\n"
                               "h_bucket{le=\"+Inf\"} 2 # {t=\"y\"} 7\n"
                               "h_count 2\nh_sum 7.5\nh_created 9\n# EOF\n";
    prom_exposition_options o = {
        .protocol = PROM_PROTOCOL_OPENMETRICS_1_0_0, .classic_to_nhcb = true, .skip_created = true};
    (void)state;
    expect(sx_str_z(BODY), &o,
           "T h [histogram]\n"
           "{__name__=\"h\"} s-53 {count:2, sum:7.5, [-Inf,1]:1, (1,+Inf]:1} since 9000 # "
           "{t=\"x\"} 0.5 @3000 # {t=\"y\"} 7\n");
}

static void test_text_conversion_without_memory(void **state)
{
    prom_exposition_options o = {.protocol = PROM_PROTOCOL_TEXT_0_0_4, .classic_to_nhcb = true};
    (void)state;
    for (int64_t nth = 1;; nth++) {
        sx_buf out;
        sx_error err;
        sx_buf_init(&out, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = exposition_dump(sx_str_z(BUCKETS), &o, (sx_str){0}, &out, &err);
        bool reached = sx_fault_alloc_calls() >= nth;
        sx_buf_done(&out);
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(st, reached ? SX_ENOMEM : SX_OK);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_gauges_untyped),
        cmocka_unit_test(test_a_summary),
        cmocka_unit_test(test_histograms_native_and_classic),
        cmocka_unit_test(test_our_own_metrics),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_cut_and_changed_everywhere),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_text_histograms_are_converted),
        cmocka_unit_test(test_openmetrics_histograms_keep_exemplars_and_starts),
        cmocka_unit_test(test_text_conversion_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

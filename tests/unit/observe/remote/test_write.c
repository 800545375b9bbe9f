/* test_write.c - remote write 1.0 and 2.0 into a real database: what is stored, what is refused and in
 * which words, and what bad bytes and failing memory do. */
#include "tests/unit/observe/remote/fixture.h"

#include "base/fault.h"
#include "observe/remote/wire_histogram.h"

static void assert_message(const fixture *f, const char *text)
{
    assert_int_equal(f->messages.len, strlen(text));
    assert_memory_equal(f->messages.data, text, f->messages.len);
}

static const char *const UP[] = {"__name__", "up", "instance", "a:1", "job", "x", NULL};

static void test_samples_of_1_0_are_stored(void **state)
{
    fixture *f = *state;
    tsdb_columns c;
    sx_buf labels;
    sx_buf_init(&labels, 0);
    for (int i = 0; i < 3; i++) {
        wire_series(&f->plain, UP, i, NOW_MS + i * 1000);
        const char *const more[] = {"__name__", "more", "n", "1", NULL};
        wire_series(&f->plain, more, i, NOW_MS + i * 1000);
        assert_int_equal(post(f, remote_write_v1), SX_OK);
        assert_int_equal(f->out.samples, 2);
        assert_false(f->out.bad);
    }
    assert_int_equal(read_back(f, "up", &c, &labels), 1);
    assert_int_equal(c.count, 3);
    assert_true(c.v[2] == 2 && c.t[2] == NOW_MS + 2000);
    sx_buf_byte(&labels, 0);
    assert_string_equal(labels.data, "{__name__=\"up\", instance=\"a:1\", job=\"x\"}");
    sx_buf_done(&labels);
    tsdb_columns_done(&c);
}

static void test_labels_may_come_unsorted_and_behind_samples(void **state)
{
    fixture *f = *state;
    tsdb_columns c;
    wire_series(&f->plain, UP, 1, NOW_MS);
    const char *const unsorted[] = {"job", "x", "__name__", "up", "instance", "a:1", NULL};
    wire_series(&f->plain, unsorted, 2, NOW_MS + 1000);
    size_t mark = sx_pb_begin(&f->plain, 1);
    wire_label(&f->plain, "__name__", "up");
    wire_sample(&f->plain, 3, NOW_MS + 2000);
    wire_label(&f->plain, "job", "x");
    wire_label(&f->plain, "instance", "a:1");
    wire_label(&f->plain, "none", "");
    sx_pb_end(&f->plain, mark);
    assert_int_equal(post(f, remote_write_v1), SX_OK);
    assert_int_equal(f->out.samples, 3);
    assert_int_equal(read_back(f, "up", &c, NULL), 1);
    assert_int_equal(c.count, 3);
    tsdb_columns_done(&c);
}

static void test_a_longer_label_set_is_another_series(void **state)
{
    fixture *f = *state;
    tsdb_columns c;
    const char *const shorter[] = {"__name__", "m", NULL};
    const char *const longer[] = {"__name__", "m", "a", "1", NULL};
    wire_series(&f->plain, shorter, 1, NOW_MS);
    assert_int_equal(post(f, remote_write_v1), SX_OK);
    wire_series(&f->plain, longer, 1, NOW_MS + 1);
    assert_int_equal(post(f, remote_write_v1), SX_OK);
    assert_int_equal(read_back(f, "m", &c, NULL), 2);
    tsdb_columns_done(&c);
}

static void test_bad_series_are_named_and_the_rest_is_stored(void **state)
{
    fixture *f = *state;
    tsdb_columns c;
    const char *const nameless[] = {"job", "x", NULL};
    const char *const twice[] = {"__name__", "m", "a", "1", "a", "2", NULL};
    const char *const bytes[] = {"__name__", "m", "a", "\xff", NULL};
    wire_series(&f->plain, nameless, 1, NOW_MS);
    wire_series(&f->plain, UP, 1, NOW_MS);
    wire_series(&f->plain, twice, 1, NOW_MS);
    wire_series(&f->plain, bytes, 1, NOW_MS);
    wire_series(&f->plain, UP, 1, NOW_MS + 3600000);
    wire_series(&f->plain, UP, 7, NOW_MS + 1);
    assert_int_equal(post(f, remote_write_v1), SX_OK);
    assert_true(f->out.bad);
    assert_int_equal(f->out.samples, 2);
    assert_int_equal(f->out.refused, 4);
    assert_int_equal(f->out.invalid_labels, 3);
    assert_message(f, "invalid metric name or labels, got {job=\"x\"}\n"
                      "invalid labels for series, labels {__name__=\"m\", a=\"1\", a=\"2\"}, "
                      "duplicated label a\n"
                      "invalid metric name or labels, got {__name__=\"m\", a=\"\\xff\"}\n"
                      "out of bounds: timestamp is too far in the future for series "
                      "{__name__=\"up\", instance=\"a:1\", job=\"x\"}");
    assert_int_equal(read_back(f, "up", &c, NULL), 1);
    assert_int_equal(c.count, 2);
    tsdb_columns_done(&c);
}

static void test_another_value_at_the_same_time_is_refused(void **state)
{
    fixture *f = *state;
    wire_series(&f->plain, UP, 1, NOW_MS);
    assert_int_equal(post(f, remote_write_v1), SX_OK);
    wire_series(&f->plain, UP, 1, NOW_MS);
    assert_int_equal(post(f, remote_write_v1), SX_OK);
    assert_false(f->out.bad);
    wire_series(&f->plain, UP, 2, NOW_MS);
    assert_int_equal(post(f, remote_write_v1), SX_OK);
    assert_true(f->out.bad);
    assert_message(
        f, "duplicate sample for timestamp 1700000000000; overrides not allowed: new value 2 "
           "for series {__name__=\"up\", instance=\"a:1\", job=\"x\"}");
}

static tsdb_histogram example(bool integer)
{
    static const tsdb_span SPANS[] = {{-2, 2}, {3, 1}}, NEGATIVE[] = {{0, 1}};
    static const double COUNTS[] = {3, 1, 4}, LESS[] = {2};
    return (tsdb_histogram){.schema = 2,
                            .integer = integer,
                            .count = 11,
                            .sum = 4.5,
                            .zero_threshold = 0.001,
                            .zero_count = 1,
                            .positive_spans = SPANS,
                            .positive_span_count = 2,
                            .positive = COUNTS,
                            .positive_count = 3,
                            .negative_spans = NEGATIVE,
                            .negative_span_count = 1,
                            .negative = LESS,
                            .negative_count = 1};
}

static void put_histogram_series(fixture *f, const tsdb_histogram *h, int64_t t)
{
    const char *const labels[] = {"__name__", "h", NULL};
    size_t mark = sx_pb_begin(&f->plain, 1);
    wire_labels(&f->plain, labels);
    wire_histogram_write(&f->plain, 4, h, t, 0);
    sx_pb_end(&f->plain, mark);
}

static void test_histograms_arrive_as_they_were_sent(void **state)
{
    fixture *f = *state;
    static const double BOUNDS[] = {0.5, 1, 10};
    static const tsdb_span WHOLE[] = {{0, 4}};
    static const double COUNTS[] = {1, 0, 5, 2};
    tsdb_histogram sent[] = {example(true),
                             example(false),
                             {.schema = TSDB_SCHEMA_CUSTOM,
                              .integer = true,
                              .count = 8,
                              .sum = 3,
                              .positive_spans = WHOLE,
                              .positive_span_count = 1,
                              .positive = COUNTS,
                              .positive_count = 4,
                              .bounds = BOUNDS,
                              .bound_count = 3}};
    sent[1].count = 11.5;
    for (size_t i = 0; i < 3; i++)
        put_histogram_series(f, &sent[i], NOW_MS + (int64_t)i);
    assert_int_equal(post(f, remote_write_v1), SX_OK);
    assert_int_equal(f->out.histograms, 3);
    tsdb_columns c;
    assert_int_equal(read_back(f, "h", &c, NULL), 1);
    assert_int_equal(c.count, 3);
    for (size_t i = 0; i < 3; i++) {
        tsdb_histogram got = *c.h[i];
        got.reset = sent[i].reset; /* the store works it out */
        assert_true(tsdb_histogram_equal(&got, &sent[i]));
    }
    tsdb_columns_done(&c);
}

static void test_finer_histograms_are_reduced_and_bad_ones_refused(void **state)
{
    fixture *f = *state;
    tsdb_columns c;
    tsdb_histogram h = example(true);
    h.schema = 40;
    put_histogram_series(f, &h, NOW_MS);
    h.schema = 53;
    put_histogram_series(f, &h, NOW_MS + 1);
    h.schema = 2;
    h.count = 3;
    put_histogram_series(f, &h, NOW_MS + 2);
    assert_int_equal(post(f, remote_write_v1), SX_OK);
    assert_int_equal(f->out.histograms, 1);
    assert_int_equal(f->out.refused, 2);
    assert_true(f->out.bad);
    assert_int_equal(read_back(f, "h", &c, NULL), 1);
    assert_int_equal(c.count, 1);
    assert_int_equal(c.h[0]->schema, 8);
    assert_true(c.h[0]->count == 11);
    tsdb_columns_done(&c);
}

/* --- 2.0 */

/* A request with the symbols (NULL ends them) in front of what `series` writes. */
static void put_symbols(fixture *f, const char *const *symbols)
{
    for (; *symbols; symbols++)
        sx_pb_put_str(&f->plain, 4, sx_str_z(*symbols));
}

static void put_refs(sx_buf *b, const uint32_t *refs, size_t count)
{
    size_t mark = sx_pb_begin(b, 1);
    for (size_t i = 0; i < count; i++)
        sx_pb_add_varint(b, refs[i]);
    sx_pb_end(b, mark);
}

static void put_series_v2(sx_buf *b, const uint32_t *refs, size_t count, double v, int64_t t,
                          int64_t start_t)
{
    size_t mark = sx_pb_begin(b, 5);
    put_refs(b, refs, count);
    size_t sample = sx_pb_begin(b, 2);
    sx_pb_put_double(b, 1, v);
    sx_pb_put_i64(b, 2, t);
    if (start_t)
        sx_pb_put_i64(b, 3, start_t);
    sx_pb_end(b, sample);
    size_t metadata = sx_pb_begin(b, 5);
    sx_pb_put_u64(b, 1, 1);
    sx_pb_put_u64(b, 3, 1);
    sx_pb_end(b, metadata);
    sx_pb_end(b, mark);
}

static void test_samples_of_2_0_are_stored_whatever_the_symbols_order(void **state)
{
    fixture *f = *state;
    static const char *const FIRST[] = {"", "Help.", "__name__", "up", "job", "x", NULL};
    static const char *const SECOND[] = {"", "Help.", "x", "job", "up", "__name__", NULL};
    static const uint32_t A[] = {2, 3, 4, 5}, B[] = {5, 4, 3, 2};
    tsdb_columns c;
    put_symbols(f, FIRST);
    put_series_v2(&f->plain, A, 4, 1, NOW_MS, NOW_MS - 5000);
    assert_int_equal(post(f, remote_write_v2), SX_OK);
    put_series_v2(&f->plain, B, 4, 2, NOW_MS + 1, NOW_MS - 5000);
    put_symbols(f, SECOND); /* behind: still theirs */
    assert_int_equal(post(f, remote_write_v2), SX_OK);
    assert_int_equal(f->out.samples, 1);
    assert_false(f->out.bad);
    assert_int_equal(read_back(f, "up", &c, NULL), 1);
    assert_int_equal(c.count, 2);
    assert_non_null(c.st);
    assert_int_equal(c.st[1], NOW_MS - 5000);
    tsdb_metadata_of *metadata;
    size_t count;
    assert_int_equal(
        tsdb_metadata_read(f->db, SX_STR("up"), 0, &f->arena, &metadata, &count, &f->err), SX_OK);
    assert_int_equal(count, 1);
    assert_true(sx_str_eq(metadata[0].metadata.type, SX_STR("counter")));
    assert_true(sx_str_eq(metadata[0].metadata.help, SX_STR("Help.")));
    tsdb_columns_done(&c);
}

static void test_bad_references_are_named(void **state)
{
    fixture *f = *state;
    static const char *const SYMBOLS[] = {"", "Help.", "__name__", "up", NULL};
    static const uint32_t ODD[] = {2, 3, 2}, OUTSIDE[] = {2, 9}, GOOD[] = {2, 3};
    put_symbols(f, SYMBOLS);
    put_series_v2(&f->plain, ODD, 3, 1, NOW_MS, 0);
    put_series_v2(&f->plain, OUTSIDE, 2, 1, NOW_MS, 0);
    put_series_v2(&f->plain, GOOD, 2, 1, NOW_MS, 0);
    size_t mark = sx_pb_begin(&f->plain, 5);
    put_refs(&f->plain, GOOD, 2);
    sx_pb_end(&f->plain, mark);
    assert_int_equal(post(f, remote_write_v2), SX_OK);
    assert_true(f->out.bad);
    assert_int_equal(f->out.samples, 1);
    assert_int_equal(f->out.refused, 2);
    assert_message(f, "parsing labels for series [2 3 2]: invalid labelRefs length 3\n"
                      "parsing labels for series [2 9]: labelRefs 2 (name) = 9 (value) outside of "
                      "symbols table (size 4)\n"
                      "TimeSeries must contain at least one sample or histogram for series "
                      "{__name__=\"up\"}");
}

/* --- Hostile input. */

static void fill_mixed_v1(fixture *f)
{
    tsdb_histogram h = example(true);
    wire_series(&f->plain, UP, 1, NOW_MS);
    put_histogram_series(f, &h, NOW_MS);
    size_t mark = sx_pb_begin(&f->plain, 1);
    wire_labels(&f->plain, UP);
    size_t exemplar = sx_pb_begin(&f->plain, 3);
    wire_label(&f->plain, "trace_id", "abc");
    sx_pb_put_double(&f->plain, 2, 1);
    sx_pb_put_i64(&f->plain, 3, NOW_MS);
    sx_pb_end(&f->plain, exemplar);
    sx_pb_end(&f->plain, mark);
    mark = sx_pb_begin(&f->plain, 3);
    sx_pb_put_u64(&f->plain, 1, 2);
    sx_pb_put_str(&f->plain, 2, SX_STR("up"));
    sx_pb_put_str(&f->plain, 4, SX_STR("Whether it is up."));
    sx_pb_end(&f->plain, mark);
}

static void fill_mixed_v2(fixture *f)
{
    static const char *const SYMBOLS[] = {"", "Help.", "__name__", "up", NULL};
    static const uint32_t REFS[] = {2, 3};
    tsdb_histogram h = example(false);
    put_symbols(f, SYMBOLS);
    put_series_v2(&f->plain, REFS, 2, 1, NOW_MS, NOW_MS - 1);
    size_t mark = sx_pb_begin(&f->plain, 5);
    put_refs(&f->plain, REFS, 2);
    wire_histogram_write(&f->plain, 3, &h, NOW_MS + 1, NOW_MS);
    size_t exemplar = sx_pb_begin(&f->plain, 4);
    put_refs(&f->plain, REFS, 2);
    sx_pb_put_double(&f->plain, 2, 1);
    sx_pb_end(&f->plain, exemplar);
    sx_pb_end(&f->plain, mark);
}

static void (*const FILL[2])(fixture *) = {fill_mixed_v1, fill_mixed_v2};
static write_function *const WRITE[2] = {remote_write_v1, remote_write_v2};

static void test_a_request_cut_anywhere_stores_nothing_wrong(void **state)
{
    fixture *f = *state;
    for (unsigned v = 0; v < 2; v++) {
        FILL[v](f);
        sx_buf whole = f->plain;
        sx_buf_init(&f->plain, 0);
        for (size_t cut = 0; cut < whole.len; cut++) {
            sx_buf_bytes(&f->plain, whole.data, cut);
            sx_status status = post(f, WRITE[v]);
            assert_true(status == SX_OK || status == SX_EFORMAT);
            if (status == SX_EFORMAT)
                assert_true(f->err.message[0]);
        }
        sx_buf_bytes(&f->plain, whole.data, whole.len);
        const char *packed = wire_pack(&f->plain, &f->packed).data;
        sx_buf copy;
        sx_buf_init(&copy, 0);
        sx_buf_bytes(&copy, packed, f->packed.len);
        for (size_t cut = 0; cut < copy.len; cut++) /* the compression's own bytes */
            assert_int_equal(WRITE[v](f->w, sx_str_of(copy.data, cut), &f->out, &f->err),
                             SX_EFORMAT);
        sx_buf_done(&copy);
        sx_buf_done(&whole);
        sx_buf_clear(&f->plain);
    }
}

static void test_a_request_over_the_limit_takes_no_memory(void **state)
{
    fixture *f = *state;
    sx_buf big;
    sx_buf_init(&big, 0);
    assert_non_null(sx_buf_reserve(&big, 33 << 20));
    memset(big.data, 0, 33 << 20);
    big.len = 33 << 20;
    assert_int_equal(remote_write_v1(f->w, wire_pack(&big, &f->packed), &f->out, &f->err),
                     SX_ELIMIT);
    sx_buf_done(&big);
}

static void test_failing_memory_is_an_error_and_no_more(void **state)
{
    fixture *f = *state;
    for (unsigned v = 0; v < 2; v++)
        for (int64_t n = 1;; n++) {
            remote_limits limits = {.clock = &f->clock.clock};
            remote_writer *w;
            FILL[v](f);
            sx_str body = wire_pack(&f->plain, &f->packed);
            sx_buf_clear(&f->plain);
            f->out = (remote_written){0};
            sx_fault_alloc_set((sx_fault_alloc){.nth = n});
            sx_status status = remote_writer_new(tsdb_appendable_of(f->db), &limits, &w, &f->err);
            if (status == SX_OK) {
                status = WRITE[v](w, body, &f->out, &f->err);
                remote_writer_free(w);
            }
            int64_t calls = sx_fault_alloc_calls();
            sx_fault_alloc_set((sx_fault_alloc){0});
            assert_true(status == SX_OK || status == SX_ENOMEM);
            if (calls < n)
                break;
        }
}

static void test_a_series_that_left_the_store_is_found_again(void **state)
{
    fixture *f = *state;
    tsdb_columns c;
    wire_series(&f->plain, UP, 1, NOW_MS);
    assert_int_equal(post(f, remote_write_v1), SX_OK);
    sx_fake_clock_advance(&f->clock, 12 * 3600 * 1000); /* the head is cut into blocks */
    const char *const other[] = {"__name__", "other", NULL};
    int64_t later = NOW_MS + 12 * 3600 * 1000;
    wire_series(&f->plain, other, 1, later);
    assert_int_equal(post(f, remote_write_v1), SX_OK);
    assert_int_equal(tsdb_maintain(f->db, &f->err), SX_OK);
    wire_series(&f->plain, UP, 2, later);
    assert_int_equal(post(f, remote_write_v1), SX_OK);
    assert_int_equal(f->out.samples, 1);
    assert_int_equal(read_back(f, "up", &c, NULL), 1);
    assert_int_equal(c.count, 2);
    tsdb_columns_done(&c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_samples_of_1_0_are_stored),
        TEST(test_labels_may_come_unsorted_and_behind_samples),
        TEST(test_a_longer_label_set_is_another_series),
        TEST(test_bad_series_are_named_and_the_rest_is_stored),
        TEST(test_another_value_at_the_same_time_is_refused),
        TEST(test_histograms_arrive_as_they_were_sent),
        TEST(test_finer_histograms_are_reduced_and_bad_ones_refused),
        TEST(test_samples_of_2_0_are_stored_whatever_the_symbols_order),
        TEST(test_bad_references_are_named),
        TEST(test_a_request_cut_anywhere_stores_nothing_wrong),
        TEST(test_a_request_over_the_limit_takes_no_memory),
        TEST(test_failing_memory_is_an_error_and_no_more),
        TEST(test_a_series_that_left_the_store_is_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_sender.c - what the sender makes of a batch is what our receiver understands. */
#include "base/fault.h"
#include "observe/remote/sender_internal.h"
#include "tests/unit/observe/remote/fixture.h"

static const tsdb_label LABELS[2][2] = {
    {{SX_STR_INIT("__name__"), SX_STR_INIT("a")}, {SX_STR_INIT("job"), SX_STR_INIT("x")}},
    {{SX_STR_INIT("__name__"), SX_STR_INIT("b")}, {SX_STR_INIT("job"), SX_STR_INIT("x")}},
};
static const tsdb_label TRACE[] = {{SX_STR_INIT("trace_id"), SX_STR_INIT("17")}};

/* Floats and an exemplar of one series, histograms of another, in turns. */
typedef struct example {
    send_meta meta;
    send_series series[2];
    tsdb_span span;
    double counts[3];
    tsdb_histogram h;
    send_item items[5];
    send_batch batch;
} example;

static void make_example(example *x)
{
    *x = (example){.meta = {1, SX_STR("what it is"), SX_STR("bytes")},
                   .span = {.offset = 2, .length = 3},
                   .counts = {4, 1, 7}};
    for (unsigned i = 0; i < 2; i++)
        x->series[i] = (send_series){.refs = 1, .labels = {LABELS[i], 2}};
    x->series[0].meta = &x->meta;
    x->h = (tsdb_histogram){.schema = 3,
                            .integer = true,
                            .zero_threshold = 0.001,
                            .count = 12,
                            .sum = 20.5,
                            .positive_spans = &x->span,
                            .positive_span_count = 1,
                            .positive = x->counts,
                            .positive_count = 3};
    x->items[0] = (send_item){.series = &x->series[0], .t = NOW_MS, .v = 1.5};
    x->items[1] = (send_item){.series = &x->series[0], .t = NOW_MS + 1000, .v = -2};
    x->items[2] =
        (send_item){.series = &x->series[1], .t = NOW_MS, .h = &x->h, .kind = SEND_HISTOGRAM};
    x->items[3] = (send_item){.series = &x->series[0], .t = NOW_MS + 2000, .v = 3};
    x->items[4] = (send_item){.series = &x->series[0],
                              .t = NOW_MS + 2000,
                              .v = 0.5,
                              .exemplar = {TRACE, 1},
                              .kind = SEND_EXEMPLAR};
    x->batch = (send_batch){.items = x->items, .count = 5};
}

typedef sx_status encode_function(const send_batch *b, sx_buf *out, sx_error *err);

static void check_arrival(fixture *f, encode_function *encode, write_function *write)
{
    example x;
    tsdb_columns c;
    sx_buf labels;
    sx_buf_init(&labels, 0);
    make_example(&x);
    assert_int_equal(encode(&x.batch, &f->plain, &f->err), SX_OK);
    assert_int_equal(post(f, write), SX_OK);
    assert_false(f->out.bad);
    assert_int_equal(f->out.samples, 3);
    assert_int_equal(f->out.histograms, 1);
    assert_int_equal(f->out.exemplars, 1);
    assert_int_equal(read_back(f, "a", &c, &labels), 1);
    assert_int_equal(c.count, 3);
    assert_int_equal(c.t[2], NOW_MS + 2000);
    assert_true(c.v[0] == 1.5 && c.v[1] == -2 && c.v[2] == 3);
    assert_true(sx_str_eq(sx_buf_view(&labels), SX_STR("{__name__=\"a\", job=\"x\"}")));
    tsdb_columns_done(&c);
    assert_int_equal(read_back(f, "b", &c, NULL), 1);
    assert_int_equal(c.count, 1);
    assert_true(tsdb_histogram_equal(c.h[0], &x.h));
    tsdb_columns_done(&c);
    sx_buf_done(&labels);
}

static void test_a_batch_of_1_0_arrives(void **state)
{
    check_arrival(*state, send_encode_v1, remote_write_v1);
}

static void test_a_batch_of_2_0_arrives(void **state)
{
    fixture *f = *state;
    tsdb_metadata_of *found;
    size_t count;
    check_arrival(f, send_encode_v2, remote_write_v2);
    assert_int_equal(tsdb_metadata_read(f->db, SX_STR("a"), 0, &f->arena, &found, &count, &f->err),
                     SX_OK);
    assert_int_equal(count, 1);
    assert_true(sx_str_eq(found[0].metadata.type, SX_STR("counter")));
    assert_true(sx_str_eq(found[0].metadata.help, SX_STR("what it is")));
    assert_true(sx_str_eq(found[0].metadata.unit, SX_STR("bytes")));
}

static void test_metadata_of_a_family_arrives(void **state)
{
    fixture *f = *state;
    tsdb_metadata_of *found;
    size_t count;
    send_meta m = {send_meta_type(SX_STR("summary")), SX_STR("how long"), SX_STR("seconds")};
    wire_series(&f->plain, (const char *const[]){"__name__", "took_seconds_sum", NULL}, 1, NOW_MS);
    send_encode_family(&f->plain, SX_STR("took_seconds_sum"), &m);
    assert_int_equal(post(f, remote_write_v1), SX_OK);
    assert_int_equal(tsdb_metadata_read(f->db, SX_STR(""), 0, &f->arena, &found, &count, &f->err),
                     SX_OK);
    assert_int_equal(count, 1);
    assert_true(sx_str_eq(found[0].metadata.type, SX_STR("summary")));
    assert_true(sx_str_eq(found[0].metadata.help, SX_STR("how long")));
}

static void test_without_memory_a_batch_is_refused(void **state)
{
    fixture *f = *state;
    encode_function *encoders[] = {send_encode_v1, send_encode_v2};
    for (unsigned i = 0; i < 2; i++) {
        sx_status status = SX_ENOMEM;
        for (int64_t n = 1; status != SX_OK; n++) {
            example x;
            sx_buf out;
            make_example(&x);
            sx_buf_init(&out, 0);
            sx_fault_alloc_set((sx_fault_alloc){.nth = n});
            status = encoders[i](&x.batch, &out, &f->err);
            sx_fault_alloc_set((sx_fault_alloc){0});
            assert_true(status == SX_OK || status == SX_ENOMEM);
            sx_buf_done(&out);
        }
    }
}

/* --- Which entries are the same. */

static const char ENTRY[] = "remote_write:\n"
                            "  - url: http://far/write\n"
                            "    name: far\n"
                            "    headers: {X-A: b}\n"
                            "    write_relabel_configs: [{regex: n, action: labeldrop}]\n"
                            "    basic_auth: {username: me, password: secret}\n"
                            "    queue_config: {capacity: 100}\n";

static prom_config *parse(const char *text)
{
    prom_config *c;
    sx_error err = {0};
    if (prom_config_parse(sx_str_z(text), SX_STR("test.yml"), NULL, &c, NULL, &err) != SX_OK)
        fail_msg("%s", err.message);
    return c;
}

static void test_an_entry_is_the_same_until_anything_of_it_changes(void **state)
{
    (void)state;
    static const char *const CHANGES[][2] = {
        {"far/write", "far/writ2"}, {"name: far", "name: fax"}, {"X-A: b", "X-A: c"},
        {"regex: n", "regex: m"},   {"secret", "secreu"},       {"capacity: 100", "capacity: 101"}};
    prom_config *a = parse(ENTRY), *b = parse(ENTRY);
    assert_true(send_entries_equal(&a->remote_writes[0], &b->remote_writes[0]));
    prom_config_unref(b);
    for (unsigned i = 0; i < SX_COUNT_OF(CHANGES); i++) {
        char text[sizeof ENTRY];
        memcpy(text, ENTRY, sizeof text);
        char *at = strstr(text, CHANGES[i][0]);
        assert_non_null(at);
        memcpy(at, CHANGES[i][1], strlen(CHANGES[i][1]));
        b = parse(text);
        assert_false(send_entries_equal(&a->remote_writes[0], &b->remote_writes[0]));
        prom_config_unref(b);
    }
    prom_config_unref(a);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_a_batch_of_1_0_arrives),
        T(test_a_batch_of_2_0_arrives),
        T(test_metadata_of_a_family_arrives),
        T(test_without_memory_a_batch_is_refused),
        cmocka_unit_test(test_an_entry_is_the_same_until_anything_of_it_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_segment.c - spans written as a segment and read back: nothing lost, in order, found by trace. */
#include "tests/unit/observe/traces/segment_help.h"

static void spans_come_back_as_they_were(void **state)
{
    (void)state;
    segment_place p;
    place_make(&p);
    make_spans m = {
        .seed = 7, .start_ns = 1700000000000000000, .step_ns = 1000, .per_trace = 9, .rich = true};
    static const size_t TRACES[] = {1, 30, 3000};
    for (size_t i = 0; i < 3; i++) {
        span_batch *batch = make_batch(&m, TRACES[i]);
        tr_segment *s = segment_of(p.path, batch);
        span_batch *out = segment_rows(s);
        assert_int_equal(tr_segment_about(s)->traces, TRACES[i]);
        assert_int_equal(tr_segment_about(s)->sequence, 7);
        assert_same_spans(batch, out);
        tr_segment_unref(s);
        span_batch_unref(out);
        span_batch_unref(batch);
    }
    place_remove(&p);
}

static void a_trace_is_found_by_its_id(void **state)
{
    (void)state;
    segment_place p;
    sx_error err = {0};
    uint64_t first, count;
    place_make(&p);
    make_spans m = {
        .seed = 8, .start_ns = 1700000000000000000, .step_ns = 1000, .per_trace = 11, .rich = true};
    span_batch *batch = make_batch(&m, 2000);
    tr_segment *s = segment_of(p.path, batch);
    for (size_t i = 0; i < batch->count; i += 97) {
        span_batch *out = span_batch_new(0);
        const uint8_t *id = batch->spans[i]->trace_id;
        assert_int_equal(tr_segment_find(s, id, &first, &count, &err), SX_OK);
        assert_int_equal(count, 11);
        assert_int_equal(tr_segment_read(s, first, count, TR_WANT_ALL, out, &err), SX_OK);
        assert_int_equal(out->count, 11);
        bool seen = false;
        for (size_t k = 0; k < out->count; k++) {
            assert_memory_equal(out->spans[k]->trace_id, id, 16);
            assert_true(k == 0 || out->spans[k]->start_ns >= out->spans[k - 1]->start_ns);
            seen |= make_same(out->spans[k], batch->spans[i]);
        }
        assert_true(seen);
        uint8_t other[16];
        memcpy(other, id, 16);
        other[15] ^= 0x55;
        assert_int_equal(tr_segment_find(s, other, &first, &count, &err), SX_OK);
        assert_int_equal(count, 0);
        span_batch_unref(out);
    }
    tr_segment_unref(s);
    span_batch_unref(batch);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_come_back_as_they_were),
        cmocka_unit_test(a_trace_is_found_by_its_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

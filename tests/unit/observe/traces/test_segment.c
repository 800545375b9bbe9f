/* test_segment.c - spans written as a segment and read back: nothing lost, in order, found by trace. */
#include <time.h>

#include <sextant/mem.h>

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

/* Rows here and there, over several groups, in portions; two segments share a reader. */
static void scattered_rows_are_those_that_were_asked_for(void **state)
{
    (void)state;
    enum { MOST = 7 };
    static const size_t APART[] = {1, 3, 500, 9000};
    segment_place p;
    sx_error err = {0};
    place_make(&p);
    make_spans m = {
        .seed = 9, .start_ns = 1700000000000000000, .step_ns = 1000, .per_trace = 9, .rich = true};
    span_batch *batch = make_batch(&m, 3000), *few = make_batch(&m, 2);
    tr_segment *s = segment_of(p.path, batch), *small = segment_of(p.other, few);
    span_batch *all = segment_rows(s), *out = span_batch_new(0);
    tr_reader *whole = tr_reader_new(TR_WANT_ALL);
    tr_reader *basics = tr_reader_new(TR_WANT_IDS | TR_WANT_BASICS);
    uint64_t *rows = sx_alloc(all->count * sizeof *rows);
    for (size_t a = 0; a < sizeof APART / sizeof *APART; a++) {
        size_t count = 0;
        for (size_t row = a; row < all->count; row += APART[a])
            rows[count++] = row;
        for (size_t i = 0; i < count; i += MOST) {
            size_t n = count - i < MOST ? count - i : MOST;
            span_batch_reset(out);
            assert_int_equal(tr_reader_read(whole, s, rows + i, count - i, MOST, out, &err), SX_OK);
            assert_int_equal(tr_reader_read(basics, s, rows + i, count - i, MOST, out, &err),
                             SX_OK);
            assert_int_equal(out->count, 2 * n);
            for (size_t k = 0; k < n; k++) {
                const span *is = all->spans[rows[i + k]], *brief = out->spans[n + k];
                assert_true(make_same(out->spans[k], is));
                assert_memory_equal(brief->id, is->id, 8);
                assert_true(sx_str_eq(brief->name, is->name));
                assert_true(sx_str_eq(brief->resource->service, is->resource->service));
                assert_int_equal(brief->attrs.count, 0);
            }
        }
        span_batch_reset(out); /* the other segment between */
        assert_int_equal(tr_reader_read(whole, small, (uint64_t[]){0, 17}, 2, 2, out, &err), SX_OK);
        assert_int_equal(out->count, 2);
    }
    assert_int_equal(tr_reader_read(whole, small, (uint64_t[]){0, 18}, 2, 2, out, &err), SX_EINVAL);
    sx_free(rows);
    tr_reader_free(whole);
    tr_reader_free(basics);
    span_batch_unref(out);
    span_batch_unref(all);
    span_batch_unref(batch);
    span_batch_unref(few);
    tr_segment_unref(s);
    tr_segment_unref(small);
    place_remove(&p);
}

/* Seconds of CPU to write one long trace whose span `i` has the id first + i * step, big-endian, and is
 * a child of the one before. */
static double seconds_to_write(const char *path, span_batch *trace, uint64_t first, uint64_t step)
{
    uint64_t parent = 0;
    for (size_t i = 0; i < trace->count; i++) {
        uint64_t id = __builtin_bswap64(first + i * step);
        span *one = sx_arena_alloc(&trace->arena, sizeof *one);
        assert_non_null(one);
        *one = *trace->spans[i];
        memcpy(one->trace_id, "one trace of all", 16);
        memcpy(one->id, &id, 8);
        memcpy(one->parent, &parent, 8);
        trace->spans[i] = one;
        parent = id;
    }
    sx_error err = {0};
    tr_rows rows;
    tr_segment_info info;
    assert_int_equal(tr_rows_init(&rows, &err), SX_OK);
    assert_int_equal(tr_rows_add(&rows, trace, &err), SX_OK);
    clock_t began = clock();
    assert_int_equal(tr_segment_write(path, &rows, &(tr_write_options){0}, &info, &err), SX_OK);
    double took = (double)(clock() - began) / CLOCKS_PER_SEC;
    assert_int_equal(info.rows, trace->count);
    tr_rows_done(&rows);
    return took;
}

/* Ids come from clients: counted upwards, all of them the same, or well mixed. */
static void a_long_trace_is_written_as_fast_whatever_its_ids(void **state)
{
    (void)state;
    enum { SPANS = 40000, SLOWER_MAX = 8 };
    segment_place p;
    place_make(&p);
    make_spans m = {.seed = 10, .start_ns = 1700000000000000000, .step_ns = 1000, .per_trace = 50};
    span_batch *trace = make_batch(&m, SPANS / 50);
    double mixed = seconds_to_write(p.path, trace, 1, 0x9e3779b97f4a7c15u);
    static const uint64_t STEPS[] = {0, 1, 1 << 16, (uint64_t)1 << 48};
    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
        double took = seconds_to_write(p.path, trace, 1, STEPS[i]);
        if (took > SLOWER_MAX * mixed)
            fail_msg("ids %llu apart: %.3f s, mixed ones: %.3f s", (unsigned long long)STEPS[i],
                     took, mixed);
    }
    span_batch_unref(trace);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_come_back_as_they_were),
        cmocka_unit_test(a_trace_is_found_by_its_id),
        cmocka_unit_test(a_long_trace_is_written_as_fast_whatever_its_ids),
        cmocka_unit_test(scattered_rows_are_those_that_were_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

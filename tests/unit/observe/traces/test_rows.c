/* test_rows.c - spans interned and given back: nothing lost, equal things once, failing memory. */
#include "tests/unit/base/cmocka_all.h"

#include "base/fault.h"
#include "observe/traces/rows.h"
#include "observe/traces/segment.h"
#include "tests/unit/observe/traces/make_spans.h"

static void spans_come_back_as_they_were(void **state)
{
    (void)state;
    sx_error err = {0};
    tr_rows rows;
    assert_int_equal(tr_rows_init(&rows, &err), SX_OK);
    make_spans m = {
        .seed = 7, .start_ns = 1700000000000000000, .step_ns = 1000, .per_trace = 9, .rich = true};
    for (int round = 0; round < 2; round++) {
        span_batch *batches[20];
        size_t at = 0;
        for (int i = 0; i < 20; i++) {
            batches[i] = make_batch(&m, 30);
            assert_int_equal(tr_rows_add(&rows, batches[i], &err), SX_OK);
        }
        span_batch *out = span_batch_new(0);
        for (int i = 0; i < 20; i++)
            for (size_t k = 0; k < batches[i]->count; k++, at++) {
                const span *s;
                assert_int_equal(tr_rows_span(&rows, (uint32_t)at, &out->arena, &s, &err), SX_OK);
                assert_true(make_same(s, batches[i]->spans[k]));
                uint32_t id = (uint32_t)at;
                assert_int_equal(tr_rows_read(&rows, &id, 1, TR_WANT_ALL, out, &err), SX_OK);
                assert_true(make_same(out->spans[at], batches[i]->spans[k]));
            }
        assert_int_equal(rows.count, at);
        assert_true(rows.resource_count <= MAKE_SERVICES + 1);
        assert_int_equal(rows.scope_count, 1);
        assert_true(tr_rows_used(&rows) <= tr_rows_bytes(&rows) + (1 << 20));
        span_batch_unref(out);
        for (int i = 0; i < 20; i++)
            span_batch_unref(batches[i]);
        tr_rows_clear(&rows);
        assert_int_equal(rows.count, 0);
    }
    tr_rows_done(&rows);
}

static void equal_text_has_one_id(void **state)
{
    (void)state;
    sx_error err = {0};
    tr_rows rows;
    uint32_t a, b;
    assert_int_equal(tr_rows_init(&rows, &err), SX_OK);
    make_spans m = {.seed = 1, .start_ns = 1000, .step_ns = 1, .per_trace = 3};
    span_batch *batch = make_batch(&m, 2000);
    assert_int_equal(tr_rows_add(&rows, batch, &err), SX_OK);
    assert_true(tr_dict_find(&rows.dict, SX_STR("frontend"), &a));
    assert_true(sx_str_eq(tr_dict_get(&rows.dict, a), SX_STR("frontend")));
    assert_false(tr_dict_find(&rows.dict, SX_STR("frontends"), &b));
    assert_true(tr_dict_find(&rows.dict, SX_STR(""), &b));
    assert_int_equal(b, TR_NONE);
    for (uint32_t id = 0; id < rows.dict.count; id++) {
        assert_true(tr_dict_find(&rows.dict, tr_dict_get(&rows.dict, id), &b));
        assert_int_equal(b, id);
    }
    span_batch_unref(batch);
    tr_rows_done(&rows);
}

static void a_part_holds_whole_traces(void **state)
{
    (void)state;
    sx_error err = {0};
    make_spans m = {.seed = 3, .start_ns = 1000, .step_ns = 1, .per_trace = 5};
    span_batch *batch = make_batch(&m, 500);
    size_t sum = 0;
    for (uint32_t shard = 0; shard < 4; shard++) {
        tr_rows rows;
        assert_int_equal(tr_rows_init(&rows, &err), SX_OK);
        assert_int_equal(tr_rows_add_part(&rows, batch, (tr_part){3, shard}, &err), SX_OK);
        assert_int_equal(rows.count % 5, 0);
        assert_in_range(rows.count, 400, 850);
        sum += rows.count;
        tr_rows_done(&rows);
    }
    assert_int_equal(sum, batch->count);
    span_batch_unref(batch);
}

static void all_or_none_without_memory(void **state)
{
    (void)state;
    sx_error err = {0};
    make_spans m = {.seed = 5, .start_ns = 1000, .step_ns = 1, .per_trace = 20, .rich = true};
    span_batch *first = make_batch(&m, 1), *second = make_batch(&m, 400);
    int64_t n = 0;
    for (bool done = false; !done; n++) {
        tr_rows rows;
        sx_fault_alloc_set((sx_fault_alloc){.nth = n + 1});
        sx_status status = tr_rows_init(&rows, &err);
        if (status == SX_OK) {
            status = tr_rows_add(&rows, first, &err);
            if (status == SX_OK) {
                status = tr_rows_add(&rows, second, &err);
                assert_int_equal(rows.count, first->count + (status == SX_OK ? second->count : 0));
                done = status == SX_OK;
            }
            sx_fault_alloc_set((sx_fault_alloc){0});
            if (!done) { /* and it works again */
                uint32_t had = rows.count;
                const span *s;
                span_batch *out = span_batch_new(0);
                assert_int_equal(tr_rows_add(&rows, second, &err), SX_OK);
                assert_int_equal(rows.count, had + second->count);
                for (uint32_t i = 0; i < second->count; i++) {
                    assert_int_equal(tr_rows_span(&rows, had + i, &out->arena, &s, &err), SX_OK);
                    assert_true(make_same(s, second->spans[i]));
                }
                span_batch_unref(out);
            }
            tr_rows_done(&rows);
        }
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (!done)
            assert_int_equal(status, SX_ENOMEM);
        assert_true(n < 1000);
    }
    assert_true(n > 10);
    span_batch_unref(first);
    span_batch_unref(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_come_back_as_they_were),
        cmocka_unit_test(equal_text_has_one_id),
        cmocka_unit_test(a_part_holds_whole_traces),
        cmocka_unit_test(all_or_none_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* fuzz_traceql.c - any text as a query: what is taken prints as a query that is taken and prints the same,
 * and finds in a fixed trace the same spans again; what is exact in the filter matches just those. */
#include <stdint.h>
#include <stdlib.h>

#include <sextant/base.h>

#include "observe/traceql/eval.h"
#include "tests/unit/observe/traceql/random_traces.h"

static traceql_query *reparse(const traceql_query *q)
{
    sx_buf once, twice;
    traceql_query *again = NULL;
    sx_buf_init(&once, 0);
    sx_buf_init(&twice, 0);
    traceql_print(q, &once);
    if (once.len <= TRACEQL_TEXT_BYTES_MAX &&
        traceql_parse(sx_buf_view(&once), &again, NULL) == SX_OK) {
        traceql_print(again, &twice);
        sx_assert(sx_str_eq(sx_buf_view(&once), sx_buf_view(&twice)));
    }
    sx_buf_done(&once);
    sx_buf_done(&twice);
    return again;
}

static size_t run(sx_arena *arena, const traceql_query *q, const tq_trace *t, uint8_t *found)
{
    tq_spansets sets = {0};
    if (traceql_is_metrics(q) || tq_run(arena, q->root, t, NULL, &sets, NULL) != SX_OK)
        return 0;
    for (size_t k = 0; k < sets.count; k++)
        for (uint32_t i = 0; i < sets.items[k].count; i++)
            found[sets.items[k].spans[i]] = 1;
    return sets.count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { SPANS = 8 };
    traceql_query *q = NULL;
    tq_trace t;
    sx_arena arena;
    uint8_t first[SPANS] = {0}, second[SPANS] = {0};
    if (size > 4096 || traceql_parse(sx_str_of(data, size), &q, NULL) != SX_OK)
        return 0;
    traceql_query *again = reparse(q);
    span_batch *b = span_batch_new(0);
    random_state = 5;
    for (uint32_t i = 0; i < SPANS; i++)
        random_span(b, 1, i);
    sx_arena_init(&arena, 0, 64 << 20);
    if (tq_trace_prepare(&arena, b->spans, b->count, NULL, &t, NULL) == SX_OK) {
        size_t sets = run(&arena, q, &t, first);
        bool exact, any = false;
        const span_filter *filter = traceql_push(q, &exact);
        for (uint32_t i = 0; i < SPANS; i++) {
            bool match = span_filter_match(filter, b->spans[i]);
            any |= match;
            sx_assert(!exact || traceql_is_metrics(q) || match == (first[i] != 0));
        }
        sx_assert(!sets || any);
        if (again) {
            sx_assert(run(&arena, again, &t, second) == sets);
            sx_assert(!memcmp(first, second, SPANS));
        }
    }
    sx_arena_done(&arena);
    span_batch_unref(b);
    traceql_free(again);
    traceql_free(q);
    return 0;
}

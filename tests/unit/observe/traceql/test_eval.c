/* test_eval.c - queries over traces of chance, beside an evaluator that follows the definitions word by
 * word: parents are looked for by id among all spans, relations by walking up, each for each. */
#include "tests/unit/base/cmocka_all.h"

#include "base/fault.h"
#include "observe/traceql/eval.h"
#include "tests/unit/observe/traceql/random_traces.h"

enum { SPANS = 12 };

typedef struct fixture {
    span_batch *batch;
    sx_arena arena;
    tq_trace trace;
} fixture;

static void make_trace(fixture *f, uint32_t t)
{
    span_batch_reset(f->batch);
    sx_arena_reset(&f->arena);
    uint32_t count = 1 + random_below(SPANS);
    for (uint32_t i = 0; i < count; i++)
        random_span(f->batch, t, i);
    assert_int_equal(
        tq_trace_prepare(&f->arena, f->batch->spans, f->batch->count, NULL, &f->trace, NULL),
        SX_OK);
}

static int setup(void **state)
{
    static fixture f;
    f.batch = span_batch_new(0);
    sx_arena_init(&f.arena, 0, 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    span_batch_unref(f->batch);
    sx_arena_done(&f->arena);
    return 0;
}

/* --- The slow way. */

static int slow_parent(const tq_trace *t, int i)
{
    static const uint8_t NONE[8];
    if (!memcmp(t->spans[i]->parent, NONE, 8))
        return -1;
    for (int k = 0; k < (int)t->count; k++)
        if (k != i && !memcmp(t->spans[k]->id, t->spans[i]->parent, 8))
            return k;
    return -1;
}

/* Is `up` above `down`? Never where the way ends in a circle. */
static bool slow_above(const tq_trace *t, int up, int down)
{
    int steps = 0, at = down;
    while ((at = slow_parent(t, at)) >= 0)
        if (++steps > (int)t->count)
            return false;
    for (at = slow_parent(t, down); at >= 0; at = slow_parent(t, at))
        if (at == up)
            return true;
    return false;
}

static bool slow_related(const tq_trace *t, tq_op op, int l, int r)
{
    switch ((tq_op)(TQ_CHILD + (op - TQ_CHILD) % 5)) {
    case TQ_CHILD:
        return slow_parent(t, r) == l;
    case TQ_PARENT_OF:
        return slow_parent(t, l) == r;
    case TQ_DESCENDANT:
        return slow_above(t, l, r);
    case TQ_ANCESTOR:
        return slow_above(t, r, l);
    default:
        return l != r && !memcmp(t->spans[l]->parent, t->spans[r]->parent, 8);
    }
}

static void slow_sets(fixture *f, const tq_node *n, const bool *in, bool *out)
{
    const tq_trace *t = &f->trace;
    bool l[SPANS] = {0}, r[SPANS] = {0}, any_l = false, any_r = false;
    if (n->kind == TQ_FILTER) {
        for (uint32_t i = 0; i < t->count; i++)
            out[i] = in[i] && tq_holds(&f->arena, n->left, t, i);
        return;
    }
    slow_sets(f, n->left, in, l);
    slow_sets(f, n->right, in, r);
    for (uint32_t i = 0; i < t->count; i++) {
        any_l |= l[i];
        any_r |= r[i];
        out[i] = false;
    }
    for (int i = 0; i < (int)t->count; i++) {
        bool has_l = false, has_r = false;
        for (int k = 0; k < (int)t->count && n->op >= TQ_CHILD; k++) {
            has_l |= l[k] && slow_related(t, n->op, k, i);
            has_r |= r[k] && slow_related(t, n->op, i, k);
        }
        if (n->op == TQ_AND)
            out[i] = any_l && any_r && (l[i] || r[i]);
        else if (n->op == TQ_OR)
            out[i] = l[i] || r[i];
        else if (n->op < TQ_NOT_CHILD)
            out[i] = r[i] && has_l;
        else if (n->op < TQ_UNION_CHILD)
            out[i] = r[i] && !has_l;
        else
            out[i] = (r[i] && has_l) || (l[i] && has_r);
    }
}

/* Pipelines of filters and relations alone; false: there is more in it. */
static bool slow_run(fixture *f, const tq_node *pipeline, bool *out)
{
    for (uint32_t i = 0; i < f->trace.count; i++)
        out[i] = true;
    for (uint32_t i = 0; i < pipeline->count; i++) {
        bool in[SPANS];
        const tq_node *n = pipeline->items[i];
        if (n->kind == TQ_SELECT)
            continue;
        if (n->kind != TQ_FILTER && n->kind != TQ_RELATION)
            return false;
        memcpy(in, out, sizeof in);
        slow_sets(f, n, in, out);
    }
    return true;
}

static void test_queries_find_what_the_slow_way_finds(void **state)
{
    fixture *f = *state;
    unsigned compared = 0, found = 0;
    for (uint32_t round = 0; round < 20000; round++) {
        char text[1200];
        traceql_query *q;
        sx_error err = {0};
        tq_spansets sets;
        bool slow[SPANS] = {0}, fast[SPANS] = {0};
        random_state = round + 1;
        make_trace(f, round);
        random_query(text, sizeof text);
        if (traceql_parse(sx_str_z(text), &q, &err) != SX_OK)
            fail_msg("%s: %s", text, err.message);
        assert_int_equal(tq_run(&f->arena, q->root, &f->trace, NULL, &sets, NULL), SX_OK);
        for (size_t k = 0; k < sets.count; k++)
            for (uint32_t i = 0; i < sets.items[k].count; i++)
                fast[sets.items[k].spans[i]] = true;
        if (slow_run(f, q->root, slow)) {
            compared++;
            found += sets.count > 0;
            for (uint32_t i = 0; i < f->trace.count; i++)
                if (slow[i] != fast[i])
                    fail_msg("round %u: %s: span %u: %d", round, text, i, fast[i]);
        }
        /* What is pushed loses nothing. */
        bool exact, matched = false, also = !q->root->also;
        const span_filter *filter = traceql_push(q, &exact);
        for (uint32_t i = 0; i < f->trace.count; i++) {
            bool match = span_filter_match(filter, f->trace.spans[i]);
            matched |= match;
            also = also || span_filter_match(q->root->also, f->trace.spans[i]);
            if (exact && match != fast[i])
                fail_msg("round %u: %s: span %u: pushed %d", round, text, i, match);
        }
        if (sets.count && !matched)
            fail_msg("round %u: %s: the trace would not be found", round, text);
        if (sets.count && !also)
            fail_msg("round %u: %s: the other side", round, text);
        traceql_free(q);
    }
    assert_true(compared > 5000 && found > 1000);
}

static void test_groups_share_out_the_spans(void **state)
{
    fixture *f = *state;
    traceql_query *q;
    tq_spansets sets;
    assert_int_equal(traceql_parse(SX_STR("{} | by(name) | count() > 0"), &q, NULL), SX_OK);
    for (uint32_t round = 0; round < 200; round++) {
        uint32_t spans = 0;
        random_state = round + 7;
        make_trace(f, round);
        assert_int_equal(tq_run(&f->arena, q->root, &f->trace, NULL, &sets, NULL), SX_OK);
        for (size_t k = 0; k < sets.count; k++) {
            const tq_spanset *s = &sets.items[k];
            spans += s->count;
            assert_int_equal(s->note_count, 2);
            assert_true(sx_str_eq(s->notes[0].name, SX_STR("by(name)")));
            assert_true(sx_str_eq(s->notes[1].name, SX_STR("count()")));
            assert_int_equal(s->notes[1].value.i, s->count);
            for (uint32_t i = 0; i < s->count; i++)
                assert_true(sx_str_eq(f->trace.spans[s->spans[i]]->name, s->notes[0].value.s));
        }
        assert_int_equal(spans, f->trace.count);
    }
    traceql_free(q);
}

static void test_aggregates_and_arithmetic(void **state)
{
    static const struct {
        const char *text;
        bool holds;
    } CASES[] = {
        {"{} | count() = 3", true},
        {"{} | sum(.n) = 6 ", true},
        {"{} | avg(.n) = 2", true},
        {"{} | min(.n) = 1 | max(.n) = 3", true},
        {"{} | max(duration) = 3ms", true},
        {"{} | avg(duration) = 2ms", true},
        {"{} | sum(duration) >= 7ms", false},
        {"{} | max(.none) > 0", false},
        {"{} | max(.n) - min(.n) = 2", true},
        {"{} | min(.n) < max(.n)", true},
        {"{} | count() = 1 + 2", true},
        {"{ .n * 2 = 4 } | count() = 1", true},
        {"{ .n / 2 = 1 } | count() = 2", true},
        {"{ .n ^ 2 = 9 }", true},
        {"{ .n % 2 = 1 } | count() = 2", true},
        {"{ .n / 0 = 1 }", false},
        {"{ -.n = -3 }", true},
        {"{ .n = 2.0 }", true},
        {"{ .n < 1.5 } | count() = 1", true},
        {"{ span:childCount = 2 }", true},
        {"{ parent.n = 1 } | count() = 2", true},
        {"{ parent = nil } | count() = 1", true},
        {"{ rootName = \"top\" } | count() = 3", true},
        {"{ nestedSetLeft = 1 && nestedSetRight = 6 }", true},
        {"{ trace:id = \"01000000000000000000000000000000\" } | count() = 3", true},
        {"{ span:id = \"0300000000000000\" } | count() = 1", true},
    };
    fixture *f = *state;
    static const span_resource R = {0};
    static const span_scope S = {0};
    span_batch_reset(f->batch);
    sx_arena_reset(&f->arena);
    for (uint8_t i = 1; i <= 3; i++) {
        span_attr *n = sx_arena_calloc(&f->batch->arena, 1, sizeof *n);
        span *s = span_batch_add(f->batch);
        *n = (span_attr){"n", 1, {.i = i, .type = SPAN_INT}};
        s->trace_id[0] = 1;
        s->id[0] = i;
        s->parent[0] = i > 1;
        s->name = i > 1 ? SX_STR("leaf") : SX_STR("top");
        s->start_ns = 1000;
        s->end_ns = 1000 + i * 1000000u;
        s->attrs = (span_attrs){n, 1, 0};
        s->resource = &R;
        s->scope = &S;
    }
    assert_int_equal(tq_trace_prepare(&f->arena, f->batch->spans, 3, NULL, &f->trace, NULL), SX_OK);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        traceql_query *q;
        tq_spansets sets;
        sx_error err = {0};
        if (traceql_parse(sx_str_z(CASES[i].text), &q, &err) != SX_OK)
            fail_msg("%s: %s", CASES[i].text, err.message);
        assert_int_equal(tq_run(&f->arena, q->root, &f->trace, NULL, &sets, NULL), SX_OK);
        if ((sets.count > 0) != CASES[i].holds)
            fail_msg("%s", CASES[i].text);
        traceql_free(q);
    }
}

static sx_status count_looks(void *ctx, sx_error *err)
{
    int *left = ctx;
    return (*left)-- > 0 ? SX_OK : sx_fail(err, SX_ECANCELED, "enough");
}

/* A trace of many spans is given up inside, whichever stage it is in. */
static void test_a_watch_ends_a_run(void **state)
{
    static const char *const QUERIES[] = {"{ name =~ \"never.*\" }", "{} | by(name)",
                                          "{} | avg(duration) > 1h", "{} >> { name = \"bake\" }"};
    enum { MANY = 2000 };
    fixture *f = *state;
    const span *many[MANY];
    tq_trace trace;
    make_trace(f, 1);
    for (size_t i = 0; i < MANY; i++)
        many[i] = f->trace.spans[i % f->trace.count];
    int none = 1;
    assert_int_equal(
        tq_trace_prepare(&f->arena, many, MANY, &(tq_watch){count_looks, &none}, &trace, NULL),
        SX_ECANCELED);
    assert_int_equal(tq_trace_prepare(&f->arena, many, MANY, NULL, &trace, NULL), SX_OK);
    for (size_t i = 0; i < SX_COUNT_OF(QUERIES); i++) {
        traceql_query *q;
        tq_spansets sets;
        sx_error err = {0};
        sx_status status = SX_ECANCELED;
        assert_int_equal(traceql_parse(sx_str_z(QUERIES[i]), &q, NULL), SX_OK);
        for (int looks = 0; status != SX_OK; looks++) {
            int left = looks;
            tq_watch watch = {count_looks, &left};
            assert_true(looks < MANY);
            status = tq_run(&f->arena, q->root, &trace, &watch, &sets, &err);
            assert_int_equal(status, looks < MANY / 100 ? SX_ECANCELED : status);
        }
        traceql_free(q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queries_find_what_the_slow_way_finds),
        cmocka_unit_test(test_groups_share_out_the_spans),
        cmocka_unit_test(test_aggregates_and_arithmetic),
        cmocka_unit_test(test_a_watch_ends_a_run),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

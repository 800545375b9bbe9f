/* test_segment_merge.c - several segments into one: nothing lost, traces joined, retention, damage. */
#include "tests/unit/observe/traces/segment_help.h"

enum { PARTS = 5 };

typedef struct parts {
    segment_place place;
    char paths[PARTS][96];
    tr_segment *segments[PARTS];
    span_batch *all;
} parts;

/* Spans of each trace are dealt to several segments, one in `split`. */
static void make_parts(parts *p, unsigned traces, unsigned split, unsigned per_trace)
{
    make_spans m = {.seed = 21,
                    .start_ns = 1700000000000000000,
                    .step_ns = 1000000,
                    .per_trace = per_trace,
                    .rich = true};
    place_make(&p->place);
    p->all = make_batch(&m, traces);
    span_batch *dealt[PARTS];
    sx_error err = {0};
    for (unsigned i = 0; i < PARTS; i++) {
        dealt[i] = span_batch_new(0);
        assert_int_equal(span_batch_hold(dealt[i], p->all, &err), SX_OK);
    }
    for (size_t i = 0; i < p->all->count; i++) {
        const span *s = p->all->spans[i];
        uint64_t trace = (s->start_ns - 1700000000000000000) / 1000000;
        uint64_t part = trace * PARTS / (traces + per_trace);
        if (s->id[3] % split == 0) /* late */
            part = s->id[2];
        assert_int_equal(span_batch_put(dealt[part % PARTS], s, &err), SX_OK);
    }
    for (unsigned i = 0; i < PARTS; i++) {
        snprintf(p->paths[i], sizeof p->paths[i], "%s/%u.seg", p->place.folder, i);
        p->segments[i] = segment_of(p->paths[i], dealt[i]);
        span_batch_unref(dealt[i]);
    }
}

static void done_parts(parts *p)
{
    for (unsigned i = 0; i < PARTS; i++) {
        tr_segment_drop(p->segments[i]);
        tr_segment_unref(p->segments[i]);
    }
    span_batch_unref(p->all);
    place_remove(&p->place);
}

static tr_segment *merge(parts *p, const tr_write_options *options)
{
    sx_error err = {0};
    tr_segment_info info;
    tr_segment *s;
    if (tr_segment_merge(p->place.path, p->segments, PARTS, options, &info, &err) != SX_OK)
        fail_msg("%s", err.message);
    if (tr_segment_open(p->place.path, &s, &err) != SX_OK)
        fail_msg("%s", err.message);
    if (tr_segment_verify(s, NULL, &err) != SX_OK)
        fail_msg("%s", err.message);
    assert_int_equal(info.rows, tr_segment_about(s)->rows);
    return s;
}

static void nothing_is_lost(void **state)
{
    (void)state;
    static const unsigned SPLIT[] = {1, 7, 100000};
    for (unsigned i = 0; i < 3; i++) {
        parts p;
        make_parts(&p, 1500, SPLIT[i], 9);
        tr_segment *s = merge(&p, &(tr_write_options){.level = 2});
        span_batch *rows = segment_rows(s);
        assert_int_equal(tr_segment_about(s)->traces, 1500);
        assert_same_spans(rows, p.all);
        tr_segment_unref(s);
        span_batch_unref(rows);
        done_parts(&p);
    }
}

typedef struct keeping {
    uint64_t since_ns;
    unsigned asked, errors;
} keeping;

static bool keep_some(void *ctx, const uint8_t trace_id[16], uint64_t newest_ns,
                      uint64_t longest_ns, bool error)
{
    keeping *k = ctx;
    (void)trace_id, (void)longest_ns;
    k->asked++;
    k->errors += error;
    return error || newest_ns >= k->since_ns;
}

static void retention_leaves_whole_traces_out(void **state)
{
    (void)state;
    parts p;
    make_parts(&p, 1000, 3, 8);
    keeping k = {.since_ns = 1700000000000000000 + 500u * 1000000};
    tr_segment *s = merge(&p, &(tr_write_options){.keep = keep_some, .keep_ctx = &k});
    assert_int_equal(k.asked, 1001); /* once about all */
    assert_true(k.errors > 20);
    assert_int_equal(tr_segment_about(s)->rows, tr_segment_about(s)->traces * 8);
    assert_in_range(tr_segment_about(s)->traces, 500, 650);
    tr_segment_unref(s);
    done_parts(&p);
}

/* --- Calls. */

typedef struct sums {
    uint64_t calls, edges, orphans, spans, keys, values;
    char last[128];
} sums;

static bool sum_edge(void *ctx, const tr_edge *e)
{
    sums *s = ctx;
    s->edges++;
    s->calls += e->calls;
    assert_true(e->errors <= e->calls);
    return true;
}

static bool sum_orphan(void *ctx, const tr_orphan *o)
{
    sums *s = ctx;
    (void)o;
    s->orphans++;
    return true;
}

static bool sum_operation(void *ctx, sx_str service, sx_str operation, unsigned kind,
                          uint64_t count)
{
    sums *s = ctx;
    (void)kind, (void)service, (void)operation;
    s->spans += count;
    return true;
}

static bool sum_key(void *ctx, unsigned place, sx_str key, unsigned type)
{
    sums *s = ctx;
    (void)place, (void)key, (void)type;
    s->keys++;
    return true;
}

static bool sum_value(void *ctx, const span_value *v)
{
    sums *s = ctx;
    char text[128];
    snprintf(text, sizeof text, "%.*s", (int)v->len, v->data);
    assert_true(s->values == 0 || strcmp(s->last, text) < 0);
    memcpy(s->last, text, sizeof text);
    s->values++;
    return true;
}

static void calls_are_counted(const tr_segment *s, sums *out)
{
    sx_error err = {0};
    *out = (sums){0};
    assert_int_equal(tr_segment_edges(s, 0, UINT64_MAX, sum_edge, out, &err), SX_OK);
    assert_int_equal(tr_segment_orphans(s, sum_orphan, out, &err), SX_OK);
    assert_int_equal(tr_segment_operations(s, sum_operation, out, &err), SX_OK);
    assert_int_equal(tr_segment_keys(s, sum_key, out, &err), SX_OK);
    assert_int_equal(
        tr_segment_values(s, FILTER_SPAN, SX_STR("http.request.method"), sum_value, out, &err),
        SX_OK);
}

static void orphans_find_their_parents(void **state)
{
    (void)state;
    parts p;
    sums apart = {0}, one, merged;
    make_parts(&p, 1000, 4, 8);
    for (unsigned i = 0; i < PARTS; i++) {
        calls_are_counted(p.segments[i], &one);
        apart.calls += one.calls;
        apart.orphans += one.orphans;
        apart.spans += one.spans;
    }
    assert_int_equal(apart.calls + apart.orphans, 7000);
    assert_true(apart.orphans > 500);
    assert_int_equal(apart.spans, 8000);
    tr_segment *s = merge(&p, NULL);
    calls_are_counted(s, &merged);
    assert_int_equal(merged.calls, 7000);
    assert_int_equal(merged.orphans, 0);
    assert_int_equal(merged.spans, 8000);
    assert_int_equal(merged.values, 4);
    assert_true(merged.keys >= 15);
    tr_segment_unref(s);
    done_parts(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(retention_leaves_whole_traces_out),
        cmocka_unit_test(orphans_find_their_parents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

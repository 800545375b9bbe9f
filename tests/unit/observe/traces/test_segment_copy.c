/* test_segment_copy.c - merges that copy groups: as those that take every group apart, table by table. */
#include "base/fault.h"
#include "tests/unit/observe/traces/segment_help.h"

enum { PARTS = 5, TEXT = 160 };
#define START UINT64_C(1700000000000000000)
#define STEP  UINT64_C(1000000)

typedef struct parts {
    segment_place place;
    char paths[PARTS][96];
    tr_segment *segments[PARTS];
    span_batch *kept; /* all spans that are in one */
} parts;

/* Traces follow one another from part to part; of the first `shared` ones spans come late, into the
 * part behind; some spans are lost, so that others have no parent. */
static void make_parts(parts *p, unsigned traces, unsigned shared)
{
    make_spans m = {.seed = 33, .start_ns = START, .step_ns = STEP, .per_trace = 9, .rich = true};
    place_make(&p->place);
    span_batch *all = make_batch(&m, traces), *dealt[PARTS];
    sx_error err = {0};
    p->kept = span_batch_new(0);
    assert_int_equal(span_batch_hold(p->kept, all, &err), SX_OK);
    for (unsigned i = 0; i < PARTS; i++) {
        dealt[i] = span_batch_new(0);
        assert_int_equal(span_batch_hold(dealt[i], all, &err), SX_OK);
    }
    for (size_t i = 0; i < all->count; i++) {
        const span *s = all->spans[i];
        uint64_t mixed, trace;
        memcpy(&mixed, s->trace_id, sizeof mixed);
        trace = (mixed - 1) * UINT64_C(0xf1de83e19937733d); /* make_trace multiplies its number */
        if (s->id[4] % 40 == 0)
            continue;
        uint64_t part = trace * PARTS / traces;
        if (trace % (traces / PARTS) < shared && part < 2 && s->id[3] % 3 == 0)
            part++;
        assert_true(part < PARTS);
        assert_int_equal(span_batch_put(dealt[part], s, &err), SX_OK);
        assert_int_equal(span_batch_put(p->kept, s, &err), SX_OK);
    }
    for (unsigned i = 0; i < PARTS; i++) {
        snprintf(p->paths[i], sizeof p->paths[i], "%s/%u.seg", p->place.folder, i);
        p->segments[i] = segment_of(p->paths[i], dealt[i]);
        span_batch_unref(dealt[i]);
    }
    span_batch_unref(all);
}

static void done_parts(parts *p)
{
    for (unsigned i = 0; i < PARTS; i++) {
        tr_segment_drop(p->segments[i]);
        tr_segment_unref(p->segments[i]);
    }
    span_batch_unref(p->kept);
    place_remove(&p->place);
}

/* --- What the tables say, as sorted lines. */

typedef struct lines {
    char (*text)[TEXT];
    size_t count, cap;
} lines;

static char *next_line(lines *l)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 1024;
        l->text = realloc(l->text, l->cap * sizeof *l->text);
        assert_non_null(l->text);
    }
    return l->text[l->count++];
}

static bool line_of_edge(void *ctx, const tr_edge *e)
{
    snprintf(next_line(ctx), TEXT, "edge %.*s %.*s %d %llu: %llu %llu %llu", (int)e->parent.len,
             e->parent.data, (int)e->child.len, e->child.data, (int)e->kind,
             (unsigned long long)e->minute, (unsigned long long)e->calls,
             (unsigned long long)e->errors, (unsigned long long)e->duration_ns);
    return true;
}

static bool line_of_orphan(void *ctx, const tr_orphan *o)
{
    uint64_t trace, parent;
    memcpy(&trace, o->trace_id, sizeof trace);
    memcpy(&parent, o->parent, sizeof parent);
    snprintf(next_line(ctx), TEXT, "orphan %.*s %llx %llx: %llu %llu %d", (int)o->service.len,
             o->service.data, (unsigned long long)trace, (unsigned long long)parent,
             (unsigned long long)o->start_ns, (unsigned long long)o->duration_ns, o->error);
    return true;
}

static bool line_of_operation(void *ctx, sx_str service, sx_str operation, unsigned kind,
                              uint64_t count)
{
    snprintf(next_line(ctx), TEXT, "operation %.*s %.*s %u: %llu", (int)service.len, service.data,
             (int)operation.len, operation.data, kind, (unsigned long long)count);
    return true;
}

static bool line_of_key(void *ctx, unsigned place, sx_str key, unsigned type)
{
    snprintf(next_line(ctx), TEXT, "key %u %.*s %u", place, (int)key.len, key.data, type);
    return true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static lines lines_of(const tr_segment *s)
{
    sx_error err = {0};
    lines l = {0};
    const tr_segment_info *info = tr_segment_about(s);
    snprintf(next_line(&l), TEXT, "rows %llu traces %llu errors %llu from %llu to %llu",
             (unsigned long long)info->rows, (unsigned long long)info->traces,
             (unsigned long long)info->errors, (unsigned long long)info->min_ns,
             (unsigned long long)info->max_ns);
    assert_int_equal(tr_segment_edges(s, 0, UINT64_MAX, line_of_edge, &l, &err), SX_OK);
    assert_int_equal(tr_segment_orphans(s, line_of_orphan, &l, &err), SX_OK);
    assert_int_equal(tr_segment_operations(s, line_of_operation, &l, &err), SX_OK);
    assert_int_equal(tr_segment_keys(s, line_of_key, &l, &err), SX_OK);
    qsort(l.text, l.count, sizeof *l.text, by_text);
    return l;
}

static void assert_same_lines(lines a, lines b)
{
    for (size_t i = 0; i < a.count && i < b.count; i++)
        assert_string_equal(a.text[i], b.text[i]);
    assert_int_equal(a.count, b.count);
    free(a.text);
    free(b.text);
}

/* --- Merges. */

typedef struct keeping {
    bool apart; /* says no when it is asked about all */
    unsigned asked;
} keeping;

static bool keep_all(void *ctx, const uint8_t trace_id[16], uint64_t newest_ns, uint64_t longest_ns,
                     bool error)
{
    static const uint8_t ALL[16];
    keeping *k = ctx;
    (void)newest_ns, (void)longest_ns, (void)error;
    bool all = memcmp(trace_id, ALL, sizeof ALL) == 0;
    k->asked += !all;
    return !all || !k->apart;
}

static tr_segment *merge(const char *path, tr_segment *const *inputs, size_t count, keeping *k)
{
    sx_error err = {0};
    tr_segment_info info;
    tr_segment *s;
    tr_write_options options = {.copy_least = 1, .keep = keep_all, .keep_ctx = k};
    if (tr_segment_merge(path, inputs, count, &options, &info, &err) != SX_OK)
        fail_msg("%s", err.message);
    if (tr_segment_open(path, &s, &err) != SX_OK)
        fail_msg("%s", err.message);
    if (tr_segment_verify(s, NULL, &err) != SX_OK)
        fail_msg("%s", err.message);
    assert_int_equal(info.rows, tr_segment_about(s)->rows);
    return s;
}

static void copied_as_taken_apart(unsigned traces, unsigned shared, unsigned least, unsigned most)
{
    parts p;
    keeping fast = {0}, slow = {.apart = true};
    make_parts(&p, traces, shared);
    tr_segment *copied = merge(p.place.path, p.segments, PARTS, &fast);
    tr_segment *apart = merge(p.place.other, p.segments, PARTS, &slow);
    assert_int_equal(slow.asked, traces);
    assert_in_range(fast.asked, least, most);
    assert_same_lines(lines_of(copied), lines_of(apart));
    span_batch *rows = segment_rows(copied);
    assert_same_spans(rows, p.kept);
    span_batch_unref(rows);
    /* And merged once more, as levels are. */
    char again[96];
    snprintf(again, sizeof again, "%s/again.seg", p.place.folder);
    keeping none = {0};
    tr_segment *twice = merge(again, &copied, 1, &none);
    assert_int_equal(none.asked, 0);
    assert_same_lines(lines_of(twice), lines_of(apart));
    unlink(again);
    tr_segment_unref(twice);
    tr_segment_unref(copied);
    tr_segment_unref(apart);
    done_parts(&p);
}

static void groups_are_copied(void **state)
{
    (void)state;
    copied_as_taken_apart(500, 0, 0, 0);
    copied_as_taken_apart(1000, 5, 600, 620);   /* parts 0, 1 and 2 share traces */
    copied_as_taken_apart(9000, 3, 2000, 4000); /* several groups a part */
}

/* A trace longer than a group: the groups it goes through are copied together. */
static void long_traces_stay_whole(void **state)
{
    (void)state;
    segment_place place;
    sx_error err = {0};
    keeping k = {0};
    span_batch *b = span_batch_new(0), *small;
    make_spans m = {.seed = 3, .start_ns = START, .step_ns = STEP, .per_trace = 40};
    place_make(&place);
    span_batch *made = make_batch(&m, 600);
    assert_int_equal(span_batch_hold(b, made, &err), SX_OK);
    for (size_t i = 0; i < made->count; i++) {
        span *s = span_batch_add(b);
        assert_non_null(s);
        *s = *made->spans[i];
        if (i < 20000)
            memcpy(s->trace_id, "one that is long", 16);
    }
    m.start_ns += 1000 * STEP;
    small = make_batch(&m, 10);
    tr_segment *inputs[2] = {segment_of(place.path, b), segment_of(place.other, small)};
    char merged[96];
    snprintf(merged, sizeof merged, "%s/c.seg", place.folder);
    tr_segment *s = merge(merged, inputs, 2, &k);
    assert_int_equal(k.asked, 0);
    assert_int_equal(tr_segment_about(s)->rows, b->count + small->count);
    uint64_t first, count;
    assert_int_equal(tr_segment_find(s, (const uint8_t *)"one that is long", &first, &count, &err),
                     SX_OK);
    assert_int_equal(count, 20000);
    unlink(merged);
    tr_segment_unref(s);
    tr_segment_unref(inputs[0]);
    tr_segment_unref(inputs[1]);
    span_batch_unref(b);
    span_batch_unref(made);
    span_batch_unref(small);
    place_remove(&place);
}

static void memory_runs_out(void **state)
{
    (void)state;
    parts p;
    make_parts(&p, 200, 2);
    tr_write_options options = {.copy_least = 1};
    sx_status status = SX_ENOMEM;
    for (int64_t n = 1; status != SX_OK; n++) {
        sx_error err = {0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        status = tr_segment_merge(p.place.path, p.segments, PARTS, &options, NULL, &err);
        int64_t held = sx_fault_alloc_held();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
        assert_true(status == SX_OK || status == SX_ENOMEM);
    }
    done_parts(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_copied),
        cmocka_unit_test(long_traces_stay_whole),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* eval_quantile.c - histogram_quantile, histogram_quantiles, histogram_fraction.
 *
 * Series that differ in `le` alone are one classic histogram; which they are and the order of their
 * bounds is found once. A series without `le` may hold native histograms of the same labels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/hash.h>
#include <sextant/number.h>

#include "observe/promql/eval.h"
#include "observe/promql/histogram_estimate.h"

#define LE SX_STR("le")

typedef struct member {
    double upper; /* the bound `le` */
    uint32_t series;
    uint32_t group;
} member;

typedef struct family {
    const member *members; /* sorted by bound */
    uint32_t count;
    int64_t native; /* the series without (readable) `le`; -1: none */
} family;

typedef struct quantile_node {
    eval_node node;
    eval_node *from;
    family *families;
    uint32_t most;    /* members of the largest family */
    uint32_t each;    /* results of a family: quantiles asked for */
    const double **q; /* [each][step]; of a fraction: lower, upper */
    bool fraction;
    const promql_expr *arg;
} quantile_node;

/* As Go's ParseFloat reads a bound. */
static bool read_bound(sx_str s, double *out)
{
    char text[64], *end;
    if (s.len == 0 || s.len >= sizeof text || s.data[0] == ' ' || s.data[0] == '\t')
        return false;
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    *out = strtod(text, &end);
    return end == text + s.len;
}

/* --- Families. */

static int by_group_and_bound(const void *x, const void *y)
{
    const member *a = x, *b = y;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->upper != b->upper)
        return a->upper < b->upper ? -1 : 1;
    return a->series < b->series ? -1 : a->series > b->series;
}

/* The hash of all labels but `le`, the same as that of a set without it. */
static bool family_hash(eval_worker *w, tsdb_labels l, bool without_le, uint64_t *hash)
{
    if (!without_le) {
        *hash = tsdb_labels_hash(l);
        return true;
    }
    tsdb_label *items = sx_arena_alloc(&w->scratch, l.count * sizeof *items);
    uint32_t n = 0;
    for (uint32_t i = 0; items && i < l.count; i++) {
        if (!sx_str_eq(l.items[i].name, LE))
            items[n++] = l.items[i];
    }
    *hash = tsdb_labels_hash((tsdb_labels){items, n});
    return items || eval_no_memory(w->run);
}

typedef struct family_list {
    eval_run *run;
    sx_map64 by_hash;
    tsdb_labels *labels; /* of each family, without `le`, with the name */
    uint8_t *drop;
    family *items;
    size_t count;
    member *members;
    size_t member_count;
} family_list;

static bool add_series(family_list *f, const eval_node *from, size_t i)
{
    eval_worker *w = eval_main(f->run);
    tsdb_labels l = from->labels[i];
    member m = {.series = (uint32_t)i};
    bool classic = read_bound(tsdb_labels_get(l, LE), &m.upper), added;
    uint64_t hash;
    if (!family_hash(w, l, classic, &hash))
        return false;
    sx_arena_reset(&w->scratch);
    sx_map64_entry *e = sx_map64_put(&f->by_hash, hash, &added);
    if (!e)
        return eval_no_memory(f->run) != NULL;
    if (added) {
        sx_str le = LE;
        e->u64 = f->count;
        f->labels[f->count] = classic ? eval_labels_without(f->run, l, &le, 1) : l;
        if (from->drop)
            f->drop[f->count] = from->drop[i];
        f->items[f->count++] = (family){.native = -1};
    }
    if (classic) {
        m.group = (uint32_t)e->u64;
        f->members[f->member_count++] = m;
    } else {
        f->items[e->u64].native = (int64_t)i;
    }
    return !eval_failed(f->run);
}

static bool find_families(eval_run *run, const eval_node *from, family_list *f, uint32_t *most)
{
    *f = (family_list){.run = run};
    f->labels = eval_alloc(run, from->count, sizeof *f->labels);
    f->drop = eval_zero(run, from->count, 1);
    f->items = eval_alloc(run, from->count, sizeof *f->items);
    f->members = eval_alloc(run, from->count, sizeof *f->members);
    if (!f->labels || !f->drop || !f->items || !f->members)
        return false;
    sx_map64_init(&f->by_hash, NULL);
    bool ok = true;
    for (size_t i = 0; ok && i < from->count; i++)
        ok = add_series(f, from, i);
    sx_map64_done(&f->by_hash);
    if (!ok)
        return false;
    qsort(f->members, f->member_count, sizeof *f->members, by_group_and_bound);
    *most = 0;
    for (size_t i = 0; i < f->member_count; i++) {
        family *at = &f->items[f->members[i].group];
        if (at->count++ == 0)
            at->members = &f->members[i];
        if (at->count > *most)
            *most = at->count;
    }
    return true;
}

/* --- Values. */

static sx_str name_for_notes(const eval_worker *w, const quantile_node *n, size_t i)
{
    /* Without delayed removal the name is gone by then. */
    return w->run->delayed_names ? tsdb_labels_get(n->node.labels[i], TSDB_METRIC_NAME)
                                 : (sx_str){0};
}

static double native_value(const quantile_node *n, eval_worker *w, size_t i, size_t k,
                           const tsdb_histogram *h)
{
    unsigned notes = 0;
    tsdb_bucket *room = eval_block(w, &n->node, 3, tsdb_histogram_bucket_count(h) * sizeof *room);
    if (!room)
        return NAN;
    double v = n->fraction ? estimate_fraction_native(n->q[0][k], n->q[1][k], h, room, &notes)
                           : estimate_quantile_native(n->q[i % n->each][k], h, room, &notes);
    sx_str name = name_for_notes(w, n, i);
    if (notes & ESTIMATE_NAN_RESULT)
        eval_note_add(w, &n->node, n->arg, EVAL_NOTE_QUANTILE_NAN, name, (sx_str){0});
    if (notes & ESTIMATE_NAN_SKEW)
        eval_note_add(w, &n->node, n->arg, EVAL_NOTE_QUANTILE_SKEW, name, (sx_str){0});
    if (notes & ESTIMATE_NAN_EXCLUDED)
        eval_note_add(w, &n->node, n->arg, EVAL_NOTE_FRACTION_NAN, name, (sx_str){0});
    return v;
}

static double classic_value(const quantile_node *n, eval_worker *w, size_t i, size_t k,
                            estimate_bucket *b, size_t count)
{
    if (n->fraction)
        return estimate_fraction_classic(n->q[0][k], n->q[1][k], b, count);
    estimate_mending mended;
    double v = estimate_quantile_classic(n->q[i % n->each][k], b, count, &mended);
    if (mended.forced)
        eval_note_monotonic(w, n->arg, name_for_notes(w, n, i), eval_time(n->node.times, k),
                            mended.min_bucket, mended.max_bucket, mended.max_diff);
    return v;
}

/* A float in a series without a bound says nothing. */
static void note_bad_bound(const quantile_node *n, eval_worker *w, size_t i, const double *v,
                           size_t series)
{
    for (size_t k = 0; k < n->node.times->steps; k++) {
        if (eval_is_absent(v[k]))
            continue;
        eval_note_add(w, &n->node, n->arg, EVAL_NOTE_BUCKET_LABEL, name_for_notes(w, n, i),
                      tsdb_labels_get(n->from->labels[series], LE));
        return;
    }
}

static unsigned quantile_fill(const eval_node *node, eval_worker *w, size_t i, double *v,
                              const tsdb_histogram **h)
{
    const quantile_node *n = (const quantile_node *)(const void *)node;
    const family *f = &n->families[i / n->each];
    size_t steps = node->times->steps;
    double *rows = eval_block(w, node, 0, (size_t)f->count * steps * sizeof *rows);
    bool *here = eval_block(w, node, 1, f->count + 1);
    estimate_bucket *b = eval_block(w, node, 2, ((size_t)f->count + 1) * sizeof *b);
    if (!rows || !here || !b)
        return 0;
    bool any = false;
    for (uint32_t m = 0; m < f->count; m++) {
        unsigned have =
            n->from->fill(n->from, w, f->members[m].series, rows + (size_t)m * steps, h);
        here[m] = have & EVAL_FLOATS;
        any |= here[m];
    }
    unsigned native = f->native < 0 ? 0 : n->from->fill(n->from, w, (size_t)f->native, v, h);
    if (native & EVAL_FLOATS)
        note_bad_bound(n, w, i, v, (size_t)f->native);
    if (!any && !(native & EVAL_HISTOGRAMS))
        return 0;
    for (size_t k = 0; k < steps; k++) {
        const tsdb_histogram *histogram = (native & EVAL_HISTOGRAMS) ? h[k] : NULL;
        size_t count = 0;
        for (uint32_t m = 0; m < f->count; m++) {
            double x = here[m] ? rows[(size_t)m * steps + k] : eval_absent();
            if (!eval_is_absent(x))
                b[count++] = (estimate_bucket){f->members[m].upper, x};
        }
        v[k] = eval_absent();
        if (histogram && count > 0)
            eval_note_add(w, node, n->arg, EVAL_NOTE_MIXED_CLASSIC, name_for_notes(w, n, i),
                          (sx_str){0});
        else if (histogram)
            v[k] = native_value(n, w, i, k, histogram);
        else if (count > 0)
            v[k] = classic_value(n, w, i, k, b, count);
    }
    return EVAL_FLOATS;
}

/* --- The node. */

static void note_bad_quantiles(eval_run *run, const promql_expr *arg, const double *q, size_t steps)
{
    for (size_t k = 0; k < steps; k++) {
        if ((isnan(q[k]) || q[k] < 0 || q[k] > 1) &&
            (k == 0 || memcmp(&q[k], &q[k - 1], sizeof *q) != 0))
            eval_note_numbers(eval_main(run), arg, EVAL_NOTE_QUANTILE, q[k], 0);
    }
}

/* A quantile as a label: as OpenMetrics writes a number, always with a point or an exponent. */
static sx_str quantile_text(eval_run *run, double q)
{
    char text[SX_DOUBLE_BYTES + 2];
    size_t len = sx_double_format(q, SX_DOUBLE_GO, text);
    bool plain = true;
    for (size_t i = 0; i < len; i++)
        plain &= (text[i] >= '0' && text[i] <= '9') || text[i] == '-';
    if (plain) {
        text[len++] = '.';
        text[len++] = '0';
    }
    return sx_arena_copy(&run->arena, sx_str_of(text, len));
}

static bool read_arguments(eval_run *run, quantile_node *n, const eval_times *times, uint32_t first,
                           uint32_t last)
{
    const promql_expr *e = n->node.expr;
    n->q = eval_zero(run, last - first + 1, sizeof *n->q);
    for (uint32_t k = first; n->q && k < last; k++) {
        const promql_expr *arg = eval_bare(e->call.args[k]);
        const eval_node *s = eval_scalar(run, arg, times);
        if (!s)
            return false;
        n->q[k - first] = s->scalar;
        if (!n->fraction)
            note_bad_quantiles(run, arg, s->scalar, times->steps);
    }
    return n->q != NULL;
}

static bool label_results(eval_run *run, quantile_node *n, const family_list *f, sx_str label)
{
    size_t count = f->count * n->each;
    tsdb_labels *labels = eval_alloc(run, count, sizeof *labels);
    if (!labels)
        return false;
    for (size_t i = 0; i < count; i++) {
        tsdb_labels l = f->labels[i / n->each];
        if (!run->delayed_names)
            l = eval_without_meta(run, l);
        if (label.len > 0)
            l = eval_labels_with(run, l, label, quantile_text(run, n->q[i % n->each][0]));
        labels[i] = l;
    }
    n->node.labels = labels;
    n->node.count = count;
    if (run->delayed_names) {
        uint8_t *drop = eval_alloc(run, count, 1);
        if (!drop)
            return false;
        memset(drop, 1, count);
        n->node.drop = drop;
    }
    return !eval_failed(run);
}

eval_node *eval_quantile_call(eval_run *run, const promql_expr *e, const eval_times *times)
{
    promql_function_id id = (promql_function_id)e->call.function->id;
    bool several = id == PROMQL_FN_histogram_quantiles;
    quantile_node *n = eval_node_new(run, sizeof *n, e, times);
    if (!n)
        return NULL;
    n->fraction = id == PROMQL_FN_histogram_fraction;
    uint32_t vector = several ? 0 : n->fraction ? 2 : 1;
    uint32_t first = several ? 2 : 0, last = several ? e->call.arg_count : vector;
    n->each = several ? last - first : 1;
    n->arg = eval_bare(e->call.args[vector]);
    if (!read_arguments(run, n, times, first, last))
        return NULL;
    eval_node *from = eval_build(run, n->arg, times);
    if (from && several) { /* it would be filled anew for each quantile */
        eval_stored *held = eval_stored_all(run, from);
        from = held ? &held->node : NULL;
    }
    family_list f;
    n->from = from;
    if (!from || !find_families(run, from, &f, &n->most))
        return NULL;
    n->families = f.items;
    sx_str label = several ? eval_bare(e->call.args[1])->string : (sx_str){0};
    if (!label_results(run, n, &f, label))
        return NULL;
    n->node.fill = quantile_fill;
    return run->delayed_names ? &n->node : eval_unique(run, &n->node, false);
}

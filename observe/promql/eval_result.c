/* eval_result.c - from the tree's root to the answer, and the table that explains how it came. */
#include "observe/promql/eval_result.h"

#include <stdlib.h>
#include <string.h>

#include <sextant/mem.h>

/* --- Vectors and matrices of steps. */

/* Names that were marked to go, go now. */
static eval_node *settle_names(eval_run *run, eval_stored *s)
{
    if (!s->node.drop)
        return &s->node;
    tsdb_labels *labels = eval_alloc(run, s->node.count, sizeof *labels);
    for (size_t i = 0; labels && i < s->node.count; i++)
        labels[i] = s->node.drop[i] ? eval_without_meta(run, s->node.labels[i]) : s->node.labels[i];
    if (!labels)
        return NULL;
    s->node.labels = labels;
    s->node.drop = NULL;
    s->node.distinct = false;
    return eval_unique(run, &s->node, false);
}

static bool fill_series(eval_run *run, const eval_stored *s, size_t i, promql_series *out)
{
    size_t steps = s->node.times->steps, n = 0;
    for (size_t k = 0; k < steps; k++)
        n += eval_has(s, i, k);
    int64_t *t = eval_alloc(run, n, sizeof *t);
    double *v = eval_alloc(run, n, sizeof *v);
    const tsdb_histogram **h = s->h[i] ? eval_zero(run, n, sizeof(*h)) : NULL;
    if (!t || !v || (s->h[i] && !h))
        return false;
    n = 0;
    for (size_t k = 0; k < steps; k++) {
        if (!eval_has(s, i, k))
            continue;
        const tsdb_histogram *here = eval_h(s, i, k);
        t[n] = eval_time(s->node.times, k);
        v[n] = here ? 0 : s->v[i][k];
        if (h)
            h[n] = here;
        n++;
    }
    *out = (promql_series){.labels = s->node.labels[i], .t = t, .v = v, .h = h, .count = n};
    return true;
}

static int by_labels(const void *a, const void *b)
{
    return tsdb_labels_compare(((const promql_series *)a)->labels,
                               ((const promql_series *)b)->labels);
}

static bool vector_result(eval_run *run, eval_node *root, promql_result *out)
{
    eval_stored *s = eval_store(run, root);
    eval_node *n = s ? settle_names(run, s) : NULL;
    if (!n)
        return false;
    s = (eval_stored *)(void *)n;
    out->type = run->instant ? PROMQL_VECTOR : PROMQL_MATRIX;
    out->series = eval_zero(run, n->count, sizeof *out->series);
    if (!out->series)
        return false;
    for (size_t i = 0; i < n->count; i++) {
        if (!s->v[i] && !s->h[i])
            continue;
        if (!fill_series(run, s, i, &out->series[out->series_count]))
            return false;
        if (out->series[out->series_count].count > 0)
            out->series_count++;
    }
    if (!run->instant && out->series_count > 1)
        qsort(out->series, out->series_count, sizeof *out->series, by_labels);
    return true;
}

static bool scalar_result(eval_run *run, const eval_node *root, promql_result *out)
{
    if (run->instant) {
        out->type = PROMQL_SCALAR;
        out->scalar = root->scalar[0];
        out->scalar_t = run->times.start;
        return true;
    }
    size_t steps = run->times.steps;
    int64_t *t = eval_alloc(run, steps, sizeof *t);
    out->type = PROMQL_MATRIX;
    out->series = eval_zero(run, 1, sizeof *out->series);
    if (!t || !out->series)
        return false;
    for (size_t k = 0; k < steps; k++)
        t[k] = eval_time(&run->times, k);
    out->series[0] = (promql_series){.t = t, .v = root->scalar, .count = steps};
    out->series_count = steps > 0;
    return eval_hold_samples(run, (int64_t)steps);
}

/* --- Range vectors: the samples themselves. */

/* With `anchored` and `smoothed` a range begins and ends with a value at its ends. */
static bool extend(eval_run *run, const eval_range *r, eval_points *p)
{
    int64_t end = eval_range_end(r, &run->times, 0), start = end - r->range_ms;
    if (p->hcount > 0) {
        eval_fail(run, PROMQL_ERROR_EXECUTION, "%s modifier is not supported with histograms",
                  r->anchored ? "anchored" : "smoothed");
        return false;
    }
    if (p->count == 0)
        return true;
    size_t first = 0, last = p->count - 1;
    const int64_t *t = p->t;
    const double *v = p->v;
    while (first < p->count - 1 && t[first] <= start)
        first++;
    first = first > 0 ? first - 1 : 0;
    if (r->smoothed) {
        last = 0;
        while (last < p->count - 1 && t[last] < end)
            last++;
    }
    if (t[last] <= start) {
        p->count = 0;
        return true;
    }
    double left = v[first], right = v[last];
    if (r->smoothed && t[first] < start)
        left += (v[first + 1] - v[first]) * (double)(start - t[first]) /
                (double)(t[first + 1] - t[first]);
    if (r->smoothed && last > 0 && t[last] > end)
        right = v[last - 1] + (v[last] - v[last - 1]) * (double)(end - t[last - 1]) /
                                  (double)(t[last] - t[last - 1]);
    size_t from = first + (t[first] <= start), to = last + 1 - (t[last] >= end);
    size_t inside = to > from ? to - from : 0;
    int64_t *nt = eval_alloc(run, inside + 2, sizeof *nt);
    double *nv = eval_alloc(run, inside + 2, sizeof *nv);
    if (!nt || !nv)
        return false;
    nt[0] = start;
    nv[0] = left;
    if (inside) {
        memcpy(nt + 1, t + from, inside * sizeof *nt);
        memcpy(nv + 1, v + from, inside * sizeof *nv);
    }
    nt[inside + 1] = end;
    nv[inside + 1] = right;
    *p = (eval_points){.t = nt, .v = nv, .count = inside + 2};
    return true;
}

/* Floats and histograms in the order of their times. */
static bool weave(eval_run *run, const eval_points *p, tsdb_labels labels, promql_series *out)
{
    size_t n = p->count + p->hcount, i = 0, k = 0;
    int64_t *t = eval_alloc(run, n, sizeof *t);
    double *v = eval_alloc(run, n, sizeof *v);
    const tsdb_histogram **h = p->hcount ? eval_zero(run, n, sizeof(*h)) : NULL;
    if (!t || !v || (p->hcount && !h))
        return false;
    for (size_t at = 0; at < n; at++) {
        if (i < p->count && (k == p->hcount || p->t[i] < p->ht[k])) {
            t[at] = p->t[i];
            v[at] = p->v[i++];
            continue;
        }
        tsdb_histogram *copy = eval_alloc(run, 1, sizeof *copy);
        if (!copy)
            return false;
        if (tsdb_histogram_copy(p->h[k], &run->arena, copy, NULL) != SX_OK)
            return eval_no_memory(run) != NULL;
        t[at] = p->ht[k++];
        v[at] = 0;
        h[at] = copy;
    }
    *out = (promql_series){.labels = labels, .t = t, .v = v, .h = h, .count = n};
    return true;
}

static bool matrix_result(eval_run *run, const promql_expr *e, promql_result *out)
{
    eval_range r;
    eval_node *n = eval_node_new(run, sizeof *n, e, &run->times);
    eval_worker *w = eval_main(run);
    if (!n || !eval_range_open(run, e, &run->times, &r))
        return false;
    out->type = PROMQL_MATRIX;
    out->series = eval_zero(run, r.count, sizeof *out->series);
    if (!out->series)
        return false;
    for (size_t i = 0; i < r.count; i++) {
        eval_points p;
        tsdb_labels labels =
            r.drop && r.drop[i] ? eval_without_meta(run, r.labels[i]) : r.labels[i];
        bool ok = eval_range_read(&r, n, w, i, &p);
        if (ok && (r.anchored || r.smoothed))
            ok = extend(run, &r, &p);
        if (ok && p.count + p.hcount > 0) {
            ok = weave(run, &p, labels, &out->series[out->series_count++]);
            w->held += (int64_t)(p.count + p.hcount);
            eval_count_samples(n, w, 0, p.count + p.hcount);
        }
        sx_arena_reset(&w->scratch);
        if (!ok || !eval_account(w))
            return false;
    }
    if (out->series_count > 1)
        qsort(out->series, out->series_count, sizeof *out->series, by_labels);
    return true;
}

/* --- All kinds. */

static bool string_result(eval_run *run, const eval_node *root, promql_result *out)
{
    out->type = PROMQL_STRING;
    out->string = sx_arena_copy(&run->arena, root->string);
    out->scalar_t = run->times.start;
    return out->string.data || eval_no_memory(run);
}

bool eval_result_make(eval_run *run, promql_result *out)
{
    const promql_expr *e = eval_bare(run->parsed.expr);
    if (run->times.steps == 0) {
        out->type = PROMQL_MATRIX;
        return true;
    }
    bool ok;
    if (e->type == PROMQL_MATRIX) {
        ok = matrix_result(run, e, out);
    } else {
        eval_node *root = eval_build(run, e, &run->times);
        if (!root)
            return false;
        if (root->type == PROMQL_SCALAR)
            ok = scalar_result(run, root, out);
        else if (root->type == PROMQL_STRING)
            ok = string_result(run, root, out);
        else
            ok = vector_result(run, root, out);
    }
    return ok && eval_account(eval_main(run)) && !eval_failed(run);
}

/* --- EXPLAIN. */

int eval_explain_open(eval_run *run, const promql_expr *e)
{
    if (!run->request->explain)
        return -1;
    if (!sx_grow(&run->reports, &run->report_cap, run->report_count + 1, sizeof *run->reports)) {
        eval_no_memory(run);
        return -1;
    }
    eval_report *r = &run->reports[run->report_count];
    *r = (eval_report){.expr = e, .depth = run->depth++};
    r->began_ns = sx_clock_mono_ns(run->options.clock);
    r->samples = -(int64_t)run->workers[0].samples;
    for (uint32_t i = 1; i < run->worker_count; i++)
        r->samples -= (int64_t)run->workers[i].samples;
    return (int)run->report_count++;
}

void eval_explain_close(eval_run *run, int row, eval_node *n)
{
    if (row < 0)
        return;
    eval_report *r = &run->reports[row];
    run->depth--;
    r->ns = sx_clock_mono_ns(run->options.clock) - r->began_ns;
    r->series = n ? n->count : 0;
    for (uint32_t i = 0; i < run->worker_count; i++)
        r->samples += (int64_t)run->workers[i].samples;
}

bool eval_explain_write(eval_run *run, promql_result *out)
{
    sx_buf text, expr;
    sx_buf_init(&text, 0);
    sx_buf_init(&expr, 0);
    sx_buf_printf(&text, "%10s %12s %10s  %s\n", "series", "samples", "ms", "expression");
    for (size_t i = 0; i < run->report_count; i++) {
        const eval_report *r = &run->reports[i];
        sx_buf_clear(&expr);
        promql_print(r->expr, &expr, NULL);
        sx_buf_printf(&text, "%10llu %12lld %10.3f  %*s%.*s\n", (unsigned long long)r->series,
                      (long long)r->samples, (double)r->ns / 1e6, r->depth * 2, "",
                      SX_ARG(sx_buf_view(&expr)));
    }
    uint64_t samples = 0;
    for (uint32_t i = 0; i < run->worker_count; i++)
        samples += run->workers[i].samples;
    sx_buf_printf(&text,
                  "%10zu %12llu %10s  answer: values that nothing above gathers are read "
                  "and computed here\n",
                  out->series_count, (unsigned long long)samples, "");
    out->explain = sx_arena_copy(&run->arena, sx_buf_view(&text));
    bool ok = !text.failed && out->explain.data;
    sx_buf_done(&text);
    sx_buf_done(&expr);
    return ok || eval_no_memory(run);
}

/* eval_select.c - the leaves: selecting series and reading their samples.
 *
 * An instant vector takes, at each step, the newest sample that is not older than the lookback; a
 * stale mark there means no value. Ranges and lookback are open at their left end. */
#include <math.h>
#include <string.h>

#include "observe/promql/eval.h"

/* --- Times. */

static int64_t at_time(const eval_run *run, promql_at at, int64_t at_ms)
{
    switch (at) {
    case PROMQL_AT_START:
        return run->times.start;
    case PROMQL_AT_END:
        return run->end_ms;
    default:
        return at_ms > EVAL_TIME_MAX    ? EVAL_TIME_MAX
               : at_ms < -EVAL_TIME_MAX ? -EVAL_TIME_MAX
                                        : at_ms;
    }
}

bool eval_subquery_times(eval_run *run, const promql_expr *e, int64_t start, int64_t end,
                         eval_times *out)
{
    int64_t range = eval_duration(run, &e->subquery.range, false);
    int64_t offset = eval_duration(run, &e->subquery.offset, true);
    int64_t step = eval_duration(run, &e->subquery.step, false);
    if (eval_failed(run))
        return false;
    if (step <= 0)
        step = run->default_step_ms;
    if (e->subquery.at != PROMQL_AT_NONE)
        start = end = at_time(run, e->subquery.at, e->subquery.at_ms);
    int64_t from = start - offset - range, to = end - offset;
    /* The first multiple of the step after the open left end. */
    int64_t first = step * (from / step);
    if (first <= from)
        first += step;
    *out = (eval_times){.start = first, .step = step};
    out->steps = to < first ? 0 : (size_t)((to - first) / step) + 1;
    return true;
}

static void reach_selector(eval_run *run, const promql_expr *e, int64_t range, int64_t start,
                           int64_t end, int64_t *min_t, int64_t *max_t)
{
    int64_t offset = eval_duration(run, &e->selector.offset, true);
    if (e->selector.at != PROMQL_AT_NONE)
        start = end = at_time(run, e->selector.at, e->selector.at_ms);
    int64_t before = range ? range : run->lookback_ms;
    if (range && (e->selector.anchored || e->selector.smoothed))
        before += run->lookback_ms;
    int64_t after = e->selector.smoothed ? run->lookback_ms : 0;
    if (start - offset - before < *min_t)
        *min_t = start - offset - before;
    if (end - offset + after > *max_t)
        *max_t = end - offset + after;
}

void eval_reach(eval_run *run, const promql_expr *e, int64_t start, int64_t end, int64_t *min_t,
                int64_t *max_t)
{
    eval_times inner;
    switch (e->kind) {
    case PROMQL_SELECTOR:
        reach_selector(run, e, 0, start, end, min_t, max_t);
        return;
    case PROMQL_RANGE:
        reach_selector(run, e->range.selector, eval_duration(run, &e->range.range, false), start,
                       end, min_t, max_t);
        return;
    case PROMQL_SUBQUERY:
        if (eval_subquery_times(run, e, start, end, &inner) && inner.steps > 0)
            eval_reach(run, e->subquery.expr, inner.start, eval_time(&inner, inner.steps - 1),
                       min_t, max_t);
        return;
    case PROMQL_CALL:
        if (e->call.function->id == PROMQL_FN_info && start - run->lookback_ms < *min_t)
            *min_t = start - run->lookback_ms; /* info series may be those of the evaluation */
        if (e->call.function->id == PROMQL_FN_info && end > *max_t)
            *max_t = end;
        for (uint32_t i = 0; i < e->call.arg_count; i++)
            eval_reach(run, e->call.args[i], start, end, min_t, max_t);
        return;
    case PROMQL_AGGREGATE:
        eval_reach(run, e->aggregate.expr, start, end, min_t, max_t);
        if (e->aggregate.param)
            eval_reach(run, e->aggregate.param, start, end, min_t, max_t);
        return;
    case PROMQL_BINARY:
        eval_reach(run, e->binary.left, start, end, min_t, max_t);
        eval_reach(run, e->binary.right, start, end, min_t, max_t);
        return;
    case PROMQL_UNARY:
        eval_reach(run, e->unary.expr, start, end, min_t, max_t);
        return;
    case PROMQL_PAREN:
    case PROMQL_STEP_INVARIANT:
        eval_reach(run, e->inner, start, end, min_t, max_t);
        return;
    default:
        return;
    }
}

/* --- Selecting. */

static bool names_one_metric(const promql_expr *selector)
{
    for (uint32_t i = 0; i < selector->selector.matcher_count; i++) {
        const tsdb_matcher *m = &selector->selector.matchers[i];
        if (m->kind == TSDB_MATCH_EQUAL && m->value.len > 0 && sx_str_eq(m->name, TSDB_METRIC_NAME))
            return true;
    }
    return false;
}

/* The selection's labels side by side, as nodes have them. */
static const tsdb_labels *selection_labels(eval_run *run, const tsdb_selection *s)
{
    tsdb_labels *labels = eval_alloc(run, s->count, sizeof *labels);
    for (size_t i = 0; labels && i < s->count; i++)
        labels[i] = s->items[i].labels;
    return labels;
}

static bool select_series(eval_run *run, const promql_expr *e, int64_t min_t, int64_t max_t,
                          tsdb_selection *out)
{
    const sx_clock *clock = run->options.clock;
    int64_t began = sx_clock_mono_ns(clock);
    tsdb_hints hints = {.min_t = min_t, .max_t = max_t, .deadline_ns = run->deadline_ns};
    const _Atomic bool *canceled = run->request->canceled ? run->request->canceled : &run->killed;
    sx_error err = {0};
    *out = (tsdb_selection){0};
    sx_status status =
        run->querier->ops->select(run->querier, &hints, e->selector.matchers,
                                  e->selector.matcher_count, &run->arena, out, canceled, &err);
    run->stats.select_ns += sx_clock_mono_ns(clock) - began;
    run->stats.series_selected += out->count;
    if (status == SX_ECANCELED) {
        eval_go_on(run);
        return false;
    }
    if (status != SX_OK) {
        sx_error_prefix(&err, status, "expanding series");
        eval_fail_with(run, status == SX_ENOMEM ? PROMQL_ERROR_EXECUTION : PROMQL_ERROR_INTERNAL,
                       &err);
        return false;
    }
    return eval_go_on(run);
}

/* Under histogram_count and its kin Prometheus reads histograms without their buckets, and works out
 * their reset hints meanwhile; what annotations say depends on them, and the rate of a gauge, whose
 * resets are then looked for in the count alone. */
static bool detect_resets(eval_worker *w, tsdb_columns *c)
{
    const tsdb_histogram *before = NULL;
    for (size_t k = 0; k < c->count; k++) {
        const tsdb_histogram *h = c->h[k];
        if (!h || tsdb_is_stale(h->sum))
            continue;
        tsdb_histogram *bare = sx_arena_alloc(&w->scratch, sizeof *bare);
        if (!bare)
            return eval_no_memory(w->run) != NULL;
        *bare = (tsdb_histogram){
            .reset = h->reset, .schema = h->schema, .count = h->count, .sum = h->sum};
        if (before && h->reset == TSDB_RESET_UNKNOWN)
            bare->reset = tsdb_histogram_reset_between(before, h) ? TSDB_RESET_YES : TSDB_RESET_NO;
        c->h[k] = bare;
        before = h;
    }
    return true;
}

/* Reads into the columns of the node's slot. */
static tsdb_columns *read_columns(eval_worker *w, const eval_node *n,
                                  const tsdb_selection *selection, size_t i, int64_t min_t,
                                  int64_t max_t)
{
    eval_slot *slot = eval_block(w, n, -1, 0);
    if (!slot)
        return NULL;
    tsdb_columns *c = &slot->columns;
    if (!slot->columns_ready) {
        tsdb_columns_init(c, &w->scratch);
        slot->columns_ready = true;
    } else if (sx_unlikely(c->h || c->st)) { /* the next series may well have none */
        tsdb_columns_done(c);
    }
    c->count = 0;
    c->newest_only = n->newest_only;
    /* A node between may take its operand's series in another order: what this leaf was asked for last
     * tells whether it does. */
    bool expected = i == slot->read_next;
    size_t behind = selection->count - i - 1;
    slot->read_next = w->order && w->following ? w->order[0] : i + 1;
    c->following = 0;
    c->order = w->order;
    c->selected = selection->items;
    if (expected && w->walked <= selection->count)
        c->following = (uint32_t)(w->order || w->following < behind ? w->following : behind);
    sx_error err = {0};
    tsdb_querier *q = w->run->querier;
    sx_status status = q->ops->read(q, &selection->items[i], min_t, max_t, c, &err);
    if (sx_unlikely(status != SX_OK)) {
        sx_error_prefix(&err, status, "expanding series");
        return eval_fail_with(
            w->run, status == SX_ENOMEM ? PROMQL_ERROR_EXECUTION : PROMQL_ERROR_INTERNAL, &err);
    }
    if (sx_unlikely(c->h && n->detect_resets) && !detect_resets(w, c))
        return NULL;
    return c;
}

int64_t eval_histogram_samples(const tsdb_histogram *h)
{
    /* As Prometheus weighs one: its bytes there, in samples of 16. */
    size_t bytes = 176 + 8 + 8 * ((size_t)h->positive_span_count + h->negative_span_count) +
                   8 * ((size_t)h->positive_count + h->negative_count + h->bound_count);
    return (int64_t)(bytes / 16);
}

void eval_count_samples(const eval_node *n, eval_worker *w, size_t step, uint64_t samples)
{
    w->samples += samples;
    if (w->per_step && n->times == &w->run->times)
        w->per_step[step] += samples;
}

/* --- Instant vectors. */

typedef struct selector_node {
    eval_node node;
    tsdb_selection selection;
    int64_t min_t, max_t, offset_ms, at_ms, lookback_ms;
    bool fixed;
    eval_reading what;
} selector_node;

static int64_t reference(const selector_node *s, size_t step)
{
    return (s->fixed ? s->at_ms : eval_time(s->node.times, step)) - s->offset_ms;
}

/* What a sample shows as. */
static double shown(const selector_node *s, const tsdb_columns *c, size_t at)
{
    if (s->what == EVAL_TIMESTAMPS)
        return (double)c->t[at] / 1000;
    if (s->what == EVAL_STARTS)
        return c->st ? (double)c->st[at] / 1000 : 0;
    return c->v[at];
}

static bool is_stale(const tsdb_columns *c, size_t at)
{
    if (c->h && c->h[at])
        return tsdb_is_stale(c->h[at]->sum);
    return tsdb_is_stale(c->v[at]);
}

static unsigned selector_histograms(const selector_node *s, eval_worker *w, const tsdb_columns *c,
                                    double *v, const tsdb_histogram **h)
{
    const eval_times *times = s->node.times;
    unsigned have = 0;
    size_t j = 0;
    for (size_t k = 0; k < times->steps; k++) {
        int64_t ref = reference(s, k);
        v[k] = eval_absent();
        h[k] = NULL;
        while (j < c->count && c->t[j] <= ref)
            j++;
        if (j == 0 || c->t[j - 1] <= ref - s->lookback_ms || is_stale(c, j - 1))
            continue;
        const tsdb_histogram *here = c->h[j - 1];
        int64_t weight = 1;
        if (here && s->what == EVAL_VALUES) {
            h[k] = here;
            have |= EVAL_HISTOGRAMS;
            weight = eval_histogram_samples(here);
        } else {
            v[k] = shown(s, c, j - 1);
            have |= EVAL_FLOATS;
        }
        w->held += weight;
        eval_count_samples(&s->node, w, k, (uint64_t)weight);
    }
    if (have & EVAL_HISTOGRAMS)
        have |= EVAL_FLOATS; /* v was written, too */
    return have;
}

static unsigned selector_fill(const eval_node *n, eval_worker *w, size_t i, double *v,
                              const tsdb_histogram **h)
{
    const selector_node *s = (const selector_node *)(const void *)n;
    const tsdb_columns *c = read_columns(w, n, &s->selection, i, s->min_t, s->max_t);
    if (!c || c->count == 0)
        return 0;
    if (sx_unlikely(c->h != NULL))
        return selector_histograms(s, w, c, v, h);
    size_t steps = n->times->steps, j = 0, found = 0;
    for (size_t k = 0; k < steps; k++) {
        int64_t ref = reference(s, k);
        while (j < c->count && c->t[j] <= ref)
            j++;
        if (j == 0 || c->t[j - 1] <= ref - s->lookback_ms || tsdb_is_stale(c->v[j - 1])) {
            v[k] = eval_absent();
            continue;
        }
        v[k] = s->what == EVAL_VALUES ? c->v[j - 1] : shown(s, c, j - 1);
        found++;
        if (sx_unlikely(w->per_step != NULL))
            eval_count_samples(n, w, k, 1);
    }
    w->held += (int64_t)found;
    if (!w->per_step)
        w->samples += found;
    return found ? EVAL_FLOATS : 0;
}

/* --- Instant vectors with `smoothed`: between the samples around the time, on a straight line. */

static double between(double y1, double y2, int64_t t1, int64_t t2, int64_t t)
{
    return y1 + (y2 - y1) * (double)(t - t1) / (double)(t2 - t1);
}

static bool between_histograms(const selector_node *s, eval_worker *w, size_t i,
                               const tsdb_columns *c, size_t j, int64_t ref,
                               const tsdb_histogram **out)
{
    const tsdb_histogram *a = c->h[j - 1], *b = c->h[j];
    sx_str name = tsdb_labels_get(s->node.labels[i], TSDB_METRIC_NAME);
    const promql_expr *where = s->node.expr;
    if ((a->schema == TSDB_SCHEMA_CUSTOM) != (b->schema == TSDB_SCHEMA_CUSTOM)) {
        eval_note_add(w, &s->node, where, EVAL_NOTE_MIXED_SCHEMAS, name, (sx_str){0});
        return false;
    }
    tsdb_histogram *result = sx_arena_alloc(&w->scratch, sizeof *result);
    tsdb_histogram half;
    unsigned sub = 0, add = 0;
    double share = (double)(ref - c->t[j - 1]) / (double)(c->t[j] - c->t[j - 1]);
    bool counter = a->reset != TSDB_RESET_GAUGE || b->reset != TSDB_RESET_GAUGE;
    sx_status status = result ? SX_OK : SX_ENOMEM;
    if (status == SX_OK && counter && tsdb_histogram_reset_between(a, b)) {
        status = tsdb_histogram_scale(b, share, &w->scratch, result, NULL);
    } else if (status == SX_OK) {
        status = tsdb_histogram_sub(b, a, &w->scratch, &half, &sub, NULL);
        if (status == SX_OK)
            status = tsdb_histogram_scale(&half, share, &w->scratch, &half, NULL);
        if (status == SX_OK)
            status = tsdb_histogram_add(&half, a, &w->scratch, result, &add, NULL);
        unsigned keep = TSDB_HISTOGRAM_BOUNDS_RECONCILED;
        eval_note_arithmetic(w, &s->node, where, sub & keep, "subtraction", name);
        eval_note_arithmetic(w, &s->node, where, add & keep, "addition", name);
    }
    if (status != SX_OK) {
        eval_no_memory(w->run);
        return false;
    }
    *out = result;
    return true;
}

static bool smoothed_step(const selector_node *s, eval_worker *w, size_t i, const tsdb_columns *c,
                          int64_t ref, size_t from, size_t to, double *v, const tsdb_histogram **h)
{
    size_t floats = 0, histograms = 0, j = from;
    for (size_t k = from; k < to; k++) {
        if (c->h && c->h[k])
            histograms++;
        else
            floats++;
    }
    if (floats && histograms) {
        eval_note_add(w, &s->node, s->node.expr, EVAL_NOTE_MIXED,
                      tsdb_labels_get(s->node.labels[i], TSDB_METRIC_NAME), (sx_str){0});
        return false;
    }
    while (j < to && c->t[j] < ref)
        j++;
    bool exact = j < to && c->t[j] == ref;
    if (histograms) {
        if (exact) {
            *h = c->h[j];
            return true;
        }
        if (j > from && j < to)
            return between_histograms(s, w, i, c, j, ref, h);
        if (j == from)
            return false;
        *h = c->h[j - 1];
        return true;
    }
    if (exact) {
        *v = c->v[j];
    } else if (j > from && j < to) {
        *v = between(c->v[j - 1], c->v[j], c->t[j - 1], c->t[j], ref);
    } else if (j > from) {
        *v = c->v[j - 1];
    } else {
        return false;
    }
    return true;
}

static size_t drop_stale(tsdb_columns *c)
{
    size_t n = 0;
    for (size_t k = 0; k < c->count; k++) {
        if (is_stale(c, k))
            continue;
        c->t[n] = c->t[k];
        c->v[n] = c->v[k];
        if (c->h)
            c->h[n] = c->h[k];
        if (c->st)
            c->st[n] = c->st[k];
        n++;
    }
    return c->count = n;
}

static unsigned smoothed_fill(const eval_node *n, eval_worker *w, size_t i, double *v,
                              const tsdb_histogram **h)
{
    const selector_node *s = (const selector_node *)(const void *)n;
    tsdb_columns *c = read_columns(w, n, &s->selection, i, s->min_t, s->max_t);
    if (!c || drop_stale(c) == 0)
        return 0;
    unsigned have = 0;
    size_t from = 0, to = 0;
    for (size_t k = 0; k < n->times->steps; k++) {
        int64_t ref = reference(s, k);
        v[k] = eval_absent();
        h[k] = NULL;
        while (from < c->count && c->t[from] <= ref - s->lookback_ms)
            from++;
        while (to < c->count && c->t[to] <= ref + s->lookback_ms)
            to++;
        if (from < to && smoothed_step(s, w, i, c, ref, from, to, &v[k], &h[k])) {
            have = EVAL_FLOATS | EVAL_HISTOGRAMS;
            w->held++;
            eval_count_samples(n, w, k, 1);
        }
    }
    return have;
}

eval_node *eval_selector(eval_run *run, const promql_expr *e, const eval_times *times,
                         eval_reading what)
{
    selector_node *s = eval_node_new(run, sizeof *s, e, times);
    if (!s)
        return NULL;
    s->what = what;
    s->node.detect_resets = run->under_statistics && !run->under_other;
    s->offset_ms = eval_duration(run, &e->selector.offset, true);
    s->fixed = e->selector.at != PROMQL_AT_NONE;
    s->at_ms = at_time(run, e->selector.at, e->selector.at_ms);
    s->lookback_ms = run->lookback_ms;
    bool smoothed = e->selector.smoothed;
    if (times->steps > 0) {
        s->min_t = reference(s, 0) - s->lookback_ms + 1;
        s->max_t = reference(s, times->steps - 1) + (smoothed ? s->lookback_ms : 0);
        if (eval_failed(run) || !select_series(run, e, s->min_t, s->max_t, &s->selection))
            return NULL;
    }
    s->node.count = s->selection.count;
    s->node.labels = selection_labels(run, &s->selection);
    s->node.one_name = names_one_metric(e);
    s->node.distinct = true;
    s->node.fill = smoothed && what == EVAL_VALUES ? smoothed_fill : selector_fill;
    s->node.newest_only =
        !smoothed && !s->node.detect_resets && (times->steps == 1 || (s->fixed && times->steps));
    return s->node.labels ? &s->node : NULL;
}

/* --- Range vectors. */

static bool open_subquery(eval_run *run, const promql_expr *e, const eval_times *times,
                          eval_range *r)
{
    eval_times *inner = eval_zero(run, 1, sizeof *inner);
    r->range_ms = eval_duration(run, &e->subquery.range, false);
    r->offset_ms = eval_duration(run, &e->subquery.offset, true);
    r->fixed = e->subquery.at != PROMQL_AT_NONE;
    r->at_ms = at_time(run, e->subquery.at, e->subquery.at_ms);
    int64_t last = times->steps ? eval_time(times, times->steps - 1) : times->start;
    if (!inner || !eval_subquery_times(run, e, times->start, last, inner))
        return false;
    bool other = run->under_other;
    run->under_other = true;
    r->inner = eval_build(run, e->subquery.expr, inner);
    run->under_other = other;
    if (r->inner && r->inner->type == PROMQL_SCALAR) { /* ([1h:]) of a number: a series */
        eval_fail(run, PROMQL_ERROR_EXECUTION, "subquery is only allowed on instant vector");
        return false;
    }
    r->inner = eval_unique(run, r->inner, false);
    if (!r->inner)
        return false;
    r->count = r->inner->count;
    r->labels = r->inner->labels;
    r->drop = r->inner->drop;
    r->one_name = r->inner->one_name;
    return true;
}

bool eval_range_open(eval_run *run, const promql_expr *e, const eval_times *times, eval_range *out)
{
    *out = (eval_range){0};
    e = eval_bare(e);
    if (e->kind == PROMQL_SUBQUERY)
        return open_subquery(run, e, times, out);
    const promql_expr *s = e->range.selector;
    out->selector = s;
    out->range_ms = eval_duration(run, &e->range.range, false);
    out->offset_ms = eval_duration(run, &s->selector.offset, true);
    out->fixed = s->selector.at != PROMQL_AT_NONE;
    out->at_ms = at_time(run, s->selector.at, s->selector.at_ms);
    out->anchored = s->selector.anchored;
    out->smoothed = s->selector.smoothed;
    if (eval_failed(run))
        return false;
    if (times->steps > 0) {
        bool more = out->anchored || out->smoothed;
        out->min_t =
            eval_range_end(out, times, 0) - out->range_ms + 1 - (more ? run->lookback_ms : 0);
        out->max_t =
            eval_range_end(out, times, times->steps - 1) + (out->smoothed ? run->lookback_ms : 0);
        if (!select_series(run, s, out->min_t, out->max_t, &out->selection))
            return false;
    }
    out->count = out->selection.count;
    out->labels = selection_labels(run, &out->selection);
    out->one_name = names_one_metric(s);
    return out->labels != NULL;
}

/* Floats and histograms apart, without stale marks. The usual series is left as it was read. */
static bool split_columns(const eval_node *n, eval_worker *w, tsdb_columns *c, eval_points *out)
{
    if (sx_likely(!c->h)) {
        size_t stale = 0;
        for (size_t k = 0; k < c->count; k++)
            stale += tsdb_is_stale(c->v[k]);
        if (sx_unlikely(stale))
            drop_stale(c);
        *out = (eval_points){.t = c->t, .v = c->v, .st = c->st, .count = c->count};
        return true;
    }
    int64_t *ht = eval_block(w, n, 0, c->count * sizeof *ht);
    const tsdb_histogram **hh = eval_block(w, n, 1, c->count * sizeof(*hh));
    int64_t *hst = c->st ? eval_block(w, n, 4, c->count * sizeof *hst) : NULL;
    if (!ht || !hh || (c->st && !hst))
        return false;
    size_t floats = 0, histograms = 0;
    for (size_t k = 0; k < c->count; k++) {
        if (is_stale(c, k))
            continue;
        if (c->h[k]) {
            if (hst)
                hst[histograms] = c->st[k];
            ht[histograms] = c->t[k];
            hh[histograms++] = c->h[k];
        } else {
            c->t[floats] = c->t[k];
            c->v[floats] = c->v[k];
            if (c->st)
                c->st[floats] = c->st[k];
            floats++;
        }
    }
    *out = (eval_points){.t = c->t,
                         .v = c->v,
                         .st = c->st,
                         .count = floats,
                         .ht = ht,
                         .h = hh,
                         .hst = hst,
                         .hcount = histograms};
    return true;
}

/* The values of a subquery's series become samples. Hints of counter resets are forgotten: between
 * its steps samples may be missed or seen twice. */
static bool read_subquery(const eval_range *r, const eval_node *n, eval_worker *w, size_t i,
                          eval_points *out)
{
    const eval_times *times = r->inner->times;
    size_t steps = times->steps;
    double *v = eval_block(w, n, 2, steps * sizeof *v);
    const tsdb_histogram **h = eval_block(w, n, 1, steps * sizeof(*h));
    int64_t *t = eval_block(w, n, 3, steps * sizeof *t);
    int64_t *ht = eval_block(w, n, 0, steps * sizeof *ht);
    if (!v || !h || !t || !ht || steps == 0)
        return v && h && t && ht;
    unsigned have = r->inner->fill(r->inner, w, i, v, h);
    size_t floats = 0, histograms = 0;
    for (size_t k = 0; (have & EVAL_HISTOGRAMS) && k < steps; k++) {
        if (!h[k])
            continue;
        const tsdb_histogram *here = h[k];
        if (here->reset == TSDB_RESET_YES || here->reset == TSDB_RESET_NO) {
            tsdb_histogram *copy = sx_arena_alloc(&w->scratch, sizeof *copy);
            if (!copy)
                return eval_no_memory(w->run) != NULL;
            *copy = *here;
            copy->reset = TSDB_RESET_UNKNOWN;
            here = copy;
        }
        ht[histograms] = eval_time(times, k);
        h[histograms++] = here;
    }
    for (size_t k = 0; (have & EVAL_FLOATS) && k < steps; k++) {
        if (eval_is_absent(v[k]))
            continue;
        t[floats] = eval_time(times, k);
        v[floats++] = v[k];
    }
    *out = (eval_points){.t = t, .v = v, .count = floats, .ht = ht, .h = h, .hcount = histograms};
    return true;
}

bool eval_range_read(const eval_range *r, const eval_node *n, eval_worker *w, size_t i,
                     eval_points *out)
{
    *out = (eval_points){0};
    if (r->inner)
        return read_subquery(r, n, w, i, out);
    tsdb_columns *c = read_columns(w, n, &r->selection, i, r->min_t, r->max_t);
    return c && split_columns(n, w, c, out);
}

/* eval_aggregate.c - sum, avg, count, min, max, group, stddev, stdvar: values straight into groups.
 *
 * Where there are many groups, each is one thread's alone, and its series come in their order, so that
 * a result is that of adding them up one after the other. Where there are few, the series are split
 * into eight runs, whatever the number of threads, whose sums (with what rounding lost) are added in
 * order: the same query gives the same bits, and with compensation almost always those of one run. */
#include <math.h>
#include <string.h>

#include "observe/promql/eval.h"

enum {
    RUNS = 8, /* of series, where groups are few */
    FEW_GROUPS = 64,
    CELLS_MAX = 1 << 20, /* accumulators of all runs; above it there is one run */
};

typedef struct cell {
    double value, lost, mean, count;
    uint8_t floats, histograms; /* seen */
    uint8_t incremental;        /* value would overflow: mean is the mean so far */
    uint8_t broken;             /* histograms that do not go together */
} cell;

typedef struct aggregation {
    eval_run *run;
    const promql_expr *expr;
    promql_op op;
    eval_groups groups;
    const eval_node *from;
    size_t steps;
    unsigned runs;             /* sets of cells */
    cell *cells;               /* [run][group][step] */
    tsdb_histogram_sum **sums; /* the same, NULL until a histogram comes; each run's own row */
    _Atomic bool overflow;
} aggregation;

/* --- Floats. HOT. */

static void add_sum(cell *c, double v)
{
    if (c->floats)
        eval_gather(v, &c->value, &c->lost);
    else
        c->value = v;
    c->floats = 1;
}

static void add_mean(aggregation *a, cell *c, double v)
{
    c->count++;
    if (!c->floats) {
        c->floats = 1;
        c->value = v;
        return;
    }
    if (!c->incremental) {
        double sum = c->value, lost = c->lost;
        eval_gather(v, &sum, &lost);
        if (!isinf(sum)) {
            c->value = sum;
            c->lost = lost;
            return;
        }
        c->incremental = 1;
        c->mean = c->value / (c->count - 1);
        c->lost /= c->count - 1;
        atomic_store_explicit(&a->overflow, true, memory_order_relaxed);
    }
    double q = (c->count - 1) / c->count;
    c->mean *= q;
    c->lost *= q;
    eval_gather(v / c->count, &c->mean, &c->lost);
}

static void add_variance(cell *c, double v)
{
    c->count++;
    if (!c->floats) {
        c->floats = 1;
        c->mean = v;
        c->value = isnan(v) || isinf(v) ? NAN : 0;
        return;
    }
    double delta = v - c->mean;
    c->mean += delta / c->count;
    c->value += delta * (v - c->mean);
}

static void add_floats(aggregation *a, cell *row, const double *v)
{
#define EACH(add)                                                                                  \
    for (size_t k = 0; k < a->steps; k++) {                                                        \
        if (!eval_is_absent(v[k])) {                                                               \
            cell *c = &row[k];                                                                     \
            add;                                                                                   \
        }                                                                                          \
    }
    switch (a->op) {
    case PROMQL_AGG_SUM:
        EACH(add_sum(c, v[k]))
        break;
    case PROMQL_AGG_AVG:
        EACH(add_mean(a, c, v[k]))
        break;
    case PROMQL_AGG_STDDEV:
    case PROMQL_AGG_STDVAR:
        EACH(add_variance(c, v[k]))
        break;
    case PROMQL_AGG_MIN:
        EACH(if (!c->floats || c->value > v[k] || isnan(c->value)) c->value = v[k]; c->floats = 1)
        break;
    case PROMQL_AGG_MAX:
        EACH(if (!c->floats || c->value < v[k] || isnan(c->value)) c->value = v[k]; c->floats = 1)
        break;
    default: /* count, group */
        EACH(c->floats = 1; c->count++)
    }
#undef EACH
}

/* --- Histograms. */

static void note_ignored(aggregation *a, eval_worker *w)
{
    const char *name = promql_op_name(a->op);
    eval_note_add(w, a->from, eval_bare(a->expr->aggregate.expr), EVAL_NOTE_IGNORED_AGGREGATE,
                  sx_str_z(name), (sx_str){0});
}

/* Notes of sums: the hints of resets are looked at in the end. */
static void note_sum(aggregation *a, eval_worker *w, cell *c, unsigned notes, size_t i)
{
    sx_str name =
        i < a->from->count ? tsdb_labels_get(a->from->labels[i], TSDB_METRIC_NAME) : (sx_str){0};
    if (notes & TSDB_HISTOGRAM_INCOMPATIBLE)
        c->broken = 1;
    eval_note_arithmetic(w, a->from, eval_bare(a->expr->aggregate.expr), notes, "aggregation",
                         name);
}

static void add_histogram(aggregation *a, eval_worker *w, cell *c, tsdb_histogram_sum **sum,
                          const tsdb_histogram *h, size_t i)
{
    unsigned notes = 0;
    sx_status status = SX_OK;
    switch (a->op) {
    case PROMQL_AGG_COUNT:
    case PROMQL_AGG_GROUP:
        c->floats = 1;
        c->count++;
        return;
    case PROMQL_AGG_SUM:
    case PROMQL_AGG_AVG:
        break;
    default:
        note_ignored(a, w);
        return;
    }
    c->histograms = 1;
    if (c->broken || c->floats)
        return; /* nothing will come of it */
    if (!*sum) {
        *sum = sx_arena_alloc(&w->keep, sizeof **sum);
        status = *sum ? tsdb_histogram_sum_start(*sum, h, &w->keep, NULL) : SX_ENOMEM;
    } else {
        status = tsdb_histogram_sum_add(*sum, h, a->op == PROMQL_AGG_AVG, &w->keep, &w->scratch,
                                        &notes, NULL);
        if ((*sum)->mean)
            atomic_store_explicit(&a->overflow, true, memory_order_relaxed);
    }
    if (status != SX_OK)
        eval_no_memory(w->run);
    else if (notes)
        note_sum(a, w, c, notes, i);
}

static void add_series(void *ctx, eval_worker *w, unsigned part, size_t i, unsigned have,
                       const double *v, const tsdb_histogram *const *h)
{
    aggregation *a = ctx;
    size_t row = (size_t)a->groups.of[i] * a->steps;
    if (a->runs > 1)
        row += (size_t)part * a->groups.count * a->steps;
    if (have & EVAL_FLOATS)
        add_floats(a, a->cells + row, v);
    for (size_t k = 0; (have & EVAL_HISTOGRAMS) && k < a->steps; k++) {
        if (h[k])
            add_histogram(a, w, &a->cells[row + k], &a->sums[row + k], h[k], i);
    }
}

/* --- Runs into one. */

static void join_cells(aggregation *a, cell *to, const cell *from, tsdb_histogram_sum **to_sum,
                       tsdb_histogram_sum *from_sum)
{
    eval_worker *w = eval_main(a->run);
    to->histograms |= from->histograms;
    to->broken |= from->broken;
    if (from_sum && !*to_sum) {
        *to_sum = from_sum;
    } else if (from_sum && !to->broken) {
        unsigned notes = 0;
        if (tsdb_histogram_sum_join(*to_sum, from_sum, &w->keep, &w->scratch, &notes, NULL) !=
            SX_OK)
            eval_no_memory(a->run);
        else if (notes)
            note_sum(a, w, to, notes, SIZE_MAX);
    }
    if (!from->floats)
        return;
    if (!to->floats) {
        double count = to->count;
        uint8_t histograms = to->histograms, broken = to->broken;
        *to = *from;
        to->count += count;
        to->histograms = histograms;
        to->broken = broken;
        return;
    }
    switch (a->op) {
    case PROMQL_AGG_SUM:
    case PROMQL_AGG_AVG:
        eval_gather(from->value, &to->value, &to->lost);
        eval_gather(from->lost, &to->value, &to->lost);
        to->count += from->count;
        if (isinf(to->value))
            atomic_store_explicit(&a->overflow, true, memory_order_relaxed);
        break;
    case PROMQL_AGG_MIN:
        if (to->value > from->value || isnan(to->value))
            to->value = from->value;
        break;
    case PROMQL_AGG_MAX:
        if (to->value < from->value || isnan(to->value))
            to->value = from->value;
        break;
    default:
        to->count += from->count;
    }
}

static void join_runs(aggregation *a)
{
    size_t cells = (size_t)a->groups.count * a->steps;
    for (unsigned r = 1; r < a->runs; r++) {
        for (size_t k = 0; k < cells; k++) {
            const cell *from = &a->cells[r * cells + k];
            if (from->floats || from->histograms)
                join_cells(a, &a->cells[k], from, &a->sums[k], a->sums[r * cells + k]);
        }
        sx_arena_reset(&eval_main(a->run)->scratch);
    }
}

/* --- Out. */

static double float_result(const aggregation *a, const cell *c)
{
    switch (a->op) {
    case PROMQL_AGG_SUM:
        return c->value + c->lost;
    case PROMQL_AGG_AVG:
        if (c->incremental)
            return c->mean + c->lost;
        return c->value / c->count + c->lost / c->count;
    case PROMQL_AGG_COUNT:
        return c->count;
    case PROMQL_AGG_GROUP:
        return 1;
    case PROMQL_AGG_STDVAR:
        return c->value / c->count;
    case PROMQL_AGG_STDDEV:
        return sqrt(c->value / c->count);
    default:
        return c->value;
    }
}

static bool histogram_result(aggregation *a, eval_stored *s, size_t g, size_t k,
                             const tsdb_histogram_sum *sum)
{
    eval_run *run = a->run;
    unsigned notes = 0;
    tsdb_histogram *h = eval_alloc(run, 1, sizeof *h);
    if (!h || (!s->h[g] && !(s->h[g] = eval_zero(run, a->steps, sizeof **s->h))))
        return false;
    if (tsdb_histogram_sum_end(sum, a->op == PROMQL_AGG_AVG, &run->arena, h, &notes, NULL) != SX_OK)
        return eval_no_memory(run) != NULL;
    eval_note_arithmetic(eval_main(run), a->from, eval_bare(a->expr->aggregate.expr), notes,
                         "aggregation", (sx_str){0});
    s->h[g][k] = h;
    return true;
}

static bool result_row(aggregation *a, eval_stored *s, size_t g, size_t *held)
{
    eval_run *run = a->run;
    for (size_t k = 0; k < a->steps; k++) {
        const cell *c = &a->cells[g * a->steps + k];
        if (!c->floats && !c->histograms)
            continue;
        if (c->floats && c->histograms) {
            eval_note_add(eval_main(run), a->from, eval_bare(a->expr->aggregate.expr),
                          EVAL_NOTE_MIXED_AGGREGATE, (sx_str){0}, (sx_str){0});
            continue;
        }
        if (c->broken)
            continue;
        (*held)++;
        if (c->histograms) {
            if (!histogram_result(a, s, g, k, a->sums[g * a->steps + k]))
                return false;
            continue;
        }
        if (!s->v[g] && !(s->v[g] = eval_absent_row(run, a->steps)))
            return false;
        s->v[g][k] = float_result(a, c);
    }
    return true;
}

static eval_node *results(aggregation *a, const eval_times *times)
{
    eval_run *run = a->run;
    eval_stored *s = eval_stored_new(run, a->expr, times, a->groups.count);
    size_t held = 0, kept = 0;
    if (!s)
        return NULL;
    tsdb_labels *labels = (tsdb_labels *)s->node.labels;
    uint8_t *drop = a->groups.drop ? eval_zero(run, a->groups.count, 1) : NULL;
    for (size_t g = 0; g < a->groups.count; g++) {
        if (!result_row(a, s, g, &held))
            return NULL;
        if (!s->v[g] && !s->h[g])
            continue;
        s->v[kept] = s->v[g];
        s->h[kept] = s->h[g];
        if (kept != g) {
            s->v[g] = NULL;
            s->h[g] = NULL;
        }
        labels[kept] = a->groups.labels[g];
        if (drop)
            drop[kept] = a->groups.drop[g];
        kept++;
    }
    s->node.count = kept;
    s->node.drop = drop;
    s->node.distinct = true;
    return eval_hold_samples(run, (int64_t)held) ? &s->node : NULL;
}

/* Borders between groups that split the series into parts of about the same size. */
static size_t *group_borders(aggregation *a, unsigned parts)
{
    size_t *bounds = eval_zero(a->run, (size_t)parts + 1, sizeof *bounds);
    uint32_t g = 0;
    for (unsigned p = 1; bounds && p <= parts; p++) {
        size_t want = a->from->count * p / parts;
        while (g < a->groups.count && a->groups.from[g] < want)
            g++;
        bounds[p] = p == parts ? a->from->count : a->groups.from[g];
    }
    return bounds;
}

static bool run_over(aggregation *a, eval_node *from, bool alone)
{
    eval_run *run = a->run;
    size_t cells = (size_t)a->groups.count * a->steps;
    bool ordered = a->op == PROMQL_AGG_STDDEV || a->op == PROMQL_AGG_STDVAR;
    bool by_groups = a->groups.count >= FEW_GROUPS;
    a->runs = 1;
    if (!alone && !ordered && !by_groups && cells * RUNS <= CELLS_MAX && from->count >= RUNS * 64)
        a->runs = RUNS;
    a->overflow = false;
    a->cells = eval_zero(run, cells * a->runs, sizeof *a->cells);
    a->sums = a->cells ? eval_zero(run, cells * a->runs, sizeof *a->sums) : NULL;
    if (!a->sums)
        return false;
    if (a->runs > 1)
        return eval_each(run, from, a->runs, add_series, a);
    unsigned parts = by_groups ? eval_parts(run, from->count, a->steps) : 1;
    size_t *bounds = parts > 1 ? group_borders(a, parts) : NULL;
    if (parts > 1)
        return bounds && eval_each_in(run, from, parts, a->groups.order, bounds, add_series, a);
    return eval_each(run, from, 1, add_series, a);
}

static eval_node *quantile_aggregate(eval_run *run, const promql_expr *e, const eval_times *times);

eval_node *eval_aggregate(eval_run *run, const promql_expr *e, const eval_times *times)
{
    if (e->aggregate.op == PROMQL_AGG_QUANTILE)
        return quantile_aggregate(run, e, times);
    aggregation a = {.run = run, .expr = e, .op = e->aggregate.op, .steps = times->steps};
    int64_t held = atomic_load_explicit(&run->samples, memory_order_relaxed);
    eval_node *from = eval_build(run, e->aggregate.expr, times);
    if (!from || !eval_group(run, e, from, &a.groups))
        return NULL;
    a.from = from;
    if (!run_over(&a, from, false))
        return NULL;
    join_runs(&a);
    if (a.runs > 1 && a.op == PROMQL_AGG_AVG && a.overflow) {
        /* A running mean cannot be put together from parts. */
        if (!run_over(&a, from, true))
            return NULL;
    }
    /* What went into the groups is no longer held. */
    eval_hold_samples(run, held - atomic_load_explicit(&run->samples, memory_order_relaxed));
    return eval_failed(run) ? NULL : results(&a, times);
}

/* --- quantile: needs all values of a group at once. */

typedef struct quantiles {
    const eval_groups *groups;
    const eval_stored *held;
    const double *q;
    eval_stored *out;
    size_t steps;
    unsigned parts;
} quantiles;

static void quantile_part(void *ctx, eval_worker *w, unsigned part)
{
    quantiles *a = ctx;
    size_t from = (size_t)a->groups->count * part / a->parts;
    size_t to = (size_t)a->groups->count * (part + 1) / a->parts;
    for (size_t g = from; g < to && !eval_failed(w->run); g++) {
        size_t first = a->groups->from[g], count = a->groups->from[g + 1] - first;
        double *values = eval_block(w, &a->out->node, 2, (count + 1) * sizeof *values);
        double *row = sx_arena_alloc(&w->keep, a->steps * sizeof *row);
        bool any = false;
        if (!values || !row) {
            eval_no_memory(w->run);
            return;
        }
        for (size_t k = 0; k < a->steps; k++) {
            size_t n = 0;
            for (size_t j = 0; j < count; j++) {
                size_t i = a->groups->order[first + j];
                if (a->held->v[i] && !eval_is_absent(a->held->v[i][k]))
                    values[n++] = a->held->v[i][k];
                else if (eval_h(a->held, i, k))
                    eval_note_add(w, &a->held->node, eval_bare(a->out->node.expr->aggregate.expr),
                                  EVAL_NOTE_IGNORED_AGGREGATE, SX_STR("quantile"), (sx_str){0});
            }
            row[k] = n ? eval_quantile(a->q[k], values, n) : eval_absent();
            any |= n > 0;
        }
        a->out->v[g] = any ? row : NULL;
    }
    eval_account(w);
}

static void note_quantile(eval_run *run, const promql_expr *param, const double *q, size_t steps)
{
    double least = INFINITY, most = -INFINITY;
    bool nan = false;
    for (size_t k = 0; k < steps; k++) {
        nan |= isnan(q[k]);
        least = fmin(least, q[k]);
        most = fmax(most, q[k]);
    }
    eval_worker *w = eval_main(run);
    if (nan)
        eval_note_numbers(w, param, EVAL_NOTE_QUANTILE, NAN, 0);
    if (most > 1)
        eval_note_numbers(w, param, EVAL_NOTE_QUANTILE, most, 0);
    if (least < 0)
        eval_note_numbers(w, param, EVAL_NOTE_QUANTILE, least, 0);
}

static eval_node *quantile_aggregate(eval_run *run, const promql_expr *e, const eval_times *times)
{
    int64_t before = atomic_load_explicit(&run->samples, memory_order_relaxed);
    eval_groups groups;
    const eval_node *q = eval_scalar(run, e->aggregate.param, times);
    eval_node *from = q ? eval_build(run, e->aggregate.expr, times) : NULL;
    if (!from || !eval_group(run, e, from, &groups))
        return NULL;
    eval_stored *held = eval_stored_all(run, from);
    eval_stored *out = held ? eval_stored_new(run, e, times, groups.count) : NULL;
    if (!out)
        return NULL;
    note_quantile(run, eval_bare(e->aggregate.param), q->scalar, times->steps);
    quantiles a = {&groups, held, q->scalar, out, times->steps, 1};
    a.parts = eval_parts(run, groups.count, times->steps * 8);
    eval_parallel(run, a.parts, quantile_part, &a);
    if (groups.count)
        memcpy((tsdb_labels *)out->node.labels, groups.labels,
               groups.count * sizeof *groups.labels);
    out->node.drop = groups.drop;
    out->node.distinct = true;
    eval_hold_samples(run, before - atomic_load_explicit(&run->samples, memory_order_relaxed));
    eval_hold_samples(run, (int64_t)(groups.count * times->steps));
    return eval_failed(run) ? NULL : &out->node;
}

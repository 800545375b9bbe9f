/* eval_build.c - from an expression to nodes: durations, constant parts, scalars, dispatch. */
#include <math.h>
#include <string.h>

#include "observe/promql/eval.h"

void *eval_node_new(eval_run *run, size_t bytes, const promql_expr *e, const eval_times *times)
{
    eval_node *n = eval_zero(run, 1, bytes);
    if (!n)
        return NULL;
    n->expr = e;
    n->times = times;
    n->type = PROMQL_VECTOR;
    n->slot = run->slots++;
    n->report = -1;
    return n;
}

const promql_expr *eval_bare(const promql_expr *e)
{
    while (e->kind == PROMQL_PAREN || e->kind == PROMQL_STEP_INVARIANT)
        e = e->inner;
    return e;
}

/* --- Durations. */

static double duration_seconds(eval_run *run, const promql_expr *e)
{
    if (e->kind == PROMQL_NUMBER)
        return e->number.value;
    if (e->kind == PROMQL_PAREN)
        return duration_seconds(run, e->inner);
    double a = e->arithmetic.left ? duration_seconds(run, e->arithmetic.left) : 0;
    double b = e->arithmetic.right ? duration_seconds(run, e->arithmetic.right) : 0;
    switch (e->arithmetic.op) {
    case PROMQL_DURATION_STEP:
        return run->instant ? 0 : (double)run->times.step / 1000;
    case PROMQL_DURATION_RANGE:
        return (double)(run->end_ms - run->times.start) / 1000;
    case PROMQL_DURATION_MIN_OF:
        return fmin(a, b);
    case PROMQL_DURATION_MAX_OF:
        return fmax(a, b);
    case PROMQL_DIV:
    case PROMQL_MOD:
        if (b == 0) {
            eval_fail(run, PROMQL_ERROR_EXECUTION, "%u:%u: %s by zero", e->pos.start, e->pos.end,
                      e->arithmetic.op == PROMQL_DIV ? "division" : "modulo");
            return 0;
        }
        break;
    default:
        break;
    }
    return eval_float_operation(e->arithmetic.op, a, b);
}

int64_t eval_duration(eval_run *run, const promql_duration *d, bool may_be_negative)
{
    if (!d->expr)
        return d->ms;
    double s = duration_seconds(run, d->expr);
    const char *wrong = NULL;
    if (eval_failed(run))
        return 0;
    if (isnan(s) || isinf(s))
        wrong = "duration is NaN or infinite";
    else if (s <= 0 && !may_be_negative)
        wrong = "duration must be greater than 0";
    else if (fabs(s) > 9223372036.0)
        wrong = "duration is out of range";
    if (wrong) {
        eval_fail(run, PROMQL_ERROR_EXECUTION, "%u:%u: %s", d->expr->pos.start, d->expr->pos.end,
                  wrong);
        return 0;
    }
    return (int64_t)(s * 1000);
}

/* --- Which parts do not change from step to step. */

/* Functions whose result depends on the time of evaluation though their arguments may not. */
static bool depends_on_time(const promql_expr *e)
{
    switch (e->call.function->id) {
    case PROMQL_FN_days_in_month:
    case PROMQL_FN_day_of_month:
    case PROMQL_FN_day_of_week:
    case PROMQL_FN_day_of_year:
    case PROMQL_FN_hour:
    case PROMQL_FN_minute:
    case PROMQL_FN_month:
    case PROMQL_FN_year:
    case PROMQL_FN_predict_linear:
    case PROMQL_FN_time:
        return true;
    case PROMQL_FN_timestamp: /* of a selector it is the sample's own */
        return eval_bare(e->call.args[0])->kind != PROMQL_SELECTOR;
    default:
        return false;
    }
}

static bool invariant(eval_run *run, const promql_expr *e)
{
    switch (e->kind) {
    case PROMQL_NUMBER:
    case PROMQL_STRING_LITERAL:
    case PROMQL_STEP_INVARIANT:
        return true;
    case PROMQL_SELECTOR:
        return e->selector.at != PROMQL_AT_NONE;
    case PROMQL_RANGE:
        return invariant(run, e->range.selector);
    case PROMQL_SUBQUERY:
        return e->subquery.at != PROMQL_AT_NONE;
    case PROMQL_PAREN:
        return invariant(run, e->inner);
    case PROMQL_UNARY:
        return invariant(run, e->unary.expr);
    case PROMQL_AGGREGATE:
        return invariant(run, e->aggregate.expr) &&
               (!e->aggregate.param || invariant(run, e->aggregate.param));
    case PROMQL_BINARY:
        return invariant(run, e->binary.left) && invariant(run, e->binary.right);
    case PROMQL_CALL:
        if (depends_on_time(e))
            return false;
        if (e->call.function->id == PROMQL_FN_info && !eval_info_invariant(run, e))
            return false;
        for (uint32_t i = 0; i < e->call.arg_count; i++) {
            bool matchers = i > 0 && e->call.function->id == PROMQL_FN_info;
            if (!matchers && !invariant(run, e->call.args[i]))
                return false;
        }
        return true;
    default:
        return false;
    }
}

/* The value of the first step, at every step. */
typedef struct repeat_node {
    eval_node node;
    eval_node *inner;
} repeat_node;

static unsigned repeat_fill(const eval_node *n, eval_worker *w, size_t i, double *v,
                            const tsdb_histogram **h)
{
    const repeat_node *r = (const repeat_node *)(const void *)n;
    unsigned have = r->inner->fill(r->inner, w, i, v, h);
    for (size_t k = 1; (have & EVAL_FLOATS) && k < n->times->steps; k++)
        v[k] = v[0];
    for (size_t k = 1; (have & EVAL_HISTOGRAMS) && k < n->times->steps; k++)
        h[k] = h[0];
    return have;
}

static eval_node *repeat(eval_run *run, const promql_expr *e, const eval_times *times)
{
    eval_times *once = eval_zero(run, 1, sizeof *once);
    if (!once)
        return NULL;
    *once = (eval_times){.start = times->start, .step = 1, .steps = 1};
    eval_node *inner = eval_build(run, e, once);
    if (!inner)
        return NULL;
    repeat_node *r = eval_node_new(run, sizeof *r, e, times);
    if (!r)
        return NULL;
    r->node.type = inner->type;
    r->node.string = inner->string;
    if (inner->type == PROMQL_SCALAR) {
        r->node.scalar = eval_alloc(run, times->steps, sizeof(double));
        for (size_t k = 0; r->node.scalar && k < times->steps; k++)
            r->node.scalar[k] = inner->scalar[0];
        return r->node.scalar ? &r->node : NULL;
    }
    if (inner->type != PROMQL_VECTOR)
        return inner;
    eval_stored *held = eval_store(run, inner);
    if (!held)
        return NULL;
    r->inner = &held->node;
    r->node.count = held->node.count;
    r->node.labels = held->node.labels;
    r->node.drop = held->node.drop;
    r->node.one_name = held->node.one_name;
    r->node.distinct = held->node.distinct;
    r->node.fill = repeat_fill;
    return &r->node;
}

/* --- Scalars. */

static eval_node *scalar_new(eval_run *run, const promql_expr *e, const eval_times *times)
{
    eval_node *n = eval_node_new(run, sizeof *n, e, times);
    if (!n)
        return NULL;
    n->type = PROMQL_SCALAR;
    n->scalar = eval_alloc(run, times->steps, sizeof(double));
    return n->scalar ? n : NULL;
}

static eval_node *scalar_constant(eval_run *run, const promql_expr *e, const eval_times *times,
                                  double value)
{
    eval_node *n = scalar_new(run, e, times);
    for (size_t k = 0; n && k < times->steps; k++)
        n->scalar[k] = value;
    return n;
}

typedef struct only_one {
    double *v;
    uint8_t *found; /* 0, 1, or 2 for more */
    size_t steps;
} only_one;

static void keep_one(void *ctx, eval_worker *w, unsigned part, size_t i, unsigned have,
                     const double *v, const tsdb_histogram *const *h)
{
    (void)w;
    (void)part;
    (void)i;
    (void)h;
    only_one *o = ctx;
    for (size_t k = 0; (have & EVAL_FLOATS) && k < o->steps; k++) {
        if (eval_is_absent(v[k]))
            continue;
        o->v[k] = o->found[k] ? NAN : v[k];
        if (o->found[k] < 2)
            o->found[k]++;
    }
}

/* scalar(v): the one float there is, else NaN. */
static eval_node *scalar_of_vector(eval_run *run, const promql_expr *e, const eval_times *times)
{
    eval_node *from = eval_build(run, e->call.args[0], times);
    eval_node *n = from ? scalar_constant(run, e, times, NAN) : NULL;
    if (!n)
        return NULL;
    only_one o = {n->scalar, eval_zero(run, times->steps, 1), times->steps};
    return o.found && eval_each(run, from, 1, keep_one, &o) ? n : NULL;
}

static eval_node *scalar_call(eval_run *run, const promql_expr *e, const eval_times *times)
{
    switch (e->call.function->id) {
    case PROMQL_FN_time: {
        eval_node *n = scalar_new(run, e, times);
        for (size_t k = 0; n && k < times->steps; k++)
            n->scalar[k] = (double)eval_time(times, k) / 1000;
        return n;
    }
    case PROMQL_FN_pi:
        return scalar_constant(run, e, times, M_PI);
    case PROMQL_FN_start:
        return scalar_constant(run, e, times, (double)run->times.start / 1000);
    case PROMQL_FN_end:
        return scalar_constant(run, e, times, (double)run->end_ms / 1000);
    case PROMQL_FN_range:
        return scalar_constant(run, e, times, (double)(run->end_ms - run->times.start) / 1000);
    case PROMQL_FN_step:
        return scalar_constant(
            run, e, times, run->times.start == run->end_ms ? 0 : (double)run->times.step / 1000);
    case PROMQL_FN_scalar:
        return scalar_of_vector(run, e, times);
    case PROMQL_FN_max_of:
    case PROMQL_FN_min_of: {
        eval_node *a = eval_scalar(run, e->call.args[0], times);
        eval_node *b = a ? eval_scalar(run, e->call.args[1], times) : NULL;
        eval_node *n = b ? scalar_new(run, e, times) : NULL;
        bool most = e->call.function->id == PROMQL_FN_max_of;
        for (size_t k = 0; n && k < times->steps; k++) {
            double x = a->scalar[k], y = b->scalar[k];
            n->scalar[k] = most ? eval_most(x, y) : eval_least(x, y);
        }
        return n;
    }
    default:
        return eval_fail(run, PROMQL_ERROR_INTERNAL, "function %.*s gives no scalar",
                         SX_ARG(e->call.function->name));
    }
}

static eval_node *scalar_binary(eval_run *run, const promql_expr *e, const eval_times *times)
{
    eval_node *a = eval_scalar(run, e->binary.left, times);
    eval_node *b = a ? eval_scalar(run, e->binary.right, times) : NULL;
    eval_node *n = b ? scalar_new(run, e, times) : NULL;
    for (size_t k = 0; n && k < times->steps; k++)
        n->scalar[k] = eval_float_operation(e->binary.op, a->scalar[k], b->scalar[k]);
    return n;
}

eval_node *eval_scalar(eval_run *run, const promql_expr *e, const eval_times *times)
{
    e = eval_bare(e);
    switch (e->kind) {
    case PROMQL_NUMBER:
        return scalar_constant(run, e, times, e->number.value);
    case PROMQL_UNARY: {
        eval_node *n = eval_scalar(run, e->unary.expr, times);
        for (size_t k = 0; n && e->unary.op == PROMQL_SUB && k < times->steps; k++)
            n->scalar[k] = -n->scalar[k];
        return n;
    }
    case PROMQL_BINARY:
        return scalar_binary(run, e, times);
    case PROMQL_CALL:
        return scalar_call(run, e, times);
    default:
        return eval_fail(run, PROMQL_ERROR_INTERNAL, "an expression that is no scalar");
    }
}

/* --- Vectors. */

/* vector(s): one series without labels. */
typedef struct vector_node {
    eval_node node;
    eval_node *from;
} vector_node;

static unsigned vector_fill(const eval_node *n, eval_worker *w, size_t i, double *v,
                            const tsdb_histogram **h)
{
    (void)w;
    (void)i;
    (void)h;
    const vector_node *x = (const vector_node *)(const void *)n;
    memcpy(v, x->from->scalar, n->times->steps * sizeof *v);
    return EVAL_FLOATS;
}

static eval_node *vector_of_scalar(eval_run *run, const promql_expr *e, const eval_times *times)
{
    eval_node *from = eval_scalar(run, e->call.args[0], times);
    vector_node *n = from ? eval_node_new(run, sizeof *n, e, times) : NULL;
    if (!n)
        return NULL;
    n->from = from;
    n->node.count = 1;
    n->node.labels = eval_zero(run, 1, sizeof *n->node.labels);
    n->node.distinct = true;
    n->node.fill = vector_fill;
    return n->node.labels ? &n->node : NULL;
}

static eval_node *build_call(eval_run *run, const promql_expr *e, const eval_times *times)
{
    const promql_function *f = e->call.function;
    switch (f->id) {
    case PROMQL_FN_vector:
        return vector_of_scalar(run, e, times);
    case PROMQL_FN_histogram_quantile:
    case PROMQL_FN_histogram_quantiles:
    case PROMQL_FN_histogram_fraction:
        return eval_quantile_call(run, e, times);
    case PROMQL_FN_label_replace:
    case PROMQL_FN_label_join:
        return eval_label_call(run, e, times);
    case PROMQL_FN_sort:
    case PROMQL_FN_sort_desc:
    case PROMQL_FN_sort_by_label:
    case PROMQL_FN_sort_by_label_desc:
        return eval_sort_call(run, e, times);
    case PROMQL_FN_absent:
    case PROMQL_FN_absent_over_time:
        return eval_absent_call(run, e, times);
    case PROMQL_FN_info:
        return eval_info_call(run, e, times);
    default:
        break;
    }
    for (int i = 0; i < f->arg_count; i++) {
        if (f->args[i] == PROMQL_MATRIX)
            return eval_range_call(run, e, times);
    }
    return eval_map_call(run, e, times);
}

static eval_node *build_aggregate(eval_run *run, const promql_expr *e, const eval_times *times)
{
    switch (e->aggregate.op) {
    case PROMQL_AGG_TOPK:
    case PROMQL_AGG_BOTTOMK:
    case PROMQL_AGG_LIMITK:
    case PROMQL_AGG_LIMIT_RATIO:
        return eval_pick(run, e, times);
    case PROMQL_AGG_COUNT_VALUES:
        return eval_count_values(run, e, times);
    default:
        return eval_aggregate(run, e, times);
    }
}

static eval_node *build_vector(eval_run *run, const promql_expr *e, const eval_times *times)
{
    switch (e->kind) {
    case PROMQL_SELECTOR:
        return eval_selector(run, e, times, false);
    case PROMQL_UNARY:
        if (e->unary.op == PROMQL_SUB)
            return eval_negate(run, e, times);
        return eval_build(run, e->unary.expr, times);
    case PROMQL_BINARY:
        return eval_binary(run, e, times);
    case PROMQL_AGGREGATE:
        return build_aggregate(run, e, times);
    case PROMQL_CALL:
        return build_call(run, e, times);
    default:
        return eval_fail(run, PROMQL_ERROR_INTERNAL, "an expression that is no vector");
    }
}

/* Whether the operands' histograms serve for counts and sums alone; see eval.h. */
static void note_use(eval_run *run, const promql_expr *e)
{
    if (e->kind == PROMQL_BINARY)
        run->under_other |= e->binary.op == PROMQL_TRIM_UPPER || e->binary.op == PROMQL_TRIM_LOWER;
    if (e->kind != PROMQL_CALL)
        return;
    switch (e->call.function->id) {
    case PROMQL_FN_histogram_count:
    case PROMQL_FN_histogram_sum:
    case PROMQL_FN_histogram_avg:
        run->under_statistics = true;
        return;
    case PROMQL_FN_histogram_quantile:
    case PROMQL_FN_histogram_quantiles:
    case PROMQL_FN_histogram_fraction:
        run->under_other = true;
        return;
    default:
        return;
    }
}

eval_node *eval_build(eval_run *run, const promql_expr *e, const eval_times *times)
{
    if (eval_failed(run) || !eval_go_on(run))
        return NULL;
    e = eval_bare(e);
    if (e->kind == PROMQL_STRING_LITERAL) {
        eval_node *n = eval_node_new(run, sizeof *n, e, times);
        if (n) {
            n->type = PROMQL_STRING;
            n->string = e->string;
        }
        return n;
    }
    if (e->type == PROMQL_SCALAR)
        return eval_scalar(run, e, times);
    if (times->steps > 1 && invariant(run, e))
        return repeat(run, e, times);
    bool statistics = run->under_statistics, other = run->under_other;
    note_use(run, e);
    int row = eval_explain_open(run, e);
    eval_node *n = build_vector(run, e, times);
    eval_explain_close(run, row, n);
    run->under_statistics = statistics;
    run->under_other = other;
    return n;
}

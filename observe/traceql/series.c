/* series.c - finished series: arithmetic, comparison, the highest and lowest, quantiles. */
#include <math.h>
#include <stdlib.h>

#include "observe/traceql/metrics.h"

int tq_labels_compare(const traceql_series *a, const traceql_series *b)
{
    for (uint32_t i = 0; i < a->label_count && i < b->label_count; i++) {
        int order = sx_str_cmp(a->labels[i].name, b->labels[i].name);
        if (!order)
            order = tq_compare(&a->labels[i].value, &b->labels[i].value);
        if (order)
            return order;
    }
    return (a->label_count > b->label_count) - (a->label_count < b->label_count);
}

static double calculate(tq_op op, double a, double b)
{
    switch (op) {
    case TQ_ADD:
        return a + b;
    case TQ_SUB:
        return a - b;
    case TQ_MUL:
        return a * b;
    default:
        return a / b;
    }
}

static bool has_name_alone(const traceql_series *s)
{
    return s->label_count == 1 && sx_str_eq(s->labels[0].name, SX_STR("__name__"));
}

/* The series of the same labels; of those without, the names do not count. */
static const traceql_series *find_same(const traceql_metrics *m, const traceql_series *s)
{
    for (size_t i = 0; i < m->count; i++)
        if (tq_labels_compare(&m->series[i], s) == 0 ||
            (has_name_alone(&m->series[i]) && has_name_alone(s)))
            return &m->series[i];
    return NULL;
}

static bool rename_series(sx_arena *arena, const tq_node *n, const traceql_series *l,
                          const traceql_series *r, traceql_series *out)
{
    sx_str a = l->labels[0].value.s, b = r->labels[0].value.s;
    sx_str name = sx_arena_printf(arena, "(%.*s %s %.*s)", SX_ARG(a), tq_op_text(n->op), SX_ARG(b));
    out->labels = sx_arena_alloc(arena, sizeof *out->labels);
    if (!out->labels || !name.data)
        return false;
    out->labels[0] = (tq_note){SX_STR("__name__"), {.type = TQ_STR, .s = name}};
    return true;
}

sx_status tq_series_math(sx_arena *arena, const tq_node *n, const traceql_metrics *l,
                         const traceql_metrics *r, traceql_metrics *out, sx_error *err)
{
    bool left_number = n->left->kind == TQ_STATIC, right_number = n->right->kind == TQ_STATIC;
    const traceql_metrics *from = left_number ? r : l;
    double number = tq_number(left_number ? &n->left->value : &n->right->value);
    *out = *from;
    out->partial = l->partial || r->partial;
    out->spans = l->spans + r->spans;
    out->count = 0;
    out->series = sx_arena_alloc(arena, (from->count + 1) * sizeof *out->series);
    if (!out->series)
        return sx_fail_memory(err, "series");
    for (size_t i = 0; i < from->count; i++) {
        const traceql_series *a = &from->series[i];
        const traceql_series *b = left_number || right_number ? a : find_same(r, a);
        if (!b) /* without a partner: no result */
            continue;
        traceql_series *s = &out->series[out->count++];
        *s = *a;
        s->values = sx_arena_alloc(arena, out->steps * sizeof(double));
        if (!s->values || (a != b && has_name_alone(a) && !rename_series(arena, n, a, b, s)))
            return sx_fail_memory(err, "series");
        for (uint32_t k = 0; k < out->steps; k++) {
            double v = calculate(n->op, left_number ? number : a->values[k],
                                 right_number ? number : b->values[k]);
            s->values[k] = isfinite(v) ? v : NAN;
        }
    }
    return SX_OK;
}

void tq_series_filter(const tq_node *n, traceql_metrics *m)
{
    tq_value number = n->right->value;
    if (number.type == TQ_DURATION) /* series of durations are in seconds */
        number = (tq_value){.type = TQ_FLOAT, .d = (double)number.i / 1e9};
    for (size_t i = 0; i < m->count; i++)
        for (uint32_t k = 0; k < m->steps; k++) {
            tq_value v = {.type = TQ_FLOAT, .d = m->series[i].values[k]};
            if (!isnan(v.d) && !tq_binary(n->op, &v, &number, NULL).i)
                m->series[i].values[k] = NAN;
        }
}

typedef struct ranked {
    double value;
    size_t at;
} ranked;

/* The highest first; of equals the one whose labels come first. */
static int highest_first(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? 1 : -1;
    return (x->at > y->at) - (x->at < y->at);
}

static int lowest_first(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? 1 : -1;
    return (x->at > y->at) - (x->at < y->at);
}

sx_status tq_series_top(sx_arena *arena, const tq_node *n, traceql_metrics *m, sx_error *err)
{
    ranked *list = sx_arena_alloc(arena, (m->count + 1) * sizeof *list);
    if (!list)
        return sx_fail_memory(err, "series");
    for (uint32_t k = 0; k < m->steps; k++) {
        size_t count = 0;
        for (size_t i = 0; i < m->count; i++)
            if (!isnan(m->series[i].values[k]))
                list[count++] = (ranked){m->series[i].values[k], i};
        qsort(list, count, sizeof *list, n->function == TQ_TOPK ? highest_first : lowest_first);
        for (size_t i = (size_t)n->value.i; i < count; i++)
            m->series[list[i].at].values[k] = NAN;
    }
    return SX_OK;
}

double tq_quantile(const double *buckets, double p)
{
    double total = 0, seen = 0;
    int last = -1, before = -1;
    for (int b = 0; b < TRACEQL_HISTOGRAM; b++)
        total += buckets[b];
    if (!(total > 0))
        return 0;
    double wanted = ceil(p * total);
    if (wanted < 1)
        wanted = 1;
    for (int b = 0; b < TRACEQL_HISTOGRAM; b++) {
        if (!(buckets[b] > 0))
            continue;
        before = last;
        last = b;
        if (seen + buckets[b] > wanted)
            break;
        seen += buckets[b];
        if (seen >= wanted) /* to the last sample: the bucket's end */
            return ldexp(1, b);
    }
    /* Between the buckets' ends by powers, as the buckets grow. */
    double part = (wanted - seen) / buckets[last];
    double low = before < 0 ? last - 1 : before;
    return exp2(low + (last - low) * part);
}

/* eval_binary.c - operators between values, between a vector and a scalar, and which kind it is. */
#include <math.h>
#include <string.h>

#include "observe/promql/eval.h"

double eval_float_operation(promql_op op, double a, double b)
{
    switch (op) {
    case PROMQL_ADD:
        return a + b;
    case PROMQL_SUB:
        return a - b;
    case PROMQL_MUL:
        return a * b;
    case PROMQL_DIV:
        return a / b;
    case PROMQL_MOD:
        return fmod(a, b);
    case PROMQL_POW:
        return pow(a, b);
    case PROMQL_ATAN2:
        return atan2(a, b);
    case PROMQL_EQ:
        return a == b;
    case PROMQL_NE:
        return a != b;
    case PROMQL_GT:
        return a > b;
    case PROMQL_LT:
        return a < b;
    case PROMQL_GE:
        return a >= b;
    case PROMQL_LE:
        return a <= b;
    default:
        return NAN;
    }
}

/* --- Cells. */

static bool is_trim(promql_op op)
{
    return op == PROMQL_TRIM_UPPER || op == PROMQL_TRIM_LOWER;
}

static bool with_number(eval_worker *w, promql_op op, const tsdb_histogram *h, double v,
                        eval_cell *out)
{
    tsdb_histogram *to = sx_arena_alloc(&w->scratch, sizeof *to);
    sx_status status = SX_ENOMEM;
    if (to && op == PROMQL_MUL)
        status = tsdb_histogram_scale(h, v, &w->scratch, to, NULL);
    else if (to && op == PROMQL_DIV)
        status = tsdb_histogram_divide(h, v, &w->scratch, to, NULL);
    else if (to)
        status = tsdb_histogram_trim(h, v, op == PROMQL_TRIM_UPPER, &w->scratch, to, NULL);
    if (status != SX_OK)
        return eval_no_memory(w->run) != NULL;
    out->h = to;
    return true;
}

/* Histogram and histogram: sums and differences, equal or not. */
static bool histograms(eval_worker *w, const eval_node *n, promql_op op, const tsdb_histogram *a,
                       const tsdb_histogram *b, eval_cell *out, bool *keep)
{
    if (op == PROMQL_EQ || op == PROMQL_NE) {
        out->h = a;
        *keep = tsdb_histogram_equal(a, b) == (op == PROMQL_EQ);
        return true;
    }
    unsigned notes = 0;
    tsdb_histogram *to = sx_arena_alloc(&w->scratch, sizeof *to);
    sx_status status = SX_ENOMEM;
    if (to && op == PROMQL_ADD)
        status = tsdb_histogram_add(a, b, &w->scratch, to, &notes, NULL);
    else if (to)
        status = tsdb_histogram_sub(a, b, &w->scratch, to, &notes, NULL);
    if (status != SX_OK)
        return eval_no_memory(w->run) != NULL;
    const char *words = op == PROMQL_ADD ? "addition" : "subtraction";
    if (notes & TSDB_HISTOGRAM_INCOMPATIBLE) {
        eval_note_add(w, n, n->expr, EVAL_NOTE_LAYOUT, sx_str_z(promql_op_name(op)), (sx_str){0});
        return false;
    }
    if (notes & TSDB_HISTOGRAM_RESETS_COLLIDE) { /* the warning is all that comes of it */
        eval_note_arithmetic(w, n, n->expr, TSDB_HISTOGRAM_RESETS_COLLIDE, words, (sx_str){0});
        return false;
    }
    eval_note_arithmetic(w, n, n->expr, notes, words, (sx_str){0});
    if (op == PROMQL_SUB)
        to->reset = TSDB_RESET_GAUGE;
    out->h = to;
    return true;
}

bool eval_cell_operation(eval_worker *w, const eval_node *n, promql_op op, eval_cell a, eval_cell b,
                         eval_cell *out, bool *keep)
{
    *out = (eval_cell){.v = eval_absent()};
    *keep = true;
    bool allowed;
    if (!a.h && !b.h) {
        allowed = !is_trim(op);
        if (allowed) {
            double v = eval_float_operation(op, a.v, b.v);
            bool compares = promql_op_is_comparison(op);
            out->v = compares ? a.v : v;
            *keep = !compares || v != 0;
            return true;
        }
    } else if (a.h && b.h) {
        allowed = op == PROMQL_ADD || op == PROMQL_SUB || op == PROMQL_EQ || op == PROMQL_NE;
        if (allowed)
            return histograms(w, n, op, a.h, b.h, out, keep);
    } else if (a.h) {
        allowed = op == PROMQL_MUL || op == PROMQL_DIV || is_trim(op);
        if (allowed)
            return with_number(w, op, a.h, b.v, out);
    } else {
        allowed = op == PROMQL_MUL;
        if (allowed)
            return with_number(w, op, b.h, a.v, out);
    }
    eval_note_types(w, n->expr, a.h != NULL, op, b.h != NULL);
    return false;
}

/* --- A vector and a scalar. */

typedef struct vs_node {
    eval_node node;
    eval_node *from;
    const double *scalar;
    promql_op op;
    bool scalar_left, give_bool;
} vs_node;

static void vs_cell(const vs_node *n, eval_worker *w, size_t k, double *v, const tsdb_histogram **h)
{
    eval_cell vector = {*v, *h}, scalar = {n->scalar[k], NULL}, out;
    bool keep;
    *h = NULL;
    bool ok = n->scalar_left ? eval_cell_operation(w, &n->node, n->op, scalar, vector, &out, &keep)
                             : eval_cell_operation(w, &n->node, n->op, vector, scalar, &out, &keep);
    *v = eval_absent();
    if (!ok)
        return;
    if (n->give_bool) {
        *v = keep;
    } else if (keep) { /* a comparison keeps the vector's value, on whichever side it is */
        bool compares = promql_op_is_comparison(n->op);
        *v = compares ? vector.v : out.v;
        *h = compares ? vector.h : out.h;
    }
}

/* HOT: a number for every cell, the operator looked at once. */
static void vs_floats(const vs_node *n, double *v, size_t steps)
{
    const double *s = n->scalar;
    const double none = eval_absent();
#define EACH(value)                                                                                \
    for (size_t k = 0; k < steps; k++) {                                                           \
        double a = v[k], b = s[k];                                                                 \
        v[k] = eval_is_absent(a) ? none : (value);                                                 \
    }
    if (!n->scalar_left) {
        switch (n->op) {
        case PROMQL_ADD:
            EACH(a + b)
            return;
        case PROMQL_SUB:
            EACH(a - b)
            return;
        case PROMQL_MUL:
            EACH(a * b)
            return;
        case PROMQL_DIV:
            EACH(a / b)
            return;
        default:
            break;
        }
    }
    if (!promql_op_is_comparison(n->op)) {
        EACH(n->scalar_left ? eval_float_operation(n->op, b, a) : eval_float_operation(n->op, a, b))
        return;
    }
    for (size_t k = 0; k < steps; k++) {
        double a = v[k], b = s[k];
        if (eval_is_absent(a))
            continue;
        bool keep = n->scalar_left ? eval_float_operation(n->op, b, a) != 0
                                   : eval_float_operation(n->op, a, b) != 0;
        v[k] = n->give_bool ? keep : keep ? a : none;
    }
#undef EACH
}

static unsigned vs_fill(const eval_node *node, eval_worker *w, size_t i, double *v,
                        const tsdb_histogram **h)
{
    const vs_node *n = (const vs_node *)(const void *)node;
    size_t steps = node->times->steps;
    unsigned have = n->from->fill(n->from, w, i, v, h);
    if (have == EVAL_FLOATS && !is_trim(n->op)) {
        vs_floats(n, v, steps);
        return EVAL_FLOATS;
    }
    if (!have)
        return 0;
    for (size_t k = 0; k < steps; k++) {
        if (!(have & EVAL_FLOATS))
            v[k] = eval_absent();
        if (!(have & EVAL_HISTOGRAMS))
            h[k] = NULL;
        if (h[k] || !eval_is_absent(v[k]))
            vs_cell(n, w, k, &v[k], &h[k]);
    }
    return EVAL_FLOATS | EVAL_HISTOGRAMS;
}

eval_node *eval_vector_scalar(eval_run *run, const promql_expr *e, const eval_times *times)
{
    vs_node *n = eval_node_new(run, sizeof *n, e, times);
    if (!n)
        return NULL;
    n->op = e->binary.op;
    n->give_bool = e->binary.return_bool;
    n->scalar_left = e->binary.left->type == PROMQL_SCALAR;
    const promql_expr *scalar = n->scalar_left ? e->binary.left : e->binary.right;
    const promql_expr *vector = n->scalar_left ? e->binary.right : e->binary.left;
    const eval_node *s = n->scalar_left ? eval_scalar(run, scalar, times) : NULL;
    n->from = n->scalar_left && !s ? NULL : eval_build(run, vector, times);
    if (n->from && !s)
        s = eval_scalar(run, scalar, times);
    if (!n->from || !s)
        return NULL;
    n->scalar = s->scalar;
    n->node.fill = vs_fill;
    if ((promql_op_is_comparison(n->op) || is_trim(n->op)) && !n->give_bool) {
        n->node.count = n->from->count;
        n->node.labels = n->from->labels;
        n->node.drop = n->from->drop;
        n->node.one_name = n->from->one_name;
        n->node.distinct = n->from->distinct;
        return &n->node;
    }
    if (!eval_drop_names(run, &n->node, n->from))
        return NULL;
    return run->delayed_names ? &n->node : eval_unique(run, &n->node, false);
}

eval_node *eval_binary(eval_run *run, const promql_expr *e, const eval_times *times)
{
    if (e->binary.left->type == PROMQL_SCALAR || e->binary.right->type == PROMQL_SCALAR)
        return eval_vector_scalar(run, e, times);
    return eval_vector_vector(run, e, times);
}

/* eval_match.c - operators between two vectors: which series meet which.
 *
 * The labels that series meet by are hashed once for all steps and numbered. If each number has at
 * most one series on the "one" side (and, one to one, on the other), pairs are fixed and their columns
 * are combined when they are asked for. Else, and where missing sides are filled in, both sides are
 * held and matched step by step: series of the same labels may take turns. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "observe/promql/eval.h"

typedef struct matcher {
    eval_run *run;
    const promql_expr *expr;
    const eval_times *times;
    const promql_matching *matching;
    const sx_str *names; /* sorted */
    promql_op op;
    bool give_bool;
    bool many_right;            /* group_right: the right side is the many */
    uint32_t groups;            /* numbers given */
    uint32_t *of_many, *of_one; /* number of each series */
    eval_node *many, *one;
} matcher;

static bool changes_meaning(promql_op op)
{
    return (op >= PROMQL_ADD && op <= PROMQL_ATAN2);
}

static uint64_t meeting_hash(const matcher *m, tsdb_labels l)
{
    if (m->matching->on)
        return tsdb_labels_hash_by(l, m->names, m->matching->label_count);
    return tsdb_labels_hash_without(l, m->names, m->matching->label_count);
}

static bool number_side(matcher *m, sx_map64 *numbers, const eval_node *n, uint32_t *out)
{
    for (size_t i = 0; i < n->count; i++) {
        bool added;
        sx_map64_entry *e = sx_map64_put(numbers, meeting_hash(m, n->labels[i]), &added);
        if (!e)
            return eval_no_memory(m->run) != NULL;
        if (added)
            e->u64 = m->groups++;
        out[i] = (uint32_t)e->u64;
    }
    return true;
}

/* Numbers the series of both sides by what they meet by. */
static bool number_series(matcher *m)
{
    sx_map64 numbers;
    m->of_many = eval_alloc(m->run, m->many->count, sizeof *m->of_many);
    m->of_one = eval_alloc(m->run, m->one->count, sizeof *m->of_one);
    sx_map64_init(&numbers, NULL);
    bool ok = m->of_many && m->of_one && number_side(m, &numbers, m->many, m->of_many) &&
              number_side(m, &numbers, m->one, m->of_one);
    sx_map64_done(&numbers);
    return ok;
}

/* What two matched series meet by, for errors and filled-in series. */
static tsdb_labels meeting_labels(const matcher *m, tsdb_labels l)
{
    const promql_matching *k = m->matching;
    if (k->on)
        return eval_labels_by(m->run, l, k->labels, k->label_count);
    l = eval_labels_without(m->run, l, k->labels, k->label_count);
    sx_str name = TSDB_METRIC_NAME;
    return eval_labels_without(m->run, l, &name, 1);
}

static tsdb_labels result_labels(const matcher *m, tsdb_labels many, tsdb_labels one)
{
    const promql_matching *k = m->matching;
    tsdb_labels l = many;
    if ((m->give_bool && !m->run->delayed_names) || changes_meaning(m->op))
        l = eval_without_meta(m->run, l);
    if (k->card == PROMQL_ONE_TO_ONE) {
        if (k->on)
            l = eval_labels_by(m->run, l, k->labels, k->label_count);
        else if (k->label_count > 0)
            l = eval_labels_without(m->run, l, k->labels, k->label_count);
    }
    for (uint32_t i = 0; i < k->include_count; i++)
        l = eval_labels_with(m->run, l, k->include[i], tsdb_labels_get(one, k->include[i]));
    return l;
}

static const uint8_t *drop_marks(const matcher *m, size_t count)
{
    if (!m->run->delayed_names || !m->give_bool)
        return NULL;
    uint8_t *drop = eval_alloc(m->run, count, 1);
    if (drop)
        memset(drop, 1, count);
    return drop;
}

/* --- Fixed pairs. */

typedef struct pair_node {
    eval_node node;
    eval_node *many, *one;
    const uint32_t *of_many, *of_one;
    promql_op op;
    bool give_bool, many_right;
} pair_node;

static void pair_cell(const pair_node *n, eval_worker *w, eval_cell many, eval_cell one, double *v,
                      const tsdb_histogram **h)
{
    eval_cell out;
    bool keep;
    bool ok = n->many_right ? eval_cell_operation(w, &n->node, n->op, one, many, &out, &keep)
                            : eval_cell_operation(w, &n->node, n->op, many, one, &out, &keep);
    if (!ok)
        return;
    if (n->give_bool) {
        *v = keep;
    } else if (keep) {
        *v = out.v;
        *h = out.h;
    }
}

/* HOT: floats on both sides. */
static void pair_floats(const pair_node *n, double *v, const double *one, size_t steps)
{
    const double none = eval_absent();
    bool compares = promql_op_is_comparison(n->op);
    if (n->op == PROMQL_DIV && !n->many_right) { /* the usual join: a share of something */
        for (size_t k = 0; k < steps; k++)
            v[k] = eval_is_absent(v[k]) || eval_is_absent(one[k]) ? none : v[k] / one[k];
        return;
    }
    for (size_t k = 0; k < steps; k++) {
        if (eval_is_absent(v[k]) || eval_is_absent(one[k])) {
            v[k] = none;
            continue;
        }
        double a = n->many_right ? one[k] : v[k], b = n->many_right ? v[k] : one[k];
        double x = eval_float_operation(n->op, a, b);
        v[k] = !compares || n->give_bool ? x : x != 0 ? a : none;
    }
}

static unsigned pair_fill(const eval_node *node, eval_worker *w, size_t i, double *v,
                          const tsdb_histogram **h)
{
    const pair_node *n = (const pair_node *)(const void *)node;
    size_t steps = node->times->steps;
    double *ov = eval_block(w, node, 0, steps * sizeof *ov);
    const tsdb_histogram **oh = eval_block(w, node, 1, steps * sizeof(*oh));
    if (!ov || !oh)
        return 0;
    unsigned have = n->many->fill(n->many, w, n->of_many[i], v, h);
    unsigned other = have ? n->one->fill(n->one, w, n->of_one[i], ov, oh) : 0;
    if (!have || !other)
        return 0;
    bool trims = n->op == PROMQL_TRIM_UPPER || n->op == PROMQL_TRIM_LOWER;
    if (have == EVAL_FLOATS && other == EVAL_FLOATS && !trims) {
        pair_floats(n, v, ov, steps);
        return EVAL_FLOATS;
    }
    for (size_t k = 0; k < steps; k++) {
        eval_cell a = {(have & EVAL_FLOATS) ? v[k] : eval_absent(),
                       (have & EVAL_HISTOGRAMS) ? h[k] : NULL};
        eval_cell b = {(other & EVAL_FLOATS) ? ov[k] : eval_absent(),
                       (other & EVAL_HISTOGRAMS) ? oh[k] : NULL};
        v[k] = eval_absent();
        h[k] = NULL;
        if ((a.h || !eval_is_absent(a.v)) && (b.h || !eval_is_absent(b.v)))
            pair_cell(n, w, a, b, &v[k], &h[k]);
    }
    return EVAL_FLOATS | EVAL_HISTOGRAMS;
}

/* The one series of each number on a side; UINT32_MAX: none. False: some number has two. */
static bool only_series(const matcher *m, const uint32_t *of, size_t count, uint32_t *at)
{
    memset(at, 0xff, m->groups * sizeof *at);
    for (size_t i = 0; i < count; i++) {
        if (at[of[i]] != UINT32_MAX)
            return false;
        at[of[i]] = (uint32_t)i;
    }
    return true;
}

/* Pairs, if they are fixed; *fixed false: they are not. */
static eval_node *match_fixed(matcher *m, bool *fixed)
{
    eval_run *run = m->run;
    bool one_to_one = m->matching->card == PROMQL_ONE_TO_ONE;
    uint32_t *one_at = eval_alloc(run, m->groups, sizeof *one_at);
    uint32_t *many_at = eval_alloc(run, m->groups, sizeof *many_at);
    *fixed = false;
    if (!one_at || !many_at || m->matching->has_fill_left || m->matching->has_fill_right ||
        !only_series(m, m->of_one, m->one->count, one_at) ||
        (one_to_one && !only_series(m, m->of_many, m->many->count, many_at)))
        return NULL;
    pair_node *n = eval_node_new(run, sizeof *n, m->expr, m->times);
    tsdb_labels *labels = n ? eval_alloc(run, m->many->count, sizeof *labels) : NULL;
    uint32_t *of_many = eval_alloc(run, m->many->count, sizeof *of_many);
    uint32_t *of_one = eval_alloc(run, m->many->count, sizeof *of_one);
    if (!labels || !of_many || !of_one)
        return NULL;
    size_t count = 0;
    for (size_t i = 0; i < m->many->count; i++) {
        uint32_t other = one_at[m->of_many[i]];
        if (other == UINT32_MAX)
            continue;
        of_many[count] = (uint32_t)i;
        of_one[count] = other;
        labels[count++] = result_labels(m, m->many->labels[i], m->one->labels[other]);
    }
    eval_node *one = m->one;
    if (!one_to_one) { /* it is asked for many times */
        eval_stored *held = eval_stored_all(run, one);
        one = held ? &held->node : NULL;
    }
    if (!one || eval_failed(run))
        return NULL;
    n->many = m->many;
    n->one = one;
    n->of_many = of_many;
    n->of_one = of_one;
    n->op = m->op;
    n->give_bool = m->give_bool;
    n->many_right = m->many_right;
    n->node.count = count;
    n->node.labels = labels;
    n->node.drop = drop_marks(m, count);
    n->node.distinct = one_to_one && (!m->matching->on || !promql_op_is_comparison(m->op) ||
                                      m->matching->label_count > 0);
    n->node.fill = pair_fill;
    *fixed = true;
    return &n->node;
}

/* --- Step by step. */

typedef struct result_set {
    matcher *m;
    sx_map64 by_labels; /* hash: number of the output series */
    eval_stored *out;
    size_t cap;
    uint32_t *touched; /* per output series: group + 1 that wrote at touched_step */
    size_t *touched_step;
    pair_node cells; /* for its operator */
    size_t met;      /* operations with a result, kept or not, in the group at hand */
} result_set;

static bool result_grow(result_set *r)
{
    eval_run *run = r->m->run;
    size_t cap = r->cap ? r->cap * 2 : 64;
    eval_stored *s = eval_stored_new(run, r->m->expr, r->m->times, cap);
    uint32_t *touched = eval_zero(run, cap, sizeof *touched);
    size_t *touched_step = eval_zero(run, cap, sizeof *touched_step);
    if (!s || !touched || !touched_step)
        return false;
    size_t used = r->out ? r->out->node.count : 0;
    if (used > 0) {
        memcpy((tsdb_labels *)s->node.labels, r->out->node.labels, used * sizeof(tsdb_labels));
        memcpy(s->v, r->out->v, used * sizeof *s->v);
        memcpy(s->h, r->out->h, used * sizeof *s->h);
        memcpy(touched, r->touched, used * sizeof *touched);
        memcpy(touched_step, r->touched_step, used * sizeof *touched_step);
    }
    s->node.count = used;
    r->out = s;
    r->cap = cap;
    r->touched = touched;
    r->touched_step = touched_step;
    return true;
}

/* The output series of these labels, made if there is none. */
static bool result_series(result_set *r, tsdb_labels l, size_t *at)
{
    bool added;
    sx_map64_entry *e = sx_map64_put(&r->by_labels, tsdb_labels_hash(l), &added);
    if (!e)
        return eval_no_memory(r->m->run) != NULL;
    if (added) {
        e->u64 = r->out ? r->out->node.count : 0;
        if (e->u64 >= r->cap && !result_grow(r))
            return false;
        ((tsdb_labels *)r->out->node.labels)[e->u64] = l;
        r->out->node.count++;
    }
    *at = e->u64;
    return true;
}

static bool result_put(result_set *r, size_t at, size_t step, double v, const tsdb_histogram *h)
{
    eval_run *run = r->m->run;
    size_t steps = r->m->times->steps;
    eval_stored *s = r->out;
    if (h) {
        tsdb_histogram *copy = eval_alloc(run, 1, sizeof *copy);
        if (!copy || (!s->h[at] && !(s->h[at] = eval_zero(run, steps, sizeof **s->h))))
            return false;
        if (tsdb_histogram_copy(h, &run->arena, copy, NULL) != SX_OK)
            return eval_no_memory(run) != NULL;
        s->h[at][step] = copy;
        return true;
    }
    if (!s->v[at])
        s->v[at] = eval_absent_row(run, steps);
    if (s->v[at])
        s->v[at][step] = v;
    return s->v[at] != NULL;
}

/* One meeting at one step. */
static bool meet(result_set *r, uint32_t group, size_t step, tsdb_labels many, eval_cell a,
                 tsdb_labels one, eval_cell b)
{
    matcher *m = r->m;
    double v = eval_absent();
    const tsdb_histogram *h = NULL;
    size_t at = 0;
    /* An operation that these values do not have leaves nothing, not even a place that is taken. */
    eval_cell out;
    bool keep,
        ok = m->many_right
                 ? eval_cell_operation(eval_main(m->run), &r->cells.node, m->op, b, a, &out, &keep)
                 : eval_cell_operation(eval_main(m->run), &r->cells.node, m->op, a, b, &out, &keep);
    if (!ok)
        return !eval_failed(m->run);
    r->met++;
    if (!result_series(r, result_labels(m, many, one), &at))
        return false;
    bool taken = r->touched[at] != 0 && r->touched_step[at] == step;
    if (taken) {
        bool same_group = r->touched[at] == group + 1;
        eval_fail(m->run, PROMQL_ERROR_EXECUTION,
                  !same_group ? "vector cannot contain metrics with the same labelset"
                  : m->matching->card == PROMQL_ONE_TO_ONE
                      ? "multiple matches for labels: many-to-one matching must be explicit "
                        "(group_left/group_right)"
                      : "multiple matches for labels: grouping labels must ensure unique matches");
        return false;
    }
    r->touched[at] = group + 1;
    r->touched_step[at] = step;
    if (m->give_bool) {
        v = keep;
    } else if (keep) {
        v = out.v;
        h = out.h;
    } else {
        return true;
    }
    return result_put(r, at, step, v, h);
}

static void fail_duplicate(const matcher *m, tsdb_labels a, tsdb_labels b)
{
    sx_buf text[3];
    for (int i = 0; i < 3; i++)
        sx_buf_init(&text[i], 4096);
    tsdb_labels_print(meeting_labels(m, a), &text[0], NULL);
    tsdb_labels_print(a, &text[1], NULL);
    tsdb_labels_print(b, &text[2], NULL);
    int first = sx_str_cmp(sx_buf_view(&text[1]), sx_buf_view(&text[2])) <= 0 ? 1 : 2;
    eval_fail(m->run, PROMQL_ERROR_EXECUTION,
              "found duplicate series for the match group %.*s on the %s hand-side of the "
              "operation: [%.*s, %.*s];many-to-many matching not allowed: matching labels must be "
              "unique on one side",
              SX_ARG(sx_buf_view(&text[0])), m->many_right ? "left" : "right",
              SX_ARG(sx_buf_view(&text[first])), SX_ARG(sx_buf_view(&text[3 - first])));
    for (int i = 0; i < 3; i++)
        sx_buf_done(&text[i]);
}

/* Series sorted by number: those of number g are list[from[g]] to list[from[g + 1] - 1]. */
static bool by_number(matcher *m, const uint32_t *of, size_t count, uint32_t **from,
                      uint32_t **list)
{
    uint32_t *f = eval_zero(m->run, (size_t)m->groups + 2, sizeof *f);
    uint32_t *l = eval_alloc(m->run, count, sizeof *l);
    if (!f || !l)
        return false;
    for (size_t i = 0; i < count; i++)
        f[of[i] + 2]++;
    for (uint32_t g = 0; g < m->groups; g++)
        f[g + 2] += f[g + 1];
    for (size_t i = 0; i < count; i++)
        l[f[of[i] + 1]++] = (uint32_t)i;
    *from = f;
    *list = l;
    return true;
}

static bool any_at(const eval_stored *s, size_t step)
{
    for (size_t i = 0; i < s->node.count; i++) {
        if (eval_has(s, i, step))
            return true;
    }
    return false;
}

typedef struct sides {
    eval_stored *many, *one;
    uint32_t *many_from, *many_list, *one_from, *one_list;
} sides;

static eval_cell cell_of(const eval_stored *s, size_t i, size_t step)
{
    return (eval_cell){s->v[i] ? s->v[i][step] : eval_absent(), eval_h(s, i, step)};
}

/* Names the pair that comes first in the order of labels, so that the words do not depend on where
 * series lie. */
static void fail_first_duplicate(const matcher *m, const sides *s, size_t step)
{
    const tsdb_labels *labels = s->one->node.labels;
    size_t best[2] = {SIZE_MAX, SIZE_MAX};
    for (uint32_t g = 0; g < m->groups; g++) {
        size_t least = SIZE_MAX, next = SIZE_MAX;
        for (uint32_t i = s->one_from[g]; i < s->one_from[g + 1]; i++) {
            size_t at = s->one_list[i];
            if (!eval_has(s->one, at, step))
                continue;
            if (least == SIZE_MAX || tsdb_labels_compare(labels[at], labels[least]) < 0) {
                next = least;
                least = at;
            } else if (next == SIZE_MAX || tsdb_labels_compare(labels[at], labels[next]) < 0) {
                next = at;
            }
        }
        if (next != SIZE_MAX &&
            (best[1] == SIZE_MAX || tsdb_labels_compare(labels[next], labels[best[1]]) < 0)) {
            best[0] = least;
            best[1] = next;
        }
    }
    fail_duplicate(m, labels[best[0]], labels[best[1]]);
}

/* False, and the query has failed, where two series of the "one" side meet at a step. It is looked
 * for in all groups before any is matched, so that the same error comes first as in Prometheus. */
static bool one_is_one(const matcher *m, const sides *s, size_t step)
{
    for (uint32_t g = 0; g < m->groups; g++) {
        size_t here = 0;
        for (uint32_t i = s->one_from[g]; i < s->one_from[g + 1]; i++)
            here += eval_has(s->one, s->one_list[i], step);
        if (here > 1) {
            fail_first_duplicate(m, s, step);
            return false;
        }
    }
    return true;
}

static bool match_group(result_set *r, const sides *s, uint32_t g, size_t step)
{
    matcher *m = r->m;
    const promql_matching *k = m->matching;
    /* As Prometheus: fill_left stands for the "many" side also where that is the right one. */
    bool fill_one = k->has_fill_right, fill_many = k->has_fill_left;
    size_t one = SIZE_MAX;
    r->met = 0;
    for (uint32_t i = s->one_from[g]; i < s->one_from[g + 1]; i++) {
        size_t at = s->one_list[i];
        if (!eval_has(s->one, at, step))
            continue;
        one = at;
        break;
    }
    for (uint32_t i = s->many_from[g]; i < s->many_from[g + 1]; i++) {
        size_t at = s->many_list[i];
        if (!eval_has(s->many, at, step) || (one == SIZE_MAX && !fill_one))
            continue;
        tsdb_labels many = s->many->node.labels[at];
        eval_cell b = {k->fill_right, NULL};
        tsdb_labels other = {0};
        if (one != SIZE_MAX) {
            b = cell_of(s->one, one, step);
            other = s->one->node.labels[one];
        } else {
            other = meeting_labels(m, many);
        }
        if (!meet(r, g, step, many, cell_of(s->many, at, step), other, b))
            return false;
    }
    /* A side whose operation is refused stays without a match. */
    if (r->met == 0 && one != SIZE_MAX && fill_many) {
        eval_cell a = {k->fill_left, NULL};
        tsdb_labels other = s->one->node.labels[one];
        return meet(r, g, step, meeting_labels(m, other), a, other, cell_of(s->one, one, step));
    }
    return true;
}

static eval_node *match_stepwise(matcher *m)
{
    eval_run *run = m->run;
    sides s = {0};
    result_set r = {.m = m};
    s.many = eval_stored_all(run, m->many);
    s.one = s.many ? eval_stored_all(run, m->one) : NULL;
    if (!s.one || !by_number(m, m->of_many, s.many->node.count, &s.many_from, &s.many_list) ||
        !by_number(m, m->of_one, s.one->node.count, &s.one_from, &s.one_list) || !result_grow(&r))
        return NULL;
    r.cells.node = (eval_node){.expr = m->expr, .times = m->times};
    bool fills = m->matching->has_fill_left || m->matching->has_fill_right, ok = true;
    sx_map64_init(&r.by_labels, NULL);
    for (size_t step = 0; ok && step < m->times->steps; step++) {
        bool many = any_at(s.many, step), one = any_at(s.one, step);
        if ((!many && !one) || ((!many || !one) && !fills))
            continue;
        ok = eval_go_on(run) && one_is_one(m, &s, step);
        for (uint32_t g = 0; ok && g < m->groups; g++)
            ok = match_group(&r, &s, g, step);
        sx_arena_reset(&eval_main(run)->scratch);
    }
    sx_map64_done(&r.by_labels);
    if (!ok || eval_failed(run))
        return NULL;
    r.out->node.drop = drop_marks(m, r.out->node.count);
    r.out->node.distinct = true;
    return &r.out->node;
}

/* --- and, or, unless. */

typedef struct set_node {
    eval_node node;
    eval_node *left, *right; /* right: of `or` alone */
    size_t left_count;
    const uint32_t *of;    /* number of each series that is masked */
    _Atomic uint8_t *seen; /* by number and step: the other side has it */
    bool keep_seen;        /* and */
} set_node;

typedef struct marking {
    const uint32_t *of;
    _Atomic uint8_t *seen;
    size_t steps;
} marking;

static void mark_seen(void *ctx, eval_worker *w, unsigned part, size_t i, unsigned have,
                      const double *v, const tsdb_histogram *const *h)
{
    (void)w;
    (void)part;
    marking *m = ctx;
    _Atomic uint8_t *row = m->seen + (size_t)m->of[i] * m->steps;
    for (size_t k = 0; k < m->steps; k++) {
        if (((have & EVAL_FLOATS) && !eval_is_absent(v[k])) || ((have & EVAL_HISTOGRAMS) && h[k]))
            atomic_store_explicit(&row[k], 1, memory_order_relaxed);
    }
}

static unsigned set_fill(const eval_node *node, eval_worker *w, size_t i, double *v,
                         const tsdb_histogram **h)
{
    const set_node *n = (const set_node *)(const void *)node;
    if (n->right && i < n->left_count)
        return n->left->fill(n->left, w, i, v, h);
    size_t at = n->right ? i - n->left_count : i;
    eval_node *from = n->right ? n->right : n->left;
    unsigned have = from->fill(from, w, at, v, h);
    const _Atomic uint8_t *row = n->seen + (size_t)n->of[at] * node->times->steps;
    for (size_t k = 0; have && k < node->times->steps; k++) {
        bool seen = atomic_load_explicit(&row[k], memory_order_relaxed);
        if (seen == n->keep_seen)
            continue;
        if (have & EVAL_FLOATS)
            v[k] = eval_absent();
        if (have & EVAL_HISTOGRAMS)
            h[k] = NULL;
    }
    return have;
}

/* The series of both sides, the left ones first. */
static bool join_labels(eval_run *run, set_node *n)
{
    size_t l = n->left->count, r = n->right->count;
    tsdb_labels *labels = eval_alloc(run, l + r, sizeof *labels);
    if (!labels)
        return false;
    if (l)
        memcpy(labels, n->left->labels, l * sizeof *labels);
    if (r)
        memcpy(labels + l, n->right->labels, r * sizeof *labels);
    n->node.labels = labels;
    n->node.count = l + r;
    if (!n->left->drop && !n->right->drop)
        return true;
    uint8_t *drop = eval_zero(run, l + r, 1);
    if (drop && n->left->drop)
        memcpy(drop, n->left->drop, l);
    if (drop && n->right->drop)
        memcpy(drop + l, n->right->drop, r);
    n->node.drop = drop;
    return drop != NULL;
}

static eval_node *match_set(matcher *m)
{
    eval_run *run = m->run;
    bool is_or = m->op == PROMQL_OR;
    eval_node *left = m->many, *right = m->one;
    set_node *n = eval_node_new(run, sizeof *n, m->expr, m->times);
    if (!n)
        return NULL;
    if (is_or) { /* the left side is run over twice */
        eval_stored *held = eval_stored_all(run, left);
        left = held ? &held->node : NULL;
    }
    size_t cells = (size_t)m->groups * m->times->steps;
    _Atomic uint8_t *seen = left ? eval_zero(run, cells + 1, 1) : NULL;
    marking k = {is_or ? m->of_many : m->of_one, seen, m->times->steps};
    if (!seen || !eval_each(run, is_or ? left : right, 8, mark_seen, &k))
        return NULL;
    n->left = left;
    n->left_count = left->count;
    n->of = is_or ? m->of_one : m->of_many;
    n->seen = seen;
    n->keep_seen = m->op == PROMQL_AND;
    n->node.fill = set_fill;
    if (is_or) {
        n->right = right;
        return join_labels(run, n) ? eval_unique(run, &n->node, false) : NULL;
    }
    n->node.count = left->count;
    n->node.labels = left->labels;
    n->node.drop = left->drop;
    n->node.one_name = left->one_name;
    n->node.distinct = left->distinct;
    return &n->node;
}

eval_node *eval_vector_vector(eval_run *run, const promql_expr *e, const eval_times *times)
{
    matcher m = {.run = run,
                 .expr = e,
                 .times = times,
                 .matching = e->binary.matching,
                 .op = e->binary.op,
                 .give_bool = e->binary.return_bool};
    eval_node *left = eval_build(run, e->binary.left, times);
    eval_node *right = left ? eval_build(run, e->binary.right, times) : NULL;
    if (!right)
        return NULL;
    m.many_right = m.matching->card == PROMQL_ONE_TO_MANY;
    m.many = m.many_right ? right : left;
    m.one = m.many_right ? left : right;
    m.names = eval_sorted(run, m.matching->labels, m.matching->label_count);
    if (!m.names || !number_series(&m))
        return NULL;
    if (promql_op_is_set(m.op))
        return match_set(&m);
    bool fixed;
    eval_node *n = match_fixed(&m, &fixed);
    if (eval_failed(run))
        return NULL;
    if (fixed && (n->distinct || m.matching->card == PROMQL_ONE_TO_ONE))
        return n;
    if (fixed) { /* many to one: labels that are alike may still take turns */
        bool alike = false;
        if (!eval_any_equal(run, n, &alike))
            return NULL;
        if (!alike)
            return n;
    }
    return match_stepwise(&m);
}

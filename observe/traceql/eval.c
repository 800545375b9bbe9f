/* eval.c - expressions over spans, and pipelines over spansets. See eval.h. */
#include "observe/traceql/eval.h"

#include <stdlib.h>

/* --- One span. */

typedef struct test {
    tq_op op;
    const tq_value *literal;
    const sx_regex *regex;
    bool turned; /* the literal stands left */
} test;

static bool passes(void *ctx, const tq_value *v)
{
    const test *t = ctx;
    tq_value r = t->turned ? tq_binary(t->op, t->literal, v, t->regex)
                           : tq_binary(t->op, v, t->literal, t->regex);
    return r.type == TQ_BOOL && r.i;
}

static bool is_there(void *ctx, const tq_value *v)
{
    (void)ctx;
    (void)v;
    return true;
}

static tq_value of_bool(bool b)
{
    return (tq_value){.type = TQ_BOOL, .i = b};
}

static bool is_true(void *ctx, const tq_value *v)
{
    return v->type == TQ_BOOL && v->i == *(const int64_t *)ctx;
}

/* One of the field's values is this truth. */
static bool has_truth(const tq_node *field, const tq_trace *t, uint32_t i, int64_t truth)
{
    char hex[33];
    return tq_values(t, i, &field->field, hex, is_true, &truth);
}

bool tq_holds(sx_arena *arena, const tq_node *n, const tq_trace *t, uint32_t i)
{
    if (n->kind == TQ_FIELD)
        return has_truth(n, t, i, 1);
    tq_value v = tq_eval(arena, n, t, i);
    return v.type == TQ_BOOL && v.i;
}

static tq_value eval_binary(sx_arena *arena, const tq_node *n, const tq_trace *t, uint32_t i)
{
    char hex[33];
    bool field_left = n->left->kind == TQ_FIELD && n->right->kind == TQ_STATIC;
    bool field_right = n->right->kind == TQ_FIELD && n->left->kind == TQ_STATIC;
    if (tq_is_test(n->op) && (field_left || field_right)) {
        test c = {n->op, field_left ? &n->right->value : &n->left->value, n->regex, field_right};
        return of_bool(
            tq_values(t, i, field_left ? &n->left->field : &n->right->field, hex, passes, &c));
    }
    if (n->op == TQ_AND)
        return of_bool(tq_holds(arena, n->left, t, i) && tq_holds(arena, n->right, t, i));
    if (n->op == TQ_OR)
        return of_bool(tq_holds(arena, n->left, t, i) || tq_holds(arena, n->right, t, i));
    tq_value l = tq_eval(arena, n->left, t, i);
    tq_value r = tq_eval(arena, n->right, t, i);
    return tq_binary(n->op, &l, &r, n->regex);
}

tq_value tq_eval(sx_arena *arena, const tq_node *n, const tq_trace *t, uint32_t i)
{
    char hex[33];
    switch (n->kind) {
    case TQ_STATIC:
        return n->value;
    case TQ_FIELD: {
        tq_value v = tq_first(t, i, &n->field, hex);
        if (v.type == TQ_STR && v.s.data == hex) {
            v.s = sx_arena_copy(arena, v.s);
            if (!v.s.data)
                v.type = TQ_NIL;
        }
        return v;
    }
    case TQ_UNARY: {
        if ((n->op == TQ_EXISTS || n->op == TQ_ABSENT) && n->left->kind == TQ_FIELD)
            return of_bool(tq_values(t, i, &n->left->field, hex, is_there, NULL) ==
                           (n->op == TQ_EXISTS));
        if (n->op == TQ_NOT && n->left->kind == TQ_FIELD)
            return of_bool(has_truth(n->left, t, i, 0));
        tq_value v = tq_eval(arena, n->left, t, i);
        return tq_unary(n->op, &v);
    }
    case TQ_BINARY:
        return eval_binary(arena, n, t, i);
    default:
        return (tq_value){.type = TQ_NIL};
    }
}

/* --- Spansets. */

enum { WATCH_SPANS = 32, WATCH_STEPS = 64 }; /* an expression may hold a regex; 64 steps are one */

typedef struct runner {
    sx_arena *arena;
    const tq_trace *t;
    const tq_watch *watch;
    uint64_t looked; /* spans since the watch was asked, in parts of WATCH_STEPS */
    sx_error *err;
} runner;

/* Before so many steps of a few nanoseconds: whether the work is to end. */
static sx_status go_steps(runner *r, uint64_t steps)
{
    r->looked += steps;
    if (!r->watch || r->looked < (uint64_t)WATCH_SPANS * WATCH_STEPS)
        return SX_OK;
    r->looked = 0;
    return r->watch->look(r->watch->ctx, r->err);
}

/* Before an expression is evaluated over a span. */
static sx_status go_on(runner *r)
{
    return go_steps(r, WATCH_STEPS);
}

static sx_status run_stage(runner *r, const tq_node *n, const tq_spansets *in, tq_spansets *out);

static sx_status no_memory(runner *r)
{
    return sx_fail_memory(r->err, "spans that a query found");
}

static tq_spanset *add_set(runner *r, tq_spansets *out)
{
    if (!sx_arena_grow(r->arena, &out->items, &out->cap, out->count + 1, sizeof(tq_spanset)))
        return NULL;
    tq_spanset *s = &out->items[out->count++];
    *s = (tq_spanset){0};
    return s;
}

/* A set that inherits the notes of `from`. */
static tq_spanset *derive(runner *r, const tq_spanset *from, uint32_t cap, tq_spansets *out)
{
    uint32_t *spans = sx_arena_alloc(r->arena, ((size_t)cap + 1) * sizeof *spans);
    tq_spanset *s = spans ? add_set(r, out) : NULL;
    if (!s)
        return NULL;
    s->spans = spans;
    s->notes = from->notes;
    s->note_count = s->note_cap = from->note_count; /* full: who adds one copies them */
    return s;
}

static bool add_note(runner *r, tq_spanset *s, sx_str name, tq_value value)
{
    for (uint32_t i = 0; i < s->note_count; i++)
        if (sx_str_eq(s->notes[i].name, name))
            return true;
    size_t cap = s->note_cap;
    if (!sx_arena_grow(r->arena, &s->notes, &cap, s->note_count + 1, sizeof(tq_note)))
        return false;
    s->note_cap = (uint32_t)cap;
    s->notes[s->note_count++] = (tq_note){name, value};
    return true;
}

static sx_status run_filter(runner *r, const tq_node *n, const tq_spansets *in, tq_spansets *out)
{
    for (size_t k = 0; k < in->count; k++) {
        const tq_spanset *from = &in->items[k];
        tq_spanset *to = derive(r, from, from->count, out);
        if (!to)
            return no_memory(r);
        for (uint32_t i = 0; i < from->count; i++) {
            sx_status status = go_on(r);
            if (status != SX_OK)
                return status;
            if (tq_holds(r->arena, n->left, r->t, from->spans[i]))
                to->spans[to->count++] = from->spans[i];
        }
        if (!to->count)
            out->count--;
    }
    return SX_OK;
}

static void mark(const tq_spansets *sets, uint8_t *marks)
{
    for (size_t k = 0; k < sets->count; k++)
        for (uint32_t i = 0; i < sets->items[k].count; i++)
            marks[sets->items[k].spans[i]] = 1;
}

static sx_status unmark(runner *r, const tq_spanset *from, const uint8_t *marks, tq_spansets *out)
{
    uint32_t count = 0;
    sx_status status = go_steps(r, r->t->count);
    if (status != SX_OK)
        return status;
    for (uint32_t i = 0; i < r->t->count; i++)
        count += marks[i];
    if (!count)
        return SX_OK;
    tq_spanset *to = derive(r, from, count, out);
    if (!to)
        return no_memory(r);
    for (uint32_t i = 0; i < r->t->count; i++)
        if (marks[i])
            to->spans[to->count++] = i;
    return SX_OK;
}

/* What relates r to l, as marks in `out`; `l`, `r` and `out` are different rooms. */
static bool relate(runner *r, tq_op op, const uint8_t *lm, const uint8_t *rm, uint8_t *out)
{
    /* l > r read from the other side: r < l */
    static const tq_op OTHER[] = {TQ_PARENT_OF, TQ_CHILD, TQ_ANCESTOR, TQ_DESCENDANT, TQ_SIBLING};
    uint32_t n = r->t->count;
    if (!tq_relate(r->arena, op, r->t, lm, rm, out))
        return false;
    if (op >= TQ_NOT_CHILD && op <= TQ_NOT_SIBLING)
        for (uint32_t i = 0; i < n; i++)
            out[i] = rm[i] && !out[i];
    if (op < TQ_UNION_CHILD)
        return true;
    uint8_t *left = sx_arena_alloc(r->arena, n + 1);
    if (!left || !tq_relate(r->arena, OTHER[op - TQ_UNION_CHILD], r->t, rm, lm, left))
        return false;
    for (uint32_t i = 0; i < n; i++)
        out[i] |= left[i];
    return true;
}

static sx_status relate_set(runner *r, const tq_node *n, const tq_spanset *from, tq_spansets *out)
{
    tq_spansets in = {(tq_spanset *)from, 1, 1}, left = {0}, right = {0};
    bool needs_left = n->op != TQ_OR && !(n->op >= TQ_NOT_CHILD && n->op <= TQ_NOT_SIBLING);
    sx_status status = run_stage(r, n->left, &in, &left);
    if (status == SX_OK && needs_left && !left.count)
        return SX_OK;
    if (status == SX_OK)
        status = run_stage(r, n->right, &in, &right);
    if (status == SX_OK && n->op != TQ_OR && !right.count)
        return SX_OK;
    if (status == SX_OK)
        status = go_steps(r, 4 * (uint64_t)r->t->count);
    if (status != SX_OK)
        return status;
    size_t count = r->t->count + 1;
    uint8_t *lm = sx_arena_calloc(r->arena, count, 1), *rm = sx_arena_calloc(r->arena, count, 1);
    uint8_t *marks = sx_arena_calloc(r->arena, count, 1);
    if (!lm || !rm || !marks)
        return no_memory(r);
    mark(&left, lm);
    mark(&right, rm);
    if (n->op != TQ_AND && n->op != TQ_OR)
        return relate(r, n->op, lm, rm, marks) ? unmark(r, from, marks, out) : no_memory(r);
    for (uint32_t i = 0; i < r->t->count; i++)
        marks[i] = lm[i] | rm[i];
    return unmark(r, from, marks, out);
}

static sx_status run_relation(runner *r, const tq_node *n, const tq_spansets *in, tq_spansets *out)
{
    sx_status status = SX_OK;
    for (size_t k = 0; k < in->count && status == SX_OK; k++)
        status = relate_set(r, n, &in->items[k], out);
    return status;
}

/* --- by() and coalesce(). */

typedef struct keyed {
    tq_value key;
    uint32_t at;
} keyed;

static int compare_keyed(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    int order = tq_compare(&x->key, &y->key);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* By merging runs that double, so that it can be ended at any time, which qsort cannot. */
static sx_status sort_keyed(runner *r, keyed *keys, uint32_t count)
{
    keyed *from = keys, *to = sx_arena_alloc(r->arena, (count + 1) * sizeof *keys);
    if (!to)
        return no_memory(r);
    for (uint64_t run = 1; run < count; run *= 2) {
        for (uint64_t start = 0; start < count; start += 2 * run) {
            uint64_t mid = start + run < count ? start + run : count;
            uint64_t end = mid + run < count ? mid + run : count;
            for (uint64_t a = start, b = mid, at = start; at < end; at++) {
                bool left = a < mid && (b == end || compare_keyed(&from[a], &from[b]) <= 0);
                to[at] = from[left ? a++ : b++];
                sx_status status = go_steps(r, 4);
                if (status != SX_OK)
                    return status;
            }
        }
        keyed *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys)
        memcpy(keys, from, count * sizeof *keys);
    return SX_OK;
}

/* In the order of their first spans, which differ: each set is put where its own stands. */
static sx_status order_sets(runner *r, tq_spanset *sets, size_t count)
{
    tq_spanset **at = sx_arena_calloc(r->arena, r->t->count + 1, sizeof(tq_spanset *));
    tq_spanset *copy = sx_arena_alloc(r->arena, (count + 1) * sizeof *copy);
    if (!at || !copy)
        return no_memory(r);
    memcpy(copy, sets, count * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        at[copy[i].spans[0]] = &copy[i];
    for (uint32_t i = 0; i < r->t->count; i++)
        if (at[i])
            *sets++ = *at[i];
    return go_steps(r, 2 * (uint64_t)r->t->count);
}

static sx_status group_set(runner *r, const tq_node *n, const tq_spanset *from, sx_str name,
                           tq_spansets *out)
{
    keyed *keys = sx_arena_alloc(r->arena, (from->count + 1) * sizeof *keys);
    if (!keys)
        return no_memory(r);
    for (uint32_t i = 0; i < from->count; i++) {
        sx_status going = go_on(r);
        if (going != SX_OK)
            return going;
        keys[i] = (keyed){tq_eval(r->arena, n->left, r->t, from->spans[i]), from->spans[i]};
    }
    sx_status status = sort_keyed(r, keys, from->count);
    size_t first = out->count;
    for (uint32_t i = 0, end; i < from->count && status == SX_OK; i = end) {
        status = go_on(r);
        for (end = i + 1; end < from->count && !tq_compare(&keys[i].key, &keys[end].key);)
            end++;
        tq_spanset *to = derive(r, from, end - i, out);
        if (!to || !add_note(r, to, name, keys[i].key))
            return no_memory(r);
        for (uint32_t k = i; k < end; k++)
            to->spans[to->count++] = keys[k].at;
    }
    if (status == SX_OK && out->count > first + 1)
        status = order_sets(r, out->items + first, out->count - first);
    return status;
}

static sx_status run_by(runner *r, const tq_node *n, const tq_spansets *in, tq_spansets *out)
{
    sx_status status = SX_OK;
    sx_str name = tq_text(r->arena, n);
    for (size_t k = 0; k < in->count && status == SX_OK; k++)
        status = group_set(r, n, &in->items[k], name, out);
    return status;
}

static sx_status run_coalesce(runner *r, const tq_spansets *in, tq_spansets *out)
{
    uint8_t *marks = sx_arena_calloc(r->arena, r->t->count + 1, 1);
    if (!marks)
        return no_memory(r);
    mark(in, marks);
    return unmark(r, &(tq_spanset){0}, marks, out);
}

/* --- Numbers of a spanset. */

static tq_value sum_of(const tq_value *a, const tq_value *b)
{
    tq_type type = a->type == b->type && a->type != TQ_FLOAT ? a->type : TQ_FLOAT;
    if (type == TQ_FLOAT)
        return (tq_value){.type = TQ_FLOAT, .d = tq_number(a) + tq_number(b)};
    return (tq_value){.type = type, .i = (int64_t)((uint64_t)a->i + (uint64_t)b->i)};
}

static sx_status aggregate(runner *r, const tq_node *n, const tq_spanset *s, tq_value *out)
{
    *out = (tq_value){.type = TQ_INT, .i = s->count};
    if (n->function == TQ_COUNT)
        return SX_OK;
    tq_value all = {.type = TQ_NIL};
    int64_t count = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        sx_status status = go_on(r);
        if (status != SX_OK)
            return status;
        tq_value v = tq_eval(r->arena, n->left, r->t, s->spans[i]);
        if (!tq_is_number(v.type))
            continue;
        if (!count++)
            all = v;
        else if (n->function == TQ_MAX)
            all = tq_compare(&v, &all) > 0 ? v : all;
        else if (n->function == TQ_MIN)
            all = tq_compare(&v, &all) < 0 ? v : all;
        else
            all = sum_of(&all, &v);
    }
    *out = all;
    if (n->function == TQ_AVG && count)
        *out = all.type == TQ_DURATION
                   ? (tq_value){.type = TQ_DURATION, .i = all.i / count}
                   : (tq_value){.type = TQ_FLOAT, .d = tq_number(&all) / (double)count};
    return SX_OK;
}

/* A scalar expression; its aggregates become notes of the set. */
static sx_status scalar(runner *r, const tq_node *n, tq_spanset *s, tq_value *out)
{
    if (n->kind == TQ_STATIC) {
        *out = n->value;
        return SX_OK;
    }
    if (n->kind == TQ_AGGREGATE) {
        sx_status status = aggregate(r, n, s, out);
        if (status != SX_OK)
            return status;
        sx_str name = tq_text(r->arena, n);
        return add_note(r, s, name, *out) ? SX_OK : no_memory(r);
    }
    tq_value a, b;
    sx_status status = scalar(r, n->left, s, &a);
    if (status == SX_OK)
        status = scalar(r, n->right, s, &b);
    if (status == SX_OK)
        *out = tq_binary(n->op, &a, &b, NULL);
    return status;
}

static sx_status run_scalar_filter(runner *r, const tq_node *n, const tq_spansets *in,
                                   tq_spansets *out)
{
    for (size_t k = 0; k < in->count; k++) {
        tq_spanset *s = add_set(r, out);
        tq_value a, b;
        if (!s)
            return no_memory(r);
        *s = in->items[k];
        s->note_cap = s->note_count;
        sx_status status = scalar(r, n->left, s, &a);
        if (status == SX_OK)
            status = scalar(r, n->right, s, &b);
        if (status != SX_OK)
            return status;
        if (!tq_binary(n->op, &a, &b, NULL).i)
            out->count--;
    }
    return SX_OK;
}

static sx_status run_stage(runner *r, const tq_node *n, const tq_spansets *in, tq_spansets *out)
{
    switch (n->kind) {
    case TQ_FILTER:
        return run_filter(r, n, in, out);
    case TQ_RELATION:
        return run_relation(r, n, in, out);
    case TQ_BY:
        return run_by(r, n, in, out);
    case TQ_COALESCE:
        return run_coalesce(r, in, out);
    case TQ_SCALAR_FILTER:
        return run_scalar_filter(r, n, in, out);
    case TQ_PIPELINE: {
        tq_spansets at = *in;
        for (uint32_t i = 0; i < n->count && at.count; i++) {
            tq_spansets next = {0};
            sx_status status = run_stage(r, n->items[i], &at, &next);
            if (status != SX_OK)
                return status;
            at = next;
        }
        *out = at;
        return SX_OK;
    }
    default: /* select(): for who writes the answer */
        *out = *in;
        return SX_OK;
    }
}

sx_status tq_run(sx_arena *arena, const tq_node *pipeline, const tq_trace *t, const tq_watch *watch,
                 tq_spansets *out, sx_error *err)
{
    runner r = {.arena = arena, .t = t, .watch = watch, .err = err};
    tq_spanset all = {.count = t->count};
    tq_spansets in = {&all, 1, 1};
    *out = (tq_spansets){0};
    all.spans = sx_arena_alloc(arena, (t->count + 1) * sizeof(uint32_t));
    if (!all.spans)
        return no_memory(&r);
    for (uint32_t i = 0; i < t->count; i++)
        all.spans[i] = i;
    if (!t->count)
        return SX_OK;
    sx_status status = run_stage(&r, pipeline, &in, out);
    /* select() alone gives back the input, which is on this stack */
    if (status == SX_OK && out->items == &all) {
        tq_spansets copy = {0};
        if (!derive(&r, &all, 0, &copy))
            return no_memory(&r);
        copy.items[0] = all;
        *out = copy;
    }
    return status;
}

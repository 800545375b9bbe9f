/* push.c - what of a query the store can answer: conditions on single spans as a span_filter.
 *
 * A filter that is pushed must not lose a trace: each trace that the query finds has a span that it
 * matches. Where a condition cannot be told so (it looks at the trace, compares two fields) it becomes
 * less (the fields must be there) or nothing (NULL: any span). `exact` says that the filter is the
 * expression: only then may it be negated, or stand for it alone. */
#include <sextant/mem.h>

#include "observe/traceql/ast.h"

typedef struct pusher {
    traceql_query *q;
    int depth;
    const span_filter *also; /* of the pipeline under way */
    sx_status status;
    sx_error *err;
} pusher;

typedef struct pushed {
    const span_filter *filter; /* NULL: all */
    bool exact;
    bool of_root; /* matches the trace's root, not the spans that the query finds */
} pushed;

static const pushed ALL = {NULL, false, false};

static span_filter *make(pusher *p, filter_kind kind)
{
    span_filter *f = sx_arena_calloc(&p->q->arena, 1, sizeof *f);
    if (f)
        f->kind = kind;
    else if (p->status == SX_OK)
        p->status = sx_fail_memory(p->err, "a query");
    return f;
}

static const struct {
    filter_field field;
    uint32_t place;
} FIELDS[TQ_SOURCES] = {
    [TQ_ATTR] = {FILTER_ATTRIBUTE, FILTER_SPAN_OR_RESOURCE},
    [TQ_ATTR_SPAN] = {FILTER_ATTRIBUTE, FILTER_SPAN},
    [TQ_ATTR_RESOURCE] = {FILTER_ATTRIBUTE, FILTER_RESOURCE},
    [TQ_ATTR_EVENT] = {FILTER_ATTRIBUTE, FILTER_EVENT},
    [TQ_ATTR_LINK] = {FILTER_ATTRIBUTE, FILTER_LINK},
    [TQ_ATTR_SCOPE] = {FILTER_ATTRIBUTE, FILTER_SCOPE},
    [TQ_SPAN_DURATION] = {FILTER_DURATION, 0},
    [TQ_SPAN_NAME] = {FILTER_NAME, 0},
    [TQ_SPAN_STATUS] = {FILTER_STATUS, 0},
    [TQ_SPAN_STATUS_MESSAGE] = {FILTER_STATUS_MESSAGE, 0},
    [TQ_SPAN_KIND] = {FILTER_KIND, 0},
    [TQ_SPAN_ID] = {FILTER_SPAN_ID, 0},
    [TQ_SPAN_PARENT_ID] = {FILTER_PARENT_ID, 0},
    [TQ_TRACE_ID] = {FILTER_TRACE_ID, 0},
    [TQ_EVENT_NAME] = {FILTER_EVENT_NAME, 0},
    [TQ_EVENT_SINCE_START] = {FILTER_EVENT_SINCE_START, 0},
    [TQ_LINK_TRACE_ID] = {FILTER_LINK_TRACE_ID, 0},
    [TQ_LINK_SPAN_ID] = {FILTER_LINK_SPAN_ID, 0},
    [TQ_SCOPE_NAME] = {FILTER_SCOPE_NAME, 0},
    [TQ_SCOPE_VERSION] = {FILTER_SCOPE_VERSION, 0},
};

/* Fields the store knows nothing of: they are of the trace. */
static bool is_of_trace(const tq_field *f)
{
    return f->of_parent || (f->source != TQ_ATTR && FIELDS[f->source].field == FILTER_ATTRIBUTE &&
                            !FIELDS[f->source].place);
}

bool traceql_field_stored(const struct tq_field *f, filter_field *field, uint32_t *place)
{
    *field = FIELDS[f->source].field;
    *place = FIELDS[f->source].place;
    return !is_of_trace(f);
}

static bool is_id(filter_field f)
{
    return f == FILTER_TRACE_ID || f == FILTER_SPAN_ID || f == FILTER_PARENT_ID ||
           f == FILTER_LINK_TRACE_ID || f == FILTER_LINK_SPAN_ID;
}

static const filter_op OPS[TQ_OPS] = {[TQ_EQ] = FILTER_EQ,       [TQ_NE] = FILTER_NE,
                                      [TQ_LT] = FILTER_LT,       [TQ_LE] = FILTER_LE,
                                      [TQ_GT] = FILTER_GT,       [TQ_GE] = FILTER_GE,
                                      [TQ_MATCH] = FILTER_MATCH, [TQ_NOT_MATCH] = FILTER_NOT_MATCH};

static span_value to_span_value(const tq_value *v)
{
    switch (v->type) {
    case TQ_STR:
        return (span_value){.data = v->s.data, .len = (uint32_t)v->s.len, .type = SPAN_STR};
    case TQ_FLOAT:
        return (span_value){.d = v->d, .type = SPAN_DOUBLE};
    case TQ_BOOL:
        return (span_value){.i = v->i, .type = SPAN_BOOL};
    default:
        return (span_value){.i = v->i, .type = SPAN_INT};
    }
}

/* field op literal; op EXISTS has no literal. */
static pushed leaf(pusher *p, const tq_field *field, filter_op op, const tq_value *v,
                   const sx_regex *regex)
{
    if (is_of_trace(field))
        return ALL;
    filter_field f = FIELDS[field->source].field;
    if (is_id(f) && op != FILTER_EQ && op != FILTER_NE)
        return ALL;
    span_filter *l = make(p, FILTER_LEAF);
    if (!l)
        return ALL;
    l->field = f;
    l->place = FIELDS[field->source].place;
    l->key = field->key;
    l->op = op;
    l->regex = regex;
    if (v)
        l->value = to_span_value(v);
    /* The store has the service by itself: the attribute's text wherever it is one. */
    if (field->source == TQ_ATTR_RESOURCE && op == FILTER_EQ && v->type == TQ_STR && v->s.len &&
        sx_str_eq(field->key, SX_STR("service.name")))
        l->field = FILTER_SERVICE;
    return (pushed){l, true, false};
}

static pushed join(pusher *p, filter_kind kind, const pushed *parts, uint32_t count)
{
    const span_filter **children = sx_arena_alloc(&p->q->arena, (count + 1) * sizeof *children);
    span_filter *f = make(p, kind);
    pushed out = {f, true, false};
    if (!children || !f) {
        if (p->status == SX_OK)
            p->status = sx_fail_memory(p->err, "a query");
        return ALL;
    }
    for (uint32_t i = 0; i < count; i++) {
        out.exact &= parts[i].exact;
        if (parts[i].filter)
            children[f->child_count++] = parts[i].filter;
        else if (kind == FILTER_OR)
            return ALL;
    }
    f->children = children;
    if (!f->child_count)
        return (pushed){NULL, out.exact, false};
    if (f->child_count == 1 && kind != FILTER_NOT)
        out.filter = children[0];
    return out;
}

static pushed negated(pusher *p, pushed x)
{
    if (!x.exact)
        return ALL;
    if (!x.filter) { /* not everything: nothing */
        span_filter *none = make(p, FILTER_OR);
        return (pushed){none, none != NULL, false};
    }
    return join(p, FILTER_NOT, &x, 1);
}

static pushed push_field(pusher *p, const tq_node *n);

/* A chain of one operator as one node: a || b || c. */
static pushed push_chain(pusher *p, const tq_node *n)
{
    uint32_t count = 1;
    for (const tq_node *at = n; at->kind == TQ_BINARY && at->op == n->op; at = at->left)
        count++;
    pushed *parts = sx_arena_alloc(&p->q->arena, count * sizeof *parts);
    if (!parts) {
        p->status = sx_fail_memory(p->err, "a query");
        return ALL;
    }
    uint32_t i = count;
    const tq_node *at = n;
    for (; at->kind == TQ_BINARY && at->op == n->op; at = at->left)
        parts[--i] = push_field(p, at->right);
    parts[--i] = push_field(p, at);
    return join(p, n->op == TQ_AND ? FILTER_AND : FILTER_OR, parts + i, count - i);
}

/* Arithmetic with a field that is not there is nil, and nil compares with nothing: all fields of the
 * two sides must be there. */
static void collect_needed(pusher *p, const tq_node *n, pushed *parts, uint32_t *count)
{
    if (n->kind == TQ_FIELD && tq_is_attribute(n->field.source) && *count < 16)
        parts[(*count)++] = leaf(p, &n->field, FILTER_EXISTS, NULL, NULL);
    if ((n->kind == TQ_BINARY || n->kind == TQ_UNARY) && !tq_is_test(n->op)) {
        collect_needed(p, n->left, parts, count);
        if (n->right)
            collect_needed(p, n->right, parts, count);
    }
}

static pushed push_test(pusher *p, const tq_node *n)
{
    static const tq_op TURNED[TQ_OPS] = {[TQ_EQ] = TQ_EQ, [TQ_NE] = TQ_NE, [TQ_LT] = TQ_GT,
                                         [TQ_LE] = TQ_GE, [TQ_GT] = TQ_LT, [TQ_GE] = TQ_LE};
    if (n->left->kind == TQ_FIELD && n->right->kind == TQ_STATIC)
        return leaf(p, &n->left->field, OPS[n->op], &n->right->value, n->regex);
    if (n->left->kind == TQ_STATIC && n->right->kind == TQ_FIELD && TURNED[n->op])
        return leaf(p, &n->right->field, OPS[TURNED[n->op]], &n->left->value, NULL);
    if (n->left->kind == TQ_STATIC && n->right->kind == TQ_STATIC) {
        tq_value v = tq_binary(n->op, &n->left->value, &n->right->value, n->regex);
        pushed all = {NULL, true, false};
        return v.i ? all : negated(p, all);
    }
    pushed parts[16];
    uint32_t count = 0;
    collect_needed(p, n->left, parts, &count);
    collect_needed(p, n->right, parts, &count);
    pushed out = join(p, FILTER_AND, parts, count);
    out.exact = false;
    return out;
}

static pushed push_truth(pusher *p, const tq_field *f, bool truth)
{
    tq_value v = {.type = TQ_BOOL, .i = truth};
    return leaf(p, f, FILTER_EQ, &v, NULL);
}

static pushed push_node(pusher *p, const tq_node *n)
{
    switch (n->kind) {
    case TQ_STATIC: {
        pushed all = {NULL, true, false};
        return n->value.type == TQ_BOOL && n->value.i ? all : negated(p, all);
    }
    case TQ_FIELD:
        return push_truth(p, &n->field, true);
    case TQ_UNARY: {
        if (n->op == TQ_NOT)
            return n->left->kind == TQ_FIELD ? push_truth(p, &n->left->field, false)
                                             : negated(p, push_field(p, n->left));
        if (n->op != TQ_EXISTS && n->op != TQ_ABSENT)
            return ALL;
        if (n->left->kind != TQ_FIELD)
            return ALL;
        pushed there = leaf(p, &n->left->field, FILTER_EXISTS, NULL, NULL);
        return n->op == TQ_EXISTS ? there : negated(p, there);
    }
    case TQ_BINARY:
        if (n->op == TQ_AND || n->op == TQ_OR)
            return push_chain(p, n);
        return tq_is_test(n->op) ? push_test(p, n) : ALL;
    default:
        return ALL;
    }
}

static pushed push_field(pusher *p, const tq_node *n)
{
    pushed out = ALL;
    /* a && b || c && d ... nests to the left without end; the store takes so many levels */
    if (++p->depth < SPAN_FILTER_DEPTH_MAX - 8 && p->status == SX_OK)
        out = push_node(p, n);
    p->depth--;
    return out;
}

/* A condition on the trace's root that all traces found meet, as one on the root: `{rootName = "x"}`
 * finds traces that have a span called x. */
static pushed push_root(pusher *p, const tq_node *n)
{
    if (n->kind != TQ_BINARY)
        return ALL;
    if (n->op == TQ_AND) {
        pushed left = push_root(p, n->left);
        return left.filter ? left : push_root(p, n->right);
    }
    if (n->left->kind != TQ_FIELD || n->right->kind != TQ_STATIC || n->left->field.of_parent)
        return ALL;
    tq_source s = n->left->field.source;
    if (s != TQ_TRACE_ROOT_NAME && s != TQ_TRACE_ROOT_SERVICE)
        return ALL;
    span_filter *l = make(p, FILTER_LEAF);
    if (l) {
        l->field = s == TQ_TRACE_ROOT_NAME ? FILTER_NAME : FILTER_SERVICE;
        l->op = OPS[n->op];
        l->value = to_span_value(&n->right->value);
        l->regex = n->regex;
    }
    return (pushed){l, false, true};
}

/* How much a filter is worth: the more the fewer spans it is likely to match. */
static int worth(const span_filter *f)
{
    if (!f)
        return 0;
    int best = f->kind == FILTER_OR && f->child_count ? 99 : 1;
    for (uint32_t i = 0; i < f->child_count && f->kind != FILTER_NOT; i++) {
        int w = worth(f->children[i]);
        if (f->kind == FILTER_AND ? w > best : w < best)
            best = w;
    }
    if (f->kind != FILTER_LEAF)
        return f->kind == FILTER_AND ? best + 1 : best;
    if (f->op != FILTER_EQ)
        return f->op == FILTER_EXISTS || f->op == FILTER_NE || f->op == FILTER_NOT_MATCH ? 1 : 2;
    return is_id(f->field) ? 9 : f->field == FILTER_ATTRIBUTE ? 5 : f->field == FILTER_NAME ? 4 : 3;
}

static pushed better(pushed a, pushed b)
{
    pushed out = worth(b.filter) > worth(a.filter) ? b : a;
    out.exact = false;
    return out;
}

static pushed push_sets(pusher *p, tq_node *n)
{
    if (n->kind == TQ_FILTER) {
        pushed f = push_field(p, n->left);
        return f.filter || f.exact ? f : push_root(p, n->left);
    }
    if (n->kind == TQ_PIPELINE)
        return (pushed){n->pushed, n->exact, !n->exact};
    const span_filter *before = p->also;
    pushed l = push_sets(p, n->left), r = push_sets(p, n->right), best = better(l, r);
    bool is_not = n->op >= TQ_NOT_CHILD && n->op <= TQ_NOT_SIBLING;
    const span_filter *other = best.filter == l.filter ? r.filter : l.filter;
    if (n->op == TQ_OR || is_not) /* one side is enough */
        p->also = before;
    else if (other)
        p->also = other;
    if (n->op == TQ_OR) {
        pushed parts[2] = {l, r};
        return join(p, FILTER_OR, parts, 2);
    }
    return is_not ? (pushed){r.filter, false, r.of_root} : best;
}

static void push_pipeline(pusher *p, tq_node *n)
{
    pushed all = {NULL, true, false};
    bool filters = true, first = true;
    p->also = NULL;
    for (uint32_t i = 0; i < n->count; i++) {
        tq_node *item = n->items[i];
        if (item->kind == TQ_SCALAR_FILTER || item->kind == TQ_BY || item->kind == TQ_COALESCE)
            all.exact = false;
        if (item->kind != TQ_FILTER && item->kind != TQ_RELATION && item->kind != TQ_PIPELINE)
            continue;
        pushed one = push_sets(p, item);
        filters &= item->kind == TQ_FILTER;
        if (first) {
            one.exact &= all.exact;
            all = one;
        } else if (filters && !all.of_root &&
                   !one.of_root) { /* one and the same span must pass both */
            pushed parts[2] = {all, one};
            all = join(p, FILTER_AND, parts, 2);
        } else {
            all = better(all, one);
        }
        first = false;
    }
    n->pushed = all.filter;
    n->exact = all.exact;
    n->also = p->also;
}

/* Inner pipelines first: the outer ones ask them. */
static void push_all(pusher *p, tq_node *n)
{
    if (n->left)
        push_all(p, n->left);
    if (n->right)
        push_all(p, n->right);
    for (uint32_t i = 0; i < n->count; i++)
        push_all(p, n->items[i]);
    if (n->kind == TQ_PIPELINE && p->status == SX_OK)
        push_pipeline(p, n);
}

sx_status tq_push(traceql_query *q, sx_error *err)
{
    pusher p = {.q = q, .err = err};
    push_all(&p, q->root);
    return p.status;
}

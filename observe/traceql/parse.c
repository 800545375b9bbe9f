/* parse.c - queries outside of field expressions: spansets and their relations, pipelines, aggregates,
 * series. Tempo's grammar has a rule for each mix of these; here one expression is parsed and what
 * stands left and right of an operator (spans, a number, series) tells which rule it is. */
#include "observe/traceql/parser.h"

#include <sextant/mem.h>

/* --- Tokens and nodes. */

tq_node *tq_node_new(tq_parser *p, tq_kind_of kind, uint32_t at)
{
    if (p->status != SX_OK)
        return NULL;
    if (++p->nodes > TQ_NODES_MAX) {
        p->status = sx_fail(p->err, SX_ELIMIT, "a query may have %d parts: this one has more",
                            TQ_NODES_MAX);
        return NULL;
    }
    tq_node *n = sx_arena_calloc(&p->q->arena, 1, sizeof *n);
    if (!n) {
        p->status = sx_fail_memory(p->err, "a query");
        return NULL;
    }
    n->kind = kind;
    n->at = at;
    return n;
}

bool tq_node_add(tq_parser *p, tq_node *list, tq_node *item)
{
    if (!list || !item)
        return false;
    size_t cap = list->cap;
    if (!sx_arena_grow(&p->q->arena, &list->items, &cap, list->count + 1, sizeof(tq_node *))) {
        p->status = sx_fail_memory(p->err, "a query");
        return false;
    }
    list->cap = (uint32_t)cap;
    list->items[list->count++] = item;
    return true;
}

bool tq_advance(tq_parser *p)
{
    if (p->status == SX_OK)
        p->status = tq_lex(&p->lexer, &p->token, p->err);
    return p->status == SX_OK;
}

bool tq_at_sign(const tq_parser *p, const char *text)
{
    return p->token.kind == TQ_T_SIGN && sx_str_eq(p->token.text, sx_str_z(text));
}

bool tq_at_word(const tq_parser *p, const char *text)
{
    return p->token.kind == TQ_T_WORD && sx_str_eq(p->token.text, sx_str_z(text));
}

tq_node *tq_unexpected(tq_parser *p, const char *expecting)
{
    if (p->status != SX_OK)
        return NULL;
    const tq_token *t = &p->token;
    sx_str text = t->kind == TQ_T_END
                      ? SX_STR("$end")
                      : sx_str_of(p->q->text.data + t->at, t->end > t->at ? t->end - t->at : 0);
    p->status = tq_fail_at(p->q->text, t->at, p->err, "syntax error: unexpected %.*s%s%s",
                           (int)(text.len < 80 ? text.len : 80), text.data,
                           expecting ? ", expecting " : "", expecting ? expecting : "");
    return NULL;
}

bool tq_expect(tq_parser *p, const char *text)
{
    if (p->status != SX_OK)
        return false;
    if (tq_at_sign(p, text))
        return tq_advance(p);
    tq_unexpected(p, text);
    return false;
}

bool tq_enter(tq_parser *p)
{
    if (p->status != SX_OK)
        return false;
    if (++p->depth <= TQ_DEPTH_MAX)
        return true;
    p->status =
        sx_fail(p->err, SX_ELIMIT, "a query may nest %d levels: this one is deeper", TQ_DEPTH_MAX);
    return false;
}

/* --- What a node stands for. */
enum { SPANS, NUMBER, SERIES, STAGE };

static int class_of(const tq_node *n)
{
    switch (n->kind) {
    case TQ_FILTER:
    case TQ_RELATION:
    case TQ_PIPELINE:
        return SPANS;
    case TQ_STATIC:
    case TQ_AGGREGATE:
    case TQ_SCALAR:
        return NUMBER;
    case TQ_SERIES:
    case TQ_SERIES_MATH:
    case TQ_SERIES_FILTER:
    case TQ_SERIES_TOP:
        return SERIES;
    default:
        return STAGE;
    }
}

/* Where an operator means a comparison of numbers though it relates spansets too. */
static tq_op as_number_op(const tq_sign *sign)
{
    return sign->field >= TQ_MATCH ? TQ_OP_NONE : sign->field;
}

static bool is_sets_op(tq_op op)
{
    return op == TQ_AND || op == TQ_OR || op >= TQ_CHILD;
}

static tq_node *bad_operator(tq_parser *p, const tq_sign *sign, uint32_t at)
{
    if (p->status == SX_OK)
        p->status = tq_fail_at(p->q->text, at, p->err, "syntax error: unexpected %s", sign->text);
    return NULL;
}

/* Two numbers: folded if both are literals, else of an aggregate. */
static tq_node *number_op(tq_parser *p, const tq_sign *sign, tq_node *l, tq_node *r, uint32_t at)
{
    tq_op op = as_number_op(sign);
    bool constant = l->kind == TQ_STATIC && r->kind == TQ_STATIC;
    if (!op || (constant && op >= TQ_EQ))
        return bad_operator(p, sign, at);
    if (constant) {
        tq_value v = tq_binary(op, &l->value, &r->value, NULL);
        if (v.type == TQ_NIL) {
            p->status = tq_fail_at(p->q->text, at, p->err, "division by zero");
            return NULL;
        }
        l->value = v;
        return l;
    }
    tq_node *n = tq_node_new(p, op >= TQ_EQ ? TQ_SCALAR_FILTER : TQ_SCALAR, at);
    if (n) {
        n->op = op;
        n->left = l;
        n->right = r;
    }
    return n;
}

static tq_node *series_op(tq_parser *p, const tq_sign *sign, tq_node *l, tq_node *r, uint32_t at)
{
    tq_op op = as_number_op(sign);
    bool test = op >= TQ_EQ && op <= TQ_GE;
    bool bad = class_of(l) != SERIES && l->kind != TQ_STATIC;
    bad |= class_of(r) != SERIES && r->kind != TQ_STATIC;
    bad |= !op || op == TQ_MOD || op == TQ_POW;
    bad |= test && (class_of(l) != SERIES || r->kind != TQ_STATIC);
    if (bad)
        return bad_operator(p, sign, at);
    const tq_node *number = l->kind == TQ_STATIC ? l : r;
    if (!test && number->kind == TQ_STATIC && number->value.type == TQ_DURATION) {
        p->status = tq_fail_at(p->q->text, number->at, p->err,
                               "durations are not supported in arithmetic of series");
        return NULL;
    }
    tq_node *n = tq_node_new(p, test ? TQ_SERIES_FILTER : TQ_SERIES_MATH, at);
    if (n) {
        n->op = op;
        n->left = l;
        n->right = r;
    }
    return n;
}

static tq_node *join(tq_parser *p, const tq_sign *sign, tq_node *l, tq_node *r, uint32_t at)
{
    int a = class_of(l), b = class_of(r);
    if (a == SERIES || b == SERIES)
        return series_op(p, sign, l, r, at);
    if (a == NUMBER && b == NUMBER)
        return number_op(p, sign, l, r, at);
    if (a != SPANS || b != SPANS || !is_sets_op(sign->sets))
        return bad_operator(p, sign, at);
    tq_node *n = tq_node_new(p, TQ_RELATION, at);
    if (n) {
        n->op = sign->sets;
        n->left = l;
        n->right = r;
    }
    return n;
}

/* --- Primaries. */

static tq_node *parse_pipeline(tq_parser *p);
static tq_node *parse_level(tq_parser *p, int level);

static tq_node *parse_filter(tq_parser *p)
{
    tq_node *n = tq_node_new(p, TQ_FILTER, p->token.at);
    if (!n || !tq_expect(p, "{"))
        return NULL;
    if (tq_at_sign(p, "}")) {
        n->left = tq_node_new(p, TQ_STATIC, p->token.at);
        if (n->left)
            n->left->value = (tq_value){.type = TQ_BOOL, .i = 1};
    } else {
        n->left = tq_parse_field(p);
    }
    return n->left && tq_expect(p, "}") ? n : NULL;
}

static tq_node *parse_aggregate(tq_parser *p, tq_function f)
{
    tq_node *n = tq_node_new(p, TQ_AGGREGATE, p->token.at);
    if (!n || !tq_advance(p) || !tq_expect(p, "("))
        return NULL;
    n->function = f;
    if (f != TQ_COUNT && !(n->left = tq_parse_field(p)))
        return NULL;
    return tq_expect(p, ")") ? n : NULL;
}

static bool function_at(const tq_parser *p, tq_function from, tq_function to, tq_function *out)
{
    for (int f = (int)from; p->token.kind == TQ_T_WORD && f <= (int)to; f++)
        if (sx_str_eq(p->token.text, sx_str_z(tq_function_name((tq_function)f)))) {
            *out = (tq_function)f;
            return true;
        }
    return false;
}

/* -x: folded into a literal, 0 - x of an aggregate. */
static tq_node *negate(tq_parser *p, tq_node *n, uint32_t at)
{
    if (!n)
        return NULL;
    if (n->kind == TQ_STATIC) {
        n->value = tq_unary(TQ_NEG, &n->value);
        return n;
    }
    tq_node *sum = class_of(n) == NUMBER ? tq_node_new(p, TQ_SCALAR, at) : tq_unexpected(p, NULL);
    tq_node *zero = tq_node_new(p, TQ_STATIC, at);
    if (!sum || !zero)
        return NULL;
    zero->value = (tq_value){.type = TQ_INT};
    sum->op = TQ_SUB;
    sum->left = zero;
    sum->right = n;
    return sum;
}

static tq_node *parse_primary(tq_parser *p)
{
    uint32_t at = p->token.at;
    tq_function f;
    if (tq_at_sign(p, "{"))
        return parse_filter(p);
    if (tq_at_sign(p, "(")) {
        if (!tq_advance(p))
            return NULL;
        tq_node *inner = parse_pipeline(p);
        return inner && tq_expect(p, ")") ? inner : NULL;
    }
    if (tq_at_sign(p, "-")) {
        if (!tq_enter(p) || !tq_advance(p))
            return NULL;
        tq_node *n = negate(p, parse_primary(p), at);
        p->depth--;
        return n;
    }
    if (function_at(p, TQ_COUNT, TQ_SUM, &f))
        return parse_aggregate(p, f);
    if (p->token.kind != TQ_T_INT && p->token.kind != TQ_T_FLOAT && p->token.kind != TQ_T_DURATION)
        return tq_unexpected(p, "{ or (");
    tq_node *n = tq_node_new(p, TQ_STATIC, at);
    return n && tq_parse_static(p, &n->value) ? n : NULL;
}

static tq_node *parse_level(tq_parser *p, int level)
{
    if (!tq_enter(p))
        return NULL;
    tq_node *left = parse_primary(p);
    while (left) {
        const tq_sign *sign = tq_sign_of(&p->token);
        if (!sign || sign->level < level)
            break;
        uint32_t at = p->token.at;
        if (!tq_advance(p))
            return NULL;
        tq_node *right = parse_level(p, sign->level + (sign->level != TQ_LEVEL_POWER));
        left = right ? join(p, sign, left, right, at) : NULL;
    }
    p->depth--;
    return left;
}

/* --- Stages. */

/* ( field, field ... ) into the node's items. */
static bool parse_fields(tq_parser *p, tq_node *n)
{
    if (!tq_expect(p, "("))
        return false;
    for (;;) {
        if (!tq_node_add(p, n, tq_parse_attribute(p)))
            return false;
        if (!tq_at_sign(p, ","))
            return tq_expect(p, ")");
        if (!tq_advance(p))
            return false;
    }
}

/* , number, number ... up to the bracket. */
static bool parse_numbers(tq_parser *p, tq_node *n, bool whole)
{
    double numbers[64];
    while (tq_at_sign(p, ",")) {
        tq_value v;
        if (!tq_advance(p))
            return false;
        bool fits = p->token.kind == TQ_T_INT || (!whole && p->token.kind == TQ_T_FLOAT);
        if (!fits || n->number_count == 64) {
            tq_unexpected(p, whole ? "INTEGER" : "FLOAT or INTEGER");
            return false;
        }
        if (!tq_parse_static(p, &v))
            return false;
        numbers[n->number_count++] = tq_number(&v);
    }
    if (!n->number_count)
        return true;
    n->numbers = sx_arena_alloc(&p->q->arena, n->number_count * sizeof(double));
    if (!n->numbers) {
        p->status = sx_fail_memory(p->err, "a query");
        return false;
    }
    memcpy(n->numbers, numbers, n->number_count * sizeof(double));
    return true;
}

static bool parse_series_arguments(tq_parser *p, tq_node *n)
{
    switch (n->function) {
    case TQ_RATE:
    case TQ_COUNT_OVER_TIME:
        return true;
    case TQ_COMPARE:
        n->right = tq_at_sign(p, "{") ? parse_filter(p) : tq_unexpected(p, "{");
        if (!n->right || !parse_numbers(p, n, true))
            return false;
        if (n->number_count == 0 || n->number_count == 1 || n->number_count == 3)
            return true;
        tq_unexpected(p, ",");
        return false;
    case TQ_QUANTILE_OVER_TIME:
        n->right = tq_parse_attribute(p);
        if (n->right && !tq_at_sign(p, ","))
            tq_unexpected(p, ",");
        return n->right && parse_numbers(p, n, false);
    default:
        n->right = tq_parse_attribute(p);
        return n->right != NULL;
    }
}

/* rate() by (...) over the pipeline so far. */
static tq_node *parse_series(tq_parser *p, tq_node *pipeline, tq_function f)
{
    tq_node *n = tq_node_new(p, TQ_SERIES, p->token.at);
    if (!n || !tq_advance(p) || !tq_expect(p, "("))
        return NULL;
    n->function = f;
    n->left = pipeline;
    if (!parse_series_arguments(p, n) || !tq_expect(p, ")"))
        return NULL;
    if (f != TQ_COMPARE && tq_at_word(p, "by") && (!tq_advance(p) || !parse_fields(p, n)))
        return NULL;
    return p->status == SX_OK ? n : NULL;
}

static tq_node *parse_top(tq_parser *p, tq_node *series, tq_function f)
{
    tq_node *n = tq_node_new(p, TQ_SERIES_TOP, p->token.at);
    if (!n || !tq_advance(p) || !tq_expect(p, "("))
        return NULL;
    if (p->token.kind != TQ_T_INT)
        return tq_unexpected(p, "INTEGER");
    n->function = f;
    n->left = series;
    return tq_parse_static(p, &n->value) && tq_expect(p, ")") ? n : NULL;
}

/* What may follow a series: | topk(n), and comparisons with a number. */
static tq_node *parse_second_stages(tq_parser *p, tq_node *series)
{
    while (series) {
        const tq_sign *sign = tq_sign_of(&p->token);
        tq_function f;
        if (tq_at_sign(p, "|")) {
            if (!tq_advance(p))
                return NULL;
            if (!function_at(p, TQ_TOPK, TQ_BOTTOMK, &f))
                return tq_unexpected(p, "topk or bottomk");
            series = parse_top(p, series, f);
        } else if (sign && sign->level == TQ_LEVEL_TEST && as_number_op(sign)) {
            uint32_t at = p->token.at;
            if (!tq_advance(p))
                return NULL;
            tq_node *number = parse_level(p, TQ_LEVEL_SUM);
            series = number ? series_op(p, sign, series, number, at) : NULL;
        } else {
            return series;
        }
    }
    return NULL;
}

static tq_node *parse_by(tq_parser *p)
{
    tq_node *n = tq_node_new(p, TQ_BY, p->token.at);
    if (!n || !tq_advance(p) || !tq_expect(p, "(") || !(n->left = tq_parse_field(p)))
        return NULL;
    return tq_expect(p, ")") ? n : NULL;
}

static tq_node *parse_stage(tq_parser *p, bool first)
{
    if (tq_at_word(p, "by"))
        return parse_by(p);
    if (tq_at_word(p, "select")) {
        tq_node *n = tq_node_new(p, TQ_SELECT, p->token.at);
        return n && tq_advance(p) && parse_fields(p, n) ? n : NULL;
    }
    if (tq_at_word(p, "coalesce") && !first) {
        tq_node *n = tq_node_new(p, TQ_COALESCE, p->token.at);
        return n && tq_advance(p) && tq_expect(p, "(") && tq_expect(p, ")") ? n : NULL;
    }
    return parse_level(p, TQ_LEVEL_LOGIC);
}

/* Stages up to a closing bracket or the end. One spanset, number or series alone is given as it is,
 * else a PIPELINE. */
static tq_node *parse_pipeline(tq_parser *p)
{
    if (!tq_enter(p))
        return NULL;
    tq_node *n = tq_node_new(p, TQ_PIPELINE, p->token.at);
    for (bool first = true; n; first = false) {
        tq_function f;
        if (!first && function_at(p, TQ_RATE, TQ_COMPARE, &f)) {
            n = parse_second_stages(p, parse_series(p, n, f));
            break;
        }
        tq_node *item = parse_stage(p, first);
        if (!item)
            return NULL;
        if (class_of(item) == SERIES) {
            if (!first)
                return tq_unexpected(p, NULL);
            n = parse_second_stages(p, item);
            break;
        }
        if (!tq_node_add(p, n, item))
            return NULL;
        if (!tq_at_sign(p, "|")) {
            if (n->count == 1 && class_of(item) != STAGE)
                n = item;
            else if (class_of(item) == NUMBER)
                return tq_unexpected(p, "a comparison");
            break;
        }
        if (class_of(item) == NUMBER)
            return tq_unexpected(p, "a comparison");
        if (!tq_advance(p))
            return NULL;
    }
    p->depth--;
    return n;
}

/* with (name = literal, ...) */
static bool parse_hints(tq_parser *p)
{
    traceql_query *q = p->q;
    if (!tq_advance(p) || !tq_expect(p, "("))
        return false;
    for (;;) {
        tq_hint hint = {.name = p->token.text};
        if (p->token.kind != TQ_T_WORD) {
            tq_unexpected(p, "IDENTIFIER");
            return false;
        }
        if (!tq_advance(p) || !tq_expect(p, "="))
            return false;
        if (!tq_parse_static(p, &hint.value)) {
            tq_unexpected(p, "a literal");
            return false;
        }
        if (!sx_arena_grow(&q->arena, &q->hints, &q->hint_cap, q->hint_count + 1, sizeof hint)) {
            p->status = sx_fail_memory(p->err, "a query");
            return false;
        }
        q->hints[q->hint_count++] = hint;
        if (!tq_at_sign(p, ","))
            return tq_expect(p, ")");
        if (!tq_advance(p))
            return false;
    }
}

sx_status tq_parse(traceql_query *q, sx_error *err)
{
    tq_parser p = {.q = q, .lexer = {.text = q->text, .arena = &q->arena}, .err = err};
    tq_node *root = tq_advance(&p) ? parse_pipeline(&p) : NULL;
    while (root && tq_at_word(&p, "with"))
        if (!parse_hints(&p))
            break;
    if (p.status == SX_OK && p.token.kind != TQ_T_END)
        tq_unexpected(&p, NULL);
    if (p.status == SX_OK && root && class_of(root) == NUMBER)
        tq_unexpected(&p, "a comparison");
    if (p.status != SX_OK || !root)
        return p.status;
    if (class_of(root) != SERIES && root->kind != TQ_PIPELINE) {
        tq_node *all = tq_node_new(&p, TQ_PIPELINE, 0);
        if (!all || !tq_node_add(&p, all, root))
            return p.status;
        root = all;
    }
    q->root = root;
    return SX_OK;
}

/* check.c - types: what a query may not say though its grammar is right. The words are Tempo's.
 * Regular expressions are compiled here; they match whole values, `.` a newline too. */
#include <sextant/mem.h>

#include "observe/traceql/ast.h"

typedef struct checker {
    traceql_query *q;
    sx_error *err;
} checker;

/* "words: node" */
static sx_status wrong(checker *c, const char *words, const tq_node *n)
{
    sx_str text = tq_text(&c->q->arena, n);
    return sx_fail(c->err, SX_EFORMAT, "%s: %.*s", words, (int)(text.len < 300 ? text.len : 300),
                   text.data ? text.data : "");
}

static tq_type type_of(const tq_node *n)
{
    switch (n->kind) {
    case TQ_STATIC:
        return n->value.type;
    case TQ_FIELD:
        return n->field.of_parent ? TQ_ANY : tq_source_type(n->field.source);
    case TQ_UNARY:
        return n->op == TQ_NEG ? type_of(n->left) : TQ_BOOL;
    case TQ_BINARY:
    case TQ_SCALAR: {
        if (tq_is_test(n->op))
            return TQ_BOOL;
        tq_type left = type_of(n->left);
        return left != TQ_ANY ? left : type_of(n->right);
    }
    case TQ_AGGREGATE:
        return n->left ? type_of(n->left) : TQ_INT;
    default:
        return TQ_NIL;
    }
}

static bool reads_span(const tq_node *n)
{
    return n->kind == TQ_FIELD || (n->left && reads_span(n->left)) ||
           (n->right && reads_span(n->right));
}

static sx_status compile(checker *c, tq_node *n)
{
    traceql_query *q = c->q;
    if (n->right->kind != TQ_STATIC || n->right->value.type != TQ_STR)
        return wrong(c, "invalid type for =~ or !~", n->right);
    if (!sx_arena_grow(&q->arena, &q->regexes, &q->regex_cap, q->regex_count + 1,
                       sizeof(sx_regex *)))
        return sx_fail_memory(c->err, "a query");
    sx_error why = {0};
    sx_status status = sx_regex_new(&n->regex, n->right->value.s, NULL, &why);
    if (status == SX_EFORMAT)
        return wrong(c, "invalid regex", n->right);
    if (status != SX_OK)
        return sx_fail(c->err, status, "%s", why.message);
    q->regexes[q->regex_count++] = n->regex;
    return SX_OK;
}

static sx_status check_binary(checker *c, tq_node *n)
{
    tq_type a = type_of(n->left), b = type_of(n->right);
    if (!tq_types_match(a, b))
        return wrong(c, "binary operations must operate on the same type", n);
    if (!tq_op_takes(n->op, a, b))
        return wrong(c, "illegal operation for the given types", n);
    return n->op == TQ_MATCH || n->op == TQ_NOT_MATCH ? compile(c, n) : SX_OK;
}

static sx_status check_unary(checker *c, tq_node *n)
{
    const tq_node *of = n->left;
    if (n->op == TQ_ABSENT && of->kind == TQ_FIELD && !of->field.of_parent) {
        const tq_field *f = &of->field;
        sx_str text = tq_text(&c->q->arena, of);
        if (!tq_is_attribute(f->source) && f->source != TQ_PARENT)
            return sx_fail(c->err, SX_EFORMAT,
                           "%.*s=nil is not valid because intrinsics cannot be nil", SX_ARG(text));
        if (f->source == TQ_ATTR_RESOURCE && sx_str_eq(f->key, SX_STR("service.name")))
            return sx_fail(
                c->err, SX_EFORMAT,
                "resource.service.name=nil is not valid because resource.service.name cannot be "
                "nil");
    }
    tq_type t = type_of(of);
    bool fits = t == TQ_ANY || n->op == TQ_EXISTS || n->op == TQ_ABSENT ||
                (n->op == TQ_NOT ? t == TQ_BOOL : tq_is_number(t));
    return fits ? SX_OK : wrong(c, "illegal operation for the given type", n);
}

static sx_status check_aggregate(checker *c, tq_node *n)
{
    if (!n->left)
        return SX_OK;
    tq_type t = type_of(n->left);
    if (t != TQ_ANY && !tq_is_number(t))
        return wrong(c, "aggregate field expressions must resolve to a number type", n);
    if (!reads_span(n->left))
        return wrong(c, "aggregate field expressions must reference the span", n);
    return SX_OK;
}

static sx_status check_filter(checker *c, tq_node *n)
{
    tq_type t = type_of(n->left);
    if (t != TQ_ANY && t != TQ_BOOL)
        return wrong(c, "span filter field expressions must resolve to a boolean", n);
    return SX_OK;
}

static bool has_compare(const tq_node *n)
{
    return (n->kind == TQ_SERIES && n->function == TQ_COMPARE) ||
           (n->kind >= TQ_SERIES_MATH &&
            ((n->left && has_compare(n->left)) || (n->right && has_compare(n->right))));
}

static sx_status check_series(checker *c, tq_node *n)
{
    if (n->kind != TQ_SERIES && has_compare(n))
        return sx_fail(c->err, SX_EFORMAT,
                       "`compare()` cannot be used with second stage functions");
    if (n->kind == TQ_SERIES_TOP && n->value.i <= 0)
        return sx_fail(c->err, SX_EFORMAT, "%s requires a number greater than 0",
                       tq_function_name(n->function));
    if (n->kind != TQ_SERIES)
        return SX_OK;
    if (n->function == TQ_QUANTILE_OVER_TIME)
        for (uint32_t i = 0; i < n->number_count; i++)
            if (!(n->numbers[i] >= 0 && n->numbers[i] <= 1))
                return sx_fail(c->err, SX_EFORMAT, "quantile must be between 0 and 1: %g",
                               n->numbers[i]);
    if (n->function == TQ_COMPARE) {
        if (n->number_count && n->numbers[0] <= 0)
            return sx_fail(c->err, SX_EFORMAT,
                           "compare() top number of values must be integer greater than 0");
        if (n->number_count == 3 && n->numbers[1] >= n->numbers[2])
            return sx_fail(c->err, SX_EFORMAT,
                           "compare() end timestamp must be greater than start timestamp");
        return SX_OK;
    }
    if (n->right) {
        tq_type t = type_of(n->right);
        if (t != TQ_ANY && !tq_is_number(t))
            return wrong(c, "aggregate field expressions must resolve to a number type", n->right);
    }
    if (n->count > 5)
        return sx_fail(c->err, SX_EFORMAT, "metrics group by %u values, but only 5 are supported",
                       n->count);
    return SX_OK;
}

static sx_status check(checker *c, tq_node *n)
{
    sx_status status = n->left ? check(c, n->left) : SX_OK;
    if (status == SX_OK && n->right)
        status = check(c, n->right);
    for (uint32_t i = 0; status == SX_OK && i < n->count; i++)
        status = check(c, n->items[i]);
    if (status != SX_OK)
        return status;
    switch (n->kind) {
    case TQ_UNARY:
        return check_unary(c, n);
    case TQ_BINARY:
    case TQ_SCALAR:
    case TQ_SCALAR_FILTER:
        return check_binary(c, n);
    case TQ_FILTER:
        return check_filter(c, n);
    case TQ_AGGREGATE:
        return check_aggregate(c, n);
    case TQ_BY:
        return reads_span(n->left)
                   ? SX_OK
                   : wrong(c, "grouping field expressions must reference the span", n);
    case TQ_SERIES:
    case TQ_SERIES_MATH:
    case TQ_SERIES_FILTER:
    case TQ_SERIES_TOP:
        return check_series(c, n);
    default:
        return SX_OK;
    }
}

sx_status tq_check(traceql_query *q, sx_error *err)
{
    checker c = {.q = q, .err = err};
    return check(&c, q->root);
}

/* --- The query as a whole. */

sx_status traceql_parse(sx_str text, traceql_query **out, sx_error *err)
{
    *out = NULL;
    if (text.len > TRACEQL_TEXT_BYTES_MAX)
        return sx_fail(err, SX_ELIMIT, "a query may have %d bytes: this one has %zu",
                       TRACEQL_TEXT_BYTES_MAX, text.len);
    traceql_query *q = sx_calloc(1, sizeof *q);
    if (!q)
        return sx_fail_memory(err, "a query");
    sx_arena_init(&q->arena, 4096, TQ_MEMORY_MAX);
    q->text = sx_arena_copy(&q->arena, text);
    sx_status status = !q->text.data && text.len ? sx_fail_memory(err, "a query") : SX_OK;
    if (status == SX_OK)
        status = tq_parse(q, err);
    if (status == SX_OK)
        status = tq_check(q, err);
    if (status == SX_OK)
        status = tq_push(q, err);
    if (status != SX_OK) {
        traceql_free(q);
        return status;
    }
    *out = q;
    return SX_OK;
}

sx_status traceql_field_parse(sx_str text, sx_arena *arena, struct tq_field *out, sx_error *err)
{
    traceql_query q = {0};
    if (text.len > TRACEQL_TEXT_BYTES_MAX)
        return sx_fail(err, SX_ELIMIT, "a name may have %d bytes", TRACEQL_TEXT_BYTES_MAX);
    sx_arena_init(&q.arena, 512, TQ_MEMORY_MAX);
    q.text = sx_arena_printf(&q.arena, "{%.*s}", SX_ARG(text));
    sx_status status = q.text.data ? tq_parse(&q, err) : sx_fail_memory(err, "a name");
    if (status == SX_OK) {
        const tq_node *n = q.root;
        while (n->kind == TQ_PIPELINE || n->kind == TQ_FILTER)
            n = n->kind == TQ_FILTER ? n->left : n->items[0];
        *out = n->field;
        if (n->kind != TQ_FIELD || q.hint_count || q.root->count > 1)
            status = sx_fail(err, SX_EFORMAT, "'%.*s' is not the name of a field",
                             (int)(text.len < 100 ? text.len : 100), text.data);
        else if (!(out->key = sx_arena_copy(arena, n->field.key)).data)
            status = sx_fail_memory(err, "a name");
    }
    sx_arena_done(&q.arena);
    return status;
}

void traceql_free(traceql_query *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < q->regex_count; i++)
        sx_regex_free(q->regexes[i]);
    sx_arena_done(&q->arena);
    sx_free(q);
}

bool traceql_is_metrics(const traceql_query *q)
{
    return q->root->kind >= TQ_SERIES;
}

const span_filter *traceql_push(const traceql_query *q, bool *exact)
{
    const tq_node *n = q->root;
    while (n->kind == TQ_SERIES_FILTER || n->kind == TQ_SERIES_TOP || n->kind == TQ_SERIES)
        n = n->left;
    if (exact)
        *exact = n->exact; /* arithmetic of several series: of none */
    return n->pushed;
}

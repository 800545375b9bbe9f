/* json.c - a tree as the API's parse_query shows it: keys in the order of the alphabet, every key
 * always there. The writer of lib/codec is not used because its depth has a limit of its own. */
#include <math.h>

#include <sextant/json.h>
#include <sextant/number.h>

#include "observe/promql/print.h"

static void json_node(const promql_expr *e, sx_buf *out);

/* "key": with a comma before it unless it is the first. */
static void key(const char *name, bool first, sx_buf *out)
{
    sx_buf_str(out, first ? SX_STR("\"") : SX_STR(",\""));
    sx_buf_str(out, sx_str_z(name));
    sx_buf_str(out, SX_STR("\":"));
}

static void text(const char *name, bool first, sx_str value, sx_buf *out)
{
    key(name, first, out);
    sx_json_quote(out, value, SX_JSON_UTF8);
}

static void text_z(const char *name, bool first, const char *value, sx_buf *out)
{
    text(name, first, sx_str_z(value), out);
}

static void flag(const char *name, bool first, bool value, sx_buf *out)
{
    key(name, first, out);
    sx_buf_str(out, value ? SX_STR("true") : SX_STR("false"));
}

static void node(const char *name, bool first, const promql_expr *value, sx_buf *out)
{
    key(name, first, out);
    if (value)
        json_node(value, out);
    else
        sx_buf_str(out, SX_STR("null"));
}

static void list(const char *name, bool first, const sx_str *items, uint32_t count, sx_buf *out)
{
    key(name, first, out);
    sx_buf_byte(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            sx_buf_byte(out, ',');
        sx_json_quote(out, items[i], SX_JSON_UTF8);
    }
    sx_buf_byte(out, ']');
}

/* offset and offsetExpr and their kin. */
static void duration(const char *name, const char *expr_name, bool first, const promql_duration *d,
                     sx_buf *out)
{
    key(name, first, out);
    sx_buf_i64(out, d->ms);
    node(expr_name, false, d->expr, out);
}

static void at_time(promql_at at, int64_t ms, sx_buf *out)
{
    key("timestamp", false, out);
    if (at == PROMQL_AT_TIME)
        sx_buf_i64(out, ms);
    else
        sx_buf_str(out, SX_STR("null"));
}

static void at_bound(promql_at at, sx_buf *out)
{
    key("startOrEnd", false, out);
    sx_buf_str(out, at == PROMQL_AT_START ? SX_STR("\"start\"")
                    : at == PROMQL_AT_END ? SX_STR("\"end\"")
                                          : SX_STR("null"));
}

static void number(const char *name, bool first, double value, sx_buf *out)
{
    key(name, first, out);
    sx_buf_byte(out, '"');
    promql_print_number(value, out);
    sx_buf_byte(out, '"');
}

static void json_matchers(const promql_expr *e, sx_buf *out)
{
    static const char *const kinds[] = {"=", "!=", "=~", "!~"};
    key("matchers", false, out);
    sx_buf_byte(out, '[');
    for (uint32_t i = 0; i < e->selector.matcher_count; i++) {
        const tsdb_matcher *m = &e->selector.matchers[i];
        sx_buf_str(out, i ? SX_STR(",{") : SX_STR("{"));
        text("name", true, m->name, out);
        text_z("type", false, kinds[m->kind], out);
        text("value", false, m->value, out);
        sx_buf_byte(out, '}');
    }
    sx_buf_byte(out, ']');
}

/* A selector; `range` is the node around it, or NULL. */
static void json_selector(const promql_expr *s, const promql_expr *range, sx_buf *out)
{
    flag("anchored", true, s->selector.anchored, out);
    json_matchers(s, out);
    text("name", false, s->selector.name, out);
    duration("offset", "offsetExpr", false, &s->selector.offset, out);
    if (range)
        duration("range", "rangeExpr", false, &range->range.range, out);
    flag("smoothed", false, s->selector.smoothed, out);
    at_bound(s->selector.at, out);
    at_time(s->selector.at, s->selector.at_ms, out);
    text_z("type", false, range ? "matrixSelector" : "vectorSelector", out);
}

static void json_subquery(const promql_expr *e, sx_buf *out)
{
    node("expr", true, e->subquery.expr, out);
    duration("offset", "offsetExpr", false, &e->subquery.offset, out);
    duration("range", "rangeExpr", false, &e->subquery.range, out);
    at_bound(e->subquery.at, out);
    duration("step", "stepExpr", false, &e->subquery.step, out);
    at_time(e->subquery.at, e->subquery.at_ms, out);
    text_z("type", false, "subquery", out);
}

static void json_call(const promql_expr *e, sx_buf *out)
{
    const promql_function *f = e->call.function;
    key("args", true, out);
    sx_buf_byte(out, '[');
    for (uint32_t i = 0; i < e->call.arg_count; i++) {
        if (i)
            sx_buf_byte(out, ',');
        json_node(e->call.args[i], out);
    }
    sx_buf_byte(out, ']');
    key("func", false, out);
    sx_buf_byte(out, '{');
    key("argTypes", true, out);
    sx_buf_byte(out, '[');
    for (int i = 0; i < f->arg_count; i++)
        sx_buf_printf(out, "%s\"%s\"", i ? "," : "", promql_type_name(f->args[i]));
    sx_buf_byte(out, ']');
    text("name", false, f->name, out);
    text_z("returnType", false, promql_type_name(f->result), out);
    key("variadic", false, out);
    sx_buf_i64(out, f->variadic);
    sx_buf_byte(out, '}');
    text_z("type", false, "call", out);
}

static void json_fill(const char *name, bool first, bool given, double value, sx_buf *out)
{
    char digits[SX_DOUBLE_BYTES];
    key(name, first, out);
    if (!given || !isfinite(value))
        sx_buf_str(out, SX_STR("null"));
    else
        sx_buf_str(out, sx_str_of(digits, sx_double_format(value, SX_DOUBLE_JS, digits)));
}

static void json_matching(const promql_matching *m, sx_buf *out)
{
    static const char *const cards[] = {"one-to-one", "many-to-one", "one-to-many", "many-to-many"};
    key("matching", false, out);
    if (!m) {
        sx_buf_str(out, SX_STR("null"));
        return;
    }
    sx_buf_byte(out, '{');
    text_z("card", true, cards[m->card], out);
    key("fillValues", false, out);
    sx_buf_byte(out, '{');
    json_fill("lhs", true, m->has_fill_left, m->fill_left, out);
    json_fill("rhs", false, m->has_fill_right, m->fill_right, out);
    sx_buf_byte(out, '}');
    list("include", false, m->include, m->include_count, out);
    list("labels", false, m->labels, m->label_count, out);
    flag("on", false, m->on, out);
    sx_buf_byte(out, '}');
}

static void json_binary(const promql_expr *e, sx_buf *out)
{
    flag("bool", true, e->binary.return_bool, out);
    node("lhs", false, e->binary.left, out);
    json_matching(e->binary.matching, out);
    text_z("op", false, promql_op_name(e->binary.op), out);
    node("rhs", false, e->binary.right, out);
    text_z("type", false, "binaryExpr", out);
}

static void json_aggregate(const promql_expr *e, sx_buf *out)
{
    node("expr", true, e->aggregate.expr, out);
    list("grouping", false, e->aggregate.labels, e->aggregate.label_count, out);
    text_z("op", false, promql_op_name(e->aggregate.op), out);
    node("param", false, e->aggregate.param, out);
    text_z("type", false, "aggregation", out);
    flag("without", false, e->aggregate.without, out);
}

/* Of a duration's arithmetic a number tells also whether it was written as a duration. */
static void json_duration_part(const char *name, bool first, const promql_expr *e, sx_buf *out)
{
    if (!e || e->kind != PROMQL_NUMBER) {
        node(name, first, e, out);
        return;
    }
    key(name, first, out);
    sx_buf_byte(out, '{');
    flag("duration", true, e->number.duration, out);
    text_z("type", false, "numberLiteral", out);
    number("val", false, e->number.value, out);
    sx_buf_byte(out, '}');
}

static void json_arithmetic(const promql_expr *e, sx_buf *out)
{
    json_duration_part("lhs", true, e->arithmetic.left, out);
    text_z("op", false, promql_op_name(e->arithmetic.op), out);
    json_duration_part("rhs", false, e->arithmetic.right, out);
    text_z("type", false, "durationExpr", out);
    flag("wrapped", false, e->arithmetic.parens, out);
}

static void json_fields(const promql_expr *e, sx_buf *out)
{
    switch (e->kind) {
    case PROMQL_NUMBER:
        text_z("type", true, "numberLiteral", out);
        number("val", false, e->number.value, out);
        break;
    case PROMQL_STRING_LITERAL:
        text_z("type", true, "stringLiteral", out);
        text("val", false, e->string, out);
        break;
    case PROMQL_SELECTOR:
        json_selector(e, NULL, out);
        break;
    case PROMQL_RANGE:
        json_selector(e->range.selector, e, out);
        break;
    case PROMQL_SUBQUERY:
        json_subquery(e, out);
        break;
    case PROMQL_CALL:
        json_call(e, out);
        break;
    case PROMQL_AGGREGATE:
        json_aggregate(e, out);
        break;
    case PROMQL_BINARY:
        json_binary(e, out);
        break;
    case PROMQL_UNARY:
        node("expr", true, e->unary.expr, out);
        text_z("op", false, promql_op_name(e->unary.op), out);
        text_z("type", false, "unaryExpr", out);
        break;
    case PROMQL_PAREN:
        node("expr", true, e->inner, out);
        text_z("type", false, "parenExpr", out);
        break;
    case PROMQL_ARITHMETIC:
        json_arithmetic(e, out);
        break;
    case PROMQL_STEP_INVARIANT:
        break;
    }
}

static void json_node(const promql_expr *e, sx_buf *out)
{
    while (e->kind == PROMQL_STEP_INVARIANT)
        e = e->inner;
    if (out->failed)
        return;
    sx_buf_byte(out, '{');
    json_fields(e, out);
    sx_buf_byte(out, '}');
}

sx_status promql_json(const promql_expr *e, sx_buf *out, sx_error *err)
{
    json_node(e, out);
    return sx_buf_status(out, "a query's tree", err);
}

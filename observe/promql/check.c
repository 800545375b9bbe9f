/* check.c - types and sense of a parsed expression.
 *
 * Runs once the syntax is right. The order of the checks is Prometheus's, since only the first error
 * is shown. */
#include "observe/promql/parser.h"

const char *promql_type_words(promql_type t)
{
    static const char *const words[] = {"none", "scalar", "instant vector", "range vector",
                                        "string"};
    return words[t];
}

const char *promql_type_name(promql_type t)
{
    static const char *const names[] = {"none", "scalar", "vector", "matrix", "string"};
    return names[t];
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* What lies between the operands, without the spaces. */
static promql_pos operator_pos(const promql_parser *p, const promql_expr *e)
{
    sx_str text = p->lexer.text;
    promql_pos pos = {e->binary.left->pos.end, e->binary.right->pos.start};
    while (pos.start < text.len && is_space(text.data[pos.start]))
        pos.start++;
    return pos;
}

static void expect_type(promql_parser *p, promql_expr *e, promql_type want, const char *context)
{
    promql_check(p, e);
    if (e->type != want)
        promql_parse_fail(p, e->pos, "expected type %s in %s, got %s", promql_type_words(want),
                          context, promql_type_words(e->type));
}

static void check_aggregate(promql_parser *p, promql_expr *e)
{
    expect_type(p, e->aggregate.expr, PROMQL_VECTOR, "aggregation expression");
    if (e->aggregate.param)
        expect_type(p, e->aggregate.param,
                    e->aggregate.op == PROMQL_AGG_COUNT_VALUES ? PROMQL_STRING : PROMQL_SCALAR,
                    "aggregation parameter");
}

static void check_labels_once(promql_parser *p, const promql_expr *e, const promql_matching *m)
{
    for (uint32_t i = 0; m->on && i < m->label_count; i++) {
        for (uint32_t k = 0; k < m->include_count; k++) {
            if (sx_str_eq(m->labels[i], m->include[k]))
                promql_parse_fail(p, operator_pos(p, e),
                                  "label %.*s must not occur in ON and GROUP clause at once",
                                  SX_ARG(promql_quoted(p, m->labels[i])));
        }
    }
}

static bool is_operand(promql_type t)
{
    return t == PROMQL_SCALAR || t == PROMQL_VECTOR;
}

static void check_operands(promql_parser *p, const promql_expr *e)
{
    const char *words = "binary expression must contain only scalar and instant vector types";
    if (!is_operand(e->binary.left->type))
        promql_parse_fail(p, e->binary.left->pos, "%s", words);
    if (!is_operand(e->binary.right->type))
        promql_parse_fail(p, e->binary.right->pos, "%s", words);
}

static void check_binary(promql_parser *p, promql_expr *e)
{
    promql_op op = e->binary.op;
    promql_matching *m = (promql_matching *)e->binary.matching; /* ours until the parse is over */
    promql_check(p, e->binary.left);
    promql_check(p, e->binary.right);
    promql_type left = e->binary.left->type, right = e->binary.right->type;

    if (e->binary.return_bool && !promql_op_is_comparison(op))
        promql_parse_fail(p, operator_pos(p, e),
                          "bool modifier can only be used on comparison operators");
    if (promql_op_is_comparison(op) && !e->binary.return_bool && left == PROMQL_SCALAR &&
        right == PROMQL_SCALAR)
        promql_parse_fail(p, operator_pos(p, e),
                          "comparisons between scalars must use BOOL modifier");
    if (promql_op_is_set(op) && m->card == PROMQL_ONE_TO_ONE)
        m->card = PROMQL_MANY_TO_MANY;
    check_labels_once(p, e, m);
    check_operands(p, e);

    bool fills = m->has_fill_left || m->has_fill_right;
    if (left != PROMQL_VECTOR || right != PROMQL_VECTOR) {
        if (m->label_count)
            promql_parse_fail(p, e->pos, "vector matching only allowed between instant vectors");
        if (fills)
            promql_parse_fail(p, e->pos,
                              "filling in missing series only allowed between instant vectors");
        e->binary.matching = NULL;
    } else if (promql_op_is_set(op)) {
        if (m->card != PROMQL_MANY_TO_MANY) {
            promql_parse_fail(p, e->pos, "no grouping allowed for \"%s\" operation",
                              promql_op_name(op));
            promql_parse_fail(p, e->pos, "set operations must always be many-to-many");
        }
        if (fills)
            promql_parse_fail(p, e->pos, "filling in missing series not allowed for set operators");
    }
    if ((left == PROMQL_SCALAR || right == PROMQL_SCALAR) && promql_op_is_set(op))
        promql_parse_fail(p, e->pos, "set operator \"%s\" not allowed in binary scalar expression",
                          promql_op_name(op));
}

static void check_arg_count(promql_parser *p, const promql_expr *e)
{
    const promql_function *f = e->call.function;
    uint32_t given = e->call.arg_count;
    int least = f->variadic == 0 ? f->arg_count : f->arg_count - 1;
    if (f->variadic == 0) {
        if (given != (uint32_t)least)
            promql_parse_fail(p, e->pos, "expected %d argument(s) in call to \"%.*s\", got %u",
                              least, SX_ARG(f->name), given);
    } else if (given < (uint32_t)least) {
        promql_parse_fail(p, e->pos, "expected at least %d argument(s) in call to \"%.*s\", got %u",
                          least, SX_ARG(f->name), given);
    } else if (f->variadic > 0 && given > (uint32_t)(least + f->variadic)) {
        promql_parse_fail(p, e->pos, "expected at most %d argument(s) in call to \"%.*s\", got %u",
                          least + f->variadic, SX_ARG(f->name), given);
    }
}

/* The second argument of info() says which labels are wanted: matchers without a metric. */
static void check_info(promql_parser *p, const promql_expr *e)
{
    const promql_expr *arg = e->call.args[1];
    if (arg->type != PROMQL_VECTOR)
        promql_parse_fail(p, e->pos,
                          "expected type instant vector in call to function \"info\", got %s",
                          promql_type_words(arg->type));
    if (arg->kind != PROMQL_SELECTOR)
        promql_parse_fail(p, arg->pos, "expected label selectors only");
    else if (arg->selector.name.len)
        promql_parse_fail(p, arg->pos,
                          "expected label selectors only, got vector selector instead");
}

static void check_call(promql_parser *p, promql_expr *e)
{
    const promql_function *f = e->call.function;
    check_arg_count(p, e);
    bool info = f->id == PROMQL_FN_info && e->call.arg_count > 1;
    if (info)
        check_info(p, e);
    for (uint32_t i = 0; i < e->call.arg_count; i++) {
        promql_expr *arg = e->call.args[i];
        int at = (int)i;
        if (at >= f->arg_count) {
            if (f->variadic == 0)
                break;
            at = f->arg_count - 1;
        }
        /* That selector may match every series. */
        if (!(info && i == 1 && arg->kind == PROMQL_SELECTOR))
            promql_check(p, arg);
        if (arg->type != f->args[at])
            promql_parse_fail(p, arg->pos, "expected type %s in call to function \"%.*s\", got %s",
                              promql_type_words(f->args[at]), SX_ARG(f->name),
                              promql_type_words(arg->type));
    }
}

static void check_selector(promql_parser *p, const promql_expr *e)
{
    const tsdb_matcher *matchers = e->selector.matchers;
    uint32_t count = e->selector.matcher_count;
    if (e->selector.name.len) { /* its own matcher is the last */
        for (uint32_t i = 0; i + 1 < count; i++) {
            if (sx_str_eq(matchers[i].name, TSDB_METRIC_NAME))
                promql_parse_fail(p, e->pos, "metric name must not be set twice: %.*s or %.*s",
                                  SX_ARG(promql_quoted(p, e->selector.name)),
                                  SX_ARG(promql_quoted(p, matchers[i].value)));
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!tsdb_matcher_matches(&matchers[i], SX_STR("")))
            return;
    }
    promql_parse_fail(p, e->pos, "vector selector must contain at least one non-empty matcher");
}

void promql_check(promql_parser *p, promql_expr *e)
{
    if (p->status != SX_OK && !p->many_errors)
        return;
    switch (e->kind) {
    case PROMQL_AGGREGATE:
        check_aggregate(p, e);
        break;
    case PROMQL_BINARY:
        check_binary(p, e);
        break;
    case PROMQL_CALL:
        check_call(p, e);
        break;
    case PROMQL_PAREN:
        promql_check(p, e->inner);
        break;
    case PROMQL_UNARY:
        promql_check(p, e->unary.expr);
        if (!is_operand(e->unary.expr->type))
            promql_parse_fail(p, e->pos,
                              "unary expression only allowed on expressions of type scalar or "
                              "instant vector, got \"%s\"",
                              promql_type_words(e->unary.expr->type));
        break;
    case PROMQL_SUBQUERY:
        promql_check(p, e->subquery.expr);
        if (e->subquery.expr->type != PROMQL_VECTOR)
            promql_parse_fail(p, e->pos,
                              "subquery is only allowed on instant vector, got %s instead",
                              promql_type_name(e->subquery.expr->type));
        break;
    case PROMQL_RANGE:
        promql_check(p, e->range.selector);
        break;
    case PROMQL_SELECTOR:
        check_selector(p, e);
        break;
    case PROMQL_NUMBER:
    case PROMQL_STRING_LITERAL:
    case PROMQL_ARITHMETIC:
    case PROMQL_STEP_INVARIANT:
        break;
    }
}

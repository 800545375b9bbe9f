/* parse.c - the grammar of expressions.
 *
 * Precedence climbing: or < and, unless < comparisons < + - < * / % atan2 < ^, the last to the
 * right; a sign binds as * does, so that -a^b is -(a^b); offset, @, [ ] and their kin bind to the
 * operand before them. Tokens are looked at no earlier than a decision needs them, since an error
 * of the lexer counts from the moment a token is read, and the end of an aggregation is told apart
 * from a modifier behind it only by the token after it. */
#include "observe/promql/parser.h"

static promql_expr *parse_binary(promql_parser *p, int least);

promql_expr *promql_parse_expression(promql_parser *p)
{
    if (p->depth >= p->depth_max)
        return promql_parse_fail_limit(p, "too many levels", p->depth_max);
    p->depth++;
    promql_expr *e = parse_binary(p, 1);
    p->depth--;
    return e;
}

/* --- Calls and aggregations. */

typedef struct arg_list {
    promql_expr **items;
    size_t count, cap;
    uint32_t height; /* of the highest */
} arg_list;

/* Words that are keywords elsewhere, and may name a metric. */
bool promql_is_metric_name(promql_token_kind kind)
{
    switch (kind) {
    case PROMQL_TOKEN_IDENTIFIER:
    case PROMQL_TOKEN_METRIC_IDENTIFIER:
    case PROMQL_TOKEN_AND:
    case PROMQL_TOKEN_OR:
    case PROMQL_TOKEN_UNLESS:
    case PROMQL_TOKEN_BY:
    case PROMQL_TOKEN_WITHOUT:
    case PROMQL_TOKEN_FILL:
    case PROMQL_TOKEN_FILL_LEFT:
    case PROMQL_TOKEN_FILL_RIGHT:
    case PROMQL_TOKEN_OFFSET:
    case PROMQL_TOKEN_ANCHORED:
    case PROMQL_TOKEN_SMOOTHED:
    case PROMQL_TOKEN_START:
    case PROMQL_TOKEN_END:
    case PROMQL_TOKEN_STEP:
    case PROMQL_TOKEN_RANGE:
    case PROMQL_TOKEN_MAX_OF:
    case PROMQL_TOKEN_MIN_OF:
        return true;
    default:
        return promql_token_is_aggregator(kind);
    }
}

static bool starts_expression(promql_token_kind kind)
{
    switch (kind) {
    case PROMQL_TOKEN_STRING:
    case PROMQL_TOKEN_NUMBER:
    case PROMQL_TOKEN_DURATION:
    case PROMQL_TOKEN_LEFT_PAREN:
    case PROMQL_TOKEN_LEFT_BRACE:
    case PROMQL_TOKEN_ADD:
    case PROMQL_TOKEN_SUB:
        return true;
    default:
        return promql_is_metric_name(kind);
    }
}

/* ( ... ): the parenthesis is the next token. */
static bool parse_args(promql_parser *p, arg_list *args)
{
    if (!promql_accept(p, PROMQL_TOKEN_LEFT_PAREN))
        return promql_unexpected_here(p), false;
    if (promql_accept(p, PROMQL_TOKEN_RIGHT_PAREN))
        return true;
    for (;;) {
        promql_expr *arg = promql_parse_expression(p);
        if (!arg)
            return false;
        if (args->count == PROMQL_LABELS_MAX)
            return promql_parse_fail_limit(p, "too many arguments", PROMQL_LABELS_MAX), false;
        if (!sx_arena_grow(p->arena, &args->items, &args->cap, args->count + 1,
                           sizeof *args->items))
            return promql_parse_fail_memory(p), false;
        args->items[args->count++] = arg;
        args->height = arg->height > args->height ? arg->height : args->height;
        if (promql_accept(p, PROMQL_TOKEN_RIGHT_PAREN))
            return true;
        if (promql_peek(p) != PROMQL_TOKEN_COMMA)
            return promql_unexpected_here(p), false;
        promql_token comma = promql_take(p);
        if (!starts_expression(promql_peek(p))) {
            promql_parse_fail(p, promql_token_pos(comma),
                              "trailing commas not allowed in function call args");
            return false;
        }
    }
}

static promql_expr *parse_call(promql_parser *p, promql_token name)
{
    arg_list args = {0};
    if (!parse_args(p, &args))
        return NULL;
    const promql_function *f = promql_function_find(name.text);
    promql_pos pos = promql_token_pos(name);
    if (!f)
        return promql_parse_fail(p, pos, "unknown function with name %.*s",
                                 SX_ARG(promql_quoted(p, name.text)));
    if (f->feature && !(p->features & f->feature))
        return promql_parse_fail(p, pos, "function %.*s is not enabled",
                                 SX_ARG(promql_quoted(p, name.text)));
    promql_expr *e = promql_node(p, PROMQL_CALL, f->result,
                                 (promql_pos){name.start, p->last_closing}, args.height);
    if (!e)
        return NULL;
    e->call.function = f;
    e->call.args = args.items;
    e->call.arg_count = (uint32_t)args.count;
    return e;
}

/* Where an aggregation without a modifier behind it ends: if the token read to find that out is a
 * closing parenthesis, the one before it. */
static uint32_t end_before_lookahead(const promql_parser *p)
{
    sx_str text = p->lexer.text;
    size_t last = p->lexer.last;
    if (last == 0 || last >= text.len || text.data[last] != ')')
        return p->last_closing;
    for (size_t i = last - 1; i > 0; i--) {
        char c = text.data[i];
        if (c == ')')
            return (uint32_t)i + 1;
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            break;
    }
    return p->last_closing;
}

static promql_expr *make_aggregate(promql_parser *p, promql_expr *e, const arg_list *args)
{
    promql_op op = e->aggregate.op;
    if (args->count == 0)
        return promql_parse_fail(p, e->pos, "no arguments for aggregate expression provided");
    size_t wanted = promql_op_has_param(op) ? 2 : 1;
    if ((op == PROMQL_AGG_LIMITK || op == PROMQL_AGG_LIMIT_RATIO) &&
        !(p->features & PROMQL_EXPERIMENTAL_FUNCTIONS))
        return promql_parse_fail(p, e->pos,
                                 "%s() is experimental and must be enabled with "
                                 "--enable-feature=promql-experimental-functions",
                                 promql_op_name(op));
    if (args->count != wanted)
        return promql_parse_fail(p, e->pos,
                                 "wrong number of arguments for aggregate expression provided, "
                                 "expected %zu, got %zu",
                                 wanted, args->count);
    e->aggregate.expr = args->items[wanted - 1];
    e->aggregate.param = wanted == 2 ? args->items[0] : NULL;
    return e;
}

static bool parse_by(promql_parser *p, promql_expr *e)
{
    e->aggregate.without = promql_take(p).kind == PROMQL_TOKEN_WITHOUT;
    return promql_parse_grouping(p, &e->aggregate.labels, &e->aggregate.label_count);
}

static bool by_follows(promql_parser *p)
{
    promql_token_kind kind = promql_peek(p);
    return kind == PROMQL_TOKEN_BY || kind == PROMQL_TOKEN_WITHOUT;
}

static promql_expr *parse_aggregate(promql_parser *p, promql_token name)
{
    const char *context = p->context, *expected = p->expected;
    p->context = "aggregation";
    p->expected = "";
    promql_expr *e =
        promql_node(p, PROMQL_AGGREGATE, PROMQL_VECTOR, (promql_pos){name.start, 0}, 0);
    arg_list args = {0};
    bool before = e && by_follows(p), after = false;
    if (!e || (before && !parse_by(p, e)) || !parse_args(p, &args))
        return NULL;
    if (!before && by_follows(p)) {
        after = true;
        if (!parse_by(p, e))
            return NULL;
    }
    p->context = context;
    p->expected = expected;
    e->aggregate.op = promql_token_op(name.kind);
    e->pos.end = before || after ? p->last_closing : end_before_lookahead(p);
    e->height = args.height + 1;
    if (e->height > p->depth_max)
        return promql_parse_fail_limit(p, "too many levels", p->depth_max);
    return make_aggregate(p, e, &args);
}

/* --- Operands. */

static promql_expr *parse_paren(promql_parser *p)
{
    promql_token open = promql_take(p);
    promql_expr *inner = promql_parse_expression(p);
    if (!inner)
        return NULL;
    if (promql_peek(p) != PROMQL_TOKEN_RIGHT_PAREN)
        return promql_unexpected_here(p);
    promql_token close = promql_take(p);
    promql_expr *e = promql_node(p, PROMQL_PAREN, inner->type,
                                 (promql_pos){open.start, close.start + 1}, inner->height);
    if (e)
        e->inner = inner;
    return e;
}

static promql_expr *parse_string(promql_parser *p)
{
    promql_token t = promql_take(p);
    promql_expr *e = promql_node(p, PROMQL_STRING_LITERAL, PROMQL_STRING, promql_token_pos(t), 0);
    if (!e)
        return NULL;
    e->string = promql_unquote(p, t.text);
    return e->string.data ? e : NULL;
}

static promql_expr *parse_operand(promql_parser *p)
{
    promql_token_kind kind = promql_peek(p);
    if (!starts_expression(kind))
        return promql_unexpected_here(p);
    switch (kind) {
    case PROMQL_TOKEN_NUMBER:
    case PROMQL_TOKEN_DURATION:
        return promql_parse_number(p, promql_take(p));
    case PROMQL_TOKEN_STRING:
        return parse_string(p);
    case PROMQL_TOKEN_LEFT_PAREN:
        return parse_paren(p);
    case PROMQL_TOKEN_LEFT_BRACE:
        return promql_parse_metric(p, NULL);
    default:
        break;
    }
    promql_token name = promql_take(p);
    if (promql_token_is_aggregator(kind) &&
        (promql_peek(p) == PROMQL_TOKEN_LEFT_PAREN || by_follows(p)))
        return parse_aggregate(p, name);
    bool callable = kind == PROMQL_TOKEN_IDENTIFIER ||
                    (kind >= PROMQL_TOKEN_START && kind <= PROMQL_TOKEN_MIN_OF);
    if (callable && promql_peek(p) == PROMQL_TOKEN_LEFT_PAREN)
        return parse_call(p, name);
    return promql_parse_metric(p, &name);
}

enum { PRECEDENCE_SIGN = 6, PRECEDENCE_POW = 6 };

static promql_expr *parse_signed(promql_parser *p)
{
    promql_token_kind kind = promql_peek(p);
    if (kind != PROMQL_TOKEN_ADD && kind != PROMQL_TOKEN_SUB) {
        promql_expr *e = parse_operand(p);
        return e ? promql_parse_postfix(p, e) : NULL;
    }
    promql_token sign = promql_take(p);
    if (p->depth >= p->depth_max)
        return promql_parse_fail_limit(p, "too many levels", p->depth_max);
    p->depth++;
    promql_expr *inner = parse_binary(p, PRECEDENCE_SIGN);
    p->depth--;
    if (!inner)
        return NULL;
    if (inner->kind == PROMQL_NUMBER) {
        if (kind == PROMQL_TOKEN_SUB)
            inner->number.value = -inner->number.value;
        inner->pos.start = sign.start;
        return inner;
    }
    promql_expr *e = promql_node(p, PROMQL_UNARY, inner->type,
                                 (promql_pos){sign.start, inner->pos.end}, inner->height);
    if (!e)
        return NULL;
    e->unary.op = promql_token_op(kind);
    e->unary.expr = inner;
    return e;
}

/* --- Binary operators. */

static int precedence(promql_op op)
{
    static const int8_t levels[PROMQL_OPS] = {
        [PROMQL_OR] = 1,         [PROMQL_AND] = 2,   [PROMQL_UNLESS] = 2,
        [PROMQL_EQ] = 3,         [PROMQL_NE] = 3,    [PROMQL_GT] = 3,
        [PROMQL_LT] = 3,         [PROMQL_GE] = 3,    [PROMQL_LE] = 3,
        [PROMQL_ADD] = 4,        [PROMQL_SUB] = 4,   [PROMQL_TRIM_UPPER] = 3,
        [PROMQL_TRIM_LOWER] = 3, [PROMQL_MUL] = 5,   [PROMQL_DIV] = 5,
        [PROMQL_MOD] = 5,        [PROMQL_ATAN2] = 5, [PROMQL_POW] = PRECEDENCE_POW,
    };
    return levels[op]; /* 0: no binary operator */
}

/* (3), (-5m) */
static bool parse_fill_value(promql_parser *p, double *out)
{
    promql_take(p);
    if (!promql_accept(p, PROMQL_TOKEN_LEFT_PAREN))
        return promql_unexpected_here(p), false;
    bool minus = promql_peek(p) == PROMQL_TOKEN_SUB;
    if (minus || promql_peek(p) == PROMQL_TOKEN_ADD)
        promql_take(p);
    if (promql_peek(p) != PROMQL_TOKEN_NUMBER && promql_peek(p) != PROMQL_TOKEN_DURATION)
        return promql_unexpected_here(p), false;
    if (!promql_number_value(p, promql_take(p), out))
        return false;
    if (minus)
        *out = -*out;
    if (!promql_accept(p, PROMQL_TOKEN_RIGHT_PAREN))
        return promql_unexpected_here(p), false;
    return true;
}

static bool parse_fill(promql_parser *p, promql_matching *m)
{
    promql_token_kind kind = promql_peek(p);
    if (kind == PROMQL_TOKEN_FILL) {
        m->has_fill_left = m->has_fill_right = true;
        if (!parse_fill_value(p, &m->fill_left))
            return false;
        m->fill_right = m->fill_left;
        return true;
    }
    for (int i = 0; i < 2; i++) { /* each once, in any order */
        kind = promql_peek(p);
        if (kind == PROMQL_TOKEN_FILL_LEFT && !m->has_fill_left) {
            m->has_fill_left = true;
            if (!parse_fill_value(p, &m->fill_left))
                return false;
        } else if (kind == PROMQL_TOKEN_FILL_RIGHT && !m->has_fill_right) {
            m->has_fill_right = true;
            if (!parse_fill_value(p, &m->fill_right))
                return false;
        }
    }
    return true;
}

static bool parse_matching(promql_parser *p, bool *return_bool, promql_matching *m)
{
    *return_bool = promql_accept(p, PROMQL_TOKEN_BOOL);
    promql_token_kind kind = promql_peek(p);
    if (kind == PROMQL_TOKEN_ON || kind == PROMQL_TOKEN_IGNORING) {
        promql_take(p);
        m->on = kind == PROMQL_TOKEN_ON;
        if (!promql_parse_grouping(p, &m->labels, &m->label_count))
            return false;
        kind = promql_peek(p);
        if (kind == PROMQL_TOKEN_GROUP_LEFT || kind == PROMQL_TOKEN_GROUP_RIGHT) {
            promql_take(p);
            m->card = kind == PROMQL_TOKEN_GROUP_LEFT ? PROMQL_MANY_TO_ONE : PROMQL_ONE_TO_MANY;
            /* Labels, or the right side at once. */
            if ((promql_peek(p) == PROMQL_TOKEN_LEFT_PAREN || !starts_expression(promql_peek(p))) &&
                !promql_parse_grouping(p, &m->include, &m->include_count))
                return false;
        }
    }
    return parse_fill(p, m);
}

static promql_expr *parse_right_side(promql_parser *p, promql_expr *left, promql_op op)
{
    promql_take(p);
    promql_matching *m = sx_arena_calloc(p->arena, 1, sizeof *m);
    if (!m)
        return promql_parse_fail_memory(p);
    bool return_bool;
    if (!parse_matching(p, &return_bool, m))
        return NULL;
    int level = precedence(op);
    if (p->depth >= p->depth_max)
        return promql_parse_fail_limit(p, "too many levels", p->depth_max);
    p->depth++;
    promql_expr *right = parse_binary(p, op == PROMQL_POW ? level : level + 1);
    p->depth--;
    if (!right)
        return NULL;
    promql_type type =
        left->type == PROMQL_SCALAR && right->type == PROMQL_SCALAR ? PROMQL_SCALAR : PROMQL_VECTOR;
    promql_expr *e =
        promql_node(p, PROMQL_BINARY, type, (promql_pos){left->pos.start, right->pos.end},
                    left->height > right->height ? left->height : right->height);
    if (!e)
        return NULL;
    if ((m->has_fill_left || m->has_fill_right) && !(p->features & PROMQL_BINOP_FILL))
        return promql_parse_fail(p, e->pos,
                                 "binop fill modifiers are experimental and not enabled");
    e->binary.op = op;
    e->binary.left = left;
    e->binary.right = right;
    e->binary.return_bool = return_bool;
    e->binary.matching = m;
    return e;
}

/* Operators of at least that precedence. */
static promql_expr *parse_binary(promql_parser *p, int least)
{
    promql_expr *left = parse_signed(p);
    while (left) {
        promql_op op = promql_token_op(promql_peek(p));
        if (precedence(op) < least || precedence(op) == 0)
            break;
        left = parse_right_side(p, left, op);
    }
    return left;
}

/* --- Beginning and end. */

sx_status promql_parse_begin(promql_parser *p, sx_str text, const promql_parse_options *options,
                             sx_arena *arena, promql_parsed *out, sx_error *err)
{
    static const promql_parse_options defaults;
    const promql_parse_options *o = options ? options : &defaults;
    *out = (promql_parsed){0};
    *p = (promql_parser){.features = o->features,
                         .many_errors = o->many_errors,
                         .depth_max = o->depth_max ? o->depth_max : PROMQL_DEPTH_MAX,
                         .arena = arena,
                         .out = out,
                         .context = "",
                         .expected = "",
                         .err = err};
    uint32_t most = o->text_bytes_max ? o->text_bytes_max : PROMQL_TEXT_BYTES_MAX;
    if (text.len > most)
        return sx_fail(err, SX_ELIMIT, "the query has %zu bytes; the limit is %u", text.len, most);
    out->text = sx_arena_copy(arena, text);
    if (!out->text.data)
        return sx_fail_memory(err, "a query's text");
    promql_lex_init(&p->lexer, out->text, false);
    return SX_OK;
}

static sx_status finish(promql_parser *p, promql_expr *e)
{
    if (e && p->status == SX_OK && promql_peek(p) != PROMQL_TOKEN_EOF)
        promql_unexpected(p, "", "");
    p->out->expr = p->status == SX_OK ? e : NULL;
    return p->status;
}

sx_status promql_parse(sx_str text, const promql_parse_options *options, sx_arena *arena,
                       promql_parsed *out, sx_error *err)
{
    promql_parser p;
    sx_status status = promql_parse_begin(&p, text, options, arena, out, err);
    if (status != SX_OK)
        return status;
    promql_expr *e = NULL;
    if (promql_peek(&p) == PROMQL_TOKEN_EOF)
        promql_parse_fail(&p, (promql_pos){0, 0}, "no expression found in input");
    else
        e = promql_parse_expression(&p);
    status = finish(&p, e);
    if (status == SX_OK) {
        promql_check(&p, e);
        status = p.status;
    }
    if (status != SX_OK)
        promql_parsed_done(out);
    return status;
}

sx_status promql_parse_selector(sx_str text, sx_arena *arena, promql_parsed *out, sx_error *err)
{
    promql_parser p;
    sx_status status = promql_parse_begin(&p, text, NULL, arena, out, err);
    if (status != SX_OK)
        return status;
    promql_expr *e = NULL;
    promql_token_kind kind = promql_peek(&p);
    if (kind == PROMQL_TOKEN_LEFT_BRACE) {
        e = promql_parse_metric(&p, NULL);
    } else if (promql_is_metric_name(kind)) {
        promql_token name = promql_take(&p);
        e = promql_parse_metric(&p, &name);
    } else {
        promql_unexpected(&p, "", "");
    }
    status = finish(&p, e);
    if (status != SX_OK)
        promql_parsed_done(out);
    return status;
}

void promql_parsed_done(promql_parsed *p)
{
    for (size_t i = 0; i < p->regex_count; i++)
        tsdb_matcher_done(p->regexes[i]);
    p->regexes = NULL;
    p->regex_count = 0;
    p->expr = NULL;
}

/* parse_postfix.c - what may stand behind an operand: offset, @, anchored, smoothed, ranges and
 * subqueries, with the arithmetic of durations. */
#include <math.h>

#include <sextant/number.h>

#include "observe/promql/parser.h"

/* --- Durations. */

static bool out_of_range(double seconds)
{
    return seconds > 0x1p63 / 1e9 || seconds < -0x1p63 / 1e9;
}

/* Seconds to milliseconds by way of whole nanoseconds, as Prometheus keeps them. */
static int64_t to_ms(double seconds)
{
    double ns = round(seconds * 1e9);
    if (ns >= 0x1p63)
        return INT64_MAX / 1000000;
    if (ns <= -0x1p63)
        return INT64_MIN / 1000000;
    return (int64_t)ns / 1000000;
}

static promql_expr *parse_duration_expr(promql_parser *p, int least);

static promql_expr *arithmetic(promql_parser *p, promql_op op, promql_expr *left,
                               promql_expr *right, promql_pos pos)
{
    uint32_t height = left ? left->height : 0;
    height = right && right->height > height ? right->height : height;
    promql_expr *e = promql_node(p, PROMQL_ARITHMETIC, PROMQL_SCALAR, pos, height);
    if (!e)
        return NULL;
    e->arithmetic.op = op;
    e->arithmetic.left = left;
    e->arithmetic.right = right;
    return e;
}

/* Marks an expression as written in parentheses; a bare number gets a node that can bear it. */
static promql_expr *in_parens(promql_parser *p, promql_expr *e, promql_pos pos)
{
    if (e->kind != PROMQL_ARITHMETIC)
        e = arithmetic(p, PROMQL_ADD, NULL, e, pos);
    if (e)
        e->arithmetic.parens = true;
    return e;
}

static promql_expr *check_duration(promql_parser *p, promql_expr *e)
{
    if (e && out_of_range(e->number.value))
        return promql_parse_fail(p, e->pos, "duration out of range");
    return e;
}

static promql_expr *signed_duration(promql_parser *p, promql_token sign, promql_expr *e)
{
    bool minus = sign.kind == PROMQL_TOKEN_SUB;
    if (e->kind == PROMQL_ARITHMETIC)
        return minus ? arithmetic(p, PROMQL_SUB, NULL, e, (promql_pos){sign.start, e->pos.end}) : e;
    if (minus)
        e->number.value = -e->number.value;
    e->pos.start = sign.start;
    return e;
}

/* ( e ) */
static promql_expr *parse_paren_duration(promql_parser *p)
{
    promql_token open = promql_take(p);
    promql_expr *e = parse_duration_expr(p, 1);
    if (!e)
        return NULL;
    if (promql_peek(p) != PROMQL_TOKEN_RIGHT_PAREN)
        return promql_unexpected_here(p);
    promql_take(p);
    return in_parens(p, e, (promql_pos){open.start, e->pos.end});
}

/* step(), range(), min_of(a, b), max_of(a, b) */
static promql_expr *parse_duration_call(promql_parser *p)
{
    promql_token name = promql_take(p);
    promql_op op = promql_token_op(name.kind);
    promql_expr *left = NULL, *right = NULL;
    if (!promql_accept(p, PROMQL_TOKEN_LEFT_PAREN))
        return promql_unexpected_here(p);
    if (op == PROMQL_DURATION_MIN_OF || op == PROMQL_DURATION_MAX_OF) {
        left = parse_duration_expr(p, 1);
        if (!left)
            return NULL;
        if (!promql_accept(p, PROMQL_TOKEN_COMMA))
            return promql_unexpected_here(p);
        right = parse_duration_expr(p, 1);
        if (!right)
            return NULL;
    }
    if (promql_peek(p) != PROMQL_TOKEN_RIGHT_PAREN)
        return promql_unexpected_here(p);
    promql_token close = promql_take(p);
    /* With arguments, the place is theirs: Prometheus shows it when the value makes no sense. */
    promql_pos pos = {left ? left->pos.start : name.start,
                      right ? right->pos.end : close.start + 1};
    return arithmetic(p, op, left, right, pos);
}

static bool is_sign(promql_token_kind kind)
{
    return kind == PROMQL_TOKEN_ADD || kind == PROMQL_TOKEN_SUB;
}

static promql_expr *parse_duration_operand(promql_parser *p)
{
    switch (promql_peek(p)) {
    case PROMQL_TOKEN_NUMBER:
    case PROMQL_TOKEN_DURATION:
        return check_duration(p, promql_parse_number(p, promql_take(p)));
    case PROMQL_TOKEN_LEFT_PAREN:
        return parse_paren_duration(p);
    case PROMQL_TOKEN_STEP:
    case PROMQL_TOKEN_RANGE:
    case PROMQL_TOKEN_MAX_OF:
    case PROMQL_TOKEN_MIN_OF:
        return parse_duration_call(p);
    case PROMQL_TOKEN_ADD:
    case PROMQL_TOKEN_SUB: {
        promql_token sign = promql_take(p);
        promql_expr *e = parse_duration_expr(p, 3);
        return e ? signed_duration(p, sign, e) : NULL;
    }
    default:
        return promql_unexpected_here(p);
    }
}

static int duration_precedence(promql_op op)
{
    switch (op) {
    case PROMQL_ADD:
    case PROMQL_SUB:
        return 1;
    case PROMQL_MUL:
    case PROMQL_DIV:
    case PROMQL_MOD:
        return 2;
    case PROMQL_POW:
        return 3;
    default:
        return 0;
    }
}

static promql_expr *duration_operation(promql_parser *p, promql_token sign, promql_expr *left,
                                       promql_expr *right)
{
    promql_op op = promql_token_op(sign.kind);
    if ((op == PROMQL_DIV || op == PROMQL_MOD) && right->kind == PROMQL_NUMBER &&
        right->number.value == 0)
        return promql_parse_fail(p, promql_token_pos(sign), "%s by zero",
                                 op == PROMQL_DIV ? "division" : "modulo");
    return arithmetic(p, op, left, right, (promql_pos){left->pos.start, right->pos.end});
}

/* Continues behind `left` with operators of at least that precedence. */
static promql_expr *continue_duration(promql_parser *p, promql_expr *left, int least)
{
    while (left) {
        promql_op op = promql_token_op(promql_peek(p));
        int level = duration_precedence(op);
        if (level == 0 || level < least)
            break;
        promql_token sign = promql_take(p);
        promql_expr *right = parse_duration_expr(p, op == PROMQL_POW ? level : level + 1);
        left = right ? duration_operation(p, sign, left, right) : NULL;
    }
    return left;
}

static promql_expr *parse_duration_expr(promql_parser *p, int least)
{
    if (p->depth >= p->depth_max)
        return promql_parse_fail_limit(p, "too many levels", p->depth_max);
    p->depth++;
    promql_expr *e = continue_duration(p, parse_duration_operand(p), least);
    p->depth--;
    return e;
}

/* Behind `offset` an operator that follows a plain duration belongs to the query, not to the
 * duration: foo offset 5m^2 is (foo offset 5m)^2. Only (5m)*2 is arithmetic without being all in
 * parentheses. */
static promql_expr *parse_offset_duration(promql_parser *p)
{
    promql_token_kind kind = promql_peek(p);
    if (kind == PROMQL_TOKEN_LEFT_PAREN)
        return continue_duration(p, parse_paren_duration(p), 1);
    if (!is_sign(kind))
        return parse_duration_operand(p);
    promql_token sign = promql_take(p);
    kind = promql_peek(p);
    if (is_sign(kind)) { /* two signs: only arithmetic has that */
        promql_expr *inner = parse_duration_expr(p, 3);
        return inner ? continue_duration(p, signed_duration(p, sign, inner), 1) : NULL;
    }
    if (kind == PROMQL_TOKEN_NUMBER || kind == PROMQL_TOKEN_DURATION) {
        promql_expr *number = promql_parse_number(p, promql_take(p));
        if (number && out_of_range(number->number.value))
            return promql_parse_fail(p, promql_token_pos(sign), "duration out of range");
        return number ? signed_duration(p, sign, number) : NULL;
    }
    bool parens = kind == PROMQL_TOKEN_LEFT_PAREN;
    promql_expr *e = parens ? parse_paren_duration(p) : parse_duration_operand(p);
    if (!e || parens)
        return e ? signed_duration(p, sign, e) : NULL;
    /* Before a function even a plus is kept. */
    return arithmetic(p, promql_token_op(sign.kind), NULL, e, (promql_pos){sign.start, e->pos.end});
}

/* The duration of a range or a resolution. */
static bool parse_positive_duration(promql_parser *p, promql_duration *out)
{
    promql_expr *e = parse_duration_expr(p, 1);
    if (!e)
        return false;
    if (e->kind == PROMQL_ARITHMETIC) {
        out->expr = e;
        return true;
    }
    if (e->number.value <= 0) {
        promql_parse_fail(p, e->pos, "duration must be greater than 0");
        return false;
    }
    out->ms = to_ms(e->number.value);
    return true;
}

/* --- Behind an operand. */

typedef struct modifiers {
    promql_duration *offset;
    promql_at *at;
    int64_t *at_ms;
} modifiers;

/* Where the modifiers of an operand are kept; false if it takes none. */
static bool modifiers_of(promql_expr *e, modifiers *out)
{
    promql_expr *selector = e->kind == PROMQL_RANGE ? e->range.selector : e;
    if (selector->kind == PROMQL_SELECTOR)
        *out = (modifiers){&selector->selector.offset, &selector->selector.at,
                           &selector->selector.at_ms};
    else if (e->kind == PROMQL_SUBQUERY)
        *out = (modifiers){&e->subquery.offset, &e->subquery.at, &e->subquery.at_ms};
    else
        return false;
    return true;
}

static bool parse_offset(promql_parser *p, promql_expr *e)
{
    p->context = "offset";
    p->expected = "number, duration, step(), or range()";
    promql_expr *d = parse_offset_duration(p);
    modifiers m;
    if (!d)
        return false;
    if (!modifiers_of(e, &m)) {
        promql_parse_fail(p, e->pos,
                          "offset modifier must be preceded by an instant vector selector or "
                          "range vector selector or a subquery");
        return false;
    }
    if (m.offset->ms != 0 || m.offset->expr) {
        promql_parse_fail(p, e->pos, "offset may not be set multiple times");
        return false;
    }
    if (d->kind == PROMQL_ARITHMETIC)
        m.offset->expr = d;
    else
        m.offset->ms = to_ms(d->number.value);
    e->pos.end = p->last_closing;
    return true;
}

/* Seconds to milliseconds; beyond what 64 bits hold, what x86-64 makes of it in Prometheus. */
static int64_t at_ms(double seconds)
{
    double ms = round(seconds * 1000);
    return ms >= -0x1p63 && ms < 0x1p63 ? (int64_t)ms : INT64_MIN;
}

static bool set_at(promql_parser *p, promql_expr *e, promql_at at, double seconds)
{
    modifiers m;
    if (at == PROMQL_AT_TIME && !(seconds > -0x1p63 && seconds < 0x1p63)) {
        char text[SX_DOUBLE_FIXED_BYTES];
        sx_double_fixed(seconds, 6, text);
        promql_parse_fail(p, e->pos, "timestamp out of bounds for @ modifier: %s", text);
        return false;
    }
    if (!modifiers_of(e, &m)) {
        promql_parse_fail(p, e->pos,
                          "@ modifier must be preceded by an instant vector selector or range "
                          "vector selector or a subquery");
        return false;
    }
    if (*m.at != PROMQL_AT_NONE) {
        promql_parse_fail(p, e->pos, "@ <timestamp> may not be set multiple times");
        return false;
    }
    *m.at = at;
    *m.at_ms = at == PROMQL_AT_TIME ? at_ms(seconds) : 0;
    e->pos.end = p->last_closing;
    return true;
}

static bool parse_at(promql_parser *p, promql_expr *e)
{
    p->context = "@";
    p->expected = "timestamp";
    promql_token_kind kind = promql_peek(p);
    if (kind == PROMQL_TOKEN_START || kind == PROMQL_TOKEN_END) {
        promql_take(p);
        if (!promql_accept(p, PROMQL_TOKEN_LEFT_PAREN) ||
            !promql_accept(p, PROMQL_TOKEN_RIGHT_PAREN))
            return promql_unexpected_here(p), false;
        return set_at(p, e, kind == PROMQL_TOKEN_START ? PROMQL_AT_START : PROMQL_AT_END, 0);
    }
    if (is_sign(kind))
        promql_take(p);
    promql_token_kind number = promql_peek(p);
    if (number != PROMQL_TOKEN_NUMBER && number != PROMQL_TOKEN_DURATION)
        return promql_unexpected_here(p), false;
    double seconds;
    if (!promql_number_value(p, promql_take(p), &seconds))
        return false;
    return set_at(p, e, PROMQL_AT_TIME, kind == PROMQL_TOKEN_SUB ? -seconds : seconds);
}

static bool set_extended(promql_parser *p, promql_expr *e, bool anchored)
{
    const char *word = anchored ? "anchored" : "smoothed";
    promql_expr *s = e->kind == PROMQL_RANGE ? e->range.selector : e;
    if (!(p->features & PROMQL_EXTENDED_RANGE)) {
        promql_parse_fail(p, e->pos, "%s modifier is experimental and not enabled", word);
    } else if (s->kind == PROMQL_SELECTOR) {
        s->selector.anchored |= anchored;
        s->selector.smoothed |= !anchored;
        if (s->selector.anchored && s->selector.smoothed)
            promql_parse_fail(p, e->pos, "anchored and smoothed modifiers cannot be used together");
    } else if (e->kind == PROMQL_SUBQUERY) {
        promql_parse_fail(p, e->pos, "%s modifier is not supported for subqueries", word);
    } else {
        promql_parse_fail(p, e->pos, "%s modifier not implemented", word);
    }
    return p->status == SX_OK;
}

static promql_expr *make_range(promql_parser *p, promql_expr *e, promql_duration range,
                               promql_token open)
{
    const char *why = NULL;
    if (e->kind != PROMQL_SELECTOR)
        why = "ranges only allowed for vector selectors";
    else if (e->selector.offset.ms != 0 || e->selector.offset.expr)
        why = "no offset modifiers allowed before range";
    else if (e->selector.at != PROMQL_AT_NONE)
        why = "no @ modifiers allowed before range";
    if (why)
        return promql_parse_fail(p, (promql_pos){open.start, p->last_closing}, "%s", why);
    promql_expr *out = promql_node(p, PROMQL_RANGE, PROMQL_MATRIX,
                                   (promql_pos){e->pos.start, p->last_closing}, e->height);
    if (!out)
        return NULL;
    out->range.selector = e;
    out->range.range = range;
    return out;
}

/* [5m] or [5m:1m]: the bracket was taken. */
static promql_expr *parse_brackets(promql_parser *p, promql_expr *e, promql_token open)
{
    p->context = "subquery or range selector";
    p->expected = "number, duration, step(), or range()";
    promql_duration range = {0}, step = {0};
    if (!parse_positive_duration(p, &range))
        return NULL;
    if (promql_accept(p, PROMQL_TOKEN_RIGHT_BRACKET))
        return make_range(p, e, range, open);
    if (!promql_accept(p, PROMQL_TOKEN_COLON))
        return promql_unexpected(p, "subquery or range", "\":\" or \"]\"");
    if (promql_peek(p) != PROMQL_TOKEN_RIGHT_BRACKET) {
        p->context = "subquery selector";
        p->expected = "number, duration, step(), range(), or \"]\"";
        if (!parse_positive_duration(p, &step))
            return NULL;
        if (promql_peek(p) != PROMQL_TOKEN_RIGHT_BRACKET)
            return promql_unexpected(p, "subquery selector", "\"]\"");
    }
    promql_token close = promql_take(p);
    promql_expr *out = promql_node(p, PROMQL_SUBQUERY, PROMQL_MATRIX,
                                   (promql_pos){e->pos.start, close.start + 1}, e->height);
    if (!out)
        return NULL;
    out->subquery.expr = e;
    out->subquery.range = range;
    out->subquery.step = step;
    return out;
}

promql_expr *promql_parse_postfix(promql_parser *p, promql_expr *e)
{
    const char *context = p->context, *expected = p->expected;
    while (e) {
        bool good = true;
        switch (promql_peek(p)) {
        case PROMQL_TOKEN_OFFSET:
            promql_take(p);
            good = parse_offset(p, e);
            break;
        case PROMQL_TOKEN_AT:
            promql_take(p);
            good = parse_at(p, e);
            break;
        case PROMQL_TOKEN_ANCHORED:
        case PROMQL_TOKEN_SMOOTHED:
            good = set_extended(p, e, promql_take(p).kind == PROMQL_TOKEN_ANCHORED);
            break;
        case PROMQL_TOKEN_LEFT_BRACKET:
            e = parse_brackets(p, e, promql_take(p));
            break;
        default:
            return e;
        }
        p->context = context;
        p->expected = expected;
        if (!good)
            return NULL;
    }
    return NULL;
}

/* parse_parts.c - selectors, groupings, and what may stand behind an operand: offset, @, anchored,
 * smoothed, ranges and subqueries, with the arithmetic of durations. */
#include <math.h>

#include <sextant/number.h>
#include <sextant/utf8.h>

#include "observe/promql/parser.h"

/* --- Literals. */

bool promql_number_value(promql_parser *p, promql_token t, double *out)
{
    if (t.kind == PROMQL_TOKEN_NUMBER) {
        const char *why;
        if (!promql_read_number(t.text, out, &why)) {
            promql_parse_fail(p, promql_token_pos(t),
                              "error parsing number: strconv.ParseFloat: parsing %.*s: %s",
                              SX_ARG(promql_quoted(p, t.text)), why);
            return false;
        }
        return true;
    }
    char message[256];
    int64_t ms;
    const char *error = promql_read_duration(t.text, &ms, message, sizeof message);
    if (error) {
        promql_parse_fail(p, promql_token_pos(t), "%s", error);
        return false;
    }
    *out = (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9;
    return true;
}

promql_expr *promql_parse_number(promql_parser *p, promql_token t)
{
    double value;
    if (!promql_number_value(p, t, &value))
        return NULL;
    promql_expr *e = promql_node(p, PROMQL_NUMBER, PROMQL_SCALAR, promql_token_pos(t), 0);
    if (!e)
        return NULL;
    e->number.value = value;
    e->number.duration = t.kind == PROMQL_TOKEN_DURATION;
    return e;
}

static unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

/* One escape, the lexer has checked it; returns the bytes read. */
static size_t unescape(const char *s, char *out, size_t *len)
{
    static const char signs[128] = {['a'] = '\a', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n',
                                    ['r'] = '\r', ['t'] = '\t', ['v'] = '\v'};
    char c = s[0];
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t code = 0;
    for (size_t i = 1; i <= digits; i++)
        code = code * 16 + hex_digit(s[i]);
    if (c == 'u' || c == 'U') {
        *len += sx_utf8_encode(code, out + *len);
        return 1 + digits;
    }
    if (c >= '0' && c <= '7') {
        code = hex_digit(s[0]) * 64 + hex_digit(s[1]) * 8 + hex_digit(s[2]);
        digits = 2;
    } else if (c != 'x') { /* a sign's letter, or the sign itself */
        code = (unsigned char)(signs[(unsigned char)c & 127] ? signs[(unsigned char)c & 127] : c);
    }
    out[(*len)++] = (char)code;
    return 1 + digits;
}

/* A string token without its quotes; data NULL on failure. */
sx_str promql_unquote(promql_parser *p, sx_str quoted)
{
    sx_str inner = sx_str_of(quoted.data + 1, quoted.len - 2);
    if (quoted.data[0] == '`' || sx_str_find_byte(inner, '\\') == inner.len)
        return inner;
    char *out = sx_arena_alloc(p->arena, inner.len);
    if (!out) {
        promql_parse_fail_memory(p);
        return (sx_str){0};
    }
    size_t len = 0;
    for (size_t i = 0; i < inner.len;) {
        if (inner.data[i] != '\\')
            out[len++] = inner.data[i++];
        else
            i += 1 + unescape(inner.data + i + 1, out, &len);
    }
    return sx_str_of(out, len);
}

/* --- Selectors. */

typedef struct matcher_list {
    tsdb_matcher *items;
    size_t count, cap;
} matcher_list;

static tsdb_matcher *add_matcher(promql_parser *p, matcher_list *list)
{
    if (list->count == PROMQL_LABELS_MAX)
        return promql_parse_fail_limit(p, "too many matchers", PROMQL_LABELS_MAX);
    if (!sx_arena_grow(p->arena, &list->items, &list->cap, list->count + 1, sizeof *list->items))
        return promql_parse_fail_memory(p);
    tsdb_matcher *m = &list->items[list->count++];
    *m = (tsdb_matcher){0};
    return m;
}

static bool init_matcher(promql_parser *p, tsdb_matcher *m, tsdb_match_kind kind, sx_str name,
                         sx_str value, promql_pos pos)
{
    sx_error why;
    sx_status status = tsdb_matcher_init(m, kind, name, value, &why);
    if (status == SX_OK)
        return true;
    m->regex = NULL;
    if (status == SX_ENOMEM)
        promql_parse_fail_memory(p);
    else
        promql_regex_fail(p, pos, value, &why);
    return false;
}

static bool match_kind(promql_token_kind token, tsdb_match_kind *out)
{
    switch (token) {
    case PROMQL_TOKEN_EQUAL:
        *out = TSDB_MATCH_EQUAL;
        return true;
    case PROMQL_TOKEN_NE:
        *out = TSDB_MATCH_NOT_EQUAL;
        return true;
    case PROMQL_TOKEN_EQUAL_REGEX:
        *out = TSDB_MATCH_REGEX;
        return true;
    case PROMQL_TOKEN_NOT_REGEX:
        *out = TSDB_MATCH_NOT_REGEX;
        return true;
    default:
        return false;
    }
}

/* name="x", "a name"=~"x", or a "metric name" alone. */
static bool parse_matcher(promql_parser *p, matcher_list *list)
{
    promql_token_kind token = promql_peek(p);
    if (token != PROMQL_TOKEN_IDENTIFIER && token != PROMQL_TOKEN_STRING)
        return promql_unexpected(p, "label matching", "identifier or \"}\""), false;
    promql_token name = promql_take(p);
    tsdb_match_kind kind = TSDB_MATCH_EQUAL;
    bool has_operator = match_kind(promql_peek(p), &kind);
    if (!has_operator && token == PROMQL_TOKEN_IDENTIFIER)
        return promql_unexpected(p, "label matching", "label matching operator"), false;
    tsdb_matcher *m = add_matcher(p, list);
    sx_str label = token == PROMQL_TOKEN_STRING ? promql_unquote(p, name.text) : name.text;
    if (!m || !label.data)
        return false;
    if (!has_operator)
        return init_matcher(p, m, kind, TSDB_METRIC_NAME, label, promql_token_pos(name));
    promql_take(p);
    if (promql_peek(p) != PROMQL_TOKEN_STRING)
        return promql_unexpected(p, "label matching", "string"), false;
    sx_str value = promql_unquote(p, promql_take(p).text);
    return value.data && init_matcher(p, m, kind, label, value, promql_token_pos(name));
}

static bool parse_matchers(promql_parser *p, matcher_list *list, promql_pos *pos)
{
    pos->start = promql_take(p).start;
    while (promql_peek(p) != PROMQL_TOKEN_RIGHT_BRACE) {
        if (!parse_matcher(p, list))
            return false;
        if (promql_accept(p, PROMQL_TOKEN_COMMA))
            continue;
        if (promql_peek(p) != PROMQL_TOKEN_RIGHT_BRACE)
            return promql_unexpected(p, "label matching", "\",\" or \"}\""), false;
    }
    pos->end = promql_take(p).start + 1;
    return true;
}

/* Notes the compiled expressions, for promql_parsed_done(): also those of a list with an error. */
static bool keep_regexes(promql_parser *p, matcher_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!list->items[i].regex)
            continue;
        if (!sx_arena_grow(p->arena, &p->out->regexes, &p->regex_cap, p->out->regex_count + 1,
                           sizeof *p->out->regexes)) {
            for (; i < list->count; i++)
                tsdb_matcher_done(&list->items[i]);
            return promql_parse_fail_memory(p), false;
        }
        p->out->regexes[p->out->regex_count++] = &list->items[i];
    }
    return true;
}

/* A selector: a name taken already, or none; the braces, if there are any, are next. */
promql_expr *promql_parse_metric(promql_parser *p, const promql_token *name)
{
    matcher_list list = {0};
    promql_pos pos = {0};
    bool good = true;
    if (promql_peek(p) == PROMQL_TOKEN_LEFT_BRACE)
        good = parse_matchers(p, &list, &pos);
    else
        pos = promql_token_pos(*name);
    if (good && name) {
        pos.start = name->start;
        tsdb_matcher *m = add_matcher(p, &list);
        good = m && init_matcher(p, m, TSDB_MATCH_EQUAL, TSDB_METRIC_NAME, name->text, pos);
    }
    if (!keep_regexes(p, &list) || !good || p->status != SX_OK)
        return NULL;
    promql_expr *e = promql_node(p, PROMQL_SELECTOR, PROMQL_VECTOR, pos, 0);
    if (!e)
        return NULL;
    e->selector.name = name ? name->text : SX_STR("");
    e->selector.matchers = list.items;
    e->selector.matcher_count = (uint32_t)list.count;
    return e;
}

/* --- Groupings. */

/* Words that are no label names even there: without, and numbers. */
static bool is_label(promql_token_kind kind)
{
    switch (kind) {
    case PROMQL_TOKEN_IDENTIFIER:
    case PROMQL_TOKEN_METRIC_IDENTIFIER:
    case PROMQL_TOKEN_STRING:
        return true;
    case PROMQL_TOKEN_WITHOUT:
        return false;
    default:
        return kind >= PROMQL_TOKEN_AND;
    }
}

static bool parse_label(promql_parser *p, sx_str *out)
{
    if (!is_label(promql_peek(p)))
        return promql_unexpected(p, "grouping opts", "label"), false;
    promql_token t = promql_take(p);
    *out = t.kind == PROMQL_TOKEN_STRING ? promql_unquote(p, t.text) : t.text;
    if (!out->data)
        return false;
    if (out->len == 0 || !sx_utf8_valid(*out)) {
        promql_parse_fail(p, promql_token_pos(t), "invalid label name for grouping: %.*s",
                          SX_ARG(promql_quoted(p, *out)));
        return false;
    }
    return true;
}

bool promql_parse_grouping(promql_parser *p, const sx_str **labels, uint32_t *count)
{
    if (!promql_accept(p, PROMQL_TOKEN_LEFT_PAREN))
        return promql_unexpected(p, "grouping opts", "\"(\""), false;
    sx_str *items = NULL;
    size_t used = 0, cap = 0;
    while (promql_peek(p) != PROMQL_TOKEN_RIGHT_PAREN) {
        sx_str label;
        if (!parse_label(p, &label))
            return false;
        if (used == PROMQL_LABELS_MAX)
            return promql_parse_fail_limit(p, "too many labels", PROMQL_LABELS_MAX), false;
        if (!sx_arena_grow(p->arena, &items, &cap, used + 1, sizeof *items))
            return promql_parse_fail_memory(p), false;
        items[used++] = label;
        if (promql_accept(p, PROMQL_TOKEN_COMMA))
            continue;
        if (promql_peek(p) != PROMQL_TOKEN_RIGHT_PAREN)
            return promql_unexpected(p, "grouping opts", "\",\" or \")\""), false;
    }
    promql_take(p);
    *labels = items;
    *count = (uint32_t)used;
    return true;
}

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
    promql_token close = promql_take(p);
    return in_parens(p, e, (promql_pos){open.start, close.start + 1});
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
    return arithmetic(p, op, left, right, (promql_pos){name.start, close.start + 1});
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

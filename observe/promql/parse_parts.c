/* parse_parts.c - literals, selectors and groupings. */
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

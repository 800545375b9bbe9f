/* lex.c - the lexer of PromQL expressions and series descriptions.
 *
 * One function for each state of lex.h reads a token. Texts of errors are Prometheus's, and so is
 * what has been consumed when one is found, because the texts quote it. Source: Prometheus 3,
 * docs/querying/basics.md, and the answers of its parse_query. */
#include "observe/promql/lex_scan.h"

void promql_lex_init(promql_lexer *l, sx_str text, bool series)
{
    *l = (promql_lexer){.text = text, .series = series};
}

/* --- States. */
static void skip_comment(promql_lexer *l)
{
    while (lex_peek(l) != END && lex_peek(l) != '\n' && lex_peek(l) != '\r')
        l->at++;
    l->start = l->at;
}

static void skip_spaces(promql_lexer *l)
{
    while (is_space(lex_peek(l)))
        l->at++;
    l->start = l->at;
}

static promql_token lex_close_paren(promql_lexer *l)
{
    promql_token t = promql_lex_emit_next(l, PROMQL_TOKEN_RIGHT_PAREN, 1);
    if (--l->parens < 0)
        return promql_lex_fail_char(l, l->start, "unexpected right parenthesis ", ')', "");
    return t;
}

/* Signs that are one byte, or two where the second is '='. */
static const uint8_t ONE_BYTE[128] = {
    [','] = PROMQL_TOKEN_COMMA, ['*'] = PROMQL_TOKEN_MUL, ['/'] = PROMQL_TOKEN_DIV,
    ['%'] = PROMQL_TOKEN_MOD,   ['+'] = PROMQL_TOKEN_ADD, ['-'] = PROMQL_TOKEN_SUB,
    ['^'] = PROMQL_TOKEN_POW,   ['@'] = PROMQL_TOKEN_AT,
};

static promql_token lex_comparison(promql_lexer *l)
{
    int c = lex_peek(l), second = lex_peek_second(l);
    if (c == '=') {
        if (second == '=')
            return promql_lex_emit_next(l, PROMQL_TOKEN_EQ, 2);
        if (second == '~')
            return promql_lex_fail_char(l, l->start, "unexpected character after '=': ", '~', "");
        return promql_lex_emit_next(l, PROMQL_TOKEN_EQUAL, 1);
    }
    if (c == '!') {
        l->at++;
        if (second == '=')
            return promql_lex_emit_next(l, PROMQL_TOKEN_NE, 1);
        return promql_lex_fail_char(l, l->start, "unexpected character after '!': ", lex_next(l),
                                    "");
    }
    bool less = c == '<';
    if (second == '=')
        return promql_lex_emit_next(l, less ? PROMQL_TOKEN_LE : PROMQL_TOKEN_GE, 2);
    if (second == '/')
        return promql_lex_emit_next(l, less ? PROMQL_TOKEN_TRIM_UPPER : PROMQL_TOKEN_TRIM_LOWER, 2);
    return promql_lex_emit_next(l, less ? PROMQL_TOKEN_LT : PROMQL_TOKEN_GT, 1);
}

/* A word in brackets, behind the first number. */
static promql_token lex_bracket_word(promql_lexer *l)
{
    int first = lex_peek(l);
    promql_token t;
    if (first == ':') {
        if (l->colon)
            return promql_lex_fail_char(l, l->start, "unexpected colon ", ':', "");
        l->colon = true;
        return promql_lex_emit_next(l, PROMQL_TOKEN_COLON, 1);
    }
    if (promql_lex_duration_word(l, &t))
        return t;
    return promql_lex_fail_char(l, l->start, "unexpected character: ", first, ", expected ':'");
}

static promql_token lex_open_bracket(promql_lexer *l)
{
    if (l->bracket) {
        l->at++;
        return promql_lex_fail_char(l, l->start, "unexpected left bracket ", '[', "");
    }
    promql_token t = promql_lex_emit_next(l, PROMQL_TOKEN_LEFT_BRACKET, 1);
    skip_spaces(l);
    l->bracket = true;
    l->colon = false;
    l->state = PROMQL_LEX_BRACKETS;
    return t;
}

static promql_token lex_end(promql_lexer *l)
{
    if (l->parens)
        return promql_lex_fail(l, "unclosed left parenthesis");
    if (l->bracket)
        return promql_lex_fail(l, "unclosed left bracket");
    return promql_lex_emit(l, PROMQL_TOKEN_EOF);
}

static promql_token lex_expression(promql_lexer *l)
{
    int c = lex_peek(l);
    if (c >= 0 && c < 128 && ONE_BYTE[c])
        return promql_lex_emit_next(l, (promql_token_kind)ONE_BYTE[c], 1);
    if (is_alpha(c) || c == ':')
        return l->bracket ? lex_bracket_word(l) : promql_lex_word(l);
    if (is_digit(c) || (c == '.' && is_digit(lex_peek_second(l))))
        return promql_lex_number_or_duration(l);
    switch (c) {
    case END:
        return lex_end(l);
    case '=':
    case '!':
    case '<':
    case '>':
        return lex_comparison(l);
    case '"':
    case '\'':
    case '`':
        return promql_lex_string(l);
    case '(':
        l->parens++;
        return promql_lex_emit_next(l, PROMQL_TOKEN_LEFT_PAREN, 1);
    case ')':
        return lex_close_paren(l);
    case '{':
        l->state = PROMQL_LEX_BRACES;
        return promql_lex_emit_next(l, PROMQL_TOKEN_LEFT_BRACE, 1);
    case '[':
        return lex_open_bracket(l);
    case ']':
        if (!l->bracket)
            return promql_lex_fail_char(l, l->start, "unexpected right bracket ", ']', "");
        l->bracket = false;
        return promql_lex_emit_next(l, PROMQL_TOKEN_RIGHT_BRACKET, 1);
    default:
        return promql_lex_fail_char(l, l->start, "unexpected character: ", lex_next(l), "");
    }
}

static promql_token lex_braces(promql_lexer *l)
{
    int c = lex_peek(l);
    if (is_alpha(c)) {
        while (is_word(lex_peek(l)))
            l->at++;
        return promql_lex_emit(l, PROMQL_TOKEN_IDENTIFIER);
    }
    switch (c) {
    case END:
        return promql_lex_fail(l, "unexpected end of input inside braces");
    case ',':
        return promql_lex_emit_next(l, PROMQL_TOKEN_COMMA, 1);
    case '"':
    case '\'':
    case '`':
        return promql_lex_string(l);
    case '=':
        if (lex_peek_second(l) == '~')
            return promql_lex_emit_next(l, PROMQL_TOKEN_EQUAL_REGEX, 2);
        return promql_lex_emit_next(l, PROMQL_TOKEN_EQUAL, 1);
    case '!':
        l->at++;
        if (lex_peek(l) == '~')
            return promql_lex_emit_next(l, PROMQL_TOKEN_NOT_REGEX, 1);
        if (lex_peek(l) == '=')
            return promql_lex_emit_next(l, PROMQL_TOKEN_NE, 1);
        return promql_lex_fail_char(
            l, l->start, "unexpected character after '!' inside braces: ", lex_next(l), "");
    case '{':
        return promql_lex_fail_char(l, l->start, "unexpected left brace ", '{', "");
    case '}':
        l->state = l->series ? PROMQL_LEX_VALUES : PROMQL_LEX_EXPRESSION;
        return promql_lex_emit_next(l, PROMQL_TOKEN_RIGHT_BRACE, 1);
    default:
        return promql_lex_fail_char(l, l->start,
                                    "unexpected character inside braces: ", lex_next(l), "");
    }
}

static promql_token lex_brackets_colon(promql_lexer *l)
{
    promql_token t = promql_lex_emit_next(l, PROMQL_TOKEN_COLON, 1);
    if (!l->duration)
        return promql_lex_fail_at(l, l->start,
                                  "unexpected colon before duration in duration expression");
    if (l->colon)
        return promql_lex_fail_at(l, l->start, "unexpected repeated colon in duration expression");
    l->colon = true;
    return t;
}

static promql_token lex_brackets(promql_lexer *l)
{
    int c = lex_peek(l);
    promql_token t;
    if (c != '@' && c >= 0 && c < 128 && ONE_BYTE[c])
        return promql_lex_emit_next(l, (promql_token_kind)ONE_BYTE[c], 1);
    if (is_digit(c) || (c == '.' && is_digit(lex_peek_second(l)))) {
        l->duration = true;
        l->state = PROMQL_LEX_EXPRESSION;
        return promql_lex_number_or_duration(l);
    }
    switch (c) {
    case END:
        return promql_lex_fail(l, "unexpected end of input in duration expression");
    case ']':
        l->bracket = l->colon = false;
        l->state = PROMQL_LEX_EXPRESSION;
        return promql_lex_emit_next(l, PROMQL_TOKEN_RIGHT_BRACKET, 1);
    case ':':
        return lex_brackets_colon(l);
    case '(':
        l->parens++;
        return promql_lex_emit_next(l, PROMQL_TOKEN_LEFT_PAREN, 1);
    case ')':
        return lex_close_paren(l);
    default:
        if (promql_lex_duration_word(l, &t))
            return t;
        if (l->at == l->start)
            c = lex_next(l);
        return promql_lex_fail_char(l, l->start, "unexpected character in duration expression: ", c,
                                    "");
    }
}

/* --- Series descriptions of promtool's unit tests. */
static promql_token lex_values(promql_lexer *l)
{
    int c = lex_peek(l);
    if (is_space(c)) {
        promql_token t = promql_lex_emit_next(l, PROMQL_TOKEN_SPACE, 1);
        skip_spaces(l);
        return t;
    }
    if (c == '{' && lex_peek_second(l) == '{') {
        l->state = PROMQL_LEX_HISTOGRAM;
        return promql_lex_emit_next(l, PROMQL_TOKEN_OPEN_HISTOGRAM, 2);
    }
    if (is_digit(c) || (c == '.' && is_digit(lex_peek_second(l))))
        return promql_lex_number(l);
    switch (c) {
    case END:
        return lex_end(l);
    case '+':
        return promql_lex_emit_next(l, PROMQL_TOKEN_ADD, 1);
    case '-':
        return promql_lex_emit_next(l, PROMQL_TOKEN_SUB, 1);
    case 'x':
        return promql_lex_emit_next(l, PROMQL_TOKEN_TIMES, 1);
    case '_':
        return promql_lex_emit_next(l, PROMQL_TOKEN_BLANK, 1);
    default:
        if (is_alpha(c))
            return promql_lex_word(l);
        return promql_lex_fail_char(l, l->start,
                                    "unexpected character in series sequence: ", lex_next(l), "");
    }
}

static const sx_str FIELDS[] = {
    SX_STR_INIT("sum"),
    SX_STR_INIT("count"),
    SX_STR_INIT("schema"),
    SX_STR_INIT("offset"),
    SX_STR_INIT("n_offset"),
    SX_STR_INIT("buckets"),
    SX_STR_INIT("n_buckets"),
    SX_STR_INIT("z_bucket"),
    SX_STR_INIT("z_bucket_w"),
    SX_STR_INIT("custom_values"),
    SX_STR_INIT("counter_reset_hint"),
};
static const sx_str HINTS[] = {SX_STR_INIT("unknown"), SX_STR_INIT("reset"),
                               SX_STR_INIT("not_reset"), SX_STR_INIT("gauge")};

static bool in_list(const sx_str *list, size_t count, sx_str word)
{
    for (size_t i = 0; i < count; i++) {
        if (sx_str_ieq(list[i], word))
            return true;
    }
    return false;
}

static promql_token lex_histogram_word(promql_lexer *l)
{
    while (is_alpha(lex_peek(l)))
        l->at++;
    sx_str word = sx_str_of(l->text.data + l->start, l->at - l->start);
    if (in_list(FIELDS, SX_COUNT_OF(FIELDS), word)) {
        if (lex_peek(l) != ':')
            return promql_lex_fail(l, "missing `:` for histogram descriptor");
        return promql_lex_emit(l, PROMQL_TOKEN_FIELD);
    }
    if (promql_lex_word_kind(word) == PROMQL_TOKEN_NUMBER)
        return promql_lex_emit(l, PROMQL_TOKEN_NUMBER);
    if (in_list(HINTS, SX_COUNT_OF(HINTS), word))
        return promql_lex_emit(l, PROMQL_TOKEN_HINT);
    return promql_lex_fail_text(l, "bad histogram descriptor found: ");
}

static promql_token lex_histogram(promql_lexer *l)
{
    int c = lex_peek(l);
    if (is_space(c)) {
        promql_token t = promql_lex_emit_next(l, PROMQL_TOKEN_SPACE, 1);
        skip_spaces(l);
        return t;
    }
    if (is_alpha(c))
        return lex_histogram_word(l);
    if (is_digit(c))
        return promql_lex_number(l);
    if (c == ':')
        return promql_lex_emit_next(l, PROMQL_TOKEN_COLON, 1);
    if (c == '-')
        return promql_lex_emit_next(l, PROMQL_TOKEN_SUB, 1);
    if (c == '[') {
        l->state = PROMQL_LEX_BUCKETS;
        return promql_lex_emit_next(l, PROMQL_TOKEN_LEFT_BRACKET, 1);
    }
    if (c == '}' && lex_peek_second(l) == '}') {
        promql_token t = promql_lex_emit_next(l, PROMQL_TOKEN_CLOSE_HISTOGRAM, 2);
        l->state = is_one_of(lex_peek(l), "x+-") ? PROMQL_LEX_AFTER_HISTOGRAM : PROMQL_LEX_VALUES;
        return t;
    }
    return promql_lex_fail_char(l, l->start,
                                "histogram description incomplete unexpected: ", lex_next(l), "");
}

static promql_token lex_buckets(promql_lexer *l)
{
    int c = lex_peek(l);
    if (is_space(c)) {
        promql_token t = promql_lex_emit_next(l, PROMQL_TOKEN_SPACE, 1);
        skip_spaces(l);
        return t;
    }
    if (c == '-')
        return promql_lex_emit_next(l, PROMQL_TOKEN_SUB, 1);
    if (is_digit(c))
        return promql_lex_number(l);
    if (c == ']') {
        l->state = PROMQL_LEX_HISTOGRAM;
        return promql_lex_emit_next(l, PROMQL_TOKEN_RIGHT_BRACKET, 1);
    }
    if (is_alpha(c)) {
        while (is_alpha(lex_peek(l)))
            l->at++;
        if (promql_lex_word_kind(sx_str_of(l->text.data + l->start, l->at - l->start)) ==
            PROMQL_TOKEN_NUMBER)
            return promql_lex_emit(l, PROMQL_TOKEN_NUMBER);
        c = lex_next(l);
    } else {
        lex_next(l);
    }
    return promql_lex_fail_char(l, l->start, "invalid character in buckets description: ", c, "");
}

static promql_token lex_after_histogram(promql_lexer *l)
{
    int c = lex_peek(l);
    l->state = PROMQL_LEX_VALUES;
    return promql_lex_emit_next(l,
                                c == 'x'   ? PROMQL_TOKEN_TIMES
                                : c == '+' ? PROMQL_TOKEN_ADD
                                           : PROMQL_TOKEN_SUB,
                                1);
}

promql_token promql_lex(promql_lexer *l)
{
    if (l->state <= PROMQL_LEX_BRACKETS) {
        for (;;) {
            skip_spaces(l);
            /* In brackets `#` is an error until the first number. */
            if (lex_peek(l) != '#' || l->state == PROMQL_LEX_BRACKETS)
                break;
            skip_comment(l);
        }
    }
    switch (l->state) {
    case PROMQL_LEX_EXPRESSION:
        return lex_expression(l);
    case PROMQL_LEX_BRACES:
        return lex_braces(l);
    case PROMQL_LEX_BRACKETS:
        return lex_brackets(l);
    case PROMQL_LEX_VALUES:
        return lex_values(l);
    case PROMQL_LEX_HISTOGRAM:
        return lex_histogram(l);
    case PROMQL_LEX_BUCKETS:
        return lex_buckets(l);
    case PROMQL_LEX_AFTER_HISTOGRAM:
        return lex_after_histogram(l);
    }
    return promql_lex_fail(l, "unknown state");
}

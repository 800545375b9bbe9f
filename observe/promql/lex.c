/* lex.c - the lexer of PromQL expressions and series descriptions.
 *
 * One function for each state of lex.h reads a token. Texts of errors are Prometheus's, and so is
 * what has been consumed when one is found, because the texts quote it. Source: Prometheus 3,
 * docs/querying/basics.md, and the answers of its parse_query. */
#include "observe/promql/lex.h"

#include <stdio.h>

#include <sextant/utf8.h>

#include "observe/tsdb/labels.h"

typedef enum token_class { NAMED, SIGN, OPERATOR, AGGREGATOR, KEYWORD, FUNCTION } token_class;

typedef struct token_info {
    sx_str text;
    token_class class;
    promql_op op;
} token_info;

static const token_info TOKENS[] = {
#define X(id, kind, words, operation) {SX_STR_INIT(words), kind, (promql_op)PROMQL_##operation},
    PROMQL_TOKENS(X)
#undef X
};

/* The words are the last of the list. */
enum { WORDS_FIRST = PROMQL_TOKEN_AND };

promql_op promql_token_op(promql_token_kind kind)
{
    return TOKENS[kind].op;
}

bool promql_token_is_aggregator(promql_token_kind kind)
{
    return TOKENS[kind].class == AGGREGATOR;
}

void promql_token_print(promql_token t, sx_buf *out)
{
    const token_info *info = &TOKENS[t.kind];
    if (info->class == NAMED)
        sx_buf_str(out, info->text);
    if (t.kind == PROMQL_TOKEN_EOF)
        return;
    if (info->class == NAMED)
        sx_buf_byte(out, ' ');
    if (info->class == KEYWORD)
        sx_buf_printf(out, "<%.*s>", SX_ARG(t.text));
    else if (info->class == OPERATOR)
        sx_buf_printf(out, "<op:%.*s>", SX_ARG(t.text));
    else if (info->class == AGGREGATOR)
        sx_buf_printf(out, "<aggr:%.*s>", SX_ARG(t.text));
    else if (t.kind == PROMQL_TOKEN_IDENTIFIER || t.kind == PROMQL_TOKEN_METRIC_IDENTIFIER ||
             t.text.len <= 10)
        tsdb_quote(t.text, out);
    else { /* its first ten characters */
        size_t len = 0;
        for (int i = 0; i < 10 && len < t.text.len; i++) {
            uint32_t code;
            size_t one = sx_utf8_decode(sx_str_from(t.text, len), &code);
            len += one ? one : 1;
        }
        tsdb_quote(sx_str_first(t.text, len), out);
        sx_buf_str(out, SX_STR("..."));
    }
}

void promql_lex_init(promql_lexer *l, sx_str text, bool series)
{
    *l = (promql_lexer){.text = text, .series = series};
}

/* --- Characters. */
enum { END = -1, REPLACEMENT = 0xfffd };

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(int c)
{
    return c == '_' || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static bool is_word(int c)
{
    return is_alpha(c) || is_digit(c);
}

static bool is_one_of(int c, const char *set)
{
    return c > 0 && c < 128 && strchr(set, c);
}

/* The next byte; every sign of the language is ASCII. */
static int peek(const promql_lexer *l)
{
    return l->at < l->text.len ? (unsigned char)l->text.data[l->at] : END;
}

static int peek_second(const promql_lexer *l)
{
    return l->at + 1 < l->text.len ? (unsigned char)l->text.data[l->at + 1] : END;
}

/* The next character, consumed; U+FFFD for a byte that begins none. */
static int next(promql_lexer *l)
{
    int c = peek(l);
    if (c < 128) {
        l->at += c != END;
        return c;
    }
    uint32_t code = REPLACEMENT;
    size_t len = sx_utf8_decode(sx_str_from(l->text, l->at), &code);
    l->at += len ? len : 1;
    return (int)code;
}

static bool accept(promql_lexer *l, const char *set)
{
    if (!is_one_of(peek(l), set))
        return false;
    l->at++;
    return true;
}

/* --- Tokens. */
static promql_token emit(promql_lexer *l, promql_token_kind kind)
{
    promql_token t = {.kind = kind,
                      .start = (uint32_t)l->start,
                      .text = sx_str_of(l->text.data + l->start, l->at - l->start)};
    l->last = l->start;
    l->start = l->at;
    return t;
}

/* Consumes `bytes` and emits them. */
static promql_token emit_next(promql_lexer *l, promql_token_kind kind, size_t bytes)
{
    l->at += bytes;
    return emit(l, kind);
}

static promql_token fail_at(promql_lexer *l, size_t where, const char *message)
{
    if (message != l->message)
        snprintf(l->message, sizeof l->message, "%s", message);
    l->last = where;
    return (promql_token){
        .kind = PROMQL_TOKEN_ERROR, .start = (uint32_t)where, .text = sx_str_z(l->message)};
}

static promql_token fail(promql_lexer *l, const char *message)
{
    return fail_at(l, l->start, message);
}

/* A character in single quotes, as Go's %q. */
static void quote_char(int c, sx_buf *out)
{
    char bytes[4];
    size_t len = sx_utf8_encode(c < 0 ? REPLACEMENT : (uint32_t)c, bytes);
    if (c == '\'') {
        sx_buf_str(out, SX_STR("'\\''"));
    } else if (c == '"') {
        sx_buf_str(out, SX_STR("'\"'"));
    } else {
        size_t from = out->len;
        tsdb_quote(sx_str_of(bytes, len), out);
        if (!out->failed)
            out->data[from] = out->data[out->len - 1] = '\'';
    }
}

/* `before`, the character quoted, `after`. */
static promql_token fail_char(promql_lexer *l, size_t where, const char *before, int c,
                              const char *after)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    quote_char(c, &b);
    snprintf(l->message, sizeof l->message, "%s%.*s%s", before, SX_ARG(sx_buf_view(&b)), after);
    sx_buf_done(&b);
    return fail_at(l, where, l->message);
}

/* `before` and the text since the token's start, in double quotes. */
static promql_token fail_text(promql_lexer *l, const char *before)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    tsdb_quote(sx_str_of(l->text.data + l->start, l->at - l->start), &b);
    snprintf(l->message, sizeof l->message, "%s%.*s", before, SX_ARG(sx_buf_view(&b)));
    sx_buf_done(&b);
    return fail(l, l->message);
}

/* `before`, the character as Go's %#U has it (U+0071 'q'), `after`. */
static promql_token fail_code(promql_lexer *l, const char *before, int c, const char *after)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    quote_char(c, &b);
    sx_str quoted = sx_buf_view(&b);
    const char *sign = c == '\'' ? " '''" : c == '\\' ? " '\\'" : NULL; /* not escaped here */
    bool escaped = quoted.len > 1 && quoted.data[1] == '\\';
    int n = snprintf(l->message, sizeof l->message, "%sU+%04X", before, (unsigned)c);
    if (sign)
        snprintf(l->message + n, sizeof l->message - (size_t)n, "%s%s", sign, after);
    else
        snprintf(l->message + n, sizeof l->message - (size_t)n, "%s%.*s%s", escaped ? "" : " ",
                 escaped ? 0 : (int)quoted.len, quoted.data, after);
    sx_buf_done(&b);
    return fail(l, l->message);
}

/* --- Numbers and durations. */

/* Digits with points, exponents and underscores where they may stand; not always a number: that is
 * found out when it is read. False where no number can end. */
static bool scan_number(promql_lexer *l)
{
    size_t from = l->at;
    const char *digits = "0123456789";
    bool hex = false, point = false, exponent = false;
    /* In series notation 0x3 is a zero three times. */
    if (!l->series && accept(l, "0") && accept(l, "xX")) {
        accept(l, "_");
        digits = "0123456789abcdefABCDEF";
        hex = true;
    }
    accept(l, ".");
    accept(l, digits);
    for (;;) {
        int c = peek(l);
        if (c == '.') {
            l->at++;
            if (point || accept(l, "_.") || hex)
                return false;
            point = true;
        } else if (is_one_of(c, "eE")) {
            l->at++;
            if (exponent)
                return false;
            exponent = true;
            accept(l, "+-");
            if (accept(l, "._eE") || peek(l) == END)
                return false;
        } else if (c == '_') {
            l->at++;
            if (accept(l, "._eE") || peek(l) == END)
                return false;
        } else if (is_one_of(c, digits)) {
            while (is_one_of(peek(l), digits))
                l->at++;
        } else {
            break;
        }
    }
    if (l->at == from)
        return false;
    return (l->series && peek(l) == 'x') || !is_word(peek(l));
}

/* The rest of a duration behind its first digits. Units out of order are found when it is read. */
static bool scan_duration_rest(promql_lexer *l)
{
    const char *units = "smhdwy";
    do {
        if (!accept(l, units))
            return false;
        accept(l, "s"); /* of ms */
        units = "smhdw";
        if (!is_digit(peek(l)))
            break;
        while (is_digit(peek(l)))
            l->at++;
    } while (true);
    if (!is_word(peek(l)))
        return true;
    l->at++; /* which the message shows */
    return false;
}

static promql_token lex_number(promql_lexer *l)
{
    if (!scan_number(l))
        return fail_text(l, "bad number syntax: ");
    return emit(l, PROMQL_TOKEN_NUMBER);
}

static promql_token lex_number_or_duration(promql_lexer *l)
{
    if (scan_number(l))
        return emit(l, PROMQL_TOKEN_NUMBER);
    if (scan_duration_rest(l))
        return emit(l, PROMQL_TOKEN_DURATION);
    return fail_text(l, "bad number or duration syntax: ");
}

/* --- Strings. */
static int hex_value(int c)
{
    return is_digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 16;
}

/* Checks an escape, the backslash of which was consumed. */
static bool lex_escape(promql_lexer *l, int quote, promql_token *error)
{
    int c = next(l), digits = 0, base = 16;
    uint32_t most = 0x10ffff, code = 0;
    if (c == END) {
        *error = fail(l, "escape sequence not terminated");
        return false;
    }
    if (c == quote || is_one_of(c, "abfnrtv\\"))
        return true;
    if (c >= '0' && c <= '7') {
        digits = 3;
        base = 8;
        most = 255;
    } else if (c == 'x' || c == 'u' || c == 'U') {
        digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        most = c == 'x' ? 255 : most;
        c = next(l);
    } else {
        *error = fail_code(l, "unknown escape sequence ", c, "");
        return false;
    }
    for (int i = 0; i < digits; i++) {
        if (i)
            c = next(l);
        int value = hex_value(c);
        if (value >= base) {
            *error = c == END ? fail(l, "escape sequence not terminated")
                              : fail_code(l, "illegal character ", c, " in escape sequence");
            return false;
        }
        code = code * (uint32_t)base + (uint32_t)value;
    }
    if (code > most || (code >= 0xd800 && code < 0xe000)) {
        *error = fail(l, "escape sequence is an invalid Unicode code point");
        return false;
    }
    return true;
}

static promql_token lex_string(promql_lexer *l)
{
    int quote = next(l);
    bool raw = quote == '`';
    for (;;) {
        int c = next(l);
        promql_token error;
        if (c == quote)
            return emit(l, PROMQL_TOKEN_STRING);
        if (c == END || (c == '\n' && !raw))
            return fail(l, raw ? "unterminated raw string" : "unterminated quoted string");
        if (c == REPLACEMENT)
            return fail(l, "invalid UTF-8 rune");
        if (c == '\\' && !raw && !lex_escape(l, quote, &error))
            return error;
    }
}

/* --- Words. */
static promql_token_kind word_kind(sx_str word)
{
    int first = word.data[0] | 32;
    for (int i = WORDS_FIRST; i < PROMQL_TOKEN_KINDS; i++) {
        if (TOKENS[i].text.len == word.len && TOKENS[i].text.data[0] == first &&
            sx_str_ieq(TOKENS[i].text, word))
            return (promql_token_kind)i;
    }
    if (word.len == 3 && (sx_str_ieq(word, SX_STR("inf")) || sx_str_ieq(word, SX_STR("nan"))))
        return PROMQL_TOKEN_NUMBER;
    return PROMQL_TOKEN_IDENTIFIER;
}

static bool paren_follows(const promql_lexer *l)
{
    size_t at = l->at;
    while (at < l->text.len && is_space(l->text.data[at]))
        at++;
    return at < l->text.len && l->text.data[at] == '(';
}

static promql_token lex_word(promql_lexer *l)
{
    bool colon = false;
    while (is_word(peek(l)) || peek(l) == ':') {
        colon |= peek(l) == ':';
        l->at++;
    }
    sx_str word = sx_str_of(l->text.data + l->start, l->at - l->start);
    promql_token_kind kind = colon ? PROMQL_TOKEN_METRIC_IDENTIFIER : word_kind(word);
    /* These became keywords late: series of that name stay what they were. */
    if ((kind == PROMQL_TOKEN_FILL || kind == PROMQL_TOKEN_FILL_LEFT ||
         kind == PROMQL_TOKEN_FILL_RIGHT) &&
        !paren_follows(l))
        kind = PROMQL_TOKEN_IDENTIFIER;
    if (l->series && peek(l) != '{')
        l->state = PROMQL_LEX_VALUES;
    return emit(l, kind);
}

/* step, range, max_of, min_of in brackets; false, letters consumed, for any other word. */
static bool lex_duration_word(promql_lexer *l, promql_token *out)
{
    if (!is_one_of(peek(l), "sSrRmM"))
        return false;
    while (is_alpha(peek(l)))
        l->at++;
    promql_token_kind kind = word_kind(sx_str_of(l->text.data + l->start, l->at - l->start));
    if (kind != PROMQL_TOKEN_STEP && kind != PROMQL_TOKEN_RANGE && kind != PROMQL_TOKEN_MAX_OF &&
        kind != PROMQL_TOKEN_MIN_OF)
        return false;
    *out = emit(l, kind);
    return true;
}

/* --- States. */
static void skip_comment(promql_lexer *l)
{
    while (peek(l) != END && peek(l) != '\n' && peek(l) != '\r')
        l->at++;
    l->start = l->at;
}

static void skip_spaces(promql_lexer *l)
{
    while (is_space(peek(l)))
        l->at++;
    l->start = l->at;
}

static promql_token lex_close_paren(promql_lexer *l)
{
    promql_token t = emit_next(l, PROMQL_TOKEN_RIGHT_PAREN, 1);
    if (--l->parens < 0)
        return fail_char(l, l->start, "unexpected right parenthesis ", ')', "");
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
    int c = peek(l), second = peek_second(l);
    if (c == '=') {
        if (second == '=')
            return emit_next(l, PROMQL_TOKEN_EQ, 2);
        if (second == '~')
            return fail_char(l, l->start, "unexpected character after '=': ", '~', "");
        return emit_next(l, PROMQL_TOKEN_EQUAL, 1);
    }
    if (c == '!') {
        l->at++;
        if (second == '=')
            return emit_next(l, PROMQL_TOKEN_NE, 1);
        return fail_char(l, l->start, "unexpected character after '!': ", next(l), "");
    }
    bool less = c == '<';
    if (second == '=')
        return emit_next(l, less ? PROMQL_TOKEN_LE : PROMQL_TOKEN_GE, 2);
    if (second == '/')
        return emit_next(l, less ? PROMQL_TOKEN_TRIM_UPPER : PROMQL_TOKEN_TRIM_LOWER, 2);
    return emit_next(l, less ? PROMQL_TOKEN_LT : PROMQL_TOKEN_GT, 1);
}

/* A word in brackets, behind the first number. */
static promql_token lex_bracket_word(promql_lexer *l)
{
    int first = peek(l);
    promql_token t;
    if (first == ':') {
        if (l->colon)
            return fail_char(l, l->start, "unexpected colon ", ':', "");
        l->colon = true;
        return emit_next(l, PROMQL_TOKEN_COLON, 1);
    }
    if (lex_duration_word(l, &t))
        return t;
    return fail_char(l, l->start, "unexpected character: ", first, ", expected ':'");
}

static promql_token lex_open_bracket(promql_lexer *l)
{
    if (l->bracket) {
        l->at++;
        return fail_char(l, l->start, "unexpected left bracket ", '[', "");
    }
    promql_token t = emit_next(l, PROMQL_TOKEN_LEFT_BRACKET, 1);
    skip_spaces(l);
    l->bracket = true;
    l->colon = false;
    l->state = PROMQL_LEX_BRACKETS;
    return t;
}

static promql_token lex_end(promql_lexer *l)
{
    if (l->parens)
        return fail(l, "unclosed left parenthesis");
    if (l->bracket)
        return fail(l, "unclosed left bracket");
    return emit(l, PROMQL_TOKEN_EOF);
}

static promql_token lex_expression(promql_lexer *l)
{
    int c = peek(l);
    if (c >= 0 && c < 128 && ONE_BYTE[c])
        return emit_next(l, (promql_token_kind)ONE_BYTE[c], 1);
    if (is_alpha(c) || c == ':')
        return l->bracket ? lex_bracket_word(l) : lex_word(l);
    if (is_digit(c) || (c == '.' && is_digit(peek_second(l))))
        return lex_number_or_duration(l);
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
        return lex_string(l);
    case '(':
        l->parens++;
        return emit_next(l, PROMQL_TOKEN_LEFT_PAREN, 1);
    case ')':
        return lex_close_paren(l);
    case '{':
        l->state = PROMQL_LEX_BRACES;
        return emit_next(l, PROMQL_TOKEN_LEFT_BRACE, 1);
    case '[':
        return lex_open_bracket(l);
    case ']':
        if (!l->bracket)
            return fail_char(l, l->start, "unexpected right bracket ", ']', "");
        l->bracket = false;
        return emit_next(l, PROMQL_TOKEN_RIGHT_BRACKET, 1);
    default:
        return fail_char(l, l->start, "unexpected character: ", next(l), "");
    }
}

static promql_token lex_braces(promql_lexer *l)
{
    int c = peek(l);
    if (is_alpha(c)) {
        while (is_word(peek(l)))
            l->at++;
        return emit(l, PROMQL_TOKEN_IDENTIFIER);
    }
    switch (c) {
    case END:
        return fail(l, "unexpected end of input inside braces");
    case ',':
        return emit_next(l, PROMQL_TOKEN_COMMA, 1);
    case '"':
    case '\'':
    case '`':
        return lex_string(l);
    case '=':
        if (peek_second(l) == '~')
            return emit_next(l, PROMQL_TOKEN_EQUAL_REGEX, 2);
        return emit_next(l, PROMQL_TOKEN_EQUAL, 1);
    case '!':
        l->at++;
        if (peek(l) == '~')
            return emit_next(l, PROMQL_TOKEN_NOT_REGEX, 1);
        if (peek(l) == '=')
            return emit_next(l, PROMQL_TOKEN_NE, 1);
        return fail_char(l, l->start, "unexpected character after '!' inside braces: ", next(l),
                         "");
    case '{':
        return fail_char(l, l->start, "unexpected left brace ", '{', "");
    case '}':
        l->state = l->series ? PROMQL_LEX_VALUES : PROMQL_LEX_EXPRESSION;
        return emit_next(l, PROMQL_TOKEN_RIGHT_BRACE, 1);
    default:
        return fail_char(l, l->start, "unexpected character inside braces: ", next(l), "");
    }
}

static promql_token lex_brackets_colon(promql_lexer *l)
{
    promql_token t = emit_next(l, PROMQL_TOKEN_COLON, 1);
    if (!l->duration)
        return fail_at(l, l->start, "unexpected colon before duration in duration expression");
    if (l->colon)
        return fail_at(l, l->start, "unexpected repeated colon in duration expression");
    l->colon = true;
    return t;
}

static promql_token lex_brackets(promql_lexer *l)
{
    int c = peek(l);
    promql_token t;
    if (c != '@' && c >= 0 && c < 128 && ONE_BYTE[c])
        return emit_next(l, (promql_token_kind)ONE_BYTE[c], 1);
    if (is_digit(c) || (c == '.' && is_digit(peek_second(l)))) {
        l->duration = true;
        l->state = PROMQL_LEX_EXPRESSION;
        return lex_number_or_duration(l);
    }
    switch (c) {
    case END:
        return fail(l, "unexpected end of input in duration expression");
    case ']':
        l->bracket = l->colon = false;
        l->state = PROMQL_LEX_EXPRESSION;
        return emit_next(l, PROMQL_TOKEN_RIGHT_BRACKET, 1);
    case ':':
        return lex_brackets_colon(l);
    case '(':
        l->parens++;
        return emit_next(l, PROMQL_TOKEN_LEFT_PAREN, 1);
    case ')':
        return lex_close_paren(l);
    default:
        if (lex_duration_word(l, &t))
            return t;
        if (l->at == l->start)
            c = next(l);
        return fail_char(l, l->start, "unexpected character in duration expression: ", c, "");
    }
}

/* --- Series descriptions of promtool's unit tests. */
static promql_token lex_values(promql_lexer *l)
{
    int c = peek(l);
    if (is_space(c)) {
        promql_token t = emit_next(l, PROMQL_TOKEN_SPACE, 1);
        skip_spaces(l);
        return t;
    }
    if (c == '{' && peek_second(l) == '{') {
        l->state = PROMQL_LEX_HISTOGRAM;
        return emit_next(l, PROMQL_TOKEN_OPEN_HISTOGRAM, 2);
    }
    if (is_digit(c) || (c == '.' && is_digit(peek_second(l))))
        return lex_number(l);
    switch (c) {
    case END:
        return lex_end(l);
    case '+':
        return emit_next(l, PROMQL_TOKEN_ADD, 1);
    case '-':
        return emit_next(l, PROMQL_TOKEN_SUB, 1);
    case 'x':
        return emit_next(l, PROMQL_TOKEN_TIMES, 1);
    case '_':
        return emit_next(l, PROMQL_TOKEN_BLANK, 1);
    default:
        if (is_alpha(c))
            return lex_word(l);
        return fail_char(l, l->start, "unexpected character in series sequence: ", next(l), "");
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
    while (is_alpha(peek(l)))
        l->at++;
    sx_str word = sx_str_of(l->text.data + l->start, l->at - l->start);
    if (in_list(FIELDS, SX_COUNT_OF(FIELDS), word)) {
        if (peek(l) != ':')
            return fail(l, "missing `:` for histogram descriptor");
        return emit(l, PROMQL_TOKEN_FIELD);
    }
    if (word_kind(word) == PROMQL_TOKEN_NUMBER)
        return emit(l, PROMQL_TOKEN_NUMBER);
    if (in_list(HINTS, SX_COUNT_OF(HINTS), word))
        return emit(l, PROMQL_TOKEN_HINT);
    return fail_text(l, "bad histogram descriptor found: ");
}

static promql_token lex_histogram(promql_lexer *l)
{
    int c = peek(l);
    if (is_space(c)) {
        promql_token t = emit_next(l, PROMQL_TOKEN_SPACE, 1);
        skip_spaces(l);
        return t;
    }
    if (is_alpha(c))
        return lex_histogram_word(l);
    if (is_digit(c))
        return lex_number(l);
    if (c == ':')
        return emit_next(l, PROMQL_TOKEN_COLON, 1);
    if (c == '-')
        return emit_next(l, PROMQL_TOKEN_SUB, 1);
    if (c == '[') {
        l->state = PROMQL_LEX_BUCKETS;
        return emit_next(l, PROMQL_TOKEN_LEFT_BRACKET, 1);
    }
    if (c == '}' && peek_second(l) == '}') {
        promql_token t = emit_next(l, PROMQL_TOKEN_CLOSE_HISTOGRAM, 2);
        l->state = is_one_of(peek(l), "x+-") ? PROMQL_LEX_AFTER_HISTOGRAM : PROMQL_LEX_VALUES;
        return t;
    }
    return fail_char(l, l->start, "histogram description incomplete unexpected: ", next(l), "");
}

static promql_token lex_buckets(promql_lexer *l)
{
    int c = peek(l);
    if (is_space(c)) {
        promql_token t = emit_next(l, PROMQL_TOKEN_SPACE, 1);
        skip_spaces(l);
        return t;
    }
    if (c == '-')
        return emit_next(l, PROMQL_TOKEN_SUB, 1);
    if (is_digit(c))
        return lex_number(l);
    if (c == ']') {
        l->state = PROMQL_LEX_HISTOGRAM;
        return emit_next(l, PROMQL_TOKEN_RIGHT_BRACKET, 1);
    }
    if (is_alpha(c)) {
        while (is_alpha(peek(l)))
            l->at++;
        if (word_kind(sx_str_of(l->text.data + l->start, l->at - l->start)) == PROMQL_TOKEN_NUMBER)
            return emit(l, PROMQL_TOKEN_NUMBER);
        c = next(l);
    } else {
        next(l);
    }
    return fail_char(l, l->start, "invalid character in buckets description: ", c, "");
}

static promql_token lex_after_histogram(promql_lexer *l)
{
    int c = peek(l);
    l->state = PROMQL_LEX_VALUES;
    return emit_next(l,
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
            if (peek(l) != '#' || l->state == PROMQL_LEX_BRACKETS)
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
    return fail(l, "unknown state");
}

/* lex_scan.c - the parts that tokens are made of: signs and words by name, numbers, durations,
 * strings, and the texts of what is wrong with them. */
#include "observe/promql/lex_scan.h"

#include <stdio.h>

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

/* --- Tokens. */
promql_token promql_lex_emit(promql_lexer *l, promql_token_kind kind)
{
    promql_token t = {.kind = kind,
                      .start = (uint32_t)l->start,
                      .text = sx_str_of(l->text.data + l->start, l->at - l->start)};
    l->last = l->start;
    l->start = l->at;
    return t;
}

promql_token promql_lex_emit_next(promql_lexer *l, promql_token_kind kind, size_t bytes)
{
    l->at += bytes;
    return promql_lex_emit(l, kind);
}

promql_token promql_lex_fail_at(promql_lexer *l, size_t where, const char *message)
{
    if (message != l->message)
        snprintf(l->message, sizeof l->message, "%s", message);
    l->last = where;
    return (promql_token){
        .kind = PROMQL_TOKEN_ERROR, .start = (uint32_t)where, .text = sx_str_z(l->message)};
}

promql_token promql_lex_fail(promql_lexer *l, const char *message)
{
    return promql_lex_fail_at(l, l->start, message);
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

promql_token promql_lex_fail_char(promql_lexer *l, size_t where, const char *before, int c,
                                  const char *after)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    quote_char(c, &b);
    snprintf(l->message, sizeof l->message, "%s%.*s%s", before, SX_ARG(sx_buf_view(&b)), after);
    sx_buf_done(&b);
    return promql_lex_fail_at(l, where, l->message);
}

promql_token promql_lex_fail_text(promql_lexer *l, const char *before)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    tsdb_quote(sx_str_of(l->text.data + l->start, l->at - l->start), &b);
    snprintf(l->message, sizeof l->message, "%s%.*s", before, SX_ARG(sx_buf_view(&b)));
    sx_buf_done(&b);
    return promql_lex_fail(l, l->message);
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
    return promql_lex_fail(l, l->message);
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
    if (!l->series && lex_accept(l, "0") && lex_accept(l, "xX")) {
        lex_accept(l, "_");
        digits = "0123456789abcdefABCDEF";
        hex = true;
    }
    lex_accept(l, ".");
    lex_accept(l, digits);
    for (;;) {
        int c = lex_peek(l);
        if (c == '.') {
            l->at++;
            if (point || lex_accept(l, "_.") || hex)
                return false;
            point = true;
        } else if (is_one_of(c, "eE")) {
            l->at++;
            if (exponent)
                return false;
            exponent = true;
            lex_accept(l, "+-");
            if (lex_accept(l, "._eE") || lex_peek(l) == END)
                return false;
        } else if (c == '_') {
            l->at++;
            if (lex_accept(l, "._eE") || lex_peek(l) == END)
                return false;
        } else if (is_one_of(c, digits)) {
            while (is_one_of(lex_peek(l), digits))
                l->at++;
        } else {
            break;
        }
    }
    if (l->at == from)
        return false;
    return (l->series && lex_peek(l) == 'x') || !is_word(lex_peek(l));
}

/* The rest of a duration behind its first digits. Units out of order are found when it is read. */
static bool scan_duration_rest(promql_lexer *l)
{
    const char *units = "smhdwy";
    do {
        if (!lex_accept(l, units))
            return false;
        lex_accept(l, "s"); /* of ms */
        units = "smhdw";
        if (!is_digit(lex_peek(l)))
            break;
        while (is_digit(lex_peek(l)))
            l->at++;
    } while (true);
    if (!is_word(lex_peek(l)))
        return true;
    l->at++; /* which the message shows */
    return false;
}

promql_token promql_lex_number(promql_lexer *l)
{
    if (!scan_number(l))
        return promql_lex_fail_text(l, "bad number syntax: ");
    return promql_lex_emit(l, PROMQL_TOKEN_NUMBER);
}

promql_token promql_lex_number_or_duration(promql_lexer *l)
{
    if (scan_number(l))
        return promql_lex_emit(l, PROMQL_TOKEN_NUMBER);
    if (scan_duration_rest(l))
        return promql_lex_emit(l, PROMQL_TOKEN_DURATION);
    return promql_lex_fail_text(l, "bad number or duration syntax: ");
}

/* --- Strings. */
static int hex_value(int c)
{
    return is_digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 16;
}

/* Checks an escape, the backslash of which was consumed. */
static bool lex_escape(promql_lexer *l, int quote, promql_token *error)
{
    int c = lex_next(l), digits = 0, base = 16;
    uint32_t most = 0x10ffff, code = 0;
    if (c == END) {
        *error = promql_lex_fail(l, "escape sequence not terminated");
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
        c = lex_next(l);
    } else {
        *error = fail_code(l, "unknown escape sequence ", c, "");
        return false;
    }
    for (int i = 0; i < digits; i++) {
        if (i)
            c = lex_next(l);
        int value = hex_value(c);
        if (value >= base) {
            *error = c == END ? promql_lex_fail(l, "escape sequence not terminated")
                              : fail_code(l, "illegal character ", c, " in escape sequence");
            return false;
        }
        code = code * (uint32_t)base + (uint32_t)value;
    }
    if (code > most || (code >= 0xd800 && code < 0xe000)) {
        *error = promql_lex_fail(l, "escape sequence is an invalid Unicode code point");
        return false;
    }
    return true;
}

promql_token promql_lex_string(promql_lexer *l)
{
    int quote = lex_next(l);
    bool raw = quote == '`';
    for (;;) {
        int c = lex_next(l);
        promql_token error;
        if (c == quote)
            return promql_lex_emit(l, PROMQL_TOKEN_STRING);
        if (c == END || (c == '\n' && !raw))
            return promql_lex_fail(l,
                                   raw ? "unterminated raw string" : "unterminated quoted string");
        if (c == REPLACEMENT)
            return promql_lex_fail(l, "invalid UTF-8 rune");
        if (c == '\\' && !raw && !lex_escape(l, quote, &error))
            return error;
    }
}

/* --- Words. */
promql_token_kind promql_lex_word_kind(sx_str word)
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

promql_token promql_lex_word(promql_lexer *l)
{
    bool colon = false;
    while (is_word(lex_peek(l)) || lex_peek(l) == ':') {
        colon |= lex_peek(l) == ':';
        l->at++;
    }
    sx_str word = sx_str_of(l->text.data + l->start, l->at - l->start);
    promql_token_kind kind = colon ? PROMQL_TOKEN_METRIC_IDENTIFIER : promql_lex_word_kind(word);
    /* These became keywords late: series of that name stay what they were. */
    if ((kind == PROMQL_TOKEN_FILL || kind == PROMQL_TOKEN_FILL_LEFT ||
         kind == PROMQL_TOKEN_FILL_RIGHT) &&
        !paren_follows(l))
        kind = PROMQL_TOKEN_IDENTIFIER;
    if (l->series && lex_peek(l) != '{')
        l->state = PROMQL_LEX_VALUES;
    return promql_lex_emit(l, kind);
}

bool promql_lex_duration_word(promql_lexer *l, promql_token *out)
{
    if (!is_one_of(lex_peek(l), "sSrRmM"))
        return false;
    while (is_alpha(lex_peek(l)))
        l->at++;
    promql_token_kind kind =
        promql_lex_word_kind(sx_str_of(l->text.data + l->start, l->at - l->start));
    if (kind != PROMQL_TOKEN_STEP && kind != PROMQL_TOKEN_RANGE && kind != PROMQL_TOKEN_MAX_OF &&
        kind != PROMQL_TOKEN_MIN_OF)
        return false;
    *out = promql_lex_emit(l, kind);
    return true;
}

/* template_lex.c - texts and the tokens of actions. Source: Go, package text/template. */
#include "codec/template_lex.h"

#include <sextant/utf8.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static sx_str rest(const tlexer *l)
{
    return sx_str_from(l->text, l->at);
}

/* "- " behind an opening delimiter; " -" before a closing one. */
static bool trims_left(sx_str s)
{
    return s.len >= 2 && s.data[0] == '-' && is_blank(s.data[1]);
}

static size_t right_here(const tlexer *l, bool *trim)
{
    sx_str s = rest(l);
    *trim = s.len >= 2 && is_blank(s.data[0]) && s.data[1] == '-' &&
            sx_str_starts(sx_str_from(s, 2), l->right);
    if (*trim)
        return 2 + l->right.len;
    return sx_str_starts(s, l->right) ? l->right.len : 0;
}

/* Behind the opening delimiter: skips a comment. False: what stands there is no comment. */
static bool skip_comment(tlexer *l, const char **why)
{
    sx_str s = rest(l);
    size_t skip = trims_left(s) ? 2 : 0;
    s = sx_str_from(s, skip);
    if (!sx_str_starts(s, SX_STR("/*")))
        return false;
    size_t end = sx_str_find(s, SX_STR("*/"));
    if (end == s.len) {
        *why = "unclosed comment";
        return true;
    }
    l->at += skip + end + 2;
    bool trim;
    size_t len = right_here(l, &trim);
    if (len == 0)
        *why = "comment ends before closing delimiter";
    l->at += len;
    l->trim_next = trim;
    return true;
}

bool template_lex_text(tlexer *l, sx_str *text, bool *action, const char **why)
{
    *action = false;
    *why = NULL;
    if (l->at >= l->text.len)
        return false;
    while (l->trim_next && l->at < l->text.len && is_blank(l->text.data[l->at]))
        l->at++;
    l->trim_next = false;
    size_t len = sx_str_find(rest(l), l->left);
    *text = sx_str_first(rest(l), len);
    l->at += len;
    if (l->at >= l->text.len)
        return true;
    l->at += l->left.len;
    bool trim = trims_left(rest(l));
    while (trim && text->len && is_blank(text->data[text->len - 1]))
        text->len--;
    if (skip_comment(l, why))
        return true;
    l->at += trim; /* the blank behind the dash is a token like any other */
    l->parens = 0;
    *action = true;
    return true;
}

/* --- Inside. */

static bool is_alnum(uint32_t code)
{
    return code == '_' || (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') ||
           (code >= 'A' && code <= 'Z') || code >= 0x80; /* letters of all scripts */
}

static size_t name_len(sx_str s)
{
    size_t len = 0;
    while (len < s.len && is_alnum((unsigned char)s.data[len]))
        len++;
    return len;
}

/* The length of a quoted text with its quotes; 0: it has no end. */
static size_t quoted_len(sx_str s)
{
    char quote = s.data[0];
    for (size_t i = 1; i < s.len; i++) {
        if (s.data[i] == quote)
            return i + 1;
        if (quote != '`' && s.data[i] == '\n')
            return 0;
        if (quote != '`' && s.data[i] == '\\')
            i++;
    }
    return 0;
}

static const char *const KEYWORDS[] = {"block", "break", "continue", "define",   "else",
                                       "end",   "if",    "range",    "template", "with"};

static ttoken take(tlexer *l, ttoken_kind kind, size_t len)
{
    ttoken t = {.kind = kind, .text = sx_str_first(rest(l), len)};
    l->at += len;
    return t;
}

static ttoken bad(tlexer *l, const char *why)
{
    ttoken t = take(l, TTOKEN_BAD, 1);
    t.why = why;
    return t;
}

/* A name, field or variable must be followed by something that can end it. */
static bool ends_word(const tlexer *l, size_t len)
{
    sx_str s = sx_str_from(rest(l), len);
    bool trim;
    tlexer behind = *l;
    behind.at += len;
    return s.len == 0 || is_blank(s.data[0]) || strchr(".,|:=()", s.data[0]) ||
           right_here(&behind, &trim);
}

static ttoken lex_word(tlexer *l)
{
    sx_str s = rest(l);
    if (s.data[0] == '.') {
        size_t len = 1 + name_len(sx_str_from(s, 1));
        if (!ends_word(l, len))
            return bad(l, "bad character");
        return take(l, len == 1 ? TTOKEN_DOT : TTOKEN_FIELD, len);
    }
    if (s.data[0] == '$') {
        size_t len = 1 + name_len(sx_str_from(s, 1));
        return ends_word(l, len) ? take(l, TTOKEN_VARIABLE, len) : bad(l, "bad character");
    }
    size_t len = name_len(s);
    if (!ends_word(l, len))
        return bad(l, "bad character");
    for (size_t i = 0; i < SX_COUNT_OF(KEYWORDS); i++) {
        if (sx_str_eq(sx_str_first(s, len), sx_str_z(KEYWORDS[i])))
            return take(l, TTOKEN_KEYWORD, len);
    }
    return take(l, TTOKEN_NAME, len);
}

/* Sign, digits of any base, underscores, point, exponent: the parser says whether it is a number. */
static ttoken lex_number(tlexer *l)
{
    sx_str s = rest(l);
    size_t len = s.data[0] == '+' || s.data[0] == '-';
    while (len < s.len &&
           (is_alnum((unsigned char)s.data[len]) || s.data[len] == '.' ||
            ((s.data[len] == '+' || s.data[len] == '-') && strchr("eEpP", s.data[len - 1]))))
        len++;
    return take(l, TTOKEN_NUMBER, len);
}

static bool begins_number(sx_str s)
{
    size_t at = s.data[0] == '+' || s.data[0] == '-';
    bool digit = at < s.len && s.data[at] >= '0' && s.data[at] <= '9';
    bool point =
        at + 1 < s.len && s.data[at] == '.' && s.data[at + 1] >= '0' && s.data[at + 1] <= '9';
    return digit || point;
}

static const struct {
    char first;
    ttoken_kind kind;
    const char *unterminated;
} QUOTES[] = {{'"', TTOKEN_STRING, "unterminated quoted string"},
              {'`', TTOKEN_RAW_STRING, "unterminated raw quoted string"},
              {'\'', TTOKEN_CHARACTER, "unterminated character constant"}};

ttoken template_lex(tlexer *l)
{
    sx_str s = rest(l);
    bool trim;
    if (s.len == 0)
        return (ttoken){.kind = TTOKEN_END, .text = s};
    size_t right = right_here(l, &trim);
    if (right) {
        if (l->parens)
            return bad(l, "unclosed left paren");
        l->trim_next = trim;
        return take(l, TTOKEN_RIGHT, right);
    }
    if (is_blank(s.data[0])) {
        size_t len = 1;
        while (len < s.len && is_blank(s.data[len])) {
            tlexer there = *l;
            there.at += len;
            if (right_here(&there, &trim))
                break; /* the blank belongs to the trim marker */
            len++;
        }
        return take(l, TTOKEN_SPACE, len);
    }
    for (size_t i = 0; i < SX_COUNT_OF(QUOTES); i++) {
        if (s.data[0] == QUOTES[i].first) {
            size_t len = quoted_len(s);
            return len ? take(l, QUOTES[i].kind, len) : bad(l, QUOTES[i].unterminated);
        }
    }
    if (sx_str_starts(s, SX_STR(":=")))
        return take(l, TTOKEN_DECLARE, 2);
    if (begins_number(s))
        return lex_number(l);
    switch (s.data[0]) {
    case '=':
        return take(l, TTOKEN_ASSIGN, 1);
    case '|':
        return take(l, TTOKEN_PIPE, 1);
    case ',':
        return take(l, TTOKEN_COMMA, 1);
    case '(':
        l->parens++;
        return take(l, TTOKEN_LEFT_PAREN, 1);
    case ')':
        if (--l->parens < 0)
            return bad(l, "unexpected right paren");
        return take(l, TTOKEN_RIGHT_PAREN, 1);
    case '.':
    case '$':
        return lex_word(l);
    default:
        break;
    }
    return is_alnum((unsigned char)s.data[0]) ? lex_word(l) : take(l, TTOKEN_OTHER, 1);
}

/* lex.c - TraceQL's tokens. A scope and its attribute are one token, so are a scope and its intrinsic;
 * an attribute's name goes on until a space or one of { } ( ) = ~ ! < > & | ^ and the comma, so that
 * .http-status+1 is one name; parts of it may be quoted. See lex.h. */
#include "observe/traceql/lex.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

sx_status tq_fail_at(sx_str text, size_t at, sx_error *err, const char *fmt, ...)
{
    unsigned line = 1, col = 1;
    char words[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    for (size_t i = 0; i < at && i < text.len; i++)
        if (text.data[i] == '\n')
            line++, col = 1;
        else if (((unsigned char)text.data[i] & 0xc0) != 0x80)
            col++;
    return sx_fail(err, SX_EFORMAT, "parse error at line %u, col %u: %s", line, col, words);
}

/* --- Characters. */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool ends_attribute(char c)
{
    return is_space(c) || c == '\v' || c == '\f' || (c && strchr("{}()=~!<>&|^,", c));
}

static char peek(const tq_lexer *l, size_t ahead)
{
    return l->pos + ahead < l->text.len ? l->text.data[l->pos + ahead] : '\0';
}

/* Spaces, and comments as Go writes them. */
static sx_status skip_space(tq_lexer *l, sx_error *err)
{
    for (;;) {
        while (l->pos < l->text.len && is_space(l->text.data[l->pos]))
            l->pos++;
        if (peek(l, 0) != '/')
            return SX_OK;
        if (peek(l, 1) == '/') {
            while (l->pos < l->text.len && l->text.data[l->pos] != '\n')
                l->pos++;
        } else if (peek(l, 1) == '*') {
            size_t from = l->pos;
            size_t end = sx_str_find(sx_str_from(l->text, l->pos + 2), SX_STR("*/"));
            if (end >= l->text.len - l->pos - 2)
                return tq_fail_at(l->text, from, err, "comment not terminated");
            l->pos += 2 + end + 2;
        } else {
            return SX_OK;
        }
    }
}

/* --- Strings. */

static void put_rune(char *out, size_t *len, uint32_t r)
{
    size_t n = *len;
    if (r > 0x10ffff || (r >= 0xd800 && r < 0xe000))
        r = 0xfffd;
    if (r < 0x80) {
        out[n++] = (char)r;
    } else if (r < 0x800) {
        out[n++] = (char)(0xc0 | (r >> 6));
        out[n++] = (char)(0x80 | (r & 63));
    } else if (r < 0x10000) {
        out[n++] = (char)(0xe0 | (r >> 12));
        out[n++] = (char)(0x80 | ((r >> 6) & 63));
        out[n++] = (char)(0x80 | (r & 63));
    } else {
        out[n++] = (char)(0xf0 | (r >> 18));
        out[n++] = (char)(0x80 | ((r >> 12) & 63));
        out[n++] = (char)(0x80 | ((r >> 6) & 63));
        out[n++] = (char)(0x80 | (r & 63));
    }
    *len = n;
}

static int digit_of(char c, int base)
{
    int d = is_digit(c)              ? c - '0'
            : (c >= 'a' && c <= 'f') ? c - 'a' + 10
            : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                     : 99;
    return d < base ? d : -1;
}

/* One escape after its backslash, as in Go. False: there is no such. No escape becomes longer. */
static bool read_escape(tq_lexer *l, char *out, size_t *len)
{
    static const char NAMES[] = "abfnrtv\\\"'", BYTES[] = "\a\b\f\n\r\t\v\\\"'";
    char c = peek(l, 0);
    const char *simple = c ? strchr(NAMES, c) : NULL;
    if (simple) {
        out[(*len)++] = BYTES[simple - NAMES];
        l->pos++;
        return true;
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 3;
    int base = c == 'x' || c == 'u' || c == 'U' ? 16 : 8;
    if (base == 16)
        l->pos++;
    uint32_t value = 0;
    for (size_t i = 0; i < digits; i++, l->pos++) {
        int d = digit_of(peek(l, 0), base);
        if (d < 0)
            return false;
        value = value * (uint32_t)base + (uint32_t)d;
    }
    if (c == 'u' || c == 'U')
        put_rune(out, len, value);
    else if (value > 255)
        return false;
    else
        out[(*len)++] = (char)value;
    return true;
}

static sx_status read_string(tq_lexer *l, tq_token *t, sx_error *err)
{
    size_t from = l->pos;
    char quote = l->text.data[l->pos++];
    sx_str rest = sx_str_from(l->text, l->pos);
    size_t end = sx_str_find_byte(rest, quote);
    bool plain = quote == '`' || sx_str_find_byte(sx_str_first(rest, end), '\\') >= end;
    size_t len = 0;
    t->kind = TQ_T_STR;
    if (end < rest.len && plain && sx_str_find_byte(sx_str_first(rest, end), '\n') >= end) {
        t->text = sx_str_first(rest, end);
        l->pos += end + 1;
        return SX_OK;
    }
    char *out = sx_arena_alloc(l->arena, rest.len + 4);
    if (!out)
        return sx_fail_memory(err, "a query");
    for (;;) {
        if (l->pos >= l->text.len || (quote == '"' && l->text.data[l->pos] == '\n'))
            return tq_fail_at(l->text, from, err, "literal not terminated");
        char c = l->text.data[l->pos++];
        if (c == quote)
            break;
        if (c == '\\' && quote == '"') {
            if (!read_escape(l, out, &len))
                return tq_fail_at(l->text, from, err, "invalid char escape");
        } else {
            out[len++] = c;
        }
    }
    t->text = sx_str_of(out, len);
    return SX_OK;
}

/* --- Numbers and durations. */

static const struct {
    const char *name;
    double ns;
} UNITS[] = {
    {"ns", 1},          {"us", 1e3},    {"\xc2\xb5s", 1e3}, /* micro sign, and the Greek letter */
    {"\xce\xbcs", 1e3}, {"ms", 1e6},    {"s", 1e9},         {"m", 60e9},
    {"h", 3600e9},      {"d", 86400e9}, {"w", 7 * 86400e9}, {"y", 365 * 86400e9}};

static size_t read_unit(sx_str s, double *ns)
{
    size_t best = 0;
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
        sx_str name = sx_str_z(UNITS[i].name);
        if (name.len > best && sx_str_starts(s, name)) {
            best = name.len;
            *ns = UNITS[i].ns;
        }
    }
    return best;
}

/* Digits, a point, digits; no exponent. The length, 0 if there is none. */
static size_t plain_number(sx_str s)
{
    size_t n = 0, digits = 0;
    for (; n < s.len && is_digit(s.data[n]); n++)
        digits++;
    if (n < s.len && s.data[n] == '.')
        for (n++; n < s.len && is_digit(s.data[n]); n++)
            digits++;
    return digits ? n : 0;
}

static double to_double(sx_str s)
{
    char copy[400];
    size_t n = s.len < sizeof copy - 1 ? s.len : sizeof copy - 1;
    memcpy(copy, s.data, n);
    copy[n] = '\0';
    return strtod(copy, NULL);
}

/* 1h30m, 1.5s: the bytes it takes; 0: it is no duration. */
static size_t read_duration(sx_str s, int64_t *ns)
{
    size_t pos = 0;
    double sum = 0;
    while (pos < s.len && (is_digit(s.data[pos]) || s.data[pos] == '.')) {
        sx_str rest = sx_str_from(s, pos);
        double unit = 0;
        size_t n = plain_number(rest);
        size_t u = n ? read_unit(sx_str_from(rest, n), &unit) : 0;
        if (!u)
            return 0;
        sum += to_double(sx_str_first(rest, n)) * unit;
        pos += n + u;
    }
    if (!pos || sum >= 0x1p63)
        return 0;
    if (pos < s.len && is_letter(s.data[pos])) /* 5mx */
        return 0;
    *ns = (int64_t)sum;
    return pos;
}

static sx_status read_number(tq_lexer *l, tq_token *t, sx_error *err)
{
    sx_str rest = sx_str_from(l->text, l->pos);
    size_t n = read_duration(rest, &t->i);
    if (n) {
        t->kind = TQ_T_DURATION;
        l->pos += n;
        return SX_OK;
    }
    n = plain_number(rest);
    bool whole = sx_str_find_byte(sx_str_first(rest, n), '.') >= n;
    size_t e = n;
    if (e < rest.len && (rest.data[e] == 'e' || rest.data[e] == 'E')) {
        e++;
        if (e < rest.len && (rest.data[e] == '+' || rest.data[e] == '-'))
            e++;
        size_t digits = 0;
        for (; e < rest.len && is_digit(rest.data[e]); e++)
            digits++;
        if (digits) {
            n = e;
            whole = false;
        }
    }
    sx_str number = sx_str_first(rest, n);
    l->pos += n;
    t->kind = whole ? TQ_T_INT : TQ_T_FLOAT;
    if (!whole)
        t->d = to_double(number);
    else if (!sx_str_to_i64(number, &t->i))
        return tq_fail_at(l->text, t->at, err, "parsing \"%.*s\": value out of range",
                          SX_ARG(number));
    return SX_OK;
}

/* --- Fields. */

static const struct {
    const char *scope;
    tq_source attribute;
} SCOPES[] = {{"span", TQ_ATTR_SPAN},   {"resource", TQ_ATTR_RESOURCE},
              {"event", TQ_ATTR_EVENT}, {"link", TQ_ATTR_LINK},
              {"parent", TQ_ATTR},      {"instrumentation", TQ_ATTR_SCOPE}};

static const struct {
    const char *scope; /* "" for the words that stand alone */
    const char *name;
    tq_source source;
} INTRINSICS[] = {{"", "duration", TQ_SPAN_DURATION},
                  {"", "name", TQ_SPAN_NAME},
                  {"", "status", TQ_SPAN_STATUS},
                  {"", "statusMessage", TQ_SPAN_STATUS_MESSAGE},
                  {"", "kind", TQ_SPAN_KIND},
                  {"", "parent", TQ_PARENT},
                  {"", "rootName", TQ_TRACE_ROOT_NAME},
                  {"", "rootServiceName", TQ_TRACE_ROOT_SERVICE},
                  {"", "traceDuration", TQ_TRACE_DURATION},
                  {"", "nestedSetLeft", TQ_NESTED_LEFT},
                  {"", "nestedSetRight", TQ_NESTED_RIGHT},
                  {"", "nestedSetParent", TQ_NESTED_PARENT},
                  {"trace", "duration", TQ_TRACE_DURATION},
                  {"trace", "rootName", TQ_TRACE_ROOT_NAME},
                  {"trace", "rootService", TQ_TRACE_ROOT_SERVICE},
                  {"trace", "id", TQ_TRACE_ID},
                  {"span", "duration", TQ_SPAN_DURATION},
                  {"span", "name", TQ_SPAN_NAME},
                  {"span", "kind", TQ_SPAN_KIND},
                  {"span", "status", TQ_SPAN_STATUS},
                  {"span", "statusMessage", TQ_SPAN_STATUS_MESSAGE},
                  {"span", "id", TQ_SPAN_ID},
                  {"span", "parentID", TQ_SPAN_PARENT_ID},
                  {"span", "childCount", TQ_SPAN_CHILDREN},
                  {"event", "name", TQ_EVENT_NAME},
                  {"event", "timeSinceStart", TQ_EVENT_SINCE_START},
                  {"link", "traceID", TQ_LINK_TRACE_ID},
                  {"link", "spanID", TQ_LINK_SPAN_ID},
                  {"instrumentation", "name", TQ_SCOPE_NAME},
                  {"instrumentation", "version", TQ_SCOPE_VERSION}};

static bool find_intrinsic(sx_str scope, sx_str word, tq_source *out)
{
    for (size_t i = 0; i < sizeof INTRINSICS / sizeof INTRINSICS[0]; i++)
        if (sx_str_eq(scope, sx_str_z(INTRINSICS[i].scope)) &&
            sx_str_eq(word, sx_str_z(INTRINSICS[i].name))) {
            *out = INTRINSICS[i].source;
            return true;
        }
    return false;
}

bool tq_intrinsic(sx_str word, tq_source *out)
{
    return find_intrinsic(SX_STR(""), word, out);
}

/* The quoted part of an attribute's name, its opening quote not yet read. */
static sx_status read_quoted(tq_lexer *l, char *out, size_t *len, sx_error *err)
{
    size_t from = l->pos++;
    for (;;) {
        if (l->pos >= l->text.len)
            return tq_fail_at(l->text, from, err, "unexpected EOF, expecting \"");
        char c = l->text.data[l->pos++];
        if (c == '"')
            return SX_OK;
        if (c == '\\') {
            c = peek(l, 0);
            if (c != '"' && c != '\\')
                return tq_fail_at(l->text, l->pos, err, "invalid escape sequence");
            l->pos++;
        }
        out[(*len)++] = c;
    }
}

/* An attribute's name after its scope and point. */
static sx_status read_attribute(tq_lexer *l, tq_token *t, sx_error *err)
{
    static const struct {
        sx_str text;
        tq_source source;
    } OF_PARENT[] = {{{"span.", 5}, TQ_ATTR_SPAN}, {{"resource.", 9}, TQ_ATTR_RESOURCE}};
    for (size_t i = 0; t->field.of_parent && i < 2; i++)
        if (sx_str_starts(sx_str_from(l->text, l->pos), OF_PARENT[i].text)) {
            l->pos += OF_PARENT[i].text.len;
            t->field.source = OF_PARENT[i].source;
            break;
        }
    size_t len = 0, from = l->pos, plain = l->pos;
    t->kind = TQ_T_FIELD;
    while (plain < l->text.len && !ends_attribute(l->text.data[plain]) &&
           l->text.data[plain] != '"')
        plain++;
    if (plain > from && (plain == l->text.len || l->text.data[plain] != '"')) {
        t->field.key = sx_str_of(l->text.data + from, plain - from);
        l->pos = plain;
        return SX_OK;
    }
    char *out = sx_arena_alloc(l->arena, l->text.len - l->pos + 1);
    if (!out)
        return sx_fail_memory(err, "a query");
    while (l->pos < l->text.len && !ends_attribute(l->text.data[l->pos])) {
        if (l->text.data[l->pos] != '"') {
            out[len++] = l->text.data[l->pos++];
            continue;
        }
        sx_status status = read_quoted(l, out, &len, err);
        if (status != SX_OK)
            return status;
    }
    if (l->pos == from)
        return tq_fail_at(l->text, from, err,
                          "syntax error: unexpected END_ATTRIBUTE, expecting IDENTIFIER");
    t->field.key = sx_str_of(out, len);
    return SX_OK;
}

static sx_str read_word(tq_lexer *l)
{
    size_t from = l->pos;
    while (l->pos < l->text.len &&
           (is_letter(l->text.data[l->pos]) || is_digit(l->text.data[l->pos])))
        l->pos++;
    return sx_str_of(l->text.data + from, l->pos - from);
}

/* A word, or what begins with one: scope.attribute, scope:intrinsic. */
static sx_status read_word_token(tq_lexer *l, tq_token *t, sx_error *err)
{
    t->kind = TQ_T_WORD;
    t->text = read_word(l);
    if (peek(l, 0) == '.')
        for (size_t i = 0; i < sizeof SCOPES / sizeof SCOPES[0]; i++)
            if (sx_str_eq(t->text, sx_str_z(SCOPES[i].scope))) {
                l->pos++;
                t->field.source = SCOPES[i].attribute;
                t->field.of_parent = sx_str_eq(t->text, SX_STR("parent"));
                return read_attribute(l, t, err);
            }
    if (peek(l, 0) != ':')
        return SX_OK;
    l->pos++;
    size_t at = l->pos;
    sx_str scope = t->text, word = read_word(l);
    if (!find_intrinsic(scope, word, &t->field.source) || !scope.len)
        return tq_fail_at(l->text, at, err, "syntax error: unexpected %.*s after %.*s:",
                          (int)(word.len < 60 ? word.len : 60), word.data ? word.data : "",
                          (int)(scope.len < 60 ? scope.len : 60), scope.data);
    t->kind = TQ_T_FIELD;
    return SX_OK;
}

/* Longest first. */
static const char *const SIGNS[] = {"!>>", "!<<", "&>>", "&<<", "&&", "||", "!=", "!~", "!>",
                                    "!<",  "=~",  ">=",  "<=",  ">>", "<<", "&>", "&<", "&~",
                                    "{",   "}",   "(",   ")",   ",",  "=",  ">",  "<",  "+",
                                    "-",   "*",   "/",   "%",   "^",  "!",  "|",  "~"};

sx_status tq_lex(tq_lexer *l, tq_token *t, sx_error *err)
{
    sx_status status = skip_space(l, err);
    if (status != SX_OK)
        return status;
    *t = (tq_token){.at = (uint32_t)l->pos};
    char c = peek(l, 0);
    if (l->pos >= l->text.len) {
        t->kind = TQ_T_END;
    } else if (c == '"' || c == '`') {
        status = read_string(l, t, err);
    } else if (is_digit(c) || (c == '.' && is_digit(peek(l, 1)))) {
        status = read_number(l, t, err);
    } else if (c == '.') {
        l->pos++;
        t->field.source = TQ_ATTR;
        status = read_attribute(l, t, err);
    } else if (is_letter(c)) {
        status = read_word_token(l, t, err);
    } else {
        sx_str rest = sx_str_from(l->text, l->pos);
        for (size_t i = 0; i < sizeof SIGNS / sizeof SIGNS[0] && !t->text.len; i++)
            if (sx_str_starts(rest, sx_str_z(SIGNS[i])))
                t->text = sx_str_z(SIGNS[i]);
        if (!t->text.len)
            return tq_fail_at(l->text, l->pos, err, "syntax error: unexpected '%c'",
                              c >= ' ' && c < 127 ? c : '?');
        t->kind = TQ_T_SIGN;
        l->pos += t->text.len;
    }
    t->end = (uint32_t)l->pos;
    return status;
}

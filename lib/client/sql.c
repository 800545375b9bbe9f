/* sql.c - see sql.h.
 *
 * Source: PostgreSQL 15 documentation, chapter 4.1 "Lexical Structure"; SQLite, "SQL As Understood By
 * SQLite", literals and comments. */
#include "client/sql.h"

#include <stdio.h>

typedef enum token_kind {
    TOKEN_END,
    TOKEN_SPACE, /* comments, too */
    TOKEN_WORD,
    TOKEN_QUOTED, /* "identifier", `identifier` */
    TOKEN_LITERAL,
    TOKEN_MARK /* anything else: one byte; or a parameter */
} token_kind;

typedef struct token {
    token_kind kind;
    sx_str text;
} token;

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (uint8_t)c >= 0x80;
}

static bool is_word(char c)
{
    return is_word_start(c) || is_digit(c) || c == '$';
}

static size_t space_len(sx_str s)
{
    size_t n = 0;
    while (n < s.len && is_space(s.data[n]))
        n++;
    if (n)
        return n;
    if (sx_str_starts(s, SX_STR("--")))
        return sx_str_find_byte(s, '\n');
    if (!sx_str_starts(s, SX_STR("/*")))
        return 0;
    size_t depth = 0; /* PostgreSQL's nest; SQLite's do not, and are not closed twice by anybody */
    for (n = 0; n + 1 < s.len; n++) {
        if (s.data[n] == '/' && s.data[n + 1] == '*') {
            depth++;
            n++;
        } else if (s.data[n] == '*' && s.data[n + 1] == '/') {
            n++;
            if (--depth == 0)
                return n + 1;
        }
    }
    return s.len;
}

/* From an opening quote to behind the closing one; a doubled one is part of the text. */
static size_t quoted_len(sx_str s, char quote, bool has_backslashes)
{
    for (size_t n = 1; n < s.len; n++) {
        if (has_backslashes && s.data[n] == '\\') {
            n++;
        } else if (s.data[n] == quote) {
            if (n + 1 < s.len && s.data[n + 1] == quote)
                n++;
            else
                return n + 1;
        }
    }
    return s.len;
}

/* $tag$ ... $tag$; 0 if it is none. */
static size_t dollar_len(sx_str s)
{
    size_t tag = 1;
    while (tag < s.len && is_word(s.data[tag]) && s.data[tag] != '$')
        tag++;
    if (tag >= s.len || s.data[tag] != '$' || (tag > 1 && is_digit(s.data[1])))
        return 0;
    sx_str mark = sx_str_first(s, tag + 1), rest = sx_str_from(s, tag + 1);
    size_t end = sx_str_find(rest, mark);
    return end == rest.len ? s.len : mark.len + end + mark.len;
}

static size_t number_len(sx_str s)
{
    size_t n = 0;
    while (n < s.len && (is_word(s.data[n]) || s.data[n] == '.' ||
                         ((s.data[n] == '+' || s.data[n] == '-') && n > 1 &&
                          (s.data[n - 1] == 'e' || s.data[n - 1] == 'E') && s.data[1] != 'x')))
        n++;
    return n;
}

static size_t word_len(sx_str s)
{
    size_t n = 0;
    while (n < s.len && is_word(s.data[n]))
        n++;
    return n;
}

/* A parameter: $1, ?1, :name, @name. A "::" is a cast and no parameter. */
static size_t mark_len(sx_str s)
{
    if (!strchr("$?:@", s.data[0]) || s.data[0] == '\0')
        return 1;
    return 1 + word_len(sx_str_from(s, 1));
}

static token next_token(sx_str *rest)
{
    sx_str s = *rest;
    token t = {.kind = TOKEN_END};
    size_t n = 0;
    if (s.len == 0)
        return t;
    char c = s.data[0];
    char second = s.len > 1 ? s.data[1] : '\0';
    if ((n = space_len(s))) {
        t.kind = TOKEN_SPACE;
    } else if (c == '\'' || ((c == 'e' || c == 'E' || c == 'x' || c == 'X' || c == 'b' ||
                              c == 'B' || c == 'n' || c == 'N') &&
                             second == '\'')) {
        size_t prefix = c != '\'';
        t.kind = TOKEN_LITERAL;
        n = prefix + quoted_len(sx_str_from(s, prefix), '\'', prefix && (c == 'e' || c == 'E'));
    } else if (c == '$' && (n = dollar_len(s))) {
        t.kind = TOKEN_LITERAL;
    } else if (c == '"' || c == '`') {
        n = quoted_len(s, c, false);
        t.kind = n > 1 && s.data[n - 1] == c ? TOKEN_QUOTED : TOKEN_LITERAL; /* unclosed: no name */
    } else if (is_digit(c) || (c == '.' && is_digit(second))) {
        t.kind = TOKEN_LITERAL;
        n = number_len(s);
    } else if (is_word_start(c)) {
        t.kind = TOKEN_WORD;
        n = word_len(s);
    } else {
        t.kind = TOKEN_MARK;
        n = mark_len(s);
    }
    t.text = sx_str_first(s, n);
    *rest = sx_str_from(s, n);
    return t;
}

static bool is_one_of(sx_str word, const sx_str *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (sx_str_ieq(word, words[i]))
            return true;
    }
    return false;
}

static void upper(sx_str word, char *out, size_t size)
{
    size_t n = word.len < size - 1 ? word.len : size - 1;
    for (size_t i = 0; i < n; i++)
        out[i] =
            word.data[i] >= 'a' && word.data[i] <= 'z' ? (char)(word.data[i] - 32) : word.data[i];
    out[n] = '\0';
}

/* Finds operation and table as tokens go by. */
typedef struct finder {
    sql_summary *out;
    int depth;         /* of parentheses */
    bool is_with;      /* WITH came first: the operation is what comes behind its parts */
    bool wants_table;  /* the next name is it */
    bool is_name_open; /* schema. was read: the rest follows */
} finder;

static void take_word(finder *f, sx_str word)
{
    static const sx_str MAIN[] = {
        SX_STR_INIT("SELECT"), SX_STR_INIT("INSERT"), SX_STR_INIT("UPDATE"), SX_STR_INIT("DELETE"),
        SX_STR_INIT("MERGE"),  SX_STR_INIT("VALUES"), SX_STR_INIT("REPLACE")};
    static const sx_str BEFORE[] = {SX_STR_INIT("FROM"), SX_STR_INIT("INTO"), SX_STR_INIT("UPDATE"),
                                    SX_STR_INIT("TABLE"), SX_STR_INIT("JOIN")};
    static const sx_str BETWEEN[] = {SX_STR_INIT("ONLY"), SX_STR_INIT("IF"), SX_STR_INIT("NOT"),
                                     SX_STR_INIT("EXISTS"), SX_STR_INIT("LATERAL")};
    sql_summary *out = f->out;
    if (out->operation[0] == '?') {
        upper(word, out->operation, sizeof(out->operation));
        f->is_with = sx_str_ieq(word, SX_STR("WITH"));
    } else if (f->is_with && f->depth == 0 && is_one_of(word, MAIN, SX_COUNT_OF(MAIN))) {
        upper(word, out->operation, sizeof(out->operation));
        f->is_with = false;
    }
    if (f->is_with || out->table[0])
        return;
    if (is_one_of(word, BEFORE, SX_COUNT_OF(BEFORE)))
        f->wants_table = true;
    else if (f->wants_table && sx_str_ieq(word, SX_STR("SELECT")))
        f->wants_table = false;
    else if (f->wants_table && !is_one_of(word, BETWEEN, SX_COUNT_OF(BETWEEN)))
        f->is_name_open = true;
}

static void take_name(finder *f, sx_str name)
{
    sql_summary *out = f->out;
    size_t used = strlen(out->table), room = sizeof(out->table) - 1 - used;
    size_t n = name.len < room ? name.len : room;
    memcpy(out->table + used, name.data, n);
    out->table[used + n] = '\0';
    f->wants_table = f->is_name_open = false;
}

static void find(finder *f, const token *t, sx_str rest)
{
    bool is_schema = rest.len && rest.data[0] == '.';
    if (f->is_name_open && t->kind == TOKEN_MARK && t->text.data[0] == '.') {
        take_name(f, t->text);
        f->is_name_open = true;
    } else if (t->kind == TOKEN_WORD) {
        bool goes_on = f->is_name_open;
        if (!goes_on)
            take_word(f, t->text);
        if (f->is_name_open) {
            take_name(f, t->text);
            f->is_name_open = is_schema;
        }
    } else if (t->kind == TOKEN_QUOTED && (f->wants_table || f->is_name_open)) {
        take_name(f, t->text);
        f->is_name_open = is_schema;
    } else if (t->kind == TOKEN_MARK) {
        f->depth += t->text.data[0] == '(' ? 1 : t->text.data[0] == ')' ? -1 : 0;
        f->wants_table &= t->text.data[0] != '(';
    }
}

/* Appends to the text; false when it is full. */
static bool write(sql_summary *out, sx_str piece)
{
    if (piece.len > sizeof(out->text) - 4 - out->text_len) {
        memcpy(out->text + out->text_len, "...", 3);
        out->text_len += 3;
        return false;
    }
    memcpy(out->text + out->text_len, piece.data, piece.len);
    out->text_len += piece.len;
    return true;
}

void sql_summarize(sx_str sql, sql_summary *out)
{
    finder f = {.out = out};
    bool has_room = true, owes_space = false;
    out->operation[0] = '?';
    out->operation[1] = out->table[0] = '\0';
    out->text_len = 0;
    for (;;) {
        token t = next_token(&sql);
        if (t.kind == TOKEN_END)
            break;
        if (t.kind == TOKEN_SPACE) {
            owes_space = out->text_len > 0;
            continue;
        }
        find(&f, &t, sql);
        if (has_room && owes_space)
            has_room = write(out, SX_STR(" "));
        owes_space = false;
        if (has_room)
            has_room = write(out, t.kind == TOKEN_LITERAL ? SX_STR("?") : t.text);
        if (!has_room && (out->table[0] || out->text_len > SQL_TEXT_BYTES - 8))
            break;
    }
    out->text[out->text_len] = '\0';
}

void sql_operation(sx_str sql, char out[16])
{
    memcpy(out, "?", 2);
    for (;;) {
        token t = next_token(&sql);
        if (t.kind == TOKEN_END)
            return;
        if (t.kind == TOKEN_WORD) {
            upper(t.text, out, 16);
            return;
        }
    }
}

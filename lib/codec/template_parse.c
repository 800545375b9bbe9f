/* template_parse.c - a template's text as a tree.
 *
 * Recursive descent over the tokens of template_lex.c, with the words of Go's errors. Variables are
 * checked while parsing, as Go does: a name that is not in scope is an error of the text, not of a
 * run. Functions, too. */
#include <stdarg.h>
#include <stdio.h>

#include <sextant/number.h>
#include <sextant/utf8.h>

#include "codec/go_text.h"
#include "codec/template_internal.h"
#include "codec/template_lex.h"

enum { AHEAD_MAX = 3, OUTER_VARS_MAX = 64 /* around a definition */ };

typedef struct tparser {
    sx_template *t;
    tlexer lexer;
    sx_str name;
    ttoken ahead[AHEAD_MAX]; /* put back, the next one last */
    int ahead_count;
    sx_str vars[TEMPLATE_VARS_MAX];
    int var_count;
    uint32_t depth;
    int loops; /* how many ranges are around us: break and continue need one */
    sx_error *err;
} tparser;

/* How a list of nodes ended. */
typedef enum tend { TEND_TEXT, TEND_END, TEND_ELSE, TEND_FAILED } tend;

static sx_status parse_list(tparser *p, tlist *out, tend *end);
static sx_status parse_pipe(tparser *p, const char *context, ttoken_kind until, tpipe **out);

/* --- Helpers. */

static SX_COLD sx_status fail_at(tparser *p, const char *at, const char *fmt, ...) SX_PRINTF(3, 4);
static SX_COLD sx_status fail_at(tparser *p, const char *at, const char *fmt, ...)
{
    char words[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    return sx_fail(p->err, SX_EFORMAT, "template: %.*s:%u: %s", SX_ARG(p->name),
                   template_line(p->lexer.text, at), words);
}

/* "WORDS "TEXT"", the text as Go quotes it. */
static SX_COLD sx_status fail_quoted(tparser *p, const char *words, sx_str text)
{
    sx_buf quoted;
    sx_buf_init(&quoted, 0);
    go_quote(sx_str_first(text, 100), &quoted);
    sx_status st = fail_at(p, text.data, "%s %.*s", words, (int)quoted.len, quoted.data);
    sx_buf_done(&quoted);
    return st;
}

static sx_status no_memory(tparser *p)
{
    return sx_fail_memory(p->err, "a template");
}

static ttoken next(tparser *p)
{
    return p->ahead_count ? p->ahead[--p->ahead_count] : template_lex(&p->lexer);
}

static void put_back(tparser *p, ttoken t)
{
    sx_assert(p->ahead_count < AHEAD_MAX);
    p->ahead[p->ahead_count++] = t;
}

static ttoken next_solid(tparser *p)
{
    ttoken t = next(p);
    while (t.kind == TTOKEN_SPACE)
        t = next(p);
    return t;
}

static ttoken peek_solid(tparser *p)
{
    ttoken t = next_solid(p);
    put_back(p, t);
    return t;
}

static SX_COLD sx_status unexpected(tparser *p, ttoken t, const char *context)
{
    if (t.kind == TTOKEN_BAD)
        return fail_at(p, t.text.data, "%s", t.why);
    if (t.kind == TTOKEN_END)
        return fail_at(p, t.text.data, "unclosed action");
    return fail_at(p, t.text.data, "unexpected %s%.*s%s in %s",
                   t.kind == TTOKEN_KEYWORD ? "<" : "\"", SX_ARG(sx_str_first(t.text, 40)),
                   t.kind == TTOKEN_KEYWORD ? ">" : "\"", context);
}

static tnode *new_node(tparser *p, tnode_kind kind, sx_str source)
{
    tnode *n = sx_arena_calloc(&p->t->arena, 1, sizeof *n);
    if (n) {
        n->kind = kind;
        n->source = source;
        n->at = source.data;
    }
    return n;
}

static void append(tlist *list, tnode *n)
{
    if (list->last)
        list->last->next = n;
    else
        list->first = n;
    list->last = n;
}

/* From the first byte of `from` to the last of `to`: both are views of the text. */
static sx_str span(sx_str from, sx_str to)
{
    return sx_str_of(from.data, (size_t)(to.data + to.len - from.data));
}

static bool has_variable(const tparser *p, sx_str name)
{
    for (int i = p->var_count; i-- > 0;) {
        if (sx_str_eq(p->vars[i], name))
            return true;
    }
    return false;
}

static sx_status declare(tparser *p, sx_str name)
{
    if (p->var_count == TEMPLATE_VARS_MAX)
        return fail_at(p, name.data, "more than %d variables", TEMPLATE_VARS_MAX);
    p->vars[p->var_count++] = name;
    return SX_OK;
}

/* --- Literals. */

/* One character of a quoted text, escapes undone as Go's strconv.UnquoteChar. Returns the bytes it
 * takes; 0: a bad escape. `byte` tells that *code is a byte, not a character. */
static size_t unquote_one(sx_str s, uint32_t *code, bool *byte)
{
    static const char LETTERS[] = "abfnrtv\\'\"", MEANINGS[] = "\a\b\f\n\r\t\v\\'\"";
    *byte = false;
    if (s.data[0] != '\\') {
        size_t len = sx_utf8_decode(s, code);
        if (len)
            return len;
        *byte = true;
        *code = (unsigned char)s.data[0];
        return 1;
    }
    if (s.len < 2)
        return 0;
    char c = s.data[1];
    const char *letter = strchr(LETTERS, c);
    if (c && letter) {
        *code = (unsigned char)MEANINGS[letter - LETTERS];
        return 2;
    }
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : c >= '0' && c <= '7' ? 3 : 0;
    size_t at = digits == 3 ? 1 : 2;
    uint32_t base = digits == 3 ? 8 : 16, value = 0;
    if (digits == 0 || at + (size_t)digits > s.len)
        return 0;
    for (int i = 0; i < digits; i++) {
        char d = s.data[at + (size_t)i];
        uint32_t v = d >= '0' && d <= '9'   ? (uint32_t)(d - '0')
                     : d >= 'a' && d <= 'f' ? (uint32_t)(d - 'a' + 10)
                     : d >= 'A' && d <= 'F' ? (uint32_t)(d - 'A' + 10)
                                            : 99;
        if (v >= base)
            return 0;
        value = value * base + v;
    }
    *byte = digits == 2 || digits == 3;
    if (*byte ? value > 255 : value > 0x10ffff)
        return 0;
    *code = value;
    return at + (size_t)digits;
}

static sx_status parse_string(tparser *p, ttoken t, tnode *n)
{
    sx_str inner = sx_str_of(t.text.data + 1, t.text.len - 2);
    if (t.kind == TTOKEN_RAW_STRING || sx_str_find_byte(inner, '\\') == inner.len) {
        n->text = inner;
        return SX_OK;
    }
    char *out = sx_arena_alloc(&p->t->arena, inner.len);
    size_t len = 0;
    if (!out)
        return no_memory(p);
    while (inner.len) {
        uint32_t code;
        bool byte;
        size_t used = unquote_one(inner, &code, &byte);
        if (used == 0)
            return fail_at(p, t.text.data, "invalid syntax");
        if (byte)
            out[len++] = (char)code;
        else
            len += sx_utf8_encode(code, out + len);
        inner = sx_str_from(inner, used);
    }
    n->text = sx_str_of(out, len);
    return SX_OK;
}

/* Go's integers (0x, 0o, 0b, leading 0, underscores), then floats. */
static bool parse_integer(sx_str s, int64_t *out)
{
    bool negative = s.len && s.data[0] == '-';
    s = sx_str_from(s, negative || (s.len && s.data[0] == '+'));
    uint64_t base = 10, value = 0;
    if (s.len > 1 && s.data[0] == '0') {
        char c = (char)(s.data[1] | 0x20);
        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        s = sx_str_from(s, c == 'x' || c == 'b' || c == 'o' ? 2 : 1);
    }
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        uint64_t v = c >= '0' && c <= '9'                     ? (uint64_t)(c - '0')
                     : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (uint64_t)((c | 0x20) - 'a' + 10)
                                                              : 99;
        if (c == '_')
            continue;
        if (v >= base || value > (INT64_MAX - v) / base)
            return false;
        value = value * base + v;
    }
    *out = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

static sx_status parse_number(tparser *p, ttoken t, tnode *n)
{
    sx_str text = t.text;
    if (parse_integer(text, &n->integer)) {
        n->kind = TNODE_INT;
        return SX_OK;
    }
    char plain[64];
    size_t len = 0;
    for (size_t i = text.data[0] == '+'; i < text.len && len < sizeof plain - 2; i++) {
        if (text.data[i] == '.' && (len == 0 || plain[len - 1] == '-'))
            plain[len++] = '0';
        bool digit_follows = i + 1 < text.len && text.data[i + 1] >= '0' && text.data[i + 1] <= '9';
        if (text.data[i] != '_' && (text.data[i] != '.' || digit_follows))
            plain[len++] = text.data[i];
    }
    double value;
    if (len == 0 || !sx_double_parse(sx_str_of(plain, len), &value))
        return fail_quoted(p, "bad number syntax:", text);
    n->kind = TNODE_FLOAT;
    n->number = value;
    return SX_OK;
}

static sx_status parse_character(tparser *p, ttoken t, tnode *n)
{
    sx_str inner = sx_str_of(t.text.data + 1, t.text.len - 2);
    uint32_t code;
    bool byte;
    if (inner.len == 0 || unquote_one(inner, &code, &byte) != inner.len)
        return fail_at(p, t.text.data, "malformed character constant: %.*s", SX_ARG(t.text));
    n->kind = TNODE_INT;
    n->integer = code;
    return SX_OK;
}

/* --- Operands. */

/* The .Names that follow without a blank, the first one perhaps already in `first`. */
static sx_status parse_fields(tparser *p, sx_str first, tnode *n)
{
    sx_str names[TEMPLATE_ARGS_MAX], last = n->source;
    size_t count = 0;
    if (first.len)
        names[count++] = sx_str_from(first, 1);
    for (;;) {
        ttoken t = next(p);
        if (t.kind != TTOKEN_FIELD) {
            put_back(p, t);
            break;
        }
        if (count == TEMPLATE_ARGS_MAX)
            return fail_at(p, t.text.data, "more than %d fields in a row", TEMPLATE_ARGS_MAX);
        names[count++] = sx_str_from(t.text, 1);
        if (last.data == n->source.data)
            n->at = t.text.data;
        last = t.text;
    }
    n->source = span(n->source, last);
    sx_str *fields = sx_arena_calloc(&p->t->arena, count, sizeof *fields);
    if (!fields)
        return no_memory(p);
    memcpy(fields, names, count * sizeof *fields);
    n->fields = fields;
    n->field_count = count;
    return SX_OK;
}

/* Whether a field follows without a blank: (pipe).A */
static bool chain_follows(tparser *p)
{
    ttoken t = next(p);
    put_back(p, t);
    return t.kind == TTOKEN_FIELD;
}

static sx_status parse_name(tparser *p, ttoken t, tnode *n)
{
    bool truth = sx_str_eq(t.text, SX_STR("true"));
    if (truth || sx_str_eq(t.text, SX_STR("false"))) {
        n->kind = TNODE_BOOL;
        n->boolean = truth;
        return SX_OK;
    }
    if (sx_str_eq(t.text, SX_STR("nil"))) {
        n->kind = TNODE_NIL;
        return SX_OK;
    }
    if (!template_function(p->t, t.text))
        return fail_at(p, t.text.data, "function \"%.*s\" not defined", SX_ARG(t.text));
    n->kind = TNODE_FUNCTION;
    n->text = t.text;
    return SX_OK;
}

static sx_status parse_parens(tparser *p, ttoken open, tnode *n)
{
    n->kind = TNODE_PIPE;
    sx_status st = parse_pipe(p, "parenthesized pipeline", TTOKEN_RIGHT_PAREN, &n->pipe);
    n->source =
        sx_str_of(open.text.data, (size_t)(p->lexer.text.data + p->lexer.at - open.text.data));
    return st;
}

/* *out is NULL, and the token put back, if no operand begins here. */
static sx_status parse_operand(tparser *p, tnode **out)
{
    ttoken t = next_solid(p);
    *out = NULL;
    tnode *n = new_node(p, TNODE_DOT, t.text);
    sx_status st = SX_OK;
    if (!n)
        return no_memory(p);
    switch (t.kind) {
    case TTOKEN_NAME:
        st = parse_name(p, t, n);
        break;
    case TTOKEN_DOT:
        break;
    case TTOKEN_FIELD:
        n->kind = TNODE_FIELD;
        st = parse_fields(p, t.text, n);
        break;
    case TTOKEN_VARIABLE:
        if (!has_variable(p, t.text))
            return fail_at(p, t.text.data, "undefined variable \"%.*s\"", SX_ARG(t.text));
        n->kind = TNODE_VARIABLE;
        n->text = t.text;
        st = parse_fields(p, (sx_str){0}, n);
        break;
    case TTOKEN_NUMBER:
        st = parse_number(p, t, n);
        break;
    case TTOKEN_CHARACTER:
        st = parse_character(p, t, n);
        break;
    case TTOKEN_STRING:
    case TTOKEN_RAW_STRING:
        n->kind = TNODE_STRING;
        st = parse_string(p, t, n);
        break;
    case TTOKEN_LEFT_PAREN:
        st = parse_parens(p, t, n);
        break;
    default:
        put_back(p, t);
        return t.kind == TTOKEN_BAD ? unexpected(p, t, "operand") : SX_OK;
    }
    if (st != SX_OK)
        return st;
    *out = n;
    if (!chain_follows(p))
        return SX_OK;
    if (n->kind != TNODE_PIPE && n->kind != TNODE_FUNCTION && n->kind != TNODE_DOT)
        return fail_quoted(p, "unexpected . after term", n->source);
    tnode *chain = new_node(p, TNODE_CHAIN, n->source);
    if (!chain)
        return no_memory(p);
    chain->operand = n;
    *out = chain;
    return parse_fields(p, (sx_str){0}, chain);
}

static sx_status parse_command(tparser *p, tcommand **out)
{
    tnode *args[TEMPLATE_ARGS_MAX], *n;
    size_t count = 0;
    for (;;) {
        sx_status st = parse_operand(p, &n);
        if (st != SX_OK)
            return st;
        if (!n)
            break;
        if (count == TEMPLATE_ARGS_MAX)
            return fail_at(p, n->source.data, "more than %d arguments", TEMPLATE_ARGS_MAX);
        args[count++] = n;
        ttoken t = next(p);
        if (t.kind == TTOKEN_SPACE)
            continue;
        put_back(p, t);
        if (t.kind == TTOKEN_RIGHT || t.kind == TTOKEN_RIGHT_PAREN || t.kind == TTOKEN_PIPE)
            break;
        return unexpected(p, t, "operand");
    }
    if (count == 0) {
        ttoken t = peek_solid(p);
        return t.kind == TTOKEN_RIGHT || t.kind == TTOKEN_RIGHT_PAREN || t.kind == TTOKEN_PIPE
                   ? fail_at(p, t.text.data, "empty command")
                   : unexpected(p, t, "command");
    }
    tcommand *c = sx_arena_calloc(&p->t->arena, 1, sizeof *c);
    tnode **copy = sx_arena_calloc(&p->t->arena, count, sizeof *copy);
    if (!c || !copy)
        return no_memory(p);
    memcpy(copy, args, count * sizeof *copy);
    *c = (tcommand){.args = copy, .count = count};
    c->source = span(args[0]->source, args[count - 1]->source);
    *out = c;
    return SX_OK;
}

/* "$x :=", "$x =", "$i, $x :=" (in range alone): *found tells whether there is one. */
static sx_status parse_declaration(tparser *p, bool range, tpipe *pipe)
{
    ttoken var = next_solid(p);
    if (var.kind != TTOKEN_VARIABLE) {
        put_back(p, var);
        return SX_OK;
    }
    ttoken space = next(p), t = space;
    if (space.kind == TTOKEN_SPACE)
        t = next(p);
    if (t.kind == TTOKEN_DECLARE || t.kind == TTOKEN_ASSIGN) {
        pipe->assign = t.kind == TTOKEN_ASSIGN;
        pipe->vars[pipe->var_count++] = var.text;
        return SX_OK;
    }
    if (t.kind == TTOKEN_COMMA && range && pipe->var_count == 0) {
        pipe->vars[pipe->var_count++] = var.text;
        sx_status st = parse_declaration(p, range, pipe);
        if (st == SX_OK && pipe->var_count < 2)
            return fail_at(p, var.text.data, "range can only initialize variables");
        return st;
    }
    if (t.kind == TTOKEN_COMMA)
        return fail_at(p, t.text.data, "too many declarations in command");
    put_back(p, t);
    if (space.kind == TTOKEN_SPACE)
        put_back(p, space);
    put_back(p, var);
    return SX_OK;
}

static sx_status parse_pipe(tparser *p, const char *context, ttoken_kind until, tpipe **out)
{
    tpipe *pipe = sx_arena_calloc(&p->t->arena, 1, sizeof *pipe);
    tcommand **last = pipe ? &pipe->commands : NULL;
    if (!pipe)
        return no_memory(p);
    if (++p->depth > p->t->options.depth_max)
        return fail_at(p, p->lexer.text.data + p->lexer.at, "nested too deeply");
    sx_status st = parse_declaration(p, sx_str_eq(sx_str_z(context), SX_STR("range")), pipe);
    for (;;) {
        ttoken t = st == SX_OK ? peek_solid(p) : (ttoken){0};
        if (st == SX_OK && t.kind == until && !pipe->commands)
            st = fail_at(p, t.text.data, "missing value for %s", context);
        if (st == SX_OK)
            st = parse_command(p, last);
        if (st != SX_OK)
            return st;
        last = &(*last)->next;
        t = next_solid(p);
        if (t.kind == until)
            break;
        if (t.kind != TTOKEN_PIPE)
            return unexpected(p, t, context);
    }
    /* Only the first command of a pipeline may be no function: others are called with a value. */
    int stage = 2;
    for (tcommand *c = pipe->commands->next; c; c = c->next, stage++) {
        tnode_kind first = c->args[0]->kind;
        if (first >= TNODE_DOT && first <= TNODE_STRING)
            return fail_at(p, c->args[0]->source.data,
                           "non executable command in pipeline stage %d", stage);
    }
    for (int i = 0; i < pipe->var_count && st == SX_OK; i++) {
        if (!pipe->assign)
            st = declare(p, pipe->vars[i]);
        else if (!has_variable(p, pipe->vars[i]))
            st = fail_at(p, pipe->vars[i].data, "undefined variable \"%.*s\"",
                         SX_ARG(pipe->vars[i]));
    }
    p->depth--;
    *out = pipe;
    return st;
}

/* --- Actions. */

static sx_status expect_right(tparser *p, const char *context)
{
    ttoken t = next_solid(p);
    return t.kind == TTOKEN_RIGHT ? SX_OK : unexpected(p, t, context);
}

static tnode_kind kind_of(sx_str word)
{
    return sx_str_eq(word, SX_STR("if"))      ? TNODE_IF
           : sx_str_eq(word, SX_STR("range")) ? TNODE_RANGE
                                              : TNODE_WITH;
}

/* if, range, with: from behind the word. `else if` becomes an `if` of the other branch that shares
 * the end. */
static sx_status parse_control(tparser *p, ttoken word, tnode **out)
{
    int vars = p->var_count;
    tend end;
    tnode *n = new_node(p, kind_of(word.text), word.text);
    if (!n)
        return no_memory(p);
    if (++p->depth > p->t->options.depth_max)
        return fail_at(p, word.text.data, "nested too deeply");
    char context[8];
    snprintf(context, sizeof context, "%.*s", SX_ARG(word.text));
    sx_status st = parse_pipe(p, context, TTOKEN_RIGHT, &n->pipe);
    p->loops += n->kind == TNODE_RANGE;
    if (st == SX_OK)
        st = parse_list(p, &n->body, &end);
    p->loops -= n->kind == TNODE_RANGE;
    if (st != SX_OK)
        return st;
    if (end == TEND_ELSE) {
        ttoken t = peek_solid(p);
        bool joined = t.kind == TTOKEN_KEYWORD && kind_of(t.text) == n->kind &&
                      n->kind != TNODE_RANGE &&
                      (sx_str_eq(t.text, SX_STR("if")) || sx_str_eq(t.text, SX_STR("with")));
        if (joined) {
            tnode *inner;
            st = parse_control(p, next_solid(p), &inner);
            if (st == SX_OK)
                append(&n->otherwise, inner);
            end = TEND_END;
        } else {
            st = expect_right(p, "else");
            if (st == SX_OK)
                st = parse_list(p, &n->otherwise, &end);
        }
        if (st == SX_OK && end == TEND_ELSE)
            st = fail_at(p, word.text.data, "expected end; found {{else}}");
    }
    if (st == SX_OK && end != TEND_END)
        st = fail_at(p, p->lexer.text.data + p->lexer.text.len, "unexpected EOF");
    p->var_count = vars;
    p->depth--;
    *out = n;
    return st;
}

static sx_status parse_quoted_name(tparser *p, const char *context, sx_str *out, const char **at)
{
    ttoken t = next_solid(p);
    tnode n = {0};
    *at = t.text.data;
    if (t.kind != TTOKEN_STRING && t.kind != TTOKEN_RAW_STRING)
        return unexpected(p, t, context);
    sx_status st = parse_string(p, t, &n);
    *out = n.text;
    return st;
}

static sx_status parse_optional_pipe(tparser *p, const char *context, tpipe **out)
{
    *out = NULL;
    if (peek_solid(p).kind == TTOKEN_RIGHT)
        return expect_right(p, context);
    return parse_pipe(p, context, TTOKEN_RIGHT, out);
}

static sx_status parse_call(tparser *p, ttoken word, tnode **out)
{
    tnode *n = new_node(p, TNODE_TEMPLATE, word.text);
    if (!n)
        return no_memory(p);
    *out = n;
    sx_status st = parse_quoted_name(p, "template clause", &n->text, &n->at);
    if (st == SX_OK)
        st = parse_optional_pipe(p, "template", &n->pipe);
    const char *begin = word.text.data - p->lexer.left.len;
    n->source = sx_str_of(begin, (size_t)(p->lexer.text.data + p->lexer.at - begin));
    return st;
}

static sx_status add_definition(tparser *p, sx_str name, tlist body)
{
    tdef *d = template_find(p->t, name);
    if (!d) {
        tdef **last = &p->t->defs;
        while (*last)
            last = &(*last)->next;
        d = sx_arena_calloc(&p->t->arena, 1, sizeof *d);
        if (!d)
            return no_memory(p);
        *last = d;
        p->t->def_count++;
    }
    bool empty = true; /* blanks alone do not replace what was there: as Go */
    for (tnode *n = body.first; n && empty; n = n->next)
        empty = n->kind == TNODE_TEXT && sx_str_trim_all(n->text).len == 0;
    if (empty && d->body.first)
        return SX_OK;
    d->name = name;
    d->parse_name = p->name;
    d->text = p->lexer.text;
    d->body = body;
    return SX_OK;
}

/* The body of define and block: variables of around are not seen, `$` is. */
static sx_status parse_definition(tparser *p, sx_str name, const char *context)
{
    tlist body = {0};
    tend end;
    int vars = p->var_count, loops = p->loops;
    sx_str saved[OUTER_VARS_MAX];
    if (vars > OUTER_VARS_MAX)
        return fail_at(p, name.data, "a definition inside more than %d variables", OUTER_VARS_MAX);
    memcpy(saved, p->vars, (size_t)vars * sizeof *saved);
    p->var_count = 1; /* $ */
    p->loops = 0;
    sx_status st = parse_list(p, &body, &end);
    memcpy(p->vars, saved, (size_t)vars * sizeof *saved);
    p->var_count = vars;
    p->loops = loops;
    if (st != SX_OK)
        return st;
    if (end != TEND_END)
        return fail_at(p, p->lexer.text.data + p->lexer.at, "unexpected %s in %s",
                       end == TEND_ELSE ? "{{else}}" : "EOF", context);
    return add_definition(p, name, body);
}

static sx_status parse_define(tparser *p, ttoken word, tnode **out)
{
    sx_str name;
    const char *at;
    *out = NULL;
    if (p->depth > 0)
        return fail_at(p, word.text.data, "unexpected <define> in command");
    sx_status st = parse_quoted_name(p, "define clause", &name, &at);
    if (st == SX_OK)
        st = expect_right(p, "define clause");
    return st == SX_OK ? parse_definition(p, name, "define clause") : st;
}

static sx_status parse_block(tparser *p, ttoken word, tnode **out)
{
    tnode *n = new_node(p, TNODE_TEMPLATE, word.text);
    if (!n)
        return no_memory(p);
    *out = n;
    sx_status st = parse_quoted_name(p, "block clause", &n->text, &n->at);
    if (st == SX_OK)
        st = parse_pipe(p, "block clause", TTOKEN_RIGHT, &n->pipe);
    return st == SX_OK ? parse_definition(p, n->text, "block clause") : st;
}

static sx_status parse_jump(tparser *p, ttoken word, tnode **out)
{
    bool leaves = sx_str_eq(word.text, SX_STR("break"));
    tnode *n = new_node(p, leaves ? TNODE_BREAK : TNODE_CONTINUE, word.text);
    if (!n)
        return no_memory(p);
    *out = n;
    if (p->loops == 0)
        return fail_at(p, word.text.data, "{{%.*s}} outside {{range}}", SX_ARG(word.text));
    return expect_right(p, leaves ? "{{break}}" : "{{continue}}");
}

static const struct {
    sx_str word;
    sx_status (*parse)(tparser *p, ttoken word, tnode **out);
} ACTIONS[] = {
    {SX_STR_INIT("if"), parse_control},    {SX_STR_INIT("range"), parse_control},
    {SX_STR_INIT("with"), parse_control},  {SX_STR_INIT("template"), parse_call},
    {SX_STR_INIT("define"), parse_define}, {SX_STR_INIT("block"), parse_block},
    {SX_STR_INIT("break"), parse_jump},    {SX_STR_INIT("continue"), parse_jump},
};

/* One action, from behind its opening delimiter. */
static sx_status parse_action(tparser *p, tnode **out, tend *end)
{
    ttoken t = next_solid(p);
    *end = TEND_TEXT;
    *out = NULL;
    if (t.kind == TTOKEN_KEYWORD) {
        if (sx_str_eq(t.text, SX_STR("end"))) {
            *end = TEND_END;
            return expect_right(p, "end");
        }
        if (sx_str_eq(t.text, SX_STR("else"))) {
            *end = TEND_ELSE; /* what follows is read by the branch that it belongs to */
            return SX_OK;
        }
        for (size_t i = 0; i < SX_COUNT_OF(ACTIONS); i++) {
            if (sx_str_eq(ACTIONS[i].word, t.text))
                return ACTIONS[i].parse(p, t, out);
        }
    }
    put_back(p, t);
    tnode *n = new_node(p, TNODE_ACTION, t.text);
    if (!n)
        return no_memory(p);
    *out = n;
    return parse_pipe(p, "command", TTOKEN_RIGHT, &n->pipe);
}

/* Nodes up to {{end}}, {{else}} or the end of the text. */
static sx_status parse_list(tparser *p, tlist *out, tend *end)
{
    sx_str text;
    bool action;
    const char *why;
    *end = TEND_TEXT;
    while (template_lex_text(&p->lexer, &text, &action, &why)) {
        if (why)
            return fail_at(p, p->lexer.text.data + p->lexer.at, "%s", why);
        tnode *n = NULL;
        if (text.len) {
            n = new_node(p, TNODE_TEXT, text);
            if (!n)
                return no_memory(p);
            n->text = text;
            append(out, n);
        }
        if (!action)
            continue;
        sx_status st = parse_action(p, &n, end);
        if (st != SX_OK || *end != TEND_TEXT)
            return st;
        if (n)
            append(out, n);
    }
    return SX_OK;
}

sx_status template_parse(sx_template *t, sx_str name, sx_str text, sx_error *err)
{
    sx_error own;
    tparser *p = sx_arena_calloc(&t->arena, 1, sizeof *p); /* too big for the stack */
    tlist body = {0};
    tend end;
    if (!p)
        return sx_fail_memory(err, "a template");
    *p = (tparser){.t = t,
                   .lexer = {.text = text,
                             .left = sx_str_z(t->options.left),
                             .right = sx_str_z(t->options.right)},
                   .name = name,
                   .err = err ? err : &own};
    p->vars[p->var_count++] = SX_STR("$");
    sx_status st = parse_list(p, &body, &end);
    if (st == SX_OK && end != TEND_TEXT)
        st = fail_at(p, text.data + p->lexer.at, "unexpected %s",
                     end == TEND_END ? "{{end}}" : "{{else}}");
    return st == SX_OK ? add_definition(p, name, body) : st;
}

/* parser.c - the parser's look-ahead, its errors and its nodes. */
#include "observe/promql/parser.h"

#include <stdarg.h>
#include <stdio.h>

/* --- Errors. */

static void line_and_column(sx_str text, uint32_t at, uint32_t *line, uint32_t *column)
{
    uint32_t from = 0;
    *line = 1;
    for (uint32_t i = 0; i < at && i < text.len; i++) {
        if (text.data[i] == '\n') {
            from = i + 1;
            ++*line;
        }
    }
    *column = at - from + 1;
}

void *promql_parse_fail(promql_parser *p, promql_pos pos, const char *fmt, ...)
{
    bool first = p->status == SX_OK;
    if (!first && (!p->many_errors || p->status != SX_EFORMAT))
        return NULL;
    char message[SX_ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);

    char place[32] = "unknown position";
    uint32_t line, column;
    line_and_column(p->lexer.text, pos.start, &line, &column);
    if (p->lexer.text.len)
        snprintf(place, sizeof place, "%u:%u", line, column);
    if (first) {
        p->out->error_pos = pos;
        p->status = sx_fail(p->err, SX_EFORMAT, "%s: parse error: %s", place, message);
    } else if (p->err) {
        char before[SX_ERROR_MESSAGE_BYTES];
        memcpy(before, p->err->message, sizeof before);
        sx_fail(p->err, SX_EFORMAT, "%s\n%s: parse error: %s", before, place, message);
    }
    return NULL;
}

void *promql_parse_fail_memory(promql_parser *p)
{
    if (p->status == SX_OK)
        p->status = sx_fail_memory(p->err, "a parsed query");
    return NULL;
}

void *promql_parse_fail_limit(promql_parser *p, const char *what, uint32_t limit)
{
    if (p->status == SX_OK)
        p->status = sx_fail(p->err, SX_ELIMIT, "the query has %s; the limit is %u", what, limit);
    return NULL;
}

void *promql_unexpected(promql_parser *p, const char *context, const char *expected)
{
    promql_peek(p);
    if (p->status != SX_OK)
        return NULL;
    sx_buf words;
    sx_buf_init(&words, 0);
    promql_token_print(p->token, &words);
    if (words.failed)
        promql_parse_fail_memory(p);
    promql_parse_fail(p, promql_token_pos(p->token), "unexpected %.*s%s%s%s%s",
                      SX_ARG(sx_buf_view(&words)), *context ? " in " : "", context,
                      *expected ? ", expected " : "", expected);
    sx_buf_done(&words);
    return NULL;
}

void *promql_unexpected_here(promql_parser *p)
{
    return promql_unexpected(p, p->context, p->expected);
}

sx_str promql_quoted(promql_parser *p, sx_str text)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    tsdb_quote(text, &b);
    sx_str copy = sx_arena_copy(p->arena, sx_buf_view(&b));
    if (b.failed || !copy.data)
        promql_parse_fail_memory(p);
    sx_buf_done(&b);
    return copy;
}

/* --- Tokens. */

promql_token_kind promql_peek(promql_parser *p)
{
    if (p->looked)
        return p->token.kind;
    p->token = promql_lex(&p->lexer);
    p->looked = true;
    switch (p->token.kind) {
    case PROMQL_TOKEN_ERROR:
        promql_parse_fail(p, (promql_pos){p->token.start, (uint32_t)p->lexer.text.len}, "%.*s",
                          SX_ARG(p->token.text));
        break;
    case PROMQL_TOKEN_RIGHT_BRACE:
    case PROMQL_TOKEN_RIGHT_PAREN:
    case PROMQL_TOKEN_RIGHT_BRACKET:
    case PROMQL_TOKEN_DURATION:
    case PROMQL_TOKEN_NUMBER:
        p->last_closing = p->token.start + (uint32_t)p->token.text.len;
        break;
    default:
        break;
    }
    return p->token.kind;
}

promql_token promql_take(promql_parser *p)
{
    promql_peek(p);
    /* The ends stay, so that whoever looks again sees them again. */
    p->looked = p->token.kind == PROMQL_TOKEN_EOF || p->token.kind == PROMQL_TOKEN_ERROR;
    return p->token;
}

bool promql_accept(promql_parser *p, promql_token_kind kind)
{
    if (promql_peek(p) != kind)
        return false;
    promql_take(p);
    return true;
}

/* --- Nodes. */

promql_expr *promql_node(promql_parser *p, promql_kind kind, promql_type type, promql_pos pos,
                         uint32_t height_below)
{
    if (height_below >= p->depth_max)
        return promql_parse_fail_limit(p, "too many levels", p->depth_max);
    promql_expr *e = sx_arena_calloc(p->arena, 1, sizeof *e);
    if (!e)
        return promql_parse_fail_memory(p);
    e->kind = kind;
    e->type = type;
    e->pos = pos;
    e->height = height_below + 1;
    return e;
}

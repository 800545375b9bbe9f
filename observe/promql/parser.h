/* parser.h - what the files of the parser share.
 *
 * parse.c has the grammar of expressions, parse_parts.c literals and selectors, parse_postfix.c the
 * modifiers and durations, check.c the types; parser.c what all of them use; series.c reuses the tokens for unit tests' series. The first error ends a parse: it
 * is kept in the parser, and everything returns NULL or false on its way out. */
#ifndef OBSERVE_PROMQL_PARSER_H
#define OBSERVE_PROMQL_PARSER_H

#include "observe/promql/lex.h"
#include "observe/promql/parse.h"

enum {
    PROMQL_TEXT_BYTES_MAX = 1 << 20,
    PROMQL_DEPTH_MAX = 1000,
    PROMQL_LABELS_MAX =
        4096, /* matchers of a selector, labels of a grouping, arguments of a call */
};

typedef struct promql_parser {
    promql_lexer lexer;
    promql_token token; /* the one looked at, if `looked` */
    bool looked;
    uint32_t last_closing; /* end of the last token that may end an expression */
    uint32_t depth, depth_max;
    unsigned features;
    bool many_errors;
    sx_arena *arena;
    promql_parsed *out;
    size_t regex_cap;

    /* An unexpected token is told with the construct around it that has words for it. */
    const char *context, *expected;

    sx_status status; /* of the first error */
    sx_error *err;
} promql_parser;

/* The kind of the next token, which stays. A bad one is an error at once. */
promql_token_kind promql_peek(promql_parser *p);

/* Consumes the token looked at. */
promql_token promql_take(promql_parser *p);

/* Consumes the next token if it is of that kind. */
bool promql_accept(promql_parser *p, promql_token_kind kind);

/* Records an error at a place, "LINE:COL: parse error: ...", unless there was one. Returns NULL. */
void *promql_parse_fail(promql_parser *p, promql_pos pos, const char *fmt, ...) SX_PRINTF(3, 4);
void *promql_parse_fail_memory(promql_parser *p);
void *promql_parse_fail_limit(promql_parser *p, const char *what, uint32_t limit);

/* The next token may not stand here: `context` and `expected` as in errors, "" for none. */
void *promql_unexpected(promql_parser *p, const char *context, const char *expected);

/* The same in the words of the construct around. */
void *promql_unexpected_here(promql_parser *p);

/* `text` in quotes, in the arena; for messages. */
sx_str promql_quoted(promql_parser *p, sx_str text);

static inline promql_pos promql_token_pos(promql_token t)
{
    return (promql_pos){t.start, t.start + (uint32_t)t.text.len};
}

promql_expr *promql_node(promql_parser *p, promql_kind kind, promql_type type, promql_pos pos,
                         uint32_t height_below);

/* parse.c: sets up a parser; its `out` has the copy of the text. */
sx_status promql_parse_begin(promql_parser *p, sx_str text, const promql_parse_options *options,
                             sx_arena *arena, promql_parsed *out, sx_error *err);
bool promql_is_metric_name(promql_token_kind kind);
promql_expr *promql_parse_expression(promql_parser *p);

/* parse_parts.c */
promql_expr *promql_parse_number(promql_parser *p, promql_token t);
bool promql_number_value(promql_parser *p, promql_token t, double *out);
promql_expr *promql_parse_metric(promql_parser *p, const promql_token *name);
bool promql_parse_grouping(promql_parser *p, const sx_str **labels, uint32_t *count);
sx_str promql_unquote(promql_parser *p, sx_str quoted);

/* regex_words.c: records what is wrong with a regular expression, in the words of Go's regexp. */
void promql_regex_fail(promql_parser *p, promql_pos pos, sx_str pattern, const sx_error *why);

/* parse_postfix.c: the modifiers behind an operand; returns what it becomes. */
promql_expr *promql_parse_postfix(promql_parser *p, promql_expr *e);

/* check.c: types; records errors. */
void promql_check(promql_parser *p, promql_expr *e);

/* duration.c */
const char *promql_read_duration(sx_str text, int64_t *ms, char *message, size_t message_bytes);

/* number.c: a number in Go's notation, as the lexer lets it through. False with the words of Go's
 * strconv in *why. */
bool promql_read_number(sx_str text, double *out, const char **why);

#endif

/* parser.h - what the two halves of the parser share: field expressions (inside of { } and
 * aggregates) and everything around them. Used by parse.c and parse_field.c alone. */
#ifndef OBSERVE_TRACEQL_PARSER_H
#define OBSERVE_TRACEQL_PARSER_H

#include "observe/traceql/lex.h"

typedef struct tq_parser {
    traceql_query *q;
    tq_lexer lexer;
    tq_token token; /* the next one, not yet taken */
    unsigned depth, nodes;
    sx_status status; /* sticks */
    sx_error *err;
} tq_parser;

/* All give NULL (or false) once the status is not SX_OK. */
tq_node *tq_node_new(tq_parser *p, tq_kind_of kind, uint32_t at);
bool tq_node_add(tq_parser *p, tq_node *list, tq_node *item);
bool tq_advance(tq_parser *p);
bool tq_at_sign(const tq_parser *p, const char *text);
bool tq_at_word(const tq_parser *p, const char *text);
/* Takes the sign that must come. */
bool tq_expect(tq_parser *p, const char *text);
/* The token that is next does not fit; `expecting` may be NULL. */
tq_node *tq_unexpected(tq_parser *p, const char *expecting);
bool tq_enter(tq_parser *p); /* one level deeper; false: too deep */

/* parse_field.c */
tq_node *tq_parse_field(tq_parser *p);
/* A single field: what select() and by() of series take. */
tq_node *tq_parse_attribute(tq_parser *p);
/* A literal; false without an error if none is next. */
bool tq_parse_static(tq_parser *p, tq_value *out);

/* A binary operator's token: its op between spans' fields, between spansets and numbers, and its
 * level. */
typedef struct tq_sign {
    const char *text;
    int level;
    tq_op field, sets;
} tq_sign;
const tq_sign *tq_sign_of(const tq_token *t);
enum { TQ_LEVEL_LOGIC = 1, TQ_LEVEL_TEST, TQ_LEVEL_SUM, TQ_LEVEL_PRODUCT, TQ_LEVEL_POWER };

#endif

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

#define PROMQL_NONE_OP  PROMQL_OP_NONE
#define TOKEN(name)     PROMQL_TOKEN_##name
#define OP_NONE         PROMQL_OP_NONE
static const token_info TOKENS[] = {
#define PROMQL_NONE_ PROMQL_OP_NONE
#define X(id, kind, words, operation) {SX_STR_INIT(words), kind, OPERATION_##operation},
#define OPERATION_NONE PROMQL_OP_NONE
    PROMQL_TOKENS(X)
#undef X
};

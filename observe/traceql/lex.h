/* lex.h - the tokens of TraceQL. Used by parse.c alone. */
#ifndef OBSERVE_TRACEQL_LEX_H
#define OBSERVE_TRACEQL_LEX_H

#include "observe/traceql/ast.h"

typedef enum tq_token_kind {
    TQ_T_END,
    TQ_T_WORD, /* keyword or identifier */
    TQ_T_STR,
    TQ_T_INT,
    TQ_T_FLOAT,
    TQ_T_DURATION,
    TQ_T_FIELD, /* .key, span.key, span:name */
    TQ_T_SIGN   /* an operator or a bracket: text */
} tq_token_kind;

typedef struct tq_token {
    tq_token_kind kind;
    uint32_t at, end; /* bytes of the text */
    sx_str text;      /* WORD, SIGN: as written; STR: its value */
    int64_t i;        /* INT, DURATION */
    double d;
    tq_field field;
} tq_token;

typedef struct tq_lexer {
    sx_str text;
    size_t pos;
    sx_arena *arena;
} tq_lexer;

/* The next token.
 *   errors  SX_EFORMAT with "parse error at line, col" */
sx_status tq_lex(tq_lexer *l, tq_token *out, sx_error *err);

/* SX_EFORMAT with the line and column (characters, from 1) of byte `at`. */
sx_status tq_fail_at(sx_str text, size_t at, sx_error *err, const char *fmt, ...) SX_PRINTF(4, 5);

/* The unscoped word of an intrinsic (duration, rootName): false if it is none. */
bool tq_intrinsic(sx_str word, tq_source *out);

#endif

/* lex.h - PromQL text into tokens, on demand.
 *
 * What a character means depends on where it stands: in braces every word is a label name, in
 * brackets only durations and their arithmetic may stand, in a series of promtool's unit tests `x`
 * is a sign. The lexer keeps that state itself, so a token must not be asked for before the parser
 * needs it: errors are reported in the order in which they are met. Used by parse.c and series.c. */
#ifndef OBSERVE_PROMQL_LEX_H
#define OBSERVE_PROMQL_LEX_H

#include <sextant/buf.h>

#include "observe/promql/ast.h"

/* X(id, class, text, operator): text is what a token is called in errors, and for words how it is
 * written. The words of classes AGGREGATOR, KEYWORD, FUNCTION and the word operators are found in
 * this list too. */
#define PROMQL_TOKENS(X)                                                                           \
    X(ERROR, NAMED, "error", NONE)                                                                 \
    X(EOF, NAMED, "end of input", NONE)                                                            \
    X(IDENTIFIER, NAMED, "identifier", NONE)                                                       \
    X(METRIC_IDENTIFIER, NAMED, "metric identifier", NONE)                                         \
    X(STRING, NAMED, "string", NONE)                                                               \
    X(NUMBER, NAMED, "number", NONE)                                                               \
    X(DURATION, NAMED, "duration", NONE)                                                           \
    X(LEFT_PAREN, SIGN, "(", NONE)                                                                 \
    X(RIGHT_PAREN, SIGN, ")", NONE)                                                                \
    X(LEFT_BRACE, SIGN, "{", NONE)                                                                 \
    X(RIGHT_BRACE, SIGN, "}", NONE)                                                                \
    X(LEFT_BRACKET, SIGN, "[", NONE)                                                               \
    X(RIGHT_BRACKET, SIGN, "]", NONE)                                                              \
    X(COMMA, SIGN, ",", NONE)                                                                      \
    X(EQUAL, SIGN, "=", NONE)                                                                      \
    X(COLON, SIGN, ":", NONE)                                                                      \
    X(BLANK, SIGN, "_", NONE)                                                                      \
    X(TIMES, SIGN, "x", NONE)                                                                      \
    X(SPACE, SIGN, "<space>", NONE)                                                                \
    X(OPEN_HISTOGRAM, SIGN, "{{", NONE)                                                            \
    X(CLOSE_HISTOGRAM, SIGN, "}}", NONE)                                                           \
    X(FIELD, SIGN, "field", NONE)                                                                  \
    X(HINT, SIGN, "hint", NONE)                                                                    \
    X(ADD, OPERATOR, "+", ADD)                                                                     \
    X(SUB, OPERATOR, "-", SUB)                                                                     \
    X(MUL, OPERATOR, "*", MUL)                                                                     \
    X(DIV, OPERATOR, "/", DIV)                                                                     \
    X(MOD, OPERATOR, "%", MOD)                                                                     \
    X(POW, OPERATOR, "^", POW)                                                                     \
    X(EQ, OPERATOR, "==", EQ)                                                                      \
    X(NE, OPERATOR, "!=", NE)                                                                      \
    X(GT, OPERATOR, ">", GT)                                                                       \
    X(LT, OPERATOR, "<", LT)                                                                       \
    X(GE, OPERATOR, ">=", GE)                                                                      \
    X(LE, OPERATOR, "<=", LE)                                                                      \
    X(TRIM_UPPER, OPERATOR, "</", TRIM_UPPER)                                                      \
    X(TRIM_LOWER, OPERATOR, ">/", TRIM_LOWER)                                                      \
    X(EQUAL_REGEX, OPERATOR, "=~", NONE)                                                           \
    X(NOT_REGEX, OPERATOR, "!~", NONE)                                                             \
    X(AT, OPERATOR, "@", NONE)                                                                     \
    X(AND, OPERATOR, "and", AND)                                                                   \
    X(OR, OPERATOR, "or", OR)                                                                      \
    X(UNLESS, OPERATOR, "unless", UNLESS)                                                          \
    X(ATAN2, OPERATOR, "atan2", ATAN2)                                                             \
    X(SUM, AGGREGATOR, "sum", AGG_SUM)                                                             \
    X(AVG, AGGREGATOR, "avg", AGG_AVG)                                                             \
    X(COUNT, AGGREGATOR, "count", AGG_COUNT)                                                       \
    X(MIN, AGGREGATOR, "min", AGG_MIN)                                                             \
    X(MAX, AGGREGATOR, "max", AGG_MAX)                                                             \
    X(GROUP, AGGREGATOR, "group", AGG_GROUP)                                                       \
    X(STDDEV, AGGREGATOR, "stddev", AGG_STDDEV)                                                    \
    X(STDVAR, AGGREGATOR, "stdvar", AGG_STDVAR)                                                    \
    X(TOPK, AGGREGATOR, "topk", AGG_TOPK)                                                          \
    X(BOTTOMK, AGGREGATOR, "bottomk", AGG_BOTTOMK)                                                 \
    X(COUNT_VALUES, AGGREGATOR, "count_values", AGG_COUNT_VALUES)                                  \
    X(QUANTILE, AGGREGATOR, "quantile", AGG_QUANTILE)                                              \
    X(LIMITK, AGGREGATOR, "limitk", AGG_LIMITK)                                                    \
    X(LIMIT_RATIO, AGGREGATOR, "limit_ratio", AGG_LIMIT_RATIO)                                     \
    X(BOOL, KEYWORD, "bool", NONE)                                                                 \
    X(BY, KEYWORD, "by", NONE)                                                                     \
    X(WITHOUT, KEYWORD, "without", NONE)                                                           \
    X(ON, KEYWORD, "on", NONE)                                                                     \
    X(IGNORING, KEYWORD, "ignoring", NONE)                                                         \
    X(GROUP_LEFT, KEYWORD, "group_left", NONE)                                                     \
    X(GROUP_RIGHT, KEYWORD, "group_right", NONE)                                                   \
    X(FILL, KEYWORD, "fill", NONE)                                                                 \
    X(FILL_LEFT, KEYWORD, "fill_left", NONE)                                                       \
    X(FILL_RIGHT, KEYWORD, "fill_right", NONE)                                                     \
    X(OFFSET, KEYWORD, "offset", NONE)                                                             \
    X(ANCHORED, KEYWORD, "anchored", NONE)                                                         \
    X(SMOOTHED, KEYWORD, "smoothed", NONE)                                                         \
    X(START, FUNCTION, "start", NONE)                                                              \
    X(END, FUNCTION, "end", NONE)                                                                  \
    X(STEP, FUNCTION, "step", DURATION_STEP)                                                       \
    X(RANGE, FUNCTION, "range", DURATION_RANGE)                                                    \
    X(MAX_OF, FUNCTION, "max_of", DURATION_MAX_OF)                                                 \
    X(MIN_OF, FUNCTION, "min_of", DURATION_MIN_OF)

typedef enum promql_token_kind {
#define X(id, class, text, op) PROMQL_TOKEN_##id,
    PROMQL_TOKENS(X)
#undef X
        PROMQL_TOKEN_KINDS
} promql_token_kind;

typedef struct promql_token {
    promql_token_kind kind;
    uint32_t start; /* byte offset in the text; of an ERROR: where the error is */
    sx_str text;    /* a view of the query; of an ERROR: what is wrong, in the lexer */
} promql_token;

/* What reads the next character. */
typedef enum promql_lex_state {
    PROMQL_LEX_EXPRESSION,
    PROMQL_LEX_BRACES,
    PROMQL_LEX_BRACKETS, /* after `[`, until the first number */
    PROMQL_LEX_VALUES,   /* the values of a series description */
    PROMQL_LEX_HISTOGRAM,
    PROMQL_LEX_BUCKETS,
    PROMQL_LEX_AFTER_HISTOGRAM, /* x, + or - right behind }} */
} promql_lex_state;

typedef struct promql_lexer {
    sx_str text;
    size_t at;    /* next byte */
    size_t start; /* of the token being read */
    size_t last;  /* start of the last token given out */
    promql_lex_state state;
    int parens;    /* open ( */
    bool bracket;  /* a [ is open */
    bool colon;    /* and a : came after it */
    bool duration; /* and a duration */
    bool series;   /* promtool's series notation */
    char message[256];
} promql_lexer;

void promql_lex_init(promql_lexer *l, sx_str text, bool series);

/* The next token, comments left out. After EOF or ERROR there is none. */
promql_token promql_lex(promql_lexer *l);

/* The binary or aggregation operator a token stands for, PROMQL_OP_NONE if it stands for none. */
promql_op promql_token_op(promql_token_kind kind);
bool promql_token_is_aggregator(promql_token_kind kind);

/* Appends a token as errors name it: identifier "foo", <op:+>, end of input ... */
void promql_token_print(promql_token t, sx_buf *out);

#endif

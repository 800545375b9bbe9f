/* ast.h - a PromQL expression as a tree.
 *
 * Made by parse.c in the query's arena, annotated with types by the same pass, printed by print.c,
 * shown as JSON by the API (parse_query), and walked by the engine. Source: Prometheus 3's language
 * (docs/querying), positions in bytes of the query text. */
#ifndef OBSERVE_PROMQL_AST_H
#define OBSERVE_PROMQL_AST_H

#include <sextant/arena.h>
#include <sextant/str.h>

#include "observe/tsdb/labels.h"

typedef enum promql_type {
    PROMQL_NONE, /* "none": nothing yet */
    PROMQL_SCALAR,
    PROMQL_VECTOR, /* instant vector */
    PROMQL_MATRIX, /* range vector */
    PROMQL_STRING,
} promql_type;

/* "scalar", "instant vector" ...: as error messages say it; and "scalar", "vector", "matrix",
 * "string": as the API says it. */
const char *promql_type_words(promql_type t);
const char *promql_type_name(promql_type t);

typedef enum promql_kind {
    PROMQL_NUMBER,
    PROMQL_STRING_LITERAL,
    PROMQL_SELECTOR, /* instant vector; inside PROMQL_RANGE a matrix's */
    PROMQL_RANGE,    /* selector[5m] */
    PROMQL_SUBQUERY, /* expr[5m:1m] */
    PROMQL_CALL,
    PROMQL_AGGREGATE,
    PROMQL_BINARY,
    PROMQL_UNARY,
    PROMQL_PAREN,
    PROMQL_ARITHMETIC, /* of durations: only inside a promql_duration; numbers in it are seconds */
    PROMQL_STEP_INVARIANT, /* put in by the engine's preparation, never by the parser */
} promql_kind;

typedef enum promql_op {
    PROMQL_OP_NONE,
    /* binary */
    PROMQL_ADD,
    PROMQL_SUB,
    PROMQL_MUL,
    PROMQL_DIV,
    PROMQL_MOD,
    PROMQL_POW,
    PROMQL_ATAN2,
    PROMQL_EQ,
    PROMQL_NE,
    PROMQL_GT,
    PROMQL_LT,
    PROMQL_GE,
    PROMQL_LE,
    PROMQL_TRIM_UPPER,
    PROMQL_TRIM_LOWER, /* </ and >/ */
    PROMQL_AND,
    PROMQL_OR,
    PROMQL_UNLESS,
    /* aggregations */
    PROMQL_AGG_SUM,
    PROMQL_AGG_AVG,
    PROMQL_AGG_COUNT,
    PROMQL_AGG_MIN,
    PROMQL_AGG_MAX,
    PROMQL_AGG_GROUP,
    PROMQL_AGG_STDDEV,
    PROMQL_AGG_STDVAR,
    PROMQL_AGG_TOPK,
    PROMQL_AGG_BOTTOMK,
    PROMQL_AGG_COUNT_VALUES,
    PROMQL_AGG_QUANTILE,
    PROMQL_AGG_LIMITK,
    PROMQL_AGG_LIMIT_RATIO,
    /* duration arithmetic has ADD to POW, and these */
    PROMQL_DURATION_STEP,
    PROMQL_DURATION_RANGE,
    PROMQL_DURATION_MIN_OF,
    PROMQL_DURATION_MAX_OF,
    PROMQL_OPS
} promql_op;

/* "+", "and", "sum", "min_of" ...: as written and printed. */
const char *promql_op_name(promql_op op);

static inline bool promql_op_is_comparison(promql_op op)
{
    return op >= PROMQL_EQ && op <= PROMQL_LE;
}

/* and, or, unless. */
static inline bool promql_op_is_set(promql_op op)
{
    return op >= PROMQL_AND && op <= PROMQL_UNLESS;
}

/* topk, bottomk, count_values, quantile, limitk, limit_ratio. */
static inline bool promql_op_has_param(promql_op op)
{
    return op >= PROMQL_AGG_TOPK && op <= PROMQL_AGG_LIMIT_RATIO;
}

/* Byte offsets into the query: [start, end). */
typedef struct promql_pos {
    uint32_t start, end;
} promql_pos;

typedef enum promql_card {
    PROMQL_ONE_TO_ONE,
    PROMQL_MANY_TO_ONE,
    PROMQL_ONE_TO_MANY,
    PROMQL_MANY_TO_MANY,
} promql_card;

/* on/ignoring, group_left/right, fill. */
typedef struct promql_matching {
    promql_card card;
    bool on; /* else ignoring */
    const sx_str *labels, *include;
    uint32_t label_count, include_count;
    bool has_fill_left, has_fill_right;
    double fill_left, fill_right;
} promql_matching;

typedef enum promql_at { PROMQL_AT_NONE, PROMQL_AT_TIME, PROMQL_AT_START, PROMQL_AT_END } promql_at;

struct promql_function; /* functions.h: one row of the table */
typedef struct promql_expr promql_expr;

/* A duration as written. Duration arithmetic ([5m*2], offset -(1h/2), step()) stays an expression,
 * which is evaluated when the query's step and range are known. */
typedef struct promql_duration {
    int64_t ms;              /* what it is; 0 if `expr` is to tell */
    const promql_expr *expr; /* PROMQL_ARITHMETIC; NULL for a plain one */
} promql_duration;

struct promql_expr {
    promql_kind kind;
    promql_type type;
    promql_pos pos;
    uint32_t height; /* of the tree below, 1 for a leaf: how deep a walk over it goes */
    union {
        struct {
            double value;
            bool duration; /* written as one: printed back as one */
        } number;
        sx_str string;
        struct {
            sx_str name;                  /* metric name if written before the braces (or alone) */
            const tsdb_matcher *matchers; /* the name's among them; in parse order */
            uint32_t matcher_count;
            promql_duration offset;
            promql_at at;
            int64_t at_ms;
            bool anchored, smoothed;
        } selector;
        struct {
            promql_expr *selector; /* PROMQL_SELECTOR */
            promql_duration range;
        } range;
        struct {
            promql_expr *expr;
            promql_duration range, step, offset; /* step 0: the default resolution */
            promql_at at;
            int64_t at_ms;
        } subquery;
        struct {
            const struct promql_function *function;
            promql_expr **args;
            uint32_t arg_count;
        } call;
        struct {
            promql_op op;
            promql_expr *expr, *param; /* param: topk's k and its kin, else NULL */
            const sx_str *labels;
            uint32_t label_count;
            bool without;
        } aggregate;
        struct {
            promql_op op;
            promql_expr *left, *right;
            bool return_bool;
            const promql_matching *matching; /* NULL if a side is a scalar */
        } binary;
        struct {
            promql_op op; /* PROMQL_ADD, PROMQL_SUB */
            promql_expr *expr;
        } unary;
        struct {
            promql_op op;              /* ADD to POW, or PROMQL_DURATION_... */
            promql_expr *left, *right; /* NUMBER or ARITHMETIC; unary: left NULL; step(), range():
                                          both NULL */
            bool parens;               /* written in parentheses */
        } arithmetic;
        promql_expr *inner; /* PAREN, STEP_INVARIANT */
    };
};

#endif

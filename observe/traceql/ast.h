/* ast.h - the tree of a TraceQL query: what parse.c builds, check.c approves and all others walk.
 *
 * All nodes lie in the query's arena and point at it or at static text. Used inside observe/traceql. */
#ifndef OBSERVE_TRACEQL_AST_H
#define OBSERVE_TRACEQL_AST_H

#include <sextant/regex.h>

#include "observe/traceql/traceql.h"

enum { TQ_DEPTH_MAX = 60, TQ_NODES_MAX = 4000, TQ_MEMORY_MAX = 8 << 20 };

typedef enum tq_type {
    TQ_NIL,
    TQ_ANY, /* before evaluation: known when a span is looked at; then: a list, map or bytes */
    TQ_INT,
    TQ_FLOAT,
    TQ_STR,
    TQ_BOOL,
    TQ_DURATION, /* nanoseconds */
    TQ_STATUS,   /* span_status */
    TQ_KIND      /* span_kind */
} tq_type;

typedef struct tq_value {
    tq_type type;
    union {
        int64_t i; /* INT, BOOL, DURATION, STATUS, KIND */
        double d;
        sx_str s;
    };
} tq_value;

/* What a field reads. The scopes of attributes first. */
typedef enum tq_source {
    TQ_ATTR, /* .key: the span's, then resource, event, link, scope */
    TQ_ATTR_SPAN,
    TQ_ATTR_RESOURCE,
    TQ_ATTR_EVENT,
    TQ_ATTR_LINK,
    TQ_ATTR_SCOPE,
    TQ_SPAN_DURATION,
    TQ_SPAN_NAME,
    TQ_SPAN_STATUS,
    TQ_SPAN_STATUS_MESSAGE,
    TQ_SPAN_KIND,
    TQ_SPAN_CHILDREN,
    TQ_SPAN_ID,
    TQ_SPAN_PARENT_ID,
    TQ_TRACE_ID,
    TQ_TRACE_DURATION,
    TQ_TRACE_ROOT_NAME,
    TQ_TRACE_ROOT_SERVICE,
    TQ_EVENT_NAME,
    TQ_EVENT_SINCE_START,
    TQ_LINK_TRACE_ID,
    TQ_LINK_SPAN_ID,
    TQ_SCOPE_NAME,
    TQ_SCOPE_VERSION,
    TQ_NESTED_LEFT,
    TQ_NESTED_RIGHT,
    TQ_NESTED_PARENT,
    TQ_PARENT, /* the parent's id; nil of a root */
    TQ_SOURCES
} tq_source;

typedef struct tq_field {
    tq_source source;
    bool of_parent; /* parent.key: of the parent span */
    sx_str key;     /* of attributes */
} tq_field;

typedef enum tq_op {
    TQ_OP_NONE,
    TQ_ADD,
    TQ_SUB,
    TQ_MUL,
    TQ_DIV,
    TQ_MOD,
    TQ_POW,
    TQ_EQ,
    TQ_NE,
    TQ_LT,
    TQ_LE,
    TQ_GT,
    TQ_GE,
    TQ_MATCH,
    TQ_NOT_MATCH,
    TQ_AND,
    TQ_OR,
    TQ_NOT,
    TQ_NEG,
    TQ_EXISTS, /* != nil */
    TQ_ABSENT, /* = nil */
    /* Between spansets, three rows of the same five. */
    TQ_CHILD,
    TQ_PARENT_OF,
    TQ_DESCENDANT,
    TQ_ANCESTOR,
    TQ_SIBLING,
    TQ_NOT_CHILD,
    TQ_NOT_PARENT_OF,
    TQ_NOT_DESCENDANT,
    TQ_NOT_ANCESTOR,
    TQ_NOT_SIBLING,
    TQ_UNION_CHILD,
    TQ_UNION_PARENT_OF,
    TQ_UNION_DESCENDANT,
    TQ_UNION_ANCESTOR,
    TQ_UNION_SIBLING,
    TQ_OPS
} tq_op;

typedef enum tq_function {
    TQ_COUNT,
    TQ_AVG,
    TQ_MAX,
    TQ_MIN,
    TQ_SUM,
    /* Series. */
    TQ_RATE,
    TQ_COUNT_OVER_TIME,
    TQ_MIN_OVER_TIME,
    TQ_MAX_OVER_TIME,
    TQ_AVG_OVER_TIME,
    TQ_SUM_OVER_TIME,
    TQ_QUANTILE_OVER_TIME,
    TQ_HISTOGRAM_OVER_TIME,
    TQ_COMPARE,
    TQ_TOPK,
    TQ_BOTTOMK,
    TQ_FUNCTIONS
} tq_function;

typedef enum tq_kind_of {
    /* Of one span. */
    TQ_STATIC, /* value */
    TQ_FIELD,  /* field */
    TQ_UNARY,  /* op left */
    TQ_BINARY, /* left op right; regex of MATCH and NOT_MATCH */
    /* Spans of a trace. */
    TQ_FILTER,   /* { left } */
    TQ_RELATION, /* left op right */
    TQ_PIPELINE, /* items */
    /* Stages of a pipeline beside. */
    TQ_SCALAR_FILTER, /* left op right */
    TQ_BY,            /* left */
    TQ_COALESCE,
    TQ_SELECT, /* items: fields */
    /* A number of a spanset. */
    TQ_AGGREGATE, /* function of left (NULL: count) */
    TQ_SCALAR,    /* left op right */
    /* Series over time. */
    TQ_SERIES,        /* left: pipeline; function, right: its field, items: by, numbers */
    TQ_SERIES_MATH,   /* left op right; one may be STATIC */
    TQ_SERIES_FILTER, /* left op right (STATIC) */
    TQ_SERIES_TOP     /* function (TOPK, BOTTOMK) of left; value.i */
} tq_kind_of;

typedef struct tq_node tq_node;
struct tq_node {
    tq_kind_of kind;
    tq_op op;
    tq_function function;
    uint32_t at; /* byte in the text */
    tq_value value;
    tq_field field;
    tq_node *left, *right;
    tq_node **items;
    uint32_t count, cap;
    double *numbers; /* quantiles; compare's top, start, end */
    uint32_t number_count;
    sx_regex *regex;
    /* PIPELINE: what push.c found, as traceql_push. */
    const span_filter *pushed;
    const span_filter *also; /* each trace found has a span that matches this as well; NULL: any */
    bool exact;
};

typedef struct tq_hint {
    sx_str name;
    tq_value value;
} tq_hint;

struct traceql_query {
    sx_arena arena;
    sx_str text;
    tq_node *root; /* PIPELINE, or one of SERIES* */
    tq_hint *hints;
    size_t hint_count, hint_cap;
    sx_regex **regexes; /* freed with the query */
    size_t regex_count, regex_cap;
};

static inline bool tq_is_attribute(tq_source s)
{
    return s <= TQ_ATTR_SCOPE;
}

/* Words for people: ">=", "count_over_time", "resource.service.name". */
const char *tq_op_text(tq_op op);
const char *tq_function_name(tq_function f);
void tq_print(const tq_node *n, sx_buf *out);
void tq_print_field(const tq_field *f, sx_buf *out);
void tq_print_value(const tq_value *v, sx_buf *out);
/* A node's text in an arena; empty without memory. */
sx_str tq_text(sx_arena *arena, const tq_node *n);

/* parse.c: fills root and hints. check.c: types; compiles regexes. push.c: pushed and exact
 * of every pipeline. */
sx_status tq_parse(traceql_query *q, sx_error *err);
sx_status tq_check(traceql_query *q, sx_error *err);
sx_status tq_push(traceql_query *q, sx_error *err);

/* value.c: the meaning of operators. */
bool tq_types_match(tq_type a, tq_type b);
bool tq_op_takes(tq_op op, tq_type a, tq_type b);
tq_type tq_source_type(tq_source s);
static inline bool tq_is_number(tq_type t)
{
    return t == TQ_INT || t == TQ_FLOAT || t == TQ_DURATION;
}
static inline bool tq_is_test(tq_op op)
{
    return (op >= TQ_EQ && op <= TQ_NOT) || op == TQ_EXISTS || op == TQ_ABSENT;
}
double tq_number(const tq_value *v); /* NaN of what is none */
/* NIL where it makes no sense (division by zero of integers). MATCH wants `regex`. */
tq_value tq_binary(tq_op op, const tq_value *a, const tq_value *b, const sx_regex *regex);
tq_value tq_unary(tq_op op, const tq_value *a);
/* Order for min and max and lists: by type, then value. */
int tq_compare(const tq_value *a, const tq_value *b);

#endif

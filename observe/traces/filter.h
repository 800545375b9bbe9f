/* filter.h - which spans a search wants: a tree of comparisons that the store evaluates by columns.
 *
 * The languages above (Jaeger's tags, TraceQL) come down to this. A leaf compares one field of a span
 * with one literal; a span matches the tree by itself, without regard to others of its trace (what
 * relates spans to each other is the language's, over the traces found). An attribute may stand in
 * several places (two events, resource and span): a positive comparison holds if one of them holds.
 * span_filter_match over a decoded span defines the meaning; memtable and segments must agree with it.
 *
 * Built by observe/traceql and observe/jaeger; evaluated by observe/traces. */
#ifndef OBSERVE_TRACES_FILTER_H
#define OBSERVE_TRACES_FILTER_H

#include <sextant/regex.h>

#include "observe/spans/span.h"

/* Where an attribute is looked for. */
typedef enum filter_place {
    FILTER_ANY = 0, /* everywhere below */
    FILTER_SPAN = 1,
    FILTER_RESOURCE = 2,
    FILTER_SCOPE = 4,
    FILTER_EVENT = 8,
    FILTER_LINK = 16,
    FILTER_SPAN_OR_RESOURCE =
        3 /* TraceQL's bare .key: the span's, and only without one the resource's */
} filter_place;

typedef enum filter_field {
    FILTER_ATTRIBUTE, /* `place` and `key` */
    FILTER_NAME,
    FILTER_DURATION, /* nanoseconds, 0 if the span ends before it begins */
    FILTER_START,    /* nanoseconds since 1970 */
    FILTER_STATUS,   /* span_status as INT */
    FILTER_STATUS_MESSAGE,
    FILTER_KIND, /* span_kind as INT */
    FILTER_SERVICE,
    FILTER_TRACE_ID, /* lower-case hex text; compared with = and != */
    FILTER_SPAN_ID,
    FILTER_PARENT_ID, /* empty text: a root */
    FILTER_TRACE_STATE,
    FILTER_SCOPE_NAME,
    FILTER_SCOPE_VERSION,
    FILTER_EVENT_NAME,
    FILTER_EVENT_SINCE_START, /* nanoseconds */
    FILTER_LINK_TRACE_ID,
    FILTER_LINK_SPAN_ID,
    FILTER_FIELDS
} filter_field;

typedef enum filter_op {
    FILTER_EXISTS,
    FILTER_EQ, /* types as TraceQL: text with text, number with number (INT and DOUBLE mix), bool */
    FILTER_NE, /* the field is there, of a comparable type, and another value */
    FILTER_LT,
    FILTER_LE,
    FILTER_GT,
    FILTER_GE,
    FILTER_MATCH, /* text, the whole of it (RE2) */
    FILTER_NOT_MATCH,
    FILTER_TEXT /* Jaeger's: span_value_text of the field is this text, whatever the type */
} filter_op;

typedef enum filter_kind {
    FILTER_LEAF,
    FILTER_AND, /* of none: everything */
    FILTER_OR,  /* of none: nothing */
    FILTER_NOT
} filter_kind;

/* A node; it and all it points to lives in the arena of whoever built it. */
typedef struct span_filter {
    filter_kind kind;
    const struct span_filter *const *children;
    uint32_t child_count;

    filter_field field;
    uint32_t place; /* filter_place, or several of its bits */
    sx_str key;
    filter_op op;
    span_value value;      /* the literal; MATCH: the pattern's text */
    const sx_regex *regex; /* of MATCH and NOT_MATCH, compiled, anchored */
} span_filter;

enum { SPAN_FILTER_DEPTH_MAX = 64, SPAN_FILTER_NODES_MAX = 4096 };

/* Does the span match? NULL matches all. Reference for everything that is faster. */
bool span_filter_match(const span_filter *f, const span *s);

/* One leaf against a value of its field; for evaluators over dictionaries. */
bool span_filter_test(const span_filter *leaf, const span_value *v);

#endif

/* ottl_impl.h - what the parser of OTTL makes and the evaluator reads. */
#ifndef OBSERVE_COLLECTOR_OTTL_IMPL_H
#define OBSERVE_COLLECTOR_OTTL_IMPL_H

#include "observe/collector/ottl.h"

typedef enum ottl_kind {
    OTTL_LITERAL,
    OTTL_LIST,
    OTTL_PATH,
    OTTL_CALL,
    OTTL_NOT,
    OTTL_AND,
    OTTL_OR,
    OTTL_COMPARE,
    OTTL_MATH,
    OTTL_INDEX,    /* of a call's or path's value: child 0, by child 1 */
    OTTL_STATEMENT /* child 0: the editor; child 1: the condition, may be missing */
} ottl_kind;

typedef enum ottl_operator { OTTL_EQ, OTTL_NE, OTTL_LT, OTTL_LE, OTTL_GT, OTTL_GE } ottl_operator;

typedef enum ottl_object { ON_RESOURCE, ON_SCOPE, ON_SPAN, ON_EVENT, ON_CACHE } ottl_object;

typedef enum ottl_field {
    F_ATTRIBUTES,
    F_NAME,
    F_KIND,
    F_KIND_STRING,
    F_STATUS_CODE,
    F_STATUS_MESSAGE,
    F_TRACE_ID,
    F_TRACE_ID_STRING,
    F_SPAN_ID,
    F_SPAN_ID_STRING,
    F_PARENT,
    F_PARENT_STRING,
    F_TRACE_STATE,
    F_START,
    F_END,
    F_TIME,
    F_FLAGS,
    F_VERSION,
    F_SCHEMA_URL,
    F_DROPPED_ATTRIBUTES,
    F_DROPPED_EVENTS,
    F_DROPPED_LINKS,
    F_EVENT_INDEX
} ottl_field;

struct ottl_function;

struct ottl_node {
    ottl_kind kind;
    int op; /* ottl_operator; of MATH the sign */
    ottl_object object;
    ottl_field field;
    span_value value; /* of a literal */
    const struct ottl_function *function;
    const sx_regex *pattern; /* of a function that takes one as a literal */
    const ottl_node **children;
    uint32_t count;
};

typedef struct ottl_function {
    const char *name;
    uint32_t least, most; /* arguments */
    int pattern;          /* which argument is a regular expression, a literal text; -1: none */
    int target;           /* of an editor: which argument is changed: a path; -1: a converter */
    bool whole_map;       /* the target is attributes as a whole */
    bool (*call)(const ottl_node *n, ottl_target *t, span_value *out); /* false: t->err says why */
} ottl_function;

extern const ottl_function OTTL_FUNCTIONS[];
extern const size_t OTTL_FUNCTION_COUNT;

bool ottl_eval(const ottl_node *n, ottl_target *t, span_value *out);
bool ottl_set(const ottl_node *path, ottl_target *t, const span_value *v);
attr_edit *ottl_attrs(const ottl_node *path, ottl_target *t);

#endif

/* functions.c - the rows of PromQL's functions and their look-up by name. */
#include "observe/promql/functions.h"

#include "observe/promql/parse.h"

#define V            PROMQL_VECTOR
#define M            PROMQL_MATRIX
#define S            PROMQL_SCALAR
#define T            PROMQL_STRING
#define STABLE       0
#define EXPERIMENTAL PROMQL_EXPERIMENTAL_FUNCTIONS

/* One NONE before the types, so that the array is never empty. */
#define COUNT(...) (sizeof((promql_type[]){PROMQL_NONE, ##__VA_ARGS__}) / sizeof(promql_type) - 1)

static const promql_function functions[] = {
#define X(fn, returns, optional, flag, ...)                                                        \
    {.name = SX_STR_INIT(#fn),                                                                     \
     .args = {__VA_ARGS__},                                                                        \
     .arg_count = COUNT(__VA_ARGS__),                                                              \
     .variadic = (optional),                                                                       \
     .result = (returns),                                                                          \
     .feature = (flag),                                                                            \
     .id = PROMQL_FN_##fn},
    PROMQL_FUNCTION_LIST(X)
#undef X
};

_Static_assert(sizeof functions / sizeof *functions == PROMQL_FUNCTIONS, "a row for every id");

const promql_function *promql_function_find(sx_str name)
{
    size_t low = 0, high = PROMQL_FUNCTIONS;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = sx_str_cmp(functions[middle].name, name);
        if (order == 0)
            return &functions[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const promql_function *promql_functions(size_t *count)
{
    *count = PROMQL_FUNCTIONS;
    return functions;
}

/* functions.h - the one table of PromQL's functions.
 *
 * The parser checks calls by it, the engine evaluates by it, help and docs are printed from it.
 * The rows are in functions.c; the code behind a row in functions_*.c of the engine. */
#ifndef OBSERVE_PROMQL_FUNCTIONS_H
#define OBSERVE_PROMQL_FUNCTIONS_H

#include "observe/promql/ast.h"

enum { PROMQL_ARGS_MAX = 5 };

typedef struct promql_function {
    sx_str name;
    promql_type args[PROMQL_ARGS_MAX]; /* PROMQL_NONE after the last */
    int8_t arg_count;                  /* types given */
    int8_t variadic;                   /* 0: exactly arg_count; n: the last may come 0 to n times;
                                          -1: the last may come any number of times */
    promql_type result;
    unsigned feature; /* 0, or the flag of parse.h that allows it */
    uint16_t id;      /* promql_function_id */
} promql_function;

/* X(name, result, variadic, feature, arguments...), sorted by name. Types: V instant vector, M range
 * vector, S scalar, T string. Feature: STABLE or EXPERIMENTAL. Source: docs/querying/functions. */
#define PROMQL_FUNCTION_LIST(X)                                                                    \
    X(abs, V, 0, STABLE, V)                                                                        \
    X(absent, V, 0, STABLE, V)                                                                     \
    X(absent_over_time, V, 0, STABLE, M)                                                           \
    X(acos, V, 0, STABLE, V)                                                                       \
    X(acosh, V, 0, STABLE, V)                                                                      \
    X(asin, V, 0, STABLE, V)                                                                       \
    X(asinh, V, 0, STABLE, V)                                                                      \
    X(atan, V, 0, STABLE, V)                                                                       \
    X(atanh, V, 0, STABLE, V)                                                                      \
    X(avg_over_time, V, 0, STABLE, M)                                                              \
    X(ceil, V, 0, STABLE, V)                                                                       \
    X(changes, V, 0, STABLE, M)                                                                    \
    X(clamp, V, 0, STABLE, V, S, S)                                                                \
    X(clamp_max, V, 0, STABLE, V, S)                                                               \
    X(clamp_min, V, 0, STABLE, V, S)                                                               \
    X(cos, V, 0, STABLE, V)                                                                        \
    X(cosh, V, 0, STABLE, V)                                                                       \
    X(count_over_time, V, 0, STABLE, M)                                                            \
    X(day_of_month, V, 1, STABLE, V)                                                               \
    X(day_of_week, V, 1, STABLE, V)                                                                \
    X(day_of_year, V, 1, STABLE, V)                                                                \
    X(days_in_month, V, 1, STABLE, V)                                                              \
    X(deg, V, 0, STABLE, V)                                                                        \
    X(delta, V, 0, STABLE, M)                                                                      \
    X(deriv, V, 0, STABLE, M)                                                                      \
    X(double_exponential_smoothing, V, 0, EXPERIMENTAL, M, S, S)                                   \
    X(end, S, 0, EXPERIMENTAL)                                                                     \
    X(exp, V, 0, STABLE, V)                                                                        \
    X(first_over_time, V, 0, STABLE, M)                                                            \
    X(floor, V, 0, STABLE, V)                                                                      \
    X(histogram_avg, V, 0, STABLE, V)                                                              \
    X(histogram_count, V, 0, STABLE, V)                                                            \
    X(histogram_fraction, V, 0, STABLE, S, S, V)                                                   \
    X(histogram_quantile, V, 0, STABLE, S, V)                                                      \
    X(histogram_quantiles, V, 9, EXPERIMENTAL, V, T, S, S)                                         \
    X(histogram_stddev, V, 0, STABLE, V)                                                           \
    X(histogram_stdvar, V, 0, STABLE, V)                                                           \
    X(histogram_sum, V, 0, STABLE, V)                                                              \
    X(hour, V, 1, STABLE, V)                                                                       \
    X(idelta, V, 0, STABLE, M)                                                                     \
    X(increase, V, 0, STABLE, M)                                                                   \
    X(info, V, 1, EXPERIMENTAL, V, V)                                                              \
    X(irate, V, 0, STABLE, M)                                                                      \
    X(label_join, V, -1, STABLE, V, T, T, T)                                                       \
    X(label_replace, V, 0, STABLE, V, T, T, T, T)                                                  \
    X(last_over_time, V, 0, STABLE, M)                                                             \
    X(ln, V, 0, STABLE, V)                                                                         \
    X(log10, V, 0, STABLE, V)                                                                      \
    X(log2, V, 0, STABLE, V)                                                                       \
    X(mad_over_time, V, 0, EXPERIMENTAL, M)                                                        \
    X(max_of, S, 0, EXPERIMENTAL, S, S)                                                            \
    X(max_over_time, V, 0, STABLE, M)                                                              \
    X(min_of, S, 0, EXPERIMENTAL, S, S)                                                            \
    X(min_over_time, V, 0, STABLE, M)                                                              \
    X(minute, V, 1, STABLE, V)                                                                     \
    X(month, V, 1, STABLE, V)                                                                      \
    X(pi, S, 0, STABLE)                                                                            \
    X(predict_linear, V, 0, STABLE, M, S)                                                          \
    X(present_over_time, V, 0, STABLE, M)                                                          \
    X(quantile_over_time, V, 0, STABLE, S, M)                                                      \
    X(rad, V, 0, STABLE, V)                                                                        \
    X(range, S, 0, EXPERIMENTAL)                                                                   \
    X(rate, V, 0, STABLE, M)                                                                       \
    X(resets, V, 0, STABLE, M)                                                                     \
    X(round, V, 1, STABLE, V, S)                                                                   \
    X(scalar, S, 0, STABLE, V)                                                                     \
    X(sgn, V, 0, STABLE, V)                                                                        \
    X(sin, V, 0, STABLE, V)                                                                        \
    X(sinh, V, 0, STABLE, V)                                                                       \
    X(sort, V, 0, STABLE, V)                                                                       \
    X(sort_by_label, V, -1, EXPERIMENTAL, V, T)                                                    \
    X(sort_by_label_desc, V, -1, EXPERIMENTAL, V, T)                                               \
    X(sort_desc, V, 0, STABLE, V)                                                                  \
    X(sqrt, V, 0, STABLE, V)                                                                       \
    X(start, S, 0, EXPERIMENTAL)                                                                   \
    X(start_timestamp, V, 0, EXPERIMENTAL, V)                                                      \
    X(stddev_over_time, V, 0, STABLE, M)                                                           \
    X(stdvar_over_time, V, 0, STABLE, M)                                                           \
    X(step, S, 0, EXPERIMENTAL)                                                                    \
    X(sum_over_time, V, 0, STABLE, M)                                                              \
    X(tan, V, 0, STABLE, V)                                                                        \
    X(tanh, V, 0, STABLE, V)                                                                       \
    X(time, S, 0, STABLE)                                                                          \
    X(timestamp, V, 0, STABLE, V)                                                                  \
    X(ts_of_first_over_time, V, 0, EXPERIMENTAL, M)                                                \
    X(ts_of_last_over_time, V, 0, EXPERIMENTAL, M)                                                 \
    X(ts_of_max_over_time, V, 0, EXPERIMENTAL, M)                                                  \
    X(ts_of_min_over_time, V, 0, EXPERIMENTAL, M)                                                  \
    X(vector, V, 0, STABLE, S)                                                                     \
    X(year, V, 1, STABLE, V)

/* PROMQL_FN_rate ...: for switches and tables of the engine, in the order of the rows. */
typedef enum promql_function_id {
#define X(name, ...) PROMQL_FN_##name,
    PROMQL_FUNCTION_LIST(X)
#undef X
        PROMQL_FUNCTIONS
} promql_function_id;

/* The row of a name; NULL if there is none. */
const promql_function *promql_function_find(sx_str name);

/* All rows, for docs, completion and tests: row i has id i. */
const promql_function *promql_functions(size_t *count);

#endif

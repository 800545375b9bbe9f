/* print.h - what print.c, format.c and json.c share. */
#ifndef OBSERVE_PROMQL_PRINT_H
#define OBSERVE_PROMQL_PRINT_H

#include "observe/promql/parse.h"

/* Appends a node on one line; stops early once `out` has failed. */
void promql_print_node(const promql_expr *e, sx_buf *out);

/* sum by (a, b) , with the space behind it. */
void promql_print_aggregation(const promql_expr *e, sx_buf *out);

/* == bool on (a) group_left (b): operator and modifiers of a binary expression. */
void promql_print_operator(const promql_expr *e, sx_buf *out);

/* [5m:1m] @ 3.000 offset 1h: what stands behind a subquery's expression. */
void promql_print_subquery_suffix(const promql_expr *e, sx_buf *out);

/* Decimal digits without an exponent, NaN, +Inf. */
void promql_print_number(double value, sx_buf *out);

#endif

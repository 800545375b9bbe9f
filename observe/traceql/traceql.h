/* traceql.h - TraceQL, Grafana Tempo's language of questions about traces.
 *
 * A text becomes a tree (parse), which is checked for types; the tree is answered over whole traces
 * (eval.h), after its conditions on single spans have been handed to the store (traceql_push), or
 * as series over time (metrics.h). docs/howto/traceql.md has the language for its users.
 *
 * A query is immutable once parsed; any thread may read it. Used by observe/tempo, observe/jaeger
 * (its parameter `filter`) and the command line.
 * Source: Tempo's documentation, "TraceQL", and the grammar in pkg/traceql/expr.y. */
#ifndef OBSERVE_TRACEQL_TRACEQL_H
#define OBSERVE_TRACEQL_TRACEQL_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

#include "observe/traces/filter.h"

typedef struct traceql_query traceql_query;

enum { TRACEQL_TEXT_BYTES_MAX = 128 << 10 };

/* Parses and checks a query.
 *   errors  SX_EFORMAT "parse error at line 1, col 5: ..." (position of the token that does not
 *           fit), or what is wrong with its types; SX_EUNSUPPORTED "... not yet supported"; SX_ELIMIT:
 *           too long or too deep; SX_ENOMEM */
sx_status traceql_parse(sx_str text, traceql_query **out, sx_error *err);
void traceql_free(traceql_query *q);

/* Does it ask for series (rate() ...) and not for traces? */
bool traceql_is_metrics(const traceql_query *q);

/* Where several spansets or pipelines must agree, what a trace must hold at least: a span that this
 * filter matches. Every trace that the query finds has one (`*exact`: and the query is one filter
 * whose spans are just those that match). Lives as long as the query; NULL: any span.
 * Of a query for series: what a span must be like to be counted, if it is no more than one filter. */
const span_filter *traceql_push(const traceql_query *q, bool *exact);

/* A field by its name as it stands in queries (.a, span.a, name); its key is in the arena. SX_EFORMAT:
 * it is none. And where the store keeps it (`place`: of attributes); false: it is of the trace. */
struct tq_field;
sx_status traceql_field_parse(sx_str text, sx_arena *arena, struct tq_field *out, sx_error *err);
bool traceql_field_stored(const struct tq_field *f, filter_field *field, uint32_t *place);

/* Writes the query in its canonical form; parsing that gives the same query again. */
void traceql_print(const traceql_query *q, sx_buf *out);

#endif

/* eval.h - a query over one whole trace.
 *
 * A trace is prepared once (who is whose parent, nested sets) and then answers any number of
 * expressions. Nothing here looks at the store; search.h and metrics.h bring the traces.
 *
 * Corners, the same here and in the filters that go to the store (observe/traces/filter.c):
 *  - A comparison of a field that has several values in a span (events, links, an attribute given
 *    twice) with a literal holds if one of them passes. Elsewhere the first value counts.
 *  - A field that is not there is nil: it passes no comparison, != neither; arithmetic with it is nil.
 *  - Lists, maps and bytes are there (!= nil) but pass no comparison.
 *  - A span whose parent did not arrive is the root of a tree of its own to relations, but not the
 *    trace's root. Spans in a circle of parents are nobody's descendants. */
#ifndef OBSERVE_TRACEQL_EVAL_H
#define OBSERVE_TRACEQL_EVAL_H

#include "observe/traceql/ast.h"

enum { TQ_NONE = UINT32_MAX };

typedef struct tq_trace {
    const span *const *spans;
    uint32_t count;
    /* NULL where spans are looked at one by one: then fields of the trace are nil. */
    uint32_t *parent;   /* index; TQ_NONE */
    uint32_t *children; /* how many */
    uint32_t *family;   /* the same number: the same parent id */
    uint32_t *order;    /* parents before children; `ordered` of them (no circles) */
    uint32_t ordered, families;
    int32_t *left, *right, *above; /* nested set; above: -1 of roots, 0 of orphans */
    const span *root;              /* NULL: it did not arrive */
    uint64_t start_ns, end_ns;
} tq_trace;

/* Asked every so many spans whether to go on: another status than SX_OK ends the work with it. */
typedef struct tq_watch {
    sx_status (*look)(void *ctx, sx_error *err);
    void *ctx;
} tq_watch;

/* Arrays in `arena`; spans stay the caller's. `watch` may be NULL. */
sx_status tq_trace_prepare(sx_arena *arena, const span *const *spans, size_t count,
                           const tq_watch *watch, tq_trace *out, sx_error *err);

/* The values of a field of span `i`, until `fn` returns true; whether it did. Text of ids lies in
 * `hex`, 33 bytes of the caller's. */
typedef bool tq_value_fn(void *ctx, const tq_value *v);
bool tq_values(const tq_trace *t, uint32_t i, const tq_field *f, char *hex, tq_value_fn *fn,
               void *ctx);
/* The first; NIL. */
tq_value tq_first(const tq_trace *t, uint32_t i, const tq_field *f, char *hex);

/* An expression over span `i`. Text lies in the span or in the arena. */
tq_value tq_eval(sx_arena *arena, const tq_node *n, const tq_trace *t, uint32_t i);
/* An expression as a condition: a field alone holds if one of its values is true. */
bool tq_holds(sx_arena *arena, const tq_node *n, const tq_trace *t, uint32_t i);

typedef struct tq_note {
    sx_str name; /* by(.a), count() */
    tq_value value;
} tq_note;

typedef struct tq_spanset {
    uint32_t *spans; /* ascending */
    uint32_t count;
    tq_note *notes;
    uint32_t note_count, note_cap;
} tq_spanset;

typedef struct tq_spansets {
    tq_spanset *items;
    size_t count, cap;
} tq_spansets;

/* The spansets that a pipeline leaves of a trace; all in the arena. `watch` may be NULL. */
sx_status tq_run(sx_arena *arena, const tq_node *pipeline, const tq_trace *t, const tq_watch *watch,
                 tq_spansets *out, sx_error *err);

/* relation.c: marks in `out` (count bytes) the spans of `r` that stand in the relation to one of `l`;
 * both are marks too. Negated and union operators as their plain one. NULL memory: false. */
bool tq_relate(sx_arena *arena, tq_op op, const tq_trace *t, const uint8_t *l, const uint8_t *r,
               uint8_t *out);

#endif

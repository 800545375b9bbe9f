/* path.h - what a trace's time went into, and how two traces differ.
 *
 * Both look at the tree of parents: spans whose parent is not there, and one of each cycle's, are roots
 * like those without one. Traces are as jaeger_adjust leaves them. Results lie in the arena given. */
#ifndef OBSERVE_JAEGER_PATH_H
#define OBSERVE_JAEGER_PATH_H

#include "observe/jaeger/search.h"

/* A stretch of time during which the trace waited for this span itself. */
typedef struct jaeger_section {
    const span *s;
    uint64_t start_ns, end_ns;
} jaeger_section;

/* From the end of the longest root back to its start: at each moment the child that ended last, else
 * the span itself. Sections come in order of time and do not overlap; a child is only looked at as far
 * as it lies within its parent. */
sx_status jaeger_critical_path(const span_batch *trace, sx_arena *arena, jaeger_section **out,
                               size_t *count, sx_error *err);

/* A place in the trees of two traces: the operations from a root down to this one. */
typedef struct jaeger_place {
    uint32_t parent; /* index of the place above; UINT32_MAX: a root */
    uint32_t depth;
    sx_str service, operation;
    uint64_t count[2], duration_ns[2], errors[2]; /* of its spans in either trace, summed */
} jaeger_place;

/* All places of both traces, each after the one above it. */
sx_status jaeger_compare(const span_batch *a, const span_batch *b, sx_arena *arena,
                         jaeger_place **out, size_t *count, sx_error *err);

#endif

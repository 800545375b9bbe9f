/* source.h - one of the things a querier reads: the head, a block.
 *
 * The database's querier asks every source that overlaps its range and merges what they say. A
 * source's handles mean something to it alone. Sources are counted: a querier keeps those it began
 * with alive, so that a block can be replaced while queries still read it. */
#ifndef OBSERVE_TSDB_SOURCE_H
#define OBSERVE_TSDB_SOURCE_H

#include "observe/tsdb/storage.h"

typedef struct tsdb_source tsdb_source;

typedef struct tsdb_source_ops {
    /* As tsdb_querier_ops.select but unsorted, appended to `out`; handle[0] is the source's own. */
    sx_status (*select)(tsdb_source *s, const tsdb_hints *hints, const tsdb_matcher *matchers,
                        size_t count, sx_arena *arena, tsdb_selection *out,
                        const _Atomic bool *canceled, sx_error *err);
    /* Appends samples of the range, sorted, each time once. Any thread. */
    sx_status (*read)(tsdb_source *s, uint64_t handle, int64_t min_t, int64_t max_t,
                      tsdb_columns *out, sx_error *err);
    /* `first` will be read now into `out`, and then those that `out` says, of which the ones with the
     * same handle[1] are the source's; NULL where nothing is won by knowing. */
    void (*ahead)(tsdb_source *s, const tsdb_series *first, int64_t min_t, int64_t max_t,
                  tsdb_columns *out);
    /* All names, all values of a name: appended, in any order, with repeats. */
    sx_status (*names)(tsdb_source *s, sx_arena *arena, sx_str **out, size_t *count, sx_error *err);
    sx_status (*values)(tsdb_source *s, sx_str name, sx_arena *arena, sx_str **out, size_t *count,
                        sx_error *err);
    /* A querier begins and ends: `hold` may keep what it needs in *memory (may be NULL). */
    sx_status (*hold)(tsdb_source *s, void **memory, sx_error *err);
    void (*release)(tsdb_source *s, void *memory);
} tsdb_source_ops;

struct tsdb_source {
    const tsdb_source_ops *ops;
    int64_t min_t, max_t; /* of its samples, both inclusive; the head: all of time */
};

enum { TSDB_SOURCES_MAX = 4096 };

/* A querier over sources, oldest first, each of which it holds until it is freed. */
sx_status tsdb_querier_over(tsdb_source *const *sources, size_t count, int64_t min_t, int64_t max_t,
                            tsdb_querier **out, sx_error *err);

#endif

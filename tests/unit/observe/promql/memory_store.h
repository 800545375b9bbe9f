/* memory_store.h - a queryable over samples in memory, for tests and benchmarks of the engine.
 *
 * Series are kept in the order in which they were added; samples are appended in order of time. What
 * a querier hands out points into the store, which must outlive it and not change meanwhile. */
#ifndef TESTS_MEMORY_STORE_H
#define TESTS_MEMORY_STORE_H

#include <sextant/map.h>

#include "observe/tsdb/storage.h"

typedef struct memory_series {
    tsdb_labels labels;
    int64_t *t;
    double *v;
    const tsdb_histogram **h; /* entries NULL for floats */
    int64_t *st;
    size_t count, cap;
} memory_series;

typedef struct memory_store {
    tsdb_queryable queryable; /* pass &store.queryable */
    sx_arena arena;
    memory_series **series;
    size_t count, cap;
    sx_map64 by_labels;
    bool has_starts;
} memory_store;

void memory_store_init(memory_store *s);
void memory_store_done(memory_store *s);

/* The series of these labels, made (labels copied) if there is none; NULL: no memory. */
memory_series *memory_store_series(memory_store *s, tsdb_labels labels);

/* Adds a sample, h NULL: a float. One at a time that is there already is replaced. */
bool memory_store_add(memory_store *s, memory_series *series, int64_t t, double v,
                      const tsdb_histogram *h);

/* Sets the start timestamp of the sample at `t`, if there is one. */
void memory_store_start(memory_series *series, int64_t t, int64_t start);

/* Gives histograms the reset hints that a database's chunks would: of two that follow each other the
 * second says whether the counter began anew. */
void memory_store_hints(memory_store *s);

#endif

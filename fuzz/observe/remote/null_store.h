/* null_store.h - a store that takes every sample and keeps only a sum of what came, for fuzz targets:
 * the same bytes must make the same sum, whatever the decoder remembers from before. */
#ifndef FUZZ_OBSERVE_REMOTE_NULL_STORE_H
#define FUZZ_OBSERVE_REMOTE_NULL_STORE_H

#include <sextant/hash.h>

#include "observe/tsdb/storage.h"

typedef struct null_store {
    tsdb_appendable base;
    tsdb_appender appender;
    uint64_t sum;
} null_store;

static inline null_store *null_store_of(tsdb_appender *a)
{
    return (null_store *)(void *)((char *)a - offsetof(null_store, appender));
}

static inline void null_add(tsdb_appender *a, const void *data, size_t len, uint64_t seed)
{
    null_store *s = null_store_of(a);
    s->sum = sx_hash_bytes(data, len, s->sum ^ seed);
}

/* The reference is the labels' hash: what is appended to the wrong series changes the sum. */
static inline sx_status null_series(tsdb_appender *a, tsdb_labels labels, uint64_t hash,
                                    tsdb_ref *ref, tsdb_refusal *why, sx_error *err)
{
    (void)a;
    (void)err;
    sx_assert(labels.count > 0 && hash == tsdb_labels_hash(labels));
    for (uint32_t i = 0; i < labels.count; i++) {
        sx_assert(labels.items[i].name.len > 0 && labels.items[i].value.len > 0);
        sx_assert(i == 0 || sx_str_cmp(labels.items[i - 1].name, labels.items[i].name) < 0);
    }
    *ref = hash | 1;
    *why = TSDB_TAKEN;
    return SX_OK;
}

static inline sx_status null_sample(tsdb_appender *a, tsdb_ref ref, int64_t t, double v,
                                    tsdb_refusal *why, sx_error *err)
{
    uint64_t all[3] = {ref, (uint64_t)t, 0};
    (void)err;
    sx_assert(ref != 0);
    memcpy(&all[2], &v, sizeof v);
    null_add(a, all, sizeof all, 1);
    *why = TSDB_TAKEN;
    return SX_OK;
}

static inline sx_status null_histogram(tsdb_appender *a, tsdb_ref ref, int64_t t,
                                       const tsdb_histogram *h, tsdb_refusal *why, sx_error *err)
{
    sx_assert(ref != 0);
    *why = tsdb_histogram_check(h, err) == SX_OK ? TSDB_TAKEN : TSDB_BAD_HISTOGRAM;
    uint64_t all[3] = {ref, (uint64_t)t, *why};
    null_add(a, all, sizeof all, 2);
    return SX_OK;
}

static inline sx_status null_start(tsdb_appender *a, tsdb_ref ref, int64_t t, int64_t start_t,
                                   tsdb_refusal *why, sx_error *err)
{
    (void)err;
    uint64_t all[3] = {ref, (uint64_t)t, (uint64_t)start_t};
    null_add(a, all, sizeof all, 3);
    *why = TSDB_TAKEN;
    return SX_OK;
}

static inline sx_status null_exemplar(tsdb_appender *a, tsdb_ref ref, const tsdb_exemplar *e,
                                      tsdb_refusal *why, sx_error *err)
{
    (void)err;
    uint64_t all[2] = {ref, tsdb_labels_hash(e->labels)};
    null_add(a, all, sizeof all, 4);
    *why = TSDB_TAKEN;
    return SX_OK;
}

/* Not in the sum: it is appended when it changes. */
static inline sx_status null_metadata(tsdb_appender *a, tsdb_ref ref, const tsdb_metadata *m,
                                      sx_error *err)
{
    (void)a;
    (void)err;
    sx_assert(ref != 0 && m->type.len > 0);
    return SX_OK;
}

static inline sx_status null_commit(tsdb_appender *a, sx_error *err)
{
    (void)a;
    (void)err;
    return SX_OK;
}

static inline void null_forget(tsdb_appender *a)
{
    (void)a;
}

static inline sx_status null_appender(tsdb_appendable *self, tsdb_appender **out, sx_error *err)
{
    (void)err;
    *out = &((null_store *)(void *)self)->appender;
    return SX_OK;
}

static inline void null_store_init(null_store *s)
{
    static const tsdb_appender_ops OPS = {.series = null_series,
                                          .sample = null_sample,
                                          .histogram = null_histogram,
                                          .start = null_start,
                                          .exemplar = null_exemplar,
                                          .metadata = null_metadata,
                                          .commit = null_commit,
                                          .rollback = null_forget,
                                          .free = null_forget};
    *s = (null_store){.base = {null_appender}, .appender = {&OPS}};
}

#endif

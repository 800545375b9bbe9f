/* memtable.h - one shard's newest spans: rows, an index of their traces, searches over both.
 *
 * The lock is held by whoever adds, for the length of one batch, and by readers only while they
 * translate a filter into dictionary ids, walk one trace's chain or take the counts; all else is read
 * without it, as rows never move and never change once they are counted (rows.h). So a search holds
 * intake up for microseconds however long it runs.
 *
 * Used by store.c and search.c. */
#ifndef OBSERVE_TRACES_MEMTABLE_H
#define OBSERVE_TRACES_MEMTABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "observe/traces/filter.h"
#include "observe/traces/rows.h"

enum { TR_BLOCK_ROWS = 8192 };

typedef struct tr_pool tr_pool;

typedef struct tr_memtable {
    atomic_uint refs;
    tr_pool *pool;        /* it goes there in the end; may be NULL */
    uint32_t shard;       /* of the pool's */
    pthread_mutex_t lock; /* of all below */
    tr_rows rows;
    uint32_t *slots; /* open addressing: 1 + the newest row of a trace */
    uint32_t mask, traces;
    tr_array next;         /* u32 a row: 1 + the row before of the same trace; 0: none */
    tr_array newest;       /* u64 a block: latest start of all rows up to its end */
    _Atomic uint64_t used; /* bytes in use, for the store's budget; relaxed */
} tr_memtable;

tr_memtable *tr_memtable_new(sx_error *err);
/* Memtables that were used and wait to be used again, so that intake does not ask the system for the
 * same pages over and over: at most one of each shard. It outlives all memtables taken from it. */
tr_pool *tr_pool_new(uint32_t shards);
void tr_pool_free(tr_pool *p);
tr_memtable *tr_pool_take(tr_pool *p, uint32_t shard, sx_error *err);
tr_memtable *tr_memtable_ref(tr_memtable *m);
void tr_memtable_unref(tr_memtable *m);

/* Adding, in two steps with the lock held by the caller from before the first until after the second:
 * _put adds a batch's part and makes sure that _show cannot fail; _show indexes it, or _take_back
 * removes it. */
sx_status tr_memtable_put(tr_memtable *m, const span_batch *b, tr_part part, sx_error *err);
void tr_memtable_show(tr_memtable *m, tr_mark before);

/* What is there now: everything before these counts may be read without the lock. */
typedef struct tr_snapshot {
    uint32_t rows, texts, resources, scopes;
    uint64_t min_ns, max_ns;
} tr_snapshot;
tr_snapshot tr_memtable_now(tr_memtable *m);

/* Latest start among the first `rows` rows, or a little beyond them. */
uint64_t tr_memtable_newest(const tr_memtable *m, uint32_t rows);

/* Rows of a trace, oldest first, in the heap (*out, *cap as for sx_grow). */
sx_status tr_memtable_find(tr_memtable *m, const uint8_t trace_id[16], uint32_t **out, size_t *cap,
                           size_t *count, sx_error *err);

/* --- A filter over rows. */
typedef struct tr_match tr_match;

/* `filter` and `arena` outlive it. NULL without memory. Takes the lock. */
tr_match *tr_match_new(tr_memtable *m, const span_filter *filter, tr_snapshot now, sx_arena *arena);
bool tr_match_row(tr_match *x, uint32_t row);
/* No row can match: a value it needs is not in the dictionary. */
bool tr_match_is_empty(const tr_match *x);

#endif

/* store_impl.h - what the files of the store share: its state and how questions see it.
 *
 * Locks, in the order in which they are taken:
 *   gate      appends hold it shared from the log to the memtables, turning over holds it alone, so
 *             that a batch's record and its rows are of one generation
 *   merging   one merge or retention at a time: segments leave the view by them alone
 *   change    held by whoever changes what is on disk (MANIFEST): flush, merge, retention
 *   tables    each memtable's, in the order of shards
 *   lock      the current view and the counters below it; never held while anything blocks
 * A question takes a reference of the view and then needs no lock but the memtables'. */
#ifndef OBSERVE_TRACES_STORE_IMPL_H
#define OBSERVE_TRACES_STORE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include <sextant/file.h>
#include <sextant/log.h>

#include "observe/traces/memtable.h"
#include "observe/traces/store.h"
#include "observe/traces/tracelog.h"

enum { TR_SHARDS_MAX = 64, TR_PATH_BYTES = 4096, TR_MERGE_FAN = 16, TR_SETS_MAX = 64 };

/* A segment as MANIFEST knows it. Immutable but for `edges`; counted. */
typedef struct tr_piece {
    atomic_uint refs;
    uint64_t number; /* its file's name */
    uint32_t shard, level;
    uint64_t sequence, min_ns, max_ns, bytes, rows, errors;
    bool reduced; /* only traces of the longer-lived classes are left in it */
    tr_segment *segment;
    _Atomic bool damaged; /* a question found it so: told once, answers without it are partial */
    struct tr_resolved *resolved; /* edges.c: orphans whose parents are elsewhere; its own lock */
} tr_piece;

/* Memtables of all shards that were filled together, and the log behind them. */
typedef struct tr_set {
    tr_memtable *tables[TR_SHARDS_MAX];
    uint32_t first_log, last_log;
    uint64_t sequence;
    int64_t born_ms;     /* mono; when its first batch came, 0: empty */
    struct tr_set *next; /* newer */
} tr_set;

/* All there is at one moment. */
typedef struct tr_view {
    atomic_uint refs;
    size_t table_count, piece_count;
    tr_memtable **tables; /* newest first */
    tr_piece **pieces;    /* newest first by max_ns */
} tr_view;

typedef struct tr_meters {
    sx_counter *spans, *flushes, *flush_ns, *merges, *merge_ns, *log_bytes, *queries, *dropped,
        *corrupt, *refused_memory, *refused_disk, *refused_other;
    sx_gauge *segments, *bytes, *memtable_bytes, *disk_full;
} tr_meters;

struct tr_store {
    tr_store_options o;
    char *dir, *wal_dir;
    const sx_clock *clock;
    sx_file_lock file_lock;
    bool locked;
    sx_logger *logger;
    tr_meters meters;
    uint32_t shards;
    tr_pool *pool; /* memtables to be used again */
    tr_hot *hot;   /* groups kept unpacked */
    tr_log *log;

    pthread_rwlock_t gate;
    pthread_mutex_t merging; /* held through a merge or retention: one at a time */
    pthread_mutex_t change;
    uint32_t log_first;   /* change: files below are done with */
    uint64_t next_number; /* change */

    pthread_mutex_t lock;
    pthread_cond_t work; /* to the flusher and the merger */
    pthread_cond_t room; /* to those who wait for memory or a flush */
    tr_view *view;
    tr_set *sets;        /* oldest first; the last one is being filled */
    tr_set *active;      /* written with the gate held alone as well */
    uint32_t generation; /* of the log being written */
    uint64_t next_sequence;
    bool stop, want_turn, merge_due;
    uint64_t flushed; /* sets flushed so far, and those given to flush */
    uint64_t turned;
    sx_error failure; /* of the last flush; SX_OK when it went well */

    _Atomic bool stopping;
    _Atomic bool disk_full;
    _Atomic uint64_t waiting_bytes; /* of sets that are not being filled any more */
    pthread_t flusher, merger;
    bool flusher_runs, merger_runs;
};

/* --- view.c */
tr_view *tr_view_take(tr_store *s);
void tr_view_unref(tr_view *v);
/* An empty view with room for whatever there may be at its _put, which so cannot fail: who changes what
 * is on disk makes it before. `come_count` pieces are added by the _put. NULL without memory. */
tr_view *tr_view_prepare(tr_store *s, size_t come_count, sx_error *err);
/* Puts it in the old one's place, filled with s->sets and these pieces; gives the old one, for _unref.
 * s->lock is held. */
tr_view *tr_view_put(tr_store *s, tr_view *v, tr_piece *const *gone, size_t gone_count,
                     tr_piece *const *come, size_t come_count, tr_set *done);
/* Both at once; takes s->lock. */
sx_status tr_view_change(tr_store *s, tr_piece *const *gone, size_t gone_count,
                         tr_piece *const *come, size_t come_count, tr_set *done, sx_error *err);
size_t tr_store_sets(tr_store *s); /* how many there are */
tr_piece *tr_piece_new(tr_store *s, tr_segment *segment, uint64_t number, uint32_t shard,
                       bool reduced);
tr_piece *tr_piece_ref(tr_piece *p);
void tr_piece_unref(tr_piece *p);

/* --- manifest.c */
typedef struct tr_manifest_entry {
    uint64_t number, sequence;
    uint32_t shard, level;
    bool reduced;
} tr_manifest_entry;
typedef struct tr_manifest {
    uint32_t log_first;
    uint64_t next_number, next_sequence;
    tr_manifest_entry *entries; /* heap */
    size_t count, cap;
} tr_manifest;
sx_status tr_manifest_read(const char *dir, tr_manifest *out, sx_error *err);
sx_status tr_manifest_write(const char *dir, const tr_manifest *m, sx_error *err);
void tr_manifest_done(tr_manifest *m);
sx_status tr_segment_name(const char *dir, uint64_t number, char *path, sx_error *err);

/* --- store.c */
/* Commits a change on disk and in the view: MANIFEST first, then what it no longer names is removed:
 * pieces that are gone, the logs of `done`. After an error nothing has changed, and the files of `come`
 * are removed, unless MANIFEST may name them (it could not be read back): the next start sees to them.
 * `change` is held. */
sx_status tr_store_commit(tr_store *s, tr_piece *const *gone, size_t gone_count,
                          tr_piece *const *come, size_t come_count, tr_set *done, sx_error *err);
/* --- open.c */
sx_status tr_store_recover(tr_store *s, sx_error *err);
tr_set *tr_set_new(tr_store *s, sx_error *err);
void tr_set_free(tr_set *set);

/* --- flush.c */
void tr_remove_logs(tr_store *s, const tr_set *set);
sx_status tr_store_turn(tr_store *s, sx_error *err);
sx_status tr_flush_one(tr_store *s, bool *did, sx_error *err);
void *tr_flusher_run(void *store);

/* --- compact.c */
sx_status tr_merge_one(tr_store *s, bool *did, sx_error *err);
sx_status tr_retain(tr_store *s, sx_error *err);
void *tr_merger_run(void *store);

/* --- edges.c */
void tr_resolved_free(struct tr_resolved *r);

/* The system's wall clock so many milliseconds from now, as pthread_cond_timedwait wants it: how long a
 * thread sleeps is real time, whatever the store's clock says. */
struct timespec tr_until(int64_t ms);

/* Memory of memtables, in use. */
uint64_t tr_store_memory(tr_store *s);

/* True and the status when a question is to end: canceled, past its time. */
bool tr_limits_over(const tr_store *s, const tr_limits *l, sx_status *status, sx_error *err);

/* open.c: whether `status` says that the piece is damaged. It is told the first time; the caller goes on
 * without the piece and marks its answer as partial. */
bool tr_piece_is_damaged(tr_store *s, tr_piece *p, sx_status status, const sx_error *err);

#endif

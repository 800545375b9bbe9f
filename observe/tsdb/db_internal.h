/* db_internal.h - the database's own struct, for its files: db.c, appender.c, replay.c, db_query.c,
 * checkpoint.c. */
#ifndef OBSERVE_TSDB_DB_INTERNAL_H
#define OBSERVE_TSDB_DB_INTERNAL_H

#include <stdatomic.h>

#include "observe/tsdb/db.h"
#include "observe/tsdb/head.h"
#include "observe/tsdb/side.h"
#include "observe/tsdb/source.h"
#include "observe/tsdb/wal.h"

enum { TSDB_PATH_BYTES = 4096 };

/* References of the log that are not the head's own: another program numbered them. */
typedef struct tsdb_ref_map {
    uint64_t *from; /* open addressing; 0 empty */
    tsdb_ref *to;
    size_t cap, count;
} tsdb_ref_map;

sx_status tsdb_ref_map_put(tsdb_ref_map *m, uint64_t from, tsdb_ref to, sx_error *err);
/* `from` itself if it is not in the map. */
tsdb_ref tsdb_ref_map_get(const tsdb_ref_map *m, uint64_t from);
void tsdb_ref_map_done(tsdb_ref_map *m);

enum { TSDB_RETRY_MS = 60000 };

struct tsdb_block;
typedef struct tsdb_block_list {
    pthread_rwlock_t lock;
    struct tsdb_block **items; /* by min_t; each holds a reference */
    size_t count, cap;
} tsdb_block_list;

/* Head snapshots (head_image.h). The maintenance's, but for the atomic ones, which anybody reads. */
typedef struct tsdb_image_state {
    int64_t at_ms,
        took_ms; /* of the last: when it ended, by the monotonic clock; how long it took */
    uint64_t logged, bytes; /* what the logs had got then; its size */
    bool wanted, failed;
    _Atomic uint64_t written, failures, last_bytes, last_ns, last_pause_ns;
} tsdb_image_state;

struct tsdb {
    tsdb_queryable queryable; /* first two: the database is found from them */
    tsdb_appendable appendable;
    tsdb_options options;       /* with the defaults filled in */
    _Atomic int64_t longest_ms; /* of all retentions: what is older is refused */
    const sx_clock *clock;
    char *dir;
    sx_file_lock lock;
    tsdb_head *head;
    tsdb_head_chunks *chunks;
    tsdb_wal *wal, *wbl; /* made when replay is through */
    tsdb_side side;
    tsdb_source head_source;
    tsdb_ref_map refs; /* filled by replay, read by the first checkpoint */

    pthread_rwlock_t truncation; /* held for reading by commits: no series leaves under them */

    tsdb_block_list blocks;
    pthread_mutex_t maintenance; /* held by whoever cuts, compacts, deletes; what follows is its */
    bool cut_pending;            /* blocks are there, the head has not let go yet */
    int64_t cut_t;
    uint32_t cut_wbl; /* segments of wbl/ before it were there when the cut began */
    uint64_t cut_readers;
    int64_t cut_retry_ms, compact_retry_ms, retention_ms;
    _Atomic uint64_t compactions, compactions_failed, blocks_corrupt;

    tsdb_image_state image;

    pthread_mutex_t state_lock;
    pthread_cond_t changed;
    bool ready, stopping;
    bool early; /* queries of times before early_t need not wait for the replay */
    int64_t early_t;
    sx_error failure;      /* of the replay: the log could not be read */
    _Atomic bool canceled; /* replay is to end early */
    _Atomic uint32_t segments_done, segments_all;
    pthread_t replay_thread, keeper_thread, block_thread, image_thread;
    bool replaying, keeping, blocking, imaging;
    /* Monotonic; of the keeper and of who calls tsdb_maintain(): both may find a sync due. */
    _Atomic int64_t synced_at_ms;

    _Atomic uint64_t appended[2], refused[TSDB_REFUSALS], corruptions;
    _Atomic int64_t floor_t; /* samples of the log before it are in blocks */
};

static inline tsdb *tsdb_of_appendable(tsdb_appendable *a)
{
    return (tsdb *)(void *)((char *)a - offsetof(tsdb, appendable));
}

/* "DIR/name"; SX_ELIMIT if it is too long. */
sx_status tsdb_path(const tsdb *db, const char *name, char path[TSDB_PATH_BYTES], sx_error *err);

/* Waits until replay is through; the error it ended with, if any. */
sx_status tsdb_wait_ready(tsdb *db, sx_error *err);
/* The same; SX_EACCESS at once if the database was opened for reading only. */
sx_status tsdb_wait_writable(tsdb *db, sx_error *err);

/* retention.c: the longest of the general retention and the rules'. */
int64_t tsdb_retention_longest(const tsdb_options *o);

/* appender.c */
sx_status tsdb_appender_new(tsdb_appendable *self, tsdb_appender **out, sx_error *err);

/* replay.c: reads checkpoint, wal/ and wbl/ into the head, and makes the two logs to write to. */
sx_status tsdb_replay(tsdb *db, sx_error *err);

/* checkpoint.c: the head lets go of what lies before `t`, and the log of what it then need not hold:
 * called once blocks up to `t` are durable. Of wbl/ only segments before `late_end` are shortened. */
sx_status tsdb_truncate(tsdb *db, int64_t t, uint32_t late_end, sx_error *err);

#endif

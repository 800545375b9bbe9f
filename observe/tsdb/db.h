/* db.h - the metric database: a head in memory with its log, and blocks on disk.
 *
 * A data directory is Prometheus's own: wal/ (segments of 128 MiB, 32 KiB pages), chunks_head/,
 * blocks named by ULIDs, a lock file; it may be taken over from Prometheus 2 or 3 and given back.
 * Ours that Prometheus does not know lies in sextant/. Samples are acknowledged once they are in the
 * log by write(2), so kill -9 loses nothing; the fsync policy is about power. Appending scales with
 * cores: the head is cut into shards by the hash of the labels, each with its lock.
 *
 * Called by observe/scrape, rules and api through storage.h; opened by cmd (observe, tsdb). */
#ifndef OBSERVE_TSDB_DB_H
#define OBSERVE_TSDB_DB_H

#include <sextant/buf.h>
#include <sextant/clock.h>
#include <sextant/error.h>

#include "observe/tsdb/storage.h"

typedef enum tsdb_fsync { TSDB_FSYNC_INTERVAL, TSDB_FSYNC_ALWAYS, TSDB_FSYNC_NONE } tsdb_fsync;

/* How the log's records are packed. With zstd samples are written in records of the second version,
 * whose references are differences to the one before: 2.5 to 3.5 bytes a sample where the first
 * version takes 9 under snappy. Prometheus reads that from 3.11 on; the others, from 2.11 on. Records
 * that hold start timestamps are always of the second version. */
typedef enum tsdb_wal_packing { TSDB_WAL_ZSTD, TSDB_WAL_SNAPPY, TSDB_WAL_PLAIN } tsdb_wal_packing;

/* Series that all matchers match are kept for so long, which may be longer than the others; the first
 * rule that matches decides. Samples of any series are taken up to the longest age; those that should
 * not be kept so long leave with their block. */
typedef struct tsdb_retention_rule {
    const tsdb_matcher *matchers;
    size_t matcher_count;
    int64_t keep_ms;
} tsdb_retention_rule;

/* 0 in a field is the default. */
typedef struct tsdb_options {
    int64_t retention_ms;     /* 15 days; samples older than this are refused and dropped */
    uint64_t retention_bytes; /* of blocks and log together; 0: no limit */
    int64_t block_ms;         /* 2 h */
    int64_t block_ms_max;     /* a tenth of the retention, at most 31 days */
    int64_t out_of_order_ms;  /* how much older than its series' newest a sample may be; by
                                    default anything within retention; -1: nothing (Prometheus 0) */
    uint64_t memory_max;      /* bytes of the head; above it new series are refused; 0: no limit */
    uint64_t series_max;      /* the same as a count */
    uint32_t exemplars_max;   /* 0: 100,000 */
    tsdb_fsync fsync;
    int64_t fsync_interval_ms;        /* 1 s */
    int64_t snapshot_interval_ms;     /* of the head, at the latest if anything was logged: 5 min;
                                         sooner by what the log got. -1: none are made or read */
    uint64_t wal_segment_bytes;       /* 128 MiB */
    tsdb_wal_packing wal_packing;     /* of the log's records */
    uint32_t shards;                  /* a power of two; 0: 16 */
    bool xor2;                        /* blocks keep start timestamps: XOR2, histograms with them */
    const tsdb_retention_rule *rules; /* borrowed as long as the database is open */
    size_t rule_count;
    /* Told of blocks set aside and of background work that failed. Any thread. */
    void (*note)(void *context, bool warning, const char *line);
    void *note_context;
    bool read_only;        /* promtool's way: no lock, nothing written */
    const sx_clock *clock; /* NULL: the system's */
} tsdb_options;

typedef struct tsdb tsdb;

#define TSDB_RETENTION_DEFAULT_MS (INT64_C(15) * 86400000)

/* Opens (makes) the directory, takes its lock, opens the blocks, and starts replaying the log in the
 * background: tsdb_ready() says when it is through; appenders wait for that, and queriers but those of
 * times for which the blocks and the snapshot of the head are known to be enough.
 *   errors  SX_EEXIST: another process has the lock (named); SX_EIO and its kin; SX_ECORRUPT only for
 *           what cannot be set aside (a corrupt block is renamed NAME.corrupt and logged, a torn tail
 *           of the log is cut) */
sx_status tsdb_open(const char *dir, const tsdb_options *options, tsdb **out, sx_error *err);

/* Stops the background work, writes a snapshot of the head if anything was logged since the last, syncs
 * the log unless the policy is none, gives the lock back. Appenders and queriers must have been freed. */
void tsdb_close(tsdb *db);

/* The two interfaces; owned by the database. */
tsdb_queryable *tsdb_queryable_of(tsdb *db);
tsdb_appendable *tsdb_appendable_of(tsdb *db);

/* Replay: done segments of all; true once it is through. */
bool tsdb_ready(const tsdb *db, uint32_t *done, uint32_t *all);

/* Cutting, compaction, retention and fsync, as far as they are due by the clock; waits for the replay.
 * Without `options.clock` two threads of the database do it every second; with a clock of its own
 * (tests) nobody does but the caller. The first failure is returned, all parts are tried. */
sx_status tsdb_maintain(tsdb *db, sx_error *err);

/* Takes up another retention (retention_ms, retention_bytes, rules) and out-of-order window of `options`,
 * as after a reload of the configuration; the rest of it is not looked at. 0 is the default again, as
 * in tsdb_open. The rules of before are not used any more when it returns. Waits for the maintenance
 * that is under way. */
void tsdb_set_retention(tsdb *db, const tsdb_options *options);

/* --- What the admin API and `sextant tsdb` do. */

/* Marks samples of matching series in the range as deleted (tombstones), head and blocks. */
sx_status tsdb_delete(tsdb *db, int64_t min_t, int64_t max_t, const tsdb_matcher *matchers,
                      size_t count, sx_error *err);
/* Rewrites blocks that have tombstones. */
sx_status tsdb_clean_tombstones(tsdb *db, sx_error *err);
/* Hard-links all blocks, and unless told writes the head as a block, into DIR/snapshots/NAME. */
sx_status tsdb_snapshot(tsdb *db, bool skip_head, sx_buf *name, sx_error *err);

/* --- What is there. */
typedef struct tsdb_stats {
    uint64_t series, chunks, label_pairs, head_bytes;
    int64_t min_t, max_t; /* of the head; INT64_MAX, INT64_MIN when empty */
    uint64_t appended[2]; /* floats, histograms */
    uint64_t refused[TSDB_REFUSALS];
    uint64_t wal_bytes, block_bytes, blocks;
    /* Of the head: how many were written since the start; size, time and longest hold-up of commits of
     * the last. */
    uint64_t snapshots, snapshots_failed, snapshot_bytes, snapshot_ns, snapshot_pause_ns;
    uint64_t wal_corruptions, wal_failures, compactions, compactions_failed, blocks_corrupt;
} tsdb_stats;
void tsdb_stats_read(const tsdb *db, tsdb_stats *out);

/* One line of status/tsdb: a name and how many series, values or bytes it has. */
typedef struct tsdb_count {
    sx_str name; /* in the arena */
    uint64_t value;
} tsdb_count;

typedef struct tsdb_cardinality {
    tsdb_count *series_by_metric, *values_by_label, *bytes_by_label, *series_by_pair;
    size_t counts[4]; /* in that order; at most `limit` each, the greatest first */
} tsdb_cardinality;
sx_status tsdb_cardinality_read(tsdb *db, size_t limit, sx_arena *arena, tsdb_cardinality *out,
                                sx_error *err);

typedef struct tsdb_block_info {
    char ulid[27];
    int64_t min_t, max_t; /* max_t exclusive, as in meta.json */
    uint64_t samples, float_samples, histogram_samples, series, chunks, tombstones, bytes;
    uint32_t level;
} tsdb_block_info;
sx_status tsdb_blocks(tsdb *db, sx_arena *arena, tsdb_block_info **out, size_t *count,
                      sx_error *err);

/* Exemplars of series that any of the matcher sets selects, for query_exemplars. */
typedef struct tsdb_exemplars_of {
    tsdb_labels labels; /* of the series */
    const tsdb_exemplar *items;
    size_t count;
} tsdb_exemplars_of;
sx_status tsdb_exemplars(tsdb *db, int64_t min_t, int64_t max_t, const tsdb_matcher *const *sets,
                         const size_t *set_counts, size_t sets_count, sx_arena *arena,
                         tsdb_exemplars_of **out, size_t *out_count, sx_error *err);

/* Metadata of a metric as last appended; false if none is known. Views in `arena`. */
typedef struct tsdb_metadata_of {
    sx_str metric;
    tsdb_metadata metadata;
} tsdb_metadata_of;
sx_status tsdb_metadata_read(tsdb *db, sx_str metric, size_t limit, sx_arena *arena,
                             tsdb_metadata_of **out, size_t *count, sx_error *err);

#endif

/* wal.h - the write-ahead log: numbered segments of 32 KiB pages that hold records.
 *
 * A record is cut into fragments so that none crosses a page, each with a type, a length and a
 * CRC-32C; a page's rest is zeros. Records are opaque here (record.h knows them) and may be
 * compressed. A batch is one write(2), so what was acknowledged survives a kill; the fsync policy is
 * about power. When a write fails the segment is cut back to what is known to be in it, at once or
 * before the next write, so a full disk costs refused batches and nothing else. The same files serve
 * for wal/, wbl/ (samples out of order) and checkpoints.
 * Source: prometheus, tsdb/docs/format/wal.md. */
#ifndef OBSERVE_TSDB_WAL_H
#define OBSERVE_TSDB_WAL_H

#include <pthread.h>

#include <sextant/buf.h>
#include <sextant/clock.h>
#include <sextant/file.h>

#include "codec/compress_record.h"
#include "observe/tsdb/db.h"

enum { TSDB_WAL_PAGE_BYTES = 32768, TSDB_WAL_FRAME_BYTES = 7 };

/* The longest record that is read: compressed, and plain. */
enum { TSDB_WAL_RECORD_BYTES_MAX = 256 << 20 };

typedef struct tsdb_wal_options {
    uint64_t segment_bytes; /* 0: 128 MiB */
    tsdb_wal_packing packing;
    tsdb_fsync fsync;
} tsdb_wal_options;

/* --- Writing. */
typedef struct tsdb_wal tsdb_wal;

/* A log in the folder (made if need be) whose first new segment is number `segment`; it is made with
 * the first batch. */
sx_status tsdb_wal_open(const char *dir, uint32_t segment, const tsdb_wal_options *options,
                        tsdb_wal **out, sx_error *err);

/* Syncs unless the policy is none, and closes. */
void tsdb_wal_close(tsdb_wal *w);

/* A batch being made by one thread: records behind each other, compressed as they are added. */
typedef struct tsdb_wal_batch {
    sx_buf bytes;
    sx_buf packed;
    codec_records zstd;
    size_t *ends; /* of records in `bytes`; the lowest bit of kinds[i] tells of compression */
    uint8_t *kinds;
    size_t count, ends_cap, kinds_cap;
} tsdb_wal_batch;
void tsdb_wal_batch_init(tsdb_wal_batch *b);
void tsdb_wal_batch_done(tsdb_wal_batch *b);
void tsdb_wal_batch_clear(tsdb_wal_batch *b);
sx_status tsdb_wal_batch_add(tsdb_wal_batch *b, const tsdb_wal *w, sx_str record, sx_error *err);

/* How records are packed, which also says in which version samples are best written (db.h). */
tsdb_wal_packing tsdb_wal_packing_of(const tsdb_wal *w);

/* Writes the batch by one write(2), and under the policy `always` waits for the disk, together with
 * whoever else waits. On an error the batch is not in the log. Any thread. */
sx_status tsdb_wal_write(tsdb_wal *w, const tsdb_wal_batch *b, sx_error *err);

/* Waits for the disk, for all that was written before. Any thread. */
sx_status tsdb_wal_sync(tsdb_wal *w, sx_error *err);

/* Ends the segment; the next batch begins another. *ended: the number of the last one that
 * has ended, 0 if there is none. */
sx_status tsdb_wal_cut(tsdb_wal *w, uint32_t *ended, sx_error *err);

/* Makes the segment that is to be written now, empty: Prometheus wants one beside a checkpoint. */
sx_status tsdb_wal_begin(tsdb_wal *w, sx_error *err);

/* Bytes of all segments. They are counted as they are written; after others were removed the folder
 * is looked at again. */
uint64_t tsdb_wal_bytes(tsdb_wal *w);
void tsdb_wal_recount(tsdb_wal *w);

/* Batches that could not be written since it was opened. */
uint64_t tsdb_wal_failures(tsdb_wal *w);

/* The segment that is or will be written. */
uint32_t tsdb_wal_segment(tsdb_wal *w);

/* Behind the last batch: where a reader goes on that has all before it. */
void tsdb_wal_place(tsdb_wal *w, uint64_t *segment, uint64_t *offset);

/* Bytes written since it was opened. */
uint64_t tsdb_wal_written(tsdb_wal *w);

/* --- The folder. */
typedef struct tsdb_wal_range {
    uint32_t first, last; /* segments; first > last: none */
    uint32_t checkpoint;  /* number of the newest one */
    bool has_checkpoint;
    uint64_t bytes; /* of segments */
} tsdb_wal_range;
sx_status tsdb_wal_list(const char *dir, tsdb_wal_range *out, sx_error *err);

/* Removes segments below `segment` and checkpoints below `checkpoint`. */
sx_status tsdb_wal_remove(const char *dir, uint32_t segment, uint32_t checkpoint, sx_error *err);

/* --- Reading: the segments first..last of a folder, in order. */
typedef struct tsdb_wal_reader {
    char *dir; /* heap */
    uint32_t segment, last;
    sx_mapping map;
    bool open;
    uint64_t at;       /* in the segment */
    uint64_t begin_at; /* in the first one */
    uint64_t good_end; /* behind the last whole record of this segment */
    uint64_t corruptions;
    uint64_t records, segments_done;
    sx_buf record, plain;
    codec_records zstd;
    bool in_record;
    uint8_t packing;
} tsdb_wal_reader;

sx_status tsdb_wal_reader_open(tsdb_wal_reader *r, const char *dir, uint32_t first, uint32_t last,
                               sx_error *err);
/* The same from a place in the first segment on, which is the end of a record. */
sx_status tsdb_wal_reader_open_at(tsdb_wal_reader *r, const char *dir, uint32_t first,
                                  uint64_t offset, uint32_t last, sx_error *err);
void tsdb_wal_reader_close(tsdb_wal_reader *r);

/* The next whole record, uncompressed, good until the next call. Damage is counted in
 * r->corruptions, and reading goes on with the next page. SX_END behind the last segment. */
sx_status tsdb_wal_next(tsdb_wal_reader *r, sx_str *record, sx_error *err);

/* Cuts a torn end off the segment and fills its page with zeros, so that it may stand before others.
 * `good_end` is what a reader found. */
sx_status tsdb_wal_repair(const char *dir, uint32_t segment, uint64_t good_end, sx_error *err);

/* --- Following: the records of a log that is being written. It reads through a window of its own, as
 * a failed write cuts the segment back, which a mapping would not survive. Whoever writes need not
 * know. One thread. */
typedef struct tsdb_wal_tail {
    char *dir;        /* heap */
    uint32_t segment; /* of the next record */
    uint64_t offset;  /* in it: behind the last whole record given. What is to be kept by those who
                         want to go on from here after a restart */
    uint64_t lost;    /* segments that were removed before they were read */
    uint64_t damaged; /* places that were passed over */
    sx_reader file;
    bool open;
    uint64_t base; /* of the window, on a page */
    uint64_t loaded_at, window_bytes;
    sx_buf window;
    tsdb_wal_reader reader; /* of the window */
} tsdb_wal_tail;

/* Begins at a place that a tail told before, or at 0, 0 for the oldest there is. */
sx_status tsdb_wal_tail_open(tsdb_wal_tail *t, const char *dir, uint32_t segment, uint64_t offset,
                             sx_error *err);
void tsdb_wal_tail_close(tsdb_wal_tail *t);

/* The next whole record, good until the next call; SX_END if there is none yet. */
sx_status tsdb_wal_tail_next(tsdb_wal_tail *t, sx_str *record, sx_error *err);

#endif

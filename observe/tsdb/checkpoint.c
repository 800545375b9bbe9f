/* checkpoint.c - the log made short once blocks have what is in it.
 *
 * A checkpoint is a log of its own, wal/checkpoint.N, that holds what segments up to N (and the
 * checkpoint before) still say about series that are alive and times that are not yet in blocks. It
 * is written under another name, made durable and renamed, and only then are the old segments
 * removed; a crash in between costs nothing but reading more. References that another program gave
 * are written as the head's own, so that the table of them is needed no longer.
 * wbl/ is rewritten in the same way: its late samples are few. */
#include <stdio.h>

#include <sextant/mem.h>

#include "observe/tsdb/block.h"
#include "observe/tsdb/db_internal.h"
#include "observe/tsdb/record.h"

typedef struct checkpoint {
    tsdb *db;
    int64_t t;
    tsdb_wal *to;
    tsdb_wal_batch batch;
    sx_buf record;
    sx_arena arena;
} checkpoint;

enum { BATCH_BYTES = 1 << 20 };

static sx_status write_batch(checkpoint *c, sx_error *err)
{
    sx_status status = tsdb_wal_write(c->to, &c->batch, err);
    tsdb_wal_batch_clear(&c->batch);
    return status;
}

/* The record in c->record, if anything is in it behind its kind. */
static sx_status keep_record(checkpoint *c, sx_error *err)
{
    sx_status status = sx_buf_status(&c->record, "checkpoint", err);
    if (status == SX_OK && c->record.len > 1)
        status = tsdb_wal_batch_add(&c->batch, c->to, sx_buf_view(&c->record), err);
    sx_buf_clear(&c->record);
    if (status == SX_OK && c->batch.bytes.len >= BATCH_BYTES)
        status = write_batch(c, err);
    return status;
}

/* The head's reference of a living series; 0 if it has gone. */
static tsdb_ref living(const checkpoint *c, uint64_t ref)
{
    tsdb_ref ours = tsdb_ref_map_get(&c->db->refs, ref);
    return head_find(c->db->head, ours) ? ours : 0;
}

static sx_status filter_series(checkpoint *c, tsdb_record_reader *r, sx_error *err)
{
    tsdb_record_writer w;
    uint64_t ref;
    tsdb_labels labels;
    sx_status status;
    tsdb_record_begin(&w, TSDB_RECORD_SERIES, &c->record);
    while ((status = tsdb_record_next_series(r, &c->arena, &ref, &labels, err)) == SX_OK) {
        tsdb_ref ours = living(c, ref);
        if (ours) /* under a new reference it is logged again with its next sample */
            tsdb_record_series(&w, ours, labels);
        sx_arena_reset(&c->arena);
    }
    return status;
}

/* The version that the log's packing asks for (db.h), whatever it was before. */
static tsdb_record_kind samples_kind(const checkpoint *c, tsdb_record_reader r)
{
    uint64_t ref;
    int64_t t, start;
    double v;
    if (tsdb_wal_packing_of(c->to) == TSDB_WAL_ZSTD)
        return TSDB_RECORD_SAMPLES_V2;
    if (r.kind == TSDB_RECORD_SAMPLES_V2)
        while (tsdb_record_next_sample(&r, &ref, &t, &start, &v, NULL) == SX_OK)
            if (start)
                return TSDB_RECORD_SAMPLES_V2;
    return TSDB_RECORD_SAMPLES;
}

static sx_status filter_samples(checkpoint *c, tsdb_record_reader *r, sx_error *err)
{
    tsdb_record_writer w;
    uint64_t ref;
    int64_t t, start;
    double v;
    sx_status status;
    tsdb_record_begin(&w, samples_kind(c, *r), &c->record);
    while ((status = tsdb_record_next_sample(r, &ref, &t, &start, &v, err)) == SX_OK) {
        tsdb_ref ours = t >= c->t ? living(c, ref) : 0;
        if (ours)
            tsdb_record_sample(&w, ours, t, start, v);
    }
    return status;
}

static sx_status filter_histograms(checkpoint *c, tsdb_record_reader *r, sx_error *err)
{
    tsdb_record_writer w;
    uint64_t ref;
    int64_t t, start;
    bool integer;
    sx_str encoded;
    sx_status status;
    tsdb_record_begin(&w, r->kind, &c->record);
    while ((status = tsdb_record_next_histogram(r, &ref, &t, &start, &integer, &encoded, err)) ==
           SX_OK) {
        tsdb_ref ours = t >= c->t ? living(c, ref) : 0;
        if (ours)
            tsdb_record_histogram(&w, ours, t, start, encoded);
    }
    return status;
}

static sx_status filter_rest(checkpoint *c, tsdb_record_reader *r, sx_error *err)
{
    tsdb_record_writer w;
    uint64_t ref;
    int64_t t, max_t;
    double v;
    tsdb_labels labels;
    tsdb_metadata m;
    tsdb_ref ours;
    sx_status status;
    tsdb_record_begin(&w, r->kind, &c->record);
    if (r->kind == TSDB_RECORD_TOMBSTONES) {
        while ((status = tsdb_record_next_tombstone(r, &ref, &t, &max_t, err)) == SX_OK)
            if (max_t >= c->t && (ours = living(c, ref)))
                tsdb_record_tombstone(&w, ours, t, max_t);
    } else if (r->kind == TSDB_RECORD_EXEMPLARS) {
        while ((status = tsdb_record_next_exemplar(r, &c->arena, &ref, &t, &v, &labels, err)) ==
               SX_OK)
            if (t >= c->t && (ours = living(c, ref)))
                tsdb_record_exemplar(&w, ours, t, v, labels);
    } else {
        while ((status = tsdb_record_next_metadata(r, &ref, &m, err)) == SX_OK)
            if ((ours = living(c, ref)))
                tsdb_record_metadata(&w, ours, &m);
    }
    return status;
}

static sx_status filter_record(checkpoint *c, sx_str record, sx_error *err)
{
    tsdb_record_reader r;
    sx_status status = tsdb_record_open(&r, record, err);
    if (status != SX_OK)
        return status == SX_ENOMEM ? status : SX_OK; /* damage was counted when it was replayed */
    switch (r.kind) {
    case TSDB_RECORD_SERIES:
        status = filter_series(c, &r, err);
        break;
    case TSDB_RECORD_SAMPLES:
    case TSDB_RECORD_SAMPLES_V2:
        status = filter_samples(c, &r, err);
        break;
    case TSDB_RECORD_TOMBSTONES:
    case TSDB_RECORD_EXEMPLARS:
    case TSDB_RECORD_METADATA:
        status = filter_rest(c, &r, err);
        break;
    case TSDB_RECORD_MMAP_MARKERS:
        return SX_OK;
    default:
        status = filter_histograms(c, &r, err);
    }
    sx_arena_reset(&c->arena);
    return status == SX_ENOMEM ? status : keep_record(c, err);
}

static sx_status filter_segments(checkpoint *c, const char *dir, uint32_t first, uint32_t last,
                                 sx_error *err)
{
    tsdb_wal_reader reader;
    sx_str record;
    sx_status status = tsdb_wal_reader_open(&reader, dir, first, last, err);
    while (status == SX_OK) {
        status = tsdb_wal_next(&reader, &record, err);
        if (status == SX_OK)
            status = filter_record(c, record, err);
    }
    tsdb_wal_reader_close(&reader);
    return status == SX_END ? SX_OK : status;
}

/* Everything that is kept, into `path`, durably. */
static sx_status write_checkpoint(checkpoint *c, const char *dir, const char *path,
                                  const tsdb_wal_range *range, uint32_t upto, sx_error *err)
{
    tsdb_wal_options options = {.segment_bytes = c->db->options.wal_segment_bytes,
                                .packing = c->db->options.wal_packing,
                                .fsync = TSDB_FSYNC_INTERVAL};
    tsdb_wal_range inner = {.first = 1};
    char old[TSDB_PATH_BYTES + 32];
    sx_status status = tsdb_folder_remove(path, err); /* of an attempt before */
    if (status == SX_OK || status == SX_ENOTFOUND)    /* nothing may be left to write */
        status = sx_folder_make(path, err);
    if (status == SX_OK)
        status = tsdb_wal_open(path, 0, &options, &c->to, err);
    if (status != SX_OK)
        return status;
    snprintf(old, sizeof old, "%s/checkpoint.%08u", dir, range->checkpoint);
    if (range->has_checkpoint)
        status = tsdb_wal_list(old, &inner, err);
    if (status == SX_OK && inner.first <= inner.last)
        status = filter_segments(c, old, inner.first, inner.last, err);
    uint32_t first = range->first;
    if (range->has_checkpoint && first <= range->checkpoint)
        first = range->checkpoint + 1;
    if (status == SX_OK && first <= upto)
        status = filter_segments(c, dir, first, upto, err);
    if (status == SX_OK)
        status = write_batch(c, err);
    uint32_t ended;
    if (status == SX_OK)
        status = tsdb_wal_cut(c->to, &ended, err); /* synced with it */
    tsdb_wal_close(c->to);
    c->to = NULL;
    return status == SX_OK ? sx_folder_sync(path, err) : status;
}

static sx_status checkpoint_log(tsdb *db, const char *name, uint32_t upto, int64_t t, sx_error *err)
{
    char dir[TSDB_PATH_BYTES], making[TSDB_PATH_BYTES + 40], made[TSDB_PATH_BYTES + 32];
    tsdb_wal_range range;
    checkpoint c = {.db = db, .t = t};
    sx_status status = tsdb_path(db, name, dir, err);
    if (status == SX_OK)
        status = tsdb_wal_list(dir, &range, err);
    if (status != SX_OK || range.first > range.last || upto < range.first)
        return status;
    snprintf(made, sizeof made, "%s/checkpoint.%08u", dir, upto);
    snprintf(making, sizeof making, "%s.tmp", made);
    sx_buf_init(&c.record, 0);
    sx_arena_init(&c.arena, 0, 0);
    tsdb_wal_batch_init(&c.batch);
    status = write_checkpoint(&c, dir, making, &range, upto, err);
    if (status == SX_OK)
        status = sx_file_rename(making, made, err);
    if (status == SX_OK)
        status = sx_folder_sync(dir, err);
    if (status == SX_OK)
        status = tsdb_wal_remove(dir, upto + 1, upto, err);
    tsdb_wal_batch_done(&c.batch);
    sx_arena_done(&c.arena);
    sx_buf_done(&c.record);
    return status;
}

sx_status tsdb_truncate(tsdb *db, int64_t t, uint32_t late_end, sx_error *err)
{
    uint32_t ended, end;
    atomic_store(&db->floor_t, t);
    pthread_rwlock_wrlock(&db->truncation);
    tsdb_head_truncate(db->head, t);
    /* Between batches: every record of the ended segments is in the head by now. */
    sx_status status = tsdb_wal_cut(db->wal, &ended, err);
    end = tsdb_wal_segment(db->wal);
    pthread_rwlock_unlock(&db->truncation);
    if (status == SX_OK)
        status = tsdb_wal_begin(db->wal, err);
    if (status == SX_OK && end > 0)
        status = checkpoint_log(db, "wal", end - 1, t, err);
    if (status == SX_OK && late_end > 0)
        status = tsdb_wal_begin(db->wbl, err);
    if (status == SX_OK && late_end > 0)
        status = checkpoint_log(db, "wbl", late_end - 1, t, err);
    if (status == SX_OK)
        tsdb_ref_map_done(&db->refs); /* the logs speak of the head's references alone now */
    tsdb_wal_recount(db->wal);
    tsdb_wal_recount(db->wbl);
    db->image.wanted = true; /* the last one speaks of a log that is no more */
    return status;
}

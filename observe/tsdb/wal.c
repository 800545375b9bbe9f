/* wal.c - the log written; wal_read.c reads it. See wal.h. */
#include "observe/tsdb/wal.h"

#include <stdio.h>

#include <sextant/compress.h>
#include <sextant/hash.h>
#include <sextant/mem.h>

enum { FULL = 1, FIRST = 2, MIDDLE = 3, LAST = 4, SNAPPY = 8, ZSTD = 16, PATH_BYTES = 4096 };
enum { COMPRESS_LEAST = 64 }; /* shorter records only grow */

struct tsdb_wal {
    char *dir;
    tsdb_wal_options options;
    pthread_mutex_t lock;     /* of all below */
    uint32_t segment;         /* being written, or the next */
    bool open;                /* writer has the segment */
    bool begun;               /* the segment's file is there */
    bool dirty;               /* its end may hold bytes that no one was promised */
    uint64_t offset;          /* of the segment: what is known to be in it */
    uint64_t before_bytes;    /* of earlier segments */
    uint64_t failures;        /* writes that failed: the disk is full, mostly */
    uint64_t written, synced; /* bytes of all time: what group commit compares */
    sx_writer writer;
    sx_buf frames;
    pthread_mutex_t sync_lock; /* one waits for the disk, those who wait here ride along */
};

static sx_status segment_path(const char *dir, uint32_t segment, char path[PATH_BYTES],
                              sx_error *err)
{
    int n = snprintf(path, PATH_BYTES, "%s/%08u", dir, segment);
    return n > 0 && n < PATH_BYTES ? SX_OK : sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
}

sx_status tsdb_wal_open(const char *dir, uint32_t segment, const tsdb_wal_options *options,
                        tsdb_wal **out, sx_error *err)
{
    tsdb_wal_range range;
    sx_status status = sx_folder_make(dir, err);
    if (status == SX_OK)
        status = tsdb_wal_list(dir, &range, err);
    if (status != SX_OK)
        return status;
    tsdb_wal *w = sx_calloc(1, sizeof *w);
    size_t len = strlen(dir);
    char *copy = sx_alloc(len + 1);
    if (!w || !copy) {
        sx_free(w);
        sx_free(copy);
        return sx_fail_memory(err, "write-ahead log");
    }
    memcpy(copy, dir, len + 1);
    w->dir = copy;
    w->options = *options;
    if (w->options.segment_bytes == 0)
        w->options.segment_bytes = 128 << 20;
    w->segment = segment;
    w->before_bytes = range.bytes;
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->sync_lock, NULL);
    sx_buf_init(&w->frames, 0);
    *out = w;
    return SX_OK;
}

/* --- Batches. */

void tsdb_wal_batch_init(tsdb_wal_batch *b)
{
    *b = (tsdb_wal_batch){0};
    sx_buf_init(&b->bytes, 0);
    sx_buf_init(&b->packed, 0);
}

void tsdb_wal_batch_done(tsdb_wal_batch *b)
{
    sx_buf_done(&b->bytes);
    sx_buf_done(&b->packed);
    codec_records_done(&b->zstd);
    sx_free(b->ends);
    sx_free(b->kinds);
    *b = (tsdb_wal_batch){0};
}

void tsdb_wal_batch_clear(tsdb_wal_batch *b)
{
    sx_buf_clear(&b->bytes);
    b->count = 0;
}

tsdb_wal_packing tsdb_wal_packing_of(const tsdb_wal *w)
{
    return w->options.packing;
}

sx_status tsdb_wal_batch_add(tsdb_wal_batch *b, const tsdb_wal *w, sx_str record, sx_error *err)
{
    uint8_t kind = 0;
    sx_str bytes = record;
    tsdb_wal_packing packing = w->options.packing;
    if (packing != TSDB_WAL_PLAIN && record.len >= COMPRESS_LEAST) {
        sx_buf_clear(&b->packed);
        sx_status status =
            packing == TSDB_WAL_ZSTD
                ? codec_records_pack(&b->zstd, record, &b->packed, err)
                : sx_compress(SX_CODEC_SNAPPY, record, SX_LEVEL_DEFAULT, &b->packed, err);
        if (status != SX_OK)
            return status;
        if (b->packed.len < record.len) {
            kind = packing == TSDB_WAL_ZSTD ? ZSTD : SNAPPY;
            bytes = sx_buf_view(&b->packed);
        }
    }
    if (!sx_grow(&b->ends, &b->ends_cap, b->count + 1, sizeof *b->ends) ||
        !sx_grow(&b->kinds, &b->kinds_cap, b->count + 1, sizeof *b->kinds))
        return sx_fail_memory(err, "records for the log");
    sx_buf_str(&b->bytes, bytes);
    b->ends[b->count] = b->bytes.len;
    b->kinds[b->count++] = kind;
    return sx_buf_status(&b->bytes, "records for the log", err);
}

/* --- Framing, under the lock. `offset` is where the first byte will be. */

static void pad_page(sx_buf *out, uint64_t *offset)
{
    static const char ZEROS[TSDB_WAL_PAGE_BYTES];
    size_t used = *offset % TSDB_WAL_PAGE_BYTES;
    if (used == 0)
        return;
    sx_buf_bytes(out, ZEROS, TSDB_WAL_PAGE_BYTES - used);
    *offset += TSDB_WAL_PAGE_BYTES - used;
}

static void frame_record(sx_buf *out, uint64_t *offset, sx_str record, uint8_t kind)
{
    bool first = true;
    do {
        size_t left = TSDB_WAL_PAGE_BYTES - *offset % TSDB_WAL_PAGE_BYTES;
        /* A fragment without bytes would do no harm, but no other writer makes one either. */
        if (left <= TSDB_WAL_FRAME_BYTES) {
            pad_page(out, offset);
            left = TSDB_WAL_PAGE_BYTES;
        }
        sx_str part = sx_str_first(record, left - TSDB_WAL_FRAME_BYTES);
        record = sx_str_from(record, part.len);
        bool last = record.len == 0;
        uint8_t type = (uint8_t)((first ? (last ? FULL : FIRST) : (last ? LAST : MIDDLE)) | kind);
        uint32_t crc = sx_crc32c(0, part.data, part.len);
        uint8_t frame[TSDB_WAL_FRAME_BYTES] = {
            type,
            (uint8_t)(part.len >> 8),
            (uint8_t)part.len,
            (uint8_t)(crc >> 24),
            (uint8_t)(crc >> 16),
            (uint8_t)(crc >> 8),
            (uint8_t)crc,
        };
        sx_buf_bytes(out, frame, sizeof frame);
        sx_buf_str(out, part);
        *offset += sizeof frame + part.len;
        first = false;
    } while (record.len > 0);
}

/* --- The file, under the lock. */

/* The file as it is known to be, ready to be written to. */
static sx_status ready(tsdb_wal *w, sx_error *err)
{
    if (w->open)
        return SX_OK;
    char path[PATH_BYTES];
    sx_status status = segment_path(w->dir, w->segment, path, err);
    if (status == SX_OK && w->dirty) {
        status = sx_file_truncate(path, w->offset, err);
        if (status == SX_OK)
            w->dirty = false;
    }
    if (status == SX_OK)
        status = sx_writer_open(&w->writer, path, w->begun ? SX_WRITER_APPEND : SX_WRITER_NEW, 4096,
                                err);
    if (status != SX_OK)
        return status;
    w->open = true;
    bool made = !w->begun;
    w->begun = true;
    if (made && w->options.fsync != TSDB_FSYNC_NONE)
        status = sx_folder_sync(w->dir, err);
    return status;
}

static void close_broken(tsdb_wal *w)
{
    if (w->open)
        sx_writer_abandon(&w->writer);
    w->open = false;
    w->dirty = w->begun;
}

/* Puts bytes at the segment's end, all or none. */
static sx_status put_bytes(tsdb_wal *w, sx_str bytes, sx_error *err)
{
    sx_status status = ready(w, err);
    if (status == SX_OK)
        status = sx_writer_bytes(&w->writer, bytes.data, bytes.len, err);
    if (status == SX_OK)
        status = sx_writer_flush(&w->writer, err);
    if (status != SX_OK) {
        w->failures++;
        close_broken(w);
        sx_error ignored;
        if (w->dirty && ready(w, &ignored) != SX_OK) /* else before the next batch */
            close_broken(w);
        return sx_error_prefix(err, status, "write-ahead log");
    }
    w->offset += bytes.len;
    w->written += bytes.len;
    return SX_OK;
}

static sx_status sync_locked(tsdb_wal *w, sx_error *err)
{
    if (!w->open || w->synced == w->written)
        return SX_OK;
    sx_status status = sx_writer_sync(&w->writer, err);
    if (status == SX_OK)
        w->synced = w->written;
    else /* what the system still has may be lost, but it is not written twice */
        close_broken(w);
    return status;
}

static sx_status cut_locked(tsdb_wal *w, sx_error *err)
{
    if (!w->begun)
        return SX_OK;
    uint64_t offset = w->offset;
    sx_buf_clear(&w->frames);
    pad_page(&w->frames, &offset);
    sx_status status = sx_buf_status(&w->frames, "page of the log", err);
    if (status == SX_OK)
        status = put_bytes(w, sx_buf_view(&w->frames), err);
    if (status == SX_OK && w->options.fsync != TSDB_FSYNC_NONE)
        status = sync_locked(w, err);
    if (status == SX_OK && w->open) {
        w->open = false;
        status = sx_writer_close(&w->writer, err);
    }
    if (status != SX_OK)
        return status;
    w->before_bytes += w->offset;
    w->segment++;
    w->offset = 0;
    w->begun = w->dirty = false;
    return SX_OK;
}

static sx_status write_locked(tsdb_wal *w, const tsdb_wal_batch *b, sx_error *err)
{
    size_t frames = b->count + b->bytes.len / (TSDB_WAL_PAGE_BYTES - TSDB_WAL_FRAME_BYTES) + 1;
    uint64_t most = b->bytes.len + frames * TSDB_WAL_FRAME_BYTES * 2;
    if (w->offset && w->offset + most > w->options.segment_bytes) {
        sx_status status = cut_locked(w, err);
        if (status != SX_OK)
            return status;
    }
    uint64_t offset = w->offset;
    size_t from = 0;
    sx_buf_clear(&w->frames);
    for (size_t i = 0; i < b->count; i++) {
        frame_record(&w->frames, &offset, sx_str_of(b->bytes.data + from, b->ends[i] - from),
                     b->kinds[i]);
        from = b->ends[i];
    }
    sx_status status = sx_buf_status(&w->frames, "records for the log", err);
    return status == SX_OK ? put_bytes(w, sx_buf_view(&w->frames), err) : status;
}

sx_status tsdb_wal_write(tsdb_wal *w, const tsdb_wal_batch *b, sx_error *err)
{
    if (b->count == 0)
        return SX_OK;
    pthread_mutex_lock(&w->lock);
    sx_status status = write_locked(w, b, err);
    uint64_t mine = w->written;
    pthread_mutex_unlock(&w->lock);
    if (status != SX_OK || w->options.fsync != TSDB_FSYNC_ALWAYS)
        return status;

    pthread_mutex_lock(&w->sync_lock);
    pthread_mutex_lock(&w->lock);
    if (w->synced < mine)
        status = sync_locked(w, err);
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_unlock(&w->sync_lock);
    return status;
}

sx_status tsdb_wal_sync(tsdb_wal *w, sx_error *err)
{
    pthread_mutex_lock(&w->lock);
    sx_status status = sync_locked(w, err);
    pthread_mutex_unlock(&w->lock);
    return status;
}

sx_status tsdb_wal_cut(tsdb_wal *w, uint32_t *ended, sx_error *err)
{
    pthread_mutex_lock(&w->lock);
    sx_status status = cut_locked(w, err);
    *ended = w->segment ? w->segment - 1 : 0;
    pthread_mutex_unlock(&w->lock);
    return status;
}

sx_status tsdb_wal_begin(tsdb_wal *w, sx_error *err)
{
    pthread_mutex_lock(&w->lock);
    sx_status status = ready(w, err);
    if (status != SX_OK)
        close_broken(w);
    pthread_mutex_unlock(&w->lock);
    return status;
}

uint64_t tsdb_wal_bytes(tsdb_wal *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t bytes = w->before_bytes + w->offset;
    pthread_mutex_unlock(&w->lock);
    return bytes;
}

uint64_t tsdb_wal_failures(tsdb_wal *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t failures = w->failures;
    pthread_mutex_unlock(&w->lock);
    return failures;
}

void tsdb_wal_recount(tsdb_wal *w)
{
    tsdb_wal_range range;
    pthread_mutex_lock(&w->lock);
    if (tsdb_wal_list(w->dir, &range, NULL) == SX_OK) /* else the old figure stands */
        w->before_bytes = range.bytes > w->offset ? range.bytes - w->offset : 0;
    pthread_mutex_unlock(&w->lock);
}

uint32_t tsdb_wal_segment(tsdb_wal *w)
{
    pthread_mutex_lock(&w->lock);
    uint32_t segment = w->segment;
    pthread_mutex_unlock(&w->lock);
    return segment;
}

void tsdb_wal_place(tsdb_wal *w, uint64_t *segment, uint64_t *offset)
{
    pthread_mutex_lock(&w->lock);
    *segment = w->segment;
    *offset = w->offset;
    pthread_mutex_unlock(&w->lock);
}

uint64_t tsdb_wal_written(tsdb_wal *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t bytes = w->written;
    pthread_mutex_unlock(&w->lock);
    return bytes;
}

void tsdb_wal_close(tsdb_wal *w)
{
    if (!w)
        return;
    if (w->open) {
        if (w->options.fsync != TSDB_FSYNC_NONE)
            (void)tsdb_wal_sync(w, NULL);
        if (w->open)
            (void)sx_writer_close(&w->writer, NULL);
    }
    sx_buf_done(&w->frames);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->sync_lock);
    sx_free(w->dir);
    sx_free(w);
}

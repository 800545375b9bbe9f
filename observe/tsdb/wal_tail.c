/* wal_tail.c - a log followed while it is written. See wal.h.
 *
 * The window begins with the page of the next record and is read anew when it is used up. A record
 * that is not whole is looked at again with the next window: it may be one that is being written just
 * now. Only when the segment has a successor is what is left of it damage. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include <sextant/mem.h>

#include "observe/tsdb/wal.h"

enum { WINDOW_BYTES = 1 << 20, PATH_BYTES = 4096 };

sx_status tsdb_wal_tail_open(tsdb_wal_tail *t, const char *dir, uint32_t segment, uint64_t offset,
                             sx_error *err)
{
    *t = (tsdb_wal_tail){.segment = segment, .offset = offset, .window_bytes = WINDOW_BYTES};
    size_t len = strlen(dir);
    sx_buf_init(&t->window, 0);
    t->dir = sx_alloc(len + 1);
    if (!t->dir)
        return sx_fail_memory(err, "log");
    memcpy(t->dir, dir, len + 1);
    return tsdb_wal_reader_open(&t->reader, dir, 0, 0, err);
}

static void close_segment(tsdb_wal_tail *t)
{
    if (t->open)
        sx_reader_close(&t->file);
    t->open = false;
    t->reader.open = false;
    t->window_bytes = WINDOW_BYTES;
    sx_buf_clear(&t->window);
}

void tsdb_wal_tail_close(tsdb_wal_tail *t)
{
    if (!t->dir)
        return;
    close_segment(t);
    tsdb_wal_reader_close(&t->reader);
    sx_buf_done(&t->window);
    sx_free(t->dir);
    *t = (tsdb_wal_tail){0};
}

static sx_status path_of(const tsdb_wal_tail *t, uint32_t segment, char path[PATH_BYTES],
                         sx_error *err)
{
    int n = snprintf(path, PATH_BYTES, "%s/%08u", t->dir, segment);
    return n > 0 && n < PATH_BYTES ? SX_OK : sx_fail(err, SX_ELIMIT, "path too long: %s", t->dir);
}

/* The segment is not there: it is to come, or was removed unread. SX_END: it is to come. */
static sx_status skip_missing(tsdb_wal_tail *t, sx_error *err)
{
    tsdb_wal_range range;
    sx_status status = tsdb_wal_list(t->dir, &range, err);
    if (status != SX_OK)
        return status;
    if (range.first > range.last || range.last < t->segment)
        return SX_END;
    uint32_t next = range.first > t->segment ? range.first : t->segment + 1;
    if (t->segment || t->offset)
        t->lost += next - t->segment;
    t->segment = next;
    t->offset = 0;
    return SX_OK;
}

static sx_status open_segment(tsdb_wal_tail *t, sx_error *err)
{
    for (;;) {
        char path[PATH_BYTES];
        sx_status status = path_of(t, t->segment, path, err);
        if (status == SX_OK)
            status = sx_reader_open(&t->file, path, err);
        if (status == SX_OK) {
            t->open = true;
            t->loaded_at = UINT64_MAX;
            return SX_OK;
        }
        if (status == SX_ENOTFOUND)
            status = skip_missing(t, err);
        if (status != SX_OK)
            return status;
    }
}

static sx_status look(const tsdb_wal_tail *t, struct stat *st, sx_error *err)
{
    return fstat(t->file.fd, st) == 0 ? SX_OK
                                      : sx_fail_os(err, errno, "cannot look at %s", t->file.path);
}

/* Whether the segment has been left by its writer: it has a successor, or was removed. */
static sx_status has_ended(const tsdb_wal_tail *t, const struct stat *st, bool *ended,
                           sx_error *err)
{
    char path[PATH_BYTES];
    sx_file_info info;
    *ended = st->st_nlink == 0;
    sx_status status = path_of(t, t->segment + 1, path, err);
    if (status == SX_OK && !*ended) {
        status = sx_file_stat(path, &info, err);
        *ended = status == SX_OK;
    }
    return status == SX_ENOTFOUND ? SX_OK : status;
}

/* SX_END: nothing new is in the segment. A window without a whole record grows, as its record is
 * longer than it, or damage is. */
static sx_status load(tsdb_wal_tail *t, sx_error *err)
{
    struct stat st;
    sx_status status = look(t, &st, err);
    if (status != SX_OK)
        return status;
    uint64_t size = (uint64_t)st.st_size;
    if (size < t->offset)
        t->offset = size; /* the writer took back what it could not write whole */
    if (size == t->offset)
        return SX_END;
    uint64_t base = t->offset - t->offset % TSDB_WAL_PAGE_BYTES;
    bool moved = t->loaded_at != t->offset;
    if (!moved && t->base + t->window.len >= size)
        return SX_END;
    if (moved)
        t->window_bytes = WINDOW_BYTES;
    else if (t->window.len == t->window_bytes)
        t->window_bytes *= 2;
    uint64_t len = size - base < t->window_bytes ? size - base : t->window_bytes;
    sx_buf_clear(&t->window);
    char *to = sx_buf_reserve(&t->window, len);
    if (!to)
        return sx_fail_memory(err, "window of the log");
    t->reader.open = false;
    status = sx_reader_at(&t->file, base, to, len, err);
    if (status != SX_OK)
        return status == SX_ECORRUPT ? SX_END : status; /* cut back meanwhile */
    t->window.len = len;
    t->base = base;
    t->loaded_at = t->offset;
    t->reader.map = (sx_mapping){t->window.data, len};
    t->reader.open = true;
    t->reader.in_record = false;
    t->reader.at = t->reader.good_end = t->offset - base;
    return SX_OK;
}

/* At the end of what is there: on to the next segment, or SX_END. */
static sx_status next_segment(tsdb_wal_tail *t, sx_error *err)
{
    struct stat st;
    bool ended = false;
    sx_status status = look(t, &st, err);
    if (status == SX_OK)
        status = has_ended(t, &st, &ended, err);
    if (status != SX_OK || !ended)
        return status == SX_OK ? SX_END : status;
    status = load(t, err); /* what was written between the look and the successor's birth */
    if (status != SX_END)
        return status;
    if (look(t, &st, err) == SX_OK && (uint64_t)st.st_size > t->offset)
        t->damaged++;
    close_segment(t);
    t->segment++;
    t->offset = 0;
    return SX_OK;
}

sx_status tsdb_wal_tail_next(tsdb_wal_tail *t, sx_str *record, sx_error *err)
{
    for (;;) {
        sx_status status = t->open ? SX_OK : open_segment(t, err);
        if (status != SX_OK)
            return status;
        if (t->reader.open) {
            status = tsdb_wal_next(&t->reader, record, err);
            t->offset = t->base + t->reader.good_end;
            if (status != SX_END)
                return status;
        }
        status = load(t, err);
        if (status == SX_END)
            status = next_segment(t, err);
        if (status != SX_OK)
            return status;
    }
}

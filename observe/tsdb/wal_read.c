/* wal_read.c - the log read: whole records out of pages, damage passed over. See wal.h. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <sextant/compress.h>
#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/tsdb/block.h"
#include "observe/tsdb/wal.h"

enum { FULL = 1, FIRST = 2, MIDDLE = 3, LAST = 4, SNAPPY = 8, ZSTD = 16, PATH_BYTES = 4096 };

static sx_status segment_path(const char *dir, uint32_t segment, char path[PATH_BYTES],
                              sx_error *err)
{
    int n = snprintf(path, PATH_BYTES, "%s/%08u", dir, segment);
    return n > 0 && n < PATH_BYTES ? SX_OK : sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
}

/* A segment's name is digits alone, a checkpoint's `checkpoint.` and digits. */
static bool parse_name(sx_str name, bool *is_checkpoint, uint32_t *number)
{
    uint64_t n;
    sx_str prefix = SX_STR("checkpoint.");
    *is_checkpoint = sx_str_starts(name, prefix);
    if (*is_checkpoint)
        name = sx_str_from(name, prefix.len);
    if (name.len < 6 || !sx_str_to_u64(name, &n) || n > UINT32_MAX)
        return false;
    *number = (uint32_t)n;
    return true;
}

static sx_status list_names(const char *dir, sx_arena *arena, sx_str **names, size_t *count,
                            sx_error *err)
{
    sx_status status = sx_folder_list(dir, 0, arena, names, count, err);
    if (status == SX_ENOTFOUND) {
        *count = 0;
        return SX_OK;
    }
    return status;
}

sx_status tsdb_wal_list(const char *dir, tsdb_wal_range *out, sx_error *err)
{
    sx_arena arena;
    sx_str *names;
    size_t count;
    sx_arena_init(&arena, 0, 0);
    *out = (tsdb_wal_range){.first = 1};
    bool any = false;
    sx_status status = list_names(dir, &arena, &names, &count, err);
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        bool is_checkpoint;
        uint32_t number;
        if (!parse_name(names[i], &is_checkpoint, &number))
            continue;
        if (is_checkpoint) {
            if (!out->has_checkpoint || number > out->checkpoint)
                out->checkpoint = number;
            out->has_checkpoint = true;
            continue;
        }
        sx_file_info info;
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "%s/%.*s", dir, SX_ARG(names[i]));
        status = sx_file_stat(path, &info, err);
        out->bytes += info.bytes;
        out->first = !any || number < out->first ? number : out->first;
        out->last = !any || number > out->last ? number : out->last;
        any = true;
    }
    sx_arena_done(&arena);
    return status;
}

sx_status tsdb_wal_remove(const char *dir, uint32_t segment, uint32_t checkpoint, sx_error *err)
{
    sx_arena arena;
    sx_str *names;
    size_t count;
    sx_arena_init(&arena, 0, 0);
    sx_status status = list_names(dir, &arena, &names, &count, err);
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        bool is_checkpoint;
        uint32_t number;
        if (!parse_name(names[i], &is_checkpoint, &number) ||
            number >= (is_checkpoint ? checkpoint : segment))
            continue;
        sx_str path = sx_arena_printf(&arena, "%s/%.*s", dir, SX_ARG(names[i]));
        if (!path.data)
            status = sx_fail_memory(err, "path");
        else
            status =
                is_checkpoint ? tsdb_folder_remove(path.data, err) : sx_file_remove(path.data, err);
    }
    sx_arena_done(&arena);
    return status;
}

sx_status tsdb_wal_reader_open(tsdb_wal_reader *r, const char *dir, uint32_t first, uint32_t last,
                               sx_error *err)
{
    *r = (tsdb_wal_reader){.segment = first, .last = last};
    size_t len = strlen(dir);
    sx_buf_init(&r->record, 0);
    sx_buf_init(&r->plain, 0);
    r->dir = sx_alloc(len + 1);
    if (!r->dir)
        return sx_fail_memory(err, "log");
    memcpy(r->dir, dir, len + 1);
    return SX_OK;
}

sx_status tsdb_wal_reader_open_at(tsdb_wal_reader *r, const char *dir, uint32_t first,
                                  uint64_t offset, uint32_t last, sx_error *err)
{
    sx_status status = tsdb_wal_reader_open(r, dir, first, last, err);
    r->begin_at = offset;
    return status;
}

void tsdb_wal_reader_close(tsdb_wal_reader *r)
{
    if (r->open)
        sx_mapping_close(&r->map);
    sx_buf_done(&r->record);
    sx_buf_done(&r->plain);
    codec_records_done(&r->zstd);
    sx_free(r->dir);
    *r = (tsdb_wal_reader){0};
}

/* What is here cannot be read: count it once and go to the next page. */
static void damaged(tsdb_wal_reader *r)
{
    r->corruptions++;
    r->in_record = false;
    uint64_t next = (r->at / TSDB_WAL_PAGE_BYTES + 1) * TSDB_WAL_PAGE_BYTES;
    r->at = next < r->map.len ? next : r->map.len;
}

static bool all_zero(const uint8_t *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

typedef enum fragment_result { FRAGMENT, NO_MORE, SKIPPED } fragment_result;

/* The next fragment of the segment; SKIPPED: padding or damage was passed over. */
static fragment_result next_fragment(tsdb_wal_reader *r, uint8_t *type, sx_str *part)
{
    const uint8_t *data = (const uint8_t *)r->map.data;
    uint64_t len = r->map.len;
    if (r->at >= len)
        return NO_MORE;
    uint64_t page_end = (r->at / TSDB_WAL_PAGE_BYTES + 1) * TSDB_WAL_PAGE_BYTES;
    uint64_t end = page_end < len ? page_end : len;
    uint64_t left = end - r->at;
    if ((data[r->at] & 7) == 0 || left < TSDB_WAL_FRAME_BYTES) {
        if (!all_zero(data + r->at, left)) {
            damaged(r);
            return SKIPPED;
        }
        if (!r->in_record && r->good_end == r->at)
            r->good_end = end; /* padding behind a whole record is as good as it */
        r->at = end;
        return SKIPPED;
    }
    uint32_t size = (uint32_t)data[r->at + 1] << 8 | data[r->at + 2];
    uint32_t crc = (uint32_t)data[r->at + 3] << 24 | (uint32_t)data[r->at + 4] << 16 |
                   (uint32_t)data[r->at + 5] << 8 | data[r->at + 6];
    if (size > left - TSDB_WAL_FRAME_BYTES ||
        sx_crc32c(0, data + r->at + TSDB_WAL_FRAME_BYTES, size) != crc) {
        damaged(r);
        return SKIPPED;
    }
    *type = data[r->at];
    *part = sx_str_of(data + r->at + TSDB_WAL_FRAME_BYTES, size);
    r->at += TSDB_WAL_FRAME_BYTES + size;
    return FRAGMENT;
}

/* Plain bytes of a whole record. */
static sx_status unpack(tsdb_wal_reader *r, uint8_t packing, sx_str bytes, sx_str *record,
                        sx_error *err)
{
    *record = bytes;
    if (!packing)
        return SX_OK;
    sx_buf_clear(&r->plain);
    sx_status status =
        packing == SNAPPY
            ? sx_decompress(SX_CODEC_SNAPPY, bytes, TSDB_WAL_RECORD_BYTES_MAX, &r->plain, err)
            : codec_records_unpack(&r->zstd, bytes, TSDB_WAL_RECORD_BYTES_MAX, &r->plain, err);
    *record = sx_buf_view(&r->plain);
    return status;
}

/* The next record of the mapped segment, SX_END at its end. */
static sx_status next_in_segment(tsdb_wal_reader *r, sx_str *record, sx_error *err)
{
    uint8_t type;
    sx_str part;
    for (;;) {
        fragment_result result = next_fragment(r, &type, &part);
        if (result == SKIPPED)
            continue;
        if (result == NO_MORE) {
            if (r->in_record) { /* records end with their segment */
                r->in_record = false;
                r->corruptions++;
            }
            return SX_END;
        }
        uint8_t step = type & 7, packing = type & (SNAPPY | ZSTD);
        bool begins = step == FULL || step == FIRST;
        if (step > LAST || packing == (SNAPPY | ZSTD) || begins == r->in_record) {
            r->corruptions++;
            r->in_record = false;
            if (!begins || step > LAST || packing == (SNAPPY | ZSTD))
                continue; /* the rest of a record whose beginning was lost */
        }
        if (begins) {
            r->packing = packing;
            sx_buf_clear(&r->record);
        }
        r->in_record = step == FIRST || step == MIDDLE;
        if (step != FULL) {
            if (r->record.len + part.len > TSDB_WAL_RECORD_BYTES_MAX) {
                damaged(r);
                continue;
            }
            sx_buf_str(&r->record, part);
            if (r->record.failed)
                return sx_fail_memory(err, "record of the log");
            if (step != LAST)
                continue;
            part = sx_buf_view(&r->record);
        }
        sx_status status = unpack(r, r->packing, part, record, err);
        if (status == SX_ENOMEM)
            return status;
        if (status != SX_OK) {
            r->corruptions++;
            continue;
        }
        r->good_end = r->at;
        r->records++;
        return SX_OK;
    }
}

sx_status tsdb_wal_next(tsdb_wal_reader *r, sx_str *record, sx_error *err)
{
    for (;;) {
        if (!r->open) {
            if (r->segment > r->last)
                return SX_END;
            char path[PATH_BYTES];
            sx_status status = segment_path(r->dir, r->segment, path, err);
            if (status == SX_OK)
                status = sx_mapping_open(&r->map, path, SX_MAP_SEQUENTIAL, err);
            if (status == SX_ENOTFOUND) { /* a hole: what it held is lost, the rest is not */
                r->corruptions++;
                r->begin_at = 0;
                r->segment++;
                continue;
            }
            if (status != SX_OK)
                return status;
            r->open = true;
            r->at = r->good_end = r->begin_at < r->map.len ? r->begin_at : r->map.len;
            r->begin_at = 0;
        }
        sx_status status = next_in_segment(r, record, err);
        if (status != SX_END)
            return status;
        if (r->segment == r->last)
            return SX_END; /* stays open: good_end is asked for */
        sx_mapping_close(&r->map);
        r->open = false;
        r->segment++;
        r->segments_done++;
    }
}

sx_status tsdb_wal_repair(const char *dir, uint32_t segment, uint64_t good_end, sx_error *err)
{
    char path[PATH_BYTES];
    static const char ZEROS[TSDB_WAL_PAGE_BYTES];
    sx_status status = segment_path(dir, segment, path, err);
    if (status == SX_OK)
        status = sx_file_truncate(path, good_end, err);
    size_t used = good_end % TSDB_WAL_PAGE_BYTES;
    if (status != SX_OK || used == 0)
        return status;
    sx_writer w;
    status = sx_writer_open(&w, path, SX_WRITER_APPEND, 0, err);
    if (status != SX_OK)
        return status;
    status = sx_writer_bytes(&w, ZEROS, TSDB_WAL_PAGE_BYTES - used, err);
    if (status == SX_OK)
        status = sx_writer_sync(&w, err);
    sx_status closed = sx_writer_close(&w, status == SX_OK ? err : NULL);
    return status == SX_OK ? closed : status;
}

/* block_write.c - a block written as a stream; see block.h.
 *
 * The folder grows under its name with .tmp-for-creation behind it, which every start removes. Files
 * are made durable first, then the folders, then the rename, then the folder the block is in: after a
 * crash there is all of it or nothing. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/tsdb/block.h"

enum { PATH_BYTES = 4096, SEGMENT_BUFFER = 1 << 18 };

static char *join_path(const char *dir, const char *name, const char *more)
{
    size_t len = strlen(dir) + strlen(name) + strlen(more) + 2;
    char *path = sx_alloc(len);
    if (path)
        snprintf(path, len, "%s/%s%s", dir, name, more);
    return path;
}

sx_status tsdb_block_writer_open(tsdb_block_writer *w, const char *dir, int64_t now_ms,
                                 uint32_t count, uint64_t bytes, sx_error *err)
{
    char chunks[PATH_BYTES];
    *w = (tsdb_block_writer){.min_t = INT64_MAX, .max_t = INT64_MIN};
    w->segment.fd = w->index.file.fd = -1;
    sx_status status = tsdb_ulid_make(now_ms, w->meta.ulid, err);
    if (status != SX_OK)
        return status;
    w->final = join_path(dir, w->meta.ulid, "");
    w->making = join_path(dir, w->meta.ulid, TSDB_BLOCK_MAKING);
    w->index_path = w->making ? join_path(w->making, "index", "") : NULL;
    if (!w->final || !w->making || !w->index_path)
        return sx_fail_memory(err, "block");
    int n = snprintf(chunks, sizeof chunks, "%s/chunks", w->making);
    if (n <= 0 || n >= PATH_BYTES - 16)
        return sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
    status = sx_folder_make(chunks, err);
    if (status == SX_OK)
        status = tsdb_index_writer_open(&w->index, w->index_path, count, bytes, err);
    return status;
}

sx_status tsdb_block_writer_symbol(tsdb_block_writer *w, sx_str symbol, sx_error *err)
{
    return tsdb_index_writer_symbol(&w->index, symbol, err);
}

static sx_status end_segment(tsdb_block_writer *w, sx_error *err)
{
    if (w->segment.fd < 0)
        return SX_OK;
    sx_status status = sx_writer_sync(&w->segment, err);
    sx_status closed = sx_writer_close(&w->segment, status == SX_OK ? err : NULL);
    w->segment.fd = -1;
    return status == SX_OK ? closed : status;
}

static sx_status begin_segment(tsdb_block_writer *w, sx_error *err)
{
    static const uint8_t HEADER[TSDB_CHUNK_FILE_HEADER] = {0x85, 0xBD, 0x40, 0xDD, 1};
    char path[PATH_BYTES];
    sx_status status = end_segment(w, err);
    if (status != SX_OK)
        return status;
    snprintf(path, sizeof path, "%s/chunks/%06u", w->making, ++w->segments);
    status = sx_writer_open(&w->segment, path, SX_WRITER_NEW, SEGMENT_BUFFER, err);
    if (status != SX_OK)
        return status;
    return sx_writer_bytes(&w->segment, HEADER, sizeof HEADER, err);
}

sx_status tsdb_block_writer_chunk(tsdb_block_writer *w, tsdb_encoding e, sx_str bytes,
                                  int64_t min_t, int64_t max_t, sx_error *err)
{
    uint8_t head[11], sum[4];
    unsigned head_len = 0;
    sx_status status = SX_OK;
    if (w->segment.fd < 0 || w->segment.offset + bytes.len + 16 > TSDB_CHUNK_FILE_BYTES)
        status = begin_segment(w, err);
    if (status == SX_OK &&
        !sx_grow(&w->chunks, &w->chunks_cap, w->chunk_count + 1, sizeof *w->chunks))
        status = sx_fail_memory(err, "block");
    if (status != SX_OK)
        return status;
    uint64_t ref = (uint64_t)(w->segments - 1) << 32 | w->segment.offset;
    for (uint64_t len = bytes.len;; len >>= 7) {
        head[head_len++] = (uint8_t)(len | (len >= 0x80 ? 0x80 : 0));
        if (len < 0x80)
            break;
    }
    head[head_len++] = (uint8_t)e;
    uint32_t crc = sx_crc32c(0, &head[head_len - 1], 1);
    crc = sx_crc32c(crc, bytes.data, bytes.len);
    for (unsigned i = 0; i < 4; i++)
        sum[i] = (uint8_t)(crc >> (24 - 8 * i));
    status = sx_writer_bytes(&w->segment, head, head_len, err);
    if (status == SX_OK)
        status = sx_writer_bytes(&w->segment, bytes.data, bytes.len, err);
    if (status == SX_OK)
        status = sx_writer_bytes(&w->segment, sum, 4, err);
    if (status != SX_OK)
        return status;
    w->chunks[w->chunk_count++] = (tsdb_chunk_meta){ref, min_t, max_t};
    uint32_t samples = tsdb_chunk_count(e, bytes);
    w->meta.samples += samples;
    if (e == TSDB_CHUNK_XOR || e == TSDB_CHUNK_XOR2)
        w->meta.float_samples += samples;
    else
        w->meta.histogram_samples += samples;
    return SX_OK;
}

sx_status tsdb_block_writer_series(tsdb_block_writer *w, const uint32_t *pairs, size_t pair_count,
                                   sx_error *err)
{
    if (w->chunk_count == 0)
        return SX_OK;
    for (size_t i = 0; i < w->chunk_count; i++) {
        w->min_t = w->chunks[i].min_t < w->min_t ? w->chunks[i].min_t : w->min_t;
        w->max_t = w->chunks[i].max_t > w->max_t ? w->chunks[i].max_t : w->max_t;
    }
    w->meta.series++;
    w->meta.chunks += w->chunk_count;
    sx_status status = tsdb_index_writer_series(&w->index, pairs, pair_count, w->chunks,
                                                w->chunk_count, NULL, err);
    w->chunk_count = 0;
    return status;
}

static sx_status write_small(const tsdb_block_writer *w, const char *name, sx_str contents,
                             sx_error *err)
{
    char *path = join_path(w->making, name, "");
    sx_status status = path ? sx_file_replace(path, contents, err) : sx_fail_memory(err, "block");
    sx_free(path);
    return status;
}

static sx_status write_rest(tsdb_block_writer *w, sx_error *err)
{
    char chunks[PATH_BYTES];
    tsdb_stones none = {0};
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_status status = tsdb_block_meta_print(&w->meta, &text, err);
    if (status == SX_OK)
        status = write_small(w, "meta.json", sx_buf_view(&text), err);
    sx_buf_clear(&text);
    if (status == SX_OK)
        status = tsdb_stones_print(&none, &text, err);
    if (status == SX_OK)
        status = write_small(w, "tombstones", sx_buf_view(&text), err);
    snprintf(chunks, sizeof chunks, "%s/chunks", w->making);
    if (status == SX_OK)
        status = sx_folder_sync(chunks, err);
    if (status == SX_OK)
        status = sx_folder_sync(w->making, err);
    sx_buf_done(&text);
    return status;
}

sx_status tsdb_block_writer_end(tsdb_block_writer *w, bool *empty, sx_error *err)
{
    char parent[PATH_BYTES];
    *empty = w->meta.series == 0;
    if (*empty)
        return SX_OK;
    sx_status status = end_segment(w, err);
    if (status == SX_OK)
        status = tsdb_index_writer_end(&w->index, err);
    if (status == SX_OK)
        status = write_rest(w, err);
    if (status == SX_OK)
        status = sx_file_rename(w->making, w->final, err);
    if (status != SX_OK)
        return status;
    sx_free(w->making);
    w->making = NULL;
    size_t len = strlen(w->final) - TSDB_ULID_BYTES;
    snprintf(parent, sizeof parent, "%.*s", (int)len, w->final);
    return sx_folder_sync(parent, err);
}

void tsdb_block_writer_done(tsdb_block_writer *w)
{
    if (w->segment.fd >= 0)
        sx_writer_abandon(&w->segment);
    tsdb_index_writer_abandon(&w->index);
    if (w->making)
        (void)tsdb_folder_remove(w->making, NULL); /* else the next start does */
    sx_free(w->final);
    sx_free(w->making);
    sx_free(w->index_path);
    sx_free(w->chunks);
    tsdb_block_meta_done(&w->meta);
    *w = (tsdb_block_writer){0};
    w->segment.fd = w->index.file.fd = -1;
}

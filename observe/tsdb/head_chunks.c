/* head_chunks.c - the files of chunks_head/; see head_chunks.h.
 *
 * One buffer gathers what the newest file will get; a file is mapped when a chunk of it is read, and
 * mapped again when a chunk lies behind the mapping's end. Old mappings stay until the file is
 * dropped, since readers hold pointers into them; the growing steps keep them few. */
#include "observe/tsdb/head_chunks.h"

#include <pthread.h>
#include <stdio.h>

#include <sextant/file.h>
#include <sextant/hash.h>
#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "observe/tsdb/index.h"

enum {
    BUFFER_BYTES = 256 << 10,
    FRAME_BYTES = 8 + 8 + 8 + 1, /* in front of a chunk's length */
    HEADER_BYTES = 8,
    MAPPINGS_MAX = 24,
};

typedef struct chunk_file {
    uint16_t segment;
    int64_t max_t;
    uint64_t bytes;  /* all that was put in it, buffered or not */
    uint64_t found;  /* of these: written by an earlier process */
    uint64_t synced; /* on the disk */
    sx_mapping maps[MAPPINGS_MAX];
    uint32_t map_count;
} chunk_file;

struct tsdb_head_chunks {
    char *dir;
    pthread_mutex_t lock;
    chunk_file *files;
    size_t count, cap;
    sx_writer writer; /* of the newest file */
    bool writing;
    uint64_t written; /* bytes of the newest file that the system has */
    sx_buf buffer;    /* what it has not */
    uint16_t next;
};

static sx_status file_path(const tsdb_head_chunks *c, uint16_t segment, char path[4096],
                           sx_error *err)
{
    int n = snprintf(path, 4096, "%s/%06u", c->dir, segment);
    return n > 0 && n < 4096 ? SX_OK : sx_fail(err, SX_ELIMIT, "path too long: %s", c->dir);
}

sx_status tsdb_head_chunks_open(const char *dir, tsdb_head_chunks **out, sx_error *err)
{
    sx_status status = dir ? sx_folder_make(dir, err) : SX_OK;
    if (status != SX_OK)
        return status;
    tsdb_head_chunks *c = sx_calloc(1, sizeof *c);
    size_t len = dir ? strlen(dir) : 0;
    char *copy = sx_calloc(len + 1, 1);
    if (!c || !copy) {
        sx_free(c);
        sx_free(copy);
        return sx_fail_memory(err, "chunks of the head");
    }
    if (dir)
        memcpy(copy, dir, len);
    c->dir = copy;
    c->next = 1;
    pthread_mutex_init(&c->lock, NULL);
    sx_buf_init(&c->buffer, 0);
    *out = c;
    return SX_OK;
}

static bool is_listed(sx_str name, const tsdb_head_chunk_file *files, size_t count)
{
    uint64_t segment;
    bool listed = false;
    for (size_t i = 0; i < count && !listed; i++)
        listed = name.len == 6 && sx_str_to_u64(name, &segment) && segment == files[i].segment;
    return listed;
}

static sx_status remove_others(const char *dir, const tsdb_head_chunk_file *files, size_t count,
                               sx_error *err)
{
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_str *names;
    size_t name_count;
    sx_status status = sx_folder_list(dir, 0, &arena, &names, &name_count, err);
    for (size_t i = 0; status == SX_OK && i < name_count; i++) {
        if (is_listed(names[i], files, count))
            continue;
        sx_str path = sx_arena_printf(&arena, "%s/%.*s", dir, SX_ARG(names[i]));
        status = path.data ? sx_file_remove(path.data, err) : sx_fail_memory(err, "path");
    }
    sx_arena_done(&arena);
    return status;
}

static sx_status look_at_files(const tsdb_head_chunks *c, const tsdb_head_chunk_file *files,
                               size_t count, sx_error *err)
{
    char path[4096];
    sx_file_info info;
    sx_status status = SX_OK;
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        if (files[i].segment > UINT16_MAX || files[i].bytes < HEADER_BYTES ||
            files[i].bytes > UINT32_MAX)
            return sx_fail(err, SX_ECORRUPT, "a list of chunk files that makes no sense");
        status = file_path(c, (uint16_t)files[i].segment, path, err);
        if (status == SX_OK &&
            (sx_file_stat(path, &info, NULL) != SX_OK || info.bytes < files[i].bytes))
            status = sx_fail(err, SX_ECORRUPT, "%s is missing or too short", path);
    }
    return status;
}

sx_status tsdb_head_chunks_adopt(tsdb_head_chunks *c, const tsdb_head_chunk_file *files,
                                 size_t count, sx_error *err)
{
    char path[4096];
    if (c->dir[0] == '\0')
        return count ? sx_fail(err, SX_EACCESS, "the database was opened for reading only") : SX_OK;
    sx_status status = look_at_files(c, files, count, err);
    if (status == SX_OK && count && !sx_grow(&c->files, &c->cap, count, sizeof *c->files))
        status = sx_fail_memory(err, "chunks of the head");
    if (status == SX_OK)
        status = remove_others(c->dir, files, count, err);
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        const tsdb_head_chunk_file *f = &files[i];
        c->files[i] = (chunk_file){.segment = (uint16_t)f->segment,
                                   .max_t = f->max_t,
                                   .bytes = f->bytes,
                                   .found = f->bytes,
                                   .synced = f->bytes};
        status = file_path(c, (uint16_t)f->segment, path, err);
        if (status == SX_OK)
            status = sx_file_truncate(path, f->bytes, err);
        c->next = (uint16_t)(f->segment + 1);
        c->written = f->bytes;
    }
    c->count = status == SX_OK ? count : 0;
    return status;
}

static void close_file(chunk_file *f)
{
    for (uint32_t i = 0; i < f->map_count; i++)
        sx_mapping_close(&f->maps[i]);
}

void tsdb_head_chunks_close(tsdb_head_chunks *c)
{
    if (!c)
        return;
    (void)tsdb_head_chunks_flush(c, NULL); /* what is lost here is in the log */
    if (c->writing)
        (void)sx_writer_close(&c->writer, NULL);
    for (size_t i = 0; i < c->count; i++)
        close_file(&c->files[i]);
    sx_free(c->files);
    sx_buf_done(&c->buffer);
    pthread_mutex_destroy(&c->lock);
    sx_free(c->dir);
    sx_free(c);
}

/* The buffer goes to the file. A failed write leaves the file cut to what is known to be in it. */
static sx_status flush_locked(tsdb_head_chunks *c, sx_error *err)
{
    if (c->buffer.len == 0)
        return SX_OK;
    if (c->dir[0] == '\0')
        return sx_fail(err, SX_EACCESS, "the database was opened for reading only");
    char path[4096];
    const chunk_file *f = &c->files[c->count - 1];
    sx_status status = file_path(c, f->segment, path, err);
    if (status == SX_OK && !c->writing) {
        if (c->written)
            status = sx_file_truncate(path, c->written, err);
        if (status == SX_OK)
            status = sx_writer_open(&c->writer, path,
                                    c->written ? SX_WRITER_APPEND : SX_WRITER_EMPTY, 4096, err);
        c->writing = status == SX_OK;
    }
    if (status == SX_OK)
        status = sx_writer_bytes(&c->writer, c->buffer.data, c->buffer.len, err);
    if (status == SX_OK)
        status = sx_writer_flush(&c->writer, err);
    if (status != SX_OK) {
        if (c->writing)
            sx_writer_abandon(&c->writer);
        c->writing = false;
        return status;
    }
    c->written += c->buffer.len;
    sx_buf_clear(&c->buffer);
    return SX_OK;
}

sx_status tsdb_head_chunks_flush(tsdb_head_chunks *c, sx_error *err)
{
    pthread_mutex_lock(&c->lock);
    sx_status status = flush_locked(c, err);
    pthread_mutex_unlock(&c->lock);
    return status;
}

static sx_status sync_file(const char *path, sx_error *err)
{
    sx_writer w;
    sx_status status = sx_writer_open(&w, path, SX_WRITER_APPEND, 0, err);
    if (status != SX_OK)
        return status;
    status = sx_writer_sync(&w, err);
    sx_status closed = sx_writer_close(&w, status == SX_OK ? err : NULL);
    return status == SX_OK ? closed : status;
}

sx_status tsdb_head_chunks_settle(tsdb_head_chunks *c, tsdb_head_chunk_file **files, size_t *count,
                                  sx_error *err)
{
    char path[4096];
    bool *synced = NULL;
    pthread_mutex_lock(&c->lock);
    size_t n = c->count;
    sx_status status = flush_locked(c, err);
    *files = sx_calloc(n + 1, sizeof **files);
    synced = sx_calloc(n + 1, sizeof *synced);
    if (status == SX_OK && (!*files || !synced))
        status = sx_fail_memory(err, "chunks of the head");
    for (size_t i = 0; i < n && status == SX_OK; i++) {
        const chunk_file *f = &c->files[i];
        (*files)[i] = (tsdb_head_chunk_file){f->segment, f->bytes, f->max_t};
        synced[i] = f->synced == f->bytes;
    }
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < n && status == SX_OK; i++) {
        if (synced[i])
            continue;
        status = file_path(c, (uint16_t)(*files)[i].segment, path, err);
        if (status == SX_OK)
            status = sync_file(path, err);
        if (status != SX_OK)
            break;
        pthread_mutex_lock(&c->lock);
        c->files[i].synced = (*files)[i].bytes;
        pthread_mutex_unlock(&c->lock);
    }
    if (status == SX_OK && n)
        status = sx_folder_sync(c->dir, err);
    sx_free(synced);
    *count = status == SX_OK ? n : 0;
    return status;
}

/* The file to append to: the newest, or another when that is full and written. */
static chunk_file *file_for(tsdb_head_chunks *c, size_t need)
{
    if (c->count && c->files[c->count - 1].bytes + need <= TSDB_HEAD_CHUNKS_FILE_BYTES)
        return &c->files[c->count - 1];
    if (c->count && flush_locked(c, NULL) != SX_OK) /* the disk is full: this one grows on */
        return c->files[c->count - 1].bytes + need < UINT32_MAX ? &c->files[c->count - 1] : NULL;
    if (!sx_grow(&c->files, &c->cap, c->count + 1, sizeof *c->files))
        return NULL;
    if (c->writing)
        (void)sx_writer_close(&c->writer, NULL);
    c->writing = false;
    c->written = 0;
    chunk_file *f = &c->files[c->count++];
    *f = (chunk_file){.segment = c->next++, .max_t = INT64_MIN, .bytes = HEADER_BYTES};
    tsdb_put_be(&c->buffer, 0x0130BC91, 4);
    tsdb_put_be(&c->buffer, UINT64_C(1) << 24, 4); /* version 1 and padding */
    return f;
}

sx_status tsdb_head_chunks_put(tsdb_head_chunks *c, uint64_t ref, int64_t min_t, int64_t max_t,
                               uint8_t encoding, sx_str bytes, uint16_t *segment, uint32_t *offset,
                               sx_error *err)
{
    size_t need = FRAME_BYTES + 5 + bytes.len + 4;
    pthread_mutex_lock(&c->lock);
    chunk_file *f = file_for(c, need);
    if (!f || !sx_buf_reserve(&c->buffer, need)) {
        c->buffer.failed = false; /* what it has is good; only this chunk is refused */
        pthread_mutex_unlock(&c->lock);
        return sx_fail_memory(err, "full chunk");
    }
    size_t start = c->buffer.len;
    *segment = f->segment;
    *offset = (uint32_t)f->bytes;
    tsdb_put_be(&c->buffer, ref, 8);
    tsdb_put_be(&c->buffer, (uint64_t)min_t, 8);
    tsdb_put_be(&c->buffer, (uint64_t)max_t, 8);
    sx_buf_byte(&c->buffer, (char)encoding);
    sx_pb_add_varint(&c->buffer, bytes.len);
    sx_buf_str(&c->buffer, bytes);
    tsdb_put_be(&c->buffer, sx_crc32c(0, c->buffer.data + start, c->buffer.len - start), 4);
    f->bytes += c->buffer.len - start;
    if (max_t > f->max_t)
        f->max_t = max_t;
    if (c->buffer.len >= BUFFER_BYTES)
        (void)flush_locked(c, NULL); /* kept and tried again if the disk is full */
    pthread_mutex_unlock(&c->lock);
    return SX_OK;
}

/* The chunk's bytes behind its frame, in what begins at `data`. */
static sx_status unframe(const uint8_t *data, size_t len, bool found, sx_str *bytes, sx_error *err)
{
    size_t at = FRAME_BYTES, size = 0;
    for (unsigned shift = 0; at < len && shift < 35; shift += 7) {
        size |= (size_t)(data[at] & 0x7f) << shift;
        if (data[at++] < 0x80)
            break;
    }
    if (at >= len || size > len - at)
        return sx_fail(err, SX_ECORRUPT, "chunk of the head ends early; remove chunks_head/");
    *bytes = sx_str_of(data + at, size);
    if (!found)
        return SX_OK;
    uint32_t crc = 0;
    for (size_t i = 0; i < 4 && size + 4 <= len - at; i++)
        crc = crc << 8 | data[at + size + i];
    if (size + 4 > len - at || sx_crc32c(0, data, at + size) != crc)
        return sx_fail(err, SX_ECORRUPT,
                       "chunk of the head has a wrong sum; remove sextant/head-snapshot and start "
                       "again: the log has its samples, too");
    return SX_OK;
}

/* A mapping of the file that reaches over `offset`. */
static sx_status map_to(tsdb_head_chunks *c, chunk_file *f, uint32_t offset, const sx_mapping **out,
                        sx_error *err)
{
    if (f->map_count && f->maps[f->map_count - 1].len > offset) {
        *out = &f->maps[f->map_count - 1];
        return SX_OK;
    }
    char path[4096];
    if (f->map_count == MAPPINGS_MAX)
        return sx_fail(err, SX_ELIMIT, "file %u of chunks_head was mapped too often", f->segment);
    sx_status status = file_path(c, f->segment, path, err);
    if (status == SX_OK)
        status = sx_mapping_open(&f->maps[f->map_count], path, SX_MAP_RANDOM, err);
    if (status == SX_OK)
        *out = &f->maps[f->map_count++];
    return status;
}

sx_status tsdb_head_chunks_get(tsdb_head_chunks *c, uint16_t segment, uint32_t offset,
                               sx_buf *scratch, sx_str *bytes, sx_error *err)
{
    pthread_mutex_lock(&c->lock);
    size_t i = c->count;
    while (i > 0 && c->files[i - 1].segment != segment)
        i--;
    sx_status status = SX_OK;
    if (i == 0) {
        status = sx_fail(err, SX_ENOTFOUND, "file %u of chunks_head has gone", segment);
    } else {
        chunk_file *f = &c->files[i - 1];
        bool newest = i == c->count, found = offset < f->found;
        /* Few mappings: the newest file is mapped again only after it has grown by an eighth of its
         * greatest size; until then its end is read as the buffer is, by a copy. */
        uint64_t mapped = f->map_count ? f->maps[f->map_count - 1].len : 0;
        if (newest && offset >= c->written) {
            size_t at = offset - c->written;
            status = unframe((uint8_t *)c->buffer.data + at, c->buffer.len - at, false, bytes, err);
            if (status == SX_OK) {
                sx_buf_clear(scratch);
                sx_buf_str(scratch, *bytes);
                *bytes = sx_buf_view(scratch);
                status = sx_buf_status(scratch, "chunk", err);
            }
        } else if (newest && offset >= mapped &&
                   c->written - mapped < TSDB_HEAD_CHUNKS_FILE_BYTES / 16 && f->map_count) {
            sx_reader reader;
            char path[4096];
            size_t len = c->written - offset < 8192 ? c->written - offset : 8192;
            sx_buf_clear(scratch);
            char *to = sx_buf_reserve(scratch, len);
            status = to ? file_path(c, segment, path, err) : sx_fail_memory(err, "chunk");
            if (status == SX_OK)
                status = sx_reader_open(&reader, path, err);
            if (status == SX_OK) {
                status = sx_reader_at(&reader, offset, to, len, err);
                sx_reader_close(&reader);
            }
            if (status == SX_OK)
                status = unframe((uint8_t *)to, len, found, bytes, err);
        } else {
            const sx_mapping *map = NULL;
            status = map_to(c, f, offset, &map, err);
            if (status == SX_OK)
                status = unframe((const uint8_t *)map->data + offset, map->len - offset, found,
                                 bytes, err);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return status;
}

void tsdb_head_chunks_drop(tsdb_head_chunks *c, int64_t t)
{
    char path[4096];
    pthread_mutex_lock(&c->lock);
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        chunk_file *f = &c->files[i];
        if (i + 1 == c->count || f->max_t >= t) {
            if (kept != i)
                c->files[kept] = *f;
            kept++;
            continue;
        }
        close_file(f);
        if (file_path(c, f->segment, path, NULL) == SX_OK)
            (void)sx_file_remove(path, NULL); /* removed at the next start if not now */
    }
    c->count = kept;
    pthread_mutex_unlock(&c->lock);
}

uint64_t tsdb_head_chunks_bytes(tsdb_head_chunks *c)
{
    pthread_mutex_lock(&c->lock);
    uint64_t bytes = 0;
    for (size_t i = 0; i < c->count; i++)
        bytes += c->files[i].bytes;
    pthread_mutex_unlock(&c->lock);
    return bytes;
}

/* block.c - a block opened and its samples read; see block.h. */
#include "observe/tsdb/block.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

enum { META_BYTES_MAX = 64 << 20, PATH_BYTES = 4096, SEGMENTS_MAX = 1 << 16 };
static const uint32_t CHUNKS_MAGIC = 0x85BD40DD;

static sx_status path_in(const char *dir, const char *name, char path[PATH_BYTES], sx_error *err)
{
    int n = snprintf(path, PATH_BYTES, "%s/%s", dir, name);
    return n > 0 && n < PATH_BYTES ? SX_OK : sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
}

/* --- Opening. */

static sx_status open_meta(tsdb_block *b, sx_error *err)
{
    char path[PATH_BYTES];
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_status status = path_in(b->dir, "meta.json", path, err);
    if (status == SX_OK)
        status = sx_file_read(path, META_BYTES_MAX, &text, err);
    if (status == SX_OK)
        status = tsdb_block_meta_read(&b->meta, sx_buf_view(&text), err);
    b->bytes += text.len;
    sx_buf_done(&text);
    return status;
}

static sx_status open_stones(tsdb_block *b, sx_error *err)
{
    char path[PATH_BYTES];
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_status status = path_in(b->dir, "tombstones", path, err);
    if (status == SX_OK)
        status = sx_file_read(path, 0, &text, err);
    if (status == SX_ENOTFOUND) { /* none is none */
        sx_buf_done(&text);
        return SX_OK;
    }
    if (status == SX_OK)
        status = tsdb_stones_read(&b->stones, sx_buf_view(&text), err);
    b->bytes += text.len;
    sx_buf_done(&text);
    return status;
}

static sx_status open_segment(tsdb_block *b, const char *path, sx_error *err)
{
    sx_mapping *m = &b->segments[b->segment_count];
    sx_status status = sx_mapping_open(m, path, SX_MAP_RANDOM, err);
    if (status != SX_OK)
        return status;
    b->segment_count++;
    b->bytes += m->len;
    const uint8_t *data = (const uint8_t *)m->data;
    if (m->len < TSDB_CHUNK_FILE_HEADER)
        return sx_fail(err, SX_ECORRUPT, "%s: no file of chunks", path);
    tsdb_cursor c = {data, data + m->len, false};
    if (tsdb_cursor_be(&c, 4) != CHUNKS_MAGIC)
        return sx_fail(err, SX_ECORRUPT, "%s: no file of chunks", path);
    if (tsdb_cursor_be(&c, 1) != 1)
        return sx_fail(err, SX_EUNSUPPORTED, "%s: chunks of an unknown version", path);
    return SX_OK;
}

static sx_status open_segments(tsdb_block *b, sx_error *err)
{
    char dir[PATH_BYTES], path[PATH_BYTES];
    sx_arena arena;
    sx_str *names;
    size_t count = 0;
    sx_arena_init(&arena, 0, 0);
    sx_status status = path_in(b->dir, "chunks", dir, err);
    if (status == SX_OK)
        status = sx_folder_list(dir, SEGMENTS_MAX, &arena, &names, &count, err);
    if (status == SX_OK) {
        b->segments = sx_calloc(count + 1, sizeof *b->segments);
        if (!b->segments)
            status = sx_fail_memory(err, "block");
    }
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        int n = snprintf(path, sizeof path, "%s/%.*s", dir, SX_ARG(names[i]));
        status = n > 0 && n < PATH_BYTES ? open_segment(b, path, err)
                                         : sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
    }
    sx_arena_done(&arena);
    return status;
}

sx_status tsdb_block_open(const char *dir, tsdb_block **out, sx_error *err)
{
    char path[PATH_BYTES];
    size_t len = strlen(dir);
    tsdb_block *b = sx_calloc(1, sizeof *b);
    char *copy = sx_alloc(len + 1);
    if (!b || !copy) {
        sx_free(b);
        sx_free(copy);
        return sx_fail_memory(err, "block");
    }
    memcpy(copy, dir, len + 1);
    b->dir = copy;
    b->refs = 1;
    pthread_rwlock_init(&b->stones_lock, NULL);
    sx_status status = open_meta(b, err);
    if (status == SX_OK)
        status = path_in(dir, "index", path, err);
    if (status == SX_OK)
        status = tsdb_index_open(&b->index, path, err);
    if (status == SX_OK) {
        b->bytes += b->index.map.len;
        status = open_segments(b, err);
    }
    if (status == SX_OK)
        status = open_stones(b, err);
    if (status != SX_OK) {
        sx_error_prefix(err, status, "block %s", dir);
        tsdb_block_unref(b);
        return status;
    }
    b->source = (tsdb_source){&TSDB_BLOCK_OPS, b->meta.min_t,
                              b->meta.max_t > b->meta.min_t ? b->meta.max_t - 1 : b->meta.max_t};
    *out = b;
    return SX_OK;
}

void tsdb_block_ref(tsdb_block *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
}

void tsdb_block_unref(tsdb_block *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) > 1)
        return;
    tsdb_index_close(&b->index);
    for (size_t i = 0; i < b->segment_count; i++)
        sx_mapping_close(&b->segments[i]);
    sx_free(b->segments);
    sx_free(b->stones.items);
    tsdb_block_meta_done(&b->meta);
    pthread_rwlock_destroy(&b->stones_lock);
    sx_free(b->dir);
    sx_free(b);
}

/* --- Chunks. */

sx_status tsdb_block_chunk(const tsdb_block *b, uint64_t ref, tsdb_encoding *e, sx_str *bytes,
                           sx_error *err)
{
    uint64_t segment = ref >> 32, offset = ref & UINT32_MAX;
    if (segment >= b->segment_count || offset < TSDB_CHUNK_FILE_HEADER ||
        offset >= b->segments[segment].len)
        return sx_fail(err, SX_ECORRUPT, "%s: chunk %llx lies beyond the files", b->dir,
                       (unsigned long long)ref);
    const uint8_t *data = (const uint8_t *)b->segments[segment].data;
    tsdb_cursor c = {data + offset, data + b->segments[segment].len, false};
    uint64_t len = tsdb_cursor_uvarint(&c);
    if (c.bad || len + 5 > (size_t)(c.end - c.at) || len > UINT32_MAX)
        return sx_fail(err, SX_ECORRUPT, "%s: chunk %llx reaches beyond its file", b->dir,
                       (unsigned long long)ref);
    tsdb_cursor sum = {c.at + 1 + len, c.end, false};
    if (tsdb_cursor_be(&sum, 4) != sx_crc32c(0, c.at, len + 1))
        return sx_fail(err, SX_ECORRUPT, "%s: chunk %llx fails its checksum", b->dir,
                       (unsigned long long)ref);
    *e = (tsdb_encoding)*c.at;
    *bytes = sx_str_of(c.at + 1, len);
    return SX_OK;
}

sx_status tsdb_block_read_chunks(const tsdb_block *b, const tsdb_chunk_meta *chunks, size_t count,
                                 int64_t min_t, int64_t max_t, tsdb_columns *out, sx_error *err)
{
    for (size_t i = 0; i < count; i++) {
        tsdb_encoding e;
        sx_str bytes;
        if (chunks[i].max_t < min_t || chunks[i].min_t > max_t)
            continue;
        sx_status status = tsdb_block_chunk(b, chunks[i].ref, &e, &bytes, err);
        if (status == SX_OK)
            status = tsdb_chunk_read(e, bytes, min_t, max_t, out, err);
        if (status != SX_OK)
            return status;
    }
    return SX_OK;
}

void tsdb_drop_ranges(tsdb_columns *c, size_t from, const tsdb_stone *stones, size_t count)
{
    size_t kept = from;
    for (size_t i = from; i < c->count; i++) {
        bool gone = false;
        for (size_t r = 0; r < count && !gone; r++)
            gone = c->t[i] >= stones[r].min_t && c->t[i] <= stones[r].max_t;
        if (gone)
            continue;
        c->t[kept] = c->t[i];
        c->v[kept] = c->v[i];
        if (c->h)
            c->h[kept] = c->h[i];
        if (c->st)
            c->st[kept] = c->st[i];
        kept++;
    }
    c->count = kept;
}

/* --- Deleting. */

static sx_status write_stones(tsdb_block *b, const tsdb_stones *s, sx_error *err)
{
    char path[PATH_BYTES];
    sx_buf file, meta;
    sx_buf_init(&file, 0);
    sx_buf_init(&meta, 0);
    tsdb_block_meta m = b->meta;
    m.tombstones = s->count;
    sx_status status = tsdb_stones_print(s, &file, err);
    if (status == SX_OK)
        status = path_in(b->dir, "tombstones", path, err);
    if (status == SX_OK)
        status = sx_file_replace(path, sx_buf_view(&file), err);
    if (status == SX_OK)
        status = tsdb_block_meta_print(&m, &meta, err);
    if (status == SX_OK)
        status = path_in(b->dir, "meta.json", path, err);
    if (status == SX_OK)
        status = sx_file_replace(path, sx_buf_view(&meta), err);
    sx_buf_done(&file);
    sx_buf_done(&meta);
    return status;
}

/* Adds the range for those of `ids` that have a chunk in it. */
static sx_status add_stones(tsdb_block *b, const uint32_t *ids, size_t count, int64_t min_t,
                            int64_t max_t, tsdb_stones *to, sx_error *err)
{
    tsdb_series_room room = {0};
    sx_status status = SX_OK;
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        bool has = false;
        status = tsdb_index_series(&b->index, ids[i], true, &room, err);
        for (size_t k = 0; status == SX_OK && k < room.chunk_count && !has; k++)
            has = room.chunks[k].min_t <= max_t && room.chunks[k].max_t >= min_t;
        if (!has)
            continue;
        if (!sx_grow(&to->items, &to->cap, to->count + 1, sizeof *to->items))
            status = sx_fail_memory(err, "tombstones");
        else /* clipped to the block: later compactions need not look further */
            to->items[to->count++] =
                (tsdb_stone){ids[i], min_t > b->source.min_t ? min_t : b->source.min_t,
                             max_t < b->source.max_t ? max_t : b->source.max_t};
    }
    tsdb_series_room_done(&room);
    return status;
}

sx_status tsdb_block_delete_ids(tsdb_block *b, int64_t min_t, int64_t max_t, const uint32_t *ids,
                                size_t count, sx_error *err)
{
    tsdb_stones next = {0};
    sx_status status = SX_OK;
    pthread_rwlock_wrlock(&b->stones_lock);
    if (!sx_grow(&next.items, &next.cap, b->stones.count + 1, sizeof *next.items)) {
        status = sx_fail_memory(err, "tombstones");
    } else {
        if (b->stones.count)
            memcpy(next.items, b->stones.items, b->stones.count * sizeof *next.items);
        next.count = b->stones.count;
        status = add_stones(b, ids, count, min_t, max_t, &next, err);
    }
    tsdb_stones_sort(&next);
    bool more =
        next.count != b->stones.count ||
        (next.count && memcmp(next.items, b->stones.items, next.count * sizeof *next.items) != 0);
    if (status == SX_OK && more)
        status = write_stones(b, &next, err);
    if (status == SX_OK && more) {
        tsdb_stones old = b->stones;
        b->stones = next;
        b->meta.tombstones = next.count;
        next = old;
    }
    pthread_rwlock_unlock(&b->stones_lock);
    sx_free(next.items);
    return status;
}

sx_status tsdb_block_delete(tsdb_block *b, int64_t min_t, int64_t max_t,
                            const tsdb_matcher *matchers, size_t count, sx_error *err)
{
    sx_arena arena;
    uint32_t *ids;
    size_t id_count;
    sx_arena_init(&arena, 0, 0);
    sx_status status = tsdb_block_match(b, matchers, count, &arena, &ids, &id_count, NULL, err);
    if (status == SX_OK && id_count)
        status = tsdb_block_delete_ids(b, min_t, max_t, ids, id_count, err);
    sx_arena_done(&arena);
    return status;
}

/* --- Folders. */

sx_status tsdb_folder_remove(const char *path, sx_error *err)
{
    sx_arena arena;
    sx_str *names;
    size_t count = 0;
    sx_arena_init(&arena, 0, 0);
    sx_status status = sx_folder_list(path, 0, &arena, &names, &count, err);
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        sx_file_info info;
        sx_str name = sx_arena_printf(&arena, "%s/%.*s", path, SX_ARG(names[i]));
        if (!name.data)
            status = sx_fail_memory(err, "path");
        else if (sx_file_stat(name.data, &info, NULL) == SX_OK && info.is_folder)
            status = tsdb_folder_remove(name.data, err);
        else
            status = sx_file_remove(name.data, err);
    }
    if (status == SX_OK && rmdir(path) != 0)
        status = sx_fail_os(err, errno, "cannot remove folder %s", path);
    sx_arena_done(&arena);
    return status;
}

/* blocks.c - the list of blocks: found at the start, replaced one by one; see blocks.h. */
#include "observe/tsdb/blocks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <sextant/mem.h>

enum { NOTE_BYTES = 1024 };

void tsdb_note(const tsdb *db, bool warning, const char *fmt, ...)
{
    char line[NOTE_BYTES];
    va_list args;
    if (!db->options.note)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    db->options.note(db->options.note_context, warning, line);
}

static int compare_blocks(const void *a, const void *b)
{
    const tsdb_block *x = *(tsdb_block *const *)a, *y = *(tsdb_block *const *)b;
    if (x->meta.min_t != y->meta.min_t)
        return x->meta.min_t < y->meta.min_t ? -1 : 1;
    return memcmp(x->meta.ulid, y->meta.ulid, TSDB_ULID_BYTES);
}

/* --- Folders. */

/* Out of the way under another name first, so that a crash in the middle leaves no half block. */
static sx_status remove_block(tsdb *db, const char *dir, sx_error *err)
{
    char leaving[TSDB_PATH_BYTES];
    int n = snprintf(leaving, sizeof leaving, "%s" TSDB_BLOCK_LEAVING, dir);
    if (n <= 0 || n >= (int)sizeof leaving)
        return sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
    sx_status status = sx_file_rename(dir, leaving, err);
    if (status == SX_OK)
        status = sx_folder_sync(db->dir, err);
    return status == SX_OK ? tsdb_folder_remove(leaving, err) : status;
}

static void set_aside(tsdb *db, const char *dir, const sx_error *why)
{
    char aside[TSDB_PATH_BYTES];
    int n = snprintf(aside, sizeof aside, "%s.corrupt", dir);
    atomic_fetch_add(&db->blocks_corrupt, 1);
    tsdb_note(db, true, "block set aside as %s.corrupt: %s", dir, why->message);
    if (n > 0 && n < (int)sizeof aside && !db->options.read_only &&
        sx_file_rename(dir, aside, NULL) == SX_OK)
        (void)sx_folder_sync(db->dir, NULL);
}

static bool is_leftover(sx_str name)
{
    static const char *const ENDS[] = {TSDB_BLOCK_MAKING, TSDB_BLOCK_LEAVING, ".tmp"};
    sx_str ulid =
        name.len >= TSDB_ULID_BYTES - 1 ? sx_str_of(name.data, TSDB_ULID_BYTES - 1) : SX_STR("");
    if (!tsdb_ulid_is(ulid))
        return false;
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++)
        if (sx_str_eq(sx_str_of(name.data + ulid.len, name.len - ulid.len), sx_str_z(ENDS[i])))
            return true;
    return false;
}

/* --- Opening. */

static sx_status open_one(tsdb *db, const char *path, sx_error *err)
{
    tsdb_block_list *l = &db->blocks;
    sx_error why = {0};
    tsdb_block *b;
    sx_status status = tsdb_block_open(path, &b, &why);
    if (status == SX_ENOMEM || status == SX_ELIMIT) {
        if (err)
            *err = why;
        return status;
    }
    if (status != SX_OK) {
        set_aside(db, path, &why);
        return SX_OK;
    }
    if (!sx_grow(&l->items, &l->cap, l->count + 1, sizeof *l->items)) {
        tsdb_block_unref(b);
        return sx_fail_memory(err, "blocks");
    }
    l->items[l->count++] = b;
    return SX_OK;
}

/* A crash between a compaction's rename and the removal of what it was made of leaves both. */
static void drop_parents(tsdb *db)
{
    tsdb_block_list *l = &db->blocks;
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++) {
        tsdb_block *b = l->items[i];
        bool gone = b->meta.deletable;
        for (size_t k = 0; k < l->count && !gone; k++)
            for (size_t p = 0; p < l->items[k]->meta.parent_count && !gone; p++)
                gone = k != i && memcmp(l->items[k]->meta.parents[p].ulid, b->meta.ulid,
                                        TSDB_ULID_BYTES) == 0;
        if (gone)
            b->corrupt = true; /* borrowed as a mark until the loop below */
    }
    for (size_t i = 0; i < l->count; i++) {
        tsdb_block *b = l->items[i];
        if (!b->corrupt) {
            l->items[kept++] = b;
            continue;
        }
        if (!db->options.read_only)
            (void)remove_block(db, b->dir, NULL);
        tsdb_block_unref(b);
    }
    l->count = kept;
}

sx_status tsdb_blocks_open(tsdb *db, sx_error *err)
{
    sx_arena arena;
    sx_str *names;
    size_t count = 0;
    sx_arena_init(&arena, 0, 0);
    sx_status status = sx_folder_list(db->dir, 0, &arena, &names, &count, err);
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        bool leftover = is_leftover(names[i]) && !db->options.read_only;
        if (!leftover && !tsdb_ulid_is(names[i]))
            continue;
        sx_str path = sx_arena_printf(&arena, "%s/%.*s", db->dir, SX_ARG(names[i]));
        if (!path.data)
            status = sx_fail_memory(err, "blocks");
        else if (leftover)
            status = tsdb_folder_remove(path.data, err);
        else
            status = open_one(db, path.data, err);
    }
    sx_arena_done(&arena);
    if (status != SX_OK)
        return status;
    tsdb_block_list *l = &db->blocks;
    drop_parents(db);
    if (l->count)
        qsort(l->items, l->count, sizeof *l->items, compare_blocks);
    int64_t floor_t = INT64_MIN;
    for (size_t i = 0; i < l->count; i++)
        if (!l->items[i]->meta.out_of_order && l->items[i]->meta.max_t > floor_t)
            floor_t = l->items[i]->meta.max_t;
    atomic_store(&db->floor_t, floor_t);
    atomic_store(&db->head->floor_t, floor_t);
    return SX_OK;
}

void tsdb_blocks_close(tsdb *db)
{
    for (size_t i = 0; i < db->blocks.count; i++)
        tsdb_block_unref(db->blocks.items[i]);
    sx_free(db->blocks.items);
}

/* --- Changing the list. */

static bool is_among(tsdb_block *const *blocks, size_t count, const tsdb_block *b)
{
    for (size_t i = 0; i < count; i++)
        if (blocks[i] == b)
            return true;
    return false;
}

sx_status tsdb_blocks_replace(tsdb *db, tsdb_block *const *old, size_t old_count, const char *ulid,
                              sx_error *err)
{
    char path[TSDB_PATH_BYTES];
    tsdb_block *added = NULL;
    tsdb_block_list *l = &db->blocks;
    sx_status status = SX_OK;
    if (ulid) {
        status = tsdb_path(db, ulid, path, err);
        if (status == SX_OK)
            status = tsdb_block_open(path, &added, err);
        if (status != SX_OK)
            return status;
    }
    pthread_rwlock_wrlock(&l->lock);
    if (added && !sx_grow(&l->items, &l->cap, l->count + 1, sizeof *l->items)) {
        pthread_rwlock_unlock(&l->lock);
        tsdb_block_unref(added);
        return sx_fail_memory(err, "blocks");
    }
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++)
        if (!is_among(old, old_count, l->items[i]))
            l->items[kept++] = l->items[i];
    if (added)
        l->items[kept++] = added;
    l->count = kept;
    if (kept > 1)
        qsort(l->items, l->count, sizeof *l->items, compare_blocks);
    pthread_rwlock_unlock(&l->lock);
    for (size_t i = 0; i < old_count; i++) {
        sx_status removed = remove_block(db, old[i]->dir, status == SX_OK ? err : NULL);
        if (status == SX_OK)
            status = removed;
        tsdb_block_unref(old[i]); /* the list's reference */
    }
    return status;
}

sx_status tsdb_blocks_hold(tsdb *db, sx_arena *arena, tsdb_block ***out, size_t *count,
                           sx_error *err)
{
    tsdb_block_list *l = &db->blocks;
    pthread_rwlock_rdlock(&l->lock);
    *count = l->count;
    *out = sx_arena_alloc(arena, (l->count + 1) * sizeof **out);
    for (size_t i = 0; *out && i < l->count; i++) {
        (*out)[i] = l->items[i];
        tsdb_block_ref(l->items[i]);
    }
    pthread_rwlock_unlock(&l->lock);
    return *out ? SX_OK : sx_fail_memory(err, "blocks");
}

void tsdb_blocks_release(tsdb_block **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tsdb_block_unref(blocks[i]);
}

void tsdb_blocks_set_aside(tsdb *db)
{
    tsdb_block_list *l = &db->blocks;
    for (;;) {
        tsdb_block *found = NULL;
        sx_error why = {0};
        pthread_rwlock_wrlock(&l->lock);
        for (size_t i = 0; i < l->count && !found; i++) {
            if (!atomic_load(&l->items[i]->corrupt))
                continue;
            found = l->items[i];
            memmove(l->items + i, l->items + i + 1, (l->count - i - 1) * sizeof *l->items);
            l->count--;
        }
        pthread_rwlock_unlock(&l->lock);
        if (!found)
            return;
        sx_fail(&why, SX_ECORRUPT, "a query found damage in it");
        set_aside(db, found->dir, &why);
        tsdb_block_unref(found);
    }
}

sx_status tsdb_blocks(tsdb *db, sx_arena *arena, tsdb_block_info **out, size_t *count,
                      sx_error *err)
{
    tsdb_block **blocks;
    sx_status status = tsdb_blocks_hold(db, arena, &blocks, count, err);
    if (status != SX_OK)
        return status;
    *out = sx_arena_calloc(arena, *count + 1, sizeof **out);
    for (size_t i = 0; *out && i < *count; i++) {
        tsdb_block *b = blocks[i];
        tsdb_block_info *to = &(*out)[i];
        memcpy(to->ulid, b->meta.ulid, sizeof to->ulid);
        to->min_t = b->meta.min_t;
        to->max_t = b->meta.max_t;
        to->samples = b->meta.samples;
        to->float_samples = b->meta.float_samples;
        to->histogram_samples = b->meta.histogram_samples;
        to->series = b->meta.series;
        to->chunks = b->meta.chunks;
        pthread_rwlock_rdlock(&b->stones_lock);
        to->tombstones = b->stones.count;
        pthread_rwlock_unlock(&b->stones_lock);
        to->bytes = b->bytes;
        to->level = b->meta.level;
    }
    tsdb_blocks_release(blocks, *count);
    return *out ? SX_OK : sx_fail_memory(err, "blocks");
}

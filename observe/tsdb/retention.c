/* retention.c - what is too old or too much leaves; deletion, and copies of the whole.
 *
 * By time a block leaves when all of it is older than what is kept, seen from the newest sample; by
 * size the oldest leave first. By matcher: series that are kept shorter than their block get
 * tombstones once the block has passed their age, and compaction takes them out. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <sextant/mem.h>
#include <sextant/random.h>

#include "observe/tsdb/blocks.h"

enum { RETENTION_EVERY_MS = 60000 };

static int64_t newest_time(tsdb *db, tsdb_block *const *blocks, size_t count)
{
    tsdb_head_stats stats;
    tsdb_head_stats_read(db->head, &stats);
    int64_t newest = stats.max_t;
    for (size_t i = 0; i < count; i++)
        newest = blocks[i]->meta.max_t > newest ? blocks[i]->meta.max_t : newest;
    return newest;
}

int64_t tsdb_retention_longest(const tsdb_options *o)
{
    int64_t keep_ms = o->retention_ms;
    for (size_t i = 0; i < o->rule_count; i++)
        keep_ms = o->rules[i].keep_ms > keep_ms ? o->rules[i].keep_ms : keep_ms;
    return keep_ms;
}

void tsdb_set_retention(tsdb *db, const tsdb_options *options)
{
    sx_arena arena;
    tsdb_block **blocks = NULL;
    size_t count = 0;
    pthread_mutex_lock(&db->maintenance);
    db->options.retention_ms =
        options->retention_ms > 0 ? options->retention_ms : TSDB_RETENTION_DEFAULT_MS;
    db->options.retention_bytes = options->retention_bytes;
    db->options.rules = options->rules;
    db->options.rule_count = options->rule_count;
    db->options.out_of_order_ms = options->out_of_order_ms;
    atomic_store_explicit(&db->longest_ms, tsdb_retention_longest(&db->options),
                          memory_order_relaxed);
    tsdb_head_set_window(db->head, options->out_of_order_ms ? options->out_of_order_ms : INT64_MAX);
    db->retention_ms = 0; /* due at once, by the new rules for every block */
    sx_arena_init(&arena, 0, 0);
    if (tsdb_blocks_hold(db, &arena, &blocks, &count, NULL) == SX_OK) {
        for (size_t i = 0; i < count; i++)
            blocks[i]->ages_passed = 0;
        tsdb_blocks_release(blocks, count);
    }
    sx_arena_done(&arena);
    pthread_mutex_unlock(&db->maintenance);
}

static bool has_passed(const tsdb_block *b, int64_t newest, int64_t keep_ms)
{
    return newest > b->meta.max_t &&
           (uint64_t)newest - (uint64_t)b->meta.max_t >= (uint64_t)keep_ms;
}

/* --- By time and size. */

static sx_status drop_old(tsdb *db, tsdb_block **blocks, size_t *count, int64_t newest,
                          sx_error *err)
{
    size_t kept = 0;
    sx_status status = SX_OK;
    uint64_t bytes = 0;
    for (size_t i = 0; i < *count; i++) {
        if (status == SX_OK &&
            has_passed(blocks[i], newest, tsdb_retention_longest(&db->options))) {
            status = tsdb_blocks_replace(db, &blocks[i], 1, NULL, err);
            tsdb_block_unref(blocks[i]);
        } else {
            bytes += blocks[i]->bytes;
            blocks[kept++] = blocks[i];
        }
    }
    *count = kept;
    if (status != SX_OK || db->options.retention_bytes == 0)
        return status;
    bytes += tsdb_wal_bytes(db->wal) + tsdb_wal_bytes(db->wbl) + tsdb_head_chunks_bytes(db->chunks);
    size_t gone = 0;
    while (gone < kept && bytes > db->options.retention_bytes && status == SX_OK) {
        bytes -= blocks[gone]->bytes;
        status = tsdb_blocks_replace(db, &blocks[gone], 1, NULL, err);
        tsdb_block_unref(blocks[gone]);
        gone++;
    }
    memmove(blocks, blocks + gone, (kept - gone) * sizeof *blocks);
    *count = kept - gone;
    return status;
}

/* --- By matcher. */

/* The first rule that matches decides; without one the general retention. */
static int64_t keep_of(const tsdb_options *o, tsdb_labels labels)
{
    for (size_t i = 0; i < o->rule_count; i++)
        if (tsdb_matchers_match(o->rules[i].matchers, o->rules[i].matcher_count, labels))
            return o->rules[i].keep_ms;
    return o->retention_ms;
}

/* The ids of series whose time is up, from all of them. */
static sx_status expired_ids(const tsdb *db, tsdb_block *b, int64_t newest, uint32_t *ids,
                             size_t *count, sx_error *err)
{
    tsdb_series_room room = {0};
    tsdb_symbol_memory memory = {0};
    sx_arena arena;
    size_t kept = 0;
    sx_status status = SX_OK;
    sx_arena_init(&arena, 0, 0);
    for (size_t i = 0; i < *count && status == SX_OK; i++) {
        tsdb_labels labels;
        status = tsdb_index_series(&b->index, ids[i], false, &room, err);
        if (status == SX_OK)
            status = tsdb_index_labels(&b->index, &room, &memory, &arena, &labels, err);
        if (status == SX_OK && has_passed(b, newest, keep_of(&db->options, labels)))
            ids[kept++] = ids[i];
        sx_arena_reset(&arena);
    }
    *count = kept;
    tsdb_series_room_done(&room);
    sx_arena_done(&arena);
    return status;
}

/* How many of the retentions there are the block has passed: it is looked through when that grows. */
static uint32_t ages_passed(const tsdb_options *o, const tsdb_block *b, int64_t newest)
{
    uint32_t passed = has_passed(b, newest, o->retention_ms);
    for (size_t i = 0; i < o->rule_count; i++)
        passed += has_passed(b, newest, o->rules[i].keep_ms);
    return passed;
}

static sx_status expire_series(tsdb *db, tsdb_block *b, int64_t newest, sx_error *err)
{
    uint32_t passed = ages_passed(&db->options, b, newest);
    if (passed <= b->ages_passed)
        return SX_OK;
    sx_arena arena;
    uint32_t *ids;
    size_t count;
    sx_arena_init(&arena, 0, 0);
    sx_status status = tsdb_block_match(b, NULL, 0, &arena, &ids, &count, NULL, err);
    if (status == SX_OK)
        status = expired_ids(db, b, newest, ids, &count, err);
    if (status == SX_OK && count)
        status = tsdb_block_delete_ids(b, INT64_MIN, INT64_MAX, ids, count, err);
    if (status == SX_OK)
        b->ages_passed = passed;
    sx_arena_done(&arena);
    return status;
}

sx_status tsdb_retention_due(tsdb *db, sx_error *err)
{
    int64_t now = sx_clock_mono_ms(db->clock);
    sx_arena arena;
    tsdb_block **blocks = NULL;
    size_t count = 0;
    if (db->retention_ms && now - db->retention_ms < RETENTION_EVERY_MS)
        return SX_OK;
    db->retention_ms = now ? now : 1;
    sx_arena_init(&arena, 0, 0);
    sx_status status = tsdb_blocks_hold(db, &arena, &blocks, &count, err);
    if (status == SX_OK) {
        int64_t newest = newest_time(db, blocks, count);
        status = drop_old(db, blocks, &count, newest, err);
        for (size_t i = 0; db->options.rule_count && i < count && status == SX_OK; i++)
            status = expire_series(db, blocks[i], newest, err);
        tsdb_blocks_release(blocks, count);
    }
    sx_arena_done(&arena);
    return status;
}

/* --- Tombstones taken out. */

sx_status tsdb_clean_tombstones(tsdb *db, sx_error *err)
{
    sx_arena arena;
    tsdb_block **blocks = NULL;
    size_t count = 0;
    sx_status status = tsdb_wait_writable(db, err);
    if (status != SX_OK)
        return status;
    sx_arena_init(&arena, 0, 0);
    pthread_mutex_lock(&db->maintenance);
    status = tsdb_blocks_hold(db, &arena, &blocks, &count, err);
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        pthread_rwlock_rdlock(&blocks[i]->stones_lock);
        bool has = blocks[i]->stones.count > 0;
        pthread_rwlock_unlock(&blocks[i]->stones_lock);
        if (has && blocks[i]->index.version == 2)
            status = tsdb_compact(db, &blocks[i], 1, err);
    }
    if (blocks)
        tsdb_blocks_release(blocks, count);
    pthread_mutex_unlock(&db->maintenance);
    sx_arena_done(&arena);
    return status;
}

/* --- Snapshots. */

static sx_status link_file(const char *from, const char *to, sx_error *err)
{
    if (link(from, to) != 0)
        return sx_fail_os(err, errno, "cannot link %s to %s", from, to);
    return SX_OK;
}

/* Links every file of a folder; meta.json and tombstones, which are replaced whole when they change,
 * are as good linked as the rest. */
static sx_status link_folder(const char *from, const char *to, sx_error *err)
{
    sx_arena arena;
    sx_str *names;
    size_t count = 0;
    sx_arena_init(&arena, 0, 0);
    sx_status status = sx_folder_make(to, err);
    if (status == SX_OK)
        status = sx_folder_list(from, 0, &arena, &names, &count, err);
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        sx_file_info info;
        sx_str a = sx_arena_printf(&arena, "%s/%.*s", from, SX_ARG(names[i]));
        sx_str b = sx_arena_printf(&arena, "%s/%.*s", to, SX_ARG(names[i]));
        if (!a.data || !b.data)
            status = sx_fail_memory(err, "snapshot");
        else if (sx_file_stat(a.data, &info, NULL) == SX_OK && info.is_folder)
            status = link_folder(a.data, b.data, err);
        else
            status = link_file(a.data, b.data, err);
    }
    sx_arena_done(&arena);
    return status == SX_OK ? sx_folder_sync(to, err) : status;
}

static sx_status snapshot_name(const tsdb *db, sx_buf *name, sx_error *err)
{
    char time[SX_TIME_RFC3339_BYTES];
    uint8_t random[8];
    sx_status status = sx_random_bytes(random, sizeof random, err);
    if (status != SX_OK)
        return status;
    sx_time_rfc3339(sx_clock_ns(db->clock), 0, time);
    for (const char *p = time; *p; p++) /* 2026-07-01T12:00:00Z: 20260701T120000Z- */
        if (*p != '-' && *p != ':')
            sx_buf_byte(name, *p);
    sx_buf_byte(name, '-');
    for (size_t i = 0; i < sizeof random; i++)
        sx_buf_printf(name, "%02x", random[i]);
    return sx_buf_status(name, "name of a snapshot", err);
}

sx_status tsdb_snapshot(tsdb *db, bool skip_head, sx_buf *name, sx_error *err)
{
    char dir[TSDB_PATH_BYTES], to[TSDB_PATH_BYTES];
    sx_arena arena;
    tsdb_block **blocks = NULL;
    size_t count = 0;
    sx_status status = tsdb_wait_writable(db, err);
    if (status != SX_OK)
        return status;
    sx_arena_init(&arena, 0, 0);
    size_t begin = name->len;
    status = snapshot_name(db, name, err);
    if (status == SX_OK) {
        int n = snprintf(dir, sizeof dir, "%s/snapshots/%.*s", db->dir, (int)(name->len - begin),
                         name->data + begin);
        if (n <= 0 || n >= (int)sizeof dir)
            status = sx_fail(err, SX_ELIMIT, "path too long: %s", db->dir);
    }
    pthread_mutex_lock(&db->maintenance);
    if (status == SX_OK)
        status = sx_folder_make(dir, err);
    if (status == SX_OK)
        status = tsdb_blocks_hold(db, &arena, &blocks, &count, err);
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        int n = snprintf(to, sizeof to, "%s/%s", dir, blocks[i]->meta.ulid);
        status = n > 0 && n < (int)sizeof to ? link_folder(blocks[i]->dir, to, err)
                                             : sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
    }
    tsdb_head_stats stats;
    tsdb_head_stats_read(db->head, &stats);
    if (status == SX_OK && !skip_head && stats.max_t != INT64_MIN)
        status = tsdb_cut_copy(db, dir, INT64_MIN, stats.max_t, err);
    if (blocks)
        tsdb_blocks_release(blocks, count);
    pthread_mutex_unlock(&db->maintenance);
    sx_arena_done(&arena);
    return status == SX_OK ? sx_folder_sync(dir, err) : status;
}

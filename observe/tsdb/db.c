/* db.c - the database opened, kept and closed; see db.h.
 *
 * tsdb_open takes the lock and starts four threads: one replays the log and ends, the others look
 * once a second at what is due: one for the log, one for the blocks, one for snapshots of the head
 * (tsdb_maintain). Queriers and appenders wait for the replay. */
#include "observe/tsdb/db.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "observe/tsdb/ahead.h"
#include "observe/tsdb/blocks.h"
#include "observe/tsdb/head_image.h"

static const int64_t DAY_MS = INT64_C(86400000), SECOND_NS = INT64_C(1000000000);

enum { LOW_PRIORITY = 10 };

sx_status tsdb_path(const tsdb *db, const char *name, char path[TSDB_PATH_BYTES], sx_error *err)
{
    int n = snprintf(path, TSDB_PATH_BYTES, "%s/%s", db->dir, name);
    return n > 0 && n < TSDB_PATH_BYTES ? SX_OK
                                        : sx_fail(err, SX_ELIMIT, "path too long: %s", db->dir);
}

static sx_status fill_options(tsdb_options *o, sx_error *err)
{
    if (o->retention_ms <= 0)
        o->retention_ms = TSDB_RETENTION_DEFAULT_MS;
    if (o->block_ms <= 0)
        o->block_ms = DAY_MS / 12;
    if (o->block_ms_max <= 0) {
        o->block_ms_max = o->retention_ms / 10;
        if (o->block_ms_max > 31 * DAY_MS)
            o->block_ms_max = 31 * DAY_MS;
    }
    if (o->block_ms_max < o->block_ms)
        o->block_ms_max = o->block_ms;
    if (o->exemplars_max == 0)
        o->exemplars_max = 100000;
    if (o->fsync_interval_ms <= 0)
        o->fsync_interval_ms = 1000;
    if (o->shards == 0)
        o->shards = TSDB_HEAD_SHARDS_MAX;
    if (o->wal_segment_bytes && o->wal_segment_bytes < TSDB_WAL_PAGE_BYTES)
        return sx_fail(err, SX_EINVAL, "log segments of %llu bytes: at least one page of %d",
                       (unsigned long long)o->wal_segment_bytes, TSDB_WAL_PAGE_BYTES);
    return SX_OK;
}

/* --- The head as a source. */

static tsdb *of_head_source(tsdb_source *s)
{
    return (tsdb *)(void *)((char *)s - offsetof(tsdb, head_source));
}

static sx_status head_select(tsdb_source *s, const tsdb_hints *hints, const tsdb_matcher *matchers,
                             size_t count, sx_arena *arena, tsdb_selection *out,
                             const _Atomic bool *canceled, sx_error *err)
{
    return tsdb_head_select(of_head_source(s)->head, hints, matchers, count, arena, out, canceled,
                            err);
}

static sx_status head_read(tsdb_source *s, uint64_t handle, int64_t min_t, int64_t max_t,
                           tsdb_columns *out, sx_error *err)
{
    return tsdb_head_read(of_head_source(s)->head, handle, min_t, max_t, out, err);
}

static void head_ahead(tsdb_source *s, const tsdb_series *first, int64_t min_t, int64_t max_t,
                       tsdb_columns *out)
{
    tsdb_head *h = of_head_source(s)->head;
    tsdb_ref refs[TSDB_AHEAD_SERIES] = {first->handle[0]};
    size_t n = 1;
    if (tsdb_head_is_ahead(h, refs[0], min_t, max_t, out))
        return;
    for (uint32_t i = 0; i < out->following && n < TSDB_AHEAD_SERIES; i++) {
        const tsdb_series *next = out->order ? &out->selected[out->order[i]] : first + 1 + i;
        if (next->handle[1] == first->handle[1])
            refs[n++] = next->handle[0];
    }
    tsdb_head_ahead(h, refs, n, min_t, max_t, out);
}

static sx_status head_names(tsdb_source *s, sx_arena *arena, sx_str **out, size_t *count,
                            sx_error *err)
{
    return tsdb_head_names(of_head_source(s)->head, arena, out, count, err);
}

static sx_status head_values(tsdb_source *s, sx_str name, sx_arena *arena, sx_str **out,
                             size_t *count, sx_error *err)
{
    return tsdb_head_values(of_head_source(s)->head, name, arena, out, count, err);
}

static sx_status head_hold(tsdb_source *s, void **memory, sx_error *err)
{
    tsdb_head_reader *reader = sx_calloc(1, sizeof *reader);
    if (!reader)
        return sx_fail_memory(err, "querier");
    tsdb_head_enter(of_head_source(s)->head, reader);
    *memory = reader;
    return SX_OK;
}

static void head_release(tsdb_source *s, void *memory)
{
    tsdb_head_leave(of_head_source(s)->head, memory);
    sx_free(memory);
}

/* Times before the floor are in blocks but for late samples, which a snapshot may have all. */
static sx_status wait_for_times(tsdb *db, int64_t max_t, sx_error *err)
{
    pthread_mutex_lock(&db->state_lock);
    while (!db->ready && !(db->early && max_t < db->early_t))
        pthread_cond_wait(&db->changed, &db->state_lock);
    bool early = !db->ready;
    pthread_mutex_unlock(&db->state_lock);
    return early ? SX_OK : tsdb_wait_ready(db, err);
}

static sx_status open_querier(tsdb_queryable *self, int64_t min_t, int64_t max_t,
                              tsdb_querier **out, sx_error *err)
{
    tsdb *db = (tsdb *)self; /* its first member */
    sx_status status = wait_for_times(db, max_t, err);
    if (status != SX_OK)
        return status;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    /* The list's lock is held until the querier holds what it reads: a block that comes into the list
     * is there before the head lets go of what is in it. */
    pthread_rwlock_rdlock(&db->blocks.lock);
    size_t count = 0;
    tsdb_source **sources = sx_arena_alloc(&arena, (db->blocks.count + 1) * sizeof *sources);
    for (size_t i = 0; sources && i < db->blocks.count; i++) {
        tsdb_source *s = &db->blocks.items[i]->source;
        if (s->min_t <= max_t && s->max_t >= min_t)
            sources[count++] = s;
    }
    if (sources) {
        sources[count++] = &db->head_source;
        status = tsdb_querier_over(sources, count, min_t, max_t, out, err);
    } else {
        status = sx_fail_memory(err, "querier");
    }
    pthread_rwlock_unlock(&db->blocks.lock);
    sx_arena_done(&arena);
    return status;
}

/* --- What is done in the background. */

static sx_status keep_log(tsdb *db, sx_error *err)
{
    int64_t now = sx_clock_mono_ms(db->clock);
    (void)tsdb_head_chunks_flush(db->chunks, NULL); /* only to keep the buffer small */
    if (db->options.fsync != TSDB_FSYNC_INTERVAL ||
        now - atomic_load_explicit(&db->synced_at_ms, memory_order_relaxed) <
            db->options.fsync_interval_ms)
        return SX_OK;
    atomic_store_explicit(&db->synced_at_ms, now, memory_order_relaxed);
    sx_status status = tsdb_wal_sync(db->wal, err);
    sx_status late = tsdb_wal_sync(db->wbl, status == SX_OK ? err : NULL);
    return status == SX_OK ? late : status;
}

/* Each part is tried even if one before it has failed; the first failure is told. */
static sx_status keep_blocks(tsdb *db, sx_error *err)
{
    sx_error why[4];
    sx_status status[4] = {SX_OK}, first = SX_OK;
    bool did = true;
    pthread_mutex_lock(&db->maintenance);
    tsdb_blocks_set_aside(db);
    status[0] = tsdb_cut_finish(db, &why[0]);
    status[1] = tsdb_cut_due(db, &why[1]);
    while (did && status[2] == SX_OK && !atomic_load_explicit(&db->canceled, memory_order_relaxed))
        status[2] = tsdb_compact_due(db, &did, &why[2]);
    status[3] = tsdb_retention_due(db, &why[3]);
    pthread_mutex_unlock(&db->maintenance);
    for (unsigned i = 0; i < 4; i++) {
        if (status[i] == SX_OK || status[i] == SX_ECANCELED)
            continue;
        tsdb_note(db, true, "blocks: %s", why[i].message);
        if (first == SX_OK && err)
            *err = why[i];
        first = first == SX_OK ? status[i] : first;
    }
    return first;
}

/* --- Threads. */

sx_status tsdb_wait_ready(tsdb *db, sx_error *err)
{
    pthread_mutex_lock(&db->state_lock);
    while (!db->ready)
        pthread_cond_wait(&db->changed, &db->state_lock);
    sx_status status = db->failure.status;
    if (status != SX_OK && err)
        *err = db->failure;
    pthread_mutex_unlock(&db->state_lock);
    return status;
}

sx_status tsdb_wait_writable(tsdb *db, sx_error *err)
{
    if (db->options.read_only)
        return sx_fail(err, SX_EACCESS, "the database %s was opened for reading only", db->dir);
    return tsdb_wait_ready(db, err);
}

static void *replay_thread(void *context)
{
    tsdb *db = context;
    sx_error err = {0};
    sx_status status = tsdb_replay(db, &err);
    pthread_mutex_lock(&db->state_lock);
    if (status != SX_OK)
        db->failure = err;
    db->failure.status = status;
    db->ready = true;
    pthread_cond_broadcast(&db->changed);
    pthread_mutex_unlock(&db->state_lock);
    return NULL;
}

/* Calls `work` once a second of real time until the database is closed. */
static void every_second(tsdb *db, sx_status (*work)(tsdb *db, sx_error *err))
{
    pthread_mutex_lock(&db->state_lock);
    while (!db->stopping) {
        int64_t then = sx_clock_mono_ns(sx_clock_system()) + SECOND_NS;
        struct timespec until = {then / SECOND_NS, then % SECOND_NS};
        pthread_cond_timedwait(&db->changed, &db->state_lock, &until);
        if (db->stopping || !db->ready || db->failure.status != SX_OK)
            continue;
        pthread_mutex_unlock(&db->state_lock);
        sx_error err;
        (void)work(db, &err); /* what failed is due again later, and is counted */
        pthread_mutex_lock(&db->state_lock);
    }
    pthread_mutex_unlock(&db->state_lock);
}

static void *keeper_thread(void *context)
{
    every_second(context, keep_log);
    return NULL;
}

/* Cutting and compacting takes long and can wait: it has a thread of its own, and yields to others. */
static void *block_thread(void *context)
{
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), LOW_PRIORITY);
    every_second(context, keep_blocks);
    return NULL;
}

/* Writing a snapshot waits for the disk, which must delay neither the log nor the blocks. */
static void *image_thread(void *context)
{
    every_second(context, tsdb_image_due);
    return NULL;
}

static sx_status start_thread(pthread_t *thread, bool *running, void *(*run)(void *), tsdb *db,
                              sx_error *err)
{
    int code = pthread_create(thread, NULL, run, db);
    if (code != 0)
        return sx_fail_os(err, code, "cannot start a thread of the database");
    *running = true;
    return SX_OK;
}

/* --- Life. */

static sx_status open_parts(tsdb *db, sx_error *err)
{
    char path[TSDB_PATH_BYTES];
    sx_status status = SX_OK;
    if (!db->options.read_only) {
        status = sx_folder_make(db->dir, err);
        if (status == SX_OK)
            status = tsdb_path(db, "lock", path, err);
        if (status == SX_OK)
            status = sx_file_lock_open(&db->lock, path, err);
        if (status == SX_REFUSED) {
            sx_error_prefix(err, status, "data directory %s", db->dir);
            if (err)
                err->status = SX_EEXIST;
            return SX_EEXIST;
        }
        if (status == SX_OK)
            status = tsdb_path(db, "chunks_head", path, err);
        if (status == SX_OK)
            status = tsdb_head_chunks_open(path, &db->chunks, err);
    } else {
        status = tsdb_head_chunks_open(NULL, &db->chunks, err);
    }
    if (status == SX_OK)
        status = tsdb_side_init(&db->side, db->options.exemplars_max, err);
    tsdb_head_options head = {
        .shards = db->options.shards,
        .block_ms = db->options.block_ms,
        .out_of_order_ms = db->options.out_of_order_ms ? db->options.out_of_order_ms : INT64_MAX,
        .memory_max = db->options.memory_max,
        .series_max = db->options.series_max,
        .chunks = db->chunks,
    };
    if (status == SX_OK)
        status = tsdb_head_new(&head, &db->head, err);
    if (status == SX_OK)
        status = tsdb_blocks_open(db, err);
    if (status == SX_OK)
        status = start_thread(&db->replay_thread, &db->replaying, replay_thread, db, err);
    if (status == SX_OK && !db->options.clock && !db->options.read_only)
        status = start_thread(&db->keeper_thread, &db->keeping, keeper_thread, db, err);
    if (status == SX_OK && db->keeping)
        status = start_thread(&db->block_thread, &db->blocking, block_thread, db, err);
    if (status == SX_OK && db->keeping)
        status = start_thread(&db->image_thread, &db->imaging, image_thread, db, err);
    return status;
}

static void init_state(tsdb *db)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&db->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&db->state_lock, NULL);
    pthread_rwlockattr_t lock;
    pthread_rwlockattr_init(&lock);
    /* Commits come all the time: without this a snapshot or a cut might never get its turn. */
    pthread_rwlockattr_setkind_np(&lock, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&db->truncation, &lock);
    pthread_rwlockattr_destroy(&lock);
    pthread_rwlock_init(&db->blocks.lock, NULL);
    pthread_mutex_init(&db->maintenance, NULL);
}

sx_status tsdb_open(const char *dir, const tsdb_options *options, tsdb **out, sx_error *err)
{
    static const tsdb_source_ops HEAD = {head_select, head_read, head_ahead,  head_names,
                                         head_values, head_hold, head_release};
    tsdb *db = sx_calloc(1, sizeof *db);
    size_t len = strlen(dir);
    char *copy = sx_alloc(len + 1);
    if (!db || !copy) {
        sx_free(db);
        sx_free(copy);
        return sx_fail_memory(err, "database");
    }
    memcpy(copy, dir, len + 1);
    db->dir = copy;
    db->lock.fd = -1;
    if (options)
        db->options = *options;
    db->clock = db->options.clock ? db->options.clock : sx_clock_system();
    db->queryable.querier = open_querier;
    db->appendable.appender = tsdb_appender_new;
    db->head_source = (tsdb_source){&HEAD, INT64_MIN, INT64_MAX};
    db->floor_t = INT64_MIN;
    init_state(db);
    sx_status status = fill_options(&db->options, err);
    db->longest_ms = tsdb_retention_longest(&db->options);
    if (status == SX_OK)
        status = open_parts(db, err);
    if (status != SX_OK) {
        tsdb_close(db);
        return status;
    }
    *out = db;
    return SX_OK;
}

void tsdb_close(tsdb *db)
{
    if (!db)
        return;
    atomic_store(&db->canceled, true);
    if (db->replaying)
        pthread_join(db->replay_thread, NULL);
    pthread_mutex_lock(&db->state_lock);
    db->stopping = true;
    pthread_cond_broadcast(&db->changed);
    pthread_mutex_unlock(&db->state_lock);
    if (db->keeping)
        pthread_join(db->keeper_thread, NULL);
    if (db->blocking)
        pthread_join(db->block_thread, NULL);
    if (db->imaging)
        pthread_join(db->image_thread, NULL);
    sx_error err;
    if (db->ready && db->failure.status == SX_OK && db->wal && db->wbl &&
        tsdb_image_write(db, &err) != SX_OK)
        tsdb_note(db, true, "%s", err.message); /* the next start reads the log */
    tsdb_wal_close(db->wal);
    tsdb_wal_close(db->wbl);
    tsdb_head_free(db->head);
    tsdb_head_chunks_close(db->chunks);
    tsdb_side_done(&db->side);
    tsdb_ref_map_done(&db->refs);
    sx_file_lock_close(&db->lock);
    pthread_cond_destroy(&db->changed);
    pthread_mutex_destroy(&db->state_lock);
    pthread_rwlock_destroy(&db->truncation);
    tsdb_blocks_close(db);
    pthread_rwlock_destroy(&db->blocks.lock);
    pthread_mutex_destroy(&db->maintenance);
    sx_free(db->dir);
    sx_free(db);
}

tsdb_queryable *tsdb_queryable_of(tsdb *db)
{
    return &db->queryable;
}

tsdb_appendable *tsdb_appendable_of(tsdb *db)
{
    return &db->appendable;
}

bool tsdb_ready(const tsdb *db, uint32_t *done, uint32_t *all)
{
    tsdb *open = (tsdb *)db; /* the lock is not part of what is told */
    *done = atomic_load(&open->segments_done);
    *all = atomic_load(&open->segments_all);
    pthread_mutex_lock(&open->state_lock);
    bool ready = open->ready;
    pthread_mutex_unlock(&open->state_lock);
    return ready;
}

sx_status tsdb_maintain(tsdb *db, sx_error *err)
{
    sx_status status = tsdb_wait_ready(db, err);
    if (status != SX_OK || db->options.read_only)
        return status;
    status = keep_log(db, err);
    sx_status blocks = keep_blocks(db, status == SX_OK ? err : NULL);
    status = status == SX_OK ? blocks : status;
    sx_status image = tsdb_image_due(db, status == SX_OK ? err : NULL);
    return status == SX_OK ? image : status;
}

void tsdb_stats_read(const tsdb *db, tsdb_stats *out)
{
    tsdb *open = (tsdb *)db; /* reading takes locks */
    tsdb_head_stats head;
    uint32_t done, all;
    tsdb_head_stats_read(open->head, &head);
    *out = (tsdb_stats){.series = head.series,
                        .chunks = head.chunks,
                        .label_pairs = head.pairs,
                        .head_bytes = head.bytes,
                        .min_t = head.min_t,
                        .max_t = head.max_t};
    for (unsigned i = 0; i < 2; i++)
        out->appended[i] = atomic_load_explicit(&open->appended[i], memory_order_relaxed);
    for (unsigned i = 0; i < TSDB_REFUSALS; i++)
        out->refused[i] = atomic_load_explicit(&open->refused[i], memory_order_relaxed);
    if (tsdb_ready(db, &done, &all) && open->wal && open->wbl) {
        out->wal_bytes = tsdb_wal_bytes(open->wal) + tsdb_wal_bytes(open->wbl);
        out->wal_failures = tsdb_wal_failures(open->wal) + tsdb_wal_failures(open->wbl);
    }
    out->snapshots = atomic_load_explicit(&open->image.written, memory_order_relaxed);
    out->snapshots_failed = atomic_load_explicit(&open->image.failures, memory_order_relaxed);
    out->snapshot_bytes = atomic_load_explicit(&open->image.last_bytes, memory_order_relaxed);
    out->snapshot_ns = atomic_load_explicit(&open->image.last_ns, memory_order_relaxed);
    out->snapshot_pause_ns = atomic_load_explicit(&open->image.last_pause_ns, memory_order_relaxed);
    out->compactions = atomic_load_explicit(&open->compactions, memory_order_relaxed);
    out->compactions_failed = atomic_load_explicit(&open->compactions_failed, memory_order_relaxed);
    out->blocks_corrupt = atomic_load_explicit(&open->blocks_corrupt, memory_order_relaxed);
    pthread_rwlock_rdlock(&open->blocks.lock);
    out->blocks = open->blocks.count;
    for (size_t i = 0; i < open->blocks.count; i++)
        out->block_bytes += open->blocks.items[i]->bytes;
    pthread_rwlock_unlock(&open->blocks.lock);
    out->wal_corruptions = atomic_load_explicit(&open->corruptions, memory_order_relaxed);
}

/* flush.c - memtables become segments: turning over, the thread that writes, and the log that goes. */
#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>

#include <sextant/mem.h>

#include "observe/traces/store_impl.h"

enum { TICK_MS = 100 };

tr_set *tr_set_new(tr_store *s, sx_error *err)
{
    tr_set *set = sx_calloc(1, sizeof *set);
    if (!set) {
        sx_fail_memory(err, "memtables");
        return NULL;
    }
    for (uint32_t k = 0; k < s->shards; k++) {
        set->tables[k] = tr_pool_take(s->pool, k, err);
        if (!set->tables[k]) {
            tr_set_free(set);
            return NULL;
        }
    }
    return set;
}

void tr_set_free(tr_set *set)
{
    for (uint32_t k = 0; set && k < TR_SHARDS_MAX; k++)
        tr_memtable_unref(set->tables[k]);
    sx_free(set);
}

static bool is_empty(const tr_store *s, const tr_set *set)
{
    for (uint32_t k = 0; k < s->shards; k++)
        if (atomic_load_explicit(&set->tables[k]->used, memory_order_relaxed))
            return false;
    return true;
}

/* New memtables and a new log begin; nothing happens if the ones there are empty. */
sx_status tr_store_turn(tr_store *s, sx_error *err)
{
    tr_set *fresh = tr_set_new(s, err);
    if (!fresh)
        return err ? err->status : SX_ENOMEM;
    /* What it waits for is synced before the gate is shut, so that intake stands still for little. */
    sx_status status = tr_log_sync(s->log, err);
    pthread_rwlock_wrlock(&s->gate);
    bool turned = false;
    tr_view *v = NULL, *old = NULL;
    if (status == SX_OK && !is_empty(s, s->active)) {
        if (tr_store_sets(s) >= TR_SETS_MAX)
            status = sx_fail(err, SX_ELIMIT, "too many memtables wait to be written");
        else if (!(v = tr_view_prepare(s, 0, err)))
            status = SX_ENOMEM;
        else
            status = tr_log_turn(s->log, s->generation + 1, err);
        turned = status == SX_OK;
    }
    if (turned) {
        pthread_mutex_lock(&s->lock);
        s->generation++;
        fresh->first_log = fresh->last_log = s->generation;
        s->active->sequence = s->next_sequence++;
        s->active->next = fresh;
        s->active = fresh;
        s->turned++;
        old = tr_view_put(s, v, NULL, 0, NULL, 0, NULL);
        pthread_mutex_unlock(&s->lock);
    }
    pthread_rwlock_unlock(&s->gate);
    tr_view_unref(turned ? old : v);
    if (!turned)
        tr_set_free(fresh);
    return status;
}

static sx_status write_shard(tr_store *s, const tr_set *set, uint32_t k, uint64_t number,
                             tr_piece **out, sx_error *err)
{
    char path[TR_PATH_BYTES];
    tr_segment_info info;
    tr_segment *segment = NULL;
    tr_write_options options = {
        .sequence = set->sequence, .sync = s->o.fsync != TR_FSYNC_NONE, .canceled = NULL};
    sx_status status = tr_segment_name(s->dir, number, path, err);
    if (status == SX_OK)
        status = tr_segment_write(path, &set->tables[k]->rows, &options, &info, err);
    if (status == SX_OK)
        status = tr_segment_open(path, &segment, err);
    if (status == SX_OK) {
        *out = tr_piece_new(s, segment, number, k, false);
        if (!*out) {
            tr_segment_unref(segment);
            status = sx_fail_memory(err, "segment");
        }
    }
    return status;
}

void tr_remove_logs(tr_store *s, const tr_set *set)
{
    char path[TR_PATH_BYTES];
    for (uint32_t g = set->first_log; g <= set->last_log; g++)
        if (tr_log_path(s->wal_dir, g, path, NULL) == SX_OK)
            (void)sx_file_remove(path, NULL); /* else the next start does it */
}

static void note_flush(tr_store *s, sx_status status, const sx_error *err, int64_t took_ns)
{
    bool full = status != SX_OK && (err->os_errno == ENOSPC || err->os_errno == EDQUOT);
    pthread_mutex_lock(&s->lock);
    if (status == SX_OK)
        s->failure = (sx_error){0};
    else
        s->failure = *err;
    s->merge_due = true;
    pthread_cond_broadcast(&s->room);
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
    if (full)
        atomic_store(&s->disk_full, true);
    if (status == SX_OK && s->meters.flushes) {
        sx_counter_add(s->meters.flushes, 1);
        sx_counter_add_float(s->meters.flush_ns, (double)took_ns / 1e9);
    }
    if (status != SX_OK && s->logger)
        SX_LOG_ERROR(s->logger, NULL, "cannot write spans to a segment; they stay in the log",
                     sx_field_str("error", sx_str_z(err->message)));
}

/* Writes the oldest set that is not being filled. */
sx_status tr_flush_one(tr_store *s, bool *did, sx_error *err)
{
    sx_error here = {0};
    err = err ? err : &here;
    *did = false;
    pthread_mutex_lock(&s->change);
    pthread_mutex_lock(&s->lock);
    tr_set *set = s->sets != s->active ? s->sets : NULL;
    pthread_mutex_unlock(&s->lock);
    if (!set) {
        pthread_mutex_unlock(&s->change);
        return SX_OK;
    }
    int64_t began = sx_clock_mono_ns(s->clock);
    tr_piece *come[TR_SHARDS_MAX];
    size_t count = 0;
    sx_status status = SX_OK;
    for (uint32_t k = 0; k < s->shards && status == SX_OK; k++)
        if (set->tables[k]->rows.count) {
            status = write_shard(s, set, k, s->next_number++, &come[count], err);
            count += status == SX_OK;
        }
    for (size_t i = 0; i < count && status != SX_OK; i++)
        tr_segment_drop(come[i]->segment);
    if (status == SX_OK)
        status = tr_store_commit(s, NULL, 0, come, count, set, err);
    for (size_t i = 0; i < count; i++)
        tr_piece_unref(come[i]);
    if (status == SX_OK) {
        tr_set_free(set);
        *did = true;
    }
    pthread_mutex_unlock(&s->change);
    note_flush(s, status, err, sx_clock_mono_ns(s->clock) - began);
    return status;
}

/* Sees whether there is room on the disk, and tells intake. */
static void look_at_disk(tr_store *s)
{
    struct statvfs room;
    if (statvfs(s->dir, &room) != 0)
        return;
    bool full = (uint64_t)room.f_bavail * room.f_frsize < s->o.disk_free_min;
    bool was = atomic_exchange(&s->disk_full, full);
    if (s->meters.disk_full)
        sx_gauge_set(s->meters.disk_full, full);
    if (full != was && s->logger)
        SX_LOG_WARN(s->logger, NULL,
                    full ? "no room on the disk: spans are refused"
                         : "there is room on the disk again: spans are taken",
                    sx_field_str("dir", sx_str_z(s->dir)));
}

sx_status tr_store_flush(tr_store *s, sx_error *err)
{
    if (s->o.read_only)
        return SX_OK;
    if (atomic_load(&s->disk_full)) /* who has made room need not wait for the next tick */
        look_at_disk(s);
    bool did = true;
    sx_status status = tr_store_turn(s, err);
    while (status == SX_ELIMIT && did) { /* others turn over as well: theirs first */
        status = tr_flush_one(s, &did, err);
        status = status == SX_OK ? tr_store_turn(s, err) : status;
    }
    for (did = true; status == SX_OK && did;)
        status = tr_flush_one(s, &did, err);
    return status;
}

/* --- The thread. */

static bool is_old(tr_store *s)
{
    int64_t born = s->active->born_ms;
    return born && sx_clock_mono_ms(s->clock) - born >= s->o.memtable_age_ms;
}

static void wait_tick(tr_store *s)
{
    struct timespec until = tr_until(TICK_MS);
    pthread_cond_timedwait(&s->work, &s->lock, &until);
}

void *tr_flusher_run(void *store)
{
    tr_store *s = store;
    sx_telemetry_thread_join();
    int64_t synced_ms = sx_clock_mono_ms(s->clock);
    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        bool turn = s->want_turn || is_old(s), failed = s->failure.status != SX_OK;
        bool waiting = s->sets != s->active && !failed;
        if (!turn && !waiting)
            wait_tick(s);
        turn = s->want_turn || is_old(s);
        s->want_turn = false;
        s->failure = (sx_error){0};
        /* No more sets than two wait: else memory would be held by half-empty ones. */
        bool many = s->turned - s->flushed >= 2;
        pthread_mutex_unlock(&s->lock);
        sx_error err = {0};
        look_at_disk(s);
        if (turn && !many)
            (void)tr_store_turn(s, &err); /* else it is tried again at the next tick */
        bool did;
        (void)tr_flush_one(s, &did, &err);
        int64_t now_ms = sx_clock_mono_ms(s->clock);
        if (s->o.fsync == TR_FSYNC_INTERVAL && now_ms - synced_ms >= s->o.fsync_interval_ms) {
            (void)tr_log_sync(s->log, &err);
            synced_ms = now_ms;
        }
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    sx_telemetry_thread_leave();
    return NULL;
}

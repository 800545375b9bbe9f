/* store.c - the trace store opened, filled, closed; see store.h. open.c replays the log, flush.c turns
 * over and writes segments, compact.c merges and retires them, search.c and names.c ask. */
#include "observe/traces/store_impl.h"

#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "observe/spans/otlp.h"

#define DAY_MS INT64_C(86400000)

static void take_defaults(tr_store *s, const tr_store_options *options)
{
    tr_store_options *o = &s->o;
    *o = *options;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t n = cores < 1 ? 1 : cores > 8 ? 8 : (uint32_t)cores;
    o->retention_ms = o->retention_ms ? o->retention_ms : 7 * DAY_MS;
    if (o->retention_error_ms < o->retention_ms)
        o->retention_error_ms = o->retention_ms;
    if (o->retention_slow_ms < o->retention_ms)
        o->retention_slow_ms = o->retention_ms;
    o->slow_ns = o->slow_ns ? o->slow_ns : 1000000000;
    o->memory_max = o->memory_max ? o->memory_max : 96 << 20;
    o->memtable_bytes = o->memtable_bytes ? o->memtable_bytes : 32 << 20;
    o->memtable_age_ms = o->memtable_age_ms ? o->memtable_age_ms : 60000;
    o->merge_bytes_max = o->merge_bytes_max ? o->merge_bytes_max : UINT64_C(2) << 30;
    o->fsync_interval_ms = o->fsync_interval_ms ? o->fsync_interval_ms : 1000;
    o->disk_free_min = o->disk_free_min ? o->disk_free_min : 256 << 20;
    o->search_threads = o->search_threads ? o->search_threads : n;
    s->shards = 1;
    uint32_t wanted = o->shards ? o->shards : n;
    while (s->shards < wanted && s->shards < TR_SHARDS_MAX)
        s->shards *= 2;
    s->clock = o->clock ? o->clock : sx_clock_system();
}

/* --- What /metrics shows. */

static sx_counter *counter_of(sx_metrics *m, const char *name, const char *help)
{
    sx_metric *metric;
    if (sx_metric_new(m,
                      &(sx_metric_options){.kind = SX_METRIC_COUNTER, .name = name, .help = help},
                      &metric, NULL) != SX_OK)
        return NULL;
    return sx_metric_counter(metric, NULL, 0);
}

static sx_gauge *gauge_of(sx_metrics *m, const char *name, const char *help)
{
    sx_metric *metric;
    if (sx_metric_new(m, &(sx_metric_options){.kind = SX_METRIC_GAUGE, .name = name, .help = help},
                      &metric, NULL) != SX_OK)
        return NULL;
    return sx_metric_gauge(metric, NULL, 0);
}

static void make_meters(tr_store *s)
{
    sx_metrics *m = s->o.kit ? s->o.kit->metrics : NULL;
    s->logger = s->o.kit && s->o.kit->log ? sx_log_logger(s->o.kit->log, "traces") : NULL;
    if (!m)
        return;
    static const char *const LABELS[] = {"reason"};
    tr_meters *x = &s->meters;
    sx_metric *refused;
    x->spans = counter_of(m, "sextant_traces_spans_total", "Spans taken into the trace store.");
    x->flushes = counter_of(m, "sextant_traces_flushes_total", "Memtables written as segments.");
    x->flush_ns = counter_of(m, "sextant_traces_flush_seconds_total", "Time spent on flushes.");
    x->merges = counter_of(m, "sextant_traces_merges_total", "Merges of segments.");
    x->merge_ns = counter_of(m, "sextant_traces_merge_seconds_total", "Time spent on merges.");
    x->log_bytes = counter_of(m, "sextant_traces_log_bytes_total", "Bytes written to the log.");
    x->queries = counter_of(m, "sextant_traces_queries_total", "Questions asked of the store.");
    x->dropped = counter_of(m, "sextant_traces_segments_retired_total",
                            "Segments removed because of their age or for room.");
    x->corrupt = counter_of(m, "sextant_traces_segments_corrupt_total",
                            "Segments set aside because they are damaged.");
    x->segments = gauge_of(m, "sextant_traces_segments", "Segments on disk.");
    x->bytes = gauge_of(m, "sextant_traces_segment_bytes", "Bytes of segments on disk.");
    x->memtable_bytes = gauge_of(m, "sextant_traces_memtable_bytes", "Bytes of spans in memory.");
    x->disk_full =
        gauge_of(m, "sextant_traces_disk_full", "1 while intake stands still for want of room.");
    if (sx_metric_new(m,
                      &(sx_metric_options){.kind = SX_METRIC_COUNTER,
                                           .name = "sextant_traces_spans_refused_total",
                                           .help = "Spans the store did not take.",
                                           .labels = LABELS,
                                           .label_count = 1},
                      &refused, NULL) == SX_OK) {
        x->refused_memory = sx_metric_counter(refused, &SX_STR("memory"), 1);
        x->refused_disk = sx_metric_counter(refused, &SX_STR("disk"), 1);
        x->refused_other = sx_metric_counter(refused, &SX_STR("error"), 1);
    }
}

/* --- Opening. */

static char *join(const char *a, const char *b)
{
    size_t n = strlen(a) + strlen(b) + 2;
    char *out = sx_alloc(n);
    if (out)
        snprintf(out, n, "%s%s%s", a, *b ? "/" : "", b);
    return out;
}

static sx_status open_files(tr_store *s, sx_error *err)
{
    char path[TR_PATH_BYTES];
    s->dir = join(s->o.dir, "");
    s->wal_dir = join(s->o.dir, "wal");
    if (!s->dir || !s->wal_dir)
        return sx_fail_memory(err, "trace store");
    if (snprintf(path, sizeof path, "%s/LOCK", s->dir) >= (int)sizeof path)
        return sx_fail(err, SX_ELIMIT, "path too long: %s", s->dir);
    if (s->o.read_only)
        return SX_OK;
    sx_status status = sx_folder_make(s->dir, err);
    if (status == SX_OK)
        status = sx_folder_make(s->wal_dir, err);
    if (status == SX_OK)
        status = sx_file_lock_open(&s->file_lock, path, err);
    if (status == SX_REFUSED) {
        if (err)
            err->status = SX_EEXIST;
        return SX_EEXIST;
    }
    s->locked = status == SX_OK;
    return status;
}

static sx_status start_threads(tr_store *s, sx_error *err)
{
    if (s->o.read_only)
        return SX_OK;
    int rc = pthread_create(&s->flusher, NULL, tr_flusher_run, s);
    s->flusher_runs = rc == 0;
    if (rc == 0) {
        rc = pthread_create(&s->merger, NULL, tr_merger_run, s);
        s->merger_runs = rc == 0;
    }
    return rc == 0 ? SX_OK : sx_fail_os(err, rc, "cannot start the threads of the trace store");
}

sx_status tr_store_open(const tr_store_options *options, tr_store **out, sx_error *err)
{
    tr_store *s = sx_calloc(1, sizeof *s);
    if (!s)
        return sx_fail_memory(err, "trace store");
    take_defaults(s, options);
    pthread_rwlockattr_t kind;
    pthread_rwlockattr_init(&kind);
    pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&s->gate, &kind);
    pthread_rwlockattr_destroy(&kind);
    pthread_mutex_init(&s->change, NULL);
    pthread_mutex_init(&s->merging, NULL);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    pthread_cond_init(&s->room, NULL);
    make_meters(s);
    s->pool = tr_pool_new(s->shards);
    s->hot = tr_hot_new();
    sx_status status = s->pool && s->hot ? open_files(s, err) : sx_fail_memory(err, "trace store");
    if (status == SX_OK)
        status = tr_store_recover(s, err);
    if (status == SX_OK)
        status = start_threads(s, err);
    if (status != SX_OK) {
        s->o.read_only = true; /* nothing is to be flushed */
        tr_store_close(s);
        return status;
    }
    *out = s;
    return SX_OK;
}

void tr_store_close(tr_store *s)
{
    if (!s)
        return;
    sx_error ignored;
    if (!s->o.read_only)
        (void)tr_store_flush(s, &ignored); /* else the log has it */
    atomic_store(&s->stopping, true);
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->work);
    pthread_cond_broadcast(&s->room);
    pthread_mutex_unlock(&s->lock);
    if (s->flusher_runs)
        pthread_join(s->flusher, NULL);
    if (s->merger_runs)
        pthread_join(s->merger, NULL);
    tr_log_close(s->log);
    for (tr_set *set = s->sets, *next; set; set = next) {
        next = set->next;
        tr_set_free(set);
    }
    tr_view_unref(s->view);
    tr_pool_free(s->pool);
    tr_hot_free(s->hot);
    if (s->locked)
        sx_file_lock_close(&s->file_lock);
    pthread_rwlock_destroy(&s->gate);
    pthread_mutex_destroy(&s->change);
    pthread_mutex_destroy(&s->merging);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->work);
    pthread_cond_destroy(&s->room);
    sx_free(s->dir);
    sx_free(s->wal_dir);
    sx_free(s);
}

/* --- Appending. */

struct timespec tr_until(int64_t ms)
{
    int64_t ns = sx_clock_ns(sx_clock_system()) + ms * 1000000;
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

uint64_t tr_store_memory(tr_store *s)
{
    uint64_t bytes = 0;
    pthread_mutex_lock(&s->lock);
    for (const tr_set *set = s->sets; set; set = set->next)
        for (uint32_t k = 0; k < s->shards; k++)
            bytes += atomic_load_explicit(&set->tables[k]->used, memory_order_relaxed);
    pthread_mutex_unlock(&s->lock);
    return bytes;
}

/* Waits, at most append_wait_ms, until there is room for more in memory. */
static sx_status wait_for_room(tr_store *s, sx_error *err)
{
    if (sx_likely(tr_store_memory(s) <= s->o.memory_max))
        return SX_OK;
    struct timespec until = tr_until(s->o.append_wait_ms);
    int rc = s->o.append_wait_ms > 0 ? 0 : ETIMEDOUT;
    while (rc == 0 && tr_store_memory(s) > s->o.memory_max && !atomic_load(&s->disk_full)) {
        pthread_mutex_lock(&s->lock);
        s->want_turn = true;
        pthread_cond_broadcast(&s->work);
        rc = s->stop ? ETIMEDOUT : pthread_cond_timedwait(&s->room, &s->lock, &until);
        pthread_mutex_unlock(&s->lock);
    }
    if (tr_store_memory(s) <= s->o.memory_max)
        return SX_OK;
    pthread_mutex_lock(&s->lock);
    s->want_turn = true;
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
    return sx_fail(err, SX_ELIMIT,
                   "the trace store holds as many spans in memory as it may: try again later");
}

/* Into the memtables of all shards, or into none; the gate is held. The locks of shards are taken in
 * order and kept, so that a batch is seen as a whole by whoever takes a later one. */
static sx_status add_rows(tr_store *s, tr_set *set, const span_batch *b, sx_error *err)
{
    tr_mark marks[TR_SHARDS_MAX];
    uint32_t k;
    sx_status status = SX_OK;
    for (k = 0; k < s->shards && status == SX_OK; k++) {
        tr_memtable *m = set->tables[k];
        pthread_mutex_lock(&m->lock);
        marks[k] = tr_rows_mark(&m->rows);
        status = tr_memtable_put(m, b, (tr_part){s->shards - 1, k}, err);
    }
    while (k-- > 0) {
        tr_memtable *m = set->tables[k];
        if (status == SX_OK)
            tr_memtable_show(m, marks[k]);
        else
            tr_rows_rewind(&m->rows, marks[k]);
        pthread_mutex_unlock(&m->lock);
    }
    return status;
}

static sx_status append_gated(tr_store *s, const span_batch *b, sx_str otlp, sx_error *err)
{
    uint64_t sequence;
    sx_status status = tr_log_append(s->log, otlp, &sequence, err);
    if (status != SX_OK) {
        if (err && (err->os_errno == ENOSPC || err->os_errno == EDQUOT)) {
            atomic_store(&s->disk_full, true);
            status = err->status = SX_REFUSED;
        }
        return status;
    }
    status = add_rows(s, s->active, b, err);
    if (status != SX_OK) { /* or a restart would bring back what was refused */
        sx_error ignored;
        (void)tr_log_void(s->log, sequence, &ignored);
    }
    return status;
}

static void after_append(tr_store *s, size_t spans, size_t log_bytes)
{
    uint64_t used = 0;
    pthread_mutex_lock(&s->lock);
    tr_set *set = s->active;
    if (set->born_ms == 0)
        set->born_ms = sx_clock_mono_ms(s->clock);
    for (uint32_t k = 0; k < s->shards; k++)
        used += atomic_load_explicit(&set->tables[k]->used, memory_order_relaxed);
    if (used >= s->o.memtable_bytes && !s->want_turn) {
        s->want_turn = true;
        pthread_cond_broadcast(&s->work);
    }
    pthread_mutex_unlock(&s->lock);
    if (s->meters.spans) {
        sx_counter_add(s->meters.spans, spans);
        sx_counter_add(s->meters.log_bytes, log_bytes);
    }
}

static void count_refused(tr_store *s, sx_status status, size_t spans)
{
    sx_counter *c = status == SX_ELIMIT    ? s->meters.refused_memory
                    : status == SX_REFUSED ? s->meters.refused_disk
                                           : s->meters.refused_other;
    if (c)
        sx_counter_add(c, spans);
}

sx_status tr_store_append(tr_store *s, span_batch *b, sx_error *err)
{
    sx_error here = {0};
    err = err ? err : &here;
    if (s->o.read_only)
        return sx_fail(err, SX_REFUSED, "the trace store is open for reading only");
    if (b->count == 0)
        return SX_OK;
    sx_status status = SX_OK;
    sx_buf written;
    sx_buf_init(&written, 0);
    if (atomic_load_explicit(&s->disk_full, memory_order_relaxed))
        status = sx_fail(
            err, SX_REFUSED,
            "the disk of %s has less than %llu MiB free (--traces.disk-free-min): spans are "
            "refused until there is room",
            s->dir, (unsigned long long)(s->o.disk_free_min >> 20));
    if (status == SX_OK)
        status = wait_for_room(s, err);
    sx_str otlp = b->otlp;
    if (status == SX_OK && !otlp.data) {
        span_write_otlp(b, &written);
        status = sx_buf_status(&written, "batch for the log", err);
        otlp = sx_buf_view(&written);
    }
    if (status == SX_OK) {
        pthread_rwlock_rdlock(&s->gate);
        status = append_gated(s, b, otlp, err);
        pthread_rwlock_unlock(&s->gate);
    }
    if (status == SX_OK)
        after_append(s, b->count, otlp.len);
    else
        count_refused(s, status, b->count);
    sx_buf_done(&written);
    return status;
}

/* --- Committing, care. */

static void show_segments(tr_store *s)
{
    tr_store_stats about;
    if (!s->meters.segments)
        return;
    tr_store_about(s, &about);
    sx_gauge_set(s->meters.segments, (double)about.segments);
    sx_gauge_set(s->meters.bytes, (double)about.segment_bytes);
    sx_gauge_set(s->meters.memtable_bytes, (double)about.memtable_bytes);
}

/* What MANIFEST is to say. */
static sx_status list_segments(tr_store *s, tr_piece *const *gone, size_t gone_count,
                               tr_piece *const *come, size_t come_count, const tr_set *done,
                               tr_manifest *m, sx_error *err)
{
    tr_view *v = tr_view_take(s);
    *m = (tr_manifest){.log_first = done ? done->last_log + 1 : s->log_first,
                       .next_number = s->next_number};
    m->entries = sx_calloc(v->piece_count + come_count + 1, sizeof *m->entries);
    for (size_t i = 0; m->entries && i < v->piece_count + come_count; i++) {
        const tr_piece *p = i < v->piece_count ? v->pieces[i] : come[i - v->piece_count];
        bool leaves = false;
        for (size_t k = 0; k < gone_count; k++)
            leaves = leaves || gone[k] == p;
        if (!leaves)
            m->entries[m->count++] =
                (tr_manifest_entry){p->number, p->sequence, p->shard, p->level, p->reduced};
    }
    pthread_mutex_lock(&s->lock);
    m->next_sequence = s->next_sequence;
    pthread_mutex_unlock(&s->lock);
    tr_view_unref(v);
    return m->entries ? SX_OK : sx_fail_memory(err, "MANIFEST of the traces");
}

/* After a failed write: which one is there? The name may have changed before the folder's sync failed. */
typedef enum written { WRITTEN_NO, WRITTEN_YES, WRITTEN_UNKNOWN } written;
static written look_again(const tr_store *s, const tr_manifest *wanted)
{
    tr_manifest there;
    if (tr_manifest_read(s->dir, &there, NULL) != SX_OK)
        return WRITTEN_UNKNOWN;
    bool same = there.log_first == wanted->log_first && there.count == wanted->count &&
                there.next_number == wanted->next_number;
    for (size_t i = 0; same && i < there.count; i++)
        same = there.entries[i].number == wanted->entries[i].number;
    tr_manifest_done(&there);
    return same ? WRITTEN_YES : WRITTEN_NO;
}

sx_status tr_store_commit(tr_store *s, tr_piece *const *gone, size_t gone_count,
                          tr_piece *const *come, size_t come_count, tr_set *done, sx_error *err)
{
    tr_manifest m = {0};
    written is = WRITTEN_NO;
    sx_status status = list_segments(s, gone, gone_count, come, come_count, done, &m, err);
    tr_view *v = status == SX_OK ? tr_view_prepare(s, come_count, err) : NULL;
    bool sure = true; /* that MANIFEST is on the disk, so that what it no longer names may go */
    if (status == SX_OK)
        status = v ? tr_manifest_write(s->dir, &m, err) : SX_ENOMEM;
    if (status == SX_OK) {
        is = WRITTEN_YES;
    } else if (v) {
        sure = false;
        is = look_again(s, &m);
    }
    if (is == WRITTEN_YES) {
        status = SX_OK;
        s->log_first = m.log_first;
        pthread_mutex_lock(&s->lock);
        tr_view *old = tr_view_put(s, v, gone, gone_count, come, come_count, done);
        pthread_mutex_unlock(&s->lock);
        tr_view_unref(old);
        for (size_t k = 0; sure && k < gone_count; k++)
            tr_segment_drop(gone[k]->segment);
        if (sure && done)
            tr_remove_logs(s, done);
        show_segments(s);
    } else {
        tr_view_unref(v);
        for (size_t k = 0; is == WRITTEN_NO && k < come_count; k++)
            tr_segment_drop(come[k]->segment);
    }
    tr_manifest_done(&m);
    return status;
}

void tr_store_about(tr_store *s, tr_store_stats *out)
{
    *out = (tr_store_stats){.oldest_ns = UINT64_MAX, .ready = true};
    tr_view *v = tr_view_take(s);
    for (size_t i = 0; i < v->piece_count; i++) {
        const tr_piece *p = v->pieces[i];
        out->segments++;
        out->segment_bytes += p->bytes;
        out->spans += p->rows;
        out->oldest_ns = p->min_ns < out->oldest_ns ? p->min_ns : out->oldest_ns;
        out->newest_ns = p->max_ns > out->newest_ns ? p->max_ns : out->newest_ns;
    }
    for (size_t i = 0; i < v->table_count; i++) {
        tr_snapshot now = tr_memtable_now(v->tables[i]);
        out->memtable_spans += now.rows;
        out->memtable_bytes += atomic_load(&v->tables[i]->used);
        out->oldest_ns = now.min_ns < out->oldest_ns ? now.min_ns : out->oldest_ns;
        out->newest_ns = now.max_ns > out->newest_ns ? now.max_ns : out->newest_ns;
    }
    out->spans += out->memtable_spans;
    out->oldest_ns = out->spans ? out->oldest_ns : 0;
    out->wal_bytes = s->log ? tr_log_bytes(s->log) : 0;
    tr_view_unref(v);
}

bool tr_limits_over(const tr_store *s, const tr_limits *l, sx_status *status, sx_error *err)
{
    if (l->canceled && atomic_load_explicit(l->canceled, memory_order_relaxed))
        *status = sx_fail(err, SX_ECANCELED, "the question was canceled");
    else if (l->deadline_ms && sx_clock_ms(s->clock) >= l->deadline_ms)
        *status = sx_fail(err, SX_ETIMEOUT, "the question took longer than it may");
    else
        return false;
    return true;
}

sx_status tr_store_limits(const tr_store *s, const tr_limits *limits, sx_error *err)
{
    sx_status status = SX_OK;
    return tr_limits_over(s, limits, &status, err) ? status : SX_OK;
}

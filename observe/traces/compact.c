/* compact.c - segments merged by size and retired by age, size and class.
 *
 * Segments of a shard and level merge when there are TR_MERGE_FAN of them: each span is written again
 * once a level, so about log16 of the segments' number times. No merge makes a file beyond
 * merge_bytes_max, nor one that spans more than a tenth of the retention (but an hour may), else old
 * spans would wait for young ones to be retired. One merge runs at a time, in a thread that gives way
 * to others. */
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "observe/traces/store_impl.h"

enum { NICE = 5, RETAIN_EVERY_MS = 10000, LEVELS = 12 };
#define HOUR_MS INT64_C(3600000)

static uint64_t before_now(const tr_store *s, int64_t age_ms)
{
    int64_t at = sx_clock_ms(s->clock) - age_ms;
    return at > 0 ? (uint64_t)at * 1000000 : 0;
}

/* Which traces a merge keeps: those young enough for their class. */
typedef struct keeping {
    uint64_t usual, error, slow; /* newest starts before this go */
    uint64_t slow_ns;
} keeping;

static bool keep_trace(void *ctx, const uint8_t trace_id[16], uint64_t newest_ns,
                       uint64_t longest_ns, bool error)
{
    const keeping *k = ctx;
    (void)trace_id;
    return newest_ns >= k->usual || (error && newest_ns >= k->error) ||
           (longest_ns >= k->slow_ns && newest_ns >= k->slow);
}

static keeping keeping_of(const tr_store *s)
{
    return (keeping){before_now(s, s->o.retention_ms), before_now(s, s->o.retention_error_ms),
                     before_now(s, s->o.retention_slow_ms), s->o.slow_ns};
}

/* --- Merging. */

static int oldest_first(const void *a, const void *b)
{
    const tr_piece *x = *(tr_piece *const *)a, *y = *(tr_piece *const *)b;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* How many of pieces[0..n) may become one. */
static size_t fitting(const tr_store *s, tr_piece *const *pieces, size_t n)
{
    uint64_t bytes = 0, least = UINT64_MAX, most = 0;
    int64_t span_ms = s->o.retention_ms / 10 > HOUR_MS ? s->o.retention_ms / 10 : HOUR_MS;
    for (size_t i = 0; i < n; i++) {
        bytes += pieces[i]->bytes;
        least = pieces[i]->min_ns < least ? pieces[i]->min_ns : least;
        most = pieces[i]->max_ns > most ? pieces[i]->max_ns : most;
        if (bytes > s->o.merge_bytes_max || (most - least) / 1000000 > (uint64_t)span_ms)
            return i;
    }
    return n;
}

/* The oldest pieces of a shard and level that are due, into out[TR_MERGE_FAN]. */
static size_t pick_level(const tr_store *s, const tr_view *v, uint32_t shard, uint32_t level,
                         tr_piece **scratch, tr_piece **out)
{
    size_t n = 0;
    for (size_t i = 0; i < v->piece_count; i++)
        if (v->pieces[i]->shard == shard && v->pieces[i]->level == level && !v->pieces[i]->reduced)
            scratch[n++] = v->pieces[i];
    if (n < TR_MERGE_FAN)
        return 0;
    qsort(scratch, n, sizeof *scratch, oldest_first);
    for (size_t at = 0; at + TR_MERGE_FAN <= n;) {
        size_t fit = fitting(s, scratch + at, TR_MERGE_FAN);
        if (fit >= 2) {
            memcpy(out, scratch + at, fit * sizeof *out);
            return fit;
        }
        at += fit ? fit : 1; /* too big or too far apart to be merged with its neighbours */
    }
    return 0;
}

static size_t pick(const tr_store *s, const tr_view *v, tr_piece **out)
{
    tr_piece **scratch = sx_calloc(v->piece_count + 1, sizeof *scratch);
    size_t n = 0;
    for (uint32_t level = 0; scratch && level < LEVELS && n == 0; level++)
        for (uint32_t k = 0; k < s->shards && n == 0; k++)
            n = pick_level(s, v, k, level, scratch, out);
    sx_free(scratch);
    return n;
}

/* Writes `count` pieces as one and puts it in their place. */
static sx_status rewrite(tr_store *s, tr_piece *const *pieces, size_t count, uint32_t level,
                         bool reduced, sx_error *err)
{
    char path[TR_PATH_BYTES];
    tr_segment *inputs[TR_MERGE_FAN], *segment = NULL;
    tr_segment_info info = {0};
    keeping k = keeping_of(s);
    tr_write_options options = {.level = level,
                                .sync = s->o.fsync != TR_FSYNC_NONE,
                                .canceled = &s->stopping,
                                .keep = keep_trace,
                                .keep_ctx = &k};
    for (size_t i = 0; i < count; i++) {
        inputs[i] = pieces[i]->segment;
        if (pieces[i]->sequence > options.sequence)
            options.sequence = pieces[i]->sequence;
    }
    pthread_mutex_lock(&s->change);
    uint64_t number = s->next_number++;
    pthread_mutex_unlock(&s->change);
    sx_status status = tr_segment_name(s->dir, number, path, err);
    if (status == SX_OK)
        status = tr_segment_merge(path, inputs, count, &options, &info, err);
    if (status != SX_OK)
        return status;
    tr_piece *come = NULL;
    status = tr_segment_open(path, &segment, err);
    if (status == SX_OK && info.rows) {
        come = tr_piece_new(s, segment, number, pieces[0]->shard, reduced);
        if (!come)
            status = sx_fail_memory(err, "segment");
    }
    if (segment && !come) { /* all of it was too old, or there is no memory */
        tr_segment_drop(segment);
        tr_segment_unref(segment);
    }
    if (status == SX_OK) {
        pthread_mutex_lock(&s->change);
        status = tr_store_commit(s, pieces, count, &come, come ? 1 : 0, NULL, err);
        pthread_mutex_unlock(&s->change);
    }
    tr_piece_unref(come);
    return status;
}

sx_status tr_merge_one(tr_store *s, bool *did, sx_error *err)
{
    tr_piece *pieces[TR_MERGE_FAN];
    pthread_mutex_lock(&s->merging);
    tr_view *v = tr_view_take(s);
    size_t n = pick(s, v, pieces);
    sx_status status = SX_OK;
    int64_t began = sx_clock_mono_ns(s->clock);
    if (n)
        status = rewrite(s, pieces, n, pieces[0]->level + 1, false, err);
    tr_view_unref(v);
    pthread_mutex_unlock(&s->merging);
    *did = n && status == SX_OK;
    if (*did && s->meters.merges) {
        sx_counter_add(s->meters.merges, 1);
        sx_counter_add_float(s->meters.merge_ns,
                             (double)(sx_clock_mono_ns(s->clock) - began) / 1e9);
    }
    return status;
}

/* --- Retention. */

static sx_status retire(tr_store *s, tr_piece *p, sx_error *err)
{
    pthread_mutex_lock(&s->change);
    sx_status status = tr_store_commit(s, &p, 1, NULL, 0, NULL, err);
    pthread_mutex_unlock(&s->change);
    if (status == SX_OK && s->meters.dropped)
        sx_counter_add(s->meters.dropped, 1);
    return status;
}

static int oldest_last_start(const void *a, const void *b)
{
    const tr_piece *x = *(tr_piece *const *)a, *y = *(tr_piece *const *)b;
    return x->max_ns < y->max_ns ? -1 : x->max_ns > y->max_ns;
}

/* Oldest first, so that the limit of bytes takes what is oldest. */
sx_status tr_retain(tr_store *s, sx_error *err)
{
    keeping k = keeping_of(s);
    uint64_t last = k.error < k.slow ? k.error : k.slow, bytes = 0;
    pthread_mutex_lock(&s->merging);
    tr_view *v = tr_view_take(s);
    tr_piece **order = sx_calloc(v->piece_count + 1, sizeof *order);
    sx_status status = order ? SX_OK : sx_fail_memory(err, "retention");
    for (size_t i = 0; status == SX_OK && i < v->piece_count; i++) {
        order[i] = v->pieces[i];
        bytes += v->pieces[i]->bytes;
    }
    if (status == SX_OK)
        qsort(order, v->piece_count, sizeof *order, oldest_last_start);
    for (size_t i = 0; status == SX_OK && i < v->piece_count; i++) {
        tr_piece *p = order[i];
        bool over = s->o.retention_bytes && bytes > s->o.retention_bytes;
        if (over || p->max_ns < last) {
            bytes -= p->bytes;
            status = retire(s, p, err);
        } else if (p->max_ns < k.usual && !p->reduced && last < k.usual) {
            status = rewrite(s, &p, 1, p->level, true, err);
        }
    }
    sx_free(order);
    tr_view_unref(v);
    pthread_mutex_unlock(&s->merging);
    return status;
}

sx_status tr_store_compact(tr_store *s, sx_error *err)
{
    if (s->o.read_only)
        return SX_OK;
    sx_status status = SX_OK;
    for (bool did = true; did && status == SX_OK;)
        status = tr_merge_one(s, &did, err);
    return status == SX_OK ? tr_retain(s, err) : status;
}

/* --- The thread. */

void *tr_merger_run(void *store)
{
    tr_store *s = store;
    sx_telemetry_thread_join();
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE); /* of this thread alone */
    int64_t retained_ms = sx_clock_mono_ms(s->clock);
    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        if (!s->merge_due) {
            struct timespec until = tr_until(1000);
            pthread_cond_timedwait(&s->work, &s->lock, &until);
        }
        s->merge_due = false;
        pthread_mutex_unlock(&s->lock);
        sx_error err = {0};
        bool did = true;
        while (did && !atomic_load(&s->stopping) && !atomic_load(&s->disk_full))
            if (tr_merge_one(s, &did, &err) != SX_OK && s->logger && err.status != SX_ECANCELED)
                SX_LOG_ERROR(s->logger, NULL, "cannot merge segments",
                             sx_field_str("error", sx_str_z(err.message)));
        int64_t now_ms = sx_clock_mono_ms(s->clock);
        if (now_ms - retained_ms >= RETAIN_EVERY_MS) {
            (void)tr_retain(s, &err);
            retained_ms = now_ms;
        }
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    sx_telemetry_thread_leave();
    return NULL;
}

/* head_gc.c - what blocks have taken over leaves the head.
 *
 * In two steps: series without samples are unlinked from the index and the postings at once; their
 * labels, which a query may still be looking at, are freed by a later call when every reader that was
 * there at the time has left. Called after a block was cut, by the maintenance thread alone. */
#include <sextant/mem.h>

#include "observe/tsdb/head.h"

/* Full chunks that end before `t` leave the list's front. */
static void drop_full(head_shard *s, head_series *series, int64_t t)
{
    head_full *full = tsdb_region_at(&s->memory, series->full);
    uint32_t count = series->full_count, gone = 0;
    while (gone < count) {
        bool last = gone + 1u == count;
        /* A chunk ends before the next one begins, the last before the open one does. */
        int64_t end = !last             ? full[gone + 1].min_t
                      : series->x.count ? head_first_time(s, series)
                                        : series->x.t + (series->x.t != INT64_MAX);
        if (end > t)
            break;
        gone++;
    }
    if (gone == 0)
        return;
    size_t had = count * sizeof *full, has = (count - gone) * sizeof *full;
    s->full_chunks -= gone;
    memmove(full, full + gone, has);
    if (has == 0) {
        tsdb_region_free(&s->memory, series->full, had);
        series->full = 0;
    } else if (tsdb_region_size(has) != tsdb_region_size(had)) {
        tsdb_handle at = tsdb_region_alloc(&s->memory, has);
        if (at) { /* without memory the block counts as a smaller one from now on */
            memcpy(tsdb_region_at(&s->memory, at), full, has);
            tsdb_region_free(&s->memory, series->full, had);
            series->full = at;
        }
    }
    series->full_count = (uint16_t)(count - gone);
}

/* Keeps the elements of a list for which `keep` is true. */
static void filter_list(head_shard *s, head_list *l, size_t size, int64_t t, uint32_t epoch,
                        bool (*keep)(const void *element, int64_t t, uint32_t epoch))
{
    head_list rest = {0};
    for (uint32_t i = 0; i < l->count; i++) {
        uint8_t *element = (uint8_t *)tsdb_region_at(&s->memory, l->at) + i * size;
        if (!keep(element, t, epoch))
            continue;
        void *to = head_list_add(&s->memory, &rest, size);
        if (!to) { /* no memory to shrink: all stays as it is */
            head_list_done(&s->memory, &rest, size);
            return;
        }
        memcpy(to, element, size);
    }
    head_list_done(&s->memory, l, size);
    *l = rest;
}

/* What came after the cut began is in no block yet, however old it is. */
static bool keep_late_full(const void *element, int64_t t, uint32_t epoch)
{
    const head_ooo_full *full = element;
    return full->max_t >= t || (epoch && full->epoch == epoch);
}

static bool keep_histogram(const void *element, int64_t t, uint32_t epoch)
{
    const head_histogram *h = element;
    return h->t >= t || (epoch && h->epoch == (epoch & HEAD_EPOCH_MASK));
}

static bool keep_range(const void *element, int64_t t, uint32_t epoch)
{
    (void)epoch;
    return ((const head_range *)element)->max_t >= t;
}

static void drop_histograms(head_shard *s, head_extra *extra, int64_t t, uint32_t epoch)
{
    const head_histogram *list = tsdb_region_at(&s->memory, extra->histograms.at);
    uint32_t before = extra->histograms.count, gone = 0;
    head_histogram *copy = before && list[0].t < t ? sx_alloc(before * sizeof *copy) : NULL;
    for (uint32_t i = 0; copy && i < before; i++)
        if (!keep_histogram(&list[i], t, epoch))
            copy[gone++] = list[i];
    if (gone)
        filter_list(s, &extra->histograms, sizeof *list, t, epoch, keep_histogram);
    if (gone && extra->histograms.count < before)
        for (uint32_t i = 0; i < gone; i++)
            tsdb_region_free(&s->memory, copy[i].at, copy[i].len);
    sx_free(copy);
}

static void drop_extra(head_shard *s, head_series *series, int64_t t, uint32_t epoch)
{
    head_extra *extra = head_extra_of(s, series);
    drop_histograms(s, extra, t, epoch);
    uint32_t chunks = extra->late_full.count;
    /* Samples not packed yet came after the cut began, or could not be packed: they stay. */
    filter_list(s, &extra->late_full, sizeof(head_ooo_full), t, epoch, keep_late_full);
    if (!extra->late.count && !extra->late_full.count) /* deletions may be about late samples */
        filter_list(s, &extra->deleted, sizeof(head_range), t, epoch, keep_range);
    s->full_chunks -= chunks - extra->late_full.count;
    if (!extra->late.count && !extra->late_full.count && !extra->histograms.count &&
        !extra->starts.count && !extra->deleted.count) {
        tsdb_region_free(&s->memory, series->extra, sizeof *extra);
        series->extra = 0;
    }
}

/* An open chunk whose newest sample lies before `t` is in a block as a whole. */
static void drop_open(head_shard *s, head_series *series, int64_t t)
{
    if (!series->bytes || series->x.t >= t)
        return;
    head_bytes_free(s, series);
}

static void remove_id(head_shard *s, uint32_t id)
{
    uint32_t mask = s->index_cap - 1, i = head_series_at(s, id)->hash & mask;
    while (s->index[i] != id)
        i = (i + 1) & mask;
    for (uint32_t next = (i + 1) & mask; s->index[next]; next = (next + 1) & mask) {
        uint32_t home = head_series_at(s, s->index[next])->hash & mask;
        if (((next - home) & mask) >= ((next - i) & mask)) {
            s->index[i] = s->index[next];
            i = next;
        }
    }
    s->index[i] = 0;
}

static bool is_empty(head_shard *s, const head_series *series)
{
    const head_extra *extra = head_extra_of(s, series);
    return series->x.count == 0 && series->full_count == 0 &&
           (!extra || (!extra->late.count && !extra->late_full.count && !extra->histograms.count));
}

static void unlink_series(tsdb_head *h, head_shard *s, uint32_t id)
{
    head_series *series = head_series_at(s, id);
    const tsdb_handle *pairs = tsdb_region_at(&s->memory, series->pairs);
    remove_id(s, id);
    for (uint32_t i = 0; i < series->pair_count; i++)
        tsdb_postings_remove(&s->memory, &head_pair_at(s, pairs[i])->series, id);
    head_extra *extra = head_extra_of(s, series);
    if (extra) {
        head_list_done(&s->memory, &extra->starts, sizeof(head_start));
        head_list_done(&s->memory, &extra->deleted, sizeof(head_range));
        tsdb_region_free(&s->memory, series->extra, sizeof *extra);
        series->extra = 0;
    }
    __atomic_store_n(&series->flags, 0, __ATOMIC_RELAXED);
    s->series--;
    atomic_fetch_sub_explicit(&h->series, 1, memory_order_relaxed);
}

/* The oldest reader that is left; all of them came later than what is before it. */
static uint64_t oldest_epoch(tsdb_head *h)
{
    pthread_mutex_lock(&h->readers_lock);
    uint64_t epoch = h->readers ? h->readers->epoch : h->epoch;
    pthread_mutex_unlock(&h->readers_lock);
    return epoch;
}

static void free_limbo(head_shard *s)
{
    for (size_t i = 0; i < s->limbo_count; i++) {
        head_series *series = head_series_at(s, s->limbo[i]);
        const tsdb_handle *pairs = tsdb_region_at(&s->memory, series->pairs);
        for (uint32_t k = 0; k < series->pair_count; k++)
            head_pair_at(s, pairs[k])->refs--;
        tsdb_region_free(&s->memory, series->pairs, series->pair_count * sizeof *pairs);
        series->pairs = 0;
        series->pair_count = 0;
        series->hash = s->free_ids;
        s->free_ids = s->limbo[i];
    }
    if (s->limbo_count)
        head_pairs_sweep(s);
    s->limbo_count = 0;
}

uint32_t head_unlink_new(tsdb_head *h, head_shard *s)
{
    uint32_t unlinked = 0;
    for (uint32_t id = 1; id <= s->ids; id++) {
        const head_series *series = head_series_at(s, id);
        if ((series->flags & (HEAD_LIVE | HEAD_LOGGED)) != HEAD_LIVE || series->x.t != INT64_MIN ||
            !is_empty(s, series) ||
            !sx_grow(&s->limbo, &s->limbo_cap, s->limbo_count + 1, sizeof *s->limbo))
            continue;
        unlink_series(h, s, id);
        s->limbo[s->limbo_count++] = id;
        unlinked++;
    }
    free_limbo(s);
    return unlinked;
}

static size_t truncate_shard(tsdb_head *h, head_shard *s, int64_t t)
{
    size_t unlinked = 0;
    for (uint32_t id = 1; id <= s->ids; id++) {
        head_series *series = head_series_at(s, id);
        if (!(series->flags & HEAD_LIVE))
            continue;
        if (series->full_count)
            drop_full(s, series, t);
        drop_open(s, series, t);
        if (series->extra)
            drop_extra(s, series, t, atomic_load_explicit(&h->cut_epoch, memory_order_relaxed));
        /* A series that was just made and has had no sample yet is somebody's next append. */
        if (series->x.t == INT64_MIN || series->x.t >= t || !is_empty(s, series) ||
            !sx_grow(&s->limbo, &s->limbo_cap, s->limbo_count + 1, sizeof *s->limbo))
            continue;
        unlink_series(h, s, id);
        s->limbo[s->limbo_count++] = id;
        unlinked++;
    }
    if (s->min_t < t)
        s->min_t = s->series ? t : INT64_MAX;
    return unlinked;
}

size_t tsdb_head_truncate(tsdb_head *h, int64_t t)
{
    size_t unlinked = 0;
    uint64_t oldest = oldest_epoch(h);
    if (t > atomic_load_explicit(&h->floor_t, memory_order_relaxed))
        atomic_store_explicit(&h->floor_t, t, memory_order_relaxed);
    pthread_mutex_lock(&h->readers_lock);
    uint64_t epoch = ++h->epoch; /* readers from here on see nothing that is unlinked now */
    pthread_mutex_unlock(&h->readers_lock);
    for (uint32_t i = 0; i <= h->shard_mask; i++) {
        head_shard *s = &h->shards[i];
        pthread_rwlock_wrlock(&s->lock);
        if (s->limbo_count && oldest >= s->limbo_epoch)
            free_limbo(s);
        unlinked += truncate_shard(h, s, t);
        if (s->limbo_count)
            s->limbo_epoch = epoch + 1;
        head_count_bytes(s);
        pthread_rwlock_unlock(&s->lock);
    }
    pthread_mutex_lock(&h->readers_lock);
    h->epoch++;
    bool alone = h->readers == NULL;
    pthread_mutex_unlock(&h->readers_lock);
    if (alone) /* else at the next call: a reader may hold pointers into the files */
        tsdb_head_chunks_drop(h->options.chunks, t);
    return unlinked;
}

uint64_t tsdb_head_readers_now(tsdb_head *h)
{
    pthread_mutex_lock(&h->readers_lock);
    uint64_t epoch = ++h->epoch;
    pthread_mutex_unlock(&h->readers_lock);
    return epoch;
}

bool tsdb_head_readers_gone(tsdb_head *h, uint64_t epoch)
{
    return oldest_epoch(h) >= epoch;
}

bool tsdb_head_has(tsdb_head *h, tsdb_ref ref, int64_t min_t, int64_t max_t, bool *late)
{
    head_shard *s = head_shard_of(h, ref);
    bool has = false;
    *late = false;
    pthread_rwlock_rdlock(&s->lock);
    const head_series *series = head_find(h, ref);
    if (series) {
        const head_full *full = tsdb_region_at(&s->memory, series->full);
        for (uint32_t i = 0; i < series->full_count && !has; i++) {
            int64_t end = i + 1u < series->full_count ? full[i + 1].min_t : series->x.t;
            has = full[i].min_t <= max_t && end >= min_t;
        }
        if (series->x.count && series->x.t >= min_t && head_first_time(s, series) <= max_t)
            has = true;
        *late = series->extra != 0;
    }
    pthread_rwlock_unlock(&s->lock);
    return has;
}

void tsdb_head_chunk_times(tsdb_head *h, tsdb_ref ref, int64_t t, tsdb_head_time_visit *each,
                           void *context)
{
    head_shard *s = head_shard_of(h, ref);
    pthread_rwlock_rdlock(&s->lock);
    const head_series *series = head_find(h, ref);
    if (series) {
        const head_full *full = tsdb_region_at(&s->memory, series->full);
        for (uint32_t i = 0; i < series->full_count && full[i].min_t < t; i++)
            each(context, full[i].min_t);
        if (series->x.count && head_first_time(s, series) < t)
            each(context, head_first_time(s, series));
    }
    pthread_rwlock_unlock(&s->lock);
}

uint64_t tsdb_head_late(tsdb_head *h)
{
    uint64_t late = 0;
    for (uint32_t i = 0; i <= h->shard_mask; i++) {
        pthread_rwlock_rdlock(&h->shards[i].lock);
        late += h->shards[i].late;
        pthread_rwlock_unlock(&h->shards[i].lock);
    }
    return late;
}

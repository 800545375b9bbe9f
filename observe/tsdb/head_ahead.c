/* head_ahead.c - fetching open chunks of several series together; see ahead.h. */
#include <sextant/mem.h>

#include "observe/tsdb/ahead.h"

/* One series on its way. */
typedef struct fetch {
    const head_series *series; /* NULL: not of this shard, or not to be fetched */
    tsdb_ahead_series *to;
    const head_bytes *block;
    uint8_t *out;
    size_t left;
} fetch;

/* What is to be fetched of a series whose line is in the cache. */
static void plan_series(const head_shard *s, fetch *f, const tsdb_ahead *a)
{
    const head_series *series = f->series;
    tsdb_ahead_series *to = f->to;
    f->left = 0;
    if (head_newest_will_do(series, a->max_t, a->newest_only)) {
        to->newest = true;
        to->t = series->x.t;
        to->v = series->x.v;
        to->fetched = true;
        return;
    }
    if (series->extra || series->x.len > TSDB_AHEAD_BYTES)
        return;
    uint32_t from, end;
    bool open = head_choose_chunks(s, series, a->min_t, a->max_t, &from, &end);
    if (end - from > TSDB_AHEAD_FULL)
        return;
    const head_full *full = tsdb_region_at(&s->memory, series->full);
    for (uint32_t i = from; i < end; i++)
        to->full[i - from] = full[i];
    to->full_count = (uint8_t)(end - from);
    to->fetched = true;
    if (!open)
        return;
    to->open_len = series->x.len;
    to->open[0] = (uint8_t)(series->x.count >> 8);
    to->open[1] = (uint8_t)series->x.count;
    f->out = to->open + HEAD_BYTES_SKIPPED;
    f->left = series->x.len - HEAD_BYTES_SKIPPED;
    f->block = tsdb_region_at(&s->memory, series->bytes);
}

/* A piece of each by turns: while one is copied, the next pieces of the others are on their way. */
static void copy_pieces(const head_shard *s, fetch *list, size_t count)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < count; i++) {
            fetch *f = &list[i];
            if (f->left == 0)
                continue;
            size_t n = f->left < HEAD_BYTES ? f->left : HEAD_BYTES;
            const head_bytes *next = tsdb_region_at(&s->memory, f->block->next);
            __builtin_prefetch(next);
            memcpy(f->out, f->block->bytes, n);
            f->out += n;
            f->left -= n;
            f->block = next;
            more |= f->left > 0;
        }
    }
}

static void fetch_shard(tsdb_head *h, head_shard *s, const tsdb_ref *refs, size_t count,
                        tsdb_ahead *a)
{
    fetch list[TSDB_AHEAD_SERIES];
    size_t n = 0;
    pthread_rwlock_rdlock(&s->lock);
    for (size_t i = 0; i < count; i++) {
        if (head_shard_of(h, refs[i]) != s)
            continue;
        const head_series *series = head_find(h, refs[i]);
        if (!series)
            continue;
        list[n++] = (fetch){.series = series, .to = &a->series[i]};
        /* The newest wants no more of a series than its own line. */
        if (series->x.count)
            __builtin_prefetch(tsdb_region_at(&s->memory, series->bytes));
        if (series->full_count)
            __builtin_prefetch(tsdb_region_at(&s->memory, series->full));
    }
    for (size_t i = 0; i < n; i++)
        plan_series(s, &list[i], a);
    copy_pieces(s, list, n);
    pthread_rwlock_unlock(&s->lock);
}

void tsdb_head_ahead(tsdb_head *h, const tsdb_ref *refs, size_t count, int64_t min_t, int64_t max_t,
                     tsdb_columns *out)
{
    sx_assert(count <= TSDB_AHEAD_SERIES);
    if (!out->ahead && !(out->ahead = sx_alloc(sizeof *out->ahead)))
        return;
    tsdb_ahead *a = out->ahead;
    a->head = h;
    a->min_t = min_t;
    a->max_t = max_t;
    a->newest_only = out->newest_only;
    a->count = (uint32_t)count;
    a->next = 0;
    uint32_t shards = 0;
    for (size_t i = 0; i < count; i++) {
        tsdb_ahead_series *to = &a->series[i];
        a->refs[i] = refs[i];
        to->fetched = false;
        to->open_len = 0;
        to->full_count = 0;
        to->newest = false;
        __builtin_prefetch(head_series_at(head_shard_of(h, refs[i]), head_id_of(refs[i])));
        shards |= UINT32_C(1) << (refs[i] & (TSDB_HEAD_SHARDS_MAX - 1));
    }
    for (; shards; shards &= shards - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(shards);
        if (i <= h->shard_mask)
            fetch_shard(h, &h->shards[i], refs, count, a);
    }
}

static bool is_for(const tsdb_ahead *a, const tsdb_head *h, int64_t min_t, int64_t max_t,
                   const tsdb_columns *out)
{
    return a && a->head == h && a->min_t == min_t && a->max_t == max_t &&
           a->newest_only == out->newest_only;
}

bool tsdb_head_is_ahead(const tsdb_head *h, tsdb_ref ref, int64_t min_t, int64_t max_t,
                        const tsdb_columns *out)
{
    const tsdb_ahead *a = out->ahead;
    return is_for(a, h, min_t, max_t, out) && a->next < a->count && a->refs[a->next] == ref;
}

const tsdb_ahead_series *head_ahead_of(const tsdb_head *h, tsdb_ref ref, int64_t min_t,
                                       int64_t max_t, const tsdb_columns *out)
{
    tsdb_ahead *a = out->ahead;
    if (!is_for(a, h, min_t, max_t, out) || a->next >= a->count || a->refs[a->next] != ref)
        return NULL;
    const tsdb_ahead_series *s = &a->series[a->next++];
    return s->fetched ? s : NULL;
}

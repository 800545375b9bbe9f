/* head_read.c - a series of the head, decoded into columns.
 *
 * The usual series has full chunks and an open one: under the shard's lock the open chunk's bytes and
 * the list of full ones are copied, then all is decoded without it. A series with late samples,
 * histograms, start timestamps or deletions is decoded under the lock and put in order. */
#include <sextant/mem.h>

#include "observe/tsdb/chunk_xor.h"
#include "observe/tsdb/ahead.h"
#include "observe/tsdb/record.h"

void head_bytes_copy(const head_shard *s, const head_series *series, uint8_t *out)
{
    size_t left = series->x.len;
    *out++ = (uint8_t)(series->x.count >> 8);
    *out++ = (uint8_t)series->x.count;
    left -= left < HEAD_BYTES_SKIPPED ? left : HEAD_BYTES_SKIPPED;
    for (tsdb_handle at = series->bytes; left;) {
        const head_bytes *block = tsdb_region_at(&s->memory, at);
        size_t n = left < HEAD_BYTES ? left : HEAD_BYTES;
        memcpy(out, block->bytes, n);
        out += n;
        left -= n;
        at = block->next;
    }
}

void head_bytes_free(head_shard *s, head_series *series)
{
    for (tsdb_handle at = series->bytes, next; at; at = next) {
        next = ((const head_bytes *)tsdb_region_at(&s->memory, at))->next;
        tsdb_region_free(&s->memory, at, sizeof(head_bytes));
    }
    series->bytes = series->last_bytes = 0;
    series->x.count = series->x.len = 0;
}

enum { FULL_LOCAL = 64, OPEN_LOCAL = 4096 };

/* A full chunk's end is told by the beginning of the next. */
bool head_choose_chunks(const head_shard *s, const head_series *series, int64_t min_t,
                        int64_t max_t, uint32_t *from, uint32_t *to)
{
    const head_full *full = tsdb_region_at(&s->memory, series->full);
    uint32_t a = 0, b = series->full_count, count = b;
    int64_t open = series->x.count ? head_first_time(s, series) : INT64_MAX;
    if (open <= min_t)
        b = 0;
    while (a + 1 < count && full[a + 1].min_t <= min_t)
        a++;
    while (b > a && full[b - 1].min_t > max_t)
        b--;
    *from = a;
    *to = b;
    return series->x.count && open <= max_t && series->x.t >= min_t;
}

/* Of a series without an open chunk it is not taken: its last samples may have been let go. */
bool head_newest_will_do(const head_series *series, int64_t max_t, bool newest_only)
{
    return newest_only && series->x.count && !series->extra && series->x.t <= max_t &&
           !(series->flags & HEAD_NEWEST_HISTOGRAM);
}

static sx_status put_newest(int64_t t, double v, tsdb_columns *out, sx_error *err)
{
    sx_status status = tsdb_columns_reserve(out, 1, err);
    if (status != SX_OK)
        return status;
    out->t[out->count] = t;
    out->v[out->count] = v;
    if (out->h)
        out->h[out->count] = NULL;
    if (out->st)
        out->st[out->count] = 0;
    out->count++;
    return SX_OK;
}

static sx_status read_full(tsdb_head *h, const head_full *full, int64_t min_t, int64_t max_t,
                           sx_buf *scratch, tsdb_columns *out, sx_error *err)
{
    sx_str bytes;
    sx_status status =
        tsdb_head_chunks_get(h->options.chunks, full->segment, full->offset, scratch, &bytes, err);
    if (status != SX_OK)
        return status;
    tsdb_encoding e = full->encoding & (uint8_t)~TSDB_HEAD_CHUNK_LATE;
    return tsdb_chunk_read(e, bytes, min_t, max_t, out, err);
}

static sx_status read_histograms(const head_shard *s, const head_extra *extra, int64_t min_t,
                                 int64_t max_t, tsdb_columns *out, sx_error *err)
{
    const head_histogram *list = tsdb_region_at(&s->memory, extra->histograms.at);
    sx_status status = extra->histograms.count ? tsdb_columns_want_h(out, err) : SX_OK;
    for (uint32_t i = 0; i < extra->histograms.count && status == SX_OK; i++) {
        if (list[i].t < min_t || list[i].t > max_t)
            continue;
        sx_assert(out->arena); /* histograms need a place */
        tsdb_histogram *histogram = sx_arena_alloc(out->arena, sizeof *histogram);
        if (!histogram)
            return sx_fail_memory(err, "histogram");
        sx_str encoded = sx_str_of(tsdb_region_at(&s->memory, list[i].at), list[i].len);
        status = tsdb_record_get_histogram(encoded, list[i].integer, out->arena, histogram, err);
        if (status == SX_OK)
            status = tsdb_columns_reserve(out, 1, err);
        if (status != SX_OK)
            return status;
        out->t[out->count] = list[i].t;
        out->v[out->count] = 0;
        out->h[out->count] = histogram;
        if (out->st)
            out->st[out->count] = 0;
        out->count++;
    }
    return status;
}

static sx_status read_late(tsdb_head *h, const head_shard *s, const head_extra *extra,
                           int64_t min_t, int64_t max_t, sx_buf *scratch, tsdb_columns *out,
                           sx_error *err)
{
    sx_status status = SX_OK;
    const head_ooo_full *full = tsdb_region_at(&s->memory, extra->late_full.at);
    for (uint32_t i = 0; i < extra->late_full.count && status == SX_OK; i++)
        if (full[i].at.min_t <= max_t && full[i].max_t >= min_t)
            status = read_full(h, &full[i].at, min_t, max_t, scratch, out, err);
    const head_sample *late = tsdb_region_at(&s->memory, extra->late.at);
    if (status == SX_OK)
        status = tsdb_columns_reserve(out, extra->late.count, err);
    for (uint32_t i = 0; i < extra->late.count && status == SX_OK; i++) {
        if (late[i].t < min_t || late[i].t > max_t)
            continue;
        out->t[out->count] = late[i].t;
        out->v[out->count] = late[i].v;
        if (out->h)
            out->h[out->count] = NULL;
        if (out->st)
            out->st[out->count] = 0;
        out->count++;
    }
    return status;
}

static sx_status fill_starts(const head_shard *s, const head_extra *extra, size_t from,
                             tsdb_columns *out, sx_error *err)
{
    if (extra->starts.count == 0)
        return SX_OK;
    sx_status status = tsdb_columns_want_st(out, err);
    if (status != SX_OK)
        return status;
    const head_start *list = tsdb_region_at(&s->memory, extra->starts.at);
    uint32_t next = 0;
    for (size_t i = from; i < out->count; i++) {
        while (next < extra->starts.count && list[next].t <= out->t[i])
            next++;
        out->st[i] = next ? list[next - 1].start : 0;
    }
    return SX_OK;
}

static void drop_deleted(const head_shard *s, const head_extra *extra, size_t from,
                         tsdb_columns *out)
{
    const head_range *list = tsdb_region_at(&s->memory, extra->deleted.at);
    size_t kept = from;
    for (size_t i = from; i < out->count; i++) {
        bool gone = false;
        for (uint32_t r = 0; r < extra->deleted.count && !gone; r++)
            gone = out->t[i] >= list[r].min_t && out->t[i] <= list[r].max_t;
        if (gone)
            continue;
        out->t[kept] = out->t[i];
        out->v[kept] = out->v[i];
        if (out->h)
            out->h[kept] = out->h[i];
        if (out->st)
            out->st[kept] = out->st[i];
        kept++;
    }
    out->count = kept;
}

sx_status head_read_locked(tsdb_head *h, head_shard *s, const head_series *series, int64_t min_t,
                           int64_t max_t, tsdb_columns *out, sx_error *err)
{
    size_t begin = out->count;
    sx_buf scratch;
    sx_buf_init(&scratch, 0);
    sx_status status = SX_OK;
    const head_full *full = tsdb_region_at(&s->memory, series->full);
    uint32_t from, to;
    bool with_open = head_choose_chunks(s, series, min_t, max_t, &from, &to);
    for (uint32_t i = from; i < to && status == SX_OK; i++)
        status = read_full(h, &full[i], min_t, max_t, &scratch, out, err);
    if (status == SX_OK && with_open) {
        sx_buf_clear(&scratch);
        char *open = sx_buf_reserve(&scratch, series->x.len);
        if (open) {
            head_bytes_copy(s, series, (uint8_t *)open);
            status = tsdb_xor_read(sx_str_of(open, series->x.len), min_t, max_t, out, err);
        } else {
            status = sx_fail_memory(err, "open chunk");
        }
    }
    const head_extra *extra = head_extra_of(s, series);
    if (status == SX_OK && extra) {
        status = read_late(h, s, extra, min_t, max_t, &scratch, out, err);
        if (status == SX_OK)
            status = read_histograms(s, extra, min_t, max_t, out, err);
        if (status == SX_OK)
            status = tsdb_columns_sort(out, begin, err);
        if (status == SX_OK)
            status = fill_starts(s, extra, begin, out, err);
        if (status == SX_OK && extra->deleted.count)
            drop_deleted(s, extra, begin, out);
    }
    sx_buf_done(&scratch);
    return status;
}

static sx_status read_chunks(tsdb_head *h, const head_full *full, uint32_t count, sx_str open,
                             int64_t min_t, int64_t max_t, tsdb_columns *out, sx_error *err)
{
    sx_status status = SX_OK;
    if (count) {
        sx_buf scratch;
        sx_buf_init(&scratch, 0);
        for (uint32_t i = 0; i < count && status == SX_OK; i++)
            status = read_full(h, &full[i], min_t, max_t, &scratch, out, err);
        sx_buf_done(&scratch);
    }
    if (status == SX_OK && open.len)
        status = tsdb_xor_read(open, min_t, max_t, out, err);
    return status;
}

sx_status tsdb_head_read(tsdb_head *h, tsdb_ref ref, int64_t min_t, int64_t max_t,
                         tsdb_columns *out, sx_error *err)
{
    const tsdb_ahead_series *known = head_ahead_of(h, ref, min_t, max_t, out);
    if (known && known->newest)
        return known->t >= min_t ? put_newest(known->t, known->v, out, err) : SX_OK;
    if (known)
        return read_chunks(h, known->full, known->full_count,
                           sx_str_of(known->open, known->open_len), min_t, max_t, out, err);
    head_shard *s = head_shard_of(h, ref);
    head_full full[FULL_LOCAL];
    uint8_t open[OPEN_LOCAL];
    uint32_t from = 0, to = 0, open_len = 0;
    sx_status status = SX_OK;
    pthread_rwlock_rdlock(&s->lock);
    const head_series *series = head_find(h, ref);
    if (series && head_newest_will_do(series, max_t, out->newest_only)) {
        int64_t t = series->x.t;
        double v = series->x.v;
        pthread_rwlock_unlock(&s->lock);
        return t >= min_t ? put_newest(t, v, out, err) : SX_OK;
    }
    if (series) {
        const head_full *list = tsdb_region_at(&s->memory, series->full);
        bool with_open = head_choose_chunks(s, series, min_t, max_t, &from, &to);
        if (sx_unlikely(series->extra || to - from > FULL_LOCAL || series->x.len > OPEN_LOCAL)) {
            status = head_read_locked(h, s, series, min_t, max_t, out, err);
            from = to = 0;
        } else {
            if (to > from)
                memcpy(full, list + from, (to - from) * sizeof *full);
            if (with_open) {
                open_len = series->x.len;
                head_bytes_copy(s, series, open);
            }
        }
    }
    pthread_rwlock_unlock(&s->lock);
    if (status == SX_OK)
        status = read_chunks(h, full, to - from, sx_str_of(open, open_len), min_t, max_t, out, err);
    return status;
}

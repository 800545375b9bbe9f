/* head_write.c - samples put in their places in the head.
 *
 *   newer than the series' newest      -> the open chunk; full after 120, when it has grown too large
 *                                         for memory, or at a block's border
 *   the newest time again              -> taken silently if the value is the same, else refused
 *   older, or before what was cut      -> the series' late samples: sorted, packed when 128
 *
 * Called by the appender's commit and by replay, with samples sorted by shard; the lock is taken once
 * for all of a shard's. */
#include <sextant/mem.h>

#include "observe/tsdb/head.h"

enum { LATE_SAMPLES = 128, PREFETCH = 8, LOCAL_CHUNK_BYTES = 4096 };

/* Noise takes seven bytes a sample: such chunks leave memory before they have 120, which costs 16 bytes
 * for the place of another and saves hundreds. Blocks are not concerned: their chunks are made anew. A
 * sample more still fits into six pieces. */
enum { OPEN_BYTES_MAX = HEAD_BYTES_SKIPPED + 6 * HEAD_BYTES - TSDB_XOR_SAMPLE_BYTES_MAX };

typedef struct apply_context {
    tsdb_head *head;
    head_shard *shard;
    int64_t window_from, window_to; /* the block window that the last sample fell in */
    int64_t floor_t;
    tsdb_columns old; /* what a late sample is compared with */
} apply_context;

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void window_of(apply_context *c, int64_t t)
{
    int64_t block = c->head->options.block_ms, from = t / block * block;
    if (from > t)
        from = from < INT64_MIN + block ? INT64_MIN : from - block;
    c->window_from = from;
    c->window_to = from > INT64_MAX - block ? INT64_MAX : from + block;
}

static void set_newest(head_series *series, int64_t t, double v)
{
    __atomic_store(&series->x.v, &v, __ATOMIC_RELAXED);
    __atomic_store_n(&series->x.t, t, __ATOMIC_RELAXED);
}

/* The open chunk becomes a full one, in the file. Without memory it stays open and grows on. */
static void close_chunk(apply_context *c, head_series *series, tsdb_ref ref)
{
    head_shard *s = c->shard;
    size_t have = series->full_count * sizeof(head_full);
    if (series->full_count == UINT16_MAX)
        return;
    if (!series->full || tsdb_region_size(have) < have + sizeof(head_full)) {
        tsdb_handle grown = tsdb_region_alloc(&s->memory, have + sizeof(head_full));
        if (!grown)
            return;
        if (series->full)
            memcpy(tsdb_region_at(&s->memory, grown), tsdb_region_at(&s->memory, series->full),
                   have);
        tsdb_region_free(&s->memory, series->full, have);
        series->full = grown;
    }
    head_full *full = (head_full *)tsdb_region_at(&s->memory, series->full) + series->full_count;
    *full = (head_full){.min_t = head_first_time(s, series),
                        .encoding = TSDB_CHUNK_XOR,
                        .count = (uint8_t)(series->x.count > 255 ? 255 : series->x.count)};
    uint8_t local[LOCAL_CHUNK_BYTES];
    uint8_t *bytes = series->x.len <= sizeof local ? local : sx_alloc(series->x.len);
    if (!bytes)
        return; /* the list's size is told by its count: the room stays for the next try */
    head_bytes_copy(s, series, bytes);
    sx_status status =
        tsdb_head_chunks_put(c->head->options.chunks, ref, full->min_t, series->x.t, TSDB_CHUNK_XOR,
                             sx_str_of(bytes, series->x.len), &full->segment, &full->offset, NULL);
    if (bytes != local)
        sx_free(bytes);
    if (status != SX_OK)
        return;
    series->full_count++;
    s->full_chunks++;
    head_bytes_free(s, series);
}

/* Puts what a sample changes into the last block, and what does not fit into a new one. */
static inline bool place_step(head_shard *s, head_series *series, const tsdb_xor_step *step)
{
    size_t at = step->at - HEAD_BYTES_SKIPPED, in_block = at % HEAD_BYTES, first = step->count;
    head_bytes *block = tsdb_region_at(&s->memory, series->last_bytes);
    bool fresh =
        in_block == 0 && at >= (size_t)series->x.len - (series->x.len ? HEAD_BYTES_SKIPPED : 0);
    if (fresh || in_block + first > HEAD_BYTES) {
        tsdb_handle more = tsdb_region_alloc(&s->memory, sizeof(head_bytes));
        if (sx_unlikely(!more))
            return false;
        head_bytes *next = tsdb_region_at(&s->memory, more);
        next->next = 0;
        first = fresh ? 0 : HEAD_BYTES - in_block;
        memcpy(next->bytes, step->bytes + first, step->count - first);
        if (series->bytes)
            block->next = more;
        else
            series->bytes = more;
        series->last_bytes = more;
    }
    memcpy(block->bytes + in_block, step->bytes, first);
    return true;
}

static inline bool put_newest(apply_context *c, head_series *series, tsdb_ref ref, int64_t t,
                              double v)
{
    head_shard *s = c->shard;
    if (sx_unlikely(t < c->window_from || t >= c->window_to))
        window_of(c, t);
    if (sx_unlikely(series->x.count >= TSDB_CHUNK_SAMPLES || series->x.len > OPEN_BYTES_MAX ||
                    (series->x.count && series->x.t < c->window_from)))
        close_chunk(c, series, ref);
    tsdb_xor_state x = series->x;
    if (sx_unlikely(x.len > TSDB_XOR_BYTES_MAX - 1024))
        return false; /* only after many failures to close it */
    tsdb_xor_step step;
    const head_bytes *last = tsdb_region_at(&s->memory, series->last_bytes);
    uint8_t last_byte = x.count ? last->bytes[(x.len - HEAD_BYTES_SKIPPED - 1u) % HEAD_BYTES] : 0;
    tsdb_xor_put(&x, last_byte, t, v, &step);
    if (sx_unlikely(!place_step(s, series, &step)))
        return false;
    series->x.delta = x.delta;
    series->x.len = x.len;
    series->x.free_bits = x.free_bits;
    series->x.leading = x.leading;
    series->x.trailing = x.trailing;
    series->x.count = x.count;
    set_newest(series, t, v);
    if (sx_unlikely(series->flags & HEAD_NEWEST_HISTOGRAM))
        series->flags &= (uint8_t)~HEAD_NEWEST_HISTOGRAM;
    if (t > s->max_t)
        s->max_t = t;
    if (t < s->min_t)
        s->min_t = t;
    return true;
}

/* --- Samples out of order. */

static head_extra *want_extra(head_shard *s, head_series *series)
{
    if (!series->extra) {
        tsdb_handle at = tsdb_region_alloc(&s->memory, sizeof(head_extra));
        if (!at)
            return NULL;
        memset(tsdb_region_at(&s->memory, at), 0, sizeof(head_extra));
        series->extra = at;
    }
    return head_extra_of(s, series);
}

/* The late samples that have gathered become a chunk. Without memory they stay where they are. */
static void pack_late(apply_context *c, head_extra *extra, tsdb_ref ref, uint32_t epoch)
{
    head_shard *s = c->shard;
    const head_sample *late = tsdb_region_at(&s->memory, extra->late.at);
    uint32_t count = extra->late.count;
    uint8_t bytes[2 + LATE_SAMPLES * (TSDB_XOR_SAMPLE_BYTES_MAX + 1)];
    tsdb_xor_state x = {0};
    tsdb_xor_step step;
    if (count > LATE_SAMPLES) /* an earlier try failed: the first ones go */
        count = LATE_SAMPLES;
    for (uint32_t i = 0; i < count; i++) {
        tsdb_xor_put(&x, x.count ? bytes[x.len - 1] : 0, late[i].t, late[i].v, &step);
        tsdb_xor_place(bytes, &x, &step);
    }
    head_ooo_full full = {
        .at = {.min_t = late[0].t, .encoding = TSDB_CHUNK_XOR, .count = (uint8_t)count},
        .max_t = late[count - 1].t,
        .epoch = epoch};
    head_ooo_full *slot = head_list_add(&s->memory, &extra->late_full, sizeof full);
    if (!slot)
        return;
    if (tsdb_head_chunks_put(c->head->options.chunks, ref, full.at.min_t, full.max_t,
                             TSDB_CHUNK_XOR | TSDB_HEAD_CHUNK_LATE, sx_str_of(bytes, x.len),
                             &full.at.segment, &full.at.offset, NULL) != SX_OK) {
        extra->late_full.count--;
        return;
    }
    *slot = full;
    s->full_chunks++;
    head_list rest = {0};
    for (uint32_t i = count; i < extra->late.count; i++) {
        head_sample *to = head_list_add(&s->memory, &rest, sizeof *to);
        if (to)
            *to = late[i];
    }
    head_list_done(&s->memory, &extra->late, sizeof(head_sample));
    extra->late = rest;
}

/* Whether the series has a sample at `t` already: the same one is taken, another refused. */
static sx_status compare_old(apply_context *c, const head_series *series, int64_t t, double v,
                             bool *there, tsdb_refusal *why)
{
    c->old.count = 0;
    *there = false;
    sx_status status = head_read_locked(c->head, c->shard, series, t, t, &c->old, NULL);
    if (status != SX_OK || c->old.count == 0)
        return status;
    *there = true;
    bool histogram = c->old.h && c->old.h[0];
    *why = !histogram && same_bits(c->old.v[0], v) ? TSDB_TAKEN : TSDB_DUPLICATE;
    return SX_OK;
}

static sx_status put_late(apply_context *c, head_series *series, tsdb_ref ref, int64_t t, double v,
                          tsdb_refusal *why)
{
    head_shard *s = c->shard;
    bool there;
    sx_status status = compare_old(c, series, t, v, &there, why);
    if (status != SX_OK || there)
        return status;
    head_extra *extra = want_extra(s, series);
    if (!extra || !head_list_add(&s->memory, &extra->late, sizeof(head_sample)))
        return SX_ENOMEM;
    head_sample *late = tsdb_region_at(&s->memory, extra->late.at);
    uint32_t at = extra->late.count - 1;
    while (at > 0 && late[at - 1].t > t) {
        late[at] = late[at - 1];
        at--;
    }
    late[at] = (head_sample){t, v};
    if (t < s->min_t)
        s->min_t = t;
    if (t > s->max_t)
        s->max_t = t;
    s->late++;
    /* A series of late samples alone has a newest one, too, or it would never leave. */
    if (t > series->x.t && series->x.count == 0)
        set_newest(series, t, v);
    if (extra->late.count >= LATE_SAMPLES)
        pack_late(c, extra, ref, atomic_load_explicit(&c->head->cut_epoch, memory_order_relaxed));
    return SX_OK;
}

/* Whether a sample at `t`, not newer than the newest or before the floor, may still come. */
static tsdb_refusal judge_late(const tsdb_head *h, int64_t newest, int64_t t)
{
    int64_t window = atomic_load_explicit(&h->window_ms, memory_order_relaxed);
    if (window < 0)
        return TSDB_OUT_OF_ORDER;
    if (newest != INT64_MIN && newest > t && (uint64_t)newest - (uint64_t)t > (uint64_t)window)
        return TSDB_TOO_OLD;
    return TSDB_TAKEN;
}

sx_status tsdb_head_check(tsdb_head *h, tsdb_ref ref, int64_t t, double v, tsdb_refusal *why,
                          bool *late)
{
    head_series *series = head_find(h, ref);
    *why = TSDB_TAKEN;
    *late = false;
    if (sx_unlikely(!series))
        return SX_ENOTFOUND;
    int64_t newest = __atomic_load_n(&series->x.t, __ATOMIC_RELAXED);
    if (sx_likely(t > newest && t >= atomic_load_explicit(&h->floor_t, memory_order_relaxed)))
        return SX_OK;
    if (t == newest) {
        double value;
        __atomic_load(&series->x.v, &value, __ATOMIC_RELAXED);
        bool histogram = __atomic_load_n(&series->flags, __ATOMIC_RELAXED) & HEAD_NEWEST_HISTOGRAM;
        /* A change between the two loads is found when the sample is applied. */
        *why = !histogram && same_bits(v, value) ? TSDB_TAKEN : TSDB_DUPLICATE;
        return SX_OK;
    }
    *late = true;
    *why = judge_late(h, newest, t);
    return SX_OK;
}

static sx_status apply_one(apply_context *c, const tsdb_head_sample *sample, head_series *series,
                           tsdb_refusal *why, bool *late)
{
    int64_t t = sample->t;
    *why = TSDB_TAKEN;
    *late = false;
    if (sx_likely(t > series->x.t && t >= c->floor_t))
        return put_newest(c, series, sample->ref, t, sample->v) ? SX_OK : SX_ENOMEM;
    if (t == series->x.t && !(series->flags & HEAD_NEWEST_HISTOGRAM)) {
        *why = same_bits(series->x.v, sample->v) ? TSDB_TAKEN : TSDB_DUPLICATE;
        return SX_OK;
    }
    *late = true;
    *why = judge_late(c->head, series->x.t, t);
    return *why == TSDB_TAKEN ? put_late(c, series, sample->ref, t, sample->v, why) : SX_OK;
}

static void context_begin(apply_context *c, tsdb_head *h, head_shard *s, sx_arena *arena)
{
    *c = (apply_context){.head = h, .shard = s, .window_from = INT64_MAX, .window_to = INT64_MIN};
    tsdb_columns_init(&c->old, arena);
    pthread_rwlock_wrlock(&s->lock);
    c->floor_t = atomic_load_explicit(&h->floor_t, memory_order_relaxed);
}

static void context_end(apply_context *c)
{
    head_count_bytes(c->shard);
    pthread_rwlock_unlock(&c->shard->lock);
    tsdb_columns_done(&c->old);
}

sx_status tsdb_head_apply(tsdb_head *h, uint32_t shard, const tsdb_head_sample *samples,
                          size_t count, tsdb_head_applied *applied, sx_error *err)
{
    head_shard *s = &h->shards[shard];
    apply_context c;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_status status = SX_OK;
    context_begin(&c, h, s, &arena);
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        if (i + PREFETCH < count)
            __builtin_prefetch(head_series_at(s, head_id_of(samples[i + PREFETCH].ref)), 1);
        if (i + PREFETCH / 2 < count) {
            const head_series *soon = head_series_at(s, head_id_of(samples[i + PREFETCH / 2].ref));
            if (head_id_of(samples[i + PREFETCH / 2].ref) <= s->ids)
                __builtin_prefetch((uint8_t *)tsdb_region_at(&s->memory, soon->bytes) + soon->x.len,
                                   1);
        }
        head_series *series = head_find(h, samples[i].ref);
        if (sx_unlikely(!series)) {
            applied->gone++;
            continue;
        }
        tsdb_refusal why;
        bool late;
        status = apply_one(&c, &samples[i], series, &why, &late);
        applied->refused[why]++;
        applied->taken += why == TSDB_TAKEN;
        applied->late += why == TSDB_TAKEN && late;
    }
    s->samples += count;
    context_end(&c);
    sx_arena_done(&arena);
    return status == SX_OK ? SX_OK : sx_fail_memory(err, "samples of the head");
}

sx_status tsdb_head_apply_histogram(tsdb_head *h, tsdb_ref ref, int64_t t, bool integer,
                                    sx_str encoded, tsdb_refusal *why, sx_error *err)
{
    head_shard *s = head_shard_of(h, ref);
    apply_context c;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_status status = SX_OK;
    *why = TSDB_TAKEN;
    context_begin(&c, h, s, &arena);
    head_series *series = head_find(h, ref);
    if (!series || encoded.len > HEAD_HISTOGRAM_BYTES_MAX) {
        status = series ? SX_ELIMIT : SX_ENOTFOUND;
        goto out;
    }
    if (t <= series->x.t && t != series->x.t)
        *why = judge_late(h, series->x.t, t);
    if (*why != TSDB_TAKEN)
        goto out;
    head_extra *extra = want_extra(s, series);
    if (!extra) {
        status = SX_ENOMEM;
        goto out;
    }
    const head_histogram *have = tsdb_region_at(&s->memory, extra->histograms.at);
    uint32_t at = extra->histograms.count;
    while (at > 0 && have[at - 1].t > t)
        at--;
    if (at > 0 && have[at - 1].t == t) {
        bool same =
            have[at - 1].len == encoded.len && have[at - 1].integer == integer &&
            memcmp(tsdb_region_at(&s->memory, have[at - 1].at), encoded.data, encoded.len) == 0;
        *why = same ? TSDB_TAKEN : TSDB_DUPLICATE;
        goto out;
    }
    if (t <= series->x.t) { /* a float of that time? */
        bool there;
        status = compare_old(&c, series, t, 0, &there, why);
        if (there)
            *why = TSDB_DUPLICATE;
        if (status != SX_OK || there)
            goto out;
    }
    tsdb_handle bytes = tsdb_region_alloc(&s->memory, encoded.len);
    if (!bytes || !head_list_add(&s->memory, &extra->histograms, sizeof(head_histogram))) {
        tsdb_region_free(&s->memory, bytes, encoded.len);
        status = SX_ENOMEM;
        goto out;
    }
    memcpy(tsdb_region_at(&s->memory, bytes), encoded.data, encoded.len);
    head_histogram *list = tsdb_region_at(&s->memory, extra->histograms.at);
    memmove(list + at + 1, list + at, (extra->histograms.count - 1 - at) * sizeof *list);
    uint32_t epoch = atomic_load_explicit(&h->cut_epoch, memory_order_relaxed);
    list[at] = (head_histogram){t, bytes, (uint32_t)encoded.len & HEAD_HISTOGRAM_BYTES_MAX,
                                epoch & HEAD_EPOCH_MASK, integer};
    s->late += t < c.floor_t;
    s->min_t = t < s->min_t ? t : s->min_t;
    s->max_t = t > s->max_t ? t : s->max_t;
    s->samples++;
    if (t > series->x.t) {
        if (series->x.count) /* the open chunk's state is about its own newest sample */
            close_chunk(&c, series, ref);
        if (series->x.count == 0) {
            series->flags |= HEAD_NEWEST_HISTOGRAM;
            set_newest(series, t, 0);
        }
    }
out:
    context_end(&c);
    sx_arena_done(&arena);
    if (status == SX_ENOMEM)
        return sx_fail_memory(err, "histogram of the head");
    return status;
}

sx_status tsdb_head_apply_start(tsdb_head *h, tsdb_ref ref, int64_t t, int64_t start, sx_error *err)
{
    head_shard *s = head_shard_of(h, ref);
    sx_status status = SX_OK;
    pthread_rwlock_wrlock(&s->lock);
    head_series *series = head_find(h, ref);
    head_extra *extra = series ? want_extra(s, series) : NULL;
    if (!series)
        status = SX_ENOTFOUND;
    else if (!extra)
        status = SX_ENOMEM;
    else {
        head_start *list = tsdb_region_at(&s->memory, extra->starts.at);
        uint32_t count = extra->starts.count, at = count;
        while (at > 0 && list[at - 1].t > t)
            at--;
        if (at > 0 && (list[at - 1].start == start || list[at - 1].t == t)) {
            list[at - 1].start = start;
        } else if (!head_list_add(&s->memory, &extra->starts, sizeof *list)) {
            status = SX_ENOMEM;
        } else {
            list = tsdb_region_at(&s->memory, extra->starts.at);
            memmove(list + at + 1, list + at, (count - at) * sizeof *list);
            list[at] = (head_start){t, start};
        }
    }
    head_count_bytes(s);
    pthread_rwlock_unlock(&s->lock);
    return status == SX_ENOMEM ? sx_fail_memory(err, "start timestamp") : status;
}

sx_status tsdb_head_apply_delete(tsdb_head *h, tsdb_ref ref, int64_t min_t, int64_t max_t,
                                 sx_error *err)
{
    head_shard *s = head_shard_of(h, ref);
    sx_status status = SX_OK;
    pthread_rwlock_wrlock(&s->lock);
    head_series *series = head_find(h, ref);
    head_extra *extra = series ? want_extra(s, series) : NULL;
    head_range *range = extra ? head_list_add(&s->memory, &extra->deleted, sizeof *range) : NULL;
    if (range)
        *range = (head_range){min_t, max_t};
    else
        status = series ? sx_fail_memory(err, "deletion") : SX_ENOTFOUND;
    head_count_bytes(s);
    pthread_rwlock_unlock(&s->lock);
    return status;
}

/* --- A cut begins. */

enum { CUT_BATCH = 4096 };

/* The late samples of some series become chunks of the epoch before. */
static void pack_some(tsdb_head *h, head_shard *s, uint32_t from, uint32_t to, uint32_t epoch)
{
    apply_context c;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    context_begin(&c, h, s, &arena);
    for (uint32_t id = from; id < to; id++) {
        head_series *series = head_series_at(s, id);
        if (!(series->flags & HEAD_LIVE) || !series->extra)
            continue;
        head_extra *extra = head_extra_of(s, series);
        for (uint32_t before = UINT32_MAX; extra->late.count && extra->late.count < before;) {
            before = extra->late.count;
            pack_late(&c, extra, head_ref(h, s, id), epoch - 1);
        }
    }
    context_end(&c);
    sx_arena_done(&arena);
}

void tsdb_head_begin_cut(tsdb_head *h, int64_t t)
{
    if (t > atomic_load_explicit(&h->floor_t, memory_order_relaxed))
        atomic_store_explicit(&h->floor_t, t, memory_order_relaxed);
    uint32_t epoch = atomic_fetch_add_explicit(&h->cut_epoch, 1, memory_order_relaxed) + 1;
    for (uint32_t i = 0; i <= h->shard_mask; i++) {
        head_shard *s = &h->shards[i];
        pthread_rwlock_wrlock(&s->lock); /* whoever has seen the old floor has left now */
        s->late = 0;
        uint32_t ids = s->ids;
        pthread_rwlock_unlock(&s->lock);
        for (uint32_t id = 1; id <= ids; id += CUT_BATCH)
            pack_some(h, s, id, ids - id < CUT_BATCH ? ids + 1 : id + CUT_BATCH, epoch);
    }
}

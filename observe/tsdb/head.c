/* head.c - shards and their series: made, found, unlinked; see head.h. */
#include "observe/tsdb/head.h"

#include <sextant/hash.h>
#include <sextant/mem.h>

/* Address space alone: 4 GiB-handles of 8 bytes, and 2^28 series of 64. */
static const uint64_t MEMORY_RESERVE = UINT64_C(32) << 30, TABLE_RESERVE = UINT64_C(16) << 30;

static sx_status shard_init(head_shard *s, sx_error *err)
{
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    /* Readers come all the time: without this an appender might never get its turn. */
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&s->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    s->min_t = INT64_MAX;
    s->max_t = INT64_MIN;
    sx_status status = tsdb_region_init(&s->memory, MEMORY_RESERVE, err);
    if (status == SX_OK)
        status = tsdb_region_init(&s->table, TABLE_RESERVE, err);
    return status;
}

static void shard_done(head_shard *s)
{
    tsdb_region_done(&s->memory);
    tsdb_region_done(&s->table);
    sx_free(s->index);
    sx_free(s->pairs);
    sx_free(s->limbo);
    pthread_rwlock_destroy(&s->lock);
}

sx_status tsdb_head_new(const tsdb_head_options *options, tsdb_head **out, sx_error *err)
{
    uint32_t shards = options->shards ? options->shards : TSDB_HEAD_SHARDS_MAX;
    if (shards > TSDB_HEAD_SHARDS_MAX || (shards & (shards - 1)))
        return sx_fail(err, SX_EINVAL, "%u shards: a power of two up to %d is wanted", shards,
                       TSDB_HEAD_SHARDS_MAX);
    tsdb_head *h = sx_calloc(1, sizeof *h);
    if (!h)
        return sx_fail_memory(err, "head");
    h->options = *options;
    atomic_init(&h->window_ms, options->out_of_order_ms);
    h->shard_mask = shards - 1;
    h->generation = 1;
    h->floor_t = INT64_MIN;
    h->readers_end = &h->readers;
    pthread_mutex_init(&h->readers_lock, NULL);
    for (uint32_t i = 0; i < shards; i++) {
        sx_status status = shard_init(&h->shards[i], err);
        if (status != SX_OK) {
            h->shard_mask = i; /* the broken one is released too */
            tsdb_head_free(h);
            return status;
        }
    }
    *out = h;
    return SX_OK;
}

void tsdb_head_free(tsdb_head *h)
{
    if (!h)
        return;
    for (uint32_t i = 0; i <= h->shard_mask; i++)
        shard_done(&h->shards[i]);
    pthread_mutex_destroy(&h->readers_lock);
    sx_free(h);
}

static bool same_labels(const head_shard *s, const head_series *series, tsdb_labels labels)
{
    if (series->pair_count != labels.count)
        return false;
    const tsdb_handle *pairs = tsdb_region_at(&s->memory, series->pairs);
    for (uint32_t i = 0; i < labels.count; i++) {
        const head_pair *p = head_pair_at(s, pairs[i]);
        if (!sx_str_eq(head_pair_text(p), labels.items[i].value) ||
            !sx_str_eq(head_pair_text(head_pair_at(s, p->name)), labels.items[i].name))
            return false;
    }
    return true;
}

static uint32_t find_series(const head_shard *s, tsdb_labels labels, uint32_t hash)
{
    if (s->index_cap == 0)
        return 0;
    for (uint32_t i = hash & (s->index_cap - 1);; i = (i + 1) & (s->index_cap - 1)) {
        uint32_t id = s->index[i];
        if (id == 0)
            return 0;
        const head_series *series = head_series_at(s, id);
        if (series->hash == hash && same_labels(s, series, labels))
            return id;
    }
}

static void put_id(const head_shard *s, uint32_t *slots, uint32_t cap, uint32_t id)
{
    uint32_t i = head_series_at(s, id)->hash & (cap - 1);
    while (slots[i])
        i = (i + 1) & (cap - 1);
    slots[i] = id;
}

static bool grow_index(head_shard *s)
{
    if ((uint64_t)(s->series + 1) * 4 <= (uint64_t)s->index_cap * 3)
        return true;
    uint32_t cap = s->index_cap ? s->index_cap * 2 : 64;
    uint32_t *slots = sx_calloc(cap, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < s->index_cap; i++)
        if (s->index[i])
            put_id(s, slots, cap, s->index[i]);
    sx_free(s->index);
    s->index = slots;
    s->index_cap = cap;
    return true;
}

/* A slot for a series: `wanted` if that is not 0, which must be free. */
static uint32_t take_id(head_shard *s, uint32_t wanted)
{
    if (wanted > s->ids || (!wanted && !s->free_ids)) {
        uint32_t id = wanted ? wanted : s->ids + 1;
        if (id >= TSDB_HEAD_IDS_MAX ||
            !tsdb_region_commit(&s->table, ((uint64_t)id + 1) * sizeof(head_series)))
            return 0;
        for (uint32_t gap = s->ids + 1; gap < id; gap++) { /* ids that the log leaves out */
            head_series_at(s, gap)->hash = s->free_ids;
            s->free_ids = gap;
        }
        __atomic_store_n(&s->ids, id, __ATOMIC_RELEASE);
        return id;
    }
    if (!wanted) {
        uint32_t id = s->free_ids;
        s->free_ids = head_series_at(s, id)->hash;
        return id;
    }
    uint32_t *link = &s->free_ids;
    while (*link && *link != wanted)
        link = &head_series_at(s, *link)->hash;
    if (*link == 0)
        return 0;
    *link = head_series_at(s, wanted)->hash;
    return wanted;
}

static void give_id(head_shard *s, uint32_t id)
{
    head_series_at(s, id)->hash = s->free_ids;
    s->free_ids = id;
}

/* Interns the labels; 0 if there is no memory, and then nothing is left behind but pairs that the
 * next sweep takes. */
static tsdb_handle intern_labels(head_shard *s, tsdb_labels labels)
{
    size_t bytes = labels.count * sizeof(tsdb_handle);
    tsdb_handle at = tsdb_region_alloc(&s->memory, bytes);
    if (!at)
        return 0;
    for (uint32_t i = 0; i < labels.count; i++) {
        tsdb_handle pair = head_pair_intern(s, labels.items[i].name, labels.items[i].value);
        if (!pair) {
            tsdb_region_free(&s->memory, at, bytes);
            return 0;
        }
        ((tsdb_handle *)tsdb_region_at(&s->memory, at))[i] = pair;
    }
    return at;
}

static bool link_postings(head_shard *s, const tsdb_handle *pairs, uint32_t count, uint32_t id)
{
    for (uint32_t i = 0; i < count; i++) {
        head_pair *p = head_pair_at(s, pairs[i]);
        if (!tsdb_postings_add(&s->memory, &p->series, id)) {
            while (i-- > 0)
                tsdb_postings_remove(&s->memory, &head_pair_at(s, pairs[i])->series, id);
            return false;
        }
    }
    for (uint32_t i = 0; i < count; i++)
        head_pair_at(s, pairs[i])->refs++;
    return true;
}

static uint32_t make_series(tsdb_head *h, head_shard *s, tsdb_labels labels, uint32_t hash,
                            tsdb_ref as)
{
    if (labels.count > UINT16_MAX || !grow_index(s))
        return 0;
    tsdb_handle pairs = intern_labels(s, labels);
    if (!pairs)
        return 0;
    uint32_t id = take_id(s, head_id_of(as));
    if (id && !link_postings(s, tsdb_region_at(&s->memory, pairs), labels.count, id)) {
        give_id(s, id);
        id = 0;
    }
    if (!id) {
        tsdb_region_free(&s->memory, pairs, labels.count * sizeof(tsdb_handle));
        return 0;
    }
    head_series *series = head_series_at(s, id);
    uint8_t generation =
        as ? (uint8_t)(as >> 32)
           : (series->generation ? (uint8_t)(series->generation + 1) : h->generation);
    if (generation == 0)
        generation = 1; /* 0 is for what other programs numbered */
    __atomic_store_n(&series->flags, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&series->x.t, INT64_MIN, __ATOMIC_RELAXED);
    series->x.count = series->x.len = 0;
    series->bytes = series->last_bytes = series->full = series->extra = 0;
    series->full_count = 0;
    series->pairs = pairs;
    series->pair_count = (uint16_t)labels.count;
    series->hash = hash;
    __atomic_store_n(&series->generation, generation, __ATOMIC_RELAXED);
    __atomic_store_n(&series->flags, HEAD_LIVE, __ATOMIC_RELEASE);
    put_id(s, s->index, s->index_cap, id);
    s->series++;
    atomic_fetch_add_explicit(&h->series, 1, memory_order_relaxed);
    head_count_bytes(s);
    return id;
}

/* Whether a new series may not be made. */
static bool over_budget(const tsdb_head *h)
{
    if (h->options.series_max &&
        atomic_load_explicit(&h->series, memory_order_relaxed) >= h->options.series_max)
        return true;
    if (!h->options.memory_max)
        return false;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i <= h->shard_mask; i++)
        bytes += atomic_load_explicit(&h->shards[i].bytes, memory_order_relaxed);
    return bytes >= h->options.memory_max;
}

sx_status tsdb_head_series(tsdb_head *h, tsdb_labels labels, uint64_t hash, tsdb_ref *ref,
                           bool *created, tsdb_refusal *why, sx_error *err)
{
    head_shard *s = &h->shards[hash & h->shard_mask];
    uint32_t upper = (uint32_t)(hash >> 32);
    *created = false;
    *why = TSDB_TAKEN;
    pthread_rwlock_rdlock(&s->lock);
    uint32_t id = find_series(s, labels, upper);
    if (id)
        *ref = head_ref(h, s, id);
    pthread_rwlock_unlock(&s->lock);
    if (sx_likely(id))
        return SX_OK;

    *ref = 0;
    if (sx_unlikely(over_budget(h))) {
        *why = TSDB_SERIES_LIMIT;
        return SX_OK;
    }
    pthread_rwlock_wrlock(&s->lock);
    id = find_series(s, labels, upper); /* another thread may have been first */
    if (!id) {
        id = make_series(h, s, labels, upper, 0);
        *created = id != 0;
    }
    if (id)
        *ref = head_ref(h, s, id);
    pthread_rwlock_unlock(&s->lock);
    return id ? SX_OK : sx_fail_memory(err, "new series");
}

sx_status tsdb_head_series_as(tsdb_head *h, tsdb_labels labels, uint64_t hash, tsdb_ref ref,
                              sx_error *err)
{
    head_shard *s = &h->shards[hash & h->shard_mask];
    uint32_t id = head_id_of(ref);
    if (head_shard_of(h, ref) != s || id == 0 || ref >> 40 || (ref >> 32) == 0)
        return SX_EEXIST;
    pthread_rwlock_wrlock(&s->lock);
    sx_status status = SX_OK;
    uint32_t there = find_series(s, labels, (uint32_t)(hash >> 32));
    if (there)
        status = head_ref(h, s, there) == ref ? SX_OK : SX_EEXIST;
    else if (id <= s->ids && (head_series_at(s, id)->flags & HEAD_LIVE))
        status = SX_EEXIST;
    else if (!make_series(h, s, labels, (uint32_t)(hash >> 32), ref))
        status = sx_fail_memory(err, "series of the log");
    pthread_rwlock_unlock(&s->lock);
    return status;
}

bool tsdb_head_logged(tsdb_head *h, tsdb_ref ref)
{
    head_shard *s = head_shard_of(h, ref);
    bool before = true;
    const head_series *seen = head_find(h, ref);
    if (!seen || (__atomic_load_n(&seen->flags, __ATOMIC_RELAXED) & HEAD_LOGGED))
        return true;
    pthread_rwlock_wrlock(&s->lock);
    head_series *series = head_find(h, ref);
    if (series) {
        before = series->flags & HEAD_LOGGED;
        __atomic_store_n(&series->flags, series->flags | HEAD_LOGGED, __ATOMIC_RELAXED);
    }
    pthread_rwlock_unlock(&s->lock);
    return before;
}

sx_status head_labels_of(const head_shard *s, const head_series *series, sx_arena *arena,
                         tsdb_labels *out, sx_error *err)
{
    tsdb_label *items = sx_arena_alloc(arena, (series->pair_count + 1u) * sizeof *items);
    if (!items)
        return sx_fail_memory(err, "labels of a series");
    const tsdb_handle *pairs = tsdb_region_at(&s->memory, series->pairs);
    for (uint32_t i = 0; i < series->pair_count; i++) {
        const head_pair *p = head_pair_at(s, pairs[i]);
        items[i] = (tsdb_label){head_pair_text(head_pair_at(s, p->name)), head_pair_text(p)};
    }
    *out = (tsdb_labels){items, series->pair_count};
    return SX_OK;
}

sx_status tsdb_head_labels(tsdb_head *h, tsdb_ref ref, sx_arena *arena, tsdb_labels *out,
                           sx_error *err)
{
    head_shard *s = head_shard_of(h, ref);
    pthread_rwlock_rdlock(&s->lock);
    const head_series *series = head_find(h, ref);
    sx_status status = series ? head_labels_of(s, series, arena, out, err)
                              : sx_fail(err, SX_ENOTFOUND, "series has left the head");
    pthread_rwlock_unlock(&s->lock);
    return status;
}

sx_status tsdb_head_revive(tsdb_head *h, tsdb_ref *ref, sx_error *err)
{
    head_shard *s = head_shard_of(h, *ref);
    uint32_t id = head_id_of(*ref);
    tsdb_labels labels;
    bool created;
    tsdb_refusal why;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_status status = SX_ENOTFOUND;
    pthread_rwlock_rdlock(&s->lock);
    if (id && id <= s->ids && head_series_at(s, id)->generation == (uint8_t)(*ref >> 32) &&
        head_series_at(s, id)->pair_count)
        status = head_labels_of(s, head_series_at(s, id), &arena, &labels, err);
    pthread_rwlock_unlock(&s->lock);
    if (status == SX_OK)
        status = tsdb_head_series(h, labels, tsdb_labels_hash(labels), ref, &created, &why, err);
    if (status == SX_OK && !*ref)
        status = sx_fail(err, SX_ELIMIT, "%s", tsdb_refusal_words(why));
    else if (status == SX_ENOTFOUND)
        sx_fail(err, SX_ENOTFOUND, "series has left the head");
    sx_arena_done(&arena);
    return status;
}

/* --- Readers and what they hold alive. */

void tsdb_head_enter(tsdb_head *h, tsdb_head_reader *r)
{
    pthread_mutex_lock(&h->readers_lock);
    r->epoch = h->epoch;
    r->next = NULL;
    r->before = h->readers_end;
    *h->readers_end = r;
    h->readers_end = &r->next;
    pthread_mutex_unlock(&h->readers_lock);
}

void tsdb_head_leave(tsdb_head *h, tsdb_head_reader *r)
{
    pthread_mutex_lock(&h->readers_lock);
    *r->before = r->next;
    if (r->next)
        r->next->before = r->before;
    else
        h->readers_end = r->before;
    pthread_mutex_unlock(&h->readers_lock);
}

void tsdb_head_stats_read(tsdb_head *h, tsdb_head_stats *out)
{
    *out = (tsdb_head_stats){.min_t = INT64_MAX, .max_t = INT64_MIN};
    for (uint32_t i = 0; i <= h->shard_mask; i++) {
        head_shard *s = &h->shards[i];
        pthread_rwlock_rdlock(&s->lock);
        out->series += s->series;
        out->chunks += s->full_chunks + s->series;
        out->pairs += s->pairs_count;
        out->bytes += atomic_load_explicit(&s->bytes, memory_order_relaxed);
        out->min_t = s->min_t < out->min_t ? s->min_t : out->min_t;
        out->max_t = s->max_t > out->max_t ? s->max_t : out->max_t;
        pthread_rwlock_unlock(&s->lock);
    }
}

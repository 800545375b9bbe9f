/* db_query.c - what the admin and status pages ask of the database: exemplars, metadata,
 * cardinality, deletion. None of it is hot. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "observe/tsdb/blocks.h"
#include "observe/tsdb/head_image.h"
#include "observe/tsdb/record.h"

/* --- Deletion. */

static sx_status delete_in_head(tsdb *db, int64_t min_t, int64_t max_t,
                                const tsdb_matcher *matchers, size_t count, sx_error *err)
{
    tsdb_head_stats stats;
    tsdb_head_stats_read(db->head, &stats);
    if (max_t > stats.max_t) /* what is appended later is not meant */
        max_t = stats.max_t;
    if (min_t > max_t)
        return SX_OK;

    tsdb_head_reader reader;
    tsdb_selection found = {0};
    tsdb_hints hints = {.min_t = min_t, .max_t = max_t};
    tsdb_record_writer w;
    tsdb_wal_batch batch;
    sx_buf record;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&record, 0);
    tsdb_wal_batch_init(&batch);
    pthread_rwlock_rdlock(&db->truncation);
    tsdb_head_enter(db->head, &reader);
    sx_status status =
        tsdb_head_select(db->head, &hints, matchers, count, &arena, &found, NULL, err);
    tsdb_record_begin(&w, TSDB_RECORD_TOMBSTONES, &record);
    for (size_t i = 0; i < found.count; i++)
        tsdb_record_tombstone(&w, found.items[i].handle[0], min_t, max_t);
    if (status == SX_OK)
        status = sx_buf_status(&record, "tombstones", err);
    if (status == SX_OK && found.count) {
        status = tsdb_wal_batch_add(&batch, db->wal, sx_buf_view(&record), err);
        if (status == SX_OK)
            status = tsdb_wal_write(db->wal, &batch, err);
    }
    for (size_t i = 0; i < found.count && status == SX_OK; i++)
        status = tsdb_head_apply_delete(db->head, found.items[i].handle[0], min_t, max_t, err);
    tsdb_head_leave(db->head, &reader);
    pthread_rwlock_unlock(&db->truncation);
    tsdb_wal_batch_done(&batch);
    sx_buf_done(&record);
    sx_arena_done(&arena);
    return status;
}

/* Neither a cut nor a compaction may run meanwhile: it would write what was deleted behind its back. */
sx_status tsdb_delete(tsdb *db, int64_t min_t, int64_t max_t, const tsdb_matcher *matchers,
                      size_t count, sx_error *err)
{
    sx_arena arena;
    tsdb_block **blocks = NULL;
    size_t block_count = 0;
    sx_status status = tsdb_wait_writable(db, err);
    if (status != SX_OK)
        return status;
    sx_arena_init(&arena, 0, 0);
    pthread_mutex_lock(&db->maintenance);
    status = tsdb_image_drop(db, err); /* its queries need not wait for what is deleted here */
    if (status == SX_OK)
        status = tsdb_blocks_hold(db, &arena, &blocks, &block_count, err);
    for (size_t i = 0; i < block_count && status == SX_OK; i++)
        if (blocks[i]->source.min_t <= max_t && blocks[i]->source.max_t >= min_t)
            status = tsdb_block_delete(blocks[i], min_t, max_t, matchers, count, err);
    if (status == SX_OK)
        status = delete_in_head(db, min_t, max_t, matchers, count, err);
    if (blocks)
        tsdb_blocks_release(blocks, block_count);
    pthread_mutex_unlock(&db->maintenance);
    sx_arena_done(&arena);
    return status;
}

/* --- Exemplars. */

typedef struct found_exemplar {
    tsdb_ref ref;
    size_t order; /* in the ring, oldest first */
    tsdb_exemplar exemplar;
} found_exemplar;

static int compare_found(const void *a, const void *b)
{
    const found_exemplar *x = a, *y = b;
    if (x->ref != y->ref)
        return x->ref < y->ref ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static sx_status copy_labels(const side_exemplar *e, sx_arena *arena, tsdb_labels *out,
                             sx_error *err)
{
    tsdb_label *items = sx_arena_alloc(arena, (e->label_count + 1u) * sizeof *items);
    const char *at = e->text;
    for (uint32_t i = 0; items && i < e->label_count; i++) {
        items[i].name = sx_arena_copy(arena, sx_str_of(at, e->lens[2 * i]));
        at += e->lens[2 * i];
        items[i].value = sx_arena_copy(arena, sx_str_of(at, e->lens[2 * i + 1]));
        at += e->lens[2 * i + 1];
        if (!items[i].name.data || !items[i].value.data)
            items = NULL;
    }
    *out = (tsdb_labels){items, e->label_count};
    return items ? SX_OK : sx_fail_memory(err, "exemplars");
}

/* Copies the ring's exemplars of the range, so that the lock is not held for matching. */
static sx_status gather(tsdb_side *s, int64_t min_t, int64_t max_t, sx_arena *arena,
                        found_exemplar **out, size_t *count, sx_error *err)
{
    size_t cap = 0;
    sx_status status = SX_OK;
    *out = NULL;
    *count = 0;
    pthread_mutex_lock(&s->lock);
    size_t first = (s->ring_next + s->ring_cap - s->ring_count) % s->ring_cap;
    for (size_t i = 0; i < s->ring_count && status == SX_OK; i++) {
        const side_exemplar *e = &s->ring[(first + i) % s->ring_cap];
        if (e->t < min_t || e->t > max_t)
            continue;
        if (!sx_arena_grow(arena, out, &cap, *count + 1, sizeof **out)) {
            status = sx_fail_memory(err, "exemplars");
            break;
        }
        found_exemplar *to = &(*out)[*count];
        *to = (found_exemplar){e->ref, i, {.value = e->v, .t = e->t, .has_t = true}};
        status = copy_labels(e, arena, &to->exemplar.labels, err);
        if (status == SX_OK)
            (*count)++;
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

static bool any_set_matches(tsdb_labels labels, const tsdb_matcher *const *sets,
                            const size_t *set_counts, size_t sets_count)
{
    for (size_t i = 0; i < sets_count; i++)
        if (tsdb_matchers_match(sets[i], set_counts[i], labels))
            return true;
    return false;
}

sx_status tsdb_exemplars(tsdb *db, int64_t min_t, int64_t max_t, const tsdb_matcher *const *sets,
                         const size_t *set_counts, size_t sets_count, sx_arena *arena,
                         tsdb_exemplars_of **out, size_t *out_count, sx_error *err)
{
    found_exemplar *found;
    size_t count, cap = 0;
    *out = NULL;
    *out_count = 0;
    sx_status status = tsdb_wait_ready(db, err);
    if (status == SX_OK)
        status = gather(&db->side, min_t, max_t, arena, &found, &count, err);
    if (status != SX_OK || count == 0)
        return status;
    qsort(found, count, sizeof *found, compare_found);
    for (size_t i = 0, end; i < count && status == SX_OK; i = end) {
        tsdb_labels views, labels;
        for (end = i + 1; end < count && found[end].ref == found[i].ref;)
            end++;
        tsdb_head_reader reader;
        tsdb_head_enter(db->head, &reader);
        bool good = tsdb_head_labels(db->head, found[i].ref, arena, &views, NULL) == SX_OK &&
                    any_set_matches(views, sets, set_counts, sets_count);
        if (good)
            status = tsdb_labels_copy(views, arena, &labels, err);
        tsdb_head_leave(db->head, &reader);
        if (!good || status != SX_OK)
            continue;
        tsdb_exemplar *items = sx_arena_alloc(arena, (end - i) * sizeof *items);
        if (!items || !sx_arena_grow(arena, out, &cap, *out_count + 1, sizeof **out))
            return sx_fail_memory(err, "exemplars");
        for (size_t k = i; k < end; k++)
            items[k - i] = found[k].exemplar;
        (*out)[(*out_count)++] = (tsdb_exemplars_of){labels, items, end - i};
    }
    return status;
}

/* --- Metadata. */

sx_status tsdb_metadata_read(tsdb *db, sx_str metric, size_t limit, sx_arena *arena,
                             tsdb_metadata_of **out, size_t *count, sx_error *err)
{
    tsdb_side *s = &db->side;
    size_t cap = 0;
    sx_status status = tsdb_wait_ready(db, err);
    *out = NULL;
    *count = 0;
    if (status != SX_OK)
        return status;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->metadata_cap && status == SX_OK; i++) {
        const side_metadata *m = &s->metadata[i];
        if (!m->text || (metric.len && !sx_str_eq(metric, sx_str_of(m->text, m->lens[0]))))
            continue;
        if (limit && *count == limit)
            break;
        sx_str parts[4];
        const char *at = m->text;
        for (unsigned k = 0; k < 4; k++) {
            parts[k] = sx_arena_copy(arena, sx_str_of(at, m->lens[k]));
            at += m->lens[k];
            if (!parts[k].data)
                status = sx_fail_memory(err, "metadata");
        }
        if (status != SX_OK || !sx_arena_grow(arena, out, &cap, *count + 1, sizeof **out)) {
            status = sx_fail_memory(err, "metadata");
            break;
        }
        (*out)[(*count)++] =
            (tsdb_metadata_of){parts[0], {.type = parts[1], .help = parts[2], .unit = parts[3]}};
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

/* --- Cardinality. */

typedef struct pair_count {
    sx_str name, value;
    uint64_t series;
} pair_count;

typedef struct pair_list {
    pair_count *items; /* heap: there may be millions */
    size_t count, cap;
    bool failed;
} pair_list;

static void note_pair(void *context, sx_str name, sx_str value, uint32_t series)
{
    pair_list *l = context;
    if (series == 0 || l->failed)
        return;
    if (!sx_grow(&l->items, &l->cap, l->count + 1, sizeof *l->items)) {
        l->failed = true;
        return;
    }
    l->items[l->count++] = (pair_count){name, value, series};
}

static int compare_pairs(const void *a, const void *b)
{
    const pair_count *x = a, *y = b;
    int by_name = sx_str_cmp(x->name, y->name);
    return by_name ? by_name : sx_str_cmp(x->value, y->value);
}

/* Keeps the greatest `limit` counts, greatest first. */
static void keep_top(tsdb_count *top, size_t *count, size_t limit, tsdb_count c)
{
    if (*count == limit && (limit == 0 || top[limit - 1].value >= c.value))
        return;
    size_t at = *count < limit ? (*count)++ : limit - 1;
    while (at > 0 && top[at - 1].value < c.value) {
        top[at] = top[at - 1];
        at--;
    }
    top[at] = c;
}

/* The same pair of several shards becomes one. */
static void merge_pairs(pair_list *l)
{
    size_t kept = 0;
    if (l->count)
        qsort(l->items, l->count, sizeof *l->items, compare_pairs);
    for (size_t i = 0; i < l->count; i++) {
        if (kept && compare_pairs(&l->items[kept - 1], &l->items[i]) == 0)
            l->items[kept - 1].series += l->items[i].series;
        else
            l->items[kept++] = l->items[i];
    }
    l->count = kept;
}

enum { BY_METRIC, VALUES, BYTES, BY_PAIR };

static sx_status copy_names(tsdb_count *top, size_t count, sx_arena *arena, sx_error *err)
{
    for (size_t i = 0; i < count; i++) {
        top[i].name = sx_arena_copy(arena, top[i].name);
        if (!top[i].name.data)
            return sx_fail_memory(err, "cardinality");
    }
    return SX_OK;
}

static sx_status rank(const pair_list *l, size_t limit, sx_arena *arena, tsdb_cardinality *out,
                      sx_error *err)
{
    tsdb_count *tops[4];
    for (unsigned i = 0; i < 4; i++) {
        tops[i] = sx_arena_calloc(arena, limit + 1, sizeof *tops[i]);
        if (!tops[i])
            return sx_fail_memory(err, "cardinality");
    }
    for (size_t i = 0, end; i < l->count; i = end) {
        uint64_t bytes = 0;
        bool metrics = sx_str_eq(l->items[i].name, TSDB_METRIC_NAME);
        for (end = i; end < l->count && sx_str_eq(l->items[end].name, l->items[i].name); end++) {
            const pair_count *p = &l->items[end];
            bytes += p->value.len * p->series;
            if (metrics)
                keep_top(tops[BY_METRIC], &out->counts[BY_METRIC], limit,
                         (tsdb_count){p->value, p->series});
            size_t before = out->counts[BY_PAIR];
            if (before < limit || (limit && tops[BY_PAIR][limit - 1].value < p->series)) {
                sx_str pair =
                    sx_arena_printf(arena, "%.*s=%.*s", SX_ARG(p->name), SX_ARG(p->value));
                if (!pair.data)
                    return sx_fail_memory(err, "cardinality");
                keep_top(tops[BY_PAIR], &out->counts[BY_PAIR], limit,
                         (tsdb_count){pair, p->series});
            }
        }
        keep_top(tops[VALUES], &out->counts[VALUES], limit,
                 (tsdb_count){l->items[i].name, end - i});
        keep_top(tops[BYTES], &out->counts[BYTES], limit, (tsdb_count){l->items[i].name, bytes});
    }
    out->series_by_metric = tops[BY_METRIC];
    out->values_by_label = tops[VALUES];
    out->bytes_by_label = tops[BYTES];
    out->series_by_pair = tops[BY_PAIR];
    sx_status status = SX_OK;
    for (unsigned i = 0; i < 4 && status == SX_OK; i++)
        status = copy_names(tops[i], out->counts[i], arena, err);
    return status;
}

sx_status tsdb_cardinality_read(tsdb *db, size_t limit, sx_arena *arena, tsdb_cardinality *out,
                                sx_error *err)
{
    pair_list list = {0};
    tsdb_head_reader reader;
    *out = (tsdb_cardinality){0};
    sx_status status = tsdb_wait_ready(db, err);
    if (status != SX_OK)
        return status;
    tsdb_head_enter(db->head, &reader);
    tsdb_head_pairs(db->head, note_pair, &list);
    if (list.failed) {
        status = sx_fail_memory(err, "cardinality");
    } else {
        merge_pairs(&list);
        status = rank(&list, limit, arena, out, err);
    }
    tsdb_head_leave(db->head, &reader);
    sx_free(list.items);
    return status;
}

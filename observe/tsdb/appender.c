/* appender.c - a batch of samples on its way into the log and the head.
 *
 * While it is gathered a batch is a few arrays; each sample has had a first look at its series. At
 * commit the samples are sorted by shard (references of neighbouring series are then near each other,
 * and their differences in the log short), written to the log as one record a kind, and then put into
 * the head shard by shard. A series that left the head in between is made again.
 * Floats out of order go to wbl/, as in Prometheus, so that a directory can be given back. */
#include <sextant/mem.h>

#include "observe/tsdb/db_internal.h"
#include "observe/tsdb/record.h"

typedef struct sample_list {
    tsdb_head_sample *items;
    int64_t *starts; /* beside items; NULL while none is known */
    size_t count, cap;
} sample_list;

typedef struct pending_histogram {
    tsdb_ref ref;
    int64_t t, start;
    size_t at, len; /* in `encoded` */
    bool integer, custom;
} pending_histogram;

typedef struct pending_exemplar {
    tsdb_ref ref;
    tsdb_exemplar exemplar; /* labels in the arena */
} pending_exemplar;

typedef struct pending_metadata {
    tsdb_ref ref;
    tsdb_metadata metadata; /* in the arena */
} pending_metadata;

typedef struct batch {
    tsdb_appender base;
    tsdb *db;
    tsdb_head_reader reader; /* keeps the labels of series that leave meanwhile */
    bool reading;
    int64_t oldest_t; /* before it retention has passed */
    int64_t floor_t;  /* of the head, when the batch was begun, and then when it is committed */
    sample_list samples, late;
    tsdb_head_sample *sorted; /* scratch */
    int64_t *sorted_starts;
    size_t sorted_cap, sorted_starts_cap;
    size_t shard_ends[TSDB_HEAD_SHARDS_MAX];
    tsdb_ref *unlogged; /* series that the log does not know yet */
    size_t unlogged_count, unlogged_cap;
    pending_histogram *histograms;
    size_t histogram_count, histogram_cap;
    pending_exemplar *exemplars;
    size_t exemplar_count, exemplar_cap;
    pending_metadata *metadata;
    size_t metadata_count, metadata_cap;
    tsdb_ref start_ref; /* the start timestamp that waits for its sample; 0: none */
    int64_t start_t, start;
    sx_buf encoded;
    sx_buf record;
    sx_arena arena;
    tsdb_wal_batch log, late_log;
} batch;

static void begin_reading(batch *b)
{
    if (sx_likely(b->reading))
        return;
    tsdb_head_enter(b->db->head, &b->reader);
    b->reading = true;
    b->floor_t = atomic_load_explicit(&b->db->head->floor_t, memory_order_relaxed);
    int64_t now = sx_clock_ms(b->db->clock);
    int64_t keep_ms = atomic_load_explicit(
        &b->db->longest_ms,
        memory_order_relaxed); /* a rule may keep some series longer than the others */
    b->oldest_t = now < INT64_MIN + keep_ms ? INT64_MIN : now - keep_ms;
}

static void forget(batch *b)
{
    if (b->reading)
        tsdb_head_leave(b->db->head, &b->reader);
    b->reading = false;
    b->samples.count = b->late.count = 0;
    sx_free(b->samples.starts);
    sx_free(b->late.starts);
    b->samples.starts = b->late.starts = NULL;
    b->unlogged_count = b->histogram_count = b->exemplar_count = b->metadata_count = 0;
    b->start_ref = 0;
    sx_buf_clear(&b->encoded);
    sx_buf_clear(&b->record);
    sx_arena_reset(&b->arena);
    tsdb_wal_batch_clear(&b->log);
    tsdb_wal_batch_clear(&b->late_log);
}

static sx_status want_logged(batch *b, tsdb_ref ref, sx_error *err)
{
    if (b->unlogged_count && b->unlogged[b->unlogged_count - 1] == ref)
        return SX_OK;
    if (!sx_grow(&b->unlogged, &b->unlogged_cap, b->unlogged_count + 1, sizeof *b->unlogged))
        return sx_fail_memory(err, "new series of a batch");
    b->unlogged[b->unlogged_count++] = ref;
    return SX_OK;
}

static inline bool is_logged(const head_series *series)
{
    return __atomic_load_n(&series->flags, __ATOMIC_RELAXED) & HEAD_LOGGED;
}

static sx_status refuse(batch *b, tsdb_refusal why)
{
    atomic_fetch_add_explicit(&b->db->refused[why], 1, memory_order_relaxed);
    return SX_OK;
}

static sx_status add_series(tsdb_appender *a, tsdb_labels labels, uint64_t hash, tsdb_ref *ref,
                            tsdb_refusal *why, sx_error *err)
{
    batch *b = (batch *)a;
    bool created;
    begin_reading(b);
    sx_status status = tsdb_head_series(b->db->head, labels, hash, ref, &created, why, err);
    if (status != SX_OK)
        return status;
    if (*why != TSDB_TAKEN)
        return refuse(b, *why);
    const head_series *series = head_find(b->db->head, *ref);
    return series && is_logged(series) ? SX_OK : want_logged(b, *ref, err);
}

static bool put_start(sample_list *l, int64_t start)
{
    if (!l->starts) {
        if (start == 0)
            return true;
        l->starts = sx_calloc(l->cap, sizeof *l->starts);
        if (!l->starts)
            return false;
    }
    l->starts[l->count] = start;
    return true;
}

static sx_status push_sample(sample_list *l, tsdb_ref ref, int64_t t, double v, int64_t start,
                             sx_error *err)
{
    if (sx_unlikely(l->count == l->cap)) {
        size_t cap = l->cap;
        if (!sx_grow(&l->items, &cap, l->count + 1, sizeof *l->items))
            return sx_fail_memory(err, "samples of a batch");
        if (l->starts) {
            int64_t *starts = sx_realloc(l->starts, cap * sizeof *starts);
            if (!starts) {
                l->cap = l->count; /* items may have moved, and keep the room they have */
                return sx_fail_memory(err, "start timestamps of a batch");
            }
            l->starts = starts;
        }
        l->cap = cap;
    }
    if (sx_unlikely((l->starts || start) && !put_start(l, start)))
        return sx_fail_memory(err, "start timestamps of a batch");
    l->items[l->count++] = (tsdb_head_sample){ref, t, v};
    return SX_OK;
}

static int64_t take_start(batch *b, tsdb_ref ref, int64_t t)
{
    if (sx_likely(b->start_ref != ref))
        return 0;
    b->start_ref = 0;
    return b->start_t == t ? b->start : 0;
}

static void hear_of(const tsdb_appender *a, tsdb_ref ref)
{
    const batch *b = (const batch *)a;
    const head_shard *s = head_shard_of(b->db->head, ref);
    if ((ref & (TSDB_HEAD_SHARDS_MAX - 1)) <= b->db->head->shard_mask)
        __builtin_prefetch(head_series_at(s, head_id_of(ref)));
}

/* HOT. */
static sx_status add_sample(tsdb_appender *a, tsdb_ref ref, int64_t t, double v, tsdb_refusal *why,
                            sx_error *err)
{
    batch *b = (batch *)a;
    bool late;
    begin_reading(b);
    sx_status status = tsdb_head_check(b->db->head, ref, t, v, why, &late);
    if (sx_unlikely(status != SX_OK))
        return sx_fail(err, status, "series has left the head: ask by its labels again");
    if (sx_unlikely(t < b->oldest_t && *why == TSDB_TAKEN))
        *why = TSDB_TOO_OLD;
    if (sx_unlikely(late && a->in_order_only && *why == TSDB_TAKEN)) {
        *why = TSDB_OUT_OF_ORDER;
        return SX_OK; /* as was asked for: nobody's fault, not counted */
    }
    if (sx_unlikely(*why != TSDB_TAKEN))
        return refuse(b, *why);
    const head_series *series = head_find(b->db->head, ref);
    if (sx_unlikely(series && !is_logged(series))) {
        status = want_logged(b, ref, err);
        if (status != SX_OK)
            return status;
    }
    return push_sample(late ? &b->late : &b->samples, ref, t, v, take_start(b, ref, t), err);
}

static sx_status add_histogram(tsdb_appender *a, tsdb_ref ref, int64_t t, const tsdb_histogram *h,
                               tsdb_refusal *why, sx_error *err)
{
    batch *b = (batch *)a;
    begin_reading(b);
    *why = TSDB_TAKEN;
    const head_series *series = head_find(b->db->head, ref);
    if (!series)
        return sx_fail(err, SX_ENOTFOUND, "series has left the head: ask by its labels again");
    sx_error bad;
    if (!tsdb_is_stale(h->sum) && tsdb_histogram_check(h, &bad) != SX_OK)
        *why = TSDB_BAD_HISTOGRAM;
    else if (t < b->oldest_t)
        *why = TSDB_TOO_OLD;
    if (*why != TSDB_TAKEN)
        return refuse(b, *why);
    sx_status status = is_logged(series) ? SX_OK : want_logged(b, ref, err);
    if (status != SX_OK)
        return status;
    if (!sx_grow(&b->histograms, &b->histogram_cap, b->histogram_count + 1, sizeof *b->histograms))
        return sx_fail_memory(err, "histograms of a batch");
    size_t at = b->encoded.len;
    tsdb_record_put_histogram(&b->encoded, h);
    b->histograms[b->histogram_count++] = (pending_histogram){ref,
                                                              t,
                                                              take_start(b, ref, t),
                                                              at,
                                                              b->encoded.len - at,
                                                              h->integer,
                                                              h->schema == TSDB_SCHEMA_CUSTOM};
    return sx_buf_status(&b->encoded, "histograms of a batch", err);
}

static sx_status add_start(tsdb_appender *a, tsdb_ref ref, int64_t t, int64_t start_t,
                           tsdb_refusal *why, sx_error *err)
{
    batch *b = (batch *)a;
    (void)err;
    *why = TSDB_TAKEN;
    if (start_t > t) { /* a counter cannot begin after it was read */
        *why = TSDB_OUT_OF_BOUNDS;
        return refuse(b, *why);
    }
    b->start_ref = ref;
    b->start_t = t;
    b->start = start_t;
    return SX_OK;
}

static sx_status add_exemplar(tsdb_appender *a, tsdb_ref ref, const tsdb_exemplar *e,
                              tsdb_refusal *why, sx_error *err)
{
    enum { LABEL_RUNES_MAX = 128 };
    batch *b = (batch *)a;
    size_t runes = 0;
    begin_reading(b);
    *why = TSDB_TAKEN;
    for (uint32_t i = 0; i < e->labels.count; i++)
        for (unsigned part = 0; part < 2; part++) {
            sx_str s = part ? e->labels.items[i].value : e->labels.items[i].name;
            for (size_t k = 0; k < s.len; k++)
                runes += ((uint8_t)s.data[k] & 0xc0) != 0x80; /* UTF-8's first bytes */
        }
    if (runes > LABEL_RUNES_MAX) {
        *why = TSDB_EXEMPLAR_REFUSED;
        return refuse(b, *why);
    }
    if (!sx_grow(&b->exemplars, &b->exemplar_cap, b->exemplar_count + 1, sizeof *b->exemplars))
        return sx_fail_memory(err, "exemplars of a batch");
    pending_exemplar *p = &b->exemplars[b->exemplar_count];
    *p = (pending_exemplar){ref, *e};
    if (!e->has_t)
        p->exemplar.t =
            b->samples.count ? b->samples.items[b->samples.count - 1].t : sx_clock_ms(b->db->clock);
    sx_status status = tsdb_labels_copy(e->labels, &b->arena, &p->exemplar.labels, err);
    if (status == SX_OK)
        b->exemplar_count++;
    return status;
}

static sx_status add_metadata(tsdb_appender *a, tsdb_ref ref, const tsdb_metadata *m, sx_error *err)
{
    batch *b = (batch *)a;
    begin_reading(b);
    if (!sx_grow(&b->metadata, &b->metadata_cap, b->metadata_count + 1, sizeof *b->metadata))
        return sx_fail_memory(err, "metadata of a batch");
    tsdb_metadata copy = {
        .type = sx_arena_copy(&b->arena, m->type),
        .help = sx_arena_copy(&b->arena, m->help),
        .unit = sx_arena_copy(&b->arena, m->unit),
    };
    if (!copy.type.data || !copy.help.data || !copy.unit.data)
        return sx_fail_memory(err, "metadata of a batch");
    b->metadata[b->metadata_count++] = (pending_metadata){ref, copy};
    return SX_OK;
}

/* --- Commit. */

/* Whether series may have left since the batch was begun: the truncation that does it waits now. */
static bool may_have_left(batch *b)
{
    tsdb_head *h = b->db->head;
    pthread_mutex_lock(&h->readers_lock);
    bool same = b->reader.epoch == h->epoch;
    pthread_mutex_unlock(&h->readers_lock);
    return !same;
}

/* Series that have left since are made again; their references change. */
static sx_status revive(batch *b, sx_error *err)
{
    tsdb_head *h = b->db->head;
    if (!b->reading || !may_have_left(b))
        return SX_OK;
    sample_list *lists[] = {&b->samples, &b->late};
    sx_status status = SX_OK;
    for (unsigned l = 0; l < 2; l++)
        for (size_t i = 0; i < lists[l]->count && status == SX_OK; i++)
            if (sx_unlikely(!head_find(h, lists[l]->items[i].ref))) {
                status = tsdb_head_revive(h, &lists[l]->items[i].ref, err);
                if (status == SX_OK)
                    status = want_logged(b, lists[l]->items[i].ref, err);
            }
    for (size_t i = 0; i < b->histogram_count && status == SX_OK; i++)
        if (!head_find(h, b->histograms[i].ref)) {
            status = tsdb_head_revive(h, &b->histograms[i].ref, err);
            if (status == SX_OK)
                status = want_logged(b, b->histograms[i].ref, err);
        }
    return status;
}

/* Counting sort by shard, stable: samples of one series keep their order. */
static sx_status sort_by_shard(batch *b, sample_list *l, sx_error *err)
{
    size_t at[TSDB_HEAD_SHARDS_MAX + 1] = {0};
    if (!sx_grow(&b->sorted, &b->sorted_cap, l->count, sizeof *b->sorted) ||
        (l->starts &&
         !sx_grow(&b->sorted_starts, &b->sorted_starts_cap, l->count, sizeof *b->sorted_starts)))
        return sx_fail_memory(err, "samples of a batch");
    for (size_t i = 0; i < l->count; i++)
        at[(l->items[i].ref & (TSDB_HEAD_SHARDS_MAX - 1)) + 1]++;
    for (unsigned i = 1; i <= TSDB_HEAD_SHARDS_MAX; i++)
        at[i] += at[i - 1];
    for (size_t i = 0; i < l->count; i++) {
        size_t to = at[l->items[i].ref & (TSDB_HEAD_SHARDS_MAX - 1)]++;
        b->sorted[to] = l->items[i];
        if (l->starts)
            b->sorted_starts[to] = l->starts[i];
    }
    memcpy(b->shard_ends, at, sizeof b->shard_ends); /* each `at` has moved to its shard's end */
    return SX_OK;
}

static sx_status log_record(batch *b, tsdb_wal_batch *to, const tsdb_wal *wal, sx_error *err)
{
    sx_status status = sx_buf_status(&b->record, "record of the log", err);
    if (status == SX_OK)
        status = tsdb_wal_batch_add(to, wal, sx_buf_view(&b->record), err);
    sx_buf_clear(&b->record);
    return status;
}

static sx_status log_samples(batch *b, const sample_list *l, tsdb_wal_batch *to,
                             const tsdb_wal *wal, sx_error *err)
{
    tsdb_record_writer w;
    if (l->count == 0)
        return SX_OK;
    bool second = l->starts || tsdb_wal_packing_of(wal) == TSDB_WAL_ZSTD;
    tsdb_record_begin(&w, second ? TSDB_RECORD_SAMPLES_V2 : TSDB_RECORD_SAMPLES, &b->record);
    for (size_t i = 0; i < l->count; i++)
        tsdb_record_sample(&w, b->sorted[i].ref, b->sorted[i].t,
                           l->starts ? b->sorted_starts[i] : 0, b->sorted[i].v);
    return log_record(b, to, wal, err);
}

static sx_status log_series(batch *b, sx_error *err)
{
    tsdb_record_writer w;
    if (b->unlogged_count == 0)
        return SX_OK;
    tsdb_record_begin(&w, TSDB_RECORD_SERIES, &b->record);
    for (size_t i = 0; i < b->unlogged_count; i++) {
        tsdb_labels labels;
        sx_arena arena;
        sx_arena_init(&arena, 0, 0);
        sx_status status = tsdb_head_labels(b->db->head, b->unlogged[i], &arena, &labels, err);
        if (status == SX_OK)
            tsdb_record_series(&w, b->unlogged[i], labels);
        sx_arena_done(&arena);
        if (status != SX_OK && status != SX_ENOTFOUND) /* one that left and was made again */
            return status;
    }
    return log_record(b, &b->log, b->db->wal, err);
}

/* One record for each of the kinds: integer or not, with custom bounds or not; with any start
 * timestamp among them the second version. */
static sx_status log_histograms(batch *b, bool late, tsdb_wal_batch *to, const tsdb_wal *wal,
                                sx_error *err)
{
    static const tsdb_record_kind KINDS[2][2] = {
        {TSDB_RECORD_FLOAT_HISTOGRAMS, TSDB_RECORD_CUSTOM_FLOAT_HISTOGRAMS},
        {TSDB_RECORD_HISTOGRAMS, TSDB_RECORD_CUSTOM_HISTOGRAMS},
    };
    bool starts = false;
    for (size_t i = 0; i < b->histogram_count; i++)
        starts |= b->histograms[i].start != 0;
    for (unsigned kind = 0; kind < 4; kind++) {
        bool integer = kind & 1, custom = kind >> 1;
        tsdb_record_writer w;
        bool any = false;
        for (size_t i = 0; i < b->histogram_count; i++) {
            const pending_histogram *h = &b->histograms[i];
            if (h->integer != integer || h->custom != custom || (h->t < b->floor_t) != late)
                continue;
            if (!any)
                tsdb_record_begin(&w,
                                  !starts   ? KINDS[integer][custom]
                                  : integer ? TSDB_RECORD_HISTOGRAMS_V2
                                            : TSDB_RECORD_FLOAT_HISTOGRAMS_V2,
                                  &b->record);
            any = true;
            tsdb_record_histogram(&w, h->ref, h->t, h->start,
                                  sx_str_of(b->encoded.data + h->at, h->len));
        }
        sx_status status = any ? log_record(b, to, wal, err) : SX_OK;
        if (status != SX_OK)
            return status;
    }
    return SX_OK;
}

static sx_status log_rest(batch *b, sx_error *err)
{
    tsdb_record_writer w;
    sx_status status = SX_OK;
    if (b->exemplar_count) {
        tsdb_record_begin(&w, TSDB_RECORD_EXEMPLARS, &b->record);
        for (size_t i = 0; i < b->exemplar_count; i++)
            tsdb_record_exemplar(&w, b->exemplars[i].ref, b->exemplars[i].exemplar.t,
                                 b->exemplars[i].exemplar.value, b->exemplars[i].exemplar.labels);
        status = log_record(b, &b->log, b->db->wal, err);
    }
    if (status == SX_OK && b->metadata_count) {
        tsdb_record_begin(&w, TSDB_RECORD_METADATA, &b->record);
        for (size_t i = 0; i < b->metadata_count; i++)
            tsdb_record_metadata(&w, b->metadata[i].ref, &b->metadata[i].metadata);
        status = log_record(b, &b->log, b->db->wal, err);
    }
    return status;
}

/* Puts b->sorted, which holds the samples of `l`, in place. */
static sx_status apply_samples(batch *b, const sample_list *l, sx_error *err)
{
    tsdb *db = b->db;
    tsdb_head_applied applied = {0};
    sx_status status = SX_OK;
    size_t from = 0;
    for (uint32_t shard = 0; shard <= db->head->shard_mask && status == SX_OK; shard++) {
        if (b->shard_ends[shard] > from)
            status = tsdb_head_apply(db->head, shard, b->sorted + from, b->shard_ends[shard] - from,
                                     &applied, err);
        from = b->shard_ends[shard];
    }
    for (size_t i = 0; l->starts && i < l->count && status == SX_OK; i++)
        if (b->sorted_starts[i])
            status = tsdb_head_apply_start(db->head, b->sorted[i].ref, b->sorted[i].t,
                                           b->sorted_starts[i], err);
    atomic_fetch_add_explicit(&db->appended[0], applied.taken, memory_order_relaxed);
    for (unsigned i = TSDB_TAKEN + 1; i < TSDB_REFUSALS; i++)
        if (applied.refused[i])
            atomic_fetch_add_explicit(&db->refused[i], applied.refused[i], memory_order_relaxed);
    return status;
}

static sx_status apply_rest(batch *b, sx_error *err)
{
    tsdb *db = b->db;
    sx_status status = SX_OK;
    tsdb_refusal why;
    for (size_t i = 0; i < b->histogram_count && status == SX_OK; i++) {
        const pending_histogram *h = &b->histograms[i];
        status = tsdb_head_apply_histogram(db->head, h->ref, h->t, h->integer,
                                           sx_str_of(b->encoded.data + h->at, h->len), &why, err);
        if (status == SX_OK && h->start)
            status = tsdb_head_apply_start(db->head, h->ref, h->t, h->start, err);
        if (why == TSDB_TAKEN)
            atomic_fetch_add_explicit(&db->appended[1], 1, memory_order_relaxed);
        else
            refuse(b, why);
    }
    for (size_t i = 0; i < b->exemplar_count && status == SX_OK; i++) {
        const tsdb_exemplar *e = &b->exemplars[i].exemplar;
        status = tsdb_side_exemplar(&db->side, b->exemplars[i].ref, e->t, e->value, e->labels, &why,
                                    err);
        if (why != TSDB_TAKEN)
            refuse(b, why);
    }
    for (size_t i = 0; i < b->metadata_count && status == SX_OK; i++) {
        tsdb_labels labels;
        if (tsdb_head_labels(db->head, b->metadata[i].ref, &b->arena, &labels, err) == SX_OK)
            status = tsdb_side_metadata(&db->side, tsdb_labels_get(labels, TSDB_METRIC_NAME),
                                        &b->metadata[i].metadata, err);
    }
    return status;
}

/* A cut may have begun since the samples were judged: what it leaves behind belongs to the other log,
 * which is not shortened with this one. */
static sx_status part_late(batch *b, sx_error *err)
{
    size_t kept = 0;
    sx_status status = SX_OK;
    int64_t before = b->floor_t;
    b->floor_t = atomic_load_explicit(&b->db->head->floor_t, memory_order_relaxed);
    if (before == b->floor_t)
        return SX_OK;
    for (size_t i = 0; i < b->samples.count && status == SX_OK; i++) {
        tsdb_head_sample s = b->samples.items[i];
        int64_t start = b->samples.starts ? b->samples.starts[i] : 0;
        if (s.t < b->floor_t) {
            status = push_sample(&b->late, s.ref, s.t, s.v, start, err);
            continue;
        }
        if (b->samples.starts)
            b->samples.starts[kept] = start;
        b->samples.items[kept++] = s;
    }
    if (status == SX_OK)
        b->samples.count = kept;
    return status;
}

/* Late samples first: theirs is the scratch that is used again for the others. */
static sx_status commit_locked(batch *b, sx_error *err)
{
    tsdb *db = b->db;
    sx_status status = revive(b, err);
    if (status == SX_OK)
        status = part_late(b, err);
    if (status == SX_OK)
        status = log_series(b, err);
    if (status == SX_OK && b->late.count) {
        status = sort_by_shard(b, &b->late, err);
        if (status == SX_OK)
            status = log_samples(b, &b->late, &b->late_log, db->wbl, err);
    }
    if (status == SX_OK)
        status = sort_by_shard(b, &b->samples, err);
    if (status == SX_OK)
        status = log_samples(b, &b->samples, &b->log, db->wal, err);
    if (status == SX_OK)
        status = log_histograms(b, false, &b->log, db->wal, err);
    if (status == SX_OK)
        status = log_histograms(b, true, &b->late_log, db->wbl, err);
    if (status == SX_OK)
        status = log_rest(b, err);
    if (status == SX_OK)
        status = tsdb_wal_write(db->wal, &b->log, err);
    if (status == SX_OK)
        status = tsdb_wal_write(db->wbl, &b->late_log, err);
    if (status != SX_OK)
        return status;
    for (size_t i = 0; i < b->unlogged_count; i++)
        tsdb_head_logged(db->head, b->unlogged[i]);
    status = apply_samples(b, &b->samples, err);
    if (status == SX_OK && b->late.count) {
        status = sort_by_shard(b, &b->late, err);
        if (status == SX_OK)
            status = apply_samples(b, &b->late, err);
    }
    return status == SX_OK ? apply_rest(b, err) : status;
}

static sx_status commit(tsdb_appender *a, sx_error *err)
{
    batch *b = (batch *)a;
    pthread_rwlock_rdlock(&b->db->truncation);
    sx_status status = commit_locked(b, err);
    pthread_rwlock_unlock(&b->db->truncation);
    forget(b);
    return status;
}

static void rollback(tsdb_appender *a)
{
    forget((batch *)a);
}

static void free_batch(tsdb_appender *a)
{
    batch *b = (batch *)a;
    forget(b);
    sx_free(b->samples.items);
    sx_free(b->late.items);
    sx_free(b->sorted);
    sx_free(b->sorted_starts);
    sx_free(b->unlogged);
    sx_free(b->histograms);
    sx_free(b->exemplars);
    sx_free(b->metadata);
    sx_buf_done(&b->encoded);
    sx_buf_done(&b->record);
    sx_arena_done(&b->arena);
    tsdb_wal_batch_done(&b->log);
    tsdb_wal_batch_done(&b->late_log);
    sx_free(b);
}

sx_status tsdb_appender_new(tsdb_appendable *self, tsdb_appender **out, sx_error *err)
{
    static const tsdb_appender_ops OPS = {
        add_series,   hear_of,      add_sample, add_histogram, add_start,
        add_exemplar, add_metadata, commit,     rollback,      free_batch,
    };
    tsdb *db = tsdb_of_appendable(self);
    sx_status status = tsdb_wait_writable(db, err);
    if (status != SX_OK)
        return status;
    batch *b = sx_calloc(1, sizeof *b);
    if (!b)
        return sx_fail_memory(err, "appender");
    b->base.ops = &OPS;
    b->db = db;
    sx_buf_init(&b->encoded, 0);
    sx_buf_init(&b->record, 0);
    sx_arena_init(&b->arena, 0, 0);
    tsdb_wal_batch_init(&b->log);
    tsdb_wal_batch_init(&b->late_log);
    *out = &b->base;
    return SX_OK;
}

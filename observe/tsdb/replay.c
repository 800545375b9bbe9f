/* replay.c - the log read back into the head, after a stop or a crash, ours or Prometheus's.
 *
 * One thread reads records and makes series; samples are handed, a shard's block at a time, to
 * workers that each own some shards, so that a series' samples stay in their order. A sample that is
 * there already is passed over, which makes reading more than is needed harmless. References that
 * another program gave are translated (tsdb_ref_map). The newest checkpoint comes first, then the
 * segments behind it, then wbl/. A torn end is cut. With a snapshot of the head (head_image.h) reading
 * begins where that was made, and each shard takes only what comes behind its own place. */
#include <stdio.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/tsdb/head_image.h"
#include "observe/tsdb/record.h"

enum { BLOCK_SAMPLES = 4096, BLOCKS = 48, WORKERS = 2 };

/* As much log as touches most of a head. */
enum { OWN_BYTES = 2 << 20 };

/* --- References. */

static size_t ref_slot(const uint64_t *from, size_t cap, uint64_t ref)
{
    size_t i = sx_hash_u64(ref, 0) & (cap - 1);
    while (from[i] && from[i] != ref)
        i = (i + 1) & (cap - 1);
    return i;
}

sx_status tsdb_ref_map_put(tsdb_ref_map *m, uint64_t from, tsdb_ref to, sx_error *err)
{
    if ((m->count + 1) * 4 > m->cap * 3) {
        size_t cap = m->cap ? m->cap * 2 : 1024;
        uint64_t *grown = sx_calloc(cap, sizeof *grown);
        tsdb_ref *values = sx_calloc(cap, sizeof *values);
        if (!grown || !values) {
            sx_free(grown);
            sx_free(values);
            return sx_fail_memory(err, "references of the log");
        }
        for (size_t i = 0; i < m->cap; i++)
            if (m->from[i]) {
                size_t at = ref_slot(grown, cap, m->from[i]);
                grown[at] = m->from[i];
                values[at] = m->to[i];
            }
        sx_free(m->from);
        sx_free(m->to);
        m->from = grown;
        m->to = values;
        m->cap = cap;
    }
    size_t at = ref_slot(m->from, m->cap, from);
    m->count += m->from[at] == 0;
    m->from[at] = from;
    m->to[at] = to;
    return SX_OK;
}

tsdb_ref tsdb_ref_map_get(const tsdb_ref_map *m, uint64_t from)
{
    if (m->count == 0 || from == 0)
        return from;
    size_t at = ref_slot(m->from, m->cap, from);
    return m->from[at] ? m->to[at] : from;
}

void tsdb_ref_map_done(tsdb_ref_map *m)
{
    sx_free(m->from);
    sx_free(m->to);
    *m = (tsdb_ref_map){0};
}

/* --- Workers. */

typedef struct block {
    struct block *next;
    uint32_t shard;
    size_t count;
    tsdb_head_sample samples[BLOCK_SAMPLES];
} block;

typedef struct worker {
    struct replay *replay;
    pthread_t thread;
    bool running, sleeping;
    pthread_cond_t wake; /* when it has something to do, or nothing any more */
    block *first, **last;
} worker;

typedef struct replay {
    tsdb *db;
    pthread_mutex_t lock;   /* of all queues and the free blocks */
    pthread_cond_t changed; /* for the reader, when it waits for a block or for all of them */
    bool waiting;
    block *blocks, *free_blocks;
    size_t busy; /* blocks in queues or being applied */
    bool ending;
    sx_error failure; /* of a worker */
    worker workers[WORKERS];
    block *filling[TSDB_HEAD_SHARDS_MAX];
    uint64_t greatest_foreign;
    tsdb_image image;
    bool imaged;     /* there was a snapshot */
    uint32_t passed; /* bits of shards that have the record already */
    bool side_passed;
    uint64_t tail_bytes; /* of the log that was read behind the snapshot, or of all of it */
    sx_arena arena;
} replay;

static void *work(void *context)
{
    worker *w = context;
    replay *r = w->replay;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (!w->first && !r->ending) {
            w->sleeping = true;
            pthread_cond_wait(&w->wake, &r->lock);
            w->sleeping = false;
        }
        block *b = w->first;
        if (!b)
            break;
        w->first = b->next;
        if (!w->first)
            w->last = &w->first;
        pthread_mutex_unlock(&r->lock);
        tsdb_head_applied applied = {0};
        sx_error err = {0};
        sx_status status =
            tsdb_head_apply(r->db->head, b->shard, b->samples, b->count, &applied, &err);
        pthread_mutex_lock(&r->lock);
        if (status != SX_OK && r->failure.status == SX_OK)
            r->failure = err;
        b->next = r->free_blocks;
        r->free_blocks = b;
        r->busy--;
        if (r->waiting)
            pthread_cond_signal(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static void wait_for_workers(replay *r)
{
    r->waiting = true;
    pthread_cond_wait(&r->changed, &r->lock);
    r->waiting = false;
}

/* Hands the block that shard is filling to its worker, and takes a free one. */
static void hand_over(replay *r, uint32_t shard)
{
    block *b = r->filling[shard];
    pthread_mutex_lock(&r->lock);
    if (b && b->count) {
        worker *w = &r->workers[shard % WORKERS];
        b->next = NULL;
        *w->last = b;
        w->last = &b->next;
        r->busy++;
        if (w->sleeping) /* waking one that runs costs more than its work */
            pthread_cond_signal(&w->wake);
        b = NULL;
    }
    while (!b) {
        b = r->free_blocks;
        if (!b)
            wait_for_workers(r);
        else
            r->free_blocks = b->next;
    }
    pthread_mutex_unlock(&r->lock);
    b->shard = shard;
    b->count = 0;
    r->filling[shard] = b;
}

/* Until all that was handed over is in the head. */
static sx_status drain(replay *r, sx_error *err)
{
    for (uint32_t i = 0; i <= r->db->head->shard_mask; i++)
        if (r->filling[i]->count)
            hand_over(r, i);
    pthread_mutex_lock(&r->lock);
    while (r->busy)
        wait_for_workers(r);
    sx_status status = r->failure.status;
    if (status != SX_OK && err)
        *err = r->failure;
    pthread_mutex_unlock(&r->lock);
    return status;
}

static sx_status start_workers(replay *r, sx_error *err)
{
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    r->blocks = sx_calloc(BLOCKS, sizeof *r->blocks);
    if (!r->blocks)
        return sx_fail_memory(err, "replay");
    for (size_t i = 0; i < BLOCKS; i++) {
        r->blocks[i].next = r->free_blocks;
        r->free_blocks = &r->blocks[i];
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        worker *w = &r->workers[i];
        *w = (worker){.replay = r};
        w->last = &w->first;
        pthread_cond_init(&w->wake, NULL);
        int code = pthread_create(&w->thread, NULL, work, w);
        if (code != 0)
            return sx_fail_os(err, code, "cannot start a thread for the replay");
        w->running = true;
    }
    for (uint32_t i = 0; i <= r->db->head->shard_mask; i++)
        hand_over(r, i);
    return SX_OK;
}

static void stop_workers(replay *r)
{
    pthread_mutex_lock(&r->lock);
    r->ending = true;
    for (unsigned i = 0; i < WORKERS; i++)
        if (r->workers[i].running)
            pthread_cond_signal(&r->workers[i].wake);
    pthread_mutex_unlock(&r->lock);
    for (unsigned i = 0; i < WORKERS; i++) {
        if (!r->workers[i].running)
            continue;
        pthread_join(r->workers[i].thread, NULL);
        pthread_cond_destroy(&r->workers[i].wake);
    }
    sx_free(r->blocks);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
}

/* --- Records. */

/* Whether the shard of a series, by its reference or the hash of its labels, has the record. */
static inline bool has_passed(const replay *r, uint64_t ref)
{
    return r->passed >> (ref & r->db->head->shard_mask) & 1;
}

static bool is_behind(tsdb_image_place place, uint32_t segment, uint64_t end)
{
    return segment > place.segment || (segment == place.segment && end > place.offset);
}

/* A record that ends here is in the snapshot of some shards and behind that of others. */
static void note_passed(replay *r, uint32_t segment, uint64_t end, bool late)
{
    r->passed = 0;
    r->side_passed = !is_behind(r->image.side[late], segment, end);
    for (uint32_t i = 0; i <= r->db->head->shard_mask; i++)
        if (!is_behind(r->image.shards[i][late], segment, end))
            r->passed |= UINT32_C(1) << i;
}

static sx_status take_series(replay *r, tsdb_record_reader *rec, sx_error *err)
{
    tsdb_head *h = r->db->head;
    uint64_t ref;
    tsdb_labels labels;
    sx_status status;
    while ((status = tsdb_record_next_series(rec, &r->arena, &ref, &labels, err)) == SX_OK) {
        uint64_t hash = tsdb_labels_hash(labels);
        if (has_passed(r, hash)) {
            sx_arena_reset(&r->arena);
            continue;
        }
        status = tsdb_head_series_as(h, labels, hash, ref, err);
        if (status == SX_OK) {
            tsdb_head_logged(h, ref);
        } else if (status == SX_EEXIST) {
            tsdb_ref ours;
            bool created;
            tsdb_refusal why;
            if (ref > r->greatest_foreign && ref >> 40 == 0)
                r->greatest_foreign = ref;
            status = tsdb_head_series(h, labels, hash, &ours, &created, &why, err);
            if (status == SX_OK && ours)
                status = tsdb_ref_map_put(&r->db->refs, ref, ours, err);
        }
        if (status != SX_OK)
            return status;
        sx_arena_reset(&r->arena);
    }
    return status;
}

static sx_status take_samples(replay *r, tsdb_record_reader *rec, bool late, sx_error *err)
{
    uint64_t ref;
    int64_t t, start, floor_t = late ? INT64_MIN : atomic_load(&r->db->floor_t);
    double v;
    sx_status status;
    while ((status = tsdb_record_next_sample(rec, &ref, &t, &start, &v, err)) == SX_OK) {
        ref = tsdb_ref_map_get(&r->db->refs, ref);
        uint32_t shard = (uint32_t)ref & (TSDB_HEAD_SHARDS_MAX - 1);
        if (t < floor_t || shard > r->db->head->shard_mask || has_passed(r, shard))
            continue;
        block *b = r->filling[shard];
        b->samples[b->count++] = (tsdb_head_sample){ref, t, v};
        if (sx_unlikely(start))
            (void)tsdb_head_apply_start(r->db->head, ref, t, start, NULL);
        if (b->count == BLOCK_SAMPLES)
            hand_over(r, shard);
    }
    return status;
}

static sx_status take_histograms(replay *r, tsdb_record_reader *rec, bool late, sx_error *err)
{
    uint64_t ref;
    int64_t t, start;
    bool integer;
    sx_str encoded;
    tsdb_refusal why;
    sx_status status = drain(r, err); /* floats of the same series go first */
    if (status != SX_OK)
        return status;
    while ((status = tsdb_record_next_histogram(rec, &ref, &t, &start, &integer, &encoded, err)) ==
           SX_OK) {
        ref = tsdb_ref_map_get(&r->db->refs, ref);
        if ((!late && t < atomic_load(&r->db->floor_t)) || has_passed(r, ref))
            continue;
        status = tsdb_head_apply_histogram(r->db->head, ref, t, integer, encoded, &why, err);
        if (status == SX_OK && start)
            status = tsdb_head_apply_start(r->db->head, ref, t, start, err);
        if (status == SX_ENOMEM)
            return status;
    }
    return status;
}

static sx_status take_tombstones(replay *r, tsdb_record_reader *rec, sx_error *err)
{
    uint64_t ref;
    int64_t min_t, max_t;
    sx_status status;
    while ((status = tsdb_record_next_tombstone(rec, &ref, &min_t, &max_t, err)) == SX_OK) {
        ref = tsdb_ref_map_get(&r->db->refs, ref);
        if (!has_passed(r, ref) &&
            tsdb_head_apply_delete(r->db->head, ref, min_t, max_t, err) == SX_ENOMEM)
            return SX_ENOMEM;
    }
    return status;
}

static sx_status take_exemplars(replay *r, tsdb_record_reader *rec, sx_error *err)
{
    uint64_t ref;
    int64_t t;
    double v;
    tsdb_labels labels;
    tsdb_refusal why;
    sx_status status;
    while ((status = tsdb_record_next_exemplar(rec, &r->arena, &ref, &t, &v, &labels, err)) ==
           SX_OK) {
        status = tsdb_side_exemplar(&r->db->side, tsdb_ref_map_get(&r->db->refs, ref), t, v, labels,
                                    &why, err);
        if (status != SX_OK)
            return status;
    }
    return status;
}

static sx_status take_metadata(replay *r, tsdb_record_reader *rec, sx_error *err)
{
    uint64_t ref;
    tsdb_metadata m;
    tsdb_labels labels;
    sx_status status;
    while ((status = tsdb_record_next_metadata(rec, &ref, &m, err)) == SX_OK) {
        ref = tsdb_ref_map_get(&r->db->refs, ref);
        if (tsdb_head_labels(r->db->head, ref, &r->arena, &labels, NULL) != SX_OK)
            continue;
        status =
            tsdb_side_metadata(&r->db->side, tsdb_labels_get(labels, TSDB_METRIC_NAME), &m, err);
        if (status != SX_OK)
            return status;
    }
    return status;
}

static sx_status take_record(replay *r, sx_str record, bool late, sx_error *err)
{
    tsdb_record_reader rec;
    sx_status status = tsdb_record_open(&rec, record, err);
    if (status == SX_EUNSUPPORTED)
        return SX_END; /* of a newer program: not ours to judge */
    if (status != SX_OK)
        return status;
    if (r->side_passed && (rec.kind == TSDB_RECORD_EXEMPLARS || rec.kind == TSDB_RECORD_METADATA))
        return SX_END;
    switch (rec.kind) {
    case TSDB_RECORD_SERIES:
        return take_series(r, &rec, err);
    case TSDB_RECORD_SAMPLES:
    case TSDB_RECORD_SAMPLES_V2:
        return take_samples(r, &rec, late, err);
    case TSDB_RECORD_TOMBSTONES:
        return take_tombstones(r, &rec, err);
    case TSDB_RECORD_EXEMPLARS:
        return take_exemplars(r, &rec, err);
    case TSDB_RECORD_METADATA:
        return take_metadata(r, &rec, err);
    case TSDB_RECORD_MMAP_MARKERS:
        return SX_END; /* about files of chunks_head/ that are not read */
    default:
        return take_histograms(r, &rec, late, err);
    }
}

/* Reads segments; a record that does not make sense is counted as damage and passed over. */
static sx_status read_segments(replay *r, const char *dir, uint32_t first, uint64_t offset,
                               uint32_t last, bool late, bool repair, sx_error *err)
{
    tsdb_wal_reader reader;
    sx_str record;
    uint64_t done = 0;
    sx_status status = tsdb_wal_reader_open_at(&reader, dir, first, offset, last, err);
    while (status == SX_OK) {
        status = tsdb_wal_next(&reader, &record, err);
        if (status != SX_OK)
            break;
        if (r->imaged)
            note_passed(r, reader.segment, reader.good_end, late);
        status = take_record(r, record, late, err);
        sx_arena_reset(&r->arena);
        if (status == SX_ECORRUPT || status == SX_EINVAL || status == SX_ELIMIT) {
            reader.corruptions++;
            status = SX_OK;
        }
        if (status == SX_END)
            status = SX_OK;
        if (reader.segments_done != done) {
            done = reader.segments_done;
            atomic_fetch_add(&r->db->segments_done, 1);
        }
        if (atomic_load_explicit(&r->db->canceled, memory_order_relaxed))
            status = sx_fail(err, SX_ECANCELED, "replay of the log was ended by a stop");
    }
    if (status == SX_END) {
        uint64_t good_end = reader.good_end, len = reader.open ? reader.map.len : 0;
        status = SX_OK;
        atomic_fetch_add(&r->db->corruptions, reader.corruptions);
        atomic_fetch_add(&r->db->segments_done, 1);
        bool whole = len == good_end && len % TSDB_WAL_PAGE_BYTES == 0;
        tsdb_wal_reader_close(&reader);
        if (repair && !whole && len)
            status = tsdb_wal_repair(dir, last, good_end, err);
        return status;
    }
    tsdb_wal_reader_close(&reader);
    return status;
}

static void count_bytes(replay *r, const char *dir, uint32_t first, uint32_t last)
{
    char path[TSDB_PATH_BYTES + 32];
    sx_file_info info;
    for (uint64_t i = first; i <= last; i++) {
        snprintf(path, sizeof path, "%s/%08u", dir, (uint32_t)i);
        if (sx_file_stat(path, &info, NULL) == SX_OK)
            r->tail_bytes += info.bytes;
    }
}

/* One log behind the snapshot. */
static sx_status read_rest(replay *r, const char *dir, const tsdb_wal_range *range, bool late,
                           uint32_t *next, sx_error *err)
{
    tsdb_image_place place = r->image.side[late];
    uint32_t first = (uint32_t)place.segment;
    uint32_t behind = (uint32_t)r->image.last[late].segment + r->image.ahead;
    if (*next < behind) /* what is written from now on must lie behind all places */
        *next = behind;
    if (range->first > range->last || first > range->last)
        return SX_OK;
    count_bytes(r, dir, first, range->last);
    r->tail_bytes -= place.offset < r->tail_bytes ? place.offset : r->tail_bytes;
    if (r->tail_bytes >= OWN_BYTES)
        tsdb_image_own(r->db);
    atomic_fetch_add(&r->db->segments_all, range->last - first + 1);
    sx_status status = read_segments(r, dir, first, place.offset, range->last, late, true, err);
    return status == SX_OK ? drain(r, err) : status;
}

/* One log: its checkpoint, then what lies behind it. *next is the number to go on with. */
static sx_status read_log(replay *r, const char *name, bool late, uint32_t *next, sx_error *err)
{
    char dir[TSDB_PATH_BYTES], checkpoint[TSDB_PATH_BYTES];
    tsdb_wal_range range, inner;
    bool repair = !r->db->options.read_only;
    sx_status status = tsdb_path(r->db, name, dir, err);
    if (status == SX_OK)
        status = tsdb_wal_list(dir, &range, err);
    if (status != SX_OK)
        return status;
    *next = range.first <= range.last ? range.last + 1 : 0;
    if (r->imaged)
        return read_rest(r, dir, &range, late, next, err);
    uint32_t first = range.first;
    if (range.has_checkpoint) {
        int n =
            snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint.%08u", dir, range.checkpoint);
        if (n < 0 || n >= (int)sizeof checkpoint)
            return sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
        status = tsdb_wal_list(checkpoint, &inner, err);
        if (status == SX_OK && inner.first <= inner.last)
            status = read_segments(r, checkpoint, inner.first, 0, inner.last, late, false, err);
        if (first <= range.checkpoint)
            first = range.checkpoint + 1;
        if (*next <= range.checkpoint)
            *next = range.checkpoint + 1;
    }
    if (status == SX_OK && first <= range.last && range.first <= range.last) {
        atomic_fetch_add(&r->db->segments_all, range.last - first + 1);
        count_bytes(r, dir, first, range.last);
        status = read_segments(r, dir, first, 0, range.last, late, repair, err);
    }
    return status == SX_OK ? drain(r, err) : status;
}

/* A log to write to, which has a segment: Prometheus does not read a folder without one. */
static sx_status open_log(tsdb *db, const char *name, uint32_t next,
                          const tsdb_wal_options *options, tsdb_wal **out, sx_error *err)
{
    char path[TSDB_PATH_BYTES];
    tsdb_wal_range range;
    sx_status status = tsdb_path(db, name, path, err);
    if (status == SX_OK)
        status = tsdb_wal_open(path, next, options, out, err);
    if (status == SX_OK)
        status = tsdb_wal_list(path, &range, err);
    return status == SX_OK && range.first > range.last ? tsdb_wal_begin(*out, err) : status;
}

/* What was late since the snapshot; nothing else of the log is about times before the floor. */
static bool has_late_rest(const replay *r)
{
    char path[TSDB_PATH_BYTES + 32];
    tsdb_wal_range range;
    sx_file_info info;
    tsdb_image_place place = r->image.side[1];
    int n = snprintf(path, sizeof path, "%s/wbl", r->db->dir);
    if (n <= 0 || n >= (int)sizeof path || tsdb_wal_list(path, &range, NULL) != SX_OK)
        return true;
    if (range.first > range.last || range.last < place.segment)
        return false;
    snprintf(path, sizeof path, "%s/wbl/%08u", r->db->dir, (uint32_t)place.segment);
    return range.last > place.segment || sx_file_stat(path, &info, NULL) != SX_OK ||
           info.bytes > place.offset;
}

/* The head as the snapshot has it, if there is one that fits. */
static sx_status load_image(replay *r, sx_error *err)
{
    tsdb *db = r->db;
    sx_status status = tsdb_image_load(db, &r->image, &r->imaged, err);
    if (status == SX_OK && !r->imaged)
        status = tsdb_head_chunks_adopt(db->chunks, NULL, 0, err);
    if (status != SX_OK || !r->imaged || has_late_rest(r))
        return status;
    pthread_mutex_lock(&db->state_lock);
    db->early = true;
    db->early_t = atomic_load(&db->floor_t);
    pthread_cond_broadcast(&db->changed);
    pthread_mutex_unlock(&db->state_lock);
    return status;
}

sx_status tsdb_replay(tsdb *db, sx_error *err)
{
    replay *r = sx_calloc(1, sizeof *r);
    if (!r)
        return sx_fail_memory(err, "replay");
    r->db = db;
    sx_arena_init(&r->arena, 0, 0);
    uint32_t next = 0, next_late = 0;
    sx_status status = load_image(r, err);
    if (status == SX_OK)
        status = start_workers(r, err);
    if (status == SX_OK)
        status = read_log(r, "wal", false, &next, err);
    if (status == SX_OK)
        status = read_log(r, "wbl", true, &next_late, err);
    if (r->blocks)
        stop_workers(r);
    /* New references must be none that the log has under another program's numbering. */
    if (db->refs.count)
        db->head->generation = (uint8_t)((r->greatest_foreign >> 32) + 1);
    if (db->head->generation == 0)
        db->head->generation = 1;
    db->image.logged = 0 - r->tail_bytes; /* they count as written since the snapshot */
    db->image.at_ms = sx_clock_mono_ms(db->clock);
    sx_arena_done(&r->arena);
    sx_free(r);

    tsdb_wal_options options = {.segment_bytes = db->options.wal_segment_bytes,
                                .packing = db->options.wal_packing,
                                .fsync = db->options.fsync};
    if (status != SX_OK || db->options.read_only)
        return status;
    status = open_log(db, "wal", next, &options, &db->wal, err);
    return status == SX_OK ? open_log(db, "wbl", next_late, &options, &db->wbl, err) : status;
}

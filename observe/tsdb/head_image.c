/* head_image.c - a snapshot of the head written; see head_image.h.
 *
 * What is in a shard and what is in the log must agree to the record. So commits are held up for the
 * moment in which the log's place is read and the shard's lock taken, and that shard's while it is
 * copied; then they go on, and the next shard has a later place. */
#include "observe/tsdb/head_image.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/tsdb/blocks.h"

const char TSDB_IMAGE_MAGIC[8] = "SXHEAD\r\n", TSDB_IMAGE_END[8] = "SXHEADED";

enum {
    PARTS = 5,                  /* of a shard that are copied as they are */
    BEFORE_BYTES = 4096,        /* of the log that are compared */
    TRIES = 8,                  /* to find room for a shard that grows meanwhile */
    LOG_BYTES_LEAST = 32 << 20, /* that the log must have got for a snapshot before its time */
    IMAGE_SHARE = 4,            /* or a part of what the last snapshot had, if that is more */
    REST = 20,                  /* how much longer it rests than it works: a twentieth of a core */
};
static const int64_t INTERVAL_MS = 300000;

uint32_t tsdb_image_layout(void)
{
    tsdb_label item = {SX_STR("job"), SX_STR("sextant")};
    tsdb_labels labels = {&item, 1};
    const uint64_t facts[] = {
        sizeof(head_series),
        offsetof(head_series, bytes),
        offsetof(head_series, pairs),
        offsetof(head_series, hash),
        offsetof(head_series, full),
        offsetof(head_series, extra),
        offsetof(head_series, full_count),
        offsetof(head_series, pair_count),
        offsetof(head_series, generation),
        offsetof(head_series, flags),
        offsetof(head_series, last_bytes),
        offsetof(head_series, x.t),
        offsetof(head_series, x.delta),
        offsetof(head_series, x.v),
        offsetof(head_series, x.len),
        offsetof(head_series, x.count),
        offsetof(head_series, x.free_bits),
        offsetof(head_series, x.leading),
        offsetof(head_series, x.trailing),
        sizeof(head_pair),
        offsetof(head_pair, series),
        offsetof(head_pair, refs),
        offsetof(head_pair, len),
        offsetof(head_pair, bytes),
        sizeof(head_full),
        offsetof(head_full, offset),
        offsetof(head_full, count),
        sizeof(head_ooo_full),
        sizeof(head_histogram),
        sizeof(head_start),
        sizeof(head_range),
        sizeof(head_extra),
        sizeof(head_bytes),
        HEAD_BYTES_SKIPPED,
        sizeof(tsdb_postings),
        TSDB_REGION_GRANULE,
        TSDB_REGION_CLASSES,
        tsdb_region_size(1000),
        tsdb_region_size(77777),
        sizeof(tsdb_image_shard),
        sizeof(tsdb_image_head),
        TSDB_CHUNK_SAMPLES,
        tsdb_labels_hash(labels),
        sx_hash(SX_STR("value"), sx_hash(SX_STR("name"), 0)),
    };
    return sx_crc32c(0, facts, sizeof facts);
}

bool tsdb_image_before(const tsdb *db, const char *log, tsdb_image_place place, uint32_t *crc)
{
    char path[TSDB_PATH_BYTES + 32], bytes[BEFORE_BYTES];
    sx_reader r;
    size_t len = place.offset < sizeof bytes ? (size_t)place.offset : sizeof bytes;
    *crc = 0;
    if (len == 0)
        return true;
    int n = snprintf(path, sizeof path, "%s/%s/%08u", db->dir, log, (uint32_t)place.segment);
    if (n <= 0 || n >= (int)sizeof path || sx_reader_open(&r, path, NULL) != SX_OK)
        return false;
    bool good = sx_reader_at(&r, place.offset - len, bytes, len, NULL) == SX_OK;
    sx_reader_close(&r);
    *crc = sx_crc32c(0, bytes, len);
    return good;
}

typedef struct image_writer {
    tsdb *db;
    sx_replace file;
    tsdb_image_section sections[TSDB_HEAD_SHARDS_MAX * (PARTS + 1) + 3];
    uint32_t count;
    uint8_t *copy; /* of a shard */
    uint64_t copy_bytes;
    int64_t pause_ns;
} image_writer;

static sx_status put_section(image_writer *w, tsdb_image_kind kind, uint32_t shard,
                             const void *bytes, uint64_t len, sx_error *err)
{
    static const char ZEROS[TSDB_IMAGE_PAGE];
    sx_writer *to = &w->file.writer;
    uint64_t padding = tsdb_image_round(to->offset) - to->offset;
    sx_status status = sx_writer_bytes(to, ZEROS, padding, err);
    w->sections[w->count++] =
        (tsdb_image_section){.kind = kind, .shard = shard, .offset = to->offset, .bytes = len};
    w->sections[w->count - 1].crc = sx_crc32c(0, bytes, len);
    return status == SX_OK ? sx_writer_bytes(to, bytes, len, err) : status;
}

static tsdb_image_place place_of(tsdb_wal *wal)
{
    tsdb_image_place place;
    tsdb_wal_place(wal, &place.segment, &place.offset);
    return place;
}

/* --- A shard. */

typedef struct part {
    tsdb_image_kind kind;
    const void *at;
    uint64_t bytes;
} part;

static uint64_t list_parts(const head_shard *s, part parts[PARTS])
{
    uint64_t all = 0;
    parts[0] = (part){TSDB_IMAGE_MEMORY, s->memory.base, s->memory.committed ? s->memory.used : 0};
    parts[1] = (part){TSDB_IMAGE_TABLE, s->table.base,
                      s->ids ? ((uint64_t)s->ids + 1) * sizeof(head_series) : 0};
    parts[2] = (part){TSDB_IMAGE_INDEX, s->index, (uint64_t)s->index_cap * sizeof *s->index};
    parts[3] = (part){TSDB_IMAGE_PAIRS, s->pairs, (uint64_t)s->pairs_cap * sizeof *s->pairs};
    parts[4] = (part){TSDB_IMAGE_LIMBO, s->limbo, s->limbo_count * sizeof *s->limbo};
    for (unsigned i = 0; i < PARTS; i++)
        all += tsdb_image_round(parts[i].bytes);
    return all;
}

/* Room for a copy, touched now so that no page has to be found while the lock is held. */
static sx_status make_room(image_writer *w, uint64_t bytes, sx_error *err)
{
    if (bytes <= w->copy_bytes)
        return SX_OK;
    if (w->copy)
        munmap(w->copy, w->copy_bytes);
    w->copy_bytes = 0;
    w->copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (w->copy == MAP_FAILED) {
        w->copy = NULL;
        return sx_fail_os(err, errno, "no memory for the copy of a shard");
    }
    w->copy_bytes = bytes;
    for (uint64_t at = 0; at < bytes; at += TSDB_IMAGE_PAGE)
        w->copy[at] = 0;
    return SX_OK;
}

static void describe(const head_shard *s, tsdb_image_shard *out)
{
    out->used = s->memory.used;
    out->live = s->memory.live;
    memcpy(out->free, s->memory.free, sizeof out->free);
    out->index_cap = s->index_cap;
    out->pairs_cap = s->pairs_cap;
    out->pairs_count = s->pairs_count;
    out->names = s->names;
    out->ids = s->ids;
    out->free_ids = s->free_ids;
    out->series = s->series;
    out->limbo_count = (uint32_t)s->limbo_count;
    out->full_chunks = s->full_chunks;
    out->samples = s->samples;
    out->late = s->late;
    out->min_t = s->min_t;
    out->max_t = s->max_t;
}

/* Copies the shard if the room is enough; the parts then point into the copy. */
static bool copy_shard(image_writer *w, head_shard *s, part parts[PARTS], tsdb_image_shard *state)
{
    tsdb *db = w->db;
    pthread_rwlock_wrlock(&db->truncation);
    int64_t begin = sx_clock_mono_ns(sx_clock_system());
    state->places[0] = place_of(db->wal);
    state->places[1] = place_of(db->wbl);
    pthread_rwlock_rdlock(&s->lock); /* all that is logged before the places is in it */
    pthread_rwlock_unlock(&db->truncation);
    bool fits = list_parts(s, parts) <= w->copy_bytes;
    uint8_t *to = w->copy;
    for (unsigned i = 0; fits && i < PARTS; i++) {
        if (parts[i].bytes)
            memcpy(to, parts[i].at, parts[i].bytes);
        parts[i].at = to;
        to += tsdb_image_round(parts[i].bytes);
    }
    describe(s, state);
    pthread_rwlock_unlock(&s->lock);
    int64_t pause = sx_clock_mono_ns(sx_clock_system()) - begin;
    w->pause_ns = pause > w->pause_ns ? pause : w->pause_ns;
    return fits;
}

static sx_status write_shard(image_writer *w, uint32_t number, sx_error *err)
{
    head_shard *s = &w->db->head->shards[number];
    part parts[PARTS];
    tsdb_image_shard state = {0};
    bool copied = false;
    for (unsigned i = 0; i < TRIES && !copied; i++) {
        pthread_rwlock_rdlock(&s->lock);
        uint64_t need = list_parts(s, parts);
        pthread_rwlock_unlock(&s->lock);
        sx_status status = make_room(
            w, tsdb_image_round(need + (need >> (TRIES - i))) + 64 * TSDB_IMAGE_PAGE, err);
        if (status != SX_OK)
            return status;
        copied = copy_shard(w, s, parts, &state);
    }
    if (!copied)
        return sx_fail(err, SX_ELIMIT, "a shard grows faster than room is found for its copy");
    sx_status status = SX_OK;
    const head_series *table = parts[1].at;
    for (uint32_t id = 1; id <= state.ids; id++)
        state.unlogged += (table[id].flags & (HEAD_LIVE | HEAD_LOGGED)) == HEAD_LIVE;
    for (unsigned i = 0; i < PARTS && status == SX_OK; i++)
        status = put_section(w, parts[i].kind, number, parts[i].at, parts[i].bytes, err);
    return status == SX_OK ? put_section(w, TSDB_IMAGE_SHARD, number, &state, sizeof state, err)
                           : status;
}

/* --- The rest. */

static sx_status write_side(image_writer *w, tsdb_image_head *head, sx_error *err)
{
    tsdb *db = w->db;
    sx_buf bytes;
    sx_buf_init(&bytes, 0);
    pthread_rwlock_wrlock(&db->truncation);
    head->places[0] = place_of(db->wal);
    head->places[1] = place_of(db->wbl);
    pthread_mutex_lock(&db->side.lock);
    pthread_rwlock_unlock(&db->truncation);
    tsdb_side_save(&db->side, &bytes);
    pthread_mutex_unlock(&db->side.lock);
    sx_status status = sx_buf_status(&bytes, "exemplars of a snapshot", err);
    if (status == SX_OK)
        status = put_section(w, TSDB_IMAGE_SIDE, 0, bytes.data, bytes.len, err);
    sx_buf_done(&bytes);
    return status;
}

/* The files that full chunks are in, which are on the disk when this returns. */
static sx_status write_chunk_files(image_writer *w, tsdb_image_head *head, sx_error *err)
{
    tsdb_head_chunk_file *files = NULL;
    size_t count = 0;
    sx_status status = tsdb_head_chunks_settle(w->db->chunks, &files, &count, err);
    if (status == SX_OK)
        status = put_section(w, TSDB_IMAGE_CHUNKS, 0, files, count * sizeof *files, err);
    head->chunk_files = (uint32_t)count;
    sx_free(files);
    return status;
}

static sx_status write_header(image_writer *w, sx_error *err)
{
    tsdb_image_header h = {.version = TSDB_IMAGE_VERSION, .layout = tsdb_image_layout()};
    memcpy(h.magic, TSDB_IMAGE_MAGIC, sizeof h.magic);
    h.crc = sx_crc32c(0, &h, offsetof(tsdb_image_header, crc));
    return sx_writer_bytes(&w->file.writer, &h, sizeof h, err);
}

static sx_status write_directory(image_writer *w, sx_error *err)
{
    size_t bytes = w->count * sizeof *w->sections;
    tsdb_image_trailer t = {.directory = w->file.writer.offset,
                            .sections = w->count,
                            .crc = sx_crc32c(0, w->sections, bytes)};
    memcpy(t.magic, TSDB_IMAGE_END, sizeof t.magic);
    sx_status status = sx_writer_bytes(&w->file.writer, w->sections, bytes, err);
    return status == SX_OK ? sx_writer_bytes(&w->file.writer, &t, sizeof t, err) : status;
}

/* The head's own section comes last, as do its sums: the log before the places is whole by then. */
static sx_status write_all(image_writer *w, sx_error *err)
{
    tsdb *db = w->db;
    tsdb_image_head head = {.shards = db->head->shard_mask + 1,
                            .cut_epoch = atomic_load(&db->head->cut_epoch),
                            .generation = db->head->generation,
                            .block_ms = db->options.block_ms,
                            .floor_t = atomic_load(&db->floor_t)};
    sx_status status = write_header(w, err);
    if (status == SX_OK)
        status = write_side(w, &head, err);
    for (uint32_t i = 0; i <= db->head->shard_mask && status == SX_OK; i++)
        status = write_shard(w, i, err);
    if (status == SX_OK)
        status = write_chunk_files(w, &head, err);
    if (status == SX_OK && (!tsdb_image_before(db, "wal", head.places[0], &head.before[0]) ||
                            !tsdb_image_before(db, "wbl", head.places[1], &head.before[1])))
        status = sx_fail(err, SX_EIO, "the log cannot be read back");
    if (status == SX_OK)
        status = put_section(w, TSDB_IMAGE_HEAD, 0, &head, sizeof head, err);
    if (status == SX_OK)
        status = write_directory(w, err);
    /* A snapshot that outlives a power cut while the log before it does not would be ahead of it. */
    if (status == SX_OK)
        status = tsdb_wal_sync(db->wal, err);
    if (status == SX_OK)
        status = tsdb_wal_sync(db->wbl, err);
    return status;
}

static sx_status write_file(image_writer *w, sx_error *err)
{
    char path[TSDB_PATH_BYTES];
    sx_status status = tsdb_path(w->db, "sextant", path, err);
    if (status == SX_OK)
        status = sx_folder_make(path, err);
    if (status == SX_OK)
        status = tsdb_path(w->db, "sextant/head-snapshot", path, err);
    if (status == SX_OK)
        status = sx_replace_open(&w->file, path, 1 << 16, err);
    if (status != SX_OK)
        return status;
    status = write_all(w, err);
    w->db->image.bytes = w->file.writer.offset;
    if (status == SX_OK)
        return sx_replace_commit(&w->file, err);
    sx_replace_abandon(&w->file);
    return status;
}

static uint64_t logged_bytes(tsdb *db)
{
    return tsdb_wal_written(db->wal) + tsdb_wal_written(db->wbl);
}

/* With the maintenance's lock. */
static sx_status write_locked(tsdb *db, sx_error *err)
{
    image_writer *w = sx_calloc(1, sizeof *w);
    if (!w)
        return sx_fail_memory(err, "snapshot of the head");
    w->db = db;
    int64_t begin = sx_clock_mono_ns(sx_clock_system());
    uint64_t logged = logged_bytes(db);
    sx_status status = write_file(w, err);
    int64_t took = sx_clock_mono_ns(sx_clock_system()) - begin;
    if (w->copy)
        munmap(w->copy, w->copy_bytes);
    if (status == SX_OK) {
        db->image.logged = logged;
        db->image.wanted = false;
        db->image.took_ms = took / 1000000;
        atomic_store(&db->image.last_bytes, db->image.bytes);
        atomic_store(&db->image.last_ns, (uint64_t)took);
        atomic_store(&db->image.last_pause_ns, (uint64_t)w->pause_ns);
    }
    db->image.at_ms = sx_clock_mono_ms(db->clock);
    db->image.failed = status != SX_OK;
    atomic_fetch_add(status == SX_OK ? &db->image.written : &db->image.failures, 1);
    sx_free(w);
    return status == SX_OK ? status : sx_error_prefix(err, status, "snapshot of the head");
}

/* References that another program gave are not in it: one is written once a checkpoint has none. */
static bool may_write(const tsdb *db)
{
    return db->options.snapshot_interval_ms >= 0 && !db->options.read_only && db->refs.count == 0;
}

static bool is_due(tsdb *db)
{
    tsdb_image_state *i = &db->image;
    int64_t since = sx_clock_mono_ms(db->clock) - i->at_ms;
    int64_t interval =
        db->options.snapshot_interval_ms ? db->options.snapshot_interval_ms : INTERVAL_MS;
    uint64_t got = logged_bytes(db) - i->logged;
    uint64_t much =
        i->bytes / IMAGE_SHARE > LOG_BYTES_LEAST ? i->bytes / IMAGE_SHARE : LOG_BYTES_LEAST;
    if (i->failed)
        return since >= TSDB_RETRY_MS;
    return i->wanted || (got >= much && since >= i->took_ms * REST) || (got && since >= interval);
}

sx_status tsdb_image_due(tsdb *db, sx_error *err)
{
    sx_status status = SX_OK;
    sx_error why;
    pthread_mutex_lock(&db->maintenance);
    if (may_write(db) && is_due(db))
        status = write_locked(db, &why);
    pthread_mutex_unlock(&db->maintenance);
    if (status == SX_OK)
        return status;
    tsdb_note(db, true, "%s", why.message);
    if (err)
        *err = why;
    return status;
}

sx_status tsdb_image_write(tsdb *db, sx_error *err)
{
    sx_status status = SX_OK;
    pthread_mutex_lock(&db->maintenance);
    if (may_write(db) && (db->image.wanted || logged_bytes(db) != db->image.logged))
        status = write_locked(db, err);
    pthread_mutex_unlock(&db->maintenance);
    return status;
}

sx_status tsdb_image_drop(tsdb *db, sx_error *err)
{
    char path[TSDB_PATH_BYTES];
    db->image.wanted = true;
    sx_status status = tsdb_path(db, "sextant/head-snapshot", path, err);
    if (status == SX_OK)
        status = sx_file_remove(path, err);
    if (status == SX_ENOTFOUND)
        return SX_OK;
    if (status == SX_OK)
        status = tsdb_path(db, "sextant", path, err);
    return status == SX_OK ? sx_folder_sync(path, err) : status;
}

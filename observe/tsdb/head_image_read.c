/* head_image_read.c - a snapshot of the head mapped at a start; see head_image.h.
 *
 * All is checked before anything is put in place: the header, the directory, every section's sum (by
 * a few threads, as that is most of the work), the sizes, the chunk files, and that the log still has
 * what comes behind. So a snapshot is used whole or not at all. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/tsdb/blocks.h"
#include "observe/tsdb/head_image.h"

enum { THREADS_MAX = 4, SECTIONS_MAX = TSDB_HEAD_SHARDS_MAX * 6 + 3 };

typedef struct image_reader {
    tsdb *db;
    sx_mapping map;
    const tsdb_image_section *sections;
    uint32_t count;
    _Atomic uint32_t next;   /* section to check */
    _Atomic uint32_t broken; /* one more than the index of one whose sum is wrong */
    tsdb_image_head head;
    tsdb_image_shard shards[TSDB_HEAD_SHARDS_MAX];
} image_reader;

static sx_status read_directory(image_reader *r, sx_error *err)
{
    tsdb_image_header h;
    tsdb_image_trailer t;
    const char *data = r->map.data;
    size_t len = r->map.len;
    if (len < sizeof h + sizeof t)
        return sx_fail(err, SX_ECORRUPT, "it is too short");
    memcpy(&h, data, sizeof h);
    if (memcmp(h.magic, TSDB_IMAGE_MAGIC, sizeof h.magic) != 0 ||
        h.crc != sx_crc32c(0, &h, offsetof(tsdb_image_header, crc)))
        return sx_fail(err, SX_ECORRUPT, "its header is damaged");
    if (h.version != TSDB_IMAGE_VERSION || h.layout != tsdb_image_layout())
        return sx_fail(err, SX_EUNSUPPORTED, "another version wrote it");
    memcpy(&t, data + len - sizeof t, sizeof t);
    if (memcmp(t.magic, TSDB_IMAGE_END, sizeof t.magic) != 0 || t.sections > SECTIONS_MAX ||
        t.directory > len - sizeof t || t.directory % _Alignof(tsdb_image_section) != 0 ||
        len - sizeof t - t.directory != t.sections * sizeof *r->sections ||
        t.crc != sx_crc32c(0, data + t.directory, t.sections * sizeof *r->sections))
        return sx_fail(err, SX_ECORRUPT, "its directory is damaged");
    r->sections = (const tsdb_image_section *)(const void *)(data + t.directory);
    r->count = t.sections;
    for (uint32_t i = 0; i < r->count; i++) {
        const tsdb_image_section *s = &r->sections[i];
        if (s->offset > t.directory || s->bytes > t.directory - s->offset ||
            s->offset % TSDB_IMAGE_PAGE != 0)
            return sx_fail(err, SX_ECORRUPT, "section %u lies outside of it", i);
    }
    return SX_OK;
}

static const tsdb_image_section *find(const image_reader *r, tsdb_image_kind kind, uint32_t shard)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (r->sections[i].kind == (uint32_t)kind && r->sections[i].shard == shard)
            return &r->sections[i];
    return NULL;
}

static const void *bytes_of(const image_reader *r, const tsdb_image_section *s)
{
    return r->map.data + s->offset;
}

/* A section that is a struct. */
static sx_status copy_struct(const image_reader *r, tsdb_image_kind kind, uint32_t shard, void *to,
                             size_t len, sx_error *err)
{
    const tsdb_image_section *s = find(r, kind, shard);
    if (!s || s->bytes != len)
        return sx_fail(err, SX_ECORRUPT, "section %d of shard %u is missing", (int)kind, shard);
    memcpy(to, bytes_of(r, s), len);
    return SX_OK;
}

/* Runs the same on every core, up to a few, and waits for all. */
static void together(void *(*run)(void *), void *context)
{
    pthread_t threads[THREADS_MAX];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned started = 0, want = cores > THREADS_MAX ? THREADS_MAX
                                 : cores > 0         ? (unsigned)cores
                                                     : 1;
    while (started + 1 < want && pthread_create(&threads[started], NULL, run, context) == 0)
        started++;
    run(context);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

/* --- Sums. */

static void *check_sections(void *context)
{
    image_reader *r = context;
    for (;;) {
        uint32_t i = atomic_fetch_add(&r->next, 1);
        if (i >= r->count || atomic_load_explicit(&r->db->canceled, memory_order_relaxed))
            return NULL;
        const tsdb_image_section *s = &r->sections[i];
        if (sx_crc32c(0, bytes_of(r, s), s->bytes) != s->crc)
            atomic_store(&r->broken, i + 1);
    }
}

static sx_status check_sums(image_reader *r, sx_error *err)
{
    together(check_sections, r);
    if (atomic_load(&r->db->canceled))
        return sx_fail(err, SX_ECANCELED, "replay of the log was ended by a stop");
    uint32_t broken = atomic_load(&r->broken);
    if (broken == 0)
        return SX_OK;
    const tsdb_image_section *s = &r->sections[broken - 1];
    return sx_fail(err, SX_ECORRUPT, "section %u of shard %u at %llu has a wrong sum", s->kind,
                   s->shard, (unsigned long long)s->offset);
}

/* --- Whether it fits. */

static sx_status check_shard(image_reader *r, uint32_t i, sx_error *err)
{
    tsdb_image_shard *s = &r->shards[i];
    sx_status status = copy_struct(r, TSDB_IMAGE_SHARD, i, s, sizeof *s, err);
    if (status != SX_OK)
        return status;
    const uint64_t wanted[] = {
        [TSDB_IMAGE_TABLE] = s->ids ? ((uint64_t)s->ids + 1) * sizeof(head_series) : 0,
        [TSDB_IMAGE_INDEX] = (uint64_t)s->index_cap * sizeof(uint32_t),
        [TSDB_IMAGE_PAIRS] = (uint64_t)s->pairs_cap * sizeof(uint32_t),
        [TSDB_IMAGE_LIMBO] = (uint64_t)s->limbo_count * sizeof(uint32_t),
    };
    for (int kind = TSDB_IMAGE_TABLE; kind <= TSDB_IMAGE_LIMBO; kind++) {
        const tsdb_image_section *part = find(r, kind, i);
        if (!part || part->bytes != wanted[kind])
            return sx_fail(err, SX_ECORRUPT, "section %d of shard %u has a wrong size", kind, i);
    }
    const tsdb_image_section *memory = find(r, TSDB_IMAGE_MEMORY, i);
    if (!memory || (memory->bytes && memory->bytes != s->used))
        return sx_fail(err, SX_ECORRUPT, "the memory of shard %u has a wrong size", i);
    return SX_OK;
}

static sx_status check_fit(image_reader *r, sx_error *err)
{
    const tsdb *db = r->db;
    sx_status status = copy_struct(r, TSDB_IMAGE_HEAD, 0, &r->head, sizeof r->head, err);
    if (status != SX_OK)
        return status;
    if (r->head.shards != db->head->shard_mask + 1)
        return sx_fail(err, SX_EUNSUPPORTED, "it has %u shards, not %u", r->head.shards,
                       db->head->shard_mask + 1);
    if (r->head.block_ms != db->options.block_ms)
        return sx_fail(err, SX_EUNSUPPORTED, "it was made for blocks of another length");
    if (atomic_load(&db->floor_t) > r->head.floor_t)
        return sx_fail(err, SX_EUNSUPPORTED, "a block was cut since");
    for (uint32_t i = 0; i < r->head.shards && status == SX_OK; i++)
        status = check_shard(r, i, err);
    return status;
}

/* Of all shards' and the side's places in a log. */
static tsdb_image_place last_place(const image_reader *r, unsigned which)
{
    tsdb_image_place last = r->head.places[which];
    for (uint32_t i = 0; i < r->head.shards; i++) {
        tsdb_image_place p = r->shards[i].places[which];
        if (p.segment > last.segment || (p.segment == last.segment && p.offset > last.offset))
            last = p;
    }
    return last;
}

/* Whether the log ends before the place. */
static bool ends_before(const char *dir, const tsdb_wal_range *range, tsdb_image_place place)
{
    char path[TSDB_PATH_BYTES + 32];
    sx_file_info info;
    bool any = range->first <= range->last;
    if (any && range->last > place.segment)
        return false;
    snprintf(path, sizeof path, "%s/%08u", dir, (uint32_t)place.segment);
    if (sx_file_stat(path, &info, NULL) == SX_OK)
        return info.bytes < place.offset;
    return place.offset > 0 || (any && range->last + UINT64_C(1) < place.segment);
}

/* Whether the log still has what comes behind the places: the segment of the first, and there what
 * was before it when the snapshot was made. Sets out->ahead if the log ends before the last. */
static sx_status check_log(image_reader *r, const char *log, unsigned which, tsdb_image *out,
                           sx_error *err)
{
    char dir[TSDB_PATH_BYTES];
    tsdb_wal_range range;
    tsdb_image_place place = r->head.places[which];
    uint32_t crc;
    sx_status status = tsdb_path(r->db, log, dir, err);
    if (status == SX_OK)
        status = tsdb_wal_list(dir, &range, err);
    if (status != SX_OK)
        return status;
    bool any = range.first <= range.last;
    if (range.has_checkpoint && range.checkpoint >= place.segment)
        return sx_fail(err, SX_EUNSUPPORTED, "%s/ was shortened since", log);
    if (any && range.first > place.segment)
        return sx_fail(err, SX_EUNSUPPORTED, "%s/ begins behind it", log);
    out->last[which] = last_place(r, which);
    if (ends_before(dir, &range, out->last[which]))
        out->ahead = true;
    if (ends_before(dir, &range, place))
        return SX_OK; /* there is nothing to compare with */
    if (!tsdb_image_before(r->db, log, place, &crc) || crc != r->head.before[which])
        return sx_fail(err, SX_EUNSUPPORTED, "%s/ is another log", log);
    return SX_OK;
}

/* --- In place. */

static bool copy_words(const image_reader *r, tsdb_image_kind kind, uint32_t shard, uint32_t **to)
{
    const tsdb_image_section *s = find(r, kind, shard);
    if (s->bytes == 0)
        return true;
    *to = sx_alloc(s->bytes);
    if (*to)
        memcpy(*to, bytes_of(r, s), s->bytes);
    return *to;
}

static sx_status install_shard(image_reader *r, int fd, uint32_t number, sx_error *err)
{
    head_shard *s = &r->db->head->shards[number];
    const tsdb_image_shard *from = &r->shards[number];
    const tsdb_image_section *memory = find(r, TSDB_IMAGE_MEMORY, number);
    const tsdb_image_section *table = find(r, TSDB_IMAGE_TABLE, number);
    pthread_rwlock_wrlock(&s->lock);
    bool good = copy_words(r, TSDB_IMAGE_INDEX, number, &s->index) &&
                copy_words(r, TSDB_IMAGE_PAIRS, number, &s->pairs) &&
                copy_words(r, TSDB_IMAGE_LIMBO, number, &s->limbo) &&
                tsdb_region_adopt(&s->memory, fd, memory->offset, memory->bytes) &&
                tsdb_region_adopt(&s->table, fd, table->offset, table->bytes);
    if (good) {
        if (memory->bytes)
            s->memory.used = from->used;
        s->memory.live = from->live;
        memcpy(s->memory.free, from->free, sizeof s->memory.free);
        s->index_cap = from->index_cap;
        s->pairs_cap = from->pairs_cap;
        s->pairs_count = from->pairs_count;
        s->names = from->names;
        s->free_ids = from->free_ids;
        s->series = from->series;
        s->limbo_count = s->limbo_cap = from->limbo_count;
        s->limbo_epoch = 0; /* whoever could have seen them has ended */
        s->full_chunks = from->full_chunks;
        s->samples = from->samples;
        s->late = from->late;
        s->min_t = from->min_t;
        s->max_t = from->max_t;
        __atomic_store_n(&s->ids, from->ids, __ATOMIC_RELEASE);
        atomic_fetch_add_explicit(&r->db->head->series, from->series, memory_order_relaxed);
        if (from->unlogged)
            (void)head_unlink_new(r->db->head, s);
        head_count_bytes(s);
    }
    pthread_rwlock_unlock(&s->lock);
    return good ? SX_OK : sx_fail_memory(err, "snapshot of the head");
}

/* The log may not know them: they are told to it with their next sample. */
static void forget_logged(head_shard *s)
{
    pthread_rwlock_wrlock(&s->lock);
    for (uint32_t id = 1; id <= s->ids; id++) {
        head_series *series = head_series_at(s, id);
        if (series->flags & HEAD_LIVE)
            series->flags &= (uint8_t)~HEAD_LOGGED;
    }
    pthread_rwlock_unlock(&s->lock);
}

static sx_status install(image_reader *r, int fd, tsdb_image *out, sx_error *err)
{
    tsdb_head *h = r->db->head;
    const tsdb_image_section *side = find(r, TSDB_IMAGE_SIDE, 0);
    sx_status status = SX_OK;
    for (uint32_t i = 0; i <= h->shard_mask && status == SX_OK; i++) {
        status = install_shard(r, fd, i, err);
        memcpy(out->shards[i], r->shards[i].places, sizeof out->shards[i]);
        if (out->ahead && status == SX_OK)
            forget_logged(&h->shards[i]);
    }
    memcpy(out->side, r->head.places, sizeof out->side);
    h->generation = (uint8_t)r->head.generation;
    atomic_store(&h->cut_epoch, r->head.cut_epoch);
    if (status == SX_OK && side &&
        tsdb_side_load(&r->db->side, sx_str_of(bytes_of(r, side), side->bytes), err) == SX_ENOMEM)
        status = SX_ENOMEM;
    return status;
}

typedef struct owner {
    tsdb_head *head;
    _Atomic uint32_t next;
} owner;

static void *own_some(void *context)
{
    owner *o = context;
    for (uint32_t i; (i = atomic_fetch_add(&o->next, 1)) <= o->head->shard_mask;) {
        tsdb_region_own(&o->head->shards[i].table, 0, UINT64_MAX);
        tsdb_region_own(&o->head->shards[i].memory, 0, UINT64_MAX);
    }
    return NULL;
}

void tsdb_image_own(tsdb *db)
{
    owner o = {.head = db->head};
    together(own_some, &o);
}

static sx_status check_all(image_reader *r, tsdb_image *out, sx_error *err)
{
    const tsdb_image_section *files;
    sx_status status = read_directory(r, err);
    if (status == SX_OK)
        status = check_sums(r, err);
    if (status == SX_OK)
        status = check_fit(r, err);
    if (status == SX_OK)
        status = check_log(r, "wal", 0, out, err);
    if (status == SX_OK)
        status = check_log(r, "wbl", 1, out, err);
    if (status != SX_OK)
        return status;
    files = find(r, TSDB_IMAGE_CHUNKS, 0);
    if (!files || files->bytes != r->head.chunk_files * sizeof(tsdb_head_chunk_file))
        return sx_fail(err, SX_ECORRUPT, "its list of chunk files has a wrong size");
    return tsdb_head_chunks_adopt(r->db->chunks, bytes_of(r, files), r->head.chunk_files, err);
}

sx_status tsdb_image_load(tsdb *db, tsdb_image *out, bool *loaded, sx_error *err)
{
    char path[TSDB_PATH_BYTES];
    sx_file_info info;
    sx_reader file = {.fd = -1};
    sx_error why = {0};
    *out = (tsdb_image){0};
    *loaded = false;
    sx_status status = tsdb_path(db, "sextant/head-snapshot", path, err);
    if (status != SX_OK || db->options.snapshot_interval_ms < 0 || db->options.read_only ||
        sx_file_stat(path, &info, NULL) != SX_OK)
        return status;
    image_reader *r = sx_calloc(1, sizeof *r);
    if (!r)
        return sx_fail_memory(err, "snapshot of the head");
    r->db = db;
    status = sx_mapping_open(&r->map, path, SX_MAP_SEQUENTIAL, &why);
    if (status == SX_OK)
        status = sx_reader_open(&file, path, &why);
    if (status == SX_OK)
        status = check_all(r, out, &why);
    if (status == SX_OK) {
        db->image.bytes = r->map.len;
        status = install(r, file.fd, out, err);
        *loaded = status == SX_OK;
        db->image.wanted = out->ahead;
        if (out->ahead)
            tsdb_note(db, true, "head snapshot %s: the log ends before it; it is used all the same",
                      path);
    } else if (status != SX_ECANCELED) {
        tsdb_note(db, true, "head snapshot %s is not used, the log is read instead: %s", path,
                  why.message);
        status = SX_OK;
    } else if (err) {
        *err = why;
    }
    sx_reader_close(&file);
    sx_mapping_close(&r->map);
    sx_free(r);
    return status;
}

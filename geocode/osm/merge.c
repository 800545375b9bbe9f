/* merge.c - reads the files of a data set and keeps the newest version of each object.
 *
 * Every worker writes records into a chunk of its own and notes {id, address} in a list of its own.
 * When all files are read the lists are put together and sorted by id; records of one id then decide
 * among themselves by what they say of version, file and block. Which worker read what leaves no
 * trace. */
#include <inttypes.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "geocode/osm/dataset_impl.h"

enum { FILES_MAX = 65535, FILE_SHIFT = 48, MEMORY_MAX_MB = 2048 };

typedef struct collector {
    osm_chunk_writer chunk;
    osm_table tables[OSM_KINDS];
} collector;

typedef struct filling {
    osm_dataset *d;
    collector *collectors;
    uint32_t workers;
    uint64_t file;         /* number of the one being read */
    uint64_t done, all;    /* bytes of files before it, of all files */
    bool several_versions; /* a change file or a history: the same id twice is no flaw */
} filling;

/* ---- Records ---- */

static bool note_entry(osm_table *t, int64_t id, osm_address at)
{
    if (t->count == t->cap && !sx_grow(&t->entries, &t->cap, t->count + 1, sizeof(*t->entries)))
        return false;
    t->entries[t->count++] = (geo_sort_record){osm_key_of(id), at};
    return true;
}

static void put_parts(sx_buf *b, const osm_object *o)
{
    if (o->ref_count)
        sx_buf_bytes(b, o->refs, o->ref_count * sizeof(*o->refs));
    for (uint32_t i = 0; i < o->member_count; i++) {
        const osm_member *m = &o->members[i];
        osm_packed_member packed = {m->ref, (uint32_t)m->kind, (uint32_t)m->role.len};
        sx_buf_bytes(b, &packed, sizeof(packed));
    }
    for (uint32_t i = 0; i < o->tag_count; i++) {
        uint16_t lengths[2] = {(uint16_t)o->tags[i].key.len, (uint16_t)o->tags[i].value.len};
        sx_buf_bytes(b, lengths, sizeof(lengths));
    }
    for (uint32_t i = 0; i < o->tag_count; i++) {
        sx_buf_str(b, o->tags[i].key);
        sx_buf_str(b, o->tags[i].value);
    }
    for (uint32_t i = 0; i < o->member_count; i++)
        sx_buf_str(b, o->members[i].role);
}

static sx_status keep_object(filling *f, collector *c, uint64_t order, const osm_object *o,
                             sx_error *err)
{
    sx_status status = osm_store_begin(&f->d->store, &c->chunk, err);
    if (status != SX_OK)
        return status;
    sx_buf *b = &c->chunk.buf;
    while (b->len % sizeof(int64_t) && !b->failed)
        sx_buf_byte(b, 0);
    osm_address at = osm_chunk_here(&c->chunk);
    const osm_record record = {
        .order = order,
        .changed_ms = o->changed_ms,
        .version = o->version,
        .part_count = o->deleted ? 0 : o->ref_count + o->member_count,
        .lon_e7 = o->lon_e7,
        .lat_e7 = o->lat_e7,
        .tag_count = o->deleted ? 0 : (uint16_t)o->tag_count,
        .kind = (uint8_t)o->kind,
        .deleted = o->deleted,
    };
    sx_buf_bytes(b, &record, sizeof(record));
    if (!o->deleted)
        put_parts(b, o);
    if (!note_entry(&c->tables[o->kind], o->id, at))
        return sx_fail_memory(err, "the list of objects");
    return osm_store_end(&f->d->store, &c->chunk, false, err);
}

static sx_status keep_batch(void *ctx, const osm_batch *batch, sx_error *err)
{
    filling *f = ctx;
    collector *c = &f->collectors[batch->worker];
    const uint64_t order =
        f->file << FILE_SHIFT | (batch->block & ((UINT64_C(1) << FILE_SHIFT) - 1));
    for (size_t i = 0; i < batch->count; i++) {
        sx_status status = keep_object(f, c, order, &batch->objects[i], err);
        if (status != SX_OK)
            return status;
    }
    return osm_locations_add(f->d->locations, batch->worker, order, &batch->places, err);
}

/* ---- Reading ---- */

static bool tell_progress(void *ctx, uint64_t done, uint64_t total)
{
    filling *f = ctx;
    (void)total;
    return f->d->options.progress(f->d->options.ctx, f->done + done, f->all);
}

static void newer_header(osm_header *best, const osm_header *h)
{
    bool first = !best->program[0] && !best->has_box && !best->replication_ms && !best->sequence;
    if (first || h->replication_ms > best->replication_ms || h->sequence > best->sequence)
        *best = *h;
}

static sx_status read_file(filling *f, const char *path, sx_error *err)
{
    osm_dataset *d = f->d;
    osm_header header = {0};
    sx_file_info info = {0};
    const osm_read_options options = {
        .path = path,
        .batch = keep_batch,
        .progress = d->options.progress ? tell_progress : NULL,
        .ctx = f,
        .threads = f->workers,
        .nodes = OSM_NODES_TAGGED,
        .places = true,
        .limits = d->options.limits,
        .clock = d->options.clock,
        .report = &d->report,
        .header = &header,
    };
    sx_status status = osm_read(&options, err);
    if (status != SX_OK)
        return status;
    newer_header(&d->header, &header);
    f->several_versions |= header.is_change || header.history;
    if (sx_file_stat(path, &info, NULL) == SX_OK)
        f->done += info.bytes;
    return SX_OK;
}

/* ---- Merging ---- */

/* Whether `a` is newer than `b`: both of one object. */
static bool newer(const osm_dataset *d, osm_address a, osm_address b)
{
    const osm_record *x = osm_record_at(d, a), *y = osm_record_at(d, b);
    if (x->version && y->version && x->version != y->version)
        return x->version > y->version;
    /* One worker writes a block from its beginning to its end, in rising chunks. */
    return x->order != y->order ? x->order > y->order : a > b;
}

static sx_status gather(filling *f, osm_kind kind, sx_error *err)
{
    osm_table *all = &f->d->tables[kind];
    size_t count = 0;
    bool sorted = true;
    for (uint32_t i = 0; i < f->workers; i++)
        count += f->collectors[i].tables[kind].count;
    if (count && !sx_grow(&all->entries, &all->cap, count, sizeof(*all->entries)))
        return sx_fail_memory(err, "the list of objects");
    for (uint32_t i = 0; i < f->workers; i++) {
        osm_table *t = &f->collectors[i].tables[kind];
        for (size_t k = 0; k < t->count; k++) {
            sorted &= !all->count || all->entries[all->count - 1].high < t->entries[k].high;
            all->entries[all->count++] = t->entries[k];
        }
        sx_free(t->entries);
        *t = (osm_table){0};
    }
    if (!sorted)
        geo_sort_records(all->entries, all->count);
    return SX_OK;
}

static void note_duplicate(const filling *f, osm_kind kind, uint64_t key, osm_address a,
                           osm_address b)
{
    uint64_t x = osm_record_at(f->d, a)->order, y = osm_record_at(f->d, b)->order;
    if (!f->several_versions && x >> FILE_SHIFT == y >> FILE_SHIFT)
        osm_report_flaw(&f->d->report, OSM_FLAW_DUPLICATE, 0, "%s %" PRId64, osm_kind_name(kind),
                        osm_id_of(key));
}

/* Keeps one entry of each id, the newest, and none if that says the object is gone. */
static void keep_newest(filling *f, osm_kind kind)
{
    osm_table *t = &f->d->tables[kind];
    size_t kept = 0;
    for (size_t i = 0; i < t->count;) {
        geo_sort_record best = t->entries[i];
        for (i++; i < t->count && t->entries[i].high == best.high; i++) {
            note_duplicate(f, kind, best.high, best.low, t->entries[i].low);
            if (newer(f->d, t->entries[i].low, best.low))
                best = t->entries[i];
        }
        const osm_record *r = osm_record_at(f->d, best.low);
        if (!r->deleted && (kind != OSM_NODE || r->tag_count))
            t->entries[kept++] = best;
    }
    t->count = kept;
}

/* A node may have lost its tags: then its newest version came as a place only, which has that version.
 * (Without version numbers this cannot be told between extracts, and the tags stay; change files give
 * all their nodes as objects.) */
static void drop_stale_nodes(filling *f)
{
    osm_table *t = &f->d->tables[OSM_NODE];
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++) {
        osm_address at = t->entries[i].low;
        uint32_t version = 0, own = osm_record_at(f->d, at)->version;
        bool there =
            osm_locations_version(f->d->locations, osm_id_of(t->entries[i].high), &version);
        if (there && !(own && version > own))
            t->entries[kept++] = t->entries[i];
    }
    t->count = kept;
}

static sx_status merge(filling *f, sx_error *err)
{
    osm_dataset *d = f->d;
    sx_status status = SX_OK;
    for (uint32_t i = 0; i < f->workers && status == SX_OK; i++)
        status = osm_store_end(&d->store, &f->collectors[i].chunk, true, err);
    if (status == SX_OK)
        status = osm_store_map(&d->store, err);
    for (unsigned kind = 0; kind < OSM_KINDS && status == SX_OK; kind++) {
        status = gather(f, (osm_kind)kind, err);
        if (status == SX_OK)
            keep_newest(f, (osm_kind)kind);
    }
    if (status == SX_OK)
        status = osm_locations_freeze(d->locations, f->several_versions ? NULL : &d->report, err);
    if (status == SX_OK)
        drop_stale_nodes(f);
    return status;
}

static sx_status fill(filling *f, const char *const *paths, size_t count, sx_error *err)
{
    osm_dataset *d = f->d;
    for (size_t i = 0; i < count; i++) {
        sx_file_info info = {0};
        if (sx_file_stat(paths[i], &info, NULL) == SX_OK)
            f->all += info.bytes;
    }
    size_t memory = d->options.memory_max ? d->options.memory_max : (size_t)MEMORY_MAX_MB << 20;
    const osm_locations_options options = {
        .folder = d->options.folder,
        .memory_max = memory / 2,
        .versions = count > 1 || d->options.for_writing,
        .threads = f->workers,
    };
    d->store.memory_max = memory / 2;
    d->locations = osm_locations_new(&options, err);
    if (!d->locations)
        return err->status;
    for (size_t i = 0; i < count; i++) {
        f->file = i;
        sx_status status = read_file(f, paths[i], err);
        if (status != SX_OK)
            return status;
    }
    return merge(f, err);
}

sx_status osm_dataset_fill(osm_dataset *d, const char *const *paths, size_t count, sx_error *err)
{
    if (count == 0 || count > FILES_MAX)
        return sx_fail(err, SX_EINVAL, "%zu files of map data; 1 to %d are allowed", count,
                       FILES_MAX);
    filling f = {.d = d, .workers = osm_threads(d->options.threads)};
    f.collectors = sx_calloc(f.workers, sizeof(*f.collectors));
    if (!f.collectors)
        return sx_fail_memory(err, "threads");
    for (uint32_t i = 0; i < f.workers; i++)
        sx_buf_init(&f.collectors[i].chunk.buf, 0);
    sx_status status = fill(&f, paths, count, err);
    for (uint32_t i = 0; i < f.workers; i++) {
        osm_chunk_writer_done(&f.collectors[i].chunk);
        for (int kind = 0; kind < OSM_KINDS; kind++)
            sx_free(f.collectors[i].tables[kind].entries);
    }
    sx_free(f.collectors);
    return status;
}

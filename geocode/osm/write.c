/* write.c - the data set as a PBF file.
 *
 * The work is cut into jobs of some thousand objects, numbered in the order of the file. Workers take
 * the next number, encode and compress, and write when all numbers before have been written: the file
 * does not depend on how many there are. Nodes are dense. Source: fileformat.proto, osmformat.proto. */
#include <stdio.h>

#include <sextant/compress.h>
#include <sextant/file.h>
#include <sextant/map.h>
#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "geocode/osm/dataset_impl.h"

enum {
    JOB_GROUPS = 125, /* of nodes: up to 8,000, as other writers have in a block */
    JOB_OBJECTS = 8000,
    BLOCK_BYTES = 8 << 20, /* a block is ended beyond that: ways may have a million nodes */
    BLOB_BYTES_MAX = 32 << 20,
    ZLIB_FIELD = 3,
    ZSTD_FIELD = 7,
};

typedef struct writing {
    const osm_dataset *d;
    const osm_write_options *options;
    sx_codec codec;
    sx_replace file;
    uint64_t jobs[OSM_KINDS], all;
    pthread_mutex_t lock; /* of what follows, and of the file */
    pthread_cond_t moved;
    uint64_t next, turn;
    bool failed;
    sx_error failure;
} writing;

typedef struct encoder {
    writing *w;
    pthread_t thread;
    bool started;
    sx_arena arena;
    sx_map strings; /* text -> number */
    uint32_t string_count;
    sx_buf table, group, block, packed, out;
    sx_buf ids, lats, lons, versions, dates, texts; /* of dense nodes */
} encoder;

/* ---- Blobs ---- */

static sx_status put_blob(encoder *e, sx_str type, sx_str plain, sx_error *err)
{
    char length[4];
    if (plain.len > BLOB_BYTES_MAX)
        return sx_fail(err, SX_ELIMIT, "an object that takes %zu bytes, more than a PBF may have",
                       plain.len);
    sx_buf_clear(&e->packed);
    sx_status status = sx_compress(e->w->codec, plain, e->w->options->level, &e->packed, err);
    if (status != SX_OK)
        return status;
    sx_buf blob, header;
    sx_buf_init(&blob, 0);
    sx_buf_init(&header, 0);
    sx_pb_put_u64(&blob, 2, plain.len);
    sx_pb_put_str(&blob, e->w->codec == SX_CODEC_ZSTD ? ZSTD_FIELD : ZLIB_FIELD,
                  sx_buf_view(&e->packed));
    sx_pb_put_str(&header, 1, type);
    sx_pb_put_u64(&header, 3, blob.len);
    for (int i = 0; i < 4; i++)
        length[i] = (char)(header.len >> (24 - 8 * i));
    sx_buf_bytes(&e->out, length, sizeof(length));
    sx_buf_str(&e->out, sx_buf_view(&header));
    sx_buf_str(&e->out, sx_buf_view(&blob));
    e->out.failed |= blob.failed || header.failed;
    sx_buf_done(&blob);
    sx_buf_done(&header);
    return sx_buf_status(&e->out, "a block of a PBF", err);
}

static uint64_t nano(int32_t e7)
{
    return sx_pb_zigzag_of((int64_t)e7 * 100);
}

static sx_status put_header(encoder *e, sx_error *err)
{
    const osm_header *h =
        e->w->options->header ? e->w->options->header : osm_dataset_header(e->w->d);
    sx_buf *b = &e->block;
    sx_buf_clear(b);
    if (h->has_box) {
        size_t mark = sx_pb_begin(b, 1);
        sx_pb_put_u64(b, 1, nano(h->box_e7[0]));
        sx_pb_put_u64(b, 2, nano(h->box_e7[2]));
        sx_pb_put_u64(b, 3, nano(h->box_e7[3]));
        sx_pb_put_u64(b, 4, nano(h->box_e7[1]));
        sx_pb_end(b, mark);
    }
    sx_pb_put_str(b, 4, SX_STR("OsmSchema-V0.6"));
    sx_pb_put_str(b, 4, SX_STR("DenseNodes"));
    sx_pb_put_str(b, 5, SX_STR("Sort.Type_then_ID"));
    sx_pb_put_str(b, 16, SX_STR("Sextant"));
    if (h->replication_ms)
        sx_pb_put_i64(b, 32, h->replication_ms / 1000);
    if (h->sequence)
        sx_pb_put_i64(b, 33, h->sequence);
    if (h->replication_url[0])
        sx_pb_put_str(b, 34, sx_str_z(h->replication_url));
    sx_status status = sx_buf_status(b, "the header of a PBF", err);
    return status == SX_OK ? put_blob(e, SX_STR("OSMHeader"), sx_buf_view(b), err) : status;
}

/* ---- Blocks ---- */

/* The number of a text in the block's table; texts live as long as the data set. */
static uint32_t number_of(encoder *e, sx_str text)
{
    bool added;
    sx_map_entry *entry = sx_map_put(&e->strings, text, &added);
    if (!entry) {
        e->table.failed = true;
        return 0;
    }
    if (added) {
        entry->u64 = e->string_count++;
        sx_pb_put_str(&e->table, 1, text);
    }
    return (uint32_t)entry->u64;
}

static void start_block(encoder *e)
{
    sx_map_clear(&e->strings);
    sx_buf_clear(&e->table);
    sx_buf_clear(&e->group);
    e->string_count = 0;
    (void)number_of(e, SX_STR("")); /* number 0 ends a dense node's tags */
}

static sx_status end_block(encoder *e, sx_error *err)
{
    if (!e->group.len)
        return sx_buf_status(&e->group, "a block of a PBF", err);
    sx_buf_clear(&e->block);
    sx_pb_put_str(&e->block, 1, sx_buf_view(&e->table));
    sx_pb_put_str(&e->block, 2, sx_buf_view(&e->group));
    e->block.failed |= e->table.failed || e->group.failed;
    sx_status status = sx_buf_status(&e->block, "a block of a PBF", err);
    if (status == SX_OK)
        status = put_blob(e, SX_STR("OSMData"), sx_buf_view(&e->block), err);
    start_block(e);
    return status;
}

/* ---- Nodes ---- */

typedef struct dense_state {
    int64_t id, lon, lat, date;
    bool any_version, any_date, any_text;
} dense_state;

static void put_delta(sx_buf *b, int64_t *before, int64_t value)
{
    sx_pb_add_varint(b, sx_pb_zigzag_of((int64_t)((uint64_t)value - (uint64_t)*before)));
    *before = value;
}

static void put_node(encoder *e, dense_state *s, const osm_locations_cursor *c, const osm_object *o)
{
    put_delta(&e->ids, &s->id, c->id);
    put_delta(&e->lats, &s->lat, c->lat_e7);
    put_delta(&e->lons, &s->lon, c->lon_e7);
    uint32_t version = o && o->version > c->version ? o->version : c->version;
    sx_pb_add_varint(&e->versions, version);
    put_delta(&e->dates, &s->date, o ? o->changed_ms / 1000 : 0);
    s->any_version |= version != 0;
    s->any_date |= o && o->changed_ms;
    for (uint32_t i = 0; o && i < o->tag_count; i++) {
        sx_pb_add_varint(&e->texts, number_of(e, o->tags[i].key));
        sx_pb_add_varint(&e->texts, number_of(e, o->tags[i].value));
        s->any_text = true;
    }
    sx_pb_add_varint(&e->texts, 0);
}

static sx_status end_nodes(encoder *e, dense_state *s, sx_error *err)
{
    sx_buf *const lists[] = {&e->ids, &e->lats, &e->lons, &e->versions, &e->dates, &e->texts};
    size_t mark = sx_pb_begin(&e->group, 2);
    sx_pb_put_str(&e->group, 1, sx_buf_view(&e->ids));
    if (s->any_version || s->any_date) {
        size_t info = sx_pb_begin(&e->group, 5);
        if (s->any_version)
            sx_pb_put_str(&e->group, 1, sx_buf_view(&e->versions));
        if (s->any_date)
            sx_pb_put_str(&e->group, 2, sx_buf_view(&e->dates));
        sx_pb_end(&e->group, info);
    }
    sx_pb_put_str(&e->group, 8, sx_buf_view(&e->lats));
    sx_pb_put_str(&e->group, 9, sx_buf_view(&e->lons));
    if (s->any_text)
        sx_pb_put_str(&e->group, 10, sx_buf_view(&e->texts));
    sx_pb_end(&e->group, mark);
    for (size_t i = 0; i < SX_COUNT_OF(lists); i++) {
        e->group.failed |= lists[i]->failed;
        sx_buf_clear(lists[i]);
    }
    *s = (dense_state){0};
    return end_block(e, err);
}

/* The nodes of some groups; those with tags are looked up by going along both in step. */
static sx_status write_nodes(encoder *e, uint64_t job, sx_error *err)
{
    const osm_dataset *d = e->w->d;
    const osm_table *t = &d->tables[OSM_NODE];
    osm_locations_cursor c;
    dense_state s = {0};
    size_t rank = 0;
    bool first = true;
    osm_locations_start(&c, d->locations);
    c.group = job * JOB_GROUPS;
    while (c.group < (job + 1) * JOB_GROUPS && osm_locations_next(&c)) {
        if (c.group == (job + 1) * JOB_GROUPS)
            break; /* the next one's first */
        osm_object o;
        if (first)
            rank = osm_dataset_rank_from(d, OSM_NODE, c.id);
        first = false;
        while (rank < t->count && t->entries[rank].high < osm_key_of(c.id))
            rank++;
        bool tagged = rank < t->count && t->entries[rank].high == osm_key_of(c.id);
        sx_arena_reset(&e->arena);
        if (tagged) {
            sx_status status = osm_dataset_at(d, OSM_NODE, rank, &e->arena, &o, err);
            if (status != SX_OK)
                return status;
        }
        put_node(e, &s, &c, tagged ? &o : NULL);
        if (e->table.len + e->texts.len > BLOCK_BYTES) {
            sx_status status = end_nodes(e, &s, err);
            if (status != SX_OK)
                return status;
        }
    }
    return e->ids.len ? end_nodes(e, &s, err) : SX_OK;
}

/* ---- Ways and relations ---- */

static void put_common(encoder *e, const osm_object *o)
{
    sx_buf *g = &e->group;
    size_t mark;
    sx_pb_put_i64(g, 1, o->id);
    if (o->tag_count) {
        mark = sx_pb_begin(g, 2);
        for (uint32_t i = 0; i < o->tag_count; i++)
            sx_pb_add_varint(g, number_of(e, o->tags[i].key));
        sx_pb_end(g, mark);
        mark = sx_pb_begin(g, 3);
        for (uint32_t i = 0; i < o->tag_count; i++)
            sx_pb_add_varint(g, number_of(e, o->tags[i].value));
        sx_pb_end(g, mark);
    }
    if (!o->version && !o->changed_ms)
        return;
    mark = sx_pb_begin(g, 4);
    if (o->version)
        sx_pb_put_u64(g, 1, o->version);
    if (o->changed_ms)
        sx_pb_put_i64(g, 2, o->changed_ms / 1000);
    sx_pb_end(g, mark);
}

static void put_way(encoder *e, const osm_object *o)
{
    int64_t before = 0;
    size_t way = sx_pb_begin(&e->group, 3);
    put_common(e, o);
    if (o->ref_count) {
        size_t mark = sx_pb_begin(&e->group, 8);
        for (uint32_t i = 0; i < o->ref_count; i++)
            put_delta(&e->group, &before, o->refs[i]);
        sx_pb_end(&e->group, mark);
    }
    sx_pb_end(&e->group, way);
}

static void put_relation(encoder *e, const osm_object *o)
{
    int64_t before = 0;
    sx_buf *g = &e->group;
    size_t relation = sx_pb_begin(g, 4);
    put_common(e, o);
    if (o->member_count) {
        size_t mark = sx_pb_begin(g, 8);
        for (uint32_t i = 0; i < o->member_count; i++)
            sx_pb_add_varint(g, number_of(e, o->members[i].role));
        sx_pb_end(g, mark);
        mark = sx_pb_begin(g, 9);
        for (uint32_t i = 0; i < o->member_count; i++)
            put_delta(g, &before, o->members[i].ref);
        sx_pb_end(g, mark);
        mark = sx_pb_begin(g, 10);
        for (uint32_t i = 0; i < o->member_count; i++)
            sx_pb_add_varint(g, (uint64_t)o->members[i].kind);
        sx_pb_end(g, mark);
    }
    sx_pb_end(g, relation);
}

static sx_status write_objects(encoder *e, osm_kind kind, uint64_t job, sx_error *err)
{
    const osm_dataset *d = e->w->d;
    size_t end = osm_dataset_count(d, kind);
    if (end > (job + 1) * JOB_OBJECTS)
        end = (job + 1) * JOB_OBJECTS;
    for (size_t rank = job * JOB_OBJECTS; rank < end; rank++) {
        osm_object o;
        sx_arena_reset(&e->arena);
        sx_status status = osm_dataset_at(d, kind, rank, &e->arena, &o, err);
        if (status == SX_OK) {
            (kind == OSM_WAY ? put_way : put_relation)(e, &o);
            if (e->group.len + e->table.len > BLOCK_BYTES)
                status = end_block(e, err);
        }
        if (status != SX_OK)
            return status;
    }
    return end_block(e, err);
}

/* ---- Jobs ---- */

static sx_status do_job(encoder *e, uint64_t job, sx_error *err)
{
    const uint64_t *jobs = e->w->jobs;
    sx_buf_clear(&e->out);
    start_block(e);
    if (job == 0)
        return put_header(e, err);
    job--;
    if (job < jobs[OSM_NODE])
        return write_nodes(e, job, err);
    job -= jobs[OSM_NODE];
    if (job < jobs[OSM_WAY])
        return write_objects(e, OSM_WAY, job, err);
    return write_objects(e, OSM_RELATION, job - jobs[OSM_WAY], err);
}

/* Writes what a job gave, in its turn. */
static sx_status hand_in(encoder *e, uint64_t job, sx_status status, sx_error *err)
{
    writing *w = e->w;
    (void)pthread_mutex_lock(&w->lock);
    while (status == SX_OK && w->turn != job && !w->failed)
        (void)pthread_cond_wait(&w->moved, &w->lock);
    if (status == SX_OK && w->failed)
        status = SX_ECANCELED;
    if (status == SX_OK)
        status = sx_writer_bytes(&w->file.writer, e->out.data, e->out.len, err);
    if (status == SX_OK) {
        w->turn++;
    } else if (!w->failed) {
        w->failed = true;
        w->failure = *err;
        w->failure.status = status;
    }
    (void)pthread_cond_broadcast(&w->moved);
    (void)pthread_mutex_unlock(&w->lock);
    return status;
}

static void *work(void *arg)
{
    encoder *e = arg;
    writing *w = e->w;
    sx_error err = {0};
    for (;;) {
        (void)pthread_mutex_lock(&w->lock);
        uint64_t job = w->failed ? w->all : w->next;
        w->next += job < w->all;
        (void)pthread_mutex_unlock(&w->lock);
        if (job >= w->all)
            return NULL;
        if (hand_in(e, job, do_job(e, job, &err), &err) != SX_OK)
            return NULL;
    }
}

static void encoder_init(encoder *e, writing *w)
{
    sx_buf *const bufs[] = {&e->table, &e->group, &e->block,    &e->packed, &e->out,  &e->ids,
                            &e->lats,  &e->lons,  &e->versions, &e->dates,  &e->texts};
    e->w = w;
    for (size_t i = 0; i < SX_COUNT_OF(bufs); i++)
        sx_buf_init(bufs[i], 0);
    sx_arena_init(&e->arena, 64 << 10, 0);
    sx_map_init(&e->strings, NULL);
}

static void encoder_done(encoder *e)
{
    sx_buf *const bufs[] = {&e->table, &e->group, &e->block,    &e->packed, &e->out,  &e->ids,
                            &e->lats,  &e->lons,  &e->versions, &e->dates,  &e->texts};
    for (size_t i = 0; i < SX_COUNT_OF(bufs); i++)
        sx_buf_done(bufs[i]);
    sx_arena_done(&e->arena);
    sx_map_done(&e->strings);
}

static sx_status write_all(writing *w, uint32_t threads, sx_error *err)
{
    encoder *encoders = sx_calloc(threads, sizeof(*encoders));
    if (!encoders)
        return sx_fail_memory(err, "threads");
    for (uint32_t i = 0; i < threads; i++)
        encoder_init(&encoders[i], w);
    for (uint32_t i = 1; i < threads; i++)
        encoders[i].started = pthread_create(&encoders[i].thread, NULL, work, &encoders[i]) == 0;
    (void)work(&encoders[0]);
    for (uint32_t i = 1; i < threads; i++)
        if (encoders[i].started)
            (void)pthread_join(encoders[i].thread, NULL);
    for (uint32_t i = 0; i < threads; i++)
        encoder_done(&encoders[i]);
    sx_free(encoders);
    if (!w->failed)
        return SX_OK;
    *err = w->failure;
    return err->status;
}

sx_status osm_dataset_write_pbf(const osm_dataset *d, const osm_write_options *options,
                                sx_error *err)
{
    sx_error own = {0};
    if (!err)
        err = &own;
    writing w = {.d = d,
                 .options = options,
                 .codec = options->zstd ? SX_CODEC_ZSTD : SX_CODEC_ZLIB,
                 .all = 1};
    w.jobs[OSM_NODE] = (osm_locations_groups(d->locations) + JOB_GROUPS - 1) / JOB_GROUPS;
    for (unsigned kind = OSM_WAY; kind < OSM_KINDS; kind++)
        w.jobs[kind] = (osm_dataset_count(d, (osm_kind)kind) + JOB_OBJECTS - 1) / JOB_OBJECTS;
    for (unsigned kind = 0; kind < OSM_KINDS; kind++)
        w.all += w.jobs[kind];
    sx_status status = sx_replace_open(&w.file, options->path, 1 << 20, err);
    if (status != SX_OK)
        return status;
    (void)pthread_mutex_init(&w.lock, NULL);
    (void)pthread_cond_init(&w.moved, NULL);
    status = write_all(&w, osm_threads(options->threads), err);
    (void)pthread_cond_destroy(&w.moved);
    (void)pthread_mutex_destroy(&w.lock);
    if (status == SX_OK)
        return sx_replace_commit(&w.file, err);
    sx_replace_abandon(&w.file);
    return sx_error_prefix(err, status, "writing %s", options->path);
}

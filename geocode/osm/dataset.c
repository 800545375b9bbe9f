/* dataset.c - see dataset.h: opening, and giving out what merge.c has gathered. */
#include <sextant/mem.h>

#include "geocode/osm/dataset_impl.h"

sx_status osm_dataset_open(const osm_dataset_options *options, const char *const *paths,
                           size_t count, osm_dataset **out, sx_error *err)
{
    sx_error own = {0};
    if (!err)
        err = &own;
    osm_dataset *d = sx_calloc(1, sizeof(*d));
    if (!d)
        return sx_fail_memory(err, "map data");
    if (options)
        d->options = *options;
    bool temp = geo_temp_init(&d->temp, d->options.folder, 0);
    osm_store_init(&d->store, &d->temp, 0);
    sx_status status =
        temp ? osm_dataset_fill(d, paths, count, err) : sx_fail_memory(err, "map data");
    if (status != SX_OK) {
        osm_dataset_close(d);
        return status;
    }
    *out = d;
    return SX_OK;
}

void osm_dataset_close(osm_dataset *d)
{
    if (!d)
        return;
    osm_locations_free(d->locations);
    for (int i = 0; i < OSM_KINDS; i++)
        sx_free(d->tables[i].entries);
    osm_store_done(&d->store);
    geo_temp_done(&d->temp);
    sx_free(d);
}

const osm_report *osm_dataset_report(const osm_dataset *d)
{
    return &d->report;
}

const osm_header *osm_dataset_header(const osm_dataset *d)
{
    return &d->header;
}

uint64_t osm_dataset_bytes(const osm_dataset *d)
{
    uint64_t bytes = osm_store_bytes(&d->store) + osm_locations_bytes(d->locations);
    for (int i = 0; i < OSM_KINDS; i++)
        bytes += d->tables[i].cap * sizeof(*d->tables[i].entries);
    return bytes;
}

size_t osm_dataset_count(const osm_dataset *d, osm_kind kind)
{
    return d->tables[kind].count;
}

uint64_t osm_dataset_node_count(const osm_dataset *d)
{
    return osm_locations_count(d->locations);
}

/* ---- Records ---- */

static const int64_t *refs_of(const osm_record *r)
{
    return (const int64_t *)(const void *)(r + 1);
}

static const osm_packed_member *members_of(const osm_record *r)
{
    return (const osm_packed_member *)(const void *)(r + 1);
}

/* The lengths of tags, behind refs or members. */
static const uint16_t *lengths_of(const osm_record *r)
{
    const char *after = (const char *)(r + 1);
    if (r->kind == OSM_WAY)
        after += r->part_count * sizeof(int64_t);
    else if (r->kind == OSM_RELATION)
        after += r->part_count * sizeof(osm_packed_member);
    return (const uint16_t *)(const void *)after;
}

/* Unpacks tags into `tags`; returns where the roles begin. */
static const char *unpack_tags(const osm_record *r, osm_tag *tags)
{
    const uint16_t *lengths = lengths_of(r);
    const char *text = (const char *)(lengths + 2 * (size_t)r->tag_count);
    for (uint32_t i = 0; i < r->tag_count; i++) {
        size_t key = lengths[2 * i], value = lengths[2 * i + 1];
        if (tags)
            tags[i] = (osm_tag){sx_str_of(text, key), sx_str_of(text + key, value)};
        text += key + value;
    }
    return text;
}

static void unpack_members(const osm_record *r, const char *roles, osm_member *members)
{
    const osm_packed_member *packed = members_of(r);
    for (uint32_t i = 0; i < r->part_count; i++) {
        members[i] = (osm_member){.kind = (osm_kind)packed[i].kind,
                                  .ref = packed[i].ref,
                                  .role = sx_str_of(roles, packed[i].role_len)};
        roles += packed[i].role_len;
    }
}

sx_status osm_dataset_at(const osm_dataset *d, osm_kind kind, size_t at, sx_arena *arena,
                         osm_object *out, sx_error *err)
{
    sx_assert(at < d->tables[kind].count);
    const geo_sort_record *entry = &d->tables[kind].entries[at];
    const osm_record *r = osm_record_at(d, entry->low);
    sx_assert(r->kind == kind);
    *out = (osm_object){.kind = kind,
                        .id = osm_id_of(entry->high),
                        .version = r->version,
                        .changed_ms = r->changed_ms,
                        .lon_e7 = r->lon_e7,
                        .lat_e7 = r->lat_e7,
                        .tag_count = r->tag_count};
    osm_tag *tags = sx_arena_alloc(arena, r->tag_count * sizeof(*tags));
    if (!tags)
        return sx_fail_memory(err, "an object's tags");
    const char *roles = unpack_tags(r, tags);
    out->tags = tags;
    if (kind == OSM_WAY) {
        out->refs = refs_of(r);
        out->ref_count = r->part_count;
    } else if (kind == OSM_RELATION) {
        osm_member *members = sx_arena_alloc(arena, r->part_count * sizeof(*members));
        if (!members)
            return sx_fail_memory(err, "a relation's members");
        unpack_members(r, roles, members);
        out->members = members;
        out->member_count = r->part_count;
    }
    return SX_OK;
}

size_t osm_dataset_rank_from(const osm_dataset *d, osm_kind kind, int64_t id)
{
    const osm_table *t = &d->tables[kind];
    const uint64_t key = osm_key_of(id);
    size_t from = 0;
    for (size_t count = t->count; count > 0;) {
        size_t half = count / 2;
        if (t->entries[from + half].high < key) {
            from += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return from;
}

/* The rank of an id; the count if it is not there. */
static size_t rank_of(const osm_dataset *d, osm_kind kind, int64_t id)
{
    const osm_table *t = &d->tables[kind];
    size_t at = osm_dataset_rank_from(d, kind, id);
    return at < t->count && t->entries[at].high == osm_key_of(id) ? at : t->count;
}

sx_status osm_dataset_find(const osm_dataset *d, osm_kind kind, int64_t id, sx_arena *arena,
                           osm_object *out, sx_error *err)
{
    size_t at = rank_of(d, kind, id);
    return at < d->tables[kind].count ? osm_dataset_at(d, kind, at, arena, out, err) : SX_ENOTFOUND;
}

sx_status osm_dataset_each(osm_dataset *d, osm_kind kind,
                           sx_status (*visit)(void *ctx, const osm_object *o), void *ctx,
                           sx_error *err)
{
    sx_arena arena;
    sx_status status = SX_OK;
    sx_arena_init(&arena, 64 << 10, 0);
    for (size_t i = 0; i < d->tables[kind].count && status == SX_OK; i++) {
        osm_object o;
        sx_arena_reset(&arena);
        status = osm_dataset_at(d, kind, i, &arena, &o, err);
        if (status == SX_OK)
            status = visit(ctx, &o);
    }
    sx_arena_done(&arena);
    return status == SX_END ? SX_OK : status;
}

bool osm_dataset_location(const osm_dataset *d, int64_t node, int32_t *lon_e7, int32_t *lat_e7)
{
    return osm_locations_find(d->locations, node, lon_e7, lat_e7);
}

size_t osm_dataset_locations(const osm_dataset *d, const int64_t *nodes, size_t count,
                             int32_t *lon_e7, int32_t *lat_e7)
{
    return osm_locations_find_all(d->locations, nodes, count, lon_e7, lat_e7);
}

bool osm_dataset_way(const osm_dataset *d, int64_t way, const int64_t **refs, uint32_t *count)
{
    size_t at = rank_of(d, OSM_WAY, way);
    if (at == d->tables[OSM_WAY].count)
        return false;
    const osm_record *r = osm_record_at(d, d->tables[OSM_WAY].entries[at].low);
    *refs = refs_of(r);
    *count = r->part_count;
    return true;
}

bool osm_dataset_relation(const osm_dataset *d, int64_t relation, sx_arena *arena,
                          const osm_member **members, uint32_t *count)
{
    size_t at = rank_of(d, OSM_RELATION, relation);
    if (at == d->tables[OSM_RELATION].count)
        return false;
    const osm_record *r = osm_record_at(d, d->tables[OSM_RELATION].entries[at].low);
    osm_member *out = sx_arena_alloc(arena, r->part_count * sizeof(*out));
    if (!out)
        return false;
    unpack_members(r, unpack_tags(r, NULL), out);
    *members = out;
    *count = r->part_count;
    return true;
}

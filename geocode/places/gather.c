/* gather.c - step 1 of the build: objects are read, what is a place gets its shape.
 *
 * Objects are shared out in pieces; what a piece yields is put behind what the pieces before it
 * yielded, so the order is the data set's. A way is an area if it is closed and makes one, else a
 * line; a relation is an area (multipolygon, boundary) or a line (waterway), and if its ways make none
 * it is no place, which is reported. */
#include <sextant/mem.h>

#include "geocode/places/build_impl.h"

enum {
    PIECE = 512,           /* objects */
    LINE_DEGREES_MAX = 30, /* a longer way is a mistake */
    WAYS_MAX = 1000000,    /* of one relation */
};

/* What one piece of objects gave. */
typedef struct catch
{
    BLD_LIST(bld_place) places;
    BLD_LIST(bld_postcode_at) postcodes_at;
    BLD_LIST(bld_interpolation) interpolations;
    BLD_LIST(bld_entrance) entrances;
    BLD_LIST(bld_street_member) street_members;
    BLD_LIST(plc_broken) broken;
    uint64_t without_points;
}
catch;

typedef struct gathering {
    osm_kind kind;
    size_t from;    /* the first object */
    catch *catches; /* by piece */
} gathering;

/* One object on its way. */
typedef struct finder {
    bld *b;
    bld_worker *w;
    catch *c;
    const osm_object *o;
    size_t object;
    plc_reading reading;
    geo_shape shape;
    bool tried, found; /* to make the shape */
    bool kept;         /* the reading has been copied out of the scratch arena */
} finder;

#define PUSH(list, err)                                                                            \
    (sx_grow(&(list)->items, &(list)->cap, (list)->count + 1, sizeof *(list)->items)               \
         ? SX_OK                                                                                   \
         : sx_fail_memory(err, "the places of the data"))

static char *copied(sx_str s)
{
    char *z = sx_alloc(s.len + 1);
    if (z) {
        if (s.len)
            memcpy(z, s.data, s.len);
        z[s.len] = '\0';
    }
    return z;
}

static sx_status report_broken(finder *f, const geo_ring_report *rings, sx_error *err)
{
    sx_str name = SX_STR("");
    sx_buf text;
    (void)osm_object_tag(f->o, SX_STR("name"), &name);
    sx_buf_init(&text, 4096);
    uint32_t kept =
        rings->fault_count < GEO_RING_FAULTS_MAX ? rings->fault_count : GEO_RING_FAULTS_MAX;
    for (uint32_t i = 0; i < kept; i++) {
        if (i)
            sx_buf_str(&text, SX_STR("; "));
        geo_ring_fault_text(&rings->faults[i], &text);
    }
    if (rings->fault_count > kept)
        sx_buf_printf(&text, "; %u more", rings->fault_count - kept);
    if (kept == 0)
        sx_buf_str(&text, SX_STR("nothing is left of its ways"));
    sx_status status = PUSH(&f->c->broken, err);
    if (status == SX_OK) {
        plc_broken *row = &f->c->broken.items[f->c->broken.count++];
        *row = (plc_broken){f->o->kind, f->o->id, rings->cause == GEO_RINGS_SOUND, copied(name),
                            copied(sx_buf_view(&text))};
        if (!row->name || !row->text)
            status = sx_fail_memory(err, "the report of the import");
    }
    sx_buf_done(&text);
    return status;
}

/* The positions of a way's nodes, without those that are not there. */
static sx_status way_points(finder *f, int64_t id, const int64_t *refs, uint32_t count,
                            geo_way *out, sx_error *err)
{
    sx_arena *scratch = &f->w->scratch;
    int32_t *lon = sx_arena_alloc(scratch, 2 * sizeof(int32_t) * ((size_t)count + 1));
    geo_at *at = sx_arena_alloc(scratch, sizeof *at * ((size_t)count + 1));
    int64_t *nodes = sx_arena_alloc(scratch, sizeof *nodes * ((size_t)count + 1));
    if (!lon || !at || !nodes)
        return sx_fail_memory(err, "the points of a way");
    int32_t *lat = lon + count;
    uint32_t n = 0;
    (void)osm_dataset_locations(f->b->data, refs, count, lon, lat);
    for (uint32_t i = 0; i < count; i++) {
        if (lon[i] == OSM_GONE)
            continue;
        at[n] = (geo_at){lon[i], lat[i]};
        nodes[n++] = refs[i];
    }
    *out = (geo_way){.id = id, .at = at, .nodes = nodes, .count = n};
    return SX_OK;
}

static sx_status way_shape(finder *f, sx_error *err)
{
    geo_way way;
    sx_status status = way_points(f, f->o->id, f->o->refs, f->o->ref_count, &way, err);
    if (status == SX_OK)
        status = geo_way_shape(&way, &f->w->scratch, &f->shape, NULL, err);
    if (status == SX_ENOTFOUND) {
        f->c->without_points++;
        return SX_OK;
    }
    f->found = status == SX_OK && !(geo_shape_is_line(f->shape.kind) &&
                                    geo_shape_length(&f->shape) > LINE_DEGREES_MAX);
    return status;
}

/* The ways of a relation that are in the data. */
static sx_status member_ways(finder *f, geo_way **out, uint32_t *count, sx_error *err)
{
    *count = 0;
    *out = sx_arena_alloc(&f->w->scratch, sizeof **out * ((size_t)f->o->member_count + 1));
    if (!*out)
        return sx_fail_memory(err, "the ways of a relation");
    for (uint32_t i = 0; i < f->o->member_count && *count < WAYS_MAX; i++) {
        const int64_t *refs;
        uint32_t ref_count;
        if (f->o->members[i].kind != OSM_WAY ||
            !osm_dataset_way(f->b->data, f->o->members[i].ref, &refs, &ref_count))
            continue;
        sx_status status = way_points(f, f->o->members[i].ref, refs, ref_count, *out + *count, err);
        if (status != SX_OK)
            return status;
        if ((*out)[*count].count > 0)
            ++*count;
    }
    return SX_OK;
}

static sx_status relation_shape(finder *f, sx_error *err)
{
    sx_str type = SX_STR("");
    geo_way *ways;
    uint32_t count;
    geo_ring_report rings = {0};
    (void)osm_object_tag(f->o, SX_STR("type"), &type);
    bool is_line = sx_str_eq(type, SX_STR("waterway"));
    if (!is_line && !sx_str_eq(type, SX_STR("multipolygon")) &&
        !sx_str_eq(type, SX_STR("boundary")))
        return SX_OK;
    sx_status status = member_ways(f, &ways, &count, err);
    if (status != SX_OK)
        return status;
    if (count == 0) {
        f->c->without_points++;
        return SX_OK;
    }
    if (is_line) {
        status = geo_ways_line(ways, count, &f->w->scratch, &f->shape, err);
    } else {
        geo_ring_options options = {.close_gap = f->b->options.close_gap};
        status = geo_rings_area(ways, count, &options, &f->w->scratch, &f->shape, &rings, err);
        if ((status == SX_ENOTFOUND || status == SX_ELIMIT) ||
            (status == SX_OK && rings.fault_count > 0)) {
            sx_status reported = report_broken(f, &rings, err);
            if (reported != SX_OK)
                return reported;
        }
    }
    f->found = status == SX_OK;
    return status == SX_ENOTFOUND || status == SX_ELIMIT ? SX_OK : status;
}

/* Makes the object's shape when it is first needed. Without one f->found stays false. */
static sx_status need_shape(finder *f, sx_error *err)
{
    if (f->tried)
        return SX_OK;
    f->tried = true;
    if (f->o->kind == OSM_WAY)
        return way_shape(f, err);
    if (f->o->kind == OSM_RELATION)
        return relation_shape(f, err);
    geo_ring *ring = sx_arena_alloc(&f->w->scratch, sizeof *ring);
    geo_at *at = sx_arena_alloc(&f->w->scratch, sizeof *at);
    if (!ring || !at)
        return sx_fail_memory(err, "the place of a node");
    *at = (geo_at){f->o->lon_e7, f->o->lat_e7};
    f->shape = geo_shape_point(at, ring);
    f->found = true;
    return SX_OK;
}

sx_status bld_keep_shape(bld_worker *w, const geo_shape *shape, bld_shape *out, sx_error *err)
{
    sx_buf_clear(&w->shape);
    geo_shape_encode(shape, &w->shape);
    sx_status status = sx_buf_status(&w->shape, "the shapes of places", err);
    if (status != SX_OK)
        return status;
    if (w->shape.len > UINT32_MAX)
        return sx_fail(err, SX_ELIMIT, "a shape takes more than 4 GB");
    sx_str kept = sx_arena_copy(&w->arena, sx_buf_view(&w->shape));
    if (!kept.data)
        return sx_fail_memory(err, "the shapes of places");
    *out = (bld_shape){kept.data, (uint32_t)kept.len, (uint8_t)shape->kind};
    return SX_OK;
}

static sx_status keep_shape(finder *f, const geo_shape *shape, bld_shape *out, sx_error *err)
{
    *out = (bld_shape){.kind = (uint8_t)shape->kind};
    if (shape->kind == GEO_SHAPE_POINT)
        return SX_OK; /* its place says it all */
    sx_status status = bld_keep_shape(f->w, shape, out, err);
    return status == SX_ELIMIT ? sx_error_prefix(err, status, "%s %lld", osm_kind_name(f->o->kind),
                                                 (long long)f->o->id)
                               : status;
}

static sx_status keep_pairs(finder *f, plc_pairs *p, sx_error *err)
{
    osm_tag *items = NULL;
    if (p->count) {
        items = sx_arena_alloc(&f->w->arena, sizeof *items * p->count);
        if (!items)
            return sx_fail_memory(err, "the tags of places");
        memcpy(items, p->items, sizeof *items * p->count);
    }
    p->items = items;
    return SX_OK;
}

/* A row that is no place of Nominatim's: a way's boundary, an area of a street without a name. */
static bool is_left_out(const finder *f, const plc_kind *kind)
{
    bool is_area = geo_shape_is_area(f->shape.kind);
    if (sx_str_eq(kind->class_name, SX_STR("highway")))
        return is_area && kind->names.count == 0 && f->reading.is_highway_area;
    if (!sx_str_eq(kind->class_name, SX_STR("boundary")))
        return false;
    return !is_area || (sx_str_eq(kind->type, SX_STR("administrative")) &&
                        f->reading.admin_level <= 4 && f->o->kind == OSM_WAY);
}

static sx_status add_places(finder *f, sx_error *err)
{
    bld_place first = {.osm_id = f->o->id,
                       .kind = (uint8_t)f->o->kind,
                       .object = (uint32_t)f->object,
                       .admin_level = f->reading.admin_level,
                       .address = f->reading.address,
                       .parent = PLC_NONE,
                       .linked = PLC_NONE,
                       .number = PLC_NONE};
    sx_status status = keep_pairs(f, &first.address, err);
    bool measured = false;
    for (uint32_t i = 0; i < f->reading.kind_count && status == SX_OK; i++) {
        plc_kind *kind = &f->reading.kinds[i];
        if (is_left_out(f, kind))
            continue;
        if (!measured) {
            measured = true;
            first.is_area = geo_shape_is_area(f->shape.kind);
            first.is_line = geo_shape_is_line(f->shape.kind);
            first.box = geo_shape_box(&f->shape);
            first.row = bld_row(first.box, geo_shape_points(&f->shape));
            first.size = first.is_area ? geo_shape_area(&f->shape) : geo_shape_length(&f->shape);
            status = geo_shape_center(&f->shape, &first.center, err);
            if (status == SX_OK)
                status = keep_shape(f, &f->shape, &first.shape, err);
        }
        bld_place p = first;
        p.class_name = kind->class_name;
        p.type = kind->type;
        p.names = kind->names;
        p.extratags = kind->extratags;
        if (status == SX_OK)
            status = keep_pairs(f, &p.names, err);
        if (status == SX_OK)
            status = keep_pairs(f, &p.extratags, err);
        if (status == SX_OK)
            status = PUSH(&f->c->places, err);
        if (status == SX_OK)
            f->c->places.items[f->c->places.count++] = p;
    }
    return status;
}

static sx_status add_postcode(finder *f, sx_error *err)
{
    bld_postcode_at p = {.postcode = plc_pairs_get(&f->reading.address, SX_STR("postcode")),
                         .osm_id = f->o->id,
                         .center = geo_shape_centroid(&f->shape),
                         .box = geo_shape_box(&f->shape),
                         .is_area = f->reading.is_postcode_area};
    sx_status status = SX_OK;
    if (p.is_area) {
        if (!geo_shape_is_area(f->shape.kind))
            return SX_OK;
        status = keep_shape(f, &f->shape, &p.shape, err);
    }
    if (status == SX_OK)
        status = PUSH(&f->c->postcodes_at, err);
    if (status == SX_OK)
        f->c->postcodes_at.items[f->c->postcodes_at.count++] = p;
    return status;
}

static sx_status add_interpolation(finder *f, sx_error *err)
{
    geo_way way;
    geo_shape line;
    bld_interpolation row = {.osm_id = f->o->id,
                             .type = f->reading.interpolation,
                             .address = f->reading.address,
                             .node_count = f->o->ref_count};
    int64_t *nodes = sx_arena_alloc(&f->w->arena, sizeof *nodes * ((size_t)f->o->ref_count + 1));
    if (!nodes)
        return sx_fail_memory(err, "the nodes of an interpolation");
    memcpy(nodes, f->o->refs, sizeof *nodes * f->o->ref_count);
    row.nodes = nodes;
    sx_status status = way_points(f, f->o->id, f->o->refs, f->o->ref_count, &way, err);
    if (status == SX_OK)
        status = geo_way_line(&way, &f->w->scratch, &line, err);
    if (status == SX_ENOTFOUND)
        return SX_OK;
    if (status == SX_OK)
        status = keep_shape(f, &line, &row.shape, err);
    for (uint32_t i = 0; i < row.address.count; i++) {
        if (sx_str_eq(row.address.items[i].key, SX_STR("interpolation"))) {
            osm_tag *all = sx_arena_alloc(&f->w->scratch, sizeof *all * row.address.count);
            if (!all)
                return sx_fail_memory(err, "the tags of an interpolation");
            memcpy(all, row.address.items, sizeof *all * i);
            memcpy(all + i, row.address.items + i + 1, sizeof *all * (row.address.count - i - 1));
            row.address = (plc_pairs){all, row.address.count - 1};
            break;
        }
    }
    if (status == SX_OK)
        status = keep_pairs(f, &row.address, err);
    if (status == SX_OK)
        status = PUSH(&f->c->interpolations, err);
    if (status == SX_OK)
        f->c->interpolations.items[f->c->interpolations.count++] = row;
    return status;
}

static sx_status add_entrance(finder *f, sx_error *err)
{
    bld_entrance row = {
        f->o->id, f->reading.entrance, f->reading.entrance_tags, {f->o->lon_e7, f->o->lat_e7}};
    sx_status status = keep_pairs(f, &row.tags, err);
    if (status == SX_OK)
        status = PUSH(&f->c->entrances, err);
    if (status == SX_OK)
        f->c->entrances.items[f->c->entrances.count++] = row;
    return status;
}

static bool is_street_member(const osm_member *m)
{
    return sx_str_eq(m->role, SX_STR("street")) && m->kind != OSM_NODE;
}

/* The houses and streets of an associatedStreet relation that names a street at all. */
static sx_status add_street_members(finder *f, sx_error *err)
{
    sx_str type = SX_STR("");
    bool has_street = false;
    if (!osm_object_tag(f->o, SX_STR("type"), &type) ||
        !sx_str_eq(type, SX_STR("associatedStreet")))
        return SX_OK;
    for (uint32_t i = 0; i < f->o->member_count; i++)
        has_street |= is_street_member(&f->o->members[i]);
    for (uint32_t i = 0; has_street && i < f->o->member_count; i++) {
        const osm_member *m = &f->o->members[i];
        if (!is_street_member(m) && !sx_str_eq(m->role, SX_STR("house")))
            continue;
        sx_status status = PUSH(&f->c->street_members, err);
        if (status != SX_OK)
            return status;
        f->c->street_members.items[f->c->street_members.count++] =
            (bld_street_member){f->o->id, m->ref, (uint8_t)m->kind, is_street_member(m)};
    }
    return SX_OK;
}

static sx_status take_object(finder *f, sx_error *err)
{
    sx_status status = plc_style_read(f->o, &f->w->scratch, &f->reading, err);
    const plc_reading *r = &f->reading;
    bool is_postcode = r->is_postcode_point || r->is_postcode_area;
    if (status == SX_OK && f->o->kind == OSM_RELATION)
        status = add_street_members(f, err);
    if (status == SX_OK && r->is_entrance)
        status = add_entrance(f, err);
    if (status == SX_OK && r->is_interpolation)
        status = add_interpolation(f, err);
    if (status == SX_OK && (r->kind_count > 0 || is_postcode))
        status = need_shape(f, err);
    if (status == SX_OK && f->found && r->kind_count > 0)
        status = add_places(f, err);
    if (status == SX_OK && f->found && is_postcode)
        status = add_postcode(f, err);
    return status;
}

static sx_status take_piece(bld *b, bld_worker *w, size_t from, size_t to, void *ctx, sx_error *err)
{
    gathering *g = ctx;
    for (size_t i = from; i < to; i++) {
        osm_object o;
        sx_arena_reset(&w->scratch);
        sx_status status = osm_dataset_at(b->data, g->kind, g->from + i, &w->scratch, &o, err);
        if (status == SX_OK) {
            finder f = {
                .b = b, .w = w, .c = &g->catches[from / PIECE], .o = &o, .object = g->from + i};
            status = take_object(&f, err);
        }
        if (status != SX_OK)
            return status;
    }
    return SX_OK;
}

/* Moves one list of a catch behind the build's. */
#define MOVE(name, err)                                                                            \
    ((c->name.count == 0 ? SX_OK                                                                   \
      : !sx_grow(&b->name.items, &b->name.cap, b->name.count + c->name.count,                      \
                 sizeof *b->name.items)                                                            \
          ? sx_fail_memory(err, "the places of the data")                                          \
          : (memcpy(b->name.items + b->name.count, c->name.items,                                  \
                    c->name.count * sizeof *c->name.items),                                        \
             b->name.count += c->name.count, SX_OK)))

static sx_status move_catch(bld *b, catch *c, sx_error *err)
{
    plc_report *report = b->report;
    report->without_points += c->without_points;
    report->broken_count += c->broken.count;
    for (size_t i = 0; i < c->broken.count && report->listed < PLC_BROKEN_MAX; i++) {
        if (!report->broken)
            report->broken = sx_calloc(PLC_BROKEN_MAX, sizeof *report->broken);
        if (!report->broken)
            return sx_fail_memory(err, "the report of the import");
        report->broken[report->listed++] = c->broken.items[i];
        c->broken.items[i] = (plc_broken){0};
    }
    sx_status status = bld_places_grow(b, b->places.count + c->places.count, err);
    if (status == SX_OK && c->places.count) {
        memcpy(b->places.items + b->places.count, c->places.items,
               c->places.count * sizeof *c->places.items);
        b->places.count += c->places.count;
    }
    if (status == SX_OK)
        status = MOVE(postcodes_at, err);
    if (status == SX_OK)
        status = MOVE(interpolations, err);
    if (status == SX_OK)
        status = MOVE(entrances, err);
    if (status == SX_OK)
        status = MOVE(street_members, err);
    return status;
}

static void free_catch(catch *c)
{
    for (size_t i = 0; i < c->broken.count; i++) {
        sx_free(c->broken.items[i].name);
        sx_free(c->broken.items[i].text);
    }
    sx_free(c->broken.items);
    sx_free(c->places.items);
    sx_free(c->postcodes_at.items);
    sx_free(c->interpolations.items);
    sx_free(c->entrances.items);
    sx_free(c->street_members.items);
}

/* Some of a kind's objects: what they give is moved before the next are read, so that it is not there
 * twice. */
static sx_status gather_slice(bld *b, osm_kind kind, size_t from, size_t count, sx_error *err)
{
    size_t pieces = (count + PIECE - 1) / PIECE;
    gathering g = {.kind = kind, .from = from, .catches = sx_calloc(pieces + 1, sizeof *g.catches)};
    if (!g.catches)
        return sx_fail_memory(err, "the pieces of the import");
    sx_status status = bld_run(b, count, PIECE, take_piece, &g, err);
    for (size_t i = 0; i < pieces; i++) {
        if (status == SX_OK)
            status = move_catch(b, &g.catches[i], err);
        free_catch(&g.catches[i]);
    }
    sx_free(g.catches);
    return status;
}

static sx_status gather_kind(bld *b, osm_kind kind, sx_error *err)
{
    enum { SLICE = 256 * PIECE };
    size_t count = osm_dataset_count(b->data, kind);
    sx_status status = SX_OK;
    for (size_t from = 0; from < count && status == SX_OK; from += SLICE)
        status = gather_slice(b, kind, from, count - from < SLICE ? count - from : SLICE, err);
    return status;
}

sx_status bld_gather(bld *b, sx_error *err)
{
    sx_status status = gather_kind(b, OSM_NODE, err);
    if (status == SX_OK)
        status = gather_kind(b, OSM_WAY, err);
    if (status == SX_OK)
        status = gather_kind(b, OSM_RELATION, err);
    if (status == SX_OK && b->places.count >= PLC_NONE)
        status = sx_fail(err, SX_ELIMIT, "the data hold more than four thousand million places");
    return status;
}

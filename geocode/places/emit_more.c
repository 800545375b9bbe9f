/* emit_more.c - step 6 of the build, what is beside the places: trees, postcodes, interpolations,
 * entrances.
 *
 * Which tree a place is in: its address rank says so. Areas of rank 4 to 25, and of rank 0 all that are
 * no nodes, are in AREA_TREE; nodes of these ranks in NODE_TREE; 26 and 27 in STREET_TREE, more in POI_TREE.
 * What a boundary has taken over is in none. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/places/build_impl.h"

static plc_section tree_of(const bld_place *p)
{
    if (p->rank_address >= BLD_RANK_CHILD)
        return PLC_S_POI_TREE;
    if (p->rank_address >= BLD_RANK_STREET)
        return PLC_S_STREET_TREE;
    return p->shape.kind == GEO_SHAPE_POINT ? PLC_S_NODE_TREE : PLC_S_AREA_TREE;
}

static sx_status put_tree(bld *b, plc_section section, geo_rtree_item *items, size_t count,
                          sx_error *err)
{
    geo_spool *s = plc_writer_section(b->writer, section);
    if (count == 0)
        return SX_OK;
    sx_status status = geo_rtree_sort(items, (uint32_t)count, err);
    if (status == SX_OK)
        status = geo_rtree_build(items, (uint32_t)count, &s->tail, err);
    return status == SX_OK ? geo_spool_settle(s, plc_section_name(section), err) : status;
}

static sx_status emit_place_trees(bld *b, geo_rtree_item *items, sx_error *err)
{
    static const plc_section TREES[] = {PLC_S_AREA_TREE, PLC_S_NODE_TREE, PLC_S_STREET_TREE,
                                        PLC_S_POI_TREE};
    sx_status status = SX_OK;
    for (size_t t = 0; t < SX_COUNT_OF(TREES) && status == SX_OK; t++) {
        size_t count = 0;
        for (size_t i = 0; i < b->places.count; i++) {
            const bld_place *p = &b->places.items[i];
            if (p->linked == PLC_NONE && !p->is_postcode && tree_of(p) == TREES[t])
                items[count++] = (geo_rtree_item){p->box, p->number};
        }
        status = put_tree(b, TREES[t], items, count, err);
    }
    return status;
}

/* An area of a postcode is an object of the map: it gets a place, though it is in no address. */
sx_status bld_add_postcode_places(bld *b, sx_error *err)
{
    for (size_t i = 0; i < b->postcodes.count; i++) {
        bld_postcode *c = &b->postcodes.items[i];
        c->place = PLC_NONE;
        if (!c->is_area)
            continue;
        osm_tag *tag = sx_arena_alloc(&b->workers[0].arena, sizeof *tag);
        if (!tag)
            return sx_fail_memory(err, "the areas of postcodes");
        sx_status status = bld_places_grow(b, b->places.count + 1, err);
        if (status != SX_OK)
            return status;
        *tag = (osm_tag){SX_STR("postcode"), c->postcode};
        c->place = (uint32_t)b->places.count;
        b->places.items[b->places.count++] = (bld_place){
            .osm_id = c->osm_id,
            .kind = OSM_RELATION,
            .class_name = SX_STR("boundary"),
            .type = SX_STR("postal_code"),
            .address = {tag, 1},
            .shape = c->shape,
            .box = c->box,
            .center = geo_at_of(c->center),
            .parent = c->parent,
            .linked = PLC_NONE,
            .number = PLC_NONE,
            .importance = bld_importance(c->rank_search),
            .postcode = c->postcode,
            .country = c->country,
            .admin_level = 15,
            .rank_search = c->rank_search,
            .is_area = true,
            .is_postcode = true,
        };
    }
    return SX_OK;
}

static sx_status emit_postcodes(bld *b, geo_rtree_item *items, sx_error *err)
{
    geo_spool *s = plc_writer_section(b->writer, PLC_S_POSTCODES);
    sx_status status = SX_OK;
    for (size_t i = 0; i < b->postcodes.count && status == SX_OK; i++) {
        const bld_postcode *c = &b->postcodes.items[i];
        geo_at center = geo_at_of(c->center);
        plc_disk_postcode d = {.parent = bld_number_of(b, c->parent),
                               .place = bld_number_of(b, c->place),
                               .country = c->country,
                               .rank_search = c->rank_search,
                               .lon_e7 = center.lon_e7,
                               .lat_e7 = center.lat_e7,
                               .lon_min = c->box.lon_min,
                               .lat_min = c->box.lat_min,
                               .lon_max = c->box.lon_max,
                               .lat_max = c->box.lat_max};
        status = plc_writer_string(b->writer, c->postcode, &d.postcode, err);
        sx_buf_bytes(&s->tail, &d, sizeof d);
        if (status == SX_OK)
            status = geo_spool_settle(s, "POSTCODES", err);
        items[i] = (geo_rtree_item){c->box, (uint32_t)i};
    }
    b->report->postcodes = b->postcodes.count;
    return status == SX_OK ? put_tree(b, PLC_S_POSTCODE_TREE, items, b->postcodes.count, err)
                           : status;
}

/* A piece and where it comes. */
typedef struct piece_key {
    uint32_t parent, at;
} piece_key;

static int by_parent(const void *a, const void *b)
{
    const piece_key *x = a, *y = b;
    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static sx_status emit_piece(bld *b, const bld_piece *p, sx_error *err)
{
    geo_spool *s = plc_writer_section(b->writer, PLC_S_INTERPOLATIONS);
    plc_disk_interpolation d = {.osm_id = p->osm_id,
                                .parent = bld_number_of(b, p->parent),
                                .first = p->first,
                                .last = p->last,
                                .step = p->step,
                                .lon_min = p->box.lon_min,
                                .lat_min = p->box.lat_min,
                                .lon_max = p->box.lon_max,
                                .lat_max = p->box.lat_max,
                                .country = p->country};
    sx_status status = bld_put_tags(b, NULL, &p->address, NULL, &d.tags, err);
    if (status == SX_OK)
        status = bld_put_shape(b, &p->shape, &d.shape, err);
    if (status == SX_OK)
        status = plc_writer_string(b->writer, p->postcode, &d.postcode, err);
    sx_buf_bytes(&s->tail, &d, sizeof d);
    return status == SX_OK ? geo_spool_settle(s, "INTERPOLATIONS", err) : status;
}

static sx_status emit_interpolations(bld *b, geo_rtree_item *items, sx_error *err)
{
    size_t count = b->pieces.count;
    sx_status status = SX_OK;
    piece_key *keys = sx_calloc(count + 1, sizeof *keys);
    if (!keys)
        return sx_fail_memory(err, "the interpolations");
    for (size_t i = 0; i < count; i++)
        keys[i] = (piece_key){bld_number_of(b, b->pieces.items[i].parent), (uint32_t)i};
    qsort(keys, count, sizeof *keys, by_parent);
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        const bld_piece *p = &b->pieces.items[keys[i].at];
        items[i] = (geo_rtree_item){p->box, (uint32_t)i};
        status = emit_piece(b, p, err);
    }
    sx_free(keys);
    b->report->interpolations = count;
    return status == SX_OK ? put_tree(b, PLC_S_INTERPOLATION_TREE, items, count, err) : status;
}

static bool has_entrances(const bld_place *p)
{
    return p->kind == OSM_WAY && !p->is_postcode &&
           (p->rank_search >= BLD_RANK_CHILD || sx_str_eq(p->class_name, SX_STR("landuse")) ||
            sx_str_eq(p->class_name, SX_STR("leisure")));
}

static const bld_entrance *entrance_at(const bld *b, int64_t node)
{
    size_t low = 0, high = b->entrances.count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (b->entrances.items[mid].node < node)
            low = mid + 1;
        else
            high = mid;
    }
    return low < b->entrances.count && b->entrances.items[low].node == node
               ? &b->entrances.items[low]
               : NULL;
}

static sx_status emit_entrances_of(bld *b, const bld_place *p, sx_error *err)
{
    geo_spool *s = plc_writer_section(b->writer, PLC_S_ENTRANCES);
    const int64_t *refs;
    uint32_t count;
    sx_status status = SX_OK;
    if (!osm_dataset_way(b->data, p->osm_id, &refs, &count))
        return SX_OK;
    if (count > 1 && refs[0] == refs[count - 1])
        count--; /* a node counts once */
    for (uint32_t i = 0; i < count && status == SX_OK; i++) {
        const bld_entrance *e = entrance_at(b, refs[i]);
        if (!e)
            continue;
        plc_disk_entrance d = {
            .osm_id = e->node, .place = p->number, .lon_e7 = e->at.lon_e7, .lat_e7 = e->at.lat_e7};
        status = bld_put_tags(b, NULL, NULL, &e->tags, &d.tags, err);
        if (status == SX_OK)
            status = plc_writer_string(b->writer, e->type, &d.type, err);
        sx_buf_bytes(&s->tail, &d, sizeof d);
        b->report->entrances++;
        if (status == SX_OK)
            status = geo_spool_settle(s, "ENTRANCES", err);
    }
    return status;
}

sx_status bld_emit_more(bld *b, sx_error *err)
{
    size_t most = b->places.count;
    most = b->postcodes.count > most ? b->postcodes.count : most;
    most = b->pieces.count > most ? b->pieces.count : most;
    geo_rtree_item *items = sx_calloc(most + 1, sizeof *items);
    if (!items)
        return sx_fail_memory(err, "the trees of places");
    sx_status status = emit_place_trees(b, items, err);
    if (status == SX_OK)
        status = emit_postcodes(b, items, err);
    if (status == SX_OK)
        status = emit_interpolations(b, items, err);
    for (size_t i = 0; i < b->places.count && status == SX_OK && b->entrances.count; i++) {
        const bld_place *p = &b->places.items[b->order[i]];
        if (has_entrances(p))
            status = emit_entrances_of(b, p, err);
    }
    sx_free(items);
    return status;
}

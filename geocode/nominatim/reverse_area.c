/* reverse_area.c - what a point lies in, where no street or house is near. See reverse.h. */
#include <math.h>

#include "geocode/geometry/measure.h"
#include "geocode/nominatim/reverse_impl.h"
#include "geocode/places/countries.h"

/* Degrees around the point in which other features are looked for. */
#define FEATURES_REACH 0.007

enum { RANK_COUNTRY = 4, RANK_POSTCODE = 5, RANK_NO_AREA = 11 };

sx_status nom_reverse_tree(const plc_index *ix, plc_section section, geo_rtree *out, sx_error *err)
{
    *out = (geo_rtree){0};
    const plc_bytes *s = &ix->s[section];
    return s->bytes ? geo_rtree_open(sx_str_of(s->data, s->bytes), out, err) : SX_OK;
}

static bool has_name(const plc_index *ix, const plc_disk_place *p)
{
    plc_tags it;
    sx_str key, value;
    plc_tags_begin(ix, p->tags, PLC_NAMES, &it);
    return plc_tags_next(&it, &key, &value);
}

/* Part of addresses, and not taken over by another. */
static bool is_address_place(const plc_index *ix, const plc_disk_place *p)
{
    return p->rank_address >= RANK_COUNTRY && p->rank_address <= 25 && !(p->flags & PLC_LINKED) &&
           !sx_str_eq(plc_string(ix, p->type), SX_STR("postcode")) && has_name(ix, p);
}

/* The best so far of a walk through a tree: of the highest rank, then the nearest, then the smallest. */
typedef struct best {
    const nom_reverse *r;
    const plc_disk_place *within; /* only what lies in it; NULL: anything */
    uint16_t country;             /* only of it; 0: of any */
    unsigned rank_more;           /* only of higher ranks */
    uint32_t id;                  /* PLC_NONE: nothing found */
    unsigned rank;
    double distance, size;
} best;

static void offer(best *b, uint32_t id, const plc_disk_place *p, double distance)
{
    double size = ((double)p->lon_max - p->lon_min) * ((double)p->lat_max - p->lat_min);
    bool better = b->id == PLC_NONE || p->rank_search > b->rank ||
                  (p->rank_search == b->rank &&
                   (distance < b->distance || (distance == b->distance && size < b->size)));
    if (!better)
        return;
    b->id = id;
    b->rank = p->rank_search;
    b->distance = distance;
    b->size = size;
}

static bool offer_area(void *context, uint32_t id, geo_box box)
{
    best *b = context;
    const plc_disk_place *p = plc_place(b->r->ix, id);
    (void)box;
    if (!p || !(p->flags & PLC_AREA) || p->rank_search <= RANK_COUNTRY ||
        p->rank_search > b->r->rank_max || p->rank_address == RANK_POSTCODE ||
        p->rank_address == RANK_NO_AREA || (b->id != PLC_NONE && p->rank_search < b->rank) ||
        !is_address_place(b->r->ix, p))
        return true;
    if (geo_bytes_side(plc_shape(b->r->ix, p->shape), b->r->at) == GEO_SIDE_IN)
        offer(b, id, p, 0);
    return true;
}

/* How far from its node a place reaches, by its rank. */
static double reach_of(unsigned rank_search)
{
    static const struct {
        unsigned rank_max;
        double reach;
    } REACHES[] = {{4, 5.0}, {8, 1.8}, {12, 0.6}, {17, 0.16}, {18, 0.08}, {19, 0.04}, {255, 0.02}};
    size_t i = 0;
    while (rank_search > REACHES[i].rank_max)
        i++;
    return REACHES[i].reach;
}

static bool offer_node(void *context, uint32_t id, geo_box box)
{
    best *b = context;
    const nom_reverse *r = b->r;
    const plc_disk_place *p = plc_place(r->ix, id);
    (void)box;
    if (!p || p->osm_kind != 0 || p->rank_search <= b->rank_more || p->rank_search > r->rank_max ||
        (b->country && p->country != b->country) || !is_address_place(r->ix, p))
        return true;
    geo_pt at = geo_pt_of((geo_at){p->lon_e7, p->lat_e7});
    double distance = hypot(at.lon - r->at.lon, at.lat - r->at.lat);
    if (distance < reach_of(p->rank_search) &&
        (!b->within || geo_bytes_side(plc_shape(r->ix, b->within->shape), at) == GEO_SIDE_IN))
        offer(b, id, p, distance);
    return true;
}

/* The nodes around the point that reach it; box queries widen only as far as such ranks reach. */
static sx_status find_node(best *b, sx_error *err)
{
    geo_rtree tree;
    sx_status status = nom_reverse_tree(b->r->ix, PLC_S_NODE_TREE, &tree, err);
    if (status != SX_OK)
        return status;
    geo_box box = geo_box_expand(geo_box_at(geo_at_of(b->r->at)), reach_of(b->rank_more + 1));
    (void)geo_rtree_query(&tree, box, offer_node, b);
    return SX_OK;
}

static sx_status find_address_area(nom_reverse *r, best *area, sx_error *err)
{
    geo_rtree tree;
    *area = (best){.r = r, .id = PLC_NONE};
    sx_status status = nom_reverse_tree(r->ix, PLC_S_AREA_TREE, &tree, err);
    if (status != SX_OK)
        return status;
    (void)geo_rtree_query(&tree, geo_box_at(geo_at_of(r->at)), offer_area, area);
    if (area->id == PLC_NONE || area->rank >= r->rank_max)
        return SX_OK;
    best node = {
        .r = r, .within = plc_place(r->ix, area->id), .rank_more = area->rank, .id = PLC_NONE};
    status = find_node(&node, err);
    if (node.id != PLC_NONE)
        *area = node;
    return status;
}

static bool offer_feature(void *context, uint32_t id, geo_box box)
{
    best *b = context;
    const nom_reverse *r = b->r;
    const plc_disk_place *p = plc_place(r->ix, id);
    (void)box;
    if (!p || p->rank_address != 0 || p->rank_search <= RANK_COUNTRY ||
        p->rank_search > r->rank_max || (p->flags & PLC_LINKED) || !nom_reverse_layer(r, p) ||
        !has_name(r->ix, p))
        return true;
    double distance = nom_reverse_distance(r, p, 2 * FEATURES_REACH, NULL);
    bool meets = (p->flags & PLC_AREA)
                     ? geo_bytes_side(plc_shape(r->ix, p->shape), r->at) == GEO_SIDE_IN
                     : distance >= 0;
    if (meets)
        offer(b, id, p, distance);
    return true;
}

static sx_status find_feature(nom_reverse *r, best *out, sx_error *err)
{
    static const plc_section TREES[] = {PLC_S_AREA_TREE, PLC_S_NODE_TREE, PLC_S_STREET_TREE,
                                        PLC_S_POI_TREE};
    geo_box box = geo_box_expand(geo_box_at(geo_at_of(r->at)), FEATURES_REACH);
    sx_status status = SX_OK;
    *out = (best){.r = r, .id = PLC_NONE};
    for (size_t i = 0; status == SX_OK && i < SX_COUNT_OF(TREES); i++) {
        geo_rtree tree;
        status = nom_reverse_tree(r->ix, TREES[i], &tree, err);
        if (status == SX_OK)
            (void)geo_rtree_query(&tree, box, offer_feature, out);
    }
    return status;
}

sx_status nom_reverse_area(nom_reverse *r, nom_hit *out, bool *found, sx_error *err)
{
    best area = {.id = PLC_NONE}, feature = {.id = PLC_NONE};
    sx_status status = SX_OK;
    if (r->layers & NOM_LAYER_ADDRESS)
        status = find_address_area(r, &area, err);
    if (status == SX_OK && (r->layers & NOM_LAYERS_FEATURES))
        status = find_feature(r, &feature, err);
    if (status != SX_OK)
        return status;
    const best *b = area.id == PLC_NONE                                          ? &feature
                    : feature.id != PLC_NONE && feature.distance < area.distance ? &feature
                                                                                 : &area;
    *found = b->id != PLC_NONE;
    if (*found)
        nom_reverse_hit(r, b->id, b->distance, out);
    return SX_OK;
}

/* A country's own boundary, if the data have it. Ids go by rank, so it is among the first. */
static uint32_t boundary_of(const plc_index *ix, uint16_t country)
{
    for (uint32_t i = 0; i < ix->place_count && ix->places[i].rank_search <= RANK_COUNTRY; i++) {
        const plc_disk_place *p = &ix->places[i];
        if (p->country == country && p->rank_address == RANK_COUNTRY &&
            p->rank_search == RANK_COUNTRY && !(p->flags & PLC_LINKED))
            return i;
    }
    return PLC_NONE;
}

sx_status nom_reverse_country(nom_reverse *r, nom_hit *out, bool *found, sx_error *err)
{
    geo_at at = geo_at_of(r->at);
    uint16_t country = plc_country_at(at.lon_e7, at.lat_e7);
    if (country == 0)
        return SX_OK;
    best node = {.r = r, .country = country, .rank_more = RANK_COUNTRY, .id = PLC_NONE};
    sx_status status = r->rank_max > RANK_COUNTRY ? find_node(&node, err) : SX_OK;
    if (status != SX_OK)
        return status;
    *found = true;
    uint32_t id = node.id != PLC_NONE ? node.id : boundary_of(r->ix, country);
    if (id != PLC_NONE) {
        nom_reverse_hit(r, id, node.id != PLC_NONE ? node.distance : 0, out);
        return SX_OK;
    }
    plc_country_extent extent = plc_country_extent_of(country);
    *out = (nom_hit){.source = NOM_COUNTRY,
                     .id = country,
                     .at = {extent.lon_e7, extent.lat_e7},
                     .box = {extent.lon_min, extent.lat_min, extent.lon_max, extent.lat_max}};
    return SX_OK;
}

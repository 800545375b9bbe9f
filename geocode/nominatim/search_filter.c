/* search_filter.c - conditions that a search puts on places; see search_impl.h. */
#include <math.h>

#include "geocode/geometry/measure.h"
#include "geocode/nominatim/search_impl.h"

enum { RANK_POI = 30 };

#define IMPORTANCE_NOISE 1e-6
#define NEARNESS_WEIGHT  0.3
#define NEARNESS_HALF    0.25 /* degrees */

bool nom_in_countries(const nom_choices *countries, uint16_t country)
{
    for (uint32_t i = 0; i < countries->count; i++)
        if (countries->items[i].country == country)
            return true;
    return false;
}

bool nom_has_category(const nom_run *run, const nom_choices *categories, const plc_disk_place *p)
{
    sx_str class_name = plc_string(run->ix->places, p->class_name);
    sx_str type = plc_string(run->ix->places, p->type);
    for (uint32_t i = 0; i < categories->count; i++)
        if (sx_str_eq(categories->items[i].class_name, class_name) &&
            (categories->items[i].type.len == 0 || sx_str_eq(categories->items[i].type, type)))
            return true;
    return false;
}

/* A house with a number or a name of its own. */
static bool is_address_point(const nom_run *run, const plc_disk_place *p)
{
    const plc_index *ix = run->ix->places;
    if (p->rank_address != RANK_POI ||
        plc_tag(ix, p->tags, PLC_ADDRESS, SX_STR("_inherited")).len > 0)
        return false;
    return p->housenumber != 0 || plc_tag(ix, p->tags, PLC_NAMES, SX_STR("addr:housename")).len > 0;
}

bool nom_in_layers(const nom_run *run, const plc_disk_place *p, uint32_t place)
{
    (void)place;
    uint32_t layers = run->details.layers;
    sx_str class_name = plc_string(run->ix->places, p->class_name);
    unsigned rank = p->rank_address;
    if ((layers & NOM_LAYER_ADDRESS) && (layers & NOM_LAYER_POI)) {
        if (rank >= 1)
            return true;
    } else if (layers & NOM_LAYER_ADDRESS) {
        if ((rank >= 1 && rank < RANK_POI) || is_address_point(run, p))
            return true;
    } else if (layers & NOM_LAYER_POI) {
        if (rank == RANK_POI && !sx_str_eq(class_name, SX_STR("place")) &&
            !sx_str_eq(class_name, SX_STR("building")))
            return true;
    }
    if (rank != 0)
        return false;
    bool railway = sx_str_eq(class_name, SX_STR("railway"));
    bool natural = sx_str_eq(class_name, SX_STR("natural")) ||
                   sx_str_eq(class_name, SX_STR("water")) ||
                   sx_str_eq(class_name, SX_STR("waterway"));
    if (layers & NOM_LAYER_MANMADE)
        return !(railway && !(layers & NOM_LAYER_RAILWAY)) &&
               !(natural && !(layers & NOM_LAYER_NATURAL));
    return (railway && (layers & NOM_LAYER_RAILWAY)) || (natural && (layers & NOM_LAYER_NATURAL));
}

bool nom_is_excluded(const nom_run *run, nom_source source, uint32_t id)
{
    const nom_search_query *q = run->details.query;
    nom_hit hit = {.source = source, .id = id};
    uint64_t wanted = nom_place_id(&hit);
    for (uint32_t i = 0; i < q->excluded_count; i++)
        if (q->excluded[i] == wanted)
            return true;
    if (q->excluded_object_count == 0)
        return false;
    const plc_disk_place *p = NULL;
    if (source == NOM_PLACE) {
        p = plc_place(run->ix->places, id);
    } else if (source == NOM_POSTCODE) {
        uint32_t count;
        const plc_disk_postcode *postcodes = plc_postcodes(run->ix->places, &count);
        p = id < count ? plc_place(run->ix->places, postcodes[id].place) : NULL;
    }
    for (uint32_t i = 0; i < q->excluded_object_count && p; i++)
        if (q->excluded_objects[i] == plc_osm_object(p->osm_kind, p->osm_id))
            return true;
    return false;
}

double nom_degrees_between(geo_at a, geo_pt b)
{
    geo_pt p = geo_pt_of(a);
    return hypot(p.lon - b.lon, p.lat - b.lat);
}

/* Within the radius of the point asked for by its shape, and in the viewbox, if that is a bound, by its
 * box: so the peer has it too. */
bool nom_in_area(const nom_run *run, const plc_disk_place *p, geo_box box)
{
    const nom_details *d = &run->details;
    if (d->has_viewbox && d->bounded && !geo_box_meets(box, d->viewbox))
        return false;
    if (!d->has_near || d->near_radius < 0)
        return true;
    if (geo_box_distance(box, d->near) > d->near_radius)
        return false;
    bool point = box.lon_min == box.lon_max && box.lat_min == box.lat_max;
    sx_str shape = p && !point && (p->flags & PLC_HAS_SHAPE) ? plc_shape(run->ix->places, p->shape)
                                                             : sx_str_of("", 0);
    return shape.len == 0 ||
           geo_bytes_distance(shape, d->near, d->near_radius, NULL) <= d->near_radius;
}

double nom_viewbox_penalty(const nom_run *run, geo_box box)
{
    const nom_details *d = &run->details;
    if (!d->has_viewbox || d->bounded || geo_box_meets(box, d->viewbox))
        return 0;
    return geo_box_meets(box, d->viewbox2) ? 0.5 : 1.0;
}

/* A wish for what is near: nothing at the point, half of it at NEARNESS_HALF, all of it far away. */
double nom_bias_penalty(const nom_run *run, geo_at at)
{
    const nom_search_query *q = run->details.query;
    if (!q->has_near)
        return 0;
    double scale = q->near_scale > 0 ? q->near_scale : NEARNESS_WEIGHT;
    double distance = nom_degrees_between(at, geo_pt_of(q->near));
    return scale * distance / (distance + NEARNESS_HALF);
}

geo_box nom_place_box(const plc_disk_place *p)
{
    return (geo_box){p->lon_min, p->lat_min, p->lon_max, p->lat_max};
}

void nom_found_put(nom_run *run, nom_founds *out, nom_found found)
{
    if (out->count == NOM_FOUND_MAX)
        return;
    if (!sx_arena_grow(&run->s->arena, &out->items, &out->cap, out->count + 1, sizeof(found)))
        run->failed = true;
    else
        out->items[out->count++] = found;
}

static double area_of(geo_box box)
{
    return ((double)box.lon_max - box.lon_min) / GEO_E7 *
           (((double)box.lat_max - box.lat_min) / GEO_E7);
}

/* The importance that follows from the rank is exact where the index keeps it in single precision. */
double nom_importance_of(const plc_disk_place *p)
{
    double by_rank = nom_rank_importance(p->rank_search), kept = (double)p->importance;
    return fabs(kept - by_rank) < IMPORTANCE_NOISE ? by_rank : kept;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* Where the middle of a place's box lies on a Hilbert curve over all of the globe. osm2pgsql sorts its tables
 * by PostGIS's order of geometries, which is this one (degrees scaled into [1, 2), the bits of single
 * precision taken as they are), so equal results come in this order from the peer. */
uint64_t nom_order_of(const plc_disk_place *p)
{
    float lon = (float)(((double)p->lon_min + p->lon_max) / 2 / GEO_E7);
    float lat = (float)(((double)p->lat_min + p->lat_max) / 2 / GEO_E7);
    uint32_t x = bits_of((float)(1.5 + (double)lat / 256)),
             y = bits_of((float)(1.5 + (double)lon / 512));
    uint64_t order = 0;
    for (int bit = 31; bit >= 0; bit--) {
        uint32_t rx = x >> bit & 1, ry = y >> bit & 1;
        order = order << 2 | ((3 * rx) ^ ry);
        if (ry == 0) {
            uint32_t swap = rx ? ~y : y;
            y = rx ? ~x : x;
            x = swap;
        }
    }
    return order;
}

nom_found nom_found_place(const nom_run *run, uint32_t place, double penalty)
{
    const plc_disk_place *p = run->ix->places->places + place;
    nom_found f = {.penalty = penalty,
                   .importance = nom_importance_of(p),
                   .rank_search = p->rank_search,
                   .rank_address = p->rank_address,
                   .country = p->country};
    f.hit = (nom_hit){.source = NOM_PLACE,
                      .id = place,
                      .at = nom_place_at(p),
                      .box = nom_place_box(p),
                      .importance = nom_importance_of(p)};
    if (p->importance <= 0) /* of a line or an area it may be unknown */
        f.hit.importance = nom_rank_importance(p->rank_search);
    f.box_area = area_of(f.hit.box);
    if (run->details.has_near) {
        f.importance = -nom_degrees_between(f.hit.at, run->details.near);
        if (f.importance > -1e-12)
            f.importance = 0;
        else
            f.hit.importance = f.importance;
    }
    return f;
}

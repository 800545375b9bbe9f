/* reverse.c - see reverse.h. Streets, houses and points of interest; areas are in reverse_area.c. */
#include "geocode/nominatim/reverse.h"

#include <math.h>
#include <stdlib.h>

#include "geocode/geometry/measure.h"
#include "geocode/geometry/rtree.h"
#include "geocode/nominatim/reverse_impl.h"

/* Degrees. */
#define REACH       0.006 /* of a street, house or point of interest */
#define NEARLY_SAME 0.001 /* what lies that little further than the nearest may be meant */

enum { CANDIDATES_MAX = 8192, RANK_STREET_MAX = 27, RANK_HOUSE = 30 };

uint8_t nom_zoom_rank(int64_t zoom)
{
    static const uint8_t RANKS[] = {2,  2,  2,  4,  4,  8,  10, 10, 12, 12,
                                    16, 17, 18, 19, 22, 25, 26, 27, 30};
    int64_t last = (int64_t)SX_COUNT_OF(RANKS) - 1;
    return RANKS[zoom < 0 ? 0 : zoom > last ? last : zoom];
}

bool nom_reverse_layer(const nom_reverse *r, const plc_disk_place *p)
{
    static const struct {
        sx_str class_name;
        uint32_t layer;
    } OWN[] = {
        {SX_STR_INIT("railway"), NOM_LAYER_RAILWAY},
        {SX_STR_INIT("natural"), NOM_LAYER_NATURAL},
        {SX_STR_INIT("water"), NOM_LAYER_NATURAL},
        {SX_STR_INIT("waterway"), NOM_LAYER_NATURAL},
    };
    sx_str class_name = plc_string(r->ix, p->class_name);
    for (size_t i = 0; i < SX_COUNT_OF(OWN); i++) {
        if (sx_str_eq(class_name, OWN[i].class_name))
            return r->layers & OWN[i].layer;
    }
    return r->layers & NOM_LAYER_MANMADE;
}

double nom_reverse_distance(const nom_reverse *r, const plc_disk_place *p, double most,
                            geo_pt *nearest)
{
    if (p->flags & PLC_HAS_SHAPE)
        return geo_bytes_distance(plc_shape(r->ix, p->shape), r->at, most, nearest);
    geo_pt own = geo_pt_of((geo_at){p->lon_e7, p->lat_e7});
    if (nearest)
        *nearest = own;
    return hypot(own.lon - r->at.lon, own.lat - r->at.lat);
}

static bool is_address_point(const nom_reverse *r, const plc_disk_place *p)
{
    return p->rank_address == RANK_HOUSE &&
           (p->housenumber != 0 ||
            plc_tag(r->ix, p->tags, PLC_NAMES, SX_STR("addr:housename")).len > 0);
}

static bool is_line(const plc_disk_place *p)
{
    return (p->flags & PLC_HAS_SHAPE) && !(p->flags & PLC_AREA);
}

static bool is_point_of_interest(const nom_reverse *r, const plc_disk_place *p)
{
    if (p->rank_search != RANK_HOUSE || is_line(p))
        return false;
    sx_str class_name = plc_string(r->ix, p->class_name);
    return !sx_str_eq(class_name, SX_STR("place")) && !sx_str_eq(class_name, SX_STR("building"));
}

/* Whether a place is of the kinds that are asked for. */
static bool is_wanted(const nom_reverse *r, const plc_disk_place *p)
{
    uint32_t rank_max = r->rank_max < 29 ? r->rank_max : 29;
    if (p->flags & PLC_LINKED)
        return false;
    if ((r->layers & NOM_LAYER_ADDRESS) &&
        ((p->rank_address >= 26 && p->rank_address <= rank_max) ||
         (r->rank_max == RANK_HOUSE && is_address_point(r, p))))
        return true;
    if ((r->layers & NOM_LAYER_POI) && r->rank_max == RANK_HOUSE && is_point_of_interest(r, p))
        return true;
    return (r->layers & NOM_LAYERS_FEATURES) && p->rank_address == 0 && p->rank_search >= 26 &&
           p->rank_search <= r->rank_max && nom_reverse_layer(r, p);
}

/* Large areas are no answer to those at their edge. */
static bool is_near(const nom_reverse *r, const plc_disk_place *p)
{
    if (!(p->flags & PLC_AREA))
        return true;
    geo_pt center = geo_pt_of((geo_at){p->lon_e7, p->lat_e7});
    return hypot(center.lon - r->at.lon, center.lat - r->at.lat) < REACH + NEARLY_SAME;
}

static double exact_distance(void *context, uint32_t id, geo_box box)
{
    const nom_reverse *r = context;
    const plc_disk_place *p = plc_place(r->ix, id);
    (void)box;
    if (!p || !is_wanted(r, p) || !is_near(r, p))
        return INFINITY;
    double distance = nom_reverse_distance(r, p, REACH + NEARLY_SAME, NULL);
    return distance < 0 ? INFINITY : distance;
}

/* --- Candidates: what lies hardly further than the nearest. */

typedef struct candidate {
    uint32_t id;
    double distance;
    geo_pt nearest; /* on the shape */
} candidate;

typedef struct candidates {
    const nom_reverse *r;
    candidate *items;
    uint32_t count;
    double most;
} candidates;

static bool add_candidate(void *context, uint32_t id, geo_box box)
{
    candidates *c = context;
    const plc_disk_place *p = plc_place(c->r->ix, id);
    (void)box;
    if (!p || !is_wanted(c->r, p) || !is_near(c->r, p))
        return true;
    candidate *item = &c->items[c->count];
    *item = (candidate){.id = id};
    item->distance = nom_reverse_distance(c->r, p, c->most, &item->nearest);
    if (item->distance >= 0 && item->distance < c->most)
        c->count++;
    return c->count < CANDIDATES_MAX;
}

static int by_distance(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static sx_status collect(nom_reverse *r, candidates *out, sx_error *err)
{
    static const plc_section TREES[] = {PLC_S_STREET_TREE, PLC_S_POI_TREE};
    geo_rtree trees[SX_COUNT_OF(TREES)];
    double least = REACH + NEARLY_SAME;
    bool any = false;
    for (size_t i = 0; i < SX_COUNT_OF(TREES); i++) {
        geo_rtree_hit hit;
        sx_status status = nom_reverse_tree(r->ix, TREES[i], &trees[i], err);
        if (status != SX_OK)
            return status;
        if (geo_rtree_nearest(&trees[i], r->at, least, exact_distance, r, &hit)) {
            least = hit.distance;
            any = true;
        }
    }
    if (!any)
        return SX_OK;
    out->items = sx_arena_alloc(r->arena, CANDIDATES_MAX * sizeof(candidate));
    if (!out->items)
        return sx_fail_memory(err, "the places at a point");
    out->most = least + NEARLY_SAME;
    geo_box box = geo_box_expand(geo_box_at(geo_at_of(r->at)), out->most);
    for (size_t i = 0; i < SX_COUNT_OF(TREES) && out->count < CANDIDATES_MAX; i++)
        (void)geo_rtree_query(&trees[i], box, add_candidate, out);
    if (out->count > 1)
        qsort(out->items, out->count, sizeof(candidate), by_distance);
    return SX_OK;
}

/* --- Which of them is meant. */

typedef struct choice {
    const candidate *best;
    const plc_disk_place *place;
    uint32_t street; /* the street found, whose houses may be meant; PLC_NONE */
    double reach;    /* how far an interpolation may be to be meant instead */
} choice;

/* The area that the point lies in, of the nearest ones the smallest: points in it may be meant. */
static const plc_disk_place *area_hit(const nom_reverse *r, const candidates *c)
{
    const plc_disk_place *best = NULL;
    double best_size = INFINITY;
    for (uint32_t i = 0; i < c->count && c->items[i].distance == c->items[0].distance; i++) {
        const plc_disk_place *p = plc_place(r->ix, c->items[i].id);
        double size = (p->flags & PLC_AREA)
                          ? ((double)p->lon_max - p->lon_min) * ((double)p->lat_max - p->lat_min)
                          : 0;
        if (size < best_size) {
            best_size = size;
            best = p;
        }
    }
    bool area = best && best->rank_search > RANK_STREET_MAX && best->osm_kind != 0;
    return area ? best : NULL;
}

static bool same_number(const nom_reverse *r, const plc_disk_place *a, const plc_disk_place *b)
{
    return sx_str_eq(plc_string(r->ix, a->housenumber), plc_string(r->ix, b->housenumber));
}

static bool lies_in(const nom_reverse *r, const plc_disk_place *point, const plc_disk_place *area)
{
    if (point->rank_search <= RANK_STREET_MAX || point->osm_kind != 0 ||
        !(area->flags & PLC_HAS_SHAPE))
        return false;
    return geo_bytes_distance(plc_shape(r->ix, area->shape),
                              geo_pt_of((geo_at){point->lon_e7, point->lat_e7}), 0, NULL) == 0;
}

/* A house number of the street found, as near as may be to where the street is nearest. */
static void refine_to_house(const nom_reverse *r, const candidates *c, choice *chosen)
{
    geo_pt on_street = c->items[0].nearest;
    double least = NEARLY_SAME;
    for (uint32_t i = 1; i < c->count; i++) {
        const plc_disk_place *p = plc_place(r->ix, c->items[i].id);
        if (p->housenumber == 0 || p->parent != chosen->street)
            continue;
        geo_pt center =
            is_line(p) ? c->items[i].nearest : geo_pt_of((geo_at){p->lon_e7, p->lat_e7});
        double distance = hypot(center.lon - on_street.lon, center.lat - on_street.lat);
        if (distance < least) {
            least = distance;
            chosen->best = &c->items[i];
            chosen->place = p;
            chosen->reach = c->items[i].distance;
        }
    }
}

/* A point of interest within the building that the point lies in, unless it has another number. */
static void refine_to_point(const nom_reverse *r, const candidates *c, choice *chosen)
{
    const plc_disk_place *area = area_hit(r, c);
    if (!area || chosen->place->osm_kind == 0 || chosen->place->rank_search <= RANK_STREET_MAX ||
        chosen->best->distance != 0)
        return;
    for (uint32_t i = 1; i < c->count; i++) {
        const plc_disk_place *p = plc_place(r->ix, c->items[i].id);
        if (lies_in(r, p, area) &&
            (chosen->place->housenumber == 0 || same_number(r, chosen->place, p))) {
            chosen->best = &c->items[i];
            chosen->place = p;
            return;
        }
    }
}

static choice choose(const nom_reverse *r, const candidates *c)
{
    choice chosen = {.street = PLC_NONE, .reach = REACH};
    if (c->count == 0)
        return chosen;
    chosen.best = &c->items[0];
    chosen.place = plc_place(r->ix, chosen.best->id);
    bool street = r->rank_max > RANK_STREET_MAX && (r->layers & NOM_LAYER_ADDRESS) &&
                  chosen.place->rank_address <= RANK_STREET_MAX;
    chosen.reach = street ? NEARLY_SAME : chosen.best->distance;
    if (street) {
        chosen.street = chosen.best->id;
        refine_to_house(r, c, &chosen);
    }
    refine_to_point(r, c, &chosen);
    return chosen;
}

/* --- Interpolations. */

typedef struct line_search {
    const nom_reverse *r;
    const plc_disk_interpolation *rows;
    uint64_t count;
    uint32_t street; /* PLC_NONE: any */
} line_search;

static double line_distance(void *context, uint32_t id, geo_box box)
{
    const line_search *s = context;
    (void)box;
    if (id >= s->count || (s->street != PLC_NONE && s->rows[id].parent != s->street))
        return INFINITY;
    double distance =
        geo_bytes_distance(plc_shape(s->r->ix, s->rows[id].shape), s->r->at, REACH, NULL);
    return distance < 0 ? INFINITY : distance;
}

/* The number on the line nearest to the point, and where it is. */
static sx_status number_on_line(nom_reverse *r, const plc_disk_interpolation *i, nom_hit *out,
                                sx_error *err)
{
    geo_shape shape;
    sx_str bytes = plc_shape(r->ix, i->shape);
    geo_cursor c = geo_cursor_at((const uint8_t *)bytes.data, bytes.len, 0);
    sx_status status = geo_shape_decode(&c, r->arena, (geo_shape_limits){0}, &shape, err);
    if (status != SX_OK)
        return status;
    double span = (double)i->last - i->first;
    geo_pt at = geo_pt_of(shape.rings[0].at[0]);
    int32_t number = i->first;
    if (geo_shape_is_line(shape.kind) && span > 0) {
        double steps = rint(geo_line_fraction(&shape.rings[0], r->at) * span / i->step);
        number = i->first + (int32_t)steps * i->step;
        at = geo_line_point(&shape.rings[0], steps * i->step / span);
    } else if (geo_shape_is_line(shape.kind)) {
        at = geo_shape_centroid(&shape);
    }
    out->number = (uint32_t)number;
    out->at = geo_at_of(at);
    return SX_OK;
}

static sx_status find_interpolation(nom_reverse *r, uint32_t street, double reach, nom_hit *out,
                                    bool *found, sx_error *err)
{
    const plc_bytes *s = &r->ix->s[PLC_S_INTERPOLATIONS];
    line_search search = {r, (const void *)s->data, s->count, street};
    geo_rtree tree;
    geo_rtree_hit hit;
    sx_status status = nom_reverse_tree(r->ix, PLC_S_INTERPOLATION_TREE, &tree, err);
    if (status != SX_OK || !geo_rtree_nearest(&tree, r->at, reach, line_distance, &search, &hit))
        return status;
    *out = (nom_hit){.source = NOM_INTERPOLATION, .id = hit.id, .distance = hit.distance};
    *found = true;
    return number_on_line(r, &search.rows[hit.id], out, err);
}

void nom_reverse_hit(const nom_reverse *r, uint32_t id, double distance, nom_hit *out)
{
    const plc_disk_place *p = plc_place(r->ix, id);
    *out = (nom_hit){.source = NOM_PLACE,
                     .id = id,
                     .at = {p->lon_e7, p->lat_e7},
                     .box = {p->lon_min, p->lat_min, p->lon_max, p->lat_max},
                     .distance = distance};
}

static sx_status find_street_or_house(nom_reverse *r, nom_hit *out, bool *found, sx_error *err)
{
    candidates c = {.r = r};
    sx_status status = collect(r, &c, err);
    if (status != SX_OK)
        return status;
    choice chosen = choose(r, &c);
    if (r->rank_max > RANK_STREET_MAX && (r->layers & NOM_LAYER_ADDRESS) && chosen.reach > 0)
        status = find_interpolation(r, chosen.street, chosen.reach, out, found, err);
    if (status != SX_OK || *found || !chosen.best)
        return status;
    nom_reverse_hit(r, chosen.best->id, chosen.best->distance, out);
    if (is_line(chosen.place))
        out->at = geo_at_of(chosen.best->nearest);
    *found = true;
    return SX_OK;
}

sx_status nom_reverse_find(const plc_index *ix, const nom_reverse_query *q, sx_arena *arena,
                           nom_hit *out, bool *found, sx_error *err)
{
    nom_reverse r = {.ix = ix,
                     .arena = arena,
                     .at = q->at,
                     .rank_max = q->rank_max,
                     .layers = q->layers ? q->layers : NOM_LAYER_ADDRESS | NOM_LAYER_POI};
    sx_status status = SX_OK;
    *found = false;
    if (r.rank_max >= 26)
        status = find_street_or_house(&r, out, found, err);
    if (status == SX_OK && !*found && r.rank_max > 4)
        status = nom_reverse_area(&r, out, found, err);
    if (status == SX_OK && !*found && (r.layers & NOM_LAYER_ADDRESS))
        status = nom_reverse_country(&r, out, found, err);
    return status;
}

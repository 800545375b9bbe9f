/* search_kinds.c - countries, postcodes and categories; see search_impl.h. */
#include <math.h>
#include <stdlib.h>

#include "geocode/geometry/measure.h"
#include "geocode/nominatim/search_impl.h"
#include "geocode/places/countries.h"

enum { RANK_COUNTRY = 4, RANK_POSTCODE = 5, RANK_STREETS = 26, RANK_POI = 30 };

enum { NEAR_STEPS = 8 }; /* in which a country is looked for around a point, to each side */

/* Degrees around a place in which a category is looked for: of those that phrases know, and of others. */
#define NEAR_KNOWN   0.05
#define NEAR_UNKNOWN 0.01
/* A point with a smaller radius around it is searched for any category. */
#define RADIUS_SMALL 0.2
/* Places larger than this many square degrees are no place to be near to. */
#define AREA_MAX 20.0

static double choice_penalty(const nom_choices *countries, uint16_t country)
{
    for (uint32_t i = 0; i < countries->count; i++)
        if (countries->items[i].country == country)
            return countries->items[i].penalty;
    return 5.0;
}

/* --- Countries. */

/* Whether a country is within the radius of the point asked for, by built-in borders: looked up at the
 * point and at steps around it. */
static bool is_country_near(const nom_details *d, uint16_t country)
{
    if (!d->has_near || d->near_radius < 0)
        return true;
    for (int y = -NEAR_STEPS; y <= NEAR_STEPS; y++)
        for (int x = -NEAR_STEPS; x <= NEAR_STEPS; x++) {
            geo_at at = geo_at_of((geo_pt){d->near.lon + d->near_radius * x / NEAR_STEPS,
                                           d->near.lat + d->near_radius * y / NEAR_STEPS});
            if (x * x + y * y <= NEAR_STEPS * NEAR_STEPS &&
                plc_country_at(at.lon_e7, at.lat_e7) == country)
                return true;
        }
    return false;
}

static void put_built_in(nom_run *run, const nom_plan *plan, nom_founds *out)
{
    const nom_search_query *q = run->details.query;
    if (q->excluded_count || q->excluded_object_count)
        return;
    for (uint32_t i = 0; i < plan->countries.count; i++) {
        uint16_t country = plan->countries.items[i].country;
        plc_country_extent e = plc_country_extent_of(country);
        geo_box box = {e.lon_min, e.lat_min, e.lon_max, e.lat_max};
        geo_at at = {e.lon_e7, e.lat_e7};
        if ((box.lon_min == 0 && box.lon_max == 0) || !nom_in_area(run, NULL, box) ||
            !is_country_near(&run->details, country))
            continue;
        nom_found f = {.penalty = plan->penalty + plan->countries.items[i].penalty,
                       .rank_search = RANK_COUNTRY,
                       .rank_address = RANK_COUNTRY,
                       .country = country};
        f.hit = (nom_hit){.source = NOM_COUNTRY,
                          .id = country,
                          .at = at,
                          .box = box,
                          .importance = nom_rank_importance(RANK_COUNTRY)};
        f.box_area = ((double)box.lon_max - box.lon_min) / GEO_E7 *
                     (((double)box.lat_max - box.lat_min) / GEO_E7);
        nom_found_put(run, out, f);
    }
}

void nom_run_countries(nom_run *run, const nom_plan *plan, nom_founds *out)
{
    const plc_index *ix = run->ix->places;
    nom_details *d = &run->details;
    size_t before = out->count;
    for (uint32_t i = 0; i < ix->place_count && ix->places[i].rank_search <= RANK_COUNTRY; i++) {
        const plc_disk_place *p = ix->places + i;
        if (p->rank_address == RANK_COUNTRY && nom_in_countries(&plan->countries, p->country) &&
            !nom_is_excluded(run, NOM_PLACE, i) && nom_in_area(run, p, nom_place_box(p)))
            nom_found_put(
                run, out,
                nom_found_place(run, i,
                                plan->penalty + choice_penalty(&plan->countries, p->country)));
    }
    if (out->count == before)
        put_built_in(run, plan, out);
    if (out->count > before) { /* what comes after is no country and no house */
        d->rank_min = d->rank_max < 5 ? d->rank_max : 5;
        d->rank_max = d->rank_max < 25 ? d->rank_max : 25;
    }
}

/* --- Postcodes. */

static bool parent_fits(nom_run *run, const nom_plan *plan, uint32_t parent)
{
    if (plan->address_all.count == 0)
        return true;
    if (!nom_has_row(run->w, parent))
        return false;
    for (uint32_t i = 0; i < plan->address_all.count; i++) {
        uint32_t token = plan->address_all.items[i];
        if (!nom_row_has(run->w, parent, token) && !nom_address_has(run, parent, token))
            return false;
    }
    return true;
}

static int by_penalty(const void *a, const void *b)
{
    const nom_found *x = a, *y = b;
    if (x->hit.distance != y->hit.distance)
        return x->hit.distance < y->hit.distance ? -1 : 1;
    if (x->penalty != y->penalty)
        return x->penalty < y->penalty ? -1 : 1;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return (x->hit.id > y->hit.id) - (x->hit.id < y->hit.id);
}

static void put_sorted(nom_run *run, nom_founds *from, nom_founds *out)
{
    if (from->count)
        qsort(from->items, from->count, sizeof(nom_found), by_penalty);
    for (size_t i = 0; i < from->count && i < run->details.limit; i++)
        nom_found_put(run, out, from->items[i]);
}

void nom_run_postcodes(nom_run *run, const nom_plan *plan, nom_founds *out)
{
    const plc_index *ix = run->ix->places;
    uint32_t count;
    const plc_disk_postcode *rows = plc_postcodes(ix, &count);
    nom_founds found = {0};
    for (uint32_t i = 0; i < count; i++) {
        const plc_disk_postcode *p = &rows[i];
        sx_str text = plc_string(ix, p->postcode);
        uint32_t which = 0;
        while (which < plan->postcodes.count && !sx_str_eq(plan->postcodes.items[which].text, text))
            which++;
        geo_box box = {p->lon_min, p->lat_min, p->lon_max, p->lat_max};
        geo_at at = {p->lon_e7, p->lat_e7};
        if (which == plan->postcodes.count || !nom_in_area(run, plc_place(ix, p->place), box) ||
            (plan->countries.count && !nom_in_countries(&plan->countries, p->country)) ||
            nom_is_excluded(run, NOM_POSTCODE, i) || !parent_fits(run, plan, p->parent))
            continue;
        nom_found f = {
            .rank_search = p->rank_search, .rank_address = RANK_POSTCODE, .country = p->country};
        f.penalty =
            plan->penalty + nom_viewbox_penalty(run, box) + plan->postcodes.items[which].penalty;
        f.hit = (nom_hit){.source = NOM_POSTCODE,
                          .id = i,
                          .at = at,
                          .box = box,
                          .importance = nom_rank_importance(p->rank_search)};
        f.box_area = ((double)box.lon_max - box.lon_min) / GEO_E7 *
                     (((double)box.lat_max - box.lat_min) / GEO_E7);
        if (run->details.has_near)
            f.hit.distance = nom_degrees_between(at, run->details.near);
        nom_found_put(run, &found, f);
    }
    put_sorted(run, &found, out);
}

/* --- Categories. */

/* Whether special phrases know it: only such categories can be searched for widely. */
static bool is_known(const nom_run *run, const nom_weighted *c)
{
    sx_str class_name, type;
    for (uint32_t i = 0; i < run->w->category_count; i++)
        if (nom_category_of(run->w, i, &class_name, &type) &&
            sx_str_eq(class_name, c->class_name) && sx_str_eq(type, c->type))
            return true;
    return false;
}

void nom_run_pois(nom_run *run, const nom_plan *plan, nom_founds *out)
{
    const nom_details *d = &run->details;
    const plc_index *ix = run->ix->places;
    bool small = d->has_near && d->near_radius >= 0 && d->near_radius < RADIUS_SMALL;
    nom_founds all = {0};
    for (uint32_t c = 0; c < plan->qualifiers.count; c++) {
        const nom_weighted *q = &plan->qualifiers.items[c];
        uint32_t count;
        const uint32_t *places = plc_category(ix, q->class_name, q->type, &count);
        nom_founds found = {0};
        if (!small && !is_known(run, q))
            continue;
        for (uint32_t i = 0; i < count && places; i++) {
            const plc_disk_place *p = plc_place(ix, places[i]);
            if (!p || (plan->countries.count && !nom_in_countries(&plan->countries, p->country)) ||
                nom_is_excluded(run, NOM_PLACE, places[i]) || (small && (p->flags & PLC_LINKED)))
                continue;
            geo_box box = small ? nom_place_box(p) : geo_box_at(nom_place_at(p));
            if (!nom_in_area(run, p, box))
                continue;
            nom_found f = nom_found_place(run, places[i], plan->penalty + q->penalty);
            f.order = nom_order_of(p);
            if (d->has_near)
                f.hit.distance = nom_degrees_between(nom_place_at(p), d->near);
            nom_found_put(run, small ? &all : &found, f);
        }
        put_sorted(run, &found, out);
    }
    put_sorted(run, &all, out);
}

/* --- Near. */

/* Whether a place lies where a category is looked for around `base`. */
static bool lies_near(const nom_run *run, const plc_disk_place *base, const plc_disk_place *p,
                      bool known)
{
    const plc_index *ix = run->ix->places;
    geo_at at = nom_place_at(p);
    if (known && base->rank_address > 9 && (base->flags & PLC_AREA))
        return geo_bytes_side(plc_shape(ix, base->shape), geo_pt_of(at)) != GEO_SIDE_OUT;
    geo_box around =
        geo_box_expand(geo_box_at(nom_place_at(base)), known ? NEAR_KNOWN : NEAR_UNKNOWN);
    return geo_box_meets(known ? geo_box_at(at) : nom_place_box(p), around);
}

static void put_near(nom_run *run, const nom_plan *plan, const nom_weighted *c,
                     const nom_found *base, size_t base_count, nom_founds *out)
{
    const nom_details *d = &run->details;
    const plc_index *ix = run->ix->places;
    uint32_t count;
    const uint32_t *places = plc_category(ix, c->class_name, c->type, &count);
    bool known = is_known(run, c);
    nom_founds found = {0};
    for (uint32_t i = 0; i < count && places; i++) {
        const plc_disk_place *p = plc_place(ix, places[i]);
        if (!p)
            continue;
        double best = INFINITY;
        for (size_t k = 0; k < base_count; k++) {
            const plc_disk_place *b = ix->places + base[k].hit.id;
            double distance = nom_degrees_between(nom_place_at(p), geo_pt_of(nom_place_at(b)));
            if (distance < best && lies_near(run, b, p, known))
                best = distance;
        }
        bool wanted = d->query->country_count == 0;
        for (uint32_t k = 0; k < d->query->country_count; k++)
            wanted |= d->query->countries[k] == p->country;
        if (isinf(best) || !wanted || p->rank_address < d->rank_min ||
            p->rank_address > d->rank_max || nom_is_excluded(run, NOM_PLACE, places[i]) ||
            (d->layers && !nom_in_layers(run, p, places[i])))
            continue;
        nom_found f = nom_found_place(run, places[i], plan->near_penalty + c->penalty);
        f.importance = -best;
        f.hit.importance = -best;
        f.hit.distance = best;
        nom_found_put(run, &found, f);
    }
    put_sorted(run, &found, out);
}

static int by_base(const void *a, const void *b)
{
    const nom_found *x = a, *y = b;
    if (x->penalty != y->penalty)
        return x->penalty < y->penalty ? -1 : 1;
    if (x->rank_search != y->rank_search)
        return x->rank_search - y->rank_search;
    return (x->hit.number > y->hit.number) - (x->hit.number < y->hit.number);
}

void nom_run_near(nom_run *run, const nom_plan *plan, nom_founds *base, nom_founds *out)
{
    if (base->count == 0)
        return;
    for (size_t i = 0; i < base->count; i++)
        if (base->items[i].hit.source == NOM_PLACE)
            base->items[i].hit.number = (uint32_t)i; /* keeps the order of equals */
    qsort(base->items, base->count, sizeof(nom_found), by_base);
    double most = base->items[0].penalty + 0.5;
    unsigned rank = base->items[0].rank_address, low = 1, high = rank + 4 < 25 ? rank + 4 : 25;
    if (rank == 0) {
        low = high = 0;
    } else if (rank >= RANK_STREETS) {
        low = RANK_STREETS;
        high = RANK_POI;
    }
    size_t kept = 0;
    for (size_t i = 0; i < base->count && kept < NOM_NEAR_MAX; i++) {
        const nom_found *f = &base->items[i];
        if (f->hit.source == NOM_PLACE && f->penalty <= most && f->box_area < AREA_MAX &&
            f->rank_address >= low && f->rank_address <= high)
            base->items[kept++] = *f;
    }
    size_t before = out->count;
    for (uint32_t i = 0; i < plan->near.count && kept; i++) {
        put_near(run, plan, &plan->near.items[i], base->items, kept, out);
        if (out->count - before >= run->details.limit)
            break;
    }
}

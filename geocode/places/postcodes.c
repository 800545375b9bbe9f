/* postcodes.c - step 4 of the build: postcodes as places of their own.
 *
 * A boundary=postal_code is one, with its area. Of the others, the middle of all addresses that carry
 * it outside of such areas. Both then tell those without a postcode of their own which one is theirs:
 * the areas first, else the nearest within its extent. */
#include <math.h>
#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "geocode/places/build_impl.h"
#include "geocode/places/countries.h"

/* One address that carries a postcode. */
typedef struct carrier {
    uint16_t country;
    sx_str postcode; /* as its country writes it */
    geo_pt at;
} carrier;

static sx_status written(bld_worker *w, uint16_t country, sx_str text, bool any, sx_str *out,
                         sx_error *err)
{
    char code[3];
    sx_buf buf;
    plc_country_text(country, code);
    sx_buf_init(&buf, 0);
    *out = SX_STR("");
    if (country && wrd_postcode(sx_str_z(code), text, &buf)) {
        *out = sx_arena_copy(&w->arena, sx_buf_view(&buf));
    } else if (any && country && plc_country_has_postcodes(country) &&
               plc_country_postcode_pattern(country).len == 0) {
        sx_str trimmed = sx_str_trim_all(text);
        sx_buf_clear(&buf);
        for (size_t i = 0; i < trimmed.len; i++) {
            char c = trimmed.data[i];
            sx_buf_byte(&buf, c >= 'a' && c <= 'z' ? (char)(c - 32) : c);
        }
        *out = sx_arena_copy(&w->arena, sx_buf_view(&buf));
    }
    sx_status status = sx_buf_status(&buf, "a postcode", err);
    sx_buf_done(&buf);
    return status == SX_OK && !out->data ? sx_fail_memory(err, "a postcode") : status;
}

/* The numbers of a house as they are kept, once each: "2 a;4". */
static sx_status kept_numbers(bld_worker *w, bld_place *p, sx_error *err)
{
    static const char *const KEYS[] = {"housenumber", "streetnumber", "conscriptionnumber"};
    sx_str numbers[WRD_NUMBERS_MAX];
    sx_str interpolation = plc_pairs_get(&p->address, SX_STR("interpolation"));
    sx_buf all, one;
    sx_buf_init(&all, 0);
    sx_buf_init(&one, 0);
    for (size_t k = 0; k < SX_COUNT_OF(KEYS); k++) {
        bool is_name;
        sx_str value = plc_pairs_get(&p->address, sx_str_z(KEYS[k]));
        uint32_t count =
            value.len ? wrd_housenumbers(value, interpolation, &w->scratch, numbers, &is_name) : 0;
        for (uint32_t i = 0; i < count; i++) {
            sx_buf_clear(&one);
            wrd_housenumber_id(numbers[i], &one);
            for (size_t c = 0; c < one.len; c++)
                one.data[c] = one.data[c] == WRD_OPTIONAL ? ' ' : one.data[c];
            bool known = one.len == 0;
            for (sx_str rest = sx_buf_view(&all), part; !known && rest.len;) {
                sx_str tail = SX_STR("");
                if (!sx_str_cut(rest, ';', &part, &tail))
                    part = rest;
                known = sx_str_eq(part, sx_buf_view(&one));
                rest = tail;
            }
            if (known)
                continue;
            if (all.len)
                sx_buf_byte(&all, ';');
            sx_buf_str(&all, sx_buf_view(&one));
        }
    }
    p->housenumber = all.len ? sx_arena_copy(&w->arena, sx_buf_view(&all)) : SX_STR("");
    sx_status status = sx_buf_status(&all, "a house number", err);
    if (status == SX_OK)
        status = sx_buf_status(&one, "a house number", err);
    sx_buf_done(&all);
    sx_buf_done(&one);
    return status == SX_OK && !p->housenumber.data ? sx_fail_memory(err, "a house number") : status;
}

sx_status bld_number_and_postcode(bld_worker *w, bld_place *p, sx_error *err)
{
    sx_str postcode = plc_pairs_get(&p->address, SX_STR("postcode"));
    p->own_postcode = p->housenumber = p->postcode = SX_STR("");
    if (p->address.count == 0)
        return SX_OK;
    sx_status status = SX_OK;
    if (postcode.len)
        status = written(w, p->grid_country, postcode, false, &p->own_postcode, err);
    return status == SX_OK ? kept_numbers(w, p, err) : status;
}

static uint8_t rank_of_extent(uint32_t extent_m)
{
    return extent_m <= 100 ? 25 : extent_m <= 3000 ? 23 : 21;
}

static sx_status add_areas(bld *b, sx_error *err)
{
    bld_worker *w = &b->workers[0];
    for (size_t i = 0; i < b->postcodes_at.count; i++) {
        bld_postcode_at *at = &b->postcodes_at.items[i];
        geo_at center = geo_at_of(at->center);
        at->country = plc_country_at(center.lon_e7, center.lat_e7);
        if (!at->is_area)
            continue;
        bld_postcode row = {.country = at->country,
                            .osm_id = at->osm_id,
                            .center = at->center,
                            .box = at->box,
                            .shape = at->shape,
                            .is_area = true,
                            .parent = PLC_NONE};
        sx_status status = written(w, at->country, at->postcode, true, &row.postcode, err);
        if (status != SX_OK)
            return status;
        if (row.postcode.len == 0)
            continue;
        row.rank_search = rank_of_extent(plc_country_postcode_extent_m(row.country));
        if (!sx_grow(&b->postcodes.items, &b->postcodes.cap, b->postcodes.count + 1, sizeof row))
            return sx_fail_memory(err, "the postcodes");
        b->postcodes.items[b->postcodes.count++] = row;
    }
    return SX_OK;
}

static bool in_postcode_area(const bld *b, geo_pt at)
{
    geo_at rounded = geo_at_of(at);
    for (size_t i = 0; i < b->postcodes_at.count; i++) {
        const bld_postcode_at *area = &b->postcodes_at.items[i];
        if (area->is_area && geo_box_meets(area->box, geo_box_at(rounded)) &&
            geo_bytes_side(bld_shape_bytes(&area->shape), at) != GEO_SIDE_OUT)
            return true;
    }
    return false;
}

static int by_carrier(const void *a, const void *b)
{
    const carrier *x = a, *y = b;
    if (x->country != y->country)
        return x->country < y->country ? -1 : 1;
    int order = sx_str_cmp(x->postcode, y->postcode);
    if (order)
        return order;
    if (x->at.lon != y->at.lon)
        return x->at.lon < y->at.lon ? -1 : 1;
    return x->at.lat < y->at.lat ? -1 : x->at.lat > y->at.lat;
}

typedef BLD_LIST(carrier) carriers;

static sx_status add_carrier(bld *b, carriers *list, uint16_t country, sx_str text, geo_pt at,
                             sx_error *err)
{
    carrier row = {.country = country, .at = at};
    if (country == 0 || memchr(text.data, ',', text.len) || memchr(text.data, ';', text.len) ||
        in_postcode_area(b, at))
        return SX_OK;
    sx_status status = written(&b->workers[0], country, text, true, &row.postcode, err);
    if (status != SX_OK || row.postcode.len == 0)
        return status;
    if (!sx_grow(&list->items, &list->cap, list->count + 1, sizeof row))
        return sx_fail_memory(err, "the addresses with postcodes");
    list->items[list->count++] = row;
    return SX_OK;
}

static sx_status collect(bld *b, carriers *list, sx_error *err)
{
    sx_status status = SX_OK;
    for (size_t i = 0; i < b->places.count && status == SX_OK; i++) {
        const bld_place *p = &b->places.items[i];
        sx_str postcode = plc_pairs_get(&p->address, SX_STR("postcode"));
        if (postcode.len)
            status = add_carrier(b, list, p->grid_country, postcode, geo_pt_of(p->center), err);
    }
    for (size_t i = 0; i < b->postcodes_at.count && status == SX_OK; i++) {
        const bld_postcode_at *at = &b->postcodes_at.items[i];
        if (!at->is_area)
            status = add_carrier(b, list, at->country, at->postcode, at->center, err);
    }
    return status;
}

static bool has_area(const bld *b, size_t areas, const carrier *c)
{
    for (size_t i = 0; i < areas; i++) {
        if (b->postcodes.items[i].country == c->country &&
            sx_str_eq(b->postcodes.items[i].postcode, c->postcode))
            return true;
    }
    return false;
}

/* The middle of the carriers [from, to); the same point counts once. Coordinates are cut, not rounded,
 * to seven digits, as Nominatim adds them up. */
static sx_status add_middle(bld *b, const carrier *from, const carrier *to, sx_error *err)
{
    int64_t lon = 0, lat = 0, count = 0;
    for (const carrier *c = from; c < to; c++) {
        if (c > from && by_carrier(c - 1, c) == 0)
            continue;
        lon += (int64_t)(c->at.lon * 1e7);
        lat += (int64_t)(c->at.lat * 1e7);
        count++;
    }
    uint32_t extent_m = plc_country_postcode_extent_m(from->country);
    bld_postcode row = {
        .country = from->country,
        .postcode = from->postcode,
        .center = {(double)lon / (double)count / 1e7, (double)lat / (double)count / 1e7},
        .rank_search = rank_of_extent(extent_m),
        .parent = PLC_NONE};
    row.around = plc_box_around(row.center, extent_m, &row.box);
    if (!sx_grow(&b->postcodes.items, &b->postcodes.cap, b->postcodes.count + 1, sizeof row))
        return sx_fail_memory(err, "the postcodes");
    b->postcodes.items[b->postcodes.count++] = row;
    return SX_OK;
}

static sx_status build_tree(bld *b, sx_error *err)
{
    size_t count = b->postcodes.count;
    geo_rtree_item *items = sx_calloc(count + 1, sizeof *items);
    if (!items)
        return sx_fail_memory(err, "the tree of postcodes");
    for (size_t i = 0; i < count; i++)
        items[i] = (geo_rtree_item){b->postcodes.items[i].box, (uint32_t)i};
    sx_status status = geo_rtree_sort(items, (uint32_t)count, err);
    if (status == SX_OK)
        status = geo_rtree_build(items, (uint32_t)count, &b->postcodes_tree.bytes, err);
    if (status == SX_OK)
        status = sx_buf_status(&b->postcodes_tree.bytes, "the tree of postcodes", err);
    if (status == SX_OK)
        status =
            geo_rtree_open(sx_buf_view(&b->postcodes_tree.bytes), &b->postcodes_tree.tree, err);
    sx_free(items);
    return status;
}

sx_status bld_postcodes(bld *b, sx_error *err)
{
    carriers list = {0};
    sx_status status = add_areas(b, err);
    size_t areas = b->postcodes.count;
    if (status == SX_OK)
        status = collect(b, &list, err);
    if (status == SX_OK && list.count)
        qsort(list.items, list.count, sizeof *list.items, by_carrier);
    for (size_t i = 0; i < list.count && status == SX_OK;) {
        size_t end = i + 1;
        while (end < list.count && list.items[end].country == list.items[i].country &&
               sx_str_eq(list.items[end].postcode, list.items[i].postcode))
            end++;
        if (!has_area(b, areas, &list.items[i]))
            status = add_middle(b, &list.items[i], &list.items[end], err);
        i = end;
    }
    sx_free(list.items);
    return status == SX_OK ? build_tree(b, err) : status;
}

/* Of an area: its postcode is the one whose middle lies in it, if there is just one. */
static void only_postcode(const bld *b, bld_place *p, const uint32_t *ids, uint32_t count)
{
    const bld_postcode *only = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const bld_postcode *c = &b->postcodes.items[ids[i]];
        if (c->country != p->country)
            continue;
        geo_side side = p->area ? geo_area_side(p->area, c->center)
                                : geo_bytes_side(bld_shape_bytes(&p->shape), c->center);
        if (side != GEO_SIDE_IN)
            continue;
        if (only)
            return;
        only = c;
    }
    if (only)
        p->postcode = only->postcode;
}

static bool covers(const bld_postcode *c, const geo_shape *shape)
{
    for (uint32_t r = 0; r < shape->ring_count; r++) {
        for (uint32_t i = 0; i < shape->rings[r].count; i++) {
            geo_pt at = geo_pt_of(shape->rings[r].at[i]);
            bool in = c->is_area ? geo_bytes_side(bld_shape_bytes(&c->shape), at) != GEO_SIDE_OUT
                                 : at.lon >= c->around.lon_min && at.lon <= c->around.lon_max &&
                                       at.lat >= c->around.lat_min && at.lat <= c->around.lat_max;
            if (!in)
                return false;
        }
    }
    return true;
}

sx_status bld_postcode_near(bld *b, bld_worker *w, uint16_t country, const geo_shape *shape,
                            geo_box box, sx_str *out, sx_error *err)
{
    uint32_t *ids, count;
    const bld_postcode *best = NULL;
    double best_distance = INFINITY;
    *out = SX_STR("");
    sx_status status = bld_find(w, &b->postcodes_tree, box, &ids, &count, err);
    for (uint32_t i = 0; status == SX_OK && i < count; i++) {
        const bld_postcode *c = &b->postcodes.items[ids[i]];
        if (c->country != country || (best && best->is_area && !c->is_area))
            continue;
        double distance = geo_shape_distance(shape, c->center, NULL);
        if (best && best->is_area == c->is_area && distance >= best_distance)
            continue;
        if (!covers(c, shape))
            continue;
        best = c;
        best_distance = distance;
    }
    if (best)
        *out = best->postcode;
    return status;
}

sx_status bld_nearest_postcode(bld *b, bld_worker *w, bld_place *p, sx_error *err)
{
    geo_ring ring;
    geo_shape shape;
    geo_box box = geo_box_at(p->center);
    if (p->rank_address > BLD_RANK_AREA_MAX || p->shape.kind == GEO_SHAPE_POINT) {
        shape = geo_shape_point(&p->center, &ring);
    } else if (p->is_area) {
        uint32_t *ids, count;
        /* A postcode's middle lies in its box. */
        sx_status status = bld_find(w, &b->postcodes_tree, p->box, &ids, &count, err);
        if (status == SX_OK)
            only_postcode(b, p, ids, count);
        return status;
    } else {
        sx_status status = bld_decode(p, &w->scratch, &shape, err);
        if (status != SX_OK)
            return status;
        box = p->box;
    }
    return bld_postcode_near(b, w, p->country, &shape, box, &p->postcode, err);
}

static int by_text(const void *a, const void *b)
{
    const bld_postcode *x = a, *y = b;
    char left[3], right[3];
    plc_country_text(x->country, left);
    plc_country_text(y->country, right);
    int order = memcmp(left, right, 3);
    if (order == 0)
        order = sx_str_cmp(x->postcode, y->postcode);
    return order ? order : x->osm_id < y->osm_id ? -1 : x->osm_id > y->osm_id;
}

/* The place that a postcode is shown with: the area of highest rank in which its middle lies. */
sx_status bld_postcode_parents(bld *b, sx_error *err)
{
    bld_worker *w = &b->workers[0];
    if (b->postcodes.count)
        qsort(b->postcodes.items, b->postcodes.count, sizeof *b->postcodes.items, by_text);
    for (size_t i = 0; i < b->postcodes.count; i++) {
        bld_postcode *c = &b->postcodes.items[i];
        uint16_t partition = plc_country_partition(c->country);
        const bld_place *best = NULL;
        double best_distance = 0;
        uint32_t *ids, count;
        geo_at at = geo_at_of(c->center);
        sx_arena_reset(&w->scratch);
        sx_status status = bld_find(w, &b->locations, geo_box_at(at), &ids, &count, err);
        if (status != SX_OK)
            return status;
        for (uint32_t k = 0; k < count; k++) {
            const bld_place *p = &b->places.items[ids[k]];
            if (!p->is_location || !p->area || p->partition != partition ||
                p->rank_address >= c->rank_search || !bld_area_holds(p, at))
                continue;
            geo_pt middle = geo_pt_of(p->center);
            double distance = hypot(middle.lon - c->center.lon, middle.lat - c->center.lat);
            if (best && (p->rank_address < best->rank_address ||
                         (p->rank_address == best->rank_address && distance >= best_distance)))
                continue;
            best = p;
            best_distance = distance;
            c->parent = ids[k];
        }
    }
    return SX_OK;
}

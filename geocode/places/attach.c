/* attach.c - step 5 of the build: streets get their addresses; houses and points of interest a street or
 * place to hang on.
 *
 * A house's street is, in this order: the one of its associatedStreet relation; the nearest of the name in
 * addr:street; the nearest place of the name in addr:place; a street that runs through the node; the
 * nearest street. What has an addr:place that is not there, or is very large, hangs on the smallest
 * area around it. */
#include <math.h>
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/places/build_impl.h"
#include "geocode/places/nearby.h"

/* Degrees within which names are looked for, and the size of what has no nearest street. */
static const double STREET_REACH = 0.015, PLACE_REACH = 0.04, LARGE = 0.005;
static const double NEAREST_FIRST = 0.00005, NEAREST_LAST = 0.1;

/* A node and the way of a place that it belongs to. */
typedef struct node_way {
    int64_t node;
    uint32_t place;
} node_way;

/* What is known for all houses while they are attached. */
typedef struct attachment {
    bld_street_member *houses; /* members with the role of a house, by kind and id */
    size_t house_count;
    BLD_LIST(node_way) node_ways;      /* by node, then place */
    BLD_LIST(node_way) interpolations; /* the same; place: index of the interpolation */
} attachment;

/* --- Tables. */

static int by_member(const void *a, const void *b)
{
    const bld_street_member *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->ref != y->ref)
        return x->ref < y->ref ? -1 : 1;
    return x->relation < y->relation ? -1 : x->relation > y->relation;
}

static int by_node(const void *a, const void *b)
{
    const node_way *x = a, *y = b;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static const node_way *first_of_node(const node_way *items, size_t count, int64_t node)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (items[mid].node < node)
            low = mid + 1;
        else
            high = mid;
    }
    return low < count && items[low].node == node ? &items[low] : NULL;
}

/* Which way places run through which node places of rank 28 and more. Nodes are sorted by id. */
static sx_status find_node_ways(bld *b, attachment *a, sx_error *err)
{
    size_t nodes = 0, n = 0;
    for (size_t i = 0; i < b->places.count && b->places.items[i].kind == OSM_NODE; i++)
        nodes++;
    int64_t *ids = sx_calloc(nodes + 1, sizeof *ids);
    if (!ids)
        return sx_fail_memory(err, "the nodes of ways");
    for (size_t i = 0; i < nodes; i++) {
        if (b->places.items[i].rank_search >= BLD_RANK_CHILD)
            ids[n++] = b->places.items[i].osm_id;
    }
    for (size_t i = nodes; i < b->places.count; i++) {
        const bld_place *p = &b->places.items[i];
        const int64_t *refs;
        uint32_t count;
        if (p->kind != OSM_WAY || p->rank_search < BLD_RANK_STREET ||
            !osm_dataset_way(b->data, p->osm_id, &refs, &count))
            continue;
        for (uint32_t k = 0; k < count; k++) {
            size_t low = 0, high = n;
            while (low < high) {
                size_t mid = (low + high) / 2;
                if (ids[mid] < refs[k])
                    low = mid + 1;
                else
                    high = mid;
            }
            if (low == n || ids[low] != refs[k])
                continue;
            if (!sx_grow(&a->node_ways.items, &a->node_ways.cap, a->node_ways.count + 1,
                         sizeof(node_way))) {
                sx_free(ids);
                return sx_fail_memory(err, "the nodes of ways");
            }
            a->node_ways.items[a->node_ways.count++] = (node_way){refs[k], (uint32_t)i};
        }
    }
    sx_free(ids);
    if (a->node_ways.count)
        qsort(a->node_ways.items, a->node_ways.count, sizeof(node_way), by_node);
    return SX_OK;
}

static sx_status find_houses(bld *b, attachment *a, sx_error *err)
{
    a->houses = sx_calloc(b->street_members.count + 1, sizeof *a->houses);
    if (!a->houses)
        return sx_fail_memory(err, "the houses of streets");
    for (size_t i = 0; i < b->street_members.count; i++) {
        if (!b->street_members.items[i].is_street)
            a->houses[a->house_count++] = b->street_members.items[i];
    }
    qsort(a->houses, a->house_count, sizeof *a->houses, by_member);
    for (size_t i = 0; i < b->interpolations.count; i++) {
        const bld_interpolation *way = &b->interpolations.items[i];
        for (uint32_t k = 0; k < way->node_count && way->address.count > 0; k++) {
            if (!sx_grow(&a->interpolations.items, &a->interpolations.cap,
                         a->interpolations.count + 1, sizeof(node_way)))
                return sx_fail_memory(err, "the nodes of interpolations");
            a->interpolations.items[a->interpolations.count++] =
                (node_way){way->nodes[k], (uint32_t)i};
        }
    }
    if (a->interpolations.count)
        qsort(a->interpolations.items, a->interpolations.count, sizeof(node_way), by_node);
    return SX_OK;
}

static bool box_of_street(const bld_place *p, geo_box *box)
{
    *box = p->box;
    return p->words.count > 0 && p->rank_search >= BLD_RANK_STREET &&
           p->rank_search < BLD_RANK_CHILD && p->shape.kind != GEO_SHAPE_POINT &&
           sx_str_eq(p->class_name, SX_STR("highway"));
}

static bool box_of_building(const bld_place *p, geo_box *box)
{
    *box = p->box;
    return p->is_area && p->rank_search == BLD_RANK_POI &&
           (plc_pairs_get(&p->tagged, SX_STR("housenumber")).len ||
            plc_pairs_get(&p->tagged, SX_STR("street")).len ||
            plc_pairs_get(&p->tagged, SX_STR("place")).len);
}

/* --- Streets. */

static sx_status finish_piece(bld *b, bld_worker *w, size_t from, size_t to, void *ctx,
                              sx_error *err)
{
    (void)ctx;
    sx_status status = SX_OK;
    for (size_t i = from; i < to && status == SX_OK; i++) {
        bld_place *p = &b->places.items[i];
        if (p->is_done || p->rank_address < BLD_RANK_STREET || p->rank_address >= BLD_RANK_CHILD ||
            p->rank_search >= BLD_RANK_CHILD)
            continue;
        p->is_done = true;
        sx_arena_reset(&w->scratch);
        status = bld_finish_place(b, w, p, BLD_WITH_FORMS, err);
    }
    return status;
}

/* Streets are looked up by name and by where they are: a country has thousands of the same name. A
 * street is in every cell of the globe that its box touches; one in too many of them is in a cell of
 * its own, in which every house looks. */
enum { CELL_E7 = 500000, CELLS_MAX = 64 };

typedef struct cells {
    uint32_t left, right, bottom, top; /* all of them belong to it */
} cells;

static cells cells_of(geo_box box)
{
    return (cells){(uint32_t)((int64_t)box.lon_min + GEO_LON_E7_MAX) / CELL_E7,
                   (uint32_t)((int64_t)box.lon_max + GEO_LON_E7_MAX) / CELL_E7,
                   (uint32_t)((int64_t)box.lat_min + GEO_LAT_E7_MAX) / CELL_E7,
                   (uint32_t)((int64_t)box.lat_max + GEO_LAT_E7_MAX) / CELL_E7};
}

static uint64_t name_in_cell(uint64_t name, uint32_t x, uint32_t y)
{
    uint64_t cell = ((uint64_t)x + 1) << 32 | (y + 1);
    return name ^ cell * UINT64_C(0x9E3779B97F4A7C15);
}

static sx_status name_street(bld *b, uint64_t name, uint32_t place, sx_error *err)
{
    cells c = cells_of(b->places.items[place].box);
    uint64_t count = (uint64_t)(c.right - c.left + 1) * (c.top - c.bottom + 1);
    if (count > CELLS_MAX)
        return bld_chains_put(&b->street_names, name, place, err);
    sx_status status = SX_OK;
    for (uint32_t x = c.left; x <= c.right && status == SX_OK; x++) {
        for (uint32_t y = c.bottom; y <= c.top && status == SX_OK; y++)
            status = bld_chains_put(&b->street_names, name_in_cell(name, x, y), place, err);
    }
    return status;
}

static sx_status name_streets(bld *b, sx_error *err)
{
    sx_status status = SX_OK;
    for (size_t i = 0; i < b->places.count && status == SX_OK; i++) {
        const bld_place *p = &b->places.items[i];
        for (uint32_t k = 0; k < p->forms.count && status == SX_OK; k++)
            status = name_street(b, p->forms.items[k], (uint32_t)i, err);
    }
    return status;
}

/* --- Parents. */

/* A house on its way to its street. */
typedef struct house {
    bld *b;
    bld_worker *w;
    const attachment *a;
    bld_place *p;
    geo_box box;
    geo_at middle; /* of the box */
    sx_error *err;
} house;

static double away(const house *h, const bld_place *p, double most)
{
    if (p->shape.kind == GEO_SHAPE_POINT)
        return geo_box_distance(h->box, geo_pt_of(p->center));
    return plc_box_nearness(bld_shape_bytes(&p->shape), h->box, most);
}

/* Of two equally near, the one that Nominatim has worked on first: by rank, square degree and row. */
static bool is_earlier(const bld *b, uint32_t a, uint32_t other)
{
    const bld_place *x = &b->places.items[a], *y = &b->places.items[other];
    if (x->rank_address != y->rank_address)
        return x->rank_address < y->rank_address;
    uint32_t mine = bld_sector(x), theirs = bld_sector(y);
    if (mine != theirs)
        return mine < theirs;
    return x->row != y->row ? x->row < y->row : a < other;
}

/* Whether the boxes of both are surely farther apart than `most`: by more than rounding makes of it. */
static bool is_beyond(const house *h, const bld_place *p, double most)
{
    double dx = fmax(
        0, fmax((double)p->box.lon_min - h->box.lon_max, (double)h->box.lon_min - p->box.lon_max));
    double dy = fmax(
        0, fmax((double)p->box.lat_min - h->box.lat_max, (double)h->box.lat_min - p->box.lat_max));
    double limit = most * GEO_E7 + 1;
    return dx * dx + dy * dy > limit * limit;
}

/* Takes `at` if it is nearer than what there is. */
static void nearer(const house *h, uint32_t at, uint32_t *best, double *distance)
{
    if (at == *best || is_beyond(h, &h->b->places.items[at], *distance))
        return;
    double d = away(h, &h->b->places.items[at], *distance);
    if (d < 0 || d > *distance ||
        (d == *distance && *best != PLC_NONE && !is_earlier(h->b, at, *best)))
        return;
    *best = at;
    *distance = d;
}

static uint32_t associated_street(const house *h, osm_kind kind, int64_t id)
{
    const bld *b = h->b;
    uint32_t best = PLC_NONE;
    double distance = INFINITY;
    size_t low = 0, high = h->a->house_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        const bld_street_member *m = &h->a->houses[mid];
        if (m->kind < kind || (m->kind == kind && m->ref < id))
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < h->a->house_count && h->a->houses[low].kind == kind && h->a->houses[low].ref == id;
         low++) {
        /* Members lie by relation, as they were gathered. */
        int64_t relation = h->a->houses[low].relation;
        size_t first = 0, last = b->street_members.count;
        while (first < last) {
            size_t mid = (first + last) / 2;
            if (b->street_members.items[mid].relation < relation)
                first = mid + 1;
            else
                last = mid;
        }
        for (;
             first < b->street_members.count && b->street_members.items[first].relation == relation;
             first++) {
            const bld_street_member *m = &b->street_members.items[first];
            size_t at, count = m->is_street ? bld_find_object(b, m->kind, m->ref, &at) : 0;
            for (size_t i = 0; i < count; i++) {
                const bld_place *p = &b->places.items[at + i];
                if (p->names.count > 0 && p->rank_search >= BLD_RANK_STREET &&
                    p->rank_search < BLD_RANK_CHILD)
                    nearer(h, (uint32_t)(at + i), &best, &distance);
            }
        }
    }
    return best;
}

/* Looks at the streets under one key; which comes first makes no difference, nor does one met twice. */
static void named_in_cell(const house *h, uint64_t key, geo_box near, uint32_t *best,
                          double *distance)
{
    for (const bld_chain_link *l = bld_chains_first(&h->b->street_names, key); l;
         l = bld_chains_next(&h->b->street_names, l)) {
        const bld_place *p = &h->b->places.items[l->place];
        if (p->partition == h->p->partition && geo_box_meets(p->box, near))
            nearer(h, l->place, best, distance);
    }
}

/* The same for something so large that there are fewer streets than cells to look at. */
static sx_status named_in_box(house *h, uint64_t name, geo_box near, uint32_t *best)
{
    uint32_t *ids, count;
    double distance = INFINITY;
    sx_status status = bld_find(h->w, &h->b->streets, near, &ids, &count, h->err);
    for (uint32_t i = 0; status == SX_OK && i < count; i++) {
        const bld_place *p = &h->b->places.items[ids[i]];
        if (p->partition == h->p->partition && bld_hashes_hold(&p->forms, name))
            nearer(h, ids[i], best, &distance);
    }
    return status;
}

static sx_status named_street(house *h, uint32_t *out)
{
    sx_str street = sx_str_trim(plc_pairs_get(&h->p->address, SX_STR("street")));
    uint64_t hash = 0;
    double distance = INFINITY;
    *out = PLC_NONE;
    if (street.len == 0)
        return SX_OK;
    sx_status status = bld_street_hash(h->w, street, &hash, h->err);
    if (status != SX_OK || hash == 0)
        return status;
    geo_box near = geo_box_expand(h->box, STREET_REACH);
    cells c = cells_of(near);
    if ((uint64_t)(c.right - c.left + 1) * (c.top - c.bottom + 1) > CELLS_MAX)
        return named_in_box(h, hash, near, out);
    named_in_cell(h, hash, near, out, &distance);
    for (uint32_t x = c.left; x <= c.right; x++) {
        for (uint32_t y = c.bottom; y <= c.top; y++)
            named_in_cell(h, name_in_cell(hash, x, y), near, out, &distance);
    }
    return SX_OK;
}

static sx_status named_place(house *h, uint32_t *out)
{
    enum { RANK_MIN = 16 };
    sx_str place = sx_str_trim(plc_pairs_get(&h->p->address, SX_STR("place")));
    uint64_t hash = 0;
    double distance = INFINITY;
    *out = PLC_NONE;
    if (place.len == 0)
        return SX_OK;
    sx_status status = bld_part_hash(h->w, place, &hash, h->err);
    if (status != SX_OK || hash == 0)
        return status;
    geo_box near = geo_box_expand(h->box, PLACE_REACH);
    for (const bld_chain_link *l = bld_chains_first(&h->b->location_names, hash); l;
         l = bld_chains_next(&h->b->location_names, l)) {
        const bld_place *p = &h->b->places.items[l->place];
        if (p->is_location && p->partition == h->p->partition && p->rank_address >= RANK_MIN &&
            p->rank_address <= BLD_RANK_AREA_MAX && geo_box_meets(p->box, near))
            nearer(h, l->place, out, &distance);
    }
    return SX_OK;
}

/* A street that runs through the node; else the street of a building that has the node. */
static uint32_t street_of_node(const house *h)
{
    uint32_t found = PLC_NONE;
    const node_way *row = first_of_node(h->a->node_ways.items, h->a->node_ways.count, h->p->osm_id);
    const node_way *end = row ? h->a->node_ways.items + h->a->node_ways.count : NULL;
    for (; row && row < end && row->node == h->p->osm_id; row++) {
        const bld_place *way = &h->b->places.items[row->place];
        if (way->rank_search < BLD_RANK_CHILD)
            return row->place;
        found = associated_street(h, OSM_WAY, way->osm_id);
    }
    return found;
}

static sx_status smallest_area(house *h, uint32_t *out)
{
    enum { RANK_MIN = 5 };
    uint32_t *ids, count;
    sx_status status = bld_find(h->w, &h->b->holders, geo_box_at(h->middle), &ids, &count, h->err);
    *out = PLC_NONE;
    for (uint32_t i = 0; status == SX_OK && i < count; i++) {
        const bld_place *p = &h->b->places.items[ids[i]];
        if (p->rank_address >= RANK_MIN && p->rank_address <= BLD_RANK_AREA_MAX &&
            (*out == PLC_NONE || p->rank_address > h->b->places.items[*out].rank_address) &&
            bld_area_holds(p, h->middle))
            *out = ids[i];
    }
    return status;
}

static sx_status nearest_street(house *h, uint32_t *out)
{
    *out = PLC_NONE;
    for (double reach = NEAREST_FIRST; reach < NEAREST_LAST && *out == PLC_NONE; reach *= 2) {
        uint32_t *ids, count;
        double distance = reach;
        sx_status status =
            bld_find(h->w, &h->b->streets, geo_box_expand(h->box, reach), &ids, &count, h->err);
        if (status != SX_OK)
            return status;
        for (uint32_t i = 0; i < count; i++) {
            if (h->b->places.items[ids[i]].partition == h->p->partition)
                nearer(h, ids[i], out, &distance);
        }
    }
    return SX_OK;
}

static bool is_place_address(const bld_place *p)
{
    return plc_pairs_get(&p->address, SX_STR("street")).len == 0 &&
           plc_pairs_get(&p->address, SX_STR("place")).len > 0;
}

static sx_status find_parent(house *h, uint32_t *out)
{
    double area = ((double)h->box.lon_max - h->box.lon_min) / GEO_E7 *
                  (((double)h->box.lat_max - h->box.lat_min) / GEO_E7);
    *out = associated_street(h, h->p->kind, h->p->osm_id);
    sx_status status = SX_OK;
    if (*out == PLC_NONE)
        status = named_street(h, out);
    if (status == SX_OK && *out == PLC_NONE)
        status = named_place(h, out);
    if (status == SX_OK && *out == PLC_NONE && h->p->kind == OSM_NODE)
        *out = street_of_node(h);
    if (status != SX_OK || *out != PLC_NONE)
        return status;
    return is_place_address(h->p) || area >= LARGE ? smallest_area(h, out) : nearest_street(h, out);
}

/* --- Houses. */

/* A copy of the pairs with one more; what is there already stays. */
static sx_status with_pair(bld_worker *w, plc_pairs *pairs, sx_str key, sx_str value, sx_error *err)
{
    osm_tag *items = sx_arena_alloc(&w->arena, ((size_t)pairs->count + 1) * sizeof *items);
    if (!items)
        return sx_fail_memory(err, "the address of a house");
    if (pairs->count)
        memcpy(items, pairs->items, pairs->count * sizeof *items);
    items[pairs->count] = (osm_tag){key, value};
    *pairs = (plc_pairs){items, pairs->count + 1};
    plc_pairs_sort(pairs);
    return SX_OK;
}

/* A point of interest has the address of the building it is in, or of the interpolation it is part of. */
static sx_status inherit_address(house *h)
{
    bld_place *p = h->p;
    if (p->rank_search != BLD_RANK_POI || p->kind != OSM_NODE)
        return SX_OK;
    if (p->address.count == 0) {
        uint32_t *ids, count;
        sx_status status =
            bld_find(h->w, &h->b->buildings, geo_box_at(p->center), &ids, &count, h->err);
        for (uint32_t i = 0; i < count && status == SX_OK; i++) {
            const bld_place *building = &h->b->places.items[ids[i]];
            if (!bld_area_holds(building, p->center))
                continue;
            p->address = building->tagged;
            status = with_pair(h->w, &p->address, SX_STR("_inherited"), SX_STR(""), h->err);
            return status == SX_OK ? bld_number_and_postcode(h->w, p, h->err) : status;
        }
        return status;
    }
    const node_way *row =
        first_of_node(h->a->interpolations.items, h->a->interpolations.count, p->osm_id);
    bool had = row != NULL;
    const node_way *end = had ? h->a->interpolations.items + h->a->interpolations.count : NULL;
    for (; row && row < end && row->node == p->osm_id; row++) {
        const plc_pairs *more = &h->b->interpolations.items[row->place].address;
        for (uint32_t i = 0; i < more->count; i++) {
            sx_status status =
                with_pair(h->w, &p->address, more->items[i].key, more->items[i].value, h->err);
            if (status != SX_OK)
                return status;
        }
    }
    return had ? bld_number_and_postcode(h->w, p, h->err) : SX_OK;
}

static bool has_name(const bld_place *p, sx_str name)
{
    for (uint32_t i = 0; i < p->names.count; i++) {
        if (sx_str_eq(p->names.items[i].value, name))
            return true;
    }
    return false;
}

/* What the house has from its parent. */
static sx_status take_parent(house *h)
{
    bld_place *p = h->p;
    const bld_place *parent = &h->b->places.items[p->parent];
    sx_str place = plc_pairs_get(&p->address, SX_STR("place"));
    sx_status status = SX_OK;
    geo_ring ring;
    if (is_place_address(p) && !has_name(parent, place))
        status = with_pair(h->w, &p->address, SX_STR("_unlisted_place"), place, h->err);
    p->country = parent->country;
    p->postcode = p->own_postcode.len ? p->own_postcode : parent->postcode;
    if (p->postcode.len == 0) {
        geo_shape point = geo_shape_point(&p->center, &ring);
        if (status == SX_OK)
            status = bld_postcode_near(h->b, h->w, p->country, &point, geo_box_at(p->center),
                                       &p->postcode, h->err);
    }
    if (status == SX_OK)
        status = bld_add_default_name(h->w, p, h->err);
    if (status == SX_OK && (p->names.count > 0 || p->address.count > 0))
        status = bld_extra_lines(h->b, h->w, p, h->err);
    return status;
}

static sx_status attach_house(bld *b, bld_worker *w, const attachment *a, bld_place *p,
                              sx_error *err)
{
    house h = {.b = b, .w = w, .a = a, .p = p, .box = p->box, .err = err};
    h.middle = (geo_at){(int32_t)(((int64_t)p->box.lon_min + p->box.lon_max) / 2),
                        (int32_t)(((int64_t)p->box.lat_min + p->box.lat_max) / 2)};
    sx_status status = inherit_address(&h);
    if (status == SX_OK)
        status = find_parent(&h, &p->parent);
    if (status != SX_OK)
        return status;
    return p->parent == PLC_NONE ? bld_finish_place(b, w, p, BLD_WITHOUT_FORMS, err)
                                 : take_parent(&h);
}

static sx_status attach_piece(bld *b, bld_worker *w, size_t from, size_t to, void *ctx,
                              sx_error *err)
{
    sx_status status = SX_OK;
    for (size_t i = from; i < to && status == SX_OK; i++) {
        bld_place *p = &b->places.items[i];
        if (p->is_done)
            continue;
        p->is_done = true;
        sx_arena_reset(&w->scratch);
        if (p->linked != PLC_NONE)
            continue;
        status = p->rank_search >= BLD_RANK_CHILD
                     ? attach_house(b, w, ctx, p, err)
                     : bld_finish_place(b, w, p, BLD_WITHOUT_FORMS, err);
    }
    return status;
}

sx_status bld_find_street(bld *b, bld_worker *w, const plc_pairs *address, uint16_t partition,
                          geo_at center, uint32_t *out, sx_error *err)
{
    bld_place asked = {.address = *address, .partition = partition};
    house h = {
        .b = b, .w = w, .p = &asked, .box = geo_box_at(center), .middle = center, .err = err};
    sx_status status = named_street(&h, out);
    return status == SX_OK && *out == PLC_NONE ? named_place(&h, out) : status;
}

sx_status bld_attach(bld *b, sx_error *err)
{
    enum { PIECE = 64 };
    attachment a = {0};
    sx_status status = bld_run(b, b->places.count, PIECE, finish_piece, NULL, err);
    if (status == SX_OK)
        status = name_streets(b, err);
    if (status == SX_OK)
        status = bld_tree_build(b, &b->streets, box_of_street, err);
    if (status == SX_OK)
        status = bld_tree_build(b, &b->buildings, box_of_building, err);
    if (status == SX_OK)
        status = find_houses(b, &a, err);
    if (status == SX_OK)
        status = find_node_ways(b, &a, err);
    if (status == SX_OK) {
        bld_link_rivers(b, BLD_LATER_WAYS);
        status = bld_run(b, b->places.count, PIECE, attach_piece, &a, err);
        bld_link_rivers(b, BLD_ALL_WAYS);
    }
    sx_free(a.houses);
    sx_free(a.node_ways.items);
    sx_free(a.interpolations.items);
    return status;
}

/* lines.c - the lines of an address: which areas a place lies in, which nodes it is near to.
 *
 * First the parts of its own address (addr:city ...) that name a place nearby; then all areas that
 * hold it and all nodes whose reach it is in, from large to small. Of each rank the first one counts:
 * areas before nodes, the nearer node first; a node that is outside of the area or beyond the node
 * that already counts is only listed. */
#include <math.h>
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/places/build_impl.h"

/* A place that may be a line. */
typedef struct candidate {
    uint32_t place;
    uint8_t rank;
    bool is_guess; /* a node: that it belongs to it is a guess */
    double distance, weight;
} candidate;

/* What the lines are made for. */
typedef struct feature {
    bld *b;
    bld_worker *w;
    bld_place *p;
    geo_shape shape;
    geo_area *prepared; /* of lines and areas; owned */
    geo_box box;
    bool is_point;
    BLD_LIST(bld_line) lines;
    sx_error *err;
} feature;

static const double TIE =
    0.00001; /* areas on whose edge a line runs: the nearer middle is better */

static sx_status box_area(feature *f, const plc_around *around, geo_area **out)
{
    geo_at low = geo_at_of((geo_pt){around->lon_min, around->lat_min});
    geo_at high = geo_at_of((geo_pt){around->lon_max, around->lat_max});
    geo_at *at = sx_arena_alloc(&f->w->scratch, 5 * sizeof *at);
    geo_ring *ring = sx_arena_alloc(&f->w->scratch, sizeof *ring);
    geo_shape *shape = sx_arena_alloc(&f->w->scratch, sizeof *shape);
    if (!at || !ring || !shape)
        return sx_fail_memory(f->err, "the reach of a place");
    at[0] = at[4] = low;
    at[1] = (geo_at){high.lon_e7, low.lat_e7};
    at[2] = high;
    at[3] = (geo_at){low.lon_e7, high.lat_e7};
    *ring = (geo_ring){at, 5, false};
    *shape = (geo_shape){GEO_SHAPE_POLYGON, ring, 1};
    return geo_area_new(shape, out, f->err);
}

static bool around_holds(const plc_around *a, geo_at at)
{
    geo_pt p = geo_pt_of(at);
    return p.lon >= a->lon_min && p.lon <= a->lon_max && p.lat >= a->lat_min && p.lat <= a->lat_max;
}

/* Strictly inside. */
static bool around_contains(const plc_around *a, geo_at at)
{
    geo_pt p = geo_pt_of(at);
    return p.lon > a->lon_min && p.lon < a->lon_max && p.lat > a->lat_min && p.lat < a->lat_max;
}

/* Which of geo_area_takes and geo_area_meets is asked. */
typedef sx_status area_test(const geo_area *, const geo_area *, bool *, sx_error *);

static sx_status belongs(feature *f, const bld_place *to, area_test *test, bool *yes)
{
    if (f->is_point) {
        geo_at at = f->shape.rings[0].at[0];
        *yes = to->area ? geo_area_side(to->area, geo_pt_of(at)) != GEO_SIDE_OUT
                        : around_holds(&to->around, at);
        return SX_OK;
    }
    if (to->area)
        return test(to->area, f->prepared, yes, f->err);
    geo_area *box;
    sx_status status = box_area(f, &to->around, &box);
    if (status != SX_OK)
        return status;
    status = test(box, f->prepared, yes, f->err);
    geo_area_free(box);
    return status;
}

static sx_status add_line(feature *f, const candidate *c, bool is_address)
{
    if (f->lines.count >= UINT16_MAX)
        return SX_OK;
    if (!sx_grow(&f->lines.items, &f->lines.cap, f->lines.count + 1, sizeof *f->lines.items))
        return sx_fail_memory(f->err, "the lines of an address");
    f->lines.items[f->lines.count++] =
        (bld_line){c->place, c->rank, is_address, !c->is_guess, c->distance};
    return SX_OK;
}

static double distance_to_center(const feature *f, geo_at center)
{
    return geo_shape_distance(&f->shape, geo_pt_of(center), NULL);
}

/* The place that a part of the address names; SX_ENOTFOUND if there is none. */
static sx_status named_place(feature *f, sx_str key, uint64_t hash, candidate *out)
{
    uint8_t from, to;
    double extent;
    bool found = false, meets = false;
    if (!plc_rank_of_part(key, f->p->country, &from, &to, &extent))
        return SX_EINVAL;
    geo_box near = geo_box_expand(f->box, extent);
    const bld_chains *names = &f->b->location_names;
    for (const bld_chain_link *l = bld_chains_first(names, hash); l;
         l = bld_chains_next(names, l)) {
        const bld_place *c = &f->b->places.items[l->place];
        geo_box reach = c->area ? c->box : c->reach;
        if (!c->is_location || c->partition != f->p->partition || c->rank_address < from ||
            c->rank_address > to || !geo_box_meets(reach, near))
            continue;
        bool yes;
        sx_status status = belongs(f, c, geo_area_meets, &yes);
        if (status != SX_OK)
            return status;
        double distance = distance_to_center(f, c->center);
        if (found && (yes < meets ||
                      (yes == meets && (distance > out->distance ||
                                        (distance == out->distance && l->place > out->place)))))
            continue;
        found = true;
        meets = yes;
        *out = (candidate){l->place, c->rank_address, c->area == NULL, distance, distance};
    }
    return found ? SX_OK : SX_ENOTFOUND;
}

static int by_own_order(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return x->is_guess != y->is_guess ? (x->is_guess ? -1 : 1) : 0;
}

bool bld_is_address_part(sx_str key)
{
    static const char *const OTHERS[] = {"postcode",    "housenumber",   "street",
                                         "place",       "country",       "full",
                                         "inclusion",   "interpolation", "conscriptionnumber",
                                         "streetnumber"};
    if (key.len == 0 || key.data[0] == '_' || memchr(key.data, ':', key.len))
        return false;
    for (size_t i = 0; i < SX_COUNT_OF(OTHERS); i++) {
        if (sx_str_eq(key, sx_str_z(OTHERS[i])))
            return false;
    }
    return true;
}

/* Candidates out of the own address; what names nothing goes to p->unknown. */
static sx_status own_parts(feature *f, candidate *out, uint32_t *count)
{
    const plc_pairs *address = &f->p->address;
    *count = 0;
    f->p->unknown = (bld_hashes){0};
    for (uint32_t i = 0; i < address->count; i++) {
        uint64_t hash;
        if (!bld_is_address_part(address->items[i].key))
            continue;
        sx_status status = bld_part_hash(f->w, sx_str_trim(address->items[i].value), &hash, f->err);
        if (status == SX_OK && hash)
            status = named_place(f, address->items[i].key, hash, &out[*count]);
        else if (status == SX_OK)
            continue;
        if (status == SX_OK) {
            ++*count;
        } else if (status == SX_ENOTFOUND) {
            if (!f->p->unknown.items)
                f->p->unknown.items =
                    sx_arena_alloc(&f->w->arena, address->count * sizeof(uint64_t));
            if (!f->p->unknown.items)
                return sx_fail_memory(f->err, "the parts of an address");
            f->p->unknown.items[f->p->unknown.count++] = hash;
        } else if (status != SX_EINVAL) {
            return status;
        }
    }
    return SX_OK;
}

static int by_near_order(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->is_guess != y->is_guess)
        return x->is_guess ? 1 : -1;
    if (x->weight != y->weight)
        return x->weight < y->weight ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Cities weigh more than towns, those more than villages, though all are of one rank. */
static double nearness(const bld_place *c, double distance)
{
    enum { CITY_RANK = 16 };
    if (c->rank_address != CITY_RANK)
        return distance;
    return distance * (c->rank_search == 15   ? 0.2
                       : c->rank_search == 16 ? 0.25
                       : c->rank_search == 18 ? 0.5
                                              : 1);
}

static sx_status near_places(feature *f, unsigned max_rank, candidate **out, uint32_t *count)
{
    uint32_t *ids, found;
    sx_status status = bld_find(f->w, &f->b->locations, f->box, &ids, &found, f->err);
    *count = 0;
    *out = sx_arena_alloc(&f->w->scratch, (found + 1) * sizeof **out);
    if (status == SX_OK && !*out)
        status = sx_fail_memory(f->err, "the places nearby");
    for (uint32_t i = 0; i < found && status == SX_OK; i++) {
        const bld_place *c = &f->b->places.items[ids[i]];
        bool yes = false, taken = false;
        if (!c->is_location || c->partition != f->p->partition || c->rank_address >= max_rank ||
            c == f->p)
            continue;
        for (size_t k = 0; k < f->lines.count; k++)
            taken |= f->lines.items[k].place == ids[i];
        if (!taken)
            status = belongs(f, c, geo_area_takes, &yes);
        if (!yes || status != SX_OK)
            continue;
        double distance = distance_to_center(f, c->center);
        if (c->area)
            distance = distance * TIE +
                       geo_shape_distance(geo_area_shape(c->area), geo_pt_of(f->p->center), NULL);
        (*out)[(*count)++] =
            (candidate){ids[i], c->rank_address, c->area == NULL, distance, nearness(c, distance)};
    }
    if (status == SX_OK)
        qsort(*out, *count, sizeof **out, by_near_order);
    return status;
}

/* What is known while lines are added in their order. */
typedef struct hierarchy {
    bool has_rank[32];
    double nearest[32]; /* of the nodes of a rank */
    const bld_place *boundary;
    plc_around node;
    bool has_node;
    uint32_t parent;
    uint8_t parent_rank;
    sx_str postcode;
} hierarchy;

static bool contains(const bld_place *area, geo_at at)
{
    return geo_area_side(area->area, geo_pt_of(at)) == GEO_SIDE_IN;
}

static sx_status take_own(feature *f, hierarchy *h)
{
    uint32_t count;
    candidate *own = sx_arena_alloc(&f->w->scratch, (f->p->address.count + 1) * sizeof *own);
    if (!own)
        return sx_fail_memory(f->err, "the parts of an address");
    sx_status status = own_parts(f, own, &count);
    if (status == SX_OK)
        qsort(own, count, sizeof *own, by_own_order);
    for (uint32_t i = 0; i < count && status == SX_OK; i++) {
        const candidate *c = &own[i];
        if (!h->has_rank[c->rank]) {
            h->has_rank[c->rank] = true;
            if (h->parent_rank < c->rank) {
                h->parent = c->place;
                h->parent_rank = c->rank;
            }
        }
        if (c->is_guess && c->distance < h->nearest[c->rank])
            h->nearest[c->rank] = c->distance;
        status = add_line(f, c, true);
    }
    return status;
}

static sx_status take_near(feature *f, hierarchy *h, const candidate *c)
{
    enum { POSTCODE_RANK_HIGH = 5, POSTCODE_RANK_LOW = 11 };
    const bld_place *place = &f->b->places.items[c->place];
    bool is_postcode = c->rank == POSTCODE_RANK_HIGH || c->rank == POSTCODE_RANK_LOW;
    bool is_address = !h->has_rank[c->rank];
    if (c->is_guess) {
        if (h->boundary && !contains(h->boundary, place->center))
            return SX_OK;
        if (!is_address && c->distance > 2 * h->nearest[c->rank])
            return SX_OK;
        if (c->distance < h->nearest[c->rank])
            h->nearest[c->rank] = c->distance;
        if (is_address && h->has_node)
            is_address = around_contains(&h->node, place->center);
    } else if (is_address && h->boundary && !is_postcode) {
        is_address = contains(h->boundary, place->center);
    }
    if (is_address) {
        h->has_rank[c->rank] = true;
        h->parent = c->place;
        if (place->area_postcode.len)
            h->postcode = place->area_postcode;
        if (c->is_guess) {
            h->node = place->around;
            h->has_node = true;
        } else if (!is_postcode) {
            h->has_node = false;
            h->boundary = place;
        }
    }
    return add_line(f, c, is_address);
}

static sx_status keep_lines(feature *f)
{
    bld_place *p = f->p;
    p->line_count = 0;
    if (f->lines.count == 0)
        return SX_OK;
    p->lines = sx_arena_alloc(&f->w->arena, f->lines.count * sizeof *p->lines);
    if (!p->lines)
        return sx_fail_memory(f->err, "the lines of an address");
    memcpy(p->lines, f->lines.items, f->lines.count * sizeof *p->lines);
    p->line_count = (uint32_t)f->lines.count;
    return SX_OK;
}

static sx_status start(feature *f, bld_whole whole)
{
    f->is_point = whole == BLD_CENTER_ONLY || f->p->shape.kind == GEO_SHAPE_POINT;
    if (f->is_point) {
        geo_ring *ring = sx_arena_alloc(&f->w->scratch, sizeof *ring);
        if (!ring)
            return sx_fail_memory(f->err, "the place of a node");
        f->shape = geo_shape_point(&f->p->center, ring);
        f->box = geo_box_at(f->p->center);
        return SX_OK;
    }
    f->box = f->p->box;
    sx_status status = bld_decode(f->p, &f->w->scratch, &f->shape, f->err);
    return status == SX_OK ? geo_area_new(&f->shape, &f->prepared, f->err) : status;
}

sx_status bld_address_lines(bld *b, bld_worker *w, bld_place *p, unsigned max_rank, bld_whole whole,
                            sx_str *postcode, sx_error *err)
{
    feature f = {.b = b, .w = w, .p = p, .err = err};
    hierarchy h = {.parent = PLC_NONE, .postcode = SX_STR("")};
    candidate *near = NULL;
    uint32_t count = 0;
    for (size_t i = 0; i < SX_COUNT_OF(h.nearest); i++)
        h.nearest[i] = 1.0;
    sx_status status = start(&f, whole);
    if (status == SX_OK)
        status = take_own(&f, &h);
    if (status == SX_OK)
        status = near_places(&f, max_rank, &near, &count);
    for (uint32_t i = 0; i < count && status == SX_OK; i++)
        status = take_near(&f, &h, &near[i]);
    if (status == SX_OK)
        status = keep_lines(&f);
    p->parent = h.parent;
    *postcode = h.postcode;
    geo_area_free(f.prepared);
    sx_free(f.lines.items);
    return status;
}

/* Whether the address of a street has the word of a name: its areas' names, and its own parts. */
static bool has_word(const bld *b, const bld_place *parent, uint64_t hash)
{
    for (uint32_t i = 0; i < parent->line_count; i++) {
        if (bld_hashes_hold(&b->places.items[parent->lines[i].place].words, hash))
            return true;
    }
    for (uint32_t i = 0; i < parent->unknown.count; i++) {
        if (parent->unknown.items[i] == hash)
            return true;
    }
    return false;
}

sx_status bld_extra_lines(bld *b, bld_worker *w, bld_place *p, sx_error *err)
{
    const bld_place *parent = &b->places.items[p->parent];
    feature f = {.b = b, .w = w, .p = p, .err = err};
    sx_status status = SX_OK;
    p->line_count = 0;
    bool is_searched = parent->words.count > 0;
    if (!is_searched && p->names.count == 0 && p->housenumber.len == 0)
        return SX_OK;
    for (uint32_t i = 0; i < p->address.count && status == SX_OK; i++) {
        const osm_tag *t = &p->address.items[i];
        candidate c;
        uint64_t hash = 0;
        if (!bld_is_address_part(t->key))
            continue;
        status = bld_part_hash(w, sx_str_trim(t->value), &hash, err);
        if (status != SX_OK || hash == 0 || has_word(b, parent, hash))
            continue;
        if (!f.shape.rings)
            status = start(&f, BLD_CENTER_ONLY);
        if (status == SX_OK)
            status = named_place(&f, t->key, hash, &c);
        if (status == SX_EINVAL || status == SX_ENOTFOUND)
            status = SX_OK;
        else if (status == SX_OK && parent->line_count > 0 && c.place != p->parent)
            status = add_line(&f, &c, true);
    }
    if (status == SX_OK)
        status = keep_lines(&f);
    sx_free(f.lines.items);
    return status;
}

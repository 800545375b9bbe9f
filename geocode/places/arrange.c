/* arrange.c - step 3 of the build: the places that others' addresses consist of.
 *
 * In the order in which Nominatim works, since each may use only what was done before: countries,
 * administrative boundaries from large to small, all others by address rank. Each takes its node,
 * is moved below what holds it, gets its address, and then counts for those that follow. */
#include <math.h>
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/places/build_impl.h"
#include "geocode/places/countries.h"

static bool is_boundary(const bld_place *p)
{
    return sx_str_eq(p->class_name, SX_STR("boundary")) &&
           sx_str_eq(p->type, SX_STR("administrative"));
}

static bool is_place(const bld_place *p)
{
    return sx_str_eq(p->class_name, SX_STR("place"));
}

/* --- Before the first. */

static sx_status prepare_piece(bld *b, bld_worker *w, size_t from, size_t to, void *ctx,
                               sx_error *err)
{
    sx_status status = SX_OK;
    (void)ctx;
    for (size_t i = from; i < to && status == SX_OK; i++) {
        bld_place *p = &b->places.items[i];
        sx_arena_reset(&w->scratch);
        p->base_address = p->rank_address;
        p->tagged = p->address;
        p->partition = plc_country_partition(p->country);
        status = bld_number_and_postcode(w, p, err);
        if (status == SX_OK && p->is_area && p->rank_address >= 1 &&
            p->rank_address <= BLD_RANK_AREA_MAX) {
            geo_shape *shape = sx_arena_alloc(&w->arena, sizeof *shape);
            if (!shape)
                return sx_fail_memory(err, "the areas of addresses");
            status = bld_decode(p, &w->arena, shape, err);
            if (status == SX_OK)
                status = geo_area_new(shape, &p->area, err);
        }
    }
    return status;
}

static bool box_of_holder(const bld_place *p, geo_box *box)
{
    *box = p->box;
    return p->area != NULL;
}

static bool box_of_node(const bld_place *p, geo_box *box)
{
    *box = geo_box_at(p->center);
    return p->kind == OSM_NODE && p->rank_search < BLD_RANK_STREET && is_place(p);
}

static bool box_of_location(const bld_place *p, geo_box *box)
{
    *box = p->area ? p->box : p->reach;
    return p->names.count > 0 && p->rank_search > BLD_RANK_COUNTRY &&
           p->rank_search <= BLD_RANK_AREA_MAX && p->base_address > 0 && !p->is_line &&
           (p->area || p->shape.kind == GEO_SHAPE_POINT);
}

/* --- Ranks. */

/* The nearest boundary above: its rank is to be passed. Returns what the parent's rank is. */
static sx_status below_boundaries(bld *b, bld_worker *w, bld_place *p, unsigned *parent_rank,
                                  sx_error *err)
{
    enum { NO_PARENT = 3, DEEPEST = 24 };
    uint32_t *ids, count;
    const bld_place *above = NULL;
    sx_status status = bld_find(w, &b->holders, geo_box_at(p->center), &ids, &count, err);
    *parent_rank = NO_PARENT;
    for (uint32_t i = 0; i < count && status == SX_OK; i++) {
        const bld_place *c = &b->places.items[ids[i]];
        if (c->kind != OSM_RELATION || !is_boundary(c) || c->admin_level >= p->admin_level ||
            c->admin_level <= 3 || c->rank_address < 1 || c->rank_address > BLD_RANK_AREA_MAX ||
            (above && above->admin_level >= c->admin_level) || !bld_area_holds(c, p->center))
            continue;
        above = c;
    }
    if (!above)
        return status;
    sx_str mine = plc_pairs_get(&p->extratags, SX_STR("wikidata"));
    sx_str theirs = plc_pairs_get(&above->extratags, SX_STR("wikidata"));
    if (mine.len && sx_str_eq(mine, theirs) &&
        sx_str_eq(bld_shape_bytes(&p->shape), bld_shape_bytes(&above->shape))) {
        p->rank_address = 0; /* the same boundary on two levels */
        return status;
    }
    *parent_rank = above->rank_address;
    if (above->rank_address >= p->rank_address)
        p->rank_address =
            above->rank_address >= DEEPEST ? BLD_RANK_AREA_MAX : (uint8_t)(above->rank_address + 2);
    return status;
}

/* Within which areas a place may not be of the same rank. */
typedef enum inside_of { INSIDE_PLACES, INSIDE_ANY } inside_of;

/* An area that lies wholly in one of its own rank or a lower one goes below it. */
static sx_status below_areas(bld *b, bld_worker *w, bld_place *p, inside_of which, sx_error *err)
{
    uint32_t *ids, count;
    const bld_place *above = NULL;
    sx_status status = bld_find(w, &b->holders, geo_box_at(p->center), &ids, &count, err);
    for (uint32_t i = 0; i < count && status == SX_OK; i++) {
        const bld_place *c = &b->places.items[ids[i]];
        bool covers = false;
        if (c == p || c->base_address < p->rank_address ||
            (which == INSIDE_PLACES ? !is_place(c) || c->rank_address < 1 || c->rank_address > 23
                                    : c->base_address >= 24 || c->rank_address < 1 ||
                                          c->rank_address > BLD_RANK_AREA_MAX) ||
            (above && above->base_address >= c->base_address) || !geo_box_holds(c->box, p->box) ||
            sx_str_eq(bld_shape_bytes(&p->shape), bld_shape_bytes(&c->shape)))
            continue;
        status = geo_area_covers(c->area, p->area, &covers, err);
        if (covers)
            above = c;
    }
    if (above)
        p->rank_address = (uint8_t)(above->rank_address + 2);
    return status;
}

/* A node that no boundary took and that lies in one of its own rank is a part of it. */
static sx_status node_below(bld *b, bld_worker *w, bld_place *p, sx_error *err)
{
    uint32_t *ids, count;
    sx_status status = bld_find(w, &b->holders, geo_box_at(p->center), &ids, &count, err);
    for (uint32_t i = 0; i < count && status == SX_OK; i++) {
        const bld_place *c = &b->places.items[ids[i]];
        bool same = is_place(c) ? c->base_address == p->rank_address
                                : sx_str_eq(c->class_name, SX_STR("boundary")) &&
                                      c->rank_address == p->rank_address;
        if (c->kind == OSM_RELATION && same && c->rank_address >= 1 &&
            c->rank_address <= BLD_RANK_AREA_MAX && bld_area_holds(c, p->center)) {
            p->rank_address += 2;
            break;
        }
    }
    return status;
}

enum { PARENT_UNKNOWN = 255 }; /* no rank is beyond it: a node's or tag's rank is not taken */

static sx_status arrange_rank(bld *b, bld_worker *w, bld_place *p, unsigned *parent_rank,
                              sx_error *err)
{
    enum { SETTLEMENT_MIN = 16, SETTLEMENT_MAX = 23, STATE_MAX = 9 };
    bool is_settlement =
        is_place(p) && p->rank_address >= SETTLEMENT_MIN && p->rank_address <= SETTLEMENT_MAX;
    *parent_rank = 3;
    if (is_boundary(p) && p->kind == OSM_RELATION && p->rank_address > 0) {
        sx_status status = below_boundaries(b, w, p, parent_rank, err);
        return status == SX_OK && p->rank_address > STATE_MAX && p->area
                   ? below_areas(b, w, p, INSIDE_PLACES, err)
                   : status;
    }
    if (!is_settlement || !(p->area || p->kind == OSM_NODE))
        return SX_OK;
    *parent_rank = PARENT_UNKNOWN;
    return p->area ? below_areas(b, w, p, INSIDE_ANY, err) : node_below(b, w, p, err);
}

/* --- Countries. */

static void set_country(bld *b, bld_place *p)
{
    if (p->rank_search < BLD_RANK_COUNTRY) {
        p->country = 0;
    } else {
        sx_str code = plc_pairs_get(&p->address, SX_STR("country"));
        uint16_t own = p->rank_search == BLD_RANK_COUNTRY ? plc_country_of(code) : 0;
        p->country =
            own && plc_country_partition(own) ? own : bld_country_of(b, p->center, p->grid_country);
    }
    p->partition = plc_country_partition(p->country);
    if (p->country == p->grid_country && p->rank_search >= BLD_RANK_COUNTRY) {
        p->rank_address = p->base_address; /* as it was classified */
        return;
    }
    plc_ranks ranks = bld_ranks(p, p->country);
    p->rank_search = ranks.search;
    p->rank_address = p->base_address = ranks.address;
    p->importance = bld_importance(ranks.search);
}

static sx_status set_countries(bld *b, bld_worker *w, size_t from, size_t to, void *ctx,
                               sx_error *err)
{
    (void)w;
    (void)ctx;
    (void)err;
    for (size_t i = from; i < to; i++) {
        bld_place *p = &b->places.items[i];
        if (p->is_done)
            continue;
        set_country(b, p);
        if (p->shape.kind == GEO_SHAPE_POINT && p->base_address > 0 &&
            p->rank_search <= BLD_RANK_AREA_MAX)
            p->around =
                plc_box_around(geo_pt_of(p->center), plc_node_reach_m(p->rank_search), &p->reach);
    }
    return SX_OK;
}

/* --- One place. */

/* The node that the area takes over: its middle, its rank and its tags. */
static sx_status take_node(bld_worker *w, bld *b, bld_place *p, uint32_t at, unsigned parent_rank,
                           sx_error *err)
{
    bld_place *node = &b->places.items[at];
    if (geo_area_side(p->area, geo_pt_of(node->center)) == GEO_SIDE_IN)
        p->center = node->center;
    if (node->base_address > parent_rank && node->base_address < BLD_RANK_STREET)
        p->rank_address = node->base_address;
    if (node->importance > p->importance)
        p->importance = node->importance;
    node->linked = (uint32_t)(p - b->places.items);
    node->is_location = false;
    node->rank_address = node->base_address;
    return bld_take_tags(w, p, node, err);
}

/* A boundary without a node may still say which kind of place it bounds. */
static void take_place_tag(bld_place *p, unsigned parent_rank)
{
    plc_rank_query q = {.class_name = SX_STR("place"),
                        .type = plc_pairs_get(&p->extratags, SX_STR("place")),
                        .extent = PLC_ANY_AREA,
                        .country = p->country};
    if (p->rank_address < BLD_RANK_COUNTRY || p->rank_address > BLD_RANK_AREA_MAX ||
        q.type.len == 0)
        return;
    plc_ranks ranks = plc_rank_of(&q);
    if (ranks.address > parent_rank && ranks.address < BLD_RANK_STREET)
        p->rank_address = ranks.address;
}

static sx_status become_location(bld *b, bld_place *p, sx_error *err)
{
    uint32_t at = (uint32_t)(p - b->places.items);
    sx_status status = SX_OK;
    if (p->rank_search <= BLD_RANK_COUNTRY) {
        if (!p->is_area || p->country == 0 || p->rank_address == 0)
            return SX_OK;
        if (!sx_grow(&b->countries, &b->country_cap, b->country_count + 1, sizeof *b->countries))
            return sx_fail_memory(err, "the countries of the data");
        b->countries[b->country_count++] = at;
        return SX_OK;
    }
    geo_box box;
    if (p->rank_address == 0 || !box_of_location(p, &box))
        return SX_OK;
    p->is_location = true;
    for (uint32_t i = 0; i < p->words.count && status == SX_OK; i++)
        status = bld_chains_put(&b->location_names, p->words.items[i], at, err);
    return status;
}

/* How much of a place's shape its address is made for, and up to which rank. */
bld_whole bld_address_scope(const bld_place *p, unsigned *max_rank)
{
    enum { LARGE_RANK = 10 };
    bld_whole whole = p->is_line ? BLD_WHOLE_SHAPE : BLD_CENTER_ONLY;
    if (p->rank_address > BLD_RANK_AREA_MAX) {
        *max_rank = BLD_RANK_AREA_MAX;
    } else if (p->rank_address > 0) {
        *max_rank = p->rank_address;
    } else {
        double area = p->is_line ? p->size * p->size * 0.1 : p->size;
        *max_rank = p->is_line || p->is_area ? plc_rank_of_size(area, p->country) : p->rank_search;
        if (sx_str_eq(p->class_name, SX_STR("natural")) || *max_rank > LARGE_RANK)
            whole = BLD_WHOLE_SHAPE;
    }
    return whole;
}

static bool is_single_postcode(sx_str s)
{
    return s.len > 0 && !memchr(s.data, ',', s.len) && !memchr(s.data, ';', s.len);
}

sx_status bld_finish_place(bld *b, bld_worker *w, bld_place *p, bld_with_forms forms, sx_error *err)
{
    unsigned max_rank;
    sx_str postcode;
    bld_whole whole = bld_address_scope(p, &max_rank);
    sx_status status = bld_name_words(w, p, forms, err);
    if (status == SX_OK)
        status = bld_address_lines(b, w, p, max_rank, whole, &postcode, err);
    if (status != SX_OK)
        return status;
    p->postcode = p->own_postcode.len ? p->own_postcode : postcode;
    p->area_postcode = is_single_postcode(p->postcode) ? p->postcode : SX_STR("");
    if (p->words.count > 0)
        status = bld_add_default_name(w, p, err);
    bool is_long = p->is_line && p->rank_address == 0 && p->size >= 0.02;
    if (status == SX_OK && p->postcode.len == 0 && p->rank_search > 8 && !is_long)
        status = bld_nearest_postcode(b, w, p, err);
    return status;
}

static sx_status work_on(bld *b, bld_place *p, uint32_t node, sx_error *err)
{
    bld_worker *w = &b->workers[0];
    unsigned parent_rank;
    p->is_done = true;
    if (p->linked != PLC_NONE)
        return SX_OK;
    sx_arena_reset(&w->scratch);
    sx_status status = arrange_rank(b, w, p, &parent_rank, err);
    if (status == SX_OK && node != PLC_NONE)
        status = bld_take_names(w, p, &b->places.items[node], err);
    if (status == SX_OK && node != PLC_NONE)
        status = take_node(w, b, p, node, parent_rank, err);
    else if (status == SX_OK)
        take_place_tag(p, parent_rank);
    if (status == SX_OK)
        status = bld_finish_place(b, w, p, BLD_WITHOUT_FORMS, err);
    return status == SX_OK && p->words.count > 0 ? become_location(b, p, err) : status;
}

/* --- The order. */

typedef struct turn {
    uint32_t rank, order;
    uint64_t row;
    uint32_t place, node;
} turn;

/* Nominatim works its way from one square degree to the next, by the part of the world. */
uint32_t bld_sector(const bld_place *p)
{
    geo_pt at = geo_pt_of(p->center);
    uint32_t partition = plc_country_partition(p->grid_country);
    return partition * 1000000u + (uint32_t)(500 - (int)rint(at.lon)) * 1000u +
           (uint32_t)(500 - (int)rint(at.lat));
}

static uint32_t order_of_boundary(const bld_place *p)
{
    enum { LEVELS = 16 };
    return plc_country_partition(p->grid_country) * LEVELS + p->admin_level;
}

static int by_turn(const void *a, const void *b)
{
    const turn *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Whose turn comes in this round, and by what: 0 not at all. */
typedef unsigned turn_of(const bld_place *p);

static unsigned turn_of_country(const bld_place *p)
{
    return p->rank_address <= BLD_RANK_COUNTRY ? p->rank_address : 0;
}

static unsigned turn_of_boundary(const bld_place *p)
{
    return is_boundary(p) && p->rank_search >= BLD_RANK_COUNTRY &&
                   p->rank_search <= BLD_RANK_AREA_MAX && !p->is_done
               ? p->rank_search
               : 0;
}

static unsigned turn_of_others(const bld_place *p)
{
    return p->rank_address <= BLD_RANK_AREA_MAX && !p->is_done ? p->rank_address : 0;
}

/* Works on the places of a round. Links are looked for a rank at a time, as things are before it. */
static sx_status round_of(bld *b, turn_of *of, bool countries, sx_error *err)
{
    size_t count = 0, cap = 0;
    turn *turns = NULL;
    sx_status status = SX_OK;
    for (size_t i = 0; i < b->places.count && status == SX_OK; i++) {
        const bld_place *p = &b->places.items[i];
        unsigned rank = of(p);
        if (rank == 0)
            continue;
        if (!sx_grow(&turns, &cap, count + 1, sizeof *turns)) {
            status = sx_fail_memory(err, "the order of places");
            break;
        }
        uint32_t order = of == turn_of_boundary ? order_of_boundary(p) : bld_sector(p);
        turns[count++] = (turn){rank, order, p->row, (uint32_t)i, PLC_NONE};
    }
    if (status == SX_OK && count > 0)
        qsort(turns, count, sizeof *turns, by_turn);
    for (size_t i = 0; i < count && status == SX_OK;) {
        size_t end = i;
        for (; end < count && turns[end].rank == turns[i].rank && status == SX_OK; end++) {
            bld_place *p = &b->places.items[turns[end].place];
            sx_arena_reset(&b->workers[0].scratch);
            if (p->linked == PLC_NONE)
                status = bld_find_linked(b, &b->workers[0], p, &turns[end].node, err);
        }
        for (; i < end && status == SX_OK; i++) {
            bld_place *p = &b->places.items[turns[i].place];
            if (countries)
                set_country(b, p);
            status = work_on(b, p, turns[i].node, err);
        }
    }
    sx_free(turns);
    return status;
}

sx_status bld_arrange(bld *b, sx_error *err)
{
    enum { PIECE = 256 };
    sx_status status = bld_run(b, b->places.count, PIECE, prepare_piece, NULL, err);
    if (status == SX_OK)
        status = bld_tree_build(b, &b->holders, box_of_holder, err);
    if (status == SX_OK)
        status = bld_tree_build(b, &b->nodes, box_of_node, err);
    if (status == SX_OK)
        status = bld_tree_build(b, &b->locations, box_of_location, err);
    if (status == SX_OK)
        status = round_of(b, turn_of_country, true, err);
    if (status == SX_OK)
        status = bld_run(b, b->places.count, PIECE, set_countries, NULL, err);
    if (status == SX_OK)
        status = bld_tree_build(b, &b->locations, box_of_location, err);
    if (status == SX_OK)
        status = round_of(b, turn_of_boundary, false, err);
    if (status == SX_OK)
        status = round_of(b, turn_of_others, false, err);
    return status;
}

/* interpolate.c - house numbers along a way, between the nodes of it that have one.
 *
 * The way is cut at its numbered nodes; a piece is kept if numbers lie between those of its ends, and cut
 * again so that it begins and ends where the first and the last of them stand. */
#include <stdlib.h>

#include <sextant/mem.h>
#include <sextant/number.h>

#include "geocode/places/build_impl.h"
#include "geocode/places/countries.h"
#include "geocode/places/nearby.h"

/* Degrees: how far a numbered node may be from the way, and the street from it. */
static const double NODE_REACH = 0.0005, STREET_REACH = 0.001;

/* A way being cut. */
typedef struct cutter {
    bld *b;
    bld_worker *w;
    const bld_interpolation *way;
    geo_shape shape;
    geo_ring rest;   /* what has not been cut off yet; count 0: nothing */
    bld_piece piece; /* what all pieces have in common */
    int32_t parity;  /* of the numbers; -1: any */
    sx_str last_postcode;
    sx_error *err;
} cutter;

/* A numbered node of the way. */
typedef struct numbered {
    const bld_place *place;
    int32_t number;
    sx_str postcode;
} numbered;

static bool step_of(sx_str type, int32_t *step, int32_t *parity)
{
    *parity = -1;
    if (sx_str_eq(type, SX_STR("odd")) || sx_str_eq(type, SX_STR("even"))) {
        *step = 2;
        *parity = type.data[0] == 'o';
    } else if (sx_str_eq(type, SX_STR("all"))) {
        *step = 1;
    } else if (type.len == 1 && type.data[0] >= '1' && type.data[0] <= '9') {
        *step = type.data[0] - '0';
    } else {
        return false; /* letters are not counted */
    }
    return true;
}

/* One to six digits. */
static bool number_of(sx_str text, int32_t *out)
{
    enum { DIGITS_MAX = 6 };
    *out = 0;
    if (text.len < 1 || text.len > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *out = *out * 10 + (text.data[i] - '0');
    }
    return true;
}

/* The next node from *at on that has a number and lies on the way. */
static bool next_numbered(const cutter *c, uint32_t *at, numbered *out)
{
    for (; *at < c->way->node_count; ++*at) {
        size_t first, count = bld_find_object(c->b, OSM_NODE, c->way->nodes[*at], &first);
        for (size_t i = first; i < first + count; i++) {
            const bld_place *p = &c->b->places.items[i];
            if (!number_of(plc_pairs_get(&p->address, SX_STR("housenumber")), &out->number) ||
                geo_shape_distance(&c->shape, geo_pt_of(p->center), NULL) >= NODE_REACH)
                continue;
            out->place = p;
            out->postcode =
                plc_pairs_get(&p->address, SX_STR("postcode")).len ? p->postcode : SX_STR("");
            ++*at;
            return true;
        }
    }
    return false;
}

static sx_status points_for(cutter *c, uint32_t count, geo_at **out)
{
    *out = sx_arena_alloc(&c->w->scratch, ((size_t)count + 2) * sizeof **out);
    return *out ? SX_OK : sx_fail_memory(c->err, "the pieces of an interpolation");
}

/* Cuts the rest of the way at the node; *section is what lies before it, with no points if there is
 * nothing. */
static sx_status cut_at(cutter *c, const bld_place *node, geo_ring *section)
{
    geo_at *before, *after;
    double at = geo_line_fraction(&c->rest, geo_pt_of(node->center));
    *section = (geo_ring){0};
    if (at <= 0)
        return SX_OK;
    if (at >= 1) {
        *section = c->rest;
        c->rest.count = 0;
        return SX_OK;
    }
    sx_status status = points_for(c, c->rest.count, &before);
    if (status == SX_OK)
        status = points_for(c, c->rest.count, &after);
    if (status != SX_OK)
        return status;
    *section = (geo_ring){before, geo_line_part(&c->rest, 0, at, before), false};
    c->rest = (geo_ring){after, geo_line_part(&c->rest, at, 1, after), false};
    return SX_OK;
}

static sx_status reversed(cutter *c, geo_ring *line)
{
    geo_at *at;
    sx_status status = points_for(c, line->count, &at);
    for (uint32_t i = 0; status == SX_OK && i < line->count; i++)
        at[i] = line->at[line->count - 1 - i];
    if (status == SX_OK)
        line->at = at;
    return status;
}

static sx_status keep_piece(cutter *c, const geo_ring *line, sx_error *err)
{
    bld_piece row = c->piece;
    geo_shape shape = {line->count > 1 ? GEO_SHAPE_LINE : GEO_SHAPE_POINT, line, 1};
    row.box = geo_shape_box(&shape);
    sx_status status = bld_keep_shape(c->w, &shape, &row.shape, err);
    if (status != SX_OK)
        return status;
    if (!sx_grow(&c->b->pieces.items, &c->b->pieces.cap, c->b->pieces.count + 1, sizeof row))
        return sx_fail_memory(err, "the interpolations");
    c->b->pieces.items[c->b->pieces.count++] = row;
    return SX_OK;
}

static sx_status postcode_of(cutter *c, const numbered *from, const numbered *to, sx_str *found)
{
    *found = from->postcode.len ? from->postcode : to->postcode;
    if (found->len == 0)
        *found = c->last_postcode;
    if (found->len == 0)
        *found = c->b->places.items[c->piece.parent].postcode;
    if (found->len)
        return SX_OK;
    geo_ring ring;
    geo_shape point = geo_shape_point(&to->place->center, &ring);
    return bld_postcode_near(c->b, c->w, c->piece.country, &point, geo_box_at(to->place->center),
                             found, c->err);
}

/* The numbers between two nodes, on the section between them. */
static sx_status add_between(cutter *c, const numbered *from, const numbered *to, geo_ring section)
{
    int32_t low = from->number, high = to->number, step = c->piece.step;
    sx_status status = SX_OK;
    if (low > high) {
        low = to->number;
        high = from->number;
        status = reversed(c, &section);
    }
    if (status != SX_OK || high - low <= step || section.count < 2)
        return status;
    if (c->parity < 0) {
        c->piece.first = low + step;
    } else {
        int32_t first = low + 1, off = first % step - c->parity;
        c->piece.first = first + (off < 0 ? step + off : off);
    }
    c->piece.last = c->piece.first + (high - 1 - c->piece.first) / step * step;
    geo_at *at;
    status = points_for(c, section.count, &at);
    if (status != SX_OK)
        return status;
    double all = high - low;
    double start = (c->piece.first - low) / all, end = (c->piece.last - low) / all;
    if (end < start)
        return SX_OK;
    geo_ring line = {at, geo_line_part(&section, start, end, at), false};
    status = postcode_of(c, from, to, &c->piece.postcode);
    c->last_postcode = c->piece.postcode;
    return status == SX_OK ? keep_piece(c, &line, c->err) : status;
}

/* The nearest street to the way. */
static void nearest_street(cutter *c, const uint32_t *ids, uint32_t count)
{
    double best = STREET_REACH;
    for (uint32_t i = 0; i < count; i++) {
        const bld_place *p = &c->b->places.items[ids[i]];
        if (p->kind != OSM_WAY || p->rank_search != BLD_RANK_STREET ||
            p->shape.kind == GEO_SHAPE_POINT)
            continue;
        double d = plc_line_nearness(bld_shape_bytes(&p->shape), &c->shape.rings[0], best);
        if (d >= 0 && (d < best || (d == best && c->piece.parent == PLC_NONE))) {
            best = d;
            c->piece.parent = ids[i];
        }
    }
}

/* The address by which the street is found: its own, or a node's with a street or place. */
static plc_pairs address_for_street(cutter *c, bool *inherited)
{
    const plc_pairs *own = &c->way->address;
    *inherited = false;
    if (plc_pairs_get(own, SX_STR("street")).len || plc_pairs_get(own, SX_STR("place")).len)
        return *own;
    for (uint32_t k = 0; k < c->way->node_count; k++) {
        size_t first, count = bld_find_object(c->b, OSM_NODE, c->way->nodes[k], &first);
        for (size_t i = first; i < first + count; i++) {
            const plc_pairs *theirs = &c->b->places.items[i].address;
            if (plc_pairs_get(theirs, SX_STR("street")).len ||
                plc_pairs_get(theirs, SX_STR("place")).len) {
                *inherited = true;
                return *theirs;
            }
        }
    }
    return *own;
}

static sx_status find_parent(cutter *c)
{
    geo_at center;
    bool inherited;
    uint32_t *ids, count;
    sx_status status = geo_shape_center(&c->shape, &center, c->err);
    if (status != SX_OK)
        return status;
    plc_pairs address = address_for_street(c, &inherited);
    c->piece.country = bld_grid_country(center);
    c->piece.address = inherited ? (plc_pairs){0} : c->way->address;
    status = bld_find_street(c->b, c->w, &address, plc_country_partition(c->piece.country), center,
                             &c->piece.parent, c->err);
    if (status != SX_OK || c->piece.parent != PLC_NONE)
        return status;
    status = bld_find(c->w, &c->b->lanes, geo_box_expand(geo_shape_box(&c->shape), STREET_REACH),
                      &ids, &count, c->err);
    if (status == SX_OK)
        nearest_street(c, ids, count);
    return status;
}

static sx_status cut_way(cutter *c)
{
    numbered from = {0}, to;
    uint32_t at = 0;
    sx_str bytes = bld_shape_bytes(&c->way->shape);
    geo_cursor cursor = geo_cursor_at((const uint8_t *)bytes.data, bytes.len, 0);
    sx_status status =
        geo_shape_decode(&cursor, &c->w->scratch, (geo_shape_limits){0}, &c->shape, c->err);
    if (status == SX_OK)
        status = find_parent(c);
    if (status != SX_OK || c->piece.parent == PLC_NONE)
        return status;
    bool begun = false;
    while (status == SX_OK && next_numbered(c, &at, &to)) {
        geo_ring section = {0};
        if (!begun)
            c->rest = c->shape.rings[0];
        else
            status = cut_at(c, to.place, &section);
        if (status == SX_OK && begun && section.count > 1)
            status = add_between(c, &from, &to, section);
        if (c->rest.count < 2)
            break;
        from = to;
        begun = true;
    }
    return status;
}

static bool box_of_lane(const bld_place *p, geo_box *box)
{
    *box = p->box;
    return p->kind == OSM_WAY && p->rank_search == BLD_RANK_STREET;
}

sx_status bld_interpolate(bld *b, sx_error *err)
{
    bld_worker *w = &b->workers[0];
    sx_status status =
        b->interpolations.count ? bld_tree_build(b, &b->lanes, box_of_lane, err) : SX_OK;
    for (size_t i = 0; i < b->interpolations.count && status == SX_OK; i++) {
        cutter c = {.b = b, .w = w, .way = &b->interpolations.items[i], .err = err};
        c.piece.osm_id = c.way->osm_id;
        c.piece.parent = PLC_NONE;
        if (!step_of(c.way->type, &c.piece.step, &c.parity))
            continue;
        sx_arena_reset(&w->scratch);
        status = cut_way(&c);
    }
    return status;
}

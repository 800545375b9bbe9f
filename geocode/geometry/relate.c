/* relate.c - see relate.h.
 *
 * A segment of the asked shape is cut where the area's edges cross it; each piece lies as its middle
 * does, unless it runs along an edge. A segment that meets no edge lies as the end of the one before
 * did, so that most of a shape costs a look at the bands and nothing else. */
#include "geocode/geometry/relate.h"

#include <math.h>
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/geometry/exact.h"

typedef struct edge {
    geo_at a, b;
} edge;

struct geo_area {
    geo_shape shape;
    geo_box box;
    edge *edges;
    uint32_t *band; /* [bands + 1]: where a band begins in `at` */
    uint32_t *at;   /* edge numbers by band */
    uint32_t edge_count, bands;
    double scale; /* bands a unit of latitude */
};

enum { BANDS_MAX = 1 << 16 };

/* The same rounding for edges and questions, so that none is missed. */
static uint32_t band_of(const geo_area *a, double lat)
{
    double band = (lat - a->box.lat_min) * a->scale;
    if (!(band > 0))
        return 0;
    return band >= a->bands ? a->bands - 1 : (uint32_t)band;
}

static uint32_t edge_low(const geo_area *a, const edge *e)
{
    return band_of(a, e->a.lat_e7 < e->b.lat_e7 ? e->a.lat_e7 : e->b.lat_e7);
}

static uint32_t edge_high(const geo_area *a, const edge *e)
{
    return band_of(a, e->a.lat_e7 < e->b.lat_e7 ? e->b.lat_e7 : e->a.lat_e7);
}

/* Chooses as many bands as keep the lists short: edges that run north to south are in many. */
static uint64_t choose_bands(geo_area *a)
{
    uint64_t entries;
    a->bands = a->edge_count / 4 + 1;
    if (a->bands > BANDS_MAX)
        a->bands = BANDS_MAX;
    for (;; a->bands = a->bands / 2 + 1) {
        a->scale = a->bands / ((double)a->box.lat_max - a->box.lat_min + 1);
        entries = 0;
        for (uint32_t i = 0; i < a->edge_count; i++)
            entries += edge_high(a, &a->edges[i]) - edge_low(a, &a->edges[i]) + 1;
        if (entries <= 3 * (uint64_t)a->edge_count || a->bands <= 2)
            return entries;
    }
}

static void list_edges(geo_area *a)
{
    const geo_shape *s = &a->shape;
    for (uint32_t i = 0; i < s->ring_count; i++) {
        const geo_ring *r = &s->rings[i];
        if (r->count == 1)
            a->edges[a->edge_count++] = (edge){r->at[0], r->at[0]};
        for (uint32_t k = 1; k < r->count; k++)
            if (!geo_at_equal(r->at[k - 1], r->at[k]))
                a->edges[a->edge_count++] = (edge){r->at[k - 1], r->at[k]};
    }
}

sx_status geo_area_new(const geo_shape *shape, geo_area **out, sx_error *err)
{
    uint64_t points = geo_shape_points(shape);
    geo_area *a = sx_calloc(1, sizeof *a);
    if (!a)
        return sx_fail_memory(err, "a prepared area");
    *a = (geo_area){.shape = *shape, .box = geo_shape_box(shape)};
    a->edges = sx_alloc(points * sizeof *a->edges);
    if (!a->edges)
        goto out;
    list_edges(a);
    uint64_t entries = choose_bands(a);
    a->band = sx_calloc((size_t)a->bands + 2, sizeof *a->band);
    a->at = sx_alloc(entries * sizeof *a->at + 1);
    if (!a->band || !a->at)
        goto out;
    /* Counted one place further on, so that filling moves each start to its end. */
    for (uint32_t i = 0; i < a->edge_count; i++)
        for (uint32_t b = edge_low(a, &a->edges[i]); b <= edge_high(a, &a->edges[i]); b++)
            a->band[b + 2]++;
    for (uint32_t b = 2; b < a->bands + 2; b++)
        a->band[b] += a->band[b - 1];
    for (uint32_t i = 0; i < a->edge_count; i++)
        for (uint32_t b = edge_low(a, &a->edges[i]); b <= edge_high(a, &a->edges[i]); b++)
            a->at[a->band[b + 1]++] = i;
    *out = a;
    return SX_OK;
out:
    geo_area_free(a);
    return sx_fail_memory(err, "a prepared area");
}

void geo_area_free(geo_area *a)
{
    if (!a)
        return;
    sx_free(a->edges);
    sx_free(a->band);
    sx_free(a->at);
    sx_free(a);
}

geo_box geo_area_box(const geo_area *area)
{
    return area->box;
}

const geo_shape *geo_area_shape(const geo_area *area)
{
    return &area->shape;
}

/* Whether an integer point is on an edge. */
static bool on_edge(geo_at p, const edge *e)
{
    return geo_turn(e->a, e->b, p) == 0 &&
           (p.lon_e7 < e->a.lon_e7 ? p.lon_e7 >= e->b.lon_e7
                                   : p.lon_e7 == e->a.lon_e7 || p.lon_e7 <= e->b.lon_e7) &&
           (p.lat_e7 < e->a.lat_e7 ? p.lat_e7 >= e->b.lat_e7
                                   : p.lat_e7 == e->a.lat_e7 || p.lat_e7 <= e->b.lat_e7);
}

/* `p` in stored units. */
static geo_side side_of(const geo_area *a, geo_pt p)
{
    bool odd = false;
    if (p.lat < a->box.lat_min || p.lat > a->box.lat_max || p.lon < a->box.lon_min ||
        p.lon > a->box.lon_max)
        return GEO_SIDE_OUT;
    uint32_t band = band_of(a, p.lat);
    for (uint32_t i = a->band[band]; i < a->band[band + 1]; i++) {
        const edge *e = &a->edges[a->at[i]];
        int met = geo_ray(p, e->a, e->b);
        if (met == 2)
            return GEO_SIDE_EDGE;
        odd ^= met == 1;
    }
    return odd && geo_shape_is_area(a->shape.kind) ? GEO_SIDE_IN : GEO_SIDE_OUT;
}

geo_side geo_area_side(const geo_area *area, geo_pt p)
{
    return side_of(area, geo_units(p));
}

/* One segment against the edges. */

typedef struct stretch {
    double from, to; /* along the segment, 0 to 1; from == to: a crossing or a touch */
} stretch;

typedef struct cutting {
    const geo_area *area;
    stretch *cuts;
    size_t count, cap;
    unsigned lies;
    geo_pt touched; /* the first point found on the edge, in stored units */
} cutting;

static void touch(cutting *c, geo_pt p)
{
    if (!(c->lies & GEO_LIES_TOUCH)) {
        c->lies |= GEO_LIES_TOUCH;
        c->touched = p;
    } else if (fabs(p.lon - c->touched.lon) > 1e-3 || fabs(p.lat - c->touched.lat) > 1e-3) {
        c->lies |= GEO_LIES_TOUCHES;
    }
}

static geo_pt along(geo_at p, geo_at q, double part)
{
    return (geo_pt){p.lon_e7 + part * ((double)q.lon_e7 - p.lon_e7),
                    p.lat_e7 + part * ((double)q.lat_e7 - p.lat_e7)};
}

static bool add_cut(cutting *c, geo_at p, geo_at q, double from, double to)
{
    if (!sx_grow(&c->cuts, &c->cap, c->count + 1, sizeof *c->cuts))
        return false;
    c->cuts[c->count++] = (stretch){from, to};
    touch(c, along(p, q, from));
    if (to > from)
        touch(c, along(p, q, to));
    return true;
}

/* Where along p to q the point `at`, which is on its line, lies. */
static double part_at(geo_at p, geo_at q, geo_at at)
{
    double x = (double)q.lon_e7 - p.lon_e7, y = (double)q.lat_e7 - p.lat_e7;
    return fabs(x) > fabs(y) ? ((double)at.lon_e7 - p.lon_e7) / x
                             : ((double)at.lat_e7 - p.lat_e7) / y;
}

static bool cut_by(cutting *c, geo_at p, geo_at q, const edge *e)
{
    int ep = geo_turn(e->a, e->b, p), eq = geo_turn(e->a, e->b, q);
    if (ep * eq > 0)
        return true;
    int pa = geo_turn(p, q, e->a), pb = geo_turn(p, q, e->b);
    if (pa * pb > 0)
        return true;
    if (pa == 0 && pb == 0) { /* on one line */
        double from = part_at(p, q, e->a), to = part_at(p, q, e->b);
        if (from > to) {
            double swap = from;
            from = to;
            to = swap;
        }
        if (from > 1 || to < 0)
            return true;
        return add_cut(c, p, q, from > 0 ? from : 0, to < 1 ? to : 1);
    }
    if (ep == 0 || eq == 0) /* an end of the segment on the edge, or else on its line only */
        return !on_edge(ep == 0 ? p : q, e) || add_cut(c, p, q, ep ? 1 : 0, ep ? 1 : 0);
    if (pa == 0 || pb == 0) {
        double part = part_at(p, q, pa == 0 ? e->a : e->b);
        return add_cut(c, p, q, part, part);
    }
    double ex = (double)e->b.lon_e7 - e->a.lon_e7, ey = (double)e->b.lat_e7 - e->a.lat_e7;
    double left = ex * ((double)p.lat_e7 - e->a.lat_e7) - ey * ((double)p.lon_e7 - e->a.lon_e7);
    double right = ex * ((double)q.lat_e7 - e->a.lat_e7) - ey * ((double)q.lon_e7 - e->a.lon_e7);
    double part = left / (left - right);
    return add_cut(c, p, q, part, part);
}

static int by_from(const void *x, const void *y)
{
    const stretch *a = x, *b = y;
    return (a->from > b->from) - (a->from < b->from);
}

static void lie_as(cutting *c, geo_side side)
{
    if (side != GEO_SIDE_EDGE) /* else too near to tell: a piece that counts for nothing */
        c->lies |= side == GEO_SIDE_IN ? GEO_LIES_IN : GEO_LIES_OUT;
}

/* The pieces between the cuts. *side: how the end lies (GEO_SIDE_EDGE: on it, to be asked again). */
static void weigh_pieces(cutting *c, geo_at p, geo_at q, geo_side *side)
{
    double reach = 0;
    double least =
        0.01 / fmax(fabs((double)q.lon_e7 - p.lon_e7), fabs((double)q.lat_e7 - p.lat_e7));
    qsort(c->cuts, c->count, sizeof *c->cuts, by_from);
    for (size_t i = 0; i <= c->count; i++) {
        stretch s = i < c->count ? c->cuts[i] : (stretch){1, 1};
        if (s.from - reach > least)
            lie_as(c, side_of(c->area, along(p, q, (reach + s.from) / 2)));
        if (s.to - s.from > 0)
            c->lies |= GEO_LIES_EDGE;
        if (s.to > reach)
            reach = s.to;
    }
    *side = side_of(c->area, (geo_pt){q.lon_e7, q.lat_e7});
}

/* *side is how p lies, and becomes how q lies. */
static bool weigh_segment(cutting *c, geo_at p, geo_at q, geo_side *side)
{
    const geo_area *a = c->area;
    geo_box box = geo_box_at(p);
    geo_box_add(&box, q);
    c->count = 0;
    if (geo_box_meets(box, a->box)) {
        uint32_t low = band_of(a, box.lat_min), high = band_of(a, box.lat_max);
        for (uint32_t b = low; b <= high; b++)
            for (uint32_t i = a->band[b]; i < a->band[b + 1]; i++) {
                const edge *e = &a->edges[a->at[i]];
                geo_box of = geo_box_at(e->a);
                geo_box_add(&of, e->b);
                uint32_t first = edge_low(a, e);
                if (!geo_box_meets(box, of) || b != (first > low ? first : low))
                    continue; /* far, or looked at in an earlier band */
                if (!cut_by(c, p, q, e))
                    return false;
            }
    }
    if (c->count)
        weigh_pieces(c, p, q, side);
    else
        lie_as(c, *side);
    return true;
}

static bool weigh_part(cutting *c, const geo_ring *r)
{
    geo_pt first = {r->at[0].lon_e7, r->at[0].lat_e7};
    geo_side side = side_of(c->area, first);
    if (r->count == 1) {
        lie_as(c, side);
        if (side == GEO_SIDE_EDGE)
            touch(c, first);
    }
    for (uint32_t k = 1; k < r->count; k++)
        if (!geo_at_equal(r->at[k - 1], r->at[k]) &&
            !weigh_segment(c, r->at[k - 1], r->at[k], &side))
            return false;
    return true;
}

sx_status geo_area_lies(const geo_area *area, const geo_shape *shape, unsigned *lies, sx_error *err)
{
    cutting c = {.area = area};
    bool held = true;
    for (uint32_t i = 0; held && i < shape->ring_count; i++)
        held = weigh_part(&c, &shape->rings[i]);
    sx_free(c.cuts);
    *lies = c.lies;
    return held ? SX_OK : sx_fail_memory(err, "the crossings of two shapes");
}

/* Predicates. */

/* Whether one polygon of `of` has its inside point inside `area`; *all: each has. */
static sx_status inside_points(const geo_area *area, const geo_shape *of, bool *any, bool *all,
                               sx_error *err)
{
    *any = false;
    *all = true;
    for (uint32_t i = 0, next; i < of->ring_count; i = next) {
        geo_pt p;
        for (next = i + 1; next < of->ring_count && of->rings[next].inner;)
            next++;
        geo_shape one = {GEO_SHAPE_POLYGON, of->rings + i, next - i};
        sx_status st = geo_shape_inside_point(&one, &p, err);
        if (st != SX_OK)
            return st;
        bool in = geo_area_side(area, p) == GEO_SIDE_IN;
        *any |= in;
        *all &= in;
    }
    return SX_OK;
}

static bool is_area(const geo_area *a)
{
    return geo_shape_is_area(a->shape.kind);
}

sx_status geo_area_meets(const geo_area *area, const geo_area *other, bool *yes, sx_error *err)
{
    unsigned lies;
    *yes = false;
    if (!geo_box_meets(area->box, other->box))
        return SX_OK;
    sx_status st = geo_area_lies(area, &other->shape, &lies, err);
    *yes = st == SX_OK && lies & (GEO_LIES_IN | GEO_LIES_EDGE | GEO_LIES_TOUCH);
    if (st != SX_OK || *yes || !is_area(other))
        return st;
    /* No edge in common: then `area` is inside `other` as a whole, part by part, or outside. */
    for (uint32_t i = 0; i < area->shape.ring_count && !*yes; i++) {
        geo_at at = area->shape.rings[i].at[0];
        *yes = side_of(other, (geo_pt){at.lon_e7, at.lat_e7}) != GEO_SIDE_OUT;
    }
    return SX_OK;
}

sx_status geo_area_covers(const geo_area *area, const geo_area *other, bool *yes, sx_error *err)
{
    unsigned lies, back;
    bool any;
    *yes = false;
    if (!geo_box_holds(area->box, other->box) || (is_area(other) && !is_area(area)))
        return SX_OK;
    sx_status st = geo_area_lies(area, &other->shape, &lies, err);
    if (st != SX_OK || lies & GEO_LIES_OUT)
        return st;
    *yes = true;
    if (!is_area(other))
        return SX_OK;
    /* The rings are covered; a hole of `area` must not cut into `other`. */
    st = geo_area_lies(other, &area->shape, &back, err);
    if (st != SX_OK || back & GEO_LIES_IN) {
        *yes = false;
        return st;
    }
    return inside_points(area, &other->shape, &any, yes, err);
}

sx_status geo_area_overlaps(const geo_area *area, const geo_area *other, bool *yes, sx_error *err)
{
    unsigned lies;
    bool all;
    *yes = false;
    if (!geo_box_meets(area->box, other->box))
        return SX_OK;
    sx_status st = geo_area_lies(area, &other->shape, &lies, err);
    *yes = st == SX_OK && lies & GEO_LIES_IN;
    if (st != SX_OK || *yes || !is_area(other))
        return st;
    st = geo_area_lies(other, &area->shape, &lies, err);
    *yes = st == SX_OK && lies & GEO_LIES_IN;
    if (st != SX_OK || *yes || !is_area(area))
        return st;
    /* Neither's ring runs inside the other: the same area, or none in common. */
    return inside_points(area, &other->shape, yes, &all, err);
}

sx_status geo_area_takes(const geo_area *area, const geo_area *shape, bool *yes, sx_error *err)
{
    unsigned lies;
    if (shape->shape.kind == GEO_SHAPE_POINT) {
        *yes = geo_area_side(area, geo_pt_of(shape->shape.rings[0].at[0])) != GEO_SIDE_OUT;
        return SX_OK;
    }
    if (is_area(shape))
        return geo_area_overlaps(area, shape, yes, err);
    *yes = false;
    if (!geo_box_meets(area->box, shape->box))
        return SX_OK;
    sx_status st = geo_area_lies(area, &shape->shape, &lies, err);
    *yes = st == SX_OK && lies & (GEO_LIES_IN | GEO_LIES_EDGE | GEO_LIES_TOUCHES);
    return st;
}

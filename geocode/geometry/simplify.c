/* simplify.c - see simplify.h.
 *
 * Segments, of the shape as it was and of what it has become, are found through a grid of cells: a
 * candidate is compared with those of the cells around it. Segments that were replaced stay listed
 * and are marked. Stretches are kept on a stack of our own: a line of a million points may be split
 * a million deep. */
#include "geocode/geometry/simplify.h"

#include <math.h>

#include <sextant/mem.h>

#include "geocode/geometry/exact.h"
#include "geocode/geometry/measure.h"

/* One segment, old or new. */
typedef struct piece {
    geo_at a, b;
    uint32_t ring;  /* the part it belongs to */
    uint32_t index; /* of an old one: its place in the part */
    bool fresh;     /* a new one */
    bool gone;      /* an old one that was replaced */
    uint32_t seen;  /* number of the last question that met it */
} piece;

typedef struct listed {
    uint32_t piece, next; /* + 1 */
} listed;

typedef struct grid {
    geo_box box;
    uint32_t side; /* cells a side */
    uint32_t *cells;
    listed *list;
    size_t listed_count, listed_cap;
    piece *pieces;
    size_t piece_count, piece_cap;
    uint32_t question;
} grid;

typedef struct span {
    uint32_t from, to, depth;
} span;

typedef struct simplifying {
    sx_arena scratch;
    grid grid;
    double tolerance;
    span *stack;
    size_t stack_cap;
    uint32_t ring; /* the part at work */
    const geo_at *at;
    uint32_t result; /* its points so far */
    uint32_t least;  /* it keeps at least so many */
    geo_at *out;
} simplifying;

static uint32_t cell_of(int32_t v, int32_t min, int32_t max, uint32_t side)
{
    return (uint32_t)(((int64_t)v - min) * side / ((int64_t)max - min + 1));
}

typedef struct cells {
    uint32_t west, south, east, north;
} cells;

static cells cells_of(const grid *g, geo_at a, geo_at b)
{
    geo_box box = geo_box_at(a);
    geo_box_add(&box, b);
    return (cells){cell_of(box.lon_min, g->box.lon_min, g->box.lon_max, g->side),
                   cell_of(box.lat_min, g->box.lat_min, g->box.lat_max, g->side),
                   cell_of(box.lon_max, g->box.lon_min, g->box.lon_max, g->side),
                   cell_of(box.lat_max, g->box.lat_min, g->box.lat_max, g->side)};
}

static bool grid_add(simplifying *s, piece p)
{
    grid *g = &s->grid;
    cells c = cells_of(g, p.a, p.b);
    if (!sx_arena_grow(&s->scratch, &g->pieces, &g->piece_cap, g->piece_count + 1, sizeof p))
        return false;
    g->pieces[g->piece_count++] = p;
    for (uint32_t y = c.south; y <= c.north; y++)
        for (uint32_t x = c.west; x <= c.east; x++) {
            if (!sx_arena_grow(&s->scratch, &g->list, &g->listed_cap, g->listed_count + 1,
                               sizeof *g->list))
                return false;
            uint32_t *head = &g->cells[y * g->side + x];
            g->list[g->listed_count++] = (listed){(uint32_t)g->piece_count, *head};
            *head = (uint32_t)g->listed_count;
        }
    return true;
}

static bool is_end(geo_at p, const piece *s)
{
    return geo_at_equal(p, s->a) || geo_at_equal(p, s->b);
}

static bool within(geo_at p, geo_at a, geo_at b)
{
    geo_box box = geo_box_at(a);
    geo_box_add(&box, b);
    return geo_box_holds(box, geo_box_at(p));
}

/* Whether two segments meet in a point that is inside one of them. */
static bool meets_inside(const piece *s, const piece *t)
{
    geo_box box = geo_box_at(s->a), other = geo_box_at(t->a);
    geo_box_add(&box, s->b);
    geo_box_add(&other, t->b);
    if (!geo_box_meets(box, other))
        return false;
    int sa = geo_turn(t->a, t->b, s->a), sb = geo_turn(t->a, t->b, s->b);
    int ta = geo_turn(s->a, s->b, t->a), tb = geo_turn(s->a, s->b, t->b);
    if (sa * sb > 0 || ta * tb > 0)
        return false;
    if (sa && sb && ta && tb)
        return true;
    /* An end of one on the other: inside it unless it is its end too. */
    return (sa == 0 && within(s->a, t->a, t->b) && !is_end(s->a, t)) ||
           (sb == 0 && within(s->b, t->a, t->b) && !is_end(s->b, t)) ||
           (ta == 0 && within(t->a, s->a, s->b) && !is_end(t->a, s)) ||
           (tb == 0 && within(t->b, s->a, s->b) && !is_end(t->b, s));
}

/* Whether the straight way from point `from` to point `to` of the part at work is free. */
static bool is_free(simplifying *s, uint32_t from, uint32_t to)
{
    grid *g = &s->grid;
    piece way = {.a = s->at[from], .b = s->at[to]};
    cells c = cells_of(g, way.a, way.b);
    g->question++;
    for (uint32_t y = c.south; y <= c.north; y++)
        for (uint32_t x = c.west; x <= c.east; x++)
            for (uint32_t i = g->cells[y * g->side + x]; i; i = g->list[i - 1].next) {
                piece *p = &g->pieces[g->list[i - 1].piece - 1];
                if (p->gone || p->seen == g->question)
                    continue;
                p->seen = g->question;
                bool own = !p->fresh && p->ring == s->ring && p->index >= from && p->index < to;
                if (!own && meets_inside(p, &way))
                    return false;
            }
    return true;
}

static double distance(geo_at a, geo_at b, geo_at p)
{
    geo_pt u = geo_pt_of(a), v = geo_pt_of(b), q = geo_pt_of(p);
    double x = v.lon - u.lon, y = v.lat - u.lat, length2 = x * x + y * y;
    double along = length2 > 0 ? ((q.lon - u.lon) * x + (q.lat - u.lat) * y) / length2 : 0;
    if (along <= 0 || length2 == 0)
        return sqrt((q.lon - u.lon) * (q.lon - u.lon) + (q.lat - u.lat) * (q.lat - u.lat));
    if (along >= 1)
        return sqrt((q.lon - v.lon) * (q.lon - v.lon) + (q.lat - v.lat) * (q.lat - v.lat));
    return fabs(((u.lat - q.lat) * x - (u.lon - q.lon) * y) / length2) * sqrt(length2);
}

/* The point between that is furthest from the straight way, and how far it is. */
static uint32_t furthest(const simplifying *s, span w, double *far)
{
    uint32_t best = w.from;
    *far = -1;
    for (uint32_t i = w.from + 1; i < w.to; i++) {
        double d = distance(s->at[w.from], s->at[w.to], s->at[i]);
        if (d > *far) {
            *far = d;
            best = i;
        }
    }
    return best;
}

static bool replace(simplifying *s, span w, uint32_t first_piece)
{
    for (uint32_t i = w.from; i < w.to; i++)
        s->grid.pieces[first_piece + i].gone = true;
    return grid_add(s,
                    (piece){.a = s->at[w.from], .b = s->at[w.to], .ring = s->ring, .fresh = true});
}

/* One part; `first_piece` is the number of its first segment. */
static bool simplify_part(simplifying *s, const geo_ring *r, uint32_t first_piece)
{
    size_t top = 0;
    s->at = r->at;
    s->result = 0;
    s->least = geo_at_equal(r->at[0], r->at[r->count - 1]) ? 4 : 2;
    s->out[s->result++] = r->at[0];
    if (!sx_grow(&s->stack, &s->stack_cap, 2, sizeof *s->stack))
        return false;
    s->stack[top++] = (span){0, r->count - 1, 1};
    while (top) {
        span w = s->stack[--top];
        double far;
        if (w.from + 1 == w.to) {
            s->out[s->result++] = s->at[w.to];
            continue;
        }
        /* The first point counts as one only once a segment follows it. If all that is on the way
         * became straight, would enough be left? */
        uint32_t have = s->result > 1 ? s->result : 0;
        bool straight = have >= s->least || w.depth + 1 >= s->least;
        uint32_t middle = furthest(s, w, &far);
        if (straight && far <= s->tolerance && is_free(s, w.from, w.to)) {
            if (!replace(s, w, first_piece))
                return false;
            s->out[s->result++] = s->at[w.to];
            continue;
        }
        if (!sx_grow(&s->stack, &s->stack_cap, top + 2, sizeof *s->stack))
            return false;
        s->stack[top++] = (span){middle, w.to, w.depth + 1};
        s->stack[top++] = (span){w.from, middle, w.depth + 1};
    }
    return true;
}

static bool prepare(simplifying *s, const geo_shape *shape)
{
    uint64_t points = geo_shape_points(shape);
    double side = sqrt((double)points / 2);
    s->grid.box = geo_shape_box(shape);
    s->grid.side = side < 1 ? 1 : side > 2048 ? 2048 : (uint32_t)side;
    s->grid.cells =
        sx_arena_calloc(&s->scratch, (size_t)s->grid.side * s->grid.side, sizeof *s->grid.cells);
    if (!s->grid.cells)
        return false;
    for (uint32_t i = 0; i < shape->ring_count; i++)
        for (uint32_t k = 1; k < shape->rings[i].count; k++)
            if (!grid_add(s, (piece){.a = shape->rings[i].at[k - 1],
                                     .b = shape->rings[i].at[k],
                                     .ring = i,
                                     .index = k - 1}))
                return false;
    return true;
}

static bool simplify(simplifying *s, const geo_shape *shape, sx_arena *arena, geo_ring *rings)
{
    uint32_t first_piece = 0;
    if (!prepare(s, shape))
        return false;
    for (uint32_t i = 0; i < shape->ring_count; i++) {
        const geo_ring *r = &shape->rings[i];
        s->ring = i;
        s->out = sx_arena_alloc(arena, r->count * sizeof *s->out);
        if (!s->out || !simplify_part(s, r, first_piece))
            return false;
        first_piece += r->count - 1;
        rings[i] = (geo_ring){s->out, s->result, r->inner};
    }
    return true;
}

/* A collection of one is given as that one. */
static geo_shape_kind kind_of(const geo_shape *shape)
{
    uint32_t parts = 0;
    for (uint32_t i = 0; i < shape->ring_count; i++)
        parts += !shape->rings[i].inner;
    if (parts > 1)
        return shape->kind;
    return geo_shape_is_area(shape->kind) ? GEO_SHAPE_POLYGON : GEO_SHAPE_LINE;
}

sx_status geo_shape_simplify(const geo_shape *shape, double tolerance, sx_arena *arena,
                             geo_shape *out, sx_error *err)
{
    if (shape->kind == GEO_SHAPE_POINT) {
        *out = *shape;
        return SX_OK;
    }
    simplifying s = {.tolerance = tolerance > 0 ? tolerance : 0};
    sx_arena_init(&s.scratch, 0, 0);
    geo_ring *rings = sx_arena_alloc(arena, shape->ring_count * sizeof *rings);
    bool held = rings && simplify(&s, shape, arena, rings);
    sx_free(s.stack);
    sx_arena_done(&s.scratch);
    if (!held)
        return sx_fail_memory(err, "a simplified shape");
    *out = (geo_shape){kind_of(shape), rings, shape->ring_count};
    return SX_OK;
}

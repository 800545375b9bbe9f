/* rings.c - areas out of segments (rings.h).
 *
 * The plane is cut by the segments; a region belongs to the area if a line from it to infinity
 * crosses an odd number of them. The steps:
 *
 *  collect   every way as segments, western end first, sorted; twins cancel
 *  cross     sorted segments whose ranges overlap are compared (exactly, in integers)
 *  ends      the ends of all segments, sorted by point: open ones, and points of four or more
 *  direct    each segment is turned so that the area is on its left: for one segment of a connected
 *            group this follows from a count of the segments south of its westernmost point, for the
 *            rest from the fact that around a point inside and outside alternate
 *  walk      from a segment to the next one clockwise around its end: that keeps to one region. Where
 *            a walk comes back to a point the loop is cut off as a ring of its own
 *  nest      counter-clockwise rings are outer ones; an inner ring belongs to the outer one of its
 *            walk, or else to that of the segment south of its westernmost point
 *
 * Everything lives in one scratch arena but the result. */
#include "geocode/geometry/rings.h"

#include <math.h>
#include <stdlib.h>

#include "geocode/geometry/exact.h"

enum { SEGMENTS_MAX = 16 << 20, TOUCHING_MAX = 100 };
static const uint64_t CHECKS_MAX = 300000000; /* about a second */

/* An area with so many is no area, and the rest of them tell nobody more. */
enum { CROSSINGS_MAX = 1000 };

typedef struct segment {
    geo_at a, b; /* a is the western, or southern, end */
    int64_t way;
    int64_t node_a, node_b;
    uint32_t next; /* the segment that follows in the walk */
    uint32_t walk; /* 1 + number of its walk; 0: none yet */
    bool from_a;   /* runs a to b, with the area on its left */
    bool directed;
    bool touches; /* leads to a point of four ends or more */
} segment;

/* An end of a segment; sorted by point, then by angle from west over south, east, north. */
typedef struct end {
    geo_at at, other;
    uint32_t segment;
    bool is_a;
} end;

typedef struct ring {
    uint32_t first, count; /* in assembly.order */
    uint32_t walk;
    uint32_t shell; /* its outer ring; itself if it is one */
    geo_at west;    /* westernmost point */
    uint32_t
        start_at; /* where its points begin: at its first touching point, else its westernmost */
    geo_at start;
    uint32_t start_segment; /* of the two there that which sorts first */
    bool touching;          /* it has a touching point */
    bool outer;
} ring;

typedef struct assembly {
    sx_arena scratch;
    segment *segments;
    uint32_t count;
    end *ends;       /* two a segment */
    uint32_t *order; /* segments by ring */
    uint32_t ordered;
    ring *rings;
    uint32_t ring_count;
    size_t ring_cap;
    uint32_t walks;
    uint64_t checks_left;
    geo_ring_report *report;
} assembly;

static int by_place(geo_at a, geo_at b)
{
    if (a.lon_e7 != b.lon_e7)
        return a.lon_e7 < b.lon_e7 ? -1 : 1;
    return (a.lat_e7 > b.lat_e7) - (a.lat_e7 < b.lat_e7);
}

static int by_segment(const void *x, const void *y)
{
    const segment *a = x, *b = y;
    int c = by_place(a->a, b->a);
    return c ? c : by_place(a->b, b->b);
}

static geo_ring_fault *new_fault(assembly *m, geo_ring_cause cause)
{
    geo_ring_report *r = m->report;
    if (r->fault_count++ >= GEO_RING_FAULTS_MAX)
        return NULL;
    geo_ring_fault *f = &r->faults[r->fault_count - 1];
    *f = (geo_ring_fault){.cause = cause};
    return f;
}

/* Collecting. */

static void add_segment(assembly *m, geo_at from, geo_at to, const geo_way *way, uint32_t i)
{
    int64_t node_from = way->nodes ? way->nodes[i - 1] : 0,
            node_to = way->nodes ? way->nodes[i] : 0;
    segment *s = &m->segments[m->count++];
    *s =
        by_place(from, to) < 0
            ? (segment){.a = from, .b = to, .way = way->id, .node_a = node_from, .node_b = node_to}
            : (segment){.a = to, .b = from, .way = way->id, .node_a = node_to, .node_b = node_from};
}

/* Sorts, and takes away pairs of equal segments. */
static void sort_segments(assembly *m)
{
    uint32_t kept = 0;
    qsort(m->segments, m->count, sizeof *m->segments, by_segment);
    for (uint32_t i = 0; i < m->count; i++) {
        if (i + 1 < m->count && by_segment(&m->segments[i], &m->segments[i + 1]) == 0) {
            m->report->twins++;
            i++;
            continue;
        }
        m->segments[kept++] = m->segments[i];
    }
    m->count = kept;
}

static sx_status collect(assembly *m, const geo_way *ways, uint32_t count, uint32_t most,
                         sx_error *err)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += ways[i].count;
    if (total > most)
        return sx_fail(err, SX_ELIMIT, "the ways of an area have more than %u points", most);
    /* Closing a gap adds a segment for two ends, of which there are at most two a way. */
    m->segments = sx_arena_alloc(&m->scratch, (total + count + 1) * sizeof *m->segments);
    if (!m->segments)
        return sx_fail_memory(err, "the segments of an area");
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 1; k < ways[i].count; k++)
            if (!geo_at_equal(ways[i].at[k - 1], ways[i].at[k]))
                add_segment(m, ways[i].at[k - 1], ways[i].at[k], &ways[i], k);
    sort_segments(m);
    return SX_OK;
}

/* Crossings. */

static bool between(int32_t a, int32_t b, int32_t v)
{
    return a < b ? v >= a && v <= b : v >= b && v <= a;
}

static bool in_reach(const segment *s, geo_at p)
{
    return between(s->a.lon_e7, s->b.lon_e7, p.lon_e7) &&
           between(s->a.lat_e7, s->b.lat_e7, p.lat_e7);
}

/* Whether two segments without a common end have a common point; *at is about there. */
static bool meets(const segment *s, const segment *t, geo_at *at)
{
    if (geo_at_equal(s->a, t->a) || geo_at_equal(s->a, t->b) || geo_at_equal(s->b, t->a) ||
        geo_at_equal(s->b, t->b))
        return false;
    int sa = geo_turn(t->a, t->b, s->a), sb = geo_turn(t->a, t->b, s->b);
    int ta = geo_turn(s->a, s->b, t->a), tb = geo_turn(s->a, s->b, t->b);
    if (sa * sb > 0 || ta * tb > 0)
        return false;
    const geo_at *touch = NULL;
    if (sa == 0 && in_reach(t, s->a))
        touch = &s->a;
    else if (sb == 0 && in_reach(t, s->b))
        touch = &s->b;
    else if (ta == 0 && in_reach(s, t->a))
        touch = &t->a;
    else if (tb == 0 && in_reach(s, t->b))
        touch = &t->b;
    if (touch) {
        *at = *touch;
        return true;
    }
    if (sa == 0 || sb == 0 || ta == 0 || tb == 0)
        return false;
    geo_pt p = geo_pt_of(s->a), q = geo_pt_of(s->b), u = geo_pt_of(t->a), v = geo_pt_of(t->b);
    double left = (v.lon - u.lon) * (p.lat - u.lat) - (v.lat - u.lat) * (p.lon - u.lon);
    double right = (v.lon - u.lon) * (q.lat - u.lat) - (v.lat - u.lat) * (q.lon - u.lon);
    double part = left / (left - right);
    *at = geo_at_of((geo_pt){p.lon + part * (q.lon - p.lon), p.lat + part * (q.lat - p.lat)});
    return true;
}

static sx_status find_crossings(assembly *m, sx_error *err)
{
    for (uint32_t i = 0; i < m->count && m->report->crossings < CROSSINGS_MAX; i++) {
        const segment *s = &m->segments[i];
        int32_t south = s->a.lat_e7 < s->b.lat_e7 ? s->a.lat_e7 : s->b.lat_e7;
        int32_t north = s->a.lat_e7 < s->b.lat_e7 ? s->b.lat_e7 : s->a.lat_e7;
        for (uint32_t k = i + 1; k < m->count && m->segments[k].a.lon_e7 <= s->b.lon_e7; k++) {
            const segment *t = &m->segments[k];
            geo_at at;
            if (m->checks_left-- == 0)
                return sx_fail(err, SX_ELIMIT, "the ways of an area overlap too much to compare");
            if ((t->a.lat_e7 > north && t->b.lat_e7 > north) ||
                (t->a.lat_e7 < south && t->b.lat_e7 < south) || !meets(s, t, &at))
                continue;
            m->report->crossings++;
            geo_ring_fault *f = new_fault(m, GEO_RINGS_CROSSING);
            if (f) {
                f->at = f->to = at;
                f->way_at = s->way;
                f->way_to = t->way;
                f->node_at = s->node_a;
                f->node_to = t->node_a;
            }
        }
    }
    return SX_OK;
}

/* Ends. */

/* Half planes from west over south to east (0) and back over north (1): within one, a turn to the
 * left of another direction means a larger angle. */
static int half(geo_at from, geo_at to)
{
    return to.lat_e7 > from.lat_e7 || (to.lat_e7 == from.lat_e7 && to.lon_e7 > from.lon_e7);
}

static int by_end(const void *x, const void *y)
{
    const end *a = x, *b = y;
    int c = by_place(a->at, b->at);
    if (c)
        return c;
    c = half(a->at, a->other) - half(b->at, b->other);
    return c ? c : -geo_turn(a->at, a->other, b->other);
}

static sx_status list_ends(assembly *m, sx_error *err)
{
    m->ends = sx_arena_alloc(&m->scratch, (size_t)m->count * 2 * sizeof *m->ends);
    if (!m->ends)
        return sx_fail_memory(err, "the ends of an area's segments");
    for (uint32_t i = 0; i < m->count; i++) {
        const segment *s = &m->segments[i];
        m->ends[2 * i] = (end){s->a, s->b, i, true};
        m->ends[2 * i + 1] = (end){s->b, s->a, i, false};
    }
    qsort(m->ends, (size_t)m->count * 2, sizeof *m->ends, by_end);
    return SX_OK;
}

/* The number of ends at the point of ends[i], the first of them. */
static uint32_t degree(const assembly *m, uint32_t i)
{
    uint32_t k = i + 1;
    while (k < 2 * m->count && geo_at_equal(m->ends[k].at, m->ends[i].at))
        k++;
    return k - i;
}

typedef struct open_end {
    geo_at at;
    int64_t node, way;
    bool used;
} open_end;

static double gap_of(geo_at a, geo_at b)
{
    geo_pt p = geo_pt_of(a), q = geo_pt_of(b);
    return hypot(q.lon - p.lon, q.lat - p.lat);
}

/* Pairs open ends, nearest first for each in turn, and reports them; a gap of up to `close_gap`
 * becomes a segment. Returns how many were closed. */
static uint32_t pair_ends(assembly *m, open_end *open, uint32_t count, double close_gap)
{
    uint32_t closed = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (open[i].used)
            continue;
        open_end *best = NULL;
        for (uint32_t k = i + 1; k < count; k++)
            if (!open[k].used &&
                (!best || gap_of(open[i].at, open[k].at) < gap_of(open[i].at, best->at)))
                best = &open[k];
        open[i].used = true;
        geo_ring_fault *f = new_fault(m, GEO_RINGS_OPEN);
        open_end *to = best ? best : &open[i];
        double gap = gap_of(open[i].at, to->at);
        to->used = true;
        if (f)
            *f = (geo_ring_fault){GEO_RINGS_OPEN, open[i].at, to->at,
                                  open[i].node,   to->node,   open[i].way,
                                  to->way,        gap,        best && gap <= close_gap};
        if (!best || gap > close_gap)
            continue;
        geo_at at[2] = {open[i].at, to->at};
        int64_t nodes[2] = {open[i].node, to->node};
        add_segment(m, at[0], at[1], &(geo_way){0, at, nodes, 2}, 1);
        closed++;
    }
    return closed;
}

enum { OPEN_ENDS_PAIRED_MAX = 2000 };

/* Finds open ends and touching points; closes narrow gaps. *again: segments were added. */
static sx_status look_at_ends(assembly *m, double close_gap, bool *again, sx_error *err)
{
    open_end *open = NULL;
    size_t cap = 0;
    uint32_t count = 0;
    *again = false;
    m->report->open_ends = m->report->touching = 0;
    for (uint32_t i = 0, n; i < 2 * m->count; i += n) {
        n = degree(m, i);
        m->report->touching += n >= 4;
        if (n % 2 == 0)
            continue;
        m->report->open_ends++;
        if (count == OPEN_ENDS_PAIRED_MAX)
            continue;
        if (!sx_arena_grow(&m->scratch, &open, &cap, count + 1, sizeof *open))
            return sx_fail_memory(err, "the open ends of an area");
        const segment *s = &m->segments[m->ends[i].segment];
        open[count++] =
            (open_end){m->ends[i].at, m->ends[i].is_a ? s->node_a : s->node_b, s->way, false};
    }
    uint32_t closed = pair_ends(m, open, count, close_gap);
    *again = closed > 0;
    return SX_OK;
}

static sx_status no_area(assembly *m, geo_ring_cause cause, sx_error *err)
{
    sx_buf text;
    m->report->cause = cause;
    sx_buf_init(&text, SX_ERROR_MESSAGE_BYTES - 1);
    geo_ring_fault fault = {.cause = cause};
    for (uint32_t i = 0; i < m->report->fault_count && i < GEO_RING_FAULTS_MAX; i++)
        if (m->report->faults[i].cause == cause && !m->report->faults[i].closed) {
            fault = m->report->faults[i];
            break;
        }
    geo_ring_fault_text(&fault, &text);
    sx_status st = sx_fail(err, SX_ENOTFOUND, "%.*s", (int)text.len, text.data ? text.data : "");
    sx_buf_done(&text);
    return st;
}

/* Directions. */

/* Whether the region just west of `p`, the westernmost point of its group, belongs to the area; and
 * the segment next south of there (UINT32_MAX: none). */
static bool west_is_inside(const assembly *m, geo_at p, uint32_t *south)
{
    bool inside = false;
    *south = UINT32_MAX;
    for (uint32_t i = 0; i < m->count && m->segments[i].a.lon_e7 < p.lon_e7; i++) {
        const segment *s = &m->segments[i];
        if (s->b.lon_e7 < p.lon_e7 || geo_turn(s->a, s->b, p) <= 0)
            continue;
        inside = !inside;
        const segment *t = *south == UINT32_MAX ? NULL : &m->segments[*south];
        /* Segments do not cross: the one that starts further east tells which is nearer to p; if they
         * start at one point, their other ends do. */
        if (!t || geo_turn(t->a, t->b, s->a) > 0 ||
            (geo_turn(t->a, t->b, s->a) == 0 && geo_turn(t->a, t->b, s->b) > 0))
            *south = i;
    }
    return inside;
}

/* Directs the segments around the point of ends[first], `n` of them in the order of their angles, of
 * which the one at `known` is directed; adds those that were not to the stack. */
static uint32_t direct_around(assembly *m, uint32_t first, uint32_t n, uint32_t known,
                              uint32_t *stack, uint32_t top)
{
    const end *e = &m->ends[known];
    const segment *s = &m->segments[e->segment];
    bool leaves = s->from_a == e->is_a;
    for (uint32_t k = 0; k < n; k++) {
        const end *f = &m->ends[first + k];
        segment *t = &m->segments[f->segment];
        if (t->directed)
            continue;
        bool same = ((first + k) ^ known) % 2 == 0;
        t->from_a = (leaves == same) == f->is_a;
        t->directed = true;
        stack[top++] = f->segment;
    }
    return top;
}

/* Where the ends of one segment are in m->ends. */
typedef struct seats {
    uint32_t a, b;
} seats;

static uint32_t first_at(const assembly *m, uint32_t i)
{
    while (i > 0 && geo_at_equal(m->ends[i - 1].at, m->ends[i].at))
        i--;
    return i;
}

static void direct_group(assembly *m, const seats *seat, uint32_t start, uint32_t *stack)
{
    uint32_t top = 0, south, first = first_at(m, seat[start].a);
    geo_at p = m->segments[start].a;
    /* All segments at p lead east (or due north), so by angle the first of them has the west on its
     * right-hand side: it leaves p with the area on its left if the west is outside. */
    segment *s = &m->segments[m->ends[first].segment];
    s->from_a = !west_is_inside(m, p, &south);
    s->directed = true;
    stack[top++] = m->ends[first].segment;
    while (top) {
        uint32_t i = stack[--top];
        uint32_t at[2] = {seat[i].a, seat[i].b};
        for (unsigned k = 0; k < 2; k++) {
            uint32_t from = first_at(m, at[k]);
            top = direct_around(m, from, degree(m, from), at[k], stack, top);
        }
    }
}

/* Directs all segments and links each to the one that follows it. */
static sx_status direct(assembly *m, sx_error *err)
{
    seats *seat = sx_arena_alloc(&m->scratch, m->count * sizeof *seat);
    uint32_t *stack = sx_arena_alloc(&m->scratch, m->count * sizeof *stack);
    if (!seat || !stack)
        return sx_fail_memory(err, "the directions of an area's segments");
    for (uint32_t i = 0; i < 2 * m->count; i++)
        *(m->ends[i].is_a ? &seat[m->ends[i].segment].a : &seat[m->ends[i].segment].b) = i;
    for (uint32_t i = 0; i < m->count; i++)
        if (!m->segments[i].directed)
            direct_group(m, seat, i, stack);
    for (uint32_t i = 0; i < m->count; i++) {
        uint32_t at = m->segments[i].from_a ? seat[i].b : seat[i].a, first = first_at(m, at);
        uint32_t before = at == first ? first + degree(m, first) - 1 : at - 1;
        m->segments[i].next = m->ends[before].segment;
        /* Segments that lie on one another from a common end have no order around it: such a ring
         * has no extent there, and no valid area comes of it. */
        const segment *next = &m->segments[m->segments[i].next];
        if (!geo_at_equal(m->segments[i].from_a ? m->segments[i].b : m->segments[i].a,
                          next->from_a ? next->a : next->b))
            return no_area(m, GEO_RINGS_CROSSING, err);
    }
    return SX_OK;
}

/* Walks. */

static geo_at start_of(const segment *s)
{
    return s->from_a ? s->a : s->b;
}

static geo_at end_of(const segment *s)
{
    return s->from_a ? s->b : s->a;
}

/* Where the points of a ring begin, as osmium's assembler has it. */
static void choose_start(const assembly *m, ring *r, const uint32_t *loop, uint32_t west)
{
    uint32_t at = west;
    for (uint32_t i = 0; i < r->count; i++) {
        if (!m->segments[loop[i ? i - 1 : r->count - 1]].touches)
            continue;
        if (!r->touching ||
            by_place(start_of(&m->segments[loop[i]]), start_of(&m->segments[loop[at]])) < 0)
            at = i;
        r->touching = true;
    }
    uint32_t before = loop[at ? at - 1 : r->count - 1];
    r->start_at = at;
    r->start = start_of(&m->segments[loop[at]]);
    r->start_segment = before < loop[at] ? before : loop[at];
}

/* Makes a ring of the segments that lie on top of the stack from `from` on. */
static sx_status cut_ring(assembly *m, const uint32_t *stack, uint32_t from, uint32_t top,
                          sx_error *err)
{
    if (!sx_arena_grow(&m->scratch, &m->rings, &m->ring_cap, m->ring_count + 1, sizeof(ring)))
        return sx_fail_memory(err, "the rings of an area");
    ring *r = &m->rings[m->ring_count];
    *r = (ring){.first = m->ordered, .count = top - from, .walk = m->walks};
    uint32_t west = from;
    for (uint32_t i = from; i < top; i++) {
        m->order[m->ordered++] = stack[i];
        if (by_place(start_of(&m->segments[stack[i]]), start_of(&m->segments[stack[west]])) < 0)
            west = i;
    }
    choose_start(m, r, stack + from, west - from);
    r->west = start_of(&m->segments[stack[west]]);
    /* At its westernmost point a counter-clockwise ring turns left. */
    const segment *out = &m->segments[stack[west]];
    const segment *in = &m->segments[stack[west == from ? top - 1 : west - 1]];
    r->outer = geo_turn(start_of(in), r->west, end_of(out)) > 0;
    m->ring_count++;
    return SX_OK;
}

static sx_status walk(assembly *m, uint32_t start, uint32_t *stack, sx_error *err)
{
    uint32_t top = 0, i = start;
    m->walks++;
    do {
        segment *s = &m->segments[i];
        s->walk = m->walks;
        stack[top++] = i;
        /* Only at a point of four ends or more can the walk have been before; there are at most
         * TOUCHING_MAX of those, so looking back costs little. */
        geo_at at = end_of(s);
        i = s->next;
        uint32_t k = top;
        if (s->touches || i == start)
            for (k = 0; k < top && !geo_at_equal(start_of(&m->segments[stack[k]]), at); k++)
                ;
        if (k == top)
            continue;
        sx_status st = cut_ring(m, stack, k, top, err);
        if (st != SX_OK)
            return st;
        top = k;
    } while (i != start);
    sx_assert(top == 0);
    return SX_OK;
}

static sx_status walk_all(assembly *m, sx_error *err)
{
    uint32_t *stack = sx_arena_alloc(&m->scratch, m->count * sizeof *stack);
    m->order = sx_arena_alloc(&m->scratch, m->count * sizeof *m->order);
    if (!stack || !m->order)
        return sx_fail_memory(err, "the walks around an area");
    for (uint32_t i = 0, n; i < 2 * m->count; i += n) {
        n = degree(m, i);
        for (uint32_t k = i; n >= 4 && k < i + n; k++)
            m->segments[m->ends[k].segment].touches |=
                m->segments[m->ends[k].segment].from_a != m->ends[k].is_a;
    }
    for (uint32_t i = 0; i < m->count; i++)
        if (!m->segments[i].walk) {
            sx_status st = walk(m, i, stack, err);
            if (st != SX_OK)
                return st;
        }
    return SX_OK;
}

/* Nesting and the result. */

static int by_west(const void *x, const void *y)
{
    const ring *a = x, *b = y;
    int c = by_place(a->west, b->west);
    return c ? c : (b->outer - a->outer);
}

/* The order in which outer rings are given: those that touch others first. */
static int by_start(const void *x, const void *y)
{
    const ring *a = *(const ring *const *)x, *b = *(const ring *const *)y;
    if (a->touching != b->touching)
        return a->touching ? -1 : 1;
    int c = by_place(a->start, b->start);
    return c ? c : (a->start_segment > b->start_segment) - (a->start_segment < b->start_segment);
}

/* Gives every inner ring its outer one; false if one has none. Rings are sorted by their westernmost
 * points. */
static bool nest(assembly *m, uint32_t *shell_of_walk)
{
    for (uint32_t i = 0; i <= m->walks; i++)
        shell_of_walk[i] = UINT32_MAX;
    for (uint32_t i = 0; i < m->ring_count; i++)
        if (m->rings[i].outer)
            shell_of_walk[m->rings[i].walk] = i;
    for (uint32_t i = 0; i < m->ring_count; i++) {
        uint32_t *shell = &shell_of_walk[m->rings[i].walk], south;
        if (*shell == UINT32_MAX) {
            /* The segment south of it bounds the same region: its walk is known by now, since it
             * reaches further west. */
            (void)west_is_inside(m, m->rings[i].west, &south);
            if (south != UINT32_MAX)
                *shell = shell_of_walk[m->segments[south].walk];
        }
        if (*shell == UINT32_MAX) /* a ring without extent */
            return false;
        m->rings[i].shell = *shell;
    }
    return true;
}

static bool give_ring(const assembly *m, const ring *r, sx_arena *arena, geo_ring *out)
{
    geo_at *at = sx_arena_alloc(arena, ((size_t)r->count + 1) * sizeof *at);
    if (!at)
        return false;
    for (uint32_t i = 0; i <= r->count; i++)
        at[i] = start_of(&m->segments[m->order[r->first + (r->start_at + i) % r->count]]);
    *out = (geo_ring){at, r->count + 1, !r->outer};
    return true;
}

static sx_status give(assembly *m, sx_arena *arena, geo_shape *out, sx_error *err)
{
    uint32_t *shell_of_walk = sx_arena_alloc(&m->scratch, (m->walks + 1) * sizeof *shell_of_walk);
    uint32_t *heads = sx_arena_alloc(&m->scratch, ((size_t)m->ring_count * 2 + 1) * sizeof *heads);
    const ring **outer = sx_arena_alloc(&m->scratch, m->ring_count * sizeof(*outer));
    geo_ring *rings = sx_arena_alloc(arena, m->ring_count * sizeof *rings);
    if (!shell_of_walk || !heads || !outer || !rings)
        return sx_fail_memory(err, "the rings of an area");
    qsort(m->rings, m->ring_count, sizeof *m->rings, by_west);
    if (!nest(m, shell_of_walk))
        return no_area(m, GEO_RINGS_CROSSING, err);
    /* Chains of inner rings by shell, last to first, so that they come out first to last. */
    uint32_t *next = heads + m->ring_count, n = 0, outers = 0;
    for (uint32_t i = 0; i < m->ring_count; i++)
        heads[i] = UINT32_MAX;
    for (uint32_t i = m->ring_count; i-- > 0;)
        if (!m->rings[i].outer) {
            next[i] = heads[m->rings[i].shell];
            heads[m->rings[i].shell] = i;
        }
    for (uint32_t i = 0; i < m->ring_count; i++)
        if (m->rings[i].outer)
            outer[outers++] = &m->rings[i];
    qsort(outer, outers, sizeof(*outer), by_start);
    for (uint32_t o = 0; o < outers; o++) {
        uint32_t i = (uint32_t)(outer[o] - m->rings);
        for (uint32_t k = i; k != UINT32_MAX; k = k == i ? heads[i] : next[k])
            if (!give_ring(m, &m->rings[k], arena, &rings[n++]))
                return sx_fail_memory(err, "the points of an area");
    }
    *out = (geo_shape){outers > 1 ? GEO_SHAPE_MULTI_POLYGON : GEO_SHAPE_POLYGON, rings, n};
    return SX_OK;
}

static sx_status assemble(assembly *m, const geo_ring_options *o, sx_arena *arena, geo_shape *out,
                          sx_error *err)
{
    bool again;
    if (m->count == 0)
        return no_area(m, GEO_RINGS_EMPTY, err);
    sx_status st = list_ends(m, err);
    if (st == SX_OK)
        st = look_at_ends(m, o->close_gap, &again, err);
    if (st == SX_OK && again) { /* once: what is still open then stays so */
        sort_segments(m);
        uint32_t faults = m->report->fault_count;
        st = m->count ? list_ends(m, err) : SX_OK;
        if (st == SX_OK)
            st = look_at_ends(m, 0, &again, err);
        if (st == SX_OK)
            m->report->fault_count = faults; /* said already */
    }
    if (st == SX_OK)
        st = find_crossings(m, err);
    if (st != SX_OK)
        return st;
    if (m->count == 0)
        return no_area(m, GEO_RINGS_EMPTY, err);
    if (m->report->crossings)
        return no_area(m, GEO_RINGS_CROSSING, err);
    if (m->report->open_ends)
        return no_area(m, GEO_RINGS_OPEN, err);
    if (m->report->touching > TOUCHING_MAX)
        return no_area(m, GEO_RINGS_TANGLED, err);
    st = direct(m, err);
    if (st == SX_OK)
        st = walk_all(m, err);
    return st == SX_OK ? give(m, arena, out, err) : st;
}

sx_status geo_rings_area(const geo_way *ways, uint32_t count, const geo_ring_options *options,
                         sx_arena *arena, geo_shape *out, geo_ring_report *report, sx_error *err)
{
    geo_ring_options o = options ? *options : (geo_ring_options){0};
    assembly m = {.report = report, .checks_left = o.checks_max ? o.checks_max : CHECKS_MAX};
    *report = (geo_ring_report){0};
    sx_arena_init(&m.scratch, 0, 0);
    sx_status st = collect(&m, ways, count, o.segments_max ? o.segments_max : SEGMENTS_MAX, err);
    if (st == SX_OK)
        st = assemble(&m, &o, arena, out, err);
    sx_arena_done(&m.scratch);
    return st;
}

/* lines.c - lines out of ways, the shape of one way, and faults in words (rings.h). */
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/geometry/rings.h"

/* The points of a way without repetitions, in `arena`. */
static sx_status distinct(const geo_way *way, sx_arena *arena, geo_ring *out, sx_error *err)
{
    uint32_t n = 0;
    geo_at *at = sx_arena_alloc(arena, ((size_t)way->count + 1) * sizeof *at);
    if (!at)
        return sx_fail_memory(err, "the points of a way");
    for (uint32_t i = 0; i < way->count; i++)
        if (n == 0 || !geo_at_equal(at[n - 1], way->at[i]))
            at[n++] = way->at[i];
    *out = (geo_ring){at, n, false};
    return SX_OK;
}

sx_status geo_way_line(const geo_way *way, sx_arena *arena, geo_shape *out, sx_error *err)
{
    geo_ring *ring = sx_arena_alloc(arena, sizeof *ring);
    if (!ring)
        return sx_fail_memory(err, "a line");
    sx_status st = distinct(way, arena, ring, err);
    if (st != SX_OK)
        return st;
    if (ring->count < 2)
        return sx_fail(err, SX_ENOTFOUND, "way %lld has fewer than two different points",
                       (long long)way->id);
    *out = (geo_shape){GEO_SHAPE_LINE, ring, 1};
    return SX_OK;
}

sx_status geo_way_shape(const geo_way *way, sx_arena *arena, geo_shape *out,
                        geo_ring_report *report, sx_error *err)
{
    geo_ring_report own;
    geo_ring_report *r = report ? report : &own;
    *r = (geo_ring_report){.cause = GEO_RINGS_EMPTY};
    if (way->count >= 4 && geo_at_equal(way->at[0], way->at[way->count - 1])) {
        sx_status st = geo_rings_area(way, 1, NULL, arena, out, r, err);
        if (st == SX_OK) {
            *out = (geo_shape){GEO_SHAPE_POLYGON, out->rings, 1};
            return SX_OK;
        }
        if (st != SX_ENOTFOUND)
            return st;
    }
    return geo_way_line(way, arena, out, err);
}

/* Joining. Each line has a neighbour at its front and one at its back, or none. */

enum { FRONT, BACK };

typedef struct tip {
    geo_at at;
    uint32_t line;
    int side;
} tip;

typedef struct joining {
    geo_ring *lines;
    uint32_t *next[2]; /* [FRONT], [BACK]: the neighbour + 1; 0 for none */
    bool *used;
    uint32_t count;
} joining;

static int by_tip(const void *x, const void *y)
{
    const tip *a = x, *b = y;
    if (a->at.lon_e7 != b->at.lon_e7)
        return a->at.lon_e7 < b->at.lon_e7 ? -1 : 1;
    if (a->at.lat_e7 != b->at.lat_e7)
        return a->at.lat_e7 < b->at.lat_e7 ? -1 : 1;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return b->side - a->side;
}

/* Of lines that end at one point the first two are neighbours, then the next two. */
static void find_neighbours(joining *j, tip *tips)
{
    for (uint32_t i = 0; i < j->count; i++) {
        const geo_ring *r = &j->lines[i];
        tips[2 * i] = (tip){r->at[0], i, FRONT};
        tips[2 * i + 1] = (tip){r->at[r->count - 1], i, BACK};
    }
    qsort(tips, (size_t)j->count * 2, sizeof *tips, by_tip);
    for (uint32_t i = 0; i + 1 < 2 * j->count; i++) {
        if (!geo_at_equal(tips[i].at, tips[i + 1].at))
            continue;
        j->next[tips[i].side][tips[i].line] = tips[i + 1].line + 1;
        j->next[tips[i + 1].side][tips[i + 1].line] = tips[i].line + 1;
        i++;
    }
}

/* The lines from `start` on, joined; `came` is what its front leads to (0: nothing). */
static sx_status join_from(joining *j, uint32_t start, sx_arena *arena, geo_ring *out,
                           sx_error *err)
{
    geo_at *at = NULL;
    size_t cap = 0;
    uint32_t n = 0, cur = start;
    bool forward = j->next[FRONT][start] == 0 || j->next[BACK][start] != 0;
    for (;;) {
        const geo_ring *r = &j->lines[cur];
        j->used[cur] = true;
        if (!sx_arena_grow(arena, &at, &cap, (size_t)n + r->count, sizeof *at))
            return sx_fail_memory(err, "a joined line");
        for (uint32_t i = 0; i < r->count; i++) {
            geo_at p = r->at[forward ? i : r->count - 1 - i];
            if (n == 0 || !geo_at_equal(at[n - 1], p))
                at[n++] = p;
        }
        uint32_t next = j->next[forward ? BACK : FRONT][cur];
        if (next == 0 || j->used[next - 1])
            break;
        cur = next - 1;
        forward = geo_at_equal(j->lines[cur].at[0], at[n - 1]);
    }
    *out = (geo_ring){at, n, false};
    return SX_OK;
}

static sx_status join(joining *j, sx_arena *arena, geo_shape *out, sx_error *err)
{
    geo_ring *rings = sx_arena_alloc(arena, j->count * sizeof *rings);
    uint32_t n = 0;
    if (!rings)
        return sx_fail_memory(err, "joined lines");
    for (int round = 0; round < 2; round++) /* open ends first, then what goes round */
        for (uint32_t i = 0; i < j->count; i++) {
            if (j->used[i] || (round == 0 && j->next[FRONT][i] && j->next[BACK][i]))
                continue;
            sx_status st = join_from(j, i, arena, &rings[n++], err);
            if (st != SX_OK)
                return st;
        }
    *out = (geo_shape){GEO_SHAPE_MULTI_LINE, rings, n};
    return SX_OK;
}

sx_status geo_ways_line(const geo_way *ways, uint32_t count, sx_arena *arena, geo_shape *out,
                        sx_error *err)
{
    if (count == 1)
        return geo_way_line(ways, arena, out, err);
    joining j = {0};
    size_t room = (size_t)count + 1;
    j.lines = sx_arena_alloc(arena, room * sizeof *j.lines);
    j.next[FRONT] = sx_arena_calloc(arena, room, sizeof *j.next[FRONT]);
    j.next[BACK] = sx_arena_calloc(arena, room, sizeof *j.next[BACK]);
    j.used = sx_arena_calloc(arena, room, sizeof *j.used);
    tip *tips = sx_arena_alloc(arena, 2 * room * sizeof *tips);
    if (!j.lines || !j.next[FRONT] || !j.next[BACK] || !j.used || !tips)
        return sx_fail_memory(err, "the ways of a line");
    for (uint32_t i = 0; i < count; i++) {
        sx_status st = distinct(&ways[i], arena, &j.lines[j.count], err);
        if (st != SX_OK)
            return st;
        j.count += j.lines[j.count].count >= 2;
    }
    if (j.count == 0)
        return sx_fail(err, SX_ENOTFOUND, "none of %u ways has two different points", count);
    if (j.count == 1) {
        *out = (geo_shape){GEO_SHAPE_LINE, j.lines, 1};
        return SX_OK;
    }
    find_neighbours(&j, tips);
    return join(&j, arena, out, err);
}

/* Words. */

static void put_place(sx_buf *out, int64_t node, int64_t way, geo_at at)
{
    geo_pt p = geo_pt_of(at);
    if (node)
        sx_buf_printf(out, "node %lld ", (long long)node);
    sx_buf_printf(out, "(%.7f, %.7f)", p.lat, p.lon);
    if (way)
        sx_buf_printf(out, " of way %lld", (long long)way);
}

void geo_ring_fault_text(const geo_ring_fault *fault, sx_buf *out)
{
    geo_pt p = geo_pt_of(fault->at);
    switch (fault->cause) {
    case GEO_RINGS_SOUND:
        sx_buf_printf(out, "no fault");
        return;
    case GEO_RINGS_OPEN:
        sx_buf_printf(out,
                      fault->closed ? "ring closed over a gap: from " : "ring not closed: from ");
        put_place(out, fault->node_at, fault->way_at, fault->at);
        if (geo_at_equal(fault->at, fault->to))
            return;
        sx_buf_printf(out, " to ");
        put_place(out, fault->node_to, fault->way_to, fault->to);
        sx_buf_printf(out, ", %.7f degrees apart", fault->gap);
        return;
    case GEO_RINGS_CROSSING:
        sx_buf_printf(out,
                      "ways %lld and %lld cross or touch without a common node at (%.7f, %.7f)",
                      (long long)fault->way_at, (long long)fault->way_to, p.lat, p.lon);
        return;
    case GEO_RINGS_TANGLED:
        sx_buf_printf(out, "rings touch one another in more than 100 points");
        return;
    case GEO_RINGS_EMPTY:
        sx_buf_printf(out, "no segment is left: too few points, or every segment occurs twice");
        return;
    }
}

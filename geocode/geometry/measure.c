/* measure.c - see measure.h. Sums run in the order in which PostGIS runs them: results that are only
 * compared with a threshold then fall on the same side of it. */
#include "geocode/geometry/measure.h"

#include <math.h>

#include "geocode/geometry/exact.h"

void geo_box_add(geo_box *box, geo_at at)
{
    if (at.lon_e7 < box->lon_min)
        box->lon_min = at.lon_e7;
    if (at.lon_e7 > box->lon_max)
        box->lon_max = at.lon_e7;
    if (at.lat_e7 < box->lat_min)
        box->lat_min = at.lat_e7;
    if (at.lat_e7 > box->lat_max)
        box->lat_max = at.lat_e7;
}

geo_box geo_shape_box(const geo_shape *shape)
{
    geo_box box = geo_box_at(shape->rings[0].at[0]);
    for (uint32_t i = 0; i < shape->ring_count; i++)
        for (uint32_t k = 0; k < shape->rings[i].count; k++)
            geo_box_add(&box, shape->rings[i].at[k]);
    return box;
}

geo_box geo_box_expand(geo_box box, double degrees)
{
    geo_pt low = geo_pt_of((geo_at){box.lon_min, box.lat_min});
    geo_pt high = geo_pt_of((geo_at){box.lon_max, box.lat_max});
    geo_at from = geo_at_of((geo_pt){low.lon - degrees, low.lat - degrees});
    geo_at to = geo_at_of((geo_pt){high.lon + degrees, high.lat + degrees});
    return (geo_box){from.lon_e7, from.lat_e7, to.lon_e7, to.lat_e7};
}

/* In stored units. */
static double box_distance2(geo_box box, geo_pt p)
{
    double east = fmax(fmax(box.lon_min - p.lon, p.lon - box.lon_max), 0);
    double north = fmax(fmax(box.lat_min - p.lat, p.lat - box.lat_max), 0);
    return east * east + north * north;
}

double geo_box_distance(geo_box box, geo_pt p)
{
    return sqrt(box_distance2(box, geo_units(p))) / GEO_E7;
}

/* Sizes. */

static double apart(geo_pt a, geo_pt b)
{
    double x = b.lon - a.lon, y = b.lat - a.lat;
    return sqrt(x * x + y * y);
}

/* Its sign says which way the ring runs. */
static double ring_area(const geo_ring *r)
{
    double sum = 0, x0 = geo_pt_of(r->at[0]).lon;
    for (uint32_t i = 2; i < r->count; i++) {
        geo_pt one = geo_pt_of(r->at[i - 2]), two = geo_pt_of(r->at[i - 1]);
        sum += (two.lon - x0) * (one.lat - geo_pt_of(r->at[i]).lat);
    }
    return sum / 2;
}

double geo_shape_area(const geo_shape *shape)
{
    double area = 0;
    if (!geo_shape_is_area(shape->kind))
        return 0;
    for (uint32_t i = 0; i < shape->ring_count; i++) {
        double ring = fabs(ring_area(&shape->rings[i]));
        area += shape->rings[i].inner ? -ring : ring;
    }
    return area;
}

static double part_length(const geo_ring *r)
{
    double sum = 0;
    for (uint32_t i = 1; i < r->count; i++)
        sum += apart(geo_pt_of(r->at[i - 1]), geo_pt_of(r->at[i]));
    return sum;
}

double geo_shape_length(const geo_shape *shape)
{
    double sum = 0;
    if (!geo_shape_is_line(shape->kind))
        return 0;
    for (uint32_t i = 0; i < shape->ring_count; i++)
        sum += part_length(&shape->rings[i]);
    return sum;
}

/* Lines. */

geo_pt geo_line_point(const geo_ring *line, double fraction)
{
    double whole = part_length(line), done = 0;
    if (!(fraction > 0) || whole == 0)
        return geo_pt_of(line->at[0]);
    for (uint32_t i = 1; i < line->count && fraction < 1; i++) {
        geo_pt a = geo_pt_of(line->at[i - 1]), b = geo_pt_of(line->at[i]);
        double share = apart(a, b) / whole;
        if (fraction < done + share) {
            double part = (fraction - done) / share;
            return (geo_pt){a.lon + part * (b.lon - a.lon), a.lat + part * (b.lat - a.lat)};
        }
        done += share;
    }
    return geo_pt_of(line->at[line->count - 1]);
}

/* The point of the segment a to b that is nearest to p. */
static geo_pt nearest_on(geo_pt a, geo_pt b, geo_pt p)
{
    double x = b.lon - a.lon, y = b.lat - a.lat, length2 = x * x + y * y;
    if (length2 == 0)
        return a;
    double r = ((p.lon - a.lon) * x + (p.lat - a.lat) * y) / length2;
    if (r <= 0)
        return a;
    return r >= 1 ? b : (geo_pt){a.lon + x * r, a.lat + y * r};
}

/* Squared distance in whatever unit the three have. */
static inline double distance2(geo_pt a, geo_pt b, geo_pt p)
{
    double x = b.lon - a.lon, y = b.lat - a.lat, px = p.lon - a.lon, py = p.lat - a.lat;
    double along = px * x + py * y, length2 = x * x + y * y;
    if (along <= 0)
        return px * px + py * py;
    if (along >= length2) {
        px -= x;
        py -= y;
        return px * px + py * py;
    }
    double cross = py * x - px * y;
    return cross * cross / length2;
}

static inline geo_pt plain(geo_at at)
{
    return (geo_pt){at.lon_e7, at.lat_e7};
}

double geo_line_fraction(const geo_ring *line, geo_pt p)
{
    double least = INFINITY, before = 0, whole = part_length(line);
    uint32_t best = 1;
    geo_pt u = geo_units(p);
    for (uint32_t i = 1; i < line->count && least > 0; i++) {
        double d = distance2(plain(line->at[i - 1]), plain(line->at[i]), u);
        if (d < least) {
            least = d;
            best = i;
        }
    }
    if (whole == 0)
        return 0;
    for (uint32_t i = 1; i < best; i++)
        before += apart(geo_pt_of(line->at[i - 1]), geo_pt_of(line->at[i]));
    geo_pt from = geo_pt_of(line->at[best - 1]), to = geo_pt_of(line->at[best]);
    geo_pt on = nearest_on(from, to, p);
    if (best == line->count - 1 && on.lon == to.lon && on.lat == to.lat)
        return 1;
    double fraction = (before + apart(from, on)) / whole;
    return fraction < 1 ? fraction : 1;
}

uint32_t geo_line_part(const geo_ring *line, double from, double to, geo_at *at)
{
    double whole = part_length(line), done = 0;
    uint32_t n = 0;
    at[n++] = geo_at_of(geo_line_point(line, from));
    for (uint32_t i = 1; i + 1 < line->count && whole > 0; i++) {
        done += apart(geo_pt_of(line->at[i - 1]), geo_pt_of(line->at[i])) / whole;
        if (done > from && done < to && !geo_at_equal(at[n - 1], line->at[i]))
            at[n++] = line->at[i];
    }
    geo_at end = geo_at_of(geo_line_point(line, to));
    if (!geo_at_equal(at[n - 1], end))
        at[n++] = end;
    return n;
}

/* Distance and side. */

typedef struct seeking {
    geo_pt p;      /* in stored units */
    double least2; /* squared, in stored units */
    geo_at a, b;   /* the edge that has it */
    bool found;
    bool odd; /* of the crossings of a ray to the east */
    bool on_edge;
} seeking;

static inline void seek_edge(seeking *s, geo_at a, geo_at b)
{
    double d = distance2(plain(a), plain(b), s->p);
    if (d < s->least2) {
        s->least2 = d;
        s->a = a;
        s->b = b;
        s->found = true;
    }
}

static double seek_result(const seeking *s, bool inside, geo_pt p, geo_pt *nearest)
{
    if (inside || s->least2 == 0) {
        if (nearest)
            *nearest = p;
        return 0;
    }
    if (nearest && s->found)
        *nearest = nearest_on(geo_pt_of(s->a), geo_pt_of(s->b), p);
    return sqrt(s->least2) / GEO_E7;
}

double geo_shape_distance(const geo_shape *shape, geo_pt p, geo_pt *nearest)
{
    seeking s = {.p = geo_units(p), .least2 = INFINITY};
    if (geo_shape_is_area(shape->kind) && geo_shape_side(shape, p) != GEO_SIDE_OUT)
        return seek_result(&s, true, p, nearest);
    for (uint32_t i = 0; i < shape->ring_count; i++) {
        const geo_ring *r = &shape->rings[i];
        for (uint32_t k = r->count > 1 ? 1 : 0; k < r->count; k++)
            seek_edge(&s, r->at[k > 0 ? k - 1 : 0], r->at[k]);
    }
    return seek_result(&s, false, p, nearest);
}

double geo_bytes_distance(sx_str bytes, geo_pt p, double most, geo_pt *nearest)
{
    geo_scan scan;
    double most_units = most * GEO_E7;
    seeking s = {.p = geo_units(p), .least2 = INFINITY};
    bool part = geo_scan_open(&scan, bytes);
    if (part && geo_shape_is_area(scan.kind)) {
        geo_side side = geo_bytes_side(bytes, p);
        if (side == GEO_SIDE_DAMAGED)
            return -1;
        if (side != GEO_SIDE_OUT)
            return seek_result(&s, true, p, nearest);
    }
    if (most >= 0 && most_units * most_units < s.least2)
        s.least2 = nextafter(most_units * most_units, INFINITY);
    for (; part; part = geo_scan_part(&scan))
        while (geo_scan_block(&scan)) {
            if (scan.kind == GEO_SHAPE_POINT)
                seek_edge(&s, scan.at, scan.at);
            if (scan.head_end && box_distance2(scan.block, s.p) > s.least2)
                geo_scan_skip(&scan);
            else
                for (geo_at a = scan.at; geo_scan_step(&scan); a = scan.at)
                    seek_edge(&s, a, scan.at);
        }
    if (scan.c.bad)
        return -1;
    if (!s.found)
        return isinf(s.least2) ? -1 : INFINITY;
    return seek_result(&s, false, p, nearest);
}

static inline void side_edge(seeking *s, geo_at a, geo_at b)
{
    int met = geo_ray(s->p, a, b);
    s->odd ^= met == 1;
    s->on_edge |= met == 2;
}

static geo_side side_result(const seeking *s)
{
    if (s->on_edge)
        return GEO_SIDE_EDGE;
    return s->odd ? GEO_SIDE_IN : GEO_SIDE_OUT;
}

/* Whether `p` is on the segment, for lines. */
static bool on_segment(geo_at a, geo_at b, geo_pt p)
{
    return distance2(plain(a), plain(b), p) == 0;
}

geo_side geo_shape_side(const geo_shape *shape, geo_pt p)
{
    seeking s = {.p = geo_units(p)};
    bool area = geo_shape_is_area(shape->kind);
    for (uint32_t i = 0; i < shape->ring_count; i++) {
        const geo_ring *r = &shape->rings[i];
        if (!area)
            s.on_edge |= on_segment(r->at[0], r->at[0], s.p);
        for (uint32_t k = 1; k < r->count; k++) {
            if (area)
                side_edge(&s, r->at[k - 1], r->at[k]);
            else
                s.on_edge |= on_segment(r->at[k - 1], r->at[k], s.p);
        }
    }
    return side_result(&s);
}

geo_side geo_bytes_side(sx_str bytes, geo_pt p)
{
    geo_scan scan;
    seeking s = {.p = geo_units(p)};
    bool part = geo_scan_open(&scan, bytes);
    if (part && !geo_shape_is_area(scan.kind)) {
        double d = geo_bytes_distance(bytes, p, 0, NULL);
        return d < 0 ? GEO_SIDE_DAMAGED : d == 0 ? GEO_SIDE_EDGE : GEO_SIDE_OUT;
    }
    for (; part; part = geo_scan_part(&scan))
        while (geo_scan_block(&scan)) {
            /* A ray to the east meets only what reaches its level and lies beyond its start. */
            if (scan.head_end && (s.p.lat < scan.block.lat_min || s.p.lat > scan.block.lat_max ||
                                  s.p.lon > scan.block.lon_max))
                geo_scan_skip(&scan);
            else
                for (geo_at a = scan.at; geo_scan_step(&scan); a = scan.at)
                    side_edge(&s, a, scan.at);
        }
    return scan.c.bad ? GEO_SIDE_DAMAGED : side_result(&s);
}

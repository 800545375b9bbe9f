/* points.c - one point for a shape: its centroid, and a point inside it (measure.h).
 *
 * Both follow what GEOS is known to do, because Nominatim answers with these points: the centroid
 * from triangles that share one base point, the inside point from one level line per polygon. */
#include <math.h>
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/geometry/measure.h"

typedef struct sums {
    double area2, area_lon, area_lat; /* of triangles, times 3 */
    double length, line_lon, line_lat;
    double points, point_lon, point_lat;
} sums;

static void add_point(sums *s, geo_pt p)
{
    s->points++;
    s->point_lon += p.lon;
    s->point_lat += p.lat;
}

static void add_line(sums *s, const geo_ring *r)
{
    double length = 0;
    for (uint32_t i = 1; i < r->count; i++) {
        geo_pt a = geo_pt_of(r->at[i - 1]), b = geo_pt_of(r->at[i]);
        double x = b.lon - a.lon, y = b.lat - a.lat, one = sqrt(x * x + y * y);
        length += one;
        s->line_lon += one * ((a.lon + b.lon) / 2);
        s->line_lat += one * ((a.lat + b.lat) / 2);
    }
    s->length += length;
    if (length == 0)
        add_point(s, geo_pt_of(r->at[0]));
}

static void add_ring(sums *s, const geo_ring *r, geo_pt base)
{
    double area2 = 0, lon = 0, lat = 0;
    for (uint32_t i = 1; i < r->count; i++) {
        geo_pt a = geo_pt_of(r->at[i - 1]), b = geo_pt_of(r->at[i]);
        double one =
            (a.lon - base.lon) * (b.lat - base.lat) - (b.lon - base.lon) * (a.lat - base.lat);
        area2 += one;
        lon += one * (base.lon + a.lon + b.lon);
        lat += one * (base.lat + a.lat + b.lat);
    }
    /* Outer rings count as positive and inner ones as negative, whichever way they run. */
    double sign = (area2 < 0) != r->inner ? -1 : 1;
    s->area2 += sign * area2;
    s->area_lon += sign * lon;
    s->area_lat += sign * lat;
}

static sums shape_sums(const geo_shape *shape)
{
    sums s = {0};
    geo_pt base = geo_pt_of(shape->rings[0].at[0]);
    for (uint32_t i = 0; i < shape->ring_count; i++) {
        const geo_ring *r = &shape->rings[i];
        if (shape->kind == GEO_SHAPE_POINT) {
            add_point(&s, base);
            continue;
        }
        if (geo_shape_is_area(shape->kind))
            add_ring(&s, r, base);
        add_line(&s, r); /* for an area without extent its edges count */
    }
    return s;
}

geo_pt geo_shape_centroid(const geo_shape *shape)
{
    sums s = shape_sums(shape);
    if (s.area2 != 0)
        return (geo_pt){s.area_lon / 3 / s.area2, s.area_lat / 3 / s.area2};
    if (s.length > 0)
        return (geo_pt){s.line_lon / s.length, s.line_lat / s.length};
    return (geo_pt){s.point_lon / s.points, s.point_lat / s.points};
}

/* The inside point of an area. */

typedef struct level {
    double lat;       /* the line's */
    double *crossing; /* heap: longitudes at which rings cross it */
    size_t count, cap;
    double widest; /* stretch so far, over all polygons */
    geo_pt best;
} level;

/* Half-way between the vertices that are next above and next below the middle of the polygon's box:
 * a level on which no vertex lies, unless they all lie on one. */
static double level_of(const geo_ring *rings, uint32_t count)
{
    int32_t low = rings[0].at[0].lat_e7, high = low;
    for (uint32_t k = 0; k < rings[0].count; k++) {
        int32_t lat = rings[0].at[k].lat_e7;
        low = lat < low ? lat : low;
        high = lat > high ? lat : high;
    }
    double below = low / (double)GEO_E7, above = high / (double)GEO_E7;
    double middle = (below + above) / 2;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < rings[i].count; k++) {
            double lat = geo_pt_of(rings[i].at[k]).lat;
            if (lat <= middle && lat > below)
                below = lat;
            else if (lat > middle && lat < above)
                above = lat;
        }
    return (above + below) / 2;
}

static bool cross_edge(level *l, geo_pt a, geo_pt b)
{
    double lat = l->lat;
    if ((a.lat > lat && b.lat > lat) || (a.lat < lat && b.lat < lat) || a.lat == b.lat)
        return true;
    /* An end on the line counts with the edge that comes from above. */
    if ((a.lat == lat && b.lat < lat) || (b.lat == lat && a.lat < lat))
        return true;
    if (!sx_grow(&l->crossing, &l->cap, l->count + 1, sizeof *l->crossing))
        return false;
    double slope = (b.lat - a.lat) / (b.lon - a.lon);
    l->crossing[l->count++] = a.lon == b.lon ? a.lon : a.lon + (lat - a.lat) / slope;
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One polygon: its outer ring and `count - 1` inner ones. */
static bool inside_polygon(level *l, const geo_ring *rings, uint32_t count, bool first)
{
    double widest = 0;
    geo_pt best = geo_pt_of(rings[0].at[0]);
    l->lat = level_of(rings, count);
    l->count = 0;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 1; k < rings[i].count; k++)
            if (!cross_edge(l, geo_pt_of(rings[i].at[k - 1]), geo_pt_of(rings[i].at[k])))
                return false;
    if (l->count)
        qsort(l->crossing, l->count, sizeof *l->crossing, by_value);
    for (size_t i = 1; i < l->count; i += 2) {
        double width = l->crossing[i] - l->crossing[i - 1];
        if (width > widest) {
            widest = width;
            best = (geo_pt){(l->crossing[i] + l->crossing[i - 1]) / 2, l->lat};
        }
    }
    if (first || widest > l->widest) {
        l->widest = widest;
        l->best = best;
    }
    return true;
}

static sx_status inside_area(const geo_shape *shape, geo_pt *out, sx_error *err)
{
    level l = {0};
    bool held = true;
    for (uint32_t i = 0, next; held && i < shape->ring_count; i = next) {
        next = i + 1;
        while (next < shape->ring_count && shape->rings[next].inner)
            next++;
        held = inside_polygon(&l, shape->rings + i, next - i, i == 0);
    }
    sx_free(l.crossing);
    if (!held)
        return sx_fail_memory(err, "the crossings of an area with a level line");
    *out = l.best;
    return SX_OK;
}

static void nearer_vertex(geo_at at, geo_pt center, double *least, geo_pt *out)
{
    geo_pt p = geo_pt_of(at);
    double x = p.lon - center.lon, y = p.lat - center.lat, d = sqrt(x * x + y * y);
    if (d < *least) {
        *least = d;
        *out = p;
    }
}

/* The vertex nearest to the centroid, ends of parts left out. */
static geo_pt inside_line(const geo_shape *shape)
{
    geo_pt center = geo_shape_centroid(shape), best = geo_pt_of(shape->rings[0].at[0]);
    double least = INFINITY;
    for (uint32_t i = 0; i < shape->ring_count; i++)
        for (uint32_t k = 1; k + 1 < shape->rings[i].count; k++)
            nearer_vertex(shape->rings[i].at[k], center, &least, &best);
    return best;
}

/* Between the ends of lines of two points: nearest to the centroid. */
static geo_pt inside_ends(const geo_shape *shape)
{
    geo_pt center = geo_shape_centroid(shape), best = geo_pt_of(shape->rings[0].at[0]);
    double least = INFINITY;
    for (uint32_t i = 0; i < shape->ring_count; i++) {
        const geo_ring *r = &shape->rings[i];
        nearer_vertex(r->at[0], center, &least, &best);
        nearer_vertex(r->at[r->count - 1], center, &least, &best);
    }
    return best;
}

sx_status geo_shape_inside_point(const geo_shape *shape, geo_pt *out, sx_error *err)
{
    if (geo_shape_is_area(shape->kind))
        return inside_area(shape, out, err);
    bool vertices = false;
    for (uint32_t i = 0; i < shape->ring_count; i++)
        vertices |= shape->rings[i].count > 2;
    *out = vertices ? inside_line(shape) : inside_ends(shape);
    return SX_OK;
}

sx_status geo_shape_center(const geo_shape *shape, geo_at *out, sx_error *err)
{
    geo_pt p;
    if (shape->kind == GEO_SHAPE_LINE) {
        *out = geo_at_of(geo_line_point(&shape->rings[0], 0.5));
        return SX_OK;
    }
    sx_status st = geo_shape_inside_point(shape, &p, err);
    if (st == SX_OK)
        *out = geo_at_of(p);
    return st;
}

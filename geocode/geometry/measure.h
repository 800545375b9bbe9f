/* measure.h - sizes, distances and points of shapes, as a planar database computes them.
 *
 * All on the plane of degrees (one degree of longitude is one of latitude), which is what Nominatim
 * compares and answers: the results agree with PostGIS 3.3 and GEOS 3.11 far below the seven digits
 * that are shown. Nothing here allocates but geo_shape_inside_point, and nothing fails on a shape
 * that passes geo_shape_check(). Any thread. */
#ifndef GEOCODE_GEOMETRY_MEASURE_H
#define GEOCODE_GEOMETRY_MEASURE_H

#include "geocode/geometry/shape.h"

/* Where a point is, seen from an area. */
typedef enum geo_side {
    GEO_SIDE_OUT,
    GEO_SIDE_EDGE,
    GEO_SIDE_IN,
    GEO_SIDE_DAMAGED, /* the stored bytes do not hold together */
} geo_side;

/* Boxes. */

/* The smallest box around a shape. */
geo_box geo_shape_box(const geo_shape *shape);

/* Makes `box` hold `at` too. */
void geo_box_add(geo_box *box, geo_at at);

static inline bool geo_box_meets(geo_box a, geo_box b)
{
    return a.lon_min <= b.lon_max && b.lon_min <= a.lon_max && a.lat_min <= b.lat_max &&
           b.lat_min <= a.lat_max;
}

static inline bool geo_box_holds(geo_box outer, geo_box inner)
{
    return outer.lon_min <= inner.lon_min && inner.lon_max <= outer.lon_max &&
           outer.lat_min <= inner.lat_min && inner.lat_max <= outer.lat_max;
}

static inline geo_box geo_box_at(geo_at at)
{
    return (geo_box){at.lon_e7, at.lat_e7, at.lon_e7, at.lat_e7};
}

/* The box `degrees` wider on every side (ST_Expand), cut at the globe's edge. */
geo_box geo_box_expand(geo_box box, double degrees);

/* Degrees from a point to a box; 0 inside. */
double geo_box_distance(geo_box box, geo_pt p);

/* Sizes. */

/* ST_Area: square degrees; 0 for points and lines. */
double geo_shape_area(const geo_shape *shape);

/* ST_Length: degrees; 0 for points and areas. */
double geo_shape_length(const geo_shape *shape);

/* Points. */

/* ST_Centroid. */
geo_pt geo_shape_centroid(const geo_shape *shape);

/* ST_PointOnSurface: for areas the middle of the widest stretch inside, half-way up between the
 * vertices nearest to the box's middle; for lines the vertex nearest to the centroid, ends last; for
 * a point itself.
 *   errors  SX_ENOMEM: an area's crossings with one level could not be held */
sx_status geo_shape_inside_point(const geo_shape *shape, geo_pt *out, sx_error *err);

/* The point that Nominatim takes for a place: the middle of a line of one part, geo_shape_inside_point
 * of anything else, to seven digits. */
sx_status geo_shape_center(const geo_shape *shape, geo_at *out, sx_error *err);

/* Lines of one part. */

/* ST_LineInterpolatePoint: `fraction` (0 to 1; else cut) of the way along. */
geo_pt geo_line_point(const geo_ring *line, double fraction);

/* ST_LineLocatePoint: the fraction at which the line is nearest to `p`. */
double geo_line_fraction(const geo_ring *line, geo_pt p);

/* ST_LineSubstring to seven digits: from one fraction to another (0 <= from <= to <= 1), points that
 * become equal only once.
 *   at      takes line->count + 1 points
 *   returns how many were written; 1 if nothing is left but a point */
uint32_t geo_line_part(const geo_ring *line, double from, double to, geo_at *at);

/* Distances. */

/* ST_Distance and ST_ClosestPoint. 0 and `p` itself inside an area or on its edge.
 *   nearest   may be NULL */
double geo_shape_distance(const geo_shape *shape, geo_pt p, geo_pt *nearest);

/* The same on stored bytes, without memory.
 *   most      where all of the shape is further away the answer may be any number above `most`
 *   nearest   may be NULL; left alone where the answer is above `most`
 *   returns   degrees; -1 if the bytes are damaged */
double geo_bytes_distance(sx_str bytes, geo_pt p, double most, geo_pt *nearest);

/* Where `p` is. Of a line or point: GEO_SIDE_EDGE if it is on it, else GEO_SIDE_OUT.
 * ST_Contains(area, p) is GEO_SIDE_IN, ST_Intersects and ST_Covers that or GEO_SIDE_EDGE. */
geo_side geo_shape_side(const geo_shape *shape, geo_pt p);

/* HOT: about 1 us for an area of 5,000 points. The same on an area's stored bytes. */
geo_side geo_bytes_side(sx_str bytes, geo_pt p);

#endif

/* exact.h - which side of a line a point is on, without rounding. Internal to geocode/geometry. */
#ifndef GEOCODE_GEOMETRY_EXACT_H
#define GEOCODE_GEOMETRY_EXACT_H

#include <math.h>

#include "geocode/geometry/shape.h"

__extension__ typedef __int128 geo_wide;

/* 1: p lies left of the line a to b, -1: right, 0: on it. Differences take 33 bits, so that their
 * products need more than 64. */
static inline int geo_turn(geo_at a, geo_at b, geo_at p)
{
    geo_wide left = (geo_wide)((int64_t)b.lon_e7 - a.lon_e7) * ((int64_t)p.lat_e7 - a.lat_e7);
    geo_wide right = (geo_wide)((int64_t)b.lat_e7 - a.lat_e7) * ((int64_t)p.lon_e7 - a.lon_e7);
    return (left > right) - (left < right);
}

/* An asked point in stored units. Degrees that were written with seven digits become the integer
 * they mean: the product alone may miss it by the last bit of the double. */
static inline geo_pt geo_units(geo_pt degrees)
{
    double lon = degrees.lon * GEO_E7, lat = degrees.lat * GEO_E7;
    double whole_lon = rint(lon), whole_lat = rint(lat);
    return (geo_pt){fabs(lon - whole_lon) < 1e-5 ? whole_lon : lon,
                    fabs(lat - whole_lat) < 1e-5 ? whole_lat : lat};
}

/* What an edge from `a` to `b` (in stored units) means to a ray that runs east from `p`:
 * 0 nothing, 1 a crossing, 2 the point is on the edge. An end on the ray counts with the edge that
 * comes from above only, so that a vertex is met once or twice as it should. Products of edges up
 * to 9 degrees are exact. */
static inline int geo_ray(geo_pt p, geo_at a, geo_at b)
{
    double ax = a.lon_e7, ay = a.lat_e7, bx = b.lon_e7, by = b.lat_e7;
    if ((ay > p.lat) == (by > p.lat)) {
        /* Not crossed: on the edge all the same if it is level with the point, or an end of it. */
        if ((ay != p.lat && by != p.lat) || ay > p.lat)
            return 0;
        if (ay == by)
            return p.lon >= fmin(ax, bx) && p.lon <= fmax(ax, bx) ? 2 : 0;
        return (ay == p.lat ? ax : bx) == p.lon ? 2 : 0;
    }
    if (ax < p.lon && bx < p.lon)
        return 0;
    double turn = (bx - ax) * (p.lat - ay) - (by - ay) * (p.lon - ax);
    if (turn == 0)
        return 2;
    return (turn > 0) == (by > ay) ? 1 : 0;
}

#endif

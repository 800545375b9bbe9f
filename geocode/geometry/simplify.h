/* simplify.h - fewer points, same topology: ST_SimplifyPreserveTopology, which Nominatim's
 * polygon_threshold asks for.
 *
 * Each line or ring is cut down as Douglas and Peucker describe, but a stretch is only replaced by a
 * straight one that crosses nothing else of the shape, and a ring keeps four points. The choice of
 * points equals that of GEOS 3.11. */
#ifndef GEOCODE_GEOMETRY_SIMPLIFY_H
#define GEOCODE_GEOMETRY_SIMPLIFY_H

#include "geocode/geometry/shape.h"

/* Simplifies to `tolerance` degrees (0 or less: only what is exactly straight goes).
 *   out     parts and points in `arena`; a point stays itself; a collection of one part becomes that
 *           part alone
 *   errors  SX_ENOMEM */
sx_status geo_shape_simplify(const geo_shape *shape, double tolerance, sx_arena *arena,
                             geo_shape *out, sx_error *err);

#endif

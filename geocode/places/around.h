/* around.h - the box that reaches so many metres around a point. */
#ifndef GEOCODE_PLACES_AROUND_H
#define GEOCODE_PLACES_AROUND_H

#include "geocode/geometry/shape.h"

/* The box of the four points that lie `metres` east, north, west and south of the point on the map of
 * its UTM zone: what PostGIS gives as the envelope of a point's geographic buffer, of which a quarter
 * is one segment. In degrees; the box is rounded to seven digits in `box` (may be NULL). */
typedef struct plc_around {
    double lon_min, lat_min, lon_max, lat_max;
} plc_around;
plc_around plc_box_around(geo_pt at, double metres, geo_box *box);

#endif

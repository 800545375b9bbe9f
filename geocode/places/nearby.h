/* nearby.h - degrees between stored shapes and boxes or lines. Internal to geocode/places. */
#ifndef GEOCODE_PLACES_NEARBY_H
#define GEOCODE_PLACES_NEARBY_H

#include "geocode/geometry/measure.h"

/* ST_Distance of a stored shape and a box (a point, if it has no extent): 0 if they meet. Where all of the
 * shape is further than `most`, any number above it. -1 if the bytes are damaged. */
double plc_box_nearness(sx_str bytes, geo_box box, double most);

/* The same of a stored shape and a line. */
double plc_line_nearness(sx_str bytes, const geo_ring *line, double most);

#endif

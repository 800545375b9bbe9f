/* search_text.h - coordinates and categories within the text of a query.
 *
 * Both are taken out: what is left is in `*text`, in the arena where it had to be joined. */
#ifndef GEOCODE_NOMINATIM_SEARCH_TEXT_H
#define GEOCODE_NOMINATIM_SEARCH_TEXT_H

#include <sextant/arena.h>

#include "geocode/geometry/shape.h"

/* "47.1 9.5", "N 47° 6.5' E 9° 31.4'", "47° 6' 8.3" N 9° 31' 2" E" at the begin or the end of `*text`. */
bool nom_take_coordinates(sx_str *text, sx_arena *arena, geo_pt *out);

/* "[amenity=restaurant]" anywhere in `*text`; *class_name and *type point into it. */
bool nom_take_category(sx_str *text, sx_arena *arena, sx_str *class_name, sx_str *type);

#endif

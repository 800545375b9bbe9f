/* lookup.h - places by the ids that answers carry. */
#ifndef GEOCODE_NOMINATIM_LOOKUP_H
#define GEOCODE_NOMINATIM_LOOKUP_H

#include "geocode/nominatim/params.h"

/* Finds the place that `ref` names. Of an object that is several places it is the first by class; of a
 * way of house numbers the first piece, as a whole. The arena is for shapes. Documents of other sources
 * have no object of OpenStreetMap, and are found by place_id.
 *   errors  SX_ECORRUPT, SX_ENOMEM */
sx_status nom_lookup(const nom_index *ix, const nom_ref *ref, sx_arena *arena, nom_hit *out,
                     bool *found, sx_error *err);

#endif

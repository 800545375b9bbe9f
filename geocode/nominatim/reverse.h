/* reverse.h - what is at a point, as Nominatim's /reverse decides it.
 *
 * From rank 26 up the nearest street, house or point of interest within 0.006 degrees counts, refined to
 * a house number of the street found; else the smallest area around the point, refined to a place node
 * in it; else the country. All distances are planar degrees, as the peer has them. */
#ifndef GEOCODE_NOMINATIM_REVERSE_H
#define GEOCODE_NOMINATIM_REVERSE_H

#include "geocode/nominatim/object.h"

typedef struct nom_reverse_query {
    geo_pt at;
    uint8_t rank_max; /* nom_zoom_rank() */
    uint32_t layers;  /* NOM_LAYER_*; NOM_LAYERS_ANY: addresses and points of interest */
} nom_reverse_query;

/* The highest rank that a zoom asks for; a zoom beyond 0 to 18 is cut. */
uint8_t nom_zoom_rank(int64_t zoom);

/* Finds the one hit; *found false if there is none. The arena is for candidates.
 *   errors  SX_ECORRUPT, SX_ENOMEM */
sx_status nom_reverse_find(const plc_index *ix, const nom_reverse_query *q, sx_arena *arena,
                           nom_hit *out, bool *found, sx_error *err);

#endif

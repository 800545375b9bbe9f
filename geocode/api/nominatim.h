/* nominatim.h - Nominatim's endpoints over HTTP, on the places of OpenStreetMap that an index holds.
 *
 *   GET /nominatim/search?q=… | ?street=…&city=…     GET /nominatim/details?osmtype=W&osmid=…
 *   GET /nominatim/reverse?lat=…&lon=…[&zoom=]       GET /nominatim/status
 *   GET /nominatim/lookup?osm_ids=W1,N2              GET /nominatim/deletable, /nominatim/polygons
 *
 * Each with or without `.php`, as clients of older servers have it; and at the root, where `format` or a
 * field of a structured search tells /search and /reverse from Addok's. Methods but GET are answered as
 * Addok's are: both peers are served by Falcon. Used by serve.c and handlers.c. */
#ifndef SEXTANT_GEOCODE_API_NOMINATIM_H
#define SEXTANT_GEOCODE_API_NOMINATIM_H

#include <sextant/service.h>

/* Whether a query of /search or /reverse at the root is one of Nominatim's. */
bool geo_nominatim_is_meant(sx_str query);

/* The handlers, as those of api.h. */
void geo_nominatim_search(sx_request *r, void *ctx);
void geo_nominatim_reverse(sx_request *r, void *ctx);
void geo_nominatim_lookup(sx_request *r, void *ctx);
void geo_nominatim_details(sx_request *r, void *ctx);
void geo_nominatim_status(sx_request *r, void *ctx);
void geo_nominatim_polygons(sx_request *r, void *ctx);

#endif

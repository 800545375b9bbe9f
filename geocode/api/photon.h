/* photon.h - Photon's endpoints over HTTP, on the places of OpenStreetMap that an index holds.
 *
 *   GET /photon/api?q=…               GET /photon/reverse?lat=…&lon=…
 *   GET /photon/structured?city=…     GET /photon/status
 *
 * /api and /structured are at the root, too; /reverse is there where the query names a parameter that of
 * the three APIs only Photon's /reverse has (lang, osm_tag, layer, radius, ...) and no `format`. What
 * is wrong is answered with 400 and {"message": …}. Used by serve.c and handlers.c. */
#ifndef SEXTANT_GEOCODE_API_PHOTON_H
#define SEXTANT_GEOCODE_API_PHOTON_H

#include <sextant/service.h>

/* Whether a query of /reverse at the root is Photon's: it names a parameter of Photon's that Addok has
 * not. */
bool geo_photon_is_meant(sx_str query);

/* The handlers, as those of api.h. */
void geo_photon_api(sx_request *r, void *ctx);
void geo_photon_structured(sx_request *r, void *ctx);
void geo_photon_reverse(sx_request *r, void *ctx);
void geo_photon_status(sx_request *r, void *ctx);

#endif

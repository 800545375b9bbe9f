/* api.h - the geocoder over HTTP: Addok's endpoints, its errors, and the page with its map.
 *
 *   GET /search/?q=…[&limit=][&autocomplete=][&lat=&lon=][&type=][&postcode=][&citycode=]
 *   GET /reverse/?lat=&lon=[&limit=][&type=]…
 *   GET /health        {"status": "HEALTHY"}
 *   GET /map?bbox=W,S,E,N   what the page draws: streets with their numbers, places
 *   GET /              the page, where Accept names text/html
 *
 * Paths come with or without their last slash, as in Addok. Every handler here may run on every loop
 * at once: what a search scribbles on belongs to the loop. */
#ifndef SEXTANT_GEOCODE_API_API_H
#define SEXTANT_GEOCODE_API_API_H

#include "geocode/api/cache.h"
#include "geocode/api/live.h"
#include "geocode/api/stats.h"
#include "geocode/nominatim/params.h"

/* What all loops answer from; filled before the first request, read-only afterwards. */
typedef struct geo_api {
    geo_live *live;
    geo_cache *cache; /* NULL: each answer is computed */
    struct geo_csv *csv;
    geo_stats stats;
    nom_limits nominatim;
    size_t nominatim_bytes_max; /* of memory for one question; 0: any */
    const char *version;        /* of the program */
} geo_api;

/* What one loop's requests scribble on, about 300 KB: the loop's context of the service
 * (sx_service_def.loop_setup), where the handlers look for it. `api` is borrowed. Errors: SX_ENOMEM. */
typedef struct geo_scratch geo_scratch;
sx_status geo_scratch_new(geo_api *api, geo_scratch **out, sx_error *err);

/* Frees it; NULL is allowed. */
void geo_scratch_free(geo_scratch *s);

/* Lets go of an index that is no longer the newest, for a loop that has had no request since. The
 * loop's thread. */
void geo_scratch_follow(geo_scratch *s);

/* The handlers, which find the geo_api in their loop's scratch; `ctx` is not used. Each answers every
 * method itself, as Addok does: GET, 200 to OPTIONS, else 405. */
void geo_api_search(sx_request *r, void *ctx);
void geo_api_reverse(sx_request *r, void *ctx);
void geo_api_health(sx_request *r, void *ctx);
void geo_api_map(sx_request *r, void *ctx);
void geo_api_page(sx_request *r, void *ctx);

/* For every other path: Addok's 404. */
void geo_api_not_found(sx_request *r, void *ctx);

#endif

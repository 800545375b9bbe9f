/* params.h - what Photon's endpoints are asked: /api, /structured and /reverse.
 *
 * Photon refuses parameters it does not know, and values that it cannot read, with status 400 and
 * {"message": "..."}; so do we. One parameter is ours: fuzzy=0 wants no typing errors forgiven. What
 * Photon takes from its configuration is fixed here: any language, 50 results at most, outlines.
 * Source: docs/api-v1.md and docs/categories.md of Photon 1.x. */
#ifndef GEOCODE_PHOTON_PARAMS_H
#define GEOCODE_PHOTON_PARAMS_H

#include <sextant/arena.h>
#include <sextant/error.h>

#include "geocode/photon/kinds.h"

typedef enum photon_endpoint {
    PHOTON_API,
    PHOTON_STRUCTURED,
    PHOTON_REVERSE,
    PHOTON_ENDPOINTS,
} photon_endpoint;

enum {
    PHOTON_LIMIT_MAX = 50,
    PHOTON_FILTERS_MAX = 64, /* of each kind, in one request */
    PHOTON_COUNTRIES_MAX = 64,
};

/* An address by its parts (/structured); empty: not given. */
typedef struct photon_parts {
    sx_str state, county, city, postcode, district, housenumber, street;
} photon_parts;

typedef struct photon_query {
    photon_endpoint endpoint;
    sx_str sent; /* the query string */
    sx_str q;    /* free text, trimmed; empty: structured, or whatever the categories include */
    photon_parts parts;
    sx_str language; /* as given, "default" for the local one; empty: not given */
    uint32_t limit;  /* 1 to PHOTON_LIMIT_MAX */
    bool dedupe, geometry, debug, fuzzy;
    bool has_point;
    geo_pt at;        /* the bias' centre; of /reverse the question */
    int zoom;         /* 0 to 18: how far the bias reaches */
    double bias;      /* location_bias_scale: how much importance still counts, 0 to 1 */
    double radius_km; /* of /reverse */
    bool by_distance; /* of /reverse: nearest first */
    sx_str words;     /* of /reverse, query_string_filter: words that an answer has to hold */
    photon_wanted wanted;
} photon_query;

/* Reads the query string of an endpoint (what follows the '?', still encoded). Everything in `out` lives
 * in `arena` or is static.
 *   errors  SX_EINVAL: *message says why, for status 400; SX_ENOMEM */
sx_status photon_params_read(sx_arena *arena, sx_str query, photon_endpoint endpoint,
                             photon_query *out, sx_str *message);

/* Whether an endpoint knows a parameter, for those who have to tell Photon's requests from others at the
 * same path. */
bool photon_knows(photon_endpoint endpoint, sx_str name);

#endif

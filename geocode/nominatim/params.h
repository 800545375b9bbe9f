/* params.h - what each endpoint of Nominatim's API is asked, read and checked in Nominatim's order: of
 * several mistakes the same one is told. */
#ifndef GEOCODE_NOMINATIM_PARAMS_H
#define GEOCODE_NOMINATIM_PARAMS_H

#include <sextant/arena.h>

#include "geocode/nominatim/answer.h"
#include "geocode/nominatim/request.h"
#include "geocode/nominatim/reverse.h"
#include "geocode/nominatim/search.h"

/* What may be asked of one request; 0: the default. */
typedef struct nom_limits {
    uint32_t lookup_max; /* objects of one lookup: 50 */
    size_t polygon_bytes_max, hierarchy_max;
} nom_limits;

/* What all endpoints that give places are told of how to print them. */
typedef struct nom_output {
    nom_format format;
    bool address, extratags, names, entrances;
    unsigned polygons; /* NOM_POLYGON_* */
    double threshold;
} nom_output;

typedef struct nom_reverse_params {
    nom_output output;
    double lat, lon; /* as asked */
    bool on_globe;   /* else nothing is found */
    nom_reverse_query query;
} nom_reverse_params;

/* An object of OpenStreetMap that is asked for by its id, or a place_id of ours. */
typedef struct nom_ref {
    bool by_place_id;
    unsigned osm_kind;
    int64_t id;
    sx_str class_name; /* only such; empty: any */
} nom_ref;

typedef struct nom_lookup_params {
    nom_output output;
    nom_ref *refs; /* in the arena */
    uint32_t count;
} nom_lookup_params;

typedef struct nom_details_params {
    nom_ref ref;
    bool address, linked, hierarchy, group_hierarchy, keywords, geojson, entrances;
} nom_details_params;

typedef struct nom_search_params {
    nom_output output;
    bool
        nothing; /* q is empty, or a point beyond the globe: nothing is found, and nothing is wrong */
    nom_search_query query;
    sx_str shown;            /* the query as the answer repeats it */
    sx_str feature_type;     /* as given, if it is known; empty */
    const nom_ref *excluded; /* as given */
    uint32_t excluded_count;
    sx_str countries; /* as given, in lower case: "li,ch" */
} nom_search_params;

/* Read the parameters of an endpoint. `out` is good as long as the query and the arena. True; or false
 * with the refusal filled (`refusal->status` 500: no memory). refusal->form is set either way: errors
 * that come later are shown so, too. */
bool nom_reverse_read(const nom_request *q, nom_reverse_params *out, nom_refusal *refusal);
bool nom_lookup_read(const nom_request *q, const nom_limits *limits, sx_arena *arena,
                     nom_lookup_params *out, nom_refusal *refusal);
bool nom_details_read(const nom_request *q, nom_details_params *out, nom_refusal *refusal);
bool nom_search_read(const nom_request *q, sx_arena *arena, nom_search_params *out,
                     nom_refusal *refusal);
/* *json: else plain text. */
bool nom_status_read(const nom_request *q, bool *json, nom_refusal *refusal);
/* Of the two endpoints that list what an import kept back: always empty lists. */
bool nom_polygons_read(const nom_request *q, nom_refusal *refusal);

/* Whether `name` may be called by JavaScript: identifiers with points between them. */
bool nom_callback_valid(sx_str name);

#endif

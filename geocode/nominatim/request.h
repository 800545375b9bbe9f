/* request.h - a request of Nominatim's API as it arrives: its parameters by name, and how each is read.
 *
 * The last of a repeated parameter counts, unknown ones are ignored. Numbers are those that Python
 * takes; every value but "0" is true. What is wrong is said in Nominatim's words. */
#ifndef GEOCODE_NOMINATIM_REQUEST_H
#define GEOCODE_NOMINATIM_REQUEST_H

#include <sextant/str.h>

#define NOM_PARAM_LIST(X)                                                                          \
    X(ACCEPT_LANGUAGE, "accept-language")                                                          \
    X(ADDRESSDETAILS, "addressdetails")                                                            \
    X(AMENITY, "amenity")                                                                          \
    X(BOUNDED, "bounded")                                                                          \
    X(CITY, "city")                                                                                \
    X(CLASS, "class")                                                                              \
    X(COUNTRY, "country")                                                                          \
    X(COUNTRYCODES, "countrycodes")                                                                \
    X(COUNTY, "county")                                                                            \
    X(DAYS, "days")                                                                                \
    X(DEBUG, "debug")                                                                              \
    X(DEDUPE, "dedupe")                                                                            \
    X(ENTRANCES, "entrances")                                                                      \
    X(EXCLUDE_PLACE_IDS, "exclude_place_ids")                                                      \
    X(EXTRATAGS, "extratags")                                                                      \
    X(FEATURE_TYPE, "featureType")                                                                 \
    X(FORMAT, "format")                                                                            \
    X(FUZZY, "fuzzy")                                                                              \
    X(GROUP_HIERARCHY, "group_hierarchy")                                                          \
    X(HIERARCHY, "hierarchy")                                                                      \
    X(JSON_CALLBACK, "json_callback")                                                              \
    X(KEYWORDS, "keywords")                                                                        \
    X(LAT, "lat")                                                                                  \
    X(LAYER, "layer")                                                                              \
    X(LIMIT, "limit")                                                                              \
    X(LINKEDPLACES, "linkedplaces")                                                                \
    X(LON, "lon")                                                                                  \
    X(NAMEDETAILS, "namedetails")                                                                  \
    X(OSMID, "osmid")                                                                              \
    X(OSMTYPE, "osmtype")                                                                          \
    X(OSM_IDS, "osm_ids")                                                                          \
    X(PLACE_ID, "place_id")                                                                        \
    X(POLYGON_GEOJSON, "polygon_geojson")                                                          \
    X(POLYGON_KML, "polygon_kml")                                                                  \
    X(POLYGON_SVG, "polygon_svg")                                                                  \
    X(POLYGON_TEXT, "polygon_text")                                                                \
    X(POLYGON_THRESHOLD, "polygon_threshold")                                                      \
    X(POSTALCODE, "postalcode")                                                                    \
    X(Q, "q")                                                                                      \
    X(STATE, "state")                                                                              \
    X(STREET, "street")                                                                            \
    X(VIEWBOX, "viewbox")                                                                          \
    X(VIEWBOXLBRT, "viewboxlbrt")                                                                  \
    X(ZOOM, "zoom")

typedef enum nom_param {
#define X(id, name) NOM_P_##id,
    NOM_PARAM_LIST(X)
#undef X
        NOM_PARAMS
} nom_param;

/* The values, decoded; data NULL: not given. */
typedef struct nom_request {
    sx_str values[NOM_PARAMS];
} nom_request;

/* "countrycodes". Static. */
sx_str nom_param_name(nom_param p);

/* Which one is called so; NOM_PARAMS: none. */
nom_param nom_param_of(sx_str name);

/* How errors are shown: as the format that was asked for, or as plain text until that is known. */
typedef enum nom_error_form { NOM_ERROR_TEXT, NOM_ERROR_XML, NOM_ERROR_JSON } nom_error_form;

/* Why a request is refused. */
typedef struct nom_refusal {
    int status; /* 0: it is not */
    nom_error_form form;
    char message[256]; /* NUL-terminated; longer ones are cut between characters */
} nom_refusal;

/* Fills `r`, whose form is kept, and returns false. */
bool nom_refuse(nom_refusal *r, int status, const char *fmt, ...) SX_PRINTF(3, 4);

static inline bool nom_request_has(const nom_request *q, nom_param p)
{
    return q->values[p].data != NULL;
}

/* Its value; the default if it is not given. */
bool nom_request_bool(const nom_request *q, nom_param p, bool otherwise);

/* Reads a number; *out is the default where it is not given. NULL for `otherwise`: it must be given.
 * False, the refusal filled, if it is none. */
bool nom_request_int(const nom_request *q, nom_param p, const int64_t *otherwise, int64_t *out,
                     nom_refusal *r);
bool nom_request_float(const nom_request *q, nom_param p, const double *otherwise, double *out,
                       nom_refusal *r);

#endif

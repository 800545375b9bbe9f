/* result.h - what a question of Nominatim's API finds, before it is put into words.
 *
 * Search, reverse and lookup give nom_hits; address.h turns one into names, address rows and a
 * display_name in the reader's languages; the formats print those. */
#ifndef GEOCODE_NOMINATIM_RESULT_H
#define GEOCODE_NOMINATIM_RESULT_H

#include <sextant/arena.h>
#include <sextant/str.h>

#include "geocode/geometry/shape.h"
#include "geocode/index/index.h"
#include "geocode/places/places.h"

/* Where Nominatim's API looks: the places of an index, and its documents of other sources. */
typedef struct nom_index {
    const geo_index
        *documents;          /* BAN, Spain and the like; documents made of places are not asked */
    const plc_index *places; /* NULL: the index has no OpenStreetMap data */
} nom_index;

typedef enum nom_source {
    NOM_PLACE,         /* id: of the place */
    NOM_POSTCODE,      /* id: in plc_postcodes() */
    NOM_INTERPOLATION, /* id: in INTERPOLATIONS; number: the house's */
    NOM_COUNTRY,       /* id: plc_country_of(); there is no object for it */
    NOM_DOCUMENT,      /* id: of the document; number: index of the house number or GEO_NO_NUMBER */
} nom_source;

typedef struct nom_hit {
    nom_source source;
    uint32_t id, number;
    geo_at at;         /* centroid; of an interpolation, the computed point */
    geo_box box;       /* as boundingbox shows it */
    double importance; /* as it is printed */
    double distance;   /* reverse: degrees to the question's point */
    double ranking;    /* search: lower is better */
    double accuracy;   /* search: how much was assumed in reading the query */
} nom_hit;

typedef struct nom_hits {
    nom_hit *items; /* in the caller's arena, best first */
    uint32_t count, cap;
} nom_hits;

/* In place of a house's number: the interpolation as a whole (lookup and details). */
#define NOM_WHOLE_INTERPOLATION UINT32_MAX

/* Which kinds of objects are wanted, a bit each: Nominatim's `layer`. */
enum {
    NOM_LAYER_ADDRESS = 1,
    NOM_LAYER_POI = 2,
    NOM_LAYER_RAILWAY = 4,
    NOM_LAYER_NATURAL = 8,
    NOM_LAYER_MANMADE = 16,
    NOM_LAYERS_ANY = 0,
};

/* A place_id of ours: stable for one index file, a number as clients expect. The lowest three bits are
 * the source, the rest id (and, of interpolations and documents, number is not part of it). */
static inline uint64_t nom_place_id(const nom_hit *hit)
{
    return ((uint64_t)hit->id + 1) << 3 | (uint64_t)hit->source;
}

#endif

/* object.h - what is known of a hit, whatever it was found among: one view for names, addresses, details
 * and every format. */
#ifndef GEOCODE_NOMINATIM_OBJECT_H
#define GEOCODE_NOMINATIM_OBJECT_H

#include "geocode/nominatim/result.h"

#define NOM_NO_TAGS UINT64_MAX

enum { NOM_OSM_NONE = 255 };

typedef struct nom_object {
    nom_source source;
    uint32_t id;                    /* as the hit's */
    uint32_t place, parent, linked; /* PLC_NONE: none */
    uint8_t osm_kind;               /* of geocode/osm/osm.h; NOM_OSM_NONE */
    int64_t osm_id;
    sx_str class_name, type;
    uint64_t tags;      /* its names, address tags and extratags; NOM_NO_TAGS */
    sx_str only_name;   /* where it has no tags: all that it is called ("9490") */
    sx_str housenumber; /* as it is printed; empty */
    sx_str postcode;    /* the one computed; empty */
    uint8_t rank_search, rank_address, admin_level;
    uint16_t country;
    bool area;
    double importance; /* as it is printed */
    geo_at at;
    bool has_box; /* it has an extent of its own */
    geo_box box;
    sx_str shape; /* stored, for geo_shape_decode(); empty: a point */
    const plc_disk_interpolation *interpolation; /* a whole one, no house of it; NULL */
    char digits[16]; /* what housenumber of an interpolation points into: not to be copied */
} nom_object;

/* Fills `out` of a hit that is no NOM_DOCUMENT. Errors: SX_ECORRUPT. */
sx_status nom_object_of(const nom_index *ix, const nom_hit *hit, nom_object *out, sx_error *err);

/* The box that is printed: its own, or one around its point, as wide as such things are. */
geo_box nom_object_box(const nom_object *object);

/* Walks the names of an object as they are shown: what a boundary has of the place it took over stands
 * under the plain key where the boundary has no such name itself. */
typedef struct nom_names {
    const nom_index *ix;
    const nom_object *object;
    plc_tags tags;
    uint32_t at; /* of a country's names, or of the only one */
} nom_names;
void nom_names_begin(const nom_index *ix, const nom_object *object, nom_names *it);
bool nom_names_next(nom_names *it, sx_str *key, sx_str *value);

/* What is printed as its type: "city", "road", "house_number". Into `out` (cap bytes); lower case.
 * `extra_place`: its extratags' place or linked_place. */
sx_str nom_label(sx_str class_name, sx_str type, sx_str extra_place, unsigned rank_address,
                 uint16_t country, char *out, size_t cap);

/* The place_id that is printed; see nom_place_id(). */
static inline uint64_t nom_object_place_id(const nom_object *object)
{
    return ((uint64_t)object->id + 1) << 3 | (uint64_t)object->source;
}

/* An importance by rank, where no other is known. */
static inline double nom_rank_importance(unsigned rank_search)
{
    return 0.40001 - rank_search / 75.0;
}

#endif

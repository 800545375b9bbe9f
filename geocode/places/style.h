/* style.h - what an object's tags make of it: no place, one, or several.
 *
 * A way may be an amenity and a named bridge at once; a building is a place only if it has a name or
 * a number; `admin_level` alone is nothing. Which tags are a place's kind, its names and its address,
 * and which are left out, are tables in style.c, the ones Nominatim imports with by default (its style
 * "extratags"). Shapes are not looked at here. Pure; any thread. */
#ifndef GEOCODE_PLACES_STYLE_H
#define GEOCODE_PLACES_STYLE_H

#include <sextant/arena.h>

#include "geocode/osm/osm.h"

/* Pairs sorted by the length of the key, then by its bytes, each key once: the order in which
 * Nominatim's answers fall back on "any name". */
typedef struct plc_pairs {
    osm_tag *items;
    uint32_t count;
} plc_pairs;

/* One place that the object is. */
typedef struct plc_kind {
    sx_str class_name, type; /* "amenity", "restaurant" */
    plc_pairs names, extratags;
    bool is_fallback; /* only because nothing else came of it: a building, an address */
} plc_kind;

typedef struct plc_reading {
    plc_kind *kinds;
    uint32_t kind_count;
    plc_pairs address;     /* "street", "housenumber", "postcode", "country", ... */
    uint8_t admin_level;   /* 1 to 15; 15 if it is not given or makes no sense */
    bool is_highway_area;  /* area=yes */
    bool is_postcode_area; /* boundary=postal_code of a relation, with a postcode */
    bool
        is_postcode_point; /* no place, but it has a postcode: it counts for the postcode's middle */
    bool is_interpolation; /* a way along which house numbers are to be filled in ... */
    sx_str interpolation;  /* ... this way: "even", "odd", "all", "4" */
    bool is_entrance;      /* a node */
    sx_str entrance;       /* "main" */
    plc_pairs entrance_tags;
} plc_reading;

/* Reads an object's tags. What `out` holds lies in the arena or in the object. Errors: SX_ENOMEM. */
sx_status plc_style_read(const osm_object *o, sx_arena *arena, plc_reading *out, sx_error *err);

/* The value of a pair; empty if it is not there. */
sx_str plc_pairs_get(const plc_pairs *p, sx_str key);

/* Sorts pairs into their order and drops all but the first of a key. */
void plc_pairs_sort(plc_pairs *p);

#endif

/* kinds.h - which places are wanted: Photon's layers, its filters by tag and category, country and box. */
#ifndef GEOCODE_PHOTON_KINDS_H
#define GEOCODE_PHOTON_KINDS_H

#include <sextant/str.h>

#include "geocode/geometry/shape.h"

/* Photon's word for the extent of a place ("type" of an answer, parameter "layer"), in its order. */
#define PHOTON_LAYER_LIST(X)                                                                       \
    X(house) X(street) X(locality) X(district) X(city) X(county) X(state) X(country) X(other)
typedef enum photon_layer {
#define X(name) PHOTON_LAYER_##name,
    PHOTON_LAYER_LIST(X)
#undef X
        PHOTON_LAYERS
} photon_layer;

/* The layer of an address rank; of one that is no part of addresses PHOTON_LAYER_other. */
photon_layer photon_layer_of(unsigned rank_address);

/* The address ranks from the lowest of the layers (1 << photon_layer each) to the highest; false, nothing
 * written, if they have no bounds. */
bool photon_layer_ranks(uint32_t layers, uint8_t *rank_min, uint8_t *rank_max);

/* "house"; static. */
sx_str photon_layer_name(photon_layer layer);

/* One osm_tag: which tags it is about, and what becomes of places that have one. */
typedef enum photon_tag_kind {
    PHOTON_TAG_WANTED,
    PHOTON_TAG_UNWANTED,
    PHOTON_TAG_OTHER_VALUE, /* wanted are those with the key and another value */
} photon_tag_kind;

typedef struct photon_tag {
    photon_tag_kind kind;
    sx_str key, value; /* empty: any */
} photon_tag;

/* One include or exclude: a comma between each two categories ("osm.tourism.museum,osm.amenity"). The
 * only group here is "osm", with the main tag's key and value. */
typedef struct photon_categories {
    bool exclude; /* those that are in all of them; else wanted are those in any of them */
    sx_str list;
} photon_categories;

/* What is wanted; all zero: everything. */
typedef struct photon_wanted {
    const photon_tag *tags;
    uint32_t tag_count;
    const photon_categories *categories;
    uint32_t category_count;
    uint32_t layers;           /* 1 << photon_layer each; 0: any */
    const uint16_t *countries; /* plc_country_of() each */
    uint32_t country_count;
    bool has_box;
    geo_box box; /* of the place's middle */
} photon_wanted;

/* Whether the main tag is wanted. HOT. */
bool photon_tag_wanted(const photon_wanted *w, sx_str key, sx_str value);

/* Whether a place is, by all but its tag. HOT. */
bool photon_place_wanted(const photon_wanted *w, photon_layer layer, uint16_t country, geo_at at);

/* Reads one value of osm_tag: key, key:value, :value, each with '!' before the whole, and key:!value.
 * False if it is none. */
bool photon_tag_read(sx_str text, photon_tag *out);

/* Whether it is a list of categories: labels of letters, digits, '_' and '-' with points between, two
 * at least in each. */
bool photon_categories_valid(sx_str list);

#endif

/* places.h - what the visitor asks for: addresses and places of the data that ships with sextant. */
#ifndef GEOCODE_VISIT_PLACES_H
#define GEOCODE_VISIT_PLACES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct geo_visit_place {
    const char *text;      /* as a person types it, UTF-8 */
    const char *lat, *lon; /* decimal degrees */
    bool on_map;           /* of OpenStreetMap: the map APIs are asked for it, too */
} geo_visit_place;

extern const geo_visit_place GEO_VISIT_PLACES[];
extern const size_t GEO_VISIT_PLACES_COUNT;

#endif

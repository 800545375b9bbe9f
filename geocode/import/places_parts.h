/* places_parts.h - what places_docs.c puts into a document: names, where it is, house numbers. */
#ifndef GEOCODE_IMPORT_PLACES_PARTS_H
#define GEOCODE_IMPORT_PLACES_PARTS_H

#include "geocode/import/intake.h"
#include "geocode/import/props.h"
#include "geocode/places/places.h"

enum {
    GEO_RANK_STREET = 26,
    GEO_NAMES_MAX = 255,
    GEO_POSTCODES_MAX = 64,
    GEO_NAME_WORDS_MAX = 300
};

/* Adds a text to a list that has each once; of those beyond `max` nothing is kept. */
void geo_add_once(sx_str *list, uint32_t *count, uint32_t max, sx_str text);

/* "W4711" in the arena; no data: no memory. */
sx_str geo_places_id(sx_arena *arena, unsigned kind, int64_t id);

/* What a place is called: its name, else one in some language, else its number (of a road). Empty: it
 * has none. */
sx_str geo_places_name(const plc_index *ix, const plc_disk_place *p);

/* All names of a document, the first the one that is shown. Names that differ by accents or case alone
 * are one. */
typedef struct geo_names {
    sx_str list[GEO_NAMES_MAX];     /* the index's */
    uint64_t folded[GEO_NAMES_MAX]; /* hashes */
    uint32_t count, words;
} geo_names;

/* Adds the names of a place, at most `max` in all, and at most GEO_NAME_WORDS_MAX words. */
void geo_places_names(const plc_index *ix, const plc_disk_place *p, uint32_t max, geo_names *out);

/* Inhabitants of a place, as it or the node that it has taken over says; 0: unknown. */
uint64_t geo_places_population(const plc_index *ix, uint32_t place);

/* The settlement that addresses of a place name, and the part of it; PLC_NONE. */
typedef struct geo_where {
    uint32_t town, district;
} geo_where;
void geo_places_where(const plc_index *ix, uint32_t place, geo_where *out);

/* The regions around a place, small to large, and its country: "Oberland, Liechtenstein". In the arena
 * or static; no data: no memory. */
sx_str geo_places_context(const plc_index *ix, const plc_disk_place *p, sx_arena *arena);

/* Sets doc->numbers: the houses that hang on the pieces, and those of their interpolations, each once.
 * In the intake's arena. Errors: SX_ENOMEM; damaged shapes give none. */
sx_status geo_places_numbers(geo_intake *in, const plc_index *ix, const uint32_t *pieces,
                             size_t count, geo_in_doc *doc, sx_error *err);

/* Which postcodes the streets of a town have. */
typedef struct geo_town_postcode {
    uint32_t town, postcode; /* a string reference */
    uint64_t streets;
} geo_town_postcode;

typedef struct geo_postcodes {
    geo_town_postcode *items; /* sorted after geo_postcodes_sort() */
    size_t count, cap;
    size_t *slots; /* 1 + place in items, by hash; 0: free */
    size_t slot_count;
} geo_postcodes;

void geo_postcodes_init(geo_postcodes *p);
void geo_postcodes_done(geo_postcodes *p);
sx_status geo_postcodes_count(geo_postcodes *p, uint32_t town, uint32_t postcode, sx_error *err);
/* By town, the most frequent first. */
void geo_postcodes_sort(geo_postcodes *p);
/* Adds those of a town to a list. */
void geo_postcodes_of(const geo_postcodes *p, const plc_index *ix, uint32_t town,
                      sx_str out[GEO_POSTCODES_MAX], uint32_t *count);

#endif

/* search.h - finds places by words, as Nominatim reads a query: see docs/nominatim-search.md. */
#ifndef GEOCODE_NOMINATIM_SEARCH_H
#define GEOCODE_NOMINATIM_SEARCH_H

#include "geocode/nominatim/address.h"

typedef struct nom_words nom_words;       /* the words of an index, opened; read-only */
typedef struct nom_searcher nom_searcher; /* what a thread keeps between queries */

/* What both kinds of search share; 0 and empty: the defaults. */
typedef struct nom_search_query {
    sx_str text; /* free form; empty: structured */
    sx_str amenity, street, city, county, state, country, postalcode; /* structured */
    const uint16_t *countries;                                        /* plc_country_of() each */
    uint32_t country_count;
    bool has_viewbox, bounded;
    geo_box viewbox;
    const uint64_t *excluded; /* nom_place_id() each */
    uint32_t excluded_count;
    const uint64_t *excluded_objects; /* plc_osm_object() each */
    uint32_t excluded_object_count;
    uint32_t limit;             /* 1 to 50; 0: 10 */
    uint32_t layers;            /* NOM_LAYER_*; 0: any */
    uint8_t rank_min, rank_max; /* of featureType; 0 and 0: any */
    bool dedupe;
    bool fuzzy;           /* forgive typing errors, ranked behind exact matches */
    uint32_t guess_steps; /* of guessing at misspelt words, about 70 ns each; 0: 7,000 */
    bool autocomplete;    /* the last word may be unfinished (Photon) */
    bool has_near;        /* prefer what is near (Photon's location bias) */
    geo_at near;
    double near_scale;       /* penalty of what is far away; 0: 0.3 */
    sx_str class_name, type; /* only such (Photon's osm_tag); an empty type, or both: any */
} nom_search_query;

/* Opens the words of `places`; NULL and an error if there are none or they are damaged. */
nom_words *nom_words_open(const plc_index *places, sx_error *err);
void nom_words_close(nom_words *w);

nom_searcher *nom_searcher_new(sx_error *err);
void nom_searcher_free(nom_searcher *s);

/* Searches. Hits are in the arena, best first, deduplicated and cut to the limit.
 *   errors  SX_EINVAL: nothing to search for; SX_ELIMIT: the text is too long; SX_ECORRUPT, SX_ENOMEM */
sx_status nom_search(const nom_index *ix, const nom_words *w, nom_searcher *s,
                     const nom_search_query *q, const nom_locale *locale, sx_arena *arena,
                     nom_hits *out, sx_error *err);

#endif

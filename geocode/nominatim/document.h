/* document.h - addresses of other sources (the Base Adresse Nationale, Spain's street directory) as hits of
 * Nominatim's API: documents of the index that are not made of OpenStreetMap's places. */
#ifndef GEOCODE_NOMINATIM_DOCUMENT_H
#define GEOCODE_NOMINATIM_DOCUMENT_H

#include "geocode/nominatim/answer.h"
#include "geocode/reverse/reverse.h"

/* Whether an index has such documents. Reads the table of documents up to the first; slow where there is
 * none among many. */
bool nom_documents_any(const geo_index *documents);

/* Which documents are wanted; 0 and empty: any. */
typedef struct nom_document_query {
    sx_str text; /* search: the words */
    double score_min;
    const uint16_t *countries; /* plc_country_of() each */
    uint32_t country_count;
    bool bounded;
    geo_box viewbox;
    const uint64_t *excluded; /* nom_place_id() each */
    uint32_t excluded_count;
    uint8_t rank_min, rank_max; /* of addresses */
    uint32_t limit;
} nom_document_query;

/* Searches and adds to `hits`, which is in the arena, up to q->limit in all: what is called just so by
 * importance, the rest behind. `results` is scribbled on. Errors: SX_ECORRUPT, SX_ENOMEM. */
sx_status nom_documents_search(const geo_index *documents, geo_searcher *s, geo_results *results,
                               const nom_document_query *q, sx_arena *arena, nom_hits *hits,
                               sx_error *err);

/* The nearest address to a point that a reverse of this rank wants, if it is nearer than `*hit` (if
 * *found): then it takes its place. Errors: SX_ECORRUPT. */
sx_status nom_documents_reverse(const geo_index *documents, geo_results *results, geo_pt at,
                                uint8_t rank_max, nom_hit *hit, bool *found, sx_error *err);

/* The document of a place_id; false if it is none, or made of places. */
bool nom_document_hit(const geo_index *documents, uint32_t doc, uint32_t number, nom_hit *out);

/* As nom_answer_of(), of a NOM_DOCUMENT. Errors: SX_ECORRUPT, SX_ENOMEM. */
sx_status nom_document_answer(const nom_index *ix, const nom_hit *hit, const nom_locale *locale,
                              sx_arena *arena, nom_answer *out, sx_error *err);

#endif

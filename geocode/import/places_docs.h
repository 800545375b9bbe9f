/* places_docs.h - documents for Addok's API out of the places of OpenStreetMap.
 *
 * Nominatim's API reads places as they are; Addok's, the page's map and its completion, and CSV files
 * are answered from documents. So each street of the map becomes one, and each settlement and area of
 * an address:
 *
 *   street        pieces of one name in one town together, with the house numbers that hang on any of
 *                 them, and those of its interpolations
 *   locality      places of address rank 17 to 25: suburbs, hamlets, quarters
 *   municipality  of 13 to 16;  county 10 to 12;  region 5 to 9;  country below
 *
 * with all their names, in every language. An id is the object's: W4711 of a street is the way of the
 * least number. Documents come as sources of their own, one for each language of rules. They carry
 * GEO_DOC_OF_PLACES, so that Nominatim's answers, which have the places themselves, leave them out. */
#ifndef GEOCODE_IMPORT_PLACES_DOCS_H
#define GEOCODE_IMPORT_PLACES_DOCS_H

#include "geocode/import/intake.h"
#include "geocode/places/places.h"

/* Adds the documents of all places.
 *   source    what answers say of them; its language is heeded if `one_language`, else each document
 *             has its country's
 *   look      told now and then how many of the places are done; SX_ECANCELED if it says false
 *   errors    SX_ENOMEM, SX_ELIMIT (sources), SX_EIO, SX_ECORRUPT, SX_ECANCELED */
sx_status geo_places_documents(geo_intake *in, const plc_index *places, const geo_source *source,
                               bool one_language, bool (*look)(void *context, uint64_t done),
                               void *context, sx_error *err);

/* The rules by which addresses of a country are read: those of the language of most of its streets. */
geo_language geo_country_language(uint16_t country);

#endif

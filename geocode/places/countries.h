/* countries.h - the countries of the world, built in: names, languages, postcodes, where they are.
 *
 * Data of an extract hold at most the countries that lie in it whole, yet every answer names its
 * country, in any language. The tables are made by countries_table.py; NOTICE names their sources. */
#ifndef GEOCODE_PLACES_COUNTRIES_H
#define GEOCODE_PLACES_COUNTRIES_H

#include <sextant/str.h>

/* A name of a country: the key is "name", "name:de", "official_name" ... */
typedef struct plc_country_name {
    sx_str key, value;
} plc_country_name;

/* The names of a country (plc_country_of()), by length of key, then by its bytes; NULL and 0 of an
 * unknown one. Static. */
const plc_country_name *plc_country_names(uint16_t country, uint32_t *count);

/* Every country of the table: index from 0; 0 beyond the last. */
uint16_t plc_country_at_index(uint32_t i);

/* "li" of a country of the table; empty of an unknown one. Static. */
sx_str plc_country_code(uint16_t country);

/* The languages that a name without a language is taken to be in, comma separated ("de"); may be empty. */
sx_str plc_country_languages(uint16_t country);

/* The country at a point, by built-in borders (good to some kilometres); 0: none, at sea. */
uint16_t plc_country_at(int32_t lon_e7, int32_t lat_e7);

/* The same, and how far around the point nothing else is, in ten-millionths of a degree: so that neighbours
 * need not be asked. */
uint16_t plc_country_around(int32_t lon_e7, int32_t lat_e7, int32_t *clear_e7);

/* Where a country is: its middle, and the box around all of it; all 0 of an unknown one. They are what
 * Nominatim answers of a country that is not in its data (of its table of the countries' grid: the mean of
 * the cells' middles, and the box of all cells). */
typedef struct plc_country_extent {
    int32_t lon_e7, lat_e7;
    int32_t lon_min, lat_min, lon_max, lat_max;
} plc_country_extent;
plc_country_extent plc_country_extent_of(uint16_t country);

/* The only language of a country; empty if there are several, or none is known. */
sx_str plc_country_language(uint16_t country);

/* Countries with the same number are searched for addresses together; 0: none. */
uint16_t plc_country_partition(uint16_t country);

/* How postcodes of a country look: a regular expression in which `d` is a digit and `l` a letter; empty:
 * nothing is known. How they are written, with \1, \2 for its groups; empty: as they are. Its extent in
 * metres: how far from its point an address may be. False if a country is known to have none. */
sx_str plc_country_postcode_pattern(uint16_t country);
sx_str plc_country_postcode_output(uint16_t country);
uint32_t plc_country_postcode_extent_m(uint16_t country);
bool plc_country_has_postcodes(uint16_t country);

#endif

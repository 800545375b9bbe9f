/* places.h - reading the places of an index: OpenStreetMap's objects with their ranks and addresses.
 *
 * A plc_index is a view of bytes that somebody else owns: of the section PLACES of a mapped index file
 * (geo_index_places()), or of a container that is being made (writer.h). Opening checks the tables;
 * every reference is checked where it is followed, so damage costs an empty answer or SX_ECORRUPT,
 * never a fault. A const plc_index may be used by any number of threads; views point into the bytes. */
#ifndef GEOCODE_PLACES_PLACES_H
#define GEOCODE_PLACES_PLACES_H

#include <sextant/error.h>
#include <sextant/str.h>

#include "geocode/index/cursor.h"
#include "geocode/places/format.h"

/* A section as it lies: `count` records. */
typedef struct plc_bytes {
    const uint8_t *data;
    uint64_t bytes, count;
} plc_bytes;

typedef struct plc_index {
    const uint8_t *data;
    uint64_t bytes;
    plc_bytes s[PLC_S_END]; /* by section id; NULL data and count 0: not there */
    const plc_disk_meta *meta;
    const plc_disk_place *places;
    uint32_t place_count;
} plc_index;

/* Opens the container of `len` bytes at `data` (8-aligned, borrowed as long as `out` is used).
 *   errors  SX_ECORRUPT: no container, or its tables do not fit together; SX_EUNSUPPORTED: a newer
 *           version */
sx_status plc_open(plc_index *out, const void *data, uint64_t len, sx_error *err);

/* Follows every reference of every record. Slow. Errors: SX_ECORRUPT naming the section. */
sx_status plc_verify(const plc_index *ix, sx_error *err);

/* A string by reference; empty for reference 0, or if the reference is damaged. */
sx_str plc_string(const plc_index *ix, uint32_t ref);

/* The record, or NULL if `place` is out of range. */
static inline const plc_disk_place *plc_place(const plc_index *ix, uint32_t place)
{
    return place < ix->place_count ? ix->places + place : NULL;
}

/* --- Tags. Which of an object's lists: */
typedef enum plc_tag_list { PLC_NAMES, PLC_ADDRESS, PLC_EXTRATAGS, PLC_TAG_LISTS } plc_tag_list;

/* Walks one list in the order it was imported:
 *   plc_tags it;
 *   for (plc_tags_begin(ix, p->tags, PLC_NAMES, &it); plc_tags_next(&it, &key, &value);) ...
 * Damage ends it early; then it.c.bad. */
typedef struct plc_tags {
    const plc_index *ix;
    geo_cursor c;
    uint32_t left;
} plc_tags;
void plc_tags_begin(const plc_index *ix, uint64_t tags, plc_tag_list list, plc_tags *it);
bool plc_tags_next(plc_tags *it, sx_str *key, sx_str *value);

/* The value of `key` in a list; empty if it is not there (a tag without a value is not kept). */
sx_str plc_tag(const plc_index *ix, uint64_t tags, plc_tag_list list, sx_str key);

/* --- Shapes, as geo_shape_decode() and geo_shape_scan() take them. Empty: none. */
sx_str plc_shape(const plc_index *ix, uint64_t shape);

/* --- Relations between places. All give a pointer and a count; NULL and 0 if damaged or none. */

/* The address lines of `place`: its own, or its parent's. */
const plc_disk_line *plc_lines(const plc_index *ix, uint32_t place, uint32_t *count);

/* What belongs to a street or place (rank 28 and more): ids [*first, *first + count). */
uint32_t plc_children(const plc_index *ix, uint32_t place, uint32_t *first);

/* Interpolations that hang on `parent`. */
const plc_disk_interpolation *plc_interpolations(const plc_index *ix, uint32_t parent,
                                                 uint32_t *count);

/* Entrances of a building. */
const plc_disk_entrance *plc_entrances(const plc_index *ix, uint32_t place, uint32_t *count);

/* The places that one object of OpenStreetMap is: kind 0 node, 1 way, 2 relation. */
const plc_disk_osm_id *plc_find_osm(const plc_index *ix, unsigned kind, int64_t id,
                                    uint32_t *count);

/* The places of a class and a type, rising. */
const uint32_t *plc_category(const plc_index *ix, sx_str class_name, sx_str type, uint32_t *count);

/* The nodes that a boundary has taken over. */
const plc_disk_linked *plc_linked(const plc_index *ix, uint32_t boundary, uint32_t *count);

/* Postcodes are records of their own: a table and its size; see plc_disk_postcode. */
static inline const plc_disk_postcode *plc_postcodes(const plc_index *ix, uint32_t *count)
{
    *count = (uint32_t)ix->s[PLC_S_POSTCODES].count;
    return (const plc_disk_postcode *)(const void *)ix->s[PLC_S_POSTCODES].data;
}

/* "li" as a record holds it, and back (NUL-terminated, lower case; "" of 0). */
uint16_t plc_country_of(sx_str code);
void plc_country_text(uint16_t country, char out[3]);

/* The name of a section, for messages: "PLACES"; "?" of an unknown one. Static. */
const char *plc_section_name(unsigned id);

#endif

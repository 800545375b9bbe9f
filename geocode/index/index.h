/* index.h - a geocoder's index: one read-only file, mapped and read in place.
 *
 * Opening reads the header page only; every offset met later is checked where it is used. Accessors
 * that meet damage return false or SX_ECORRUPT and never fault. All functions on a const geo_index
 * may be called from any number of threads at once; views they return point into the mapping and
 * live until geo_index_close().
 *
 * The file must not be changed in place: a new index replaces it by rename (geo_import does that)
 * and the mapping keeps the old one alive. Truncating a mapped file makes the kernel send SIGBUS at
 * the next touch; nothing here can turn that into an error, so do not do that. */
#ifndef GEOCODE_INDEX_INDEX_H
#define GEOCODE_INDEX_INDEX_H

#include <sextant/error.h>
#include <sextant/str.h>

#include "geocode/index/format.h"

typedef struct geo_index geo_index;

typedef struct geo_stat {
    uint64_t file_bytes;
    uint64_t generation; /* changes with the contents; cache keys carry it */
    uint32_t documents;
    uint64_t numbers; /* house numbers */
    uint32_t terms;
    uint32_t sources;
} geo_stat;

/* Opens and maps the file at `path` (NUL-terminated).
 *   out     owned by the caller, given back with geo_index_close()
 *   errors  SX_ENOTFOUND, SX_EIO; SX_ECORRUPT for anything that is no whole index; SX_EUNSUPPORTED
 *           for a newer format version; SX_ENOMEM */
sx_status geo_index_open(const char *path, geo_index **out, sx_error *err);

/* The same on bytes in memory, 8-aligned, borrowed until close: for tests and fuzzing. */
sx_status geo_index_open_memory(const void *bytes, size_t len, geo_index **out, sx_error *err);

/* Unmaps. No view, searcher or result of this index may be used after it. NULL is allowed. */
void geo_index_close(geo_index *ix);

/* Reads the file through and checks every section's CRC-32C and all references between sections.
 * Slow (about 1 GB/s). Errors: SX_ECORRUPT naming the section. Any thread. */
sx_status geo_index_verify(const geo_index *ix, sx_error *err);

void geo_index_stat(const geo_index *ix, geo_stat *out);

/* The name of a section ("POSTINGS"), for messages; "?" for an unknown id. Static. */
const char *geo_section_name(unsigned id);

/* A string by reference; empty if the reference is damaged. */
sx_str geo_index_string(const geo_index *ix, uint32_t ref);

/* The places of OpenStreetMap, for plc_open() (geocode/places/places.h); empty if there are none. */
sx_str geo_index_places(const geo_index *ix);

/* How the index was made, for geo_recipe_read() (geocode/import/recipe.h); empty unless it was imported
 * to be updated. */
sx_str geo_index_recipe(const geo_index *ix);

/* One import source: what to print as attribution and licence, and the language of its rules. */
typedef struct geo_source {
    sx_str name, attribution, licence, path;
    unsigned language; /* geo_language */
    uint32_t documents;
} geo_source;

/* Source `i` < geo_stat.sources; false beyond or if damaged. */
bool geo_index_source(const geo_index *ix, uint32_t i, geo_source *out);

/* Name of the i-th filter the index was built with ("postcode"); empty beyond the last. */
sx_str geo_index_filter_key(const geo_index *ix, uint32_t i);

/* --- Documents. Ids run from 0 to geo_stat.documents - 1, most important first. Those whose `flags`
 * have GEO_DOC_OF_PLACES were made out of the places of OpenStreetMap: Nominatim's API, which answers
 * from these, leaves them out. */

/* The fixed record; NULL if `doc` is out of range. */
const geo_disk_doc *geo_doc(const geo_index *ix, uint32_t doc);

typedef enum geo_value_kind {
    GEO_NULL,
    GEO_FALSE,
    GEO_TRUE,
    GEO_NUMBER, /* text: the number as it was imported */
    GEO_STRING, /* text: UTF-8 */
    GEO_JSON,   /* text: an object, as JSON */
    GEO_ARRAY,  /* `count` values: geo_value_item() */
} geo_value_kind;

/* One value of a property. `text` may point into `digits`, so a geo_value is not to be copied. */
typedef struct geo_value {
    geo_value_kind kind;
    uint32_t count; /* of an array */
    sx_str text;
    const uint8_t *at, *end; /* the values of an array */
    char digits[32];
} geo_value;

/* Walks a document's properties in the order they were imported:
 *   geo_properties it;
 *   for (geo_properties_begin(ix, doc, &it); geo_properties_next(&it, &key, &value);) ...
 * next() returns false at the end; then it.bad tells whether damage ended it. */
typedef struct geo_properties {
    const geo_index *ix;
    const uint8_t *at, *end;
    uint32_t left;
    bool bad;
} geo_properties;
void geo_properties_begin(const geo_index *ix, uint32_t doc, geo_properties *it);
bool geo_properties_next(geo_properties *it, sx_str *key, geo_value *value);

/* The property named `key`; false if the document has none. */
bool geo_doc_property(const geo_index *ix, uint32_t doc, sx_str key, geo_value *out);

/* Item `i` of an array; of any other value, item 0 is the value itself. False beyond the last. */
bool geo_value_item(const geo_index *ix, const geo_value *value, uint32_t i, geo_value *out);

/* The first item as text: "Paris" of ["Paris","Paris 1er Arrondissement"]; empty for null. The
 * value holds it. */
sx_str geo_value_first(const geo_index *ix, const geo_value *value, geo_value *item);

/* The folded texts that a document's labels are made of: its names, cities and postcodes. */
enum { GEO_LABEL_PARTS_MAX = 32 };
typedef struct geo_label_parts {
    sx_str names[GEO_LABEL_PARTS_MAX], cities[GEO_LABEL_PARTS_MAX], postcodes[GEO_LABEL_PARTS_MAX];
    uint32_t name_count, city_count, postcode_count;
} geo_label_parts;
bool geo_doc_label_parts(const geo_index *ix, uint32_t doc, geo_label_parts *out);

/* --- House numbers of a document, in rising order of number, then suffix. */

enum { GEO_NUMBER_COLUMNS_MAX = 16, GEO_NUMBER_TEXT_MAX = 64 };

typedef struct geo_number_column {
    uint32_t key;
    uint8_t kind; /* geo_column_kind */
    uint8_t scale;
} geo_number_column;

typedef struct geo_housenumber {
    uint32_t index;  /* among the document's */
    uint32_t number; /* 19; 0 if the text does not begin with one */
    sx_str suffix;   /* as imported: "b", "P1"; the whole text if there is no number */
    int32_t lon_e7, lat_e7;
    /* The other properties, by column: see geo_number_property(). */
    uint32_t column_count;
    geo_number_column columns[GEO_NUMBER_COLUMNS_MAX];
    int64_t decimals[GEO_NUMBER_COLUMNS_MAX];
    const uint8_t *values[GEO_NUMBER_COLUMNS_MAX]; /* inside the NUMBERS section */
} geo_housenumber;

/* Finds a document's house number by number and folded suffix. False if there is none. */
bool geo_number_find(const geo_index *ix, uint32_t doc, uint32_t number, sx_str suffix,
                     geo_housenumber *out);

/* The document's house number nearest to a point, on a flat map of its surroundings. False if there is
 * none. */
bool geo_number_nearest(const geo_index *ix, uint32_t doc, int32_t lon_e7, int32_t lat_e7,
                        geo_housenumber *out);

/* The house number with this index. False if out of range or damaged. */
bool geo_number_at(const geo_index *ix, uint32_t doc, uint32_t index, geo_housenumber *out);

/* "19b" into `out`; returns its length. */
size_t geo_number_text(const geo_housenumber *n, char out[GEO_NUMBER_TEXT_MAX + 16]);

/* The house number's own id, into `out`. Empty if it has none or it does not fit. */
sx_str geo_number_id(const geo_index *ix, uint32_t doc, const geo_housenumber *n, char *out,
                     size_t cap);

/* A property of the house number, "x" say. False if it has none of that name; "id" by the function
 * above. */
bool geo_number_property(const geo_index *ix, const geo_housenumber *n, sx_str key, geo_value *out);

#endif

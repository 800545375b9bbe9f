/* ban.h - inside the reader of the BAN's CSV: ban_csv.c (rows), ban_docs.c (documents), ban_areas.c
 * (regions and cities of arrondissements). */
#ifndef GEOCODE_IMPORT_BAN_H
#define GEOCODE_IMPORT_BAN_H

#include <sextant/buf.h>

#include "geocode/import/grouper.h"
#include "geocode/import/intake.h"

/* The columns that are read. What a file has beside them is passed over. */
typedef enum geo_ban_column {
    GEO_BAN_ID,
    GEO_BAN_FANTOIR,
    GEO_BAN_NUMBER,
    GEO_BAN_SUFFIX,
    GEO_BAN_STREET,
    GEO_BAN_POSTCODE,
    GEO_BAN_COMMUNE_CODE,
    GEO_BAN_COMMUNE,
    GEO_BAN_OLD_CODE,
    GEO_BAN_OLD_COMMUNE,
    GEO_BAN_X,
    GEO_BAN_Y,
    GEO_BAN_LON,
    GEO_BAN_LAT,
    GEO_BAN_ALIAS,
    GEO_BAN_PLACE, /* nom_ld, or nom_lieu_dit */
    GEO_BAN_COLUMNS
} geo_ban_column;

/* One row; columns that the file lacks are empty. */
typedef struct geo_ban_row {
    sx_str columns[GEO_BAN_COLUMNS];
} geo_ban_row;

/* What is known of a commune when all its rows were read. */
typedef struct geo_ban_commune {
    sx_str code, name;
    sx_str postcodes[64];
    uint32_t postcode_count;
    uint64_t addresses;
    double lon_sum, lat_sum;
} geo_ban_commune;

/* A reading under way. */
typedef struct geo_ban {
    geo_intake *in;
    geo_grouper *rows;
    sx_arena arena;  /* communes and what they hold */
    sx_map communes; /* code -> geo_ban_commune * */
    bool places;     /* the file of named places: no house numbers, no communes of its own */
} geo_ban;

/* ban_docs.c: gives all documents to the intake: the communes, then streets and places by their ids. */
sx_status geo_ban_documents(geo_ban *b, sx_error *err);

/* ban_docs.c: a row as the grouper keeps it, and back. */
void geo_ban_pack(const geo_ban_row *row, sx_buf *out);
bool geo_ban_unpack(sx_str packed, geo_ban_row *out);

/* ban_docs.c: notes a commune's row. False: no memory. */
bool geo_ban_count(geo_ban *b, const geo_ban_row *row, double lon, double lat);

/* ban_areas.c: "75, Paris, Île-de-France" for a commune's code; empty if it is none of France's. */
sx_str geo_ban_context(sx_str commune);

typedef struct geo_ban_city {
    sx_str code, name;
} geo_ban_city;

/* The city that a municipal arrondissement belongs to; NULL for other communes. */
const geo_ban_city *geo_ban_city_of(sx_str commune);

#endif

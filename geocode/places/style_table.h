/* style_table.h - which tags make a place, its names and its address; included by style.c alone.
 *
 * Source: Nominatim 5.3's import style "extratags". */
#ifndef GEOCODE_PLACES_STYLE_TABLE_H
#define GEOCODE_PLACES_STYLE_TABLE_H

#include <sextant/str.h>

typedef enum style_rule {
    R_NONE,
    R_EXTRA, /* no kind; kept with the extra tags */
    R_DROP,
    R_ADDRESS,        /* not a kind, but a reason to look at the object */
    R_ALWAYS,         /* a kind */
    R_NEVER,          /* not a kind, stays among the tags */
    R_NAMED,          /* a kind if it has a name */
    R_OWN_NAME,       /* a kind if there is bridge:name, tunnel:name: those are its names */
    R_FALLBACK,       /* a kind if it has a name and nothing else is one */
    R_POSTCODE_AREA,  /* boundary=postal_code */
    R_FOOTWAY,        /* named and neither sidewalk nor crossing */
    R_LOCK,           /* of a waterway, by its lock_name */
    R_WATER,          /* natural=water, named, not said more precisely by water=* */
    R_WATER_KIND,     /* water=*, named, of a natural=water */
    R_INFORMATION,    /* information=*, of a tourism=information */
    R_NO_INFORMATION, /* tourism=information that is not said more precisely */
} style_rule;

typedef struct main_row {
    const char *key, *value; /* value NULL: any other */
    style_rule rule;
} main_row;

/* Sorted by key; within a key, the row for any other value comes last. */
static const main_row MAIN[] = {
    {"addr:TW:dataset", NULL, R_EXTRA},
    {"addr:conscriptionnumber", NULL, R_ADDRESS},
    {"addr:housename", NULL, R_ADDRESS},
    {"addr:housenumber", NULL, R_ADDRESS},
    {"addr:interpolation", NULL, R_ADDRESS},
    {"addr:postcode", NULL, R_ADDRESS},
    {"addr:streetnumber", NULL, R_ADDRESS},
    {"admin_level", NULL, R_DROP},
    {"aerialway", "no", R_EXTRA},
    {"aerialway", "pylon", R_EXTRA},
    {"aerialway", NULL, R_ALWAYS},
    {"aeroway", "no", R_EXTRA},
    {"aeroway", NULL, R_ALWAYS},
    {"amenity", "hunting_stand", R_EXTRA},
    {"amenity", "no", R_EXTRA},
    {"amenity", "parking_entrance", R_EXTRA},
    {"amenity", "parking_space", R_EXTRA},
    {"amenity", "waste_disposal", R_EXTRA},
    {"amenity", NULL, R_ALWAYS},
    {"attribution", NULL, R_DROP},
    {"boundary", "land_area", R_DROP},
    {"boundary", "place", R_DROP},
    {"boundary", "postal_code", R_POSTCODE_AREA},
    {"boundary", "protected_area", R_FALLBACK},
    {"boundary", NULL, R_NAMED},
    {"bridge", "no", R_EXTRA},
    {"bridge", NULL, R_OWN_NAME},
    {"building", "no", R_EXTRA},
    {"building", NULL, R_FALLBACK},
    {"building:ruian:type", NULL, R_DROP},
    {"club", "no", R_EXTRA},
    {"club", NULL, R_ALWAYS},
    {"comment", NULL, R_DROP},
    {"craft", "no", R_EXTRA},
    {"craft", NULL, R_ALWAYS},
    {"created_by", NULL, R_DROP},
    {"emergency", "fire_hydrant", R_EXTRA},
    {"emergency", "no", R_EXTRA},
    {"emergency", "yes", R_EXTRA},
    {"emergency", NULL, R_ALWAYS},
    {"fixme", NULL, R_DROP},
    {"healthcare", "no", R_EXTRA},
    {"healthcare", "yes", R_EXTRA},
    {"healthcare", NULL, R_FALLBACK},
    {"highway", "bridleway", R_NAMED},
    {"highway", "crossing", R_EXTRA},
    {"highway", "cycleway", R_NAMED},
    {"highway", "footway", R_FOOTWAY},
    {"highway", "give_way", R_EXTRA},
    {"highway", "mini_roundabout", R_EXTRA},
    {"highway", "motorway_link", R_NAMED},
    {"highway", "no", R_EXTRA},
    {"highway", "noexit", R_EXTRA},
    {"highway", "passing_place", R_EXTRA},
    {"highway", "path", R_NAMED},
    {"highway", "primary_link", R_NAMED},
    {"highway", "secondary_link", R_NAMED},
    {"highway", "service", R_NAMED},
    {"highway", "steps", R_NAMED},
    {"highway", "stop", R_EXTRA},
    {"highway", "street_lamp", R_NAMED},
    {"highway", "tertiary_link", R_NAMED},
    {"highway", "track", R_NAMED},
    {"highway", "traffic_signals", R_NAMED},
    {"highway", "trunk_link", R_NAMED},
    {"highway", "turning_circle", R_EXTRA},
    {"highway", "turning_loop", R_EXTRA},
    {"highway", NULL, R_ALWAYS},
    {"historic", "no", R_EXTRA},
    {"historic", "yes", R_EXTRA},
    {"historic", NULL, R_FALLBACK},
    {"import", NULL, R_DROP},
    {"information", "route_marker", R_NEVER},
    {"information", "trail_blaze", R_NEVER},
    {"information", "yes", R_DROP},
    {"information", NULL, R_INFORMATION},
    {"is_in:postcode", NULL, R_DROP},
    {"junction", "no", R_EXTRA},
    {"junction", NULL, R_FALLBACK},
    {"landuse", "cemetery", R_ALWAYS},
    {"landuse", NULL, R_FALLBACK},
    {"leisure", "common", R_NAMED},
    {"leisure", "garden", R_NAMED},
    {"leisure", "nature_reserve", R_NAMED},
    {"leisure", "no", R_EXTRA},
    {"leisure", "swimming_pool", R_NAMED},
    {"leisure", NULL, R_ALWAYS},
    {"lock", "yes", R_LOCK},
    {"man_made", "adit", R_NAMED},
    {"man_made", "bridge", R_ALWAYS},
    {"man_made", "dyke", R_NAMED},
    {"man_made", "lighthouse", R_ALWAYS},
    {"man_made", "pier", R_ALWAYS},
    {"man_made", "tower", R_ALWAYS},
    {"man_made", "tunnel", R_ALWAYS},
    {"man_made", "water_tower", R_ALWAYS},
    {"man_made", "watermill", R_ALWAYS},
    {"man_made", "works", R_NAMED},
    {"military", "no", R_EXTRA},
    {"military", "yes", R_EXTRA},
    {"military", NULL, R_ALWAYS},
    {"mountain_pass", "no", R_DROP},
    {"mountain_pass", NULL, R_ALWAYS},
    {"name:botanical", NULL, R_EXTRA},
    {"name:etymology", NULL, R_EXTRA},
    {"name:signed", NULL, R_EXTRA},
    {"natural", "coastline", R_DROP},
    {"natural", "no", R_DROP},
    {"natural", "saddle", R_FALLBACK},
    {"natural", "water", R_WATER},
    {"natural", "yes", R_DROP},
    {"natural", NULL, R_NAMED},
    {"note", NULL, R_DROP},
    {"office", "no", R_EXTRA},
    {"office", NULL, R_ALWAYS},
    {"place", NULL, R_ALWAYS},
    {"postal_code", NULL, R_ADDRESS},
    {"postcode", NULL, R_ADDRESS},
    {"railway", "abandoned", R_EXTRA},
    {"railway", "buffer_stop", R_EXTRA},
    {"railway", "disused", R_EXTRA},
    {"railway", "level_crossing", R_EXTRA},
    {"railway", "no", R_EXTRA},
    {"railway", "rail", R_EXTRA},
    {"railway", "razed", R_EXTRA},
    {"railway", "signal", R_EXTRA},
    {"railway", "switch", R_EXTRA},
    {"railway", NULL, R_NAMED},
    {"ref:bygningsnr", NULL, R_DROP},
    {"shop", "no", R_EXTRA},
    {"shop", NULL, R_ALWAYS},
    {"tiger:cfcc", NULL, R_DROP},
    {"tiger:reviewed", NULL, R_DROP},
    {"tiger:zip_left", NULL, R_ADDRESS},
    {"tiger:zip_right", NULL, R_ADDRESS},
    {"tourism", "attraction", R_FALLBACK},
    {"tourism", "information", R_NO_INFORMATION},
    {"tourism", "no", R_EXTRA},
    {"tourism", "yes", R_EXTRA},
    {"tourism", NULL, R_ALWAYS},
    {"tunnel", "no", R_EXTRA},
    {"tunnel", NULL, R_OWN_NAME},
    {"type", NULL, R_DROP},
    {"water", "canal", R_NEVER},
    {"water", "ditch", R_NEVER},
    {"water", "drain", R_NEVER},
    {"water", "fish_pass", R_NEVER},
    {"water", "intermittent", R_DROP},
    {"water", "river", R_NEVER},
    {"water", "stream", R_NEVER},
    {"water", "tidal", R_DROP},
    {"water", "yes", R_DROP},
    {"water", NULL, R_WATER_KIND},
    {"waterway", "riverbank", R_DROP},
    {"waterway", NULL, R_NAMED},
};

typedef struct part_row {
    sx_str part;
    style_rule rule;
} part_row;

static const part_row SUFFIXES[] = {
    {SX_STR_INIT("source"), R_DROP},
    {SX_STR_INIT(":prefix"), R_EXTRA},
    {SX_STR_INIT(":suffix"), R_EXTRA},
};

static const part_row PREFIXES[] = {
    {SX_STR_INIT("note:"), R_DROP},
    {SX_STR_INIT("source:"), R_DROP},
    {SX_STR_INIT("nysgissam:"), R_DROP},
    {SX_STR_INIT("NHD:"), R_DROP},
    {SX_STR_INIT("nhd:"), R_DROP},
    {SX_STR_INIT("gnis:"), R_DROP},
    {SX_STR_INIT("geobase:"), R_DROP},
    {SX_STR_INIT("yh:"), R_DROP},
    {SX_STR_INIT("osak:"), R_DROP},
    {SX_STR_INIT("naptan:"), R_DROP},
    {SX_STR_INIT("CLC:"), R_DROP},
    {SX_STR_INIT("it:fvg:"), R_DROP},
    {SX_STR_INIT("lacounty:"), R_DROP},
    {SX_STR_INIT("ref:linz:"), R_DROP},
    {SX_STR_INIT("survey:"), R_DROP},
    {SX_STR_INIT("ref:ruian:"), R_DROP},
    {SX_STR_INIT("name:prefix:"), R_EXTRA},
    {SX_STR_INIT("name:suffix:"), R_EXTRA},
    {SX_STR_INIT("name:etymology:"), R_EXTRA},
    {SX_STR_INIT("addr:street:"), R_EXTRA},
    {SX_STR_INIT("addr:city:"), R_EXTRA},
    {SX_STR_INIT("addr:district:"), R_EXTRA},
    {SX_STR_INIT("addr:province:"), R_EXTRA},
    {SX_STR_INIT("addr:subdistrict:"), R_EXTRA},
    {SX_STR_INIT("addr:place:"), R_EXTRA},
};

/* Which kind wins when several fallbacks hold: Nominatim takes any; the more telling is better. */
static const char *const FALLBACK_ORDER[] = {
    "tourism", "historic", "healthcare", "boundary", "natural", "junction", "landuse", "building",
};

typedef enum name_group { N_NONE, N_MAIN, N_EXTRA, N_HOUSE } name_group;

typedef struct name_row {
    sx_str key;
    name_group group;
    bool with_suffix; /* also "name:de" */
} name_row;

static const name_row NAMES[] = {
    {SX_STR_INIT("name"), N_MAIN, true},
    {SX_STR_INIT("int_name"), N_MAIN, true},
    {SX_STR_INIT("reg_name"), N_MAIN, true},
    {SX_STR_INIT("loc_name"), N_MAIN, true},
    {SX_STR_INIT("old_name"), N_MAIN, true},
    {SX_STR_INIT("alt_name"), N_MAIN, true},
    {SX_STR_INIT("official_name"), N_MAIN, true},
    {SX_STR_INIT("place_name"), N_MAIN, true},
    {SX_STR_INIT("short_name"), N_MAIN, true},
    {SX_STR_INIT("brand"), N_MAIN, false},
    {SX_STR_INIT("ref"), N_EXTRA, false},
    {SX_STR_INIT("int_ref"), N_EXTRA, false},
    {SX_STR_INIT("nat_ref"), N_EXTRA, false},
    {SX_STR_INIT("reg_ref"), N_EXTRA, false},
    {SX_STR_INIT("loc_ref"), N_EXTRA, false},
    {SX_STR_INIT("old_ref"), N_EXTRA, false},
    {SX_STR_INIT("ISO3166-2"), N_EXTRA, false},
    {SX_STR_INIT("iata"), N_EXTRA, false},
    {SX_STR_INIT("icao"), N_EXTRA, false},
    {SX_STR_INIT("faa"), N_EXTRA, false},
    {SX_STR_INIT("addr:housename"), N_HOUSE, false},
};

/* Keys that mean a part of the address under another name, in the order of trust. */
typedef struct address_row {
    sx_str key, part;
} address_row;

static const address_row ADDRESS[] = {
    {SX_STR_INIT("addr:postcode"), SX_STR_INIT("postcode")},
    {SX_STR_INIT("postal_code"), SX_STR_INIT("postcode")},
    {SX_STR_INIT("postcode"), SX_STR_INIT("postcode")},
    {SX_STR_INIT("tiger:zip_left"), SX_STR_INIT("postcode")},
    {SX_STR_INIT("tiger:zip_right"), SX_STR_INIT("postcode")},
    {SX_STR_INIT("addr:country"), SX_STR_INIT("country")},
    {SX_STR_INIT("ISO3166-1"), SX_STR_INIT("country")},
    {SX_STR_INIT("country_code"), SX_STR_INIT("country")},
    {SX_STR_INIT("addr:country_code"), SX_STR_INIT("country")},
    {SX_STR_INIT("is_in:country_code"), SX_STR_INIT("country")},
    {SX_STR_INIT("is_in:country"), SX_STR_INIT("country")},
    {SX_STR_INIT("tiger:county"), SX_STR_INIT("tiger:county")},
};

/* Parts of an address that alone make a place of an object. */
static const char *const NUMBER_KEYS[] = {"addr:housenumber", "addr:conscriptionnumber",
                                          "addr:streetnumber"};

/* Said about the mapping, not about the entrance. */
static const char *const ENTRANCE_LEFT_OUT[] = {
    "entrance",
    "routing:entrance",
    "note",
    "source",
    "attribution",
    "comment",
    "fixme",
    "created_by",
    "tiger:cfcc",
    "tiger:reviewed",
    "import",
    "ref:bygningsnr",
    "building:ruian:type",
    "type",
    "is_in:postcode",
};

#endif

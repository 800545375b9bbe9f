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
    sx_str key, value; /* value NULL: any other */
    style_rule rule;
} main_row;

/* Sorted by key; within a key, the row for any other value comes last. */
static const main_row MAIN[] = {
    {SX_STR_INIT("addr:TW:dataset"), {NULL, 0}, R_EXTRA},
    {SX_STR_INIT("addr:conscriptionnumber"), {NULL, 0}, R_ADDRESS},
    {SX_STR_INIT("addr:housename"), {NULL, 0}, R_ADDRESS},
    {SX_STR_INIT("addr:housenumber"), {NULL, 0}, R_ADDRESS},
    {SX_STR_INIT("addr:interpolation"), {NULL, 0}, R_ADDRESS},
    {SX_STR_INIT("addr:postcode"), {NULL, 0}, R_ADDRESS},
    {SX_STR_INIT("addr:streetnumber"), {NULL, 0}, R_ADDRESS},
    {SX_STR_INIT("admin_level"), {NULL, 0}, R_DROP},
    {SX_STR_INIT("aerialway"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("aerialway"), SX_STR_INIT("pylon"), R_EXTRA},
    {SX_STR_INIT("aerialway"), {NULL, 0}, R_ALWAYS},
    {SX_STR_INIT("aeroway"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("aeroway"), {NULL, 0}, R_ALWAYS},
    {SX_STR_INIT("amenity"), SX_STR_INIT("hunting_stand"), R_EXTRA},
    {SX_STR_INIT("amenity"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("amenity"), SX_STR_INIT("parking_entrance"), R_EXTRA},
    {SX_STR_INIT("amenity"), SX_STR_INIT("parking_space"), R_EXTRA},
    {SX_STR_INIT("amenity"), SX_STR_INIT("waste_disposal"), R_EXTRA},
    {SX_STR_INIT("amenity"), {NULL, 0}, R_ALWAYS},
    {SX_STR_INIT("attribution"), {NULL, 0}, R_DROP},
    {SX_STR_INIT("boundary"), SX_STR_INIT("land_area"), R_DROP},
    {SX_STR_INIT("boundary"), SX_STR_INIT("place"), R_DROP},
    {SX_STR_INIT("boundary"), SX_STR_INIT("postal_code"), R_POSTCODE_AREA},
    {SX_STR_INIT("boundary"), SX_STR_INIT("protected_area"), R_FALLBACK},
    {SX_STR_INIT("boundary"), {NULL, 0}, R_NAMED},
    {SX_STR_INIT("bridge"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("bridge"), {NULL, 0}, R_OWN_NAME},
    {SX_STR_INIT("building"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("building"), {NULL, 0}, R_FALLBACK},
    {SX_STR_INIT("building:ruian:type"), {NULL, 0}, R_DROP},
    {SX_STR_INIT("club"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("club"), {NULL, 0}, R_ALWAYS},
    {SX_STR_INIT("comment"), {NULL, 0}, R_DROP},
    {SX_STR_INIT("craft"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("craft"), {NULL, 0}, R_ALWAYS},
    {SX_STR_INIT("created_by"), {NULL, 0}, R_DROP},
    {SX_STR_INIT("emergency"), SX_STR_INIT("fire_hydrant"), R_EXTRA},
    {SX_STR_INIT("emergency"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("emergency"), SX_STR_INIT("yes"), R_EXTRA},
    {SX_STR_INIT("emergency"), {NULL, 0}, R_ALWAYS},
    {SX_STR_INIT("fixme"), {NULL, 0}, R_DROP},
    {SX_STR_INIT("healthcare"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("healthcare"), SX_STR_INIT("yes"), R_EXTRA},
    {SX_STR_INIT("healthcare"), {NULL, 0}, R_FALLBACK},
    {SX_STR_INIT("highway"), SX_STR_INIT("bridleway"), R_NAMED},
    {SX_STR_INIT("highway"), SX_STR_INIT("crossing"), R_EXTRA},
    {SX_STR_INIT("highway"), SX_STR_INIT("cycleway"), R_NAMED},
    {SX_STR_INIT("highway"), SX_STR_INIT("footway"), R_FOOTWAY},
    {SX_STR_INIT("highway"), SX_STR_INIT("give_way"), R_EXTRA},
    {SX_STR_INIT("highway"), SX_STR_INIT("mini_roundabout"), R_EXTRA},
    {SX_STR_INIT("highway"), SX_STR_INIT("motorway_link"), R_NAMED},
    {SX_STR_INIT("highway"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("highway"), SX_STR_INIT("noexit"), R_EXTRA},
    {SX_STR_INIT("highway"), SX_STR_INIT("passing_place"), R_EXTRA},
    {SX_STR_INIT("highway"), SX_STR_INIT("path"), R_NAMED},
    {SX_STR_INIT("highway"), SX_STR_INIT("primary_link"), R_NAMED},
    {SX_STR_INIT("highway"), SX_STR_INIT("secondary_link"), R_NAMED},
    {SX_STR_INIT("highway"), SX_STR_INIT("service"), R_NAMED},
    {SX_STR_INIT("highway"), SX_STR_INIT("steps"), R_NAMED},
    {SX_STR_INIT("highway"), SX_STR_INIT("stop"), R_EXTRA},
    {SX_STR_INIT("highway"), SX_STR_INIT("street_lamp"), R_NAMED},
    {SX_STR_INIT("highway"), SX_STR_INIT("tertiary_link"), R_NAMED},
    {SX_STR_INIT("highway"), SX_STR_INIT("track"), R_NAMED},
    {SX_STR_INIT("highway"), SX_STR_INIT("traffic_signals"), R_NAMED},
    {SX_STR_INIT("highway"), SX_STR_INIT("trunk_link"), R_NAMED},
    {SX_STR_INIT("highway"), SX_STR_INIT("turning_circle"), R_EXTRA},
    {SX_STR_INIT("highway"), SX_STR_INIT("turning_loop"), R_EXTRA},
    {SX_STR_INIT("highway"), {NULL, 0}, R_ALWAYS},
    {SX_STR_INIT("historic"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("historic"), SX_STR_INIT("yes"), R_EXTRA},
    {SX_STR_INIT("historic"), {NULL, 0}, R_FALLBACK},
    {SX_STR_INIT("import"), {NULL, 0}, R_DROP},
    {SX_STR_INIT("information"), SX_STR_INIT("route_marker"), R_NEVER},
    {SX_STR_INIT("information"), SX_STR_INIT("trail_blaze"), R_NEVER},
    {SX_STR_INIT("information"), SX_STR_INIT("yes"), R_DROP},
    {SX_STR_INIT("information"), {NULL, 0}, R_INFORMATION},
    {SX_STR_INIT("is_in:postcode"), {NULL, 0}, R_DROP},
    {SX_STR_INIT("junction"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("junction"), {NULL, 0}, R_FALLBACK},
    {SX_STR_INIT("landuse"), SX_STR_INIT("cemetery"), R_ALWAYS},
    {SX_STR_INIT("landuse"), {NULL, 0}, R_FALLBACK},
    {SX_STR_INIT("leisure"), SX_STR_INIT("common"), R_NAMED},
    {SX_STR_INIT("leisure"), SX_STR_INIT("garden"), R_NAMED},
    {SX_STR_INIT("leisure"), SX_STR_INIT("nature_reserve"), R_NAMED},
    {SX_STR_INIT("leisure"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("leisure"), SX_STR_INIT("swimming_pool"), R_NAMED},
    {SX_STR_INIT("leisure"), {NULL, 0}, R_ALWAYS},
    {SX_STR_INIT("lock"), SX_STR_INIT("yes"), R_LOCK},
    {SX_STR_INIT("man_made"), SX_STR_INIT("adit"), R_NAMED},
    {SX_STR_INIT("man_made"), SX_STR_INIT("bridge"), R_ALWAYS},
    {SX_STR_INIT("man_made"), SX_STR_INIT("dyke"), R_NAMED},
    {SX_STR_INIT("man_made"), SX_STR_INIT("lighthouse"), R_ALWAYS},
    {SX_STR_INIT("man_made"), SX_STR_INIT("pier"), R_ALWAYS},
    {SX_STR_INIT("man_made"), SX_STR_INIT("tower"), R_ALWAYS},
    {SX_STR_INIT("man_made"), SX_STR_INIT("tunnel"), R_ALWAYS},
    {SX_STR_INIT("man_made"), SX_STR_INIT("water_tower"), R_ALWAYS},
    {SX_STR_INIT("man_made"), SX_STR_INIT("watermill"), R_ALWAYS},
    {SX_STR_INIT("man_made"), SX_STR_INIT("works"), R_NAMED},
    {SX_STR_INIT("military"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("military"), SX_STR_INIT("yes"), R_EXTRA},
    {SX_STR_INIT("military"), {NULL, 0}, R_ALWAYS},
    {SX_STR_INIT("mountain_pass"), SX_STR_INIT("no"), R_DROP},
    {SX_STR_INIT("mountain_pass"), {NULL, 0}, R_ALWAYS},
    {SX_STR_INIT("name:botanical"), {NULL, 0}, R_EXTRA},
    {SX_STR_INIT("name:etymology"), {NULL, 0}, R_EXTRA},
    {SX_STR_INIT("name:signed"), {NULL, 0}, R_EXTRA},
    {SX_STR_INIT("natural"), SX_STR_INIT("coastline"), R_DROP},
    {SX_STR_INIT("natural"), SX_STR_INIT("no"), R_DROP},
    {SX_STR_INIT("natural"), SX_STR_INIT("saddle"), R_FALLBACK},
    {SX_STR_INIT("natural"), SX_STR_INIT("water"), R_WATER},
    {SX_STR_INIT("natural"), SX_STR_INIT("yes"), R_DROP},
    {SX_STR_INIT("natural"), {NULL, 0}, R_NAMED},
    {SX_STR_INIT("note"), {NULL, 0}, R_DROP},
    {SX_STR_INIT("office"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("office"), {NULL, 0}, R_ALWAYS},
    {SX_STR_INIT("place"), {NULL, 0}, R_ALWAYS},
    {SX_STR_INIT("postal_code"), {NULL, 0}, R_ADDRESS},
    {SX_STR_INIT("postcode"), {NULL, 0}, R_ADDRESS},
    {SX_STR_INIT("railway"), SX_STR_INIT("abandoned"), R_EXTRA},
    {SX_STR_INIT("railway"), SX_STR_INIT("buffer_stop"), R_EXTRA},
    {SX_STR_INIT("railway"), SX_STR_INIT("disused"), R_EXTRA},
    {SX_STR_INIT("railway"), SX_STR_INIT("level_crossing"), R_EXTRA},
    {SX_STR_INIT("railway"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("railway"), SX_STR_INIT("rail"), R_EXTRA},
    {SX_STR_INIT("railway"), SX_STR_INIT("razed"), R_EXTRA},
    {SX_STR_INIT("railway"), SX_STR_INIT("signal"), R_EXTRA},
    {SX_STR_INIT("railway"), SX_STR_INIT("switch"), R_EXTRA},
    {SX_STR_INIT("railway"), {NULL, 0}, R_NAMED},
    {SX_STR_INIT("ref:bygningsnr"), {NULL, 0}, R_DROP},
    {SX_STR_INIT("shop"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("shop"), {NULL, 0}, R_ALWAYS},
    {SX_STR_INIT("tiger:cfcc"), {NULL, 0}, R_DROP},
    {SX_STR_INIT("tiger:reviewed"), {NULL, 0}, R_DROP},
    {SX_STR_INIT("tiger:zip_left"), {NULL, 0}, R_ADDRESS},
    {SX_STR_INIT("tiger:zip_right"), {NULL, 0}, R_ADDRESS},
    {SX_STR_INIT("tourism"), SX_STR_INIT("attraction"), R_FALLBACK},
    {SX_STR_INIT("tourism"), SX_STR_INIT("information"), R_NO_INFORMATION},
    {SX_STR_INIT("tourism"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("tourism"), SX_STR_INIT("yes"), R_EXTRA},
    {SX_STR_INIT("tourism"), {NULL, 0}, R_ALWAYS},
    {SX_STR_INIT("tunnel"), SX_STR_INIT("no"), R_EXTRA},
    {SX_STR_INIT("tunnel"), {NULL, 0}, R_OWN_NAME},
    {SX_STR_INIT("type"), {NULL, 0}, R_DROP},
    {SX_STR_INIT("water"), SX_STR_INIT("canal"), R_NEVER},
    {SX_STR_INIT("water"), SX_STR_INIT("ditch"), R_NEVER},
    {SX_STR_INIT("water"), SX_STR_INIT("drain"), R_NEVER},
    {SX_STR_INIT("water"), SX_STR_INIT("fish_pass"), R_NEVER},
    {SX_STR_INIT("water"), SX_STR_INIT("intermittent"), R_DROP},
    {SX_STR_INIT("water"), SX_STR_INIT("river"), R_NEVER},
    {SX_STR_INIT("water"), SX_STR_INIT("stream"), R_NEVER},
    {SX_STR_INIT("water"), SX_STR_INIT("tidal"), R_DROP},
    {SX_STR_INIT("water"), SX_STR_INIT("yes"), R_DROP},
    {SX_STR_INIT("water"), {NULL, 0}, R_WATER_KIND},
    {SX_STR_INIT("waterway"), SX_STR_INIT("riverbank"), R_DROP},
    {SX_STR_INIT("waterway"), {NULL, 0}, R_NAMED},
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

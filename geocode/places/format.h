/* format.h - the bytes of the section PLACES of an index: everything known of OpenStreetMap's objects.
 *
 * The section is a container of its own, so that it can be made, opened and tested without the rest of
 * the index: a header, then sections that begin on multiples of 64. All integers are little-endian and
 * lie at their natural alignment; streams are varints (LEB128), read through geocode/index/cursor.h.
 * docs/formats/geocode-places.md describes it; checksums are the outer file's.
 *
 * Places have ids by rising rank_search, those of rank 28 and more then by parent, then in the order of
 * Nominatim's rows (a Hilbert curve): so the front of every posting list matters most, and what belongs
 * to a street lies together. */
#ifndef GEOCODE_PLACES_FORMAT_H
#define GEOCODE_PLACES_FORMAT_H

#include <sextant/base.h>

#define PLC_MAGIC "SXPLACE\n"

enum {
    PLC_FORMAT_VERSION = 1,
    PLC_ALIGN = 64,
    PLC_SECTIONS_MAX = 64,
};

#define PLC_NONE UINT32_MAX /* no place */

/* X(id, name, bytes of one record; 1 for byte streams). Ids from 32 on belong to the search for words
 * (geocode/nominatim/words_format.h). */
#define PLC_SECTION_LIST(X)                                                                        \
    X(1, META, 64)                                                                                 \
    X(2, STRINGS, 1)                                                                               \
    X(3, PLACES, 104)                                                                              \
    X(4, TAGS, 1)                                                                                  \
    X(5, SHAPES, 1)                                                                                \
    X(6, ADDRESS_LINES, 12)                                                                        \
    X(7, POSTCODES, 48)                                                                            \
    X(8, INTERPOLATIONS, 72)                                                                       \
    X(9, ENTRANCES, 40)                                                                            \
    X(10, OSM_IDS, 16)                                                                             \
    X(11, AREA_TREE, 1)                                                                            \
    X(12, NODE_TREE, 1)                                                                            \
    X(13, STREET_TREE, 1)                                                                          \
    X(14, POI_TREE, 1)                                                                             \
    X(15, INTERPOLATION_TREE, 1)                                                                   \
    X(16, POSTCODE_TREE, 1)                                                                        \
    X(17, CATEGORIES, 16)                                                                          \
    X(18, CATEGORY_PLACES, 4)                                                                      \
    X(19, LINKED, 8)

typedef enum plc_section {
#define X(id, name, record) PLC_S_##name = (id),
    PLC_SECTION_LIST(X)
#undef X
        PLC_S_WORDS = 32, /* the first of the search's own */
    PLC_S_END = PLC_SECTIONS_MAX
} plc_section;

typedef struct plc_disk_section {
    uint32_t id;     /* 0: the row is not used */
    uint32_t record; /* bytes of one record */
    uint64_t offset; /* from the container's start */
    uint64_t bytes;
} plc_disk_section;

/* The table is the container's last PLC_TABLE_BYTES: so it can be written by appending alone, and grow (a
 * table further in front is of an earlier stage, and means nothing). */
typedef struct plc_disk_table {
    char magic[8];
    uint32_t version, section_count;
    uint64_t bytes; /* of the container, with this table */
    uint64_t reserved[5];
    plc_disk_section sections[PLC_SECTIONS_MAX];
} plc_disk_table;

enum { PLC_TABLE_BYTES = sizeof(plc_disk_table) };

typedef struct plc_disk_meta {
    int64_t data_ms; /* the newest change in the data, or the file's own time stamp; 0: unknown */
    uint32_t attribution; /* string reference */
    uint32_t licence;
    uint64_t sequence; /* of replication; 0: none */
    uint32_t replication_url;
    uint32_t reserved[9];
} plc_disk_meta;

/* Bits of plc_disk_place.flags. */
enum {
    PLC_AREA = 1,   /* the shape is a polygon */
    PLC_LINKED = 2, /* a boundary has taken this node over: neither found nor part of addresses */
    PLC_HAS_SHAPE = 4, /* else the point is all there is */
    PLC_OWN_LINES = 8, /* has address lines of its own; without it its parent's hold */
    PLC_LONELY = 16, /* not searchable: has neither name nor number of its own (for reverse only) */
};

typedef struct plc_disk_place {
    int64_t osm_id;
    uint64_t
        tags; /* in TAGS: names, address tags, extratags; each a varint count, then pairs of string
                     * references (varints) in the object's order */
    uint64_t shape;            /* in SHAPES: as geocode/geometry/shape.h encodes it */
    uint32_t class_name, type; /* string references: "highway", "residential" */
    uint32_t parent;           /* of rank 26 and more: the street or place it hangs on; PLC_NONE */
    uint32_t linked;           /* of a linked node: the boundary; PLC_NONE */
    uint32_t postcode;         /* string reference: the one computed; 0: none */
    uint32_t housenumber;      /* string reference: as it is shown; 0: none */
    uint32_t lines;            /* first of its records in ADDRESS_LINES */
    uint32_t first_child;      /* places of rank 28 and more whose parent it is lie together */
    uint32_t child_count;
    int32_t lon_e7, lat_e7; /* the centroid */
    int32_t lon_min, lat_min, lon_max, lat_max;
    float importance;
    uint16_t line_count;
    uint16_t country; /* both letters, the first in the upper byte; 0: none */
    uint8_t osm_kind; /* osm_kind */
    uint8_t rank_search, rank_address;
    uint8_t admin_level; /* 15: none */
    uint8_t flags;
    uint8_t reserved[3];
} plc_disk_place;

typedef struct plc_disk_line {
    uint32_t place;
    float distance;       /* degrees, from the object's centroid to the other's */
    uint8_t rank_address; /* as it counts in this address */
    uint8_t is_address;   /* printed */
    uint8_t from_area;    /* the object lies within it; else it is only near */
    uint8_t reserved;
} plc_disk_line;

/* A postcode as a result of its own, sorted by country, then postcode. */
typedef struct plc_disk_postcode {
    uint32_t postcode; /* string reference */
    uint32_t parent;   /* the place whose address it has */
    uint32_t place;    /* the boundary=postal_code it stands for; PLC_NONE: computed */
    uint16_t country;
    uint8_t rank_search;
    uint8_t reserved;
    int32_t lon_e7, lat_e7;
    int32_t lon_min, lat_min, lon_max, lat_max;
    uint32_t reserved2[2];
} plc_disk_postcode;

/* House numbers that lie between the numbered ends of a piece of a way, sorted by parent. */
typedef struct plc_disk_interpolation {
    int64_t osm_id;    /* the way's */
    uint64_t shape;    /* in SHAPES: the piece */
    uint64_t tags;     /* in TAGS: no names; its address tags; no extratags */
    uint32_t parent;   /* street or place */
    uint32_t postcode; /* string reference */
    int32_t first, last,
        step; /* first + n * step, up to last; the ends' own numbers are not among them */
    int32_t lon_min, lat_min, lon_max, lat_max;
    uint16_t country;
    uint16_t reserved;
    uint32_t reserved2;
} plc_disk_interpolation;

/* An entrance of a building, sorted by place. */
typedef struct plc_disk_entrance {
    int64_t osm_id; /* the node's */
    uint64_t tags;  /* in TAGS: no names, no address tags; its extratags */
    uint32_t place;
    uint32_t type; /* string reference: "main" */
    int32_t lon_e7, lat_e7;
    uint32_t reserved[2];
} plc_disk_entrance;

/* Sorted by kind, then id, then place: an object may be several places (an amenity in a building). */
typedef struct plc_disk_osm_id {
    uint64_t object; /* kind << 60 | id */
    uint32_t place;
    uint32_t reserved;
} plc_disk_osm_id;

/* Places of one class and type, sorted by the two strings. */
typedef struct plc_disk_category {
    uint32_t class_name, type; /* string references */
    uint32_t first, count;     /* in CATEGORY_PLACES, rising */
} plc_disk_category;

/* How plc_disk_osm_id names an object: ids below zero, which editors give to what is not uploaded, sort
 * behind the others. */
enum { PLC_OSM_ID_BITS = 60 };
static inline uint64_t plc_osm_object(unsigned kind, int64_t id)
{
    return (uint64_t)kind << PLC_OSM_ID_BITS |
           ((uint64_t)id & (((uint64_t)1 << PLC_OSM_ID_BITS) - 1));
}

/* Which boundary took which node over, sorted by boundary. */
typedef struct plc_disk_linked {
    uint32_t boundary, node;
} plc_disk_linked;

_Static_assert(sizeof(plc_disk_meta) == 64, "META");
_Static_assert(sizeof(plc_disk_place) == 104, "PLACES");
_Static_assert(sizeof(plc_disk_line) == 12, "ADDRESS_LINES");
_Static_assert(sizeof(plc_disk_postcode) == 48, "POSTCODES");
_Static_assert(sizeof(plc_disk_interpolation) == 72, "INTERPOLATIONS");
_Static_assert(sizeof(plc_disk_entrance) == 40, "ENTRANCES");
_Static_assert(sizeof(plc_disk_osm_id) == 16, "OSM_IDS");

#endif

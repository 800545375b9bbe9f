/* osm.h - OpenStreetMap data, read from the files in which it is handed around.
 *
 * osm_read() takes one file: PBF (the format of extracts), OSM XML (.osm) or a change file (.osc), the
 * last two plain, gzip or bzip2. Which it is is told by its content. Objects come in batches, as views
 * that are good during the callback alone: nothing is kept. A PBF's blocks are decoded by several
 * threads at once, so callbacks come from several threads, in any order, unless `ordered` is asked for.
 *
 * Nineteen nodes of twenty have no tags and are wanted for their place alone: those come as packed
 * arrays (ids, lon, lat) without an osm_object being made of each.
 *
 * What breaks the container (cut short, sizes that lie, unknown required features) is an error that
 * names file, block and byte. What is wrong with a single object (a coordinate beyond the pole, bytes
 * that are no UTF-8, a date of the future) is repaired or left out, and counted in an osm_report with
 * the first example.
 *
 * Sources: wiki.openstreetmap.org, "PBF Format", "OSM XML", "OsmChange"; no DTD, no entities but
 * XML's five. Used by geocode/osm/dataset.h, which most callers want instead. */
#ifndef GEOCODE_OSM_OSM_H
#define GEOCODE_OSM_OSM_H

#include <sextant/clock.h>
#include <sextant/error.h>
#include <sextant/str.h>

typedef enum osm_kind { OSM_NODE, OSM_WAY, OSM_RELATION } osm_kind;

enum { OSM_KINDS = 3, OSM_LON_E7_MAX = 1800000000, OSM_LAT_E7_MAX = 900000000 };

/* "node", "way", "relation". Static. */
const char *osm_kind_name(osm_kind kind);

typedef struct osm_tag {
    sx_str key, value; /* valid UTF-8 */
} osm_tag;

typedef struct osm_member {
    osm_kind kind;
    int64_t ref;
    sx_str role; /* valid UTF-8, often empty */
} osm_member;

/* One version of an object. Views are good for the callback alone. */
typedef struct osm_object {
    osm_kind kind;
    bool deleted;       /* its last version is that it is gone: only id, version and date count */
    uint32_t version;   /* 0: unknown */
    int64_t id;         /* below 0: made by an editor, not yet on the server */
    int64_t changed_ms; /* since 1970 UTC; 0: unknown */
    int32_t lon_e7, lat_e7; /* of nodes: degrees times 10^7, in range */
    const int64_t *refs;    /* of ways: ids of nodes */
    uint32_t ref_count;
    uint32_t member_count;
    const osm_member *members; /* of relations */
    const osm_tag *tags;
    uint32_t tag_count;
} osm_object;

/* The value of a tag; false, *value untouched, if there is none of this key. */
bool osm_object_tag(const osm_object *o, sx_str key, sx_str *value);

/* Nodes with nothing but their places. lon_e7 of OSM_GONE: the node was deleted. */
typedef struct osm_places {
    const int64_t *ids;
    const int32_t *lon_e7, *lat_e7;
    const uint32_t *versions; /* 0: unknown */
    size_t count;
} osm_places;

enum { OSM_GONE = INT32_MIN };

/* Some objects of one block. */
typedef struct osm_batch {
    uint32_t worker; /* below the number of threads; no two callbacks of one worker at a time */
    uint64_t block;  /* of the file, rising in its order; a block may come in several batches, which
                      * come in order and from one worker */
    const osm_object *objects;
    size_t count;
    osm_places places; /* count 0 unless options.places */
} osm_batch;

/* What was wrong with objects, and how they were read. */
#define OSM_FLAW_LIST(X)                                                                           \
    X(OSM_FLAW_UTF8, "text that is not UTF-8; its bad bytes were replaced by U+FFFD")              \
    X(OSM_FLAW_COORDINATE, "nodes outside of the world; they were left out")                       \
    X(OSM_FLAW_SHORT_WAY, "ways of fewer than two nodes; they were kept, but have no line")        \
    X(OSM_FLAW_LONG_TEXT, "keys, values or roles of more than 255 characters; they were kept")     \
    X(OSM_FLAW_OVER_LIMIT, "objects or tags beyond a limit; they were left out")                   \
    X(OSM_FLAW_DATE, "dates that cannot be read; they were taken as unknown")                      \
    X(OSM_FLAW_FUTURE, "dates of the future; they were taken as unknown")                          \
    X(OSM_FLAW_SELF, "relations that contain themselves; that member was left out")                \
    X(OSM_FLAW_ELEMENT, "XML elements that are not OSM's; they were passed over")                  \
    X(OSM_FLAW_UNSORTED, "ids out of order; they were sorted")                                     \
    X(OSM_FLAW_DUPLICATE, "versions of an object that another was newer than; they were left out")

typedef enum osm_flaw {
#define X(name, words) name,
    OSM_FLAW_LIST(X)
#undef X
        OSM_FLAWS
} osm_flaw;

enum { OSM_EXAMPLE_BYTES = 120 };

typedef struct osm_report {
    uint64_t objects[OSM_KINDS]; /* given, packed nodes included */
    uint64_t flaws[OSM_FLAWS];
    char examples[OSM_FLAWS][OSM_EXAMPLE_BYTES]; /* the first one: "way 17: ..."; NUL-terminated */
    uint64_t example_blocks[OSM_FLAWS];          /* where it is, so that "first" is the file's */
    int64_t newest_ms;                           /* latest date of an object; 0: none */
} osm_report;

/* What is said of a flaw. Static. */
const char *osm_flaw_words(osm_flaw flaw);

/* Counts a flaw; the example is kept if it is of an earlier block than the one there is. */
void osm_report_flaw(osm_report *r, osm_flaw flaw, uint64_t block, const char *fmt, ...)
    SX_PRINTF(4, 5) SX_COLD;

/* Adds `from` to `into`. */
void osm_report_merge(osm_report *into, const osm_report *from);

/* What a file says of itself. */
typedef struct osm_header {
    bool is_change; /* .osc: applies to other data */
    bool is_xml;
    bool history; /* may hold several versions of an object */
    bool sorted;  /* claims Sort.Type_then_ID */
    bool has_box;
    int32_t box_e7[4];                       /* west, south, east, north */
    int64_t replication_ms;                  /* data is as of then; 0: unknown */
    int64_t sequence;                        /* of the replication; 0: unknown */
    char replication_url[256], program[128]; /* NUL-terminated; empty if unknown */
} osm_header;

/* 0 in a field: its default. Beyond the first group the file is refused, beyond the second the object
 * or tag is left out and reported. */
typedef struct osm_limits {
    uint32_t header_bytes_max; /* of a PBF blob's header; 65536, PBF's own limit */
    uint32_t blob_bytes_max;   /* of a PBF blob, packed and unpacked; 32 MiB, PBF's own */
    uint32_t strings_max;      /* of one PBF block; 4,000,000 */
    uint32_t token_bytes_max;  /* of one XML tag, comment or text; 1 MiB */
    uint32_t depth_max;        /* of XML elements; 64 */
    uint32_t ratio_max;        /* bytes unpacked for one of the file, XML; 250 */

    uint32_t text_bytes_max; /* of a key, value or role; 65535, which is also the most */
    uint32_t tags_max;       /* of an object; 5,000; the most is 65,535 */
    uint32_t refs_max;       /* of a way; 1,000,000 */
    uint32_t members_max;    /* of a relation; 1,000,000 */
} osm_limits;

/* Which nodes come as osm_object. With OSM_NODES_TAGGED also deleted ones do, and in change files and
 * histories all: a node there may be one that has lost its tags. */
typedef enum osm_nodes { OSM_NODES_ALL, OSM_NODES_TAGGED } osm_nodes;

typedef struct osm_read_options {
    const char *path; /* "-" is the standard input */
    /* Called for every batch; anything but SX_OK ends the reading with that error. */
    sx_status (*batch)(void *ctx, const osm_batch *batch, sx_error *err);
    /* Bytes of the file so far and in all (0: unknown). From any worker, one at a time. NULL: not
     * wanted. False: stop, SX_ECANCELED. */
    bool (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
    uint32_t threads; /* 0: as many as there are cores; at most OSM_THREADS_MAX. XML uses one */
    unsigned kinds;   /* bits 1 << osm_kind; 0: all */
    osm_nodes nodes;
    bool places;  /* every node also comes in batch->places, tagged or not */
    bool ordered; /* batches come one at a time, in the file's order */
    osm_limits limits;
    const sx_clock *clock; /* for dates of the future; NULL: the system's */
    osm_report *report;    /* added to; NULL: not wanted */
    osm_header *header;    /* filled before the first batch; NULL: not wanted */
} osm_read_options;

enum { OSM_THREADS_MAX = 64 };

/* How many threads osm_read will use for a PBF when `asked` are asked for. */
uint32_t osm_threads(uint32_t asked);

/* Reads the file from its start to its end. Blocks until every callback has returned.
 * Errors: SX_ENOTFOUND, SX_EACCESS, SX_EIO; SX_EFORMAT and SX_ELIMIT for a damaged file;
 * SX_EUNSUPPORTED for one that is none of ours or needs what we have not; SX_ENOMEM; SX_ECANCELED;
 * and those of the callback. Messages begin with the path. */
sx_status osm_read(const osm_read_options *options, sx_error *err);

#endif

/* locations.h - where a hundred million nodes are, in a few bytes each.
 *
 * Ways say their nodes' ids only. All nodes' places are gathered here in whatever order and from
 * however many threads they come, then frozen and looked up. A node takes 5 to 6 bytes:
 *
 *     run     what one batch gave, sorted by id
 *     group   up to 32 nodes of a run: the first id, least lon, lat and version, and for each node
 *             what is above those, in as many bits as the largest of the group needs. Ids are stored
 *             as the distance from a line of ids without gaps, so that consecutive ids take no bits.
 *
 * Freezing sorts the groups by their first id. If no two overlap, which is so for a sorted file, that
 * is all. Else the runs are merged into new ones: of several versions of a node the newest stays, of
 * equal ones the one from the later file, and deleted ones go. Packed bytes beyond the memory given
 * lie in an unnamed temporary file that is mapped. */
#ifndef GEOCODE_OSM_LOCATIONS_H
#define GEOCODE_OSM_LOCATIONS_H

#include "geocode/osm/osm.h"
#include "geocode/osm/store.h"

typedef struct osm_locations osm_locations;

typedef struct osm_locations_options {
    const char *folder; /* for the temporary file; NULL: everything stays in memory */
    size_t memory_max;  /* of packed bytes in memory; 0: 2 GiB. Needs a folder */
    bool versions;      /* keep them: costs half a byte a node; else the later file wins */
    uint32_t threads;   /* how many workers there are; 0: osm_threads(0) */
} osm_locations_options;

/* An empty set. NULL: err says why. */
osm_locations *osm_locations_new(const osm_locations_options *options, sx_error *err);
void osm_locations_free(osm_locations *l);

/* Adds the nodes of a batch. Any number of threads, each with a worker number of its own.
 *   order   of the batch among all files' batches: a later one's node is newer when versions do not
 *           tell */
sx_status osm_locations_add(osm_locations *l, uint32_t worker, uint64_t order,
                            const osm_places *places, sx_error *err);

/* After the last: sorts, merges. `report` (may be NULL) is told of disorder and duplicates. */
sx_status osm_locations_freeze(osm_locations *l, osm_report *report, sx_error *err);

/* ---- Frozen: any thread ---- */

uint64_t osm_locations_count(const osm_locations *l);
/* Memory and temporary file together. */
uint64_t osm_locations_bytes(const osm_locations *l);

/* Where a node is; false if it is not there. HOT, about 100 ns at random. */
bool osm_locations_find(const osm_locations *l, int64_t id, int32_t *lon_e7, int32_t *lat_e7);

/* Its version, 0 if unknown or not kept; false if it is not there. */
bool osm_locations_version(const osm_locations *l, int64_t id, uint32_t *version);

/* A way's nodes at once: lon_e7[i] and lat_e7[i] for ids[i], OSM_GONE for those that are not there.
 * Returns how many are. Neighbours in a way are often neighbours by id, which this makes use of. */
size_t osm_locations_find_all(const osm_locations *l, const int64_t *ids, size_t count,
                              int32_t *lon_e7, int32_t *lat_e7);

/* How many groups there are: a cursor may be started at any, so that threads can share them out. */
size_t osm_locations_groups(const osm_locations *l);

/* Runs over all nodes by id. */
typedef struct osm_locations_cursor {
    const osm_locations *l;
    size_t group;
    uint32_t at;
    /* The node that _next found. */
    int64_t id;
    int32_t lon_e7, lat_e7;
    uint32_t version;
} osm_locations_cursor;

void osm_locations_start(osm_locations_cursor *c, const osm_locations *l);
/* False after the last. */
bool osm_locations_next(osm_locations_cursor *c);

#endif

/* locations_impl.h - how places of nodes are held: between locations.c, which packs and finds them, and
 * locations_merge.c, which puts them in order when the last has come. */
#ifndef GEOCODE_OSM_LOCATIONS_IMPL_H
#define GEOCODE_OSM_LOCATIONS_IMPL_H

#include "geocode/index/sorter.h"
#include "geocode/osm/locations.h"

enum {
    OSM_GROUP_NODES = 64,
    OSM_FILE_SHIFT = 48, /* of an order: the file above, the block below */
};

typedef struct osm_group_header {
    int32_t lon, lat;
    uint32_t version;
    uint8_t count, id_bits, lon_bits, lat_bits, version_bits;
} osm_group_header;

/* A node, unpacked. */
typedef struct osm_place {
    int64_t id;
    int32_t lon, lat;
    uint32_t version;
} osm_place;

/* What one call of osm_locations_add() gave: groups of its worker. */
typedef struct osm_place_run {
    uint64_t order;
    int64_t first, last; /* ids */
    uint32_t worker;
    size_t from, count; /* groups */
} osm_place_run;

/* One thread's. */
typedef struct osm_filler {
    osm_chunk_writer chunk;
    int64_t *firsts;
    osm_address *at;
    osm_place_run *runs;
    size_t count, first_cap, at_cap, run_count, run_cap;
    osm_place group[OSM_GROUP_NODES]; /* that is being filled */
    uint32_t filled;
    int64_t last;           /* id that was written last */
    geo_sort_record *order; /* of a batch out of order */
    size_t order_cap;
    uint64_t nodes, unsorted;
    bool gone; /* there are deleted ones */
} osm_filler;

struct osm_locations {
    geo_temp temp;
    osm_store store;
    bool versions, frozen;
    uint32_t workers;
    osm_filler *fillers;
    /* Frozen: all groups by their first id. */
    int64_t *firsts;
    osm_address *at;
    size_t groups;
    uint64_t nodes;
};

/* Whether `next`, which comes later in the order, replaces `n` of the same id. */
static inline bool osm_place_replaces(const osm_place *next, const osm_place *n)
{
    return !next->version || !n->version || next->version >= n->version;
}

/* Adds a node, whose id is above the one before; ends the group, which hands in its chunk if that is
 * full; hands in the chunk, if it is full or `last`. */
sx_status osm_locations_put(osm_locations *l, osm_filler *f, const osm_place *n, sx_error *err);
sx_status osm_locations_end_group(osm_locations *l, osm_filler *f, sx_error *err);
sx_status osm_locations_close_chunk(osm_locations *l, osm_filler *f, bool last, sx_error *err);

/* Node `i` of a group that begins with the id `first`; false if it has no more. */
bool osm_place_at(const osm_locations *l, osm_address group, int64_t first, uint32_t i,
                  osm_place *out);

void osm_locations_free_fillers(osm_locations *l);

#endif

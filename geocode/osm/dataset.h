/* dataset.h - one set of objects out of any number of extracts and change files.
 *
 * All files are read (osm.h), in parallel where their format allows; of an object that several have,
 * the newest version stays: the highest version number, or, where numbers are equal or unknown, the
 * one of the later file. Deleted ones are gone. What is left lies sorted by kind and id, which does
 * not depend on the files' order of objects, on the number of threads or on the memory.
 *
 * Kept are: all nodes' places (locations.h), and tagged nodes, ways and relations whole. What does
 * not fit into memory_max lies in unnamed temporary files that are mapped. Read-only once open, from
 * any number of threads. Used by geocode/places, and by updates through osm_dataset_write_pbf(). */
#ifndef GEOCODE_OSM_DATASET_H
#define GEOCODE_OSM_DATASET_H

#include <sextant/arena.h>

#include "geocode/osm/osm.h"

typedef struct osm_dataset osm_dataset;

typedef struct osm_dataset_options {
    const char *folder; /* for temporary files; NULL: everything stays in memory */
    size_t memory_max;  /* of the packed data in memory; 0: 2 GiB */
    uint32_t threads;   /* 0: all cores */
    bool for_writing;   /* keep the versions of nodes without tags, for osm_dataset_write_pbf() */
    bool (*progress)(void *ctx, uint64_t done,
                     uint64_t total); /* of all files' bytes; as osm_read's */
    void *ctx;
    osm_limits limits;
    const sx_clock *clock; /* NULL: the system's */
} osm_dataset_options;

/* Reads the files, earlier ones first. *out is to be closed. Errors: those of osm_read();
 * SX_EINVAL if there is no file. `options` may be NULL. */
sx_status osm_dataset_open(const osm_dataset_options *options, const char *const *paths,
                           size_t count, osm_dataset **out, sx_error *err);
void osm_dataset_close(osm_dataset *d);

/* What was found and what was wrong, over all files. */
const osm_report *osm_dataset_report(const osm_dataset *d);

/* The newest of the files' headers: its date, sequence and address of replication. */
const osm_header *osm_dataset_header(const osm_dataset *d);

/* Bytes that it takes, temporary files included. */
uint64_t osm_dataset_bytes(const osm_dataset *d);

/* How many there are: of OSM_NODE, those with tags. */
size_t osm_dataset_count(const osm_dataset *d, osm_kind kind);

/* All nodes, with tags or without. */
uint64_t osm_dataset_node_count(const osm_dataset *d);

/* The object of rank `at` (below the count, by rising id): any number of threads may share out the
 * ranks. Arrays lie in `arena`, texts in the data set, refs in either: they are good as long as both. SX_ENOMEM. */
sx_status osm_dataset_at(const osm_dataset *d, osm_kind kind, size_t at, sx_arena *arena,
                         osm_object *out, sx_error *err);

/* The object of an id; SX_ENOTFOUND, without a message, if it is not there. Nodes: those with tags. */
sx_status osm_dataset_find(const osm_dataset *d, osm_kind kind, int64_t id, sx_arena *arena,
                           osm_object *out, sx_error *err);

/* Calls `visit` for each, by rising id; of OSM_NODE, those with tags. The object is good for the call
 * alone. What `visit` returns but SX_OK ends it: SX_END with SX_OK. */
sx_status osm_dataset_each(osm_dataset *d, osm_kind kind,
                           sx_status (*visit)(void *ctx, const osm_object *o), void *ctx,
                           sx_error *err);

/* Where a node is, with tags or without; false if it is not there. */
bool osm_dataset_location(const osm_dataset *d, int64_t node, int32_t *lon_e7, int32_t *lat_e7);

/* All of a way's: OSM_GONE for those that are not there; returns how many are. */
size_t osm_dataset_locations(const osm_dataset *d, const int64_t *nodes, size_t count,
                             int32_t *lon_e7, int32_t *lat_e7);

/* A way's nodes, for as long as the data set; false if it is not there. */
bool osm_dataset_way(const osm_dataset *d, int64_t way, const int64_t **refs, uint32_t *count);

/* A relation's members in `arena`; false if it is not there, or there is no memory. */
bool osm_dataset_relation(const osm_dataset *d, int64_t relation, sx_arena *arena,
                          const osm_member **members, uint32_t *count);

typedef struct osm_write_options {
    const char *path;         /* replaced at once when all is written (sx_replace) */
    bool zstd;                /* smaller and faster, but older tools cannot read it; else zlib */
    int level;                /* of the compression; 0: its usual one */
    uint32_t threads;         /* 0: all cores */
    const osm_header *header; /* NULL: osm_dataset_header() */
} osm_write_options;

/* Writes the set as a PBF: dense nodes, sorted by type and id. Reading it back gives the same set. */
sx_status osm_dataset_write_pbf(const osm_dataset *d, const osm_write_options *options,
                                sx_error *err);

#endif

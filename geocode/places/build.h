/* build.h - out of the objects of OpenStreetMap, the places of an index.
 *
 * Everything that Nominatim's import does between the map's objects and its tables, in one pass over a
 * data set, in memory, with the results it would have:
 *
 *  1. gather      each object's tags are read (style.h); what is a place gets its shape
 *  2. classify    country, ranks, importance (ranks.h, countries.h)
 *  3. arrange     countries, then administrative boundaries from large to small, then all other places
 *                 of addresses, by rank: linked to their nodes, moved between ranks, given the lines
 *                 of their address
 *  4. postcodes   places of postcodes out of the addresses that carry them
 *  5. attach      streets get their address; houses and points of interest their street
 *  6. emit        numbered, and written section by section (format.h)
 *
 * The result does not depend on the number of threads. Called by geocode/import. */
#ifndef GEOCODE_PLACES_BUILD_H
#define GEOCODE_PLACES_BUILD_H

#include "geocode/osm/dataset.h"
#include "geocode/places/writer.h"

typedef struct plc_build_options {
    uint32_t threads;   /* 0: all cores */
    const char *folder; /* for temporary files; NULL: everything stays in memory */
    size_t memory_max;  /* places are in memory up to about half of it, then in files; 0: all */
    double close_gap;   /* degrees: open rings of areas with narrower gaps are closed; 0: 0.00001 */
    sx_str attribution; /* shown with answers; empty: OpenStreetMap's */
    sx_str licence;     /* empty: OpenStreetMap's */
    /* Told now and then, from the calling thread; false cancels (SX_ECANCELED). NULL: not wanted. */
    bool (*progress)(void *ctx, const char *step, uint64_t done, uint64_t total);
    void *ctx;
} plc_build_options;

/* A relation or way that should be an area and makes none, or that had to be repaired. */
typedef struct plc_broken {
    osm_kind kind;
    int64_t id;
    bool repaired;
    char *name; /* NUL-terminated; may be empty */
    char *text; /* what is wrong, and where; NUL-terminated */
} plc_broken;

enum { PLC_BROKEN_MAX = 1000 };

typedef struct plc_report {
    uint64_t places, address_lines, postcodes, interpolations, entrances, linked;
    uint64_t houses, streets,
        areas;               /* places with a number; of rank 26 and 27; with a shape that is one */
    uint64_t broken_count;   /* may be more than are listed */
    uint64_t without_points; /* ways and relations none of whose nodes are there */
    uint32_t listed;
    plc_broken *broken; /* heap, in the order of the data */
} plc_report;

void plc_report_init(plc_report *r);
void plc_report_done(plc_report *r);

/* Writes sections META to LINKED of everything in `data` and seals them. `options` may be NULL;
 * `report` (initialised) is filled as far as it got.
 *   errors  SX_ENOMEM; SX_ELIMIT beyond 4 G places; the disk's; SX_ECANCELED */
sx_status plc_build(const osm_dataset *data, const plc_build_options *options, plc_writer *w,
                    plc_report *report, sx_error *err);

#endif

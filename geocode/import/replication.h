/* replication.h - a folder of change files: which are new, and whether they are whole.
 *
 * As planet.openstreetmap.org lays it out, the folder has a state.txt with the newest sequenceNumber,
 * and the files by number: 12345 is 000/012/345.osc.gz, with the date of its data beside it in
 * 000/012/345.state.txt. A folder without state.txt and without a folder 000 has change files under
 * plain names, which are applied in the order of their bytes. Nothing is ever passed over: a file that
 * is missing or damaged ends the list until it is there and whole. Used by update.c. */
#ifndef GEOCODE_IMPORT_REPLICATION_H
#define GEOCODE_IMPORT_REPLICATION_H

#include <sextant/arena.h>

#include "geocode/osm/osm.h"

enum { GEO_CHANGES_MAX = 500, GEO_PROBLEM_BYTES = 1024 }; /* at a time */

typedef struct geo_changes {
    const char *paths[GEO_CHANGES_MAX]; /* in the arena; applied in this order */
    size_t count;
    int64_t sequence;                /* of the last; 0: the folder has plain names */
    int64_t state_ms;                /* its data are as of then; 0: unknown */
    char last[224];                  /* name of the last, of a folder with plain names */
    char problem[GEO_PROBLEM_BYTES]; /* what is waited for, behind those; empty: nothing */
} geo_changes;

/* What is new in the folder for data whose header is `have`.
 *   known   the last number that the data have, where the header has none; 0: unknown, and the folder's
 *           first file is taken for the next, which `problem` says nothing of: the caller does
 *   errors  SX_ENOTFOUND, SX_EACCESS: there is no such folder; SX_ENOMEM */
sx_status geo_changes_find(const char *folder, const osm_header *have, uint64_t known,
                           sx_arena *arena, geo_changes *out, sx_error *err);

/* How a base remembers the last plain name: in the header's replication_url. */
#define GEO_CHANGES_LAST "file:"

/* Reads a change file through: SX_OK if it is whole. SX_EINVAL: it is another kind of file. */
sx_status geo_change_check(const char *path, sx_error *err);

#endif

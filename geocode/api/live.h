/* live.h - the index being served, and how another takes its place without a pause.
 *
 *     geo_live ── now ──> geo_snapshot (index, filters, generation), counted
 *         └────── retired: earlier ones that somebody still answers from
 *
 * A new file at the same path is opened beside the old one, read through and checked; then loops take
 * it up at their next request, and those under way finish on the one they began with, which is
 * unmapped when the last has left. A file that is damaged, cut or still being written never takes
 * over: it is refused with its error, counted, and the old one serves on.
 *
 * The file is to be replaced by rename, as `sextant geocode import` does, never written in place. */
#ifndef SEXTANT_GEOCODE_API_LIVE_H
#define SEXTANT_GEOCODE_API_LIVE_H

#include <sextant/log.h>
#include <sextant/metrics.h>

#include "geocode/index/index.h"
#include "geocode/nominatim/search.h"

enum { GEO_SNAPSHOT_FILTERS = 8 };

/* One index. Read-only, whoever has it holds a count. */
typedef struct geo_snapshot {
    struct geo_snapshot *next; /* of the retired; the geo_live's lock */
    geo_index *index;
    const char *filters[GEO_SNAPSHOT_FILTERS + 1]; /* names in Addok's order, NULL after the last */
    uint64_t generation;                           /* of the index's contents */
    plc_index places;                              /* if the index has OpenStreetMap's */
    nom_index nominatim;                           /* where Nominatim's endpoints look */
    nom_words *words;                              /* of the places; NULL: none */
    bool other_sources;                            /* has documents not made of places */
    uint32_t refs;                                 /* atomic */
} geo_snapshot;

typedef struct geo_live geo_live;

/* Opens the file at `path` (borrowed, as long as the live). Errors: as geo_index_open. */
sx_status geo_live_new(const char *path, geo_live **out, sx_error *err);

/* Closes all its indexes; nobody may hold a snapshot any more. NULL is allowed. */
void geo_live_free(geo_live *l);

/* Registers geocode_index_reloads_total{outcome} (loaded, refused), geocode_index_documents,
 * geocode_index_loaded_timestamp_seconds and geocode_index_file_bytes; reports to `log` (may be NULL)
 * from now on. Both live until geo_live_mute. Errors: as sx_metric_new. */
sx_status geo_live_report(geo_live *l, sx_metrics *metrics, sx_logger *log, sx_error *err);

/* Ends the reporting: the log and the registry are about to be freed. */
void geo_live_mute(geo_live *l);

/* The newest snapshot, for one who had `mine` (NULL: nobody yet) and now holds the one returned in
 * its stead. Any thread. HOT: a load if it has not changed. */
geo_snapshot *geo_live_follow(geo_live *l, geo_snapshot *mine);

/* One more holder of a snapshot; one less. Any thread. Unmapping is left to geo_live_look: it takes
 * long for a big file. */
geo_snapshot *geo_snapshot_ref(geo_snapshot *s);
void geo_snapshot_unref(geo_snapshot *s);

typedef enum geo_look {
    GEO_LOOK_SETTLED, /* takes a changed file once two looks in a row have found it the same */
    GEO_LOOK_NOW      /* somebody asked for it: takes it at once */
} geo_look;

/* Looks whether the file has changed and takes it up if so; closes retired indexes that nobody holds.
 * Blocks for as long as it takes to read a new file through; one thread at a time does it, others
 * wait. SX_OK (also if nothing has changed); else why the new file was refused, in err and in the log.
 * A file that was refused is not tried again by GEO_LOOK_SETTLED until it changes. */
sx_status geo_live_look(geo_live *l, geo_look how, sx_error *err);

/* Whether there are retired indexes: loops that have had no request since should follow. */
bool geo_live_has_retired(geo_live *l);

/* Only closes retired indexes that nobody holds. */
void geo_live_sweep(geo_live *l);

/* SX_OK if what serves is the file at the path, else why that one was refused. Any thread. */
sx_status geo_live_check(geo_live *l, sx_error *err);

#endif

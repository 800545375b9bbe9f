/* update.h - an index of maps kept up with the map's changes.
 *
 *     change files ──> base (PBF, replaced at once) ──> index (replaced at once) ──> a server takes it up
 *
 * The base is the truth: it holds the merged maps, and in its header the number of the last change file
 * (or, of files that are only told apart by their names, the last name) that is in it. An update writes
 * it first and makes the index anew from it, and from the other inputs that the index's recipe names.
 * Killed between the two, the next update finds an index that is behind its base, and makes it. A
 * change file is only ever applied whole, and applying it twice changes nothing.
 *
 * One process at a time updates a base: the others are refused. Called by cmd/geocode_update.c. */
#ifndef GEOCODE_IMPORT_UPDATE_H
#define GEOCODE_IMPORT_UPDATE_H

#include "geocode/import/import.h"

typedef struct geo_update_options {
    const char *index;          /* NUL-terminated; imported with a base */
    const char *base;           /* NULL: where the recipe says; else it has been moved here */
    const char *const *changes; /* files, in their order */
    size_t change_count;
    /* A folder of replication files instead: as planet.openstreetmap.org lays them out (state.txt,
     * 000/012/345.osc.gz), or change files that are applied in the order of their names. NULL: none. */
    const char *follow;
    bool once;         /* end when there is nothing new */
    uint64_t sequence; /* the last that the base has, where it does not say itself; 0: unknown */
    int64_t poll_ms;   /* between two looks at the folder; 0: 60 s */
    /* As of an import. */
    const char *temp_dir;
    size_t memory_max;
    uint32_t threads;
    const char *report_path;
    geo_import_report report; /* may be NULL */
    const sx_clock *clock;
    /* Told what is done and what is waited for: one line, without its end. May be NULL. */
    void (*say)(void *context, const char *line);
    /* Waits; false: end now. Needed with `follow`, unless `once`. */
    bool (*wait)(void *context, int64_t ms);
    void *context; /* first argument of all three */
} geo_update_options;

/* Applies changes, or follows a folder until `wait` says no (SX_OK).
 *   summary  may be NULL: of the last import
 *   errors   those of geo_import() and osm_read(); SX_ENOTFOUND for an index without a recipe, or an
 *            input that is gone: the message says what to do; SX_EINVAL for a file that is no change
 *            file; SX_REFUSED: another update of the base is under way. Base and index are then as they
 *            were, or the base is ahead, which the next update makes good. A folder's files that are
 *            missing or damaged are no error: they are told, and waited for. */
sx_status geo_update(const geo_update_options *options, geo_import_progress *summary,
                     sx_error *err);

#endif

/* osm_input.h - the map files of an import: read together, made into places, words and documents.
 *
 * Whatever else an import reads streams past; files of OpenStreetMap are only gathered while the others
 * are read, since an object of one may hang on those of another, and come last, as one set. Called by
 * import.c and update.c. */
#ifndef GEOCODE_IMPORT_OSM_INPUT_H
#define GEOCODE_IMPORT_OSM_INPUT_H

#include "geocode/import/intake.h"
#include "geocode/osm/dataset.h"

/* Whether a file that begins with `head`, unpacked, is one of OpenStreetMap: PBF, XML or a change file. */
bool geo_osm_head(sx_str head);

typedef struct geo_osm_job {
    const geo_import_options *options;
    const char *const *paths; /* in the order of the import */
    size_t path_count;
    const geo_import_input *input; /* of the first: what is said of it holds for all */
    const char *folder;            /* of temporary files */
    geo_intake *intake;            /* not used by geo_osm_write_base() */
    const osm_report *base_flaws;  /* what was wrong with the files of the base; NULL: no base */
    geo_import_progress *progress; /* places, flaws, what */
    /* Told how far a stage is; false: stop. From any thread, one at a time. */
    bool (*told)(void *context, geo_import_stage stage, const char *what, uint64_t done,
                 uint64_t total);
    void *context;
} geo_osm_job;

/* Reads the files and adds what is made of them to the intake's builder.
 *   errors  those of osm_read(), plc_build(), nom_words_build() and geo_builder_add() */
sx_status geo_osm_import(const geo_osm_job *job, sx_error *err);

/* Merges the files into a PBF at `base`, which is replaced at once. `header` NULL: the newest of the
 * files'. `report` (may be NULL) gets what was wrong. */
sx_status geo_osm_write_base(const geo_osm_job *job, const char *base, const osm_header *header,
                             osm_report *report, sx_error *err);

#endif

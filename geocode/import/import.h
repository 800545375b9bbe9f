/* import.h - files of addresses into one index.
 *
 * Inputs are told apart by their content: gzip, zstd and bzip2 are unpacked on the fly; inside is
 * Addok's NDJSON or a JSON array of its documents, a CSV of the Base Adresse Nationale, a table of
 * GeoNames (readers.c tells which), or a map of OpenStreetMap as PBF, XML or change file. Everything but
 * maps streams, rows that have to be grouped by way of a temporary file beside the output; all maps of
 * an import are one set of objects, which come last. The index appears at `output` whole or not at all.
 *
 * What is wrong with a map's single objects is repaired or left out, told in the summary and in the
 * report, and fails nothing: skip_max is about the rows of the other formats. A map that is cut or
 * damaged fails the import. Called by cmd/ (sextant geocode import, sextant up) and update.c. */
#ifndef GEOCODE_IMPORT_IMPORT_H
#define GEOCODE_IMPORT_IMPORT_H

#include <sextant/clock.h>
#include <sextant/error.h>
#include <sextant/str.h>

#include "geocode/text/rules.h"

/* One file and what its answers say of it. All views are borrowed for the call. */
typedef struct geo_import_input {
    const char *path; /* NUL-terminated */
    sx_str name;      /* empty: the path */
    /* Empty: what is usual for the format, "BAN" and "ETALAB-2.0" for Addok's documents in French. */
    sx_str attribution, licence;
    geo_language
        language;     /* GEO_LANGUAGE_NONE: the format's: French, as Addok's data is, or none */
    bool no_language; /* the format's does not hold: there is none */
    bool no_communes; /* of the BAN's CSV, only streets and places: communes come otherwise */
} geo_import_input;

typedef enum geo_import_stage {
    GEO_IMPORT_READING,
    GEO_IMPORT_MAP,    /* map files are read; `what` says whether they are being merged */
    GEO_IMPORT_PLACES, /* places, words and documents are made of them: `what` says which */
    GEO_IMPORT_WRITING,
    GEO_IMPORT_DONE,
} geo_import_stage;

typedef struct geo_import_progress {
    geo_import_stage stage;
    uint64_t bytes_done,
        bytes_total; /* of the files as they are on disk; total 0: unknown (pipes) */
    uint32_t documents;
    uint64_t numbers;     /* house numbers */
    uint64_t step, steps; /* while places are made, and while writing */
    const char *what;     /* static; of MAP and PLACES */
    int64_t elapsed_ms;
    uint64_t skipped;  /* rows passed over because something was wrong with them */
    uint64_t left_out; /* rows of a kind that is not searched */
    char first_skipped
        [SX_ERROR_MESSAGE_BYTES]; /* in the summary: what was wrong with the first; empty: none */
    /* In the summary, of maps: objects read, places made, objects with a flaw, areas that are broken or
     * had to be repaired; and the first of each. */
    uint64_t objects, places, flaws, broken;
    char first_flaw[SX_ERROR_MESSAGE_BYTES], first_broken[SX_ERROR_MESSAGE_BYTES];
} geo_import_progress;

/* Called at most ten times a second and at each change of stage; by the importing thread or, while it
 * waits for it, by one that reads a map. False stops the import with SX_ECANCELED. */
typedef bool (*geo_import_report)(void *context, const geo_import_progress *p);

/* 0 in a field is the default. */
typedef struct geo_import_limits {
    size_t line_bytes_max;          /* 16 MiB */
    uint32_t names_max;             /* alternatives of one property: 64, never more than 255 */
    uint32_t properties_max;        /* of one document: 128 */
    uint32_t numbers_max;           /* house numbers of one document: 100,000 */
    uint32_t number_properties_max; /* of one house number: 14 */
    size_t rows_bytes_max; /* rows held in memory before they go to a temporary file: 256 MiB */
} geo_import_limits;

typedef struct geo_import_options {
    const geo_import_input *inputs;
    size_t input_count;    /* at least 1 */
    const char *output;    /* NUL-terminated; of a symbolic link, the target is replaced */
    const sx_str *filters; /* properties to filter by; NULL: type, postcode, citycode */
    uint32_t filter_count;
    geo_import_limits limits;
    uint64_t skip_max;    /* rows with a flaw that are passed over; one more fails the import */
    const char *temp_dir; /* for the builder's temporary files; NULL: beside the output */
    size_t memory_max;    /* before they are used: geo_build_options; 0: 1 GiB */
    uint32_t threads;     /* that read maps; 0: all cores */
    const char *phrases;  /* CSV of special phrases for Nominatim's API; NULL: none */
    /* A PBF to which the merged maps are written, replaced at once before the index is; the index is
     * made from it, and remembers how, for update.h. It may be one of the inputs; if it is the only
     * map among them it is left as it is. NULL: none. */
    const char *base;
    const char *report_path; /* NDJSON: what was wrong with maps, and how it was read; NULL: none */
    geo_import_report report; /* may be NULL */
    void *context;            /* its first argument */
    const sx_clock *clock;    /* NULL: the system's */
} geo_import_options;

/* Imports. `summary` (may be NULL) gets the last progress.
 *   errors  SX_EFORMAT, SX_ELIMIT, SX_EINVAL name file, line and byte; SX_EUNSUPPORTED for a file
 *           of another format; SX_EINVAL if there is no document in the files, or the output is no
 *           regular file or one of the inputs; SX_ENOTFOUND, SX_EIO, SX_ENOMEM, SX_ECANCELED, SX_REFUSED (another
 *           import writes the same output). After any of them an index that was at `output` before
 *           is still there, untouched. */
sx_status geo_import(const geo_import_options *options, geo_import_progress *summary,
                     sx_error *err);

#endif

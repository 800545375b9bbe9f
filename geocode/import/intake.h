/* intake.h - between the import and the readers of its formats.
 *
 * A reader gets a file's bytes, unpacked, in chunks, and gives documents to geo_intake_add(). What it
 * finds wrong with a row it takes to geo_intake_flaw(), which names file and line, or passes over the
 * row if the caller of the import tolerates some. import.c owns the intake; the readers are rows of
 * the table in readers.c. */
#ifndef GEOCODE_IMPORT_INTAKE_H
#define GEOCODE_IMPORT_INTAKE_H

#include <sextant/arena.h>
#include <sextant/map.h>

#include "geocode/import/import.h"
#include "geocode/index/build.h"

typedef struct geo_intake {
    geo_import_limits limits; /* every field set */
    const geo_import_input *input;
    const char *folder; /* for temporary files */
    geo_builder *builder;
    sx_arena arena;                /* of the document being read: readers reset it */
    sx_arena names;                /* of the whole import: what code tables say */
    sx_map places;                 /* code ("ES", "ES.29") -> a NUL-terminated name in `names` */
    bool coded;                    /* a file whose codes wanted these names was read */
    uint64_t skipped_max, skipped; /* rows that may be passed over, and those that were */
    uint64_t left_out;             /* rows that are fine, but of no kind that is searched */
    char first_skipped
        [SX_ERROR_MESSAGE_BYTES]; /* what was wrong with the first of them; empty: none */
    uint32_t since_look;
    bool (*alive)(void *context); /* tells the progress; false: stop */
    void *context;
} geo_intake;

/* Adds a document. Errors: those of geo_builder_add(), without the place. */
sx_status geo_intake_add(geo_intake *in, const geo_in_doc *doc, sx_error *err);

/* What became of a row: SX_OK stays. A flaw (SX_EFORMAT, SX_ELIMIT, SX_EINVAL) is passed over and
 * becomes SX_OK while more may be; anything else gets "FILE:LINE: " in front. line 0: no line. */
sx_status geo_intake_row(geo_intake *in, uint64_t line, sx_status status, sx_error *err);

/* Called between rows: SX_ECANCELED if the import is to stop. Cheap. */
sx_status geo_intake_look(geo_intake *in, sx_error *err);

/* The name of a place's code ("ES.29"), as a code table gave it; empty if none did. */
sx_str geo_intake_place(const geo_intake *in, sx_str code);
sx_status geo_intake_name_place(geo_intake *in, sx_str code, sx_str name, sx_error *err);

/* How one format is read. */
typedef struct geo_reader {
    const char *name; /* "the BAN's CSV" */
    geo_language language;
    const char *attribution, *licence; /* where the caller names none; "" for none */
    bool is_table;                     /* names for codes, no documents: no source of its own */
    /* A reader for one file; NULL: err says why. */
    void *(*open)(geo_intake *in, sx_error *err);
    /* The next bytes; the empty chunk says that the file has ended. Errors name file and line. */
    sx_status (*feed)(void *reader, sx_str chunk, sx_error *err);
    void (*close)(void *reader);
} geo_reader;

/* The reader of a file that begins with `head`: its first line, or more, or all of it. SX_EUNSUPPORTED
 * if there is none: the message says what is understood. */
sx_status geo_reader_of(sx_str head, const geo_reader **out, sx_error *err);

/* Most of a file's beginning that geo_reader_of() wants to see. */
enum { GEO_HEAD_BYTES = 1 << 16 };

/* json_docs.c, ban_csv.c, geonames.c */
extern const geo_reader GEO_READER_NDJSON, GEO_READER_JSON_ARRAY;
extern const geo_reader GEO_READER_BAN, GEO_READER_BAN_PLACES;
extern const geo_reader GEO_READER_GEONAMES, GEO_READER_GEONAMES_POSTAL;
extern const geo_reader GEO_READER_ADMIN_CODES, GEO_READER_COUNTRIES;

/* ban_csv.c: whether a header line (without its end) is one of the BAN's. */
bool geo_ban_header(sx_str line, bool places);

#endif

/* build.h - makes an index file out of documents, in bounded memory.
 *
 * Documents are added one by one in the order of import; geo_builder_write() then orders them by
 * importance and writes the file: a temporary beside it, fsync, rename, fsync of the folder, so a
 * crash or a full disk leaves the old index as it was.
 *
 * Strings, properties and house numbers are encoded as they come, into spools (spool.h); what has to
 * be brought into another order - documents by importance, postings by term, points along their
 * curve - goes through external sorts (sorter.h). Both go to temporary files without a name when the
 * memory given is used up. What stays in memory whatever the limit: the dictionary, a table of the
 * newest strings (100 MB at most), and some 20 bytes a document. The file is the same, byte by byte,
 * however much memory there was. Used by geocode/import; one thread. */
#ifndef GEOCODE_INDEX_BUILD_H
#define GEOCODE_INDEX_BUILD_H

#include <sextant/error.h>
#include <sextant/str.h>

#include "geocode/index/index.h"
#include "geocode/index/spool.h"

typedef struct geo_builder geo_builder;

/* A property's value as it was read. */
typedef struct geo_in_value {
    geo_value_kind kind;
    sx_str text;                      /* STRING: the text; NUMBER, JSON: as written */
    const struct geo_in_value *items; /* ARRAY: `count` of them, none an array itself */
    uint32_t count;
} geo_in_value;

typedef struct geo_in_property {
    sx_str key;
    geo_in_value value;
} geo_in_property;

/* One house number of a street: "19b". */
typedef struct geo_in_number {
    sx_str text;
    double lon, lat;
    const geo_in_property *properties; /* without lon and lat */
    uint32_t property_count;
} geo_in_number;

/* One document. All views are borrowed for the call. */
typedef struct geo_in_doc {
    sx_str id, type;
    double lon, lat;
    double importance;
    const geo_in_property *properties; /* all of them but house numbers, in their order */
    uint32_t property_count;
    const geo_in_number *numbers;
    uint32_t number_count;
    uint8_t flags; /* GEO_DOC_... */
} geo_in_doc;

typedef struct geo_build_options {
    const sx_str *filters; /* properties that a query may filter by; borrowed for the call */
    uint32_t filter_count; /* 0: type, postcode, citycode */
    const char *temp_dir;  /* for temporary files; NULL: everything stays in memory */
    size_t memory_max;     /* for sorting and spools together; 0: 1 GiB; at least 64 KiB is taken */
} geo_build_options;

/* An empty builder; NULL options are the defaults. NULL if there is no memory. */
geo_builder *geo_builder_new(const geo_build_options *options, sx_error *err);
void geo_builder_free(geo_builder *b);

/* Begins a source: documents added from now on are its. Views are borrowed for the call; `documents`
 * is ignored. Errors: SX_ENOMEM, SX_ELIMIT (255 sources). */
sx_status geo_builder_source(geo_builder *b, const geo_source *source, sx_error *err);

/* Adds one document. Errors: SX_EINVAL for a point outside the globe, SX_ELIMIT for one that is
 * beyond what the format holds, SX_ENOMEM; after SX_ENOMEM the builder is only good for freeing. */
sx_status geo_builder_add(geo_builder *b, const geo_in_doc *doc, sx_error *err);

/* The section PLACES, empty at first: an empty spool of the builder's, for plc_writer_take(). */
geo_spool *geo_builder_places(geo_builder *b);

/* The section RECIPE, the same: how the index may be made again (geocode/import/recipe.h). */
geo_spool *geo_builder_recipe(geo_builder *b);

/* Documents and house numbers added so far. */
void geo_builder_counts(const geo_builder *b, uint32_t *documents, uint64_t *numbers);

/* Called while the file is made, each time `step` (of `steps`) has moved on; the steps take about the
 * same time each. False stops the write with SX_ECANCELED. */
typedef bool (*geo_build_step)(void *context, uint32_t step, uint32_t steps);

/* Orders, encodes and writes everything to `path` (NUL-terminated). The builder is then spent.
 *   step     may be NULL; called from this thread, `context` is passed through
 *   errors   SX_EIO and its kin with the old file untouched (a full disk: SX_ENOSPC's words tell which
 *            folder, and how much is in it), SX_ENOMEM, SX_ELIMIT, SX_ECANCELED */
sx_status geo_builder_write(geo_builder *b, const char *path, geo_build_step step, void *context,
                            sx_error *err);

#endif

/* grouper.h - brings records with the same key together, in bounded memory.
 *
 * The rows of one street need not stand together in a file, and a country's rows do not fit into
 * memory. Records are gathered there, sorted by key and written to a temporary file as a run whenever
 * they fill it, and the runs are merged at the end. The file has no name: a killed import leaves
 * nothing behind. What comes out depends on the records and their order within a key alone, not on
 * the memory. Used by the readers of CSV and GeoNames files; one thread. */
#ifndef GEOCODE_IMPORT_GROUPER_H
#define GEOCODE_IMPORT_GROUPER_H

#include <sextant/error.h>
#include <sextant/str.h>

typedef struct geo_grouper geo_grouper;

/* An empty one.
 *   folder      NUL-terminated, borrowed: where the temporary file would be made
 *   memory_max  bytes of records held at a time
 * NULL if there is no memory. */
geo_grouper *geo_grouper_new(const char *folder, size_t memory_max, sx_error *err);
void geo_grouper_free(geo_grouper *g);

/* Takes a record; both texts are copied. Errors: SX_ENOMEM, SX_EIO. */
sx_status geo_grouper_add(geo_grouper *g, sx_str key, sx_str value, sx_error *err);

/* After the last geo_grouper_add(): now they can be taken back. */
sx_status geo_grouper_finish(geo_grouper *g, sx_error *err);

/* The next record: by rising key, those of one key in the order in which they were added. The views
 * are good until the next call. SX_END after the last; SX_ENOMEM, SX_EIO. */
sx_status geo_grouper_next(geo_grouper *g, sx_str *key, sx_str *value, sx_error *err);

#endif

/* strings.h - the STRINGS section while it is made: strings stored once, in bounded memory.
 *
 * The newest strings are kept in a table, the older half of it is dropped when it is full. A string
 * that comes back after so many others is stored a second time: some megabytes in a country's index,
 * for which the table stays as small as it is. How large it is does not depend on the memory given to
 * the build, since it decides what the file holds. */
#ifndef GEOCODE_INDEX_STRINGS_H
#define GEOCODE_INDEX_STRINGS_H

#include "geocode/index/pool.h"
#include "geocode/index/spool.h"

/* Half of the table: its strings and, by their ids there, their references. */
typedef struct geo_strings_half {
    geo_pool pool;
    uint32_t *refs;
    size_t ref_cap;
} geo_strings_half;

typedef struct geo_strings {
    geo_spool out;
    geo_strings_half now, before;
    size_t count_max, bytes_max; /* of a half */
} geo_strings;

void geo_strings_init(geo_strings *s, geo_temp *temp, size_t count_max, size_t bytes_max);

/* Frees the table; what was stored stays. Nothing can be put after it. */
void geo_strings_close(geo_strings *s);
void geo_strings_done(geo_strings *s);

/* Stores `s` unless it is there; *ref is its reference. Errors: SX_ENOMEM, those of the disk;
 * SX_ELIMIT beyond 4 GB of text. */
sx_status geo_strings_put(geo_strings *s, sx_str text, uint32_t *ref, sx_error *err);

#endif

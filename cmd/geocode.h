/* geocode.h - what `sextant geocode …` and `sextant up` share. */
#ifndef SEXTANT_CMD_GEOCODE_H
#define SEXTANT_CMD_GEOCODE_H

#include <sextant/error.h>

/* Imports `files` into `index` with a progress bar on stderr (a plain line at its end if stderr is no
 * terminal; nothing if `quiet`). Errors: those of geo_import(). */
sx_status cmd_import(char *const *files, size_t file_count, const char *index, bool quiet,
                     sx_error *err);

/* Whether `index` can be opened and is of a format that this binary reads. */
bool cmd_index_usable(const char *index);

#endif

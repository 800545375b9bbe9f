/* geocode.h - what `sextant geocode …` and `sextant up` share. */
#ifndef SEXTANT_CMD_GEOCODE_H
#define SEXTANT_CMD_GEOCODE_H

#include "geocode/import/import.h"

/* Imports `count` inputs into `index` with a progress bar on stderr (a plain line at its end if stderr is no
 * terminal; nothing if `quiet`). `skip_max` rows with a flaw are passed over. Errors: those of
 * geo_import(). */
sx_status cmd_import(const geo_import_input *inputs, size_t count, const char *index,
                     uint64_t skip_max, bool quiet, sx_error *err);

/* Whether `index` can be opened and is of a format that this binary reads. */
bool cmd_index_usable(const char *index);

#endif

/* geocode.h - what `sextant geocode …` and `sextant up` share. */
#ifndef SEXTANT_CMD_GEOCODE_H
#define SEXTANT_CMD_GEOCODE_H

#include "geocode/import/import.h"

/* Imports as `options` says, with a progress bar on stderr (a plain line at its end if stderr is no
 * terminal; nothing if `quiet`). Errors: those of geo_import(). */
sx_status cmd_import(const geo_import_options *options, bool quiet, sx_error *err);

/* Prints what is to be told of an import on stderr. */
void cmd_import_summary(const geo_import_progress *p, const char *index);

enum { CMD_IMPORT_THREADS_MAX = 64 };

/* Makes the index of `sextant up` out of the files in the folder `data` that ship with sextant, if it is
 * missing, of an older format, or older than they are. Tells what it does on stdout. up_data.c. */
sx_status cmd_up_import(const char *data, const char *index, sx_error *err);

/* Whether `index` can be opened and is of a format that this binary reads. */
bool cmd_index_usable(const char *index);

#endif

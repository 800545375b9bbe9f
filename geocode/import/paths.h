/* paths.h - where an import reads and writes: looked at before anything is read, so that a wrong
 * command line costs no time and no file. */
#ifndef SEXTANT_GEOCODE_IMPORT_PATHS_H
#define SEXTANT_GEOCODE_IMPORT_PATHS_H

#include "geocode/import/import.h"

enum { GEO_PATH_BYTES = 4096 }; /* PATH_MAX, its NUL included */

/* Checks the output and the inputs, which are not opened.
 *   real    gets the path to write: the output, or what it links to when it is a symbolic link, so
 *           that the link stays
 *   errors  SX_EINVAL if the output is no regular file, is one of the inputs, or is a symbolic link
 *           to nothing. An input that is not there is no error here: opening it says so. */
sx_status geo_paths_check(const geo_import_options *o, char real[GEO_PATH_BYTES], sx_error *err);

/* The sum of the inputs' sizes in bytes; 0 if one of them has none (a pipe, an absent file). */
uint64_t geo_paths_bytes(const geo_import_options *o);

#endif

/* recipe.h - how an index is made again: its inputs and what was said of them, kept in the index's
 * section RECIPE when it was imported with a base. Paths are absolute, so that an update may be started
 * anywhere. Used by import.c, which writes it, and update.c. */
#ifndef GEOCODE_IMPORT_RECIPE_H
#define GEOCODE_IMPORT_RECIPE_H

#include <sextant/arena.h>
#include <sextant/buf.h>

#include "geocode/import/import.h"

enum { GEO_RECIPE_INPUTS_MAX = 1024 };

/* Appends the recipe: inputs, phrases, base and skip_max of `options`. Errors: those of realpath(3);
 * SX_ENOMEM. */
sx_status geo_recipe_write(const geo_import_options *options, sx_buf *out, sx_error *err);

/* Reads one into `out`, whose other fields are left as they are. Texts and inputs lie in `arena`.
 *   errors  SX_ENOTFOUND: the recipe is empty; SX_ECORRUPT; SX_EUNSUPPORTED: of a later version;
 *           SX_ENOMEM */
sx_status geo_recipe_read(sx_str recipe, sx_arena *arena, geo_import_options *out, sx_error *err);

#endif

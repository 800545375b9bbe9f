/* document.h - one line of Addok's NDJSON as a document for the builder. */
#ifndef GEOCODE_IMPORT_DOCUMENT_H
#define GEOCODE_IMPORT_DOCUMENT_H

#include <sextant/arena.h>

#include "geocode/import/import.h"
#include "geocode/index/build.h"

/* Reads one line.
 *   line    one JSON object, borrowed as long as `out` is used
 *   arena   holds what `line` does not; the caller resets it between lines
 *   limits  with every field set
 *   errors  SX_EFORMAT, SX_ELIMIT, SX_EINVAL with the byte within the line; SX_ENOMEM */
sx_status geo_document_parse(sx_str line, sx_arena *arena, const geo_import_limits *limits,
                             geo_in_doc *out, sx_error *err);

#endif

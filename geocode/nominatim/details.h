/* details.h - everything that is known of one place: the answer of /details. */
#ifndef GEOCODE_NOMINATIM_DETAILS_H
#define GEOCODE_NOMINATIM_DETAILS_H

#include "geocode/nominatim/params.h"

/* The most places of a street's `hierarchy`, where nom_limits says nothing. */
enum { NOM_HIERARCHY_MAX = 5000 };

/* Appends the answer as JSON. `words` may be NULL: then `keywords` are empty lists.
 *   errors  SX_ECORRUPT, SX_ENOMEM, SX_EUNSUPPORTED (simplification without its library) */
sx_status nom_print_details(const nom_index *ix, const nom_words *words, const nom_hit *hit,
                            const nom_details_params *params, const nom_limits *limits,
                            const nom_locale *locale, sx_arena *arena, sx_buf *out, sx_error *err);

#endif

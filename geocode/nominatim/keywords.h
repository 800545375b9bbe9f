/* keywords.h - the words by which a place is found, as /details tells them. */
#ifndef GEOCODE_NOMINATIM_KEYWORDS_H
#define GEOCODE_NOMINATIM_KEYWORDS_H

#include <sextant/json.h>

#include "geocode/nominatim/answer.h"
#include "geocode/nominatim/words.h"

/* The member "keywords": each spelling of the tokens of the place's names, and of its address. What is
 * not found by words has none; `words` may be NULL.
 *   errors  SX_ENOMEM */
sx_status nom_json_keywords(sx_json_writer *w, const nom_words *words, const nom_object *o,
                            sx_arena *arena, sx_error *err);

#endif

/* words_build.h - makes the sections of the search for words out of sealed places. */
#ifndef GEOCODE_NOMINATIM_WORDS_BUILD_H
#define GEOCODE_NOMINATIM_WORDS_BUILD_H

#include "geocode/nominatim/words_format.h"
#include "geocode/places/writer.h"

/* A special phrase: "restaurants in" searches amenity=restaurant in what follows. */
typedef struct nom_phrase {
    sx_str text, class_name, type;
    nom_operator op;
} nom_phrase;

typedef struct nom_phrases {
    const nom_phrase *items; /* in the arena */
    uint32_t count;
} nom_phrases;

/* Reads a CSV file with the columns phrase, class, type and operator, in any order. Rows that name no
 * category that may be searched for are passed over, as Nominatim does.
 *   text    of the whole file; phrases point into `arena`
 *   errors  SX_EFORMAT: a column is missing; SX_ELIMIT: over 1 M phrases; SX_ENOMEM */
sx_status nom_phrases_read(sx_str text, sx_arena *arena, nom_phrases *out, sx_error *err);

/* Writes all sections of words_format.h into `out`, which is to be sealed afterwards.
 *   places    the sealed places, as plc_writer_view() gives them
 *   phrases   NULL: none
 *   errors    SX_ENOMEM, SX_ECORRUPT, SX_ELIMIT (over 4 GB of texts), the disk's */
sx_status nom_words_build(const plc_index *places, const nom_phrases *phrases, plc_writer *out,
                          sx_error *err);

#endif

/* query_fuzzy.h - words that are not in the index as they were written: misspelt, split, joined,
 * unfinished. */
#ifndef GEOCODE_NOMINATIM_QUERY_FUZZY_H
#define GEOCODE_NOMINATIM_QUERY_FUZZY_H

#include "geocode/nominatim/query.h"

enum { NOM_COMPLETIONS_MAX = 8 };

/* The word of names that is closest to `word`, which is not in the index or not meant: one typing error, in
 * words of eight letters and more two. Of equally close ones the most frequent.
 *   *edits    how many errors that takes
 *   *effort   steps that may be taken still; what was taken goes off
 * Empty if there is none. */
sx_str nom_closest_word(const nom_words *w, sx_str word, uint32_t *effort, unsigned *edits);

/* Words of names that begin with `prefix`, the most frequent first. Returns how many. */
uint32_t nom_complete_word(const nom_words *w, sx_str prefix, sx_str out[NOM_COMPLETIONS_MAX]);

/* Before the words of a query are looked up: unknown ones are replaced by what is closest, taken apart or
 * put together. q->guesses counts. */
void nom_ask_guess(nom_ask *q);

#endif

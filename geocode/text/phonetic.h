/* phonetic.h - how a French word sounds, roughly: "eaux" and "haut" come close, "Voltère" is
 * "Voltaire".
 *
 * The rules were inferred from what Addok answers with its French plug-in (addok-fr): both sides, import and
 * query, are written the same way, so a spelling error that does not change the sound costs nothing.
 * Used by tokens.c. */
#ifndef GEOCODE_TEXT_PHONETIC_H
#define GEOCODE_TEXT_PHONETIC_H

#include <sextant/str.h>

/* Rewrites a folded word (a-z, 0-9, other bytes stay) in place. Returns its new length, which is
 * never greater. No letter is written in upper case. Any thread; nothing is allocated. */
size_t geo_phonetic_french(char *word, size_t len);

#endif

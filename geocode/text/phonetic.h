/* phonetic.h - how a word sounds, roughly. In French "eaux" and "haut" come close, "Voltère" is
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

/* The same for Spanish (b and v, ll and y, c, s and z, silent h, and Catalan's and Basque's ways to write
 * these sounds) and for German (endings of streets, ae for an umlaut, dt, th, ck). Ours, not Addok's:
 * it has none. */
size_t geo_phonetic_spanish(char *word, size_t len);
size_t geo_phonetic_german(char *word, size_t len);

#endif

/* transliterate.h - Latin letters for characters of other scripts, by ICU where it is installed.
 *
 * Latin, Greek and Cyrillic are in fold.c's own table. For the rest (Chinese, Arabic, Thai, ...) the ICU
 * library is loaded when the first such character is met, so that nobody else pays for its tables; what it
 * says of a character is remembered. One character is written at a time, as Addok's Unidecode does,
 * not by what stands around it; a Chinese character is a word of its own. Without ICU
 * characters stay as they are, which imports and queries must then agree on: use both on machines of
 * one kind. Used by fold.c; any thread. */
#ifndef GEOCODE_TEXT_TRANSLITERATE_H
#define GEOCODE_TEXT_TRANSLITERATE_H

#include <sextant/str.h>

/* No character has more: so a folded text stays within GEO_FOLD_GROWTH. */
enum { GEO_LATIN_BYTES = 7 };

/* What stands for a character. */
typedef enum geo_latin {
    GEO_LATIN_UNKNOWN, /* it stays as it is: ICU does not know it, or is not there */
    GEO_LATIN_PART, /* the text given is a part of a word; empty for a sign that is not written */
    GEO_LATIN_WORD, /* it is a word by itself */
} geo_latin;

/* Writes `code` in small letters and digits into `out`; *len: how many. */
geo_latin geo_transliterate(uint32_t code, char out[GEO_LATIN_BYTES], size_t *len);

/* Whether ICU could be loaded; loads it. */
bool geo_transliterates(void);

#endif

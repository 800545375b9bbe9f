/* fold.h - one plain form of any name, so that Élysées, ELYSEES and "elysées," are the same bytes.
 *
 * Folding lowers case, drops accents, writes Latin, Greek and Cyrillic letters in ASCII, and turns
 * every run of anything that is neither letter nor digit into one space. Letters of other scripts
 * are transliterated where ICU is installed (transliterate.h), and stay as they are (UTF-8) where not.
 * The same function folds what is imported and what is asked, so both always meet. Used by
 * geocode/text, import, index and search. */
#ifndef GEOCODE_TEXT_FOLD_H
#define GEOCODE_TEXT_FOLD_H

#include <sextant/str.h>

/* No folded form is longer than this many times its source, plus one. */
enum { GEO_FOLD_GROWTH = 4 };

/* Folds `in` into `out`.
 *   in      any bytes; what is not UTF-8 separates words
 *   out     room for `cap` bytes; no closing NUL is written
 * Returns a view of `out`: words of a-z, 0-9, '_' and perhaps letters beyond ASCII, one space between two,
 * none at the ends. If `cap` is too small the text ends early, between two letters; a cap of
 * in.len * GEO_FOLD_GROWTH + 1 is always enough. Any thread. */
sx_str geo_fold(sx_str in, char *out, size_t cap);

/* Number of characters in `in` as Unicode counts them; each byte that is not UTF-8 counts as one. */
size_t geo_char_count(sx_str in);

#endif

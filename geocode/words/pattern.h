/* pattern.h - the small patterns that postcodes are written in.
 *
 * 'd' is a digit, 'l' a capital letter, "[...]" a set, "(...)" a group that the output may name, "(?:...)"
 * one that it may not, '|' between alternatives, '?' and "{n}" behind a piece; anything else is
 * itself. What matches first wins, as in Perl's and Python's expressions. Private to geocode/words. */
#ifndef GEOCODE_WORDS_PATTERN_H
#define GEOCODE_WORDS_PATTERN_H

#include <sextant/buf.h>
#include <sextant/str.h>

enum { WRD_GROUPS_MAX = 4 };

typedef struct wrd_match {
    sx_str whole;
    sx_str groups[WRD_GROUPS_MAX]; /* the first at [1]; data NULL: took no part */
} wrd_match;

/* Matches the front of `text`. `ends` (may be empty) are characters of which one must follow; `all`: the
 * match, with what follows, is all of `text`. */
bool wrd_pattern_match(const char *pattern, sx_str text, const char *ends, bool all,
                       wrd_match *out);

/* Writes `output` with "\1" replaced by groups; an empty one: the whole match. */
void wrd_pattern_output(const char *output, const wrd_match *m, sx_buf *out);

#endif

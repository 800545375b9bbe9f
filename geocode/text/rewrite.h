/* rewrite.h - a query of a language in which the house number follows the street, written the way in
 * which labels are compared: the number first, nothing that is no part of an address.
 *
 * "c mayor n 12 3o izq 28013 madrid" becomes "12 calle mayor 28013 madrid". Documents are left as they
 * are. Used by search for the languages that ask for it (rules.h); French queries are cleaned by
 * clean.h instead, exactly as Addok does. */
#ifndef GEOCODE_TEXT_REWRITE_H
#define GEOCODE_TEXT_REWRITE_H

#include "geocode/text/rules.h"

/* Rewrites `folded` (geo_fold's result) into `out`, which has room for `cap` bytes; what does not fit
 * is left out, whole words at a time, and so are words after the first 128. *has_number: whether a
 * house number was found and put first. Returns a view of `out`: words with one space between two. */
sx_str geo_rewrite_query(const geo_rules *r, sx_str folded, char *out, size_t cap,
                         bool *has_number);

#endif

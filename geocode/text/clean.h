/* clean.h - drops from a French query what is no part of an address.
 *
 * "Chez M. Martin, 14 rue Suger" begins at the 14; "BP 1234", "CEDEX 08" and "2e étage" go, and a
 * postcode before CEDEX, which is no place's own, becomes its department; zeros before a short number
 * go. What Addok with addok-france does to its queries, as its answers show. Used by search. */
#ifndef GEOCODE_TEXT_CLEAN_H
#define GEOCODE_TEXT_CLEAN_H

#include "geocode/text/rules.h"

/* Cleans `folded` (geo_fold's result) if the rules' language has such queries.
 *   out     room for folded.len bytes
 * Returns `folded` or a view of `out`, in which more than one space may stand between words. */
sx_str geo_clean_query(const geo_rules *r, sx_str folded, char *out);

#endif

/* tokens.h - a folded text cut into the words that the index knows, and its house numbers.
 *
 * A token is a word after the language's abbreviations were expanded ("bd" is "boulevard"), with
 * "19 bis" glued to "19b". The importer makes a document's terms with it, the search the query's.
 * Nothing here allocates. */
#ifndef GEOCODE_TEXT_TOKENS_H
#define GEOCODE_TEXT_TOKENS_H

#include "geocode/text/rules.h"

enum {
    GEO_TOKEN_BYTES_MAX = 48, /* a longer word is cut, the same way on both sides */
    GEO_NUMBER_DIGITS_MAX = 4,
    GEO_NUMBER_SUFFIX_MAX = 4
};

typedef struct geo_token {
    sx_str text;       /* points into the folded text, a static table, or `glued` below */
    uint32_t from, to; /* bytes of the folded text that it came from */
    bool number_like;  /* digits, then at most a short suffix: may be a house number */
    bool flagged;      /* stands where a house number stands: before a street word, or else first */
    char glued[GEO_NUMBER_DIGITS_MAX + GEO_NUMBER_SUFFIX_MAX]; /* "19b" from "19 bis" */
} geo_token;

/* A house number taken apart: 19 and "b". */
typedef struct geo_number {
    uint32_t number;
    sx_str suffix; /* folded: lower case, no space; points into the text given */
} geo_number;

/* Cuts `folded` (geo_fold's result) into at most `max` tokens. Returns how many; words beyond are
 * ignored. The tokens borrow from `folded` and from themselves: they must not be moved. */
size_t geo_tokens(const geo_rules *r, sx_str folded, geo_token *out, size_t max);

/* Takes apart a folded house number: 1 to GEO_NUMBER_DIGITS_MAX digits, then nothing, or a letter
 * and digits up to GEO_NUMBER_SUFFIX_MAX bytes ("19", "19b", "147p48"). Zeros before a bare number
 * are dropped. Returns false for anything else. */
bool geo_number_parse(sx_str folded, geo_number *out);

#endif

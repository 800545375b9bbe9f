/* rules.h - what differs from language to language when an address is read.
 *
 * A source in the index names its rules by id; new languages are one more row of tables in rules.c.
 * Abbreviations are expanded on both sides, import and query, so that only consistency matters:
 * "bd" and "boulevard" must end as the same term. Used by tokens.c. */
#ifndef GEOCODE_TEXT_RULES_H
#define GEOCODE_TEXT_RULES_H

#include <sextant/str.h>

/* Written into index files: never renumber. */
typedef enum geo_language {
    GEO_LANGUAGE_NONE = 0, /* no abbreviations, no street words */
    GEO_LANGUAGE_FRENCH = 1,
    GEO_LANGUAGE_SPANISH = 2,
    GEO_LANGUAGE_GERMAN = 3,
    GEO_LANGUAGES
} geo_language;

typedef struct geo_rules geo_rules;

/* The rules of a language; those of GEO_LANGUAGE_NONE for an id this build does not know. Static. */
const geo_rules *geo_rules_of(unsigned language);

/* The language's code: "fr". Empty for none. */
sx_str geo_rules_code(const geo_rules *r);

/* The words that `word` (folded) stands for, a space between two: "xix" is "dix neuf"; `word` itself
 * if it stands for nothing else. Static text or the argument. */
sx_str geo_rules_expand(const geo_rules *r, sx_str word);

/* `word` (folded, as written) names a kind of street: rue, av, calle. */
bool geo_rules_is_street_word(const geo_rules *r, sx_str word);

/* The letters that an ordinal after a house number shortens to ("bis" to "b"); empty if `word` is
 * none. */
sx_str geo_rules_ordinal(const geo_rules *r, sx_str word);

/* Writes a word the way it sounds, in place; returns its new length, never greater. Languages
 * without such rules leave it as it is. */
size_t geo_rules_sound(const geo_rules *r, char *word, size_t len);

/* Whether queries in this language are cleaned first (clean.h). */
bool geo_rules_cleans(const geo_rules *r);

/* Whether queries in this language are rewritten first (rewrite.h). */
bool geo_rules_rewrites(const geo_rules *r);

/* The language whose code is `code` ("es"); GEO_LANGUAGES if there is none. */
geo_language geo_rules_language(sx_str code);

#endif

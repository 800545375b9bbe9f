/* rules_tables.h - the tables behind rules.h: one geo_rules a language, each list sorted for binary
 * search. French has its own cleaning (clean.c); languages whose house numbers follow the street fill
 * the second half, which rewrite.c works from. */
#ifndef GEOCODE_TEXT_RULES_TABLES_H
#define GEOCODE_TEXT_RULES_TABLES_H

#include "geocode/text/rules.h"

typedef struct geo_rule_pair {
    sx_str from, to;
} geo_rule_pair;

struct geo_rules {
    sx_str code;
    const geo_rule_pair *abbreviations;
    const sx_str *street_words;
    const geo_rule_pair *ordinals;
    const geo_rule_pair *written; /* abbreviations that a query is written out with */
    const sx_str *floors;         /* words behind a house number that are no part of an address */
    const sx_str *marks;          /* words before a house number: "no" */
    const sx_str *follows_name;   /* words that make the number before them part of a name */
    size_t abbreviations_count, street_words_count, ordinals_count, written_count, floors_count,
        marks_count, follows_name_count;
    unsigned number_digits;  /* the most that a house number has; 0: queries are not rewritten */
    bool letters_are_floors; /* "12 3 B": a letter behind a floor is a door */
    bool cleans;             /* queries are cleaned as clean.c does */
    size_t (*sound)(char *word, size_t len); /* NULL: words stay as they are written */
};

#define P(from, to)            {SX_STR_INIT(from), SX_STR_INIT(to)}
#define W(word)                SX_STR_INIT(word)
#define GEO_ROWS(field, table) .field = (table), .field##_count = SX_COUNT_OF(table)

extern const geo_rules GEO_RULES_SPANISH, GEO_RULES_GERMAN;

/* The row whose key is `word`; NULL if there is none. */
const geo_rule_pair *geo_rule_find(const geo_rule_pair *table, size_t count, sx_str word);

/* Whether `word` is in a sorted list. */
bool geo_rule_has(const sx_str *list, size_t count, sx_str word);

#endif

/* searcher.h - inside a searcher: what candidates.c, score.c and search.c share. */
#ifndef GEOCODE_SEARCH_SEARCHER_H
#define GEOCODE_SEARCH_SEARCHER_H

#include "geocode/index/reader.h"
#include "geocode/search/search.h"
#include "geocode/text/tokens.h"

enum {
    GEO_SEARCH_TOKENS_MAX = 64,     /* of a query; the rest is not looked at */
    GEO_SEARCH_TERMS_MAX = 16,      /* that must match */
    GEO_SEARCH_NUMBERS_MAX = 4,     /* tokens that may be the house number */
    GEO_SEARCH_CANDIDATES_MAX = 64, /* scored by label; Addok's bucket has 100 */
    GEO_SEARCH_ENOUGH = 10,         /* whole words gave so many: the last one is not completed */
    GEO_SEARCH_VISITS_MAX = 1500,   /* documents looked at in a pass */
    GEO_SEARCH_UNFINISHED_VISITS_MAX = 800, /* where the last word is unfinished: costs more each */
    GEO_SEARCH_MATCHES_MAX = 1000,          /* of them, those that match */
    GEO_SEARCH_RARE_VISITS_MAX = 128,       /* of one token when not all match */
    GEO_SEARCH_RARE_ROUNDS_MAX = 3,         /* tokens that are tried then */
    GEO_SEARCH_SEEN_SLOTS = 8192,
    GEO_SEARCH_GROUPS_MAX = 16, /* filter keys */
    GEO_PAIR_CODES = 4096,      /* two characters of 6 bits */
};

/* Whether a document must have a word. A pass at a level leaves out the words above it. */
typedef enum geo_need {
    GEO_NEED_WORD = 0, /* always, until only some words are asked for */
    GEO_NEED_NUMBER =
        1, /* a number: of a street's name, or of a floor; left out if nothing has it */
    GEO_NEED_HOUSE = 2, /* where a house number stands: rarely part of a name */
} geo_need;

/* One token that narrows the search: a term, or every term that begins with the last word. */
typedef struct geo_want {
    uint32_t first, end; /* terms; end = first + 1 for a whole word */
    uint32_t term;       /* the whole word's own term; GEO_NO_TERM */
    uint32_t count;      /* documents, at most */
    geo_need need;
    sx_str text;
    double rarity;
    geo_postings list; /* of `term` */
} geo_want;

/* The terms of one filter key's values, any of which will do. */
typedef struct geo_filter_group {
    sx_str key;
    uint32_t first, count; /* in filter_lists */
} geo_filter_group;

typedef struct geo_candidate {
    uint32_t doc;
    double value; /* how well its words fit, before labels are compared */
} geo_candidate;

/* The pairs of the query's letters, and the walk over a label that uses them up. */
typedef struct geo_pairs {
    uint8_t codes[256];           /* 6 bits for each byte */
    uint8_t left[GEO_PAIR_CODES]; /* of the query, not yet met in the label */
    uint32_t query_count;
    uint32_t same, label_count; /* pairs met; pairs of the label so far */
    uint32_t log_count;
    uint16_t log[GEO_LABEL_BYTES_MAX + 1]; /* codes taken from `left`, to put them back */
    char label[GEO_LABEL_BYTES_MAX];
    uint32_t label_len;
} geo_pairs;

struct geo_searcher {
    char folded[GEO_QUERY_CHARS_LIMIT * 16 + 1];
    sx_str query; /* folded */
    geo_token tokens[GEO_SEARCH_TOKENS_MAX];
    size_t token_count;

    geo_want wants[GEO_SEARCH_TERMS_MAX];
    uint32_t want_count;
    geo_number numbers[GEO_SEARCH_NUMBERS_MAX];
    sx_str number_texts[GEO_SEARCH_NUMBERS_MAX];
    uint32_t number_count;

    geo_filter_group groups[GEO_SEARCH_GROUPS_MAX];
    uint32_t group_count;
    uint32_t filter_terms[GEO_QUERY_FILTERS_MAX];
    uint32_t filter_term_count;
    bool nothing_passes;                   /* a filter has no known value */
    bool type_filtered, takes_housenumber; /* by the filter on type */

    /* How words are matched in the present pass. */
    geo_need level;
    uint32_t lead;    /* the word whose documents are walked: they have it */
    uint32_t matches; /* documents that the pass has kept or weighed */
    bool whole_words;
    double best_fit; /* no document's words can weigh more */
    double bonus;    /* a surer pass's candidates stay before a later one's */

    geo_candidate candidates[GEO_SEARCH_CANDIDATES_MAX];
    uint32_t candidate_count;
    uint32_t seen[GEO_SEARCH_SEEN_SLOTS]; /* doc + 1, of the present query */
    uint32_t seen_used[GEO_SEARCH_SEEN_SLOTS];
    uint32_t seen_count;

    geo_pairs pairs;
    geo_label_parts parts;
    bool corrupt;
};

/* candidates.c: fills wants and filters from the tokens. */
void geo_search_plan(const geo_index *ix, geo_searcher *s, const geo_query *q);

/* candidates.c: documents that have all words; then, if those were no use, some. Both begin with no
 * candidates. */
void geo_search_all_words(const geo_index *ix, geo_searcher *s);
void geo_search_rare_words(const geo_index *ix, geo_searcher *s);

/* score.c: once for each searcher. */
void geo_pairs_init(geo_pairs *p);

/* score.c: starts with a query, then compares one label after another with it. */
void geo_pairs_begin(geo_pairs *p, sx_str query);
void geo_pairs_end(geo_pairs *p, sx_str query);

/* The best similarity of a document's labels with the query; `number` (may be empty) goes before
 * its names. */
double geo_similarity(geo_searcher *s, const geo_disk_doc *doc, sx_str number, bool autocomplete);

#endif

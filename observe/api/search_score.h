/* search_score.h - how well a name answers what somebody has typed: the filters of /api/v1/search.
 *
 * A value passes if any of the terms fits it, and gets the best term's score, from 0 to 1. A term fits
 *     subsequence   if its characters stand in the value in their order: runs of them score by the
 *                   square of their length, gaps take off. A value that begins with the term has 1;
 *     jarowinkler   if it is a part of the value (1 at its start, falling to 0.1 at its end), or, where
 *                   there is a threshold, as like it by Jaro's and Winkler's measure as that asks.
 * Used by search.c alone. Sources: Prometheus, docs/querying/api.md, "Search endpoints"; W. E. Winkler,
 * "String Comparator Metrics" (1990). */
#ifndef OBSERVE_API_SEARCH_SCORE_H
#define OBSERVE_API_SEARCH_SCORE_H

#include <sextant/buf.h>
#include <sextant/error.h>

enum {
    API_SEARCH_TERMS_MAX = 32,
    /* Of longer texts only the beginning is measured: the time is the product of both lengths. */
    API_SEARCH_CHARACTERS_MAX = 4096
};

/* What may be set before api_search_init(); zero is: any subsequence, letters as they are. */
typedef struct api_search_options {
    double threshold; /* least score, from 0 to 1 */
    bool jaro_winkler, fold_case;
} api_search_options;

typedef struct api_search_term {
    sx_str bytes;
    uint32_t *characters;
    size_t count;
} api_search_term;

/* One thread's: scoring uses its memory. */
typedef struct api_search {
    api_search_options options;
    api_search_term terms[API_SEARCH_TERMS_MAX];
    size_t term_count; /* 0: everything passes, with 1 */
    sx_buf folded;     /* the value in small letters */
    uint32_t *characters;
    bool *taken; /* of both texts, one after the other */
} api_search;

/* Takes the terms up; empty ones are left out. To be given to api_search_done() in any case. SX_ENOMEM.
 * `count` is at most API_SEARCH_TERMS_MAX. */
sx_status api_search_init(api_search *s, const api_search_options *options, const sx_str *terms,
                          size_t count, sx_error *err);
void api_search_done(api_search *s);

/* Whether `value` passes, and its score. */
bool api_search_score(api_search *s, sx_str value, double *score);

#endif

/* explain.h - why a search found what it found.
 *
 * A search that is given a geo_trace notes in it what it did: the steps with their candidates and
 * times. Afterwards geo_explain_result() works out for one result which word of the query met which
 * of the document, which label was compared, and the numbers that add up to the score. It repeats the
 * comparison in the plainest way, as a model beside the fast one, so it costs some 10 us a result and
 * nothing where nobody asks. Used by geocode/api and the bench. */
#ifndef GEOCODE_SEARCH_EXPLAIN_H
#define GEOCODE_SEARCH_EXPLAIN_H

#include "geocode/search/search.h"

enum { GEO_TRACE_STEPS_MAX = 32, GEO_EXPLAIN_WORDS_MAX = 64 };

/* One step that has ended. */
typedef struct geo_trace_entry {
    const char *step;    /* "all words", static */
    uint32_t candidates; /* in the bucket when it ended */
    int64_t took_ns;
} geo_trace_entry;

struct geo_trace {
    uint32_t count;
    geo_trace_entry entries[GEO_TRACE_STEPS_MAX];
    int64_t began_ns, marked_ns;                   /* of the search; of the step under way */
    int64_t normalise_ns, candidates_ns, score_ns; /* by phase; score: of what is left to do then */
    int64_t better_ns;                             /* 0: Addok's own answer was good enough */
    char folded[512], cleaned[512]; /* the query as read: its beginning, if it is longer */
    size_t folded_len, cleaned_len;
};

#endif

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

/* To be zeroed before the search. An index of several languages is searched once in each: the times
 * and steps are of all of them. */
struct geo_trace {
    uint32_t count;
    geo_trace_entry entries[GEO_TRACE_STEPS_MAX];
    int64_t phases_ns[GEO_PHASES]; /* by geo_phase; candidates are scored in part while they come */
    bool better_ran;               /* Addok's answer was not good enough */
    int64_t step_began_ns, phase_began_ns;
    geo_phase phase;
};

#endif

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

/* A word of the query, and what it has met in the document. */
typedef struct geo_explain_word {
    sx_str text, became; /* as written; as it is looked for: in full and as it sounds */
    sx_str met;          /* the document's word or words; empty if none */
    const char *means;   /* "exact", "typing error" ...; "none". Static */
    uint32_t edits;      /* letters wrong; of a postcode: digits right */
    uint32_t documents;  /* that have the word as it is looked for */
    double share;        /* 0 to 1: how much of its worth was met */
} geo_explain_word;

/* What a score is made of: points = value * weight / whole; the points of all parts add up to it. */
typedef struct geo_explain_part {
    const char *name; /* "similarity", "importance", "nearness"; static */
    double value, weight, points;
} geo_explain_part;

enum { GEO_EXPLAIN_PARTS_MAX = 4 };

typedef struct geo_explanation {
    sx_str folded, cleaned; /* the query, and what of it its words are taken from */
    uint32_t word_count;
    geo_explain_word words[GEO_EXPLAIN_WORDS_MAX];
    size_t label_len; /* the label that was most like the query */
    char label[GEO_LABEL_BYTES_MAX];
    double letters; /* how like: pairs of letters, as Addok counts them */
    bool by_words;  /* words were compared too (better.h): then `agreement` is how they agree */
    double agreement;
    uint32_t part_count;
    geo_explain_part parts[GEO_EXPLAIN_PARTS_MAX];
    double score;
    char room[4096]; /* texts above point into it, into the searcher and into the index */
} geo_explanation;

/* Explains result `r` of the query `q`. The searcher is the one that has searched; what `out` points to
 * is good until it searches again. Errors: SX_ECORRUPT. */
sx_status geo_explain_result(const geo_index *ix, geo_searcher *s, const geo_query *q,
                             const geo_result *r, geo_explanation *out, sx_error *err);

/* The same for a result of geo_reverse(): its score is nearness alone. */
void geo_explain_reverse(const geo_result *r, geo_explanation *out);

#endif

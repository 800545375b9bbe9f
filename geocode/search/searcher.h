/* searcher.h - inside a searcher: what words.c, bucket.c, collect.c, complete.c, fuzzy.c, score.c,
 * search.c and languages.c share. The numbers are Addok's defaults. */
#ifndef GEOCODE_SEARCH_SEARCHER_H
#define GEOCODE_SEARCH_SEARCHER_H

#include "geocode/index/reader.h"
#include "geocode/search/search.h"
#include "geocode/text/tokens.h"

enum {
    GEO_SEARCH_TOKENS_MAX = 64,      /* of a query; the rest is not looked at */
    GEO_SEARCH_MEANINGFUL_MAX = 10,  /* more words than these are taken for common ones */
    GEO_SEARCH_COMMON_LEAST = 10000, /* documents; a word in more says little */
    GEO_SEARCH_BUCKET_MIN = 10,    /* documents looked for around a point when the bucket is full */
    GEO_SEARCH_BUCKET_MAX = 100,   /* with as many the search ends */
    GEO_SEARCH_BUCKET_ROOM = 1024, /* documents around a point come on top */
    GEO_SEARCH_CELL_DOCS_MAX = 4096, /* around a point */
    GEO_SEARCH_PREFIX_MIN = 3,       /* letters of a word that can be completed */
    GEO_SEARCH_PREFIX_MAX = 20,
    GEO_SEARCH_COMPLETIONS_MAX = 8192,
    GEO_SEARCH_FUZZY_MAX = 256, /* words one letter away */
    GEO_SEARCH_GROUPS_MAX = 16, /* filter keys */
    GEO_SEARCH_KEYS_MAX = GEO_SEARCH_TOKENS_MAX + GEO_SEARCH_GROUPS_MAX + 2,
    GEO_SEARCH_SEEN_SLOTS = 4096, /* a power of two, several times the bucket's room */
    GEO_PAIR_CODES = 4096,        /* two characters of 6 bits */
    GEO_PAIR_PLANES = 4,          /* how many of a query's pairs may share a bit */
    GEO_PAIR_NUMBER_MAX = 64,     /* bytes of a house number that goes into labels */
    GEO_PLACES_KEPT = 64,         /* a power of two */
    GEO_PLACE_FORMS_MAX = 6,
};

/* One word of the query that is no house number. */
typedef struct geo_word {
    sx_str text;    /* as it sounds */
    uint32_t term;  /* GEO_NO_TERM: no document has it */
    uint32_t count; /* documents */
    bool digits;    /* nothing but digits: never misspelt */
} geo_word;

/* Words by their place in geo_searcher.words. */
typedef struct geo_word_list {
    uint32_t count;
    uint8_t at[GEO_SEARCH_TOKENS_MAX];
} geo_word_list;

/* The terms of one filter key's values, any of which will do. */
typedef struct geo_filter_group {
    sx_str key;
    uint32_t first, count; /* in filter_terms */
    uint32_t documents;    /* at most */
} geo_filter_group;

/* What documents are asked to have: words, then implicitly every filter, then perhaps the cell. */
typedef struct geo_keys {
    uint32_t count;
    uint32_t terms[GEO_SEARCH_TOKENS_MAX + 1];
    bool cell; /* lie around the query's point */
} geo_keys;

/* A document found, and what it scores once that has been asked for. */
typedef struct geo_found {
    geo_result result;
    double similarity; /* of its best label; negative: not yet computed */
    bool passes;       /* the filter on type, which is about the house number too */
} geo_found;

/* The pairs of the query's letters, and the walk over a label that uses them up. */
typedef struct geo_pairs {
    uint8_t codes[256];           /* 6 bits for each byte */
    uint8_t left[GEO_PAIR_CODES]; /* of the query, not yet met in the label */
    uint64_t query_number; /* counts the queries, so that what is kept of one is not another's */
    uint32_t query_count;
    uint32_t same, label_count; /* pairs met; pairs of the label so far */
    uint32_t log_count;
    uint16_t log[GEO_LABEL_BYTES_MAX + 1]; /* codes taken from `left`, to put them back */
    /* The house number and a space, then the label; and the pairs that the number adds to it. */
    char room[GEO_PAIR_NUMBER_MAX + 1 + GEO_LABEL_BYTES_MAX], *label;
    uint32_t label_len, number_pairs;
    uint16_t number_codes[GEO_PAIR_NUMBER_MAX + 1];
    /* The query's pairs as documents' signs have them: plane k has the bits that more than k pairs
     * share. `always`: pairs that no sign is asked about. */
    uint64_t planes[GEO_PAIR_PLANES][GEO_SIGN_WORDS];
    uint32_t plane_count, always;
    uint32_t (*in_sign)(const struct geo_pairs *p, const geo_sign *sign); /* counts them */
} geo_pairs;

/* What the postcode and the city may add to a name in a label: the query's pairs, and others. */
typedef struct geo_place_form {
    uint16_t same, strange;
} geo_place_form;

/* A place's forms, none of which is worse than another in both. Of one query. */
typedef struct geo_place_bound {
    uint64_t query; /* geo_pairs.query_number */
    uint32_t place, count;
    geo_place_form forms[GEO_PLACE_FORMS_MAX];
    geo_place_form cities[GEO_PLACE_FORMS_MAX]; /* each alone */
} geo_place_bound;

/* How similar a document's best labels are to the query: those without the house number, and all if it
 * has it. */
typedef struct geo_alike {
    double bare, numbered;
} geo_alike;

/* A list opened to be probed, or a stand-in for a filter or the cell. */
enum { GEO_PROBE_WORD, GEO_PROBE_FILTER, GEO_PROBE_CELL };
typedef struct geo_probe {
    uint32_t count;
    int kind;       /* GEO_PROBE_WORD and its kin */
    uint32_t which; /* term; filter group */
    bool again;     /* asks what the one before it asks: "rue de la rue" has a word twice */
    geo_postings list;
} geo_probe;

/* Documents that have all keys and are to be weighed, a few at a time: what is read of them lies
 * anywhere. `at`: by probe, their places among its weights. */
enum { GEO_PENDING_MAX = 16 };
typedef struct geo_pending {
    uint32_t count, docs[GEO_PENDING_MAX];
    uint32_t at[GEO_SEARCH_KEYS_MAX][GEO_PENDING_MAX];
} geo_pending;

/* The documents that have some of the query's words, as far as they are few. */
enum { GEO_COMPANY_MAX = GEO_MEET_DOCS_MAX, GEO_COMPANY_WORDS = 64 };
typedef struct geo_company {
    bool known, words_known; /* not known: they are too many, and any word may be beside theirs */
    uint32_t documents, docs[GEO_COMPANY_MAX];
    uint64_t words[GEO_COMPANY_WORDS]; /* their words' bits */
    uint32_t heavy_count, heavy[GEO_SEARCH_TOKENS_MAX + 1];
} geo_company;

/* company.c: the documents that have all words of `k`. False if there are none. */
bool geo_company_find(const geo_index *ix, geo_company *c, const geo_keys *k);

/* company.c: whether one of them may have `term`. */
bool geo_company_may_have(const geo_index *ix, geo_company *c, uint32_t term);

/* meet.c: the words [first, first + words) that `count` bitmaps have in common, into `out`. Returns
 * which of them are not empty, a bit each. */
enum { GEO_STRETCH_WORDS = 32 };
typedef uint32_t geo_meet(const uint64_t *const *bits, uint32_t count, uint32_t first,
                          uint32_t words, uint64_t out[GEO_STRETCH_WORDS]);

/* meet.c: the fastest that this processor can. */
geo_meet *geo_meet_choose(void);

typedef struct geo_top {
    double score;
    uint32_t doc;
} geo_top;

struct geo_searcher {
    char folded[GEO_QUERY_CHARS_LIMIT * 16 + 1];
    char cleaned[GEO_QUERY_CHARS_LIMIT * 16 + 1];
    char rewritten[GEO_QUERY_CHARS_LIMIT * 16 + 1];
    const geo_rules *rules; /* of the language that the query is read in */
    bool may_have_number;   /* false: rewriting found none, so that a first number is a word */
    sx_str cleaned_query;   /* what its words are taken from */
    sx_str query;           /* folded; rewritten if the language asks for it */
    geo_token tokens[GEO_SEARCH_TOKENS_MAX];
    geo_sounds sounds;

    /* The query's words, longest first, then as they stand; and which of them are what. */
    geo_word words[GEO_SEARCH_TOKENS_MAX];
    uint32_t word_count;
    int32_t last; /* the query's last word among them; -1: the last word is a house number */
    /* The words one letter away from each, once they have been looked for. */
    uint32_t near[GEO_SEARCH_TOKENS_MAX][GEO_SEARCH_FUZZY_MAX], near_count[GEO_SEARCH_TOKENS_MAX];
    geo_word_list meaningful, common, missing;
    uint64_t meets[GEO_SEARCH_TOKENS_MAX]; /* by word: the words it occurs with, a bit each */
    bool pairs_known;
    uint32_t should_match; /* two thirds of the words */

    bool has_number;
    geo_number number;
    sx_str number_text;

    geo_filter_group groups[GEO_SEARCH_GROUPS_MAX];
    uint32_t group_count;
    uint32_t filter_terms[GEO_QUERY_FILTERS_MAX];
    const uint64_t *filter_bits[GEO_QUERY_FILTERS_MAX]; /* their bitmaps, if they have one */
    uint32_t filter_term_count;
    uint32_t wanted;                       /* results */
    bool nothing_passes;                   /* a filter has no known value */
    bool type_filtered, takes_housenumber; /* by the filter on type */

    uint32_t cell[GEO_SEARCH_CELL_DOCS_MAX]; /* documents around the point, rising */
    uint32_t cell_count;
    bool cell_known;
    bool all_together; /* a document has all meaningful words, which are all that count */

    geo_found bucket[GEO_SEARCH_BUCKET_ROOM];
    uint32_t bucket_count, judged;          /* the first `judged` of them have been compared */
    uint16_t order[GEO_SEARCH_BUCKET_ROOM]; /* a heap of documents to be compared */
    uint32_t seen[GEO_SEARCH_SEEN_SLOTS];   /* doc + 1 */
    uint16_t seen_used[GEO_SEARCH_BUCKET_ROOM];

    geo_probe probes[GEO_SEARCH_KEYS_MAX];
    uint32_t probe_count;
    /* What a document of the first probe is asked for, the cheapest first: bitmaps, arrays, and what
     * has no list. Words asked twice are there once. */
    const uint64_t *sieve_bits[GEO_SEARCH_KEYS_MAX];
    geo_postings *sieve_lists[GEO_SEARCH_KEYS_MAX];
    const geo_probe *sieve_sets[GEO_SEARCH_KEYS_MAX];
    uint32_t sieve_bit_count, sieve_list_count, sieve_set_count;
    uint32_t sieve_at[GEO_SEARCH_KEYS_MAX][GEO_POSTINGS_CHUNK];
    geo_pending pending;
    geo_meet *meet;
    geo_company company;
    geo_top top[GEO_SEARCH_BUCKET_MAX];
    uint32_t top_count;

    uint32_t completion_count, completions[GEO_SEARCH_COMPLETIONS_MAX];
    double completion_scores[GEO_SEARCH_COMPLETIONS_MAX];

    geo_pairs pairs;
    geo_label_parts parts;
    geo_place_bound places[GEO_PLACES_KEPT]; /* by the place's last bits */
    bool corrupt;

    geo_trace *trace;               /* of the query under way; mostly NULL */
    struct geo_better_room *better; /* made when it is first asked for: see better.h */
};

/* The steps of a search, as explanations name them (explain.c). */
typedef enum geo_step {
    GEO_STEP_COMMON,
    GEO_STEP_MEANINGFUL,
    GEO_STEP_COMPLETE,
    GEO_STEP_FUZZY,
    GEO_STEP_RELATIONS,
    GEO_STEP_FEWER,
    GEO_STEP_BETTER,
    GEO_STEP_BETTER_TYPOS,
    GEO_STEP_INTERPOLATE,
    GEO_STEPS
} geo_step;

/* explain.c: notes that a step has ended with so many candidates. */
void geo_trace_step(geo_trace *trace, geo_step step, uint32_t candidates);

/* explain.c: notes that a phase begins; that the search has ended. */
void geo_trace_phase(geo_trace *trace, geo_phase phase);
void geo_trace_end(geo_trace *trace);

static inline void geo_step_done(const geo_searcher *s, geo_step step)
{
    if (sx_unlikely(s->trace != NULL))
        geo_trace_step(s->trace, step, s->bucket_count);
}

/* search.c: searches with the query read in one language (geo_language); geo_search() in languages.c
 * does it for each language of the index. */
sx_status geo_search_as(const geo_index *ix, geo_searcher *s, const geo_query *q, unsigned language,
                        geo_results *out, sx_error *err);

/* words.c: the query's words and filters as terms. */
void geo_search_plan(const geo_index *ix, geo_searcher *s, const geo_query *q);

/* collect.c: fills the bucket. */
void geo_search_collect(const geo_index *ix, geo_searcher *s, const geo_query *q);

/* bucket.c */

void geo_bucket_clear(geo_searcher *s);

/* Adds the best documents that have all keys, `limit` at most (0: as many as the bucket takes). */
void geo_bucket_add(const geo_index *ix, geo_searcher *s, const geo_query *q, const geo_keys *k,
                    uint32_t limit);

/* Whether a document has a value of every filter. */
bool geo_bucket_passes(const geo_index *ix, const geo_searcher *s, uint32_t doc);

/* Fewer documents than the query wants results: the search goes on. */
static inline bool geo_bucket_dry(const geo_searcher *s)
{
    return s->bucket_count < s->wanted;
}

static inline bool geo_bucket_overflows(const geo_searcher *s)
{
    return s->bucket_count >= GEO_SEARCH_BUCKET_MAX;
}

/* The documents that lie around the query's point, as keys.cell asks for them. */
void geo_search_cell(const geo_index *ix, geo_searcher *s, const geo_query *q);

/* complete.c: adds documents that have the words of `list`, the last one of the query completed. */
void geo_search_complete(const geo_index *ix, geo_searcher *s, const geo_query *q,
                         const geo_word_list *list, bool cell);

/* fuzzy.c: the words one letter away from `word`, in the order in which Addok tries them. Returns
 * how many. */
uint32_t geo_search_fuzzy(const geo_index *ix, sx_str word, uint32_t out[GEO_SEARCH_FUZZY_MAX]);

/* rank.c: whether the bucket holds a document with a label as similar as `least`. */
bool geo_search_has(const geo_index *ix, geo_searcher *s, const geo_query *q, double least);

/* rank.c: puts the best of the bucket into `out`. */
void geo_search_rank(const geo_index *ix, geo_searcher *s, const geo_query *q, geo_results *out);

/* search.c: folds the query, reads it in one language and plans it: all that comes before collecting. */
void geo_search_read(const geo_index *ix, geo_searcher *s, const geo_query *q, unsigned language);

/* search.c: 1 at the point, 0.37 at 50 km, nothing from 100 km on. */
double geo_search_nearness(double distance_m);

/* search.c: whether the filter on type lets a document pass without a house number. */
bool geo_search_passes_bare(const geo_searcher *s, const geo_query *q);

/* search.c: the score of a result whose place is known, from its similarity; sets distance_m. */
void geo_search_rate(const geo_index *ix, const geo_query *q, double similarity, geo_result *r);

/* search.c: the score of a document of which no more is known than how similar it may be: the most that
 * it can be. */
double geo_search_rate_most(const geo_index *ix, const geo_query *q, double similarity,
                            uint32_t doc);

/* search.c: the similarity below which a document scores less than `score`, however near it is. */
double geo_search_least(const geo_index *ix, const geo_query *q, double score, uint32_t doc);

/* search.c: puts a result in its place: falling score, then rising key, as Addok has them. */
void geo_results_insert(const geo_index *ix, geo_results *out, uint32_t limit, const geo_result *r);

/* score.c: once for each searcher. */
void geo_pairs_init(geo_pairs *p);

/* score.c: starts with a query, then compares one label after another with it. */
void geo_pairs_begin(geo_pairs *p, sx_str query);
void geo_pairs_end(geo_pairs *p, sx_str query);

/* Makes geo_similarity_bound() possible for the query that is begun: `number` is its house number. */
void geo_pairs_sign(geo_pairs *p, sx_str query, sx_str number);

/* What geo_similarity() of a document, which must exist, is at most. */
double geo_similarity_bound(const geo_index *ix, geo_searcher *s, uint32_t doc, bool autocomplete);

/* The similarity of document `doc`, whose label parts are in s->parts; `number` may be empty. Labels
 * that are less similar than `least` may count as less than they are. */
geo_alike geo_compare(const geo_index *ix, geo_searcher *s, uint32_t doc, sx_str number,
                      bool autocomplete, double least);

/* The best similarity of a document's labels with the query; `number` (may be empty) goes before
 * its names. */
double geo_similarity(geo_searcher *s, const geo_disk_doc *doc, sx_str number, bool autocomplete);

#endif

/* search.h - finds addresses by words.
 *
 * A query is folded and cut into tokens; documents that have all of them (the last one may be
 * unfinished) are candidates, best-weighted first; if there are none, documents that have the rarest
 * of them. Each candidate's possible labels ("name", "name postcode", "name city" ...) are compared
 * with the query by shared pairs of letters, the way Addok compares them, and the score is
 *
 *     (similarity + 0.1 importance [+ 0.1 nearness]) / (1.1 [or 1.2])
 *
 * where a label that equals the query has similarity 1, one that the unfinished query begins 0.9,
 * one that contains it 0.7, any other 0.9 times (without autocompletion: once) the shared pairs
 * divided by all pairs. A house number in the query is looked up in the candidate's own.
 *
 * Budget: 15 us a query on one core. Nothing is allocated after geo_searcher_new(), except once for
 * each searcher that is asked to be better than Addok (geo_query.better, see better.h). */
#ifndef GEOCODE_SEARCH_SEARCH_H
#define GEOCODE_SEARCH_SEARCH_H

#include "geocode/index/index.h"

enum {
    GEO_RESULTS_MAX = 100,
    GEO_QUERY_CHARS_MAX = 200, /* the default: Addok's QUERY_MAX_LENGTH */
    GEO_QUERY_CHARS_LIMIT = 1000,
    GEO_QUERY_FILTERS_MAX = 256,
    GEO_QUERY_VALUES_MAX = 10, /* of one key; those after them are ignored, as in Addok */
    GEO_LABEL_BYTES_MAX = 1024,
};

/* What a query thread keeps between queries: about 200 KB. One thread at a time; serves any index. */
typedef struct geo_searcher geo_searcher;

/* NULL if there is no memory. */
geo_searcher *geo_searcher_new(sx_error *err);
void geo_searcher_free(geo_searcher *s);

/* One wanted value of a filter. Values of one key are alternatives; different keys must all hold.
 * The value is compared byte for byte. A key that the index has no filter for is ignored. */
typedef struct geo_filter {
    sx_str key, value;
} geo_filter;

/* Told where a search is, for spans: `phase` as each begins (candidates and score may come again). */
typedef enum geo_phase {
    GEO_PHASE_NORMALISE,
    GEO_PHASE_CANDIDATES,
    GEO_PHASE_SCORE,
    GEO_PHASE_BETTER, /* only if something better is asked for */
    GEO_PHASES
} geo_phase;
typedef struct geo_observer {
    void (*phase)(void *ctx, geo_phase phase);
    void *ctx;
} geo_observer;

/* What a search may do that Addok does not, a bit each. Nothing of it is done unasked: what is exact
 * stays exact, and what Addok answers stays so. */
typedef enum geo_better {
    GEO_BETTER_POSTCODE = 1,      /* a wrong postcode costs some score, not the answer */
    GEO_BETTER_CITY = 2,          /* so does a wrong city, and a department's name costs nothing */
    GEO_BETTER_TYPOS = 4,         /* any one letter of a word may be wrong */
    GEO_BETTER_SPLIT_JOIN = 8,    /* words run together or torn apart, numbers stuck to words */
    GEO_BETTER_WORD_ORDER = 16,   /* the order of words costs nothing; numbers stand anywhere */
    GEO_BETTER_INTERPOLATE = 32,  /* a house number that is not there lies between its neighbours */
    GEO_BETTER_ANY_DISTANCE = 64, /* reverse alone: the nearest address, however far */
    GEO_BETTER_TYPOS_TWO = 128,   /* two, in words of eight letters and more */
    GEO_BETTER_ALL = 255
} geo_better;

/* What is noted for explanations while a search runs; see explain.h. */
typedef struct geo_trace geo_trace;

typedef struct geo_query {
    sx_str text;        /* any bytes */
    uint32_t limit;     /* 1 to GEO_RESULTS_MAX; 0: 5 */
    uint32_t chars_max; /* longest text, at most GEO_QUERY_CHARS_LIMIT; 0: GEO_QUERY_CHARS_MAX */
    bool autocomplete;  /* the last word may be unfinished */
    bool has_point;     /* prefer what is near lat, lon (degrees) */
    double lat, lon;
    const geo_filter *filters;
    size_t filter_count;
    const geo_observer *observer; /* NULL: nobody is told, which is free */
    uint32_t better;              /* of geo_better; 0: Addok's answers */
    geo_trace *trace;             /* filled if not NULL */
} geo_query;

enum { GEO_MADE_NUMBER_MAX = 8 };

typedef struct geo_result {
    uint32_t doc;
    uint32_t number;        /* index of the matched house number; GEO_NO_NUMBER */
    int32_t lon_e7, lat_e7; /* of the house number, if one matched */
    double score;           /* 0 to 1 */
    double distance_m;      /* from the query's point; negative if it had none */
    /* A house number that the document has not got, placed between those it has (number is then
     * GEO_NO_NUMBER): as it is printed, "35b". Length 0: none. */
    uint8_t made_len;
    char made[GEO_MADE_NUMBER_MAX];
} geo_result;

typedef struct geo_results {
    uint32_t count; /* best score first */
    geo_result items[GEO_RESULTS_MAX];
} geo_results;

/* Searches. The results hold ids, no pointers: they are good as long as the index is open.
 *   errors  SX_ELIMIT: the text is too long ("Query too long, 201 chars, limit is 200") or there are
 *           too many filters; SX_EINVAL: the point is not on Earth; SX_ECORRUPT; SX_ENOMEM, only if
 *           `better` is asked for */
sx_status geo_search(const geo_index *ix, geo_searcher *s, const geo_query *q, geo_results *out,
                     sx_error *err);

/* Great-circle distance in metres between two points in degrees, on the sphere of 6,367 km that
 * Addok uses. */
double geo_distance_m(double lat1, double lon1, double lat2, double lon2);

/* --- What to print of a result. */

/* The label as printed: "34 Avenue de l'Opéra 75002 Paris"; a municipality's is its name. In `out`;
 * empty only if damaged. */
sx_str geo_result_label(const geo_index *ix, const geo_result *r, char out[GEO_LABEL_BYTES_MAX]);

/* Called for each property in turn. Return false to stop. `value` is never an array. */
typedef bool (*geo_property_visit)(void *context, sx_str key, const geo_value *value);

/* Visits a result's properties in the order in which Addok's GeoJSON has them: label, score,
 * housenumber (if one matched), then the document's own (an array gives its first value; id, type,
 * name, x and y are the house number's), then the plain name under the type's name ("street"), then
 * distance in whole metres. Positions are not among them. Null values are left out. Views are good
 * for the visit only. Errors: SX_ECORRUPT. */
sx_status geo_result_properties(const geo_index *ix, const geo_result *r, geo_property_visit visit,
                                void *context, sx_error *err);

/* The text of one of these properties (a number's as printed), in `out`; empty if the result has
 * none of that name, or if it is longer than `cap`. */
sx_str geo_result_text(const geo_index *ix, const geo_result *r, sx_str key, char *out, size_t cap);

#endif

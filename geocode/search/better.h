/* better.h - what is done beyond Addok's search when geo_query.better asks for it.
 *
 * Addok's search runs first, as ever. If its best answer is nearly the query, that is all. Otherwise
 *
 *     words -> terms of the dictionary: themselves, completed, misspelt, run together, torn apart
 *           -> documents by the worth of the terms they have (rare words are worth more)
 *           -> the best of them, and Addok's, compared word by word (reading.h)
 *           -> results
 *
 * and, if that has still found nothing good, once more with a word or two errors away from every long
 * one. A result's score is made as Addok's is, from a similarity that is mostly agreement of words,
 * and a little of Addok's own, which tells apart what the words cannot.
 *
 * Costs nothing where Addok's answer is good, some 100 us where it is not. Used by search.c. */
#ifndef GEOCODE_SEARCH_BETTER_H
#define GEOCODE_SEARCH_BETTER_H

#include "geocode/search/reading.h"
#include "geocode/search/searcher.h"

/* The parts of `similarity` when words were compared: agreement and Addok's similarity. */
#define GEO_AGREEMENT_SHARE 0.9

/* A searcher's room for it, about 1 MB. */
typedef struct geo_better_room geo_better_room;
void geo_better_free(geo_better_room *room);

/* After Addok's search of `q`, whose results are in `out`: improves them. SX_ENOMEM: there is no room for it. */
sx_status geo_better_search(const geo_index *ix, geo_searcher *s, const geo_query *q,
                            geo_results *out, sx_error *err);

/* Whether Addok's answer is good enough to leave it alone. */
bool geo_better_content(const geo_searcher *s, const geo_query *q, const geo_results *addok);

/* What a query asks, for geo_fit_doc(): fills `reading` and `asked`, which points to it. The searcher
 * must have planned the query. */
void geo_better_ask(const geo_searcher *s, const geo_query *q, geo_reading *reading,
                    geo_asked *asked);

#endif

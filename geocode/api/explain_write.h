/* explain_write.h - explanations (geocode/search/explain.h) as members of an answer's JSON. */
#ifndef SEXTANT_GEOCODE_API_EXPLAIN_WRITE_H
#define SEXTANT_GEOCODE_API_EXPLAIN_WRITE_H

#include <sextant/json.h>

#include "geocode/search/explain.h"

/* What an answer needs in order to explain itself. */
typedef struct geo_explaining {
    geo_searcher *searcher; /* that has searched */
    const geo_query *query; /* NULL: reverse */
    const geo_trace *trace;
} geo_explaining;

/* Writes the member "explain" of one feature. Errors: SX_ECORRUPT. */
sx_status geo_explain_write_result(sx_json_writer *w, const geo_index *ix, const geo_explaining *e,
                                   const geo_result *r, sx_error *err);

/* Writes the member "explain" of the whole answer: steps and times. */
void geo_explain_write_search(sx_json_writer *w, const geo_explaining *e);

#endif

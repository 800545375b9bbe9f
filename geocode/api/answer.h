/* answer.h - results as Addok's GeoJSON, number for number as Python's json.dumps writes it. */
#ifndef SEXTANT_GEOCODE_API_ANSWER_H
#define SEXTANT_GEOCODE_API_ANSWER_H

#include <sextant/buf.h>

#include "geocode/api/explain_write.h"
#include "geocode/api/params.h"
#include "geocode/search/search.h"

typedef struct geo_answer {
    const geo_index *index;
    const geo_results *results;
    const geo_params *params;
    const char *const *filters;       /* names of params->filters, NULL after the last */
    int64_t limit;                    /* as applied */
    const geo_explaining *explaining; /* NULL: nothing is explained */
} geo_answer;

/* Appends the whole FeatureCollection to `out`. SX_OK; SX_ECORRUPT if the index is damaged;
 * SX_ENOMEM or SX_ELIMIT if the buffer failed. */
sx_status geo_answer_write(const geo_answer *answer, sx_buf *out, sx_error *err);

#endif

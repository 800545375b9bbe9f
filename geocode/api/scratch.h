/* scratch.h - what one loop's requests use, one after the other, and the api they belong to. */
#ifndef SEXTANT_GEOCODE_API_SCRATCH_H
#define SEXTANT_GEOCODE_API_SCRATCH_H

#include "geocode/api/api.h"
#include "geocode/search/search.h"

struct geo_scratch {
    geo_searcher *searcher;
    geo_results results;
    sx_buf body;
};

struct geo_api {
    const geo_index *index;
    const char *filters[9]; /* names of the index's filters in Addok's order, NULL after the last */
};

/* The scratch of the loop that `r` runs on, its body emptied. */
geo_scratch *geo_api_scratch(const sx_request *r);

/* Answers all but GET: 200 with Allow to OPTIONS, 405 to the others. True if it did. */
bool geo_api_other_method(sx_request *r);

/* Sends `body` as Addok's JSON: 200, or 500 if the buffer has failed. */
void geo_api_send(sx_request *r, const sx_buf *body);

#endif

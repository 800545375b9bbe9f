/* scratch.h - what one loop's requests use, one after the other, and the api they belong to. */
#ifndef SEXTANT_GEOCODE_API_SCRATCH_H
#define SEXTANT_GEOCODE_API_SCRATCH_H

#include <sextant/service.h>

#include "geocode/api/api.h"
#include "geocode/search/search.h"

struct geo_scratch {
    geo_api *api;
    geo_snapshot *now;     /* held; a request that goes on after its handler holds its own */
    geo_endpoint endpoint; /* of the request at hand */
    geo_searcher *searcher;
    geo_results results;
    sx_buf key, body;
    nom_searcher *nominatim;
    sx_arena arena; /* what a question of Nominatim's API takes; emptied before each */
};

/* The scratch of the loop that `r` runs on, its body emptied, `now` the newest index. */
geo_scratch *geo_api_scratch(const sx_request *r, geo_endpoint endpoint);

/* Answers all but GET: 200 with Allow to OPTIONS, 405 to the others. True if it did. */
bool geo_api_other_method(sx_request *r);

/* Sends `body` as Addok's JSON; `store` as in sx_reply_coded, or NULL. */
void geo_api_send(sx_request *r, sx_str body, const sx_coded_store *store);

/* Sends the scratch's body so: 200, or 500 if it has failed. */
void geo_api_send_body(sx_request *r, const geo_scratch *s);

/* Counts a request that is about to be answered with `status`: every answer of ours goes through it. */
void geo_api_count(sx_request *r, int status);

#endif

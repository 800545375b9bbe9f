/* ask.h - one question, answered from what was kept or computed now: what /search/, /reverse/ and
 * Nominatim's endpoints share.
 *
 *     key -> memory has it ---------------------------------------------------> sent
 *              | no tiers: compute, keep -------------------------------------> sent
 *              | tiers: the question waits (parked) -> they have it, or compute, keep
 *
 * Computing takes some microseconds and is done at once, on the loop. A question that waits for a tier
 * holds on to the index it began with, so that its key and its answer belong together. */
#ifndef SEXTANT_GEOCODE_API_ASK_H
#define SEXTANT_GEOCODE_API_ASK_H

#include "geocode/api/scratch.h"

typedef struct geo_ask geo_ask;

/* What a kind of questions does. All on the request's loop. */
typedef struct geo_ask_kind {
    /* Writes the key: all that the answer depends on, the index's generation first. */
    void (*key)(const geo_ask *ask, sx_buf *out);
    /* Puts the answer into s->body, as geo_cached_finish leaves it. */
    sx_status (*compute)(const geo_ask *ask, sx_request *r, geo_scratch *s, sx_error *err);
    /* Sends it; `store` as in sx_reply_coded, or NULL. */
    void (*send)(const geo_ask *ask, sx_request *r, sx_str body, const sx_coded_store *store);
    /* Answers that `compute` has failed. */
    void (*refuse)(const geo_ask *ask, sx_request *r, const sx_error *err);
    bool always_sure; /* every answer that is not empty is kept long */
} geo_ask_kind;

/* The beginning of a structure of `bytes` that the kind knows. It is copied if it has to wait, so nothing
 * in it points into itself; what it points to lives as long as the request. */
struct geo_ask {
    const geo_ask_kind *kind;
    size_t bytes;
    const geo_snapshot *on;
    geo_endpoint endpoint;
    bool keep; /* false: its answer is neither looked for nor kept */
};

/* Answers, now or later. The loop's thread. */
void geo_ask_answer(const geo_ask *ask, sx_request *r, geo_scratch *s);

#endif

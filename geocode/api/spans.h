/* spans.h - where a request's time goes: a child span for each phase, if its own span is recorded.
 *
 *   geocode.normalise   the query's text folded and cut into words
 *   geocode.candidates  documents that have those words (or lie near the point)
 *   geocode.score       their labels compared; may come again with candidates, if the first were none
 *   geocode.format      the answer written
 *
 * A request that is not recorded costs one test of a pointer. */
#ifndef SEXTANT_GEOCODE_API_SPANS_H
#define SEXTANT_GEOCODE_API_SPANS_H

#include <sextant/service.h>

#include "geocode/search/search.h"

/* One request's; on the stack of what computes its answer. */
typedef struct geo_spans {
    geo_observer observer;
    sx_tracer *tracer;
    const sx_span_context *parent;
    bool recorded, open;
    sx_span span; /* of the phase under way, if open */
} geo_spans;

/* Looks whether `r` is recorded. */
void geo_spans_begin(geo_spans *s, sx_request *r);

/* For geo_query.observer: NULL if nothing is recorded. */
const geo_observer *geo_spans_observer(const geo_spans *s);

/* The candidates of a search that tells nobody its phases (reverse); the answer being written. Each
 * ends the phase before. */
void geo_spans_candidates(geo_spans *s);
void geo_spans_format(geo_spans *s);

/* Ends the phase under way. */
void geo_spans_end(geo_spans *s);

#endif

/* spans.c - see spans.h. */
#include "geocode/api/spans.h"

static const sx_str FORMAT = SX_STR_INIT("geocode.format");
static const sx_str NAMES[] = {
    [GEO_PHASE_NORMALISE] = SX_STR_INIT("geocode.normalise"),
    [GEO_PHASE_CANDIDATES] = SX_STR_INIT("geocode.candidates"),
    [GEO_PHASE_SCORE] = SX_STR_INIT("geocode.score"),
    [GEO_PHASE_BETTER] = SX_STR_INIT("geocode.better"),
};

static void start(geo_spans *s, sx_str name)
{
    geo_spans_end(s);
    sx_span_start(&s->span, s->tracer, &(sx_span_options){.name = name, .parent = s->parent});
    s->open = true;
}

static void on_phase(void *ctx, geo_phase phase)
{
    start(ctx, NAMES[phase]);
}

void geo_spans_begin(geo_spans *s, sx_request *r)
{
    const sx_span *server = sx_request_span(r);
    s->recorded = sx_span_recording(server);
    s->open = false;
    if (sx_likely(!s->recorded))
        return;
    s->observer = (geo_observer){on_phase, s};
    s->tracer = sx_service_kit(sx_request_service(r))->tracer;
    s->parent = &server->context;
}

const geo_observer *geo_spans_observer(const geo_spans *s)
{
    return s->recorded ? &s->observer : NULL;
}

void geo_spans_candidates(geo_spans *s)
{
    if (s->recorded)
        start(s, NAMES[GEO_PHASE_CANDIDATES]);
}

void geo_spans_format(geo_spans *s)
{
    if (s->recorded)
        start(s, FORMAT);
}

void geo_spans_end(geo_spans *s)
{
    if (s->open)
        sx_span_end(&s->span);
    s->open = false;
}

/* explain.c - see explain.h. */
#include "geocode/search/explain.h"

#include <sextant/clock.h>

#include "geocode/search/searcher.h"

static const char *const STEP_NAMES[GEO_STEPS] = {
    [GEO_STEP_COMMON] = "common words alone",
    [GEO_STEP_MEANINGFUL] = "all meaningful words",
    [GEO_STEP_COMPLETE] = "last word completed",
    [GEO_STEP_FUZZY] = "one letter away",
    [GEO_STEP_RELATIONS] = "words that go together",
    [GEO_STEP_FEWER] = "words left out",
    [GEO_STEP_BETTER] = "better: any of the words",
    [GEO_STEP_BETTER_TYPOS] = "better: two letters away",
    [GEO_STEP_INTERPOLATE] = "better: between house numbers",
};

static int64_t now_ns(void)
{
    return sx_clock_mono_ns(sx_clock_system());
}

void geo_trace_step(geo_trace *trace, geo_step step, uint32_t candidates)
{
    int64_t now = now_ns();
    if (trace->count < GEO_TRACE_STEPS_MAX)
        trace->entries[trace->count++] =
            (geo_trace_entry){STEP_NAMES[step], candidates, now - trace->step_began_ns};
    trace->better_ran = trace->better_ran || step == GEO_STEP_BETTER;
    trace->step_began_ns = now;
}

static void end_phase(geo_trace *trace, int64_t now)
{
    if (trace->phase_began_ns)
        trace->phases_ns[trace->phase] += now - trace->phase_began_ns;
    trace->phase_began_ns = 0;
}

void geo_trace_phase(geo_trace *trace, geo_phase phase)
{
    int64_t now = now_ns();
    end_phase(trace, now);
    trace->phase = phase;
    trace->phase_began_ns = trace->step_began_ns = now;
}

void geo_trace_end(geo_trace *trace)
{
    end_phase(trace, now_ns());
}

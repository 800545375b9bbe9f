/* otlp_env_tracer.c - OTEL_* variables of the tracer, with the specification's meaning. Source:
 * OpenTelemetry specification, "Environment Variable Specification". */
#include <stddef.h>

#include <sextant/otlp.h>

#include "telemetry/otlp_env.h"

static void set_sampler(sx_otlp_env *e, sx_tracer_options *o)
{
    sx_str sampler = sx_otlp_env_get(e, "OTEL_TRACES_SAMPLER");
    sx_str argument = sx_otlp_env_get(e, "OTEL_TRACES_SAMPLER_ARG");
    sx_sampling sampling = {0};
    sx_error err = {0};
    if (sampler.len == 0)
        return;
    if (sx_sampling_parse(sampler, argument, &sampling, &err) == SX_OK) {
        /* Rules are the program's: they go before what the environment says of the rest. */
        sampling.rules = o->sampling.rules;
        sampling.rule_count = o->sampling.rule_count;
        o->sampling = sampling;
    } else {
        sx_otlp_env_warn(e, "OTEL_TRACES_SAMPLER", "%s; ignored", err.message);
    }
}

static void set_propagators(sx_otlp_env *e, sx_tracer_options *o)
{
    static const char NAME[] = "OTEL_PROPAGATORS";
    static const struct {
        sx_str word;
        unsigned bit;
    } WORDS[] = {
        {SX_STR_INIT("tracecontext"), SX_PROPAGATE_W3C},
        {SX_STR_INIT("baggage"), SX_PROPAGATE_BAGGAGE},
        {SX_STR_INIT("b3"), SX_PROPAGATE_B3},
        {SX_STR_INIT("b3multi"), SX_PROPAGATE_B3_MULTI},
        {SX_STR_INIT("jaeger"), SX_PROPAGATE_JAEGER},
        {SX_STR_INIT("none"), SX_PROPAGATE_NONE},
    };
    sx_str rest = sx_otlp_env_get(e, NAME), word;
    unsigned set = 0;
    while (sx_otlp_env_next(&rest, &word)) {
        size_t i = 0;
        while (i < SX_COUNT_OF(WORDS) && !sx_str_ieq(word, WORDS[i].word))
            i++;
        if (i < SX_COUNT_OF(WORDS))
            set |= WORDS[i].bit;
        else
            sx_otlp_env_warn(e, NAME,
                             "'%.*s' is none of tracecontext, baggage, b3, b3multi, jaeger, none; "
                             "ignored",
                             SX_ARG(sx_str_first(word, 40)));
    }
    if (set)
        o->propagators = set == SX_PROPAGATE_NONE ? set : set & ~(unsigned)SX_PROPAGATE_NONE;
}

/* The first of a field's names that is set counts. */
static const struct {
    const char *name;
    size_t at;
} LIMITS[] = {
#define OF(member) offsetof(sx_tracer_options, member)
    {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", OF(attributes_max)},
    {"OTEL_ATTRIBUTE_COUNT_LIMIT", OF(attributes_max)},
    {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", OF(value_bytes_max)},
    {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", OF(value_bytes_max)},
    {"OTEL_SPAN_EVENT_COUNT_LIMIT", OF(events_max)},
    {"OTEL_SPAN_LINK_COUNT_LIMIT", OF(links_max)},
    {"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", OF(event_attributes_max)},
    {"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", OF(event_attributes_max)},
    {"OTEL_ATTRIBUTE_COUNT_LIMIT", OF(event_attributes_max)},
#undef OF
};

sx_status sx_tracer_environment(const char *const *environment, sx_arena *arena,
                                sx_tracer_options *options, sx_buf *warnings, sx_error *err)
{
    sx_otlp_env e = {.environment = environment, .arena = arena, .warnings = warnings};
    size_t set_at = SIZE_MAX;
    set_sampler(&e, options);
    set_propagators(&e, options);
    for (size_t i = 0; i < SX_COUNT_OF(LIMITS); i++)
        if (LIMITS[i].at != set_at &&
            sx_otlp_env_u32(&e, LIMITS[i].name, 1, (uint32_t *)((char *)options + LIMITS[i].at)))
            set_at = LIMITS[i].at;
    return e.failed ? sx_fail_memory(err, "the OTEL_* variables") : SX_OK;
}

/* sampler_parse.c - OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG.
 *
 * Source: OpenTelemetry specification, "Environment Variable Specification", general SDK
 * configuration; rate_limited is ours. Called by sx_tracer_environment and the service's keys. */
#include <sextant/number.h>
#include <sextant/trace.h>

/* What a sampler's argument is. */
typedef enum argument_kind { NO_ARGUMENT, A_RATIO, A_RATE } argument_kind;

static const struct {
    sx_str name;
    bool ignore_parent;
    double ratio;
    argument_kind argument;
} SAMPLERS[] = {
    {SX_STR_INIT("always_on"), true, 1, NO_ARGUMENT},
    {SX_STR_INIT("always_off"), true, 0, NO_ARGUMENT},
    {SX_STR_INIT("traceidratio"), true, 1, A_RATIO},
    {SX_STR_INIT("rate_limited"), true, 1, A_RATE},
    {SX_STR_INIT("parentbased_always_on"), false, 1, NO_ARGUMENT},
    {SX_STR_INIT("parentbased_always_off"), false, 0, NO_ARGUMENT},
    {SX_STR_INIT("parentbased_traceidratio"), false, 1, A_RATIO},
    {SX_STR_INIT("parentbased_rate_limited"), false, 1, A_RATE},
};

/* A decimal as people write it in a shell: ".5" and "1." too. */
static bool read_number(sx_str text, double *out)
{
    char room[64] = "0";
    if (text.len == 0 || text.len > sizeof(room) - 2 || sx_str_eq(text, SX_STR(".")))
        return false;
    memcpy(room + 1, text.data, text.len);
    sx_str padded = sx_str_of(room, text.len + 1);
    if (text.data[0] != '.')
        padded = sx_str_from(padded, 1);
    if (padded.len > 1 && sx_str_ends(padded, SX_STR(".")))
        padded = sx_str_first(padded, padded.len - 1);
    return sx_double_parse(padded, out);
}

sx_status sx_sampling_parse(sx_str sampler, sx_str argument, sx_sampling *out, sx_error *err)
{
    sampler = sx_str_trim(sampler);
    argument = sx_str_trim(argument);
    if (sampler.len == 0)
        sampler = SX_STR("parentbased_always_on");
    size_t i = 0;
    while (i < SX_COUNT_OF(SAMPLERS) && !sx_str_ieq(sampler, SAMPLERS[i].name))
        i++;
    if (i == SX_COUNT_OF(SAMPLERS))
        return sx_fail(err, SX_EINVAL,
                       "there is no sampler '%.*s'; write always_on, always_off, traceidratio or "
                       "rate_limited, or one of these after parentbased_",
                       SX_ARG(sampler));
    sx_sampling made = {
        .ignore_parent = SAMPLERS[i].ignore_parent, .ratio_set = true, .ratio = SAMPLERS[i].ratio};
    if (SAMPLERS[i].argument == A_RATIO && argument.len > 0 &&
        (!read_number(argument, &made.ratio) || !(made.ratio >= 0 && made.ratio <= 1)))
        return sx_fail(err, SX_EINVAL, "'%.*s' is no ratio for the sampler %.*s; write 0 to 1",
                       SX_ARG(argument), SX_ARG(sampler));
    if (SAMPLERS[i].argument == A_RATE &&
        (!read_number(argument, &made.per_second_max) || !(made.per_second_max > 0)))
        return sx_fail(err, SX_EINVAL,
                       "'%.*s' is no rate for the sampler %.*s; write spans a second, above 0",
                       SX_ARG(argument), SX_ARG(sampler));
    *out = made;
    return SX_OK;
}

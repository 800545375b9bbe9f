/* fuzz_sampler.c - a sampler's name and argument are either refused with a message, or settings that
 * a sampler can be made of and that keep all, nothing or a share; a glob agrees with a plain one. */
#include <math.h>

#include "telemetry/sampler.h"

/* The same by recursion; the lengths are bounded by its caller. */
static bool model_fits(sx_str pattern, sx_str text)
{
    if (pattern.len == 0)
        return text.len == 0;
    if (pattern.data[0] == '*')
        return model_fits(sx_str_from(pattern, 1), text) ||
               (text.len > 0 && model_fits(pattern, sx_str_from(text, 1)));
    return text.len > 0 && text.data[0] == pattern.data[0] &&
           model_fits(sx_str_from(pattern, 1), sx_str_from(text, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_str input = sx_str_of(data, size), name, argument;
    sx_sampling made = {.ratio = -7};
    sx_error err = {0};
    sx_str_cut(input, '\n', &name, &argument);
    if (name.len <= 8 && argument.len <= 16)
        sx_assert(sx_glob_fits(name, argument) == model_fits(name, argument));
    if (sx_sampling_parse(name, argument, &made, &err) != SX_OK) {
        sx_assert(err.message[0] != '\0' && made.ratio == -7);
        return 0;
    }
    sx_assert(made.ratio_set && made.ratio >= 0 && made.ratio <= 1);
    sx_assert(made.per_second_max >= 0 && !isnan(made.per_second_max));
    sx_sampler *s;
    sx_assert(sx_sampler_new(&made, &s, NULL) == SX_OK);
    sx_fake_clock clock;
    sx_fake_clock_init(&clock, 0);
    static const uint8_t LOW[SX_TRACE_ID_BYTES] = {0};
    static const uint8_t HIGH[SX_TRACE_ID_BYTES] = {[8 ... 15] = 0xff};
    sx_span_options span = {.name = input};
    bool high = sx_sampler_decide(s, &(sx_sampler_question){HIGH, NULL, &span, &clock.clock});
    sx_assert(high == (made.ratio >= 1));
    sx_fake_clock_advance(&clock, INT32_MAX);
    bool low = sx_sampler_decide(s, &(sx_sampler_question){LOW, NULL, &span, &clock.clock});
    sx_assert(!low || made.ratio > 0);
    sx_sampler_free(s);
    return 0;
}

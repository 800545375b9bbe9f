/* fuzz_otlp_env.c - any environment is read: what is set is an endpoint that the exporter takes, numbers
 * in their bounds, headers that can be walked; what is not is told. Input: the value of one variable and,
 * after a newline, of another. */
#include "telemetry/otlp_send.h"

static const char *const NAMES[] = {
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_PROPAGATORS",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_TRACES_EXPORTER",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    sx_arena arena;
    sx_buf warnings;
    sx_otlp_options otlp = {0};
    sx_tracer_options tracer = {0};
    sx_str first, second;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&warnings, 0);
    sx_str_cut(sx_str_of(data + 2, size - 2), '\n', &first, &second);
    sx_str one =
        sx_arena_printf(&arena, "%s=%.*s", NAMES[data[0] % SX_COUNT_OF(NAMES)], SX_ARG(first));
    sx_str two =
        sx_arena_printf(&arena, "%s=%.*s", NAMES[data[1] % SX_COUNT_OF(NAMES)], SX_ARG(second));
    const char *const environment[] = {one.data, two.data, NULL};
    sx_assert(sx_otlp_environment(environment, &arena, &otlp, &warnings, NULL) == SX_OK);
    sx_assert(sx_tracer_environment(environment, &arena, &tracer, &warnings, NULL) == SX_OK);
    for (int i = 0; i < SX_OTLP_SIGNALS; i++) {
        const sx_otlp_target *t = &otlp.targets[i];
        sx_str rest = t->headers, key, value;
        sx_status st;
        sx_assert(t->endpoint.len == 0 || sx_otlp_endpoint_check(t->endpoint, NULL) == SX_OK);
        sx_assert(t->protocol < SX_OTLP_PROTOCOLS);
        while ((st = sx_otlp_pairs_next(&arena, &rest, &key, &value, NULL)) == SX_OK)
            sx_assert(key.data[key.len] == '\0' && value.data[value.len] == '\0');
        sx_assert(st == SX_END);
    }
    sx_assert(warnings.len == 0 || warnings.data[warnings.len - 1] == '\n');
    sx_buf_done(&warnings);
    sx_arena_done(&arena);
    return 0;
}

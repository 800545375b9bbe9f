/* fuzz_otlp_json.c - any bytes, taken as any of OTLP's messages, are told as JSON that a strict reader
 * takes whole, or refused with a message. */
#include "telemetry/otlp_json.h"

static const sx_otlp_schema *const SCHEMAS[] = {
    &sx_otlp_traces_data, &sx_otlp_logs_data, &sx_otlp_metrics_data,
    &sx_otlp_span,        &sx_otlp_metric,    &sx_otlp_key_value,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    sx_buf out;
    sx_json_writer w;
    sx_error err = {0};
    sx_buf_init(&out, 0);
    sx_json_writer_init(&w, &out, NULL);
    sx_status st = sx_otlp_json_write(SCHEMAS[data[0] % SX_COUNT_OF(SCHEMAS)],
                                      sx_str_of(data + 1, size - 1), &w, &err);
    if (st != SX_OK) {
        sx_assert(err.message[0] != '\0');
    } else {
        sx_arena arena;
        sx_json r;
        sx_arena_init(&arena, 0, 0);
        sx_json_init(&r, sx_buf_view(&out),
                     &(sx_json_options){.arena = &arena, .depth_max = SX_JSON_DEPTH_MOST});
        sx_assert(sx_json_skip(&r) && sx_json_finish(&r, NULL) == SX_OK);
        sx_arena_done(&arena);
    }
    sx_buf_done(&out);
    return 0;
}

/* fuzz_otlp_json.c - any bytes, taken as any of OTLP's messages, are told as JSON that reads back as a
 * message with the same JSON, or are refused with a message. The same bytes, taken as JSON, are read or
 * refused; what was read can be told. */
#include "telemetry/otlp_json.h"

static const sx_otlp_schema *const SCHEMAS[] = {
    &sx_otlp_traces_data, &sx_otlp_logs_data, &sx_otlp_metrics_data,
    &sx_otlp_span,        &sx_otlp_metric,    &sx_otlp_key_value,
};

static sx_status tell(const sx_otlp_schema *schema, sx_str bytes, sx_buf *out, sx_error *err)
{
    sx_json_writer w;
    sx_buf_clear(out);
    sx_json_writer_init(&w, out, NULL);
    return sx_otlp_json_write(schema, bytes, &w, err);
}

static sx_status read_json(const sx_otlp_schema *schema, sx_str json, sx_buf *out, sx_error *err)
{
    sx_arena arena;
    sx_json r;
    sx_buf_clear(out);
    sx_arena_init(&arena, 0, 0);
    sx_json_init(&r, json, &(sx_json_options){.arena = &arena, .depth_max = SX_JSON_DEPTH_MOST});
    sx_status st = sx_otlp_json_read(schema, &r, out, err);
    if (st == SX_OK)
        st = sx_json_finish(&r, err);
    sx_arena_done(&arena);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const sx_otlp_schema *schema = SCHEMAS[data[0] % SX_COUNT_OF(SCHEMAS)];
    sx_str input = sx_str_of(data + 1, size - 1);
    sx_buf first, bytes, again;
    sx_error err = {0};
    sx_buf_init(&first, 0);
    sx_buf_init(&bytes, 0);
    sx_buf_init(&again, 0);
    if (tell(schema, input, &first, &err) == SX_OK) {
        sx_assert(read_json(schema, sx_buf_view(&first), &bytes, &err) == SX_OK);
        sx_assert(tell(schema, sx_buf_view(&bytes), &again, &err) == SX_OK);
        sx_assert(sx_str_eq(sx_buf_view(&first), sx_buf_view(&again)));
    } else {
        sx_assert(err.message[0] != '\0');
    }
    err.message[0] = '\0';
    if (read_json(schema, input, &bytes, &err) == SX_OK) {
        /* JSON may be nested deeper than protobuf is read: that alone may be refused. */
        sx_status st = tell(schema, sx_buf_view(&bytes), &again, &err);
        sx_assert(st == SX_OK || st == SX_ELIMIT);
    } else {
        sx_assert(err.message[0] != '\0');
    }
    sx_buf_done(&first);
    sx_buf_done(&bytes);
    sx_buf_done(&again);
    return 0;
}

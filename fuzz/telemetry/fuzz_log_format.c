/* fuzz_log_format.c - a record with any bytes in its values is one line of strict JSON, or is not
 * written at all. */
#include <sextant/json.h>

#include "telemetry/log_lane.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char out[SX_LOG_CHUNK_BYTES];
    sx_str input = sx_str_of(data, size), message, rest, value, id;
    sx_str_cut(input, '|', &message, &rest);
    sx_str_cut(rest, '|', &value, &id);
    struct sx_log log = {.service = value};
    sx_log_lane lane = {.second = INT64_MIN};
    sx_log_context context = {.request_id = id, .trace_id = value};
    sx_field fields[] = {sx_field_str("v", value), sx_field_i64("n", (int64_t)size - 9)};
    sx_logger logger = {.log = &log, .name = message};
    sx_log_record r = {.log = &log,
                       .logger = &logger,
                       .level = SX_LEVEL_WARN,
                       .wall_ns = (int64_t)size * 1000003,
                       .context = &context,
                       .message = message,
                       .fields = fields,
                       .count = 2,
                       .value_bytes_max = 512};
    size_t len = sx_log_format(&lane, &r, out, sizeof(out) / (1 + size % 3));
    if (len == 0)
        return 0;
    sx_assert(out[len - 1] == '\n');
    for (size_t i = 0; i + 1 < len; i++)
        sx_assert(out[i] != '\n');
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_json reader;
    sx_str key, number;
    sx_json_init(&reader, sx_str_of(out, len - 1), &(sx_json_options){.arena = &arena});
    bool seen = false;
    sx_assert(sx_json_enter_object(&reader));
    while (sx_json_next_key(&reader, &key)) {
        if (sx_str_eq(key, SX_STR("n")))
            seen = sx_json_read_number(&reader, &number);
        else
            sx_assert(sx_json_skip(&reader));
    }
    sx_assert(sx_json_finish(&reader, NULL) == SX_OK && seen);

    log.console = true; /* a terminal obeys control characters: none but the last newline */
    len = sx_log_format(&lane, &r, out, sizeof(out));
    for (size_t i = 0; i + 1 < len; i++)
        sx_assert((unsigned char)out[i] >= 0x20 && out[i] != 0x7f);
    sx_arena_done(&arena);
    return 0;
}

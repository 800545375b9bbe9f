/* fuzz_log_otlp.c - a record with any bytes in its values is a LogRecord that a strict receiver takes:
 * well-formed protobuf, every text UTF-8, within the room that was asked for. */
#include <sextant/protobuf.h>
#include <sextant/utf8.h>

#include "telemetry/log_lane.h"
#include "telemetry/otlp_sink.h"

static char room[SX_OTLP_RECORD_MAX];
static size_t asked, committed;

char *sx_otlp_room(sx_otlp *otlp, sx_otlp_signal signal, size_t bytes)
{
    (void)otlp;
    (void)signal;
    asked = bytes;
    return bytes <= sizeof(room) ? room : NULL;
}

void sx_otlp_commit(sx_otlp *otlp, sx_otlp_signal signal, size_t bytes)
{
    (void)otlp;
    (void)signal;
    sx_assert(bytes <= asked);
    committed = bytes;
}

/* AnyValue, KeyValue and their lists have one shape: texts in field 1, messages in the others. */
static void check_value(sx_pb_reader *r, bool key_value, int depth)
{
    sx_assert(depth < 64);
    while (sx_pb_next(r)) {
        uint32_t field = sx_pb_field(r);
        if (sx_pb_wire_of(r) != SX_PB_BYTES) {
            sx_pb_skip(r);
        } else if (field == 1) {
            sx_assert(sx_utf8_valid(sx_pb_bytes(r)));
        } else if (key_value) {
            sx_pb_outer outer = sx_pb_enter(r);
            check_value(r, false, depth + 1);
            sx_pb_leave(r, outer);
        } else { /* array or object: its items stand in field 1 of the list */
            sx_pb_skip(r);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_str input = sx_str_of(data, size), message, rest, value, json;
    sx_str_cut(input, '|', &message, &rest);
    sx_str_cut(rest, '|', &value, &json);
    struct sx_log log = {.console = false};
    sx_logger logger = {.log = &log, .name = sx_str_first(value, 40)};
    sx_log_context context = {.request_id = value, .trace_id = message, .span_id = json};
    sx_field fields[] = {sx_field_str("v", value), sx_field_json("j", json),
                         sx_field_u64("n", UINT64_MAX - size)};
    sx_log_record r = {.log = &log,
                       .logger = &logger,
                       .level = SX_LEVEL_WARN,
                       .wall_ns = (int64_t)size * 1000003,
                       .context = &context,
                       .message = message,
                       .fields = fields,
                       .count = SX_COUNT_OF(fields)};
    committed = 0;
    sx_log_export(NULL, &r);
    sx_assert(committed > 0);
    sx_pb_reader reader;
    sx_pb_init(&reader, sx_str_of(room, committed));
    while (sx_pb_next(&reader)) {
        uint32_t field = sx_pb_field(&reader);
        if (field != 5 && field != 6) {
            sx_pb_skip(&reader);
            continue;
        }
        sx_pb_outer outer = sx_pb_enter(&reader);
        check_value(&reader, field == 6, 0);
        sx_pb_leave(&reader, outer);
    }
    sx_assert(sx_pb_status(&reader, "a record", NULL) == SX_OK);
    return 0;
}

/* test_log_otlp.c - records as OTLP LogRecords, taken from the lane by a stand-in for the exporter. */
#include "tests/unit/telemetry/log_fixture.h"

#include <math.h>

#include <sextant/context.h>
#include <sextant/otlp.h>
#include <sextant/protobuf.h>
#include <sextant/utf8.h>

#include "telemetry/otlp_sink.h"

/* The exporter's side: keeps the last record and counts them. */
static struct {
    char room[SX_OTLP_RECORD_MAX];
    size_t asked, len, records;
    bool full;
} sink;

char *sx_otlp_room(sx_otlp *otlp, sx_otlp_signal signal, size_t bytes)
{
    (void)otlp;
    assert_int_equal(signal, SX_OTLP_LOGS);
    sink.asked = bytes;
    return bytes > sizeof(sink.room) || sink.full ? NULL : sink.room;
}

void sx_otlp_commit(sx_otlp *otlp, sx_otlp_signal signal, size_t bytes)
{
    (void)otlp;
    (void)signal;
    assert_true(bytes <= sink.asked);
    sink.len = bytes;
    sink.records += bytes > 0;
}

bool sx_otlp_wants(const sx_otlp *otlp, sx_otlp_signal signal)
{
    (void)otlp;
    return signal == SX_OTLP_LOGS;
}

/* Never looked into: it only has to be somebody. */
static char somebody;

static void export_to_sink(fixture *f, sx_log_options o)
{
    sink.records = sink.len = 0;
    sink.full = false;
    open_log(f, o);
    sx_log_otlp(f->log, (sx_otlp *)(void *)&somebody);
}

typedef struct record {
    uint64_t time, observed, severity, flags;
    sx_str severity_text, body, trace_id, span_id;
    size_t attributes;
    sx_str keys[16], texts[16];
    int64_t numbers[16];
} record;

/* The text or number of an AnyValue that the reader is inside of. */
static void read_any(sx_pb_reader *r, sx_str *text, int64_t *number)
{
    while (sx_pb_next(r)) {
        if (sx_pb_field(r) == 1) {
            *text = sx_pb_bytes(r);
            assert_true(sx_utf8_valid(*text));
        } else if (sx_pb_field(r) == 3 || sx_pb_field(r) == 2) {
            *number = sx_pb_i64(r);
        } else {
            *text = SX_STR("?");
            sx_pb_skip(r);
        }
    }
}

static void read_attribute(sx_pb_reader *r, record *out)
{
    size_t i = out->attributes++;
    assert_true(i < SX_COUNT_OF(out->keys));
    while (sx_pb_next(r)) {
        if (sx_pb_field(r) == 1) {
            out->keys[i] = sx_pb_bytes(r);
            continue;
        }
        sx_pb_outer outer = sx_pb_enter(r);
        read_any(r, &out->texts[i], &out->numbers[i]);
        sx_pb_leave(r, outer);
    }
}

static record last_record(void)
{
    record out = {0};
    int64_t unused;
    sx_pb_reader r;
    sx_pb_init(&r, sx_str_of(sink.room, sink.len));
    while (sx_pb_next(&r)) {
        sx_pb_outer outer;
        switch (sx_pb_field(&r)) {
        case 1:
            out.time = sx_pb_fixed64(&r);
            break;
        case 2:
            out.severity = sx_pb_varint(&r);
            break;
        case 3:
            out.severity_text = sx_pb_bytes(&r);
            break;
        case 5:
            outer = sx_pb_enter(&r);
            read_any(&r, &out.body, &unused);
            sx_pb_leave(&r, outer);
            break;
        case 6:
            outer = sx_pb_enter(&r);
            read_attribute(&r, &out);
            sx_pb_leave(&r, outer);
            break;
        case 8:
            out.flags = sx_pb_fixed32(&r);
            break;
        case 9:
            out.trace_id = sx_pb_bytes(&r);
            break;
        case 10:
            out.span_id = sx_pb_bytes(&r);
            break;
        case 11:
            out.observed = sx_pb_fixed64(&r);
            break;
        default:
            fail_msg("field %u is none of LogRecord's", sx_pb_field(&r));
        }
    }
    assert_int_equal(sx_pb_status(&r, "the record", NULL), SX_OK);
    return out;
}

#define assert_str(view, literal) assert_true(sx_str_eq(view, SX_STR(literal)))

static void test_a_record_has_its_time_severity_body_and_ids(void **state)
{
    fixture *f = *state;
    export_to_sink(f, (sx_log_options){0});
    sx_context c = {.request_id = SX_STR("r-1")};
    memset(c.span.trace_id, 0xab, sizeof(c.span.trace_id));
    memset(c.span.span_id, 0xcd, sizeof(c.span.span_id));
    c.span.flags = SX_TRACE_SAMPLED;
    const sx_context *outer = sx_context_enter(&c);
    SX_LOG_ERROR(sx_log_logger(f->log, "net"), NULL, "no answer", sx_field_z("peer", "db"),
                 sx_field_i64("tries", -3), sx_field_bool("last", true));
    sx_context_leave(outer);
    record r = last_record();
    uint8_t trace[16], span[8];
    memset(trace, 0xab, sizeof(trace));
    memset(span, 0xcd, sizeof(span));
    assert_int_equal(r.time, START_S * UINT64_C(1000000000) + 123000000);
    assert_int_equal(r.observed, r.time);
    assert_int_equal(r.severity, 17);
    assert_str(r.severity_text, "ERROR");
    assert_str(r.body, "no answer");
    assert_int_equal(r.flags, 1);
    assert_true(sx_str_eq(r.trace_id, sx_str_of(trace, 16)));
    assert_true(sx_str_eq(r.span_id, sx_str_of(span, 8)));
    assert_int_equal(r.attributes, 5);
    assert_str(r.keys[0], "logger");
    assert_str(r.texts[0], "net");
    assert_str(r.keys[1], "request_id");
    assert_str(r.texts[1], "r-1");
    assert_str(r.keys[2], "peer");
    assert_str(r.texts[2], "db");
    assert_str(r.keys[3], "tries");
    assert_int_equal(r.numbers[3], -3);
    assert_int_equal(r.numbers[4], 1);
}

static void test_ids_that_are_none_are_left_out(void **state)
{
    fixture *f = *state;
    export_to_sink(f, (sx_log_options){0});
    sx_log_context odd = {.trace_id = SX_STR("550e8400-e29b-41d4-a716-446655440000"),
                          .span_id = SX_STR("7f2a1b3c")};
    SX_LOG_INFO(sx_log_logger(f->log, ""), &odd, "x");
    assert_int_equal(last_record().trace_id.len, 0);
    assert_int_equal(last_record().span_id.len, 0);
}

static void test_the_exporter_has_a_level_of_its_own(void **state)
{
    fixture *f = *state;
    export_to_sink(f, (sx_log_options){.level = SX_LEVEL_WARN, .otlp_level = SX_LEVEL_DEBUG});
    sx_logger *l = sx_log_logger(f->log, ""), *quiet = sx_log_logger(f->log, "quiet");
    SX_LOG_TRACE(l, NULL, "nowhere");
    assert_int_equal(sink.records, 0);
    SX_LOG_DEBUG(l, NULL, "exported alone");
    SX_LOG_WARN(l, NULL, "both");
    assert_int_equal(sink.records, 2);
    assert_int_equal(sx_log_level_set(f->log, "quiet", SX_LEVEL_OFF, NULL), SX_OK);
    SX_LOG_FATAL(quiet, NULL, "says nothing to anybody");
    assert_int_equal(sink.records, 2);
    written(f);
    assert_int_equal(count_of(f, "\n"), 1);
    assert_int_equal(count_of(f, "both"), 1);
    sx_log_otlp(f->log, NULL);
    assert_false(sx_logger_enabled(l, SX_LEVEL_INFO));
    SX_LOG_WARN(l, NULL, "written alone");
    assert_int_equal(sink.records, 2);
}

static void test_it_may_also_be_higher(void **state)
{
    fixture *f = *state;
    export_to_sink(f, (sx_log_options){.otlp_level = SX_LEVEL_ERROR});
    SX_LOG_WARN(sx_log_logger(f->log, ""), NULL, "written alone");
    assert_int_equal(sink.records, 0);
    SX_LOG_ERROR(sx_log_logger(f->log, ""), NULL, "both");
    assert_int_equal(sink.records, 1);
    written(f);
    assert_int_equal(count_of(f, "\n"), 2);
}

static void test_repeats_are_held_back_here_too(void **state)
{
    fixture *f = *state;
    export_to_sink(f, (sx_log_options){.repeats_max = 2});
    for (int i = 0; i < 10; i++)
        SX_LOG_WARN(sx_log_logger(f->log, "net"), NULL, "slow");
    assert_int_equal(sink.records, 2);
    sx_fake_clock_advance(&f->clock, 5000);
    written(f);
    assert_int_equal(sink.records, 3);
    record r = last_record();
    assert_str(r.body, "slow (repeated)");
    assert_str(r.keys[1], "repeats");
    assert_int_equal(r.numbers[1], 8);
}

static void test_access_lines_leave_if_asked_for(void **state)
{
    fixture *f = *state;
    sx_access a = {.method = SX_STR("GET"),
                   .path = SX_STR("/x"),
                   .route = SX_STR("/:id"),
                   .status = 404,
                   .duration_ns = 1500000,
                   .client = SX_STR("::1"),
                   .trace_flags = SX_TRACE_SAMPLED,
                   .context = {.trace_id = SX_STR("abababababababababababababababab")}};
    export_to_sink(f, (sx_log_options){0});
    sx_log_access(f->log, &a);
    assert_int_equal(sink.records, 0);
    sx_log_free(f->log);
    export_to_sink(f, (sx_log_options){.otlp_access = true});
    sx_log_access(f->log, &a);
    assert_int_equal(sink.records, 1);
    record r = last_record();
    assert_str(r.body, "request");
    assert_int_equal(r.flags, 1);
    assert_int_equal(r.trace_id.len, 16);
    assert_str(r.keys[3], "status");
    assert_int_equal(r.numbers[3], 404);
    sx_log_turn_end(f->log);
    written(f);
    assert_int_equal(count_of(f, "\"status\":404"), 2);
}

/* Whatever bytes and sizes: what is committed is a record, within what was asked for. */
static void test_any_bytes_of_any_length_give_a_valid_record(void **state)
{
    fixture *f = *state;
    export_to_sink(f, (sx_log_options){.repeats_max = SX_LOG_REPEATS_ALL});
    sx_logger *l = sx_log_logger(f->log, "");
    static char value[200000];
    static const size_t LENGTHS[] = {0, 1, 63, 64, 65, 1023, 1025, 8191, 8193, 70000, 200000};
    for (int byte = 0; byte < 256; byte += 51) {
        memset(value, byte, sizeof(value));
        for (size_t i = 0; i < SX_COUNT_OF(LENGTHS); i++) {
            sx_str s = sx_str_of(value, LENGTHS[i]);
            SX_LOG_INFO(l, NULL, "m", sx_field_str("a", s), sx_field_str("b", s),
                        sx_field_json("c", s), sx_field_double("d", NAN));
            assert_true(sink.len > 0);
            assert_int_equal(last_record().attributes, 4);
        }
    }
}

static void test_many_long_fields_are_cut_to_fit(void **state)
{
    fixture *f = *state;
    export_to_sink(f, (sx_log_options){0});
    static char value[9000];
    memset(value, 'x', sizeof(value));
    sx_field fields[14];
    for (size_t i = 0; i < SX_COUNT_OF(fields); i++)
        fields[i] = sx_field_str("f", sx_str_of(value, sizeof(value)));
    sx_log_write(sx_log_logger(f->log, ""), SX_LEVEL_INFO, NULL, SX_STR("m"), fields, 14);
    record r = last_record();
    assert_int_equal(r.attributes, 14);
    assert_int_equal(r.texts[13].len, 1024);
}

static void test_a_full_lane_holds_nobody_up(void **state)
{
    fixture *f = *state;
    export_to_sink(f, (sx_log_options){0});
    sink.full = true;
    SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, "written alone");
    assert_int_equal(sink.records, 0);
    written(f);
    assert_int_equal(count_of(f, "written alone"), 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_a_record_has_its_time_severity_body_and_ids),
        CASE(test_ids_that_are_none_are_left_out),
        CASE(test_the_exporter_has_a_level_of_its_own),
        CASE(test_it_may_also_be_higher),
        CASE(test_repeats_are_held_back_here_too),
        CASE(test_access_lines_leave_if_asked_for),
        CASE(test_any_bytes_of_any_length_give_a_valid_record),
        CASE(test_many_long_fields_are_cut_to_fit),
        CASE(test_a_full_lane_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

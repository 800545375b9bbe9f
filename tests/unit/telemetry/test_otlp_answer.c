/* test_otlp_answer.c - what receivers' answers mean, also those that make no sense. */
#include "tests/unit/base/cmocka_all.h"

#include <sextant/grpc.h>
#include <sextant/protobuf.h>

#include "telemetry/otlp_answer.h"
#include "codec/base64.h"

/* 2024-01-15T10:30:00Z */
#define NOW_NS INT64_C(1705314600000000000)

static sx_otlp_answer http(int status, const char *type, const char *retry_after, sx_str body)
{
    sx_otlp_answer out;
    sx_otlp_http_answer in = {.status = status,
                              .content_type = sx_str_z(type),
                              .retry_after = sx_str_z(retry_after),
                              .body = body,
                              .now_wall_ns = NOW_NS};
    sx_otlp_answer_http(&in, &out);
    return out;
}

static void test_the_specifications_statuses_are_tried_again(void **state)
{
    (void)state;
    for (int status = 100; status < 600; status++) {
        sx_otlp_answer a = http(status, "", "", SX_STR(""));
        bool later = status == 429 || status == 502 || status == 503 || status == 504;
        bool taken = status >= 200 && status < 300;
        assert_int_equal(a.verdict, taken   ? SX_OTLP_TAKEN
                                    : later ? SX_OTLP_LATER
                                            : SX_OTLP_REFUSED);
        assert_true(taken || strstr(a.text, "it answered"));
    }
}

static void test_retry_after_is_seconds_or_a_date(void **state)
{
    static const struct {
        const char *text;
        int64_t wait_ms;
    } ROWS[] = {
        {"0", 0},
        {"7", 7000},
        {" 120 ", 120000},
        {"99999999999999999999", 0},
        {"9999999999", 86400000},
        {"-5", 0},
        {"1.5", 0},
        {"Mon, 15 Jan 2024 10:30:09 GMT", 9000},
        {"Mon, 15 Jan 2024 10:29:00 GMT", 0},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 86400000},
        {"soon", 0},
        {"", 0},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        assert_int_equal(http(503, "", ROWS[i].text, SX_STR("")).wait_ms, ROWS[i].wait_ms);
        assert_int_equal(http(400, "", ROWS[i].text, SX_STR("")).wait_ms, 0);
    }
}

static void put_partial(sx_buf *b, int64_t rejected, sx_str message)
{
    size_t mark = sx_pb_begin(b, 1);
    sx_pb_put_i64(b, 1, rejected);
    sx_pb_put_str(b, 2, message);
    sx_pb_end(b, mark);
}

static void test_partial_success_is_read_in_both_encodings(void **state)
{
    sx_buf b;
    (void)state;
    sx_buf_init(&b, 0);
    put_partial(&b, 7, SX_STR("too old\nand \xff wild"));
    sx_otlp_answer a = http(200, "application/x-protobuf", "", sx_buf_view(&b));
    assert_int_equal(a.rejected, 7);
    assert_string_equal(a.text, "it rejected 7: too old and   wild");
    static const char *const JSON[] = {
        "{\"partialSuccess\":{\"rejectedSpans\":\"7\",\"errorMessage\":\"too old\"}}",
        "{ \"partialSuccess\" : {\"other\":[1], \"errorMessage\":\"too old\","
        "\"rejectedLogRecords\": 7}, \"x\": null}",
    };
    for (size_t i = 0; i < SX_COUNT_OF(JSON); i++) {
        a = http(200, "Application/JSON; charset=utf-8", "", sx_str_z(JSON[i]));
        assert_int_equal(a.verdict, SX_OTLP_TAKEN);
        assert_int_equal(a.rejected, 7);
        assert_string_equal(a.text, "it rejected 7: too old");
    }
    sx_buf_clear(&b);
    put_partial(&b, 0, SX_STR("mind the gap"));
    assert_string_equal(http(200, "application/x-protobuf", "", sx_buf_view(&b)).text,
                        "it says: mind the gap");
    sx_buf_clear(&b);
    put_partial(&b, -1, SX_STR(""));
    a = http(200, "application/x-protobuf", "", sx_buf_view(&b));
    assert_int_equal(a.rejected, 0);
    assert_string_equal(a.text, "");
    sx_buf_done(&b);
}

static void test_an_unreadable_success_is_told_but_taken(void **state)
{
    static const struct {
        const char *type;
        const char *body;
        bool told;
    } ROWS[] = {
        {"application/json", "{\"partialSuccess\":", true},
        {"application/json", "[]", true},
        {"application/json", "{}", false},
        {"application/json", "{\"partialSuccess\":null}", false},
        {"application/x-protobuf", "\x0a\x7f", true},
        {"application/x-protobuf", "", false},
        {"text/html", "<html>", true},
        {"text/plain", "ok", false},
        {"", "ok", false},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_otlp_answer a = http(200, ROWS[i].type, "", sx_str_z(ROWS[i].body));
        assert_int_equal(a.verdict, SX_OTLP_TAKEN);
        assert_int_equal(strstr(a.text, "no OTLP response") != NULL, ROWS[i].told);
    }
}

static void test_a_status_in_the_body_is_shown(void **state)
{
    sx_buf b;
    (void)state;
    sx_buf_init(&b, 0);
    sx_pb_put_u64(&b, 1, 3);
    sx_pb_put_str(&b, 2, SX_STR("span 4 has no name"));
    sx_otlp_answer a = http(400, "application/x-protobuf", "", sx_buf_view(&b));
    assert_string_equal(a.text, "it answered 400: span 4 has no name");
    for (size_t cut = 0; cut < b.len; cut++) { /* any part of it */
        a = http(400, "application/x-protobuf", "", sx_str_first(sx_buf_view(&b), cut));
        assert_int_equal(a.verdict, SX_OTLP_REFUSED);
    }
    sx_buf_done(&b);
}

/* google.rpc.Status with a RetryInfo of that many seconds and nanoseconds, in base64. */
static void put_details(sx_buf *out, int64_t seconds, int64_t nanos)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    sx_pb_put_u64(&b, 1, 8);
    size_t other = sx_pb_begin(&b, 3);
    sx_pb_put_str(&b, 1, SX_STR("type.googleapis.com/google.rpc.DebugInfo"));
    sx_pb_end(&b, other);
    size_t any = sx_pb_begin(&b, 3);
    sx_pb_put_str(&b, 1, SX_STR("type.googleapis.com/google.rpc.RetryInfo"));
    size_t value = sx_pb_begin(&b, 2);
    size_t delay = sx_pb_begin(&b, 1);
    sx_pb_put_i64(&b, 1, seconds);
    sx_pb_put_i64(&b, 2, nanos);
    sx_pb_end(&b, delay);
    sx_pb_end(&b, value);
    sx_pb_end(&b, any);
    sx_buf_clear(out);
    sx_base64_encode(sx_buf_view(&b), out);
    sx_buf_done(&b);
}

static sx_otlp_answer grpc(int status, sx_str details)
{
    sx_otlp_answer out;
    sx_otlp_grpc_answer in = {.status = status, .message = SX_STR("why"), .details = details};
    sx_otlp_answer_grpc(&in, &out);
    return out;
}

static void test_grpc_statuses_are_the_specifications(void **state)
{
    (void)state;
    for (int status = 0; status <= 16; status++) {
        bool later = status == SX_GRPC_CANCELLED || status == SX_GRPC_DEADLINE_EXCEEDED ||
                     status == SX_GRPC_ABORTED || status == SX_GRPC_OUT_OF_RANGE ||
                     status == SX_GRPC_UNAVAILABLE || status == SX_GRPC_DATA_LOSS;
        sx_otlp_answer a = grpc(status, SX_STR(""));
        assert_int_equal(a.verdict, status == 0 ? SX_OTLP_TAKEN
                                    : later     ? SX_OTLP_LATER
                                                : SX_OTLP_REFUSED);
        assert_int_equal(a.wait_ms, 0);
    }
    assert_string_equal(grpc(SX_GRPC_INTERNAL, SX_STR("")).text, "it answered INTERNAL: why");
    assert_int_equal(grpc(99, SX_STR("")).verdict, SX_OTLP_REFUSED);
    assert_int_equal(grpc(-1, SX_STR("")).verdict, SX_OTLP_REFUSED);
}

static void test_retry_info_says_when(void **state)
{
    sx_buf b;
    (void)state;
    sx_buf_init(&b, 0);
    put_details(&b, 2, 500000001);
    sx_otlp_answer a = grpc(SX_GRPC_RESOURCE_EXHAUSTED, sx_buf_view(&b));
    assert_int_equal(a.verdict, SX_OTLP_LATER);
    assert_int_equal(a.wait_ms, 2501);
    assert_int_equal(grpc(SX_GRPC_UNAVAILABLE, sx_buf_view(&b)).wait_ms, 2501);
    assert_int_equal(grpc(SX_GRPC_INTERNAL, sx_buf_view(&b)).verdict, SX_OTLP_REFUSED);
    sx_str whole = sx_buf_view(&b);
    for (size_t cut = 0; cut < whole.len; cut++) /* any part of it: bounded, whatever it says */
        assert_in_range(grpc(SX_GRPC_RESOURCE_EXHAUSTED, sx_str_first(whole, cut)).wait_ms, 0,
                        2501);
    put_details(&b, INT64_MAX, 0);
    assert_int_equal(grpc(SX_GRPC_UNAVAILABLE, sx_buf_view(&b)).wait_ms, 86400000);
    put_details(&b, -5, 0);
    assert_int_equal(grpc(SX_GRPC_UNAVAILABLE, sx_buf_view(&b)).wait_ms, 0);
    put_details(&b, 0, 0); /* now is a time, too */
    assert_int_equal(grpc(SX_GRPC_RESOURCE_EXHAUSTED, sx_buf_view(&b)).verdict, SX_OTLP_LATER);
    sx_buf_done(&b);
}

static void test_base64_goes_both_ways(void **state)
{
    static const char *const ROWS[][2] = {/* RFC 4648, section 10 */
                                          {"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"}};
    static const char *const BAD[] = {"Z", "Zg=x", "Zm9vY", "Zm 9v", "Zh", "====", "Zm9=v"};
    sx_buf b;
    (void)state;
    sx_buf_init(&b, 0);
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_str plain = sx_str_z(ROWS[i][0]), coded = sx_str_z(ROWS[i][1]);
        sx_buf_clear(&b);
        sx_base64_encode(plain, &b);
        assert_true(sx_str_eq(sx_buf_view(&b), coded));
        sx_buf_clear(&b);
        assert_true(sx_base64_decode(coded, &b));
        assert_true(sx_str_eq(sx_buf_view(&b), plain));
        while (coded.len && coded.data[coded.len - 1] == '=')
            coded.len--;
        sx_buf_clear(&b);
        assert_true(sx_base64_decode(coded, &b));
        assert_true(sx_str_eq(sx_buf_view(&b), plain));
    }
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++)
        assert_false(sx_base64_decode(sx_str_z(BAD[i]), &b));
    sx_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_specifications_statuses_are_tried_again),
        cmocka_unit_test(test_retry_after_is_seconds_or_a_date),
        cmocka_unit_test(test_partial_success_is_read_in_both_encodings),
        cmocka_unit_test(test_an_unreadable_success_is_told_but_taken),
        cmocka_unit_test(test_a_status_in_the_body_is_shown),
        cmocka_unit_test(test_grpc_statuses_are_the_specifications),
        cmocka_unit_test(test_retry_info_says_when),
        cmocka_unit_test(test_base64_goes_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_exporter_http.c - what receivers of OTLP answer: partial success, waits, refusals. */
#include "tests/unit/observe/collector/export_fixture.h"

#include <sextant/protobuf.h>

static void put_status(sx_buf *b, const char *type, int64_t seconds, int64_t nanos)
{
    sx_pb_put_u64(b, 1, 8);
    sx_pb_put_str(b, 2, SX_STR("slow down"));
    size_t any = sx_pb_begin(b, 3);
    sx_pb_put_str(b, 1, sx_str_z(type));
    size_t value = sx_pb_begin(b, 2);
    size_t delay = sx_pb_begin(b, 1);
    sx_pb_put_i64(b, 1, seconds);
    sx_pb_put_i64(b, 2, nanos);
    sx_pb_end(b, delay);
    sx_pb_end(b, value);
    sx_pb_end(b, any);
}

static int64_t wait_of(const char *type, int64_t seconds, int64_t nanos)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    put_status(&b, type, seconds, nanos);
    int64_t ms = export_retry_info_ms(sx_buf_view(&b));
    sx_buf_done(&b);
    return ms;
}

static void test_retry_info_says_how_long(void **state)
{
    (void)state;
    assert_int_equal(wait_of("type.googleapis.com/google.rpc.RetryInfo", 2, 500000001), 2501);
    assert_int_equal(wait_of("type.googleapis.com/google.rpc.RetryInfo", 0, 0), 1);
    assert_int_equal(wait_of("type.googleapis.com/google.rpc.RetryInfo", -5, 0), 1);
    assert_int_equal(wait_of("type.googleapis.com/google.rpc.RetryInfo", INT64_MAX, 0), 1);
    assert_int_equal(wait_of("type.googleapis.com/google.rpc.Help", 2, 0), 0);
    assert_int_equal(export_retry_info_ms(SX_STR("\xff\xff\xff")), 0);
}

static void test_retry_info_cut_anywhere(void **state)
{
    sx_buf b;
    (void)state;
    sx_buf_init(&b, 0);
    put_status(&b, "type.googleapis.com/google.rpc.RetryInfo", 2, 0);
    for (size_t len = 0; len < b.len; len++) {
        char *copy = sx_alloc(len + 1);
        memcpy(copy, b.data, len);
        int64_t ms = export_retry_info_ms(sx_str_of(copy, len));
        assert_true(ms >= 0 && ms <= 86400000);
        sx_free(copy);
    }
    sx_buf_done(&b);
}

static void test_partial_success(void **state)
{
    char why[EXPORT_WHY_BYTES];
    (void)state;
    assert_int_equal(export_partial(SX_STR("\x0a\x06\x08\x03\x12\x02no"), false, why), 3);
    assert_string_equal(why, "no");
    assert_int_equal(export_partial(SX_STR(""), false, why), 0);
    assert_int_equal(export_partial(SX_STR("\x0a\x09"), false, why), 0);
    assert_int_equal(
        export_partial(
            SX_STR("{\"partialSuccess\":{\"rejectedSpans\":\"4\",\"errorMessage\":\"x\"}}"), true,
            why),
        4);
    assert_string_equal(why, "x");
    assert_int_equal(
        export_partial(SX_STR("{\"partialSuccess\":{\"rejectedSpans\":5}}"), true, why), 5);
    assert_int_equal(export_partial(SX_STR("{}"), true, why), 0);
    assert_int_equal(export_partial(SX_STR("{\"partialSuccess\":null}"), true, why), 0);
    assert_int_equal(export_partial(SX_STR("{\"partialSuccess\":{\"rejec"), true, why), 0);
}

static void assert_refused(const exporter_settings *s, const char *why)
{
    span_exporter *e;
    sx_error err;
    assert_int_equal(export_make(s, NULL, NULL, false, &e, &err), SX_EINVAL);
    if (!strstr(err.message, why) || !strstr(err.message, "(line 7)"))
        fail_msg("'%s' does not say '%s'", err.message, why);
}

static void test_settings_without_sense_are_named(void **state)
{
    exporter_settings s = {.id = {SX_STR("x"), SX_STR("x"), 7}};
    (void)state;
    s.kind = EXPORT_OTLP;
    assert_refused(&s, "endpoint");
    s.endpoint = SX_STR("http://a:4317/v1/traces");
    assert_refused(&s, "without a path");
    s.endpoint = SX_STR("a:port");
    assert_refused(&s, "endpoint");
    s.endpoint = SX_STR("a:4317");
    s.compression = SX_STR("lzma");
    assert_refused(&s, "lzma");
    s.compression = SX_STR("");
    s.tls.ca_file = SX_STR("/nowhere.pem");
    assert_refused(&s, "/nowhere.pem");
    s.kind = EXPORT_OTLPHTTP;
    assert_refused(&s, "http://");
    s.endpoint = SX_STR("http://a:4318");
    s.encoding = SX_STR("xml");
    assert_refused(&s, "xml");
    s = (exporter_settings){.id = s.id, .kind = EXPORT_ELASTICSEARCH};
    assert_refused(&s, "endpoints");
    s.endpoint = SX_STR("es:9200");
    assert_refused(&s, "http://");
    s.endpoint = SX_STR("http://es:9200");
    s.index = SX_STR("Upper");
    assert_refused(&s, "lower-case");
    s.index = SX_STR("jaeger-span");
    s.user = s.api_key = SX_STR("x");
    assert_refused(&s, "exclude");
    s.api_key = SX_STR("");
    s.compression = SX_STR("zstd");
    assert_refused(&s, "gzip or none");
    s = (exporter_settings){.id = s.id, .kind = EXPORT_FILE};
    assert_refused(&s, "path");
    s.path = SX_STR("/nowhere/at/all.json");
    assert_refused(&s, "/nowhere/at/all.json");
    s.format = SX_STR("csv");
    assert_refused(&s, "csv");
    s = (exporter_settings){.id = s.id, .kind = EXPORT_DEBUG, .verbosity = SX_STR("loud")};
    assert_refused(&s, "loud");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry_info_says_how_long),
        cmocka_unit_test(test_retry_info_cut_anywhere),
        cmocka_unit_test(test_partial_success),
        cmocka_unit_test(test_settings_without_sense_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

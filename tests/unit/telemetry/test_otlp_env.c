/* test_otlp_env.c - what the OTEL_* variables set, and what is said of those that cannot be read. */
#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>

#include <sextant/telemetry.h>

#include "base/fault.h"

#define SPANS   targets[SX_OTLP_SPANS]
#define LOGS    targets[SX_OTLP_LOGS]
#define METRICS targets[SX_OTLP_METRICS]

typedef struct fixture {
    sx_arena arena;
    sx_buf warnings;
    sx_otlp_options otlp;
    sx_tracer_options tracer;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    f = (fixture){0};
    sx_arena_init(&f.arena, 0, 0);
    sx_buf_init(&f.warnings, 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sx_arena_done(&f->arena);
    sx_buf_done(&f->warnings);
    return 0;
}

static void read_env(fixture *f, const char *const *environment)
{
    sx_error err;
    assert_int_equal(sx_otlp_environment(environment, &f->arena, &f->otlp, &f->warnings, &err),
                     SX_OK);
    assert_int_equal(sx_tracer_environment(environment, &f->arena, &f->tracer, &f->warnings, &err),
                     SX_OK);
}

#define READ(f, ...) read_env((f), (const char *const[]){__VA_ARGS__, NULL})

static bool warned(const fixture *f, const char *of)
{
    sx_str all = sx_buf_view(&f->warnings);
    return sx_str_find(all, sx_str_z(of)) < all.len;
}

static void is(sx_str got, const char *expected)
{
    assert_int_equal(got.len, strlen(expected));
    assert_memory_equal(got.data, expected, got.len);
}

static void test_a_wrong_general_variable_is_warned_of_once(void **state)
{
    fixture *f = *state;
    READ(f, "OTEL_EXPORTER_OTLP_PROTOCOL=grcp", "OTEL_EXPORTER_OTLP_TIMEOUT=soon",
         "OTEL_EXPORTER_OTLP_ENDPOINT=http://own/");
    sx_str rest = sx_buf_view(&f->warnings), line;
    size_t lines = 0;
    while (rest.len > 0) {
        sx_str_cut(rest, '\n', &line, &rest);
        lines++;
    }
    assert_int_equal(lines, 2);
    assert_true(warned(f, "OTEL_EXPORTER_OTLP_PROTOCOL: 'grcp'"));
    assert_true(warned(f, "OTEL_EXPORTER_OTLP_TIMEOUT: 'soon'"));
}

static void test_an_empty_environment_changes_nothing(void **state)
{
    fixture *f = *state;
    f->otlp.SPANS.endpoint = SX_STR("http://own/");
    f->otlp.service = SX_STR("own");
    f->tracer.propagators = SX_PROPAGATE_B3;
    READ(f, "PATH=/bin", "OTEL_EXPORTER_OTLP_ENDPOINT=", "OTEL_SERVICE_NAME=");
    is(f->otlp.SPANS.endpoint, "http://own/");
    is(f->otlp.LOGS.endpoint, "");
    is(f->otlp.service, "own");
    assert_int_equal(f->tracer.propagators, SX_PROPAGATE_B3);
    assert_int_equal(f->warnings.len, 0);
}

static void test_the_general_endpoint_gets_each_signals_path(void **state)
{
    static const char *const ROWS[][2] = {
        {"http://h:4318", "http://h:4318/v1/logs"},
        {"http://h:4318/", "http://h:4318/v1/logs"},
        {"https://h/my/place", "https://h/my/place/v1/logs"},
        {"https://h/my/place/?key=1", "https://h/my/place/v1/logs?key=1"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        char entry[128];
        snprintf(entry, sizeof(entry), "OTEL_EXPORTER_OTLP_ENDPOINT=%s", ROWS[i][0]);
        READ(f, entry);
        is(f->otlp.LOGS.endpoint, ROWS[i][1]);
    }
    assert_true(sx_str_ends(f->otlp.SPANS.endpoint, SX_STR("/v1/traces?key=1")));
    assert_true(sx_str_ends(f->otlp.METRICS.endpoint, SX_STR("/v1/metrics?key=1")));
}

static void test_a_signals_own_endpoint_is_used_as_it_is(void **state)
{
    fixture *f = *state;
    READ(f, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t:1/here",
         "OTEL_EXPORTER_OTLP_ENDPOINT=http://g:2", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=grpc",
         "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/json");
    is(f->otlp.SPANS.endpoint, "http://t:1/here");
    is(f->otlp.LOGS.endpoint, "http://g:2");
    is(f->otlp.METRICS.endpoint, "http://g:2/v1/metrics");
    assert_int_equal(f->otlp.LOGS.protocol, SX_OTLP_GRPC);
    assert_int_equal(f->otlp.METRICS.protocol, SX_OTLP_HTTP_JSON);
}

static void test_grpc_takes_host_and_port_alone(void **state)
{
    fixture *f = *state;
    READ(f, "OTEL_EXPORTER_OTLP_ENDPOINT=h:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
         "OTEL_EXPORTER_OTLP_LOGS_INSECURE=true");
    is(f->otlp.SPANS.endpoint, "https://h:4317");
    is(f->otlp.LOGS.endpoint, "http://h:4317");
}

static void test_each_setting_has_a_general_and_an_own_form(void **state)
{
    fixture *f = *state;
    READ(f, "OTEL_EXPORTER_OTLP_HEADERS=a=b,c=d%20e", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=x=y",
         "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=none",
         "OTEL_EXPORTER_OTLP_TIMEOUT=1000", "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT=2000",
         "OTEL_EXPORTER_OTLP_CERTIFICATE=/ca", "OTEL_EXPORTER_OTLP_CLIENT_KEY=/key",
         "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=/chain",
         "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE=/other");
    is(f->otlp.SPANS.headers, "x=y");
    is(f->otlp.LOGS.headers, "a=b,c=d%20e");
    assert_false(f->otlp.SPANS.gzip);
    assert_true(f->otlp.LOGS.gzip);
    assert_int_equal(f->otlp.SPANS.timeout_ms, 1000);
    assert_int_equal(f->otlp.LOGS.timeout_ms, 2000);
    is(f->otlp.SPANS.ca_file, "/ca");
    is(f->otlp.METRICS.ca_file, "/other");
    is(f->otlp.SPANS.client_key_file, "/key");
    is(f->otlp.SPANS.client_chain_file, "/chain");
}

static void test_batches_and_limits_are_numbers(void **state)
{
    fixture *f = *state;
    READ(f, "OTEL_BSP_MAX_QUEUE_SIZE=100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=200",
         "OTEL_BSP_SCHEDULE_DELAY=11", "OTEL_BSP_EXPORT_TIMEOUT=12", "OTEL_BLRP_MAX_QUEUE_SIZE=13",
         "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE=5", "OTEL_BLRP_SCHEDULE_DELAY=14",
         "OTEL_BLRP_EXPORT_TIMEOUT=15", "OTEL_METRIC_EXPORT_INTERVAL=16",
         "OTEL_METRIC_EXPORT_TIMEOUT=17", "OTEL_ATTRIBUTE_COUNT_LIMIT=20",
         "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=21", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=22",
         "OTEL_SPAN_EVENT_COUNT_LIMIT=23", "OTEL_SPAN_LINK_COUNT_LIMIT=24",
         "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT=25");
    assert_int_equal(f->otlp.SPANS.queue_max, 100);
    assert_int_equal(f->otlp.SPANS.batch_max, 200);
    assert_true(warned(f, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"));
    assert_int_equal(f->otlp.SPANS.batch_delay_ms, 11);
    assert_int_equal(f->otlp.SPANS.retry_ms_max, 12);
    assert_int_equal(f->otlp.LOGS.queue_max, 13);
    assert_int_equal(f->otlp.LOGS.batch_max, 5);
    assert_int_equal(f->otlp.LOGS.batch_delay_ms, 14);
    assert_int_equal(f->otlp.LOGS.retry_ms_max, 15);
    assert_int_equal(f->otlp.METRICS.batch_delay_ms, 16);
    assert_int_equal(f->otlp.METRICS.retry_ms_max, 17);
    assert_int_equal(f->tracer.attributes_max, 21);
    assert_int_equal(f->tracer.value_bytes_max, 22);
    assert_int_equal(f->tracer.events_max, 23);
    assert_int_equal(f->tracer.links_max, 24);
    assert_int_equal(f->tracer.event_attributes_max, 25);
}

static void test_exporters_are_chosen_by_name(void **state)
{
    fixture *f = *state;
    READ(f, "OTEL_EXPORTER_OTLP_ENDPOINT=http://h", "OTEL_TRACES_EXPORTER=none",
         "OTEL_LOGS_EXPORTER=console, otlp", "OTEL_METRICS_EXPORTER=prometheus");
    is(f->otlp.SPANS.endpoint, "");
    is(f->otlp.LOGS.endpoint, "http://h/v1/logs");
    is(f->otlp.METRICS.endpoint, "");
    assert_true(warned(f, "OTEL_LOGS_EXPORTER: 'console' is not supported"));
    assert_true(warned(f, "OTEL_METRICS_EXPORTER: 'prometheus' is not supported"));
    assert_false(warned(f, "OTEL_TRACES_EXPORTER"));
}

static void test_without_an_endpoint_otlp_only_warns(void **state)
{
    fixture *f = *state;
    READ(f, "OTEL_TRACES_EXPORTER=otlp");
    is(f->otlp.SPANS.endpoint, "");
    assert_true(warned(f, "OTEL_EXPORTER_OTLP_ENDPOINT"));
}

static void test_disabled_means_nothing_at_all(void **state)
{
    fixture *f = *state;
    f->otlp.LOGS.endpoint = SX_STR("http://own/");
    READ(f, "OTEL_SDK_DISABLED=TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT=http://h");
    for (int i = 0; i < SX_OTLP_SIGNALS; i++)
        is(f->otlp.targets[i].endpoint, "");
    READ(f, "OTEL_SDK_DISABLED=1", "OTEL_EXPORTER_OTLP_ENDPOINT=http://h");
    is(f->otlp.LOGS.endpoint, "http://h/v1/logs"); /* only "true" is true */
    assert_true(warned(f, "OTEL_SDK_DISABLED"));
}

static void test_the_services_name_has_an_order(void **state)
{
    fixture *f = *state;
    f->otlp.service = SX_STR("built in");
    READ(f, "OTEL_RESOURCE_ATTRIBUTES=team=a,service.name=by%20list");
    is(f->otlp.service, "by list");
    is(f->otlp.resource, "team=a,service.name=by%20list");
    READ(f, "OTEL_RESOURCE_ATTRIBUTES=service.name=by%20list", "OTEL_SERVICE_NAME=by name");
    is(f->otlp.service, "by name");
    READ(f, "OTEL_RESOURCE_ATTRIBUTES=a=%zz,service.name=x");
    is(f->otlp.service, "by name");
    assert_true(warned(f, "OTEL_RESOURCE_ATTRIBUTES"));
}

static void test_what_cannot_be_chosen_is_told(void **state)
{
    fixture *f = *state;
    READ(f, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=Cumulative");
    assert_int_equal(f->warnings.len, 0);
    READ(f, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta", "OTEL_CONFIG_FILE=x.yaml");
    assert_true(warned(f, "TEMPORALITY_PREFERENCE: not supported: only cumulative"));
    assert_true(warned(f, "OTEL_CONFIG_FILE: not supported;"));
}

static void test_the_tracer_has_samplers_and_propagators(void **state)
{
    fixture *f = *state;
    READ(f, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25",
         "OTEL_PROPAGATORS=tracecontext,b3, jaeger,xray");
    assert_true(f->tracer.sampling.ratio_set && f->tracer.sampling.ratio == 0.25);
    assert_int_equal(f->tracer.propagators,
                     SX_PROPAGATE_W3C | SX_PROPAGATE_B3 | SX_PROPAGATE_JAEGER);
    assert_true(warned(f, "OTEL_PROPAGATORS: 'xray'"));
    READ(f, "OTEL_PROPAGATORS=none");
    assert_int_equal(f->tracer.propagators, SX_PROPAGATE_NONE);
}

static void test_what_cannot_be_read_is_told_and_left_out(void **state)
{
    fixture *f = *state;
    READ(f, "OTEL_EXPORTER_OTLP_ENDPOINT=user:hidden@h", "OTEL_EXPORTER_OTLP_HEADERS=hidden",
         "OTEL_EXPORTER_OTLP_PROTOCOL=soap", "OTEL_EXPORTER_OTLP_COMPRESSION=zip",
         "OTEL_EXPORTER_OTLP_TIMEOUT=0", "OTEL_BSP_MAX_QUEUE_SIZE=-1",
         "OTEL_BLRP_SCHEDULE_DELAY=4294967296", "OTEL_TRACES_SAMPLER=coin",
         "OTEL_SPAN_LINK_COUNT_LIMIT=many");
    static const char *const NAMES[] = {
        "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_EXPORTER_OTLP_TIMEOUT",  "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_BLRP_SCHEDULE_DELAY",    "OTEL_TRACES_SAMPLER",
        "OTEL_SPAN_LINK_COUNT_LIMIT",
    };
    for (size_t i = 0; i < SX_COUNT_OF(NAMES); i++)
        assert_true(warned(f, NAMES[i]));
    assert_false(warned(f, "hidden"));
    for (int i = 0; i < SX_OTLP_SIGNALS; i++)
        is(f->otlp.targets[i].endpoint, "");
    is(f->otlp.SPANS.headers, "");
    assert_int_equal(f->otlp.SPANS.timeout_ms, 0);
}

static const char *const FULL[] = {
    "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1",
    "OTEL_EXPORTER_OTLP_HEADERS=a=b%20c",
    "OTEL_RESOURCE_ATTRIBUTES=team=a,service.name=b",
    "OTEL_TRACES_SAMPLER=always_on",
    "OTEL_PROPAGATORS=b3,soap",
    NULL,
};

static void test_telemetry_survives_every_failed_allocation(void **state)
{
    (void)state;
    sx_telemetry_options options = {.service = "test",
                                    .version = "1",
                                    .deployment = "a b,c",
                                    .environment = FULL,
                                    .log_options = {.path = "/dev/null"}};
    options.without = SX_TELEMETRY_LOG; /* its writer's allocations would make the count vary */
    for (int64_t nth = 1;; nth++) {
        sx_telemetry *t = NULL;
        sx_error err = {0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = sx_telemetry_new(&options, &t, &err);
        bool reached = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (st == SX_OK)
            sx_telemetry_free(t, 0);
        else
            assert_true(err.message[0] != '\0');
        if (!reached)
            break;
        assert_true(nth < 4000);
    }
}

static void test_parts_are_made_left_out_and_shared(void **state)
{
    (void)state;
    static const char *const NOTHING[] = {NULL};
    sx_error err = {0};
    sx_telemetry *t;
    sx_telemetry_options options = {.environment = NOTHING, .log_options = {.level = SX_LEVEL_OFF}};
    assert_int_equal(sx_telemetry_new(&options, &t, &err), SX_OK);
    assert_non_null(sx_telemetry_metrics(t));
    assert_non_null(sx_telemetry_log(t));
    assert_non_null(sx_telemetry_tracer(t));
    assert_null(sx_telemetry_otlp(t)); /* no endpoint */
    sx_telemetry_free(t, 1000);

    options.environment = FULL;
    options.without = SX_TELEMETRY_LOG | SX_TELEMETRY_TRACER;
    assert_int_equal(sx_metrics_new(NULL, &options.metrics, &err), SX_OK);
    assert_int_equal(sx_telemetry_new(&options, &t, &err), SX_OK);
    assert_ptr_equal(sx_telemetry_metrics(t), options.metrics);
    assert_null(sx_telemetry_log(t));
    assert_null(sx_telemetry_tracer(t));
    assert_non_null(sx_telemetry_otlp(t));
    sx_telemetry_free(t, 0);
    sx_metrics_free(options.metrics); /* stayed ours */
    sx_telemetry_free(NULL, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_environment_changes_nothing),
        TEST(test_a_wrong_general_variable_is_warned_of_once),
        TEST(test_the_general_endpoint_gets_each_signals_path),
        TEST(test_a_signals_own_endpoint_is_used_as_it_is),
        TEST(test_grpc_takes_host_and_port_alone),
        TEST(test_each_setting_has_a_general_and_an_own_form),
        TEST(test_batches_and_limits_are_numbers),
        TEST(test_exporters_are_chosen_by_name),
        TEST(test_without_an_endpoint_otlp_only_warns),
        TEST(test_disabled_means_nothing_at_all),
        TEST(test_the_services_name_has_an_order),
        TEST(test_what_cannot_be_chosen_is_told),
        TEST(test_the_tracer_has_samplers_and_propagators),
        TEST(test_what_cannot_be_read_is_told_and_left_out),
        cmocka_unit_test(test_telemetry_survives_every_failed_allocation),
        cmocka_unit_test(test_parts_are_made_left_out_and_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

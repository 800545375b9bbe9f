/* test_settings.c - a Collector's configuration: what it says, and what it may not say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/fault.h"
#include "observe/collector/connector.h"
#include "observe/collector/derive.h"

#define ACCEPTANCE                                                                                 \
    "# jaeger-collector-config.yml\n"                                                              \
    "receivers:\n  jaeger:\n    protocols:\n"                                                      \
    "      grpc:\n        endpoint: 0.0.0.0:14250\n"                                               \
    "      thrift_http:\n        endpoint: 0.0.0.0:14268\n"                                        \
    "      thrift_compact:\n        endpoint: 0.0.0.0:6831\n"                                      \
    "      thrift_binary:\n        endpoint: 0.0.0.0:6832\n"                                       \
    "\nprocessors:\n  batch:\n    timeout: 1s\n    send_batch_size: 100\n"                         \
    "\nexporters:\n  elasticsearch:\n    endpoints: [\"http://elasticsearch:9200\"]\n"             \
    "    index: jaeger-span\n"                                                                     \
    "    \nservice:\n  pipelines:\n    traces:\n      receivers: [jaeger]\n"                       \
    "      processors: [batch]\n      exporters: [elasticsearch]\n"

static const char *const ENVIRONMENT[] = {"HOST=10.0.0.1", "SIZE=77",
                                          "HOSTS=[\"http://a:1\", \"http://b:2\"]", "EMPTY=", NULL};
static const collector_settings_options OPTIONS = {.environment = ENVIRONMENT};

static collector_settings *parse(const char *text)
{
    collector_settings *s = NULL;
    sx_error err = {0};
    sx_status st =
        collector_settings_parse(sx_str_z(text), SX_STR("dir/c.yml"), &OPTIONS, &s, NULL, &err);
    if (st != SX_OK)
        fail_msg("%s", err.message);
    return s;
}

static void assert_text(sx_str got, const char *expected)
{
    if (!sx_str_eq(got, sx_str_z(expected)))
        fail_msg("\"%.*s\", not \"%s\"", SX_ARG(got), expected);
}

static void test_the_acceptance_file_is_read(void **state)
{
    (void)state;
    collector_settings *s = parse(ACCEPTANCE);
    assert_int_equal(s->receiver_count, 1);
    const listen_settings *l = s->receivers[0].listen;
    assert_true(s->receivers[0].used);
    assert_true(l[LISTEN_JAEGER_GRPC].on);
    assert_false(l[LISTEN_OTLP_GRPC].on);
    assert_text(l[LISTEN_JAEGER_GRPC].address, "0.0.0.0:14250");
    assert_text(l[LISTEN_JAEGER_HTTP].address, "0.0.0.0:14268");
    assert_text(l[LISTEN_JAEGER_COMPACT].address, "0.0.0.0:6831");
    assert_text(l[LISTEN_JAEGER_BINARY].address, "0.0.0.0:6832");
    assert_int_equal(s->exporter_count, 1);
    assert_int_equal(s->exporters[0].kind, EXPORT_ELASTICSEARCH);
    assert_int_equal(s->exporters[0].endpoint_count, 1);
    assert_text(s->exporters[0].endpoints[0], "http://elasticsearch:9200");
    assert_text(s->exporters[0].index, "jaeger-span");
    assert_true(s->exporters[0].retry.enabled);
    assert_int_equal(s->exporters[0].queue.size, 1000);
    assert_int_equal(s->pipeline_count, 1);
    assert_int_equal(s->pipelines[0].receiver_count, 1);
    assert_int_equal(s->pipelines[0].processor_count, 1);
    assert_int_equal(s->pipelines[0].exporter_count, 1);
    assert_int_equal(s->warning_count, 0);
    collector_settings_unref(s);
}

#define SERVICE                                                                                    \
    "service:\n  pipelines:\n    traces:\n      receivers: [otlp]\n      exporters: [nop]\n"

static void test_a_protocol_without_settings_is_on_at_its_default(void **state)
{
    (void)state;
    collector_settings *s = parse("receivers:\n  otlp:\n    protocols:\n      grpc:\n"
                                  "      http: {endpoint: ':4318', traces_url_path: v1/traces}\n"
                                  "  zipkin:\nexporters: {nop: }\n" SERVICE);
    const listen_settings *l = s->receivers[0].listen;
    assert_text(l[LISTEN_OTLP_GRPC].address, "localhost:4317");
    assert_text(l[LISTEN_OTLP_HTTP].address, "0.0.0.0:4318");
    assert_true(s->receivers[1].listen[LISTEN_ZIPKIN].on);
    assert_false(s->receivers[1].used);
    assert_int_equal(s->warning_count, 1); /* zipkin is in no pipeline */
    collector_settings_unref(s);
}

static void test_variables_are_put_in(void **state)
{
    (void)state;
    collector_settings *s =
        parse("receivers:\n  otlp:\n    protocols:\n      grpc: {endpoint: '${env:HOST}:4317'}\n"
              "exporters:\n  nop:\n"
              "  elasticsearch:\n    endpoints: ${HOSTS}\n    index: a$$b-${NONE:-x y}\n"
              "  otlp:\n    endpoint: 'h:1'\n"
              "    sending_queue:\n      queue_size: ${env:SIZE}\n"
              "    headers:\n      a: p${env:UNSET}q\n" SERVICE);
    assert_text(s->receivers[0].listen[LISTEN_OTLP_GRPC].address, "10.0.0.1:4317");
    assert_int_equal(s->exporters[1].endpoint_count, 2);
    assert_text(s->exporters[1].endpoints[1], "http://b:2");
    assert_text(s->exporters[1].index, "a$b-x y");
    assert_int_equal(s->exporters[2].queue.size, 77);
    assert_text(s->exporters[2].headers[0].value, "pq");
    assert_int_equal(s->warning_count, 1);
    collector_settings_unref(s);
}

static void test_extensions_and_telemetry(void **state)
{
    (void)state;
    collector_settings *s =
        parse("extensions:\n  health_check: {endpoint: '0.0.0.0:1', path: /up}\n  pprof:\n"
              "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {nop: }\n"
              "service:\n  extensions: [health_check, pprof]\n"
              "  telemetry: {logs: {level: DEBUG}, metrics: {address: ':8888'}}\n"
              "  pipelines: {traces: {receivers: [otlp], exporters: [nop]},\n"
              "    metrics: {receivers: [otlp], processors: [], exporters: [nop]}}\n");
    assert_true(s->health.on);
    assert_text(s->health.address, "0.0.0.0:1");
    assert_text(s->health.path, "/up");
    assert_text(s->log_level, "DEBUG");
    assert_int_equal(s->warning_count, 3);
    collector_settings_unref(s);
}

/* What changes nothing is told, each at its place. */
static void test_what_has_no_effect_is_told(void **state)
{
    (void)state;
    collector_settings *s =
        parse("receivers: {otlp: {protocols: {grpc: {read_buffer_size: 1}}}}\n"
              "exporters:\n  nop:\n  otlp: {endpoint: 'a:1', tls: {min_version: '1.3'}}\n"
              "  file: {path: f, append: true, create_directory: true}\n"
              "connectors:\n  spanmetrics: {dimensions_cache_size: 1}\n" SERVICE);
    assert_int_equal(s->warning_count, 3);
    assert_non_null(strstr(s->warnings[0].data, "read_buffer_size\": has no effect here"));
    assert_true(s->exporters[2].append && s->exporters[2].create_folder);
    collector_settings_unref(s);
}

/* Each field lies where it belongs, not beside it. */
static void test_dimensions_have_defaults(void **state)
{
    (void)state;
    collector_settings *s = parse(
        "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {nop: }\nconnectors:\n"
        "  spanmetrics: {dimensions: [{name: a}, {name: b, default: x}, {name: c}]}\n" SERVICE);
    /* The connector's form begins with its settings. */
    const spanmetrics_settings *own = s->connectors[0].settings;
    assert_int_equal(own->dimensions.count, 3);
    const derive_dimension *d = own->dimensions.items;
    assert_text(d[0].name, "a");
    assert_false(d[0].has_fallback);
    assert_text(d[1].name, "b");
    assert_true(d[1].has_fallback);
    assert_text(d[1].fallback, "x");
    assert_text(d[2].name, "c");
    assert_false(d[2].has_fallback);
    collector_settings_unref(s);
}

static void test_a_duration_may_be_the_longest(void **state)
{
    (void)state;
    collector_settings *s =
        parse("receivers: {otlp: {protocols: {grpc: }}}\nexporters:\n  nop:\n"
              "  otlp: {endpoint: 'a:1', timeout: 9223372036854775807}\n" SERVICE);
    assert_int_equal(s->exporters[1].timeout_ms, 9223372036855);
    collector_settings_unref(s);
}

static void test_connectors_claim_the_names_of_our_own_metrics(void **state)
{
    static const struct {
        const char *connectors, *used;
        bool spans, graph;
    } CASES[] = {{"{spanmetrics: }", "spanmetrics", true, false},
                 {"{spanmetrics: {namespace: mine}}", "spanmetrics", false, false},
                 {"{servicegraph/a: }", "servicegraph/a", false, true},
                 {"{spanmetrics: , servicegraph: }", "nop", false, false}};
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        char text[400];
        bool spans, graph;
        snprintf(text, sizeof(text),
                 "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {nop: }\nconnectors: %s\n"
                 "service: {pipelines: {traces: {receivers: [otlp], exporters: [%s]}}}\n",
                 CASES[i].connectors, CASES[i].used);
        collector_settings *s = parse(text);
        derive_claimed(s, &spans, &graph);
        assert_int_equal(spans, CASES[i].spans);
        assert_int_equal(graph, CASES[i].graph);
        collector_settings_unref(s);
    }
}

#define RECEIVER "receivers: {otlp: {protocols: {grpc: }}}\n"

/* Each with the place of its first fault and words of it. */
static const struct {
    const char *text, *expected;
} BAD[] = {
    {"", "c.yml:1:1: expected one YAML document"},
    {"- a\n", "c.yml:1:1: expected receivers"},
    {"receivers: {otlp: {protocols: {grpc: }}\n", "c.yml:"},
    {"recievers: {}\n" SERVICE, "c.yml:1:1: key \"recievers\": unknown section"},
    {RECEIVER "exporters: {nop: }\n", "c.yml:1:1: service must have"},
    {RECEIVER "exporters: {nop: }\nservice:\n", "c.yml:3:"},
    {RECEIVER "exporters: {debug: }\nservice: {pipelines: {metrics: {receivers: [otlp], exporters: "
              "[nop]}}}\n",
     "c.yml:3:64: key \"service.pipelines.metrics.exporters[0]\": references exporter \"nop\" which "
     "is not configured"},
    {RECEIVER "exporters: {nop: }\nservice: {pipelines: {}}\n", "at least one pipeline"},
    {"receivers: {otlp: }\nexporters: {nop: }\n" SERVICE,
     "c.yml:1:13: key \"receivers.otlp\": must"},
    {"receivers:\n  otlp:\n    protocols:\n      grcp:\nexporters: {nop: }\n" SERVICE,
     "c.yml:4:7: key \"receivers.otlp.protocols.grcp\": unknown protocol"},
    {"receivers:\n  otlp:\n    protocols: {grpc: {endpont: 'a:1'}}\nexporters: {nop: }\n" SERVICE,
     "c.yml:3:24: key \"receivers.otlp.protocols.grpc.endpont\": unknown field; did you mean "
     "\"endpoint\"?"},
    {"receivers:\n  otlp:\n    protocols: {grpc: {endpoint: 'a'}}\nexporters: {nop: }\n" SERVICE,
     "endpoint \"a\" is not host:port"},
    {"receivers:\n  otlp:\n    protocols: {grpc: {endpoint: 'a:70000'}}\n"
     "exporters: {nop: }\n" SERVICE,
     "c.yml:3:23"},
    {"receivers:\n  otlp:\n    protocols: {grpc: {transport: unix}}\nexporters: {nop: }\n" SERVICE,
     "c.yml:3:35: key \"receivers.otlp.protocols.grpc.transport\": transport \"unix\""},
    {"receivers:\n  otlp:\n    protocols: {grpc: {tls: {cert_file: a}}}\n"
     "exporters: {nop: }\n" SERVICE,
     "needs cert_file and key_file"},
    {"receivers:\n  hostmetrics:\nexporters: {nop: }\n" SERVICE,
     "c.yml:2:3: key \"receivers.hostmetrics\": there is no receiver \"hostmetrics\""},
    {"receivers:\n  otlp/:\nexporters: {nop: }\n" SERVICE, "c.yml:2:3"},
    {RECEIVER "processors:\n  batches:\nexporters: {nop: }\n" SERVICE,
     "c.yml:3:3: key \"processors.batches\": there is no processor"},
    {RECEIVER "processors:\n  batch: {timeout: 5 parsecs}\nexporters: {nop: }\n" SERVICE,
     "c.yml:3:20: key \"processors.batch.timeout\": \"5 parsecs\" is no duration"},
    {RECEIVER "processors:\n  batch: {timeout: -5s}\nexporters: {nop: }\n" SERVICE,
     "must not be negative"},
    {RECEIVER "processors:\n  batch: {send_batch_size: 10, send_batch_max_size: 5}\n"
              "exporters: {nop: }\n" SERVICE,
     "c.yml:3:10: key \"processors.batch\": send_batch_max_size must"},
    {RECEIVER "processors:\n  batch: {metadata_keys: [a]}\nexporters: {nop: }\n" SERVICE,
     "metadata_keys\": is not supported"},
    {RECEIVER "exporters:\n  nop:\n  datadog:\n" SERVICE,
     "c.yml:4:3: key \"exporters.datadog\": there is no exporter \"datadog\" here"},
    {RECEIVER "exporters:\n  nop:\n  otlp:\n" SERVICE, "requires a non-empty \"endpoint\""},
    {RECEIVER "exporters:\n  nop:\n  otlp: {endpoint: 'a:1', compression: lzma}\n" SERVICE,
     "compression \"lzma\""},
    {RECEIVER "exporters:\n  nop:\n  otlphttp: {endpoint: 'a:1'}\n" SERVICE,
     "must be a URL with http://"},
    {RECEIVER "exporters:\n  nop:\n  elasticsearch: {index: x}\n" SERVICE,
     "c.yml:4:18: key \"exporters.elasticsearch\": requires \"endpoints\""},
    {RECEIVER
     "exporters:\n  nop:\n  otlp: {endpoint: 'a:1', sending_queue: {queue_size: 0}}\n" SERVICE,
     "`queue_size` must be positive"},
    {RECEIVER "exporters:\n  nop:\n  otlp: {endpoint: 'a:1', sending_queue: "
              "{block_on_overflow: true}}\n" SERVICE,
     "block_on_overflow is not supported"},
    {RECEIVER "exporters:\n  nop:\n  otlp: {endpoint: 'a:1', retry_on_failure: "
              "{randomization_factor: 2}}\n" SERVICE,
     "'randomization_factor' must be within [0, 1]"},
    {RECEIVER "exporters:\n  nop:\n  file:\n" SERVICE, "\"path\" must be non-empty"},
    {RECEIVER "exporters:\n  nop:\n  debug: {verbosity: loud}\n" SERVICE, "verbosity \"loud\""},
    {RECEIVER "exporters: {nop: }\nconnectors:\n  forward:\n" SERVICE,
     "c.yml:4:3: key \"connectors.forward\": there is no connector"},
    {RECEIVER "exporters: {nop: }\nextensions:\n  oauth2client:\n" SERVICE,
     "c.yml:4:3: key \"extensions.oauth2client\": there is no extension"},
    {RECEIVER "exporters: {nop: }\nservice:\n  extensions: [pprof]\n"
              "  pipelines: {traces: {receivers: [otlp], exporters: [nop]}}\n",
     "references extension \"pprof\" which is not configured"},
    {RECEIVER "exporters: {nop: }\nservice:\n"
              "  pipelines: {traces: {receivers: [zipkin], exporters: [nop]}}\n",
     "c.yml:4:36: key \"service.pipelines.traces.receivers[0]\": references receiver \"zipkin\" "
     "which is not configured"},
    {RECEIVER "exporters: {nop: }\nservice:\n"
              "  pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [nop]}}\n",
     "references processor \"batch\" which is not configured"},
    {RECEIVER "exporters: {nop: }\nservice:\n"
              "  pipelines: {traces: {receivers: [otlp, otlp], exporters: [nop]}}\n",
     "references receiver \"otlp\" multiple times"},
    {RECEIVER "exporters: {nop: }\nservice:\n  pipelines: {traces: {receivers: [otlp]}}\n",
     "must have at least one exporter"},
    {RECEIVER "exporters: {nop: }\nservice:\n  pipelines: {traces: {exporters: [nop]}}\n",
     "must have at least one receiver"},
    {RECEIVER "exporters: {nop: }\nservice:\n"
              "  pipelines: {logs: {receivers: [otlp], exporters: [nop]}}\n",
     "c.yml:4:15: key \"service.pipelines.logs\": pipelines of \"logs\" are not supported"},
    {RECEIVER "exporters: {nop: }\nservice:\n"
              "  pipelines: {metrics: {receivers: [otlp], exporters: [prometheus]}}\n",
     "metrics are kept in this server's own store"},
    {RECEIVER "exporters: {nop: }\nservice:\n  telemetry: {logs: {level: loud}}\n"
              "  pipelines: {traces: {receivers: [otlp], exporters: [nop]}}\n",
     "c.yml:4:29"},
    {RECEIVER "exporters:\n  nop:\n  otlp: {endpoint: '${file:a}'}\n" SERVICE,
     "${file:a} is no environment variable"},
    {"receivers:\n  otlp:\n    protocols: {http: {traces_url_path: /t}}\n"
     "exporters: {nop: }\n" SERVICE,
     "traces_url_path is /v1/traces"},
    {"receivers:\n  zipkin: {cors: {allowed_origins: ['*']}}\nexporters: {nop: }\n" SERVICE,
     "c.yml:2:18: key \"receivers.zipkin.cors\": is not supported"},
    {"receivers: {kafka: {encoding: avro}}\nexporters: {nop: }\n" SERVICE, "encoding \"avro\""},
    {"receivers: {kafka: {encoding: jaeger_json}}\nexporters: {nop: }\n" SERVICE,
     "encoding \"jaeger_json\" is none of"},
    {"receivers:\n  kafka: {autocommit: {enable: false}}\nexporters: {nop: }\n" SERVICE,
     "c.yml:2:32: key \"receivers.kafka.autocommit.enable\": false is not supported"},
    {RECEIVER "exporters:\n  nop:\n  kafka: {encoding: jaeger_proto}\n" SERVICE,
     "c.yml:4:10: key \"exporters.kafka\": encoding \"jaeger_proto\" is not written"},
    {RECEIVER "exporters:\n  nop:\n  elasticsearch: {endpoints: ['http://a'], mapping: {mode: "
              "otel}}\n" SERVICE,
     "c.yml:4:53: key \"exporters.elasticsearch.mapping\": is not supported"},
    {"receivers:\n  kafka: {tls: {server_name_override: a}}\nexporters: {nop: }\n" SERVICE,
     "server_name_override is not supported"},
    {RECEIVER "exporters:\n  nop:\n  file: {path: a, rotation: {max_days: 99999999}}\n" SERVICE,
     "max_days is at most"},
    {RECEIVER "processors:\n  tail_sampling: {policies: [{name: a, type: numeric_attribute, "
              "numeric_attribute: {key: k}}]}\nexporters: {nop: }\n" SERVICE,
     "needs min_value or max_value"},
    {RECEIVER "exporters: {nop: }\nconnectors:\n  spanmetrics:\n    aggregation_temporality: "
              "AGGREGATION_TEMPORALITY_DELTA\n" SERVICE,
     "c.yml:5:30: key \"connectors.spanmetrics.aggregation_temporality\": "
     "\"AGGREGATION_TEMPORALITY_DELTA\" is not supported"},
};

static void test_bad_files_are_refused_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++) {
        collector_settings *s = NULL;
        sx_error err = {0};
        sx_status st = collector_settings_parse(sx_str_z(BAD[i].text), SX_STR("c.yml"), &OPTIONS,
                                                &s, NULL, &err);
        if (st != SX_EFORMAT || !strstr(err.message, BAD[i].expected) ||
            strncmp(err.message, "c.yml:", 6) != 0)
            fail_msg("%zu: status %d, \"%s\", not \"%s\"", i, st, err.message, BAD[i].expected);
    }
}

static void test_all_faults_are_told(void **state)
{
    (void)state;
    collector_settings *s = NULL;
    sx_error err = {0};
    sx_buf problems;
    sx_buf_init(&problems, 0);
    assert_int_equal(collector_settings_parse(SX_STR("receivers: {a: }\nexporters: {b: }\n"
                                                     "service: {pipelines: {c: {}}}\n"),
                                              SX_STR("c.yml"), NULL, &s, &problems, &err),
                     SX_EFORMAT);
    size_t lines = 0;
    for (size_t i = 0; i < problems.len; i++)
        lines += problems.data[i] == '\n';
    assert_int_equal(lines, 3);
    sx_buf_done(&problems);
}

static void test_a_cut_file_never_crashes(void **state)
{
    static const char TEXT[] = ACCEPTANCE;
    (void)state;
    for (size_t i = 0; i < sizeof(TEXT); i++) {
        collector_settings *s = NULL;
        sx_error err = {0};
        if (collector_settings_parse(sx_str_of(TEXT, i), SX_STR("c.yml"), NULL, &s, NULL, &err) ==
            SX_OK)
            collector_settings_unref(s);
        else
            assert_true(err.message[0] != '\0');
    }
}

static void test_without_memory_it_fails_cleanly(void **state)
{
    (void)state;
    sx_fault_alloc_set((sx_fault_alloc){.nth = INT64_MAX});
    collector_settings_unref(parse(ACCEPTANCE));
    int64_t calls = sx_fault_alloc_calls();
    for (int64_t n = 1; n <= calls; n++) {
        collector_settings *s = NULL;
        sx_error err = {0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status st =
            collector_settings_parse(SX_STR(ACCEPTANCE), SX_STR("c.yml"), NULL, &s, NULL, &err);
        assert_int_equal(st, SX_ENOMEM);
        assert_int_equal(sx_fault_alloc_held(), 0);
    }
    sx_fault_alloc_set((sx_fault_alloc){0});
}

static void test_durations_are_gos(void **state)
{
    static const struct {
        const char *text;
        int64_t ns; /* -1: none */
    } CASES[] = {{"1s", 1000000000},
                 {"1.5h", 5400000000000},
                 {"1m30s", 90000000000},
                 {"500us", 500000},
                 {"0", 0},
                 {"", -1},
                 {"5", -1},
                 {"s", -1},
                 {"1x", -1},
                 {"1s2", -1},
                 {"99999999999h", -1}};
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        int64_t ns = -1;
        bool good = settings_go_duration(sx_str_z(CASES[i].text), &ns);
        assert_int_equal(good, CASES[i].ns >= 0);
        if (good)
            assert_int_equal(ns, CASES[i].ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_acceptance_file_is_read),
        cmocka_unit_test(test_a_protocol_without_settings_is_on_at_its_default),
        cmocka_unit_test(test_variables_are_put_in),
        cmocka_unit_test(test_extensions_and_telemetry),
        cmocka_unit_test(test_what_has_no_effect_is_told),
        cmocka_unit_test(test_dimensions_have_defaults),
        cmocka_unit_test(test_a_duration_may_be_the_longest),
        cmocka_unit_test(test_connectors_claim_the_names_of_our_own_metrics),
        cmocka_unit_test(test_bad_files_are_refused_with_their_place),
        cmocka_unit_test(test_all_faults_are_told),
        cmocka_unit_test(test_a_cut_file_never_crashes),
        cmocka_unit_test(test_without_memory_it_fails_cleanly),
        cmocka_unit_test(test_durations_are_gos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* prometheus.yml: what it becomes, and what is said of a broken one. */
#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "observe/config/config.h"

static const char *const ENVIRONMENT[] = {"REGION=eu", "EMPTY=", NULL};

static sx_status parse(const char *text, prom_config **out, sx_buf *problems, sx_error *err)
{
    prom_config_options o = {.environment = ENVIRONMENT};
    return prom_config_parse(sx_str_z(text), SX_STR("dir/p.yml"), &o, out, problems, err);
}

static prom_config *good(const char *text)
{
    prom_config *c;
    sx_error err = {0};
    if (parse(text, &c, NULL, &err) != SX_OK)
        fail_msg("%s", err.message);
    return c;
}

static void test_an_empty_file_is_all_defaults(void **state)
{
    (void)state;
    prom_config *c = good("");
    assert_int_equal(c->scrape_interval_ms, 60000);
    assert_int_equal(c->scrape_timeout_ms, 10000);
    assert_int_equal(c->evaluation_interval_ms, 60000);
    assert_int_equal(c->scrape_count, 0);
    assert_int_equal(c->storage.out_of_order_ms, -1);
    assert_int_equal(c->exemplars_max, 100000);
    assert_true(c->otlp.name_sanitization);
    prom_config_unref(c);
}

static const char FULL[] =
    "global:\n"
    "  scrape_interval: 5s\n"
    "  evaluation_interval: 30s\n"
    "  external_labels: {region: '${REGION}', cost: $$, none: '$NOPE'}\n"
    "  sample_limit: 7\n"
    "  scrape_native_histograms: true\n"
    "rule_files: [rules/*.yml, /abs/x.yml]\n"
    "alerting:\n"
    "  alert_relabel_configs: [{regex: replica, action: labeldrop}]\n"
    "  alertmanagers:\n"
    "  - static_configs: [{targets: [am:9093]}]\n"
    "    path_prefix: /am\n"
    "scrape_configs:\n"
    "- job_name: a\n"
    "  static_configs:\n"
    "  - targets: ['x:1', 'y:2']\n"
    "    labels: {env: prod}\n"
    "  - targets: [z]\n"
    "  params: {module: [http, 2], x: [y], none: }\n"
    "  relabel_configs:\n"
    "  - source_labels: [__address__]\n"
    "    target_label: copy\n"
    "  basic_auth: {username: u, password: p}\n"
    "- job_name: b\n"
    "  honor_labels: true\n"
    "  honor_timestamps: false\n"
    "  scrape_interval: 2m\n"
    "  scrape_timeout: 1m\n"
    "  scheme: https\n"
    "  body_size_limit: 10MB\n"
    "  sample_limit: 9\n"
    "  scrape_protocols: [PrometheusText0.0.4]\n"
    "  authorization: {credentials_file: secret/token}\n"
    "  tls_config: {insecure_skip_verify: true, min_version: TLS12}\n"
    "  file_sd_configs: [{files: [sd/*.json], refresh_interval: 1m}]\n"
    "  kubernetes_sd_configs:\n"
    "  - role: pod\n"
    "    namespaces: {names: [one, two]}\n"
    "    selectors: [{role: pod, label: app=x}]\n"
    "  dns_sd_configs: [{names: [srv.local]}, {names: [a.local], type: a, port: 80}]\n"
    "  http_sd_configs: [{url: 'http://sd/t', follow_redirects: false}]\n"
    "remote_write:\n"
    "- url: http://rw/write\n"
    "  queue_config: {max_shards: 3}\n"
    "  protobuf_message: io.prometheus.write.v2.Request\n"
    "  write_relabel_configs: [{source_labels: [a, b], regex: 'x;(y)', action: keep}]\n"
    "remote_read: [{url: 'https://rr/read', required_matchers: {job: x}}]\n"
    "otlp: {promote_resource_attributes: [service.name], translation_strategy: NoTranslation}\n"
    "storage:\n"
    "  tsdb:\n"
    "    out_of_order_time_window: 30m\n"
    "    retention: {time: 30d, size: 5GB, rules: [{match: '{job=\"debug\"}', keep: 2d}]}\n"
    "  exemplars: {max_exemplars: 5}\n"
    "runtime: {gogc: 50}\n";

static void test_a_full_file_is_read_whole(void **state)
{
    (void)state;
    prom_config *c = good(FULL);
    assert_int_equal(c->scrape_timeout_ms, 5000); /* never longer than the interval */
    assert_true(sx_str_eq(tsdb_labels_get(c->external_labels, SX_STR("region")), SX_STR("eu")));
    assert_true(sx_str_eq(tsdb_labels_get(c->external_labels, SX_STR("cost")), SX_STR("$")));
    assert_int_equal(tsdb_labels_get(c->external_labels, SX_STR("none")).len, 0);
    assert_true(sx_str_eq(c->rule_files[0], SX_STR("dir/rules/*.yml")));
    assert_true(sx_str_eq(c->rule_files[1], SX_STR("/abs/x.yml")));
    assert_int_equal(c->alert_relabel_count, 1);
    assert_int_equal(c->alertmanagers[0].timeout_ms, 10000);

    const prom_scrape_config *a = &c->scrapes[0], *b = &c->scrapes[1];
    assert_int_equal(a->interval_ms, 5000);
    assert_int_equal(a->timeout_ms, 5000);
    assert_true(a->honor_timestamps && a->compression && a->native_histograms);
    assert_int_equal(a->protocols[0], PROM_PROTOCOL_PROTOBUF);
    assert_int_equal(a->limits.samples, 7);
    assert_int_equal(a->discovery_count, 2);
    assert_int_equal(a->discoveries[0].group->target_count, 2);
    assert_int_equal(a->param_count, 3);
    assert_true(a->http.basic_auth.set && !a->http.authorization.set && a->http.enable_http2);
    assert_int_equal(b->timeout_ms, 60000);
    assert_false(b->honor_timestamps);
    assert_int_equal(b->limits.body_bytes, 10 << 20);
    assert_int_equal(b->limits.samples, 9);
    assert_int_equal(b->protocol_count, 1);
    assert_true(sx_str_eq(b->http.authorization.type, SX_STR("Bearer")));
    assert_true(sx_str_eq(b->http.authorization.credentials.file, SX_STR("dir/secret/token")));
    assert_int_equal(b->http.tls.min_version, 0x0303);
    assert_int_equal(b->discovery_count, 5);
    assert_int_equal(b->discoveries[1].kind, PROM_SD_KUBERNETES);
    assert_int_equal(b->discoveries[1].kubernetes.namespace_count, 2);
    assert_int_equal(b->discoveries[2].dns.refresh_ms, 30000);
    assert_int_equal(b->discoveries[3].dns.type, PROM_DNS_A);
    assert_false(b->discoveries[4].http.http.follow_redirects);

    assert_true(c->remote_writes[0].v2 && !c->remote_writes[0].http.enable_http2);
    assert_int_equal(c->remote_writes[0].queue.max_shards, 3);
    assert_int_equal(c->remote_writes[0].queue.capacity, 10000);
    assert_int_equal(c->remote_reads[0].timeout_ms, 60000);
    assert_int_equal(c->otlp.strategy, PROM_OTLP_NONE);
    assert_int_equal(c->storage.out_of_order_ms, 30 * 60000);
    assert_int_equal(c->storage.retention_bytes, INT64_C(5) << 30);
    assert_int_equal(c->storage.rules[0].keep_ms, 2 * 86400000);
    assert_int_equal(c->storage.rules[0].matcher_count, 1);
    assert_int_equal(c->exemplars_max, 5);
    prom_config_unref(c);
}

static void test_what_is_printed_reads_back_and_hides_secrets(void **state)
{
    (void)state;
    prom_config *c = good(FULL);
    sx_buf first, second;
    sx_buf_init(&first, 0);
    sx_buf_init(&second, 0);
    assert_int_equal(prom_config_print(c, &first, NULL), SX_OK);
    prom_config_unref(c);
    sx_buf_byte(&first, 0);
    assert_non_null(strstr(first.data, "password: <secret>"));
    assert_null(strstr(first.data, "password: p"));
    c = good(first.data);
    assert_int_equal(prom_config_print(c, &second, NULL), SX_OK);
    prom_config_unref(c);
    sx_buf_byte(&second, 0);
    /* Paths were resolved once already. */
    char *dir;
    while ((dir = strstr(second.data, "dir/dir/")))
        memmove(dir, dir + 4, strlen(dir + 4) + 1);
    assert_string_equal(second.data, first.data);
    sx_buf_done(&first);
    sx_buf_done(&second);
}

static void test_broken_files_are_refused_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } BAD[] = {
        {"globl: {}", "dir/p.yml:1:1: key \"globl\": unknown field; did you mean \"global\"?"},
        {"global:\n  scrape_interval: 5x\n",
         "dir/p.yml:2:20: key \"global.scrape_interval\": not a valid duration string: \"5x\""},
        {"global: {scrape_interval: 5s, scrape_timeout: 6s}",
         "dir/p.yml:1:9: key \"global\": global scrape timeout greater than scrape interval"},
        {"scrape_configs:\n- job_name: a\n- job_name: a\n",
         "dir/p.yml:3:3: key \"scrape_configs[1]\": found multiple scrape configs with job name "
         "\"a\""},
        {"scrape_configs: [{job_name: ''}]",
         "dir/p.yml:1:18: key \"scrape_configs[0]\": job_name is empty"},
        {"scrape_configs: [null]",
         "dir/p.yml:1:18: key \"scrape_configs[0]\": empty or null scrape "
         "config section"},
        {"scrape_configs: [{job_name: a, static_configs: [{targets: ['http://x']}]}]",
         "dir/p.yml:1:18: key \"scrape_configs[0]\": \"http://x\" is not a valid hostname"},
        {"scrape_configs: [{job_name: a, consul_sd_configs: []}]",
         "dir/p.yml:1:51: key \"scrape_configs[0].consul_sd_configs\": is not supported; static, "
         "file, http, dns and kubernetes discovery are"},
        {"scrape_configs: [{job_name: a, relabel_configs: [{action: hashmod, target_label: x}]}]",
         "dir/p.yml:1:50: key \"scrape_configs[0].relabel_configs[0]\": relabel configuration for "
         "hashmod requires non-zero modulus"},
        {"scrape_configs: [{job_name: a, basic_auth: {username: x}, bearer_token: y}]",
         "dir/p.yml:1:18: key \"scrape_configs[0]\": at most one of basic_auth, oauth2 & "
         "authorization must be configured"},
        {"scrape_configs: [{job_name: a, scrape_interval: 1s, scrape_timeout: 2s}]",
         "dir/p.yml:1:18: key \"scrape_configs[0]\": scrape timeout greater than scrape interval "
         "for scrape config with job name \"a\""},
        {"scrape_configs: [{job_name: a, dns_sd_configs: [{names: [x], type: A}]}]",
         "dir/p.yml:1:49: key \"scrape_configs[0].dns_sd_configs[0]\": a port is required in DNS-SD "
         "configs for all record types except SRV"},
        {"scrape_configs: [{job_name: a, kubernetes_sd_configs: [{}]}]",
         "dir/p.yml:1:56: key \"scrape_configs[0].kubernetes_sd_configs[0]\": role missing (one of: "
         "pod, service, endpoints, endpointslice, node, ingress)"},
        {"scrape_configs: [{job_name: a, params: {module: x}}]",
         "dir/p.yml:1:49: key \"scrape_configs[0].params.module\": expected a list of texts"},
        {"storage: {tsdb: {stale_series_compaction_threshold: 0.5}}",
         "dir/p.yml:1:53: key \"storage.tsdb.stale_series_compaction_threshold\": is not supported; "
         "leave it out: series leave memory with the block that holds their last sample"},
        {"remote_write: [{}]",
         "dir/p.yml:1:16: key \"remote_write[0]\": url for remote_write is empty"},
        {"tracing: {endpoint: x}",
         "dir/p.yml:1:10: key \"tracing\": is not supported; our own spans are sent where "
         "OTEL_EXPORTER_OTLP_ENDPOINT and the otlp.* flags say"},
        {"rule_files: ['a/*/b.yml']",
         "dir/p.yml:1:13: key \"rule_files\": invalid rule file path \"dir/a/*/b.yml\""},
        {"scrape_configs: [{job_name: a, tls_config: {cert_file: x}}]",
         "dir/p.yml:1:44: key \"scrape_configs[0].tls_config\": exactly one of key or key_file must "
         "be configured when a client certificate is configured"},
        {"otlp: {translation_strategy: X}",
         "dir/p.yml:1:30: key \"otlp.translation_strategy\": \"X\" is none of: "
         "UnderscoreEscapingWithSuffixes, NoUTF8EscapingWithSuffixes, "
         "UnderscoreEscapingWithoutSuffixes, NoTranslation"},
        {"- a", "dir/p.yml:1:1: expected a mapping"},
        {"a: [", "dir/p.yml:2:1: did not find expected node content while parsing a flow node"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++) {
        prom_config *c;
        sx_error err = {0};
        if (parse(BAD[i].text, &c, NULL, &err) == SX_OK)
            fail_msg("accepted: %s", BAD[i].text);
        if (strstr(err.message, BAD[i].words) != err.message)
            fail_msg("%s\n  got  %s\n  want %s", BAD[i].text, err.message, BAD[i].words);
    }
}

static void test_all_faults_of_a_file_are_told(void **state)
{
    (void)state;
    prom_config *c;
    sx_buf problems;
    sx_buf_init(&problems, 0);
    assert_int_equal(
        parse("a: 1\nglobal: {b: 2, scrape_interval: x}\nscrape_configs: 5\n", &c, &problems, NULL),
        SX_EFORMAT);
    int lines = 0;
    for (size_t i = 0; i < problems.len; i++)
        lines += problems.data[i] == '\n';
    assert_int_equal(lines, 4);
    sx_buf_done(&problems);
}

static void test_variables_are_expanded_on_request(void **state)
{
    (void)state;
    prom_config *c;
    sx_error err;
    prom_config_options o = {.environment = ENVIRONMENT, .expand_environment = true};
    sx_str text = SX_STR("scrape_configs: [{job_name: 'x-${REGION}', metrics_path: '/a$$b'}]");
    assert_int_equal(prom_config_parse(text, SX_STR("p.yml"), &o, &c, NULL, NULL), SX_OK);
    assert_true(sx_str_eq(c->scrapes[0].job_name, SX_STR("x-eu")));
    assert_true(sx_str_eq(c->scrapes[0].metrics_path, SX_STR("/a$b")));
    prom_config_unref(c);
    text = SX_STR("scrape_configs: [{job_name: '${GONE}'}]");
    assert_int_equal(prom_config_parse(text, SX_STR("p.yml"), &o, &c, NULL, &err), SX_EFORMAT);
    assert_string_equal(err.message, "p.yml:1:29: key \"scrape_configs[0].job_name\": environment "
                                     "variable \"GONE\" is not set");
    o.expand_environment = false;
    assert_int_equal(prom_config_parse(text, SX_STR("p.yml"), &o, &c, NULL, NULL), SX_OK);
    assert_true(sx_str_eq(c->scrapes[0].job_name, SX_STR("${GONE}")));
    prom_config_unref(c);
}

static void test_truncated_files_never_crash(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof FULL; len += 3) {
        char *part = test_malloc(len + 1);
        memcpy(part, FULL, len);
        part[len] = '\0';
        prom_config *c;
        sx_error err = {0};
        if (parse(part, &c, NULL, &err) == SX_OK)
            prom_config_unref(c);
        else
            assert_true(err.message[0] != '\0');
        test_free(part);
    }
}

static void test_every_failing_allocation_is_an_error(void **state)
{
    (void)state;
    for (int64_t n = 1;; n += n < 40 ? 1 : 7) {
        prom_config *c = NULL;
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status st = parse(FULL, &c, NULL, NULL);
        bool through = sx_fault_alloc_calls() < n;
        if (st == SX_OK)
            prom_config_unref(c);
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (through) {
            assert_int_equal(st, SX_OK);
            break;
        }
        assert_int_not_equal(st, SX_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_file_is_all_defaults),
        cmocka_unit_test(test_a_full_file_is_read_whole),
        cmocka_unit_test(test_what_is_printed_reads_back_and_hides_secrets),
        cmocka_unit_test(test_broken_files_are_refused_with_their_place),
        cmocka_unit_test(test_all_faults_of_a_file_are_told),
        cmocka_unit_test(test_variables_are_expanded_on_request),
        cmocka_unit_test(test_truncated_files_never_crash),
        cmocka_unit_test(test_every_failing_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

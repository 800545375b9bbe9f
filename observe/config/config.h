/* config.h - prometheus.yml as structs: what a Prometheus 3 configuration file says, with its defaults.
 *
 * The file is read whole or refused whole. A key that Prometheus does not know is an error in its own
 * words with file, line and key path; a key that it knows and we do not support is a named error too,
 * never silently ignored. Everything lives in the config's arena and is read-only: a reload makes
 * another prom_config and the old one is freed when its last user has left (prom_config_ref/unref).
 * Read by scrape, rules, remote, api and `sextant check`.
 * Source: Prometheus, docs/configuration/configuration.md (3.14). */
#ifndef OBSERVE_CONFIG_CONFIG_H
#define OBSERVE_CONFIG_CONFIG_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

#include "observe/config/relabel.h"
#include "observe/tsdb/labels.h"

/* A secret is printed as <secret> wherever a configuration is shown. */
typedef struct prom_secret {
    sx_str text; /* given inline; empty if not */
    sx_str file; /* path resolved against the configuration's folder; read at each use */
    sx_str ref;  /* name in a secret manager: not supported, refused when read */
} prom_secret;

typedef struct prom_tls_config {
    sx_str ca, cert; /* PEM inline */
    prom_secret key; /* PEM inline or file */
    sx_str ca_file, cert_file;
    sx_str server_name;
    bool insecure_skip_verify;
    uint16_t min_version, max_version; /* 0x0301 (TLS10) ... 0x0304; 0: default */
} prom_tls_config;

typedef struct prom_proxy_config {
    sx_str url, no_proxy; /* url empty: none */
    bool from_environment;
    const tsdb_label *connect_headers; /* proxy_connect_header: name, value; secrets */
    uint32_t connect_header_count;
} prom_proxy_config;

typedef struct prom_http_header {
    sx_str name;
    const sx_str *values, *secrets, *files;
    uint32_t value_count, secret_count, file_count;
} prom_http_header;

/* How a client of ours speaks HTTP: to targets, discovery services, Alertmanagers, remote ends. */
typedef struct prom_http_config {
    struct {
        bool set;
        sx_str username, username_file;
        prom_secret password;
    } basic_auth;
    struct {
        bool set;
        sx_str type; /* "Bearer" */
        prom_secret credentials;
    } authorization;
    struct {
        bool set;
        sx_str client_id;
        prom_secret client_secret;
        const sx_str *scopes;
        uint32_t scope_count;
        sx_str token_url;
        const tsdb_label *endpoint_params; /* in the order of the file */
        uint32_t endpoint_param_count;
        prom_tls_config tls;
        prom_proxy_config proxy;
    } oauth2;
    bool follow_redirects; /* true */
    bool enable_http2;     /* true */
    prom_tls_config tls;
    prom_proxy_config proxy;
    const prom_http_header *headers;
    uint32_t header_count;
} prom_http_config;

/* --- Discovery. */

typedef enum prom_discovery_kind {
    PROM_SD_STATIC,
    PROM_SD_FILE,
    PROM_SD_HTTP,
    PROM_SD_DNS,
    PROM_SD_KUBERNETES,
    PROM_SD_KINDS /* any other key ending in _sd_configs is a named error */
} prom_discovery_kind;

/* Targets that share labels: from the file, a file_sd file, an HTTP answer. */
typedef struct prom_target_group {
    const sx_str *targets;
    uint32_t target_count;
    tsdb_labels labels;
    sx_str source; /* what updates replace: "file.json:0" */
} prom_target_group;

typedef enum prom_dns_type {
    PROM_DNS_SRV,
    PROM_DNS_A,
    PROM_DNS_AAAA,
    PROM_DNS_MX,
    PROM_DNS_NS
} prom_dns_type;

typedef enum prom_kube_role {
    PROM_KUBE_NODE,
    PROM_KUBE_SERVICE,
    PROM_KUBE_POD,
    PROM_KUBE_ENDPOINTS,
    PROM_KUBE_ENDPOINTSLICE,
    PROM_KUBE_INGRESS
} prom_kube_role;

typedef struct prom_kube_selector {
    prom_kube_role role;
    sx_str label, field;
} prom_kube_selector;

typedef struct prom_discovery {
    prom_discovery_kind kind;
    uint32_t line; /* of the configuration file, for messages */
    union {
        const prom_target_group *group; /* STATIC: one */
        struct {
            const sx_str *files; /* patterns, resolved against the configuration's folder */
            uint32_t file_count;
            int64_t refresh_ms; /* 5 min */
        } file;
        struct {
            sx_str url;
            int64_t refresh_ms; /* 1 min */
            prom_http_config http;
        } http;
        struct {
            const sx_str *names;
            uint32_t name_count;
            prom_dns_type type;
            uint16_t port;
            int64_t refresh_ms; /* 30 s */
        } dns;
        struct {
            sx_str api_server; /* empty: in-cluster, or of the kubeconfig */
            prom_kube_role role;
            sx_str kubeconfig_file;
            prom_http_config http;
            const sx_str *namespaces;
            uint32_t namespace_count;
            bool own_namespace;
            const prom_kube_selector *selectors;
            uint32_t selector_count;
            bool attach_node, attach_namespace;
        } kubernetes;
    };
} prom_discovery;

/* --- Scraping. */

typedef enum prom_scrape_protocol {
    PROM_PROTOCOL_NONE,
    PROM_PROTOCOL_PROTOBUF,          /* PrometheusProto */
    PROM_PROTOCOL_OPENMETRICS_0_0_1, /* OpenMetricsText0.0.1 */
    PROM_PROTOCOL_OPENMETRICS_1_0_0,
    PROM_PROTOCOL_TEXT_0_0_4, /* PrometheusText0.0.4 */
    PROM_PROTOCOL_TEXT_1_0_0,
    PROM_PROTOCOLS
} prom_scrape_protocol;

typedef enum prom_name_scheme { PROM_NAMES_UTF8, PROM_NAMES_LEGACY } prom_name_scheme;
typedef enum prom_escaping {
    PROM_ESCAPE_ALLOW_UTF8,
    PROM_ESCAPE_UNDERSCORES,
    PROM_ESCAPE_DOTS,
    PROM_ESCAPE_VALUES
} prom_escaping;

/* What `global` and each scrape_config may both say; a job's is complete, globals filled in. */
typedef struct prom_scrape_limits {
    uint64_t body_bytes; /* 0: no limit */
    uint32_t samples, labels, label_name_bytes, label_value_bytes, targets;
    uint32_t keep_dropped_targets; /* 0: all */
    uint32_t native_histogram_buckets;
    double native_histogram_min_factor;
} prom_scrape_limits;

typedef struct prom_scrape_config {
    sx_str job_name;
    uint32_t line;
    bool honor_labels;
    bool honor_timestamps; /* true */
    bool track_timestamps_staleness;
    const tsdb_label *params; /* name, value; a name may repeat */
    uint32_t param_count;
    int64_t interval_ms, timeout_ms;
    const prom_scrape_protocol *protocols;
    uint32_t protocol_count;
    prom_scrape_protocol fallback_protocol;
    bool native_histograms, classic_histograms_always, classic_to_nhcb, extra_metrics;
    sx_str failure_log_file;
    sx_str metrics_path; /* "/metrics" */
    sx_str scheme;       /* "http" */
    bool compression;    /* true */
    prom_scrape_limits limits;
    prom_name_scheme name_scheme;
    prom_escaping escaping;
    prom_http_config http;
    const prom_discovery *discoveries;
    uint32_t discovery_count;
    const prom_relabel *relabel, *metric_relabel;
    uint32_t relabel_count, metric_relabel_count;
} prom_scrape_config;

/* --- Alertmanagers and remote ends. */

typedef struct prom_alertmanager_config {
    prom_http_config http;
    int64_t timeout_ms;
    sx_str scheme, path_prefix;
    const prom_discovery *discoveries;
    uint32_t discovery_count;
    const prom_relabel *relabel, *alert_relabel;
    uint32_t relabel_count, alert_relabel_count;
} prom_alertmanager_config;

typedef struct prom_remote_write {
    sx_str url, name;
    bool v2; /* protobuf_message io.prometheus.write.v2.Request */
    int64_t timeout_ms;
    const tsdb_label *headers;
    uint32_t header_count;
    const prom_relabel *relabel;
    uint32_t relabel_count;
    bool send_exemplars, send_native_histograms, round_robin_dns;
    bool log_failed; /* failed_request_logging: what was in a 2.0 message that failed */
    struct {
        uint32_t capacity, max_shards, min_shards, max_samples_per_send;
        int64_t batch_send_deadline_ms, min_backoff_ms, max_backoff_ms, sample_age_limit_ms;
        bool retry_on_429;
    } queue;
    struct {
        bool send;
        int64_t interval_ms;
        uint32_t max_samples_per_send;
    } metadata;
    prom_http_config http;
} prom_remote_write;

typedef struct prom_remote_read {
    sx_str url, name;
    int64_t timeout_ms;
    uint64_t chunked_limit; /* bytes of one frame of a streamed response */
    bool read_recent, filter_external_labels;
    const tsdb_label *headers;
    uint32_t header_count;
    tsdb_labels required_matchers;
    prom_http_config http;
} prom_remote_read;

typedef enum prom_otlp_strategy {
    PROM_OTLP_UNDERSCORES_SUFFIXES, /* UnderscoreEscapingWithSuffixes */
    PROM_OTLP_UTF8_SUFFIXES,        /* NoUTF8EscapingWithSuffixes */
    PROM_OTLP_UNDERSCORES,          /* UnderscoreEscapingWithoutSuffixes */
    PROM_OTLP_NONE,                 /* NoTranslation */
} prom_otlp_strategy;

typedef struct prom_otlp_config {
    bool promote_all;
    const sx_str *promote, *ignore; /* resource attributes */
    uint32_t promote_count, ignore_count;
    prom_otlp_strategy strategy;
    bool keep_identifying, to_nhcb, promote_scope, name_sanitization, keep_underscores;
} prom_otlp_config;

/* --- The file. */

typedef struct prom_config {
    sx_str path, folder;
    sx_str text; /* as read */

    int64_t scrape_interval_ms, scrape_timeout_ms, evaluation_interval_ms, rule_query_offset_ms;
    tsdb_labels external_labels;
    sx_str query_log_file;

    const sx_str *rule_files; /* patterns, resolved */
    uint32_t rule_file_count;
    const prom_scrape_config *scrapes; /* those of scrape_config_files too */
    uint32_t scrape_count;
    const prom_alertmanager_config *alertmanagers;
    uint32_t alertmanager_count;
    const prom_relabel *alert_relabel;
    uint32_t alert_relabel_count;
    const prom_remote_write *remote_writes;
    uint32_t remote_write_count;
    const prom_remote_read *remote_reads;
    uint32_t remote_read_count;
    prom_otlp_config otlp;
    struct {
        int64_t out_of_order_ms; /* -1: not said */
        int64_t retention_ms;    /* 0: not said */
        uint64_t retention_bytes;
        double retention_percent;
        bool xor2;
        struct prom_retention_rule { /* ours: retention per matcher */
            const tsdb_matcher *matchers;
            uint32_t matcher_count;
            int64_t keep_ms;
        } const *rules;
        uint32_t rule_count;
    } storage;
    uint32_t exemplars_max;
    const struct config_global *global; /* as it was written: for printing */
    struct config_rule_set *rule_sets;  /* compiled rules, to be freed */
    sx_arena arena;                     /* holds all of it */
    _Atomic uint32_t refs;
} prom_config;

typedef struct prom_config_options {
    bool
        expand_environment; /* ${VAR} in any string, $$ a dollar; an unset one is an error. External
                                labels are always expanded, as Prometheus does (unset: empty) */
    const char *const *environment; /* as environ; NULL: none */
    bool agent;                     /* agent mode forbids rules, alerting, remote_read */
    uint64_t bytes_max;             /* of the file; 0: 16 MiB */
    bool extra_metrics;             /* what global.extra_scrape_metrics is where it is not said */
} prom_config_options;

/* Reads and checks a file (or, with `text`, what would be in it). *out has one reference.
 *   errors  SX_EFORMAT, SX_EINVAL "FILE:LINE:COL: ..." ; SX_ENOTFOUND, SX_EIO; SX_ENOMEM.
 *   All faults of the file are reported, up to 20, a line each. */
sx_status prom_config_load(const char *path, const prom_config_options *options, prom_config **out,
                           sx_buf *problems, sx_error *err);
sx_status prom_config_parse(sx_str text, sx_str path, const prom_config_options *options,
                            prom_config **out, sx_buf *problems, sx_error *err);
prom_config *prom_config_ref(prom_config *c);
void prom_config_unref(prom_config *c);

/* The file as /api/v1/status/config shows it: every default written out, secrets masked. */
sx_status prom_config_print(const prom_config *c, sx_buf *out, sx_error *err);

/* "static", "file" ... */
sx_str prom_discovery_name(prom_discovery_kind kind);

/* One job of it, in the same way. Failure sticks to the buffer. */
void prom_scrape_print(const prom_scrape_config *job, sx_buf *out);

/* The credentials as they are now: reads the file if it is one (a final newline is cut). Into `out`. */
sx_status prom_secret_read(const prom_secret *s, sx_buf *out, sx_error *err);

#endif

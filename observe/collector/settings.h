/* settings.h - an OpenTelemetry Collector's configuration as structs.
 *
 * Read by settings.c with the bind tables (observe/config/bind.h), so a field that is not known is a
 * named error with its line, as is a component of another kind. Every field of the components that are
 * supported is here, with the Collector's name and default; a processor's and a connector's own are
 * behind a table beside their code (processor.h, connector.h). ${env:NAME}, ${NAME} and
 * ${env:NAME:-default} are replaced before anything is read. All of it lives in the settings' arena,
 * read-only and counted by references: a reload makes new ones.
 * Source: OpenTelemetry Collector 0.140, docs of the components. */
#ifndef OBSERVE_COLLECTOR_SETTINGS_H
#define OBSERVE_COLLECTOR_SETTINGS_H

#include <sextant/regex.h>

#include "observe/config/bind.h"
#include "observe/config/config.h"

/* Names: "otlp", "otlp/2": kind and the rest. */
typedef struct component_id {
    sx_str kind, name; /* name: the whole */
    uint32_t line;
} component_id;

typedef struct retry_settings {
    bool enabled;                                        /* true */
    int64_t initial_ms, max_interval_ms, max_elapsed_ms; /* 5 s, 30 s, 5 min; 0: for ever */
    double multiplier, randomization;                    /* 1.5, 0.5 */
} retry_settings;

typedef struct queue_settings {
    bool enabled;           /* true */
    int64_t size;           /* 1000, in units of `sizer` */
    int64_t consumers;      /* 10; here the requests under way at a time */
    sx_str sizer;           /* requests, items or bytes */
    bool block_on_overflow; /* refused: a pipeline is never held up */
    uint64_t bytes_max;     /* ours: 64 MiB */
} queue_settings;

typedef struct tls_settings {
    bool insecure, insecure_skip_verify;
    sx_str ca_file, cert_file, key_file, server_name;
} tls_settings;

typedef struct header_setting {
    sx_str name, value;
} header_setting;

typedef enum exporter_kind {
    EXPORT_OTLP,     /* gRPC: "otlp", "otlp_grpc" */
    EXPORT_OTLPHTTP, /* "otlphttp", "otlp_http" */
    EXPORT_ELASTICSEARCH,
    EXPORT_KAFKA,
    EXPORT_FILE,
    EXPORT_DEBUG, /* "debug", "logging" */
    EXPORT_NOP,
    EXPORT_KINDS
} exporter_kind;

typedef struct exporter_settings {
    component_id id;
    exporter_kind kind;
    /* otlp, otlphttp */
    sx_str endpoint, traces_endpoint, compression, encoding;
    header_setting *headers;
    size_t header_count;
    tls_settings tls;
    bool tls_set; /* kafka: the key is there */
    int64_t timeout_ms;
    retry_settings retry;
    queue_settings queue;
    /* elasticsearch */
    sx_str *endpoints; /* also Kafka's brokers */
    size_t endpoint_count;
    sx_str index, user, password, api_key;
    int64_t flush_ms, flush_bytes;
    /* kafka */
    sx_str topic, client_id, required_acks;
    bool partition_by_trace;
    /* file */
    sx_str path, format;
    bool append, create_folder; /* append: what is there already stays */
    int64_t rotate_bytes, rotate_days, rotate_backups;
    /* debug */
    sx_str verbosity;
    int64_t sampling_initial, sampling_thereafter;
} exporter_settings;

/* --- Receivers: listeners, in the order of observe/api/receive.h's kinds, and Kafka. */

typedef enum receiver_protocol {
    LISTEN_OTLP_GRPC,
    LISTEN_OTLP_HTTP,
    LISTEN_JAEGER_GRPC,
    LISTEN_JAEGER_HTTP,
    LISTEN_ZIPKIN,
    LISTEN_JAEGER_COMPACT,
    LISTEN_JAEGER_BINARY,
    LISTEN_PROTOCOLS
} receiver_protocol;

typedef struct listen_settings {
    bool on;
    uint32_t line;
    sx_str address;   /* "localhost:4317"; an empty host is every address */
    tls_settings tls; /* cert_file empty: none; ca_file: of clients */
    bool tls_set;
    uint64_t body_bytes_max; /* max_recv_msg_size_mib, max_request_body_size; 0: ours */
    sx_str traces_path;      /* traces_url_path: /v1/traces */
} listen_settings;

typedef struct kafka_receiver_settings {
    const sx_str *brokers; /* localhost:9092 */
    uint32_t broker_count;
    sx_str topic; /* otlp_spans */
    sx_str
        encoding; /* otlp_proto, otlp_json, jaeger_proto, zipkin_proto, zipkin_json, zipkin_thrift */
    sx_str group_id, client_id, initial_offset; /* otel-collector, otel-collector, latest */
    int64_t auto_commit_ms;                     /* autocommit.interval: 1 s */
    tls_settings tls;
    bool tls_set; /* the key is there */
    sx_str sasl_mechanism, sasl_user, sasl_password;
} kafka_receiver_settings;

typedef struct receiver_settings {
    component_id id;
    bool used; /* by a pipeline; else it is not opened */
    listen_settings listen[LISTEN_PROTOCOLS];
    const kafka_receiver_settings *kafka; /* NULL: it is none */
} receiver_settings;

/* --- What stands between: its kind and what that kind's table has read (processor.h, connector.h). */

typedef struct processor_settings {
    component_id id;
    const struct processor_kind *kind;
    const void *settings;
} processor_settings;

typedef struct connector_settings {
    component_id id;
    const struct span_connector_kind *kind;
    const void *settings;
} connector_settings;

/* --- Pipelines. */

typedef struct pipeline_settings {
    component_id id;
    const uint32_t *receivers, *processors, *exporters, *connectors; /* indices, in their order */
    uint32_t receiver_count, processor_count, exporter_count, connector_count;
} pipeline_settings;

typedef struct health_settings {
    bool on;
    sx_str address; /* localhost:13133 */
    sx_str path;    /* "/" */
} health_settings;

typedef struct collector_settings {
    sx_str path;
    const receiver_settings *receivers;
    const processor_settings *processors;
    const connector_settings *connectors;
    const exporter_settings *exporters;
    const pipeline_settings *pipelines; /* of traces */
    uint32_t receiver_count, processor_count, connector_count, exporter_count, pipeline_count;
    health_settings health;
    sx_str log_level;       /* service::telemetry, checked; --log.level is what counts */
    const sx_str *warnings; /* "FILE:LINE:COL: …": taken, but without meaning here */
    uint32_t warning_count;
    sx_regex **regexes; /* freed with the settings */
    size_t regex_count, regex_cap;
    sx_arena arena;
    _Atomic uint32_t refs;
} collector_settings;

typedef struct collector_settings_options {
    const char *const *environment; /* as environ; NULL: none */
    uint64_t bytes_max;             /* of the file; 0: 16 MiB */
} collector_settings_options;

/* Reads and checks a file (or, with `text`, what would be in it). *out has one reference. `problems`
 * (may be NULL) gets all faults, a line each.
 *   errors  SX_EFORMAT "FILE:LINE:COL: …"; SX_ENOTFOUND, SX_EIO; SX_ENOMEM */
sx_status collector_settings_load(const char *path, const collector_settings_options *options,
                                  collector_settings **out, sx_buf *problems, sx_error *err);
sx_status collector_settings_parse(sx_str text, sx_str path,
                                   const collector_settings_options *options,
                                   collector_settings **out, sx_buf *problems, sx_error *err);
collector_settings *collector_settings_ref(collector_settings *s);
void collector_settings_unref(collector_settings *s);

/* --- For the tables of components. */

/* Rows with .read = settings_ms: an int64_t of milliseconds from Go's durations ("1m30s", "200ms",
 * "1.5h", "500us"; a bare number is nanoseconds, as it is to the Collector). */
sx_status settings_ms(bind *b, const sx_yaml_node *value, void *target, const bind_field *f);
/* The same in nanoseconds. False: it is none. */
bool settings_go_duration(sx_str text, int64_t *ns);
/* An int64_t of either sign. */
sx_status settings_i64(bind *b, const sx_yaml_node *value, void *target, const bind_field *f);

/* Compiles an expression that lives as long as the settings; a fault at `node` if it is none. */
sx_status settings_regex(bind *b, const sx_yaml_node *node, sx_str pattern, unsigned flags,
                         const sx_regex **out);

/* Notes a warning at `node`. */
sx_status settings_warn(bind *b, const sx_yaml_node *node, const char *fmt, ...) SX_PRINTF(3, 4);

/* The tables of exporters (settings_export.c). */
extern const bind_table *const SETTINGS_EXPORTERS[EXPORT_KINDS];

#endif

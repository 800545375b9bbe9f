/* settings_export.c - the tables of exporters: what the Collector calls each field, and its default.
 *
 * Sources: OpenTelemetry Collector 0.140: exporterhelper, configgrpc, confighttp, configtls, configretry;
 * otlpexporter, otlphttpexporter, debugexporter; contrib: elasticsearchexporter, kafkaexporter,
 * fileexporter. */
#include "observe/collector/settings_impl.h"

#define E(member) offsetof(exporter_settings, member)
#define Q(member) offsetof(queue_settings, member)
#define R(member) offsetof(retry_settings, member)
#define T(member) offsetof(tls_settings, member)

/* --- Parts. */

static void default_retry(void *target)
{
    *(retry_settings *)target = (retry_settings){.enabled = true,
                                                 .initial_ms = 5000,
                                                 .max_interval_ms = 30 * 1000,
                                                 .max_elapsed_ms = 300 * 1000,
                                                 .multiplier = 1.5,
                                                 .randomization = 0.5};
}

static sx_status check_retry(bind *b, const sx_yaml_node *map, void *target)
{
    const retry_settings *r = target;
    if (r->initial_ms < 0 || r->max_interval_ms < 0 || r->max_elapsed_ms < 0)
        return bind_fault(b, map, "intervals must not be negative");
    if (!(r->randomization >= 0 && r->randomization <= 1))
        return bind_fault(b, map, "'randomization_factor' must be within [0, 1]");
    if (!(r->multiplier >= 0 && r->multiplier <= 1e6))
        return bind_fault(b, map, "'multiplier' must not be negative");
    if (r->max_elapsed_ms && r->max_elapsed_ms < r->initial_ms)
        return bind_fault(b, map, "'max_elapsed_time' must not be less than 'initial_interval'");
    if (r->max_elapsed_ms && r->max_elapsed_ms < r->max_interval_ms)
        return bind_fault(b, map, "'max_elapsed_time' must not be less than 'max_interval'");
    return SX_OK;
}

static const bind_field RETRY_FIELDS[] = {
    {.key = "enabled", .kind = BIND_BOOL, .at = R(enabled)},
    {.key = "initial_interval", .kind = BIND_CUSTOM, .read = settings_ms, .at = R(initial_ms)},
    {.key = "max_interval", .kind = BIND_CUSTOM, .read = settings_ms, .at = R(max_interval_ms)},
    {.key = "max_elapsed_time", .kind = BIND_CUSTOM, .read = settings_ms, .at = R(max_elapsed_ms)},
    {.key = "multiplier", .kind = BIND_DOUBLE, .at = R(multiplier)},
    {.key = "randomization_factor", .kind = BIND_DOUBLE, .at = R(randomization)},
    {0}};
static const bind_table RETRY = {.fields = RETRY_FIELDS,
                                 .size = sizeof(retry_settings),
                                 .defaults = default_retry,
                                 .check = check_retry};

static void default_queue(void *target)
{
    *(queue_settings *)target = (queue_settings){.enabled = true,
                                                 .size = 1000,
                                                 .consumers = 10,
                                                 .sizer = SX_STR("requests"),
                                                 .bytes_max = 64 << 20};
}

static sx_status check_queue(bind *b, const sx_yaml_node *map, void *target)
{
    const queue_settings *q = target;
    if (q->enabled && q->size <= 0)
        return bind_fault(b, map, "`queue_size` must be positive");
    if (q->enabled && (q->consumers <= 0 || q->consumers > 1000))
        return bind_fault(b, map, "`num_consumers` must be from 1 to 1000");
    if (q->block_on_overflow)
        return bind_fault(b, map,
                          "block_on_overflow is not supported, an exporter never holds up a "
                          "pipeline; leave it out and give queue_size room");
    if (!sx_str_eq(q->sizer, SX_STR("requests")) && !sx_str_eq(q->sizer, SX_STR("items")) &&
        !sx_str_eq(q->sizer, SX_STR("bytes")))
        return bind_fault(b, map, "sizer \"%.*s\" is none of: requests, items, bytes",
                          SX_ARG(sx_str_first(q->sizer, 60)));
    return SX_OK;
}

static const bind_field QUEUE_FIELDS[] = {
    {.key = "enabled", .kind = BIND_BOOL, .at = Q(enabled)},
    {.key = "num_consumers", .kind = BIND_U64, .at = Q(consumers)},
    {.key = "queue_size", .kind = BIND_U64, .at = Q(size)},
    {.key = "sizer", .kind = BIND_STR, .at = Q(sizer)},
    {.key = "block_on_overflow", .kind = BIND_BOOL, .at = Q(block_on_overflow)},
    {.key = "wait_for_result",
     .kind = BIND_REFUSED,
     .note = "an exporter never holds up a pipeline"},
    {.key = "storage", .kind = BIND_REFUSED, .note = "the spans are in this server's own store"},
    {.key = "batch", .kind = BIND_REFUSED, .note = "put the processor batch into the pipeline"},
    {0}};
static const bind_table QUEUE = {.fields = QUEUE_FIELDS,
                                 .size = sizeof(queue_settings),
                                 .defaults = default_queue,
                                 .check = check_queue};

static const bind_field TLS_FIELDS[] = {
    {.key = "insecure", .kind = BIND_BOOL, .at = T(insecure)},
    {.key = "insecure_skip_verify", .kind = BIND_BOOL, .at = T(insecure_skip_verify)},
    {.key = "server_name_override", .kind = BIND_STR, .at = T(server_name)},
    {.key = "ca_file", .kind = BIND_PATH, .at = T(ca_file)},
    {.key = "ca_pem", .kind = BIND_REFUSED, .note = "name a file with ca_file"},
    SETTINGS_TLS_ROWS,
    {0}};
const bind_table SETTINGS_TLS = {.fields = TLS_FIELDS, .size = sizeof(tls_settings)};

/* A mapping of names to values, or a list of {name, value}. */
static sx_status read_headers(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    exporter_settings *e = target;
    (void)f;
    if (value->kind == SX_YAML_SCALAR)
        return bind_fault(b, value, "expected a mapping of texts");
    e->headers = sx_arena_calloc(b->arena, value->count ? value->count : 1, sizeof(*e->headers));
    if (!e->headers)
        return settings_no_memory(b);
    e->header_count = value->count;
    for (uint32_t i = 0; i < value->count; i++) {
        const sx_yaml_node *of = NULL;
        sx_status st = SX_OK;
        if (value->kind == SX_YAML_MAPPING) {
            e->headers[i].name = value->pairs[i].key->scalar;
            of = value->pairs[i].value;
        } else {
            const sx_yaml_node *name = sx_yaml_get(value->items[i], SX_STR("name"));
            of = sx_yaml_get(value->items[i], SX_STR("value"));
            if (!name || !of)
                return bind_fault(b, value->items[i], "a header is {name: …, value: …}");
            st = bind_text(b, name, &e->headers[i].name);
        }
        if (st == SX_OK)
            st = bind_text(b, of, &e->headers[i].value);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

static sx_status read_endpoints(bind *b, const sx_yaml_node *value, void *target,
                                const bind_field *f)
{
    struct {
        const sx_str *items;
        uint32_t count;
    } list = {0};
    exporter_settings *e = target;
    bind_field texts = {.key = f->key,
                        .kind = BIND_STRS,
                        .count_at = (size_t)((char *)&list.count - (char *)&list)};
    sx_status st = bind_read_field(b, &texts, value, &list);
    if (st != SX_OK)
        return st;
    e->endpoints = (sx_str *)(uintptr_t)list.items; /* the arena's, nobody else's */
    e->endpoint_count = list.count;
    return SX_OK;
}

#define COMMON                                                                                     \
    {.key = "timeout", .kind = BIND_CUSTOM, .read = settings_ms, .at = E(timeout_ms)},             \
        {.key = "retry_on_failure", .kind = BIND_STRUCT, .at = E(retry), .table = &RETRY},         \
    {                                                                                              \
        .key = "sending_queue", .kind = BIND_STRUCT, .at = E(queue), .table = &QUEUE               \
    }
#define HTTP_CLIENT                                                                                \
    {.key = "endpoint", .kind = BIND_STR, .at = E(endpoint)},                                      \
        {.key = "tls", .kind = BIND_STRUCT, .at = E(tls), .table = &SETTINGS_TLS},                 \
        {.key = "headers", .kind = BIND_CUSTOM, .read = read_headers},                             \
        {.key = "compression", .kind = BIND_STR, .at = E(compression)},                            \
        {.key = "compression_params", .kind = BIND_NOTHING},                                       \
        {.key = "read_buffer_size", .kind = BIND_NOTHING},                                         \
        {.key = "write_buffer_size", .kind = BIND_NOTHING},                                        \
        {.key = "max_idle_conns", .kind = BIND_NOTHING},                                           \
        {.key = "max_idle_conns_per_host", .kind = BIND_NOTHING},                                  \
        {.key = "max_conns_per_host", .kind = BIND_NOTHING},                                       \
        {.key = "idle_conn_timeout", .kind = BIND_NOTHING},                                        \
        {.key = "disable_keep_alives", .kind = BIND_NOTHING},                                      \
        {.key = "http2_read_idle_timeout", .kind = BIND_NOTHING},                                  \
        {.key = "http2_ping_timeout", .kind = BIND_NOTHING},                                       \
        {.key = "force_attempt_http2", .kind = BIND_NOTHING},                                      \
        {.key = "proxy_url", .kind = BIND_REFUSED, .note = "reach the receiver without a proxy"},  \
        {.key = "cookies", .kind = BIND_REFUSED, .note = "send the cookie as one of headers"},     \
        {.key = "middlewares", .kind = BIND_REFUSED, .note = "leave it out"},                      \
        {.key = "auth",                                                                            \
         .kind = BIND_REFUSED,                                                                     \
         .note = "send the credentials as one of headers (authorization)"}

static sx_status check_compression(bind *b, const sx_yaml_node *map, sx_str given)
{
    static const char *const KNOWN[] = {"", "none", "gzip", "zstd", "snappy", "zlib", "deflate"};
    for (size_t i = 0; i < SX_COUNT_OF(KNOWN); i++)
        if (sx_str_eq(given, sx_str_z(KNOWN[i])))
            return SX_OK;
    return bind_fault(b, map,
                      "compression \"%.*s\" is none of: gzip, zstd, snappy, zlib, deflate, none",
                      SX_ARG(sx_str_first(given, 60)));
}

static sx_status check_tls(bind *b, const sx_yaml_node *map, const tls_settings *t)
{
    if ((t->cert_file.len == 0) != (t->key_file.len == 0))
        return bind_fault(b, map, "tls: provide both cert_file and key_file, or neither");
    return SX_OK;
}

/* --- otlp */

static void default_otlp(void *target)
{
    exporter_settings *e = target;
    e->timeout_ms = 5000;
    e->compression = SX_STR("gzip");
}

static sx_status check_otlp(bind *b, const sx_yaml_node *map, void *target)
{
    const exporter_settings *e = target;
    if (e->endpoint.len == 0)
        return bind_fault(b, map, "requires a non-empty \"endpoint\", as host:port");
    sx_status st = check_compression(b, map, e->compression);
    return st == SX_OK ? check_tls(b, map, &e->tls) : st;
}

static const bind_field OTLP_FIELDS[] = {
    {.key = "endpoint", .kind = BIND_STR, .at = E(endpoint)},
    {.key = "tls", .kind = BIND_STRUCT, .at = E(tls), .table = &SETTINGS_TLS},
    {.key = "headers", .kind = BIND_CUSTOM, .read = read_headers},
    {.key = "compression", .kind = BIND_STR, .at = E(compression)},
    {.key = "keepalive", .kind = BIND_NOTHING},
    {.key = "read_buffer_size", .kind = BIND_NOTHING},
    {.key = "write_buffer_size", .kind = BIND_NOTHING},
    {.key = "wait_for_ready", .kind = BIND_NOTHING},
    {.key = "balancer_name", .kind = BIND_NOTHING},
    {.key = "authority", .kind = BIND_REFUSED, .note = "name the host in endpoint"},
    {.key = "middlewares", .kind = BIND_REFUSED, .note = "leave it out"},
    {.key = "auth",
     .kind = BIND_REFUSED,
     .note = "send the credentials as one of headers (authorization)"},
    COMMON,
    {0}};
static const bind_table OTLP = {.fields = OTLP_FIELDS,
                                .size = sizeof(exporter_settings),
                                .defaults = default_otlp,
                                .check = check_otlp};

/* --- otlphttp */

static void default_otlphttp(void *target)
{
    exporter_settings *e = target;
    e->timeout_ms = 30 * 1000;
    e->compression = SX_STR("gzip");
    e->encoding = SX_STR("proto");
}

static bool is_http_url(sx_str url)
{
    size_t scheme = sx_str_starts(url, SX_STR("http://"))    ? 7
                    : sx_str_starts(url, SX_STR("https://")) ? 8
                                                             : 0;
    return scheme && url.len > scheme;
}

static sx_status check_otlphttp(bind *b, const sx_yaml_node *map, void *target)
{
    const exporter_settings *e = target;
    if (e->endpoint.len == 0 && e->traces_endpoint.len == 0)
        return bind_fault(b, map, "at least one endpoint must be specified: \"endpoint\"");
    if ((e->endpoint.len && !is_http_url(e->endpoint)) ||
        (e->traces_endpoint.len && !is_http_url(e->traces_endpoint)))
        return bind_fault(b, map, "an endpoint must be a URL with http:// or https://");
    if (!sx_str_eq(e->encoding, SX_STR("proto")) && !sx_str_eq(e->encoding, SX_STR("json")))
        return bind_fault(b, map, "encoding \"%.*s\" is none of: proto, json",
                          SX_ARG(sx_str_first(e->encoding, 60)));
    sx_status st = check_compression(b, map, e->compression);
    return st == SX_OK ? check_tls(b, map, &e->tls) : st;
}

static const bind_field OTLPHTTP_FIELDS[] = {
    HTTP_CLIENT,
    {.key = "traces_endpoint", .kind = BIND_STR, .at = E(traces_endpoint)},
    {.key = "metrics_endpoint", .kind = BIND_NOTHING},
    {.key = "logs_endpoint", .kind = BIND_NOTHING},
    {.key = "profiles_endpoint", .kind = BIND_NOTHING},
    {.key = "encoding", .kind = BIND_STR, .at = E(encoding)},
    COMMON,
    {0}};
static const bind_table OTLPHTTP = {.fields = OTLPHTTP_FIELDS,
                                    .size = sizeof(exporter_settings),
                                    .defaults = default_otlphttp,
                                    .check = check_otlphttp};

/* --- elasticsearch */

static void default_elasticsearch(void *target)
{
    exporter_settings *e = target;
    e->timeout_ms = 90 * 1000;
    e->compression = SX_STR("gzip");
    e->flush_ms = 10 * 1000;
    e->flush_bytes = 5 * 1000 * 1000;
}

static sx_status check_elasticsearch(bind *b, const sx_yaml_node *map, void *target)
{
    exporter_settings *e = target;
    if (e->endpoint.len && e->endpoint_count)
        return bind_fault(b, map, "give endpoint or endpoints, not both");
    if (e->endpoint.len) {
        e->endpoints = sx_arena_calloc(b->arena, 1, sizeof(*e->endpoints));
        if (!e->endpoints)
            return settings_no_memory(b);
        e->endpoints[0] = e->endpoint;
        e->endpoint_count = 1;
    }
    if (e->endpoint_count == 0)
        return bind_fault(b, map, "requires \"endpoints\": at least one URL");
    for (size_t i = 0; i < e->endpoint_count; i++)
        if (!is_http_url(e->endpoints[i]))
            return bind_fault(b, map, "endpoint \"%.*s\" must be a URL with http:// or https://",
                              SX_ARG(sx_str_first(e->endpoints[i], 80)));
    if (e->api_key.len && e->user.len)
        return bind_fault(b, map, "give api_key or user and password, not both");
    sx_status st = check_compression(b, map, e->compression);
    return st == SX_OK ? check_tls(b, map, &e->tls) : st;
}

/* The Collector's own name of an index of traces wins over the older one, which it had for all. */
static sx_status read_traces_index(bind *b, const sx_yaml_node *value, void *target,
                                   const bind_field *f)
{
    (void)f;
    return bind_text(b, value, &((exporter_settings *)target)->index);
}

static const bind_field FLUSH_FIELDS[] = {
    {.key = "bytes", .kind = BIND_U64, .at = E(flush_bytes)},
    {.key = "interval", .kind = BIND_CUSTOM, .read = settings_ms, .at = E(flush_ms)},
    {0}};
static const bind_table FLUSH = {.fields = FLUSH_FIELDS};
static const bind_field ES_RETRY_FIELDS[] = {
    {.key = "enabled", .kind = BIND_BOOL, .at = E(retry.enabled)},
    {.key = "initial_interval",
     .kind = BIND_CUSTOM,
     .read = settings_ms,
     .at = E(retry.initial_ms)},
    {.key = "max_interval",
     .kind = BIND_CUSTOM,
     .read = settings_ms,
     .at = E(retry.max_interval_ms)},
    {.key = "max_requests",
     .kind = BIND_REFUSED,
     .note = "bound the tries by retry_on_failure: {max_elapsed_time: …}"},
    {.key = "max_retries",
     .kind = BIND_REFUSED,
     .note = "bound the tries by retry_on_failure: {max_elapsed_time: …}"},
    {.key = "retry_on_status",
     .kind = BIND_REFUSED,
     .note = "429, 502, 503 and 504 are tried again"},
    {0}};
static const bind_table ES_RETRY = {.fields = ES_RETRY_FIELDS};

static const bind_field ELASTICSEARCH_FIELDS[] = {
    HTTP_CLIENT,
    {.key = "endpoints", .kind = BIND_CUSTOM, .read = read_endpoints},
    {.key = "cloudid", .kind = BIND_REFUSED, .note = "name the endpoints"},
    {.key = "index", .kind = BIND_STR, .at = E(index)},
    {.key = "traces_index", .kind = BIND_CUSTOM, .read = read_traces_index},
    {.key = "logs_index", .kind = BIND_NOTHING},
    {.key = "metrics_index", .kind = BIND_NOTHING},
    {.key = "traces_dynamic_index",
     .kind = BIND_REFUSED,
     .note = "documents go to the daily indices of Jaeger; name their prefix with index"},
    {.key = "logs_dynamic_index", .kind = BIND_NOTHING},
    {.key = "metrics_dynamic_index", .kind = BIND_NOTHING},
    {.key = "user", .kind = BIND_STR, .at = E(user)},
    {.key = "password", .kind = BIND_STR, .at = E(password)},
    {.key = "api_key", .kind = BIND_STR, .at = E(api_key)},
    {.key = "flush", .kind = BIND_STRUCT, .table = &FLUSH},
    {.key = "retry", .kind = BIND_STRUCT, .table = &ES_RETRY},
    {.key = "num_workers", .kind = BIND_U64, .at = E(queue.consumers)},
    {.key = "mapping", .kind = BIND_REFUSED, .note = "documents are those of Jaeger; leave it out"},
    {.key = "discover", .kind = BIND_REFUSED, .note = "name the endpoints"},
    {.key = "telemetry", .kind = BIND_NOTHING},
    {.key = "pipeline", .kind = BIND_REFUSED, .note = "set the pipeline on the index"},
    {.key = "logstash_format",
     .kind = BIND_REFUSED,
     .note = "documents go to the daily indices of Jaeger; name their prefix with index"},
    COMMON,
    {0}};
static const bind_table ELASTICSEARCH = {.fields = ELASTICSEARCH_FIELDS,
                                         .size = sizeof(exporter_settings),
                                         .defaults = default_elasticsearch,
                                         .check = check_elasticsearch};

/* --- kafka */

static void default_kafka(void *target)
{
    exporter_settings *e = target;
    e->timeout_ms = 5000;
    e->topic = SX_STR("otlp_spans");
    e->encoding = SX_STR("otlp_proto");
    e->client_id = SX_STR("otel-collector");
    e->required_acks = SX_STR("1");
}

static sx_status check_kafka(bind *b, const sx_yaml_node *map, void *target)
{
    exporter_settings *e = target;
    if (e->endpoint_count == 0) {
        e->endpoints = sx_arena_calloc(b->arena, 1, sizeof(*e->endpoints));
        if (!e->endpoints)
            return settings_no_memory(b);
        e->endpoints[0] = SX_STR("localhost:9092");
        e->endpoint_count = 1;
    }
    if (!sx_str_eq(e->encoding, SX_STR("otlp_proto")) &&
        !sx_str_eq(e->encoding, SX_STR("otlp_json")))
        return bind_fault(b, map,
                          "encoding \"%.*s\" is not written; there are otlp_proto and otlp_json",
                          SX_ARG(sx_str_first(e->encoding, 60)));
    if (e->tls.server_name.len)
        return bind_fault(b, map, "tls: server_name_override is not supported by librdkafka");
    return check_tls(b, map, &e->tls);
}

static const bind_field KAFKA_SIGNAL_FIELDS[] = {
    {.key = "topic", .kind = BIND_STR, .at = E(topic)},
    {.key = "encoding", .kind = BIND_STR, .at = E(encoding)},
    {0}};
static const bind_table KAFKA_SIGNAL = {.fields = KAFKA_SIGNAL_FIELDS};
static const bind_field PRODUCER_FIELDS[] = {
    {.key = "max_message_bytes", .kind = BIND_NOTHING},
    {.key = "required_acks", .kind = BIND_STR, .at = E(required_acks)},
    {.key = "compression", .kind = BIND_STR, .at = E(compression)},
    {.key = "compression_params", .kind = BIND_NOTHING},
    {.key = "flush_max_messages", .kind = BIND_NOTHING},
    {.key = "allow_auto_topic_creation", .kind = BIND_NOTHING},
    {.key = "linger", .kind = BIND_NOTHING},
    {0}};
static const bind_table PRODUCER = {.fields = PRODUCER_FIELDS};

static const bind_field KAFKA_FIELDS[] = {
    {.key = "brokers", .kind = BIND_CUSTOM, .read = read_endpoints},
    {.key = "client_id", .kind = BIND_STR, .at = E(client_id)},
    {.key = "topic", .kind = BIND_STR, .at = E(topic)},
    {.key = "encoding", .kind = BIND_STR, .at = E(encoding)},
    {.key = "traces", .kind = BIND_STRUCT, .table = &KAFKA_SIGNAL},
    {.key = "topic_from_attribute", .kind = BIND_REFUSED, .note = "name one topic"},
    {.key = "topic_from_metadata_key", .kind = BIND_REFUSED, .note = "name one topic"},
    {.key = "include_metadata_keys", .kind = BIND_NOTHING},
    {.key = "partition_traces_by_id", .kind = BIND_BOOL, .at = E(partition_by_trace)},
    {.key = "partition_metrics_by_resource_attributes", .kind = BIND_NOTHING},
    {.key = "partition_logs_by_resource_attributes", .kind = BIND_NOTHING},
    {.key = "partition_logs_by_trace_id", .kind = BIND_NOTHING},
    {.key = "auth", .kind = BIND_REFUSED, .note = "reach brokers that ask for no credentials"},
    SETTINGS_TLS_SET(E(tls), E(tls_set)),
    SETTINGS_KAFKA_ROWS,
    {.key = "producer", .kind = BIND_STRUCT, .table = &PRODUCER},
    COMMON,
    {0}};
static const bind_table KAFKA = {.fields = KAFKA_FIELDS,
                                 .size = sizeof(exporter_settings),
                                 .defaults = default_kafka,
                                 .check = check_kafka};

/* --- file */

static void default_file(void *target)
{
    exporter_settings *e = target;
    e->format = SX_STR("json");
    e->flush_ms = 1000;
}

enum { ROTATE_DAYS_MAX = 36500 };

static sx_status check_file(bind *b, const sx_yaml_node *map, void *target)
{
    const exporter_settings *e = target;
    if (e->path.len == 0)
        return bind_fault(b, map, "\"path\" must be non-empty");
    if (!sx_str_eq(e->format, SX_STR("json")) && !sx_str_eq(e->format, SX_STR("proto")))
        return bind_fault(b, map, "format \"%.*s\" is none of: json, proto",
                          SX_ARG(sx_str_first(e->format, 60)));
    if (e->rotate_days > ROTATE_DAYS_MAX)
        return bind_fault(b, map, "rotation: max_days is at most %d", ROTATE_DAYS_MAX);
    if (e->compression.len && !sx_str_eq(e->compression, SX_STR("zstd")))
        return bind_fault(b, map, "compression \"%.*s\" is not supported; write zstd or nothing",
                          SX_ARG(sx_str_first(e->compression, 60)));
    return SX_OK;
}

static sx_status read_megabytes(bind *b, const sx_yaml_node *value, void *target,
                                const bind_field *f)
{
    int64_t megabytes;
    sx_error err;
    if (sx_yaml_i64(value, 0, INT64_C(1) << 40, &megabytes, &err) != SX_OK)
        return bind_fault(b, value, "expected a number of megabytes");
    *(int64_t *)(void *)((char *)target + f->at) = megabytes << 20;
    return SX_OK;
}

static void default_rotation(void *target)
{
    exporter_settings *e = target;
    e->rotate_bytes = 100 << 20;
    e->rotate_backups = 100;
}

static const bind_field ROTATION_FIELDS[] = {
    {.key = "max_megabytes", .kind = BIND_CUSTOM, .read = read_megabytes, .at = E(rotate_bytes)},
    {.key = "max_days", .kind = BIND_U64, .at = E(rotate_days)},
    {.key = "max_backups", .kind = BIND_U64, .at = E(rotate_backups)},
    {.key = "localtime", .kind = BIND_NOTHING},
    {0}};
static const bind_table ROTATION = {.fields = ROTATION_FIELDS, .defaults = default_rotation};

static sx_status read_rotation(bind *b, const sx_yaml_node *value, void *target,
                               const bind_field *f)
{
    (void)f;
    return bind_read(b, &ROTATION, value, target); /* of size 0: nothing else is touched */
}

static const bind_field FILE_FIELDS[] = {
    {.key = "path", .kind = BIND_PATH, .at = E(path)},
    {.key = "rotation", .kind = BIND_CUSTOM, .read = read_rotation},
    {.key = "format", .kind = BIND_STR, .at = E(format)},
    {.key = "compression", .kind = BIND_STR, .at = E(compression)},
    {.key = "flush_interval", .kind = BIND_CUSTOM, .read = settings_ms, .at = E(flush_ms)},
    {.key = "append", .kind = BIND_BOOL, .at = E(append)},
    {.key = "create_directory", .kind = BIND_BOOL, .at = E(create_folder)},
    {.key = "directory_permissions", .kind = BIND_NOTHING},
    {.key = "encoding", .kind = BIND_REFUSED, .note = "choose with format: json or proto"},
    {.key = "group_by", .kind = BIND_REFUSED, .note = "write one file"},
    {0}};
static const bind_table FILE_TABLE = {.fields = FILE_FIELDS,
                                      .size = sizeof(exporter_settings),
                                      .defaults = default_file,
                                      .check = check_file};

/* --- debug, nop */

static void default_debug(void *target)
{
    exporter_settings *e = target;
    e->verbosity = SX_STR("basic");
    e->sampling_initial = 2;
    e->sampling_thereafter = 1;
}

static sx_status check_debug(bind *b, const sx_yaml_node *map, void *target)
{
    const exporter_settings *e = target;
    static const char *const WORDS[] = {"basic", "normal", "detailed"};
    for (size_t i = 0; i < SX_COUNT_OF(WORDS); i++)
        if (sx_str_ieq(e->verbosity, sx_str_z(WORDS[i])))
            return SX_OK;
    return bind_fault(b, map, "verbosity \"%.*s\" is none of: basic, normal, detailed",
                      SX_ARG(sx_str_first(e->verbosity, 60)));
}

static const bind_field DEBUG_FIELDS[] = {
    {.key = "verbosity", .kind = BIND_STR, .at = E(verbosity)},
    {.key = "sampling_initial", .kind = BIND_U64, .at = E(sampling_initial)},
    {.key = "sampling_thereafter", .kind = BIND_U64, .at = E(sampling_thereafter)},
    {.key = "use_internal_logger", .kind = BIND_NOTHING},
    {.key = "output_paths", .kind = BIND_NOTHING},
    {.key = "sending_queue", .kind = BIND_NOTHING},
    {.key = "loglevel", .kind = BIND_REFUSED, .note = "write verbosity: basic, normal or detailed"},
    {0}};
static const bind_table DEBUG = {.fields = DEBUG_FIELDS,
                                 .size = sizeof(exporter_settings),
                                 .defaults = default_debug,
                                 .check = check_debug};

static const bind_field NOP_FIELDS[] = {{0}};
static const bind_table NOP = {.fields = NOP_FIELDS, .size = sizeof(exporter_settings)};

const bind_table *const SETTINGS_EXPORTERS[EXPORT_KINDS] = {
    [EXPORT_OTLP] = &OTLP,   [EXPORT_OTLPHTTP] = &OTLPHTTP, [EXPORT_ELASTICSEARCH] = &ELASTICSEARCH,
    [EXPORT_KAFKA] = &KAFKA, [EXPORT_FILE] = &FILE_TABLE,   [EXPORT_DEBUG] = &DEBUG,
    [EXPORT_NOP] = &NOP,
};

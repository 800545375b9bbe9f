/* settings_receive.c - receivers of a Collector's configuration: otlp, jaeger, zipkin, kafka.
 *
 * A protocol is on where its key stands, also without a value (`grpc:`), and off where it does not.
 * Sources: OpenTelemetry Collector 0.140: otlpreceiver, configgrpc, confighttp; contrib: jaegerreceiver,
 * zipkinreceiver, kafkareceiver. */
#include "observe/collector/settings_impl.h"

#define L(member) offsetof(listen_settings, member)
#define K(member) offsetof(kafka_receiver_settings, member)

/* --- Listeners. */

static const bind_field TLS_FIELDS[] = {
    SETTINGS_TLS_ROWS,
    {.key = "client_ca_file", .kind = BIND_PATH, .at = offsetof(tls_settings, ca_file)},
    {.key = "client_ca_file_reload", .kind = BIND_NOTHING},
    {.key = "ca_file", .kind = BIND_NOTHING},
    {0}};

static sx_status check_tls(bind *b, const sx_yaml_node *map, void *target)
{
    const tls_settings *t = target;
    if (t->cert_file.len == 0 || t->key_file.len == 0)
        return bind_fault(b, map, "tls of a receiver needs cert_file and key_file");
    return SX_OK;
}

static const bind_table TLS = {
    .fields = TLS_FIELDS, .size = sizeof(tls_settings), .check = check_tls};

static sx_status read_transport(bind *b, const sx_yaml_node *value, void *target,
                                const bind_field *f)
{
    sx_str text;
    (void)target;
    (void)f;
    sx_status st = bind_text(b, value, &text);
    if (st == SX_OK && !sx_str_starts(text, SX_STR("tcp")))
        return bind_fault(b, value, "transport \"%.*s\" is not supported; write tcp",
                          SX_ARG(sx_str_first(text, 60)));
    return st;
}

static sx_status read_mebibytes(bind *b, const sx_yaml_node *value, void *target,
                                const bind_field *f)
{
    int64_t mib;
    sx_error err;
    if (sx_yaml_i64(value, 0, 1 << 20, &mib, &err) != SX_OK)
        return bind_fault(b, value, "expected a number of MiB");
    *(uint64_t *)(void *)((char *)target + f->at) = (uint64_t)mib << 20;
    return SX_OK;
}

/* host:port; the port a number from 0 to 65535. An empty host is every address, which is Go's. */
static sx_status check_listen(bind *b, const sx_yaml_node *map, void *target)
{
    listen_settings *l = target;
    size_t colon = l->address.len;
    uint64_t port;
    while (colon > 0 && l->address.data[colon - 1] != ':')
        colon--;
    if (colon == 0 || !sx_str_to_u64(sx_str_from(l->address, colon), &port) || port > 65535)
        return bind_fault(b, map, "endpoint \"%.*s\" is not host:port, e.g. 0.0.0.0:4317",
                          SX_ARG(sx_str_first(l->address, 80)));
    if (colon == 1) {
        l->address = sx_arena_printf(b->arena, "0.0.0.0%.*s", SX_ARG(l->address));
        if (!l->address.data)
            return settings_no_memory(b);
    }
    sx_str path = l->traces_path;
    if (path.len && path.data[0] == '/')
        path = sx_str_from(path, 1);
    if (path.len && !sx_str_eq(path, SX_STR("v1/traces")))
        return bind_fault(b, map, "traces_url_path is /v1/traces; another is not supported");
    return SX_OK;
}

#define ADDRESS                                                                                    \
    {.key = "endpoint", .kind = BIND_STR, .flags = BIND_NOT_EMPTY, .at = L(address)},              \
    {                                                                                              \
        .key = "transport", .kind = BIND_CUSTOM, .read = read_transport                            \
    }
#define SERVER                                                                                     \
    {.key = "tls",                                                                                 \
     .kind = BIND_STRUCT,                                                                          \
     .flags = BIND_PRESENCE,                                                                       \
     .at = L(tls),                                                                                 \
     .count_at = L(tls_set),                                                                       \
     .table = &TLS},                                                                               \
        {.key = "include_metadata", .kind = BIND_NOTHING},                                         \
        {.key = "middlewares", .kind = BIND_REFUSED, .note = "leave it out"},                      \
        {.key = "auth", .kind = BIND_REFUSED, .note = "give the listener tls with client_ca_file"}

static const bind_field GRPC_FIELDS[] = {ADDRESS,
                                         SERVER,
                                         {.key = "max_recv_msg_size_mib",
                                          .kind = BIND_CUSTOM,
                                          .read = read_mebibytes,
                                          .at = L(body_bytes_max)},
                                         {.key = "max_concurrent_streams", .kind = BIND_NOTHING},
                                         {.key = "read_buffer_size", .kind = BIND_NOTHING},
                                         {.key = "write_buffer_size", .kind = BIND_NOTHING},
                                         {.key = "keepalive", .kind = BIND_NOTHING},
                                         {0}};
static const bind_table GRPC = {.fields = GRPC_FIELDS, .size = 0, .check = check_listen};

#define HTTP_SERVER                                                                                \
    ADDRESS, SERVER,                                                                               \
        {.key = "cors",                                                                            \
         .kind = BIND_REFUSED,                                                                     \
         .note = "let a proxy before it answer for browsers"},                                     \
        {.key = "max_request_body_size", .kind = BIND_U64, .at = L(body_bytes_max)},               \
        {.key = "compression_algorithms", .kind = BIND_NOTHING},                                   \
        {.key = "read_timeout", .kind = BIND_NOTHING},                                             \
        {.key = "read_header_timeout", .kind = BIND_NOTHING},                                      \
        {.key = "write_timeout", .kind = BIND_NOTHING},                                            \
        {.key = "idle_timeout", .kind = BIND_NOTHING},                                             \
        {.key = "keep_alives_enabled", .kind = BIND_NOTHING},                                      \
        {.key = "response_headers", .kind = BIND_REFUSED, .note = "leave it out"}

static const bind_field HTTP_FIELDS[] = {HTTP_SERVER, {0}};
static const bind_table HTTP = {.fields = HTTP_FIELDS, .check = check_listen};
static const bind_field OTLP_HTTP_FIELDS[] = {
    HTTP_SERVER,
    {.key = "traces_url_path", .kind = BIND_STR, .at = L(traces_path)},
    {.key = "metrics_url_path", .kind = BIND_NOTHING},
    {.key = "logs_url_path", .kind = BIND_NOTHING},
    {.key = "profiles_url_path", .kind = BIND_NOTHING},
    {0}};
static const bind_table OTLP_HTTP = {.fields = OTLP_HTTP_FIELDS, .check = check_listen};
static const bind_field ZIPKIN_FIELDS[] = {
    HTTP_SERVER,
    {.key = "parse_string_tags", .kind = BIND_REFUSED, .note = "tags stay the texts they are"},
    {0}};
static const bind_table ZIPKIN = {.fields = ZIPKIN_FIELDS, .check = check_listen};

static const bind_field UDP_FIELDS[] = {
    {.key = "endpoint", .kind = BIND_STR, .flags = BIND_NOT_EMPTY, .at = L(address)},
    {.key = "queue_size", .kind = BIND_NOTHING},
    {.key = "max_packet_size", .kind = BIND_NOTHING},
    {.key = "workers", .kind = BIND_NOTHING},
    {.key = "socket_buffer_size", .kind = BIND_NOTHING},
    {0}};
static const bind_table UDP = {.fields = UDP_FIELDS, .check = check_listen};

/* One row a protocol of a kind of receiver. */
static const struct {
    const char *kind, *key; /* key NULL: the receiver itself */
    receiver_protocol protocol;
    const char *address;
    const bind_table *table;
} PROTOCOLS[] = {
    {"otlp", "grpc", LISTEN_OTLP_GRPC, "localhost:4317", &GRPC},
    {"otlp", "http", LISTEN_OTLP_HTTP, "localhost:4318", &OTLP_HTTP},
    {"jaeger", "grpc", LISTEN_JAEGER_GRPC, "localhost:14250", &GRPC},
    {"jaeger", "thrift_http", LISTEN_JAEGER_HTTP, "localhost:14268", &HTTP},
    {"jaeger", "thrift_compact", LISTEN_JAEGER_COMPACT, "localhost:6831", &UDP},
    {"jaeger", "thrift_binary", LISTEN_JAEGER_BINARY, "localhost:6832", &UDP},
    {"zipkin", NULL, LISTEN_ZIPKIN, "localhost:9411", &ZIPKIN},
};

static sx_status read_listen(bind *b, size_t row, const sx_yaml_node *value, uint32_t line,
                             receiver_settings *out)
{
    listen_settings *l = &out->listen[PROTOCOLS[row].protocol];
    *l = (listen_settings){.on = true, .line = line, .address = sx_str_z(PROTOCOLS[row].address)};
    return bind_read(b, PROTOCOLS[row].table, value, l); /* of size 0: what stands there stays */
}

static sx_status read_protocols(bind *b, const sx_yaml_node *key, const sx_yaml_node *value,
                                receiver_settings *out)
{
    static const sx_str KEYS[] = {SX_STR_INIT("protocols"), SX_STR_INIT("remote_sampling")};
    sx_str known[SX_COUNT_OF(PROTOCOLS)];
    size_t count = 0, at = 0;
    sx_error err;
    const sx_yaml_node *list = value ? sx_yaml_get(value, SX_STR("protocols")) : NULL;
    if (value && sx_yaml_is_null(value) == false &&
        sx_yaml_expect(value, SX_YAML_MAPPING, &err) != SX_OK)
        return bind_fault(b, value, "expected a mapping");
    const sx_yaml_node *unknown = list || value->kind == SX_YAML_MAPPING
                                      ? sx_yaml_unknown_key(value, KEYS, SX_COUNT_OF(KEYS), &at)
                                      : NULL;
    if (unknown)
        bind_fault(b, unknown, "unknown field; a receiver's protocols stand below \"protocols\"");
    if (list && sx_yaml_is_null(list) == false &&
        sx_yaml_expect(list, SX_YAML_MAPPING, &err) != SX_OK)
        return bind_fault(b, list, "expected a mapping");
    for (size_t i = 0; i < SX_COUNT_OF(PROTOCOLS); i++)
        if (sx_str_eq(out->id.kind, sx_str_z(PROTOCOLS[i].kind)) && PROTOCOLS[i].key)
            known[count++] = sx_str_z(PROTOCOLS[i].key);
    if (!list || sx_yaml_is_null(list) || list->count == 0)
        return bind_fault(b, list ? list : key,
                          "must specify at least one protocol: protocols: {%.*s: }",
                          SX_ARG(known[0]));
    at = 0;
    while ((unknown = sx_yaml_unknown_key(list, known, count, &at)))
        bind_fault(b, unknown, "unknown protocol of the receiver %.*s", SX_ARG(out->id.kind));
    for (uint32_t i = 0; i < list->count; i++)
        for (size_t p = 0; p < SX_COUNT_OF(PROTOCOLS); p++) {
            const sx_yaml_pair *pair = &list->pairs[i];
            if (!sx_str_eq(out->id.kind, sx_str_z(PROTOCOLS[p].kind)) || !PROTOCOLS[p].key ||
                !sx_str_eq(pair->key->scalar, sx_str_z(PROTOCOLS[p].key)))
                continue;
            if (read_listen(b, p, pair->value, pair->key->line, out) == SX_ENOMEM)
                return SX_ENOMEM;
        }
    return SX_OK;
}

/* --- kafka */

static void default_kafka(void *target)
{
    static const sx_str BROKER = SX_STR_INIT("localhost:9092");
    *(kafka_receiver_settings *)target =
        (kafka_receiver_settings){.brokers = &BROKER,
                                  .broker_count = 1,
                                  .topic = SX_STR("otlp_spans"),
                                  .encoding = SX_STR("otlp_proto"),
                                  .group_id = SX_STR("otel-collector"),
                                  .client_id = SX_STR("otel-collector"),
                                  .initial_offset = SX_STR("latest"),
                                  .auto_commit_ms = 1000};
}

static sx_status check_kafka(bind *b, const sx_yaml_node *map, void *target)
{
    static const char *const ENCODINGS[] = {"otlp_proto",   "otlp_json",   "jaeger_proto",
                                            "zipkin_proto", "zipkin_json", "zipkin_thrift"};
    const kafka_receiver_settings *k = target;
    if (k->broker_count == 0 || k->topic.len == 0)
        return bind_fault(b, map, "brokers and topic must not be empty");
    if (k->tls.server_name.len)
        return bind_fault(b, map, "tls: server_name_override is not supported by librdkafka");
    if (!sx_str_eq(k->initial_offset, SX_STR("latest")) &&
        !sx_str_eq(k->initial_offset, SX_STR("earliest")))
        return bind_fault(b, map, "initial_offset \"%.*s\" is none of: latest, earliest",
                          SX_ARG(sx_str_first(k->initial_offset, 60)));
    for (size_t i = 0; i < SX_COUNT_OF(ENCODINGS); i++)
        if (sx_str_eq(k->encoding, sx_str_z(ENCODINGS[i])))
            return SX_OK;
    return bind_fault(b, map,
                      "encoding \"%.*s\" is none of: otlp_proto, otlp_json, jaeger_proto, "
                      "zipkin_proto, zipkin_json, zipkin_thrift",
                      SX_ARG(sx_str_first(k->encoding, 60)));
}

/* traces: {topic or topics: [one], encoding} */
static sx_status read_topics(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    kafka_receiver_settings *k = target;
    (void)f;
    if (value->kind != SX_YAML_SEQUENCE || value->count != 1)
        return bind_fault(b, value, "expected a list of one topic");
    return bind_text(b, value->items[0], &k->topic);
}

static const bind_field KAFKA_SIGNAL_FIELDS[] = {
    {.key = "topic", .kind = BIND_STR, .at = K(topic)},
    {.key = "topics", .kind = BIND_CUSTOM, .read = read_topics},
    {.key = "encoding", .kind = BIND_STR, .at = K(encoding)},
    {0}};
static const bind_table KAFKA_SIGNAL = {.fields = KAFKA_SIGNAL_FIELDS};
/* Spans that were taken are never left uncommitted. */
static sx_status read_commit(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    const bind_field boolean = {.key = f->key, .kind = BIND_BOOL};
    bool on = true;
    (void)target;
    sx_status st = bind_read_field(b, &boolean, value, &on);
    if (st == SX_OK && !on)
        return bind_fault(b, value,
                          "false is not supported: an offset is committed once its spans were "
                          "taken; leave it out");
    return st;
}

static const bind_field COMMIT_FIELDS[] = {
    {.key = "enable", .kind = BIND_CUSTOM, .read = read_commit},
    {.key = "interval", .kind = BIND_CUSTOM, .read = settings_ms, .at = K(auto_commit_ms)},
    {0}};
static const bind_table COMMIT = {.fields = COMMIT_FIELDS};
static const bind_field SASL_FIELDS[] = {
    {.key = "mechanism", .kind = BIND_STR, .at = K(sasl_mechanism)},
    {.key = "username", .kind = BIND_STR, .at = K(sasl_user)},
    {.key = "password", .kind = BIND_STR, .at = K(sasl_password)},
    {.key = "version", .kind = BIND_NOTHING},
    {.key = "aws_msk", .kind = BIND_REFUSED, .note = "use PLAIN or SCRAM"},
    {0}};
static const bind_table SASL = {.fields = SASL_FIELDS};
static const bind_field AUTH_FIELDS[] = {
    {.key = "sasl", .kind = BIND_STRUCT, .table = &SASL},
    SETTINGS_TLS_SET(K(tls), K(tls_set)),
    {.key = "plain_text", .kind = BIND_REFUSED, .note = "write sasl with mechanism: PLAIN"},
    {.key = "kerberos", .kind = BIND_REFUSED, .note = "use sasl with PLAIN or SCRAM"},
    {0}};
static const bind_table AUTH = {.fields = AUTH_FIELDS};

static const bind_field KAFKA_FIELDS[] = {
    {.key = "brokers", .kind = BIND_STRS, .at = K(brokers), .count_at = K(broker_count)},
    {.key = "topic", .kind = BIND_STR, .at = K(topic)},
    {.key = "encoding", .kind = BIND_STR, .at = K(encoding)},
    {.key = "traces", .kind = BIND_STRUCT, .table = &KAFKA_SIGNAL},
    {.key = "group_id", .kind = BIND_STR, .at = K(group_id)},
    {.key = "client_id", .kind = BIND_STR, .at = K(client_id)},
    {.key = "initial_offset", .kind = BIND_STR, .at = K(initial_offset)},
    {.key = "autocommit", .kind = BIND_STRUCT, .table = &COMMIT},
    SETTINGS_TLS_SET(K(tls), K(tls_set)),
    {.key = "auth", .kind = BIND_STRUCT, .table = &AUTH},
    {.key = "rack_id", .kind = BIND_NOTHING},
    {.key = "use_leader_epoch", .kind = BIND_NOTHING},
    {.key = "conn_idle_timeout", .kind = BIND_NOTHING},
    {.key = "session_timeout", .kind = BIND_NOTHING},
    {.key = "heartbeat_interval", .kind = BIND_NOTHING},
    {.key = "group_rebalance_strategy", .kind = BIND_NOTHING},
    {.key = "group_instance_id", .kind = BIND_NOTHING},
    {.key = "min_fetch_size", .kind = BIND_NOTHING},
    {.key = "default_fetch_size", .kind = BIND_NOTHING},
    {.key = "max_fetch_size", .kind = BIND_NOTHING},
    {.key = "max_fetch_wait", .kind = BIND_NOTHING},
    {.key = "max_partition_fetch_size", .kind = BIND_NOTHING},
    SETTINGS_KAFKA_ROWS,
    {.key = "message_marking", .kind = BIND_NOTHING},
    {.key = "error_backoff", .kind = BIND_NOTHING},
    {.key = "telemetry", .kind = BIND_NOTHING},
    {.key = "header_extraction", .kind = BIND_REFUSED, .note = "leave it out"},
    {0}};
static const bind_table KAFKA = {.fields = KAFKA_FIELDS,
                                 .size = sizeof(kafka_receiver_settings),
                                 .defaults = default_kafka,
                                 .check = check_kafka};

sx_status settings_receiver(bind *b, const sx_yaml_node *key, const sx_yaml_node *value,
                            receiver_settings *out)
{
    if (sx_str_eq(out->id.kind, SX_STR("otlp")) || sx_str_eq(out->id.kind, SX_STR("jaeger")))
        return read_protocols(b, key, value, out);
    for (size_t i = 0; i < SX_COUNT_OF(PROTOCOLS); i++)
        if (!PROTOCOLS[i].key && sx_str_eq(out->id.kind, sx_str_z(PROTOCOLS[i].kind)))
            return read_listen(b, i, value, key->line, out);
    if (sx_str_eq(out->id.kind, SX_STR("kafka"))) {
        kafka_receiver_settings *k = sx_arena_calloc(b->arena, 1, sizeof(*k));
        if (!k)
            return settings_no_memory(b);
        out->kafka = k;
        return bind_read(b, &KAFKA, value, k);
    }
    return bind_fault(
        b, key,
        "there is no receiver \"%.*s\" here; there are otlp, jaeger, zipkin and kafka "
        "(metrics are scraped by --config.file)",
        SX_ARG(sx_str_first(out->id.kind, 60)));
}

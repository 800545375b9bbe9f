/* config_remote.c - remote_write, remote_read and otlp.
 *
 * Source: Prometheus, docs/configuration, <remote_write>, <remote_read>, and the OTLP guide. */
#include "observe/config/config_internal.h"

#define W(member) offsetof(prom_remote_write, member)
#define R(member) offsetof(prom_remote_read, member)
#define O(member) offsetof(prom_otlp_config, member)

/* --- remote_write */

static sx_status read_message(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    sx_str text;
    sx_status st = bind_text(b, value, &text);
    (void)f;
    if (st != SX_OK)
        return st;
    bool v1 = sx_str_eq(text, SX_STR("prometheus.WriteRequest"));
    bool v2 = sx_str_eq(text, SX_STR("io.prometheus.write.v2.Request"));
    if (!v1 && !v2)
        return bind_fault(b, value,
                          "invalid protobuf_message value: unknown type for remote write protobuf "
                          "message %.*s, supported: prometheus.WriteRequest, "
                          "io.prometheus.write.v2.Request",
                          SX_ARG(text));
    ((prom_remote_write *)target)->v2 = v2;
    return SX_OK;
}

static void print_message(sx_buf *out, int indent, const void *target, const bind_field *f)
{
    sx_buf_printf(out, "%*s%s: %s\n", indent, "", f->key,
                  ((const prom_remote_write *)target)->v2 ? "io.prometheus.write.v2.Request"
                                                          : "prometheus.WriteRequest");
}

static const bind_field QUEUE_FIELDS[] = {
    {.key = "capacity", .kind = BIND_U32, .at = W(queue.capacity)},
    {.key = "max_shards", .kind = BIND_U32, .at = W(queue.max_shards)},
    {.key = "min_shards", .kind = BIND_U32, .at = W(queue.min_shards)},
    {.key = "max_samples_per_send", .kind = BIND_U32, .at = W(queue.max_samples_per_send)},
    {.key = "batch_send_deadline", .kind = BIND_MS, .at = W(queue.batch_send_deadline_ms)},
    {.key = "min_backoff", .kind = BIND_MS, .at = W(queue.min_backoff_ms)},
    {.key = "max_backoff", .kind = BIND_MS, .at = W(queue.max_backoff_ms)},
    {.key = "retry_on_http_429", .kind = BIND_BOOL, .at = W(queue.retry_on_429)},
    {.key = "sample_age_limit", .kind = BIND_MS, .at = W(queue.sample_age_limit_ms)},
    {0}};
static const bind_table QUEUE = {.fields = QUEUE_FIELDS}; /* part of the entry's struct */

static const bind_field METADATA_FIELDS[] = {
    {.key = "send", .kind = BIND_BOOL, .flags = BIND_ALWAYS, .at = W(metadata.send)},
    {.key = "send_interval", .kind = BIND_MS, .flags = BIND_ALWAYS, .at = W(metadata.interval_ms)},
    {.key = "max_samples_per_send", .kind = BIND_U32, .at = W(metadata.max_samples_per_send)},
    {0}};
static const bind_table METADATA = {.fields = METADATA_FIELDS};

static void default_write(void *target)
{
    prom_remote_write *w = target;
    w->timeout_ms = 30 * 1000;
    w->queue.capacity = 10000;
    w->queue.max_shards = 50;
    w->queue.min_shards = 1;
    w->queue.max_samples_per_send = 2000;
    w->queue.batch_send_deadline_ms = 5000;
    w->queue.min_backoff_ms = 30;
    w->queue.max_backoff_ms = 5000;
    w->metadata.send = true;
    w->metadata.interval_ms = 60 * 1000;
    w->metadata.max_samples_per_send = 2000;
}

static const char *queue_fault(const prom_remote_write *w)
{
    if (w->queue.max_shards == 0)
        return "remote write queue max_shards must be positive";
    if (w->queue.min_shards == 0)
        return "remote write queue min_shards must be positive";
    if (w->queue.min_shards > w->queue.max_shards)
        return "remote write queue min_shards must not be greater than max_shards";
    if (w->queue.max_samples_per_send == 0)
        return "remote write queue max_samples_per_send must be positive";
    if (w->queue.capacity == 0)
        return "remote write queue capacity must be positive";
    if (w->queue.max_backoff_ms < w->queue.min_backoff_ms)
        return "remote write queue max_backoff must not be less than min_backoff";
    return NULL;
}

static sx_status check_headers(bind *b, const sx_yaml_node *map, const tsdb_label *headers,
                               uint32_t count)
{
    static const char *const RESERVED[] = {"host",
                                           "content-encoding",
                                           "content-length",
                                           "content-type",
                                           "x-prometheus-remote-write-version",
                                           "user-agent",
                                           "connection",
                                           "keep-alive",
                                           "proxy-authenticate",
                                           "proxy-authorization",
                                           "www-authenticate",
                                           "accept-encoding"};
    for (uint32_t i = 0; i < count; i++) {
        if (sx_str_ieq(headers[i].name, SX_STR("authorization")))
            return bind_fault(b, map,
                              "authorization header must be changed via the basic_auth, "
                              "authorization or oauth2 parameter");
        for (size_t k = 0; k < SX_COUNT_OF(RESERVED); k++) {
            if (sx_str_ieq(sx_str_z(RESERVED[k]), headers[i].name))
                return bind_fault(b, map, "%.*s is a reserved header. It must not be changed",
                                  SX_ARG(headers[i].name));
        }
    }
    return SX_OK;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* What Go's url.Parse takes: no control characters, whole percent escapes, a host without spaces, and
 * digits after its colon. */
static bool is_url(sx_str url)
{
    if (!sx_str_starts(url, SX_STR("http://")) && !sx_str_starts(url, SX_STR("https://")))
        return false;
    for (size_t i = 0; i < url.len; i++) {
        unsigned char c = (unsigned char)url.data[i];
        if (c < 0x20 || c == 0x7f)
            return false;
        if (c == '%' && (i + 2 >= url.len || !is_hex(url.data[i + 1]) || !is_hex(url.data[i + 2])))
            return false;
    }
    sx_str host = sx_str_from(url, sx_str_find(url, SX_STR("//")) + 2), rest;
    sx_str_cut(host, '/', &host, &rest);
    sx_str_cut(host, '?', &host, &rest);
    if (sx_str_find_byte(host, ' ') < host.len)
        return false;
    size_t colon = host.len;
    while (colon > 0 && host.data[colon - 1] >= '0' && host.data[colon - 1] <= '9')
        colon--;
    bool has_port = sx_str_find_byte(host, ':') < host.len &&
                    sx_str_find_byte(host, ']') == host.len &&
                    sx_str_find_byte(host, '@') == host.len;
    return !has_port || (colon > 0 && host.data[colon - 1] == ':');
}

static sx_status check_write(bind *b, const sx_yaml_node *map, void *target)
{
    prom_remote_write *w = target;
    if (w->url.len == 0)
        return bind_fault(b, map, "url for remote_write is empty");
    if (!is_url(w->url))
        return bind_fault(b, map, "\"%.*s\" is no URL with http:// or https://", SX_ARG(w->url));
    const char *words = queue_fault(w);
    if (words)
        return bind_fault(b, map, "%s", words);
    sx_status st = check_headers(b, map, w->headers, w->header_count);
    return st == SX_OK ? config_rules(b, sx_yaml_get(map, SX_STR("write_relabel_configs")),
                                      "empty or null relabeling rule in remote write config", false,
                                      &w->relabel, &w->relabel_count)
                       : st;
}

static void print_write_rules(sx_buf *out, int indent, const void *target, const bind_field *f)
{
    const prom_remote_write *w = target;
    config_print_rules(f->key, w->relabel, w->relabel_count, indent, out);
}

/* Read when the entry is checked. */
static sx_status read_later(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    (void)b, (void)value, (void)target, (void)f;
    return SX_OK;
}

static const bind_field WRITE_FIELDS[] = {
    {.key = "url", .kind = BIND_STR, .flags = BIND_ALWAYS, .at = W(url)},
    {.key = "remote_timeout", .kind = BIND_MS, .at = W(timeout_ms)},
    {.key = "headers", .kind = BIND_MAP, .at = W(headers), .count_at = W(header_count)},
    {.key = "write_relabel_configs",
     .kind = BIND_CUSTOM,
     .read = read_later,
     .print = print_write_rules},
    {.key = "name", .kind = BIND_STR, .at = W(name)},
    {.key = "send_exemplars", .kind = BIND_BOOL, .at = W(send_exemplars)},
    {.key = "send_native_histograms", .kind = BIND_BOOL, .at = W(send_native_histograms)},
    {.key = "round_robin_dns", .kind = BIND_BOOL, .at = W(round_robin_dns)},
    {.key = "protobuf_message", .kind = BIND_CUSTOM, .read = read_message, .print = print_message},
    {.key = "failed_request_logging", .kind = BIND_BOOL, .at = W(log_failed)},
    {.key = "", .kind = BIND_INLINE, .at = W(http), .table = &CONFIG_HTTP_NO_HTTP2},
    {.key = "queue_config", .kind = BIND_STRUCT, .table = &QUEUE},
    {.key = "metadata_config", .kind = BIND_STRUCT, .table = &METADATA},
    {.key = "sigv4", .kind = BIND_REFUSED, .note = "use authorization or oauth2"},
    {.key = "azuread", .kind = BIND_REFUSED, .note = "use oauth2"},
    {.key = "google_iam", .kind = BIND_REFUSED, .note = "use oauth2"},
    {0}};

const bind_table CONFIG_REMOTE_WRITE = {.fields = WRITE_FIELDS,
                                        .size = sizeof(prom_remote_write),
                                        .defaults = default_write,
                                        .check = check_write};

/* --- remote_read */

static void default_read(void *target)
{
    prom_remote_read *r = target;
    r->timeout_ms = 60 * 1000;
    r->chunked_limit = 50 << 20;
    r->filter_external_labels = true;
}

static sx_status check_read(bind *b, const sx_yaml_node *map, void *target)
{
    const prom_remote_read *r = target;
    if (r->url.len == 0)
        return bind_fault(b, map, "url for remote_read is empty");
    if (!is_url(r->url))
        return bind_fault(b, map, "\"%.*s\" is no URL with http:// or https://", SX_ARG(r->url));
    return check_headers(b, map, r->headers, r->header_count);
}

static const bind_field READ_FIELDS[] = {
    {.key = "url", .kind = BIND_STR, .flags = BIND_ALWAYS, .at = R(url)},
    {.key = "remote_timeout", .kind = BIND_MS, .at = R(timeout_ms)},
    {.key = "chunked_read_limit", .kind = BIND_U64, .at = R(chunked_limit)},
    {.key = "headers", .kind = BIND_MAP, .at = R(headers), .count_at = R(header_count)},
    {.key = "read_recent", .kind = BIND_BOOL, .at = R(read_recent)},
    {.key = "name", .kind = BIND_STR, .at = R(name)},
    {.key = "", .kind = BIND_INLINE, .at = R(http), .table = &CONFIG_HTTP},
    {.key = "required_matchers", .kind = BIND_LABELS, .at = R(required_matchers)},
    {.key = "filter_external_labels", .kind = BIND_BOOL, .at = R(filter_external_labels)},
    {0}};

const bind_table CONFIG_REMOTE_READ = {.fields = READ_FIELDS,
                                       .size = sizeof(prom_remote_read),
                                       .defaults = default_read,
                                       .check = check_read};

/* --- otlp */

static const bind_choice STRATEGIES[] = {
    {"UnderscoreEscapingWithSuffixes", PROM_OTLP_UNDERSCORES_SUFFIXES},
    {"NoUTF8EscapingWithSuffixes", PROM_OTLP_UTF8_SUFFIXES},
    {"UnderscoreEscapingWithoutSuffixes", PROM_OTLP_UNDERSCORES},
    {"NoTranslation", PROM_OTLP_NONE},
    {NULL, 0}};

static void default_otlp(void *target)
{
    prom_otlp_config *o = target;
    o->name_sanitization = o->keep_underscores = true;
}

static sx_status check_attributes(bind *b, const sx_yaml_node *map, const sx_str *list,
                                  uint32_t count, const char *what)
{
    for (uint32_t i = 0; i < count; i++) {
        if (sx_str_trim_all(list[i]).len == 0)
            return bind_fault(b, map,
                              "invalid '%s_resource_attributes': empty %sd OTel resource "
                              "attribute",
                              what, what);
        for (uint32_t k = 0; k < i; k++) {
            if (sx_str_eq(list[i], list[k]))
                return bind_fault(b, map,
                                  "invalid '%s_resource_attributes': duplicated %sd OTel resource "
                                  "attribute \"%.*s\"",
                                  what, what, SX_ARG(list[i]));
        }
    }
    return SX_OK;
}

static sx_status check_otlp(bind *b, const sx_yaml_node *map, void *target)
{
    const prom_otlp_config *o = target;
    const config_global *g = ((config_reader *)b->user)->global;
    bool utf8 = o->strategy == PROM_OTLP_UTF8_SUFFIXES || o->strategy == PROM_OTLP_NONE;
    if (o->promote_all && o->promote_count)
        return bind_fault(b, map,
                          "'promote_all_resource_attributes' and "
                          "'promote_resource_attributes' cannot be configured "
                          "simultaneously");
    if (!o->promote_all && o->ignore_count)
        return bind_fault(b, map,
                          "'ignore_resource_attributes' cannot be configured unless "
                          "'promote_all_resource_attributes' is true");
    if (utf8 && g->name_scheme == 1 + PROM_NAMES_LEGACY)
        return bind_fault(b, map,
                          "OTLP translation strategy \"%s\" is not allowed when UTF8 is disabled",
                          STRATEGIES[o->strategy].word);
    sx_status st = check_attributes(b, map, o->promote, o->promote_count, "promote");
    return st == SX_OK ? check_attributes(b, map, o->ignore, o->ignore_count, "ignore") : st;
}

static const bind_field OTLP_FIELDS[] = {
    {.key = "promote_all_resource_attributes", .kind = BIND_BOOL, .at = O(promote_all)},
    {.key = "promote_resource_attributes",
     .kind = BIND_STRS,
     .at = O(promote),
     .count_at = O(promote_count)},
    {.key = "ignore_resource_attributes",
     .kind = BIND_STRS,
     .at = O(ignore),
     .count_at = O(ignore_count)},
    {.key = "translation_strategy", .kind = BIND_CHOICE, .at = O(strategy), .choices = STRATEGIES},
    {.key = "keep_identifying_resource_attributes", .kind = BIND_BOOL, .at = O(keep_identifying)},
    {.key = "convert_histograms_to_nhcb", .kind = BIND_BOOL, .at = O(to_nhcb)},
    {.key = "promote_scope_metadata", .kind = BIND_BOOL, .at = O(promote_scope)},
    {.key = "label_name_underscore_sanitization", .kind = BIND_BOOL, .at = O(name_sanitization)},
    {.key = "label_name_preserve_multiple_underscores",
     .kind = BIND_BOOL,
     .at = O(keep_underscores)},
    {0}};

const bind_table CONFIG_OTLP = {.fields = OTLP_FIELDS,
                                .size = sizeof(prom_otlp_config),
                                .defaults = default_otlp,
                                .check = check_otlp};

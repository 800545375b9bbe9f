/* settings_impl.h - what the files that read a Collector's configuration share. */
#ifndef OBSERVE_COLLECTOR_SETTINGS_IMPL_H
#define OBSERVE_COLLECTOR_SETTINGS_IMPL_H

#include "observe/collector/settings.h"

/* bind.user while a file is read. */
typedef struct settings_reader {
    collector_settings *settings;
    const collector_settings_options *options;
    sx_str *warnings; /* in the arena */
    size_t warning_count, warning_cap;
} settings_reader;

sx_status settings_no_memory(bind *b);

extern const bind_table SETTINGS_TLS; /* of a client */

/* Rows of tables that stand in several. TLS of a client and of a listener alike: */
#define SETTINGS_TLS_ROWS                                                                          \
    {.key = "cert_file", .kind = BIND_PATH, .at = offsetof(tls_settings, cert_file)},              \
        {.key = "key_file", .kind = BIND_PATH, .at = offsetof(tls_settings, key_file)},            \
        {.key = "cert_pem", .kind = BIND_REFUSED, .note = "name a file with cert_file"},           \
        {.key = "key_pem", .kind = BIND_REFUSED, .note = "name a file with key_file"},             \
        {.key = "min_version", .kind = BIND_NOTHING},                                              \
        {.key = "max_version", .kind = BIND_NOTHING},                                              \
        {.key = "cipher_suites", .kind = BIND_NOTHING},                                            \
        {.key = "curve_preferences", .kind = BIND_NOTHING},                                        \
        {.key = "reload_interval", .kind = BIND_NOTHING},                                          \
    {                                                                                              \
        .key = "include_system_ca_certs_pool", .kind = BIND_NOTHING                                \
    }
/* A member that is a client's TLS, and whether it stands there. */
#define SETTINGS_TLS_SET(member, set_member)                                                       \
    {.key = "tls",                                                                                 \
     .kind = BIND_STRUCT,                                                                          \
     .flags = BIND_PRESENCE,                                                                       \
     .at = (member),                                                                               \
     .count_at = (set_member),                                                                     \
     .table = &SETTINGS_TLS}
#define SETTINGS_KAFKA_ROWS                                                                        \
    {.key = "metrics", .kind = BIND_NOTHING}, {.key = "logs", .kind = BIND_NOTHING},               \
        {.key = "protocol_version", .kind = BIND_NOTHING},                                         \
        {.key = "resolve_canonical_bootstrap_servers_only", .kind = BIND_NOTHING},                 \
    {                                                                                              \
        .key = "metadata", .kind = BIND_NOTHING                                                    \
    }

/* A receiver of the kind `id.kind` (settings_receive.c). */
sx_status settings_receiver(bind *b, const sx_yaml_node *key, const sx_yaml_node *value,
                            receiver_settings *out);

/* Replaces ${…} in every scalar below `node` (settings_expand.c). */
sx_status settings_expand(bind *b, sx_yaml_node *node);

/* "kind" or "kind/name" at `key`. */
sx_status settings_id(bind *b, const sx_yaml_node *key, sx_str text, component_id *out);

/* settings_extensions.c: the section's keys; then each that `service` names, at `item`. */
sx_status settings_extensions(bind *b, const sx_yaml_node *top);
sx_status settings_extension(bind *b, const sx_yaml_node *top, const sx_yaml_node *item,
                             sx_str text);

#endif

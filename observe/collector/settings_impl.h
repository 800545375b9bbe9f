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

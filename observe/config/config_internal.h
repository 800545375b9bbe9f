/* config_internal.h - the tables of prometheus.yml, by the files that hold them. */
#ifndef OBSERVE_CONFIG_CONFIG_INTERNAL_H
#define OBSERVE_CONFIG_CONFIG_INTERNAL_H

#include "observe/config/bind.h"
#include "observe/config/config.h"

/* What checks need to know of the file being read: bind.user. */
typedef struct config_reader {
    prom_config *config;
    struct config_global *global;
    const prom_config_options *options;
} config_reader;

/* `global` as it is written, before jobs take what they do not say from it. */
typedef struct config_global {
    int64_t scrape_interval_ms, scrape_timeout_ms, evaluation_interval_ms, rule_query_offset_ms;
    const sx_str *protocols;
    uint32_t protocol_count;
    sx_str query_log_file, failure_log_file;
    tsdb_labels external_labels;
    prom_scrape_limits limits;
    int name_scheme, escaping; /* prom_name_scheme, prom_escaping */
    uint8_t native, nhcb, classic, extra;
} config_global;

/* A job as it is written. */
typedef struct config_scrape {
    prom_scrape_config c;
    const sx_str *protocols;
    uint32_t protocol_count;
    int fallback;    /* prom_scrape_protocol */
    int name_scheme; /* 0: not said; else 1 + prom_name_scheme */
    int escaping;    /* 0: not said; else 1 + prom_escaping */
    uint8_t native, nhcb, classic, extra;
} config_scrape;

/* config_http.c */
extern const bind_table CONFIG_HTTP, CONFIG_HTTP_NO_HTTP2, CONFIG_TLS;

/* config_relabel.c */
extern const bind_table CONFIG_RELABEL;
/* The same as a field of a list: the rules are kept as prom_relabel. */
typedef struct config_rule {
    prom_relabel r;
    int action;
} config_rule;
/* Rules whose expressions were compiled: freed with the configuration, also one that was refused. */
typedef struct config_rule_set {
    struct config_rule_set *next;
    prom_relabel *rules;
    uint32_t count;
} config_rule_set;

/* Compiles the rules of a list into an array of prom_relabel. */
sx_status config_rules(bind *b, const sx_yaml_node *list, const char *null_words, bool legacy,
                       const prom_relabel **out, uint32_t *count);
void config_print_rules(const char *key, const prom_relabel *rules, uint32_t count, int indent,
                        sx_buf *out);

/* config_discovery.c: target groups, of static_configs and of files; and the *_sd_configs and
 * static_configs of a mapping, in the order of the file. */
extern const bind_table CONFIG_TARGET_GROUP;
sx_status config_discoveries(bind *b, const sx_yaml_node *map, const prom_discovery **out,
                             uint32_t *count);
void config_print_discoveries(const prom_discovery *list, uint32_t count, int indent, sx_buf *out);
extern const char *const CONFIG_DISCOVERY_KEYS[];
extern const size_t CONFIG_DISCOVERY_KEY_COUNT;

/* The rows of a job and of an Alertmanager for kinds of discovery: what we have is read by
 * config_discoveries(), what only Prometheus has is refused by name. */
#define CONFIG_NO_DISCOVERY(name)                                                                  \
    {.key = name "_sd_configs",                                                                    \
     .kind = BIND_REFUSED,                                                                         \
     .note = "static, file, http, dns and kubernetes discovery are"}
#define CONFIG_DISCOVERY_ROWS                                                                      \
    {.key = "static_configs", .kind = BIND_NOTHING},                                               \
        {.key = "file_sd_configs", .kind = BIND_NOTHING},                                          \
        {.key = "http_sd_configs", .kind = BIND_NOTHING},                                          \
        {.key = "dns_sd_configs", .kind = BIND_NOTHING},                                           \
        {.key = "kubernetes_sd_configs", .kind = BIND_NOTHING}, CONFIG_NO_DISCOVERY("consul"),     \
        CONFIG_NO_DISCOVERY("docker"), CONFIG_NO_DISCOVERY("dockerswarm"),                         \
        CONFIG_NO_DISCOVERY("nomad"), CONFIG_NO_DISCOVERY("aws"), CONFIG_NO_DISCOVERY("ec2"),      \
        CONFIG_NO_DISCOVERY("lightsail"), CONFIG_NO_DISCOVERY("azure"),                            \
        CONFIG_NO_DISCOVERY("gce"), CONFIG_NO_DISCOVERY("digitalocean"),                           \
        CONFIG_NO_DISCOVERY("hetzner"), CONFIG_NO_DISCOVERY("ionos"), CONFIG_NO_DISCOVERY("kuma"), \
        CONFIG_NO_DISCOVERY("linode"), CONFIG_NO_DISCOVERY("marathon"),                            \
        CONFIG_NO_DISCOVERY("nerve"), CONFIG_NO_DISCOVERY("serverset"),                            \
        CONFIG_NO_DISCOVERY("openstack"), CONFIG_NO_DISCOVERY("ovhcloud"),                         \
        CONFIG_NO_DISCOVERY("oci"), CONFIG_NO_DISCOVERY("outscale"),                               \
        CONFIG_NO_DISCOVERY("scaleway"), CONFIG_NO_DISCOVERY("stackit"),                           \
        CONFIG_NO_DISCOVERY("triton"), CONFIG_NO_DISCOVERY("uyuni"), CONFIG_NO_DISCOVERY("vultr"), \
        CONFIG_NO_DISCOVERY("eureka"), CONFIG_NO_DISCOVERY("puppetdb")

/* config_scrape.c */
extern const bind_table CONFIG_SCRAPE, CONFIG_GLOBAL;
/* Fills in what the globals say, checks, and gives the jobs of a scrape_configs list. */
sx_status config_scrapes(bind *b, const sx_yaml_node *list, const prom_scrape_config **out,
                         uint32_t *count);
void config_print_scrapes(const prom_scrape_config *jobs, uint32_t count, int indent, sx_buf *out);

/* config_remote.c */
extern const bind_table CONFIG_REMOTE_WRITE, CONFIG_REMOTE_READ, CONFIG_OTLP;

#endif

/* discovery_internal.h - what every kind of discovery is made of.
 *
 *   discovery.c             life, telling (coalesced), trouble, metrics
 *   discovery_groups.c      groups under construction; groups read from JSON and YAML
 *   discovery_file.c, _http.c, _dns.c, _kubernetes*.c   the kinds
 *
 * A kind keeps what it knows in its own form. When that changes it calls discovery_changed(); the core
 * asks it for all groups when it is time to tell, and tells only what is not the same as before. */
#ifndef OBSERVE_SCRAPE_DISCOVERY_INTERNAL_H
#define OBSERVE_SCRAPE_DISCOVERY_INTERNAL_H

#include <sextant/mem.h>

#include "observe/scrape/discovery.h"
#include "observe/scrape/http_target.h"

enum {
    DISCOVERY_TELL_MS = 5000, /* between two tellings: Prometheus throttles the same */
    DISCOVERY_TARGETS_BYTES_MAX = 256 << 20
};

/* --- Groups under construction, in an arena of whoever asks. */
typedef struct discovery_groups {
    sx_arena *arena;
    prom_target_group *items;
    size_t count, cap;
    bool failed; /* sticky: out of memory */
} discovery_groups;

/* Adds a group as it is; views stay borrowed. */
void discovery_groups_add(discovery_groups *g, const prom_target_group *group);

/* Adds a group of one target. Of labels with the same name the last counts; `labels` are sorted in
 * place, views borrowed. */
void discovery_groups_target(discovery_groups *g, sx_str source, sx_str address, tsdb_label *labels,
                             size_t count);

/* Reads [{"targets": [...], "labels": {...}}, ...]. Each group gets the label `name` = `value` and the
 * source VALUE:INDEX. Text and groups are in the arena. Errors: SX_EFORMAT, SX_ENOMEM. */
sx_status discovery_read_json(sx_arena *arena, sx_str text, sx_str name, sx_str value,
                              discovery_groups *out, sx_error *err);
sx_status discovery_read_yaml(sx_arena *arena, sx_str text, sx_str name, sx_str value,
                              discovery_groups *out, sx_error *err);

/* --- Kinds. */
typedef struct discovery_ops {
    const char *mechanism; /* of metrics and logs */
    sx_status (*start)(prom_discoverer *d, sx_error *err);
    void (*stop)(prom_discoverer *d);
    void (*gather)(prom_discoverer *d, discovery_groups *out);
} discovery_ops;

extern const discovery_ops DISCOVERY_STATIC, DISCOVERY_FILE, DISCOVERY_HTTP, DISCOVERY_DNS,
    DISCOVERY_KUBERNETES;

/* Counters with Prometheus's names; all NULL without a registry. */
typedef struct discovery_metrics {
    sx_counter *refresh_failures;
    sx_histogram *refresh_seconds;
    sx_counter *updates;
    sx_gauge *targets;
} discovery_metrics;

/* What tests and programs may put in the place of the system's own. */
typedef struct discovery_overrides {
    const char *name_servers;    /* of DNS: "127.0.0.1:5353" */
    const char *service_account; /* folder of token, ca.crt, namespace */
} discovery_overrides;

struct prom_discoverer {
    sx_loop *loop;
    const sx_kit *kit; /* may be NULL */
    prom_config *config;
    const prom_discovery *what;
    sx_str job;
    prom_discovered *told;
    void *ctx;
    const discovery_ops *ops;
    void *state; /* the kind's */
    discovery_overrides overrides;
    discovery_metrics metrics;
    sx_logger *log;
    sx_timer tell;
    bool has_told, has_told_some;
    int64_t told_ms;
    uint64_t told_hash;
    char trouble[SX_ERROR_MESSAGE_BYTES];
};

sx_status discovery_open(sx_loop *loop, const sx_kit *kit, prom_config *config,
                         const prom_discovery *what, sx_str job,
                         const discovery_overrides *overrides, prom_discovered *told, void *ctx,
                         prom_discoverer **out, sx_error *err);

/* Something may be different: all groups are gathered and told soon. */
void discovery_changed(prom_discoverer *d);

/* A try has failed (logged, counted, kept as trouble) or gone well. */
void discovery_failed(prom_discoverer *d, const char *what, const sx_error *err);
void discovery_well(prom_discoverer *d);

/* A counter of the kind's own without labels; NULL without a registry. */
sx_counter *discovery_counter(prom_discoverer *d, const char *name, const char *help);
void discovery_count(sx_counter *c);

/* Appends host:port, an IPv6 address in brackets. In the arena; data NULL without memory. */
sx_str discovery_host_port(sx_arena *arena, sx_str host, uint32_t port);

#endif

/* discovery_kubernetes.h - the inside of Kubernetes discovery, shared by its files.
 *
 *   discovery_kubernetes.c         the kind: which watches a role needs, when it is synchronised
 *   discovery_kubernetes_access.c  where the API is and with what credentials: configuration,
 *                                  kubeconfig, the pod's own service account
 *   discovery_kubernetes_watch.c   one resource listed, then watched: pages, versions, back-off
 *   discovery_kubernetes_object.c  objects read from JSON, only what labels are made of
 *   discovery_kubernetes_build.c   target groups of all roles
 *
 * Sources: Kubernetes API concepts (list, watch, bookmarks, 410 Gone); Prometheus,
 * docs/configuration, <kubernetes_sd_config>. */
#ifndef OBSERVE_SCRAPE_DISCOVERY_KUBERNETES_H
#define OBSERVE_SCRAPE_DISCOVERY_KUBERNETES_H

#include <sextant/json.h>
#include <sextant/map.h>
#include <sextant/random.h>

#include "observe/scrape/discovery_internal.h"

typedef enum kube_resource {
    KUBE_PODS,
    KUBE_SERVICES,
    KUBE_ENDPOINTS,
    KUBE_SLICES,
    KUBE_INGRESSES,
    KUBE_NODES,
    KUBE_NAMESPACES,
    KUBE_RESOURCES
} kube_resource;

/* --- Objects. A text that the object lacks has data NULL. Everything is in the object's arena. */

typedef struct kube_list {
    void *items;
    uint32_t count;
} kube_list;

typedef enum kube_tri { KUBE_ABSENT, KUBE_FALSE, KUBE_TRUE } kube_tri;

typedef struct kube_meta {
    sx_str ns, name, uid, version;
    kube_list labels, annotations;           /* of tsdb_label */
    sx_str controller_kind, controller_name; /* of the owner that controls it */
} kube_meta;

typedef struct kube_port {
    sx_str name, protocol, app_protocol;
    int64_t number; /* 0: none */
} kube_port;

typedef struct kube_container {
    sx_str name, image;
    kube_list ports;
} kube_container;

/* Names with a value: conditions, addresses of nodes, identifiers of containers. */
typedef struct kube_pair {
    sx_str name, value;
} kube_pair;

typedef struct kube_target {
    bool is_set;
    sx_str kind, ns, name;
} kube_target;

/* Of Endpoints (`ip`) and of EndpointSlices (`addresses`). */
typedef struct kube_address {
    sx_str ip, hostname, node_name, zone;
    kube_list addresses; /* of sx_str */
    kube_list topology;  /* of tsdb_label */
    kube_target target;
    kube_tri ready, serving, terminating;
} kube_address;

typedef struct kube_subset {
    kube_list ready, not_ready; /* of kube_address */
    kube_list ports;
} kube_subset;

typedef struct kube_rule {
    sx_str host;
    bool has_http;
    kube_list paths; /* of sx_str */
} kube_rule;

typedef struct kube_object {
    kube_meta meta;
    sx_str key;     /* "namespace/name", or "name" */
    uint64_t round; /* the list that has shown it */
    union {
        struct {
            sx_str node_name, ip, host_ip, phase, ready;
            kube_list containers, init_containers, statuses, init_statuses;
        } pod;
        struct {
            kube_list ports;
            sx_str type, cluster_ip, external_name, balancer_ip, family_policy;
            kube_list balancer_ips, families; /* of sx_str */
        } service;
        struct {
            kube_list subsets;
        } endpoints;
        struct {
            sx_str address_type;
            kube_list endpoints, ports;
        } slice;
        struct {
            sx_str class_name;
            kube_list tls_hosts; /* of sx_str */
            kube_list rules;
        } ingress;
        struct {
            sx_str provider_id;
            kube_list conditions, addresses;
            int64_t kubelet_port;
        } node;
    };
    sx_arena arena; /* holds all of it, but for this struct */
} kube_object;

/* Reads one object. Errors: SX_EFORMAT (no object, no name), SX_ENOMEM. */
sx_status kube_object_read(kube_resource resource, sx_str text, kube_object **out, sx_error *err);
void kube_object_free(kube_object *o);

/* What a list's page says beside its items. */
typedef struct kube_page {
    sx_str version, next; /* `next` empty: the last page */
} kube_page;
/* Gives each item's text to `item`; the page's texts are in `arena`. */
sx_status kube_page_read(sx_arena *arena, sx_str text,
                         sx_status (*item)(void *ctx, sx_str object, sx_error *err), void *ctx,
                         kube_page *out, sx_error *err);

/* A line of a watch. */
typedef struct kube_event {
    sx_str type, object;
} kube_event;
sx_status kube_event_read(sx_arena *arena, sx_str line, kube_event *out, sx_error *err);

/* The code and message of a Status object; 0 and empty if it is none. */
int64_t kube_status_read(sx_arena *arena, sx_str text, sx_str *message);

/* The version of an object, for bookmarks. */
sx_str kube_version_read(sx_arena *arena, sx_str text);

/* --- Access. */
typedef struct kube_access {
    sx_arena arena;
    prom_http_config own;           /* made here; else that of the configuration */
    const prom_http_config *config; /* which of them */
    sx_str base;                    /* URL without a slash at its end */
    sx_str own_namespace;           /* empty: not asked for */
} kube_access;

/* Errors: SX_ENOTFOUND, SX_EINVAL, SX_EUNSUPPORTED, SX_EFORMAT; all may go away by themselves. */
sx_status kube_access_open(prom_discoverer *d, kube_access *out, sx_error *err);
void kube_access_done(kube_access *a);

/* --- Watches. */
typedef struct kube_state kube_state;

typedef struct kube_watch {
    kube_state *state;
    kube_resource resource;
    sx_str ns;           /* empty: all */
    sx_str label, field; /* selectors */
    prom_http_call *call;
    bool is_listing;
    bool is_synced;   /* a list has been whole */
    bool needs_list;  /* the version is too old, or unknown */
    bool has_changed; /* since the last call of kube_watch_changed */
    bool has_news;    /* this watch has brought something */
    sx_map objects;   /* key to kube_object */
    uint64_t round;   /* of lists */
    sx_buf version;   /* to watch from */
    sx_buf next_page; /* of the list under way */
    sx_buf refusal;   /* the beginning of an answer that is an error */
    sx_json_lines lines;
    uint32_t failures; /* in a row */
    sx_timer retry;
    sx_counter *events[3]; /* add, update, delete */
} kube_watch;

void kube_watch_init(kube_watch *w, kube_state *state, kube_resource resource, sx_str ns);
void kube_watch_start(kube_watch *w);
void kube_watch_done(kube_watch *w);

/* The object of that name; NULL if there is none. */
const kube_object *kube_watch_find(const kube_watch *w, sx_str ns, sx_str name);

/* --- The kind. */

/* What one namespace (or all) needs. */
typedef struct kube_scope {
    kube_watch primary;
    kube_watch services, pods; /* of endpoints and slices */
} kube_scope;

struct kube_state {
    prom_discoverer *d;
    kube_access access;
    bool has_access;
    prom_http *client;
    sx_timer open; /* tries again to get access */
    uint32_t open_failures;
    kube_scope *scopes;
    size_t scope_count;
    bool has_backing;      /* scopes have services and pods */
    kube_watch nodes;      /* attach_metadata */
    kube_watch namespaces; /* attach_metadata */
    bool attach_node, attach_namespace;
    sx_random random;
    sx_counter *failures;
};

/* A watch has news. */
void kube_changed(kube_state *s);

/* All groups, of scopes that are synchronised. */
void kube_build(const kube_state *s, discovery_groups *out);

#endif

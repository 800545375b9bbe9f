/* discovery_kubernetes_build.c - target groups of all roles, with Prometheus's meta labels.
 *
 * Labels are put into one vector in the order in which Prometheus lets them override each other (the
 * last of a name counts) and become a sorted set for each target. Names made of the keys of labels and
 * annotations are the same for most objects: each is made once a building.
 * Source: Prometheus, docs/configuration, <kubernetes_sd_config>; which label wins over which, and
 * labels that the page leaves out, by its behaviour. */
#include "observe/scrape/discovery_kubernetes.h"

#include <stdlib.h>

#define PREFIX "__meta_kubernetes_"

typedef struct builder {
    const kube_state *state;
    const kube_scope *scope;
    discovery_groups *out;
    sx_map names; /* "prefix\nkey" to the label's name */
    tsdb_label *items;
    size_t count, cap;
    sx_str source;
} builder;

/* ---- labels ---- */

static void put(builder *b, sx_str name, sx_str value)
{
    if (!sx_arena_grow(b->out->arena, &b->items, &b->cap, b->count + 1, sizeof(*b->items)) ||
        !name.data) {
        b->out->failed = true;
        return;
    }
    b->items[b->count++] = (tsdb_label){name, value};
}

#define PUT(b, name, value) put(b, SX_STR(PREFIX name), value)

static sx_str truth(bool yes)
{
    return yes ? SX_STR("true") : SX_STR("false");
}

static sx_str lower(builder *b, sx_str text)
{
    sx_str copy = sx_arena_copy(b->out->arena, text);
    char *at = (char *)(uintptr_t)copy.data;
    b->out->failed |= !at;
    for (size_t i = 0; at && i < copy.len; i++)
        at[i] = at[i] >= 'A' && at[i] <= 'Z' ? (char)(at[i] | 0x20) : at[i];
    return copy;
}

static sx_str number(builder *b, int64_t n)
{
    sx_str s = sx_arena_printf(b->out->arena, "%lld", (long long)n);
    b->out->failed |= !s.data;
    return s;
}

/* Prefix and key with every character that a plain label name cannot have as '_'. */
static sx_str plain_name(builder *b, const char *prefix, sx_str key)
{
    char text[512];
    sx_str p = sx_str_z(prefix);
    bool fits = p.len + key.len + 1 < sizeof(text);
    size_t n = 0;
    sx_map_entry *e = NULL;
    if (fits) {
        memcpy(text, p.data, p.len);
        text[p.len] = '\n';
        if (key.len)
            memcpy(text + p.len + 1, key.data, key.len);
        e = sx_map_find(&b->names, sx_str_of(text, p.len + 1 + key.len));
        if (e)
            return *(const sx_str *)e->ptr;
    }
    char *name = sx_arena_alloc(b->out->arena, p.len + key.len + 1);
    sx_str *result = sx_arena_alloc(b->out->arena, sizeof(*result));
    if (!name || !result) {
        b->out->failed = true;
        return (sx_str){0};
    }
    memcpy(name, p.data, n = p.len);
    for (size_t i = 0; i < key.len; i++) {
        char c = key.data[i];
        if (((unsigned char)c & 0xc0) == 0x80) /* one '_' a character, not a byte */
            continue;
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        name[n++] = is_plain ? c : '_';
    }
    *result = sx_str_of(name, n);
    if (fits) {
        sx_str own = sx_arena_copy(b->out->arena, sx_str_of(text, p.len + 1 + key.len));
        e = own.data ? sx_map_put(&b->names, own, NULL) : NULL;
        if (e)
            e->ptr = result; /* without: it is made again */
    }
    return *result;
}

/* Prefixes of what an object's labels and annotations become. */
typedef struct meta_prefixes {
    const char *label, *label_present, *annotation, *annotation_present, *name;
} meta_prefixes;

#define PREFIXES(role)                                                                             \
    {PREFIX role "_label_", PREFIX role "_labelpresent_", PREFIX role "_annotation_",              \
     PREFIX role "_annotationpresent_", PREFIX role "_name"}
static const meta_prefixes META[KUBE_RESOURCES] = {
    [KUBE_PODS] = PREFIXES("pod"),
    [KUBE_SERVICES] = PREFIXES("service"),
    [KUBE_ENDPOINTS] = PREFIXES("endpoints"),
    [KUBE_SLICES] = PREFIXES("endpointslice"),
    [KUBE_INGRESSES] = PREFIXES("ingress"),
    [KUBE_NODES] = PREFIXES("node"),
    [KUBE_NAMESPACES] = PREFIXES("namespace"),
};

static void put_map(builder *b, const kube_list *map, const char *prefix, const char *present)
{
    const tsdb_label *pairs = map->items;
    for (uint32_t i = 0; i < map->count; i++) {
        put(b, plain_name(b, prefix, pairs[i].name), pairs[i].value);
        put(b, plain_name(b, present, pairs[i].name), SX_STR("true"));
    }
}

static void put_maps(builder *b, const kube_meta *m, kube_resource resource)
{
    const meta_prefixes *p = &META[resource];
    put_map(b, &m->labels, p->label, p->label_present);
    put_map(b, &m->annotations, p->annotation, p->annotation_present);
}

static void put_meta(builder *b, const kube_meta *m, kube_resource resource)
{
    put(b, sx_str_z(META[resource].name), m->name);
    put_maps(b, m, resource);
}

static void put_namespace(builder *b, sx_str ns)
{
    const kube_object *o =
        b->state->attach_namespace ? kube_watch_find(&b->state->namespaces, SX_STR(""), ns) : NULL;
    if (o)
        put_maps(b, &o->meta, KUBE_NAMESPACES);
}

static void put_node(builder *b, sx_str name)
{
    const kube_object *o = kube_watch_find(&b->state->nodes, SX_STR(""), name);
    if (o)
        put_meta(b, &o->meta, KUBE_NODES);
}

/* Makes a target of what was put, and forgets what came after `keep`. */
static void target(builder *b, sx_str address, size_t keep)
{
    discovery_groups_target(b->out, b->source, address, b->items, b->count);
    b->count = keep;
}

static sx_str host_port(builder *b, sx_str host, int64_t port)
{
    return discovery_host_port(b->out->arena, host, (uint32_t)port);
}

/* Begins a group: "pod/ns/name". */
static void begin(builder *b, const char *kind, const kube_object *o)
{
    b->count = 0;
    b->source = sx_arena_printf(b->out->arena, "%s/%.*s", kind, SX_ARG(o->key));
    b->out->failed |= !b->source.data;
}

/* ---- nodes ---- */

static sx_str first_of(const kube_list *pairs, sx_str name)
{
    const kube_pair *p = pairs->items;
    for (uint32_t i = 0; i < pairs->count; i++) {
        if (sx_str_eq(p[i].name, name))
            return p[i].value.data ? p[i].value : SX_STR("");
    }
    return (sx_str){0};
}

static void build_node(builder *b, const kube_object *o)
{
    static const sx_str ORDER[] = {SX_STR_INIT("InternalIP"),   SX_STR_INIT("InternalDNS"),
                                   SX_STR_INIT("ExternalIP"),   SX_STR_INIT("ExternalDNS"),
                                   SX_STR_INIT("LegacyHostIP"), SX_STR_INIT("Hostname")};
    sx_str address = {0};
    begin(b, "node", o);
    for (size_t i = 0; i < SX_COUNT_OF(ORDER) && !address.data; i++)
        address = first_of(&o->node.addresses, ORDER[i]);
    if (!address.data)
        return;
    PUT(b, "node_provider_id", o->node.provider_id);
    const kube_pair *conditions = o->node.conditions.items;
    for (uint32_t i = 0; i < o->node.conditions.count; i++)
        put(b, plain_name(b, PREFIX "node_condition_", lower(b, conditions[i].name)),
            lower(b, conditions[i].value));
    put_meta(b, &o->meta, KUBE_NODES);
    put(b, SX_STR("instance"), o->meta.name);
    const kube_pair *addresses = o->node.addresses.items;
    for (uint32_t i = o->node.addresses.count; i-- > 0;) /* the first of a type wins */
        put(b, plain_name(b, PREFIX "node_address_", addresses[i].name), addresses[i].value);
    target(b, host_port(b, address, o->node.kubelet_port), 0);
}

/* ---- services ---- */

static void put_service(builder *b, const kube_object *o)
{
    PUT(b, "namespace", o->meta.ns);
    put_meta(b, &o->meta, KUBE_SERVICES);
}

/* Addresses of the balancer, or the one that was asked for. */
static sx_str balancer_ips(builder *b, const kube_object *o)
{
    const sx_str *ips = o->service.balancer_ips.items;
    sx_str all = SX_STR("");
    for (uint32_t i = 0; i < o->service.balancer_ips.count; i++) {
        if (!ips[i].len)
            continue;
        all = all.len ? sx_arena_printf(b->out->arena, "%.*s,%.*s", SX_ARG(all), SX_ARG(ips[i]))
                      : ips[i];
    }
    return all.len ? all : o->service.balancer_ip;
}

static void build_service(builder *b, const kube_object *o)
{
    begin(b, "svc", o);
    put_service(b, o);
    put_namespace(b, o->meta.ns);
    size_t keep = b->count;
    const kube_port *ports = o->service.ports.items;
    sx_str host =
        sx_arena_printf(b->out->arena, "%.*s.%.*s.svc", SX_ARG(o->meta.name), SX_ARG(o->meta.ns));
    b->out->failed |= !host.data;
    for (uint32_t i = 0; i < o->service.ports.count; i++) {
        PUT(b, "service_port_name", ports[i].name);
        PUT(b, "service_port_number", number(b, ports[i].number));
        PUT(b, "service_port_protocol", ports[i].protocol);
        PUT(b, "service_type", o->service.type);
        if (sx_str_eq(o->service.type, SX_STR("ExternalName")))
            PUT(b, "service_external_name", o->service.external_name);
        else
            PUT(b, "service_cluster_ip", o->service.cluster_ip);
        if (sx_str_eq(o->service.type, SX_STR("LoadBalancer")))
            PUT(b, "service_loadbalancer_ip", balancer_ips(b, o));
        target(b, host_port(b, host, ports[i].number), keep);
    }
}

/* ---- pods ---- */

static void put_pod(builder *b, const kube_object *o)
{
    PUT(b, "pod_ip", o->pod.ip);
    PUT(b, "pod_ready", o->pod.ready.data ? lower(b, o->pod.ready) : SX_STR("unknown"));
    PUT(b, "pod_phase", o->pod.phase);
    PUT(b, "pod_node_name", o->pod.node_name);
    PUT(b, "pod_host_ip", o->pod.host_ip);
    PUT(b, "pod_uid", o->meta.uid);
    put_meta(b, &o->meta, KUBE_PODS);
    if (o->meta.controller_kind.len)
        PUT(b, "pod_controller_kind", o->meta.controller_kind);
    if (o->meta.controller_name.len)
        PUT(b, "pod_controller_name", o->meta.controller_name);
}

/* Container number `i` of those and the init containers after them. */
static const kube_container *container_at(const kube_object *o, uint32_t i, bool *is_init)
{
    const kube_container *c = o->pod.containers.items, *init = o->pod.init_containers.items;
    *is_init = i >= o->pod.containers.count;
    return *is_init ? &init[i - o->pod.containers.count] : &c[i];
}

static uint32_t container_count(const kube_object *o)
{
    return o->pod.containers.count + o->pod.init_containers.count;
}

static void put_container(builder *b, const kube_container *c, bool is_init)
{
    PUT(b, "pod_container_name", c->name);
    PUT(b, "pod_container_image", c->image);
    PUT(b, "pod_container_init", truth(is_init));
}

static void put_container_port(builder *b, const kube_port *port, sx_str protocol)
{
    PUT(b, "pod_container_port_name", port->name);
    PUT(b, "pod_container_port_number", number(b, port->number));
    PUT(b, "pod_container_port_protocol", protocol);
}

static void build_pod(builder *b, const kube_object *o)
{
    begin(b, "pod", o);
    if (!o->pod.ip.len) /* it is starting, or was evicted */
        return;
    /* A node that is not there was left out by the selectors of nodes. */
    if (b->state->attach_node && !kube_watch_find(&b->state->nodes, SX_STR(""), o->pod.node_name))
        return;
    put_pod(b, o);
    PUT(b, "namespace", o->meta.ns);
    if (b->state->attach_node)
        put_node(b, o->pod.node_name);
    put_namespace(b, o->meta.ns);
    size_t keep = b->count;
    for (uint32_t i = 0; i < container_count(o); i++) {
        bool is_init;
        const kube_container *c = container_at(o, i, &is_init);
        const kube_port *ports = c->ports.items;
        sx_str id = first_of(is_init ? &o->pod.init_statuses : &o->pod.statuses, c->name);
        for (uint32_t k = 0; k < c->ports.count || k == 0; k++) {
            bool has_port = k < c->ports.count;
            put_container(b, c, is_init);
            PUT(b, "pod_container_id", id);
            if (has_port)
                put_container_port(b, &ports[k], ports[k].protocol);
            target(b, has_port ? host_port(b, o->pod.ip, ports[k].number) : o->pod.ip, keep);
        }
    }
}

/* ---- what backs endpoints and slices ---- */

/* A pod that endpoints have led to, with the ports they named. */
typedef struct seen_pod {
    const kube_object *pod;
    int64_t *ports;
    size_t count, cap;
} seen_pod;

typedef struct seen_pods {
    seen_pod *items;
    size_t count, cap;
    sx_map by_key; /* to index + 1 */
} seen_pods;

static const kube_object *pod_of(const builder *b, const kube_target *t)
{
    if (!t->is_set || !sx_str_eq(t->kind, SX_STR("Pod")))
        return NULL;
    return kube_watch_find(&b->scope->pods, t->ns, t->name);
}

static void note_port(builder *b, seen_pods *seen, const kube_object *pod, int64_t port)
{
    sx_arena *arena = b->out->arena;
    bool is_new;
    sx_map_entry *e = sx_map_put(&seen->by_key, pod->key, &is_new);
    if (!e) {
        b->out->failed = true;
        return;
    }
    if (is_new) {
        e->u64 = 0;
        if (!sx_arena_grow(arena, &seen->items, &seen->cap, seen->count + 1,
                           sizeof(*seen->items))) {
            b->out->failed = true;
            sx_map_remove(&seen->by_key, pod->key);
            return;
        }
        seen->items[seen->count] = (seen_pod){.pod = pod};
        e->u64 = seen->count++;
    }
    seen_pod *s = &seen->items[e->u64];
    if (!sx_arena_grow(arena, &s->ports, &s->cap, s->count + 1, sizeof(*s->ports))) {
        b->out->failed = true;
        return;
    }
    s->ports[s->count++] = port;
}

/* The labels of the pod behind an address, and of the container that has the port, if one has. */
static void put_backing(builder *b, const kube_object *pod, int64_t port, const sx_str *protocol)
{
    put_pod(b, pod);
    for (uint32_t i = 0; port && i < container_count(pod); i++) {
        bool is_init;
        const kube_container *c = container_at(pod, i, &is_init);
        const kube_port *ports = c->ports.items;
        for (uint32_t k = 0; k < c->ports.count; k++) {
            if (ports[k].number != port)
                continue;
            put_container(b, c, is_init);
            put_container_port(b, &ports[k], protocol ? *protocol : ports[k].protocol);
            break;
        }
    }
}

static bool has_port(const seen_pod *s, int64_t port)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->ports[i] == port)
            return true;
    }
    return false;
}

/* Targets of all ports of the pods that were seen which no endpoint has named. */
static void build_other_ports(builder *b, const seen_pods *seen, size_t keep)
{
    for (size_t n = 0; n < seen->count; n++) {
        const seen_pod *s = &seen->items[n];
        for (uint32_t i = 0; s->pod->pod.ip.len && i < container_count(s->pod); i++) {
            bool is_init;
            const kube_container *c = container_at(s->pod, i, &is_init);
            const kube_port *ports = c->ports.items;
            for (uint32_t k = 0; k < c->ports.count; k++) {
                if (has_port(s, ports[k].number))
                    continue;
                put_container(b, c, is_init);
                put_container_port(b, &ports[k], ports[k].protocol);
                put_pod(b, s->pod);
                target(b, host_port(b, s->pod->pod.ip, ports[k].number), keep);
            }
        }
    }
}

/* ---- endpoints ---- */

static void build_endpoint(builder *b, const kube_address *a, const kube_port *port, bool is_ready,
                           seen_pods *seen, size_t keep)
{
    PUT(b, "endpoint_port_name", port->name);
    PUT(b, "endpoint_port_protocol", port->protocol);
    PUT(b, "endpoint_ready", truth(is_ready));
    if (a->target.is_set) {
        PUT(b, "endpoint_address_target_kind", a->target.kind);
        PUT(b, "endpoint_address_target_name", a->target.name);
    }
    PUT(b, "endpoint_node_name", a->node_name);
    PUT(b, "endpoint_hostname", a->hostname);
    if (b->state->attach_node && a->node_name.data)
        put_node(b, a->node_name);
    else if (b->state->attach_node && sx_str_eq(a->target.kind, SX_STR("Node")))
        put_node(b, a->target.name);
    const kube_object *pod = pod_of(b, &a->target);
    if (pod) {
        put_backing(b, pod, port->number, &port->protocol);
        note_port(b, seen, pod, port->number);
    }
    target(b, host_port(b, a->ip, port->number), keep);
}

static void build_endpoints(builder *b, const kube_object *o)
{
    seen_pods seen = {0};
    begin(b, "endpoints", o);
    sx_map_init(&seen.by_key, b->out->arena);
    PUT(b, "namespace", o->meta.ns);
    const kube_object *service = kube_watch_find(&b->scope->services, o->meta.ns, o->meta.name);
    if (service)
        put_service(b, service);
    put_meta(b, &o->meta, KUBE_ENDPOINTS);
    put_namespace(b, o->meta.ns);
    size_t keep = b->count;
    const kube_subset *subsets = o->endpoints.subsets.items;
    for (uint32_t i = 0; i < o->endpoints.subsets.count; i++) {
        const kube_port *ports = subsets[i].ports.items;
        const kube_address *ready = subsets[i].ready.items, *not_ready = subsets[i].not_ready.items;
        for (uint32_t p = 0; p < subsets[i].ports.count; p++) {
            for (uint32_t k = 0; k < subsets[i].ready.count; k++)
                build_endpoint(b, &ready[k], &ports[p], true, &seen, keep);
            for (uint32_t k = 0; k < subsets[i].not_ready.count; k++)
                build_endpoint(b, &not_ready[k], &ports[p], false, &seen, keep);
        }
    }
    build_other_ports(b, &seen, keep);
    sx_map_done(&seen.by_key);
}

/* ---- slices ---- */

static void put_tri(builder *b, sx_str name, kube_tri value)
{
    if (value != KUBE_ABSENT)
        put(b, name, truth(value == KUBE_TRUE));
}

static void put_slice_endpoint(builder *b, const kube_address *e, const kube_port *port)
{
    PUT(b, "endpointslice_port_name", port->name);
    PUT(b, "endpointslice_port_protocol", port->protocol);
    if (port->number)
        PUT(b, "endpointslice_port", number(b, port->number));
    PUT(b, "endpointslice_port_app_protocol", port->app_protocol);
    put_tri(b, SX_STR(PREFIX "endpointslice_endpoint_conditions_ready"), e->ready);
    put_tri(b, SX_STR(PREFIX "endpointslice_endpoint_conditions_serving"), e->serving);
    put_tri(b, SX_STR(PREFIX "endpointslice_endpoint_conditions_terminating"), e->terminating);
    PUT(b, "endpointslice_endpoint_hostname", e->hostname);
    if (e->target.is_set) {
        PUT(b, "endpointslice_address_target_kind", e->target.kind);
        PUT(b, "endpointslice_address_target_name", e->target.name);
    }
    PUT(b, "endpointslice_endpoint_node_name", e->node_name);
    PUT(b, "endpointslice_endpoint_zone", e->zone);
    put_map(b, &e->topology, PREFIX "endpointslice_endpoint_topology_",
            PREFIX "endpointslice_endpoint_topology_present_");
    if (b->state->attach_node && sx_str_eq(e->target.kind, SX_STR("Node")))
        put_node(b, e->target.name);
    else if (b->state->attach_node && e->node_name.data)
        put_node(b, e->node_name);
}

/* Of a service with addresses of both families the slice of the second one repeats the first. */
static bool is_second_family(const kube_object *service, const kube_object *slice)
{
    const sx_str *families = service ? service->service.families.items : NULL;
    sx_str policy = service ? service->service.family_policy : SX_STR("");
    bool is_dual = sx_str_eq(policy, SX_STR("PreferDualStack")) ||
                   sx_str_eq(policy, SX_STR("RequireDualStack"));
    return is_dual && service->service.families.count &&
           !sx_str_eq(families[0], slice->slice.address_type);
}

static const kube_object *service_of(const builder *b, const kube_object *o)
{
    const tsdb_label *labels = o->meta.labels.items;
    for (uint32_t i = 0; i < o->meta.labels.count; i++) {
        if (sx_str_eq(labels[i].name, SX_STR("kubernetes.io/service-name")))
            return kube_watch_find(&b->scope->services, o->meta.ns, labels[i].value);
    }
    return NULL;
}

static void build_slice(builder *b, const kube_object *o)
{
    seen_pods seen = {0};
    const kube_object *service = service_of(b, o);
    begin(b, "endpointslice", o);
    if (is_second_family(service, o))
        return;
    sx_map_init(&seen.by_key, b->out->arena);
    PUT(b, "namespace", o->meta.ns);
    PUT(b, "endpointslice_address_type", o->slice.address_type);
    put_meta(b, &o->meta, KUBE_SLICES);
    if (service)
        put_service(b, service);
    put_namespace(b, o->meta.ns);
    size_t keep = b->count;
    const kube_address *endpoints = o->slice.endpoints.items;
    const kube_port *ports = o->slice.ports.items;
    for (uint32_t i = 0; i < o->slice.endpoints.count; i++) {
        const kube_address *e = &endpoints[i];
        const sx_str *addresses = e->addresses.items;
        const kube_object *pod = pod_of(b, &e->target);
        for (uint32_t p = 0; p < o->slice.ports.count; p++) {
            for (uint32_t k = 0; k < e->addresses.count; k++) {
                put_slice_endpoint(b, e, &ports[p]);
                if (pod) {
                    put_backing(b, pod, ports[p].number, NULL);
                    note_port(b, &seen, pod, ports[p].number);
                }
                target(b,
                       ports[p].number ? host_port(b, addresses[k], ports[p].number) : addresses[k],
                       keep);
            }
        }
    }
    build_other_ports(b, &seen, keep);
    sx_map_done(&seen.by_key);
}

/* ---- ingresses ---- */

/* The same, or "*.example.org" with one label in the star's place. */
static bool host_matches(sx_str pattern, sx_str host)
{
    if (sx_str_eq(pattern, host))
        return true;
    size_t dot = sx_str_find_byte(host, '.');
    return sx_str_starts(pattern, SX_STR("*")) &&
           sx_str_eq(sx_str_from(pattern, 1), sx_str_from(host, dot));
}

static void build_ingress(builder *b, const kube_object *o)
{
    begin(b, "ingress", o);
    PUT(b, "namespace", o->meta.ns);
    PUT(b, "ingress_class_name", o->ingress.class_name);
    put_meta(b, &o->meta, KUBE_INGRESSES);
    put_namespace(b, o->meta.ns);
    size_t keep = b->count;
    const kube_rule *rules = o->ingress.rules.items;
    const sx_str *hosts = o->ingress.tls_hosts.items;
    for (uint32_t i = 0; i < o->ingress.rules.count; i++) {
        const sx_str *paths = rules[i].paths.items;
        sx_str host = rules[i].host.data ? rules[i].host : SX_STR("");
        bool is_tls = false;
        for (uint32_t k = 0; k < o->ingress.tls_hosts.count && !is_tls; k++)
            is_tls = host_matches(hosts[k], host);
        uint32_t count = rules[i].has_http ? rules[i].paths.count : 1;
        for (uint32_t k = 0; k < count; k++) {
            PUT(b, "ingress_scheme", is_tls ? SX_STR("https") : SX_STR("http"));
            PUT(b, "ingress_host", host);
            PUT(b, "ingress_path", rules[i].has_http && paths[k].len ? paths[k] : SX_STR("/"));
            target(b, host, keep);
        }
    }
}

/* ---- all ---- */

static void (*const BUILD[KUBE_RESOURCES])(builder *b, const kube_object *o) = {
    [KUBE_PODS] = build_pod,
    [KUBE_SERVICES] = build_service,
    [KUBE_ENDPOINTS] = build_endpoints,
    [KUBE_SLICES] = build_slice,
    [KUBE_INGRESSES] = build_ingress,
    [KUBE_NODES] = build_node,
};

static bool is_synced(const kube_state *s, const kube_scope *scope)
{
    return scope->primary.is_synced &&
           (!s->has_backing || (scope->services.is_synced && scope->pods.is_synced)) &&
           (!s->attach_node || s->nodes.is_synced) &&
           (!s->attach_namespace || s->namespaces.is_synced);
}

static int by_key(const void *a, const void *b)
{
    const kube_object *const *x = a, *const *y = b;
    return sx_str_cmp((*x)->key, (*y)->key);
}

/* In the order of their names, so that what has not changed looks the same each time. */
static void build_scope(builder *b)
{
    const sx_map *objects = &b->scope->primary.objects;
    size_t cursor = 0, count = 0;
    const kube_object **all =
        sx_arena_alloc(b->out->arena, (sx_map_count(objects) + 1) * sizeof(*all));
    sx_map_entry *e;
    if (!all) {
        b->out->failed = true;
        return;
    }
    while ((e = sx_map_next(objects, &cursor)))
        all[count++] = e->ptr;
    qsort(all, count, sizeof(*all), by_key);
    for (size_t i = 0; i < count && !b->out->failed; i++)
        BUILD[b->scope->primary.resource](b, all[i]);
}

void kube_build(const kube_state *s, discovery_groups *out)
{
    builder b = {.state = s, .out = out};
    sx_map_init(&b.names, out->arena);
    for (size_t i = 0; i < s->scope_count; i++) {
        b.scope = &s->scopes[i];
        if (is_synced(s, b.scope))
            build_scope(&b);
    }
    sx_map_done(&b.names);
}

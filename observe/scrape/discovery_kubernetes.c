/* discovery_kubernetes.c - targets from the Kubernetes API: which watches a role needs, and when what
 * they know is told.
 *
 *   access -> client -> scopes: one a namespace, or one for all
 *                         primary (the role's resource) + services and pods for endpoints and slices
 *                       nodes, namespaces: once, for attach_metadata
 *
 * A scope has targets as soon as all of its watches have had one whole list, as Prometheus waits for
 * its informers. An API that cannot be reached is asked again for ever; the start never fails. */
#include "observe/scrape/discovery_kubernetes.h"

enum { OPEN_MS_LEAST = 5000, OPEN_MS_MOST = 300000 };

static const kube_resource RESOURCES[] = {
    [PROM_KUBE_NODE] = KUBE_NODES,
    [PROM_KUBE_SERVICE] = KUBE_SERVICES,
    [PROM_KUBE_POD] = KUBE_PODS,
    [PROM_KUBE_ENDPOINTS] = KUBE_ENDPOINTS,
    [PROM_KUBE_ENDPOINTSLICE] = KUBE_SLICES,
    [PROM_KUBE_INGRESS] = KUBE_INGRESSES,
};

void kube_changed(kube_state *s)
{
    discovery_changed(s->d);
}

/* The selectors of the role that a watch serves. */
static void take_selectors(kube_watch *w)
{
    const prom_discovery *what = w->state->d->what;
    for (uint32_t i = 0; i < what->kubernetes.selector_count; i++) {
        const prom_kube_selector *s = &what->kubernetes.selectors[i];
        if (RESOURCES[s->role] != w->resource)
            continue;
        w->label = s->label;
        w->field = s->field;
    }
}

static void open_watch(kube_state *s, kube_watch *w, kube_resource resource, sx_str ns)
{
    kube_watch_init(w, s, resource, ns);
    take_selectors(w);
}

static sx_status open_scopes(kube_state *s, sx_error *err)
{
    const prom_discovery *what = s->d->what;
    prom_kube_role role = what->kubernetes.role;
    bool is_global = role == PROM_KUBE_NODE;
    size_t named = is_global ? 0 : what->kubernetes.namespace_count;
    bool adds_own = !is_global && s->access.own_namespace.len > 0;
    size_t count = named + adds_own;
    s->scope_count = count ? count : 1;
    s->has_backing = role == PROM_KUBE_ENDPOINTS || role == PROM_KUBE_ENDPOINTSLICE;
    s->attach_node = what->kubernetes.attach_node && (s->has_backing || role == PROM_KUBE_POD);
    s->attach_namespace = what->kubernetes.attach_namespace && !is_global;
    s->scopes = sx_calloc(s->scope_count, sizeof(*s->scopes));
    if (!s->scopes) {
        s->scope_count = 0;
        return sx_fail_memory(err, "Kubernetes discovery");
    }
    for (size_t i = 0; i < s->scope_count; i++) {
        sx_str ns = i < named  ? what->kubernetes.namespaces[i]
                    : adds_own ? s->access.own_namespace
                               : SX_STR("");
        open_watch(s, &s->scopes[i].primary, RESOURCES[role], ns);
        if (s->has_backing) {
            open_watch(s, &s->scopes[i].services, KUBE_SERVICES, ns);
            open_watch(s, &s->scopes[i].pods, KUBE_PODS, ns);
        }
    }
    if (s->attach_node)
        open_watch(s, &s->nodes, KUBE_NODES, SX_STR(""));
    if (s->attach_namespace)
        kube_watch_init(&s->namespaces, s, KUBE_NAMESPACES, SX_STR(""));
    return SX_OK;
}

static void start_watches(kube_state *s)
{
    for (size_t i = 0; i < s->scope_count; i++) {
        kube_watch_start(&s->scopes[i].primary);
        if (s->has_backing) {
            kube_watch_start(&s->scopes[i].services);
            kube_watch_start(&s->scopes[i].pods);
        }
    }
    if (s->attach_node)
        kube_watch_start(&s->nodes);
    if (s->attach_namespace)
        kube_watch_start(&s->namespaces);
}

static void close_all(kube_state *s)
{
    prom_http_free(s->client); /* ends what is under way */
    s->client = NULL;
    for (size_t i = 0; i < s->scope_count; i++) {
        kube_watch_done(&s->scopes[i].primary);
        kube_watch_done(&s->scopes[i].services);
        kube_watch_done(&s->scopes[i].pods);
    }
    kube_watch_done(&s->nodes);
    kube_watch_done(&s->namespaces);
    s->nodes = s->namespaces = (kube_watch){0};
    sx_free(s->scopes);
    s->scopes = NULL;
    s->scope_count = 0;
    if (s->has_access)
        kube_access_done(&s->access);
    s->has_access = false;
}

static sx_status open_all(kube_state *s, sx_error *err)
{
    sx_status st = kube_access_open(s->d, &s->access, err);
    if (st != SX_OK)
        return st;
    s->has_access = true;
    st = open_scopes(s, err);
    if (st == SX_OK) { /* each watch holds a connection, where the server has no HTTP/2 */
        prom_http_limits limits = {.connections_max = (uint32_t)(3 * s->scope_count + 4)};
        st = prom_http_new(s->d->loop, s->d->kit, s->access.config, &limits, &s->client, err);
    }
    if (st != SX_OK)
        close_all(s);
    return st;
}

static void try_open(kube_state *s)
{
    sx_error err;
    if (open_all(s, &err) == SX_OK) {
        discovery_well(s->d);
        start_watches(s);
        return;
    }
    uint32_t doublings = s->open_failures < 6 ? s->open_failures : 6;
    int64_t ms = (int64_t)OPEN_MS_LEAST << doublings;
    s->open_failures++;
    discovery_failed(s->d, "Cannot create service discovery", &err);
    sx_timer_start(sx_loop_timers(s->d->loop), &s->open, ms < OPEN_MS_MOST ? ms : OPEN_MS_MOST);
}

static void on_open(sx_timer *timer, void *arg)
{
    (void)timer;
    try_open(arg);
}

static sx_status start(prom_discoverer *d, sx_error *err)
{
    kube_state *s = sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "Kubernetes discovery");
    d->state = s;
    s->d = d;
    s->open = (sx_timer){.fn = on_open, .arg = s};
    sx_random_init(&s->random);
    s->failures = discovery_counter(d, "prometheus_sd_kubernetes_failures_total",
                                    "The number of failed WATCH/LIST requests.");
    try_open(s);
    return SX_OK;
}

static void stop(prom_discoverer *d)
{
    kube_state *s = d->state;
    if (!s)
        return;
    sx_timer_stop(sx_loop_timers(d->loop), &s->open);
    close_all(s);
    sx_free(s);
}

static void gather(prom_discoverer *d, discovery_groups *out)
{
    kube_build(d->state, out);
}

const discovery_ops DISCOVERY_KUBERNETES = {"kubernetes", start, stop, gather};

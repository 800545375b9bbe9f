/* discovery_kubernetes_object.c - Kubernetes objects from JSON: only what labels are made of is kept.
 *
 * Tables name the fields of each kind of object; what they do not name is skipped at the speed of the
 * scan (the larger part of a pod). Lists grow in a scratch arena and are then copied at their size, so
 * that an object takes little more than its texts. */
#include "observe/scrape/discovery_kubernetes.h"

enum { ARENA_CHUNK_BYTES = 1024, OBJECT_BYTES_MAX = 8 << 20, DEPTH_MAX = 100 };

typedef struct reader {
    sx_json json;
    sx_arena *arena;   /* of the object */
    sx_arena *scratch; /* of lists that grow */
} reader;

typedef struct field {
    const char *key; /* NULL after the last */
    void (*read)(reader *r, void *target, const struct field *f);
    size_t at;
    const struct field *fields; /* of a nested mapping, or of a list's items */
    size_t size;                /* of a list's items */
} field;

static void no_memory(reader *r)
{
    sx_json_fail(&r->json, SX_ENOMEM, "out of memory");
}

/* ---- readers of one value; `target` is where it goes ---- */

static void read_text(reader *r, void *target, const field *f)
{
    sx_str text, *out = target;
    (void)f;
    if (sx_json_take_null(&r->json) || !sx_json_read_str(&r->json, &text))
        return;
    *out = sx_arena_copy(r->arena, text);
    if (!out->data)
        no_memory(r);
}

static void read_number(reader *r, void *target, const field *f)
{
    (void)f;
    if (!sx_json_take_null(&r->json))
        sx_json_read_i64(&r->json, target);
}

static void read_tri(reader *r, void *target, const field *f)
{
    kube_tri *out = target;
    bool truth;
    (void)f;
    if (!sx_json_take_null(&r->json) && sx_json_read_bool(&r->json, &truth))
        *out = truth ? KUBE_TRUE : KUBE_FALSE;
}

static void read_fields(reader *r, const field *fields, void *base)
{
    sx_str key;
    if (sx_json_take_null(&r->json))
        return;
    sx_json_enter_object(&r->json);
    while (sx_json_next_key(&r->json, &key)) {
        const field *f = fields;
        while (f->key && !sx_str_eq(sx_str_z(f->key), key))
            f++;
        if (f->key)
            f->read(r, (char *)base + f->at, f);
        else
            sx_json_skip_fast(&r->json);
    }
}

/* A mapping whose fields lie in the same struct. */
static void read_inner(reader *r, void *target, const field *f)
{
    read_fields(r, f->fields, target);
}

static void finish_list(reader *r, void *items, size_t count, size_t size, kube_list *out)
{
    if (count == 0)
        return;
    out->items = sx_arena_alloc(r->arena, count * size);
    if (!out->items) {
        no_memory(r);
        return;
    }
    memcpy(out->items, items, count * size);
    out->count = (uint32_t)count;
}

/* A list of mappings; without `fields` one of texts. */
static void read_list(reader *r, void *target, const field *f)
{
    size_t count = 0, cap = 0, size = f->fields ? f->size : sizeof(sx_str);
    char *items = NULL;
    if (sx_json_take_null(&r->json))
        return;
    for (sx_json_enter_array(&r->json); sx_json_next_item(&r->json);) {
        if (!sx_arena_grow(r->scratch, &items, &cap, count + 1, size)) {
            no_memory(r);
            return;
        }
        memset(items + count * size, 0, size);
        if (f->fields)
            read_fields(r, f->fields, items + count * size);
        else
            read_text(r, items + count * size, f);
        count++;
    }
    finish_list(r, items, count, size, target);
}

/* A mapping of texts. */
static void read_map(reader *r, void *target, const field *f)
{
    size_t count = 0, cap = 0;
    tsdb_label *items = NULL;
    sx_str key;
    (void)f;
    if (sx_json_take_null(&r->json))
        return;
    sx_json_enter_object(&r->json);
    while (sx_json_next_key(&r->json, &key)) {
        if (!sx_arena_grow(r->scratch, &items, &cap, count + 1, sizeof(*items))) {
            no_memory(r);
            return;
        }
        items[count] = (tsdb_label){.name = sx_arena_copy(r->arena, key)};
        if (!items[count].name.data)
            no_memory(r);
        read_text(r, &items[count].value, NULL);
        count++;
    }
    finish_list(r, items, count, sizeof(*items), target);
}

/* ---- what all objects have ---- */

typedef struct owner {
    sx_str kind, name;
    kube_tri controls;
} owner;

static const field OWNER[] = {{"kind", read_text, offsetof(owner, kind), NULL, 0},
                              {"name", read_text, offsetof(owner, name), NULL, 0},
                              {"controller", read_tri, offsetof(owner, controls), NULL, 0},
                              {0}};

/* The first owner that controls. */
static void read_owners(reader *r, void *target, const field *f)
{
    kube_meta *meta = target;
    (void)f;
    if (sx_json_take_null(&r->json))
        return;
    for (sx_json_enter_array(&r->json); sx_json_next_item(&r->json);) {
        owner o = {0};
        read_fields(r, OWNER, &o);
        if (o.controls == KUBE_TRUE && !meta->controller_kind.data) {
            meta->controller_kind = o.kind.data ? o.kind : SX_STR("");
            meta->controller_name = o.name;
        }
    }
}

#define META(member) offsetof(kube_meta, member)
static const field META_FIELDS[] = {{"namespace", read_text, META(ns), NULL, 0},
                                    {"name", read_text, META(name), NULL, 0},
                                    {"uid", read_text, META(uid), NULL, 0},
                                    {"resourceVersion", read_text, META(version), NULL, 0},
                                    {"labels", read_map, META(labels), NULL, 0},
                                    {"annotations", read_map, META(annotations), NULL, 0},
                                    {"ownerReferences", read_owners, 0, NULL, 0},
                                    {0}};

#define AT(member)                   offsetof(kube_object, member)
#define METADATA                     {"metadata", read_inner, AT(meta), META_FIELDS, 0}
#define INNER(key, list)             {key, read_inner, 0, list, 0}
#define TEXT(key, where)             {key, read_text, where, NULL, 0}
#define LIST(key, where, list, type) {key, read_list, where, list, sizeof(type)}
#define TEXTS(key, where)            {key, read_list, where, NULL, 0}

/* ---- pods ---- */

/* Ports of containers, of services and of endpoints name their numbers differently. */
static const field PORT[] = {TEXT("name", offsetof(kube_port, name)),
                             TEXT("protocol", offsetof(kube_port, protocol)),
                             TEXT("appProtocol", offsetof(kube_port, app_protocol)),
                             {"port", read_number, offsetof(kube_port, number), NULL, 0},
                             {"containerPort", read_number, offsetof(kube_port, number), NULL, 0},
                             {0}};
static const field CONTAINER[] = {TEXT("name", offsetof(kube_container, name)),
                                  TEXT("image", offsetof(kube_container, image)),
                                  LIST("ports", offsetof(kube_container, ports), PORT, kube_port),
                                  {0}};
static const field STATUS[] = {
    TEXT("name", offsetof(kube_pair, name)), TEXT("containerID", offsetof(kube_pair, value)), {0}};
static const field CONDITION[] = {
    TEXT("type", offsetof(kube_pair, name)), TEXT("status", offsetof(kube_pair, value)), {0}};

static void read_ready(reader *r, void *target, const field *f)
{
    sx_str *ready = target;
    (void)f;
    if (sx_json_take_null(&r->json))
        return;
    for (sx_json_enter_array(&r->json); sx_json_next_item(&r->json);) {
        kube_pair c = {0};
        read_fields(r, CONDITION, &c);
        if (!ready->data && sx_str_eq(c.name, SX_STR("Ready")))
            *ready = c.value.data ? c.value : SX_STR("");
    }
}

static const field POD_SPEC[] = {
    TEXT("nodeName", AT(pod.node_name)),
    LIST("containers", AT(pod.containers), CONTAINER, kube_container),
    LIST("initContainers", AT(pod.init_containers), CONTAINER, kube_container),
    {0}};
static const field POD_STATUS[] = {
    TEXT("podIP", AT(pod.ip)),
    TEXT("hostIP", AT(pod.host_ip)),
    TEXT("phase", AT(pod.phase)),
    {"conditions", read_ready, AT(pod.ready), NULL, 0},
    LIST("containerStatuses", AT(pod.statuses), STATUS, kube_pair),
    LIST("initContainerStatuses", AT(pod.init_statuses), STATUS, kube_pair),
    {0}};
static const field POD[] = {METADATA, INNER("spec", POD_SPEC), INNER("status", POD_STATUS), {0}};

/* ---- services ---- */

/* Lists of mappings of which one text counts. */
static void read_texts_of(reader *r, kube_list *out, const char *key)
{
    const field item[] = {TEXT(key, 0), {0}};
    size_t count = 0, cap = 0;
    sx_str *items = NULL;
    if (sx_json_take_null(&r->json))
        return;
    for (sx_json_enter_array(&r->json); sx_json_next_item(&r->json);) {
        sx_str text = {0};
        read_fields(r, item, &text);
        if (!sx_arena_grow(r->scratch, &items, &cap, count + 1, sizeof(*items))) {
            no_memory(r);
            return;
        }
        items[count++] = text;
    }
    finish_list(r, items, count, sizeof(*items), out);
}

static void read_ips(reader *r, void *target, const field *f)
{
    (void)f;
    read_texts_of(r, target, "ip");
}

static void read_paths(reader *r, void *target, const field *f)
{
    (void)f;
    read_texts_of(r, target, "path");
}

static const field BALANCER[] = {{"ingress", read_ips, AT(service.balancer_ips), NULL, 0}, {0}};
static const field SERVICE_SPEC[] = {LIST("ports", AT(service.ports), PORT, kube_port),
                                     TEXT("type", AT(service.type)),
                                     TEXT("clusterIP", AT(service.cluster_ip)),
                                     TEXT("externalName", AT(service.external_name)),
                                     TEXT("loadBalancerIP", AT(service.balancer_ip)),
                                     TEXT("ipFamilyPolicy", AT(service.family_policy)),
                                     TEXTS("ipFamilies", AT(service.families)),
                                     {0}};
static const field SERVICE_STATUS[] = {INNER("loadBalancer", BALANCER), {0}};
static const field SERVICE[] = {
    METADATA, INNER("spec", SERVICE_SPEC), INNER("status", SERVICE_STATUS), {0}};

/* ---- endpoints and slices ---- */

static const field TARGET[] = {TEXT("kind", offsetof(kube_target, kind)),
                               TEXT("namespace", offsetof(kube_target, ns)),
                               TEXT("name", offsetof(kube_target, name)),
                               {0}};

static void read_target(reader *r, void *target, const field *f)
{
    kube_target *t = target;
    (void)f;
    if (sx_json_take_null(&r->json))
        return;
    t->is_set = true;
    read_fields(r, TARGET, t);
}

#define ADDRESS(member) offsetof(kube_address, member)
static const field CONDITIONS[] = {{"ready", read_tri, ADDRESS(ready), NULL, 0},
                                   {"serving", read_tri, ADDRESS(serving), NULL, 0},
                                   {"terminating", read_tri, ADDRESS(terminating), NULL, 0},
                                   {0}};
static const field ADDRESS_FIELDS[] = {TEXT("ip", ADDRESS(ip)),
                                       TEXT("hostname", ADDRESS(hostname)),
                                       TEXT("nodeName", ADDRESS(node_name)),
                                       TEXT("zone", ADDRESS(zone)),
                                       TEXTS("addresses", ADDRESS(addresses)),
                                       INNER("conditions", CONDITIONS),
                                       {"targetRef", read_target, ADDRESS(target), NULL, 0},
                                       {"deprecatedTopology", read_map, ADDRESS(topology), NULL, 0},
                                       {0}};
static const field SUBSET[] = {
    LIST("addresses", offsetof(kube_subset, ready), ADDRESS_FIELDS, kube_address),
    LIST("notReadyAddresses", offsetof(kube_subset, not_ready), ADDRESS_FIELDS, kube_address),
    LIST("ports", offsetof(kube_subset, ports), PORT, kube_port),
    {0}};
static const field ENDPOINTS[] = {
    METADATA, LIST("subsets", AT(endpoints.subsets), SUBSET, kube_subset), {0}};
static const field SLICE[] = {METADATA,
                              TEXT("addressType", AT(slice.address_type)),
                              LIST("endpoints", AT(slice.endpoints), ADDRESS_FIELDS, kube_address),
                              LIST("ports", AT(slice.ports), PORT, kube_port),
                              {0}};

/* ---- ingresses ---- */

typedef struct tls_item {
    kube_list hosts;
} tls_item;
static const field TLS_ITEM[] = {TEXTS("hosts", offsetof(tls_item, hosts)), {0}};

/* The hosts of all of its items, one after the other. */
static void read_tls(reader *r, void *target, const field *f)
{
    size_t count = 0, cap = 0;
    sx_str *hosts = NULL;
    (void)f;
    if (sx_json_take_null(&r->json))
        return;
    for (sx_json_enter_array(&r->json); sx_json_next_item(&r->json);) {
        tls_item item = {0};
        read_fields(r, TLS_ITEM, &item);
        if (!sx_arena_grow(r->scratch, &hosts, &cap, count + item.hosts.count + 1,
                           sizeof(*hosts))) {
            no_memory(r);
            return;
        }
        if (item.hosts.count)
            memcpy(hosts + count, item.hosts.items, item.hosts.count * sizeof(*hosts));
        count += item.hosts.count;
    }
    finish_list(r, hosts, count, sizeof(*hosts), target);
}

static const field RULE_HTTP[] = {{"paths", read_paths, offsetof(kube_rule, paths), NULL, 0}, {0}};

static void read_http(reader *r, void *target, const field *f)
{
    kube_rule *rule = target;
    (void)f;
    if (sx_json_take_null(&r->json))
        return;
    rule->has_http = true;
    read_fields(r, RULE_HTTP, rule);
}

static const field RULE[] = {
    TEXT("host", offsetof(kube_rule, host)), {"http", read_http, 0, NULL, 0}, {0}};
static const field INGRESS_SPEC[] = {TEXT("ingressClassName", AT(ingress.class_name)),
                                     {"tls", read_tls, AT(ingress.tls_hosts), NULL, 0},
                                     LIST("rules", AT(ingress.rules), RULE, kube_rule),
                                     {0}};
static const field INGRESS[] = {METADATA, INNER("spec", INGRESS_SPEC), {0}};

/* ---- nodes, namespaces ---- */

static const field NODE_ADDRESS[] = {
    TEXT("type", offsetof(kube_pair, name)), TEXT("address", offsetof(kube_pair, value)), {0}};
static const field KUBELET[] = {{"Port", read_number, AT(node.kubelet_port), NULL, 0}, {0}};
static const field DAEMONS[] = {INNER("kubeletEndpoint", KUBELET), {0}};
static const field NODE_SPEC[] = {TEXT("providerID", AT(node.provider_id)), {0}};
static const field NODE_STATUS[] = {LIST("conditions", AT(node.conditions), CONDITION, kube_pair),
                                    LIST("addresses", AT(node.addresses), NODE_ADDRESS, kube_pair),
                                    INNER("daemonEndpoints", DAEMONS),
                                    {0}};
static const field NODE[] = {METADATA, INNER("spec", NODE_SPEC), INNER("status", NODE_STATUS), {0}};
static const field NAMESPACE[] = {METADATA, {0}};

static const field *const OBJECTS[KUBE_RESOURCES] = {
    [KUBE_PODS] = POD,
    [KUBE_SERVICES] = SERVICE,
    [KUBE_ENDPOINTS] = ENDPOINTS,
    [KUBE_SLICES] = SLICE,
    [KUBE_INGRESSES] = INGRESS,
    [KUBE_NODES] = NODE,
    [KUBE_NAMESPACES] = NAMESPACE,
};

/* ---- objects ---- */

static void start_reader(reader *r, sx_str text, sx_arena *arena, sx_arena *scratch)
{
    r->arena = arena;
    r->scratch = scratch;
    sx_json_init(&r->json, text, &(sx_json_options){.arena = scratch, .depth_max = DEPTH_MAX});
}

void kube_object_free(kube_object *o)
{
    if (!o)
        return;
    sx_arena_done(&o->arena);
    sx_free(o);
}

sx_status kube_object_read(kube_resource resource, sx_str text, kube_object **out, sx_error *err)
{
    reader r;
    sx_arena scratch;
    kube_object *o = sx_calloc(1, sizeof(*o));
    if (!o)
        return sx_fail_memory(err, "an object");
    sx_arena_init(&o->arena, ARENA_CHUNK_BYTES, OBJECT_BYTES_MAX);
    sx_arena_init(&scratch, 0, OBJECT_BYTES_MAX);
    start_reader(&r, text, &o->arena, &scratch);
    read_fields(&r, OBJECTS[resource], o);
    sx_status st = sx_json_finish(&r.json, err);
    sx_arena_done(&scratch);
    if (st == SX_OK && o->meta.name.len == 0)
        st = sx_fail(err, SX_EFORMAT, "an object without metadata.name");
    if (st == SX_OK) {
        o->key = o->meta.ns.len ? sx_arena_printf(&o->arena, "%.*s/%.*s", SX_ARG(o->meta.ns),
                                                  SX_ARG(o->meta.name))
                                : o->meta.name;
        st = o->key.data ? SX_OK : sx_fail_memory(err, "an object");
    }
    if (st != SX_OK) {
        kube_object_free(o);
        return st;
    }
    *out = o;
    return SX_OK;
}

/* ---- lists, events, statuses ---- */

static const field PAGE_META[] = {TEXT("resourceVersion", offsetof(kube_page, version)),
                                  TEXT("continue", offsetof(kube_page, next)),
                                  {0}};

sx_status kube_page_read(sx_arena *arena, sx_str text,
                         sx_status (*item)(void *ctx, sx_str object, sx_error *err), void *ctx,
                         kube_page *out, sx_error *err)
{
    reader r;
    sx_str key, object;
    sx_status st = SX_OK;
    bool has_items = false;
    *out = (kube_page){0};
    start_reader(&r, text, arena, arena);
    sx_json_enter_object(&r.json);
    while (st == SX_OK && sx_json_next_key(&r.json, &key)) {
        if (sx_str_eq(key, SX_STR("metadata"))) {
            read_fields(&r, PAGE_META, out);
        } else if (sx_str_eq(key, SX_STR("items"))) {
            has_items = true;
            if (sx_json_take_null(&r.json))
                continue;
            for (sx_json_enter_array(&r.json); st == SX_OK && sx_json_next_item(&r.json);)
                if (sx_json_raw(&r.json, &object))
                    st = item(ctx, object, err);
        } else {
            sx_json_skip_fast(&r.json);
        }
    }
    if (st == SX_OK)
        st = sx_json_finish(&r.json, err);
    if (st == SX_OK && (!has_items || !out->version.len))
        st = sx_fail(err, SX_EFORMAT, "the answer is no list with a version");
    return st;
}

sx_status kube_event_read(sx_arena *arena, sx_str line, kube_event *out, sx_error *err)
{
    reader r;
    sx_str key;
    *out = (kube_event){0};
    start_reader(&r, line, arena, arena);
    sx_json_enter_object(&r.json);
    while (sx_json_next_key(&r.json, &key)) {
        if (sx_str_eq(key, SX_STR("type")))
            read_text(&r, &out->type, NULL);
        else if (sx_str_eq(key, SX_STR("object")))
            sx_json_raw(&r.json, &out->object);
    }
    sx_status st = sx_json_finish(&r.json, err);
    if (st == SX_OK && (!out->type.len || !out->object.len))
        st = sx_fail(err, SX_EFORMAT, "the line is no event");
    return st;
}

int64_t kube_status_read(sx_arena *arena, sx_str text, sx_str *message)
{
    struct status {
        int64_t code;
        sx_str message;
    } got = {0};
    static const field FIELDS[] = {{"code", read_number, offsetof(struct status, code), NULL, 0},
                                   TEXT("message", offsetof(struct status, message)),
                                   {0}};
    reader r;
    start_reader(&r, text, arena, arena);
    read_fields(&r, FIELDS, &got);
    bool is_whole = sx_json_finish(&r.json, NULL) == SX_OK;
    *message = is_whole ? got.message : SX_STR("");
    return is_whole ? got.code : 0;
}

sx_str kube_version_read(sx_arena *arena, sx_str text)
{
    struct outer {
        kube_page meta;
    } got = {0};
    static const field FIELDS[] = {{"metadata", read_inner, 0, PAGE_META, 0}, {0}};
    reader r;
    start_reader(&r, text, arena, arena);
    read_fields(&r, FIELDS, &got);
    return sx_json_finish(&r.json, NULL) == SX_OK ? got.meta.version : SX_STR("");
}

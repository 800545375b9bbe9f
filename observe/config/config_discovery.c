/* config_discovery.c - static_configs and the *_sd_configs of a job or an Alertmanager.
 *
 * Source: Prometheus, docs/configuration, <file_sd_config> and its kin. A kind that we do not have is
 * refused by name. */
#include "observe/config/config_internal.h"

/* The parts of a prom_discovery's union, each with its table. */
#define AT(member) offsetof(prom_discovery, member)

/* --- static_configs */

static const bind_field GROUP_FIELDS[] = {
    {.key = "targets",
     .kind = BIND_STRS,
     .flags = BIND_ALWAYS,
     .at = offsetof(prom_target_group, targets),
     .count_at = offsetof(prom_target_group, target_count)},
    {.key = "labels", .kind = BIND_LABELS, .at = offsetof(prom_target_group, labels)},
    {0}};

static sx_status check_group(bind *b, const sx_yaml_node *map, void *target)
{
    const prom_target_group *g = target;
    for (uint32_t i = 0; i < g->labels.count; i++) {
        if (!g->labels.items[i].name.len)
            return bind_fault(b, map, "\"\" is not a valid label name");
    }
    return SX_OK;
}

const bind_table CONFIG_TARGET_GROUP = {
    .fields = GROUP_FIELDS, .size = sizeof(prom_target_group), .check = check_group};

static sx_status read_static(bind *b, const sx_yaml_node *map, prom_discovery *d)
{
    prom_target_group *g = sx_arena_calloc(b->arena, 1, sizeof *g);
    if (!g) {
        b->no_memory = true;
        return SX_ENOMEM;
    }
    d->group = g;
    return bind_read(b, &CONFIG_TARGET_GROUP, map, g);
}

/* --- file_sd_configs */

static const bind_field FILE_FIELDS[] = {
    {.key = "files", .kind = BIND_PATHS, .at = AT(file.files), .count_at = AT(file.file_count)},
    {.key = "refresh_interval", .kind = BIND_MS, .at = AT(file.refresh_ms)},
    {0}};

static void default_file(void *target)
{
    ((prom_discovery *)target)->file.refresh_ms = 5 * 60 * 1000;
}

/* A star may stand in the last part of the path; it ends in json, yml or yaml. */
static bool is_file_pattern(sx_str name)
{
    static const char *const ENDS[] = {".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"};
    size_t star = sx_str_find_byte(name, '*');
    if (star < name.len &&
        (sx_str_find_byte(sx_str_from(name, star), '/') < name.len - star ||
         sx_str_find_byte(sx_str_from(name, star + 1), '*') < name.len - star - 1))
        return false;
    for (size_t i = 0; i < SX_COUNT_OF(ENDS); i++) {
        if (sx_str_ends(name, sx_str_z(ENDS[i])))
            return true;
    }
    return false;
}

static sx_status check_file(bind *b, const sx_yaml_node *map, void *target)
{
    const prom_discovery *d = target;
    if (d->file.file_count == 0)
        return bind_fault(b, map,
                          "file service discovery config must contain at least one path name");
    for (uint32_t i = 0; i < d->file.file_count; i++) {
        if (!is_file_pattern(d->file.files[i]))
            return bind_fault(b, map, "path name \"%.*s\" is not valid for file discovery",
                              SX_ARG(d->file.files[i]));
    }
    return SX_OK;
}

/* --- http_sd_configs */

static const bind_field HTTP_FIELDS[] = {
    {.key = "", .kind = BIND_INLINE, .at = AT(http.http), .table = &CONFIG_HTTP},
    {.key = "refresh_interval", .kind = BIND_MS, .at = AT(http.refresh_ms)},
    {.key = "url", .kind = BIND_STR, .flags = BIND_ALWAYS, .at = AT(http.url)},
    {0}};

static void default_http(void *target)
{
    ((prom_discovery *)target)->http.refresh_ms = 60 * 1000;
}

static sx_status check_http(bind *b, const sx_yaml_node *map, void *target)
{
    const prom_discovery *d = target;
    sx_str url = d->http.url, host;
    if (url.len == 0)
        return bind_fault(b, map, "URL is missing");
    if (!sx_str_starts(url, SX_STR("http://")) && !sx_str_starts(url, SX_STR("https://")))
        return bind_fault(b, map, "URL scheme must be 'http' or 'https'");
    host = sx_str_from(url, sx_str_find(url, SX_STR("//")) + 2);
    if (host.len == 0 || host.data[0] == '/' || host.data[0] == ':')
        return bind_fault(b, map, "host is missing in URL");
    return SX_OK;
}

/* --- dns_sd_configs */

static const bind_choice DNS_TYPES[] = {{"SRV", PROM_DNS_SRV},   {"A", PROM_DNS_A},
                                        {"AAAA", PROM_DNS_AAAA}, {"MX", PROM_DNS_MX},
                                        {"NS", PROM_DNS_NS},     {NULL, 0}};

static sx_status read_dns_type(bind *b, const sx_yaml_node *value, void *target,
                               const bind_field *f)
{
    sx_str text;
    sx_status st = bind_text(b, value, &text);
    (void)f;
    if (st != SX_OK)
        return st;
    for (const bind_choice *c = DNS_TYPES; c->word; c++) {
        if (sx_str_ieq(sx_str_z(c->word), text)) {
            ((prom_discovery *)target)->dns.type = (prom_dns_type)c->value;
            return SX_OK;
        }
    }
    return bind_fault(b, value, "invalid DNS-SD records type %.*s", SX_ARG(text));
}

static void print_dns_type(sx_buf *out, int indent, const void *target, const bind_field *f)
{
    const prom_discovery *d = target;
    sx_buf_printf(out, "%*s%s: %s\n", indent, "", f->key, DNS_TYPES[d->dns.type].word);
}

static const bind_field DNS_FIELDS[] = {
    {.key = "names", .kind = BIND_STRS, .at = AT(dns.names), .count_at = AT(dns.name_count)},
    {.key = "refresh_interval", .kind = BIND_MS, .at = AT(dns.refresh_ms)},
    {.key = "type", .kind = BIND_CUSTOM, .read = read_dns_type, .print = print_dns_type},
    {.key = "port", .kind = BIND_U16, .at = AT(dns.port)},
    {0}};

static void default_dns(void *target)
{
    ((prom_discovery *)target)->dns.refresh_ms = 30 * 1000;
}

static sx_status check_dns(bind *b, const sx_yaml_node *map, void *target)
{
    const prom_discovery *d = target;
    if (d->dns.name_count == 0)
        return bind_fault(b, map, "DNS-SD config must contain at least one SRV record name");
    if (d->dns.type != PROM_DNS_SRV && d->dns.port == 0)
        return bind_fault(b, map,
                          "a port is required in DNS-SD configs for all record types except SRV");
    return SX_OK;
}

/* --- kubernetes_sd_configs */

static const bind_choice ROLES[] = {{"node", PROM_KUBE_NODE},
                                    {"service", PROM_KUBE_SERVICE},
                                    {"pod", PROM_KUBE_POD},
                                    {"endpoints", PROM_KUBE_ENDPOINTS},
                                    {"endpointslice", PROM_KUBE_ENDPOINTSLICE},
                                    {"ingress", PROM_KUBE_INGRESS},
                                    {NULL, 0}};

enum { ROLE_UNSET = -1 };

static const bind_field SELECTOR_FIELDS[] = {
    {.key = "role",
     .kind = BIND_CHOICE,
     .at = offsetof(prom_kube_selector, role),
     .choices = ROLES},
    {.key = "label", .kind = BIND_STR, .at = offsetof(prom_kube_selector, label)},
    {.key = "field", .kind = BIND_STR, .at = offsetof(prom_kube_selector, field)},
    {0}};
static const bind_table SELECTOR = {.fields = SELECTOR_FIELDS, .size = sizeof(prom_kube_selector)};

/* Which objects a role watches, and so may select: bits of the roles. */
static const uint8_t SELECTABLE[] = {
    [PROM_KUBE_NODE] = 1 << PROM_KUBE_NODE,
    [PROM_KUBE_SERVICE] = 1 << PROM_KUBE_SERVICE,
    [PROM_KUBE_POD] = 1 << PROM_KUBE_POD | 1 << PROM_KUBE_NODE,
    [PROM_KUBE_ENDPOINTS] = 1 << PROM_KUBE_POD | 1 << PROM_KUBE_SERVICE | 1 << PROM_KUBE_ENDPOINTS |
                            1 << PROM_KUBE_NODE,
    [PROM_KUBE_ENDPOINTSLICE] = 1 << PROM_KUBE_POD | 1 << PROM_KUBE_SERVICE |
                                1 << PROM_KUBE_ENDPOINTSLICE | 1 << PROM_KUBE_NODE,
    [PROM_KUBE_INGRESS] = 1 << PROM_KUBE_INGRESS,
};

#define KUBE(member) AT(kubernetes.member)

static const bind_field NAMESPACE_FIELDS[] = {
    {.key = "own_namespace", .kind = BIND_BOOL, .flags = BIND_ALWAYS, .at = KUBE(own_namespace)},
    {.key = "names", .kind = BIND_STRS, .at = KUBE(namespaces), .count_at = KUBE(namespace_count)},
    {0}};
/* These two are parts of the same struct: their tables have no size of their own. */
static const bind_table NAMESPACES = {.fields = NAMESPACE_FIELDS};
static const bind_field ATTACH_FIELDS[] = {
    {.key = "node", .kind = BIND_BOOL, .at = KUBE(attach_node)},
    {.key = "namespace", .kind = BIND_BOOL, .at = KUBE(attach_namespace)},
    {.key = "deployment", .kind = BIND_REFUSED, .note = "leave it out"},
    {.key = "job", .kind = BIND_REFUSED, .note = "leave it out"},
    {.key = "cronjob", .kind = BIND_REFUSED, .note = "leave it out"},
    {0}};
static const bind_table ATTACH = {.fields = ATTACH_FIELDS};

static const bind_field KUBE_FIELDS[] = {
    {.key = "api_server", .kind = BIND_STR, .at = KUBE(api_server)},
    {.key = "role", .kind = BIND_CHOICE, .flags = BIND_ALWAYS, .at = KUBE(role), .choices = ROLES},
    {.key = "kubeconfig_file",
     .kind = BIND_PATH,
     .flags = BIND_ALWAYS,
     .at = KUBE(kubeconfig_file)},
    {.key = "", .kind = BIND_INLINE, .at = KUBE(http), .table = &CONFIG_HTTP},
    {.key = "namespaces", .kind = BIND_STRUCT, .table = &NAMESPACES},
    {.key = "selectors",
     .kind = BIND_STRUCTS,
     .at = KUBE(selectors),
     .count_at = KUBE(selector_count),
     .table = &SELECTOR},
    {.key = "attach_metadata", .kind = BIND_STRUCT, .table = &ATTACH},
    {0}};

static void default_kubernetes(void *target)
{
    ((prom_discovery *)target)->kubernetes.role = (prom_kube_role)ROLE_UNSET;
}

static bool is_custom_http(const prom_http_config *h)
{
    static const prom_tls_config NO_TLS;
    return h->basic_auth.set || h->authorization.set || h->oauth2.set || !h->follow_redirects ||
           !h->enable_http2 || h->header_count || h->proxy.url.len || h->proxy.from_environment ||
           memcmp(&h->tls, &NO_TLS, sizeof NO_TLS) != 0;
}

static sx_status check_selectors(bind *b, const sx_yaml_node *map, const prom_discovery *d)
{
    unsigned seen = 0;
    for (uint32_t i = 0; i < d->kubernetes.selector_count; i++) {
        const prom_kube_selector *s = &d->kubernetes.selectors[i];
        if (seen & 1u << s->role)
            return bind_fault(b, map, "duplicated selector role: %s", ROLES[s->role].word);
        seen |= 1u << s->role;
        if (!(SELECTABLE[d->kubernetes.role] & 1u << s->role))
            return bind_fault(b, map, "%s role does not support %s selectors",
                              ROLES[d->kubernetes.role].word, ROLES[s->role].word);
    }
    return SX_OK;
}

static sx_status check_kubernetes(bind *b, const sx_yaml_node *map, void *target)
{
    const prom_discovery *d = target;
    bool custom = is_custom_http(&d->kubernetes.http), file = d->kubernetes.kubeconfig_file.len,
         server = d->kubernetes.api_server.len;
    const char *words = NULL;
    if ((int)d->kubernetes.role == ROLE_UNSET)
        words = "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)";
    else if (server && file)
        words = "cannot use 'kubeconfig_file' and 'api_server' simultaneously";
    else if (file && custom)
        words = "cannot use a custom HTTP client configuration together with 'kubeconfig_file'";
    else if (!server && custom)
        words = "to use custom HTTP client configuration please provide the 'api_server' URL "
                "explicitly";
    else if (server && d->kubernetes.own_namespace)
        words = "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously";
    else if (file && d->kubernetes.own_namespace)
        words = "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously";
    return words ? bind_fault(b, map, "%s", words) : check_selectors(b, map, d);
}

/* --- All kinds. */

static const bind_table FILE_TABLE = {.fields = FILE_FIELDS,
                                      .size = sizeof(prom_discovery),
                                      .defaults = default_file,
                                      .check = check_file};
static const bind_table HTTP_TABLE = {.fields = HTTP_FIELDS,
                                      .size = sizeof(prom_discovery),
                                      .defaults = default_http,
                                      .check = check_http};
static const bind_table DNS_TABLE = {.fields = DNS_FIELDS,
                                     .size = sizeof(prom_discovery),
                                     .defaults = default_dns,
                                     .check = check_dns};
static const bind_table KUBE_TABLE = {.fields = KUBE_FIELDS,
                                      .size = sizeof(prom_discovery),
                                      .defaults = default_kubernetes,
                                      .check = check_kubernetes};

const char *const CONFIG_DISCOVERY_KEYS[] = {
    [PROM_SD_STATIC] = "static_configs",
    [PROM_SD_FILE] = "file_sd_configs",
    [PROM_SD_HTTP] = "http_sd_configs",
    [PROM_SD_DNS] = "dns_sd_configs",
    [PROM_SD_KUBERNETES] = "kubernetes_sd_configs",
};
const size_t CONFIG_DISCOVERY_KEY_COUNT = SX_COUNT_OF(CONFIG_DISCOVERY_KEYS);

sx_str prom_discovery_name(prom_discovery_kind kind)
{
    sx_str key = sx_str_z(CONFIG_DISCOVERY_KEYS[kind]);
    return sx_str_first(key, sx_str_find_byte(key, '_'));
}

static const bind_table *const TABLES[PROM_SD_KINDS] = {
    [PROM_SD_FILE] = &FILE_TABLE,
    [PROM_SD_HTTP] = &HTTP_TABLE,
    [PROM_SD_DNS] = &DNS_TABLE,
    [PROM_SD_KUBERNETES] = &KUBE_TABLE,
};

static sx_status read_one(bind *b, prom_discovery_kind kind, const sx_yaml_node *item,
                          prom_discovery *d)
{
    sx_status st;
    if (sx_yaml_is_null(item))
        return bind_fault(b, item, "empty or null section in %s", CONFIG_DISCOVERY_KEYS[kind]);
    st = kind == PROM_SD_STATIC ? read_static(b, item, d) : bind_read(b, TABLES[kind], item, d);
    d->kind = kind;
    d->line = item->line;
    return st;
}

static prom_discovery_kind kind_of(sx_str key)
{
    int k = 0;
    while (k < PROM_SD_KINDS && !sx_str_eq(key, sx_str_z(CONFIG_DISCOVERY_KEYS[k])))
        k++;
    return (prom_discovery_kind)k;
}

sx_status config_discoveries(bind *b, const sx_yaml_node *map, const prom_discovery **out,
                             uint32_t *count)
{
    uint32_t all = 0;
    sx_error err;
    *out = NULL;
    *count = 0;
    for (uint32_t i = 0; i < map->count; i++) {
        const sx_yaml_node *list = map->pairs[i].value;
        prom_discovery_kind kind = kind_of(map->pairs[i].key->scalar);
        if (kind == PROM_SD_KINDS || sx_yaml_is_null(list))
            continue;
        if (sx_yaml_expect(list, SX_YAML_SEQUENCE, &err) != SX_OK)
            bind_fault(b, list, "expected a list");
        else
            all += list->count;
    }
    prom_discovery *items = sx_arena_calloc(b->arena, all ? all : 1, sizeof *items);
    if (!items) {
        b->no_memory = true;
        return SX_ENOMEM;
    }
    *out = items;
    for (uint32_t i = 0; i < map->count; i++) {
        const sx_yaml_node *list = map->pairs[i].value;
        prom_discovery_kind kind = kind_of(map->pairs[i].key->scalar);
        if (kind == PROM_SD_KINDS || list->kind != SX_YAML_SEQUENCE)
            continue;
        for (uint32_t k = 0; k < list->count; k++) {
            sx_status st = read_one(b, kind, list->items[k], &items[*count]);
            if (st == SX_ENOMEM)
                return st;
            *count += st == SX_OK;
        }
    }
    return SX_OK;
}

void config_print_discoveries(const prom_discovery *list, uint32_t count, int indent, sx_buf *out)
{
    for (int kind = 0; kind < PROM_SD_KINDS; kind++) {
        bool first = true;
        for (uint32_t i = 0; i < count; i++) {
            if ((int)list[i].kind != kind)
                continue;
            if (first)
                sx_buf_printf(out, "%*s%s:\n", indent, "", CONFIG_DISCOVERY_KEYS[kind]);
            first = false;
            size_t begin = out->len;
            if (kind == PROM_SD_STATIC)
                bind_print(&CONFIG_TARGET_GROUP, list[i].group, indent + 2, out);
            else
                bind_print(TABLES[kind], &list[i], indent + 2, out);
            if (!out->failed && out->len > begin + (size_t)indent)
                out->data[begin + (size_t)indent] = '-';
        }
    }
}

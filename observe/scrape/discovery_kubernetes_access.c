/* discovery_kubernetes_access.c - where the API server is, and with what credentials it is asked.
 *
 *   api_server       the configuration's own HTTP settings
 *   kubeconfig_file  its current context: server, CA, client certificate, token, password
 *   neither          the pod's service account: environment, token file (read again at each request), CA
 *
 * Sources: Kubernetes, "Organizing Cluster Access Using kubeconfig Files" and "Accessing the Kubernetes
 * API from a Pod". */
#include "observe/scrape/discovery_kubernetes.h"

#include <stdlib.h>

#include <sextant/file.h>
#include <sextant/yaml.h>

#include "codec/base64.h"

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

enum { KUBECONFIG_BYTES_MAX = 4 << 20 };

void kube_access_done(kube_access *a)
{
    sx_arena_done(&a->arena);
    *a = (kube_access){0};
}

/* Without slashes at its end. */
static sx_status set_base(kube_access *a, sx_str url, sx_error *err)
{
    while (url.len && url.data[url.len - 1] == '/')
        url.len--;
    a->base = sx_arena_copy(&a->arena, url);
    return a->base.data ? SX_OK : sx_fail_memory(err, "access to Kubernetes");
}

/* ---- in a pod ---- */

static sx_status read_namespace(kube_access *a, const char *folder, sx_error *err)
{
    sx_buf text;
    sx_str path = sx_arena_printf(&a->arena, "%s/namespace", folder);
    if (!path.data)
        return sx_fail_memory(err, "access to Kubernetes");
    sx_buf_init(&text, 0);
    sx_status st = sx_file_read(path.data, 4096, &text, err);
    if (st != SX_OK)
        sx_error_prefix(err, st, "could not determine the pod's namespace");
    a->own_namespace = sx_arena_copy(&a->arena, sx_str_trim_all(sx_buf_view(&text)));
    if (st == SX_OK && a->own_namespace.len == 0)
        st = sx_fail(err, SX_EFORMAT, "could not read own namespace name (empty file)");
    sx_buf_done(&text);
    return st;
}

static sx_status open_in_cluster(prom_discoverer *d, kube_access *a, sx_error *err)
{
    const char *folder =
        d->overrides.service_account ? d->overrides.service_account : SERVICE_ACCOUNT;
    sx_str host = sx_str_z(getenv("KUBERNETES_SERVICE_HOST"));
    sx_str port = sx_str_z(getenv("KUBERNETES_SERVICE_PORT"));
    sx_file_info info;
    if (!host.len || !port.len)
        return sx_fail(err, SX_ENOTFOUND,
                       "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
                       "KUBERNETES_SERVICE_PORT must be defined");
    bool is_ipv6 = sx_str_find_byte(host, ':') < host.len;
    sx_str url = sx_arena_printf(&a->arena, is_ipv6 ? "https://[%.*s]:%.*s" : "https://%.*s:%.*s",
                                 SX_ARG(host), SX_ARG(port));
    sx_str token = sx_arena_printf(&a->arena, "%s/token", folder);
    sx_str ca = sx_arena_printf(&a->arena, "%s/ca.crt", folder);
    if (!url.data || !token.data || !ca.data)
        return sx_fail_memory(err, "access to Kubernetes");
    sx_status st = sx_file_stat(token.data, &info, err);
    if (st != SX_OK)
        return st;
    a->own.authorization.set = true;
    a->own.authorization.type = SX_STR("Bearer");
    a->own.authorization.credentials.file = token;
    if (sx_file_stat(ca.data, &info, NULL) == SX_OK)
        a->own.tls.ca_file = ca;
    a->config = &a->own;
    if (d->what->kubernetes.own_namespace)
        st = read_namespace(a, folder, err);
    return st == SX_OK ? set_base(a, url, err) : st;
}

/* ---- kubeconfig ---- */

/* Of a list of {name, KIND: {...}} the mapping of that name. */
static const sx_yaml_node *named(const sx_yaml_node *top, const char *list, const char *kind,
                                 sx_str name)
{
    const sx_yaml_node *items = sx_yaml_get(top, sx_str_z(list));
    if (!items || items->kind != SX_YAML_SEQUENCE)
        return NULL;
    for (uint32_t i = 0; i < items->count; i++) {
        const sx_yaml_node *own = sx_yaml_get(items->items[i], SX_STR("name"));
        if (own && own->kind == SX_YAML_SCALAR && sx_str_eq(own->scalar, name))
            return sx_yaml_get(items->items[i], sx_str_z(kind));
    }
    return NULL;
}

static sx_str text_of(const sx_yaml_node *map, const char *key)
{
    const sx_yaml_node *n = sx_yaml_get(map, sx_str_z(key));
    return n && n->kind == SX_YAML_SCALAR && !sx_yaml_is_null(n) ? n->scalar : SX_STR("");
}

typedef struct kubeconfig {
    kube_access *access;
    sx_str folder; /* of the file: relative paths begin there */
    sx_error *err;
} kubeconfig;

static sx_str path_of(const kubeconfig *k, const sx_yaml_node *map, const char *key)
{
    sx_str path = text_of(map, key);
    if (!path.len || path.data[0] == '/' || !k->folder.len)
        return path;
    return sx_arena_printf(&k->access->arena, "%.*s/%.*s", SX_ARG(k->folder), SX_ARG(path));
}

/* Base64 of PEM. */
static sx_status data_of(const kubeconfig *k, const sx_yaml_node *map, const char *key, sx_str *out)
{
    sx_str text = sx_str_trim_all(text_of(map, key));
    sx_buf decoded;
    sx_status st = SX_OK;
    if (!text.len)
        return SX_OK;
    sx_buf_init(&decoded, 0);
    if (!sx_base64_decode(text, &decoded))
        st = sx_fail(k->err, SX_EFORMAT, "%s is no base64", key);
    if (st == SX_OK) {
        *out = sx_arena_copy(&k->access->arena, sx_buf_view(&decoded));
        st = out->data ? SX_OK : sx_fail_memory(k->err, "access to Kubernetes");
    }
    sx_buf_done(&decoded);
    return st;
}

static sx_status read_cluster(const kubeconfig *k, const sx_yaml_node *cluster)
{
    prom_http_config *c = &k->access->own;
    sx_str server = text_of(cluster, "server");
    if (!server.len)
        return sx_fail(k->err, SX_EINVAL, "its cluster has no server");
    c->tls.server_name = text_of(cluster, "tls-server-name");
    c->proxy.url = text_of(cluster, "proxy-url");
    c->tls.insecure_skip_verify =
        sx_str_eq(text_of(cluster, "insecure-skip-tls-verify"), SX_STR("true"));
    sx_status st = data_of(k, cluster, "certificate-authority-data", &c->tls.ca);
    if (!c->tls.ca.len)
        c->tls.ca_file = path_of(k, cluster, "certificate-authority");
    if (st != SX_OK)
        return st;
    bool has_scheme = sx_str_find(server, SX_STR("://")) < server.len;
    return set_base(k->access,
                    has_scheme ? server
                               : sx_arena_printf(&k->access->arena, "http://%.*s", SX_ARG(server)),
                    k->err);
}

static sx_status read_user(const kubeconfig *k, const sx_yaml_node *user, sx_str name)
{
    prom_http_config *c = &k->access->own;
    static const char *const REFUSED[] = {"exec", "auth-provider"};
    for (size_t i = 0; i < SX_COUNT_OF(REFUSED); i++) {
        if (sx_yaml_get(user, sx_str_z(REFUSED[i])))
            return sx_fail(k->err, SX_EUNSUPPORTED,
                           "user '%.*s' has '%s', which is not supported: use a token, a token "
                           "file or a client certificate",
                           SX_ARG(name), REFUSED[i]);
    }
    sx_status st = data_of(k, user, "client-certificate-data", &c->tls.cert);
    if (st == SX_OK)
        st = data_of(k, user, "client-key-data", &c->tls.key.text);
    if (!c->tls.cert.len)
        c->tls.cert_file = path_of(k, user, "client-certificate");
    if (!c->tls.key.text.len)
        c->tls.key.file = path_of(k, user, "client-key");
    sx_str token_file = path_of(k, user, "tokenFile"), token = text_of(user, "token");
    if (token_file.len || token.len) {
        c->authorization.set = true;
        c->authorization.type = SX_STR("Bearer");
        c->authorization.credentials.file = token_file;
        c->authorization.credentials.text = token_file.len ? SX_STR("") : token;
    } else if (text_of(user, "username").len) {
        c->basic_auth.set = true;
        c->basic_auth.username = text_of(user, "username");
        c->basic_auth.password.text = text_of(user, "password");
    }
    return st;
}

static sx_status read_context(const kubeconfig *k, const sx_yaml_node *top)
{
    sx_str current = text_of(top, "current-context");
    if (!current.len)
        return sx_fail(k->err, SX_EINVAL, "it has no current-context");
    const sx_yaml_node *context = named(top, "contexts", "context", current);
    if (!context)
        return sx_fail(k->err, SX_EINVAL, "context '%.*s' does not exist", SX_ARG(current));
    sx_str cluster_name = text_of(context, "cluster"), user_name = text_of(context, "user");
    const sx_yaml_node *cluster = named(top, "clusters", "cluster", cluster_name);
    const sx_yaml_node *user = named(top, "users", "user", user_name);
    if (!cluster)
        return sx_fail(k->err, SX_EINVAL, "cluster '%.*s' does not exist", SX_ARG(cluster_name));
    if (!user && user_name.len)
        return sx_fail(k->err, SX_EINVAL, "user '%.*s' does not exist", SX_ARG(user_name));
    sx_status st = read_cluster(k, cluster);
    return st == SX_OK && user ? read_user(k, user, user_name) : st;
}

static sx_status open_kubeconfig(prom_discoverer *d, kube_access *a, sx_error *err)
{
    sx_str path = d->what->kubernetes.kubeconfig_file;
    sx_yaml_file file;
    sx_buf text;
    size_t slash = path.len;
    while (slash && path.data[slash - 1] != '/')
        slash--;
    kubeconfig k = {a, sx_str_first(path, slash ? slash - 1 : 0), err};
    sx_buf_init(&text, 0);
    sx_status st = sx_file_read(path.data, KUBECONFIG_BYTES_MAX, &text, err);
    if (st == SX_OK)
        st = sx_yaml_parse(sx_buf_view(&text), path, NULL, &a->arena, &file, err);
    if (st == SX_OK && file.count == 0)
        st = sx_fail(err, SX_EINVAL, "it is empty");
    if (st == SX_OK)
        st = read_context(&k, file.documents[0]);
    sx_buf_done(&text);
    a->config = &a->own;
    return st == SX_OK ? st : sx_error_prefix(err, st, "kubeconfig_file %.*s", SX_ARG(path));
}

sx_status kube_access_open(prom_discoverer *d, kube_access *a, sx_error *err)
{
    sx_status st;
    *a = (kube_access){.own = {.follow_redirects = true, .enable_http2 = true}};
    sx_arena_init(&a->arena, 1024, 0);
    if (d->what->kubernetes.kubeconfig_file.len) {
        st = open_kubeconfig(d, a, err);
    } else if (d->what->kubernetes.api_server.len) {
        a->config = &d->what->kubernetes.http;
        st = set_base(a, d->what->kubernetes.api_server, err);
    } else {
        st = open_in_cluster(d, a, err);
    }
    if (st != SX_OK)
        kube_access_done(a);
    return st;
}

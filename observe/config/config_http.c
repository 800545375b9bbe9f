/* config_http.c - how clients speak HTTP: authentication, TLS, proxies, headers.
 *
 * Source: Prometheus, docs/configuration, <http_config>, <tls_config>, <oauth2>. */
#include "observe/config/config_internal.h"

#define AT(type, member) offsetof(type, member)

/* --- TLS */

static const bind_choice TLS_VERSIONS[] = {
    {"TLS10", 0x0301}, {"TLS11", 0x0302}, {"TLS12", 0x0303}, {"TLS13", 0x0304}, {NULL, 0}};

static sx_status read_tls_version(bind *b, const sx_yaml_node *value, void *target,
                                  const bind_field *f)
{
    struct {
        int version;
    } chosen = {0};
    bind_field choice = {.key = f->key, .kind = BIND_CHOICE, .choices = TLS_VERSIONS};
    sx_status st = bind_read_field(b, &choice, value, &chosen);
    if (st == SX_OK)
        *(uint16_t *)(void *)((char *)target + f->at) = (uint16_t)chosen.version;
    return st;
}

static void print_tls_version(sx_buf *out, int indent, const void *target, const bind_field *f)
{
    uint16_t version = *(const uint16_t *)(const void *)((const char *)target + f->at);
    for (const bind_choice *c = TLS_VERSIONS; c->word; c++) {
        if (c->value == version)
            sx_buf_printf(out, "%*s%s: %s\n", indent, "", f->key, c->word);
    }
}

static sx_status check_tls(bind *b, const sx_yaml_node *map, void *target)
{
    const prom_tls_config *t = target;
    bool cert = t->cert.len || t->cert_file.len, key = t->key.text.len || t->key.file.len;
    if (t->ca.len && t->ca_file.len)
        return bind_fault(b, map, "at most one of ca and ca_file must be configured");
    if (t->cert.len && t->cert_file.len)
        return bind_fault(b, map, "at most one of cert and cert_file must be configured");
    if (t->key.text.len && t->key.file.len)
        return bind_fault(b, map, "at most one of key and key_file must be configured");
    if (cert && !key)
        return bind_fault(b, map,
                          "exactly one of key or key_file must be configured when a client "
                          "certificate is configured");
    if (key && !cert)
        return bind_fault(b, map,
                          "exactly one of cert or cert_file must be configured when a "
                          "client key is configured");
    return SX_OK;
}

static const bind_field TLS_FIELDS[] = {
    {.key = "ca", .kind = BIND_STR, .at = AT(prom_tls_config, ca)},
    {.key = "cert", .kind = BIND_STR, .at = AT(prom_tls_config, cert)},
    {.key = "key", .kind = BIND_SECRET, .at = AT(prom_tls_config, key)},
    {.key = "ca_file", .kind = BIND_PATH, .at = AT(prom_tls_config, ca_file)},
    {.key = "cert_file", .kind = BIND_PATH, .at = AT(prom_tls_config, cert_file)},
    {.key = "key_file", .kind = BIND_SECRET_FILE, .at = AT(prom_tls_config, key)},
    {.key = "ca_ref", .kind = BIND_REFUSED, .note = "name a file with ca_file"},
    {.key = "cert_ref", .kind = BIND_REFUSED, .note = "name a file with cert_file"},
    {.key = "key_ref", .kind = BIND_SECRET_REF, .at = AT(prom_tls_config, key)},
    {.key = "server_name", .kind = BIND_STR, .at = AT(prom_tls_config, server_name)},
    {.key = "insecure_skip_verify",
     .kind = BIND_BOOL,
     .flags = BIND_ALWAYS,
     .at = AT(prom_tls_config, insecure_skip_verify)},
    {.key = "min_version",
     .kind = BIND_CUSTOM,
     .at = AT(prom_tls_config, min_version),
     .read = read_tls_version,
     .print = print_tls_version},
    {.key = "max_version",
     .kind = BIND_CUSTOM,
     .at = AT(prom_tls_config, max_version),
     .read = read_tls_version,
     .print = print_tls_version},
    {0}};

const bind_table CONFIG_TLS = {
    .fields = TLS_FIELDS, .size = sizeof(prom_tls_config), .check = check_tls};

/* tls_config without anything in it is not printed. */
static void print_tls(sx_buf *out, int indent, const void *target, const bind_field *f)
{
    static const prom_tls_config NONE;
    const prom_tls_config *t = (const void *)((const char *)target + f->at);
    if (memcmp(t, &NONE, sizeof NONE) == 0)
        return;
    sx_buf_printf(out, "%*s%s:\n", indent, "", f->key);
    bind_print(&CONFIG_TLS, t, indent + 2, out);
}

static sx_status read_tls(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    return bind_read(b, &CONFIG_TLS, value, (char *)target + f->at);
}

/* --- Proxies */

static sx_status check_proxy(bind *b, const sx_yaml_node *map, void *target)
{
    const prom_proxy_config *p = target;
    if (p->connect_header_count && !p->from_environment && !p->url.len)
        return bind_fault(b, map,
                          "if proxy_connect_header is configured, proxy_url or "
                          "proxy_from_environment must also be configured");
    if (p->from_environment && p->url.len)
        return bind_fault(
            b, map, "if proxy_from_environment is configured, proxy_url must not be configured");
    if (p->from_environment && p->no_proxy.len)
        return bind_fault(
            b, map, "if proxy_from_environment is configured, no_proxy must not be configured");
    if (p->no_proxy.len && !p->url.len)
        return bind_fault(b, map, "if no_proxy is configured, proxy_url must also be configured");
    return SX_OK;
}

static const bind_field PROXY_FIELDS[] = {
    {.key = "proxy_url", .kind = BIND_STR, .at = AT(prom_proxy_config, url)},
    {.key = "no_proxy", .kind = BIND_STR, .at = AT(prom_proxy_config, no_proxy)},
    {.key = "proxy_from_environment",
     .kind = BIND_BOOL,
     .at = AT(prom_proxy_config, from_environment)},
    {.key = "proxy_connect_header",
     .kind = BIND_MULTIMAP,
     .flags = BIND_MASKED,
     .at = AT(prom_proxy_config, connect_headers),
     .count_at = AT(prom_proxy_config, connect_header_count)},
    {0}};

static const bind_table PROXY = {
    .fields = PROXY_FIELDS, .size = sizeof(prom_proxy_config), .check = check_proxy};

/* --- Who we are */

#define BASIC(member) (AT(prom_http_config, basic_auth.member) - AT(prom_http_config, basic_auth))
#define BEARER(member)                                                                             \
    (AT(prom_http_config, authorization.member) - AT(prom_http_config, authorization))
#define OAUTH(member)   (AT(prom_http_config, oauth2.member) - AT(prom_http_config, oauth2))
#define SIZE_OF(member) sizeof(((prom_http_config *)0)->member)

static sx_status check_basic(bind *b, const sx_yaml_node *map, void *target)
{
    const sx_str *name = (const void *)((char *)target + BASIC(username));
    const sx_str *name_file = (const void *)((char *)target + BASIC(username_file));
    const prom_secret *password = (const void *)((char *)target + BASIC(password));
    if (name->len && name_file->len)
        return bind_fault(b, map,
                          "at most one of basic_auth username & username_file must be "
                          "configured");
    if (password->text.len && password->file.len)
        return bind_fault(b, map,
                          "at most one of basic_auth password & password_file must be "
                          "configured");
    return SX_OK;
}

static const bind_field BASIC_FIELDS[] = {
    {.key = "username", .kind = BIND_STR, .at = BASIC(username)},
    {.key = "username_file", .kind = BIND_PATH, .at = BASIC(username_file)},
    {.key = "username_ref", .kind = BIND_REFUSED, .note = "name a file with username_file"},
    {.key = "password", .kind = BIND_SECRET, .at = BASIC(password)},
    {.key = "password_file", .kind = BIND_SECRET_FILE, .at = BASIC(password)},
    {.key = "password_ref", .kind = BIND_SECRET_REF, .at = BASIC(password)},
    {0}};
static const bind_table BASIC_AUTH = {
    .fields = BASIC_FIELDS, .size = SIZE_OF(basic_auth), .check = check_basic};

static sx_status check_authorization(bind *b, const sx_yaml_node *map, void *target)
{
    sx_str *type = (void *)((char *)target + BEARER(type));
    const prom_secret *credentials = (const void *)((char *)target + BEARER(credentials));
    if (credentials->text.len && credentials->file.len)
        return bind_fault(b, map,
                          "at most one of authorization credentials & credentials_file must "
                          "be configured");
    *type = sx_str_trim_all(*type);
    if (type->len == 0)
        *type = SX_STR("Bearer");
    if (sx_str_ieq(*type, SX_STR("basic")))
        return bind_fault(
            b, map, "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    return SX_OK;
}

static const bind_field AUTHORIZATION_FIELDS[] = {
    {.key = "type", .kind = BIND_STR, .at = BEARER(type)},
    {.key = "credentials", .kind = BIND_SECRET, .at = BEARER(credentials)},
    {.key = "credentials_file", .kind = BIND_SECRET_FILE, .at = BEARER(credentials)},
    {.key = "credentials_ref", .kind = BIND_SECRET_REF, .at = BEARER(credentials)},
    {0}};
static const bind_table AUTHORIZATION = {
    .fields = AUTHORIZATION_FIELDS, .size = SIZE_OF(authorization), .check = check_authorization};

static sx_status check_oauth2(bind *b, const sx_yaml_node *map, void *target)
{
    const sx_str *id = (const void *)((char *)target + OAUTH(client_id));
    const sx_str *url = (const void *)((char *)target + OAUTH(token_url));
    const prom_secret *secret = (const void *)((char *)target + OAUTH(client_secret));
    if (id->len == 0)
        return bind_fault(b, map, "oauth2 client_id must be configured");
    if (url->len == 0)
        return bind_fault(b, map, "oauth2 token_url must be configured");
    if (secret->text.len && secret->file.len)
        return bind_fault(b, map,
                          "at most one of oauth2 client_secret & client_secret_file must be "
                          "configured");
    return SX_OK;
}

static const bind_field OAUTH2_FIELDS[] = {
    {.key = "client_id", .kind = BIND_STR, .flags = BIND_ALWAYS, .at = OAUTH(client_id)},
    {.key = "client_secret", .kind = BIND_SECRET, .at = OAUTH(client_secret)},
    {.key = "client_secret_file", .kind = BIND_SECRET_FILE, .at = OAUTH(client_secret)},
    {.key = "client_secret_ref", .kind = BIND_SECRET_REF, .at = OAUTH(client_secret)},
    {.key = "scopes", .kind = BIND_STRS, .at = OAUTH(scopes), .count_at = OAUTH(scope_count)},
    {.key = "token_url", .kind = BIND_STR, .flags = BIND_ALWAYS, .at = OAUTH(token_url)},
    {.key = "endpoint_params",
     .kind = BIND_MAP,
     .at = OAUTH(endpoint_params),
     .count_at = OAUTH(endpoint_param_count)},
    {.key = "tls_config",
     .kind = BIND_CUSTOM,
     .at = OAUTH(tls),
     .read = read_tls,
     .print = print_tls},
    {.key = "", .kind = BIND_INLINE, .at = OAUTH(proxy), .table = &PROXY},
    {0}};
static const bind_table OAUTH2 = {
    .fields = OAUTH2_FIELDS, .size = SIZE_OF(oauth2), .check = check_oauth2};

/* --- Headers */

static const bind_field HEADER_FIELDS[] = {{.key = "values",
                                            .kind = BIND_STRS,
                                            .at = AT(prom_http_header, values),
                                            .count_at = AT(prom_http_header, value_count)},
                                           {.key = "secrets",
                                            .kind = BIND_STRS,
                                            .flags = BIND_MASKED,
                                            .at = AT(prom_http_header, secrets),
                                            .count_at = AT(prom_http_header, secret_count)},
                                           {.key = "files",
                                            .kind = BIND_PATHS,
                                            .at = AT(prom_http_header, files),
                                            .count_at = AT(prom_http_header, file_count)},
                                           {0}};
static const bind_table HEADER = {.fields = HEADER_FIELDS, .size = sizeof(prom_http_header)};

/* Fields that are the client's own business. */
static bool is_reserved(sx_str name)
{
    static const char *const RESERVED[] = {"Authorization",
                                           "Host",
                                           "Content-Encoding",
                                           "Content-Length",
                                           "Content-Type",
                                           "User-Agent",
                                           "Connection",
                                           "Keep-Alive",
                                           "Proxy-Authenticate",
                                           "Proxy-Authorization",
                                           "WWW-Authenticate",
                                           "Accept-Encoding",
                                           "X-Prometheus-Remote-Write-Version",
                                           "X-Prometheus-Remote-Read-Version",
                                           "X-Prometheus-Scrape-Timeout-Seconds",
                                           "X-Amz-Date",
                                           "X-Amz-Security-Token",
                                           "X-Amz-Content-Sha256"};
    for (size_t i = 0; i < SX_COUNT_OF(RESERVED); i++) {
        if (sx_str_ieq(sx_str_z(RESERVED[i]), name))
            return true;
    }
    return false;
}

static sx_status read_headers(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    prom_http_config *h = target;
    sx_error err;
    (void)f;
    if (sx_yaml_expect(value, SX_YAML_MAPPING, &err) != SX_OK)
        return bind_fault(b, value, "expected a mapping of header fields");
    prom_http_header *headers = sx_arena_calloc(b->arena, value->count + 1, sizeof *headers);
    if (!headers) {
        b->no_memory = true;
        return SX_ENOMEM;
    }
    for (uint32_t i = 0; i < value->count; i++) {
        const sx_yaml_node *key = value->pairs[i].key;
        if (is_reserved(key->scalar))
            return bind_fault(b, key, "setting header \"%.*s\" is not allowed",
                              SX_ARG(key->scalar));
        sx_status st = bind_read(b, &HEADER, value->pairs[i].value, &headers[i]);
        if (st != SX_OK)
            return st;
        headers[i].name = key->scalar;
    }
    h->headers = headers;
    h->header_count = value->count;
    return SX_OK;
}

static void print_headers(sx_buf *out, int indent, const void *target, const bind_field *f)
{
    const prom_http_config *h = target;
    if (h->header_count == 0)
        return;
    sx_buf_printf(out, "%*s%s:\n", indent, "", f->key);
    for (uint32_t i = 0; i < h->header_count; i++) {
        sx_buf_printf(out, "%*s", indent + 2, "");
        bind_print_text(h->headers[i].name, out);
        sx_buf_str(out, SX_STR(":\n"));
        bind_print(&HEADER, &h->headers[i], indent + 4, out);
    }
}

/* --- All of it */

/* The old names of authorization. */
static sx_status read_bearer_token(bind *b, const sx_yaml_node *value, void *target,
                                   const bind_field *f)
{
    prom_http_config *h = target;
    bool file = sx_str_ends(sx_str_z(f->key), SX_STR("_file"));
    if (h->authorization.set)
        return bind_fault(b, value,
                          "authorization is not compatible with bearer_token & bearer_token_file");
    bind_field secret = {.key = f->key, .kind = file ? BIND_SECRET_FILE : BIND_SECRET};
    sx_status st = bind_read_field(b, &secret, value, &h->authorization.credentials);
    if (st != SX_OK)
        return st;
    h->authorization.set = true;
    h->authorization.type = SX_STR("Bearer");
    return SX_OK;
}

static sx_status check_http(bind *b, const sx_yaml_node *map, void *target)
{
    const prom_http_config *h = target;
    if (h->basic_auth.set + h->authorization.set + h->oauth2.set > 1)
        return bind_fault(b, map,
                          "at most one of basic_auth, oauth2 & authorization must be configured");
    return SX_OK;
}

static void default_http(void *target)
{
    prom_http_config *h = target;
    h->follow_redirects = h->enable_http2 = true;
}

static void default_http1(void *target)
{
    ((prom_http_config *)target)->follow_redirects = true;
}

static const bind_field HTTP_FIELDS[] = {
    {.key = "basic_auth",
     .kind = BIND_STRUCT,
     .flags = BIND_PRESENCE,
     .at = AT(prom_http_config, basic_auth),
     .count_at = AT(prom_http_config, basic_auth.set),
     .table = &BASIC_AUTH},
    {.key = "authorization",
     .kind = BIND_STRUCT,
     .flags = BIND_PRESENCE,
     .at = AT(prom_http_config, authorization),
     .count_at = AT(prom_http_config, authorization.set),
     .table = &AUTHORIZATION},
    {.key = "oauth2",
     .kind = BIND_STRUCT,
     .flags = BIND_PRESENCE,
     .at = AT(prom_http_config, oauth2),
     .count_at = AT(prom_http_config, oauth2.set),
     .table = &OAUTH2},
    {.key = "bearer_token", .kind = BIND_CUSTOM, .read = read_bearer_token},
    {.key = "bearer_token_file", .kind = BIND_CUSTOM, .read = read_bearer_token},
    {.key = "follow_redirects",
     .kind = BIND_BOOL,
     .flags = BIND_ALWAYS,
     .at = AT(prom_http_config, follow_redirects)},
    {.key = "enable_http2",
     .kind = BIND_BOOL,
     .flags = BIND_ALWAYS,
     .at = AT(prom_http_config, enable_http2)},
    {.key = "tls_config",
     .kind = BIND_CUSTOM,
     .at = AT(prom_http_config, tls),
     .read = read_tls,
     .print = print_tls},
    {.key = "", .kind = BIND_INLINE, .at = AT(prom_http_config, proxy), .table = &PROXY},
    {.key = "http_headers", .kind = BIND_CUSTOM, .read = read_headers, .print = print_headers},
    {0}};

const bind_table CONFIG_HTTP = {.fields = HTTP_FIELDS,
                                .size = sizeof(prom_http_config),
                                .defaults = default_http,
                                .check = check_http};
/* Remote write's: HTTP/2 is off unless asked for. */
const bind_table CONFIG_HTTP_NO_HTTP2 = {.fields = HTTP_FIELDS,
                                         .size = sizeof(prom_http_config),
                                         .defaults = default_http1,
                                         .check = check_http};

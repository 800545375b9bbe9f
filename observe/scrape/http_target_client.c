/* http_target_client.c - the HTTP client below a prom_http: TLS from texts and files, proxies.
 *
 * Files of certificates are looked at before each call (their time, size and inode): when one has
 * changed all are read again and a new client takes the next calls, as Prometheus does it. */
#include "observe/scrape/http_target_internal.h"

#include <sextant/tls.h>
#include <sextant/url.h>

enum { CONNECTIONS_DEFAULT = 8, IDLE_MS = 300000, CONNECT_MS = 30000 };

static bool has_tls(const prom_tls_config *t)
{
    return t->ca.len || t->ca_file.len || t->cert.len || t->cert_file.len || t->server_name.len ||
           t->insecure_skip_verify || t->min_version || t->max_version;
}

/* The stamps of the files as they are now; of one that is not there: zeroes. */
static void look(const prom_tls_config *t, http_stamp stamps[3])
{
    const sx_str *const files[3] = {&t->ca_file, &t->cert_file, &t->key.file};
    for (size_t i = 0; i < 3; i++) {
        sx_file_info info;
        stamps[i] = (http_stamp){0};
        if (files[i]->len && sx_file_stat(files[i]->data, &info, NULL) == SX_OK)
            stamps[i] = (http_stamp){info.changed_ns, info.bytes, info.inode};
    }
}

/* The text, or what is in the file. Paths of a configuration have a NUL after them. */
static sx_status read_pem(sx_str text, sx_str file, const char *what, sx_buf *out, sx_error *err)
{
    sx_status st = SX_OK;
    if (text.len)
        sx_buf_str(out, text);
    else if (file.len)
        st = sx_file_read(file.data, HTTP_PEM_BYTES_MAX, out, err);
    if (st == SX_OK)
        st = sx_buf_status(out, what, err);
    return st == SX_OK ? st : sx_error_prefix(err, st, "unable to read %s", what);
}

static sx_status open_tls(const prom_http_config *config, sx_tls **out, sx_error *err)
{
    const prom_tls_config *t = &config->tls;
    sx_buf ca, cert, key;
    sx_buf_init(&ca, 0);
    sx_buf_init(&cert, 0);
    sx_buf_init(&key, 0);
    sx_status st = read_pem(t->ca, t->ca_file, "CA cert", &ca, err);
    if (st == SX_OK)
        st = read_pem(t->cert, t->cert_file, "specified client cert", &cert, err);
    if (st == SX_OK)
        st = read_pem(t->key.text, t->key.file, "specified client key", &key, err);
    if (st == SX_OK) {
        sx_tls_client_options o = {.verify = t->insecure_skip_verify ? SX_TLS_VERIFY_NONE
                                                                     : SX_TLS_VERIFY_REQUIRED,
                                   .http2 = config->enable_http2,
                                   .ca_pem = sx_buf_view(&ca),
                                   .chain_pem = sx_buf_view(&cert),
                                   .key_pem = sx_buf_view(&key),
                                   .server_name = t->server_name.len ? t->server_name.data : NULL,
                                   .version_min = (sx_tls_version)t->min_version,
                                   .version_max = (sx_tls_version)t->max_version};
        st = sx_tls_client_new(&o, out, err);
        if (st != SX_OK && t->ca_file.len)
            sx_error_prefix(err, st, "tls_config with ca_file %.*s", SX_ARG(t->ca_file));
    }
    sx_buf_done(&ca);
    sx_buf_done(&cert);
    sx_buf_done(&key);
    return st;
}

/* The proxy's URL; one without a port means 80. */
static sx_status proxy_text(const prom_proxy_config *p, sx_buf *out, sx_error *err)
{
    sx_url url;
    if (p->from_environment) {
        sx_buf_str(out, SX_STR("env"));
    } else {
        sx_status st = sx_url_parse(p->url, &url, err);
        if (st != SX_OK)
            return sx_error_prefix(err, st, "proxy_url");
        if (url.scheme == SX_URL_UNIX)
            return sx_fail(err, SX_EUNSUPPORTED, "proxy_url names a Unix socket");
        sx_buf_str(out, url.scheme == SX_URL_HTTPS ? SX_STR("https://") : SX_STR("http://"));
        if (url.userinfo.data)
            sx_buf_printf(out, "%.*s@", SX_ARG(url.userinfo));
        sx_buf_printf(out, url.is_ipv6 ? "[%.*s]:%u" : "%.*s:%u", SX_ARG(url.host), url.port);
    }
    sx_buf_byte(out, '\0');
    return sx_buf_status(out, "a proxy's address", err);
}

static sx_status open_client(prom_http *h, sx_tls *tls, sx_http_client **out, sx_error *err)
{
    const prom_proxy_config *p = &h->config->proxy;
    sx_buf proxy;
    sx_status st = SX_OK;
    sx_http_client_options o = {.connect_ms_max = CONNECT_MS,
                                .response_ms_max = INT32_MAX, /* the call's time counts */
                                .idle_ms_max = IDLE_MS,
                                .connections_max = h->limits.connections_max,
                                .header_bytes_max = 1 << 20,
                                .body_bytes_max = UINT64_MAX, /* a call's own limit counts */
                                .tls = tls,
                                .spread_addresses = h->limits.spread_addresses,
                                .no_proxy = p->no_proxy.len ? p->no_proxy.data : NULL};
    sx_buf_init(&proxy, 0);
    sx_header *fields = NULL;
    if (p->from_environment || p->url.len) {
        st = proxy_text(p, &proxy, err);
        o.proxy = proxy.data;
        fields = sx_calloc(p->connect_header_count + 1, sizeof(*fields));
        if (st == SX_OK && !fields)
            st = sx_fail_memory(err, "header fields for a proxy");
        for (uint32_t i = 0; fields && i < p->connect_header_count; i++)
            fields[i] = (sx_header){p->connect_headers[i].name, p->connect_headers[i].value};
        o.connect_headers = fields;
        o.connect_header_count = p->connect_header_count;
    }
    if (st == SX_OK)
        st = sx_http_client_new(h->loop, &o, out, err);
    sx_free(fields);
    sx_buf_done(&proxy);
    return st;
}

static sx_status share_new(prom_http *h, http_client_share **out, sx_error *err)
{
    sx_tls *tls = NULL;
    sx_status st = SX_OK;
    http_client_share *share = sx_calloc(1, sizeof(*share));
    if (!share)
        return sx_fail_memory(err, "an HTTP client");
    share->users = 1;
    look(&h->config->tls, share->stamps);
    /* Without settings the client makes its own, should it ever be asked for https. */
    if (has_tls(&h->config->tls) || !h->config->enable_http2)
        st = open_tls(h->config, &tls, err);
    if (st == SX_OK)
        st = open_client(h, tls, &share->client, err);
    sx_tls_unref(tls);
    if (st != SX_OK) {
        sx_free(share);
        return st;
    }
    *out = share;
    return SX_OK;
}

void http_share_drop(http_client_share *share)
{
    if (!share || --share->users > 0)
        return;
    sx_http_client_free(share->client);
    sx_free(share);
}

sx_status http_share_open(prom_http *h, sx_error *err)
{
    if (h->limits.connections_max == 0)
        h->limits.connections_max = CONNECTIONS_DEFAULT;
    return share_new(h, &h->share, err);
}

sx_status http_share_take(prom_http *h, http_client_share **out, sx_error *err)
{
    const prom_tls_config *t = &h->config->tls;
    if (t->ca_file.len || t->cert_file.len || t->key.file.len) {
        http_stamp now[3];
        look(t, now);
        if (memcmp(now, h->share->stamps, sizeof(now)) != 0) {
            http_client_share *fresh;
            sx_status st = share_new(h, &fresh, err);
            if (st != SX_OK)
                return st;
            http_share_drop(h->share);
            h->share = fresh;
        }
    }
    h->share->users++;
    *out = h->share;
    return SX_OK;
}

/* http_client_proxy.c - which calls go through a proxy, as curl decides it.
 *
 * Variables: http_proxy for http:// (in lower case only: HTTP_PROXY could be set by a CGI client's
 * Proxy field), https_proxy or HTTPS_PROXY for https://, then all_proxy or ALL_PROXY; no_proxy or
 * NO_PROXY lists exceptions. They are read once, when the client is made. */
#include "net/http_client_internal.h"

#include <arpa/inet.h>
#include <stdlib.h>

enum { PROXY_PORT = 1080 }; /* what curl takes when a proxy's URL names none */

/* The first of the two variables that is set and not empty. */
static sx_str variable(const char *name, const char *other)
{
    sx_str value = sx_str_z(getenv(name));
    return value.len || !other ? value : sx_str_z(getenv(other));
}

static sx_status read_proxy(sx_http_client *client, sx_str text, client_proxy **out, sx_error *err)
{
    if (text.len == 0)
        return SX_OK;
    bool has_scheme = sx_str_find(text, SX_STR("://")) < text.len;
    client_proxy *proxy = sx_arena_calloc(&client->arena, 1, sizeof(*proxy));
    sx_str url =
        sx_arena_printf(&client->arena, "%s%.*s", has_scheme ? "" : "http://", SX_ARG(text));
    if (!proxy || !url.data)
        return sx_fail_memory(err, "a proxy's address");
    proxy->url_text = url;
    sx_status st = sx_url_parse(url, &proxy->url, err);
    if (st == SX_OK && proxy->url.scheme != SX_URL_HTTP)
        st = sx_fail(err, SX_EUNSUPPORTED, "only http:// proxies are supported");
    if (st != SX_OK) /* without the text: it may hold a password */
        return sx_error_prefix(err, st, "the address of a proxy");
    sx_str host_end =
        sx_str_from(proxy->url.authority, proxy->url.host.len + (proxy->url.is_ipv6 ? 2 : 0));
    if (host_end.len == 0)
        proxy->url.port = PROXY_PORT;
    if (proxy->url.userinfo.data) {
        proxy->authorization = client_basic(&client->arena, proxy->url.userinfo);
        if (!proxy->authorization.data)
            return sx_fail_memory(err, "a proxy's credentials");
    }
    *out = proxy;
    return SX_OK;
}

/* Their names and values are checked as those of a request are: the texts end up in a head. */
static sx_status copy_connect_headers(sx_http_client *client, sx_error *err)
{
    const sx_header *from = client->options.connect_headers;
    size_t count = client->options.connect_header_count;
    sx_header *to = sx_arena_calloc(&client->arena, count, sizeof(*to));
    client->options.connect_headers = to;
    for (size_t i = 0; to && i < count; i++) {
        sx_status st = client_check_header(from[i], err);
        if (st != SX_OK)
            return st;
        to[i] = (sx_header){sx_arena_copy(&client->arena, from[i].name),
                            sx_arena_copy(&client->arena, from[i].value)};
        if (!to[i].name.data || !to[i].value.data)
            to = NULL;
    }
    return to ? SX_OK : sx_fail_memory(err, "header fields for a proxy");
}

sx_status client_proxy_init(sx_http_client *client, const char *proxy, sx_error *err)
{
    if (!proxy)
        return SX_OK;
    if (client->options.connect_header_count) {
        sx_status st = copy_connect_headers(client, err);
        if (st != SX_OK)
            return st;
    }
    if (!sx_str_eq(sx_str_z(proxy), SX_STR("env"))) {
        sx_status st = read_proxy(client, sx_str_z(proxy), &client->http_proxy, err);
        client->https_proxy = client->http_proxy;
        client->no_proxy = sx_arena_copy(&client->arena, sx_str_z(client->options.no_proxy));
        return st == SX_OK && !client->no_proxy.data ? sx_fail_memory(err, "no_proxy") : st;
    }
    sx_str all = variable("all_proxy", "ALL_PROXY");
    sx_str http = variable("http_proxy", NULL);
    sx_str https = variable("https_proxy", "HTTPS_PROXY");
    client->no_proxy = sx_arena_copy(&client->arena, variable("no_proxy", "NO_PROXY"));
    if (!client->no_proxy.data)
        return sx_fail_memory(err, "no_proxy");
    sx_status st = read_proxy(client, http.len ? http : all, &client->http_proxy, err);
    if (st == SX_OK)
        st = read_proxy(client, https.len ? https : all, &client->https_proxy, err);
    return st;
}

/* The binary form of an address; false if it is none. */
static bool read_address(sx_str text, int family, uint8_t out[16])
{
    char z[INET6_ADDRSTRLEN];
    if (text.len >= sizeof(z))
        return false;
    memcpy(z, text.data, text.len);
    z[text.len] = '\0';
    return inet_pton(family, z, out) == 1;
}

/* `entry` is an address or network of the host's family and holds it. */
static bool network_matches(sx_str entry, int family, const uint8_t host[16])
{
    sx_str base, bits_text;
    uint8_t network[16];
    uint64_t bits = family == AF_INET ? 32 : 128, most = bits;
    bool has_bits = sx_str_cut(entry, '/', &base, &bits_text);
    if (base.len > 1 && base.data[0] == '[' && base.data[base.len - 1] == ']')
        base = sx_str_of(base.data + 1, base.len - 2);
    if (has_bits && (!sx_str_to_u64(bits_text, &bits) || bits > most))
        return false;
    if (!read_address(base, family, network))
        return false;
    size_t whole = bits / 8;
    if (memcmp(network, host, whole) != 0)
        return false;
    uint8_t mask = (uint8_t)(0xff00 >> (bits % 8));
    return bits % 8 == 0 || ((network[whole] ^ host[whole]) & mask) == 0;
}

/* `entry` is the host or a domain above it; a leading dot in it means nothing. */
static bool domain_matches(sx_str entry, sx_str host)
{
    if (entry.len && entry.data[0] == '.')
        entry = sx_str_from(entry, 1);
    if (entry.len && entry.data[entry.len - 1] == '.')
        entry.len--;
    if (host.len && host.data[host.len - 1] == '.')
        host.len--;
    if (entry.len == 0 || host.len < entry.len)
        return false;
    size_t before = host.len - entry.len;
    return sx_str_ieq(sx_str_from(host, before), entry) &&
           (before == 0 || host.data[before - 1] == '.');
}

bool client_no_proxy_matches(sx_str list, sx_str host, bool is_ipv6)
{
    uint8_t address[16];
    int family = is_ipv6 ? AF_INET6 : AF_INET;
    bool is_address = read_address(host, family, address);
    while (list.len) {
        size_t end = 0;
        while (end < list.len && list.data[end] != ',' && list.data[end] != ' ' &&
               list.data[end] != '\t')
            end++;
        sx_str entry = sx_str_first(list, end);
        list = sx_str_from(list, end + 1);
        if (entry.len == 0)
            continue;
        if (sx_str_eq(entry, SX_STR("*")))
            return true;
        if (is_address ? network_matches(entry, family, address) : domain_matches(entry, host))
            return true;
    }
    return false;
}

client_proxy *client_proxy_for(const sx_http_client *client, const sx_url *url)
{
    client_proxy *proxy = url->scheme == SX_URL_HTTP    ? client->http_proxy
                          : url->scheme == SX_URL_HTTPS ? client->https_proxy
                                                        : NULL;
    if (!proxy || client_no_proxy_matches(client->no_proxy, url->host, url->is_ipv6))
        return NULL;
    return proxy;
}

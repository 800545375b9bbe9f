/* address.c - see address.h. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

static sx_status wrong(sx_str text, const char *what, sx_error *err)
{
    return sx_fail(err, SX_EINVAL,
                   "address '%.*s': %s; write HOST:PORT with a numeric host (127.0.0.1:8080, "
                   "[::1]:8080, :8080) or unix:/path",
                   SX_ARG(text), what);
}

static sx_status parse_unix(sx_str text, sx_listen_address *out, sx_error *err)
{
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&out->storage;
    sx_str path = sx_str_from(text, 5);
    if (path.len == 0)
        return wrong(text, "no path after unix:", err);
    if (path.len >= sizeof(un->sun_path))
        return wrong(text, "the path is longer than a socket's may be (107 bytes)", err);
    if (sx_str_find_byte(path, '\0') < path.len)
        return wrong(text, "the path holds a NUL byte", err);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.data, path.len);
    out->bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    return SX_OK;
}

/* A host as inet_pton wants it. */
static bool parse_host(int family, sx_str host, void *out)
{
    char z[64];
    if (host.len >= sizeof(z) || sx_str_find_byte(host, '\0') < host.len)
        return false;
    memcpy(z, host.data, host.len);
    z[host.len] = '\0';
    return inet_pton(family, z, out) == 1;
}

sx_status sx_listen_address_parse(sx_str text, sx_listen_address *out, sx_error *err)
{
    memset(out, 0, sizeof(*out));
    if (sx_str_starts(text, SX_STR("unix:")))
        return parse_unix(text, out, err);
    size_t colon = text.len;
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return wrong(text, "no port", err);
    sx_str host = sx_str_first(text, colon - 1), digits = sx_str_from(text, colon);
    uint64_t port;
    if (digits.len > 5 || !sx_str_to_u64(digits, &port) || port > 65535)
        return wrong(text, "the port is not a number from 0 to 65535", err);

    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&out->storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&out->storage;
    bool is_bracketed = host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
    if (sx_str_ieq(host, SX_STR("localhost")))
        host = SX_STR("127.0.0.1");
    if (host.len == 0 || is_bracketed) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        out->bytes = sizeof(*in6);
        out->any = host.len == 0;
        if (is_bracketed &&
            !parse_host(AF_INET6, sx_str_of(host.data + 1, host.len - 2), &in6->sin6_addr))
            return wrong(text, "the brackets hold no IPv6 address", err);
        return SX_OK;
    }
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    out->bytes = sizeof(*in);
    if (!parse_host(AF_INET, host, &in->sin_addr))
        return wrong(text, "the host is not a numeric address", err);
    return SX_OK;
}

void sx_listen_address_print(const sx_listen_address *address, char out[SX_ADDRESS_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "";
    switch (address->storage.ss_family) {
    case AF_INET: {
        const struct sockaddr_in *in = (const void *)&address->storage;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(out, SX_ADDRESS_TEXT_BYTES, "%s:%u", host, ntohs(in->sin_port));
        break;
    }
    case AF_INET6: {
        const struct sockaddr_in6 *in6 = (const void *)&address->storage;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        if (address->any)
            snprintf(out, SX_ADDRESS_TEXT_BYTES, ":%u", ntohs(in6->sin6_port));
        else
            snprintf(out, SX_ADDRESS_TEXT_BYTES, "[%s]:%u", host, ntohs(in6->sin6_port));
        break;
    }
    default: {
        const struct sockaddr_un *un = (const void *)&address->storage;
        snprintf(out, SX_ADDRESS_TEXT_BYTES, "unix:%s", un->sun_path);
        break;
    }
    }
}

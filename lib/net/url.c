/* url.c - the strict split of URLs and the cleaning of paths (url.h).
 *
 * One table says for each byte in which parts of a URL it may stand; the parts are then found from
 * left to right, each ended by the first delimiter that RFC 3986 gives it, so that "http://a@b@c",
 * "http://a\@b" and "http://a#@b" cannot mean one host to us and another to the peer. */
#include <sextant/url.h>

#include <arpa/inet.h>

#include <sextant/http.h>

#include "net/percent.h"

/* Where a byte may stand. Anything not listed stands nowhere. */
enum {
    IN_HOST = 1,  /* reg-name; percent signs are not listed: an encoded host is only a disguise */
    IN_USER = 2,  /* userinfo */
    IN_PATH = 4,  /* pchar and '/' */
    IN_QUERY = 8, /* what a path may hold, '?', and what browsers leave unencoded there */
    UNRESERVED = 16
};

#define EVERYWHERE (IN_HOST | IN_USER | IN_PATH | IN_QUERY)
#define PLAIN      (EVERYWHERE | UNRESERVED)

static const uint8_t MAY[256] = {
    ['0' ... '9'] = PLAIN,
    ['A' ... 'Z'] = PLAIN,
    ['a' ... 'z'] = PLAIN,
    ['-'] = PLAIN,
    ['.'] = PLAIN,
    ['_'] = PLAIN,
    ['~'] = PLAIN,
    ['!'] = EVERYWHERE,
    ['$'] = EVERYWHERE,
    ['&'] = EVERYWHERE,
    ['\''] = EVERYWHERE,
    ['('] = EVERYWHERE,
    [')'] = EVERYWHERE,
    ['*'] = EVERYWHERE,
    ['+'] = EVERYWHERE,
    [','] = EVERYWHERE,
    [';'] = EVERYWHERE,
    ['='] = EVERYWHERE,
    ['%'] = IN_USER | IN_PATH | IN_QUERY,
    [':'] = IN_USER | IN_PATH | IN_QUERY,
    ['@'] = IN_PATH | IN_QUERY,
    ['/'] = IN_PATH | IN_QUERY,
    ['?'] = IN_QUERY,
    ['['] = IN_QUERY,
    [']'] = IN_QUERY,
    ['{'] = IN_QUERY,
    ['}'] = IN_QUERY,
    ['|'] = IN_QUERY,
    ['^'] = IN_QUERY,
    ['`'] = IN_QUERY,
    ['\\'] = IN_QUERY,
    [0x80 ... 0xff] = IN_HOST,
};

/* Checks that all bytes of `part` may stand in a `name`; `whole` gives the offsets of messages. */
static sx_status check_part(sx_str whole, sx_str part, int where, const char *name, sx_error *err)
{
    for (size_t i = 0; i < part.len; i++) {
        unsigned char byte = (unsigned char)part.data[i];
        size_t offset = (size_t)(part.data + i - whole.data);
        if (!(MAY[byte] & where))
            return sx_fail(err, SX_EFORMAT,
                           "byte 0x%02x at offset %zu must not stand in the %s of a URL%s", byte,
                           offset, name, where == IN_HOST ? "" : "; write it as %XX");
        if (byte == '%' && sx_percent_value(sx_str_from(part, i)) < 0)
            return sx_fail(err, SX_EFORMAT,
                           "broken escape at offset %zu in the %s of a URL; write a percent sign "
                           "as %%25",
                           offset, name);
    }
    return SX_OK;
}

/* Offset of the first byte of `s` that is in `set`; s.len without one. */
static size_t find_any(sx_str s, const char *set)
{
    size_t best = s.len;
    for (; *set; set++)
        best = sx_str_find_byte(sx_str_first(s, best), *set);
    return best;
}

static sx_status read_port(sx_str text, uint16_t *port, sx_error *err)
{
    uint64_t value = 0;
    if (text.len > 5 || !sx_str_to_u64(text, &value) || value == 0 || value > 65535)
        return sx_fail(err, SX_EFORMAT, "port '%.*s' of a URL is not a number from 1 to 65535",
                       SX_ARG(sx_str_first(text, 20)));
    *port = (uint16_t)value;
    return SX_OK;
}

/* "[v6]" and what follows it. Zone names (RFC 6874) are refused: they mean nothing to a peer. */
static sx_status read_ipv6(sx_str authority, sx_url *url, sx_str *rest, sx_error *err)
{
    size_t end = sx_str_find_byte(authority, ']');
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (end == authority.len)
        return sx_fail(err, SX_EFORMAT, "'[' without ']' in the host of a URL");
    url->host = sx_str_of(authority.data + 1, end - 1);
    if (url->host.len >= sizeof(text))
        return sx_fail(err, SX_EFORMAT, "the IPv6 address of a URL is too long");
    memcpy(text, url->host.data, url->host.len);
    text[url->host.len] = '\0';
    if (memchr(text, '\0', url->host.len) || inet_pton(AF_INET6, text, &address) != 1)
        return sx_fail(err, SX_EFORMAT, "'%s' in the host of a URL is no IPv6 address", text);
    url->is_ipv6 = true;
    *rest = sx_str_from(authority, end + 1);
    return SX_OK;
}

/* [userinfo@]host[:port] */
static sx_status read_authority(sx_str whole, sx_str text, sx_url *url, sx_error *err)
{
    size_t at = sx_str_find_byte(text, '@');
    sx_status st;
    if (at < text.len) {
        url->userinfo = sx_str_first(text, at);
        st = check_part(whole, url->userinfo, IN_USER, "user name", err);
        if (st != SX_OK)
            return st;
        text = sx_str_from(text, at + 1);
    }
    url->authority = text;
    sx_str rest;
    if (text.len && text.data[0] == '[') {
        st = read_ipv6(text, url, &rest, err);
    } else {
        size_t end = sx_str_find_byte(text, ':');
        url->host = sx_str_first(text, end);
        rest = sx_str_from(text, end);
        st = check_part(whole, url->host, IN_HOST, "host", err);
    }
    if (st != SX_OK)
        return st;
    if (url->host.len == 0 || url->host.len > 255)
        return sx_fail(err, SX_EFORMAT, "the host of a URL must have 1 to 255 bytes, not %zu",
                       url->host.len);
    if (rest.len == 0)
        return SX_OK;
    if (rest.data[0] != ':')
        return sx_fail(err, SX_EFORMAT, "'%.*s' behind the host of a URL; ':' and a port, or '/'",
                       SX_ARG(sx_str_first(rest, 20)));
    return read_port(sx_str_from(rest, 1), &url->port, err);
}

/* [path][?query][#fragment] */
static sx_status read_target(sx_str whole, sx_str text, sx_url *url, sx_error *err)
{
    size_t hash = sx_str_find_byte(text, '#');
    if (hash < text.len) {
        url->fragment = sx_str_from(text, hash + 1);
        text = sx_str_first(text, hash);
    }
    size_t mark = sx_str_find_byte(text, '?');
    url->path = sx_str_first(text, mark);
    if (mark < text.len)
        url->query = sx_str_from(text, mark + 1);

    sx_status st = check_part(whole, url->path, IN_PATH, "path", err);
    if (st == SX_OK)
        st = check_part(whole, url->query, IN_QUERY, "query", err);
    if (st == SX_OK)
        st = check_part(whole, url->fragment, IN_QUERY, "fragment", err);
    return st;
}

/* unix:/path/of/socket[:/target], as nginx writes it: the socket's path ends at the first ':'. */
static sx_status read_unix(sx_str whole, sx_str text, sx_url *url, sx_error *err)
{
    size_t colon = sx_str_find_byte(text, ':');
    url->scheme = SX_URL_UNIX;
    url->host = sx_str_first(text, colon);
    if (url->host.len < 2 || url->host.data[0] != '/')
        return sx_fail(err, SX_EFORMAT,
                       "a Unix socket needs an absolute path; write unix:/path/of/socket:/target");
    if (url->host.len > 107) /* sun_path with its NUL: unix(7) */
        return sx_fail(err, SX_EFORMAT, "the path of a Unix socket has %zu bytes; at most 107",
                       url->host.len);
    if (memchr(url->host.data, '\0', url->host.len))
        return sx_fail(err, SX_EFORMAT, "the path of a Unix socket holds a NUL byte");
    if (colon == text.len)
        return SX_OK;
    sx_str target = sx_str_from(text, colon + 1);
    if (target.len == 0 || target.data[0] != '/')
        return sx_fail(err, SX_EFORMAT, "the target behind a Unix socket must begin with '/'");
    return read_target(whole, target, url, err);
}

static bool take_scheme(sx_str *text, sx_str scheme)
{
    if (!sx_str_ieq(sx_str_first(*text, scheme.len), scheme))
        return false;
    *text = sx_str_from(*text, scheme.len);
    return true;
}

sx_status sx_url_parse(sx_str text, sx_url *out, sx_error *err)
{
    sx_url url = {0};
    sx_str rest = text;
    sx_status st;
    if (text.len > SX_URL_BYTES_MAX)
        return sx_fail(err, SX_ELIMIT, "a URL of %zu bytes; at most %d", text.len,
                       SX_URL_BYTES_MAX);
    if (take_scheme(&rest, SX_STR("unix:"))) {
        st = read_unix(text, rest, &url, err);
    } else {
        if (take_scheme(&rest, SX_STR("http://"))) {
            url.scheme = SX_URL_HTTP;
            url.port = 80;
        } else if (take_scheme(&rest, SX_STR("https://"))) {
            url.scheme = SX_URL_HTTPS;
            url.port = 443;
        } else {
            return sx_fail(err, SX_EUNSUPPORTED,
                           "'%.*s' is no URL we know; it must begin with http://, https:// or "
                           "unix:/",
                           SX_ARG(sx_str_first(text, 40)));
        }
        size_t end = find_any(rest, "/?#");
        st = read_authority(text, sx_str_first(rest, end), &url, err);
        if (st == SX_OK)
            st = read_target(text, sx_str_from(rest, end), &url, err);
    }
    if (st == SX_OK)
        *out = url;
    return st;
}

void sx_url_target(const sx_url *url, sx_buf *out)
{
    if (url->path.len)
        sx_buf_str(out, url->path);
    else
        sx_buf_byte(out, '/');
    if (url->query.data) {
        sx_buf_byte(out, '?');
        sx_buf_str(out, url->query);
    }
}

void sx_url_encode(sx_str in, sx_buf *out)
{
    static const char HEX[] = "0123456789ABCDEF";
    for (size_t i = 0; i < in.len; i++) {
        unsigned char byte = (unsigned char)in.data[i];
        if (MAY[byte] & UNRESERVED) {
            sx_buf_byte(out, (char)byte);
        } else {
            char coded[3] = {'%', HEX[byte >> 4], HEX[byte & 15]};
            sx_buf_bytes(out, coded, sizeof(coded));
        }
    }
}

/* An escape of '/' would become a segment border after decoding; a backslash is one on Windows and
 * in some proxies. Neither has a use in a file's name that is worth the doubt. */
static bool hides_border(sx_str path)
{
    for (size_t i = 0; i + 2 < path.len; i++) {
        if (path.data[i] == '%' && path.data[i + 1] == '2' && (path.data[i + 2] | 0x20) == 'f')
            return true;
    }
    return false;
}

sx_status sx_path_clean(sx_arena *arena, sx_str path, sx_str *out, sx_error *err)
{
    sx_str decoded;
    if (path.len == 0 || path.data[0] != '/')
        return sx_fail(err, SX_EFORMAT, "a path must begin with '/'");
    if (hides_border(path))
        return sx_fail(err, SX_EACCESS, "a path must not hold an encoded slash (%%2F)");
    sx_status st = sx_percent_decode(arena, path, SX_PERCENT_PATH, &decoded, err);
    if (st != SX_OK)
        return st;
    if (memchr(decoded.data, '\0', decoded.len))
        return sx_fail(err, SX_EFORMAT, "a path must not hold a NUL byte");
    if (memchr(decoded.data, '\\', decoded.len))
        return sx_fail(err, SX_EACCESS, "a path must not hold a backslash");

    char *clean = sx_arena_alloc(arena, decoded.len + 1);
    if (!clean)
        return sx_fail_memory(err, "a cleaned path");
    size_t len = 0; /* what is kept: "/seg/seg", a '/' before each segment */
    bool is_folder = false;
    sx_str rest = sx_str_from(decoded, 1);
    bool more = true;
    while (more) {
        sx_str segment;
        more = sx_str_cut(rest, '/', &segment, &rest);
        bool is_dot = sx_str_eq(segment, SX_STR("."));
        bool is_up = sx_str_eq(segment, SX_STR(".."));
        if (is_up) {
            if (len == 0)
                return sx_fail(err, SX_EACCESS, "a path must not lead above its root");
            while (clean[--len] != '/')
                ;
        } else if (segment.len && !is_dot) {
            clean[len++] = '/';
            memcpy(clean + len, segment.data, segment.len);
            len += segment.len;
        }
        is_folder = is_dot || is_up || segment.len == 0;
    }
    if (len == 0 || is_folder)
        clean[len++] = '/';
    *out = sx_str_of(clean, len);
    return SX_OK;
}

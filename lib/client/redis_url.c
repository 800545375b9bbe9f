/* redis_url.c - redis://, rediss:// and unix:// URLs (redis_internal.h).
 *
 * Source: the IANA registrations of the schemes redis and rediss; unix:// as redis-cli's and other
 * clients' users write it. */
#include "client/redis_internal.h"

#include <sextant/http.h>

enum { URL_BYTES_MAX = 4096, DB_MAX = 65535 };

/* Messages name the part, never the text: a URL holds a password. */
static sx_status wrong(sx_error *err, const char *part, const char *remedy)
{
    return sx_fail(err, SX_EFORMAT, "the Redis URL has a wrong %s: %s", part, remedy);
}

static sx_status decode(sx_arena *arena, sx_str in, sx_str *out, const char *part, sx_error *err)
{
    sx_status st = sx_percent_decode(arena, in, SX_PERCENT_PATH, out, NULL);
    if (st == SX_ENOMEM)
        return sx_fail_memory(err, "a Redis URL");
    return st == SX_OK ? SX_OK : wrong(err, part, "escapes are %XX, with two hex digits");
}

static sx_status take_user(sx_arena *arena, sx_str info, redis_address *out, sx_error *err)
{
    sx_str user, password;
    out->has_password = sx_str_cut(info, ':', &user, &password);
    if (!out->has_password) /* some read redis://x@host as a password, others as a user */
        return wrong(err, "user part", "write user:password@ or :password@");
    sx_status st = decode(arena, user, &out->user, "user", err);
    return st == SX_OK ? decode(arena, password, &out->password, "password", err) : st;
}

static sx_status take_db(sx_str text, redis_address *out, sx_error *err)
{
    uint64_t db;
    if (!sx_str_to_u64(text, &db) || db > DB_MAX)
        return wrong(err, "database", "it is a number from 0 to 65535");
    out->db = (uint32_t)db;
    return SX_OK;
}

static sx_status take_query(sx_str query, redis_address *out, sx_error *err)
{
    while (query.len) {
        sx_str pair, name, value;
        sx_str_cut(query, '&', &pair, &query);
        sx_str_cut(pair, '=', &name, &value);
        if (!sx_str_eq(name, SX_STR("db")))
            return wrong(err, "query", "the only parameter is db");
        sx_status st = take_db(value, out, err);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

static bool is_host_byte(char c)
{
    return (uint8_t)c > 0x20 && c != 0x7f && !strchr("/?#@[]\\", c);
}

static sx_status take_host(sx_arena *arena, sx_str text, redis_address *out, sx_error *err)
{
    sx_str host = text, port = {0};
    bool has_port = false;
    if (sx_str_starts(text, SX_STR("["))) {
        sx_str rest;
        if (!sx_str_cut(sx_str_from(text, 1), ']', &host, &rest) ||
            (rest.len && rest.data[0] != ':'))
            return wrong(err, "host", "an IPv6 address is written as [::1]:6379");
        has_port = rest.len > 0;
        port = sx_str_from(rest, 1);
    } else {
        has_port = sx_str_cut(text, ':', &host, &port);
    }
    for (size_t i = 0; i < host.len; i++) {
        if (!is_host_byte(host.data[i]))
            return wrong(err, "host", "it holds a byte that no host name has");
    }
    uint64_t number = 6379;
    if (has_port && (!sx_str_to_u64(port, &number) || number == 0 || number > 65535))
        return wrong(err, "port", "it is a number from 1 to 65535");
    out->port = (uint16_t)number;
    if (host.len > 255)
        return wrong(err, "host", "a name has at most 255 bytes");
    out->host = sx_arena_copy(arena, host.len ? host : SX_STR("127.0.0.1"));
    return out->host.data ? SX_OK : sx_fail_memory(err, "a Redis URL");
}

static sx_status take_tcp(sx_arena *arena, sx_str rest, redis_address *out, sx_error *err)
{
    sx_str authority, path, query;
    sx_str_cut(rest, '?', &rest, &query);
    sx_str_cut(rest, '/', &authority, &path);
    sx_status st = take_host(arena, authority, out, err);
    if (st == SX_OK && path.len)
        st = take_db(path, out, err);
    return st == SX_OK ? take_query(query, out, err) : st;
}

static sx_status take_unix(sx_arena *arena, sx_str rest, redis_address *out, sx_error *err)
{
    sx_str path, query;
    sx_str_cut(rest, '?', &path, &query);
    sx_status st = decode(arena, path, &out->host, "path", err);
    if (st != SX_OK)
        return st;
    if (!sx_str_starts(out->host, SX_STR("/")) || out->host.len > 107 ||
        memchr(out->host.data, '\0', out->host.len))
        return wrong(err, "path", "a Unix socket's begins with '/' and has at most 107 bytes");
    return take_query(query, out, err);
}

sx_status redis_url_parse(sx_str text, sx_arena *arena, redis_address *out, sx_error *err)
{
    sx_str rest;
    memset(out, 0, sizeof(*out));
    if (text.len > URL_BYTES_MAX)
        return wrong(err, "length", "4096 bytes are the most");
    size_t end = sx_str_find(text, SX_STR("://"));
    sx_str scheme = sx_str_first(text, end);
    bool is_unix = sx_str_ieq(scheme, SX_STR("unix"));
    out->tls = sx_str_ieq(scheme, SX_STR("rediss"));
    if (end == text.len || !(is_unix || out->tls || sx_str_ieq(scheme, SX_STR("redis"))))
        return wrong(err, "scheme", "write redis://, rediss:// or unix://");
    rest = sx_str_from(text, end + 3);
    size_t at = rest.len; /* of the last '@': passwords are seldom escaped as they should be */
    for (size_t i = 0; i < rest.len; i++)
        at = rest.data[i] == '@' ? i : at;
    if (at < rest.len) {
        sx_status st = take_user(arena, sx_str_first(rest, at), out, err);
        if (st != SX_OK)
            return st;
        rest = sx_str_from(rest, at + 1);
    }
    return is_unix ? take_unix(arena, rest, out, err) : take_tcp(arena, rest, out, err);
}

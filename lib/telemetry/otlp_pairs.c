/* otlp_pairs.c - lists as environment variables write them: key=value,key2=value2. */
#include <sextant/http.h>
#include <sextant/http.h>
#include <sextant/url.h>

#include "net/http1_parser.h"
#include "telemetry/otlp_send.h"

/* Always a copy, with a NUL after it: the decoder gives back its input where nothing is escaped. */
static sx_status decode(sx_arena *arena, sx_str text, sx_str *out, sx_error *err)
{
    sx_status st = sx_percent_decode(arena, text, SX_PERCENT_PATH, out, err);
    if (st != SX_OK)
        return st;
    *out = sx_arena_copy(arena, *out);
    return out->data ? SX_OK : sx_fail_memory(err, "a list of pairs");
}

sx_status sx_otlp_pairs_next(sx_arena *arena, sx_str *rest, sx_str *key, sx_str *value,
                             sx_error *err)
{
    sx_str member = {0};
    while (rest->len > 0 && member.len == 0) {
        sx_str_cut(*rest, ',', &member, rest);
        member = sx_str_trim(member);
    }
    if (member.len == 0)
        return SX_END;
    sx_str name, text;
    if (!sx_str_cut(member, '=', &name, &text))
        return sx_fail(err, SX_EFORMAT, "a member has no '='; write key=value,key2=value2");
    name = sx_str_trim(name);
    if (name.len == 0)
        return sx_fail(err, SX_EFORMAT, "a member has no key before '='");
    sx_status st = decode(arena, name, key, err);
    if (st == SX_OK)
        st = decode(arena, sx_str_trim(text), value, err);
    if (st == SX_EFORMAT) /* not with the decoder's words, which may show a secret */
        return sx_fail(err, SX_EFORMAT, "the value of '%.*s' has a '%%' without two hex digits",
                       SX_ARG(name));
    return st;
}

/* Whether all of it may stand in a field's name (HTTP1_TOKEN) or value (HTTP1_FIELD). */
static bool is_all(sx_str s, unsigned kind)
{
    for (size_t i = 0; i < s.len; i++)
        if (!(http1_byte_kind[(uint8_t)s.data[i]] & kind))
            return false;
    return true;
}

sx_status sx_otlp_headers_next(sx_arena *arena, sx_str *rest, sx_str *name, sx_str *value,
                               sx_error *err)
{
    sx_status st = sx_otlp_pairs_next(arena, rest, name, value, err);
    if (st != SX_OK)
        return st;
    if (!is_all(*name, HTTP1_TOKEN))
        return sx_fail(err, SX_EINVAL, "a key is no name of an HTTP header field");
    if (!is_all(*value, HTTP1_FIELD))
        return sx_fail(err, SX_EINVAL, "the value of '%.*s' holds a control byte", SX_ARG(*name));
    char *lower = (char *)name->data; /* our own copy */
    for (size_t i = 0; i < name->len; i++)
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] = (char)(lower[i] + 32);
    return SX_OK;
}

sx_status sx_otlp_endpoint_check(sx_str endpoint, sx_error *err)
{
    sx_url url;
    sx_error why = {0};
    sx_status st = sx_url_parse(endpoint, &url, &why);
    if (st == SX_OK && url.scheme != SX_URL_UNIX)
        return SX_OK;
    /* A URL may hold a password: its text is not repeated. */
    return sx_fail(err, SX_EINVAL,
                   "the endpoint is no http:// or https:// URL; write http://HOST:PORT");
}

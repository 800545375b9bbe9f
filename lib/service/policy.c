/* policy.c - compiles the settings of CORS and security headers; answers preflights. See policy.h. */
#include "service/policy.h"

#include <stdio.h>

#include "net/http1_parser.h"
#include "service/headers.h"

/* ---- compiling ---- */

static bool is_all(sx_str s, unsigned kind)
{
    for (size_t i = 0; i < s.len; i++)
        if (!(http1_byte_kind[(uint8_t)s.data[i]] & kind))
            return false;
    return true;
}

static sx_status add_field(sx_policy *p, sx_str name, sx_str value, bool tls_only, sx_error *err)
{
    if (value.len == 0)
        return SX_OK;
    if (name.len == 0 || !is_all(name, HTTP1_TOKEN))
        return sx_fail(err, SX_EINVAL, "\"%.*s\" is no name of a header field", SX_ARG(name));
    if (!is_all(value, HTTP1_FIELD))
        return sx_fail(err, SX_EINVAL, "the value of header %.*s has a byte that cannot be sent",
                       SX_ARG(name));
    for (size_t i = 0; i < p->field_count; i++)
        if (sx_str_ieq(p->fields[i].name, name))
            return SX_OK; /* the web configuration's comes first and wins */
    if (p->field_count == SX_POLICY_FIELDS_MAX)
        return sx_fail(err, SX_ELIMIT, "more than %d header fields for every reply",
                       SX_POLICY_FIELDS_MAX);
    p->fields[p->field_count++] = (sx_policy_field){name, value, tls_only};
    return SX_OK;
}

static sx_status add_security(sx_policy *p, const sx_policy_settings *set, sx_error *err)
{
    sx_str hsts = {NULL, 0};
    if (set->hsts_ms) {
        hsts = sx_arena_printf(&p->arena, "max-age=%u; includeSubDomains", set->hsts_ms / 1000);
        if (!hsts.data)
            return sx_fail_memory(err, "the security headers");
    }
    const sx_policy_field FIELDS[] = {
        {SX_STR_INIT("x-content-type-options"), SX_STR_INIT("nosniff"), false},
        {SX_STR_INIT("x-frame-options"), set->frame_options, false},
        {SX_STR_INIT("referrer-policy"), set->referrer_policy, false},
        {SX_STR_INIT("content-security-policy"), set->content_security_policy, false},
        {SX_STR_INIT("strict-transport-security"), hsts, true},
    };
    sx_status status = SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(FIELDS) && status == SX_OK; i++)
        status = add_field(p, FIELDS[i].name, FIELDS[i].value, FIELDS[i].tls_only, err);
    return status;
}

/* All fields as lines, for the usual reply whose handler adds none of its own. */
static sx_status make_block(sx_policy *p, bool tls, sx_error *err)
{
    sx_str text = SX_STR("");
    for (size_t i = 0; i < p->field_count && text.data; i++)
        if (tls || !p->fields[i].tls_only)
            text = sx_arena_printf(&p->arena, "%.*s%.*s: %.*s\r\n", SX_ARG(text),
                                   SX_ARG(p->fields[i].name), SX_ARG(p->fields[i].value));
    p->block[tls] = text;
    return text.data ? SX_OK : sx_fail_memory(err, "the headers of every reply");
}

/* "a, b, c"; empty for none. */
static sx_status join(sx_policy *p, sx_texts items, sx_str *out, sx_error *err)
{
    sx_str text = SX_STR("");
    for (size_t i = 0; i < items.count && text.data; i++)
        text = sx_arena_printf(&p->arena, "%.*s%s%.*s", SX_ARG(text), i ? ", " : "",
                               SX_ARG(items.items[i]));
    *out = text;
    if (!text.data)
        return sx_fail_memory(err, "the settings of CORS");
    return is_all(text, HTTP1_FIELD)
               ? SX_OK
               : sx_fail(err, SX_EINVAL, "cors: \"%.*s\" has a byte that no header can carry",
                         SX_ARG(text));
}

/* scheme://host[:port], with '*' for one part of the host, "*" for all, or "null". */
static sx_status check_origin(sx_str origin, sx_error *err)
{
    sx_str scheme, rest;
    size_t at = sx_str_find(origin, SX_STR("://"));
    scheme = sx_str_first(origin, at);
    rest = sx_str_from(origin, at + 3);
    bool ok = sx_str_eq(origin, SX_STR("*")) || sx_str_eq(origin, SX_STR("null")) ||
              (at < origin.len && scheme.len > 0 && rest.len > 0 &&
               sx_str_find_byte(rest, '/') == rest.len);
    return ok ? SX_OK
              : sx_fail(err, SX_EINVAL,
                        "cors.origins: \"%.*s\" is no origin; write https://HOST or "
                        "https://HOST:PORT, without a path, or *",
                        SX_ARG(origin));
}

static sx_status compile_cors(sx_policy *p, const sx_policy_settings *set, sx_error *err)
{
    sx_status status = SX_OK;
    for (size_t i = 0; i < set->cors_origins.count && status == SX_OK; i++) {
        status = check_origin(set->cors_origins.items[i], err);
        p->any_origin |= sx_str_eq(set->cors_origins.items[i], SX_STR("*"));
    }
    if (status == SX_OK && p->any_origin && set->cors_credentials)
        status = sx_fail(err, SX_EINVAL,
                         "cors.credentials with cors.origins \"*\" would let every site act as its "
                         "visitors; name the origins");
    if (status == SX_OK)
        status = join(p, set->cors_methods, &p->methods, err);
    if (status == SX_OK)
        status = join(p, set->cors_headers, &p->headers, err);
    if (status == SX_OK)
        status = join(p, set->cors_expose, &p->expose, err);
    if (status == SX_OK) {
        p->max_age = sx_arena_printf(&p->arena, "%u", set->cors_max_age_ms / 1000);
        status = p->max_age.data ? SX_OK : sx_fail_memory(err, "the settings of CORS");
    }
    return status;
}

sx_status sx_policy_init(sx_policy *p, const sx_policy_settings *set, const sx_policy_field *extra,
                         size_t extra_count, sx_error *err)
{
    *p = (sx_policy){.set = *set};
    sx_arena_init(&p->arena, 1024, 0);
    sx_status status = SX_OK;
    for (size_t i = 0; i < extra_count && status == SX_OK; i++) {
        sx_str value = sx_arena_copy(&p->arena, extra[i].value);
        status = value.data ? add_field(p, extra[i].name, value, extra[i].tls_only, err)
                            : sx_fail_memory(err, "a header field");
    }
    if (status == SX_OK && set->security_headers)
        status = add_security(p, set, err);
    for (int tls = 0; tls < 2 && status == SX_OK; tls++)
        status = make_block(p, tls, err);
    if (status == SX_OK)
        status = compile_cors(p, set, err);
    if (status)
        sx_policy_done(p);
    return status;
}

void sx_policy_done(sx_policy *p)
{
    sx_arena_done(&p->arena);
}

/* ---- a request from elsewhere ---- */

/* Whether `origin` is `pattern`, in which one '*' stands for one or more parts of a host:
 * "https://" "*" ".example.com". */
static bool origin_fits(sx_str pattern, sx_str origin)
{
    sx_str before, after;
    if (!sx_str_cut(pattern, '*', &before, &after))
        return sx_str_ieq(pattern, origin);
    if (origin.len <= before.len + after.len)
        return false;
    sx_str middle = sx_str_of(origin.data + before.len, origin.len - before.len - after.len);
    for (size_t i = 0; i < middle.len; i++)
        if (strchr("/:@?#", middle.data[i]) || middle.data[i] == '\0')
            return false; /* "https://evil.org/.example.com" is another host */
    return sx_str_ieq(before, sx_str_first(origin, before.len)) &&
           sx_str_ieq(after, sx_str_from(origin, origin.len - after.len));
}

bool sx_policy_origin_allowed(const sx_policy *p, sx_str origin)
{
    if (p->any_origin)
        return true;
    for (size_t i = 0; i < p->set.cors_origins.count; i++)
        if (origin_fits(p->set.cors_origins.items[i], origin))
            return true;
    return false;
}

static void add(sx_request *r, const char *name, sx_str value)
{
    if (value.len > 0)
        (void)sx_reply_header(r, sx_str_z(name), value); /* without memory the reply fails, too */
}

/* What is asked for is answered as it is asked if the settings name nothing: the route decides. */
static void answer_preflight(const sx_policy *p, sx_request *r, const sx_seen_headers *seen)
{
    add(r, "access-control-allow-methods",
        p->methods.len ? p->methods : sx_headers_get(seen, SX_SEEN_REQUEST_METHOD));
    add(r, "access-control-allow-headers",
        p->headers.len ? p->headers : sx_headers_get(seen, SX_SEEN_REQUEST_HEADERS));
    add(r, "access-control-max-age", p->max_age);
    sx_reply(r, 204, SX_STR(""), SX_STR(""));
}

bool sx_policy_cross_origin(const sx_policy *p, sx_request *r, const sx_seen_headers *seen)
{
    if (sx_likely(p->set.cors_origins.count == 0))
        return false;
    if (!p->any_origin) /* caches must not give one origin's answer to another */
        add(r, "vary", SX_STR("Origin"));
    sx_str origin = sx_headers_get(seen, SX_SEEN_ORIGIN);
    if (origin.len == 0 || !sx_policy_origin_allowed(p, origin))
        return false; /* without the fields the browser keeps the answer to itself */
    add(r, "access-control-allow-origin", p->any_origin ? SX_STR("*") : origin);
    if (p->set.cors_credentials)
        add(r, "access-control-allow-credentials", SX_STR("true"));
    if (r->method == SX_OPTIONS && sx_headers_get(seen, SX_SEEN_REQUEST_METHOD).len > 0) {
        answer_preflight(p, r, seen);
        return true;
    }
    add(r, "access-control-expose-headers", p->expose);
    return false;
}

/* calls.c - requests whose work waits for the disk or for a hash: to a thread of a pool and back. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <sextant/mem.h>
#include <sextant/url.h>

#include "codec/json_member.h"
#include "observe/auth/auth_impl.h"

static const sx_str JSON = SX_STR_INIT("application/json");

static void put_fault(sx_buf *out, const char *type, sx_str message)
{
    sx_json_writer w;
    sx_json_writer_init(&w, out, NULL);
    sx_json_begin_object(&w);
    key_str(&w, "status", SX_STR("error"));
    key_str(&w, "errorType", sx_str_z(type));
    key_str(&w, "error", message);
    key_str(&w, "message", message); /* where Grafana's clients look */
    sx_json_end_object(&w);
    (void)sx_json_writer_finish(&w, NULL);
}

void auth_refuse(sx_request *r, int status, const char *type, sx_str message)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    put_fault(&out, type, message);
    (void)sx_reply_header(r, SX_STR("cache-control"), SX_STR("no-store"));
    sx_reply(r, status, JSON, sx_buf_view(&out));
    sx_buf_done(&out);
}

void auth_refuse_for(sx_request *r, int status, uint32_t seconds, sx_str message)
{
    char text[16];
    snprintf(text, sizeof text, "%u", seconds);
    (void)sx_reply_header(r, SX_STR("retry-after"), sx_str_z(text));
    auth_refuse(r, status, status == 429 ? "limited" : "unavailable", message);
}

static uint32_t seconds_of(const sx_limit_answer *answer)
{
    return answer->retry_after_ms / 1000 + 1;
}

/* A flood is put on record once a minute: it is not to wash all else out of the audit log. */
bool auth_address_allowed(auth *a, sx_request *r)
{
    sx_limit_answer answer;
    sx_str address = sx_str_z(r->peer->address);
    if (sx_limiter_take(a->by_address, address, 1, &answer))
        return true;
    sx_counter_add(a->outcomes[1], 1);
    if (sx_limiter_take(a->told, address, 1, NULL))
        auth_note(a, r, SX_STR(""), "signin.limited", SX_STR("address"), false);
    auth_refuse_for(r, 429, seconds_of(&answer),
                    SX_STR("too many tries from this address; wait a little"));
    return false;
}

bool auth_is_late(const auth *a, int64_t began_ms)
{
    return sx_clock_ms(a->clock) - began_ms > AUTH_LINE_MS_MAX;
}

sx_status auth_call_fail(auth_call *c, int status, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    c->status = status;
    sx_buf_clear(&c->out);
    put_fault(&c->out,
              status == 401   ? "unauthorized"
              : status == 429 ? "limited"
              : status >= 500 ? "internal"
                              : "bad_data",
              sx_str_z(text));
    return SX_OK;
}

bool auth_call_allowed(auth_call *c, sx_limiter *l, sx_str key)
{
    sx_limit_answer answer;
    if (sx_limiter_take(l, key, 1, &answer))
        return true;
    sx_counter_add(c->a->outcomes[1], 1);
    c->retry_after_s = seconds_of(&answer);
    (void)auth_call_fail(c, 429, "too many tries with this login; wait a little");
    return false;
}

void auth_call_begin(auth_call *c)
{
    c->status = 200;
    sx_buf_clear(&c->out);
    sx_json_writer_init(&c->w, &c->out, NULL);
}

sx_status auth_call_end(auth_call *c)
{
    sx_error err = {0};
    return sx_json_writer_finish(&c->w, &err) == SX_OK ? SX_OK
                                                       : auth_call_fail(c, 500, "%s", err.message);
}

sx_status auth_call_done(auth_call *c, const char *message)
{
    auth_call_begin(c);
    sx_json_begin_object(&c->w);
    key_str(&c->w, "message", sx_str_z(message));
    sx_json_end_object(&c->w);
    return auth_call_end(c);
}

sx_status auth_call_did(auth_call *c, const char *action, sx_str what, const char *message)
{
    auth_note(c->a, c->r, c->who.login, action, what, true);
    return auth_call_done(c, message);
}

void auth_call_list(auth_call *c, const void *items, size_t count, size_t size, auth_put *put)
{
    sx_json_begin_array(&c->w);
    for (size_t i = 0; i < count; i++) {
        sx_json_begin_object(&c->w);
        put(&c->w, (const char *)items + i * size);
        sx_json_end_object(&c->w);
    }
    sx_json_end_array(&c->w);
}

/* ---- there and back ---- */

void auth_call_finish(auth_call *c)
{
    sx_request *r = c->r;
    void *form = c->form;
    void (*ended)(void *form) = c->ended;
    const sx_str fields[] = {c->set_cookie, c->clear_cookie};
    for (size_t i = 0; i < SX_COUNT_OF(fields); i++)
        if (fields[i].len)
            (void)sx_reply_header(r, SX_STR("set-cookie"), fields[i]);
    if (c->retry_after_s) {
        sx_str text = sx_arena_printf(&c->arena, "%u", c->retry_after_s);
        (void)sx_reply_header(r, SX_STR("retry-after"), text);
    }
    (void)sx_reply_header(r, SX_STR("cache-control"), SX_STR("no-store"));
    if (c->location.len) {
        (void)sx_reply_header(r, SX_STR("location"), c->location);
        sx_reply(r, 302, SX_STR(""), SX_STR(""));
    } else if (c->out.failed) {
        sx_reply_error(r, 503, NULL);
    } else {
        sx_reply(r, c->status, JSON, sx_buf_view(&c->out));
    }
    sx_buf_done(&c->out);
    sx_arena_done(&c->arena);
    sx_free(c);
    if (ended)
        ended(form);
    sx_request_release(r);
}

/* Statuses of the store as HTTP has them; all else is our own fault. */
static int http_status_of(sx_status status)
{
    static const struct {
        sx_status from;
        int to;
    } CODES[] = {{SX_ENOTFOUND, 404}, {SX_EEXIST, 409}, {SX_EINVAL, 400}, {SX_ELIMIT, 409}};
    for (size_t i = 0; i < SX_COUNT_OF(CODES); i++)
        if (CODES[i].from == status)
            return CODES[i].to;
    return 500;
}

static void work(void *arg)
{
    auth_call *c = arg;
    sx_error err = {0};
    sx_status status = c->work(c, &err);
    if (status != SX_OK)
        (void)auth_call_fail(c, http_status_of(status), "%s", err.message);
}

static void worked(sx_loop *loop, void *arg)
{
    (void)loop;
    auth_call_finish(arg);
}

auth *auth_of_ctx(sx_request *r, void *ctx)
{
    auth *a = *(auth **)ctx;
    if (!a)
        auth_refuse(
            r, 404, "not_found",
            SX_STR("sign-in is not configured; see --auth.config and docs/howto/sign-in.md"));
    return a;
}

auth_call *auth_call_new(auth *a, sx_request *r, auth_work *work_fn)
{
    const auth_identity *id = auth_identity_of(r);
    auth_call *c = sx_calloc(1, sizeof *c);
    if (!c || !id) {
        sx_free(c);
        sx_reply_error(r, 503, NULL);
        return NULL;
    }
    *c = (auth_call){.a = a,
                     .config = auth_config_of(a),
                     .r = r,
                     .loop = r->loop,
                     .work = work_fn,
                     .who = id->who,
                     .way = id->way,
                     .whose = id->who.login,
                     .cookie = auth_cookie(r, SX_STR(AUTH_COOKIE)),
                     .id = sx_request_param(r, "id"),
                     .began_ms = sx_clock_ms(a->clock)};
    sx_arena_init(&c->arena, 0, 0);
    sx_buf_init(&c->out, 0);
    sx_request_hold(r);
    return c;
}

void auth_call_submit(auth_call *c, sx_pool *pool)
{
    if (sx_pool_submit(pool, c->loop, work, worked, c, NULL) == SX_OK)
        return;
    c->retry_after_s = 1;
    (void)auth_call_fail(c, 503, "too many of these wait already; try again later");
    auth_call_finish(c);
}

static const auth_route *route_of(const auth *a, const sx_request *r)
{
    sx_str path = sx_str_from(sx_str_z(r->route), a->prefix.len);
    sx_method method = r->method == SX_HEAD ? SX_GET : r->method;
    for (size_t i = 0; i < AUTH_ROUTE_COUNT; i++)
        if (AUTH_ROUTES[i].method == (int)method && sx_str_eq(path, sx_str_z(AUTH_ROUTES[i].path)))
            return &AUTH_ROUTES[i];
    return NULL;
}

/* Whoever has no login has nothing of their own, least of all everybody's. */
void auth_run(sx_request *r, void *ctx)
{
    auth *a = auth_of_ctx(r, ctx);
    const auth_route *route = a ? route_of(a, r) : NULL;
    auth_call *c = route ? auth_call_new(a, r, route->work) : NULL;
    if (!a || (route && !c))
        return;
    if (!c || (!route->everybodys && !c->whose.len)) {
        if (c) {
            (void)auth_call_fail(c, 401, "sign in, or send a token");
            auth_call_finish(c);
        } else {
            sx_reply_error(r, 404, NULL);
        }
        return;
    }
    if (route->everybodys)
        c->whose = SX_STR("");
    auth_call_submit(c, route->hashes ? a->passwords : a->work);
}

/* ---- bodies ---- */

static bool take(sx_json *r, auth_field *f)
{
    f->given = true;
    switch (f->kind) {
    case AUTH_TEXT:
        return sx_json_read_str(r, f->to);
    case AUTH_TRUTH:
        return sx_json_read_bool(r, f->to);
    case AUTH_NUMBER:
        return sx_json_read_i64(r, f->to);
    }
    return false;
}

/* A form or plain text may be sent by any page without asking first: it is refused. */
bool auth_call_body(auth_call *c, auth_field *fields, size_t count)
{
    sx_json r;
    sx_str key;
    sx_error err = {0};
    sx_str type = sx_request_header(c->r, SX_STR("content-type"));
    sx_str_cut(type, ';', &type, &key);
    if (!sx_str_ieq(sx_str_trim(type), JSON)) {
        (void)auth_call_fail(c, 415, "the body is to be application/json");
        return false;
    }
    sx_json_init(&r, c->r->body, &(sx_json_options){.arena = &c->arena});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key)) {
        size_t i = 0;
        while (i < count && !sx_str_eq(key, sx_str_z(fields[i].name)))
            i++;
        if (i < count && !sx_json_take_null(&r))
            take(&r, &fields[i]);
    }
    if (sx_json_finish(&r, &err) == SX_OK)
        return true;
    (void)auth_call_fail(c, 400, "the body: %s", err.message);
    return false;
}

/* ---- sessions ---- */

/* Whether it may travel by TLS alone. */
static bool cookie_is_secure(const auth *a, const auth_config *config, const sx_request *r)
{
    return config->session.cookie_secure == AUTH_SECURE_ALWAYS ||
           (config->session.cookie_secure == AUTH_SECURE_AUTO &&
            (r->peer->tls || sx_str_starts(a->external_url, SX_STR("https://"))));
}

sx_str auth_make_cookie(const auth *a, const auth_config *config, const sx_request *r,
                        sx_arena *arena, const char *name, const char *below, sx_str value,
                        int64_t age_ms)
{
    return sx_arena_printf(arena, "%s=%.*s; Path=%.*s%s; HttpOnly; SameSite=Lax; Max-Age=%lld%s",
                           name, SX_ARG(value), SX_ARG(a->prefix), below,
                           (long long)(value.len ? age_ms / 1000 : 0),
                           cookie_is_secure(a, config, r) ? "; Secure" : "");
}

/* Always a new session: one that was planted before is worth nothing afterwards. */
sx_status auth_sign_in(auth_call *c, sx_str login, const char *how, int64_t lifetime_ms,
                       const auth_grant *grant, sx_error *err)
{
    char cookie[AUTH_SECRET_BYTES];
    auth *a = c->a;
    const auth_session_start start = {.login = login,
                                      .address = sx_str_z(c->r->peer->address),
                                      .agent = sx_request_header(c->r, SX_STR("user-agent")),
                                      .lifetime_ms = lifetime_ms,
                                      .grant = grant};
    if (c->cookie.len)
        (void)auth_store_session_end(a->store, c->cookie, NULL);
    sx_status status = auth_store_session_new(a->store, &start, cookie, err);
    if (status != SX_OK)
        return status;
    c->set_cookie = auth_make_cookie(a, c->config, c->r, &c->arena, AUTH_COOKIE, "/",
                                     sx_str_z(cookie), lifetime_ms);
    if (!c->set_cookie.data)
        return sx_fail_memory(err, "the session");
    sx_counter_add(a->outcomes[0], 1);
    auth_note(a, c->r, login, "signin", sx_str_z(how), true);
    return SX_OK;
}

/* "/x", "/x?y#z" below our prefix. "//host", "/\host", what has a control character in it (browsers drop
 * tabs and line ends) and all with a scheme lead to other sites. */
sx_str auth_safe_return(const auth *a, sx_arena *arena, sx_str to)
{
    bool ok = to.len >= 1 && to.len < 2048 && to.data[0] == '/' &&
              !(to.len > 1 && (to.data[1] == '/' || to.data[1] == '\\'));
    for (size_t i = 0; i < to.len && ok; i++)
        ok = (unsigned char)to.data[i] > ' ' && to.data[i] != 0x7f && to.data[i] != '\\';
    sx_str below = sx_str_from(to, a->prefix.len);
    ok = ok && sx_str_starts(to, a->prefix) && (below.len == 0 || below.data[0] == '/') &&
         !sx_str_starts(below, SX_STR("//"));
    return ok ? sx_arena_copy(arena, to) : sx_arena_printf(arena, "%.*s/", SX_ARG(a->prefix));
}

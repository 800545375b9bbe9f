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

void auth_call_fail(auth_call *c, int status, const char *fmt, ...)
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
              : status >= 500 ? "internal"
                              : "bad_data",
              sx_str_z(text));
}

void auth_call_fail_store(auth_call *c, const sx_error *err)
{
    static const struct {
        sx_status from;
        int to;
    } CODES[] = {{SX_ENOTFOUND, 404}, {SX_EEXIST, 409}, {SX_EINVAL, 400}, {SX_ELIMIT, 409}};
    int status = 500;
    for (size_t i = 0; i < SX_COUNT_OF(CODES); i++)
        if (CODES[i].from == err->status)
            status = CODES[i].to;
    auth_call_fail(c, status, "%s", err->message);
}

void auth_call_begin(auth_call *c)
{
    c->status = 200;
    sx_buf_clear(&c->out);
    sx_json_writer_init(&c->w, &c->out, NULL);
}

void auth_call_end(auth_call *c)
{
    sx_error err = {0};
    if (sx_json_writer_finish(&c->w, &err) != SX_OK)
        auth_call_fail(c, 500, "%s", err.message);
}

void auth_call_done(auth_call *c, const char *message)
{
    auth_call_begin(c);
    sx_json_begin_object(&c->w);
    key_str(&c->w, "message", sx_str_z(message));
    sx_json_end_object(&c->w);
    auth_call_end(c);
}

/* ---- there and back ---- */

static void finish(auth_call *c)
{
    sx_request *r = c->r;
    void *state = c->state;
    void (*ended)(void *state) = c->ended;
    const sx_str fields[] = {c->set_cookie, c->clear_cookie};
    for (size_t i = 0; i < SX_COUNT_OF(fields); i++)
        if (fields[i].len)
            (void)sx_reply_header(r, SX_STR("set-cookie"), fields[i]);
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
        ended(state);
    sx_request_release(r);
}

static void work(void *arg)
{
    auth_call *c = arg;
    c->work(c);
}

static void worked(sx_loop *loop, void *arg)
{
    (void)loop;
    finish(arg);
}

static bool cookie_is_secure(const auth *a, const auth_config *config, const sx_request *r)
{
    return config->session.cookie_secure == AUTH_SECURE_ALWAYS ||
           (config->session.cookie_secure == AUTH_SECURE_AUTO &&
            (r->peer->tls || sx_str_starts(a->external_url, SX_STR("https://"))));
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
                     .cookie = auth_cookie(r, SX_STR(AUTH_COOKIE)),
                     .id = sx_request_param(r, "id")};
    c->secure = cookie_is_secure(a, c->config, r);
    sx_arena_init(&c->arena, 0, 0);
    sx_buf_init(&c->out, 0);
    sx_request_hold(r);
    return c;
}

void auth_call_submit(auth_call *c, sx_pool *pool)
{
    if (sx_pool_submit(pool, c->loop, work, worked, c, NULL) == SX_OK)
        return;
    (void)sx_reply_header(c->r, SX_STR("retry-after"), SX_STR("1"));
    auth_call_fail(c, 503, "too many of these wait already; try again later");
    finish(c);
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
        auth_call_fail(c, 415, "the body is to be application/json");
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
    auth_call_fail(c, 400, "the body: %s", err.message);
    return false;
}

/* ---- sessions ---- */

sx_str auth_make_cookie(const auth_call *c, sx_arena *arena, const char *name, const char *below,
                        sx_str value, int64_t age_ms)
{
    const auth *a = c->a;
    return sx_arena_printf(arena, "%s=%.*s; Path=%.*s%s; HttpOnly; SameSite=Lax; Max-Age=%lld%s",
                           name, SX_ARG(value), SX_ARG(a->prefix), below,
                           (long long)(value.len ? age_ms / 1000 : 0), c->secure ? "; Secure" : "");
}

/* Always a new session: one that was planted before is worth nothing afterwards. */
sx_status auth_sign_in(auth_call *c, sx_str login, const char *how, sx_error *err)
{
    char cookie[AUTH_SECRET_BYTES];
    auth *a = c->a;
    if (c->cookie.len)
        (void)auth_store_session_end(a->store, c->cookie, NULL);
    sx_status status = auth_store_session_new(
        a->store, login, c->config->session.lifetime_ms, sx_str_z(c->r->peer->address),
        sx_request_header(c->r, SX_STR("user-agent")), cookie, err);
    if (status != SX_OK)
        return status;
    c->set_cookie = auth_make_cookie(c, &c->arena, AUTH_COOKIE, "/", sx_str_z(cookie),
                                     c->config->session.lifetime_ms);
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

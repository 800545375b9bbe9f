/* login.c - signing in and out, one's own password, sessions and tokens. */
#include <string.h>

#include "codec/json_member.h"
#include "observe/auth/auth_impl.h"
#include "observe/auth/password.h"

enum { TOKEN_NAME_MAX = 100, DAY_S = 86400, TOKEN_DAYS_MAX = 3650 };

/* The auth of a handler's context; NULL: it has been answered that there is none. */
static auth *of(sx_request *r, void *ctx)
{
    auth *a = *(auth **)ctx;
    if (!a)
        auth_refuse(
            r, 404, "not_found",
            SX_STR("sign-in is not configured; see --auth.config and docs/howto/sign-in.md"));
    return a;
}

static void submit(sx_request *r, void *ctx, auth_work *work)
{
    auth *a = of(r, ctx);
    auth_call *c = a ? auth_call_new(a, r, work) : NULL;
    if (c)
        auth_call_submit(c, a->work);
}

/* ---- who one is ---- */

static void put_ways(sx_json_writer *w, const auth *a, const auth_config *config)
{
    sx_json_begin_object(w);
    sx_json_key(w, SX_STR("users"));
    sx_json_bool(w, auth_store_user_count(a->store) > 0);
    sx_json_key(w, SX_STR("oidc"));
    if (config->oidc.on)
        sx_json_str(w, config->oidc.name);
    else
        sx_json_null(w);
    sx_json_key(w, SX_STR("signOutUrl"));
    sx_json_str(w, config->trusted.sign_out_url);
    sx_json_end_object(w);
}

void auth_answer_user(sx_request *r, void *ctx)
{
    static const char *const WAYS[] = {"",      "session",  "header",
                                       "token", "password", "web configuration"};
    const auth *a = *(auth **)ctx;
    const auth_who *who = auth_of(r);
    const auth_identity *id = auth_identity_of(r);
    sx_buf out;
    sx_json_writer w;
    sx_buf_init(&out, 0);
    sx_json_writer_init(&w, &out, NULL);
    sx_json_begin_object(&w);
    key_str(&w, "login", who->login);
    key_str(&w, "name", who->name);
    key_str(&w, "role", auth_role_name(who->role));
    sx_json_key(&w, SX_STR("signedIn"));
    sx_json_bool(&w, who->login.len > 0);
    key_str(&w, "way", sx_str_z(id ? WAYS[id->way] : ""));
    sx_json_key(&w, SX_STR("signIn"));
    if (a)
        put_ways(&w, a, auth_config_of(a));
    else
        sx_json_null(&w);
    sx_json_end_object(&w);
    (void)sx_reply_header(r, SX_STR("cache-control"), SX_STR("no-store"));
    if (sx_json_writer_finish(&w, NULL) == SX_OK)
        sx_reply(r, 200, SX_STR("application/json"), sx_buf_view(&out));
    else
        sx_reply_error(r, 503, NULL);
    sx_buf_done(&out);
}

/* ---- in ---- */

static void refuse_login(auth_call *c, sx_str login)
{
    sx_counter_add(c->a->outcomes[1], 1);
    auth_note(c->a, c->r, login, "signin.failed", SX_STR("password"), false);
    auth_call_fail(c, 401, "the login or the password is wrong");
}

static void answer_signed_in(auth_call *c, const auth_who *who)
{
    auth_call_begin(c);
    sx_json_begin_object(&c->w);
    key_str(&c->w, "message", SX_STR("signed in"));
    key_str(&c->w, "login", who->login);
    key_str(&c->w, "name", who->name);
    key_str(&c->w, "role", auth_role_name(who->role));
    sx_json_end_object(&c->w);
    auth_call_end(c);
}

/* In a thread of the passwords' pool. Whether the user is there is no matter of time: an empty hash takes
 * as long. */
static void login(auth_call *c)
{
    char text[AUTH_LOGIN_MAX];
    sx_str name = SX_STR(""), given = SX_STR(""), password = SX_STR(""), hash = SX_STR("");
    sx_error err = {0};
    auth_who who = {.login = SX_STR_INIT("")};
    auth_field fields[] = {{"login", AUTH_TEXT, &given, false},
                           {"user", AUTH_TEXT, &given, false}, /* as Grafana's form has it */
                           {"password", AUTH_TEXT, &password, false}};
    if (!auth_call_body(c, fields, SX_COUNT_OF(fields)))
        return;
    bool sane = auth_login_clean(given, text, &name);
    if (sane && !sx_limiter_take(c->a->by_login, name, 1, NULL)) {
        sx_counter_add(c->a->outcomes[1], 1);
        auth_call_fail(c, 429, "too many tries; wait a minute");
        return;
    }
    (void)auth_store_flush(c->a->store, NULL); /* a user who was just added by the command line */
    bool there = sane && auth_store_password(c->a->store, name, &c->arena, &hash, &who);
    if (!auth_password_matches(there ? hash : SX_STR(""), password) || !there) {
        refuse_login(c, sane ? name : SX_STR(""));
        return;
    }
    sx_limiter_forget(c->a->by_login, name);
    if (auth_sign_in(c, who.login, "password", &err) != SX_OK)
        auth_call_fail_store(c, &err);
    else
        answer_signed_in(c, &who);
}

/* Being signed in by another's page, into that one's account, is no good either. */
void auth_post_login(sx_request *r, void *ctx)
{
    bool told;
    auth *a = of(r, ctx);
    if (!a)
        return;
    if (auth_is_foreign(a, r, &told)) {
        auth_refuse(r, 403, "forbidden", SX_STR("the request comes from another site's page"));
        return;
    }
    if (!sx_limiter_take(a->by_address, sx_str_z(r->peer->address), 1, NULL)) {
        sx_counter_add(a->outcomes[1], 1);
        auth_note(a, r, SX_STR(""), "signin.limited", SX_STR("address"), false);
        (void)sx_reply_header(r, SX_STR("retry-after"), SX_STR("60"));
        auth_refuse(r, 429, "limited", SX_STR("too many tries from this address; wait a minute"));
        return;
    }
    auth_call *c = auth_call_new(a, r, login);
    if (c)
        auth_call_submit(c, a->passwords);
}

/* ---- out ---- */

static void logout(auth_call *c)
{
    sx_error err = {0};
    if (c->cookie.len && auth_store_session_end(c->a->store, c->cookie, &err) != SX_OK) {
        auth_call_fail_store(c, &err);
        return;
    }
    if (c->way == AUTH_WAY_SESSION)
        auth_note(c->a, c->r, c->who.login, "signout", SX_STR(""), true);
    c->clear_cookie = auth_make_cookie(c, &c->arena, AUTH_COOKIE, "/", SX_STR(""), 0);
    auth_call_done(c, "signed out");
}

void auth_post_logout(sx_request *r, void *ctx)
{
    submit(r, ctx, logout);
}

/* ---- one's password ---- */

static void change_password(auth_call *c)
{
    sx_str old = SX_STR(""), fresh = SX_STR(""), hash = SX_STR("");
    char text[AUTH_PASSWORD_TEXT];
    sx_error err = {0};
    auth_who who;
    auth_field fields[] = {{"oldPassword", AUTH_TEXT, &old, false},
                           {"newPassword", AUTH_TEXT, &fresh, false}};
    if (!auth_call_body(c, fields, SX_COUNT_OF(fields)))
        return;
    bool there = auth_store_password(c->a->store, c->who.login, &c->arena, &hash, &who);
    if (!there) {
        auth_call_fail(c, 409, "this account has no password here; it signs in elsewhere");
        return;
    }
    if (!sx_limiter_take(c->a->by_login, c->who.login, 1, NULL)) {
        auth_call_fail(c, 429, "too many tries; wait a minute");
        return;
    }
    if (!auth_password_matches(hash, old)) {
        auth_note(c->a, c->r, c->who.login, "password.change", SX_STR("wrong password"), false);
        auth_call_fail(c, 403, "the old password is wrong");
        return;
    }
    auth_user user = {.login = c->who.login};
    if (auth_password_hash(fresh, text, &err) == SX_OK) {
        user.password = sx_str_z(text);
        (void)auth_store_user_set(c->a->store, &user, AUTH_SET_PASSWORD, c->cookie, &err);
    }
    if (err.status != SX_OK) {
        auth_call_fail_store(c, &err);
        return;
    }
    auth_note(c->a, c->r, c->who.login, "password.change", SX_STR(""), true);
    auth_call_done(c, "the password is changed; other sessions have ended");
}

void auth_put_password(sx_request *r, void *ctx)
{
    auth *a = of(r, ctx);
    auth_call *c = a ? auth_call_new(a, r, change_password) : NULL;
    if (c)
        auth_call_submit(c, a->passwords);
}

/* ---- one's sessions ---- */

static void put_sessions(auth_call *c, const auth_session *list, size_t count)
{
    sx_json_writer *w = &c->w;
    auth_call_begin(c);
    sx_json_begin_array(w);
    for (size_t i = 0; i < count; i++) {
        sx_json_begin_object(w);
        key_str(w, "id", sx_str_z(list[i].id));
        key_str(w, "login", list[i].login);
        key_str(w, "address", list[i].address);
        key_str(w, "agent", list[i].agent);
        key_i64(w, "created", list[i].created_ms);
        key_i64(w, "seen", list[i].seen_ms);
        key_i64(w, "expires", list[i].expires_ms);
        sx_json_key(w, SX_STR("own"));
        sx_json_bool(w, list[i].own);
        sx_json_end_object(w);
    }
    sx_json_end_array(w);
    auth_call_end(c);
}

static void list_sessions(auth_call *c, sx_str login)
{
    auth_session *list;
    size_t count;
    sx_error err = {0};
    if (auth_store_sessions(c->a->store, login, c->cookie, &c->arena, &list, &count, &err) != SX_OK)
        auth_call_fail_store(c, &err);
    else
        put_sessions(c, list, count);
}

static void own_sessions(auth_call *c)
{
    list_sessions(c, c->who.login);
}

static void all_sessions(auth_call *c)
{
    list_sessions(c, SX_STR(""));
}

static void end_session_of(auth_call *c, sx_str login)
{
    sx_error err = {0};
    if (auth_store_session_end_id(c->a->store, login, c->id, &err) != SX_OK) {
        auth_call_fail_store(c, &err);
        return;
    }
    auth_note(c->a, c->r, c->who.login, "session.end", c->id, true);
    auth_call_done(c, "the session has ended");
}

static void end_own_session(auth_call *c)
{
    end_session_of(c, c->who.login);
}

static void end_any_session(auth_call *c)
{
    end_session_of(c, SX_STR(""));
}

void auth_get_sessions(sx_request *r, void *ctx)
{
    submit(r, ctx, own_sessions);
}

void auth_end_session(sx_request *r, void *ctx)
{
    submit(r, ctx, end_own_session);
}

void auth_admin_sessions(sx_request *r, void *ctx)
{
    submit(r, ctx, all_sessions);
}

void auth_admin_end_session(sx_request *r, void *ctx)
{
    submit(r, ctx, end_any_session);
}

/* ---- tokens ---- */

static void put_token(sx_json_writer *w, const auth_token *t)
{
    key_i64(w, "id", t->id);
    key_str(w, "name", t->name);
    key_str(w, "login", t->login);
    key_str(w, "role", auth_role_name(t->role));
    key_i64(w, "created", t->created_ms);
    key_i64(w, "expires", t->expires_ms);
    key_i64(w, "used", t->used_ms);
}

static void list_tokens(auth_call *c, sx_str login)
{
    auth_token *list;
    size_t count;
    sx_error err = {0};
    if (auth_store_tokens(c->a->store, login, &c->arena, &list, &count, &err) != SX_OK) {
        auth_call_fail_store(c, &err);
        return;
    }
    auth_call_begin(c);
    sx_json_begin_array(&c->w);
    for (size_t i = 0; i < count; i++) {
        sx_json_begin_object(&c->w);
        put_token(&c->w, &list[i]);
        sx_json_end_object(&c->w);
    }
    sx_json_end_array(&c->w);
    auth_call_end(c);
}

static void own_tokens(auth_call *c)
{
    list_tokens(c, c->who.login);
}

static void all_tokens(auth_call *c)
{
    list_tokens(c, SX_STR(""));
}

static bool read_token(auth_call *c, auth_token *t)
{
    sx_str name = SX_STR(""), role = SX_STR("viewer");
    int64_t seconds = 0;
    auth_field fields[] = {{"name", AUTH_TEXT, &name, false},
                           {"role", AUTH_TEXT, &role, false},
                           {"secondsToLive", AUTH_NUMBER, &seconds, false}};
    if (!auth_call_body(c, fields, SX_COUNT_OF(fields)))
        return false;
    *t = (auth_token){.name = sx_str_trim(name), .login = c->who.login};
    if (!t->name.len || t->name.len > TOKEN_NAME_MAX)
        auth_call_fail(c, 400, "a token needs a name of at most %d bytes", TOKEN_NAME_MAX);
    else if (!auth_role_parse(role, &t->role))
        auth_call_fail(c, 400, "role: viewer, editor or admin");
    else if (t->role > c->who.role)
        auth_call_fail(c, 403, "a token may do no more than who makes it: %.*s",
                       SX_ARG(auth_role_name(c->who.role)));
    else if (seconds < 0 || seconds > (int64_t)TOKEN_DAYS_MAX * DAY_S)
        auth_call_fail(c, 400, "secondsToLive: from 0 (for ever) to ten years");
    else
        return t->expires_ms = seconds ? sx_clock_ms(c->a->clock) + seconds * 1000 : 0, true;
    return false;
}

/* One that has leaked shall not make others that outlive it. */
static void make_token(auth_call *c)
{
    auth_token t;
    char token[AUTH_TOKEN_BYTES];
    sx_error err = {0};
    if (c->way == AUTH_WAY_TOKEN) {
        auth_call_fail(c, 403, "tokens make no tokens; sign in for that");
        return;
    }
    if (!read_token(c, &t))
        return;
    if (auth_store_token_new(c->a->store, &t, token, &err) != SX_OK) {
        auth_call_fail_store(c, &err);
        return;
    }
    auth_note(c->a, c->r, c->who.login, "token.make", t.name, true);
    auth_call_begin(c);
    sx_json_begin_object(&c->w);
    put_token(&c->w, &t);
    key_str(&c->w, "key", sx_str_z(token));
    sx_json_end_object(&c->w);
    auth_call_end(c);
}

static void end_token_of(auth_call *c, sx_str login)
{
    int64_t id = 0;
    sx_error err = {0};
    if (!sx_str_to_i64(c->id, &id)) {
        auth_call_fail(c, 404, "there is no such token");
        return;
    }
    if (auth_store_token_end(c->a->store, login, id, &err) != SX_OK) {
        auth_call_fail_store(c, &err);
        return;
    }
    auth_note(c->a, c->r, c->who.login, "token.end", c->id, true);
    auth_call_done(c, "the token has ended");
}

static void end_own_token(auth_call *c)
{
    end_token_of(c, c->who.login);
}

static void end_any_token(auth_call *c)
{
    end_token_of(c, SX_STR(""));
}

void auth_get_tokens(sx_request *r, void *ctx)
{
    submit(r, ctx, own_tokens);
}

void auth_make_token(sx_request *r, void *ctx)
{
    submit(r, ctx, make_token);
}

void auth_end_token(sx_request *r, void *ctx)
{
    submit(r, ctx, end_own_token);
}

void auth_admin_tokens(sx_request *r, void *ctx)
{
    submit(r, ctx, all_tokens);
}

void auth_admin_end_token(sx_request *r, void *ctx)
{
    submit(r, ctx, end_any_token);
}

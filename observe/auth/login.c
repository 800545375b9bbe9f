/* login.c - signing in by password, signing out, one's own password, and who one is. */
#include <string.h>

#include "codec/json_member.h"
#include "observe/auth/auth_impl.h"
#include "observe/auth/origin.h"
#include "observe/auth/password.h"

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

typedef struct login_form {
    sx_str login, password; /* the login is clean; empty: none that can be one */
} login_form;

static sx_status answer_signed_in(auth_call *c, const auth_who *who)
{
    auth_call_begin(c);
    sx_json_begin_object(&c->w);
    key_str(&c->w, "message", SX_STR("signed in"));
    key_str(&c->w, "login", who->login);
    key_str(&c->w, "name", who->name);
    key_str(&c->w, "role", auth_role_name(who->role));
    sx_json_end_object(&c->w);
    return auth_call_end(c);
}

/* In a thread of the passwords' pool. Whether the user is there is no matter of time: an empty hash takes
 * as long. */
static sx_status login(auth_call *c, sx_error *err)
{
    const login_form *form = c->form;
    sx_str hash = SX_STR("");
    auth_who who;
    auth_store *store = c->a->store;
    if (auth_is_late(c->a, c->began_ms)) {
        c->retry_after_s = 5;
        return auth_call_fail(c, 503, AUTH_LATE);
    }
    (void)auth_store_refresh(store, NULL); /* a user who was just added by the command line */
    bool there = form->login.len && auth_store_password(store, form->login, &c->arena, &hash, &who);
    if (!auth_password_matches(there ? hash : SX_STR(""), form->password) || !there) {
        sx_counter_add(c->a->outcomes[1], 1);
        auth_note(c->a, c->r, form->login, "signin.failed", SX_STR("password"), false);
        return auth_call_fail(c, 401, "the login or the password is wrong");
    }
    sx_limiter_forget(c->a->by_login, form->login);
    sx_status status =
        auth_sign_in(c, who.login, "password", c->config->session.lifetime_ms, NULL, err);
    return status == SX_OK ? answer_signed_in(c, &who) : status;
}

/* On the loop, so that a login that has had its tries takes no place in the line of those that wait for
 * a hash. False: an answer is left. */
static bool read_login(auth_call *c)
{
    sx_str given = SX_STR("");
    login_form *form = sx_arena_calloc(&c->arena, 1, sizeof *form);
    char *text = sx_arena_alloc(&c->arena, AUTH_LOGIN_MAX);
    if (!form || !text) {
        (void)auth_call_fail(c, 503, "out of memory");
        return false;
    }
    *form = (login_form){SX_STR(""), SX_STR("")};
    auth_field fields[] = {{"login", AUTH_TEXT, &given, false},
                           {"user", AUTH_TEXT, &given, false}, /* as Grafana's form has it */
                           {"password", AUTH_TEXT, &form->password, false}};
    c->form = form;
    return auth_call_body(c, fields, SX_COUNT_OF(fields)) &&
           (!auth_login_clean(given, text, &form->login) ||
            auth_call_allowed(c, c->a->by_login, form->login));
}

/* Being signed in by another's page, into that one's account, is no good either. */
void auth_post_login(sx_request *r, void *ctx)
{
    auth *a = auth_of_ctx(r, ctx);
    if (!a)
        return;
    if (origin_is_foreign(r, a->external_url, NULL)) {
        auth_refuse(r, 403, "forbidden", SX_STR("the request comes from another site's page"));
        return;
    }
    auth_call *c = auth_address_allowed(a, r) ? auth_call_new(a, r, login) : NULL;
    if (c && read_login(c))
        auth_call_submit(c, a->passwords);
    else if (c)
        auth_call_finish(c);
}

/* ---- out ---- */

/* Where the provider ends its own session, if it is to: `page` may be empty. */
static sx_str provider_page(auth_call *c, sx_str page)
{
    auth_grant grant;
    if (!page.len || auth_store_grant(c->a->store, c->cookie, &c->arena, &grant, NULL) != SX_OK)
        return SX_STR("");
    return oidc_end_url(c->a, c->config, page, grant.id_token, &c->arena);
}

static sx_status logout(auth_call *c, sx_error *err)
{
    sx_str url =
        c->way == AUTH_WAY_SESSION ? provider_page(c, *(const sx_str *)c->form) : SX_STR("");
    sx_status status = c->cookie.len ? auth_store_session_end(c->a->store, c->cookie, err) : SX_OK;
    if (status != SX_OK)
        return status;
    if (c->way == AUTH_WAY_SESSION)
        auth_note(c->a, c->r, c->who.login, "signout", SX_STR(""), true);
    c->clear_cookie =
        auth_make_cookie(c->a, c->config, c->r, &c->arena, AUTH_COOKIE, "/", SX_STR(""), 0);
    auth_call_begin(c);
    sx_json_begin_object(&c->w);
    key_str(&c->w, "message", SX_STR("signed out"));
    key_str(&c->w, "url", url);
    sx_json_end_object(&c->w);
    return auth_call_end(c);
}

static void logout_at(auth_call *c, sx_str end_page)
{
    sx_str *page = sx_arena_alloc(&c->arena, sizeof *page);
    if (!page) {
        (void)auth_call_fail(c, 503, "out of memory");
        auth_call_finish(c);
        return;
    }
    *page = sx_arena_copy(&c->arena, end_page);
    c->form = page;
    auth_call_submit(c, c->a->work);
}

void auth_post_logout(sx_request *r, void *ctx)
{
    auth *a = auth_of_ctx(r, ctx);
    auth_call *c = a ? auth_call_new(a, r, logout) : NULL;
    if (c && c->config->oidc.on && c->config->oidc.end_session && c->way == AUTH_WAY_SESSION)
        oidc_find_end(c, logout_at);
    else if (c)
        logout_at(c, SX_STR(""));
}

/* ---- one's password ---- */

sx_status auth_set_password(auth_call *c, sx_error *err)
{
    sx_str old = SX_STR(""), fresh = SX_STR(""), hash;
    char text[AUTH_PASSWORD_TEXT];
    auth_who who;
    auth_field fields[] = {{"oldPassword", AUTH_TEXT, &old, false},
                           {"newPassword", AUTH_TEXT, &fresh, false}};
    if (!auth_call_body(c, fields, SX_COUNT_OF(fields)))
        return SX_OK;
    if (!auth_store_password(c->a->store, c->whose, &c->arena, &hash, &who))
        return auth_call_fail(c, 409, "this account has no password here; it signs in elsewhere");
    if (!auth_call_allowed(c, c->a->by_login, c->whose))
        return SX_OK;
    if (!auth_password_matches(hash, old)) {
        auth_note(c->a, c->r, c->whose, "password.change", SX_STR("wrong password"), false);
        return auth_call_fail(c, 403, "the old password is wrong");
    }
    sx_status status = auth_password_hash(fresh, text, err);
    const auth_user user = {.login = c->whose, .password = sx_str_z(status == SX_OK ? text : "")};
    if (status == SX_OK)
        status = auth_store_user_set(c->a->store, &user, AUTH_SET_PASSWORD, c->cookie, err);
    return status == SX_OK ? auth_call_did(c, "password.change", SX_STR(""),
                                           "the password is changed; other sessions have ended")
                           : status;
}

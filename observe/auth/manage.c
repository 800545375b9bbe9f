/* manage.c - what admins do: users, and the audit log. */
#include <string.h>

#include "codec/json_member.h"
#include "observe/auth/auth_impl.h"
#include "observe/auth/password.h"

enum { NAME_MAX_BYTES = 200, AUDIT_PAGE = 100, AUDIT_PAGE_MAX = 1000 };

static void submit(sx_request *r, void *ctx, auth_work *work)
{
    auth *a = *(auth **)ctx;
    if (!a) {
        auth_refuse(r, 404, "not_found", SX_STR("sign-in is not configured; see --auth.config"));
        return;
    }
    auth_call *c = auth_call_new(a, r, work);
    if (c)
        auth_call_submit(c, a->work);
}

/* ---- users ---- */

static void list_users(auth_call *c)
{
    auth_user *list;
    size_t count;
    sx_error err = {0};
    sx_json_writer *w = &c->w;
    if (auth_store_users(c->a->store, &c->arena, &list, &count, &err) != SX_OK) {
        auth_call_fail_store(c, &err);
        return;
    }
    auth_call_begin(c);
    sx_json_begin_array(w);
    for (size_t i = 0; i < count; i++) {
        sx_json_begin_object(w);
        key_str(w, "login", list[i].login);
        key_str(w, "name", list[i].name);
        key_str(w, "role", auth_role_name(list[i].role));
        key_str(w, "source", list[i].source);
        sx_json_key(w, SX_STR("disabled"));
        sx_json_bool(w, list[i].disabled);
        key_i64(w, "created", list[i].created_ms);
        key_i64(w, "seen", list[i].seen_ms);
        sx_json_end_object(w);
    }
    sx_json_end_array(w);
    auth_call_end(c);
}

void auth_admin_users(sx_request *r, void *ctx)
{
    submit(r, ctx, list_users);
}

typedef struct user_form {
    sx_str login, name, password, role;
    bool disabled;
    auth_field fields[5];
} user_form;

enum { LOGIN, NAME, PASSWORD, ROLE, DISABLED };

static bool read_user(auth_call *c, user_form *f, auth_user *to, char hash[AUTH_PASSWORD_TEXT])
{
    sx_error err = {0};
    *f = (user_form){.fields = {{"login", AUTH_TEXT, &f->login, false},
                                {"name", AUTH_TEXT, &f->name, false},
                                {"password", AUTH_TEXT, &f->password, false},
                                {"role", AUTH_TEXT, &f->role, false},
                                {"disabled", AUTH_TRUTH, &f->disabled, false}}};
    if (!auth_call_body(c, f->fields, SX_COUNT_OF(f->fields)))
        return false;
    *to = (auth_user){.name = sx_str_first(f->name, NAME_MAX_BYTES),
                      .source = SX_STR("local"),
                      .subject = SX_STR(""),
                      .password = SX_STR(""),
                      .disabled = f->disabled};
    if (f->fields[ROLE].given && !auth_role_parse(f->role, &to->role)) {
        auth_call_fail(c, 400, "role: viewer, editor or admin");
        return false;
    }
    if (!f->fields[PASSWORD].given)
        return true;
    if (auth_password_hash(f->password, hash, &err) != SX_OK) {
        auth_call_fail_store(c, &err);
        return false;
    }
    to->password = sx_str_z(hash);
    return true;
}

static void add_user(auth_call *c)
{
    user_form form;
    auth_user user;
    char hash[AUTH_PASSWORD_TEXT], text[AUTH_LOGIN_MAX];
    sx_error err = {0};
    if (!read_user(c, &form, &user, hash))
        return;
    if (!auth_login_clean(form.login, text, &user.login)) {
        auth_call_fail(c, 400, "a login has 1 to %d bytes, no spaces, no colon, no quotes",
                       AUTH_LOGIN_MAX);
        return;
    }
    if (!user.role)
        user.role = AUTH_VIEWER;
    if (!user.password.len) {
        auth_call_fail(c, 400, "a user needs a password of at least %d characters",
                       AUTH_PASSWORD_LEAST);
        return;
    }
    if (auth_store_user_add(c->a->store, &user, &err) != SX_OK) {
        auth_call_fail_store(c, &err);
        return;
    }
    auth_note(c->a, c->r, c->who.login, "user.add", user.login, true);
    auth_call_done(c, "the user is added");
    c->status = 201;
}

/* Nobody could undo it from the page. */
static bool is_last_admin(auth_call *c, const auth_user *now)
{
    if (now->role != AUTH_ADMIN || now->disabled || auth_store_admin_count(c->a->store) > 1)
        return false;
    auth_call_fail(c, 409, "'%.*s' is the only admin; make another one first", SX_ARG(now->login));
    return true;
}

static bool find_user(auth_call *c, auth_user *now)
{
    char text[AUTH_LOGIN_MAX];
    sx_str login;
    sx_error err = {0};
    if (!auth_login_clean(c->id, text, &login)) {
        auth_call_fail(c, 404, "there is no such user");
        return false;
    }
    if (auth_store_user(c->a->store, login, &c->arena, now, &err) == SX_OK)
        return true;
    auth_call_fail_store(c, &err);
    return false;
}

static void set_user(auth_call *c)
{
    user_form form;
    auth_user user, now;
    char hash[AUTH_PASSWORD_TEXT];
    sx_error err = {0};
    if (!find_user(c, &now) || !read_user(c, &form, &user, hash))
        return;
    const auth_field *f = form.fields;
    unsigned fields =
        (f[NAME].given ? AUTH_SET_NAME : 0u) | (f[PASSWORD].given ? AUTH_SET_PASSWORD : 0u) |
        (f[ROLE].given ? AUTH_SET_ROLE : 0u) | (f[DISABLED].given ? AUTH_SET_DISABLED : 0u);
    bool weaker = (f[ROLE].given && user.role < now.role) || (f[DISABLED].given && user.disabled);
    if (weaker && is_last_admin(c, &now))
        return;
    if (f[PASSWORD].given && !sx_str_eq(now.source, SX_STR("local"))) {
        auth_call_fail(c, 409, "'%.*s' signs in elsewhere and has no password here",
                       SX_ARG(now.login));
        return;
    }
    user.login = now.login;
    if (auth_store_user_set(c->a->store, &user, fields, c->cookie, &err) != SX_OK) {
        auth_call_fail_store(c, &err);
        return;
    }
    sx_str what = sx_arena_printf(
        &c->arena, "%.*s%s%.*s%s%s", SX_ARG(now.login), f[ROLE].given ? " role=" : "",
        SX_ARG(f[ROLE].given ? form.role : SX_STR("")), f[PASSWORD].given ? " password" : "",
        f[DISABLED].given ? (user.disabled ? " off" : " on") : "");
    auth_note(c->a, c->r, c->who.login, "user.change", what, true);
    auth_call_done(c, "the user is changed");
}

static void remove_user(auth_call *c)
{
    auth_user now;
    sx_error err = {0};
    if (!find_user(c, &now) || is_last_admin(c, &now))
        return;
    if (auth_store_user_remove(c->a->store, now.login, &err) != SX_OK) {
        auth_call_fail_store(c, &err);
        return;
    }
    auth_note(c->a, c->r, c->who.login, "user.remove", now.login, true);
    auth_call_done(c, "the user is removed, with all sessions and tokens");
}

/* Those that may hash a password go to the pool that bounds it. */
static void submit_hash(sx_request *r, void *ctx, auth_work *work)
{
    auth *a = *(auth **)ctx;
    if (!a) {
        submit(r, ctx, work);
        return;
    }
    auth_call *c = auth_call_new(a, r, work);
    if (c)
        auth_call_submit(c, a->passwords);
}

void auth_admin_add_user(sx_request *r, void *ctx)
{
    submit_hash(r, ctx, add_user);
}

void auth_admin_set_user(sx_request *r, void *ctx)
{
    submit_hash(r, ctx, set_user);
}

void auth_admin_remove_user(sx_request *r, void *ctx)
{
    submit(r, ctx, remove_user);
}

/* ---- audit ---- */

typedef struct audit_query {
    int64_t before, limit;
    sx_str login, action;
} audit_query;

static bool read_query(auth_call *c, audit_query *q)
{
    sx_str rest = c->r->query, key, value;
    *q = (audit_query){.limit = AUDIT_PAGE, .login = SX_STR(""), .action = SX_STR("")};
    while (sx_query_next(&rest, &key, &value)) {
        if (sx_percent_decode(&c->arena, value, SX_PERCENT_FORM, &value, NULL) != SX_OK)
            continue;
        bool ok = true;
        if (sx_str_eq(key, SX_STR("before")))
            ok = sx_str_to_i64(value, &q->before) && q->before >= 0;
        else if (sx_str_eq(key, SX_STR("limit")))
            ok = sx_str_to_i64(value, &q->limit) && q->limit >= 1 && q->limit <= AUDIT_PAGE_MAX;
        else if (sx_str_eq(key, SX_STR("login")))
            q->login = value;
        else if (sx_str_eq(key, SX_STR("action")))
            q->action = value;
        if (!ok) {
            auth_call_fail(c, 400, "%.*s: not a number from 1 to %d", SX_ARG(key), AUDIT_PAGE_MAX);
            return false;
        }
    }
    return true;
}

static void list_audit(auth_call *c)
{
    audit_query q;
    auth_entry *list;
    size_t count;
    sx_error err = {0};
    sx_json_writer *w = &c->w;
    if (!read_query(c, &q))
        return;
    if (auth_store_entries(c->a->store, q.before, (uint32_t)q.limit, q.login, q.action, &c->arena,
                           &list, &count, &err) != SX_OK) {
        auth_call_fail_store(c, &err);
        return;
    }
    auth_call_begin(c);
    sx_json_begin_object(w);
    sx_json_key(w, SX_STR("entries"));
    sx_json_begin_array(w);
    for (size_t i = 0; i < count; i++) {
        sx_json_begin_object(w);
        key_i64(w, "id", list[i].id);
        key_i64(w, "at", list[i].at_ms);
        key_str(w, "login", list[i].login);
        key_str(w, "address", list[i].address);
        key_str(w, "action", list[i].action);
        key_str(w, "what", list[i].what);
        sx_json_key(w, SX_STR("ok"));
        sx_json_bool(w, list[i].ok);
        sx_json_end_object(w);
    }
    sx_json_end_array(w);
    sx_json_key(w, SX_STR("before")); /* of the next page; 0: there is none */
    sx_json_i64(w, count == (size_t)q.limit ? list[count - 1].id : 0);
    sx_json_end_object(w);
    auth_call_end(c);
}

void auth_admin_audit(sx_request *r, void *ctx)
{
    submit(r, ctx, list_audit);
}

/* manage.c - what admins do: users, and the audit log. */
#include "codec/json_member.h"
#include "observe/auth/auth_impl.h"
#include "observe/auth/password.h"

enum { NAME_MAX_BYTES = 200, AUDIT_PAGE = 100, AUDIT_PAGE_MAX = 1000 };

/* ---- users ---- */

static void put_user(sx_json_writer *w, const void *item)
{
    const auth_user *u = item;
    key_str(w, "login", u->login);
    key_str(w, "name", u->name);
    key_str(w, "role", auth_role_name(u->role));
    key_str(w, "source", u->source);
    sx_json_key(w, SX_STR("disabled"));
    sx_json_bool(w, u->disabled);
    key_i64(w, "created", u->created_ms);
    key_i64(w, "seen", u->seen_ms);
}

sx_status auth_list_users(auth_call *c, sx_error *err)
{
    auth_user *list;
    size_t count;
    sx_status status = auth_store_users(c->a->store, &c->arena, &list, &count, err);
    if (status != SX_OK)
        return status;
    auth_call_begin(c);
    auth_call_list(c, list, count, sizeof *list, put_user);
    return auth_call_end(c);
}

/* The body of adding and of changing. */
typedef struct user_form {
    sx_str login, name, password, role;
    bool disabled;
    unsigned given; /* AUTH_SET_... */
} user_form;

/* False: an answer is left. */
static bool read_user(auth_call *c, user_form *f, auth_user *to)
{
    *f = (user_form){
        .login = SX_STR(""), .name = SX_STR(""), .password = SX_STR(""), .role = SX_STR("")};
    auth_field fields[] = {{"login", AUTH_TEXT, &f->login, false},
                           {"name", AUTH_TEXT, &f->name, false},
                           {"password", AUTH_TEXT, &f->password, false},
                           {"role", AUTH_TEXT, &f->role, false},
                           {"disabled", AUTH_TRUTH, &f->disabled, false}};
    static const unsigned SETS[] = {0, AUTH_SET_NAME, AUTH_SET_PASSWORD, AUTH_SET_ROLE,
                                    AUTH_SET_DISABLED};
    if (!auth_call_body(c, fields, SX_COUNT_OF(fields)))
        return false;
    for (size_t i = 0; i < SX_COUNT_OF(fields); i++)
        f->given |= fields[i].given ? SETS[i] : 0;
    *to = (auth_user){.name = sx_str_first(f->name, NAME_MAX_BYTES),
                      .source = SX_STR("local"),
                      .subject = SX_STR(""),
                      .password = SX_STR(""),
                      .disabled = f->disabled};
    if (!(f->given & AUTH_SET_ROLE) || auth_role_parse(f->role, &to->role))
        return true;
    (void)auth_call_fail(c, 400, "role: viewer, editor or admin");
    return false;
}

/* Hashes the form's password, if it has one. Takes its time. */
static sx_status take_password(const user_form *f, auth_user *to, char hash[AUTH_PASSWORD_TEXT],
                               sx_error *err)
{
    if (!(f->given & AUTH_SET_PASSWORD))
        return SX_OK;
    sx_status status = auth_password_hash(f->password, hash, err);
    if (status == SX_OK)
        to->password = sx_str_z(hash);
    return status;
}

sx_status auth_add_user(auth_call *c, sx_error *err)
{
    user_form form;
    auth_user user;
    char hash[AUTH_PASSWORD_TEXT], text[AUTH_LOGIN_MAX];
    if (!read_user(c, &form, &user))
        return SX_OK;
    if (!auth_login_clean(form.login, text, &user.login))
        return auth_call_fail(c, 400, "a login has 1 to %d bytes, no spaces, no colon, no quotes",
                              AUTH_LOGIN_MAX);
    if (!(form.given & AUTH_SET_PASSWORD))
        return auth_call_fail(c, 400, "a user needs a password of at least %d characters",
                              AUTH_PASSWORD_LEAST);
    if (!user.role)
        user.role = AUTH_VIEWER;
    sx_status status = take_password(&form, &user, hash, err);
    if (status == SX_OK)
        status = auth_store_user_add(c->a->store, &user, err);
    if (status != SX_OK)
        return status;
    (void)auth_call_did(c, "user.add", user.login, "the user is added");
    c->status = 201;
    return SX_OK;
}

/* Nobody could undo it from the page. */
static bool is_last_admin(auth_call *c, const auth_user *now)
{
    if (now->role != AUTH_ADMIN || now->disabled || auth_store_admin_count(c->a->store) > 1)
        return false;
    (void)auth_call_fail(c, 409, "'%.*s' is the only admin; make another one first",
                         SX_ARG(now->login));
    return true;
}

static sx_status find_user(auth_call *c, auth_user *now, sx_error *err)
{
    char text[AUTH_LOGIN_MAX];
    sx_str login;
    if (!auth_login_clean(c->id, text, &login))
        return sx_fail(err, SX_ENOTFOUND, "there is no such user");
    return auth_store_user(c->a->store, login, &c->arena, now, err);
}

sx_status auth_set_user(auth_call *c, sx_error *err)
{
    user_form form;
    auth_user user, now;
    char hash[AUTH_PASSWORD_TEXT];
    sx_status status = find_user(c, &now, err);
    if (status != SX_OK || !read_user(c, &form, &user))
        return status;
    unsigned given = form.given;
    bool weaker = (given & AUTH_SET_ROLE && user.role < now.role) ||
                  (given & AUTH_SET_DISABLED && user.disabled);
    if (weaker && is_last_admin(c, &now))
        return SX_OK;
    if (given & AUTH_SET_PASSWORD && !sx_str_eq(now.source, SX_STR("local")))
        return auth_call_fail(c, 409, "'%.*s' signs in elsewhere and has no password here",
                              SX_ARG(now.login));
    user.login = now.login;
    status = take_password(&form, &user, hash, err);
    if (status == SX_OK)
        status = auth_store_user_set(c->a->store, &user, given, c->cookie, err);
    if (status != SX_OK)
        return status;
    sx_str what = sx_arena_printf(&c->arena, "%.*s%s%.*s%s%s", SX_ARG(now.login),
                                  given & AUTH_SET_ROLE ? " role=" : "", SX_ARG(form.role),
                                  given & AUTH_SET_PASSWORD ? " password" : "",
                                  !(given & AUTH_SET_DISABLED) ? ""
                                  : user.disabled              ? " off"
                                                               : " on");
    return auth_call_did(c, "user.change", what, "the user is changed");
}

sx_status auth_remove_user(auth_call *c, sx_error *err)
{
    auth_user now;
    sx_status status = find_user(c, &now, err);
    if (status != SX_OK || is_last_admin(c, &now))
        return status;
    status = auth_store_user_remove(c->a->store, now.login, err);
    return status == SX_OK ? auth_call_did(c, "user.remove", now.login,
                                           "the user is removed, with all sessions and tokens")
                           : status;
}

/* ---- audit ---- */

typedef struct audit_query {
    int64_t before, limit;
    sx_str login, action;
} audit_query;

/* False: an answer is left. */
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
            (void)auth_call_fail(c, 400, "%.*s: not a number from 1 to %d", SX_ARG(key),
                                 AUDIT_PAGE_MAX);
            return false;
        }
    }
    return true;
}

static void put_entry(sx_json_writer *w, const void *item)
{
    const auth_entry *e = item;
    key_i64(w, "id", e->id);
    key_i64(w, "at", e->at_ms);
    key_str(w, "login", e->login);
    key_str(w, "address", e->address);
    key_str(w, "action", e->action);
    key_str(w, "what", e->what);
    sx_json_key(w, SX_STR("ok"));
    sx_json_bool(w, e->ok);
}

sx_status auth_list_audit(auth_call *c, sx_error *err)
{
    audit_query q;
    auth_entry *list;
    size_t count;
    if (!read_query(c, &q))
        return SX_OK;
    sx_status status = auth_store_entries(c->a->store, q.before, (uint32_t)q.limit, q.login,
                                          q.action, &c->arena, &list, &count, err);
    if (status != SX_OK)
        return status;
    auth_call_begin(c);
    sx_json_begin_object(&c->w);
    sx_json_key(&c->w, SX_STR("entries"));
    auth_call_list(c, list, count, sizeof *list, put_entry);
    sx_json_key(&c->w, SX_STR("before")); /* of the next page; 0: there is none */
    sx_json_i64(&c->w, count == (size_t)q.limit ? list[count - 1].id : 0);
    sx_json_end_object(&c->w);
    return auth_call_end(c);
}

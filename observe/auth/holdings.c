/* holdings.c - sessions and tokens: one's own, and for admins everybody's; c->whose tells which. */
#include "codec/json_member.h"
#include "observe/auth/auth_impl.h"

enum { TOKEN_NAME_MAX = 100, DAY_S = 86400, TOKEN_DAYS_MAX = 3650 };

/* ---- sessions ---- */

static void put_session(sx_json_writer *w, const void *item)
{
    const auth_session *s = item;
    key_str(w, "id", sx_str_z(s->id));
    key_str(w, "login", s->login);
    key_str(w, "address", s->address);
    key_str(w, "agent", s->agent);
    key_i64(w, "created", s->created_ms);
    key_i64(w, "seen", s->seen_ms);
    key_i64(w, "expires", s->expires_ms);
    sx_json_key(w, SX_STR("own"));
    sx_json_bool(w, s->own);
}

sx_status auth_list_sessions(auth_call *c, sx_error *err)
{
    auth_session *list;
    size_t count;
    sx_status status =
        auth_store_sessions(c->a->store, c->whose, c->cookie, &c->arena, &list, &count, err);
    if (status != SX_OK)
        return status;
    auth_call_begin(c);
    auth_call_list(c, list, count, sizeof *list, put_session);
    return auth_call_end(c);
}

sx_status auth_end_session(auth_call *c, sx_error *err)
{
    sx_status status = auth_store_session_end_id(c->a->store, c->whose, c->id, err);
    return status == SX_OK ? auth_call_did(c, "session.end", c->id, "the session has ended")
                           : status;
}

/* ---- tokens ---- */

static void put_token(sx_json_writer *w, const void *item)
{
    const auth_token *t = item;
    key_i64(w, "id", t->id);
    key_str(w, "name", t->name);
    key_str(w, "login", t->login);
    key_str(w, "role", auth_role_name(t->role));
    key_i64(w, "created", t->created_ms);
    key_i64(w, "expires", t->expires_ms);
    key_i64(w, "used", t->used_ms);
}

sx_status auth_list_tokens(auth_call *c, sx_error *err)
{
    auth_token *list;
    size_t count;
    sx_status status = auth_store_tokens(c->a->store, c->whose, &c->arena, &list, &count, err);
    if (status != SX_OK)
        return status;
    auth_call_begin(c);
    auth_call_list(c, list, count, sizeof *list, put_token);
    return auth_call_end(c);
}

/* False: an answer is left. */
static bool read_token(auth_call *c, auth_token *t)
{
    sx_str name = SX_STR(""), role = SX_STR("viewer");
    int64_t seconds = 0;
    auth_field fields[] = {{"name", AUTH_TEXT, &name, false},
                           {"role", AUTH_TEXT, &role, false},
                           {"secondsToLive", AUTH_NUMBER, &seconds, false}};
    if (!auth_call_body(c, fields, SX_COUNT_OF(fields)))
        return false;
    *t = (auth_token){.name = sx_str_trim(name), .login = c->whose};
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
sx_status auth_make_token(auth_call *c, sx_error *err)
{
    auth_token t;
    char token[AUTH_TOKEN_BYTES];
    if (c->way == AUTH_WAY_TOKEN)
        return auth_call_fail(c, 403, "tokens make no tokens; sign in for that");
    if (!read_token(c, &t))
        return SX_OK;
    sx_status status = auth_store_token_new(c->a->store, &t, token, err);
    if (status != SX_OK)
        return status;
    auth_note(c->a, c->r, c->who.login, "token.make", t.name, true);
    auth_call_begin(c);
    sx_json_begin_object(&c->w);
    put_token(&c->w, &t);
    key_str(&c->w, "key", sx_str_z(token));
    sx_json_end_object(&c->w);
    return auth_call_end(c);
}

sx_status auth_end_token(auth_call *c, sx_error *err)
{
    int64_t id = 0;
    if (!sx_str_to_i64(c->id, &id))
        return auth_call_fail(c, 404, "there is no such token");
    sx_status status = auth_store_token_end(c->a->store, c->whose, id, err);
    return status == SX_OK ? auth_call_did(c, "token.end", c->id, "the token has ended") : status;
}

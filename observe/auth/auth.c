/* auth.c - who asks (auth.h). */
#include "observe/auth/auth.h"

#include "codec/json_member.h"

static const struct {
    sx_str name;
} ROLES[AUTH_ROLES] = {
    [AUTH_NONE] = {SX_STR_INIT("none")},
    [AUTH_VIEWER] = {SX_STR_INIT("viewer")},
    [AUTH_EDITOR] = {SX_STR_INIT("editor")},
    [AUTH_ADMIN] = {SX_STR_INIT("admin")},
};

sx_str auth_role_name(auth_role role)
{
    return ROLES[role].name;
}

bool auth_role_parse(sx_str text, auth_role *out)
{
    for (auth_role role = AUTH_VIEWER; role < AUTH_ROLES; role++) {
        if (sx_str_eq(text, ROLES[role].name)) {
            *out = role;
            return true;
        }
    }
    return false;
}

const auth_who *auth_of(const sx_request *r)
{
    static const auth_who EVERYBODY = {
        .login = SX_STR_INIT(""), .name = SX_STR_INIT(""), .role = AUTH_ADMIN};
    const auth_who *who = sx_request_identity(r);
    return who ? who : &EVERYBODY;
}

void auth_answer_user(sx_request *r, void *ctx)
{
    (void)ctx;
    const auth_who *who = auth_of(r);
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
    sx_json_end_object(&w);
    (void)sx_reply_header(r, SX_STR("Cache-Control"), SX_STR("no-store"));
    if (sx_json_writer_finish(&w, NULL) == SX_OK)
        sx_reply(r, 200, SX_STR("application/json"), sx_buf_view(&out));
    else
        sx_reply_error(r, 503, NULL);
    sx_buf_done(&out);
}

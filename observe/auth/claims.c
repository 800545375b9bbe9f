/* claims.c - see claims.h. */
#include "observe/auth/claims.h"

#include "observe/auth/jwt.h"

enum { VALUES_MAX = 256, NAME_BYTES_MAX = 256 };

static size_t find(const claims *c, sx_str path, sx_arena *arena, sx_str *out, size_t most)
{
    size_t count = jwt_claim(c->token, path, arena, out, most);
    return count ? count : jwt_claim(c->userinfo, path, arena, out, most);
}

static sx_str find_one(const claims *c, sx_str path, sx_arena *arena)
{
    sx_str value = SX_STR("");
    return find(c, path, arena, &value, 1) ? value : SX_STR("");
}

bool claims_lack(const claims *c, const auth_oidc *o, sx_arena *arena)
{
    const sx_str needed[] = {o->login_claim, o->name_claim, o->role_claim,
                             o->group_count ? o->groups_claim : SX_STR(""),
                             o->domain_count ? SX_STR("email") : SX_STR("")};
    for (size_t i = 0; i < SX_COUNT_OF(needed); i++)
        if (needed[i].len && !find_one(c, needed[i], arena).len)
            return true;
    return false;
}

bool claims_agree(const claims *c, sx_str subject, sx_arena *arena)
{
    sx_str theirs = SX_STR("");
    (void)jwt_claim(c->userinfo, SX_STR("sub"), arena, &theirs, 1);
    if (c->token.len && !jwt_claim(c->token, SX_STR("sub"), arena, &subject, 1))
        return false;
    return theirs.len && sx_str_eq(theirs, subject);
}

/* The highest role that the claims give; default_role where none of them has a word for one. */
static auth_role role_of(const claims *c, const auth_oidc *o, sx_arena *arena)
{
    sx_str values[VALUES_MAX];
    auth_role best = AUTH_NONE;
    bool any = false;
    size_t count = o->role_claim.len ? find(c, o->role_claim, arena, values, VALUES_MAX) : 0;
    for (size_t i = 0; i < count; i++) {
        auth_role role = AUTH_ROLES; /* none of ours */
        if (o->role_count)
            role = auth_config_role(o->roles, o->role_count, values[i], AUTH_ROLES);
        else
            (void)auth_role_parse(values[i], &role);
        if (role == AUTH_ROLES)
            continue;
        any = true;
        best = role > best ? role : best;
    }
    return any ? best : (auth_role)o->default_role;
}

static bool is_member(const claims *c, const auth_oidc *o, sx_arena *arena)
{
    sx_str values[VALUES_MAX];
    size_t count = o->group_count ? find(c, o->groups_claim, arena, values, VALUES_MAX) : 0;
    for (size_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < o->group_count; k++)
            if (sx_str_eq(values[i], o->groups[k]))
                return true;
    return o->group_count == 0;
}

/* NULL: it is one of ours, or need not be. The word that it is verified must come from where it does. */
static const char *check_mail(const claims *c, const auth_oidc *o, sx_arena *arena)
{
    sx_str mail = SX_STR(""), verified = SX_STR(""), user, domain;
    bool ours = false;
    if (!o->domain_count)
        return NULL;
    sx_str from = jwt_claim(c->token, SX_STR("email"), arena, &mail, 1) ? c->token : c->userinfo;
    (void)jwt_claim(from, SX_STR("email"), arena, &mail, 1);
    (void)jwt_claim(from, SX_STR("email_verified"), arena, &verified, 1);
    if (sx_str_cut(mail, '@', &user, &domain)) /* with a second '@' it is none of the list */
        for (uint32_t i = 0; i < o->domain_count; i++)
            ours = ours || sx_str_ieq(o->domains[i], domain);
    if (!ours)
        return "the mail address is of none of allowed_domains";
    return sx_str_eq(verified, SX_STR("true")) ? NULL
                                               : "the mail address is not verified by the provider";
}

static const char *check_allowed(const claims *c, const auth_oidc *o, sx_arena *arena)
{
    return is_member(c, o, arena) ? check_mail(c, o, arena) : "in none of allowed_groups";
}

sx_status claims_user(const claims *c, const auth_oidc *o, sx_arena *arena, auth_user *out,
                      const char **why)
{
    const sx_str logins[] = {o->login_claim, SX_STR("email"), SX_STR("sub")};
    sx_str login = SX_STR("");
    char *text = sx_arena_alloc(arena, AUTH_LOGIN_MAX);
    for (size_t i = 0; i < SX_COUNT_OF(logins) && !login.len; i++)
        login = find_one(c, logins[i], arena);
    *out = (auth_user){.login = SX_STR(""),
                       .source = SX_STR("oidc"),
                       .password = SX_STR(""),
                       .name = sx_str_first(find_one(c, o->name_claim, arena), NAME_BYTES_MAX),
                       .subject = sx_arena_printf(arena, "%.*s %.*s", SX_ARG(o->issuer),
                                                  SX_ARG(find_one(c, SX_STR("sub"), arena))),
                       .role = role_of(c, o, arena)};
    if (!text || !out->subject.data)
        return SX_ENOMEM;
    *why = NULL;
    if (!auth_login_clean(login, text, &out->login))
        *why = "the provider has no login that can be one here";
    else
        *why = check_allowed(c, o, arena);
    if (!*why && out->role == AUTH_NONE)
        *why = "no role";
    return *why ? SX_EACCESS : SX_OK;
}

/* config.c - the file of --auth.config by a table, and what of it must make sense together. */
#include "observe/auth/config.h"

#include <stddef.h>

#include <openssl/crypto.h>

#include <sextant/file.h>
#include <sextant/mem.h>
#include <sextant/url.h>

#include "observe/config/bind.h"

enum {
    MINUTE_MS = 60 * 1000,
    DAY_MS = 24 * 60 * MINUTE_MS,
    AUDIT_ENTRIES = 100000,
    AUDIT_ENTRIES_MAX = 10000000,
};

#define AT(type, field) offsetof(type, field)

static const bind_choice ROLES[] = {{"none", AUTH_NONE},
                                    {"viewer", AUTH_VIEWER},
                                    {"editor", AUTH_EDITOR},
                                    {"admin", AUTH_ADMIN},
                                    {0}};
static const bind_choice ANONYMOUS[] = {
    {"none", AUTH_NONE}, {"viewer", AUTH_VIEWER}, {"editor", AUTH_EDITOR}, {0}};
static const bind_choice NEEDS[] = {{"open", AUTH_NONE},
                                    {"viewer", AUTH_VIEWER},
                                    {"editor", AUTH_EDITOR},
                                    {"admin", AUTH_ADMIN},
                                    {0}};
static const bind_choice SECURE[] = {
    {"auto", AUTH_SECURE_AUTO}, {"always", AUTH_SECURE_ALWAYS}, {"never", AUTH_SECURE_NEVER}, {0}};

static const bind_choice USERINFO[] = {{"auto", AUTH_USERINFO_AUTO},
                                       {"always", AUTH_USERINFO_ALWAYS},
                                       {"never", AUTH_USERINFO_NEVER},
                                       {0}};

static sx_status check_roles(bind *b, const sx_yaml_node *map, const tsdb_label *roles,
                             uint32_t count)
{
    auth_role role;
    for (uint32_t i = 0; i < count; i++) {
        sx_status status = SX_OK;
        if (!auth_role_parse(roles[i].value, &role) &&
            !sx_str_eq(roles[i].value, auth_role_name(AUTH_NONE)))
            status = bind_fault(b, map, "roles: '%.*s' is no role; write viewer, editor or admin",
                                SX_ARG(roles[i].value));
        if (status == SX_ENOMEM || status == SX_ELIMIT)
            return status;
    }
    return SX_OK;
}

/* ---- trusted_header ---- */

static sx_status check_trusted(bind *b, const sx_yaml_node *map, void *target)
{
    const auth_trusted *t = target;
    if (!t->header.len)
        return bind_fault(b, map, "trusted_header needs a name: the field that holds the login");
    if (!t->from_count)
        return bind_fault(b, map,
                          "trusted_header needs `from`: the proxy's addresses, such as 10.0.0.2 or "
                          "10.0.0.0/8; whoever else sends the field is not believed");
    for (uint32_t i = 0; i < t->from_count; i++) {
        sx_exempt trial;
        sx_error err = {0};
        if (sx_exempt_parse((sx_texts){&t->from[i], 1}, &trial, &err) != SX_OK)
            return bind_fault(b, map,
                              "from: '%.*s' is no address; write 10.1.2.3, 10.0.0.0/8, "
                              "2001:db8::/32 or loopback",
                              SX_ARG(t->from[i]));
    }
    if (t->from_count > SX_EXEMPT_MAX / 2)
        return bind_fault(b, map, "from: more than %d addresses", SX_EXEMPT_MAX / 2);
    if (t->role_count && !t->role_header.len)
        return bind_fault(b, map, "roles need a role_header, whose values they are for");
    return check_roles(b, map, t->roles, t->role_count);
}

static void trusted_defaults(void *target)
{
    *(auth_trusted *)target = (auth_trusted){.default_role = AUTH_VIEWER};
}

static const bind_field TRUSTED_FIELDS[] = {
    {.key = "name", .kind = BIND_STR, .at = AT(auth_trusted, header)},
    {.key = "from",
     .kind = BIND_STRS,
     .at = AT(auth_trusted, from),
     .count_at = AT(auth_trusted, from_count)},
    {.key = "name_header", .kind = BIND_STR, .at = AT(auth_trusted, name_header)},
    {.key = "role_header", .kind = BIND_STR, .at = AT(auth_trusted, role_header)},
    {.key = "roles",
     .kind = BIND_MAP,
     .at = AT(auth_trusted, roles),
     .count_at = AT(auth_trusted, role_count)},
    {.key = "default_role",
     .kind = BIND_CHOICE,
     .at = AT(auth_trusted, default_role),
     .choices = ROLES},
    {.key = "sign_out_url", .kind = BIND_STR, .at = AT(auth_trusted, sign_out_url)},
    {0}};
static const bind_table TRUSTED = {TRUSTED_FIELDS, sizeof(auth_trusted), trusted_defaults,
                                   check_trusted, NULL};

/* ---- oidc ---- */

/* Without TLS whoever sits between could make anybody an admin; on the machine itself nobody does. */
static bool is_safe_issuer(sx_str issuer)
{
    static const sx_str LOCAL[] = {SX_STR_INIT("localhost"), SX_STR_INIT("127.0.0.1"),
                                   SX_STR_INIT("::1")};
    sx_url url;
    if (sx_url_parse(issuer, &url, NULL) != SX_OK || url.query.data || url.fragment.data ||
        url.userinfo.data)
        return false;
    if (url.scheme == SX_URL_HTTPS)
        return true;
    for (size_t i = 0; i < SX_COUNT_OF(LOCAL) && url.scheme == SX_URL_HTTP; i++)
        if (sx_str_eq(url.host, LOCAL[i]))
            return true;
    return false;
}

static sx_status check_oidc(bind *b, const sx_yaml_node *map, void *target)
{
    auth_oidc *o = target;
    if (!o->issuer.len || !o->client_id.len)
        return bind_fault(b, map, "oidc needs an issuer and a client_id");
    if (!is_safe_issuer(o->issuer))
        return bind_fault(b, map,
                          "issuer: write https://HOST/PATH without a query; http is for this "
                          "machine's own addresses alone");
    if (o->role_count && !o->role_claim.len)
        return bind_fault(b, map, "roles need a role_claim, whose values they are for");
    if (o->group_count && !o->groups_claim.len)
        return bind_fault(b, map, "allowed_groups needs a groups_claim");
    if (o->skew_ms < 0 || o->skew_ms > 10 * MINUTE_MS)
        return bind_fault(b, map, "clock_skew: from 0s to 10m");
    if (o->recheck_ms && o->recheck_ms < MINUTE_MS)
        return bind_fault(b, map, "recheck: at least 1m, or 0s: never");
    return check_roles(b, map, o->roles, o->role_count);
}

static void oidc_defaults(void *target)
{
    *(auth_oidc *)target = (auth_oidc){.name = SX_STR("single sign-on"),
                                       .login_claim = SX_STR("preferred_username"),
                                       .name_claim = SX_STR("name"),
                                       .groups_claim = SX_STR("groups"),
                                       .default_role = AUTH_VIEWER,
                                       .skew_ms = MINUTE_MS};
}

static const bind_field OIDC_FIELDS[] = {
    {.key = "name", .kind = BIND_STR, .flags = BIND_NOT_EMPTY, .at = AT(auth_oidc, name)},
    {.key = "issuer", .kind = BIND_STR, .at = AT(auth_oidc, issuer)},
    {.key = "client_id", .kind = BIND_STR, .at = AT(auth_oidc, client_id)},
    {.key = "client_secret", .kind = BIND_SECRET, .at = AT(auth_oidc, client_secret)},
    {.key = "client_secret_file", .kind = BIND_SECRET_FILE, .at = AT(auth_oidc, client_secret)},
    {.key = "scopes",
     .kind = BIND_STRS,
     .at = AT(auth_oidc, scopes),
     .count_at = AT(auth_oidc, scope_count)},
    {.key = "login_claim",
     .kind = BIND_STR,
     .flags = BIND_NOT_EMPTY,
     .at = AT(auth_oidc, login_claim)},
    {.key = "name_claim", .kind = BIND_STR, .at = AT(auth_oidc, name_claim)},
    {.key = "role_claim", .kind = BIND_STR, .at = AT(auth_oidc, role_claim)},
    {.key = "groups_claim", .kind = BIND_STR, .at = AT(auth_oidc, groups_claim)},
    {.key = "roles",
     .kind = BIND_MAP,
     .at = AT(auth_oidc, roles),
     .count_at = AT(auth_oidc, role_count)},
    {.key = "allowed_domains",
     .kind = BIND_STRS,
     .at = AT(auth_oidc, domains),
     .count_at = AT(auth_oidc, domain_count)},
    {.key = "allowed_groups",
     .kind = BIND_STRS,
     .at = AT(auth_oidc, groups),
     .count_at = AT(auth_oidc, group_count)},
    {.key = "default_role",
     .kind = BIND_CHOICE,
     .at = AT(auth_oidc, default_role),
     .choices = ROLES},
    {.key = "audiences",
     .kind = BIND_STRS,
     .at = AT(auth_oidc, audiences),
     .count_at = AT(auth_oidc, audience_count)},
    {.key = "userinfo", .kind = BIND_CHOICE, .at = AT(auth_oidc, userinfo), .choices = USERINFO},
    {.key = "recheck", .kind = BIND_MS, .at = AT(auth_oidc, recheck_ms)},
    {.key = "end_session", .kind = BIND_BOOL, .at = AT(auth_oidc, end_session)},
    {.key = "clock_skew", .kind = BIND_MS, .at = AT(auth_oidc, skew_ms)},
    {.key = "ca_file", .kind = BIND_PATH, .at = AT(auth_oidc, ca_file)},
    {0}};
static const bind_table OIDC = {OIDC_FIELDS, sizeof(auth_oidc), oidc_defaults, check_oidc, NULL};

/* ---- the rest ---- */

static const bind_field USERS_FIELDS[] = {
    {.key = "database", .kind = BIND_PATH, .at = AT(auth_users, database)}, {0}};
static const bind_table USERS = {USERS_FIELDS, sizeof(auth_users), NULL, NULL, NULL};

static void session_defaults(void *target)
{
    *(auth_sessions *)target =
        (auth_sessions){.lifetime_ms = (int64_t)30 * DAY_MS, .idle_ms = (int64_t)7 * DAY_MS};
}

static sx_status check_session(bind *b, const sx_yaml_node *map, void *target)
{
    const auth_sessions *s = target;
    if (s->lifetime_ms < MINUTE_MS || s->idle_ms < MINUTE_MS)
        return bind_fault(b, map, "lifetime and idle are at least 1m");
    return SX_OK;
}

static const bind_field SESSION_FIELDS[] = {
    {.key = "lifetime", .kind = BIND_MS, .at = AT(auth_sessions, lifetime_ms)},
    {.key = "idle", .kind = BIND_MS, .at = AT(auth_sessions, idle_ms)},
    {.key = "cookie_secure",
     .kind = BIND_CHOICE,
     .at = AT(auth_sessions, cookie_secure),
     .choices = SECURE},
    {0}};
static const bind_table SESSION = {SESSION_FIELDS, sizeof(auth_sessions), session_defaults,
                                   check_session, NULL};

static void machines_defaults(void *target)
{
    *(auth_machines *)target = (auth_machines){
        .query = AUTH_VIEWER, .intake = AUTH_EDITOR, .metrics = AUTH_VIEWER, .edit = AUTH_EDITOR};
}

static const bind_field MACHINES_FIELDS[] = {
    {.key = "query", .kind = BIND_CHOICE, .at = AT(auth_machines, query), .choices = NEEDS},
    {.key = "intake", .kind = BIND_CHOICE, .at = AT(auth_machines, intake), .choices = NEEDS},
    {.key = "metrics", .kind = BIND_CHOICE, .at = AT(auth_machines, metrics), .choices = NEEDS},
    {.key = "edit", .kind = BIND_CHOICE, .at = AT(auth_machines, edit), .choices = NEEDS},
    {0}};
static const bind_table MACHINES = {MACHINES_FIELDS, sizeof(auth_machines), machines_defaults, NULL,
                                    NULL};

static void audit_defaults(void *target)
{
    ((auth_audit_rules *)target)->entries_max = AUDIT_ENTRIES;
}

static sx_status check_audit(bind *b, const sx_yaml_node *map, void *target)
{
    const auth_audit_rules *a = target;
    if (a->entries_max < 1 || a->entries_max > AUDIT_ENTRIES_MAX)
        return bind_fault(b, map, "entries_max is from 1 to %d", AUDIT_ENTRIES_MAX);
    return SX_OK;
}

static const bind_field AUDIT_FIELDS[] = {
    {.key = "entries_max", .kind = BIND_U32, .at = AT(auth_audit_rules, entries_max)}, {0}};
static const bind_table AUDIT = {AUDIT_FIELDS, sizeof(auth_audit_rules), audit_defaults,
                                 check_audit, NULL};

static void defaults(void *target)
{
    auth_config *c = target;
    session_defaults(&c->session);
    machines_defaults(&c->machines);
    audit_defaults(&c->audit);
}

static const bind_field FIELDS[] = {
    {.key = "users", .kind = BIND_STRUCT, .at = AT(auth_config, users), .table = &USERS},
    {.key = "session", .kind = BIND_STRUCT, .at = AT(auth_config, session), .table = &SESSION},
    {.key = "anonymous",
     .kind = BIND_CHOICE,
     .at = AT(auth_config, anonymous),
     .choices = ANONYMOUS},
    {.key = "trusted_header",
     .kind = BIND_STRUCT,
     .flags = BIND_PRESENCE,
     .at = AT(auth_config, trusted),
     .count_at = AT(auth_config, trusted.on),
     .table = &TRUSTED},
    {.key = "oidc",
     .kind = BIND_STRUCT,
     .flags = BIND_PRESENCE,
     .at = AT(auth_config, oidc),
     .count_at = AT(auth_config, oidc.on),
     .table = &OIDC},
    {.key = "machines", .kind = BIND_STRUCT, .at = AT(auth_config, machines), .table = &MACHINES},
    {.key = "audit", .kind = BIND_STRUCT, .at = AT(auth_config, audit), .table = &AUDIT},
    {0}};
static const bind_table TABLE = {FIELDS, sizeof(auth_config), defaults, NULL, NULL};

static sx_status read_secret(auth_config *c, sx_error *err)
{
    auth_oidc *o = &c->oidc;
    sx_buf text;
    if (!o->on || (!o->client_secret.text.len && !o->client_secret.file.len))
        return SX_OK;
    sx_buf_init(&text, 64 << 10);
    sx_status status = prom_secret_read(&o->client_secret, &text, err);
    if (status == SX_OK) {
        o->secret = sx_arena_copy(&c->arena, sx_buf_view(&text));
        status = o->secret.data ? SX_OK : sx_fail_memory(err, "the settings of sign-in");
    } else {
        sx_error_prefix(err, status, "oidc: client_secret_file");
    }
    OPENSSL_cleanse(text.data, text.len);
    sx_buf_done(&text);
    return status;
}

static void settle(auth_config *c)
{
    static const auth_role FIXED[AUTH_CLASSES] = {
        [AUTH_CLASS_OPEN] = AUTH_NONE,   [AUTH_CLASS_SELF] = AUTH_NONE,
        [AUTH_CLASS_ADMIN] = AUTH_ADMIN, [AUTH_CLASS_UNKNOWN] = AUTH_ADMIN,
        [AUTH_CLASS_STAR] = AUTH_VIEWER,
    };
    memcpy(c->need, FIXED, sizeof FIXED);
    c->need[AUTH_CLASS_READ] = (auth_role)c->machines.query;
    c->need[AUTH_CLASS_INTAKE] = (auth_role)c->machines.intake;
    c->need[AUTH_CLASS_METRICS] = (auth_role)c->machines.metrics;
    c->need[AUTH_CLASS_EDIT] = (auth_role)c->machines.edit;
    sx_error none = {0};
    if (c->trusted.on) /* each was tried, and there is room for all */
        (void)sx_exempt_parse((sx_texts){c->trusted.from, c->trusted.from_count}, &c->nets, &none);
}

static sx_status bind_all(sx_str text, sx_str path, auth_config *c, sx_arena *arena,
                          sx_buf *problems, sx_error *err)
{
    sx_yaml_file tree = {0};
    sx_str folder = sx_str_first(path, 0);
    for (size_t i = 0; i < path.len; i++)
        if (path.data[i] == '/')
            folder = sx_str_first(path, i ? i : 1);
    sx_status status = sx_yaml_parse(text, path, NULL, arena, &tree, err);
    if (status != SX_OK)
        return status;
    bind b = {.arena = arena, .folder = folder, .problems = problems};
    status = bind_read(&b, &TABLE, tree.count ? tree.documents[0] : NULL, c);
    if (status == SX_ENOMEM || b.no_memory)
        return sx_fail_memory(err, "the settings of sign-in");
    if (b.faults) {
        if (err)
            *err = b.first;
        return b.first.status;
    }
    return status;
}

sx_status auth_config_parse(sx_str text, sx_str path, auth_config **out, sx_buf *problems,
                            sx_error *err)
{
    sx_arena arena; /* the binding zeroes the whole structure, the arena among it */
    auth_config *c = sx_calloc(1, sizeof *c);
    if (!c)
        return sx_fail_memory(err, "the settings of sign-in");
    sx_arena_init(&arena, 0, 0);
    sx_str name = sx_arena_copy(&arena, path);
    sx_status status = name.data ? bind_all(text, name, c, &arena, problems, err)
                                 : sx_fail_memory(err, "the settings of sign-in");
    c->arena = arena;
    if (status == SX_OK)
        status = read_secret(c, err);
    if (status != SX_OK) {
        auth_config_free(c);
        return status;
    }
    settle(c);
    *out = c;
    return SX_OK;
}

sx_status auth_config_load(sx_str path, auth_config **out, sx_buf *problems, sx_error *err)
{
    char z[4096];
    sx_buf text;
    if (path.len >= sizeof z)
        return sx_fail(err, SX_ELIMIT, "--auth.config: the path is too long");
    memcpy(z, path.data, path.len);
    z[path.len] = '\0';
    sx_buf_init(&text, AUTH_CONFIG_BYTES_MAX);
    sx_status status = sx_file_read(z, AUTH_CONFIG_BYTES_MAX, &text, err);
    if (status != SX_OK)
        sx_error_prefix(err, status, "--auth.config");
    else
        status = auth_config_parse(sx_buf_view(&text), path, out, problems, err);
    sx_buf_done(&text);
    return status;
}

void auth_config_free(auth_config *c)
{
    if (!c)
        return;
    if (c->oidc.secret.len)
        OPENSSL_cleanse((char *)(uintptr_t)c->oidc.secret.data, c->oidc.secret.len);
    sx_arena_done(&c->arena);
    sx_free(c);
}

auth_role auth_config_role(const tsdb_label *map, uint32_t count, sx_str value, auth_role otherwise)
{
    auth_role role = otherwise;
    for (uint32_t i = 0; i < count; i++)
        if (sx_str_eq(map[i].name, value))
            return auth_role_parse(map[i].value, &role) ? role : AUTH_NONE;
    return otherwise;
}

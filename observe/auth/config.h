/* config.h - the file of --auth.config: who may sign in, and which role each kind of request takes.
 *
 * Read once and again at each reload; a fault names the line and the key. Secrets may stand in files of
 * their own, which are read with it. docs/howto/sign-in.md shows the file. */
#ifndef OBSERVE_AUTH_CONFIG_H
#define OBSERVE_AUTH_CONFIG_H

#include "observe/auth/auth.h"
#include "observe/auth/class.h"
#include "observe/config/config.h"
#include "service/exempt.h"

/* Whether the provider's userinfo endpoint is asked: if the identity token lacks a claim that is needed. */
typedef enum auth_userinfo {
    AUTH_USERINFO_AUTO,
    AUTH_USERINFO_ALWAYS,
    AUTH_USERINFO_NEVER
} auth_userinfo;

typedef enum auth_secure { AUTH_SECURE_AUTO, AUTH_SECURE_ALWAYS, AUTH_SECURE_NEVER } auth_secure;

typedef struct auth_trusted {
    bool on;
    sx_str header; /* whose value is the login */
    const sx_str *from;
    uint32_t from_count;
    sx_str name_header, role_header, sign_out_url;
    const tsdb_label *roles; /* of the role header's values */
    uint32_t role_count;
    int default_role; /* AUTH_NONE: whoever has no role is not let in */
} auth_trusted;

typedef struct auth_oidc {
    bool on;
    sx_str name; /* on the button */
    sx_str issuer, client_id;
    prom_secret client_secret;
    sx_str secret; /* as it was read; empty: a public client */
    const sx_str *scopes;
    uint32_t scope_count;
    sx_str login_claim, name_claim, role_claim, groups_claim; /* dots lead into objects */
    const tsdb_label *roles;
    uint32_t role_count;
    const sx_str *domains, *groups; /* one of each list is needed where it is not empty */
    uint32_t domain_count, group_count;
    const sx_str *audiences; /* of tokens that are for us, besides client_id */
    uint32_t audience_count;
    int default_role;   /* AUTH_NONE: whoever has no role is not let in */
    int userinfo;       /* auth_userinfo */
    int64_t skew_ms;    /* of clocks, theirs and ours */
    int64_t recheck_ms; /* so often the provider is asked whether a session still holds; 0: never */
    bool end_session;   /* signing out here signs out there */
    sx_str ca_file;     /* empty: the system's */
} auth_oidc;

typedef struct auth_users {
    sx_str database; /* empty: in the storage */
} auth_users;

typedef struct auth_sessions {
    int64_t lifetime_ms, idle_ms;
    int cookie_secure; /* auth_secure */
} auth_sessions;

/* The least role of each kind of request; AUTH_NONE: open to everybody. */
typedef struct auth_machines {
    int query, intake, metrics, edit;
} auth_machines;

typedef struct auth_audit_rules {
    uint32_t entries_max;
} auth_audit_rules;

typedef struct auth_config {
    struct auth_config *next; /* those before it, which requests may still read */
    sx_arena arena;
    auth_users users;
    auth_sessions session;
    int anonymous;
    auth_trusted trusted;
    sx_exempt nets; /* of trusted.from */
    auth_oidc oidc;
    auth_machines machines;
    auth_audit_rules audit;
    auth_role need[AUTH_CLASSES];
} auth_config;

enum { AUTH_CONFIG_BYTES_MAX = 1 << 20 };

/* Reads the file at `path`; `problems` (may be NULL) gets a line for each fault. Errors: SX_ENOTFOUND,
 * SX_EACCESS, SX_EFORMAT, SX_ENOMEM. */
sx_status auth_config_load(sx_str path, auth_config **out, sx_buf *problems, sx_error *err);
/* The same of a text; relative paths begin beside `path`. */
sx_status auth_config_parse(sx_str text, sx_str path, auth_config **out, sx_buf *problems,
                            sx_error *err);
/* Frees it alone. NULL is allowed. */
void auth_config_free(auth_config *c);

/* The role that a map has for `value`; `otherwise` if it has none. */
auth_role auth_config_role(const tsdb_label *map, uint32_t count, sx_str value,
                           auth_role otherwise);

#endif

/* store.h - users, sessions, tokens and the audit log: kept in SQLite, looked up in memory.
 *
 * Everything that a request is judged by has a copy in memory, so that judging it takes a lock for
 * reading and a lookup, never the disk. Changes go to SQLite first and then to the copy, one at a time
 * (`writing`). What is only noted (last use, audit) is queued, and written by a thread of the store's
 * own every few seconds; that thread also sees whether another process (`sextant observe users`) has
 * changed the file, and then reads it again. Sessions and tokens are stored as SHA-256 of what their
 * owner holds. */
#ifndef OBSERVE_AUTH_STORE_H
#define OBSERVE_AUTH_STORE_H

#include <sextant/arena.h>
#include <sextant/clock.h>
#include <sextant/kit.h>

#include "observe/auth/auth.h"

enum {
    AUTH_SECRET_BYTES = 44, /* 43 letters of base64url for 256 bits, and a NUL */
    AUTH_TOKEN_BYTES = 48,  /* "sxt_" before it */
    AUTH_ID_BYTES = 17,     /* a session's name for people: 16 hexadecimal digits, and a NUL */
    AUTH_HASH_BYTES = 32,   /* SHA-256 of a session's cookie */
    AUTH_LOGIN_MAX = 128,
    AUTH_USERS_MAX = 10000,
    AUTH_SESSIONS_MAX = 20000,
    AUTH_SESSIONS_EACH_MAX = 64, /* of one user: beyond it the least recently used ends */
    AUTH_TOKENS_MAX = 5000,
};

typedef struct auth_store auth_store;

typedef struct auth_store_options {
    const char *path; /* its folder is made */
    const sx_kit *kit;
    const sx_clock *clock; /* NULL: the system's */
    uint32_t audit_max;    /* entries; 0: 100000 */
    bool aside;            /* a server may use the file at the same time: it is told of changes */
    uint32_t tick_ms;      /* of the thread; 0: 2000 */
} auth_store_options;

/* Errors: those of sx_sqlite_open. */
sx_status auth_store_open(const auth_store_options *options, auth_store **out, sx_error *err);
/* Writes what is queued. NULL is allowed. */
void auth_store_close(auth_store *s);
/* Writes what is queued now, and reads what others have changed. */
sx_status auth_store_flush(auth_store *s, sx_error *err);
/* Reads what others have changed, if they have: one query of the file. Errors: SQLite's. Not on a loop. */
sx_status auth_store_refresh(auth_store *s, sx_error *err);
/* How many entries of the audit log are kept from now on. Any thread. */
void auth_store_audit_max(auth_store *s, uint32_t entries);

/* ---- users ---- */

typedef struct auth_user {
    sx_str login, name;
    sx_str password; /* argon2's text; empty: signs in elsewhere */
    sx_str source;   /* "local", "oidc" */
    sx_str subject;  /* of oidc: issuer and sub */
    auth_role role;
    bool disabled;
    int64_t created_ms, seen_ms;
} auth_user;

enum { AUTH_SET_NAME = 1, AUTH_SET_PASSWORD = 2, AUTH_SET_ROLE = 4, AUTH_SET_DISABLED = 8 };

/* The login as it is kept: ASCII letters small. False if it may not be one: empty, too long, with
 * spaces, control characters or a colon, which ends it in basic authentication. */
bool auth_login_clean(sx_str text, char out[AUTH_LOGIN_MAX], sx_str *login);

/* From the file, as it is now. Errors: SX_ENOTFOUND, SQLite's. Not on a loop. */
sx_status auth_store_user(auth_store *s, sx_str login, sx_arena *arena, auth_user *out,
                          sx_error *err);
sx_status auth_store_users(auth_store *s, sx_arena *arena, auth_user **out, size_t *count,
                           sx_error *err);
/* Errors: SX_EEXIST, SX_ELIMIT, SQLite's. */
sx_status auth_store_user_add(auth_store *s, const auth_user *user, sx_error *err);
/* Changes what `fields` (AUTH_SET_...) says of the user of that login. A new password and `disabled` end the user's sessions, but
 * the one of `keep` (a cookie, may be empty). Errors: SX_ENOTFOUND. */
sx_status auth_store_user_set(auth_store *s, const auth_user *user, unsigned fields, sx_str keep,
                              sx_error *err);
/* With sessions and tokens. Errors: SX_ENOTFOUND. */
sx_status auth_store_user_remove(auth_store *s, sx_str login, sx_error *err);
size_t auth_store_user_count(auth_store *s);
/* Users who are admins and may sign in. */
size_t auth_store_admin_count(auth_store *s);
/* From memory: whether there is a user of that login with a password, and its hash into `arena`. */
bool auth_store_password(auth_store *s, sx_str login, sx_arena *arena, sx_str *hash, auth_who *who);

/* ---- sessions ---- */

typedef struct auth_session {
    char id[AUTH_ID_BYTES];
    sx_str login, address, agent;
    int64_t created_ms, seen_ms, expires_ms;
    bool own; /* the one that asks */
} auth_session;

/* What a provider of OpenID Connect gave with a session: to end it there, and to ask again whether it
 * holds. */
typedef struct auth_grant {
    uint8_t session[AUTH_HASH_BYTES];
    sx_str login, subject; /* of the user whose session it is */
    sx_str id_token;       /* empty: none */
    sx_str refresh;        /* token, sealed by who gives it; empty: none */
} auth_grant;

typedef struct auth_session_start {
    sx_str login, address, agent; /* of a browser */
    int64_t lifetime_ms;
    const auth_grant *grant; /* NULL: none. only its tokens are read */
} auth_session_start;

/* `cookie` gets what the browser is to hold. Errors: SX_ENOMEM, SX_EIO, SQLite's. */
sx_status auth_store_session_new(auth_store *s, const auth_session_start *start,
                                 char cookie[AUTH_SECRET_BYTES], sx_error *err);
/* Whose session it is; texts in `arena`. False if it has ended, was not used for idle_ms, or its user may
 * not sign in. HOT: no disk. */
bool auth_store_session_find(auth_store *s, sx_str cookie, int64_t idle_ms, sx_arena *arena,
                             auth_who *out);
sx_status auth_store_session_end(auth_store *s, sx_str cookie, sx_error *err);
/* By name, of one user (or of anybody: `login` empty). Errors: SX_ENOTFOUND. */
sx_status auth_store_session_end_id(auth_store *s, sx_str login, sx_str id, sx_error *err);
sx_status auth_store_sessions(auth_store *s, sx_str login, sx_str cookie, sx_arena *arena,
                              auth_session **out, size_t *count, sx_error *err);
/* Ends those that are too old, and those that nobody used for idle_ms: a few at a time. */
sx_status auth_store_sweep(auth_store *s, int64_t idle_ms, sx_error *err);

/* The grant of a session; texts in `arena`. Errors: SX_ENOTFOUND, SQLite's. Not on a loop. */
sx_status auth_store_grant(auth_store *s, sx_str cookie, sx_arena *arena, auth_grant *out,
                           sx_error *err);
/* Grants with a refresh token that were not renewed since `since_ms`, but whose session was used since
 * they were: at most `most` into `out`. Not on a loop. */
sx_status auth_store_grants_due(auth_store *s, int64_t since_ms, sx_arena *arena, auth_grant *out,
                                size_t most, size_t *count, sx_error *err);
/* Takes what the provider gave now; empty texts leave those that are there. */
sx_status auth_store_grant_renew(auth_store *s, const auth_grant *grant, sx_error *err);
/* Ends the grant's session. */
sx_status auth_store_grant_end(auth_store *s, const auth_grant *grant, sx_error *err);

/* ---- tokens ---- */

typedef struct auth_token {
    int64_t id;
    sx_str name, login; /* of the token; whose it is */
    auth_role role;
    int64_t created_ms, expires_ms, used_ms; /* 0: never */
} auth_token;

/* `token` gets what is shown once. */
sx_status auth_store_token_new(auth_store *s, auth_token *made, char token[AUTH_TOKEN_BYTES],
                               sx_error *err);
/* HOT: no disk. The role is no more than its owner's. */
bool auth_store_token_find(auth_store *s, sx_str token, sx_arena *arena, auth_who *out);
/* Of one owner, or (`login` empty) of anybody. Errors: SX_ENOTFOUND. */
sx_status auth_store_token_end(auth_store *s, sx_str login, int64_t id, sx_error *err);
sx_status auth_store_tokens(auth_store *s, sx_str login, sx_arena *arena, auth_token **out,
                            size_t *count, sx_error *err);

/* ---- audit ---- */

typedef struct auth_entry {
    int64_t id, at_ms;
    sx_str login, address, action, what;
    bool ok;
} auth_entry;

/* Any thread, without waiting; beyond 4096 in the queue entries are dropped and counted. */
void auth_store_note(auth_store *s, const auth_entry *entry);
/* The newest first, those before `before` (0: all), of one login or action where they are not empty. */
sx_status auth_store_entries(auth_store *s, int64_t before, uint32_t limit, sx_str login,
                             sx_str action, sx_arena *arena, auth_entry **out, size_t *count,
                             sx_error *err);

#endif

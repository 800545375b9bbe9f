/* auth_impl.h - what the files of auth.h share. */
#ifndef OBSERVE_AUTH_AUTH_IMPL_H
#define OBSERVE_AUTH_AUTH_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include <sextant/json.h>
#include <sextant/limiter.h>

#include "observe/auth/auth.h"
#include "observe/auth/config.h"
#include "observe/auth/oidc.h"
#include "observe/auth/store.h"

enum {
    AUTH_KEY_BYTES = 32,
    AUTH_KNOWN_SETS = 64,
    AUTH_KNOWN_WAYS = 4,
    AUTH_PATH_MAX = 4096,
};

/* How it was found out who asks: what a browser sends by itself needs the look at its origin. */
typedef enum auth_way {
    AUTH_WAY_NOBODY,
    AUTH_WAY_SESSION,
    AUTH_WAY_HEADER,
    AUTH_WAY_TOKEN,
    AUTH_WAY_PASSWORD,
    AUTH_WAY_WEB /* the web configuration's users and tokens */
} auth_way;

/* A request's sx_request_identity(); `who` comes first, for auth_of(). */
typedef struct auth_identity {
    auth_who who;
    auth_way way;
    auth *auth;
} auth_identity;

struct auth {
    auth_config *config; /* atomic: the newest; older ones behind it */
    auth_store *store;
    sx_service *service;
    const sx_clock *clock;
    sx_logger *log;
    sx_str external_url, prefix, config_file; /* the server's */
    char database[AUTH_PATH_MAX];
    pthread_mutex_t reload_lock;

    sx_pool *passwords; /* threads that hash: their number bounds the memory that it takes */
    sx_pool *work;      /* what waits for SQLite */
    sx_limiter *by_address, *by_login;
    sx_counter *outcomes[2]; /* signed in, refused */
    oidc *oidc;

    /* Basic passwords found right, by a keyed digest; see admit.c. */
    uint8_t key[AUTH_KEY_BYTES];
    pthread_mutex_t known_lock;
    struct {
        uint8_t digest[32];
        bool used;
    } known[AUTH_KNOWN_SETS][AUTH_KNOWN_WAYS];
    unsigned known_turn;
};

static inline const auth_config *auth_config_of(const auth *a)
{
    return __atomic_load_n(&a->config, __ATOMIC_ACQUIRE);
}

static inline const auth_identity *auth_identity_of(const sx_request *r)
{
    return sx_request_identity(r);
}

/* ---- admit.c ---- */

/* The cookie's value; empty if there is none. */
sx_str auth_cookie(const sx_request *r, sx_str name);
/* Whether a browser says that another site's page asks. *told: whether it says anything. */
bool auth_is_foreign(const auth *a, const sx_request *r, bool *told);

/* ---- calls.c: requests whose work waits for the disk or a hash ---- */

typedef struct auth_call auth_call;
typedef void auth_work(auth_call *c);

struct auth_call {
    auth *a;
    const auth_config *config;
    sx_request *r; /* the loop's, but for what stands still */
    sx_loop *loop;
    auth_work *work;
    sx_arena arena;
    auth_who who;
    auth_way way;
    sx_str cookie; /* of the session that asks */
    sx_str id;     /* of the path */
    bool secure;   /* the cookie may travel by TLS alone */
    int status;
    sx_buf out; /* JSON */
    sx_json_writer w;
    sx_str set_cookie, clear_cookie, location;
    void *state; /* of who made the call, and told on the loop when it is over; NULL: nobody */
    void (*ended)(void *state);
};

/* Begins; the answer is JSON. NULL: answered with an error. */
auth_call *auth_call_new(auth *a, sx_request *r, auth_work *work);
void auth_call_submit(auth_call *c, sx_pool *pool);
/* From `work`, instead of an answer: {"status":"error","error":…,"message":…}. */
void auth_call_fail(auth_call *c, int status, const char *fmt, ...) SX_PRINTF(3, 4);
void auth_call_fail_store(auth_call *c, const sx_error *err);
/* The same at once. */
void auth_refuse(sx_request *r, int status, const char *type, sx_str message);
/* Begins the answer's object; the writer is c->w. */
void auth_call_begin(auth_call *c);
void auth_call_end(auth_call *c);
/* {"message": …}. */
void auth_call_done(auth_call *c, const char *message);

/* Members of the body's JSON object. */
typedef struct auth_field {
    const char *name;
    enum { AUTH_TEXT, AUTH_TRUTH, AUTH_NUMBER } kind;
    void *to; /* sx_str, bool, int64_t */
    bool given;
} auth_field;
/* False: the call has failed (400), and says why. */
bool auth_call_body(auth_call *c, auth_field *fields, size_t count);

/* Makes a session and its cookie, ends the one before, notes it. */
sx_status auth_sign_in(auth_call *c, sx_str login, const char *how, sx_error *err);
/* A Set-Cookie of ours; an empty value takes it away. */
sx_str auth_make_cookie(const auth_call *c, sx_arena *arena, const char *name, const char *below,
                        sx_str value, int64_t age_ms);
/* Notes on behalf of a login that is not (yet) the request's. Any thread. */
void auth_note(auth *a, const sx_request *r, sx_str login, const char *action, sx_str what,
               bool ok);
/* "/x" within this site; the root if `to` leads elsewhere. In the arena. */
sx_str auth_safe_return(const auth *a, sx_arena *arena, sx_str to);

#define AUTH_COOKIE "sextant_session"

/* ---- manage.c, login.c ---- */

sx_handler auth_post_login, auth_post_logout, auth_put_password, auth_get_sessions,
    auth_end_session, auth_get_tokens, auth_make_token, auth_end_token, auth_answer_user;
sx_handler auth_admin_users, auth_admin_add_user, auth_admin_set_user, auth_admin_remove_user,
    auth_admin_tokens, auth_admin_end_token, auth_admin_audit, auth_admin_sessions,
    auth_admin_end_session;
sx_handler auth_oidc_begin, auth_oidc_back;

#endif

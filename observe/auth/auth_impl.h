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
    AUTH_LINE_MS_MAX = 5000, /* longer in the line for a hash, and one is sent away instead */
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
    sx_limiter *by_address, *by_login; /* tries of passwords */
    sx_limiter *told;                  /* floods, which are put on record once a while an address */
    sx_counter *outcomes[2];           /* signed in, refused */
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

/* ---- calls.c: requests whose work waits for the disk or a hash ---- */

/* Runs in a thread. Leaves an answer by the calls below; what it returns instead of SX_OK is answered by
 * its status (404, 409, 400, 500) with err's message. */
typedef sx_status auth_work(auth_call *c, sx_error *err);

/* One such request. The handler makes it on the loop and hands it to a pool's thread, which alone uses it
 * from then on; the answer goes out on the loop, and then it is freed. */
struct auth_call {
    auth *a;
    const auth_config *config; /* as it was when it began */
    sx_request *r;             /* held; a thread reads only what stands still: head, body, peer */
    sx_loop *loop;
    auth_work *work;
    sx_arena arena;
    auth_who who;
    auth_way way;
    sx_str whose;  /* login whose things it is about; empty: everybody's */
    sx_str cookie; /* of the session that asks; may be empty */
    sx_str id;     /* of the path; may be empty */
    void *form;    /* of who made the call */
    int64_t began_ms;
    int status;
    uint32_t retry_after_s; /* 0: is not said */
    sx_buf out;             /* JSON */
    sx_json_writer w;
    sx_str set_cookie, clear_cookie; /* whole values of Set-Cookie; empty: none */
    sx_str location;                 /* not empty: the answer leads there instead */
    void (*ended)(void *form);       /* told on the loop when the answer is out; NULL: nobody */
};

/* The handler of all routes that have `work`. */
sx_handler auth_run;
/* The auth of a handler's context. NULL: there is none, which has been answered. */
auth *auth_of_ctx(sx_request *r, void *ctx);
/* Begins. NULL: there is no memory, which has been answered. */
auth_call *auth_call_new(auth *a, sx_request *r, auth_work *work);
/* To a thread of `pool`. On the loop; the call is not the caller's any more. */
void auth_call_submit(auth_call *c, sx_pool *pool);
/* Answers and frees. On the loop. */
void auth_call_finish(auth_call *c);

/* Leave an answer; SX_OK. {"status":"error","errorType":...,"error":...,"message":...}. */
sx_status auth_call_fail(auth_call *c, int status, const char *fmt, ...) SX_PRINTF(3, 4);
/* {"message": ...}. */
sx_status auth_call_done(auth_call *c, const char *message);
/* The same, and puts `action` on `what` on record, which the call's login did. */
sx_status auth_call_did(auth_call *c, const char *action, sx_str what, const char *message);
/* An answer of one's own is written to c->w between the two. */
void auth_call_begin(auth_call *c);
sx_status auth_call_end(auth_call *c);
/* A list of `count` objects, `size` bytes apart, whose members `put` writes. */
typedef void auth_put(sx_json_writer *w, const void *item);
void auth_call_list(auth_call *c, const void *items, size_t count, size_t size, auth_put *put);
/* Whether `l` allows another try of `key`; if not, 429 with Retry-After is left as the answer. */
bool auth_call_allowed(auth_call *c, sx_limiter *l, sx_str key);

/* Whether what began to wait for a hash at `began_ms` has waited too long: a line that is not worked off as
 * fast as it grows must not make everybody wait. */
bool auth_is_late(const auth *a, int64_t began_ms);
#define AUTH_LATE "too many passwords wait to be checked; try again later"

/* An error at once, on the loop, without a call. */
void auth_refuse(sx_request *r, int status, const char *type, sx_str message);
/* The same with Retry-After. */
void auth_refuse_for(sx_request *r, int status, uint32_t seconds, sx_str message);
/* Whether the request's address may try another password. If not it has been answered with 429. */
bool auth_address_allowed(auth *a, sx_request *r);

/* Members of the body's JSON object. */
typedef struct auth_field {
    const char *name;
    enum { AUTH_TEXT, AUTH_TRUTH, AUTH_NUMBER } kind;
    void *to; /* sx_str, bool, int64_t */
    bool given;
} auth_field;
/* Texts lie in the body or the call's arena. False: an error (400, 415) is left as the answer. */
bool auth_call_body(auth_call *c, auth_field *fields, size_t count);

/* Makes a session and its cookie, ends the one before, puts it on record. `grant` (may be NULL) is what a
 * provider gave with it. In a thread. Errors: the store's. */
sx_status auth_sign_in(auth_call *c, sx_str login, const char *how, int64_t lifetime_ms,
                       const auth_grant *grant, sx_error *err);
/* A Set-Cookie of ours below our prefix and `below`; an empty value takes it away. Empty: no memory. */
sx_str auth_make_cookie(const auth *a, const auth_config *config, const sx_request *r,
                        sx_arena *arena, const char *name, const char *below, sx_str value,
                        int64_t age_ms);
/* Puts on record on behalf of a login that is not (yet) the request's; `r` may be NULL: nobody asked. Any
 * thread. */
void auth_note(auth *a, const sx_request *r, sx_str login, const char *action, sx_str what,
               bool ok);
/* `to` if it is "/x" within this site, the root otherwise. In the arena. */
sx_str auth_safe_return(const auth *a, sx_arena *arena, sx_str to);

#define AUTH_COOKIE "sextant_session"

/* ---- login.c, holdings.c, manage.c ---- */

sx_handler auth_post_login, auth_post_logout, auth_answer_user;
auth_work auth_set_password;
/* Of c->whose. */
auth_work auth_list_sessions, auth_end_session, auth_list_tokens, auth_make_token, auth_end_token;
auth_work auth_list_users, auth_add_user, auth_set_user, auth_remove_user, auth_list_audit;

#endif

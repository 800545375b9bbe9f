/* oidc_impl.h - what the files of oidc.h share: a flow, one walk through the provider's endpoints.
 *
 * A flow belongs to one loop. Its steps are asynchronous: each calls the next, or the flow's `fail`, and
 * nobody touches the flow afterwards. */
#ifndef OBSERVE_AUTH_OIDC_IMPL_H
#define OBSERVE_AUTH_OIDC_IMPL_H

#include "observe/auth/auth_impl.h"
#include "observe/auth/claims.h"
#include "observe/auth/jwt.h"
#include "observe/auth/seal.h"

enum { OIDC_LOOPS_MAX = 1024 };

/* What one loop knows of the provider. */
typedef struct oidc_place {
    const auth_config *config; /* whose; another one, and all is fetched anew */
    sx_http_client *client;
    sx_tls *tls;
    sx_arena arena; /* of the addresses */
    sx_str authorize, token, keys_url;
    sx_str userinfo, end_session; /* empty: it has none */
    bool secret_in_body;
    int64_t fetched_ms, keys_ms; /* the loop's clock; 0: never */
    jwt_keys *keys;
} oidc_place;

struct oidc {
    auth *a;
    uint8_t key[SEAL_KEY_BYTES];        /* of the cookies: another one in each process */
    oidc_place *places[OIDC_LOOPS_MAX]; /* each its loop's own */
    struct oidc_recheck *recheck;       /* the first loop's */
};

typedef struct oidc_flow oidc_flow;
typedef void oidc_step(oidc_flow *f);

/* Where a flow can go wrong, as /login?error= has it. */
typedef enum oidc_fault {
    OIDC_PROVIDER, /* it does not answer, or nonsense */
    OIDC_REFUSED,  /* it does not take the code or the refresh token */
    OIDC_DENIED,   /* it did not let the person in */
    OIDC_STATE,    /* not begun in this browser, or too long ago */
    OIDC_ACCOUNT   /* the person may not come in here */
} oidc_fault;

struct oidc_flow {
    auth *a;
    oidc_place *at;
    const auth_config *config;
    sx_loop *loop;
    sx_request *r; /* held; NULL: a re-check, for which nobody waits */
    sx_arena arena;
    void (*fail)(oidc_flow *f, oidc_fault fault, const char *why);
    oidc_step *next; /* after the endpoint that is asked */

    sx_buf answer; /* of the call under way */
    int status;
    oidc_step *answered;

    bool keys_again;                   /* they were fetched for this flow */
    sx_str state, nonce, verifier, to; /* of the cookie, or new */
    sx_str id_token, access_token, refresh_token;
    claims claims;
    sx_str subject; /* "issuer sub": whose session it is, where it is known. Empty: not */
    auth_user user;
    auth_grant grant;
    void *ctx; /* of who made it */
};

/* A flow on `loop`; `r` (may be NULL) is held for it. NULL: there is no memory or no client; err says. */
oidc_flow *oidc_flow_new(auth *a, const auth_config *config, sx_loop *loop, sx_request *r,
                         sx_error *err);
void oidc_flow_free(oidc_flow *f);

/* Discovery, unless it was within the hour; then `next`. */
void oidc_discover(oidc_flow *f, oidc_step *next);
/* Sends `form`, borrowed, to the token endpoint with our credentials; then `next`, with the tokens that it
 * gave. At least one of id_token and access_token is there. */
void oidc_ask_token(oidc_flow *f, sx_buf *form, oidc_step *next);
/* Verifies the identity token, if there is one, and asks for userinfo if that is needed; then `next`, with
 * the claims. */
void oidc_ask_claims(oidc_flow *f, oidc_step *next);

/* Appends `name=value` of a form or a query. */
void oidc_put(sx_buf *out, const char *name, sx_str value);
/* A loop's client and what it knows. */
void oidc_place_free(oidc_place *p);

/* The key that refresh tokens are sealed with, made of the client's secret, so that the database alone is
 * no use to a thief. False: there is no secret, and they are not kept. */
bool oidc_token_key(const auth_config *config, uint8_t key[SEAL_KEY_BYTES]);
/* Who the claims say it is, for the store. False: the flow has failed. */
bool oidc_take_user(oidc_flow *f);
/* Fills f->grant with what is to be kept of the tokens. */
void oidc_take_grant(oidc_flow *f);

/* ---- oidc_recheck.c ---- */

sx_status oidc_recheck_new(oidc *o, sx_error *err);
void oidc_recheck_begin(oidc *o, sx_loop *loop);
/* Nothing begins any more. The loop is there still, but does not run. */
void oidc_recheck_end(oidc *o);
/* What is under way has ended. */
void oidc_recheck_free(oidc *o);

#endif

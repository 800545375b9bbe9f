/* oidc_recheck.c - sessions that a provider gave, asked about again while they are used.
 *
 * A timer of the first loop, every few seconds: a thread looks up the grants that are due (store.h), each
 * becomes a flow with its refresh token, one after the other, and what comes of it is written by a thread:
 *
 *     the provider gives new tokens, and the person may still come in -> roles as they are now
 *     it refuses the token, or the person may not                     -> the session ends
 *     it does not answer                                              -> asked again later
 *
 * Source: RFC 6749, section 6; OpenID Connect Core 1.0, section 12. */
#include <openssl/crypto.h>

#include <sextant/mem.h>

#include "observe/auth/oidc_impl.h"

enum { TICK_MS = 5000, BATCH = 32, LATER_MS = 60 * 1000 };

typedef struct oidc_recheck {
    auth *a;
    const auth_config *config; /* of this round */
    sx_loop *loop;
    sx_timer timer;
    int64_t pause_ms; /* until the next round */
    bool over;        /* the loop ends: nothing begins any more */
    sx_arena arena;   /* of this round */
    auth_grant due[BATCH];
    size_t count, at;

    /* One flow at a time; what a thread is to write of it. */
    oidc_flow *flow;
    const char *ends; /* why the session ends; NULL: it goes on */
} recheck;

static void take_next(recheck *k);
static void rest(recheck *k);

/* ---- one ---- */

static void write_outcome(void *arg)
{
    recheck *k = arg;
    oidc_flow *f = k->flow;
    sx_error err = {0};
    auth_store *store = k->a->store;
    sx_status status;
    if (k->ends) {
        auth_note(k->a, NULL, f->grant.login, "session.end", sx_str_z(k->ends), false);
        status = auth_store_grant_end(store, &f->grant, &err);
    } else {
        status = auth_store_grant_renew(store, &f->grant, &err);
        if (status == SX_OK && f->config->oidc.role_claim.len && f->user.login.len)
            status = auth_store_user_set(store, &f->user, AUTH_SET_ROLE, SX_STR(""), &err);
    }
    if (status != SX_OK)
        SX_LOG_WARN(k->a->log, NULL, "a session that was checked again",
                    sx_field_str("login", f->grant.login), sx_field_z("error", err.message));
}

static void wrote_outcome(sx_loop *loop, void *arg)
{
    (void)loop;
    recheck *k = arg;
    oidc_flow_free(k->flow);
    k->flow = NULL;
    take_next(k);
}

static void settle(recheck *k, const char *ends)
{
    k->ends = ends;
    if (sx_pool_submit(k->a->work, k->loop, write_outcome, wrote_outcome, k, NULL) != SX_OK)
        wrote_outcome(k->loop, k); /* it is due still, and asked about at the next tick */
}

static void fail_recheck(oidc_flow *f, oidc_fault fault, const char *why)
{
    recheck *k = f->ctx;
    if (fault == OIDC_REFUSED || fault == OIDC_ACCOUNT) {
        sx_str text = sx_arena_printf(&k->arena, "the provider: %s", why);
        settle(k, text.data ? text.data : "the provider says no");
        return;
    }
    SX_LOG_WARN(k->a->log, NULL, "a session could not be checked again",
                sx_field_str("login", f->grant.login), sx_field_z("why", why));
    oidc_flow_free(f);
    k->flow = NULL;
    k->pause_ms = LATER_MS; /* the provider is away: the others would wait for nothing, too */
    rest(k);
}

/* Whose session it is has been settled when it began: the claims must be of the same subject and login. */
static void took_claims(oidc_flow *f)
{
    if (!f->claims.token.len && !f->claims.userinfo.len) {
        settle(f->ctx, NULL); /* it gave new tokens, which is a yes; there are no roles to see */
        return;
    }
    if (!oidc_take_user(f))
        return;
    bool same =
        sx_str_eq(f->user.login, f->grant.login) && sx_str_eq(f->user.subject, f->grant.subject);
    if (same)
        settle(f->ctx, NULL);
    else
        f->fail(f, OIDC_ACCOUNT, "the tokens are of somebody else");
}

static void took_tokens(oidc_flow *f)
{
    oidc_take_grant(f);
    oidc_ask_claims(f, took_claims);
}

static void refresh(oidc_flow *f)
{
    uint8_t key[SEAL_KEY_BYTES];
    sx_str token;
    sx_buf form;
    bool ok = oidc_token_key(f->config, key) && seal_open(key, f->grant.refresh, &f->arena, &token);
    OPENSSL_cleanse(key, sizeof key);
    if (!ok) {
        f->fail(f, OIDC_REFUSED, "the refresh token was sealed with another client_secret");
        return;
    }
    sx_buf_init(&form, 0);
    oidc_put(&form, "grant_type", SX_STR("refresh_token"));
    oidc_put(&form, "refresh_token", token);
    oidc_ask_token(f, &form, took_tokens);
    sx_buf_done(&form);
}

/* ---- all that are due ---- */

static void rest(recheck *k)
{
    sx_arena_reset(&k->arena);
    if (!k->over)
        sx_timer_start(sx_loop_timers(k->loop), &k->timer, k->pause_ms);
    k->pause_ms = TICK_MS;
}

static void take_next(recheck *k)
{
    sx_error err = {0};
    oidc_flow *f =
        k->at < k->count && !k->over ? oidc_flow_new(k->a, k->config, k->loop, NULL, &err) : NULL;
    if (!f) {
        rest(k);
        return;
    }
    f->grant = k->due[k->at++];
    f->subject = f->grant.subject;
    f->ctx = k;
    f->fail = fail_recheck;
    k->flow = f;
    oidc_discover(f, refresh);
}

/* In a thread. */
static void look_up(void *arg)
{
    recheck *k = arg;
    sx_error err = {0};
    int64_t since = sx_clock_ms(k->a->clock) - k->config->oidc.recheck_ms;
    k->at = 0;
    if (auth_store_grants_due(k->a->store, since, &k->arena, k->due, BATCH, &k->count, &err) !=
        SX_OK)
        SX_LOG_WARN(k->a->log, NULL, "sessions that are to be checked again",
                    sx_field_z("error", err.message));
}

static void looked_up(sx_loop *loop, void *arg)
{
    (void)loop;
    take_next(arg);
}

static void tick(sx_timer *timer, void *arg)
{
    (void)timer;
    recheck *k = arg;
    k->config = auth_config_of(k->a);
    k->count = k->at = 0;
    if (!k->config->oidc.on || !k->config->oidc.recheck_ms ||
        sx_pool_submit(k->a->work, k->loop, look_up, looked_up, k, NULL) != SX_OK)
        rest(k);
}

/* ---- life ---- */

sx_status oidc_recheck_new(oidc *o, sx_error *err)
{
    recheck *k = sx_calloc(1, sizeof *k);
    if (!k)
        return sx_fail_memory(err, "the provider");
    *k = (recheck){.a = o->a, .timer = {.fn = tick, .arg = k}, .pause_ms = TICK_MS};
    sx_arena_init(&k->arena, 0, 0);
    o->recheck = k;
    return SX_OK;
}

void oidc_recheck_begin(oidc *o, sx_loop *loop)
{
    o->recheck->loop = loop;
    rest(o->recheck);
}

void oidc_recheck_end(oidc *o)
{
    o->recheck->over = true;
    if (o->recheck->loop)
        sx_timer_stop(sx_loop_timers(o->recheck->loop), &o->recheck->timer);
}

void oidc_recheck_free(oidc *o)
{
    if (!o->recheck)
        return;
    sx_arena_done(&o->recheck->arena);
    sx_free(o->recheck);
}

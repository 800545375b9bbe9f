/* oidc.c - see oidc.h: a browser's way to the provider and back, and out. */
#include "observe/auth/oidc.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <sextant/mem.h>
#include <sextant/random.h>
#include <sextant/url.h>

#include "observe/auth/oidc_impl.h"
#include "observe/auth/store_impl.h"

#define STATE_COOKIE "sextant_oidc"
#define BELOW        "/login/oidc"

enum {
    BEGUN_S = 600, /* how long the provider's page may take */
    CODE_BYTES_MAX = 4096,
};

/* ---- ends ---- */

static sx_str cookie_field(oidc_flow *f, sx_str value)
{
    return auth_make_cookie(f->a, f->config, f->r, &f->arena, STATE_COOKIE, BELOW, value,
                            BEGUN_S * 1000);
}

/* Leads the browser to `to`, with a new cookie of the state. */
static void lead(oidc_flow *f, sx_str to, sx_str cookie)
{
    if (cookie.len)
        (void)sx_reply_header(f->r, SX_STR("set-cookie"), cookie);
    (void)sx_reply_header(f->r, SX_STR("cache-control"), SX_STR("no-store"));
    (void)sx_reply_header(f->r, SX_STR("location"), to);
    sx_reply(f->r, 302, SX_STR(""), SX_STR(""));
    oidc_flow_free(f);
}

static void count_refused(auth *a, const sx_request *r, sx_str login, const char *why)
{
    auth_note(a, r, login, "signin.failed", sx_str_z(why), false);
    sx_counter_add(a->outcomes[1], 1);
}

/* Back to the form, which has words for the fault; what really happened is for the log. */
static void fail_sign_in(oidc_flow *f, oidc_fault fault, const char *why)
{
    static const char *const WORDS[] = {[OIDC_PROVIDER] = "provider",
                                        [OIDC_REFUSED] = "provider",
                                        [OIDC_DENIED] = "denied",
                                        [OIDC_STATE] = "state",
                                        [OIDC_ACCOUNT] = "account"};
    count_refused(f->a, f->r, f->user.login, why);
    sx_str to =
        sx_arena_printf(&f->arena, "%.*s/login?error=%s", SX_ARG(f->a->prefix), WORDS[fault]);
    lead(f, to.data ? to : SX_STR("/"), cookie_field(f, SX_STR("")));
}

/* ---- the cookie ---- */

/* state~nonce~verifier~expiry~return address; but for the last they have no '~' in them. */
static sx_str seal_state(oidc_flow *f)
{
    sx_str sealed;
    int64_t until = sx_clock_ms(f->a->clock) / 1000 + BEGUN_S;
    sx_str text =
        sx_arena_printf(&f->arena, "%.*s~%.*s~%.*s~%lld~%.*s", SX_ARG(f->state), SX_ARG(f->nonce),
                        SX_ARG(f->verifier), (long long)until, SX_ARG(f->to));
    if (!text.data || seal_close(f->a->oidc->key, text, &f->arena, &sealed, NULL) != SX_OK)
        return SX_STR("");
    return sealed;
}

static bool unseal_state(oidc_flow *f)
{
    sx_str text, until;
    int64_t seconds;
    sx_str cookie = auth_cookie(f->r, SX_STR(STATE_COOKIE));
    return seal_open(f->a->oidc->key, cookie, &f->arena, &text) &&
           sx_str_cut(text, '~', &f->state, &text) && sx_str_cut(text, '~', &f->nonce, &text) &&
           sx_str_cut(text, '~', &f->verifier, &text) && sx_str_cut(text, '~', &until, &f->to) &&
           sx_str_to_i64(until, &seconds) && sx_clock_ms(f->a->clock) / 1000 < seconds &&
           f->state.len && f->nonce.len;
}

/* ---- there ---- */

static sx_str redirect_uri(oidc_flow *f)
{
    return sx_arena_printf(&f->arena, "%.*s%s/callback", SX_ARG(f->a->external_url), BELOW);
}

/* Of the verifier, so that only who began can end: RFC 7636, section 4.2. */
static sx_str challenge(oidc_flow *f)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)f->verifier.data, f->verifier.len, digest);
    return seal_base64url(sx_str_of(digest, sizeof digest), &f->arena);
}

static sx_str scope_of(oidc_flow *f)
{
    const auth_oidc *o = &f->config->oidc;
    sx_str text = SX_STR("openid");
    if (!o->scope_count)
        return SX_STR("openid profile email");
    for (uint32_t i = 0; i < o->scope_count && text.data; i++)
        if (!sx_str_eq(o->scopes[i], SX_STR("openid")))
            text = sx_arena_printf(&f->arena, "%.*s %.*s", SX_ARG(text), SX_ARG(o->scopes[i]));
    return text;
}

/* `url` with `query`, whose buffer is freed. Empty: no memory. */
static sx_str with_query(sx_arena *arena, sx_str url, sx_buf *query)
{
    bool has_query = sx_str_find_byte(url, '?') < url.len;
    sx_str to = query->failed ? SX_STR("")
                              : sx_arena_printf(arena, "%.*s%c%.*s", SX_ARG(url),
                                                has_query ? '&' : '?', SX_ARG(sx_buf_view(query)));
    sx_buf_done(query);
    return to.data ? to : SX_STR("");
}

static void send_there(oidc_flow *f)
{
    sx_buf query;
    sx_buf_init(&query, 0);
    oidc_put(&query, "response_type", SX_STR("code"));
    oidc_put(&query, "client_id", f->config->oidc.client_id);
    oidc_put(&query, "redirect_uri", redirect_uri(f));
    oidc_put(&query, "scope", scope_of(f));
    oidc_put(&query, "state", f->state);
    oidc_put(&query, "nonce", f->nonce);
    oidc_put(&query, "code_challenge", challenge(f));
    oidc_put(&query, "code_challenge_method", SX_STR("S256"));
    sx_str to = with_query(&f->arena, f->at->authorize, &query), sealed = seal_state(f);
    sx_str cookie = sealed.len ? cookie_field(f, sealed) : SX_STR("");
    if (to.len && cookie.len)
        lead(f, to, cookie);
    else
        f->fail(f, OIDC_PROVIDER, "out of memory");
}

/* ---- and back ---- */

bool oidc_token_key(const auth_config *config, uint8_t key[SEAL_KEY_BYTES])
{
    static const unsigned char LABEL[] = "sextant refresh tokens 1";
    sx_str secret = config->oidc.secret;
    unsigned len = SEAL_KEY_BYTES;
    return secret.len && HMAC(EVP_sha256(), secret.data, (int)secret.len, LABEL, sizeof LABEL - 1,
                              key, &len) != NULL;
}

bool oidc_take_user(oidc_flow *f)
{
    const char *why;
    sx_status status = claims_user(&f->claims, &f->config->oidc, &f->arena, &f->user, &why);
    if (status == SX_OK)
        return true;
    f->fail(f, status == SX_EACCESS ? OIDC_ACCOUNT : OIDC_PROVIDER,
            status == SX_EACCESS ? why : "out of memory");
    return false;
}

void oidc_take_grant(oidc_flow *f)
{
    uint8_t key[SEAL_KEY_BYTES];
    const auth_oidc *o = &f->config->oidc;
    f->grant.id_token = o->end_session ? f->id_token : SX_STR("");
    f->grant.refresh = SX_STR("");
    if (o->recheck_ms && f->refresh_token.len && oidc_token_key(f->config, key) &&
        seal_close(key, f->refresh_token, &f->arena, &f->grant.refresh, NULL) != SX_OK)
        f->grant.refresh = SX_STR("");
    OPENSSL_cleanse(key, sizeof key);
}

/* A login belongs to the first subject that had it: names are given anew by providers, accounts here are
 * not. *why: why it may not come in. */
static sx_status keep_user(oidc_flow *f, sx_arena *arena, const char **why, sx_error *err)
{
    auth_store *store = f->a->store;
    auth_user now;
    *why = NULL;
    sx_status status = auth_store_user(store, f->user.login, arena, &now, err);
    if (status == SX_ENOTFOUND) {
        *err = (sx_error){0};
        return auth_store_user_add(store, &f->user, err);
    }
    if (status != SX_OK)
        return status;
    if (!sx_str_eq(now.source, SX_STR("oidc")) || !sx_str_eq(now.subject, f->user.subject))
        *why = "the login belongs to another account here";
    else if (now.disabled)
        *why = "the account is switched off";
    unsigned fields = AUTH_SET_NAME | (f->config->oidc.role_claim.len ? AUTH_SET_ROLE : 0u);
    return *why ? SX_OK : auth_store_user_set(store, &f->user, fields, SX_STR(""), err);
}

/* A session that cannot be checked again ends when it should be. */
static int64_t lifetime_of(const oidc_flow *f)
{
    int64_t whole = f->config->session.lifetime_ms, again = f->config->oidc.recheck_ms;
    return again && !f->grant.refresh.len && again < whole ? again : whole;
}

/* In a thread: who it is gets a session. */
static sx_status sign_in(auth_call *c, sx_error *err)
{
    oidc_flow *f = c->form;
    const char *why;
    sx_status status = keep_user(f, &c->arena, &why, err);
    if (status == SX_OK && !why)
        status = auth_sign_in(c, f->user.login, "oidc", lifetime_of(f), &f->grant, err);
    if (status != SX_OK)
        why = err->message;
    if (why) {
        count_refused(c->a, c->r, f->user.login, why);
        c->set_cookie = SX_STR("");
    }
    c->location = why ? sx_arena_printf(&c->arena, "%.*s/login?error=account", SX_ARG(c->a->prefix))
                      : auth_safe_return(c->a, &c->arena, f->to);
    c->clear_cookie = cookie_field(f, SX_STR(""));
    return c->location.data ? SX_OK : sx_fail_memory(err, "the way back");
}

static void flow_ended(void *form)
{
    oidc_flow_free(form);
}

static void took_claims(oidc_flow *f)
{
    if (!oidc_take_user(f))
        return;
    oidc_take_grant(f);
    auth_call *c = auth_call_new(f->a, f->r, sign_in);
    if (!c) {
        oidc_flow_free(f);
        return;
    }
    c->form = f;
    c->ended = flow_ended;
    auth_call_submit(c, f->a->work);
}

static void took_tokens(oidc_flow *f)
{
    if (f->id_token.len)
        oidc_ask_claims(f, took_claims);
    else
        f->fail(f, OIDC_PROVIDER, "the provider's answer has no id_token");
}

static void exchange(oidc_flow *f)
{
    sx_buf form;
    sx_buf_init(&form, 0);
    oidc_put(&form, "grant_type", SX_STR("authorization_code"));
    oidc_put(&form, "code", sx_request_query(f->r, "code"));
    oidc_put(&form, "redirect_uri", redirect_uri(f));
    oidc_put(&form, "code_verifier", f->verifier);
    oidc_ask_token(f, &form, took_tokens);
    sx_buf_done(&form);
}

/* ---- the two addresses ---- */

static oidc_flow *begin_flow(sx_request *r, void *ctx)
{
    auth *a = *(auth **)ctx;
    const auth_config *config = a ? auth_config_of(a) : NULL;
    sx_error err = {0};
    if (!config || !config->oidc.on) {
        auth_refuse(r, 404, "not_found", SX_STR("no provider is configured"));
        return NULL;
    }
    oidc_flow *f = oidc_flow_new(a, config, r->loop, r, &err);
    if (!f) {
        sx_reply_error(r, 503, err.message);
        return NULL;
    }
    f->fail = fail_sign_in;
    return f;
}

void auth_oidc_begin(sx_request *r, void *ctx)
{
    oidc_flow *f = begin_flow(r, ctx);
    if (!f)
        return;
    sx_str *const fresh[] = {&f->state, &f->nonce, &f->verifier};
    for (size_t i = 0; i < SX_COUNT_OF(fresh); i++) {
        char *text = sx_arena_alloc(&f->arena, AUTH_SECRET_BYTES);
        if (!text || store_secret(text, NULL) != SX_OK) {
            f->fail(f, OIDC_PROVIDER, "no random bytes");
            return;
        }
        *fresh[i] = sx_str_z(text);
    }
    sx_str asked = sx_request_query(r, "to");
    f->to = auth_safe_return(f->a, &f->arena, asked.data ? asked : SX_STR(""));
    oidc_discover(f, send_there);
}

void auth_oidc_back(sx_request *r, void *ctx)
{
    oidc_flow *f = begin_flow(r, ctx);
    if (!f)
        return;
    sx_str state = sx_request_query(r, "state"), error = sx_request_query(r, "error");
    sx_str code = sx_request_query(r, "code"), issuer = sx_request_query(r, "iss");
    if (!unseal_state(f) || state.len != f->state.len ||
        CRYPTO_memcmp(state.data, f->state.data, state.len) != 0) {
        f->fail(f, OIDC_STATE, "a callback that was not begun in this browser, or too long ago");
    } else if (issuer.len && !sx_str_eq(issuer, f->config->oidc.issuer)) {
        f->fail(f, OIDC_STATE, "a callback of another issuer"); /* RFC 9207 */
    } else if (error.len) {
        sx_str why =
            sx_arena_printf(&f->arena, "the provider says %.*s", SX_ARG(sx_str_first(error, 128)));
        f->fail(f, OIDC_DENIED, why.data ? why.data : "the provider says no");
    } else if (!code.len || code.len > CODE_BYTES_MAX) {
        f->fail(f, OIDC_STATE, "a callback without a code");
    } else {
        oidc_discover(f, exchange);
    }
}

/* ---- out ---- */

typedef struct ending {
    auth_call *call;
    void (*then)(auth_call *c, sx_str page);
} ending;

static void hand_on(oidc_flow *f, sx_str page)
{
    const ending *e = f->ctx;
    e->then(e->call, page); /* copies it */
    oidc_flow_free(f);
}

static void found_end(oidc_flow *f)
{
    hand_on(f, f->at->end_session);
}

/* One is signed out here all the same. */
static void fail_end(oidc_flow *f, oidc_fault fault, const char *why)
{
    (void)fault;
    SX_LOG_WARN(f->a->log, NULL, "the provider's page for signing out cannot be found",
                sx_field_z("why", why));
    hand_on(f, SX_STR(""));
}

void oidc_find_end(auth_call *c, void (*then)(auth_call *c, sx_str page))
{
    sx_error err = {0};
    oidc_flow *f = oidc_flow_new(c->a, c->config, c->loop, c->r, &err);
    ending *e = f ? sx_arena_alloc(&f->arena, sizeof *e) : NULL;
    if (!e) {
        then(c, SX_STR(""));
        if (f)
            oidc_flow_free(f);
        return;
    }
    *e = (ending){c, then};
    f->ctx = e;
    f->fail = fail_end;
    oidc_discover(f, found_end);
}

sx_str oidc_end_url(const auth *a, const auth_config *config, sx_str page, sx_str id_token,
                    sx_arena *arena)
{
    sx_buf query;
    sx_str back = sx_arena_printf(arena, "%.*s/login", SX_ARG(a->external_url));
    sx_buf_init(&query, 0);
    oidc_put(&query, "client_id", config->oidc.client_id);
    oidc_put(&query, "post_logout_redirect_uri", back);
    if (id_token.len)
        oidc_put(&query, "id_token_hint", id_token);
    return with_query(arena, page, &query);
}

/* ---- life ---- */

sx_status oidc_new(auth *a, oidc **out, sx_error *err)
{
    oidc *o = sx_calloc(1, sizeof *o);
    if (!o)
        return sx_fail_memory(err, "the provider");
    o->a = a;
    sx_status status = sx_random_bytes(o->key, sizeof o->key, err);
    if (status == SX_OK)
        status = oidc_recheck_new(o, err);
    if (status != SX_OK) {
        oidc_free(o);
        return status;
    }
    *out = o;
    return SX_OK;
}

void oidc_loop_begin(oidc *o, sx_loop *loop)
{
    if (sx_loop_index(loop) == 0)
        oidc_recheck_begin(o, loop);
}

void oidc_loop_end(oidc *o, sx_loop *loop)
{
    unsigned index = sx_loop_index(loop);
    if (!o || index >= OIDC_LOOPS_MAX)
        return;
    if (index == 0)
        oidc_recheck_end(o);
    oidc_place_free(o->places[index]);
    o->places[index] = NULL;
}

void oidc_free(oidc *o)
{
    if (!o)
        return;
    oidc_recheck_free(o);
    OPENSSL_cleanse(o->key, sizeof o->key);
    sx_free(o);
}

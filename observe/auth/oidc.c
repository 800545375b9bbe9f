/* oidc.c - see oidc.h. */
#include "observe/auth/oidc.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <sextant/client_http.h>
#include <sextant/mem.h>
#include <sextant/random.h>
#include <sextant/url.h>

#include "codec/base64.h"
#include "observe/auth/auth_impl.h"
#include "observe/auth/jwt.h"
#include "observe/auth/store_impl.h"

#define STATE_COOKIE "sextant_oidc"
#define BELOW        "/login/oidc"

enum {
    LOOPS_MAX = 1024,
    KEEP_MS = 3600 * 1000,
    KEYS_AGAIN_MS = 10 * 1000, /* a stranger's key ids do not make us ask all the time */
    BEGUN_S = 600,             /* how long the provider's page may take */
    CALL_MS = 10 * 1000,
    ANSWER_BYTES_MAX = 1 << 20,
    VALUES_MAX = 256,
    MAC_TEXT = 44,
};

/* What one loop knows of the provider. */
typedef struct place {
    const auth_config *config; /* whose; another one, and all is fetched anew */
    sx_http_client *client;
    sx_tls *tls;
    sx_arena arena;
    sx_str authorize, token, keys_url;
    bool secret_in_body;
    int64_t fetched_ms, keys_ms;
    jwt_keys *keys;
} place;

struct oidc {
    auth *a;
    uint8_t key[AUTH_KEY_BYTES]; /* of the cookies: another one in each process */
    place *places[LOOPS_MAX];    /* each its loop's own */
};

typedef struct flow flow;
typedef void flow_step(flow *f);

/* One visit of a browser, while we ask the provider. */
struct flow {
    auth *a;
    place *at;
    const auth_config *config;
    sx_request *r; /* held */
    sx_arena arena;
    sx_buf answer;
    int status;      /* of the answer */
    flow_step *then; /* once it is whole */
    flow_step *next; /* once the provider is known */
    bool keys_again;
    sx_str state, nonce, verifier, to; /* of the cookie, or new */
    sx_str id_token;
    auth_call *call;
    auth_user user;
};

/* ---- ends ---- */

static void flow_free(flow *f)
{
    sx_request *r = f->r;
    sx_buf_done(&f->answer);
    sx_arena_done(&f->arena);
    sx_free(f);
    sx_request_release(r);
}

static sx_str cookie_field(flow *f, sx_str value)
{
    const auth *a = f->a;
    bool secure = f->config->session.cookie_secure == AUTH_SECURE_ALWAYS ||
                  (f->config->session.cookie_secure == AUTH_SECURE_AUTO &&
                   (f->r->peer->tls || sx_str_starts(a->external_url, SX_STR("https://"))));
    return sx_arena_printf(&f->arena, "%s=%.*s; Path=%.*s%s; HttpOnly; SameSite=Lax; Max-Age=%d%s",
                           STATE_COOKIE, SX_ARG(value), SX_ARG(a->prefix), BELOW,
                           value.len ? BEGUN_S : 0, secure ? "; Secure" : "");
}

/* Back to the form, which has words for `code`; what really happened is for the log. */
static void flow_fail(flow *f, const char *code, const char *why)
{
    auth *a = f->a;
    auth_note(a, f->r, f->user.login.data ? f->user.login : SX_STR(""), "signin.failed",
              sx_str_z(why), false);
    sx_counter_add(a->outcomes[1], 1);
    sx_str to = sx_arena_printf(&f->arena, "%.*s/login?error=%s", SX_ARG(a->prefix), code);
    sx_str clear = cookie_field(f, SX_STR(""));
    if (clear.data)
        (void)sx_reply_header(f->r, SX_STR("set-cookie"), clear);
    (void)sx_reply_header(f->r, SX_STR("cache-control"), SX_STR("no-store"));
    (void)sx_reply_header(f->r, SX_STR("location"), to.data ? to : SX_STR("/"));
    sx_reply(f->r, 302, SX_STR(""), SX_STR(""));
    flow_free(f);
}

/* ---- the cookie ---- */

static void mac_of(const oidc *o, sx_str text, char out[MAC_TEXT])
{
    unsigned char mac[32];
    unsigned len = 0;
    sx_buf b;
    memset(mac, 0, sizeof mac);
    (void)HMAC(EVP_sha256(), o->key, sizeof o->key, (const unsigned char *)text.data, text.len, mac,
               &len);
    sx_buf_init(&b, 0);
    sx_base64_encode(sx_str_of(mac, sizeof mac), &b);
    snprintf(out, MAC_TEXT, "%.*s", (int)(b.len < MAC_TEXT - 1 ? b.len : MAC_TEXT - 1),
             b.len ? b.data : "");
    sx_buf_done(&b);
    for (char *c = out; *c; c++) /* letters that a cookie may have */
        *c = (char)(*c == '+' ? '-' : *c == '/' ? '_' : *c == '=' ? '.' : *c);
}

/* state~nonce~verifier~expiry~return address (escaped)~mac */
static sx_str seal(flow *f)
{
    char mac[MAC_TEXT];
    sx_buf to;
    sx_buf_init(&to, 0);
    sx_url_encode(f->to, &to);
    int64_t until = sx_clock_ms(f->a->clock) / 1000 + BEGUN_S;
    sx_str text = sx_arena_printf(&f->arena, "%.*s~%.*s~%.*s~%lld~", SX_ARG(f->state),
                                  SX_ARG(f->nonce), SX_ARG(f->verifier), (long long)until);
    sx_str whole = to.failed || !text.data ? SX_STR("")
                                           : sx_arena_printf(&f->arena, "%.*s%.*s", SX_ARG(text),
                                                             SX_ARG(sx_buf_view(&to)));
    sx_buf_done(&to);
    mac_of(f->a->oidc, whole, mac);
    return whole.len ? sx_arena_printf(&f->arena, "%s~%.*s", mac, SX_ARG(whole)) : SX_STR("");
}

static bool unseal(flow *f)
{
    char right[MAC_TEXT];
    sx_str mac, whole, until, to;
    int64_t seconds;
    sx_str cookie = auth_cookie(f->r, SX_STR(STATE_COOKIE));
    if (!sx_str_cut(cookie, '~', &mac, &whole))
        return false;
    mac_of(f->a->oidc, whole, right);
    if (mac.len != strlen(right) || CRYPTO_memcmp(mac.data, right, mac.len) != 0)
        return false;
    return sx_str_cut(whole, '~', &f->state, &whole) && sx_str_cut(whole, '~', &f->nonce, &whole) &&
           sx_str_cut(whole, '~', &f->verifier, &whole) && sx_str_cut(whole, '~', &until, &to) &&
           sx_str_to_i64(until, &seconds) && sx_clock_ms(f->a->clock) / 1000 < seconds &&
           sx_percent_decode(&f->arena, to, SX_PERCENT_PATH, &f->to, NULL) == SX_OK;
}

/* ---- asking ---- */

static void on_head(sx_call *call, void *ctx, const sx_response *response)
{
    (void)call;
    ((flow *)ctx)->status = response->status;
}

static void on_body(sx_call *call, void *ctx, sx_str piece)
{
    (void)call;
    sx_buf_str(&((flow *)ctx)->answer, piece);
}

static void on_done(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                    const sx_header *trailers, size_t trailer_count)
{
    (void)call;
    (void)trailers;
    (void)trailer_count;
    flow *f = ctx;
    char why[640];
    if (status == SX_OK && f->status == 200 && !f->answer.failed) {
        f->then(f);
        return;
    }
    if (status == SX_OK)
        snprintf(why, sizeof why, "the provider answered %d: %.*s", f->status,
                 (int)(f->answer.len < 160 ? f->answer.len : 160),
                 f->answer.len ? f->answer.data : "");
    else
        snprintf(why, sizeof why, "the provider does not answer: %s", err->message);
    flow_fail(f, "provider", why);
}

static void fetch(flow *f, sx_str method, sx_str url, const sx_header *fields, size_t field_count,
                  sx_str body, flow_step *then)
{
    static const sx_call_events EVENTS = {.head = on_head, .body = on_body, .done = on_done};
    const sx_call_request request = {.method = method,
                                     .url = url,
                                     .headers = fields,
                                     .header_count = field_count,
                                     .body = body,
                                     .total_ms_max = CALL_MS};
    sx_error err = {0};
    f->then = then;
    f->status = 0;
    sx_buf_clear(&f->answer);
    if (sx_http_call(f->at->client, &request, &EVENTS, f, NULL, &err) != SX_OK)
        flow_fail(f, "provider", err.message);
}

static void fetch_json(flow *f, sx_str url, flow_step *then)
{
    static const sx_header ACCEPT = {SX_STR_INIT("accept"), SX_STR_INIT("application/json")};
    fetch(f, SX_STR("GET"), url, &ACCEPT, 1, SX_STR(""), then);
}

/* ---- what the provider says of itself ---- */

typedef struct metadata {
    sx_str issuer, authorize, token, keys;
    bool basic, post, lists;
} metadata;

static sx_status read_metadata(sx_str text, sx_arena *arena, metadata *m, sx_error *err)
{
    sx_json r;
    sx_str key, one;
    *m = (metadata){0};
    const struct {
        const char *name;
        sx_str *to;
    } FIELDS[] = {{"issuer", &m->issuer},
                  {"authorization_endpoint", &m->authorize},
                  {"token_endpoint", &m->token},
                  {"jwks_uri", &m->keys}};
    sx_json_init(&r, text, &(sx_json_options){.arena = arena});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key)) {
        for (size_t i = 0; i < SX_COUNT_OF(FIELDS); i++)
            if (sx_str_eq(key, sx_str_z(FIELDS[i].name)))
                sx_json_read_str(&r, FIELDS[i].to);
        if (!sx_str_eq(key, SX_STR("token_endpoint_auth_methods_supported")) ||
            !sx_json_enter_array(&r))
            continue;
        m->lists = true;
        while (sx_json_next_item(&r) && sx_json_read_str(&r, &one)) {
            m->basic = m->basic || sx_str_eq(one, SX_STR("client_secret_basic"));
            m->post = m->post || sx_str_eq(one, SX_STR("client_secret_post"));
        }
    }
    return sx_json_finish(&r, err);
}

/* Endpoints may lie elsewhere than the issuer, but not in the clear unless that one does. */
static bool is_endpoint(sx_str issuer, sx_str url)
{
    sx_url parts;
    return sx_url_parse(url, &parts, NULL) == SX_OK &&
           (parts.scheme == SX_URL_HTTPS ||
            (parts.scheme == SX_URL_HTTP && sx_str_starts(issuer, SX_STR("http://"))));
}

static void took_metadata(flow *f)
{
    place *at = f->at;
    metadata m;
    sx_error err = {0};
    sx_str issuer = f->config->oidc.issuer;
    if (read_metadata(sx_buf_view(&f->answer), &f->arena, &m, &err) != SX_OK) {
        flow_fail(f, "provider", err.message);
        return;
    }
    if (!sx_str_eq(m.issuer, issuer) || !is_endpoint(issuer, m.authorize) ||
        !is_endpoint(issuer, m.token) || !is_endpoint(issuer, m.keys)) {
        flow_fail(f, "provider",
                  "the provider's metadata: another issuer, or an address is missing");
        return;
    }
    sx_arena_reset(&at->arena);
    at->authorize = sx_arena_copy(&at->arena, m.authorize);
    at->token = sx_arena_copy(&at->arena, m.token);
    at->keys_url = sx_arena_copy(&at->arena, m.keys);
    at->secret_in_body = m.lists && m.post && !m.basic;
    if (!at->authorize.data || !at->token.data || !at->keys_url.data) {
        flow_fail(f, "provider", "out of memory");
        return;
    }
    at->fetched_ms = sx_loop_now_ms(f->r->loop);
    f->next(f);
}

static void with_provider(flow *f, flow_step *next)
{
    place *at = f->at;
    f->next = next;
    if (at->fetched_ms && sx_loop_now_ms(f->r->loop) - at->fetched_ms < KEEP_MS) {
        next(f);
        return;
    }
    sx_str issuer = f->config->oidc.issuer;
    if (sx_str_ends(issuer, SX_STR("/")))
        issuer = sx_str_first(issuer, issuer.len - 1);
    sx_str url =
        sx_arena_printf(&f->arena, "%.*s/.well-known/openid-configuration", SX_ARG(issuer));
    if (url.data)
        fetch_json(f, url, took_metadata);
    else
        flow_fail(f, "provider", "out of memory");
}

/* ---- there ---- */

static void put_param(sx_buf *out, const char *name, sx_str value)
{
    sx_buf_printf(out, "%s%s=", out->len ? "&" : "", name);
    sx_url_encode(value, out);
}

static sx_str redirect_uri(flow *f)
{
    return sx_arena_printf(&f->arena, "%.*s%s/callback", SX_ARG(f->a->external_url), BELOW);
}

/* Of the verifier, so that only who began can end: RFC 7636, section 4.2. */
static sx_str challenge(flow *f)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    sx_buf b;
    SHA256((const unsigned char *)f->verifier.data, f->verifier.len, digest);
    sx_buf_init(&b, 0);
    sx_base64_encode(sx_str_of(digest, sizeof digest), &b);
    for (size_t i = 0; i < b.len; i++)
        b.data[i] = (char)(b.data[i] == '+' ? '-' : b.data[i] == '/' ? '_' : b.data[i]);
    while (b.len && b.data[b.len - 1] == '=')
        b.len--;
    sx_str out = b.failed ? SX_STR("") : sx_arena_copy(&f->arena, sx_buf_view(&b));
    sx_buf_done(&b);
    return out;
}

static sx_str scope_of(flow *f)
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

static void send_there(flow *f)
{
    sx_buf query;
    sx_buf_init(&query, 0);
    put_param(&query, "response_type", SX_STR("code"));
    put_param(&query, "client_id", f->config->oidc.client_id);
    put_param(&query, "redirect_uri", redirect_uri(f));
    put_param(&query, "scope", scope_of(f));
    put_param(&query, "state", f->state);
    put_param(&query, "nonce", f->nonce);
    put_param(&query, "code_challenge", challenge(f));
    put_param(&query, "code_challenge_method", SX_STR("S256"));
    sx_str authorize = f->at->authorize, sealed = seal(f);
    bool has_query = sx_str_find_byte(authorize, '?') < authorize.len;
    sx_str to = query.failed ? SX_STR("")
                             : sx_arena_printf(&f->arena, "%.*s%c%.*s", SX_ARG(authorize),
                                               has_query ? '&' : '?', SX_ARG(sx_buf_view(&query)));
    sx_buf_done(&query);
    sx_str cookie = cookie_field(f, sealed);
    if (!sealed.len || !to.len || !cookie.data) {
        flow_fail(f, "provider", "out of memory");
        return;
    }
    (void)sx_reply_header(f->r, SX_STR("set-cookie"), cookie);
    (void)sx_reply_header(f->r, SX_STR("cache-control"), SX_STR("no-store"));
    (void)sx_reply_header(f->r, SX_STR("location"), to);
    sx_reply(f->r, 302, SX_STR(""), SX_STR(""));
    flow_free(f);
}

/* ---- and back ---- */

/* The role that the claims give; `otherwise` where none has a word for it. */
static auth_role role_of(const auth_oidc *o, sx_str claims, sx_arena *arena, auth_role otherwise)
{
    sx_str values[VALUES_MAX];
    auth_role best = AUTH_NONE;
    bool any = false;
    size_t count = jwt_claim(claims, o->role_claim, arena, values, VALUES_MAX);
    for (size_t i = 0; i < count; i++) {
        auth_role plain = AUTH_NONE;
        if (!o->role_count && !auth_role_parse(values[i], &plain))
            continue;
        auth_role role = o->role_count
                             ? auth_config_role(o->roles, o->role_count, values[i], AUTH_ROLES)
                             : plain;
        if (role == AUTH_ROLES)
            continue;
        any = true;
        best = role > best ? role : best;
    }
    return any ? best : otherwise;
}

static bool in_list(const sx_str *list, uint32_t count, sx_str value)
{
    for (uint32_t i = 0; i < count; i++)
        if (sx_str_ieq(list[i], value))
            return true;
    return false;
}

/* NULL: let in; else why not. */
static const char *check_allowed(const auth_oidc *o, sx_str claims, sx_arena *arena)
{
    sx_str values[VALUES_MAX], mail = SX_STR(""), verified = SX_STR(""), domain, user;
    bool member = o->group_count == 0;
    size_t count = jwt_claim(claims, o->groups_claim, arena, values, VALUES_MAX);
    for (size_t i = 0; i < count && !member; i++)
        for (uint32_t k = 0; k < o->group_count; k++)
            member = member || sx_str_eq(values[i], o->groups[k]);
    if (!member)
        return "in none of allowed_groups";
    if (!o->domain_count)
        return NULL;
    if (!jwt_claim(claims, SX_STR("email"), arena, &mail, 1) ||
        !sx_str_cut(mail, '@', &user, &domain) || sx_str_find_byte(domain, '@') < domain.len ||
        !in_list(o->domains, o->domain_count, domain))
        return "the mail address is of none of allowed_domains";
    if (!jwt_claim(claims, SX_STR("email_verified"), arena, &verified, 1) ||
        !sx_str_eq(verified, SX_STR("true")))
        return "the mail address is not verified by the provider";
    return NULL;
}

/* In a thread: who it is gets a session. A login belongs to the first subject that had it: names are
 * given anew by providers, accounts here are not. */
static void sign_in(auth_call *c)
{
    flow *f = c->state;
    auth *a = c->a;
    auth_user now;
    sx_error err = {0};
    const char *why = NULL;
    sx_status status = auth_store_user(a->store, f->user.login, &c->arena, &now, &err);
    bool maps = f->config->oidc.role_claim.len > 0;
    if (status == SX_ENOTFOUND) {
        err = (sx_error){0};
        status = auth_store_user_add(a->store, &f->user, &err);
    } else if (status == SX_OK && (!sx_str_eq(now.source, SX_STR("oidc")) ||
                                   !sx_str_eq(now.subject, f->user.subject))) {
        why = "the login belongs to another account here";
    } else if (status == SX_OK && now.disabled) {
        why = "the account is switched off";
    } else if (status == SX_OK) {
        unsigned fields = AUTH_SET_NAME | (maps ? AUTH_SET_ROLE : 0u);
        status = auth_store_user_set(a->store, &f->user, fields, SX_STR(""), &err);
    }
    if (status == SX_OK && !why)
        status = auth_sign_in(c, f->user.login, "oidc", &err);
    if (status != SX_OK)
        why = err.message;
    if (why) {
        auth_note(a, c->r, f->user.login, "signin.failed", sx_str_z(why), false);
        sx_counter_add(a->outcomes[1], 1);
        c->set_cookie = SX_STR("");
    }
    c->location = why ? sx_arena_printf(&c->arena, "%.*s/login?error=account", SX_ARG(a->prefix))
                      : auth_safe_return(a, &c->arena, f->to);
    sx_str clear = cookie_field(f, SX_STR(""));
    c->clear_cookie = clear.data ? sx_arena_copy(&c->arena, clear) : SX_STR("");
}

static void signed_in(void *state)
{
    flow_free(state);
}

static void take_claims(flow *f, sx_str claims)
{
    const auth_oidc *o = &f->config->oidc;
    const sx_str LOGINS[] = {o->login_claim, SX_STR("email"), SX_STR("sub")};
    sx_str login = SX_STR(""), subject = SX_STR("");
    char *text = sx_arena_alloc(&f->arena, AUTH_LOGIN_MAX);
    for (size_t i = 0; i < SX_COUNT_OF(LOGINS) && !login.len; i++)
        (void)jwt_claim(claims, LOGINS[i], &f->arena, &login, 1);
    (void)jwt_claim(claims, SX_STR("sub"), &f->arena, &subject, 1);
    f->user = (auth_user){.source = SX_STR("oidc"), .password = SX_STR(""), .name = SX_STR("")};
    (void)jwt_claim(claims, o->name_claim, &f->arena, &f->user.name, 1);
    f->user.name = sx_str_first(f->user.name, STORE_TEXT_MAX);
    f->user.subject = sx_arena_printf(&f->arena, "%.*s %.*s", SX_ARG(o->issuer), SX_ARG(subject));
    if (!text || !f->user.subject.data || !auth_login_clean(login, text, &f->user.login)) {
        flow_fail(f, "account", "the token has no login that can be one here");
        return;
    }
    const char *why = check_allowed(o, claims, &f->arena);
    f->user.role = role_of(o, claims, &f->arena, (auth_role)o->default_role);
    if (!why && f->user.role == AUTH_NONE)
        why = "no role";
    if (why) {
        flow_fail(f, "account", why);
        return;
    }
    auth_call *c = auth_call_new(f->a, f->r, sign_in);
    if (!c) {
        flow_free(f);
        return;
    }
    c->state = f;
    c->ended = signed_in;
    auth_call_submit(c, f->a->work);
}

static void check_token(flow *f);

static void took_keys(flow *f)
{
    sx_error err = {0};
    jwt_keys *keys;
    if (jwt_keys_parse(sx_buf_view(&f->answer), &keys, &err) != SX_OK) {
        flow_fail(f, "provider", err.message);
        return;
    }
    jwt_keys_free(f->at->keys);
    f->at->keys = keys;
    f->at->keys_ms = sx_loop_now_ms(f->r->loop);
    check_token(f);
}

static void check_token(flow *f)
{
    place *at = f->at;
    const auth_oidc *o = &f->config->oidc;
    const jwt_expect expect = {.issuer = o->issuer,
                               .audience = o->client_id,
                               .nonce = f->nonce,
                               .now_s = sx_clock_ms(f->a->clock) / 1000,
                               .skew_s = o->skew_ms / 1000};
    sx_str claims;
    sx_error err = {0};
    int64_t age = sx_loop_now_ms(f->r->loop) - at->keys_ms;
    if (!at->keys || age > KEEP_MS) {
        fetch_json(f, at->keys_url, took_keys);
        return;
    }
    sx_status status = jwt_verify(f->id_token, at->keys, &expect, &f->arena, &claims, &err);
    if (status == SX_ENOTFOUND && !f->keys_again && age > KEYS_AGAIN_MS) {
        f->keys_again = true; /* the provider may have changed its keys */
        fetch_json(f, at->keys_url, took_keys);
    } else if (status != SX_OK) {
        flow_fail(f, "provider", err.message);
    } else {
        take_claims(f, claims);
    }
}

static void took_token(flow *f)
{
    sx_json r;
    sx_str key, token = SX_STR("");
    sx_error err = {0};
    sx_str text = sx_arena_copy(&f->arena, sx_buf_view(&f->answer));
    sx_json_init(&r, text, &(sx_json_options){.arena = &f->arena});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key))
        if (sx_str_eq(key, SX_STR("id_token")))
            sx_json_read_str(&r, &token);
    if (sx_json_finish(&r, &err) != SX_OK || !token.len) {
        flow_fail(f, "provider", "the provider's answer has no id_token");
        return;
    }
    f->id_token = token;
    check_token(f);
}

/* The secret goes in a field (client_secret_basic, RFC 6749 section 2.3.1) unless only a form will do. */
static void exchange(flow *f)
{
    const auth_oidc *o = &f->config->oidc;
    sx_header fields[3] = {{SX_STR("content-type"), SX_STR("application/x-www-form-urlencoded")},
                           {SX_STR("accept"), SX_STR("application/json")}};
    size_t count = 2;
    sx_buf body, pair, coded;
    sx_str code = sx_request_query(f->r, "code");
    sx_buf_init(&body, 0);
    sx_buf_init(&pair, 0);
    sx_buf_init(&coded, 0);
    put_param(&body, "grant_type", SX_STR("authorization_code"));
    put_param(&body, "code", code);
    put_param(&body, "redirect_uri", redirect_uri(f));
    put_param(&body, "code_verifier", f->verifier);
    if (!o->secret.len || f->at->secret_in_body)
        put_param(&body, "client_id", o->client_id);
    if (o->secret.len && f->at->secret_in_body)
        put_param(&body, "client_secret", o->secret);
    if (o->secret.len && !f->at->secret_in_body) {
        sx_url_encode(o->client_id, &pair);
        sx_buf_byte(&pair, ':');
        sx_url_encode(o->secret, &pair);
        sx_buf_str(&coded, SX_STR("Basic "));
        sx_base64_encode(sx_buf_view(&pair), &coded);
        fields[count++] = (sx_header){SX_STR("authorization"), sx_buf_view(&coded)};
    }
    if (body.failed || pair.failed || coded.failed)
        flow_fail(f, "provider", "out of memory");
    else
        fetch(f, SX_STR("POST"), f->at->token, fields, count, sx_buf_view(&body), took_token);
    sx_buf_done(&coded);
    sx_buf_done(&pair);
    sx_buf_done(&body);
}

/* ---- the two addresses ---- */

static void place_clear(place *p)
{
    sx_http_client *client = p->client;
    p->client = NULL;
    sx_http_client_free(client);
    sx_tls_unref(p->tls);
    jwt_keys_free(p->keys);
    p->tls = NULL;
    p->keys = NULL;
    p->fetched_ms = p->keys_ms = 0;
}

static sx_status place_make(auth *a, sx_loop *loop, place *p, const auth_config *config,
                            sx_error *err)
{
    sx_kit_http_options options = {.http = {.body_bytes_max = ANSWER_BYTES_MAX},
                                   .client = {.name = "oidc", .health_informative = true},
                                   .propagation_off = true};
    sx_status status = SX_OK;
    place_clear(p);
    if (config->oidc.ca_file.len) {
        const sx_tls_client_options tls = {.ca_file = config->oidc.ca_file.data,
                                           .verify = SX_TLS_VERIFY_REQUIRED};
        status = sx_tls_client_new(&tls, &p->tls, err);
        options.http.tls = p->tls;
    }
    if (status == SX_OK)
        status =
            sx_kit_http_client_new(loop, sx_service_kit(a->service), &options, &p->client, err);
    p->config = config;
    return status;
}

static place *place_of(auth *a, sx_loop *loop, const auth_config *config, sx_error *err)
{
    unsigned index = sx_loop_index(loop);
    if (index >= LOOPS_MAX)
        return NULL;
    place **slot = &a->oidc->places[index];
    if (!*slot) {
        *slot = sx_calloc(1, sizeof **slot);
        if (!*slot)
            return NULL;
        sx_arena_init(&(*slot)->arena, 0, 1 << 20);
    }
    if ((*slot)->client && (*slot)->config == config)
        return *slot;
    return place_make(a, loop, *slot, config, err) == SX_OK ? *slot : NULL;
}

static flow *flow_new(sx_request *r, void *ctx)
{
    auth *a = *(auth **)ctx;
    const auth_config *config = a ? auth_config_of(a) : NULL;
    sx_error err = {0};
    if (!config || !config->oidc.on) {
        auth_refuse(r, 404, "not_found", SX_STR("no provider is configured"));
        return NULL;
    }
    place *at = place_of(a, r->loop, config, &err);
    flow *f = at ? sx_calloc(1, sizeof *f) : NULL;
    if (!f) {
        sx_reply_error(r, 503, err.message[0] ? err.message : NULL);
        return NULL;
    }
    *f = (flow){.a = a, .at = at, .config = config, .r = r};
    sx_arena_init(&f->arena, 0, 4 << 20);
    sx_buf_init(&f->answer, ANSWER_BYTES_MAX);
    sx_request_hold(r);
    return f;
}

void auth_oidc_begin(sx_request *r, void *ctx)
{
    char *texts[3];
    sx_str *to[3];
    sx_error err = {0};
    flow *f = flow_new(r, ctx);
    if (!f)
        return;
    to[0] = &f->state;
    to[1] = &f->nonce;
    to[2] = &f->verifier;
    for (size_t i = 0; i < SX_COUNT_OF(texts); i++) {
        texts[i] = sx_arena_alloc(&f->arena, AUTH_SECRET_BYTES);
        if (!texts[i] || store_secret(texts[i], &err) != SX_OK) {
            flow_fail(f, "provider", "no random bytes");
            return;
        }
        *to[i] = sx_str_z(texts[i]);
    }
    sx_str asked = sx_request_query(r, "to");
    f->to = auth_safe_return(f->a, &f->arena, asked.data ? asked : SX_STR(""));
    with_provider(f, send_there);
}

void auth_oidc_back(sx_request *r, void *ctx)
{
    flow *f = flow_new(r, ctx);
    if (!f)
        return;
    sx_str state = sx_request_query(r, "state"), error = sx_request_query(r, "error");
    if (!unseal(f) || state.len != f->state.len || state.len == 0 ||
        CRYPTO_memcmp(state.data, f->state.data, state.len) != 0) {
        flow_fail(f, "state", "a callback that was not begun in this browser, or too long ago");
        return;
    }
    if (error.len) {
        sx_str why =
            sx_arena_printf(&f->arena, "the provider says %.*s", SX_ARG(sx_str_first(error, 128)));
        flow_fail(f, "denied", why.data ? why.data : "the provider says no");
        return;
    }
    sx_str code = sx_request_query(r, "code");
    if (!code.len || code.len > 4096) {
        flow_fail(f, "state", "a callback without a code");
        return;
    }
    with_provider(f, exchange);
}

/* ---- life ---- */

sx_status oidc_new(auth *a, oidc **out, sx_error *err)
{
    oidc *o = sx_calloc(1, sizeof *o);
    if (!o)
        return sx_fail_memory(err, "the provider");
    o->a = a;
    sx_status status = sx_random_bytes(o->key, sizeof o->key, err);
    if (status != SX_OK) {
        sx_free(o);
        return status;
    }
    *out = o;
    return SX_OK;
}

void oidc_loop_end(oidc *o, sx_loop *loop)
{
    unsigned index = sx_loop_index(loop);
    if (!o || index >= LOOPS_MAX || !o->places[index])
        return;
    place *p = o->places[index];
    place_clear(p);
    sx_arena_done(&p->arena);
    sx_free(p);
    o->places[index] = NULL;
}

void oidc_free(oidc *o)
{
    if (!o)
        return;
    OPENSSL_cleanse(o->key, sizeof o->key);
    sx_free(o);
}

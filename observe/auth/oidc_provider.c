/* oidc_provider.c - the provider's endpoints: discovery, keys, tokens, userinfo. */
#include <stdio.h>

#include <sextant/client_http.h>
#include <sextant/mem.h>
#include <sextant/url.h>

#include "codec/base64.h"
#include "observe/auth/oidc_impl.h"

enum {
    KEEP_MS = 3600 * 1000,
    KEYS_AGAIN_MS = 10 * 1000, /* a stranger's key ids do not make us ask all the time */
    CALL_MS = 10 * 1000,
    ANSWER_BYTES_MAX = 1 << 20,
    ARENA_BYTES_MAX = 8 << 20,
};

/* ---- one call ---- */

static void on_head(sx_call *call, void *ctx, const sx_response *response)
{
    (void)call;
    ((oidc_flow *)ctx)->status = response->status;
}

static void on_body(sx_call *call, void *ctx, sx_str piece)
{
    (void)call;
    sx_buf_str(&((oidc_flow *)ctx)->answer, piece);
}

/* "invalid_grant" of RFC 6749, section 5.2, is an answer; all else that is no 200 is a fault. */
static oidc_fault fault_of(oidc_flow *f)
{
    sx_str error = SX_STR("");
    if (f->status == 400 || f->status == 401)
        (void)jwt_claim(sx_buf_view(&f->answer), SX_STR("error"), &f->arena, &error, 1);
    return sx_str_eq(error, SX_STR("invalid_grant")) ? OIDC_REFUSED : OIDC_PROVIDER;
}

static void on_done(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                    const sx_header *trailers, size_t trailer_count)
{
    (void)call;
    (void)trailers;
    (void)trailer_count;
    oidc_flow *f = ctx;
    char why[640];
    if (status == SX_OK && f->status == 200 && !f->answer.failed) {
        f->answered(f);
    } else if (status == SX_OK) {
        snprintf(why, sizeof why, "the provider answered %d: %.*s", f->status,
                 (int)(f->answer.len < 160 ? f->answer.len : 160),
                 f->answer.len ? f->answer.data : "");
        f->fail(f, fault_of(f), why);
    } else {
        snprintf(why, sizeof why, "the provider does not answer: %s", err->message);
        f->fail(f, OIDC_PROVIDER, why);
    }
}

static void call(oidc_flow *f, const sx_call_request *request, oidc_step *answered)
{
    static const sx_call_events EVENTS = {.head = on_head, .body = on_body, .done = on_done};
    sx_error err = {0};
    f->answered = answered;
    f->status = 0;
    sx_buf_clear(&f->answer);
    if (sx_http_call(f->at->client, request, &EVENTS, f, NULL, &err) != SX_OK)
        f->fail(f, OIDC_PROVIDER, err.message);
}

/* `authorization` may be empty. */
static void fetch(oidc_flow *f, sx_str url, sx_str authorization, oidc_step *answered)
{
    const sx_header fields[] = {{SX_STR("accept"), SX_STR("application/json")},
                                {SX_STR("authorization"), authorization}};
    const sx_call_request request = {.method = SX_STR("GET"),
                                     .url = url,
                                     .headers = fields,
                                     .header_count = authorization.len ? 2 : 1,
                                     .total_ms_max = CALL_MS};
    call(f, &request, answered);
}

/* ---- what the provider says of itself ---- */

typedef struct metadata {
    sx_str issuer, authorize, token, keys, userinfo, end_session;
    bool basic, post, lists;
} metadata;

static sx_status read_metadata(sx_str text, sx_arena *arena, metadata *m, sx_error *err)
{
    sx_json r;
    sx_str key, one;
    *m = (metadata){.userinfo = SX_STR(""), .end_session = SX_STR("")};
    const struct {
        const char *name;
        sx_str *to;
    } FIELDS[] = {{"issuer", &m->issuer},
                  {"authorization_endpoint", &m->authorize},
                  {"token_endpoint", &m->token},
                  {"jwks_uri", &m->keys},
                  {"userinfo_endpoint", &m->userinfo},
                  {"end_session_endpoint", &m->end_session}};
    sx_json_init(&r, text, &(sx_json_options){.arena = arena});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key)) {
        for (size_t i = 0; i < SX_COUNT_OF(FIELDS); i++)
            if (sx_str_eq(key, sx_str_z(FIELDS[i].name)) && !sx_json_take_null(&r))
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

/* NULL: it will do. */
static const char *judge_metadata(const metadata *m, sx_str issuer)
{
    const sx_str needed[] = {m->authorize, m->token, m->keys};
    const sx_str others[] = {m->userinfo, m->end_session};
    if (!sx_str_eq(m->issuer, issuer))
        return "the provider's metadata are of another issuer";
    for (size_t i = 0; i < SX_COUNT_OF(needed); i++)
        if (!is_endpoint(issuer, needed[i]))
            return "the provider's metadata lack an address, or it is not safe";
    for (size_t i = 0; i < SX_COUNT_OF(others); i++)
        if (others[i].len && !is_endpoint(issuer, others[i]))
            return "the provider's metadata have an address that is not safe";
    return NULL;
}

static void took_metadata(oidc_flow *f)
{
    oidc_place *at = f->at;
    metadata m;
    sx_error err = {0};
    if (read_metadata(sx_buf_view(&f->answer), &f->arena, &m, &err) != SX_OK) {
        f->fail(f, OIDC_PROVIDER, err.message);
        return;
    }
    const char *why = judge_metadata(&m, f->config->oidc.issuer);
    if (why) {
        f->fail(f, OIDC_PROVIDER, why);
        return;
    }
    const struct {
        sx_str *to, from;
    } COPIES[] = {{&at->authorize, m.authorize},
                  {&at->token, m.token},
                  {&at->keys_url, m.keys},
                  {&at->userinfo, m.userinfo},
                  {&at->end_session, m.end_session}};
    bool ok = true;
    at->fetched_ms = 0;
    sx_arena_reset(&at->arena);
    for (size_t i = 0; i < SX_COUNT_OF(COPIES); i++) {
        *COPIES[i].to = sx_arena_copy(&at->arena, COPIES[i].from);
        ok = ok && COPIES[i].to->data;
    }
    at->secret_in_body = m.lists && m.post && !m.basic;
    if (!ok) {
        f->fail(f, OIDC_PROVIDER, "out of memory");
        return;
    }
    at->fetched_ms = sx_loop_now_ms(f->loop);
    f->next(f);
}

void oidc_discover(oidc_flow *f, oidc_step *next)
{
    const oidc_place *at = f->at;
    f->next = next;
    if (at->fetched_ms && sx_loop_now_ms(f->loop) - at->fetched_ms < KEEP_MS) {
        next(f);
        return;
    }
    sx_str issuer = f->config->oidc.issuer;
    if (sx_str_ends(issuer, SX_STR("/")))
        issuer = sx_str_first(issuer, issuer.len - 1);
    sx_str url =
        sx_arena_printf(&f->arena, "%.*s/.well-known/openid-configuration", SX_ARG(issuer));
    if (url.data)
        fetch(f, url, SX_STR(""), took_metadata);
    else
        f->fail(f, OIDC_PROVIDER, "out of memory");
}

/* ---- tokens ---- */

static void took_tokens(oidc_flow *f)
{
    sx_json r;
    sx_str key;
    sx_error err = {0};
    const struct {
        const char *name;
        sx_str *to;
    } FIELDS[] = {{"id_token", &f->id_token},
                  {"access_token", &f->access_token},
                  {"refresh_token", &f->refresh_token}};
    sx_str text = sx_arena_copy(&f->arena, sx_buf_view(&f->answer));
    sx_json_init(&r, text, &(sx_json_options){.arena = &f->arena});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key))
        for (size_t i = 0; i < SX_COUNT_OF(FIELDS); i++)
            if (sx_str_eq(key, sx_str_z(FIELDS[i].name)) && !sx_json_take_null(&r))
                sx_json_read_str(&r, FIELDS[i].to);
    if (sx_json_finish(&r, &err) != SX_OK)
        f->fail(f, OIDC_PROVIDER, err.message);
    else if (!f->id_token.len && !f->access_token.len)
        f->fail(f, OIDC_PROVIDER, "the provider's answer has no tokens");
    else
        f->next(f);
}

/* "Basic ..." of client_secret_basic: both are escaped first. RFC 6749, section 2.3.1. */
static sx_str basic_of(oidc_flow *f)
{
    const auth_oidc *o = &f->config->oidc;
    sx_buf pair, coded;
    sx_buf_init(&pair, 0);
    sx_buf_init(&coded, 0);
    sx_url_encode(o->client_id, &pair);
    sx_buf_byte(&pair, ':');
    sx_url_encode(o->secret, &pair);
    sx_buf_str(&coded, SX_STR("Basic "));
    sx_base64_encode(sx_buf_view(&pair), &coded);
    sx_str out =
        pair.failed || coded.failed ? SX_STR("") : sx_arena_copy(&f->arena, sx_buf_view(&coded));
    sx_buf_done(&pair);
    sx_buf_done(&coded);
    return out.data ? out : SX_STR("");
}

void oidc_ask_token(oidc_flow *f, sx_buf *form, oidc_step *next)
{
    const auth_oidc *o = &f->config->oidc;
    bool basic = o->secret.len && !f->at->secret_in_body;
    sx_str authorization = basic ? basic_of(f) : SX_STR("");
    if (!basic)
        oidc_put(form, "client_id", o->client_id);
    if (!basic && o->secret.len)
        oidc_put(form, "client_secret", o->secret);
    f->next = next;
    if (form->failed || (basic && !authorization.len)) {
        f->fail(f, OIDC_PROVIDER, "out of memory");
        return;
    }
    const sx_header fields[] = {
        {SX_STR("content-type"), SX_STR("application/x-www-form-urlencoded")},
        {SX_STR("accept"), SX_STR("application/json")},
        {SX_STR("authorization"), authorization}};
    const sx_call_request request = {.method = SX_STR("POST"),
                                     .url = f->at->token,
                                     .headers = fields,
                                     .header_count = basic ? 3 : 2,
                                     .body = sx_buf_view(form),
                                     .total_ms_max = CALL_MS};
    call(f, &request, took_tokens);
}

/* ---- claims ---- */

static void took_userinfo(oidc_flow *f)
{
    sx_str subject = sx_str_from(f->subject, f->config->oidc.issuer.len + 1);
    f->claims.userinfo = sx_arena_copy(&f->arena, sx_buf_view(&f->answer));
    if (claims_agree(&f->claims, f->subject.len ? subject : SX_STR(""), &f->arena))
        f->next(f);
    else
        f->fail(f, OIDC_PROVIDER, "the provider's userinfo are of somebody else, or no JSON");
}

/* Without an identity token, which an answer to a refresh token may lack, there is nothing but it. */
static bool wants_userinfo(oidc_flow *f)
{
    const auth_oidc *o = &f->config->oidc;
    if (!f->at->userinfo.len || !f->access_token.len || o->userinfo == AUTH_USERINFO_NEVER)
        return false;
    return o->userinfo == AUTH_USERINFO_ALWAYS || !f->claims.token.len ||
           claims_lack(&f->claims, o, &f->arena);
}

static void look_at_userinfo(oidc_flow *f)
{
    if (!wants_userinfo(f)) {
        f->next(f);
        return;
    }
    sx_str bearer = sx_arena_printf(&f->arena, "Bearer %.*s", SX_ARG(f->access_token));
    if (bearer.data)
        fetch(f, f->at->userinfo, bearer, took_userinfo);
    else
        f->fail(f, OIDC_PROVIDER, "out of memory");
}

static void look_at_token(oidc_flow *f);

static void took_keys(oidc_flow *f)
{
    sx_error err = {0};
    jwt_keys *keys;
    if (jwt_keys_parse(sx_buf_view(&f->answer), &keys, &err) != SX_OK) {
        f->fail(f, OIDC_PROVIDER, err.message);
        return;
    }
    jwt_keys_free(f->at->keys);
    f->at->keys = keys;
    f->at->keys_ms = sx_loop_now_ms(f->loop);
    look_at_token(f);
}

static void look_at_token(oidc_flow *f)
{
    const oidc_place *at = f->at;
    const auth_oidc *o = &f->config->oidc;
    const jwt_expect expect = {.issuer = o->issuer,
                               .client = o->client_id,
                               .audiences = o->audiences,
                               .audience_count = o->audience_count,
                               .nonce = f->nonce,
                               .now_s = sx_clock_ms(f->a->clock) / 1000,
                               .skew_s = o->skew_ms / 1000};
    sx_error err = {0};
    int64_t age = sx_loop_now_ms(f->loop) - at->keys_ms;
    if (!at->keys || age > KEEP_MS) {
        fetch(f, at->keys_url, SX_STR(""), took_keys);
        return;
    }
    sx_status status =
        jwt_verify(f->id_token, at->keys, &expect, &f->arena, &f->claims.token, &err);
    if (status == SX_ENOTFOUND && !f->keys_again && age > KEYS_AGAIN_MS) {
        f->keys_again = true; /* the provider may have changed its keys */
        fetch(f, at->keys_url, SX_STR(""), took_keys);
    } else if (status != SX_OK) {
        f->fail(f, OIDC_PROVIDER, err.message);
    } else {
        look_at_userinfo(f);
    }
}

void oidc_ask_claims(oidc_flow *f, oidc_step *next)
{
    f->next = next;
    if (f->id_token.len)
        look_at_token(f);
    else
        look_at_userinfo(f);
}

/* ---- life ---- */

static void place_clear(oidc_place *p)
{
    sx_http_client *client = p->client;
    p->client = NULL; /* what it cancels must not call by it */
    sx_http_client_free(client);
    sx_tls_unref(p->tls);
    jwt_keys_free(p->keys);
    p->tls = NULL;
    p->keys = NULL;
    p->fetched_ms = p->keys_ms = 0;
}

void oidc_place_free(oidc_place *p)
{
    if (!p)
        return;
    place_clear(p);
    sx_arena_done(&p->arena);
    sx_free(p);
}

static sx_status place_make(auth *a, sx_loop *loop, oidc_place *p, const auth_config *config,
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

static sx_status place_of(auth *a, sx_loop *loop, const auth_config *config, oidc_place **out,
                          sx_error *err)
{
    unsigned index = sx_loop_index(loop);
    if (index >= OIDC_LOOPS_MAX)
        return sx_fail(err, SX_ELIMIT, "more than %d loops", OIDC_LOOPS_MAX);
    oidc_place **slot = &a->oidc->places[index];
    if (!*slot) {
        *slot = sx_calloc(1, sizeof **slot);
        if (!*slot)
            return sx_fail_memory(err, "the provider");
        sx_arena_init(&(*slot)->arena, 0, 1 << 20);
    }
    *out = *slot;
    if ((*slot)->client && (*slot)->config == config)
        return SX_OK;
    return place_make(a, loop, *slot, config, err);
}

oidc_flow *oidc_flow_new(auth *a, const auth_config *config, sx_loop *loop, sx_request *r,
                         sx_error *err)
{
    oidc_place *at = NULL;
    if (place_of(a, loop, config, &at, err) != SX_OK)
        return NULL;
    oidc_flow *f = sx_calloc(1, sizeof *f);
    if (!f) {
        sx_fail_memory(err, "the provider");
        return NULL;
    }
    *f = (oidc_flow){.a = a, .at = at, .config = config, .loop = loop, .r = r};
    sx_str *const texts[] = {&f->state,        &f->nonce,           &f->verifier,      &f->to,
                             &f->id_token,     &f->access_token,    &f->refresh_token, &f->subject,
                             &f->claims.token, &f->claims.userinfo, &f->user.login};
    for (size_t i = 0; i < SX_COUNT_OF(texts); i++)
        *texts[i] = SX_STR("");
    sx_arena_init(&f->arena, 0, ARENA_BYTES_MAX);
    sx_buf_init(&f->answer, ANSWER_BYTES_MAX);
    if (r)
        sx_request_hold(r);
    return f;
}

void oidc_flow_free(oidc_flow *f)
{
    sx_request *r = f->r;
    sx_buf_done(&f->answer);
    sx_arena_done(&f->arena);
    sx_free(f);
    if (r)
        sx_request_release(r);
}

void oidc_put(sx_buf *out, const char *name, sx_str value)
{
    sx_buf_printf(out, "%s%s=", out->len ? "&" : "", name);
    sx_url_encode(value, out);
}

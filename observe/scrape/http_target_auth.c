/* http_target_auth.c - credentials of a configuration as they are at each request, and OAuth 2.0.
 *
 * Secrets in files are read again each time: whoever rotates them has to tell nobody. A token is
 * asked for when the first call needs it; calls that come meanwhile wait for the same answer. */
#include "observe/scrape/http_target_internal.h"

#include <sextant/json.h>
#include <sextant/url.h>

#include "codec/base64.h"

enum {
    TOKEN_MS_MAX = 60000,      /* for an answer */
    TOKEN_EARLY_MS = 10000,    /* renewed so long before it expires */
    TOKEN_BYTES_MAX = 1 << 20, /* of an answer */
    TOKEN_SHOWN_BYTES = 200    /* of an answer that is an error */
};

/* ---- header fields ---- */

size_t http_auth_fields_max(const prom_http_config *config)
{
    size_t n = 1;
    for (uint32_t i = 0; i < config->header_count; i++)
        n += config->headers[i].value_count + config->headers[i].secret_count +
             config->headers[i].file_count;
    return n;
}

/* A file's text without space at its ends. */
static sx_status read_text(sx_str path, const char *what, sx_buf *out, sx_error *err)
{
    sx_status st = sx_file_read(path.data, HTTP_SECRET_BYTES_MAX, out, err);
    if (st != SX_OK)
        return sx_error_prefix(err, st, "unable to read %s %.*s", what, SX_ARG(path));
    sx_str text = sx_str_trim_all(sx_buf_view(out));
    size_t before = text.len ? (size_t)(text.data - out->data) : out->len;
    sx_buf_consume(out, before);
    out->len = text.len;
    return SX_OK;
}

static sx_status add(sx_arena *arena, sx_header *out, size_t *count, sx_str name, sx_str value,
                     sx_error *err)
{
    sx_str copy = sx_arena_copy(arena, value);
    if (!copy.data)
        return sx_fail_memory(err, "a request's header fields");
    out[(*count)++] = (sx_header){name, copy};
    return SX_OK;
}

static sx_status write_basic(const prom_http_config *c, sx_buf *out, sx_error *err)
{
    sx_buf pair, password;
    sx_status st = SX_OK;
    sx_buf_init(&pair, 0);
    sx_buf_init(&password, 0);
    if (c->basic_auth.username_file.len)
        st = read_text(c->basic_auth.username_file, "basic auth username", &pair, err);
    else
        sx_buf_str(&pair, c->basic_auth.username);
    sx_buf_byte(&pair, ':');
    if (st == SX_OK && c->basic_auth.password.file.len)
        st = read_text(c->basic_auth.password.file, "basic auth password", &password, err);
    else
        sx_buf_str(&password, c->basic_auth.password.text);
    sx_buf_str(&pair, sx_buf_view(&password));
    sx_buf_str(out, SX_STR("Basic "));
    sx_base64_encode(sx_buf_view(&pair), out);
    out->failed |= pair.failed || password.failed;
    sx_buf_done(&pair);
    sx_buf_done(&password);
    return st;
}

static sx_status write_authorization(const prom_http_config *c, sx_buf *out, sx_error *err)
{
    sx_buf secret;
    sx_status st = SX_OK;
    sx_buf_init(&secret, 0);
    if (c->authorization.credentials.file.len)
        st = read_text(c->authorization.credentials.file, "authorization credentials file", &secret,
                       err);
    else
        sx_buf_str(&secret, c->authorization.credentials.text);
    sx_buf_str(out, c->authorization.type);
    sx_buf_byte(out, ' ');
    sx_buf_str(out, sx_buf_view(&secret));
    out->failed |= secret.failed;
    sx_buf_done(&secret);
    return st;
}

static bool has_field(const sx_header *fields, size_t count, sx_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (sx_str_ieq(fields[i].name, name))
            return true;
    }
    return false;
}

static sx_status add_own(const prom_http_config *c, sx_arena *arena, sx_header *out, size_t *count,
                         sx_error *err)
{
    sx_status st = SX_OK;
    for (uint32_t i = 0; i < c->header_count && st == SX_OK; i++) {
        const prom_http_header *h = &c->headers[i];
        for (uint32_t k = 0; k < h->value_count && st == SX_OK; k++)
            st = add(arena, out, count, h->name, h->values[k], err);
        for (uint32_t k = 0; k < h->secret_count && st == SX_OK; k++)
            st = add(arena, out, count, h->name, h->secrets[k], err);
        for (uint32_t k = 0; k < h->file_count && st == SX_OK; k++) {
            sx_buf text;
            sx_buf_init(&text, 0);
            st = read_text(h->files[k], "headers file", &text, err);
            if (st == SX_OK)
                st = add(arena, out, count, h->name, sx_buf_view(&text), err);
            sx_buf_done(&text);
        }
    }
    return st;
}

sx_status http_auth_fields(prom_http *h, sx_arena *arena, sx_header *out, size_t *count,
                           sx_error *err)
{
    const prom_http_config *c = h->config;
    bool is_needed = (c->basic_auth.set || c->authorization.set || h->token) &&
                     !has_field(out, *count, SX_STR("authorization"));
    sx_status st = SX_OK;
    if (is_needed) {
        sx_buf text;
        sx_buf_init(&text, 0);
        if (c->basic_auth.set)
            st = write_basic(c, &text, err);
        else if (c->authorization.set)
            st = write_authorization(c, &text, err);
        else
            sx_buf_str(&text, sx_buf_view(&h->token->field));
        if (st == SX_OK)
            st = sx_buf_status(&text, "credentials", err);
        if (st == SX_OK && text.len)
            st = add(arena, out, count, SX_STR("Authorization"), sx_buf_view(&text), err);
        sx_buf_done(&text);
    }
    return st == SX_OK ? add_own(c, arena, out, count, err) : st;
}

/* ---- tokens ---- */

void http_token_forget(http_token *t)
{
    sx_buf_clear(&t->field);
}

/* As Go's url.QueryEscape: a space is '+'. */
static void write_form(sx_buf *out, sx_str text)
{
    while (text.len) {
        size_t space = sx_str_find_byte(text, ' ');
        sx_url_encode(sx_str_first(text, space), out);
        if (space < text.len)
            sx_buf_byte(out, '+');
        text = sx_str_from(text, space + 1);
    }
}

static void write_pair(sx_buf *out, sx_str name, sx_str value)
{
    if (out->len)
        sx_buf_byte(out, '&');
    write_form(out, name);
    sx_buf_byte(out, '=');
    write_form(out, value);
}

static void write_request(const http_token *t, const prom_http_config *c, sx_buf *body,
                          sx_buf *field)
{
    sx_buf scopes, pair;
    sx_buf_init(&scopes, 0);
    sx_buf_init(&pair, 0);
    for (uint32_t i = 0; i < c->oauth2.scope_count; i++) {
        if (i)
            sx_buf_byte(&scopes, ' ');
        sx_buf_str(&scopes, c->oauth2.scopes[i]);
    }
    if (t->in_body) {
        write_pair(body, SX_STR("client_id"), c->oauth2.client_id);
        write_pair(body, SX_STR("client_secret"), sx_buf_view(&t->secret));
    } else { /* RFC 6749, section 2.3.1 */
        write_form(&pair, c->oauth2.client_id);
        sx_buf_byte(&pair, ':');
        write_form(&pair, sx_buf_view(&t->secret));
        sx_buf_str(field, SX_STR("Basic "));
        sx_base64_encode(sx_buf_view(&pair), field);
    }
    write_pair(body, SX_STR("grant_type"), SX_STR("client_credentials"));
    if (scopes.len)
        write_pair(body, SX_STR("scope"), sx_buf_view(&scopes));
    for (uint32_t i = 0; i < c->oauth2.endpoint_param_count; i++)
        write_pair(body, c->oauth2.endpoint_params[i].name, c->oauth2.endpoint_params[i].value);
    body->failed |= scopes.failed || pair.failed;
    sx_buf_done(&scopes);
    sx_buf_done(&pair);
}

/* "expires_in" is a number, or a number in a text. */
static void read_seconds(sx_json *r, double *out)
{
    sx_str text;
    if (sx_json_peek(r) == SX_JSON_STRING) {
        int64_t whole = 0;
        if (sx_json_read_str(r, &text) && sx_str_to_i64(text, &whole))
            *out = (double)whole;
    } else if (!sx_json_take_null(r)) {
        sx_json_read_double(r, out);
    }
}

typedef struct token_answer {
    sx_str access, type;
    double seconds;
} token_answer;

static sx_status read_json(sx_arena *arena, sx_str text, token_answer *out, sx_error *err)
{
    sx_json r;
    sx_str key;
    sx_json_init(&r, text, &(sx_json_options){.arena = arena});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key)) {
        if (sx_str_eq(key, SX_STR("access_token")))
            sx_json_read_str(&r, &out->access);
        else if (sx_str_eq(key, SX_STR("token_type")))
            sx_json_read_str(&r, &out->type);
        else if (sx_str_eq(key, SX_STR("expires_in")))
            read_seconds(&r, &out->seconds);
    }
    return sx_json_finish(&r, err);
}

static sx_status read_form(sx_arena *arena, sx_str text, token_answer *out, sx_error *err)
{
    sx_str name, value;
    while (sx_query_next(&text, &name, &value)) {
        sx_str decoded;
        int64_t whole;
        sx_status st = sx_percent_decode(arena, value, SX_PERCENT_FORM, &decoded, err);
        if (st != SX_OK)
            return st;
        if (sx_str_eq(name, SX_STR("access_token")))
            out->access = decoded;
        else if (sx_str_eq(name, SX_STR("token_type")))
            out->type = decoded;
        else if (sx_str_eq(name, SX_STR("expires_in")) && sx_str_to_i64(decoded, &whole))
            out->seconds = (double)whole;
    }
    return SX_OK;
}

/* The type as it is sent: some servers answer "bearer" and want "Bearer". */
static sx_str type_of(sx_str type)
{
    static const sx_str KNOWN[] = {SX_STR_INIT("Bearer"), SX_STR_INIT("MAC"), SX_STR_INIT("Basic")};
    for (size_t i = 0; i < SX_COUNT_OF(KNOWN); i++) {
        if (sx_str_ieq(type, KNOWN[i]))
            return KNOWN[i];
    }
    return type.len ? type : KNOWN[0];
}

static sx_status take_answer(http_token *t, const prom_http_answer *a, int64_t now_ms,
                             sx_error *err)
{
    token_answer got = {0};
    sx_arena arena;
    if (a->status < 200 || a->status > 299)
        return sx_fail(err, SX_EACCESS, "oauth2: cannot fetch token: %d %s\nResponse: %.*s",
                       a->status, sx_http_reason(a->status),
                       SX_ARG(sx_str_first(a->body, TOKEN_SHOWN_BYTES)));
    sx_arena_init(&arena, 0, 0);
    sx_str type;
    sx_str_cut(a->content_type, ';', &type, &(sx_str){0});
    type = sx_str_trim(type);
    bool is_form = sx_str_ieq(type, SX_STR("application/x-www-form-urlencoded")) ||
                   sx_str_ieq(type, SX_STR("text/plain"));
    sx_status st =
        is_form ? read_form(&arena, a->body, &got, err) : read_json(&arena, a->body, &got, err);
    if (st != SX_OK)
        sx_error_prefix(err, st, "oauth2: cannot parse the answer");
    else if (got.access.len == 0)
        st = sx_fail(err, SX_EFORMAT, "oauth2: server response missing access_token");
    if (st == SX_OK) {
        sx_buf_clear(&t->field);
        sx_buf_str(&t->field, type_of(got.type));
        sx_buf_byte(&t->field, ' ');
        sx_buf_str(&t->field, got.access);
        st = sx_buf_status(&t->field, "a token", err);
        double most = 1e12;
        got.seconds = got.seconds < most ? got.seconds : most;
        t->expires_ms =
            got.seconds > 0 ? now_ms + (int64_t)(got.seconds * 1000) - TOKEN_EARLY_MS : 0;
    }
    sx_arena_done(&arena);
    return st;
}

static sx_status ask(http_token *t, const prom_http_config *c, sx_error *err);

static void on_token(void *ctx, const prom_http_answer *a)
{
    prom_http *h = ctx;
    http_token *t = h->token;
    sx_error err = {0};
    t->fetch = NULL;
    sx_status st = a->result;
    if (st != SX_OK) {
        err = *a->error;
        if (st != SX_ECANCELED)
            sx_error_prefix(&err, st, "oauth2: cannot fetch token");
    } else {
        st = take_answer(t, a, sx_loop_now_ms(h->loop), &err);
        /* Which of the two ways to send credentials a server wants it does not say. */
        if (st == SX_EACCESS && !t->knows_way && !t->in_body) {
            t->in_body = true;
            if (ask(t, h->config, NULL) == SX_OK)
                return;
        }
        t->knows_way = st == SX_OK;
        t->in_body &= st == SX_OK;
    }
    while (!sx_list_empty(&t->waiting)) {
        sx_list *link = sx_list_pop_front(&t->waiting);
        http_call_later(SX_CONTAINER_OF(link, prom_http_call, wait), st == SX_OK ? NULL : &err);
    }
}

static sx_status ask(http_token *t, const prom_http_config *c, sx_error *err)
{
    sx_buf body, field;
    sx_buf_init(&body, 0);
    sx_buf_init(&field, 0);
    write_request(t, c, &body, &field);
    body.failed |= field.failed;
    tsdb_label fields[] = {
        {SX_STR("Content-Type"), SX_STR("application/x-www-form-urlencoded")},
        {SX_STR("Authorization"), sx_buf_view(&field)},
    };
    prom_http_request r = {.method = SX_STR("POST"),
                           .url = c->oauth2.token_url,
                           .headers = fields,
                           .header_count = field.len ? 2 : 1,
                           .body = sx_buf_view(&body),
                           .timeout_ms = TOKEN_MS_MAX,
                           .body_bytes_max = TOKEN_BYTES_MAX,
                           .accept_gzip = true};
    sx_status st = sx_buf_status(&body, "a request for a token", err);
    if (st == SX_OK)
        st = prom_http_send(t->client, &r, on_token, t->waiting_for, &t->fetch, err);
    sx_buf_done(&body);
    sx_buf_done(&field);
    return st;
}

/* Reads the secret; another one than before makes the token worthless. */
static sx_status read_secret(http_token *t, const prom_secret *secret, sx_error *err)
{
    sx_buf text;
    sx_status st = SX_OK;
    if (!secret->file.len) {
        if (t->secret.len == 0)
            sx_buf_str(&t->secret, secret->text);
        return sx_buf_status(&t->secret, "a secret", err);
    }
    sx_buf_init(&text, 0);
    st = read_text(secret->file, "oauth2 client secret", &text, err);
    if (st == SX_OK && !sx_str_eq(sx_buf_view(&text), sx_buf_view(&t->secret))) {
        sx_buf_done(&t->secret);
        t->secret = text;
        http_token_forget(t);
        return SX_OK;
    }
    sx_buf_done(&text);
    return st;
}

sx_status http_token_await(prom_http *h, prom_http_call *call, bool *waits, sx_error *err)
{
    http_token *t = h->token;
    *waits = false;
    sx_status st = read_secret(t, &h->config->oauth2.client_secret, err);
    if (st != SX_OK)
        return st;
    bool is_good = t->field.len && (t->expires_ms == 0 || sx_loop_now_ms(h->loop) < t->expires_ms);
    if (is_good)
        return SX_OK;
    if (!t->fetch)
        st = ask(t, h->config, err);
    if (st != SX_OK)
        return st;
    sx_list_push_back(&t->waiting, &call->wait);
    *waits = true;
    return SX_OK;
}

sx_status http_token_new(prom_http *h, const sx_kit *kit, http_token **out, sx_error *err)
{
    http_token *t = sx_calloc(1, sizeof(*t));
    if (!t)
        return sx_fail_memory(err, "an OAuth client");
    t->config = (prom_http_config){.follow_redirects = true,
                                   .enable_http2 = true,
                                   .tls = h->config->oauth2.tls,
                                   .proxy = h->config->oauth2.proxy};
    t->waiting_for = h;
    sx_buf_init(&t->field, 0);
    sx_buf_init(&t->secret, 0);
    sx_list_init(&t->waiting);
    sx_status st = prom_http_new(h->loop, kit, &t->config, &(prom_http_limits){0}, &t->client, err);
    if (st != SX_OK) {
        sx_free(t);
        return sx_error_prefix(err, st, "oauth2");
    }
    *out = t;
    return SX_OK;
}

void http_token_free(http_token *t)
{
    if (!t)
        return;
    prom_http_free(t->client);
    sx_assert(sx_list_empty(&t->waiting));
    sx_buf_done(&t->field);
    sx_buf_done(&t->secret);
    sx_free(t);
}

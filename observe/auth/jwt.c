/* jwt.c - see jwt.h. */
#include "observe/auth/jwt.h"

#include <sextant/json.h>
#include <sextant/mem.h>

#include "codec/base64.h"
#include "net/signature.h"

enum { AUDIENCES_MAX = 32, KID_BYTES_MAX = 256, CLAIM_DEPTH_MAX = 8 };

typedef struct jwt_key {
    sx_str kid; /* in the arena; empty: none */
    sx_verify_key *key;
} jwt_key;

struct jwt_keys {
    sx_arena arena;
    jwt_key items[JWT_KEYS_MAX];
    size_t count;
};

/* base64url without padding, as RFC 7515 has it: nothing else. */
static bool decode(sx_arena *arena, sx_str in, sx_str *out)
{
    size_t len;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.data[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    char *to = sx_arena_alloc(arena, sx_base64_bytes(in.len));
    if (!to || in.len % 4 == 1 || !sx_base64_decode_into(in, to, &len))
        return false;
    *out = sx_str_of(to, len);
    return true;
}

/* ---- keys ---- */

typedef struct jwk {
    sx_str kty, use, alg, kid, crv, n, e, x, y;
} jwk;

static bool read_jwk(sx_json *r, jwk *k)
{
    sx_str key;
    const struct {
        const char *name;
        sx_str *to;
    } FIELDS[] = {{"kty", &k->kty}, {"use", &k->use}, {"alg", &k->alg},
                  {"kid", &k->kid}, {"crv", &k->crv}, {"n", &k->n},
                  {"e", &k->e},     {"x", &k->x},     {"y", &k->y}};
    *k = (jwk){0};
    if (!sx_json_enter_object(r))
        return false;
    while (sx_json_next_key(r, &key))
        for (size_t i = 0; i < SX_COUNT_OF(FIELDS); i++)
            if (sx_str_eq(key, sx_str_z(FIELDS[i].name)) && !sx_json_read_str(r, FIELDS[i].to))
                return false;
    return true;
}

static bool may_sign(const jwk *k, sx_str alg)
{
    return (!k->use.len || sx_str_eq(k->use, SX_STR("sig"))) &&
           (!k->alg.len || sx_str_eq(k->alg, alg)) && k->kid.len <= KID_BYTES_MAX;
}

/* Keys that make no sense are passed over as those of other kinds: one of them must not keep everybody
 * out. */
static sx_status add_key(jwt_keys *keys, const jwk *k, sx_error *err)
{
    sx_str first, second;
    sx_verify_key *made = NULL;
    sx_status status = SX_OK;
    if (sx_str_eq(k->kty, SX_STR("RSA")) && may_sign(k, SX_STR("RS256"))) {
        if (decode(&keys->arena, k->n, &first) && decode(&keys->arena, k->e, &second))
            status = sx_verify_key_rsa(first, second, &made, err);
    } else if (sx_str_eq(k->kty, SX_STR("EC")) && sx_str_eq(k->crv, SX_STR("P-256")) &&
               may_sign(k, SX_STR("ES256"))) {
        if (decode(&keys->arena, k->x, &first) && decode(&keys->arena, k->y, &second))
            status = sx_verify_key_p256(first, second, &made, err);
    }
    if (status == SX_ENOMEM || !made)
        return status == SX_ENOMEM ? status : SX_OK;
    sx_str kid = sx_arena_copy(&keys->arena, k->kid);
    if (!kid.data) {
        sx_verify_key_free(made);
        return sx_fail_memory(err, "the provider's keys");
    }
    keys->items[keys->count++] = (jwt_key){kid, made};
    return SX_OK;
}

sx_status jwt_keys_parse(sx_str json, jwt_keys **out, sx_error *err)
{
    sx_json r;
    sx_str name;
    if (json.len > JWT_JWKS_BYTES_MAX)
        return sx_fail(err, SX_ELIMIT, "the provider's keys have more than %d bytes",
                       JWT_JWKS_BYTES_MAX);
    jwt_keys *keys = sx_calloc(1, sizeof *keys);
    if (!keys)
        return sx_fail_memory(err, "the provider's keys");
    sx_arena_init(&keys->arena, 0, 4 << 20);
    sx_json_init(&r, json, &(sx_json_options){.arena = &keys->arena});
    sx_json_enter_object(&r);
    sx_status status = SX_OK;
    while (status == SX_OK && sx_json_next_key(&r, &name)) {
        if (!sx_str_eq(name, SX_STR("keys")))
            continue;
        sx_json_enter_array(&r);
        while (status == SX_OK && sx_json_next_item(&r)) {
            jwk k;
            if (!read_jwk(&r, &k))
                break;
            if (keys->count < JWT_KEYS_MAX)
                status = add_key(keys, &k, err);
        }
    }
    if (status == SX_OK)
        status = sx_json_finish(&r, err);
    if (status != SX_OK) {
        jwt_keys_free(keys);
        return sx_error_prefix(err, status, "the provider's keys");
    }
    *out = keys;
    return SX_OK;
}

void jwt_keys_free(jwt_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->count; i++)
        sx_verify_key_free(keys->items[i].key);
    sx_arena_done(&keys->arena);
    sx_free(keys);
}

size_t jwt_keys_count(const jwt_keys *keys)
{
    return keys->count;
}

/* ---- tokens ---- */

typedef struct parts {
    sx_str signed_part, header, claims, signature;
} parts;

static bool cut(sx_str token, sx_arena *arena, parts *out)
{
    sx_str header, rest, claims, signature;
    if (token.len > JWT_BYTES_MAX || !sx_str_cut(token, '.', &header, &rest) ||
        !sx_str_cut(rest, '.', &claims, &signature))
        return false;
    out->signed_part = sx_str_first(token, header.len + 1 + claims.len);
    return header.len && claims.len && decode(arena, header, &out->header) &&
           decode(arena, claims, &out->claims) && decode(arena, signature, &out->signature);
}

typedef struct head {
    sx_str alg, kid;
    bool critical;
} head;

static sx_status read_head(sx_str text, sx_arena *arena, head *out, sx_error *err)
{
    sx_json r;
    sx_str key;
    *out = (head){0};
    sx_json_init(&r, text, &(sx_json_options){.arena = arena});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key)) {
        if (sx_str_eq(key, SX_STR("alg")))
            sx_json_read_str(&r, &out->alg);
        else if (sx_str_eq(key, SX_STR("kid")))
            sx_json_read_str(&r, &out->kid);
        else if (sx_str_eq(key, SX_STR("crit")))
            out->critical = true;
    }
    return sx_json_finish(&r, err);
}

/* A token that names no key is tried with all that have its algorithm. */
static sx_status check_signature(const parts *p, const head *h, const jwt_keys *keys, sx_error *err)
{
    bool fits = false;
    if (h->critical)
        return sx_fail(err, SX_EACCESS, "the token needs extensions that nobody here knows");
    for (size_t i = 0; i < keys->count; i++) {
        const jwt_key *k = &keys->items[i];
        if (!sx_str_eq(h->alg, sx_verify_key_algorithm(k->key)) ||
            (h->kid.len && !sx_str_eq(h->kid, k->kid)))
            continue;
        fits = true;
        if (sx_verify(k->key, p->signed_part, p->signature))
            return SX_OK;
    }
    bool known = sx_str_eq(h->alg, SX_STR("RS256")) || sx_str_eq(h->alg, SX_STR("ES256"));
    if (!known)
        return sx_fail(err, SX_EACCESS, "the token is signed by '%.*s'; only RS256 and ES256 count",
                       SX_ARG(sx_str_first(h->alg, 32)));
    return fits ? sx_fail(err, SX_EACCESS, "the token's signature is wrong")
                : sx_fail(err, SX_ENOTFOUND, "the provider has no key '%.*s'",
                          SX_ARG(sx_str_first(h->kid, 64)));
}

typedef struct facts {
    sx_str issuer, nonce, azp, subject, audiences[AUDIENCES_MAX];
    size_t audience_count;
    double exp, iat, nbf;
    bool has_exp, has_iat, has_nbf;
} facts;

static void read_audience(sx_json *r, facts *f)
{
    if (sx_json_peek(r) == SX_JSON_STRING) {
        f->audience_count = sx_json_read_str(r, &f->audiences[0]);
        return;
    }
    for (sx_json_enter_array(r); sx_json_next_item(r);) {
        sx_str one;
        if (!sx_json_read_str(r, &one))
            return;
        if (f->audience_count < AUDIENCES_MAX)
            f->audiences[f->audience_count++] = one;
    }
}

static sx_status read_facts(sx_str text, sx_arena *arena, facts *f, sx_error *err)
{
    sx_json r;
    sx_str key;
    *f = (facts){0};
    const struct {
        const char *name;
        sx_str *text;
        double *number;
        bool *has;
    } FIELDS[] = {{"iss", &f->issuer, NULL, NULL},     {"nonce", &f->nonce, NULL, NULL},
                  {"azp", &f->azp, NULL, NULL},        {"sub", &f->subject, NULL, NULL},
                  {"exp", NULL, &f->exp, &f->has_exp}, {"iat", NULL, &f->iat, &f->has_iat},
                  {"nbf", NULL, &f->nbf, &f->has_nbf}};
    sx_json_init(&r, text, &(sx_json_options){.arena = arena});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key)) {
        if (sx_str_eq(key, SX_STR("aud"))) {
            f->audience_count = 0;
            read_audience(&r, f);
            continue;
        }
        for (size_t i = 0; i < SX_COUNT_OF(FIELDS); i++) {
            if (!sx_str_eq(key, sx_str_z(FIELDS[i].name)))
                continue;
            if (FIELDS[i].text)
                sx_json_read_str(&r, FIELDS[i].text);
            else
                *FIELDS[i].has = sx_json_read_double(&r, FIELDS[i].number);
        }
    }
    return sx_json_finish(&r, err);
}

static bool is_us(const jwt_expect *e, sx_str audience)
{
    bool us = sx_str_eq(audience, e->client);
    for (size_t i = 0; i < e->audience_count; i++)
        us = us || sx_str_eq(audience, e->audiences[i]);
    return us;
}

static sx_status check_facts(const facts *f, const jwt_expect *e, sx_error *err)
{
    double now = (double)e->now_s, skew = (double)e->skew_s;
    bool for_us = false;
    for (size_t i = 0; i < f->audience_count; i++)
        for_us = for_us || is_us(e, f->audiences[i]);
    if (!sx_str_eq(f->issuer, e->issuer))
        return sx_fail(err, SX_EACCESS, "the token's issuer is another one: '%.*s'",
                       SX_ARG(sx_str_first(f->issuer, 128)));
    if (!for_us)
        return sx_fail(err, SX_EACCESS, "the token is for another client");
    if ((f->audience_count > 1 || f->azp.len) && !is_us(e, f->azp))
        return sx_fail(err, SX_EACCESS, "the token was given to another client");
    if (!f->has_exp || !(now < f->exp + skew))
        return sx_fail(err, SX_EACCESS, "the token has expired");
    if (!f->has_iat || !(f->iat <= now + skew) || (f->has_nbf && !(f->nbf <= now + skew)))
        return sx_fail(err, SX_EACCESS, "the token is of the future; are the clocks right?");
    if (e->nonce.len && !sx_str_eq(f->nonce, e->nonce))
        return sx_fail(err, SX_EACCESS, "the token is the answer to another question");
    return f->subject.len ? SX_OK : sx_fail(err, SX_EACCESS, "the token is of nobody");
}

sx_status jwt_verify(sx_str token, const jwt_keys *keys, const jwt_expect *expect, sx_arena *arena,
                     sx_str *claims, sx_error *err)
{
    parts p;
    head h;
    facts f;
    if (!cut(token, arena, &p))
        return sx_fail(err, SX_EFORMAT, "the identity token is no signed token of three parts");
    sx_status status = read_head(p.header, arena, &h, err);
    if (status != SX_OK)
        return sx_error_prefix(err, status, "the token's header");
    status = check_signature(&p, &h, keys, err);
    if (status != SX_OK)
        return status;
    status = read_facts(p.claims, arena, &f, err);
    if (status != SX_OK)
        return sx_error_prefix(err, status, "the token's claims");
    status = check_facts(&f, expect, err);
    if (status == SX_OK)
        *claims = p.claims;
    return status;
}

/* ---- claims ---- */

typedef struct wanted {
    sx_str *out;
    size_t most, count;
} wanted;

static void take_value(sx_json *r, wanted *w)
{
    sx_json_token kind = sx_json_peek(r);
    bool truth;
    if (w->count == w->most)
        return;
    if (kind == SX_JSON_STRING) {
        if (sx_json_read_str(r, &w->out[w->count]))
            w->count++;
    } else if (kind == SX_JSON_TRUE || kind == SX_JSON_FALSE) {
        if (sx_json_read_bool(r, &truth))
            w->out[w->count++] = truth ? SX_STR("true") : SX_STR("false");
    } else if (kind == SX_JSON_NUMBER) {
        if (sx_json_read_number(r, &w->out[w->count]))
            w->count++;
    }
}

static void walk(sx_json *r, sx_str path, wanted *w, unsigned depth);

/* The value that `path`, whatever is left of it, leads to. */
static void take(sx_json *r, sx_str path, wanted *w, unsigned depth)
{
    sx_json_token kind = sx_json_peek(r);
    if (kind == SX_JSON_ARRAY && depth < CLAIM_DEPTH_MAX) {
        for (sx_json_enter_array(r); sx_json_next_item(r);)
            take(r, path, w, depth + 1);
    } else if (kind == SX_JSON_OBJECT && path.len) {
        walk(r, path, w, depth + 1);
    } else if (!path.len) {
        take_value(r, w);
    }
}

static void walk(sx_json *r, sx_str path, wanted *w, unsigned depth)
{
    sx_str key;
    if (depth == CLAIM_DEPTH_MAX || !sx_json_enter_object(r))
        return;
    while (sx_json_next_key(r, &key)) {
        if (sx_str_eq(key, path))
            take(r, SX_STR(""), w, depth);
        else if (path.len > key.len + 1 && sx_str_starts(path, key) && path.data[key.len] == '.')
            take(r, sx_str_from(path, key.len + 1), w, depth);
    }
}

size_t jwt_claim(sx_str claims, sx_str path, sx_arena *arena, sx_str *out, size_t most)
{
    sx_json r;
    wanted w = {.out = out, .most = most};
    sx_json_init(&r, claims, &(sx_json_options){.arena = arena});
    if (path.len)
        walk(&r, path, &w, 0);
    return w.count;
}

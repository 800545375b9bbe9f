/* admit.c - each request's way past the door.
 *
 *     class of the route -> who asks -> origin, where a browser sends the credentials by itself
 *         -> role enough? -> handler, 401 or 403
 *
 * Who asks is the first of: a token of ours (Bearer, or Basic as api_key), the trusted proxy's header,
 * a password or token of other kind, a session's cookie, nobody. Nothing here touches the disk; a
 * password of Basic credentials that is not known yet is hashed in the pool while the request waits.
 * HOT with sign-in: about 1 us, most of it SHA-256 of the cookie. */
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <sextant/mem.h>

#include "codec/base64.h"
#include "observe/auth/auth_impl.h"
#include "observe/auth/origin.h"
#include "observe/auth/password.h"

enum { CREDENTIALS_MAX = 2048 };

static const sx_str TOKEN_MARK = SX_STR_INIT("sxt_");

static bool is_read(const sx_request *r)
{
    return r->method == SX_GET || r->method == SX_HEAD || r->method == SX_OPTIONS;
}

/* What a browser sends along by itself counts only for pages of our own. */
static bool is_forged(const auth *a, const sx_request *r, auth_way way, auth_class class)
{
    bool told;
    if (is_read(r) || way == AUTH_WAY_TOKEN || way == AUTH_WAY_PASSWORD || way == AUTH_WAY_WEB)
        return false;
    bool foreign = origin_is_foreign(r, a->external_url, &told);
    if (way == AUTH_WAY_SESSION)
        return foreign || !told;
    if (way == AUTH_WAY_HEADER)
        return foreign;
    return foreign && class != AUTH_CLASS_READ && class != AUTH_CLASS_INTAKE;
}

/* ---- who asks ---- */

sx_str auth_cookie(const sx_request *r, sx_str name)
{
    for (size_t i = 0; i < r->header_count; i++) {
        sx_str rest = r->headers[i].value, one, key, value;
        if (!sx_str_ieq(r->headers[i].name, SX_STR("cookie")))
            continue;
        while (rest.len) {
            sx_str_cut(rest, ';', &one, &rest);
            sx_str_cut(sx_str_trim(one), '=', &key, &value);
            if (sx_str_eq(key, name) && value.len)
                return value;
        }
    }
    return SX_STR("");
}

static bool find_session(auth *a, const auth_config *config, sx_request *r, auth_who *who)
{
    sx_str cookie = auth_cookie(r, SX_STR(AUTH_COOKIE));
    return cookie.len &&
           auth_store_session_find(a->store, cookie, config->session.idle_ms, &r->arena, who);
}

/* The header's value if it is there once: twice, and one of them is the client's own. */
static sx_str only_header(const sx_request *r, sx_str name)
{
    sx_str found = {NULL, 0};
    for (size_t i = 0; i < r->header_count; i++) {
        if (!sx_str_ieq(r->headers[i].name, name))
            continue;
        if (found.data)
            return SX_STR("");
        found = r->headers[i].value;
    }
    return found.data ? found : SX_STR("");
}

static bool find_header(const auth_config *config, sx_request *r, auth_who *who)
{
    const auth_trusted *t = &config->trusted;
    char text[AUTH_LOGIN_MAX];
    sx_str login, role;
    sx_str value = t->on ? only_header(r, t->header) : SX_STR("");
    if (!value.len || !sx_exempt_has(&config->nets, sx_str_z(r->peer->address)) ||
        !auth_login_clean(value, text, &login))
        return false;
    *who = (auth_who){.login = sx_arena_copy(&r->arena, login), .role = (auth_role)t->default_role};
    who->name = t->name_header.len ? only_header(r, t->name_header) : SX_STR("");
    role = t->role_header.len ? only_header(r, t->role_header) : SX_STR("");
    if (role.len && t->role_count)
        who->role = auth_config_role(t->roles, t->role_count, role, who->role);
    else if (role.len)
        (void)auth_role_parse(role, &who->role);
    if (!who->name.len)
        who->name = who->login;
    return who->login.data != NULL;
}

typedef struct credentials {
    sx_str token;          /* of ours */
    sx_str user, password; /* of Basic */
    bool given, basic;
} credentials;

static void read_credentials(sx_request *r, credentials *out)
{
    sx_str scheme, rest, text;
    size_t len;
    sx_str given = sx_request_header(r, SX_STR("authorization"));
    *out = (credentials){.given = given.len > 0};
    sx_str_cut(given, ' ', &scheme, &rest);
    rest = sx_str_trim(rest);
    if (sx_str_ieq(scheme, SX_STR("bearer")) && sx_str_starts(rest, TOKEN_MARK))
        out->token = rest;
    if (!sx_str_ieq(scheme, SX_STR("basic")) || rest.len > CREDENTIALS_MAX)
        return;
    char *to = sx_arena_alloc(&r->arena, sx_base64_bytes(rest.len));
    if (!to || !sx_base64_decode_into(rest, to, &len))
        return;
    text = sx_str_of(to, len);
    if (!sx_str_cut(text, ':', &out->user, &out->password))
        return;
    out->basic = true;
    if (sx_str_starts(out->password,
                      TOKEN_MARK)) /* api_key, or any name: the token says whose it is */
        out->token = out->password;
}

/* ---- the verdict ---- */

static void answer_denied(sx_request *r, const auth_identity *id, auth_role need)
{
    static const char *const WORDS[AUTH_ROLES] = {
        [AUTH_NONE] = "an account",
        [AUTH_VIEWER] = "the role viewer",
        [AUTH_EDITOR] = "the role editor",
        [AUTH_ADMIN] = "the role admin",
    };
    if (id->who.role != AUTH_NONE && id->way != AUTH_WAY_NOBODY) {
        sx_str text = sx_arena_printf(&r->arena, "this needs %s; %.*s has %.*s", WORDS[need],
                                      SX_ARG(id->who.login), SX_ARG(auth_role_name(id->who.role)));
        auth_refuse(r, 403, "forbidden", text.data ? text : SX_STR("not allowed"));
        return;
    }
    /* Not Basic: a browser would ask for it above the page, which has a form of its own. */
    (void)sx_reply_header(r, SX_STR("www-authenticate"), SX_STR("Bearer realm=\"sextant\""));
    auth_refuse(r, 401, "unauthorized", SX_STR("sign in, or send a token"));
}

static sx_admission judge(auth *a, sx_request *r, const auth_who *who, auth_way way,
                          auth_class class)
{
    const auth_config *config = auth_config_of(a);
    auth_role need = config->need[class];
    auth_identity *id = sx_arena_alloc(&r->arena, sizeof *id);
    if (!id) {
        sx_reply_error(r, 503, NULL);
        return SX_ADMIT_TAKEN;
    }
    *id = (auth_identity){.who = *who, .way = way, .auth = a};
    if (id->who.role < (auth_role)config->anonymous)
        id->who.role = (auth_role)config->anonymous;
    sx_request_identify(r, who->login, id);
    if (is_forged(a, r, way, class)) {
        if (way == AUTH_WAY_SESSION)
            auth_note(a, r, who->login, "request.foreign", r->path, false);
        auth_refuse(r, 403, "forbidden",
                    SX_STR("the request comes from another site's page, or from a program that "
                           "does not say from where; programs send a token"));
        return SX_ADMIT_TAKEN;
    }
    bool self = class == AUTH_CLASS_SELF && way == AUTH_WAY_NOBODY;
    if (id->who.role >= need && !self)
        return SX_ADMIT_YES;
    answer_denied(r, id, need);
    return SX_ADMIT_TAKEN;
}

/* ---- passwords of Basic credentials ---- */

/* One on its way through the pool; in its request's arena, which is held. */
typedef struct job {
    auth *a;
    sx_request *r;
    auth_who who;
    auth_class class;
    sx_str hash, password;
    uint8_t digest[32];
    int64_t began_ms;
    bool exists, right, late;
} job;

static void digest_of(const auth *a, sx_str login, sx_str hash, sx_str password, uint8_t out[32])
{
    const sx_str parts[] = {login, hash, password};
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    bool ok = sum && EVP_DigestInit_ex(sum, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(sum, a->key, sizeof a->key) == 1;
    for (size_t i = 0; ok && i < SX_COUNT_OF(parts); i++) {
        uint64_t len = parts[i].len; /* before it: no two triples give the same bytes */
        ok = EVP_DigestUpdate(sum, &len, sizeof len) == 1 &&
             EVP_DigestUpdate(sum, parts[i].data, parts[i].len) == 1;
    }
    if (!ok || EVP_DigestFinal_ex(sum, out, NULL) != 1)
        memset(out, 0, 32); /* known to nobody */
    EVP_MD_CTX_free(sum);
}

static bool is_known(auth *a, const uint8_t digest[32])
{
    static const uint8_t NONE[32];
    bool found = false;
    pthread_mutex_lock(&a->known_lock);
    for (size_t i = 0; i < AUTH_KNOWN_WAYS && !found; i++) {
        size_t set = digest[0] % AUTH_KNOWN_SETS;
        found = a->known[set][i].used && CRYPTO_memcmp(a->known[set][i].digest, digest, 32) == 0;
    }
    pthread_mutex_unlock(&a->known_lock);
    return found && memcmp(digest, NONE, sizeof NONE) != 0;
}

static void make_known(auth *a, const uint8_t digest[32])
{
    pthread_mutex_lock(&a->known_lock);
    size_t set = digest[0] % AUTH_KNOWN_SETS, way = a->known_turn++ % AUTH_KNOWN_WAYS;
    memcpy(a->known[set][way].digest, digest, 32);
    a->known[set][way].used = true;
    pthread_mutex_unlock(&a->known_lock);
}

static void check_password(void *arg)
{
    job *j = arg;
    j->late = auth_is_late(j->a, j->began_ms);
    j->right = !j->late && auth_password_matches(j->exists ? j->hash : SX_STR(""), j->password) &&
               j->exists;
}

static const auth_who NOBODY = {.login = SX_STR_INIT(""), .name = SX_STR_INIT("")};

static void password_checked(sx_loop *loop, void *arg)
{
    (void)loop;
    job *j = arg;
    sx_request *r = j->r;
    if (j->late) {
        if (r->status == 0)
            auth_refuse_for(r, 503, 5, SX_STR(AUTH_LATE));
        sx_request_release(r);
        return;
    }
    if (j->right) {
        make_known(j->a, j->digest);
        sx_limiter_forget(j->a->by_login, j->who.login);
    } else {
        auth_note(j->a, r, j->who.login, "signin.failed", SX_STR("basic authentication"), false);
    }
    if (r->status == 0 &&
        judge(j->a, r, j->right ? &j->who : &NOBODY, j->right ? AUTH_WAY_PASSWORD : AUTH_WAY_NOBODY,
              j->class) == SX_ADMIT_YES)
        sx_request_admit(r);
    sx_request_release(r);
}

static sx_admission ask_password(auth *a, sx_request *r, const credentials *given, auth_class class)
{
    char text[AUTH_LOGIN_MAX];
    sx_str login;
    job *j = sx_arena_calloc(&r->arena, 1, sizeof *j);
    if (!j) {
        sx_reply_error(r, 503, NULL);
        return SX_ADMIT_TAKEN;
    }
    *j = (job){.a = a,
               .r = r,
               .class = class,
               .password = given->password,
               .who = NOBODY,
               .began_ms = sx_clock_ms(a->clock)};
    j->exists = auth_login_clean(given->user, text, &login) &&
                auth_store_password(a->store, login, &r->arena, &j->hash, &j->who);
    if (!j->exists && sx_service_has_users(a->service))
        return SX_ADMIT_USERS;
    digest_of(a, j->who.login, j->hash, j->password, j->digest);
    if (j->exists && is_known(a, j->digest))
        return judge(a, r, &j->who, AUTH_WAY_PASSWORD, class);
    sx_limit_answer answer;
    if (!auth_address_allowed(a, r))
        return SX_ADMIT_TAKEN;
    if (j->exists && !sx_limiter_take(a->by_login, j->who.login, 1, &answer)) {
        auth_refuse_for(r, 429, answer.retry_after_ms / 1000 + 1,
                        SX_STR("too many tries with this login; wait a little"));
        return SX_ADMIT_TAKEN;
    }
    sx_request_hold(r);
    if (sx_pool_submit(a->passwords, r->loop, check_password, password_checked, j, NULL) != SX_OK) {
        auth_refuse_for(r, 503, 1, SX_STR(AUTH_LATE));
        sx_request_release(r);
    }
    return SX_ADMIT_TAKEN;
}

/* ---- the door ---- */

/* Pages and sign-in work with credentials that are no longer good, too. */
static sx_admission refuse_credentials(auth *a, sx_request *r, auth_class class, const char *why)
{
    if (class == AUTH_CLASS_OPEN)
        return judge(a, r, &NOBODY, AUTH_WAY_NOBODY, class);
    (void)sx_reply_header(r, SX_STR("www-authenticate"),
                          SX_STR("Bearer realm=\"sextant\", error=\"invalid_token\""));
    auth_refuse(r, 401, "unauthorized", sx_str_z(why));
    return SX_ADMIT_TAKEN;
}

static sx_admission identify(auth *a, sx_request *r, auth_class class)
{
    const auth_config *config = auth_config_of(a);
    auth_who who = NOBODY;
    credentials given;
    read_credentials(r, &given);
    if (given.token.len) {
        if (auth_store_token_find(a->store, given.token, &r->arena, &who))
            return judge(a, r, &who, AUTH_WAY_TOKEN, class);
        return refuse_credentials(a, r, class, "the token is unknown, ended or expired");
    }
    if (find_header(config, r, &who))
        return judge(a, r, &who, AUTH_WAY_HEADER, class);
    if (given.basic && class != AUTH_CLASS_OPEN)
        return ask_password(a, r, &given, class);
    if (given.given && class != AUTH_CLASS_OPEN)
        return sx_service_has_users(a->service)
                   ? SX_ADMIT_USERS
                   : refuse_credentials(a, r, class, "these credentials are of no known kind");
    if (find_session(a, config, r, &who))
        return judge(a, r, &who, AUTH_WAY_SESSION, class);
    return judge(a, r, &NOBODY, AUTH_WAY_NOBODY, class);
}

sx_admission auth_admit(auth *a, sx_request *r, const sx_route *route)
{
    sx_str path = sx_str_z(route->path);
    if (route->flags & AUTH_ROUTE_PREFIXED)
        path = sx_str_from(path, a->prefix.len);
    auth_class class =
        route->flags & SX_ROUTE_ADMIN ? AUTH_CLASS_ADMIN : auth_class_of(r->method, path, r->path);
    sx_str web = sx_request_user(r);
    if (web.len && !auth_identity_of(r)) { /* the web configuration's users were asked */
        auth_who who = {.login = web, .name = web, .role = AUTH_ADMIN};
        return judge(a, r, &who, AUTH_WAY_WEB, class);
    }
    return identify(a, r, class);
}

/* web_auth.c - see web_auth.h. */
#include "service/web_auth.h"

#include <pthread.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <sextant/limiter.h>
#include <sextant/mem.h>
#include <sextant/random.h>

#include "codec/base64.h"
#include "net/exchange.h"
#include "service/service_internal.h"

enum {
    CACHE_SETS = 256,
    CACHE_WAYS = 4,
    WAITING_MAX = 64, /* requests that wait for the pool: more are answered 503 */
    CREDENTIALS_BYTES_MAX = 1024,
    KEY_BYTES = 32
};

/* What a password was found to be. */
typedef struct known {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    bool used, right;
} known;

/* A configuration in force, and those before it, which requests may still read. */
typedef struct published {
    struct published *next;
    sx_web_config *config;
    sx_limiter *limiter; /* of all requests together; NULL: none */
} published;

struct sx_web_auth {
    published *now; /* atomic */
    sx_pool *pool;
    unsigned char key[KEY_BYTES]; /* of the digests: another one in each process */
    pthread_mutex_t lock;         /* of the cache: held for a few compares */
    known cache[CACHE_SETS][CACHE_WAYS];
    unsigned turn; /* which way gives way next */
    sx_counter *outcomes[4];
};

enum { ALLOWED, DENIED, MISSING, BUSY };

/* One password on its way through the pool. In its request's arena; the request is held. */
typedef struct job {
    sx_web_auth *auth;
    sx_request *r;
    sx_str user, hash, password;
    bool exists; /* the user; else the hash is another's, so that it takes as long */
    bool right;
    unsigned char digest[SHA256_DIGEST_LENGTH];
} job;

/* ---- life ---- */

sx_status sx_web_auth_new(sx_metrics *metrics, sx_web_auth **out, sx_error *err)
{
    static const char *const LABELS[] = {"outcome"};
    static const sx_str OUTCOMES[] = {SX_STR_INIT("allowed"), SX_STR_INIT("denied"),
                                      SX_STR_INIT("missing"), SX_STR_INIT("busy")};
    sx_metric_options options = {.name = "http_authentications_total",
                                 .help = "Requests by what their credentials were worth.",
                                 .labels = LABELS,
                                 .label_count = 1};
    sx_metric *metric;
    sx_status status = sx_metric_new(metrics, &options, &metric, err);
    if (status)
        return status;
    sx_web_auth *w = (sx_web_auth *)sx_calloc(1, sizeof(*w));
    if (!w)
        return sx_fail_memory(err, "the authentication");
    pthread_mutex_init(&w->lock, NULL);
    for (size_t i = 0; i < SX_COUNT_OF(OUTCOMES); i++)
        w->outcomes[i] = sx_metric_counter(metric, &OUTCOMES[i], 1);
    sx_pool_options pool = {.name = "passwords", .queue_max = WAITING_MAX};
    status = sx_random_bytes(w->key, sizeof(w->key), err);
    if (status == SX_OK)
        status = sx_pool_new(&pool, &w->pool, err);
    if (status) {
        sx_web_auth_free(w);
        return status;
    }
    *out = w;
    return SX_OK;
}

void sx_web_auth_stop(sx_web_auth *w)
{
    if (w && w->pool)
        sx_pool_free(w->pool);
    if (w)
        w->pool = NULL;
}

void sx_web_auth_free(sx_web_auth *w)
{
    if (!w)
        return;
    sx_web_auth_stop(w);
    while (w->now) {
        published *next = w->now->next;
        sx_web_config_free(w->now->config);
        sx_limiter_free(w->now->limiter);
        sx_free(w->now);
        w->now = next;
    }
    pthread_mutex_destroy(&w->lock);
    OPENSSL_cleanse(w, sizeof(*w));
    sx_free(w);
}

/* One bucket for everybody. */
static sx_status make_limiter(const sx_web_config *config, sx_limiter **out, sx_error *err)
{
    int64_t ns = config->rate_interval_ns;
    if (ns == 0)
        return SX_OK;
    bool whole = ns % 1000000 == 0; /* milliseconds */
    uint64_t each_second = 1000000000 / (uint64_t)ns;
    sx_rate rate = {.kind = SX_RATE_TOKEN_BUCKET,
                    .count = whole || each_second == 0 ? 1 : (uint32_t)each_second,
                    .period_ms = whole || each_second == 0 ? (uint32_t)(ns / 1000000) : 1000,
                    .burst = config->rate_burst};
    const sx_limiter_options options = {
        .name = "web.config.file", .rates = {rate}, .rate_count = 1, .keys_max = 1};
    sx_status status = sx_limiter_new(&options, out, err);
    return status ? sx_error_prefix(err, status, "rate_limit") : SX_OK;
}

sx_status sx_web_auth_apply(sx_web_auth *w, sx_web_config *config, sx_error *err)
{
    published *fresh = (published *)sx_calloc(1, sizeof(*fresh));
    if (!fresh)
        return sx_fail_memory(err, "the users");
    sx_status status = make_limiter(config, &fresh->limiter, err);
    if (status) {
        sx_free(fresh);
        return status;
    }
    fresh->config = config;
    fresh->next = w->now;
    __atomic_store_n(&w->now, fresh, __ATOMIC_RELEASE);
    return SX_OK;
}

const sx_web_config *sx_web_auth_config(const sx_web_auth *w)
{
    const published *now = __atomic_load_n(&w->now, __ATOMIC_ACQUIRE);
    return now ? now->config : NULL;
}

/* ---- what passwords were found to be ---- */

/* Each part with its length before it, so that no two triples give the same bytes. */
static void digest_of(const sx_web_auth *w, sx_str user, sx_str hash, sx_str password,
                      unsigned char out[SHA256_DIGEST_LENGTH])
{
    const sx_str parts[] = {user, hash, password};
    unsigned char text[KEY_BYTES + 3 * sizeof(uint32_t) + 60 + CREDENTIALS_BYTES_MAX];
    size_t len = KEY_BYTES;
    memcpy(text, w->key, KEY_BYTES);
    for (size_t i = 0; i < SX_COUNT_OF(parts); i++) {
        uint32_t bytes = (uint32_t)parts[i].len;
        sx_assert(len + sizeof(bytes) + bytes <= sizeof(text));
        memcpy(text + len, &bytes, sizeof(bytes));
        len += sizeof(bytes);
        if (bytes)
            memcpy(text + len, parts[i].data, bytes);
        len += bytes;
    }
    SHA256(text, len, out);
    OPENSSL_cleanse(text, len);
}

/* Whether it is known, and then what. */
static bool recall(sx_web_auth *w, const unsigned char *digest, bool *right)
{
    bool found = false;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < CACHE_WAYS && !found; i++) {
        const known *k = &w->cache[digest[0]][i];
        found = k->used && memcmp(k->digest, digest, SHA256_DIGEST_LENGTH) == 0;
        if (found)
            *right = k->right;
    }
    pthread_mutex_unlock(&w->lock);
    return found;
}

/* Takes a free place of its set, else one that a wrong password has, else the next in turn: whoever
 * tries passwords does not push out those who know theirs. */
static void remember(sx_web_auth *w, const unsigned char *digest, bool right)
{
    pthread_mutex_lock(&w->lock);
    known *set = w->cache[digest[0]], *place = NULL;
    for (size_t i = 0; i < CACHE_WAYS && !place; i++)
        if (!set[i].used)
            place = &set[i];
    for (size_t i = 0; i < CACHE_WAYS && !place; i++)
        if (!set[(w->turn + i) % CACHE_WAYS].right)
            place = &set[(w->turn + i) % CACHE_WAYS];
    if (!place && right)
        place = &set[w->turn % CACHE_WAYS];
    w->turn++;
    if (place) {
        memcpy(place->digest, digest, SHA256_DIGEST_LENGTH);
        place->used = true;
        place->right = right;
    }
    pthread_mutex_unlock(&w->lock);
}

/* ---- answers ---- */

static void challenge(sx_web_auth *w, sx_request *r, int outcome)
{
    const sx_web_config *config = sx_web_auth_config(w);
    sx_counter_add(w->outcomes[outcome], 1);
    if (config->user_count > 0)
        (void)sx_reply_header(r, SX_STR("www-authenticate"),
                              SX_STR("Basic realm=\"sextant\", charset=\"UTF-8\""));
    if (config->token_count > 0)
        (void)sx_reply_header(r, SX_STR("www-authenticate"), SX_STR("Bearer realm=\"sextant\""));
    sx_reply_error(r, 401, NULL);
}

static void decide(sx_web_auth *w, sx_request *r, sx_request_state *state, sx_str user, bool right)
{
    if (!right) {
        challenge(w, r, DENIED);
        return;
    }
    sx_counter_add(w->outcomes[ALLOWED], 1);
    state->user = user;
    sx_chain_admitted(r, state);
}

/* ---- passwords ---- */

static void check_password(void *arg)
{
    job *j = (job *)arg;
    bool matches = sx_bcrypt_matches(j->hash, j->password);
    j->right = matches && j->exists;
}

static void password_checked(sx_loop *loop, void *arg)
{
    (void)loop;
    job *j = (job *)arg;
    sx_request *r = j->r;
    sx_request_state *state = sx_request_state_of(r);
    remember(j->auth, j->digest, j->right);
    if (sx_exchange_of(r)->state == SX_EXCHANGE_HEAD) { /* else the client has gone meanwhile */
        const sx_context *outer = sx_context_enter(&state->context);
        decide(j->auth, r, state, j->user, j->right);
        sx_context_leave(outer);
    }
    sx_request_release(r);
}

static void ask_pool(sx_web_auth *w, sx_request *r, const job *from)
{
    job *j = (job *)sx_arena_alloc(&r->arena, sizeof(*j));
    if (j) {
        *j = *from;
        sx_request_hold(r);
        if (sx_pool_submit(w->pool, r->loop, check_password, password_checked, j, NULL) == SX_OK)
            return;
        sx_request_release(r);
    }
    sx_counter_add(w->outcomes[BUSY], 1);
    (void)sx_reply_header(r, SX_STR("retry-after"), SX_STR("1"));
    sx_reply_error(r, 503, "too many passwords wait to be checked; try again later");
}

/* The user and password of Basic credentials; false if they are too long or no base64. */
static bool decode_credentials(sx_arena *arena, sx_str in, sx_str *out)
{
    if (in.len > CREDENTIALS_BYTES_MAX / 3 * 4 + 2)
        return false;
    size_t len;
    char *to = (char *)sx_arena_alloc(arena, sx_base64_bytes(in.len));
    if (!to || !sx_base64_decode_into(in, to, &len))
        return false;
    *out = sx_str_of(to, len);
    return true;
}

static void ask_basic(sx_web_auth *w, sx_request *r, sx_request_state *state, sx_str credentials)
{
    const sx_web_config *config = sx_web_auth_config(w);
    sx_str text;
    job j = {.auth = w, .r = r};
    bool right = false;
    if (config->user_count == 0 || !decode_credentials(&r->arena, credentials, &text) ||
        !sx_str_cut(text, ':', &j.user, &j.password)) {
        challenge(w, r, DENIED);
        return;
    }
    j.hash = config->users[0].hash;
    for (size_t i = 0; i < config->user_count; i++) {
        if (sx_str_eq(config->users[i].name, j.user)) {
            j.exists = true;
            j.hash = config->users[i].hash;
        }
    }
    /* Of a user that does not exist without the borrowed hash: it could be another's right one. */
    digest_of(w, j.user, j.exists ? j.hash : SX_STR(""), j.password, j.digest);
    if (recall(w, j.digest, &right))
        decide(w, r, state, j.user, right && j.exists);
    else
        ask_pool(w, r, &j);
}

/* ---- tokens ---- */

/* All are compared, each as long as any other. */
static void ask_bearer(sx_web_auth *w, sx_request *r, sx_request_state *state, sx_str token)
{
    const sx_web_config *config = sx_web_auth_config(w);
    unsigned char digest[SHA256_DIGEST_LENGTH];
    sx_str user = {NULL, 0};
    SHA256((const unsigned char *)token.data, token.len, digest);
    for (size_t i = 0; i < config->token_count; i++)
        if (CRYPTO_memcmp(config->tokens[i].sha256, digest, sizeof(digest)) == 0)
            user = config->tokens[i].name;
    decide(w, r, state, user, user.data != NULL);
}

void sx_web_auth_ask(sx_web_auth *w, sx_request *r, sx_request_state *state)
{
    const sx_web_config *config = sx_web_auth_config(w);
    sx_limiter *limiter = __atomic_load_n(&w->now, __ATOMIC_ACQUIRE)->limiter;
    sx_limit_answer answer;
    if (limiter && !sx_limiter_take(limiter, SX_STR("all"), 1, &answer)) {
        sx_reply_error(r, 429, NULL);
        return;
    }
    if (config->user_count == 0 && config->token_count == 0) {
        sx_chain_admitted(r, state); /* the file is about TLS alone */
        return;
    }
    sx_str scheme, credentials;
    sx_str given = sx_headers_get(&state->seen, SX_SEEN_AUTHORIZATION);
    sx_str_cut(given, ' ', &scheme, &credentials);
    credentials = sx_str_trim(credentials);
    if (sx_str_ieq(scheme, SX_STR("basic")))
        ask_basic(w, r, state, credentials);
    else if (sx_str_ieq(scheme, SX_STR("bearer")) && credentials.len > 0)
        ask_bearer(w, r, state, credentials);
    else
        challenge(w, r, given.len ? DENIED : MISSING);
}

/* tls.c - TLS contexts: certificates, verification, ALPN, resumption, reload.
 *
 * An sx_tls has one current "generation": an SSL_CTX for each certificate, read-only once built.
 * A reload builds a new one from the same files and swaps the pointer under a lock; connections hold
 * the generation they began with. The keys of session tickets are carried over, so that clients
 * resume their sessions across a reload. */
#include "net/tls_internal.h"

#include <pthread.h>
#include <errno.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <sextant/mem.h>

enum { TICKET_KEY_BYTES = 80, SESSIONS_MOST = 64, HOST_BYTES = 256 };

/* A client's last session with a server, for resumption. */
typedef struct kept_session {
    char host[HOST_BYTES];
    SSL_SESSION *session;
} kept_session;

struct tls_generation {
    uint32_t refs; /* atomic */
    bool is_server, http2, verifies;
    size_t count;
    SSL_CTX **contexts;            /* one a certificate; a client has one */
    pthread_mutex_t sessions_lock; /* guards the two below; clients on several loops share them */
    kept_session *sessions;
    unsigned session_next;
};

struct sx_tls {
    uint32_t refs; /* atomic */
    bool is_server;
    pthread_mutex_t lock; /* guards `current` */
    tls_generation *current;
    /* The options, copied: a reload reads the same files. */
    sx_tls_certificate *certificates;
    size_t certificate_count;
    char *ca_file;
    sx_tls_verify verify;
    bool http2;
};

static const unsigned char ALPN_BOTH[] = "\x02h2\x08http/1.1";
static const unsigned char ALPN_HTTP1[] = "\x08http/1.1";

const char *tls_reason(void)
{
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : "TLS failed without a reason";
}

/* ---- generations ---- */

void tls_generation_unref(tls_generation *g)
{
    if (!g || __atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < g->count; i++)
        SSL_CTX_free(g->contexts[i]);
    for (size_t i = 0; g->sessions && i < SESSIONS_MOST; i++)
        SSL_SESSION_free(g->sessions[i].session);
    pthread_mutex_destroy(&g->sessions_lock);
    sx_free(g->sessions);
    sx_free(g->contexts);
    sx_free(g);
}

tls_generation *tls_generation_current(sx_tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    tls_generation *g = tls->current;
    __atomic_add_fetch(&g->refs, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&tls->lock);
    return g;
}

bool tls_generation_is_server(const tls_generation *g)
{
    return g->is_server;
}

/* ---- a server's choices during the handshake ---- */

/* The context whose certificate names `name`; the first when none does. */
static int choose_certificate(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    tls_generation *g = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name)
        return SSL_TLSEXT_ERR_NOACK;
    for (size_t i = 0; i < g->count; i++) {
        X509 *cert = SSL_CTX_get0_certificate(g->contexts[i]);
        if (cert && X509_check_host(cert, name, 0, 0, NULL) == 1) {
            SSL_set_SSL_CTX(ssl, g->contexts[i]);
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_OK;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    tls_generation *g = arg;
    const unsigned char *ours = g->http2 ? ALPN_BOTH : ALPN_HTTP1;
    unsigned ours_len = g->http2 ? sizeof(ALPN_BOTH) - 1 : sizeof(ALPN_HTTP1) - 1;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, ours, ours_len, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301, section 3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- a client's sessions ---- */

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    tls_generation *g = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!host || strlen(host) >= HOST_BYTES)
        return 0;
    pthread_mutex_lock(&g->sessions_lock);
    kept_session *slot = NULL;
    for (unsigned i = 0; i < SESSIONS_MOST && !slot; i++) {
        if (strcmp(g->sessions[i].host, host) == 0)
            slot = &g->sessions[i];
    }
    if (!slot)
        slot = &g->sessions[g->session_next++ % SESSIONS_MOST];
    SSL_SESSION_free(slot->session);
    slot->session = session; /* returning 1 below makes it ours */
    memcpy(slot->host, host, strlen(host) + 1);
    pthread_mutex_unlock(&g->sessions_lock);
    return 1;
}

static void offer_session(tls_generation *g, SSL *ssl, const char *host)
{
    pthread_mutex_lock(&g->sessions_lock);
    for (unsigned i = 0; i < SESSIONS_MOST; i++) {
        if (g->sessions[i].session && strcmp(g->sessions[i].host, host) == 0) {
            SSL_set_session(ssl, g->sessions[i].session);
            break;
        }
    }
    pthread_mutex_unlock(&g->sessions_lock);
}

SSL *tls_generation_ssl(tls_generation *g, sx_str server_name)
{
    SSL *ssl = SSL_new(g->contexts[0]);
    if (!ssl || g->is_server)
        return ssl;
    char host[HOST_BYTES];
    if (server_name.len == 0 || server_name.len >= sizeof(host)) {
        if (!g->verifies)
            return ssl;
        SSL_free(ssl); /* a certificate that may be for anybody proves nothing */
        return NULL;
    }
    memcpy(host, server_name.data, server_name.len);
    host[server_name.len] = '\0';
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, host) ==
        1) /* an address: no SNI, RFC 6066 section 3 */
        return ssl;
    ERR_clear_error();
    if (SSL_set_tlsext_host_name(ssl, host) != 1 ||
        (g->verifies && SSL_set1_host(ssl, host) != 1)) {
        SSL_free(ssl);
        return NULL;
    }
    offer_session(g, ssl, host);
    return ssl;
}

/* ---- building ---- */

/* A file that is missing is told apart from one that is wrong. */
static sx_status fail_file(sx_error *err, const char *what, const char *file)
{
    const char *reason = tls_reason();
    if (access(file, R_OK) != 0)
        return sx_fail_os(err, errno, "%s '%s' cannot be read", what, file);
    return sx_fail(err, SX_EINVAL, "%s '%s': %s", what, file, reason);
}

static SSL_CTX *new_context(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (!ctx)
        return NULL;
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Forward secrecy and AEAD only, for 1.2; those of 1.3 are all of this kind. */
    SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    return ctx;
}

static sx_status load_pair(SSL_CTX *ctx, const char *chain_file, const char *key_file,
                           sx_error *err)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, chain_file) != 1)
        return fail_file(err, "certificate file", chain_file);
    if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        return fail_file(err, "key file", key_file);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return sx_fail(err, SX_EINVAL, "key file '%s' does not belong to certificate '%s': %s",
                       key_file, chain_file, tls_reason());
    return SX_OK;
}

static sx_status load_server(sx_tls *tls, tls_generation *g, size_t i, sx_error *err)
{
    SSL_CTX *ctx = new_context(TLS_server_method());
    if (!ctx)
        return sx_fail_memory(err, "a TLS context");
    g->contexts[g->count++] = ctx;
    sx_status rc =
        load_pair(ctx, tls->certificates[i].chain_file, tls->certificates[i].key_file, err);
    if (rc != SX_OK)
        return rc;
    SSL_CTX_set_tlsext_servername_callback(ctx, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(ctx, g);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, g);
    /* Tickets only: a cache on our side would be memory for every client ever seen. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"sextant", 7);
    if (tls->verify == SX_TLS_VERIFY_NONE)
        return SX_OK;
    if (SSL_CTX_load_verify_locations(ctx, tls->ca_file, NULL) != 1)
        return fail_file(err, "client CA file", tls->ca_file);
    SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(tls->ca_file));
    SSL_CTX_set_verify(
        ctx,
        SSL_VERIFY_PEER |
            (tls->verify == SX_TLS_VERIFY_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        NULL);
    return SX_OK;
}

static sx_status load_client(sx_tls *tls, tls_generation *g, sx_error *err)
{
    SSL_CTX *ctx = new_context(TLS_client_method());
    if (!ctx)
        return sx_fail_memory(err, "a TLS context");
    g->contexts[g->count++] = ctx;
    SSL_CTX_set_app_data(ctx, g);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    const unsigned char *alpn = tls->http2 ? ALPN_BOTH : ALPN_HTTP1;
    if (SSL_CTX_set_alpn_protos(ctx, alpn, (unsigned)strlen((const char *)alpn)) != 0)
        return sx_fail_memory(err, "a TLS context");
    if (tls->certificate_count) {
        sx_status rc =
            load_pair(ctx, tls->certificates[0].chain_file, tls->certificates[0].key_file, err);
        if (rc != SX_OK)
            return rc;
    }
    if (tls->verify == SX_TLS_VERIFY_NONE)
        return SX_OK;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (tls->ca_file && SSL_CTX_load_verify_locations(ctx, tls->ca_file, NULL) != 1)
        return fail_file(err, "CA file", tls->ca_file);
    if (!tls->ca_file && SSL_CTX_set_default_verify_paths(ctx) != 1)
        return sx_fail(err, SX_EINVAL,
                       "the system's root certificates cannot be read: %s; name "
                       "a CA file",
                       tls_reason());
    return SX_OK;
}

static sx_status build(sx_tls *tls, tls_generation **out, sx_error *err)
{
    tls_generation *g = sx_calloc(1, sizeof(*g));
    if (!g)
        return sx_fail_memory(err, "a TLS context");
    size_t count = tls->is_server ? tls->certificate_count : 1;
    g->refs = 1;
    g->is_server = tls->is_server;
    g->http2 = tls->http2;
    g->verifies = tls->verify != SX_TLS_VERIFY_NONE;
    pthread_mutex_init(&g->sessions_lock, NULL);
    g->contexts = sx_calloc(count, sizeof(SSL_CTX *));
    if (!tls->is_server)
        g->sessions = sx_calloc(SESSIONS_MOST, sizeof(*g->sessions));
    sx_status rc = SX_OK;
    if (!g->contexts || (!tls->is_server && !g->sessions))
        rc = sx_fail_memory(err, "a TLS context");
    for (size_t i = 0; rc == SX_OK && i < count; i++)
        rc = tls->is_server ? load_server(tls, g, i, err) : load_client(tls, g, err);
    if (rc != SX_OK) {
        tls_generation_unref(g);
        return rc;
    }
    *out = g;
    return SX_OK;
}

/* All contexts of a server share the ticket keys of its first one: whichever certificate a client
 * was shown, it can resume. */
static void share_ticket_keys(tls_generation *g, const tls_generation *older)
{
    unsigned char keys[TICKET_KEY_BYTES];
    SSL_CTX *from = older ? older->contexts[0] : g->contexts[0];
    if (!g->is_server || SSL_CTX_get_tlsext_ticket_keys(from, keys, sizeof(keys)) != 1)
        return;
    for (size_t i = 0; i < g->count; i++)
        SSL_CTX_set_tlsext_ticket_keys(g->contexts[i], keys, sizeof(keys));
    OPENSSL_cleanse(keys, sizeof(keys));
}

/* ---- the public calls ---- */

static bool copy_text(const char *text, char **out)
{
    *out = NULL;
    if (!text)
        return true;
    size_t len = strlen(text);
    *out = sx_alloc(len + 1);
    if (*out)
        memcpy(*out, text, len + 1);
    return *out != NULL;
}

static void tls_free(sx_tls *tls)
{
    tls_generation_unref(tls->current);
    for (size_t i = 0; i < tls->certificate_count; i++) {
        sx_free((void *)(uintptr_t)tls->certificates[i].chain_file);
        sx_free((void *)(uintptr_t)tls->certificates[i].key_file);
    }
    sx_free(tls->certificates);
    sx_free(tls->ca_file);
    pthread_mutex_destroy(&tls->lock);
    sx_free(tls);
}

static sx_status tls_new(bool is_server, const sx_tls_certificate *certificates, size_t count,
                         const char *ca_file, sx_tls_verify verify, bool http2, sx_tls **out,
                         sx_error *err)
{
    sx_tls *tls = sx_calloc(1, sizeof(*tls));
    if (!tls)
        return sx_fail_memory(err, "a TLS context");
    tls->refs = 1;
    tls->is_server = is_server;
    tls->verify = verify;
    tls->http2 = http2;
    pthread_mutex_init(&tls->lock, NULL);
    tls->certificates = sx_calloc(count ? count : 1, sizeof(*tls->certificates));
    bool is_copied = tls->certificates && copy_text(ca_file, &tls->ca_file);
    for (size_t i = 0; is_copied && i < count; i++) {
        char *chain = NULL, *key = NULL;
        is_copied = copy_text(certificates[i].chain_file, &chain) &&
                    copy_text(certificates[i].key_file, &key);
        tls->certificates[tls->certificate_count++] = (sx_tls_certificate){chain, key};
    }
    sx_status rc = is_copied ? build(tls, &tls->current, err)
                             : sx_fail_memory(err, "the file names of a TLS context");
    if (rc != SX_OK) {
        tls_free(tls);
        return rc;
    }
    share_ticket_keys(tls->current, NULL);
    *out = tls;
    return SX_OK;
}

sx_status sx_tls_server_new(const sx_tls_server_options *o, sx_tls **out, sx_error *err)
{
    if (o->certificate_count == 0)
        return sx_fail(err, SX_EINVAL, "a TLS server needs a certificate: name its chain and key");
    if (o->verify != SX_TLS_VERIFY_NONE && !o->client_ca_file)
        return sx_fail(err, SX_EINVAL, "checking client certificates needs a client CA file");
    for (size_t i = 0; i < o->certificate_count; i++) {
        if (!o->certificates[i].chain_file || !o->certificates[i].key_file)
            return sx_fail(err, SX_EINVAL, "certificate %zu lacks its chain or its key file",
                           i + 1);
    }
    return tls_new(true, o->certificates, o->certificate_count, o->client_ca_file, o->verify,
                   o->http2, out, err);
}

sx_status sx_tls_client_new(const sx_tls_client_options *o, sx_tls **out, sx_error *err)
{
    if (!o->chain_file != !o->key_file)
        return sx_fail(err, SX_EINVAL, "a client certificate needs both chain and key file");
    sx_tls_certificate own = {o->chain_file, o->key_file};
    return tls_new(false, &own, o->chain_file ? 1 : 0, o->ca_file, o->verify, o->http2, out, err);
}

sx_status sx_tls_reload(sx_tls *tls, sx_error *err)
{
    tls_generation *fresh;
    sx_status rc = build(tls, &fresh, err);
    if (rc != SX_OK)
        return rc;
    pthread_mutex_lock(&tls->lock);
    tls_generation *old = tls->current;
    share_ticket_keys(fresh, old);
    tls->current = fresh;
    pthread_mutex_unlock(&tls->lock);
    tls_generation_unref(old);
    return SX_OK;
}

sx_tls *sx_tls_ref(sx_tls *tls)
{
    if (tls)
        __atomic_add_fetch(&tls->refs, 1, __ATOMIC_RELAXED);
    return tls;
}

void sx_tls_unref(sx_tls *tls)
{
    if (tls && __atomic_sub_fetch(&tls->refs, 1, __ATOMIC_ACQ_REL) == 0)
        tls_free(tls);
}

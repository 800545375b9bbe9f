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
#include <openssl/pem.h>
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
    char **client_names; /* of a server; copied, as it may outlive its sx_tls */
    size_t client_name_count;
    char *server_name; /* of a client: in place of the host's; NULL: the host's. Copied, too */
};

/* The options, copied: a reload reads the same files. */
typedef struct tls_settings {
    sx_tls_certificate *certificates;
    size_t certificate_count;
    char *ca_file, *ciphers, *groups;
    char *ca_pem, *chain_pem, *key_pem, *server_name; /* of a client */
    char **client_names;
    size_t client_name_count;
    sx_tls_verify verify;
    sx_tls_version version_min, version_max;
    bool http2, client_order;
} tls_settings;

struct sx_tls {
    uint32_t refs; /* atomic */
    bool is_server;
    pthread_mutex_t lock; /* guards `current`; `settings` are of whoever reloads */
    tls_generation *current;
    tls_settings settings;
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
    for (size_t i = 0; i < g->client_name_count; i++)
        sx_free(g->client_names[i]);
    sx_free(g->client_names);
    sx_free(g->server_name);
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
    if (g->server_name)
        server_name = sx_str_z(g->server_name);
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

/* No terminal is asked for the password of a key. */
static int no_password(char *out, int room, int is_writing, void *ctx)
{
    (void)out, (void)room, (void)is_writing, (void)ctx;
    return 0;
}

/* The certificates of a PEM text, one after the other, to `take`, which owns them if it returns 1.
 * Returns how many there were; what is no PEM between them ends it. */
static int each_certificate(const char *pem, int (*take)(SSL_CTX *ctx, X509 *cert, int index),
                            SSL_CTX *ctx)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    X509 *cert;
    int count = 0;
    while (in && (cert = PEM_read_bio_X509(in, NULL, no_password, NULL))) {
        if (take(ctx, cert, count) != 1) {
            X509_free(cert);
            count = 0;
            break;
        }
        count++;
    }
    BIO_free(in);
    if (count)
        ERR_clear_error(); /* the end of the text counts as an error */
    return count;
}

static int take_chain(SSL_CTX *ctx, X509 *cert, int index)
{
    if (index > 0)
        return SSL_CTX_add0_chain_cert(ctx, cert) == 1;
    int ok = SSL_CTX_use_certificate(ctx, cert); /* takes a share of its own */
    if (ok == 1)
        X509_free(cert);
    return ok;
}

static int take_root(SSL_CTX *ctx, X509 *cert, int index)
{
    (void)index;
    int ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert);
    if (ok == 1)
        X509_free(cert);
    return ok;
}

/* The same as load_pair from texts. */
static sx_status load_pair_text(SSL_CTX *ctx, const char *chain, const char *key_text,
                                sx_error *err)
{
    ERR_clear_error();
    if (each_certificate(chain, take_chain, ctx) == 0)
        return sx_fail(err, SX_EINVAL, "the client's certificate is no PEM: %s", tls_reason());
    BIO *in = BIO_new_mem_buf(key_text, -1);
    EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;
    bool is_used = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;
    EVP_PKEY_free(key);
    BIO_free(in);
    if (!is_used || SSL_CTX_check_private_key(ctx) != 1)
        return sx_fail(err, SX_EINVAL,
                       "the client's key is no PEM or does not belong to its certificate: %s",
                       tls_reason());
    return SX_OK;
}

/* Whether the certificate has one of the names that the server lets in. */
static bool has_client_name(const tls_generation *g, X509 *cert)
{
    for (size_t i = 0; i < g->client_name_count; i++) {
        const char *name = g->client_names[i];
        enum { EXACT = X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT };
        if (X509_check_host(cert, name, 0, EXACT, NULL) == 1 ||
            X509_check_email(cert, name, 0, EXACT) == 1 || X509_check_ip_asc(cert, name, 0) == 1)
            return true;
        GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
        bool found = false;
        for (int k = 0; k < sk_GENERAL_NAME_num(names) && !found; k++) {
            const GENERAL_NAME *each = sk_GENERAL_NAME_value(names, k);
            const ASN1_IA5STRING *uri =
                each->type == GEN_URI ? each->d.uniformResourceIdentifier : NULL;
            found = uri && (size_t)ASN1_STRING_length(uri) == strlen(name) &&
                    memcmp(ASN1_STRING_get0_data(uri), name, strlen(name)) == 0;
        }
        GENERAL_NAMES_free(names);
        if (found)
            return true;
    }
    return false;
}

static int verify_client_name(int is_trusted, X509_STORE_CTX *store)
{
    if (!is_trusted || X509_STORE_CTX_get_error_depth(store) > 0)
        return is_trusted;
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const tls_generation *g = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (has_client_name(g, X509_STORE_CTX_get_current_cert(store)))
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

/* Whose certificate it is does not matter. */
static int verify_nothing(int is_trusted, X509_STORE_CTX *store)
{
    (void)is_trusted, (void)store;
    return 1;
}

static sx_status load_protocol(SSL_CTX *ctx, const tls_settings *set, sx_error *err)
{
    if (set->version_min && SSL_CTX_set_min_proto_version(ctx, (int)set->version_min) != 1)
        return sx_fail(err, SX_EINVAL, "least TLS version: %s", tls_reason());
    if (set->version_max && SSL_CTX_set_max_proto_version(ctx, (int)set->version_max) != 1)
        return sx_fail(err, SX_EINVAL, "greatest TLS version: %s", tls_reason());
    if (set->ciphers && SSL_CTX_set_cipher_list(ctx, set->ciphers) != 1)
        return sx_fail(err, SX_EINVAL, "TLS ciphers '%s': %s", set->ciphers, tls_reason());
    if (set->groups && SSL_CTX_set1_groups_list(ctx, set->groups) != 1)
        return sx_fail(err, SX_EINVAL, "TLS groups '%s': %s", set->groups, tls_reason());
    if (set->client_order)
        SSL_CTX_clear_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    return SX_OK;
}

static sx_status load_verify(SSL_CTX *ctx, const tls_settings *set, sx_error *err)
{
    static const int MODES[] = {
        [SX_TLS_VERIFY_NONE] = SSL_VERIFY_NONE,
        [SX_TLS_VERIFY_OPTIONAL] = SSL_VERIFY_PEER,
        [SX_TLS_VERIFY_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
        [SX_TLS_VERIFY_ASK] = SSL_VERIFY_PEER,
        [SX_TLS_VERIFY_ANY] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };
    bool checks = set->verify == SX_TLS_VERIFY_OPTIONAL || set->verify == SX_TLS_VERIFY_REQUIRED;
    if (set->verify == SX_TLS_VERIFY_NONE)
        return SX_OK;
    if (set->ca_file) {
        if (SSL_CTX_load_verify_locations(ctx, set->ca_file, NULL) != 1)
            return fail_file(err, "client CA file", set->ca_file);
        SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(set->ca_file));
    }
    SSL_CTX_set_verify(ctx, MODES[set->verify],
                       !checks                  ? verify_nothing
                       : set->client_name_count ? verify_client_name
                                                : NULL);
    return SX_OK;
}

static sx_status load_server(const tls_settings *set, tls_generation *g, size_t i, sx_error *err)
{
    SSL_CTX *ctx = new_context(TLS_server_method());
    if (!ctx)
        return sx_fail_memory(err, "a TLS context");
    g->contexts[g->count++] = ctx;
    sx_status rc =
        load_pair(ctx, set->certificates[i].chain_file, set->certificates[i].key_file, err);
    if (rc == SX_OK)
        rc = load_protocol(ctx, set, err);
    if (rc != SX_OK)
        return rc;
    SSL_CTX_set_app_data(ctx, g);
    SSL_CTX_set_tlsext_servername_callback(ctx, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(ctx, g);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, g);
    /* Tickets only: a cache on our side would be memory for every client ever seen. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"sextant", 7);
    return load_verify(ctx, set, err);
}

static sx_status load_client(const tls_settings *set, tls_generation *g, sx_error *err)
{
    SSL_CTX *ctx = new_context(TLS_client_method());
    if (!ctx)
        return sx_fail_memory(err, "a TLS context");
    g->contexts[g->count++] = ctx;
    SSL_CTX_set_app_data(ctx, g);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    const unsigned char *alpn = set->http2 ? ALPN_BOTH : ALPN_HTTP1;
    if (SSL_CTX_set_alpn_protos(ctx, alpn, (unsigned)strlen((const char *)alpn)) != 0)
        return sx_fail_memory(err, "a TLS context");
    if (set->certificate_count) {
        sx_status rc =
            load_pair(ctx, set->certificates[0].chain_file, set->certificates[0].key_file, err);
        if (rc != SX_OK)
            return rc;
    }
    if (set->chain_pem) {
        sx_status rc = load_pair_text(ctx, set->chain_pem, set->key_pem, err);
        if (rc != SX_OK)
            return rc;
    }
    /* Whoever asks for versions this old has peers that know nothing better. */
    if (set->version_min && set->version_min < SX_TLS_1_2)
        SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:AES:@SECLEVEL=0");
    sx_status rc = load_protocol(ctx, set, err);
    if (rc != SX_OK || set->verify == SX_TLS_VERIFY_NONE)
        return rc;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (set->ca_pem && each_certificate(set->ca_pem, take_root, ctx) == 0)
        return sx_fail(err, SX_EINVAL, "there is no certificate in the text of the CA: %s",
                       tls_reason());
    if (set->ca_pem)
        return SX_OK;
    if (set->ca_file && SSL_CTX_load_verify_locations(ctx, set->ca_file, NULL) != 1)
        return fail_file(err, "CA file", set->ca_file);
    if (!set->ca_file && SSL_CTX_set_default_verify_paths(ctx) != 1)
        return sx_fail(err, SX_EINVAL,
                       "the system's root certificates cannot be read: %s; name "
                       "a CA file",
                       tls_reason());
    return SX_OK;
}

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

/* `*count` rises with each that was copied, so that a half-made list can be freed. */
static bool copy_names(const char *const *names, size_t from_count, char ***out, size_t *count)
{
    if (from_count == 0)
        return true;
    *out = sx_calloc(from_count, sizeof(char *));
    for (size_t i = 0; *out && i < from_count; i++, (*count)++)
        if (!copy_text(names[i], &(*out)[i]))
            return false;
    return *out != NULL;
}

static sx_status build(bool is_server, const tls_settings *set, tls_generation **out, sx_error *err)
{
    tls_generation *g = sx_calloc(1, sizeof(*g));
    if (!g)
        return sx_fail_memory(err, "a TLS context");
    size_t count = is_server ? set->certificate_count : 1;
    g->refs = 1;
    g->is_server = is_server;
    g->http2 = set->http2;
    g->verifies = set->verify != SX_TLS_VERIFY_NONE;
    pthread_mutex_init(&g->sessions_lock, NULL);
    g->contexts = sx_calloc(count, sizeof(SSL_CTX *));
    if (!is_server)
        g->sessions = sx_calloc(SESSIONS_MOST, sizeof(*g->sessions));
    sx_status rc = SX_OK;
    if (!g->contexts || (!is_server && !g->sessions) ||
        !copy_names((const char *const *)set->client_names, set->client_name_count,
                    &g->client_names, &g->client_name_count) ||
        !copy_text(set->server_name, &g->server_name))
        rc = sx_fail_memory(err, "a TLS context");
    for (size_t i = 0; rc == SX_OK && i < count; i++)
        rc = is_server ? load_server(set, g, i, err) : load_client(set, g, err);
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

static void free_settings(tls_settings *set)
{
    if (set->key_pem)
        OPENSSL_cleanse(set->key_pem, strlen(set->key_pem));
    sx_free(set->ca_pem);
    sx_free(set->chain_pem);
    sx_free(set->key_pem);
    sx_free(set->server_name);
    for (size_t i = 0; i < set->certificate_count; i++) {
        sx_free((void *)(uintptr_t)set->certificates[i].chain_file);
        sx_free((void *)(uintptr_t)set->certificates[i].key_file);
    }
    for (size_t i = 0; i < set->client_name_count; i++)
        sx_free(set->client_names[i]);
    sx_free(set->client_names);
    sx_free(set->certificates);
    sx_free(set->ca_file);
    sx_free(set->ciphers);
    sx_free(set->groups);
}

static void tls_free(sx_tls *tls)
{
    tls_generation_unref(tls->current);
    free_settings(&tls->settings);
    pthread_mutex_destroy(&tls->lock);
    sx_free(tls);
}

/* Errors: SX_ENOMEM; `set` is to be freed then, too. */
static sx_status copy_settings(const sx_tls_server_options *o, tls_settings *set, sx_error *err)
{
    size_t count = o->certificate_count;
    *set = (tls_settings){.verify = o->verify,
                          .version_min = o->version_min,
                          .version_max = o->version_max,
                          .http2 = o->http2,
                          .client_order = o->client_order};
    set->certificates = sx_calloc(count ? count : 1, sizeof(*set->certificates));
    bool is_copied = set->certificates && copy_text(o->client_ca_file, &set->ca_file) &&
                     copy_text(o->ciphers, &set->ciphers) && copy_text(o->groups, &set->groups) &&
                     copy_names(o->client_names, o->client_name_count, &set->client_names,
                                &set->client_name_count);
    for (size_t i = 0; is_copied && i < count; i++) {
        char *chain = NULL, *key = NULL;
        is_copied = copy_text(o->certificates[i].chain_file, &chain) &&
                    copy_text(o->certificates[i].key_file, &key);
        set->certificates[set->certificate_count++] = (sx_tls_certificate){chain, key};
    }
    return is_copied ? SX_OK : sx_fail_memory(err, "the settings of a TLS context");
}

/* A text that may be absent, NUL after it. */
static bool copy_view(sx_str text, char **out)
{
    if (text.len == 0)
        return true;
    *out = sx_alloc(text.len + 1);
    if (*out) {
        memcpy(*out, text.data, text.len);
        (*out)[text.len] = '\0';
    }
    return *out != NULL;
}

/* What only clients have. */
static sx_status copy_client_settings(const sx_tls_client_options *o, tls_settings *set,
                                      sx_error *err)
{
    return copy_view(o->ca_pem, &set->ca_pem) && copy_view(o->chain_pem, &set->chain_pem) &&
                   copy_view(o->key_pem, &set->key_pem) &&
                   copy_text(o->server_name, &set->server_name)
               ? SX_OK
               : sx_fail_memory(err, "the settings of a TLS context");
}

/* `client` NULL: a server's. */
static sx_status tls_new(const sx_tls_server_options *o, const sx_tls_client_options *client,
                         sx_tls **out, sx_error *err)
{
    bool is_server = !client;
    sx_tls *tls = sx_calloc(1, sizeof(*tls));
    if (!tls)
        return sx_fail_memory(err, "a TLS context");
    tls->refs = 1;
    tls->is_server = is_server;
    pthread_mutex_init(&tls->lock, NULL);
    sx_status rc = copy_settings(o, &tls->settings, err);
    if (rc == SX_OK && client)
        rc = copy_client_settings(client, &tls->settings, err);
    if (rc == SX_OK)
        rc = build(is_server, &tls->settings, &tls->current, err);
    if (rc != SX_OK) {
        tls_free(tls);
        return rc;
    }
    share_ticket_keys(tls->current, NULL);
    *out = tls;
    return SX_OK;
}

static sx_status check_server(const sx_tls_server_options *o, sx_error *err)
{
    bool checks = o->verify == SX_TLS_VERIFY_OPTIONAL || o->verify == SX_TLS_VERIFY_REQUIRED;
    if (o->certificate_count == 0)
        return sx_fail(err, SX_EINVAL, "a TLS server needs a certificate: name its chain and key");
    if (checks && !o->client_ca_file)
        return sx_fail(err, SX_EINVAL, "checking client certificates needs a client CA file");
    if (o->client_name_count && !checks)
        return sx_fail(err, SX_EINVAL,
                       "names of clients mean nothing unless their certificates are verified");
    for (size_t i = 0; i < o->certificate_count; i++) {
        if (!o->certificates[i].chain_file || !o->certificates[i].key_file)
            return sx_fail(err, SX_EINVAL, "certificate %zu lacks its chain or its key file",
                           i + 1);
    }
    return SX_OK;
}

sx_status sx_tls_server_new(const sx_tls_server_options *o, sx_tls **out, sx_error *err)
{
    sx_status rc = check_server(o, err);
    return rc ? rc : tls_new(o, NULL, out, err);
}

sx_status sx_tls_client_new(const sx_tls_client_options *o, sx_tls **out, sx_error *err)
{
    if (!o->chain_file != !o->key_file)
        return sx_fail(err, SX_EINVAL, "a client certificate needs both chain and key file");
    if (!o->chain_pem.len != !o->key_pem.len)
        return sx_fail(err, SX_EINVAL, "a client certificate needs both chain and key");
    sx_tls_certificate own = {o->chain_file, o->key_file};
    sx_tls_server_options options = {.certificates = &own,
                                     .certificate_count = o->chain_file ? 1 : 0,
                                     .client_ca_file = o->ca_file,
                                     .verify = o->verify,
                                     .http2 = o->http2,
                                     .version_min = o->version_min,
                                     .version_max = o->version_max};
    return tls_new(&options, o, out, err);
}

/* The generation that new connections see from now on. Takes `fresh` over. */
static void swap_generation(sx_tls *tls, tls_generation *fresh)
{
    pthread_mutex_lock(&tls->lock);
    tls_generation *old = tls->current;
    share_ticket_keys(fresh, old);
    tls->current = fresh;
    pthread_mutex_unlock(&tls->lock);
    tls_generation_unref(old);
}

sx_status sx_tls_reload(sx_tls *tls, sx_error *err)
{
    tls_generation *fresh;
    sx_status rc = build(tls->is_server, &tls->settings, &fresh, err);
    if (rc == SX_OK)
        swap_generation(tls, fresh);
    return rc;
}

sx_status sx_tls_server_change(sx_tls *tls, const sx_tls_server_options *options, sx_error *err)
{
    tls_settings set = {0};
    tls_generation *fresh;
    sx_assert(tls->is_server);
    sx_status rc = check_server(options, err);
    if (rc == SX_OK)
        rc = copy_settings(options, &set, err);
    if (rc == SX_OK)
        rc = build(true, &set, &fresh, err);
    if (rc != SX_OK) {
        free_settings(&set);
        return rc;
    }
    tls_settings old = tls->settings;
    tls->settings = set;
    free_settings(&old);
    swap_generation(tls, fresh);
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

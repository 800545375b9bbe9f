/* stream_tls.c - TLS between a stream's socket and its owner.
 *
 * OpenSSL reads from and writes to a BIO of ours which has no buffer: it takes ciphertext from where
 * recv put it and gives records to the loop's cipher buffer, which goes to the socket in one write.
 * Decrypted bytes lie in the loop's plain buffer. So a TLS connection costs its SSL object, which
 * gives its own buffers back while idle (SSL_MODE_RELEASE_BUFFERS). */
#include "net/stream_internal.h"

#include <pthread.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include <sextant/mem.h>

#include "net/tls_internal.h"

enum { RECORD_BYTES_MAX = 16384, NAME_BYTES_MAX = 1024 };

struct stream_tls {
    SSL *ssl;
    tls_generation *generation;
    sx_str in;   /* ciphertext not yet read by OpenSSL; borrowed during stream_tls_input */
    sx_buf held; /* ciphertext that came while the owner had paused */
    bool notified;
    bool is_reading;                 /* stream_tls_input is on the stack */
    char *server_name, *client_name; /* what sx_peer shows */
};

/* ---- the BIO ---- */

static BIO_METHOD *bio_method; /* made once, read-only after; OpenSSL wants it to be shared */
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static int bio_read(BIO *bio, char *out, int bytes)
{
    sx_stream *s = BIO_get_data(bio);
    sx_str *in = &s->tls->in;
    BIO_clear_retry_flags(bio);
    if (in->len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = (size_t)bytes < in->len ? (size_t)bytes : in->len;
    memcpy(out, in->data, n);
    *in = sx_str_from(*in, n);
    return (int)n;
}

/* Sends what has gathered in the cipher buffer. */
static void flush_cipher(sx_stream *s)
{
    sx_loop *loop = s->loop;
    size_t len = loop->cipher_len;
    loop->cipher_len = 0;
    if (len && s->phase <= STREAM_OPEN)
        stream_send(s, sx_str_of(loop->cipher, len), sx_str_of(NULL, 0), false);
}

static int bio_write(BIO *bio, const char *data, int bytes)
{
    sx_stream *s = BIO_get_data(bio);
    sx_loop *loop = s->loop;
    size_t n = (size_t)bytes;
    BIO_clear_retry_flags(bio);
    if (n > LOOP_BUFFER_BYTES - loop->cipher_len)
        flush_cipher(s);
    if (n > LOOP_BUFFER_BYTES) { /* never: a record is shorter. But it would be right. */
        stream_send(s, sx_str_of(data, n), sx_str_of(NULL, 0), false);
        return bytes;
    }
    memcpy(loop->cipher + loop->cipher_len, data, n);
    loop->cipher_len += n;
    return bytes;
}

static long bio_ctrl(BIO *bio, int command, long number, void *ptr)
{
    (void)bio, (void)number, (void)ptr;
    return command == BIO_CTRL_FLUSH; /* all else: not known */
}

static void make_bio_method(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sextant stream");
    if (!bio_method)
        return;
    BIO_meth_set_read(bio_method, bio_read);
    BIO_meth_set_write(bio_method, bio_write);
    BIO_meth_set_ctrl(bio_method, bio_ctrl);
}

/* ---- life ---- */

static sx_status need_buffers(sx_loop *loop, sx_error *err)
{
    if (!loop->plain)
        loop->plain = sx_calloc(1, LOOP_BUFFER_BYTES + LOOP_SLACK_BYTES);
    if (!loop->cipher)
        loop->cipher = sx_calloc(1, LOOP_BUFFER_BYTES + LOOP_SLACK_BYTES);
    return loop->plain && loop->cipher ? SX_OK : sx_fail_memory(err, "the TLS buffers of a loop");
}

sx_status stream_tls_new(sx_stream *s, sx_tls *tls, sx_tls_side side, sx_str server_name,
                         sx_error *err)
{
    pthread_once(&bio_once, make_bio_method);
    if (need_buffers(s->loop, err) != SX_OK)
        return SX_ENOMEM;
    stream_tls *t = sx_calloc(1, sizeof(*t));
    if (!t)
        return sx_fail_memory(err, "a TLS connection");
    sx_buf_init(&t->held, 0);
    t->generation = tls_generation_current(tls);
    if (tls_generation_is_server(t->generation) != (side == SX_TLS_SERVER)) {
        tls_generation_unref(t->generation);
        sx_free(t);
        return sx_fail(err, SX_EINVAL, "a TLS context made for the other side of a connection");
    }
    t->ssl = tls_generation_ssl(t->generation, server_name);
    BIO *bio = t->ssl && bio_method ? BIO_new(bio_method) : NULL;
    if (!bio) {
        SSL_free(t->ssl);
        tls_generation_unref(t->generation);
        sx_free(t);
        ERR_clear_error();
        return sx_fail_memory(err, "a TLS connection");
    }
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    if (side == SX_TLS_SERVER)
        SSL_set_accept_state(t->ssl);
    else
        SSL_set_connect_state(t->ssl);
    s->tls = t;
    return SX_OK;
}

void stream_tls_free(stream_tls *t)
{
    SSL_free(t->ssl);
    tls_generation_unref(t->generation);
    sx_buf_done(&t->held);
    sx_free(t->server_name);
    sx_free(t->client_name);
    sx_free(t);
}

/* ---- the handshake ---- */

static char *copy_text(const char *text)
{
    size_t len = strlen(text);
    char *copy = sx_alloc(len + 1);
    return copy ? memcpy(copy, text, len + 1) : NULL;
}

/* What the other side said of itself: for access logs and for mutual TLS. */
static void describe_peer(sx_stream *s)
{
    stream_tls *t = s->tls;
    s->peer.tls = true;
    const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    if (name && (t->server_name = copy_text(name)))
        s->peer.tls_server_name = sx_str_z(t->server_name);
    X509 *cert = SSL_get0_peer_certificate(t->ssl);
    if (!cert || SSL_get_verify_result(t->ssl) != X509_V_OK ||
        tls_generation_is_server(t->generation) == false)
        return;
    BIO *text = BIO_new(BIO_s_mem());
    char *data;
    if (text && X509_NAME_print_ex(text, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0) {
        long len = BIO_get_mem_data(text, &data);
        size_t kept = len < 0 ? 0 : len > NAME_BYTES_MAX ? NAME_BYTES_MAX : (size_t)len;
        t->client_name = sx_alloc(kept + 1);
        if (t->client_name) {
            memcpy(t->client_name, data, kept);
            t->client_name[kept] = '\0';
            s->peer.tls_client_name = sx_str_of(t->client_name, kept);
        }
    }
    BIO_free(text);
}

/* True once the handshake is done. */
static bool shake_hands(sx_stream *s)
{
    stream_tls *t = s->tls;
    ERR_clear_error();
    int rc = SSL_do_handshake(t->ssl);
    int error = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, rc);
    const char *why = error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL ? tls_reason() : NULL;
    flush_cipher(s); /* our flight, or the alert that says why not */
    if (s->phase != STREAM_HANDSHAKE)
        return false;
    if (rc == 1) {
        describe_peer(s);
        stream_opened(s);
        return s->phase == STREAM_OPEN;
    }
    if (error != SSL_ERROR_WANT_READ)
        stream_die(s, SX_EPROTOCOL, 0, why ? why : "the TLS handshake failed");
    return false;
}

void stream_tls_start(sx_stream *s)
{
    if (!tls_generation_is_server(s->tls->generation))
        shake_hands(s);
    else if (s->tls->held.len)
        stream_due(s);
}

/* ---- reading ---- */

/* Decrypts what there is and gives it to the owner, 64 KiB at a time. */
static void read_records(sx_stream *s)
{
    stream_tls *t = s->tls;
    sx_loop *loop = s->loop;
    int error = SSL_ERROR_NONE;
    while (error == SSL_ERROR_NONE && s->phase == STREAM_OPEN && !s->paused) {
        size_t len = 0;
        while (LOOP_BUFFER_BYTES - len >= RECORD_BYTES_MAX) {
            ERR_clear_error();
            int n = SSL_read(t->ssl, loop->plain + len, RECORD_BYTES_MAX);
            if (n <= 0) {
                error = SSL_get_error(t->ssl, n);
                break;
            }
            len += (size_t)n;
        }
        const char *why =
            error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL ? tls_reason() : NULL;
        flush_cipher(s); /* key updates, alerts */
        if (len && s->phase == STREAM_OPEN)
            stream_deliver(s, sx_str_of(loop->plain, len));
        if (s->phase != STREAM_OPEN)
            return;
        if (error == SSL_ERROR_ZERO_RETURN) {
            t->in.len = 0; /* nothing counts after close_notify */
            stream_ended(s);
        } else if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) {
            stream_die(s, SX_EPROTOCOL, 0, why ? why : "a TLS record is broken");
        }
    }
}

sx_status stream_tls_hold(sx_stream *s, sx_str cipher)
{
    sx_buf_str(&s->tls->held, cipher);
    return s->tls->held.failed ? SX_ENOMEM : SX_OK;
}

bool stream_tls_has_input(const sx_stream *s)
{
    return s->tls->held.len > 0;
}

/* The owner may pause, close or even start over from within an event; what OpenSSL has not read by
 * then is kept, unless the stream has gone. */
void stream_tls_input(sx_stream *s, sx_str cipher)
{
    stream_tls *t = s->tls;
    sx_assert(!t->is_reading);
    sx_buf from = {0};
    if (t->held.len) { /* older bytes come first */
        sx_buf_str(&t->held, cipher);
        if (t->held.failed) {
            stream_die(s, SX_ENOMEM, 0, "no memory for TLS input");
            return;
        }
        from = t->held;
        sx_buf_init(&t->held, 0);
        cipher = sx_buf_view(&from);
    }
    t->in = cipher;
    t->is_reading = true;
    if (s->phase == STREAM_OPEN || (s->phase == STREAM_HANDSHAKE && shake_hands(s)))
        read_records(s);
    if (s->tls) {
        t->is_reading = false;
        if (t->in.len && s->phase == STREAM_OPEN && !s->ended && stream_tls_hold(s, t->in) != SX_OK)
            stream_die(s, SX_ENOMEM, 0, "no memory for TLS input");
        t->in = sx_str_of(NULL, 0);
    }
    sx_buf_done(&from);
}

/* ---- writing ---- */

sx_status stream_tls_write(sx_stream *s, sx_str plain)
{
    stream_tls *t = s->tls;
    while (plain.len) {
        int part = plain.len > RECORD_BYTES_MAX ? RECORD_BYTES_MAX : (int)plain.len;
        ERR_clear_error();
        int n = SSL_write(t->ssl, plain.data, part);
        if (n <= 0) {
            stream_die(s, SX_EPROTOCOL, 0, tls_reason());
            return SX_ECLOSED;
        }
        plain = sx_str_from(plain, (size_t)n);
    }
    flush_cipher(s);
    return s->phase <= STREAM_OPEN ? SX_OK : SX_ECLOSED;
}

void stream_tls_notify(sx_stream *s)
{
    if (s->tls->notified)
        return;
    s->tls->notified = true;
    ERR_clear_error();
    SSL_shutdown(s->tls->ssl);
    ERR_clear_error();
    flush_cipher(s);
}

sx_str stream_tls_alpn(const sx_stream *s)
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(s->tls->ssl, &name, &len);
    return sx_str_of(name, len);
}

bool stream_tls_is_resumed(const sx_stream *s)
{
    return SSL_session_reused(s->tls->ssl) == 1;
}

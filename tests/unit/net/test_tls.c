/* TLS: a server and a client of ours on one loop, certificates made for the test. */
#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <sextant/file.h>

#include "base/fault.h"
#include "net/stream.h"
#include "tests/unit/net/http_fixture.h"

static char folder[] = "/tmp/sx_tls_XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, 128, "%s/%s", folder, name);
    return path;
}

typedef struct pair {
    EVP_PKEY *key;
    X509 *cert;
} pair;

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

/* A certificate for `name`, signed by `ca` (NULL: a CA of its own), written as NAME.crt, NAME.key. */
static pair make(const char *name, const char *host, const pair *ca, long serial)
{
    pair p = {EVP_EC_gen("P-256"), X509_new()};
    X509_set_version(p.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(p.cert), serial);
    X509_gmtime_adj(X509_getm_notBefore(p.cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(p.cert), 3600);
    X509_set_pubkey(p.cert, p.key);
    X509_NAME *subject = X509_get_subject_name(p.cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
                               0);
    X509 *issuer = ca ? ca->cert : p.cert;
    X509_set_issuer_name(p.cert, X509_get_subject_name(issuer));
    add_extension(p.cert, issuer, NID_basic_constraints, ca ? "CA:FALSE" : "critical,CA:TRUE");
    if (host) {
        char san[64];
        snprintf(san, sizeof(san), "DNS:%s", host);
        add_extension(p.cert, issuer, NID_subject_alt_name, san);
    }
    assert_true(X509_sign(p.cert, ca ? ca->key : p.key, EVP_sha256()) > 0);
    char file[64];
    snprintf(file, sizeof(file), "%s.crt", name);
    FILE *f = fopen(path_of(file), "w");
    PEM_write_X509(f, p.cert);
    fclose(f);
    snprintf(file, sizeof(file), "%s.key", name);
    f = fopen(path_of(file), "w");
    PEM_write_PrivateKey(f, p.key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    return p;
}

static void drop(pair p)
{
    EVP_PKEY_free(p.key);
    X509_free(p.cert);
}

static pair ca;

static int make_certificates(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    ca = make("ca", NULL, NULL, 1);
    drop(make("one", "one.test", &ca, 2));
    drop(make("two", "two.test", &ca, 3));
    drop(make("client", NULL, &ca, 4));
    pair other = make("other", NULL, NULL, 5); /* a CA that nobody trusts */
    drop(make("stranger", "one.test", &other, 6));
    drop(other);
    return 0;
}

static int remove_certificates(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"ca", "one", "two", "client", "other", "stranger"};
    char file[64];
    for (size_t i = 0; i < SX_COUNT_OF(NAMES); i++) {
        snprintf(file, sizeof(file), "%s.crt", NAMES[i]);
        unlink(path_of(file));
        snprintf(file, sizeof(file), "%s.key", NAMES[i]);
        unlink(path_of(file));
    }
    rmdir(folder);
    drop(ca);
    return 0;
}

/* ---- a client on sx_stream ---- */

typedef struct client {
    sx_stream *stream;
    int opened, ended, closed;
    sx_status why;
    char message[SX_ERROR_MESSAGE_BYTES];
    sx_buf got;
    const char *request;
} client;

static void on_opened(sx_stream *s, void *ctx)
{
    client *c = ctx;
    c->opened++;
    if (c->request)
        sx_stream_write(s, sx_str_z(c->request));
}

static void on_data(sx_stream *s, void *ctx, sx_str piece)
{
    (void)s;
    sx_buf_str(&((client *)ctx)->got, piece);
}

static void on_ended(sx_stream *s, void *ctx)
{
    client *c = ctx;
    c->ended++;
    sx_stream_close(s);
    c->stream = NULL;
}

static void on_closed(sx_stream *s, void *ctx, sx_status why, const sx_error *err)
{
    (void)s;
    client *c = ctx;
    c->closed++;
    c->why = why;
    c->stream = NULL;
    snprintf(c->message, sizeof(c->message), "%s", err->message);
}

static const sx_stream_events CLIENT_EVENTS = {
    .opened = on_opened, .data = on_data, .ended = on_ended, .closed = on_closed};

static void client_connect(http_fixture *f, client *c, sx_tls *tls, const char *name,
                           const char *request)
{
    static const sx_stream_options OPTIONS = {0};
    uint64_t port;
    sx_error err;
    *c = (client){.request = request};
    sx_buf_init(&c->got, 0);
    assert_true(sx_str_to_u64(sx_str_z(strrchr(f->bound.text, ':') + 1), &port));
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(sx_stream_connect(f->loop, (struct sockaddr *)&in, sizeof(in), tls,
                                       sx_str_z(name), &OPTIONS, &CLIENT_EVENTS, c, &c->stream,
                                       &err),
                     SX_OK);
    http_fixture_settle(f);
}

static void client_drop(http_fixture *f, client *c)
{
    if (c->stream)
        sx_stream_close(c->stream);
    sx_buf_done(&c->got);
    http_fixture_settle(f);
}

static bool has(const client *c, const char *text)
{
    sx_str got = sx_buf_view(&c->got);
    return sx_str_find(got, sx_str_z(text)) < got.len;
}

static sx_tls *server_tls(sx_tls_verify verify, bool http2)
{
    sx_tls_certificate certificates[2] = {{path_of("one.crt"), path_of("one.key")},
                                          {path_of("two.crt"), path_of("two.key")}};
    sx_tls_server_options options = {
        .certificates = certificates, .certificate_count = 2, .verify = verify, .http2 = http2};
    if (verify != SX_TLS_VERIFY_NONE)
        options.client_ca_file = path_of("ca.crt");
    sx_tls *tls;
    sx_error err = {0};
    if (sx_tls_server_new(&options, &tls, &err) != SX_OK)
        fail_msg("%s", err.message);
    return tls;
}

static sx_tls *client_tls(const char *cert, bool http2)
{
    sx_tls_client_options options = {
        .ca_file = path_of("ca.crt"), .verify = SX_TLS_VERIFY_REQUIRED, .http2 = http2};
    char crt[64], key[64];
    if (cert) {
        snprintf(crt, sizeof(crt), "%s.crt", cert);
        snprintf(key, sizeof(key), "%s.key", cert);
        options.chain_file = path_of(crt);
        options.key_file = path_of(key);
    }
    sx_tls *tls;
    sx_error err = {0};
    if (sx_tls_client_new(&options, &tls, &err) != SX_OK)
        fail_msg("%s", err.message);
    return tls;
}

typedef struct tls_fixture {
    http_fixture f;
    sx_tls *server, *client;
} tls_fixture;

static void open_tls(tls_fixture *t, sx_tls_verify verify, const char *client_cert)
{
    http_fixture_open(&t->f, NULL);
    t->server = server_tls(verify, false);
    t->client = client_tls(client_cert, false);
    sx_listen_options listen = {.address = SX_STR("127.0.0.1:0"), .tls = t->server};
    http_fixture_listen(&t->f, &listen);
}

static void close_tls(tls_fixture *t)
{
    http_fixture_close(&t->f);
    sx_tls_unref(t->server);
    sx_tls_unref(t->client);
}

#define REQUEST(path) "GET " path " HTTP/1.1\r\nHost: one.test\r\n\r\n"

static void test_requests_go_through_tls(void **state)
{
    (void)state;
    tls_fixture t;
    client c;
    open_tls(&t, SX_TLS_VERIFY_NONE, NULL);
    client_connect(&t.f, &c, t.client, "one.test", REQUEST("/a") REQUEST("/b"));
    assert_int_equal(c.opened, 1);
    assert_true(sx_str_eq(sx_stream_alpn(c.stream), SX_STR("http/1.1")));
    assert_true(has(&c, "\r\n\r\n/a") && has(&c, "\r\n\r\n/b"));
    assert_int_equal(t.f.done, 2);
    http_fixture_wait(&t.f, 75000); /* idle: close_notify, not a mere FIN */
    assert_int_equal(c.ended, 1);
    client_drop(&t.f, &c);
    close_tls(&t);
}

static void test_large_reply_through_tls_is_whole(void **state)
{
    (void)state;
    tls_fixture t;
    client c;
    open_tls(&t, SX_TLS_VERIFY_NONE, NULL);
    client_connect(&t.f, &c, t.client, "one.test", REQUEST("/big") REQUEST("/next"));
    for (int i = 0; i < 500 && !has(&c, "/next"); i++)
        sx_loop_turn(t.f.loop);
    assert_true(has(&c, "\r\n\r\n/next"));
    assert_true(c.got.len > 1 << 20);
    assert_int_equal(t.f.done, 2);
    client_drop(&t.f, &c);
    close_tls(&t);
}

static void test_certificate_follows_the_name(void **state)
{
    (void)state;
    tls_fixture t;
    client c;
    open_tls(&t, SX_TLS_VERIFY_NONE, NULL);
    client_connect(&t.f, &c, t.client, "two.test", REQUEST("/"));
    assert_true(has(&c, "hello")); /* verified, so it was two's */
    client_drop(&t.f, &c);
    client_connect(&t.f, &c, t.client, "three.test", REQUEST("/"));
    assert_int_equal(c.opened, 0);
    assert_int_equal(c.why, SX_EPROTOCOL);
    assert_non_null(strstr(c.message, "certificate verify failed"));
    client_drop(&t.f, &c);
    close_tls(&t);
}

static void test_mutual_tls_names_the_client(void **state)
{
    (void)state;
    tls_fixture t;
    client c;
    open_tls(&t, SX_TLS_VERIFY_REQUIRED, "client");
    client_connect(&t.f, &c, t.client, "one.test", REQUEST("/"));
    assert_true(has(&c, "hello"));
    assert_string_equal(t.f.tls_client_name, "CN=client");
    client_drop(&t.f, &c);
    sx_tls_unref(t.client);
    t.client = client_tls(NULL, false);
    client_connect(&t.f, &c, t.client, "one.test", REQUEST("/"));
    assert_false(has(&c, "hello"));
    client_drop(&t.f, &c);
    sx_tls_unref(t.client);
    t.client = client_tls("stranger", false);
    client_connect(&t.f, &c, t.client, "one.test", REQUEST("/"));
    assert_false(has(&c, "hello"));
    assert_int_equal(t.f.handled, 1);
    client_drop(&t.f, &c);
    close_tls(&t);
}

static void test_reload_changes_new_connections_only(void **state)
{
    (void)state;
    tls_fixture t;
    client old, fresh;
    sx_error err;
    open_tls(&t, SX_TLS_VERIFY_NONE, NULL);
    client_connect(&t.f, &old, t.client, "one.test", REQUEST("/1"));
    rename(path_of("one.crt"), path_of("one.crt.kept"));
    assert_int_equal(sx_tls_reload(t.server, &err), SX_ENOTFOUND);
    assert_non_null(strstr(err.message, "one.crt"));
    client_connect(&t.f, &fresh, t.client, "one.test", REQUEST("/2"));
    assert_true(has(&fresh, "/2")); /* the old one is still in use */
    client_drop(&t.f, &fresh);
    rename(path_of("one.crt.kept"), path_of("one.crt"));
    assert_int_equal(sx_tls_reload(t.server, &err), SX_OK);
    sx_stream_write(old.stream, SX_STR(REQUEST("/3")));
    http_fixture_settle(&t.f);
    assert_true(has(&old, "/3"));
    assert_false(sx_stream_is_resumed(old.stream));
    client_connect(&t.f, &fresh, t.client, "one.test", REQUEST("/4"));
    assert_true(has(&fresh, "/4"));
    assert_true(sx_stream_is_resumed(fresh.stream)); /* tickets outlive a reload */
    client_drop(&t.f, &fresh);
    client_drop(&t.f, &old);
    close_tls(&t);
}

static void test_silent_handshake_times_out(void **state)
{
    (void)state;
    tls_fixture t;
    open_tls(&t, SX_TLS_VERIFY_NONE, NULL);
    int fd = http_fixture_connect(&t.f), closed;
    assert_int_equal(sx_http_server_counts(t.f.server)->connections_open, 1);
    http_fixture_wait(&t.f, 10000);
    assert_int_equal(sx_http_server_counts(t.f.server)->connections_open, 0);
    assert_int_equal(t.f.rejected, 1);
    close(fd);
    fd = http_fixture_connect(&t.f);
    http_fixture_say(&t.f, fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); /* no TLS at all */
    http_fixture_read(&t.f, fd, &closed);
    assert_int_not_equal(closed, 0);
    close(fd);
    close_tls(&t);
}

static void test_cut_tls_is_no_clean_end(void **state)
{
    (void)state;
    tls_fixture t;
    client c;
    open_tls(&t, SX_TLS_VERIFY_NONE, NULL);
    client_connect(&t.f, &c, t.client, "one.test", REQUEST("/hold"));
    shutdown(sx_stream_fd(c.stream), SHUT_WR); /* FIN without close_notify */
    http_fixture_settle(&t.f);
    assert_int_equal(t.f.aborted, 1);
    client_drop(&t.f, &c);
    close_tls(&t);
}

static void test_torn_sockets_change_nothing_under_tls(void **state)
{
    (void)state;
    tls_fixture t;
    client c;
    open_tls(&t, SX_TLS_VERIFY_NONE, NULL);
    sx_fault_socket_set(
        &(sx_fault_socket){.fd = -1, .split_bytes = 13, .again_every = 5, .reset_after_bytes = -1});
    client_connect(&t.f, &c, t.client, "one.test", REQUEST("/a") REQUEST("/pieces") REQUEST("/z"));
    for (int i = 0; i < 2000 && !has(&c, "/z"); i++)
        sx_loop_turn(t.f.loop);
    sx_fault_socket_set(NULL);
    assert_true(has(&c, "X-Sum: 7") && has(&c, "/z"));
    client_drop(&t.f, &c);
    close_tls(&t);
}

/* A client whose certificates come as texts, and that looks for another name than the host's. */
static void test_texts_and_another_server_name(void **state)
{
    (void)state;
    tls_fixture t;
    client c;
    sx_error err;
    sx_buf roots, crt, key;
    sx_buf_init(&roots, 0);
    sx_buf_init(&crt, 0);
    sx_buf_init(&key, 0);
    assert_int_equal(sx_file_read(path_of("ca.crt"), 0, &roots, NULL), SX_OK);
    assert_int_equal(sx_file_read(path_of("client.crt"), 0, &crt, NULL), SX_OK);
    assert_int_equal(sx_file_read(path_of("client.key"), 0, &key, NULL), SX_OK);
    open_tls(&t, SX_TLS_VERIFY_REQUIRED, NULL);
    sx_tls_unref(t.client);
    sx_tls_client_options o = {.verify = SX_TLS_VERIFY_REQUIRED,
                               .ca_pem = sx_buf_view(&roots),
                               .chain_pem = sx_buf_view(&crt),
                               .key_pem = sx_buf_view(&key),
                               .server_name = "two.test",
                               .version_min = SX_TLS_1_3};
    assert_int_equal(sx_tls_client_new(&o, &t.client, &err), SX_OK);
    client_connect(&t.f, &c, t.client, "elsewhere.test", REQUEST("/"));
    assert_true(has(&c, "hello"));
    assert_string_equal(t.f.tls_client_name, "CN=client");
    client_drop(&t.f, &c);
    sx_tls *wrong;
    o.key_pem = sx_buf_view(&crt);
    assert_int_equal(sx_tls_client_new(&o, &wrong, &err), SX_EINVAL);
    assert_non_null(strstr(err.message, "key is no PEM"));
    o.key_pem = sx_buf_view(&key);
    o.ca_pem = SX_STR("nothing");
    assert_int_equal(sx_tls_client_new(&o, &wrong, &err), SX_EINVAL);
    assert_non_null(strstr(err.message, "no certificate in the text of the CA"));
    sx_buf_done(&roots);
    sx_buf_done(&crt);
    sx_buf_done(&key);
    close_tls(&t);
}

static void test_wrong_files_are_named(void **state)
{
    (void)state;
    sx_tls *tls;
    sx_error err;
    sx_tls_certificate mixed = {path_of("one.crt"), path_of("two.key")};
    sx_tls_server_options options = {.certificates = &mixed, .certificate_count = 1};
    assert_int_equal(sx_tls_server_new(&options, &tls, &err), SX_EINVAL);
    assert_non_null(strstr(err.message, "two.key"));
    mixed.chain_file = path_of("none.crt");
    assert_int_equal(sx_tls_server_new(&options, &tls, &err), SX_ENOTFOUND);
    assert_non_null(strstr(err.message, "none.crt"));
    options.certificate_count = 0;
    assert_int_equal(sx_tls_server_new(&options, &tls, &err), SX_EINVAL);
}

static void test_every_failed_allocation_is_survived(void **state)
{
    (void)state;
    int64_t calls = 1;
    for (int64_t nth = 0; nth <= calls; nth++) {
        tls_fixture t;
        client c;
        open_tls(&t, SX_TLS_VERIFY_NONE, NULL);
        uint64_t port;
        assert_true(sx_str_to_u64(sx_str_z(strrchr(t.f.bound.text, ':') + 1), &port));
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth ? nth : INT64_MAX});
        static const sx_stream_options OPTIONS = {0};
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        c = (client){.request = REQUEST("/")};
        sx_buf_init(&c.got, 0);
        if (sx_stream_connect(t.f.loop, (struct sockaddr *)&in, sizeof(in), t.client,
                              SX_STR("one.test"), &OPTIONS, &CLIENT_EVENTS, &c, &c.stream,
                              NULL) != SX_OK)
            c.stream = NULL;
        http_fixture_settle(&t.f);
        if (nth == 0)
            calls = sx_fault_alloc_calls();
        sx_fault_alloc_set((sx_fault_alloc){0});
        client_drop(&t.f, &c);
        assert_int_equal(sx_http_server_counts(t.f.server)->connections_open, 0);
        close_tls(&t);
    }
    assert_true(calls > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_go_through_tls),
        cmocka_unit_test(test_large_reply_through_tls_is_whole),
        cmocka_unit_test(test_certificate_follows_the_name),
        cmocka_unit_test(test_mutual_tls_names_the_client),
        cmocka_unit_test(test_reload_changes_new_connections_only),
        cmocka_unit_test(test_silent_handshake_times_out),
        cmocka_unit_test(test_cut_tls_is_no_clean_end),
        cmocka_unit_test(test_torn_sockets_change_nothing_under_tls),
        cmocka_unit_test(test_texts_and_another_server_name),
        cmocka_unit_test(test_wrong_files_are_named),
        cmocka_unit_test(test_every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}

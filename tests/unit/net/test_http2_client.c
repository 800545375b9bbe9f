/* test_http2_client.c - calls over HTTP/2 and over TLS: many on one connection, refused and tried
 * again, servers that misbehave, certificates that do not fit, a tunnel through a proxy. */
#include "tests/unit/net/client_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <sextant/mem.h>

static void open_http2(client_fixture *f)
{
    sx_http_client_options options = {.http2_prior_knowledge = true};
    client_fixture_open(f, &options);
}

static void test_many_calls_share_a_connection(void **state)
{
    client_fixture f;
    call_record r[150] = {{0}}; /* more than the server's 128 streams */
    (void)state;
    open_http2(&f);
    for (size_t i = 0; i < SX_COUNT_OF(r); i++)
        assert_int_equal(client_fixture_start(&f, &r[i], i % 3 ? "GET" : "POST",
                                              i % 3 ? "/" : "/echo", i % 3 ? NULL : "hello"),
                         SX_OK);
    for (size_t i = 0; i < SX_COUNT_OF(r); i++) {
        client_fixture_until(&f, &r[i].dones);
        if (r[i].result != SX_OK)
            fail_msg("%s", r[i].err.message);
        assert_int_equal(r[i].version, 20);
        assert_true(sx_str_eq(sx_buf_view(&r[i].body), SX_STR("hello")));
        call_record_done(&r[i]);
    }
    assert_in_range(sx_http_client_counts_of(f.client)->opened, 1, 2);
    client_fixture_close(&f);
}

static void test_trailers_arrive(void **state)
{
    client_fixture f;
    call_record r = {0};
    (void)state;
    open_http2(&f);
    client_fixture_call(&f, &r, "GET", "/pieces", NULL);
    assert_int_equal(r.result, SX_OK);
    assert_int_equal(r.trailer_count, 1);
    assert_string_equal(r.trailer, "7");
    call_record_done(&r);
    client_fixture_close(&f);
}

static void pause_call(call_record *r)
{
    sx_call_pause(r->call);
}

static void test_paused_call_stops_no_other(void **state)
{
    client_fixture f;
    call_record slow = {.on_head = pause_call}, fast = {0};
    (void)state;
    open_http2(&f);
    assert_int_equal(client_fixture_start(&f, &slow, "GET", "/big", NULL), SX_OK);
    client_fixture_until(&f, &slow.heads);
    client_fixture_call(&f, &fast, "GET", "/big", NULL);
    assert_int_equal(fast.body.len, 1 << 20);
    assert_int_equal(slow.body.len, 0);
    sx_call_resume(slow.call);
    client_fixture_until(&f, &slow.dones);
    assert_int_equal(slow.result, SX_OK);
    assert_int_equal(slow.body.len, 1 << 20);
    call_record_done(&slow);
    call_record_done(&fast);
    client_fixture_close(&f);
}

static void test_streamed_upload_is_pressed_back(void **state)
{
    client_fixture f;
    call_record r = {0};
    char url[160];
    static char piece[16384];
    size_t sent = 0;
    int waits = 0;
    (void)state;
    open_http2(&f);
    snprintf(url, sizeof(url), "http://%s/stream", f.server.bound.text);
    sx_call_request request = {.method = SX_STR("PUT"), .url = sx_str_z(url), .stream_body = true};
    assert_int_equal(sx_http_call(f.client, &request, &RECORD, &r, &r.call, &r.err), SX_OK);
    while (sent < 2 << 20) {
        sx_status st = sx_call_write(r.call, sx_str_of(piece, sizeof(piece)));
        sent += sizeof(piece);
        if (st == SX_AGAIN) {
            waits++;
            int before = r.writables;
            for (int i = 0; i < 10000 && r.writables == before; i++)
                sx_loop_turn(f.server.loop);
            assert_int_equal(r.writables, before + 1);
        } else {
            assert_int_equal(st, SX_OK);
        }
    }
    sx_call_end(r.call);
    client_fixture_until(&f, &r.dones);
    assert_int_equal(r.result, SX_OK);
    assert_int_equal(r.body.len, 2 << 20);
    assert_true(waits > 0);
    call_record_done(&r);
    client_fixture_close(&f);
}

static void test_draining_server_answers_what_it_has(void **state)
{
    client_fixture f;
    call_record held = {0}, refused = {0};
    (void)state;
    open_http2(&f);
    assert_int_equal(client_fixture_start(&f, &held, "GET", "/hold", NULL), SX_OK);
    client_fixture_until(&f, &f.server.handled);
    sx_http_server_drain(f.server.server, 60000, NULL, NULL);
    http_fixture_settle(&f.server);
    assert_int_equal(client_fixture_start(&f, &refused, "GET", "/", NULL), SX_OK);
    sx_reply(f.server.held, 200, SX_STR("text/plain"), SX_STR("late"));
    client_fixture_until(&f, &held.dones);
    assert_int_equal(held.result, SX_OK);
    client_fixture_until(&f, &refused.dones); /* on a new connection, which nobody accepts */
    assert_int_not_equal(refused.result, SX_OK);
    call_record_done(&held);
    client_fixture_close(&f);
}

/* ---- frames by hand ---- */

#define SETTINGS_FRAME "\0\0\0\4\0\0\0\0\0"

static void test_refused_stream_is_tried_again(void **state)
{
    client_fixture f;
    raw_peer peer;
    call_record r = {0};
    (void)state;
    open_http2(&f);
    raw_peer_open(&peer);
    assert_int_equal(client_fixture_start(&f, &r, "POST", peer.url, "x"), SX_OK);
    raw_peer_accept(&f, &peer);
    raw_peer_say(&f, &peer, SETTINGS_FRAME "\0\0\4\3\0\0\0\0\1\0\0\0\7", 22); /* REFUSED_STREAM */
    assert_int_equal(r.dones, 0); /* it was sent again, on the same connection */
    raw_peer_say(&f, &peer, "\0\0\1\1\5\0\0\0\3\x88", 10);
    client_fixture_until(&f, &r.dones);
    assert_int_equal(r.result, SX_OK);
    assert_int_equal(r.status, 200);
    raw_peer_close(&peer);
    client_fixture_close(&f);
}

static void answer_http2(client_fixture *f, call_record *r, const char *bytes, size_t len,
                         bool closes)
{
    raw_peer peer;
    raw_peer_open(&peer);
    memset(r, 0, sizeof(*r));
    assert_int_equal(client_fixture_start(f, r, "GET", peer.url, NULL), SX_OK);
    raw_peer_accept(f, &peer);
    http_fixture_settle(&f->server);
    raw_peer_say(f, &peer, bytes, len);
    if (closes)
        shutdown(peer.fd, SHUT_WR);
    client_fixture_until(f, &r->dones);
    raw_peer_close(&peer);
    http_fixture_settle(&f->server);
}

static const char GOOD[] = SETTINGS_FRAME "\0\0\1\1\4\0\0\0\1\x88"  /* HEADERS :status 200 */
                                          "\0\0\5\0\0\0\0\0\1hello" /* DATA */
                                          "\0\0\0\0\1\0\0\0\1";     /* DATA, END_STREAM */

static void test_response_cut_at_every_byte_fails(void **state)
{
    client_fixture f;
    call_record r;
    (void)state;
    open_http2(&f);
    for (size_t cut = 0; cut < sizeof(GOOD) - 1; cut++) {
        answer_http2(&f, &r, GOOD, cut, true);
        assert_int_equal(r.result, SX_ECLOSED);
        call_record_done(&r);
    }
    answer_http2(&f, &r, GOOD, sizeof(GOOD) - 1, false);
    assert_int_equal(r.result, SX_OK);
    assert_int_equal(r.status, 200);
    assert_true(sx_str_eq(sx_buf_view(&r.body), SX_STR("hello")));
    call_record_done(&r);
    client_fixture_close(&f);
}

static void test_bad_servers_fail_the_call(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } CASES[] = {
#define CASE(text) {text, sizeof(text) - 1}
        CASE("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        CASE(SETTINGS_FRAME "\377\0\0\0\0\0\0\0\1"),           /* a frame of 16 MB */
        CASE(SETTINGS_FRAME "\0\0\1\0\0\0\0\0\1x"),            /* DATA before HEADERS */
        CASE(SETTINGS_FRAME "\0\0\1\1\4\0\0\0\3\x88"),         /* a stream never opened */
        CASE(SETTINGS_FRAME "\0\0\0\4\1\0\0\0\0"               /* ACK of ours, then */
                            "\0\0\5\5\4\0\0\0\1\0\0\0\2\x82"), /* PUSH_PROMISE */
        CASE(SETTINGS_FRAME "\0\0\4\10\0\0\0\0\0\0\0\0\0"),    /* WINDOW_UPDATE of 0 */
        CASE(SETTINGS_FRAME "\0\0\1\1\5\0\0\0\1\xff"),         /* bad HPACK */
        CASE(SETTINGS_FRAME "\0\0\1\1\5\0\0\0\1\x82"),         /* no :status */
        CASE(SETTINGS_FRAME "\0\0\4\3\0\0\0\0\1\0\0\0\2"),     /* RST_STREAM INTERNAL_ERROR */
        CASE(SETTINGS_FRAME "\0\0\10\7\0\0\0\0\0\0\0\0\1\0\0\0\1"
                            "\0\0\4\3\0\0\0\0\1\0\0\0\1"),
#undef CASE
    };
    client_fixture f;
    call_record r;
    (void)state;
    open_http2(&f);
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        answer_http2(&f, &r, CASES[i].bytes, CASES[i].len, false);
        if (r.result != SX_EPROTOCOL && r.result != SX_ECLOSED)
            fail_msg("case %zu: %s", i, sx_status_name(r.result));
        assert_true(r.err.message[0]);
        call_record_done(&r);
    }
    client_fixture_close(&f);
}

/* ---- TLS ---- */

static char folder[] = "/tmp/sx_client_tls_XXXXXX";
static char chain_file[64], key_file[64];

/* A certificate for localhost that signs itself, so that it is its own root. */
static int make_certificate(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(chain_file, sizeof(chain_file), "%s/c.pem", folder);
    snprintf(key_file, sizeof(key_file), "%s/k.pem", folder);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509V3_CTX ctx;
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 7);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    FILE *out = fopen(chain_file, "w");
    PEM_write_X509(out, cert);
    fclose(out);
    out = fopen(key_file, "w");
    PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
    fclose(out);
    X509_free(cert);
    EVP_PKEY_free(key);
    return 0;
}

static int remove_certificate(void **state)
{
    (void)state;
    unlink(chain_file);
    unlink(key_file);
    return rmdir(folder);
}

typedef struct tls_fixture {
    client_fixture f;
    sx_tls *server_tls, *client_tls;
    char port[16];
} tls_fixture;

static void open_tls(tls_fixture *t, bool server_http2, bool trusts, const char *proxy)
{
    sx_error err;
    sx_tls_certificate certificate = {chain_file, key_file};
    sx_tls_server_options server = {
        .certificates = &certificate, .certificate_count = 1, .http2 = server_http2};
    sx_tls_client_options client = {
        .ca_file = trusts ? chain_file : NULL, .verify = SX_TLS_VERIFY_REQUIRED, .http2 = true};
    assert_int_equal(sx_tls_server_new(&server, &t->server_tls, &err), SX_OK);
    assert_int_equal(sx_tls_client_new(&client, &t->client_tls, &err), SX_OK);
    sx_http_client_options options = {.tls = t->client_tls, .proxy = proxy};
    client_fixture_open(&t->f, &options);
    sx_listen_options listen = {
        .address = SX_STR("127.0.0.1:0"), .tls = t->server_tls, .inherited_fd = -1};
    http_fixture_listen(&t->f.server, &listen);
    snprintf(t->port, sizeof(t->port), "%s", strrchr(t->f.server.bound.text, ':') + 1);
}

static void close_tls(tls_fixture *t)
{
    client_fixture_close(&t->f);
    sx_tls_unref(t->server_tls);
    sx_tls_unref(t->client_tls);
}

static void test_https_speaks_what_alpn_says(void **state)
{
    (void)state;
    for (int http2 = 0; http2 < 2; http2++) {
        tls_fixture t;
        call_record r[5] = {{0}};
        char url[64];
        open_tls(&t, http2, true, NULL);
        snprintf(url, sizeof(url), "https://localhost:%s/big", t.port);
        for (size_t i = 0; i < SX_COUNT_OF(r); i++)
            assert_int_equal(client_fixture_start(&t.f, &r[i], "GET", url, NULL), SX_OK);
        for (size_t i = 0; i < SX_COUNT_OF(r); i++) {
            client_fixture_until(&t.f, &r[i].dones);
            if (r[i].result != SX_OK)
                fail_msg("%s", r[i].err.message);
            assert_int_equal(r[i].version, http2 ? 20 : 11);
            assert_int_equal(r[i].body.len, 1 << 20);
            call_record_done(&r[i]);
        }
        if (http2)
            assert_int_equal(sx_http_client_counts_of(t.f.client)->opened, 1);
        close_tls(&t);
    }
}

static void test_certificate_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    for (int wrong_host = 0; wrong_host < 2; wrong_host++) {
        tls_fixture t;
        call_record r = {0};
        char url[64];
        open_tls(&t, true, wrong_host, NULL);
        snprintf(url, sizeof(url), "https://%s:%s/", wrong_host ? "127.0.0.1" : "localhost",
                 t.port);
        client_fixture_call(&t.f, &r, "GET", url, NULL);
        if (r.result != SX_EPROTOCOL)
            fail_msg("%s: %s", sx_status_name(r.result), r.err.message);
        assert_non_null(strstr(r.err.message, "certificate"));
        assert_int_equal(t.f.server.handled, 0);
        close_tls(&t);
    }
}

/* Moves what one socket has to the other. */
static void relay(int from, int to)
{
    char bytes[16384];
    ssize_t n = recv(from, bytes, sizeof(bytes), MSG_DONTWAIT);
    for (ssize_t at = 0; at < n;) {
        ssize_t sent = send(to, bytes + at, (size_t)(n - at), MSG_NOSIGNAL);
        at += sent > 0 ? sent : 0;
    }
}

static void test_tunnel_through_a_proxy(void **state)
{
    tls_fixture t;
    raw_peer proxy;
    call_record r = {0};
    char url[64], expected[160];
    (void)state;
    raw_peer_open(&proxy);
    open_tls(&t, true, true, proxy.url);
    snprintf(url, sizeof(url), "https://localhost:%s/", t.port);
    assert_int_equal(client_fixture_start(&t.f, &r, "GET", url, NULL), SX_OK);
    raw_peer_accept(&t.f, &proxy);
    snprintf(expected, sizeof(expected),
             "CONNECT localhost:%s HTTP/1.1\r\nHost: localhost:%s\r\nUser-Agent: sextant/0.1.0"
             "\r\n\r\n",
             t.port, t.port);
    assert_string_equal(raw_peer_read_to(&t.f, &proxy, "\r\n\r\n"), expected);
    int server = http_fixture_connect(&t.f.server);
    raw_peer_say(&t.f, &proxy, "HTTP/1.1 200 Connection established\r\n\r\n", 39);
    for (int i = 0; i < 20000 && !r.dones; i++) {
        relay(proxy.fd, server);
        relay(server, proxy.fd);
        sx_loop_turn(t.f.server.loop);
    }
    assert_int_equal(r.result, SX_OK);
    assert_int_equal(r.version, 20);
    assert_true(sx_str_eq(sx_buf_view(&r.body), SX_STR("hello")));
    call_record_done(&r);
    close(server);
    raw_peer_close(&proxy);
    close_tls(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_calls_share_a_connection),
        cmocka_unit_test(test_trailers_arrive),
        cmocka_unit_test(test_paused_call_stops_no_other),
        cmocka_unit_test(test_streamed_upload_is_pressed_back),
        cmocka_unit_test(test_draining_server_answers_what_it_has),
        cmocka_unit_test(test_refused_stream_is_tried_again),
        cmocka_unit_test(test_response_cut_at_every_byte_fails),
        cmocka_unit_test(test_bad_servers_fail_the_call),
        cmocka_unit_test(test_https_speaks_what_alpn_says),
        cmocka_unit_test(test_certificate_that_does_not_fit_is_refused),
        cmocka_unit_test(test_tunnel_through_a_proxy),
    };
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}

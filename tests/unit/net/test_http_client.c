/* test_http_client.c - calls over HTTP/1.1: what is sent, what is understood, pools, time-outs, and
 * peers that misbehave. */
#include "tests/unit/net/client_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fault.h"

static void test_get_brings_head_and_body(void **state)
{
    client_fixture f;
    call_record r = {0};
    (void)state;
    client_fixture_open(&f, NULL);
    client_fixture_call(&f, &r, "GET", "/", NULL);
    assert_int_equal(r.result, SX_OK);
    assert_int_equal(r.heads, 1);
    assert_int_equal(r.dones, 1);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.version, 11);
    assert_int_equal(r.content_bytes, 5);
    assert_string_equal(r.header, "text/plain");
    assert_int_equal(r.body.len, 5);
    assert_memory_equal(r.body.data, "hello", 5);
    call_record_done(&r);
    client_fixture_close(&f);
}

static void test_connection_is_used_again(void **state)
{
    client_fixture f;
    (void)state;
    client_fixture_open(&f, NULL);
    for (int i = 0; i < 5; i++) {
        call_record r = {0};
        client_fixture_call(&f, &r, "GET", i % 2 ? "/pieces" : "/", NULL);
        assert_int_equal(r.result, SX_OK);
        call_record_done(&r);
    }
    const sx_http_client_counts *counts = sx_http_client_counts_of(f.client);
    assert_int_equal(counts->opened, 1);
    assert_int_equal(counts->reused, 4);
    assert_int_equal(counts->open, 1);
    assert_int_equal(counts->waiting, 0);
    client_fixture_close(&f);
}

static void test_bodies_of_all_framings_arrive(void **state)
{
    static const struct {
        const char *method, *target, *body, *expected;
        int status;
    } CASES[] = {
        {"GET", "/pieces", NULL, "one twotwotwotwotwotwo", 200},
        {"HEAD", "/", NULL, "", 200},
        {"GET", "/empty", NULL, "", 204},
        {"POST", "/echo", "abc", "abc", 200},
        {"POST", "/echo", "", "", 200},
        {"GET", "/hints", NULL, "hello", 200},
        {"PUT", "/stream", "xyz", "xyz", 200},
    };
    client_fixture f;
    (void)state;
    client_fixture_open(&f, NULL);
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        call_record r = {0};
        client_fixture_call(&f, &r, CASES[i].method, CASES[i].target, CASES[i].body);
        assert_int_equal(r.result, SX_OK);
        assert_int_equal(r.status, CASES[i].status);
        assert_true(sx_str_eq(sx_buf_view(&r.body), sx_str_z(CASES[i].expected)));
        call_record_done(&r);
    }
    client_fixture_close(&f);
}

static void test_request_is_written_as_specified(void **state)
{
    client_fixture f;
    raw_peer peer;
    call_record r = {0};
    (void)state;
    client_fixture_open(&f, NULL);
    raw_peer_open(&peer);
    sx_header headers[] = {{SX_STR("X-A"), SX_STR(" b ")}};
    char url[128], expected[512];
    snprintf(url, sizeof(url), "http://user:pa%%20ss@%sa?b=c#d", peer.url + 7);
    sx_call_request request = {.method = SX_STR("POST"),
                               .url = sx_str_z(url),
                               .headers = headers,
                               .header_count = 1,
                               .body = SX_STR("abc")};
    assert_int_equal(sx_http_call(f.client, &request, &RECORD, &r, &r.call, &r.err), SX_OK);
    raw_peer_accept(&f, &peer);
    snprintf(expected, sizeof(expected),
             "POST /a?b=c HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: sextant/0.1.0\r\n"
             "Authorization: Basic dXNlcjpwYSBzcw==\r\nX-A: b\r\nContent-Length: 3\r\n\r\nabc",
             (int)strlen(peer.url) - 8, peer.url + 7);
    assert_string_equal(raw_peer_read_to(&f, &peer, "\r\n\r\nabc"), expected);
    sx_call_cancel(r.call);
    assert_int_equal(r.result, SX_ECANCELED);
    raw_peer_close(&peer);
    client_fixture_close(&f);
}

static void test_bad_requests_are_refused_at_once(void **state)
{
    static const sx_header BAD[] = {{SX_STR_INIT("X A"), SX_STR_INIT("b")},
                                    {SX_STR_INIT("X"), SX_STR_INIT("a\r\nb: c")},
                                    {SX_STR_INIT("Connection"), SX_STR_INIT("close")},
                                    {SX_STR_INIT("Transfer-Encoding"), SX_STR_INIT("chunked")},
                                    {SX_STR_INIT("Content-Length"), SX_STR_INIT("7")}};
    static const char *const URLS[] = {
        "", "ftp://a/", "http://", "http://a b/", "http://a:99999/", "unix:relative"};
    client_fixture f;
    call_record r = {0};
    (void)state;
    client_fixture_open(&f, NULL);
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++) {
        sx_call_request request = {
            .url = SX_STR("http://127.0.0.1:1/"), .headers = &BAD[i], .header_count = 1};
        assert_int_equal(sx_http_call(f.client, &request, &RECORD, &r, NULL, &r.err), SX_EINVAL);
        assert_true(r.err.message[0]);
    }
    for (size_t i = 0; i < SX_COUNT_OF(URLS); i++) {
        sx_call_request request = {.url = sx_str_z(URLS[i])};
        assert_int_equal(sx_http_call(f.client, &request, &RECORD, &r, NULL, &r.err), SX_EFORMAT);
        assert_int_equal(r.err.status, SX_EFORMAT);
    }
    sx_call_request request = {.url = SX_STR("http://a/"), .method = SX_STR("BAD METHOD")};
    assert_int_equal(sx_http_call(f.client, &request, &RECORD, &r, NULL, &r.err), SX_EINVAL);
    assert_int_equal(r.dones, 0);
    client_fixture_close(&f);
}

/* Gives one raw answer to one call. */
static void answer(client_fixture *f, call_record *r, const char *text, size_t len, bool closes)
{
    raw_peer peer;
    raw_peer_open(&peer);
    memset(r, 0, sizeof(*r));
    assert_int_equal(client_fixture_start(f, r, "GET", peer.url, NULL), SX_OK);
    raw_peer_accept(f, &peer);
    raw_peer_read_to(f, &peer, "\r\n\r\n");
    raw_peer_say(f, &peer, text, len);
    if (closes) {
        shutdown(peer.fd, SHUT_WR);
        client_fixture_until(f, &r->dones);
    }
    raw_peer_close(&peer);
    http_fixture_settle(&f->server);
}

static void test_good_responses_are_understood(void **state)
{
    static const struct {
        const char *text;
        int status;
        const char *body;
    } CASES[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, "ab"},
        {"HTTP/1.1 200\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab", 200, "ab"},
        {"HTTP/1.0 200 \r\n\r\nuntil close", 200, "until close"},
        {"HTTP/1.1 200 OK\r\n\r\n", 200, ""},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 H\r\nLink: x\r\n\r\nHTTP/1.1 404 Not "
         "Found\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n",
         404, "abc"},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 304, ""},
        {"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", 204, ""},
    };
    client_fixture f;
    call_record r;
    (void)state;
    client_fixture_open(&f, NULL);
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        answer(&f, &r, CASES[i].text, strlen(CASES[i].text), true);
        if (r.result != SX_OK)
            fail_msg("case %zu: %s", i, r.err.message);
        assert_int_equal(r.status, CASES[i].status);
        assert_true(sx_str_eq(sx_buf_view(&r.body), sx_str_z(CASES[i].body)));
        call_record_done(&r);
    }
    client_fixture_close(&f);
}

static void test_bad_responses_are_refused(void **state)
{
    static const char *const CASES[] = {
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nA: b\n\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    };
    client_fixture f;
    call_record r;
    (void)state;
    client_fixture_open(&f, NULL);
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        answer(&f, &r, CASES[i], strlen(CASES[i]), true);
        if (r.result != SX_EPROTOCOL)
            fail_msg("case %zu: %s %s", i, sx_status_name(r.result), r.err.message);
        assert_true(r.err.message[0]);
        call_record_done(&r);
    }
    assert_int_equal(sx_http_client_counts_of(f.client)->open, 0);
    client_fixture_close(&f);
}

static void test_response_cut_at_every_byte_fails(void **state)
{
    static const char *const TEXTS[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Test: y\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n"};
    client_fixture f;
    call_record r;
    (void)state;
    client_fixture_open(&f, NULL);
    for (size_t t = 0; t < SX_COUNT_OF(TEXTS); t++) {
        for (size_t cut = 0; cut < strlen(TEXTS[t]); cut++) {
            answer(&f, &r, TEXTS[t], cut, true);
            assert_int_equal(r.dones, 1);
            assert_int_equal(r.result, SX_ECLOSED);
            assert_true(r.err.message[0]);
            call_record_done(&r);
        }
        answer(&f, &r, TEXTS[t], strlen(TEXTS[t]), false);
        assert_int_equal(r.result, SX_OK);
        assert_int_equal(r.body.len, 5);
        call_record_done(&r);
    }
    client_fixture_close(&f);
}

static void test_response_in_single_bytes_is_the_same(void **state)
{
    static const char TEXT[] = "HTTP/1.1 103 H\r\n\r\nHTTP/1.1 200 OK\r\nX-Test: y\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    client_fixture f;
    raw_peer peer;
    call_record r = {0};
    (void)state;
    client_fixture_open(&f, NULL);
    raw_peer_open(&peer);
    assert_int_equal(client_fixture_start(&f, &r, "GET", peer.url, NULL), SX_OK);
    raw_peer_accept(&f, &peer);
    for (size_t i = 0; i < sizeof(TEXT) - 1; i++)
        raw_peer_say(&f, &peer, TEXT + i, 1);
    assert_int_equal(r.dones, 1);
    assert_int_equal(r.result, SX_OK);
    assert_string_equal(r.header, "y");
    assert_memory_equal(r.body.data, "hello", 5);
    call_record_done(&r);
    raw_peer_close(&peer);
    client_fixture_close(&f);
}

static void test_bytes_behind_a_response_never_answer_the_next_call(void **state)
{
    static const char TEXT[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
                               "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    client_fixture f;
    raw_peer peer;
    call_record one = {0}, two = {0};
    sx_http_client_options options = {.connections_max = 1};
    (void)state;
    client_fixture_open(&f, &options);
    raw_peer_open(&peer);
    assert_int_equal(client_fixture_start(&f, &one, "GET", peer.url, NULL), SX_OK);
    assert_int_equal(client_fixture_start(&f, &two, "GET", peer.url, NULL), SX_OK);
    raw_peer_accept(&f, &peer);
    raw_peer_read_to(&f, &peer, "\r\n\r\n");
    raw_peer_say(&f, &peer, TEXT, sizeof(TEXT) - 1);
    assert_int_equal(one.result, SX_OK);
    assert_int_equal(one.dones, 1);
    assert_int_equal(two.dones, 0);
    raw_peer_accept(&f, &peer); /* the next call comes on a fresh connection */
    raw_peer_read_to(&f, &peer, "\r\n\r\n");
    raw_peer_say(&f, &peer, TEXT, strlen(TEXT) / 2 - 2);
    sx_call_cancel(two.call);
    call_record_done(&one);
    call_record_done(&two);
    raw_peer_close(&peer);
    client_fixture_close(&f);
}

static void test_dead_idle_connection_is_tried_again_if_safe(void **state)
{
    static const char OK[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
    client_fixture f;
    raw_peer peer;
    (void)state;
    for (int is_safe = 0; is_safe < 2; is_safe++) {
        call_record one = {0}, two = {0};
        client_fixture_open(&f, NULL);
        raw_peer_open(&peer);
        assert_int_equal(client_fixture_start(&f, &one, "GET", peer.url, NULL), SX_OK);
        raw_peer_accept(&f, &peer);
        raw_peer_say(&f, &peer, OK, sizeof(OK) - 1);
        assert_int_equal(one.result, SX_OK);
        /* The second request goes out on the same connection, which dies without an answer. */
        assert_int_equal(client_fixture_start(&f, &two, is_safe ? "GET" : "POST", peer.url, NULL),
                         SX_OK);
        raw_peer_read_to(&f, &peer, "\r\n\r\n");
        shutdown(peer.fd, SHUT_WR);
        if (is_safe) {
            raw_peer_accept(&f, &peer);
            raw_peer_say(&f, &peer, OK, sizeof(OK) - 1);
            assert_int_equal(two.result, SX_OK);
        } else {
            client_fixture_until(&f, &two.dones);
            assert_int_equal(two.result, SX_ECLOSED);
        }
        assert_int_equal(two.dones, 1);
        call_record_done(&one);
        call_record_done(&two);
        raw_peer_close(&peer);
        client_fixture_close(&f);
    }
}

static void test_response_time_out(void **state)
{
    client_fixture f;
    call_record r = {0};
    (void)state;
    client_fixture_open(&f, NULL);
    assert_int_equal(client_fixture_start(&f, &r, "GET", "/hold", NULL), SX_OK);
    client_fixture_until(&f, &f.server.handled);
    http_fixture_wait(&f.server, 29999);
    assert_int_equal(r.dones, 0);
    http_fixture_wait(&f.server, 1);
    assert_int_equal(r.dones, 1);
    assert_int_equal(r.result, SX_ETIMEOUT);
    assert_int_equal(f.server.aborted, 1);
    client_fixture_close(&f);
}

static void test_total_time_out_covers_the_body(void **state)
{
    client_fixture f;
    raw_peer peer;
    call_record r = {0};
    (void)state;
    client_fixture_open(&f, NULL);
    raw_peer_open(&peer);
    sx_call_request request = {.url = sx_str_z(peer.url), .total_ms_max = 1000};
    assert_int_equal(sx_http_call(f.client, &request, &RECORD, &r, &r.call, &r.err), SX_OK);
    raw_peer_accept(&f, &peer);
    raw_peer_say(&f, &peer, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 41);
    http_fixture_wait(&f.server, 999);
    assert_int_equal(r.dones, 0);
    http_fixture_wait(&f.server, 1);
    assert_int_equal(r.result, SX_ETIMEOUT);
    assert_int_equal(r.body.len, 3);
    call_record_done(&r);
    raw_peer_close(&peer);
    client_fixture_close(&f);
}

static void test_idle_connection_is_closed(void **state)
{
    client_fixture f;
    call_record r = {0};
    (void)state;
    client_fixture_open(&f, NULL);
    client_fixture_call(&f, &r, "GET", "/", NULL);
    assert_int_equal(sx_http_client_counts_of(f.client)->open, 1);
    http_fixture_wait(&f.server, 60000);
    assert_int_equal(sx_http_client_counts_of(f.client)->open, 0);
    call_record_done(&r);
    client_fixture_close(&f);
}

static void test_refused_connection_fails_all_that_wait(void **state)
{
    client_fixture f;
    raw_peer peer;
    call_record r[3] = {{0}};
    (void)state;
    client_fixture_open(&f, NULL);
    raw_peer_open(&peer);
    raw_peer_close(&peer); /* nobody listens there now */
    for (int i = 0; i < 3; i++)
        assert_int_equal(client_fixture_start(&f, &r[i], "GET", peer.url, NULL), SX_OK);
    for (int i = 0; i < 3; i++) {
        client_fixture_until(&f, &r[i].dones);
        assert_int_not_equal(r[i].result, SX_OK);
        assert_non_null(strstr(r[i].err.message, "127.0.0.1"));
    }
    assert_int_equal(sx_http_client_counts_of(f.client)->failed, 3);
    client_fixture_close(&f);
}

static void test_line_is_bounded(void **state)
{
    client_fixture f;
    call_record r[4] = {{0}};
    sx_http_client_options options = {.connections_max = 1, .waiting_max = 2};
    (void)state;
    client_fixture_open(&f, &options);
    assert_int_equal(client_fixture_start(&f, &r[0], "GET", "/hold", NULL), SX_OK);
    client_fixture_until(&f, &f.server.handled);
    assert_int_equal(client_fixture_start(&f, &r[1], "GET", "/", NULL), SX_OK);
    assert_int_equal(client_fixture_start(&f, &r[2], "GET", "/", NULL), SX_OK);
    assert_int_equal(client_fixture_start(&f, &r[3], "GET", "/", NULL), SX_REFUSED);
    assert_int_equal(sx_http_client_counts_of(f.client)->waiting, 2);
    sx_reply(f.server.held, 200, SX_STR("text/plain"), SX_STR("x"));
    client_fixture_until(&f, &r[2].dones);
    assert_int_equal(sx_http_client_counts_of(f.client)->opened, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(r[i].result, SX_OK);
        call_record_done(&r[i]);
    }
    client_fixture_close(&f);
}

static void test_streamed_body_is_chunked_and_pressed_back(void **state)
{
    client_fixture f;
    raw_peer peer;
    call_record r = {0};
    static char piece[65536];
    (void)state;
    client_fixture_open(&f, NULL);
    raw_peer_open(&peer);
    sx_call_request request = {
        .method = SX_STR("POST"), .url = sx_str_z(peer.url), .stream_body = true};
    assert_int_equal(sx_http_call(f.client, &request, &RECORD, &r, &r.call, &r.err), SX_OK);
    raw_peer_accept(&f, &peer);
    assert_non_null(strstr(raw_peer_read_to(&f, &peer, "\r\n\r\n"), "Transfer-Encoding: chunked"));
    assert_int_equal(sx_call_write(r.call, SX_STR("hello")), SX_OK);
    assert_string_equal(raw_peer_read_to(&f, &peer, "hello\r\n"), "5\r\nhello\r\n");
    int again = 0;
    for (int i = 0; i < 1000 && !again; i++)
        again = sx_call_write(r.call, sx_str_of(piece, sizeof(piece))) == SX_AGAIN;
    assert_int_equal(again, 1); /* the peer does not read */
    assert_int_equal(r.writables, 0);
    for (int i = 0; i < 20000 && !r.writables; i++) {
        char sink[65536];
        sx_loop_turn(f.server.loop);
        recv(peer.fd, sink, sizeof(sink), 0);
    }
    assert_int_equal(r.writables, 1);
    sx_call_cancel(r.call);
    raw_peer_close(&peer);
    client_fixture_close(&f);
}

static void test_streamed_body_keeps_its_declared_length(void **state)
{
    static const sx_header LENGTH = {SX_STR_INIT("Content-Length"), SX_STR_INIT("6")};
    client_fixture f;
    (void)state;
    client_fixture_open(&f, NULL);
    char url[160];
    snprintf(url, sizeof(url), "http://%s/echo", f.server.bound.text);
    sx_call_request request = {.method = SX_STR("POST"),
                               .url = sx_str_z(url),
                               .headers = &LENGTH,
                               .header_count = 1,
                               .stream_body = true};
    call_record r = {0};
    assert_int_equal(sx_http_call(f.client, &request, &RECORD, &r, &r.call, &r.err), SX_OK);
    assert_int_equal(sx_call_write(r.call, SX_STR("abcdefg")), SX_EINVAL);
    assert_int_equal(sx_call_write(r.call, SX_STR("abc")), SX_OK);
    assert_int_equal(sx_call_write(r.call, SX_STR("def")), SX_OK);
    sx_call_end(r.call);
    client_fixture_until(&f, &r.dones);
    assert_int_equal(r.result, SX_OK);
    assert_memory_equal(r.body.data, "abcdef", 6);
    call_record_done(&r);

    call_record bad = {0}; /* ends before its length */
    assert_int_equal(sx_http_call(f.client, &request, &RECORD, &bad, &bad.call, &bad.err), SX_OK);
    sx_call_end(bad.call);
    client_fixture_until(&f, &bad.dones);
    assert_int_equal(bad.result, SX_EINVAL);
    client_fixture_close(&f);
}

static void pause_call(call_record *r)
{
    sx_call_pause(r->call);
}

static void test_paused_response_waits(void **state)
{
    client_fixture f;
    call_record r = {.on_head = pause_call};
    (void)state;
    client_fixture_open(&f, NULL);
    assert_int_equal(client_fixture_start(&f, &r, "GET", "/big", NULL), SX_OK);
    client_fixture_until(&f, &r.heads);
    http_fixture_settle(&f.server);
    assert_int_equal(r.body.len, 0);
    sx_call_resume(r.call);
    client_fixture_until(&f, &r.dones);
    assert_int_equal(r.result, SX_OK);
    assert_int_equal(r.body.len, 1 << 20);
    call_record_done(&r);
    client_fixture_close(&f);
}

static void cancel_call(call_record *r)
{
    sx_call_cancel(r->call);
}

static void free_client(call_record *r)
{
    client_fixture *f = r->ctx;
    sx_http_client_free(f->client);
    f->client = NULL;
}

/* A call may be given up, and the client be freed, from within each event and between them. */
static void test_cancel_at_every_stage(void **state)
{
    (void)state;
    for (int http2 = 0; http2 < 2; http2++) {
        for (int stage = 0; stage < 8; stage++) {
            client_fixture f;
            sx_http_client_options options = {.http2_prior_knowledge = http2};
            client_fixture_open(&f, &options);
            call_record r = {.ctx = &f};
            void (*act)(call_record *) = stage % 2 ? free_client : cancel_call;
            if (stage / 2 == 1)
                r.on_head = act;
            else if (stage / 2 == 2)
                r.on_body = act;
            assert_int_equal(
                client_fixture_start(&f, &r, "GET", stage / 2 == 3 ? "/hold" : "/big", NULL),
                SX_OK);
            if (stage / 2 == 3)
                client_fixture_until(&f, &f.server.handled);
            if (stage / 2 == 0 || stage / 2 == 3)
                act(&r);
            client_fixture_until(&f, &r.dones);
            http_fixture_settle(&f.server);
            assert_int_equal(r.dones, 1);
            assert_int_equal(r.result, SX_ECANCELED);
            call_record_done(&r);
            client_fixture_close(&f);
        }
    }
}

static void test_limits_of_the_response(void **state)
{
    client_fixture f;
    call_record r = {0};
    sx_http_client_options options = {.body_bytes_max = 21, .header_bytes_max = 1024};
    (void)state;
    client_fixture_open(&f, &options);
    client_fixture_call(&f, &r, "GET", "/pieces", NULL); /* 22 bytes, in chunks */
    assert_int_equal(r.result, SX_ELIMIT);
    call_record_done(&r);
    call_record big = {0};
    client_fixture_call(&f, &big, "GET", "/big", NULL); /* declared */
    assert_int_equal(big.result, SX_ELIMIT);
    assert_int_equal(big.heads, 0);
    char head[2048];
    int len = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nA: %01200d\r\n\r\n", 0);
    answer(&f, &r, head, (size_t)len, true);
    assert_int_equal(r.result, SX_ELIMIT);
    client_fixture_close(&f);
}

static void test_unix_socket(void **state)
{
    client_fixture f;
    call_record r = {0};
    char path[64], address[80], url[96];
    (void)state;
    client_fixture_open(&f, NULL);
    snprintf(path, sizeof(path), "/tmp/sx_client_%d.sock", (int)getpid());
    snprintf(address, sizeof(address), "unix:%s", path);
    snprintf(url, sizeof(url), "unix:%s:/some?x=y", path);
    sx_listen_options listen = {.address = sx_str_z(address), .inherited_fd = -1};
    http_fixture_listen(&f.server, &listen);
    client_fixture_call(&f, &r, "GET", url, NULL);
    assert_int_equal(r.result, SX_OK);
    assert_true(sx_str_eq(sx_buf_view(&r.body), SX_STR("/some?x=y")));
    call_record_done(&r);
    client_fixture_close(&f);
    unlink(path);
}

static void test_proxy_gets_the_absolute_form(void **state)
{
    client_fixture f;
    raw_peer proxy;
    call_record one = {0}, two = {0};
    char url[96];
    (void)state;
    raw_peer_open(&proxy);
    snprintf(url, sizeof(url), "http://u:p@%.*s", (int)strlen(proxy.url) - 8, proxy.url + 7);
    sx_http_client_options options = {.proxy = url, .user_agent = "t"};
    client_fixture_open(&f, &options);
    assert_int_equal(client_fixture_start(&f, &one, "GET", "http://one.test/x", NULL), SX_OK);
    raw_peer_accept(&f, &proxy);
    assert_string_equal(raw_peer_read_to(&f, &proxy, "\r\n\r\n"),
                        "GET http://one.test/x HTTP/1.1\r\nHost: one.test\r\nUser-Agent: t\r\n"
                        "Proxy-Authorization: Basic dTpw\r\n\r\n");
    raw_peer_say(&f, &proxy, "HTTP/1.1 204 No\r\n\r\n", 19);
    assert_int_equal(one.result, SX_OK);
    /* Another host takes the same connection. */
    assert_int_equal(client_fixture_start(&f, &two, "GET", "http://two.test/", NULL), SX_OK);
    raw_peer_read_to(&f, &proxy, "\r\n\r\n");
    sx_call_cancel(two.call);
    raw_peer_close(&proxy);
    client_fixture_close(&f);
}

static void test_proxy_refuses_a_tunnel(void **state)
{
    client_fixture f;
    raw_peer proxy;
    call_record r = {0};
    (void)state;
    raw_peer_open(&proxy);
    sx_http_client_options options = {.proxy = proxy.url, .user_agent = "t"};
    client_fixture_open(&f, &options);
    assert_int_equal(client_fixture_start(&f, &r, "GET", "https://one.test/x", NULL), SX_OK);
    raw_peer_accept(&f, &proxy);
    assert_string_equal(raw_peer_read_to(&f, &proxy, "\r\n\r\n"),
                        "CONNECT one.test:443 HTTP/1.1\r\nHost: one.test:443\r\n"
                        "User-Agent: t\r\n\r\n");
    raw_peer_say(&f, &proxy, "HTTP/1.1 403 Forbidden\r\n\r\n", 26);
    assert_int_equal(r.result, SX_EPROTOCOL);
    assert_non_null(strstr(r.err.message, "403"));
    raw_peer_close(&proxy);
    client_fixture_close(&f);
}

static void test_environment_names_proxies(void **state)
{
    client_fixture f;
    raw_peer proxy;
    call_record r = {0}, straight = {0};
    (void)state;
    raw_peer_open(&proxy);
    setenv("http_proxy", proxy.url + 7, 1); /* without a scheme */
    ((char *)(uintptr_t)getenv("http_proxy"))[strlen(proxy.url) - 8] = '\0';
    setenv("no_proxy", "example.com, 127.0.0.0/8", 1);
    sx_http_client_options options = {.proxy = "env"};
    client_fixture_open(&f, &options);
    client_fixture_call(&f, &straight, "GET", "/", NULL); /* 127.0.0.1 is excepted */
    assert_int_equal(straight.result, SX_OK);
    assert_int_equal(client_fixture_start(&f, &r, "GET", "http://one.test/x", NULL), SX_OK);
    raw_peer_accept(&f, &proxy);
    raw_peer_read_to(&f, &proxy, "\r\n\r\n");
    sx_call_cancel(r.call);
    unsetenv("http_proxy");
    unsetenv("no_proxy");
    call_record_done(&straight);
    raw_peer_close(&proxy);
    client_fixture_close(&f);
}

/* Every allocation of a call may fail: the call is refused or fails, nothing leaks, nothing hangs. */
static void test_memory_failures(void **state)
{
    (void)state;
    for (int http2 = 0; http2 < 2; http2++) {
        int64_t calls = 1;
        for (int64_t n = 1; n <= calls; n++) {
            client_fixture f;
            sx_http_client_options options = {.http2_prior_knowledge = http2};
            client_fixture_open(&f, &options);
            call_record r = {0};
            sx_fault_alloc_set((sx_fault_alloc){.nth = n});
            sx_status st = client_fixture_start(&f, &r, "POST", "/echo", "abc");
            for (int i = 0; i < 300 && st == SX_OK && !r.dones; i++)
                sx_loop_turn(f.server.loop);
            calls = sx_fault_alloc_calls();
            sx_fault_alloc_set((sx_fault_alloc){0});
            if (st == SX_OK &&
                !r.dones) { /* the server's side may have lost it: time-outs end it */
                http_fixture_wait(&f.server, 31000);
                http_fixture_wait(&f.server, 31000);
            }
            assert_true(st != SX_OK || r.dones == 1);
            call_record_done(&r);
            client_fixture_close(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_brings_head_and_body),
        cmocka_unit_test(test_connection_is_used_again),
        cmocka_unit_test(test_bodies_of_all_framings_arrive),
        cmocka_unit_test(test_request_is_written_as_specified),
        cmocka_unit_test(test_bad_requests_are_refused_at_once),
        cmocka_unit_test(test_good_responses_are_understood),
        cmocka_unit_test(test_bad_responses_are_refused),
        cmocka_unit_test(test_response_cut_at_every_byte_fails),
        cmocka_unit_test(test_response_in_single_bytes_is_the_same),
        cmocka_unit_test(test_bytes_behind_a_response_never_answer_the_next_call),
        cmocka_unit_test(test_dead_idle_connection_is_tried_again_if_safe),
        cmocka_unit_test(test_response_time_out),
        cmocka_unit_test(test_total_time_out_covers_the_body),
        cmocka_unit_test(test_idle_connection_is_closed),
        cmocka_unit_test(test_refused_connection_fails_all_that_wait),
        cmocka_unit_test(test_line_is_bounded),
        cmocka_unit_test(test_streamed_body_is_chunked_and_pressed_back),
        cmocka_unit_test(test_streamed_body_keeps_its_declared_length),
        cmocka_unit_test(test_paused_response_waits),
        cmocka_unit_test(test_cancel_at_every_stage),
        cmocka_unit_test(test_limits_of_the_response),
        cmocka_unit_test(test_unix_socket),
        cmocka_unit_test(test_proxy_gets_the_absolute_form),
        cmocka_unit_test(test_proxy_refuses_a_tunnel),
        cmocka_unit_test(test_environment_names_proxies),
        cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

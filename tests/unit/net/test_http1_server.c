/* The HTTP/1.1 server as a client sees it: real sockets, time moved by hand. */
#include "tests/unit/base/cmocka_all.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "tests/unit/net/http_fixture.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static int open_default(void **state)
{
    static http_fixture f;
    http_fixture_open(&f, NULL);
    *state = &f;
    return 0;
}

static int close_it(void **state)
{
    http_fixture_close(*state);
    return 0;
}

static int count_of(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void assert_has(const char *text, const char *what)
{
    if (!strstr(text, what))
        fail_msg("no '%s' in '%s'", what, text);
}

static void test_reply_is_exactly_this(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), closed;
    http_fixture_say(f, fd, GET("/"));
    assert_string_equal(http_fixture_read(f, fd, &closed),
                        "HTTP/1.1 200 OK\r\nServer: test\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                        "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
    assert_int_equal(closed, 0);
    assert_int_equal(f->done, 1);
    http_fixture_wait(f, 1000);
    http_fixture_say(f, fd, GET("/"));
    assert_has(http_fixture_read(f, fd, NULL), "08:49:38 GMT");
    assert_int_equal(sx_http_server_counts(f->server)->requests, 2);
    assert_int_equal(sx_http_server_counts(f->server)->requests_open, 0);
    close(fd);
    http_fixture_settle(f);
    assert_int_equal(sx_http_server_counts(f->server)->connections_open, 0);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f);
    char text[8192] = "";
    size_t len = 0;
    for (int i = 0; i < 200; i++) /* more than are served in one go */
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
    http_fixture_send(f, fd, text, len);
    const char *got = http_fixture_read(f, fd, NULL);
    for (int i = 0; i < 200; i++) {
        char want[32];
        snprintf(want, sizeof(want), "\r\n\r\n/%d", i);
        const char *at = strstr(got, want);
        if (!at)
            fail_msg("reply %d is missing", i);
        got = at + 4;
    }
    assert_int_equal(f->done, 200);
    close(fd);
}

static void test_request_behind_a_waiting_one_waits(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f);
    http_fixture_say(f, fd, GET("/hold") GET("/second"));
    assert_int_equal(f->handled, 1);
    assert_string_equal(http_fixture_read(f, fd, NULL), "");
    /* The views have outlived the read buffer. */
    assert_true(sx_str_eq(f->held->target, SX_STR("/hold")));
    assert_true(sx_str_eq(sx_request_header(f->held, SX_STR("hOST")), SX_STR("a")));
    sx_reply(f->held, 200, SX_STR("text/plain"), SX_STR("first"));
    http_fixture_settle(f);
    const char *got = http_fixture_read(f, fd, NULL);
    assert_has(got, "first");
    assert_has(strstr(got, "first"), "/second");
    assert_int_equal(f->done, 2);
    close(fd);
}

/* Not only the request's own views: also those that a handler took while it ran. */
static void test_what_a_handler_has_seen_lives_as_long_as_the_request(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), other = http_fixture_connect(f);
    http_fixture_say(f, fd, "GET /hold HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    http_fixture_say(f, other,
                     "GET /zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz HTTP/1.1\r\nHost: b\r\n\r\n");
    assert_true(sx_str_eq(f->held_host, SX_STR("shop.example")));
    sx_reply(f->held, 200, SX_STR("text/plain"), SX_STR("first"));
    http_fixture_settle(f);
    close(fd);
    close(other);
}

static void test_every_cut_gives_the_same_replies(void **state)
{
    http_fixture *f = *state;
    static const char TEXT[] =
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\nde\r\n1;x\r\nf\r\n0\r\nT: u\r\n\r\n" GET("/end");
    char want[2048];
    int fd = http_fixture_connect(f);
    http_fixture_say(f, fd, TEXT);
    snprintf(want, sizeof(want), "%s", http_fixture_read(f, fd, NULL));
    assert_has(want, "\r\n\r\nabcHTTP");
    assert_has(want, "\r\n\r\ndefHTTP");
    for (size_t cut = 1; cut < sizeof(TEXT) - 1; cut++) {
        http_fixture_send(f, fd, TEXT, cut);
        http_fixture_send(f, fd, TEXT + cut, sizeof(TEXT) - 1 - cut);
        assert_string_equal(http_fixture_read(f, fd, NULL), want);
    }
    for (size_t i = 0; i < sizeof(TEXT) - 1; i++)
        http_fixture_send(f, fd, TEXT + i, 1);
    assert_string_equal(http_fixture_read(f, fd, NULL), want);
    close(fd);
}

static void test_bad_head_is_answered_and_the_answer_arrives(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), closed;
    char junk[20000];
    memset(junk, 'j', sizeof(junk));
    http_fixture_say(f, fd, "GET / HTTP/1.1\r\nHost : a\r\n\r\n");
    http_fixture_send(f, fd, junk, sizeof(junk)); /* still sending: must not cost it the reply */
    const char *got = http_fixture_read(f, fd, &closed);
    assert_has(got, "HTTP/1.1 400 Bad Request\r\n");
    assert_has(got, "Connection: close\r\n");
    assert_has(got, "white space in or after a field name");
    assert_int_equal(closed, 1);
    assert_int_equal(f->rejected_status, 400);
    assert_int_equal(f->handled, 0);
    close(fd);
}

static void test_replies_before_a_bad_head_still_come(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), closed;
    http_fixture_say(f, fd, GET("/good") "BAD\r\n\r\n");
    const char *got = http_fixture_read(f, fd, &closed);
    assert_has(got, "/goodHTTP/1.1 400");
    assert_int_equal(closed, 1);
    close(fd);
}

static void test_header_flood_and_long_target_are_refused(void **state)
{
    http_fixture *f = *state;
    static char text[60000];
    int fd = http_fixture_connect(f);
    size_t len = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 200; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "X-%d: y\r\n", i);
    http_fixture_send(f, fd, text, len);
    assert_has(http_fixture_read(f, fd, NULL), "HTTP/1.1 431 ");
    close(fd);
    fd = http_fixture_connect(f);
    memset(text, 'a', sizeof(text));
    memcpy(text, "GET /", 5);
    http_fixture_send(f, fd, text, 17000);
    assert_has(http_fixture_read(f, fd, NULL), "HTTP/1.1 414 ");
    close(fd);
    fd = http_fixture_connect(f);
    memcpy(text, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 28);
    http_fixture_send(f, fd, text, sizeof(text));
    assert_has(http_fixture_read(f, fd, NULL), "HTTP/1.1 431 ");
    close(fd);
}

static void test_slow_head_is_answered_408(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), closed;
    http_fixture_say(f, fd, "GET / HT");
    for (int i = 0; i < 9; i++) { /* a byte a second keeps nobody alive */
        http_fixture_wait(f, 1000);
        http_fixture_send(f, fd, &"TP/1.1\r\nHo"[i], 1);
    }
    assert_string_equal(http_fixture_read(f, fd, &closed), "");
    assert_int_equal(closed, 0);
    http_fixture_wait(f, 1000);
    assert_has(http_fixture_read(f, fd, &closed), "HTTP/1.1 408 ");
    assert_int_equal(closed, 1);
    close(fd);
}

static void test_idle_connection_is_closed_in_silence(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), closed;
    http_fixture_say(f, fd, GET("/"));
    http_fixture_read(f, fd, NULL);
    http_fixture_wait(f, 74999);
    http_fixture_read(f, fd, &closed);
    assert_int_equal(closed, 0);
    http_fixture_wait(f, 1);
    assert_string_equal(http_fixture_read(f, fd, &closed), "");
    assert_int_equal(closed, 1);
    close(fd);
}

/* It is not the client who was slow: what it sent in time was there to be read. */
static void test_what_came_while_the_loop_stood_still_is_answered(void **state)
{
    static const char HEAD[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), closed;
    http_fixture_stall(f, fd, HEAD, 9, 80000); /* idle for too long */
    http_fixture_stall(f, fd, HEAD + 9, sizeof(HEAD) - 10, 11000);
    http_fixture_stall(f, fd, "0123456789", 10, 31000);
    assert_has(http_fixture_read(f, fd, &closed), "HTTP/1.1 200 OK\r\n");
    assert_int_equal(closed, 0);
    http_fixture_wait(f, 75000); /* and silence is still given up, in a single turn */
    http_fixture_read(f, fd, &closed);
    assert_int_equal(closed, 1);
    close(fd);
}

static void test_slow_body_is_answered_408_and_aborts(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), closed;
    http_fixture_say(f, fd, "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    http_fixture_wait(f, 29999);
    http_fixture_say(f, fd, "d");
    http_fixture_wait(f, 29999);
    assert_int_equal(f->aborted, 0);
    http_fixture_wait(f, 1);
    assert_int_equal(f->aborted, 1);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->cut_short, 1);
    assert_has(http_fixture_read(f, fd, &closed), "HTTP/1.1 408 ");
    close(fd);
}

static void test_client_that_takes_nothing_is_reset(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f);
    for (int i = 0; i < 12; i++)
        http_fixture_say(f, fd, GET("/big"));
    assert_true(f->done < 12);
    http_fixture_wait(f, 30000);
    http_fixture_wait(f, 30000); /* some bytes may have moved in the first half */
    assert_int_equal(sx_http_server_counts(f->server)->connections_open, 0);
    assert_true(f->cut_short > 0);
    close(fd);
}

static void test_large_static_reply_arrives_whole(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f);
    http_fixture_say(f, fd, GET("/big") GET("/next"));
    const char *got = http_fixture_read(f, fd, NULL);
    const char *body = strstr(got, "\r\n\r\n") + 4;
    assert_int_equal(strspn(body, "b"), 1 << 20);
    assert_has(body + (1 << 20), "/next");
    assert_int_equal(f->done, 2);
    assert_string_equal(f->done_target, "/next");
    close(fd);
}

static void test_continue_is_sent_only_when_the_body_is_wanted(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), closed;
    http_fixture_say(f, fd,
                     "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                     "Expect: 100-continue\r\n\r\n");
    assert_string_equal(http_fixture_read(f, fd, NULL), "HTTP/1.1 100 Continue\r\n\r\n");
    http_fixture_say(f, fd, "hi");
    assert_has(http_fixture_read(f, fd, NULL), "\r\n\r\nhi");
    http_fixture_say(f, fd,
                     "POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                     "Expect: 100-continue\r\n\r\n");
    const char *got = http_fixture_read(f, fd, &closed);
    assert_has(got, "HTTP/1.1 200 OK");
    assert_has(got, "Connection: close");
    assert_int_equal(closed, 1);
    close(fd);
    fd = http_fixture_connect(f);
    http_fixture_say(f, fd,
                     "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n"
                     "Expect: 100-continue\r\n\r\n");
    assert_has(http_fixture_read(f, fd, &closed), "HTTP/1.1 413 ");
    assert_int_equal(closed, 1);
    close(fd);
}

static void test_body_too_long_for_its_reader_is_413(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f);
    char text[3000];
    int len = snprintf(text, sizeof(text),
                       "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "7d0\r\n%02000d\r\n0\r\n\r\n" GET("/next"),
                       0);
    http_fixture_send(f, fd, text, (size_t)len);
    const char *got = http_fixture_read(f, fd, NULL);
    assert_has(got, "HTTP/1.1 413 ");
    assert_has(got, "/next"); /* the rest was short enough to read and drop */
    close(fd);
}

static void test_unread_body_is_dropped_or_ends_the_connection(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), closed;
    http_fixture_say(f, fd,
                     "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345" GET("/b"));
    const char *got = http_fixture_read(f, fd, &closed);
    assert_has(got, "/aHTTP/1.1 200");
    assert_has(got, "\r\n\r\n/b");
    assert_int_equal(closed, 0);
    http_fixture_say(f, fd, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n12345");
    got = http_fixture_read(f, fd, &closed);
    assert_has(got, "Connection: close");
    assert_int_equal(closed, 1);
    assert_int_equal(f->done, 3);
    close(fd);
}

static void test_streamed_body_stops_while_paused(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f);
    http_fixture_say(f, fd, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n123");
    assert_int_equal(f->body_pieces, 0); /* nobody asked yet: nothing is lost meanwhile */
    sx_reply_begin(f->held, 200, SX_STR("text/plain"), 2);
    http_fixture_say(f, fd, "456");
    sx_reply_write(f->held, SX_STR("ok"));
    sx_reply_end(f->held);
    http_fixture_settle(f);
    assert_has(http_fixture_read(f, fd, NULL), "\r\n\r\nok");
    assert_int_equal(f->done, 1);
    http_fixture_say(f, fd, GET("/again"));
    assert_has(http_fixture_read(f, fd, NULL), "/again");
    close(fd);
}

static void test_chunked_replies_and_trailers(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), closed;
    http_fixture_say(f, fd, GET("/pieces"));
    const char *got = http_fixture_read(f, fd, NULL);
    assert_has(got, "Transfer-Encoding: chunked\r\n\r\n4\r\none \r\n12\r\ntwotwotwotwotwotwo\r\n"
                    "0\r\nX-Sum: 7\r\n\r\n");
    assert_null(strstr(got, "Content-Length"));
    close(fd);
    fd = http_fixture_connect(f);
    http_fixture_say(f, fd, "GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    got = http_fixture_read(f, fd, &closed);
    assert_null(strstr(got, "Transfer-Encoding"));
    assert_has(got, "Connection: close\r\n\r\none twotwotwotwotwotwo");
    assert_int_equal(closed, 1);
    close(fd);
}

static void test_head_and_204_have_no_body(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f);
    http_fixture_say(f, fd,
                     "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
                     "HEAD /pieces HTTP/1.1\r\nHost: a\r\n\r\n" GET("/empty"));
    const char *got = http_fixture_read(f, fd, NULL);
    assert_int_equal(count_of(got, "HTTP/1.1 "), 3);
    assert_has(got, "Content-Length: 5\r\n\r\nHTTP/1.1 200");
    assert_has(got, "Transfer-Encoding: chunked\r\n\r\nHTTP/1.1 204 No Content");
    const char *empty = strstr(got, "204 No Content");
    assert_null(strstr(empty, "Content-Length"));
    close(fd);
}

static void test_reply_shorter_than_promised_is_seen_as_broken(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), closed;
    http_fixture_say(f, fd, GET("/short"));
    http_fixture_read(f, fd, &closed);
    assert_int_equal(closed, 2);
    assert_int_equal(f->cut_short, 1);
    close(fd);
}

static void test_fields_are_checked(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f);
    http_fixture_say(f, fd, GET("/fields") GET("/hints"));
    const char *got = http_fixture_read(f, fd, NULL);
    assert_has(got, "X-A: b\r\n");
    assert_has(got,
               "HTTP/1.1 200 OK\r\nServer: test\r\nContent-Type"); /* the Date is the handler's */
    assert_has(got, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\n");
    close(fd);
}

static void test_upgraded_connection_is_raw(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), closed;
    http_fixture_say(f, fd, GET("/upgrade"));
    assert_has(http_fixture_read(f, fd, NULL), "HTTP/1.1 426 ");
    http_fixture_say(f, fd,
                     "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                     "Upgrade: echo\r\n\r\nearly");
    assert_has(http_fixture_read(f, fd, NULL),
               "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
               "early");
    http_fixture_say(f, fd, "GET / HTTP/1.1\r\n\r\n");
    assert_string_equal(http_fixture_read(f, fd, NULL), "GET / HTTP/1.1\r\n\r\n");
    shutdown(fd, SHUT_WR);
    http_fixture_settle(f);
    http_fixture_read(f, fd, &closed);
    assert_int_equal(closed, 1);
    assert_int_equal(f->done, 2);
    close(fd);
}

static void test_client_that_goes_aborts_its_request(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f);
    http_fixture_say(f, fd, GET("/hold"));
    struct linger now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
    http_fixture_settle(f);
    assert_int_equal(f->aborted, 1);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->cut_short, 1);
    assert_int_equal(sx_http_server_counts(f->server)->connections_open, 0);
}

static void test_half_closed_client_gets_its_reply(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), closed;
    http_fixture_say(f, fd, GET("/hold"));
    sx_request *r = f->held;
    sx_request_hold(r);
    sx_request_events_set(r, NULL, NULL);
    shutdown(fd, SHUT_WR);
    http_fixture_settle(f);
    sx_reply(r, 200, SX_STR("text/plain"), SX_STR("late"));
    sx_request_release(r);
    http_fixture_settle(f);
    assert_has(http_fixture_read(f, fd, &closed), "Connection: close\r\n\r\nlate");
    assert_int_equal(closed, 1);
    assert_int_equal(f->cut_short, 0);
    close(fd);
}

static void test_half_closed_client_gets_the_rest_of_its_reply(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f);
    http_fixture_say(f, fd, GET("/hold"));
    assert_int_equal(sx_reply_begin(f->held, 200, SX_STR("text/plain"), 4), SX_OK);
    shutdown(fd, SHUT_WR);
    http_fixture_settle(f);
    assert_int_equal(f->aborted, 0); /* though it would be told */
    sx_reply_write(f->held, SX_STR("late"));
    sx_reply_end(f->held);
    http_fixture_settle(f);
    assert_has(http_fixture_read(f, fd, NULL), "\r\n\r\nlate");
    close(fd);
}

/* A client that gives up closes in order (curl -m): its request must not stay for ever. */
static void test_unanswered_request_ends_with_its_client(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f);
    http_fixture_say(f, fd, GET("/hold")); /* sets `aborted` */
    close(fd);
    http_fixture_settle(f);
    assert_int_equal(f->aborted, 1);
    assert_int_equal(f->cut_short, 1);
    fd = http_fixture_connect(f);
    http_fixture_say(f, fd, GET("/hold"));
    sx_request_events_set(f->held, NULL, NULL); /* as a handler that forgot to reply */
    close(fd);
    http_fixture_settle(f);
    assert_int_equal(f->aborted, 1);
    assert_int_equal(f->done, 2);
    assert_int_equal(f->cut_short, 2);
    assert_int_equal(sx_http_server_counts(f->server)->connections_open, 0);
    assert_int_equal(sx_http_server_counts(f->server)->requests_open, 0);
}

static void test_half_closed_client_has_gone_where_it_is_needed(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f), closed;
    http_fixture_say(f, fd, GET("/hold"));
    sx_reply_begin(f->held, 200, SX_STR("text/plain"), SX_LENGTH_UNKNOWN);
    sx_request_needs_client(f->held);
    shutdown(fd, SHUT_WR);
    http_fixture_settle(f);
    assert_int_equal(f->aborted, 1);
    assert_int_equal(f->cut_short, 1);
    http_fixture_read(f, fd, &closed);
    assert_int_equal(closed, 2); /* reset */
    close(fd);
    fd = http_fixture_connect(f); /* the next request does not inherit it */
    http_fixture_say(f, fd, GET("/hold"));
    sx_reply_begin(f->held, 200, SX_STR("text/plain"), 4);
    shutdown(fd, SHUT_WR);
    http_fixture_settle(f);
    sx_reply_write(f->held, SX_STR("late"));
    sx_reply_end(f->held);
    http_fixture_settle(f);
    assert_has(http_fixture_read(f, fd, NULL), "late");
    assert_int_equal(f->aborted, 1);
    close(fd);
}

static void test_held_request_survives_connection_and_server(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f);
    http_fixture_say(f, fd, GET("/hold"));
    sx_request *r = f->held;
    sx_request_hold(r);
    sx_http_server_free(f->server);
    f->server = NULL;
    assert_int_equal(f->aborted, 1);
    sx_reply(r, 200, SX_STR("text/plain"), SX_STR("too late"));
    assert_int_equal(sx_reply_header(r, SX_STR("a"), SX_STR("b")), SX_ECLOSED);
    assert_true(sx_str_eq(r->target, SX_STR("/hold")));
    sx_request_release(r);
    close(fd);
}

static void count_drained(sx_http_server *server, void *ctx)
{
    (void)server;
    ((http_fixture *)ctx)->drained++;
}

static void test_drain_lets_requests_finish(void **state)
{
    http_fixture *f = *state;
    int closed, idle = http_fixture_connect(f), busy = http_fixture_connect(f);
    http_fixture_say(f, idle, GET("/"));
    http_fixture_read(f, idle, NULL);
    http_fixture_say(f, busy, GET("/hold"));
    sx_http_server_drain(f->server, 5000, count_drained, f);
    http_fixture_settle(f);
    http_fixture_read(f, idle, &closed);
    assert_int_equal(closed, 1);
    assert_int_equal(f->drained, 0);
    sx_reply(f->held, 200, SX_STR("text/plain"), SX_STR("bye"));
    http_fixture_settle(f);
    assert_has(http_fixture_read(f, busy, &closed), "Connection: close\r\n\r\nbye");
    assert_int_equal(closed, 1);
    assert_int_equal(f->drained, 1);
    close(idle);
    close(busy);
}

static void test_drain_serves_what_has_arrived(void **state)
{
    http_fixture *f = *state;
    int closed, silent = http_fixture_connect(f), late = http_fixture_connect(f);
    assert_true(send(late, GET("/late"), sizeof(GET("/late")) - 1, 0) > 0); /* not read yet */
    sx_http_server_drain(f->server, 5000, count_drained, f);
    http_fixture_settle(f);
    assert_has(http_fixture_read(f, late, &closed), "Connection: close\r\n\r\n/late");
    http_fixture_read(f, silent, &closed);
    assert_int_equal(closed, 1);
    assert_int_equal(f->drained, 1);
    close(silent);
    close(late);
}

static void test_drain_cuts_at_its_deadline(void **state)
{
    http_fixture *f = *state;
    int busy = http_fixture_connect(f), closed;
    http_fixture_say(f, busy, GET("/hold"));
    sx_http_server_drain(f->server, 5000, count_drained, f);
    http_fixture_wait(f, 4999);
    assert_int_equal(f->drained, 0);
    http_fixture_wait(f, 1);
    assert_int_equal(f->drained, 1);
    assert_int_equal(f->aborted, 1);
    http_fixture_read(f, busy, &closed);
    assert_int_equal(closed, 2);
    close(busy);
}

static int open_descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void test_too_many_connections_are_told_so(void **state)
{
    (void)state;
    http_fixture f;
    http_fixture_open(&f, &(sx_http_limits){.connections_max = 2, .requests_max = 2});
    int a = http_fixture_connect(&f), b = http_fixture_connect(&f), closed;
    int c = http_fixture_connect(&f);
    assert_has(http_fixture_read(&f, c, &closed), "HTTP/1.1 503 ");
    assert_int_equal(closed, 1);
    assert_int_equal(sx_http_server_counts(f.server)->connections_refused, 1);
    int fds[20], before = open_descriptors();
    for (int i = 0; i < 20; i++) /* who is refused holds no descriptor of ours, however it stays */
        fds[i] = http_fixture_connect(&f);
    http_fixture_settle(&f);
    assert_int_equal(open_descriptors(), before + 20);
    for (int i = 0; i < 20; i++) {
        assert_has(http_fixture_read(&f, fds[i], NULL), "HTTP/1.1 503 ");
        close(fds[i]);
    }
    http_fixture_say(&f, a, GET("/1") GET("/2") GET("/3"));
    const char *got = http_fixture_read(&f, a, &closed);
    assert_int_equal(count_of(got, "HTTP/1.1 200"), 2);
    assert_int_equal(closed, 1);
    close(a);
    close(b);
    close(c);
    http_fixture_close(&f);
}

static void test_space_in_a_target_is_told_so(void **state)
{
    static const struct {
        const char *text, *status; /* NULL: no word, only the end */
    } CASES[] = {{"GET /search/?q=a b HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 "},
                 {"GET http://a/a b HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 "},
                 {"BREW /a b HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 "},
                 {"GET / \r\n\r\n", "HTTP/1.1 400 "},
                 {"\x16\x03\x01\x02\x01\x01", "HTTP/1.1 400 "},
                 {"PRI * HTTX/2.0\r\n\r\nSM\r\n\r\n", NULL},
                 {"INVALID CONNECTION PREFACE\r\n\r\n", NULL}};
    http_fixture *f = *state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        int closed, fd = http_fixture_connect(f);
        http_fixture_say(f, fd, CASES[i].text);
        const char *got = http_fixture_read(f, fd, &closed);
        if (CASES[i].status)
            assert_has(got, CASES[i].status);
        else
            assert_string_equal(got, "");
        assert_int_equal(closed, 1);
        close(fd);
    }
    assert_int_equal(f->handled, 0);
}

static void test_torn_sockets_change_nothing(void **state)
{
    http_fixture *f = *state;
    int fd = http_fixture_connect(f);
    sx_fault_socket_set(
        &(sx_fault_socket){.fd = -1, .split_bytes = 7, .again_every = 3, .reset_after_bytes = -1});
    http_fixture_say(f, fd,
                     "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GET("/pieces")
                         GET("/end"));
    for (int i = 0; i < 200; i++)
        sx_loop_turn(f->loop);
    const char *got = http_fixture_read(f, fd, NULL);
    sx_fault_socket_set(NULL);
    assert_has(got, "\r\n\r\nabcHTTP");
    assert_has(got, "X-Sum: 7\r\n\r\nHTTP");
    assert_has(got, "/end");
    assert_int_equal(f->done, 3);
    close(fd);
}

static void test_reset_after_any_byte_leaks_nothing(void **state)
{
    http_fixture *f = *state;
    for (int64_t after = 0; after < 700; after += 9) {
        int fd = http_fixture_connect(f);
        sx_fault_socket_set(&(sx_fault_socket){.fd = -1, .reset_after_bytes = after});
        http_fixture_say(f, fd,
                         "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GET(
                             "/pieces") GET("/end"));
        sx_fault_socket_set(NULL);
        close(fd);
        http_fixture_settle(f);
        assert_int_equal(sx_http_server_counts(f->server)->connections_open, 0);
        assert_int_equal(sx_http_server_counts(f->server)->requests_open, 0);
    }
    assert_int_equal(f->done, f->handled);
}

static void test_every_failed_allocation_is_survived(void **state)
{
    (void)state;
    int64_t calls = 1;
    for (int64_t nth = 0; nth <= calls; nth++) { /* 0: only counts them */
        http_fixture f;
        http_fixture_open(&f, NULL);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth ? nth : INT64_MAX});
        int fd = http_fixture_connect(&f);
        http_fixture_say(&f, fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
        http_fixture_say(&f, fd, "bc" GET("/pieces") GET("/hold") GET("/end"));
        if (f.held)
            sx_reply(f.held, 200, SX_STR("text/plain"), SX_STR("held"));
        http_fixture_settle(&f);
        if (nth == 0)
            calls = sx_fault_alloc_calls();
        sx_fault_alloc_set((sx_fault_alloc){0});
        http_fixture_read(&f, fd, NULL);
        close(fd);
        http_fixture_settle(&f);
        assert_int_equal(sx_http_server_counts(f.server)->connections_open, 0);
        http_fixture_close(&f);
    }
    assert_true(calls > 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_default, close_it)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reply_is_exactly_this),
        TEST(test_pipelined_requests_are_answered_in_order),
        TEST(test_request_behind_a_waiting_one_waits),
        TEST(test_what_a_handler_has_seen_lives_as_long_as_the_request),
        TEST(test_every_cut_gives_the_same_replies),
        TEST(test_bad_head_is_answered_and_the_answer_arrives),
        TEST(test_replies_before_a_bad_head_still_come),
        TEST(test_header_flood_and_long_target_are_refused),
        TEST(test_slow_head_is_answered_408),
        TEST(test_idle_connection_is_closed_in_silence),
        TEST(test_what_came_while_the_loop_stood_still_is_answered),
        TEST(test_slow_body_is_answered_408_and_aborts),
        TEST(test_client_that_takes_nothing_is_reset),
        TEST(test_large_static_reply_arrives_whole),
        TEST(test_continue_is_sent_only_when_the_body_is_wanted),
        TEST(test_body_too_long_for_its_reader_is_413),
        TEST(test_unread_body_is_dropped_or_ends_the_connection),
        TEST(test_streamed_body_stops_while_paused),
        TEST(test_chunked_replies_and_trailers),
        TEST(test_head_and_204_have_no_body),
        TEST(test_reply_shorter_than_promised_is_seen_as_broken),
        TEST(test_fields_are_checked),
        TEST(test_upgraded_connection_is_raw),
        TEST(test_client_that_goes_aborts_its_request),
        TEST(test_half_closed_client_gets_its_reply),
        TEST(test_half_closed_client_gets_the_rest_of_its_reply),
        TEST(test_unanswered_request_ends_with_its_client),
        TEST(test_half_closed_client_has_gone_where_it_is_needed),
        TEST(test_held_request_survives_connection_and_server),
        TEST(test_drain_lets_requests_finish),
        TEST(test_drain_serves_what_has_arrived),
        TEST(test_drain_cuts_at_its_deadline),
        TEST(test_space_in_a_target_is_told_so),
        TEST(test_torn_sockets_change_nothing),
        TEST(test_reset_after_any_byte_leaks_nothing),
        cmocka_unit_test(test_too_many_connections_are_told_so),
        cmocka_unit_test(test_every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

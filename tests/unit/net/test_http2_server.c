/* test_http2_server.c - the HTTP/2 server against frames written by hand: what is right, what breaks
 * the rules, how connections end. Limits: test_http2_limits.c. */
#include "tests/unit/net/http2_wire.h"

/* ---- what is right ---- */

static void test_get_is_answered(void **state)
{
    wire w;
    frame fr;
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "GET", "/", END_HEADERS | END_STREAM, NULL, NULL);
    flush(&w);
    expect_status(&w, 1, "200");
    assert_true(find_frame(&w, DATA, 1, &fr));
    assert_true(sx_str_eq(fr.payload, SX_STR("hello")));
    assert_int_equal(fr.flags, END_STREAM);
    assert_int_equal(w.f.done, 1);
    assert_int_equal(w.f.done_status, 200);
    assert_int_equal(w.f.cut_short, 0);
    close_wire(&w);
}

static void test_head_and_no_content_have_no_data(void **state)
{
    wire w;
    frame fr;
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "HEAD", "/", END_HEADERS | END_STREAM, NULL, NULL);
    add_request(&w, 3, "GET", "/empty", END_HEADERS | END_STREAM, NULL, NULL);
    add_request(&w, 5, "HEAD", "/pieces", END_HEADERS | END_STREAM, NULL, NULL);
    flush(&w);
    for (uint32_t id = 1; id <= 5; id += 2) {
        assert_true(find_frame(&w, HEADERS, id, &fr));
        assert_int_equal(fr.flags & END_STREAM, END_STREAM);
    }
    assert_int_equal(w.f.done, 3);
    close_wire(&w);
}

static void test_streamed_reply_ends_in_trailers(void **state)
{
    wire w;
    frame fr;
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "GET", "/pieces", END_HEADERS | END_STREAM, NULL, NULL);
    flush(&w);
    expect_status(&w, 1, "200");
    assert_true(find_frame(&w, DATA, 1, &fr));
    assert_int_equal(fr.flags, 0);
    assert_true(find_frame(&w, HEADERS, 1, &fr));
    assert_int_equal(fr.flags, END_HEADERS | END_STREAM);
    close_wire(&w);
}

static void test_body_and_trailers_of_a_request(void **state)
{
    wire w;
    frame fr;
    sx_buf block;
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "POST", "/echo", END_HEADERS, "content-length", "6");
    add_frame(&w, DATA, 0, 1, SX_STR("abc"));
    add_frame(&w, DATA, 0, 1, SX_STR("def"));
    sx_buf_init(&block, 0);
    add_field(&block, "x-sum", "1");
    add_frame(&w, HEADERS, END_HEADERS | END_STREAM, 1, sx_buf_view(&block));
    sx_buf_done(&block);
    flush(&w);
    expect_status(&w, 1, "200");
    assert_true(find_frame(&w, DATA, 1, &fr));
    assert_true(sx_str_eq(fr.payload, SX_STR("abcdef")));
    close_wire(&w);
}

static void test_continue_is_sent_when_the_body_is_wanted(void **state)
{
    wire w;
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "POST", "/echo", END_HEADERS, "expect", "100-continue");
    flush(&w);
    expect_status(&w, 1, "100");
    add_frame(&w, DATA, END_STREAM, 1, SX_STR("x"));
    flush(&w);
    expect_status(&w, 1, "200");
    close_wire(&w);
}

static void test_many_streams_are_answered_on_one_connection(void **state)
{
    wire w;
    (void)state;
    open_wire(&w, NULL);
    for (uint32_t i = 0; i < 100; i++)
        add_request(&w, 1 + 2 * i, "GET", "/", END_HEADERS | END_STREAM, NULL, NULL);
    flush(&w);
    assert_int_equal(w.f.done, 100);
    assert_int_equal(w.f.cut_short, 0);
    assert_int_equal(sx_http_server_counts(w.f.server)->connections_open, 1);
    close_wire(&w);
}

/* ---- what breaks the rules ---- */

static void test_malformed_requests_are_reset(void **state)
{
    static const struct {
        const char *name, *value;
    } CASES[] = {{"X-Upper", "a"},
                 {"connection", "close"},
                 {"te", "gzip"},
                 {"transfer-encoding", "a"},
                 {"content-length", "x"},
                 {":path", "/again"},
                 {":unknown", "a"},
                 {"bad name", "a"},
                 {"x", "a\nb"},
                 {"", "a"},
                 {"proxy-connection", "a"},
                 {"upgrade", "h2c"}};
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        wire w;
        open_wire(&w, NULL);
        add_request(&w, 1, "GET", "/", END_HEADERS | END_STREAM, CASES[i].name, CASES[i].value);
        flush(&w);
        expect_rst(&w, 1, PROTOCOL_ERROR);
        assert_int_equal(w.f.handled, 0);
        close_wire(&w);
    }
}

static void test_requests_that_contradict_themselves_are_refused(void **state)
{
    static const struct {
        const char *name, *value;
    } CASES[] = {{"host", "other.test"}};
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        wire w;
        open_wire(&w, NULL);
        add_request(&w, 1, "GET", "/", END_HEADERS | END_STREAM, CASES[i].name, CASES[i].value);
        flush(&w);
        expect_status(&w, 1, "400");
        assert_int_equal(w.f.handled, 0);
        assert_int_equal(w.f.rejected_status, 400);
        close_wire(&w);
    }
}

static void test_methods_and_paths_of_http1_are_refused_alike(void **state)
{
    static const struct {
        const char *method, *path, *status;
    } CASES[] = {{"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF", "/", "200"},
                 {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", "/", "400"},
                 {"GET", "/a#b", "400"},
                 {"GET", "/?a#", "400"},
                 {"GET", "/\xc3\xa9", "200"}}; /* people type accents */
    wire w;
    (void)state;
    open_wire(&w, NULL);
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        uint32_t stream = 1 + 2 * (uint32_t)i;
        add_request(&w, stream, CASES[i].method, CASES[i].path, END_HEADERS | END_STREAM, NULL,
                    NULL);
        flush(&w);
        expect_status(&w, stream, CASES[i].status);
    }
    assert_int_equal(w.f.handled, 2);
    close_wire(&w);
}

static void test_body_that_is_not_its_length_is_reset(void **state)
{
    (void)state;
    for (int longer = 0; longer < 2; longer++) {
        wire w;
        open_wire(&w, NULL);
        add_request(&w, 1, "POST", "/stream", END_HEADERS, "content-length", "4");
        add_frame(&w, DATA, END_STREAM, 1, longer ? SX_STR("abcde") : SX_STR("abc"));
        flush(&w);
        expect_rst(&w, 1, PROTOCOL_ERROR);
        assert_int_equal(w.f.aborted, 1);
        assert_int_equal(w.f.cut_short, 1);
        close_wire(&w);
    }
}

static void test_window_violation_ends_it(void **state)
{
    wire w;
    static char zeros[16384];
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "POST", "/hold", END_HEADERS, NULL, NULL);
    for (int i = 0; i < 17; i++) /* 272 KiB into a window of 256 that nobody opens */
        add_frame(&w, DATA, 0, 1, sx_str_of(zeros, sizeof(zeros)));
    flush(&w);
    expect_rst(&w, 1, FLOW_CONTROL_ERROR);
    assert_int_equal(w.f.aborted, 1);
    close_wire(&w);
}

static void never(sx_request *r, void *ctx)
{
    (void)r, (void)ctx;
    fail_msg("the body has not ended");
}

static void test_window_stays_shut_until_somebody_reads(void **state)
{
    wire w;
    frame fr;
    static char zeros[16384];
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "POST", "/hold", END_HEADERS, NULL, NULL);
    for (int i = 0; i < 16; i++)
        add_frame(&w, DATA, 0, 1, sx_str_of(zeros, sizeof(zeros)));
    flush(&w);
    size_t before = w.at;
    assert_false(find_frame(&w, WINDOW_UPDATE, 1, &fr));
    w.at = before;
    sx_request_read_body(w.f.held, 1 << 20, never, NULL);
    receive(&w);
    assert_true(find_frame(&w, WINDOW_UPDATE, 1, &fr));
    assert_int_equal(get32(fr.payload, 0), 256 * 1024);
    close_wire(&w);
}

/* ---- the end ---- */

static void on_drained(sx_http_server *server, void *ctx)
{
    (void)server;
    ++*(int *)ctx;
}

static void test_drain_refuses_nothing_that_was_on_its_way(void **state)
{
    wire w;
    frame fr;
    int drained = 0;
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "GET", "/hold", END_HEADERS | END_STREAM, NULL, NULL);
    flush(&w);
    sx_http_server_drain(w.f.server, 5000, on_drained, &drained);
    receive(&w);
    assert_true(find_frame(&w, GOAWAY, 0, &fr));
    assert_int_equal(get32(fr.payload, 0), 0x7fffffff);
    assert_true(find_frame(&w, PING, 0, &fr));
    sx_str ping = fr.payload;
    char copy[8];
    memcpy(copy, ping.data, 8);
    add_request(&w, 3, "GET", "/", END_HEADERS | END_STREAM, NULL, NULL); /* crossed it */
    add_frame(&w, PING, ACK, 0, sx_str_of(copy, 8));
    flush(&w);
    expect_status(&w, 3, "200");
    w.at = 0;
    assert_true(find_frame(&w, GOAWAY, 0, &fr));
    assert_true(find_frame(&w, GOAWAY, 0, &fr));
    assert_int_equal(get32(fr.payload, 0), 3);
    assert_int_equal(drained, 0);
    sx_reply(w.f.held, 200, SX_STR("text/plain"), SX_STR("late"));
    receive(&w);
    assert_int_equal(w.closed, 1);
    assert_int_equal(drained, 1);
    assert_int_equal(w.f.cut_short, 0);
    close_wire(&w);
}

static void test_client_that_goes_aborts_what_it_asked(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        wire w;
        open_wire(&w, NULL);
        add_request(&w, 1, "GET", "/hold", END_HEADERS | END_STREAM, NULL, NULL);
        flush(&w);
        sx_request *r = w.f.held;
        sx_request_hold(r);
        if (how == 0)
            add_frame(&w, RST_STREAM, 0, 1, sx_str_of("\0\0\0\10", 4));
        else
            shutdown(w.fd, how == 1 ? SHUT_WR : SHUT_RDWR);
        flush(&w);
        assert_int_equal(w.f.aborted, 1);
        sx_reply(r, 200, SX_STR("text/plain"), SX_STR("nobody hears")); /* harmless */
        assert_int_equal(sx_reply_write(r, SX_STR("x")), SX_ECLOSED);
        sx_request_release(r);
        close_wire(&w);
    }
}

static void test_server_freed_under_open_streams(void **state)
{
    wire w;
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "GET", "/hold", END_HEADERS | END_STREAM, NULL, NULL);
    add_request(&w, 3, "POST", "/stream", END_HEADERS, NULL, NULL);
    add_request(&w, 5, "GET", "/big", END_HEADERS | END_STREAM, NULL, NULL);
    flush(&w);
    close_wire(&w);
}

static void build_session(wire *w)
{
    add_request(w, 1, "POST", "/echo", END_HEADERS, "cookie", "a=b");
    add_frame(w, DATA, END_STREAM, 1, SX_STR("abc"));
    add_request(w, 3, "GET", "/pieces", END_HEADERS | END_STREAM, NULL, NULL);
    add_frame(w, PING, 0, 0, SX_STR("12345678"));
}

static void test_every_cut_of_a_connection_is_survived(void **state)
{
    wire w;
    (void)state;
    open_wire(&w, NULL);
    build_session(&w);
    sx_buf all = w.out;
    sx_buf_init(&w.out, 0);
    close_wire(&w);
    for (size_t cut = 0; cut <= all.len; cut++) {
        open_wire(&w, NULL);
        sx_buf_clear(&w.out);
        sx_buf_bytes(&w.out, all.data, cut);
        flush(&w);
        shutdown(w.fd, SHUT_WR);
        receive(&w);
        assert_int_equal(w.f.done, w.f.handled);
        if (cut == all.len)
            assert_int_equal(w.f.cut_short, 0);
        close_wire(&w);
    }
    sx_buf_done(&all);
}

static void test_single_bytes_are_the_same(void **state)
{
    wire w;
    (void)state;
    open_wire(&w, NULL);
    build_session(&w);
    for (size_t i = 0; i < w.out.len; i++)
        http_fixture_send(&w.f, w.fd, w.out.data + i, 1);
    receive(&w);
    expect_status(&w, 1, "200");
    expect_status(&w, 3, "200");
    assert_int_equal(w.f.done, 2);
    close_wire(&w);
}

static void test_memory_failures(void **state)
{
    int64_t calls = 1;
    (void)state;
    for (int64_t n = 1; n <= calls; n++) {
        wire w;
        open_wire(&w, NULL);
        build_session(&w);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        http_fixture_send(&w.f, w.fd, w.out.data, w.out.len);
        calls = sx_fault_alloc_calls();
        sx_fault_alloc_set((sx_fault_alloc){0});
        receive(&w);
        http_fixture_wait(&w.f, 31000);
        http_fixture_wait(&w.f, 76000);
        assert_int_equal(w.f.done, w.f.handled);
        close_wire(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_is_answered),
        cmocka_unit_test(test_head_and_no_content_have_no_data),
        cmocka_unit_test(test_streamed_reply_ends_in_trailers),
        cmocka_unit_test(test_body_and_trailers_of_a_request),
        cmocka_unit_test(test_continue_is_sent_when_the_body_is_wanted),
        cmocka_unit_test(test_many_streams_are_answered_on_one_connection),
        cmocka_unit_test(test_malformed_requests_are_reset),
        cmocka_unit_test(test_requests_that_contradict_themselves_are_refused),
        cmocka_unit_test(test_methods_and_paths_of_http1_are_refused_alike),
        cmocka_unit_test(test_body_that_is_not_its_length_is_reset),
        cmocka_unit_test(test_window_violation_ends_it),
        cmocka_unit_test(test_window_stays_shut_until_somebody_reads),
        cmocka_unit_test(test_drain_refuses_nothing_that_was_on_its_way),
        cmocka_unit_test(test_client_that_goes_aborts_what_it_asked),
        cmocka_unit_test(test_server_freed_under_open_streams),
        cmocka_unit_test(test_every_cut_of_a_connection_is_survived),
        cmocka_unit_test(test_single_bytes_are_the_same),
        cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

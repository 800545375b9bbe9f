/* test_http2_limits.c - the HTTP/2 server against what is meant to exhaust it: floods, slow and silent
 * clients, blocks too long. */
#include "tests/unit/net/http2_wire.h"

/* ---- limits and time-outs ---- */

static void test_header_limits(void **state)
{
    wire w;
    sx_buf value, block;
    (void)state;
    sx_buf_init(&value, 0);
    for (int i = 0; i < 17000; i++)
        sx_buf_byte(&value, i ? 'a' : '/');
    sx_buf_byte(&value, '\0');
    open_wire(&w, NULL);
    /* The head is larger than a frame: it is continued. */
    sx_buf_init(&block, 0);
    request_block(&block, "GET", value.data);
    sx_str text = sx_buf_view(&block);
    add_frame(&w, HEADERS, END_STREAM, 1, sx_str_first(text, 16000));
    add_frame(&w, CONTINUATION, END_HEADERS, 1, sx_str_from(text, 16000));
    sx_buf_clear(&block);
    request_block(&block, "GET", "/");
    for (int i = 0; i < 200; i++)
        add_field(&block, "x", "y");
    add_frame(&w, HEADERS, END_HEADERS | END_STREAM, 3, sx_buf_view(&block));
    sx_buf_clear(&block);
    request_block(&block, "GET", "/");
    add_field(&block, "x", value.data + 2000);
    add_field(&block, "y", value.data + 1200);
    add_field(&block, "z", value.data + 14000);
    text = sx_buf_view(&block);
    add_frame(&w, HEADERS, END_STREAM, 5, sx_str_first(text, 16000));
    add_frame(&w, CONTINUATION, 0, 5, sx_str_first(sx_str_from(text, 16000), 16000));
    add_frame(&w, CONTINUATION, END_HEADERS, 5, sx_str_from(text, 32000));
    add_request(&w, 7, "GET", "/", END_HEADERS | END_STREAM, NULL, NULL);
    flush(&w);
    expect_status(&w, 1, "414");
    expect_status(&w, 3, "431");
    expect_status(&w, 5, "431");
    expect_status(&w, 7, "200"); /* the connection lives on, HPACK's state with it */
    assert_int_equal(w.f.handled, 1);
    sx_buf_done(&value);
    sx_buf_done(&block);
    close_wire(&w);
}

/* A refusal is an answer, and the RST_STREAM that spares us the body comes behind it: RFC 9113,
 * section 8.1. */
static void test_refusals_are_seen_while_the_body_is_open(void **state)
{
    static const char *const WANT[] = {"431", "400", "414"};
    char path[17001];
    (void)state;
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    for (int what = 0; what < 3; what++) {
        wire w;
        sx_buf block;
        open_wire(&w, NULL);
        sx_buf_init(&block, 0);
        request_block(&block, "POST", what == 2 ? path : "/");
        for (int i = 0; what == 0 && i < 200; i++)
            add_field(&block, "x", "y");
        if (what == 1)
            add_field(&block, "host", "other.test");
        sx_str text = sx_buf_view(&block);
        add_frame(&w, HEADERS, 0, 1, sx_str_first(text, 100));
        for (text = sx_str_from(text, 100); text.len > 16000; text = sx_str_from(text, 16000))
            add_frame(&w, CONTINUATION, 0, 1, sx_str_first(text, 16000));
        add_frame(&w, CONTINUATION, END_HEADERS, 1, text);
        add_request(&w, 3, "GET", "/", END_HEADERS | END_STREAM, NULL, NULL);
        flush(&w);
        size_t before = w.at;
        expect_status(&w, 1, WANT[what]);
        expect_rst(&w, 1, NO_ERROR);
        w.at = before;
        expect_status(&w, 3, "200");
        assert_int_equal(w.f.handled, 1);
        add_frame(&w, DATA, END_STREAM, 1, SX_STR("crossed the answer"));
        add_request(&w, 5, "GET", "/", END_HEADERS | END_STREAM, NULL, NULL);
        flush(&w);
        expect_status(&w, 5, "200");
        sx_buf_done(&block);
        close_wire(&w);
    }
}

static void test_continuation_flood_ends_the_connection(void **state)
{
    wire w;
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "GET", "/", END_STREAM, NULL, NULL);
    for (int i = 0; i < 1000; i++)
        add_frame(&w, CONTINUATION, 0, 1, SX_STR(""));
    flush(&w);
    assert_true(w.closed);
    assert_int_equal(w.f.handled, 0);
    close_wire(&w);
}

static void test_rapid_resets_end_the_connection(void **state)
{
    wire w;
    (void)state;
    open_wire(&w, NULL);
    for (uint32_t i = 0; i < 300; i++) {
        add_request(&w, 1 + 2 * i, "GET", "/hold", END_HEADERS | END_STREAM, NULL, NULL);
        add_frame(&w, RST_STREAM, 0, 1 + 2 * i, sx_str_of("\0\0\0\10", 4));
    }
    flush(&w);
    expect_goaway(&w, CALM);
    assert_true(w.closed);
    assert_in_range(w.f.handled, 1, 300);
    assert_int_equal(w.f.aborted, w.f.handled);
    assert_string_equal(w.f.rejected_why, "too many stream resets");
    close_wire(&w);
}

static void test_resets_that_we_are_made_to_send_count_too(void **state)
{
    wire w;
    (void)state;
    open_wire(&w, NULL);
    for (uint32_t i = 0; i < 300; i++) {
        add_request(&w, 1 + 2 * i, "GET", "/hold", END_HEADERS | END_STREAM, NULL, NULL);
        add_frame(&w, WINDOW_UPDATE, 0, 1 + 2 * i, sx_str_of("\0\0\0\0", 4)); /* increment 0 */
        flush(&w);
        if (w.closed)
            break;
    }
    assert_true(w.closed);
    close_wire(&w);
}

static void test_control_floods_end_the_connection(void **state)
{
    (void)state;
    for (int type = 0; type < 4; type++) {
        wire w;
        open_wire(&w, NULL);
        add_request(&w, 1, "POST", "/hold", END_HEADERS, NULL, NULL);
        for (int i = 0; i < 10100 && !w.closed; i++) {
            if (type == 0)
                add_frame(&w, PING, 0, 0, SX_STR("12345678"));
            else if (type == 1)
                add_frame(&w, SETTINGS, 0, 0, SX_STR(""));
            else if (type == 2)
                add_frame(&w, DATA, 0, 1, SX_STR(""));
            else
                add_frame(&w, PRIORITY, 0, 1, sx_str_of("\0\0\0\0\1", 5));
            if (i % 100 == 0)
                flush(&w);
        }
        flush(&w);
        assert_true(w.closed);
        assert_int_equal(w.f.aborted, 1);
        close_wire(&w);
    }
}

static void test_slow_head_and_idle_connections_end(void **state)
{
    wire w;
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "GET", "/", 0, NULL, NULL); /* no END_HEADERS */
    flush(&w);
    http_fixture_wait(&w.f, 9999);
    assert_int_equal(w.closed, 0);
    http_fixture_wait(&w.f, 1);
    receive(&w);
    expect_goaway(&w, CALM);
    close_wire(&w);

    open_wire(&w, NULL);
    add_request(&w, 1, "GET", "/", END_HEADERS | END_STREAM, NULL, NULL);
    flush(&w);
    http_fixture_wait(&w.f, 75000);
    receive(&w);
    expect_goaway(&w, NO_ERROR);
    assert_int_equal(w.closed, 1);
    close_wire(&w);

    open_wire(&w, NULL); /* never says anything but the preface */
    sx_buf_clear(&w.out);
    sx_buf_str(&w.out, SX_STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    flush(&w);
    http_fixture_wait(&w.f, 10000);
    receive(&w);
    assert_true(w.closed);
    close_wire(&w);
}

/* It is not the client who was slow: what it sent in time was there to be read. */
static void test_what_came_while_the_loop_stood_still_is_answered(void **state)
{
    wire w;
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "POST", "/echo", END_HEADERS, NULL, NULL);
    http_fixture_stall(&w.f, w.fd, w.out.data, w.out.len, 11000); /* with the preface */
    sx_buf_clear(&w.out);
    add_frame(&w, DATA, END_STREAM, 1, SX_STR("body"));
    http_fixture_stall(&w.f, w.fd, w.out.data, w.out.len, 31000);
    sx_buf_clear(&w.out);
    receive(&w);
    expect_status(&w, 1, "200");
    add_request(&w, 3, "GET", "/", END_HEADERS | END_STREAM, NULL, NULL);
    http_fixture_stall(&w.f, w.fd, w.out.data, w.out.len, 76000); /* idle for too long */
    sx_buf_clear(&w.out);
    receive(&w);
    expect_status(&w, 3, "200");
    assert_int_equal(w.closed, 0);
    close_wire(&w);
}

/* Whoever refuses the block, its time-out ends with it and not the connection. */
static void test_refused_block_does_not_end_the_connection_later(void **state)
{
    static const struct {
        const char *name, *value;
    } CASES[] = {{"bad name", "a"}, {":path", "/again"}, {"connection", "close"}, {NULL, NULL}};
    (void)state;
    for (size_t i = 0; i < 2 * SX_COUNT_OF(CASES); i++) {
        wire w;
        sx_buf block;
        bool is_cut = i % 2 == 1;
        const char *name = CASES[i / 2].name;
        open_wire(&w, NULL);
        sx_buf_init(&block, 0);
        if (name) {
            request_block(&block, "GET", "/");
            add_field(&block, name, CASES[i / 2].value);
        } else {
            add_field(&block, ":method", "GET"); /* and nothing else */
        }
        add_frame(&w, HEADERS, END_STREAM | (is_cut ? 0 : END_HEADERS), 1, sx_buf_view(&block));
        flush(&w);
        if (is_cut) { /* what follows is decoded, in its time */
            http_fixture_wait(&w.f, 9999);
            sx_buf_clear(&block);
            add_field(&block, "x", "y");
            add_frame(&w, CONTINUATION, END_HEADERS, 1, sx_buf_view(&block));
            add_frame(&w, PING, ACK, 0, SX_STR("\0\0\0\0\0\0\0\0"));
            flush(&w);
        }
        expect_rst(&w, 1, PROTOCOL_ERROR);
        http_fixture_wait(&w.f, 20000);
        add_request(&w, 3, "GET", "/", END_HEADERS | END_STREAM, NULL, NULL);
        flush(&w);
        expect_status(&w, 3, "200");
        assert_int_equal(w.closed, 0);
        sx_buf_done(&block);
        close_wire(&w);
    }
}

static void test_refused_block_that_does_not_end_ends_the_connection(void **state)
{
    wire w;
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "GET", "/", END_STREAM, "bad name", "a"); /* no END_HEADERS */
    add_frame(&w, CONTINUATION, 0, 1, SX_STR(""));
    flush(&w);
    http_fixture_wait(&w.f, 10000);
    receive(&w);
    expect_goaway(&w, CALM);
    close_wire(&w);
}

static void test_slow_body_is_408(void **state)
{
    wire w;
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "POST", "/echo", END_HEADERS, NULL, NULL);
    add_frame(&w, DATA, 0, 1, SX_STR("a"));
    flush(&w);
    http_fixture_wait(&w.f, 29999);
    add_frame(&w, DATA, 0, 1, SX_STR("b")); /* progress begins the wait anew */
    flush(&w);
    http_fixture_wait(&w.f, 29999);
    assert_int_equal(w.f.done, 0);
    http_fixture_wait(&w.f, 1);
    receive(&w);
    expect_status(&w, 1, "408");
    expect_rst(&w, 1, NO_ERROR);
    assert_int_equal(w.f.done, 1);
    assert_int_equal(w.f.cut_short, 1);
    close_wire(&w);
}

static void test_reply_that_nobody_takes_is_reset(void **state)
{
    wire w;
    frame fr;
    (void)state;
    open_wire(&w, NULL);
    add_frame(&w, SETTINGS, 0, 0, sx_str_of("\0\4\0\0\0\0", 6)); /* INITIAL_WINDOW_SIZE 0 */
    add_request(&w, 1, "GET", "/big", END_HEADERS | END_STREAM, NULL, NULL);
    flush(&w);
    size_t before = w.at;
    assert_false(find_frame(&w, DATA, 1, &fr));
    w.at = before;
    http_fixture_wait(&w.f, 30000);
    receive(&w);
    expect_rst(&w, 1, CANCEL);
    assert_int_equal(w.f.cut_short, 1);
    close_wire(&w);
}

static void test_window_updates_let_the_reply_go_on(void **state)
{
    wire w;
    frame fr;
    size_t got = 0;
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "GET", "/big", END_HEADERS | END_STREAM, NULL, NULL);
    flush(&w);
    for (int round = 0; round < 40 && got < 1 << 20; round++) {
        while (next_frame(&w, &fr)) {
            if (fr.type == DATA)
                got += fr.payload.len;
        }
        assert_true(got <= (size_t)65535 * (size_t)(round + 1));
        add_frame(&w, WINDOW_UPDATE, 0, 0, sx_str_of("\0\0\377\377", 4));
        add_frame(&w, WINDOW_UPDATE, 0, 1, sx_str_of("\0\0\377\377", 4));
        flush(&w);
    }
    assert_int_equal(got, 1 << 20);
    assert_int_equal(w.f.done, 1);
    assert_int_equal(w.f.cut_short, 0);
    close_wire(&w);
}

static void test_early_reply_lets_the_body_end_or_stops_it(void **state)
{
    wire w;
    static char zeros[16384];
    (void)state;
    open_wire(&w, NULL);
    add_request(&w, 1, "POST", "/", END_HEADERS, NULL, NULL); /* replies without reading */
    add_request(&w, 3, "POST", "/", END_HEADERS, NULL, NULL);
    flush(&w);
    expect_status(&w, 1, "200");
    expect_status(&w, 3, "200");
    add_frame(&w, DATA, END_STREAM, 1, SX_STR("a little more"));
    flush(&w);
    frame fr;
    size_t before = w.at;
    assert_false(find_frame(&w, RST_STREAM, 1, &fr));
    w.at = before;
    for (int i = 0; i < 10; i++)
        add_frame(&w, DATA, 0, 3, sx_str_of(zeros, sizeof(zeros)));
    flush(&w);
    expect_rst(&w, 3, NO_ERROR);
    assert_int_equal(w.f.done, 2);
    assert_int_equal(w.f.cut_short, 0);
    close_wire(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_limits),
        cmocka_unit_test(test_refusals_are_seen_while_the_body_is_open),
        cmocka_unit_test(test_continuation_flood_ends_the_connection),
        cmocka_unit_test(test_rapid_resets_end_the_connection),
        cmocka_unit_test(test_resets_that_we_are_made_to_send_count_too),
        cmocka_unit_test(test_control_floods_end_the_connection),
        cmocka_unit_test(test_slow_head_and_idle_connections_end),
        cmocka_unit_test(test_what_came_while_the_loop_stood_still_is_answered),
        cmocka_unit_test(test_refused_block_does_not_end_the_connection_later),
        cmocka_unit_test(test_refused_block_that_does_not_end_ends_the_connection),
        cmocka_unit_test(test_slow_body_is_408),
        cmocka_unit_test(test_reply_that_nobody_takes_is_reset),
        cmocka_unit_test(test_window_updates_let_the_reply_go_on),
        cmocka_unit_test(test_early_reply_lets_the_body_end_or_stops_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_http2_server.c - the HTTP/2 server against frames written by hand: what is right, what breaks
 * the rules, what is meant to exhaust it. */
#include "tests/unit/base/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>

#include "lib/base/fault.h"
#include "tests/unit/net/http_fixture.h"

enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { NO_ERROR = 0, PROTOCOL_ERROR = 1, FLOW_CONTROL_ERROR = 3, CANCEL = 8, CALM = 11 };

/* One client's connection. */
typedef struct wire {
    http_fixture f;
    int fd;
    sx_buf out; /* frames being built */
    sx_buf in;  /* what has come, from `at` on not yet looked at */
    size_t at;
    int closed; /* 1 FIN, 2 RST */
    nghttp2_hd_inflater *inflater;
    struct {
        size_t at;
        char status[8];
    } heads[512]; /* of HEADERS frames, decoded once and in order */
    size_t head_count;
} wire;

typedef struct frame {
    int type, flags;
    uint32_t stream;
    sx_str payload;
    char status[8]; /* :status of HEADERS */
} frame;

static void put32(sx_buf *b, uint32_t v)
{
    char bytes[4] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v};
    sx_buf_bytes(b, bytes, 4);
}

static void add_frame(wire *w, int type, int flags, uint32_t stream, sx_str payload)
{
    char head[5] = {(char)(payload.len >> 16), (char)(payload.len >> 8), (char)payload.len,
                    (char)type, (char)flags};
    sx_buf_bytes(&w->out, head, 5);
    put32(&w->out, stream);
    sx_buf_str(&w->out, payload);
}

/* A literal field without indexing, no Huffman: RFC 7541, section 6.2.2. */
static void add_field(sx_buf *b, const char *name, const char *value)
{
    size_t lengths[2] = {strlen(name), strlen(value)};
    const char *texts[2] = {name, value};
    sx_buf_byte(b, 0);
    for (int i = 0; i < 2; i++) {
        size_t n = lengths[i];
        if (n < 127) {
            sx_buf_byte(b, (char)n);
        } else {
            sx_buf_byte(b, 127);
            for (n -= 127; n >= 128; n /= 128)
                sx_buf_byte(b, (char)(128 | n % 128));
            sx_buf_byte(b, (char)n);
        }
        sx_buf_bytes(b, texts[i], lengths[i]);
    }
}

static void request_block(sx_buf *b, const char *method, const char *path)
{
    add_field(b, ":method", method);
    add_field(b, ":scheme", "http");
    add_field(b, ":authority", "a.test");
    add_field(b, ":path", path);
}

static void add_request(wire *w, uint32_t stream, const char *method, const char *path, int flags,
                        const char *name, const char *value)
{
    sx_buf block;
    sx_buf_init(&block, 0);
    request_block(&block, method, path);
    if (name)
        add_field(&block, name, value);
    add_frame(w, HEADERS, flags, stream, sx_buf_view(&block));
    sx_buf_done(&block);
}

static void receive(wire *w)
{
    char bytes[65536];
    for (int idle = 0; idle < 20 && !w->closed;) {
        sx_loop_turn(w->f.loop);
        ssize_t n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0)
            sx_buf_bytes(&w->in, bytes, (size_t)n);
        else if (n == 0)
            w->closed = 1;
        else if (errno == ECONNRESET)
            w->closed = 2;
        else
            idle++;
    }
}

static void flush(wire *w)
{
    http_fixture_send(&w->f, w->fd, w->out.data, w->out.len);
    sx_buf_clear(&w->out);
    receive(w);
}

static void open_wire(wire *w, const sx_http_limits *limits)
{
    memset(w, 0, sizeof(*w));
    http_fixture_open(&w->f, limits);
    w->fd = http_fixture_connect(&w->f);
    sx_buf_str(&w->out, SX_STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    add_frame(w, SETTINGS, 0, 0, SX_STR(""));
    add_frame(w, SETTINGS, ACK, 0, SX_STR("")); /* of the server's, which comes first in effect */
    assert_int_equal(nghttp2_hd_inflate_new(&w->inflater), 0);
}

static void close_wire(wire *w)
{
    nghttp2_hd_inflate_del(w->inflater);
    close(w->fd);
    sx_buf_done(&w->out);
    sx_buf_done(&w->in);
    http_fixture_close(&w->f);
}

/* The :status of the HEADERS frame at `at`: decoded when first seen, remembered when seen again. */
static const char *status_at(wire *w, size_t at, sx_str block)
{
    for (size_t i = 0; i < w->head_count; i++) {
        if (w->heads[i].at == at)
            return w->heads[i].status;
    }
    assert_true(w->head_count < SX_COUNT_OF(w->heads));
    char *status = w->heads[w->head_count].status;
    w->heads[w->head_count++].at = at;
    const uint8_t *p = (const uint8_t *)block.data;
    for (size_t left = block.len; left;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(w->inflater, &field, &flags, p, left, 1);
        assert_true(n >= 0);
        p += n;
        left -= (size_t)n;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) && field.namelen == 7 && field.valuelen == 3)
            memcpy(status, field.value, 3);
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    nghttp2_hd_inflate_end_headers(w->inflater);
    return status;
}

/* The next frame that has come; false if there is none. */
static bool next_frame(wire *w, frame *out)
{
    const uint8_t *p = (const uint8_t *)w->in.data + w->at;
    size_t left = w->in.len - w->at;
    if (left < 9)
        return false;
    size_t len = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
    assert_true(left >= 9 + len);
    *out = (frame){p[3], p[4], (uint32_t)p[5] << 24 | (uint32_t)p[6] << 16 | p[7] << 8 | p[8],
                   sx_str_of(p + 9, len), ""};
    if (out->type == HEADERS)
        memcpy(out->status, status_at(w, w->at, out->payload), sizeof(out->status));
    w->at += 9 + len;
    return true;
}

/* The next frame of that type and stream (others are skipped). */
static bool find_frame(wire *w, int type, uint32_t stream, frame *out)
{
    while (next_frame(w, out)) {
        if (out->type == type && out->stream == stream)
            return true;
    }
    return false;
}

static uint32_t get32(sx_str s, size_t at)
{
    const uint8_t *p = (const uint8_t *)s.data + at;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void expect_rst(wire *w, uint32_t stream, uint32_t code)
{
    frame fr;
    assert_true(find_frame(w, RST_STREAM, stream, &fr));
    assert_int_equal(get32(fr.payload, 0), code);
}

static void expect_goaway(wire *w, uint32_t code)
{
    frame fr;
    assert_true(find_frame(w, GOAWAY, 0, &fr));
    assert_int_equal(get32(fr.payload, 4), code);
}

static void expect_status(wire *w, uint32_t stream, const char *status)
{
    frame fr;
    assert_true(find_frame(w, HEADERS, stream, &fr));
    assert_string_equal(fr.status, status);
}

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
        cmocka_unit_test(test_header_limits),
        cmocka_unit_test(test_refusals_are_seen_while_the_body_is_open),
        cmocka_unit_test(test_continuation_flood_ends_the_connection),
        cmocka_unit_test(test_rapid_resets_end_the_connection),
        cmocka_unit_test(test_resets_that_we_are_made_to_send_count_too),
        cmocka_unit_test(test_control_floods_end_the_connection),
        cmocka_unit_test(test_slow_head_and_idle_connections_end),
        cmocka_unit_test(test_refused_block_does_not_end_the_connection_later),
        cmocka_unit_test(test_refused_block_that_does_not_end_ends_the_connection),
        cmocka_unit_test(test_slow_body_is_408),
        cmocka_unit_test(test_reply_that_nobody_takes_is_reset),
        cmocka_unit_test(test_window_updates_let_the_reply_go_on),
        cmocka_unit_test(test_early_reply_lets_the_body_end_or_stops_it),
        cmocka_unit_test(test_drain_refuses_nothing_that_was_on_its_way),
        cmocka_unit_test(test_client_that_goes_aborts_what_it_asked),
        cmocka_unit_test(test_server_freed_under_open_streams),
        cmocka_unit_test(test_every_cut_of_a_connection_is_survived),
        cmocka_unit_test(test_single_bytes_are_the_same),
        cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

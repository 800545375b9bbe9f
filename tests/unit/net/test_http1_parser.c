/* The HTTP/1.x parser: what it reads, what it refuses, and that cuts change nothing. */
#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>

#include <sextant/mem.h>

#include "net/http1_parser.h"

static const sx_http_limits LIMITS = {
    .header_bytes_max = 1024, .header_count_max = 8, .target_bytes_max = 200};

typedef struct parsed {
    sx_status rc;
    http1_head head;
    sx_header headers[8];
} parsed;

/* Parses in one call. The text is copied to a block that ends with its slack, so that ASan sees any
 * byte read beyond what the header promises. */
static char *parse_whole(const char *data, size_t len, parsed *out)
{
    char *copy = sx_alloc(len + HTTP1_SLACK);
    memcpy(copy, data, len);
    memset(copy + len, 'x', HTTP1_SLACK);
    http1_progress progress = {0};
    memset(out, 0, sizeof(*out));
    out->rc = http1_head_parse(copy, len, &LIMITS, &progress, out->headers, &out->head);
    return copy;
}

/* Parses with one more byte at each call, the bytes moving each time. */
static void parse_bytewise(const char *data, size_t len, parsed *out)
{
    http1_progress progress = {0};
    memset(out, 0, sizeof(*out));
    out->rc = SX_AGAIN;
    for (size_t n = 0; n <= len && out->rc == SX_AGAIN; n++) {
        char *copy = sx_alloc(n + HTTP1_SLACK);
        memcpy(copy, data, n);
        memset(copy + n, '\n', HTTP1_SLACK);
        out->rc = http1_head_parse(copy, n, &LIMITS, &progress, out->headers, &out->head);
        sx_free(copy);
    }
}

/* Every cut into two reads gives what the whole gives. */
static void assert_cut_invariant(const char *data, size_t len)
{
    parsed whole, other;
    sx_free(parse_whole(data, len, &whole));
    parse_bytewise(data, len, &other);
    assert_int_equal(other.rc, whole.rc);
    assert_int_equal(other.head.status, whole.head.status);
    if (whole.rc == SX_OK) {
        assert_int_equal(other.head.bytes, whole.head.bytes);
        assert_int_equal(other.head.header_count, whole.head.header_count);
    }
    for (size_t cut = 0; cut < len; cut++) {
        http1_progress progress = {0};
        memset(&other, 0, sizeof(other));
        char *first = sx_alloc(len + HTTP1_SLACK);
        memcpy(first, data, len);
        memset(first + len, 0, HTTP1_SLACK);
        other.rc = http1_head_parse(first, cut, &LIMITS, &progress, other.headers, &other.head);
        if (other.rc == SX_AGAIN)
            other.rc = http1_head_parse(first, len, &LIMITS, &progress, other.headers, &other.head);
        assert_int_equal(other.rc, whole.rc);
        assert_int_equal(other.head.status, whole.head.status);
        if (whole.rc == SX_EFORMAT)
            assert_string_equal(other.head.why, whole.head.why);
        sx_free(first);
    }
}

#define R(text) text, sizeof(text) - 1

static const struct {
    const char *text;
    size_t len;
    int status; /* 0: accepted; -1: more is needed */
} CASES[] = {
    /* accepted */
    {R("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
    {R("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
    {R("GET / HTTP/1.0\r\n\r\n"), 0},
    {R("GET / HTTP/1.7\r\nHost: a\r\n\r\n"), 0},
    {R("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 0},
    {R("GET / HTTP/1.1\r\nHost: \t a \t \r\n\r\n"), 0},
    {R("GET /caf\xc3\xa9?q=cr\xc3\xaape HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
    {R("GET http://b:80/x?y HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
    {R("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
    {R("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"), 0},
    {R("X-1_y.z GET HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("M-SEARCH / HTTP/1.1\r\nHost: a\r\nx!#$%&'*+-.^_`|~9: v\r\n\r\n"), 0},
    {R("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n"), 0},
    {R("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"), 0},
    {R("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), 0},
    {R("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n"), 0},
    {R("POST / HTTP/1.0\r\nExpect: something\r\nContent-Length: 1\r\n\r\n"), 0},
    /* not whole */
    {R(""), -1},
    {R("\r"), -1},
    {R("GET"), -1},
    {R("GET / HTTP/1.1\r\nHost: a\r\n"), -1},
    {R("GET / HTTP/1.1\r\nHost: a\r\n\r"), -1},
    /* line ends */
    {R("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\nHost: a\n\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a\r\rX: b\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a\r\n\rX"), 400},
    {R("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400},
    /* request line */
    {R(" GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET /  HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET /a\x7f HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), 400},
    {R("GET / http/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET / HTTP/11\r\nHost: a\r\n\r\n"), 400},
    {R("GET / HTTP/1.10\r\nHost: a\r\n\r\n"), 400},
    {R("GET / FTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET /\r\n"), 505},
    {R("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505},
    {R("GET / HTTP/3.0\r\nHost: a\r\n\r\n"), 505},
    {R("G@T / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GETGETGETGETGETGETGETGETGETGETGETGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("\x16\x03\x01\x02\x00\x01\x00"), 400},
    {R("GET a HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("GET http://u@b/x HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {R("CONNECT a:99999 HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    /* fields */
    {R("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHo st: a\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a\r\n\tfolded\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a\r\nX: a\x01"
       "b\r\n\r\n"),
     400},
    {R("GET / HTTP/1.1\r\nHost: a\r\nX\x80: b\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a\r\nX(y): b\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400},
    {R("GET / HTTP/1.1\r\nHost: a\r\na:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\n\r\n"), 0},
    {R("GET / HTTP/1.1\r\nHost: a\r\na:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh:\r\n\r\n"), 431},
    /* where the body ends: each of these was a smuggling vector somewhere */
    {R("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n"), 400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n"), 400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n"), 400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n"), 400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n"), 400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"), 400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n"), 400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"), 400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
     400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
     400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"),
     400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
     400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n"), 400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"), 400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0b"
       "chunked\r\n\r\n"),
     400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;a=b\r\n\r\n"), 400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n"), 400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), 501},
    {R("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n"), 400},
    {R("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
    {R("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: tea\r\n\r\n"), 417},
};

static void test_corpus_gets_its_answer_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        parsed p;
        sx_free(parse_whole(CASES[i].text, CASES[i].len, &p));
        sx_status want = CASES[i].status == 0    ? SX_OK
                         : CASES[i].status == -1 ? SX_AGAIN
                                                 : SX_EFORMAT;
        if (p.rc != want || (want == SX_EFORMAT && p.head.status != CASES[i].status))
            fail_msg("case %zu: rc %d status %d (%s): %s", i, p.rc, p.head.status,
                     p.head.why ? p.head.why : "", CASES[i].text);
        if (p.rc == SX_EFORMAT)
            assert_true(p.head.why && p.head.why[0]);
        assert_cut_invariant(CASES[i].text, CASES[i].len);
    }
}

static void assert_str(sx_str s, const char *want)
{
    if (!sx_str_eq(s, sx_str_z(want)))
        fail_msg("'%.*s' is not '%s'", SX_ARG(s), want);
}

static void test_views_say_what_was_sent(void **state)
{
    (void)state;
    static const char TEXT[] = "PUT /a%20b/c?x=1&y=?2 HTTP/1.1\r\nHost: Example.org:8080\r\n"
                               "Content-Length: 12\r\nX-Empty:\r\nConnection: foo, Upgrade\r\n"
                               "Upgrade: websocket\r\n\r\nbody";
    parsed p;
    char *text = parse_whole(TEXT, sizeof(TEXT) - 1, &p);
    assert_int_equal(p.rc, SX_OK);
    assert_int_equal(p.head.method, SX_PUT);
    assert_str(p.head.target, "/a%20b/c?x=1&y=?2");
    assert_str(p.head.path, "/a%20b/c");
    assert_str(p.head.query, "x=1&y=?2");
    assert_str(p.head.authority, "Example.org:8080");
    assert_str(p.head.upgrade, "websocket");
    assert_int_equal(p.head.version, 11);
    assert_int_equal(p.head.content_bytes, 12);
    assert_true(p.head.keep_alive);
    assert_int_equal(p.head.header_count, 5);
    assert_str(p.headers[2].name, "X-Empty");
    assert_str(p.headers[2].value, "");
    assert_int_equal(p.head.bytes, sizeof(TEXT) - 1 - 4);
    sx_free(text);
}

static void test_absolute_target_overrides_host(void **state)
{
    (void)state;
    static const char TEXT[] = "GET HTTP://b.test?q=1 HTTP/1.1\r\nHost: a\r\n\r\n";
    parsed p;
    char *text = parse_whole(TEXT, sizeof(TEXT) - 1, &p);
    assert_int_equal(p.rc, SX_OK);
    assert_str(p.head.authority, "b.test");
    assert_str(p.head.path, "/");
    assert_str(p.head.query, "q=1");
    sx_free(text);
}

static void test_connections_stay_open_as_the_version_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool keep_alive;
    } TABLE[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: x, close\r\n\r\n",
         false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
    };
    for (size_t i = 0; i < SX_COUNT_OF(TABLE); i++) {
        parsed p;
        sx_free(parse_whole(TABLE[i].text, strlen(TABLE[i].text), &p));
        assert_int_equal(p.rc, SX_OK);
        assert_int_equal(p.head.keep_alive, TABLE[i].keep_alive);
    }
}

static void test_limits_have_their_own_status(void **state)
{
    (void)state;
    char text[2048];
    parsed p;
    int len = snprintf(text, sizeof(text), "GET /%0200d HTTP/1.1\r\nHost: a\r\n\r\n", 0);
    sx_free(parse_whole(text, (size_t)len, &p));
    assert_int_equal(p.head.status, 414);
    assert_cut_invariant(text, (size_t)len);
    len = snprintf(text, sizeof(text), "GET /%0199d HTTP/1.1\r\nHost: a\r\n\r\n", 0);
    sx_free(parse_whole(text, (size_t)len, &p));
    assert_int_equal(p.rc, SX_OK);
    assert_int_equal(p.head.target.len, 200);
    len = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: %01500d\r\n\r\n", 0);
    sx_free(parse_whole(text, (size_t)len, &p));
    assert_int_equal(p.head.status, 431);
    assert_cut_invariant(text, (size_t)len);
}

/* ---- chunks ---- */

/* Reads a chunked body in pieces of `step` bytes; the data goes to `out`. */
static sx_status read_chunks(sx_str in, size_t step, sx_buf *out, size_t *used, int *status)
{
    http1_chunks c = {0};
    size_t at = 0;
    while (at < in.len) {
        sx_str part = sx_str_first(sx_str_from(in, at), step);
        size_t given = part.len;
        sx_status rc;
        sx_str piece;
        while ((rc = http1_chunks_read(&c, 64, &part, &piece)) == SX_OK)
            sx_buf_str(out, piece);
        at += given - part.len;
        if (rc != SX_AGAIN) {
            *used = at;
            *status = c.status;
            return rc;
        }
    }
    return SX_AGAIN;
}

static const struct {
    const char *text;
    const char *data; /* NULL: refused */
    int status;
    size_t left;
} CHUNKS[] = {
    {"0\r\n\r\n", "", 0, 0},
    {"5\r\nhello\r\n0\r\n\r\nGET", "hello", 0, 3},
    {"5\r\nhello\r\n00006\r\n world\r\n0\r\n\r\n", "hello world", 0, 0},
    {"a;x=y\r\n0123456789\r\n0;last\r\n\r\n", "0123456789", 0, 0},
    {"A \t;x=\"y\"\r\n0123456789\r\n0\r\nTrailer: v\r\nOther:\r\n\r\n", "0123456789", 0, 0},
    {"\r\n", NULL, 400, 0},
    {"g\r\n", NULL, 400, 0},
    {"0x5\r\nhello\r\n", NULL, 400, 0},
    {"-5\r\nhello\r\n", NULL, 400, 0},
    {" 5\r\nhello\r\n", NULL, 400, 0},
    {"5\nhello\r\n0\r\n\r\n", NULL, 400, 0},
    {"5\rhello\r\n", NULL, 400, 0},
    {"5;a\nhello\r\n", NULL, 400, 0},
    {"5;a\x01\r\nhello\r\n", NULL, 400, 0},
    {"5;a=\";\\\"\\\\\";b\r\nhello\r\n0\r\n\r\n", "hello", 0, 0},
    {"5 \r\nhello\r\n0\r\n\r\n", NULL, 400, 0},
    {"5\t \r\nhello\r\n0\r\n\r\n", NULL, 400, 0},
    {"5 x\r\nhello\r\n0\r\n\r\n", NULL, 400, 0},
    {"0 \r\n\r\n", NULL, 400, 0},
    {"5;a=\"\r\nhello\r\n0\r\n\r\n", NULL, 400, 0},
    {"5;a=\"b\\\"\r\nhello\r\n0\r\n\r\n", NULL, 400, 0},
    {"5;a=\"b\\\r\nhello\r\n0\r\n\r\n", NULL, 400, 0},
    {"5;a=\"b\n\"\r\nhello\r\n0\r\n\r\n", NULL, 400, 0},
    {"5\r\nhello0\r\n\r\n", NULL, 400, 0},
    {"5\r\nhello!\r\n", NULL, 400, 0},
    {"5\r\nhello\n0\r\n\r\n", NULL, 400, 0},
    {"8000000000000000\r\n", NULL, 400, 0},
    {"10000000000000000\r\n", NULL, 400, 0},
    {"00000000000000001\r\na\r\n", NULL, 400, 0},
    {"0\r\n X: y\r\n\r\n", NULL, 400, 0},
    {"0\r\nX y: z\r\n\r\n", NULL, 400, 0},
    {"0\r\nX: y\n\r\n", NULL, 400, 0},
    {"0\r\n\n", NULL, 400, 0},
    {"0\r\n\rX", NULL, 400, 0},
    {"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", NULL, 431,
     0},
    {"0\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", NULL, 431,
     0},
};

static void test_chunks_are_read_the_same_in_any_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CHUNKS); i++) {
        sx_str in = sx_str_z(CHUNKS[i].text);
        for (size_t step = 1; step <= in.len; step++) {
            sx_buf out;
            sx_buf_init(&out, 0);
            size_t used = 0;
            int status = 0;
            sx_status rc = read_chunks(in, step, &out, &used, &status);
            if (CHUNKS[i].data) {
                assert_int_equal(rc, SX_END);
                assert_str(sx_buf_view(&out), CHUNKS[i].data);
                assert_int_equal(in.len - used, CHUNKS[i].left);
            } else {
                if (rc != SX_EFORMAT || status != CHUNKS[i].status)
                    fail_msg("chunks %zu step %zu: rc %d status %d", i, step, rc, status);
            }
            sx_buf_done(&out);
        }
    }
}

static void test_every_truncated_chunked_body_waits(void **state)
{
    (void)state;
    sx_str in = SX_STR("5\r\nhello\r\n3;x\r\nabc\r\n0\r\nT: v\r\n\r\n");
    for (size_t len = 1; len < in.len; len++) {
        sx_buf out;
        sx_buf_init(&out, 0);
        size_t used;
        int status;
        assert_int_equal(read_chunks(sx_str_first(in, len), len, &out, &used, &status), SX_AGAIN);
        sx_buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corpus_gets_its_answer_however_it_is_cut),
        cmocka_unit_test(test_views_say_what_was_sent),
        cmocka_unit_test(test_absolute_target_overrides_host),
        cmocka_unit_test(test_connections_stay_open_as_the_version_says),
        cmocka_unit_test(test_limits_have_their_own_status),
        cmocka_unit_test(test_chunks_are_read_the_same_in_any_pieces),
        cmocka_unit_test(test_every_truncated_chunked_body_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

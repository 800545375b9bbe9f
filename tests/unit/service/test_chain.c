/* Tests of what every request passes through: ids, contexts, spans, hostile fields, no allocation. */
#include "tests/unit/service/service_fixture.h"

#include "base/fault.h"

/* What the context of the moment says, as one line. */
static void answer_context(sx_request *r, void *ctx)
{
    (void)ctx;
    const sx_context *c = sx_context_current();
    char trace[33], span[17];
    sx_trace_id_hex(&c->span, trace);
    sx_span_id_hex(&c->span, span);
    sx_log_context log = sx_request_log_context(r);
    sx_str text = sx_arena_printf(
        &r->arena, "trace=%s span=%s flags=%u state=%.*s baggage=%.*s id=%.*s left=%lld %s|", trace,
        span, c->span.flags & SX_TRACE_W3C, SX_ARG(c->span.tracestate), SX_ARG(c->baggage),
        SX_ARG(c->request_id), (long long)sx_context_left_ms(c, sx_loop_clock(r->loop)),
        sx_request_context(r) == c && sx_str_eq(log.trace_id, sx_str_z(trace)) ? "same" : "other");
    sx_reply(r, 200, SX_STR("text/x"), text);
}

/* Reads a body by events, and answers when it is all there: by what context it was called. */
typedef struct streamed {
    bool in_context;
    size_t bytes;
} streamed;

static void on_body(sx_request *r, void *ctx, sx_str piece, bool last)
{
    streamed *s = ctx;
    s->bytes += piece.len;
    s->in_context &= sx_context_current() == sx_request_context(r);
    if (last)
        sx_reply(r, 200, SX_STR("text/x"),
                 sx_arena_printf(&r->arena, "%s %zu", s->in_context ? "in" : "out", s->bytes));
}

static void answer_streamed(sx_request *r, void *ctx)
{
    static const sx_request_events EVENTS = {.body = on_body};
    (void)ctx;
    streamed *s = sx_arena_calloc(&r->arena, 1, sizeof(*s));
    s->in_context = sx_context_current() == sx_request_context(r);
    sx_request_events_set(r, &EVENTS, s);
}

/* Sends more than the queue takes, and goes on when told. */
static bool drained_in_context; /* atomic; of the one test that asks */

static void on_drained(sx_request *r, void *ctx)
{
    (void)ctx;
    __atomic_store_n(&drained_in_context, sx_context_current() == sx_request_context(r),
                     __ATOMIC_RELEASE);
    sx_reply_end(r);
}

static void answer_large(sx_request *r, void *ctx)
{
    static const sx_request_events EVENTS = {.drained = on_drained};
    static char piece[1 << 16];
    (void)ctx;
    memset(piece, 'x', sizeof(piece));
    sx_request_events_set(r, &EVENTS, NULL);
    sx_reply_begin(r, 200, SX_STR("image/x"), SX_LENGTH_UNKNOWN);
    for (int i = 0; i < 1000; i++) /* more than the system's buffers hold */
        if (sx_reply_write(r, sx_str_of(piece, sizeof(piece))) == SX_AGAIN)
            return;
    sx_reply_end(r);
}

static bool aborted_in_context; /* published by `aborted` */
static int aborted;             /* atomic */

static void on_aborted(sx_request *r, void *ctx)
{
    (void)ctx;
    aborted_in_context = sx_context_current() == sx_request_context(r);
    __atomic_store_n(&aborted, 1, __ATOMIC_RELEASE);
}

static void answer_never(sx_request *r, void *ctx)
{
    static const sx_request_events EVENTS = {.aborted = on_aborted};
    (void)ctx;
    sx_request_events_set(r, &EVENTS, NULL);
}

static void answer_named(sx_request *r, void *ctx)
{
    (void)ctx;
    r->route = "/named/by/hand";
    sx_reply(r, 500, SX_STR(""), SX_STR(""));
}

static const sx_route ROUTES[] = {
    {SX_GET, "/", answer_context},
    {SX_POST, "/", answer_context},
    {SX_POST, "/streamed", answer_streamed, NULL, SX_ROUTE_STREAM},
    {SX_GET, "/large", answer_large},
    {SX_GET, "/never", answer_never},
    {SX_GET, "/named", answer_named},
};
static const sx_service_def DEF = {
    .name = "test", .version = "1", .routes = ROUTES, .route_count = SX_COUNT_OF(ROUTES)};

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00-" TRACE "-00f067aa0ba902b7-01"

static void test_the_callers_trace_goes_on_here(void **state)
{
    fixture *f = *state;
    const char *at = start_service(f, &DEF, NULL);
    char *text = get(at, "/",
                     "Traceparent: " PARENT "\r\nTraceState: a=1\r\ntracestate: b=2\r\n"
                     "baggage: k=v\r\nX-Request-ID: abc\r\nX-Request-Timeout: 30\r\n");
    assert_has(text, "trace=" TRACE " span=");
    assert_lacks(text, "span=00f067aa0ba902b7"); /* the caller's own: ours is another */
    assert_has(text, "flags=1 state=a=1,b=2 baggage=k=v id=abc left=");
    assert_lacks(text, "left=-1");
    assert_has(text, "same|");
    char span[17] = "";
    assert_int_equal(sscanf(strstr(text, "span="), "span=%16[0-9a-f]", span), 1);
    free(text);
    text = access_log(f);
    assert_has(text, "\"trace_id\":\"" TRACE "\"");
    assert_has(text, span);
    assert_has(text, "\"request_id\":\"abc\"");
    free(text);
}

static void test_without_a_caller_a_trace_begins(void **state)
{
    fixture *f = *state;
    const char *at = start_service(f, &DEF, NULL);
    char *first = get(at, "/", ""), *second = get(at, "/", "");
    assert_lacks(first, "trace=00000000000000000000000000000000");
    assert_lacks(first, "span=0000000000000000");
    assert_has(first, "left=-1 same|");
    assert_string_not_equal(strstr(first, "trace="), strstr(second, "trace="));
    free(first);
    free(second);
}

static void test_propagators_are_those_of_the_setting(void **state)
{
    fixture *f = *state;
    const char *at = start_service(
        f, &DEF, (const char *const[]){"--tracing.propagators=b3,b3multi,jaeger", NULL});
    char *text = get(at, "/",
                     "b3: " TRACE "-00f067aa0ba902b7-1\r\ntraceparent: 00-"
                     "11111111111111111111111111111111-1111111111111111-01\r\n");
    assert_has(text, "trace=" TRACE);
    free(text);
    text = get(at, "/",
               "X-B3-TraceId: " TRACE "\r\nX-B3-SpanId: 00f067aa0ba902b7\r\n"
               "X-B3-Sampled: 1\r\n");
    assert_has(text, "trace=" TRACE);
    free(text);
    text = get(at, "/", "uber-trace-id: " TRACE ":00f067aa0ba902b7:0:1\r\n");
    assert_has(text, "trace=" TRACE);
    free(text);
    sx_error err = {0};
    sx_service_free(f->service);
    f->service = NULL;
    assert_int_equal(
        try_make(f, &DEF, (const char *const[]){"--tracing.propagators=zipkin", NULL}, &err),
        SX_EINVAL);
    assert_has(err.message, "zipkin");
}

static void test_two_traceparents_are_none(void **state)
{
    fixture *f = *state;
    const char *at = start_service(f, &DEF, NULL);
    char *text = get(at, "/", "traceparent: " PARENT "\r\ntraceparent: " PARENT "\r\n");
    assert_has(text, "HTTP/1.1 200 ");
    assert_lacks(text, TRACE);
    free(text);
}

static void test_every_callback_is_called_in_its_requests_context(void **state)
{
    fixture *f = *state;
    const char *at =
        start_service(f, &DEF,
                      (const char *const[]){"--loops=1", "--http.output_high_bytes=4096",
                                            "--http.output_low_bytes=1024", NULL});
    char *text = ask(at, "POST", "/", "", "a body that is read whole");
    assert_has(text, "same|"); /* what read_body called */
    free(text);
    text = ask(at, "POST", "/streamed", "", "a body in pieces");
    assert_has(text, "in 16");
    free(text);

    int fd = dial(at);
    send_text(fd, "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    get_status(at, "/", ""); /* the one loop has met full buffers by now: nobody has read yet */
    text = malloc(1 << 16);
    while (recv(fd, text, 1 << 16, 0) > 0) {
    }
    assert_true(__atomic_load_n(&drained_in_context, __ATOMIC_ACQUIRE));
    free(text);
    close(fd);

    fd = dial(at);
    send_text(fd, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    struct linger reset = {.l_onoff = 1}; /* closed by a RST: the client has really gone */
    get_status(at, "/", "");              /* the one loop has seen the request by now */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    for (int i = 0; i < 1000 && !__atomic_load_n(&aborted, __ATOMIC_ACQUIRE); i++)
        get_status(at, "/", ""); /* the loop goes on, in a context of its own each time */
    assert_true(__atomic_load_n(&aborted, __ATOMIC_ACQUIRE));
    assert_true(aborted_in_context);
    assert_int_equal(sx_context_current()->deadline_mono_ns, 0); /* nothing has leaked to us */
}

static void test_a_route_named_by_its_handler_is_counted_by_that_name(void **state)
{
    fixture *f = *state;
    const char *at = start_service(f, &DEF, NULL);
    assert_int_equal(get_status(at, "/named", ""), 500);
    char *text = get(at, "/metrics", "");
    assert_has(text, "http_requests_total{method=\"GET\",route=\"/named/by/hand\",code=\"500\"} 1");
    free(text);
}

/* Values of every byte and of many lengths in the fields that are parsed: each is answered, and what
 * is not right is as if it were not there. */
static void test_hostile_fields_change_nothing(void **state)
{
    static const char *const NAMES[] = {"traceparent",
                                        "tracestate",
                                        "baggage",
                                        "X-Request-ID",
                                        "b3",
                                        "uber-trace-id",
                                        "x-b3-traceid",
                                        "x-b3-sampled",
                                        "grpc-timeout",
                                        "Authorization",
                                        "Accept-Encoding",
                                        "Origin",
                                        "X-Request-Timeout",
                                        "x-envoy-expected-rq-timeout-ms"};
    fixture *f = *state;
    const char *at = start_service(
        f, &DEF,
        (const char *const[]){"--tracing.propagators=tracecontext,baggage,b3,b3multi,jaeger",
                              "--cors.origins=https://*.example.com", NULL});
    for (size_t n = 0; n < SX_COUNT_OF(NAMES); n++) {
        sx_buf out;
        size_t asked = 0;
        sx_buf_init(&out, 0);
        for (int byte = 1; byte < 256; byte++) {
            if (byte == '\r' || byte == '\n' || (byte < ' ' && byte != '\t') || byte == 0x7f)
                continue; /* the parser refuses those, with 400: test_http1_parser.c */
            sx_buf_printf(&out, "GET / HTTP/1.1\r\nHost: a\r\n%s: " PARENT "%c\r\n\r\n", NAMES[n],
                          byte);
            sx_buf_printf(&out, "GET / HTTP/1.1\r\nHost: a\r\n%s: %c\r\n\r\n", NAMES[n], byte);
            asked += 2;
        }
        for (size_t len = 0; len < 9000; len += len < 70 ? 1 : 617) {
            sx_buf_printf(&out, "GET / HTTP/1.1\r\nHost: a\r\n%s: ", NAMES[n]);
            for (size_t i = 0; i < len; i++)
                sx_buf_byte(&out, (char)("0a-=,;:%f"[(i * 7 + len) % 9]));
            sx_buf_str(&out, SX_STR("\r\n\r\n"));
            asked++;
        }
        sx_buf_str(&out, SX_STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        asked++;
        int fd = dial(at);
        size_t answered = 0;
        char *all = malloc(8 << 20);
        size_t got = 0;
        for (size_t sent = 0; sent < out.len;) { /* in pieces: neither side's buffers fill up */
            size_t piece = out.len - sent < 8192 ? out.len - sent : 8192;
            send_all(fd, out.data + sent, piece);
            sent += piece;
            for (ssize_t k; (k = recv(fd, all + got, (8 << 20) - got - 1, MSG_DONTWAIT)) > 0;)
                got += (size_t)k;
        }
        for (ssize_t k; (k = recv(fd, all + got, (8 << 20) - got - 1, 0)) > 0;)
            got += (size_t)k;
        all[got] = '\0';
        for (const char *p = all; (p = strstr(p, "HTTP/1.1 200 OK")); p++)
            answered++;
        if (answered != asked)
            fail_msg("%s: %zu of %zu answered 200", NAMES[n], answered, asked);
        free(all);
        close(fd);
        sx_buf_done(&out);
    }
}

/* ---- allocations ---- */

static void count_from_here(sx_loop *loop, void *arg)
{
    (void)loop;
    (void)arg;
    sx_fault_alloc_set((sx_fault_alloc){.nth = INT64_MAX});
}

static void count_to_here(sx_loop *loop, void *arg)
{
    (void)loop;
    int64_t calls = sx_fault_alloc_calls();
    sx_fault_alloc_set((sx_fault_alloc){0});
    __atomic_store_n((int64_t *)arg, calls, __ATOMIC_RELEASE);
}

static void ask_http1(int fd, uint32_t *stream)
{
    static const char REQUEST[] = "GET / HTTP/1.1\r\nHost: a\r\nTraceparent: " PARENT "\r\n"
                                  "User-Agent: test\r\nAccept-Encoding: gzip\r\n\r\n";
    char text[2048];
    (void)stream;
    send_all(fd, REQUEST, sizeof(REQUEST) - 1);
    size_t got = 0;
    do {
        ssize_t n = recv(fd, text + got, sizeof(text) - got - 1, 0);
        assert_true(n > 0);
        got += (size_t)n;
        text[got] = '\0';
    } while (!strstr(text, "|"));
}

static size_t read_exactly(int fd, char *to, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = recv(fd, to + got, len - got, 0);
        assert_true(n > 0);
        got += (size_t)n;
    }
    return len;
}

/* HEADERS with fields of HPACK's static table (RFC 7541, appendix A) and literals without indexing. */
static void ask_http2(int fd, uint32_t *stream)
{
    static const char BLOCK[] = "\x82\x86\x84"
                                "\x01\x01"
                                "a"
                                "\x00\x0btraceparent\x37" PARENT;
    char frame[256] = {0, 0, (char)(sizeof(BLOCK) - 1), 1, 5};
    uint32_t id = *stream;
    *stream += 2;
    for (int i = 0; i < 4; i++)
        frame[5 + i] = (char)(id >> (24 - 8 * i));
    memcpy(frame + 9, BLOCK, sizeof(BLOCK) - 1);
    send_all(fd, frame, 9 + sizeof(BLOCK) - 1);
    /* Each reply's bytes are given back to the connection's window. */
    unsigned char head[9];
    char body[16384];
    for (;;) {
        read_exactly(fd, (char *)head, 9);
        size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        assert_true(len <= sizeof(body));
        read_exactly(fd, body, len);
        if (head[3] == 0 && len > 0) {
            char update[13] = {0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, (char)(len >> 8), (char)len};
            send_all(fd, update, sizeof(update));
        }
        if (head[3] <= 1 && head[4] & 1)
            return;
        assert_int_not_equal(head[3], 7); /* GOAWAY */
    }
}

static int64_t count_allocations(fixture *f, const char *at, bool http2)
{
    void (*once)(int fd, uint32_t *stream) = http2 ? ask_http2 : ask_http1;
    sx_loop *loop = sx_service_loop(f->service, 0);
    int64_t calls = -1;
    uint32_t stream = 1;
    int fd = dial(at);
    if (http2)
        send_all(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 24 + 9);
    /* Warm: buffers, handles and the log's chunks are there. The log takes a further chunk whenever
     * its writer has fallen behind, so the writer is waited for all along. */
    for (int i = 0; i < 1300; i++) {
        if (i == 300)
            assert_int_equal(sx_loop_post(loop, count_from_here, NULL, NULL), SX_OK);
        once(fd, &stream);
        if (i % 5 == 0)
            assert_true(sx_log_flush(f->service->access_log, 5000));
    }
    assert_int_equal(sx_loop_post(loop, count_to_here, &calls, NULL), SX_OK);
    while (__atomic_load_n(&calls, __ATOMIC_ACQUIRE) < 0)
        once(fd, &stream);
    close(fd);
    return calls;
}

/* Of a thousand requests: the message that ends the count, and chunks of the log if its writer was not
 * given the processor for a while. */
enum { SPARE = 4 };

static const char *const EVERYTHING[] = {"--loops=1",
                                         "--limits.rate=1000000/second + 100000000/hour",
                                         "--limits.in_flight_max=1000",
                                         "--cors.origins=https://example.com",
                                         "--tracing.sampler=parentbased_always_on",
                                         NULL};

/* By a clock that stands still: what a reply tells of the time (Date, RateLimit-Remaining) goes into
 * HPACK's table, which holds more or fewer fields the more of them differ, in blocks of other sizes. On
 * a slow machine the table would go on changing however long it is warmed. */
static int64_t count_on_a_still_clock(fixture *f, bool http2)
{
    static sx_fake_clock still; /* the service reads it to its end, in the teardown */
    sx_fake_clock_init(&still, 1741003200000);
    f->clock = &still.clock;
    return count_allocations(f, start_service(f, &DEF, EVERYTHING), http2);
}

static void test_http1_takes_no_memory_in_the_steady_state(void **state)
{
    /* One: the message that ends the count. */
    assert_in_range(count_on_a_still_clock(*state, false), 0, 1);
}

static void test_http2_takes_no_memory_in_the_steady_state(void **state)
{
    assert_in_range(count_on_a_still_clock(*state, true), 0, SPARE);
}

static sx_status make_once(fixture *f)
{
    sx_error err = {0};
    sx_status status = try_make(
        f, &DEF, (const char *const[]){"--limits.rate=10/second", "--cors.origins=https://a", NULL},
        &err);
    sx_service_free(f->service);
    f->service = NULL;
    return status;
}

static void test_a_service_is_made_or_refused_whichever_allocation_fails(void **state)
{
    fixture *f = *state;
    sx_fault_alloc_set((sx_fault_alloc){.nth = INT64_MAX});
    assert_int_equal(make_once(f), SX_OK);
    int64_t calls = sx_fault_alloc_calls();
    for (int64_t n = 1; n <= calls; n += n < 200 ? 1 : 7) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        (void)make_once(f); /* some can be done without */
        if (sx_fault_alloc_held() != 0)
            fail_msg("allocation %lld: %lld blocks are left", (long long)n,
                     (long long)sx_fault_alloc_held());
    }
    sx_fault_alloc_set((sx_fault_alloc){0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        T(test_the_callers_trace_goes_on_here),
        T(test_without_a_caller_a_trace_begins),
        T(test_propagators_are_those_of_the_setting),
        T(test_two_traceparents_are_none),
        T(test_every_callback_is_called_in_its_requests_context),
        T(test_a_route_named_by_its_handler_is_counted_by_that_name),
        T(test_hostile_fields_change_nothing),
        T(test_http1_takes_no_memory_in_the_steady_state),
        T(test_http2_takes_no_memory_in_the_steady_state),
        T(test_a_service_is_made_or_refused_whichever_allocation_fails),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

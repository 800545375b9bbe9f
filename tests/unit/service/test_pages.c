/* Tests of what a service does besides its handlers: health and admin pages, limits, CORS, security
 * headers, compressed replies. */
#include "tests/unit/service/service_fixture.h"

#include <math.h>
#include <sys/statvfs.h>

#include <sextant/compress.h>
#include <sextant/file.h>

#include "base/build.h"

static char large[5000]; /* filled by the setup, then only read */

static void answer_large(sx_request *r, void *ctx)
{
    sx_reply_header(r, SX_STR("etag"), SX_STR("\"abc\""));
    if (ctx)
        sx_reply_header(r, sx_str_z(ctx), SX_STR("no-transform"));
    sx_reply(r, 200, SX_STR("application/json; charset=utf-8"), sx_str_of(large, sizeof(large)));
}

static void answer_small(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r, 200, SX_STR("text/plain"), SX_STR("small"));
}

static void answer_packed(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply_header(r, SX_STR("content-encoding"), SX_STR("br"));
    sx_reply_header(r, SX_STR("x-frame-options"), SX_STR("SAMEORIGIN"));
    sx_reply_header(r, SX_STR("vary"), SX_STR("Cookie"));
    sx_reply(r, 200, SX_STR("text/plain"), sx_str_of(large, sizeof(large)));
}

static void answer_stream(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply_begin(r, 200, SX_STR("text/event-stream"), SX_LENGTH_UNKNOWN);
    for (int i = 0; i < 50; i++)
        sx_reply_write(r, sx_str_of(large + i * 100, 100));
    sx_reply_end(r);
}

static void answer_declared(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply_begin(r, 200, SX_STR("text/plain"), sizeof(large));
    sx_reply_write(r, sx_str_of(large, sizeof(large)));
    sx_reply_end(r);
}

static sx_timer held_timer; /* of the one test that holds requests */

static void answer_held(sx_request *r, void *ctx);

static const sx_route ROUTES[] = {
    {SX_GET, "/large", answer_large},
    {SX_GET, "/kept", answer_large, (void *)"cache-control"},
    {SX_GET, "/plain", answer_large, NULL, SX_ROUTE_PLAIN},
    {SX_GET, "/small", answer_small},
    {SX_GET, "/packed", answer_packed},
    {SX_GET, "/stream", answer_stream},
    {SX_GET, "/declared", answer_declared},
    {SX_GET, "/rated", answer_small, .rate = "2/hour"},
    {SX_GET, "/aside", answer_small, .flags = SX_ROUTE_OWN_RATE, .rate = "2/hour"},
    {SX_GET, "/held", answer_held, .in_flight_max = 1},
    {SX_PUT, "/small", answer_small},
};
static const sx_service_def DEF = {
    .name = "test", .version = "1.2", .routes = ROUTES, .route_count = SX_COUNT_OF(ROUTES)};

static void fill(void)
{
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (char)('a' + i / 7 % 26);
}

/* ---- compression ---- */

/* The body of an answer, its chunks joined and decompressed; the caller clears `out`. */
static void body_of(const char *answer, size_t len, sx_codec codec, sx_buf *out)
{
    sx_buf joined;
    sx_error err = {0};
    sx_buf_init(&joined, 0);
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    sx_str rest = sx_str_of(end + 4, len - (size_t)(end + 4 - answer));
    if (strstr(answer, "ransfer-encoding: chunked") ||
        strstr(answer, "ransfer-Encoding: chunked")) {
        for (;;) {
            size_t size = strtoul(rest.data, NULL, 16), line = sx_str_find(rest, SX_STR("\r\n"));
            rest = sx_str_from(rest, line + 2);
            if (size == 0)
                break;
            sx_buf_str(&joined, sx_str_first(rest, size));
            rest = sx_str_from(rest, size + 2);
        }
    } else {
        sx_buf_str(&joined, rest);
    }
    if (sx_decompress(codec, sx_buf_view(&joined), 0, out, &err))
        fail_msg("%s", err.message);
    sx_buf_done(&joined);
}

static void assert_compressed(const char *at, const char *target, const char *accept,
                              sx_codec codec)
{
    size_t len;
    char line[64];
    sx_buf body;
    sx_buf_init(&body, 0);
    snprintf(line, sizeof(line), "Accept-Encoding: %s\r\n", accept);
    char *text = ask_bytes(at, "GET", target, line, "", &len);
    snprintf(line, sizeof(line), "content-encoding: %.*s\r\n", SX_ARG(sx_codec_coding(codec)));
    if (codec == SX_CODEC_IDENTITY)
        assert_lacks(text, "content-encoding");
    else
        assert_has(text, line);
    assert_has(text, "vary: Accept-Encoding\r\n");
    body_of(text, len, codec, &body);
    assert_int_equal(body.len, sizeof(large));
    assert_memory_equal(body.data, large, sizeof(large));
    sx_buf_done(&body);
    free(text);
}

static void test_a_large_reply_is_compressed_as_the_client_asks(void **state)
{
    fixture *f = *state;
    const char *at = start_service(f, &DEF, NULL);
    static const struct {
        const char *accept;
        sx_codec codec;
    } CASES[] = {
        {"gzip", SX_CODEC_GZIP},
        {"gzip, deflate, br, zstd", SX_CODEC_ZSTD},
        {"br;q=1, gzip;q=0.5", SX_CODEC_BROTLI},
        {"zstd;q=0, *", SX_CODEC_BROTLI},
        {"identity", SX_CODEC_IDENTITY},
        {"*;q=0", SX_CODEC_IDENTITY},
        {"snappy", SX_CODEC_IDENTITY},
    };
    for (int round = 0; round < 3; round++) /* encoders are used again */
        for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
            assert_compressed(at, "/large", CASES[i].accept, CASES[i].codec);
            assert_compressed(at, "/stream", CASES[i].accept, CASES[i].codec);
            assert_compressed(at, "/declared", CASES[i].accept, CASES[i].codec);
        }
}

static void test_what_is_not_compressed_stays_as_it_is(void **state)
{
    fixture *f = *state;
    const char *at = start_service(f, &DEF, NULL);
    static const char *const TARGETS[] = {"/kept", "/plain", "/small"};
    for (size_t i = 0; i < SX_COUNT_OF(TARGETS); i++) {
        char *text = get(at, TARGETS[i], "Accept-Encoding: gzip\r\n");
        assert_lacks(text, "content-encoding");
        if (i < 2)
            assert_has(text, "etag: \"abc\"");
        free(text);
    }
    char *text = get(at, "/packed", "Accept-Encoding: gzip\r\n");
    assert_has(text, "content-encoding: br\r\n");
    assert_lacks(text, "content-encoding: gzip");
    free(text);
    sx_service_free(f->service);
    at = start_service(f, &DEF, (const char *const[]){"--http.compress=false", NULL});
    text = get(at, "/large", "Accept-Encoding: gzip\r\n");
    assert_lacks(text, "content-encoding");
    assert_lacks(text, "vary");
    free(text);
}

static void test_an_etag_is_weakened_and_head_tells_what_get_sends(void **state)
{
    fixture *f = *state;
    const char *at = start_service(f, &DEF, NULL);
    char *with_get = get(at, "/large", "Accept-Encoding: gzip\r\n");
    char *with_head = ask(at, "HEAD", "/large", "Accept-Encoding: gzip\r\n", "");
    assert_has(with_get, "etag: W/\"abc\"\r\n");
    assert_has(with_head, "etag: W/\"abc\"\r\n");
    assert_has(with_head, "content-encoding: gzip\r\n");
    char *from_get = strstr(with_get, "Content-Length: "),
         *from_head = strstr(with_head, "Content-Length: ");
    assert_non_null(from_get);
    assert_non_null(from_head);
    assert_int_equal(strtol(from_get + 16, NULL, 10), strtol(from_head + 16, NULL, 10));
    assert_string_equal(strstr(with_head, "\r\n\r\n"), "\r\n\r\n"); /* no body */
    free(with_get);
    free(with_head);
    with_head = ask(at, "HEAD", "/stream", "Accept-Encoding: gzip\r\n", "");
    assert_has(with_head, "content-encoding: gzip\r\n");
    assert_string_equal(strstr(with_head, "\r\n\r\n"), "\r\n\r\n");
    free(with_head);
}

static void test_content_types_that_compress(void **state)
{
    (void)state;
    static const char *const YES[] = {
        "text/html",        "TEXT/CSS; charset=x",
        "application/json", "application/problem+json",
        "image/svg+xml",    "application/openmetrics-text; version=1.0.0"};
    static const char *const NO[] = {"",          "image/png", "application/grpc",        "text/",
                                     "video/mp4", "+json",     "application/octet-stream"};
    for (size_t i = 0; i < SX_COUNT_OF(YES); i++)
        assert_true(sx_type_compresses(sx_str_z(YES[i])));
    for (size_t i = 0; i < SX_COUNT_OF(NO); i++)
        assert_false(sx_type_compresses(sx_str_z(NO[i])));
}

/* ---- headers ---- */

static void test_security_headers_are_sent_unless_the_handler_has_its_own(void **state)
{
    fixture *f = *state;
    const char *at = start_service(
        f, &DEF, (const char *const[]){"--http.content_security_policy=default-src 'none'", NULL});
    char *text = get(at, "/small", "");
    assert_has(text, "x-content-type-options: nosniff\r\n");
    assert_has(text, "x-frame-options: DENY\r\n");
    assert_has(text, "referrer-policy: strict-origin-when-cross-origin\r\n");
    assert_has(text, "content-security-policy: default-src 'none'\r\n");
    assert_lacks(text, "strict-transport-security"); /* not over TLS */
    free(text);
    text = get(at, "/packed", "");
    assert_has(text, "x-frame-options: SAMEORIGIN\r\n");
    assert_lacks(text, "DENY");
    assert_has(text, "x-content-type-options: nosniff\r\n");
    free(text);
    text = get(at, "/nowhere", ""); /* our own answers have them, too */
    assert_has(text, "x-content-type-options: nosniff\r\n");
    free(text);
    sx_service_free(f->service);
    at = start_service(f, &DEF, (const char *const[]){"--http.security_headers=off", NULL});
    text = get(at, "/small", "");
    assert_lacks(text, "nosniff");
    free(text);
    sx_error err = {0};
    sx_service_free(f->service);
    assert_int_equal(
        try_make(f, &DEF, (const char *const[]){"--http.frame_options=a\r\nb: c", NULL}, &err),
        SX_EINVAL);
    assert_has(err.message, "x-frame-options");
}

static void test_cross_origin_requests(void **state)
{
    fixture *f = *state;
    const char *at = start_service(
        f, &DEF,
        (const char *const[]){"--cors.origins=https://a.example,https://*.b.example",
                              "--cors.methods=GET,PUT", "--cors.credentials=true",
                              "--cors.expose_headers=X-Total", "--cors.max_age_ms=60s", NULL});
    char *text = get(at, "/small", "Origin: https://a.example\r\n");
    assert_has(text, "access-control-allow-origin: https://a.example\r\n");
    assert_has(text, "access-control-allow-credentials: true\r\n");
    assert_has(text, "access-control-expose-headers: X-Total\r\n");
    assert_has(text, "vary: Origin\r\n");
    free(text);
    text = get(at, "/small", "Origin: https://evil.example\r\n");
    assert_has(text, "HTTP/1.1 200 ");
    assert_lacks(text, "access-control");
    assert_has(text, "vary: Origin\r\n");
    free(text);
    text = ask(at, "OPTIONS", "/small",
               "Origin: https://x.b.example\r\nAccess-Control-Request-Method: PUT\r\n"
               "Access-Control-Request-Headers: x-one, x-two\r\n",
               "");
    assert_has(text, "HTTP/1.1 204 ");
    assert_has(text, "access-control-allow-methods: GET, PUT\r\n");
    assert_has(text, "access-control-allow-headers: x-one, x-two\r\n");
    assert_has(text, "access-control-max-age: 60\r\n");
    free(text);
    text = ask(at, "OPTIONS", "/small",
               "Origin: https://evil\r\nAccess-Control-Request-Method: PUT\r\n", "");
    assert_lacks(text, "access-control");
    free(text);
}

static void test_origins_fit_as_they_are_written(void **state)
{
    (void)state;
    static const sx_str ORIGINS[] = {SX_STR_INIT("https://a.example"),
                                     SX_STR_INIT("https://*.b.example:8443")};
    sx_policy_settings set = {.cors_origins = {ORIGINS, 2}};
    sx_policy p;
    sx_error err = {0};
    assert_int_equal(sx_policy_init(&p, &set, NULL, 0, &err), SX_OK);
    static const char *const YES[] = {"https://a.example", "HTTPS://A.EXAMPLE",
                                      "https://x.b.example:8443", "https://x.y.b.example:8443"};
    static const char *const NO[] = {"http://a.example",
                                     "https://a.example:443",
                                     "https://b.example",
                                     "https://b.example:8443",
                                     "https://.b.example:8443/",
                                     "https://evil/.b.example:8443",
                                     "https://u@x.b.example:8443",
                                     "https://evil:1.b.example:8443",
                                     "null",
                                     "https://a.example.org"};
    for (size_t i = 0; i < SX_COUNT_OF(YES); i++)
        assert_true(sx_policy_origin_allowed(&p, sx_str_z(YES[i])));
    for (size_t i = 0; i < SX_COUNT_OF(NO); i++)
        if (sx_policy_origin_allowed(&p, sx_str_z(NO[i])))
            fail_msg("%s is let in", NO[i]);
    sx_policy_done(&p);
    static const sx_str ANY[] = {SX_STR_INIT("*")}, BAD[] = {SX_STR_INIT("example.com")};
    set = (sx_policy_settings){.cors_origins = {ANY, 1}, .cors_credentials = true};
    assert_int_equal(sx_policy_init(&p, &set, NULL, 0, &err), SX_EINVAL);
    set = (sx_policy_settings){.cors_origins = {BAD, 1}};
    assert_int_equal(sx_policy_init(&p, &set, NULL, 0, &err), SX_EINVAL);
    assert_has(err.message, "example.com");
}

/* ---- limits ---- */

static void test_who_asks_too_often_is_told_when_to_come_back(void **state)
{
    fixture *f = *state;
    const char *at = start_service(
        f, &DEF, (const char *const[]){"--limits.rate=3/hour", "--limits.key=X-Client", NULL});
    for (int i = 0; i < 3; i++) {
        char *text = get(at, "/small", "X-Client: one\r\n");
        assert_has(text, "HTTP/1.1 200 ");
        assert_has(text, "RateLimit-Remaining: ");
        free(text);
    }
    char *text = get(at, "/small", "X-Client: one\r\n");
    assert_has(text, "HTTP/1.1 429 ");
    assert_has(text, "RateLimit-Limit: 3\r\n");
    assert_has(text, "Retry-After: ");
    free(text);
    assert_int_equal(get_status(at, "/small", "X-Client: two\r\n"), 200);
    for (int i = 0; i < 5; i++) { /* never limited */
        assert_int_equal(get_status(at, "/health/live", "X-Client: one\r\n"), 200);
        assert_int_equal(get_status(at, "/metrics", "X-Client: one\r\n"), 200);
    }
    text = get(at, "/metrics", "");
    assert_has(text, "http_requests_shed_total{reason=\"rate\"} 1\n");
    free(text);
}

static void test_a_rate_may_stand_in_the_general_ones_place(void **state)
{
    fixture *f = *state;
    const char *at =
        start_service(f, &DEF,
                      (const char *const[]){"--limits.rate=3/hour", "--limits.key=X-Client",
                                            "--limits.exempt=loopback", NULL});
    assert_int_equal(get_status(at, "/aside", "X-Client: one\r\n"), 200);
    assert_int_equal(get_status(at, "/aside", "X-Client: one\r\n"), 200);
    assert_int_equal(get_status(at, "/aside", "X-Client: one\r\n"), 429);
    for (int i = 0; i < 3; i++) /* nothing of it was taken */
        assert_int_equal(get_status(at, "/small", "X-Client: one\r\n"), 200);
    assert_int_equal(get_status(at, "/small", "X-Client: one\r\n"), 429);
    for (int i = 0; i < 5; i++)
        assert_int_equal(get_status(at, "/aside", "X-Client: 127.0.0.1\r\n"), 200);
}

static void test_a_rate_aside_holds_only_where_there_is_a_general_one(void **state)
{
    fixture *f = *state;
    const char *at = start_service(f, &DEF, NULL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(get_status(at, "/aside", ""), 200);
}

static void test_a_route_may_have_a_rate_of_its_own(void **state)
{
    fixture *f = *state;
    const char *at = start_service(f, &DEF, NULL);
    assert_int_equal(get_status(at, "/rated", ""), 200);
    assert_int_equal(get_status(at, "/rated", ""), 200);
    assert_int_equal(get_status(at, "/rated", ""), 429);
    assert_int_equal(get_status(at, "/small", ""), 200);
    static const sx_route WRONG[] = {{SX_GET, "/", answer_small, .rate = "often"}};
    static const sx_service_def DEF_WRONG = {.name = "test", .routes = WRONG, .route_count = 1};
    sx_error err = {0};
    sx_service_free(f->service);
    assert_int_equal(try_make(f, &DEF_WRONG, NULL, &err), SX_EINVAL);
    assert_has(err.message, "route /: ");
}

/* Holds the first request until a second one has been answered. */
static sx_request *held;

static void let_go(sx_timer *timer, void *arg)
{
    (void)timer, (void)arg;
    sx_reply(held, 200, SX_STR("text/plain"), SX_STR("late"));
}

static void answer_held(sx_request *r, void *ctx)
{
    (void)ctx;
    held = r;
    held_timer = (sx_timer){.fn = let_go};
    sx_timer_start(sx_loop_timers(r->loop), &held_timer, 300);
}

static void test_requests_at_a_time_are_limited(void **state)
{
    fixture *f = *state;
    const char *at = start_service(f, &DEF, (const char *const[]){"--loops=1", NULL});
    int fd = dial(at);
    send_text(fd, "GET /held HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    get_status(at, "/small", ""); /* the one loop has begun with the first by now */
    char *text = get(at, "/held", "");
    assert_has(text, "HTTP/1.1 503 ");
    assert_has(text, "retry-after: 1\r\n");
    free(text);
    text = receive_all(fd, NULL);
    assert_has(text, "late");
    free(text);
    close(fd);
}

static void test_a_service_that_sheds_serves_while_it_can(void **state)
{
    fixture *f = *state;
    const char *at = start_service(
        f, &DEF, (const char *const[]){"--limits.shed=true", "--admin.listen=127.0.0.1:0", NULL});
    assert_int_equal(get_status(at, "/small", ""), 200);
    sx_shed *shed = sx_guard_shed(f->service->guard);
    assert_non_null(shed);
    char *text = get(sx_service_address(f->service, "admin"), "/admin/limits", "");
    assert_has(text, "\"pressure\":");
    free(text);
    sx_service_stop(f->service);
    sx_shed_info info;
    sx_shed_info_of(shed, &info);
    assert_int_equal(info.running, 0); /* all was given back */
}

static void test_load_is_shed_by_priority(void **state)
{
    (void)state;
    sx_metrics *metrics;
    sx_guard *g;
    sx_request r = {0};
    assert_int_equal(sx_metrics_new(NULL, &metrics, NULL), SX_OK);
    assert_int_equal(sx_guard_new(sx_clock_system(), metrics, &g, NULL), SX_OK);
    sx_guard_settings set = {.key = SX_STR("address"), .in_flight_max = 4};
    assert_int_equal(sx_guard_apply(g, &set, NULL), SX_OK);
    static const sx_route SHEDDABLE = {.priority = SX_PRIORITY_SHEDDABLE},
                          CRITICAL = {.priority = SX_PRIORITY_CRITICAL};
    sx_guard_pass passes[5];
    uint32_t most;
    for (int i = 0; i < 3; i++)
        assert_true(sx_guard_enter(g, NULL, &r, &SHEDDABLE, 0, &passes[i]));
    assert_true(sx_guard_enter(g, NULL, &r, NULL, 0, &passes[3]));
    assert_true(sx_guard_enter(g, NULL, &r, &CRITICAL, 0, &passes[4])); /* above the number */
    assert_int_equal(sx_guard_in_flight(g, &most), 5);
    assert_int_equal(most, 4);
    for (int i = 0; i < 5; i++)
        sx_guard_leave(g, &passes[i]);
    assert_int_equal(sx_guard_in_flight(g, &most), 0);
    sx_guard_free(g);
    sx_metrics_free(metrics);
}

/* ---- health and admin ---- */

static void test_detailed_health_tells_all(void **state)
{
    fixture *f = *state;
    const char *at = start_service(f, &DEF, NULL);
    sx_health *health = sx_service_kit(f->service)->health;
    sx_health_check *db;
    assert_int_equal(sx_health_add(health, &(sx_health_check_options){.name = "db"}, &db, NULL),
                     SX_OK);
    for (int i = 0; i < 20; i++)
        get_status(at, "/small", "");
    char *text = get(at, "/health/detailed", "");
    assert_has(text, "HTTP/1.1 503 ");
    assert_has(text, "\"status\":\"unhealthy\",\"service\":\"test\",\"version\":\"1.2\"");
    assert_has(text, "\"db\":{\"status\":\"failed\",\"message\":\"not checked yet\"");
    free(text);
    text = get(at, "/health/ready", "");
    assert_has(text, "{\"status\":\"not_ready\",\"checks\":{\"db\":\"not checked yet\"}}");
    free(text);
    sx_health_report(db, SX_OK, NULL, 122880400); /* ns */
    text = get(at, "/health/detailed", "");
    assert_has(text, "HTTP/1.1 200 ");
    static const char *const PARTS[] = {
        "\"status\":\"healthy\"",
        "\"timestamp\":\"20",
        "\"uptime_seconds\":",
        "\"db\":{\"status\":\"ok\",\"latency_ms\":122.88,\"checked_at\":\"20",
        "\"resident_bytes\":",
        "\"machine_available_bytes\":",
        "\"disk\":{\"total_bytes\":",
        "\"free_bytes\":",
        "\"response_time\":{\"window_seconds\":120,\"count\":",
        "\"mean_ms\":",
        "\"p50_ms\":",
        "\"p99_ms\":"};
    for (size_t i = 0; i < SX_COUNT_OF(PARTS); i++)
        assert_has(text, PARTS[i]);
    struct statvfs disk;
    assert_int_equal(statvfs(".", &disk), 0);
    double used = (double)(disk.f_blocks - disk.f_bfree);
    double told = strtod(strstr(text, "\"used_ratio\":") + strlen("\"used_ratio\":"), NULL);
    assert_true(fabs(told - used / (used + (double)disk.f_bavail)) < 0.02); /* others write, too */
    free(text);
    text = get(at, "/health/live", "");
    assert_string_equal(strstr(text, "\r\n\r\n") + 4, "{\"status\":\"alive\"}");
    free(text);
}

static void test_breakers_are_shown_and_changed(void **state)
{
    fixture *f = *state;
    start_service(f, &DEF, (const char *const[]){"--admin.listen=127.0.0.1:0", NULL});
    const char *admin = sx_service_address(f->service, "admin");
    sx_breaker *b = sx_breakers_get(sx_service_kit(f->service)->breakers, SX_STR("redis"), NULL);
    sx_breaker_pass pass;
    for (int i = 0; i < 5; i++)
        if (sx_breaker_allow(b, &pass))
            sx_breaker_done(b, &pass, false);
    char *text = get(admin, "/admin/breakers", "");
    assert_has(text, "\"name\":\"redis\",\"state\":\"open\"");
    free(text);
    text = ask(admin, "POST", "/admin/breakers/redis/reset", "", "");
    assert_has(text, "\"name\":\"redis\",\"state\":\"closed\"");
    free(text);
    text = ask(admin, "POST", "/admin/breakers/redis/open", "", "");
    assert_has(text, "\"state\":\"open\"");
    free(text);
    assert_false(sx_breaker_allow(b, &pass));
    text = ask(admin, "POST", "/admin/breakers/redis/close", "", "");
    assert_has(text, "HTTP/1.1 200 ");
    assert_has(text, "\"state\":\"half_open\""); /* let go: trials decide */
    free(text);
    text = ask(admin, "POST", "/admin/breakers/redis/reset", "", "");
    assert_has(text, "\"state\":\"closed\"");
    free(text);
    text = ask(admin, "POST", "/admin/breakers/nobody/reset", "", "");
    assert_has(text, "HTTP/1.1 404 ");
    assert_has(text, "redis");
    free(text);
    text = ask(admin, "POST", "/admin/breakers/redis/open", "Origin: https://evil.example\r\n", "");
    assert_has(text, "HTTP/1.1 403 ");
    free(text);
}

static void test_limits_are_shown_and_forgotten(void **state)
{
    fixture *f = *state;
    const char *at = start_service(
        f, &DEF, (const char *const[]){"--admin.listen=127.0.0.1:0", "--limits.rate=1/hour", NULL});
    const char *admin = sx_service_address(f->service, "admin");
    assert_int_equal(get_status(at, "/small", ""), 200);
    assert_int_equal(get_status(at, "/small", ""), 429);
    char *text = get(admin, "/admin/limits", "");
    assert_has(text, "\"name\":\"default\",\"rates\":[{\"kind\":\"token_bucket\",\"count\":1,"
                     "\"period_seconds\":3600");
    assert_has(text, "\"name\":\"/rated\"");
    free(text);
    text = ask(admin, "DELETE", "/admin/limits/default/127.0.0.1", "", "");
    assert_has(text, "HTTP/1.1 200 ");
    free(text);
    assert_int_equal(get_status(at, "/small", ""), 200);
    text = ask(admin, "DELETE", "/admin/limits/default", "", "");
    assert_has(text, "HTTP/1.1 200 ");
    free(text);
    assert_int_equal(get_status(at, "/small", ""), 200);
    text = ask(admin, "DELETE", "/admin/limits/%2Frated", "", "");
    assert_has(text, "HTTP/1.1 200 ");
    free(text);
    text = ask(admin, "DELETE", "/admin/limits/nothing", "", "");
    assert_has(text, "HTTP/1.1 404 ");
    free(text);
}

static void test_log_levels_change_by_json_and_by_form(void **state)
{
    fixture *f = *state;
    start_service(f, &DEF, (const char *const[]){"--admin.listen=127.0.0.1:0", NULL});
    const char *admin = sx_service_address(f->service, "admin");
    sx_logger *orders = sx_log_logger(sx_service_log(f->service), "orders");
    assert_false(sx_logger_enabled(orders, SX_LEVEL_DEBUG));
    char *text = ask(admin, "PUT", "/admin/log-levels", "", "{\"orders\":\"debug\"}");
    assert_has(text, "\"orders\":\"DEBUG\"");
    free(text);
    assert_true(sx_logger_enabled(orders, SX_LEVEL_DEBUG));
    text = ask(admin, "PUT", "/admin/log-levels", "", "all=error");
    assert_has(text, "\"orders\":\"ERROR\"");
    free(text);
    static const struct {
        const char *body;
        int status;
    } WRONG[] = {{"", 400},
                 {"{", 400},
                 {"{\"orders\":\"loud\"}", 400},
                 {"{\"orders\":3}", 400},
                 {"orders=%zz", 400},
                 {"nobody=debug", 404}};
    for (size_t i = 0; i < SX_COUNT_OF(WRONG); i++) {
        text = ask(admin, "PUT", "/admin/log-levels", "", WRONG[i].body);
        if (status_of(text) != WRONG[i].status)
            fail_msg("'%s': %s", WRONG[i].body, text);
        free(text);
    }
    assert_false(sx_logger_enabled(orders, SX_LEVEL_DEBUG));
}

static void test_settings_and_build_are_shown_without_secrets(void **state)
{
    fixture *f = *state;
    start_service(f, &DEF,
                  (const char *const[]){"--admin.listen=127.0.0.1:0",
                                        "--otlp.headers=authorization=hush", NULL});
    const char *admin = sx_service_address(f->service, "admin");
    char *text = get(admin, "/admin/config", "");
    assert_has(text, "\"otlp.headers\":{\"value\":\"<redacted>\",\"source\":\"flag\"}");
    assert_lacks(text, "hush");
    free(text);
    text = get(admin, "/admin/build", "");
    assert_has(text, "\"service\":\"test\",\"version\":\"1.2\",\"kit_version\":\"" SX_VERSION
                     "\",\"compiler\":\"" SX_COMPILER "\"");
    free(text);
    text = get(admin, "/", "Accept: text/html\r\n");
    assert_has(text, "text/html");
    assert_has(text, "<a href=\"/admin/breakers\">");
    free(text);
    text = get(admin, "/", "");
    assert_has(text, "GET    /admin/config\n");
    assert_lacks(text, "GET    /admin/\n");
    assert_has(text, "POST   /admin/breakers/:name/close  # lets go of one held open");
    free(text);
    assert_int_equal(get_status(admin, "/admin", ""), 200);
    assert_int_equal(get_status(admin, "/admin/", ""), 200);
}

/* ---- reload ---- */

static void test_a_reload_tells_what_has_changed(void **state)
{
    fixture *f = *state;
    char flag[96], path[80], log_flag[96], log_path[80];
    snprintf(path, sizeof(path), "%s/test.yml", f->folder);
    snprintf(flag, sizeof(flag), "--config.file=%s", path);
    snprintf(log_path, sizeof(log_path), "%s/event.log", f->folder);
    snprintf(log_flag, sizeof(log_flag), "--log.path=%s", log_path);
    write_file(path, "http: {frame_options: ONE}\notlp: {headers: a=hush}\n");
    start_service(f, &DEF, (const char *const[]){flag, log_flag, NULL});
    write_file(path, "http: {frame_options: TWO}\notlp: {headers: a=hush2}\n");
    sx_service_reload(f->service);
    sx_service_free(f->service);
    f->service = NULL;
    sx_buf text;
    sx_buf_init(&text, 0);
    assert_int_equal(sx_file_read(log_path, 1 << 20, &text, NULL), SX_OK);
    sx_buf_byte(&text, '\0');
    assert_has(text.data, "\"setting changed\",\"key\":\"http.frame_options\",\"from\":\"ONE\","
                          "\"to\":\"TWO\"");
    assert_has(text.data, "\"otlp.headers\",\"from\":\"<redacted>\",\"to\":\"<redacted>\"");
    assert_lacks(text.data, "hush");
    sx_buf_done(&text);
}

static void test_a_reload_changes_limits_and_headers_or_nothing(void **state)
{
    fixture *f = *state;
    char flag[96], path[80];
    snprintf(path, sizeof(path), "%s/test.yml", f->folder);
    snprintf(flag, sizeof(flag), "--config.file=%s", path);
    write_file(path, "http: {frame_options: ONE}\n");
    const char *at = start_service(f, &DEF, (const char *const[]){flag, NULL});
    char *text = get(at, "/small", "");
    assert_has(text, "x-frame-options: ONE\r\n");
    assert_lacks(text, "RateLimit");
    free(text);
    write_file(path, "http: {frame_options: TWO}\nlimits: {rate: 100/second}\n"
                     "tracing: {sampler: always_off, rules: [{name: 'GET /small', ratio: 0.5}]}\n");
    sx_service_reload(f->service);
    text = get(at, "/small", "");
    assert_has(text, "x-frame-options: TWO\r\n");
    assert_has(text, "RateLimit-Limit: 100\r\n");
    free(text);
    static const char *const WRONG[] = {
        "http: {frame_options: THREE}\nlimits: {rate: often}\n",
        "http: {frame_options: THREE}\ncors: {origins: [nowhere]}\n",
        "http: {frame_options: THREE}\ntracing: {sampler: sometimes}\n",
        "http: {frame_options: THREE}\ntracing: {rules: [{ratio: 2}]}\n",
        "http: {frame_options: THREE}\ntracing: {rules: [{rtio: 1}]}\n",
        "http: {frame_options: THREE}\nlog: {levels: 'net=loud'}\n",
        "http: {frame_options: THREE}\nnonsense: 1\n",
    };
    for (size_t i = 0; i < SX_COUNT_OF(WRONG); i++) {
        write_file(path, WRONG[i]);
        sx_service_reload(f->service);
        text = get(at, "/small", "");
        if (!strstr(text, "x-frame-options: TWO\r\n"))
            fail_msg("%s was taken", WRONG[i]);
        free(text);
    }
    write_file(path, "");
    sx_service_reload(f->service);
    text = get(at, "/small", "");
    assert_has(text, "x-frame-options: DENY\r\n");
    assert_lacks(text, "RateLimit");
    free(text);
}

int main(void)
{
    fill();
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        T(test_a_large_reply_is_compressed_as_the_client_asks),
        T(test_what_is_not_compressed_stays_as_it_is),
        T(test_an_etag_is_weakened_and_head_tells_what_get_sends),
        T(test_content_types_that_compress),
        T(test_security_headers_are_sent_unless_the_handler_has_its_own),
        T(test_cross_origin_requests),
        T(test_origins_fit_as_they_are_written),
        T(test_who_asks_too_often_is_told_when_to_come_back),
        T(test_a_route_may_have_a_rate_of_its_own),
        T(test_a_rate_may_stand_in_the_general_ones_place),
        T(test_a_rate_aside_holds_only_where_there_is_a_general_one),
        T(test_requests_at_a_time_are_limited),
        T(test_load_is_shed_by_priority),
        T(test_a_service_that_sheds_serves_while_it_can),
        T(test_detailed_health_tells_all),
        T(test_breakers_are_shown_and_changed),
        T(test_limits_are_shown_and_forgotten),
        T(test_log_levels_change_by_json_and_by_form),
        T(test_settings_and_build_are_shown_without_secrets),
        T(test_a_reload_tells_what_has_changed),
        T(test_a_reload_changes_limits_and_headers_or_nothing),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

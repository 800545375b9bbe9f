/* test_service.c - whole services in this process, talked to over sockets. */
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault.h"
#include "service/service_internal.h"

/* ---- a client ---- */

static int dial(const char *address)
{
    const char *colon = strrchr(address, ':');
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval limit = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Sends `request` and returns all that comes until the other side closes; free() it. */
static char *exchange(const char *address, const char *request)
{
    int fd = dial(address);
    assert_true(fd >= 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    size_t len = 0, cap = 1 << 20;
    char *text = malloc(cap);
    for (ssize_t got; len + 1 < cap && (got = recv(fd, text + len, cap - len - 1, 0)) > 0;)
        len += (size_t)got;
    text[len] = '\0';
    close(fd);
    return text;
}

static char *get(const char *address, const char *target, const char *headers)
{
    char request[4096];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n",
             target, headers);
    return exchange(address, request);
}

static void assert_has(char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in:\n%s", part, text);
}

/* ---- a service ---- */

typedef struct fixture {
    sx_service *service;
    char path[64]; /* of the access log */
    char flag[96];
    const char *flags[16];
    int ready;
    int loops_up, loops_down, setups, teardowns;
} fixture;

static fixture *now; /* the test that runs; cmocka runs one at a time */

static void answer_hello(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r, 200, SX_STR("text/plain"), SX_STR("hello, world\n"));
}

static void answer_echo(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_str name = sx_request_param(r, "name"), q = sx_request_query(r, "q");
    sx_str text = sx_arena_printf(&r->arena, "%.*s|%.*s|%s|%.*s", SX_ARG(name), SX_ARG(q),
                                  q.data ? "given" : "none", SX_ARG(r->body));
    sx_reply(r, 200, SX_STR("text/plain"), text);
}

static void answer_context(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r,
             sx_request_loop_context(r) == (void *)(uintptr_t)(sx_loop_index(r->loop) + 7) ? 200
                                                                                           : 500,
             SX_STR(""), SX_STR(""));
}

/* Answers when the test's clock says so: after 150 ms. */
typedef struct slow {
    sx_timer timer;
    sx_request *r;
} slow;

static void slow_due(sx_timer *timer, void *arg)
{
    (void)timer;
    slow *s = arg;
    sx_reply(s->r, 200, SX_STR("text/plain"), SX_STR("slow"));
}

static void answer_slow(sx_request *r, void *ctx)
{
    (void)ctx;
    slow *s = sx_arena_calloc(&r->arena, 1, sizeof(*s));
    s->r = r;
    s->timer.fn = slow_due;
    s->timer.arg = s;
    sx_timer_start(sx_loop_timers(r->loop), &s->timer, 150);
}

static const sx_route ROUTES[] = {
    {SX_GET, "/", answer_hello},
    {SX_GET, "/echo/:name", answer_echo},
    {SX_POST, "/echo/:name", answer_echo, NULL, 0, 16},
    {SX_GET, "/context", answer_context},
    {SX_GET, "/slow", answer_slow},
};

static sx_status ask_ready(void *ctx, sx_error *err)
{
    (void)ctx;
    return __atomic_load_n(&now->ready, __ATOMIC_RELAXED)
               ? SX_OK
               : sx_fail(err, SX_AGAIN, "the \"index\" is being read");
}

static const sx_check CHECKS[] = {{"index", ask_ready, NULL}};

static sx_status on_setup(sx_service *s, void *ctx, sx_error *err)
{
    (void)s;
    (void)ctx;
    (void)err;
    now->setups++;
    return SX_OK;
}

static void on_teardown(sx_service *s, void *ctx)
{
    (void)s;
    (void)ctx;
    now->teardowns++;
}

static sx_status on_loop(sx_service *s, sx_loop *loop, void *ctx, void **loop_ctx, sx_error *err)
{
    (void)s;
    (void)ctx;
    (void)err;
    now->loops_up++;
    *loop_ctx = (void *)(uintptr_t)(sx_loop_index(loop) + 7);
    return SX_OK;
}

static void on_loop_end(sx_service *s, sx_loop *loop, void *ctx, void *loop_ctx)
{
    (void)s;
    (void)ctx;
    assert_true(loop_ctx == (void *)(uintptr_t)(sx_loop_index(loop) + 7));
    now->loops_down++;
}

static const sx_service_def DEF = {.name = "test",
                                   .version = "1",
                                   .routes = ROUTES,
                                   .route_count = SX_COUNT_OF(ROUTES),
                                   .checks = CHECKS,
                                   .check_count = 1,
                                   .setup = on_setup,
                                   .teardown = on_teardown,
                                   .loop_setup = on_loop,
                                   .loop_teardown = on_loop_end};

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    snprintf(f->path, sizeof(f->path), "/tmp/sx-test-service-XXXXXX");
    close(mkstemp(f->path));
    f->ready = 1;
    now = f;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    sx_service_free(f->service);
    unlink(f->path);
    free(f);
    return 0;
}

/* Starts DEF (or `def`) on a free port with four loops and `more` flags, NULL at the end. */
static const char *start(fixture *f, const sx_service_def *def, const char *const *more)
{
    const char **flags = f->flags; /* a reload reads them again */
    size_t count = 0;
    flags[count++] = "--listen=127.0.0.1:0";
    flags[count++] = "--loops=4";
    flags[count++] = f->flag;
    snprintf(f->flag, sizeof(f->flag), "--access_log=%s", f->path);
    while (more && *more)
        flags[count++] = *more++;
    flags[count++] = "--log.path=/dev/null";
    sx_error err = {0};
    sx_buf problems;
    sx_buf_init(&problems, 0);
    if (sx_service_new(def ? def : &DEF, &(sx_service_options){.flags = flags, .flag_count = count},
                       &f->service, &problems, &err) ||
        sx_service_start(f->service, &err))
        fail_msg("%s %.*s", err.message, SX_ARG(sx_buf_view(&problems)));
    sx_buf_done(&problems);
    return sx_service_address(f->service, "http");
}

static char *access_log(fixture *f)
{
    assert_true(sx_log_flush(f->service->access_log, 5000));
    FILE *in = fopen(f->path, "re");
    char *text = calloc(1, 1 << 20);
    size_t got = fread(text, 1, (1 << 20) - 1, in);
    text[got] = '\0';
    fclose(in);
    return text;
}

/* ---- tests ---- */

static void test_a_request_gets_its_answer_id_metrics_and_log_line(void **state)
{
    fixture *f = *state;
    const char *at = start(f, NULL, NULL);
    char *text = get(at, "/?secret=1", "User-Agent: me\r\n");
    assert_has(text, "HTTP/1.1 200 OK\r\n");
    assert_has(text, "\r\n\r\nhello, world\n");
    char *id = strstr(text, "x-request-id: ");
    assert_non_null(id);
    id += 14;
    assert_int_equal(strcspn(id, "\r"), 36);
    assert_int_equal(id[14], '7'); /* the version */
    id[36] = '\0';

    char *metrics = get(at, "/metrics", "");
    assert_has(metrics, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    assert_has(metrics, "http_requests_total{method=\"GET\",route=\"/\",code=\"200\"} 1\n");
    assert_has(metrics, "http_request_duration_seconds_count{method=\"GET\",route=\"/\"} 1\n");
    assert_has(metrics, "http_response_body_bytes_total{method=\"GET\",route=\"/\"} 13\n");
    assert_has(metrics, "http_requests_in_flight 1\n");
    assert_has(metrics, "process_open_fds ");

    char *log = access_log(f);
    assert_has(log, "\"message\":\"request\",\"method\":\"GET\",\"path\":\"/\",\"route\":\"/\","
                    "\"status\":200,");
    assert_has(log,
               "\"bytes_in\":0,\"bytes_out\":13,\"client\":\"127.0.0.1\",\"user_agent\":\"me\"");
    assert_has(log, id);
    assert_null(strstr(log, "secret"));
    free(log);
    free(metrics);
    free(text);
}

static void test_promtool_finds_nothing_to_say_about_the_metrics(void **state)
{
    fixture *f = *state;
    if (access("/usr/bin/promtool", X_OK) != 0)
        skip();
    const char *at = start(f, NULL, NULL);
    free(get(at, "/", ""));
    free(get(at, "/nowhere", ""));
    char *text = get(at, "/metrics", ""), *body = strstr(text, "\r\n\r\n") + 4;
    char command[160];
    snprintf(command, sizeof(command), "/usr/bin/promtool check metrics >%s 2>&1", f->path);
    FILE *tool = popen(command, "we");
    assert_non_null(tool);
    fwrite(body, 1, strlen(body), tool);
    int status = pclose(tool);
    if (status != 0) {
        char *said = access_log(f);
        fail_msg("promtool: %s", said);
    }
    free(text);
}

static void test_a_sane_id_is_taken_and_any_other_replaced(void **state)
{
    fixture *f = *state;
    const char *at = start(f, NULL, NULL);
    char *text = get(at, "/", "X-Request-ID: Ab.9_~:/+=-\r\n");
    assert_has(text, "x-request-id: Ab.9_~:/+=-\r\n");
    free(text);
    text = get(at, "/", "X-Request-ID: a\"b\r\n");
    assert_null(strstr(text, "a\"b"));
    assert_has(text, "x-request-id: 0");
    free(text);
    char most[129];
    memset(most, 'a', sizeof(most));
    assert_true(sx_request_id_is_sane(sx_str_of(most, 128)));
    assert_false(sx_request_id_is_sane(sx_str_of(most, 129)));
    assert_false(sx_request_id_is_sane(sx_str_of(most, 0)));
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        bool sane = byte && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                   "._~:/+=-",
                                   byte);
        assert_int_equal(sx_request_id_is_sane(sx_str_of(&c, 1)), sane);
    }
}

static void test_parameters_queries_and_bodies_reach_the_handler(void **state)
{
    fixture *f = *state;
    const char *at = start(f, NULL, NULL);
    char *text = get(at, "/echo/a%2Fb%20c%25?x=1&q=two+w%C3%B6rds&q=3", "");
    assert_has(text, "\r\n\r\na/b c%|two w\xc3\xb6rds|given|");
    free(text);
    text = get(at, "/echo/x", "");
    assert_has(text, "\r\n\r\nx||none|");
    free(text);
    text = get(at, "/echo/x?q=%zz", "");
    assert_has(text, "\r\n\r\nx|%zz|given|");
    free(text);
    text = exchange(at, "POST /echo/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                        "Content-Length: 5\r\n\r\nbody!");
    assert_has(text, "\r\n\r\nx||none|body!");
    free(text);
    text = exchange(at, "POST /echo/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                        "Content-Length: 17\r\n\r\n12345678901234567");
    assert_has(text, "HTTP/1.1 413 ");
    free(text);
    text = get(at, "/context", "");
    assert_has(text, "HTTP/1.1 200 ");
    free(text);
}

static void test_what_no_route_fits_is_answered(void **state)
{
    fixture *f = *state;
    const char *at = start(f, NULL, NULL);
    char *text = get(at, "/nowhere", "");
    assert_has(text, "HTTP/1.1 404 ");
    assert_has(text, "{\"error\":\"Not Found\"}");
    free(text);
    text = get(at, "/echo/%zz", "");
    assert_has(text, "HTTP/1.1 400 ");
    free(text);
    text = exchange(at, "PUT /echo/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                        "Content-Length: 0\r\n\r\n");
    assert_has(text, "HTTP/1.1 405 ");
    assert_has(text, "allow: GET, HEAD, POST, OPTIONS\r\n");
    free(text);
    text = exchange(at, "OPTIONS /echo/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_has(text, "HTTP/1.1 204 ");
    assert_has(text, "allow: GET, HEAD, POST, OPTIONS\r\n");
    free(text);
    text = exchange(at, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_has(text, "Content-Length: 13\r\n");
    assert_null(strstr(text, "hello"));
    free(text);
    text = get(at, "/metrics", "");
    assert_has(text, "http_requests_total{method=\"GET\",route=\"unmatched\",code=\"404\"} 1\n");
    assert_has(text, "http_requests_total{method=\"PUT\",route=\"unmatched\",code=\"405\"} 1\n");
    free(text);
}

static void test_health_says_what_the_checks_say(void **state)
{
    fixture *f = *state;
    const char *at = start(f, NULL, NULL);
    char *text = get(at, "/health/live", "");
    assert_has(text, "HTTP/1.1 200 ");
    assert_has(text, "\r\n\r\n{\"status\":\"alive\"}");
    free(text);
    text = get(at, "/health/ready", "");
    assert_has(text, "HTTP/1.1 200 ");
    assert_has(text, "{\"status\":\"ready\",\"checks\":{\"index\":\"ok\"}}");
    free(text);
    __atomic_store_n(&f->ready, 0, __ATOMIC_RELAXED);
    text = get(at, "/health/ready", "");
    assert_has(text, "HTTP/1.1 503 ");
    assert_has(text, "{\"status\":\"not_ready\",\"checks\":{\"index\":\"the \\\"index\\\" is being "
                     "read\"}}");
    free(text);
}

static void test_an_admin_listener_takes_the_admin_paths(void **state)
{
    fixture *f = *state;
    const char *at = start(f, NULL, (const char *const[]){"--admin.listen=127.0.0.1:0", NULL});
    const char *admin = sx_service_address(f->service, "admin");
    assert_non_null(admin);
    char *text = get(at, "/metrics", "");
    assert_has(text, "HTTP/1.1 404 ");
    free(text);
    text = get(admin, "/metrics", "");
    assert_has(text, "HTTP/1.1 200 ");
    free(text);
    text = get(admin, "/echo/x", "");
    assert_has(text, "HTTP/1.1 404 ");
    free(text);
    text = get(admin, "/admin/build", "");
    assert_has(text, "HTTP/1.1 200 ");
    free(text);
    text = get(at, "/admin/build", "");
    assert_has(text, "HTTP/1.1 404 ");
    free(text);
}

static void answer_fallback(sx_request *r, void *ctx)
{
    (void)ctx;
    r->route = "named";
    sx_reply(r, 202, SX_STR(""), SX_STR(""));
}

static void test_a_fallback_may_name_its_route(void **state)
{
    fixture *f = *state;
    sx_service_def def = DEF;
    def.fallback = answer_fallback;
    const char *at = start(f, &def, NULL);
    free(get(at, "/x/y", ""));
    free(get(at, "/z", ""));
    char *text = get(at, "/metrics", "");
    assert_has(text, "http_requests_total{method=\"GET\",route=\"named\",code=\"202\"} 2\n");
    free(text);
    sx_service_free(f->service); /* def goes out of scope */
    f->service = NULL;
}

static void *stop_in_background(void *arg)
{
    sx_service_stop(arg);
    return NULL;
}

static void test_a_request_under_way_is_finished_before_the_end(void **state)
{
    fixture *f = *state;
    const char *at = start(f, NULL, NULL);
    int fd = dial(at);
    const char *request = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
    for (int i = 0; i < 5000; i++) { /* until it has arrived */
        if (sx_gauge_value(f->service->in_flight) == 1)
            break;
        poll(NULL, 0, 1);
    }
    assert_true(sx_gauge_value(f->service->in_flight) == 1);
    pthread_t stopper;
    assert_int_equal(pthread_create(&stopper, NULL, stop_in_background, f->service), 0);
    char text[1024] = {0};
    size_t len = 0;
    for (ssize_t got; (got = recv(fd, text + len, sizeof(text) - 1 - len, 0)) > 0;)
        len += (size_t)got;
    assert_has(text, "HTTP/1.1 200 OK");
    assert_has(text, "slow");
    assert_has(text, "onnection: close\r\n");
    pthread_join(stopper, NULL);
    close(fd);
    assert_int_equal(f->loops_up, 4);
    assert_int_equal(f->loops_down, 4);
    assert_int_equal(f->teardowns, 0);
    sx_service_free(f->service);
    f->service = NULL;
    assert_int_equal(f->setups, 1);
    assert_int_equal(f->teardowns, 1);
}

static void test_an_idle_connection_does_not_hold_the_end_up(void **state)
{
    fixture *f = *state;
    const char *at = start(f, NULL, NULL);
    int fd = dial(at);
    const char *request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    char text[1024];
    assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
    assert_true(recv(fd, text, sizeof(text), 0) > 0);
    int64_t begin = sx_clock_mono_ms(sx_clock_system());
    sx_service_stop(f->service);
    assert_true(sx_clock_mono_ms(sx_clock_system()) - begin < 5000); /* of shutdown_ms_max 10 s */
    assert_int_equal(recv(fd, text, sizeof(text), 0), 0);
    close(fd);
}

static void test_a_service_without_a_listener_does_not_start(void **state)
{
    (void)state;
    const char *flags[] = {"--listen=", "--access_log=none", "--log.path=/dev/null"};
    sx_error err = {0};
    sx_service *s;
    assert_int_equal(sx_service_new(&DEF, &(sx_service_options){.flags = flags, .flag_count = 3},
                                    &s, NULL, &err),
                     SX_OK);
    assert_null(s->access_log);
    assert_int_equal(sx_service_start(s, &err), SX_EINVAL);
    assert_has(err.message, "nothing to serve");
    assert_has(err.message, "set `listen`");
    sx_service_free(s);
}

static void test_a_fifo_is_no_certificate(void **state)
{
    (void)state;
    char folder[] = "/tmp/sx-test-service-XXXXXX", path[64], chain[96], key[96];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(chain, sizeof(chain), "--tls.chain_file=%s", i ? "/dev/null" : path);
        snprintf(key, sizeof(key), "--tls.key_file=%s", i ? path : "/dev/null");
        const char *flags[] = {chain, key, "--access_log=off", "--log.path=/dev/null"};
        sx_error err = {0};
        sx_service *s = NULL;
        assert_int_equal(sx_service_new(&DEF,
                                        &(sx_service_options){.flags = flags, .flag_count = 4}, &s,
                                        NULL, &err),
                         SX_EINVAL);
        assert_has(err.message, i ? "key file /tmp/" : "certificate file /tmp/");
        assert_has(err.message, "is a FIFO");
        sx_service_free(s);
    }
    unlink(path);
    rmdir(folder);
}

static void test_a_port_in_use_is_an_error_with_a_remedy(void **state)
{
    fixture *f = *state;
    char flag[96];
    snprintf(flag, sizeof(flag), "--listen=%s", start(f, NULL, NULL));
    /* Without SO_REUSEPORT sharing between strangers: a plain listener holds the port. */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(any);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, size), 0);
    assert_int_equal(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&any, &size);
    snprintf(flag, sizeof(flag), "--listen=127.0.0.1:%d", ntohs(any.sin_port));
    sx_service_free(f->service);
    f->service = NULL;
    const char *flags[] = {flag, "--loops=2", "--access_log=off", "--log.path=/dev/null"};
    sx_error err = {0};
    sx_service *s;
    assert_int_equal(sx_service_new(&DEF, &(sx_service_options){.flags = flags, .flag_count = 4},
                                    &s, NULL, &err),
                     SX_OK);
    assert_int_equal(sx_service_start(s, &err), SX_EEXIST);
    assert_non_null(strstr(err.message, strchr(flag, '=') + 1));
    sx_service_free(s);
    close(fd);
}

static void test_a_service_needs_a_name(void **state)
{
    (void)state;
    static const sx_service_def NAMELESS[] = {{.listen = "127.0.0.1:0"}, {.name = ""}};
    const char *argv[] = {"test", "--help", NULL};
    for (size_t i = 0; i < SX_COUNT_OF(NAMELESS); i++) {
        sx_service *s = NULL;
        sx_error err = {0};
        assert_int_equal(sx_service_new(&NAMELESS[i], NULL, &s, NULL, &err), SX_EINVAL);
        assert_null(s);
        assert_string_equal(err.message, "the service has no name: set sx_service_def.name");
        assert_int_equal(sx_service_main(2, (char **)argv, &NAMELESS[i]), 1);
    }
}

static void test_wrong_settings_are_all_told(void **state)
{
    (void)state;
    const char *flags[] = {"--http.idle_ms=5", "--loops=x"};
    sx_service *s = NULL;
    sx_error err = {0};
    sx_buf problems;
    sx_buf_init(&problems, 0);
    assert_int_equal(sx_service_new(&DEF, &(sx_service_options){.flags = flags, .flag_count = 2},
                                    &s, &problems, &err),
                     SX_EINVAL);
    sx_buf_byte(&problems, '\0');
    assert_string_equal(problems.data,
                        "flag --http.idle_ms: unknown; did you mean \"http.idle_ms_max\"?\n"
                        "flag --loops: 'x' is not an integer\n");
    sx_buf_done(&problems);
}

static void test_log_level_changes_at_a_reload(void **state)
{
    fixture *f = *state;
    char path[] = "/tmp/sx-test-reload-XXXXXX", flag[64];
    int fd = mkstemp(path);
    snprintf(flag, sizeof(flag), "--config.file=%s", path);
    assert_int_equal(write(fd, "log.level: warn\n", 16), 16);
    start(f, NULL, (const char *const[]){flag, NULL});
    assert_false(sx_logger_enabled(sx_service_logger(f->service), SX_LEVEL_INFO));
    assert_int_equal(pwrite(fd, "log.level: infx\n", 16, 0), 16); /* refused as a whole */
    sx_service_reload(f->service);
    assert_false(sx_logger_enabled(sx_service_logger(f->service), SX_LEVEL_INFO));
    assert_int_equal(pwrite(fd, "log.level: info\n", 16, 0), 16);
    sx_service_reload(f->service);
    assert_true(sx_logger_enabled(sx_service_logger(f->service), SX_LEVEL_INFO));
    close(fd);
    unlink(path);
}

/* Four loops, four clients, and a scrape all the while: for TSan. */
typedef struct client {
    const char *at;
    pthread_t thread;
    int answered;
} client;

enum { CLIENTS = 4, REQUESTS = 200 };

static void *ask_often(void *arg)
{
    client *c = arg;
    int fd = dial(c->at);
    const char *request = "GET /echo/x?q=1 HTTP/1.1\r\nHost: a\r\n\r\n";
    for (int i = 0; fd >= 0 && i < REQUESTS; i++) {
        char text[1024];
        if (send(fd, request, strlen(request), MSG_NOSIGNAL) <= 0 ||
            recv(fd, text, sizeof(text), 0) <= 0)
            break;
        c->answered++;
    }
    close(fd);
    return NULL;
}

static void test_four_loops_count_every_request(void **state)
{
    fixture *f = *state;
    const char *at = start(f, NULL, NULL);
    client clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (client){.at = at};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, ask_often, &clients[i]), 0);
    }
    for (int i = 0; i < 20; i++)
        free(get(at, "/metrics", ""));
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].answered, REQUESTS);
    }
    /* A request is counted when its reply has gone out, which its client may see first. */
    static const char COUNTED[] =
        "http_requests_total{method=\"GET\",route=\"/echo/:name\",code=\"200\"} 800\n";
    char *text = get(at, "/metrics", "");
    for (int tries = 0; tries < 1000 && !strstr(text, COUNTED); tries++) {
        free(text);
        text = get(at, "/metrics", "");
    }
    assert_has(text, COUNTED);
    free(text);
}

/* The plan of faults is one for the process, without a lock: the loop, which allocates, sets it. */
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

static void ask_again(int fd, int times)
{
    static const char REQUEST[] = "GET /echo/x?q=1 HTTP/1.1\r\nHost: a\r\n\r\n";
    char text[1024];
    for (int i = 0; i < times; i++) {
        assert_int_equal(send(fd, REQUEST, sizeof(REQUEST) - 1, MSG_NOSIGNAL), sizeof(REQUEST) - 1);
        assert_true(recv(fd, text, sizeof(text), 0) > 0);
    }
}

static void test_no_allocation_in_the_steady_state(void **state)
{
    fixture *f = *state;
    const char *at = start(f, NULL, (const char *const[]){"--loops=1", NULL});
    sx_loop *loop = sx_service_loop(f->service, 0);
    int64_t calls = -1;
    int fd = dial(at);
    /* Warm: buffers, handles and the log's two chunks are there. The log takes a further chunk
     * whenever its writer has fallen behind, so the writer is waited for all along. */
    for (int i = 0; i < 40; i++) {
        if (i == 30)
            assert_int_equal(sx_loop_post(loop, count_from_here, NULL, NULL), SX_OK);
        ask_again(fd, 25);
        assert_true(sx_log_flush(f->service->access_log, 5000));
    }
    assert_int_equal(sx_loop_post(loop, count_to_here, &calls, NULL), SX_OK);
    while (__atomic_load_n(&calls, __ATOMIC_ACQUIRE) < 0)
        ask_again(fd, 1);
    close(fd);
    assert_in_range(calls, 0, 1); /* one: the message that ends the count */
}

/* ---- as a program ---- */

/* Runs sx_service_main in a child; its stderr through *err_fd. */
static pid_t spawn(const char **argv, int argc, int *err_fd)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        sx_service_def def = DEF;
        _exit(sx_service_main(argc, (char **)argv, &def)); /* main never writes them */
    }
    close(ends[1]);
    *err_fd = ends[0];
    return pid;
}

/* Reads stderr until `part` has come or it ends. */
static void read_until(int fd, char *text, size_t size, const char *part)
{
    size_t len = strlen(text);
    while (!(part && strstr(text, part)) && len + 1 < size) {
        ssize_t got = read(fd, text + len, size - 1 - len);
        if (got <= 0)
            break;
        len += (size_t)got;
        text[len] = '\0';
    }
}

static void test_sigterm_ends_a_program_with_0_and_a_ready_line(void **state)
{
    fixture *f = *state;
    int fd, status;
    char text[8192] = {0}, flag[96];
    snprintf(flag, sizeof(flag), "--access_log=%s", f->path);
    const char *argv[] = {"test", "--listen=127.0.0.1:0", "--loops=2", flag, NULL};
    pid_t pid = spawn(argv, 4, &fd);
    read_until(fd, text, sizeof(text), "ready test http=127.0.0.1:");
    char *at = strstr(text, "http=127.0.0.1:");
    assert_non_null(at);
    read_until(fd, text, sizeof(text), "\n");
    char address[64];
    assert_int_equal(sscanf(at, "http=%63s", address), 1);
    char *answer = get(address, "/", "");
    assert_has(answer, "hello, world");
    free(answer);
    kill(pid, SIGUSR1); /* neither of these ends it */
    kill(pid, SIGHUP);
    answer = get(address, "/", "");
    assert_has(answer, "hello, world");
    free(answer);
    kill(pid, SIGTERM);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    read_until(fd, text, sizeof(text), NULL);
    assert_has(text, "\"message\":\"settings reloaded\"");
    assert_has(text, "\"message\":\"stopped\"");
    close(fd);
}

static void test_a_second_signal_ends_it_at_once(void **state)
{
    (void)state;
    int fd, status;
    char text[8192] = {0};
    const char *argv[] = {"test", "--listen=127.0.0.1:0", "--shutdown_delay_ms=10m",
                          "--access_log=off", NULL};
    pid_t pid = spawn(argv, 4, &fd);
    read_until(fd, text, sizeof(text), "ready test");
    kill(pid, SIGTERM);
    read_until(fd, text, sizeof(text), "\"stopping\"");
    kill(pid, SIGINT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 130);
    close(fd);
}

static void test_a_wrong_flag_exits_2_and_a_wrong_setting_1(void **state)
{
    (void)state;
    int fd, status;
    char text[4096] = {0};
    const char *argv[] = {"test", "--lissen=x", NULL};
    pid_t pid = spawn(argv, 2, &fd);
    read_until(fd, text, sizeof(text), NULL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 2);
    assert_has(text, "flag --lissen: unknown; did you mean \"listen\"?");
    close(fd);
    const char *missing[] = {"test", "--config.file=/nowhere.yml", NULL};
    memset(text, 0, sizeof(text));
    pid = spawn(missing, 2, &fd);
    read_until(fd, text, sizeof(text), NULL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_has(text, "/nowhere.yml");
    close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        /* Children first: a fork wants a process without threads. */
        TEST(test_sigterm_ends_a_program_with_0_and_a_ready_line),
        TEST(test_a_second_signal_ends_it_at_once),
        TEST(test_a_wrong_flag_exits_2_and_a_wrong_setting_1),
        TEST(test_a_request_gets_its_answer_id_metrics_and_log_line),
        TEST(test_promtool_finds_nothing_to_say_about_the_metrics),
        TEST(test_a_sane_id_is_taken_and_any_other_replaced),
        TEST(test_parameters_queries_and_bodies_reach_the_handler),
        TEST(test_what_no_route_fits_is_answered),
        TEST(test_health_says_what_the_checks_say),
        TEST(test_a_service_without_a_listener_does_not_start),
        TEST(test_a_fifo_is_no_certificate),
        TEST(test_an_admin_listener_takes_the_admin_paths),
        TEST(test_a_fallback_may_name_its_route),
        TEST(test_a_request_under_way_is_finished_before_the_end),
        TEST(test_an_idle_connection_does_not_hold_the_end_up),
        TEST(test_a_port_in_use_is_an_error_with_a_remedy),
        TEST(test_a_service_needs_a_name),
        TEST(test_wrong_settings_are_all_told),
        TEST(test_log_level_changes_at_a_reload),
        TEST(test_four_loops_count_every_request),
        TEST(test_no_allocation_in_the_steady_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

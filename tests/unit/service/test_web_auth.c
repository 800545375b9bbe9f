/* Tests of who may ask: users, tokens, what is remembered, a reload, TLS by the web configuration. */
#include "tests/unit/service/service_fixture.h"

#include <sys/un.h>

/* Of "correct horse", cost 4: quick to check, on purpose here. */
#define HASH   "$2y$04$QFPMsjNt6WOn/3YCuW4yDO.sndMwqVTZLhNIdkL3DKzTePDhsBo1."
#define RIGHT  "Authorization: Basic YWxpY2U6Y29ycmVjdCBob3JzZQ==\r\n" /* alice:correct horse */
#define WRONG  "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n"             /* alice:wrong */
#define NOBODY "Authorization: Basic Ym9iOmNvcnJlY3QgaG9yc2U=\r\n"     /* bob:correct horse */

static void answer_who(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r, 200, SX_STR("text/plain"),
             sx_arena_printf(&r->arena, "user=%.*s body=%.*s %s", SX_ARG(sx_request_user(r)),
                             SX_ARG(r->body),
                             sx_context_current() == sx_request_context(r) ? "in" : "out"));
}

static const sx_route ROUTES[] = {{SX_GET, "/", answer_who}, {SX_POST, "/", answer_who}};
static const sx_service_def DEF = {
    .name = "test", .routes = ROUTES, .route_count = SX_COUNT_OF(ROUTES)};

/* Starts the service with that web configuration. */
static const char *start_with(fixture *f, const char *config, char flag[128])
{
    char path[80];
    snprintf(path, sizeof(path), "%s/web.yml", f->folder);
    snprintf(flag, 128, "--web.config.file=%s", path);
    write_file(path, config);
    return start_service(f, &DEF, (const char *const[]){flag, "--admin.listen=127.0.0.1:0", NULL});
}

static void test_users_are_let_in_by_their_password(void **state)
{
    fixture *f = *state;
    char flag[128];
    const char *at = start_with(f, "basic_auth_users: {alice: '" HASH "'}\n", flag);
    char *text = get(at, "/", "");
    assert_has(text, "HTTP/1.1 401 ");
    assert_has(text, "www-authenticate: Basic realm=");
    free(text);
    for (int i = 0; i < 3; i++) { /* the first is computed, the others are remembered */
        text = get(at, "/", RIGHT);
        assert_has(text, "HTTP/1.1 200 ");
        assert_has(text, "user=alice body= in");
        free(text);
        assert_int_equal(get_status(at, "/", WRONG), 401);
        assert_int_equal(get_status(at, "/", NOBODY), 401);
    }
    text = ask(at, "POST", "/", RIGHT, "a body that waits");
    assert_has(text, "user=alice body=a body that waits in");
    free(text);
    static const char *const BROKEN[] = {
        "Authorization: Basic\r\n",          "Authorization: Basic !!!!\r\n",
        "Authorization: Basic YWxpY2U=\r\n", "Authorization: Bearer x\r\n",
        "Authorization: Digest a=b\r\n",     "Authorization: \r\n",
        "Authorization: Basic a\r\n"};
    for (size_t i = 0; i < SX_COUNT_OF(BROKEN); i++)
        assert_int_equal(get_status(at, "/", BROKEN[i]), 401);
    /* The admin's listener is protected as well. */
    const char *admin = sx_service_address(f->service, "admin");
    assert_int_equal(get_status(admin, "/metrics", ""), 401);
    text = get(admin, "/metrics", RIGHT);
    assert_has(text, "http_authentications_total{outcome=\"denied\"} ");
    assert_has(text, "http_authentications_total{outcome=\"missing\"} 3\n");
    free(text);
}

static void test_probes_need_no_password_unless_told(void **state)
{
    fixture *f = *state;
    char flag[128];
    const char *at = start_with(f, "basic_auth_users: {alice: '" HASH "'}\n", flag);
    const char *admin = sx_service_address(f->service, "admin");
    assert_int_equal(get_status(admin, "/health/live", ""), 200);
    assert_int_equal(get_status(admin, "/health/ready", ""), 200);
    assert_int_equal(get_status(admin, "/health/detailed", ""), 401);
    assert_int_equal(get_status(admin, "/metrics", ""), 401);
    assert_int_equal(get_status(admin, "/admin/config", ""), 401);
    assert_int_equal(get_status(at, "/health/live", ""), 401); /* not there: says nothing */
    sx_service_free(f->service);
    f->service = NULL;
    at = start_service(f, &DEF, (const char *const[]){flag, "--health.public=false", NULL});
    assert_int_equal(get_status(at, "/health/live", ""), 401);
    assert_int_equal(get_status(at, "/health/ready", ""), 401);
    assert_int_equal(get_status(at, "/health/ready", RIGHT), 200);
}

static void test_tokens_are_let_in_by_their_digest(void **state)
{
    fixture *f = *state;
    char flag[128];
    const char *at =
        start_with(f,
                   "bearer_tokens:\n  ci: 0123456789abcdef\n"
                   "  cd: sha256:"
                   "0000000000000000000000000000000000000000000000000000000000000000\n",
                   flag);
    char *text = get(at, "/", "");
    assert_has(text, "www-authenticate: Bearer realm=");
    free(text);
    text = get(at, "/", "Authorization: Bearer 0123456789abcdef\r\n");
    assert_has(text, "user=ci");
    free(text);
    assert_int_equal(get_status(at, "/", "Authorization: Bearer 0123456789abcdeF\r\n"), 401);
    assert_int_equal(get_status(at, "/", RIGHT), 401);
}

static void test_clients_that_leave_while_their_password_is_checked(void **state)
{
    fixture *f = *state;
    char flag[128];
    const char *at = start_with(f, "basic_auth_users: {alice: '" HASH "'}\n", flag);
    struct linger reset = {.l_onoff = 1};
    for (int i = 0; i < 40; i++) {
        int fd = dial(at);
        send_text(fd, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic ");
        char user[16]; /* another password each time: none is remembered */
        snprintf(user, sizeof(user), "YWxpY2U6%c%c==", 'A' + i % 26, 'A' + i / 26 * 16);
        send_text(fd, user);
        send_text(fd, "\r\n\r\n");
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(fd);
    }
    for (int i = 0; i < 100 && get_status(at, "/", RIGHT) != 200; i++)
        continue; /* 503 while many wait */
    assert_int_equal(get_status(at, "/", RIGHT), 200);
    sx_service_stop(f->service); /* and some may still be under way */
}

static void test_a_reload_changes_users_or_keeps_them(void **state)
{
    fixture *f = *state;
    char flag[128], path[80];
    const char *at = start_with(f, "basic_auth_users: {alice: '" HASH "'}\n", flag);
    snprintf(path, sizeof(path), "%s/web.yml", f->folder);
    assert_int_equal(get_status(at, "/", RIGHT), 200);
    write_file(path, "basic_auth_users: {alice: 'plain'}\n");
    sx_service_reload(f->service);
    assert_int_equal(get_status(at, "/", RIGHT), 200); /* refused: as before */
    write_file(path, "basic_auth_users: {bob: '" HASH "'}\n"
                     "http_server_config: {headers: {X-Frame-Options: sameorigin}}\n");
    sx_service_reload(f->service);
    assert_int_equal(get_status(at, "/", RIGHT), 401);
    char *text = get(at, "/", NOBODY);
    assert_has(text, "user=bob");
    assert_has(text, "X-Frame-Options: sameorigin\r\n");
    assert_lacks(text, "DENY");
    free(text);
    write_file(path, "");
    sx_service_reload(f->service);
    assert_int_equal(get_status(at, "/", ""), 200);
}

static void test_a_wrong_file_is_no_start(void **state)
{
    fixture *f = *state;
    char flag[128], path[80];
    sx_error err = {0};
    snprintf(path, sizeof(path), "%s/web.yml", f->folder);
    snprintf(flag, sizeof(flag), "--web.config.file=%s", path);
    assert_int_equal(try_make(f, &DEF, (const char *const[]){flag, NULL}, &err), SX_ENOTFOUND);
    write_file(path, "basic_auth: {}\n");
    assert_int_equal(try_make(f, &DEF, (const char *const[]){flag, NULL}, &err), SX_EFORMAT);
    assert_has(err.message, "web.yml:1:1: ");
    write_file(path, "tls_server_config: {cert_file: a, key_file: b}\n");
    assert_int_equal(try_make(f, &DEF, (const char *const[]){flag, NULL}, &err), SX_ENOTFOUND);
    assert_has(err.message, "/a'");
}

/* ---- the service manager ---- */

static void test_what_a_service_manager_says(void **state)
{
    fixture *f = *state;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char notify[120], listen_pid[32], text[64];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(to.sun_path, sizeof(to.sun_path), "%s/notify", f->folder);
    assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    snprintf(notify, sizeof(notify), "NOTIFY_SOCKET=%s", to.sun_path);
    snprintf(listen_pid, sizeof(listen_pid), "LISTEN_PID=%d", (int)getpid());

    sx_systemd sd;
    sx_buf warnings;
    sx_buf_init(&warnings, 0);
    sx_systemd_init(&sd);
    sx_systemd_notify(&sd, "READY=1"); /* to nobody */
    const char *const right[] = {notify, "WATCHDOG_USEC=3000000", NULL};
    sx_systemd_read(&sd, right, &warnings);
    assert_int_equal(warnings.len, 0);
    assert_int_equal(sd.watchdog_ms, 3000);
    sx_systemd_notify(&sd, "READY=1");
    ssize_t got = recv(fd, text, sizeof(text), 0);
    assert_int_equal(got, 7);
    assert_memory_equal(text, "READY=1", 7);
    sx_systemd_done(&sd);

    const char *const others[] = {notify,         "WATCHDOG_USEC=3000000", "WATCHDOG_PID=1",
                                  "LISTEN_FDS=1", "LISTEN_PID=1",          NULL};
    sx_systemd_read(&sd, others, &warnings);
    assert_int_equal(warnings.len, 0);
    assert_int_equal(sd.watchdog_ms, 0);
    assert_int_equal(sd.fd_count, 0);
    sx_systemd_done(&sd);

    const char *const wrong[] = {"NOTIFY_SOCKET=relative", "LISTEN_FDS=two", listen_pid, NULL};
    sx_systemd_read(&sd, wrong, &warnings);
    sx_buf_byte(&warnings, '\0');
    assert_has(warnings.data, "NOTIFY_SOCKET=relative: ");
    assert_has(warnings.data, "LISTEN_FDS=two: ");
    sx_systemd_done(&sd);
    sx_buf_done(&warnings);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        T(test_users_are_let_in_by_their_password),
        T(test_probes_need_no_password_unless_told),
        T(test_tokens_are_let_in_by_their_digest),
        T(test_clients_that_leave_while_their_password_is_checked),
        T(test_a_reload_changes_users_or_keeps_them),
        T(test_a_wrong_file_is_no_start),
        T(test_what_a_service_manager_says),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

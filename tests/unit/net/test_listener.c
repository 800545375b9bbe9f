/* Listeners: addresses, ports in use, Unix sockets, inherited descriptors, the PROXY header, drain. */
#include "tests/unit/base/cmocka_all.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/address.h"
#include "net/proxy_protocol.h"
#include "tests/unit/net/http_fixture.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void test_addresses_read_back_as_printed(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed; /* NULL: refused */
    } CASES[] = {
        {"127.0.0.1:8080", "127.0.0.1:8080"},
        {"localhost:1", "127.0.0.1:1"},
        {"[::1]:0", "[::1]:0"},
        {"[::]:80", "[::]:80"},
        {":8080", ":8080"},
        {"unix:/run/x.sock", "unix:/run/x.sock"},
        {"", NULL},
        {"8080", NULL},
        {"127.0.0.1", NULL},
        {"127.0.0.1:", NULL},
        {"127.0.0.1:65536", NULL},
        {"127.0.0.1:-1", NULL},
        {"127.0.0.1:+1", NULL},
        {"127.1:80", NULL},
        {"example.org:80", NULL},
        {"[::1:80", NULL},
        {"[127.0.0.1]:80", NULL},
        {"::1:80", NULL},
        {"unix:", NULL},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_listen_address a;
        sx_error err = {0};
        char text[SX_ADDRESS_TEXT_BYTES];
        sx_status rc = sx_listen_address_parse(sx_str_z(CASES[i].text), &a, &err);
        if ((rc == SX_OK) != (CASES[i].printed != NULL))
            fail_msg("'%s': %d %s", CASES[i].text, rc, err.message);
        if (rc == SX_OK) {
            sx_listen_address_print(&a, text);
            assert_string_equal(text, CASES[i].printed);
        } else {
            assert_non_null(strstr(err.message, "write HOST:PORT"));
        }
    }
}

static void test_port_of_another_program_is_refused(void **state)
{
    (void)state;
    http_fixture f;
    http_fixture_open(&f, NULL);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)); /* even to one who would share */
    struct sockaddr_in in = {.sin_family = AF_INET};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof(in);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&in, &bytes);
    char text[32];
    int len = snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(in.sin_port));
    sx_listen_options listen = {.address = sx_str_of(text, (size_t)len)};
    sx_error err;
    assert_int_equal(sx_http_server_listen(f.server, &listen, NULL, &err), SX_EEXIST);
    assert_non_null(strstr(err.message, text));
    assert_non_null(strstr(err.message, "choose another port"));
    close(fd);
    assert_int_equal(sx_http_server_listen(f.server, &listen, NULL, &err), SX_OK);
    http_fixture_close(&f);
}

static void test_loops_of_one_process_share_a_port(void **state)
{
    (void)state;
    http_fixture f, g;
    http_fixture_open(&f, NULL);
    http_fixture_open(&g, NULL);
    sx_bound bound = f.bound;
    sx_listen_options listen = {.address = sx_str_z(bound.text)};
    http_fixture_listen(&g, &listen);
    assert_string_equal(g.bound.text, bound.text);
    int fds[32];
    for (int i = 0; i < 32; i++) {
        fds[i] = http_fixture_connect(&f);
        http_fixture_settle(&g);
    }
    uint64_t one = sx_http_server_counts(f.server)->connections_open;
    uint64_t two = sx_http_server_counts(g.server)->connections_open;
    assert_int_equal(one + two, 32);
    assert_true(one > 0 && two > 0);
    for (int i = 0; i < 32; i++)
        close(fds[i]);
    http_fixture_close(&f);
    http_fixture_close(&g);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void test_unix_sockets_replace_only_dead_ones(void **state)
{
    (void)state;
    char path[64], text[80];
    sx_error err;
    snprintf(path, sizeof(path), "/tmp/sx_listener_%d.sock", (int)getpid());
    snprintf(text, sizeof(text), "unix:%s", path);
    sx_listen_options listen = {.address = sx_str_z(text)};
    /* A file that is no socket is left alone. */
    close(open(path, O_CREAT | O_WRONLY, 0600));
    http_fixture f, g;
    http_fixture_open(&f, NULL);
    http_fixture_open(&g, NULL);
    assert_int_equal(sx_http_server_listen(f.server, &listen, NULL, &err), SX_EEXIST);
    assert_non_null(strstr(err.message, "not a socket"));
    unlink(path);
    /* One that a dead program left behind is replaced. */
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(stale, (struct sockaddr *)&un, sizeof(un)), 0);
    close(stale);
    http_fixture_listen(&f, &listen);
    http_fixture_listen(&g, &listen); /* a second loop of ours */
    int fd = connect_unix(path);
    assert_true(fd >= 0);
    http_fixture_settle(&f);
    http_fixture_say(&f, fd, GET("/u"));
    http_fixture_settle(&g);
    http_fixture_settle(&f);
    assert_non_null(strstr(http_fixture_read(&f, fd, NULL), "/u"));
    assert_string_equal(f.peer_address, "");
    close(fd);
    http_fixture_close(&f);
    fd = connect_unix(path); /* the other still has it */
    assert_true(fd >= 0);
    close(fd);
    http_fixture_close(&g);
    struct stat st;
    assert_int_equal(stat(path, &st), -1); /* gone with the last */
}

static void test_live_unix_socket_of_another_is_refused(void **state)
{
    (void)state;
    char path[64], text[80];
    sx_error err;
    snprintf(path, sizeof(path), "/tmp/sx_listener_live_%d.sock", (int)getpid());
    snprintf(text, sizeof(text), "unix:%s", path);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    int live = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(live, (struct sockaddr *)&un, sizeof(un)), 0);
    assert_int_equal(listen(live, 1), 0);
    http_fixture f;
    http_fixture_open(&f, NULL);
    sx_listen_options listen = {.address = sx_str_z(text)};
    assert_int_equal(sx_http_server_listen(f.server, &listen, NULL, &err), SX_EEXIST);
    assert_non_null(strstr(err.message, "another program"));
    close(live);
    unlink(path);
    http_fixture_close(&f);
}

static void test_inherited_socket_is_served(void **state)
{
    (void)state;
    http_fixture f;
    http_fixture_open(&f, NULL);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in = {.sin_family = AF_INET};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    sx_listen_options listen_options = {.inherited_fd = fd};
    sx_error err;
    assert_int_equal(sx_http_server_listen(f.server, &listen_options, NULL, &err), SX_EINVAL);
    assert_int_equal(listen(fd, 1), 0);
    http_fixture_listen(&f, &listen_options);
    int c = http_fixture_connect(&f);
    http_fixture_say(&f, c, GET("/i"));
    assert_non_null(strstr(http_fixture_read(&f, c, NULL), "/i"));
    close(c);
    http_fixture_close(&f);
}

/* ---- PROXY ---- */

#define V2 "\r\n\r\n\0\r\nQUIT\n"

static const struct {
    const char *bytes;
    size_t len;
    const char *address; /* NULL: refused; "" unchanged */
    uint16_t port;
} HEADERS[] = {
#define H(text) text, sizeof(text) - 1
    {H("PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n"), "192.0.2.1", 1234},
    {H("PROXY TCP6 2001:DB8::1 ::2 65535 0\r\n"), "2001:db8::1", 65535},
    {H("PROXY UNKNOWN\r\n"), "", 0},
    {H("PROXY UNKNOWN a b c d\r\n"), "", 0},
    {H(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x04\xd2\0\x50"), "192.0.2.1", 1234},
    {H(V2 "\x21\x11\0\x10\xc0\0\2\1\xc0\0\2\2\x04\xd2\0\x50\x04\0\1x"), "192.0.2.1", 1234},
    {H(V2 "\x20\x00\0\0"), "", 0},
    {H(V2 "\x21\x31\0\0"), "", 0},
    {H("PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n"), NULL, 0},
    {H("PROXY TCP4 192.0.2.1 192.0.2.2 1234 80 \r\n"), NULL, 0},
    {H("PROXY TCP4 192.0.2.1  192.0.2.2 1234 80\r\n"), NULL, 0},
    {H("PROXY TCP4 192.0.2.1 192.0.2.2 01234 80\r\n"), NULL, 0},
    {H("PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\n"), NULL, 0},
    {H("PROXY TCP4 ::1 ::1 1 1\r\n"), NULL, 0},
    {H("PROXY TCP4 192.0.2.256 192.0.2.2 1234 80\r\n"), NULL, 0},
    {H("PROXY TCP5 192.0.2.1 192.0.2.2 1234 80\r\n"), NULL, 0},
    {H("PROXY \r\n"), NULL, 0},
    {H("GET / HTTP/1.1\r\n"), NULL, 0},
    {H(V2 "\x31\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x04\xd2\0\x50"), NULL, 0},
    {H(V2 "\x22\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x04\xd2\0\x50"), NULL, 0},
    {H(V2 "\x21\x11\0\x0b\xc0\0\2\1\xc0\0\2\2\x04\xd2\0"), NULL, 0},
    {H(V2 "\x21\x41\0\0"), NULL, 0},
    {H(V2 "\x21\x11\xff\xff"), NULL, 0},
#undef H
};

static void test_proxy_headers_get_their_answer_at_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(HEADERS); i++) {
        sx_str in = sx_str_of(HEADERS[i].bytes, HEADERS[i].len);
        sx_peer peer = {0};
        sx_error err = {0};
        size_t bytes = 0;
        sx_status rc = sx_proxy_parse(in, &peer, &bytes, &err);
        if (HEADERS[i].address) {
            if (rc != SX_OK)
                fail_msg("header %zu: %s", i, err.message);
            assert_int_equal(bytes, in.len);
            assert_string_equal(peer.address, HEADERS[i].address);
            assert_int_equal(peer.port, HEADERS[i].port);
            for (size_t n = 0; n < in.len; n++)
                assert_int_equal(sx_proxy_parse(sx_str_first(in, n), &peer, &bytes, &err),
                                 SX_AGAIN);
        } else {
            if (rc != SX_EFORMAT)
                fail_msg("header %zu: rc %d", i, rc);
        }
    }
}

static void test_proxied_client_is_seen_through_its_header(void **state)
{
    (void)state;
    http_fixture f;
    http_fixture_open(&f, NULL);
    sx_listen_options listen = {.address = SX_STR("127.0.0.1:0"), .proxy_protocol = true};
    http_fixture_listen(&f, &listen);
    static const char TEXT[] = "PROXY TCP4 192.0.2.7 192.0.2.2 1234 80\r\n" GET("/p");
    for (size_t cut = 0; cut < sizeof(TEXT) - 1; cut += 5) {
        int fd = http_fixture_connect(&f);
        http_fixture_send(&f, fd, TEXT, cut);
        http_fixture_send(&f, fd, TEXT + cut, sizeof(TEXT) - 1 - cut);
        assert_non_null(strstr(http_fixture_read(&f, fd, NULL), "/p"));
        assert_string_equal(f.peer_address, "192.0.2.7");
        close(fd);
    }
    int handled = f.handled, closed;
    int fd = http_fixture_connect(&f);
    http_fixture_say(&f, fd, GET("/"));
    http_fixture_read(&f, fd, &closed);
    assert_int_not_equal(closed, 0);
    assert_int_equal(f.handled, handled);
    close(fd);
    fd = http_fixture_connect(&f); /* and one that never says who it is */
    http_fixture_say(&f, fd, "PROXY ");
    http_fixture_wait(&f, 10000);
    http_fixture_read(&f, fd, &closed);
    assert_int_not_equal(closed, 0);
    close(fd);
    http_fixture_settle(&f);
    assert_int_equal(sx_http_server_counts(f.server)->connections_open, 0);
    http_fixture_close(&f);
}

/* ---- trouble ---- */

static void count_drained(sx_http_server *server, void *ctx)
{
    (void)server;
    ((http_fixture *)ctx)->drained++;
}

static void test_drain_serves_the_whole_queue(void **state)
{
    (void)state;
    http_fixture f;
    http_fixture_open(&f, NULL);
    const char *port = strrchr(f.bound.text, ':') + 1;
    uint64_t number;
    assert_true(sx_str_to_u64(sx_str_z(port), &number));
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fds[100];
    for (int i = 0; i < 100; i++) { /* in the queue, with their requests sent, before any turn */
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&in, sizeof(in)), 0);
        assert_int_equal(send(fds[i], GET("/q"), sizeof(GET("/q")) - 1, 0), sizeof(GET("/q")) - 1);
    }
    sx_http_server_drain(f.server, 5000, count_drained, &f);
    http_fixture_settle(&f);
    for (int i = 0; i < 100; i++) {
        int closed;
        const char *got = http_fixture_read(&f, fds[i], &closed);
        assert_non_null(strstr(got, "Connection: close\r\n\r\n/q"));
        assert_int_equal(closed, 1);
        close(fds[i]);
    }
    assert_int_equal(f.drained, 1);
    http_fixture_close(&f);
}

static void test_running_out_of_descriptors_is_survived(void **state)
{
    (void)state;
    http_fixture f;
    http_fixture_open(&f, NULL);
    int client = socket(AF_INET, SOCK_STREAM, 0), second = socket(AF_INET, SOCK_STREAM, 0);
    uint64_t number;
    assert_true(sx_str_to_u64(sx_str_z(strrchr(f.bound.text, ':') + 1), &number));
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    int next = dup(0);
    close(next);
    none = before;
    none.rlim_cur = (rlim_t)next;
    setrlimit(RLIMIT_NOFILE, &none);
    assert_int_equal(connect(client, (struct sockaddr *)&in, sizeof(in)), 0);
    http_fixture_settle(&f);
    setrlimit(RLIMIT_NOFILE, &before);
    int closed;
    http_fixture_read(&f, client, &closed);
    assert_int_not_equal(closed, 0); /* told at once, not left waiting */
    assert_true(sx_http_server_counts(f.server)->connections_refused > 0);
    assert_int_equal(connect(second, (struct sockaddr *)&in, sizeof(in)), 0);
    http_fixture_say(&f, second, GET("/again"));
    assert_non_null(strstr(http_fixture_read(&f, second, NULL), "/again"));
    close(client);
    close(second);
    http_fixture_close(&f);
}

/* ---- several loops, each with its thread ---- */

typedef struct running {
    sx_loop *loop;
    sx_http_server *server;
    pthread_t thread;
    uint64_t requests;
} running;

static void say_hello(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r, 200, SX_STR("text/plain"), SX_STR("hello"));
}

static void after_drain(sx_http_server *server, void *ctx)
{
    running *run = ctx;
    run->requests = sx_http_server_counts(server)->requests;
    sx_loop_stop(run->loop);
}

static void start_drain(sx_loop *loop, void *arg)
{
    (void)loop;
    running *run = arg;
    sx_http_server_drain(run->server, 2000, after_drain, run);
}

static void *run_loop(void *arg)
{
    running *run = arg;
    sx_loop_run(run->loop);
    sx_http_server_free(run->server);
    sx_loop_free(run->loop);
    return NULL;
}

static void test_loops_serve_on_their_own_threads(void **state)
{
    (void)state;
    enum { LOOPS = 3, CLIENTS = 60 };
    running runs[LOOPS] = {0};
    sx_bound bound = {"127.0.0.1:0"};
    sx_error err;
    sx_http_server_options options = {.handler = say_hello};
    for (unsigned i = 0; i < LOOPS; i++) {
        sx_bound next;
        assert_int_equal(sx_loop_new(NULL, i, &runs[i].loop, &err), SX_OK);
        options.ctx = &runs[i];
        assert_int_equal(sx_http_server_new(runs[i].loop, &options, &runs[i].server, &err), SX_OK);
        sx_listen_options listen = {.address = sx_str_z(bound.text)};
        assert_int_equal(sx_http_server_listen(runs[i].server, &listen, &next, &err), SX_OK);
        bound = next;
    }
    for (unsigned i = 0; i < LOOPS; i++)
        assert_int_equal(pthread_create(&runs[i].thread, NULL, run_loop, &runs[i]), 0);
    uint64_t port;
    assert_true(sx_str_to_u64(sx_str_z(strrchr(bound.text, ':') + 1), &port));
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < CLIENTS; i++) {
        char text[1024];
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
        assert_true(send(fd, GET("/"), sizeof(GET("/")) - 1, 0) > 0);
        assert_true(recv(fd, text, sizeof(text), 0) > 0); /* blocks until it is there */
        close(fd);
    }
    uint64_t total = 0;
    for (unsigned i = 0; i < LOOPS; i++)
        assert_int_equal(sx_loop_post(runs[i].loop, start_drain, &runs[i], &err), SX_OK);
    for (unsigned i = 0; i < LOOPS; i++) {
        pthread_join(runs[i].thread, NULL);
        total += runs[i].requests;
    }
    assert_int_equal(total, CLIENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_read_back_as_printed),
        cmocka_unit_test(test_port_of_another_program_is_refused),
        cmocka_unit_test(test_loops_of_one_process_share_a_port),
        cmocka_unit_test(test_unix_sockets_replace_only_dead_ones),
        cmocka_unit_test(test_live_unix_socket_of_another_is_refused),
        cmocka_unit_test(test_inherited_socket_is_served),
        cmocka_unit_test(test_proxy_headers_get_their_answer_at_every_cut),
        cmocka_unit_test(test_proxied_client_is_seen_through_its_header),
        cmocka_unit_test(test_drain_serves_the_whole_queue),
        cmocka_unit_test(test_running_out_of_descriptors_is_survived),
        cmocka_unit_test(test_loops_serve_on_their_own_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

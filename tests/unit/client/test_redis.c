/* test_redis.c - the Redis client against a peer that the test answers for: real sockets, a fake clock. */
#include "tests/unit/base/cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sextant/redis.h>

#include "lib/base/fault.h"
#include "tests/unit/client/kit_fixture.h"

typedef struct fixture {
    sx_fake_clock clock;
    sx_loop *loop;
    kit_fixture kit;
    sx_redis *redis;
    int listening, fd;
    char url[64];
    char log[4096]; /* what callbacks were told */
    sx_redis *free_in_callback;
} fixture;

static void turn(fixture *f)
{
    for (int i = 0; i < 20; i++)
        sx_loop_turn(f->loop);
}

static void pass(fixture *f, int64_t ms)
{
    sx_fake_clock_advance(&f->clock, ms);
    turn(f);
}

static void note(fixture *f, const char *text)
{
    size_t used = strlen(f->log);
    snprintf(f->log + used, sizeof(f->log) - used, "%s;", text);
}

static void on_reply(void *ctx, sx_status status, const sx_redis_reply *reply, const sx_error *err)
{
    fixture *f = ctx;
    char text[128];
    if (status == SX_OK)
        snprintf(text, sizeof(text), "%.*s", SX_ARG(reply->str));
    else
        snprintf(text, sizeof(text), "%s", sx_status_name(status));
    note(f, text);
    assert_true(status == SX_OK || err->message[0]);
    if (f->free_in_callback)
        sx_redis_free(f->free_in_callback);
    f->free_in_callback = NULL;
}

static void listen_on(fixture *f)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t bytes = sizeof(in);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listening, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(f->listening, 8), 0);
    assert_int_equal(getsockname(f->listening, (struct sockaddr *)&in, &bytes), 0);
    snprintf(f->url, sizeof(f->url), "redis://:pw@127.0.0.1:%u/3", ntohs(in.sin_port));
    f->fd = -1;
}

static void accept_one(fixture *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    for (int i = 0; i < 5000 && f->fd < 0; i++) {
        sx_loop_turn(f->loop);
        f->fd = accept4(f->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    assert_true(f->fd >= 0);
    int on = 1;
    setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* no waiting for an ACK */
}

static void say(fixture *f, const char *text)
{
    assert_int_equal(send(f->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    turn(f);
}

/* What has come from the client, with CRLF as spaces. */
static const char *heard(fixture *f)
{
    static char text[4096];
    turn(f);
    ssize_t n = recv(f->fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    for (char *c = text; *c; c++)
        *c = *c == '\r' ? ' ' : *c == '\n' ? ' ' : *c;
    return text;
}

static void greet(fixture *f)
{
    accept_one(f);
    assert_non_null(strstr(heard(f), "AUTH"));
    say(f, "+OK\r\n+OK\r\n+PONG\r\n");
    assert_true(sx_redis_is_connected(f->redis));
}

static void open_fixture(fixture *f, const sx_redis_options *given)
{
    sx_error err;
    sx_redis_options options = given ? *given : (sx_redis_options){0};
    memset(f, 0, sizeof(*f));
    sx_fake_clock_init(&f->clock, 1700000000000);
    assert_int_equal(sx_loop_new(&f->clock.clock, 0, &f->loop, &err), SX_OK);
    kit_fixture_open(&f->kit, &f->clock.clock);
    listen_on(f);
    options.url = f->url;
    assert_int_equal(sx_redis_new(f->loop, &f->kit.kit, &options, &f->redis, &err), SX_OK);
}

static void close_fixture(fixture *f)
{
    sx_redis_free(f->redis);
    turn(f);
    if (f->fd >= 0)
        close(f->fd);
    close(f->listening);
    sx_loop_free(f->loop);
    kit_fixture_close(&f->kit);
}

static sx_status get(fixture *f, const char *key, sx_error *err)
{
    return sx_redis_get(f->redis, sx_str_z(key), on_reply, f, NULL, err);
}

static void test_commands_wait_for_the_greeting_and_go_in_one_write(void **state)
{
    fixture f;
    sx_error err;
    (void)state;
    open_fixture(&f, NULL);
    assert_int_equal(get(&f, "a", &err), SX_OK);
    assert_int_equal(get(&f, "b", &err), SX_OK);
    accept_one(&f);
    assert_string_equal(heard(&f), "*2  $4  AUTH  $2  pw  *2  $6  SELECT  $1  3  *1  $4  PING  ");
    say(&f, "+OK\r\n+OK\r\n+PO");
    assert_false(sx_redis_is_connected(f.redis));
    say(&f, "NG\r\n");
    assert_string_equal(heard(&f), "*2  $3  GET  $1  a  *2  $3  GET  $1  b  ");
    say(&f, "$1\r\n1\r\n$1\r\n2\r\n");
    assert_string_equal(f.log, "1;2;");
    assert_non_null(strstr(capture_read(&f.kit.spans), "GET kind=3 {db.system.name='redis' "
                                                       "db.operation.name='GET' "
                                                       "server.address='127.0.0.1'"));
    assert_true(kit_fixture_shows(
        &f.kit, "redis_client_commands_total{target=\"redis\",command=\"GET\",outcome=\"ok\"} 2"));
    assert_int_equal(kit_fixture_well(&f.kit, "redis"), 1);
    close_fixture(&f);
}

static void test_a_break_fails_what_was_sent_and_keeps_what_was_not(void **state)
{
    fixture f;
    sx_error err;
    (void)state;
    open_fixture(&f, NULL);
    greet(&f);
    pass(&f, 1500); /* up for long enough to be trusted */
    assert_int_equal(get(&f, "sent", &err), SX_OK);
    assert_string_equal(heard(&f), "*2  $3  GET  $4  sent  ");
    close(f.fd);
    f.fd = -1;
    turn(&f);
    assert_string_equal(f.log, "closed;");
    assert_int_equal(get(&f, "later", &err), SX_OK); /* it is being connected anew, at once */
    greet(&f);
    assert_string_equal(heard(&f), "*2  $3  GET  $5  later  ");
    say(&f, "$-1\r\n");
    assert_string_equal(f.log, "closed;;");
    close_fixture(&f);
}

static void test_nobody_there_fails_at_once_and_pauses_grow(void **state)
{
    fixture f;
    sx_error err;
    (void)state;
    open_fixture(&f, &(sx_redis_options){.client = {.breaker_off = true}});
    close(f.listening);
    f.listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(get(&f, "a", &err), SX_OK); /* the first try runs */
    for (int i = 0; i < 1000 && !f.log[0]; i++)
        sx_loop_turn(f.loop);
    assert_string_equal(f.log, "closed;");
    assert_int_equal(get(&f, "b", &err), SX_ECLOSED);
    assert_non_null(strstr(err.message, "no Redis at 127.0.0.1 port"));
    uint64_t failures = sx_redis_counts_of(f.redis).connect_failures;
    pass(&f, 50);
    for (int i = 0; i < 100; i++)
        turn(&f);
    assert_int_equal(sx_redis_counts_of(f.redis).connect_failures, failures + 1);
    for (int i = 0; i < 40; i++)
        pass(&f, 5000);
    assert_true(sx_redis_counts_of(f.redis).connect_failures < failures + 60);
    close_fixture(&f);
}

static void test_a_silent_server_is_given_up(void **state)
{
    fixture f;
    sx_error err;
    (void)state;
    open_fixture(&f, NULL);
    greet(&f);
    pass(&f, 1500);
    sx_redis_call *call;
    const sx_str words[] = {SX_STR("GET"), SX_STR("quick")};
    assert_int_equal(
        sx_redis_send(f.redis, &(sx_redis_command){words, 2, 100}, on_reply, &f, &call, &err),
        SX_OK);
    assert_int_equal(get(&f, "slow", &err), SX_OK);
    pass(&f, 100);
    assert_string_equal(f.log, "timed out;");
    assert_true(sx_redis_is_connected(f.redis)); /* one late answer is no dead server */
    say(&f, "$1\r\n1\r\n$1\r\n2\r\n");           /* the ghost's answer is nobody's */
    assert_string_equal(f.log, "timed out;2;");
    assert_int_equal(get(&f, "lost", &err), SX_OK);
    turn(&f);
    pass(&f, 1001);
    assert_string_equal(f.log, "timed out;2;timed out;");
    assert_false(sx_redis_is_connected(f.redis));
    assert_int_equal(sx_redis_counts_of(f.redis).disconnects, 1);
    close_fixture(&f);
}

static void test_a_master_that_became_a_replica_is_left(void **state)
{
    fixture f;
    sx_error err;
    (void)state;
    open_fixture(&f, NULL);
    greet(&f);
    pass(&f, 1500);
    assert_int_equal(sx_redis_set(f.redis, SX_STR("k"), SX_STR("v"), 9, on_reply, &f, NULL, &err),
                     SX_OK);
    assert_string_equal(heard(&f), "*5  $3  SET  $1  k  $1  v  $2  PX  $1  9  ");
    say(&f, "-READONLY You can't write against a read only replica.\r\n");
    assert_string_equal(f.log, "");
    greet(&f);
    assert_string_equal(heard(&f), "*5  $3  SET  $1  k  $1  v  $2  PX  $1  9  ");
    say(&f, "+OK\r\n");
    assert_string_equal(f.log, "OK;");
    close_fixture(&f);
}

static void test_a_script_is_loaded_when_it_is_unknown(void **state)
{
    fixture f;
    sx_error err;
    sx_redis_script script;
    const sx_str key = SX_STR("k");
    (void)state;
    open_fixture(&f, NULL);
    greet(&f);
    sx_redis_script_init(&script, SX_STR("return 1"));
    assert_string_equal(script.sha1, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    assert_int_equal(sx_redis_eval(f.redis, &script, &key, 1, 1, on_reply, &f, NULL, &err), SX_OK);
    assert_non_null(strstr(heard(&f), "EVALSHA"));
    say(&f, "-NOSCRIPT No matching script.\r\n");
    const char *text = heard(&f);
    assert_non_null(strstr(text, "SCRIPT  $4  LOAD  $8  return 1"));
    assert_non_null(strstr(text, "EVALSHA"));
    say(&f, "$40\r\ne0e1f9fabfc9d4800c877a703b823ac0578ff8db\r\n+done\r\n");
    assert_string_equal(f.log, "done;");
    close_fixture(&f);
}

static void test_limits_and_refusals(void **state)
{
    fixture f;
    sx_error err;
    (void)state;
    open_fixture(&f, &(sx_redis_options){.commands_max = 2, .reply_bytes_max = 1000});
    assert_int_equal(get(&f, "a", &err), SX_OK);
    assert_int_equal(get(&f, "b", &err), SX_OK);
    assert_int_equal(get(&f, "c", &err), SX_REFUSED);
    const sx_str multi = SX_STR("MULTI");
    assert_int_equal(
        sx_redis_send(f.redis, &(sx_redis_command){&multi, 1, 0}, on_reply, &f, NULL, &err),
        SX_EUNSUPPORTED);
    assert_int_equal(
        sx_redis_send(f.redis, &(sx_redis_command){NULL, 0, 0}, on_reply, &f, NULL, &err),
        SX_EINVAL);
    greet(&f);
    say(&f, "$5000\r\n");
    char big[1200];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    say(&f, big);
    assert_string_equal(f.log, "closed;closed;");
    close_fixture(&f);
}

static void test_garbage_and_wrong_passwords_end_the_try(void **state)
{
    fixture f;
    sx_error err;
    (void)state;
    open_fixture(&f, NULL);
    assert_int_equal(get(&f, "a", &err), SX_OK);
    accept_one(&f);
    say(&f, "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    assert_string_equal(f.log, "not allowed;");
    assert_int_equal(get(&f, "b", &err), SX_EACCESS);
    assert_non_null(strstr(err.message, "WRONGPASS"));
    pass(&f, 5000);
    accept_one(&f);
    say(&f, "HTTP/1.1 400 Bad Request\r\n");
    assert_int_equal(get(&f, "c", &err), SX_ECLOSED);
    assert_non_null(strstr(err.message, "no Redis protocol"));
    assert_int_equal(kit_fixture_well(&f.kit, "redis"), 0);
    close_fixture(&f);
}

static void test_a_callback_may_free_the_client(void **state)
{
    fixture f;
    sx_error err;
    (void)state;
    open_fixture(&f, NULL);
    greet(&f);
    for (int i = 0; i < 3; i++)
        assert_int_equal(get(&f, "a", &err), SX_OK);
    turn(&f);
    f.free_in_callback = f.redis;
    say(&f, "+x\r\n+y\r\n");
    assert_string_equal(f.log, "x;canceled;canceled;");
    f.redis = NULL;
    close_fixture(&f);
}

static void test_idle_servers_are_asked_how_they_are(void **state)
{
    fixture f;
    (void)state;
    open_fixture(&f, NULL);
    greet(&f);
    pass(&f, 10000);
    assert_string_equal(heard(&f), "*1  $4  PING  ");
    say(&f, "+PONG\r\n");
    assert_int_equal(kit_fixture_well(&f.kit, "redis"), 1);
    pass(&f, 10000);
    assert_string_equal(heard(&f), "*1  $4  PING  ");
    pass(&f, 1000);
    assert_int_equal(kit_fixture_well(&f.kit, "redis"), 0);
    close_fixture(&f);
}

static void test_without_memory_a_command_fails_whole(void **state)
{
    fixture f;
    (void)state;
    open_fixture(&f, NULL);
    greet(&f);
    for (int64_t nth = 1;; nth++) {
        sx_error err;
        f.log[0] = '\0';
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = get(&f, "a", &err);
        bool is_last = sx_fault_alloc_calls() < nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(st == SX_OK || st == SX_ENOMEM);
        if (st == SX_OK) {
            heard(&f);
            say(&f, "+x\r\n");
            assert_string_equal(f.log, "x;");
        }
        if (is_last)
            break;
    }
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_wait_for_the_greeting_and_go_in_one_write),
        cmocka_unit_test(test_a_break_fails_what_was_sent_and_keeps_what_was_not),
        cmocka_unit_test(test_nobody_there_fails_at_once_and_pauses_grow),
        cmocka_unit_test(test_a_silent_server_is_given_up),
        cmocka_unit_test(test_a_master_that_became_a_replica_is_left),
        cmocka_unit_test(test_a_script_is_loaded_when_it_is_unknown),
        cmocka_unit_test(test_limits_and_refusals),
        cmocka_unit_test(test_garbage_and_wrong_passwords_end_the_try),
        cmocka_unit_test(test_a_callback_may_free_the_client),
        cmocka_unit_test(test_idle_servers_are_asked_how_they_are),
        cmocka_unit_test(test_without_memory_a_command_fails_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_postgres.c - PostgreSQL pools without a server: what errors mean, servers that are not there,
 * are silent or talk nonsense. With real servers: tests/e2e/test_clients.py. */
#include "tests/unit/base/cmocka_all.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/pg_internal.h"
#include "lib/base/fault.h"
#include "tests/unit/client/kit_fixture.h"

typedef struct fixture {
    sx_loop *loop;
    kit_fixture kit;
    int listening, fd;
    char conninfo[128];
    sx_pg *pg;
    int told;
    sx_status result;
    sx_error err;
    sx_pg *free_in_callback;
} fixture;

static void open_fixture(fixture *f)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t bytes = sizeof(in);
    sx_error err;
    memset(f, 0, sizeof(*f));
    f->fd = -1;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listening, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(f->listening, 8), 0);
    assert_int_equal(getsockname(f->listening, (struct sockaddr *)&in, &bytes), 0);
    snprintf(f->conninfo, sizeof(f->conninfo), "host=localhost port=%u user=u sslmode=disable",
             ntohs(in.sin_port));
    assert_int_equal(sx_loop_new(NULL, 0, &f->loop, &err), SX_OK);
    kit_fixture_open(&f->kit, sx_clock_system());
}

static void close_fixture(fixture *f)
{
    sx_pg_free(f->pg);
    for (int i = 0; i < 5; i++)
        sx_loop_turn(f->loop);
    if (f->fd >= 0)
        close(f->fd);
    close(f->listening);
    sx_loop_free(f->loop);
    kit_fixture_close(&f->kit);
}

static void make_pool(fixture *f, const sx_pg_options *given)
{
    sx_error err;
    sx_pg_options options = *given;
    options.conninfo = f->conninfo;
    assert_int_equal(sx_pg_new(f->loop, &f->kit.kit, &options, &f->pg, &err), SX_OK);
}

static void on_done(void *ctx, sx_status status, const sx_pg_result *result, const sx_error *err)
{
    fixture *f = ctx;
    (void)result;
    f->told++;
    f->result = status;
    f->err = *err;
    if (f->free_in_callback)
        sx_pg_free(f->free_in_callback);
    f->free_in_callback = NULL;
}

static sx_status query(fixture *f, uint32_t ms, sx_pg_call **out, sx_error *err)
{
    return sx_pg_query(f->pg, &(sx_pg_statement){.sql = SX_STR("SELECT 1"), .ms_max = ms}, on_done,
                       f, out, err);
}

static void until_told(fixture *f, int times)
{
    for (int i = 0; i < 5000 && f->told < times; i++) {
        sx_loop_turn(f->loop);
        poll(NULL, 0, 1);
    }
    assert_int_equal(f->told, times);
}

static void test_states_have_meanings(void **state)
{
    (void)state;
    assert_int_equal(pg_sqlstate_meaning("23505").status, SX_EEXIST);
    assert_int_equal(pg_sqlstate_meaning("23503").status, SX_EINVAL);
    assert_int_equal(pg_sqlstate_meaning("40001").status, SX_AGAIN);
    assert_int_equal(pg_sqlstate_meaning("57014").status, SX_ETIMEOUT);
    assert_true(pg_sqlstate_meaning("57P01").is_fatal);
    assert_true(pg_sqlstate_meaning("25006").is_fatal);
    assert_int_equal(pg_sqlstate_meaning("53300").outcome, CLIENT_UNAVAILABLE);
    assert_int_equal(pg_sqlstate_meaning("").status, SX_EINVAL);
}

static void test_a_wrong_conninfo_is_refused(void **state)
{
    fixture f;
    sx_error err;
    (void)state;
    open_fixture(&f);
    assert_int_equal(sx_pg_new(f.loop, NULL, &(sx_pg_options){.conninfo = "hots=x"}, &f.pg, &err),
                     SX_EFORMAT);
    assert_non_null(strstr(err.message, "hots"));
    f.pg = NULL;
    close_fixture(&f);
}

static void test_nobody_there_fails_at_once_after_the_first_try(void **state)
{
    fixture f;
    sx_error err;
    (void)state;
    open_fixture(&f);
    close(f.listening);
    f.listening = socket(AF_INET, SOCK_STREAM, 0);
    make_pool(&f, &(sx_pg_options){.retry_ms_min = 60000, .retry_ms_max = 60000});
    assert_int_equal(query(&f, 0, NULL, &err), SX_OK);
    until_told(&f, 1);
    assert_int_equal(f.result, SX_ECLOSED);
    assert_int_equal(query(&f, 0, NULL, &err), SX_ECLOSED);
    assert_non_null(strstr(err.message, "refused"));
    assert_int_equal(kit_fixture_well(&f.kit, "postgresql"), 0);
    assert_true(kit_fixture_shows(&f.kit, "postgres_client_queries_total{target=\"postgresql\","
                                          "operation=\"SELECT\",outcome=\"unavailable\"} 2"));
    close_fixture(&f);
}

static void test_a_silent_server_times_out(void **state)
{
    fixture f;
    sx_error err;
    sx_pg_call *call;
    (void)state;
    open_fixture(&f);
    make_pool(&f, &(sx_pg_options){.connect_ms_max = 150, .waiting_max = 2});
    assert_int_equal(query(&f, 30, NULL, &err), SX_OK);
    until_told(&f, 1); /* in line */
    assert_int_equal(f.result, SX_ETIMEOUT);
    assert_int_equal(query(&f, 0, &call, &err), SX_OK);
    assert_int_equal(query(&f, 0, NULL, &err), SX_OK);
    assert_int_equal(query(&f, 0, NULL, &err), SX_REFUSED);
    sx_pg_cancel(call);
    assert_int_equal(f.result, SX_ECANCELED);
    until_told(&f, 3); /* with the connection's own time-out */
    assert_int_equal(f.result, SX_ECLOSED);
    assert_non_null(strstr(f.err.message, "150 ms"));
    close_fixture(&f);
}

static void test_a_server_that_talks_nonsense_is_given_up(void **state)
{
    fixture f;
    sx_error err;
    static const char JUNK[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    (void)state;
    open_fixture(&f);
    make_pool(&f, &(sx_pg_options){.retry_ms_min = 60000, .retry_ms_max = 60000});
    assert_int_equal(query(&f, 0, NULL, &err), SX_OK);
    for (int i = 0; i < 2000 && f.fd < 0; i++) {
        sx_loop_turn(f.loop);
        f.fd = accept4(f.listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    assert_int_equal(send(f.fd, JUNK, sizeof(JUNK) - 1, MSG_NOSIGNAL), sizeof(JUNK) - 1);
    close(f.fd);
    f.fd = -1;
    f.free_in_callback = f.pg;
    until_told(&f, 1);
    assert_int_equal(f.result, SX_ECLOSED);
    f.pg = NULL;
    close_fixture(&f);
}

static void test_bad_statements_are_refused(void **state)
{
    fixture f;
    sx_error err;
    const sx_str param = SX_STR("a\0b");
    (void)state;
    open_fixture(&f);
    make_pool(&f, &(sx_pg_options){0});
    assert_int_equal(
        sx_pg_query(f.pg, &(sx_pg_statement){.sql = SX_STR("SELECT\0")}, on_done, &f, NULL, &err),
        SX_EINVAL);
    assert_int_equal(
        sx_pg_query(
            f.pg,
            &(sx_pg_statement){.sql = SX_STR("SELECT $1"), .params = &param, .param_count = 1},
            on_done, &f, NULL, &err),
        SX_EINVAL);
    assert_non_null(strstr(err.message, "parameter 1"));
    assert_int_equal(
        sx_pg_query(f.pg, &(sx_pg_statement){.sql = SX_STR("SELECT 1"), .param_count = 65536},
                    on_done, &f, NULL, &err),
        SX_EINVAL);
    close_fixture(&f);
    assert_int_equal(f.told, 0);
}

static void test_without_memory_a_pool_or_a_query_fails_whole(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        fixture f;
        sx_error err;
        open_fixture(&f);
        sx_pg_options options = {.conninfo = f.conninfo};
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = sx_pg_new(f.loop, NULL, &options, &f.pg, &err);
        if (st == SX_OK)
            st = query(&f, 0, NULL, &err);
        else
            f.pg = NULL;
        bool is_last = sx_fault_alloc_calls() < nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(st == SX_OK || st == SX_ENOMEM);
        close_fixture(&f);
        if (is_last)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states_have_meanings),
        cmocka_unit_test(test_a_wrong_conninfo_is_refused),
        cmocka_unit_test(test_nobody_there_fails_at_once_after_the_first_try),
        cmocka_unit_test(test_a_silent_server_times_out),
        cmocka_unit_test(test_a_server_that_talks_nonsense_is_given_up),
        cmocka_unit_test(test_bad_statements_are_refused),
        cmocka_unit_test(test_without_memory_a_pool_or_a_query_fails_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

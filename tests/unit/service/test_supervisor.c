/* test_supervisor.c - children are started, watched, restarted and stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/supervisor.h"

typedef struct seen {
    int ready, lines, restarts;
    int stop_after_restarts; /* raise SIGTERM once that many were seen */
    bool stop_when_ready;
    char addresses[64], line[64], why[64];
} seen;

static void on_line(void *ctx, const sx_child_def *child, sx_str line)
{
    (void)child;
    seen *s = ctx;
    s->lines++;
    snprintf(s->line, sizeof(s->line), "%.*s", SX_ARG(line));
}

static void on_ready(void *ctx, const sx_child_def *child, sx_str addresses)
{
    (void)child;
    seen *s = ctx;
    s->ready++;
    snprintf(s->addresses, sizeof(s->addresses), "%.*s", SX_ARG(addresses));
    if (s->stop_when_ready)
        kill(getpid(), SIGTERM);
}

static void on_restart(void *ctx, const sx_child_def *child, const char *why, int64_t wait_ms)
{
    (void)child;
    (void)wait_ms;
    seen *s = ctx;
    s->restarts++;
    snprintf(s->why, sizeof(s->why), "%s", why);
    if (s->stop_after_restarts && s->restarts >= s->stop_after_restarts)
        kill(getpid(), SIGTERM);
}

static sx_status supervise(const char *script, seen *s, sx_error *err)
{
    char *argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"}, strdup(script), NULL};
    sx_child_def child = {"sample", argv};
    sx_status status = sx_supervise(&(sx_supervisor_options){.children = &child,
                                                             .child_count = 1,
                                                             .restart_ms_least = 1,
                                                             .restart_ms_most = 4,
                                                             .stop_ms_max = 200,
                                                             .failures_max = 3,
                                                             .line = on_line,
                                                             .ready = on_ready,
                                                             .restarting = on_restart,
                                                             .ctx = s},
                                    err);
    free(argv[2]);
    return status;
}

static void test_ready_line_is_told_and_sigterm_stops_cleanly(void **state)
{
    (void)state;
    seen s = {.stop_when_ready = true};
    sx_error err = {0};
    assert_int_equal(
        supervise("trap 'exit 0' TERM; echo hello >&2; echo ready sample http=127.0.0.1:1 >&2; "
                  "while :; do sleep 0.01; done",
                  &s, &err),
        SX_OK);
    assert_int_equal(s.ready, 1);
    assert_string_equal(s.addresses, "http=127.0.0.1:1");
    assert_string_equal(s.line, "hello");
    assert_int_equal(s.restarts, 0);
}

static void test_a_child_that_dies_is_started_again(void **state)
{
    (void)state;
    seen s = {.stop_after_restarts = 5};
    sx_error err = {0};
    assert_int_equal(supervise("echo ready sample x=1 >&2; kill -9 $$", &s, &err), SX_OK);
    assert_int_equal(s.ready, 5);
    assert_non_null(strstr(s.why, "signal 9"));
}

static void test_a_child_that_never_gets_ready_is_given_up(void **state)
{
    (void)state;
    seen s = {0};
    sx_error err = {0};
    assert_int_equal(supervise("echo port is in use >&2; exit 1", &s, &err), SX_ELIMIT);
    assert_non_null(strstr(err.message, "sample ended 3 times"));
    assert_non_null(strstr(err.message, "port is in use"));
    assert_int_equal(s.restarts, 2);
}

static void test_a_child_that_ignores_sigterm_is_killed(void **state)
{
    (void)state;
    seen s = {.stop_when_ready = true};
    sx_error err = {0};
    assert_int_equal(
        supervise("trap '' TERM; echo ready sample x=1 >&2; while :; do :; done", &s, &err), SX_OK);
}

static void test_a_program_that_is_not_there_is_named(void **state)
{
    (void)state;
    char *argv[] = {(char[]){"/no/such/program"}, NULL};
    sx_child_def child = {"absent", argv};
    sx_error err = {0};
    sx_supervisor_options o = {
        .children = &child, .child_count = 1, .restart_ms_least = 1, .failures_max = 1};
    assert_int_equal(sx_supervise(&o, &err), SX_ELIMIT);
    assert_non_null(strstr(err.message, "absent"));
    assert_non_null(strstr(err.message, "127"));
}

static void test_an_endless_line_is_passed_on_in_pieces(void **state)
{
    (void)state;
    seen s = {.stop_when_ready = true};
    sx_error err = {0};
    assert_int_equal(supervise("head -c 20000 /dev/zero | tr '\\0' x >&2; echo >&2; "
                               "echo ready sample x=1 >&2; exec sleep 10",
                               &s, &err),
                     SX_OK);
    assert_int_equal(s.lines, 5);
}

static void test_the_wait_doubles_up_to_its_bound(void **state)
{
    (void)state;
    assert_int_equal(sx_restart_wait_ms(1, 250, 30000), 250);
    assert_int_equal(sx_restart_wait_ms(2, 250, 30000), 500);
    assert_int_equal(sx_restart_wait_ms(7, 250, 30000), 16000);
    assert_int_equal(sx_restart_wait_ms(8, 250, 30000), 30000);
    assert_int_equal(sx_restart_wait_ms(4000000000u, 250, 30000), 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready_line_is_told_and_sigterm_stops_cleanly),
        cmocka_unit_test(test_a_child_that_dies_is_started_again),
        cmocka_unit_test(test_a_child_that_never_gets_ready_is_given_up),
        cmocka_unit_test(test_a_child_that_ignores_sigterm_is_killed),
        cmocka_unit_test(test_a_program_that_is_not_there_is_named),
        cmocka_unit_test(test_an_endless_line_is_passed_on_in_pieces),
        cmocka_unit_test(test_the_wait_doubles_up_to_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

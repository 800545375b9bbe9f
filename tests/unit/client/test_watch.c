/* test_watch.c - readiness of descriptors that are not ours. */
#include "tests/unit/base/cmocka_all.h"

#include <sys/socket.h>
#include <unistd.h>

#include <sextant/watch.h>

typedef struct seen {
    int reads, writes;
    bool stops;
} seen;

static void on_ready(sx_watch *watch, void *ctx, unsigned events)
{
    seen *s = ctx;
    if (events & SX_WATCH_WRITE) {
        s->writes++;
        sx_watch_update(watch, SX_WATCH_READ);
    }
    if (events & SX_WATCH_READ)
        s->reads++;
    if (s->stops)
        sx_watch_stop(watch);
}

static void test_readiness_comes_as_asked(void **state)
{
    int pair[2];
    char byte = 'x';
    sx_loop *loop;
    sx_watch *watch;
    sx_error err;
    seen s = {0};
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(sx_loop_new(NULL, 0, &loop, &err), SX_OK);
    assert_int_equal(
        sx_watch_start(loop, pair[0], SX_WATCH_READ | SX_WATCH_WRITE, on_ready, &s, &watch, &err),
        SX_OK);
    for (int i = 0; i < 5; i++)
        sx_loop_turn(loop);
    assert_int_equal(s.writes, 1); /* updated to reading alone */
    assert_int_equal(s.reads, 0);
    assert_int_equal(write(pair[1], &byte, 1), 1);
    for (int i = 0; i < 100 && !s.reads; i++)
        sx_loop_turn(loop);
    assert_true(s.reads > 0);
    assert_int_equal(read(pair[0], &byte, 1), 1);
    sx_watch_update(watch, 0);
    s.reads = 0;
    assert_int_equal(write(pair[1], &byte, 1), 1);
    for (int i = 0; i < 5; i++)
        sx_loop_turn(loop);
    assert_int_equal(s.reads, 0);
    s.stops = true;
    sx_watch_update(watch, SX_WATCH_READ);
    close(pair[1]);
    for (int i = 0; i < 100 && !s.reads; i++)
        sx_loop_turn(loop);
    assert_int_equal(s.reads, 1); /* it stopped itself */
    close(pair[0]);
    assert_int_equal(sx_watch_start(loop, 9999, SX_WATCH_READ, on_ready, &s, &watch, &err), SX_EIO);
    sx_watch_stop(NULL);
    sx_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_readiness_comes_as_asked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

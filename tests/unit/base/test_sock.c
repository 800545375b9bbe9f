/* test_sock.c - socket calls with and without a fault plan, over a socket pair. */
#include "base/sock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "tests/unit/base/cmocka_all.h"

static int pair[2];

static int set_up(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
}

static int tear_down(void **state)
{
    (void)state;
    sx_fault_socket_set(NULL);
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static void test_bytes_pass(void **state)
{
    (void)state;
    char got[16];
    const struct iovec parts[] = {{(char *)(uintptr_t)"ab", 2}, {(char *)(uintptr_t)"cd", 2}};
    assert_int_equal(sx_sock_write(pair[0], "12", 2), 2);
    assert_int_equal(sx_sock_writev(pair[0], parts, 2), 4);
    assert_int_equal(sx_sock_read(pair[1], got, sizeof(got)), 6);
    assert_memory_equal(got, "12abcd", 6);
    assert_int_equal(sx_sock_read(pair[1], got, sizeof(got)), -1);
    assert_int_equal(errno, EAGAIN);
    shutdown(pair[1], SHUT_RDWR);
    assert_int_equal(sx_sock_read(pair[0], got, sizeof(got)), 0);
    assert_int_equal(sx_sock_write(pair[0], "x", 1), -1); /* and no SIGPIPE */
    assert_int_equal(errno, EPIPE);
}

static void test_a_plan_splits_and_delays(void **state)
{
    (void)state;
    char got[16];
    const sx_fault_socket plan = {
        .fd = -1, .split_bytes = 2, .again_every = 3, .reset_after_bytes = -1};
    sx_fault_socket_set(&plan);
    assert_int_equal(sx_sock_write(pair[0], "abcdef", 6), 2);
    assert_int_equal(sx_sock_read(pair[1], got, sizeof(got)), 2);
    assert_int_equal(sx_sock_write(pair[0], "cdef", 4), -1);
    assert_int_equal(errno, EAGAIN);
    const struct iovec parts[] = {{NULL, 0}, {(char *)(uintptr_t)"cde", 3}};
    assert_int_equal(sx_sock_writev(pair[0], parts, 2), 2);
}

static void test_a_plan_resets_after_so_many_bytes(void **state)
{
    (void)state;
    const sx_fault_socket plan = {.fd = pair[0], .reset_after_bytes = 3};
    char got[16];
    sx_fault_socket_set(&plan);
    assert_int_equal(sx_sock_write(pair[0], "abcdef", 6), 3);
    assert_int_equal(sx_sock_write(pair[0], "def", 3), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(sx_sock_read(pair[1], got, sizeof(got)), 3); /* the other socket is well */
    sx_fault_socket_set(NULL);
    assert_int_equal(sx_sock_write(pair[0], "def", 3), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes_pass, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_plan_splits_and_delays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_plan_resets_after_so_many_bytes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

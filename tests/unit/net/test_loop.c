/* Loops, pools, cores, UDP: calls arrive in order and on the right thread, nothing is lost. */
#include "tests/unit/base/cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "net/cores.h"
#include "net/udp.h"

static void count(sx_loop *loop, void *arg)
{
    (void)loop;
    ++*(int *)arg;
}

static void stop(sx_loop *loop, void *arg)
{
    (void)arg;
    sx_loop_stop(loop);
}

typedef struct poster {
    sx_loop *loop;
    int next, wrong, ran;
} poster;

typedef struct numbered {
    poster *to;
    int number;
} numbered;

static void in_order(sx_loop *loop, void *arg)
{
    (void)loop;
    numbered *n = arg;
    n->to->wrong += n->number != n->to->next++;
    free(n);
}

static void *post_many(void *arg)
{
    poster *p = arg;
    for (int i = 0; i < 10000; i++) {
        numbered *n = malloc(sizeof(*n));
        *n = (numbered){p, i};
        assert_int_equal(sx_loop_post(p->loop, in_order, n, NULL), SX_OK);
    }
    sx_loop_post(p->loop, stop, NULL, NULL);
    return NULL;
}

static void test_posts_of_a_thread_run_in_order(void **state)
{
    (void)state;
    poster p = {0};
    pthread_t thread;
    assert_int_equal(sx_loop_new(NULL, 3, &p.loop, NULL), SX_OK);
    assert_int_equal(sx_loop_index(p.loop), 3);
    pthread_create(&thread, NULL, post_many, &p);
    sx_loop_run(p.loop);
    pthread_join(thread, NULL);
    assert_int_equal(p.next, 10000);
    assert_int_equal(p.wrong, 0);
    sx_loop_free(p.loop);
}

static void test_what_was_posted_runs_at_the_latest_at_the_end(void **state)
{
    (void)state;
    sx_loop *loop;
    int ran = 0;
    assert_int_equal(sx_loop_new(NULL, 0, &loop, NULL), SX_OK);
    sx_loop_post(loop, count, &ran, NULL);
    sx_loop_post(loop, count, &ran, NULL);
    sx_loop_free(loop);
    assert_int_equal(ran, 2);
}

static void on_timer(sx_timer *timer, void *arg)
{
    (void)timer;
    ++*(int *)arg;
}

static void test_timers_follow_the_fake_clock(void **state)
{
    (void)state;
    sx_fake_clock clock;
    sx_loop *loop;
    int fired = 0, turns = 0;
    sx_fake_clock_init(&clock, 5000);
    assert_int_equal(sx_loop_new(&clock.clock, 0, &loop, NULL), SX_OK);
    for (int i = 0; i < 8; i++)
        assert_int_equal(sx_loop_on_turn_end(loop, count, &turns, NULL), SX_OK);
    assert_int_equal(sx_loop_on_turn_end(loop, count, &turns, NULL), SX_ELIMIT);
    assert_false(sx_loop_turn(loop));
    sx_timer timer = {.fn = on_timer, .arg = &fired};
    sx_timer_start(sx_loop_timers(loop), &timer, 100);
    assert_true(sx_loop_turn(loop));
    sx_fake_clock_advance(&clock, 99);
    sx_loop_turn(loop);
    assert_int_equal(fired, 0);
    sx_fake_clock_advance(&clock, 1);
    assert_false(sx_loop_turn(loop));
    assert_int_equal(fired, 1);
    assert_int_equal(sx_loop_wall_ns(loop), 5100000000);
    assert_true(turns >= 8);
    sx_loop_free(loop);
}

static void stop_by_timer(sx_timer *timer, void *arg)
{
    (void)timer;
    sx_loop_stop(arg);
}

static void test_timers_wake_a_running_loop(void **state)
{
    (void)state;
    sx_loop *loop;
    int fired = 0;
    assert_int_equal(sx_loop_new(NULL, 0, &loop, NULL), SX_OK);
    sx_timer late = {.fn = stop_by_timer, .arg = loop}, early = {.fn = on_timer, .arg = &fired};
    sx_timer_start(sx_loop_timers(loop), &late, 20);
    sx_timer_start(sx_loop_timers(loop), &early, 5);
    sx_loop_run(loop);
    assert_int_equal(fired, 1);
    sx_loop_free(loop);
}

/* A main loop that is not ours: it waits in poll(2) for our descriptor, as long as it is told. */
static void wait_and_turn(sx_loop *loop)
{
    struct pollfd from = {.fd = sx_loop_fd(loop), .events = POLLIN};
    poll(&from, 1, sx_loop_wait_ms(loop));
    sx_loop_turn(loop);
}

static void *post_from_afar(void *arg)
{
    poster *p = arg;
    sx_loop_post(p->loop, count, &p->ran, NULL);
    return NULL;
}

static void test_a_foreign_main_loop_waits_for_posts_and_timers(void **state)
{
    (void)state;
    poster p = {0};
    int fired = 0;
    pthread_t thread;
    sx_timer timer = {.fn = on_timer, .arg = &fired};
    assert_int_equal(sx_loop_new(NULL, 0, &p.loop, NULL), SX_OK);
    sx_loop_turn(p.loop);
    assert_int_equal(sx_loop_wait_ms(p.loop), -1);

    pthread_create(&thread, NULL, post_from_afar, &p);
    while (!p.ran)
        wait_and_turn(p.loop);
    pthread_join(thread, NULL);

    sx_timer_start(sx_loop_timers(p.loop), &timer, 3600000);
    assert_in_range(sx_loop_wait_ms(p.loop), 1, 3600000);
    sx_timer_start(sx_loop_timers(p.loop), &timer, 15);
    assert_in_range(sx_loop_wait_ms(p.loop), 0, 15);
    while (!fired)
        wait_and_turn(p.loop);
    sx_loop_free(p.loop);
}

/* ---- pool ---- */

typedef struct jobs {
    sx_loop *loop;
    _Atomic int worked;
    int done, wanted;
    pthread_t home;
    pthread_mutex_t gate;
} jobs;

static void work(void *arg)
{
    jobs *j = arg;
    pthread_mutex_lock(&j->gate);
    pthread_mutex_unlock(&j->gate);
    j->worked++;
}

static void done(sx_loop *loop, void *arg)
{
    jobs *j = arg;
    assert_true(pthread_equal(j->home, pthread_self()));
    if (++j->done == j->wanted)
        sx_loop_stop(loop);
}

static void test_pool_reports_back_and_is_bounded(void **state)
{
    (void)state;
    jobs j = {.home = pthread_self(), .gate = PTHREAD_MUTEX_INITIALIZER};
    sx_pool *pool;
    sx_error err;
    assert_int_equal(sx_loop_new(NULL, 0, &j.loop, NULL), SX_OK);
    sx_pool_options options = {.name = "test", .threads = 2, .queue_max = 4};
    assert_int_equal(sx_pool_new(&options, &pool, &err), SX_OK);
    pthread_mutex_lock(&j.gate); /* nobody gets on: the queue fills */
    while (sx_pool_submit(pool, j.loop, work, done, &j, &err) == SX_OK)
        assert_true(++j.wanted <= 6);
    assert_true(j.wanted >= 4);
    assert_int_equal(err.status, SX_REFUSED);
    assert_non_null(strstr(err.message, "test"));
    pthread_mutex_unlock(&j.gate);
    sx_loop_run(j.loop);
    assert_int_equal(j.worked, j.wanted);
    sx_pool_submit(pool, j.loop, work, done, &j, NULL);
    sx_pool_free(pool); /* finishes what was queued */
    assert_int_equal(j.worked, j.wanted + 1);
    sx_loop_free(j.loop);
    assert_int_equal(j.done, j.wanted + 1);
}

static void test_failed_allocations_leave_nothing_behind(void **state)
{
    (void)state;
    for (int64_t nth = 1; nth < 20; nth++) {
        sx_loop *loop;
        sx_pool *pool;
        int ran = 0;
        sx_error err;
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        if (sx_loop_new(NULL, 0, &loop, &err) == SX_OK) {
            sx_pool_options options = {.name = "t", .threads = 1};
            if (sx_pool_new(&options, &pool, &err) == SX_OK)
                sx_pool_free(pool);
            if (sx_loop_post(loop, count, &ran, &err) == SX_OK)
                ran--;
            sx_loop_free(loop);
            assert_int_equal(ran, 0);
        }
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
    }
}

/* ---- cores ---- */

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_cores_follow_the_tightest_quota(void **state)
{
    (void)state;
    char root[] = "/tmp/sx_cores_XXXXXX", path[64];
    assert_non_null(mkdtemp(root));
    static const char *const FOLDERS[] = {"a", "a/b", "cpu", "cpu/x"};
    for (size_t i = 0; i < SX_COUNT_OF(FOLDERS); i++) {
        snprintf(path, sizeof(path), "%s/%s", root, FOLDERS[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    snprintf(path, sizeof(path), "%s/proc", root);
    write_file(root, "proc", "0::/a/b\n");
    write_file(root, "a/b/cpu.max", "max 100000\n");
    assert_int_equal(sx_cores_of_cgroup(path, root), 0);
    write_file(root, "a/cpu.max", "250000 100000\n");
    assert_int_equal(sx_cores_of_cgroup(path, root), 3);
    write_file(root, "a/b/cpu.max", "50000 100000\n");
    assert_int_equal(sx_cores_of_cgroup(path, root), 1);
    write_file(root, "proc", "3:memory:/x\n4:cpu,cpuacct:/x\n");
    write_file(root, "cpu/x/cpu.cfs_quota_us", "-1\n");
    write_file(root, "cpu/x/cpu.cfs_period_us", "100000\n");
    assert_int_equal(sx_cores_of_cgroup(path, root), 0);
    write_file(root, "cpu/x/cpu.cfs_quota_us", "200000\n");
    assert_int_equal(sx_cores_of_cgroup(path, root), 2);
    write_file(root, "proc", "nonsense\n::\n");
    assert_int_equal(sx_cores_of_cgroup(path, root), 0);
    assert_true(sx_cores() >= 1);
    static const char *const GONE[] = {"a/b/cpu.max", "a/cpu.max", "proc", "cpu/x/cpu.cfs_quota_us",
                                       "cpu/x/cpu.cfs_period_us"};
    for (size_t i = 0; i < SX_COUNT_OF(GONE); i++) {
        snprintf(path, sizeof(path), "%s/%s", root, GONE[i]);
        unlink(path);
    }
    for (size_t i = SX_COUNT_OF(FOLDERS); i-- > 0;) {
        snprintf(path, sizeof(path), "%s/%s", root, FOLDERS[i]);
        rmdir(path);
    }
    rmdir(root);
}

/* ---- UDP ---- */

typedef struct heard {
    int datagrams, batches;
    size_t bytes;
    bool closes;
    uint16_t from_port;
} heard;

static void on_datagrams(sx_udp *udp, void *ctx, const sx_datagram *items, size_t n)
{
    heard *h = ctx;
    h->batches++;
    for (size_t i = 0; i < n; i++) {
        h->datagrams++;
        h->bytes += items[i].bytes.len;
        h->from_port = items[i].from.port;
        assert_string_equal(items[i].from.address, "127.0.0.1");
    }
    if (h->closes)
        sx_udp_close(udp);
}

static void test_datagrams_come_in_batches(void **state)
{
    (void)state;
    sx_loop *loop;
    sx_udp *udp, *other;
    sx_bound bound;
    sx_error err;
    heard h = {0};
    assert_int_equal(sx_loop_new(NULL, 0, &loop, NULL), SX_OK);
    sx_udp_options options = {.address = SX_STR("127.0.0.1:0"), .fn = on_datagrams, .ctx = &h};
    assert_int_equal(sx_udp_open(loop, &options, &udp, &bound, &err), SX_OK);
    uint64_t port;
    assert_true(sx_str_to_u64(sx_str_z(strrchr(bound.text, ':') + 1), &port));
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    static char big[60000];
    for (int i = 0; i < 40; i++)
        sendto(fd, "0123456789", 10, 0, (struct sockaddr *)&in, sizeof(in));
    sendto(fd, big, 0, 0, (struct sockaddr *)&in, sizeof(in));
    sendto(fd, big, sizeof(big), 0, (struct sockaddr *)&in, sizeof(in));
    sx_loop_turn(loop);
    assert_int_equal(h.datagrams, 42);
    assert_int_equal(h.bytes, 400 + sizeof(big));
    assert_true(h.batches <= 3);
    assert_int_equal(sx_udp_counts_of(udp).received, 42);
    h.closes = true;
    sendto(fd, "x", 1, 0, (struct sockaddr *)&in, sizeof(in));
    sx_loop_turn(loop);
    assert_int_equal(h.datagrams, 43);
    /* A port that another program has. */
    assert_int_equal(
        bind(fd, (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET}, sizeof(in)) == 0,
        false); /* sendto has bound it already */
    socklen_t bytes = sizeof(in);
    getsockname(fd, (struct sockaddr *)&in, &bytes);
    char text[32];
    snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(in.sin_port));
    options.address = sx_str_z(text);
    assert_int_equal(sx_udp_open(loop, &options, &other, NULL, &err), SX_EEXIST);
    options.address = SX_STR("unix:/tmp/x");
    assert_int_equal(sx_udp_open(loop, &options, &other, NULL, &err), SX_EINVAL);
    close(fd);
    sx_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posts_of_a_thread_run_in_order),
        cmocka_unit_test(test_what_was_posted_runs_at_the_latest_at_the_end),
        cmocka_unit_test(test_timers_follow_the_fake_clock),
        cmocka_unit_test(test_timers_wake_a_running_loop),
        cmocka_unit_test(test_a_foreign_main_loop_waits_for_posts_and_timers),
        cmocka_unit_test(test_pool_reports_back_and_is_bounded),
        cmocka_unit_test(test_failed_allocations_leave_nothing_behind),
        cmocka_unit_test(test_cores_follow_the_tightest_quota),
        cmocka_unit_test(test_datagrams_come_in_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

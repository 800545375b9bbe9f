/* test_otlp_thread.c - the exporter as programs have it, with its thread: starting, flushing, ending, and
 * receivers that are not there. */
#include "tests/unit/base/cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "telemetry/otlp_sink.h"

static void test_starting_survives_every_failed_allocation(void **state)
{
    (void)state;
    sx_metrics *m;
    assert_int_equal(sx_metrics_new(NULL, &m, NULL), SX_OK);
    sx_otlp_options options = {.metrics = m, .resource = SX_STR("a=b,c=d")};
    for (int i = 0; i < SX_OTLP_SIGNALS; i++)
        options.targets[i] = (sx_otlp_target){.endpoint = SX_STR("http://127.0.0.1:1/"),
                                              .protocol = (sx_otlp_protocol)i,
                                              .headers = SX_STR("x=y"),
                                              .gzip = true};
    for (int64_t nth = 1;; nth++) {
        sx_otlp *otlp = NULL;
        sx_error err = {0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = sx_otlp_new(&options, &otlp, &err);
        bool reached = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (st == SX_OK)
            sx_otlp_free(otlp, 0);
        else
            assert_true(err.message[0] != '\0');
        if (!reached)
            break;
        assert_true(nth < 1000);
    }
    sx_metrics_free(m);
}

static void test_an_endpoint_that_is_no_url_is_refused_without_showing_it(void **state)
{
    (void)state;
    sx_otlp *otlp;
    sx_error err = {0};
    sx_otlp_options options = {.targets = {{.endpoint = SX_STR("smtp://user:hidden@host")}}};
    assert_int_equal(sx_otlp_new(&options, &otlp, &err), SX_EINVAL);
    assert_non_null(strstr(err.message, "http://HOST:PORT"));
    assert_null(strstr(err.message, "hidden"));
    options.targets[0].endpoint = SX_STR("http://host/");
    options.targets[0].headers = SX_STR("authorization hidden");
    assert_int_equal(sx_otlp_new(&options, &otlp, &err), SX_EFORMAT);
    assert_null(strstr(err.message, "hidden"));
}

static void *give_many(void *arg)
{
    sx_otlp *otlp = arg;
    sx_telemetry_thread_join();
    for (int i = 0; i < 20000; i++) {
        size_t bytes = 1 + (size_t)i % 300;
        char *room = sx_otlp_room(otlp, SX_OTLP_SPANS, bytes);
        if (room) {
            memset(room, 'r', bytes);
            sx_otlp_commit(otlp, SX_OTLP_SPANS, bytes);
        }
    }
    sx_telemetry_thread_leave();
    return NULL;
}

/* Nobody listens: every record is dropped or waits, and none is forgotten. */
static void test_four_threads_lose_no_count(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    sx_otlp *otlp;
    sx_error err = {0};
    sx_otlp_options options = {.targets = {{.endpoint = SX_STR("http://127.0.0.1:1/")}}};
    assert_int_equal(sx_otlp_new(&options, &otlp, &err), SX_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, give_many, otlp), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_false(sx_otlp_flush(otlp, 2000));
    sx_otlp_counts c = sx_otlp_counts_of(otlp, SX_OTLP_SPANS);
    assert_int_equal(c.taken, THREADS * 20000);
    assert_int_equal(c.dropped + c.queued, THREADS * 20000);
    assert_true(sx_otlp_wants(otlp, SX_OTLP_SPANS));
    assert_false(sx_otlp_wants(otlp, SX_OTLP_LOGS));
    assert_null(sx_otlp_room(otlp, SX_OTLP_LOGS, 10));
    sx_otlp_free(otlp, 10);
}

static void test_a_flush_of_nothing_is_done_at_once(void **state)
{
    (void)state;
    sx_otlp *otlp;
    sx_error err = {0};
    sx_otlp_options options = {.targets = {{.endpoint = SX_STR("http://127.0.0.1:1/")}}};
    assert_int_equal(sx_otlp_new(&options, &otlp, &err), SX_OK);
    assert_true(sx_otlp_flush(otlp, 5000));
    assert_true(sx_otlp_flush(otlp, 5000));
    sx_otlp_free(otlp, 100);
    sx_otlp_free(NULL, 0);
}

/* A listener whose connections nobody takes: the kernel answers the handshake, and then nothing comes. */
static void test_a_receiver_that_hangs_does_not_hold_the_end_up(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    char url[64];
    int bytes = snprintf(url, sizeof(url), "http://127.0.0.1:%d/v1/traces", ntohs(at.sin_port));
    for (int protocol = 0; protocol < SX_OTLP_PROTOCOLS; protocol++) {
        sx_otlp *otlp;
        sx_otlp_options options = {.targets = {{.endpoint = sx_str_of(url, (size_t)bytes),
                                                .protocol = (sx_otlp_protocol)protocol}}};
        assert_int_equal(sx_otlp_new(&options, &otlp, NULL), SX_OK);
        char *room = sx_otlp_room(otlp, SX_OTLP_SPANS, 16);
        assert_non_null(room);
        memset(room, 0, 16);
        memcpy(room, "\x0a\x02xx", 4);
        sx_otlp_commit(otlp, SX_OTLP_SPANS, 4);
        int64_t start = sx_clock_mono_ms(sx_clock_system());
        assert_false(sx_otlp_flush(otlp, 50));
        assert_int_equal(sx_otlp_counts_of(otlp, SX_OTLP_SPANS).queued, 1);
        sx_otlp_free(otlp, 50);
        assert_true(sx_clock_mono_ms(sx_clock_system()) - start < 5000); /* the time-out is 10 s */
    }
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starting_survives_every_failed_allocation),
        cmocka_unit_test(test_an_endpoint_that_is_no_url_is_refused_without_showing_it),
        cmocka_unit_test(test_four_threads_lose_no_count),
        cmocka_unit_test(test_a_flush_of_nothing_is_done_at_once),
        cmocka_unit_test(test_a_receiver_that_hangs_does_not_hold_the_end_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

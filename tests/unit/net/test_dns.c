/* test_dns.c - names by a server of the test's own: answers, failures, the cache, shared queries. */
#include "tests/unit/base/cmocka_all.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fault.h"
#include "net/dns.h"
#include "net/loop_internal.h"

typedef struct dns_fixture {
    sx_fake_clock clock;
    sx_loop *loop;
    sx_dns *dns;
    int fd; /* the name server */
    int queries;
    int code; /* RCODE to answer with */
    bool silent;
} dns_fixture;

typedef struct answer_record {
    int count;
    sx_status status;
    sx_addresses addresses;
    sx_error err;
} answer_record;

static void on_answer(void *ctx, sx_status status, const sx_addresses *addresses,
                      const sx_error *err)
{
    answer_record *a = ctx;
    a->count++;
    a->status = status;
    a->addresses = *addresses;
    a->err = *err;
}

static void open_fixture(dns_fixture *f, uint32_t names_max)
{
    sx_error err;
    char servers[32];
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t bytes = sizeof(in);
    memset(f, 0, sizeof(*f));
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&in, &bytes), 0);
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", ntohs(in.sin_port));
    sx_fake_clock_init(&f->clock, 1000);
    assert_int_equal(sx_loop_new(&f->clock.clock, 0, &f->loop, &err), SX_OK);
    sx_dns_options options = {.servers = servers, .names_max = names_max, .try_ms_max = 50};
    assert_int_equal(sx_dns_new(f->loop, &options, &f->dns, &err), SX_OK);
}

static void close_fixture(dns_fixture *f)
{
    sx_dns_free(f->dns);
    sx_loop_free(f->loop);
    close(f->fd);
}

/* Answers one query: 192.0.2.7 to A, 2001:db8::7 to AAAA, with 60 s to live. */
static void serve(dns_fixture *f)
{
    static const uint8_t V6[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7};
    static const uint8_t V4[4] = {192, 0, 2, 7};
    uint8_t m[512];
    struct sockaddr_in from;
    socklen_t bytes = sizeof(from);
    ssize_t n = recvfrom(f->fd, m, sizeof(m) - 64, 0, (struct sockaddr *)&from, &bytes);
    if (n < 16)
        return;
    f->queries++;
    if (f->silent)
        return;
    size_t end = 12; /* of the question; what follows (EDNS) is cut off */
    while (m[end])
        end += m[end] + 1u;
    bool is_v6 = m[end + 2] == 28;
    end += 5;
    m[2] = 0x81;
    m[3] = (uint8_t)(0x80 | f->code);
    memset(m + 6, 0, 6);
    if (!f->code) {
        uint8_t record[12] = {0xc0, 12, 0, is_v6 ? 28 : 1, 0, 1, 0, 0, 0, 60, 0, is_v6 ? 16 : 4};
        m[7] = 1;
        memcpy(m + end, record, 12);
        memcpy(m + end + 12, is_v6 ? V6 : V4, is_v6 ? 16 : 4);
        end += 12 + (is_v6 ? 16 : 4);
    }
    sendto(f->fd, m, end, 0, (struct sockaddr *)&from, bytes);
}

static void until(dns_fixture *f, const int *count)
{
    for (int i = 0; i < 20000 && !*count; i++) {
        sx_loop_turn(f->loop);
        serve(f);
        sx_fake_clock_advance(&f->clock, 0);
        if (i > 100) {
            poll(NULL, 0, 1);
            sx_fake_clock_advance(&f->clock, 1);
        }
    }
    assert_int_equal(*count, 1);
}

static void look_up(dns_fixture *f, const char *name, answer_record *a)
{
    sx_dns_lookup *lookup;
    memset(a, 0, sizeof(*a));
    assert_int_equal(sx_dns_start(f->dns, sx_str_z(name), on_answer, a, &lookup, &a->err), SX_OK);
    assert_int_equal(a->count, 0); /* never from within */
    until(f, &a->count);
}

static void test_names_resolve_in_both_families(void **state)
{
    dns_fixture f;
    answer_record a;
    (void)state;
    open_fixture(&f, 0);
    look_up(&f, "a.example", &a);
    assert_int_equal(a.status, SX_OK);
    assert_int_equal(a.addresses.count, 2);
    assert_int_equal(a.addresses.items[0].any.sa_family, AF_INET6);
    assert_int_equal(a.addresses.items[1].any.sa_family, AF_INET);
    assert_int_equal(ntohl(a.addresses.items[1].v4.sin_addr.s_addr), 0xc0000207);
    close_fixture(&f);
}

static void test_literals_and_localhost_ask_nobody(void **state)
{
    static const struct {
        const char *name;
        int family;
        size_t count;
    } CASES[] = {{"127.0.0.1", AF_INET, 1},
                 {"::1", AF_INET6, 1},
                 {"localhost", AF_INET, 2},
                 {"LOCALHOST", AF_INET, 2},
                 {"a.localhost", AF_INET, 2}};
    dns_fixture f;
    answer_record a;
    (void)state;
    open_fixture(&f, 0);
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        look_up(&f, CASES[i].name, &a);
        assert_int_equal(a.status, SX_OK);
        assert_int_equal(a.addresses.count, CASES[i].count);
        assert_int_equal(a.addresses.items[0].any.sa_family, CASES[i].family);
    }
    assert_int_equal(f.queries, 0);
    close_fixture(&f);
}

static void test_answers_are_believed_as_long_as_they_say(void **state)
{
    dns_fixture f;
    answer_record a;
    (void)state;
    open_fixture(&f, 0);
    look_up(&f, "a.example", &a);
    int queries = f.queries;
    look_up(&f, "A.Example", &a); /* the same name */
    assert_int_equal(f.queries, queries);
    sx_fake_clock_advance(&f.clock, 61000);
    sx_loop_turn(f.loop);
    look_up(&f, "a.example", &a);
    assert_true(f.queries > queries);
    close_fixture(&f);
}

static void test_failures_are_told_and_kept_briefly(void **state)
{
    dns_fixture f;
    answer_record a;
    (void)state;
    open_fixture(&f, 0);
    f.code = 3; /* NXDOMAIN */
    look_up(&f, "none.example", &a);
    assert_int_equal(a.status, SX_ENOTFOUND);
    assert_non_null(strstr(a.err.message, "none.example"));
    int queries = f.queries;
    look_up(&f, "none.example", &a);
    assert_int_equal(f.queries, queries);
    f.code = 0;
    sx_fake_clock_advance(&f.clock, 2001);
    sx_loop_turn(f.loop);
    look_up(&f, "none.example", &a);
    assert_int_equal(a.status, SX_OK);
    close_fixture(&f);
}

static void test_silent_server_times_out(void **state)
{
    dns_fixture f;
    answer_record a;
    (void)state;
    open_fixture(&f, 0);
    f.silent = true;
    look_up(&f, "slow.example", &a);
    assert_int_equal(a.status, SX_ETIMEOUT);
    assert_true(a.err.message[0]);
    close_fixture(&f);
}

static void test_overlapping_lookups_share_a_query_and_can_be_canceled(void **state)
{
    dns_fixture f;
    answer_record a[3] = {{0}};
    sx_dns_lookup *lookups[3];
    (void)state;
    open_fixture(&f, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            sx_dns_start(f.dns, SX_STR("a.example"), on_answer, &a[i], &lookups[i], NULL), SX_OK);
    sx_dns_cancel(lookups[1]);
    until(&f, &a[0].count);
    until(&f, &a[2].count);
    assert_int_equal(a[1].count, 0);
    assert_in_range(f.queries, 1, 2); /* A and AAAA, once each */
    /* Freed with one under way and one answered but not told. */
    assert_int_equal(sx_dns_start(f.dns, SX_STR("b.example"), on_answer, &a[1], &lookups[1], NULL),
                     SX_OK);
    assert_int_equal(sx_dns_start(f.dns, SX_STR("::1"), on_answer, &a[1], &lookups[2], NULL),
                     SX_OK);
    close_fixture(&f);
    assert_int_equal(a[1].count, 0);
}

static void test_cache_is_bounded(void **state)
{
    dns_fixture f;
    answer_record a;
    char name[32];
    (void)state;
    open_fixture(&f, 4);
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "n%d.example", i);
        look_up(&f, name, &a);
    }
    int queries = f.queries;
    look_up(&f, "n7.example", &a);
    assert_int_equal(f.queries, queries);
    look_up(&f, "n0.example", &a);
    assert_true(f.queries > queries);
    close_fixture(&f);
}

static void test_bad_names_are_refused(void **state)
{
    dns_fixture f;
    answer_record a;
    sx_dns_lookup *lookup;
    sx_error err;
    char giant[300] = {0};
    (void)state;
    open_fixture(&f, 0);
    memset(giant, 'a', sizeof(giant));
    assert_int_equal(sx_dns_start(f.dns, SX_STR(""), on_answer, &a, &lookup, &err), SX_EINVAL);
    assert_int_equal(sx_dns_start(f.dns, sx_str_of(giant, 256), on_answer, &a, &lookup, &err),
                     SX_EINVAL);
    assert_int_equal(sx_dns_start(f.dns, SX_STR("a\0b"), on_answer, &a, &lookup, &err), SX_EINVAL);
    look_up(&f, "bad..name", &a);
    assert_int_equal(a.status, SX_ENOTFOUND);
    giant[200] = '\0'; /* a label of 200 bytes */
    look_up(&f, giant, &a);
    assert_int_equal(a.status, SX_ENOTFOUND);
    close_fixture(&f);
}

static void test_memory_failures(void **state)
{
    int64_t calls = 1;
    (void)state;
    for (int64_t n = 1; n <= calls; n++) {
        dns_fixture f;
        answer_record a = {0};
        sx_dns_lookup *lookup;
        sx_error err;
        open_fixture(&f, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status st = sx_dns_start(f.dns, SX_STR("a.example"), on_answer, &a, &lookup, &err);
        calls = sx_fault_alloc_calls();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(st == SX_OK || st == SX_ENOMEM);
        close_fixture(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_resolve_in_both_families),
        cmocka_unit_test(test_literals_and_localhost_ask_nobody),
        cmocka_unit_test(test_answers_are_believed_as_long_as_they_say),
        cmocka_unit_test(test_failures_are_told_and_kept_briefly),
        cmocka_unit_test(test_silent_server_times_out),
        cmocka_unit_test(test_overlapping_lookups_share_a_query_and_can_be_canceled),
        cmocka_unit_test(test_cache_is_bounded),
        cmocka_unit_test(test_bad_names_are_refused),
        cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

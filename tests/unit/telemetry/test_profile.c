/* Tests of profiles: that a busy function has its share and its name, that the heap's bytes are found
 * where they were allocated, and that what is written reads back. */
#include <sextant/profile.h>

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sextant/clock.h>
#include <sextant/compress.h>
#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "base/fault.h"
#include "telemetry/profile_proto.h"

/* ThreadSanitizer holds signals back until a thread calls into its run time. */
#if defined(__SANITIZE_THREAD__)
#define SHARES_ARE_RIGHT false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHARES_ARE_RIGHT false
#endif
#endif
#ifndef SHARES_ARE_RIGHT
#define SHARES_ARE_RIGHT true
#endif

/* ---- a reader of profile.proto, for what is asked here ---- */

enum { MOST = 20000 };

typedef struct decoded {
    sx_buf bytes;
    sx_str strings[MOST];
    size_t string_count;
    uint64_t function_name[MOST];     /* by function id */
    uint64_t location_function[MOST]; /* by location id */
    size_t mapping_count, sample_count;
    int64_t totals[4], found[4];
    int64_t period;
    uint64_t comment, drop_frames;
} decoded;

static decoded d; /* large: too large for a stack */

static void read_function(sx_pb_reader *r)
{
    uint64_t id = 0, name = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r))
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            id = sx_pb_varint(r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            name = sx_pb_varint(r);
            break;
        default:
            sx_pb_skip(r);
        }
    sx_pb_leave(r, outer);
    assert_in_range(id, 1, MOST - 1);
    d.function_name[id] = name;
}

static void read_location(sx_pb_reader *r)
{
    uint64_t id = 0, function = 0, mapping = 0, address = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r))
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            id = sx_pb_varint(r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            mapping = sx_pb_varint(r);
            break;
        case SX_PB_TAG(3, SX_PB_VARINT):
            address = sx_pb_varint(r);
            break;
        case SX_PB_TAG(4, SX_PB_BYTES): {
            sx_pb_outer line = sx_pb_enter(r);
            while (sx_pb_next(r))
                if (r->tag == SX_PB_TAG(1, SX_PB_VARINT))
                    function = sx_pb_varint(r);
                else
                    sx_pb_skip(r);
            sx_pb_leave(r, line);
            break;
        }
        default:
            sx_pb_skip(r);
        }
    sx_pb_leave(r, outer);
    assert_in_range(id, 1, MOST - 1);
    assert_true(mapping == 0 || mapping <= d.mapping_count + 1000);
    assert_true(address != 0);
    d.location_function[id] = function;
}

/* Adds a sample's values to the totals, and to `found` if one of its frames is in `wanted`. */
static void read_sample(sx_pb_reader *r, const char *wanted)
{
    bool is_wanted = false;
    int64_t values[4] = {0};
    size_t count = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_pb_outer list = sx_pb_enter(r);
            while (sx_pb_more(r)) {
                uint64_t location = sx_pb_varint(r);
                assert_in_range(location, 1, MOST - 1);
                sx_str name = d.strings[d.function_name[d.location_function[location]]];
                is_wanted |= sx_str_eq(name, sx_str_z(wanted));
            }
            sx_pb_leave(r, list);
        } else if (r->tag == SX_PB_TAG(2, SX_PB_BYTES)) {
            sx_pb_outer list = sx_pb_enter(r);
            while (sx_pb_more(r) && count < 4)
                values[count++] = (int64_t)sx_pb_varint(r);
            sx_pb_leave(r, list);
        } else {
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    d.sample_count++;
    for (size_t i = 0; i < 4; i++) {
        d.totals[i] += values[i];
        d.found[i] += is_wanted ? values[i] : 0;
    }
}

/* Reads the profile twice: tables, then samples. */
static void decode(const sx_buf *packed, const char *wanted)
{
    sx_error err = {0};
    sx_buf_done(&d.bytes);
    memset(&d, 0, sizeof(d));
    sx_buf_init(&d.bytes, 0);
    assert_int_equal(sx_decompress(SX_CODEC_GZIP, sx_buf_view(packed), 1 << 26, &d.bytes, &err),
                     SX_OK);
    for (int pass = 0; pass < 2; pass++) {
        sx_pb_reader r;
        sx_pb_init(&r, sx_buf_view(&d.bytes));
        while (sx_pb_next(&r))
            if (r.tag == SX_PB_TAG(2, SX_PB_BYTES) && pass == 1)
                read_sample(&r, wanted);
            else if (r.tag == SX_PB_TAG(4, SX_PB_BYTES) && pass == 0)
                read_location(&r);
            else if (r.tag == SX_PB_TAG(5, SX_PB_BYTES) && pass == 0)
                read_function(&r);
            else if (r.tag == SX_PB_TAG(6, SX_PB_BYTES) && pass == 0)
                d.strings[d.string_count++] = sx_pb_bytes(&r);
            else if (r.tag == SX_PB_TAG(7, SX_PB_VARINT))
                d.drop_frames = sx_pb_varint(&r);
            else if (r.tag == SX_PB_TAG(12, SX_PB_VARINT))
                d.period = (int64_t)sx_pb_varint(&r);
            else if (r.tag == SX_PB_TAG(13, SX_PB_VARINT))
                d.comment = sx_pb_varint(&r);
            else {
                d.mapping_count += pass == 0 && r.tag == SX_PB_TAG(3, SX_PB_BYTES);
                sx_pb_skip(&r);
            }
        assert_int_equal(sx_pb_status(&r, "profile", &err), SX_OK);
    }
    assert_int_equal(d.strings[0].len, 0);
    assert_true(d.mapping_count > 0);
}

/* ---- processor time ---- */

static int stopping; /* atomic: the busy threads end */
static volatile uint64_t sink;

__attribute__((noinline)) void busy_for_three(void);
__attribute__((noinline)) void busy_for_one(void);

__attribute__((noinline)) static uint64_t work(unsigned rounds)
{
    uint64_t x = rounds;
    for (unsigned i = 0; i < rounds; i++)
        x = x * UINT64_C(6364136223846793005) + (x >> 33);
    return x;
}

__attribute__((noinline)) void busy_for_three(void)
{
    sink = work(300000) + 1;
}

__attribute__((noinline)) void busy_for_one(void)
{
    sink = work(100000) + 2;
}

static void *be_busy(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
        busy_for_three();
        busy_for_one();
    }
    return NULL;
}

static void test_a_busy_function_has_its_share_and_its_name(void **state)
{
    (void)state;
    pthread_t thread;
    sx_buf out;
    sx_error err = {0};
    stopping = 0;
    sx_buf_init(&out, 0);
    assert_int_equal(pthread_create(&thread, NULL, be_busy, NULL), 0);
    sx_profile_cpu_options options = {.hz = 250};
    /* Enough for a share, also where other programs take most of the processors. */
    for (options.duration_ms = 1500; options.duration_ms < 50000; options.duration_ms *= 2) {
        sx_buf_clear(&out);
        assert_int_equal(sx_profile_cpu(&options, &out, &err), SX_OK);
        decode(&out, "busy_for_three");
        if (d.totals[0] > 60 || !SHARES_ARE_RIGHT)
            break;
    }
    __atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    decode(&out, "busy_for_three");
    assert_int_equal(d.period, 4000000);
    assert_int_equal(d.totals[1], d.totals[0] * d.period);
    if (SHARES_ARE_RIGHT) {
        double share = (double)d.found[0] / (double)d.totals[0];
        assert_true(d.totals[0] > 60); /* of 375 that an idle machine gives in 1.5 s */
        assert_true(share > 0.6 && share < 0.9);
        decode(&out, "be_busy"); /* the caller of both */
        assert_true((double)d.found[0] > 0.9 * (double)d.totals[0]);
        bool labelled = false;
        for (size_t i = 0; i < d.string_count; i++)
            labelled |= sx_str_eq(d.strings[i], SX_STR("test_profile"));
        assert_true(labelled); /* what the thread is called */
    }
    sx_buf_done(&out);
}

static int come_and_go; /* atomic: rounds so far */

static void *short_work(void *arg)
{
    (void)arg;
    sink = work(2000000);
    return NULL;
}

static void *make_threads(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, short_work, NULL) == 0)
            pthread_join(thread, NULL);
        __atomic_add_fetch(&come_and_go, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void test_threads_may_come_and_go(void **state)
{
    (void)state;
    pthread_t thread;
    sx_buf out;
    sx_error err = {0};
    stopping = 0;
    sx_buf_init(&out, 0);
    assert_int_equal(pthread_create(&thread, NULL, make_threads, NULL), 0);
    sx_profile_cpu_options options = {.duration_ms = 800, .hz = 1000};
    assert_int_equal(sx_profile_cpu(&options, &out, &err), SX_OK);
    __atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    decode(&out, "short_work");
    assert_true(come_and_go > 0);
    sx_buf_done(&out);
}

/* A profile in another thread, and what it came to. */
typedef struct run {
    pthread_t thread;
    uint32_t duration_ms;
    int cancel_fd;
    sx_status status;
    sx_buf out;
} run;

static void *profile(void *arg)
{
    run *r = arg;
    sx_profile_cpu_options options = {.duration_ms = r->duration_ms, .cancel_fd = r->cancel_fd};
    do /* the test's own may be running just now */
        r->status = sx_profile_cpu(&options, &r->out, NULL);
    while (r->status == SX_REFUSED);
    return NULL;
}

static void test_there_is_one_profile_at_a_time_and_it_can_be_canceled(void **state)
{
    (void)state;
    int ends[2];
    sx_buf out;
    sx_error err = {0};
    assert_int_equal(pipe(ends), 0);
    run first = {.duration_ms = 60000, .cancel_fd = ends[0]};
    sx_buf_init(&first.out, 0);
    sx_buf_init(&out, 0);
    assert_int_equal(pthread_create(&first.thread, NULL, profile, &first), 0);
    sx_status status = SX_OK; /* until the other thread has begun, ours is the one */
    for (int i = 0; i < 20000 && status != SX_REFUSED; i++) {
        sched_yield();
        sx_buf_clear(&out);
        status = sx_profile_cpu(&(sx_profile_cpu_options){.duration_ms = 1}, &out, &err);
    }
    assert_int_equal(status, SX_REFUSED);
    assert_non_null(strstr(err.message, "already"));
    assert_int_equal(out.len, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    pthread_join(first.thread, NULL);
    assert_int_equal(first.status, SX_ECANCELED);
    assert_int_equal(first.out.len, 0);
    assert_int_equal(sx_profile_cpu(&(sx_profile_cpu_options){.duration_ms = 1}, &out, &err),
                     SX_OK);
    sx_buf_done(&first.out);
    sx_buf_done(&out);
    close(ends[0]);
    close(ends[1]);
}

static void test_wrong_options_are_refused(void **state)
{
    (void)state;
    sx_buf out;
    sx_error err = {0};
    sx_buf_init(&out, 0);
    assert_int_equal(sx_profile_cpu(&(sx_profile_cpu_options){.hz = 1001}, &out, &err), SX_EINVAL);
    assert_int_equal(out.len, 0);
}

static void *sleep_blocked(void *arg)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPROF);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    char byte;
    ssize_t got = read(*(int *)arg, &byte, 1);
    (void)got;
    return NULL;
}

static void test_threads_that_block_the_signal_are_told(void **state)
{
    (void)state;
    int ends[2];
    pthread_t thread;
    sx_buf out;
    sx_error err = {0};
    assert_int_equal(pipe(ends), 0);
    sx_buf_init(&out, 0);
    assert_int_equal(pthread_create(&thread, NULL, sleep_blocked, &ends[0]), 0);
    bool told = false;
    for (int i = 0; i < 500 && !told; i++) { /* until it has blocked it */
        sx_buf_clear(&out);
        assert_int_equal(sx_profile_cpu(&(sx_profile_cpu_options){.duration_ms = 1}, &out, &err),
                         SX_OK);
        decode(&out, "");
        /* ThreadSanitizer has one of its own that does. */
        sx_str comment = d.strings[d.comment];
        told = sx_str_starts(comment, SHARES_ARE_RIGHT ? SX_STR("1 threads block SIGPROF")
                                                       : SX_STR("2 threads block SIGPROF"));
    }
    assert_true(told);
    assert_int_equal(write(ends[1], "x", 1), 1);
    pthread_join(thread, NULL);
    sx_buf_done(&out);
    close(ends[0]);
    close(ends[1]);
}

static void ignore(int number)
{
    (void)number;
}

/* The first of all: later ones find our handler in place. */
static void test_another_profilers_handler_is_left_alone(void **state)
{
    (void)state;
    sx_buf out;
    sx_error err = {0};
    struct sigaction foreign = {.sa_handler = ignore}, before;
    sx_buf_init(&out, 0);
    sigaction(SIGPROF, &foreign, &before);
    assert_int_equal(sx_profile_cpu(&(sx_profile_cpu_options){.duration_ms = 1}, &out, &err),
                     SX_REFUSED);
    assert_non_null(strstr(err.message, "SIGPROF"));
    sigaction(SIGPROF, &before, NULL);
    assert_int_equal(sx_profile_cpu(&(sx_profile_cpu_options){.duration_ms = 1}, &out, &err),
                     SX_OK);
    sx_buf_done(&out);
}

/* ---- the heap ---- */

__attribute__((noinline)) void *hold_memory(size_t bytes);

__attribute__((noinline)) void *hold_memory(size_t bytes)
{
    void *block = sx_alloc(bytes);
    assert_non_null(block);
    return block;
}

static void test_bytes_are_found_where_they_were_allocated(void **state)
{
    (void)state;
    sx_buf out;
    sx_error err = {0};
    void *blocks[100];
    sx_buf_init(&out, 0);
    sx_profile_heap_set(4096);
    assert_int_equal(sx_profile_heap_mean(), 4096);
    for (size_t i = 0; i < 100; i++)
        blocks[i] = hold_memory(100000);
    assert_int_equal(sx_profile_heap(SX_PROFILE_HEAP_INUSE, &out, &err), SX_OK);
    decode(&out, "hold_memory");
    assert_in_range(d.found[3], 9900000, 10100000);
    assert_in_range(d.found[2], 99, 101);
    assert_int_equal(d.period, 4096);
    assert_non_null(strstr(d.strings[d.drop_frames].data, "sx_alloc"));
    for (size_t i = 0; i < 100; i++)
        sx_free(blocks[i]);
    sx_buf_clear(&out);
    assert_int_equal(sx_profile_heap(SX_PROFILE_HEAP_ALLOCS, &out, &err), SX_OK);
    decode(&out, "hold_memory");
    assert_int_equal(d.found[3], 0);
    assert_in_range(d.found[1], 9900000, 10100000);
    sx_profile_heap_set(0);
    sx_buf_done(&out);
}

static void test_the_heap_as_text(void **state)
{
    (void)state;
    sx_buf out;
    sx_error err = {0};
    sx_buf_init(&out, 0);
    sx_profile_heap_set(1);
    void *small = hold_memory(1 << 21), *block = hold_memory(7654321);
    assert_int_equal(sx_profile_heap(SX_PROFILE_HEAP_TEXT, &out, &err), SX_OK);
    sx_buf_byte(&out, 0);
    assert_memory_equal(out.data, "heap profile: ", 14);
    assert_non_null(strstr(out.data, "@ heapprofile\n"));
    assert_non_null(strstr(out.data, "1: 7654321 [1: 7654321] @ 0x"));
    assert_non_null(strstr(out.data, "\thold_memory+0x"));
    assert_non_null(strstr(out.data, "# sample_bytes = 1\n"));
    assert_non_null(strstr(out.data, "MAPPED_LIBRARIES:\n"));
    sx_free(small);
    sx_free(block);
    sx_profile_heap_set(0);
    sx_buf_done(&out);
}

/* ---- threads and symbols ---- */

static void test_threads_are_listed(void **state)
{
    (void)state;
    sx_buf out;
    sx_error err = {0};
    char line[64];
    sx_buf_init(&out, 0);
    assert_int_equal(sx_profile_threads(&out, &err), SX_OK);
    sx_buf_byte(&out, 0);
    snprintf(line, sizeof(line), "\n%-8d R ", (int)getpid());
    assert_non_null(strstr(out.data, line));
    assert_non_null(strstr(out.data, "  test_profile\n"));
    sx_buf_done(&out);
}

static void ask(const char *request, sx_status expected, sx_buf *out)
{
    sx_error err = {0};
    sx_buf_clear(out);
    assert_int_equal(sx_profile_symbols(sx_str_z(request), out, &err), expected);
    if (expected != SX_OK) {
        assert_int_equal(out->len, 0);
        assert_true(err.message[0] != '\0');
    }
    sx_buf_byte(out, 0);
}

static void test_names_of_addresses(void **state)
{
    (void)state;
    sx_buf out;
    char request[128], line[64];
    sx_buf_init(&out, 0);
    uintptr_t address = (uintptr_t)&busy_for_three + 4, other = (uintptr_t)&busy_for_one;
    snprintf(request, sizeof(request), "0x%" PRIxPTR "+0X%" PRIXPTR "+0x1\n", address, other);
    ask(request, SX_OK, &out);
    assert_memory_equal(out.data, "num_symbols: 1\n", 15);
    snprintf(line, sizeof(line), "0x%" PRIxPTR "\tbusy_for_three\n", address);
    assert_non_null(strstr(out.data, line));
    snprintf(line, sizeof(line), "0x%" PRIxPTR "\tbusy_for_one\n", other);
    assert_non_null(strstr(out.data, line));
    assert_null(strstr(out.data, "0x1\t"));
    ask("", SX_OK, &out);
    assert_string_equal(out.data, "num_symbols: 1\n");
    ask("ffffffffffffffff", SX_OK, &out);
    static const char *const WRONG[] = {"0x",       "+",       "0x1+", "+0x1",
                                        "0x1++0x2", "0x1 0x2", "word", "0x11112222333344445"};
    for (size_t i = 0; i < SX_COUNT_OF(WRONG); i++)
        ask(WRONG[i], SX_EFORMAT, &out);
    sx_buf_clear(&out);
    for (size_t i = 0; i <= SX_PROFILE_ADDRESSES_MAX; i++)
        sx_buf_printf(&out, "%s%zx", i ? "+" : "", i);
    sx_buf many = out;
    sx_error err = {0};
    sx_buf_init(&out, 0);
    assert_int_equal(sx_profile_symbols(sx_buf_view(&many), &out, &err), SX_ELIMIT);
    sx_buf_done(&many);
    sx_buf_done(&out);
}

/* ---- without memory ---- */

static sx_status all_of_it(sx_buf *out, sx_error *err)
{
    static const uintptr_t PCS[] = {0x1000, 0x2000};
    sx_profile_sample sample = {.pcs = PCS, .depth = 2, .values = {1}, .thread = SX_STR("t")};
    sx_profile profile = {.values = {{SX_STR("a"), SX_STR("b")}},
                          .value_count = 1,
                          .samples = &sample,
                          .sample_count = 1};
    sx_status status = sx_profile_encode(&profile, out, err);
    if (status == SX_OK)
        status = sx_profile_heap(SX_PROFILE_HEAP_INUSE, out, err);
    if (status == SX_OK)
        status = sx_profile_heap(SX_PROFILE_HEAP_TEXT, out, err);
    if (status == SX_OK)
        status = sx_profile_symbols(SX_STR("0x1+0x2"), out, err);
    if (status == SX_OK)
        status = sx_profile_threads(out, err);
    if (status == SX_OK)
        status = sx_profile_cpu(&(sx_profile_cpu_options){.duration_ms = 1}, out, err);
    return status;
}

/* Which calls there are depends on the ticks, so it goes on until nothing fails any more. */
static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    sx_status status = SX_ENOMEM;
    for (int64_t nth = 1; status != SX_OK; nth++) {
        sx_buf out;
        sx_error err = {0};
        assert_true(nth < 2000);
        sx_buf_init(&out, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        status = all_of_it(&out, &err);
        if (status != SX_OK) {
            assert_int_equal(status, SX_ENOMEM);
            assert_true(err.message[0] != '\0');
        }
        sx_buf_done(&out);
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
    }
}

static int done(void **state)
{
    (void)state;
    sx_buf_done(&d.bytes);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_profilers_handler_is_left_alone),
        cmocka_unit_test(test_a_busy_function_has_its_share_and_its_name),
        cmocka_unit_test(test_threads_may_come_and_go),
        cmocka_unit_test(test_there_is_one_profile_at_a_time_and_it_can_be_canceled),
        cmocka_unit_test(test_wrong_options_are_refused),
        cmocka_unit_test(test_threads_that_block_the_signal_are_told),
        cmocka_unit_test(test_bytes_are_found_where_they_were_allocated),
        cmocka_unit_test(test_the_heap_as_text),
        cmocka_unit_test(test_threads_are_listed),
        cmocka_unit_test(test_names_of_addresses),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}

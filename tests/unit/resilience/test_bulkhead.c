/* test_bulkhead.c - a fixed number of calls at once, waiting on threads and loops, and the learned
 * number before a simulated server. */
#include <sextant/bulkhead.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/random.h>

#include "base/fault.h"
#include "tests/unit/base/cmocka_all.h"

typedef struct fixture {
    sx_fake_clock clock;
    sx_metrics *metrics;
    sx_bulkhead_options o;
    sx_bulkhead *b;
    char told[64]; /* who was woken: a small letter entered, a capital timed out */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    sx_fake_clock_init(&f->clock, 1700000000000);
    assert_int_equal(sx_metrics_new(NULL, &f->metrics, NULL), SX_OK);
    f->o = (sx_bulkhead_options){
        .clock = &f->clock.clock, .metrics = f->metrics, .calls_max = 2, .waiting_max = 3};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sx_bulkhead_free(f->b);
    sx_metrics_free(f->metrics);
    free(f);
    return 0;
}

static void make(fixture *f)
{
    assert_int_equal(sx_bulkhead_new(&f->o, &f->b, NULL), SX_OK);
}

static bool shows(fixture *f, const char *line)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_int_equal(sx_metrics_write(f->metrics, SX_METRICS_TEXT_004, &out, NULL), SX_OK);
    bool found = sx_str_find(sx_buf_view(&out), sx_str_z(line)) < out.len;
    if (!found)
        print_message("%.*s\n", SX_ARG(sx_buf_view(&out)));
    sx_buf_done(&out);
    return found;
}

/* ---- a fixed number ---- */

typedef struct waiter {
    sx_bulkhead_wait wait;
    fixture *f;
    char name;
} waiter;

static void tell(sx_bulkhead_wait *w, sx_status status)
{
    waiter *one = w->arg;
    char name = (char)(status == SX_OK ? one->name : one->name - 'a' + 'A');
    snprintf(one->f->told + strlen(one->f->told), 2, "%c", name);
}

static sx_status enter(fixture *f, waiter *one, char name)
{
    *one = (waiter){.wait = {.woken = tell, .arg = one}, .f = f, .name = name};
    return sx_bulkhead_enter(f->b, &one->wait);
}

static void test_places_go_to_who_has_waited_longest(void **state)
{
    fixture *f = *state;
    waiter w[4];
    make(f);
    assert_int_equal(sx_bulkhead_enter(f->b, NULL), SX_OK);
    assert_int_equal(sx_bulkhead_enter(f->b, NULL), SX_OK);
    assert_int_equal(sx_bulkhead_enter(f->b, NULL), SX_REFUSED);
    for (int i = 0; i < 3; i++)
        assert_int_equal(enter(f, &w[i], (char)('a' + i)), SX_AGAIN);
    assert_int_equal(enter(f, &w[3], 'd'), SX_REFUSED);
    sx_bulkhead_leave(f->b);
    assert_string_equal(f->told, "a");
    assert_int_equal(sx_bulkhead_enter(f->b, NULL), SX_REFUSED); /* nobody overtakes */
    assert_true(sx_bulkhead_abandon(&w[1].wait));
    assert_false(sx_bulkhead_abandon(&w[1].wait));
    sx_bulkhead_leave(f->b);
    assert_string_equal(f->told, "ac");
    sx_bulkhead_info info;
    sx_bulkhead_info_of(f->b, &info);
    assert_true(info.running == 2 && info.waiting == 0);
    sx_bulkhead_leave(f->b);
    sx_bulkhead_leave(f->b);
    sx_bulkhead_info_of(f->b, &info);
    assert_int_equal(info.running, 0);
    assert_true(shows(f, "bulkhead_calls_total{name=\"default\",outcome=\"waited\"} 2\n"));
    assert_true(shows(f, "bulkhead_calls_total{name=\"default\",outcome=\"refused\"} 3\n"));
    assert_true(shows(f, "bulkhead_running{name=\"default\"} 0\n"));
    assert_true(shows(f, "bulkhead_waiting{name=\"default\"} 0\n"));
    assert_true(shows(f, "bulkhead_wait_seconds_count{name=\"default\"} 2\n"));
}

static void test_who_waits_too_long_is_told(void **state)
{
    fixture *f = *state;
    waiter w[3];
    make(f);
    sx_bulkhead_enter(f->b, NULL);
    sx_bulkhead_enter(f->b, NULL);
    assert_int_equal(sx_bulkhead_expire(f->b), -1);
    assert_int_equal(enter(f, &w[0], 'a'), SX_AGAIN);
    w[1] = (waiter){.wait = {.woken = tell, .arg = &w[1], .wait_ms = 100}, .f = f, .name = 'b'};
    assert_int_equal(sx_bulkhead_enter(f->b, &w[1].wait), SX_AGAIN);
    assert_int_equal(sx_bulkhead_expire(f->b), 100);
    sx_fake_clock_advance(&f->clock, 100);
    assert_int_equal(sx_bulkhead_expire(f->b), 900);
    assert_string_equal(f->told, "B");
    assert_int_equal(enter(f, &w[2], 'c'), SX_AGAIN);
    sx_fake_clock_advance(&f->clock, 900);
    sx_bulkhead_leave(f->b); /* passes by one whose time is over */
    assert_string_equal(f->told, "BAc");
    sx_bulkhead_leave(f->b);
    sx_bulkhead_leave(f->b);
}

static void test_new_limits_let_more_in(void **state)
{
    fixture *f = *state;
    waiter w[3];
    make(f);
    sx_bulkhead_enter(f->b, NULL);
    sx_bulkhead_enter(f->b, NULL);
    for (int i = 0; i < 3; i++)
        enter(f, &w[i], (char)('a' + i));
    sx_bulkhead_set(f->b, 4, 3);
    assert_string_equal(f->told, "ab");
    sx_bulkhead_set(f->b, 1, 0); /* nobody is thrown out */
    for (int i = 0; i < 3; i++)
        sx_bulkhead_leave(f->b);
    assert_string_equal(f->told, "ab");
    sx_bulkhead_leave(f->b);
    assert_string_equal(f->told, "abc");
    sx_bulkhead_leave(f->b);
}

typedef struct crowd {
    fixture *f;
    int inside, most; /* atomic */
    int entered;
} crowd;

typedef struct thread_wait {
    sx_bulkhead_wait wait;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool told;
    sx_status status;
} thread_wait;

static void tell_thread(sx_bulkhead_wait *w, sx_status status)
{
    thread_wait *t = w->arg;
    pthread_mutex_lock(&t->lock);
    t->told = true;
    t->status = status;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static sx_status enter_blocking(fixture *f, thread_wait *t, bool gives_up)
{
    t->told = false;
    t->wait = (sx_bulkhead_wait){.woken = tell_thread, .arg = t};
    sx_status status = sx_bulkhead_enter(f->b, &t->wait);
    if (status != SX_AGAIN)
        return status;
    if (gives_up && sx_bulkhead_abandon(&t->wait))
        return SX_ECANCELED;
    pthread_mutex_lock(&t->lock);
    while (!t->told)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    return t->status;
}

static void *be_one_of_many(void *arg)
{
    crowd *c = arg;
    thread_wait t = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    for (int i = 0; i < 3000; i++) {
        if (enter_blocking(c->f, &t, i % 7 == 0) != SX_OK)
            continue;
        int inside = __atomic_add_fetch(&c->inside, 1, __ATOMIC_RELAXED);
        if (inside > __atomic_load_n(&c->most, __ATOMIC_RELAXED))
            __atomic_store_n(&c->most, inside, __ATOMIC_RELAXED);
        __atomic_add_fetch(&c->entered, 1, __ATOMIC_RELAXED);
        __atomic_sub_fetch(&c->inside, 1, __ATOMIC_RELAXED);
        sx_bulkhead_leave(c->f->b);
    }
    return NULL;
}

static void test_many_threads_never_pass_the_limit(void **state)
{
    fixture *f = *state;
    pthread_t threads[5];
    crowd c = {.f = f};
    f->o.waiting_max = 2;
    make(f);
    for (size_t i = 0; i < SX_COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, be_one_of_many, &c), 0);
    for (size_t i = 0; i < SX_COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    sx_bulkhead_info info;
    sx_bulkhead_info_of(f->b, &info);
    assert_true(info.running == 0 && info.waiting == 0);
    assert_in_range(c.most, 1, 2);
    assert_true(c.entered > 1000);
}

/* ---- on a loop ---- */

static void turn_done(sx_bulkhead_turn *t, sx_status status)
{
    *(sx_status *)t->arg = status;
}

static void run(fixture *f, sx_loop *loop, int64_t ms)
{
    sx_fake_clock_advance(&f->clock, ms);
    for (int i = 0; i < 3; i++)
        sx_loop_turn(loop);
}

static void test_a_turn_is_told_on_its_loop(void **state)
{
    fixture *f = *state;
    sx_loop *loop;
    sx_bulkhead_turn t[3] = {0};
    sx_status got[3] = {SX_AGAIN, SX_AGAIN, SX_AGAIN};
    make(f);
    assert_int_equal(sx_loop_new(&f->clock.clock, 0, &loop, NULL), SX_OK);
    sx_bulkhead_enter(f->b, NULL);
    sx_bulkhead_enter(f->b, NULL);
    for (int i = 0; i < 3; i++) {
        t[i].done = turn_done;
        t[i].arg = &got[i];
        assert_int_equal(sx_bulkhead_enter_on(f->b, loop, i == 1 ? 50 : 0, &t[i]), SX_AGAIN);
    }
    sx_bulkhead_leave(f->b);
    assert_int_equal(got[0], SX_AGAIN); /* not before its loop turns */
    run(f, loop, 1);
    assert_int_equal(got[0], SX_OK);
    run(f, loop, 60);
    assert_int_equal(got[1], SX_ETIMEOUT);
    assert_true(sx_bulkhead_turn_cancel(&t[2]));
    run(f, loop, 5000);
    assert_int_equal(got[2], SX_AGAIN);

    got[0] = SX_AGAIN; /* without memory the place is given a little later */
    assert_int_equal(sx_bulkhead_enter_on(f->b, loop, 30, &t[0]), SX_AGAIN);
    sx_fault_alloc_set((sx_fault_alloc){.nth = 1, .and_after = true});
    sx_bulkhead_leave(f->b);
    sx_fault_alloc_set((sx_fault_alloc){0});
    run(f, loop, 100);
    assert_int_equal(got[0], SX_OK);
    sx_bulkhead_leave(f->b);
    sx_bulkhead_leave(f->b);
    sx_loop_free(loop);
}

/* A loop in a thread of its own that takes turn after turn, while another thread comes and goes. */
typedef struct turner {
    fixture *f;
    sx_bulkhead_turn turn;
    int entered, late, left;
    bool over; /* atomic */
} turner;

static void next_turn(sx_loop *loop, void *arg);

static void end_turn(sx_bulkhead_turn *t, sx_status status)
{
    turner *one = t->arg;
    if (status == SX_OK) {
        one->entered++;
        sx_bulkhead_leave(one->f->b);
    } else {
        one->late++;
    }
    assert_int_equal(sx_loop_post(t->loop, next_turn, one, NULL), SX_OK);
}

static void next_turn(sx_loop *loop, void *arg)
{
    turner *one = arg;
    if (one->left-- == 0) {
        __atomic_store_n(&one->over, true, __ATOMIC_RELEASE);
        sx_loop_stop(loop);
        return;
    }
    one->turn = (sx_bulkhead_turn){.done = end_turn, .arg = one};
    sx_status status = sx_bulkhead_enter_on(one->f->b, loop, 1000, &one->turn);
    if (status != SX_AGAIN)
        end_turn(&one->turn, status);
}

static void *run_loop(void *arg)
{
    sx_loop_run(arg);
    return NULL;
}

static void test_turns_are_woken_from_other_threads(void **state)
{
    fixture *f = *state;
    sx_loop *loop;
    pthread_t thread;
    turner one = {.f = f, .left = 5000};
    f->o.calls_max = 1;
    f->o.clock = NULL;
    make(f);
    assert_int_equal(sx_loop_new(NULL, 0, &loop, NULL), SX_OK);
    assert_int_equal(sx_loop_post(loop, next_turn, &one, NULL), SX_OK);
    assert_int_equal(pthread_create(&thread, NULL, run_loop, loop), 0);
    while (!__atomic_load_n(&one.over, __ATOMIC_ACQUIRE))
        if (sx_bulkhead_enter(f->b, NULL) == SX_OK)
            sx_bulkhead_leave(f->b);
    pthread_join(thread, NULL);
    assert_int_equal(one.entered + one.late, 5000);
    sx_bulkhead_info info;
    sx_bulkhead_info_of(f->b, &info);
    assert_true(info.running == 0 && info.waiting == 0);
    sx_loop_free(loop);
}

/* ---- the learned number ---- */

/* A server that works on `workers` calls at once, each for `work_us`, and queues the rest; clients that
 * offer a call every gap_us. Time goes by in steps of 100 us. */
typedef struct server {
    sx_fake_clock *clock;
    uint32_t workers, work_us, gap_us;
    int64_t now_us, next_us;
    struct {
        sx_adaptive_pass pass;
        int64_t begin_us, end_us;
    } call[4096];
    uint32_t head, tail; /* in order of arrival, which is that of ends, too */
    int64_t free_us[64]; /* when each worker is free */
    uint64_t done, refused;
    double latency_us;
} server;

static void arrive(server *s, sx_adaptive *a)
{
    uint32_t i = s->tail % SX_COUNT_OF(s->call), first = 0;
    if (!sx_adaptive_allow(a, &s->call[i].pass)) {
        s->refused++;
        return;
    }
    for (uint32_t k = 1; k < s->workers; k++)
        first = s->free_us[k] < s->free_us[first] ? k : first;
    int64_t start_us = s->free_us[first] > s->now_us ? s->free_us[first] : s->now_us;
    s->free_us[first] = start_us + s->work_us;
    s->call[i].begin_us = s->now_us;
    s->call[i].end_us = s->free_us[first];
    s->tail++;
    assert_true(s->tail - s->head < SX_COUNT_OF(s->call));
}

static void simulate(server *s, sx_adaptive *a, int64_t seconds)
{
    int64_t until_us = s->now_us + seconds * 1000000;
    s->done = s->refused = 0;
    s->latency_us = 0;
    while (s->now_us < until_us) {
        s->now_us += 100;
        __atomic_add_fetch(&s->clock->mono, 100000, __ATOMIC_RELAXED);
        for (; s->head != s->tail && s->call[s->head % 4096].end_us <= s->now_us; s->head++) {
            sx_adaptive_done(a, &s->call[s->head % 4096].pass, SX_ADAPTIVE_OK);
            s->latency_us += (double)(s->now_us - s->call[s->head % 4096].begin_us);
            s->done++;
        }
        for (; s->next_us <= s->now_us; s->next_us += s->gap_us)
            arrive(s, a);
    }
    s->latency_us /= (double)(s->done ? s->done : 1);
}

static sx_adaptive *make_adaptive(fixture *f, const sx_adaptive_options *more)
{
    sx_adaptive_options o = more ? *more : (sx_adaptive_options){0};
    sx_adaptive *a;
    o.clock = &f->clock.clock;
    o.metrics = f->metrics;
    assert_int_equal(sx_adaptive_new(&o, &a, NULL), SX_OK);
    return a;
}

static sx_adaptive_info look(const sx_adaptive *a)
{
    sx_adaptive_info info;
    sx_adaptive_info_of(a, &info);
    return info;
}

static void test_an_overloaded_server_stays_quick_and_busy(void **state)
{
    fixture *f = *state;
    sx_adaptive *a = make_adaptive(f, NULL);
    server *s = calloc(1, sizeof(*s));
    /* 20 workers of 10 ms: 2000 a second; 5000 are offered. */
    *s = (server){.clock = &f->clock, .workers = 20, .work_us = 10000, .gap_us = 200};
    simulate(s, a, 20);
    for (int round = 0; round < 5; round++) { /* for ten minutes: it must not creep */
        simulate(s, a, 120);
        double rate = (double)s->done / 120;
        print_message("limit %u, %.0f/s, %.1f ms\n", look(a).limit, rate, s->latency_us / 1000);
        assert_true(rate > 1900);
        assert_true(s->latency_us < 20000);
    }
    s->work_us = 40000; /* it has become slower for good: 500 a second */
    simulate(s, a, 60);
    simulate(s, a, 60);
    print_message("limit %u, %.0f/s, %.1f ms\n", look(a).limit, (double)s->done / 60,
                  s->latency_us / 1000);
    assert_true((double)s->done / 60 > 450 && s->latency_us < 80000);
    s->work_us = 2000; /* and quick: all 5000 are let through */
    simulate(s, a, 60);
    simulate(s, a, 60);
    print_message("limit %u, %.0f/s, %.1f ms\n", look(a).limit, (double)s->done / 60,
                  s->latency_us / 1000);
    assert_true((double)s->done / 60 > 4800 && s->latency_us < 4000);
    assert_true(shows(f, "adaptive_concurrency_limit{name=\"default\"} "));
    free(s);
    sx_adaptive_free(a);
}

static void test_a_limit_that_is_not_used_does_not_grow(void **state)
{
    fixture *f = *state;
    sx_adaptive *a = make_adaptive(f, NULL);
    server *s = calloc(1, sizeof(*s));
    *s = (server){.clock = &f->clock, .workers = 20, .work_us = 10000, .gap_us = 5000};
    simulate(s, a, 60); /* two at once */
    assert_int_equal(s->refused, 0);
    assert_true(look(a).limit <= 21);
    free(s);
    sx_adaptive_free(a);
}

static void test_dropped_calls_cut_the_limit(void **state)
{
    fixture *f = *state;
    sx_adaptive *a = make_adaptive(f, NULL);
    for (int i = 0; i < 1000; i++) {
        sx_adaptive_pass pass;
        assert_true(sx_adaptive_allow(a, &pass));
        sx_fake_clock_advance(&f->clock, 20);
        sx_adaptive_done(a, &pass, i % 50 ? SX_ADAPTIVE_IGNORED : SX_ADAPTIVE_DROPPED);
    }
    assert_int_equal(look(a).limit, 16); /* twice ten: 20 x 0.9 x 0.9 */
    for (int i = 0; i < 100000; i++) {
        sx_adaptive_pass pass;
        assert_true(sx_adaptive_allow(a, &pass));
        sx_fake_clock_advance(&f->clock, 20);
        sx_adaptive_done(a, &pass, SX_ADAPTIVE_DROPPED);
    }
    assert_int_equal(look(a).limit, 2); /* never less */
    assert_int_equal(look(a).running, 0);
    sx_adaptive_free(a);
}

static void test_wrong_settings_are_refused(void **state)
{
    (void)state;
    static const sx_adaptive_options WRONG[] = {
        {.limit_min = 10, .limit_max = 5},
        {.limit_start = 2000},
        {.tolerance = 0.5},
        {.smoothing = 1.5},
        {.smoothing = -1},
    };
    sx_adaptive *a = NULL;
    for (size_t i = 0; i < SX_COUNT_OF(WRONG); i++) {
        sx_error err = {0};
        assert_int_equal(sx_adaptive_new(&WRONG[i], &a, &err), SX_EINVAL);
        assert_true(err.message[0] != '\0');
    }
}

static void *use_adaptive(void *arg)
{
    sx_adaptive *a = arg;
    for (int i = 0; i < 50000; i++) {
        sx_adaptive_pass pass;
        if (sx_adaptive_allow(a, &pass))
            sx_adaptive_done(a, &pass, (sx_adaptive_outcome)(i % SX_ADAPTIVE_OUTCOMES));
    }
    return NULL;
}

static void test_many_threads_leave_it_sane(void **state)
{
    fixture *f = *state;
    pthread_t threads[4];
    sx_adaptive_options o = {.window_ms = 1, .metrics = f->metrics};
    sx_adaptive *a;
    assert_int_equal(sx_adaptive_new(&o, &a, NULL), SX_OK); /* on the system's clock */
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_adaptive, a), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(look(a).running, 0);
    assert_in_range(look(a).limit, 2, 1000);
    sx_adaptive_free(a);
}

static void test_without_memory_it_says_so(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        sx_error err = {0};
        sx_metrics *metrics;
        sx_bulkhead *b = NULL;
        sx_adaptive *a = NULL;
        assert_int_equal(sx_metrics_new(NULL, &metrics, NULL), SX_OK);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = sx_bulkhead_new(&(sx_bulkhead_options){.metrics = metrics}, &b, &err);
        if (status == SX_OK)
            status = sx_adaptive_new(&(sx_adaptive_options){.metrics = metrics}, &a, &err);
        bool over = sx_fault_alloc_calls() < nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(status == SX_OK || (status == SX_ENOMEM && err.message[0] != '\0'));
        sx_bulkhead_free(b);
        sx_adaptive_free(a);
        sx_metrics_free(metrics);
        if (over)
            return;
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_places_go_to_who_has_waited_longest),
        T(test_who_waits_too_long_is_told),
        T(test_new_limits_let_more_in),
        T(test_many_threads_never_pass_the_limit),
        T(test_a_turn_is_told_on_its_loop),
        T(test_turns_are_woken_from_other_threads),
        T(test_an_overloaded_server_stays_quick_and_busy),
        T(test_a_limit_that_is_not_used_does_not_grow),
        T(test_dropped_calls_cut_the_limit),
        T(test_wrong_settings_are_refused),
        T(test_many_threads_leave_it_sane),
        T(test_without_memory_it_says_so),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}

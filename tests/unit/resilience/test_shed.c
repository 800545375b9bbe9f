/* test_shed.c - load shedding on a fake clock: what each signal does, who is refused first, and that
 * the pressure settles. */
#include <sextant/shed.h>

#include <pthread.h>
#include <stdlib.h>

#include <sextant/random.h>

#include "base/fault.h"
#include "tests/unit/base/cmocka_all.h"

typedef struct fixture {
    sx_fake_clock clock;
    sx_metrics *metrics;
    sx_shed_options o;
    sx_shed *s;
} fixture;

enum { MS = 1000000 };

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    sx_fake_clock_init(&f->clock, 1700000000000);
    assert_int_equal(sx_metrics_new(NULL, &f->metrics, NULL), SX_OK);
    f->o = (sx_shed_options){.clock = &f->clock.clock, .metrics = f->metrics};
    assert_int_equal(sx_shed_new(&f->o, &f->s, NULL), SX_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sx_shed_free(f->s);
    sx_metrics_free(f->metrics);
    free(f);
    return 0;
}

static sx_shed_info look(fixture *f)
{
    sx_shed_info info;
    sx_shed_info_of(f->s, &info);
    return info;
}

/* How many of a thousand get through. */
static int through(fixture *f, sx_priority priority)
{
    int n = 0;
    for (int i = 0; i < 1000; i++)
        if (sx_shed_allow(f->s, priority)) {
            sx_shed_done(f->s);
            n++;
        }
    return n;
}

/* So many intervals in each of which one request waited so long, and others not shorter. */
static void queue_for(fixture *f, int intervals, int64_t ms)
{
    for (int i = 0; i < intervals; i++) {
        sx_shed_queue_delay(f->s, ms * MS + 5);
        sx_shed_queue_delay(f->s, ms * MS);
        sx_fake_clock_advance(&f->clock, 100);
        sx_shed_queue_delay(f->s, ms * MS);
    }
}

static void test_without_load_all_get_through(void **state)
{
    fixture *f = *state;
    queue_for(f, 50, 40);
    for (int p = 0; p < SX_PRIORITIES; p++)
        assert_int_equal(through(f, (sx_priority)p), 1000);
    assert_true(look(f).pressure == 0 && look(f).queue > 0.79 && look(f).queue < 0.81);
}

static void test_the_sheddable_go_first_and_the_critical_last(void **state)
{
    fixture *f = *state;
    queue_for(f, 5, 50); /* five times ten */
    assert_true(look(f).pressure == 50);
    assert_in_range(through(f, SX_PRIORITY_SHEDDABLE), 499, 501);
    assert_int_equal(through(f, SX_PRIORITY_NORMAL), 1000);
    queue_for(f, 10, 50);
    assert_true(look(f).pressure == 150);
    assert_int_equal(through(f, SX_PRIORITY_SHEDDABLE), 0);
    assert_in_range(through(f, SX_PRIORITY_NORMAL), 499, 501);
    assert_int_equal(through(f, SX_PRIORITY_CRITICAL), 1000);
    queue_for(f, 100, 5000);
    assert_true(look(f).pressure == 290);
    assert_int_equal(through(f, SX_PRIORITY_NORMAL), 0);
    assert_in_range(through(f, SX_PRIORITY_CRITICAL), 99, 101); /* never none */
    assert_true(look(f).refused[SX_PRIORITY_CRITICAL] >= 899);
    assert_int_equal(look(f).running, 0);
}

static void test_a_burst_that_is_worked_off_is_no_overload(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 50; i++) { /* some wait long, but not all of an interval */
        for (int j = 0; j < 100; j++)
            sx_shed_queue_delay(f->s, (j == 50 ? 1 : 400) * (int64_t)MS);
        sx_fake_clock_advance(&f->clock, 100);
    }
    assert_true(look(f).pressure == 0);
}

static void test_pressure_falls_slowly_and_not_between(void **state)
{
    fixture *f = *state;
    queue_for(f, 10, 100); /* twice the target: twice as fast */
    assert_true(look(f).pressure == 200);
    queue_for(f, 20, 40); /* below the target, not below 0.7 of it */
    assert_true(look(f).pressure == 200);
    queue_for(f, 20, 10);
    assert_true(look(f).pressure == 100);
    sx_fake_clock_advance(&f->clock, 60000); /* nothing is told: a decision notices */
    sx_shed_allow(f->s, SX_PRIORITY_SHEDDABLE);
    sx_shed_done(f->s);
    assert_true(look(f).pressure == 0);
    assert_int_equal(through(f, SX_PRIORITY_SHEDDABLE), 1000);
}

static void test_late_loops_and_a_busy_processor_count(void **state)
{
    fixture *f = *state;
    sx_shed_loop_delay(f->s, 150 * (int64_t)MS);
    sx_shed_loop_delay(f->s, 1 * (int64_t)MS);
    sx_fake_clock_advance(&f->clock, 100);
    sx_shed_loop_delay(f->s, 0);
    assert_true(look(f).loop == 1.5 && look(f).pressure == 15);
    sx_shed_cpu(f->s, 0.99);
    for (int i = 0; i < 10; i++) { /* told once, counts for 20 intervals */
        sx_fake_clock_advance(&f->clock, 100);
        sx_shed_loop_delay(f->s, 0);
    }
    assert_true(look(f).pressure > 100);
    for (int i = 0; i < 100; i++) {
        sx_fake_clock_advance(&f->clock, 100);
        sx_shed_loop_delay(f->s, 0);
    }
    assert_true(look(f).pressure == 0);
    sx_shed_cpu(f->s, -1);
    assert_true(look(f).cpu == 0);
}

static void test_too_many_in_flight_are_refused_at_once(void **state)
{
    fixture *f = *state;
    sx_shed_free(f->s);
    f->o.in_flight_max = 100;
    assert_int_equal(sx_shed_new(&f->o, &f->s, NULL), SX_OK);
    int n[SX_PRIORITIES] = {0};
    while (sx_shed_allow(f->s, SX_PRIORITY_SHEDDABLE))
        n[SX_PRIORITY_SHEDDABLE]++;
    while (sx_shed_allow(f->s, SX_PRIORITY_NORMAL))
        n[SX_PRIORITY_NORMAL]++;
    while (sx_shed_allow(f->s, SX_PRIORITY_CRITICAL))
        n[SX_PRIORITY_CRITICAL]++;
    assert_int_equal(n[SX_PRIORITY_SHEDDABLE], 80);
    assert_int_equal(n[SX_PRIORITY_NORMAL], 20);
    assert_int_equal(n[SX_PRIORITY_CRITICAL], 10);
    for (int i = 0; i < 110; i++)
        sx_shed_done(f->s);
    assert_int_equal(through(f, SX_PRIORITY_SHEDDABLE), 1000);
}

/* A server of 1000 a second; requests in excess of it wait in a queue. */
static void test_pressure_settles_where_the_server_keeps_up(void **state)
{
    fixture *f = *state;
    sx_random random;
    sx_random_seed(&random, 5);
    double queued = 0, worst_late = 0;
    int normal = 0, normal_through = 0;
    for (int ms = 0; ms < 60000; ms++) {
        for (int i = 0; i < 2; i++) { /* 2000 a second, 800 of them normal */
            bool sheddable = sx_random_below(&random, 10) >= 4;
            bool allowed =
                sx_shed_allow(f->s, sheddable ? SX_PRIORITY_SHEDDABLE : SX_PRIORITY_NORMAL);
            queued += allowed;
            if (!sheddable && ms > 20000) {
                normal++;
                normal_through += allowed;
            }
            if (allowed)
                sx_shed_done(f->s);
        }
        queued = queued > 1 ? queued - 1 : 0;
        sx_shed_queue_delay(f->s, (int64_t)(queued * MS)); /* each takes a millisecond */
        if (ms > 20000 && queued > worst_late)
            worst_late = queued;
        sx_fake_clock_advance(&f->clock, 1);
    }
    print_message("worst wait %.0f ms, normal ones through: %.1f %%\n", worst_late,
                  100.0 * normal_through / normal);
    assert_true(worst_late < 500);
    assert_true(normal_through > normal * 0.97);
}

static void test_priorities_have_names(void **state)
{
    (void)state;
    sx_priority p;
    for (int i = 0; i < SX_PRIORITIES; i++) {
        assert_true(sx_priority_parse(sx_str_z(sx_priority_name((sx_priority)i)), &p));
        assert_int_equal(p, i);
    }
    assert_true(sx_priority_parse(SX_STR("CRITICAL"), &p) && p == SX_PRIORITY_CRITICAL);
    assert_false(sx_priority_parse(SX_STR("urgent"), &p));
    assert_false(sx_priority_parse(SX_STR(""), &p));
}

static void *use(void *arg)
{
    fixture *f = arg;
    for (int i = 0; i < 30000; i++) {
        sx_shed_queue_delay(f->s, 60 * (int64_t)MS);
        if (sx_shed_allow(f->s, (sx_priority)(i % SX_PRIORITIES)))
            sx_shed_done(f->s);
        if (i % 100 == 0) {
            sx_fake_clock_advance(&f->clock, 50);
            sx_shed_cpu(f->s, 0.5);
            look(f);
        }
    }
    return NULL;
}

static void test_many_threads_leave_it_sane(void **state)
{
    fixture *f = *state;
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, f), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(look(f).running, 0);
    assert_true(look(f).pressure == 290);
}

static void test_without_memory_it_says_so(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        sx_error err = {0};
        sx_shed *s = NULL;
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = sx_shed_new(NULL, &s, &err);
        bool over = sx_fault_alloc_calls() < nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(status == SX_OK || (status == SX_ENOMEM && err.message[0] != '\0'));
        sx_shed_free(s);
        if (over)
            return;
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_without_load_all_get_through),
        T(test_the_sheddable_go_first_and_the_critical_last),
        T(test_a_burst_that_is_worked_off_is_no_overload),
        T(test_pressure_falls_slowly_and_not_between),
        T(test_late_loops_and_a_busy_processor_count),
        T(test_too_many_in_flight_are_refused_at_once),
        T(test_pressure_settles_where_the_server_keeps_up),
        T(test_priorities_have_names),
        T(test_many_threads_leave_it_sane),
        T(test_without_memory_it_says_so),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}

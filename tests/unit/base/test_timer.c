/* test_timer.c - the timing wheel on a fake clock, and beside a plain list of due times. */
#include <sextant/timer.h>

#include <string.h>

#include <sextant/random.h>

#include "tests/unit/base/cmocka_all.h"

typedef struct fixture {
    sx_fake_clock clock;
    sx_timers timers;
    sx_timer timer[4];
    char fired[64]; /* the timers that fired, in order: 'a' is timer[0] */
    size_t count;
} fixture;

static void note(sx_timer *timer, void *arg)
{
    fixture *f = arg;
    assert_false(sx_timer_running(timer));
    if (f->count < sizeof(f->fired) - 1)
        f->fired[f->count++] = (char)('a' + (timer - f->timer));
}

static int set_up(void **state)
{
    static fixture f;
    memset(&f, 0, sizeof(f));
    sx_fake_clock_init(&f.clock, 0);
    sx_timers_init(&f.timers, &f.clock.clock);
    for (size_t i = 0; i < SX_COUNT_OF(f.timer); i++)
        f.timer[i] = (sx_timer){.fn = note, .arg = &f};
    *state = &f;
    return 0;
}

static size_t advance(fixture *f, int64_t ms)
{
    sx_fake_clock_advance(&f->clock, ms);
    size_t called = sx_timers_run(&f->timers);
    sx_timers_check(&f->timers);
    return called;
}

static void test_a_timer_fires_once_at_its_time(void **state)
{
    fixture *f = *state;
    static const int64_t DELAYS[] = {0,    1,    63,       64,     65,         4095,
                                     4096, 4097, 86400000, 262144, 1000000000, 1};
    assert_int_equal(sx_timers_next_ms(&f->timers), -1);
    for (size_t i = 0; i < SX_COUNT_OF(DELAYS); i++) {
        int64_t delay = DELAYS[i];
        sx_timer_start(&f->timers, &f->timer[0], delay);
        assert_true(sx_timer_running(&f->timer[0]));
        assert_int_equal(sx_timers_next_ms(&f->timers), delay);
        if (delay > 0)
            assert_int_equal(advance(f, delay - 1), 0);
        assert_int_equal(advance(f, delay > 0 ? 1 : 0), 1);
        assert_int_equal(advance(f, 1000000), 0);
        assert_int_equal(sx_timers_next_ms(&f->timers), -1);
    }
}

static void test_timers_fire_in_order_of_time_then_of_start(void **state)
{
    fixture *f = *state;
    sx_timer_start(&f->timers, &f->timer[0], 5000);
    sx_timer_start(&f->timers, &f->timer[1], 70);
    sx_timer_start(&f->timers, &f->timer[2], 5000);
    sx_timer_start(&f->timers, &f->timer[3], 4999);
    assert_int_equal(sx_timers_next_ms(&f->timers), 70);
    assert_int_equal(advance(f, 6000), 4);
    assert_string_equal(f->fired, "bdac");
}

static void test_a_restart_moves_and_a_stop_removes(void **state)
{
    fixture *f = *state;
    sx_timer_start(&f->timers, &f->timer[0], 10);
    sx_timer_start(&f->timers, &f->timer[0], 100);
    sx_timer_start(&f->timers, &f->timer[1], 20);
    sx_timer_stop(&f->timers, &f->timer[1]);
    sx_timer_stop(&f->timers, &f->timer[1]);
    assert_int_equal(advance(f, 99), 0);
    assert_int_equal(advance(f, 1), 1);
    sx_timer_start(&f->timers, &f->timer[2], -5);
    assert_int_equal(sx_timers_next_ms(&f->timers), 0);
    assert_int_equal(advance(f, 0), 1);
    sx_timer_start(&f->timers, &f->timer[3], INT64_MAX);
    assert_int_equal(advance(f, 1000000000000), 0);
    sx_timer_stop(&f->timers, &f->timer[3]);
    assert_int_equal(f->timers.count, 0);
}

static void restart_at_once(sx_timer *timer, void *arg)
{
    fixture *f = arg;
    note(timer, arg);
    sx_timer_start(&f->timers, timer, 0);
}

static void test_a_timer_that_restarts_at_once_waits_for_the_next_run(void **state)
{
    fixture *f = *state;
    f->timer[0].fn = restart_at_once;
    sx_timer_start(&f->timers, &f->timer[0], 1);
    assert_int_equal(advance(f, 1), 1);
    assert_int_equal(sx_timers_next_ms(&f->timers), 0);
    assert_int_equal(advance(f, 0), 1);
    assert_int_equal(advance(f, 500), 1);
}

static void stop_the_next(sx_timer *timer, void *arg)
{
    fixture *f = arg;
    note(timer, arg);
    sx_timer_stop(&f->timers, timer + 1);          /* due in this same run */
    sx_timer_start(&f->timers, &f->timer[2], 100); /* due too, put off */
}

static void test_a_callback_may_stop_and_move_timers_that_are_due(void **state)
{
    fixture *f = *state;
    f->timer[0].fn = stop_the_next;
    for (size_t i = 0; i < 3; i++)
        sx_timer_start(&f->timers, &f->timer[i], 7);
    assert_int_equal(advance(f, 50), 1);
    assert_string_equal(f->fired, "a");
    assert_int_equal(advance(f, 99), 0);
    assert_int_equal(advance(f, 1), 1);
    assert_string_equal(f->fired, "ac");
}

static void test_a_run_goes_no_further_than_it_is_told(void **state)
{
    fixture *f = *state;
    int64_t start_ms = sx_timers_now_ms(&f->timers);
    for (int i = 0; i < 3; i++)
        sx_timer_start(&f->timers, &f->timer[i], 100 * (i + 1));
    sx_fake_clock_advance(&f->clock, 1000);
    assert_int_equal(sx_timers_run_until(&f->timers, start_ms + 99), 0);
    assert_int_equal(sx_timers_run_until(&f->timers, start_ms + 200), 2);
    sx_timers_check(&f->timers);
    assert_int_equal(sx_timers_now_ms(&f->timers), start_ms + 1000);
    assert_int_equal(sx_timers_run_until(&f->timers, start_ms + 150),
                     0);                         /* a run was there already */
    sx_timer_start(&f->timers, &f->timer[3], 0); /* counts from now */
    assert_int_equal(sx_timers_run_until(&f->timers, start_ms + 999), 1);
    assert_int_equal(sx_timers_run_until(&f->timers, start_ms + 5000),
                     1); /* never into the future */
    assert_string_equal(f->fired, "abcd");
    sx_timer_start(&f->timers, &f->timer[0], 1);
    assert_int_equal(sx_timers_run_until(&f->timers, start_ms + 5000), 0);
    sx_timer_stop(&f->timers, &f->timer[0]);
}

static void test_delays_count_from_the_cached_now(void **state)
{
    fixture *f = *state;
    sx_fake_clock_advance(&f->clock, 30);
    sx_timers_update(&f->timers);
    assert_int_equal(sx_timers_now_ms(&f->timers), 1030);
    sx_timer_start(&f->timers, &f->timer[0], 10);
    assert_int_equal(advance(f, 9), 0);
    assert_int_equal(advance(f, 1), 1);
}

static void test_next_is_never_late_when_many_share_a_slot(void **state)
{
    fixture *f = *state;
    enum { MANY = 200 };
    static sx_timer many[MANY];
    for (size_t i = 0; i < MANY; i++) {
        many[i] = (sx_timer){.fn = note, .arg = f};
        sx_timer_start(&f->timers, &many[i], 100000 + (int64_t)i);
    }
    int64_t waited = 0;
    int runs = 0;
    for (size_t fired = 0; fired == 0; runs++) {
        int64_t wait = sx_timers_next_ms(&f->timers);
        assert_true(wait >= 0 && waited + wait <= 100000);
        fired = advance(f, wait);
        waited += wait;
    }
    assert_int_equal(waited, 100000);
    assert_true(runs <= 6);
    for (size_t i = 0; i < MANY; i++)
        sx_timer_stop(&f->timers, &many[i]);
}

enum { MODEL_TIMERS = 60 };

typedef struct model {
    sx_timer timer;
    int64_t due; /* -1: stopped */
    int64_t fired_at;
} model;

static sx_fake_clock model_clock;

static void fired(sx_timer *timer, void *arg)
{
    (void)timer;
    model *m = arg;
    m->fired_at = sx_clock_mono_ms(&model_clock.clock);
}

static void test_the_wheel_does_what_a_list_of_due_times_does(void **state)
{
    fixture *f = *state;
    static model all[MODEL_TIMERS];
    sx_random r;
    sx_random_seed(&r, 42);
    sx_fake_clock_init(&model_clock, 0);
    sx_timers_init(&f->timers, &model_clock.clock);
    for (size_t i = 0; i < MODEL_TIMERS; i++)
        all[i] = (model){.timer = {.fn = fired, .arg = &all[i]}, .due = -1};
    for (int step = 0; step < 20000; step++) {
        int64_t now = sx_timers_now_ms(&f->timers);
        model *m = &all[sx_random_below(&r, MODEL_TIMERS)];
        int64_t span = (int64_t)1 << sx_random_below(&r, 30);
        switch (sx_random_below(&r, 4)) {
        case 0:
            sx_timer_stop(&f->timers, &m->timer);
            m->due = -1;
            break;
        case 1:
        case 2:
            m->due = now + (int64_t)sx_random_below(&r, (uint64_t)span);
            sx_timer_start(&f->timers, &m->timer, m->due - now);
            break;
        default:
            sx_fake_clock_advance(&model_clock, (int64_t)sx_random_below(&r, (uint64_t)span));
            now = sx_clock_mono_ms(&model_clock.clock);
            for (size_t i = 0; i < MODEL_TIMERS; i++)
                all[i].fired_at = -1;
            sx_timers_run(&f->timers);
            for (size_t i = 0; i < MODEL_TIMERS; i++) {
                bool due = all[i].due >= 0 && all[i].due <= now;
                assert_int_equal(all[i].fired_at, due ? now : -1);
                all[i].due = due ? -1 : all[i].due;
            }
        }
        int64_t least = INT64_MAX;
        for (size_t i = 0; i < MODEL_TIMERS; i++) {
            assert_int_equal(sx_timer_running(&all[i].timer), all[i].due >= 0);
            if (all[i].due >= 0 && all[i].due < least)
                least = all[i].due;
        }
        int64_t next = sx_timers_next_ms(&f->timers);
        assert_true(least == INT64_MAX ? next == -1 : next >= 0 && next <= least - now);
        sx_timers_check(&f->timers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_timer_fires_once_at_its_time, set_up),
        cmocka_unit_test_setup(test_timers_fire_in_order_of_time_then_of_start, set_up),
        cmocka_unit_test_setup(test_a_restart_moves_and_a_stop_removes, set_up),
        cmocka_unit_test_setup(test_a_timer_that_restarts_at_once_waits_for_the_next_run, set_up),
        cmocka_unit_test_setup(test_a_callback_may_stop_and_move_timers_that_are_due, set_up),
        cmocka_unit_test_setup(test_a_run_goes_no_further_than_it_is_told, set_up),
        cmocka_unit_test_setup(test_delays_count_from_the_cached_now, set_up),
        cmocka_unit_test_setup(test_next_is_never_late_when_many_share_a_slot, set_up),
        cmocka_unit_test_setup(test_the_wheel_does_what_a_list_of_due_times_does, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

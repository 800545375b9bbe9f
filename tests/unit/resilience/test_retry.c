/* test_retry.c - retries and hedges: what the policies decide, and the helpers on a fake clock. */
#include <sextant/retry.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/random.h>

#include "base/fault.h"
#include "tests/unit/base/cmocka_all.h"

typedef struct fixture {
    sx_fake_clock clock;
    sx_timers timers;
    sx_metrics *metrics;
    sx_retry_options o;
    sx_retry *r;
    sx_hedge_options ho;
    sx_hedge *h;

    /* What the operations under test saw. */
    sx_retry_call call;
    sx_hedge_call hedged;
    uint32_t started, cancelled, done, timeout_ms;
    uint32_t cancelled_attempts; /* bits */
    sx_status status;
    unsigned winner;
    int fails; /* so many tries end with SX_EIO at once */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    sx_fake_clock_init(&f->clock, 1700000000000);
    sx_timers_init(&f->timers, &f->clock.clock);
    assert_int_equal(sx_metrics_new(NULL, &f->metrics, NULL), SX_OK);
    f->o = (sx_retry_options){.clock = &f->clock.clock, .metrics = f->metrics, .seed = 1};
    f->ho = (sx_hedge_options){.clock = &f->clock.clock, .metrics = f->metrics};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sx_retry_free(f->r);
    sx_hedge_free(f->h);
    sx_metrics_free(f->metrics);
    free(f);
    return 0;
}

static void make(fixture *f)
{
    assert_int_equal(sx_retry_new(&f->o, &f->r, NULL), SX_OK);
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

/* ---- the policy ---- */

static void test_waits_double_up_to_the_most(void **state)
{
    fixture *f = *state;
    f->o.jitter = SX_JITTER_NONE;
    f->o.attempts_max = 8;
    f->o.wait_ms_max = 500;
    make(f);
    static const uint32_t WAITS[] = {50, 100, 200, 400, 500, 500, 500};
    sx_retry_run run;
    uint32_t wait_ms;
    sx_retry_begin(f->r, NULL, &run);
    for (size_t i = 0; i < SX_COUNT_OF(WAITS); i++) {
        assert_int_equal(sx_retry_next(&run, 0, &wait_ms), SX_RETRY_GO);
        assert_int_equal(wait_ms, WAITS[i]);
    }
    assert_int_equal(sx_retry_next(&run, 0, &wait_ms), SX_RETRY_NO_TRIES);
    sx_retry_end(&run, false);
    assert_true(shows(f, "retry_retries_total{name=\"default\"} 7\n"));
    assert_true(shows(f, "retry_stopped_total{name=\"default\",reason=\"attempts\"} 1\n"));
    assert_true(shows(f, "retry_calls_total{name=\"default\",outcome=\"failed\"} 1\n"));
    assert_true(shows(f, "retry_wait_seconds_total{name=\"default\"} 2.25\n"));
}

/* The mean of the second wait and its bounds over many runs. */
static double mean_wait(fixture *f, uint32_t least, uint32_t most)
{
    double sum = 0;
    f->o.budget_ratio = -1;
    make(f);
    for (int i = 0; i < 20000; i++) {
        sx_retry_run run;
        uint32_t wait_ms;
        sx_retry_begin(f->r, NULL, &run);
        assert_int_equal(sx_retry_next(&run, 0, &wait_ms), SX_RETRY_GO);
        assert_int_equal(sx_retry_next(&run, 0, &wait_ms), SX_RETRY_GO);
        assert_in_range(wait_ms, least, most);
        sum += wait_ms;
    }
    return sum / 20000;
}

static void test_full_jitter_is_even(void **state)
{
    fixture *f = *state;
    double mean = mean_wait(f, 0, 100);
    assert_true(mean > 49 && mean < 51);
}

static void test_decorrelated_jitter_grows_from_the_last_wait(void **state)
{
    fixture *f = *state;
    f->o.jitter = SX_JITTER_DECORRELATED;
    double mean = mean_wait(f, 50, 450); /* of 50 to 3 x (50 to 150) */
    assert_true(mean > 171 && mean < 179);
}

static void test_deadlines_stop_retries_and_shorten_tries(void **state)
{
    fixture *f = *state;
    f->o.jitter = SX_JITTER_NONE;
    f->o.try_ms = 300;
    f->o.total_ms = 1000;
    make(f);
    sx_retry_run run;
    uint32_t wait_ms;
    sx_context context = {.deadline_mono_ns = sx_clock_mono_ns(&f->clock.clock) + 500000000};
    sx_retry_begin(f->r, &context, &run);
    assert_int_equal(sx_retry_try_ms(&run), 300);
    sx_fake_clock_advance(&f->clock, 300);
    assert_int_equal(sx_retry_next(&run, 0, &wait_ms), SX_RETRY_GO);
    assert_int_equal(sx_retry_try_ms(&run), 200);
    sx_fake_clock_advance(&f->clock, 110);
    assert_int_equal(sx_retry_next(&run, 0, &wait_ms), SX_RETRY_NO_TIME); /* 100 of 90 */
    sx_fake_clock_advance(&f->clock, 1000);
    assert_int_equal(sx_retry_try_ms(&run), 1); /* never 0, which is no limit */
    sx_retry_begin(f->r, NULL, &run);
    sx_fake_clock_advance(&f->clock, 900);
    assert_int_equal(sx_retry_try_ms(&run), 100); /* its own total */
}

static void test_retry_after_is_honoured_up_to_a_limit(void **state)
{
    fixture *f = *state;
    make(f);
    sx_retry_run run;
    uint32_t wait_ms;
    sx_retry_begin(f->r, NULL, &run);
    assert_int_equal(sx_retry_next(&run, 3000, &wait_ms), SX_RETRY_GO);
    assert_int_equal(wait_ms, 3000);
    assert_int_equal(sx_retry_next(&run, 30001, &wait_ms), SX_RETRY_TOO_LONG);
}

static void test_retry_after_fields_are_read(void **state)
{
    (void)state;
    int64_t now_ms = 784111777000; /* Sun, 06 Nov 1994 08:49:37 GMT */
    assert_int_equal(sx_retry_after_parse(SX_STR("120"), now_ms), 120000);
    assert_int_equal(sx_retry_after_parse(SX_STR(" 0 "), now_ms), 1);
    assert_int_equal(sx_retry_after_parse(SX_STR("99999999999"), now_ms), UINT32_MAX);
    assert_int_equal(sx_retry_after_parse(SX_STR("Sun, 06 Nov 1994 08:49:47 GMT"), now_ms), 10000);
    assert_int_equal(sx_retry_after_parse(SX_STR("Sun, 06 Nov 1994 08:49:07 GMT"), now_ms), 1);
    static const char *const WRONG[] = {"", "soon", "-1", "1.5", "Sun, 99 Nov 1994 08:49:37 GMT"};
    for (size_t i = 0; i < SX_COUNT_OF(WRONG); i++)
        assert_int_equal(sx_retry_after_parse(sx_str_z(WRONG[i]), now_ms), 0);
}

static void test_the_budget_bounds_retries_when_all_fails(void **state)
{
    fixture *f = *state;
    make(f);
    uint64_t retries = 0, calls = 0;
    for (int second = 0; second < 100; second++) {
        for (int i = 0; i < 200; i++) {
            sx_retry_run run;
            uint32_t wait_ms;
            sx_retry_begin(f->r, NULL, &run);
            calls++;
            while (sx_retry_next(&run, 0, &wait_ms) == SX_RETRY_GO)
                retries++;
            sx_retry_end(&run, false);
            sx_fake_clock_advance(&f->clock, 5);
        }
    }
    /* A fifth of the calls, ten a second, and what was there at the start. */
    assert_in_range(retries, calls / 5 + 980, calls / 5 + 1010);
}

static void *spend(void *arg)
{
    fixture *f = arg;
    uint64_t *retries = calloc(1, sizeof(*retries));
    for (int i = 0; i < 20000; i++) {
        sx_retry_run run;
        uint32_t wait_ms;
        sx_retry_begin(f->r, NULL, &run);
        while (sx_retry_next(&run, 0, &wait_ms) == SX_RETRY_GO)
            ++*retries;
        sx_retry_end(&run, false);
    }
    return retries;
}

static void test_threads_share_one_budget(void **state)
{
    fixture *f = *state;
    make(f);
    pthread_t threads[4];
    uint64_t retries = 0;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, spend, f), 0);
    for (size_t i = 0; i < 4; i++) {
        void *one;
        pthread_join(threads[i], &one);
        retries += *(uint64_t *)one;
        free(one);
    }
    assert_in_range(retries, 15000, 80000 / 5 + 10);
}

/* ---- on a loop's timers ---- */

static void start_try(sx_retry_call *c, void *ctx, uint32_t attempt, uint32_t timeout_ms)
{
    fixture *f = ctx;
    assert_int_equal(attempt, ++f->started);
    f->timeout_ms = timeout_ms;
    if (f->fails > 0) {
        f->fails--;
        sx_retry_call_result(c, SX_EIO, true, 0);
    }
}

static void cancel_try(sx_retry_call *c, void *ctx)
{
    fixture *f = ctx;
    assert_ptr_equal(c, &f->call);
    f->cancelled++;
}

static void done_try(sx_retry_call *c, void *ctx, sx_status status)
{
    fixture *f = ctx;
    f->done++;
    f->status = status;
    memset(c, 0xee, sizeof(*c)); /* as if it was freed */
}

static void start_call(fixture *f)
{
    make(f);
    sx_retry_call_options o = {.policy = f->r,
                               .timers = &f->timers,
                               .start = start_try,
                               .cancel = cancel_try,
                               .done = done_try,
                               .ctx = f};
    sx_retry_call_start(&f->call, &o);
}

static void pass(fixture *f, int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        sx_fake_clock_advance(&f->clock, 1);
        sx_timers_run(&f->timers);
    }
}

static void test_a_call_is_tried_until_it_works(void **state)
{
    fixture *f = *state;
    f->fails = 2;
    start_call(f);
    assert_int_equal(f->started, 1);
    pass(f, 200);
    assert_int_equal(f->started, 3);
    assert_int_equal(f->done, 0);
    sx_retry_call_result(&f->call, SX_OK, false, 0);
    assert_true(f->done == 1 && f->status == SX_OK);
    assert_int_equal(f->timers.count, 0);
    assert_true(shows(f, "retry_calls_total{name=\"default\",outcome=\"retried\"} 1\n"));
}

static void test_what_is_not_worth_it_is_not_tried_again(void **state)
{
    fixture *f = *state;
    start_call(f);
    sx_retry_call_result(&f->call, SX_EINVAL, false, 0);
    assert_true(f->done == 1 && f->status == SX_EINVAL && f->started == 1);
}

static void test_a_try_that_hangs_is_cancelled(void **state)
{
    fixture *f = *state;
    f->o.try_ms = 100;
    f->o.attempts_max = 2;
    start_call(f);
    assert_int_equal(f->timeout_ms, 100);
    pass(f, 99);
    assert_int_equal(f->cancelled, 0);
    pass(f, 1);
    assert_int_equal(f->cancelled, 1);
    pass(f, 50);
    assert_int_equal(f->started, 2);
    pass(f, 100);
    assert_int_equal(f->cancelled, 2);
    assert_true(f->done == 1 && f->status == SX_ETIMEOUT);
}

static void test_a_call_that_is_given_up_says_no_more(void **state)
{
    fixture *f = *state;
    start_call(f);
    sx_retry_call_cancel(&f->call);
    assert_true(f->cancelled == 1 && f->done == 0 && f->timers.count == 0);
    f->started = 0;
    f->fails = 1;
    sx_retry_free(f->r);
    start_call(f);
    sx_retry_call_cancel(&f->call); /* while it waits */
    pass(f, 5000);
    assert_true(f->cancelled == 1 && f->done == 0 && f->started == 1);
}

/* ---- hedging ---- */

static void test_the_delay_is_the_95th_percentile(void **state)
{
    fixture *f = *state;
    assert_int_equal(sx_hedge_new(&f->ho, &f->h, NULL), SX_OK);
    assert_int_equal(sx_hedge_begin(f->h), -1); /* nothing is known */
    for (int i = 0; i < 20000; i++)
        sx_hedge_end(f->h, SX_HEDGE_NOT_NEEDED, (int64_t)(i % 100 + 1) * 1000000);
    int64_t delay_ns = sx_hedge_begin(f->h);
    assert_in_range(delay_ns, 95000000, 95000000 * 9 / 8);
    for (int i = 0; i < 200000; i++) /* it has become quicker */
        sx_hedge_end(f->h, SX_HEDGE_NOT_NEEDED, 3000000);
    assert_in_range(sx_hedge_begin(f->h), 3000000, 3400000);
    for (int i = 0; i < 200000; i++)
        sx_hedge_end(f->h, SX_HEDGE_NOT_NEEDED, i % 2 ? 0 : INT64_MAX);
    assert_true(sx_hedge_begin(f->h) > 0);
}

static void test_wrong_quantiles_are_refused(void **state)
{
    fixture *f = *state;
    sx_error err;
    f->ho.quantile = 1;
    assert_int_equal(sx_hedge_new(&f->ho, &f->h, &err), SX_EINVAL);
    f->ho.quantile = -0.5;
    assert_int_equal(sx_hedge_new(&f->ho, &f->h, &err), SX_EINVAL);
}

static void start_hedge(sx_hedge_call *c, void *ctx, unsigned attempt)
{
    fixture *f = ctx;
    (void)c;
    assert_int_equal(attempt, f->started);
    f->started++;
}

static void cancel_hedge(sx_hedge_call *c, void *ctx, unsigned attempt)
{
    fixture *f = ctx;
    (void)c;
    f->cancelled_attempts |= 1u << attempt;
}

static void done_hedge(sx_hedge_call *c, void *ctx, unsigned attempt, sx_status status)
{
    fixture *f = ctx;
    f->done++;
    f->winner = attempt;
    f->status = status;
    memset(c, 0xee, sizeof(*c));
}

static void start_hedged(fixture *f)
{
    f->started = f->done = f->cancelled_attempts = 0;
    sx_hedge_call_options o = {.policy = f->h,
                               .timers = &f->timers,
                               .start = start_hedge,
                               .cancel = cancel_hedge,
                               .done = done_hedge,
                               .ctx = f};
    sx_hedge_call_start(&f->hedged, &o);
}

static void make_hedge(fixture *f)
{
    f->ho.delay_ms = 20;
    assert_int_equal(sx_hedge_new(&f->ho, &f->h, NULL), SX_OK);
}

static void test_the_first_answer_wins_and_the_other_is_cancelled(void **state)
{
    fixture *f = *state;
    make_hedge(f);
    pass(f, 2000); /* so that the budget has one */
    start_hedged(f);
    pass(f, 19);
    assert_int_equal(f->started, 1);
    pass(f, 1);
    assert_int_equal(f->started, 2);
    sx_hedge_call_result(&f->hedged, 1, SX_OK);
    assert_true(f->done == 1 && f->winner == 1 && f->cancelled_attempts == 1);

    pass(f, 2000); /* so that the budget has one */
    start_hedged(f);
    pass(f, 20);
    sx_hedge_call_result(&f->hedged, 1, SX_EIO); /* the first may still do it */
    assert_int_equal(f->done, 0);
    sx_hedge_call_result(&f->hedged, 0, SX_OK);
    assert_true(f->done == 1 && f->winner == 0 && f->cancelled_attempts == 0);

    pass(f, 2000); /* so that the budget has one */
    start_hedged(f);
    pass(f, 5);
    sx_hedge_call_result(&f->hedged, 0, SX_OK); /* quick enough */
    assert_true(f->done == 1 && f->started == 1);
    pass(f, 100);
    assert_int_equal(f->started, 1);

    pass(f, 2000); /* so that the budget has one */
    start_hedged(f);
    pass(f, 20);
    sx_hedge_call_result(&f->hedged, 0, SX_EIO);
    sx_hedge_call_result(&f->hedged, 1, SX_ETIMEOUT);
    assert_true(f->done == 1 && f->status == SX_ETIMEOUT);

    pass(f, 2000); /* so that the budget has one */
    start_hedged(f);
    pass(f, 20);
    sx_hedge_call_cancel(&f->hedged);
    assert_true(f->done == 0 && f->cancelled_attempts == 3 && f->timers.count == 0);
    assert_true(shows(f, "hedge_calls_total{name=\"default\",outcome=\"second_won\"} 1\n"));
    assert_true(shows(f, "hedge_calls_total{name=\"default\",outcome=\"both_failed\"} 1\n"));
    assert_true(shows(f, "hedge_delay_seconds{name=\"default\"} 0.02\n"));
}

static void test_hedges_stay_within_their_budget(void **state)
{
    fixture *f = *state;
    make_hedge(f);
    uint32_t hedged = 0;
    for (int i = 0; i < 5000; i++) { /* all are slow: 125 s */
        start_hedged(f);
        pass(f, 25);
        hedged += f->started == 2;
        sx_hedge_call_result(&f->hedged, 0, SX_OK);
    }
    assert_in_range(hedged, 600, 640); /* a tenth of the calls and one a second */
}

static void test_without_memory_it_says_so(void **state)
{
    fixture *f = *state;
    for (int64_t nth = 1;; nth++) {
        sx_error err = {0};
        sx_metrics *metrics;
        sx_retry *r = NULL;
        sx_hedge *h = NULL;
        assert_int_equal(sx_metrics_new(NULL, &metrics, NULL), SX_OK);
        f->o.metrics = f->ho.metrics = metrics;
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = sx_retry_new(&f->o, &r, &err);
        if (status == SX_OK)
            status = sx_hedge_new(&f->ho, &h, &err);
        bool over = sx_fault_alloc_calls() < nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(status == SX_OK || status == SX_ENOMEM);
        assert_true(status == SX_OK || err.message[0] != '\0');
        sx_retry_free(r);
        sx_hedge_free(h);
        sx_metrics_free(metrics);
        if (over)
            return;
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_waits_double_up_to_the_most),
        T(test_full_jitter_is_even),
        T(test_decorrelated_jitter_grows_from_the_last_wait),
        T(test_deadlines_stop_retries_and_shorten_tries),
        T(test_retry_after_is_honoured_up_to_a_limit),
        T(test_retry_after_fields_are_read),
        T(test_the_budget_bounds_retries_when_all_fails),
        T(test_threads_share_one_budget),
        T(test_a_call_is_tried_until_it_works),
        T(test_what_is_not_worth_it_is_not_tried_again),
        T(test_a_try_that_hangs_is_cancelled),
        T(test_a_call_that_is_given_up_says_no_more),
        T(test_the_delay_is_the_95th_percentile),
        T(test_wrong_quantiles_are_refused),
        T(test_the_first_answer_wins_and_the_other_is_cancelled),
        T(test_hedges_stay_within_their_budget),
        T(test_without_memory_it_says_so),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_breaker.c - circuit breakers on a fake clock, beside a plain model, and by many threads. */
#include <sextant/breaker.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sextant/random.h>

#include "base/fault.h"
#include "tests/unit/base/cmocka_all.h"

typedef struct fixture {
    sx_fake_clock clock;
    sx_metrics *metrics;
    sx_breakers *all;
    sx_breaker *b; /* named "redis", of the defaults */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    sx_fake_clock_init(&f->clock, 1700000000000);
    assert_int_equal(sx_metrics_new(NULL, &f->metrics, NULL), SX_OK);
    sx_breakers_options o = {.clock = &f->clock.clock, .metrics = f->metrics};
    assert_int_equal(sx_breakers_new(&o, &f->all, NULL), SX_OK);
    f->b = sx_breakers_get(f->all, SX_STR("redis"), NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sx_breakers_free(f->all);
    sx_metrics_free(f->metrics);
    free(f);
    return 0;
}

static bool call(sx_breaker *b, bool ok)
{
    sx_breaker_pass pass;
    if (!sx_breaker_allow(b, &pass))
        return false;
    sx_breaker_done(b, &pass, ok);
    return true;
}

static sx_breaker_info look(const sx_breaker *b)
{
    sx_breaker_info info;
    sx_breaker_info_of(b, &info);
    return info;
}

static bool shows(fixture *f, const char *line)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_int_equal(sx_metrics_write(f->metrics, SX_METRICS_TEXT_004, &out, NULL), SX_OK);
    size_t at = sx_str_find(sx_buf_view(&out), sx_str_z(line));
    bool found = at < out.len;
    if (!found)
        print_message("%.*s\n", SX_ARG(sx_buf_view(&out)));
    sx_buf_done(&out);
    return found;
}

static void fail_times(sx_breaker *b, int times)
{
    for (int i = 0; i < times; i++)
        assert_true(call(b, false));
}

static void test_five_failures_in_a_row_open_it_for_a_minute(void **state)
{
    fixture *f = *state;
    fail_times(f->b, 4);
    assert_true(call(f->b, true)); /* not in a row */
    fail_times(f->b, 4);
    assert_int_equal(look(f->b).consecutive_failures, 4);
    fail_times(f->b, 1);
    assert_int_equal(look(f->b).state, SX_BREAKER_OPEN);
    assert_int_equal(look(f->b).retry_in_ms, 60000);
    sx_fake_clock_advance(&f->clock, 59999);
    assert_false(call(f->b, true));
    assert_int_equal(look(f->b).retry_in_ms, 1);
    sx_fake_clock_advance(&f->clock, 1);
    assert_true(call(f->b, true));
    assert_int_equal(look(f->b).state, SX_BREAKER_HALF_OPEN);
    assert_int_equal(look(f->b).successes, 1);
    assert_true(call(f->b, true));
    assert_int_equal(look(f->b).state, SX_BREAKER_CLOSED);
    assert_true(shows(f, "circuit_breaker_transitions_total{name=\"redis\",to=\"half_open\"} 1\n"));
    assert_true(shows(f, "circuit_breaker_calls_total{name=\"redis\",outcome=\"refused\"} 1\n"));
    assert_true(shows(f, "circuit_breaker_calls_total{name=\"redis\",outcome=\"failure\"} 9\n"));
    assert_true(shows(f, "circuit_breaker_state{name=\"redis\"} 0\n"));
}

static void test_a_wall_clock_that_jumps_changes_nothing(void **state)
{
    fixture *f = *state;
    fail_times(f->b, 5);
    sx_fake_clock_jump(&f->clock, 1900000000000);
    assert_false(call(f->b, true));
    sx_fake_clock_jump(&f->clock, 1000);
    sx_fake_clock_advance(&f->clock, 60000);
    assert_true(call(f->b, true));
}

static void test_half_open_lets_one_trial_through_at_a_time(void **state)
{
    fixture *f = *state;
    sx_breaker_pass first, second;
    fail_times(f->b, 5);
    sx_fake_clock_advance(&f->clock, 60000);
    assert_true(sx_breaker_allow(f->b, &first));
    assert_false(sx_breaker_allow(f->b, &second));
    assert_int_equal(look(f->b).trials, 1);
    sx_breaker_cancel(f->b, &first); /* counts neither way */
    assert_true(sx_breaker_allow(f->b, &second));
    sx_breaker_done(f->b, &second, false);
    assert_int_equal(look(f->b).state, SX_BREAKER_OPEN);
    assert_int_equal(look(f->b).retry_in_ms, 60000);
}

static void test_a_trial_that_nobody_ends_does_not_wedge_it(void **state)
{
    fixture *f = *state;
    sx_breaker_pass lost, next;
    fail_times(f->b, 5);
    sx_fake_clock_advance(&f->clock, 60000);
    assert_true(sx_breaker_allow(f->b, &lost));
    sx_fake_clock_advance(&f->clock, 59999);
    assert_false(sx_breaker_allow(f->b, &next));
    sx_fake_clock_advance(&f->clock, 1);
    assert_true(sx_breaker_allow(f->b, &next));
    sx_breaker_done(f->b, &lost, false); /* its place is somebody else's: nothing happens */
    assert_int_equal(look(f->b).state, SX_BREAKER_HALF_OPEN);
    assert_int_equal(look(f->b).trials, 1);
    sx_breaker_done(f->b, &next, true);
    sx_breaker_done(f->b, &next, true); /* told twice: once too often */
    assert_int_equal(look(f->b).successes, 1);
}

static void test_results_from_before_a_change_do_not_count(void **state)
{
    fixture *f = *state;
    sx_breaker_pass old[8];
    for (size_t i = 0; i < SX_COUNT_OF(old); i++)
        assert_true(sx_breaker_allow(f->b, &old[i]));
    fail_times(f->b, 5);
    sx_breaker_done(f->b, &old[0], true);
    sx_fake_clock_advance(&f->clock, 60000);
    assert_true(call(f->b, true));
    sx_breaker_done(f->b, &old[1], false); /* neither opens a half-open one */
    sx_breaker_done(f->b, &old[2], true);  /* nor closes it */
    assert_int_equal(look(f->b).state, SX_BREAKER_HALF_OPEN);
    assert_true(call(f->b, true));
    for (size_t i = 3; i < SX_COUNT_OF(old); i++)
        sx_breaker_done(f->b, &old[i], false);
    assert_int_equal(look(f->b).state, SX_BREAKER_CLOSED);
    assert_int_equal(look(f->b).consecutive_failures, 0);
}

static void test_a_failure_rate_over_the_window_opens_it(void **state)
{
    fixture *f = *state;
    sx_breaker_options o = {
        .failures_max = 1000, .failure_rate = 0.5, .window_ms = 1000, .calls_min = 10};
    sx_breaker *b = sx_breakers_get(f->all, SX_STR("rate"), &o);
    for (int i = 0; i < 9; i++)
        call(b, false);
    assert_int_equal(look(b).state, SX_BREAKER_CLOSED); /* too few */
    sx_fake_clock_advance(&f->clock, 1000);             /* forgotten */
    assert_int_equal(look(b).window_calls, 0);
    for (int i = 0; i < 10; i++)
        assert_true(call(b, i % 3 != 0)); /* four of ten fail, the last one too */
    assert_int_equal(look(b).window_calls, 10);
    assert_int_equal(look(b).window_failures, 4);
    assert_true(call(b, false));
    assert_int_equal(look(b).state, SX_BREAKER_CLOSED); /* 5 of 11 */
    assert_true(call(b, false));                        /* 6 of 12 */
    assert_int_equal(look(b).state, SX_BREAKER_OPEN);
}

static void test_slow_calls_count_as_failed(void **state)
{
    fixture *f = *state;
    sx_breaker_options o = {.slow_ms = 100, .failures_max = 2};
    sx_breaker *b = sx_breakers_get(f->all, SX_STR("slow"), &o);
    sx_breaker_pass pass;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(look(b).consecutive_failures, i);
        assert_true(sx_breaker_allow(b, &pass));
        sx_fake_clock_advance(&f->clock, 101);
        sx_breaker_done(b, &pass, true);
    }
    assert_int_equal(look(b).state, SX_BREAKER_OPEN);
}

static void test_an_operator_overrules_it(void **state)
{
    fixture *f = *state;
    sx_error err;
    assert_int_equal(sx_breakers_force_open(f->all, SX_STR("redis"), true, &err), SX_OK);
    assert_false(call(f->b, true));
    sx_fake_clock_advance(&f->clock, 10000000);
    assert_false(call(f->b, true));
    assert_int_equal(sx_breakers_force_open(f->all, SX_STR("redis"), false, &err), SX_OK);
    assert_int_equal(look(f->b).state, SX_BREAKER_HALF_OPEN);
    assert_true(call(f->b, false));
    assert_int_equal(look(f->b).state, SX_BREAKER_OPEN);
    assert_int_equal(sx_breakers_reset(f->all, SX_STR("redis"), &err), SX_OK);
    assert_int_equal(look(f->b).state, SX_BREAKER_CLOSED);
    assert_int_equal(sx_breakers_force_open(f->all, SX_STR("redis"), true, &err), SX_OK);
    assert_int_equal(sx_breakers_reset(f->all, SX_STR("redis"), &err), SX_OK);
    assert_true(call(f->b, true));
    assert_int_equal(sx_breakers_reset(f->all, SX_STR("nobody"), &err), SX_ENOTFOUND);
    assert_string_equal(err.message, "no circuit breaker is named 'nobody'; there are: redis");
}

/* Whether the next line of the log has all of the words. */
static bool line_has(sx_str *log, const char *name, const char *to, const char *by)
{
    sx_str line;
    sx_str_cut(*log, '\n', &line, log);
    const char *const words[] = {name, to, by};
    for (size_t i = 0; i < SX_COUNT_OF(words); i++)
        if (sx_str_find(line, sx_str_z(words[i])) == line.len)
            return false;
    return true;
}

static void test_the_log_says_who_changed_it(void **state)
{
    fixture *f = *state;
    char text[8192];
    int fd = memfd_create("log", MFD_CLOEXEC);
    sx_log *log;
    sx_breakers *all;
    assert_int_equal(
        sx_log_new(&(sx_log_options){.fd = fd, .form = SX_LOG_JSON, .level = SX_LEVEL_INFO}, &log,
                   NULL),
        SX_OK);
    sx_breakers_options o = {.clock = &f->clock.clock, .log = log};
    assert_int_equal(sx_breakers_new(&o, &all, NULL), SX_OK);
    fail_times(sx_breakers_get(all, SX_STR("a"), NULL), 5);
    sx_breakers_reset(all, SX_STR("a"), NULL);
    sx_breakers_get(all, SX_STR("b"), NULL);
    sx_breakers_force_open(all, SX_STR("b"), true, NULL);
    sx_breakers_force_open(all, SX_STR("b"), false, NULL);
    sx_breakers_free(all);
    sx_log_free(log);
    ssize_t len = pread(fd, text, sizeof(text), 0);
    assert_true(len > 0);
    sx_str rest = sx_str_of(text, (size_t)len);
    close(fd);
    assert_true(line_has(&rest, "\"a\"", "\"to\":\"open\"", "\"by_operator\":false"));
    assert_true(line_has(&rest, "\"a\"", "\"to\":\"closed\"", "\"by_operator\":true"));
    assert_true(line_has(&rest, "\"b\"", "\"to\":\"open\"", "\"by_operator\":true"));
    assert_true(line_has(&rest, "\"b\"", "\"to\":\"half_open\"", "\"by_operator\":true"));
}

static void note_name(void *ctx, const sx_breaker_info *info)
{
    snprintf((char *)ctx + strlen(ctx), 64, "%.*s ", SX_ARG(info->name));
}

static void test_they_are_listed_by_name(void **state)
{
    fixture *f = *state;
    char names[256] = "";
    sx_breaker *b = sx_breakers_get(f->all, SX_STR("b"), NULL);
    sx_breakers_get(f->all, SX_STR("a"), NULL);
    assert_ptr_equal(sx_breakers_get(f->all, SX_STR("b"), NULL), b);
    sx_breakers_each(f->all, note_name, names);
    assert_string_equal(names, "a b redis ");
}

static void test_a_breaker_that_nobody_uses_is_not_shown(void **state)
{
    fixture *f = *state;
    sx_breakers *none;
    sx_error err;
    char names[256] = "";
    assert_int_equal(sx_breakers_new(NULL, &none, NULL), SX_OK);
    sx_breakers_each(none, note_name, names);
    assert_string_equal(names, "");
    assert_int_equal(sx_breakers_reset(none, SX_STR("other"), &err), SX_ENOTFOUND);
    assert_string_equal(err.message, "no circuit breaker is named 'other'; there are none yet");
    sx_breakers_get(none, SX_STR("other"), NULL);
    sx_breakers_each(none, note_name, names);
    assert_string_equal(names, "other ");
    sx_breakers_free(none);
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_int_equal(sx_metrics_write(f->metrics, SX_METRICS_TEXT_004, &out, NULL), SX_OK);
    assert_true(sx_str_find(sx_buf_view(&out), SX_STR("\"other\"")) == out.len);
    sx_buf_done(&out);
}

static void test_names_above_the_limit_share_one(void **state)
{
    fixture *f = *state;
    sx_breakers *few;
    sx_breakers_options o = {.clock = &f->clock.clock, .breakers_max = 2};
    assert_int_equal(sx_breakers_new(&o, &few, NULL), SX_OK);
    sx_breaker *a = sx_breakers_get(few, SX_STR("a"), NULL);
    sx_breaker *b = sx_breakers_get(few, SX_STR("b"), NULL);
    sx_breaker *c = sx_breakers_get(few, SX_STR("c"), NULL);
    assert_true(a != b && b != c && a != c);
    char names[256] = "";
    sx_breakers_each(few, note_name, names);
    assert_string_equal(names, "a b other ");
    assert_ptr_equal(sx_breakers_get(few, SX_STR("d"), NULL), c);
    assert_ptr_equal(sx_breakers_get(few, SX_STR("a"), NULL), a);
    assert_true(sx_str_eq(look(c).name, SX_STR("other")));
    sx_breakers_free(few);
}

/* ---- the model: one decision after the other, in the plainest way ---- */

enum { MODEL_CALLS = 4096, OUTSTANDING = 24 };

typedef struct model_call {
    int64_t ms;
    bool failed;
} model_call;

typedef struct model_pass {
    bool out;
    uint32_t era;
    bool trial;
    int64_t due_ms; /* of a trial */
    int64_t start_ms;
    sx_breaker_pass real;
} model_pass;

typedef struct model {
    sx_breaker_options o;
    sx_breaker_state state;
    bool forced;
    uint32_t era, failures, successes;
    int64_t now_ms, open_until_ms;
    model_call window[MODEL_CALLS];
    size_t window_count;
    model_pass pass[OUTSTANDING];
} model;

static void model_become(model *m, sx_breaker_state next)
{
    m->state = next;
    m->era++;
    m->failures = m->successes = 0;
    m->open_until_ms = m->now_ms + m->o.open_ms;
    m->forced = false;
    if (next == SX_BREAKER_CLOSED)
        m->window_count = 0;
}

static uint32_t model_trials(const model *m)
{
    uint32_t n = 0;
    for (size_t i = 0; i < OUTSTANDING; i++)
        n += m->pass[i].out && m->pass[i].trial && m->pass[i].era == m->era &&
             m->pass[i].due_ms > m->now_ms;
    return n;
}

static bool model_allow(model *m, model_pass *p)
{
    if (m->forced)
        return false;
    if (m->state == SX_BREAKER_OPEN) {
        if (m->now_ms < m->open_until_ms)
            return false;
        model_become(m, SX_BREAKER_HALF_OPEN);
    }
    bool trial = m->state == SX_BREAKER_HALF_OPEN;
    if (trial && model_trials(m) >= m->o.trials_max)
        return false;
    p->out = true;
    p->trial = trial;
    p->era = m->era;
    p->due_ms = m->now_ms + m->o.open_ms;
    p->start_ms = m->now_ms;
    return true;
}

static void model_sums(const model *m, uint64_t *calls, uint64_t *failures)
{
    int64_t slot_ms = m->o.window_ms / 10;
    *calls = *failures = 0;
    for (size_t i = 0; i < m->window_count; i++)
        if (m->window[i].ms / slot_ms > m->now_ms / slot_ms - 10) {
            *calls += 1;
            *failures += m->window[i].failed;
        }
}

static void model_done(model *m, model_pass *p, bool ok)
{
    if (m->o.slow_ms && m->now_ms - p->start_ms > m->o.slow_ms)
        ok = false;
    p->out = false;
    if (p->era != m->era)
        return;
    if (p->trial) {
        if (!ok)
            model_become(m, SX_BREAKER_OPEN);
        else if (++m->successes >= m->o.successes_min)
            model_become(m, SX_BREAKER_CLOSED);
        return;
    }
    if (m->o.failure_rate > 0) {
        uint64_t calls, failures;
        assert_true(m->window_count < MODEL_CALLS);
        m->window[m->window_count++] = (model_call){m->now_ms, !ok};
        model_sums(m, &calls, &failures);
        if (!ok && calls >= m->o.calls_min &&
            (double)failures >= m->o.failure_rate * (double)calls) {
            model_become(m, SX_BREAKER_OPEN);
            return;
        }
    }
    m->failures = ok ? 0 : m->failures + 1;
    if (m->failures >= m->o.failures_max)
        model_become(m, SX_BREAKER_OPEN);
}

/* A trial whose time is over may have lost its place to another; whether it has depends on which
 * place that took, so the model lets such calls go unfinished. */
static bool is_overdue(const model *m, const model_pass *p)
{
    return p->trial && p->era == m->era && p->due_ms <= m->now_ms;
}

static void model_compare(const model *m, const sx_breaker *b)
{
    sx_breaker_info info = look(b);
    uint64_t calls = 0, failures = 0;
    if (m->o.failure_rate > 0)
        model_sums(m, &calls, &failures);
    assert_int_equal(info.state, m->state);
    assert_int_equal(info.consecutive_failures, m->state == SX_BREAKER_CLOSED ? m->failures : 0);
    assert_int_equal(info.successes, m->successes);
    assert_int_equal(info.trials, model_trials(m));
    assert_int_equal(info.window_calls, calls);
    assert_int_equal(info.window_failures, failures);
}

static void one_step(model *m, fixture *f, sx_breaker *b, sx_str name, sx_random *random)
{
    model_pass *p = &m->pass[sx_random_below(random, OUTSTANDING)];
    uint64_t dice = sx_random_below(random, 1000);
    if (dice < 2) {
        assert_int_equal(sx_breakers_reset(f->all, name, NULL), SX_OK);
        model_become(m, SX_BREAKER_CLOSED);
    } else if (dice < 4 && !m->forced) {
        assert_int_equal(sx_breakers_force_open(f->all, name, true, NULL), SX_OK);
        model_become(m, SX_BREAKER_OPEN);
        m->forced = true;
    } else if (dice < 30 && m->forced) {
        assert_int_equal(sx_breakers_force_open(f->all, name, false, NULL), SX_OK);
        model_become(m, SX_BREAKER_HALF_OPEN);
    } else if (dice < 200) {
        int64_t ms = (int64_t)sx_random_below(random, dice < 40 ? m->o.open_ms + 5 : 30);
        sx_fake_clock_advance(&f->clock, ms);
        m->now_ms += ms;
    } else if (!p->out) {
        assert_int_equal(sx_breaker_allow(b, &p->real), model_allow(m, p));
    } else if (is_overdue(m, p)) {
        p->out = false;
    } else if (dice < 250) {
        sx_breaker_cancel(b, &p->real);
        p->out = false;
    } else {
        bool ok = sx_random_below(random, 100) < 60;
        sx_breaker_done(b, &p->real, ok);
        model_done(m, p, ok);
    }
}

static void test_random_operations_agree_with_the_model(void **state)
{
    fixture *f = *state;
    uint64_t seed = 20260101;
    print_message("seed %llu\n", (unsigned long long)seed);
    sx_random random;
    sx_random_seed(&random, seed);
    for (int round = 0; round < 60; round++) {
        model *m = calloc(1, sizeof(*m));
        char text[16];
        snprintf(text, sizeof(text), "model-%d", round);
        m->o = (sx_breaker_options){
            .failures_max = 1 + (uint32_t)sx_random_below(&random, 8),
            .failure_rate = round % 2 ? 0.3 + (double)sx_random_below(&random, 5) / 10 : 0,
            .window_ms = 100 * (1 + (uint32_t)sx_random_below(&random, 9)),
            .calls_min = 1 + (uint32_t)sx_random_below(&random, 20),
            .open_ms = 50 + (uint32_t)sx_random_below(&random, 500),
            .successes_min = 1 + (uint32_t)sx_random_below(&random, 5),
            .trials_max = 1 + (uint32_t)sx_random_below(&random, 5),
            .slow_ms = round % 3 ? 0 : 100,
        };
        m->now_ms = sx_clock_mono_ms(&f->clock.clock);
        sx_breaker *b = sx_breakers_get(f->all, sx_str_z(text), &m->o);
        for (int i = 0; i < 4000; i++) {
            one_step(m, f, b, sx_str_z(text), &random);
            model_compare(m, b);
        }
        free(m);
    }
}

/* ---- threads ---- */

typedef struct crowd {
    fixture *f;
    uint64_t seed;
    uint64_t let_through;
} crowd;

static void *be_one_of_many(void *arg)
{
    crowd *c = arg;
    sx_random random;
    sx_random_seed(&random, c->seed);
    sx_telemetry_thread_join();
    for (int i = 0; i < 30000; i++) {
        sx_breaker_pass pass;
        if (sx_breaker_allow(c->f->b, &pass)) {
            c->let_through++;
            if (i % 50 == 0)
                sx_breaker_cancel(c->f->b, &pass);
            else
                sx_breaker_done(c->f->b, &pass, sx_random_below(&random, 10) < 6);
        }
        if (i % 100 == 0)
            sx_fake_clock_advance(&c->f->clock, 3);
        if (i % 1000 == 0) {
            sx_breaker_options o = {.open_ms = 100, .failure_rate = i % 2000 ? 0.5 : 0};
            sx_breakers_get(c->f->all, SX_STR("redis"), &o);
            sx_breakers_reset(c->f->all, SX_STR("redis"), NULL);
            look(c->f->b);
        }
    }
    sx_telemetry_thread_leave();
    return NULL;
}

static void test_many_threads_leave_it_sane(void **state)
{
    fixture *f = *state;
    pthread_t threads[4];
    crowd c[4];
    uint64_t let_through = 0;
    for (size_t i = 0; i < 4; i++) {
        c[i] = (crowd){f, i + 1, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, be_one_of_many, &c[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        let_through += c[i].let_through;
    }
    assert_true(let_through > 0);
    assert_int_equal(look(f->b).trials, 0); /* every pass was ended */
    sx_fake_clock_advance(&f->clock, 100000);
    for (int i = 0; i < 40; i++)
        call(f->b, true);
    assert_int_equal(look(f->b).state, SX_BREAKER_CLOSED);
}

static void test_without_memory_names_share_one(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        sx_breakers *all = NULL;
        sx_metrics *metrics;
        sx_error err = {0};
        assert_int_equal(sx_metrics_new(NULL, &metrics, NULL), SX_OK);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_breakers_options o = {.metrics = metrics};
        sx_status status = sx_breakers_new(&o, &all, &err);
        if (status == SX_OK) {
            sx_breaker *b = sx_breakers_get(all, SX_STR("a"), NULL);
            assert_true(call(b, true));
        } else {
            assert_int_equal(status, SX_ENOMEM);
            assert_true(err.message[0] != '\0');
        }
        bool over = sx_fault_alloc_calls() < nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        sx_breakers_free(all);
        sx_metrics_free(metrics);
        if (over)
            return;
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_five_failures_in_a_row_open_it_for_a_minute),
        T(test_a_wall_clock_that_jumps_changes_nothing),
        T(test_half_open_lets_one_trial_through_at_a_time),
        T(test_a_trial_that_nobody_ends_does_not_wedge_it),
        T(test_results_from_before_a_change_do_not_count),
        T(test_a_failure_rate_over_the_window_opens_it),
        T(test_slow_calls_count_as_failed),
        T(test_an_operator_overrules_it),
        T(test_the_log_says_who_changed_it),
        T(test_they_are_listed_by_name),
        T(test_a_breaker_that_nobody_uses_is_not_shown),
        T(test_names_above_the_limit_share_one),
        T(test_random_operations_agree_with_the_model),
        T(test_many_threads_leave_it_sane),
        T(test_without_memory_names_share_one),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}

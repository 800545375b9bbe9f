/* bench_resilience.c - nanoseconds of the decisions that stand before a call. One line a figure:
 * name, value, unit. The least of several rounds is printed, which is what the code costs when
 * nobody disturbs it; the system's clock is read where the code reads one. */
#include <pthread.h>
#include <stdio.h>

#include <sextant/breaker.h>
#include <sextant/bulkhead.h>
#include <sextant/limiter.h>
#include <sextant/retry.h>
#include <sextant/shed.h>

enum { ROUNDS = 7, CALLS = 1 << 20, KEYS = 1 << 14 };

typedef struct bench {
    sx_metrics *metrics;
    sx_breakers *breakers;
    sx_breaker *plain, *window, *slow, *open;
    sx_limiter *one, *three, *sliding, *flooded;
    sx_retry *retry;
    sx_hedge *hedge;
    sx_bulkhead *bulkhead;
    sx_adaptive *adaptive;
    sx_shed *shed, *pressed;
    char keys[KEYS][16];
    bool stop;     /* atomic: tells the other thread */
    uint64_t sink; /* results go here, so that no compiler drops the work */
} bench;

static void call(bench *b, sx_breaker *breaker)
{
    sx_breaker_pass pass;
    if (sx_breaker_allow(breaker, &pass))
        sx_breaker_done(breaker, &pass, true);
    else
        b->sink++;
}

static void do_clock(bench *b, size_t i)
{
    (void)i;
    b->sink += (uint64_t)sx_clock_mono_ns(sx_clock_system());
}

static void do_breaker(bench *b, size_t i)
{
    (void)i;
    call(b, b->plain);
}

static void do_breaker_window(bench *b, size_t i)
{
    (void)i;
    call(b, b->window);
}

static void do_breaker_slow(bench *b, size_t i)
{
    (void)i;
    call(b, b->slow);
}

static void do_breaker_open(bench *b, size_t i)
{
    (void)i;
    call(b, b->open);
}

static void do_limiter_one(bench *b, size_t i)
{
    sx_limit_answer a;
    b->sink += sx_limiter_take(b->one, sx_str_of(b->keys[i % 64], 16), 1, &a);
}

static void do_limiter_many(bench *b, size_t i)
{
    sx_limit_answer a;
    b->sink += sx_limiter_take(b->one, sx_str_of(b->keys[i % KEYS], 16), 1, &a);
}

static void do_limiter_three(bench *b, size_t i)
{
    sx_limit_answer a;
    b->sink += sx_limiter_take(b->three, sx_str_of(b->keys[i % 64], 16), 1, &a);
}

static void do_limiter_sliding(bench *b, size_t i)
{
    sx_limit_answer a;
    b->sink += sx_limiter_take(b->sliding, sx_str_of(b->keys[i % 64], 16), 1, &a);
}

static void do_limiter_flood(bench *b, size_t i)
{
    uint64_t key = b->sink * 64 + i;
    b->sink += sx_limiter_take(b->flooded, sx_str_of(&key, sizeof(key)), 1, NULL);
}

static void do_retry(bench *b, size_t i)
{
    sx_retry_run run;
    (void)i;
    sx_retry_begin(b->retry, NULL, &run);
    sx_retry_end(&run, true);
}

static void do_hedge(bench *b, size_t i)
{
    b->sink += (uint64_t)sx_hedge_begin(b->hedge);
    sx_hedge_end(b->hedge, SX_HEDGE_NOT_NEEDED, 1000000 + (int64_t)(i % 1000) * 1000);
}

static void do_bulkhead(bench *b, size_t i)
{
    (void)i;
    b->sink += sx_bulkhead_enter(b->bulkhead, NULL);
    sx_bulkhead_leave(b->bulkhead);
}

static void do_adaptive(bench *b, size_t i)
{
    sx_adaptive_pass pass;
    (void)i;
    b->sink += sx_adaptive_allow(b->adaptive, &pass);
    sx_adaptive_done(b->adaptive, &pass, SX_ADAPTIVE_OK);
}

static void do_shed(bench *b, size_t i)
{
    (void)i;
    if (sx_shed_allow(b->shed, SX_PRIORITY_NORMAL))
        sx_shed_done(b->shed);
}

static void do_shed_pressed(bench *b, size_t i)
{
    (void)i;
    if (sx_shed_allow(b->pressed, SX_PRIORITY_SHEDDABLE))
        sx_shed_done(b->pressed);
}

static void do_shed_signal(bench *b, size_t i)
{
    (void)i;
    sx_shed_queue_delay(b->shed, 1000);
}

/* ---- two threads at once on one breaker and one key ---- */

static void *be_another(void *arg)
{
    bench *b = arg;
    sx_limit_answer a;
    sx_telemetry_thread_join();
    while (!__atomic_load_n(&b->stop, __ATOMIC_RELAXED)) {
        call(b, b->plain);
        sx_limiter_take(b->one, sx_str_of(b->keys[0], 16), 1, &a);
    }
    sx_telemetry_thread_leave();
    return NULL;
}

static void do_limiter_one_key(bench *b, size_t i)
{
    sx_limit_answer a;
    (void)i;
    b->sink += sx_limiter_take(b->one, sx_str_of(b->keys[0], 16), 1, &a);
}

typedef struct bench_case {
    const char *name;
    void (*fn)(bench *b, size_t i);
} bench_case;

static const bench_case CASES[] = {
    {"clock_read", do_clock},
    {"breaker_closed", do_breaker},
    {"breaker_closed_failure_rate", do_breaker_window},
    {"breaker_closed_slow_ms", do_breaker_slow},
    {"breaker_open", do_breaker_open},
    {"limiter_one_rule_64_keys", do_limiter_one},
    {"limiter_one_rule_16384_keys", do_limiter_many},
    {"limiter_three_rules_64_keys", do_limiter_three},
    {"limiter_sliding_64_keys", do_limiter_sliding},
    {"limiter_flood_of_new_keys", do_limiter_flood},
    {"retry_begin_end", do_retry},
    {"hedge_begin_end", do_hedge},
    {"bulkhead_enter_leave", do_bulkhead},
    {"adaptive_allow_done", do_adaptive},
    {"shed_allow_done", do_shed},
    {"shed_allow_done_under_pressure", do_shed_pressed},
    {"shed_signal", do_shed_signal},
};

static const bench_case CONTENDED[] = {
    {"breaker_closed_two_threads", do_breaker},
    {"limiter_one_key_two_threads", do_limiter_one_key},
};

static void run(bench *b, const bench_case *c)
{
    double least = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = sx_clock_mono_ns(sx_clock_system());
        for (size_t i = 0; i < CALLS; i++)
            c->fn(b, i);
        double ns = (double)(sx_clock_mono_ns(sx_clock_system()) - start) / CALLS;
        least = ns < least ? ns : least;
    }
    printf("%s %.1f ns\n", c->name, least);
}

static sx_limiter *limiter(bench *b, const char *name, const char *rates)
{
    sx_limiter_options o = {.name = name, .metrics = b->metrics};
    sx_limiter *l = NULL;
    sx_assert(sx_rates_parse(sx_str_z(rates), o.rates, &o.rate_count, NULL) == SX_OK);
    sx_assert(sx_limiter_new(&o, &l, NULL) == SX_OK);
    return l;
}

/* A shedder that refuses half of the sheddable: its clock stands still. */
static void press(bench *b)
{
    static sx_fake_clock clock;
    sx_fake_clock_init(&clock, 0);
    sx_shed_options o = {.metrics = b->metrics, .name = "pressed", .clock = &clock.clock};
    sx_assert(sx_shed_new(&o, &b->pressed, NULL) == SX_OK);
    for (int i = 0; i < 5; i++) {
        sx_shed_queue_delay(b->pressed, 50000000);
        sx_fake_clock_advance(&clock, 100);
        sx_shed_queue_delay(b->pressed, 50000000);
    }
}

static void set_up(bench *b)
{
    sx_telemetry_thread_join(); /* as every loop of a service does */
    sx_assert(sx_metrics_new(NULL, &b->metrics, NULL) == SX_OK);
    sx_breakers_options o = {.metrics = b->metrics};
    sx_assert(sx_breakers_new(&o, &b->breakers, NULL) == SX_OK);
    sx_breaker_options window = {.failure_rate = 0.5}, slow = {.slow_ms = 1000};
    b->plain = sx_breakers_get(b->breakers, SX_STR("plain"), NULL);
    b->window = sx_breakers_get(b->breakers, SX_STR("window"), &window);
    b->slow = sx_breakers_get(b->breakers, SX_STR("slow"), &slow);
    b->open = sx_breakers_get(b->breakers, SX_STR("open"), NULL);
    for (int i = 0; i < 5; i++) {
        sx_breaker_pass pass;
        sx_assert(sx_breaker_allow(b->open, &pass));
        sx_breaker_done(b->open, &pass, false);
    }
    b->one = limiter(b, "one", "1000000/second");
    b->three = limiter(b, "three", "1000000/second + 100000000/minute + 1000000000/hour");
    b->sliding = limiter(b, "sliding", "1000000000/second sliding");
    b->flooded = limiter(b, "flooded", "10/second");
    sx_retry_options retry = {.metrics = b->metrics};
    sx_hedge_options hedge = {.metrics = b->metrics};
    sx_bulkhead_options bulkhead = {.metrics = b->metrics};
    sx_adaptive_options adaptive = {.metrics = b->metrics};
    sx_shed_options shed = {.metrics = b->metrics};
    sx_assert(sx_retry_new(&retry, &b->retry, NULL) == SX_OK);
    sx_assert(sx_hedge_new(&hedge, &b->hedge, NULL) == SX_OK);
    sx_assert(sx_bulkhead_new(&bulkhead, &b->bulkhead, NULL) == SX_OK);
    sx_assert(sx_adaptive_new(&adaptive, &b->adaptive, NULL) == SX_OK);
    sx_assert(sx_shed_new(&shed, &b->shed, NULL) == SX_OK);
    press(b);
    for (size_t i = 0; i < KEYS; i++)
        snprintf(b->keys[i], sizeof(b->keys[i]), "10.1.%zu.%zu", i / 256, i % 256);
}

static void tear_down(bench *b)
{
    sx_breakers_free(b->breakers);
    sx_limiter_free(b->one);
    sx_limiter_free(b->three);
    sx_limiter_free(b->sliding);
    sx_limiter_free(b->flooded);
    sx_retry_free(b->retry);
    sx_hedge_free(b->hedge);
    sx_bulkhead_free(b->bulkhead);
    sx_adaptive_free(b->adaptive);
    sx_shed_free(b->shed);
    sx_shed_free(b->pressed);
    sx_metrics_free(b->metrics);
}

int main(void)
{
    static bench b;
    set_up(&b);
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++)
        run(&b, &CASES[i]);
    pthread_t other;
    sx_assert(pthread_create(&other, NULL, be_another, &b) == 0);
    for (size_t i = 0; i < SX_COUNT_OF(CONTENDED); i++)
        run(&b, &CONTENDED[i]);
    __atomic_store_n(&b.stop, true, __ATOMIC_RELAXED);
    pthread_join(other, NULL);
    tear_down(&b);
    return b.sink == 0;
}

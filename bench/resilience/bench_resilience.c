/* bench_resilience.c - nanoseconds of the decisions that stand before a call. One line a figure:
 * name, value, unit. The least of several rounds is printed, which is what the code costs when
 * nobody disturbs it; the system's clock is read where the code reads one. */
#include <pthread.h>
#include <stdio.h>

#include <sextant/breaker.h>
#include <sextant/limiter.h>

enum { ROUNDS = 7, CALLS = 1 << 20, KEYS = 1 << 14 };

typedef struct bench {
    sx_metrics *metrics;
    sx_breakers *breakers;
    sx_breaker *plain, *window, *slow, *open;
    sx_limiter *one, *three, *sliding, *flooded;
    char keys[KEYS][16];
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
    sx_metrics_free(b->metrics);
}

int main(void)
{
    static bench b;
    set_up(&b);
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++)
        run(&b, &CASES[i]);
    tear_down(&b);
    return b.sink == 0;
}

/* test_limiter.c - rate limits on a fake clock: reading rates, both kinds of rule beside plain
 * models, a table under a flood of keys, new rates under way, and a store that is shared. */
#include <sextant/limiter.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/random.h>

#include "base/fault.h"
#include "tests/unit/base/cmocka_all.h"

typedef struct fixture {
    sx_fake_clock clock;
    sx_limiter *l;
    sx_limiter_options o;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    sx_fake_clock_init(&f->clock, 1700000000000);
    f->o = (sx_limiter_options){.clock = &f->clock.clock, .keys_max = 1000};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sx_limiter_free(f->l);
    free(f);
    return 0;
}

static void make(fixture *f, const char *rates)
{
    sx_error err = {0};
    sx_status status = sx_rates_parse(sx_str_z(rates), f->o.rates, &f->o.rate_count, &err);
    if (status == SX_OK)
        status = sx_limiter_new(&f->o, &f->l, &err);
    if (status != SX_OK)
        fail_msg("%s", err.message);
}

static sx_limit_answer take(fixture *f, const char *key, uint32_t cost)
{
    sx_limit_answer a;
    bool allowed = sx_limiter_take(f->l, sx_str_z(key), cost, &a);
    assert_int_equal(allowed, a.allowed);
    return a;
}

/* ---- reading rates ---- */

static void test_rates_are_read(void **state)
{
    (void)state;
    sx_rate r[SX_RATES_MAX];
    size_t n;
    assert_int_equal(
        sx_rates_parse(SX_STR("10/second + 100/Minute, 1000/hour+5/10s burst 20"), r, &n, NULL),
        SX_OK);
    assert_int_equal(n, 4);
    assert_true(r[0].count == 10 && r[0].period_ms == 1000 && r[0].burst == 0);
    assert_true(r[1].count == 100 && r[1].period_ms == 60000);
    assert_true(r[2].count == 1000 && r[2].period_ms == 3600000);
    assert_true(r[3].count == 5 && r[3].period_ms == 10000 && r[3].burst == 20);
    assert_int_equal(sx_rates_parse(SX_STR(" 7 / 15 minutes  SLIDING "), r, &n, NULL), SX_OK);
    assert_true(n == 1 && r[0].kind == SX_RATE_SLIDING_WINDOW && r[0].period_ms == 900000);
    assert_int_equal(sx_rates_parse(SX_STR("1/100ms"), r, &n, NULL), SX_OK);
    assert_int_equal(r[0].period_ms, 100);
}

static void test_wrong_rates_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const WRONG[] = {
        "",
        " ",
        "10",
        "/second",
        "10/",
        "10/fortnight",
        "0/second",
        "-1/second",
        "1.5/second",
        "10/second +",
        "10/second,,5/s",
        "10/0s",
        "10/50d",
        "4294967296/s",
        "10/s burst",
        "10/s burst 0",
        "10/s burst x",
        "10/s20",
        "10/s twenty 20",
        "10/s burst 5 sliding",
        "10/s sliding burst 5",
        "10/ssliding",
        "1/s+1/m+1/h+1/d+1/s",
        "10/99999999999999999999s",
    };
    for (size_t i = 0; i < SX_COUNT_OF(WRONG); i++) {
        sx_rate r[SX_RATES_MAX];
        size_t n = 77;
        sx_error err = {0};
        if (sx_rates_parse(sx_str_z(WRONG[i]), r, &n, &err) != SX_EINVAL)
            fail_msg("'%s' was taken", WRONG[i]);
        assert_true(err.message[0] != '\0');
        assert_int_equal(n, 77);
    }
    sx_error err;
    sx_rate r[SX_RATES_MAX];
    size_t n;
    sx_rates_parse(SX_STR("10/second + 5/week"), r, &n, &err);
    assert_string_equal(err.message,
                        "rate '5/week': period 'week' is not a unit (ms, s, m, h, d, second, "
                        "minute, hour, day) with or without a whole number before it");
}

static void test_rates_cut_at_every_byte_are_read_or_refused(void **state)
{
    (void)state;
    sx_str whole = SX_STR("10/second + 100/minute burst 20, 7/15 minutes sliding");
    for (size_t len = 0; len <= whole.len; len++) {
        char *copy = malloc(len ? len : 1); /* of exactly that size, for the sanitizer */
        memcpy(copy, whole.data, len);
        sx_rate r[SX_RATES_MAX];
        size_t n;
        sx_error err = {0};
        sx_status status = sx_rates_parse(sx_str_of(copy, len), r, &n, &err);
        assert_true(status == SX_OK || err.message[0] != '\0');
        free(copy);
    }
}

static void test_impossible_rates_are_refused(void **state)
{
    fixture *f = *state;
    static const sx_rate WRONG[] = {
        {SX_RATE_TOKEN_BUCKET, 0, 1000, 0},
        {SX_RATE_TOKEN_BUCKET, 1, 0, 0},
        {SX_RATE_TOKEN_BUCKET, 4000000000u, 1000, 0},
        {SX_RATE_TOKEN_BUCKET, 1, 86400000, 4000000000u},
        {(sx_rate_kind)9, 1, 1, 0},
    };
    sx_error err;
    assert_int_equal(sx_limiter_new(&f->o, &f->l, &err), SX_EINVAL); /* none at all */
    f->o.rate_count = 1;
    for (size_t i = 0; i < SX_COUNT_OF(WRONG); i++) {
        f->o.rates[0] = WRONG[i];
        assert_int_equal(sx_limiter_new(&f->o, &f->l, &err), SX_EINVAL);
        assert_null(f->l);
    }
}

/* ---- rules ---- */

static void test_a_bucket_gives_its_burst_then_its_rate(void **state)
{
    fixture *f = *state;
    make(f, "10/second burst 3");
    for (uint64_t left = 3; left > 0; left--) {
        sx_limit_answer a = take(f, "k", 1);
        assert_true(a.allowed);
        assert_int_equal(a.remaining, left - 1);
        assert_int_equal(a.retry_after_ms, 0);
    }
    sx_limit_answer a = take(f, "k", 1);
    assert_false(a.allowed);
    assert_int_equal(a.retry_after_ms, 100);
    assert_int_equal(a.reset_s, 1);
    assert_true(take(f, "another", 3).allowed);
    sx_fake_clock_advance(&f->clock, 99);
    assert_false(take(f, "k", 1).allowed);
    sx_fake_clock_advance(&f->clock, 1);
    assert_true(take(f, "k", 1).allowed);
    assert_false(take(f, "k", 1).allowed);
    sx_fake_clock_jump(&f->clock, 0); /* the wall clock is not looked at */
    assert_false(take(f, "k", 1).allowed);
    a = take(f, "k", 4);
    assert_int_equal(a.retry_after_ms, UINT32_MAX); /* never */
    assert_true(take(f, "k", 0).allowed);
}

static void test_all_rules_must_agree_and_a_refusal_costs_nothing(void **state)
{
    fixture *f = *state;
    make(f, "2/second + 5/minute + 100/hour");
    sx_limit_answer a;
    for (int second = 0; second < 3; second++) {
        for (int i = 0; i < 10; i++)
            a = take(f, "k", 1);
        sx_fake_clock_advance(&f->clock, 1000);
    }
    sx_limiter_info info;
    sx_limiter_info_of(f->l, &info);
    /* 2 and 2 and 1: seven refused a second cost the minute nothing. */
    assert_int_equal(info.allowed, 5);
    assert_int_equal(info.refused, 25);
    assert_int_equal(a.rule, 1);
    assert_int_equal(a.limit, 5);
    assert_int_equal(a.period_s, 60);
    sx_limiter_peek(f->l, SX_STR("k"), &a);
    assert_false(a.allowed);
    assert_int_equal(a.retry_after_ms, 9000); /* of the first of five, one comes back after 12 s */
}

static void test_a_sliding_window_never_lets_more_through(void **state)
{
    fixture *f = *state;
    make(f, "10/second sliding");
    assert_true(take(f, "k", 10).allowed);
    sx_limit_answer a = take(f, "k", 1);
    assert_false(a.allowed);
    assert_int_equal(a.retry_after_ms, 1101); /* the next period, and a tenth of it gone */
    sx_fake_clock_advance(&f->clock, 1099);
    assert_false(take(f, "k", 1).allowed);
    sx_fake_clock_advance(&f->clock, 2);
    a = take(f, "k", 1);
    assert_true(a.allowed);
    assert_int_equal(a.reset_s, 2);
    sx_fake_clock_advance(&f->clock, 5000);
    assert_int_equal(take(f, "k", 4).remaining, 6);
}

/* Plain models: a bucket as tokens with fractions, a window as two counters. */
typedef struct plain {
    sx_rate r;
    double tokens;
    int64_t ms, start_ms;
    double current, before;
} plain;

static bool plain_allows(plain *p, int64_t now_ms, uint32_t cost, bool *close)
{
    double burst = p->r.burst ? p->r.burst : p->r.count, room;
    if (p->r.kind == SX_RATE_TOKEN_BUCKET) {
        p->tokens += (double)(now_ms - p->ms) * p->r.count / p->r.period_ms;
        p->tokens = p->tokens < burst ? p->tokens : burst;
        p->ms = now_ms;
        room = p->tokens - cost;
    } else {
        if (now_ms - p->start_ms >= 2 * (int64_t)p->r.period_ms) {
            p->start_ms = now_ms;
            p->current = p->before = 0;
        } else if (now_ms - p->start_ms >= p->r.period_ms) {
            p->start_ms += p->r.period_ms;
            p->before = p->current;
            p->current = 0;
        }
        double gone = (double)(now_ms - p->start_ms) / p->r.period_ms;
        room = p->r.count - (p->current + p->before * (1 - gone)) - cost;
    }
    *close = *close || (room > -1e-3 && room < 1e-3);
    return room >= 0;
}

static void plain_take(plain *p, uint32_t cost)
{
    p->tokens -= cost;
    p->current += cost;
}

static void test_random_requests_agree_with_the_plain_models(void **state)
{
    fixture *f = *state;
    static const char *const RATES[] = {
        "10/second",
        "10/second + 50/minute burst 5",
        "7/3s + 11/5s sliding",
        "5/second sliding",
        "1/s burst 1",
        "1000/s + 30/100ms + 20/s sliding",
        "3/7s burst 9 + 1/s",
        "997/minute",
    };
    sx_random random;
    sx_random_seed(&random, 7);
    for (size_t round = 0; round < SX_COUNT_OF(RATES); round++) {
        make(f, RATES[round]);
        plain rules[SX_RATES_MAX] = {0};
        int64_t now_ms = sx_clock_mono_ms(&f->clock.clock);
        for (size_t i = 0; i < f->o.rate_count; i++)
            rules[i] = (plain){
                .r = f->o.rates[i], .tokens = 1e12, .ms = now_ms, .start_ms = INT64_MIN / 2};
        for (int step = 0; step < 20000; step++) {
            int64_t ms = (int64_t)sx_random_below(&random, step % 100 == 0 ? 9000 : 150);
            uint32_t cost = 1 + (uint32_t)sx_random_below(&random, 3) / 2;
            sx_fake_clock_advance(&f->clock, ms);
            now_ms += ms;
            bool want = true, close = false;
            for (size_t i = 0; i < f->o.rate_count; i++)
                want = plain_allows(&rules[i], now_ms, cost, &close) && want;
            bool got = take(f, "k", cost).allowed;
            if (!close)
                assert_int_equal(got, want); /* when just even, rounding may decide either way */
            for (size_t i = 0; got && i < f->o.rate_count; i++)
                plain_take(&rules[i], cost);
        }
        sx_limiter_free(f->l);
        f->l = NULL;
    }
}

static void test_retry_after_is_when_it_passes(void **state)
{
    fixture *f = *state;
    sx_random random;
    sx_random_seed(&random, 11);
    make(f, "10/3s + 40/minute sliding + 7/s burst 3");
    int refused = 0;
    for (int step = 0; step < 20000; step++) {
        sx_limit_answer a = take(f, "k", 1), again;
        sx_fake_clock_advance(&f->clock, (int64_t)sx_random_below(&random, 50));
        if (a.allowed)
            continue;
        refused++;
        a = take(f, "k", 1);
        if (a.allowed)
            continue;
        assert_true(a.retry_after_ms > 0);
        sx_fake_clock_advance(&f->clock, a.retry_after_ms);
        sx_limiter_peek(f->l, SX_STR("k"), &again);
        assert_true(again.allowed);
    }
    assert_true(refused > 100);
}

/* ---- the table ---- */

static void test_ten_million_keys_take_no_more_memory_and_spare_the_honest_limit(void **state)
{
    fixture *f = *state;
    enum { FLOOD = 10000000 };
    f->o.keys_max = 10000;
    make(f, "10/second + 100/minute");
    uint64_t heavy_allowed = 0;
    int64_t began_ms = sx_clock_mono_ms(&f->clock.clock);
    for (uint64_t i = 0; i < FLOOD; i++) {
        uint64_t key = i * 0x9e3779b97f4a7c15u;
        sx_limiter_take(f->l, sx_str_of(&key, sizeof(key)), 1, NULL);
        if (i % 1000 == 0) { /* 10 times what it may, amid a million new keys a second */
            for (int j = 0; j < 2; j++)
                heavy_allowed += sx_limiter_take(f->l, SX_STR("heavy"), 1, NULL);
            sx_fake_clock_advance(&f->clock, 1);
        }
    }
    int64_t ms = sx_clock_mono_ms(&f->clock.clock) - began_ms;
    sx_limiter_info info;
    sx_limiter_info_of(f->l, &info);
    assert_int_equal(ms, FLOOD / 1000);
    /* A burst of ten, and ten a second. */
    assert_in_range(heavy_allowed, 105, 110);
    assert_true(info.keys <= (uint64_t)f->o.keys_max * 3 / 2 + 7);
    assert_true(info.evicted > FLOOD / 2);
    assert_int_equal(info.allowed + info.refused, FLOOD + 2 * (FLOOD / 1000));
}

static void test_whole_keys_give_way_first_and_are_not_missed(void **state)
{
    fixture *f = *state;
    f->o.keys_max = 1; /* one set of seven */
    make(f, "5/second");
    for (char c = 'a'; c < 'g'; c++)
        for (int i = 0; i < (c == 'a' ? 1 : 5); i++)
            take(f, (char[]){c, '\0'}, 1);
    take(f, "g", 5);
    sx_fake_clock_advance(&f->clock, 200); /* "a" is whole again */
    take(f, "h", 5);
    sx_limiter_info info;
    sx_limiter_info_of(f->l, &info);
    assert_int_equal(info.keys, 7);
    assert_int_equal(info.evicted, 0);
    for (char c = 'b'; c <= 'g'; c++) { /* all others are still known: one each has come back */
        sx_limit_answer a;
        sx_limiter_peek(f->l, sx_str_of(&c, 1), &a);
        assert_int_equal(a.remaining, 1);
    }
    take(f, "i", 1);
    sx_limiter_info_of(f->l, &info);
    assert_int_equal(info.evicted, 1);
}

static void test_keys_are_forgotten_by_hand(void **state)
{
    fixture *f = *state;
    make(f, "1/hour");
    assert_true(take(f, "a", 1).allowed);
    assert_true(take(f, "b", 1).allowed);
    assert_false(take(f, "a", 1).allowed);
    assert_true(sx_limiter_forget(f->l, SX_STR("a")));
    assert_false(sx_limiter_forget(f->l, SX_STR("a")));
    assert_true(take(f, "a", 1).allowed);
    assert_false(take(f, "b", 1).allowed);
    assert_true(sx_limiter_forget(f->l, sx_str_of(NULL, 0)));
    assert_true(take(f, "b", 1).allowed);
    sx_limiter_info info;
    sx_limiter_info_of(f->l, &info);
    assert_int_equal(info.keys, 1);
}

static void test_new_rates_keep_what_was_used(void **state)
{
    fixture *f = *state;
    make(f, "10/minute + 100/hour sliding");
    for (int i = 0; i < 8; i++)
        take(f, "k", 1);
    sx_rate rates[SX_RATES_MAX];
    size_t n;
    sx_error err;
    /* The other way round, and one that is new. */
    sx_rates_parse(SX_STR("50/hour sliding + 20/minute + 30/second"), rates, &n, &err);
    assert_int_equal(sx_limiter_rates_set(f->l, rates, n, &err), SX_OK);
    sx_limit_answer a;
    sx_limiter_peek(f->l, SX_STR("k"), &a);
    assert_int_equal(a.rule, 1);
    assert_int_equal(a.remaining, 12);
    sx_rates_parse(SX_STR("4/minute"), rates, &n, &err);
    assert_int_equal(sx_limiter_rates_set(f->l, rates, n, &err), SX_OK);
    sx_limiter_peek(f->l, SX_STR("k"), &a);
    assert_false(a.allowed);
    assert_int_equal(a.remaining, 0);
    assert_int_equal(sx_limiter_rates_set(f->l, rates, 0, &err), SX_EINVAL);
    rates[0].count = 0;
    assert_int_equal(sx_limiter_rates_set(f->l, rates, 1, &err), SX_EINVAL);
    sx_limiter_info info;
    sx_limiter_info_of(f->l, &info);
    assert_true(info.rate_count == 1 && info.rates[0].count == 4);
}

static void test_answers_become_fields(void **state)
{
    fixture *f = *state;
    make(f, "10/second burst 20 + 100/minute");
    sx_limit_answer a = take(f, "k", 15);
    sx_limit_field fields[SX_LIMIT_FIELDS];
    char room[SX_LIMIT_BYTES], text[512] = "";
    assert_int_equal(sx_limit_headers(f->l, &a, fields, room), 4);
    a = take(f, "k", 6);
    size_t n = sx_limit_headers(f->l, &a, fields, room);
    for (size_t i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s: %.*s\n",
                 SX_ARG(fields[i].name), SX_ARG(fields[i].value));
    assert_string_equal(text, "RateLimit-Limit: 10\nRateLimit-Remaining: 5\nRateLimit-Reset: 2\n"
                              "RateLimit-Policy: 10;w=1;burst=20, 100;w=60\nRetry-After: 1\n");
    sx_rate most = {SX_RATE_TOKEN_BUCKET, UINT32_MAX, UINT32_MAX, UINT32_MAX - 1};
    sx_rate rates[SX_RATES_MAX] = {most, most, most, most};
    assert_int_equal(sx_limiter_rates_set(f->l, rates, SX_RATES_MAX, NULL), SX_OK);
    a = (sx_limit_answer){false, 0, UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT32_MAX, UINT32_MAX - 1};
    assert_int_equal(sx_limit_headers(f->l, &a, fields, room), 5); /* the sanitizer watches */
}

/* ---- threads ---- */

typedef struct crowd {
    fixture *f;
    uint64_t allowed;
} crowd;

static void *be_one_of_many(void *arg)
{
    crowd *c = arg;
    for (uint64_t i = 0; i < 50000; i++) {
        c->allowed += sx_limiter_take(c->f->l, SX_STR("hot"), 1, NULL);
        uint64_t cold = i % 5000;
        sx_limiter_take(c->f->l, sx_str_of(&cold, sizeof(cold)), 1, NULL);
    }
    return NULL;
}

static void test_many_threads_get_exactly_the_burst(void **state)
{
    fixture *f = *state;
    f->o.keys_max = 20000;
    make(f, "1000/hour + 700/day burst 777 + 900/hour sliding");
    pthread_t threads[4];
    crowd c[4];
    for (size_t i = 0; i < 4; i++) {
        c[i] = (crowd){f, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, be_one_of_many, &c[i]), 0);
    }
    for (int i = 0; i < 50; i++) { /* rates that are the same: nothing is let off */
        assert_int_equal(sx_limiter_rates_set(f->l, f->o.rates, f->o.rate_count, NULL), SX_OK);
        sx_limiter_info info;
        sx_limiter_info_of(f->l, &info);
        assert_int_equal(info.rate_count, 3);
    }
    uint64_t allowed = 0;
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        allowed += c[i].allowed;
    }
    assert_int_equal(allowed, 777);
}

/* ---- a shared store ---- */

typedef struct store {
    bool away, at_once;
    sx_limiter_wait *asked;
    uint32_t cost, timeout_ms;
    size_t rates;
    sx_limit_answer answer;
    int cancelled;
} store;

static bool store_take(void *ctx, sx_str limiter_name, sx_str key, uint32_t cost,
                       const sx_rate *rates, size_t count, uint32_t timeout_ms, sx_limiter_wait *w)
{
    store *s = ctx;
    assert_true(sx_str_eq(limiter_name, SX_STR("api")) && sx_str_eq(key, SX_STR("k")));
    assert_true(rates[0].count > 0);
    if (s->away)
        return false;
    s->asked = w;
    s->cost = cost;
    s->timeout_ms = timeout_ms;
    s->rates = count;
    if (s->at_once)
        sx_limiter_answered(w, &s->answer);
    return true;
}

static void store_cancel(void *ctx, sx_limiter_wait *w)
{
    store *s = ctx;
    assert_ptr_equal(w, s->asked);
    s->cancelled++;
}

static void note_answer(sx_limiter_wait *w, const sx_limit_answer *answer, sx_limit_source source)
{
    int *seen = w->arg;
    *seen = answer->allowed ? 10 + (int)source : 20 + (int)source;
}

static void test_a_shared_store_decides_and_the_table_when_it_is_away(void **state)
{
    fixture *f = *state;
    store s = {.answer = {.allowed = true, .limit = 3, .remaining = 2}};
    sx_limiter_share share = {.ctx = &s, .take = store_take, .cancel = store_cancel};
    f->o.share = &share;
    f->o.name = "api";
    make(f, "3/minute");
    int seen = 0;
    sx_limiter_wait w = {.done = note_answer, .arg = &seen};
    sx_limit_answer a;
    sx_limit_source source;

    assert_false(sx_limiter_take_async(f->l, SX_STR("k"), 1, &w, &a, &source));
    assert_true(s.timeout_ms == 20 && s.rates == 1 && s.cost == 1);
    sx_limiter_answered(s.asked, &s.answer);
    assert_int_equal(seen, 10 + SX_LIMIT_SHARED);

    s.at_once = true; /* the caller is not called back, but told */
    seen = 0;
    s.answer.allowed = false;
    assert_true(sx_limiter_take_async(f->l, SX_STR("k"), 1, &w, &a, &source));
    assert_true(!a.allowed && source == SX_LIMIT_SHARED && seen == 0);

    s.at_once = false; /* too late, or an error: the local table has seen one of three */
    assert_false(sx_limiter_take_async(f->l, SX_STR("k"), 1, &w, &a, &source));
    sx_limiter_answered(s.asked, NULL);
    assert_int_equal(seen, 10 + SX_LIMIT_FALLBACK);

    s.away = true;
    assert_true(sx_limiter_take_async(f->l, SX_STR("k"), 1, &w, &a, &source));
    assert_true(a.allowed && a.remaining == 0 && source == SX_LIMIT_FALLBACK);

    s.away = false; /* this process alone has used all: the store is not asked */
    s.asked = NULL;
    assert_true(sx_limiter_take_async(f->l, SX_STR("k"), 1, &w, &a, &source));
    assert_true(!a.allowed && source == SX_LIMIT_LOCAL && s.asked == NULL);

    sx_fake_clock_advance(&f->clock, 60000);
    assert_false(sx_limiter_take_async(f->l, SX_STR("k"), 1, &w, &a, &source));
    sx_limiter_cancel(&w);
    assert_int_equal(s.cancelled, 1);
    sx_limiter_info info;
    sx_limiter_info_of(f->l, &info);
    assert_int_equal(info.allowed, 3);
    assert_int_equal(info.refused, 2);
}

/* A store with a thread of its own that answers whatever is asked, every fifth time with nothing. */
typedef struct far_store {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    sx_limiter_wait *asked; /* under the lock, as the others */
    bool stop;
} far_store;

static bool far_take(void *ctx, sx_str limiter_name, sx_str key, uint32_t cost,
                     const sx_rate *rates, size_t count, uint32_t timeout_ms, sx_limiter_wait *w)
{
    far_store *s = ctx;
    (void)limiter_name;
    (void)key;
    (void)cost;
    (void)rates;
    (void)count;
    (void)timeout_ms;
    pthread_mutex_lock(&s->lock);
    bool is_free = s->asked == NULL;
    if (is_free)
        s->asked = w;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return is_free;
}

static void *answer_all(void *arg)
{
    far_store *s = arg;
    for (uint32_t n = 0;; n++) {
        pthread_mutex_lock(&s->lock);
        while (!s->asked && !s->stop)
            pthread_cond_wait(&s->changed, &s->lock);
        sx_limiter_wait *w = s->asked;
        s->asked = NULL;
        pthread_mutex_unlock(&s->lock);
        if (!w)
            return NULL;
        const sx_limit_answer a = {.allowed = n % 3 != 0, .remaining = n};
        sx_limiter_answered(w, n % 5 == 0 ? NULL : &a);
    }
}

static void note_done(sx_limiter_wait *w, const sx_limit_answer *answer, sx_limit_source source)
{
    int *done = w->arg;
    (void)answer;
    assert_true(source == SX_LIMIT_SHARED || source == SX_LIMIT_FALLBACK);
    __atomic_add_fetch(done, 1, __ATOMIC_RELEASE);
}

static void test_answers_may_come_from_another_thread(void **state)
{
    fixture *f = *state;
    enum { QUESTIONS = 20000 };
    far_store s = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    sx_limiter_share share = {.ctx = &s, .take = far_take};
    f->o.share = &share;
    make(f, "1000000/second");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_all, &s), 0);
    sx_limiter_wait *waits = calloc(QUESTIONS, sizeof(*waits));
    int done = 0, at_once = 0;
    for (int i = 0; i < QUESTIONS; i++) {
        sx_limit_answer a;
        sx_limit_source source;
        waits[i] = (sx_limiter_wait){.done = note_done, .arg = &done};
        at_once += sx_limiter_take_async(f->l, SX_STR("k"), 1, &waits[i], &a, &source);
    }
    pthread_mutex_lock(&s.lock);
    s.stop = true;
    pthread_cond_signal(&s.changed);
    pthread_mutex_unlock(&s.lock);
    pthread_join(thread, NULL);
    assert_int_equal(__atomic_load_n(&done, __ATOMIC_ACQUIRE) + at_once, QUESTIONS);
    sx_limiter_info info;
    sx_limiter_info_of(f->l, &info);
    assert_int_equal(info.allowed + info.refused, QUESTIONS); /* each decided once */
    free(waits);
}

static void test_without_memory_it_says_so(void **state)
{
    fixture *f = *state;
    for (int64_t nth = 1;; nth++) {
        sx_limiter *l = NULL;
        sx_error err = {0};
        f->o.rate_count = 1;
        f->o.rates[0] = (sx_rate){SX_RATE_TOKEN_BUCKET, 5, 1000, 0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = sx_limiter_new(&f->o, &l, &err);
        if (status == SX_OK) {
            assert_true(sx_limiter_take(l, SX_STR("k"), 1, NULL));
            status = sx_limiter_rates_set(l, f->o.rates, 1, &err);
        }
        bool over = sx_fault_alloc_calls() < nth;
        assert_true(status == SX_ENOMEM || (over && status == SX_OK) || (status == SX_OK && l));
        sx_fault_alloc_set((sx_fault_alloc){0});
        sx_limiter_free(l);
        if (over)
            return;
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_rates_are_read),
        T(test_wrong_rates_are_refused_with_a_reason),
        T(test_rates_cut_at_every_byte_are_read_or_refused),
        T(test_impossible_rates_are_refused),
        T(test_a_bucket_gives_its_burst_then_its_rate),
        T(test_all_rules_must_agree_and_a_refusal_costs_nothing),
        T(test_a_sliding_window_never_lets_more_through),
        T(test_random_requests_agree_with_the_plain_models),
        T(test_retry_after_is_when_it_passes),
        T(test_ten_million_keys_take_no_more_memory_and_spare_the_honest_limit),
        T(test_whole_keys_give_way_first_and_are_not_missed),
        T(test_keys_are_forgotten_by_hand),
        T(test_new_rates_keep_what_was_used),
        T(test_answers_become_fields),
        T(test_many_threads_get_exactly_the_burst),
        T(test_a_shared_store_decides_and_the_table_when_it_is_away),
        T(test_answers_may_come_from_another_thread),
        T(test_without_memory_it_says_so),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}

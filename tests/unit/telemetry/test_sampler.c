/* test_sampler.c - which spans are kept: names from OTEL_*, parents, ratios, rates, rules. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sextant/random.h>

#include "telemetry/sampler.h"
#include "telemetry/tracer.h"

typedef struct fixture {
    sx_fake_clock clock;
    sx_sampler *sampler;
} fixture;

static void make(fixture *f, const sx_sampling *s)
{
    sx_error err = {0};
    sx_fake_clock_init(&f->clock, 1700000000000);
    if (sx_sampler_new(s, &f->sampler, &err) != SX_OK)
        fail_msg("%s", err.message);
}

static bool ask_id(fixture *f, const sx_span_options *span, const uint8_t trace_id[16])
{
    sx_sampler_question q = {trace_id, span->parent, span, &f->clock.clock};
    return sx_sampler_decide(f->sampler, &q);
}

static bool ask(fixture *f, const sx_span_options *span)
{
    static const uint8_t ID[16] = {[8] = 0x80}; /* the middle of all ids */
    return ask_id(f, span, ID);
}

static bool ask_name(fixture *f, const char *name)
{
    return ask(f, &(sx_span_options){.name = sx_str_z(name)});
}

static void test_the_names_of_otel(void **state)
{
    (void)state;
    static const struct {
        const char *name, *argument;
        bool right, ignore_parent;
        double ratio, per_second;
    } ROWS[] = {
        {"", "", true, false, 1, 0},
        {"always_on", "", true, true, 1, 0},
        {"always_off", "ignored", true, true, 0, 0},
        {"ALWAYS_ON", "", true, true, 1, 0},
        {"traceidratio", "0.25", true, true, 0.25, 0},
        {"traceidratio", "", true, true, 1, 0}, /* the specification's default */
        {"parentbased_always_on", "", true, false, 1, 0},
        {"parentbased_always_off", "", true, false, 0, 0},
        {" parentbased_traceidratio ", " .5 ", true, false, 0.5, 0},
        {"parentbased_traceidratio", "1.", true, false, 1, 0},
        {"parentbased_traceidratio", "1e-3", true, false, 0.001, 0},
        {"parentbased_traceidratio", "0", true, false, 0, 0},
        {"rate_limited", "10", true, true, 1, 10},
        {"parentbased_rate_limited", "0.5", true, false, 1, 0.5},
        {"traceidratio", "1.01", false, false, 0, 0},
        {"traceidratio", "-0.1", false, false, 0, 0},
        {"traceidratio", "nan", false, false, 0, 0},
        {"traceidratio", "half", false, false, 0, 0},
        {"traceidratio", ".", false, false, 0, 0},
        {"traceidratio", "0.5x", false, false, 0, 0},
        {"rate_limited", "", false, false, 0, 0},
        {"rate_limited", "0", false, false, 0, 0},
        {"jaeger_remote", "", false, false, 0, 0},
        {"parentbased_", "", false, false, 0, 0},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_sampling s = {.ratio = 9};
        sx_error err = {0};
        sx_status status =
            sx_sampling_parse(sx_str_z(ROWS[i].name), sx_str_z(ROWS[i].argument), &s, &err);
        if ((status == SX_OK) != ROWS[i].right)
            fail_msg("%s(%s): %s", ROWS[i].name, ROWS[i].argument, err.message);
        if (!ROWS[i].right) {
            assert_int_equal(status, SX_EINVAL);
            assert_true(err.message[0] != '\0' && s.ratio == 9);
            continue;
        }
        assert_int_equal(s.ignore_parent, ROWS[i].ignore_parent);
        assert_true(s.ratio_set && s.ratio == ROWS[i].ratio);
        assert_true(s.per_second_max == ROWS[i].per_second);
    }
}

static void test_settings_without_sense_are_refused(void **state)
{
    (void)state;
    static const sx_sampling_rule BAD[] = {
        {.ratio = 2},
        {.ratio = -1},
        {.ratio = NAN},
        {.ratio = 1, .per_second_max = -1},
        {.ratio = 1, .kind = 6},
        {.ratio = 1, .kind = -1},
        {.ratio = 1, .per_second_max = NAN},
    };
    sx_sampler *out;
    sx_error err;
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++) {
        err.message[0] = '\0';
        assert_int_equal(
            sx_sampler_new(&(sx_sampling){.rules = &BAD[i], .rule_count = 1}, &out, &err),
            SX_EINVAL);
        assert_non_null(strstr(err.message, "sampling rule 1"));
    }
    sx_sampling s = {.ratio_set = true, .ratio = 1.5};
    assert_int_equal(sx_sampler_new(&s, &out, &err), SX_EINVAL);
    s = (sx_sampling){.rules = BAD, .rule_count = 1001};
    assert_int_equal(sx_sampler_new(&s, &out, &err), SX_EINVAL);
    sx_tracer *t;
    s = (sx_sampling){.per_second_max = -1};
    assert_int_equal(sx_tracer_new(&(sx_tracer_options){.sampling = s}, &t, &err), SX_EINVAL);
    assert_int_equal(sx_tracer_new(NULL, &t, NULL), SX_OK);
    assert_int_equal(sx_tracer_sampling_set(t, &s, &err), SX_EINVAL);
    sx_tracer_free(t);
}

static void test_a_ratio_is_exact_at_its_ends_and_judged_by_the_last_bytes(void **state)
{
    (void)state;
    static const uint8_t LOW[16] = {0}, HIGH[16] = {[8 ... 15] = 0xff}, HALF[16] = {[8] = 0x80};
    uint8_t below_half[16] = {[8] = 0x7f, [9 ... 15] = 0xff};
    static const struct {
        double ratio;
        bool low, below_half, half, high;
    } ROWS[] = {
        {0, false, false, false, false},   {1e-30, false, false, false, false},
        {0.25, true, false, false, false}, {0.5, true, true, false, false},
        {0.75, true, true, true, false},   {1, true, true, true, true},
    };
    sx_span_options span = {.name = SX_STR("s")};
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        fixture f;
        make(&f, &(sx_sampling){.ratio_set = true, .ratio = ROWS[i].ratio});
        assert_int_equal(ask_id(&f, &span, LOW), ROWS[i].low);
        assert_int_equal(ask_id(&f, &span, below_half), ROWS[i].below_half);
        assert_int_equal(ask_id(&f, &span, HALF), ROWS[i].half);
        assert_int_equal(ask_id(&f, &span, HIGH), ROWS[i].high);
        sx_sampler_free(f.sampler);
    }
}

static void test_a_ratio_keeps_its_share(void **state)
{
    (void)state;
    enum { ASKED = 100000 };
    sx_random dice;
    sx_random_seed(&dice, 7);
    fixture f;
    make(&f, &(sx_sampling){.ratio_set = true, .ratio = 0.1});
    sx_span_options span = {.name = SX_STR("s")};
    int kept = 0;
    for (int i = 0; i < ASKED; i++) {
        uint64_t id[2] = {sx_random_u64(&dice), sx_random_u64(&dice)};
        kept += ask_id(&f, &span, (const uint8_t *)id);
    }
    assert_in_range(kept, ASKED / 10 - 500, ASKED / 10 + 500);
    sx_sampler_free(f.sampler);
}

static void test_the_parent_decides_unless_told_otherwise(void **state)
{
    (void)state;
    sx_span_context yes = {.trace_id = {1}, .span_id = {1}, .flags = SX_TRACE_SAMPLED};
    sx_span_context no = {.trace_id = {1}, .span_id = {1}};
    sx_span_context open = {.trace_id = {1}, .span_id = {1}, .flags = SX_TRACE_DEFERRED};
    sx_span_context none = {.flags = SX_TRACE_SAMPLED}, alone = {.flags = SX_TRACE_DECIDED | 1};
    sx_span_context *parents[] = {NULL, &yes, &no, &open, &none, &alone};
    static const bool OFF[] = {false, true, false, false, false, true};
    static const bool ON[] = {true, true, false, true, true, true};
    for (int on = 0; on < 2; on++)
        for (int ignore = 0; ignore < 2; ignore++) {
            fixture f;
            make(&f, &(sx_sampling){.ignore_parent = ignore, .ratio_set = true, .ratio = on});
            for (size_t i = 0; i < SX_COUNT_OF(parents); i++) {
                bool want = ignore ? on : on ? ON[i] : OFF[i];
                assert_int_equal(ask(&f, &(sx_span_options){.parent = parents[i]}), want);
            }
            sx_sampler_free(f.sampler);
        }
}

static void test_a_rate_is_kept_on_a_clock_that_moves(void **state)
{
    (void)state;
    fixture f;
    make(&f, &(sx_sampling){.per_second_max = 10});
    int kept = 0;
    for (int i = 0; i < 100; i++)
        kept += ask_name(&f, "s");
    assert_int_equal(kept, 10); /* what a second saves up */
    for (int ms = 0; ms < 1000; ms++) {
        sx_fake_clock_advance(&f.clock, 1);
        kept += ask_name(&f, "s");
    }
    assert_int_equal(kept, 20);
    sx_fake_clock_advance(&f.clock, 86400000);
    for (int i = 0; i < 100; i++)
        kept += ask_name(&f, "s");
    assert_int_equal(kept, 30);      /* a day saves no more */
    sx_fake_clock_jump(&f.clock, 0); /* the wall clock is not asked */
    assert_false(ask_name(&f, "s"));
    f.clock.mono = 5; /* even a falling one only refuses */
    assert_false(ask_name(&f, "s"));
    sx_sampler_free(f.sampler);
}

static void test_odd_rates(void **state)
{
    (void)state;
    fixture f;
    make(&f, &(sx_sampling){.per_second_max = 0.1});
    assert_true(ask_name(&f, "s"));
    sx_fake_clock_advance(&f.clock, 9999);
    assert_false(ask_name(&f, "s"));
    sx_fake_clock_advance(&f.clock, 1);
    assert_true(ask_name(&f, "s"));
    sx_sampler_free(f.sampler);
    make(&f, &(sx_sampling){.per_second_max = 1e-300}); /* one, and then for a lifetime none */
    assert_true(ask_name(&f, "s"));
    sx_fake_clock_advance(&f.clock, 864000000);
    assert_false(ask_name(&f, "s"));
    sx_sampler_free(f.sampler);
    make(&f, &(sx_sampling){.per_second_max = 1e300});
    for (int i = 0; i < 1000; i++)
        assert_true(ask_name(&f, "s"));
    sx_sampler_free(f.sampler);
}

static void *ask_many(void *arg)
{
    fixture *f = arg;
    size_t kept = 0;
    for (int i = 0; i < 20000; i++)
        kept += ask_name(f, "s");
    return (void *)kept;
}

static void test_two_threads_share_one_rate(void **state)
{
    (void)state;
    fixture f;
    make(&f, &(sx_sampling){.per_second_max = 1000});
    pthread_t threads[2];
    size_t kept = 0;
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, ask_many, &f);
    for (int i = 0; i < 2; i++) {
        void *one;
        pthread_join(threads[i], &one);
        kept += (size_t)one;
    }
    assert_int_equal(kept, 1000);
    sx_sampler_free(f.sampler);
}

static void test_the_first_rule_that_fits_decides(void **state)
{
    (void)state;
    const sx_sampling_rule rules[] = {
        {.name = SX_STR("GET /health*"), .ratio = 0},
        {.kind = SX_SPAN_CLIENT,
         .key = SX_STR("db.system.name"),
         .value = SX_STR("redis"),
         .ratio = 0},
        {.key = SX_STR("status"), .value = SX_STR("5*"), .ratio = 1},
        {.key = SX_STR("debug"), .ratio = 1},
        {.key = SX_STR("x"), .value = SX_STR("0.5"), .ratio = 1},
        {.key = SX_STR("b"), .value = SX_STR("true"), .ratio = 1},
        {.key = SX_STR("u"), .value = SX_STR("18446744073709551615"), .ratio = 1},
        {.name = SX_STR("slow"), .ratio = 1, .per_second_max = 1},
    };
    fixture f;
    make(&f,
         &(sx_sampling){
             .rules = rules, .rule_count = SX_COUNT_OF(rules), .ratio_set = true, .ratio = 0.1});
    assert_false(ask_name(&f, "GET /health/live"));
    assert_false(ask_name(&f, "GET /orders"));
    const sx_field redis[] = {sx_field_z("db.system.name", "redis"), sx_field_i64("status", 500)};
    sx_span_options span = {.attributes = redis, .attribute_count = 2};
    assert_true(ask(&f, &span)); /* not a client: the third rule */
    span.kind = SX_SPAN_CLIENT;
    assert_false(ask(&f, &span));
    const sx_field single[] = {sx_field_i64("status", 503), sx_field_z("debug", ""),
                               sx_field_double("x", 0.5), sx_field_bool("b", true),
                               sx_field_u64("u", UINT64_MAX)};
    for (size_t i = 0; i < SX_COUNT_OF(single); i++)
        assert_true(ask(&f, &(sx_span_options){.attributes = &single[i], .attribute_count = 1}));
    const sx_field other[] = {sx_field_i64("status", 200), sx_field_bool("b", false),
                              sx_field_i64(NULL, 1)};
    assert_false(ask(&f, &(sx_span_options){.attributes = other, .attribute_count = 3}));
    assert_true(ask_name(&f, "slow"));
    assert_false(ask_name(&f, "slow"));
    sx_sampler_free(f.sampler);
}

static void test_globs(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool fits;
    } ROWS[] = {
        {"", "", true},       {"", "a", false},           {"*", "", true},
        {"*", "abc", true},   {"a*c", "abbbc", true},     {"a*c", "abbbcd", false},
        {"*b*", "abc", true}, {"a*b*c", "aXbYbZc", true}, {"abc", "abc", true},
        {"abc", "ab", false}, {"ab", "abc", false},       {"**", "x", true},
        {"a**", "a", true},   {"*a", "ba", true},         {"*ab", "aab", true},
        {"a*", "b", false},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
        assert_int_equal(sx_glob_fits(sx_str_z(ROWS[i].pattern), sx_str_z(ROWS[i].text)),
                         ROWS[i].fits);
}

static void test_sampling_changes_and_comes_back(void **state)
{
    (void)state;
    sx_tracer *t;
    assert_int_equal(sx_tracer_new(NULL, &t, NULL), SX_OK);
    sx_sampler *first = t->sampler;
    sx_sampling all = {.ratio_set = false}, none = {.ratio_set = true, .ratio = 0};
    sx_sampling_rule rule = {.name = SX_STR("a"), .value = SX_STR("v"), .ratio = 1};
    sx_sampling ruled = {.rules = &rule, .rule_count = 1};
    assert_int_equal(sx_tracer_sampling_set(t, &all, NULL), SX_OK);
    assert_ptr_equal(t->sampler, first); /* the same settings change nothing */
    assert_int_equal(sx_tracer_sampling_set(t, &none, NULL), SX_OK);
    assert_ptr_not_equal(t->sampler, first);
    assert_int_equal(sx_tracer_sampling_set(t, &ruled, NULL), SX_OK);
    assert_int_equal(sx_tracer_sampling_set(t, &all, NULL), SX_OK);
    assert_ptr_equal(t->sampler, first); /* found among the old ones */
    size_t count = 0;
    for (sx_sampler *s = t->sampler; s; s = *sx_sampler_older(s))
        count++;
    assert_int_equal(count, 3);
    rule.name = SX_STR("b");
    assert_int_equal(sx_tracer_sampling_set(t, &ruled, NULL), SX_OK);
    assert_ptr_equal(*sx_sampler_older(t->sampler), first);
    sx_tracer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_names_of_otel),
        cmocka_unit_test(test_settings_without_sense_are_refused),
        cmocka_unit_test(test_a_ratio_is_exact_at_its_ends_and_judged_by_the_last_bytes),
        cmocka_unit_test(test_a_ratio_keeps_its_share),
        cmocka_unit_test(test_the_parent_decides_unless_told_otherwise),
        cmocka_unit_test(test_a_rate_is_kept_on_a_clock_that_moves),
        cmocka_unit_test(test_odd_rates),
        cmocka_unit_test(test_two_threads_share_one_rate),
        cmocka_unit_test(test_the_first_rule_that_fits_decides),
        cmocka_unit_test(test_globs),
        cmocka_unit_test(test_sampling_changes_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

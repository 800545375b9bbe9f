/* test_sampling.c - probabilistic_sampler and tail_sampling, on a clock moved by hand. */
#include <sextant/hash.h>

#include "tests/unit/observe/collector/spans.h"

static void send_trace(pipe_fixture *f, uint8_t trace, int64_t ms, int status)
{
    span_batch *b = span_batch_new(0);
    assert_non_null(b);
    span *s = add_span(b, "shop", "GET /", trace);
    s->end_ns = s->start_ns + (uint64_t)ms * 1000000;
    s->status = (uint8_t)status;
    s->trace_state = SX_STR("tier=gold,x=y");
    add_attr(b, s, "user", text_value("ann"));
    add_attr(b, s, "code", int_value(404));
    add_attr(b, s, "vip", (span_value){.i = 1, .type = SPAN_BOOL});
    pipe_send(f, b);
}

/* Each policy, and whether it keeps a trace of one span of 10 ms with the attributes above. */
static const struct {
    const char *policy;
    bool kept;
} POLICIES[] = {
    {"type: always_sample", true},
    {"type: latency, latency: {threshold_ms: 10}", true},
    {"type: latency, latency: {threshold_ms: 11}", false},
    {"type: latency, latency: {threshold_ms: 5, upper_threshold_ms: 9}", false},
    {"type: numeric_attribute, numeric_attribute: {key: code, min_value: 400, max_value: 499}",
     true},
    {"type: numeric_attribute, numeric_attribute: {key: code, min_value: 500, max_value: 599}",
     false},
    {"type: numeric_attribute, numeric_attribute: {key: code, min_value: 500, max_value: 599, "
     "invert_match: true}",
     true},
    {"type: probabilistic, probabilistic: {sampling_percentage: 100}", true},
    {"type: probabilistic, probabilistic: {sampling_percentage: 0}", false},
    {"type: status_code, status_code: {status_codes: [ERROR]}", true},
    {"type: status_code, status_code: {status_codes: [OK, UNSET]}", false},
    {"type: string_attribute, string_attribute: {key: user, values: [bob, ann]}", true},
    {"type: string_attribute, string_attribute: {key: service.name, values: [shop]}", true},
    {"type: string_attribute, string_attribute: {key: user, values: ['^a'], "
     "enabled_regex_matching: true}",
     true},
    {"type: string_attribute, string_attribute: {key: user, values: [ann], invert_match: true}",
     false},
    {"type: string_attribute, string_attribute: {key: none, values: [ann], invert_match: true}",
     true},
    {"type: rate_limiting, rate_limiting: {spans_per_second: 2}", true},
    {"type: rate_limiting, rate_limiting: {spans_per_second: 1}", false},
    {"type: span_count, span_count: {min_spans: 1, max_spans: 1}", true},
    {"type: span_count, span_count: {min_spans: 2}", false},
    {"type: boolean_attribute, boolean_attribute: {key: vip, value: true}", true},
    {"type: boolean_attribute, boolean_attribute: {key: vip, value: false}", false},
    {"type: trace_state, trace_state: {key: tier, values: [gold]}", true},
    {"type: trace_state, trace_state: {key: tier, values: [tin]}", false},
    {"type: ottl_condition, ottl_condition: {span: ['attributes[\"code\"] > 400']}", true},
    {"type: ottl_condition, ottl_condition: {span: ['attributes[\"code\"] < 400']}", false},
    {"type: and, and: {and_sub_policy: [{name: a, type: always_sample}, {name: b, type: "
     "status_code, status_code: {status_codes: [ERROR]}}]}",
     true},
    {"type: and, and: {and_sub_policy: [{name: a, type: always_sample}, {name: b, type: "
     "status_code, status_code: {status_codes: [OK]}}]}",
     false},
    {"type: not, not: {not_sub_policy: {name: a, type: always_sample}}", false},
    {"type: drop, drop: {drop_sub_policy: [{name: a, type: always_sample}]}}, {name: q, type: "
     "always_sample",
     false},
    {"type: composite, composite: {max_total_spans_per_second: 10, policy_order: [b, a], "
     "composite_sub_policy: [{name: a, type: always_sample}, {name: b, type: status_code, "
     "status_code: {status_codes: [OK]}}], rate_allocation: [{policy: a, percent: 50}]}",
     true},
    {"type: composite, composite: {max_total_spans_per_second: 10, policy_order: [a], "
     "composite_sub_policy: [{name: a, type: always_sample}], rate_allocation: [{policy: a, "
     "percent: 5}]}",
     false},
};

static void test_every_policy_of_tail_sampling(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(POLICIES); i++) {
        pipe_fixture f;
        char text[1024];
        snprintf(text, sizeof(text),
                 "  tail_sampling: {decision_wait: 10s, policies: [{name: p, %s}]}",
                 POLICIES[i].policy);
        pipe_open(&f, text, "[tail_sampling]");
        send_trace(&f, 1, 10, SPAN_ERROR);
        assert_int_equal(recorded_spans(), 0);
        sx_fake_clock_advance(&f.clock, 10000);
        collector_run(f.c);
        if ((recorded_spans() == 1) != POLICIES[i].kept)
            fail_msg("%s: %zu", POLICIES[i].policy, recorded_spans());
        pipe_close(&f);
    }
}

#define ERRORS "policies: [{name: e, type: status_code, status_code: {status_codes: [ERROR]}}]}"

static void test_late_spans_follow_the_decision(void **state)
{
    pipe_fixture f;
    (void)state;
    pipe_open(&f, "  tail_sampling: {decision_wait: 10s, " ERRORS, "[tail_sampling]");
    send_trace(&f, 1, 10, SPAN_OK);
    send_trace(&f, 2, 10, SPAN_OK);
    sx_fake_clock_advance(&f.clock, 9999);
    collector_run(f.c);
    send_trace(&f, 1, 10, SPAN_ERROR);
    assert_int_equal(recorded_spans(), 0);
    sx_fake_clock_advance(&f.clock, 1);
    collector_run(f.c);
    assert_int_equal(recorded_spans(), 2); /* trace 1, both in one batch */
    assert_int_equal(RECORDER.count, 1);
    send_trace(&f, 1, 10, SPAN_OK);
    send_trace(&f, 2, 10, SPAN_ERROR);
    assert_int_equal(recorded_spans(), 3);
    pipe_close(&f);
}

static void test_the_oldest_trace_makes_room_and_a_cache_remembers(void **state)
{
    pipe_fixture f;
    (void)state;
    pipe_open(&f,
              "  tail_sampling: {decision_wait: 10s, num_traces: 2, decision_cache: "
              "{sampled_cache_size: 1}, " ERRORS,
              "[tail_sampling]");
    for (uint8_t t = 1; t <= 3; t++)
        send_trace(&f, t, 10, SPAN_ERROR);
    sx_fake_clock_advance(&f.clock, 10000);
    collector_run(f.c);
    assert_int_equal(recorded_spans(), 2); /* trace 1 had to go undecided */
    send_trace(&f, 4, 10, SPAN_OK);        /* trace 2 moves into the cache */
    send_trace(&f, 2, 10, SPAN_OK);
    assert_int_equal(recorded_spans(), 3);
    send_trace(&f, 5, 10, SPAN_OK); /* trace 3 takes its place there */
    send_trace(&f, 3, 10, SPAN_OK);
    assert_int_equal(recorded_spans(), 4);
    pipe_close(&f);
}

static void test_pending_traces_are_decided_at_the_end(void **state)
{
    pipe_fixture f;
    (void)state;
    pipe_open(&f, "  tail_sampling: {decision_wait: 10s, " ERRORS, "[tail_sampling]");
    send_trace(&f, 1, 10, SPAN_ERROR);
    collector_free(f.c);
    assert_int_equal(recorded_spans(), 1);
    recorder_clear();
}

static size_t share(const char *settings)
{
    pipe_fixture f;
    pipe_open(&f, settings, "[probabilistic_sampler]");
    for (int round = 0; round < 40; round++) {
        span_batch *b = span_batch_new(0);
        for (int i = 0; i < 250; i++) {
            span *s = add_span(b, "shop", "x", (uint8_t)i);
            uint64_t random = sx_hash_u64((uint64_t)(round * 250 + i), 7);
            memcpy(s->trace_id, &random, 8);
            random = sx_hash_u64(random, 9);
            memcpy(s->trace_id + 8, &random, 8);
        }
        pipe_send(&f, b);
    }
    size_t kept = recorded_spans();
    pipe_close(&f);
    return kept;
}

static void test_the_sampler_keeps_its_share(void **state)
{
    static const char *const MODES[] = {"hash_seed", "proportional", "equalizing"};
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(MODES); i++) {
        char text[256];
        snprintf(text, sizeof(text), "  probabilistic_sampler: {mode: %s, sampling_percentage: 25}",
                 MODES[i]);
        assert_in_range(share(text), 2300, 2700); /* of 10,000 */
        snprintf(text, sizeof(text), "  probabilistic_sampler: {mode: %s, sampling_percentage: 0}",
                 MODES[i]);
        assert_int_equal(share(text), 0);
        snprintf(text, sizeof(text),
                 "  probabilistic_sampler: {mode: %s, sampling_percentage: 100}", MODES[i]);
        assert_int_equal(share(text), 10000);
    }
}

static void test_priority_and_thresholds(void **state)
{
    pipe_fixture f;
    (void)state;
    pipe_open(&f, "  probabilistic_sampler: {mode: proportional, sampling_percentage: 50}",
              "[probabilistic_sampler]");
    span_batch *b = span_batch_new(0);
    span *s = add_span(b, "shop", "never", 1);
    add_attr(b, s, "sampling.priority", int_value(0));
    s = add_span(b, "shop", "always", 1);
    add_attr(b, s, "sampling.priority", int_value(1));
    s = add_span(b, "shop", "high", 1);
    s->trace_state = SX_STR("ot=rv:80000000000000,v=1");
    s = add_span(b, "shop", "low", 1);
    s->trace_state = SX_STR("ot=rv:7fffffffffffff");
    s = add_span(b, "shop", "halved before", 1);
    s->trace_state = SX_STR("ot=rv:bfffffffffffff;th:8"); /* 50% of 50%: from c on */
    s = add_span(b, "shop", "broken", 1);
    s->trace_state = SX_STR("ot=rv:xyz");
    pipe_send(&f, b);
    assert_int_equal(recorded_spans(), 2);
    assert_true(sx_str_eq(recorded(0)->name, SX_STR("always")));
    assert_true(sx_str_eq(recorded(1)->name, SX_STR("high")));
    assert_true(sx_str_eq(recorded(1)->trace_state, SX_STR("ot=th:8;rv:80000000000000,v=1")));
    pipe_close(&f);
}

static void test_bad_settings_are_refused(void **state)
{
    static const refused_settings BAD[] = {
        {"tail_sampling: {}", "at least one of policies"},
        {"tail_sampling: {policies: [{name: a}]}", "a policy is {name, type"},
        {"tail_sampling: {policies: [{name: a, type: guess}]}", "unknown sampling policy type"},
        {"tail_sampling: {policies: [{name: a, type: latency, colour: red}]}", "unknown field"},
        {"tail_sampling: {policies: [{name: a, type: and}]}", "and_sub_policy"},
        {"tail_sampling: {policies: [{name: a, type: status_code}]}", "at least one status code"},
        {"tail_sampling: {policies: [{name: a, type: status_code, status_code: {status_codes: "
         "[BAD]}}]}",
         "status code \"BAD\""},
        {"tail_sampling: {policies: [{name: a, type: always_sample}, {name: a, type: "
         "always_sample}]}",
         "duplicate policy name"},
        {"tail_sampling: {policies: [{name: a, type: string_attribute, string_attribute: {key: k, "
         "values: ['('], enabled_regex_matching: true}}]}",
         "c.yml:3:"},
        {"tail_sampling: {policies: [{name: a, type: composite, composite: "
         "{max_total_spans_per_second: 1, policy_order: [x], composite_sub_policy: [{name: b, "
         "type: always_sample}]}}]}",
         "no such policy"},
        {"probabilistic_sampler: {sampling_percentage: -1}", "must not be negative"},
        {"probabilistic_sampler: {mode: dice}", "is none of: hash_seed"},
        {"probabilistic_sampler: {sampling_precision: 15}", "from 1 to 14"},
    };
    (void)state;
    assert_refused(BAD, SX_COUNT_OF(BAD), " {", "}", "c.yml:3:");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_policy_of_tail_sampling),
        cmocka_unit_test(test_late_spans_follow_the_decision),
        cmocka_unit_test(test_the_oldest_trace_makes_room_and_a_cache_remembers),
        cmocka_unit_test(test_pending_traces_are_decided_at_the_end),
        cmocka_unit_test(test_the_sampler_keeps_its_share),
        cmocka_unit_test(test_priority_and_thresholds),
        cmocka_unit_test(test_bad_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

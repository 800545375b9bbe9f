/* test_span.c - what a span records, and how it reads when it is decoded again. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <sextant/context.h>
#include <sextant/mem.h>

#include "base/fault.h"

#include "span_capture.h"

static span_capture capture;

static sx_tracer *tracer_of(const sx_tracer_options *options)
{
    sx_tracer *t;
    sx_error err = {0};
    if (sx_tracer_new_to(options, &CAPTURE, &capture, &t, &err) != SX_OK)
        fail_msg("%s", err.message);
    capture.len = capture.spans = 0;
    capture.refuse = false;
    return t;
}

static sx_span started(sx_tracer *t, const char *name)
{
    sx_span span;
    sx_span_start(&span, t, &(sx_span_options){.name = sx_str_z(name)});
    assert_true(sx_span_recording(&span));
    return span;
}

static void test_what_is_set_is_what_is_sent(void **state)
{
    (void)state;
    sx_tracer *t = tracer_of(NULL);
    sx_span span = started(t, "charge");
    SX_SPAN_SET(&span, sx_field_z("card", "visa"), sx_field_i64("n", -3), sx_field_u64("big", 7),
                sx_field_double("x", 1.5), sx_field_bool("ok", true), sx_field_bool("not", false),
                sx_field_z("empty", ""));
    sx_span_set_texts(&span, "tags", (const sx_str[]){SX_STR("a"), SX_STR("")}, 2);
    sx_span_end(&span);
    assert_string_equal(capture_read(&capture),
                        "charge kind=1 {card='visa' n=-3 big=7 x=1.5f ok=true not=false empty='' "
                        "tags=['a','']}");
    assert_memory_equal(capture.trace_id, span.context.trace_id, 16);
    assert_memory_equal(capture.span_id, span.context.span_id, 8);
    assert_int_equal(capture.flags, 0x100 | SX_TRACE_SAMPLED | SX_TRACE_RANDOM);
    assert_false(sx_span_recording(&span));
    sx_span_end(&span); /* a second end does nothing */
    assert_int_equal(capture.spans, 1);
    sx_tracer_free(t);
}

static void test_a_key_set_again_is_replaced(void **state)
{
    (void)state;
    sx_tracer *t = tracer_of(NULL);
    sx_span span = started(t, "first");
    char long_text[300];
    memset(long_text, 'l', sizeof(long_text));
    SX_SPAN_SET(&span, sx_field_z("a", "1"), sx_field_z("b", "2"), sx_field_z("c", "3"));
    SX_SPAN_SET(&span, sx_field_str("a", sx_str_of(long_text, sizeof(long_text))));
    sx_span_rename(&span, SX_STR("a longer name than before"));
    sx_span_outcome_set(&span, SX_SPAN_ERROR, SX_STR("one"));
    SX_SPAN_SET(&span, sx_field_i64("b", 5), sx_field_z("a", "x"), sx_field_z("d", "4"));
    sx_span_outcome_set(&span, SX_SPAN_ERROR, SX_STR("two"));
    sx_span_rename(&span, SX_STR("last"));
    SX_SPAN_SET(&span, sx_field_z("c", "9"));
    sx_span_end(&span);
    assert_string_equal(capture_read(&capture), "last kind=1 status=2:two {b=5 a='x' d='4' c='9'}");
    sx_tracer_free(t);
}

/* Sets at random, against a plain table. */
static void test_random_sets_match_a_plain_table(void **state)
{
    (void)state;
    enum { KEYS = 20 };
    static const char *const NAMES[KEYS] = {"k0",  "k1",  "k2",  "k3",  "k4",  "k5",  "k6",
                                            "k7",  "k8",  "k9",  "k10", "k11", "k12", "k13",
                                            "k14", "k15", "k16", "k17", "k18", "k19"};
    static char text[400];
    memset(text, 't', sizeof(text));
    sx_random dice;
    sx_random_seed(&dice, 20);
    sx_tracer *t = tracer_of(NULL);
    for (int round = 0; round < 200; round++) {
        size_t lengths[KEYS];
        bool set[KEYS] = {false};
        sx_span span = started(t, "s");
        for (int i = 0; i < 60; i++) {
            size_t k = sx_random_below(&dice, KEYS);
            lengths[k] = sx_random_below(&dice, sizeof(text));
            set[k] = true;
            SX_SPAN_SET(&span, sx_field_str(NAMES[k], sx_str_of(text, lengths[k])));
            if (i % 7 == 0)
                sx_span_rename(&span, sx_str_of(text, lengths[k]));
            if (i % 11 == 0)
                sx_span_event(&span, SX_STR("e"), NULL, 0);
        }
        sx_span_end(&span);
        const char *read = capture_read(&capture);
        size_t count = 0;
        for (size_t k = 0; k < KEYS; k++) {
            char pair[450];
            count += set[k];
            if (!set[k])
                continue;
            snprintf(pair, sizeof(pair), "%s='%.*s'", NAMES[k], (int)lengths[k], text);
            assert_non_null(strstr(read, pair));
        }
        assert_int_equal(capture.attributes, count);
        assert_int_equal(capture.events, 6);
    }
    sx_tracer_free(t);
}

static void test_json_becomes_lists_and_objects(void **state)
{
    (void)state;
    static const struct {
        const char *json, *read;
    } ROWS[] = {
        {"[1,2.5,\"x\",true,null]", "[1,2.5f,'x',true,nothing]"},
        {"{\"a\":{\"b\":[]},\"c\":\"d\\n\\u00e9\"}", "{a={b=[]},c='d\n\xc3\xa9'}"},
        {"\"text\"", "'text'"},
        {"12345678901234567890", "1.23457e+19f"},
        {"null", "nothing"},
        {"[1,", "'[1,'"}, /* not right: kept as text */
        {"", "''"},
        {"[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]", "'[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]'"},
        {"[1e999]", "[inff]"},
    };
    sx_tracer *t = tracer_of(NULL);
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        char want[200];
        sx_span span = started(t, "j");
        SX_SPAN_SET(&span, sx_field_json("v", sx_str_z(ROWS[i].json)));
        sx_span_end(&span);
        snprintf(want, sizeof(want), "j kind=1 {v=%s}", ROWS[i].read);
        assert_string_equal(capture_read(&capture), want);
    }
    sx_tracer_free(t);
}

static void test_texts_are_always_utf8_and_cut_between_characters(void **state)
{
    (void)state;
    sx_tracer *t = tracer_of(&(sx_tracer_options){.value_bytes_max = 7});
    sx_span span = started(t, "na\xffme");
    SX_SPAN_SET(&span, sx_field_z("cut", "12345\xc3\xa9\xc3\xa9"), sx_field_z("bad", "a\xc3(b"),
                sx_field_z("bads", "\xff\xff\xff\xff"), sx_field_z("k\xfey", "v"),
                sx_field_z("k\xfey", "w"), sx_field_u64("huge", UINT64_MAX));
    sx_span_set_texts(&span, "list", (const sx_str[]){SX_STR("123456789")}, 1);
    sx_span_outcome_set(&span, SX_SPAN_ERROR, SX_STR("not \x80 cut at seven"));
    sx_span_end(&span);
    assert_string_equal(
        capture_read(&capture),
        "na\xef\xbf\xbdme kind=1 status=2:not \xef\xbf\xbd cut at seven "
        "{cut='12345\xc3\xa9' bad='a\xef\xbf\xbd(b' bads='\xef\xbf\xbd\xef\xbf\xbd' "
        "k\xef\xbf\xbdy='w' huge='18446744073709551615' list=['1234567']}");
    sx_tracer_free(t);
}

static void test_every_limit_counts_what_it_drops(void **state)
{
    (void)state;
    sx_tracer *t = tracer_of(&(sx_tracer_options){
        .attributes_max = 2, .events_max = 1, .links_max = 1, .event_attributes_max = 1});
    sx_span_context other = {.trace_id = {[15] = 7}, .span_id = {[7] = 8}, .remote = true};
    const sx_field three[] = {sx_field_i64("a", 1), sx_field_i64("a", 2), sx_field_i64("b", 3)};
    sx_span_link link = {other, three, 3};
    sx_span span = started(t, "s");
    SX_SPAN_SET(&span, sx_field_i64("a", 1), sx_field_i64("b", 2), sx_field_i64("c", 3),
                sx_field_i64("a", 4), sx_field_i64("", 5), sx_field_i64(NULL, 6));
    sx_span_event(&span, SX_STR("e"), three, 3);
    sx_span_event(&span, SX_STR("f"), NULL, 0);
    sx_span_link_add(&span, &link);
    sx_span_link_add(&span, &link);
    sx_span_link_add(&span, &(sx_span_link){.attributes = NULL}); /* to nothing */
    sx_span_end(&span);
    assert_string_equal(capture_read(&capture),
                        "s kind=1 {b=2 a=4} dropped=3/1/2 event e {a=2 dropped=1} "
                        "link 07/08 {a=2 dropped=1 flags=300}");
    sx_tracer_free(t);
}

static void test_links_at_the_start_and_without_room(void **state)
{
    (void)state;
    static char text[4000];
    memset(text, 'z', sizeof(text));
    sx_tracer *t = tracer_of(&(sx_tracer_options){.span_bytes_max = 1}); /* the least is 8192 */
    sx_span_context other = {
        .trace_id = {[15] = 7}, .span_id = {[7] = 8}, .tracestate = SX_STR("a=b")};
    const sx_field big[] = {sx_field_str("big", sx_str_of(text, sizeof(text)))};
    const sx_span_link links[] = {{.context = other}, {other, big, 1}};
    sx_span span;
    sx_span_start(&span, t,
                  &(sx_span_options){.name = SX_STR("s"), .links = links, .link_count = 2});
    sx_str texts[] = {sx_str_of(text, sizeof(text)), sx_str_of(text, sizeof(text))};
    sx_span_set_texts(&span, "texts", texts, 2);
    sx_span_set_texts(&span, "", texts, 0);
    sx_span_end(&span);
    assert_string_equal(capture_read(&capture),
                        "s kind=1 {} dropped=2/0/1 link 07/08 {(a=b) flags=100}");
    sx_tracer_free(t);
}

static void test_a_span_is_never_longer_than_allowed(void **state)
{
    (void)state;
    static char text[70000];
    memset(text, 'z', sizeof(text));
    sx_tracer *t = tracer_of(&(sx_tracer_options){.span_bytes_max = 10000,
                                                  .attributes_max = 100000,
                                                  .events_max = 100000,
                                                  .value_bytes_max = 100000});
    for (size_t len = 0; len < sizeof(text); len = len * 3 / 2 + 1) {
        sx_str piece = sx_str_of(text, len);
        sx_span span = started(t, "s");
        for (int i = 0; i < 40; i++) {
            char key[] = {'k', (char)('A' + i), '\0'};
            SX_SPAN_SET(&span, sx_field_str(key, piece));
            sx_span_event(&span, piece, &(sx_field){.key = key, .kind = SX_FIELD_STR, .str = piece},
                          1);
            sx_span_rename(&span, piece);
            sx_span_error(&span, piece, piece);
        }
        sx_span_end(&span);
        assert_true(capture.len <= 10000);
        capture_read(&capture);
        assert_int_equal(capture.attributes + capture.dropped[0], 40);
        assert_int_equal(capture.events + capture.dropped[1], 80);
        /* However full it is, the last name and status found room. */
        assert_true(strncmp(capture.text.data, text, len < 1024 ? len : 1024) == 0);
        assert_non_null(strstr(capture.text.data, "status=2:"));
    }
    sx_tracer_free(t);
}

static void test_an_outcome_only_gets_more_certain(void **state)
{
    (void)state;
    sx_tracer *t = tracer_of(NULL);
    sx_span span = started(t, "s");
    sx_span_outcome_set(&span, SX_SPAN_UNSET, SX_STR("ignored"));
    sx_span_outcome_set(&span, SX_SPAN_ERROR, SX_STR("bad"));
    sx_span_outcome_set(&span, SX_SPAN_UNSET, SX_STR(""));
    sx_span_outcome_set(&span, SX_SPAN_OK, SX_STR("no message with OK"));
    sx_span_outcome_set(&span, SX_SPAN_ERROR, SX_STR("too late"));
    sx_span_end(&span);
    assert_string_equal(capture_read(&capture), "s kind=1 status=1: {}");
    span = started(t, "s");
    sx_span_error(&span, SX_STR("timeout"), SX_STR("took too long"));
    sx_span_end(&span);
    assert_string_equal(capture_read(&capture),
                        "s kind=1 status=2:took too long {} event exception "
                        "{exception.type='timeout' exception.message='took too long'}");
    sx_tracer_free(t);
}

static void test_clocks_that_jump_do_not_change_a_duration(void **state)
{
    (void)state;
    sx_fake_clock clock;
    sx_fake_clock_init(&clock, 1700000000000);
    sx_tracer *t = tracer_of(&(sx_tracer_options){.clock = &clock.clock});
    static const int64_t JUMPS_MS[] = {1700000000000, 0, 1, 4000000000000, -5000};
    for (size_t i = 0; i < SX_COUNT_OF(JUMPS_MS); i++) {
        sx_fake_clock_jump(&clock, 1700000000000);
        sx_span span = started(t, "s");
        sx_fake_clock_advance(&clock, 10);
        sx_fake_clock_jump(&clock, JUMPS_MS[i]);
        sx_span_event(&span, SX_STR("e"), NULL, 0);
        sx_fake_clock_advance(&clock, 15);
        sx_span_end(&span);
        capture_read(&capture);
        assert_int_equal(capture.start_ns, 1700000000000000000);
        assert_int_equal(capture.event_ns, 1700000000010000000);
        assert_int_equal(capture.end_ns, 1700000000025000000);
    }
    sx_fake_clock_jump(&clock, -5000); /* before 1970, which OTLP cannot say */
    sx_span span = started(t, "s");
    clock.mono -= 1000000000; /* and a monotonic clock that falls, as none should */
    sx_span_end(&span);
    capture_read(&capture);
    assert_int_equal(capture.start_ns, 0);
    assert_int_equal(capture.end_ns, 0);
    sx_span_start(&span, t, &(sx_span_options){.start_wall_ns = INT64_MAX, .start_mono_ns = 1});
    sx_span_end(&span);
    capture_read(&capture);
    assert_int_equal(capture.end_ns, INT64_MAX);
    sx_tracer_free(t);
}

static void test_a_start_in_the_past_is_the_callers_word(void **state)
{
    (void)state;
    sx_fake_clock clock;
    sx_fake_clock_init(&clock, 1700000000000);
    sx_tracer *t = tracer_of(&(sx_tracer_options){.clock = &clock.clock});
    sx_span span;
    sx_span_start(&span, t,
                  &(sx_span_options){.name = SX_STR("s"),
                                     .kind = SX_SPAN_SERVER,
                                     .start_wall_ns = 1699999999000000000,
                                     .start_mono_ns = sx_clock_mono_ns(&clock.clock) - 50});
    sx_span_end(&span);
    assert_string_equal(capture_read(&capture), "s kind=2 {}");
    assert_int_equal(capture.start_ns, 1699999999000000000);
    assert_int_equal(capture.end_ns, 1699999999000000050);
    sx_tracer_free(t);
}

static void test_a_child_follows_its_parent(void **state)
{
    (void)state;
    sx_tracer *t = tracer_of(NULL);
    sx_span_context caller = {
        .flags = SX_TRACE_SAMPLED, .remote = true, .tracestate = SX_STR("a=1,b=2")};
    memset(caller.trace_id, 0xab, 16);
    memset(caller.span_id, 0xcd, 8);
    sx_span span, inner;
    sx_span_start(&span, t, &(sx_span_options){.name = SX_STR("s"), .parent = &caller});
    assert_memory_equal(span.context.trace_id, caller.trace_id, 16);
    assert_memory_not_equal(span.context.span_id, caller.span_id, 8);
    assert_int_equal(span.context.flags, SX_TRACE_SAMPLED);
    assert_false(span.context.remote);
    sx_span_start(&inner, t, &(sx_span_options){.name = SX_STR("i"), .parent = &span.context});
    sx_span_end(&inner);
    capture_read(&capture);
    assert_memory_equal(capture.parent_id, span.context.span_id, 8);
    assert_int_equal(capture.flags, 0x101);
    sx_span_end(&span);
    capture_read(&capture);
    assert_memory_equal(capture.parent_id, caller.span_id, 8);
    assert_int_equal(capture.flags, 0x301);
    assert_string_equal(capture.state, "a=1,b=2");
    caller.flags = SX_TRACE_RANDOM; /* not sampled */
    sx_span_start(&span, t, &(sx_span_options){.name = SX_STR("s"), .parent = &caller});
    assert_false(sx_span_recording(&span));
    assert_int_equal(span.context.flags, SX_TRACE_RANDOM);
    assert_int_equal(span.start_mono_ns, 0);
    SX_SPAN_SET(&span, sx_field_i64("not", 1)); /* all of these do nothing */
    sx_span_event(&span, SX_STR("e"), NULL, 0);
    sx_span_rename(&span, SX_STR("n"));
    sx_span_error(&span, SX_STR("e"), SX_STR("m"));
    sx_span_set_texts(&span, "l", NULL, 0);
    sx_span_link_add(&span, &(sx_span_link){.context = caller});
    sx_span_end(&span);
    sx_span_drop(&span);
    assert_int_equal(capture.spans, 2);
    sx_tracer_free(t);
}

static void test_b3s_open_and_lone_decisions(void **state)
{
    (void)state;
    sx_tracer *t = tracer_of(&(sx_tracer_options){.sampling = {.ratio_set = true, .ratio = 0}});
    sx_span_context parent;
    sx_span span;
    assert_true(sx_b3_parse(SX_STR("d"), &parent)); /* no ids, but sampled and debug */
    sx_span_start(&span, t, &(sx_span_options){.name = SX_STR("s"), .parent = &parent});
    assert_true(sx_span_recording(&span));
    assert_true(sx_span_context_valid(&span.context));
    assert_int_equal(span.context.flags, SX_TRACE_SAMPLED | SX_TRACE_DEBUG | SX_TRACE_RANDOM);
    sx_span_end(&span);
    capture_read(&capture);
    assert_int_equal(capture.flags, 0x103); /* debug is not W3C's */
    assert_true(sx_b3_parse(SX_STR("0"), &parent));
    sx_span_start(&span, t, &(sx_span_options){.name = SX_STR("s"), .parent = &parent});
    assert_false(sx_span_recording(&span));
    /* Left open: the sampler is asked, which says no; the trace stays the caller's. */
    assert_true(sx_b3_parse(SX_STR("00000000000000000000000000000001-0000000000000002"), &parent));
    sx_span_start(&span, t, &(sx_span_options){.name = SX_STR("s"), .parent = &parent});
    assert_false(sx_span_recording(&span));
    assert_memory_equal(span.context.trace_id, parent.trace_id, 16);
    assert_int_equal(span.context.flags, 0);
    sx_tracer_free(t);
    t = tracer_of(NULL);
    sx_span_start(&span, t, &(sx_span_options){.name = SX_STR("s"), .parent = &parent});
    assert_true(sx_span_recording(&span));
    assert_int_equal(span.context.flags, SX_TRACE_SAMPLED);
    sx_span_end(&span);
    sx_tracer_free(t);
}

static void test_without_tracer_or_exporter_ids_pass_on(void **state)
{
    (void)state;
    sx_span_context caller = {.trace_id = {1}, .span_id = {2}, .flags = SX_TRACE_SAMPLED};
    sx_span span;
    sx_span_start(&span, NULL, &(sx_span_options){.name = SX_STR("s"), .parent = &caller});
    assert_memory_equal(span.context.span_id, caller.span_id, 8);
    sx_span_end(&span);
    sx_span_start(&span, NULL, &(sx_span_options){.name = SX_STR("s")});
    assert_false(sx_span_context_valid(&span.context));
    sx_tracer *t;
    assert_int_equal(sx_tracer_new(NULL, &t, NULL), SX_OK);
    assert_int_equal(sx_tracer_propagators(t), SX_PROPAGATE_W3C | SX_PROPAGATE_BAGGAGE);
    sx_span_start(&span, t, &(sx_span_options){.name = SX_STR("s")});
    assert_true(sx_span_context_valid(&span.context));
    assert_int_equal(span.context.flags, SX_TRACE_SAMPLED | SX_TRACE_RANDOM);
    assert_false(sx_span_recording(&span));
    sx_span_end(&span);
    sx_tracer_free(t);
    sx_tracer_free(NULL);
}

static void test_a_full_lane_loses_the_span_and_nothing_else(void **state)
{
    (void)state;
    sx_tracer *t = tracer_of(NULL);
    sx_span span = started(t, "s");
    capture.refuse = true;
    sx_span_end(&span);
    assert_false(sx_span_recording(&span));
    capture.refuse = false;
    span = started(t, "dropped");
    sx_span_drop(&span);
    sx_span_end(&span);
    assert_int_equal(capture.spans, 0);
    sx_tracer_free(t);
}

static void test_spans_are_counted_by_decision(void **state)
{
    (void)state;
    sx_metrics *m;
    assert_int_equal(sx_metrics_new(NULL, &m, NULL), SX_OK);
    sx_tracer *t = tracer_of(&(sx_tracer_options){.metrics = m});
    sx_span span = started(t, "s");
    sx_span_end(&span);
    assert_int_equal(sx_counter_value(t->sampled), 1);
    sx_sampling off = {.ratio_set = true};
    assert_int_equal(sx_tracer_sampling_set(t, &off, NULL), SX_OK);
    sx_span_start(&span, t, &(sx_span_options){.name = SX_STR("s")});
    assert_int_equal(sx_counter_value(t->dropped), 1);
    sx_tracer_free(t);
    sx_metrics_free(m);
}

/* One span with some of everything; what cannot be kept without memory is counted, never wrong. */
static void use_everything(sx_tracer *t)
{
    char big[3000];
    memset(big, 'b', sizeof(big));
    sx_span span;
    sx_span_start(&span, t, &(sx_span_options){.name = SX_STR("s")});
    for (int c = 'a'; c <= 'z'; c++)
        SX_SPAN_SET(&span, sx_field_i64((char[]){(char)c, '\0'}, c));
    SX_SPAN_SET(&span, sx_field_str("big", sx_str_of(big, sizeof(big))),
                sx_field_json("json", SX_STR("{\"a\\n\":[\"\\t\"]}")));
    sx_span_error(&span, SX_STR("type"), SX_STR("message"));
    sx_span_rename(&span, SX_STR("renamed"));
    size_t before = capture.spans;
    bool recorded = sx_span_recording(&span);
    sx_span_end(&span);
    assert_int_equal(capture.spans, before + recorded);
    if (recorded)
        assert_int_equal(capture_count(&capture), 28 + 1);
}

static void test_every_failed_allocation_is_survived(void **state)
{
    (void)state;
    sx_sampling_rule rule = {.name = SX_STR("health*"), .ratio = 0};
    sx_tracer_options options = {.sampling = {.rules = &rule, .rule_count = 1}};
    sx_sampling more = {.rules = &rule, .rule_count = 1, .ratio_set = true, .ratio = 0.5};
    bool failed = true;
    for (int64_t nth = 1; failed; nth++) {
        sx_error err = {0};
        sx_tracer *t;
        options.metrics = NULL;
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = sx_metrics_new(NULL, &options.metrics, &err);
        if (status == SX_OK)
            status = sx_tracer_new_to(&options, &CAPTURE, &capture, &t, &err);
        if (status == SX_OK) {
            use_everything(t);
            status = sx_tracer_sampling_set(t, &more, &err);
            use_everything(t);
            sx_tracer_free(t);
        }
        assert_true(status == SX_OK || (status == SX_ENOMEM && err.message[0]));
        if (options.metrics)
            sx_metrics_free(options.metrics);
        failed = sx_fault_alloc_calls() >= nth;
        int64_t held = sx_fault_alloc_held();
        sx_fault_alloc_set((sx_fault_alloc){.nth = 0});
        assert_int_equal(held, 0);
    }
}

static void test_the_steady_state_allocates_nothing(void **state)
{
    (void)state;
    sx_tracer *t = tracer_of(NULL);
    for (int joined = 0; joined < 2; joined++) {
        if (joined)
            sx_telemetry_thread_join();
        sx_span spans[200];
        for (int round = 0; round < 4; round++) {
            if (round == 2)
                sx_fault_alloc_set((sx_fault_alloc){.nth = INT64_MAX});
            for (size_t i = 0; i < SX_COUNT_OF(spans); i++) {
                spans[i] = started(t, "s");
                SX_SPAN_SET(&spans[i], sx_field_z("http.request.method", "GET"),
                            sx_field_i64("http.response.status_code", 200));
            }
            for (size_t i = 0; i < SX_COUNT_OF(spans); i++)
                sx_span_end(&spans[i]);
        }
        assert_int_equal(sx_fault_alloc_calls(), 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = 0});
    }
    sx_telemetry_thread_leave();
    sx_tracer_free(t);
}

/* ---- threads ---- */

static char *thread_room(void *to, size_t bytes)
{
    static __thread char room[65536];
    (void)to;
    assert_true(bytes < sizeof(room));
    return room;
}

static void thread_commit(void *to, size_t bytes)
{
    (void)bytes;
    __atomic_add_fetch((size_t *)to, 1, __ATOMIC_RELAXED);
}

/* Spans go from one thread to the other through a few slots. */
enum { SLOTS = 16, PASSED = 20000 };
typedef struct relay {
    sx_tracer *tracer;
    sx_span slots[SLOTS];
    size_t given, taken; /* atomic */
    bool join;
} relay;

static void *end_them(void *arg)
{
    relay *r = arg;
    if (r->join)
        sx_telemetry_thread_join();
    for (size_t i = 0; i < PASSED; i++) {
        while (__atomic_load_n(&r->given, __ATOMIC_ACQUIRE) == i)
            sched_yield();
        SX_SPAN_SET(&r->slots[i % SLOTS], sx_field_i64("ended", 1));
        sx_span_end(&r->slots[i % SLOTS]);
        __atomic_store_n(&r->taken, i + 1, __ATOMIC_RELEASE);
    }
    sx_telemetry_thread_leave();
    return NULL;
}

static void *start_them(void *arg)
{
    relay *r = arg;
    if (r->join)
        sx_telemetry_thread_join();
    for (size_t i = 0; i < PASSED; i++) {
        while (i - __atomic_load_n(&r->taken, __ATOMIC_ACQUIRE) == SLOTS)
            sched_yield();
        sx_span_start(&r->slots[i % SLOTS], r->tracer, &(sx_span_options){.name = SX_STR("s")});
        __atomic_store_n(&r->given, i + 1, __ATOMIC_RELEASE);
    }
    sx_telemetry_thread_leave();
    return NULL;
}

static void test_spans_start_on_one_thread_and_end_on_another(void **state)
{
    (void)state;
    static const sx_span_sink SINK = {thread_room, thread_commit};
    for (int joined = 0; joined < 2; joined++) {
        size_t ended = 0;
        sx_tracer *t;
        assert_int_equal(sx_tracer_new_to(NULL, &SINK, &ended, &t, NULL), SX_OK);
        relay a = {.tracer = t, .join = joined}, b = a;
        pthread_t threads[4];
        pthread_create(&threads[0], NULL, start_them, &a);
        pthread_create(&threads[1], NULL, end_them, &a);
        pthread_create(&threads[2], NULL, start_them, &b);
        pthread_create(&threads[3], NULL, end_them, &b);
        for (int i = 0; i < 20; i++) { /* and the sampling changes meanwhile, keeping all */
            sx_sampling_rule rule = {.name = SX_STR("nothing"), .ratio = i / 20.0};
            sx_sampling s = {.rules = &rule, .rule_count = 1};
            assert_int_equal(sx_tracer_sampling_set(t, &s, NULL), SX_OK);
        }
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(ended, 2 * PASSED);
        sx_tracer_free(t);
    }
}

static void test_a_forked_child_makes_other_ids(void **state)
{
    (void)state;
    sx_tracer *t = tracer_of(NULL);
    sx_span span = started(t, "warm");
    sx_span_end(&span);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    span = started(t, "s");
    if (child == 0) {
        ssize_t sent = write(ends[1], span.context.trace_id, 16);
        _exit(sent == 16 ? 0 : 1);
    }
    uint8_t theirs[16];
    assert_int_equal(read(ends[0], theirs, 16), 16);
    assert_memory_not_equal(theirs, span.context.trace_id, 16);
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    sx_span_end(&span);
    close(ends[0]);
    close(ends[1]);
    sx_tracer_free(t);
}

static int tear_down(void **state)
{
    (void)state;
    sx_buf_done(&capture.text);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_set_is_what_is_sent),
        cmocka_unit_test(test_a_key_set_again_is_replaced),
        cmocka_unit_test(test_random_sets_match_a_plain_table),
        cmocka_unit_test(test_json_becomes_lists_and_objects),
        cmocka_unit_test(test_texts_are_always_utf8_and_cut_between_characters),
        cmocka_unit_test(test_every_limit_counts_what_it_drops),
        cmocka_unit_test(test_links_at_the_start_and_without_room),
        cmocka_unit_test(test_a_span_is_never_longer_than_allowed),
        cmocka_unit_test(test_an_outcome_only_gets_more_certain),
        cmocka_unit_test(test_clocks_that_jump_do_not_change_a_duration),
        cmocka_unit_test(test_a_start_in_the_past_is_the_callers_word),
        cmocka_unit_test(test_a_child_follows_its_parent),
        cmocka_unit_test(test_b3s_open_and_lone_decisions),
        cmocka_unit_test(test_without_tracer_or_exporter_ids_pass_on),
        cmocka_unit_test(test_a_full_lane_loses_the_span_and_nothing_else),
        cmocka_unit_test(test_spans_are_counted_by_decision),
        cmocka_unit_test(test_every_failed_allocation_is_survived),
        cmocka_unit_test(test_the_steady_state_allocates_nothing),
        cmocka_unit_test(test_spans_start_on_one_thread_and_end_on_another),
        cmocka_unit_test(test_a_forked_child_makes_other_ids),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}

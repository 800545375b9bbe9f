/* test_adjust.c - what is done to a trace before it is shown; Go's words for durations. */
#include "codec/go_text.h"
#include "tests/unit/observe/jaeger/batch_of.h"

#include "base/fault.h"

static const jaeger_notes *adjusted(span_batch *b, uint64_t max_ns)
{
    sx_error err = {0};
    const jaeger_notes *notes = NULL;
    if (jaeger_adjust(b, max_ns, &notes, &err) != SX_OK)
        fail_msg("%s", err.message);
    return notes;
}

static const span *named(const span_batch *b, const char *name, size_t *index)
{
    for (size_t i = 0; i < b->count; i++)
        if (sx_str_eq(b->spans[i]->name, sx_str_z(name))) {
            if (index)
                *index = i;
            return b->spans[i];
        }
    fail_msg("no span %s", name);
    return NULL;
}

static void assert_note(const jaeger_notes *notes, size_t i, size_t at, const char *text)
{
    assert_true(at < notes[i].count);
    if (!sx_str_eq(notes[i].items[at], sx_str_z(text)))
        fail_msg("%.*s", SX_ARG(notes[i].items[at]));
}

#define HOST(name) TEXT_ATTR("host.name", name)
static const char SKEWED[] =
    BATCH(RESOURCE(HOST("a"), SPAN_OF("a1", "", "1000000", "3000000", "")) "," RESOURCE(
        HOST("b"),
        SPAN_OF("b1", PARENT("a1"), "501000000", "502000000", ",'events':[{'timeUnixNano':'501500000','name':'e'}]") "," SPAN_OF(
            "b2", PARENT("b1"), "501000000", "501100000",
            "")) "," RESOURCE(HOST("c"),
                              SPAN_OF("c1", PARENT("a1"), "1500000", "2500000", "") "," SPAN_OF(
                                  "c2", PARENT("a1"), "500000", "9000000", "")));

static void clocks_that_differ(void **state)
{
    (void)state;
    size_t i;
    span_batch *b = batch_of(SKEWED);
    const jaeger_notes *notes = adjusted(b, 1000000000);
    const span *s = named(b, "nb1", &i);
    assert_int_equal(s->start_ns, 1500000); /* in the middle of the parent's 2 ms */
    assert_int_equal(s->end_ns, 2500000);
    assert_int_equal(s->events[0].time_ns, 2000000);
    assert_note(notes, i, 0, "This span's timestamps were adjusted by -499.5ms");
    s = named(b, "nb2", &i); /* of the same host: moves along */
    assert_int_equal(s->start_ns, 1500000);
    assert_note(notes, i, 0, "This span's timestamps were adjusted by -499.5ms");
    s = named(b, "nc1", &i);
    assert_int_equal(s->start_ns, 1500000);
    assert_int_equal(notes[i].count, 0);
    s = named(b, "nc2", &i); /* longer than its parent: only not before it */
    assert_int_equal(s->start_ns, 1000000);
    assert_note(notes, i, 0, "This span's timestamps were adjusted by 500µs");
    span_batch_unref(b);
}

static void skew_is_bounded_or_only_told(void **state)
{
    (void)state;
    size_t i;
    span_batch *b = batch_of(SKEWED);
    const jaeger_notes *notes = adjusted(b, 1000000);
    const span *s = named(b, "nb1", &i);
    assert_int_equal(s->start_ns, 501000000);
    assert_note(notes, i, 0,
                "max clock skew adjustment delta of 1ms exceeded; not applying calculated delta of "
                "-499.5ms");
    span_batch_unref(b);
    b = batch_of(SKEWED);
    notes = adjusted(b, 0);
    s = named(b, "nb1", &i);
    assert_int_equal(s->start_ns, 501000000);
    assert_note(notes, i, 0,
                "clock skew adjustment disabled; not applying calculated delta of -499.5ms");
    span_batch_unref(b);
}

static void odd_trees(void **state)
{
    (void)state;
    size_t i;
    span_batch *b = batch_of(BATCH(RESOURCE(
        "",
        SPAN_OF("a1", "", "1000", "2000", "") "," SPAN_OF("a1", "", "1001", "2000", "") "," SPAN_OF(
            "b1", PARENT("ff"), "1000", "2000", "") "," SPAN_OF("c1", PARENT("c2"), "1000", "2000",
                                                                "") "," /* a cycle */
        SPAN_OF("c2", PARENT("c1"), "9000", "9900", "") "," SPAN_OF("d1", PARENT("d1"), "1000",
                                                                    "2000", ""))));
    const jaeger_notes *notes = adjusted(b, 1000);
    assert_int_equal(b->count, 6);
    assert_int_equal(notes[0].count, 0);
    assert_note(notes, 1, 0, "duplicate span IDs; skipping clock skew adjustment");
    named(b, "nb1", &i);
    assert_note(notes, i, 0,
                "parent span ID=00000000000000ff is not in the trace; skipping clock skew "
                "adjustment");
    named(b, "nc2", &i);
    assert_int_equal(notes[i].count, 0);
    span_batch_unref(b);
}

static void an_end_before_the_start(void **state)
{
    (void)state;
    span_batch *b =
        batch_of(BATCH(RESOURCE("", SPAN_OF("a1", "", "1795299328444047488", "1795299328434047488",
                                            "") "," SPAN_OF("a2", "", "5", "5", ""))));
    const jaeger_notes *notes = adjusted(b, 0);
    assert_int_equal(b->spans[0]->end_ns, 1795299328444047489);
    assert_note(notes, 0, 0,
                "Negative duration detected, sanitizing end timestamp. Original end timestamp: "
                "2026-11-21 22:15:28.434047488 +0000 UTC, adjusted to: 2026-11-21 "
                "22:15:28.444047489 +0000 UTC");
    assert_int_equal(notes[1].count, 0);
    span_batch_unref(b);
}

static void repeats_go_and_shared_ids_split(void **state)
{
    (void)state;
#define REPEATED                                                                                   \
    SPAN_OF("a9", "", "1", "2", ",'attributes':[" TEXT_ATTR("z", "1") "," TEXT_ATTR("a", "2") "]")
    span_batch *b = batch_of(
        BATCH(RESOURCE("", REPEATED "," SPAN_OF("a9", "", "1", "3", "") "," REPEATED "," SPAN_OF(
                               "c1", PARENT("a9"), "1", "2",
                               ",'kind':3") "," SPAN_OF("c1", PARENT("a9"), "1", "2",
                                                        ",'kind':2") "," SPAN_OF("d1", PARENT("c1"),
                                                                                 "1", "2", ""))));
    (void)adjusted(b, 0);
    assert_int_equal(b->count, 5);
    assert_memory_equal(b->spans[0]->attrs.items[0].key, "a", 1); /* sorted */
    assert_int_equal(b->spans[2]->kind, SPAN_CLIENT);
    assert_int_equal(b->spans[2]->id[7], 0xc1);
    assert_int_equal(b->spans[3]->kind, SPAN_SERVER);
    assert_int_equal(b->spans[3]->id[7], 1);
    assert_int_equal(b->spans[3]->parent[7], 0xc1);
    assert_int_equal(b->spans[4]->parent[7], 1); /* below the server */
    span_batch_unref(b);
}

static void attributes_and_links_in_their_places(void **state)
{
    (void)state;
    span_batch *b = batch_of(BATCH(RESOURCE(
        INT_ATTR("ip", "16909060") "," TEXT_ATTR("telemetry.sdk.name", "x"),
        SPAN_OF(
            "a1", "", "1", "2",
            ",'attributes':[" TEXT_ATTR("telemetry.sdk.language", "go") "," INT_ATTR("peer.ipv4", "4294967295") "," TEXT_ATTR(
                "telemetry.sdk.name",
                "y") "],"
                     "'links':[{'traceId':'','spanId':''},"
                     "{'traceId':'11111111111111111111111111111111','spanId':'2222222222222222'}]"))));
    const jaeger_notes *notes = adjusted(b, 0);
    const span *s = b->spans[0];
    const span_value *v = span_attrs_find(s->resource->attrs, SX_STR("ip"));
    assert_true(sx_str_eq(span_value_str(v), SX_STR("1.2.3.4")));
    v = span_attrs_find(s->attrs, SX_STR("peer.ipv4"));
    assert_true(sx_str_eq(span_value_str(v), SX_STR("255.255.255.255")));
    assert_null(span_attrs_find(s->attrs, SX_STR("telemetry.sdk.language")));
    assert_non_null(span_attrs_find(s->resource->attrs, SX_STR("telemetry.sdk.language")));
    assert_non_null(span_attrs_find(s->attrs, SX_STR("telemetry.sdk.name")));
    assert_int_equal(s->link_count, 1);
    assert_int_equal(notes[0].count, 2);
    assert_note(notes, 0, 0,
                "conflicting values between Span and Resource for attribute telemetry.sdk.name");
    assert_note(notes, 0, 1, "Invalid span link removed");
    span_batch_unref(b);
}

/* Memory grows with the attributes, not with their square. */
static void thousands_of_addresses(void **state)
{
    (void)state;
    enum { COUNT = 4000 };
    sx_buf json;
    sx_buf_init(&json, 0);
    sx_buf_str(&json, SX_STR("{'resourceSpans':[{'scopeSpans':[{'spans':[{" TRACE
                             ",'spanId':'00000000000000a1','attributes':["));
    for (int i = 0; i < COUNT; i++)
        sx_buf_str(&json, i ? SX_STR("," INT_ATTR("ip", "1")) : SX_STR(INT_ATTR("ip", "1")));
    sx_buf_str(&json, SX_STR("]}]}]}]}"));
    sx_buf_byte(&json, '\0');
    span_batch *b = batch_of(json.data);
    sx_buf_done(&json);
    adjusted(b, 0);
    assert_int_equal(b->spans[0]->attrs.count, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_true(
            sx_str_eq(span_value_str(&b->spans[0]->attrs.items[i].value), SX_STR("0.0.0.1")));
    span_batch_unref(b);
}

static void durations_in_gos_words(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } CASES[] = {
        {0, "0s"},
        {1, "1ns"},
        {1500, "1.5µs"},
        {503500000, "503.5ms"},
        {-2000000, "-2ms"},
        {1000000000, "1s"},
        {62500000000, "1m2.5s"},
        {3600000000000, "1h0m0s"},
        {90061001000000, "25h1m1.001s"},
        {INT64_MIN, "-2562047h47m16.854775808s"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_buf out;
        sx_buf_init(&out, 0);
        go_duration_write(CASES[i].ns, &out);
        if (!sx_str_eq(sx_buf_view(&out), sx_str_z(CASES[i].text)))
            fail_msg("%s: %.*s", CASES[i].text, SX_ARG(sx_buf_view(&out)));
        sx_buf_done(&out);
    }
}

/* Nobody's stack and nobody's patience: a chain, and one id for all. */
static void long_traces(void **state)
{
    (void)state;
    enum { SPANS = 100000 };
    static const span_resource NOWHERE;
    static const span_scope SCOPE;
    for (int chain = 0; chain < 2; chain++) {
        span_batch *b = span_batch_new(0);
        assert_non_null(b);
        for (uint32_t i = 1; i <= SPANS; i++) {
            span *s = span_batch_add(b);
            assert_non_null(s);
            uint32_t id = chain ? i : 1, parent = i - 1;
            memcpy(s->id, &id, 4);
            memcpy(s->parent, &parent, 4);
            s->trace_id[0] = 1;
            s->start_ns = 1000000 - i;
            s->end_ns = 2000000 + i;
            s->resource = &NOWHERE;
            s->scope = &SCOPE;
        }
        const jaeger_notes *notes = adjusted(b, 1000000000);
        assert_int_equal(b->count, SPANS);
        assert_non_null(notes);
        span_batch_unref(b);
    }
}

static void without_memory(void **state)
{
    (void)state;
    sx_status status = SX_ENOMEM;
    for (int64_t n = 1; status != SX_OK; n++) {
        sx_error err = {0};
        const jaeger_notes *notes;
        span_batch *b = batch_of(SKEWED);
        /* no room is left in the arena: each wish of the adjuster asks for memory */
        while (b->arena.end - b->arena.at >= 8)
            (void)sx_arena_alloc(&b->arena, 8);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        status = jaeger_adjust(b, 1000000000, &notes, &err);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(status == SX_OK || status == SX_ENOMEM);
        assert_true(n < 1000);
        span_batch_unref(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_that_differ),
        cmocka_unit_test(skew_is_bounded_or_only_told),
        cmocka_unit_test(odd_trees),
        cmocka_unit_test(an_end_before_the_start),
        cmocka_unit_test(repeats_go_and_shared_ids_split),
        cmocka_unit_test(attributes_and_links_in_their_places),
        cmocka_unit_test(thousands_of_addresses),
        cmocka_unit_test(durations_in_gos_words),
        cmocka_unit_test(long_traces),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

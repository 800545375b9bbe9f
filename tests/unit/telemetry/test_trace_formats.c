/* test_trace_formats.c - B3, Jaeger, baggage, and which of several wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sextant/buf.h>
#include <sextant/trace.h>

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SHORT "a3ce929d0e0e4736"
#define SPAN  "00f067aa0ba902b7"
#define ZERO  "0000000000000000"

enum {
    ALL = SX_PROPAGATE_W3C | SX_PROPAGATE_BAGGAGE | SX_PROPAGATE_B3 | SX_PROPAGATE_B3_MULTI |
          SX_PROPAGATE_JAEGER,
    DEBUG_SAMPLED = SX_TRACE_DEBUG | SX_TRACE_SAMPLED
};

typedef struct format_row {
    const char *text;
    int flags; /* -1: refused */
    const char *trace, *span;
} format_row;

static void check_rows(bool (*parse)(sx_str, sx_span_context *), const format_row *rows,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sx_span_context c = {.flags = 5};
        bool right = parse(sx_str_z(rows[i].text), &c);
        if (right != (rows[i].flags >= 0))
            fail_msg("'%s' was %s", rows[i].text, right ? "taken" : "refused");
        assert_int_equal(c.flags, right ? rows[i].flags : 5);
        if (!rows[i].trace)
            continue;
        char trace[33], span[17];
        sx_trace_id_hex(&c, trace);
        sx_span_id_hex(&c, span);
        assert_string_equal(trace, rows[i].trace);
        assert_string_equal(span, rows[i].span);
        assert_true(c.remote);
    }
}

static void test_b3_by_the_table(void **state)
{
    (void)state;
    static const format_row ROWS[] = {
        {TRACE "-" SPAN "-1", SX_TRACE_SAMPLED, TRACE, SPAN},
        {TRACE "-" SPAN "-0", 0, TRACE, SPAN},
        {TRACE "-" SPAN "-d", DEBUG_SAMPLED, TRACE, SPAN},
        {TRACE "-" SPAN, SX_TRACE_DEFERRED, TRACE, SPAN},
        {TRACE "-" SPAN "-1-" SPAN, SX_TRACE_SAMPLED, TRACE, SPAN},
        {SHORT "-" SPAN "-1", SX_TRACE_SAMPLED, ZERO SHORT, SPAN}, /* 64 bits */
        {"4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-1", SX_TRACE_SAMPLED, TRACE, SPAN},
        {"0", SX_TRACE_DECIDED, ZERO ZERO, ZERO},
        {"1", SX_TRACE_DECIDED | SX_TRACE_SAMPLED, ZERO ZERO, ZERO},
        {"d", SX_TRACE_DECIDED | DEBUG_SAMPLED, ZERO ZERO, ZERO},
        {"", -1, NULL, NULL},
        {"2", -1, NULL, NULL},
        {"D", -1, NULL, NULL},
        {"-", -1, NULL, NULL},
        {TRACE, -1, NULL, NULL},
        {TRACE "-", -1, NULL, NULL},
        {TRACE "-" SPAN "-", -1, NULL, NULL},
        {TRACE "-" SPAN "-2", -1, NULL, NULL},
        {TRACE "-" SPAN "-true", -1, NULL, NULL},
        {TRACE "-" SPAN "-1-", -1, NULL, NULL},
        {TRACE "-" SPAN "-1-" SPAN "-", -1, NULL, NULL},
        {TRACE "-" SPAN "-1-xyz", -1, NULL, NULL},
        {TRACE "-" SPAN "-" SPAN, -1, NULL, NULL},
        {TRACE "0-" SPAN "-1", -1, NULL, NULL},
        {ZERO ZERO "-" SPAN "-1", -1, NULL, NULL},
        {TRACE "-" ZERO "-1", -1, NULL, NULL},
        {"abc-" SPAN "-1", -1, NULL, NULL},
    };
    check_rows(sx_b3_parse, ROWS, SX_COUNT_OF(ROWS));
}

static void test_uber_trace_id_by_the_table(void **state)
{
    (void)state;
    static const format_row ROWS[] = {
        {TRACE ":" SPAN ":0:1", SX_TRACE_SAMPLED, TRACE, SPAN},
        {TRACE ":" SPAN ":" SPAN ":0", 0, TRACE, SPAN},
        {TRACE ":" SPAN ":0:3", DEBUG_SAMPLED, TRACE, SPAN},
        {TRACE ":" SPAN ":0:2", 0, TRACE, SPAN},
        {TRACE ":" SPAN ":0:09", SX_TRACE_SAMPLED, TRACE, SPAN},
        {TRACE "%3A" SPAN "%3a0%3A1", SX_TRACE_SAMPLED, TRACE, SPAN},
        {SHORT ":" SPAN ":0:1", SX_TRACE_SAMPLED, ZERO SHORT, SPAN},
        {"1:2:0:1", SX_TRACE_SAMPLED, ZERO "0000000000000001", "0000000000000002"},
        {"ABC:f0:0:1", SX_TRACE_SAMPLED, ZERO "0000000000000abc", "00000000000000f0"},
        {"", -1, NULL, NULL},
        {":::", -1, NULL, NULL},
        {"0:2:0:1", -1, NULL, NULL},
        {"1:0:0:1", -1, NULL, NULL},
        {"1:2:0", -1, NULL, NULL},
        {"1:2:0:", -1, NULL, NULL},
        {"1:2::1", -1, NULL, NULL},
        {"1:2:0:001", -1, NULL, NULL},
        {"1:2:0:1:", -1, NULL, NULL},
        {"1:2:0:g", -1, NULL, NULL},
        {"1%2:2:0:1", -1, NULL, NULL},
        {"1%3", -1, NULL, NULL},
        {TRACE "0:1:0:1", -1, NULL, NULL},
        {TRACE ":" SPAN "0:0:1", -1, NULL, NULL},
        {TRACE ":" SPAN ":" SPAN "0:1", -1, NULL, NULL},
    };
    check_rows(sx_uber_trace_id_parse, ROWS, SX_COUNT_OF(ROWS));
}

/* What is taken after a byte was changed, or the end cut off, prints as something that reads back. */
static void test_changed_and_cut_fields_never_surprise(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool (*parse)(sx_str, sx_span_context *);
        unsigned propagator;
    } ROWS[] = {
        {TRACE "-" SPAN "-1-" SPAN, sx_b3_parse, SX_PROPAGATE_B3},
        {SHORT "-" SPAN "-d", sx_b3_parse, SX_PROPAGATE_B3},
        {TRACE "%3A" SPAN ":0:1", sx_uber_trace_id_parse, SX_PROPAGATE_JAEGER},
        {"1:2:0:1", sx_uber_trace_id_parse, SX_PROPAGATE_JAEGER},
    };
    for (size_t row = 0; row < SX_COUNT_OF(ROWS); row++) {
        size_t len = strlen(ROWS[row].text);
        for (size_t at = 0; at <= len; at++)
            for (int byte = 0; byte < 257; byte++) {
                char text[100], room[SX_INJECT_BYTES];
                sx_inject_field fields[SX_INJECT_FIELDS];
                sx_span_context c, again;
                memcpy(text, ROWS[row].text, len + 1);
                if (byte < 256)
                    text[at] = (char)byte;
                if (!ROWS[row].parse(sx_str_of(text, byte < 256 ? len : at), &c))
                    continue;
                size_t count = sx_trace_inject(ROWS[row].propagator, &c, SX_STR(""), fields, room);
                assert_int_equal(count, 1);
                assert_true(ROWS[row].parse(fields[0].value, &again));
                assert_memory_equal(again.trace_id, c.trace_id, 16);
                assert_memory_equal(again.span_id, c.span_id, 8);
                assert_int_equal(again.flags, c.flags);
            }
    }
}

/* ---- carriers ---- */

typedef struct header {
    const char *name, *value;
} header;

static sx_str get_header(const void *carrier, sx_str name)
{
    for (const header *h = carrier; h->name; h++)
        if (sx_str_eq(name, sx_str_z(h->name)))
            return sx_str_z(h->value);
    return sx_str_of(NULL, 0);
}

static int last_byte(unsigned propagators, const header *headers)
{
    sx_span_context c;
    sx_trace_extract(propagators, get_header, headers, &c);
    return sx_span_context_valid(&c) ? c.trace_id[15] : -1;
}

#define W3C_1 "00-00000000000000000000000000000001-" SPAN "-01"

static void test_the_first_right_format_wins(void **state)
{
    (void)state;
    header all[] = {
        {"traceparent", W3C_1},
        {"tracestate", "a=b"},
        {"b3", "0000000000000002-" SPAN "-1"},
        {"x-b3-traceid", "0000000000000003"},
        {"x-b3-spanid", SPAN},
        {"x-b3-sampled", "1"},
        {"uber-trace-id", "4:5:0:1"},
        {NULL, NULL},
    };
    assert_int_equal(last_byte(ALL, all), 1);
    assert_int_equal(last_byte(ALL & ~SX_PROPAGATE_W3C, all), 2);
    assert_int_equal(last_byte(SX_PROPAGATE_B3_MULTI | SX_PROPAGATE_JAEGER, all), 3);
    assert_int_equal(last_byte(SX_PROPAGATE_JAEGER, all), 4);
    assert_int_equal(last_byte(SX_PROPAGATE_BAGGAGE, all), -1);
    assert_int_equal(last_byte(0, all), -1);
    all[0].value = "00-bad";
    assert_int_equal(last_byte(ALL, all), 2);
    all[2].value = "bad";
    assert_int_equal(last_byte(ALL, all), 3);
    all[5].value = "perhaps";
    assert_int_equal(last_byte(ALL, all), 4);
    all[6].value = "";
    assert_int_equal(last_byte(ALL, all), -1);
}

static void test_tracestate_comes_only_with_its_traceparent(void **state)
{
    (void)state;
    header h[] = {{"traceparent", W3C_1}, {"tracestate", "a=b,c=d"}, {NULL, NULL}};
    sx_span_context c;
    sx_trace_extract(ALL, get_header, h, &c);
    assert_int_equal(c.tracestate.len, 7);
    h[1].value = "a=b,c";
    sx_trace_extract(ALL, get_header, h, &c);
    assert_true(sx_span_context_valid(&c)); /* a bad tracestate does not spoil the ids */
    assert_int_equal(c.tracestate.len, 0);
    h[0].value = "00-x";
    h[1].value = "a=b";
    sx_trace_extract(ALL, get_header, h, &c);
    assert_false(sx_span_context_valid(&c));
    assert_int_equal(c.tracestate.len, 0);
}

static void test_b3_in_several_fields(void **state)
{
    (void)state;
    static const struct {
        header h[5];
        int flags; /* -1: nothing */
        bool ids;
    } ROWS[] = {
        {{{"x-b3-traceid", TRACE}, {"x-b3-spanid", SPAN}}, SX_TRACE_DEFERRED, true},
        {{{"x-b3-traceid", SHORT}, {"x-b3-spanid", SPAN}, {"x-b3-sampled", "0"}}, 0, true},
        {{{"x-b3-traceid", TRACE}, {"x-b3-spanid", SPAN}, {"x-b3-sampled", "True"}}, 1, true},
        {{{"x-b3-traceid", TRACE}, {"x-b3-spanid", SPAN}, {"x-b3-sampled", "false"}}, 0, true},
        {{{"x-b3-traceid", TRACE},
          {"x-b3-spanid", SPAN},
          {"x-b3-sampled", "0"},
          {"x-b3-flags", "1"}},
         DEBUG_SAMPLED,
         true},
        {{{"x-b3-sampled", "0"}}, SX_TRACE_DECIDED, false},
        {{{"x-b3-sampled", "1"}}, SX_TRACE_DECIDED | 1, false},
        {{{"x-b3-flags", "1"}}, SX_TRACE_DECIDED | DEBUG_SAMPLED, false},
        {{{"x-b3-flags", "0"}}, -1, false},
        {{{"x-b3-traceid", TRACE}, {"x-b3-sampled", "1"}}, -1, false},
        {{{"x-b3-spanid", SPAN}, {"x-b3-sampled", "1"}}, -1, false},
        {{{"x-b3-traceid", ZERO}, {"x-b3-spanid", SPAN}}, -1, false},
        {{{NULL, NULL}}, -1, false},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_span_context c;
        sx_trace_extract(SX_PROPAGATE_B3_MULTI, get_header, ROWS[i].h, &c);
        assert_int_equal(c.flags, ROWS[i].flags < 0 ? 0 : ROWS[i].flags);
        assert_int_equal(sx_span_context_valid(&c), ROWS[i].ids);
    }
}

static void test_ids_beat_a_decision_that_comes_alone(void **state)
{
    (void)state;
    const header h[] = {{"b3", "0"}, {"uber-trace-id", "4:5:0:1"}, {NULL, NULL}};
    assert_int_equal(last_byte(ALL, h), 4);
    sx_span_context c;
    sx_trace_extract(SX_PROPAGATE_B3, get_header, h, &c);
    assert_int_equal(c.flags, SX_TRACE_DECIDED);
}

static void assert_injects(unsigned propagators, const sx_span_context *c, const char *expected)
{
    char room[SX_INJECT_BYTES];
    sx_inject_field fields[SX_INJECT_FIELDS];
    sx_buf b;
    sx_buf_init(&b, 0);
    size_t count = sx_trace_inject(propagators, c, SX_STR("k=v"), fields, room);
    for (size_t i = 0; i < count; i++)
        sx_buf_printf(&b, "%.*s: %.*s\n", SX_ARG(fields[i].name), SX_ARG(fields[i].value));
    sx_buf_byte(&b, '\0');
    assert_string_equal(b.data, expected);
    sx_buf_done(&b);
}

static void test_every_format_is_written(void **state)
{
    (void)state;
    sx_span_context c;
    assert_true(sx_traceparent_parse(SX_STR("00-" TRACE "-" SPAN "-03"), &c));
    c.tracestate = SX_STR("a=b");
    assert_injects(ALL, &c,
                   "traceparent: 00-" TRACE "-" SPAN "-03\ntracestate: a=b\nbaggage: k=v\n"
                   "b3: " TRACE "-" SPAN "-1\nx-b3-traceid: " TRACE "\nx-b3-spanid: " SPAN
                   "\nx-b3-sampled: 1\nuber-trace-id: " TRACE ":" SPAN ":0:1\n");
    c.flags = SX_TRACE_SAMPLED | SX_TRACE_DEBUG;
    c.tracestate = SX_STR("");
    assert_injects(ALL, &c,
                   "traceparent: 00-" TRACE "-" SPAN "-01\nbaggage: k=v\n"
                   "b3: " TRACE "-" SPAN "-d\nx-b3-traceid: " TRACE "\nx-b3-spanid: " SPAN
                   "\nx-b3-flags: 1\nuber-trace-id: " TRACE ":" SPAN ":0:3\n");
    c.flags = SX_TRACE_DEFERRED;
    assert_injects(ALL, &c,
                   "traceparent: 00-" TRACE "-" SPAN "-00\nbaggage: k=v\n"
                   "b3: " TRACE "-" SPAN "\nx-b3-traceid: " TRACE "\nx-b3-spanid: " SPAN
                   "\nuber-trace-id: " TRACE ":" SPAN ":0:0\n");
    assert_injects(SX_PROPAGATE_W3C, &c, "traceparent: 00-" TRACE "-" SPAN "-00\n");
    assert_injects(ALL, NULL, "baggage: k=v\n");
    sx_span_context none = {.flags = 0};
    assert_injects(ALL, &none, "baggage: k=v\n");
    none.flags = SX_TRACE_DECIDED;
    assert_injects(ALL, &none, "baggage: k=v\nb3: 0\nx-b3-sampled: 0\n");
    assert_injects(0, &c, "");
}

/* ---- baggage ---- */

static void test_baggage_by_the_table(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *read; /* NULL: refused */
    } ROWS[] = {
        {"key1=value1", "key1:value1 "},
        {"key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue",
         "key1:value1 key2:value2 key3:value3 "},
        {"userId=Am%C3%A9lie,serverNode=DF%2028", "userId:Am%C3%A9lie serverNode:DF%2028 "},
        {"a=", "a: "},
        {"a=b=c", "a:b=c "},
        {",a=1,, b=2 ,", "a:1 b:2 "},
        {"a=1 ; p = q ;r\t", "a:1 "},
        {"a\t=\t1", "a:1 "},
        {"!#$%&'*+-.^_`|~=x", "!#$%&'*+-.^_`|~:x "},
        {"a=!#$%&'()*+-./:<=>?@[]^_`{|}~", "a:!#$%&'()*+-./:<=>?@[]^_`{|}~ "},
        {"", NULL},
        {",", NULL},
        {"a", NULL},
        {"=1", NULL},
        {"a b=1", NULL},
        {"a=1 2", NULL},
        {"a=\"1\"", NULL},
        {"a=\\", NULL},
        {"a=1;", NULL},
        {"a=1;;p", NULL},
        {"a=1;=q", NULL},
        {"a=1;p q", NULL},
        {"a=\xc3\xa9", NULL},
        {"a=1,b", NULL},
        {"a;b=1", NULL},
        {"a=1\r\nx: y", NULL},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_str text = sx_str_z(ROWS[i].text), rest = sx_baggage_check(text), key, value;
        if ((rest.len > 0) != (ROWS[i].read != NULL))
            fail_msg("'%s' was %s", ROWS[i].text, rest.len ? "taken" : "refused");
        if (!ROWS[i].read)
            continue;
        assert_ptr_equal(rest.data, text.data);
        sx_buf b;
        sx_buf_init(&b, 0);
        while (sx_baggage_next(&rest, &key, &value))
            sx_buf_printf(&b, "%.*s:%.*s ", SX_ARG(key), SX_ARG(value));
        sx_buf_byte(&b, '\0');
        assert_string_equal(b.data, ROWS[i].read);
        sx_buf_done(&b);
    }
}

static void test_baggage_has_its_limits(void **state)
{
    (void)state;
    sx_buf b;
    sx_buf_init(&b, 0);
    for (int i = 0; i < SX_BAGGAGE_MEMBERS; i++)
        sx_buf_printf(&b, "%sk%d=v", i ? "," : "", i);
    assert_int_equal(sx_baggage_check(sx_buf_view(&b)).len, b.len);
    sx_buf_str(&b, SX_STR(",one=more"));
    assert_int_equal(sx_baggage_check(sx_buf_view(&b)).len, 0);
    sx_buf_clear(&b);
    sx_buf_str(&b, SX_STR("k="));
    while (b.len < SX_BAGGAGE_MAX)
        sx_buf_byte(&b, 'v');
    assert_int_equal(sx_baggage_check(sx_buf_view(&b)).len, SX_BAGGAGE_MAX);
    const header h[] = {{"baggage", "a=b"}, {NULL, NULL}};
    assert_int_equal(sx_baggage_extract(ALL, get_header, h).len, 3);
    assert_int_equal(sx_baggage_extract(SX_PROPAGATE_W3C, get_header, h).len, 0);
    assert_int_equal(sx_baggage_extract(ALL, get_header, h + 1).len, 0);
    sx_buf_byte(&b, 'v');
    assert_int_equal(sx_baggage_check(sx_buf_view(&b)).len, 0);
    sx_buf_done(&b);
}

/* Checked or not, walking ends; checked baggage is harmless in a header field. */
static void test_changed_and_cut_baggage(void **state)
{
    (void)state;
    static const char GOOD[] = "key1 = value1;p1; p2=x , key2=value%20\t,k3=";
    char text[sizeof(GOOD)];
    for (size_t at = 0; at < sizeof(GOOD); at++)
        for (int byte = 0; byte < 257; byte++) {
            memcpy(text, GOOD, sizeof(GOOD));
            text[at] = byte < 256 ? (char)byte : GOOD[at];
            sx_str whole = sx_str_of(text, byte < 256 ? sizeof(GOOD) - 1 : at);
            sx_str rest = sx_baggage_check(whole), key, value;
            for (size_t i = 0; i < rest.len; i++)
                assert_true((rest.data[i] >= ' ' && rest.data[i] < 0x7f) || rest.data[i] == '\t');
            while (sx_baggage_next(&rest, &key, &value))
                assert_true(key.len > 0);
            while (sx_baggage_next(&whole, &key, &value))
                ;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_b3_by_the_table),
        cmocka_unit_test(test_uber_trace_id_by_the_table),
        cmocka_unit_test(test_changed_and_cut_fields_never_surprise),
        cmocka_unit_test(test_the_first_right_format_wins),
        cmocka_unit_test(test_tracestate_comes_only_with_its_traceparent),
        cmocka_unit_test(test_b3_in_several_fields),
        cmocka_unit_test(test_ids_beat_a_decision_that_comes_alone),
        cmocka_unit_test(test_every_format_is_written),
        cmocka_unit_test(test_baggage_by_the_table),
        cmocka_unit_test(test_baggage_has_its_limits),
        cmocka_unit_test(test_changed_and_cut_baggage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

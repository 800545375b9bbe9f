/* test_trace_context.c - traceparent and tracestate: what W3C allows, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sextant/trace.h>

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN   "00f067aa0ba902b7"
#define ZERO16 "0000000000000000"

static void test_traceparent_by_the_table(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int flags; /* -1: refused */
    } ROWS[] = {
        {"00-" TRACE "-" SPAN "-00", 0},
        {"00-" TRACE "-" SPAN "-01", 1},
        {"00-" TRACE "-" SPAN "-02", 2},
        {"00-" TRACE "-" SPAN "-03", 3},
        {"00-" TRACE "-" SPAN "-ff", 3}, /* flags nobody knows yet are not passed on */
        {"00-" TRACE "-" SPAN "-fe", 2},
        {"00-" TRACE "-" SPAN "-01-", -1}, /* version 00 ends there */
        {"00-" TRACE "-" SPAN "-01-more", -1},
        {"00-" TRACE "-" SPAN "-01 ", -1},
        {" 00-" TRACE "-" SPAN "-01", -1},
        {"01-" TRACE "-" SPAN "-01", 1}, /* later versions may be longer */
        {"cc-" TRACE "-" SPAN "-01-", 1},
        {"cc-" TRACE "-" SPAN "-01-what-the-future-brings", 1},
        {"cc-" TRACE "-" SPAN "-01.what", -1},
        {"cc-" TRACE "-" SPAN "-011", -1},
        {"fe-" TRACE "-" SPAN "-09", 1},
        {"ff-" TRACE "-" SPAN "-01", -1},
        {"FE-" TRACE "-" SPAN "-01", -1},
        {"00-" ZERO16 ZERO16 "-" SPAN "-01", -1},
        {"00-" TRACE "-" ZERO16 "-01", -1},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", -1},
        {"00-" TRACE "-00F067AA0BA902B7-01", -1},
        {"00-" TRACE "-" SPAN "-0A", -1},
        {"00-" TRACE "-" SPAN "-1", -1},
        {"00-" TRACE "-" SPAN "-", -1},
        {"00-" TRACE "-" SPAN, -1},
        {"00-" TRACE SPAN "-01", -1},
        {"0-" TRACE "-" SPAN "-01", -1},
        {"-" TRACE "-" SPAN "-01", -1},
        {"00_" TRACE "_" SPAN "_01", -1},
        {"00-g" TRACE "-" SPAN "-01", -1},
        {"", -1},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_span_context c = {.flags = 77};
        bool right = sx_traceparent_parse(sx_str_z(ROWS[i].text), &c);
        if (right != (ROWS[i].flags >= 0))
            fail_msg("'%s' was %s", ROWS[i].text, right ? "taken" : "refused");
        assert_int_equal(c.flags, right ? ROWS[i].flags : 77);
        if (!right)
            continue;
        char hex[33], span[17];
        sx_trace_id_hex(&c, hex);
        sx_span_id_hex(&c, span);
        assert_string_equal(hex, TRACE);
        assert_string_equal(span, SPAN);
        assert_true(c.remote && sx_span_context_valid(&c));
    }
    assert_false(sx_span_context_valid(NULL));
}

/* By the grammar alone, another way than the parser's. */
static bool model_accepts(const char *t, size_t len)
{
    static const char SHAPE[] = "hh-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";
    if (len < sizeof(SHAPE) - 1)
        return false;
    for (size_t i = 0; i < sizeof(SHAPE) - 1; i++) {
        bool hex = (t[i] >= '0' && t[i] <= '9') || (t[i] >= 'a' && t[i] <= 'f');
        if (SHAPE[i] == 'h' ? !hex : t[i] != '-')
            return false;
    }
    return memcmp(t, "ff", 2) != 0 && memcmp(t + 36, ZERO16, 16) != 0;
}

static void test_every_byte_at_every_place(void **state)
{
    (void)state;
    static const char GOOD[] = "00-" TRACE "-" SPAN "-01";
    char text[sizeof(GOOD)], written[SX_TRACEPARENT_BYTES];
    sx_span_context c;
    for (size_t at = 0; at < sizeof(GOOD) - 1; at++) {
        assert_false(sx_traceparent_parse(sx_str_of(GOOD, at), &c));
        for (int byte = 0; byte < 256; byte++) {
            memcpy(text, GOOD, sizeof(GOOD));
            text[at] = (char)byte;
            bool right = sx_traceparent_parse(sx_str_of(text, sizeof(GOOD) - 1), &c);
            assert_int_equal(right, model_accepts(text, sizeof(GOOD) - 1));
            if (!right || at < 2)
                continue;
            sx_traceparent_write(&c, written);
            text[53] = '0';
            text[54] = (char)('0' + (c.flags & 3));
            assert_string_equal(written, text);
        }
    }
}

static void test_hostile_lengths_are_refused(void **state)
{
    (void)state;
    enum { MOST = 100 * 1024 };
    static const char FILL[] = {'0', 'a', '-', ',', '=', ' ', '\0', '\xff', ':', '%', ';'};
    char *text = malloc(MOST);
    sx_span_context c;
    for (size_t i = 0; i < sizeof(FILL); i++) {
        memset(text, FILL[i], MOST);
        for (size_t len = 0; len <= MOST; len += len < 700 ? 1 : 9973) {
            sx_str s = sx_str_of(text, len), key, value;
            assert_false(sx_traceparent_parse(s, &c));
            assert_false(sx_uber_trace_id_parse(s, &c));
            assert_false(sx_b3_parse(s, &c) && sx_span_context_valid(&c));
            assert_int_equal(sx_tracestate_check(s).len, 0);
            assert_int_equal(sx_baggage_check(s).len, 0);
            while (sx_baggage_next(&s, &key, &value))
                ;
        }
    }
    free(text);
}

static void test_tracestate_by_the_table(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool right;
    } ROWS[] = {
        {"rojo=00f067aa0ba902b7", true},
        {"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true},
        {"rojo=1 \t, \tcongo=2", true}, /* white space around the comma */
        {"rojo=1,,congo=2,", true},     /* empty members */
        {" rojo=1 ", true},
        {"foo=1,foo=2", true}, /* passed on as it came */
        {"fw529a3039@dt=FfffFFFf", true},
        {"0foo=1", true}, /* level 2: a digit may begin a key */
        {"a_-*/@9=x", true},
        {"a=!#$%&'()*+-./0:;<>?@[]^_`{|}~\"\\", true},
        {"a= 1", true}, /* a space may begin a value */
        {"", false},
        {",", false},
        {" , ,", false},
        {"foo", false},
        {"foo=", false},
        {"=1", false},
        {"foo =1", false},
        {"Foo=1", false},
        {"foo=1=2", false},
        {"foo@=1", true},
        {"_foo=1", false},
        {"@foo=1", false},
        {"foo=\xc3\xa9", false},
        {"foo=a\tb", false},
        {"foo=1,bar", false},
        {"f\xc3\xa9=1", false},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_str text = sx_str_z(ROWS[i].text), out = sx_tracestate_check(text);
        if ((out.len > 0) != ROWS[i].right)
            fail_msg("'%s' was %s", ROWS[i].text, out.len ? "taken" : "refused");
        if (ROWS[i].right)
            assert_ptr_equal(out.data, text.data);
    }
}

static void test_tracestate_has_its_limits(void **state)
{
    (void)state;
    sx_buf b;
    sx_buf_init(&b, 0);
    for (int i = 0; i < SX_TRACESTATE_MEMBERS; i++)
        sx_buf_printf(&b, "k%d=%d,", i, i);
    assert_int_equal(sx_tracestate_check(sx_buf_view(&b)).len, b.len);
    sx_buf_str(&b, SX_STR("one=more"));
    assert_int_equal(sx_tracestate_check(sx_buf_view(&b)).len, 0);
    sx_buf_clear(&b);
    for (int i = 0; i < 256; i++)
        sx_buf_byte(&b, 'k');
    sx_buf_str(&b, SX_STR("=v"));
    assert_int_equal(sx_tracestate_check(sx_buf_view(&b)).len, b.len);
    assert_int_equal(sx_tracestate_check(sx_str_first(sx_buf_view(&b), 256)).len, 0);
    b.len -= 2;
    sx_buf_str(&b, SX_STR("k=v")); /* a key of 257 */
    assert_int_equal(sx_tracestate_check(sx_buf_view(&b)).len, 0);
    sx_buf_clear(&b);
    sx_buf_str(&b, SX_STR("k="));
    for (int i = 0; i < 256; i++)
        sx_buf_byte(&b, 'v');
    assert_int_equal(sx_tracestate_check(sx_buf_view(&b)).len, b.len);
    sx_buf_byte(&b, 'v'); /* a value of 257 */
    assert_int_equal(sx_tracestate_check(sx_buf_view(&b)).len, 0);
    sx_buf_clear(&b);
    sx_buf_str(&b, SX_STR("a=b"));
    while (b.len < SX_TRACESTATE_MAX)
        sx_buf_byte(&b, ',');
    assert_int_equal(sx_tracestate_check(sx_buf_view(&b)).len, SX_TRACESTATE_MAX);
    sx_buf_byte(&b, ',');
    assert_int_equal(sx_tracestate_check(sx_buf_view(&b)).len, 0);
    sx_buf_done(&b);
}

/* Cut anywhere and with every byte anywhere: taken or refused, but what is taken is harmless in a
 * header field. */
static void test_tracestate_of_any_bytes_is_safe_to_send(void **state)
{
    (void)state;
    static const char GOOD[] = "rojo=00f067aa0ba902b7, congo@x=t61rcWkgMzE";
    char text[sizeof(GOOD)];
    for (size_t at = 0; at < sizeof(GOOD) - 1; at++) {
        sx_tracestate_check(sx_str_of(GOOD, at));
        for (int byte = 0; byte < 256; byte++) {
            memcpy(text, GOOD, sizeof(GOOD));
            text[at] = (char)byte;
            sx_str out = sx_tracestate_check(sx_str_of(text, sizeof(GOOD) - 1));
            for (size_t i = 0; i < out.len; i++)
                assert_true((out.data[i] >= ' ' && out.data[i] < 0x7f) || out.data[i] == '\t');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traceparent_by_the_table),
        cmocka_unit_test(test_every_byte_at_every_place),
        cmocka_unit_test(test_hostile_lengths_are_refused),
        cmocka_unit_test(test_tracestate_by_the_table),
        cmocka_unit_test(test_tracestate_has_its_limits),
        cmocka_unit_test(test_tracestate_of_any_bytes_is_safe_to_send),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

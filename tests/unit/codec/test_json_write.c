/* test_json_write.c - the JSON writer, and the round trip through writer and reader. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/fault.h"
#include "tests/unit/codec/json_support.h"

typedef struct fixture {
    sx_buf buf;
    sx_json_writer w;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    sx_buf_init(&f.buf, 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sx_buf_done(&f->buf);
    return 0;
}

static sx_json_writer *writer(fixture *f, const sx_json_style *style)
{
    sx_buf_clear(&f->buf);
    sx_json_writer_init(&f->w, &f->buf, style);
    return &f->w;
}

static void assert_wrote(fixture *f, sx_str want)
{
    sx_error err = {0};
    assert_int_equal(sx_json_writer_finish(&f->w, &err), SX_OK);
    if (!sx_str_eq(sx_buf_view(&f->buf), want))
        fail_msg("wrote '%.*s', not '%.*s'", SX_ARG(sx_buf_view(&f->buf)), SX_ARG(want));
}

static void write_sample(sx_json_writer *w)
{
    sx_json_begin_object(w);
    sx_json_key(w, SX_STR("a"));
    sx_json_i64(w, -1);
    sx_json_key(w, SX_STR("b"));
    sx_json_begin_array(w);
    sx_json_u64(w, UINT64_MAX);
    sx_json_bool(w, true);
    sx_json_bool(w, false);
    sx_json_null(w);
    sx_json_begin_object(w);
    sx_json_end_object(w);
    sx_json_begin_array(w);
    sx_json_end_array(w);
    sx_json_end_array(w);
    sx_json_key(w, SX_STR("\xc3\xa9"));
    sx_json_str(w, SX_STR("x\xf0\x9f\x98\x80\x7f"));
    sx_json_key(w, SX_STR("d"));
    sx_json_double(w, 1);
    sx_json_key(w, SX_STR("raw"));
    sx_json_raw_value(w, SX_STR("[0]"));
    sx_json_end_object(w);
}

static void test_commas_and_colons_are_kept(void **state)
{
    write_sample(writer(*state, NULL));
    assert_wrote(*state, SX_STR("{\"a\":-1,\"b\":[18446744073709551615,true,false,null,{},[]],"
                                "\"\xc3\xa9\":\"x\xf0\x9f\x98\x80\x7f\",\"d\":1,\"raw\":[0]}"));
}

static void test_pythons_style_is_what_json_dumps_prints(void **state)
{
    write_sample(writer(*state, &(sx_json_style){.spacing = SX_JSON_PYTHON_SPACING,
                                                 .charset = SX_JSON_ASCII,
                                                 .doubles = SX_DOUBLE_PYTHON}));
    assert_wrote(*state,
                 SX_STR("{\"a\": -1, \"b\": [18446744073709551615, true, false, null, {}, []], "
                        "\"\\u00e9\": \"x\\ud83d\\ude00\\u007f\", \"d\": 1.0, \"raw\": [0]}"));
}

static void test_values_may_follow_each_other(void **state)
{
    fixture *f = *state;
    sx_json_writer *w = writer(f, NULL);
    sx_json_i64(w, 0);
    sx_buf_byte(&f->buf, '\n');
    sx_json_begin_array(w);
    sx_json_i64(w, INT64_MIN);
    sx_json_i64(w, 10);
    sx_json_u64(w, 99);
    sx_json_u64(w, 100);
    sx_json_end_array(w);
    assert_wrote(f, SX_STR("0\n[-9223372036854775808,10,99,100]"));
}

static void test_doubles_keep_their_sign_and_nan_is_null(void **state)
{
    fixture *f = *state;
    sx_json_writer *w = writer(f, NULL);
    sx_json_begin_array(w);
    sx_json_double(w, 0.1);
    sx_json_double(w, -0.0);
    sx_json_double(w, NAN);
    sx_json_double(w, -INFINITY);
    sx_json_double(w, 48.8687);
    sx_json_end_array(w);
    assert_wrote(f, SX_STR("[0.1,-0,null,null,48.8687]"));

    sx_error err = {0};
    w = writer(f,
               &(sx_json_style){.nonfinite = SX_JSON_NONFINITE_ERROR, .doubles = SX_DOUBLE_PYTHON});
    sx_json_double(w, -0.0);
    assert_wrote(f, SX_STR("-0.0"));
    sx_json_double(w, INFINITY);
    assert_int_equal(sx_json_writer_finish(w, &err), SX_EINVAL);
    assert_non_null(strstr(err.message, "NaN"));
}

static void assert_quoted(sx_str value, sx_json_charset charset, sx_str want)
{
    sx_buf buf;
    sx_buf_init(&buf, 0);
    sx_json_quote(&buf, value, charset);
    if (!sx_str_eq(sx_buf_view(&buf), want))
        fail_msg("quoted '%.*s', not '%.*s'", SX_ARG(sx_buf_view(&buf)), SX_ARG(want));
    sx_buf_done(&buf);
}

static void test_only_what_must_be_is_escaped(void **state)
{
    (void)state;
    assert_quoted(SX_STR(""), SX_JSON_UTF8, SX_STR("\"\""));
    assert_quoted(SX_STR("a\"b\\c/d\x7f"), SX_JSON_UTF8, SX_STR("\"a\\\"b\\\\c/d\x7f\""));
    assert_quoted(SX_STR("\b\f\n\r\t\0\x01\x1f"), SX_JSON_UTF8,
                  SX_STR("\"\\b\\f\\n\\r\\t\\u0000\\u0001\\u001f\""));
    assert_quoted(SX_STR("\xe2\x80\xa8\xef\xbf\xbf"), SX_JSON_ASCII, SX_STR("\"\\u2028\\uffff\""));
    assert_quoted(SX_STR("\xf4\x8f\xbf\xbf"), SX_JSON_ASCII, SX_STR("\"\\udbff\\udfff\""));
}

/* As many U+FFFD as Python's bytes.decode("utf-8", "replace") gives. */
static void test_broken_utf8_is_replaced(void **state)
{
    (void)state;
#define FFFD "\xef\xbf\xbd"
    static const sx_str ROWS[][2] = {
        {SX_STR_INIT("a\xff"), SX_STR_INIT("\"a" FFFD "\"")},
        {SX_STR_INIT("\x80\x80"), SX_STR_INIT("\"" FFFD FFFD "\"")},
        {SX_STR_INIT("\xc3"), SX_STR_INIT("\"" FFFD "\"")},
        {SX_STR_INIT("\xc3z"), SX_STR_INIT("\"" FFFD "z\"")},
        {SX_STR_INIT("\xc0\xaf"), SX_STR_INIT("\"" FFFD FFFD "\"")},
        {SX_STR_INIT("\xe2\x82"), SX_STR_INIT("\"" FFFD "\"")},
        {SX_STR_INIT("\xe2\x82z"), SX_STR_INIT("\"" FFFD "z\"")},
        {SX_STR_INIT("\xe0\x80\x80"), SX_STR_INIT("\"" FFFD FFFD FFFD "\"")},
        {SX_STR_INIT("\xed\xa0\x80"), SX_STR_INIT("\"" FFFD FFFD FFFD "\"")},
        {SX_STR_INIT("\xf0\x9f\x98z"), SX_STR_INIT("\"" FFFD "z\"")},
        {SX_STR_INIT("\xf0\x80\x80\x80"), SX_STR_INIT("\"" FFFD FFFD FFFD FFFD "\"")},
        {SX_STR_INIT("\xf4\x90\x80\x80"), SX_STR_INIT("\"" FFFD FFFD FFFD FFFD "\"")},
        {SX_STR_INIT("\xf5\x80"), SX_STR_INIT("\"" FFFD FFFD "\"")},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
        assert_quoted(ROWS[i][0], SX_JSON_UTF8, ROWS[i][1]);
    assert_quoted(SX_STR("\xff"), SX_JSON_ASCII, SX_STR("\"\\ufffd\""));
}

/* Every length and every place of a byte that needs attention, for the vectors and their ends. */
static void test_strings_of_every_length_are_copied(void **state)
{
    (void)state;
    static const sx_str INSERTS[] = {SX_STR_INIT("\""), SX_STR_INIT("\x01"),
                                     SX_STR_INIT("\xc3\xa9"), SX_STR_INIT("\xf0\x9f\x98\x80"),
                                     SX_STR_INIT("\xff")};
    static const sx_str BECOME[] = {SX_STR_INIT("\\\""), SX_STR_INIT("\\u0001"),
                                    SX_STR_INIT("\xc3\xa9"), SX_STR_INIT("\xf0\x9f\x98\x80"),
                                    SX_STR_INIT("\xef\xbf\xbd")};
    char in[80], want[90];
    for (size_t before = 0; before < 36; before++) {
        for (size_t after = 0; after < 36; after++) {
            for (size_t i = 0; i < SX_COUNT_OF(INSERTS); i++) {
                snprintf(in, sizeof(in), "%.*s%.*s%.*s", (int)before,
                         "abcdefghijklmnopqrstuvwxyz0123456789", SX_ARG(INSERTS[i]), (int)after,
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
                snprintf(want, sizeof(want), "\"%.*s%.*s%.*s\"", (int)before,
                         "abcdefghijklmnopqrstuvwxyz0123456789", SX_ARG(BECOME[i]), (int)after,
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
                assert_quoted(sx_str_z(in), SX_JSON_UTF8, sx_str_z(want));
            }
        }
    }
}

/* A limit that the text just fits is kept to the byte; one byte less fails the buffer. */
static void test_a_limited_buffer_is_filled_to_its_limit(void **state)
{
    (void)state;
    sx_str value =
        SX_STR("some text, \"quoted\", \n caf\xc3\xa9 and \xff, long enough for vectors");
    sx_buf whole, limited;
    sx_buf_init(&whole, 0);
    sx_json_quote(&whole, value, SX_JSON_UTF8);
    sx_buf_init(&limited, whole.len);
    sx_json_quote(&limited, value, SX_JSON_UTF8);
    assert_false(limited.failed);
    assert_true(sx_str_eq(sx_buf_view(&whole), sx_buf_view(&limited)));
    sx_buf_done(&limited);

    sx_buf_init(&limited, whole.len - 1);
    sx_json_writer w;
    sx_json_writer_init(&w, &limited, NULL);
    sx_json_str(&w, value);
    assert_int_equal(sx_json_writer_finish(&w, NULL), SX_ELIMIT);
    sx_buf_done(&limited);
    sx_buf_done(&whole);
}

static void test_running_out_of_memory_fails_the_buffer(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        sx_buf buf;
        sx_json_writer w;
        sx_buf_init(&buf, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_json_writer_init(&w, &buf, NULL);
        write_sample(&w);
        sx_status status = sx_json_writer_finish(&w, NULL);
        bool reached = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(status, reached ? SX_ENOMEM : SX_OK);
        sx_buf_done(&buf);
        if (!reached)
            break;
    }
}

/* ---- Round trips of random documents */

typedef struct dice {
    uint64_t state;
} dice;

static uint64_t roll(dice *d)
{
    d->state ^= d->state << 13;
    d->state ^= d->state >> 7;
    d->state ^= d->state << 17;
    return d->state;
}

static void random_string(dice *d, sx_json_writer *w, void (*put)(sx_json_writer *, sx_str))
{
    static const char *const PARTS[] = {
        "a",    "\"",   "\\",       "\n",           "\x01",
        "{}[]", ":,",   "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
        "\x7f", "\\\"", "word ",    "\t",           "/"};
    char text[400];
    size_t len = 0, count = roll(d) % 4 == 0 ? roll(d) % 60 : roll(d) % 6;
    for (size_t i = 0; i < count; i++) {
        const char *part = PARTS[roll(d) % (roll(d) % 2 ? 1 : SX_COUNT_OF(PARTS))];
        size_t part_len = strlen(part);
        memcpy(text + len, part, part_len);
        len += part_len;
    }
    put(w, sx_str_of(text, len));
}

static double random_double(dice *d)
{
    double value;
    uint64_t bits = roll(d);
    switch (roll(d) % 4) {
    case 0:
        return (double)(int64_t)(bits % 2000000) / 1000;
    case 1:
        return -(double)(bits % 100000000) / 1e6;
    case 2:
        return (double)(bits % 100);
    default:
        memcpy(&value, &bits, sizeof(value));
        return isfinite(value) ? value : 0.5;
    }
}

static void random_value(dice *d, sx_json_writer *w, int depth)
{
    uint64_t kind = roll(d) % (depth < 6 ? 10 : 7);
    size_t count = roll(d) % 6;
    if (kind < 2) {
        random_string(d, w, sx_json_str);
    } else if (kind < 5) {
        sx_json_double(w, random_double(d));
    } else if (kind == 5) {
        sx_json_bool(w, count & 1);
    } else if (kind == 6) {
        sx_json_null(w);
    } else if (kind == 7) {
        sx_json_begin_array(w);
        while (count-- > 0)
            random_value(d, w, depth + 1);
        sx_json_end_array(w);
    } else {
        sx_json_begin_object(w);
        while (count-- > 0) {
            random_string(d, w, sx_json_key);
            random_value(d, w, depth + 1);
        }
        sx_json_end_object(w);
    }
}

static void test_random_documents_come_back_as_they_were(void **state)
{
    (void)state;
    static const sx_json_style STYLES[] = {
        {.spacing = SX_JSON_COMPACT},
        {.spacing = SX_JSON_PYTHON_SPACING, .charset = SX_JSON_ASCII, .doubles = SX_DOUBLE_PYTHON},
    };
    sx_buf first, second;
    sx_arena arena;
    sx_buf_init(&first, 0);
    sx_buf_init(&second, 0);
    sx_arena_init(&arena, 0, 0);
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        dice d = {seed * 0x9e3779b97f4a7c15u};
        sx_json_writer w;
        sx_json r;
        sx_buf_clear(&first);
        sx_json_writer_init(&w, &first, &STYLES[seed % 2]);
        sx_json_begin_array(&w);
        for (int i = 0; i < 8; i++)
            random_value(&d, &w, 0);
        sx_json_end_array(&w);
        assert_int_equal(sx_json_writer_finish(&w, NULL), SX_OK);
        for (int level = 0; level < JSON_SCAN_LEVELS; level++) {
            if (!json_scan_at((json_scan_level)level))
                continue;
            sx_arena_reset(&arena);
            sx_buf_clear(&second);
            sx_json_writer_init(&w, &second, &STYLES[seed % 2]);
            sx_json_init(&r, sx_buf_view(&first), &(sx_json_options){.arena = &arena});
            r.scan = json_scan_at((json_scan_level)level);
            if (json_copy(&r, &w) != SX_JSON_DONE ||
                !sx_str_eq(sx_buf_view(&first), sx_buf_view(&second)))
                fail_msg("seed %llu, scan level %d: %s", (unsigned long long)seed, level,
                         sx_json_status(&r, NULL) ? r.err.message : "written differently");
        }
    }
    sx_arena_done(&arena);
    sx_buf_done(&first);
    sx_buf_done(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commas_and_colons_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pythons_style_is_what_json_dumps_prints, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_values_may_follow_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_doubles_keep_their_sign_and_nan_is_null, set_up,
                                        tear_down),
        cmocka_unit_test(test_only_what_must_be_is_escaped),
        cmocka_unit_test(test_broken_utf8_is_replaced),
        cmocka_unit_test(test_strings_of_every_length_are_copied),
        cmocka_unit_test(test_a_limited_buffer_is_filled_to_its_limit),
        cmocka_unit_test(test_running_out_of_memory_fails_the_buffer),
        cmocka_unit_test(test_random_documents_come_back_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_json.c - the JSON reader: its grammar, its values, its refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "tests/unit/codec/json_support.h"

static const char *const LEVELS[] = {"scalar", "SSE", "AVX2", "AVX-512"};

/* What a reader says to `text`, which must be the same at every scan level. In a static buffer. */
static const char *tokens_of(sx_str text, const sx_json_options *options)
{
    static char first[1 << 16];
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_true(json_tokens_at(JSON_SCAN_SCALAR, text, options, &out));
    assert_true(out.len < sizeof(first));
    memcpy(first, out.data, out.len);
    first[out.len] = '\0';
    for (int level = JSON_SCAN_SCALAR + 1; level < JSON_SCAN_LEVELS; level++) {
        if (!json_tokens_at((json_scan_level)level, text, options, &out))
            continue;
        sx_buf_byte(&out, '\0');
        if (strcmp(first, out.data) != 0)
            fail_msg("%s says\n%sbut scalar\n%s", LEVELS[level], out.data, first);
    }
    sx_buf_done(&out);
    return first;
}

static bool accepts(sx_str text)
{
    const char *said = tokens_of(text, NULL);
    return strstr(said, "\ndone @") != NULL;
}

/* The same text after more and more space, so that each byte of it meets each edge of the blocks
 * and windows of the scan. */
static void assert_same_wherever(sx_str text, bool accepted)
{
    enum { SHIFTS = 64 * SX_JSON_WINDOW_BLOCKS + 70 };
    static char shifted[SHIFTS + 4096];
    assert_true(text.len <= 4096);
    memset(shifted, ' ', sizeof(shifted));
    for (size_t shift = 0; shift < SHIFTS; shift += shift < 70 || shift > SHIFTS - 140 ? 1 : 61) {
        memcpy(shifted + shift, text.data, text.len);
        if (accepts(sx_str_of(shifted, shift + text.len)) != accepted)
            fail_msg("at offset %zu '%.*s' was %s", shift, SX_ARG(text),
                     accepted ? "refused" : "accepted");
        memset(shifted + shift, ' ', text.len);
    }
}

#define TEXT(literal) SX_STR_INIT(literal)

static const sx_str GOOD[] = {
    TEXT("null"),
    TEXT("true"),
    TEXT("false"),
    TEXT("0"),
    TEXT("-0"),
    TEXT("-0.0"),
    TEXT("10"),
    TEXT("1.5"),
    TEXT("-1.5e3"),
    TEXT("1E+2"),
    TEXT("1e-2"),
    TEXT("0e0"),
    TEXT("0.0e00"),
    TEXT("123456789012345678901234567890"),
    TEXT("0.1234567890123456789012345678901234567890"),
    TEXT("\"\""),
    TEXT("\"a\""),
    TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\""),
    TEXT("\"\\\\\""),
    TEXT("\"\\\\\\\\\""),
    TEXT("\"\\\\\\\"\""),
    TEXT("\"{}[]:,\""),
    TEXT("\"\\u0000\""),
    TEXT("\"\\uD834\\uDD1E\""),
    TEXT("\"\\ud834\\udd1e\\uFFFF\\uFFFE\""),
    TEXT("\"\x7f\""),
    TEXT("\"\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf\""),
    TEXT("\"\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\""),
    TEXT("{}"),
    TEXT("[]"),
    TEXT("[[]]"),
    TEXT("[{}]"),
    TEXT("{\"\":{}}"),
    TEXT("{\"a\":1,\"a\":2}"),
    TEXT("[1,2,3]"),
    TEXT("[1 , 2\t,\r\n3]"),
    TEXT(" { \"a\" : [ null , true , false , \"x\" , { \"b\" : -1 } ] } "),
    TEXT("{\"a\":[null,true,false,\"x\",{\"b\":-1}],\"c\":\"d\"}"),
    TEXT("\n\r\t []\n\r\t "),
    TEXT("[\"\",\"\",0,\"\"]"),
    TEXT("[\"a\\\\\",\"b\"]"),
};

static const sx_str BAD[] = {
    TEXT(""),
    TEXT(" "),
    TEXT("nul"),
    TEXT("nulll"),
    TEXT("True"),
    TEXT("NaN"),
    TEXT("Infinity"),
    TEXT("-Infinity"),
    TEXT("undefined"),
    TEXT("-"),
    TEXT("+1"),
    TEXT("01"),
    TEXT("-01"),
    TEXT("00"),
    TEXT("1."),
    TEXT(".5"),
    TEXT("-.5"),
    TEXT("1.e1"),
    TEXT("1e"),
    TEXT("1e+"),
    TEXT("1e1.5"),
    TEXT("1.5.5"),
    TEXT("0x10"),
    TEXT("1_000"),
    TEXT("1a"),
    TEXT("--1"),
    TEXT("1-"),
    TEXT("1 2"),
    TEXT("12e"),
    TEXT("\""),
    TEXT("\"a"),
    TEXT("\"\\\""),
    TEXT("\"\\"),
    TEXT("\"\\x\""),
    TEXT("\"\\a\""),
    TEXT("\"\\'\""),
    TEXT("\"\\0\""),
    TEXT("\"\\U0041\""),
    TEXT("\"\\u\""),
    TEXT("\"\\u004\""),
    TEXT("\"\\u004g\""),
    TEXT("\"\\u00 41\""),
    TEXT("\"\\ud800\""),
    TEXT("\"\\ud800x\""),
    TEXT("\"\\ud800\\n\""),
    TEXT("\"\\ud800\\u0041\""),
    TEXT("\"\\ud800\\ud800\""),
    TEXT("\"\\udc00\""),
    TEXT("\"\\udc00\\ud800\""),
    TEXT("\"\\ud834\\udd1\""),
    TEXT("\"\\\n\""),
    TEXT("\"\\\xc3\xa9\""),
    TEXT("'a'"),
    TEXT("\"a\nb\""),
    TEXT("\"a\tb\""),
    TEXT("\"a\0b\""),
    TEXT("\"\x1f\""),
    TEXT("\0"),
    TEXT("1\0"),
    TEXT("[\0]"),
    TEXT("[\x0c]"),
    TEXT("[1\x0b,2]"),
    TEXT("[\xc2\xa0]"),
    TEXT("\xef\xbb\xbf[]"),
    TEXT("\\u0031"),
    TEXT("[\\]"),
    TEXT("[\\\"a\"]"),
    TEXT("["),
    TEXT("]"),
    TEXT("{"),
    TEXT("}"),
    TEXT(","),
    TEXT(":"),
    TEXT("[,]"),
    TEXT("[1,]"),
    TEXT("[,1]"),
    TEXT("[1,,2]"),
    TEXT("[1 2]"),
    TEXT("[1:2]"),
    TEXT("[1}"),
    TEXT("{]"),
    TEXT("[[]"),
    TEXT("[]]"),
    TEXT("[1]2"),
    TEXT("[][]"),
    TEXT("{}{}"),
    TEXT("\"a\"\"b\""),
    TEXT("[\"a\"\"b\"]"),
    TEXT("[\"a\"1]"),
    TEXT("[1\"a\"]"),
    TEXT("[null\"a\"]"),
    TEXT("[truefalse]"),
    TEXT("[1[2]]"),
    TEXT("{1:2}"),
    TEXT("{a:1}"),
    TEXT("{'a':1}"),
    TEXT("{\"a\"}"),
    TEXT("{\"a\":}"),
    TEXT("{\"a\":1,}"),
    TEXT("{,\"a\":1}"),
    TEXT("{\"a\",1}"),
    TEXT("{\"a\" 1}"),
    TEXT("{\"a\"::1}"),
    TEXT("{\"a\":1 \"b\":2}"),
    TEXT("{\"a\":1;\"b\":2}"),
    TEXT("{\"a\":1}}"),
    TEXT("{null:1}"),
    TEXT("{[]:1}"),
    TEXT("[1]//"),
    TEXT("/**/[1]"),
    TEXT("[1]#"),
    TEXT("\"\x80\""),
    TEXT("\"\xbf\""),
    TEXT("\"\xc0\x80\""),
    TEXT("\"\xc1\xbf\""),
    TEXT("\"\xc3\""),
    TEXT("\"\xc3\xc3\""),
    TEXT("\"\xc3\xa9\xa9\""),
    TEXT("\"\xe0\x80\x80\""),
    TEXT("\"\xe0\x9f\xbf\""),
    TEXT("\"\xe2\x82\""),
    TEXT("\"\xe2\x28\xa1\""),
    TEXT("\"\xe2\x82\x28\""),
    TEXT("\"\xe2\x82\xac\xac\""),
    TEXT("\"\xed\xa0\x80\""),
    TEXT("\"\xed\xbf\xbf\""),
    TEXT("\"\xf0\x80\x80\x80\""),
    TEXT("\"\xf0\x8f\xbf\xbf\""),
    TEXT("\"\xf0\x9f\x98\""),
    TEXT("\"\xf0\x9f\x98\x80\x80\""),
    TEXT("\"\xf0\x28\x98\x80\""),
    TEXT("\"\xf0\x9f\x28\x80\""),
    TEXT("\"\xf0\x9f\x98\x28\""),
    TEXT("\"\xf4\x90\x80\x80\""),
    TEXT("\"\xf5\x80\x80\x80\""),
    TEXT("\"\xf5\x90\x80\x80\""),
    TEXT("\"\xf8\x88\x80\x80\x80\""),
    TEXT("\"\xfe\""),
    TEXT("\"\xff\""),
    TEXT("[1,\xff]"),
    TEXT("[1]\xff"),
    TEXT("[1]\xc3"),
};

static void test_every_text_of_the_grammar_is_accepted_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(GOOD); i++)
        assert_same_wherever(GOOD[i], true);
}

static void test_every_other_text_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++)
        assert_same_wherever(BAD[i], false);
}

static void test_tokens_carry_text_and_offsets(void **state)
{
    (void)state;
    assert_string_equal(tokens_of(SX_STR(" {\"a\" : [1.5,\"x\\n\"], \"b\":null}\n"), NULL),
                        "{ @1-2\n"
                        "key @2-7 a\n"
                        "[ @8-9\n"
                        "num @9-12 1.5\n"
                        "str @13-18 x\\n\n"
                        "] @18-19\n"
                        "key @21-25 b\n"
                        "null @25-29\n"
                        "} @29-30\n"
                        "done @31-31\n");
}

static void test_a_text_cut_at_every_byte_is_refused(void **state)
{
    (void)state;
    static const char WHOLE[] = "{\"k\\u00e9y\":[1.25e3,-0.5,true,false,null,\"\xc3\xa9\xf0\x9f\x98"
                                "\x80\\ud83d\\ude00\",{\"b\":[[],{}]}],\"last\":\"\\\\\"}";
    sx_str whole = sx_str_of(WHOLE, sizeof(WHOLE) - 1);
    assert_true(accepts(whole));
    for (size_t len = 0; len < whole.len; len++) {
        char *copy = sx_alloc(len); /* so that a sanitizer sees a read past the cut */
        memcpy(copy, whole.data, len);
        assert_false(accepts(sx_str_of(copy, len)));
        sx_free(copy);
    }
}

static void assert_refused(sx_str text, const sx_json_options *options, const char *message)
{
    const char *said = tokens_of(text, options);
    const char *last = said;
    for (const char *nl; (nl = strchr(last, '\n')) != NULL && nl[1] != '\0';)
        last = nl + 1;
    char want[600];
    snprintf(want, sizeof(want), "%s\n", message);
    assert_string_equal(last, want);
}

static void test_a_refusal_says_where_and_what(void **state)
{
    (void)state;
    assert_refused(SX_STR("{\n  \"a\": 1\n  \"b\": 2\n}"), NULL,
                   "bad format: line 3, column 3 (byte 13): expected ',' or '}', found a string");
    assert_refused(SX_STR("[1,\n\"\xc3\xa9\xc3\xa9\", x1]"), NULL,
                   "bad format: line 2, column 7 (byte 12): expected a value, found 'x1'");
    assert_refused(SX_STR("[1,"), NULL,
                   "bad format: line 1, column 4 (byte 3): expected a value, found the end of the "
                   "text");
    assert_refused(SX_STR("[\"abc"), NULL,
                   "bad format: line 1, column 2 (byte 1): the text ends before the closing quote "
                   "of a string that begins here");
    assert_refused(SX_STR("[\"\xc3\x28\"]"), NULL,
                   "bad format: line 1, column 3 (byte 2): byte 0xc3 begins no UTF-8 character");
    assert_refused(SX_STR("[\"a\nb\"]"), NULL,
                   "bad format: line 1, column 4 (byte 3): a string has the control character "
                   "0x0a, which must be written as \\u000a");
    assert_refused(SX_STR("[01]"), NULL,
                   "bad format: line 1, column 2 (byte 1): expected a number such as -1.5e3, found "
                   "'01'");
    assert_refused(SX_STR("[\"\\ud800\"]"), NULL,
                   "bad format: line 1, column 3 (byte 2): \\ud800 is half of a surrogate pair "
                   "without the other half");
    assert_refused(SX_STR("\xef\xbb\xbf{}"), NULL,
                   "bad format: line 1, column 1 (byte 0): expected a value, found a byte order "
                   "mark, which JSON must not have");
    assert_refused(SX_STR("{} {}"), NULL,
                   "bad format: line 1, column 4 (byte 3): expected the end of the text, found an "
                   "object");
    assert_refused(SX_STR("tru"), NULL,
                   "bad format: line 1, column 1 (byte 0): expected true, false or null, found "
                   "'tru'");
}

static void test_depth_is_limited(void **state)
{
    (void)state;
    static char bomb[200000];
    memset(bomb, '[', sizeof(bomb));
    assert_refused(sx_str_of(bomb, sizeof(bomb)), &(sx_json_options){.depth_max = 3},
                   "over a limit: line 1, column 4 (byte 3): nested deeper than the limit of 3");
    assert_refused(sx_str_of(bomb, sizeof(bomb)), NULL,
                   "over a limit: line 1, column 65 (byte 64): nested deeper than the limit of 64");
    memset(bomb + 1024, ']', 1024);
    sx_json r;
    sx_json_init(&r, sx_str_of(bomb, 2048), &(sx_json_options){.depth_max = 1024});
    assert_int_equal(sx_json_finish(&r, NULL), SX_OK);
    for (size_t i = 0; i + 5 <= sizeof(bomb); i += 5)
        memcpy(bomb + i, "{\"\":[", 5);
    sx_json_init(&r, sx_str_of(bomb, sizeof(bomb)), NULL);
    assert_int_equal(sx_json_finish(&r, NULL), SX_ELIMIT);
}

static void test_the_length_of_strings_is_limited(void **state)
{
    (void)state;
    sx_json_options options = {.string_bytes_max = 4};
    assert_non_null(strstr(tokens_of(SX_STR("{\"abcd\":\"efgh\"}"), &options), "done"));
    assert_refused(SX_STR("{\"abcde\":1}"), &options,
                   "over a limit: line 1, column 2 (byte 1): a string is longer than the limit of "
                   "4 bytes");
    assert_refused(SX_STR("[\"\\u00e9\"]"), &options,
                   "over a limit: line 1, column 2 (byte 1): a string is longer than the limit of "
                   "4 bytes");
}

/* A text that ends where a mapping does, at every distance from the block's edge. */
static void test_nothing_is_read_beyond_the_end_of_a_page(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mprotect(map + page, page, PROT_NONE), 0);
    static const sx_str ENDS[] = {TEXT("[12345678,1.5,\"x\\n\",{\"a\":0.25}]"),
                                  TEXT("\"abcdefghijklmnopq\""),
                                  TEXT("1234567.25"),
                                  TEXT("-1"),
                                  TEXT("\"\\u0041"),
                                  TEXT("[tru"),
                                  TEXT("\"\xf0\x9f"),
                                  TEXT("{\"a\":nul"),
                                  TEXT("\"\\ud83d\\u")};
    for (size_t i = 0; i < SX_COUNT_OF(ENDS); i++) {
        for (size_t shift = 0; shift < page - ENDS[i].len; shift += shift < 200 ? 1 : 97) {
            char *start = map + page - ENDS[i].len - shift;
            memset(start, ' ', shift);
            memcpy(start + shift, ENDS[i].data, ENDS[i].len);
            tokens_of(sx_str_of(start, shift + ENDS[i].len), NULL);
            /* The same at the very start of the text, with the space before it left out. */
            tokens_of(sx_str_of(start + shift, ENDS[i].len), NULL);
        }
    }
    munmap(map, 2 * page);
}

/* ---- By structure */

typedef struct fixture {
    sx_arena arena;
    sx_json r;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    sx_arena_init(&f.arena, 0, 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sx_arena_done(&f->arena);
    return 0;
}

static sx_json *reader(fixture *f, const char *text)
{
    sx_json_init(&f->r, sx_str_z(text), &(sx_json_options){.arena = &f->arena});
    return &f->r;
}

static void test_a_document_is_read_into_the_callers_variables(void **state)
{
    sx_json *r = reader(*state, "{\"name\":\"Caf\\u00e9\",\"lat\":48.8687,\"n\":-7,\"big\":"
                                "18446744073709551615,\"ok\":true,\"none\":null,"
                                "\"tags\":[\"a\",\"b\",[1,{}]],\"raw\": {\"x\" : [ 1 ]} }");
    sx_str key, name = {0}, raw = {0}, tag;
    double lat = 0;
    int64_t n = 0;
    uint64_t big = 0;
    bool ok = false, none = false;
    int tags = 0;
    assert_true(sx_json_enter_object(r));
    while (sx_json_next_key(r, &key)) {
        if (sx_str_eq(key, SX_STR("name"))) {
            assert_int_equal(sx_json_peek(r), SX_JSON_STRING);
            sx_json_read_str(r, &name);
        } else if (sx_str_eq(key, SX_STR("lat"))) {
            sx_json_read_double(r, &lat);
        } else if (sx_str_eq(key, SX_STR("n"))) {
            sx_json_read_i64(r, &n);
        } else if (sx_str_eq(key, SX_STR("big"))) {
            sx_json_read_u64(r, &big);
        } else if (sx_str_eq(key, SX_STR("ok"))) {
            assert_false(sx_json_take_null(r));
            sx_json_read_bool(r, &ok);
        } else if (sx_str_eq(key, SX_STR("none"))) {
            none = sx_json_take_null(r);
        } else if (sx_str_eq(key, SX_STR("raw"))) {
            sx_json_raw(r, &raw);
        } else if (sx_str_eq(key, SX_STR("tags"))) {
            for (sx_json_enter_array(r); sx_json_next_item(r); tags++)
                if (sx_json_peek(r) == SX_JSON_STRING)
                    sx_json_read_str(r, &tag); /* the third is skipped */
        }
    }
    sx_error err = {0};
    assert_int_equal(sx_json_finish(r, &err), SX_OK);
    assert_true(sx_str_eq(name, SX_STR("Caf\xc3\xa9")));
    assert_true(lat == 48.8687);
    assert_int_equal(n, -7);
    assert_true(big == UINT64_MAX);
    assert_true(ok);
    assert_true(none);
    assert_int_equal(tags, 3);
    assert_true(sx_str_eq(raw, SX_STR("{\"x\" : [ 1 ]}")));
}

static void test_a_reader_may_leave_early_and_what_it_left_is_still_checked(void **state)
{
    sx_str key;
    sx_json *r = reader(*state, "{\"a\":[1,[2,3],{\"b\":4}],\"c\":5}");
    int64_t n;
    sx_json_enter_object(r);
    assert_true(sx_json_next_key(r, &key));
    sx_json_enter_array(r);
    assert_true(sx_json_next_item(r));
    assert_true(sx_json_leave(r));
    assert_true(sx_json_next_key(r, &key));
    assert_true(sx_str_eq(key, SX_STR("c")));
    assert_true(sx_json_read_i64(r, &n));
    assert_int_equal(n, 5);
    assert_false(sx_json_next_key(r, &key));
    assert_int_equal(sx_json_finish(r, NULL), SX_OK);

    r = reader(*state, "{\"a\":[1,[2,3],{\"b\":04}],\"c\":5}");
    sx_json_enter_object(r);
    assert_true(sx_json_next_key(r, &key));
    assert_int_equal(sx_json_finish(r, NULL), SX_EFORMAT);
    assert_false(sx_json_next_key(r, &key));
    assert_false(sx_json_leave(r));
}

static void test_a_value_of_another_type_is_refused(void **state)
{
    sx_error err = {0};
    sx_str s;
    int64_t n;
    bool b;
    sx_json *r = reader(*state, "[true]");
    sx_json_enter_array(r);
    assert_true(sx_json_next_item(r));
    assert_false(sx_json_read_str(r, &s));
    assert_int_equal(sx_json_status(r, &err), SX_EFORMAT);
    assert_string_equal(err.message, "line 1, column 2 (byte 1): expected a string, found 'true'");
    assert_false(sx_json_read_i64(r, &n));
    assert_false(sx_json_next_item(r));

    r = reader(*state, "\"x\"");
    assert_false(sx_json_enter_object(r));
    sx_json_status(r, &err);
    assert_string_equal(err.message,
                        "line 1, column 1 (byte 0): expected an object, found a string");
    assert_false(sx_json_read_bool(reader(*state, "1"), &b));
    assert_false(sx_json_enter_array(reader(*state, "{}")));
    assert_false(sx_json_read_i64(reader(*state, "\"1\""), &n));
    assert_false(sx_json_take_null(reader(*state, "nul")));
    assert_false(sx_json_read_str(reader(*state, ""), &s));
    assert_int_equal(sx_json_peek(reader(*state, "")), SX_JSON_ERROR);
}

static void test_a_caller_can_refuse_a_value_itself(void **state)
{
    sx_error err = {0};
    double lat = 0;
    sx_json *r = reader(*state, "\n  95.5");
    assert_true(sx_json_read_double(r, &lat));
    assert_false(sx_json_fail(r, SX_EINVAL, "lat is %g, not within -90 to 90", lat));
    assert_int_equal(sx_json_finish(r, &err), SX_EINVAL);
    assert_string_equal(err.message,
                        "line 2, column 3 (byte 3): lat is 95.5, not within -90 to 90");
}

static void test_integers_are_exact_or_refused(void **state)
{
    static const struct {
        const char *text;
        sx_status status;
        int64_t value;
    } ROWS[] = {
        {"0", SX_OK, 0},
        {"-0", SX_OK, 0},
        {"7", SX_OK, 7},
        {"-12345678", SX_OK, -12345678},
        {"123456789", SX_OK, 123456789},
        {"1234567890123456", SX_OK, 1234567890123456},
        {"9223372036854775807", SX_OK, INT64_MAX},
        {"-9223372036854775808", SX_OK, INT64_MIN},
        {"9007199254740993", SX_OK, 9007199254740993},
        {"9223372036854775808", SX_ELIMIT, 0},
        {"-9223372036854775809", SX_ELIMIT, 0},
        {"99999999999999999999999999", SX_ELIMIT, 0},
        {"1.0", SX_EFORMAT, 0},
        {"1e3", SX_EFORMAT, 0},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        /* Alone, and with text after it, where the short way of reading is open. */
        for (int padded = 0; padded < 2; padded++) {
            char text[128];
            int64_t value = 42;
            snprintf(text, sizeof(text), padded ? "[%s,\"%40s\"]" : "%s%s", ROWS[i].text,
                     padded ? "x" : "");
            sx_json *r = reader(*state, text);
            if (padded) {
                sx_json_enter_array(r);
                sx_json_next_item(r);
            }
            assert_int_equal(sx_json_read_i64(r, &value), ROWS[i].status == SX_OK);
            assert_int_equal(sx_json_finish(r, NULL), ROWS[i].status);
            assert_int_equal(value, ROWS[i].status == SX_OK ? ROWS[i].value : 42);
        }
    }
    uint64_t u = 1;
    assert_true(sx_json_read_u64(reader(*state, "18446744073709551615"), &u));
    assert_true(u == UINT64_MAX);
    assert_true(sx_json_read_u64(reader(*state, "-0"), &u));
    assert_true(u == 0);
    assert_false(sx_json_read_u64(reader(*state, "18446744073709551616"), &u));
    assert_false(sx_json_read_u64(reader(*state, "-1"), &u));
}

/* The short way of reading numbers gives what the general one does. */
static void test_doubles_are_rounded_correctly(void **state)
{
    static const char *const TEXTS[] = {"0",
                                        "-0",
                                        "0.1",
                                        "0.3",
                                        "48.8687",
                                        "2.3334",
                                        "651371.08",
                                        "6862059.72",
                                        "1e308",
                                        "5e-324",
                                        "1e-400",
                                        "123456789.123456",
                                        "0.00000001",
                                        "1.7976931348623157e308",
                                        "2.2250738585072011e-308",
                                        "9007199254740993",
                                        "9999999999999999",
                                        "1234567.8901234",
                                        "-999999999999.99",
                                        "12345678.12345678",
                                        "0.30000000000000004",
                                        "100000000000000000000000",
                                        "-1.5E-3",
                                        "99999999.9999999"};
    for (size_t i = 0; i < SX_COUNT_OF(TEXTS); i++) {
        char text[160];
        double alone = 1, inside = 2, want = strtod(TEXTS[i], NULL);
        assert_true(sx_json_read_double(reader(*state, TEXTS[i]), &alone));
        snprintf(text, sizeof(text), "[%s,\"%40s\"]", TEXTS[i], "x");
        sx_json *r = reader(*state, text);
        sx_json_enter_array(r);
        sx_json_next_item(r);
        assert_true(sx_json_read_double(r, &inside));
        assert_memory_equal(&alone, &want, sizeof(want));
        assert_memory_equal(&inside, &want, sizeof(want));
    }
    sx_error err = {0};
    double d = 1;
    sx_json *r = reader(*state, "-1e309");
    assert_false(sx_json_read_double(r, &d));
    assert_int_equal(sx_json_status(r, &err), SX_ELIMIT);
    assert_string_equal(err.message, "line 1, column 1 (byte 0): -1e309 is too large for a double");
}

static void test_escapes_are_decoded(void **state)
{
    sx_str s;
    assert_true(sx_json_read_str(
        reader(*state, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t|\\u0000|\\u00e9\\u20ac\\uD83D\\uDe00|x\""),
        &s));
    assert_true(sx_str_eq(s, SX_STR("\"\\/\b\f\n\r\t|\0|\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80|x")));
    /* Without escapes it is a view of the text. */
    sx_json *r = reader(*state, "\"plain\"");
    assert_true(sx_json_read_str(r, &s));
    assert_ptr_equal(s.data, r->text + 1);
}

static void test_escapes_are_decoded_into_the_callers_space(void **state)
{
    (void)state;
    char space[8];
    sx_json r;
    sx_str a, b;
    sx_json_init(&r, SX_STR("[\"\\n\\n\",\"x\",\"\\t\\t\",\"\\u0041\"]"),
                 &(sx_json_options){.space = space, .space_bytes = sizeof(space)});
    sx_json_enter_array(&r);
    sx_json_next_item(&r);
    assert_true(sx_json_read_str(&r, &a));
    sx_json_next_item(&r);
    sx_json_next_item(&r);
    assert_true(sx_json_read_str(&r, &b));
    assert_true(sx_str_eq(a, SX_STR("\n\n")));
    assert_true(sx_str_eq(b, SX_STR("\t\t")));
    sx_json_next_item(&r);
    assert_false(sx_json_read_str(&r, &b));
    assert_int_equal(sx_json_status(&r, NULL), SX_ELIMIT);
}

static void test_running_out_of_memory_is_said(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        sx_arena arena;
        sx_json r;
        sx_str key, value = {0};
        sx_error err = {0};
        sx_arena_init(&arena, 64, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_json_init(&r, SX_STR("{\"\\u0061\":\"\\u0062\",\"c\\n\":\"long \\t long \\t long\"}"),
                     &(sx_json_options){.arena = &arena});
        sx_json_enter_object(&r);
        while (sx_json_next_key(&r, &key))
            sx_json_read_str(&r, &value);
        sx_status status = sx_json_finish(&r, &err);
        bool reached = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(status, reached ? SX_ENOMEM : SX_OK);
        if (reached)
            assert_non_null(strstr(err.message, "out of memory"));
        else
            assert_true(sx_str_eq(value, SX_STR("long \t long \t long")));
        sx_arena_done(&arena);
        if (!reached)
            break;
    }
}

/* Skipping ends where reading does, wherever the brackets lie in blocks and windows. */
static void test_both_ways_of_skipping_end_where_reading_does(void **state)
{
    fixture *f = *state;
    sx_buf text;
    sx_buf_init(&text, 0);
    for (size_t shift = 0; shift < 1200; shift += shift < 140 ? 1 : 53) {
        sx_buf_clear(&text);
        sx_buf_byte(&text, '[');
        for (size_t i = 0; i < shift; i++)
            sx_buf_byte(&text, i % 3 ? ' ' : '\n');
        for (int i = 0; i < 40; i++)
            sx_buf_printf(&text, "{\"a]}\\\"\":[[%d],[],{\"b\":{}},\"}]\"]},[[[[]]]],{},\"s\",%d,",
                          i, i);
        sx_buf_bytes(&text, "0]", 2);
        for (int level = 0; level < JSON_SCAN_LEVELS; level++) {
            sx_json slow, fast;
            if (!json_scan_at((json_scan_level)level))
                continue;
            sx_json_init(&slow, sx_buf_view(&text), &(sx_json_options){.arena = &f->arena});
            sx_json_init(&fast, sx_buf_view(&text), &(sx_json_options){.arena = &f->arena});
            slow.scan = fast.scan = json_scan_at((json_scan_level)level);
            sx_json_enter_array(&slow);
            sx_json_enter_array(&fast);
            while (sx_json_next_item(&slow)) {
                assert_true(sx_json_next_item(&fast));
                assert_true(sx_json_skip(&slow));
                assert_true(sx_json_skip_fast(&fast));
                assert_int_equal(sx_json_end_offset(&slow), sx_json_end_offset(&fast));
            }
            assert_false(sx_json_next_item(&fast));
            assert_int_equal(sx_json_finish(&slow, NULL), SX_OK);
            assert_int_equal(sx_json_finish(&fast, NULL), SX_OK);
            /* All of it at once, and cut short. */
            sx_json_init(&fast, sx_buf_view(&text), NULL);
            assert_true(sx_json_skip_fast(&fast));
            assert_int_equal(sx_json_finish(&fast, NULL), SX_OK);
            sx_json_init(&fast, sx_str_first(sx_buf_view(&text), text.len - 1), NULL);
            assert_false(sx_json_skip_fast(&fast));
            assert_int_equal(sx_json_status(&fast, NULL), SX_EFORMAT);
        }
    }
    sx_buf_done(&text);
}

static void test_fast_skipping_still_sees_broken_bytes(void **state)
{
    sx_json *r = reader(*state, "[[1,\"\xff\"],2]");
    assert_false(sx_json_skip_fast(r));
    assert_int_equal(sx_json_status(r, NULL), SX_EFORMAT);
    assert_false(sx_json_skip_fast(reader(*state, "[\"a\nb\"]")));
    assert_false(sx_json_skip_fast(reader(*state, "[\"ab]")));
    assert_true(sx_json_skip_fast(reader(*state, "\"x\"")));
    assert_false(sx_json_skip_fast(reader(*state, "")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_text_of_the_grammar_is_accepted_wherever_it_stands),
        cmocka_unit_test(test_every_other_text_is_refused_wherever_it_stands),
        cmocka_unit_test(test_tokens_carry_text_and_offsets),
        cmocka_unit_test(test_a_text_cut_at_every_byte_is_refused),
        cmocka_unit_test(test_a_refusal_says_where_and_what),
        cmocka_unit_test(test_depth_is_limited),
        cmocka_unit_test(test_the_length_of_strings_is_limited),
        cmocka_unit_test(test_nothing_is_read_beyond_the_end_of_a_page),
        cmocka_unit_test_setup_teardown(test_a_document_is_read_into_the_callers_variables, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_reader_may_leave_early_and_what_it_left_is_still_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_value_of_another_type_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_caller_can_refuse_a_value_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_integers_are_exact_or_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_doubles_are_rounded_correctly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_escapes_are_decoded, set_up, tear_down),
        cmocka_unit_test(test_escapes_are_decoded_into_the_callers_space),
        cmocka_unit_test(test_running_out_of_memory_is_said),
        cmocka_unit_test_setup_teardown(test_both_ways_of_skipping_end_where_reading_does, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_fast_skipping_still_sees_broken_bytes, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

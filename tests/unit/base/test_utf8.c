/* test_utf8.c - UTF-8, every character and every kind of mistake. */
#include <sextant/utf8.h>

#include <sextant/mem.h>

#include "tests/unit/base/cmocka_all.h"

static void test_every_character_goes_there_and_back(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x120000; code++) {
        char text[4];
        uint32_t back = 1;
        size_t len = sx_utf8_encode(code, text);
        bool is_character = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        assert_int_equal(len != 0, is_character);
        if (!is_character)
            continue;
        sx_str s = sx_str_of(text, len);
        assert_int_equal(sx_utf8_decode(s, &back), len);
        assert_int_equal(back, code);
        assert_true(sx_utf8_valid(s));
        assert_int_equal(sx_utf8_count(s), 1);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(sx_utf8_valid_len(sx_str_first(s, cut)), 0);
    }
}

/* The other way round: of all sequences of up to three bytes, and four with some, exactly those that
 * encode a character are valid. */
static void test_only_what_encodes_a_character_is_valid(void **state)
{
    (void)state;
    size_t valid[5] = {0};
    for (uint32_t bits = 0; bits < 1 << 24; bits++) {
        char text[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
        uint32_t code;
        size_t len = sx_utf8_decode(sx_str_of(text, 3), &code);
        valid[len] += len == 3;
        if (len == 1)
            assert_true((bits >> 16) < 0x80);
    }
    assert_int_equal(valid[3], 0x10000 - 0x800 - 0x800);
    for (uint32_t bits = 0; bits < 1 << 24; bits++) {
        char text[4] = {(char)(0xf0 | (bits >> 20)), (char)(bits >> 12), (char)(bits >> 4),
                        (char)(0x80 | (bits & 0xf))};
        uint32_t code;
        valid[4] += sx_utf8_decode(sx_str_of(text, 4), &code) == 4;
    }
    assert_int_equal(valid[4], 0x100000 / 4); /* a quarter of the last bytes was tried */
}

static void test_mistakes_are_found_where_they_are(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc3",
        "\xc3\x28",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xe2\x82",
        "\xe2\x28\xa1",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xf0\x9f\x98",
        "\xfe",
        "\xff",
    };
    char text[200];
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++) {
        size_t len = strlen(BAD[i]);
        for (size_t before = 0; before < 80; before++) {
            memset(text, 'a', sizeof(text));
            memcpy(text + before, BAD[i], len);
            assert_int_equal(sx_utf8_valid_len(sx_str_of(text, sizeof(text))), before);
            assert_int_equal(sx_utf8_valid_len(sx_str_of(text, before + len)), before);
        }
    }
}

static void test_mixed_text_is_valid_at_any_alignment(void **state)
{
    (void)state;
    static const char TEXT[] =
        "34 avenue de l'Op\xc3\xa9ra, \xe6\x9d\xb1\xe4\xba\xac, \xf0\x9f\x97\xba!";
    for (size_t shift = 0; shift < 40; shift++) {
        size_t len = shift + sizeof(TEXT) - 1;
        char *block = sx_alloc(len); /* its own block, so that a sanitizer sees an overrun */
        memset(block, 'x', shift);
        memcpy(block + shift, TEXT, sizeof(TEXT) - 1);
        assert_true(sx_utf8_valid(sx_str_of(block, len)));
        sx_free(block);
    }
    assert_int_equal(sx_utf8_count(sx_str_z(TEXT)), sizeof(TEXT) - 1 - 1 - 2 * 2 - 3);
    assert_true(sx_utf8_valid(sx_str_of(NULL, 0)));
}

static void test_a_cut_leaves_whole_characters(void **state)
{
    (void)state;
    sx_str s = SX_STR("a\xc3\xa9\xf0\x9f\x97\xba");
    static const size_t LENGTHS[] = {0, 1, 1, 3, 3, 3, 3, 7, 7};
    for (size_t max = 0; max < SX_COUNT_OF(LENGTHS); max++)
        assert_int_equal(sx_utf8_first(s, max).len, LENGTHS[max]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_character_goes_there_and_back),
        cmocka_unit_test(test_only_what_encodes_a_character_is_valid),
        cmocka_unit_test(test_mistakes_are_found_where_they_are),
        cmocka_unit_test(test_mixed_text_is_valid_at_any_alignment),
        cmocka_unit_test(test_a_cut_leaves_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

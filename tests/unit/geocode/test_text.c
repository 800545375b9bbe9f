/* test_text.c - folding, tokens, house numbers, rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "geocode/text/clean.h"
#include "geocode/text/fold.h"
#include "geocode/text/phonetic.h"
#include "geocode/text/tokens.h"
#include "geocode/text/transliterate.h"
#include <sextant/random.h>

/* Seeded by each test, so that a failure comes again. */
static sx_random dice;

static int roll(void)
{
    return (int)(sx_random_u64(&dice) >> 33);
}

static void check_fold(sx_str in, const char *expected)
{
    char out[4096];
    sx_str got = geo_fold(in, out, sizeof(out));
    sx_str want = sx_str_z(expected);
    if (!sx_str_eq(got, want))
        fail_msg("'%.*s' folds to '%.*s', not '%s'", SX_ARG(in), SX_ARG(got), expected);
}

static void test_accents_case_and_punctuation_vanish(void **state)
{
    (void)state;
    check_fold(SX_STR("Avenue des Champs-Élysées"), "avenue des champs elysees");
    check_fold(SX_STR("E\u0301LYSE\u0301ES"), "elysees"); /* decomposed */
    check_fold(SX_STR("  Place\u00A0de l\u2019\u00C9toile, 8\u1D49 "), "place de l etoile 8\u1D49");
    check_fold(SX_STR("Cœur, Straße, Łódź, Ærø"), "coeur strasse lodz aero");
    check_fold(SX_STR("n°11b"), "ndeg11b");
    check_fold(SX_STR("nº8"), "no8");
    check_fold(SX_STR("750①3"), "75013");
    check_fold(SX_STR("...?!()"), "");
    check_fold(SX_STR(""), "");
}

static void test_greek_and_cyrillic_are_written_in_latin_letters(void **state)
{
    (void)state;
    check_fold(SX_STR("Москва"), "moskva");
    check_fold(SX_STR("Αθήνα"), "athina");
    check_fold(SX_STR("a😀b"), "a b");
}

/* By ICU, which need not be installed. */
static void test_other_scripts_are_written_in_latin_letters_where_icu_is(void **state)
{
    (void)state;
    if (!geo_transliterates()) {
        check_fold(SX_STR("北京"), "北京");
        check_fold(SX_STR("شارع 5"), "شارع 5");
        skip();
    }
    check_fold(SX_STR("北京"), "bei jing");
    check_fold(SX_STR("x北y"), "x bei y");
    check_fold(SX_STR("서울"), "seoul");
    check_fold(SX_STR("თბილისი"), "tbilisi");
    check_fold(SX_STR("شارع 5"), "shar 5");
    check_fold(SX_STR("北京 北京"), "bei jing bei jing"); /* as remembered */
    char out[GEO_LATIN_BYTES];
    for (uint32_t code = 0x80; code < 0x30000; code++) {
        size_t len;
        geo_latin kind = geo_transliterate(code, out, &len);
        assert_true(len <= GEO_LATIN_BYTES && (kind != GEO_LATIN_UNKNOWN || len == 0));
        for (size_t i = 0; i < len; i++)
            assert_true((out[i] >= 'a' && out[i] <= 'z') || (out[i] >= '0' && out[i] <= '9'));
    }
}

static void test_broken_utf8_separates_words(void **state)
{
    (void)state;
    check_fold(SX_STR("lyon\xff"), "lyon");
    check_fold(SX_STR("a\xC3"), "a");
    check_fold(SX_STR("a\300\200z"), "a z");     /* overlong */
    check_fold(SX_STR("a\355\240\200z"), "a z"); /* surrogate */
    check_fold(sx_str_of("a\0b", 3), "a b");
    assert_int_equal(geo_char_count(SX_STR("é\377"
                                           "a")),
                     3);
}

static void test_a_small_room_cuts_between_letters(void **state)
{
    (void)state;
    char out[16];
    for (size_t cap = 0; cap < sizeof(out); cap++) {
        sx_str got = geo_fold(SX_STR("ab 北京 щ"), out, cap);
        assert_true(got.len <= cap);
        assert_true(sx_str_starts(
            geo_transliterates() ? SX_STR("ab bei jing shch") : SX_STR("ab 北京 shch"), got));
    }
}

static void test_folding_twice_changes_nothing(void **state)
{
    (void)state;
    sx_random_seed(&dice, 7);
    for (int round = 0; round < 20000; round++) {
        char in[24], once[24 * GEO_FOLD_GROWTH + 1], twice[24 * GEO_FOLD_GROWTH * 4 + 1];
        size_t len = (size_t)roll() % sizeof(in);
        for (size_t i = 0; i < len; i++)
            in[i] = (char)(roll() % 256);
        sx_str a = geo_fold(sx_str_of(in, len), once, sizeof(once));
        sx_str b = geo_fold(a, twice, sizeof(twice));
        assert_true(sx_str_eq(a, b));
    }
}

/* Joins tokens with '|', flagged ones in brackets. */
static void check_tokens(sx_str folded, const char *expected)
{
    geo_token t[32];
    char out[512];
    size_t len = 0, count = geo_tokens(geo_rules_of(GEO_LANGUAGE_FRENCH), folded, t, 32);
    for (size_t i = 0; i < count; i++) {
        int n = snprintf(out + len, sizeof(out) - len, "%s%s%.*s%s", i ? "|" : "",
                         t[i].is_number ? "[" : "", SX_ARG(t[i].text), t[i].is_number ? "]" : "");
        len += (size_t)n;
    }
    out[len] = '\0';
    assert_string_equal(out, expected);
}

static void test_abbreviations_are_expanded(void **state)
{
    (void)state;
    check_tokens(SX_STR("bd st germain"), "boulevar|sain|jermain");
    check_tokens(SX_STR("r du 11 novembre"), "ru|du|onz|novenbr");
    check_tokens(SX_STR("r du onze novembre"), "ru|du|onz|novenbr");
    check_tokens(SX_STR("fg pl av imp"), "faubour|plas|avenu|inpas");
    check_tokens(SX_STR("paris 12eme"), "pari|douziem");
    check_tokens(SX_STR("paris xix"), "pari|dix|neuf");
}

static void test_house_numbers_are_recognised(void **state)
{
    (void)state;
    check_tokens(SX_STR("19 bis rue de vaugirard"), "[19b]|ru|de|vaujirar");
    check_tokens(SX_STR("19bis rue de vaugirard"), "[19b]|ru|de|vaujirar");
    check_tokens(SX_STR("7 b rue labrouste"), "[7b]|ru|labroust");
    check_tokens(SX_STR("4 r jules cloquet"), "[katr]|ru|jul|kloket");
    check_tokens(SX_STR("60 et 62 rue damesme"), "[60]|et|62|ru|damesm");
    check_tokens(SX_STR("rue du 8 mai 1945"), "ru|du|ui|mai|1945");
    check_tokens(SX_STR("12b3 rue x"), "12b3|ru|dix");
    check_tokens(SX_STR("75002"), "75002");
    check_tokens(SX_STR("19"), "[dix]|[neuf]");
    /* Of numbers in a row the last one counts, unless the text ends there. */
    check_tokens(SX_STR("75 106 paris"), "106|pari");
    check_tokens(SX_STR("paris 5 6"), "pari|sink|six");
    /* A letter belongs to the number where the text ends or a street word follows. */
    check_tokens(SX_STR("paris 14 b"), "pari|14b");
    check_tokens(SX_STR("14 b hugo"), "[katorz]|b|ugo");
    /* Five digits stand alone. */
    check_tokens(SX_STR("f75002x"), "f|75002|dix");
}

static void test_words_are_written_as_they_sound(void **state)
{
    (void)state;
    static const char *const EXPECT[][2] = {
        {"philippe", "filip"},        {"haut", "au"},  {"chateau", "chateau"}, {"champs", "chan"},
        {"quatre", "katr"},           {"eaux", "eau"}, {"guy", "gui"},         {"cesar", "sezar"},
        {"morscwiller", "morsviler"}, {"l", "l"},      {"est", "est"},         {"12c", "12c"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(EXPECT); i++) {
        char word[64];
        size_t len = strlen(EXPECT[i][0]);
        memcpy(word, EXPECT[i][0], len);
        sx_str got = sx_str_of(word, geo_phonetic_french(word, len));
        if (!sx_str_eq(got, sx_str_z(EXPECT[i][1])))
            fail_msg("'%s' sounds '%.*s', not '%s'", EXPECT[i][0], SX_ARG(got), EXPECT[i][1]);
    }
}

/* Whatever the bytes, a word never grows, and no capital letter is left behind. */
static void test_any_word_has_a_sound(void **state)
{
    (void)state;
    sx_random_seed(&dice, 7);
    for (int round = 0; round < 20000; round++) {
        static const char LETTERS[] = "aeiouyhcgsqnmtdlxpbfjw19_";
        char word[48];
        size_t len = (size_t)roll() % sizeof(word);
        for (size_t i = 0; i < len; i++)
            word[i] = LETTERS[(size_t)roll() % (sizeof(LETTERS) - 1)];
        size_t sound = geo_phonetic_french(word, len);
        assert_true(sound <= len);
        for (size_t i = 0; i < sound; i++)
            assert_true(word[i] < 'A' || word[i] > 'Z');
    }
}

static void test_queries_are_cleaned(void **state)
{
    (void)state;
    static const char *const EXPECT[][2] = {
        {"chez m martin 14 rue suger", "14 rue suger"},
        {"les lilas 14 bis rue suger", "14 bis rue suger"},
        {"rue suger 14 rue", "rue suger 14 rue"},
        {"14 rue suger bp 1234 paris", "14 rue suger  paris"},
        {"75006 paris cedex 08", " 75   paris "},
        {"cedex 75006 paris", " 75006 paris"},
        {"2eme etage rue suger", " rue suger"},
        {"lieu dit la croix", "la croix"},
        {"lieu dit", "lieu dit"},
        {"014 rue suger", "14 rue suger"},
        {"01000 bourg", "01000 bourg"},
        {"", ""},
    };
    const geo_rules *r = geo_rules_of(GEO_LANGUAGE_FRENCH);
    for (size_t i = 0; i < SX_COUNT_OF(EXPECT); i++) {
        char out[64];
        sx_str got = geo_clean_query(r, sx_str_z(EXPECT[i][0]), out);
        if (!sx_str_eq(got, sx_str_z(EXPECT[i][1])))
            fail_msg("'%s' becomes '%.*s'", EXPECT[i][0], SX_ARG(got));
    }
    char out[64];
    sx_str spanish = SX_STR("chez m 14 calle cedex");
    assert_true(
        sx_str_eq(geo_clean_query(geo_rules_of(GEO_LANGUAGE_SPANISH), spanish, out), spanish));
}

static void test_numbers_are_taken_apart(void **state)
{
    (void)state;
    geo_number n;
    assert_true(geo_number_parse(SX_STR("147p48"), &n));
    assert_int_equal(n.number, 147);
    assert_true(sx_str_eq(n.suffix, SX_STR("p48")));
    assert_true(geo_number_parse(SX_STR("007"), &n));
    assert_int_equal(n.number, 7);
    assert_false(geo_number_parse(SX_STR("02b"), &n));
    assert_false(geo_number_parse(SX_STR("18bv"), &n));
    assert_false(geo_number_parse(SX_STR("75002"), &n));
    assert_false(geo_number_parse(SX_STR(""), &n));
    assert_false(geo_number_parse(SX_STR("b"), &n));
}

static void test_too_many_and_too_long_words_are_bounded(void **state)
{
    (void)state;
    geo_token t[4];
    char words[100001];
    for (size_t i = 0; i < sizeof(words); i++)
        words[i] = "ab"[i % 2]; /* doubled letters would be one */
    assert_int_equal(geo_tokens(geo_rules_of(GEO_LANGUAGE_FRENCH), sx_str_of(words, 100000), t, 4),
                     1);
    assert_int_equal(t[0].text.len, GEO_TOKEN_BYTES_MAX);
    for (size_t i = 1; i < 100000; i += 2)
        words[i] = ' ';
    assert_int_equal(geo_tokens(geo_rules_of(GEO_LANGUAGE_FRENCH), sx_str_of(words, 99999), t, 4),
                     4);
}

static void test_every_language_has_sorted_tables(void **state)
{
    (void)state;
    static const char *const EXPECT[][3] = {
        {"fr", "cdt", "commandant"}, {"fr", "zup", "zone urbaniser en priorite"},
        {"fr", "15", "quinze"},      {"es", "avd", "avenida"},
        {"es", "trva", "travesia"},  {"de", "str", "strasse"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(EXPECT); i++) {
        for (unsigned l = 0; l < GEO_LANGUAGES; l++) {
            const geo_rules *r = geo_rules_of(l);
            if (!sx_str_eq(geo_rules_code(r), sx_str_z(EXPECT[i][0])))
                continue;
            sx_str got = geo_rules_expand(r, sx_str_z(EXPECT[i][1]));
            assert_true(sx_str_eq(got, sx_str_z(EXPECT[i][2])));
        }
    }
    assert_int_equal(geo_rules_code(geo_rules_of(99)).len, 0);
    assert_int_equal(geo_rules_ordinal(geo_rules_of(GEO_LANGUAGE_FRENCH), SX_STR("ter")).len, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accents_case_and_punctuation_vanish),
        cmocka_unit_test(test_greek_and_cyrillic_are_written_in_latin_letters),
        cmocka_unit_test(test_other_scripts_are_written_in_latin_letters_where_icu_is),
        cmocka_unit_test(test_broken_utf8_separates_words),
        cmocka_unit_test(test_a_small_room_cuts_between_letters),
        cmocka_unit_test(test_folding_twice_changes_nothing),
        cmocka_unit_test(test_abbreviations_are_expanded),
        cmocka_unit_test(test_house_numbers_are_recognised),
        cmocka_unit_test(test_words_are_written_as_they_sound),
        cmocka_unit_test(test_any_word_has_a_sound),
        cmocka_unit_test(test_queries_are_cleaned),
        cmocka_unit_test(test_numbers_are_taken_apart),
        cmocka_unit_test(test_too_many_and_too_long_words_are_bounded),
        cmocka_unit_test(test_every_language_has_sorted_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_languages.c - how Spanish and German queries are read, and an index of two languages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sextant/random.h>

#include "fixture.h"
#include "geocode/import/import.h"
#include "geocode/search/languages.h"
#include "geocode/search/searcher.h"
#include "geocode/text/fold.h"
#include "geocode/text/phonetic.h"
#include "geocode/text/rewrite.h"

static int clean(void **state)
{
    (void)state;
    fixture_clean();
    return 0;
}

static void check_rewrite(geo_language language, const char *in, const char *want)
{
    char folded[512], out[512];
    bool number;
    sx_str text = geo_fold(sx_str_z(in), folded, sizeof(folded));
    sx_str got = geo_rewrite_query(geo_rules_of(language), text, out, sizeof(out), &number);
    if (!sx_str_eq(got, sx_str_z(want)))
        fail_msg("'%s' becomes '%.*s', not '%s'", in, SX_ARG(got), want);
    assert_int_equal(number, want[0] >= '0' && want[0] <= '9');
}

static void test_spanish_queries_are_written_as_labels(void **state)
{
    (void)state;
    static const char *const ROWS[][2] = {
        {"Calle Mayor 12, 28013 Madrid", "12 calle mayor 28013 madrid"},
        {"C/ Mayor, nº 12, 3º izq, 28013 Madrid", "12 calle mayor 28013 madrid"},
        {"C/ Mayor 12-B Madrid", "12b calle mayor madrid"},
        {"c mayor 12 bis", "12b calle mayor"},
        {"Avda. de la Paz 5, bajo A, Getafe", "5 avenida de la paz getafe"},
        {"Pº de la Castellana s/n Madrid", "paseo de la castellana madrid"},
        {"Plaza del 2 de Mayo 3", "3 plaza del 2 de mayo"},
        {"Calle 12 de Octubre 5 Madrid", "5 calle 12 de octubre madrid"},
        {"calle 30 madrid", "calle 30 madrid"},
        {"12 Calle Mayor Madrid", "12 calle mayor madrid"},
        {"Ctra. Burgos km 14", "carretera burgos km 14"},
        {"Sta. Engracia 4 2ª Madrid", "4 santa engracia madrid"},
        {"Pza. Sto. Domingo número 13", "13 plaza santo domingo"},
        {"Ronda de Segovia no12 esc 2 planta 3 pta B Madrid", "12 ronda de segovia madrid"},
        {"Calle Alcalá 20-22, 28014", "20 calle alcala 28014"},
        {"28013 Madrid Calle Mayor 12", "12 28013 madrid calle mayor"},
        {"", ""},
        {"mayor", "mayor"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
        check_rewrite(GEO_LANGUAGE_SPANISH, ROWS[i][0], ROWS[i][1]);
}

static void test_german_queries_are_written_as_labels(void **state)
{
    (void)state;
    static const char *const ROWS[][2] = {
        {"Städtle 32, 9490 Vaduz", "32 stadtle 9490 vaduz"},
        {"Kirchstrasse 3a, Ruggell", "3a kirchstrasse ruggell"},
        {"Hauptstr. 5 b, 2. OG, 10115 Berlin", "5b hauptstr 10115 berlin"},
        {"Straße des 17. Juni 135 Berlin", "135 strasse des 17 juni berlin"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
        check_rewrite(GEO_LANGUAGE_GERMAN, ROWS[i][0], ROWS[i][1]);
    char out[64];
    bool number;
    sx_str got = geo_rewrite_query(geo_rules_of(GEO_LANGUAGE_GERMAN), SX_STR("9490 vaduz"), out,
                                   sizeof(out), &number);
    assert_true(sx_str_eq(got, SX_STR("9490 vaduz")));
    assert_false(number); /* a postcode */
}

static void test_rewriting_anything_stays_in_its_room(void **state)
{
    (void)state;
    static const char *const WORDS[] = {"calle", "c",      "12", "b",    "bis", "s",
                                        "n",     "no",     "3o", "izq",  "de",  "km",
                                        "28013", "madrid", "gv", "no12", "str", "y"};
    sx_random dice;
    sx_random_seed(&dice, 11);
    for (int round = 0; round < 20000; round++) {
        char in[512], out[600];
        size_t len = 0;
        for (uint32_t words = sx_random_below(&dice, 12); words > 0; words--)
            len += (size_t)snprintf(in + len, sizeof(in) - len, "%s%s", len ? " " : "",
                                    WORDS[sx_random_below(&dice, SX_COUNT_OF(WORDS))]);
        size_t cap = sx_random_below(&dice, 64);
        bool number;
        sx_str got = geo_rewrite_query(geo_rules_of(GEO_LANGUAGE_SPANISH), sx_str_of(in, len), out,
                                       cap, &number);
        assert_true(got.len <= cap);
        got = geo_rewrite_query(geo_rules_of(GEO_LANGUAGE_SPANISH), sx_str_of(in, len), out,
                                sizeof(out), &number);
        assert_true(got.len == 0 || (got.data[0] != ' ' && got.data[got.len - 1] != ' '));
        assert_int_equal(sx_str_find(got, SX_STR("  ")), got.len);
    }
}

static void check_sound(size_t (*sound)(char *, size_t), const char *one, const char *other)
{
    char a[64], b[64];
    size_t la = strlen(one), lb = strlen(other);
    memcpy(a, one, la);
    memcpy(b, other, lb);
    la = sound(a, la);
    lb = sound(b, lb);
    if (!sx_str_eq(sx_str_of(a, la), sx_str_of(b, lb)))
        fail_msg("%s sounds %.*s, %s %.*s", one, (int)la, a, other, (int)lb, b);
}

static void test_words_that_sound_alike_meet(void **state)
{
    (void)state;
    static const char *const SPANISH[][2] = {
        {"velazquez", "belasques"}, {"hermosilla", "ermosiya"},
        {"gimenez", "jimenez"},     {"cebada", "zebada"},
        {"mexico", "mejico"},       {"etxebarria", "echevarria"},
        {"invierno", "imbierno"},   {"rey", "rei"},
        {"zaragoza", "saragosa"},   {"quevedo", "kebedo"},
        {"piscina", "picina"},      {"catalunya", "cataluna"},
    };
    static const char *const GERMAN[][2] = {
        {"kirchstrasse", "kirchstr"}, {"mueller", "muller"}, {"mayer", "meier"},
        {"schmidt", "schmit"},        {"thaler", "taler"},   {"backer", "baker"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(SPANISH); i++)
        check_sound(geo_phonetic_spanish, SPANISH[i][0], SPANISH[i][1]);
    for (size_t i = 0; i < SX_COUNT_OF(GERMAN); i++)
        check_sound(geo_phonetic_german, GERMAN[i][0], GERMAN[i][1]);
    char digits[] = "1100";
    assert_int_equal(geo_phonetic_spanish(digits, 4), 4);
}

static const char SPAIN[] =
    "{\"id\":\"m\",\"type\":\"street\",\"name\":\"Calle Mayor\",\"postcode\":\"28013\",\"city\":"
    "\"Madrid\",\"lon\":-3.7,\"lat\":40.4,\"importance\":0.7,\"housenumbers\":{\"12\":{\"lon\":"
    "-3.71,\"lat\":40.41},\"12b\":{\"lon\":-3.72,\"lat\":40.42}}}\n"
    "{\"id\":\"p\",\"type\":\"street\",\"name\":\"Rue de la Paix\",\"city\":\"Madrid\",\"lon\":-3.6,"
    "\"lat\":40.3,\"importance\":0.1}\n";

static geo_index *open_mixed(void)
{
    sx_error err = {0};
    geo_index *ix = NULL;
    char out[256];
    (void)snprintf(out, sizeof(out), "%s", fixture_path("mixed.geo"));
    geo_import_input inputs[] = {
        {.path = fixture_write("fr.ndjson", sx_str_z(TINY))},
        {.path = fixture_write("es.ndjson", sx_str_z(SPAIN)), .language = GEO_LANGUAGE_SPANISH}};
    geo_import_options o = {.inputs = inputs, .input_count = 2, .output = out};
    if (geo_import(&o, NULL, &err) != SX_OK || geo_index_open(out, &ix, &err) != SX_OK)
        fail_msg("%s", err.message);
    return ix;
}

static void search(const geo_index *ix, geo_searcher *s, const char *text, geo_results *out)
{
    sx_error err;
    geo_query q = {.text = sx_str_z(text), .limit = 5, .autocomplete = true};
    assert_int_equal(geo_search(ix, s, &q, out, &err), SX_OK);
}

static sx_str id_of(const geo_index *ix, const geo_result *r, char room[64])
{
    return geo_result_text(ix, r, SX_STR("id"), room, 64);
}

static void test_a_mixed_index_is_read_in_both_languages(void **state)
{
    (void)state;
    char room[64];
    geo_index *ix = open_mixed();
    geo_searcher *s = geo_searcher_new(NULL);
    geo_results found;
    unsigned languages[GEO_LANGUAGES];
    assert_int_equal(geo_index_languages(ix, languages), 2);
    static const char *const MAYOR[] = {"Calle Mayor 12, 28013 Madrid", "c/ mallor 12 madrid",
                                        "calle mayor 12", "12 calle mayor"};
    for (size_t i = 0; i < SX_COUNT_OF(MAYOR); i++) {
        search(ix, s, MAYOR[i], &found);
        assert_true(found.count >= 1);
        assert_true(sx_str_eq(id_of(ix, &found.items[0], room), SX_STR("m")));
        assert_int_equal(found.items[0].lon_e7, -37100000);
    }
    search(ix, s, "calle mayor 12 bis madrid", &found);
    assert_int_equal(found.items[0].lon_e7, -37200000);
    search(ix, s, "3 bis rue de la paix paris", &found); /* French, and its house number */
    assert_int_equal(found.items[0].lon_e7, 23304620);
    search(ix, s, "rue de la paix", &found); /* one in each country */
    assert_int_equal(found.count, 2);
    for (uint32_t i = 1; i < found.count; i++) {
        assert_true(found.items[i - 1].score >= found.items[i].score);
        assert_int_not_equal(found.items[i - 1].doc, found.items[i].doc);
    }
    geo_searcher_free(s);
    geo_index_close(ix);
}

static void test_one_language_is_searched_as_it_was(void **state)
{
    (void)state;
    static const char *const QUERIES[] = {
        "rue de la paix paris", "3 bis rue de la paix", "paris", "ru", "calle mayor 12", ""};
    geo_index *ix = fixture_open("french.geo", sx_str_z(TINY));
    geo_searcher *s = geo_searcher_new(NULL);
    unsigned languages[GEO_LANGUAGES];
    assert_int_equal(geo_index_languages(ix, languages), 1);
    assert_int_equal(languages[0], GEO_LANGUAGE_FRENCH);
    for (size_t i = 0; i < SX_COUNT_OF(QUERIES); i++) {
        sx_error err;
        geo_results one, other;
        geo_query q = {.text = sx_str_z(QUERIES[i]), .limit = 5};
        sx_status status = geo_search(ix, s, &q, &one, &err);
        assert_int_equal(geo_search_as(ix, s, &q, GEO_LANGUAGE_FRENCH, &other, &err), status);
        assert_int_equal(one.count, other.count);
        for (uint32_t k = 0; k < one.count; k++)
            assert_true(one.items[k].doc == other.items[k].doc &&
                        one.items[k].score == other.items[k].score);
    }
    geo_searcher_free(s);
    geo_index_close(ix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spanish_queries_are_written_as_labels),
        cmocka_unit_test(test_german_queries_are_written_as_labels),
        cmocka_unit_test(test_rewriting_anything_stays_in_its_room),
        cmocka_unit_test(test_words_that_sound_alike_meet),
        cmocka_unit_test(test_a_mixed_index_is_read_in_both_languages),
        cmocka_unit_test(test_one_language_is_searched_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}

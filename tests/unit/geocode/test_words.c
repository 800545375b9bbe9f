/* Words of Nominatim's tokenizer: forms of texts, variants of names, house numbers, postcodes. What is
 * expected here is what ICU 72 and Nominatim 5.3.3 make of the same texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include <sextant/utf8.h>

#include "base/fault.h"
#include "geocode/words/words.h"

static void assert_text(sx_str have, const char *want)
{
    if (!sx_str_eq(have, sx_str_z(want)))
        fail_msg("'%.*s' instead of '%s'", SX_ARG(have), want);
}

/* --- Forms. */

typedef struct form_case {
    const char *in, *query, *ascii, *name;
} form_case;

static const form_case FORMS[] = {
    {"Vaduz", "vaduz", "vaduz", "vaduz"},
    {"Städtle", "städtle", "stadtle", "städtle"},
    {"Großer Weg", "grosser weg", "grosser weg", "grosser weg"},
    {"St.-Luzi-Straße", "st--luzi-strasse", "st luzi strasse", "st luzi strasse"},
    {"a - b", "a  b", "a b", "a  b"},
    {"Nr. N° 5", "nr no 5", "nr no 5", "nr no 5"},
    {"№7", "no7", "no7", "no7"},
    {"①②", "12", "12", "12"},
    {"Щёлково", "щёлково", "selkovo", "щёлково"},
    {"ΟΔΟΣ ΣΟΦΙΑΣ", "οδος σοφιας", "odos sophias", "οδος σοφιας"},
    {"Αγγελος αυτός", "αγγελος αυτός", "angelos autos", "αγγελος αυτός"},
    {"شارع", "شارع", "shar", "شارع"},
    {"e\xCC\x81t", "et", "et", "et"},
    {"", "", "", ""},
};

static void test_texts_have_the_forms_that_icu_gives_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++) {
        sx_buf query = {0}, ascii = {0}, name = {0};
        wrd_normal_query(sx_str_z(FORMS[i].in), &query);
        wrd_ascii(sx_buf_view(&query), &ascii);
        wrd_normal_name(sx_str_z(FORMS[i].in), &name);
        assert_text(sx_buf_view(&query), FORMS[i].query);
        assert_text(sx_buf_view(&ascii), FORMS[i].ascii);
        assert_text(sx_buf_view(&name), FORMS[i].name);
        sx_buf_done(&query);
        sx_buf_done(&ascii);
        sx_buf_done(&name);
    }
}

static void test_search_form_is_trimmed(void **state)
{
    (void)state;
    sx_buf out = {0};
    sx_buf_str(&out, SX_STR("before:"));
    wrd_search_form(SX_STR(" (Haus) Zur-Brücke! "), &out);
    assert_text(sx_buf_view(&out), "before:haus zur brucke");
    sx_buf_done(&out);
}

static void test_any_bytes_give_valid_text(void **state)
{
    (void)state;
    static const char BAD[] = "a\xFF\xC3(\xE4\xBD\xF0\x9F\x98 \xED\xA0\x80z\xF8\x88\x80\x80\x80";
    for (size_t from = 0; from < sizeof(BAD); from++)
        for (size_t len = 0; from + len < sizeof(BAD); len++) {
            sx_buf normal = {0}, ascii = {0};
            wrd_normal_query(sx_str_of(BAD + from, len), &normal);
            wrd_ascii(sx_buf_view(&normal), &ascii);
            assert_true(sx_utf8_valid(sx_buf_view(&normal)));
            assert_true(sx_utf8_valid(sx_buf_view(&ascii)));
            sx_buf_done(&normal);
            sx_buf_done(&ascii);
        }
}

/* --- Names. */

static bool has_full(const wrd_words *w, const char *id, const char *ascii)
{
    for (uint32_t i = 0; i < w->full_count; i++)
        for (uint32_t k = 0; k < w->fulls[i].count; k++)
            if (sx_str_eq(w->fulls[i].id, sx_str_z(id)) &&
                sx_str_eq(w->fulls[i].variants[k].ascii, sx_str_z(ascii)))
                return true;
    return false;
}

static bool has_part(const wrd_words *w, const char *part)
{
    for (uint32_t i = 0; i < w->partial_count; i++)
        if (sx_str_eq(w->partials[i], sx_str_z(part)))
            return true;
    return false;
}

static wrd_words words_of(wrd_analyzer *a, const char *country, const char *key, const char *value)
{
    wrd_words w;
    wrd_names_begin(a, sx_str_z(country));
    wrd_names_add(a, sx_str_z(key), sx_str_z(value));
    assert_int_equal(wrd_names_end(a, &w, NULL), SX_OK);
    return w;
}

static void test_a_street_has_its_short_and_its_parted_form(void **state)
{
    wrd_analyzer *a = *state;
    wrd_words w = words_of(a, "li", "name", "Bahnhofstraße");
    assert_true(has_full(&w, "bahnhofstrasse", "bahnhofstrasse"));
    assert_true(has_full(&w, "bahnhofstrasse@de", "bahnhofstr"));
    assert_true(has_full(&w, "bahnhofstrasse@de", "bahnhof strasse"));
    assert_true(has_full(&w, "bahnhofstrasse@de", "bahnhof str"));
    assert_false(has_full(&w, "bahnhofstrasse@de", "bahnhofstrasse"));
    assert_true(has_part(&w, "bahnhof"));
    assert_true(has_part(&w, "str"));
    assert_true(wrd_has_variant(&w, SX_STR("bahnhof str")));
    assert_false(wrd_has_variant(&w, SX_STR("bahnhof")));
}

static void test_umlauts_are_also_two_letters(void **state)
{
    wrd_analyzer *a = *state;
    wrd_words w = words_of(a, "li", "name", "Städtle");
    assert_true(has_full(&w, "städtle", "stadtle"));
    assert_true(has_full(&w, "städtle@de", "staedtle"));
    assert_false(has_full(&w, "städtle@de", "stadtle"));
}

static void test_a_languages_suffix_picks_its_rules(void **state)
{
    wrd_analyzer *a = *state;
    wrd_words w = words_of(a, "li", "name:fr", "Avenue de la Gare");
    assert_true(has_full(&w, "avenue de la gare@fr", "av de la gare"));
    assert_int_equal(w.full_count, 2);
    w = words_of(a, "li", "name:xx", "Avenue de la Gare");
    assert_int_equal(w.full_count, 1);
    w = words_of(a, "ad", "ref", "Avinguda");
    assert_int_equal(w.full_count, 1); /* no kind of name: no languages */
    w = words_of(a, "ad", "alt_name", "Avinguda Meritxell");
    assert_true(has_full(&w, "avinguda meritxell@ca", "av meritxell"));
}

static void test_lists_and_brackets_are_several_names(void **state)
{
    wrd_analyzer *a = *state;
    wrd_words w = words_of(a, "", "name", "Halle (Saale); Halle ;;");
    assert_int_equal(w.full_count, 2);
    assert_true(has_full(&w, "halle saale", "halle saale"));
    assert_true(has_full(&w, "halle", "halle"));
    w = words_of(a, "", "name", "Halle (Saale) Nord");
    assert_int_equal(w.full_count, 1);
}

static void test_an_address_tag_is_one_word_with_its_parts(void **state)
{
    wrd_analyzer *a = *state;
    wrd_words w;
    assert_int_equal(wrd_address_words(a, SX_STR("St. Gallen"), &w, NULL), SX_OK);
    assert_int_equal(w.full_count, 1);
    assert_true(has_full(&w, "st gallen", "st gallen"));
    assert_int_equal(w.partial_count, 2);
    assert_int_equal(wrd_address_words(a, SX_STR(" - "), &w, NULL), SX_OK);
    assert_int_equal(w.full_count, 0);
}

static void test_many_variants_stay_bounded(void **state)
{
    wrd_analyzer *a = *state;
    char name[WRD_NAME_BYTES_MAX + 1];
    for (size_t i = 0; i + 16 < sizeof(name); i += 16)
        memcpy(name + i, "Straße Äcker \xC3\xB6\xC3\xBC", 17);
    name[sizeof(name) - 1] = '\0';
    wrd_words w = words_of(a, "li", "name", name);
    for (uint32_t i = 0; i < w.full_count; i++)
        assert_true(w.fulls[i].count <= WRD_VARIANTS_MAX);
}

static void test_names_without_memory_fail_cleanly(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        wrd_words w;
        wrd_analyzer *a = wrd_analyzer_new(NULL);
        sx_status status = SX_ENOMEM;
        if (a) {
            wrd_names_begin(a, SX_STR("li"));
            wrd_names_add(a, SX_STR("name"), SX_STR("Äule-Straße; Am Bach (Nord)"));
            status = wrd_names_end(a, &w, NULL);
        }
        wrd_analyzer_free(a);
        bool hit = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (!hit) {
            assert_int_equal(status, SX_OK);
            break;
        }
        assert_int_equal(status, SX_ENOMEM);
    }
}

/* --- House numbers. */

static void collect(void *ctx, sx_str variant)
{
    sx_buf_str(ctx, variant);
    sx_buf_byte(ctx, '/');
}

/* All variants of all numbers, each behind a '/', the numbers behind a '|'. */
static void assert_numbers(const char *value, const char *interpolation, const char *want)
{
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_str numbers[WRD_NUMBERS_MAX];
    sx_buf out = {0}, id = {0};
    bool is_name;
    uint32_t count =
        wrd_housenumbers(sx_str_z(value), sx_str_z(interpolation), &arena, numbers, &is_name);
    if (is_name)
        sx_buf_str(&out, SX_STR("name"));
    for (uint32_t i = 0; i < count; i++) {
        sx_buf_clear(&id);
        wrd_housenumber_id(numbers[i], &id);
        wrd_housenumber_variants(sx_buf_view(&id), collect, &out);
        sx_buf_byte(&out, '|');
    }
    assert_text(sx_buf_view(&out), want);
    sx_buf_done(&id);
    sx_buf_done(&out);
    sx_arena_done(&arena);
}

static void test_house_numbers_have_one_form(void **state)
{
    (void)state;
    assert_numbers("12", "", "12/|");
    assert_numbers("2a", "", "2 a/2a/|");
    assert_numbers("2 A", "", "2 a/2a/|");
    assert_numbers("2-a", "", "2 a/2a/|");
    assert_numbers("2; 4,12", "", "2/|4/|12/|");
    assert_numbers("12-14", "", "12 14/|");
    assert_numbers("2-8", "even", "2/|4/|6/|8/|");
    assert_numbers("2-8", "3", "2/|5/|8/|");
    assert_numbers("2-800", "all", "2 800/|");
    assert_numbers("Haus Bethanien", "", "name");
    assert_numbers("Haus 3", "", "haus 3/|");
    assert_numbers("", "", "");
    assert_numbers(",;", "", "");
    assert_numbers("1a2b", "", "1 a 2 b/1a 2 b/1 a2 b/1a2 b/1 a 2b/1a 2b/1 a2b/1a2b/|");
}

/* --- Postcodes. */

typedef struct postcode_case {
    const char *country, *in, *out; /* NULL: it is none */
} postcode_case;

static const postcode_case POSTCODES[] = {
    {"li", "9490", "9490"},
    {"li", " LI-9490 ", "9490"},
    {"li", "FL-9490", NULL},
    {"li", "949", NULL},
    {"li", "0000", NULL},
    {"gb", "sw1a1aa", "SW1A 1AA"},
    {"gb", "EC1A 1BB", "EC1A 1BB"},
    {"us", "12345-6789", "12345"},
    {"nl", "1234ab", "1234 AB"},
    {"ca", "K1A0B1", "K1A 0B1"},
    {"ad", "AD500", "AD500"},
    {"ad", "500", "AD500"},
    {"pt", "1234-567", "1234-567"},
    {"ie", "D02 X285", "D02 X285"},
    {"br", "12345678", "12345-678"},
    {"pl", "12 345", "12-345"},
    {"pl", "12345", "12-345"},
    {"ae", "12345", NULL},
    {"", "12345", NULL},
    {"xx", "ab-123", "AB-123"},
};

static void test_postcodes_are_written_as_their_countries_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(POSTCODES) / sizeof(POSTCODES[0]); i++) {
        sx_buf out = {0};
        bool found = wrd_postcode(sx_str_z(POSTCODES[i].country), sx_str_z(POSTCODES[i].in), &out);
        if (found != (POSTCODES[i].out != NULL))
            fail_msg("%s in %s: %d", POSTCODES[i].in, POSTCODES[i].country, found);
        if (found)
            assert_text(sx_buf_view(&out), POSTCODES[i].out);
        sx_buf_done(&out);
    }
}

static bool finds(const char *text, uint32_t breaks, const char *postcode)
{
    wrd_postcode_found found[WRD_POSTCODES_MAX];
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    uint32_t count = wrd_postcodes_in(sx_str_z(text), false, &arena, found);
    bool good = false;
    for (uint32_t i = 0; i < count; i++)
        good |= found[i].breaks == breaks && sx_str_eq(found[i].text, sx_str_z(postcode));
    sx_arena_done(&arena);
    return good;
}

static void test_postcodes_are_recognised_in_queries(void **state)
{
    (void)state;
    assert_true(finds("9490,", 1, "9490"));
    assert_true(finds("9490 VADUZ>", 1, "9490"));
    assert_false(finds("9490-VADUZ>", 1, "9490"));
    assert_true(finds("SW1A 1AA>", 2, "SW1A 1AA"));
    assert_true(finds("LI-9490>", 2, "9490"));
    assert_true(finds("LI9490>", 1, "9490"));
    assert_false(finds("GB 9490>", 2, "9490"));
    assert_true(finds("500>", 1, "AD500"));
    assert_false(finds("STRASSE>", 1, "STRASSE"));
}

static int set_up(void **state)
{
    *state = wrd_analyzer_new(NULL);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    wrd_analyzer_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_have_the_forms_that_icu_gives_them),
        cmocka_unit_test(test_search_form_is_trimmed),
        cmocka_unit_test(test_any_bytes_give_valid_text),
        cmocka_unit_test_setup_teardown(test_a_street_has_its_short_and_its_parted_form, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_umlauts_are_also_two_letters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_languages_suffix_picks_its_rules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lists_and_brackets_are_several_names, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_an_address_tag_is_one_word_with_its_parts, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_many_variants_stay_bounded, set_up, tear_down),
        cmocka_unit_test(test_names_without_memory_fail_cleanly),
        cmocka_unit_test(test_house_numbers_have_one_form),
        cmocka_unit_test(test_postcodes_are_written_as_their_countries_do),
        cmocka_unit_test(test_postcodes_are_recognised_in_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

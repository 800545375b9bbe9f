/* test_better.c - what is found on request, on the real data; and explanations that add up. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sextant/random.h>

#include "base/fault.h"
#include "fixture.h"
#include "geocode/reverse/reverse.h"
#include "geocode/search/better.h"
#include "geocode/search/explain.h"

static geo_index *france;
static geo_searcher *searcher;
static geo_results results;

static int open_france(void **state)
{
    (void)state;
    sx_error err = {0};
    if (geo_index_open(fixture_france(), &france, &err) != SX_OK)
        fail_msg("%s", err.message);
    searcher = geo_searcher_new(&err);
    return searcher ? 0 : -1;
}

static int close_france(void **state)
{
    (void)state;
    geo_searcher_free(searcher);
    geo_index_close(france);
    fixture_clean();
    return 0;
}

static void search(const char *text, uint32_t better, bool autocomplete)
{
    sx_error err = {0};
    geo_query q = {.text = sx_str_z(text), .better = better, .autocomplete = autocomplete};
    if (geo_search(france, searcher, &q, &results, &err) != SX_OK)
        fail_msg("'%s': %s", text, err.message);
}

static const char *first_label(const char *text, uint32_t better)
{
    static char out[GEO_LABEL_BYTES_MAX + 1];
    search(text, better, false);
    if (results.count == 0)
        return "";
    sx_str label = geo_result_label(france, &results.items[0], out);
    out[label.len < GEO_LABEL_BYTES_MAX ? label.len : GEO_LABEL_BYTES_MAX] = '\0';
    return out;
}

static void test_each_part_finds_what_it_is_for(void **state)
{
    static const struct {
        const char *query, *label;
        uint32_t part;
    } ROWS[] = {
        {"opera avenue 34 paris", "34 Avenue de l'Opéra 75002 Paris", GEO_BETTER_WORD_ORDER},
        {"avenue de l'opera paris 34", "34 Avenue de l'Opéra 75002 Paris", GEO_BETTER_WORD_ORDER},
        {"12 rue vernierparis", "12 Rue Vernier 75017 Paris", GEO_BETTER_SPLIT_JOIN},
        {"boulevard beau sejour 75016", "Boulevard de Beauséjour 75016 Paris",
         GEO_BETTER_SPLIT_JOIN},
        {"32rue primo levi 75013 paris", "32 Rue Primo Levi 75013 Paris",
         GEO_BETTER_SPLIT_JOIN | GEO_BETTER_WORD_ORDER},
        {"104 rue blanhe paris", "104 Rue Blanche 75009 Paris", GEO_BETTER_TYPOS},
        {"rue des pirennees 75020 pari", "Rue des Pyrénées 75020 Paris",
         GEO_BETTER_TYPOS | GEO_BETTER_TYPOS_TWO},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        assert_string_equal(first_label(ROWS[i].query, ROWS[i].part), ROWS[i].label);
        assert_string_equal(first_label(ROWS[i].query, GEO_BETTER_ALL), ROWS[i].label);
    }
}

static void test_a_wrong_postcode_costs_score_and_no_answer(void **state)
{
    (void)state;
    assert_string_equal(first_label("34 avenue de l'opera 75002 paris", GEO_BETTER_ALL),
                        "34 Avenue de l'Opéra 75002 Paris");
    double right = results.items[0].score;
    assert_string_equal(first_label("34 avenue de l'opera 75013 paris", GEO_BETTER_ALL),
                        "34 Avenue de l'Opéra 75002 Paris");
    double near = results.items[0].score;
    assert_string_equal(first_label("34 avenue de l'opera 13002 paris", GEO_BETTER_ALL),
                        "34 Avenue de l'Opéra 75002 Paris");
    assert_true(right > near && near > results.items[0].score && near > 0.7);
}

static void test_a_good_answer_is_left_as_it_is(void **state)
{
    static const char *const QUERIES[] = {"34 avenue de l'opera 75002 paris", "lyon",
                                          "rue de la paix paris", "5 rue suger", "saint-denis"};
    geo_results plain;
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(QUERIES); i++) {
        for (int autocomplete = 0; autocomplete < 2; autocomplete++) {
            search(QUERIES[i], 0, autocomplete);
            plain = results;
            search(QUERIES[i], GEO_BETTER_ALL & ~GEO_BETTER_INTERPOLATE, autocomplete);
            assert_int_equal(results.count, plain.count);
            for (uint32_t k = 0; k < plain.count; k++)
                assert_true(results.items[k].doc == plain.items[k].doc &&
                            results.items[k].score == plain.items[k].score);
        }
    }
}

static void test_a_missing_house_number_lies_between_its_neighbours(void **state)
{
    char text[16];
    (void)state;
    /* Rue Suger has 14 and 16 and 1 to 13, but no 15 and nothing odd above. */
    assert_string_equal(first_label("15 rue suger 75006 paris", GEO_BETTER_ALL),
                        "15 Rue Suger 75006 Paris");
    const geo_result *r = &results.items[0];
    geo_result made = *r;
    assert_int_equal(r->number, GEO_NO_NUMBER);
    assert_int_equal(r->made_len, 2);
    assert_memory_equal(r->made, "15", 2);
    assert_true(sx_str_eq(geo_result_text(france, r, SX_STR("interpolated"), text, sizeof(text)),
                          SX_STR("true")));
    assert_true(sx_str_eq(geo_result_text(france, r, SX_STR("type"), text, sizeof(text)),
                          SX_STR("housenumber")));
    geo_housenumber low, high;
    assert_true(geo_number_find(france, made.doc, 14, sx_str_of("", 0), &low));
    assert_true(geo_number_find(france, made.doc, 16, sx_str_of("", 0), &high));
    assert_true((made.lat_e7 - low.lat_e7) * (int64_t)(made.lat_e7 - high.lat_e7) <= 0);
    assert_true((made.lon_e7 - low.lon_e7) * (int64_t)(made.lon_e7 - high.lon_e7) <= 0);
    /* Nothing lies beyond the last one; and nothing is made unasked. */
    (void)first_label("95 rue suger 75006 paris", GEO_BETTER_ALL);
    assert_int_equal(results.items[0].made_len, 0);
    assert_string_equal(first_label("15 rue suger 75006 paris", 0), "Rue Suger 75006 Paris");
    assert_string_equal(
        first_label("15 rue suger 75006 paris", GEO_BETTER_ALL & ~GEO_BETTER_INTERPOLATE),
        "Rue Suger 75006 Paris");
}

static void test_its_own_side_of_the_street_is_preferred(void **state)
{
    sx_error err = {0};
    (void)state;
    /* Odd numbers in the north, even ones in the south; 5 is missing. */
    geo_index *ix = fixture_open(
        "sides.idx",
        SX_STR(
            "{\"id\":\"s\",\"type\":\"street\",\"name\":\"Rue Une\",\"city\":\"Ville\",\"lon\":2,"
            "\"lat\":48,\"importance\":0.5,\"housenumbers\":{\"3\":{\"lon\":2.001,\"lat\":48.001},"
            "\"4\":{\"lon\":2.0015,\"lat\":47.999},\"6\":{\"lon\":2.0025,\"lat\":47.999},"
            "\"7\":{\"lon\":2.003,\"lat\":48.001}}}\n"));
    int32_t lon, lat;
    assert_true(geo_number_between(ix, 0, &(geo_number){5, {"", 0}}, &lon, &lat));
    assert_int_equal(lat, 480010000);
    assert_in_range(lon, 20019990, 20020010);
    assert_true(geo_number_between(ix, 0, &(geo_number){6, {"b", 1}}, &lon, &lat)); /* 6 and 7 */
    assert_false(geo_number_between(ix, 0, &(geo_number){2, {"", 0}}, &lon, &lat));
    assert_false(geo_number_between(ix, 0, &(geo_number){9, {"", 0}}, &lon, &lat));
    assert_false(geo_number_between(ix, 0, &(geo_number){0, {"", 0}}, &lon, &lat));
    geo_searcher *s = geo_searcher_new(&err);
    geo_query q = {.text = SX_STR("5 rue une ville"), .better = GEO_BETTER_ALL};
    assert_int_equal(geo_search(ix, s, &q, &results, &err), SX_OK);
    assert_int_equal(results.items[0].lat_e7, 480010000);
    geo_searcher_free(s);
    geo_index_close(ix);
}

/* Each letter of the word changed, left out, doubled and swapped, compared with all words of the
 * dictionary by the plain distance. */
static void test_the_automaton_finds_what_the_distance_says(void **state)
{
    static const char *const WORDS[] = {"avenu", "poniatovski", "republik", "x", "etoil", "marsei"};
    geo_typo typos[GEO_TYPOS_MAX];
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(WORDS); i++) {
        sx_str word = sx_str_z(WORDS[i]);
        for (uint32_t most = 1; most <= 2; most++) {
            uint32_t count = geo_typos(france, word, most, typos), near = 0;
            char text[64];
            for (uint32_t t = 0; t < france->term_count; t++) {
                sx_str term = geo_term_text(france, t, text, sizeof(text));
                if (geo_word_find(france, term) != t)
                    continue; /* a filter's value */
                uint32_t edits = geo_edits(word, term, most);
                if (edits > most)
                    continue;
                near++;
                bool found = count == GEO_TYPOS_MAX && typos[count - 1].edits <= edits;
                for (uint32_t k = 0; k < count; k++)
                    found = found || (typos[k].term == t && typos[k].edits == edits);
                if (!found)
                    fail_msg("'%s' is %u from '%.*s' and not found", WORDS[i], edits, SX_ARG(term));
            }
            assert_true(near == count || count == GEO_TYPOS_MAX);
        }
    }
}

static void test_edits_are_counted_up_to_a_bound(void **state)
{
    static const struct {
        const char *a, *b;
        uint32_t most, edits;
    } ROWS[] = {{"", "", 2, 0},         {"a", "", 2, 1},         {"abc", "acb", 1, 1},
                {"abcd", "badc", 2, 2}, {"abc", "xyz", 2, 3},    {"montmartre", "montmatre", 2, 1},
                {"ca", "abc", 2, 3},    {"abcdef", "abc", 2, 3}, {"blanhe", "blanche", 2, 1}};
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        assert_int_equal(geo_edits(sx_str_z(ROWS[i].a), sx_str_z(ROWS[i].b), ROWS[i].most),
                         ROWS[i].edits);
        assert_int_equal(geo_edits(sx_str_z(ROWS[i].b), sx_str_z(ROWS[i].a), ROWS[i].most),
                         ROWS[i].edits);
    }
}

static void test_reverse_goes_any_distance(void **state)
{
    sx_error err = {0};
    (void)state;
    geo_reverse_query q = {.lat = 47.0, .lon = -30.0, .within_m = GEO_REVERSE_CELLS};
    assert_int_equal(geo_reverse(france, &q, &results, &err), SX_OK);
    assert_int_equal(results.count, 0);
    q.within_m = GEO_REVERSE_ANY;
    assert_int_equal(geo_reverse(france, &q, &results, &err), SX_OK);
    assert_int_equal(results.count, 1);
    assert_true(results.items[0].distance_m > 1e6);
}

/* ---- explanations ---- */

static double points_of(const geo_explanation *x)
{
    double sum = 0;
    for (uint32_t i = 0; i < x->part_count; i++)
        sum += x->parts[i].points;
    return sum;
}

static void test_points_add_up_to_the_score(void **state)
{
    static const char *const QUERIES[] = {"34 avenue de l'opera 75002 paris",
                                          "34 bd ponyatowsky 75013 paris",
                                          "opera avenue 34 paris",
                                          "saint-denis",
                                          "rue de la pai",
                                          "15 rue suger",
                                          "lyon",
                                          "cazouls",
                                          "bd saintgermain paris",
                                          "12 rue du onze novembre",
                                          "xyzzy paris",
                                          "75002 paris 2e",
                                          "rue",
                                          "a",
                                          "paris 17e"};
    static geo_explanation x;
    sx_error err = {0};
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(QUERIES) * 8; i++) {
        geo_query q = {.text = sx_str_z(QUERIES[i / 8]),
                       .autocomplete = i & 1,
                       .better = i & 2 ? GEO_BETTER_ALL : 0,
                       .has_point = i & 4,
                       .lat = 48.86,
                       .lon = 2.33,
                       .limit = 10};
        assert_int_equal(geo_search(france, searcher, &q, &results, &err), SX_OK);
        for (uint32_t r = 0; r < results.count; r++) {
            assert_int_equal(geo_explain_result(france, searcher, &q, &results.items[r], &x, &err),
                             SX_OK);
            if (fabs(points_of(&x) - results.items[r].score) > 1e-9)
                fail_msg("'%s', %zu: %.9f instead of %.9f", QUERIES[i / 8], i % 8, points_of(&x),
                         results.items[r].score);
            assert_true(x.label_len > 0 && x.word_count > 0);
        }
    }
}

static const geo_explain_word *word(const geo_explanation *x, const char *text)
{
    for (uint32_t i = 0; i < x->word_count; i++) {
        if (sx_str_eq(x->words[i].text, sx_str_z(text)))
            return &x->words[i];
    }
    fail_msg("'%s' is not among the words", text);
    return NULL;
}

static void test_an_explanation_says_by_what_means(void **state)
{
    static geo_explanation x;
    static geo_trace trace;
    sx_error err = {0};
    (void)state;
    trace = (geo_trace){0};
    geo_query q = {.text = SX_STR("34 bd ponyatowsky 75013 pariss vincennes"),
                   .better = GEO_BETTER_ALL,
                   .trace = &trace};
    assert_int_equal(geo_search(france, searcher, &q, &results, &err), SX_OK);
    assert_int_equal(geo_explain_result(france, searcher, &q, &results.items[0], &x, &err), SX_OK);
    assert_string_equal(word(&x, "34")->means, "house number");
    assert_string_equal(word(&x, "bd")->means, "synonym");
    assert_true(sx_str_eq(word(&x, "bd")->met, SX_STR("boulevard")));
    assert_string_equal(word(&x, "ponyatowsky")->means, "sound");
    assert_string_equal(word(&x, "75013")->means, "other postcode");
    assert_string_equal(word(&x, "vincennes")->means, "none");
    assert_true(x.by_words && trace.better_ran && trace.count > 0);
    assert_true(trace.phases_ns[GEO_PHASE_CANDIDATES] > 0 && trace.phases_ns[GEO_PHASE_BETTER] > 0);
}

/* ---- what may go wrong ---- */

static void test_no_room_is_an_error_and_the_next_search_works(void **state)
{
    sx_error err = {0};
    geo_query q = {.text = SX_STR("opera avenue 34 paris"), .better = GEO_BETTER_ALL};
    (void)state;
    for (int64_t nth = 1; nth <= 3; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        geo_searcher *s = geo_searcher_new(&err);
        sx_status status = s ? geo_search(france, s, &q, &results, &err) : SX_ENOMEM;
        assert_int_equal(status, nth <= 2 ? SX_ENOMEM : SX_OK);
        if (s)
            assert_int_equal(geo_search(france, s, &q, &results, &err), SX_OK);
        geo_searcher_free(s);
        assert_int_equal(sx_fault_alloc_held(), 0);
    }
    sx_fault_alloc_set((sx_fault_alloc){0});
}

static void test_hostile_queries_are_survived(void **state)
{
    char text[1000];
    static const char LETTERS[] = "aeilnorst bcdfghmpuvz 0123456789 '-é";
    sx_random dice;
    sx_error err = {0};
    (void)state;
    sx_random_seed(&dice, 7);
    for (int i = 0; i < 400; i++) {
        size_t len = sx_random_u64(&dice) % (i % 10 ? 60 : sizeof(text));
        for (size_t k = 0; k < len; k++)
            text[k] = LETTERS[sx_random_u64(&dice) % (sizeof(LETTERS) - 1)];
        geo_query q = {.text = sx_str_of(text, len),
                       .better = (uint32_t)(sx_random_u64(&dice) & GEO_BETTER_ALL),
                       .chars_max = GEO_QUERY_CHARS_LIMIT,
                       .autocomplete = i & 1};
        assert_int_equal(geo_search(france, searcher, &q, &results, &err), SX_OK);
        for (uint32_t r = 1; r < results.count; r++)
            assert_true(results.items[r - 1].score >= results.items[r].score);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_part_finds_what_it_is_for),
        cmocka_unit_test(test_a_wrong_postcode_costs_score_and_no_answer),
        cmocka_unit_test(test_a_good_answer_is_left_as_it_is),
        cmocka_unit_test(test_a_missing_house_number_lies_between_its_neighbours),
        cmocka_unit_test(test_its_own_side_of_the_street_is_preferred),
        cmocka_unit_test(test_the_automaton_finds_what_the_distance_says),
        cmocka_unit_test(test_edits_are_counted_up_to_a_bound),
        cmocka_unit_test(test_reverse_goes_any_distance),
        cmocka_unit_test(test_points_add_up_to_the_score),
        cmocka_unit_test(test_an_explanation_says_by_what_means),
        cmocka_unit_test(test_no_room_is_an_error_and_the_next_search_works),
        cmocka_unit_test(test_hostile_queries_are_survived),
    };
    return cmocka_run_group_tests(tests, open_france, close_france);
}

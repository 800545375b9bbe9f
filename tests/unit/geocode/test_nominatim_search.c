/* The search for words over the places of Andorra: readings of queries, limits, damage, typing errors. What is
 * expected is what Nominatim 5.3.3 answers on the same extract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/fault.h"
#include "geocode/nominatim/details.h"
#include "geocode/nominatim/lookup.h"
#include "geocode/nominatim/query.h"
#include "geocode/nominatim/search.h"
#include "geocode/nominatim/search_text.h"
#include "geocode/nominatim/words.h"
#include "geocode/nominatim/words_build.h"
#include "geocode/places/build.h"

static const char PHRASES[] = "type,phrase,operator,class,plural\n"
                              "hotel,Hotel,-,tourism,N\n"
                              "hotel,Hotels in,in,tourism,Y\n"
                              "administrative,Gemeinde,-,boundary,N\n"
                              "house,Haus,-,place,N\n"
                              "restaurant,\"Restaurant, near\",Near,amenity,N\n"
                              "broken\n";

typedef struct fixture {
    plc_writer *writer;
    plc_index ix;
    nom_index index;
    nom_words *words;
    nom_searcher *searcher;
    sx_arena arena;
} fixture;

static const char *data_path(char *out, size_t cap, const char *name)
{
    const char *root = getenv("SX_SOURCE_ROOT");
    (void)snprintf(out, cap, "%s/data/%s", root ? root : "..", name);
    return out;
}

static int set_up(void **state)
{
    static fixture f;
    char path[512];
    sx_error err = {0};
    osm_dataset *data;
    const char *paths[1] = {data_path(path, sizeof(path), "andorra.osm.pbf")};
    if (osm_dataset_open(NULL, paths, 1, &data, &err) != SX_OK) {
        print_message("%s\n", err.message);
        return -1;
    }
    plc_report report;
    plc_report_init(&report);
    f.writer = plc_writer_new(NULL, 0, &err);
    nom_phrases phrases;
    sx_arena_init(&f.arena, 0, 0);
    if (plc_build(data, NULL, f.writer, &report, &err) != SX_OK ||
        plc_writer_view(f.writer, &f.ix, &err) != SX_OK ||
        nom_phrases_read(sx_str_z(PHRASES), &f.arena, &phrases, &err) != SX_OK ||
        nom_words_build(&f.ix, &phrases, f.writer, &err) != SX_OK ||
        plc_writer_seal(f.writer, &err) != SX_OK ||
        plc_writer_view(f.writer, &f.ix, &err) != SX_OK) {
        print_message("%s\n", err.message);
        return -1;
    }
    plc_report_done(&report);
    osm_dataset_close(data);
    f.index.places = &f.ix;
    f.words = nom_words_open(&f.ix, &err);
    f.searcher = nom_searcher_new(&err);
    *state = &f;
    return f.words && f.searcher ? 0 : -1;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    nom_searcher_free(f->searcher);
    nom_words_close(f->words);
    plc_writer_free(f->writer);
    sx_arena_done(&f->arena);
    return 0;
}

static nom_hits search(fixture *f, const nom_search_query *q)
{
    static nom_locale locale;
    nom_hits hits;
    sx_error err = {0};
    nom_locale_init(&locale, sx_str_of("", 0));
    if (nom_search(&f->index, f->words, f->searcher, q, &locale, &f->arena, &hits, &err) != SX_OK)
        fail_msg("%s", err.message);
    return hits;
}

static sx_str name_of(const fixture *f, const nom_hits *hits, uint32_t i)
{
    const plc_disk_place *p = plc_place(&f->ix, hits->items[i].id);
    return plc_tag(&f->ix, p->tags, PLC_NAMES, SX_STR("name"));
}

static void assert_name(fixture *f, nom_search_query q, const char *name)
{
    q.dedupe = true;
    nom_hits hits = search(f, &q);
    assert_true(hits.count > 0);
    sx_str have = name_of(f, &hits, 0);
    if (!sx_str_eq(have, sx_str_z(name)))
        fail_msg("'%.*s' instead of '%s'", SX_ARG(have), name);
}

#define TEXT(literal) ((nom_search_query){.text = SX_STR(literal)})

static void test_names_are_found_in_any_order_and_spelling(void **state)
{
    assert_name(*state, TEXT("Encamp"), "Encamp");
    assert_name(*state, TEXT("  encamp,  ANDORRA "), "Encamp");
    assert_name(*state, TEXT("sant julia de loria"), "Sant Julià de Lòria");
    assert_name(*state, TEXT("Avinguda Carlemany, Escaldes-Engordany"), "Avinguda Carlemany");
    assert_name(*state, TEXT("Escaldes-Engordany, Av. Carlemany"), "Avinguda Carlemany");
}

static void test_a_country_that_is_not_in_the_data_is_known(void **state)
{
    fixture *f = *state;
    nom_hits hits = search(f, &TEXT("Liechtenstein"));
    assert_int_equal(hits.count, 1);
    assert_int_equal(hits.items[0].source, NOM_COUNTRY);
    assert_int_equal(hits.items[0].id, plc_country_of(SX_STR("li")));
}

static void test_postcodes_are_results(void **state)
{
    fixture *f = *state;
    nom_hits hits = search(f, &TEXT("AD500"));
    assert_true(hits.count >= 1);
    assert_int_equal(hits.items[0].source, NOM_POSTCODE);
}

static void test_phrases_find_categories(void **state)
{
    fixture *f = *state;
    nom_search_query q = TEXT("hotels in encamp");
    nom_hits hits = search(f, &q);
    assert_true(hits.count > 0);
    for (uint32_t i = 0; i < hits.count; i++)
        assert_true(sx_str_eq(plc_string(&f->ix, plc_place(&f->ix, hits.items[i].id)->type),
                              SX_STR("hotel")));
    q = TEXT("[tourism=hotel]");
    q.has_viewbox = q.bounded = true;
    q.viewbox = (geo_box){14454000, 424428000, 15454000, 425428000};
    assert_true(search(f, &q).count > 3);
    q.bounded = false; /* a category needs a place or an area */
    q.text = SX_STR("hotel");
    hits = search(f, &q);
    for (uint32_t i = 0; i < hits.count; i++)
        assert_true(sx_str_find(name_of(f, &hits, i), SX_STR("otel")) < name_of(f, &hits, i).len);
}

static void test_structured_queries_take_parts_as_they_are(void **state)
{
    assert_name(*state, (nom_search_query){.city = SX_STR("encamp")}, "Encamp");
    assert_name(
        *state,
        (nom_search_query){.street = SX_STR("avinguda carlemany"), .city = SX_STR("escaldes")},
        "Avinguda Carlemany");
    fixture *f = *state;
    nom_hits hits = search(f, &(nom_search_query){.street = SX_STR("encamp")});
    for (uint32_t i = 0; i < hits.count; i++)
        assert_true(plc_place(&f->ix, hits.items[i].id)->rank_address >= 26);
}

static void test_limits_filters_and_exclusions_hold(void **state)
{
    fixture *f = *state;
    nom_search_query q = TEXT("andorra");
    q.limit = 2;
    nom_hits hits = search(f, &q);
    assert_true(hits.count > 0 && hits.count <= 2);
    uint64_t first = nom_place_id(&hits.items[0]);
    q.excluded = &first;
    q.excluded_count = 1;
    hits = search(f, &q);
    for (uint32_t i = 0; i < hits.count; i++)
        assert_true(nom_place_id(&hits.items[i]) != first);
    uint16_t li = plc_country_of(SX_STR("li"));
    q = TEXT("encamp");
    q.countries = &li;
    q.country_count = 1;
    assert_int_equal(search(f, &q).count, 0);
    q = TEXT("encamp");
    q.rank_min = 26;
    q.rank_max = 5;
    assert_int_equal(search(f, &q).count, 0);
}

static void test_typing_errors_are_forgiven_only_if_asked(void **state)
{
    fixture *f = *state;
    nom_search_query q = TEXT("encmap");
    assert_int_equal(search(f, &q).count, 0);
    q.fuzzy = true;
    assert_name(f, q, "Encamp");
    q.text = SX_STR("escaldes engrodany");
    assert_name(f, q, "Escaldes-Engordany");
    q.text = SX_STR("encamp");
    assert_name(f, q, "Encamp");
}

static void test_guessing_takes_no_more_steps_than_allowed(void **state)
{
    nom_search_query q = TEXT("encmap");
    q.fuzzy = true;
    q.guess_steps = 3;
    assert_int_equal(search(*state, &q).count, 0);
}

/* The country's box reaches within a tenth of a degree of all these points, its shape only of the last. */
static void test_a_radius_is_measured_to_shapes(void **state)
{
    fixture *f = *state;
    assert_int_equal(search(f, &TEXT("Andorra 42.72,1.36")).count, 0);
    assert_int_equal(search(f, &TEXT("Andorra 42.34,1.66")).count, 0);
    assert_int_equal(search(f, &TEXT("Andorra 42.70,1.70")).count, 1);
}

static void test_an_unfinished_word_is_completed(void **state)
{
    nom_search_query q = TEXT("enca");
    q.autocomplete = true;
    assert_name(*state, q, "Encamp");
}

static void test_what_is_near_comes_first_if_wished(void **state)
{
    fixture *f = *state;
    nom_search_query q = TEXT("hotel");
    q.limit = 50;
    q.class_name = SX_STR("tourism");
    q.type = SX_STR("hotel");
    nom_hits hits = search(f, &q);
    assert_true(hits.count > 2);
    q.has_near = true;
    q.near = hits.items[hits.count - 1].at;
    geo_at wanted = q.near;
    hits = search(f, &q);
    assert_true(hits.count > 0);
    int64_t lon = (int64_t)hits.items[0].at.lon_e7 - wanted.lon_e7;
    int64_t lat = (int64_t)hits.items[0].at.lat_e7 - wanted.lat_e7;
    assert_true(llabs(lon) < 200000 && llabs(lat) < 200000);
}

static void test_coordinates_alone_are_a_reverse(void **state)
{
    fixture *f = *state;
    assert_int_equal(search(f, &TEXT("42.5063, 1.5218")).count, 1);
    assert_int_equal(search(f, &TEXT("N 42° 30.378' E 1° 31.308'")).count, 1);
}

static void test_nothing_to_search_for_is_an_error(void **state)
{
    fixture *f = *state;
    nom_locale locale;
    nom_hits hits;
    sx_error err = {0};
    nom_locale_init(&locale, sx_str_of("", 0));
    assert_int_equal(
        nom_search(&f->index, f->words, f->searcher, &TEXT("  "), &locale, &f->arena, &hits, &err),
        SX_EINVAL);
    static char endless[NOM_QUERY_BYTES_MAX + 1];
    memset(endless, 'a', sizeof(endless));
    nom_search_query q = {.text = sx_str_of(endless, sizeof(endless))};
    assert_int_equal(
        nom_search(&f->index, f->words, f->searcher, &q, &locale, &f->arena, &hits, &err),
        SX_ELIMIT);
}

static void test_hostile_queries_end(void **state)
{
    fixture *f = *state;
    static char words[NOM_QUERY_BYTES_MAX];
    static const char *const PIECES[] = {"de ", "12 ", "500 ", "andorra ", "la-", "a,", "hotel "};
    for (size_t p = 0; p < sizeof(PIECES) / sizeof(PIECES[0]); p++) {
        size_t len = strlen(PIECES[p]), total = 0;
        while (total + len < 400) {
            memcpy(words + total, PIECES[p], len);
            total += len;
        }
        nom_search_query q = {.text = sx_str_of(words, total), .fuzzy = true, .autocomplete = true};
        (void)search(f, &q);
    }
    (void)search(f, &TEXT("\xFF\xFE vaduz \xC3"));
    (void)search(f, &TEXT(",,,;;;---:::"));
}

static void test_without_memory_a_search_fails_cleanly(void **state)
{
    fixture *f = *state;
    nom_locale locale;
    nom_locale_init(&locale, sx_str_of("", 0));
    for (int64_t nth = 1; nth < 2000; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        nom_hits hits;
        sx_arena arena;
        sx_arena_init(&arena, 0, 0);
        nom_searcher *s = nom_searcher_new(NULL);
        sx_status status = SX_ENOMEM;
        if (s)
            status = nom_search(&f->index, f->words, s, &TEXT("hotel encamp, andorra"), &locale,
                                &arena, &hits, NULL);
        nom_searcher_free(s);
        sx_arena_done(&arena);
        bool hit = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (!hit) {
            assert_int_equal(status, SX_OK);
            return;
        }
    }
}

/* The answer of /details with keywords of a node. */
static sx_status keywords_of(fixture *f, const nom_words *w, int64_t node, sx_arena *arena,
                             sx_buf *out, sx_error *err)
{
    const nom_details_params p = {.ref = {.osm_kind = 0, .id = node}, .keywords = true};
    nom_locale locale;
    nom_hit hit;
    bool found = false;
    nom_locale_init(&locale, sx_str_of("", 0));
    sx_status status = nom_lookup(&f->index, &p.ref, arena, &hit, &found, err);
    sx_buf_clear(out);
    return status == SX_OK && found
               ? nom_print_details(&f->index, w, &hit, &p, NULL, &locale, arena, out, err)
               : status;
}

static void assert_token(sx_str part, const char *token)
{
    char member[128];
    (void)snprintf(member, sizeof(member), "\"token\":\"%s\"", token);
    if (sx_str_find(part, sx_str_z(member)) == part.len)
        fail_msg("no %s in %.*s", token, SX_ARG(part));
}

static void test_details_tell_the_words_of_a_place(void **state)
{
    fixture *f = *state;
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_int_equal(keywords_of(f, f->words, 899526084, &f->arena, &out, NULL), SX_OK);
    sx_str text = sx_buf_view(&out);
    size_t names = sx_str_find(text, SX_STR("\"keywords\":{\"name\":[{\"id\":"));
    size_t address = sx_str_find(text, SX_STR("],\"address\":[{\"id\":"));
    assert_true(names < address && address < text.len);
    sx_str part = sx_str_of(text.data + names, address - names);
    assert_token(part, "refugi de l illa");
    assert_token(part, "illa");
    part = sx_str_of(text.data + address, text.len - address);
    assert_token(part, "carrer del cortals"); /* its street, in each spelling */
    assert_token(part, "c del cortals");
    assert_token(part, "encamp");
    assert_int_equal(keywords_of(f, NULL, 899526084, &f->arena, &out, NULL), SX_OK);
    assert_true(sx_str_find(sx_buf_view(&out),
                            SX_STR("\"keywords\":{\"name\":[],\"address\":[]}")) < out.len);
    for (int64_t nth = 1;; nth++) {
        sx_arena arena;
        sx_arena_init(&arena, 0, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = keywords_of(f, f->words, 899526084, &arena, &out, NULL);
        bool hit = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        sx_arena_done(&arena);
        if (!hit) {
            assert_int_equal(status, SX_OK);
            break;
        }
        assert_true(status == SX_ENOMEM || status == SX_OK);
    }
    sx_buf_done(&out);
}

static void test_damaged_words_are_not_found_and_harm_nothing(void **state)
{
    fixture *f = *state;
    plc_index ix = f->ix;
    for (unsigned id = NOM_S_TERMS; id < NOM_S_END; id++) {
        plc_bytes kept = ix.s[id];
        uint8_t *copy = malloc(kept.bytes + 64);
        for (int seed = 1; copy && seed < 40; seed++) {
            memcpy(copy, kept.data, kept.bytes);
            for (uint64_t i = (uint64_t)seed; i < kept.bytes; i += 97u + (unsigned)seed)
                copy[i] ^= (uint8_t)(seed * 37 + (int)i);
            ix.s[id].data = copy;
            nom_words *w = nom_words_open(&ix, NULL);
            nom_index index = {.places = &ix};
            nom_locale locale;
            nom_hits hits;
            nom_locale_init(&locale, sx_str_of("", 0));
            sx_buf out;
            sx_buf_init(&out, 0);
            if (w) {
                (void)keywords_of(f, w, 899526084, &f->arena, &out, NULL);
                (void)nom_search(&index, w, f->searcher, &TEXT("avinguda carlemany, escaldes"),
                                 &locale, &f->arena, &hits, NULL);
            }
            sx_buf_done(&out);
            nom_words_close(w);
        }
        ix.s[id] = kept;
        free(copy);
    }
}

/* --- Parts that need no index. */

static void test_tokens_are_compared_as_difflib_does(void **state)
{
    (void)state;
    assert_float_equal(nom_match_penalty(SX_STR("vaduz"), SX_STR("vaduz")), 0, 1e-9);
    assert_float_equal(nom_match_penalty(SX_STR("vaduz"), SX_STR("vadus")), 0.2, 1e-9);
    assert_float_equal(nom_match_penalty(SX_STR("städtle"), SX_STR("staedtle")), 2.0 / 7, 1e-9);
    assert_float_equal(nom_match_penalty(SX_STR("strasse"), SX_STR("str")), 1.0 / 7, 1e-9);
    assert_float_equal(nom_match_penalty(SX_STR(""), SX_STR("str")), 0, 1e-9);
}

static void test_phrases_are_read_from_csv(void **state)
{
    (void)state;
    sx_arena arena;
    nom_phrases phrases;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(nom_phrases_read(sx_str_z(PHRASES), &arena, &phrases, &err), SX_OK);
    assert_int_equal(phrases.count, 3);
    assert_int_equal(phrases.items[1].op, NOM_OP_IN);
    assert_int_equal(phrases.items[2].op, NOM_OP_NEAR);
    assert_true(sx_str_eq(phrases.items[2].text, SX_STR("Restaurant, near")));
    assert_int_equal(nom_phrases_read(SX_STR("phrase,class\n"), &arena, &phrases, &err),
                     SX_EFORMAT);
    assert_int_equal(nom_phrases_read(SX_STR(""), &arena, &phrases, &err), SX_EFORMAT);
    for (size_t len = 0; len < sizeof(PHRASES); len++)
        (void)nom_phrases_read(sx_str_of(PHRASES, len), &arena, &phrases, &err);
    sx_arena_done(&arena);
}

typedef struct coordinate_case {
    const char *text, *left;
    double lat, lon;
} coordinate_case;

static const coordinate_case COORDINATES[] = {
    {"47.1 9.5", "", 47.1, 9.5},
    {"[-47.1, -9.5]", "", -47.1, -9.5},
    {"restaurant 47.1,9.5", "restaurant", 47.1, 9.5},
    {"47.1, 9.5 restaurant", "restaurant", 47.1, 9.5},
    {"N 47.5° W 9.5°", "", 47.5, -9.5},
    {"47.5 S, 9.5 E", "", -47.5, 9.5},
    {"N 47° 30.0' E 9° 15'", "", 47.5, 9.25},
    {"47° 30' 36\" N 9° 15' 0\" W", "", 47.51, -9.25},
    {"47 9", NULL, 0, 0},
    {"a 47.1 9.5 b", NULL, 0, 0},
    {"47.1.2 9.5", NULL, 0, 0},
    {"Haus 47.1", NULL, 0, 0},
};

static void test_coordinates_are_taken_out_of_texts(void **state)
{
    (void)state;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    for (size_t i = 0; i < sizeof(COORDINATES) / sizeof(COORDINATES[0]); i++) {
        const coordinate_case *c = &COORDINATES[i];
        sx_str text = sx_str_z(c->text);
        geo_pt p;
        bool found = nom_take_coordinates(&text, &arena, &p);
        if (found != (c->left != NULL))
            fail_msg("'%s': %d", c->text, found);
        if (!found)
            continue;
        assert_true(sx_str_eq(text, sx_str_z(c->left)));
        assert_float_equal(p.lat, c->lat, 1e-9);
        assert_float_equal(p.lon, c->lon, 1e-9);
    }
    sx_arena_done(&arena);
}

static void test_a_category_is_taken_out_of_a_text(void **state)
{
    (void)state;
    sx_arena arena;
    sx_str key, value, text = SX_STR("near [amenity=fast_food] Vaduz");
    sx_arena_init(&arena, 0, 0);
    assert_true(nom_take_category(&text, &arena, &key, &value));
    assert_true(sx_str_eq(text, SX_STR("near Vaduz")));
    assert_true(sx_str_eq(key, SX_STR("amenity")));
    assert_true(sx_str_eq(value, SX_STR("fast_food")));
    text = SX_STR("[amenity] [a=] [=b] [a=b c]");
    assert_false(nom_take_category(&text, &arena, &key, &value));
    sx_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_found_in_any_order_and_spelling),
        cmocka_unit_test(test_a_country_that_is_not_in_the_data_is_known),
        cmocka_unit_test(test_postcodes_are_results),
        cmocka_unit_test(test_phrases_find_categories),
        cmocka_unit_test(test_structured_queries_take_parts_as_they_are),
        cmocka_unit_test(test_limits_filters_and_exclusions_hold),
        cmocka_unit_test(test_typing_errors_are_forgiven_only_if_asked),
        cmocka_unit_test(test_guessing_takes_no_more_steps_than_allowed),
        cmocka_unit_test(test_a_radius_is_measured_to_shapes),
        cmocka_unit_test(test_an_unfinished_word_is_completed),
        cmocka_unit_test(test_what_is_near_comes_first_if_wished),
        cmocka_unit_test(test_coordinates_alone_are_a_reverse),
        cmocka_unit_test(test_nothing_to_search_for_is_an_error),
        cmocka_unit_test(test_hostile_queries_end),
        cmocka_unit_test(test_without_memory_a_search_fails_cleanly),
        cmocka_unit_test(test_details_tell_the_words_of_a_place),
        cmocka_unit_test(test_damaged_words_are_not_found_and_harm_nothing),
        cmocka_unit_test(test_tokens_are_compared_as_difflib_does),
        cmocka_unit_test(test_phrases_are_read_from_csv),
        cmocka_unit_test(test_coordinates_are_taken_out_of_texts),
        cmocka_unit_test(test_a_category_is_taken_out_of_a_text),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

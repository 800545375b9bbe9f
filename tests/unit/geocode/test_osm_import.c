/* test_osm_import.c - a made-up map through the whole import: what becomes of it for Addok's API, what the
 * index remembers, and what is left when memory fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "base/fault.h"
#include "fixture.h"
#include "geocode/import/places_docs.h"
#include "geocode/import/recipe.h"
#include "geocode/import/replication.h"
#include "geocode/index/index.h"

/* A village of three street pieces, two of one name; houses, one of two numbers, one with a shop of the
 * same number in it; an interpolation from 20 to 28; a hamlet. Near Vaduz, so that the rules are German. */
#define NODE(id, lat, lon, tags)                                                                   \
    "<node id='" #id "' version='1' lat='" #lat "' lon='" #lon "'>" tags "</node>"
#define TAG(key, value)    "<tag k='" key "' v='" value "'/>"
#define HOUSE(number, way) TAG("addr:housenumber", number) TAG("addr:street", way)

static const char MAP[] = "<?xml version='1.0'?><osm version='0.6'>" NODE(1, 47.1400, 9.5200, "")
    NODE(2, 47.1410, 9.5200, "") NODE(3, 47.1420, 9.5200, "") NODE(4, 47.1420, 9.5230, "") NODE(
        10, 47.1402, 9.5202,
        TAG("place", "village") TAG("name", "Dorf") TAG("name:en", "Thorp") TAG("name:ru", "Дорф")
            TAG("population", "3000")) NODE(11, 47.1500, 9.5300,
                                            TAG("place", "hamlet") TAG("name", "Weiler"))
        NODE(20, 47.1401, 9.5201, HOUSE("2;4", "Gasse") TAG("addr:postcode", "9490")) NODE(
            21, 47.1412,
            9.5201,
            HOUSE(
                "6 a",
                "Gasse")) NODE(22, 47.1413, 9.5201,
                               TAG("shop", "bakery") TAG("name", "Beck")
                                   HOUSE("6a", "Gasse"))
            NODE(30, 47.1421, 9.5205, HOUSE("20", "Weg")) NODE(
                31,
                47.1421,
                9.5225,
                HOUSE(
                    "28",
                    "Weg")) "<way id='100' version='1'><nd ref='1'/><nd ref='2'/>" TAG("highway",
                                                                                       "residential")
                TAG("name", "Gasse") TAG(
                    "alt_name",
                    "Alte Gasse;Dorfgasse") "</way>"
                                            "<way id='99' version='1'><nd ref='2'/><nd ref='3'/>" TAG(
                                                "highway", "residential")
                                                TAG("name",
                                                    "Gasse") "</way>"
                                                             "<way id='101' version='1'><nd ref='3'/><nd ref='4'/>" TAG(
                                                                 "highway", "residential")
                                                                 TAG("name",
                                                                     "Weg") "</way>"
                                                                            "<way id='102' version='1'><nd ref='30'/><nd ref='31'/>" TAG(
                                                                                "addr:interpolation",
                                                                                "even")
                                                                                TAG("addr:street",
                                                                                    "Weg") "</way></osm>";

static int clean(void **state)
{
    (void)state;
    fixture_clean();
    return 0;
}

static sx_status import_map(const char *output, const char *base, sx_error *err)
{
    char out[256], kept[256], map[256];
    (void)snprintf(out, sizeof(out), "%s", fixture_path(output));
    (void)snprintf(kept, sizeof(kept), "%s", fixture_path(base ? base : "none"));
    (void)snprintf(map, sizeof(map), "%s", fixture_write("map.osm", sx_str_z(MAP)));
    geo_import_input input = {.path = map};
    geo_import_options o = {.inputs = &input,
                            .input_count = 1,
                            .output = out,
                            .threads = 1,
                            .base = base ? kept : NULL};
    return geo_import(&o, NULL, err);
}

static geo_index *opened(const char *name)
{
    geo_index *ix;
    sx_error err = {0};
    if (geo_index_open(fixture_path(name), &ix, &err) != SX_OK)
        fail_msg("%s", err.message);
    assert_int_equal(geo_index_verify(ix, &err), SX_OK);
    return ix;
}

/* The document of an id. */
static uint32_t doc_of(const geo_index *ix, const char *id)
{
    geo_stat stat;
    geo_index_stat(ix, &stat);
    for (uint32_t d = 0; d < stat.documents; d++) {
        if (sx_str_eq(geo_index_string(ix, geo_doc(ix, d)->id), sx_str_z(id)))
            return d;
    }
    fail_msg("there is no document %s", id);
    return 0;
}

static void check_text(const geo_index *ix, uint32_t doc, const char *key, uint32_t at,
                       const char *text)
{
    geo_value value, item;
    if (!geo_doc_property(ix, doc, sx_str_z(key), &value)) {
        assert_null(text);
        return;
    }
    assert_true(geo_value_item(ix, &value, at, &item));
    if (!text || !sx_str_eq(item.text, sx_str_z(text)))
        fail_msg("%s is '%.*s'", key, SX_ARG(item.text));
}

static void test_pieces_of_a_street_are_joined(void **state)
{
    (void)state;
    assert_int_equal(import_map("a.idx", NULL, NULL), SX_OK);
    geo_index *ix = opened("a.idx");
    uint32_t gasse = doc_of(ix, "W99"); /* the least of both */
    const geo_disk_doc *d = geo_doc(ix, gasse);
    assert_int_equal(d->type, GEO_TYPE_STREET);
    assert_int_equal(d->flags, GEO_DOC_OF_PLACES);
    check_text(ix, gasse, "name", 0, "Gasse");
    check_text(ix, gasse, "city", 0, "Dorf");
    check_text(ix, gasse, "context", 0, "Liechtenstein");
    check_text(ix, gasse, "country", 0, "li");
    geo_value names;
    assert_true(geo_doc_property(ix, gasse, SX_STR("name"), &names));
    assert_int_equal(names.count, 3);
    geo_source source;
    assert_true(geo_index_source(ix, d->source, &source));
    assert_int_equal(source.language, GEO_LANGUAGE_GERMAN);
    assert_true(sx_str_eq(source.licence, SX_STR("ODbL-1.0")));
    geo_index_close(ix);
}

static void test_house_numbers_come_once(void **state)
{
    (void)state;
    geo_housenumber n;
    char text[64];
    assert_int_equal(import_map("a.idx", NULL, NULL), SX_OK);
    geo_index *ix = opened("a.idx");
    uint32_t gasse = doc_of(ix, "W99");
    assert_int_equal(geo_doc(ix, gasse)->number_count, 3);
    assert_true(geo_number_find(ix, gasse, 2, SX_STR(""), &n));
    assert_true(geo_number_find(ix, gasse, 4, SX_STR(""), &n));
    assert_true(geo_number_find(ix, gasse, 6, SX_STR("a"), &n));
    sx_str id = geo_number_id(ix, gasse, &n, text, sizeof(text));
    assert_true(sx_str_eq(id, SX_STR("N21"))); /* the house, not the shop in it */
    assert_int_equal(n.lat_e7, 471412000);
    geo_index_close(ix);
}

static void test_interpolations_are_numbers(void **state)
{
    (void)state;
    geo_housenumber n;
    assert_int_equal(import_map("a.idx", NULL, NULL), SX_OK);
    geo_index *ix = opened("a.idx");
    uint32_t weg = doc_of(ix, "W101");
    assert_int_equal(geo_doc(ix, weg)->number_count, 5); /* 20 and 28 are there, 22 to 26 between */
    assert_true(geo_number_find(ix, weg, 24, SX_STR(""), &n));
    assert_in_range(n.lon_e7, 95215000 - 10, 95215000 + 10);
    assert_false(geo_number_find(ix, weg, 23, SX_STR(""), &n));
    geo_index_close(ix);
}

static void test_places_have_their_names_and_types(void **state)
{
    (void)state;
    assert_int_equal(import_map("a.idx", NULL, NULL), SX_OK);
    geo_index *ix = opened("a.idx");
    uint32_t dorf = doc_of(ix, "N10"), weiler = doc_of(ix, "N11");
    assert_int_equal(geo_doc(ix, dorf)->type, GEO_TYPE_MUNICIPALITY);
    assert_int_equal(geo_doc(ix, weiler)->type, GEO_TYPE_LOCALITY);
    check_text(ix, dorf, "name", 0, "Dorf");
    geo_value names;
    assert_true(geo_doc_property(ix, dorf, SX_STR("name"), &names));
    assert_int_equal(names.count,
                     2); /* Дорф sounds like Dorf: the same word in Latin letters, or not */
    assert_true(geo_doc(ix, dorf)->importance > geo_doc(ix, weiler)->importance);
    geo_index_close(ix);
}

static void test_a_recipe_is_kept_with_a_base_alone(void **state)
{
    (void)state;
    sx_arena arena;
    geo_import_options o = {.input_count = 0};
    sx_error err = {0};
    sx_arena_init(&arena, 4096, 0);
    assert_int_equal(import_map("a.idx", NULL, NULL), SX_OK);
    geo_index *ix = opened("a.idx");
    assert_int_equal(geo_recipe_read(geo_index_recipe(ix), &arena, &o, &err), SX_ENOTFOUND);
    geo_index_close(ix);
    assert_int_equal(import_map("b.idx", "base.pbf", NULL), SX_OK);
    ix = opened("b.idx");
    sx_str recipe = geo_index_recipe(ix);
    assert_int_equal(geo_recipe_read(recipe, &arena, &o, &err), SX_OK);
    assert_int_equal(o.input_count, 1);
    assert_string_equal(o.inputs[0].path, o.base);
    assert_non_null(strstr(o.base, "/base.pbf"));
    for (size_t len = 1; len < recipe.len; len++)
        assert_int_equal(geo_recipe_read(sx_str_first(recipe, len), &arena, &o, &err), SX_ECORRUPT);
    geo_index_close(ix);
    sx_arena_done(&arena);
}

static void test_countries_have_their_rules(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        geo_language language;
    } ROWS[] = {
        {"li", GEO_LANGUAGE_GERMAN},  {"at", GEO_LANGUAGE_GERMAN}, {"fr", GEO_LANGUAGE_FRENCH},
        {"mc", GEO_LANGUAGE_FRENCH},  {"ht", GEO_LANGUAGE_FRENCH}, {"ad", GEO_LANGUAGE_SPANISH},
        {"gq", GEO_LANGUAGE_SPANISH}, {"ru", GEO_LANGUAGE_NONE},   {"", GEO_LANGUAGE_NONE}};
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
        assert_int_equal(geo_country_language(plc_country_of(sx_str_z(ROWS[i].code))),
                         ROWS[i].language);
}

/* The nth allocation fails, for every nth: an error, and the index of before. */
static void test_no_memory_is_an_error(void **state)
{
    (void)state;
    sx_error err = {0};
    assert_int_equal(import_map("m.idx", "m.pbf", &err), SX_OK);
    bool reached = true;
    for (int64_t nth = 1; reached; nth += 1 + nth / 20) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth, .and_after = true});
        sx_status status = import_map("m.idx", "m.pbf", &err);
        int64_t held = sx_fault_alloc_held();
        reached = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (status != (reached ? SX_ENOMEM : SX_OK) || held != 0)
            fail_msg("allocation %lld: %s: %s; %lld blocks held", (long long)nth,
                     sx_status_name(status), err.message, (long long)held);
        geo_index_close(opened("m.idx"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_pieces_of_a_street_are_joined, clean),
        cmocka_unit_test_teardown(test_house_numbers_come_once, clean),
        cmocka_unit_test_teardown(test_interpolations_are_numbers, clean),
        cmocka_unit_test_teardown(test_places_have_their_names_and_types, clean),
        cmocka_unit_test_teardown(test_a_recipe_is_kept_with_a_base_alone, clean),
        cmocka_unit_test_teardown(test_countries_have_their_rules, clean),
        cmocka_unit_test_teardown(test_no_memory_is_an_error, clean),
    };
    return cmocka_run_group_tests_name("osm_import", tests, NULL, NULL);
}

/* test_nominatim_answers.c - Nominatim's reverse, lookup and details in each format, over a town made of a
 * few objects. */
#include "osm_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "geocode/nominatim/details.h"
#include "geocode/nominatim/lookup.h"
#include "geocode/places/build.h"

/* A village with a street, a house and a building with an entrance, a museum in it; in Liechtenstein. */
static const char TOWN[] =
    "<osm version='0.6'>"
    "<node id='1' lat='47.1400' lon='9.5200' version='1'><tag k='place' v='village'/>"
    "<tag k='name' v='Oberdorf'/><tag k='name:fr' v='Village-Haut'/></node>"
    "<node id='2' lat='47.1400' lon='9.5210' version='1'/>"
    "<node id='3' lat='47.1400' lon='9.5220' version='1'/>"
    "<node id='5' lat='47.1401' lon='9.5212' version='1'><tag k='addr:housenumber' v='7a'/>"
    "<tag k='addr:street' v='Hauptgasse'/><tag k='addr:postcode' v='9490'/></node>"
    "<node id='6' lat='47.1404' lon='9.5214' version='1'><tag k='entrance' v='main'/></node>"
    "<node id='7' lat='47.1404' lon='9.5216' version='1'/>"
    "<node id='8' lat='47.1405' lon='9.5216' version='1'/>"
    "<way id='10' version='1'><nd ref='2'/><nd ref='3'/><tag k='highway' v='residential'/>"
    "<tag k='name' v='Hauptgasse'/></way>"
    "<way id='11' version='1'><nd ref='6'/><nd ref='7'/><nd ref='8'/><nd ref='6'/>"
    "<tag k='tourism' v='museum'/><tag k='name' v='Dorf &lt;Museum&gt;'/>"
    "<tag k='wheelchair' v='yes'/></way>"
    "</osm>";

typedef struct town {
    osm_dataset *data;
    plc_writer *writer;
    plc_index places;
    nom_index index;
    sx_arena arena;
    sx_buf out;
} town;

static int set_up(void **state)
{
    town *t = calloc(1, sizeof(*t));
    const char *path = osm_test_file(0, sx_str_z(TOWN));
    sx_error err = {0};
    plc_report report;
    plc_report_init(&report);
    t->writer = plc_writer_new(NULL, 0, &err);
    if (osm_dataset_open(NULL, &path, 1, &t->data, &err) != SX_OK || !t->writer ||
        plc_build(t->data, NULL, t->writer, &report, &err) != SX_OK ||
        plc_writer_view(t->writer, &t->places, &err) != SX_OK)
        fail_msg("%s", err.message);
    plc_report_done(&report);
    t->index = (nom_index){.places = &t->places};
    sx_arena_init(&t->arena, 0, 0);
    sx_buf_init(&t->out, 0);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    town *t = *state;
    sx_buf_done(&t->out);
    sx_arena_done(&t->arena);
    plc_writer_free(t->writer);
    osm_dataset_close(t->data);
    free(t);
    return 0;
}

static uint32_t count_of(sx_str text, const char *part)
{
    uint32_t count = 0;
    for (size_t at = 0; (at = sx_str_find(text, sx_str_z(part))) < text.len; count++)
        text = sx_str_from(text, at + 1);
    return count;
}

static void expect(sx_str answer, const char *part)
{
    if (count_of(answer, part) == 0)
        fail_msg("no %s in %.*s", part, SX_ARG(answer));
}

static sx_status print_in(town *t, sx_arena *arena, const nom_hit *hit, bool found, nom_print print)
{
    nom_locale locale;
    nom_answer answer;
    const nom_answer *answers[] = {&answer};
    sx_error err = {0};
    nom_locale_init(&locale, SX_STR("fr"));
    sx_status status = SX_OK;
    if (found)
        status = nom_answer_of(&t->index, hit, &locale, arena, &answer, &err);
    sx_buf_clear(&t->out);
    return status == SX_OK
               ? nom_print_answers(&t->index, answers, found, &print, arena, &t->out, &err)
               : status;
}

static sx_status reverse_in(town *t, sx_arena *arena, double lat, double lon, uint8_t rank,
                            nom_print print)
{
    nom_hit hit = {0};
    bool found;
    sx_error err = {0};
    const nom_reverse_query q = {.at = {lon, lat}, .rank_max = rank};
    sx_status status = nom_reverse_find(&t->places, &q, arena, &hit, &found, &err);
    print.single = true;
    return status == SX_OK ? print_in(t, arena, &hit, found, print) : status;
}

static sx_str reverse(town *t, double lat, double lon, uint8_t rank, nom_print print)
{
    assert_int_equal(reverse_in(t, &t->arena, lat, lon, rank, print), SX_OK);
    return sx_buf_view(&t->out);
}

static void the_house_of_the_nearest_street_is_the_answer(void **state)
{
    sx_str a = reverse(*state, 47.1400, 9.5212, 30,
                       (nom_print){.format = NOM_FORMAT_JSONV2, .address = true});
    expect(a, "\"osm_type\":\"node\",\"osm_id\":5,\"lat\":\"47.1401000\",\"lon\":\"9.5212000\","
              "\"category\":\"place\",\"type\":\"house\",\"place_rank\":30");
    expect(a, "\"addresstype\":\"place\",\"name\":\"\",\"display_name\":\"7a, Hauptgasse, "
              "Village-Haut, 9490, Liechtenstein\"");
    expect(a, "\"address\":{\"house_number\":\"7a\",\"road\":\"Hauptgasse\",\"village\":"
              "\"Village-Haut\",\"postcode\":\"9490\",\"country\":\"Liechtenstein\","
              "\"country_code\":\"li\"}");
    expect(a, "\"boundingbox\":[\"47.1400500\",\"47.1401500\",\"9.5211500\",\"9.5212500\"]}");
}

static void zoom_chooses_the_street_the_village_the_country(void **state)
{
    const nom_print json = {.format = NOM_FORMAT_JSON};
    expect(reverse(*state, 47.1400, 9.5212, nom_zoom_rank(17), json),
           "\"osm_type\":\"way\",\"osm_id\":10,\"lat\":\"47.1400000\",\"lon\":\"9.5212000\","
           "\"class\":\"highway\"");
    expect(reverse(*state, 47.1400, 9.5212, nom_zoom_rank(13), json), "\"osm_id\":1,");
    expect(reverse(*state, 47.1400, 9.5212, nom_zoom_rank(3), json),
           "\"type\":\"country\",\"place_rank\":4");
    expect(reverse(*state, 0, 0, 30, json), "{\"error\":\"Unable to geocode\"}");
}

static void each_format_has_its_members(void **state)
{
    const double LAT = 47.14042, LON = 9.52158;
    const nom_print all = {.address = true,
                           .names = true,
                           .extratags = true,
                           .entrances = true,
                           .query = SX_STR("a&b"),
                           .now_ms = 1600000000000};
    nom_print p = all;
    p.format = NOM_FORMAT_XML;
    sx_str a = reverse(*state, LAT, LON, 30, p);
    expect(a, "timestamp=\"Sun, 13 Sep 2020 12:26:40 +00:00\"");
    expect(a, "querystring=\"a&amp;b\"");
    expect(a, ">Dorf &lt;Museum&gt;, Hauptgasse, Village-Haut, 9490, Liechtenstein</result>");
    expect(a, "<addressparts><tourism>Dorf &lt;Museum&gt;</tourism><road>Hauptgasse</road>");
    expect(a, "<extratags><tag key=\"wheelchair\" value=\"yes\" /></extratags>");
    expect(a, "<namedetails><name desc=\"name\">Dorf &lt;Museum&gt;</name></namedetails>");
    expect(a, "<entrance osm_id=\"6\" type=\"main\" lat=\"47.1404000\" lon=\"9.5214000\">");
    p.format = NOM_FORMAT_GEOJSON;
    p.polygons = NOM_POLYGON_GEOJSON;
    a = reverse(*state, LAT, LON, 30, p);
    expect(a, "{\"type\":\"FeatureCollection\",\"licence\":");
    expect(a, "\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[9.5214,47.1404],");
    p.format = NOM_FORMAT_GEOCODEJSON;
    p.polygons = 0;
    a = reverse(*state, LAT, LON, 30, p);
    expect(a, "\"query\":\"a&b\"");
    expect(a, "\"geocoding\":{\"place_id\":");
    expect(a, "\"type\":\"house\",\"accuracy\":0,\"label\":\"Dorf <Museum>, Hauptgasse");
    p.format = NOM_FORMAT_JSON;
    p.polygons = NOM_POLYGON_TEXT;
    expect(reverse(*state, LAT, LON, 30, p), "\"geotext\":\"POLYGON((9.5214 47.1404,");
}

static void objects_are_found_by_their_ids(void **state)
{
    town *t = *state;
    nom_hit hit;
    bool found;
    sx_error err = {0};
    nom_ref ref = {.osm_kind = 1, .id = 11};
    assert_int_equal(nom_lookup(&t->index, &ref, &t->arena, &hit, &found, &err), SX_OK);
    assert_true(found && hit.source == NOM_PLACE);
    const nom_ref same = {.by_place_id = true, .id = (int64_t)nom_place_id(&hit)};
    nom_hit again;
    assert_int_equal(nom_lookup(&t->index, &same, &t->arena, &again, &found, &err), SX_OK);
    assert_true(found && again.id == hit.id);
    ref.class_name = SX_STR("building");
    assert_int_equal(nom_lookup(&t->index, &ref, &t->arena, &hit, &found, &err), SX_OK);
    assert_false(found);
    for (int64_t id = -9; id < 4000; id++) {
        const nom_ref any = {.by_place_id = true, .id = id};
        assert_int_equal(nom_lookup(&t->index, &any, &t->arena, &hit, &found, &err), SX_OK);
        if (found)
            assert_int_equal(print_in(t, &t->arena, &hit, true,
                                      (nom_print){.format = NOM_FORMAT_JSON, .address = true}),
                             SX_OK);
    }
}

static sx_status details_in(town *t, sx_arena *arena, const nom_details_params *p)
{
    nom_hit hit;
    bool found;
    nom_locale locale;
    sx_error err = {0};
    nom_locale_init(&locale, sx_str_of("", 0));
    sx_status status = nom_lookup(&t->index, &p->ref, arena, &hit, &found, &err);
    sx_buf_clear(&t->out);
    return status == SX_OK && found
               ? nom_print_details(&t->index, NULL, &hit, p, NULL, &locale, arena, &t->out, &err)
               : status;
}

static void details_tell_what_hangs_on_a_street(void **state)
{
    town *t = *state;
    nom_details_params p = {.ref = {.osm_kind = 1, .id = 10},
                            .address = true,
                            .hierarchy = true,
                            .group_hierarchy = true,
                            .geojson = true,
                            .entrances = true};
    assert_int_equal(details_in(t, &t->arena, &p), SX_OK);
    sx_str a = sx_buf_view(&t->out);
    expect(a, "\"osm_type\":\"W\",\"osm_id\":10,\"category\":\"highway\"");
    expect(a, "\"isarea\":false");
    expect(a,
           "\"geometry\":{\"type\":\"LineString\",\"coordinates\":[[9.521,47.14],[9.522,47.14]]}");
    expect(a, "\"address\":[{\"localname\":\"Hauptgasse\",\"place_id\":");
    expect(a, "\"hierarchy\":{");
    expect(a, "\"house\":[{\"localname\":\"7 a\",");
    expect(a, "\"museum\":[{\"localname\":\"Dorf <Museum>\",");
    expect(a, "\"entrances\":null}");
    p.group_hierarchy = false;
    assert_int_equal(details_in(t, &t->arena, &p), SX_OK);
    expect(sx_buf_view(&t->out), "\"hierarchy\":[{\"localname\":");
}

static void every_allocation_may_fail(void **state)
{
    town *t = *state;
    const nom_print print = {
        .format = NOM_FORMAT_JSON, .address = true, .extratags = true, .polygons = NOM_POLYGON_KML};
    const nom_details_params details = {.ref = {.osm_kind = 1, .id = 10},
                                        .address = true,
                                        .hierarchy = true,
                                        .group_hierarchy = true,
                                        .geojson = true};
    for (int round = 0; round < 2; round++) {
        sx_status status = SX_ENOMEM;
        for (int64_t nth = 1; status != SX_OK; nth++) {
            sx_arena arena;
            sx_arena_init(&arena, 256, 0);
            sx_buf_done(&t->out);
            sx_buf_init(&t->out, 0);
            sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
            status = round == 0 ? reverse_in(t, &arena, 47.14042, 9.52158, 30, print)
                                : details_in(t, &arena, &details);
            sx_fault_alloc_set((sx_fault_alloc){0});
            assert_true(status == SX_OK || status == SX_ENOMEM);
            assert_true(nth < 500);
            sx_arena_done(&arena);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(the_house_of_the_nearest_street_is_the_answer),
        TEST(zoom_chooses_the_street_the_village_the_country),
        TEST(each_format_has_its_members),
        TEST(objects_are_found_by_their_ids),
        TEST(details_tell_what_hangs_on_a_street),
        TEST(every_allocation_may_fail),
#undef TEST
    };
    return cmocka_run_group_tests_name("geocode/nominatim_answers", tests, NULL, NULL);
}

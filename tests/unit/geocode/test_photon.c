/* test_photon.c - Photon's reverse, its lists by category and its GeoJSON, over a town made of a few
 * objects. */
#include "osm_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "geocode/photon/photon.h"
#include "geocode/places/build.h"

/* A village with a street in two pieces, houses, a museum and a hotel; all in Liechtenstein. */
static const char TOWN[] =
    "<osm version='0.6'>"
    "<node id='1' lat='47.1400' lon='9.5200' version='1'><tag k='place' v='village'/>"
    "<tag k='name' v='Oberdorf'/><tag k='name:fr' v='Village-Haut'/></node>"
    "<node id='2' lat='47.1400' lon='9.5210' version='1'/>"
    "<node id='3' lat='47.1400' lon='9.5220' version='1'/>"
    "<node id='4' lat='47.1400' lon='9.5230' version='1'/>"
    "<node id='5' lat='47.1401' lon='9.5212' version='1'><tag k='addr:housenumber' v='7a'/>"
    "<tag k='addr:street' v='Hauptgasse'/><tag k='addr:postcode' v='9490'/></node>"
    "<node id='6' lat='47.1402' lon='9.5222' version='1'><tag k='tourism' v='museum'/>"
    "<tag k='name' v='Dorfmuseum'/></node>"
    "<node id='7' lat='47.1403' lon='9.5228' version='1'><tag k='tourism' v='hotel'/>"
    "<tag k='name' v='Adler'/></node>"
    "<way id='10' version='1'><nd ref='2'/><nd ref='3'/><tag k='highway' v='residential'/>"
    "<tag k='name' v='Hauptgasse'/></way>"
    "<way id='11' version='1'><nd ref='3'/><nd ref='4'/><tag k='highway' v='residential'/>"
    "<tag k='name' v='Hauptgasse'/></way>"
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

static sx_status ask_in(town *t, sx_arena *arena, photon_endpoint endpoint, const char *query)
{
    photon_query q;
    sx_str message;
    nom_locale locale;
    nom_hits hits;
    sx_error err = {0};
    sx_status status = photon_params_read(arena, sx_str_z(query), endpoint, &q, &message);
    if (status != SX_OK)
        return status;
    nom_locale_init(&locale, q.language);
    photon_asked asked = {.index = &t->index, .query = &q, .locale = &locale, .arena = arena};
    sx_buf_clear(&t->out);
    status = photon_find(&asked, &hits, &err);
    return status == SX_OK ? photon_write(&asked, &hits, &t->out, &err) : status;
}

static sx_str ask(town *t, photon_endpoint endpoint, const char *query)
{
    assert_int_equal(ask_in(t, &t->arena, endpoint, query), SX_OK);
    return sx_buf_view(&t->out);
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

static void the_nearest_middle_is_the_answer(void **state)
{
    sx_str a = ask(*state, PHOTON_REVERSE, "lat=47.1401&lon=9.5212");
    assert_int_equal(count_of(a, "\"Feature\""), 1);
    expect(a, "\"osm_type\":\"N\",\"osm_id\":5,\"osm_key\":\"place\",\"osm_value\":\"house\","
              "\"type\":\"house\",\"housenumber\":\"7a\",\"street\":\"Hauptgasse\"");
    expect(a, "\"country\":\"Liechtenstein\",\"postcode\":\"9490\",\"countrycode\":\"LI\"}");
    expect(a, "\"geometry\":{\"type\":\"Point\",\"coordinates\":[9.5212,47.1401]}");
    expect(a, "OpenStreetMap");
}

static void answers_are_sorted_by_distance_within_the_radius(void **state)
{
    sx_str a = ask(*state, PHOTON_REVERSE, "lat=47.1402&lon=9.5222&limit=50");
    size_t museum = sx_str_find(a, SX_STR("Dorfmuseum")), hotel = sx_str_find(a, SX_STR("Adler"));
    assert_true(museum < hotel && hotel < a.len);
    a = ask(*state, PHOTON_REVERSE, "lat=47.1402&lon=9.5222&limit=50&radius=0.01");
    assert_int_equal(count_of(a, "\"Feature\""), 1);
    a = ask(*state, PHOTON_REVERSE, "lat=10&lon=10&limit=50");
    assert_true(sx_str_eq(a, SX_STR("{\"type\":\"FeatureCollection\",\"features\":[]}")));
}

static void filters_hold_in_reverse(void **state)
{
    sx_str a = ask(*state, PHOTON_REVERSE, "lat=47.14&lon=9.52&limit=9&osm_tag=tourism");
    assert_int_equal(count_of(a, "\"Feature\""), 2);
    a = ask(*state, PHOTON_REVERSE, "lat=47.14&lon=9.52&limit=9&layer=street&dedupe=0");
    assert_int_equal(count_of(a, "Hauptgasse"), 2);
    a = ask(*state, PHOTON_REVERSE, "lat=47.14&lon=9.52&limit=9&layer=street");
    assert_int_equal(count_of(a, "Hauptgasse"), 1);
    expect(a, "\"type\":\"street\",\"name\":\"Hauptgasse\"");
    expect(a, "\"extent\":[9.52");
    a = ask(*state, PHOTON_REVERSE,
            "lat=47.14&lon=9.52&limit=9&query_string_filter=osm_key:tourism+AND+NOT+adler");
    assert_int_equal(count_of(a, "\"Feature\""), 1);
    expect(a, "Dorfmuseum");
}

static void categories_are_listed_without_words(void **state)
{
    sx_str a = ask(*state, PHOTON_API, "include=osm.tourism");
    assert_int_equal(count_of(a, "\"Feature\""), 2);
    a = ask(*state, PHOTON_API, "include=osm.tourism&lat=47.1403&lon=9.5228&zoom=18&limit=1");
    expect(a, "Adler");
    a = ask(*state, PHOTON_API, "include=osm.tourism&bbox=9.5221,47.14,9.5223,47.15");
    assert_int_equal(count_of(a, "\"Feature\""), 1);
    expect(a, "Dorfmuseum");
    a = ask(*state, PHOTON_API, "include=osm.tourism&countrycode=CH");
    assert_int_equal(count_of(a, "\"Feature\""), 0);
}

static void names_are_told_in_the_language_asked_for(void **state)
{
    sx_str a = ask(*state, PHOTON_API, "include=osm.place.village&lang=fr");
    expect(a, "\"name\":\"Village-Haut\"");
    a = ask(*state, PHOTON_API, "include=osm.place.village");
    expect(a, "\"name\":\"Oberdorf\"");
}

static void outlines_are_given_on_request(void **state)
{
    sx_str a = ask(*state, PHOTON_REVERSE, "lat=47.14&lon=9.5215&layer=street&geometry=1");
    expect(a, "\"LineString\"");
}

static void an_index_without_places_finds_nothing(void **state)
{
    town *t = *state;
    t->index.places = NULL;
    expect(ask(t, PHOTON_REVERSE, "lat=47.14&lon=9.52"), "\"features\":[]");
    expect(ask(t, PHOTON_API, "include=osm.tourism"), "\"features\":[]");
    expect(ask(t, PHOTON_API, "q=adler"), "\"features\":[]");
    t->index.places = &t->places;
}

static void memory_that_fails_is_told(void **state)
{
    town *t = *state;
    for (int64_t n = 1;; n++) {
        sx_arena small;
        sx_arena_init(&small, 64, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status status =
            ask_in(t, &small, PHOTON_REVERSE, "lat=47.14&lon=9.52&limit=9&geometry=1&lang=de");
        bool failed = sx_fault_alloc_calls() >= n;
        sx_fault_alloc_set((sx_fault_alloc){0});
        sx_arena_done(&small);
        sx_buf_done(&t->out);
        sx_buf_init(&t->out, 0);
        assert_int_equal(status, failed ? SX_ENOMEM : SX_OK);
        if (!failed)
            break;
    }
}

static void refusals_and_status_are_photons(void **state)
{
    town *t = *state;
    sx_buf_clear(&t->out);
    photon_write_refusal(SX_STR("no \"q\""), &t->out);
    expect(sx_buf_view(&t->out), "{\"message\":\"no \\\"q\\\"\"}");
    sx_buf_clear(&t->out);
    photon_write_status(1600000000000, SX_STR("1"), &t->out);
    expect(sx_buf_view(&t->out), "{\"status\":\"Ok\",\"import_date\":\"2020-09-13T12:26:40Z\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_middle_is_the_answer),
        cmocka_unit_test(answers_are_sorted_by_distance_within_the_radius),
        cmocka_unit_test(filters_hold_in_reverse),
        cmocka_unit_test(categories_are_listed_without_words),
        cmocka_unit_test(names_are_told_in_the_language_asked_for),
        cmocka_unit_test(outlines_are_given_on_request),
        cmocka_unit_test(an_index_without_places_finds_nothing),
        cmocka_unit_test(memory_that_fails_is_told),
        cmocka_unit_test(refusals_and_status_are_photons),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

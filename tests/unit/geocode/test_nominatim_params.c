/* test_nominatim_params.c - parameters of Nominatim's API: what is read, what is refused and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/fault.h"
#include "geocode/nominatim/params.h"
#include "geocode/text/form.h"

typedef struct fixture {
    sx_arena arena;
    nom_request request;
    nom_refusal refusal;
} fixture;

/* Takes "a=b&c=d" apart: the values of these tests need no decoding. */
static void read_request(fixture *f, const char *query)
{
    sx_str rest = sx_str_z(query), pair, name, value;
    f->request = (nom_request){0};
    f->refusal = (nom_refusal){0};
    for (bool more = rest.len > 0; more;) {
        more = sx_str_cut(rest, '&', &pair, &rest);
        if (!sx_str_cut(pair, '=', &name, &value))
            value = SX_STR("");
        nom_param p = nom_param_of(name);
        if (p < NOM_PARAMS)
            f->request.values[p] = value;
    }
}

static int set_up(void **state)
{
    static fixture f;
    sx_arena_init(&f.arena, 0, 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    sx_arena_done(&((fixture *)*state)->arena);
    return 0;
}

typedef enum endpoint { SEARCH, REVERSE, LOOKUP, DETAILS, STATUS, POLYGONS } endpoint;

static bool read_any(fixture *f, endpoint at, const char *query)
{
    union {
        nom_search_params search;
        nom_reverse_params reverse;
        nom_lookup_params lookup;
        nom_details_params details;
        bool json;
    } out;
    read_request(f, query);
    switch (at) {
    case SEARCH:
        return nom_search_read(&f->request, &f->arena, &out.search, &f->refusal);
    case REVERSE:
        return nom_reverse_read(&f->request, &out.reverse, &f->refusal);
    case LOOKUP:
        return nom_lookup_read(&f->request, NULL, &f->arena, &out.lookup, &f->refusal);
    case DETAILS:
        return nom_details_read(&f->request, &out.details, &f->refusal);
    case STATUS:
        return nom_status_read(&f->request, &out.json, &f->refusal);
    default:
        return nom_polygons_read(&f->request, &f->refusal);
    }
}

#define FORMATS  "Parameter 'format' must be one of: xml, geojson, geocodejson, json, jsonv2"
#define TOO_MANY "Too many polygon output options selected."
#define NOTHING  "Nothing to search for."

static void test_mistakes_are_told_in_the_peers_words_and_order(void **state)
{
    static const struct {
        endpoint at;
        const char *query;
        nom_error_form form;
        const char *message;
    } ROWS[] = {
        {REVERSE, "format=html&lat=x", NOM_ERROR_TEXT, FORMATS},
        {REVERSE, "format=", NOM_ERROR_TEXT, FORMATS},
        {REVERSE, "debug=1", NOM_ERROR_XML, "Debug output is not enabled on this server."},
        {REVERSE, "", NOM_ERROR_XML, "Parameter 'lon' missing."},
        {REVERSE, "lon=1", NOM_ERROR_XML, "Parameter 'lat' missing."},
        {REVERSE, "lon=&lat=x", NOM_ERROR_XML, "Parameter 'lon' must be a number."},
        {REVERSE, "lon=1&lat=inf&format=json", NOM_ERROR_JSON, "Parameter 'lat' must be a number."},
        {REVERSE, "lon=1&lat=1&polygon_kml=1&polygon_svg=1&zoom=x", NOM_ERROR_XML, TOO_MANY},
        {REVERSE, "lon=1&lat=1&polygon_threshold=a", NOM_ERROR_XML,
         "Parameter 'polygon_threshold' must be a number."},
        {REVERSE, "lon=1&lat=1&zoom=1.5&layer=x", NOM_ERROR_XML,
         "Parameter 'zoom' must be a number."},
        {REVERSE, "lon=1&lat=1&layer=poi,x", NOM_ERROR_XML,
         "Parameter 'layer' must be a comma-separated list of: address, poi, railway, natural, "
         "manmade"},
        {LOOKUP, "osm_ids=N1&format=text", NOM_ERROR_TEXT, FORMATS},
        {DETAILS, "format=xml", NOM_ERROR_TEXT, "Parameter 'format' must be one of: json"},
        {DETAILS, "", NOM_ERROR_JSON, "Missing ID parameter 'place_id' or 'osmtype'."},
        {DETAILS, "place_id=x", NOM_ERROR_JSON, "Parameter 'place_id' must be a number."},
        {DETAILS, "osmtype=N", NOM_ERROR_JSON, "Parameter 'osmid' missing."},
        {DETAILS, "osmtype=n&osmid=1", NOM_ERROR_JSON,
         "Parameter 'osmtype' must be one of: N, W, R"},
        {STATUS, "format=xml", NOM_ERROR_TEXT, "Parameter 'format' must be one of: text, json"},
        {POLYGONS, "days=x", NOM_ERROR_JSON, "Parameter 'days' must be a number."},
        {SEARCH, "", NOM_ERROR_JSON, NOTHING},
        {SEARCH, "city=", NOM_ERROR_JSON, NOTHING},
        {SEARCH, "q= ", NOM_ERROR_JSON, NOTHING},
        {SEARCH, "q=a&city=b", NOM_ERROR_JSON,
         "Structured query parameters(amenity, street, city, county, state, postalcode, country) "
         "cannot be used together with 'q' parameter."},
        {SEARCH, "q=a&limit=x&city=b", NOM_ERROR_JSON, "Parameter 'limit' must be a number."},
        {SEARCH, "q=a&exclude_place_ids=1,X2", NOM_ERROR_JSON, "Invalid exclude ID: X2"},
        {SEARCH, "q=a&viewbox=1,2,3", NOM_ERROR_JSON,
         "Bounding box parameter needs 4 coordinates."},
        {SEARCH, "q=a&viewbox=1,2,3,nan", NOM_ERROR_JSON,
         "Bounding box parameter needs to be numbers."},
        {SEARCH, "q=a&viewbox=200,2,300,4", NOM_ERROR_JSON,
         "Bounding box with invalid parameters."},
    };
    fixture *f = *state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        if (read_any(f, ROWS[i].at, ROWS[i].query))
            fail_msg("%s was taken", ROWS[i].query);
        assert_string_equal(f->refusal.message, ROWS[i].message);
        assert_int_equal(f->refusal.form, ROWS[i].form);
        assert_int_equal(f->refusal.status, 400);
    }
}

static void test_what_the_peer_takes_is_taken(void **state)
{
    static const struct {
        endpoint at;
        const char *query;
    } ROWS[] = {
        {SEARCH, "q="},
        {SEARCH, "q=&viewbox=x"},
        {SEARCH, "q=47.1,9.5&viewbox=x"}, /* a reverse: nobody looks at it */
        {SEARCH, "q=a&layer="},
        {SEARCH, "q=a&layer= , POI ,address"},
        {SEARCH, "q=a&featureType=village&layer=x"},
        {SEARCH, "q=a&polygon_geojson=1&polygon_kml=1&format=geojson"},
        {SEARCH, "q=[amenity=cafe]"},
        {SEARCH, "postalcode=1&countrycodes=x,yyy"},
        {REVERSE, "lat= 91&lon=1_0"},
        {LOOKUP, ""},
        {LOOKUP, "osm_ids=x,,N"},
        {DETAILS, "place_id=-5"},
        {STATUS, ""},
        {POLYGONS, ""},
    };
    fixture *f = *state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        if (!read_any(f, ROWS[i].at, ROWS[i].query))
            fail_msg("%s: %s", ROWS[i].query, f->refusal.message);
    }
}

static void test_a_search_is_read_whole(void **state)
{
    fixture *f = *state;
    nom_search_params p;
    read_request(f, "q=Bar&limit=99&dedupe=0&bounded=1&viewbox=9.6,47.2,9.4,47&countrycodes=LI,x,ch"
                    "&exclude_place_ids=17,N5, r6,0&featureType=settlement&polygon_text=1"
                    "&polygon_threshold=.5&addressdetails=yes&extratags=0");
    assert_true(nom_search_read(&f->request, &f->arena, &p, &f->refusal));
    assert_int_equal(p.query.limit, 50);
    assert_false(p.query.dedupe);
    assert_true(p.query.bounded && p.query.has_viewbox);
    assert_int_equal(p.query.viewbox.lon_min, 94000000);
    assert_int_equal(p.query.viewbox.lat_max, 472000000);
    assert_int_equal(p.query.country_count, 2);
    assert_int_equal(p.query.countries[1], plc_country_of(SX_STR("ch")));
    assert_true(sx_str_eq(p.countries, SX_STR("li,ch")));
    assert_int_equal(p.query.excluded_count, 1);
    assert_int_equal(p.query.excluded_object_count, 2);
    assert_true(p.query.excluded_objects[1] == plc_osm_object(2, 6));
    assert_int_equal(p.query.rank_min, 8);
    assert_int_equal(p.query.rank_max, 20);
    assert_int_equal(p.query.layers, NOM_LAYER_ADDRESS);
    assert_int_equal(p.output.polygons, NOM_POLYGON_TEXT);
    assert_true(p.output.threshold == .5 && p.output.address && !p.output.extratags);
    assert_int_equal(p.output.format, NOM_FORMAT_JSONV2);
}

static void test_fields_are_shown_in_one_line(void **state)
{
    fixture *f = *state;
    nom_search_params p;
    read_request(f, "country=LI&city=Vaduz&street=Am Schlossweg&county=");
    assert_true(nom_search_read(&f->request, &f->arena, &p, &f->refusal));
    assert_true(sx_str_eq(p.shown, SX_STR("Am Schlossweg, Vaduz, LI")));
}

static void test_a_lookup_has_a_limit(void **state)
{
    static const nom_limits TWO = {.lookup_max = 2};
    fixture *f = *state;
    nom_lookup_params p;
    read_request(f, "osm_ids=w1, N2,R,X3");
    assert_true(nom_lookup_read(&f->request, &TWO, &f->arena, &p, &f->refusal));
    assert_int_equal(p.count, 2);
    assert_int_equal(p.refs[0].osm_kind, 1);
    assert_int_equal(p.refs[1].id, 2);
    read_request(f, "osm_ids=w1,N2,R3");
    assert_false(nom_lookup_read(&f->request, &TWO, &f->arena, &p, &f->refusal));
    assert_string_equal(f->refusal.message, "Too many object IDs.");
}

static void test_points_beyond_the_globe_are_read_but_not_asked(void **state)
{
    static const char *const BEYOND[] = {"lat=91&lon=1", "lat=1&lon=-180.5", "lat=1e300&lon=0"};
    fixture *f = *state;
    nom_reverse_params p;
    for (size_t i = 0; i < SX_COUNT_OF(BEYOND); i++) {
        read_request(f, BEYOND[i]);
        assert_true(nom_reverse_read(&f->request, &p, &f->refusal));
        assert_false(p.on_globe);
    }
    read_request(f, "lat=90&lon=-180&zoom=-3");
    assert_true(nom_reverse_read(&f->request, &p, &f->refusal));
    assert_true(p.on_globe);
    assert_int_equal(p.query.rank_max, 2);
}

static void test_callbacks_are_identifiers(void **state)
{
    static const char *const GOOD[] = {"f", "_", "a.b.c1", "größe", "名"};
    static const char *const BAD[] = {
        "", ".", "a.", "1a", "a-b", "a b", "f()", "a\xE2\x80\xA8", "a\xFF", "$"};
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(GOOD); i++)
        assert_true(nom_callback_valid(sx_str_z(GOOD[i])));
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++)
        assert_false(nom_callback_valid(sx_str_z(BAD[i])));
}

static void test_long_messages_are_cut_between_characters(void **state)
{
    char text[400];
    nom_refusal r;
    (void)state;
    for (size_t i = 0; i < sizeof(text) - 1; i += 2)
        memcpy(text + i, "é", 2);
    text[sizeof(text) - 2] = '\0';
    assert_false(nom_refuse(&r, 400, "%s", text));
    assert_int_equal(strlen(r.message), 254);
}

static void test_every_allocation_may_fail(void **state)
{
    static const char QUERY[] = "street=a&city=b&countrycodes=li&exclude_place_ids=1,N2";
    fixture *f = *state;
    for (int64_t nth = 1; nth < 20; nth++) {
        sx_arena_done(&f->arena);
        sx_arena_init(&f->arena, 16, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        bool read = read_any(f, SEARCH, QUERY);
        bool failed = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(read != failed);
        if (read)
            return;
        assert_int_equal(f->refusal.status, 500);
    }
    fail_msg("it never ends");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_mistakes_are_told_in_the_peers_words_and_order),
        TEST(test_what_the_peer_takes_is_taken),
        TEST(test_a_search_is_read_whole),
        TEST(test_fields_are_shown_in_one_line),
        TEST(test_a_lookup_has_a_limit),
        TEST(test_points_beyond_the_globe_are_read_but_not_asked),
        TEST(test_callbacks_are_identifiers),
        TEST(test_long_messages_are_cut_between_characters),
        TEST(test_every_allocation_may_fail),
#undef TEST
    };
    return cmocka_run_group_tests_name("geocode/nominatim_params", tests, NULL, NULL);
}

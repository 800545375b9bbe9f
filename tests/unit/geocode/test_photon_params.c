/* test_photon_params.c - Photon's parameters, good and bad, and what its filters let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "geocode/photon/params.h"
#include "geocode/places/places.h"

static sx_arena arena;
static photon_query query;
static sx_str message;

static int begin(void **state)
{
    (void)state;
    sx_arena_init(&arena, 0, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    sx_arena_done(&arena);
    return 0;
}

static void accept_query(photon_endpoint endpoint, const char *text)
{
    sx_status status = photon_params_read(&arena, sx_str_z(text), endpoint, &query, &message);
    if (status != SX_OK)
        fail_msg("'%s' is refused: %.*s", text, SX_ARG(message));
}

static void refuse_query(photon_endpoint endpoint, const char *text, const char *why)
{
    sx_status status = photon_params_read(&arena, sx_str_z(text), endpoint, &query, &message);
    if (status != SX_EINVAL || sx_str_find(message, sx_str_z(why)) >= message.len)
        fail_msg("'%s': status %d, %.*s, not %s", text, status, SX_ARG(message), why);
}

static void test_what_is_not_given_has_photons_defaults(void **state)
{
    (void)state;
    accept_query(PHOTON_API, "q=+berlin+");
    assert_true(sx_str_eq(query.q, SX_STR("berlin")));
    assert_int_equal(query.limit, 15);
    assert_true(query.dedupe && query.fuzzy && !query.geometry && !query.has_point);
    assert_int_equal(query.zoom, 12);
    assert_true(query.bias == 0.4 && query.language.len == 0);
    accept_query(PHOTON_REVERSE, "lat=47.1&lon=9.5");
    assert_true(query.limit == 1 && query.radius_km == 1 && query.by_distance);
}

static void test_numbers_are_held_within_bounds(void **state)
{
    (void)state;
    accept_query(PHOTON_API, "q=a&limit=0&zoom=99&location_bias_scale=7&lat=-90&lon=180");
    assert_true(query.limit == 1 && query.zoom == 18 && query.bias == 1 && query.has_point);
    accept_query(PHOTON_API, "q=a&limit=1000&zoom=-3&location_bias_scale=-1");
    assert_true(query.limit == PHOTON_LIMIT_MAX && query.zoom == 0 && query.bias == 0);
}

static void test_flags_and_filters(void **state)
{
    (void)state;
    accept_query(PHOTON_API, "q=a&dedupe=0&geometry=Yes&fuzzy=false&debug=1&suggest_addresses=1&"
                             "layer=house&layer=city&countrycode=LI&countrycode=ch&"
                             "bbox=9.6,47.3,9.4,47.0&osm_tag=tourism:museum&include=osm.a.b,osm.c&"
                             "exclude=osm.d.e");
    assert_true(!query.dedupe && query.geometry && !query.fuzzy && query.debug);
    const photon_wanted *w = &query.wanted;
    assert_int_equal(w->layers, 1u << PHOTON_LAYER_house | 1u << PHOTON_LAYER_city);
    assert_int_equal(w->country_count, 2);
    assert_int_equal(w->countries[0], plc_country_of(SX_STR("li")));
    assert_true(w->has_box && w->box.lon_min == 94000000 && w->box.lat_max == 473000000);
    assert_true(w->tag_count == 1 && w->category_count == 2 && w->categories[1].exclude);
}

static void test_what_is_wrong_is_said(void **state)
{
    static const struct {
        photon_endpoint endpoint;
        const char *query, *why;
    } CASES[] = {
        {PHOTON_API, "", "q parameter is required"},
        {PHOTON_API, "debug=1", "q parameter is required"},
        {PHOTON_API, "q=%20&exclude=osm.a", "q parameter is required"},
        {PHOTON_API, "q=a&bogus=thing",
         "Unknown query parameter 'bogus'.  Allowed parameters are: ["},
        {PHOTON_API, "q=a&radius=1", "Unknown query parameter 'radius'"},
        {PHOTON_API, "q=a&limit=NaN", "'limit'"},
        {PHOTON_API, "q=a&zoom=", "'zoom'"},
        {PHOTON_API, "q=a&lat=47", "Missing parameter 'lon'."},
        {PHOTON_API, "q=a&lon=47", "Missing parameter 'lat'."},
        {PHOTON_API, "q=a&lat=91&lon=1", "Invalid value for 'lat' parameter."},
        {PHOTON_API, "q=a&lat=9&lon=-180.1", "Invalid value for 'lon' parameter."},
        {PHOTON_API, "q=a&lat=NaN&lon=1", "Invalid value for 'lat' parameter."},
        {PHOTON_API, "q=a&location_bias_scale=bad", "'location_bias_scale'"},
        {PHOTON_API, "q=a&location_bias_scale=NaN", "'location_bias_scale'"},
        {PHOTON_API, "q=a&lang=e", "Language is not supported"},
        {PHOTON_API, "q=a&lang=de%20en", "Language is not supported"},
        {PHOTON_API, "q=a&layer=suburb", "Unknown layer type. Available layers: [house, street"},
        {PHOTON_API, "q=a&osm_tag=bad:bad:bad", "'osm_tag'"},
        {PHOTON_API, "q=a&osm_tag=!", "'osm_tag'"},
        {PHOTON_API, "q=a&include=abc", "Invalid category pattern in 'include'."},
        {PHOTON_API, "q=a&include=4+5.6", "Invalid category pattern in 'include'."},
        {PHOTON_API, "q=a&exclude=ab..23", "Invalid category pattern in 'exclude'."},
        {PHOTON_API, "q=a&include=a.b,!c.d", "Invalid category pattern"},
        {PHOTON_API, "q=a&include=a.b,c", "Invalid category pattern"},
        {PHOTON_API, "q=a&bbox=1,2,3", "Invalid number of supplied coordinates"},
        {PHOTON_API, "q=a&bbox=1,2,3,4,5", "Invalid number of supplied coordinates"},
        {PHOTON_API, "q=a&bbox=1,2,3,x", "Invalid number of supplied coordinates"},
        {PHOTON_API, "q=a&bbox=1,2,3,91", "Invalid bounds for parameter 'bbox'"},
        {PHOTON_API, "q=a&bbox=NaN,2,3,4", "Invalid"},
        {PHOTON_API, "q=a&countrycode=deu", "'countrycode'"},
        {PHOTON_STRUCTURED, "limit=1", "at least one of the parameters [countrycode, state, "},
        {PHOTON_STRUCTURED, "q=a", "Unknown query parameter 'q'"},
        {PHOTON_REVERSE, "", "'lat' and 'lon'"},
        {PHOTON_REVERSE, "lat=1", "Missing parameter 'lon'."},
        {PHOTON_REVERSE, "lat=1&lon=bad", "'lon'"},
        {PHOTON_REVERSE, "lat=1&lon=1&radius=0.0", "'radius'"},
        {PHOTON_REVERSE, "lat=1&lon=1&radius=-10", "'radius'"},
        {PHOTON_REVERSE, "lat=1&lon=1&radius=5001", "'radius'"},
        {PHOTON_REVERSE, "lat=1&lon=1&radius=NaN", "'radius'"},
        {PHOTON_REVERSE, "lat=1&lon=1&zoom=3", "Unknown query parameter 'zoom'"},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++)
        refuse_query(CASES[i].endpoint, CASES[i].query, CASES[i].why);
}

static void test_filters_are_bounded(void **state)
{
    (void)state;
    static const char *const EACH[] = {"&osm_tag=a", "&include=osm.a", "&countrycode=li"};
    for (size_t k = 0; k < SX_COUNT_OF(EACH); k++) {
        char text[2000] = "q=a";
        for (int i = 0; i < 65; i++)
            memcpy(text + strlen(text), EACH[k], strlen(EACH[k]) + 1);
        refuse_query(PHOTON_API, text, "Too many");
    }
}

static bool wanted(const char *text, const char *key, const char *value)
{
    accept_query(PHOTON_API, text);
    return photon_tag_wanted(&query.wanted, sx_str_z(key), sx_str_z(value));
}

static void test_tags_include_and_exclude(void **state)
{
    (void)state;
    assert_true(wanted("q=a&osm_tag=tourism:museum", "tourism", "museum"));
    assert_false(wanted("q=a&osm_tag=tourism:museum", "tourism", "hotel"));
    assert_true(wanted("q=a&osm_tag=tourism", "tourism", "hotel"));
    assert_true(wanted("q=a&osm_tag=:hotel", "tourism", "hotel"));
    assert_false(wanted("q=a&osm_tag=:hotel", "hotel", "x"));
    assert_false(wanted("q=a&osm_tag=!tourism", "tourism", "hotel"));
    assert_true(wanted("q=a&osm_tag=!tourism", "place", "city"));
    assert_false(wanted("q=a&osm_tag=!tourism:hotel", "tourism", "hotel"));
    assert_true(wanted("q=a&osm_tag=!tourism:hotel", "tourism", "museum"));
    assert_false(wanted("q=a&osm_tag=:!hotel", "tourism", "hotel"));
    assert_true(wanted("q=a&osm_tag=tourism:!hotel", "tourism", "museum"));
    assert_false(wanted("q=a&osm_tag=tourism:!hotel", "tourism", "hotel"));
    assert_false(wanted("q=a&osm_tag=tourism:!hotel", "place", "city"));
    /* Several: any of the wanted, none of the unwanted. */
    assert_true(wanted("q=a&osm_tag=place&osm_tag=tourism", "tourism", "hotel"));
    assert_false(wanted("q=a&osm_tag=tourism&osm_tag=!:hotel", "tourism", "hotel"));
}

static void test_categories_are_a_hierarchy(void **state)
{
    (void)state;
    assert_true(wanted("include=osm.tourism", "tourism", "museum"));
    assert_true(wanted("include=osm.tourism.museum,osm.place", "place", "city"));
    assert_false(wanted("include=osm.tourism.museum", "tourism", "hotel"));
    assert_false(wanted("include=other.tourism", "tourism", "hotel"));
    /* Each include has to hold; an exclude holds only if all in it do. */
    assert_false(wanted("include=osm.tourism&include=osm.tourism.hotel", "tourism", "museum"));
    assert_false(wanted("q=a&exclude=osm.tourism", "tourism", "museum"));
    assert_true(wanted("q=a&exclude=osm.tourism,osm.place", "tourism", "museum"));
    assert_false(wanted("q=a&exclude=osm.tourism,osm.tourism.museum", "tourism", "museum"));
    /* What is no label is place.yes. */
    assert_true(wanted("include=osm.place.yes", "shop", "a;b"));
}

static void test_layers_follow_ranks(void **state)
{
    (void)state;
    static const photon_layer LAYERS[] = {
        [0] = PHOTON_LAYER_other,     [3] = PHOTON_LAYER_other,   [4] = PHOTON_LAYER_country,
        [5] = PHOTON_LAYER_state,     [9] = PHOTON_LAYER_state,   [12] = PHOTON_LAYER_county,
        [13] = PHOTON_LAYER_city,     [16] = PHOTON_LAYER_city,   [20] = PHOTON_LAYER_district,
        [25] = PHOTON_LAYER_locality, [26] = PHOTON_LAYER_street, [28] = PHOTON_LAYER_street,
        [30] = PHOTON_LAYER_house};
    static const unsigned RANKS[] = {0, 3, 4, 5, 9, 12, 13, 16, 20, 25, 26, 28, 30};
    for (size_t i = 0; i < SX_COUNT_OF(RANKS); i++)
        assert_int_equal(photon_layer_of(RANKS[i]), LAYERS[RANKS[i]]);
    assert_int_equal(photon_layer_of(31), PHOTON_LAYER_other);
}

static void test_memory_that_fails_is_told(void **state)
{
    (void)state;
    for (int64_t n = 1;; n++) {
        sx_arena small;
        sx_arena_init(&small, 64, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status status = photon_params_read(&small, SX_STR("q=a%20b&lang=de&osm_tag=a:b&bogus=1"),
                                              PHOTON_API, &query, &message);
        bool failed = sx_fault_alloc_calls() >= n;
        sx_fault_alloc_set((sx_fault_alloc){0});
        sx_arena_done(&small);
        assert_int_equal(status, failed ? SX_ENOMEM : SX_EINVAL);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_given_has_photons_defaults),
        cmocka_unit_test(test_numbers_are_held_within_bounds),
        cmocka_unit_test(test_flags_and_filters),
        cmocka_unit_test(test_what_is_wrong_is_said),
        cmocka_unit_test(test_filters_are_bounded),
        cmocka_unit_test(test_tags_include_and_exclude),
        cmocka_unit_test(test_categories_are_a_hierarchy),
        cmocka_unit_test(test_layers_follow_ranks),
        cmocka_unit_test(test_memory_that_fails_is_told),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

/* test_reverse.c - nearest and boxed points beside a linear scan over all of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "geocode/index/reader.h"
#include "geocode/reverse/reverse.h"
#include <sextant/random.h>

/* Seeded by each test, so that a failure comes again. */
static sx_random dice;

static int roll(void)
{
    return (int)(sx_random_u64(&dice) >> 33);
}

static geo_index *france;

static int open_france(void **state)
{
    (void)state;
    sx_error err = {0};
    if (geo_index_open(fixture_france(), &france, &err) != SX_OK)
        fail_msg("%s", err.message);
    return 0;
}

static int close_france(void **state)
{
    (void)state;
    geo_index_close(france);
    fixture_clean();
    return 0;
}

static const geo_disk_point *points(const geo_index *ix, uint64_t *count)
{
    *count = ix->s[GEO_S_POINTS].count;
    return (const geo_disk_point *)(const void *)ix->s[GEO_S_POINTS].data;
}

/* The nearest representative of any document, by linear scan. */
static double nearest_m(const geo_index *ix, double lat, double lon)
{
    uint64_t count;
    const geo_disk_point *p = points(ix, &count);
    double best = INFINITY;
    for (uint64_t i = 0; i < count; i++) {
        bool numbers = geo_doc(ix, p[i].doc)->number_count > 0;
        if (numbers != (p[i].number != GEO_NO_NUMBER))
            continue;
        best = fmin(best, geo_distance_m(lat, lon, p[i].lat_e7 / 1e7, p[i].lon_e7 / 1e7));
    }
    return best;
}

static void test_the_nearest_agrees_with_a_linear_scan(void **state)
{
    (void)state;
    geo_results out;
    sx_error err;
    sx_random_seed(&dice, 5);
    for (int i = 0; i < 200; i++) {
        double lat = i % 2 ? 48.80 + roll() % 12000 / 1e5 : roll() % 18000 / 100.0 - 90;
        double lon = i % 2 ? 2.25 + roll() % 17000 / 1e5 : roll() % 36000 / 100.0 - 180;
        geo_reverse_query q = {.lat = lat, .lon = lon, .limit = 1 + (uint32_t)(i % 7)};
        assert_int_equal(geo_reverse(france, &q, &out, &err), SX_OK);
        assert_int_equal(out.count, q.limit);
        assert_true(fabs(out.items[0].distance_m - nearest_m(france, lat, lon)) < 1e-6);
        for (uint32_t k = 1; k < out.count; k++) {
            assert_true(out.items[k - 1].distance_m <= out.items[k].distance_m);
            for (uint32_t before = 0; before < k; before++)
                assert_int_not_equal(out.items[k].doc, out.items[before].doc);
        }
    }
}

static void test_house_numbers_stand_for_their_street(void **state)
{
    (void)state;
    geo_results out;
    sx_error err;
    char label[GEO_LABEL_BYTES_MAX];
    geo_reverse_query q = {.lat = 48.8687, .lon = 2.3304};
    assert_int_equal(geo_reverse(france, &q, &out, &err), SX_OK);
    assert_true(sx_str_eq(geo_result_label(france, &out.items[0], label),
                          SX_STR("3 Rue de la Paix 75002 Paris")));
    assert_true(fabs(out.items[0].score - 0.9999999936232009) < 1e-12);
    const geo_filter street = {SX_STR("type"), SX_STR("street")};
    q.filters = &street;
    q.filter_count = 1;
    assert_int_equal(geo_reverse(france, &q, &out, &err), SX_OK);
    assert_true(sx_str_eq(geo_result_label(france, &out.items[0], label),
                          SX_STR("Rue des Capucines 75001 Paris")));
    const geo_filter none = {SX_STR("type"), SX_STR("city")};
    q.filters = &none;
    assert_int_equal(geo_reverse(france, &q, &out, &err), SX_OK);
    assert_int_equal(out.count, 0);
}

static void test_a_distance_limit_holds(void **state)
{
    (void)state;
    geo_results out;
    sx_error err;
    geo_reverse_query q = {.lat = 48.8687, .lon = 2.3304, .limit = 100, .within_m = 100};
    assert_int_equal(geo_reverse(france, &q, &out, &err), SX_OK);
    assert_true(out.count > 1 && out.count < 100);
    assert_true(out.items[out.count - 1].distance_m <= 100);
    q.lat = 0.5;
    q.lon = 0.5;
    assert_int_equal(geo_reverse(france, &q, &out, &err), SX_OK);
    assert_int_equal(out.count, 0);
}

/* A village with nothing around it: found from its own cell and two rings, not from the third. */
static void test_addoks_cells_reach_two_rings(void **state)
{
    (void)state;
    static const double CELL = 360.0 / (1 << 18); /* of seven letters; as high as it is wide */
    geo_results out;
    sx_error err;
    for (int ring = 0; ring < 4; ring++) {
        geo_reverse_query q = {.lat = 49.696 + ring * CELL,
                               .lon = 2.343 - ring * CELL,
                               .limit = 5,
                               .within_m = GEO_REVERSE_CELLS};
        assert_int_equal(geo_reverse(france, &q, &out, &err), SX_OK);
        assert_int_equal(out.count, ring < 3);
    }
    /* In a town the cells hold several; each at its nearest house number, nearest first. */
    geo_reverse_query q = {
        .lat = 48.8687, .lon = 2.3304, .limit = 100, .within_m = GEO_REVERSE_CELLS};
    assert_int_equal(geo_reverse(france, &q, &out, &err), SX_OK);
    assert_true(out.count > 3 && out.count < 100);
    for (uint32_t i = 1; i < out.count; i++)
        assert_true(out.items[i].distance_m >= out.items[i - 1].distance_m);
}

static void test_points_off_the_earth_are_refused(void **state)
{
    (void)state;
    geo_results out;
    sx_error err;
    static const double BAD[][2] = {{91, 0}, {0, 181}, {NAN, 0}, {0, NAN}, {INFINITY, 0}};
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++) {
        geo_reverse_query q = {.lat = BAD[i][0], .lon = BAD[i][1]};
        assert_int_equal(geo_reverse(france, &q, &out, &err), SX_EINVAL);
    }
    geo_reverse_query pole = {.lat = 90, .lon = 180};
    assert_int_equal(geo_reverse(france, &pole, &out, &err), SX_OK);
    assert_int_equal(out.count, 1);
}

static void test_the_date_line_is_no_wall(void **state)
{
    (void)state;
    geo_results out;
    sx_error err;
    geo_index *tiny = fixture_open("tiny.geo", sx_str_z(TINY));
    geo_reverse_query q = {.lat = -16.8, .lon = 179.999};
    assert_int_equal(geo_reverse(tiny, &q, &out, &err), SX_OK);
    assert_true(out.items[0].distance_m < 1500); /* the house is at -179.99 */
    geo_index_close(tiny);
}

static bool count_point(void *context, const geo_box_point *p)
{
    const geo_degree_box *box = ((void **)context)[0];
    uint32_t *seen = ((void **)context)[1];
    assert_true(p->lat_e7 >= box->lat_min * 1e7 - 1 && p->lat_e7 <= box->lat_max * 1e7 + 1);
    ++*seen;
    return true;
}

static void test_boxes_agree_with_a_linear_scan(void **state)
{
    (void)state;
    static const geo_degree_box BOXES[] = {
        {2.33, 48.86, 2.34, 48.87}, {-180, -90, 180, 90}, {2.3, 48.8, 2.3, 48.8},
        {10, 10, 20, 20},           {-5, 42, 8, 51},
    };
    sx_error err;
    for (size_t i = 0; i < SX_COUNT_OF(BOXES); i++) {
        geo_degree_box box = BOXES[i];
        uint32_t seen = 0, total = 0, expected = 0;
        void *context[] = {&box, &seen};
        uint64_t count;
        const geo_disk_point *p = points(france, &count);
        for (uint64_t k = 0; k < count; k++)
            expected += p[k].lon_e7 >= llround(box.lon_min * 1e7) &&
                        p[k].lon_e7 <= llround(box.lon_max * 1e7) &&
                        p[k].lat_e7 >= llround(box.lat_min * 1e7) &&
                        p[k].lat_e7 <= llround(box.lat_max * 1e7);
        assert_int_equal(geo_points_in_box(france, &box, GEO_BOX_ALL, UINT32_MAX, count_point,
                                           context, &total, &err),
                         SX_OK);
        assert_int_equal(seen, expected);
        assert_int_equal(total, expected);
        seen = 0;
        assert_int_equal(geo_points_in_box(france, &box, GEO_BOX_DOCUMENTS, 10, count_point,
                                           context, &total, &err),
                         SX_OK);
        assert_true(seen <= 10);
    }
    geo_degree_box bad = {0, 2, 1, 1};
    assert_int_equal(geo_points_in_box(france, &bad, GEO_BOX_ALL, 1, count_point, NULL, NULL, &err),
                     SX_EINVAL);
}

static void test_a_box_may_cross_the_date_line(void **state)
{
    (void)state;
    sx_error err;
    geo_index *tiny = fixture_open("tiny.geo", sx_str_z(TINY));
    geo_degree_box box = {179, -20, -179, -10};
    uint32_t seen = 0;
    void *context[] = {&box, &seen};
    assert_int_equal(
        geo_points_in_box(tiny, &box, GEO_BOX_ALL, 100, count_point, context, NULL, &err), SX_OK);
    assert_int_equal(seen, 2);
    geo_index_close(tiny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_nearest_agrees_with_a_linear_scan),
        cmocka_unit_test(test_house_numbers_stand_for_their_street),
        cmocka_unit_test(test_a_distance_limit_holds),
        cmocka_unit_test(test_addoks_cells_reach_two_rings),
        cmocka_unit_test(test_points_off_the_earth_are_refused),
        cmocka_unit_test(test_the_date_line_is_no_wall),
        cmocka_unit_test(test_boxes_agree_with_a_linear_scan),
        cmocka_unit_test(test_a_box_may_cross_the_date_line),
    };
    return cmocka_run_group_tests(tests, open_france, close_france);
}

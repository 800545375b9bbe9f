/* geometry_rings.c - areas and lines out of ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "geocode/geometry/measure.h"
#include "geocode/geometry/rings.h"

enum { WAYS_MAX = 32, POINTS_MAX = 64 };

/* Ways written as "0,0 4,0 4,4; 4,4 0,4 0,0" (lon,lat in units of 1e-7 degree). */
typedef struct drawing {
    geo_at at[WAYS_MAX][POINTS_MAX];
    int64_t nodes[WAYS_MAX][POINTS_MAX];
    geo_way ways[WAYS_MAX];
    uint32_t count;
} drawing;

static void draw(drawing *d, const char *text)
{
    int lon, lat, used;
    memset(d, 0, sizeof *d);
    geo_way *w = &d->ways[0];
    d->count = 1;
    for (;; text++) {
        if (*text == ';' || *text == '\0') {
            *w =
                (geo_way){(int64_t)d->count, d->at[d->count - 1], d->nodes[d->count - 1], w->count};
            if (*text == '\0')
                return;
            w = &d->ways[d->count++];
        } else if (sscanf(text, " %d,%d%n", &lon, &lat, &used) == 2) {
            d->at[d->count - 1][w->count] = (geo_at){lon, lat};
            d->nodes[d->count - 1][w->count++] = 1000LL * lon + lat;
            text += used - 1;
        }
    }
}

/* A shape as "(0,0 4,0 4,4 0,0)(-...)": inner rings with a minus. */
static const char *show(const geo_shape *s)
{
    static char text[4096];
    size_t n = 0;
    for (uint32_t i = 0; i < s->ring_count; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, s->rings[i].inner ? "(-" : "(");
        for (uint32_t k = 0; k < s->rings[i].count; k++)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%d,%d", k ? " " : "",
                                  s->rings[i].at[k].lon_e7, s->rings[i].at[k].lat_e7);
        n += (size_t)snprintf(text + n, sizeof text - n, ")");
    }
    return text;
}

typedef struct fixture {
    sx_arena arena;
    drawing drawing;
    geo_shape shape;
    geo_ring_report report;
    sx_error err;
} fixture;

static int start(void **state)
{
    static fixture f;
    memset(&f, 0, sizeof f);
    sx_arena_init(&f.arena, 0, 0);
    *state = &f;
    return 0;
}

static int stop(void **state)
{
    sx_arena_done(&((fixture *)*state)->arena);
    return 0;
}

static sx_status area_of(fixture *f, const char *text, double close_gap)
{
    geo_ring_options o = {.close_gap = close_gap};
    draw(&f->drawing, text);
    return geo_rings_area(f->drawing.ways, f->drawing.count, &o, &f->arena, &f->shape, &f->report,
                          &f->err);
}

static void check_area(fixture *f, const char *text, geo_shape_kind kind, const char *expected)
{
    if (area_of(f, text, 0) != SX_OK)
        fail_msg("%s: %s", text, f->err.message);
    assert_string_equal(show(&f->shape), expected);
    assert_int_equal(f->shape.kind, kind);
    assert_int_equal(f->report.cause, GEO_RINGS_SOUND);
    assert_int_equal(geo_shape_check(&f->shape, &f->err), SX_OK);
}

static void test_ways_join_at_their_ends_whatever_their_order_and_direction(void **state)
{
    fixture *f = *state;
    check_area(f, "4,0 4,4; 0,0 0,4; 4,4 0,4; 0,0 4,0", GEO_SHAPE_POLYGON, "(0,0 4,0 4,4 0,4 0,0)");
}

static void test_a_ring_inside_is_a_hole_and_one_inside_that_an_island(void **state)
{
    fixture *f = *state;
    check_area(f, "0,0 9,0 9,9 0,9 0,0; 1,1 8,1 8,8 1,8 1,1; 2,2 7,2 7,7 2,7 2,2",
               GEO_SHAPE_MULTI_POLYGON,
               "(0,0 9,0 9,9 0,9 0,0)(-1,1 1,8 8,8 8,1 1,1)(2,2 7,2 7,7 2,7 2,2)");
}

static void test_areas_that_share_an_edge_merge(void **state)
{
    fixture *f = *state;
    check_area(f, "0,0 4,0 4,4 0,4 0,0; 4,0 8,0 8,4 4,4 4,0", GEO_SHAPE_POLYGON,
               "(0,0 4,0 8,0 8,4 4,4 0,4 0,0)");
    assert_int_equal(f->report.twins, 1);
}

static void test_inner_rings_that_share_an_edge_become_one_hole(void **state)
{
    fixture *f = *state;
    check_area(f, "0,0 9,0 9,9 0,9 0,0; 1,1 3,1 3,3 1,3 1,1; 3,1 5,1 5,3 3,3 3,1",
               GEO_SHAPE_POLYGON, "(0,0 9,0 9,9 0,9 0,0)(-1,1 1,3 3,3 5,3 5,1 3,1 1,1)");
}

static void test_outer_rings_that_touch_in_a_point_stay_two(void **state)
{
    fixture *f = *state;
    check_area(f, "0,0 4,0 4,4 0,4 0,0; 4,4 8,4 8,8 4,8 4,4", GEO_SHAPE_MULTI_POLYGON,
               "(4,4 0,4 0,0 4,0 4,4)(4,4 8,4 8,8 4,8 4,4)");
    assert_int_equal(f->report.touching, 1);
}

static void test_a_hole_may_touch_its_outer_ring_in_a_point(void **state)
{
    fixture *f = *state;
    check_area(f, "0,0 8,0 8,8 0,8 0,0; 0,0 4,2 2,4 0,0", GEO_SHAPE_POLYGON,
               "(0,0 8,0 8,8 0,8 0,0)(-0,0 2,4 4,2 0,0)");
    check_area(f, "0,0 8,0 8,8 0,8 0,0; 8,8 4,6 6,4 8,8", GEO_SHAPE_POLYGON,
               "(8,8 0,8 0,0 8,0 8,8)(-8,8 6,4 4,6 8,8)");
}

static void test_a_hole_belongs_to_the_nearest_ring_around_it(void **state)
{
    fixture *f = *state;
    check_area(f,
               "0,0 20,0 20,20 0,20 0,0; 1,1 19,1 19,19 1,19 1,1;"
               "2,2 18,2 18,18 2,18 2,2; 5,9 6,9 6,10 5,10 5,9; 9,9 10,9 10,10 9,10 9,9;"
               "30,0 34,0 34,4 30,4 30,0; 31,1 32,1 32,2 31,2 31,1",
               GEO_SHAPE_MULTI_POLYGON,
               "(0,0 20,0 20,20 0,20 0,0)(-1,1 1,19 19,19 19,1 1,1)(2,2 18,2 18,18 2,18 2,2)"
               "(-5,9 5,10 6,10 6,9 5,9)(-9,9 9,10 10,10 10,9 9,9)"
               "(30,0 34,0 34,4 30,4 30,0)(-31,1 31,2 32,2 32,1 31,1)");
}

static void test_a_gap_is_reported_and_closed_only_if_narrow(void **state)
{
    fixture *f = *state;
    const char *text = "0,0 100,0 100,100 0,100 0,3";
    assert_int_equal(area_of(f, text, 0), SX_ENOTFOUND);
    assert_int_equal(f->report.cause, GEO_RINGS_OPEN);
    assert_int_equal(f->report.open_ends, 2);
    assert_int_equal(f->report.faults[0].way_at, 1);
    assert_int_equal(f->report.faults[0].node_to, 3);
    assert_true(f->report.faults[0].gap > 2.9e-7 && f->report.faults[0].gap < 3.1e-7);
    assert_non_null(strstr(f->err.message, "ring not closed"));
    assert_int_equal(area_of(f, text, 2e-7), SX_ENOTFOUND);
    assert_int_equal(area_of(f, text, 4e-7), SX_OK);
    assert_string_equal(show(&f->shape), "(0,0 100,0 100,100 0,100 0,3 0,0)");
    assert_true(f->report.faults[0].closed);
    assert_int_equal(f->report.cause, GEO_RINGS_SOUND);
}

static void test_what_crosses_or_touches_without_a_node_is_no_area(void **state)
{
    fixture *f = *state;
    const char *const crossing[] = {
        "0,0 4,4 4,0 0,4 0,0",                        /* a bow */
        "0,0 8,0 8,8 0,8 0,0; 4,0 6,4 2,4 4,0",       /* a corner on an edge */
        "0,0 8,0 8,8 0,8 0,0; 2,0 6,0 6,4 2,4 2,0",   /* edges overlap */
        "0,0 8,0 8,8 0,8 0,0; 4,4 12,4 12,6 4,6 4,4", /* two areas overlap */
    };
    for (size_t i = 0; i < SX_COUNT_OF(crossing); i++) {
        assert_int_equal(area_of(f, crossing[i], 0), SX_ENOTFOUND);
        assert_int_equal(f->report.cause, GEO_RINGS_CROSSING);
        assert_true(f->report.crossings > 0);
    }
}

static void test_nothing_left_is_no_area(void **state)
{
    fixture *f = *state;
    const char *const empty[] = {"", "1,1", "1,1 1,1", "0,0 4,0; 4,0 0,0",
                                 "0,0 4,0 4,4 0,0; 0,0 4,0 4,4 0,0"};
    for (size_t i = 0; i < SX_COUNT_OF(empty); i++) {
        assert_int_equal(area_of(f, empty[i], 0), SX_ENOTFOUND);
        assert_int_equal(f->report.cause, GEO_RINGS_EMPTY);
    }
    /* Overlaps from common ends have no extent. */
    assert_int_equal(area_of(f, "0,0 4,0 8,0 0,0", 0), SX_ENOTFOUND);
}

static void test_a_closed_way_is_a_polygon_if_it_can_be(void **state)
{
    fixture *f = *state;
    draw(&f->drawing, "0,0 0,4 4,4 4,0 0,0");
    assert_int_equal(geo_way_shape(f->drawing.ways, &f->arena, &f->shape, NULL, &f->err), SX_OK);
    assert_int_equal(f->shape.kind, GEO_SHAPE_POLYGON);
    draw(&f->drawing, "0,0 4,4 4,0 0,4 0,0");
    assert_int_equal(geo_way_shape(f->drawing.ways, &f->arena, &f->shape, &f->report, &f->err),
                     SX_OK);
    assert_int_equal(f->shape.kind, GEO_SHAPE_LINE);
    assert_int_equal(f->report.cause, GEO_RINGS_CROSSING);
    draw(&f->drawing, "1,1 1,1");
    assert_int_equal(geo_way_shape(f->drawing.ways, &f->arena, &f->shape, NULL, &f->err),
                     SX_ENOTFOUND);
}

static void check_line(fixture *f, const char *text, geo_shape_kind kind, const char *expected)
{
    draw(&f->drawing, text);
    assert_int_equal(
        geo_ways_line(f->drawing.ways, f->drawing.count, &f->arena, &f->shape, &f->err), SX_OK);
    assert_string_equal(show(&f->shape), expected);
    assert_int_equal(f->shape.kind, kind);
}

static void test_ways_of_a_line_join(void **state)
{
    fixture *f = *state;
    check_line(f, "0,0 1,0", GEO_SHAPE_LINE, "(0,0 1,0)");
    check_line(f, "0,0 1,0; 2,0 1,0; 2,0 3,0 3,0", GEO_SHAPE_MULTI_LINE, "(0,0 1,0 2,0 3,0)");
    check_line(f, "0,0 1,0; 5,5 6,6", GEO_SHAPE_MULTI_LINE, "(0,0 1,0)(5,5 6,6)");
    /* Of three that meet the first two join. */
    check_line(f, "0,0 1,0; 1,0 2,0; 1,0 1,1", GEO_SHAPE_MULTI_LINE, "(0,0 1,0 2,0)(1,0 1,1)");
    /* Round. */
    check_line(f, "0,0 1,0; 1,0 1,1; 1,1 0,0", GEO_SHAPE_MULTI_LINE, "(0,0 1,0 1,1 0,0)");
}

static void test_lack_of_memory_is_an_error(void **state)
{
    fixture *f = *state;
    const char *text = "0,0 8,0 8,8 0,8 0,0; 0,0 4,2 2,4 0,0; 9,9 9,12 12,9 9,9";
    for (int64_t nth = 1; nth < 100; nth++) {
        sx_arena_reset(&f->arena);
        sx_arena_done(&f->arena);
        sx_arena_init(&f->arena, 16, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = area_of(f, text, 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (st == SX_OK) {
            assert_true(nth > 3);
            return;
        }
        assert_int_equal(st, SX_ENOMEM);
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_ways_join_at_their_ends_whatever_their_order_and_direction, start, stop),
        cmocka_unit_test_setup_teardown(test_a_ring_inside_is_a_hole_and_one_inside_that_an_island,
                                        start, stop),
        cmocka_unit_test_setup_teardown(test_areas_that_share_an_edge_merge, start, stop),
        cmocka_unit_test_setup_teardown(test_inner_rings_that_share_an_edge_become_one_hole, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_outer_rings_that_touch_in_a_point_stay_two, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_a_hole_may_touch_its_outer_ring_in_a_point, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_a_hole_belongs_to_the_nearest_ring_around_it, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_a_gap_is_reported_and_closed_only_if_narrow, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_what_crosses_or_touches_without_a_node_is_no_area,
                                        start, stop),
        cmocka_unit_test_setup_teardown(test_nothing_left_is_no_area, start, stop),
        cmocka_unit_test_setup_teardown(test_a_closed_way_is_a_polygon_if_it_can_be, start, stop),
        cmocka_unit_test_setup_teardown(test_ways_of_a_line_join, start, stop),
        cmocka_unit_test_setup_teardown(test_lack_of_memory_is_an_error, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

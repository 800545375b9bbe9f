/* geometry_measure.c - sizes, points, distances and relations of shapes whose answers are known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "geocode/geometry/measure.h"
#include "geocode/geometry/relate.h"
#include "geocode/geometry/simplify.h"

#define D(x) ((x) * GEO_E7)

/* A square of 4 degrees with a hole of 2 in its middle. */
static const geo_at OUTER[] = {{0, 0}, {D(4), 0}, {D(4), D(4)}, {0, D(4)}, {0, 0}};
static const geo_at HOLE[] = {{D(1), D(1)}, {D(1), D(3)}, {D(3), D(3)}, {D(3), D(1)}, {D(1), D(1)}};
static const geo_at FAR[] = {{D(10), 0}, {D(12), 0}, {D(12), D(1)}, {D(10), D(1)}, {D(10), 0}};
static const geo_at BEND[] = {{0, 0}, {D(3), 0}, {D(3), D(1)}};
static const geo_ring RINGS[] = {{OUTER, 5, false}, {HOLE, 5, true}, {FAR, 5, false}};
static const geo_ring HOLE_RING[] = {{HOLE, 5, false}};
static const geo_ring BEND_PART[] = {{BEND, 3, false}};
static const geo_shape FRAME = {GEO_SHAPE_POLYGON, RINGS, 2};
static const geo_shape BOTH = {GEO_SHAPE_MULTI_POLYGON, RINGS, 3};
static const geo_shape FILL = {GEO_SHAPE_POLYGON, HOLE_RING, 1};
static const geo_shape SOLID = {GEO_SHAPE_POLYGON, RINGS, 1};
static const geo_shape LINE = {GEO_SHAPE_LINE, BEND_PART, 1};

static void assert_near(double a, double b)
{
    if (fabs(a - b) > 1e-12)
        fail_msg("%.17g is not %.17g", a, b);
}

static void test_sizes(void **state)
{
    (void)state;
    assert_near(geo_shape_area(&FRAME), 12);
    assert_near(geo_shape_area(&BOTH), 14);
    assert_near(geo_shape_length(&LINE), 4);
    assert_near(geo_shape_length(&FRAME), 0);
    geo_box box = geo_shape_box(&BOTH);
    assert_int_equal(box.lon_max, D(12));
    assert_int_equal(box.lat_max, D(4));
    assert_near(geo_box_distance(box, (geo_pt){15, 8}), 5);
    box = geo_box_expand(box, 0.5);
    assert_int_equal(box.lon_min, -GEO_E7 / 2);
}

static void test_points_for_a_shape(void **state)
{
    (void)state;
    geo_pt p;
    sx_error err;
    geo_at center;
    p = geo_shape_centroid(&FRAME);
    assert_near(p.lon, 2);
    assert_near(p.lat, 2);
    p = geo_shape_centroid(&LINE);
    assert_near(p.lon, (1.5 * 3 + 3) / 4);
    /* The level lies between the vertices next to the middle; of two equal stretches the first. */
    assert_int_equal(geo_shape_inside_point(&FRAME, &p, &err), SX_OK);
    assert_near(p.lon, 0.5);
    assert_near(p.lat, 2);
    /* The widest stretch of all parts. */
    assert_int_equal(geo_shape_inside_point(&BOTH, &p, &err), SX_OK);
    assert_near(p.lon, 11);
    assert_near(p.lat, 0.5);
    assert_int_equal(geo_shape_center(&LINE, &center, &err), SX_OK);
    assert_int_equal(center.lon_e7, D(2));
    assert_int_equal(center.lat_e7, 0);
    const geo_shape multi = {GEO_SHAPE_MULTI_LINE, BEND_PART, 1};
    assert_int_equal(geo_shape_center(&multi, &center, &err), SX_OK);
    assert_int_equal(center.lon_e7, D(3));
}

static void test_along_a_line(void **state)
{
    (void)state;
    geo_at at[4];
    geo_pt p = geo_line_point(BEND_PART, 0.875);
    assert_near(p.lon, 3);
    assert_near(p.lat, 0.5);
    assert_near(geo_line_fraction(BEND_PART, (geo_pt){2, -5}), 0.5);
    assert_near(geo_line_fraction(BEND_PART, (geo_pt){9, 9}), 1);
    assert_int_equal(geo_line_part(BEND_PART, 0.5, 0.875, at), 3);
    assert_int_equal(at[0].lon_e7, D(2));
    assert_int_equal(at[2].lat_e7, GEO_E7 / 2);
    assert_int_equal(geo_line_part(BEND_PART, 0.5, 0.5, at), 1);
}

/* Every way to ask the same question gives the same answer. */
static void check_side(const geo_shape *shape, geo_pt p, geo_side side, double distance)
{
    sx_buf out;
    sx_error err;
    geo_area *area;
    geo_pt nearest = {0, 0};
    sx_buf_init(&out, 0);
    geo_shape_encode(shape, &out);
    assert_int_equal(geo_area_new(shape, &area, &err), SX_OK);
    assert_int_equal(geo_shape_side(shape, p), side);
    assert_int_equal(geo_bytes_side(sx_buf_view(&out), p), side);
    assert_int_equal(geo_area_side(area, p), side);
    assert_near(geo_shape_distance(shape, p, &nearest), distance);
    assert_near(hypot(nearest.lon - p.lon, nearest.lat - p.lat), distance);
    assert_near(geo_bytes_distance(sx_buf_view(&out), p, INFINITY, &nearest), distance);
    assert_near(geo_bytes_distance(sx_buf_view(&out), p, distance, &nearest), distance);
    if (distance > 0)
        assert_true(geo_bytes_distance(sx_buf_view(&out), p, distance / 2, NULL) > distance / 2);
    geo_area_free(area);
    sx_buf_done(&out);
}

static void test_where_a_point_is(void **state)
{
    (void)state;
    check_side(&BOTH, (geo_pt){0.5, 0.5}, GEO_SIDE_IN, 0);
    check_side(&BOTH, (geo_pt){0.5, 1}, GEO_SIDE_IN, 0); /* level with vertices */
    check_side(&BOTH, (geo_pt){2, 2}, GEO_SIDE_OUT, 1);
    check_side(&BOTH, (geo_pt){1, 2}, GEO_SIDE_EDGE, 0);
    check_side(&BOTH, (geo_pt){4, 4}, GEO_SIDE_EDGE, 0);
    check_side(&BOTH, (geo_pt){2, 0}, GEO_SIDE_EDGE, 0); /* on a level edge */
    check_side(&BOTH, (geo_pt){-1, 0}, GEO_SIDE_OUT, 1);
    check_side(&BOTH, (geo_pt){11, 0.3}, GEO_SIDE_IN, 0);
    check_side(&BOTH, (geo_pt){15, 5}, GEO_SIDE_OUT, 5);
    check_side(&LINE, (geo_pt){3, 0.25}, GEO_SIDE_EDGE, 0);
    check_side(&LINE, (geo_pt){1, 2}, GEO_SIDE_OUT, 2);
}

/* A circle of many points: in blocks. */
static void test_a_large_area_from_its_bytes(void **state)
{
    (void)state;
    static geo_at at[5001];
    for (int i = 0; i < 5000; i++)
        at[i] = geo_at_of((geo_pt){9 + cos(i * M_PI / 2500), 47 + sin(i * M_PI / 2500)});
    at[5000] = at[0];
    const geo_ring ring = {at, 5001, false};
    const geo_shape circle = {GEO_SHAPE_POLYGON, &ring, 1};
    sx_buf out;
    sx_buf_init(&out, 0);
    geo_shape_encode(&circle, &out);
    for (int i = 0; i < 2000; i++) {
        double angle = i * 0.1, r = (i % 40) / 20.0 + 0.0123;
        geo_pt p = {9 + r * cos(angle), 47 + r * sin(angle)};
        assert_int_equal(geo_bytes_side(sx_buf_view(&out), p), r < 1 ? GEO_SIDE_IN : GEO_SIDE_OUT);
        double d = geo_bytes_distance(sx_buf_view(&out), p, INFINITY, NULL);
        assert_true(d == geo_shape_distance(&circle, p, NULL));
        assert_true(fabs(d - fmax(r - 1, 0)) < 1e-5);
    }
    sx_buf_done(&out);
}

static geo_area *area_of(const geo_shape *shape)
{
    sx_error err;
    geo_area *a;
    assert_int_equal(geo_area_new(shape, &a, &err), SX_OK);
    return a;
}

typedef sx_status (*predicate)(const geo_area *, const geo_area *, bool *, sx_error *);

static bool ask(predicate p, const geo_shape *a, const geo_shape *b)
{
    geo_area *x = area_of(a), *y = area_of(b);
    sx_error err;
    bool yes;
    assert_int_equal(p(x, y, &yes, &err), SX_OK);
    geo_area_free(x);
    geo_area_free(y);
    return yes;
}

static void test_how_areas_lie_in_one_another(void **state)
{
    (void)state;
    assert_true(ask(geo_area_covers, &SOLID, &FRAME));
    assert_false(ask(geo_area_covers, &FRAME, &SOLID));
    assert_true(ask(geo_area_covers, &SOLID, &FILL));
    assert_false(ask(geo_area_covers, &FRAME, &FILL));
    assert_true(ask(geo_area_covers, &FRAME, &FRAME));
    assert_true(ask(geo_area_overlaps, &FRAME, &FRAME));
    assert_true(ask(geo_area_overlaps, &FILL, &SOLID));
    assert_false(ask(geo_area_overlaps, &FRAME, &FILL)); /* they share an edge only */
    assert_true(ask(geo_area_meets, &FRAME, &FILL));
    assert_true(ask(geo_area_meets, &FILL, &SOLID));
    assert_true(ask(geo_area_meets, &SOLID, &FILL));
    assert_true(ask(geo_area_meets, &BOTH, &LINE));
    assert_false(ask(geo_area_covers, &FILL, &LINE));
}

static void test_which_lines_and_points_an_area_takes(void **state)
{
    (void)state;
    const geo_at touching[] = {{D(4), D(4)}, {D(6), D(6)}};
    const geo_at along[] = {{0, 0}, {D(4), 0}};
    const geo_at corners[] = {{-D(1), D(1)}, {D(1), -D(1)}, {D(4), 0}};
    const geo_at across[] = {{-D(1), D(2)}, {D(9), D(2)}};
    const geo_ring parts[] = {
        {touching, 2, false}, {along, 2, false}, {corners, 3, false}, {across, 2, false}};
    const bool taken[] = {false, true, true, true};
    const bool covered[] = {false, true, false, false};
    for (size_t i = 0; i < SX_COUNT_OF(parts); i++) {
        const geo_shape line = {GEO_SHAPE_LINE, &parts[i], 1};
        assert_int_equal(ask(geo_area_takes, &SOLID, &line), taken[i]);
        assert_int_equal(ask(geo_area_covers, &SOLID, &line), covered[i]);
        assert_true(ask(geo_area_meets, &SOLID, &line));
    }
    const geo_ring corner = {OUTER, 1, false}, middle = {&(geo_at){D(2), D(2)}, 1, false};
    assert_true(ask(geo_area_takes, &FRAME, &(geo_shape){GEO_SHAPE_POINT, &corner, 1}));
    assert_false(ask(geo_area_takes, &FRAME, &(geo_shape){GEO_SHAPE_POINT, &middle, 1}));
}

static void test_simplifying_keeps_the_topology(void **state)
{
    (void)state;
    sx_arena arena;
    sx_error err;
    geo_shape out;
    sx_arena_init(&arena, 0, 0);
    const geo_at bump[] = {{0, 0}, {D(2), 1000}, {D(4), 0}};
    const geo_at in_the_way[] = {{D(2), 500}, {D(2), -D(1)}};
    const geo_ring parts[] = {{bump, 3, false}, {in_the_way, 2, false}};
    const geo_shape alone = {GEO_SHAPE_LINE, parts, 1}, both = {GEO_SHAPE_MULTI_LINE, parts, 2};
    assert_int_equal(geo_shape_simplify(&alone, 0.01, &arena, &out, &err), SX_OK);
    assert_int_equal(out.rings[0].count, 2);
    assert_int_equal(geo_shape_simplify(&both, 0.01, &arena, &out, &err), SX_OK);
    assert_int_equal(out.rings[0].count, 3);
    assert_int_equal(out.kind, GEO_SHAPE_MULTI_LINE);
    /* A ring stays a ring however large the tolerance. */
    assert_int_equal(geo_shape_simplify(&FRAME, 100, &arena, &out, &err), SX_OK);
    assert_int_equal(geo_shape_check(&out, &err), SX_OK);
    sx_arena_done(&arena);
}

static void test_lack_of_memory_is_an_error(void **state)
{
    (void)state;
    sx_error err;
    geo_area *fill = area_of(&FILL);
    sx_status st = SX_ENOMEM;
    for (int64_t nth = 1; st != SX_OK; nth++) {
        geo_area *frame = NULL;
        geo_shape out;
        geo_pt p;
        bool yes;
        sx_arena arena;
        sx_arena_init(&arena, 16, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        st = geo_area_new(&FRAME, &frame, &err);
        if (st == SX_OK)
            st = geo_area_covers(frame, fill, &yes, &err);
        if (st == SX_OK)
            st = geo_shape_inside_point(&FRAME, &p, &err);
        if (st == SX_OK)
            st = geo_shape_simplify(&FRAME, 0.1, &arena, &out, &err);
        sx_fault_alloc_set((sx_fault_alloc){0});
        sx_arena_done(&arena);
        geo_area_free(frame);
        assert_true(st == SX_OK || st == SX_ENOMEM);
        assert_true(nth < 100);
    }
    geo_area_free(fill);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_points_for_a_shape),
        cmocka_unit_test(test_along_a_line),
        cmocka_unit_test(test_where_a_point_is),
        cmocka_unit_test(test_a_large_area_from_its_bytes),
        cmocka_unit_test(test_how_areas_lie_in_one_another),
        cmocka_unit_test(test_which_lines_and_points_an_area_takes),
        cmocka_unit_test(test_simplifying_keeps_the_topology),
        cmocka_unit_test(test_lack_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

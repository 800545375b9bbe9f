/* geometry_shape.c - the stored form of shapes, how it prints, and that damage to it is an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "geocode/geometry/measure.h"
#include "geocode/geometry/print.h"

enum { LONG_POINTS = 1000 };

static const geo_at POINT[] = {{95000001, -471000000}};
static const geo_at LINE[] = {{95000000, 471000000}, {95000100, 471000200}, {-5, 0}};
static const geo_at OUTER[] = {{0, 0}, {90, 0}, {90, 90}, {0, 90}, {0, 0}};
static const geo_at INNER[] = {{10, 10}, {10, 20}, {20, 20}, {10, 10}};
static const geo_at ISLAND[] = {{1000, 1000}, {1010, 1000}, {1010, 1010}, {1000, 1000}};

static const geo_ring POINT_PART[] = {{POINT, 1, false}};
static const geo_ring LINE_PARTS[] = {{LINE, 3, false}, {LINE, 2, false}};
static const geo_ring AREA_PARTS[] = {{OUTER, 5, false}, {INNER, 4, true}, {ISLAND, 4, false}};

static const geo_shape SHAPES[] = {
    {GEO_SHAPE_POINT, POINT_PART, 1},         {GEO_SHAPE_LINE, LINE_PARTS, 1},
    {GEO_SHAPE_POLYGON, AREA_PARTS, 2},       {GEO_SHAPE_MULTI_LINE, LINE_PARTS, 2},
    {GEO_SHAPE_MULTI_POLYGON, AREA_PARTS, 3},
};

static void assert_same(const geo_shape *a, const geo_shape *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->ring_count, b->ring_count);
    for (uint32_t i = 0; i < a->ring_count; i++) {
        assert_int_equal(a->rings[i].count, b->rings[i].count);
        assert_int_equal(a->rings[i].inner, b->rings[i].inner);
        assert_memory_equal(a->rings[i].at, b->rings[i].at, a->rings[i].count * sizeof(geo_at));
    }
}

static sx_status decode(sx_str bytes, sx_arena *arena, geo_shape *out, size_t *used, sx_error *err)
{
    geo_cursor c = geo_cursor_at((const uint8_t *)bytes.data, bytes.len, 0);
    sx_status st = geo_shape_decode(&c, arena, (geo_shape_limits){0}, out, err);
    *used = (size_t)(c.at - (const uint8_t *)bytes.data);
    return st;
}

/* A ring of many points, so that it is stored in blocks. */
static geo_shape long_ring(geo_at *at, geo_ring *ring)
{
    for (int i = 0; i < LONG_POINTS; i++) {
        int up = i < LONG_POINTS / 2 ? i : LONG_POINTS - i;
        at[i] = (geo_at){up * 100 + (i < LONG_POINTS / 2 ? 5000 : 0), i % 3 + up * 50};
    }
    at[LONG_POINTS] = at[0];
    *ring = (geo_ring){at, LONG_POINTS + 1, false};
    return (geo_shape){GEO_SHAPE_POLYGON, ring, 1};
}

static void round_trip(const geo_shape *shape)
{
    sx_arena arena;
    sx_buf out;
    sx_error err;
    geo_shape back;
    size_t used;
    assert_int_equal(geo_shape_check(shape, &err), SX_OK);
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&out, 0);
    geo_shape_encode(shape, &out);
    size_t whole = out.len;
    sx_buf_byte(&out, 'x'); /* what follows is not looked at */
    assert_int_equal(decode(sx_buf_view(&out), &arena, &back, &used, &err), SX_OK);
    assert_int_equal(used, whole);
    assert_same(shape, &back);
    for (size_t len = 0; len < whole; len++) {
        /* A copy of its own, so that a sanitizer sees a read beyond it. */
        sx_str cut = sx_arena_copy(&arena, sx_str_of(out.data, len));
        assert_int_equal(decode(sx_str_of(cut.data, len), &arena, &back, &used, &err), SX_ECORRUPT);
        assert_true(geo_bytes_distance(sx_str_of(cut.data, len), (geo_pt){9, 47}, 1e9, NULL) < 0 ||
                    shape->ring_count == 1);
    }
    sx_buf_done(&out);
    sx_arena_done(&arena);
}

static void test_shapes_come_back_as_they_were_and_cut_ones_do_not(void **state)
{
    (void)state;
    geo_at at[LONG_POINTS + 1];
    geo_ring ring;
    geo_shape many = long_ring(at, &ring);
    for (size_t i = 0; i < SX_COUNT_OF(SHAPES); i++)
        round_trip(&SHAPES[i]);
    round_trip(&many);
}

static void test_a_long_ring_takes_few_bytes_a_point(void **state)
{
    (void)state;
    geo_at at[LONG_POINTS + 1];
    geo_ring ring;
    geo_shape many = long_ring(at, &ring);
    sx_buf out;
    sx_buf_init(&out, 0);
    geo_shape_encode(&many, &out);
    assert_in_range(out.len, LONG_POINTS * 2, LONG_POINTS * 4);
    sx_buf_done(&out);
}

static void test_what_is_no_shape_is_refused(void **state)
{
    (void)state;
    sx_error err;
    const geo_ring open[] = {{OUTER, 4, false}}, inner[] = {{OUTER, 5, true}};
    const geo_at far[] = {{GEO_LON_E7_MAX + 1, 0}};
    const geo_ring far_part[] = {{far, 1, false}};
    const geo_shape wrong[] = {
        {GEO_SHAPE_POLYGON, open, 1},       {GEO_SHAPE_POLYGON, inner, 1},
        {GEO_SHAPE_POLYGON, AREA_PARTS, 3}, {GEO_SHAPE_LINE, LINE_PARTS, 2},
        {GEO_SHAPE_LINE, POINT_PART, 1},    {GEO_SHAPE_POINT, LINE_PARTS, 1},
        {GEO_SHAPE_POINT, far_part, 1},     {GEO_SHAPE_POINT, POINT_PART, 0},
    };
    for (size_t i = 0; i < SX_COUNT_OF(wrong); i++)
        assert_int_equal(geo_shape_check(&wrong[i], &err), SX_EINVAL);
}

static void test_a_decoder_keeps_to_its_limits(void **state)
{
    (void)state;
    sx_arena arena;
    sx_buf out;
    sx_error err;
    geo_shape back;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&out, 0);
    geo_shape_encode(&SHAPES[4], &out);
    geo_cursor c = geo_cursor_at((const uint8_t *)out.data, out.len, 0), d = c;
    assert_int_equal(
        geo_shape_decode(&c, &arena, (geo_shape_limits){.points_max = 12}, &back, &err), SX_ELIMIT);
    assert_int_equal(geo_shape_decode(&d, &arena, (geo_shape_limits){.rings_max = 2}, &back, &err),
                     SX_ELIMIT);
    sx_buf_done(&out);
    sx_arena_done(&arena);
}

static void test_lack_of_memory_is_an_error(void **state)
{
    (void)state;
    sx_buf out;
    sx_error err;
    geo_shape back;
    size_t used;
    sx_buf_init(&out, 0);
    geo_shape_encode(&SHAPES[4], &out);
    sx_status st = SX_ENOMEM;
    for (int64_t nth = 1; st != SX_OK; nth++) {
        sx_arena arena;
        sx_arena_init(&arena, 16, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        st = decode(sx_buf_view(&out), &arena, &back, &used, &err);
        sx_fault_alloc_set((sx_fault_alloc){0});
        sx_arena_done(&arena);
        assert_true(st == SX_OK || st == SX_ENOMEM);
        assert_true(nth < 20);
    }
    sx_buf_done(&out);
}

/* Prints. */

typedef void (*printer)(const geo_shape *, sx_buf *);

static void check_print(printer print, const geo_shape *shape, const char *expected)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    print(shape, &out);
    sx_buf_byte(&out, '\0');
    assert_string_equal(out.data, expected);
    sx_buf_done(&out);
}

static void test_shapes_print_as_postgis_prints_them(void **state)
{
    (void)state;
    const geo_at tri[] = {
        {15000000, 20000000}, {20000000, 20000000}, {20000000, -25000001}, {15000000, 20000000}};
    const geo_ring parts[] = {{tri, 4, false}, {tri, 4, true}, {tri, 4, false}};
    const geo_shape line = {GEO_SHAPE_LINE, parts, 1};
    const geo_shape polygon = {GEO_SHAPE_POLYGON, parts, 2};
    const geo_shape multi = {GEO_SHAPE_MULTI_POLYGON, parts, 3};
    const geo_ring two[] = {{tri, 2, false}, {tri, 2, false}};
    const geo_shape lines = {GEO_SHAPE_MULTI_LINE, two, 2};
    const geo_ring one[] = {{tri + 2, 1, false}};
    check_print(geo_print_geojson, &(geo_shape){GEO_SHAPE_POINT, one, 1},
                "{\"type\":\"Point\",\"coordinates\":[2,-2.5000001]}");
    check_print(geo_print_wkt, &(geo_shape){GEO_SHAPE_POINT, one, 1}, "POINT(2 -2.5000001)");
    check_print(geo_print_kml, &(geo_shape){GEO_SHAPE_POINT, one, 1},
                "<Point><coordinates>2,-2.5000001</coordinates></Point>");
    check_print(geo_print_svg, &(geo_shape){GEO_SHAPE_POINT, one, 1}, "cx=\"2\" cy=\"2.5000001\"");
    check_print(geo_print_wkt, &line, "LINESTRING(1.5 2,2 2,2 -2.5000001,1.5 2)");
    check_print(geo_print_svg, &line, "M 1.5 -2 L 2 -2 2 2.5000001 1.5 -2");
    check_print(geo_print_geojson, &lines,
                "{\"type\":\"MultiLineString\",\"coordinates\":[[[1.5,2],[2,2]],[[1.5,2],[2,2]]]}");
    check_print(geo_print_kml, &lines,
                "<MultiGeometry><LineString><coordinates>1.5,2 2,2</coordinates></LineString>"
                "<LineString><coordinates>1.5,2 2,2</coordinates></LineString></MultiGeometry>");
    check_print(geo_print_svg, &polygon,
                "M 1.5 -2 L 2 -2 2 2.5000001 Z M 1.5 -2 L 2 -2 2 2.5000001 Z");
    check_print(geo_print_wkt, &multi,
                "MULTIPOLYGON(((1.5 2,2 2,2 -2.5000001,1.5 2),(1.5 2,2 2,2 -2.5000001,1.5 2)),"
                "((1.5 2,2 2,2 -2.5000001,1.5 2)))");
    check_print(geo_print_kml, &polygon,
                "<Polygon><outerBoundaryIs><LinearRing><coordinates>1.5,2 2,2 2,-2.5000001 1.5,2"
                "</coordinates></LinearRing></outerBoundaryIs><innerBoundaryIs><LinearRing>"
                "<coordinates>1.5,2 2,2 2,-2.5000001 1.5,2</coordinates></LinearRing>"
                "</innerBoundaryIs></Polygon>");
}

static void test_printing_keeps_to_the_limit_of_its_buffer(void **state)
{
    (void)state;
    sx_buf out;
    sx_buf_init(&out, 20);
    geo_print_geojson(&SHAPES[4], &out);
    assert_true(out.failed && out.hit_limit);
    sx_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes_come_back_as_they_were_and_cut_ones_do_not),
        cmocka_unit_test(test_a_long_ring_takes_few_bytes_a_point),
        cmocka_unit_test(test_what_is_no_shape_is_refused),
        cmocka_unit_test(test_a_decoder_keeps_to_its_limits),
        cmocka_unit_test(test_lack_of_memory_is_an_error),
        cmocka_unit_test(test_shapes_print_as_postgis_prints_them),
        cmocka_unit_test(test_printing_keeps_to_the_limit_of_its_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

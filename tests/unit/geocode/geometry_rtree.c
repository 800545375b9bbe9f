/* geometry_rtree.c - the packed tree against a plain list. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "geocode/geometry/measure.h"
#include "geocode/geometry/rtree.h"

enum { ITEMS = 3000 };

static uint32_t seed = 1;

static int32_t chance(int32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (int32_t)((uint64_t)(seed >> 4) * (uint32_t)below >> 28);
}

static geo_box random_box(int32_t size)
{
    int32_t lon = chance(100000) - 50000, lat = chance(100000) - 50000;
    return (geo_box){lon, lat, lon + chance(size), lat + chance(size)};
}

static sx_buf built(geo_rtree_item *items, uint32_t count, geo_rtree *tree)
{
    sx_buf out;
    sx_error err;
    sx_buf_init(&out, 0);
    for (uint32_t i = 0; i < count; i++)
        items[i] = (geo_rtree_item){random_box(i % 2 ? 1 : 3000), i};
    assert_int_equal(geo_rtree_sort(items, count, &err), SX_OK);
    assert_int_equal(geo_rtree_build(items, count, &out, &err), SX_OK);
    assert_int_equal(out.len, geo_rtree_bytes(count));
    assert_int_equal(geo_rtree_open(sx_buf_view(&out), tree, &err), SX_OK);
    return out;
}

static void test_finds_what_a_list_finds(void **state)
{
    (void)state;
    static geo_rtree_item items[ITEMS];
    static uint32_t ids[ITEMS];
    const uint32_t counts[] = {0, 1, 15, 16, 17, 256, 257, ITEMS};
    for (size_t k = 0; k < SX_COUNT_OF(counts); k++) {
        geo_rtree tree;
        sx_buf out = built(items, counts[k], &tree);
        for (int round = 0; round < 200; round++) {
            geo_box box = random_box(20000);
            uint64_t sum = 0, expected_sum = 0;
            uint32_t expected = 0, found = geo_rtree_find(&tree, box, ids, ITEMS);
            for (uint32_t i = 0; i < found; i++)
                sum += ids[i] + 1;
            for (uint32_t i = 0; i < counts[k]; i++)
                if (geo_box_meets(items[i].box, box)) {
                    expected++;
                    expected_sum += items[i].id + 1;
                }
            assert_int_equal(found, expected);
            assert_int_equal(sum, expected_sum);
        }
        sx_buf_done(&out);
    }
}

static void test_finds_the_nearest(void **state)
{
    (void)state;
    static geo_rtree_item items[ITEMS];
    geo_rtree tree;
    sx_buf out = built(items, ITEMS, &tree);
    for (int round = 0; round < 300; round++) {
        geo_at at = {chance(120000) - 60000, chance(120000) - 60000};
        geo_pt p = geo_pt_of(at);
        double best = INFINITY, radius = 0.0002 + round * 1e-6;
        for (uint32_t i = 0; i < ITEMS; i++)
            best = fmin(best, geo_box_distance(items[i].box, p));
        geo_rtree_hit hit;
        bool found = geo_rtree_nearest(&tree, p, radius, NULL, NULL, &hit);
        assert_int_equal(found, best <= radius);
        if (found)
            assert_true(hit.distance == best);
    }
    sx_buf_done(&out);
}

/* An exact distance that is more than the box says. */
static double twice(void *context, uint32_t id, geo_box box)
{
    (void)id;
    return 2 * geo_box_distance(box, *(geo_pt *)context) + 1e-7;
}

static void test_finds_the_nearest_by_an_exact_distance(void **state)
{
    (void)state;
    static geo_rtree_item items[ITEMS];
    geo_rtree tree;
    sx_buf out = built(items, ITEMS, &tree);
    for (int round = 0; round < 100; round++) {
        geo_pt p = geo_pt_of((geo_at){chance(120000) - 60000, chance(120000) - 60000});
        double best = INFINITY;
        geo_rtree_hit hit;
        for (uint32_t i = 0; i < ITEMS; i++)
            best = fmin(best, twice(&p, 0, items[i].box));
        assert_true(geo_rtree_nearest(&tree, p, 1, twice, &p, &hit));
        assert_true(hit.distance == best);
    }
    sx_buf_done(&out);
}

static void test_gives_items_nearest_first(void **state)
{
    (void)state;
    static geo_rtree_item items[ITEMS];
    geo_rtree tree;
    sx_buf out = built(items, ITEMS, &tree);
    geo_near near;
    geo_rtree_hit hit;
    uint32_t count = 0;
    double last = 0;
    geo_near_start(&near, &tree, (geo_pt){0.001, 0.001}, 10);
    for (; geo_near_next(&near, &hit); count++) {
        assert_true(hit.distance >= last);
        last = hit.distance;
    }
    assert_false(near.failed);
    assert_int_equal(count, ITEMS);
    geo_near_done(&near);
    sx_buf_done(&out);
}

static void test_damage_is_an_error_or_a_wrong_answer(void **state)
{
    (void)state;
    static geo_rtree_item items[ITEMS];
    static uint32_t ids[ITEMS];
    geo_rtree tree;
    sx_error err;
    sx_buf out = built(items, 300, &tree);
    for (size_t len = 0; len < out.len; len++)
        assert_int_equal(geo_rtree_open(sx_str_of(out.data, len), &tree, &err), SX_ECORRUPT);
    for (size_t i = 16; i < out.len; i++)
        out.data[i] = (char)chance(256);
    assert_int_equal(geo_rtree_open(sx_buf_view(&out), &tree, &err), SX_OK);
    geo_rtree_hit hit;
    geo_near near;
    (void)geo_rtree_find(&tree, (geo_box){INT32_MIN, INT32_MIN, INT32_MAX, INT32_MAX}, ids, ITEMS);
    (void)geo_rtree_nearest(&tree, (geo_pt){0, 0}, 1000, NULL, NULL, &hit);
    geo_near_start(&near, &tree, (geo_pt){0, 0}, 1000);
    while (geo_near_next(&near, &hit))
        ;
    geo_near_done(&near);
    sx_buf_done(&out);
}

static void test_lack_of_memory_is_an_error(void **state)
{
    (void)state;
    static geo_rtree_item items[ITEMS];
    geo_rtree tree;
    sx_error err;
    sx_buf out = built(items, ITEMS, &tree), again;
    sx_buf_init(&again, 0);
    geo_near near;
    geo_rtree_hit hit;
    sx_fault_alloc_set((sx_fault_alloc){.nth = 1, .and_after = true});
    assert_int_equal(geo_rtree_sort(items, ITEMS, &err), SX_ENOMEM);
    assert_int_equal(geo_rtree_build(items, ITEMS, &again, &err), SX_ENOMEM);
    geo_near_start(&near, &tree, (geo_pt){0, 0}, 10);
    while (geo_near_next(&near, &hit))
        ;
    assert_true(near.failed);
    geo_near_done(&near);
    sx_fault_alloc_set((sx_fault_alloc){0});
    sx_buf_done(&out);
    sx_buf_done(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_what_a_list_finds),
        cmocka_unit_test(test_finds_the_nearest),
        cmocka_unit_test(test_finds_the_nearest_by_an_exact_distance),
        cmocka_unit_test(test_gives_items_nearest_first),
        cmocka_unit_test(test_damage_is_an_error_or_a_wrong_answer),
        cmocka_unit_test(test_lack_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

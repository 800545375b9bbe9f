/* bench_geometry.c - speed of the questions that a reverse search asks of shapes.
 *
 *     bench_geometry
 *
 * Prints `name value unit` lines: a circle of 5,000 points asked from its bytes and prepared, and a
 * tree of a million boxes. Times are of the processor. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sextant/mem.h>

#include "geocode/geometry/measure.h"
#include "geocode/geometry/relate.h"
#include "geocode/geometry/rtree.h"

enum { POINTS = 5000, BOXES = 1000000, ROUNDS = 400000, ASKED = 4096 };

static void fail(const sx_error *err)
{
    (void)fprintf(stderr, "bench_geometry: %s\n", err->message);
    exit(1);
}

static geo_pt asked[ASKED];
static uint64_t sink; /* what the loops found, so that they are not left out */

static void ask_points(double lon, double lat, double reach)
{
    uint32_t seed = 1;
    for (int i = 0; i < ASKED; i++) {
        double u[2];
        for (int k = 0; k < 2; k++) {
            seed = seed * 1664525 + 1013904223;
            u[k] = seed / 4294967296.0 * 2 - 1;
        }
        asked[i] = (geo_pt){lon + reach * u[0], lat + reach * u[1]};
    }
}

/* Of this process: the machine may have other work. */
static int64_t cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void report(const char *name, int64_t start_ns, int rounds)
{
    double ns = (double)(cpu_ns() - start_ns) / rounds;
    (void)printf("%s %.1f ns\n", name, ns);
}

static void bench_area(void)
{
    static geo_at at[POINTS + 1];
    sx_error err;
    geo_area *area;
    sx_buf out;
    for (int i = 0; i < POINTS; i++) {
        double r = 1 + (i % 7) * 0.001;
        at[i] = geo_at_of(
            (geo_pt){9 + r * cos(i * 2 * M_PI / POINTS), 47 + r * sin(i * 2 * M_PI / POINTS)});
    }
    at[POINTS] = at[0];
    const geo_ring ring = {at, POINTS + 1, false};
    const geo_shape shape = {GEO_SHAPE_POLYGON, &ring, 1};
    sx_buf_init(&out, 0);
    geo_shape_encode(&shape, &out);
    (void)printf("stored %.2f bytes/point\n", (double)out.len / POINTS);
    if (geo_area_new(&shape, &area, &err) != SX_OK)
        fail(&err);
    ask_points(9, 47, 1.2);
    int64_t start = cpu_ns();
    for (int i = 0; i < ROUNDS; i++)
        sink += geo_bytes_side(sx_buf_view(&out), asked[i % ASKED]);
    report("side_from_bytes", start, ROUNDS);
    start = cpu_ns();
    for (int i = 0; i < ROUNDS; i++)
        sink += geo_area_side(area, asked[i % ASKED]);
    report("side_prepared", start, ROUNDS);
    start = cpu_ns();
    for (int i = 0; i < ROUNDS / 10; i++)
        sink += geo_bytes_distance(sx_buf_view(&out), asked[i % ASKED], 0.1, NULL) < 0.1;
    report("distance_from_bytes", start, ROUNDS / 10);
    geo_area_free(area);
    sx_buf_done(&out);
}

static void bench_tree(void)
{
    sx_error err;
    geo_rtree tree;
    sx_buf out;
    uint32_t seed = 7, ids[256];
    geo_rtree_item *items = sx_alloc(BOXES * sizeof *items);
    if (!items)
        return;
    for (uint32_t i = 0; i < BOXES; i++) {
        seed = seed * 1664525 + 1013904223;
        int32_t lon = 90000000 + (int32_t)(seed >> 8) % 10000000;
        seed = seed * 1664525 + 1013904223;
        int32_t lat = 470000000 + (int32_t)(seed >> 8) % 10000000;
        items[i] = (geo_rtree_item){{lon, lat, lon + 5000, lat + 5000}, i};
    }
    sx_buf_init(&out, 0);
    int64_t start = cpu_ns();
    if (geo_rtree_sort(items, BOXES, &err) != SX_OK ||
        geo_rtree_build(items, BOXES, &out, &err) != SX_OK ||
        geo_rtree_open(sx_buf_view(&out), &tree, &err) != SX_OK)
        fail(&err);
    report("tree_build_per_box", start, BOXES);
    ask_points(9.5, 47.5, 0.5);
    geo_rtree_hit hit;
    start = cpu_ns();
    for (int i = 0; i < ROUNDS; i++)
        sink += geo_rtree_nearest(&tree, asked[i % ASKED], 0.01, NULL, NULL, &hit);
    report("tree_nearest", start, ROUNDS);
    start = cpu_ns();
    for (int i = 0; i < ROUNDS; i++)
        sink += geo_rtree_find(&tree, geo_box_at(geo_at_of(asked[i % ASKED])), ids, 256);
    report("tree_at_point", start, ROUNDS);
    start = cpu_ns();
    for (int i = 0; i < ROUNDS; i++) {
        geo_near near;
        geo_near_start(&near, &tree, asked[i % ASKED], 0.01);
        for (int k = 0; k < 10 && geo_near_next(&near, &hit); k++)
            sink += hit.id;
        geo_near_done(&near);
    }
    report("tree_ten_nearest", start, ROUNDS);
    sx_buf_done(&out);
    sx_free(items);
}

int main(void)
{
    bench_area();
    bench_tree();
    return sink == 0;
}

/* build_points.c - all points in the order of a Hilbert curve, and the tree of boxes over them.
 *
 * The curve keeps neighbours on Earth near each other in the file, so 64 points in a row have a
 * small box, 64 such boxes a small one again, up to one root: nearest-neighbour and box queries
 * read a few of each. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/index/build_impl.h"

/* Distance along the Hilbert curve of order 32 of the point (x, y). The usual bit-by-bit walk: each
 * step names a quadrant, then turns the square so that the next quadrant reads the same way. */
static uint64_t hilbert(uint32_t x, uint32_t y)
{
    uint64_t along = 0;
    for (uint32_t side = UINT32_C(1) << 31; side > 0; side >>= 1) {
        uint32_t right = (x & side) != 0, up = (y & side) != 0;
        along = along << 2 | ((3 * right) ^ up);
        if (up)
            continue;
        if (right) {
            x = ~x;
            y = ~y;
        }
        uint32_t swap = x;
        x = y;
        y = swap;
    }
    return along;
}

sx_status geo_build_point_add(geo_builder *b, int32_t lon_e7, int32_t lat_e7, uint32_t number,
                              sx_error *err)
{
    if (!sx_grow(&b->points, &b->point_cap, b->point_count + 1, sizeof(*b->points)))
        return sx_fail_memory(err, "the index's points");
    b->points[b->point_count++] = (geo_build_point){
        /* Offset so that both are positive; the curve then covers the globe once. */
        hilbert((uint32_t)lon_e7 + 1800000000u, (uint32_t)lat_e7 + 1800000000u),
        {lon_e7, lat_e7, (uint32_t)b->doc_count, number},
    };
    return SX_OK;
}

static int by_curve(const void *left, const void *right)
{
    const geo_build_point *a = left, *b = right;
    if (a->curve != b->curve)
        return a->curve < b->curve ? -1 : 1;
    if (a->point.doc != b->point.doc)
        return a->point.doc < b->point.doc ? -1 : 1;
    return (a->point.number > b->point.number) - (a->point.number < b->point.number);
}

static void widen(geo_disk_box *box, const geo_disk_box *by)
{
    if (by->lon_min < box->lon_min)
        box->lon_min = by->lon_min;
    if (by->lat_min < box->lat_min)
        box->lat_min = by->lat_min;
    if (by->lon_max > box->lon_max)
        box->lon_max = by->lon_max;
    if (by->lat_max > box->lat_max)
        box->lat_max = by->lat_max;
}

static const geo_disk_box NOWHERE = {INT32_MAX, INT32_MAX, INT32_MIN, INT32_MIN};

/* The leaves' boxes, from the points. */
static void put_leaves(const geo_builder *b, sx_buf *tree)
{
    for (size_t from = 0; from < b->point_count; from += GEO_POINT_BLOCK) {
        geo_disk_box box = NOWHERE;
        for (size_t i = from; i < b->point_count && i < from + GEO_POINT_BLOCK; i++) {
            const geo_disk_point *p = &b->points[i].point;
            widen(&box, &(geo_disk_box){p->lon_e7, p->lat_e7, p->lon_e7, p->lat_e7});
        }
        sx_buf_bytes(tree, &box, sizeof(box));
    }
}

/* The boxes over `count` boxes that begin at box `first`; returns how many were made. */
static size_t put_level(sx_buf *tree, size_t first, size_t count)
{
    size_t made = 0;
    for (size_t from = 0; from < count && !tree->failed; from += GEO_POINT_BLOCK, made++) {
        geo_disk_box box = NOWHERE;
        for (size_t i = from; i < count && i < from + GEO_POINT_BLOCK; i++) {
            geo_disk_box below;
            memcpy(&below, tree->data + (first + i) * sizeof(below), sizeof(below));
            widen(&box, &below);
        }
        sx_buf_bytes(tree, &box, sizeof(box));
    }
    return made;
}

sx_status geo_build_points(geo_builder *b, sx_buf *points, sx_buf *tree, sx_error *err)
{
    for (size_t i = 0; i < b->point_count; i++)
        b->points[i].point.doc = b->rank[b->points[i].point.doc];
    if (b->point_count)
        qsort(b->points, b->point_count, sizeof(*b->points), by_curve);
    for (size_t i = 0; i < b->point_count; i++)
        sx_buf_bytes(points, &b->points[i].point, sizeof(geo_disk_point));
    put_leaves(b, tree);
    size_t first = 0, count = tree->len / sizeof(geo_disk_box);
    while (count > 1 && !tree->failed) {
        size_t made = put_level(tree, first, count);
        first += count;
        count = made;
    }
    sx_status status = sx_buf_status(points, "the index's points", err);
    return status == SX_OK ? sx_buf_status(tree, "the index's boxes", err) : status;
}
